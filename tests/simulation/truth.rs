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

pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) tags: Vec<Tag>,
    pub(crate) reservations: Vec<Reservation>,
}

pub(crate) struct Truth {
    pub(crate) plan: Vec<RoomPlan>,
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

impl Truth {
    pub(crate) fn new(plan: Vec<RoomPlan>, growth: Growth) -> Truth {
        let mut truth = Truth {
            plan: Vec::new(),
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
            let room = room_of(pc);
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
            let room = room_of(pc);
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
            TagFilter::Tags(tags) => self.rooms[room].tags.iter().any(|tag| tags.contains(tag)),
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

    pub(crate) fn tags(&self) -> Vec<Tag> {
        let mut tags = Vec::new();
        for tag in self.plan.iter().flat_map(|room| &room.tags) {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        tags
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

    /// `filter` without tags that no room carries.
    pub(crate) fn known(&self, filter: &Filter) -> Filter {
        let tags = self.tags();
        let known = |filter: &TagFilter| match filter {
            TagFilter::Everything => TagFilter::Everything,
            TagFilter::Tags(of) => TagFilter::Tags(of.iter().filter(|t| tags.contains(t)).cloned().collect()),
        };
        Filter {
            occupation: known(&filter.occupation),
            room_map: known(&filter.room_map),
            schedule: known(&filter.schedule),
        }
    }

    pub(crate) fn changed_filter(&self, old: &Filter, change: &FilterChange) -> Filter {
        let new = |change: &Option<TagFilter>, old: &TagFilter| change.clone().unwrap_or_else(|| old.clone());
        self.known(&Filter {
            occupation: new(&change.occupation, &old.occupation),
            room_map: new(&change.room_map, &old.room_map),
            schedule: new(&change.schedule, &old.schedule),
        })
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
pub(crate) fn room_of(pc: &PcName) -> RoomKey {
    let name = pc.as_str();
    if name.starts_with("cz") || name.ends_with("docent") {
        return RoomKey::none();
    }
    match name.split_once("pc") {
        None | Some(("", _)) => RoomKey::none(),
        Some(("bib", _)) => RoomKey::parse("r0").unwrap(),
        Some((room, _)) => RoomKey::parse(room).unwrap(),
    }
}

/// A message in a form that does not depend on the order inside its lists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Welcome,
    Tags(Version, Vec<Tag>),
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
            Body::Tags { version, tags } => Said::Tags(*version, tags.clone()),
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
