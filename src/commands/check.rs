//! `tkbd check`: what a setup means, or everything that is wrong with it.

use super::arguments::CheckArguments;
use super::text::plain;
use super::{Failure, in_runtime, run};
use crate::core::lineage::InstanceId;
use crate::feeds::master::Found;
use crate::feeds::timetable::board::Pulled;
use crate::feeds::timetable::day::{DAYS, Day};
use crate::run::{ceiling, descriptors, mirror, timetables, tls};
use crate::setup::{EX_CONFIG, Setup};
use chrono::Utc;
use std::io::{Write, stdout};
use std::time::Instant;

/// Prints the summary of the setup; touches neither port nor database.
pub(super) fn check(arguments: &CheckArguments) -> Result<(), Failure> {
    let setup = run::load(&arguments.setup)?;
    writeln!(stdout(), "{}", setup.summary().trim_end())?;
    certificates(&setup)?;
    // Of this machine, and of who asks: a unit file may say otherwise.
    match descriptors::attainable(&setup) {
        Ok(connections) => writeln!(stdout(), "memory     {}", ceiling::told(&setup, connections))?,
        Err(short) => writeln!(stdout(), "files      TOO FEW here: {short}")?,
    }
    if arguments.online { in_runtime(online(&setup)) } else { Ok(()) }
}

/// Says what the certificates say of themselves.
fn certificates(setup: &Setup) -> Result<(), Failure> {
    let mut bad = Vec::new();
    for (name, checked) in tls::check(setup) {
        match checked {
            Ok(summary) if summary.hosts.is_empty() => {
                writeln!(stdout(), "{name:<10} for no host, until {}", summary.until)?;
            }
            Ok(summary) => {
                writeln!(stdout(), "{name:<10} for {}, until {}", summary.hosts.join(", "), summary.until)?;
            }
            Err(why) => bad.push(format!("{name}: {why}")),
        }
    }
    if bad.is_empty() { Ok(()) } else { Err(Failure::Daemon(bad.join("\ntkbd: "), EX_CONFIG)) }
}

/// Asks the master and every timetable once, and says what came of it.
async fn online(setup: &Setup) -> Result<(), Failure> {
    let is_master_there = master(setup).await?;
    let plan = timetables::plan(setup);
    let now = Instant::now();
    let mut board = plan.board(now);
    let (today, rooms) = (Day::at(Utc::now(), setup.timezone), timetables::rooms(setup));
    let all = board.pull(today, &rooms, now).await;
    let reserved = board.schedule(today, &rooms);
    let mut out = stdout().lock();
    for pulled in &all {
        writeln!(out, "asked      {}", outcome(pulled))?;
        for remark in pulled.remarks.iter().filter(|_| pulled.bookings.is_ok()) {
            writeln!(out, "           {}", plain(remark))?;
        }
    }
    let reservations: usize = reserved.values().map(Vec::len).sum();
    writeln!(out, "today      {reservations} reservations in {} rooms", reserved.len())?;
    if is_master_there && all.iter().all(|pulled| pulled.is_good) { Ok(()) } else { Err(Failure::Told) }
}

/// Whether the master can be followed, where there is one.
async fn master(setup: &Setup) -> Result<bool, Failure> {
    let plan = mirror::plan(setup).map_err(|error| Failure::other(error.to_string()))?;
    let Some(plan) = plan else { return Ok(true) };
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|_| Failure::other("no random bits for a name"))?;
    let found = plan.look(&InstanceId::from_random(bits)).await;
    let outcome = match &found {
        Ok(Found { rooms, pcs, reserved }) => {
            format!("{rooms} rooms, {pcs} PCs, reservations in {reserved} rooms")
        }
        Err(why) => format!("FAILED, {}", plain(why)),
    };
    writeln!(stdout(), "asked      master {}: {outcome}", plan.address())?;
    Ok(found.is_ok())
}

fn outcome(pulled: &Pulled) -> String {
    match &pulled.bookings {
        Ok(bookings) if pulled.is_good => format!("{}: {bookings} bookings in {DAYS} days", pulled.label),
        Ok(bookings) => format!("{}: INCOMPLETE, {bookings} bookings in {DAYS} days", pulled.label),
        Err(error) => format!("{}: FAILED, {error}", pulled.label),
    }
}
