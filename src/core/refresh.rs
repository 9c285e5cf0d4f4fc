//! What a channel was told and may not have heard.
//!
//! A reply that the kernel took may never reach its client, and nobody is told. So what a channel was told
//! lately it is told once more, whole, some minutes later (reliability.md C2): no copy is kept for that, only which
//! kinds it was. Where a connection broke behind its last reply, that one is owed again at once.

use super::channel::{ChannelId, Kind, Kinds};
use super::version::{Version, Versions};
use std::time::{Duration, Instant};

/// Which kinds a channel was told since it was told them whole last, and when that is due again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    kinds: Kinds,
    /// Of the last reply, what it told whole.
    last: Kinds,
    again: Option<Instant>,
    /// And since which version of the occupation.
    since: Version,
}

impl Default for Told {
    fn default() -> Told {
        Told { kinds: Kinds::NONE, last: Kinds::NONE, again: None, since: Versions::LAST.occupation }
    }
}

impl Told {
    /// What stands in the state, and is shown until something else is told. Answers to other questions are
    /// missed by who asked.
    const LASTING: Kinds = Kinds::of(&[Kind::TagMap, Kind::RoomMap, Kind::Schedule, Kind::Occupation]);

    pub(super) fn note(&mut self, kinds: Kinds) {
        self.kinds = self.kinds.and(kinds.only(Self::LASTING));
    }

    /// What the last reply told whole, and since which version of the occupation it told the rest.
    pub(super) fn set_last(&mut self, whole: Kinds, since: Version) {
        (self.last, self.since) = (whole, since);
    }

    /// Takes that out: a reply is lost once.
    pub(super) fn take_last(&mut self) -> (Kinds, Version) {
        (std::mem::take(&mut self.last), std::mem::replace(&mut self.since, Versions::LAST.occupation))
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
        self.again = None;
        let kinds = std::mem::take(&mut self.kinds);
        if kinds.has(Kind::RoomMap) { kinds.and(Kinds::of(&[Kind::Schedule])) } else { kinds }
    }
}
