//! How long something takes: how often up to each of a few bounds, and in all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Up to how many seconds: from what a fan-out to nobody takes to what nobody waits for.
const BOUNDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// Spans of time that were measured.
#[derive(Debug, Default)]
pub struct Timings {
    /// How many up to each bound and beyond the one before; then those beyond all.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// What was measured so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timed {
    /// Each bound in seconds, the last infinite, with how many are below it and not below the one before.
    pub buckets: Vec<(f64, u64)>,
    /// All of them together, in seconds.
    pub sum: f64,
    /// How many.
    pub count: u64,
}

impl Timings {
    /// One took so long.
    pub fn took(&self, span: Duration) {
        let seconds = span.as_secs_f64();
        let place = BOUNDS.partition_point(|bound| *bound < seconds);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// What was measured so far.
    pub fn so_far(&self) -> Timed {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // Counted from the buckets, so that the two agree while somebody else adds to them.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
        Timed { buckets, sum, count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_counted_below_the_first_bound_that_holds_it() {
        let timings = Timings::default();
        for micros in [0, 100, 101, 5_000_000, 5_000_001] {
            timings.took(Duration::from_micros(micros));
        }
        let Timed { buckets, sum, count } = timings.so_far();
        let counted: Vec<_> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(0.0001, 2), (0.00025, 1), (5.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(count, 5);
        assert!((sum - 10.000_202).abs() < 1e-9, "{sum}");
    }
}
