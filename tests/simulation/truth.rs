//! The truth: what the state must be, kept in the simplest way there is. It shares no code with
//! `core::state`, and has no notion of what a channel has seen.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use tkbd::core::message::{Body, HistoricRange, Message};
use tkbd::core::pc::{Occupation, PcName};
use tkbd::core::push::{NoPlace, Refused};
use tkbd::core::room::{RoomKey, RoomPlan};
use tkbd::core::schedule::Reservation;
use tkbd::core::state::Growth;
use tkbd::core::tag::{Filter, FilterChange, Tag, TagFilter};
use tkbd::core::version::{Version, Versions};

pub(crate) type Occupations = BTreeMap<PcName, Occupation>;
pub(crate) type RoomMap = BTreeMap<RoomKey, (String, BTreeSet<PcName>)>;
pub(crate) type Reservations = BTreeMap<RoomKey, Vec<Reservation>>;

/// How many rules there are to choose from.
pub(crate) const RULES: usize = 3;

#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) tags: Vec<Tag>,
    pub(crate) reservations: Vec<Reservation>,
}

pub(crate) struct Truth {
    pub(crate) plan: Vec<RoomPlan>,
    /// Which of the rules count.
    pub(crate) rules: usize,
    pub(crate) growth: Growth,
    pub(crate) rooms: BTreeMap<RoomKey, Room>,
    pub(crate) pcs: BTreeMap<PcName, (RoomKey, Occupation)>,
    pub(crate) sources: BTreeSet<String>,
    pub(crate) versions: Versions,
}

/// What of a push is news.
pub(crate) struct News {
    pub(crate) changed: Vec<(PcName, Occupation)>,
    /// The rooms that a new PC stands in.
    pub(crate) grown: BTreeSet<RoomKey>,
}

/// What another setup has made of the rooms.
pub(crate) struct Rearranged {
    before: BTreeMap<RoomKey, Room>,
    remade: BTreeSet<RoomKey>,
    pub(crate) retagged: bool,
    pub(crate) retold: BTreeSet<PcName>,
}

impl Rearranged {
    /// Whether the roomMap, and whether the schedule is another under a filter.
    pub(crate) fn concerns(&self, filter: &Filter, truth: &Truth) -> (bool, bool) {
        let then = |filter: &TagFilter| passing(&self.before, filter);
        let now = |filter: &TagFilter| passing(&truth.rooms, filter);
        let (before, after) = (then(&filter.room_map), now(&filter.room_map));
        let is_remade = before != after || !after.is_disjoint(&self.remade);
        let differ: BTreeSet<RoomKey> = &then(&filter.schedule) ^ &now(&filter.schedule);
        let reserved = |key: &RoomKey| self.before.get(key).is_some_and(|room| !room.reservations.is_empty());
        (is_remade, differ.iter().any(reserved))
    }
}

fn passing(rooms: &BTreeMap<RoomKey, Room>, filter: &TagFilter) -> BTreeSet<RoomKey> {
    let passes = |room: &Room| match filter {
        TagFilter::Everything => true,
        TagFilter::Tags(tags) => room.tags.iter().any(|tag| tags.contains(tag.as_str())),
    };
    rooms.iter().filter(|(_, room)| passes(room)).map(|(key, _)| key.clone()).collect()
}

impl Truth {
    pub(crate) fn new(plan: Vec<RoomPlan>, growth: Growth) -> Truth {
        let mut truth = Truth {
            plan: Vec::new(),
            rules: 0,
            growth,
            rooms: BTreeMap::new(),
            pcs: BTreeMap::new(),
            sources: BTreeSet::new(),
            versions: Versions::default(),
        };
        truth.replan(plan);
        truth
    }

    /// The setup was changed and the daemon started again: what is reserved is not known any more.
    pub(crate) fn replan(&mut self, plan: Vec<RoomPlan>) {
        let before =
            (self.room_map(&TagFilter::Everything), self.schedule(&TagFilter::Everything), self.tag_map());
        let first = self.plan.is_empty();
        self.rooms = plan
            .iter()
            .map(|room| {
                let (name, tags) = (room.name.clone(), room.tags.clone());
                (room.key.clone(), Room { name, tags, reservations: Vec::new() })
            })
            .collect();
        self.plan = plan;
        let keys: Vec<RoomKey> = self.pcs.values().map(|(room, _)| room.clone()).collect();
        for key in keys {
            self.make_room(&key);
        }
        if first {
            return;
        }
        let after =
            (self.room_map(&TagFilter::Everything), self.schedule(&TagFilter::Everything), self.tag_map());
        bump(&mut self.versions.room_map, before.0 != after.0);
        bump(&mut self.versions.schedule, before.1 != after.1);
        bump(&mut self.versions.tag_map, before.2 != after.2);
    }

    /// The setup was changed and read again: reservations stay with their rooms.
    pub(crate) fn reload(&mut self, plan: Vec<RoomPlan>, rules: usize) -> Option<Rearranged> {
        let before = std::mem::take(&mut self.rooms);
        let listed = plan.iter().map(|room| (room.key.clone(), room.name.clone(), room.tags.clone()));
        let mut rooms: Vec<(RoomKey, String, Vec<Tag>)> = listed.collect();
        let (mut moved, mut remade) = (BTreeSet::new(), BTreeSet::new());
        for (pc, (room, _)) in &mut self.pcs {
            let now = room_of(pc, rules);
            if now != *room {
                remade.extend([room.clone(), now.clone()]);
                moved.insert(pc.clone());
                *room = now;
            }
            if rooms.iter().all(|(key, ..)| key != room) {
                rooms.push((room.clone(), room.as_str().into(), Vec::new()));
            }
        }
        for (key, name, tags) in rooms {
            let reservations = before.get(&key).map(|room| room.reservations.clone()).unwrap_or_default();
            self.rooms.insert(key, Room { name, tags, reservations });
        }
        (self.plan, self.rules) = (plan, rules);
        let keys: BTreeSet<RoomKey> = before.keys().chain(self.rooms.keys()).cloned().collect();
        let mut retagged = BTreeSet::new();
        for key in keys {
            let (then, now) = (before.get(&key), self.rooms.get(&key));
            let tags =
                |room: Option<&Room>| room.iter().flat_map(|room| room.tags.clone()).collect::<BTreeSet<_>>();
            if tags(then) != tags(now) {
                retagged.insert(key.clone());
            }
            if then.map(|room| &room.name) != now.map(|room| &room.name) {
                remade.insert(key);
            }
        }
        if remade.is_empty() && retagged.is_empty() {
            return None;
        }
        let mut retold = moved;
        let told = self.pcs.iter().filter(|(_, (room, _))| retagged.contains(room));
        retold.extend(told.map(|(pc, _)| pc.clone()));
        let gone = |key: &RoomKey| !self.rooms.contains_key(key) || retagged.contains(key);
        let rescheduled = before.iter().any(|(key, room)| gone(key) && !room.reservations.is_empty());
        bump(&mut self.versions.occupation, !retold.is_empty());
        bump(&mut self.versions.room_map, true);
        bump(&mut self.versions.schedule, rescheduled);
        bump(&mut self.versions.tag_map, !retagged.is_empty());
        Some(Rearranged { before, remade, retagged: !retagged.is_empty(), retold })
    }

    pub(crate) fn push(
        &mut self,
        source: &str,
        states: &[(PcName, Occupation)],
    ) -> Result<Option<News>, Refused> {
        let changed: Vec<_> = states
            .iter()
            .filter(|(pc, to)| self.pcs.get(pc).is_none_or(|(_, is)| is != to))
            .cloned()
            .collect();
        if changed.is_empty() {
            return Ok(None);
        }
        if !self.sources.contains(source) && self.sources.len() == self.growth.sources {
            return Err(Refused::Sources { limit: self.growth.sources });
        }
        let mut names = Vec::new();
        let (mut pcs, mut rooms) = (self.pcs.len(), self.rooms.len());
        let mut new_rooms = BTreeSet::new();
        for (pc, _) in changed.iter().filter(|(pc, _)| !self.pcs.contains_key(pc)) {
            let room = room_of(pc, self.rules);
            let is_new_room = !self.rooms.contains_key(&room) && !new_rooms.contains(&room);
            if pcs == self.growth.pcs {
                names.push((pc.clone(), NoPlace::Pcs(self.growth.pcs)));
            } else if is_new_room && rooms >= self.growth.rooms {
                names.push((pc.clone(), NoPlace::Rooms(self.growth.rooms)));
            } else {
                pcs += 1;
                if is_new_room {
                    rooms += 1;
                    new_rooms.insert(room);
                }
            }
        }
        if !names.is_empty() {
            return Err(Refused::Pcs { names });
        }
        self.sources.insert(source.into());
        let mut grown = BTreeSet::new();
        for (pc, to) in &changed {
            let room = room_of(pc, self.rules);
            if self.pcs.insert(pc.clone(), (room.clone(), *to)).is_none() {
                self.make_room(&room);
                grown.insert(room);
            }
        }
        bump(&mut self.versions.occupation, true);
        bump(&mut self.versions.room_map, !grown.is_empty());
        Ok(Some(News { changed, grown }))
    }

    /// The rooms whose reservations are others now.
    pub(crate) fn set_schedule(
        &mut self,
        schedule: &HashMap<RoomKey, Vec<Reservation>>,
    ) -> BTreeSet<RoomKey> {
        let mut changed = BTreeSet::new();
        for (key, room) in &mut self.rooms {
            let new = schedule.get(key).cloned().unwrap_or_default();
            if room.reservations != new {
                room.reservations = new;
                changed.insert(key.clone());
            }
        }
        bump(&mut self.versions.schedule, !changed.is_empty());
        changed
    }

    pub(crate) fn passes(&self, filter: &TagFilter, room: &RoomKey) -> bool {
        match filter {
            TagFilter::Everything => true,
            TagFilter::Tags(tags) => self.rooms[room].tags.iter().any(|tag| tags.contains(tag.as_str())),
        }
    }

    pub(crate) fn pc_passes(&self, filter: &TagFilter, pc: &PcName) -> bool {
        self.passes(filter, &self.pcs[pc].0)
    }

    pub(crate) fn occupation(&self, filter: &TagFilter) -> Occupations {
        let passing = self.pcs.iter().filter(|(_, (room, _))| self.passes(filter, room));
        passing.map(|(pc, (_, is))| (pc.clone(), *is)).collect()
    }

    pub(crate) fn room_map(&self, filter: &TagFilter) -> RoomMap {
        let mut map: RoomMap = self
            .rooms
            .iter()
            .filter(|(key, _)| self.passes(filter, key))
            .map(|(key, room)| (key.clone(), (room.name.clone(), BTreeSet::new())))
            .collect();
        for (pc, (room, _)) in &self.pcs {
            if let Some((_, pcs)) = map.get_mut(room) {
                pcs.insert(pc.clone());
            }
        }
        map
    }

    pub(crate) fn schedule(&self, filter: &TagFilter) -> Reservations {
        let reserved = self.rooms.iter().filter(|(_, room)| !room.reservations.is_empty());
        reserved
            .filter(|(key, _)| self.passes(filter, key))
            .map(|(key, room)| (key.clone(), room.reservations.clone()))
            .collect()
    }

    pub(crate) fn tags(&self) -> BTreeSet<Tag> {
        self.plan.iter().flat_map(|room| room.tags.clone()).collect()
    }

    pub(crate) fn tag_map(&self) -> BTreeMap<Tag, BTreeSet<RoomKey>> {
        let mut map = BTreeMap::<Tag, BTreeSet<RoomKey>>::new();
        for (key, room) in &self.rooms {
            for tag in &room.tags {
                map.entry(tag.clone()).or_default().insert(key.clone());
            }
        }
        map
    }

    /// What is not set stays as it was, also where its tags are carried no more: another setup may have them again.
    pub(crate) fn changed_filter(&self, old: &Filter, change: &FilterChange) -> Filter {
        let new = |change: &Option<TagFilter>, old: &TagFilter| {
            change.as_ref().map_or_else(|| old.clone(), |filter| self.known(filter))
        };
        Filter {
            occupation: new(&change.occupation, &old.occupation),
            room_map: new(&change.room_map, &old.room_map),
            schedule: new(&change.schedule, &old.schedule),
        }
    }

    /// `filter` without tags that no room carries.
    fn known(&self, filter: &TagFilter) -> TagFilter {
        let tags = self.tags();
        match filter {
            TagFilter::Everything => TagFilter::Everything,
            TagFilter::Tags(of) => {
                TagFilter::Tags(of.iter().filter(|tag| tags.contains(*tag)).cloned().collect())
            }
        }
    }

    fn make_room(&mut self, key: &RoomKey) {
        self.rooms.entry(key.clone()).or_insert_with(|| Room {
            name: key.as_str().into(),
            tags: Vec::new(),
            reservations: Vec::new(),
        });
    }
}

fn bump(version: &mut Version, changed: bool) {
    version.0 += u64::from(changed);
}

/// The rules of the simulated campus (`campus::rules`), in words.
pub(crate) fn room_of(pc: &PcName, rules: usize) -> RoomKey {
    let name = pc.as_str();
    match (rules, name.as_bytes()) {
        (1, [b'p', b'r', ..]) => return RoomKey::parse("u0").unwrap(),
        (2, [b'u', ..]) => return RoomKey::none(),
        (2, [b'r', b'1', ..]) => return RoomKey::parse("r2").unwrap(),
        _ => {}
    }
    if name.starts_with("cz") || name.ends_with("docent") {
        return RoomKey::none();
    }
    match name.split_once("pc") {
        None | Some(("", _)) => RoomKey::none(),
        Some(("bib", _)) => RoomKey::parse(if rules == 1 { "r1" } else { "r0" }).unwrap(),
        Some((room, _)) => RoomKey::parse(room).unwrap(),
    }
}

/// A message in a form that does not depend on the order inside its lists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Welcome,
    Tags(Version, BTreeSet<Tag>),
    TagMap(Version, BTreeMap<Tag, BTreeSet<RoomKey>>),
    Occupation(Version, Occupations),
    Update(Version, Occupations),
    RoomMap(Version, RoomMap),
    Schedule(Version, Reservations),
    Historic(HistoricRange),
}

impl Said {
    pub(crate) fn of(message: &Message) -> Said {
        let said = match message.body() {
            Body::Welcome => Said::Welcome,
            Body::Tags { version, tags } => {
                let set: BTreeSet<_> = tags.iter().cloned().collect();
                assert_eq!(set.len(), tags.len(), "a tag is named twice: {tags:?}");
                Said::Tags(*version, set)
            }
            Body::TagMap { version, tag_map } => {
                let once = |(tag, rooms): &(Tag, Vec<RoomKey>)| {
                    let set: BTreeSet<_> = rooms.iter().cloned().collect();
                    assert_eq!(set.len(), rooms.len(), "a tagMap names a room twice: {rooms:?}");
                    (tag.clone(), set)
                };
                Said::TagMap(*version, tag_map.iter().map(once).collect())
            }
            Body::Occupation { version, occupation } => Said::Occupation(*version, once(occupation)),
            Body::OccupationUpdate { version, update } => Said::Update(*version, once(update)),
            Body::RoomMap { version, room_map } => {
                let rooms: Vec<_> = room_map
                    .iter()
                    .map(|room| {
                        assert!(room.pcs.is_sorted(), "the PCs of a room stand in the order of their names");
                        let pcs: BTreeSet<_> = room.pcs.iter().cloned().collect();
                        assert_eq!(pcs.len(), room.pcs.len(), "a roomMap names a PC twice");
                        (room.key.clone(), (room.name.clone(), pcs))
                    })
                    .collect();
                Said::RoomMap(*version, once(&rooms))
            }
            Body::Schedule { version, schedule } => Said::Schedule(*version, once(schedule)),
            Body::HistoricUpdates(range) => Said::Historic(*range),
        };
        assert_eq!(
            message.bears_occupation(),
            matches!(said, Said::Occupation(..) | Said::Update(..)),
            "{said:?}"
        );
        said
    }

    pub(crate) fn bears_occupation(&self) -> bool {
        matches!(self, Said::Occupation(..) | Said::Update(..))
    }
}

fn once<K: Ord + Clone, V: Clone>(list: &[(K, V)]) -> BTreeMap<K, V> {
    let map: BTreeMap<K, V> = list.iter().cloned().collect();
    assert_eq!(map.len(), list.len(), "a message names something twice");
    map
}
