//! How old that is which others told us: timetables and a master.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// When others were last heard.
#[derive(Debug, Default)]
pub struct Feeds {
    /// The timetables by their number in the setup, from 1 on: when each was last had whole.
    timetables: watch::Sender<BTreeMap<usize, Instant>>,
    master: watch::Sender<Option<Instant>>,
}

impl Feeds {
    /// A timetable was had whole.
    pub fn timetable(&self, number: usize, now: Instant) {
        self.timetables.send_modify(|timetables| {
            timetables.insert(number, now);
        });
    }

    /// The timetables are others from now on.
    pub fn forget_timetables(&self) {
        self.timetables.send_modify(BTreeMap::clear);
    }

    /// The master has answered.
    pub fn master(&self, now: Instant) {
        self.master.send_replace(Some(now));
    }

    /// How long ago each timetable was had whole; those that never were are missing.
    pub fn timetable_ages(&self, now: Instant) -> Vec<(usize, Duration)> {
        let age = |(number, at): (&usize, &Instant)| (*number, now.saturating_duration_since(*at));
        self.timetables.borrow().iter().map(age).collect()
    }

    /// How long ago the master answered, if it ever did.
    pub fn master_age(&self, now: Instant) -> Option<Duration> {
        self.master.borrow().map(|at| now.saturating_duration_since(at))
    }
}
