//! One PC and its state, as people and scripts write it.

use crate::core::pc::{BadPcName, Occupation, PcName, System, Use};

/// Why a text says nothing about a PC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadEntry {
    #[error("{0:?}: {BadPcName}")]
    Name(String),
    #[error("{0:?} names no state; write it as hg075pc47=used")]
    NoState(String),
    #[error("{0:?} is no state{hint}", hint = .1.map(|word| format!(" (did you mean {word:?}?)")).unwrap_or_default())]
    State(String, Option<&'static str>),
    #[error("{0:?} is no session; a session is windows or linux")]
    Session(String),
    #[error("{0:?} is a code, which says the session already")]
    SessionTwice(String),
}

/// Reads a line: an entry, or nothing where it is blank or a comment.
pub(super) fn line(text: &str) -> Result<Option<(PcName, Occupation)>, BadEntry> {
    let text = text.split('#').next().unwrap_or_default().trim();
    if text.is_empty() { Ok(None) } else { entry(text).map(Some) }
}

/// Reads `name=state` or `name state`.
pub(super) fn entry(text: &str) -> Result<(PcName, Occupation), BadEntry> {
    let no_state = || BadEntry::NoState(text.to_owned());
    let (name, written) = text.split_once(|c: char| c == '=' || c.is_whitespace()).ok_or_else(no_state)?;
    let written = written.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
    if written.is_empty() {
        return Err(no_state());
    }
    let name = PcName::parse(name).map_err(|BadPcName| BadEntry::Name(name.to_owned()))?;
    Ok((name, state(written)?))
}

/// Reads a code, or a word with or without a session. Without one, Windows is meant, as in a push
/// (protocol.md, "Push").
fn state(written: &str) -> Result<Occupation, BadEntry> {
    let lower = written.to_ascii_lowercase();
    let (word, session) = match lower.split_once(':') {
        Some((word, session)) => (word, Some(session)),
        None => (lower.as_str(), None),
    };
    let system = match session {
        None => None,
        Some("windows") => Some(System::Windows),
        Some("linux") => Some(System::Linux),
        Some(other) => return Err(BadEntry::Session(other.to_owned())),
    };
    if let Some(state) = Occupation::from_code(word) {
        return match system {
            None => Ok(state),
            Some(_) => Err(BadEntry::SessionTwice(written.to_owned())),
        };
    }
    let on = |usage| Occupation::On(system.unwrap_or(System::Windows), usage);
    match word {
        "free" | "logoff" => Ok(on(Use::Free)),
        "used" | "logon" => Ok(on(Use::Used)),
        "off" | "offline" => Ok(Occupation::Off),
        "unknown" => Ok(system.map_or(Occupation::Unknown, |system| Occupation::On(system, Use::Unknown))),
        _ => Err(BadEntry::State(written.to_owned(), word_like(word))),
    }
}

fn word_like(word: &str) -> Option<&'static str> {
    ["free", "used", "offline", "unknown", "logon", "logoff"]
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_is_read_however_it_is_written() {
        let cases = [
            ("hg075pc47=wf", "hg075pc47", "wf"),
            ("HG075PC47 USED", "hg075pc47", "wu"),
            ("a\tlogoff:linux", "a", "lf"),
            ("a = logon:Linux", "a", "lu"),
            ("a=logon", "a", "wu"),
            ("a=free:windows", "a", "wf"),
            ("a=offline", "a", "o"),
            ("a=offline:linux", "a", "o"),
            ("a=off", "a", "o"),
            ("a=unknown", "a", "x"),
            ("a=unknown:linux", "a", "lx"),
            ("a   lx   # stuck", "a", "lx"),
        ];
        for (text, name, code) in cases {
            let (read, state) = line(text).unwrap().unwrap();
            assert_eq!((read.as_str(), state.code()), (name, code), "{text:?}");
        }
        for text in ["", "   ", "# a=o", "\t#"] {
            assert_eq!(line(text), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_what_may_be_meant() {
        let cases = [
            ("a", r#""a" names no state; write it as hg075pc47=used"#),
            ("a=", r#""a=" names no state; write it as hg075pc47=used"#),
            ("a=fre", r#""fre" is no state (did you mean "free"?)"#),
            ("a=wo", r#""wo" is no state"#),
            ("a=free:mac", r#""mac" is no session; a session is windows or linux"#),
            ("a=wf:linux", r#""wf:linux" is a code, which says the session already"#),
            ("a=free free", r#""free free" is no state"#),
            (
                "a\u{1b}[2J=free",
                r#""a\u{1b}[2J": a PC name is 1 to 64 characters of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"#,
            ),
        ];
        for (text, told) in cases {
            assert_eq!(entry(text).unwrap_err().to_string(), told, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_a_panic(text in "\\PC{0,80}") {
            let _ = line(&text);
        }
    }
}
