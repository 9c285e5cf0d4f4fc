//! Tables of what is best seen small; `tests/simulation.rs` has the rest.

use super::super::message::{Body, RoomEntry};
use super::super::room::Rule;
use super::super::schedule::TimeOfDay;
use super::super::source::Timestamp;
use super::*;
use regex::Regex;

const OFF: Occupation = Occupation::Off;
const UNKNOWN: Occupation = Occupation::Unknown;

fn name(text: &str) -> PcName {
    PcName::parse(text).unwrap()
}

fn key(text: &str) -> RoomKey {
    RoomKey::parse(text).unwrap()
}

/// Rooms as key, name and tags.
type Listed<'a> = &'a [(&'a str, &'a str, &'a [&'a str])];

fn plan(rooms: Listed) -> Plan {
    let room = |(k, n, tags): &(&str, &str, &[&str])| RoomPlan {
        key: key(k),
        name: (*n).into(),
        tags: tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect(),
    };
    let rule = Rule { pattern: Regex::new("^(.*?)pc").unwrap(), room: "$1".into() };
    Plan {
        rooms: rooms.iter().map(room).collect(),
        rules: Rules { rules: vec![rule], aliases: HashMap::new() },
        growth: Growth { pcs: 4, rooms: 4, sources: 2 },
    }
}

fn state() -> State {
    State::new(plan(&[("a", "A", &["x"]), ("b", "B", &["x", "y"])]), Remains::default())
}

fn push(source: &str, states: &[(&str, Occupation)]) -> Push {
    let states = states.iter().map(|(pc, to)| (name(pc), *to)).collect();
    Push::new(Source::parse(source).unwrap(), Timestamp(7), states).unwrap()
}

fn versions(occupation: u64, room_map: u64, schedule: u64, tag_map: u64) -> Versions {
    Versions {
        occupation: Version(occupation),
        room_map: Version(room_map),
        schedule: Version(schedule),
        tag_map: Version(tag_map),
    }
}

fn reserved(room: &str) -> HashMap<RoomKey, Vec<Reservation>> {
    let time = |hour| TimeOfDay::new(hour, 0).unwrap();
    HashMap::from([(key(room), vec![Reservation { start: time(9), end: time(10), text: "t".into() }])])
}

/// All it can say, to tell whether anything of it changed.
fn all(state: &State) -> String {
    let all = &RoomSet::All;
    format!("{:?}", (state.occupation(all), state.room_map(all), state.schedule(all), state.versions()))
}

#[test]
fn a_push_with_a_name_twice_is_none() {
    let states = ["apc1", "apc2", "APC1"].map(|pc| (name(pc), OFF)).to_vec();
    assert_eq!(Push::new(Source::unknown(), Timestamp(0), states).unwrap_err(), [name("apc1")]);
}

#[test]
fn a_push_is_one_change_however_many_pcs_it_changes_in_the_order_of_the_push() {
    let mut state = state();
    state.apply(push("s", &[("apc2", OFF)])).unwrap().unwrap();
    let change = state.apply(push("s", &[("bpc1", OFF), ("apc2", OFF), ("apc1", UNKNOWN)])).unwrap().unwrap();
    assert_eq!(change.versions, versions(2, 2, 0, 0));
    assert_eq!(change.versions, state.versions());
    assert_eq!(
        *change.states,
        [(name("bpc1"), OFF), (name("apc1"), UNKNOWN)],
        "what is the same is no change"
    );
    assert_eq!(change.places, [RoomId(1), RoomId(0)]);
    let change = state.apply(push("s", &[("apc2", UNKNOWN)])).unwrap().unwrap();
    assert_eq!(change.versions, versions(3, 2, 0, 0), "no PC is new");
    assert_eq!((change.occupied, change.grown), (RoomSet::from_iter([RoomId(0)]), RoomSet::new()));
}

#[test]
fn the_same_states_again_spend_nothing_even_beyond_the_limits() {
    let mut state = state();
    state.apply(push("s", &[("apc1", OFF)])).unwrap();
    state.apply(push("t", &[("apc2", OFF)])).unwrap();
    let before = all(&state);
    for source in ["s", "third"] {
        assert!(state.apply(push(source, &[("apc1", OFF), ("apc2", OFF)])).unwrap().is_none());
    }
    assert!(state.apply(push("s", &[])).unwrap().is_none());
    assert_eq!(all(&state), before);
}

#[test]
fn a_push_beyond_a_limit_is_refused_with_every_name_and_changes_nothing() {
    let mut state = state();
    state.apply(push("s", &[("apc1", OFF), ("cpc1", OFF)])).unwrap();
    let before = all(&state);
    let no_rooms =
        |names: &[&str], why| Refused::Pcs { names: names.iter().map(|n| (name(n), why)).collect() };
    // One room and two PCs are left.
    let refused =
        state.apply(push("refused", &[("apc1", UNKNOWN), ("dpc1", OFF), ("epc1", OFF), ("fpc1", OFF)]));
    assert_eq!(refused.unwrap_err(), no_rooms(&["epc1", "fpc1"], NoPlace::Rooms(4)));
    let refused = state.apply(push("refused", &[("dpc1", OFF), ("dpc2", OFF), ("apc3", OFF), ("bpc4", OFF)]));
    assert_eq!(refused.unwrap_err(), no_rooms(&["apc3", "bpc4"], NoPlace::Pcs(4)));
    assert_eq!(all(&state), before);
    state.apply(push("t", &[("apc1", UNKNOWN)])).unwrap().unwrap();
    let refused = state.apply(push("u", &[("apc1", OFF)]));
    assert_eq!(refused.unwrap_err(), Refused::Sources { limit: 2 });
    let change = state.apply(push("t", &[("dpc1", OFF), ("dpc2", OFF)])).unwrap().unwrap();
    assert_eq!(change.versions, versions(3, 2, 0, 0), "what was refused spent no version");
}

#[test]
fn a_room_that_is_not_listed_appears_by_itself_untagged_and_named_by_its_key() {
    let mut state = state();
    let change = state.apply(push("s", &[("zpc9", OFF), ("printer", OFF), ("zpc10", OFF)])).unwrap().unwrap();
    assert_eq!(change.places, [RoomId(2), RoomId(3), RoomId(2)]);
    let Body::RoomMap { room_map, .. } = state.room_map(&change.grown) else { panic!() };
    let entry = |k: &str, pcs: &[&str]| RoomEntry {
        key: key(k),
        name: k.into(),
        pcs: pcs.iter().map(|pc| name(pc)).collect(),
    };
    assert_eq!(room_map, [entry("z", &["zpc10", "zpc9"]), entry("none", &["printer"])]);
    let tagged = TagFilter::Tags([Tag::parse("x").unwrap()].into());
    assert!(!state.passing(&tagged).meets(&change.grown));
    assert!(state.passing(&TagFilter::Everything).meets(&change.grown));
}

#[test]
fn what_changed_since_a_version_is_told_with_its_present_state_and_the_present_version() {
    let mut state = state();
    state.apply(push("s", &[("apc1", OFF), ("bpc1", OFF)])).unwrap();
    state.apply(push("s", &[("apc2", OFF)])).unwrap();
    state.apply(push("s", &[("apc1", UNKNOWN)])).unwrap();
    state.apply(push("s", &[("bpc1", UNKNOWN)])).unwrap();
    let (everywhere, in_a) = (RoomSet::All, RoomSet::from_iter([RoomId(0)]));
    let cases = [
        (&everywhere, 0, vec![("apc2", OFF), ("apc1", UNKNOWN), ("bpc1", UNKNOWN)]),
        (&everywhere, 2, vec![("apc1", UNKNOWN), ("bpc1", UNKNOWN)]),
        (&everywhere, 4, vec![]),
        (&in_a, 1, vec![("apc2", OFF), ("apc1", UNKNOWN)]),
        (&in_a, 3, vec![]),
        (&RoomSet::new(), 0, vec![]),
    ];
    for (rooms, since, update) in cases {
        let update: Vec<_> = update.into_iter().map(|(pc, is)| (name(pc), is)).collect();
        // A snapshot said 4 as well, whatever the last change of these rooms was.
        let expected = Body::OccupationUpdate { version: Version(4), update };
        assert_eq!(state.occupation_since(rooms, Version(since)), expected, "{rooms:?} since {since}");
    }
}

#[test]
fn a_schedule_is_a_change_where_it_is_another_also_when_it_becomes_empty() {
    let mut state = state();
    assert!(state.set_schedule(&HashMap::new()).is_none());
    assert!(state.set_schedule(&reserved("nowhere")).is_none(), "no such room");
    assert_eq!(state.set_schedule(&reserved("b")), Some(RoomSet::from_iter([RoomId(1)])));
    assert!(state.set_schedule(&reserved("b")).is_none());
    assert_eq!(state.versions(), versions(0, 0, 1, 0));
    assert!(state.set_schedule(&HashMap::from([(key("b"), Vec::new())])).is_some());
    assert_eq!(state.schedule(&RoomSet::All), Body::Schedule { version: Version(2), schedule: Vec::new() });
}

#[test]
fn a_restart_spends_a_version_on_what_is_another_and_on_nothing_else() {
    let listed: Listed = &[("a", "A", &["x"]), ("b", "B", &["x", "y"])];
    let mut old = State::new(plan(listed), Remains::default());
    old.apply(push("s", &[("apc1", OFF), ("zpc1", OFF)])).unwrap();
    let then = old.digests();
    let with_schedule = {
        old.set_schedule(&reserved("a")).unwrap();
        old.digests()
    };
    let cases: [(Listed, Digests, Versions); 6] = [
        (listed, then, versions(5, 5, 5, 5)),
        (&[("b", "B", &["y", "x"]), ("a", "A", &["x"])], then, versions(5, 5, 5, 5)),
        (listed, with_schedule, versions(5, 5, 6, 5)),
        (&[("a", "A*", &["x"]), ("b", "B", &["x", "y"])], then, versions(5, 6, 5, 5)),
        (&[("a", "A", &[]), ("b", "B", &["x", "y"])], then, versions(5, 5, 5, 6)),
        (&[("a", "A", &["x"]), ("b", "B", &["x", "y"]), ("c", "C", &[])], then, versions(5, 6, 5, 5)),
    ];
    for (rooms, then, after) in cases {
        let pcs = vec![(name("zpc1"), UNKNOWN), (name("apc1"), OFF)];
        let remains = Remains { pcs, versions: versions(5, 5, 5, 5), ..Remains::default() };
        let mut state = State::new(plan(rooms), remains);
        state.advance_past(then);
        assert_eq!(state.versions(), after, "{rooms:?}");
    }
}

#[test]
fn what_was_left_is_kept_beyond_lowered_limits_and_a_name_left_twice_is_one_pc() {
    let mut pcs: Vec<_> = (0..6).map(|i| (name(&format!("r{i}pc")), OFF)).collect();
    pcs.push((name("r0pc"), UNKNOWN));
    let remains = Remains { pcs, versions: versions(9, 9, 9, 9), ..Remains::default() };
    let mut state = State::new(plan(&[]), remains);
    let Body::Occupation { version, occupation } = state.occupation(&RoomSet::All) else { panic!() };
    assert_eq!((version, occupation.len()), (Version(9), 6));
    assert!(occupation.contains(&(name("r0pc"), UNKNOWN)), "the last counts");
    assert!(state.apply(push("s", &[("r9pc", OFF)])).is_err());
    assert!(state.apply(push("s", &[("r5pc", UNKNOWN)])).unwrap().is_some(), "known PCs still work");
}
