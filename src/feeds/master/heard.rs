//! What a master says, as the state takes it: bounded and cleaned, since it is text of another machine.

use crate::core::message::RoomEntry;
use crate::core::pc::{Occupation, PcName};
use crate::core::room::RoomKey;
use crate::core::schedule::Reservation;
use crate::core::tag::Tag;
use crate::feeds::timetable::TextRule;
use std::collections::{BTreeMap, HashMap};

/// How many reservations a room may have in a day, as where timetables are combined: more stand on no display.
const MAX_RESERVATIONS: usize = 96;

/// How many rooms are taken over, and how many times a tag may be on a room: what the largest setup allows, and as much
/// again for tags. An answer has place for ten times as many, of which each takes a hundred bytes, here and there.
const MAX_ROOMS: usize = 100_000;

/// Its rooms; one without a name that could be shown is called by its key.
pub(super) fn rooms(rooms: Vec<RoomEntry>) -> Vec<RoomEntry> {
    let named = |room: RoomEntry| {
        let name = clean(&room.name);
        RoomEntry { name: if name.is_empty() { room.key.to_string() } else { name }, ..room }
    };
    rooms.into_iter().take(MAX_ROOMS).map(named).collect()
}

/// Its tags, and how many times one is on a room that is left out.
pub(super) fn tags(tags: BTreeMap<Tag, Vec<RoomKey>>) -> (BTreeMap<Tag, Vec<RoomKey>>, usize) {
    let (mut left, mut left_out) = (MAX_ROOMS, 0);
    let mut kept = BTreeMap::new();
    for (tag, mut rooms) in tags {
        left_out += rooms.len().saturating_sub(left);
        rooms.truncate(left);
        left -= rooms.len();
        // One that is on no room counts, too.
        if kept.len() < MAX_ROOMS {
            kept.insert(tag, rooms);
        }
    }
    (kept, left_out)
}

/// Its reservations.
pub(super) fn schedule(rooms: Vec<(RoomKey, Vec<Reservation>)>) -> HashMap<RoomKey, Vec<Reservation>> {
    let cleaned = |mut list: Vec<Reservation>| {
        list.truncate(MAX_RESERVATIONS);
        list.iter_mut().for_each(|reservation| reservation.text = clean(&reservation.text));
        list
    };
    rooms.into_iter().map(|(room, list)| (room, cleaned(list))).collect()
}

/// Its states, each PC once: of names that differ in case alone, the last counts.
pub(super) fn states(states: Vec<(PcName, Occupation)>) -> Vec<(PcName, Occupation)> {
    let mut last: HashMap<PcName, usize> = HashMap::new();
    for (index, (name, _)) in states.iter().enumerate() {
        last.insert(name.clone(), index);
    }
    let is_last = |index: usize, name: &PcName| last.get(name) == Some(&index);
    let kept = states.into_iter().enumerate().filter(|(index, (name, _))| is_last(*index, name));
    kept.map(|(_, state)| state).collect()
}

fn clean(text: &str) -> String {
    TextRule { cut: None, placeholder: String::new() }.apply([text])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::schedule::TimeOfDay;

    fn key(text: &str) -> RoomKey {
        RoomKey::parse(text).unwrap()
    }

    #[test]
    fn m2_text_of_a_master_is_cleaned_and_bounded() {
        let name_of = |name: &str| {
            let entry = RoomEntry { key: key("a"), name: name.into(), pcs: Vec::new() };
            rooms(vec![entry]).remove(0).name
        };
        for (name, expected) in [
            ("HG00.075", "HG00.075"),
            ("", "a"),
            (" \n", "a"),
            ("<b>x</b>", "‹b›x‹/b›"),
            ("a\u{1b}[31mb", "a [31mb"),
        ] {
            assert_eq!(name_of(name), expected, "{name:?}");
        }
        assert!(name_of(&"x".repeat(10_000)).chars().count() <= 200);

        let time = TimeOfDay::new(9, 0).unwrap();
        let one = Reservation { start: time, end: time, text: "<x>".into() };
        let taken = schedule(vec![(key("a"), vec![one; 1_000]), (key("b"), Vec::new())]);
        assert_eq!(taken[&key("a")].len(), MAX_RESERVATIONS);
        assert!(taken[&key("a")].iter().all(|reservation| reservation.text == "‹x›"));
    }

    #[test]
    fn m2_no_more_rooms_and_tags_are_taken_than_any_setup_has() {
        let entry = |_| RoomEntry { key: key("a"), name: "A".into(), pcs: Vec::new() };
        assert_eq!(rooms((0..=MAX_ROOMS).map(entry).collect()).len(), MAX_ROOMS);
        let tag = |name: &str| Tag::parse(name).unwrap();
        let many = vec![key("a"); MAX_ROOMS - 1];
        let all = [(tag("a"), many.clone()), (tag("b"), vec![key("a"); 3]), (tag("c"), Vec::new())];
        let (kept, left_out) = tags(all.into());
        assert_eq!(kept, [(tag("a"), many), (tag("b"), vec![key("a")]), (tag("c"), Vec::new())].into());
        assert_eq!(left_out, 2);
    }

    #[test]
    fn each_pc_is_taken_once_with_what_was_said_last() {
        let pc = |name: &str| PcName::parse(name).unwrap();
        let heard =
            vec![(pc("A1"), Occupation::Off), (pc("b1"), Occupation::Off), (pc("a1"), Occupation::Unknown)];
        assert_eq!(states(heard), [(pc("b1"), Occupation::Off), (pc("a1"), Occupation::Unknown)]);
    }
}
