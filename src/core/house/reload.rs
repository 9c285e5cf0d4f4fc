//! Another setup, while channels listen.

use super::{Deadlines, House, Terms};
use crate::core::poll::Delivery;
use crate::core::state::{Moves, Plan, Rearranged, Survey};
use std::time::Instant;

impl House {
    /// What is to be known to find out whom other rules move.
    pub fn survey(&self) -> Survey {
        self.state.survey()
    }

    /// Takes over the rooms, rules and limits of another setup, and its terms; says what that has changed of the
    /// rooms, if anything, and who is to be told. A request that is held already is held no longer than it was to be, nor
    /// longer than one that comes now.
    pub fn reload(
        &mut self,
        plan: Plan,
        moves: Moves,
        terms: Terms,
        now: Instant,
    ) -> Option<(Rearranged, Vec<Delivery>)> {
        if self.terms != terms {
            self.terms = terms;
            self.enter_deadlines(now);
        }
        let change = self.state.reload(plan, moves)?;
        Some(self.tell_rearranged(change, now))
    }

    /// Rooms are others now: says who is to be told.
    pub(super) fn tell_rearranged(
        &mut self,
        change: Rearranged,
        now: Instant,
    ) -> (Rearranged, Vec<Delivery>) {
        let concerned = self.audiences.note_rearranged(&change, &self.state);
        let deliveries = concerned
            .into_iter()
            .map(|(audience, seen, concern)| self.deliver_rearranged(audience, seen, concern, &change, now))
            .collect();
        (change, deliveries)
    }

    /// The queues hold one entry a channel, which must come up before its deadlines do; those may be shorter now.
    fn enter_deadlines(&mut self, now: Instant) {
        (self.holds, self.expiries) = (Deadlines::default(), Deadlines::default());
        for (id, channel) in self.channels.iter_mut() {
            channel.queued = channel.held.is_some();
            if let Some(held) = &mut channel.held {
                held.deadline = held.deadline.min(now + self.terms.hold);
                self.holds.enter(held.deadline, id);
            }
            self.expiries.enter(channel.idle_since + self.terms.channel_expiry, id);
        }
    }
}
