//! From events to what takes place within some days: rules, exceptions, and single occurrences that are otherwise.
//!
//! Written policies, where the standard leaves a choice or exporters differ:
//!
//! - The start of an event is an occurrence, whether or not its rule yields it.
//! - A DTEND makes occurrences of the same exact length, a DURATION of days one of as many days on the clock.
//! - A day that ends where it begins is that day; any other event that does not end after its start takes no time.
//! - An exception that is a time, for an event of whole days, means the day: that of its date at midnight as it is
//!   written, else that on the clock of the calendar. One that is a date, for an event with times, means all of it.
//! - Several events of one UID: where their SEQUENCE differs, the highest is the event; else all of them are.
//! - A rule that cannot be expanded leaves the start, and is counted.

use super::super::day::Day;
use super::super::{Error, MAX_BOOKINGS};
use super::read::{End, Event, Feed, When};
use super::rules::{BadRule, Budget, times};
use calcard::icalendar::ICalendarRecurrenceRule;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;

/// How many occurrences one calendar may have in the days that it is asked for, those in rooms of others included: ten
/// times as many as a provider may bring.
const MOST: usize = 10 * MAX_BOOKINGS;

/// An event that takes place.
#[derive(Debug)]
pub(super) struct Occurrence<'a> {
    pub(super) event: &'a Event,
    pub(super) start: DateTime<Utc>,
    pub(super) end: DateTime<Utc>,
}

/// What takes place in the days from `day` on, and takes time; and how many rules could not be expanded.
///
/// # Errors
/// When it takes too long, or there are too many.
pub(super) fn occurrences<'a>(
    feed: &'a Feed,
    day: Day,
    budget: Budget,
) -> Result<(Vec<Occurrence<'a>>, usize), Error> {
    let mut expansion =
        Expansion { from: day.start(), to: day.horizon(), budget, found: Vec::new(), bad_rules: 0 };
    for series in series(&feed.events) {
        budget.check()?;
        expansion.series(&series)?;
    }
    Ok((expansion.found, expansion.bad_rules))
}

/// An event and what single occurrences of it are instead.
struct Series<'a> {
    event: Option<&'a Event>,
    instead: Vec<&'a Event>,
}

/// What belongs together by its UID; without one, nothing does.
fn series(events: &[Event]) -> Vec<Series<'_>> {
    let mut by_uid: HashMap<&str, Vec<&Event>> = HashMap::new();
    let mut all = Vec::new();
    for event in events {
        match &event.uid {
            Some(uid) => by_uid.entry(uid).or_default().push(event),
            None => all.push(Series { event: Some(event), instead: Vec::new() }),
        }
    }
    for events in by_uid.into_values() {
        let (instead, masters): (Vec<&Event>, Vec<&Event>) =
            events.into_iter().partition(|event| event.instead_of.is_some());
        let newest = masters.iter().map(|event| event.sequence).max();
        let mut masters = masters.into_iter().filter(|event| Some(event.sequence) == newest);
        all.push(Series { event: masters.next(), instead });
        all.extend(masters.map(|event| Series { event: Some(event), instead: Vec::new() }));
    }
    all
}

struct Expansion<'a> {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    budget: Budget,
    found: Vec<Occurrence<'a>>,
    bad_rules: usize,
}

impl<'a> Expansion<'a> {
    fn series(&mut self, series: &Series<'a>) -> Result<(), Error> {
        let mut instead: HashMap<Moment, &Event> = HashMap::new();
        for event in &series.instead {
            let Some((of, _)) = &event.instead_of else { continue };
            let known = instead.entry(moment(of, series.event.unwrap_or(event))).or_insert(event);
            if event.sequence >= known.sequence {
                *known = event;
            }
        }
        if let Some(event) = series.event {
            self.event(event, &instead)?;
        }
        for event in instead.into_values() {
            self.add(event, &event.start, event.start.local(), &event.end)?;
        }
        Ok(())
    }

    /// Adds the occurrences of an event, but those that are something else instead.
    fn event(&mut self, event: &'a Event, instead: &HashMap<Moment, &'a Event>) -> Result<(), Error> {
        self.bad_rules += event.bad_rules;
        if event.rules.is_empty()
            && event.dates.is_empty()
            && instead.is_empty()
            && event.but_dates.is_empty()
        {
            return self.add(event, &event.start, event.start.local(), &event.end);
        }
        let mut exceptions: BTreeSet<Moment> =
            event.but_dates.iter().map(|when| moment(when, event)).collect();
        exceptions.extend(instead.keys());
        let mut later: Vec<(DateTime<Utc>, &Event)> = instead
            .values()
            .filter_map(|event| {
                Some((
                    event.instead_of.as_ref().filter(|(_, later)| *later)?.0.instant(event.own_zone),
                    *event,
                ))
            })
            .collect();
        later.sort_by_key(|(from, _)| *from);

        // Whatever is under way when the first day begins has started earlier.
        let reach = [&event.end]
            .into_iter()
            .chain(event.dates.iter().filter_map(|(_, end)| end.as_ref()))
            .map(|end| {
                ended(event, &event.start, event.start.local(), end) - event.start.instant(event.own_zone)
            })
            .max()
            .unwrap_or_default();
        let a_day = TimeDelta::days(1);
        // No calendar is older than ten thousand years, and none is longer under way.
        let reach = reach.clamp(TimeDelta::zero(), TimeDelta::days(366 * 10_000)) + a_day;
        let earliest = self.from.checked_sub_signed(reach).unwrap_or(self.from);
        let window =
            event.start.shown(earliest, event.own_zone)..=event.start.shown(self.to + a_day, event.own_zone);

        let start = event.start.local();
        let mut starts = BTreeSet::from([start]);
        for rule in &event.rules {
            starts.extend(self.times(rule, event, &window)?);
        }
        for rule in &event.but_rules {
            let times: HashSet<NaiveDateTime> = self.times(rule, event, &window)?.into_iter().collect();
            starts.retain(|start| !times.contains(start));
        }
        let ruled = starts.into_iter().map(|start| (event.start.clone(), start, &event.end));
        let dated = event
            .dates
            .iter()
            .map(|(when, end)| (when.clone(), when.local(), end.as_ref().unwrap_or(&event.end)));
        let mut seen = BTreeSet::new();
        for (when, local, end) in ruled.chain(dated) {
            let at = when.at(local, event.own_zone);
            let excluded = exceptions.contains(&Moment::At(at))
                || exceptions.contains(&Moment::Day(event.start.shown(at, event.own_zone).date()));
            if excluded || !seen.insert(at) {
                continue;
            }
            let before = later.partition_point(|(from, _)| *from <= at);
            match before.checked_sub(1).and_then(|last| later.get(last)) {
                None => self.add(event, &when, local, end)?,
                // All that follow are moved as far as the first of them was.
                Some((_, new)) => {
                    let first = new
                        .instead_of
                        .as_ref()
                        .map_or(local, |(of, _)| event.start.shown(of.instant(new.own_zone), event.own_zone));
                    self.add(new, &new.start, new.start.local() + (local - first), &new.end)?;
                }
            }
        }
        Ok(())
    }

    /// What a rule of `event` yields in the window; nothing where it cannot be expanded, which is counted.
    fn times(
        &mut self,
        rule: &ICalendarRecurrenceRule,
        event: &Event,
        window: &RangeInclusive<NaiveDateTime>,
    ) -> Result<Vec<NaiveDateTime>, Error> {
        match times(rule, event.start.local(), until(rule, event), window, self.budget) {
            Ok(times) => Ok(times),
            Err(BadRule::TooLate) => Err(Error::TooSlow),
            Err(BadRule::NotUnderstood | BadRule::TooMany) => {
                self.bad_rules += 1;
                Ok(Vec::new())
            }
        }
    }

    /// Adds an occurrence of `event` that starts when the clock of `when` shows `local`.
    fn add(&mut self, event: &'a Event, when: &When, local: NaiveDateTime, end: &End) -> Result<(), Error> {
        if event.is_cancelled || event.is_free {
            return Ok(());
        }
        let (start, end) = (when.at(local, event.own_zone), ended(event, when, local, end));
        if start < end && end > self.from && start < self.to {
            if self.found.len() >= MOST {
                return Err(Error::TooMany);
            }
            self.found.push(Occurrence { event, start, end });
        }
        Ok(())
    }
}

/// When an occurrence is over that starts when the clock of `when` shows `local`.
fn ended(event: &Event, when: &When, local: NaiveDateTime, end: &End) -> DateTime<Utc> {
    let own = event.own_zone;
    let days = |days: i64| match TimeDelta::try_days(days).and_then(|days| local.checked_add_signed(days)) {
        Some(local) => when.at(local, own),
        None => when.at(local, own),
    };
    match end {
        End::At(When::Day(until)) if when.is_day() && event.start.is_day() => days(
            (*until - event.start.local().date())
                .num_days()
                .max(i64::from(*until == event.start.local().date())),
        ),
        End::At(until) => when.at(local, own) + (until.instant(own) - event.start.instant(own)),
        End::Lasting(length) => when.at(local, own) + *length,
        End::After(length) => {
            let sign = if length.neg { -1 } else { 1 };
            let (whole, rest) = (i64::from(length.weeks) * 7 + i64::from(length.days), clock_seconds(length));
            let end = TimeDelta::try_seconds(sign * rest)
                .and_then(|rest| days(sign * whole).checked_add_signed(rest));
            end.unwrap_or_else(|| when.at(local, own))
        }
        End::Unsaid => days(i64::from(when.is_day())),
    }
}

fn clock_seconds(length: &calcard::icalendar::ICalendarDuration) -> i64 {
    i64::from(length.hours) * 3_600 + i64::from(length.minutes) * 60 + i64::from(length.seconds)
}

/// What an exception is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Moment {
    At(DateTime<Utc>),
    Day(NaiveDate),
}

fn moment(when: &When, event: &Event) -> Moment {
    match when {
        When::Day(date) => Moment::Day(*date),
        When::Local(time, _) | When::Utc(time) if event.start.is_day() => {
            let is_midnight = time.time() == NaiveTime::MIN;
            let shown = || event.start.shown(when.instant(event.own_zone), event.own_zone);
            Moment::Day(if is_midnight { *time } else { shown() }.date())
        }
        _ => Moment::At(when.instant(event.own_zone)),
    }
}

/// The end of a rule on the clock of its event.
fn until(rule: &ICalendarRecurrenceRule, event: &Event) -> Option<NaiveDateTime> {
    let written = rule.until.as_ref()?;
    let local = super::zones::local(written)?;
    if !written.has_time() {
        return local.date().and_hms_opt(23, 59, 59);
    }
    match super::zones::offset(written) {
        Some(offset) => {
            Some(event.start.shown((local - TimeDelta::seconds(offset)).and_utc(), event.own_zone))
        }
        None => Some(local),
    }
}
