//! Requests that found no channel, that are answered before their time, or whose answer was likely not heard.

use super::{Hub, Inner};
use crate::core::channel::{ChannelId, HoldId};
use crate::core::house::House;
use crate::core::poll::{Fate, NoChannel, Receipt, Reply};
use crate::core::token::Token;
use std::time::Instant;

impl Hub {
    /// Answers a held request with nothing. False where it is answered already.
    pub fn let_go(&self, channel: ChannelId, hold: HoldId, now: Instant) -> bool {
        let mut inner = self.lock();
        inner.house.withdraw(channel, hold, now);
        let held = inner.take_one(channel, hold);
        drop(inner);
        let is_there = held.is_some();
        if let Some(held) = held {
            held.deliver(Reply { messages: [].into(), receipt: Receipt::nothing(channel) });
        }
        is_there
    }

    /// The connection broke on which a reply of this channel was handed over last: it was likely not heard, and is
    /// told again with the next one.
    pub fn doubt(&self, channel: ChannelId, now: Instant) {
        self.owe_again(|house| house.doubt(channel, now));
    }

    /// Has something owed again, and answers the request that is held meanwhile.
    pub(super) fn owe_again(&self, owe: impl FnOnce(&mut House) -> Option<(ChannelId, HoldId, Reply)>) {
        let mut inner = self.lock();
        let answer = owe(&mut inner.house)
            .and_then(|(channel, hold, reply)| Some((inner.take_one(channel, hold)?, reply)));
        drop(inner);
        if let Some((recipient, reply)) = answer {
            recipient.deliver(reply);
        }
    }
}

impl Inner {
    /// Has the filter saved that a request has set without a channel. Says whether the clock is to be told.
    pub(super) fn note_put_off(&mut self, token: Token, none: &mut NoChannel, now: Instant) -> bool {
        let Fate::PutOff { filter } = &mut none.fate else { return false };
        if let Some(filter) = filter.take() {
            self.unsaved.set(token, filter, now);
        }
        self.is_early()
    }
}
