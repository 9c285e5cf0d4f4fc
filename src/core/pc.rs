//! A PC's name and the state it is in.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The name of a PC: lower case, `[a-z0-9][a-z0-9._-]{0,63}` (reliability.md S1).
///
/// Cheap to clone: a name stands in the state, in messages and in the history at once.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PcName(Arc<str>);

/// Why a text is no PC name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a PC name is 1 to 64 characters of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit")]
pub struct BadPcName;

impl PcName {
    /// The longest name, in bytes: what a DNS label may have, and one more.
    pub const MAX: usize = 64;

    /// Lower-cases `text` and takes it as a name.
    ///
    /// # Errors
    /// When what is left is not of the form above.
    pub fn parse(text: &str) -> Result<PcName, BadPcName> {
        let bytes = text.as_bytes();
        let first = bytes.first().ok_or(BadPcName)?;
        let fits = bytes.len() <= Self::MAX
            && first.is_ascii_alphanumeric()
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b));
        if fits { Ok(PcName(text.to_ascii_lowercase().into())) } else { Err(BadPcName) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PcName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PcName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PcName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The state of a PC. Eight values exist, and no other enters or leaves (protocol.md, "Words").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occupation {
    /// Switched off.
    Off,
    /// Nothing is known of it.
    Unknown,
    /// Switched on, with a system running.
    On(System, Use),
}

/// The operating system that runs on a PC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum System {
    /// Microsoft Windows; also what is assumed of a session nobody named.
    Windows,
    /// GNU/Linux.
    Linux,
}

/// Whether somebody sits at a PC that is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Use {
    /// Nobody is logged on.
    Free,
    /// Somebody is logged on.
    Used,
    /// It is on, and that is all that is known.
    Unknown,
}

impl Occupation {
    /// All eight, in the order of the specification.
    pub const ALL: [Occupation; 8] = [
        Occupation::Off,
        Occupation::Unknown,
        Occupation::On(System::Windows, Use::Free),
        Occupation::On(System::Linux, Use::Free),
        Occupation::On(System::Windows, Use::Used),
        Occupation::On(System::Linux, Use::Used),
        Occupation::On(System::Windows, Use::Unknown),
        Occupation::On(System::Linux, Use::Unknown),
    ];

    /// Its place in [`Occupation::ALL`].
    pub const fn place(self) -> usize {
        match self {
            Occupation::Off => 0,
            Occupation::Unknown => 1,
            Occupation::On(System::Windows, Use::Free) => 2,
            Occupation::On(System::Linux, Use::Free) => 3,
            Occupation::On(System::Windows, Use::Used) => 4,
            Occupation::On(System::Linux, Use::Used) => 5,
            Occupation::On(System::Windows, Use::Unknown) => 6,
            Occupation::On(System::Linux, Use::Unknown) => 7,
        }
    }

    /// The one or two letters by which clients and the history know the state.
    pub const fn code(self) -> &'static str {
        match self {
            Occupation::Off => "o",
            Occupation::Unknown => "x",
            Occupation::On(System::Windows, Use::Free) => "wf",
            Occupation::On(System::Linux, Use::Free) => "lf",
            Occupation::On(System::Windows, Use::Used) => "wu",
            Occupation::On(System::Linux, Use::Used) => "lu",
            Occupation::On(System::Windows, Use::Unknown) => "wx",
            Occupation::On(System::Linux, Use::Unknown) => "lx",
        }
    }

    /// The state of that code, if it is one of the eight.
    pub fn from_code(code: &str) -> Option<Occupation> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lower_cased_and_of_a_bounded_form() {
        let cases = [
            ("HG075PC47", Some("hg075pc47")),
            ("a", Some("a")),
            ("007", Some("007")),
            ("1e999", Some("1e999")),
            ("a.b_c-d", Some("a.b_c-d")),
            ("", None),
            (".pc1", None),
            ("-pc1", None),
            ("pc 1", None),
            ("<script>", None),
            ("pc\u{e9}", None),
            ("\u{212a}pc", None),
            ("pc\n", None),
        ];
        for (text, name) in cases {
            assert_eq!(PcName::parse(text).ok().as_ref().map(PcName::as_str), name, "{text:?}");
        }
        assert!(PcName::parse(&"a".repeat(64)).is_ok());
        assert!(PcName::parse(&"a".repeat(65)).is_err());
    }

    #[test]
    fn a_state_and_its_code_name_each_other() {
        for (place, state) in Occupation::ALL.into_iter().enumerate() {
            assert_eq!(Occupation::from_code(state.code()), Some(state));
            assert_eq!(state.place(), place);
        }
        for other in ["", "u", "f", "wo", "lo", "WF", "wf ", "on"] {
            assert_eq!(Occupation::from_code(other), None, "{other:?}");
        }
    }
}
