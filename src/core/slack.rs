//! Memory of tables that were full once and are nearly empty now.
//!
//! A crowd that has left must not be paid for until the daemon ends (reliability.md C3). So a table that holds less than an
//! eighth of what it has room for gives the rest back, and keeps room for twice what it holds: between growing and
//! shrinking at least as much has to come or leave as is moved then. Small tables are left alone.

use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};

/// As many entries a table may keep room for, whatever it holds.
pub(super) const SPARED: usize = 1024;

/// For how many entries a table is to keep room that holds `used` and has room for `room`; none: it may stay as it is.
pub(super) fn fit(used: usize, room: usize) -> Option<usize> {
    (room > 2 * SPARED && used < room / 8).then(|| (2 * used).max(SPARED))
}

/// A table that can be too large for what it holds.
pub trait Slack {
    /// Gives back the memory that it had for more than it holds, if that is most of it. To move what stays takes 50 ns
    /// an entry, at the most.
    fn give_back_slack(&mut self);
}

impl<T> Slack for Vec<T> {
    fn give_back_slack(&mut self) {
        if let Some(room) = fit(self.len(), self.capacity()) {
            self.shrink_to(room);
        }
    }
}

impl<T> Slack for VecDeque<T> {
    fn give_back_slack(&mut self) {
        if let Some(room) = fit(self.len(), self.capacity()) {
            self.shrink_to(room);
        }
    }
}

impl<T: Ord> Slack for BinaryHeap<T> {
    fn give_back_slack(&mut self) {
        if let Some(room) = fit(self.len(), self.capacity()) {
            self.shrink_to(room);
        }
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> Slack for HashMap<K, V, S> {
    fn give_back_slack(&mut self) {
        if let Some(room) = fit(self.len(), self.capacity()) {
            self.shrink_to(room);
        }
    }
}

impl<T: Eq + Hash, S: BuildHasher> Slack for HashSet<T, S> {
    fn give_back_slack(&mut self) {
        if let Some(room) = fit(self.len(), self.capacity()) {
            self.shrink_to(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c3_a_table_that_is_nearly_empty_keeps_room_for_twice_what_it_holds() {
        let mut table: Vec<usize> = (0..100_000).collect();
        let full = table.capacity();
        table.truncate(full / 8 + 1);
        table.give_back_slack();
        assert_eq!(table.capacity(), full, "an eighth of it is in use");
        table.truncate(5_000);
        table.give_back_slack();
        assert!((10_000..20_000).contains(&table.capacity()), "{}", table.capacity());
        assert_eq!(table.len(), 5_000);
    }

    #[test]
    fn c3_what_comes_and_goes_again_and_again_is_seldom_moved() {
        let mut table = HashMap::new();
        let (mut moved, mut before) = (0, 0);
        for round in 0..100 {
            table.extend((0..4_000).map(|i| (i, round)));
            table.retain(|i, _| *i < 1_500);
            table.give_back_slack();
            moved += usize::from(before != table.capacity());
            before = table.capacity();
        }
        assert_eq!(moved, 1);
        table.clear();
        table.give_back_slack();
        assert!(table.capacity() <= 2 * SPARED);
    }
}
