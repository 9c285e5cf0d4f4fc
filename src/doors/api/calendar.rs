//! What is reserved in a room today, as iCalendar (RFC 5545).

use crate::core::schedule::{Reservation, TimeOfDay};
use crate::core::snapshot::RoomView;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use icalendar::{Calendar, Component, Event, EventLike, Property};
use sha2::{Digest, Sha256};
use std::fmt::Write;

pub(super) const TYPE: &str = "text/calendar; charset=utf-8";

/// How often a calendar that is subscribed to is to be fetched: it is of one day, and some programs ask once a week.
const REFRESH: TimeDelta = TimeDelta::hours(1);

/// The calendar of a room on the day of `now`. Times are told in UTC, which needs no table of a zone's rules; the zone is
/// named, so that they are shown in it.
pub(super) fn of(room: RoomView<'_>, now: &DateTime<Tz>) -> String {
    let (day, zone) = (now.date_naive(), now.timezone());
    let mut calendar = Calendar::empty();
    calendar.append_property(Property::new("VERSION", "2.0"));
    calendar.append_property(Property::new("PRODID", "-//tkbd//rooms//EN"));
    // The crate escapes all texts but this one, which it does not know to be one (RFC 7986, section 5.1).
    calendar.append_property(Property::new("NAME", escaped(room.name())));
    calendar.append_property(Property::new("X-WR-CALNAME", room.name()));
    calendar.timezone(zone.name()).ttl(&REFRESH);
    for reservation in room.schedule() {
        let (start, end) = (instant(zone, day, reservation.start), end(zone, day, reservation));
        let mut event = Event::with_uid(&uid(room.key().as_str(), day, reservation));
        // Of an event that is made each time anew there is no other: the answer is the same until something changes.
        event.timestamp(instant(zone, day, MIDNIGHT));
        event.starts(start).ends(end).summary(&reservation.text).location(room.name());
        calendar.push(event.done());
    }
    let text = calendar.to_string();
    match text.strip_suffix(LAST_LINE) {
        // A calendar has at least one component (RFC 5545, section 3.6). Of a day without events it says that it is free.
        Some(head) if room.schedule().is_empty() => format!("{head}{}{LAST_LINE}", free(room, day, zone)),
        _ => text,
    }
}

const LAST_LINE: &str = "END:VCALENDAR\r\n";

const MIDNIGHT: TimeOfDay = TimeOfDay { hour: 0, minute: 0 };

/// A day without events.
fn free(room: RoomView<'_>, day: NaiveDate, zone: Tz) -> String {
    let time = |at: DateTime<Utc>| at.format("%Y%m%dT%H%M%SZ").to_string();
    let whole = Reservation { start: MIDNIGHT, end: LAST_MINUTE, text: String::new() };
    let (start, end) = (time(instant(zone, day, MIDNIGHT)), time(end(zone, day, &whole)));
    let uid = uid(room.key().as_str(), day, &whole);
    format!(
        "BEGIN:VFREEBUSY\r\nUID:{uid}\r\nDTSTAMP:{start}\r\nDTSTART:{start}\r\nDTEND:{end}\r\nEND:VFREEBUSY\r\n"
    )
}

/// A text, as it stands in a calendar (RFC 5545, section 3.3.11). It has no line breaks.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,")
}

/// The same for the same reservation, whoever asks and whenever.
fn uid(key: &str, day: NaiveDate, of: &Reservation) -> String {
    let Reservation { start, end, text } = of;
    let of = format!("{key}\n{day}\n{start:?}\n{end:?}\n{text}");
    Sha256::digest(of.as_bytes()).iter().take(16).fold(String::new(), |mut uid, byte| {
        // Writing to a string cannot fail.
        let _ = write!(uid, "{byte:02x}");
        uid
    }) + "@tkbd"
}

/// The last minute that a schedule names.
const LAST_MINUTE: TimeOfDay = TimeOfDay { hour: 23, minute: 59 };

/// When a reservation is over. A day that is told to last until 23:59 lasts until midnight. An end stands behind its start
/// (RFC 5545, section 3.8.2.2): one that does not is there for a minute, as where seats are counted.
fn end(zone: Tz, day: NaiveDate, of: &Reservation) -> DateTime<Utc> {
    let least = instant(zone, day, of.start) + TimeDelta::minutes(1);
    let end = match (of.end, day.succ_opt()) {
        (LAST_MINUTE, Some(next)) => instant(zone, next, MIDNIGHT),
        _ => instant(zone, day, of.end),
    };
    end.max(least)
}

/// When the clock of `zone` shows that: the first time where it does so twice; where it never does, as if it had not been
/// put forward (RFC 5545, section 3.3.5).
fn instant(zone: Tz, day: NaiveDate, at: TimeOfDay) -> DateTime<Utc> {
    let time = NaiveTime::from_hms_opt(at.hour.into(), at.minute.into(), 0).unwrap_or_default();
    let local = day.and_time(time);
    let before = || zone.from_local_datetime(&(local - TimeDelta::hours(3))).earliest();
    match zone.from_local_datetime(&local).earliest() {
        Some(at) => at.to_utc(),
        None => before().map_or_else(|| local.and_utc(), |at| at.to_utc() + TimeDelta::hours(3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Europe::Amsterdam;

    fn utc(day: &str, hour: u8, minute: u8) -> String {
        instant(Amsterdam, day.parse().unwrap(), TimeOfDay { hour, minute }).to_rfc3339()
    }

    #[test]
    fn hours_are_those_of_the_zone_and_of_the_season() {
        assert_eq!(utc("2026-11-23", 10, 45), "2026-11-23T09:45:00+00:00");
        assert_eq!(utc("2026-07-01", 10, 45), "2026-07-01T08:45:00+00:00");
        assert_eq!(utc("2026-03-29", 2, 30), "2026-03-29T01:30:00+00:00", "skipped");
        assert_eq!(utc("2026-10-25", 2, 30), "2026-10-25T00:30:00+00:00", "repeated");
    }

    #[test]
    fn a_reservation_ends_after_it_began_and_the_last_one_at_midnight() {
        let at = |hour, minute| TimeOfDay { hour, minute };
        let end = |start: TimeOfDay, until: TimeOfDay| {
            let of = Reservation { start, end: until, text: String::new() };
            end(Amsterdam, "2026-11-23".parse().unwrap(), &of).to_rfc3339()
        };
        assert_eq!(end(at(9, 0), at(10, 30)), "2026-11-23T09:30:00+00:00");
        assert_eq!(end(at(9, 0), at(23, 59)), "2026-11-23T23:00:00+00:00");
        assert_eq!(end(at(9, 0), at(9, 0)), "2026-11-23T08:01:00+00:00");
        assert_eq!(end(at(9, 0), at(8, 0)), "2026-11-23T08:01:00+00:00");
    }

    #[test]
    fn a_reservation_has_one_uid_and_another_has_another() {
        let class = |start: u8, text: &str| {
            let (start, end) = (TimeOfDay { hour: start, minute: 0 }, TimeOfDay { hour: 17, minute: 0 });
            Reservation { start, end, text: text.into() }
        };
        let day = "2026-11-23".parse().unwrap();
        let all = [
            uid("a", day, &class(9, "A")),
            uid("b", day, &class(9, "A")),
            uid("a", day.succ_opt().unwrap(), &class(9, "A")),
            uid("a", day, &class(10, "A")),
            uid("a", day, &class(9, "B")),
        ];
        assert_eq!(all[0], uid("a", day, &class(9, "A")));
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
    }
}
