//! What is told when rooms are others than before: others are in them, or they have other names or tags.

use super::{PcId, State};
use crate::core::rooms::{RoomId, RoomSet};
use crate::core::tag::Tag;
use crate::core::version::Versions;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::mem;

/// What is another now of the rooms.
#[derive(Debug)]
pub struct Rearranged {
    /// The versions after it.
    pub versions: Versions,
    /// How many rooms stand otherwise in the roomMap, or have other tags; those that are there no more count.
    pub rooms: usize,
    /// How many PCs stand in another room.
    pub moved: usize,
    /// Whether a room is there now that was not there before.
    pub room_appeared: bool,
    /// The versions before it.
    pub(in crate::core) before: Versions,
    /// The rooms whose entry in the roomMap is another now, or is there no more.
    pub(in crate::core) remade: RoomSet,
    /// The rooms whose PCs are told anew, since they are new to some who listen.
    pub(in crate::core) retold: RoomSet,
    /// Whether rooms have other tags now: then filters let other rooms pass.
    pub(in crate::core) retagged: bool,
    /// The rooms with reservations that filters let pass now and not before, or the other way about.
    pub(in crate::core) regrouped: RoomSet,
    /// The rooms with reservations that are there no more.
    pub(in crate::core) unreserved: RoomSet,
}

/// How the rooms were.
struct Picture {
    versions: Versions,
    rooms: BTreeMap<RoomId, (String, BTreeSet<Tag>, bool)>,
    /// By PC.
    places: Vec<RoomId>,
}

impl Picture {
    fn of(state: &State) -> Picture {
        let rooms = state.rooms_in(&RoomSet::All).map(|(id, room)| {
            let tags = room.tags.iter().cloned().collect();
            (id, (room.name.clone(), tags, !room.schedule.is_empty()))
        });
        let places = state.pcs.iter().map(|pc| pc.room).collect();
        Picture { versions: state.versions, rooms: rooms.collect(), places }
    }
}

impl State {
    /// Lets `change` rearrange the rooms, and returns what is another then, if anything. It may take away rooms, in
    /// whose places it must not put others.
    pub(super) fn rearrange(&mut self, change: impl FnOnce(&mut State)) -> Option<Rearranged> {
        let then = Picture::of(self);
        change(self);
        let now = Picture::of(self);

        let nothing = (String::new(), BTreeSet::new(), false);
        let (mut remade, mut retagged) = (BTreeSet::new(), BTreeSet::new());
        let (mut regrouped, mut unreserved) = (RoomSet::new(), RoomSet::new());
        let ids: BTreeSet<RoomId> = then.rooms.keys().chain(now.rooms.keys()).copied().collect();
        for id in ids {
            let (before, after) = (then.rooms.get(&id), now.rooms.get(&id));
            let ((name, tags, reserved), (name_now, tags_now, _)) =
                (before.unwrap_or(&nothing), after.unwrap_or(&nothing));
            if before.is_none() || after.is_none() || name != name_now {
                remade.insert(id);
            }
            if tags != tags_now {
                retagged.insert(id);
            }
            if *reserved && after.is_none() {
                unreserved.insert(id);
            } else if *reserved && tags != tags_now {
                regrouped.insert(id);
            }
        }
        let mut retold = BTreeSet::new();
        for (i, (from, to)) in then.places.iter().zip(&now.places).enumerate() {
            if from != to {
                remade.extend([*from, *to]);
                retold.insert(PcId(i as u32));
            }
        }
        if remade.is_empty() && retagged.is_empty() {
            return None;
        }
        let moved = retold.len();
        // Other tags change what filters let pass, so all that is in the room is told anew: under a version that
        // some have seen, others would miss it for ever.
        let retagged_now = retagged.iter().filter(|id| now.rooms.contains_key(id));
        retold.extend(retagged_now.flat_map(|id| self.room(*id).pcs.iter().copied()));
        let nothing_reserved = RoomSet::new();
        let is_rescheduled = regrouped != nothing_reserved || unreserved != nothing_reserved;
        self.spend(&retold, is_rescheduled, !retagged.is_empty());
        for id in remade.union(&retagged).filter(|id| now.rooms.contains_key(id)) {
            let versions = self.versions;
            let room = self.room_mut(*id);
            room.changed.room_map = versions.room_map;
            if regrouped.contains(*id) {
                room.changed.schedule = versions.schedule;
            }
        }
        self.rearranged = self.versions;
        if !retagged.is_empty() {
            self.list_tags();
        }
        Some(Rearranged {
            versions: self.versions,
            rooms: remade.union(&retagged).count(),
            moved,
            room_appeared: now.rooms.keys().any(|id| !then.rooms.contains_key(id)),
            before: then.versions,
            retold: retold.iter().map(|pc| self.pc(*pc).room).collect(),
            retagged: !retagged.is_empty(),
            remade: remade.into_iter().collect(),
            regrouped,
            unreserved,
        })
    }

    /// Spends the versions of what has changed. The roomMap is another to some filter at least.
    fn spend(&mut self, retold: &BTreeSet<PcId>, is_rescheduled: bool, is_retagged: bool) {
        self.versions.room_map = self.versions.room_map.next();
        if is_rescheduled {
            self.versions.schedule = self.versions.schedule.next();
        }
        if is_retagged {
            self.versions.tag_map = self.versions.tag_map.next();
        }
        if retold.is_empty() {
            return;
        }
        self.versions.occupation = self.versions.occupation.next();
        let version = self.versions.occupation;
        for pc in retold {
            let room = self.set(*pc, self.pc(*pc).occupation, version);
            self.room_mut(room).changed.occupation = version;
        }
    }

    /// Moves PCs to rooms; each stands there once.
    pub(super) fn move_pcs(&mut self, moves: impl IntoIterator<Item = (PcId, RoomId)>) {
        let mut touched = BTreeSet::new();
        for (pc, to) in moves {
            let from = mem::replace(&mut self.pcs[pc.0 as usize].room, to);
            if from != to {
                self.room_mut(to).pcs.push(pc);
                touched.extend([from, to]);
            }
        }
        for id in touched {
            let mut pcs = mem::take(&mut self.room_mut(id).pcs);
            pcs.retain(|pc| self.pc(*pc).room == id);
            pcs.sort_unstable_by(|a, b| self.pc(*a).name.cmp(&self.pc(*b).name));
            self.room_mut(id).pcs = pcs;
        }
    }

    /// Lists the tags that rooms carry: those of a master as they stand there, and then in the order of the rooms.
    pub(super) fn list_tags(&mut self) {
        let rooms = self.rooms_in(&RoomSet::All);
        let carried: Vec<&Tag> = rooms.flat_map(|(_, room)| &room.tags).collect();
        let is_carried: HashSet<&Tag> = carried.iter().copied().collect();
        let led = self.lead.as_ref().and_then(|lead| lead.tags.as_ref()).into_iter();
        let led = led.flat_map(|tags| tags.keys()).filter(|tag| is_carried.contains(tag));
        let mut listed = HashSet::new();
        let tags = led.chain(carried).filter(|tag| listed.insert(*tag)).cloned().collect();
        self.tags = tags;
    }
}
