//! Who reported a state, and when.

use std::fmt;
use std::sync::Arc;

/// Who pushes: 1 to 64 printable characters (reliability.md S1); `unknown` where a push names nobody.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Source(Arc<str>);

/// Why a text names no source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a datasource is 1 to 64 printable characters")]
pub struct BadSource;

impl Source {
    /// The longest name, in characters.
    pub const MAX: usize = 64;

    /// Takes `text` as the name of a source, as it stands.
    ///
    /// # Errors
    /// When it is empty, too long, or holds a control or an invisible formatting character.
    pub fn parse(text: &str) -> Result<Source, BadSource> {
        let fits = !text.is_empty() && text.chars().count() <= Self::MAX && text.chars().all(is_printable);
        if fits { Ok(Source(text.into())) } else { Err(BadSource) }
    }

    /// The source of a push that names none.
    pub fn unknown() -> Source {
        Source("unknown".into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Neither a control nor one of the characters that change how the text around them is shown
/// (line separators, zero-width and bidirectional marks): those make one name look like another.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}')
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A moment of the wall clock, in whole seconds since 1970 (UTC). Only shown and stored: nothing is
/// ordered by it, since clocks step (reliability.md K1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamp(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_printable_and_bounded() {
        let cases = [
            ("login-watcher", true),
            ("Studenten \u{e9}\u{4e2d}", true),
            (" ", true),
            ("", false),
            ("a\nb", false),
            ("a\u{0}", false),
            ("a\u{202e}b", false),
            ("a\u{200b}", false),
        ];
        for (text, fits) in cases {
            assert_eq!(Source::parse(text).is_ok(), fits, "{text:?}");
        }
        assert!(Source::parse(&"\u{e9}".repeat(64)).is_ok());
        assert!(Source::parse(&"a".repeat(65)).is_err());
    }
}
