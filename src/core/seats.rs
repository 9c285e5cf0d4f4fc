//! Seats: which PCs of a room somebody can sit down at, and until when.
//!
//! What is reserved is read as the old page reads it: events with less than a quarter of an hour between them are one,
//! since nobody is let in for ten minutes. A class is reserved a little before it begins, while people come in.

use super::pc::{Occupation, System};
use super::schedule::{Reservation, TimeOfDay};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Events with less than this between them are one, in minutes.
const GAP: u16 = 15;

/// The last minute that a schedule names: one that lasts until then lasts until midnight.
const LAST: u16 = 24 * 60 - 1;

/// What counts as a seat that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatRule {
    /// Which states count as free, in the order of [`Occupation::ALL`].
    pub free: [bool; Occupation::ALL.len()],
    /// How many minutes before a class its room is given up.
    pub margin: u16,
    /// What stands in the schedule while a room is closed; all else there is a class.
    pub closed: BTreeSet<String>,
}

impl SeatRule {
    /// How it is with the seats of a room with PCs in these states and these reservations of today, at a time of today.
    pub fn seats(
        &self,
        pcs: impl IntoIterator<Item = Occupation>,
        reservations: &[Reservation],
        now: TimeOfDay,
    ) -> Seats {
        let mut seats = Seats { free: Free::default(), pcs: 0, room: self.room(reservations, now) };
        for pc in pcs {
            seats.pcs += 1;
            if !self.free.get(pc.place()).is_some_and(|free| *free) {
                continue;
            }
            match pc {
                Occupation::On(System::Windows, _) => seats.free.windows += 1,
                Occupation::On(System::Linux, _) => seats.free.linux += 1,
                Occupation::Off | Occupation::Unknown => seats.free.other += 1,
            }
        }
        seats
    }

    /// How it is with a room that has these reservations today.
    fn room(&self, reservations: &[Reservation], now: TimeOfDay) -> Room {
        let now = minutes(now);
        let mut events: Vec<Event<'_>> = reservations.iter().map(|one| self.event(one)).collect();
        events.sort_by_key(|event| (event.start, event.end));
        let mut rest = events.as_slice();
        while let Some(first) = rest.first() {
            let (mut end, mut count) = (first.end, 1);
            while let Some(next) = rest.get(count).filter(|next| next.start < end.saturating_add(GAP)) {
                end = end.max(next.end);
                count += 1;
            }
            let (chain, later) = rest.split_at(count);
            rest = later;
            if now >= end {
                continue;
            }
            let start = if first.is_closing { first.start } else { first.start.saturating_sub(self.margin) };
            if now < start {
                let until = if first.is_closing { Until::Closes } else { Until::Reserved };
                return Room::Open { until: until(time(start)) };
            }
            return taken(chain, end, now);
        }
        Room::Open { until: Until::DayEnds }
    }

    fn event<'a>(&self, of: &'a Reservation) -> Event<'a> {
        let end = minutes(of.end);
        Event {
            start: minutes(of.start),
            // One that ends as it begins is there for a minute: it was put there to be seen.
            end: if end == LAST { LAST + 1 } else { end.max(minutes(of.start) + 1) },
            is_closing: self.closed.contains(&of.text),
            text: &of.text,
        }
    }
}

/// A room that is taken now by a chain of events.
fn taken(chain: &[Event<'_>], end: u16, now: u16) -> Room {
    let until = (end <= LAST).then(|| time(end));
    let present = |event: &&Event<'_>| event.start <= now && now < event.end;
    // Between two of them, or before the first, it is taken by the next.
    let next = chain.iter().find(|event| event.start > now);
    let mut by: Vec<&Event<'_>> = chain.iter().filter(present).collect();
    if by.is_empty() {
        by.extend(next);
    }
    if by.iter().any(|event| event.is_closing) {
        let by = by.iter().find(|event| event.is_closing).map(|event| event.text.to_owned());
        return Room::Closed { by: by.unwrap_or_default(), until };
    }
    Room::Reserved { by: by.iter().map(|event| event.text.to_owned()).collect(), until }
}

/// A reservation, in minutes of the day: from the first to before the second.
struct Event<'a> {
    start: u16,
    end: u16,
    is_closing: bool,
    text: &'a str,
}

/// How it is with the seats of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seats {
    /// The PCs that nobody sits at.
    pub free: Free,
    /// How many there are of all.
    pub pcs: u32,
    /// Whether the room can be used.
    pub room: Room,
}

/// PCs that nobody sits at, by the system that runs on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Free {
    /// With Windows.
    pub windows: u32,
    /// With Linux.
    pub linux: u32,
    /// Switched off, or nothing is known of them.
    pub other: u32,
}

/// Whether a room can be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Room {
    /// It can.
    Open {
        /// Until when.
        until: Until,
    },
    /// There is a class, or soon will be.
    Reserved {
        /// What is there now; where nothing is, what comes next.
        by: Vec<String>,
        /// When it can be used again; none: not today.
        until: Option<TimeOfDay>,
    },
    /// It is shut.
    Closed {
        /// What is told of that.
        by: String,
        /// When it can be used again; none: not today.
        until: Option<TimeOfDay>,
    },
}

/// Until when a room can be used, and what is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// A class comes; its margin is taken off.
    Reserved(TimeOfDay),
    /// It is shut.
    Closes(TimeOfDay),
    /// Nothing is known against it today.
    DayEnds,
}

impl Free {
    /// All together.
    pub fn all(self) -> u32 {
        self.windows + self.linux + self.other
    }
}

impl Seats {
    /// How many seats can be had: none where the room cannot be used.
    pub fn usable(&self) -> u32 {
        if matches!(self.room, Room::Open { .. }) { self.free.all() } else { 0 }
    }

    /// Rooms in this order begin with the best: the most seats that can be had, then those that can be had the longest;
    /// of the others, those first that can be used the soonest.
    pub fn rank(&self) -> Rank {
        let (group, minute) = match &self.room {
            Room::Open { until: Until::Reserved(at) | Until::Closes(at) } => (0, LAST - minutes(*at)),
            Room::Open { until: Until::DayEnds } => (0, 0),
            Room::Reserved { until, .. } => (1, until.map_or(LAST + 1, minutes)),
            Room::Closed { until, .. } => (2, until.map_or(LAST + 1, minutes)),
        };
        Rank { group, usable: Reverse(self.usable()), minute, free: Reverse(self.free.all()) }
    }
}

/// How good a room is for who looks for a seat; the best comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// 0 where it is open, 1 where it is reserved, 2 where it is closed.
    pub group: u8,
    /// How many seats can be had.
    pub usable: Reverse<u32>,
    /// In minutes: of an open room how long before midnight that ends, of others when it can be had.
    pub minute: u16,
    /// How many PCs are free.
    pub free: Reverse<u32>,
}

fn minutes(time: TimeOfDay) -> u16 {
    u16::from(time.hour) * 60 + u16::from(time.minute)
}

fn time(minutes: u16) -> TimeOfDay {
    // Below a day, so that both parts fit.
    let minutes = minutes.min(LAST);
    TimeOfDay { hour: (minutes / 60) as u8, minute: (minutes % 60) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::pc::Use;

    fn at(hour: u8, minute: u8) -> TimeOfDay {
        TimeOfDay::new(hour, minute).unwrap()
    }

    fn rule() -> SeatRule {
        let free = |state: Occupation| matches!(state, Occupation::Off | Occupation::On(_, Use::Free));
        SeatRule { free: Occupation::ALL.map(free), margin: 10, closed: ["Closed".to_owned()].into() }
    }

    fn day(events: &[(TimeOfDay, TimeOfDay, &str)]) -> Vec<Reservation> {
        let one = |(start, end, text): &(TimeOfDay, TimeOfDay, &str)| Reservation {
            start: *start,
            end: *end,
            text: (*text).to_owned(),
        };
        events.iter().map(one).collect()
    }

    fn room(events: &[(TimeOfDay, TimeOfDay, &str)], now: TimeOfDay) -> Room {
        rule().seats([], &day(events), now).room
    }

    fn open(until: Until) -> Room {
        Room::Open { until }
    }

    fn reserved(by: &str, until: Option<TimeOfDay>) -> Room {
        Room::Reserved { by: vec![by.to_owned()], until }
    }

    #[test]
    fn free_seats_are_counted_by_their_system_and_by_the_rule() {
        let all = rule().seats(Occupation::ALL, &[], at(12, 0));
        assert_eq!(all.free, Free { windows: 1, linux: 1, other: 1 });
        assert_eq!((all.pcs, all.usable()), (8, 3));
        let strict = SeatRule {
            free: Occupation::ALL.map(|state| state == Occupation::On(System::Linux, Use::Free)),
            ..rule()
        };
        assert_eq!(strict.seats(Occupation::ALL, &[], at(12, 0)).free, Free { linux: 1, ..Free::default() });
    }

    #[test]
    fn a_room_is_open_until_a_margin_before_the_next_class() {
        let events = [(at(10, 45), at(12, 30), "Calculus")];
        assert_eq!(room(&[], at(9, 0)), open(Until::DayEnds));
        assert_eq!(room(&events, at(9, 0)), open(Until::Reserved(at(10, 35))));
        assert_eq!(room(&events, at(10, 34)), open(Until::Reserved(at(10, 35))));
        assert_eq!(room(&events, at(10, 35)), reserved("Calculus", Some(at(12, 30))));
        assert_eq!(room(&events, at(12, 29)), reserved("Calculus", Some(at(12, 30))));
        assert_eq!(room(&events, at(12, 30)), open(Until::DayEnds));
        let early = [(at(0, 5), at(1, 0), "Night")];
        assert_eq!(room(&early, at(0, 0)), reserved("Night", Some(at(1, 0))), "no time before midnight");
    }

    #[test]
    fn events_with_less_than_a_quarter_between_them_are_one() {
        let near = [(at(8, 45), at(10, 30), "A"), (at(10, 44), at(12, 30), "B")];
        assert_eq!(room(&near, at(9, 0)), reserved("A", Some(at(12, 30))));
        assert_eq!(room(&near, at(10, 32)), reserved("B", Some(at(12, 30))), "nobody is let in between");
        let apart = [(at(8, 45), at(10, 30), "A"), (at(10, 45), at(12, 30), "B")];
        assert_eq!(room(&apart, at(9, 0)), reserved("A", Some(at(10, 30))));
        assert_eq!(room(&apart, at(10, 32)), open(Until::Reserved(at(10, 35))));
        let backwards = [(at(10, 44), at(12, 30), "B"), (at(8, 45), at(10, 30), "A")];
        assert_eq!(room(&backwards, at(9, 0)), room(&near, at(9, 0)), "in whatever order they come");
        let within = [(at(8, 0), at(12, 0), "A"), (at(9, 0), at(10, 0), "B"), (at(11, 55), at(13, 0), "C")];
        let both = Room::Reserved { by: vec!["A".into(), "B".into()], until: Some(at(13, 0)) };
        assert_eq!(room(&within, at(9, 30)), both);
    }

    #[test]
    fn a_room_that_is_shut_is_closed_and_no_margin_is_taken_off() {
        let night = [(at(0, 0), at(8, 0), "Closed"), (at(22, 0), at(23, 59), "Closed")];
        let closed = |until| Room::Closed { by: "Closed".into(), until };
        assert_eq!(room(&night, at(7, 59)), closed(Some(at(8, 0))));
        assert_eq!(room(&night, at(8, 0)), open(Until::Closes(at(22, 0))));
        assert_eq!(room(&night, at(21, 59)), open(Until::Closes(at(22, 0))));
        assert_eq!(room(&night, at(22, 0)), closed(None), "today it does not open again");
        assert_eq!(room(&night, at(23, 59)), closed(None), "the last minute of the day is a part of it");
        let late = [(at(20, 0), at(22, 0), "Club"), (at(22, 0), at(23, 59), "Closed")];
        assert_eq!(room(&late, at(21, 0)), reserved("Club", None));
        assert_eq!(room(&late, at(22, 0)), closed(None));
    }

    #[test]
    fn the_best_room_has_the_most_seats_and_is_had_the_longest() {
        let off = |count: usize| vec![Occupation::Off; count];
        let class = |from: TimeOfDay, to| day(&[(from, to, "Class")]);
        let shut = day(&[(at(0, 0), at(23, 59), "Closed")]);
        let rooms = [
            ("shut", off(9), shut),
            ("later", off(9), class(at(9, 0), at(17, 0))),
            ("sooner", off(9), class(at(9, 0), at(13, 0))),
            ("few", off(2), day(&[])),
            ("short", off(5), class(at(13, 0), at(14, 0))),
            ("long", off(5), day(&[])),
        ];
        let mut ranked: Vec<_> = rooms
            .iter()
            .map(|(name, pcs, events)| (rule().seats(pcs.clone(), events, at(12, 0)), *name))
            .collect();
        ranked.sort_by_key(|(seats, _)| seats.rank());
        let names: Vec<&str> = ranked.iter().map(|(_, name)| *name).collect();
        assert_eq!(names, ["long", "short", "few", "sooner", "later", "shut"]);
        assert_eq!(ranked.last().unwrap().0.usable(), 0);
    }

    #[test]
    fn an_event_without_an_end_is_there_for_a_minute() {
        let odd = [(at(12, 0), at(12, 0), "A"), (at(15, 0), at(14, 0), "B")];
        assert_eq!(room(&odd, at(12, 0)), reserved("A", Some(at(12, 1))));
        assert_eq!(room(&odd, at(12, 1)), open(Until::Reserved(at(14, 50))));
        assert_eq!(room(&odd, at(15, 0)), reserved("B", Some(at(15, 1))));
    }
}
