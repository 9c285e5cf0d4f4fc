//! The state as a whole, for those who ask once.

use super::Hub;
use crate::core::message::{HistoricRange, HistoricUpdate};
use crate::core::page::{Page, PageQuery};
use crate::core::snapshot::Snapshot;
use crate::history::ReadError;
use std::sync::Arc;

impl Hub {
    /// The state now. It is made once a version, however many ask, and shared; what is read of it is read under no lock.
    /// Of 10,000 PCs in 1,000 rooms the lock is had for 10 µs; for 0.5 ms where rooms or PCs are others than before.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        let mut inner = self.lock();
        let versions = inner.house.versions();
        if let Some(made) = inner.snapshot.as_ref().filter(|made| made.versions == versions) {
            return made.clone();
        }
        let made = Arc::new(inner.house.whole(inner.snapshot.as_deref()));
        let before = inner.snapshot.replace(made.clone());
        drop(inner);
        // It may be the last to have it, and frees it where nobody waits.
        drop(before);
        made
    }

    /// A part of the history, and which: it begins with the oldest row that is left. It is no part of the state: no lock is
    /// taken.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub async fn updates(
        &self,
        range: HistoricRange,
    ) -> Result<(HistoricRange, Vec<HistoricUpdate>), ReadError> {
        self.history.rows(range).await
    }

    /// A page of the history. It is no part of the state: no lock is taken.
    ///
    /// # Errors
    /// When it cannot be read now.
    pub async fn page(&self, query: PageQuery) -> Result<Page, ReadError> {
        self.history.page(query).await
    }
}
