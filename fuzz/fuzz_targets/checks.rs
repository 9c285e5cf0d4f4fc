//! What must hold for any bytes, one function a fuzz target. Also called by `tests/corpus.rs`, so that
//! targets and seeds stay alive without a fuzzer.

// Each target takes the part it needs.
#![allow(dead_code)]

use serde_json::Value as Theirs;
use std::collections::HashSet;
use tkbd::core::message::HistoricRange;
use tkbd::core::poll::Ask;
use tkbd::core::token::Token;
use tkbd::wire::joyce::{self, Callback, MAX_MESSAGES};
use tkbd::wire::json::{self, Value as Ours};
use tkbd::wire::message::Envelope;
use tkbd::wire::{client, push, query};

/// A request, from a body or out of a query, is refused or within its bounds; and what is said back is
/// JSON, whatever the token.
pub(crate) fn joyce_request(bytes: &[u8]) {
    request(bytes);
    if let Ok(Some(m)) = query::single(bytes, "m") {
        assert!(!m.is_empty(), "a blank value is none");
        request(m.as_bytes());
    }
    if let Ok(Some(name)) = query::single(bytes, "c")
        && let Ok(callback) = Callback::parse(&name)
    {
        let name = callback.as_str();
        assert!(!name.is_empty() && name.len() <= 128, "a callback is bounded");
        let harmless = |b: u8| b.is_ascii_alphanumeric() || b"_$.".contains(&b);
        assert!(name.bytes().all(harmless), "a callback is a name, and can be nothing else in a script");
    }
}

fn request(json: &[u8]) {
    let Ok(request) = joyce::request(json) else { return };
    assert!(request.asks.len() + request.ignored <= MAX_MESSAGES, "messages are bounded");
    for ask in &request.asks {
        if let Ask::HistoricUpdates(HistoricRange { offset, count }) = ask {
            assert!(*offset <= i64::MAX as u64 && *count <= HistoricRange::MAX_COUNT, "a range is bounded");
        }
    }
    if let Some(token) = request.token {
        assert_eq!(Token::parse(token.as_str()).as_ref(), Ok(&token), "a token is read as it is written");
        let envelope = Envelope { token: &token, callback: None };
        let mut reply = Vec::new();
        envelope.open(&mut reply);
        reply.extend_from_slice(envelope.close().as_bytes());
        let reply: Theirs = serde_json::from_slice(&reply).expect("a reply is JSON");
        assert_eq!(reply[0], token.as_str());
    }
}

/// A push is refused with an answer that is JSON, or names each PC once, in lower case.
pub(crate) fn push_report(bytes: &[u8]) {
    match push::report(bytes) {
        Ok(report) => {
            let mut names = HashSet::new();
            for (name, _) in &report.states {
                assert_eq!(name.as_str(), name.as_str().to_lowercase());
                assert!(names.insert(name), "a name comes once");
            }
        }
        Err(bad) => {
            let answer: Theirs = serde_json::from_str(&bad.to_json()).expect("an answer is JSON");
            assert!(answer["error"].is_string());
        }
    }
}

/// What a server says, whatever it is, is refused or read; names are names. What it says of a push that it
/// refuses is text, whatever it is.
pub(crate) fn wire_client(bytes: &[u8]) {
    if let Ok(reply) = client::reply(bytes) {
        assert_eq!(Token::parse(reply.token.as_str()).as_ref(), Ok(&reply.token));
    }
    let _ = client::refusal(bytes);
}

/// Whatever we accept, a general reader accepts too and understands alike.
pub(crate) fn json(bytes: &[u8]) {
    let Ok(ours) = json::parse(bytes) else { return };
    let theirs: Theirs = serde_json::from_slice(bytes).expect("we accept no more than JSON");
    // Of keys that come twice a general reader keeps one; that is why ours tells of them.
    if !has_duplicate(&ours) {
        same(&ours, &theirs);
    }
}

fn has_duplicate(value: &Ours) -> bool {
    match value {
        Ours::Object(object) => object.duplicate.is_some(),
        Ours::Array(values) => values.iter().any(has_duplicate),
        _ => false,
    }
}

fn same(ours: &Ours, theirs: &Theirs) {
    match (ours, theirs) {
        (Ours::Null, Theirs::Null) => {}
        (Ours::Bool(a), Theirs::Bool(b)) => assert_eq!(a, b),
        (Ours::Integer(a), Theirs::Number(b)) => assert_eq!(Some(*a), b.as_i128()),
        (Ours::Float(a), Theirs::Number(b)) => assert_eq!(Some(*a), b.as_f64()),
        (Ours::String(a), Theirs::String(b)) => assert_eq!(a, b),
        (Ours::Array(a), Theirs::Array(b)) => {
            assert_eq!(a.len(), b.len());
            a.iter().zip(b).for_each(|(a, b)| same(a, b));
        }
        (Ours::Object(a), Theirs::Object(b)) => {
            assert_eq!(a.entries.len(), b.len());
            a.entries.iter().for_each(|(key, value)| same(value, &b[key]));
        }
        _ => panic!("{ours:?} is read as {theirs:?}"),
    }
}
