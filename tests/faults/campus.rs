//! A small campus, drawn at random, and what the daemon must make of what it is told: the truth, kept in the simplest
//! way there is. Of the states it knows only the rows of the history.

use super::random::Random;
use super::truth::{Occupations, Reservations, RoomMap, room_of};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use tkbd::core::message::RoomEntry;
use tkbd::core::pc::{Occupation, PcName};
use tkbd::core::room::{RoomKey, RoomPlan};
use tkbd::core::schedule::{Reservation, TimeOfDay};
use tkbd::core::state::{Growth, Lead};
use tkbd::core::tag::{Tag, TagFilter};

const TAGS: [&str; 2] = ["x", "y"];

/// The rooms that the setup lists.
pub(crate) fn plan() -> Vec<RoomPlan> {
    let room = |key: &str, tags: &[&str]| RoomPlan {
        key: RoomKey::parse(key).unwrap(),
        name: format!("Room {key}"),
        tags: tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect(),
    };
    vec![room("a", &["x"]), room("b", &["x", "y"]), room("none", &[])]
}

/// One row of the history, as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) pc: PcName,
    pub(crate) source: String,
    pub(crate) at: i64,
    pub(crate) occupation: Occupation,
}

struct Room {
    name: String,
    tags: BTreeSet<Tag>,
    reservations: Vec<Reservation>,
}

pub(crate) struct Campus {
    growth: Growth,
    rooms: BTreeMap<RoomKey, Room>,
    pub(crate) pcs: BTreeMap<PcName, (RoomKey, Occupation)>,
    placements: HashMap<PcName, RoomKey>,
    pub(crate) sources: BTreeSet<String>,
}

impl Campus {
    /// What a start makes of the rows that are on the disk.
    pub(crate) fn of_rows(growth: Growth, rows: &[Row]) -> Campus {
        let rooms = plan().into_iter().map(|room| {
            let tags = room.tags.into_iter().collect();
            (room.key, Room { name: room.name, tags, reservations: Vec::new() })
        });
        let mut campus = Campus {
            growth,
            rooms: rooms.collect(),
            pcs: BTreeMap::new(),
            placements: HashMap::new(),
            sources: BTreeSet::new(),
        };
        for row in rows {
            campus.sources.insert(row.source.clone());
            campus.set(&row.pc, row.occupation);
        }
        campus
    }

    /// What of a push is news; none where it must be refused.
    pub(crate) fn push(
        &mut self,
        source: &str,
        states: &[(PcName, Occupation)],
    ) -> Option<Vec<(PcName, Occupation)>> {
        let is_news = |(pc, to): &&(PcName, Occupation)| self.pcs.get(pc).is_none_or(|(_, is)| is != to);
        let news: Vec<_> = states.iter().filter(is_news).cloned().collect();
        let new_pcs = news.iter().filter(|(pc, _)| !self.pcs.contains_key(pc)).count();
        let too_many = new_pcs > 0 && self.pcs.len() + new_pcs > self.growth.pcs;
        let unknown = !self.sources.contains(source) && self.sources.len() >= self.growth.sources;
        if !news.is_empty() && (too_many || unknown) {
            return None;
        }
        if !news.is_empty() {
            self.sources.insert(source.to_owned());
        }
        news.iter().for_each(|(pc, to)| self.set(pc, *to));
        Some(news)
    }

    pub(crate) fn set_schedule(&mut self, schedule: &HashMap<RoomKey, Vec<Reservation>>) {
        for (key, room) in &mut self.rooms {
            room.reservations = schedule.get(key).cloned().unwrap_or_default();
        }
    }

    pub(crate) fn follow(&mut self, lead: &Lead) {
        self.placements.clear();
        for entry in &lead.rooms {
            self.room(&entry.key).name.clone_from(&entry.name);
            for pc in &entry.pcs {
                self.placements.entry(pc.clone()).or_insert_with(|| entry.key.clone());
            }
        }
        for (pc, (room, _)) in &mut self.pcs {
            if let Some(to) = self.placements.get(pc) {
                room.clone_from(to);
            }
        }
        let Some(tags) = &lead.tags else { return };
        for entry in &lead.rooms {
            let carried = tags.iter().filter(|(_, rooms)| rooms.contains(&entry.key));
            self.room(&entry.key).tags = carried.map(|(tag, _)| tag.clone()).collect();
        }
    }

    pub(crate) fn room_map(&self, filter: &TagFilter) -> RoomMap {
        let passing = self.rooms.iter().filter(|(key, _)| self.passes(filter, key));
        let mut map: RoomMap =
            passing.map(|(key, room)| (key.clone(), (room.name.clone(), BTreeSet::new()))).collect();
        for (pc, (room, _)) in &self.pcs {
            if let Some((_, pcs)) = map.get_mut(room) {
                pcs.insert(pc.clone());
            }
        }
        map
    }

    pub(crate) fn schedule(&self, filter: &TagFilter) -> Reservations {
        let reserved = self.rooms.iter().filter(|(_, room)| !room.reservations.is_empty());
        let passing = reserved.filter(|(key, _)| self.passes(filter, key));
        passing.map(|(key, room)| (key.clone(), room.reservations.clone())).collect()
    }

    pub(crate) fn occupation(&self, filter: &TagFilter) -> Occupations {
        let passing = self.pcs.iter().filter(|(_, (room, _))| self.passes(filter, room));
        passing.map(|(pc, (_, is))| (pc.clone(), *is)).collect()
    }

    /// Fingerprints of all that has a version: occupation, roomMap, schedule, tagMap.
    pub(crate) fn prints(&self) -> [u64; 4] {
        let all = TagFilter::Everything;
        let states: Vec<_> = self.pcs.iter().map(|(pc, (_, is))| (pc.as_str(), is.code())).collect();
        let carrying = self.rooms.iter().filter(|(_, room)| !room.tags.is_empty());
        let tags: Vec<_> = carrying.map(|(key, room)| (key, &room.tags)).collect();
        [print(&states), print(&self.room_map(&all)), print(&self.schedule(&all)), print(&tags)]
    }

    fn passes(&self, filter: &TagFilter, room: &RoomKey) -> bool {
        match filter {
            TagFilter::Everything => true,
            TagFilter::Tags(tags) => self.rooms[room].tags.iter().any(|tag| tags.contains(tag.as_str())),
        }
    }

    fn set(&mut self, pc: &PcName, to: Occupation) {
        if let Some((_, is)) = self.pcs.get_mut(pc) {
            *is = to;
            return;
        }
        let room = self.placements.get(pc).cloned().unwrap_or_else(|| room_of(pc, 0));
        self.room(&room);
        self.pcs.insert(pc.clone(), (room, to));
    }

    fn room(&mut self, key: &RoomKey) -> &mut Room {
        let name = key.as_str().to_owned();
        let empty = || Room { name, tags: BTreeSet::new(), reservations: Vec::new() };
        self.rooms.entry(key.clone()).or_insert_with(empty)
    }
}

fn print(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// States of one to four PCs, or of all that there are; known ones mostly.
pub(crate) fn states(random: &mut Random) -> Vec<(PcName, Occupation)> {
    let count = if random.chance(80) { random.between(1, 4) } else { 14 };
    let mut states = BTreeMap::new();
    for _ in 0..count {
        states.insert(pc(random), *random.pick(&Occupation::ALL[..4]));
    }
    states.into_iter().collect()
}

fn pc(random: &mut Random) -> PcName {
    let room = random.pick(&["a", "a", "b", "b", "c", "m"]);
    PcName::parse(&format!("{room}pc{}", random.below(3))).unwrap()
}

pub(crate) fn schedule(random: &mut Random) -> HashMap<RoomKey, Vec<Reservation>> {
    let mut schedule = HashMap::new();
    for key in ["a", "b", "c"] {
        if random.chance(50) {
            let time = |hour: usize| TimeOfDay::new(hour as u8, 0).unwrap();
            let hour = 8 + random.below(4);
            let course =
                Reservation { start: time(hour), end: time(hour + 1), text: format!("course {hour}") };
            schedule.insert(RoomKey::parse(key).unwrap(), vec![course]);
        }
    }
    schedule
}

/// The rooms and tags of a master; never more than there is place for.
pub(crate) fn lead(random: &mut Random) -> Lead {
    let mut named = BTreeSet::new();
    let mut rooms = Vec::new();
    let mut tags = BTreeMap::<Tag, Vec<RoomKey>>::new();
    for key in ["a", "b", "c", "m"].map(|key| RoomKey::parse(key).unwrap()) {
        if random.chance(30) {
            continue;
        }
        let drawn: Vec<PcName> = (0..random.below(2)).map(|_| pc(random)).collect();
        let pcs = drawn.into_iter().filter(|pc| named.insert(pc.clone())).collect();
        rooms.push(RoomEntry { key: key.clone(), name: format!("{key} {}", random.below(3)), pcs });
        for tag in TAGS {
            if random.chance(50) {
                tags.entry(Tag::parse(tag).unwrap()).or_default().push(key.clone());
            }
        }
    }
    Lead { rooms, tags: random.chance(80).then_some(tags) }
}

pub(crate) fn filter(random: &mut Random) -> TagFilter {
    match random.below(4) {
        0 => TagFilter::Everything,
        1 => TagFilter::Tags(TAGS.iter().map(|tag| Tag::parse(tag).unwrap()).collect()),
        at => TagFilter::Tags([Tag::parse(TAGS[at - 2]).unwrap()].into()),
    }
}
