//! The house: the state and the channels that listen to it, and every verb on them.
//!
//! Each verb is told the time and returns what should happen. Two rules shape all of it: a held
//! request is owed nothing, and what a channel is owed is what changed since the versions it has seen.

use super::audience::{AudienceId, Audiences, Concern};
use super::channel::{Channel, ChannelId, Channels, Held, HoldId, Kind, Kinds};
use super::deadlines::Deadlines;
use super::message::{Body, HistoricRange, Message};
use super::origins::{Origins, Share};
use super::poll::{Ask, Delivery, NoChannel, Outcome, Poll, Polled, Receipt, Reply, Ticked};
use super::push::{Change, Push, Refused};
use super::remembered::Remembered;
use super::room::RoomKey;
use super::schedule::Reservation;
use super::snapshots::Snapshots;
use super::state::{Digests, Lead, Plan, Rearranged, Remains, State};
use super::tag::Filter;
use super::token::Token;
use super::version::Versions;
use std::collections::HashMap;
use std::time::{Duration, Instant};

mod admission;
mod figures;
mod messages;
mod reload;
mod streams;

use messages::keep_last_occupation;

/// How long and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a request is held at most.
    pub hold: Duration,
    /// After how long a channel ends that nobody asks for.
    pub channel_expiry: Duration,
    /// How many channels there may be.
    pub max_channels: usize,
    /// How many of them one address may have.
    pub share: Share,
    /// Of how many ended channels the filter is remembered.
    pub max_remembered: usize,
    /// Within how long a channel is told again, whole, what it was told and may not have heard.
    pub refresh: Duration,
}

/// The state and its channels.
#[derive(Debug)]
pub struct House {
    state: State,
    terms: Terms,
    channels: Channels,
    audiences: Audiences,
    remembered: Remembered,
    origins: Origins,
    holds: Deadlines,
    expiries: Deadlines,
    snapshots: Snapshots,
    held: usize,
    last_hold: u64,
    /// No request is held any more: the daemon is about to stop.
    draining: bool,
}

impl House {
    /// A house with the state that was left, and no channels.
    pub fn new(plan: Plan, remains: Remains, then: Option<Digests>, terms: Terms) -> House {
        let mut state = State::new(plan, remains);
        if let Some(then) = then {
            state.advance_past(then);
        }
        House {
            state,
            terms,
            channels: Channels::default(),
            audiences: Audiences::default(),
            remembered: Remembered::new(terms.max_remembered),
            origins: Origins::default(),
            holds: Deadlines::default(),
            expiries: Deadlines::default(),
            snapshots: Snapshots::default(),
            held: 0,
            last_hold: 0,
            draining: false,
        }
    }

    /// Remembers the filter of a channel that ended `ago`. The oldest first: beyond the limit, what was
    /// told first is forgotten first.
    pub fn remember(&mut self, token: Token, filter: Filter, ago: Duration, now: Instant) {
        if let Some(rest) = Remembered::FOR.checked_sub(ago) {
            let filter = self.audiences.share(filter);
            self.remembered.add(token, filter, now + rest);
        }
    }

    /// The versions now.
    pub fn versions(&self) -> Versions {
        self.state.versions()
    }

    /// Fingerprints of what has a version but no history.
    pub fn digests(&self) -> Digests {
        self.state.digests()
    }

    /// The rooms there are, by key and name.
    pub fn rooms(&self) -> Vec<(RoomKey, String)> {
        self.state.rooms()
    }

    /// Applies what was reported, and says who is to be told. `None` where nothing changed.
    ///
    /// # Errors
    /// When the state would grow beyond its limits; then nothing is applied.
    pub fn push(&mut self, push: Push, now: Instant) -> Result<Option<(Change, Vec<Delivery>)>, Refused> {
        let Some(change) = self.state.apply(push)? else { return Ok(None) };
        let concerned = self.audiences.note_push(&change);
        let deliveries = concerned
            .into_iter()
            .map(|(audience, before, concern)| self.deliver(audience, before, concern, Some(&change), now))
            .collect();
        Ok(Some((change, deliveries)))
    }

    /// Takes over what is reserved today, by room; says who is to be told, and the versions if one was spent.
    pub fn set_schedule(
        &mut self,
        schedule: &HashMap<RoomKey, Vec<Reservation>>,
        now: Instant,
    ) -> Option<(Versions, Vec<Delivery>)> {
        let rooms = self.state.set_schedule(schedule)?;
        let versions = self.state.versions();
        let concerned = self.audiences.note_schedule(&rooms, versions);
        let deliveries = concerned
            .into_iter()
            .map(|(audience, before, concern)| self.deliver(audience, before, concern, None, now))
            .collect();
        Some((versions, deliveries))
    }

    /// From now on rooms and tags are those of a master, and may be heard of later than they are asked for.
    pub fn set_following(&mut self) {
        self.state.set_following();
    }

    /// Takes over the rooms and tags of a master; says what that has changed and who is to be told, and how many
    /// entries were left out.
    pub fn follow(&mut self, lead: &Lead, now: Instant) -> (Option<(Rearranged, Vec<Delivery>)>, usize) {
        let (change, skipped) = self.state.follow(lead);
        (change.map(|change| self.tell_rearranged(change, now)), skipped)
    }

    /// A request on a channel: answered now, or held. An older one on the same channel is superseded.
    ///
    /// # Errors
    /// When it would need a new channel, and none can be had.
    pub fn poll(&mut self, poll: Poll, now: Instant) -> Result<Polled, Box<NoChannel>> {
        let (id, mut save) = match self.channels.find(&poll.token, poll.near) {
            Some(id) => (id, false),
            None => match self.create(&poll, now) {
                Ok(created) => created,
                Err(why) => return Err(Box::new(self.turn_away(poll, why))),
            },
        };
        if poll.asks.is_empty()
            && let Some(hold) = self.hold_at_once(id, now)
        {
            let outcome = Outcome::Hold(hold);
            return Ok(Polled { channel: id, superseded: None, filter: None, conflated: false, outcome });
        }
        let mut stale = self.take_stale(id, now);
        let superseded = self.release(id, now);

        // A filter brings no snapshot by itself: what changed before it was set is not owed, unless
        // something was due under the filter the request found. One roomMap that was due is, whatever
        // the filter is set to.
        let was_due = self.due(id);
        self.see_all_but(id, was_due);
        let mut owed = self.channel(id).map(|c| std::mem::take(&mut c.owed)).unwrap_or_default();
        let mut asked = Vec::new();
        for ask in poll.asks {
            let kind = match ask {
                Ask::SetFilter(change) => {
                    if self.set_filter(id, change) {
                        save = true;
                        stale = Kinds::NONE;
                    }
                    continue;
                }
                Ask::HistoricUpdates(range) => {
                    asked.push((Message::new(Body::HistoricUpdates(range)), Asked::Historic(range)));
                    continue;
                }
                Ask::Occupation => Kind::Occupation,
                Ask::RoomMap => Kind::RoomMap,
                Ask::Schedule => Kind::Schedule,
                Ask::Tags => Kind::Tags,
                Ask::TagMap => Kind::TagMap,
            };
            if let Some(audience) = self.channel(id).map(|channel| channel.audience) {
                asked.push((self.snapshot(audience, kind), Asked::Kind(kind)));
            }
        }
        let due = self.due(id);
        let Some(channel) = self.channels.get_mut(id) else {
            // Unreachable: it was found or made above, and nothing here ends a channel.
            let reply = Reply { messages: [].into(), receipt: Receipt::of_no_channel() };
            let outcome = Outcome::Answer(reply);
            return Ok(Polled { channel: id, superseded, filter: None, conflated: false, outcome });
        };
        let (audience, seen) = (channel.audience, channel.seen);
        let filter = save.then(|| self.audiences.filter(audience).clone());

        // It is the same for everybody: one that is asked for is the one that is due.
        let is_asked = asked.iter().any(|(_, kind)| matches!(kind, Asked::Kind(Kind::TagMap)));
        if (was_due.tag_map || due.tag_map) && !is_asked {
            owed.add(Kind::TagMap);
        }
        // A roomMap that names a new PC goes before all that names it, and brings the schedule along,
        // which the old page forgets at every roomMap.
        if was_due.room_map || due.room_map {
            owed.add(Kind::RoomMap);
        }
        if was_due.room_map || due.room_map || due.schedule {
            owed.add(Kind::Schedule);
        }
        owed.add_all(stale);
        let mut messages = self.owed_messages(audience, &owed);
        messages.extend(asked.iter().map(|(message, _)| message.clone()));
        for (_, kind) in asked {
            match kind {
                Asked::Kind(kind) => owed.add(kind),
                Asked::Historic(range) => owed.add_historic(range),
            }
        }
        let mut told = owed.kinds().without(stale);
        let mut conflated = false;
        if due.occupation && !owed.has(Kind::Occupation) {
            let update = self.update_since(audience, seen.occupation);
            // Empty where a reply under another filter was given back: then nothing is due after all.
            if !matches!(update.body(), Body::OccupationUpdate { update, .. } if update.is_empty()) {
                messages.push(update);
                told.add(Kind::Occupation);
                conflated = self.state.versions().occupation.0.saturating_sub(seen.occupation.0) > 1;
            }
        }
        keep_last_occupation(&mut messages);

        let outcome = if messages.is_empty() && !self.draining {
            Outcome::Hold(self.hold(id, now))
        } else {
            self.have_seen(id, told, now);
            if let Some(channel) = self.channel(id) {
                channel.told.set_last(owed.kinds(), seen.occupation);
            }
            Outcome::Answer(Reply { messages: messages.into(), receipt: Receipt { channel: id, seen, owed } })
        };
        Ok(Polled { channel: id, superseded, filter, conflated, outcome })
    }

    /// The client of a held request has left. What comes from now on waits for its next request.
    pub fn withdraw(&mut self, channel: ChannelId, hold: HoldId, now: Instant) {
        if self.channel(channel).and_then(|c| c.held).is_some_and(|held| held.hold == hold) {
            self.release(channel, now);
        }
    }

    /// A reply could not be handed over whole: what it held is owed again. If a newer request is held
    /// on that channel meanwhile, it is answered with it.
    pub fn give_back(&mut self, receipt: Receipt, now: Instant) -> Option<(ChannelId, HoldId, Reply)> {
        let id = receipt.channel;
        let channel = self.channel(id)?;
        channel.seen.occupation = channel.seen.occupation.min(receipt.seen.occupation);
        channel.seen.room_map = channel.seen.room_map.min(receipt.seen.room_map);
        channel.seen.schedule = channel.seen.schedule.min(receipt.seen.schedule);
        channel.seen.tag_map = channel.seen.tag_map.min(receipt.seen.tag_map);
        channel.owed.merge(receipt.owed);
        let waiting = channel.held?;
        let token = channel.token.clone();
        // The same as if the held request had come just now.
        match self.poll(Poll { token, near: Some(id), asks: Vec::new(), origin: None }, now).ok()?.outcome {
            Outcome::Answer(reply) => Some((id, waiting.hold, reply)),
            Outcome::Hold(hold) => {
                // Nothing came of it: the request stays held, under its own number and until its own time.
                let held = self.channel(id).and_then(|c| c.held.as_mut())?;
                debug_assert_eq!(held.hold, hold);
                *held = Held { hold: waiting.hold, deadline: waiting.deadline, place: held.place };
                None
            }
        }
    }

    /// Ends what has come to its time.
    pub fn tick(&mut self, now: Instant) -> Ticked {
        let mut timed_out = Vec::new();
        let mut ended = Vec::new();
        while let Some(id) = self.holds.come_up(now) {
            let Some(channel) = self.channels.get_mut(id) else { continue };
            channel.queued = false;
            match channel.held {
                Some(held) if held.deadline <= now => {
                    channel.told.set_last(Kinds::NONE, Versions::LAST.occupation);
                    self.release(id, now);
                    timed_out.push((id, held.hold));
                }
                Some(held) => {
                    channel.queued = true;
                    self.holds.enter(held.deadline, id);
                }
                None => {}
            }
        }
        while let Some(id) = self.expiries.come_up(now) {
            let Some(channel) = self.channels.get_mut(id) else { continue };
            let since = if channel.held.is_some() { now } else { channel.idle_since };
            let at = since + self.terms.channel_expiry;
            if at > now {
                self.expiries.enter(at, id);
            } else if let Some(token) = self.end(id, now) {
                ended.push(token);
            }
        }
        self.remembered.forget_until(now);
        self.holds.give_back_slack();
        if !ended.is_empty() {
            self.give_back_slack();
        }
        Ticked { timed_out: Delivery::empty(timed_out), ended }
    }

    /// When `tick` is to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.holds.next(), self.expiries.next()].into_iter().flatten().min()
    }

    /// From now on nothing is held; what is held is to be answered, with nothing.
    pub fn drain(&mut self, now: Instant) -> Delivery {
        self.draining = true;
        let mut all = Vec::new();
        for audience in self.audiences.waiting() {
            all.extend(self.take_held(audience, Versions::LAST, Concern::NOTHING, now));
        }
        Delivery::empty(all)
    }

    /// Takes out the held requests of an audience, which are told what concerns it.
    fn take_held(
        &mut self,
        audience: AudienceId,
        before: Versions,
        concern: Concern,
        now: Instant,
    ) -> Vec<(ChannelId, HoldId)> {
        let whole = concern.told_whole();
        let mut kinds = whole;
        if concern.occupation {
            kinds.add(Kind::Occupation);
        }
        let versions = self.state.versions();
        let ids = self.audiences.take_held(audience);
        let mut taken = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(channel) = self.channels.get_mut(id) else { continue };
            let Some(held) = channel.held.take() else { continue };
            channel.idle_since = now;
            channel.seen = versions;
            channel.told.note(kinds);
            channel.told.set_last(whole, before.occupation);
            taken.push((id, held.hold));
        }
        self.held -= taken.len();
        taken
    }

    fn due(&self, id: ChannelId) -> Concern {
        let Some(channel) = self.channels.get(id) else {
            return Concern::NOTHING;
        };
        let (changed, seen) = (self.audiences[channel.audience].changed, channel.seen);
        Concern {
            occupation: changed.occupation > seen.occupation,
            room_map: changed.room_map > seen.room_map,
            schedule: changed.schedule > seen.schedule,
            tag_map: changed.tag_map > seen.tag_map,
        }
    }

    fn see_all_but(&mut self, id: ChannelId, due: Concern) {
        let now = self.state.versions();
        let Some(channel) = self.channels.get_mut(id) else { return };
        let at = |due: bool, seen, now| if due { seen } else { now };
        channel.seen = Versions {
            occupation: at(due.occupation, channel.seen.occupation, now.occupation),
            room_map: at(due.room_map, channel.seen.room_map, now.room_map),
            schedule: at(due.schedule, channel.seen.schedule, now.schedule),
            tag_map: channel.seen.tag_map,
        };
    }

    fn have_seen(&mut self, id: ChannelId, told: Kinds, now: Instant) {
        let versions = self.state.versions();
        if let Some(channel) = self.channel(id) {
            channel.seen = versions;
            channel.told.note(told);
            channel.idle_since = now;
        }
    }

    fn hold(&mut self, id: ChannelId, now: Instant) -> HoldId {
        self.last_hold += 1;
        let hold = HoldId(self.last_hold);
        let deadline = now + self.terms.hold;
        if let Some(channel) = self.channels.get_mut(id) {
            let place = self.audiences.hold(channel.audience, id);
            channel.held = Some(Held { hold, deadline, place });
            self.held += 1;
            if !channel.queued {
                channel.queued = true;
                self.holds.enter(deadline, id);
            }
        }
        hold
    }

    /// Holds a request that asks nothing, on a channel that is owed nothing and has no other: what nearly
    /// all are, ten thousand after each push. None where there is more to it.
    fn hold_at_once(&mut self, id: ChannelId, now: Instant) -> Option<HoldId> {
        let due = self.due(id);
        let versions = self.state.versions();
        let within = self.refresh_within();
        let channel = self.channels.get_mut(id)?;
        if self.draining || due.any() || !channel.owed.is_empty() || channel.held.is_some() {
            return None;
        }
        if channel.told.is_due(id, channel.idle_since, within, now) {
            return None;
        }
        channel.seen = Versions { tag_map: channel.seen.tag_map, ..versions };
        Some(self.hold(id, now))
    }

    /// A held request is held no longer.
    fn release(&mut self, id: ChannelId, now: Instant) -> Option<HoldId> {
        let channel = self.channels.get_mut(id)?;
        let held = channel.held.take()?;
        channel.idle_since = now;
        let moved = self.audiences.release(channel.audience, held.place);
        if let Some(moved) = moved.and_then(|id| self.channels.get_mut(id)).and_then(|c| c.held.as_mut()) {
            moved.place = held.place;
        }
        self.held -= 1;
        Some(held.hold)
    }

    fn channel(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.channels.get_mut(id)
    }
}

/// What an answer would be owed as, if it were lost.
enum Asked {
    Kind(Kind),
    Historic(HistoricRange),
}

#[cfg(test)]
mod tests;
