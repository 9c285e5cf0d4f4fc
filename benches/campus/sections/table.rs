//! Ten thousand held requests, and an update to all of them: the daemon beside the others.

use super::fanout::{Faults, Run, run, spread};
use super::{Plan, Section, about_others};
use crate::contestants::{Server, told_by_nchan};
use crate::failure::{Outcome, While};
use crate::load::Filters;
use crate::report::chart::{self, Chart, Line};
use crate::report::goal::{self, Bound, Goal};
use crate::report::spread::{Spread, number};
use crate::report::table::Table;
use crate::report::{Measured, Picture};

/// Measures it.
pub(super) fn measure(plan: &Plan<'_>) -> Outcome<Measured> {
    let held = plan.or_quick(10_000, 500);
    let mut contestants = vec![Contestant::new(Kind::Daemon, "tkbd"), Contestant::new(Kind::Floor, "floor")];
    if plan.nchan.is_ok() {
        contestants.push(Contestant::new(Kind::Nchan, "Nchan"));
    }
    contestants.push(Contestant::new(Kind::Hyper, "hyper"));
    for turn in 0..plan.turns {
        let count = contestants.len();
        for place in 0..count {
            // Each begins in turn, so that none always follows the same one.
            let Some(contestant) = contestants.get_mut((place + turn) % count) else { continue };
            plan.progress(turn, &contestant.name);
            let server = contestant.start(plan)?;
            let run = run(plan, server, held, Filters::Everything).when(&contestant.name)?;
            contestant.runs.push(run);
        }
    }
    Ok(written(plan, held, &contestants))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Daemon,
    Floor,
    Hyper,
    Nchan,
}

struct Contestant {
    kind: Kind,
    name: String,
    /// What is to be known of it, besides its name.
    version: Option<String>,
    runs: Vec<Run>,
}

impl Contestant {
    fn new(kind: Kind, name: &str) -> Contestant {
        Contestant { kind, name: name.to_owned(), version: None, runs: Vec::new() }
    }

    fn start(&mut self, plan: &Plan<'_>) -> Outcome<Server> {
        match (self.kind, &plan.nchan) {
            (Kind::Daemon, _) => plan.daemon().start(&plan.workplace.directory("table")?),
            (Kind::Nchan, Ok(nchan)) => {
                let server = nchan.start(&plan.workplace.directory("nchan")?)?;
                self.version =
                    told_by_nchan(&server).map(|nchan_s| format!("{nchan_s} in nginx {}", nchan.version));
                Ok(server)
            }
            (Kind::Hyper, _) => Server::hyper(),
            (Kind::Floor | Kind::Nchan, _) => Server::floor(),
        }
    }
}

fn written(plan: &Plan<'_>, held: usize, contestants: &[Contestant]) -> Measured {
    let mut text = plan
        .heading(Section::Table, &format!("{} held requests, and an update to all", number(held as f64, 0)));
    text.push_str("\nOne update is published; every client gets it and asks again; when all are held again comes the next.\n");
    if let Err(why) = &plan.nchan {
        text.push_str(&format!("**Nchan was not measured**: {why}.\n"));
    }
    text.push_str(&format!("\n{}\n", figures(contestants)));
    for contestant in contestants {
        text.push_str(&Faults::of(&contestant.runs).line(&contestant.name));
    }
    let others: Vec<f64> =
        contestants.iter().flat_map(|contestant| &contestant.runs).map(|run| run.others).collect();
    text.push_str(&about_others(&others));
    text.push_str(&format!("\n{}", ratios(contestants)));
    text.push_str(&format!("\n{}", goal::table(&goals(contestants))));
    let faults: u64 = contestants.iter().map(|contestant| Faults::of(&contestant.runs).count()).sum();
    Measured { markdown: text, pictures: vec![picture(held, contestants)], right: faults == 0 }
}

fn figures(contestants: &[Contestant]) -> Table {
    let mut table = Table::new(&[
        "",
        "p50 ms",
        "p99 ms",
        "max ms",
        "deliveries/s",
        "CPU s / 100,000: user",
        "system",
        "PSS KiB / held",
        "opened in s",
        "lost / doubled / errors",
    ]);
    for Contestant { name, version, runs, .. } in contestants {
        let name = version.as_ref().map_or_else(|| name.clone(), |version| format!("{name} {version}"));
        table.row([
            name,
            spread(runs, |run| run.within(500)).show(1),
            spread(runs, |run| run.within(990)).show(1),
            spread(runs, |run| run.within(1000)).show(1),
            spread(runs, |run| run.rate).show(0),
            spread(runs, |run| run.user).show(2),
            spread(runs, |run| run.system).show(2),
            spread(runs, |run| run.memory).show(1),
            spread(runs, |run| run.opened).show(2),
            Faults::of(runs).show(),
        ]);
    }
    table
}

/// A figure of a run.
type Figure = fn(&Run) -> f64;

/// The figures of which ratios are taken.
const FIGURES: [(&str, Figure); 6] = [
    ("p50", |run| run.within(500)),
    ("p99", |run| run.within(990)),
    ("deliveries/s", |run| run.rate),
    ("CPU a delivery", Run::cpu),
    ("PSS a held request", |run| run.memory),
    ("time to open", |run| run.opened),
];

fn ratios(contestants: &[Contestant]) -> Table {
    let daemon = of(contestants, Kind::Daemon);
    let peers: Vec<&Contestant> = contestants.iter().filter(|peer| peer.kind != Kind::Daemon).collect();
    let names = peers.iter().map(|peer| format!("of {}", peer.name));
    let columns: Vec<String> = ["tkbd, as a share".to_owned()].into_iter().chain(names).collect();
    let mut table = Table::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, figure) in FIGURES {
        let ratio = |peer: &&Contestant| match (name, peer.kind) {
            // It keeps nothing of a held request: a share of that would be noise.
            ("PSS a held request", Kind::Floor) => "–".to_owned(),
            _ => spread(daemon, figure).over(&spread(&peer.runs, figure)).show(2),
        };
        table.row([name.to_owned()].into_iter().chain(peers.iter().map(ratio)));
    }
    table
}

fn goals(contestants: &[Contestant]) -> Vec<Goal> {
    let daemon = of(contestants, Kind::Daemon);
    let over = |figure: Figure, peer: Kind| -> Spread {
        spread(daemon, figure).over(&spread(of(contestants, peer), figure))
    };
    let faults = Faults::of(daemon).count() as f64;
    vec![
        Goal::new("1: lost, doubled and wrong updates", Bound::AtMost(0.0), [faults].into_iter().collect()),
        Goal::new("2: CPU a delivery, of Nchan's", Bound::AtMost(0.80), over(Run::cpu, Kind::Nchan)),
        Goal::new("2: CPU a delivery, of the floor's", Bound::AtMost(1.20), over(Run::cpu, Kind::Floor)),
        Goal::new(
            "3: deliveries a second, of Nchan's",
            Bound::AtLeast(1.15),
            over(|run| run.rate, Kind::Nchan),
        ),
        Goal::new("3: p50, of Nchan's", Bound::AtMost(0.75), over(|run| run.within(500), Kind::Nchan)),
        Goal::new("3: p99, of Nchan's", Bound::AtMost(0.85), over(|run| run.within(990), Kind::Nchan)),
        Goal::new("3: time to open, of Nchan's", Bound::AtMost(0.60), over(|run| run.opened, Kind::Nchan)),
        Goal::new("4: PSS a held request, KiB", Bound::AtMost(4.0), spread(daemon, |run| run.memory)),
    ]
}

fn of(contestants: &[Contestant], kind: Kind) -> &[Run] {
    contestants.iter().find(|contestant| contestant.kind == kind).map_or(&[], |contestant| &contestant.runs)
}

fn picture(held: usize, contestants: &[Contestant]) -> Picture {
    let within = |contestant: &Contestant, part| {
        spread(&contestant.runs, |run| run.within(part)).median().unwrap_or(0.0)
    };
    let mut ranked: Vec<&Contestant> = contestants.iter().collect();
    ranked.sort_by(|one, other| within(other, 500).total_cmp(&within(one, 500)));
    // From the slowest up: low down, there is room to the right of all lines.
    let line = |(rank, contestant): (usize, &&Contestant)| Line {
        name: format!("{}: half within {} ms", contestant.name, number(within(contestant, 500), 0)),
        colour: match contestant.kind {
            Kind::Daemon => 0,
            Kind::Floor => 1,
            Kind::Nchan => 2,
            Kind::Hyper => 3,
        },
        points: (0..=200).map(|at| (within(contestant, at * 5), at as f64 / 2.0)).collect(),
        ends: Vec::new(),
        label: Some(20 + rank * 22),
    };
    let lines = ranked.iter().enumerate().map(line).collect();
    let held = number(held as f64, 0);
    let chart = Chart {
        title: format!("One update to {held} held requests"),
        x: "milliseconds after the publish".to_owned(),
        y: "% of the clients have it".to_owned(),
        top: Some(100.0),
        lines,
    };
    Picture {
        file: "fan-out.svg".to_owned(),
        shows: format!("How soon after a publish so many of {held} clients have the update, by server"),
        svg: chart::svg(&[chart], 1.5),
    }
}
