//! From a thousand held requests to as many as the system allows: whether each costs the same.

use super::fanout::{Faults, Run, run, spread};
use super::{Plan, Section, about_others};
use crate::contestants::Server;
use crate::failure::{Outcome, While};
use crate::load::Filters;
use crate::report::chart::{self, Chart, Line};
use crate::report::goal::{self, Bound, Goal};
use crate::report::spread::{Spread, number};
use crate::report::table::Table;
use crate::report::{Measured, Picture};

/// What a process has open besides its held requests.
const OTHER_FILES: u64 = 200;

/// Measures it.
pub(super) fn measure(plan: &Plan<'_>) -> Outcome<Measured> {
    let sizes = plan.or_quick(vec![1_000, 5_000, 10_000, 15_000, 19_000], vec![200, 1_000]);
    let (_, files) = rlimit::getrlimit(rlimit::Resource::NOFILE)?;
    let (sizes, beyond): (Vec<usize>, Vec<usize>) =
        sizes.into_iter().partition(|held| *held as u64 + OTHER_FILES <= files);
    let mut daemon: Vec<Vec<Run>> = sizes.iter().map(|_| Vec::new()).collect();
    let mut floor: Vec<Vec<Run>> = sizes.iter().map(|_| Vec::new()).collect();
    for turn in 0..plan.turns {
        for (&held, (daemon, floor)) in sizes.iter().zip(daemon.iter_mut().zip(&mut floor)) {
            plan.progress(turn, format_args!("{held} held"));
            let server = plan.daemon().start(&plan.workplace.directory("growth")?)?;
            daemon.push(run(plan, server, held, Filters::Everything).when("tkbd")?);
            floor.push(run(plan, Server::floor()?, held, Filters::Everything).when("the floor")?);
        }
    }
    let mut text = plan.heading(Section::Growth, "From a thousand held requests on");
    text.push_str("\nThe same as above, with more and more of them, beside the floor.\n");
    if !beyond.is_empty() {
        text.push_str(&format!("No more than that: a process may open {files} files here.\n"));
    }
    text.push_str(&format!("\n{}\n", figures(&daemon, &floor)));
    let all = || daemon.iter().chain(&floor).flatten();
    let faults = Faults::of(all());
    text.push_str(&Faults::of(daemon.iter().flatten()).line("tkbd"));
    text.push_str(&Faults::of(floor.iter().flatten()).line("The floor"));
    text.push_str(&about_others(&all().map(|run| run.others).collect::<Vec<_>>()));
    text.push_str(&format!("\n{}", goal::table(&goals(&daemon, &floor))));
    Ok(Measured { markdown: text, pictures: vec![picture(&daemon, &floor)], right: faults.count() == 0 })
}

fn figures(daemon: &[Vec<Run>], floor: &[Vec<Run>]) -> Table {
    let mut table = Table::new(&[
        "held",
        "CPU s / 100,000 deliveries",
        "the floor's",
        "of the floor's",
        "p99 ms",
        "the floor's",
        "PSS KiB / held",
        "lost / doubled / errors",
    ]);
    for (daemon, floor) in daemon.iter().zip(floor) {
        let held = daemon.first().map_or(0, |run| run.held);
        table.row([
            number(held as f64, 0),
            spread(daemon, Run::cpu).show(2),
            spread(floor, Run::cpu).show(2),
            spread(daemon, Run::cpu).over(&spread(floor, Run::cpu)).show(2),
            spread(daemon, |run| run.within(990)).show(1),
            spread(floor, |run| run.within(990)).show(1),
            spread(daemon, |run| run.memory).show(2),
            Faults::of(daemon).show(),
        ]);
    }
    table
}

fn goals(daemon: &[Vec<Run>], floor: &[Vec<Run>]) -> Vec<Goal> {
    let growth = |runs: &[Vec<Run>]| -> Spread {
        let cpu = |runs: Option<&Vec<Run>>| spread(runs.into_iter().flatten(), Run::cpu);
        cpu(runs.last()).over(&cpu(runs.first()))
    };
    let held = |runs: Option<&Vec<Run>>| runs.and_then(|runs| runs.first()).map_or(0, |run| run.held);
    let (few, many) = (held(daemon.first()) as f64, held(daemon.last()) as f64);
    let what = format!(
        "5: CPU a delivery with {} held, of that with {}, beside the same of the floor",
        number(many, 0),
        number(few, 0)
    );
    vec![
        Goal::new(what, Bound::AtMost(1.10), growth(daemon).over(&growth(floor))),
        Goal::new(
            "1: lost, doubled and wrong updates",
            Bound::AtMost(0.0),
            [Faults::of(daemon.iter().flatten()).count() as f64].into_iter().collect(),
        ),
    ]
}

fn picture(daemon: &[Vec<Run>], floor: &[Vec<Run>]) -> Picture {
    let line = |name: &str, colour, runs: &[Vec<Run>], figure: &dyn Fn(&Run) -> f64| {
        let spreads = || runs.iter().map(|runs| spread(runs, figure));
        let held = runs.iter().filter_map(|runs| runs.first()).map(|run| run.held as f64);
        Line {
            name: name.to_owned(),
            colour,
            points: held.zip(spreads().filter_map(|spread| spread.median())).collect(),
            ends: spreads().filter_map(|spread| spread.ends()).collect(),
            label: None,
        }
    };
    let chart = |title: &str, y: &str, figure: &dyn Fn(&Run) -> f64| Chart {
        title: title.to_owned(),
        x: "held requests".to_owned(),
        y: y.to_owned(),
        top: None,
        lines: vec![line("tkbd", 0, daemon, figure), line("floor", 1, floor, figure)],
    };
    let charts = [
        chart("CPU of a delivery", "microseconds", &|run| run.cpu() * 10.0),
        chart("Memory of all held requests", "MiB (PSS)", &|run| run.memory * run.held as f64 / 1024.0),
    ];
    Picture {
        file: "growth.svg".to_owned(),
        shows:
            "CPU of a delivery and memory of all held requests, from a thousand of them on, beside the floor"
                .to_owned(),
        svg: chart::svg(&charts, 1.0),
    }
}
