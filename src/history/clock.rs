//! The wall clock, as the history and the hub read it: the system's, or one that is set from outside, so that steps
//! of it can be tried (reliability.md K1). What is measured with it may jump both ways; durations never are.

use crate::core::source::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

/// Where the time of day comes from; cheap to clone.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// Seconds since 1970, as somebody else sets them.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// Now, in whole seconds. A system's clock that stands before 1970 reads as 1970.
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
            }
            Clock::Set(seconds) => Timestamp(seconds.load(Ordering::Relaxed)),
        }
    }
}
