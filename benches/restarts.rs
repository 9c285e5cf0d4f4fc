//! Restarts that nobody notices, in full: `cargo bench --bench restarts -- --restarts 100 --clients 1000`.
//!
//! The pages, the pusher and what they are held against are those of tests/invisible.rs. What is told are counts, and
//! the longest that anybody waited; it fails where anybody has noticed anything.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/invisible/ledger.rs"]
mod ledger;
#[path = "../tests/invisible/pages.rs"]
mod pages;
#[path = "../tests/invisible/service.rs"]
mod service;
#[path = "../tests/invisible/trial.rs"]
mod trial;

use clap::{Parser, ValueEnum};
use service::Mode;
use std::path::Path;
use std::time::Duration;
use trial::Plan;

#[derive(Parser)]
struct Arguments {
    /// How often the daemon is replaced
    #[arg(long, default_value_t = 100)]
    restarts: usize,
    /// How many pages look on
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// Acknowledged pushes between two restarts, on average
    #[arg(long, default_value_t = 10)]
    pushes: usize,
    /// Milliseconds between two pushes
    #[arg(long, default_value_t = 20)]
    pause: u64,
    /// One way alone
    #[arg(long)]
    mode: Option<Way>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Way {
    HandOver,
    Signal,
    Kill,
}

fn main() {
    let arguments = Arguments::parse();
    // Every page has a socket.
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let ways = arguments.mode.map_or(vec![Way::HandOver, Way::Signal, Way::Kill], |way| vec![way]);
    for way in ways {
        let (mode, name) = match way {
            Way::HandOver => (Mode::HandOver, "handed over, daemon to daemon (--take-over)"),
            Way::Signal => (Mode::Signal, "sockets kept by another process, SIGTERM"),
            Way::Kill => (Mode::Kill, "sockets kept by another process, SIGKILL"),
        };
        let plan = Plan {
            mode,
            restarts: arguments.restarts,
            pages: arguments.clients,
            pushes: arguments.pushes,
            pause: Duration::from_millis(arguments.pause),
        };
        let found = trial::run(&plan, Path::new(env!("CARGO_BIN_EXE_tkbd")));
        let tally = found.tally;
        println!("{name}: {} restarts, {} pages, {:.0?}", plan.restarts, plan.pages, found.took);
        println!("  pages frozen            {:?}", found.frozen);
        println!("  pages that show another state at the end  {}", found.wrong);
        println!("  answers                 {}", tally.answers);
        println!("    last on a connection  {}", tally.last_answers);
        println!("    with an update        {}", tally.updates);
        println!("    with a snapshot       {}", tally.snapshots);
        println!("  requests sent again     {}", tally.repeated);
        println!(
            "  longest without a daemon, from the end of a connection to the next answer  {:?}",
            tally.longest_gap
        );
        if mode != Mode::Kill {
            println!(
                "  longest from a push to a page that shows it or a later one  {:?}",
                tally.longest_update
            );
        }
        println!("  pushes acknowledged     {}", found.pushes);
        println!("    sent again            {}", found.repeated_pushes);
        println!("    lost                  {:?}", found.lost_pushes);
        println!("  history                 {}", found.history.as_deref().unwrap_or("as pushed, row by row"));
        found.assert_unnoticed();
    }
}
