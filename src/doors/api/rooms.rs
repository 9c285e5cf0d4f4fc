//! Rooms as they are now: their seats, as JSON or in a line.

use super::history::shown;
use super::{Terms, badge, calendar};
use crate::core::pc::PcName;
use crate::core::schedule::TimeOfDay;
use crate::core::seats::{Free, Room, Seats, Until};
use crate::core::snapshot::{PcState, RoomView, Snapshot};
use crate::core::tag::TagFilter;
use crate::wire::api::{Json, Pc, RoomInFull, RoomNow, Rooms, Summary, clock, events};
use chrono::{DateTime, Timelike, Utc};
use chrono_tz::Tz;
use std::sync::Arc;

/// The state, and the hour.
pub(super) struct Today {
    pub(super) snapshot: Arc<Snapshot>,
    terms: Arc<Terms>,
    now: DateTime<Tz>,
}

impl Today {
    pub(super) fn new(snapshot: Arc<Snapshot>, terms: Arc<Terms>, now: DateTime<Utc>) -> Today {
        let now = now.with_timezone(&terms.zone);
        Today { snapshot, terms, now }
    }

    /// The date.
    pub(super) fn date(&self) -> String {
        self.now.date_naive().to_string()
    }

    /// The name of the zone.
    pub(super) fn zone(&self) -> &'static str {
        self.terms.zone.name()
    }

    /// All rooms that pass a filter.
    pub(super) fn rooms(&self, tags: &TagFilter) -> String {
        let rooms: Vec<(RoomView<'_>, Seats)> = self.seated(tags).collect();
        Rooms {
            versions: self.snapshot.versions.into(),
            date: self.date(),
            timezone: self.zone(),
            rooms: rooms.iter().map(|(room, seats)| RoomNow::new(*room, seats)).collect(),
        }
        .to_json()
    }

    /// All of them together, and the best.
    pub(super) fn summary(&self, tags: &TagFilter) -> String {
        let mut rooms: Vec<(RoomView<'_>, Seats)> =
            self.seated(tags).filter(|(_, seats)| seats.pcs > 0).collect();
        let is_open = |seats: &Seats| matches!(seats.room, Room::Open { .. });
        let count = |of: fn(&Seats) -> u32| rooms.iter().map(|(_, seats)| of(seats)).sum();
        let free = Free {
            windows: count(|seats| seats.free.windows),
            linux: count(|seats| seats.free.linux),
            other: count(|seats| seats.free.other),
        };
        let (all, open) = (rooms.len(), rooms.iter().filter(|(_, seats)| is_open(seats)).count());
        let (pcs, usable) = (count(|seats| seats.pcs), count(Seats::usable));
        rooms.retain(|(_, seats)| seats.usable() > 0);
        // Stable: rooms that are as good as one another stay in the order of the setup.
        rooms.sort_by_key(|(_, seats)| seats.rank());
        Summary {
            versions: self.snapshot.versions.into(),
            date: self.date(),
            timezone: self.zone(),
            rooms: all,
            open,
            pcs,
            free: free.into(),
            usable,
            best: rooms.iter().map(|(room, seats)| RoomNow::new(*room, seats)).collect(),
        }
        .to_json()
    }

    /// The badge of all of them together.
    pub(super) fn summary_badge(&self, tags: &TagFilter) -> String {
        let (mut usable, mut pcs) = (0, 0);
        for (_, seats) in self.seated(tags) {
            usable += seats.usable();
            pcs += seats.pcs;
        }
        badge::svg("Seats", &format!("{usable} of {pcs} free"), badge::Mood::of(usable))
    }

    /// What is asked for of one room by its key, or by that with `.txt`, `.ics` or `.svg` behind it. A key may end so, too:
    /// then it is that room.
    pub(super) fn room(&self, name: &str) -> Option<(&'static str, String)> {
        if let Some(room) = self.snapshot.room(name) {
            return Some(("application/json", self.in_full(room)));
        }
        let (key, form) = name.rsplit_once('.')?;
        let room = self.snapshot.room(key)?;
        match form {
            "txt" => Some(("text/plain; charset=utf-8", self.line(room))),
            "ics" => Some((calendar::TYPE, calendar::of(room, &self.now))),
            "svg" => {
                let seats = self.seats(room);
                let text = match &seats.room {
                    Room::Open { .. } => format!("{} free", seats.usable()),
                    Room::Reserved { .. } => "reserved".into(),
                    Room::Closed { .. } => "closed".into(),
                };
                Some((badge::TYPE, badge::svg(room.name(), &text, badge::Mood::of(seats.usable()))))
            }
            _ => None,
        }
    }

    fn in_full(&self, room: RoomView<'_>) -> String {
        let seats = self.seats(room);
        let pc = |(name, pc): (&'_ PcName, PcState)| {
            (name.clone(), pc.occupation.code(), pc.since.and_then(shown))
        };
        let pcs: Vec<_> = room.pcs().map(pc).collect();
        RoomInFull {
            versions: self.snapshot.versions.into(),
            date: self.date(),
            timezone: self.zone(),
            room: RoomNow::new(room, &seats),
            schedule: events(room.schedule()),
            occupation: pcs
                .iter()
                .map(|(name, state, since)| Pc { pc: name.as_str(), state, since: since.clone() })
                .collect(),
        }
        .to_json()
    }

    /// For shells.
    fn line(&self, room: RoomView<'_>) -> String {
        let (seats, name) = (self.seats(room), room.name());
        let Free { windows, linux, other } = seats.free;
        let until =
            |until: &Option<TimeOfDay>| until.map_or_else(String::new, |at| format!(" until {}", clock(at)));
        match &seats.room {
            Room::Open { until } => {
                let until = match until {
                    Until::Reserved(at) | Until::Closes(at) => format!(", until {}", clock(*at)),
                    Until::DayEnds => String::new(),
                };
                let (usable, pcs) = (seats.usable(), seats.pcs);
                format!(
                    "{name}: {usable} of {pcs} free ({windows} Windows, {linux} Linux, {other} other){until}\n"
                )
            }
            Room::Reserved { by, until: at } => {
                format!("{name}: reserved{} ({})\n", until(at), by.join(", "))
            }
            Room::Closed { by, until: at } => format!("{name}: closed{} ({by})\n", until(at)),
        }
    }

    fn seated<'a>(&'a self, tags: &'a TagFilter) -> impl Iterator<Item = (RoomView<'a>, Seats)> {
        self.snapshot.rooms(tags).map(|room| (room, self.seats(room)))
    }

    fn seats(&self, room: RoomView<'_>) -> Seats {
        // Below 24 and 60.
        let now = TimeOfDay { hour: self.now.hour() as u8, minute: self.now.minute() as u8 };
        self.terms.seats.seats(room.pcs().map(|(_, pc)| pc.occupation), room.schedule(), now)
    }
}
