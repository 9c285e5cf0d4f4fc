//! What a daemon answers.

use crate::core::message::RoomEntry;
use crate::core::pc::{Occupation, PcName};
use crate::core::room::RoomKey;
use crate::core::schedule::{Reservation, TimeOfDay};
use crate::core::tag::Tag;
use crate::core::token::Token;
use crate::core::version::Version;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One reply: the name of the channel, and what it brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The channel to ask on from now on.
    pub token: Token,
    /// In the order in which they are to be applied. Messages of unknown types are not among them.
    pub messages: Vec<Message>,
    /// How many entries inside these messages did not read and are missing from them.
    pub bad_entries: usize,
    /// How many messages of a known type did not read at all.
    pub bad_messages: usize,
}

/// Why a body is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// It is something else than JSON.
    #[error("the answer is not JSON; is this the address of a tkbd?")]
    NotJson,
    /// It is JSON, but not a token with a list of messages.
    #[error("the answer is JSON but not a list of token and messages; is this the address of a tkbd?")]
    NotAReply,
}

/// A message from a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The channel is new to the daemon, which may have restarted: ask for everything anew.
    Welcome,
    /// The names of all tags.
    Tags {
        /// Of the tags.
        version: Version,
        /// In no particular order.
        tags: Vec<Tag>,
    },
    /// All tags with the rooms that carry them.
    TagMap {
        /// Of the tags.
        version: Version,
        /// The rooms of each tag.
        tags: BTreeMap<Tag, Vec<RoomKey>>,
    },
    /// The state of every PC of the filter.
    Occupation {
        /// Of the states.
        version: Version,
        /// Each PC once.
        states: Vec<(PcName, Occupation)>,
    },
    /// The PCs whose state has changed.
    Update {
        /// Of the states.
        version: Version,
        /// Each PC once.
        states: Vec<(PcName, Occupation)>,
    },
    /// The rooms of the filter.
    RoomMap {
        /// Of the rooms.
        version: Version,
        /// Ordered by key. Names are text from another machine, to be escaped wherever they are shown.
        rooms: Vec<RoomEntry>,
    },
    /// What is reserved today in the rooms of the filter.
    Schedule {
        /// Of the schedule.
        version: Version,
        /// The reservations of each room, as the daemon orders them.
        rooms: Vec<(RoomKey, Vec<Reservation>)>,
    },
    /// A part of the history, oldest first.
    History {
        /// How many older rows there are.
        offset: u64,
        /// How many rows were asked for.
        count: u64,
        /// The rows.
        rows: Vec<HistoricRow>,
    },
}

/// One change of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoricRow {
    /// The PC that changed.
    pub pc: PcName,
    /// Who reported it. Text: an old history holds names that no source may have today.
    pub source: String,
    /// When, in seconds since 1970.
    pub at: i64,
    /// What it changed to.
    pub state: Occupation,
}

/// Reads a reply. Entries that do not read are left out and counted.
///
/// # Errors
/// When the body is no reply at all.
pub fn reply(body: &[u8]) -> Result<Reply, BadReply> {
    let body: Value = serde_json::from_slice(body).map_err(|_| BadReply::NotJson)?;
    // The third element is for streams and always empty; a daemon that leaves it out is understood too.
    let Value::Array(mut parts) = body else { return Err(BadReply::NotAReply) };
    if parts.len() < 2 {
        return Err(BadReply::NotAReply);
    }
    let Value::Array(list) = parts.swap_remove(1) else { return Err(BadReply::NotAReply) };
    let token = parts
        .first()
        .and_then(Value::as_str)
        .and_then(|text| Token::parse(text).ok())
        .ok_or(BadReply::NotAReply)?;
    let Messages { messages, bad_entries, bad_messages } = messages(list);
    Ok(Reply { token, messages, bad_entries, bad_messages })
}

/// What a list of messages holds, and how much of it does not read.
pub(super) struct Messages {
    pub(super) messages: Vec<Message>,
    bad_entries: usize,
    bad_messages: usize,
}

/// Reads a list of messages.
pub(super) fn messages(list: Vec<Value>) -> Messages {
    let mut read = Messages { messages: Vec::new(), bad_entries: 0, bad_messages: 0 };
    for value in list {
        match message(value, &mut read.bad_entries) {
            Heard::Message(message) => read.messages.push(message),
            Heard::UnknownType => {}
            Heard::Bad => read.bad_messages += 1,
        }
    }
    read
}

enum Heard {
    Message(Message),
    UnknownType,
    Bad,
}

fn message(value: Value, bad: &mut usize) -> Heard {
    let Value::Object(mut fields) = value else { return Heard::Bad };
    let Some(Value::String(kind)) = fields.remove("type") else { return Heard::Bad };
    let read = match kind.as_str() {
        "welcome" => Some(Message::Welcome),
        "tags" => tags(&mut fields, bad),
        "tagMap" => tag_map(&mut fields, bad),
        "occupation" => states(&mut fields, "occupation", bad)
            .map(|(version, states)| Message::Occupation { version, states }),
        "occupation_update" => {
            states(&mut fields, "update", bad).map(|(version, states)| Message::Update { version, states })
        }
        "roomMap" => room_map(&mut fields, bad),
        "schedule" => schedule(&mut fields, bad),
        "historic_updates" => history(&mut fields, bad),
        _ => return Heard::UnknownType,
    };
    read.map_or(Heard::Bad, Heard::Message)
}

fn version(fields: &Map<String, Value>) -> Option<Version> {
    fields.get("version")?.as_u64().map(Version)
}

fn object(fields: &mut Map<String, Value>, key: &str) -> Option<Map<String, Value>> {
    match fields.remove(key)? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// Keeps what could be read, and counts the rest.
fn keep<T>(entries: impl Iterator<Item = Option<T>>, bad: &mut usize) -> Vec<T> {
    entries
        .filter_map(|entry| {
            entry.or_else(|| {
                *bad += 1;
                None
            })
        })
        .collect()
}

fn tags(fields: &mut Map<String, Value>, bad: &mut usize) -> Option<Message> {
    let version = version(fields)?;
    let list = fields.get("tags")?.as_array()?;
    let tags = keep(list.iter().map(|tag| Tag::parse(tag.as_str()?).ok()), bad);
    Some(Message::Tags { version, tags })
}

fn tag_map(fields: &mut Map<String, Value>, bad: &mut usize) -> Option<Message> {
    let version = version(fields)?;
    let mut tags = BTreeMap::new();
    for (tag, rooms) in object(fields, "tagMap")? {
        if let (Ok(tag), Some(rooms)) = (Tag::parse(&tag), rooms.as_array()) {
            tags.insert(tag, keep(rooms.iter().map(|room| RoomKey::parse(room.as_str()?).ok()), bad));
        } else {
            *bad += 1;
        }
    }
    Some(Message::TagMap { version, tags })
}

type States = (Version, Vec<(PcName, Occupation)>);

fn states(fields: &mut Map<String, Value>, key: &str, bad: &mut usize) -> Option<States> {
    let version = version(fields)?;
    let entries = object(fields, key)?;
    let states = entries
        .iter()
        .map(|(name, state)| Some((PcName::parse(name).ok()?, Occupation::from_code(state.as_str()?)?)));
    Some((version, keep(states, bad)))
}

fn room_map(fields: &mut Map<String, Value>, bad: &mut usize) -> Option<Message> {
    let version = version(fields)?;
    let mut rooms = Vec::new();
    for (key, room) in object(fields, "roomMap")? {
        let read = || {
            let [name, pcs] = room.as_array()?.as_slice() else { return None };
            Some((RoomKey::parse(&key).ok()?, name.as_str()?, pcs.as_array()?))
        };
        if let Some((key, name, pcs)) = read() {
            let pcs = keep(pcs.iter().map(|pc| PcName::parse(pc.as_str()?).ok()), bad);
            rooms.push(RoomEntry { key, name: name.to_owned(), pcs });
        } else {
            *bad += 1;
        }
    }
    Some(Message::RoomMap { version, rooms })
}

fn schedule(fields: &mut Map<String, Value>, bad: &mut usize) -> Option<Message> {
    let version = version(fields)?;
    let mut rooms = Vec::new();
    for (key, list) in object(fields, "schedule")? {
        if let (Ok(key), Some(list)) = (RoomKey::parse(&key), list.as_array()) {
            rooms.push((key, keep(list.iter().map(reservation), bad)));
        } else {
            *bad += 1;
        }
    }
    Some(Message::Schedule { version, rooms })
}

fn reservation(value: &Value) -> Option<Reservation> {
    let [start, end, text] = value.as_array()?.as_slice() else { return None };
    Some(Reservation { start: time_of_day(start)?, end: time_of_day(end)?, text: text.as_str()?.to_owned() })
}

fn time_of_day(value: &Value) -> Option<TimeOfDay> {
    let [hour, minute] = value.as_array()?.as_slice() else { return None };
    TimeOfDay::new(u8::try_from(hour.as_u64()?).ok()?, u8::try_from(minute.as_u64()?).ok()?)
}

fn history(fields: &mut Map<String, Value>, bad: &mut usize) -> Option<Message> {
    let offset = fields.get("offset")?.as_u64()?;
    let count = fields.get("count")?.as_u64()?;
    let rows = keep(fields.get("updates")?.as_array()?.iter().map(historic_row), bad);
    Some(Message::History { offset, count, rows })
}

fn historic_row(value: &Value) -> Option<HistoricRow> {
    let [pc, source, at, state] = value.as_array()?.as_slice() else { return None };
    Some(HistoricRow {
        pc: PcName::parse(pc.as_str()?).ok()?,
        source: source.as_str()?.to_owned(),
        at: at.as_i64()?,
        state: Occupation::from_code(state.as_str()?)?,
    })
}

#[cfg(test)]
mod tests;
