//! Channels: who listens, with which filter, how far they have seen, and what they are still owed.
//!
//! A channel holds no list of updates. It knows the versions it has seen, and what it is owed is what
//! has changed since: so it cannot grow, however long its client stays away (invariant 6).

use super::audience::AudienceId;
use super::message::HistoricRange;
use super::tag::Filter;
use super::token::Token;
use super::version::Versions;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The place of a channel; the generation tells it from those that had the place before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId {
    slot: u32,
    generation: u32,
}

impl ChannelId {
    /// A small number that no other living channel has: an index for what is kept beside the channels.
    pub fn slot(self) -> usize {
        self.slot as usize
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
    kinds: u8,
    historic: Vec<HistoricRange>,
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
    /// forgotten (faults.md C3: at most 16 owed replies).
    const MAX_HISTORIC: usize = 10;

    pub(super) fn add(&mut self, kind: Kind) {
        self.kinds |= kind as u8;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds == 0 && self.historic.is_empty()
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.kinds & kind as u8 != 0
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
        self.kinds |= other.kinds;
        for range in other.historic {
            self.add_historic(range);
        }
    }
}

/// All channels there are, by place and by token.
#[derive(Debug, Default)]
pub(super) struct Channels {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_token: HashMap<Token, ChannelId>,
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
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, channel: None });
            self.slots.len() as u32 - 1
        });
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
        self.free.push(id.slot);
        self.by_token.remove(&channel.token);
        Some(channel)
    }
}

/// The filters of channels that have ended, so that a client that comes back hears again of what it
/// had asked for (faults.md C6): the newest, for a day.
#[derive(Debug)]
pub(super) struct Remembered {
    filters: HashMap<Token, (Filter, Instant)>,
    /// In the order in which they are forgotten; an entry whose time is not the filter's is stale.
    order: VecDeque<(Instant, Token)>,
    limit: usize,
}

impl Remembered {
    /// How long a filter is remembered after its channel has ended.
    pub(super) const FOR: Duration = Duration::from_secs(24 * 60 * 60);

    pub(super) fn new(limit: usize) -> Remembered {
        Remembered { filters: HashMap::new(), order: VecDeque::new(), limit }
    }

    pub(super) fn add(&mut self, token: Token, filter: Filter, until: Instant) {
        self.filters.insert(token.clone(), (filter, until));
        self.order.push_back((until, token));
        while self.filters.len() > self.limit {
            self.forget_first();
        }
        // A client that comes and goes leaves a stale entry each time.
        if self.order.len() > 2 * self.limit.max(16) {
            let filters = &self.filters;
            self.order.retain(|(until, token)| filters.get(token).is_some_and(|(_, of)| of == until));
        }
    }

    pub(super) fn take(&mut self, token: &Token) -> Option<Filter> {
        self.filters.remove(token).map(|(filter, _)| filter)
    }

    pub(super) fn forget_until(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some((until, token)) = self.order.pop_front() else { return };
        if self.filters.get(&token).is_some_and(|(_, of)| *of == until) {
            self.filters.remove(&token);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::audience::Audiences;
    use super::super::room::Rules;
    use super::super::state::{Growth, Plan, Remains, State};
    use super::super::tag::TagFilter;
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
        }
    }

    fn token(name: &str) -> Token {
        Token::parse(name).unwrap()
    }

    fn filter(tags: &[&str]) -> Filter {
        let tags = tags.iter().map(|tag| super::super::tag::Tag::parse(tag).unwrap());
        Filter { occupation: TagFilter::Tags(tags.collect()), ..Filter::nothing() }
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
    fn a_filter_is_remembered_until_its_time_and_given_once() {
        let (now, second) = (base(), Duration::from_secs(1));
        let mut remembered = Remembered::new(9);
        remembered.add(token("a"), filter(&["x"]), now + second);
        remembered.add(token("b"), filter(&["y"]), now + 2 * second);
        remembered.forget_until(now);
        assert_eq!(remembered.take(&token("a")), Some(filter(&["x"])));
        assert_eq!(remembered.take(&token("a")), None);
        remembered.forget_until(now + 2 * second);
        assert_eq!(remembered.take(&token("b")), None, "its time is over");
    }

    #[test]
    fn the_newest_filters_are_remembered_within_the_limit() {
        let (now, second) = (base(), Duration::from_secs(1));
        let mut remembered = Remembered::new(2);
        for (i, name) in ["a", "b", "c"].into_iter().enumerate() {
            remembered.add(token(name), filter(&[name]), now + second * i as u32);
        }
        assert_eq!(remembered.take(&token("a")), None);
        assert_eq!(remembered.take(&token("b")), Some(filter(&["b"])));
        assert_eq!(remembered.take(&token("c")), Some(filter(&["c"])));
        let mut nothing = Remembered::new(0);
        nothing.add(token("a"), filter(&["a"]), now);
        assert_eq!(nothing.take(&token("a")), None);
    }

    #[test]
    fn an_older_entry_of_a_client_that_came_back_does_not_take_its_newer_filter() {
        let (now, second) = (base(), Duration::from_secs(1));
        let mut remembered = Remembered::new(2);
        remembered.add(token("a"), filter(&["old"]), now + second);
        assert!(remembered.take(&token("a")).is_some());
        remembered.add(token("a"), filter(&["new"]), now + 3 * second);
        remembered.forget_until(now + 2 * second);
        assert_eq!(remembered.filters.len(), 1);
        remembered.add(token("b"), filter(&["b"]), now + 4 * second);
        remembered.add(token("c"), filter(&["c"]), now + 5 * second);
        assert_eq!(remembered.take(&token("a")), None, "two newer ones came");
        assert!(remembered.take(&token("b")).is_some());
    }

    #[test]
    fn a_client_that_comes_and_goes_all_day_takes_no_more_room() {
        let mut remembered = Remembered::new(3);
        let now = base();
        for i in 0..10_000 {
            remembered.take(&token("a"));
            remembered.add(token("a"), filter(&["x"]), now + Duration::from_secs(i));
        }
        assert!(remembered.order.len() < 100, "{} entries for one filter", remembered.order.len());
        assert_eq!(remembered.take(&token("a")), Some(filter(&["x"])));
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
