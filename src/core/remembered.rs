//! What is kept of channels that have ended.

use super::channel::Owed;
use super::tag::Filter;
use super::token::Token;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The filters of channels that have ended, so that a client that comes back hears again of what it
/// had asked for (faults.md C6): the newest, for a day.
#[derive(Debug)]
pub(super) struct Remembered {
    filters: HashMap<Token, Kept>,
    /// In the order in which they are forgotten; an entry whose time is not the filter's is stale.
    order: VecDeque<(Instant, Token)>,
    limit: usize,
}

/// What is kept of one channel.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) filter: Filter,
    /// What it has asked for since, while no channel could be had.
    pub(super) owed: Owed,
    until: Instant,
}

impl Remembered {
    /// How long a filter is remembered after its channel has ended.
    pub(super) const FOR: Duration = Duration::from_secs(24 * 60 * 60);

    pub(super) fn new(limit: usize) -> Remembered {
        Remembered { filters: HashMap::new(), order: VecDeque::new(), limit }
    }

    pub(super) fn add(&mut self, token: Token, filter: Filter, until: Instant) {
        self.filters.insert(token.clone(), Kept { filter, owed: Owed::default(), until });
        self.order.push_back((until, token));
        while self.filters.len() > self.limit {
            self.forget_first();
        }
        // A client that comes and goes leaves a stale entry each time.
        if self.order.len() > 2 * self.limit.max(16) {
            let filters = &self.filters;
            self.order.retain(|(until, token)| filters.get(token).is_some_and(|kept| kept.until == *until));
        }
    }

    pub(super) fn take(&mut self, token: &Token) -> Option<Kept> {
        self.filters.remove(token)
    }

    pub(super) fn find(&mut self, token: &Token) -> Option<&mut Kept> {
        self.filters.get_mut(token)
    }

    pub(super) fn forget_until(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some((until, token)) = self.order.pop_front() else { return };
        if self.filters.get(&token).is_some_and(|kept| kept.until == until) {
            self.filters.remove(&token);
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

    fn taken(remembered: &mut Remembered, name: &str) -> Option<Filter> {
        remembered.take(&token(name)).map(|kept| kept.filter)
    }

    fn filter(tags: &[&str]) -> Filter {
        let tags = tags.iter().map(|tag| super::super::tag::Tag::parse(tag).unwrap());
        Filter { occupation: TagFilter::Tags(tags.collect()), ..Filter::nothing() }
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
        assert_eq!(remembered.filters.len(), 1);
        remembered.add(token("b"), filter(&["b"]), now + 4 * second);
        remembered.add(token("c"), filter(&["c"]), now + 5 * second);
        assert_eq!(taken(&mut remembered, "a"), None, "two newer ones came");
        assert!(taken(&mut remembered, "b").is_some());
    }

    #[test]
    fn a_client_that_comes_and_goes_all_day_takes_no_more_room() {
        let mut remembered = Remembered::new(3);
        let now = base();
        for i in 0..10_000 {
            taken(&mut remembered, "a");
            remembered.add(token("a"), filter(&["x"]), now + Duration::from_secs(i));
        }
        assert!(remembered.order.len() < 100, "{} entries for one filter", remembered.order.len());
        assert_eq!(taken(&mut remembered, "a"), Some(filter(&["x"])));
    }
}
