//! Where channels come from, and how many each place has: one of them must not take the channels of all
//! (reliability.md C10).

use super::poll::Shortage;
use super::slack::Slack;
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// Where a request comes from, as far as that is counted: an IPv4 address, or the network of an IPv6 one, of
/// which its owner can have any address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(NonZeroU64);

impl Origin {
    /// That of a number that no other place has.
    pub fn of(number: u64) -> Origin {
        Origin(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }
}

/// How many channels one place may have, and open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many it may have at a time.
    pub channels: usize,
    /// How many it may open in a second.
    pub per_second: usize,
}

/// The places that have channels.
#[derive(Debug, Default)]
pub(super) struct Origins(HashMap<Origin, Opened>);

#[derive(Debug)]
struct Opened {
    channels: usize,
    /// When all that it has opened would be opened, one after the other at the pace it may have.
    paced: Instant,
}

impl Origins {
    /// Notes that a channel is opened from `origin`.
    ///
    /// # Errors
    /// When it may not have another now.
    pub(super) fn open(&mut self, origin: Origin, share: Share, now: Instant) -> Result<(), Shortage> {
        let second = Duration::from_secs(1);
        let pace = second / u32::try_from(share.per_second).unwrap_or(u32::MAX).max(1);
        let opened = self.0.entry(origin).or_insert(Opened { channels: 0, paced: now });
        let paced = opened.paced.max(now) + pace;
        if opened.channels >= share.channels {
            return Err(Shortage::OfAddress(share.channels));
        }
        if paced > now + second {
            return Err(Shortage::TooFast { limit: share.per_second, wait: paced - (now + second) });
        }
        *opened = Opened { channels: opened.channels + 1, paced };
        Ok(())
    }

    /// For how many there is room.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.0.capacity()
    }

    /// Gives back the memory of a crowd that has left.
    pub(super) fn give_back_slack(&mut self) {
        self.0.give_back_slack();
    }

    /// One of its channels has ended. With the last of them it is forgotten, so that there are no more places
    /// here than channels: a channel lives longer than the second that its pace is told by.
    pub(super) fn end(&mut self, origin: Origin) {
        if let Some(opened) = self.0.get_mut(&origin) {
            opened.channels = opened.channels.saturating_sub(1);
            if opened.channels == 0 {
                self.0.remove(&origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::channel::tests::base;
    use super::*;

    const SHARE: Share = Share { channels: 30, per_second: 20 };

    #[test]
    fn c10_a_place_opens_so_many_at_once_and_then_at_its_pace() {
        let (mut origins, now) = (Origins::default(), base());
        let (one, other) = (Origin::of(1), Origin::of(2));
        for _ in 0..20 {
            assert_eq!(origins.open(one, SHARE, now), Ok(()));
        }
        let wait = Duration::from_millis(50);
        assert_eq!(origins.open(one, SHARE, now), Err(Shortage::TooFast { limit: 20, wait }));
        assert_eq!(origins.open(other, SHARE, now), Ok(()), "nobody else waits for it");
        assert_eq!(origins.open(one, SHARE, now + wait), Ok(()), "when it was told");
        assert!(origins.open(one, SHARE, now + wait).is_err());
    }

    #[test]
    fn c10_a_place_has_so_many_channels_and_is_forgotten_with_the_last() {
        let (mut origins, now, one) = (Origins::default(), base(), Origin::of(0));
        let at = |i| now + Duration::from_secs(i);
        for i in 0..30 {
            assert_eq!(origins.open(one, SHARE, at(i)), Ok(()));
        }
        assert_eq!(origins.open(one, SHARE, at(99)), Err(Shortage::OfAddress(30)));
        origins.end(one);
        assert_eq!(origins.open(one, SHARE, at(99)), Ok(()), "the place of the one that ended");
        (0..30).for_each(|_| origins.end(one));
        assert!(origins.0.is_empty());
        origins.end(one);
    }
}
