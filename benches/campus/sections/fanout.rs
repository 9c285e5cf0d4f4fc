//! One run of one server: requests are opened and held, and updates are published to them.

use super::{Plan, at, raw};
use crate::contestants::Server;
use crate::cost::{self, Meter};
use crate::failure::Outcome;
use crate::load::{Filters, Load, Opening};
use crate::report::spread::Spread;

/// What one run has found.
pub(super) struct Run {
    /// How many requests were held.
    pub(super) held: usize,
    /// Seconds until all were.
    pub(super) opened: f64,
    /// KiB of memory for each, after some updates.
    pub(super) memory: f64,
    /// From publish to client, in milliseconds, in thousandths.
    pub(super) latency: Vec<f64>,
    /// Deliveries a second.
    pub(super) rate: f64,
    /// CPU seconds in the program, for 100,000 deliveries.
    pub(super) user: f64,
    /// The same in the kernel.
    pub(super) system: f64,
    /// What was not as it should be, and what of it came first.
    pub(super) faults: Faults,
    /// The share of the machine that others had.
    pub(super) others: f64,
}

/// Answers that were not what they should be.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    /// Updates that never came.
    pub(super) lost: u64,
    /// Updates that came again.
    pub(super) doubled: u64,
    /// All else.
    pub(super) errors: u64,
    first: Option<String>,
}

impl Faults {
    /// Those of several runs together.
    pub(super) fn of<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Faults {
        runs.into_iter().fold(Faults::default(), |sum, Run { faults, .. }| Faults {
            lost: sum.lost + faults.lost,
            doubled: sum.doubled + faults.doubled,
            errors: sum.errors + faults.errors,
            first: sum.first.or_else(|| faults.first.clone()),
        })
    }

    /// How many.
    pub(super) fn count(&self) -> u64 {
        self.lost + self.doubled + self.errors
    }

    /// As `lost / doubled / errors`.
    pub(super) fn show(&self) -> String {
        format!("{} / {} / {}", self.lost, self.doubled, self.errors)
    }

    /// A line on them, if there are any.
    pub(super) fn line(&self, of: &str) -> String {
        if self.count() == 0 {
            return String::new();
        }
        let first =
            self.first.as_ref().map_or_else(String::new, |first| format!("; the first error: {first}"));
        format!("**{of}**: {} lost / doubled / errors{first}.\n", self.show())
    }
}

impl Run {
    /// CPU seconds for 100,000 deliveries.
    pub(super) fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

/// Some figure of each of these runs.
pub(super) fn spread<'a>(runs: impl IntoIterator<Item = &'a Run>, of: impl Fn(&Run) -> f64) -> Spread {
    runs.into_iter().map(of).collect()
}

/// Runs a server that was just started, and ends it.
pub(super) fn run(plan: &Plan<'_>, server: Server, held: usize, filters: Filters) -> Outcome<Run> {
    // So many deliveries that their CPU is counted in seconds; and that one round that went otherwise is one of ten.
    let rounds = (plan.or_quick(200_000, 10_000) / held).max(10);
    let before = cost::pss(&server.pids)?;
    let mut load = Load::start()?;
    let opened = load.open(Opening {
        at: server.subscribe,
        publish: server.publish,
        dialect: server.dialect,
        server: raw(&server),
        held,
        filters,
    })?;
    let warm = load.fan_out(3)?;
    let meter = Meter::start(&server.pids, &[load.pid()])?;
    let fanned = load.fan_out(rounds)?;
    let spent = meter.read()?;
    let memory = (cost::pss(&server.pids)? - before) / held as f64;
    drop(load);
    server.end()?;

    let per_100k = 1e5 / fanned.deliveries as f64;
    Ok(Run {
        held,
        opened: opened.seconds,
        memory,
        rate: fanned.deliveries as f64 / fanned.seconds,
        user: spent.server.user * per_100k,
        system: spent.server.system * per_100k,
        faults: Faults {
            lost: warm.lost + fanned.lost,
            doubled: warm.doubled + fanned.doubled,
            errors: warm.errors + fanned.errors,
            first: warm.first_error.or(fanned.first_error),
        },
        others: spent.others,
        latency: fanned.latency,
    })
}

impl Run {
    /// The time within which such a part (of 1,000) of the deliveries came, in milliseconds.
    pub(super) fn within(&self, part: usize) -> f64 {
        at(&self.latency, part)
    }
}
