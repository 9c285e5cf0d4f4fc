//! What the history is counted by, and what it comes to.

use super::Hub;
use crate::core::pc::PcName;
use crate::core::room::RoomKey;
use crate::history::{Counting, Insight};
use chrono_tz::Tz;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

impl Hub {
    /// The room of each PC, whoever has put it there: rules, or a master. It is asked for seldom.
    pub fn rooms_of_pcs(&self) -> HashMap<PcName, RoomKey> {
        let rooms = self.lock().house.rooms_of_pcs();
        // Hashed without the lock.
        rooms.into_iter().collect()
    }

    /// From now on the history is counted in the days of `zone`, by the rooms that PCs are in when their rows are
    /// counted, and its rows are kept so long; none: for ever.
    pub fn count_history(self: &Arc<Hub>, zone: Tz, keep: Option<Duration>) {
        let hub = Arc::downgrade(self);
        // The history must not keep the hub alive, which has it.
        let rooms = Arc::new(move || hub.upgrade().map_or_else(HashMap::new, |hub| hub.rooms_of_pcs()));
        self.history.count(Counting { zone, keep, rooms });
    }

    /// What the history comes to.
    pub fn insight(&self) -> Insight<'_> {
        self.history.insight()
    }
}
