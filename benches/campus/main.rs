//! The daemon as a whole, measured beside others: `cargo bench --bench campus`.
//!
//! Every section starts the real daemon as a process of its own, on ports and in a directory of its own, and beside
//! it those it is compared with: the *floor*, the least that a server can do (one thread, one epoll, nothing parsed);
//! *hyper*, plain, with a task a connection; and *Nchan* in nginx, where that is installed (Debian: `nginx` and
//! `libnginx-mod-nchan`). What asks them is a third process, of one thread, that checks each answer: every client
//! has to get every update once, and the right one.
//!
//! ```text
//! cargo bench --bench campus                            all but soak, 5 turns each: an hour
//! cargo bench --bench campus -- table push --turns 9    some of them
//! cargo bench --bench campus -- --quick                 small numbers, one turn: does the benchmark itself work?
//! cargo bench --bench campus -- soak --minutes 60       an hour of it, which is no part of "all"
//! cargo bench --bench campus -- --write docs/performance    results.md and the pictures there, too
//! cargo bench --bench campus -- --bin PATH              another build of the daemon
//! cargo bench --bench campus -- --help                  what the sections are
//! ```
//!
//! The contestants take their turns one after the other, and ratios are taken within a turn: on a shared machine the
//! figures of a minute ago are those of another machine. Tables show the median of the turns, with the lowest and the
//! highest in parentheses; a goal is met or missed by the median. Beside each table stands how much of the machine
//! others took meanwhile. Nothing else should run.
//!
//! `slow`, `abandoned`, `hops` and `soak` are about the daemon alone: what it owes to clients that behave beside those
//! that do not, and whether its memory comes back. Their clients come from an address each (127.1.x.y), and whatever
//! they are told is held against what was pushed.
//!
//! A measurement takes as many open files as requests are held, for the server and for the load program each
//! (`ulimit -Hn`), and `start` takes 1 GB of disk below `target/` while it runs.
//!
//! The exit code is 0 when all was measured and every update came once, whether the goals of speed were met or not.

mod cli;
mod contestants;
mod cost;
mod failure;
mod load;
mod process;
mod report;
mod sections;
mod workplace;

use failure::Outcome;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("campus: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked; whether all answers were right.
fn run(arguments: &cli::Arguments) -> Outcome<bool> {
    if let Some(part) = &arguments.part {
        return contestants::play(part).map(|()| true);
    }
    let workplace = workplace::Workplace::new()?;
    let plan = sections::Plan::new(arguments, &workplace)?;
    let mut right = true;
    for section in arguments.sections() {
        eprintln!("{section}: {}", section.about());
        let measured = section.measure(&plan)?;
        if !measured.right {
            eprintln!("{section}: an update was lost, doubled or wrong");
            right = false;
        }
        println!("{}", measured.markdown);
        if let Some(directory) = &arguments.write {
            report::write(directory, section.name(), &measured)?;
        }
    }
    Ok(right)
}
