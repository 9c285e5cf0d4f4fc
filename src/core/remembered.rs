//! What is kept of channels that have ended.

use super::channel::Owed;
use super::slack::Slack;
use super::tag::Filter;
use super::token::Token;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The filters of channels that have ended, so that a client that comes back hears again of what it
/// had asked for (reliability.md C6): the newest, for a day.
///
/// There are up to fifty thousand of them all day, so they lie close together, none behind another that was taken
/// out: 64 bytes each, and 24 to find it by. The filter itself is shared.
#[derive(Debug)]
pub(super) struct Remembered {
    entries: Vec<Entry>,
    /// Where the entry of a token is, by the token's hash: that is keyed, so that nobody can choose tokens that have
    /// the same. Of two that had, the older would be forgotten.
    places: HashMap<u64, u32>,
    hashes: RandomState,
    /// The first to be forgotten, and the last.
    first: u32,
    last: u32,
    limit: usize,
}

/// What is kept of one channel.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) filter: Arc<Filter>,
    /// What it has asked for since, while no channel could be had.
    owed: Option<Box<Owed>>,
}

impl Kept {
    /// What it is owed, to be added to.
    pub(super) fn owe(&mut self) -> &mut Owed {
        self.owed.get_or_insert_default()
    }

    /// What it is owed.
    pub(super) fn into_owed(self) -> Owed {
        self.owed.map(|owed| *owed).unwrap_or_default()
    }
}

#[derive(Debug)]
struct Entry {
    token: Token,
    kept: Kept,
    until: Instant,
    /// Which is forgotten before this one, and which after it.
    before: u32,
    after: u32,
}

/// No entry.
const NONE: u32 = u32::MAX;

impl Remembered {
    /// How long a filter is remembered after its channel has ended.
    pub(super) const FOR: Duration = Duration::from_secs(24 * 60 * 60);

    pub(super) fn new(limit: usize) -> Remembered {
        Remembered {
            entries: Vec::new(),
            places: HashMap::new(),
            hashes: RandomState::new(),
            first: NONE,
            last: NONE,
            limit: limit.min(NONE as usize),
        }
    }

    /// Remembers a filter, after all that were told before it.
    pub(super) fn add(&mut self, token: Token, filter: Arc<Filter>, until: Instant) {
        if self.limit == 0 {
            return;
        }
        let hash = self.hashes.hash_one(&token);
        if let Some(place) = self.places.get(&hash).copied() {
            self.remove(place);
        }
        if self.entries.len() == self.limit {
            self.remove(self.first);
        }
        if self.entries.len() == self.entries.capacity() {
            // By half, and never beyond the limit.
            let more = (self.entries.len() / 2).max(16).min(self.limit - self.entries.len());
            self.entries.reserve_exact(more);
        }
        let place = self.entries.len() as u32;
        let kept = Kept { filter, owed: None };
        self.entries.push(Entry { token, kept, until, before: self.last, after: NONE });
        self.places.insert(hash, place);
        self.link(self.last, place);
        self.link(place, NONE);
    }

    pub(super) fn take(&mut self, token: &Token) -> Option<Kept> {
        let place = self.place(token)?;
        self.remove(place)
    }

    pub(super) fn find(&mut self, token: &Token) -> Option<&mut Kept> {
        let place = self.place(token)?;
        self.entries.get_mut(place as usize).map(|entry| &mut entry.kept)
    }

    pub(super) fn forget_until(&mut self, now: Instant) {
        while self.entries.get(self.first as usize).is_some_and(|entry| entry.until <= now) {
            self.remove(self.first);
        }
    }

    fn place(&self, token: &Token) -> Option<u32> {
        let place = self.places.get(&self.hashes.hash_one(token)).copied()?;
        self.entries.get(place as usize).filter(|entry| entry.token == *token).map(|_| place)
    }

    /// Takes one out; the last of the list has its place from now on.
    fn remove(&mut self, place: u32) -> Option<Kept> {
        let (before, after) = self.entries.get(place as usize).map(|entry| (entry.before, entry.after))?;
        self.link(before, after);
        let gone = self.entries.swap_remove(place as usize);
        self.places.remove(&self.hashes.hash_one(&gone.token));
        if let Some(moved) = self.entries.get(place as usize) {
            let (before, after) = (moved.before, moved.after);
            self.places.insert(self.hashes.hash_one(&moved.token), place);
            self.link(before, place);
            self.link(place, after);
        }
        self.entries.give_back_slack();
        self.places.give_back_slack();
        Some(gone.kept)
    }

    /// Has one come after another in the order; none before it: it is the first.
    fn link(&mut self, before: u32, after: u32) {
        match self.entries.get_mut(before as usize) {
            Some(entry) => entry.after = after,
            None => self.first = after,
        }
        match self.entries.get_mut(after as usize) {
            Some(entry) => entry.before = before,
            None => self.last = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::channel::tests::base;
    use super::super::tag::TagFilter;
    use super::*;

    fn token(name: &str) -> Token {
        Token::parse(name).unwrap()
    }

    fn taken(remembered: &mut Remembered, name: &str) -> Option<Arc<Filter>> {
        remembered.take(&token(name)).map(|kept| kept.filter)
    }

    fn filter(tags: &[&str]) -> Arc<Filter> {
        let tags = tags.iter().map(|tag| super::super::tag::Tag::parse(tag).unwrap());
        Arc::new(Filter { occupation: TagFilter::Tags(tags.collect()), ..Filter::nothing() })
    }

    #[test]
    fn a_filter_is_remembered_until_its_time_and_given_once() {
        let (now, second) = (base(), Duration::from_secs(1));
        let mut remembered = Remembered::new(9);
        remembered.add(token("a"), filter(&["x"]), now + second);
        remembered.add(token("b"), filter(&["y"]), now + 2 * second);
        remembered.forget_until(now);
        assert_eq!(taken(&mut remembered, "a"), Some(filter(&["x"])));
        assert_eq!(taken(&mut remembered, "a"), None);
        remembered.forget_until(now + 2 * second);
        assert_eq!(taken(&mut remembered, "b"), None, "its time is over");
    }

    #[test]
    fn the_newest_filters_are_remembered_within_the_limit() {
        let (now, second) = (base(), Duration::from_secs(1));
        let mut remembered = Remembered::new(2);
        for (i, name) in ["a", "b", "c"].into_iter().enumerate() {
            remembered.add(token(name), filter(&[name]), now + second * i as u32);
        }
        assert_eq!(taken(&mut remembered, "a"), None);
        assert_eq!(taken(&mut remembered, "b"), Some(filter(&["b"])));
        assert_eq!(taken(&mut remembered, "c"), Some(filter(&["c"])));
        let mut nothing = Remembered::new(0);
        nothing.add(token("a"), filter(&["a"]), now);
        assert_eq!(taken(&mut nothing, "a"), None);
    }

    #[test]
    fn an_older_entry_of_a_client_that_came_back_does_not_take_its_newer_filter() {
        let (now, second) = (base(), Duration::from_secs(1));
        let mut remembered = Remembered::new(2);
        remembered.add(token("a"), filter(&["old"]), now + second);
        assert!(taken(&mut remembered, "a").is_some());
        remembered.add(token("a"), filter(&["new"]), now + 3 * second);
        remembered.forget_until(now + 2 * second);
        assert_eq!(remembered.entries.len(), 1);
        remembered.add(token("b"), filter(&["b"]), now + 4 * second);
        remembered.add(token("c"), filter(&["c"]), now + 5 * second);
        assert_eq!(taken(&mut remembered, "a"), None, "two newer ones came");
        assert!(taken(&mut remembered, "b").is_some());
    }

    #[test]
    fn c3_fifty_thousand_take_eighty_bytes_each_and_nothing_when_their_day_is_over() {
        let (mut remembered, now, second) = (Remembered::new(50_000), base(), Duration::from_secs(1));
        let shared = filter(&["x"]);
        for i in 0..60_000 {
            remembered.add(token(&format!("t{i:021}")), shared.clone(), now + second);
        }
        assert_eq!((remembered.entries.len(), remembered.entries.capacity()), (50_000, 50_000));
        assert!(remembered.places.capacity() < 65_536, "{}", remembered.places.capacity());
        assert!(size_of::<Entry>() <= 64, "{}", size_of::<Entry>());
        remembered.forget_until(now + second);
        let room = (remembered.entries.capacity(), remembered.places.capacity());
        assert!(room.0 <= 2_048 && room.1 <= 2_048, "{room:?}");
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    fn those_that_are_left_are_forgotten_in_their_order_whichever_were_taken_between() {
        let (now, second) = (base(), Duration::from_secs(1));
        let name = |i: u32| format!("t{i}");
        for step in 1..8 {
            let mut remembered = Remembered::new(50);
            (0..70).for_each(|i| remembered.add(token(&name(i)), filter(&[]), now + second * i));
            // The oldest twenty had to go; of the rest some are taken, and some of these come back.
            let mut order: Vec<u32> = (20..70).collect();
            for i in (20..70).step_by(step) {
                assert!(taken(&mut remembered, &name(i)).is_some(), "{i}");
                order.retain(|other| *other != i);
                if i % 2 == 0 {
                    remembered.add(token(&name(i)), filter(&[]), now + second * (100 + i));
                    order.push(i);
                }
            }
            for i in order {
                let first = remembered.entries.get(remembered.first as usize).unwrap();
                assert_eq!(first.token, token(&name(i)));
                let until = first.until;
                remembered.forget_until(until - second / 2);
                assert!(remembered.find(&token(&name(i))).is_some(), "before its time");
                remembered.forget_until(until);
                assert!(remembered.find(&token(&name(i))).is_none());
            }
            assert!(remembered.entries.is_empty() && remembered.places.is_empty());
            assert_eq!((remembered.first, remembered.last), (NONE, NONE));
        }
    }

    #[test]
    fn a_client_that_comes_and_goes_all_day_takes_no_more_room() {
        let mut remembered = Remembered::new(3);
        let now = base();
        for i in 0..10_000 {
            taken(&mut remembered, "a");
            remembered.add(token("a"), filter(&["x"]), now + Duration::from_secs(i));
        }
        assert!(remembered.entries.len() == 1, "{} entries for one filter", remembered.entries.len());
        assert_eq!(taken(&mut remembered, "a"), Some(filter(&["x"])));
    }
}
