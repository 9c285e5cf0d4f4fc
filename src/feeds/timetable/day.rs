//! Days of the setup's zone: when they begin and end, and which part of them a stretch of time takes.
//!
//! The one place with a policy for the hours that a clock skips or repeats, as RFC 5545 (3.3.5) has it: a
//! local time in a gap is read with the offset before the gap, one that is repeated means the first.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike, Utc};
use chrono_tz::{GapInfo, Tz};

/// How many days a provider is asked for. Tomorrow has to be known before midnight, and a server that is down
/// over a weekend must not empty the displays on Monday.
pub const DAYS: u64 = 8;

/// Minutes in a day, as clocks have them.
pub const MINUTES: u16 = 24 * 60;

/// A day in a zone, and the week that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Day {
    /// The date.
    pub date: NaiveDate,
    /// Whose midnight counts.
    pub zone: Tz,
}

impl Day {
    /// The day that it is in `zone` at `now`.
    pub fn at(now: DateTime<Utc>, zone: Tz) -> Day {
        Day { date: now.with_timezone(&zone).date_naive(), zone }
    }

    /// The day `count` days later; the last there is, beyond the end of the calendar.
    #[must_use]
    pub fn plus(self, count: u64) -> Day {
        Day { date: self.date.checked_add_days(Days::new(count)).unwrap_or(NaiveDate::MAX), ..self }
    }

    /// When it begins: usually at 00:00.
    pub fn start(self) -> DateTime<Utc> {
        instant(self.zone, self.date.and_time(NaiveTime::MIN))
    }

    /// When it ends: where the next begins.
    pub fn end(self) -> DateTime<Utc> {
        self.plus(1).start()
    }

    /// When the last of the days ends that a provider is asked for.
    pub fn horizon(self) -> DateTime<Utc> {
        self.plus(DAYS).start()
    }

    /// The days that a provider is asked for.
    pub fn and_following(self) -> impl Iterator<Item = Day> {
        (0..DAYS).map(move |count| self.plus(count))
    }

    /// Which minutes of this day the time from `start` to `end` takes, as the clock on the wall shows them: from
    /// the first, to before the second. Minutes that are touched count whole.
    pub fn minutes(self, start: DateTime<Utc>, end: DateTime<Utc>) -> Option<(u16, u16)> {
        let (day_start, day_end) = (self.start(), self.end());
        if start >= end || start >= day_end || end <= day_start {
            return None;
        }
        let from = if start <= day_start { 0 } else { self.minute_of(start) };
        let to = if end >= day_end {
            MINUTES
        } else {
            self.minute_of(end - chrono::TimeDelta::nanoseconds(1)) + 1
        };
        if from < to && !self.repeats(start.max(day_start), end.min(day_end)) {
            return Some((from, to));
        }
        // The clock goes back in between, so it shows more than stands between the two ends.
        let mut at = start.max(day_start);
        let (mut from, mut to) = (from, to);
        while at < end.min(day_end) {
            let minute = self.minute_of(at);
            (from, to) = (from.min(minute), to.max(minute + 1));
            at += chrono::TimeDelta::minutes(1);
        }
        Some((from, to))
    }

    fn minute_of(self, at: DateTime<Utc>) -> u16 {
        let local = at.with_timezone(&self.zone);
        // 0 to 1439.
        (local.hour() * 60 + local.minute()) as u16
    }

    /// Whether the clock is put back between two times.
    fn repeats(self, start: DateTime<Utc>, end: DateTime<Utc>) -> bool {
        let offset =
            |at: DateTime<Utc>| self.zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
        offset(end) < offset(start)
    }
}

/// The instant at which the clocks of `zone` show `local`.
pub fn instant(zone: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    match zone.from_local_datetime(&local) {
        chrono::LocalResult::Single(at) | chrono::LocalResult::Ambiguous(at, _) => at.to_utc(),
        chrono::LocalResult::None => {
            let before = GapInfo::new(&local, &zone).and_then(|gap| gap.begin);
            let seconds = before.map_or(0, |(_, offset)| offset.fix().local_minus_utc());
            (local - chrono::TimeDelta::seconds(seconds.into())).and_utc()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{Africa, America, Europe, Pacific};

    fn day(date: &str, zone: Tz) -> Day {
        Day { date: date.parse().unwrap(), zone }
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_local_time_is_the_instant_that_the_standard_names() {
        let cases = [
            (Europe::Amsterdam, "2026-11-23T10:00:00", "2026-11-23T09:00:00Z"),
            (Europe::Amsterdam, "2026-07-01T10:00:00", "2026-07-01T08:00:00Z"),
            // Skipped: 02:30 of the offset before is 03:30.
            (Europe::Amsterdam, "2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),
            // Repeated: the first.
            (Europe::Amsterdam, "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
            // A midnight that there was not, and a day that there was not.
            (America::Sao_Paulo, "2018-11-04T00:00:00", "2018-11-04T03:00:00Z"),
            (Pacific::Apia, "2011-12-30T12:00:00", "2011-12-30T22:00:00Z"),
        ];
        for (zone, local, expected) in cases {
            assert_eq!(instant(zone, local.parse().unwrap()), utc(expected), "{zone} {local}");
        }
    }

    #[test]
    fn a_day_is_as_long_as_its_zone_makes_it() {
        let hours = |day: Day| (day.end() - day.start()).num_minutes();
        assert_eq!(hours(day("2026-11-23", Europe::Amsterdam)), 24 * 60);
        assert_eq!(hours(day("2026-03-29", Europe::Amsterdam)), 23 * 60);
        assert_eq!(hours(day("2026-10-25", Europe::Amsterdam)), 25 * 60);
        assert_eq!(Day::at(utc("2026-11-23T23:30:00Z"), Europe::Amsterdam).date.to_string(), "2026-11-24");
        assert_eq!(Day::at(utc("2026-11-23T23:30:00Z"), Africa::Abidjan).date.to_string(), "2026-11-23");
        assert_eq!(day("2026-12-28", Tz::UTC).and_following().last().unwrap().date.to_string(), "2027-01-04");
    }

    #[test]
    fn a_stretch_of_time_takes_the_minutes_that_a_clock_shows() {
        let cases = [
            // 10:00 to 11:30 in Amsterdam.
            ("2026-11-23", "2026-11-23T09:00:00Z", "2026-11-23T10:30:00Z", Some((600, 690))),
            // Seconds: touched minutes count.
            ("2026-11-23", "2026-11-23T09:00:59Z", "2026-11-23T10:29:01Z", Some((600, 690))),
            // Over midnight, from both sides, and around the day.
            ("2026-11-23", "2026-11-23T21:00:00Z", "2026-11-24T05:00:00Z", Some((1320, 1440))),
            ("2026-11-24", "2026-11-23T21:00:00Z", "2026-11-24T05:00:00Z", Some((0, 360))),
            ("2026-11-23", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", Some((0, 1440))),
            // To midnight sharp, and from it on.
            ("2026-11-23", "2026-11-23T21:00:00Z", "2026-11-23T23:00:00Z", Some((1320, 1440))),
            ("2026-11-24", "2026-11-23T21:00:00Z", "2026-11-23T23:00:00Z", None),
            // Nothing, and less.
            ("2026-11-23", "2026-11-23T09:00:00Z", "2026-11-23T09:00:00Z", None),
            ("2026-11-23", "2026-11-23T09:00:00Z", "2026-11-23T08:00:00Z", None),
            // The hour that is skipped: 01:30 to 03:30 are one hour.
            ("2026-03-29", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", Some((90, 210))),
            // The hour that is repeated: 02:50 to 02:10 an hour and twenty minutes later, so all of it.
            ("2026-10-25", "2026-10-25T00:50:00Z", "2026-10-25T01:10:00Z", Some((120, 180))),
            ("2026-10-25", "2026-10-25T00:50:00Z", "2026-10-25T01:55:00Z", Some((120, 180))),
            ("2026-10-25", "2026-10-25T00:10:00Z", "2026-10-25T00:20:00Z", Some((130, 140))),
        ];
        for (date, start, end, minutes) in cases {
            let day = day(date, Europe::Amsterdam);
            assert_eq!(day.minutes(utc(start), utc(end)), minutes, "{date} {start} {end}");
        }
    }

    #[test]
    fn the_end_of_the_calendar_is_no_end_of_the_daemon() {
        let last = Day { date: NaiveDate::MAX, zone: Europe::Amsterdam };
        assert_eq!(last.plus(3).date, NaiveDate::MAX);
        assert!(last.start() <= last.horizon());
    }
}
