//! Channels: who listens, with which filter, how far they have seen, and what they are still owed.
//!
//! A channel holds no list of updates. It knows the versions it has seen, and what it is owed is what
//! has changed since: so it cannot grow, however long its client stays away (invariant 6).

use super::audience::AudienceId;
use super::message::HistoricRange;
use super::origins::Origin;
use super::refresh::Told;
use super::slack::{self, Slack};
use super::token::Token;
use super::version::Versions;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

/// The place of a channel; the generation tells it from those that had the place before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId {
    slot: u32,
    generation: u32,
}

impl ChannelId {
    /// No channel has it.
    pub(super) const NONE: ChannelId = ChannelId { slot: u32::MAX, generation: 0 };

    /// A small number that no other living channel has: an index for what is kept beside the channels.
    pub fn slot(self) -> usize {
        self.slot as usize
    }

    /// A part of a span of time. Those of many channels lie evenly in it, however few or many there are.
    pub fn share(self, of: Duration) -> Duration {
        // Multiples of the golden ratio, of which the whole part is thrown away.
        let part = u128::from(self.slot.wrapping_mul(0x9e37_79b9));
        Duration::from_millis(((of.as_millis() * part) >> 32) as u64)
    }
}

/// One request that is held; no two have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HoldId(pub(super) u64);

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) token: Token,
    pub(super) audience: AudienceId,
    /// What came up to here has been handed over.
    pub(super) seen: Versions,
    /// What was asked for, or is due to a new channel, and has not been handed over.
    pub(super) owed: Owed,
    pub(super) held: Option<Held>,
    /// Since when nobody asks; counts only while no request is held.
    pub(super) idle_since: Instant,
    /// Whether the queue of hold time-outs has an entry for this channel.
    pub(super) queued: bool,
    /// What it was told, and may not have heard.
    pub(super) told: Told,
    /// Against whose channels it counts.
    pub(super) origin: Option<Origin>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) hold: HoldId,
    /// When it is answered whatever comes.
    pub(super) deadline: Instant,
    /// The place among the held of its audience.
    pub(super) place: u32,
}

/// Kinds of messages that are owed, in the order in which a reply brings them, and parts of the
/// history: a bit a kind, since the content is made when it is handed over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owed {
    kinds: Kinds,
    historic: Vec<HistoricRange>,
}

/// Several kinds, each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) const NONE: Kinds = Kinds(0);

    pub(super) const fn of(kinds: &[Kind]) -> Kinds {
        let (mut all, mut at) = (0, 0);
        while at < kinds.len() {
            all |= kinds[at] as u8;
            at += 1;
        }
        Kinds(all)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn has(self, kind: Kind) -> bool {
        self.0 & kind as u8 != 0
    }

    pub(super) fn add(&mut self, kind: Kind) {
        self.0 |= kind as u8;
    }

    pub(super) fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    pub(super) fn only(self, other: Kinds) -> Kinds {
        Kinds(self.0 & other.0)
    }

    pub(super) fn without(self, other: Kinds) -> Kinds {
        Kinds(self.0 & !other.0)
    }
}

/// What may be owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Welcome = 1,
    Tags = 2,
    TagMap = 4,
    RoomMap = 8,
    Schedule = 16,
    Occupation = 32,
}

impl Owed {
    /// Parts of the history that are kept for a client whose reply was lost; an eleventh is
    /// forgotten (reliability.md C3: at most 16 owed replies).
    const MAX_HISTORIC: usize = 10;

    pub(super) fn add(&mut self, kind: Kind) {
        self.kinds.add(kind);
    }

    pub(super) fn add_all(&mut self, kinds: Kinds) {
        self.kinds = self.kinds.and(kinds);
    }

    pub(super) fn kinds(&self) -> Kinds {
        self.kinds
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.historic.is_empty()
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.kinds.has(kind)
    }

    pub(super) fn add_historic(&mut self, range: HistoricRange) {
        if self.historic.len() < Self::MAX_HISTORIC {
            self.historic.push(range);
        }
    }

    pub(super) fn historic(&self) -> &[HistoricRange] {
        &self.historic
    }

    pub(super) fn merge(&mut self, other: Owed) {
        self.add_all(other.kinds);
        for range in other.historic {
            self.add_historic(range);
        }
    }
}

/// All channels there are, by place and by token.
#[derive(Debug, Default)]
pub(super) struct Channels {
    slots: Vec<Slot>,
    /// The first is taken first, so that after a crowd the last are those that are free for good.
    free: BinaryHeap<Reverse<u32>>,
    by_token: HashMap<Token, ChannelId>,
    /// That of a place that is made now: it may have been there before, and was given up then.
    generation: u32,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    channel: Option<Channel>,
}

impl Channels {
    pub(super) fn len(&self) -> usize {
        self.by_token.len()
    }

    /// The channel of that name; first looked for at `near`.
    pub(super) fn find(&self, token: &Token, near: Option<ChannelId>) -> Option<ChannelId> {
        let there = near.filter(|id| self.get(*id).is_some_and(|channel| channel.token == *token));
        there.or_else(|| self.by_token.get(token).copied())
    }

    pub(super) fn get(&self, id: ChannelId) -> Option<&Channel> {
        let slot = self.slots.get(id.slot as usize)?;
        if slot.generation == id.generation { slot.channel.as_ref() } else { None }
    }

    pub(super) fn get_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation == id.generation { slot.channel.as_mut() } else { None }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ChannelId, &mut Channel)> {
        self.slots.iter_mut().enumerate().filter_map(|(i, Slot { generation, channel })| {
            Some((ChannelId { slot: i as u32, generation: *generation }, channel.as_mut()?))
        })
    }

    pub(super) fn add(&mut self, channel: Channel) -> ChannelId {
        let token = channel.token.clone();
        let slot = self.free.pop().map_or_else(
            || {
                self.slots.push(Slot { generation: self.generation, channel: None });
                self.slots.len() as u32 - 1
            },
            |Reverse(slot)| slot,
        );
        let place = &mut self.slots[slot as usize];
        place.channel = Some(channel);
        let id = ChannelId { slot, generation: place.generation };
        self.by_token.insert(token, id);
        id
    }

    pub(super) fn remove(&mut self, id: ChannelId) -> Option<Channel> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        let channel = slot.channel.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(Reverse(id.slot));
        self.by_token.remove(&channel.token);
        Some(channel)
    }

    /// How many places there are: the slot of every channel is less.
    pub(super) fn places(&self) -> usize {
        self.slots.len()
    }

    /// For how many there is room, in each table.
    #[cfg(test)]
    pub(super) fn room(&self) -> [usize; 3] {
        [self.slots.capacity(), self.free.capacity().max(self.slots.len()), self.by_token.capacity()]
    }

    /// Gives back the places behind the last channel, if they are most of all; no channel is moved.
    pub(super) fn give_back_slack(&mut self) {
        self.by_token.give_back_slack();
        let Some(keep) = slack::fit(self.len(), self.slots.len()) else { return };
        let before = self.slots.len();
        while self.slots.len() > keep
            && let Some(slot) = self.slots.pop_if(|slot| slot.channel.is_none())
        {
            self.generation = self.generation.max(slot.generation);
        }
        let left = self.slots.len();
        if left < before {
            self.free.retain(|Reverse(slot)| (*slot as usize) < left);
            self.free.give_back_slack();
            self.slots.shrink_to(left);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::audience::Audiences;
    use super::super::room::Rules;
    use super::super::state::{Growth, Plan, Remains, State};
    use super::super::tag::Filter;
    use super::*;

    /// Some moment to start from.
    #[expect(clippy::disallowed_methods, reason = "a test needs some moment to start from")]
    pub(in super::super) fn base() -> Instant {
        Instant::now()
    }

    /// The ids of so many channels.
    pub(in super::super) fn ids(count: usize) -> Vec<ChannelId> {
        let mut channels = Channels::default();
        (0..count).map(|i| channels.add(channel(&format!("t{i}")))).collect()
    }

    fn channel(name: &str) -> Channel {
        let growth = Growth { pcs: 1, rooms: 1, sources: 1 };
        let state =
            State::new(Plan { rooms: Vec::new(), rules: Rules::default(), growth }, Remains::default());
        Channel {
            token: token(name),
            audience: Audiences::default().join(Filter::nothing(), &state),
            seen: Versions::default(),
            owed: Owed::default(),
            held: None,
            idle_since: base(),
            queued: false,
            told: Told::default(),
            origin: None,
        }
    }

    #[test]
    fn shares_of_many_channels_lie_evenly() {
        let whole = Duration::from_secs(100);
        for count in [3, 10, 1000] {
            let mut shares: Vec<Duration> = ids(count).into_iter().map(|id| id.share(whole)).collect();
            shares.sort();
            let gap = shares.windows(2).map(|two| two[1] - two[0]).max().unwrap();
            assert!(shares.iter().all(|share| *share < whole), "{count}");
            assert!(gap < whole * 2 / count as u32, "{count} leave a gap of {gap:?}");
        }
    }

    fn token(name: &str) -> Token {
        Token::parse(name).unwrap()
    }

    #[test]
    fn an_id_names_no_channel_but_the_one_it_was_given_for() {
        let mut channels = Channels::default();
        let first = channels.add(channel("first"));
        let other = channels.add(channel("other"));
        assert_eq!(channels.find(&token("first"), None), Some(first));
        for near in [None, Some(first), Some(other)] {
            assert_eq!(channels.find(&token("first"), near), Some(first), "near {near:?}");
        }
        assert_eq!(channels.remove(first).map(|c| c.token), Some(token("first")));
        assert!(channels.remove(first).is_none(), "it ends once");
        let second = channels.add(channel("second"));
        assert_eq!(second.slot(), first.slot(), "the place is used again");
        assert_ne!(second, first);
        assert!(channels.get_mut(first).is_none() && channels.remove(first).is_none());
        assert_eq!(channels.find(&token("first"), None), None);
        assert_eq!(channels.get_mut(second).map(|c| c.token.clone()), Some(token("second")));
        assert_eq!(channels.find(&token("second"), Some(first)), Some(second), "the place is another's now");
        assert_eq!((channels.len(), channels.find(&token("other"), None)), (2, Some(other)));
    }

    #[test]
    fn what_is_owed_is_bounded_and_merged() {
        let range = |offset| HistoricRange { offset, count: 1 };
        let mut owed = Owed::default();
        owed.add(Kind::Tags);
        let mut other = Owed::default();
        other.add(Kind::Occupation);
        (0..30).for_each(|offset| other.add_historic(range(offset)));
        owed.merge(other.clone());
        owed.merge(other);
        assert!(owed.has(Kind::Tags) && owed.has(Kind::Occupation));
        assert!(
            ![Kind::Welcome, Kind::TagMap, Kind::RoomMap, Kind::Schedule].into_iter().any(|k| owed.has(k))
        );
        assert_eq!(owed.historic(), (0..10).map(range).collect::<Vec<_>>(), "the first that were asked");
    }
}
