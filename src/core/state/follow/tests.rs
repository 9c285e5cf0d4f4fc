//! What a lead changes, and what it leaves alone.

use super::*;
use crate::core::message::Body;
use crate::core::pc::{Occupation, PcName};
use crate::core::push::Push;
use crate::core::room::{Rule, Rules};
use crate::core::rooms::RoomSet;
use crate::core::schedule::{Reservation, TimeOfDay};
use crate::core::source::{Source, Timestamp};
use crate::core::state::{Growth, Plan, Remains};
use crate::core::tag::TagFilter;
use crate::core::version::{Version, Versions};
use regex::Regex;

fn key(text: &str) -> RoomKey {
    RoomKey::parse(text).unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

fn names(text: &str) -> Vec<PcName> {
    text.split_whitespace().map(|name| PcName::parse(name).unwrap()).collect()
}

/// Rooms as `key=Name: pc pc`.
fn lead(rooms: &[&str], tags: Option<&[(&str, &str)]>) -> Lead {
    let entry = |text: &&str| {
        let (room, pcs) = text.split_once(':').unwrap();
        let (room, name) = room.split_once('=').unwrap();
        RoomEntry { key: key(room), name: name.into(), pcs: names(pcs) }
    };
    let rooms_of = |text: &str| text.split_whitespace().map(key).collect();
    let tags = tags.map(|tags| tags.iter().map(|(name, rooms)| (tag(name), rooms_of(rooms))).collect());
    Lead { rooms: rooms.iter().map(entry).collect(), tags }
}

/// Rooms `own` (tag `o`) and `none`; a PC's room is what stands before its `pc`.
fn state() -> State {
    let room = |text: &str, tags: &[&str]| RoomPlan {
        key: key(text),
        name: text.to_uppercase(),
        tags: tags.iter().map(|name| tag(name)).collect(),
    };
    let plan = Plan {
        rooms: vec![room("own", &["o"]), room("none", &[])],
        rules: Rules {
            rules: vec![Rule { pattern: Regex::new("^(.+?)pc").unwrap(), room: "$1".into() }],
            ..Rules::default()
        },
        growth: Growth { pcs: 6, rooms: 5, sources: 1 },
    };
    State::new(plan, Remains::default())
}

fn push(state: &mut State, pcs: &str) {
    let states = names(pcs).into_iter().map(|name| (name, Occupation::Off)).collect();
    state.apply(Push::new(Source::unknown(), Timestamp(0), states).unwrap()).unwrap();
}

/// The rooms as `key=Name: pc pc`, in their order.
fn shown(state: &State) -> Vec<String> {
    let Body::RoomMap { room_map, .. } = state.room_map(&RoomSet::All) else { unreachable!() };
    let pcs = |room: &RoomEntry| room.pcs.iter().map(|pc| format!(" {pc}")).collect::<String>();
    room_map.iter().map(|room| format!("{}={}:{}", room.key, room.name, pcs(room))).collect()
}

fn versions(state: &State) -> [u64; 4] {
    let Versions { occupation, room_map, schedule, tag_map } = state.versions();
    [occupation.0, room_map.0, schedule.0, tag_map.0]
}

#[test]
fn each_lead_changes_what_differs_and_spends_its_versions_once() {
    // The lead; the rooms after it; by how much occupation, roomMap, schedule and tagMap rise.
    type Case<'a> = (&'a str, Lead, &'a [&'a str], [u64; 4]);
    let cases: [Case; 8] = [
        (
            "a room appears",
            lead(&["a=Aula:"], None),
            &["own=OWN: ownpc1", "none=NONE:", "a=Aula:"],
            [0, 1, 0, 0],
        ),
        (
            "a room is renamed",
            lead(&["own=Mine: ownpc1"], None),
            &["own=Mine: ownpc1", "none=NONE:"],
            [0, 1, 0, 0],
        ),
        (
            "a PC moves, and is told anew",
            lead(&["none=NONE: ownpc1"], None),
            &["own=OWN:", "none=NONE: ownpc1"],
            [1, 1, 0, 0],
        ),
        ("what is not named stays", lead(&[], Some(&[])), &["own=OWN: ownpc1", "none=NONE:"], [0; 4]),
        ("the same is nothing", lead(&["own=OWN: ownpc1"], None), &["own=OWN: ownpc1", "none=NONE:"], [0; 4]),
        (
            "PCs that are yet to appear are not shown",
            lead(&["own=OWN: ownpc1 x y"], Some(&[("o", "own")])),
            &["own=OWN: ownpc1", "none=NONE:"],
            [0; 4],
        ),
        (
            "other tags let other rooms pass: all in them is told anew",
            lead(&["own=OWN: ownpc1"], Some(&[("p", "own")])),
            &["own=OWN: ownpc1", "none=NONE:"],
            [1, 1, 1, 1],
        ),
        (
            "tags of a room without anything in it",
            lead(&["none=NONE:"], Some(&[("p", "none")])),
            &["own=OWN: ownpc1", "none=NONE:"],
            [0, 1, 0, 1],
        ),
    ];
    for (what, lead, rooms, rise) in cases {
        let mut state = state();
        push(&mut state, "ownpc1");
        let time = TimeOfDay::new(9, 0).unwrap();
        let reserved = vec![Reservation { start: time, end: time, text: "x".into() }];
        state.set_schedule(&[(key("own"), reserved)].into()).unwrap();
        let before = versions(&state);
        let (changed, skipped) = state.follow(&lead);
        assert_eq!(shown(&state), rooms, "{what}");
        let risen: Vec<u64> = versions(&state).iter().zip(before).map(|(now, then)| now - then).collect();
        assert_eq!(risen, rise, "{what}");
        assert_eq!((changed.is_some(), skipped), (rise != [0; 4], 0), "{what}");
        let (again, _) = state.follow(&lead);
        assert!(again.is_none(), "{what}, a second time");
    }
}

#[test]
fn a_pc_that_appears_later_stands_where_the_master_has_it() {
    let mut state = state();
    state.follow(&lead(&["a=A: ownpc7", "none=Elsewhere: apc1"], None));
    push(&mut state, "ownpc7 apc1 ownpc8");
    assert_eq!(shown(&state), ["own=OWN: ownpc8", "none=Elsewhere: apc1", "a=A: ownpc7"]);
}

#[test]
fn s3_beyond_its_limits_a_lead_is_taken_in_part() {
    let mut state = state();
    let (_, skipped) = state.follow(&lead(&["a=A: 1", "b=B: 2 1", "c=C: 3 4 5 6 7 8", "d=D: 9 10"], None));
    // PC 1 stands twice, 7 and 8 are beyond six PCs, and d is a sixth room.
    assert_eq!(skipped, 1 + 2 + 3);
    assert_eq!(shown(&state), ["own=OWN:", "none=NONE:", "a=A:", "b=B:", "c=C:"]);
    push(&mut state, "1 2 3 4 5 6");
    assert_eq!(shown(&state), ["own=OWN:", "none=NONE:", "a=A: 1", "b=B: 2", "c=C: 3 4 5 6"]);
}

#[test]
fn s3_a_room_takes_over_a_few_tags_each_once() {
    let mut state = state();
    let names: Vec<String> = (0..100).map(|n| format!("t{n:03}")).collect();
    let tags: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "own own none own")).collect();
    state.follow(&lead(&["own=OWN:"], Some(&tags)));
    let Body::TagMap { tag_map, .. } = state.tag_map() else { unreachable!() };
    let of_own = tag_map.iter().filter(|(_, rooms)| *rooms == [key("own")]).count();
    assert_eq!((tag_map.len(), of_own), (64, 64));
}

#[test]
fn who_hears_of_a_room_by_its_new_tag_is_told_of_the_pcs_in_it() {
    let mut state = state();
    push(&mut state, "ownpc1 ownpc2");
    let seen = state.versions().occupation;
    state.follow(&lead(&["own=OWN: ownpc1 ownpc2"], Some(&[("p", "own")])));
    let rooms = state.passing(&TagFilter::Tags([tag("p")].into()));
    let Body::OccupationUpdate { version, update } = state.occupation_since(&rooms, seen) else {
        unreachable!()
    };
    assert_eq!((version, update.len()), (Version(seen.0 + 1), 2));
    let Body::Tags { tags, .. } = state.tags() else { unreachable!() };
    assert_eq!(tags, [tag("p")]);
}

#[test]
fn a_mirror_keeps_a_few_tags_in_filters_that_its_master_may_yet_bring() {
    let filter = |tags: &[String]| TagFilter::Tags(tags.iter().map(|name| tag(name)).collect());
    let asked: Vec<String> = (0..100).map(|i| format!("t{i:03}")).chain(["o".into()]).collect();
    let mut state = state();
    assert_eq!(state.known(&filter(&asked)), filter(&["o".into()]));
    state.set_following();
    let TagFilter::Tags(kept) = state.known(&filter(&asked)) else { unreachable!() };
    assert!(kept.contains("o") && kept.contains("t000"));
    assert_eq!(kept.iter().len(), 16 + 1);
}
