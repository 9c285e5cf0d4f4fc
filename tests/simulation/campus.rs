//! A campus drawn at random: its rooms, rules and limits, and what may be reported of it and asked.

use super::random::Random;
use super::truth::RULES as RULES_THERE_ARE;
use regex::Regex;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;
use tkbd::core::message::HistoricRange;
use tkbd::core::pc::{Occupation, PcName};
use tkbd::core::poll::Ask;
use tkbd::core::room::{RoomKey, RoomPlan, Rule, Rules};
use tkbd::core::schedule::{Reservation, TimeOfDay};
use tkbd::core::state::Growth;
use tkbd::core::tag::{FilterChange, Tag, TagFilter};

const TAGS: [&str; 4] = ["a", "b", "c", "d"];
/// Rooms that no setup lists.
const UNLISTED: [&str; 4] = ["u0", "u1", "u2", "u3"];

/// What `truth::room_of` says under each of the `truth::RULES`, as the setup would say it.
pub(crate) fn rules(number: usize) -> Rules {
    const BEGIN: [(&str, &str); 2] = [("^cz|docent$", "none"), ("^(.*?)pc", "$1")];
    static RULES: LazyLock<[Rules; RULES_THERE_ARE]> = LazyLock::new(|| {
        let of = |first: &[(&str, &str)], bib: &str| Rules {
            rules: [first, &BEGIN]
                .concat()
                .into_iter()
                .map(|(pattern, room)| Rule { pattern: Regex::new(pattern).unwrap(), room: room.into() })
                .collect(),
            aliases: HashMap::from([(RoomKey::parse("bib").unwrap(), RoomKey::parse(bib).unwrap())]),
        };
        [of(&[], "r0"), of(&[("^printer", "u0")], "r1"), of(&[("^u", "none"), ("^r1", "r2")], "r0")]
    });
    RULES[number].clone()
}

pub(crate) fn plan(random: &mut Random) -> Vec<RoomPlan> {
    let mut keys: Vec<String> = (0..random.between(1, 6)).map(|i| format!("r{i}")).collect();
    if random.chance(50) {
        keys.push("none".into());
    }
    keys.iter()
        .map(|key| RoomPlan {
            key: RoomKey::parse(key).unwrap(),
            name: format!("Room {key}"),
            tags: tags(random, 3),
        })
        .collect()
}

/// Some of the same rooms, others of them renamed, with other tags, in another order, gone or new.
pub(crate) fn reloaded(random: &mut Random, plan: &[RoomPlan]) -> Vec<RoomPlan> {
    let mut plan = plan.to_vec();
    for _ in 0..random.between(0, 3) {
        let at = random.below(plan.len());
        match random.below(6) {
            0 => plan[at].name.push('*'),
            1 | 2 => plan[at].tags = tags(random, 3),
            3 if plan.len() > 1 => drop(plan.remove(at)),
            4 => plan.swap(0, at),
            _ => {
                let key: &str = random.pick::<&str>(&["r0", "r1", "r3", "r5", "u0", "u1", "n0", "none"]);
                let key = RoomKey::parse(key).unwrap();
                if plan.iter().all(|room| room.key != key) {
                    plan.push(RoomPlan { name: format!("Room {key}"), key, tags: tags(random, 3) });
                }
            }
        }
    }
    plan
}

/// The same rooms, one of them renamed or with other tags.
pub(crate) fn other_plan(random: &mut Random, plan: &[RoomPlan]) -> Vec<RoomPlan> {
    let mut plan = plan.to_vec();
    let at = random.below(plan.len());
    match random.below(3) {
        0 => plan[at].name.push('*'),
        1 => plan[at].tags = tags(random, 3),
        _ => {}
    }
    plan
}

pub(crate) fn growth(random: &mut Random, rooms: usize) -> Growth {
    Growth { pcs: random.between(5, 60), rooms: rooms + random.below(4), sources: random.between(1, 3) }
}

fn tags(random: &mut Random, most: usize) -> Vec<Tag> {
    let mut tags = Vec::new();
    for _ in 0..random.between(0, most) {
        let name: &str = random.pick::<&str>(&TAGS);
        let tag = Tag::parse(name).unwrap();
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

/// States of one to forty PCs; where it is `familiar`, few of them new.
pub(crate) fn states(random: &mut Random, familiar: &[PcName]) -> Vec<(PcName, Occupation)> {
    let count = if random.chance(70) { random.between(1, 5) } else { random.between(1, 40) };
    let mut named = HashSet::new();
    let mut states = Vec::new();
    for _ in 0..count {
        let pc = if !familiar.is_empty() && random.chance(90) {
            random.pick(familiar).clone()
        } else {
            pc(random)
        };
        if named.insert(pc.clone()) {
            states.push((pc, *random.pick(&Occupation::ALL[..4])));
        }
    }
    states
}

fn pc(random: &mut Random) -> PcName {
    let number = random.below(9);
    let name = match random.below(20) {
        0 => format!("printer{number}"),
        1 => format!("czpc{number}"),
        2 => format!("R1PC{number}docent"),
        3 => format!("bibpc{number}"),
        4 => format!("pc{number}"),
        5 | 6 => format!("{}pc{number}", random.pick(&UNLISTED)),
        _ => format!("R{}pc{number}", random.below(6)),
    };
    PcName::parse(&name).unwrap()
}

pub(crate) fn schedule(random: &mut Random) -> HashMap<RoomKey, Vec<Reservation>> {
    if random.chance(20) {
        return HashMap::new();
    }
    let keys = ["r0", "r1", "r2", "r3", "u0", "none", "nowhere"];
    let mut schedule = HashMap::new();
    for key in keys {
        if random.chance(40) {
            let reservation = |hour: usize| Reservation {
                start: TimeOfDay::new(hour as u8, 0).unwrap(),
                end: TimeOfDay::new(hour as u8, 45).unwrap(),
                text: format!("course {hour}"),
            };
            let list = (0..random.below(3)).map(|_| reservation(8 + random.below(3))).collect();
            schedule.insert(RoomKey::parse(key).unwrap(), list);
        }
    }
    schedule
}

/// What a request asks. An old slave sets its filter before it asks: of two roomMaps under different
/// filters in one reply it would keep the first.
pub(crate) fn asks(random: &mut Random, filters_first: bool) -> Vec<Ask> {
    if random.chance(40) {
        return Vec::new();
    }
    if random.chance(30) {
        // What the old page says first.
        let change = FilterChange {
            occupation: Some(filter(random)),
            room_map: Some(filter(random)),
            schedule: Some(filter(random)),
        };
        return vec![Ask::SetFilter(change), Ask::RoomMap, Ask::Schedule, Ask::Occupation];
    }
    let mut asks: Vec<Ask> = (0..random.between(1, 4)).map(|_| ask(random)).collect();
    if filters_first {
        asks.sort_by_key(|ask| !matches!(ask, Ask::SetFilter(_)));
    }
    asks
}

fn ask(random: &mut Random) -> Ask {
    match random.below(12) {
        0 | 1 => Ask::Occupation,
        2 => Ask::RoomMap,
        3 => Ask::Schedule,
        4 => Ask::Tags,
        5 => Ask::TagMap,
        6 => Ask::HistoricUpdates(HistoricRange { offset: random.next() >> 1, count: 10 }),
        _ => Ask::SetFilter(FilterChange {
            occupation: random.chance(50).then(|| filter(random)),
            room_map: random.chance(50).then(|| filter(random)),
            schedule: random.chance(50).then(|| filter(random)),
        }),
    }
}

fn filter(random: &mut Random) -> TagFilter {
    match random.below(6) {
        0 | 1 => TagFilter::Everything,
        2 => TagFilter::nothing(),
        _ => {
            let mut tags: BTreeSet<Tag> = tags(random, 2).into_iter().collect();
            if random.chance(20) {
                tags.insert(Tag::parse("nobody").unwrap());
            }
            TagFilter::Tags(tags.into_iter().collect())
        }
    }
}
