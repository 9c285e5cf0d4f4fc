//! A hundred thousand channels that are opened and never asked for again: what they take, and whether it comes back.

use super::{Plan, Section, about_others, rest};
use crate::cost::{Memory, Meter};
use crate::failure::{Outcome, While};
use crate::load::{Exchange, Load, Requests, Until, crowd_setup};
use crate::report::Measured;
use crate::report::goal::{self, Bound, Goal};
use crate::report::spread::{Spread, number};
use crate::report::table::Table;
use std::time::{Duration, Instant};

/// After how many seconds a channel ends: long enough for all to be there at once.
const EXPIRY: u64 = 60;

/// How long after the last has ended memory is looked at, in seconds.
const AFTERWARDS: u64 = 10;

/// How many waves of channels come over a daemon: what the first leaves and the second does not add to is no leak.
const WAVES: usize = 2;

/// Measures it.
pub(super) fn measure(plan: &Plan<'_>) -> Outcome<Measured> {
    let channels = plan.or_quick(100_000, 2_000);
    let mut cases = [Case::new("none", 0), Case::new("a room of 100 each", 100)];
    for turn in 0..plan.turns {
        for case in &mut cases {
            plan.progress(turn, format_args!("filters: {}", case.filters));
            case.runs.push(run(plan, channels, case.rooms)?);
        }
    }
    let mut text = plan
        .heading(Section::Abandoned, &format!("{} channels that are abandoned", number(channels as f64, 0)));
    text.push_str(&format!(
        "\nEach is opened on a connection and from an address of its own, answered, and left. With \
         `http.max_channels={channels}` (by default 50,000), so that a second wave finds room only if all of the first have \
         ended; and `http.channel_expiry={}s` (by default 5 minutes). Memory is what is resident, in MiB: before the first \
         channel, with all of them, and {AFTERWARDS} s after the last has ended. Of channels that have set a filter, the daemon \
         remembers the newest 50,000, for a day.\n\n{}\n",
        expiry(plan),
        figures(&cases)
    ));
    let others: Vec<f64> = cases.iter().flat_map(|case| &case.runs).map(|run| run.others).collect();
    text.push_str(&about_others(&others));
    text.push_str(&format!("\n{}", goal::table(&cases.each_ref().map(Case::goal))));
    // A channel that finds no room, or is answered otherwise than the others, ends the measurement.
    Ok(Measured { markdown: text, pictures: Vec::new(), right: true })
}

struct Case {
    filters: &'static str,
    rooms: usize,
    runs: Vec<Run>,
}

struct Run {
    before: Memory,
    waves: Vec<Wave>,
    others: f64,
}

struct Wave {
    /// Seconds until all were there.
    seconds: f64,
    with_all: Memory,
    after: Memory,
}

fn expiry(plan: &Plan<'_>) -> u64 {
    plan.or_quick(EXPIRY, 3)
}

fn run(plan: &Plan<'_>, channels: usize, rooms: usize) -> Outcome<Run> {
    let expiry = expiry(plan);
    let daemon = plan.daemon().setup(crowd_setup()).set(&format!("http.max_channels={channels}"));
    let daemon = daemon.set(&format!("http.channel_expiry={expiry}s"));
    let server = daemon.start(&plan.workplace.directory("abandoned")?)?;
    let mut load = Load::start()?;
    rest(&server.pids)?;
    let before = Memory::of(&server.pids)?;
    let meter = Meter::start(&server.pids, &[load.pid()])?;
    let mut waves = Vec::new();
    let mut others = 0.0;
    for wave in 0..WAVES {
        let begun = Instant::now();
        let exchanged = load.exchange(Exchange {
            at: server.subscribe,
            connections: 16,
            fresh: true,
            requests: Requests::Enter { rooms },
            until: Until::Answers(channels),
        });
        let exchanged = exchanged.when(format_args!("wave {}", wave + 1))?;
        if wave == 0 {
            others = meter.read()?.others;
        }
        // The last connections are being closed still.
        std::thread::sleep(Duration::from_millis(500));
        let with_all = Memory::of(&server.pids)?;
        if begun.elapsed() > Duration::from_secs(expiry) {
            eprintln!(
                "  **the first had ended before the last came: this machine is too slow for the peak**"
            );
        }
        std::thread::sleep(Duration::from_secs(expiry + plan.or_quick(AFTERWARDS, 2)));
        waves.push(Wave { seconds: exchanged.seconds, with_all, after: Memory::of(&server.pids)? });
    }
    drop(load);
    server.end()?;
    Ok(Run { before, waves, others })
}

impl Case {
    fn new(filters: &'static str, rooms: usize) -> Case {
        Case { filters, rooms, runs: Vec::new() }
    }

    /// A figure of a wave, over the turns.
    fn spread(&self, wave: usize, of: impl Fn(&Run, &Wave) -> f64) -> Spread {
        self.runs.iter().filter_map(|run| Some(of(run, run.waves.get(wave)?))).collect()
    }

    fn goal(&self) -> Goal {
        Goal::new(
            format!("memory after the last wave, of that before (filters: {})", self.filters),
            Bound::AtMost(1.20),
            self.spread(WAVES - 1, |run, wave| wave.after.resident / run.before.resident),
        )
    }
}

fn figures(cases: &[Case]) -> Table {
    let mut table = Table::new(&[
        "filters",
        "wave",
        "opened in s",
        "before",
        "with all",
        "after",
        "of which anonymous",
        "after, of before",
    ]);
    for case in cases {
        for wave in 0..WAVES {
            let spread = |of: &dyn Fn(&Run, &Wave) -> f64| case.spread(wave, of);
            table.row([
                case.filters.to_owned(),
                (wave + 1).to_string(),
                spread(&|_, wave| wave.seconds).show(1),
                spread(&|run, _| run.before.resident).show(1),
                spread(&|_, wave| wave.with_all.resident).show(1),
                spread(&|_, wave| wave.after.resident).show(1),
                spread(&|_, wave| wave.after.anonymous).show(1),
                spread(&|run, wave| wave.after.resident / run.before.resident).show(2),
            ]);
        }
    }
    table
}
