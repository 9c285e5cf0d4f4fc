//! Thousands of clients that are slow on purpose, beside some that are not: whether these notice anything.

use super::{Plan, Section, about_others, at};
use crate::contestants::Server;
use crate::cost::{Memory, Meter};
use crate::failure::{Failure, Outcome, While};
use crate::load::{Conduct, Gone, Kind, Lived, Load, Slowness, crowd_setup};
use crate::report::Measured;
use crate::report::spread::{Spread, number};
use crate::report::table::Table;
use std::time::{Duration, Instant};

/// How many good ones there are, and how many slow ones.
const GOOD: usize = 500;
const SLOW: usize = 5_000;

/// How many pushes a minute; and every how many seconds one changes all PCs.
const PUSHES: f64 = 6_000.0;
const SWEEP: f64 = 1.0;

/// How long a phase takes, in seconds: the slow ones are there for 10 s at least.
const PHASE: f64 = 9.0;

/// How long it takes until they are cut off, the longest 15 s after they took something.
const CUT_OFF: f64 = 12.0;

/// For how long they try to stay.
const PATIENCE: f64 = 60.0;

/// Measures it.
pub(super) fn measure(plan: &Plan<'_>) -> Outcome<Measured> {
    let (good, slow) = plan.or_quick((GOOD, SLOW), (50, 300));
    let daemon = plan.daemon().setup(crowd_setup()).set("http.hold=20s");
    let server = daemon.start(&plan.workplace.directory("slow")?)?;
    let mut load = Load::start()?;
    load.gather(Conduct {
        at: server.subscribe,
        publish: server.publish,
        clients: good,
        pushes: PUSHES,
        sweep: Some(SWEEP),
        stay: None,
        hold: 20.0,
        expiry: 300.0,
        reads: None,
    })?;
    // Caches, and what threads take at first.
    load.live(plan.or_quick(5.0, 1.0))?;
    let meter = Meter::start(&server.pids, &[load.pid()])?;
    let mut turns = Vec::new();
    for turn in 0..plan.turns {
        plan.progress(turn, "without, and with them");
        turns.push(Turn::measured(&server, &mut load, slow)?);
    }
    let others = meter.read()?.others;
    let end = load.settle()?;
    drop(load);
    server.end()?;

    let mut text = plan.heading(
        Section::Slow,
        &format!("{} slow clients beside {} good ones", number(slow as f64, 0), number(good as f64, 0)),
    );
    text.push_str(&format!(
        "\nOne daemon, with its own settings, through all turns. Of the slow ones a third send the head of a request a byte a \
         second, a third its body; the others listen to everything, ask for all states again and again, and read nothing. All \
         begin within milliseconds. The good ones check all that they are told; there are {} pushes a minute, and one a second \
         changes all 1,000 PCs.\n\n{}\n",
        number(PUSHES, 0),
        latencies(&turns)
    ));
    text.push_str(&format!("{}\n{}\n", when_gone(&turns), memory(&turns)));
    let errors = &end.errors;
    text.push_str(&format!(
        "What the good ones were told: {} updates, {} of it wrong, lost or doubled.{}\n",
        number(end.updates as f64, 0),
        errors.count(),
        errors.first.iter().map(|line| format!(" `{line}`")).collect::<String>()
    ));
    text.push_str(&about_others(&[others]));
    let left: u64 = turns.iter().flat_map(|turn| &turn.gone).map(|gone| gone.left).sum();
    if left > 0 {
        text.push_str(&format!("\n**{left} slow clients were not cut off within {PATIENCE} s.**\n"));
    }
    Ok(Measured { markdown: text, pictures: Vec::new(), right: errors.count() == 0 })
}

struct Turn {
    without: Vec<f64>,
    with: Vec<f64>,
    cut_off: Vec<f64>,
    gone: Vec<Gone>,
    before: Memory,
    /// With all of them, and when they are gone.
    most: Memory,
    after: Memory,
}

impl Turn {
    fn measured(server: &Server, load: &mut Load, slow: usize) -> Outcome<Turn> {
        let mut phase = |seconds| load.live(seconds).map(|lived: Lived| lived.latency);
        let without = phase(PHASE)?;
        let before = Memory::of(&server.pids)?;
        let mut others = Load::start()?;
        let slowness = Slowness { at: server.subscribe, clients: slow, seconds: PATIENCE };
        let begun = Instant::now();
        let (with, cut_off, most, gone) = std::thread::scope(|scope| {
            let gone = scope.spawn(|| others.be_slow(slowness));
            let watch = scope.spawn(|| most_memory(server, begun));
            let with = phase(PHASE)?;
            let cut_off = phase(CUT_OFF)?;
            let joined = |_| Failure::new("a thread panicked");
            let most = watch.join().map_err(joined)??;
            // The good ones live on until the last of the slow ones is gone.
            let gone = gone.join().map_err(joined)?.when("the slow ones")?;
            Outcome::Ok((with, cut_off, most, gone))
        })?;
        drop(others);
        phase(1.0)?;
        Ok(Turn { without, with, cut_off, gone, before, most, after: Memory::of(&server.pids)? })
    }
}

/// The most that the daemon has had in the time of both phases.
fn most_memory(server: &Server, begun: Instant) -> Outcome<Memory> {
    let mut most = Memory::default();
    while begun.elapsed().as_secs_f64() < PHASE + CUT_OFF {
        let now = Memory::of(&server.pids)?;
        if now.resident > most.resident {
            most = now;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(most)
}

fn latencies(turns: &[Turn]) -> Table {
    type Latency = fn(&Turn) -> &Vec<f64>;
    let mut table = Table::new(&["the good ones", "p50 ms", "p99 ms", "max ms", "p99, of that without"]);
    let phases: [(&str, Latency); 3] = [
        ("without slow ones", |turn| &turn.without),
        ("with them", |turn| &turn.with),
        ("while they are cut off", |turn| &turn.cut_off),
    ];
    let spread = |of: Latency, part| turns.iter().map(|turn| at(of(turn), part)).collect::<Spread>();
    for (name, of) in phases {
        table.row([
            name.to_owned(),
            spread(of, 500).show(1),
            spread(of, 990).show(1),
            spread(of, 1000).show(1),
            spread(of, 990).over(&spread(|turn| &turn.without, 990)).show(2),
        ]);
    }
    table
}

fn when_gone(turns: &[Turn]) -> Table {
    let mut table =
        Table::new(&["the slow ones", "deadline s", "clients", "first gone after s", "last", "never"]);
    for kind in Kind::EACH {
        let of_kind = || turns.iter().flat_map(|turn| &turn.gone).filter(move |gone| gone.kind == kind);
        let (name, deadline) = match kind {
            Kind::Head => ("slow heads", "10"),
            Kind::Body => ("slow bodies", "10"),
            Kind::Unread => ("read nothing", "15"),
        };
        let spread = |part| of_kind().map(|gone| at(&gone.seconds, part)).collect::<Spread>();
        table.row([
            name.to_owned(),
            deadline.to_owned(),
            of_kind().next().map_or(0, |gone| gone.clients).to_string(),
            spread(0).show(1),
            spread(1000).show(1),
            of_kind().map(|gone| gone.left).sum::<u64>().to_string(),
        ]);
    }
    table
}

fn memory(turns: &[Turn]) -> Table {
    type Moment = fn(&Turn) -> Memory;
    let mut table = Table::new(&["resident memory, MiB", "first turn", "last turn"]);
    let moments: [(&str, Moment); 3] = [
        ("before they come", |turn| turn.before),
        ("the most with them", |turn| turn.most),
        ("when they are gone", |turn| turn.after),
    ];
    let [first, last] = [turns.first(), turns.last()];
    for (name, of) in moments {
        let show =
            |turn: Option<&Turn>| turn.map_or_else(|| "–".to_owned(), |turn| number(of(turn).resident, 1));
        table.row([name.to_owned(), show(first), show(last)]);
    }
    table
}
