//! How each server is asked and told: the requests, and what an answer must hold.
//!
//! To all of them an update has the same bytes, those of the daemon's own answer; only who puts them together differs.

use super::answer::{Answer, header, number};
use super::orders::Filters;
use memchr::memmem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Dialect {
    /// The daemon: channels with tokens and filters, and pushes of states.
    Joyce,
    /// One channel, in which a client says by two headers where it is.
    Nchan,
    /// A server that only knows connections: the floor, and plain hyper.
    Plain,
}

impl Dialect {
    /// The first request of a subscriber, which is answered at once.
    pub(super) fn enter(self, room: Option<usize>) -> Vec<u8> {
        match self {
            Dialect::Joyce => {
                let filter = room.map_or_else(|| "null".to_owned(), |room| format!("[\"{}\"]", tag(room)));
                joyce(&format!("[null,{{\"type\":\"set_msgFilter\",\"occupation\":{filter}}}]"))
            }
            Dialect::Nchan => get("/subscribe", ""),
            Dialect::Plain => ask_as(TOKEN),
        }
    }

    /// Puts the next request of a subscriber into `ask`, after its first answer or (`is_first` unset) a later one.
    ///
    /// # Errors
    /// When the answer does not say how to ask on.
    pub(super) fn ask_on(
        self,
        answer: &Answer<'_>,
        is_first: bool,
        ask: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        match self {
            Dialect::Joyce if is_first => *ask = ask_as(token(answer.body).ok_or("no token")?),
            Dialect::Plain if is_first => *ask = ask_as(TOKEN),
            Dialect::Joyce | Dialect::Plain => {}
            Dialect::Nchan => {
                let modified = header(answer.head, b"last-modified").ok_or("no Last-Modified")?;
                let tag = header(answer.head, b"etag").ok_or("no Etag")?;
                ask.clear();
                let parts: [&[u8]; 5] =
                    [NCHAN, b"If-Modified-Since: ", modified, b"\r\nIf-None-Match: ", tag];
                parts.iter().for_each(|part| ask.extend_from_slice(part));
                ask.extend_from_slice(b"\r\n\r\n");
            }
        }
        Ok(())
    }

    /// The publish of a round: a state for one PC in each room.
    pub(super) fn publish(self, round: u64, rooms: usize) -> Vec<u8> {
        match self {
            Dialect::Joyce => push(0..rooms, round),
            Dialect::Nchan => post("/publish", &update(round)),
            Dialect::Plain => post("/", &update(round)),
        }
    }
}

/// A push of the state of `round` for one PC in each of these rooms.
pub(super) fn push(rooms: impl Iterator<Item = usize>, round: u64) -> Vec<u8> {
    let (status, session, _) = state(round);
    let mut data = String::new();
    for room in rooms {
        let comma = if data.is_empty() { "" } else { "," };
        let pc = pc(room);
        // Writing to a string cannot fail.
        let _ = write!(data, "{comma}\"{pc}\":{{\"status\":\"{status}\",\"session\":\"{session}\"}}");
    }
    post("/push", &format!("{{\"datasource\":\"campus\",\"data\":{{{data}}}}}"))
}

/// What round 0 is for one PC, as the body of a push.
pub(crate) const FIRST_STATE: &str =
    "{\"datasource\":\"campus\",\"data\":{\"r0000pc1\":{\"status\":\"used\",\"session\":\"windows\"}}}";

/// A publish to Nchan, of what the daemon would make of a push.
pub(super) fn publish_to_nchan(round: u64) -> Vec<u8> {
    Dialect::Nchan.publish(round, 1)
}

/// Finds the version of an update in the body of an answer.
pub(super) struct Reader(memmem::Finder<'static>);

impl Reader {
    /// One that can be used again and again.
    pub(super) fn new() -> Reader {
        Reader(memmem::Finder::new(b"\"version\":"))
    }

    /// The version of an update, and what follows it.
    pub(super) fn read<'a>(&self, body: &'a [u8]) -> Option<(u64, &'a [u8])> {
        let from = self.0.find(body)? + self.0.needle().len();
        let rest = body.get(from..)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        Some((number(rest)?, rest.get(digits..)?))
    }
}

/// What follows the version in the update of a round, to the subscribers of a room.
pub(super) fn after_version(round: u64, room: usize) -> Vec<u8> {
    let (_, _, code) = state(round);
    format!(",\"update\":{{\"{}\":\"{code}\"}}}}],[]]", pc(room)).into_bytes()
}

/// Whether the body is an answer to whom this request is from.
pub(super) fn is_for(ask: &[u8], body: &[u8]) -> bool {
    token(body).is_some_and(|token| memmem::find(ask, token).is_some())
}

/// The rooms that a round changes.
pub(super) fn rooms(filters: Filters) -> usize {
    match filters {
        Filters::Everything => 1,
        Filters::Rooms(rooms) => rooms,
    }
}

/// The tag of a room; no other room has it.
pub(crate) fn tag(room: usize) -> String {
    format!("t{room:04}")
}

/// The key of a room.
pub(crate) fn room_key(room: usize) -> String {
    format!("r{room:04}")
}

fn pc(room: usize) -> String {
    format!("{}pc1", room_key(room))
}

/// The state of a round: it differs from that of the round before.
fn state(round: u64) -> (&'static str, &'static str, &'static str) {
    match round % 4 {
        0 => ("used", "windows", "wu"),
        1 => ("free", "windows", "wf"),
        2 => ("used", "linux", "lu"),
        _ => ("free", "linux", "lf"),
    }
}

/// As long as the daemon's own tokens.
const TOKEN: &[u8] = b"0123456789abcdefghijkl";

/// The answer that tells the update of a round, as the daemon would put it.
fn update(round: u64) -> String {
    let token = String::from_utf8_lossy(TOKEN);
    let rest = after_version(round, 0);
    let rest = String::from_utf8_lossy(&rest);
    format!("[\"{token}\",[{{\"type\":\"occupation_update\",\"version\":{round}{rest}")
}

/// The token that an answer of the daemon begins with.
fn token(body: &[u8]) -> Option<&[u8]> {
    let rest = body.strip_prefix(b"[\"")?;
    rest.get(..memchr::memchr(b'"', rest)?)
}

fn ask_as(token: &[u8]) -> Vec<u8> {
    joyce(&format!("[\"{}\"]", String::from_utf8_lossy(token)))
}

/// A request with these messages.
pub(super) fn joyce(m: &str) -> Vec<u8> {
    get(&joyce_target(m), "")
}

/// What a URL cannot have as it stands; what a token of the daemon's may have (`-` and `_`) it can.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The target of a request with these messages.
pub(crate) fn joyce_target(m: &str) -> String {
    format!("/?m={}", utf8_percent_encode(m, RESERVED))
}

/// The beginning of every request to Nchan but the first.
const NCHAN: &[u8] = b"GET /subscribe HTTP/1.1\r\nHost: 127.0.0.1\r\n";

fn get(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n").into_bytes()
}

/// A request with a body.
pub(super) fn post(target: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}
