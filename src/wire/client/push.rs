//! What is pushed, and how a daemon says that it will not have it.

use crate::core::pc::{Occupation, PcName, System, Use};
use crate::core::source::Source;
use serde_json::{Map, Value, json};

/// The body of a push. Where a PC stands twice its last state is sent: a body in which a key is
/// repeated is refused whole (reliability.md J2).
pub fn push_body(source: Option<&Source>, states: &[(PcName, Occupation)]) -> Vec<u8> {
    let data: Map<String, Value> =
        states.iter().map(|(name, state)| (name.as_str().to_owned(), status(*state))).collect();
    let mut body = json!({ "data": data });
    if let Some(source) = source {
        body["datasource"] = source.as_str().into();
    }
    body.to_string().into_bytes()
}

fn status(state: Occupation) -> Value {
    match state {
        Occupation::Off => json!({"status": "offline"}),
        Occupation::Unknown => json!({"status": "unknown"}),
        Occupation::On(system, usage) => {
            let status = match usage {
                Use::Free => "free",
                Use::Used => "used",
                Use::Unknown => "unknown",
            };
            let session = match system {
                System::Windows => "windows",
                System::Linux => "linux",
            };
            json!({"status": status, "session": session})
        }
    }
}

/// Why a daemon refused a push.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// In a sentence; empty where the daemon gave none.
    pub error: String,
    /// Each bad entry, and what is wrong with it.
    pub entries: Vec<(String, String)>,
}

/// Reads the body of a refusal. One that is no JSON of ours (a proxy's page, say) is taken as text,
/// of which the first line counts.
pub fn refusal(body: &[u8]) -> Refusal {
    let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else {
        let text = String::from_utf8_lossy(body.get(..1024).unwrap_or(body)).into_owned();
        let error = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned();
        return Refusal { error, entries: Vec::new() };
    };
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let entries = match body.remove("entries") {
        Some(Value::Object(entries)) => entries.into_iter().map(|(name, why)| (name, text(why))).collect(),
        _ => Vec::new(),
    };
    Refusal { error: body.remove("error").map(text).unwrap_or_default(), entries }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_state_is_pushed_in_words_that_mean_it() {
        let words = [
            (Occupation::Off, json!({"status": "offline"})),
            (Occupation::Unknown, json!({"status": "unknown"})),
            (Occupation::On(System::Windows, Use::Free), json!({"status": "free", "session": "windows"})),
            (Occupation::On(System::Linux, Use::Free), json!({"status": "free", "session": "linux"})),
            (Occupation::On(System::Windows, Use::Used), json!({"status": "used", "session": "windows"})),
            (Occupation::On(System::Linux, Use::Used), json!({"status": "used", "session": "linux"})),
            (
                Occupation::On(System::Windows, Use::Unknown),
                json!({"status": "unknown", "session": "windows"}),
            ),
            (Occupation::On(System::Linux, Use::Unknown), json!({"status": "unknown", "session": "linux"})),
        ];
        assert_eq!(words.len(), Occupation::ALL.len());
        let name = PcName::parse("hg075pc47").unwrap();
        for (state, expected) in words {
            let body: Value = serde_json::from_slice(&push_body(None, &[(name.clone(), state)])).unwrap();
            assert_eq!(body, json!({"data": {"hg075pc47": expected}}));
        }
        let body = push_body(Some(&Source::parse("cron \"a\"").unwrap()), &[]);
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap(),
            json!({"datasource": "cron \"a\"", "data": {}})
        );
    }

    #[test]
    fn a_refusal_names_each_entry_and_any_other_body_is_its_first_line() {
        let of = |error: &str, entries: &[(&str, &str)]| Refusal {
            error: error.into(),
            entries: entries.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect(),
        };
        let cases: [(&str, Refusal); 6] = [
            (
                r#"{"error": "2 bad", "entries": {"a b": "no name", "c": "no state"}}"#,
                of("2 bad", &[("a b", "no name"), ("c", "no state")]),
            ),
            (r#"{"error": "x", "entries": ["?"]}"#, of("x", &[])),
            (r#"{"error": 7, "entries": {"a": null}}"#, of("7", &[("a", "")])),
            ("[]", of("[]", &[])),
            ("\n  Forbidden  \r\nmore", of("Forbidden", &[])),
            ("", of("", &[])),
        ];
        for (body, expected) in cases {
            assert_eq!(refusal(body.as_bytes()), expected, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn no_refusal_whatever_its_bytes_is_a_panic(body in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let read = refusal(&body);
            prop_assert!(read.error.len() <= 3 * 1024);
        }
    }
}
