//! What the first request of a page costs: a new channel, its filter, and the answers to its three questions.

use super::client::Client;
use super::{Plan, Section, about_others, at, rest};
use crate::contestants::Server;
use crate::cost::Meter;
use crate::failure::{Outcome, While};
use crate::load::dialect::joyce_target;
use crate::load::{Exchange, Exchanged, Load, Requests, Until};
use crate::report::Measured;
use crate::report::goal::{self, Bound, Goal};
use crate::report::spread::{Spread, number};
use crate::report::table::Table;

/// What the page asks, but for which rooms: for all.
const OPENING: &str = "[null,\
    {\"type\":\"set_msgFilter\",\"occupation\":null,\"roomMap\":null,\"schedule\":null},\
    {\"type\":\"get_roomMap\"},{\"type\":\"get_schedule\"},{\"type\":\"get_occupation\"}]";

/// The rooms of the built-in setup, but for that of PCs without one.
const ROOMS: [&str; 11] =
    ["hg761", "hg702", "hg206", "hg201", "hg153", "hg137", "hg075", "hg029", "hg023", "hgbib", "hg002"];

/// How many clients ask at once.
const CONNECTIONS: usize = 8;

/// Measures it.
pub(super) fn measure(plan: &Plan<'_>) -> Outcome<Measured> {
    let mut cases = [Case::new("kept", false), Case::new("a new one each", true)];
    for turn in 0..plan.turns {
        for case in &mut cases {
            plan.progress(turn, format_args!("connections: {}", case.connections));
            let daemon = plan.daemon().start(&plan.workplace.directory("page")?)?;
            Client::connect(daemon.publish)?.push(&campus())?;
            let opening = run(plan, daemon, case.fresh).when("tkbd")?;
            let hyper = Server::hyper_that_answers(opening.bytes)?;
            case.daemon.push(opening);
            case.hyper.push(run(plan, hyper, case.fresh).when("hyper")?);
        }
    }
    let bytes = cases.iter().flat_map(|case| &case.daemon).map(|run| run.bytes).next().unwrap_or(0);
    let mut text = plan.heading(Section::Page, "A new page");
    text.push_str(&format!(
        "\nThe first request of a page: a new channel, a filter, and three questions on 400 PCs in 12 rooms. The answer \
         has {} bytes; hyper answers with as many, and knows nothing. {CONNECTIONS} clients ask at once.\n",
        number(bytes as f64, 0)
    ));
    text.push_str(&format!("\n{}\n", figures(&cases)));
    let runs = cases.iter().flat_map(|case| case.daemon.iter().chain(&case.hyper));
    text.push_str(&about_others(&runs.map(|run| run.others).collect::<Vec<_>>()));
    text.push_str(&format!("\n{}", goal::table(&cases.iter().map(Case::goal).collect::<Vec<_>>())));
    // An answer that is not as it should be ends the measurement.
    Ok(Measured { markdown: text, pictures: Vec::new(), right: true })
}

/// A push of 400 PCs in all rooms.
fn campus() -> String {
    let placed = ROOMS.iter().flat_map(|room| (1..=36).map(move |pc| format!("{room}pc{pc:02}")));
    let placeless = (1..=4).map(|pc| format!("printer{pc:02}"));
    let entries: Vec<String> = placed
        .chain(placeless)
        .map(|pc| format!("\"{pc}\":{{\"status\":\"used\",\"session\":\"linux\"}}"))
        .collect();
    format!("{{\"datasource\":\"campus\",\"data\":{{{}}}}}", entries.join(","))
}

struct Case {
    connections: &'static str,
    fresh: bool,
    daemon: Vec<Run>,
    hyper: Vec<Run>,
}

struct Run {
    /// Microseconds of CPU for an answer.
    cpu: f64,
    rate: f64,
    latency: Vec<f64>,
    bytes: usize,
    others: f64,
}

fn run(plan: &Plan<'_>, server: Server, fresh: bool) -> Outcome<Run> {
    let request = format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", joyce_target(OPENING));
    let mut load = Load::start()?;
    let pid = load.pid();
    let mut open = |answers| {
        let (at, requests, until) =
            (server.subscribe, Requests::Fixed(request.clone()), Until::Answers(answers));
        load.exchange(Exchange { at, connections: CONNECTIONS, fresh, requests, until })
    };
    open(plan.or_quick(1_000, 100))?;
    rest(&server.pids)?;
    let meter = Meter::start(&server.pids, &[pid])?;
    let Exchanged { answers, seconds, latency, bytes } = open(plan.or_quick(20_000, 1_000))?;
    // The filters of new channels are written down after the answer: that is part of what they cost.
    rest(&server.pids)?;
    let spent = meter.read()?;
    server.end()?;
    let cpu = spent.server.sum() * 1e6 / answers as f64;
    Ok(Run { cpu, rate: answers as f64 / seconds, latency, bytes, others: spent.others })
}

impl Case {
    fn new(connections: &'static str, fresh: bool) -> Case {
        Case { connections, fresh, daemon: Vec::new(), hyper: Vec::new() }
    }

    fn goal(&self) -> Goal {
        let cpu = |runs: &[Run]| runs.iter().map(|run| run.cpu).collect::<Spread>();
        Goal::new(
            format!("8: CPU of an opening, of hyper's answer; connections: {}", self.connections),
            Bound::AtMost(1.30),
            cpu(&self.daemon).over(&cpu(&self.hyper)),
        )
    }
}

fn figures(cases: &[Case]) -> Table {
    let mut table = Table::new(&["", "connections", "CPU µs / answer", "answers/s", "p50 ms", "p99 ms"]);
    for case in cases {
        for (name, runs) in [("tkbd", &case.daemon), ("hyper", &case.hyper)] {
            let spread = |of: &dyn Fn(&Run) -> f64| runs.iter().map(of).collect::<Spread>();
            table.row([
                name.to_owned(),
                case.connections.to_owned(),
                spread(&|run| run.cpu).show(1),
                spread(&|run| run.rate).show(0),
                spread(&|run| at(&run.latency, 500)).show(2),
                spread(&|run| at(&run.latency, 990)).show(2),
            ]);
        }
    }
    table
}
