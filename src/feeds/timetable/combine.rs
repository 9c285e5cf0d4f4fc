//! From bookings and closures to the schedule of one day.

use super::closures::Closures;
use super::day::{Day, MINUTES};
use super::{Booking, Room};
use crate::core::room::RoomKey;
use crate::core::schedule::{Reservation, TimeOfDay};
use std::collections::HashMap;

/// How many reservations a room may have a day: one every quarter of an hour. More are no schedule, and would
/// make a message that is too large for every display.
pub const MOST: usize = 96;

/// A part of a day that is reserved, in minutes since its beginning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stretch {
    /// From this minute.
    pub from: u16,
    /// To before this one.
    pub to: u16,
    /// By what.
    pub text: String,
}

/// What is reserved on `day`, by room: bookings of all providers together, without the times of closures, and the
/// closures. Rooms without a reservation are left out.
pub fn schedule<'a>(
    day: Day,
    rooms: &[Room],
    bookings: impl IntoIterator<Item = &'a Booking>,
    closures: &Closures,
) -> HashMap<RoomKey, Vec<Reservation>> {
    let mut booked: HashMap<&RoomKey, Vec<Stretch>> = HashMap::new();
    for booking in bookings {
        if let Some((from, to)) = day.minutes(booking.start, booking.end) {
            booked.entry(&booking.room).or_default().push(Stretch { from, to, text: booking.text.clone() });
        }
    }
    let mut schedule = HashMap::new();
    for room in rooms {
        let closed = closures.of(&room.key, day);
        let open = without(booked.remove(&room.key).unwrap_or_default(), &closed);
        let mut all = merged(open.into_iter().chain(closed).collect());
        all.truncate(MOST);
        if !all.is_empty() {
            schedule.insert(room.key.clone(), all.into_iter().filter_map(reservation).collect());
        }
    }
    schedule
}

/// What is left of `stretches` outside of the `closed` times.
pub(super) fn without(stretches: Vec<Stretch>, closed: &[Stretch]) -> Vec<Stretch> {
    closed.iter().fold(stretches, |stretches, closed| {
        let cut = |stretch: Stretch| {
            let before = Stretch { to: stretch.to.min(closed.from), ..stretch.clone() };
            let after = Stretch { from: stretch.from.max(closed.to), ..stretch };
            [before, after].into_iter().filter(|part| part.from < part.to)
        };
        stretches.into_iter().flat_map(cut).collect()
    })
}

/// In the order of their times; those of one text that overlap or touch become one.
fn merged(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.sort_by(|a, b| (&a.text, a.from, a.to).cmp(&(&b.text, b.from, b.to)));
    let mut merged: Vec<Stretch> = Vec::with_capacity(stretches.len());
    for stretch in stretches {
        match merged.last_mut() {
            Some(last) if last.text == stretch.text && stretch.from <= last.to => {
                last.to = last.to.max(stretch.to);
            }
            _ => merged.push(stretch),
        }
    }
    merged.sort();
    merged
}

/// On the wire a day ends at 23:59: there is no hour 24 for clients to know of.
fn reservation(stretch: Stretch) -> Option<Reservation> {
    let time = |minute: u16| {
        let minute = minute.min(MINUTES - 1);
        TimeOfDay::new((minute / 60) as u8, (minute % 60) as u8)
    };
    Some(Reservation { start: time(stretch.from)?, end: time(stretch.to)?, text: stretch.text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Europe::Amsterdam;
    use proptest::prelude::*;

    fn stretch(from: u16, to: u16, text: &str) -> Stretch {
        Stretch { from, to, text: text.into() }
    }

    fn shown(schedule: &HashMap<RoomKey, Vec<Reservation>>, room: &str) -> Vec<String> {
        let time = |time: TimeOfDay| format!("{:02}:{:02}", time.hour, time.minute);
        let one = |r: &Reservation| format!("{}-{} {}", time(r.start), time(r.end), r.text);
        schedule.get(room).map(|all| all.iter().map(one).collect()).unwrap_or_default()
    }

    fn of(bookings: &[(&str, &str, &str, &str)]) -> HashMap<RoomKey, Vec<Reservation>> {
        let key = |text: &str| RoomKey::parse(text).unwrap();
        let bookings: Vec<Booking> = bookings
            .iter()
            .map(|(room, start, end, text)| Booking {
                room: key(room),
                start: start.parse().unwrap(),
                end: end.parse().unwrap(),
                text: (*text).into(),
            })
            .collect();
        let rooms = ["a", "b"].map(|room| Room { key: key(room), name: room.into() });
        let day = Day { date: "2026-11-23".parse().unwrap(), zone: Amsterdam };
        schedule(day, &rooms, &bookings, &Closures::default())
    }

    #[test]
    fn providers_add_and_what_they_agree_on_stands_once() {
        let schedule = of(&[
            ("a", "2026-11-23T12:30:00Z", "2026-11-23T14:15:00Z", "Logic"),
            ("a", "2026-11-23T07:45:00Z", "2026-11-23T09:30:00Z", "Calculus"),
            ("a", "2026-11-23T07:45:00Z", "2026-11-23T09:30:00Z", "Calculus"),
            ("a", "2026-11-23T09:30:00Z", "2026-11-23T10:15:00Z", "Calculus"),
            ("a", "2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z", "Exam"),
            ("b", "2026-11-22T20:00:00Z", "2026-11-25T05:00:00Z", "Hackathon"),
            ("b", "2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z", "tomorrow"),
            ("elsewhere", "2026-11-23T09:00:00Z", "2026-11-23T10:00:00Z", "not ours"),
        ]);
        assert_eq!(shown(&schedule, "a"), ["08:45-11:15 Calculus", "09:00-10:00 Exam", "13:30-15:15 Logic"]);
        assert_eq!(shown(&schedule, "b"), ["00:00-23:59 Hackathon"]);
        assert_eq!(schedule.len(), 2);
        assert!(of(&[("b", "2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z", "tomorrow")]).is_empty());
    }

    #[test]
    fn a_room_has_at_most_so_many_reservations_the_earliest() {
        let texts: Vec<String> = (0..500).map(|n| n.to_string()).collect();
        let bookings: Vec<_> = texts
            .iter()
            .map(|text| ("a", "2026-11-23T09:00:00Z", "2026-11-23T10:00:00Z", text.as_str()))
            .collect();
        assert_eq!(of(&bookings)[&RoomKey::parse("a").unwrap()].len(), MOST);
    }

    #[test]
    fn closures_cut_what_they_cover() {
        type Minutes = &'static [(u16, u16)];
        let cases: [(Minutes, Minutes, Minutes); 5] = [
            (&[(60, 120)], &[], &[(60, 120)]),
            (&[(60, 120)], &[(0, 1440)], &[]),
            (&[(60, 120)], &[(80, 90)], &[(60, 80), (90, 120)]),
            (&[(60, 120), (100, 200)], &[(110, 300)], &[(60, 110), (100, 110)]),
            (&[(60, 120)], &[(0, 60), (120, 1440)], &[(60, 120)]),
        ];
        for (open, closed, left) in cases {
            let stretches = |of: &[(u16, u16)]| -> Vec<Stretch> {
                of.iter().map(|(a, b)| stretch(*a, *b, "x")).collect()
            };
            assert_eq!(without(stretches(open), &stretches(closed)), stretches(left), "{open:?} {closed:?}");
        }
    }

    proptest! {
        #[test]
        fn merging_changes_no_minute(of in prop::collection::vec((0u16..1440, 1u16..300, 0u8..3), 0..30)) {
            let stretches: Vec<Stretch> = of
                .into_iter()
                .map(|(from, length, text)| stretch(from, (from + length).min(MINUTES), &text.to_string()))
                .collect();
            let taken = |all: &[Stretch], minute: u16, text: &str| {
                all.iter().any(|s| s.text == text && s.from <= minute && minute < s.to)
            };
            let merged = merged(stretches.clone());
            for minute in 0..MINUTES {
                for text in ["0", "1", "2"] {
                    prop_assert_eq!(taken(&stretches, minute, text), taken(&merged, minute, text));
                }
            }
            prop_assert!(merged.is_sorted());
        }
    }
}
