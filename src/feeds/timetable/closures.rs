//! Closures and opening hours: what the setup itself says of when rooms are to be had.
//!
//! They override: while a room is closed, nothing else is reserved in it.

use super::combine::{Stretch, without};
use super::day::{Day, MINUTES, instant};
use crate::core::room::RoomKey;
use chrono::{Datelike, NaiveDateTime};

/// All that the setup says.
#[derive(Debug, Clone, Default)]
pub struct Closures {
    /// Single ones.
    pub closures: Vec<Closure>,
    /// What comes again every week.
    pub hours: Option<OpeningHours>,
}

/// Rooms that are closed for a time.
#[derive(Debug, Clone)]
pub struct Closure {
    /// Local time of the setup's zone.
    pub from: NaiveDateTime,
    /// Local time of the setup's zone.
    pub until: NaiveDateTime,
    /// The rooms; none: all but `none`.
    pub rooms: Option<Vec<RoomKey>>,
    /// What to say.
    pub text: String,
}

/// When rooms are open.
#[derive(Debug, Clone)]
pub struct OpeningHours {
    /// From Monday on: from this minute to before that one.
    pub week: [Vec<(u16, u16)>; 7],
    /// The rooms; none: all but `none`.
    pub rooms: Option<Vec<RoomKey>>,
    /// What to say while they are closed.
    pub text: String,
}

impl Closures {
    /// When `room` is closed on `day`.
    pub fn of(&self, room: &RoomKey, day: Day) -> Vec<Stretch> {
        let single = self.closures.iter().filter(|closure| concerns(closure.rooms.as_deref(), room));
        let mut closed: Vec<Stretch> = single
            .filter_map(|closure| {
                let (from, to) =
                    day.minutes(instant(day.zone, closure.from), instant(day.zone, closure.until))?;
                Some(Stretch { from, to, text: closure.text.clone() })
            })
            .collect();
        if let Some(hours) = self.hours.as_ref().filter(|hours| concerns(hours.rooms.as_deref(), room)) {
            // A holiday says more than that the doors are shut at night.
            let shut = without(hours.shut(day), &closed);
            closed.extend(shut);
        }
        closed
    }
}

impl OpeningHours {
    fn shut(&self, day: Day) -> Vec<Stretch> {
        let weekday = day.date.weekday().num_days_from_monday() as usize;
        let Some(open) = self.week.get(weekday) else { return Vec::new() };
        let open: Vec<Stretch> =
            open.iter().map(|(from, to)| Stretch { from: *from, to: *to, text: String::new() }).collect();
        without(vec![Stretch { from: 0, to: MINUTES, text: self.text.clone() }], &open)
    }
}

fn concerns(rooms: Option<&[RoomKey]>, room: &RoomKey) -> bool {
    rooms.map_or(*room != RoomKey::none(), |rooms| rooms.contains(room))
}

#[cfg(test)]
mod tests {
    use super::super::{Booking, Room, combine};
    use super::*;
    use chrono_tz::Europe::Amsterdam;

    fn key(text: &str) -> RoomKey {
        RoomKey::parse(text).unwrap()
    }

    fn closures() -> Closures {
        let closure = |from: &str, until: &str, rooms: Option<&str>, text: &str| Closure {
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
            rooms: rooms.map(|room| vec![key(room)]),
            text: text.into(),
        };
        let weekdays = vec![(8 * 60, 12 * 60), (13 * 60, 22 * 60)];
        let always = || vec![(0, MINUTES)];
        Closures {
            closures: vec![
                closure("2026-12-24T18:00:00", "2027-01-04T00:00:00", None, "Christmas"),
                closure("2026-11-23T00:00:00", "2026-11-24T00:00:00", Some("b"), "Painters"),
            ],
            hours: Some(OpeningHours {
                week: [weekdays.clone(), weekdays, always(), always(), always(), always(), vec![]],
                rooms: None,
                text: "Closed".into(),
            }),
        }
    }

    #[test]
    fn rooms_are_closed_outside_of_the_hours_and_during_closures() {
        type Closed = &'static [(u16, u16, &'static str)];
        let cases: [(&str, &str, Closed); 8] = [
            ("2026-11-23", "a", &[(0, 480, "Closed"), (720, 780, "Closed"), (1320, 1440, "Closed")]),
            ("2026-11-23", "b", &[(0, 1440, "Painters")]),
            ("2026-11-25", "a", &[]),
            ("2026-11-29", "a", &[(0, 1440, "Closed")]),
            ("2026-12-24", "a", &[(1080, 1440, "Christmas")]),
            ("2027-01-03", "b", &[(0, 1440, "Christmas")]),
            ("2027-01-04", "b", &[(0, 480, "Closed"), (720, 780, "Closed"), (1320, 1440, "Closed")]),
            ("2027-01-03", "none", &[]),
        ];
        for (date, room, closed) in cases {
            let day = Day { date: date.parse().unwrap(), zone: Amsterdam };
            let found = closures().of(&key(room), day);
            let found: Vec<_> = found.iter().map(|s| (s.from, s.to, s.text.as_str())).collect();
            assert_eq!(found, closed, "{date} {room}");
        }
    }

    #[test]
    fn a_closure_overrides_what_is_booked() {
        let booking = Booking {
            room: key("a"),
            start: "2026-12-24T15:00:00Z".parse().unwrap(),
            end: "2026-12-24T19:00:00Z".parse().unwrap(),
            text: "Lecture".into(),
        };
        let rooms = [Room { key: key("a"), name: "A".into() }];
        let day = Day { date: "2026-12-24".parse().unwrap(), zone: Amsterdam };
        let schedule = combine::schedule(day, &rooms, [&booking], &closures());
        let found: Vec<_> =
            schedule[&key("a")].iter().map(|r| (r.start.hour, r.end.hour, &*r.text)).collect();
        assert_eq!(found, [(16, 18, "Lecture"), (18, 23, "Christmas")]);
    }
}
