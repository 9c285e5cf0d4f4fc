//! What is pushed, and how a push is answered: protocol.md, "Push".

use super::json::{self, Object, Value};
use crate::core::pc::{Occupation, PcName, System, Use};
use crate::core::push::Refused;
use crate::core::source::{BadSource, Source};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// The answer to a push that was applied and recorded.
pub const DONE: &str = "true";

/// The answer to a push that was applied and shown, but is not yet recorded (reliability.md P10).
pub const APPLIED: &str = r#""applied, not yet recorded""#;

/// What a push reports; no name comes twice.
#[derive(Debug, PartialEq)]
pub struct Report {
    /// Who reports.
    pub source: Source,
    /// In the order of the text.
    pub states: Vec<(PcName, Occupation)>,
}

/// Why a push is bad: what of it, for the one who sends it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct BadPush {
    /// In one sentence.
    pub error: String,
    /// Each bad entry of `data`, by its name as it was sent, with why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub entries: BTreeMap<String, String>,
}

impl BadPush {
    /// A push that is bad as a whole.
    pub fn whole(error: impl Into<String>) -> BadPush {
        BadPush { error: error.into(), entries: BTreeMap::new() }
    }

    fn entries(entries: BTreeMap<String, String>) -> BadPush {
        let s = if entries.len() == 1 { "entry is" } else { "entries are" };
        BadPush { error: format!("nothing was applied: {} {s} bad", entries.len()), entries }
    }

    /// The body of the answer.
    pub fn to_json(&self) -> String {
        // Two strings and a map of strings cannot fail to serialise.
        serde_json::to_string(self).unwrap_or_else(|_| r#"{"error":"the push is bad"}"#.to_owned())
    }
}

impl From<Refused> for BadPush {
    fn from(refused: Refused) -> BadPush {
        match refused {
            Refused::Sources { limit } => BadPush::whole(format!(
                "nothing was applied: this datasource is new, and no more have a place: limits.sources is {limit}"
            )),
            Refused::Pcs { names } => BadPush::entries(
                names.into_iter().map(|(name, why)| (name.to_string(), why.to_string())).collect(),
            ),
        }
    }
}

/// Reads a push.
///
/// # Errors
/// When anything of it is bad; every bad entry is named (reliability.md P6, J1, J2).
pub fn report(body: &[u8]) -> Result<Report, BadPush> {
    let value =
        json::parse(body).map_err(|error| BadPush::whole(format!("the body is not JSON: {error}")))?;
    let Value::Object(push) = value else {
        return Err(BadPush::whole(
            r#"the body must be an object: {"datasource": "…", "data": {"pc": {"status": "free"}}}"#,
        ));
    };
    let data = match push.get("data") {
        Some(Value::Object(data)) => data,
        Some(_) => return Err(BadPush::whole(r#""data" must be an object: PC names with their states"#)),
        None => return Err(BadPush::whole(r#""data" is missing: an object of PC names with their states"#)),
    };
    let source = match push.get("datasource") {
        None => Source::unknown(),
        Some(Value::String(text)) => Source::parse(text)
            .map_err(|BadSource| BadPush::whole(r#""datasource" must be 1 to 64 printable characters"#))?,
        Some(_) => return Err(BadPush::whole(r#""datasource" must be a string"#)),
    };
    let mut seen = HashSet::new();
    let mut states = Vec::with_capacity(data.entries.len());
    let mut bad = BTreeMap::new();
    for (name, entry) in &data.entries {
        match state(name, entry, &mut seen) {
            Ok(state) => states.push(state),
            Err(why) => {
                bad.insert(shortened(name), why);
            }
        }
    }
    if !bad.is_empty() {
        return Err(BadPush::entries(bad));
    }
    match &push.duplicate {
        Some(key) => {
            Err(BadPush::whole(format!("the key \"{}\" stands twice in one object", shortened(key))))
        }
        None => Ok(Report { source, states }),
    }
}

fn state(name: &str, entry: &Value, seen: &mut HashSet<PcName>) -> Result<(PcName, Occupation), String> {
    let pc = PcName::parse(name).map_err(|error| error.to_string())?;
    let Value::Object(entry) = entry else {
        return Err(r#"must be an object: {"event": …} or {"status": …}"#.to_owned());
    };
    if let Some(key) = &entry.duplicate {
        return Err(format!("the key \"{}\" stands twice", shortened(key)));
    }
    let occupation = occupation(entry)?;
    if seen.insert(pc.clone()) {
        Ok((pc, occupation))
    } else {
        Err("stands twice, perhaps in other case".to_owned())
    }
}

fn occupation(entry: &Object) -> Result<Occupation, String> {
    let session = match text(entry, "session")? {
        None => None,
        Some("windows") => Some(System::Windows),
        Some("linux") => Some(System::Linux),
        Some(_) => return Err(r#""session" must be "windows" or "linux""#.to_owned()),
    };
    // Whoever logs on to a PC of unknown system is taken to be on Windows, as ever.
    let on = |of| Occupation::On(session.unwrap_or(System::Windows), of);
    match (text(entry, "event")?, session) {
        (Some("logon"), _) => return Ok(on(Use::Used)),
        (Some("logoff"), _) => return Ok(on(Use::Free)),
        (Some(_), _) => return Err(r#""event" must be "logon" or "logoff""#.to_owned()),
        (None, _) => {}
    }
    match (text(entry, "status")?, session) {
        (Some("free"), _) => Ok(on(Use::Free)),
        (Some("used"), _) => Ok(on(Use::Used)),
        (Some("offline"), _) => Ok(Occupation::Off),
        (Some("unknown"), Some(system)) => Ok(Occupation::On(system, Use::Unknown)),
        (Some("unknown"), None) => Ok(Occupation::Unknown),
        (Some(_), _) => Err(r#""status" must be "offline", "free", "used" or "unknown""#.to_owned()),
        (None, _) => Err(
            r#"needs an "event" ("logon", "logoff") or a "status" ("offline", "free", "used", "unknown")"#
                .to_owned(),
        ),
    }
}

fn text<'a>(entry: &'a Object, key: &str) -> Result<Option<&'a str>, String> {
    match entry.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("\"{key}\" must be a string")),
    }
}

/// What was sent is named in the answer, but not repeated at any length.
fn shortened(name: &str) -> String {
    const MOST: usize = 80;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    name.chars().take(MOST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(entry: &str) -> Result<&'static str, BadPush> {
        let body = format!(r#"{{"datasource":"t","data":{{"HG075PC47":{entry}}}}}"#);
        report(body.as_bytes()).map(|report| {
            assert_eq!(report.states[0].0.as_str(), "hg075pc47");
            report.states[0].1.code()
        })
    }

    #[test]
    fn every_event_status_and_session_gives_its_state() {
        let sessions = ["", r#","session":"windows""#, r#","session":"linux""#];
        let cases = [
            (r#""event":"logon""#, ["wu", "wu", "lu"]),
            (r#""event":"logoff""#, ["wf", "wf", "lf"]),
            (r#""status":"free""#, ["wf", "wf", "lf"]),
            (r#""status":"used""#, ["wu", "wu", "lu"]),
            (r#""status":"offline""#, ["o", "o", "o"]),
            (r#""status":"unknown""#, ["x", "wx", "lx"]),
            (r#""event":"logon","status":"offline""#, ["wu", "wu", "lu"]),
            (r#""event":"logoff","status":"nonsense""#, ["wf", "wf", "lf"]),
        ];
        for (fields, states) in cases {
            for (session, state) in sessions.iter().zip(states) {
                assert_eq!(one(&format!("{{{fields}{session}}}")), Ok(state), "{fields}{session}");
            }
        }
    }

    #[test]
    fn p6_every_bad_entry_is_named_with_why() {
        let body = r#"{"data":{"hg1pc1":{"status":"free"},"b@d":{"status":"free"},"hg1pc2":{"status":"f"},"hg1pc3":{},"hg1pc4":5,
            "HG1PC1":{"status":"used"},"hg1pc5":{"event":"logon","event":"logon"},"hg1pc6":{"status":"free","session":"mac"},"hg1pc7":{"event":null}}}"#;
        let bad = report(body.as_bytes()).unwrap_err();
        let named: Vec<_> = bad.entries.keys().map(String::as_str).collect();
        assert_eq!(named, ["HG1PC1", "b@d", "hg1pc2", "hg1pc3", "hg1pc4", "hg1pc5", "hg1pc6", "hg1pc7"]);
        assert!(
            bad.to_json().starts_with(r#"{"error":"nothing was applied: 8 entries are bad","entries":{"#)
        );
    }

    #[test]
    fn a_push_that_is_bad_as_a_whole_says_why() {
        for (body, why) in [
            ("", "the body is not JSON: EOF"),
            ("[]", "the body must be an object"),
            ("{}", "\"data\" is missing"),
            (r#"{"data":[]}"#, "\"data\" must be an object"),
            (r#"{"data":{},"datasource":5}"#, "\"datasource\" must be a string"),
            (r#"{"data":{},"datasource":""}"#, "\"datasource\" must be 1 to 64"),
            (r#"{"data":{},"data":{}}"#, "the key \"data\" stands twice"),
            (r#"{"data":{},"x":{"a":1,"a":2}}"#, "the key \"a\" stands twice"),
            (r#"{"data":{"\u0000":1}}"#, "the body is not JSON: a string holds a NUL"),
        ] {
            let bad = report(body.as_bytes()).unwrap_err();
            assert!(bad.error.starts_with(why), "{body}: {}", bad.error);
        }
    }

    #[test]
    fn a_push_may_be_empty_and_name_no_source() {
        let report = report(br#"{"data":{},"more":1}"#).unwrap();
        assert_eq!((report.source, report.states.len()), (Source::unknown(), 0));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = report(&bytes);
        }
    }
}
