//! What the hub tells those who count, and those who ask whether all is well.

use super::{Deliveries, Hub};
use crate::core::lineage::Link;
use crate::core::poll::Census;
use crate::core::state::Tally;
use crate::core::version::Versions;
use crate::health::{Condition, Conditions, Health, Timed};
use crate::history::Trouble;
use std::sync::{Arc, TryLockError};
use std::time::{Duration, Instant};

/// What the history tells of itself.
#[derive(Debug)]
pub struct HistoryFigures {
    /// How many records are not on the disk yet.
    pub backlog: usize,
    /// How many there may be; none: nothing is kept.
    pub limit: Option<usize>,
    /// How long transactions took that went well.
    pub commits: Timed,
    /// How many tries to write failed.
    pub failures: u64,
}

/// Deliveries that are counted once they are sent, and from when they are timed.
pub(super) type Counted = Option<(Arc<Health>, Instant)>;

impl Deliveries {
    /// Has them counted, and timed from `since`, when the change came in.
    pub(super) fn counted(self, health: &Arc<Health>, since: Instant) -> Deliveries {
        Deliveries { counted: Some((health.clone(), since)), ..self }
    }
}

pub(super) fn count_sent(counted: &Counted, sent: usize) {
    if let Some((health, since)) = counted.as_ref().filter(|_| sent > 0) {
        health.counts.deliveries.add(sent);
        health.counts.delivery.took(since.elapsed());
    }
}

impl Hub {
    /// What is counted and what is wrong: told by all, under no lock.
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// How many of what there are.
    pub fn census(&self) -> Census {
        self.lock().house.census()
    }

    /// The versions now.
    pub fn versions(&self) -> Versions {
        self.lock().house.versions()
    }

    /// The versions, and the PCs of each room by their state: both of one moment.
    pub fn figures(&self) -> (Versions, Vec<Tally>) {
        let inner = self.lock();
        (inner.house.versions(), inner.house.tally())
    }

    /// What the history tells of itself.
    pub fn history_figures(&self) -> HistoryFigures {
        let commits = self.history.commits();
        HistoryFigures {
            backlog: self.history.status().backlog,
            limit: self.history.backlog_limit(),
            failures: commits.as_ref().map_or(0, |commits| commits.failures.so_far()),
            commits: commits.map(|commits| commits.took.so_far()).unwrap_or_default(),
        }
    }

    /// Whether the state can be had: its lock is free within `patience`. No thread waits for it meanwhile.
    pub async fn is_live(&self, patience: Duration) -> bool {
        const PAUSE: Duration = Duration::from_millis(5);
        let begun = Instant::now();
        loop {
            match self.inner.try_lock() {
                Ok(_) => return true,
                // It stops the process, as for everybody who needs the state.
                Err(TryLockError::Poisoned(_)) => drop(self.lock()),
                Err(TryLockError::WouldBlock) if begun.elapsed() > patience => return false,
                Err(TryLockError::WouldBlock) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Looks at what nobody tells by itself, and notes what is wrong of it.
    pub fn look(&self) {
        let conditions = &self.health.conditions;
        let history = self.history.status();
        conditions.set(&Condition::HISTORY_UNWRITABLE, !history.healthy());
        note(conditions, &history.troubles);
        let is_long = self.history.backlog_limit().is_some_and(|limit| history.backlog * 2 > limit);
        conditions.set(&Condition::HISTORY_BACKLOG, is_long);
        let link = self.link();
        conditions.set(&Condition::MIRROR_AWAY, matches!(link, Link::Away { is_stale: false, .. }));
        conditions.set(&Condition::MIRROR_STALE, matches!(link, Link::Away { is_stale: true, .. }));
        conditions.set(&Condition::MIRROR_STOPPED, link == Link::Stopped);
    }

    /// Looks every second, for ever: so that it is known since when something is wrong.
    pub async fn run_look(&self) {
        const EVERY: Duration = Duration::from_secs(1);
        loop {
            self.look();
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// Notes what is wrong with the history.
fn note(conditions: &Conditions, troubles: &[Trouble]) {
    let any = |is: fn(&Trouble) -> bool| troubles.iter().any(is);
    conditions.set(&Condition::HISTORY_DAMAGED, any(|it| matches!(it, Trouble::Damaged { .. })));
    conditions.set(&Condition::HISTORY_EXCHANGED, any(|it| matches!(it, Trouble::Exchanged)));
    conditions.set(&Condition::HISTORY_PUT_ASIDE, any(|it| matches!(it, Trouble::PutAside { .. })));
    conditions.set(&Condition::HISTORY_LOG_LARGE, any(|it| matches!(it, Trouble::LogLarge { .. })));
    conditions.set(&Condition::HISTORY_UNCOUNTED, any(|it| matches!(it, Trouble::Uncounted { .. })));
    conditions.set(&Condition::HISTORY_ENDED, any(|it| matches!(it, Trouble::Ended)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d4_d9_each_trouble_of_the_history_is_a_condition_as_long_as_it_lasts() {
        let conditions = Conditions::default();
        let troubles = [
            Trouble::Damaged { reason: String::new() },
            Trouble::Exchanged,
            Trouble::PutAside { file: "a".into() },
            Trouble::LogLarge { bytes: 1 },
            Trouble::Uncounted { reason: String::new() },
            Trouble::Ended,
        ];
        for trouble in troubles {
            note(&conditions, std::slice::from_ref(&trouble));
            let names: Vec<_> = conditions.all().into_iter().map(|held| held.condition.name).collect();
            assert_eq!(names, [format!("history_{}", trouble.name())]);
        }
        note(&conditions, &[]);
        assert!(conditions.all().is_empty());
    }
}
