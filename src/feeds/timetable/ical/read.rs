//! From the bytes of a calendar to its events, as far as rooms are concerned.

use super::super::Error;
use super::parts::{self, parts};
use super::rules::Budget;
use super::zones::{self, Zone, Zones};
use calcard::common::PartialDateTime;
use calcard::icalendar::{
    ICalendar, ICalendarClassification, ICalendarComponent, ICalendarDuration, ICalendarEntry,
    ICalendarMethod, ICalendarParameterName, ICalendarPeriod, ICalendarProperty, ICalendarRecurrenceRule,
    ICalendarStatus, ICalendarTransparency, ICalendarValue,
};
use calcard::{Entry, Parser};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use std::time::Duration;

/// How much of a LOCATION is looked at, in bytes: hundreds of rooms. For each of our rooms all of it is searched.
const LONGEST_LOCATION: usize = 16 * 1024;

/// How many rules of an event are read: most have one.
const RULES: usize = 32;

/// A calendar.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) events: Vec<Event>,
    /// How long its publisher says that it stays as it is.
    pub(super) fresh_for: Option<Duration>,
    /// Events that cannot be read.
    pub(super) unread: usize,
    /// Names of zones that nobody knows: their times are read as floating ones.
    pub(super) unknown_zones: usize,
}

/// An event, or what one occurrence of it is instead.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) uid: Option<String>,
    pub(super) sequence: i64,
    pub(super) start: When,
    pub(super) end: End,
    /// Which occurrence this is instead of; and whether of all that follow, too.
    pub(super) instead_of: Option<(When, bool)>,
    pub(super) rules: Vec<ICalendarRecurrenceRule>,
    pub(super) but_rules: Vec<ICalendarRecurrenceRule>,
    /// Rules that cannot be read.
    pub(super) bad_rules: usize,
    pub(super) dates: Vec<(When, Option<End>)>,
    pub(super) but_dates: Vec<When>,
    pub(super) is_cancelled: bool,
    /// It takes nobody's time, and so no room.
    pub(super) is_free: bool,
    pub(super) location: String,
    /// Nothing where it is private.
    pub(super) summary: String,
    /// In whose days a date without a time is.
    pub(super) own_zone: Tz,
}

/// When something is: a day, or a time on somebody's clock.
#[derive(Debug, Clone)]
pub(super) enum When {
    Day(NaiveDate),
    Local(NaiveDateTime, Zone),
    Utc(NaiveDateTime),
}

/// When an event is over.
#[derive(Debug, Clone)]
pub(super) enum End {
    At(When),
    After(ICalendarDuration),
    /// Exactly so long after its start.
    Lasting(TimeDelta),
    /// Nothing is said: a day for a day, and no time for a time.
    Unsaid,
}

impl When {
    /// On its own clock; a day begins at midnight.
    pub(super) fn local(&self) -> NaiveDateTime {
        match self {
            When::Day(date) => date.and_time(NaiveTime::MIN),
            When::Local(time, _) | When::Utc(time) => *time,
        }
    }

    /// The instant; days are those of `own`.
    pub(super) fn instant(&self, own: Tz) -> DateTime<Utc> {
        self.at(self.local(), own)
    }

    /// The instant at which its clock shows `local`.
    pub(super) fn at(&self, local: NaiveDateTime, own: Tz) -> DateTime<Utc> {
        match self {
            When::Day(_) => Zone::Named(own).instant(local),
            When::Local(_, zone) => zone.instant(local),
            When::Utc(_) => local.and_utc(),
        }
    }

    /// What its clock shows at `at`.
    pub(super) fn shown(&self, at: DateTime<Utc>, own: Tz) -> NaiveDateTime {
        match self {
            When::Day(_) => Zone::Named(own).local(at),
            When::Local(_, zone) => zone.local(at),
            When::Utc(_) => at.naive_utc(),
        }
    }

    pub(super) fn is_day(&self) -> bool {
        matches!(self, When::Day(_))
    }
}

/// Reads a calendar whose floating times are of `zone`, or else of its own, or else of `default`.
///
/// # Errors
/// When it is not whole, or takes too long.
pub(super) fn feed(bytes: &[u8], zone: Option<Tz>, default: Tz, budget: Budget) -> Result<Feed, Error> {
    let text = super::lines::lines(bytes)?;
    let mut feed = Feed { events: Vec::new(), fresh_for: None, unread: 0, unknown_zones: 0 };
    for part in parts(&text) {
        let Entry::ICalendar(calendar) = Parser::new(&part.frame).entry() else {
            return Err(Error::Malformed("no iCalendar file".into()));
        };
        let Some(mut reader) = frame(&mut feed, &calendar, zone, default, budget)? else { continue };
        for lines in part.events {
            budget.check()?;
            match parts::event(lines).and_then(|lines| reader.read(&lines)) {
                Some(event) => feed.events.push(event),
                None => feed.unread += 1,
            }
        }
        feed.unknown_zones += reader.unknown_zones;
    }
    Ok(feed)
}

/// Takes what a calendar says of itself; returns who reads its events, unless it takes them back.
fn frame(
    feed: &mut Feed,
    calendar: &ICalendar,
    zone: Option<Tz>,
    default: Tz,
    budget: Budget,
) -> Result<Option<Reader>, Error> {
    let Some(root) = calendar.components.first() else { return Ok(None) };
    let own = zone.or_else(|| zones::named(&other(root, "X-WR-TIMEZONE")?)).unwrap_or(default);
    let published = other(root, "X-PUBLISHED-TTL")
        .and_then(|text| calcard::common::IanaParse::parse(text.trim().as_bytes()))
        .or_else(|| match value(root, &ICalendarProperty::RefreshInterval)? {
            ICalendarValue::Duration(duration) => Some(duration.clone()),
            _ => None,
        });
    let seconds = published.and_then(|it: ICalendarDuration| u64::try_from(it.as_seconds()).ok());
    feed.fresh_for = feed.fresh_for.max(seconds.map(Duration::from_secs));
    if matches!(
        value(root, &ICalendarProperty::Method),
        Some(ICalendarValue::Method(ICalendarMethod::Cancel))
    ) {
        // All that is in it is taken back.
        return Ok(None);
    }
    Ok(Some(Reader { zones: Zones::of(calendar, own, budget)?, unknown_zones: 0 }))
}

struct Reader {
    zones: Zones,
    unknown_zones: usize,
}

impl Reader {
    /// Reads the lines of one event.
    fn read(&mut self, lines: &str) -> Option<Event> {
        match Parser::new(lines).entry() {
            Entry::ICalendar(calendar) => self.event(calendar.components.first()?),
            _ => None,
        }
    }

    fn event(&mut self, component: &ICalendarComponent) -> Option<Event> {
        let mut start = None;
        let mut event = Event {
            uid: None,
            sequence: 0,
            start: When::Day(NaiveDate::MIN),
            end: End::Unsaid,
            instead_of: None,
            rules: Vec::new(),
            but_rules: Vec::new(),
            bad_rules: 0,
            dates: Vec::new(),
            but_dates: Vec::new(),
            is_cancelled: false,
            is_free: false,
            location: String::new(),
            summary: String::new(),
            own_zone: self.zones.own,
        };
        let mut is_private = false;
        for entry in &component.entries {
            let first = entry.values.first();
            match (&entry.name, first) {
                (ICalendarProperty::Dtstart, Some(_)) => start = Some(self.when(entry, first?)?),
                (ICalendarProperty::Dtend, Some(value)) => event.end = End::At(self.when(entry, value)?),
                (ICalendarProperty::Duration, Some(ICalendarValue::Duration(duration))) => {
                    event.end = End::After(duration.clone());
                }
                // One that cannot be read would be taken for an end that is not said.
                (ICalendarProperty::Duration, Some(_)) => return None,
                (ICalendarProperty::RecurrenceId, Some(value)) => {
                    let and_later = entry.has_parameter(&ICalendarParameterName::Range);
                    event.instead_of = Some((self.when(entry, value)?, and_later));
                }
                (ICalendarProperty::Rrule, Some(ICalendarValue::RecurrenceRule(rule)))
                    if event.rules.len() < RULES =>
                {
                    event.rules.push((**rule).clone());
                }
                (ICalendarProperty::Exrule, Some(ICalendarValue::RecurrenceRule(rule)))
                    if event.but_rules.len() < RULES =>
                {
                    event.but_rules.push((**rule).clone());
                }
                (ICalendarProperty::Rrule | ICalendarProperty::Exrule, Some(_)) => event.bad_rules += 1,
                (ICalendarProperty::Exdate, _) => {
                    event.but_dates.extend(entry.values.iter().filter_map(|value| self.when(entry, value)));
                }
                (ICalendarProperty::Rdate, _) => {
                    event.dates.extend(entry.values.iter().filter_map(|value| self.date(entry, value)));
                }
                (ICalendarProperty::Status, Some(ICalendarValue::Status(status))) => {
                    event.is_cancelled = *status == ICalendarStatus::Cancelled;
                }
                (ICalendarProperty::Transp, Some(ICalendarValue::Transparency(transparency))) => {
                    event.is_free |= *transparency == ICalendarTransparency::Transparent;
                }
                (ICalendarProperty::Other(name), Some(ICalendarValue::Text(text)))
                    if name.eq_ignore_ascii_case("X-MICROSOFT-CDO-BUSYSTATUS") =>
                {
                    event.is_free |= text.trim().eq_ignore_ascii_case("FREE");
                }
                (ICalendarProperty::Class, Some(ICalendarValue::Classification(class))) => {
                    is_private = *class != ICalendarClassification::Public;
                }
                (ICalendarProperty::Uid, Some(value)) => event.uid = value.as_text().map(str::to_owned),
                (ICalendarProperty::Sequence, Some(ICalendarValue::Integer(number))) => {
                    event.sequence = *number;
                }
                (ICalendarProperty::Summary, Some(ICalendarValue::Text(text))) => {
                    event.summary.clone_from(text);
                }
                (ICalendarProperty::Location, Some(ICalendarValue::Text(text))) => {
                    let end = text.floor_char_boundary(LONGEST_LOCATION);
                    event.location = text.get(..end).unwrap_or_default().to_owned();
                }
                _ => {}
            }
        }
        if is_private {
            event.summary.clear();
        }
        event.start = start?;
        Some(event)
    }

    fn when(&mut self, entry: &ICalendarEntry, value: &ICalendarValue) -> Option<When> {
        match value {
            ICalendarValue::PartialDateTime(date) => self.time(entry, date),
            _ => None,
        }
    }

    fn time(&mut self, entry: &ICalendarEntry, written: &PartialDateTime) -> Option<When> {
        let local = zones::local(written)?;
        if !written.has_time() {
            return Some(When::Day(local.date()));
        }
        if let Some(offset) = zones::offset(written) {
            return Some(When::Utc(local - TimeDelta::seconds(offset)));
        }
        let zone = match entry.tz_id() {
            None => None,
            Some(id) => {
                let zone = self.zones.find(id);
                self.unknown_zones += usize::from(zone.is_none());
                zone
            }
        };
        Some(When::Local(local, zone.unwrap_or(Zone::Named(self.zones.own))))
    }

    fn date(&mut self, entry: &ICalendarEntry, value: &ICalendarValue) -> Option<(When, Option<End>)> {
        match value {
            ICalendarValue::Period(ICalendarPeriod::Range { start, end }) => {
                let (start, end) = (self.time(entry, start)?, self.time(entry, end)?);
                let own = self.zones.own;
                let lasting = end.instant(own) - start.instant(own);
                Some((start, Some(End::Lasting(lasting))))
            }
            ICalendarValue::Period(ICalendarPeriod::Duration { start, duration }) => {
                Some((self.time(entry, start)?, Some(End::After(duration.clone()))))
            }
            _ => Some((self.when(entry, value)?, None)),
        }
    }
}

fn value<'a>(component: &'a ICalendarComponent, name: &ICalendarProperty) -> Option<&'a ICalendarValue> {
    component.entries.iter().find(|entry| entry.name == *name)?.values.first()
}

fn other(component: &ICalendarComponent, wanted: &str) -> Option<String> {
    let is_it = |entry: &&ICalendarEntry| matches!(&entry.name, ICalendarProperty::Other(name) if name.eq_ignore_ascii_case(wanted));
    component.entries.iter().find(is_it)?.values.first()?.as_text().map(str::to_owned)
}
