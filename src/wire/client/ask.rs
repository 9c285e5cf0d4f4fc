//! What a client asks.

use crate::core::message::HistoricRange;
use crate::core::tag::{FilterChange, Tag, TagFilter};
use crate::core::token::Token;
use serde_json::{Value, json};

/// One message to a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Hear of other rooms from now on. It has no answer.
    Filter(FilterChange),
    /// The states of all PCs of the filter.
    Occupation,
    /// The rooms of the filter and the PCs in them.
    RoomMap,
    /// What is reserved today in the rooms of the filter.
    Schedule,
    /// The names of all tags.
    TagNames,
    /// All tags and the rooms that carry them. The original daemon never answers it.
    TagMap,
    /// A part of the history.
    History(HistoricRange),
}

/// The body of a request: without a token it asks for a new channel.
pub fn request(token: Option<&Token>, asks: &[Ask]) -> Vec<u8> {
    let mut list = vec![token.map_or(Value::Null, |token| token.as_str().into())];
    list.extend(asks.iter().map(value));
    Value::Array(list).to_string().into_bytes()
}

fn value(ask: &Ask) -> Value {
    match ask {
        Ask::Filter(change) => {
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
        Ask::TagNames => json!({"type": "get_tag_names"}),
        Ask::TagMap => json!({"type": "get_tagMap"}),
        Ask::History(range) => {
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
                vec![Ask::Filter(change), Ask::RoomMap],
                r#"["LbF+31V/",{"type":"set_msgFilter","occupation":null,"roomMap":["hg"]},{"type":"get_roomMap"}]"#,
            ),
            (
                None,
                vec![Ask::Occupation, Ask::Schedule, Ask::TagNames, Ask::TagMap],
                r#"[null,{"type":"get_occupation"},{"type":"get_schedule"},{"type":"get_tag_names"},{"type":"get_tagMap"}]"#,
            ),
            (
                None,
                vec![Ask::History(HistoricRange { offset: 7, count: 1000 })],
                r#"[null,{"type":"get_historic_updates","offset":7,"count":1000}]"#,
            ),
        ];
        for (token, asks, expected) in cases {
            let body: Value = serde_json::from_slice(&request(token, &asks)).unwrap();
            assert_eq!(body, serde_json::from_str::<Value>(expected).unwrap());
        }
    }
}
