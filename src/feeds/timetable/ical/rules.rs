//! Recurrence rules: from calcard's reading to rrule's expansion, on local times without a zone.
//!
//! A rule counts in the clock of its event. So local times are handed over as if they were UTC, in which no hour is
//! skipped or repeated, and get their zone afterwards (`zones`).

use super::super::Error;
use calcard::icalendar::{ICalendarFrequency, ICalendarMonth, ICalendarRecurrenceRule, ICalendarWeekday};
use chrono::{DateTime, Month, NaiveDateTime, TimeDelta, Weekday};
use rrule::{Frequency, NWeekday, RRule, RRuleSet, Tz, Unvalidated};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// How often one rule may be asked for its next time. A daily one since 1970 with a count stays below; what can be
/// leapt over is not counted.
const STEPS: usize = 100_000;

/// How many times one rule may yield within the days that are asked for: one every minute.
const OCCURRENCES: usize = 12_000;

/// How many times a rule may yield in one of its days: as many as a room may be reserved. The crate that expands it
/// makes all those of a year at once; all seconds of a year are gigabytes.
const A_DAY: usize = super::super::combine::MOST;

/// How long one calendar may take. 10 MB of weekly lectures take two seconds without optimisations.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a rule yields nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadRule {
    /// It is none, by the standard or for the crate that expands it.
    NotUnderstood,
    /// It yields more than a room can be reserved.
    TooMany,
    /// It is time to give up.
    TooLate,
}

/// When to give up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget(Instant);

impl Budget {
    /// From now on.
    pub(super) fn new() -> Budget {
        Budget(Instant::now() + PATIENCE)
    }

    /// One that lasts as long as the slowest machine needs: a test is not about time.
    #[cfg(test)]
    pub(super) fn ample() -> Budget {
        Budget(Instant::now() + Duration::from_secs(3600))
    }

    /// One of which nothing is left.
    #[cfg(test)]
    pub(super) fn spent() -> Budget {
        Budget(Instant::now())
    }

    /// # Errors
    /// When it is time to.
    pub(super) fn check(self) -> Result<(), Error> {
        if Instant::now() < self.0 { Ok(()) } else { Err(Error::TooSlow) }
    }
}

/// The times within `window` at which `rule` yields, for an event that first starts at `start`; `until` is the
/// rule's, in the event's own clock. The start itself is not among them, unless the rule yields it.
///
/// # Errors
/// When it cannot be told.
pub(super) fn times(
    rule: &ICalendarRecurrenceRule,
    start: NaiveDateTime,
    until: Option<NaiveDateTime>,
    window: &RangeInclusive<NaiveDateTime>,
    budget: Budget,
) -> Result<Vec<NaiveDateTime>, BadRule> {
    if until.is_some_and(|until| until < start || until < *window.start()) {
        return Ok(Vec::new());
    }
    let Some((start, count)) = leap(rule, start, *window.start()) else { return Ok(Vec::new()) };
    let mut converted = converted(rule)?;
    if let Some(count) = count {
        converted = converted.count(count);
    }
    if let Some(until) = until {
        converted = converted.until(as_utc(until));
    }
    let start = as_utc(start);
    let rule = converted.validate(start).map_err(|_| BadRule::NotUnderstood)?;
    let set = RRuleSet::new(start).rrule(rule).limit();
    let mut times = Vec::new();
    let in_time = || budget.check().map_err(|_| BadRule::TooLate);
    in_time()?;
    for (step, time) in (&set).into_iter().enumerate() {
        if step % 64 == 63 {
            in_time()?;
        }
        let time = time.naive_utc();
        if time > *window.end() {
            break;
        }
        if step >= STEPS || times.len() >= OCCURRENCES {
            return Err(BadRule::TooMany);
        }
        if time >= *window.start() {
            times.push(time);
        }
    }
    Ok(times)
}

/// A later start from which the rule yields the same in the window, and the count that is left; none where nothing
/// is left. Rules without an end began in 1970, or 1601.
fn leap(
    rule: &ICalendarRecurrenceRule,
    start: NaiveDateTime,
    window: NaiveDateTime,
) -> Option<(NaiveDateTime, Option<u32>)> {
    let unit = match rule.freq {
        ICalendarFrequency::Secondly => 1,
        ICalendarFrequency::Minutely => 60,
        ICalendarFrequency::Hourly => 3_600,
        ICalendarFrequency::Daily => 86_400,
        ICalendarFrequency::Weekly => 7 * 86_400,
        // Months and years are not of one length; since 1601 there are only five thousand.
        ICalendarFrequency::Monthly | ICalendarFrequency::Yearly => return Some((start, rule.count)),
    };
    let step = unit * i64::from(rule.interval.unwrap_or(1).max(1));
    // One step less: the first period may be one that a rule yields half of.
    let steps = (window - start).num_seconds() / step - 1;
    if steps <= 0 {
        return Some((start, rule.count));
    }
    let every_step_counts = rule.bysecond.is_empty()
        && rule.byminute.is_empty()
        && rule.byhour.is_empty()
        && rule.byday.is_empty()
        && rule.bymonthday.is_empty()
        && rule.byyearday.is_empty()
        && rule.byweekno.is_empty()
        && rule.bymonth.is_empty()
        && rule.bysetpos.is_empty();
    let count = match rule.count {
        None => None,
        Some(count) if every_step_counts => {
            Some(u32::try_from(i64::from(count) - steps).ok().filter(|left| *left > 0)?)
        }
        Some(_) => return Some((start, rule.count)),
    };
    Some((start + TimeDelta::seconds(step * steps), count))
}

fn converted(rule: &ICalendarRecurrenceRule) -> Result<RRule<Unvalidated>, BadRule> {
    let is_gregorian = rule.rscale.as_ref().is_none_or(|scale| *scale == Default::default());
    if !is_gregorian || rule.skip.is_some() || rule.bymonth.iter().any(ICalendarMonth::is_leap) {
        return Err(BadRule::NotUnderstood);
    }
    let months: Option<Vec<Month>> =
        rule.bymonth.iter().map(|month| Month::try_from(month.month()).ok()).collect();
    let days =
        rule.byday.iter().map(|day| NWeekday::new(day.ordwk.filter(|n| *n != 0), weekday(day.weekday)));
    // A leap second is not worth a rule.
    let seconds = rule.bysecond.iter().map(|second| if *second == 60 { 59 } else { *second });
    let (hours, minutes, seconds) =
        (distinct(rule.byhour.iter().copied()), distinct(rule.byminute.iter().copied()), distinct(seconds));
    // What is finer than its period makes several times of one; the rest only chooses.
    let finer = match rule.freq {
        ICalendarFrequency::Secondly => vec![],
        ICalendarFrequency::Minutely => vec![&seconds],
        ICalendarFrequency::Hourly => vec![&minutes, &seconds],
        _ => vec![&hours, &minutes, &seconds],
    };
    if finer.iter().map(|list| list.len().max(1)).product::<usize>() > A_DAY {
        return Err(BadRule::TooMany);
    }
    let frequency = match rule.freq {
        ICalendarFrequency::Yearly => Frequency::Yearly,
        ICalendarFrequency::Monthly => Frequency::Monthly,
        ICalendarFrequency::Weekly => Frequency::Weekly,
        ICalendarFrequency::Daily => Frequency::Daily,
        ICalendarFrequency::Hourly => Frequency::Hourly,
        ICalendarFrequency::Minutely => Frequency::Minutely,
        ICalendarFrequency::Secondly => Frequency::Secondly,
    };
    Ok(RRule::new(frequency)
        .interval(rule.interval.unwrap_or(1).max(1))
        .week_start(rule.wkst.map_or(Weekday::Mon, weekday))
        .by_set_pos(rule.bysetpos.clone())
        .by_month(&months.ok_or(BadRule::NotUnderstood)?)
        .by_month_day(rule.bymonthday.clone())
        .by_year_day(rule.byyearday.clone())
        .by_week_no(rule.byweekno.clone())
        .by_weekday(days.collect())
        .by_hour(hours)
        .by_minute(minutes)
        .by_second(seconds))
}

/// Each once, in their order.
fn distinct(numbers: impl Iterator<Item = u8>) -> Vec<u8> {
    numbers.collect::<BTreeSet<u8>>().into_iter().collect()
}

fn weekday(day: ICalendarWeekday) -> Weekday {
    match day {
        ICalendarWeekday::Monday => Weekday::Mon,
        ICalendarWeekday::Tuesday => Weekday::Tue,
        ICalendarWeekday::Wednesday => Weekday::Wed,
        ICalendarWeekday::Thursday => Weekday::Thu,
        ICalendarWeekday::Friday => Weekday::Fri,
        ICalendarWeekday::Saturday => Weekday::Sat,
        ICalendarWeekday::Sunday => Weekday::Sun,
    }
}

fn as_utc(time: NaiveDateTime) -> DateTime<Tz> {
    time.and_utc().with_timezone(&Tz::UTC)
}
