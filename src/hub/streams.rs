//! Streams: channels that live as long as a connection.

use super::{Hub, Recipient};
use crate::core::channel::{ChannelId, HoldId};
use crate::core::poll::{Poll, Shortage};
use std::time::Instant;

impl Hub {
    /// A request on the channel of a stream, as [`Hub::poll`] has it. Its filter is not saved: whoever comes back says it
    /// anew.
    ///
    /// # Errors
    /// When it would need a new channel, and none can be had.
    pub fn listen(
        &self,
        poll: Poll,
        recipient: Box<dyn Recipient>,
        now: Instant,
    ) -> Result<(ChannelId, Option<HoldId>), Shortage> {
        let mut inner = self.lock();
        let polled = inner.house.poll(poll, now).map_err(|none| none.why)?;
        let channel = polled.channel;
        // Nobody else has its token, so that nothing is superseded.
        let (held, answer) = self.settle(inner, channel, polled.outcome, recipient);
        if let Some((recipient, reply)) = answer {
            recipient.deliver(reply);
        }
        Ok((channel, held))
    }

    /// The stream of a channel is over.
    pub fn close(&self, channel: ChannelId, held: Option<HoldId>, now: Instant) {
        let mut inner = self.lock();
        let left = held.and_then(|hold| inner.take_one(channel, hold));
        inner.house.close(channel, now);
        drop(inner);
        drop(left);
    }
}
