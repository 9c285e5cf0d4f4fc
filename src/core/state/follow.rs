//! What a mirror takes over of its master beside the states: rooms, who stands in them, and tags.

use super::{Rearranged, State};
use crate::core::message::RoomEntry;
use crate::core::room::{RoomKey, RoomPlan};
use crate::core::rooms::RoomId;
use crate::core::tag::Tag;
use std::collections::{BTreeMap, HashMap};

/// The rooms and tags of a master, as last heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lead {
    /// Its rooms, each with the PCs in it.
    pub rooms: Vec<RoomEntry>,
    /// Its tags with the rooms that carry them; none where it does not tell, as the original.
    pub tags: Option<BTreeMap<Tag, Vec<RoomKey>>>,
}

/// More tags than this are not taken over. A room has a handful, and a thousand rooms share them.
const MAX_TAGS: usize = 1_000;

/// More tags than this of one room are not taken over: all tags of all rooms are a million.
const MAX_TAGS_OF_ROOM: usize = 64;

impl State {
    /// Takes over the rooms and tags of a master: rooms appear and are renamed, known PCs move, and those that are
    /// yet to appear will stand where the master has them, whatever the rules say. Rooms and PCs that the lead does
    /// not name stay as they are (reliability.md M2). Returns what that has changed, if anything; and how many entries
    /// were left out, for being beyond a limit or there twice.
    pub fn follow(&mut self, lead: &Lead) -> (Option<Rearranged>, usize) {
        let mut skipped = 0;
        let rearranged = self.rearrange(|state| {
            skipped = state.take(lead);
            state.lead = Some(lead.clone());
        });
        (rearranged, skipped)
    }

    /// Has rooms, tags and PCs as `lead` says; returns how many of its entries were left out.
    pub(super) fn take(&mut self, lead: &Lead) -> usize {
        let mut skipped = 0;
        let mut placements = HashMap::new();
        let mut led = Vec::new();
        for entry in &lead.rooms {
            let Some(room) = self.led_room(entry) else {
                skipped += 1 + entry.pcs.len();
                continue;
            };
            led.push(room);
            for pc in &entry.pcs {
                let is_new = placements.len() < self.growth.pcs && !placements.contains_key(pc);
                if is_new { drop(placements.insert(pc.clone(), entry.key.clone())) } else { skipped += 1 }
            }
        }
        let known = placements
            .iter()
            .filter_map(|(name, key)| Some((*self.pc_ids.get(name)?, *self.room_ids.get(key)?)));
        let known: Vec<_> = known.collect();
        self.move_pcs(known);
        self.placements = placements;
        if let Some(tags) = &lead.tags {
            self.retag(&led, tags);
        }
        skipped
    }

    /// The room of an entry, made and named as it says; none where there is no place for another.
    fn led_room(&mut self, entry: &RoomEntry) -> Option<RoomId> {
        let (key, name) = (entry.key.clone(), entry.name.clone());
        match self.room_ids.get(&key).copied() {
            Some(id) => {
                self.room_mut(id).name = name;
                Some(id)
            }
            None if self.order.len() < self.growth.rooms => {
                Some(self.add_room(RoomPlan { key, name, tags: Vec::new() }))
            }
            None => None,
        }
    }

    /// Gives the rooms of the lead the tags it has for them.
    fn retag(&mut self, led: &[RoomId], tags: &BTreeMap<Tag, Vec<RoomKey>>) {
        let mut wanted: HashMap<&RoomKey, Vec<Tag>> = HashMap::new();
        for (tag, rooms) in tags.iter().take(MAX_TAGS) {
            for room in rooms {
                let tags = wanted.entry(room).or_default();
                // A tag may name a room twice.
                if tags.len() < MAX_TAGS_OF_ROOM && tags.last() != Some(tag) {
                    tags.push(tag.clone());
                }
            }
        }
        for id in led {
            let room = self.room_mut(*id);
            room.tags = wanted.remove(&room.key).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests;
