//! What the tests of providers share.

use super::day::Day;
use super::{Booking, Pull, Room, Timetable};
use crate::core::room::RoomKey;
use chrono::SecondsFormat;
use std::time::{Duration, Instant};

/// A room.
pub(super) fn room(key: &str, name: &str) -> Room {
    Room { key: RoomKey::parse(key).unwrap(), name: name.into() }
}

/// A pull for a date in Amsterdam and the week after it.
pub(super) fn pull(date: &str, rooms: &[Room]) -> Pull {
    let day = Day { date: date.parse().unwrap(), zone: chrono_tz::Europe::Amsterdam };
    Pull { day, rooms: rooms.into(), now: Instant::now(), fresh: Duration::from_secs(900) }
}

/// A booking a line, in their order.
pub(super) fn shown(timetable: &Timetable) -> Vec<String> {
    lines(&timetable.bookings)
}

/// A booking a line, in their order.
pub(super) fn lines(bookings: &[Booking]) -> Vec<String> {
    let time = |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut sorted = bookings.to_vec();
    sorted.sort();
    sorted.iter().map(|b| format!("{} {} {} {}", b.room, time(b.start), time(b.end), b.text)).collect()
}
