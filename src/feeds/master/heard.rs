//! What a master says, as the state takes it: bounded and cleaned, since it is text of another machine.

use crate::core::message::RoomEntry;
use crate::core::pc::{Occupation, PcName};
use crate::core::room::RoomKey;
use crate::core::schedule::Reservation;
use crate::feeds::timetable::TextRule;
use std::collections::HashMap;

/// How many reservations a room may have in a day, as where timetables are combined: more stand on no display.
const MAX_RESERVATIONS: usize = 96;

/// Its rooms; one without a name that could be shown is called by its key.
pub(super) fn rooms(rooms: Vec<RoomEntry>) -> Vec<RoomEntry> {
    let named = |room: RoomEntry| {
        let name = clean(&room.name);
        RoomEntry { name: if name.is_empty() { room.key.to_string() } else { name }, ..room }
    };
    rooms.into_iter().map(named).collect()
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
    fn each_pc_is_taken_once_with_what_was_said_last() {
        let pc = |name: &str| PcName::parse(name).unwrap();
        let heard =
            vec![(pc("A1"), Occupation::Off), (pc("b1"), Occupation::Off), (pc("a1"), Occupation::Unknown)];
        assert_eq!(states(heard), [(pc("b1"), Occupation::Off), (pc("a1"), Occupation::Unknown)]);
    }
}
