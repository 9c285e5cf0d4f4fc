//! What a provider keeps between its pulls.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Values with the time since when they are known. Pulls of one provider never overlap, but the requests of one
/// pull do, hence the cell that is shared.
#[derive(Debug)]
pub(super) struct Cache<K, V>(watch::Sender<HashMap<K, (Instant, Arc<V>)>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Cache(watch::Sender::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// What is known of `key`, if it is not older than `age`.
    pub(super) fn fresh(&self, key: &K, now: Instant, age: Duration) -> Option<Arc<V>> {
        let known = self.0.borrow();
        let (since, value) = known.get(key)?;
        (now.saturating_duration_since(*since) < age).then(|| value.clone())
    }

    /// What is known of `key`, however old.
    pub(super) fn last(&self, key: &K) -> Option<Arc<V>> {
        self.0.borrow().get(key).map(|(_, value)| value.clone())
    }

    /// From now on, this is known of `key`.
    pub(super) fn put(&self, key: K, now: Instant, value: V) -> Arc<V> {
        let value = Arc::new(value);
        self.0.send_modify(|known| drop(known.insert(key, (now, value.clone()))));
        value
    }

    /// What is known of `key` is still so.
    pub(super) fn touch(&self, key: &K, now: Instant) {
        self.0.send_modify(|known| {
            if let Some((since, _)) = known.get_mut(key) {
                *since = now;
            }
        });
    }

    /// Forgets all but what `keep` names: rooms come and go.
    pub(super) fn retain(&self, keep: impl Fn(&K) -> bool) {
        self.0.send_modify(|known| known.retain(|key, _| keep(key)));
    }
}
