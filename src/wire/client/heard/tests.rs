//! Replies as servers send them, bent ones, and garbage.

use super::*;
use crate::core::pc::{System, Use};
use proptest::prelude::*;

fn pc(name: &str) -> PcName {
    PcName::parse(name).unwrap()
}

fn room(key: &str) -> RoomKey {
    RoomKey::parse(key).unwrap()
}

#[test]
fn every_message_of_the_protocol_is_read() {
    const FREE: Occupation = Occupation::On(System::Linux, Use::Free);
    let time = |h, m| TimeOfDay::new(h, m).unwrap();
    let hg = Tag::parse("hg").unwrap();
    let cases = [
        (r#"{"type": "welcome", "protocols": [1]}"#, Message::Welcome),
        (
            r#"{"version": 0, "type": "tags", "tags": ["hg"]}"#,
            Message::Tags { version: Version(0), tags: vec![hg.clone()] },
        ),
        (
            r#"{"type": "tagMap", "version": 2, "tagMap": {"hg": ["hg075"]}}"#,
            Message::TagMap { version: Version(2), tags: [(hg, vec![room("hg075")])].into() },
        ),
        (
            r#"{"type": "occupation", "version": 3, "occupation": {"HG075pc1": "lf"}}"#,
            Message::Occupation { version: Version(3), states: vec![(pc("hg075pc1"), FREE)] },
        ),
        (
            r#"{"type": "occupation_update", "version": 4, "update": {"hg075pc1": "o"}}"#,
            Message::Update { version: Version(4), states: vec![(pc("hg075pc1"), Occupation::Off)] },
        ),
        (
            r#"{"type": "roomMap", "version": 5, "roomMap": {"hg075": ["HG00.075", ["hg075pc1"]]}}"#,
            Message::RoomMap {
                version: Version(5),
                rooms: vec![RoomEntry {
                    key: room("hg075"),
                    name: "HG00.075".into(),
                    pcs: vec![pc("hg075pc1")],
                }],
            },
        ),
        (
            r#"{"type": "schedule", "version": 6, "schedule": {"hg075": [[[10, 45], [12, 30], "Analyse"]]}}"#,
            Message::Schedule {
                version: Version(6),
                rooms: vec![(
                    room("hg075"),
                    vec![Reservation { start: time(10, 45), end: time(12, 30), text: "Analyse".into() }],
                )],
            },
        ),
        (
            r#"{"type": "historic_updates", "offset": 0, "count": 2, "updates": [["pc1", "s", 1300000000, "lf"]]}"#,
            Message::History {
                offset: 0,
                count: 2,
                rows: vec![HistoricRow { pc: pc("pc1"), source: "s".into(), at: 1_300_000_000, state: FREE }],
            },
        ),
    ];
    for (text, expected) in cases {
        let read = reply(format!(r#"["LbF+31V/", [{text}], []]"#).as_bytes()).unwrap();
        assert_eq!(read.messages, [expected]);
        assert_eq!((read.bad_entries, read.bad_messages), (0, 0), "{text}");
        assert_eq!(read.token.as_str(), "LbF+31V/");
    }
}

#[test]
fn what_does_not_read_is_counted_and_its_siblings_are_kept() {
    // Each with the messages that are read, the bad entries and the bad messages.
    let cases = [
        (r#"[{"type": "from the future"}, {"type": "welcome"}]"#, 1, 0, 0),
        (r#"[7, null, {}, {"type": 1}, {"type": "welcome"}]"#, 1, 0, 4),
        (r#"[{"type": "occupation", "occupation": {}}]"#, 0, 0, 1),
        (r#"[{"type": "occupation", "version": -1, "occupation": {}}]"#, 0, 0, 1),
        (r#"[{"type": "occupation", "version": 1, "occupation": []}]"#, 0, 0, 1),
        (
            r#"[{"type": "occupation", "version": 1, "occupation": {"a": "wo", "b c": "o", "d": "o", "e": 1}}]"#,
            1,
            3,
            0,
        ),
        (
            r#"[{"type": "roomMap", "version": 1, "roomMap": {"A": ["x", []], "b": ["x"], "c": ["x", [1, "d"]]}}]"#,
            1,
            3,
            0,
        ),
        (
            r#"[{"type": "schedule", "version": 1, "schedule": {"a": [[[25, 0], [9, 9], "x"], [[8, 0], [9, 9], 3]], "b": 1}}]"#,
            1,
            3,
            0,
        ),
        (r#"[{"type": "tags", "version": 1, "tags": ["<b>", "hg"]}]"#, 1, 1, 0),
        (
            r#"[{"type": "historic_updates", "offset": 0, "count": 1, "updates": [[], ["a", "b", 1.5, "o"]]}]"#,
            1,
            2,
            0,
        ),
    ];
    for (list, messages, bad_entries, bad_messages) in cases {
        let read = reply(format!(r#"["t", {list}, []]"#).as_bytes()).unwrap();
        let counted = (read.messages.len(), read.bad_entries, read.bad_messages);
        assert_eq!(counted, (messages, bad_entries, bad_messages), "{list}");
    }
}

#[test]
fn what_is_no_reply_is_an_error() {
    let deep = "[".repeat(10_000);
    let cases = [
        ("", BadReply::NotJson),
        ("<html>", BadReply::NotJson),
        (&deep, BadReply::NotJson),
        ("null", BadReply::NotAReply),
        ("[]", BadReply::NotAReply),
        (r#"["t"]"#, BadReply::NotAReply),
        (r#"["t", {}]"#, BadReply::NotAReply),
        (r#"[null, []]"#, BadReply::NotAReply),
        (r#"["bad token", []]"#, BadReply::NotAReply),
    ];
    for (body, expected) in cases {
        assert_eq!(reply(body.as_bytes()), Err(expected), "{body:.20}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("type".to_owned()),
        Just("version".to_owned()),
        Just("occupation".to_owned()),
        Just("update".to_owned()),
        Just("occupation_update".to_owned()),
        Just("roomMap".to_owned()),
        Just("schedule".to_owned()),
        Just("tagMap".to_owned()),
        Just("tags".to_owned()),
        Just("historic_updates".to_owned()),
        Just("lf".to_owned()),
        ".{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((word.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_are_a_panic(body in proptest::collection::vec(any::<u8>(), 0..500)) {
        let _ = reply(&body);
    }

    #[test]
    fn no_json_is_a_panic(messages in proptest::collection::vec(any_json(), 0..6)) {
        let read = reply(serde_json::json!(["t", messages, []]).to_string().as_bytes()).unwrap();
        prop_assert!(read.messages.len() + read.bad_messages <= messages.len());
    }
}
