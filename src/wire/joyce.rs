//! What clients send on a channel: protocol.md, "Channels" and "Messages of a client".

use super::json::{self, Object, Value};
use crate::core::message::HistoricRange;
use crate::core::poll::Ask;
use crate::core::tag::{FilterChange, Tag, TagFilter};
use crate::core::token::Token;

/// The most messages in one request: real clients send four.
pub const MAX_MESSAGES: usize = 32;

/// A request on a channel.
#[derive(Debug, PartialEq)]
pub struct Request {
    /// The channel it names; none: a new one is wanted.
    pub token: Option<Token>,
    /// What it asks, in order.
    pub asks: Vec<Ask>,
    /// How many of its messages were of no known type or form, and ignored (reliability.md C13).
    pub ignored: usize,
}

/// Why a request is answered with 400, in one plain line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// There is no `m`, or it is blank, or there twice.
    #[error("Missing argument m")]
    Missing,
    /// It is no JSON that we accept.
    #[error("Malformed JSON")]
    Malformed,
    /// It is JSON, but neither null nor a list.
    #[error("Message isn't list")]
    NoList,
    /// Its first element is neither null nor a token.
    #[error("Bad token: 1 to 64 characters of A-Z, a-z, 0-9, '+', '/', '=', '_' and '-'")]
    Token,
    /// It holds more messages than [`MAX_MESSAGES`].
    #[error("Too many messages: at most 32 in a request")]
    TooMany,
    /// Streams are not spoken, and the original took multipart bodies for those alone.
    #[error("Multipart bodies are not taken: send JSON, or a form field m")]
    Multipart,
    /// The callback is no name of a function.
    #[error("Bad callback: [A-Za-z_$][A-Za-z0-9_$.]{{0,127}}")]
    Callback,
}

/// Reads the JSON of a request: `null`, `[]`, or `[token, message, …]`, or `[token, [message, …]]`.
///
/// # Errors
/// When it is of none of these forms. Messages that are not understood are no error, but ignored.
pub fn request(json: &[u8]) -> Result<Request, BadRequest> {
    if let Some(token) = bare_token(json) {
        return Ok(Request { token: Some(token), asks: Vec::new(), ignored: 0 });
    }
    let elements = match json::parse(json).map_err(|_| BadRequest::Malformed)? {
        Value::Null => Vec::new(),
        Value::Array(elements) => elements,
        _ => return Err(BadRequest::NoList),
    };
    let mut elements = elements.into_iter();
    let token = match elements.next() {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(Token::parse(&text).map_err(|_| BadRequest::Token)?),
        Some(_) => return Err(BadRequest::Token),
    };
    let mut messages: Vec<Value> = elements.collect();
    if let [Value::Array(list)] = messages.as_mut_slice() {
        messages = std::mem::take(list);
    }
    if messages.len() > MAX_MESSAGES {
        return Err(BadRequest::TooMany);
    }
    let sent = messages.len();
    let asks: Vec<Ask> = messages.iter().filter_map(ask).collect();
    Ok(Request { token, ignored: sent - asks.len(), asks })
}

/// The token of a request that is nothing else, as nearly all are: those that come after an answer. No
/// character of a token means anything to JSON, so that what stands between the quotes is the text.
fn bare_token(json: &[u8]) -> Option<Token> {
    let text = json.strip_prefix(b"[\"")?.strip_suffix(b"\"]")?;
    Token::parse(str::from_utf8(text).ok()?).ok()
}

/// The name of a function that the reply is to call (JSONP).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback(Box<str>);

impl Callback {
    /// Takes `text` as a name: `[A-Za-z_$][A-Za-z0-9_$.]{0,127}` (reliability.md C8).
    ///
    /// # Errors
    /// When it is not of that form: anything else could be made to run in the page.
    pub fn parse(text: &str) -> Result<Callback, BadRequest> {
        let first = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b'$';
        let fits = text.len() <= 128
            && text.bytes().next().is_some_and(first)
            && text.bytes().all(|b| first(b) || b.is_ascii_digit() || b == b'.');
        if fits { Ok(Callback(text.into())) } else { Err(BadRequest::Callback) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message; none where it is of no known type, or a field of it is wrong.
fn ask(message: &Value) -> Option<Ask> {
    let Value::Object(message) = message else { return None };
    let Some(Value::String(kind)) = message.get("type") else { return None };
    if message.duplicate.is_some() {
        return None;
    }
    match kind.as_str() {
        "set_msgFilter" => Some(Ask::SetFilter(FilterChange {
            occupation: filter(message, "occupation"),
            room_map: filter(message, "roomMap"),
            schedule: filter(message, "schedule"),
        })),
        "get_occupation" => Some(Ask::Occupation),
        "get_roomMap" => Some(Ask::RoomMap),
        "get_schedule" => Some(Ask::Schedule),
        "get_tag_names" => Some(Ask::Tags),
        "get_tagMap" => Some(Ask::TagMap),
        "get_historic_updates" => {
            let offset = message.get("offset").map_or(Some(0), whole)?;
            let most = HistoricRange::MAX_COUNT;
            let count = message.get("count").map_or(Some(i128::from(most)), whole)?;
            Some(Ask::HistoricUpdates(HistoricRange {
                offset: u64::try_from(offset.clamp(0, i64::MAX.into())).unwrap_or_default(),
                count: u32::try_from(count.clamp(0, most.into())).unwrap_or_default(),
            }))
        }
        _ => None,
    }
}

/// A list of tags, or null; anything else leaves the filter as it is. What is no tag can be none of ours.
fn filter(message: &Object, key: &str) -> Option<TagFilter> {
    match message.get(key)? {
        Value::Null => Some(TagFilter::Everything),
        Value::Array(tags) => {
            let tags = tags.iter().filter_map(|tag| match tag {
                Value::String(text) => Tag::parse(text).ok(),
                _ => None,
            });
            Some(TagFilter::Tags(tags.collect()))
        }
        _ => None,
    }
}

/// A whole number in any of the forms that the original took: integers, digits in a string, numbers
/// with a fraction (cut), and truth values.
fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Float(number) => Some(number.trunc() as i128),
        Value::Bool(truth) => Some(i128::from(*truth)),
        Value::String(text) => {
            let text = text.trim();
            let (minus, digits) = match text.strip_prefix('-') {
                Some(digits) => (true, digits),
                None => (false, text.strip_prefix('+').unwrap_or(text)),
            };
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            // More digits than fit are clamped later anyway.
            let number = digits.parse().unwrap_or(i128::MAX);
            Some(if minus { -number } else { number })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asks(messages: &str) -> (Vec<Ask>, usize) {
        let request = request(format!("[null,{messages}]").as_bytes()).unwrap();
        (request.asks, request.ignored)
    }

    #[test]
    fn a_request_is_null_or_a_list_with_a_token_first() {
        let token = |text: &str| Some(Token::parse(text).unwrap());
        let cases: [(&str, Result<Option<Token>, BadRequest>); 21] = [
            ("null", Ok(None)),
            ("[]", Ok(None)),
            ("[null]", Ok(None)),
            (r#"["abc"]"#, Ok(token("abc"))),
            (r#"["LbF+31V/"]"#, Ok(token("LbF+31V/"))),
            (r#"[ "abc" ]"#, Ok(token("abc"))),
            (r#"["\u0061bc"]"#, Ok(token("abc"))),
            (r#"["abc\"]"#, Err(BadRequest::Malformed)),
            (r#"["a"]]"#, Err(BadRequest::Malformed)),
            (r#"["a b"]"#, Err(BadRequest::Token)),
            (r#"[""]"#, Err(BadRequest::Token)),
            ("[5]", Err(BadRequest::Token)),
            ("[true]", Err(BadRequest::Token)),
            ("[[]]", Err(BadRequest::Token)),
            ("[{}]", Err(BadRequest::Token)),
            ("{}", Err(BadRequest::NoList)),
            ("\"abc\"", Err(BadRequest::NoList)),
            ("7", Err(BadRequest::NoList)),
            ("true", Err(BadRequest::NoList)),
            ("[", Err(BadRequest::Malformed)),
            ("[] x", Err(BadRequest::Malformed)),
        ];
        for (json, token) in cases {
            assert_eq!(request(json.as_bytes()).map(|r| r.token), token, "{json}");
        }
    }

    #[test]
    fn messages_stand_flat_or_as_one_list() {
        let flat = asks(r#"{"type":"get_occupation"},{"type":"get_roomMap"}"#);
        let list = asks(r#"[{"type":"get_occupation"},{"type":"get_roomMap"}]"#);
        assert_eq!(flat, (vec![Ask::Occupation, Ask::RoomMap], 0));
        assert_eq!(flat, list);
    }

    #[test]
    fn all_seven_messages_are_understood() {
        let all = asks(
            r#"{"type":"set_msgFilter","occupation":null,"roomMap":["hg","hg","a b",1]},{"type":"get_occupation"},
               {"type":"get_roomMap"},{"type":"get_schedule"},{"type":"get_tag_names"},{"type":"get_tagMap"},
               {"type":"get_historic_updates","offset":3,"count":4}"#,
        );
        let filter = FilterChange {
            occupation: Some(TagFilter::Everything),
            room_map: Some(TagFilter::Tags([Tag::parse("hg").unwrap()].into())),
            schedule: None,
        };
        let range = HistoricRange { offset: 3, count: 4 };
        let asks = vec![
            Ask::SetFilter(filter),
            Ask::Occupation,
            Ask::RoomMap,
            Ask::Schedule,
            Ask::Tags,
            Ask::TagMap,
            Ask::HistoricUpdates(range),
        ];
        assert_eq!(all, (asks, 0));
    }

    #[test]
    fn c13_a_message_that_is_not_understood_is_ignored_and_counted() {
        for bad in [
            r#"{"type":"frobnicate"}"#,
            r#"{"type":"Get_Occupation"}"#,
            r#"{"type":[1]}"#,
            r#"{"foo":1}"#,
            "{}",
            "null",
            "5",
            "\"hello\"",
            "[]",
            r#"{"type":"get_roomMap","type":"get_occupation"}"#,
            r#"{"type":"get_historic_updates","offset":null}"#,
            r#"{"type":"get_historic_updates","offset":"abc"}"#,
            r#"{"type":"get_historic_updates","count":[]}"#,
        ] {
            assert_eq!(asks(&format!(r#"{bad},{{"type":"get_tag_names"}}"#)), (vec![Ask::Tags], 1), "{bad}");
        }
        for unchanged in [r#""hg""#, "5", "{}", "true"] {
            let message = format!(r#"{{"type":"set_msgFilter","occupation":{unchanged}}}"#);
            assert_eq!(asks(&message), (vec![Ask::SetFilter(FilterChange::default())], 0), "{unchanged}");
        }
    }

    #[test]
    fn c13_a_request_holds_a_bounded_number_of_messages() {
        let messages = |n: usize| format!("[null{}]", r#",{"type":"get_tag_names"}"#.repeat(n));
        assert_eq!(request(messages(32).as_bytes()).unwrap().asks.len(), 32);
        assert_eq!(request(messages(33).as_bytes()), Err(BadRequest::TooMany));
    }

    #[test]
    fn c14_offset_and_count_are_clamped() {
        let cases = [
            ("", (0, 1000)),
            (r#","offset":-5,"count":2"#, (0, 2)),
            (r#","offset":0,"count":-1"#, (0, 0)),
            (r#","count":1001"#, (0, 1000)),
            (r#","count":1000000000000000000000000000000"#, (0, 1000)),
            (r#","offset":"1","count":"2""#, (1, 2)),
            (r#","offset":" 1 ","count":"+2""#, (1, 2)),
            (r#","offset":1.9,"count":2.9"#, (1, 2)),
            (r#","offset":-1.9"#, (0, 1000)),
            (r#","offset":1e300"#, (i64::MAX as u64, 1000)),
            (r#","offset":9223372036854775808"#, (i64::MAX as u64, 1000)),
            (r#","offset":"99999999999999999999999999999999999999999""#, (i64::MAX as u64, 1000)),
            (r#","offset":true,"count":false"#, (1, 0)),
        ];
        for (fields, (offset, count)) in cases {
            let (asks, ignored) = asks(&format!(r#"{{"type":"get_historic_updates"{fields}}}"#));
            assert_eq!(asks, vec![Ask::HistoricUpdates(HistoricRange { offset, count })], "{fields}");
            assert_eq!(ignored, 0);
        }
    }

    #[test]
    fn c8_a_callback_is_the_name_of_a_function() {
        for name in ["cb", "jQuery17109_1", "$", "_a.b.c", &"a".repeat(128)] {
            assert!(Callback::parse(name).is_ok(), "{name}");
        }
        for name in
            ["", "1a", ".a", "a b", "alert(1)//<script>", "a\r\nb", "a[0]", "\u{e9}", &"a".repeat(129)]
        {
            assert_eq!(Callback::parse(name), Err(BadRequest::Callback), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = request(&bytes);
        }
    }
}
