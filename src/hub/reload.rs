//! Another setup for the house, while requests are held.

use super::{Deliveries, Hub, Place};
use crate::core::house::Terms;
use crate::core::state::{Plan, Rearranged};
use crate::history::Record;
use std::time::Instant;

impl Hub {
    /// Takes over the rooms, rules, limits and terms of another setup; returns what that has changed of the rooms, if
    /// anything, and who is to be told. Whom other rules move is found out before the lock is taken for that: no two
    /// of these calls may overlap.
    pub fn reload(
        &self,
        plan: Plan,
        terms: Terms,
        place: Place,
        now: Instant,
    ) -> (Option<Rearranged>, Deliveries) {
        let survey = self.lock().house.survey();
        let moves = survey.moves(&plan.rules);
        let mut inner = self.lock();
        let reloaded = inner.house.reload(plan, moves, terms, now);
        // The order of the rooms may be another, which spends no version.
        inner.snapshot = None;
        let (change, deliveries) = match reloaded {
            Some((change, deliveries)) => {
                drop(place.record(Record::Versions(change.versions)));
                (Some(change), inner.take(deliveries))
            }
            None => (None, Deliveries::default()),
        };
        drop(inner);
        // Its time-outs may come earlier now.
        self.earlier.notify_one();
        if change.as_ref().is_some_and(|change| change.room_appeared) {
            self.room_appeared.notify_one();
        }
        (change, deliveries)
    }
}
