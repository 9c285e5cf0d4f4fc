//! The state as a snapshot.

use super::State;
use crate::core::pc::PcName;
use crate::core::rooms::RoomSet;
use crate::core::snapshot::{PcState, RoomPlace, Snapshot};
use crate::core::source::Timestamp;

impl State {
    /// The state now. What is as it was in `last`, a snapshot of this state since when no other setup was taken over, is
    /// shared with that.
    pub fn snapshot(&self, last: Option<&Snapshot>) -> Snapshot {
        let now = self.versions;
        let same_rooms = last
            .filter(|last| (last.versions.room_map, last.versions.tag_map) == (now.room_map, now.tag_map));
        let same_schedule = same_rooms.filter(|last| last.versions.schedule == now.schedule);
        let rooms = || self.rooms_in(&RoomSet::All).map(|(_, room)| room);
        let place = |room: &super::Room| RoomPlace {
            key: room.key.clone(),
            name: room.name.clone(),
            tags: room.tags.clone(),
            pcs: room.pcs.iter().map(|id| (self.pc(*id).name.clone(), id.0 as usize)).collect(),
        };
        let state =
            |pc: &super::Pc| PcState { occupation: pc.occupation, changed: pc.changed, since: pc.since };
        Snapshot {
            versions: now,
            tags: same_rooms.map_or_else(|| self.tags.clone().into(), |last| last.tags.clone()),
            rooms: same_rooms.map_or_else(|| rooms().map(place).collect(), |last| last.rooms.clone()),
            schedule: same_schedule.map_or_else(
                || rooms().map(|room| room.schedule.clone()).collect(),
                |last| last.schedule.clone(),
            ),
            pcs: self.pcs.iter().map(state).collect(),
        }
    }

    /// Notes since when PCs are as they are, as far as that is known from before.
    pub fn set_since(&mut self, since: impl IntoIterator<Item = (PcName, Timestamp)>) {
        for (name, at) in since {
            let id = self.pc_ids.get(&name);
            if let Some(pc) = id.and_then(|id| self.pcs.get_mut(id.0 as usize)) {
                pc.since = Some(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Growth, Plan, Remains};
    use super::*;
    use crate::core::pc::Occupation;
    use crate::core::push::Push;
    use crate::core::room::{RoomKey, RoomPlan, Rule, Rules};
    use crate::core::schedule::{Reservation, TimeOfDay};
    use crate::core::source::Source;
    use crate::core::tag::{Tag, TagFilter};
    use std::collections::HashMap;
    use std::sync::Arc;

    fn state() -> State {
        let rule = Rule { pattern: regex::Regex::new("^(.)").unwrap(), room: "$1".into() };
        let rules = Rules { rules: vec![rule], ..Rules::default() };
        let growth = Growth { pcs: 99, rooms: 99, sources: 9 };
        let room = |key: &str| RoomPlan {
            key: RoomKey::parse(key).unwrap(),
            name: key.to_uppercase(),
            tags: vec![Tag::parse(key).unwrap()],
        };
        let left = [("a1", Occupation::Off), ("b1", Occupation::Off)];
        let pcs = left.map(|(pc, state)| (PcName::parse(pc).unwrap(), state)).into();
        let remains = Remains { pcs, ..Remains::default() };
        State::new(Plan { rooms: vec![room("b"), room("a")], rules, growth }, remains)
    }

    fn push(state: &mut State, pc: &str, to: Occupation, at: i64) {
        let states = vec![(PcName::parse(pc).unwrap(), to)];
        state.apply(Push::new(Source::unknown(), Timestamp(at), states).unwrap()).unwrap().unwrap();
    }

    fn shown(snapshot: &Snapshot) -> String {
        let pc = |(name, pc): (&PcName, PcState)| {
            format!(" {name}={}@{:?}", pc.occupation.code(), pc.since.map(|since| since.0))
        };
        let rooms = snapshot.rooms(&TagFilter::Everything);
        rooms.map(|room| format!("{}:{}\n", room.name(), room.pcs().map(pc).collect::<String>())).collect()
    }

    #[test]
    fn a_snapshot_is_what_the_state_was_when_it_was_made() {
        let mut state = state();
        state.set_since([(PcName::parse("a1").unwrap(), Timestamp(5))]);
        let first = state.snapshot(None);
        assert_eq!(shown(&first), "B: b1=o@None\nA: a1=o@Some(5)\n");
        push(&mut state, "a1", Occupation::Unknown, 7);
        push(&mut state, "c1", Occupation::Off, 8);
        let second = state.snapshot(Some(&first));
        assert_eq!(shown(&first), "B: b1=o@None\nA: a1=o@Some(5)\n", "it stays as it was");
        assert_eq!(shown(&second), "B: b1=o@None\nA: a1=x@Some(7)\nc: c1=o@Some(8)\n");
        let only = TagFilter::Tags([Tag::parse("a").unwrap()].into());
        assert_eq!(second.rooms(&only).map(|room| room.key().as_str()).collect::<Vec<_>>(), ["a"]);
        let changed = second.room("a").unwrap().pcs().next().unwrap().1.changed;
        assert_eq!((changed.0, second.versions.occupation.0), (1, 2));
    }

    #[test]
    fn what_has_not_changed_is_shared_with_the_snapshot_before() {
        let mut state = state();
        let first = state.snapshot(None);
        push(&mut state, "a1", Occupation::Unknown, 7);
        let second = state.snapshot(Some(&first));
        assert!(Arc::ptr_eq(&first.rooms, &second.rooms) && Arc::ptr_eq(&first.schedule, &second.schedule));
        let (start, end) = (TimeOfDay::new(9, 0).unwrap(), TimeOfDay::new(10, 0).unwrap());
        let class = vec![Reservation { start, end, text: "Class".into() }];
        state.set_schedule(&HashMap::from([(RoomKey::parse("a").unwrap(), class.clone())])).unwrap();
        let third = state.snapshot(Some(&second));
        assert!(Arc::ptr_eq(&second.rooms, &third.rooms));
        assert_eq!(third.room("a").unwrap().schedule(), class);
        assert!(second.room("a").unwrap().schedule().is_empty());
    }
}
