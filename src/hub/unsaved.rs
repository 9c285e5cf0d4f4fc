//! Filters that are yet to be saved. A page that is opened sets its filter, and so do ten thousand that come back at
//! once: they are saved together, within a second (reliability.md C3), and nobody waits for that.

use crate::core::slack::Slack;
use crate::core::source::Timestamp;
use crate::core::tag::Filter;
use crate::core::token::Token;
use crate::history::SavedFilter;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is yet to be saved of each channel: the newest alone.
#[derive(Debug, Default)]
pub(super) struct Unsaved {
    filters: HashMap<Token, Changed>,
    due: Option<Instant>,
}

/// Its filter, and when it ended; none: that has not changed.
type Changed = (Option<Arc<Filter>>, Option<Timestamp>);

impl Unsaved {
    /// How long they are gathered. With the time that the history takes, it is less than a second.
    const GATHERED: Duration = Duration::from_millis(500);

    /// As many as are kept on the disk. Beyond it, while that takes none, those of new channels are not saved.
    const MAX: usize = 50_000;

    /// How many are one record of the history.
    const TOGETHER: usize = 1_000;

    /// A channel has set its filter.
    pub(super) fn set(&mut self, token: Token, filter: Arc<Filter>, now: Instant) {
        self.note(token, now, |saved| *saved = (Some(filter), None));
    }

    /// A channel has ended.
    pub(super) fn end(&mut self, token: Token, at: Timestamp, now: Instant) {
        // As many end at once as there are; the places of those that set a filter are not for them.
        if self.filters.len() < Self::MAX / 2 || self.filters.contains_key(&token) {
            self.note(token, now, |(_, ended)| *ended = Some(at));
        }
    }

    /// When some are to be saved.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// They are asked for again later.
    pub(super) fn put_off(&mut self, now: Instant) {
        self.due = Some(now + Self::GATHERED);
    }

    /// Takes out those that are to be saved now, in parts.
    pub(super) fn take(&mut self) -> Vec<Vec<SavedFilter>> {
        self.due = None;
        let mut parts = Vec::new();
        let mut all =
            self.filters.drain().map(|(token, (filter, ended))| SavedFilter { token, filter, ended });
        loop {
            let part: Vec<SavedFilter> = all.by_ref().take(Self::TOGETHER).collect();
            if part.is_empty() {
                break;
            }
            parts.push(part);
        }
        drop(all);
        self.filters.give_back_slack();
        parts
    }

    /// Keeps those that the history had no place for, until later. What has been noted of a channel since then is newer.
    pub(super) fn keep(&mut self, part: Vec<SavedFilter>, now: Instant) {
        for SavedFilter { token, filter, ended } in part {
            self.note(token, now, |saved| {
                if saved.0.is_none() {
                    *saved = (filter, saved.1.or(ended));
                }
            });
        }
    }

    fn note(&mut self, token: Token, now: Instant, change: impl FnOnce(&mut Changed)) {
        if self.filters.len() < Self::MAX || self.filters.contains_key(&token) {
            change(self.filters.entry(token).or_default());
            self.due.get_or_insert(now + Self::GATHERED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tag::TagFilter;

    fn token(i: usize) -> Token {
        Token::parse(&format!("t{i}")).unwrap()
    }

    fn filter() -> Arc<Filter> {
        Arc::new(Filter { occupation: TagFilter::Everything, ..Filter::nothing() })
    }

    fn nothing() -> Arc<Filter> {
        Arc::new(Filter::nothing())
    }

    fn taken(unsaved: &mut Unsaved) -> Vec<SavedFilter> {
        let mut all: Vec<SavedFilter> = unsaved.take().into_iter().flatten().collect();
        all.sort_by(|a, b| a.token.as_str().cmp(b.token.as_str()));
        all
    }

    #[test]
    fn the_newest_of_each_channel_is_saved_together_when_the_first_is_due() {
        let (mut unsaved, now) = (Unsaved::default(), Instant::now());
        assert_eq!(unsaved.due(), None);
        unsaved.set(token(1), nothing(), now);
        unsaved.set(token(1), filter(), now + Unsaved::GATHERED / 2);
        unsaved.end(token(2), Timestamp(7), now);
        assert_eq!(unsaved.due(), Some(now + Unsaved::GATHERED));
        let both = [
            SavedFilter { token: token(1), filter: Some(filter()), ended: None },
            SavedFilter { token: token(2), filter: None, ended: Some(Timestamp(7)) },
        ];
        assert_eq!(taken(&mut unsaved), both);
        assert_eq!((unsaved.due(), taken(&mut unsaved)), (None, vec![]));
    }

    #[test]
    fn what_could_not_be_saved_gives_way_to_what_came_since() {
        let (mut unsaved, now) = (Unsaved::default(), Instant::now());
        for i in 0..3 {
            unsaved.set(token(i), nothing(), now);
        }
        let parts = unsaved.take();
        unsaved.set(token(0), filter(), now);
        unsaved.end(token(1), Timestamp(7), now);
        for part in parts {
            unsaved.keep(part, now);
        }
        let all = [
            SavedFilter { token: token(0), filter: Some(filter()), ended: None },
            SavedFilter { token: token(1), filter: Some(nothing()), ended: Some(Timestamp(7)) },
            SavedFilter { token: token(2), filter: Some(nothing()), ended: None },
        ];
        assert_eq!(taken(&mut unsaved), all);
    }

    #[test]
    fn no_more_are_kept_than_have_a_place_on_the_disk() {
        let (mut unsaved, now) = (Unsaved::default(), Instant::now());
        for i in 0..Unsaved::MAX + 1 {
            unsaved.set(token(i), nothing(), now);
        }
        unsaved.set(token(0), filter(), now);
        unsaved.end(token(Unsaved::MAX + 1), Timestamp(7), now);
        let parts = unsaved.take();
        assert!(parts.iter().all(|part| part.len() <= Unsaved::TOGETHER));
        let all: Vec<SavedFilter> = parts.into_iter().flatten().collect();
        assert_eq!(all.len(), Unsaved::MAX);
        assert!(unsaved.filters.capacity() < 2_048, "c3: room for {}", unsaved.filters.capacity());
        assert!(all.iter().any(|saved| saved.token == token(0) && saved.filter == Some(filter())));
    }
}
