//! Time zones as calendars name and define them.
//!
//! A name that is known wins over the definition that comes along: exporters ship rules of one year, or of 1601,
//! where the database has the history. A definition is evaluated where its name says nothing.

use super::super::{Error, day};
use super::rules::{BadRule, Budget, times};
use calcard::common::PartialDateTime;
use calcard::icalendar::{
    ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarProperty, ICalendarValue,
};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

/// How many changes the definition of a zone may have: two a year since 1601, and for longer than anybody plans, are
/// half of that.
const MOST_CHANGES: usize = 3_000;

/// How many zones of a calendar are evaluated; those with names that are known cost nothing and do not count.
const MOST_DEFINED: usize = 100;

/// A zone: one of the database, or one that a calendar defines.
#[derive(Debug, Clone)]
pub(super) enum Zone {
    /// Of the IANA database.
    Named(Tz),
    /// By its changes of offset, the earliest first.
    Defined(Arc<[Change]>),
}

/// The clock is put forward or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// When, on the clock as it was before.
    local: NaiveDateTime,
    /// Seconds east of UTC before it.
    from: i64,
    /// And from then on.
    to: i64,
}

/// The zones of one calendar.
#[derive(Debug)]
pub(super) struct Zones {
    defined: HashMap<String, Zone>,
    /// Whose clock floating times are of.
    pub(super) own: Tz,
}

impl Zones {
    /// Those that `calendar` defines; `own` is that of floating times.
    ///
    /// # Errors
    /// When it takes too long.
    pub(super) fn of(calendar: &ICalendar, own: Tz, budget: Budget) -> Result<Zones, Error> {
        let mut zones = Zones { defined: HashMap::new(), own };
        let mut evaluated = 0;
        for component in &calendar.components {
            if component.component_type != ICalendarComponentType::VTimezone {
                continue;
            }
            let Some(id) = text(component, &ICalendarProperty::Tzid) else { continue };
            let place = ICalendarProperty::Other("X-LIC-LOCATION".into());
            let zone = match named(id).or_else(|| named(text(component, &place)?)) {
                Some(zone) => Some(Zone::Named(zone)),
                None if evaluated == MOST_DEFINED => None,
                None => {
                    evaluated += 1;
                    defined(calendar, component, budget)?
                }
            };
            zones.defined.extend(zone.map(|zone| (id.to_owned(), zone)));
        }
        Ok(zones)
    }

    /// The zone with that name.
    pub(super) fn find(&self, id: &str) -> Option<Zone> {
        self.defined.get(id).cloned().or_else(|| named(id).or_else(|| guessed(id)).map(Zone::Named))
    }
}

impl Zone {
    /// The instant at which its clocks show `local`; by the policy of [`day`].
    pub(super) fn instant(&self, local: NaiveDateTime) -> DateTime<Utc> {
        let changes = match self {
            Zone::Named(zone) => return day::instant(*zone, local),
            Zone::Defined(changes) => changes,
        };
        let before = changes.partition_point(|change| change.local <= local);
        let offset = match before.checked_sub(1).and_then(|last| changes.get(last)) {
            // Within the gap that it makes, the offset before it counts.
            Some(last) if local < last.local + TimeDelta::seconds(last.to - last.from) => last.from,
            Some(last) => last.to,
            None => changes.first().map_or(0, |first| first.from),
        };
        (local - TimeDelta::seconds(offset)).and_utc()
    }

    /// What its clocks show at `at`.
    pub(super) fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        let changes = match self {
            Zone::Named(zone) => return at.with_timezone(zone).naive_local(),
            Zone::Defined(changes) => changes,
        };
        let at = at.naive_utc();
        let before = changes.partition_point(|change| change.local - TimeDelta::seconds(change.from) <= at);
        let offset = match before.checked_sub(1).and_then(|last| changes.get(last)) {
            Some(last) => last.to,
            None => changes.first().map_or(0, |first| first.from),
        };
        at + TimeDelta::seconds(offset)
    }
}

/// The zone that a name means: of the database, with a prefix before it, in other letters, or of Windows.
pub(super) fn named(id: &str) -> Option<Tz> {
    let id = id.trim();
    if let Ok(zone) = id.parse() {
        return Some(zone);
    }
    // "/freeassociation.sourceforge.net/Europe/Amsterdam", "/mozilla.org/20050126_1/America/Argentina/Salta".
    let parts: Vec<&str> = id.split('/').collect();
    let least = if id.starts_with('/') { 1 } else { 2 };
    let tails = (least..parts.len().min(4)).rev().filter_map(|count| parts.get(parts.len() - count..));
    let prefixed = tails.filter_map(|tail| tail.join("/").parse().ok()).next();
    prefixed
        .or_else(|| windows(id))
        .or_else(|| chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(id)).copied())
}

/// A name of Windows, by calcard's table. Where the table has none, calcard takes the offset in front of
/// "(UTC+01:00) Somewhere" for the zone, which knows no summer: that is a guess, and not made here.
fn windows(id: &str) -> Option<Tz> {
    guessed(id).filter(|zone| !(id.starts_with('(') && zone.name().starts_with("Etc/")))
}

fn guessed(id: &str) -> Option<Tz> {
    match calcard::common::timezone::Tz::from_str(id.trim()) {
        Ok(calcard::common::timezone::Tz::Tz(zone)) => Some(zone),
        _ => None,
    }
}

/// A zone as its VTIMEZONE has it; none where that says nothing, or too much.
///
/// # Errors
/// When it takes too long.
fn defined(
    calendar: &ICalendar,
    component: &ICalendarComponent,
    budget: Budget,
) -> Result<Option<Zone>, Error> {
    let mut changes = Vec::new();
    for part in component.component_ids.iter().filter_map(|id| calendar.components.get(*id as usize)) {
        let is_part = matches!(
            part.component_type,
            ICalendarComponentType::Standard | ICalendarComponentType::Daylight
        );
        let first = value(part, &ICalendarProperty::Dtstart).and_then(|value| local(partial(value)?));
        let offset = |name| value(part, name).and_then(|value| offset(partial(value)?));
        let (from, to) = (offset(&ICalendarProperty::Tzoffsetfrom), offset(&ICalendarProperty::Tzoffsetto));
        let (true, Some(first), Some(from), Some(to)) = (is_part, first, from, to) else { continue };
        let mut onsets = vec![first];
        for entry in &part.entries {
            for value in &entry.values {
                match (&entry.name, value) {
                    (ICalendarProperty::Rdate, ICalendarValue::PartialDateTime(date)) => {
                        onsets.extend(local(date));
                    }
                    (ICalendarProperty::Rrule, ICalendarValue::RecurrenceRule(rule)) => {
                        // The standard wants UTC here, and some write local time: hours are nothing to this.
                        let until = rule.until.as_ref().and_then(local);
                        // All of it: the last change before a day may be the last there ever was.
                        let all = first..=NaiveDateTime::MAX.min(first + TimeDelta::days(365 * 600));
                        match times(rule, first, until, &all, budget) {
                            Ok(times) => onsets.extend(times),
                            Err(BadRule::TooLate) => return Err(Error::TooSlow),
                            Err(BadRule::NotUnderstood | BadRule::TooMany) => {}
                        }
                    }
                    _ => {}
                }
            }
        }
        changes.extend(onsets.into_iter().map(|local| Change { local, from, to }));
        if changes.len() > MOST_CHANGES {
            return Ok(None);
        }
    }
    changes.sort_by_key(|change| change.local - TimeDelta::seconds(change.from));
    changes.dedup();
    Ok((!changes.is_empty()).then(|| Zone::Defined(changes.into())))
}

/// The date and time that are written, whatever zone is written with them; midnight of a date alone.
pub(super) fn local(written: &PartialDateTime) -> Option<NaiveDateTime> {
    let year = written.year.filter(|year| *year <= 9_999)?;
    let date = chrono::NaiveDate::from_ymd_opt(year.into(), written.month?.into(), written.day?.into())?;
    let part = |part: Option<u8>| u32::from(part.unwrap_or(0));
    let (hour, minute, second) = (part(written.hour), part(written.minute), part(written.second).min(59));
    if (hour, minute, second) == (24, 0, 0) {
        return Some(date.succ_opt()?.and_time(chrono::NaiveTime::MIN));
    }
    date.and_hms_opt(hour, minute, second)
}

/// The offset that is written, in seconds east of UTC.
pub(super) fn offset(written: &PartialDateTime) -> Option<i64> {
    let seconds = i64::from(written.tz_hour?) * 3_600 + i64::from(written.tz_minute.unwrap_or(0)) * 60;
    Some(if written.tz_minus { -seconds } else { seconds })
}

fn partial(value: &ICalendarValue) -> Option<&PartialDateTime> {
    match value {
        ICalendarValue::PartialDateTime(date) => Some(date),
        _ => None,
    }
}

fn value<'a>(component: &'a ICalendarComponent, name: &ICalendarProperty) -> Option<&'a ICalendarValue> {
    component.entries.iter().find(|entry| entry.name == *name)?.values.first()
}

fn text<'a>(component: &'a ICalendarComponent, name: &ICalendarProperty) -> Option<&'a str> {
    match value(component, name)? {
        ICalendarValue::Text(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{America, Europe, Pacific};

    #[test]
    fn a_zone_is_known_by_many_names() {
        let cases = [
            ("Europe/Amsterdam", Some(Europe::Amsterdam)),
            ("europe/amsterdam", Some(Europe::Amsterdam)),
            ("/freeassociation.sourceforge.net/Europe/Amsterdam", Some(Europe::Amsterdam)),
            ("/freeassociation.sourceforge.net/Tzfile/Europe/Amsterdam", Some(Europe::Amsterdam)),
            ("/mozilla.org/20050126_1/America/Argentina/Salta", Some(America::Argentina::Salta)),
            ("/softwarestudio.org/Olson_20011030_5/America/Chicago", Some(America::Chicago)),
            ("/example.org/UTC", Some(Tz::UTC)),
            ("W. Europe Standard Time", Some(Europe::Berlin)),
            ("Romance Standard Time", Some(Europe::Paris)),
            ("Hawaiian Standard Time", Some(Pacific::Honolulu)),
            ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", Some(Europe::Berlin)),
            ("(UTC+01:00) Nowhere at all", None),
            ("Customized Time Zone", None),
            ("", None),
        ];
        for (id, zone) in cases {
            let offset = |zone: Tz| day::instant(zone, "2026-07-01T12:00:00".parse().unwrap());
            assert_eq!(named(id).map(offset), zone.map(offset), "{id}: {:?}", named(id));
        }
    }

    #[test]
    fn a_zone_without_a_known_name_is_as_it_is_defined() {
        let text = "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Customized Time Zone\n\
            BEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\n\
            RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\n\
            BEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\n\
            RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE\nEND:VCALENDAR\n";
        let calcard::Entry::ICalendar(calendar) = calcard::Parser::new(text).entry() else { panic!() };
        let zones = Zones::of(&calendar, Tz::UTC, Budget::ample()).unwrap();
        let zone = zones.find("Customized Time Zone").unwrap();
        assert!(matches!(zone, Zone::Defined(_)));
        for local in [
            "2026-11-23T10:00:00",
            "2026-07-01T10:00:00",
            "2026-03-29T01:59:59",
            "2026-03-29T02:30:00",
            "2026-03-29T03:00:00",
            "2026-10-25T01:59:00",
            "2026-10-25T02:30:00",
            "2026-10-25T03:00:00",
        ] {
            let local = local.parse().unwrap();
            let expected = day::instant(Europe::Amsterdam, local);
            assert_eq!(zone.instant(local), expected, "{local}");
            assert_eq!(
                zone.local(expected),
                expected.with_timezone(&Europe::Amsterdam).naive_local(),
                "{local}"
            );
        }
    }
}
