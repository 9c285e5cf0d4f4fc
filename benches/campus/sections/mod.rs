//! What is measured, a file a section, and what the sections share.

mod abandoned;
mod client;
mod fanout;
mod filters;
mod growth;
mod hops;
mod insight;
mod page;
mod push;
mod slow;
mod soak;
mod start;
mod table;
mod trend;

use crate::cli::Arguments;
use crate::contestants::{Daemon, Nchan, Server};
use crate::cost;
use crate::failure::{Failure, Outcome};
use crate::report::spread::{Spread, number};
use crate::report::{Measured, machine};
use crate::workplace::Workplace;
use clap::ValueEnum;
use nix::unistd::Pid;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A part of the benchmark that can be measured alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// Every one of them.
    All,
    Table,
    Growth,
    Filters,
    Push,
    Page,
    Start,
    Insight,
    Slow,
    Abandoned,
    Hops,
    Soak,
}

impl Section {
    /// In the order in which they are measured and shown.
    pub(crate) const EACH: [Section; 11] = [
        Section::Table,
        Section::Growth,
        Section::Filters,
        Section::Push,
        Section::Page,
        Section::Start,
        Section::Insight,
        Section::Slow,
        Section::Abandoned,
        Section::Hops,
        Section::Soak,
    ];

    /// What it is called on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Section::All => "all",
            Section::Table => "table",
            Section::Growth => "growth",
            Section::Filters => "filters",
            Section::Push => "push",
            Section::Page => "page",
            Section::Start => "start",
            Section::Insight => "insight",
            Section::Slow => "slow",
            Section::Abandoned => "abandoned",
            Section::Hops => "hops",
            Section::Soak => "soak",
        }
    }

    /// What it is, in a line.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Section::All => "all of them but soak; what is measured when none is named",
            Section::Table => "10,000 held requests and an update to all: beside the floor, hyper and Nchan",
            Section::Growth => "from 1,000 to 19,000 held requests: CPU and memory of each, beside the floor",
            Section::Filters => "1 to 1,000 distinct filters, and a push that matches nobody",
            Section::Push => {
                "pushes a second that are on the disk, beside an fsync; without a history, beside Nchan"
            }
            Section::Page => "the first request of a page, with its four messages, beside plain hyper",
            Section::Start => "a start with ten million rows of history, and reading them",
            Section::Insight => {
                "what the pages, plots and tables that look back take with ten million rows of history"
            }
            Section::Slow => "5,000 clients that are slow on purpose, beside 500 good ones",
            Section::Abandoned => {
                "100,000 channels that nobody asks for again: memory with them, and afterwards"
            }
            Section::Hops => "updates through two mirrors, beside a master alone",
            Section::Soak => {
                "an hour (--minutes) of pushes, and of clients that come and go; only when it is named"
            }
        }
    }

    /// Measures it.
    pub(crate) fn measure(self, plan: &Plan<'_>) -> Outcome<Measured> {
        match self {
            Section::All => Err(Failure::new("these are measured one by one")),
            Section::Table => table::measure(plan),
            Section::Growth => growth::measure(plan),
            Section::Filters => filters::measure(plan),
            Section::Push => push::measure(plan),
            Section::Page => page::measure(plan),
            Section::Start => start::measure(plan),
            Section::Insight => insight::measure(plan),
            Section::Slow => slow::measure(plan),
            Section::Abandoned => abandoned::measure(plan),
            Section::Hops => hops::measure(plan),
            Section::Soak => soak::measure(plan),
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How it is to be measured.
pub(crate) struct Plan<'a> {
    binary: PathBuf,
    /// What the daemon calls itself.
    version: String,
    /// Nchan, or why it is not here.
    nchan: Result<Nchan, String>,
    quick: bool,
    turns: usize,
    /// How long what takes a given time is to take.
    minutes: Option<f64>,
    workplace: &'a Workplace,
}

impl<'a> Plan<'a> {
    /// As the command line says.
    pub(crate) fn new(arguments: &Arguments, workplace: &'a Workplace) -> Outcome<Plan<'a>> {
        let binary = arguments.bin.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_tkbd")));
        let binary =
            binary.canonicalize().map_err(|error| Failure::new(format!("{}: {error}", binary.display())))?;
        let nchan = Nchan::find(arguments.nginx.as_deref(), arguments.nchan.as_deref())
            .map_err(|failure| failure.to_string());
        Ok(Plan {
            version: Daemon::version(&binary)?,
            binary,
            nchan,
            quick: arguments.quick,
            turns: arguments.turns(),
            minutes: arguments.minutes,
            workplace,
        })
    }

    /// The daemon, to be started.
    fn daemon(&self) -> Daemon {
        Daemon::new(&self.binary)
    }

    /// This, or that where a smoke check is all that is wanted.
    fn or_quick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Begins the page of a section.
    fn heading(&self, section: Section, title: &str) -> String {
        self.heading_of(section, title, &format!("--turns {}", self.turns))
    }

    /// The same for a section with other options.
    fn heading_of(&self, section: Section, title: &str, options: &str) -> String {
        let date = chrono::Utc::now().format("%Y-%m-%d");
        let quick = if self.quick { " --quick" } else { "" };
        let smoke = if self.quick { "\n\n**A smoke check: these figures say nothing.**" } else { "" };
        format!(
            "## {title}\n\n{date}, `cargo bench --bench campus -- {section} {options}{quick}`: {} on {}.{smoke}\n",
            self.version,
            machine::described(self.workplace.path())
        )
    }

    /// Tells on standard error how far it is: a measurement takes minutes.
    fn progress(&self, turn: usize, what: impl fmt::Display) {
        eprintln!("  turn {} of {}: {what}", turn + 1, self.turns);
    }
}

/// How much of the machine processes had that are no part of the measurement.
fn about_others(shares: &[f64]) -> String {
    let spread: Spread = shares.iter().map(|share| share * 100.0).collect();
    let Some((median, (_, most))) = spread.median().zip(spread.ends()) else { return String::new() };
    let advice = if median > 5.0 { " **That is too much: measure again, on a quiet machine.**" } else { "" };
    format!(
        "Other processes took {} % of the machine meanwhile (the median; at most {} %).{advice}\n",
        number(median, 1),
        number(most, 1)
    )
}

/// Waits until a server has done all that it was asked, and what it does afterwards.
fn rest(pids: &[Pid]) -> Outcome<()> {
    const LOOKS: usize = 15_000;
    let mut calm = 0;
    for _ in 0..LOOKS {
        calm = if cost::are_asleep(pids) { calm + 1 } else { 0 };
        if calm == 5 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(Failure::new("the server does not come to rest"))
}

/// The value at `part` (of 1,000) of what the load program has found.
fn at(thousandths: &[f64], part: usize) -> f64 {
    thousandths.get(part).copied().unwrap_or(f64::NAN)
}

/// The processes of a server, for the load program.
fn raw(server: &Server) -> Vec<i32> {
    server.pids.iter().map(|pid| pid.as_raw()).collect()
}
