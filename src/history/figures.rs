//! What the history tells of itself to those who count.

use super::History;
use crate::health::{Count, Timings};
use std::sync::Arc;

/// What became of tries to write.
#[derive(Debug, Default)]
pub struct Commits {
    /// How long a transaction took that went well, its fsync included.
    pub took: Timings,
    /// How many tries failed; each is followed by another.
    pub failures: Count,
}

impl History {
    /// What became of tries to write; none where there is no file.
    pub fn commits(&self) -> Option<Arc<Commits>> {
        self.0.as_ref().map(|handle| handle.writing.commits())
    }

    /// How many records may wait; none where there is no file.
    pub fn backlog_limit(&self) -> Option<usize> {
        self.0.as_ref().map(|handle| handle.writing.queue.max_capacity())
    }
}
