//! What a channel was told and may not have heard.
//!
//! A reply that the kernel took may never reach its client, and nobody is told. So what a channel was told
//! lately it is told once more, whole, some minutes later (faults.md C2): no copy is kept for that, only which
//! kinds it was.

use super::channel::{ChannelId, Kind, Kinds};
use std::time::{Duration, Instant};

/// Which kinds a channel was told since it was told them whole last, and when that is due again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    kinds: Kinds,
    again: Option<Instant>,
}

impl Told {
    /// What stands in the state, and is shown until something else is told. Answers to other questions are
    /// missed by who asked.
    const LASTING: Kinds = Kinds::of(&[Kind::TagMap, Kind::RoomMap, Kind::Schedule, Kind::Occupation]);

    pub(super) fn note(&mut self, kinds: Kinds) {
        self.kinds = self.kinds.and(kinds.only(Self::LASTING));
    }

    /// Whether some of it is to be told once more. What was told `since` then is, after a time that is the
    /// channel's own: ten thousand are told the same at the same moment, and are to ask for the whole of it
    /// at different ones.
    pub(super) fn is_due(&mut self, id: ChannelId, since: Instant, within: Duration, now: Instant) -> bool {
        if self.kinds.is_empty() {
            return false;
        }
        let half = within / 2;
        *self.again.get_or_insert_with(|| since + half + id.share(within - half)) <= now
    }

    /// Takes out what is to be told. A roomMap brings the schedule along, which the old page forgets at every
    /// roomMap.
    pub(super) fn take(&mut self) -> Kinds {
        let kinds = std::mem::take(self).kinds;
        if kinds.has(Kind::RoomMap) { kinds.and(Kinds::of(&[Kind::Schedule])) } else { kinds }
    }

    /// It is likely that some of it was not heard.
    pub(super) fn doubt(&mut self, now: Instant) {
        if !self.kinds.is_empty() {
            self.again = Some(now);
        }
    }
}
