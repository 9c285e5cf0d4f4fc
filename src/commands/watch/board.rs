//! What is on the board: one row a room, worked out of a view. Pure.

use crate::client::View;
use crate::core::pc::{Occupation, System, Use};
use crate::core::room::RoomKey;
use crate::core::schedule::{Reservation, TimeOfDay};
use crate::core::tag::Tag;
use std::cmp::Reverse;
use std::ops::AddAssign;

/// How many PCs are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Free, running Windows.
    pub(super) windows: usize,
    /// Free, running Linux.
    pub(super) linux: usize,
    /// Somebody is logged on.
    pub(super) used: usize,
    /// Switched off.
    pub(super) off: usize,
    /// Nothing is known of its use.
    pub(super) unknown: usize,
}

impl Counts {
    /// Of PCs in these states.
    pub(super) fn of(states: impl Iterator<Item = Occupation>) -> Counts {
        let mut counts = Counts::default();
        for state in states {
            *match state {
                Occupation::On(System::Windows, Use::Free) => &mut counts.windows,
                Occupation::On(System::Linux, Use::Free) => &mut counts.linux,
                Occupation::On(_, Use::Used) => &mut counts.used,
                Occupation::Off => &mut counts.off,
                Occupation::Unknown | Occupation::On(_, Use::Unknown) => &mut counts.unknown,
            } += 1;
        }
        counts
    }

    pub(super) fn free(&self) -> usize {
        self.windows + self.linux
    }

    pub(super) fn total(&self) -> usize {
        self.free() + self.used + self.off + self.unknown
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.windows += other.windows;
        self.linux += other.linux;
        self.used += other.used;
        self.off += other.off;
        self.unknown += other.unknown;
    }
}

/// A room of the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: RoomKey,
    /// As the daemon wrote it: to be escaped where it is shown.
    pub(super) name: String,
    pub(super) counts: Counts,
    pub(super) reserved: Option<Reserved>,
}

/// That a room is reserved now, or will be soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reserved {
    /// Now, until then.
    Until(TimeOfDay, String),
    /// Within the hour, from then on.
    From(TimeOfDay, String),
}

impl Reserved {
    /// In words, not yet escaped.
    pub(super) fn describe(&self) -> String {
        match self {
            Reserved::Until(time, text) => format!("until {:02}:{:02} {text}", time.hour, time.minute),
            Reserved::From(time, text) => format!("from {:02}:{:02} {text}", time.hour, time.minute),
        }
    }
}

/// In which order the rooms stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Most free seats first; by name where they are equal, so that rows do not dance.
    Free,
    /// By name.
    Name,
}

/// The rows of a view at a time of day: of all rooms, or of those that carry `tag`.
pub(super) fn rows(view: &View, order: Order, tag: Option<&Tag>, now: TimeOfDay) -> Vec<Row> {
    let chosen = tag.map(|tag| view.tags().get(tag));
    let mut rows: Vec<Row> = view
        .rooms()
        .filter(|(key, _)| chosen.is_none_or(|rooms| rooms.is_some_and(|rooms| rooms.contains(*key))))
        .map(|(key, room)| Row {
            key: key.clone(),
            name: room.name.clone(),
            counts: Counts::of(room.pcs.iter().map(|pc| view.state(pc))),
            reserved: reserved(view.reservations(key), now),
        })
        .collect();
    let name = |row: &Row| (row.name.to_lowercase(), row.key.clone());
    match order {
        Order::Name => rows.sort_by_cached_key(name),
        Order::Free => rows.sort_by_cached_key(|row| (Reverse(row.counts.free()), name(row))),
    }
    rows
}

/// All rows together.
pub(super) fn total(rows: &[Row]) -> Counts {
    let mut total = Counts::default();
    for row in rows {
        total += row.counts;
    }
    total
}

/// What a reader of the board wants to know of today's reservations. Events that follow each other with
/// gaps under a quarter are one, as on the old page: nobody can work in between.
fn reserved(reservations: &[Reservation], now: TimeOfDay) -> Option<Reserved> {
    const GAP: u16 = 15;
    const SOON: u16 = 60;
    let minutes = |time: TimeOfDay| u16::from(time.hour) * 60 + u16::from(time.minute);
    let moment = minutes(now);
    let mut events: Vec<&Reservation> = reservations.iter().filter(|event| event.start < event.end).collect();
    events.sort_by_key(|event| (event.start, event.end));
    let mut chain: Option<(&Reservation, TimeOfDay)> = None;
    for event in events.into_iter().filter(|event| event.end > now) {
        match &mut chain {
            None => chain = Some((event, event.end)),
            Some((_, end)) if minutes(event.start) < minutes(*end) + GAP => *end = event.end.max(*end),
            Some(_) => break,
        }
    }
    let (first, end) = chain?;
    if first.start <= now {
        Some(Reserved::Until(end, first.text.clone()))
    } else if minutes(first.start) - moment <= SOON {
        Some(Reserved::From(first.start, first.text.clone()))
    } else {
        None
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::wire::client::reply;

    /// A view of what these messages say.
    pub(in super::super) fn view(messages: &str) -> View {
        let mut view = View::default();
        for message in reply(format!(r#"["t",[{messages}],[]]"#).as_bytes()).unwrap().messages {
            view.apply(message);
        }
        view
    }

    pub(in super::super) const THREE_ROOMS: &str = r#"
        {"type":"roomMap","version":1,"roomMap":{
            "hg075":["HG00.075",["a1","a2","a3","a4"]],
            "hg201":["HG00.201",["b1","b2"]],
            "none":["Onbekend",[]]}},
        {"type":"tagMap","version":1,"tagMap":{"hg":["hg075","hg201"],"empty":[]}},
        {"type":"schedule","version":1,"schedule":{"hg201":[[[10,45],[12,30],"Analyse 1"]]}},
        {"type":"occupation","version":1,"occupation":{"a1":"wf","a2":"lu","a3":"o","a4":"wx","b1":"wf","b2":"lf"}}"#;

    fn at(hour: u8, minute: u8) -> TimeOfDay {
        TimeOfDay::new(hour, minute).unwrap()
    }

    #[test]
    fn rows_count_states_and_stand_in_a_stable_order() {
        let view = view(THREE_ROOMS);
        let names = |order, tag: Option<&str>| {
            let tag = tag.map(|tag| Tag::parse(tag).unwrap());
            let rows = rows(&view, order, tag.as_ref(), at(11, 0));
            rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
        };
        assert_eq!(names(Order::Free, None), ["HG00.201", "HG00.075", "Onbekend"]);
        assert_eq!(names(Order::Name, None), ["HG00.075", "HG00.201", "Onbekend"]);
        assert_eq!(names(Order::Name, Some("hg")), ["HG00.075", "HG00.201"]);
        assert!(names(Order::Name, Some("empty")).is_empty());
        assert!(names(Order::Name, Some("gone")).is_empty());
        let rows = rows(&view, Order::Name, None, at(11, 0));
        assert_eq!(rows[0].counts, Counts { windows: 1, linux: 0, used: 1, off: 1, unknown: 1 });
        let total = total(&rows);
        assert_eq!((total.free(), total.total()), (3, 6));
        assert_eq!(rows[1].reserved, Some(Reserved::Until(at(12, 30), "Analyse 1".into())));
    }

    #[test]
    fn a_reservation_is_told_while_it_lasts_and_an_hour_before() {
        let event = |start: (u8, u8), end: (u8, u8), text: &str| Reservation {
            start: at(start.0, start.1),
            end: at(end.0, end.1),
            text: text.into(),
        };
        let events = [
            event((13, 45), (15, 30), "C"),
            event((8, 45), (10, 30), "A"),
            event((10, 40), (12, 30), "B"),
            event((17, 0), (16, 0), "backwards"),
        ];
        let cases = [
            (at(7, 44), None),
            (at(7, 45), Some("from 08:45 A")),
            (at(8, 45), Some("until 12:30 A")),
            // A gap of ten minutes is none.
            (at(10, 35), Some("from 10:40 B")),
            (at(11, 0), Some("until 12:30 B")),
            (at(12, 30), None),
            (at(13, 0), Some("from 13:45 C")),
            (at(15, 29), Some("until 15:30 C")),
            (at(15, 30), None),
            (at(16, 30), None),
        ];
        for (now, told) in cases {
            assert_eq!(reserved(&events, now).map(|r| r.describe()).as_deref(), told, "{now:?}");
        }
    }
}
