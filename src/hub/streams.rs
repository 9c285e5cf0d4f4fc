//! Channels of our own, that live as long as who listens: a stream, or the board of the page.

use super::{Hub, Recipient};
use crate::core::channel::{ChannelId, HoldId};
use crate::core::origins::Origin;
use crate::core::poll::{Ask, Poll, Reply, Shortage};
use crate::core::tag::{FilterChange, TagFilter};
use crate::core::token::Token;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// A channel that is asked on again and again. It ends with this, and is remembered by nobody.
pub struct Listener {
    hub: Arc<Hub>,
    token: Token,
    filter: TagFilter,
    origin: Option<Origin>,
    /// The channel, and what is held on it; none before it is first asked on.
    place: Option<(ChannelId, Option<HoldId>)>,
}

impl Listener {
    /// One that hears what passes `filter`, and counts against `origin`. Nobody else has its token.
    pub fn new(hub: Arc<Hub>, token: Token, filter: TagFilter, origin: Option<Origin>) -> Listener {
        Listener { hub, token, filter, origin, place: None }
    }

    /// Asks for these, and to be told of news. What was asked before is not answered any more.
    ///
    /// # Errors
    /// When it would need a new channel, and none can be had.
    pub fn ask(&mut self, mut asks: Vec<Ask>) -> Result<oneshot::Receiver<Reply>, Shortage> {
        if self.place.is_none() {
            let filter = || Some(self.filter.clone());
            let set = FilterChange { occupation: filter(), room_map: filter(), schedule: filter() };
            asks.insert(0, Ask::SetFilter(set));
        }
        let near = self.place.map(|(channel, _)| channel);
        let poll = Poll { token: self.token.clone(), near, asks, origin: self.origin };
        let (waits, heard) = oneshot::channel();
        self.place = Some(self.hub.listen(poll, Box::new(Waits(waits)), Instant::now())?);
        Ok(heard)
    }
}

impl Drop for Listener {
    /// However who listens ends, the channel does so with it.
    fn drop(&mut self) {
        if let Some((channel, held)) = self.place {
            self.hub.close(channel, held, Instant::now());
        }
    }
}

/// What stands in the hub for one that listens.
struct Waits(oneshot::Sender<Reply>);

impl Recipient for Waits {
    fn deliver(self: Box<Self>, reply: Reply) {
        // Who does not wait for it any more asks anew, or has ended, and then there is no channel to give it back to.
        let _ = self.0.send(reply);
    }
}

impl Hub {
    /// A request on a channel of our own, as [`Hub::poll`] has it. Its filter is not saved: whoever comes back says it
    /// anew.
    fn listen(
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

    /// Nobody listens on a channel any more.
    fn close(&self, channel: ChannelId, held: Option<HoldId>, now: Instant) {
        let mut inner = self.lock();
        let left = held.and_then(|hold| inner.take_one(channel, hold));
        inner.house.close(channel, now);
        drop(inner);
        drop(left);
    }
}
