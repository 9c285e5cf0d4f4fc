//! The state: which PCs there are, in which rooms, how they are, and what is reserved.

use super::pc::{Occupation, PcName};
use super::push::{Change, NoPlace, Push, Refused};
use super::room::{RoomKey, RoomPlan, Rules};
use super::rooms::{RoomId, RoomSet};
use super::schedule::Reservation;
use super::source::{Source, Timestamp};
use super::tag::{Filter, Tag, TagFilter};
use super::version::{Version, Versions};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

mod follow;
mod messages;
mod picture;
mod rearrange;
mod reload;
mod tally;

pub use follow::Lead;
pub use rearrange::Rearranged;
pub use reload::{Moves, Survey};
pub use tally::Tally;

/// How far the state may grow by what is pushed (reliability.md S3).
#[derive(Debug, Clone, Copy)]
pub struct Growth {
    /// PCs there may be.
    pub pcs: usize,
    /// Rooms there may be, those of the setup included.
    pub rooms: usize,
    /// Sources there may be.
    pub sources: usize,
}

/// What the setup says of rooms.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The rooms it lists.
    pub rooms: Vec<RoomPlan>,
    /// Which room a PC's name implies.
    pub rules: Rules,
    /// Limits.
    pub growth: Growth,
}

/// What was there before the daemon started.
#[derive(Debug, Default)]
pub struct Remains {
    /// The last state of each PC.
    pub pcs: Vec<(PcName, Occupation)>,
    /// The sources that have reported.
    pub sources: Vec<Source>,
    /// The versions to go on from.
    pub versions: Versions,
}

#[derive(Debug)]
struct Pc {
    name: PcName,
    room: RoomId,
    occupation: Occupation,
    /// The version of the last change of its state.
    changed: Version,
    /// When that was reported, where it is known.
    since: Option<Timestamp>,
}

#[derive(Debug)]
struct Room {
    key: RoomKey,
    name: String,
    tags: Vec<Tag>,
    /// In the order of their names.
    pcs: Vec<PcId>,
    schedule: Vec<Reservation>,
    /// The versions of the last change of a state in it, of its PCs, and of its schedule.
    changed: Versions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PcId(u32);

/// The state of all PCs and rooms, with its versions.
#[derive(Debug)]
pub struct State {
    /// The rooms that the setup lists.
    listed: Vec<RoomPlan>,
    rules: Rules,
    growth: Growth,
    /// What a master has said last of its rooms, which goes before the setup.
    lead: Option<Lead>,
    /// Where it has PCs.
    placements: HashMap<PcName, RoomKey>,
    /// Whether rooms and tags are those of a master, and may be heard of later than they are asked for.
    follows: bool,
    tags: Vec<Tag>,
    /// By their places; those that are in `free` are no more.
    rooms: Vec<Room>,
    free: Vec<RoomId>,
    /// Those that there are, as they are listed.
    order: Vec<RoomId>,
    room_ids: HashMap<RoomKey, RoomId>,
    pcs: Vec<Pc>,
    pc_ids: HashMap<PcName, PcId>,
    sources: HashSet<Source>,
    /// All PCs by their last change: what came after any version is its end.
    by_change: BTreeSet<(Version, PcId)>,
    versions: Versions,
    /// The versions when rooms were rearranged last: some filter may have lost a room then.
    rearranged: Versions,
}

impl State {
    /// The state that was left, in the rooms of `plan`. PCs and rooms that are beyond a limit
    /// lowered since are kept: a limit bounds growth.
    pub fn new(plan: Plan, remains: Remains) -> State {
        let mut state = State {
            listed: plan.rooms,
            rules: plan.rules,
            growth: plan.growth,
            lead: None,
            placements: HashMap::new(),
            follows: false,
            tags: Vec::new(),
            rooms: Vec::new(),
            free: Vec::new(),
            order: Vec::new(),
            room_ids: HashMap::new(),
            pcs: Vec::new(),
            pc_ids: HashMap::new(),
            sources: remains.sources.into_iter().collect(),
            by_change: BTreeSet::new(),
            versions: remains.versions,
            rearranged: Versions::default(),
        };
        for room in state.listed.clone() {
            state.add_room(room);
        }
        state.list_tags();
        for (name, occupation) in remains.pcs {
            // Of a name that was left twice the last counts: a roomMap names a PC once.
            if let Some(id) = state.pc_ids.get(&name).copied() {
                state.set(id, occupation, state.versions.occupation);
                continue;
            }
            let key = state.rules.room_of(&name);
            state.add_pc(name, key, occupation, state.versions.occupation);
        }
        state
    }

    /// The versions now.
    pub fn versions(&self) -> Versions {
        self.versions
    }

    /// Spends a version on what differs from the last run's (`then`), where that is known: rooms and
    /// tags come from the setup, which may have changed while the daemon was off (invariant 4).
    pub fn advance_past(&mut self, then: Digests) {
        let now = self.digests();
        let bump =
            |version: &mut Version, same: bool| *version = if same { *version } else { version.next() };
        bump(&mut self.versions.room_map, now.room_map == then.room_map);
        bump(&mut self.versions.schedule, now.schedule == then.schedule);
        bump(&mut self.versions.tag_map, now.tag_map == then.tag_map);
    }

    /// Fingerprints of what has a version but is not in the history.
    pub fn digests(&self) -> Digests {
        fn digest(of: &impl Hash) -> u64 {
            let mut hasher = DefaultHasher::new();
            of.hash(&mut hasher);
            hasher.finish()
        }
        let mut rooms: Vec<_> = self.rooms_in(&RoomSet::All).map(|(_, room)| room).collect();
        rooms.sort_by(|a, b| a.key.cmp(&b.key));
        let names =
            |room: &Room| -> Vec<&str> { room.pcs.iter().map(|pc| self.pc(*pc).name.as_str()).collect() };
        Digests {
            room_map: digest(
                &rooms.iter().map(|r| (r.key.as_str(), r.name.as_str(), names(r))).collect::<Vec<_>>(),
            ),
            // Only rooms that stand in these messages: one that appears without does not change them.
            schedule: digest(
                &rooms
                    .iter()
                    .filter(|r| !r.schedule.is_empty())
                    .map(|r| (r.key.as_str(), &r.schedule))
                    .collect::<Vec<_>>(),
            ),
            tag_map: digest(
                &rooms
                    .iter()
                    .filter(|r| !r.tags.is_empty())
                    .map(|r| (r.key.as_str(), r.tags.iter().map(Tag::as_str).collect::<BTreeSet<_>>()))
                    .collect::<Vec<_>>(),
            ),
        }
    }

    /// Applies a push: all of it, or nothing of it. `None` where it changes nothing: that spends no
    /// version (reliability.md P7).
    ///
    /// # Errors
    /// When the state would grow beyond its limits.
    pub fn apply(&mut self, push: Push) -> Result<Option<Change>, Refused> {
        let mut states = Vec::new();
        let mut newcomers = Vec::new();
        for (name, occupation) in push.states {
            match self.pc_ids.get(&name) {
                Some(id) if self.pc(*id).occupation == occupation => continue,
                Some(_) => {}
                None => newcomers.push(name.clone()),
            }
            states.push((name, occupation));
        }
        if states.is_empty() {
            return Ok(None);
        }
        if !self.sources.contains(&push.source) && self.sources.len() >= self.growth.sources {
            return Err(Refused::Sources { limit: self.growth.sources });
        }
        let newcomers = self.places_of(newcomers)?;

        self.sources.insert(push.source.clone());
        self.versions.occupation = self.versions.occupation.next();
        if !newcomers.is_empty() {
            self.versions.room_map = self.versions.room_map.next();
        }
        let version = self.versions.occupation;
        let rooms_before = self.order.len();
        let (mut occupied, mut grown) = (RoomSet::new(), RoomSet::new());
        let mut newcomers = newcomers.into_iter();
        let mut places = Vec::with_capacity(states.len());
        for (name, occupation) in &states {
            let room = match self.pc_ids.get(name).copied() {
                Some(id) => {
                    self.pcs[id.0 as usize].since = Some(push.at);
                    self.set(id, *occupation, version)
                }
                None => {
                    // The newcomers stand in the order of the push.
                    let key = newcomers.next().map_or_else(RoomKey::none, |(_, key)| key);
                    let room = self.add_pc(name.clone(), key, *occupation, version);
                    if let Some(pc) = self.pcs.last_mut() {
                        pc.since = Some(push.at);
                    }
                    self.room_mut(room).changed.room_map = self.versions.room_map;
                    grown.insert(room);
                    room
                }
            };
            self.room_mut(room).changed.occupation = version;
            occupied.insert(room);
            places.push(room);
        }
        Ok(Some(Change {
            versions: self.versions,
            at: push.at,
            source: push.source,
            states: states.into(),
            room_appeared: self.order.len() > rooms_before,
            places,
            occupied,
            grown,
        }))
    }

    /// Takes over what is reserved today; rooms that are not named have no reservations. Returns the
    /// rooms whose reservations are others now; none: no version was spent.
    pub fn set_schedule(&mut self, schedule: &HashMap<RoomKey, Vec<Reservation>>) -> Option<RoomSet> {
        const NONE: &Vec<Reservation> = &Vec::new();
        let new = |room: &Room| schedule.get(&room.key).unwrap_or(NONE).clone();
        let rooms = self.rooms_in(&RoomSet::All);
        let changed: Vec<RoomId> =
            rooms.filter(|(_, room)| room.schedule != new(room)).map(|(id, _)| id).collect();
        if changed.is_empty() {
            return None;
        }
        self.versions.schedule = self.versions.schedule.next();
        for id in &changed {
            let (schedule, version) = (new(self.room(*id)), self.versions.schedule);
            let room = self.room_mut(*id);
            room.schedule = schedule;
            room.changed.schedule = version;
        }
        Some(changed.into_iter().collect())
    }

    /// The rooms there are, by key and name.
    pub fn rooms(&self) -> Vec<(RoomKey, String)> {
        self.rooms_in(&RoomSet::All).map(|(_, room)| (room.key.clone(), room.name.clone())).collect()
    }

    /// From now on rooms and tags are those of a master.
    pub fn set_following(&mut self) {
        self.follows = true;
    }

    /// `filter` without the tags that no room carries. In a mirror some of those are kept: its master may not have
    /// been heard yet, and a filter that has lost its tags lets nothing pass for ever (reliability.md F4).
    pub fn known(&self, filter: &TagFilter) -> TagFilter {
        const MAX_UNKNOWN: usize = 16;
        let TagFilter::Tags(tags) = filter else { return TagFilter::Everything };
        let mut unknown = if self.follows { MAX_UNKNOWN } else { 0 };
        // Of what is known the one that rooms have: a filter is kept longer than its request.
        let keep = |tag: &Tag| {
            let known = self.tags.iter().find(|known| *known == tag);
            let kept = known.or_else(|| (unknown > 0).then_some(tag));
            unknown -= usize::from(kept.is_some() && known.is_none());
            kept.cloned()
        };
        TagFilter::Tags(tags.iter().filter_map(keep).collect())
    }

    /// The rooms that pass a filter.
    pub(super) fn passing(&self, filter: &TagFilter) -> RoomSet {
        match filter {
            TagFilter::Everything => RoomSet::All,
            TagFilter::Tags(_) => self
                .rooms_in(&RoomSet::All)
                .filter(|(_, room)| filter.passes(&room.tags))
                .map(|(id, _)| id)
                .collect(),
        }
    }

    /// The versions of the last change that one with `filter` would have heard of.
    pub(super) fn last_change(&self, filter: &Filter) -> Versions {
        let last = |filter: &TagFilter, of: fn(&Room) -> Version| {
            let rooms = self.passing(filter);
            self.rooms_in(&rooms).map(|(_, room)| of(room)).max().unwrap_or_default()
        };
        Versions {
            occupation: last(&filter.occupation, |room| room.changed.occupation),
            room_map: last(&filter.room_map, |room| room.changed.room_map).max(self.rearranged.room_map),
            schedule: last(&filter.schedule, |room| room.changed.schedule).max(self.rearranged.schedule),
            tag_map: self.versions.tag_map,
        }
    }

    /// The rooms that new PCs imply, if there is place for all of them. The rules are asked only of as
    /// many as there is place for: a push may name tens of thousands.
    fn places_of(&self, newcomers: Vec<PcName>) -> Result<Vec<(PcName, RoomKey)>, Refused> {
        let mut room_for = self.growth.pcs.saturating_sub(self.pcs.len());
        let mut rooms_for = self.growth.rooms.saturating_sub(self.order.len());
        let mut new_rooms = HashSet::new();
        let mut refused = Vec::new();
        let mut placed = Vec::new();
        for name in newcomers {
            if room_for == 0 {
                refused.push((name, NoPlace::Pcs(self.growth.pcs)));
                continue;
            }
            let key = self.placements.get(&name).cloned().unwrap_or_else(|| self.rules.room_of(&name));
            if !self.room_ids.contains_key(&key) && !new_rooms.contains(&key) {
                if rooms_for == 0 {
                    refused.push((name, NoPlace::Rooms(self.growth.rooms)));
                    continue;
                }
                rooms_for -= 1;
                new_rooms.insert(key.clone());
            }
            room_for -= 1;
            placed.push((name, key));
        }
        if refused.is_empty() { Ok(placed) } else { Err(Refused::Pcs { names: refused }) }
    }

    fn add_room(&mut self, plan: RoomPlan) -> RoomId {
        let id = self.free.pop().unwrap_or(RoomId(self.rooms.len() as u32));
        self.room_ids.insert(plan.key.clone(), id);
        self.order.push(id);
        let room = Room {
            key: plan.key,
            name: plan.name,
            tags: plan.tags,
            pcs: Vec::new(),
            schedule: Vec::new(),
            changed: self.versions,
        };
        match self.rooms.get_mut(id.0 as usize) {
            Some(place) => *place = room,
            None => self.rooms.push(room),
        }
        id
    }

    /// A room that is not listed appears by itself, with its key as its name, untagged.
    fn add_pc(&mut self, name: PcName, key: RoomKey, occupation: Occupation, changed: Version) -> RoomId {
        let room = match self.room_ids.get(&key) {
            Some(room) => *room,
            None => self.add_room(RoomPlan::unlisted(key)),
        };
        let id = PcId(self.pcs.len() as u32);
        let pcs = &self.rooms[room.0 as usize].pcs;
        let at = pcs.partition_point(|other| self.pc(*other).name < name);
        self.rooms[room.0 as usize].pcs.insert(at, id);
        self.pc_ids.insert(name.clone(), id);
        self.by_change.insert((changed, id));
        self.pcs.push(Pc { name, room, occupation, changed, since: None });
        room
    }

    fn set(&mut self, id: PcId, occupation: Occupation, version: Version) -> RoomId {
        let pc = &mut self.pcs[id.0 as usize];
        self.by_change.remove(&(pc.changed, id));
        self.by_change.insert((version, id));
        pc.occupation = occupation;
        pc.changed = version;
        pc.room
    }

    fn pc(&self, id: PcId) -> &Pc {
        &self.pcs[id.0 as usize]
    }

    fn room_mut(&mut self, id: RoomId) -> &mut Room {
        &mut self.rooms[id.0 as usize]
    }

    fn room(&self, id: RoomId) -> &Room {
        &self.rooms[id.0 as usize]
    }

    fn rooms_in<'a>(&'a self, rooms: &'a RoomSet) -> impl Iterator<Item = (RoomId, &'a Room)> {
        self.order.iter().filter(|id| rooms.contains(**id)).map(|id| (*id, self.room(*id)))
    }
}

/// Fingerprints of the roomMap, the schedule and the tagMap. Equal ones mean equal content, in this
/// build; another build's may differ, which spends a version without need and does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// Of the rooms, their names and the PCs in them.
    pub room_map: u64,
    /// Of what is reserved.
    pub schedule: u64,
    /// Of the tags of the rooms.
    pub tag_map: u64,
}

#[cfg(test)]
mod tests;
