//! What the house tells of itself to those who count.

use super::House;
use crate::core::pc::PcName;
use crate::core::poll::Census;
use crate::core::room::RoomKey;
use crate::core::snapshot::Snapshot;
use crate::core::source::Timestamp;
use crate::core::state::Tally;

impl House {
    /// How many of what there are.
    pub fn census(&self) -> Census {
        Census { channels: self.channels.len(), held: self.held, filters: self.audiences.len() }
    }

    /// How many PCs of each room are in each state.
    pub fn tally(&self) -> Vec<Tally> {
        self.state.tally()
    }

    /// The state now; see [`crate::core::state::State::snapshot`].
    pub fn whole(&self, last: Option<&Snapshot>) -> Snapshot {
        self.state.snapshot(last)
    }

    /// Notes since when PCs are as they are, as far as that is known from before.
    pub fn set_since(&mut self, since: impl IntoIterator<Item = (PcName, Timestamp)>) {
        self.state.set_since(since);
    }

    /// In which room each PC is.
    pub fn rooms_of_pcs(&self) -> Vec<(PcName, RoomKey)> {
        self.state.rooms_of_pcs()
    }
}
