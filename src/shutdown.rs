//! One token, one task tracker, one grace period.

use crate::doors::Porch;
use crate::hub::Hub;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long connections have to end by themselves (reliability.md O2: all within 5 s, the history's last
/// commit included).
const GRACE: Duration = Duration::from_secs(3);

/// A porch whose doors close when `shutdown` is cancelled.
pub(crate) fn porch(shutdown: CancellationToken, hub: &Hub) -> Porch {
    Porch {
        shutdown,
        tasks: TaskTracker::new(),
        accepting: TaskTracker::new(),
        health: hub.health().clone(),
        slice: Arc::default(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::house::{House, Terms};
    use crate::core::origins::Share;
    use crate::core::poll::{Poll, Reply};
    use crate::core::room::Rules;
    use crate::core::state::{Growth, Plan, Remains};
    use crate::core::token::Token;
    use crate::history::History;
    use crate::hub::Recipient;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    /// Notes what had been when its request was answered.
    struct Held(Arc<[AtomicU8; 2]>);

    impl Recipient for Held {
        fn deliver(self: Box<Self>, _: Reply) {
            self.0[1].store(self.0[0].load(Ordering::SeqCst) + 1, Ordering::SeqCst);
        }
    }

    fn hub() -> Hub {
        let plan = Plan {
            rooms: Vec::new(),
            rules: Rules::default(),
            growth: Growth { pcs: 1, rooms: 1, sources: 1 },
        };
        let terms = Terms {
            hold: Duration::from_secs(20),
            channel_expiry: Duration::from_secs(300),
            max_channels: 1,
            share: Share { channels: 1, per_second: 1 },
            max_remembered: 1,
            refresh: Duration::from_secs(600),
        };
        Hub::new(House::new(plan, Remains::default(), None, terms), History::none())
    }

    #[tokio::test]
    async fn o2_what_is_held_is_answered_when_every_connection_knows_that_it_ends() {
        let hub = hub();
        let porch = porch(CancellationToken::new(), &hub);
        let seen = Arc::new([AtomicU8::new(0), AtomicU8::new(0)]);
        let poll = || Poll { token: Token::parse("t").unwrap(), near: None, asks: Vec::new(), origin: None };
        for _ in 0..2 {
            // The first is answered with its welcome.
            let polled = hub.poll(poll(), Box::new(Held(seen.clone())), Instant::now());
            assert!(polled.is_ok());
        }
        porch.accepting.spawn({
            let (shutdown, seen) = (porch.shutdown.clone(), seen.clone());
            async move {
                shutdown.cancelled().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                seen[0].store(9, Ordering::SeqCst);
            }
        });
        porch.shutdown.cancel();
        finish(&porch, &hub).await;
        assert_eq!(seen[1].load(Ordering::SeqCst), 10);
    }
}
