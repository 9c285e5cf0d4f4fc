//! The channels that share one filter.
//!
//! A change is held against each *distinct* filter once, not against each channel: what a push costs
//! under the hub's lock depends on how many filters there are, and on the channels that get it.

use super::channel::ChannelId;
use super::push::Change;
use super::rooms::RoomSet;
use super::slack::{self, Slack};
use super::state::{Rearranged, State};
use super::tag::Filter;
use super::version::{Version, Versions};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

/// The channels with one filter.
#[derive(Debug)]
pub(super) struct Audience {
    filter: Arc<Filter>,
    /// The rooms that pass, of each of the three filters.
    pub(super) rooms: Passing,
    /// The versions of the last change that passed. A channel that has seen these is owed nothing.
    pub(super) changed: Versions,
    /// How many channels have this filter; with none left it is forgotten.
    channels: usize,
    /// Those of them whose request is held, in no order. They are owed nothing.
    held: Vec<ChannelId>,
}

/// The rooms that pass the three filters of an audience.
#[derive(Debug)]
pub(super) struct Passing {
    pub(super) occupation: RoomSet,
    pub(super) room_map: RoomSet,
    pub(super) schedule: RoomSet,
}

impl Passing {
    fn of(filter: &Filter, state: &State) -> Passing {
        Passing {
            occupation: state.passing(&filter.occupation),
            room_map: state.passing(&filter.room_map),
            schedule: state.passing(&filter.schedule),
        }
    }
}

/// The place of an audience in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct AudienceId(u32);

/// What of a change concerns an audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Concern {
    pub(super) occupation: bool,
    pub(super) room_map: bool,
    pub(super) schedule: bool,
    pub(super) tag_map: bool,
}

impl Concern {
    pub(super) const NOTHING: Concern =
        Concern { occupation: false, room_map: false, schedule: false, tag_map: false };

    pub(super) fn any(self) -> bool {
        self.occupation || self.room_map || self.schedule || self.tag_map
    }
}

/// All audiences there are.
#[derive(Debug, Default)]
pub(super) struct Audiences {
    list: Vec<Option<Audience>>,
    /// The first is taken first, as among the channels.
    free: BinaryHeap<Reverse<AudienceId>>,
    by_filter: HashMap<Arc<Filter>, AudienceId>,
    /// Those that somebody has: of one that fifty thousand have had there is one.
    shared: HashSet<Arc<Filter>>,
    /// How many of those there may be before such as nobody has any more are looked for.
    look_at: usize,
}

impl Audiences {
    /// A channel joins the audience of `filter`.
    pub(super) fn join(&mut self, filter: Filter, state: &State) -> AudienceId {
        if let Some(id) = self.by_filter.get(&filter).copied() {
            self[id].channels += 1;
            return id;
        }
        let filter = self.share(filter);
        let audience = Audience {
            rooms: Passing::of(&filter, state),
            changed: state.last_change(&filter),
            channels: 1,
            held: Vec::new(),
            filter: filter.clone(),
        };
        let id = match self.free.pop() {
            Some(Reverse(id)) => {
                self.list[id.0 as usize] = Some(audience);
                id
            }
            None => {
                self.list.push(Some(audience));
                AudienceId(self.list.len() as u32 - 1)
            }
        };
        self.by_filter.insert(filter, id);
        id
    }

    /// A channel, which holds no request, leaves its audience. True when it was the last.
    pub(super) fn leave(&mut self, id: AudienceId) -> bool {
        let audience = &mut self[id];
        audience.channels -= 1;
        if audience.channels > 0 {
            return false;
        }
        if let Some(audience) = self.list.get_mut(id.0 as usize).and_then(Option::take) {
            self.by_filter.remove(&audience.filter);
        }
        self.free.push(Reverse(id));
        true
    }

    /// The one `filter` that is kept for all who have it.
    pub(super) fn share(&mut self, filter: Filter) -> Arc<Filter> {
        if let Some(shared) = self.shared.get(&filter) {
            return shared.clone();
        }
        if self.shared.len() >= self.look_at {
            self.shared.retain(|filter| Arc::strong_count(filter) > 1);
            self.shared.give_back_slack();
            self.look_at = 64.max(2 * self.shared.len());
        }
        let filter = Arc::new(filter);
        self.shared.insert(filter.clone());
        filter
    }

    /// For how many there is room, in each table.
    #[cfg(test)]
    pub(super) fn room(&self) -> [usize; 3] {
        [self.list.capacity(), self.free.capacity(), self.by_filter.capacity()]
    }

    /// Gives back the memory of a crowd that has left.
    pub(super) fn give_back_slack(&mut self) {
        self.by_filter.give_back_slack();
        let Some(keep) = slack::fit(self.len(), self.list.len()) else { return };
        let before = self.list.len();
        while self.list.len() > keep && self.list.pop_if(|audience| audience.is_none()).is_some() {}
        let left = self.list.len();
        if left < before {
            self.free.retain(|Reverse(id)| (id.0 as usize) < left);
            self.free.give_back_slack();
            self.list.shrink_to(left);
        }
    }

    /// The filter they share.
    pub(super) fn filter(&self, id: AudienceId) -> &Arc<Filter> {
        &self[id].filter
    }

    /// A channel's request is held from now on; returns its place among those.
    pub(super) fn hold(&mut self, id: AudienceId, channel: ChannelId) -> u32 {
        let held = &mut self[id].held;
        held.push(channel);
        held.len() as u32 - 1
    }

    /// The request at `place` is held no longer; returns the channel that has that place now.
    pub(super) fn release(&mut self, id: AudienceId, place: u32) -> Option<ChannelId> {
        let held = &mut self[id].held;
        held.swap_remove(place as usize);
        held.give_back_slack();
        held.get(place as usize).copied()
    }

    /// Takes out all whose request is held.
    pub(super) fn take_held(&mut self, id: AudienceId) -> Vec<ChannelId> {
        std::mem::take(&mut self[id].held)
    }

    /// Notes a push with every audience that it concerns, and returns those with held requests, each
    /// with what it had seen before and what concerns it.
    pub(super) fn note_push(&mut self, change: &Change) -> Vec<(AudienceId, Versions, Concern)> {
        self.note(|audience| {
            let concern = Concern {
                occupation: audience.rooms.occupation.meets(&change.occupied),
                room_map: audience.rooms.room_map.meets(&change.grown),
                ..Concern::NOTHING
            };
            if concern.occupation {
                audience.changed.occupation = change.versions.occupation;
            }
            if concern.room_map {
                audience.changed.room_map = change.versions.room_map;
            }
            concern
        })
    }

    /// The same for a change of the schedule in some rooms.
    pub(super) fn note_schedule(
        &mut self,
        rooms: &RoomSet,
        versions: Versions,
    ) -> Vec<(AudienceId, Versions, Concern)> {
        self.note(|audience| {
            let schedule = audience.rooms.schedule.meets(rooms);
            if schedule {
                audience.changed.schedule = versions.schedule;
            }
            Concern { schedule, ..Concern::NOTHING }
        })
    }

    /// The same for rooms that are others now: filters may let other rooms pass.
    pub(super) fn note_rearranged(
        &mut self,
        change: &Rearranged,
        state: &State,
    ) -> Vec<(AudienceId, Versions, Concern)> {
        self.note(|audience| {
            let rooms = Passing::of(&audience.filter, state);
            let then = std::mem::replace(&mut audience.rooms, rooms);
            let rooms = &audience.rooms;
            let concern = Concern {
                occupation: rooms.occupation.meets(&change.retold),
                room_map: rooms.room_map.meets(&change.remade) || rooms.room_map != then.room_map,
                schedule: then.schedule.meets(&change.unreserved)
                    || rooms.schedule.differs(&then.schedule, &change.regrouped),
                tag_map: change.retagged,
            };
            let noted = |is_concerned: bool, version: &mut Version, now: Version| {
                *version = if is_concerned { now } else { *version };
            };
            let (changed, now) = (&mut audience.changed, change.versions);
            noted(concern.occupation, &mut changed.occupation, now.occupation);
            noted(concern.room_map, &mut changed.room_map, now.room_map);
            noted(concern.schedule, &mut changed.schedule, now.schedule);
            noted(concern.tag_map, &mut changed.tag_map, now.tag_map);
            concern
        })
    }

    /// All audiences with held requests.
    pub(super) fn waiting(&self) -> Vec<AudienceId> {
        self.ids().filter(|id| !self[*id].held.is_empty()).collect()
    }

    /// How many distinct filters there are.
    pub(super) fn len(&self) -> usize {
        self.by_filter.len()
    }

    fn note(
        &mut self,
        mut concern: impl FnMut(&mut Audience) -> Concern,
    ) -> Vec<(AudienceId, Versions, Concern)> {
        let mut concerned = Vec::new();
        for (i, audience) in self.list.iter_mut().enumerate() {
            let Some(audience) = audience else { continue };
            let before = audience.changed;
            let concern = concern(audience);
            if concern.any() && !audience.held.is_empty() {
                concerned.push((AudienceId(i as u32), before, concern));
            }
        }
        concerned
    }

    fn ids(&self) -> impl Iterator<Item = AudienceId> {
        self.list.iter().enumerate().filter(|(_, a)| a.is_some()).map(|(i, _)| AudienceId(i as u32))
    }
}

impl std::ops::Index<AudienceId> for Audiences {
    type Output = Audience;

    #[allow(
        clippy::expect_used,
        reason = "an id is given out by `join`, and taken back by `leave` of the last channel that has it"
    )]
    fn index(&self, id: AudienceId) -> &Audience {
        self.list[id.0 as usize].as_ref().expect("an audience lives as long as a channel has its id")
    }
}

impl std::ops::IndexMut<AudienceId> for Audiences {
    #[allow(clippy::expect_used, reason = "as above")]
    fn index_mut(&mut self, id: AudienceId) -> &mut Audience {
        self.list[id.0 as usize].as_mut().expect("an audience lives as long as a channel has its id")
    }
}

#[cfg(test)]
mod tests {
    use super::super::channel::tests::ids;
    use super::super::pc::{Occupation, PcName};
    use super::super::push::Push;
    use super::super::room::{RoomKey, RoomPlan, Rule, Rules};
    use super::super::source::{Source, Timestamp};
    use super::super::state::{Growth, Plan, Remains};
    use super::super::tag::{Tag, TagFilter};
    use super::super::version::Version;
    use super::*;

    /// Rooms `a` and `b` with tags of the same names.
    fn state() -> State {
        let room = |key: &str| RoomPlan {
            key: RoomKey::parse(key).unwrap(),
            name: key.into(),
            tags: vec![Tag::parse(key).unwrap()],
        };
        let rule = Rule { pattern: regex::Regex::new("^(.*?)pc").unwrap(), room: "$1".into() };
        let rules = Rules { rules: vec![rule], ..Rules::default() };
        let growth = Growth { pcs: 99, rooms: 99, sources: 9 };
        State::new(Plan { rooms: vec![room("a"), room("b")], rules, growth }, Remains::default())
    }

    fn push(state: &mut State, pc: &str, to: Occupation) -> Change {
        let states = vec![(PcName::parse(pc).unwrap(), to)];
        state.apply(Push::new(Source::unknown(), Timestamp(0), states).unwrap()).unwrap().unwrap()
    }

    fn filter(tag: &str) -> Filter {
        let only = TagFilter::Tags([Tag::parse(tag).unwrap()].into());
        Filter { occupation: only.clone(), room_map: only, schedule: TagFilter::Everything }
    }

    #[test]
    fn channels_with_equal_filters_share_an_audience_that_ends_with_the_last() {
        let (state, mut audiences) = (state(), Audiences::default());
        let one = audiences.join(filter("a"), &state);
        assert_eq!(audiences.join(filter("a"), &state), one);
        let other = audiences.join(filter("b"), &state);
        assert_ne!(other, one);
        assert_eq!(audiences.len(), 2);
        assert!(!audiences.leave(one), "one is left");
        assert!(audiences.leave(one), "the last");
        assert_eq!(audiences.len(), 1);
        assert_eq!(*audiences.filter(other), Arc::new(filter("b")));
        let again = audiences.join(filter("a"), &state);
        assert_eq!((audiences.len(), audiences.filter(again)), (2, &Arc::new(filter("a"))));
    }

    #[test]
    fn a_release_tells_which_channel_has_the_place_now() {
        let (state, mut audiences, channels) = (state(), Audiences::default(), ids(3));
        let id = audiences.join(filter("a"), &state);
        let places: Vec<u32> = channels.iter().map(|channel| audiences.hold(id, *channel)).collect();
        assert_eq!(places, [0, 1, 2]);
        assert_eq!(audiences.release(id, 0), Some(channels[2]), "the last moves to the place");
        assert_eq!(audiences.release(id, 1), None, "the last leaves, and none moves");
        assert_eq!(audiences.release(id, 0), None);
        assert!(audiences.waiting().is_empty());
        audiences.hold(id, channels[1]);
        assert_eq!(audiences.waiting(), [id]);
        assert_eq!(audiences.take_held(id), [channels[1]]);
        assert!(audiences.take_held(id).is_empty());
    }

    #[test]
    fn a_change_is_noted_with_all_it_concerns_and_told_where_a_request_is_held() {
        let (mut state, mut audiences, channels) = (state(), Audiences::default(), ids(3));
        let a = audiences.join(filter("a"), &state);
        let b = audiences.join(filter("b"), &state);
        let nothing = audiences.join(Filter::nothing(), &state);
        for (audience, channel) in [a, b, nothing].into_iter().zip(&channels) {
            audiences.hold(audience, *channel);
        }
        let change = push(&mut state, "apc1", Occupation::Off);
        let told = audiences.note_push(&change);
        let concern = Concern { occupation: true, room_map: true, ..Concern::NOTHING };
        assert_eq!(told, [(a, Versions::default(), concern)], "with the versions before");
        assert_eq!(audiences[a].changed.occupation, change.versions.occupation);
        assert_eq!(audiences[b].changed, Versions::default());

        audiences.take_held(a);
        let change = push(&mut state, "apc1", Occupation::Unknown);
        assert!(audiences.note_push(&change).is_empty(), "nobody waits");
        assert_eq!(audiences[a].changed.occupation, Version(2), "and it is noted all the same");
        assert_eq!(audiences[a].changed.room_map, Version(1), "no PC was new");

        let rooms = state.passing(&filter("b").occupation);
        let versions = Versions { schedule: Version(7), ..state.versions() };
        let told: Vec<_> = audiences.note_schedule(&rooms, versions).into_iter().map(|t| t.0).collect();
        assert_eq!(told, [b]);
        assert_eq!(audiences[a].changed.schedule, Version(7), "everything includes the room");
        assert_eq!(audiences[nothing].changed.schedule, Version(0));
    }

    #[test]
    fn an_audience_made_later_knows_the_last_change_it_would_have_heard_of() {
        let (mut state, mut audiences) = (state(), Audiences::default());
        let early = audiences.join(filter("a"), &state);
        for pc in ["apc1", "apc2", "bpc1"] {
            audiences.note_push(&push(&mut state, pc, Occupation::Off));
        }
        let before = audiences[early].changed;
        assert_eq!((before.occupation, before.room_map), (Version(2), Version(2)));
        audiences.leave(early);
        let late = audiences.join(filter("a"), &state);
        assert_eq!(audiences[late].changed.occupation, before.occupation);
        assert_eq!(audiences[late].changed.room_map, before.room_map);
    }
}
