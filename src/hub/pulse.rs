//! Whether the state still lives, for a watchdog.

use super::Hub;

impl Hub {
    /// Comes back when the clock has run once more, which takes the lock. It never does while the state hangs, or
    /// when the clock has ended: who is to be told that all is well is then told nothing (reliability.md O5).
    pub async fn pulse(&self) {
        let mut passes = self.passes.subscribe();
        self.earlier.notify_one();
        // The sender is ours, and lives as long as this borrow.
        let _ = passes.changed().await;
    }
}
