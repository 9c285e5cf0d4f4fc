//! What a daemon said, kept in a file until it speaks again: its own messages, with whose they are and of which day.

use super::heard::{Message, messages};
use crate::core::message::Body;
use crate::wire::message::render;
use serde_json::Value;

/// What was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The address of the daemon.
    pub of: String,
    /// The day on which it was last heard, as `2026-11-23`.
    pub day: String,
    /// What it said.
    pub messages: Vec<Message>,
}

/// What `of` said on `day`, as it is kept.
pub fn keep(of: &str, day: &str, said: &[Body]) -> Vec<u8> {
    let said: Vec<Value> =
        said.iter().filter_map(|body| serde_json::from_slice(&render(body)).ok()).collect();
    serde_json::json!({"of": of, "day": day, "messages": said}).to_string().into_bytes()
}

/// Reads what was kept; none where it is something else.
pub fn kept(bytes: &[u8]) -> Option<Kept> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(bytes) else { return None };
    let mut text = |key| match fields.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (of, day) = (text("of")?, text("day")?);
    let Some(Value::Array(list)) = fields.remove("messages") else { return None };
    Some(Kept { of, day, messages: messages(list).messages })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::message::RoomEntry;
    use crate::core::room::RoomKey;
    use crate::core::version::Version;

    #[test]
    fn what_is_kept_is_read_as_it_was_said_and_nothing_else_is() {
        let key = RoomKey::parse("a").unwrap();
        let rooms = vec![RoomEntry { key, name: "\"A\"".into(), pcs: Vec::new() }];
        let said = [Body::RoomMap { version: Version(3), room_map: rooms.clone() }];
        let expected = Kept {
            of: "http://x/".into(),
            day: "2026-11-23".into(),
            messages: vec![Message::RoomMap { version: Version(3), rooms }],
        };
        let bytes = keep("http://x/", "2026-11-23", &said);
        assert_eq!(kept(&bytes), Some(expected));
        for end in 0..bytes.len() {
            assert_eq!(kept(&bytes[..end]), None, "{end}");
        }
        for text in ["", "[]", "{}", r#"{"of": 1, "day": "", "messages": []}"#, r#"{"of": "", "day": ""}"#] {
            assert_eq!(kept(text.as_bytes()), None, "{text}");
        }
    }
}
