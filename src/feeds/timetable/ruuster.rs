//! Ruuster: institutes, locations and the week of each location, in msgpack.

use super::cache::Cache;
use super::coverage::Coverage;
use super::day::{Day, instant};
use super::fetch::{FetchError, Fetcher, Got, Hosts, together};
use super::{Booking, Error, Fetching, Problem, Provider, Pull, Room, TextRule, Timetable, apart};
use crate::core::room::RoomKey;
use crate::wire::few::Few;
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long the list of institutes is kept.
const INSTITUTES_AGE: Duration = Duration::from_secs(86_400);

/// How long the list of locations is kept.
const LOCATIONS_AGE: Duration = Duration::from_secs(3_600);

/// How many locations there may be, how many events one of them may have in all its weeks, and how many periods an
/// event: ten times what was ever seen.
const LOCATIONS: usize = 100_000;
const EVENTS: usize = 10_000;
const PERIODS: usize = 500;

/// The course under which rooms are reserved for something else, which the comment tells.
const NO_COURSE: &str = "Reserveringen";

/// A server.
#[derive(Debug, Clone)]
pub struct Ruuster(Arc<Server>);

#[derive(Debug)]
struct Server {
    base: Url,
    institute: Option<String>,
    coverage: Coverage,
    text: TextRule,
    fetcher: Fetcher,
    lists: Cache<&'static str, Vec<Named>>,
    weeks: Cache<RoomKey, Vec<Event>>,
    /// Answers take more memory while they are read: one at a time.
    reading: Semaphore,
}

#[derive(Debug, Deserialize)]
struct Named {
    id: Id,
    name: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(String),
}

#[derive(Debug, Deserialize)]
struct Snapshot {
    events: Few<WrittenEvent, EVENTS>,
}

#[derive(Debug, Deserialize)]
struct WrittenEvent {
    day: String,
    starttime: String,
    endtime: String,
    eventperiods: Few<WrittenPeriod, PERIODS>,
    course: Option<WrittenCourse>,
    comment: Option<String>,
}

#[derive(Debug, Deserialize)]
struct WrittenPeriod {
    startdate: String,
    enddate: String,
}

#[derive(Debug, Deserialize)]
struct WrittenCourse {
    name: Option<String>,
}

/// What takes place on one day of the week, in some periods of the year.
#[derive(Debug)]
struct Event {
    /// From Monday, 0, on.
    weekday: u32,
    from: NaiveTime,
    to: NaiveTime,
    /// In UTC.
    periods: Vec<(NaiveDateTime, NaiveDateTime)>,
    text: String,
}

impl Ruuster {
    /// The server at `base`, and its institute by name or number; without, the only one.
    pub fn new(
        base: &Url,
        institute: Option<String>,
        coverage: Coverage,
        text: TextRule,
        fetcher: Fetcher,
    ) -> Ruuster {
        let (base, lists, weeks) = (base.clone(), Cache::default(), Cache::default());
        let reading = Semaphore::new(1);
        Ruuster(Arc::new(Server { base, institute, coverage, text, fetcher, lists, weeks, reading }))
    }

    async fn pull(&self, pull: &Pull) -> Result<Timetable, Error> {
        let server = &self.0;
        let rooms = server.coverage.of(&pull.rooms);
        server.weeks.retain(|key| rooms.iter().any(|room| room.key == *key));
        let institute = server.institute(pull).await?;
        let locations = server.list("locations", LOCATIONS_AGE, pull).await?;
        let by_name: HashMap<String, &Id> =
            locations.iter().map(|location| (location.name.trim().to_uppercase(), &location.id)).collect();
        let location = |room: &Room| by_name.get(&room.name.trim().to_uppercase()).copied();
        let (known, unknown): (Vec<&Room>, Vec<&Room>) =
            rooms.iter().partition(|room| location(room).is_some());
        let mut timetable = Timetable::default();
        timetable.note_unknown(&unknown);
        let hosts = Arc::new(Hosts::of([&server.base]));
        let task = |room: &&Room| {
            let (server, pull, hosts) = (server.clone(), pull.clone(), hosts.clone());
            let id = location(room).map(Id::to_string).unwrap_or_default();
            let (key, path) = (
                room.key.clone(),
                ["snapshot".into(), "head".into(), institute.clone(), "location".into(), id],
            );
            async move { server.week(key, &path, &pull, &hosts).await }
        };
        let outcomes = together(known.iter().map(task).collect()).await;
        for (room, outcome) in known.iter().zip(outcomes) {
            let week = match outcome.unwrap_or(Err(Error::Crashed)) {
                Ok(week) => Some(week),
                Err(error) => {
                    timetable.problems.push(Problem { room: Some(room.key.clone()), error });
                    server.weeks.last(&room.key)
                }
            };
            for event in week.iter().flat_map(|week| week.iter()) {
                let booking = |day: Day| event.on(day, &room.key);
                timetable.add(pull.day.and_following().filter_map(booking))?;
            }
        }
        Ok(timetable)
    }
}

impl Provider for Ruuster {
    fn fetch<'a>(&'a self, pull: &'a Pull) -> Fetching<'a> {
        Box::pin(self.pull(pull))
    }
}

impl Server {
    async fn institute(&self, pull: &Pull) -> Result<String, Error> {
        let institutes = self.list("institutes", INSTITUTES_AGE, pull).await?;
        let found = match (&self.institute, institutes.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => {
                return Err(Error::Malformed(format!(
                    "there are {} institutes: say which one with \"institute\"",
                    institutes.len()
                )));
            }
            (Some(wanted), all) => all
                .iter()
                .find(|institute| institute.name.trim().eq_ignore_ascii_case(wanted))
                .or_else(|| all.iter().find(|institute| institute.id.to_string() == *wanted)),
        };
        let found = found.ok_or_else(|| Error::Malformed("there is no such institute".into()))?;
        Ok(found.id.to_string())
    }

    async fn list(&self, what: &'static str, age: Duration, pull: &Pull) -> Result<Arc<Vec<Named>>, Error> {
        if let Some(list) = self.lists.fresh(&what, pull.now, age) {
            return Ok(list);
        }
        let document = self.get(&["list".into(), what.into()]).await?;
        let _one = self.reading.acquire().await;
        let Few(list) = apart(move || parsed::<Few<Named, LOCATIONS>>(&document)).await?;
        Ok(self.lists.put(what, pull.now, list))
    }

    async fn week(
        &self,
        room: RoomKey,
        path: &[String],
        pull: &Pull,
        hosts: &Hosts,
    ) -> Result<Arc<Vec<Event>>, Error> {
        if let Some(week) = self.weeks.fresh(&room, pull.now, pull.fresh) {
            return Ok(week);
        }
        let document = hosts.ask(&self.base, self.get(path)).await?;
        let _one = self.reading.acquire().await;
        let rule = self.text.clone();
        let week = apart(move || {
            let snapshot: Snapshot = parsed(&document)?;
            let event = |written| Event::parse(written, &rule);
            let week: Option<Vec<Event>> = snapshot.events.0.into_iter().map(event).collect();
            week.ok_or_else(|| Error::Malformed("a day or a time that is none".into()))
        });
        let week = week.await?;
        let bytes = week.iter().map(Event::bytes).sum();
        self.weeks.put_large(room, pull.now, week, bytes)
    }

    async fn get(&self, path: &[String]) -> Result<Vec<u8>, FetchError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url.query_pairs_mut().append_pair("format", "msgpack");
        match self.fetcher.get(&url, None).await? {
            Got::Document(document, _) => Ok(document),
            Got::Unchanged => Err(FetchError::Status(304)),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => write!(f, "{number}"),
            Id::Text(text) => f.write_str(text),
        }
    }
}

impl Event {
    fn parse(written: WrittenEvent, rule: &TextRule) -> Option<Event> {
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M:%S").ok();
        let date = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%SZ").ok();
        let days = ["mo", "tu", "we", "th", "fr", "sa", "su"];
        let weekday = days.iter().position(|day| day.eq_ignore_ascii_case(&written.day))?;
        let period = |period: &WrittenPeriod| Some((date(&period.startdate)?, date(&period.enddate)?));
        let course = written.course.and_then(|course| course.name).unwrap_or_default();
        let comment = written.comment.unwrap_or_default();
        let texts = if course == NO_COURSE { [comment, course] } else { [course, comment] };
        Some(Event {
            weekday: u32::try_from(weekday).ok()?,
            from: time(&written.starttime)?,
            to: time(&written.endtime)?,
            periods: written.eventperiods.0.iter().map(period).collect::<Option<_>>()?,
            text: rule.apply(texts.iter().map(String::as_str)),
        })
    }

    /// What it takes of memory.
    fn bytes(&self) -> usize {
        size_of::<Event>()
            + self.text.len()
            + self.periods.len() * size_of::<(NaiveDateTime, NaiveDateTime)>()
    }

    /// What it is on `day`: something if that is its day of the week, and one of its periods holds that date.
    fn on(&self, day: Day, room: &RoomKey) -> Option<Booking> {
        let local =
            |time: NaiveDateTime, zone: Tz| -> NaiveDate { time.and_utc().with_timezone(&zone).date_naive() };
        let holds = |(first, last): &(NaiveDateTime, NaiveDateTime)| {
            local(*first, day.zone) <= day.date && day.date <= local(*last, day.zone)
        };
        if day.date.weekday().num_days_from_monday() != self.weekday || !self.periods.iter().any(holds) {
            return None;
        }
        let start = instant(day.zone, day.date.and_time(self.from));
        let ends_on = if self.to < self.from { day.plus(1).date } else { day.date };
        let end = instant(day.zone, ends_on.and_time(self.to));
        (start < end).then(|| Booking { room: room.clone(), start, end, text: self.text.clone() })
    }
}

/// All of it, or nothing of it (reliability.md T2).
fn parsed<T: DeserializeOwned>(document: &[u8]) -> Result<T, Error> {
    let mut rest = document;
    let parsed = rmp_serde::from_read(&mut rest).map_err(|error| {
        let what = match error {
            rmp_serde::decode::Error::InvalidMarkerRead(_) | rmp_serde::decode::Error::InvalidDataRead(_) => {
                "truncated"
            }
            _ => "not what Ruuster answers",
        };
        Error::Malformed(what.into())
    })?;
    if rest.is_empty() { Ok(parsed) } else { Err(Error::Malformed("something after its end".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(day: &str, from: &str, to: &str, periods: &[(&str, &str)]) -> Option<Event> {
        let period = |(first, last): &(&str, &str)| WrittenPeriod {
            startdate: (*first).into(),
            enddate: (*last).into(),
        };
        let written = WrittenEvent {
            day: day.into(),
            starttime: from.into(),
            endtime: to.into(),
            eventperiods: Few(periods.iter().map(period).collect()),
            course: None,
            comment: None,
        };
        Event::parse(written, &TextRule { cut: None, placeholder: "x".into() })
    }

    #[test]
    fn an_event_is_on_its_weekday_within_its_periods() {
        // From local midnight to local midnight, in UTC, once of summer and once of winter.
        let periods = [
            ("2026-08-30 22:00:00Z", "2026-10-18 22:00:00Z"),
            ("2026-11-22 23:00:00Z", "2026-11-29 23:00:00Z"),
        ];
        let monday = event("mo", "10:45:00", "12:30:00", &periods).unwrap();
        let room = RoomKey::parse("a").unwrap();
        for (date, expected) in [
            ("2026-08-24", None),
            ("2026-08-31", Some("2026-08-31T08:45:00+00:00")),
            ("2026-10-19", Some("2026-10-19T08:45:00+00:00")),
            ("2026-10-26", None),
            ("2026-11-23", Some("2026-11-23T09:45:00+00:00")),
            ("2026-11-24", None),
            ("2026-11-30", Some("2026-11-30T09:45:00+00:00")),
            ("2026-12-07", None),
        ] {
            let day = Day { date: date.parse().unwrap(), zone: chrono_tz::Europe::Amsterdam };
            let found = monday.on(day, &room).map(|booking| booking.start.to_rfc3339());
            assert_eq!(found.as_deref(), expected, "{date}");
        }
    }

    #[test]
    fn an_event_may_go_on_after_midnight_and_takes_time() {
        let (room, always) =
            (RoomKey::parse("a").unwrap(), [("2000-01-01 00:00:00Z", "2100-01-01 00:00:00Z")]);
        let day = Day { date: "2026-11-23".parse().unwrap(), zone: Tz::UTC };
        for (from, to, minutes) in [("22:00:00", "02:00:00", Some(240)), ("10:00:00", "10:00:00", None)] {
            let booking = event("mo", from, to, &always).unwrap().on(day, &room);
            assert_eq!(booking.map(|booking| (booking.end - booking.start).num_minutes()), minutes, "{from}");
        }
        for (day, from, date) in [
            ("xx", "10:00:00", "2026-01-01 00:00:00Z"),
            ("mo", "24:00:00", "2026-01-01 00:00:00Z"),
            ("mo", "10:00:00", "2026-01-01"),
        ] {
            assert!(
                event(day, from, "11:00:00", &[(date, "2026-01-01 00:00:00Z")]).is_none(),
                "{day} {from} {date}"
            );
        }
    }
}
