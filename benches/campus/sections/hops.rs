//! An update on its way through two mirrors, beside a master that nobody follows.

use super::client::Client;
use super::{Plan, Section, about_others, at};
use crate::contestants::{Daemon, Server};
use crate::cost::Meter;
use crate::failure::{Failure, Outcome, While};
use crate::load::dialect::{FIRST_STATE, room_key};
use crate::load::{Hopped, Hops, Load};
use crate::report::Measured;
use crate::report::spread::{Spread, number};
use crate::report::table::Table;
use std::time::{Duration, Instant};

/// How long a mirror may take to know what its master knows.
const PATIENCE: Duration = Duration::from_secs(30);

/// The levels of the tree.
const LEVELS: [&str; 3] = ["the master", "its mirror", "the mirror's mirror"];

/// Measures it.
pub(super) fn measure(plan: &Plan<'_>) -> Outcome<Measured> {
    let sizes = plan.or_quick(vec![100, 1_000], vec![20]);
    let mut cases: Vec<Case> = sizes.iter().map(|&clients| Case { clients, runs: Vec::new() }).collect();
    for turn in 0..plan.turns {
        for case in &mut cases {
            plan.progress(turn, format_args!("{} clients a level", case.clients));
            case.runs.push(run(plan, case.clients)?);
        }
    }
    let mut text = plan.heading(Section::Hops, "Through two mirrors");
    text.push_str(&format!(
        "\nThe master is pushed to; a mirror follows it, and another mirror that one; each of the three has so many clients \
         that listen to everything. The next update comes when all have the last one and are held again. Times are from the \
         push to a client, in ms, on one machine, whose cores all of them share.\n\n{}\n",
        figures(&cases)
    ));
    let runs = || cases.iter().flat_map(|case| &case.runs);
    let hopped = || runs().flat_map(|run| [&run.alone, &run.tree]);
    let (lost, doubled, errors) = hopped().fold((0, 0, 0), |(lost, doubled, errors), hopped| {
        (lost + hopped.lost, doubled + hopped.doubled, errors + hopped.errors)
    });
    text.push_str(&format!("Lost / doubled / errors: {lost} / {doubled} / {errors}.\n"));
    if let Some(first) = hopped().find_map(|hopped| hopped.first_error.as_ref()) {
        text.push_str(&format!("The first error: `{first}`.\n"));
    }
    text.push_str(&about_others(&runs().map(|run| run.others).collect::<Vec<_>>()));
    Ok(Measured { markdown: text, pictures: Vec::new(), right: lost + doubled + errors == 0 })
}

struct Case {
    clients: usize,
    runs: Vec<Run>,
}

struct Run {
    alone: Hopped,
    tree: Hopped,
    others: f64,
}

fn run(plan: &Plan<'_>, clients: usize) -> Outcome<Run> {
    let daemon = || plan.daemon().set("http.hold=20s");
    let follow = |master: &Server| daemon().set(&format!("mirror.master=http://{}", master.subscribe));
    let rounds = plan.or_quick(200, 20);
    let start = |daemon: Daemon, name| daemon.start(&plan.workplace.directory(name)?);

    let master = start(daemon(), "alone")?;
    Client::connect(master.publish)?.push(FIRST_STATE)?;
    let mut load = Load::start()?;
    let hops = |levels: &[&Server]| Hops {
        levels: levels.iter().map(|level| level.subscribe).collect(),
        publish: levels.first().map_or(master.publish, |master| master.publish),
        clients,
        rounds,
    };
    let meter = Meter::start(&master.pids, &[load.pid()])?;
    let alone = load.hop(hops(&[&master])).when("the master alone")?;
    let others_alone = meter.read()?.others;

    let top = start(daemon(), "master")?;
    Client::connect(top.publish)?.push(FIRST_STATE)?;
    let middle = start(follow(&top), "mirror")?;
    let bottom = start(follow(&middle), "mirror-of-mirror")?;
    wait_until_known(&middle)?;
    wait_until_known(&bottom)?;
    let pids: Vec<_> = [&top, &middle, &bottom].into_iter().flat_map(|level| level.pids.clone()).collect();
    let meter = Meter::start(&pids, &[load.pid()])?;
    let tree = load.hop(hops(&[&top, &middle, &bottom])).when("the tree")?;
    let others = meter.read()?.others.max(others_alone);
    drop(load);
    for server in [bottom, middle, top, master] {
        server.end()?;
    }
    Ok(Run { alone, tree, others })
}

/// Waits until a mirror tells of the PC that was pushed to its master.
fn wait_until_known(mirror: &Server) -> Outcome<()> {
    let mut client = Client::connect(mirror.subscribe)?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let ask = "[null,{\"type\":\"set_msgFilter\",\"occupation\":null},{\"type\":\"get_occupation\"}]";
        let body = client.ask(ask)?;
        if String::from_utf8_lossy(&body).contains(&format!("\"{}pc", room_key(0))) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(Failure::new("a mirror does not come to know what its master knows"))
}

fn figures(cases: &[Case]) -> Table {
    let mut table = Table::new(&[
        "clients a level",
        "at",
        "p50 ms",
        "p99 ms",
        "p50 beyond the level above",
        "p50, of alone",
    ]);
    for case in cases {
        let spread = |of: &dyn Fn(&Run) -> f64| case.runs.iter().map(of).collect::<Spread>();
        let alone = |run: &Run, part| run.alone.latency.first().map_or(f64::NAN, |latency| at(latency, part));
        let tree = |run: &Run, level: usize, part| {
            run.tree.latency.get(level).map_or(f64::NAN, |latency| at(latency, part))
        };
        table.row([
            number(case.clients as f64, 0),
            "a master alone".to_owned(),
            spread(&|run| alone(run, 500)).show(2),
            spread(&|run| alone(run, 990)).show(2),
            "–".to_owned(),
            "1.00".to_owned(),
        ]);
        for (level, name) in LEVELS.iter().enumerate() {
            let beyond = match level.checked_sub(1) {
                Some(above) => spread(&|run| tree(run, level, 500) - tree(run, above, 500)).show(2),
                None => "–".to_owned(),
            };
            table.row([
                number(case.clients as f64, 0),
                (*name).to_owned(),
                spread(&|run| tree(run, level, 500)).show(2),
                spread(&|run| tree(run, level, 990)).show(2),
                beyond,
                spread(&|run| tree(run, level, 500) / alone(run, 500)).show(2),
            ]);
        }
    }
    table
}
