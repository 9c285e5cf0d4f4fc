//! iCalendar (RFC 5545): a calendar a room, or one of many rooms; of servers and in files.
//!
//! `lines` sees that a file is whole, `parts` cuts it up, calcard reads it (`read`), rrule expands its rules (`rules`,
//! `expand`), and `locations` tells rooms apart.

#[cfg(test)]
mod bombs;
mod expand;
mod lines;
mod locations;
mod parts;
mod read;
mod rules;
#[cfg(test)]
mod traps;
mod zones;

pub use locations::Matcher;

use super::cache::Cache;
use super::coverage::{Coverage, filled};
use super::day::Day;
use super::fetch::{self, FetchError, Fetcher, Got, Hosts, Validators, together};
use super::{Booking, Error, Fetching, Problem, Provider, Pull, Room, TextRule, Timetable, apart};
use crate::core::room::RoomKey;
use chrono_tz::Tz;
use reqwest::Url;
use rules::Budget;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The longest that a publisher may ask us to wait: a calendar that comes weekly by its own account still changes.
const LONGEST_TTL: Duration = Duration::from_secs(86_400);

/// Where calendars are.
#[derive(Debug, Clone)]
pub enum Source {
    /// One a room, at an address or a path with `{room}` or `{name}` in it.
    Template(Template),
    /// One a room.
    Each(Vec<(RoomKey, Place)>),
    /// One of many rooms, told apart by LOCATION.
    Combined(Place, Matcher),
}

/// Where the calendar of each room is.
#[derive(Debug, Clone)]
pub enum Template {
    /// On a server; what stands for the room is percent-encoded.
    Url(String),
    /// In files.
    File(String),
}

/// Where a calendar is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// On a server.
    Url(Url),
    /// In a file.
    File(Arc<Path>),
}

/// Calendars.
#[derive(Debug, Clone)]
pub struct Ical(Arc<Calendars>);

#[derive(Debug)]
struct Calendars {
    plan: Plan,
    /// None where all calendars are files.
    fetcher: Option<Fetcher>,
    kept: Cache<Place, Kept>,
    /// A calendar takes sixteen times its size while it is read: one at a time.
    reading: Semaphore,
}

/// What calendars there are, and how they are read.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where.
    pub source: Source,
    /// Of which rooms.
    pub coverage: Coverage,
    /// Which texts.
    pub text: TextRule,
    /// Whose clock floating times are of, whatever the calendars say.
    pub zone: Option<Tz>,
    /// How large one may be.
    pub max_size: usize,
}

/// What a calendar held, for the days and the rooms that it was asked for.
#[derive(Debug)]
struct Kept {
    day: Day,
    rooms: Vec<Room>,
    validators: Validators,
    fresh_for: Duration,
    bookings: Vec<Booking>,
    notes: Vec<String>,
}

impl Ical {
    /// Calendars that `fetcher` gets where they are on servers.
    pub fn new(plan: Plan, fetcher: Option<Fetcher>) -> Ical {
        Ical(Arc::new(Calendars { plan, fetcher, kept: Cache::default(), reading: Semaphore::new(1) }))
    }

    async fn pull(&self, pull: &Pull) -> Result<Timetable, Error> {
        let places = self.0.places(&self.0.plan.coverage.of(&pull.rooms));
        self.0.kept.retain(|place| places.iter().any(|(there, _)| there == place));
        let hosts = Arc::new(Hosts::of(places.iter().filter_map(|(place, _)| place.url())));
        let task = |(place, rooms): &(Place, Vec<Room>)| {
            let (calendars, place, rooms) = (self.0.clone(), place.clone(), rooms.clone());
            let (pull, hosts) = (pull.clone(), hosts.clone());
            async move { calendars.one(place, rooms, &pull, &hosts).await }
        };
        let outcomes = together(places.iter().map(task).collect()).await;
        let mut timetable = Timetable::default();
        for ((place, rooms), outcome) in places.iter().zip(outcomes) {
            let kept = match outcome.unwrap_or(Err(Error::Crashed)) {
                Ok(kept) => Some(kept),
                Err(error) => {
                    let room = rooms.first().filter(|_| rooms.len() == 1 && places.len() > 1);
                    timetable.problems.push(Problem { room: room.map(|room| room.key.clone()), error });
                    self.0.kept.last(place)
                }
            };
            if let Some(kept) = kept {
                timetable.add(kept.bookings.iter().cloned())?;
                kept.notes.iter().for_each(|note| timetable.note(note.clone()));
            }
        }
        Ok(timetable)
    }
}

impl Provider for Ical {
    fn fetch<'a>(&'a self, pull: &'a Pull) -> Fetching<'a> {
        Box::pin(self.pull(pull))
    }
}

impl Calendars {
    /// Which calendars there are for `rooms`; several rooms may share one.
    fn places(&self, rooms: &[Room]) -> Vec<(Place, Vec<Room>)> {
        let mut places: Vec<(Place, Vec<Room>)> = Vec::new();
        let mut index: HashMap<Place, usize> = HashMap::new();
        let mut add = |place: Place, room: &Room| {
            let at = *index.entry(place.clone()).or_insert_with(|| {
                places.push((place, Vec::new()));
                places.len() - 1
            });
            if let Some((_, rooms)) = places.get_mut(at) {
                rooms.push(room.clone());
            }
        };
        match &self.plan.source {
            Source::Combined(place, _) => return vec![(place.clone(), rooms.to_vec())],
            Source::Each(each) => {
                for (key, place) in each {
                    if let Some(room) = rooms.iter().find(|room| room.key == *key) {
                        add(place.clone(), room);
                    }
                }
            }
            Source::Template(template) => {
                for room in rooms {
                    if let Some(place) = template.place(room) {
                        add(place, room);
                    }
                }
            }
        }
        places
    }

    /// What one calendar holds now.
    async fn one(
        &self,
        place: Place,
        rooms: Vec<Room>,
        pull: &Pull,
        hosts: &Hosts,
    ) -> Result<Arc<Kept>, Error> {
        let known = self.kept.last(&place).filter(|kept| kept.rooms == rooms);
        if let (Some(known), Place::Url(_)) = (&known, &place)
            && self.kept.fresh(&place, pull.now, known.fresh_for.max(pull.fresh)).is_some()
        {
            return Ok(known.clone());
        }
        // What is not sent again has to have been read for the same days.
        let known = known.filter(|kept| kept.day == pull.day && !kept.validators.is_empty());
        let (document, validators) = match (&place, &self.fetcher) {
            (Place::Url(url), Some(fetcher)) => {
                let validators = known.as_ref().map(|kept| &kept.validators);
                match (hosts.ask(url, fetcher.get(url, validators)).await?, known) {
                    (Got::Document(document, validators), _) => (document, validators),
                    (Got::Unchanged, Some(known)) => {
                        self.kept.touch(&place, pull.now);
                        return Ok(known);
                    }
                    (Got::Unchanged, None) => return Err(FetchError::Status(304).into()),
                }
            }
            (Place::Url(_), None) => return Err(FetchError::Unreachable("there is no client".into()).into()),
            (Place::File(path), _) => {
                (fetch::read(path.clone(), self.plan.max_size).await?, Validators::default())
            }
        };
        let (plan, day) = (self.plan.clone(), pull.day);
        let _one = self.reading.acquire().await;
        let read = move || read(&document, &plan, day, rooms, validators);
        let kept = apart(read).await?;
        let bytes = kept.bookings.iter().map(|booking| size_of::<Booking>() + booking.text.len()).sum();
        self.kept.put_large(place, pull.now, kept, bytes)
    }
}

impl Place {
    fn url(&self) -> Option<&Url> {
        match self {
            Place::Url(url) => Some(url),
            Place::File(_) => None,
        }
    }
}

impl Template {
    fn place(&self, room: &Room) -> Option<Place> {
        match self {
            Template::Url(template) => Url::parse(&filled(template, room, escaped)).ok().map(Place::Url),
            Template::File(template) => {
                // A name is a name of a file, and no way to another directory.
                let plain = |text: &str| text.replace(['/', '\0'], "_");
                Some(Place::File(Path::new(&filled(template, room, plain)).into()))
            }
        }
    }
}

/// As a part of a path or a query.
fn escaped(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}

/// Reads a calendar; it may take seconds, and so is done where nothing waits for it.
fn read(
    bytes: &[u8],
    plan: &Plan,
    day: Day,
    rooms: Vec<Room>,
    validators: Validators,
) -> Result<Kept, Error> {
    let budget = Budget::new();
    let feed = read::feed(bytes, plan.zone, day.zone, budget)?;
    let (occurrences, bad_rules) = expand::occurrences(&feed, day, budget)?;
    let mut timetable = Timetable::default();
    let mut finder = match &plan.source {
        Source::Combined(_, matcher) => Some(matcher.find_in(&rooms)),
        _ => None,
    };
    let mut elsewhere = None;
    for occurrence in &occurrences {
        budget.check()?;
        let text = plan.text.apply([occurrence.event.summary.as_str()]);
        let booking = |room: &RoomKey| Booking {
            room: room.clone(),
            start: occurrence.start,
            end: occurrence.end,
            text: text.clone(),
        };
        match &mut finder {
            None => timetable.add(rooms.iter().map(|room| booking(&room.key)))?,
            Some(finder) => {
                let found = finder.rooms(&occurrence.event.location);
                if found.is_empty() {
                    elsewhere = Some(&occurrence.event.location);
                }
                timetable.add(found.iter().map(booking))?;
            }
        }
    }
    drop(finder);
    if let (true, Some(location)) = (timetable.bookings.is_empty(), elsewhere) {
        let sample = TextRule { cut: None, placeholder: "no LOCATION".into() }.apply([location.as_str()]);
        timetable.note(format!(
            "none of its {} events is in a room of ours; one is at: {sample}",
            occurrences.len()
        ));
    }
    for (count, what) in [
        (feed.unread, "events cannot be read, and are left out"),
        (bad_rules, "rules cannot be expanded, and only the first occurrence is taken"),
        (feed.unknown_zones, "times are of a zone that is not known, and are read as local ones"),
    ] {
        if count > 0 {
            timetable.note(format!("{count} {what}"));
        }
    }
    let fresh_for = feed.fresh_for.unwrap_or_default().min(LONGEST_TTL);
    Ok(Kept { day, rooms, validators, fresh_for, bookings: timetable.bookings, notes: timetable.notes })
}
