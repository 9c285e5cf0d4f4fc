//! How the daemon is doing: what is counted, and what is wrong. All rings tell it here; one door reads it.
//!
//! Telling is cheap and asks nobody: counts are relaxed atomics, added to once for many where many are told
//! alike; a condition that holds already is not told again.

mod abort;
mod conditions;
mod counts;
mod feeds;
mod timings;

pub use abort::abort;
pub use conditions::{Condition, Conditions, Holding, Kind, Noted};
pub use counts::{Count, Counts, Pushed, Refusal, Refusals};
pub use feeds::Feeds;
pub use timings::{Timed, Timings};

#[cfg(test)]
pub(crate) use abort::tests::assert_aborts;

/// All that is told of one daemon.
#[derive(Debug, Default)]
pub struct Health {
    /// What is counted.
    pub counts: Counts,
    /// What is wrong.
    pub conditions: Conditions,
    /// How old that is which others told us.
    pub feeds: Feeds,
}
