//! What the server tells its clients: its eight messages (protocol.md, "Messages of the server").

use super::pc::{Occupation, PcName};
use super::room::RoomKey;
use super::schedule::Reservation;
use super::source::Timestamp;
use super::tag::Tag;
use super::version::Version;
use bytes::Bytes;
use std::any::Any;
use std::sync::{Arc, OnceLock};

/// A message, shared by all who get it.
///
/// It keeps the bytes of its first rendering, so that it is serialised once however many receive it.
#[derive(Debug)]
pub struct Message {
    body: Body,
    rendering: OnceLock<Bytes>,
    rent: OnceLock<Rent>,
}

/// What is given back when a message is no more.
pub type Rent = Box<dyn Any + Send + Sync>;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The first on a channel.
    Welcome,
    /// The tags there are.
    Tags {
        /// Of the tagMap.
        version: Version,
        /// In the order of the setup.
        tags: Vec<Tag>,
    },
    /// Which rooms carry which tag.
    TagMap {
        /// Of the tagMap.
        version: Version,
        /// Each tag with its rooms.
        tag_map: Vec<(Tag, Vec<RoomKey>)>,
    },
    /// The whole occupation that passes a filter.
    Occupation {
        /// Of the occupation.
        version: Version,
        /// Each PC with its state.
        occupation: Vec<(PcName, Occupation)>,
    },
    /// What has changed of it.
    OccupationUpdate {
        /// Of the occupation when it was made.
        version: Version,
        /// Each changed PC with its present state.
        update: Vec<(PcName, Occupation)>,
    },
    /// The rooms that pass a filter, empty ones included.
    RoomMap {
        /// Of the roomMap.
        version: Version,
        /// Each room.
        room_map: Vec<RoomEntry>,
    },
    /// What is reserved today in the rooms that pass a filter.
    Schedule {
        /// Of the schedule.
        version: Version,
        /// Rooms with reservations.
        schedule: Vec<(RoomKey, Vec<Reservation>)>,
    },
    /// A part of the history. It is read by who hands the reply over: the history is no part of the state.
    HistoricUpdates(HistoricRange),
}

/// A room of the roomMap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomEntry {
    /// Its key.
    pub key: RoomKey,
    /// What people call it.
    pub name: String,
    /// The PCs in it, in the order of their names.
    pub pcs: Vec<PcName>,
}

/// Which part of the history a client asks for; already clamped (reliability.md C14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoricRange {
    /// How many of the oldest rows to pass over; at most `i64::MAX`.
    pub offset: u64,
    /// How many rows to return; at most [`HistoricRange::MAX_COUNT`].
    pub count: u32,
}

impl HistoricRange {
    /// More rows than this are returned to nobody at once.
    pub const MAX_COUNT: u32 = 1000;
}

/// A row of the history. Its names are text as stored: rows of the original's database may hold some
/// that are no names by today's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoricUpdate {
    /// The name of the PC.
    pub pc: String,
    /// Who reported it.
    pub source: String,
    /// When.
    pub at: Timestamp,
    /// The state it changed to.
    pub occupation: Occupation,
}

impl Message {
    /// A message that says `body`.
    pub fn new(body: Body) -> Arc<Message> {
        Arc::new(Message { body, rendering: OnceLock::new(), rent: OnceLock::new() })
    }

    /// What it says.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Its bytes, rendered by `render` the first time.
    pub fn rendered(&self, render: impl FnOnce(&Body) -> Bytes) -> &Bytes {
        self.rendering.get_or_init(|| render(&self.body))
    }

    /// Has it kept for somebody who takes his time; how large it is does not grow with their number, and so it is paid
    /// for once. False where nobody pays.
    pub fn keep(&self, pay: impl FnOnce() -> Option<Rent>) -> bool {
        // Where two pay at once, one has his back.
        self.rent.get().is_some() || pay().map(|rent| self.rent.set(rent)).is_some()
    }

    /// Whether it tells states of PCs: a reply holds at most one that does (invariant 7).
    pub fn bears_occupation(&self) -> bool {
        matches!(self.body, Body::Occupation { .. } | Body::OccupationUpdate { .. })
    }
}
