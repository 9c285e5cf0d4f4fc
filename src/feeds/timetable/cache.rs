//! What a provider keeps between its pulls.

use super::Error;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How many bytes a provider keeps of the events of all rooms: fifty thousand of them with their texts.
pub(super) const MOST: usize = 32 << 20;

/// Values with the time since when they are known. Pulls of one provider never overlap, but the requests of one
/// pull do, hence the cell that is shared.
#[derive(Debug)]
pub(super) struct Cache<K, V>(watch::Sender<HashMap<K, Known<V>>>);

/// Since when, how many bytes it takes, and what.
type Known<V> = (Instant, usize, Arc<V>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Cache(watch::Sender::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// What is known of `key`, if it is not older than `age`.
    pub(super) fn fresh(&self, key: &K, now: Instant, age: Duration) -> Option<Arc<V>> {
        let known = self.0.borrow();
        let (since, _, value) = known.get(key)?;
        (now.saturating_duration_since(*since) < age).then(|| value.clone())
    }

    /// What is known of `key`, however old.
    pub(super) fn last(&self, key: &K) -> Option<Arc<V>> {
        self.0.borrow().get(key).map(|(_, _, value)| value.clone())
    }

    /// From now on, this is known of `key`.
    pub(super) fn put(&self, key: K, now: Instant, value: V) -> Arc<V> {
        let value = Arc::new(value);
        self.0.send_modify(|known| drop(known.insert(key, (now, 0, value.clone()))));
        value
    }

    /// The same of what takes `bytes`.
    ///
    /// # Errors
    /// When all that is known would take too many; then this is not known.
    pub(super) fn put_large(&self, key: K, now: Instant, value: V, bytes: usize) -> Result<Arc<V>, Error> {
        let value = Arc::new(value);
        let mut fits = false;
        self.0.send_modify(|known| {
            let others = known.iter().filter(|(other, _)| **other != key).map(|(_, (_, bytes, _))| *bytes);
            fits = others.sum::<usize>().saturating_add(bytes) <= MOST;
            if fits {
                known.insert(key, (now, bytes, value.clone()));
            }
        });
        if fits { Ok(value) } else { Err(Error::TooMuch) }
    }

    /// What is known of `key` is still so.
    pub(super) fn touch(&self, key: &K, now: Instant) {
        self.0.send_modify(|known| {
            if let Some((since, _, _)) = known.get_mut(key) {
                *since = now;
            }
        });
    }

    /// Forgets all but what `keep` names: rooms come and go.
    pub(super) fn retain(&self, keep: impl Fn(&K) -> bool) {
        self.0.send_modify(|known| known.retain(|key, _| keep(key)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t2_no_more_is_kept_than_fits() {
        let (cache, now) = (Cache::default(), Instant::now());
        let half = MOST / 2;
        for (key, bytes, fits) in
            [("a", half, true), ("b", half, true), ("c", 1, false), ("b", half - 1, true)]
        {
            assert_eq!(cache.put_large(key, now, bytes, bytes).is_ok(), fits, "{key} {bytes}");
        }
        assert!(cache.put_large("c", now, 1, 1).is_ok());
        // What is too large takes nothing away of what was known.
        assert!(cache.put_large("a", now, 0, half + 1).is_err());
        assert_eq!(cache.last(&"a").as_deref(), Some(&half));
        cache.retain(|key| *key == "a");
        assert!(cache.put_large("d", now, half, half).is_ok());
    }
}
