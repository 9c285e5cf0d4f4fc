//! The second simulation: hub and history as they are, with SQLite below them, driven by seeds through disks that are
//! full, writes and fsyncs that fail, ends in the middle of any write, clocks that are set, a master that comes and
//! goes, and readers that are slow. The first, tests/simulation.rs, knows the core better and none of that.
//!
//! `TKBD_SEEDS=100000` runs more seeds, `TKBD_SEED=17` replays one and tells all that happens in it. A seed that fails
//! is printed with its last steps.
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is a test, helpers included")]

#[path = "faults/campus.rs"]
mod campus;
#[path = "faults/client.rs"]
mod client;
#[path = "faults/disk.rs"]
mod disk;
#[path = "simulation/random.rs"]
mod random;
#[allow(dead_code, reason = "the other simulation uses the rest")]
#[path = "simulation/reader.rs"]
mod reader;
#[path = "faults/run.rs"]
mod run;
#[path = "faults/script.rs"]
mod script;
#[allow(dead_code, reason = "the other simulation uses the rest")]
#[path = "simulation/truth.rs"]
mod truth;
#[path = "faults/vfs.rs"]
mod vfs;

use run::Run;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;
use tkbd::history::Options;

const SEEDS: u64 = 800;
const STEPS: usize = 60;

#[test]
fn whatever_fails_nothing_acknowledged_is_lost_and_no_client_is_told_what_is_not_so() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let _alone = alone();
    if let Some(seed) = number("TKBD_SEED") {
        return replay(seed, true);
    }
    for seed in 0..number("TKBD_SEEDS").unwrap_or(SEEDS) {
        replay(seed, false);
    }
}

/// There is one simulated machine at a time.
fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory for the file that the history finds and locks; what is in it is on the simulated disk.
fn place() -> (TempDir, Options) {
    let place = tempfile::tempdir().unwrap();
    let options = Options::at(&place.path().canonicalize().unwrap().join("history.sqlite3"));
    (place, options)
}

fn replay(seed: u64, aloud: bool) {
    let (_place, options) = place();
    let mut run = Run::new(seed, options, aloud);
    let outcome = catch_unwind(AssertUnwindSafe(|| run.steps(STEPS)));
    if let Err(panic) = outcome {
        let why = panic.downcast_ref::<String>().map(String::as_str);
        let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
        run.told().for_each(|line| eprintln!("{line}"));
        panic!("seed {seed} fails (TKBD_SEED={seed} replays it): {why}");
    }
}
