//! The simulation of the core: random campuses, pushes, polls, departures, lost replies, ticks and
//! restarts over thousands of seeds, held step by step against a naive model of the truth and of what
//! every channel is owed. Time is made up, nothing is slept.
//!
//! `TKBD_SEEDS=100000` runs more seeds, `TKBD_SEED=17` replays one and prints what happens in it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test, helpers included")]

#[path = "simulation/campus.rs"]
mod campus;
#[path = "simulation/random.rs"]
mod random;
#[path = "simulation/reader.rs"]
mod reader;
#[path = "simulation/run.rs"]
mod run;
#[path = "simulation/truth.rs"]
mod truth;

use run::Run;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

const SEEDS: u64 = 1_000;
const STEPS: usize = 200;

#[test]
fn every_reader_that_is_still_there_ends_equal_to_the_truth() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("TKBD_SEED") {
        return replay(seed, true);
    }
    let seeds = number("TKBD_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < seeds
                {
                    replay(seed, false);
                }
            });
        }
    });
}

fn replay(seed: u64, trace: bool) {
    let outcome = catch_unwind(AssertUnwindSafe(|| Run::new(seed, trace).steps(STEPS)));
    if let Err(panic) = outcome {
        let why = panic.downcast_ref::<String>().map(String::as_str);
        let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
        panic!("seed {seed} fails (TKBD_SEED={seed} replays it): {why}");
    }
}
