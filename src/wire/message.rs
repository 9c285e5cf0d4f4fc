//! What the server tells, as bytes: protocol.md, "Messages of the server".

use super::joyce::Callback;
use crate::core::message::{Body, HistoricRange, HistoricUpdate, RoomEntry};
use crate::core::pc::{Occupation, PcName};
use crate::core::room::RoomKey;
use crate::core::schedule::Reservation;
use crate::core::tag::Tag;
use crate::core::token::Token;
use bytes::Bytes;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use std::io;

/// The versions of the protocol that are spoken.
const PROTOCOLS: [u32; 1] = [1];

/// The message as JSON. A part of the history is rendered by [`historic_updates`] instead, since its
/// rows are read only when it is handed over; here it has none.
pub fn render(body: &Body) -> Bytes {
    match body {
        Body::Welcome => json(&Tagged { kind: "welcome", fields: Welcome { protocols: PROTOCOLS } }),
        Body::Tags { version, tags } => {
            let tags = tags.iter().map(Tag::as_str).collect();
            json(&Tagged { kind: "tags", fields: Tags { version: version.0, tags } })
        }
        Body::TagMap { version, tag_map } => json(&Tagged {
            kind: "tagMap",
            fields: TagMap { version: version.0, tag_map: Map(tag_map, tag_rooms) },
        }),
        Body::Occupation { version, occupation } => json(&Tagged {
            kind: "occupation",
            fields: Whole { version: version.0, occupation: Map(occupation, pc_state) },
        }),
        Body::OccupationUpdate { version, update } => json(&Tagged {
            kind: "occupation_update",
            fields: Update { version: version.0, update: Map(update, pc_state) },
        }),
        Body::RoomMap { version, room_map } => json(&Tagged {
            kind: "roomMap",
            fields: RoomMap { version: version.0, room_map: Map(room_map, room) },
        }),
        Body::Schedule { version, schedule } => json(&Tagged {
            kind: "schedule",
            fields: Schedule { version: version.0, schedule: Map(schedule, reservations) },
        }),
        Body::HistoricUpdates(range) => historic_updates(*range, &[]),
    }
}

/// A part of the history, with its rows.
pub fn historic_updates(range: HistoricRange, updates: &[HistoricUpdate]) -> Bytes {
    let updates = updates
        .iter()
        .map(|update| (update.pc.as_str(), update.source.as_str(), update.at.0, update.occupation.code()))
        .collect();
    let fields = Historic { offset: range.offset, count: range.count, updates };
    json(&Tagged { kind: "historic_updates", fields })
}

/// What stands around the messages of a reply: `[token,[` … `],[]]`, in the callback if there is one.
/// Between messages stands a comma.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The channel's.
    pub token: &'a Token,
    /// The function that the client wants a call of.
    pub callback: Option<&'a Callback>,
}

impl Envelope<'_> {
    /// The length of both its parts, in bytes.
    pub fn length(&self) -> usize {
        let call = self.callback.map_or(0, |callback| "/**/(".len() + callback.as_str().len());
        call + "[\"\",[".len() + self.token.as_str().len() + self.close().len()
    }

    /// Adds what stands before the messages.
    pub fn open(&self, out: &mut Vec<u8>) {
        let mut add = |text: &str| out.extend_from_slice(text.as_bytes());
        if let Some(callback) = self.callback {
            add("/**/");
            add(callback.as_str());
            add("(");
        }
        add("[\"");
        add(self.token.as_str());
        add("\",[");
    }

    /// What stands behind them.
    pub fn close(&self) -> &'static str {
        if self.callback.is_some() { "],[]]);" } else { "],[]]" }
    }
}

#[derive(Serialize)]
struct Tagged<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    fields: T,
}

#[derive(Serialize)]
struct Welcome {
    protocols: [u32; 1],
}

#[derive(Serialize)]
struct Tags<'a> {
    version: u64,
    tags: Vec<&'a str>,
}

#[derive(Serialize)]
struct TagMap<'a> {
    version: u64,
    #[serde(rename = "tagMap")]
    tag_map: Map<'a, (Tag, Vec<RoomKey>), Vec<&'a str>>,
}

#[derive(Serialize)]
struct Whole<'a> {
    version: u64,
    occupation: Map<'a, (PcName, Occupation), &'static str>,
}

#[derive(Serialize)]
struct Update<'a> {
    version: u64,
    update: Map<'a, (PcName, Occupation), &'static str>,
}

#[derive(Serialize)]
struct RoomMap<'a> {
    version: u64,
    #[serde(rename = "roomMap")]
    room_map: Map<'a, RoomEntry, (&'a str, Vec<&'a str>)>,
}

#[derive(Serialize)]
struct Schedule<'a> {
    version: u64,
    schedule: Map<'a, (RoomKey, Vec<Reservation>), Reservations<'a>>,
}

#[derive(Serialize)]
struct Historic<'a> {
    offset: u64,
    count: u32,
    updates: Vec<(&'a str, &'a str, i64, &'static str)>,
}

fn pc_state((name, state): &(PcName, Occupation)) -> (&str, &'static str) {
    (name.as_str(), state.code())
}

fn tag_rooms((tag, rooms): &(Tag, Vec<RoomKey>)) -> (&str, Vec<&str>) {
    (tag.as_str(), rooms.iter().map(RoomKey::as_str).collect())
}

fn room(entry: &RoomEntry) -> (&str, (&str, Vec<&str>)) {
    (entry.key.as_str(), (entry.name.as_str(), entry.pcs.iter().map(PcName::as_str).collect()))
}

fn reservations((room, reservations): &(RoomKey, Vec<Reservation>)) -> (&str, Reservations<'_>) {
    (room.as_str(), Reservations(reservations))
}

/// `[[h, m], [h, m], text]` each.
struct Reservations<'a>(&'a [Reservation]);

impl Serialize for Reservations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        for Reservation { start, end, text } in self.0 {
            seq.serialize_element(&([start.hour, start.minute], [end.hour, end.minute], text))?;
        }
        seq.end()
    }
}

/// A list that is a map on the wire: what each element's key and value is.
struct Map<'a, T, V>(&'a [T], fn(&'a T) -> (&'a str, V));

impl<T, V: Serialize> Serialize for Map<'_, T, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0.iter().map(self.1) {
            map.serialize_entry(key, &value)?;
        }
        map.end()
    }
}

fn json(value: &impl Serialize) -> Bytes {
    let mut out = Vec::with_capacity(128);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, InScripts);
    // Writing to memory cannot fail, and no map here has a key that is no string.
    match value.serialize(&mut serializer) {
        Ok(()) => out.into(),
        Err(_) => Bytes::from_static(b"null"),
    }
}

/// JSON that is also harmless inside a script: `<` could open a tag, and U+2028 and U+2029 end a line
/// there (reliability.md C8). Escaped everywhere, so that both transports share the same bytes.
struct InScripts;

impl serde_json::ser::Formatter for InScripts {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let special = |c: char| matches!(c, '<' | '\u{2028}' | '\u{2029}');
        let mut rest = fragment;
        while let Some(at) = rest.find(special) {
            let (plain, from) = rest.split_at(at);
            let mut chars = from.chars();
            let code = chars.next().map_or(0, u32::from);
            write!(writer, "{plain}\\u{code:04x}")?;
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::schedule::TimeOfDay;
    use crate::core::source::Timestamp;
    use crate::core::version::Version;

    fn pc(name: &str) -> PcName {
        PcName::parse(name).unwrap()
    }

    fn key(text: &str) -> RoomKey {
        RoomKey::parse(text).unwrap()
    }

    #[test]
    fn each_of_the_eight_messages_has_its_form() {
        let time = |h, m| TimeOfDay::new(h, m).unwrap();
        let version = Version(7);
        let states =
            vec![(pc("hg075pc01"), Occupation::from_code("lf").unwrap()), (pc("a"), Occupation::Off)];
        let reservation = Reservation { start: time(8, 45), end: time(10, 30), text: "Calculus".into() };
        let cases = [
            (Body::Welcome, r#"{"type":"welcome","protocols":[1]}"#),
            (
                Body::Tags { version, tags: vec![Tag::parse("hg").unwrap()] },
                r#"{"type":"tags","version":7,"tags":["hg"]}"#,
            ),
            (
                Body::TagMap {
                    version,
                    tag_map: vec![(Tag::parse("hg").unwrap(), vec![key("hg075"), key("hgbib")])],
                },
                r#"{"type":"tagMap","version":7,"tagMap":{"hg":["hg075","hgbib"]}}"#,
            ),
            (
                Body::Occupation { version, occupation: states.clone() },
                r#"{"type":"occupation","version":7,"occupation":{"hg075pc01":"lf","a":"o"}}"#,
            ),
            (
                Body::OccupationUpdate { version, update: states },
                r#"{"type":"occupation_update","version":7,"update":{"hg075pc01":"lf","a":"o"}}"#,
            ),
            (
                Body::RoomMap {
                    version,
                    room_map: vec![RoomEntry {
                        key: key("hg075"),
                        name: "HG00.075".into(),
                        pcs: vec![pc("a")],
                    }],
                },
                r#"{"type":"roomMap","version":7,"roomMap":{"hg075":["HG00.075",["a"]]}}"#,
            ),
            (
                Body::Schedule { version, schedule: vec![(key("hg075"), vec![reservation])] },
                r#"{"type":"schedule","version":7,"schedule":{"hg075":[[[8,45],[10,30],"Calculus"]]}}"#,
            ),
        ];
        for (body, text) in cases {
            assert_eq!(render(&body), text);
        }
        let update = HistoricUpdate {
            pc: "a".into(),
            source: "s".into(),
            at: Timestamp(5),
            occupation: Occupation::Unknown,
        };
        assert_eq!(
            historic_updates(HistoricRange { offset: 2, count: 3 }, &[update]),
            r#"{"type":"historic_updates","offset":2,"count":3,"updates":[["a","s",5,"x"]]}"#
        );
    }

    #[test]
    fn c8_text_cannot_leave_the_script_it_stands_in() {
        let name = "</script>\u{2028}\u{2029}\"\\";
        let room_map = vec![RoomEntry { key: key("a"), name: name.into(), pcs: vec![] }];
        let bytes = render(&Body::RoomMap { version: Version(0), room_map });
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.contains(r#""\u003c/script>\u2028\u2029\"\\""#), "{text}");
        let back: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(back["roomMap"]["a"][0], name);
    }

    #[test]
    fn a_reply_is_a_list_of_three_or_a_call_of_the_callback() {
        let token = Token::parse("t").unwrap();
        let callback = Callback::parse("cb").unwrap();
        for (callback, whole) in [(None, "[\"t\",[],[]]"), (Some(&callback), "/**/cb([\"t\",[],[]]);")] {
            let envelope = Envelope { token: &token, callback };
            let mut out = Vec::new();
            envelope.open(&mut out);
            out.extend_from_slice(envelope.close().as_bytes());
            assert_eq!((out.as_slice(), out.len()), (whole.as_bytes(), envelope.length()));
        }
    }
}
