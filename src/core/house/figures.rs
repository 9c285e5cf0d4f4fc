//! What the house tells of itself to those who count.

use super::House;
use crate::core::pc::PcName;
use crate::core::poll::Census;
use crate::core::room::RoomKey;
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

    /// In which room each PC is.
    pub fn places(&self) -> Vec<(PcName, RoomKey)> {
        self.state.places()
    }
}
