//! What another setup changes, and what it leaves alone.

use super::*;
use crate::core::message::{Body, RoomEntry};
use crate::core::pc::Occupation;
use crate::core::push::Push;
use crate::core::room::Rule;
use crate::core::schedule::{Reservation, TimeOfDay};
use crate::core::source::{Source, Timestamp};
use crate::core::state::{Growth, Lead, Remains};
use crate::core::tag::{Tag, TagFilter};
use crate::core::version::Versions;
use regex::Regex;

fn key(text: &str) -> RoomKey {
    RoomKey::parse(text).unwrap()
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

/// Rooms as `key=Name: tag tag`; rules as `pattern>room`.
fn plan(rooms: &[&str], rules: &[&str]) -> Plan {
    let room = |text: &&str| {
        let (room, tags) = text.split_once(':').unwrap();
        let (room, name) = room.split_once('=').unwrap();
        RoomPlan { key: key(room), name: name.into(), tags: tags.split_whitespace().map(tag).collect() }
    };
    let rule = |text: &&str| {
        let (pattern, room) = text.split_once('>').unwrap();
        Rule { pattern: Regex::new(pattern).unwrap(), room: room.into() }
    };
    Plan {
        rooms: rooms.iter().map(room).collect(),
        rules: Rules { rules: rules.iter().map(rule).collect(), ..Rules::default() },
        growth: Growth { pcs: 9, rooms: 9, sources: 1 },
    }
}

const ROOMS: [&str; 3] = ["a=Aula: x", "b=Bibliotheek: x y", "none=NONE:"];
const BEFORE_PC: &str = "^(.)pc>$1";

fn push(state: &mut State, pcs: &str) {
    let states = pcs.split_whitespace().map(|name| (PcName::parse(name).unwrap(), Occupation::Off)).collect();
    state.apply(Push::new(Source::unknown(), Timestamp(0), states).unwrap()).unwrap();
}

fn reserve(state: &mut State, room: &str) {
    let time = TimeOfDay::new(9, 0).unwrap();
    let reserved = vec![Reservation { start: time, end: time, text: "x".into() }];
    state.set_schedule(&[(key(room), reserved)].into()).unwrap();
}

fn reload(state: &mut State, plan: Plan) -> Option<Rearranged> {
    let moves = state.survey().moves(&plan.rules);
    state.reload(plan, moves)
}

/// The rooms as `key=Name:tag tag: pc pc`, in their order.
fn shown(state: &State) -> Vec<String> {
    let Body::RoomMap { room_map, .. } = state.room_map(&RoomSet::All) else { unreachable!() };
    let pcs = |room: &RoomEntry| room.pcs.iter().map(|pc| format!(" {pc}")).collect::<String>();
    let tags = |key| state.room(state.room_ids[key]).tags.iter().map(|tag| format!(" {tag}"));
    room_map
        .iter()
        .map(|room| {
            let tags: String = tags(&room.key).collect();
            format!("{}={}:{tags}:{}", room.key, room.name, pcs(room))
        })
        .collect()
}

fn versions(state: &State) -> [u64; 4] {
    let Versions { occupation, room_map, schedule, tag_map } = state.versions();
    [occupation.0, room_map.0, schedule.0, tag_map.0]
}

/// Three PCs in `a`, `b` and a room that no setup lists; in `b` something is reserved.
fn state() -> State {
    let mut state = State::new(plan(&ROOMS, &[BEFORE_PC]), Remains::default());
    push(&mut state, "apc1 bpc1 cpc1");
    reserve(&mut state, "b");
    state
}

#[test]
fn each_setup_changes_what_differs_and_spends_its_versions_once() {
    // The rooms and rules; the rooms after it; by how much occupation, roomMap, schedule and tagMap rise.
    type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str], [u64; 4]);
    let cases: [Case; 10] = [
        (
            "the same is nothing",
            &ROOMS,
            &[BEFORE_PC],
            &["a=Aula: x: apc1", "b=Bibliotheek: x y: bpc1", "none=NONE::", "c=c:: cpc1"],
            [0; 4],
        ),
        (
            "another order is no change",
            &["none=NONE:", "b=Bibliotheek: y x", "a=Aula: x"],
            &[BEFORE_PC],
            &["none=NONE::", "b=Bibliotheek: y x: bpc1", "a=Aula: x: apc1", "c=c:: cpc1"],
            [0; 4],
        ),
        (
            "a room is renamed",
            &["a=Audimax: x", ROOMS[1], ROOMS[2]],
            &[BEFORE_PC],
            &["a=Audimax: x: apc1", "b=Bibliotheek: x y: bpc1", "none=NONE::", "c=c:: cpc1"],
            [0, 1, 0, 0],
        ),
        (
            "a room appears",
            &[ROOMS[0], ROOMS[1], ROOMS[2], "d=D: x"],
            &[BEFORE_PC],
            &["a=Aula: x: apc1", "b=Bibliotheek: x y: bpc1", "none=NONE::", "d=D: x:", "c=c:: cpc1"],
            [0, 1, 0, 1],
        ),
        (
            "a room that was there is listed: who hears of it now is told of its PCs",
            &[ROOMS[0], ROOMS[1], ROOMS[2], "c=C: x"],
            &[BEFORE_PC],
            &["a=Aula: x: apc1", "b=Bibliotheek: x y: bpc1", "none=NONE::", "c=C: x: cpc1"],
            [1, 1, 0, 1],
        ),
        (
            "a room with other tags and reservations is told anew, all of it",
            &[ROOMS[0], "b=Bibliotheek: y", ROOMS[2]],
            &[BEFORE_PC],
            &["a=Aula: x: apc1", "b=Bibliotheek: y: bpc1", "none=NONE::", "c=c:: cpc1"],
            [1, 1, 1, 1],
        ),
        (
            "a room that is listed no more stays while somebody is in it",
            &[ROOMS[0], ROOMS[2]],
            &[BEFORE_PC],
            &["a=Aula: x: apc1", "none=NONE::", "b=b:: bpc1", "c=c:: cpc1"],
            [1, 1, 1, 1],
        ),
        (
            "an empty one goes, with what is reserved in it",
            &[ROOMS[0], ROOMS[2]],
            &["^[bc]>none", BEFORE_PC],
            &["a=Aula: x: apc1", "none=NONE:: bpc1 cpc1"],
            [1, 1, 1, 1],
        ),
        (
            "PCs move to where the rules have them, and the rooms that no setup lists come and go with them",
            &ROOMS,
            &["^c>d", BEFORE_PC],
            &["a=Aula: x: apc1", "b=Bibliotheek: x y: bpc1", "none=NONE::", "d=d:: cpc1"],
            [1, 1, 0, 0],
        ),
        (
            "other rules that come to the same are no change",
            &ROOMS,
            &["^z>z", BEFORE_PC],
            &["a=Aula: x: apc1", "b=Bibliotheek: x y: bpc1", "none=NONE::", "c=c:: cpc1"],
            [0; 4],
        ),
    ];
    for (what, rooms, rules, after, rise) in cases {
        let mut state = state();
        let before = versions(&state);
        let changed = reload(&mut state, plan(rooms, rules));
        assert_eq!(shown(&state), after, "{what}");
        let risen: Vec<u64> = versions(&state).iter().zip(before).map(|(now, then)| now - then).collect();
        assert_eq!(risen, rise, "{what}");
        assert_eq!(changed.is_some(), rise != [0; 4], "{what}");
        assert!(reload(&mut state, plan(rooms, rules)).is_none(), "{what}, a second time");

        // A restart with that setup shows the same, and spends nothing more but for what is reserved, which it does
        // not know yet.
        let of = |pc: &super::super::Pc| (pc.name.clone(), pc.occupation);
        let remains = Remains {
            pcs: state.pcs.iter().map(of).collect(),
            sources: Vec::new(),
            versions: state.versions(),
        };
        let mut restarted = State::new(plan(rooms, rules), remains);
        restarted.advance_past(state.digests());
        assert_eq!(shown(&restarted), shown(&state), "{what}, after a restart");
        let spent = |state: &State| Versions { schedule: state.versions().room_map, ..state.versions() };
        assert_eq!(spent(&restarted), spent(&state), "{what}, after a restart");
        assert_eq!(restarted.tags, state.tags, "{what}, after a restart");
    }
}

#[test]
fn a_room_s_place_is_another_s_once_it_is_gone() {
    let mut state = state();
    for i in 0..100 {
        let rooms = [format!("r{i}=R: x")];
        let rooms: Vec<&str> = rooms.iter().map(String::as_str).collect();
        assert!(reload(&mut state, plan(&rooms, &["^.pc>none"])).is_some());
        assert_eq!(shown(&state), [format!("r{i}=R: x:"), "none=none:: apc1 bpc1 cpc1".into()]);
    }
    assert!(state.rooms.len() <= 6, "{} places for two rooms", state.rooms.len());
    let passing = state.passing(&TagFilter::Tags([tag("x")].into()));
    assert_eq!(state.rooms_in(&passing).count(), 1);
}

#[test]
fn pcs_that_came_after_the_survey_are_placed_by_the_new_rules_too() {
    let mut state = state();
    let plan = plan(&ROOMS, &["^c>b", BEFORE_PC]);
    let moves = state.survey().moves(&plan.rules);
    push(&mut state, "cpc2");
    state.reload(plan, moves);
    assert_eq!(shown(&state)[1], "b=Bibliotheek: x y: bpc1 cpc1 cpc2");
}

#[test]
fn what_a_master_has_said_goes_before_the_setup() {
    let mut state = state();
    state.set_following();
    let entry = |room: &str, name: &str, pcs: &str| RoomEntry {
        key: key(room),
        name: name.into(),
        pcs: pcs.split_whitespace().map(|name| PcName::parse(name).unwrap()).collect(),
    };
    let tags = || Some([(tag("m"), vec![key("a")])].into());
    let older = Lead { rooms: vec![entry("e", "Eetzaal", ""), entry("f", "Foyer", "")], tags: None };
    let lead = Lead { rooms: vec![entry("a", "Master's", "bpc1"), entry("f", "Foyer", "")], tags: tags() };
    state.follow(&older);
    state.follow(&lead);
    let led = ["a=Master's: m: apc1 bpc1", "b=Bibliotheek: x y:", "none=NONE::", "c=c:: cpc1"];
    assert_eq!(shown(&state), [&led[..], &["e=Eetzaal::", "f=Foyer::"]].concat());
    let before = state.versions();
    assert!(reload(&mut state, plan(&["a=Other: x", ROOMS[1], ROOMS[2]], &["^b>none", BEFORE_PC])).is_none());
    assert_eq!(state.versions(), before);
    assert_eq!(shown(&state), [&led[..], &["e=Eetzaal::", "f=Foyer::"]].concat(), "the master's go before");
    assert!(state.follow(&lead).0.is_none(), "and the same again is nothing");

    assert!(reload(&mut state, plan(&["b=B:"], &["^.>none"])).is_some());
    assert_eq!(
        shown(&state),
        ["b=B::", "a=Master's: m: bpc1", "none=none:: apc1 cpc1", "e=Eetzaal::", "f=Foyer::"],
        "no room goes for want of a master that names it"
    );
}
