//! What a client asks.

use crate::core::poll::Ask;
use crate::core::tag::{Tag, TagFilter};
use crate::core::token::Token;
use serde_json::{Value, json};

/// The body of a request: without a token it asks for a new channel. (The original daemon never answers
/// `get_tagMap`.)
pub fn request(token: Option<&Token>, asks: &[Ask]) -> Vec<u8> {
    let mut list = vec![token.map_or(Value::Null, |token| token.as_str().into())];
    list.extend(asks.iter().map(value));
    Value::Array(list).to_string().into_bytes()
}

fn value(ask: &Ask) -> Value {
    match ask {
        Ask::SetFilter(change) => {
            let mut message = json!({"type": "set_msgFilter"});
            let filters = [
                ("occupation", &change.occupation),
                ("roomMap", &change.room_map),
                ("schedule", &change.schedule),
            ];
            for (key, filter) in filters {
                // A missing key leaves that filter as it is.
                if let Some(filter) = filter {
                    message[key] = tags(filter);
                }
            }
            message
        }
        Ask::Occupation => json!({"type": "get_occupation"}),
        Ask::RoomMap => json!({"type": "get_roomMap"}),
        Ask::Schedule => json!({"type": "get_schedule"}),
        Ask::Tags => json!({"type": "get_tag_names"}),
        Ask::TagMap => json!({"type": "get_tagMap"}),
        Ask::HistoricUpdates(range) => {
            json!({"type": "get_historic_updates", "offset": range.offset, "count": range.count})
        }
    }
}

fn tags(filter: &TagFilter) -> Value {
    match filter {
        TagFilter::Everything => Value::Null,
        TagFilter::Tags(tags) => tags.iter().map(Tag::as_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::message::HistoricRange;
    use crate::core::tag::FilterChange;

    #[test]
    fn a_request_reads_as_the_protocol_says() {
        let token = Token::parse("LbF+31V/").unwrap();
        let hg = TagFilter::Tags([Tag::parse("hg").unwrap()].into());
        let change =
            FilterChange { occupation: Some(TagFilter::Everything), room_map: Some(hg), schedule: None };
        let cases: [(Option<&Token>, Vec<Ask>, &str); 5] = [
            (None, vec![], r#"[null]"#),
            (Some(&token), vec![], r#"["LbF+31V/"]"#),
            (
                Some(&token),
                vec![Ask::SetFilter(change), Ask::RoomMap],
                r#"["LbF+31V/",{"type":"set_msgFilter","occupation":null,"roomMap":["hg"]},{"type":"get_roomMap"}]"#,
            ),
            (
                None,
                vec![Ask::Occupation, Ask::Schedule, Ask::Tags, Ask::TagMap],
                r#"[null,{"type":"get_occupation"},{"type":"get_schedule"},{"type":"get_tag_names"},{"type":"get_tagMap"}]"#,
            ),
            (
                None,
                vec![Ask::HistoricUpdates(HistoricRange { offset: 7, count: 1000 })],
                r#"[null,{"type":"get_historic_updates","offset":7,"count":1000}]"#,
            ),
        ];
        for (token, asks, expected) in cases {
            let body: Value = serde_json::from_slice(&request(token, &asks)).unwrap();
            assert_eq!(body, serde_json::from_str::<Value>(expected).unwrap());
        }
    }
}
