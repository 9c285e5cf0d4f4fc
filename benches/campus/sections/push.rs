//! Pushes a second that are acknowledged as durable, beside what an fsync takes; and without a history, beside what
//! Nchan publishes.

use super::{Plan, Section, about_others, at, rest};
use crate::contestants::Server;
use crate::cost::Meter;
use crate::failure::{Outcome, While};
use crate::load::dialect::Dialect;
use crate::load::{Exchange, Load, Requests, Until};
use crate::report::Measured;
use crate::report::goal::{self, Bound, Goal};
use crate::report::spread::{Spread, number};
use crate::report::table::Table;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// On how many connections pushes come at once.
const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// On how many the daemon without a history and Nchan are compared.
const COMPARED: usize = 16;

/// Measures it.
pub(super) fn measure(plan: &Plan<'_>) -> Outcome<Measured> {
    let mut durable = CONNECTIONS.map(|_| Vec::new());
    let (mut bare, mut nchan, mut fsync) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..plan.turns {
        plan.progress(turn, "durable pushes");
        let directory = plan.workplace.directory("push")?;
        let before = time_of_fsync(plan, &directory)?;
        let server = plan.daemon().start(&directory)?;
        for (runs, connections) in durable.iter_mut().zip(CONNECTIONS) {
            runs.push(run(plan, &server, connections).when(format_args!("{connections} connections"))?);
        }
        server.end()?;
        // Before and after: the disk is shared, and its minutes differ.
        fsync.push((before + time_of_fsync(plan, &directory)?) / 2.0);
        plan.progress(turn, "without a history");
        let server = plan.daemon().without_history().start(&plan.workplace.directory("push")?)?;
        bare.push(run(plan, &server, COMPARED).when("without a history")?);
        server.end()?;
        if let Ok(found) = &plan.nchan {
            let server = found.start(&plan.workplace.directory("nchan")?)?;
            nchan.push(run(plan, &server, COMPARED).when("Nchan")?);
            server.end()?;
        }
    }
    let fsync: Spread = fsync.into_iter().collect();
    let mut text = plan.heading(Section::Push, "Pushes");
    text.push_str(&format!(
        "\nEach push changes one PC, and the next on its connection follows the answer. To append 4 KiB to a file and \
         `fdatasync` it takes {} µs on this disk.\n",
        fsync.scaled(1e6).show(0)
    ));
    if let Err(why) = &plan.nchan {
        text.push_str(&format!("**Nchan was not measured**: {why}.\n"));
    }
    text.push_str(&format!("\n{}\n", figures(&durable, &bare, &nchan)));
    let others = durable.iter().flatten().chain(&bare).chain(&nchan).map(|run| run.others);
    text.push_str(&about_others(&others.collect::<Vec<_>>()));
    text.push_str(&format!("\n{}", goal::table(&goals(&durable, &fsync, &bare, &nchan))));
    // A push that is not answered as it should be ends the measurement.
    Ok(Measured { markdown: text, pictures: Vec::new(), right: true })
}

struct Run {
    rate: f64,
    latency: Vec<f64>,
    /// CPU seconds for 100,000 pushes.
    cpu: f64,
    others: f64,
}

fn run(plan: &Plan<'_>, server: &Server, connections: usize) -> Outcome<Run> {
    let requests = match server.dialect {
        Dialect::Joyce => Requests::Push { room: 0 },
        Dialect::Nchan | Dialect::Plain => Requests::Publish,
    };
    let mut load = Load::start()?;
    let pid = load.pid();
    let mut push = |seconds| {
        let (at, requests, until) = (server.publish, requests.clone(), Until::Seconds(seconds));
        load.exchange(Exchange { at, connections, fresh: false, requests, until })
    };
    push(plan.or_quick(0.5, 0.1))?;
    rest(&server.pids)?;
    let meter = Meter::start(&server.pids, &[pid])?;
    let exchanged = push(plan.or_quick(5.0, 0.5))?;
    let spent = meter.read()?;
    Ok(Run {
        rate: exchanged.answers as f64 / exchanged.seconds,
        latency: exchanged.latency,
        cpu: spent.server.sum() * 1e5 / exchanged.answers as f64,
        others: spent.others,
    })
}

/// The median time of appending a page to a file and having it on the disk, in seconds.
fn time_of_fsync(plan: &Plan<'_>, directory: &Path) -> Outcome<f64> {
    let mut file = File::create(directory.join("fsync"))?;
    let mut times = Vec::new();
    for _ in 0..plan.or_quick(500, 50) {
        let begun = Instant::now();
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64());
    }
    Ok(times.into_iter().collect::<Spread>().median().unwrap_or(f64::NAN))
}

fn figures(durable: &[Vec<Run>], bare: &[Run], nchan: &[Run]) -> Table {
    let mut table = Table::new(&["", "connections", "pushes/s", "p50 ms", "p99 ms", "CPU s / 100,000"]);
    let mut row = |name: &str, connections: usize, runs: &[Run]| {
        let spread = |of: &dyn Fn(&Run) -> f64| runs.iter().map(of).collect::<Spread>();
        table.row([
            name.to_owned(),
            number(connections as f64, 0),
            spread(&|run| run.rate).show(0),
            spread(&|run| at(&run.latency, 500)).show(3),
            spread(&|run| at(&run.latency, 990)).show(3),
            spread(&|run| run.cpu).show(2),
        ]);
    };
    for (runs, connections) in durable.iter().zip(CONNECTIONS) {
        row("tkbd, durable", connections, runs);
    }
    row("tkbd without a history", COMPARED, bare);
    if !nchan.is_empty() {
        row("Nchan, 1 worker", COMPARED, nchan);
    }
    table
}

fn goals(durable: &[Vec<Run>], fsync: &Spread, bare: &[Run], nchan: &[Run]) -> Vec<Goal> {
    let rate = |runs: Option<&[Run]>| runs.into_iter().flatten().map(|run| run.rate).collect::<Spread>();
    let [one, many] = [durable.first(), durable.last()].map(|runs| rate(runs.map(Vec::as_slice)));
    vec![
        Goal::new("7: durable pushes a second, 64 connections", Bound::AtLeast(20_000.0), many),
        Goal::new(
            "7: durable pushes in the time of an fsync, 1 connection",
            Bound::AtLeast(0.90),
            one.times(fsync),
        ),
        Goal::new(
            "7: pushes a second without a history, of Nchan's publishes, 16 connections",
            Bound::AtLeast(1.0),
            rate(Some(bare)).over(&rate(Some(nchan))),
        ),
    ]
}
