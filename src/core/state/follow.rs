//! What a mirror takes over of its master beside the states: rooms, who stands in them, and tags.

use super::{PcId, Room, State};
use crate::core::message::RoomEntry;
use crate::core::pc::PcName;
use crate::core::room::{RoomKey, RoomPlan};
use crate::core::rooms::{RoomId, RoomSet};
use crate::core::tag::Tag;
use crate::core::version::Versions;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The rooms and tags of a master, as last heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lead {
    /// Its rooms, each with the PCs in it.
    pub rooms: Vec<RoomEntry>,
    /// Its tags with the rooms that carry them; none where it does not tell, as the original.
    pub tags: Option<BTreeMap<Tag, Vec<RoomKey>>>,
}

/// What taking over a lead has changed.
#[derive(Debug)]
pub struct Rearranged {
    /// The versions after it.
    pub versions: Versions,
    /// Whether a room is there now that was not there before.
    pub room_appeared: bool,
    /// The versions before it.
    pub(in crate::core) before: Versions,
    /// The rooms whose entry in the roomMap is another now.
    pub(in crate::core) remade: RoomSet,
    /// The rooms whose PCs are told anew, since they are new to some who listen.
    pub(in crate::core) retold: RoomSet,
    /// Whether rooms have other tags now: then filters let other rooms pass.
    pub(in crate::core) retagged: bool,
}

/// More tags than this are not taken over. A room has a handful, and a thousand rooms share them.
const MAX_TAGS: usize = 1_000;

impl State {
    /// Takes over the rooms and tags of a master: rooms appear and are renamed, known PCs move, and those that are
    /// yet to appear will stand where the master has them, whatever the rules say. Rooms and PCs that the lead does
    /// not name stay as they are (faults.md M2). Returns what that has changed, if anything; and how many entries
    /// were left out, for being beyond a limit or there twice.
    pub fn follow(&mut self, lead: &Lead) -> (Option<Rearranged>, usize) {
        let (before, rooms_before) = (self.versions, self.rooms.len());
        let mut skipped = 0;
        let mut remade = BTreeSet::new();
        let mut placements = HashMap::new();
        let mut led = Vec::new();
        for entry in &lead.rooms {
            let Some(room) = self.led_room(entry, &mut remade) else {
                skipped += 1 + entry.pcs.len();
                continue;
            };
            led.push(room);
            for pc in &entry.pcs {
                let is_new = placements.len() < self.growth.pcs && !placements.contains_key(pc);
                if is_new { drop(placements.insert(pc.clone(), entry.key.clone())) } else { skipped += 1 }
            }
        }
        let mut retold = self.move_pcs(&placements, &mut remade);
        self.placements = placements;
        let retagged = lead.tags.as_ref().map_or_else(Vec::new, |tags| self.retag(&led, tags));
        if remade.is_empty() && retagged.is_empty() {
            return (None, skipped);
        }
        retold.extend(retagged.iter().flat_map(|room| self.room(*room).pcs.clone()));
        self.spend(&remade, &retold, &retagged);
        let rearranged = Rearranged {
            versions: self.versions,
            room_appeared: self.rooms.len() > rooms_before,
            before,
            remade: remade.into_iter().collect(),
            retold: retold.iter().map(|pc| self.pc(*pc).room).collect(),
            retagged: !retagged.is_empty(),
        };
        (Some(rearranged), skipped)
    }

    /// The room of an entry, made and named as it says; none where there is no place for another.
    fn led_room(&mut self, entry: &RoomEntry, remade: &mut BTreeSet<RoomId>) -> Option<RoomId> {
        match self.room_ids.get(&entry.key).copied() {
            Some(id) => {
                let room = self.room_mut(id);
                if room.name != entry.name {
                    room.name.clone_from(&entry.name);
                    remade.insert(id);
                }
                Some(id)
            }
            None if self.rooms.len() < self.growth.rooms => {
                let (key, name) = (entry.key.clone(), entry.name.clone());
                let id = self.add_room(RoomPlan { key, name, tags: Vec::new() });
                remade.insert(id);
                Some(id)
            }
            None => None,
        }
    }

    /// Moves the known PCs that stand elsewhere; returns them.
    fn move_pcs(
        &mut self,
        placements: &HashMap<PcName, RoomKey>,
        remade: &mut BTreeSet<RoomId>,
    ) -> BTreeSet<PcId> {
        let mut moved = BTreeSet::new();
        for (name, key) in placements {
            let (Some(pc), Some(to)) = (self.pc_ids.get(name), self.room_ids.get(key)) else { continue };
            let (pc, to) = (*pc, *to);
            let from = self.pc(pc).room;
            if from == to {
                continue;
            }
            self.room_mut(from).pcs.retain(|other| *other != pc);
            let others = &self.room(to).pcs;
            let at = others.partition_point(|other| self.pc(*other).name < *name);
            self.room_mut(to).pcs.insert(at, pc);
            self.pcs[pc.0 as usize].room = to;
            remade.extend([from, to]);
            moved.insert(pc);
        }
        moved
    }

    /// Gives the rooms of the lead the tags it has for them; returns those that had others.
    fn retag(&mut self, led: &[RoomId], tags: &BTreeMap<Tag, Vec<RoomKey>>) -> Vec<RoomId> {
        let mut wanted: HashMap<&RoomKey, BTreeSet<&Tag>> = HashMap::new();
        for (tag, rooms) in tags.iter().take(MAX_TAGS) {
            for room in rooms {
                wanted.entry(room).or_default().insert(tag);
            }
        }
        let mut retagged = Vec::new();
        for id in led {
            let room = self.room_mut(*id);
            let new = wanted.remove(&room.key).unwrap_or_default();
            if room.tags.iter().collect::<BTreeSet<_>>() != new {
                room.tags = new.into_iter().cloned().collect();
                retagged.push(*id);
            }
        }
        if !retagged.is_empty() {
            // In the order of the master, and then those of our own rooms.
            let carried: BTreeSet<&Tag> = self.rooms.iter().flat_map(|room| &room.tags).collect();
            let (known, own): (Vec<&Tag>, Vec<&Tag>) =
                carried.into_iter().partition(|tag| tags.contains_key(*tag));
            self.tags = known.into_iter().chain(own).cloned().collect();
        }
        retagged
    }

    /// Spends the versions of what has changed. Rooms with other tags change what filters let pass, so all that is
    /// in them is told anew: under a version that some have seen, others would miss it for ever.
    fn spend(&mut self, remade: &BTreeSet<RoomId>, retold: &BTreeSet<PcId>, retagged: &[RoomId]) {
        self.versions.room_map = self.versions.room_map.next();
        if !retold.is_empty() {
            self.versions.occupation = self.versions.occupation.next();
        }
        if retagged.iter().any(|room| !self.room(*room).schedule.is_empty()) {
            self.versions.schedule = self.versions.schedule.next();
        }
        if !retagged.is_empty() {
            self.versions.tag_map = self.versions.tag_map.next();
        }
        let versions = self.versions;
        for id in remade.iter().chain(retagged) {
            self.room_mut(*id).changed.room_map = versions.room_map;
        }
        for id in retagged {
            self.room_mut(*id).changed = versions;
        }
        for pc in retold {
            let room = self.set(*pc, self.pc(*pc).occupation, versions.occupation);
            self.room_mut(room).changed.occupation = versions.occupation;
        }
    }

    fn room(&self, id: RoomId) -> &Room {
        &self.rooms[id.0 as usize]
    }
}

#[cfg(test)]
mod tests;
