//! Deadlines that mostly move away before they come.
//!
//! A held request is answered and held again thousands of times before one times out. So the queue
//! holds one entry a channel, which is only looked at when it comes up: a deadline that has moved on
//! meanwhile is entered anew then. Holding and releasing a request touch no queue.

use super::channel::ChannelId;
use super::slack::Slack;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// The next deadline of some channels, at most one entry each.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, ChannelId)>>,
}

impl Deadlines {
    /// Enters a channel, which must not be in it.
    pub(super) fn enter(&mut self, at: Instant, channel: ChannelId) {
        self.heap.push(Reverse((at, channel)));
    }

    /// Takes out a channel whose entry has come up by `now`.
    pub(super) fn come_up(&mut self, now: Instant) -> Option<ChannelId> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, channel))| channel)
    }

    /// For how many there is room.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.heap.capacity()
    }

    /// Gives back the memory of a crowd that has left.
    pub(super) fn give_back_slack(&mut self) {
        self.heap.give_back_slack();
    }

    /// When the first entry comes up.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::channel::tests::{base, ids};
    use super::*;
    use std::time::Duration;

    #[test]
    fn channels_come_up_by_time_and_each_entry_once() {
        let base = base();
        let at = |seconds| base + Duration::from_secs(seconds);
        let ids = ids(3);
        let channel = |i: usize| ids[i];
        let mut deadlines = Deadlines::default();
        assert_eq!((deadlines.next(), deadlines.come_up(at(9))), (None, None));
        deadlines.enter(at(3), channel(1));
        deadlines.enter(at(1), channel(2));
        deadlines.enter(at(3), channel(0));
        assert_eq!(deadlines.next(), Some(at(1)));
        assert_eq!(deadlines.come_up(at(0)), None, "too early");
        assert_eq!(deadlines.come_up(at(1)), Some(channel(2)), "at its very time");
        assert_eq!(deadlines.come_up(at(2)), None);
        assert_eq!(deadlines.next(), Some(at(3)));
        let both = [deadlines.come_up(at(5)), deadlines.come_up(at(5))];
        assert!(both.contains(&Some(channel(0))) && both.contains(&Some(channel(1))));
        assert_eq!((deadlines.next(), deadlines.come_up(at(5))), (None, None));
    }
}
