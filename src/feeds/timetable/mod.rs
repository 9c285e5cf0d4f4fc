//! What is reserved: timetables of others, pulled in their own time and combined into the schedule of the day.
//!
//! One file a provider; each answers with bookings as instants ([`Provider`]). [`combine`] makes the day of them,
//! [`board`] keeps what each provider last knew, and [`task`] pulls, and hands the day to the hub. Only a provider's
//! own file knows the format of its server.

pub mod board;
mod cache;
pub mod closures;
pub mod combine;
pub mod coverage;
pub mod day;
pub mod fetch;
pub mod file;
pub mod ical;
pub mod mytimetable;
pub mod ruuster;
pub mod task;
#[cfg(test)]
mod testing;
mod text;

use crate::core::room::RoomKey;
use chrono::{DateTime, Utc};
use day::Day;
use fetch::FetchError;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use text::TextRule;

/// How many bookings one provider may have in the days that it is asked for. A thousand rooms with six a day are
/// fifty thousand; at some 150 bytes each, 7 MB.
pub const MAX_BOOKINGS: usize = 50_000;

/// How many notes of one pull are kept: they are for people.
const MAX_NOTES: usize = 20;

/// Where reservations come from.
///
/// It is shared by pulls that never overlap; what it keeps between them is its own affair. A pull must not fail for
/// one room's sake: what is known of the others is returned, and the problem with it.
pub trait Provider: Send + Sync {
    /// What is reserved in the days of `pull`, in those of its rooms that this provider covers.
    fn fetch<'a>(&'a self, pull: &'a Pull) -> Fetching<'a>;

    /// How often it is pulled when all is well; what costs nobody anything may be looked at often.
    fn every(&self) -> Option<Duration> {
        None
    }
}

/// A pull under way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Timetable, Error>> + Send + 'a>>;

/// What a provider is asked.
#[derive(Debug, Clone)]
pub struct Pull {
    /// The first of the days.
    pub day: Day,
    /// The rooms there are.
    pub rooms: Arc<[Room]>,
    /// Now, for what is kept for a while.
    pub now: Instant,
    /// How long an answer is as good as a new one: somewhat less than the time between two pulls, so that one
    /// that is due for one room's sake does not ask for all the others again.
    pub fresh: Duration,
}

/// A room, as feeds know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its key.
    pub key: RoomKey,
    /// What people call it; providers may have a name of their own for it.
    pub name: String,
}

/// A stretch of time for which a room is reserved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Booking {
    /// The room.
    pub room: RoomKey,
    /// From when.
    pub start: DateTime<Utc>,
    /// Until when.
    pub end: DateTime<Utc>,
    /// By what; clean already ([`TextRule`]).
    pub text: String,
}

/// What a provider knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timetable {
    /// The bookings, in any order.
    pub bookings: Vec<Booking>,
    /// What could not be had this time, for which the last good is in `bookings`. It is asked for again soon.
    pub problems: Vec<Problem>,
    /// What an administrator should know: rooms that nobody knows there, events that nobody can read.
    pub notes: Vec<String>,
}

/// A part of a timetable that could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The room it is about; none: all.
    pub room: Option<RoomKey>,
    /// Why.
    pub error: Error,
}

/// Why nothing is known.
///
/// No variant repeats what came from outside, or where it was asked for: addresses of calendars are secrets
/// (reliability.md O6, O7).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It could not be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It is not what it should be, and so all of it is left aside (reliability.md T2).
    #[error("{0}")]
    Malformed(String),
    /// It has more bookings than [`MAX_BOOKINGS`].
    #[error("more than {MAX_BOOKINGS} bookings in {} days", day::DAYS)]
    TooMany,
    /// What it knows of all rooms together takes more memory than 32 MiB.
    #[error("more than {} MiB of events", cache::MOST >> 20)]
    TooMuch,
    /// Reading it takes longer than it may.
    #[error("reading it takes too long")]
    TooSlow,
    /// A defect of ours; it is in the log.
    #[error("reading it failed, by a defect of tkbd")]
    Crashed,
}

/// Reads an answer where nothing waits for it: a large one takes a tenth of a second, for which every client would.
async fn apart<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(Error::Crashed))
}

impl Timetable {
    /// Notes something for people.
    pub fn note(&mut self, note: String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note);
        }
    }

    /// Notes the rooms that the server does not know, if there are any.
    pub(super) fn note_unknown(&mut self, rooms: &[&Room]) {
        if !rooms.is_empty() {
            let keys: Vec<&str> = rooms.iter().map(|room| room.key.as_str()).collect();
            self.note(format!("rooms that are not known there: {}", keys.join(", ")));
        }
    }

    /// Adds bookings.
    ///
    /// # Errors
    /// When there are too many.
    pub fn add(&mut self, bookings: impl IntoIterator<Item = Booking>) -> Result<(), Error> {
        for booking in bookings {
            if self.bookings.len() >= MAX_BOOKINGS {
                return Err(Error::TooMany);
            }
            self.bookings.push(booking);
        }
        Ok(())
    }
}
