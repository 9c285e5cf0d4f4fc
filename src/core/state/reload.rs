//! Another setup while the daemon runs: rooms appear, go, and are called otherwise, and PCs are placed anew.

use super::{PcId, Plan, Rearranged, State};
use crate::core::pc::PcName;
use crate::core::room::{RoomKey, RoomPlan, Rules};
use crate::core::rooms::{RoomId, RoomSet};
use std::collections::{HashMap, HashSet};
use std::mem;

/// The PCs there are, and by which rules they stand where they do. To ask other rules of ten thousand names takes a
/// while, and is done where nobody waits for it.
#[derive(Debug)]
pub struct Survey {
    rules: Rules,
    names: Vec<PcName>,
}

/// The PCs for which other rules say another room, of those that a survey saw.
#[derive(Debug)]
pub struct Moves {
    surveyed: usize,
    to: Vec<(PcId, RoomKey)>,
}

impl Survey {
    /// Whom `rules` move.
    pub fn moves(&self, rules: &Rules) -> Moves {
        let to = moves(&self.rules, rules, self.names.iter(), 0);
        Moves { surveyed: self.names.len(), to }
    }
}

impl State {
    /// What is to be known to find out whom other rules move.
    pub fn survey(&self) -> Survey {
        Survey { rules: self.rules.clone(), names: self.pcs.iter().map(|pc| pc.name.clone()).collect() }
    }

    /// Takes over the rooms, rules and limits of another setup; `moves` are those of a survey of this state. Returns
    /// what that has changed, if anything. What a master has said goes on before what the setup says; and where the
    /// setup says what it said before, all stays as it is. A room goes where nobody is in it and nothing names it any
    /// more.
    pub fn reload(&mut self, plan: Plan, mut moves: Moves) -> Option<Rearranged> {
        self.growth = plan.growth;
        self.rearrange(|state| {
            let rules = mem::replace(&mut state.rules, plan.rules);
            let then = mem::replace(&mut state.listed, plan.rooms);
            let peopled = state.rooms_in(&RoomSet::All).filter(|(_, room)| !room.pcs.is_empty());
            let peopled: HashSet<RoomId> = peopled.map(|(id, _)| id).collect();
            state.list_rooms(&then);
            let late = state.pcs.get(moves.surveyed..).unwrap_or_default().iter().map(|pc| &pc.name);
            moves.to.extend(self::moves(&rules, &state.rules, late, moves.surveyed));
            state.place(moves.to);
            if let Some(lead) = state.lead.take() {
                state.take(&lead);
                state.lead = Some(lead);
            }
            state.clear_away(&then, &peopled);
            state.put_in_order();
        })
    }

    /// Makes and names the rooms that the setup lists, where it does not say what it said `then`.
    fn list_rooms(&mut self, then: &[RoomPlan]) {
        let then: HashMap<&RoomKey, &RoomPlan> = then.iter().map(|room| (&room.key, room)).collect();
        let now = self.listed.clone();
        let listed: HashSet<&RoomKey> = now.iter().map(|room| &room.key).collect();
        for key in then.keys().filter(|key| !listed.contains(**key)) {
            self.call(&RoomPlan::unlisted((*key).clone()), None);
        }
        for room in &now {
            self.call(room, then.get(&room.key).copied());
        }
    }

    /// A room is called as `plan` says, where that is not what `then` said.
    fn call(&mut self, plan: &RoomPlan, then: Option<&RoomPlan>) {
        let Some(id) = self.room_ids.get(&plan.key).copied() else {
            self.add_room(plan.clone());
            return;
        };
        let room = self.room_mut(id);
        if then.is_none_or(|then| then.name != plan.name) {
            room.name.clone_from(&plan.name);
        }
        if then.is_none_or(|then| then.tags != plan.tags) {
            room.tags.clone_from(&plan.tags);
        }
    }

    /// Moves PCs where the rules have them now, but for those that a master has placed.
    fn place(&mut self, moves: Vec<(PcId, RoomKey)>) {
        let mut places = Vec::with_capacity(moves.len());
        for (pc, key) in moves {
            if self.placements.contains_key(&self.pc(pc).name) {
                continue;
            }
            let room = self.room_ids.get(&key).copied();
            places.push((pc, room.unwrap_or_else(|| self.add_room(RoomPlan::unlisted(key)))));
        }
        self.move_pcs(places);
    }

    /// Takes away the rooms that nothing names any more, and in which nobody is: those that the setup listed, or that
    /// somebody was in. A master never takes a room away by not naming it (reliability.md M2).
    fn clear_away(&mut self, then: &[RoomPlan], peopled: &HashSet<RoomId>) {
        let led = self.lead.iter().flat_map(|lead| &lead.rooms).map(|room| &room.key);
        let named: HashSet<&RoomKey> = self.listed.iter().map(|room| &room.key).chain(led).collect();
        let listed: HashSet<&RoomKey> = then.iter().map(|room| &room.key).collect();
        let gone = self.rooms_in(&RoomSet::All).filter(|(id, room)| {
            let was_for_them = listed.contains(&room.key) || peopled.contains(id);
            room.pcs.is_empty() && was_for_them && !named.contains(&room.key)
        });
        let gone: Vec<RoomId> = gone.map(|(id, _)| id).collect();
        for id in &gone {
            let room = self.room_mut(*id);
            (room.tags, room.schedule) = (Vec::new(), Vec::new());
            let key = room.key.clone();
            self.room_ids.remove(&key);
        }
        self.order.retain(|id| !gone.contains(id));
        self.free.extend(gone);
    }

    /// Rooms stand as the setup lists them, and then the others as they did.
    fn put_in_order(&mut self) {
        let listed = self.listed.iter().filter_map(|room| self.room_ids.get(&room.key));
        let mut order: Vec<RoomId> = listed.copied().collect();
        let first: HashSet<RoomId> = order.iter().copied().collect();
        order.extend(self.order.iter().filter(|id| !first.contains(id)));
        self.order = order;
        self.list_tags();
    }
}

/// For whom of `names`, the first of whom is the PC of this number, `now` says another room than `then`.
fn moves<'a>(
    then: &Rules,
    now: &Rules,
    names: impl Iterator<Item = &'a PcName>,
    first: usize,
) -> Vec<(PcId, RoomKey)> {
    if then == now {
        return Vec::new();
    }
    let another = |(i, name): (usize, &PcName)| {
        let room = now.room_of(name);
        (room != then.room_of(name)).then_some((PcId((first + i) as u32), room))
    };
    names.enumerate().filter_map(another).collect()
}

#[cfg(test)]
mod tests;
