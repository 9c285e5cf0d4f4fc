//! Channels of streams, which end with their connection.

use super::House;
use crate::core::channel::ChannelId;
use std::time::Instant;

impl House {
    /// Ends a channel whose client does not come back to it. Its filter is not remembered.
    pub fn close(&mut self, id: ChannelId, now: Instant) {
        self.release(id, now);
        let Some(channel) = self.channels.remove(id) else { return };
        if let Some(origin) = channel.origin {
            self.origins.end(origin);
        }
        if self.audiences.leave(channel.audience) {
            self.snapshots.forget(channel.audience);
        }
    }
}
