//! All providers of a setup: what each of them knew last, and when it is to be asked again.
//!
//! It is told the time. A provider that fails keeps what it knew, is asked again soon, and bothers no other; so does
//! one at which we fail ourselves.

use super::closures::Closures;
use super::day::Day;
use super::fetch::FetchError;
use super::{Booking, Error, Provider, Pull, Room, Timetable, combine};
use crate::core::room::RoomKey;
use crate::core::schedule::Reservation;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{Id, JoinSet};

/// How long a whole pull may take, however many rooms it is about: then it has failed, with all that it has not
/// brought. Every single request has its own time-out, so this is for what nobody has thought of.
const LONGEST_PULL: Duration = Duration::from_secs(300);

/// A provider, by what people call it.
#[derive(Clone)]
pub struct Feed {
    /// Its kind and where it is, without what may be secret.
    pub label: String,
    /// Itself.
    pub provider: Arc<dyn Provider>,
}

/// How often providers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// When all is well.
    pub every: Duration,
    /// After an error; give or take a fifth, so that a server that was down is not asked by all at once.
    pub retry: Duration,
}

/// The providers and what they know.
pub struct Board {
    feeds: Vec<Known>,
    closures: Arc<Closures>,
    pace: Pace,
    running: JoinSet<Result<Timetable, Error>>,
    /// Which provider a pull under way is of.
    asked: HashMap<Id, usize>,
}

struct Known {
    feed: Feed,
    bookings: Vec<Booking>,
    due: Instant,
    is_busy: bool,
    /// It became due while it was asked already.
    is_due_again: bool,
    /// What was said last of what is wrong: the same again is not news.
    told: Option<String>,
}

/// What came of one pull of one provider.
#[derive(Debug)]
pub struct Pulled {
    /// Which, as it is called, and as they were given.
    pub label: String,
    /// Its place among them.
    pub index: usize,
    /// How many bookings it has, today and later; or why it has none.
    pub bookings: Result<usize, Error>,
    /// What it could not have, and what should be known.
    pub remarks: Vec<String>,
    /// Whether nothing is wrong.
    pub is_good: bool,
    /// Whether it knows anything else than before.
    pub is_news: bool,
}

impl Board {
    /// Of providers none of which has been asked; all of them are due at once.
    pub fn new(feeds: &[Feed], closures: Arc<Closures>, pace: Pace, now: Instant) -> Board {
        Board {
            feeds: feeds.iter().map(|feed| Known::new(feed, now)).collect(),
            closures,
            pace,
            running: JoinSet::new(),
            asked: HashMap::new(),
        }
    }

    /// From now on these are the providers. One that was among them keeps what it knew, and so does one that is called
    /// the same, until it has been asked; all of them are due.
    pub fn replan(&mut self, feeds: &[Feed], closures: Arc<Closures>, pace: Pace, now: Instant) {
        let mut before: Vec<Option<Known>> = std::mem::take(&mut self.feeds).into_iter().map(Some).collect();
        let places: Vec<Option<usize>> = feeds.iter().map(|feed| place_of(feed, &before)).collect();
        let mut after = HashMap::new();
        for (index, (feed, place)) in feeds.iter().zip(&places).enumerate() {
            let known = place.and_then(|place| {
                after.insert(place, index);
                before.get_mut(place)?.take()
            });
            let mut known = known.unwrap_or_else(|| Known::new(feed, now));
            known.due = known.due.min(now);
            known.is_due_again = known.is_busy;
            self.feeds.push(known);
        }
        for known in self.feeds.iter_mut().filter(|known| known.bookings.is_empty() && !known.is_busy) {
            let label = &known.feed.label;
            let namesake =
                before.iter_mut().find(|old| old.as_ref().is_some_and(|old| old.feed.label == *label));
            known.bookings = namesake.and_then(Option::take).map(|old| old.bookings).unwrap_or_default();
        }
        self.asked.retain(|_, index| {
            let is_kept = after.get(index).copied();
            *index = is_kept.unwrap_or_default();
            is_kept.is_some()
        });
        (self.closures, self.pace) = (closures, pace);
    }

    /// Asks who is due, for `day` and what follows it.
    pub fn start(&mut self, day: Day, rooms: &Arc<[Room]>, now: Instant) {
        let pull = Pull { day, rooms: rooms.clone(), now, fresh: self.pace.every / 16 * 15 };
        for (index, known) in self.feeds.iter_mut().enumerate() {
            if known.is_busy || known.due > now {
                continue;
            }
            known.is_busy = true;
            let (provider, pull) = (known.feed.provider.clone(), pull.clone());
            let task = self.running.spawn(async move {
                let late = Err(Error::Fetch(FetchError::TimedOut));
                tokio::time::timeout(LONGEST_PULL, provider.fetch(&pull)).await.unwrap_or(late)
            });
            self.asked.insert(task.id(), index);
        }
    }

    /// Waits for the next pull under way to end; none, where none is. `now` is asked for when it has, and `chance`
    /// is a number from 0 to 1.
    pub async fn next(&mut self, now: impl Fn() -> Instant, chance: impl Fn() -> f64) -> Option<Pulled> {
        let (id, outcome) = match self.running.join_next_with_id().await? {
            Ok((id, outcome)) => (id, outcome),
            Err(error) => (error.id(), Err(Error::Crashed)),
        };
        let index = self.asked.remove(&id)?;
        let known = self.feeds.get_mut(index)?;
        known.is_busy = false;
        let pulled = known.take(index, outcome);
        let wait = match (known.feed.provider.every(), pulled.is_good) {
            // It costs nothing to look again, and whoever mends it wants to see it mended.
            (Some(often), _) => often.min(self.pace.every),
            (None, true) => self.pace.every,
            (None, false) => self.pace.retry.mul_f64(0.8 + 0.4 * chance().clamp(0.0, 1.0)),
        };
        let is_due = std::mem::take(&mut known.is_due_again);
        known.due = if is_due { now() } else { now() + wait };
        Some(pulled)
    }

    /// Asks all providers that are due, and waits for all of them; in their order.
    pub async fn pull(&mut self, day: Day, rooms: &Arc<[Room]>, now: Instant) -> Vec<Pulled> {
        self.start(day, rooms, now);
        let mut all = Vec::new();
        while let Some(pulled) = self.next(|| now, || 0.5).await {
            all.push(pulled);
        }
        all.sort_by_key(|pulled| pulled.index);
        all
    }

    /// From now on everybody is due: a day has begun, or a room has appeared.
    pub fn expire(&mut self, now: Instant) {
        for known in &mut self.feeds {
            known.due = known.due.min(now);
            known.is_due_again = known.is_busy;
        }
    }

    /// When somebody is due next, of those who are not asked right now.
    pub fn next_due(&self) -> Option<Instant> {
        self.feeds.iter().filter(|known| !known.is_busy).map(|known| known.due).min()
    }

    /// Whether a pull is under way.
    pub fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// What is reserved on `day`, by all that is known.
    pub fn schedule(&self, day: Day, rooms: &[Room]) -> HashMap<RoomKey, Vec<Reservation>> {
        combine::schedule(day, rooms, self.feeds.iter().flat_map(|known| &known.bookings), &self.closures)
    }
}

/// Where a provider stands among those that there are.
fn place_of(feed: &Feed, among: &[Option<Known>]) -> Option<usize> {
    let is_it = |known: &Option<Known>| {
        known.as_ref().is_some_and(|it| Arc::ptr_eq(&it.feed.provider, &feed.provider))
    };
    among.iter().position(is_it)
}

impl Known {
    fn new(feed: &Feed, due: Instant) -> Known {
        Known {
            feed: feed.clone(),
            bookings: Vec::new(),
            due,
            is_busy: false,
            is_due_again: false,
            told: None,
        }
    }

    /// Takes over what a pull has brought; what it has not brought stays as it was.
    fn take(&mut self, index: usize, outcome: Result<Timetable, Error>) -> Pulled {
        let label = self.feed.label.clone();
        let mut is_news = false;
        let (bookings, remarks, is_good) = match outcome {
            Ok(timetable) => {
                let problem = |problem: &super::Problem| match &problem.room {
                    Some(room) => format!("{room}: {}", problem.error),
                    None => problem.error.to_string(),
                };
                let mut remarks: Vec<String> = timetable.problems.iter().map(problem).collect();
                remarks.extend(timetable.notes);
                // Those who expand in any order would seem to say something new at every pull.
                let mut bookings = timetable.bookings;
                bookings.sort_unstable();
                is_news = bookings != self.bookings;
                self.bookings = bookings;
                (Ok(self.bookings.len()), remarks, timetable.problems.is_empty())
            }
            Err(error) => (Err(error.clone()), vec![error.to_string()], false),
        };
        self.tell(&remarks, is_good);
        Pulled { label, index, bookings, remarks, is_good, is_news }
    }

    fn tell(&mut self, remarks: &[String], is_good: bool) {
        let (feed, known) = (&self.feed.label, self.bookings.len());
        // One remark stands for all: a server that is down has as many as rooms.
        let first = remarks.first().map(|remark| format!("{remark:?}"));
        let told = first.clone().filter(|_| !is_good);
        match (&told, &self.told) {
            (Some(why), told) if Some(why) != told.as_ref() => {
                tracing::warn!(%feed, %why, remarks = remarks.len(), known, "timetable not up to date");
            }
            (None, Some(_)) => tracing::info!(%feed, known, "timetable up to date again"),
            _ => tracing::debug!(%feed, known, remark = first.as_deref(), "timetable pulled"),
        }
        self.told = told;
    }
}

#[cfg(test)]
mod tests;
