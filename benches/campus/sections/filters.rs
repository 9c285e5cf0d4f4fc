//! Many distinct filters, each of which gets an update of its own; and a push that matches none.

use super::fanout::{Faults, Run, run, spread};
use super::{Plan, Section, about_others, at, raw, rest};
use crate::cost::Meter;
use crate::failure::{Outcome, While};
use crate::load::dialect::{room_key, tag};
use crate::load::{Exchange, Filters, Load, Opening, Requests, Until};
use crate::report::Measured;
use crate::report::goal::{self, Bound, Goal};
use crate::report::spread::{Spread, number};
use crate::report::table::Table;
use std::fmt::Write as _;

/// The room that no filter of those who are not concerned lets through.
const NOBODY_S_ROOM: usize = 900;

/// Measures it.
pub(super) fn measure(plan: &Plan<'_>) -> Outcome<Measured> {
    let held = plan.or_quick(10_000, 500);
    let counts = plan.or_quick(vec![1, 10, 100, 1_000], vec![1, 100]);
    let crowd = plan.or_quick(15_000, 500);
    let mut runs: Vec<Vec<Run>> = counts.iter().map(|_| Vec::new()).collect();
    let (mut alone, mut in_company) = (Vec::new(), Vec::new());
    for turn in 0..plan.turns {
        for (&count, runs) in counts.iter().zip(&mut runs) {
            plan.progress(turn, format_args!("{count} distinct filters"));
            let server = plan.daemon().setup(campus()).start(&plan.workplace.directory("filters")?)?;
            runs.push(run(plan, server, held, Filters::Rooms(count)).when(format_args!("{count} filters"))?);
        }
        plan.progress(turn, "a push that matches nobody");
        alone.push(unheard(plan, 0)?);
        in_company.push(unheard(plan, crowd)?);
    }

    let mut text = plan.heading(Section::Filters, "Distinct filters");
    text.push_str(&format!(
        "\n{} held requests that listen to so many different rooms; an update changes a PC in each of these rooms, and \
         every client gets the one of its room.\n",
        number(held as f64, 0)
    ));
    text.push_str(&format!("\n{}\n", figures(&counts, &runs)));
    let faults = Faults::of(runs.iter().flatten());
    text.push_str(&faults.line("tkbd"));
    let others = runs.iter().flatten().map(|run| run.others);
    let others = others.chain(alone.iter().chain(&in_company).map(|unheard| unheard.others));
    text.push_str(&about_others(&others.collect::<Vec<_>>()));
    let strays: u64 = in_company.iter().map(|unheard| unheard.strays).sum();
    text.push_str(&format!(
        "\nA push that matches nobody, without a history, on one connection. The held requests that got something \
         nevertheless: {strays}.\n\n{}",
        unheard_figures(&[(0, &alone), (crowd, &in_company)])
    ));
    text.push_str(&format!("\n{}", goal::table(&goals(&counts, &runs, &alone, &in_company))));
    Ok(Measured { markdown: text, pictures: Vec::new(), right: faults.count() + strays == 0 })
}

/// A thousand rooms, each with a tag of its own.
fn campus() -> String {
    let mut toml = String::from("[[rule]]\npattern = \"^(.+?)pc\"\nroom = \"$1\"\n");
    for room in 0..1000 {
        // Writing to a string cannot fail.
        let _ = write!(toml, "\n[[room]]\nkey = \"{}\"\ntags = [\"{}\"]\n", room_key(room), tag(room));
    }
    // That of PCs which no rule places is there besides those that are listed.
    toml.push_str("\n[limits]\nrooms = 2000\n");
    toml
}

struct Unheard {
    /// CPU seconds of 100,000 pushes.
    cpu: f64,
    latency: Vec<f64>,
    strays: u64,
    others: f64,
}

/// Pushes that match none of so many held requests.
fn unheard(plan: &Plan<'_>, held: usize) -> Outcome<Unheard> {
    let daemon = plan.daemon().setup(campus()).without_history();
    let server = daemon.start(&plan.workplace.directory("nobody")?)?;
    let mut listeners = Load::start()?;
    if held > 0 {
        listeners.open(Opening {
            at: server.subscribe,
            publish: server.publish,
            dialect: server.dialect,
            server: raw(&server),
            held,
            filters: Filters::Rooms(10),
        })?;
    }
    let mut load = Load::start()?;
    let loads = [listeners.pid(), load.pid()];
    let mut pushes = |count| {
        load.exchange(Exchange {
            at: server.publish,
            connections: 1,
            fresh: false,
            requests: Requests::Push { room: NOBODY_S_ROOM },
            until: Until::Answers(count),
        })
    };
    pushes(plan.or_quick(2_000, 200))?;
    rest(&server.pids)?;
    let meter = Meter::start(&server.pids, &loads)?;
    let exchanged = pushes(plan.or_quick(50_000, 2_000))?;
    rest(&server.pids)?;
    let spent = meter.read()?;
    let strays = if held > 0 { listeners.strays()? } else { 0 };
    drop(listeners);
    drop(load);
    server.end()?;
    Ok(Unheard {
        cpu: spent.server.sum() * 1e5 / exchanged.answers as f64,
        latency: exchanged.latency,
        strays,
        others: spent.others,
    })
}

fn figures(counts: &[usize], runs: &[Vec<Run>]) -> Table {
    let mut table = Table::new(&[
        "filters",
        "CPU s / 100,000 deliveries",
        "of that with one",
        "p50 ms",
        "p99 ms",
        "PSS KiB / held",
        "lost / doubled / errors",
    ]);
    let cpu = |runs: &Vec<Run>| spread(runs, Run::cpu);
    let one = runs.first().map(cpu).unwrap_or_default();
    for (count, runs) in counts.iter().zip(runs) {
        table.row([
            number(*count as f64, 0),
            cpu(runs).show(2),
            cpu(runs).over(&one).show(2),
            spread(runs, |run| run.within(500)).show(1),
            spread(runs, |run| run.within(990)).show(1),
            spread(runs, |run| run.memory).show(2),
            Faults::of(runs).show(),
        ]);
    }
    table
}

fn unheard_figures(cases: &[(usize, &Vec<Unheard>)]) -> Table {
    let mut table = Table::new(&["held", "CPU s / 100,000 pushes", "p50 µs", "p99 µs"]);
    for (held, unheard) in cases {
        let micros =
            |part| unheard.iter().map(|unheard| at(&unheard.latency, part) * 1e3).collect::<Spread>();
        let cpu: Spread = unheard.iter().map(|unheard| unheard.cpu).collect();
        table.row([number(*held as f64, 0), cpu.show(2), micros(500).show(0), micros(990).show(0)]);
    }
    table
}

fn goals(counts: &[usize], runs: &[Vec<Run>], alone: &[Unheard], in_company: &[Unheard]) -> Vec<Goal> {
    let cpu = |runs: Option<&Vec<Run>>| spread(runs.into_iter().flatten(), Run::cpu);
    let most = counts.last().copied().unwrap_or(0);
    let push = |unheard: &[Unheard]| unheard.iter().map(|unheard| unheard.cpu).collect::<Spread>();
    vec![
        Goal::new(
            format!("6: CPU a delivery with {} filters, of that with one", number(most as f64, 0)),
            Bound::AtMost(1.30),
            cpu(runs.last()).over(&cpu(runs.first())),
        ),
        Goal::new(
            "6: CPU of a push that matches none of those held, of that with none held (the same, ± 10 %)",
            Bound::AtMost(1.10),
            push(in_company).over(&push(alone)),
        ),
    ]
}
