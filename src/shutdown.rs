//! One token, one task tracker, one grace period.

use crate::doors::Porch;
use crate::hub::Hub;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long connections have to end by themselves (faults.md O2: all within 5 s, the history's last
/// commit included).
const GRACE: Duration = Duration::from_secs(3);

/// A porch whose doors close when `shutdown` is cancelled.
pub(crate) fn porch(shutdown: CancellationToken, hub: &Hub) -> Porch {
    Porch { shutdown, tasks: TaskTracker::new(), accepting: TaskTracker::new(), health: hub.health().clone() }
}

/// Ends what is under way: every held request is answered, what was accepted is finished, and what is
/// not done by the end of the grace period is left.
pub(crate) async fn finish(porch: &Porch, hub: &Hub) {
    // First every connection learns that it is to end: what is held on it is answered as the last.
    porch.accepting.close();
    porch.accepting.wait().await;
    let held = hub.drain(Instant::now());
    tracing::info!(held = held.len(), connections = porch.tasks.len(), "stopping");
    held.send().await;
    porch.tasks.close();
    if tokio::time::timeout(GRACE, porch.tasks.wait()).await.is_err() {
        tracing::warn!(connections = porch.tasks.len(), "some connections did not end in time");
    }
}
