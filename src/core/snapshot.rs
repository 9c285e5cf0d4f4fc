//! A picture of the whole state at one moment, for those who ask once and not for what changes.
//!
//! It shares what seldom changes with the picture before it, so that to make one is to copy a few words of each PC:
//! what is rendered of it is so where nobody waits for the state.

use super::pc::{Occupation, PcName};
use super::room::RoomKey;
use super::schedule::Reservation;
use super::source::Timestamp;
use super::tag::{Tag, TagFilter};
use super::version::{Version, Versions};
use std::sync::Arc;

/// The state at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its versions.
    pub versions: Versions,
    pub(super) tags: Arc<[Tag]>,
    /// In their order.
    pub(super) rooms: Arc<[RoomPlace]>,
    /// Of each room.
    pub(super) schedule: Arc<[Vec<Reservation>]>,
    pub(super) pcs: Vec<PcState>,
}

/// What of a room seldom changes.
#[derive(Debug)]
pub(super) struct RoomPlace {
    pub(super) key: RoomKey,
    pub(super) name: String,
    pub(super) tags: Vec<Tag>,
    /// In the order of their names, each with its place.
    pub(super) pcs: Vec<(PcName, usize)>,
}

/// How a PC is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PcState {
    /// Its state.
    pub occupation: Occupation,
    /// The version under which it was told last.
    pub changed: Version,
    /// When it was reported to be so; none where nobody knows any more.
    pub since: Option<Timestamp>,
}

/// A room of a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct RoomView<'a> {
    place: &'a RoomPlace,
    schedule: &'a [Reservation],
    states: &'a [PcState],
}

impl Snapshot {
    /// The rooms that pass a filter, as they are listed.
    pub fn rooms<'a>(&'a self, filter: &'a TagFilter) -> impl Iterator<Item = RoomView<'a>> {
        let view = |(place, schedule): (&'a RoomPlace, &'a Vec<Reservation>)| RoomView {
            place,
            schedule,
            states: &self.pcs,
        };
        self.rooms.iter().zip(self.schedule.iter()).map(view).filter(|room| filter.passes(room.tags()))
    }

    /// The room of that key.
    pub fn room(&self, key: &str) -> Option<RoomView<'_>> {
        self.rooms(&TagFilter::Everything).find(|room| room.key().as_str() == key)
    }

    /// The tags there are.
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }
}

impl<'a> RoomView<'a> {
    /// Its key.
    pub fn key(&self) -> &'a RoomKey {
        &self.place.key
    }

    /// What people call it.
    pub fn name(&self) -> &'a str {
        &self.place.name
    }

    /// Its tags.
    pub fn tags(&self) -> &'a [Tag] {
        &self.place.tags
    }

    /// What is reserved today.
    pub fn schedule(&self) -> &'a [Reservation] {
        self.schedule
    }

    /// Its PCs, in the order of their names.
    pub fn pcs(&self) -> impl Iterator<Item = (&'a PcName, PcState)> + use<'a> {
        let states = self.states;
        self.place.pcs.iter().filter_map(move |(name, place)| Some((name, *states.get(*place)?)))
    }
}
