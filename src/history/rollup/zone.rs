//! Days and half hours of the clock on the wall, of the zone of the setup.

use crate::core::insight::Slot;
use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;

fn local(at: i64, zone: Tz) -> DateTime<Tz> {
    DateTime::from_timestamp(at, 0).unwrap_or_default().with_timezone(&zone)
}

/// The date of a second.
pub(in super::super) fn date(at: i64, zone: Tz) -> NaiveDate {
    local(at, zone).date_naive()
}

/// The day of a second: how many are between it and the first of 1970.
pub(in super::super) fn day(at: i64, zone: Tz) -> i64 {
    i64::from(date(at, zone).to_epoch_days())
}

/// The second at which a day begins: its first, where midnight is skipped or comes twice.
pub(in super::super) fn start(day: i64, zone: Tz) -> i64 {
    let date = i32::try_from(day).ok().and_then(NaiveDate::from_epoch_days).unwrap_or_default();
    let midnight = date.and_time(chrono::NaiveTime::MIN);
    let begin = |quarter: i64| {
        let at = midnight + TimeDelta::minutes(15 * quarter);
        zone.from_local_datetime(&at).earliest().map(|begin| begin.timestamp())
    };
    (0..=12).find_map(begin).unwrap_or(midnight.and_utc().timestamp())
}

/// The half hour of the week in which a second is.
pub(in super::super) fn slot(at: i64, zone: Tz) -> Slot {
    let local = local(at, zone);
    Slot::new(local.weekday().num_days_from_monday(), local.hour() * 60 + local.minute())
}

/// How far half hours begin past those of UTC: not at all, but for a few zones that are a quarter of an hour off.
pub(super) fn phase(at: i64, zone: Tz) -> i64 {
    let offset = local(at, zone).offset().fix().local_minus_utc();
    (-i64::from(offset)).rem_euclid(super::tally::HALF_HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_the_midnight_of_the_zone_also_where_there_is_none() {
        let date =
            |year, month, day| i64::from(NaiveDate::from_ymd_opt(year, month, day).unwrap().to_epoch_days());
        let hours = |zone: Tz, of: i64| (start(of + 1, zone) - start(of, zone)) as f64 / 3600.0;
        for (zone, of, long) in [
            (Tz::Europe__Amsterdam, date(2026, 3, 28), 24.0),
            (Tz::Europe__Amsterdam, date(2026, 3, 29), 23.0),
            (Tz::Europe__Amsterdam, date(2026, 10, 25), 25.0),
            // Midnight is skipped, comes twice, or half an hour is.
            (Tz::Asia__Beirut, date(2026, 3, 29), 23.0),
            (Tz::America__Havana, date(2026, 11, 1), 25.0),
            (Tz::Australia__Lord_Howe, date(2026, 4, 5), 24.5),
            (Tz::UTC, date(2026, 3, 29), 24.0),
        ] {
            assert_eq!(hours(zone, of), long, "{zone}");
            for at in [start(of, zone), start(of + 1, zone) - 1] {
                assert_eq!(day(at, zone), of, "{zone}");
            }
            assert_eq!(slot(start(of, zone), zone).weekday(), slot(start(of + 1, zone) - 1, zone).weekday());
        }
    }

    #[test]
    fn half_hours_are_those_of_the_wall_also_where_zones_are_a_quarter_off() {
        for (zone, phase_is) in
            [(Tz::Europe__Amsterdam, 0), (Tz::Asia__Kolkata, 0), (Tz::Asia__Kathmandu, 900), (Tz::UTC, 0)]
        {
            assert_eq!(phase(1_790_000_000, zone), phase_is, "{zone}");
        }
    }
}
