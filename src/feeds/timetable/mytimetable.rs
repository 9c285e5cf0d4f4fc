//! MyTimetable (Semestry, once Eveoh), API v0: a room list, and a timetable a room.
//!
//! Its etiquette: the list is kept for an hour, timetables for 15 minutes, answers are compressed. Keys of rooms
//! hold the academic year, so they are looked up anew every day. Who teaches is not read at all.

use super::cache::Cache;
use super::coverage::Coverage;
use super::day::Day;
use super::fetch::{FetchError, Fetcher, Got, Hosts, together};
use super::{Booking, Error, Fetching, Problem, Provider, Pull, Room, TextRule, Timetable, apart};
use crate::core::room::RoomKey;
use crate::wire::few::Few;
use chrono::{DateTime, Utc};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long the list of rooms is kept.
const LIST_AGE: Duration = Duration::from_secs(3_600);

/// How many pages the list may have, and how many rooms: ten times the largest campus.
const PAGES: usize = 100;
const ENTRIES: usize = 100_000;

/// How many events a room may have in the days that are asked for, how many locations one of them, and how many
/// locations may be blocked by one: ten times what was ever seen.
const EVENTS: usize = 2_000;
const LOCATIONS: usize = 64;

/// A server.
#[derive(Debug, Clone)]
pub struct MyTimetable(Arc<Server>);

#[derive(Debug)]
struct Server {
    /// Up to and with `api/v0`.
    base: Url,
    source: Option<String>,
    coverage: Coverage,
    text: TextRule,
    fetcher: Fetcher,
    lists: Cache<Day, Vec<Entry>>,
    events: Cache<RoomKey, Vec<Known>>,
    /// Answers take more memory while they are read: one at a time.
    reading: Semaphore,
}

/// A line of the room list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    host_key: String,
    value: String,
    #[serde(default)]
    id: Option<Id>,
}

/// The list, as it is, and as it once was.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum List {
    Wrapped { timetable: Vec<Entry> },
    Bare(Vec<Entry>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    activity_description: Option<String>,
    notes: Option<String>,
    start_date: i64,
    end_date: i64,
    locations: Option<Few<Location, LOCATIONS>>,
}

/// What is kept of an event.
#[derive(Debug)]
struct Known {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    text: String,
    locations: Vec<Location>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    id: Option<Id>,
    key: Option<String>,
    name: Option<String>,
    avoid_concurrency_location_ids: Option<Few<Id, LOCATIONS>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(String),
}

impl MyTimetable {
    /// The server at `base`; `source` chooses one of its data sources. The token is the fetcher's.
    pub fn new(
        base: &Url,
        source: Option<String>,
        coverage: Coverage,
        text: TextRule,
        fetcher: Fetcher,
    ) -> MyTimetable {
        let mut base = base.clone();
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&if path.ends_with("/api/v0") { path } else { format!("{path}/api/v0") });
        base.set_query(None);
        base.set_fragment(None);
        let (lists, events) = (Cache::default(), Cache::default());
        let reading = Semaphore::new(1);
        MyTimetable(Arc::new(Server { base, source, coverage, text, fetcher, lists, events, reading }))
    }

    async fn pull(&self, pull: &Pull) -> Result<Timetable, Error> {
        let server = &self.0;
        let rooms = server.coverage.of(&pull.rooms);
        server.events.retain(|key| rooms.iter().any(|room| room.key == *key));
        let list = server.list(pull).await?;
        let by_name: HashMap<String, &Entry> =
            list.iter().map(|entry| (entry.host_key.trim().to_lowercase(), entry)).collect();
        let entry = |room: &Room| by_name.get(&room.name.trim().to_lowercase()).copied();
        let (known, unknown): (Vec<&Room>, Vec<&Room>) = rooms.iter().partition(|room| entry(room).is_some());
        let mut timetable = Timetable::default();
        timetable.note_unknown(&unknown);

        let hosts = Arc::new(Hosts::of([&server.base]));
        let task = |room: &&Room| {
            let (server, pull, hosts) = (server.clone(), pull.clone(), hosts.clone());
            let (key, value) =
                (room.key.clone(), entry(room).map(|entry| entry.value.clone()).unwrap_or_default());
            async move { server.events_of(key, &value, &pull, &hosts).await }
        };
        let outcomes = together(known.iter().map(task).collect()).await;
        let mut answers: Vec<(&Room, Arc<Vec<Known>>)> = Vec::new();
        for (room, outcome) in known.iter().zip(outcomes) {
            match outcome.unwrap_or(Err(Error::Crashed)) {
                Ok(events) => answers.push((room, events)),
                Err(error) => {
                    timetable.problems.push(Problem { room: Some(room.key.clone()), error });
                    answers.extend(server.events.last(&room.key).map(|events| (*room, events)));
                }
            }
        }

        // Rooms that must not be used at the same time are named by numbers that stand in other answers.
        let mut ids: HashMap<&Id, &RoomKey> = HashMap::new();
        for room in &known {
            ids.extend(entry(room).and_then(|entry| entry.id.as_ref()).map(|id| (id, &room.key)));
        }
        let of = |name: fn(&Entry) -> &String| -> HashMap<&String, &RoomKey> {
            known.iter().rev().filter_map(|room| Some((name(entry(room)?), &room.key))).collect()
        };
        let (by_key, by_host_key) = (of(|entry| &entry.value), of(|entry| &entry.host_key));
        for location in answers.iter().flat_map(|(_, events)| events.iter()).flat_map(|it| &it.locations) {
            let room = location.key.as_ref().and_then(|key| by_key.get(key));
            let room = room.or_else(|| by_host_key.get(location.name.as_ref()?));
            ids.extend(location.id.as_ref().zip(room.copied()));
        }
        for (room, events) in &answers {
            for event in events.iter() {
                let blocked = event.locations.iter().flat_map(Location::blocked);
                let blocked = blocked.filter_map(|id| ids.get(id).copied());
                let booking = |room: &RoomKey| Booking {
                    room: room.clone(),
                    start: event.start,
                    end: event.end,
                    text: event.text.clone(),
                };
                timetable.add([&room.key].into_iter().chain(blocked).map(booking))?;
            }
        }
        timetable.bookings.sort();
        timetable.bookings.dedup();
        Ok(timetable)
    }
}

impl Provider for MyTimetable {
    fn fetch<'a>(&'a self, pull: &'a Pull) -> Fetching<'a> {
        Box::pin(self.pull(pull))
    }
}

impl Server {
    async fn list(&self, pull: &Pull) -> Result<Arc<Vec<Entry>>, Error> {
        if let Some(list) = self.lists.fresh(&pull.day, pull.now, LIST_AGE) {
            return Ok(list);
        }
        let mut entries: Vec<Entry> = Vec::new();
        for _ in 0..PAGES {
            let mut url = self.url(&["timetables"]);
            url.query_pairs_mut()
                .append_pair("type", "location")
                .append_pair("limit", "0")
                .append_pair("offset", &entries.len().to_string());
            let (List::Wrapped { timetable: page } | List::Bare(page)) = self.ask(&url).await?;
            // A server that knows no pages sends the first again.
            let is_new =
                page.first().is_some_and(|first| entries.iter().all(|entry| entry.value != first.value));
            if !is_new {
                self.lists.retain(|day| *day == pull.day);
                return Ok(self.lists.put(pull.day, pull.now, entries));
            }
            entries.extend(page);
            if entries.len() > ENTRIES {
                break;
            }
        }
        Err(Error::Malformed("its list of rooms does not end".into()))
    }

    async fn events_of(
        &self,
        room: RoomKey,
        value: &str,
        pull: &Pull,
        hosts: &Hosts,
    ) -> Result<Arc<Vec<Known>>, Error> {
        if let Some(events) = self.events.fresh(&room, pull.now, pull.fresh) {
            return Ok(events);
        }
        let mut url = self.url(&["timetables", value]);
        url.query_pairs_mut()
            .append_pair("startDate", &pull.day.start().timestamp_millis().to_string())
            .append_pair("endDate", &pull.day.horizon().timestamp_millis().to_string());
        let document = hosts.ask(&url, self.fetch(&url)).await?;
        let _one = self.reading.acquire().await;
        let (rule, day) = (self.text.clone(), pull.day);
        let known = apart(move || {
            let Few(events) = parsed::<Few<Event, EVENTS>>(&document)?;
            Ok(events.into_iter().filter_map(|event| known(event, day, &rule)).collect::<Vec<_>>())
        });
        let known = known.await?;
        let bytes = known.iter().map(Known::bytes).sum();
        self.events.put_large(room, pull.now, known, bytes)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if let Some(source) = &self.source {
            url.query_pairs_mut().append_pair("d", source);
        }
        url
    }

    async fn fetch(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        match self.fetcher.get(url, None).await? {
            Got::Document(document, _) => Ok(document),
            Got::Unchanged => Err(FetchError::Status(304)),
        }
    }

    async fn ask<T: DeserializeOwned + Send + 'static>(&self, url: &Url) -> Result<T, Error> {
        let document = self.fetch(url).await?;
        apart(move || parsed(&document)).await
    }
}

/// What is kept of an event, if it takes time in the days that were asked for.
fn known(event: Event, day: Day, rule: &TextRule) -> Option<Known> {
    let time = DateTime::<Utc>::from_timestamp_millis;
    let (start, end) = (time(event.start_date)?, time(event.end_date)?);
    if start >= end || end <= day.start() || start >= day.horizon() {
        return None;
    }
    let texts = [event.activity_description.as_deref(), event.notes.as_deref()];
    let text = rule.apply(texts.into_iter().flatten());
    let locations = event.locations.map(|Few(locations)| locations).unwrap_or_default();
    Some(Known { start, end, text, locations })
}

impl Known {
    /// What it takes of memory.
    fn bytes(&self) -> usize {
        let id = |id: &Id| size_of::<Id>() + if let Id::Text(text) = id { text.len() } else { 0 };
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let location = |location: &Location| {
            let ids = location.id.iter().chain(location.blocked()).map(id).sum::<usize>();
            size_of::<Location>() + text(&location.key) + text(&location.name) + ids
        };
        size_of::<Known>() + self.text.len() + self.locations.iter().map(location).sum::<usize>()
    }
}

impl Location {
    /// What must not be used at the same time.
    fn blocked(&self) -> impl Iterator<Item = &Id> {
        self.avoid_concurrency_location_ids.iter().flat_map(|Few(ids)| ids)
    }
}

/// All of it, or nothing of it (reliability.md T2).
fn parsed<T: DeserializeOwned>(document: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(document).map_err(|error| {
        let what = if error.is_data() { "not what MyTimetable answers" } else { "not JSON" };
        Error::Malformed(format!("{what}, at line {}, column {}", error.line(), error.column()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::fetch::Terms;
    use super::*;

    #[test]
    fn addresses_are_made_of_the_base_and_escaped_keys() {
        let second = Duration::from_secs(1);
        let terms = Terms { connect: second, total: second, max_size: 1 };
        for (base, source, expected) in [
            ("https://tt.example", None, "https://tt.example/api/v0/timetables/2026!location!a%2Fb%3F"),
            (
                "https://tt.example/x/api/v0/",
                None,
                "https://tt.example/x/api/v0/timetables/2026!location!a%2Fb%3F",
            ),
            (
                "https://tt.example/?q#f",
                Some("2026"),
                "https://tt.example/api/v0/timetables/2026!location!a%2Fb%3F?d=2026",
            ),
        ] {
            let base = Url::parse(base).unwrap();
            let fetcher = Fetcher::new(terms, &[Url::parse("http://x/").unwrap()], None);
            let text = TextRule { cut: None, placeholder: String::new() };
            let server =
                MyTimetable::new(&base, source.map(str::to_owned), Coverage::default(), text, fetcher);
            assert_eq!(server.0.url(&["timetables", "2026!location!a/b?"]).as_str(), expected);
        }
    }

    #[test]
    fn an_answer_is_taken_with_all_that_may_be_missing_and_nothing_that_is_wrong() {
        for (text, fits) in [
            (r#"[]"#, true),
            (r#"[{"startDate": 1, "endDate": 2}]"#, true),
            (
                r#"[{"startDate": 1, "endDate": 2, "activityDescription": null, "notes": null, "locations": null}]"#,
                true,
            ),
            (
                r#"[{"startDate": 1, "endDate": 2, "locations": [{"id": "x"}, {"id": 5, "avoidConcurrencyLocationIds": null}]}]"#,
                true,
            ),
            (r#"[{"startDate": 1, "endDate": 2, "staffMembers": "whatever"}]"#, true),
            (r#"[{"startDate": "1", "endDate": 2}]"#, false),
            (r#"[{"endDate": 2}]"#, false),
            (r#"{}"#, false),
        ] {
            assert_eq!(parsed::<Vec<Event>>(text.as_bytes()).is_ok(), fits, "{text}");
        }
    }
}
