//! Who follows whom: a daemon, its master, the master of that. Found out so that no daemon follows itself.

use super::source::Timestamp;
use super::token::Token;
use std::fmt;

/// The name of one daemon, drawn at random at its start.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InstanceId(Token);

impl InstanceId {
    /// A name of 128 bits that the caller drew at random.
    pub fn from_random(bits: [u8; 16]) -> InstanceId {
        InstanceId(Token::from_random(bits))
    }

    /// Takes `text` as the name of a daemon; none where it has not the form of one, which is a token's.
    pub fn parse(text: &str) -> Option<InstanceId> {
        Token::parse(text).ok().map(InstanceId)
    }

    /// The name as text; it needs no escaping in a header.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A daemon, its master, and so on up to the one that follows nobody: never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    own: InstanceId,
    above: Vec<InstanceId>,
}

/// Why a daemon may not follow another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Tangle {
    /// The master is the daemon itself, or follows it.
    #[error("a loop: the master follows, perhaps through others, the daemon that is to follow it")]
    Loop,
    /// There would be too many daemons in a row.
    #[error("too long a row of mirrors: at most {} may stand one behind the other", Lineage::MAX_HOPS)]
    TooLong,
}

impl Lineage {
    /// How many mirrors may stand behind the first master (reliability.md M4).
    pub const MAX_HOPS: usize = 4;

    /// The longest text of a lineage that is read, in names: what is longer is too long in any case.
    const READ: usize = 16;

    /// A daemon that follows nobody, or does not know yet whom its master follows.
    pub fn of(own: InstanceId) -> Lineage {
        Lineage { own, above: Vec::new() }
    }

    /// The daemon itself.
    pub fn own(&self) -> &InstanceId {
        &self.own
    }

    /// The same daemon behind `master`.
    ///
    /// # Errors
    /// When it must not follow that one.
    pub fn behind(&self, master: &Lineage) -> Result<Lineage, Tangle> {
        master.admit(&self.own)?;
        let above = std::iter::once(&master.own).chain(&master.above).cloned().collect();
        Ok(Lineage { own: self.own.clone(), above })
    }

    /// Whether `asker` may follow this daemon.
    ///
    /// # Errors
    /// When that makes a loop, or too long a row.
    pub fn admit(&self, asker: &InstanceId) -> Result<(), Tangle> {
        if self.own == *asker || self.above.contains(asker) {
            return Err(Tangle::Loop);
        }
        if self.above.len() >= Self::MAX_HOPS { Err(Tangle::TooLong) } else { Ok(()) }
    }

    /// Reads what [`fmt::Display`] writes: names with commas between them, the daemon's own first. None where
    /// it is something else.
    pub fn parse(text: &str) -> Option<Lineage> {
        let names = text.split(',').take(Self::READ).map(|name| InstanceId::parse(name.trim()));
        let mut names = names.collect::<Option<Vec<_>>>()?.into_iter();
        Some(Lineage { own: names.next()?, above: names.collect() })
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.own)?;
        self.above.iter().try_for_each(|id| write!(f, ", {id}"))
    }
}

/// How a mirror stands to its master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It follows no master.
    None,
    /// The last request was answered.
    Up,
    /// The master has been silent, or said nothing of use, since then; what is served is from that time.
    Away {
        /// When it was last heard; none: never since the start.
        since: Option<Timestamp>,
        /// Whether that is longer ago than what is served may be old.
        is_stale: bool,
    },
    /// It may not follow that master, and seldom asks again.
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(text: &str) -> Lineage {
        Lineage::parse(text).unwrap()
    }

    #[test]
    fn m4_who_would_follow_itself_or_stand_fifth_in_a_row_may_not() {
        let cases = [
            ("a", "b", Ok("a, b")),
            ("a", "b, c, d, e", Ok("a, b, c, d, e")),
            ("f", "a, b, c, d, e", Err(Tangle::TooLong)),
            ("a", "a", Err(Tangle::Loop)),
            ("a", "b, a", Err(Tangle::Loop)),
            ("a", "b, c, d, e, a", Err(Tangle::Loop)),
            // What it knew of others before does not count.
            ("a, x, y, z, w", "b", Ok("a, b")),
        ];
        for (own, master, expected) in cases {
            let behind = lineage(own).behind(&lineage(master));
            assert_eq!(behind.map(|it| it.to_string()), expected.map(str::to_owned), "{own} behind {master}");
        }
    }

    #[test]
    fn a_lineage_is_read_as_it_is_written_and_nothing_else_is() {
        for text in ["a", "a, b", "0123_-+/=, x"] {
            assert_eq!(lineage(text).to_string(), text);
        }
        assert_eq!(lineage("a,b ,c").to_string(), "a, b, c");
        for text in ["", ",", "a,,b", "a b", "\u{e9}", &"a".repeat(65)] {
            assert_eq!(Lineage::parse(text), None, "{text:?}");
        }
        let endless = vec!["a"; 10_000].join(",");
        assert_eq!(lineage(&endless).above.len(), Lineage::READ - 1);
    }
}
