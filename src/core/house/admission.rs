//! How channels begin and end, and what becomes of them in between: their filter, and what they may have missed.

use super::House;
use crate::core::channel::{Channel, ChannelId, HoldId, Kind, Kinds, Owed};
use crate::core::poll::{Ask, Fate, NoChannel, Poll, Receipt, Reply, Shortage};
use crate::core::refresh::Told;
use crate::core::remembered::Remembered;
use crate::core::state::State;
use crate::core::tag::{Filter, FilterChange, TagFilter};
use crate::core::token::Token;
use crate::core::version::Versions;
use std::time::{Duration, Instant};

impl House {
    /// Makes the channel that a request needs; says whether its filter was remembered.
    pub(super) fn create(&mut self, poll: &Poll, now: Instant) -> Result<(ChannelId, bool), Shortage> {
        if self.channels.len() >= self.terms.max_channels {
            return Err(Shortage::InAll(self.terms.max_channels));
        }
        if let Some(origin) = poll.origin {
            self.origins.open(origin, self.terms.share, now)?;
        }
        let mut owed = Owed::default();
        owed.add(Kind::Welcome);
        owed.add(Kind::Tags);
        let remembered = self.remembered.take(&poll.token);
        let restored = remembered.is_some();
        let mut filter = Filter::nothing();
        if let Some(kept) = remembered {
            owed.add(Kind::RoomMap);
            owed.add(Kind::Schedule);
            owed.add(Kind::Occupation);
            // With tags that nobody carries now: what was taken out of a setup by mistake comes back with the next.
            filter = Filter::clone(&kept.filter);
            owed.merge(kept.into_owed());
        }
        let id = self.channels.add(Channel {
            token: poll.token.clone(),
            audience: self.audiences.join(filter, &self.state),
            seen: self.state.versions(),
            owed,
            held: None,
            idle_since: now,
            queued: false,
            told: Told::default(),
            origin: poll.origin,
        });
        self.expiries.enter(now + self.terms.channel_expiry, id);
        Ok((id, restored))
    }

    /// No channel could be had for a request. A client that is known must not be told so: the old page and the
    /// old slave go on with nothing but an answer (reliability.md C9).
    pub(super) fn turn_away(&mut self, poll: Poll, why: Shortage) -> NoChannel {
        let Some(kept) = self.remembered.find(&poll.token) else {
            return NoChannel { why, fate: Fate::Again(poll) };
        };
        let before = kept.filter.clone();
        for ask in poll.asks {
            match ask {
                Ask::SetFilter(change) => {
                    let filter = changed(&self.state, &kept.filter, change);
                    kept.filter = self.audiences.share(filter);
                }
                Ask::HistoricUpdates(range) => kept.owe().add_historic(range),
                Ask::Occupation => kept.owe().add(Kind::Occupation),
                Ask::RoomMap => kept.owe().add(Kind::RoomMap),
                Ask::Schedule => kept.owe().add(Kind::Schedule),
                Ask::Tags => kept.owe().add(Kind::Tags),
                Ask::TagMap => kept.owe().add(Kind::TagMap),
            }
        }
        let filter = (kept.filter != before).then(|| kept.filter.clone());
        NoChannel { why, fate: Fate::PutOff { filter } }
    }

    pub(super) fn end(&mut self, id: ChannelId, now: Instant) -> Option<Token> {
        let channel = self.channels.remove(id)?;
        if let Some(origin) = channel.origin {
            self.origins.end(origin);
        }
        let filter = self.audiences.filter(channel.audience).clone();
        if self.audiences.leave(channel.audience) {
            self.snapshots.forget(channel.audience);
        }
        if *filter != Filter::nothing() {
            self.remembered.add(channel.token.clone(), filter, now + Remembered::FOR);
        }
        Some(channel.token)
    }

    /// Gives back the memory of channels that have ended, where a crowd of them has.
    pub(super) fn give_back_slack(&mut self) {
        self.channels.give_back_slack();
        self.audiences.give_back_slack();
        self.origins.give_back_slack();
        self.expiries.give_back_slack();
    }

    /// How many places of channels there are: [`ChannelId::slot`] of each is less. It falls after a crowd has left.
    pub fn places(&self) -> usize {
        self.channels.places()
    }

    pub(super) fn set_filter(&mut self, id: ChannelId, change: FilterChange) -> bool {
        let Some(channel) = self.channels.get_mut(id) else { return false };
        let old = self.audiences.filter(channel.audience);
        let filter = changed(&self.state, old, change);
        if filter == **old {
            return false;
        }
        let left = std::mem::replace(&mut channel.audience, self.audiences.join(filter, &self.state));
        // What it was told under another filter is not owed under this one.
        channel.told.take();
        if self.audiences.leave(left) {
            self.snapshots.forget(left);
        }
        true
    }

    /// What a channel was told and may not have heard, where it is time to tell it again.
    pub(super) fn take_stale(&mut self, id: ChannelId, now: Instant) -> Kinds {
        let within = self.refresh_within();
        let Some(channel) = self.channels.get_mut(id) else { return Kinds::NONE };
        let is_due = channel.told.is_due(id, channel.idle_since, within, now);
        if is_due { channel.told.take() } else { Kinds::NONE }
    }

    /// The connection broke on which this channel was told something last: that is owed again, but for parts of the
    /// history, which its client will miss. If a newer request is held meanwhile, it is answered with it.
    pub fn doubt(&mut self, id: ChannelId, now: Instant) -> Option<(ChannelId, HoldId, Reply)> {
        let (whole, since) = self.channel(id)?.told.take_last();
        let mut owed = Owed::default();
        owed.add_all(whole);
        let seen = Versions { occupation: since, ..Versions::LAST };
        self.give_back(Receipt { channel: id, seen, owed }, now)
    }

    /// After how long, at most, something is told again to who asks then: a request may be held when its time comes.
    pub(super) fn refresh_within(&self) -> Duration {
        self.terms.refresh.saturating_sub(self.terms.hold).max(self.terms.refresh / 2)
    }
}

/// A filter after a change, without tags that no room carries.
fn changed(state: &State, old: &Filter, change: FilterChange) -> Filter {
    let new = |change: Option<TagFilter>, old: &TagFilter| {
        change.map_or_else(|| old.clone(), |filter| state.known(&filter))
    };
    Filter {
        occupation: new(change.occupation, &old.occupation),
        room_map: new(change.room_map, &old.room_map),
        schedule: new(change.schedule, &old.schedule),
    }
}
