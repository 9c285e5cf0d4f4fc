//! An hour of a campus at ten times its rate: whether memory grows, and whether an answer is ever wrong.

use super::{Plan, Section, about_others, at, trend};
use crate::contestants::Server;
use crate::cost::{Cpu, Memory, Meter};
use crate::failure::{Failure, Outcome, While};
use crate::load::{Conduct, Errors, Exchange, Lived, Load, Requests, Until, crowd_setup};
use crate::report::chart::{self, Chart, Line};
use crate::report::spread::{Spread, number};
use crate::report::table::Table;
use crate::report::{Measured, Picture};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many clients there are, and how many pushes a minute.
const CLIENTS: usize = 5_000;
const PUSHES: f64 = 10_000.0;

/// Seconds between two samples.
const EVERY: f64 = 10.0;

/// For how long a client stays, on average, in seconds.
const STAY: f64 = 120.0;

/// What the daemon does by default, in seconds: how long it holds a request, and after how long a channel ends.
const HOLD: f64 = 20.0;
const EXPIRY: f64 = 300.0;

/// Of how many ended channels the daemon remembers the filter.
const REMEMBERED: usize = 50_000;

/// The part of the time that is left out of the trend, ten minutes of an hour: caches fill, threads take their first
/// memory, and channels gather until as many end as begin.
const WARM_UP: f64 = 1.0 / 6.0;

/// Measures it.
pub(super) fn measure(plan: &Plan<'_>) -> Outcome<Measured> {
    let minutes = plan.minutes.unwrap_or(plan.or_quick(60.0, 1.0));
    let (clients, pushes) = plan.or_quick((CLIENTS, PUSHES), (500, 1_000.0));
    // Short, so that some come back after it in a smoke check, too.
    let expiry = plan.or_quick(EXPIRY, 10.0);
    let directory = plan.workplace.directory("soak")?;
    eprintln!("  {} channels come and end, to be remembered", number(REMEMBERED as f64, 0));
    let remembered = age(plan, &directory).when("a daemon that has been up for a while")?;

    let daemon = plan.daemon().setup(crowd_setup()).set(&format!("http.hold={HOLD}s"));
    let server = daemon.set(&format!("http.channel_expiry={expiry}s")).start(&directory)?;
    let mut load = Load::start()?;
    load.gather(Conduct {
        at: server.subscribe,
        publish: server.publish,
        clients,
        pushes,
        sweep: None,
        stay: Some(plan.or_quick(STAY, 30.0)),
        hold: HOLD,
        expiry,
        reads: Some(2.0),
    })?;
    let meter = Meter::start(&server.pids, &[load.pid()])?;
    let begun = Instant::now();
    let mut samples: Vec<Sample> = Vec::new();
    while begun.elapsed().as_secs_f64() < minutes * 60.0 - 0.5 {
        // The next sample is taken when it is due, whatever the last one took.
        let next = (samples.len() + 1) as f64 * EVERY;
        let left = next.min(minutes * 60.0) - begun.elapsed().as_secs_f64();
        let lived = load.live(left.max(0.1))?;
        let sample = Sample::taken(&server, &directory, begun, samples.last(), lived)?;
        eprintln!("  {}", sample.line());
        samples.push(sample);
    }
    let spent = meter.read()?;
    let end = load.settle()?;
    let last = Sample::taken(&server, &directory, begun, samples.last(), end)?;
    drop(load);
    server.end()?;

    let right = last.lived.errors.count() == 0;
    let mut text = plan.heading_of(
        Section::Soak,
        &format!("{} minutes of pushes, and of clients that come and go", number(minutes, 1)),
        &format!("--minutes {minutes}"),
    );
    text.push_str(&format!("\n{}\n", told(clients, remembered)));
    let pushing = samples.last().map_or(f64::NAN, |sample| sample.seconds);
    text.push_str(&format!(
        "\nTo be pushed were {} a minute; {} were.\n",
        number(pushes, 0),
        number(last.lived.pushes as f64 / pushing * 60.0, 0)
    ));
    text.push_str(&format!("\n{}\n", sums(&last, pushing)));
    text.push_str(&format!("\n{}\n", figures(&samples, minutes)));
    text.push_str(&about_memory(&samples, minutes));
    text.push_str(&errors_line(&last.lived.errors));
    text.push_str(&about_others(&[spent.others]));
    let picture = picture(&samples, &last, minutes);
    Ok(Measured { markdown: text, pictures: vec![picture], right })
}

/// The state of things at a moment.
struct Sample {
    /// Since the beginning.
    seconds: f64,
    memory: Memory,
    cpu: Cpu,
    /// The share of a core that the daemon has had since the sample before.
    share: f64,
    /// Of the history and its log, in MiB.
    history: f64,
    wal: f64,
    lived: Lived,
}

impl Sample {
    fn taken(
        server: &Server,
        directory: &Path,
        begun: Instant,
        before: Option<&Sample>,
        lived: Lived,
    ) -> Outcome<Sample> {
        let size = |name| {
            std::fs::metadata(directory.join(name)).map_or(0.0, |metadata| metadata.len() as f64 / 1048576.0)
        };
        let (seconds, cpu) = (begun.elapsed().as_secs_f64(), Cpu::of(&server.pids)?);
        let share = |before: &Sample| (cpu - before.cpu).sum() / (seconds - before.seconds);
        Ok(Sample {
            seconds,
            memory: Memory::of(&server.pids)?,
            cpu,
            share: before.map_or(f64::NAN, share),
            history: size("history.sqlite3"),
            wal: size("history.sqlite3-wal"),
            lived,
        })
    }

    fn line(&self) -> String {
        let Lived { held, channels, pushes, updates, late, errors, latency, .. } = &self.lived;
        let cpu = self.share * 100.0;
        format!(
            "{:5.0} s: rss {:.2} MiB (anon {:.2}), cpu {cpu:.0} %, {held} held, {channels} channels, {pushes} pushes ({late} late), {updates} updates (p99 {:.1} ms), history {:.1} MiB, wal {:.1} MiB, {} errors",
            self.seconds,
            self.memory.resident,
            self.memory.anonymous,
            at(latency, 990),
            self.history,
            self.wal,
            errors.count()
        )
    }
}

/// A daemon that remembers as many filters as it may: what is bounded is full from the beginning, and no trend
/// of memory is its filling. Returns how many are on the disk.
fn age(plan: &Plan<'_>, directory: &Path) -> Outcome<usize> {
    let daemon = plan.daemon().setup(crowd_setup()).set("http.channel_expiry=500ms");
    let server = daemon.start(directory)?;
    Load::start()?.exchange(Exchange {
        at: server.subscribe,
        connections: 16,
        fresh: true,
        requests: Requests::Enter { rooms: 100 },
        until: Until::Answers(plan.or_quick(REMEMBERED, 1_000)),
    })?;
    // They end by themselves, and are saved together.
    std::thread::sleep(Duration::from_secs(3));
    server.end()?;
    let database = rusqlite::Connection::open(directory.join("history.sqlite3"))?;
    let count: i64 = database.query_row("SELECT count(*) FROM filters", [], |row| row.get(0))?;
    usize::try_from(count).map_err(|_| Failure::new("fewer than none"))
}

fn told(clients: usize, remembered: usize) -> String {
    format!(
        "{} clients at any time, each from an address of its own, with the daemon's own settings. Of their filters 70 % \
         let through one room of 100, 18 % two, 9 % a building, 1 % everything, 2 % nothing. A client stays for {STAY} s on \
         average, and leaves in the middle of a held request: 30 % in order, to come back soon with their token and hear \
         what they missed; 15 % without a word, to come back and ask for everything; 15 % to come back when their channel \
         has ended; 40 % for ever. New ones take their places. Of the pushes 55 % change one PC, 25 % some of a room, 15 % \
         say what is known, the others a room or five. The history is read at random places. Each answer is held against \
         all that was pushed: versions, PCs, states, rows. At the beginning the daemon remembers the filters of {} ended \
         channels, which is as many as it does.",
        number(clients as f64, 0),
        number(remembered as f64, 0)
    )
}

fn sums(last: &Sample, seconds: f64) -> Table {
    let lived = &last.lived;
    let mut table = Table::new(&["", "in all", "a second"]);
    for (what, count) in [
        ("pushes that were acknowledged", lived.pushes),
        ("of which changed something", lived.changes),
        ("pushes sent more than 1 s late", lived.late),
        ("rows of the history", lived.rows),
        ("answers", lived.answers),
        ("of which told updates", lived.updates),
        ("of which told all", lived.snapshots),
        ("of which told nothing, after 20 s", lived.empty),
        ("clients that came", lived.entered),
        ("clients that left in the middle of a held request", lived.left),
        ("of which came back to their channel", lived.returned),
        ("of which came back after its end", lived.revived),
        ("of which never come back", lived.abandoned),
        ("reads of up to 1,000 rows", lived.reads),
    ] {
        table.row([what.to_owned(), number(count as f64, 0), number(count as f64 / seconds, 1)]);
    }
    table
}

/// A row for each sixth of the time.
fn figures(samples: &[Sample], minutes: f64) -> Table {
    let mut table = Table::new(&[
        "until minute",
        "resident MiB",
        "of which anonymous",
        "CPU, % of a core",
        "held",
        "channels",
        "p50 ms",
        "p99 ms",
        "history MiB",
        "its log MiB",
        "errors",
    ]);
    for part in 1..=6 {
        let (from, until) = (minutes * 10.0 * f64::from(part - 1), minutes * 10.0 * f64::from(part));
        let of: Vec<&Sample> = samples
            .iter()
            .filter(|sample| sample.seconds > from + 1.0 && sample.seconds <= until + 1.0)
            .collect();
        if of.is_empty() {
            continue;
        }
        let median = |figure: &dyn Fn(&Sample) -> f64| {
            let known = of.iter().map(|sample| figure(sample)).filter(|figure| !figure.is_nan());
            known.collect::<Spread>().median().unwrap_or(0.0)
        };
        table.row([
            number(until / 60.0, 1),
            number(median(&|sample| sample.memory.resident), 2),
            number(median(&|sample| sample.memory.anonymous), 2),
            number(median(&|sample| sample.share * 100.0), 0),
            number(median(&|sample| sample.lived.held as f64), 0),
            number(median(&|sample| sample.lived.channels as f64), 0),
            number(median(&|sample| at(&sample.lived.latency, 500)), 1),
            number(median(&|sample| at(&sample.lived.latency, 990)), 1),
            number(median(&|sample| sample.history), 1),
            number(median(&|sample| sample.wal), 1),
            of.last().map_or(0, |sample| sample.lived.errors.count()).to_string(),
        ]);
    }
    table
}

/// Minutes and MiB, of the samples after the warm-up.
fn after_warm_up(samples: &[Sample], minutes: f64, of: fn(&Memory) -> f64) -> Vec<(f64, f64)> {
    let warm = samples.iter().filter(|sample| sample.seconds / 60.0 >= minutes * WARM_UP);
    warm.map(|sample| (sample.seconds / 60.0, of(&sample.memory))).collect()
}

fn about_memory(samples: &[Sample], minutes: f64) -> String {
    let hourly = |of| {
        let trend = trend::line(&after_warm_up(samples, minutes, of));
        trend.map_or_else(|| "?".to_owned(), |line| number(line.slope * 60.0, 2))
    };
    let caution = if minutes < 30.0 { " **That is too short for a trend.**" } else { "" };
    format!(
        "The table has medians. Memory grows by {} MiB an hour (resident; {} of it anonymous): the least-squares line through the \
         samples (one in {EVERY} s) from minute {} on. Before that caches fill, and channels gather until as many end as begin.{caution}\n",
        hourly(|memory| memory.resident),
        hourly(|memory| memory.anonymous),
        number(minutes * WARM_UP, 1),
    )
}

fn errors_line(errors: &Errors) -> String {
    let Errors { refused, lost, doubled, wrong, broken, views, first } = errors;
    let first: String = first.iter().map(|line| format!("\n- `{line}`")).collect();
    let bold = if errors.count() > 0 { "**" } else { "" };
    format!(
        "\n{bold}Errors: {}{bold} ({refused} answers that were not 200, {lost} changes lost, {doubled} doubled, {wrong} wrong \
         answers, {broken} connections broken, {views} wrong views in the end).{first}\n\n",
        errors.count()
    )
}

fn picture(samples: &[Sample], last: &Sample, minutes: f64) -> Picture {
    let points = |of: &dyn Fn(&Sample) -> f64| -> Vec<(f64, f64)> {
        samples.iter().map(|sample| (sample.seconds / 60.0, of(sample))).collect()
    };
    let line = |name: String, colour, points| Line { name, colour, points, ends: Vec::new(), label: None };
    let mut memory = vec![
        line("resident".to_owned(), 0, points(&|sample| sample.memory.resident)),
        line("of which anonymous".to_owned(), 3, points(&|sample| sample.memory.anonymous)),
    ];
    let resident = after_warm_up(samples, minutes, |memory| memory.resident);
    if let Some((trend, (first, end))) = trend::line(&resident).zip(resident.first().zip(resident.last())) {
        let part = |name, from, to| line(name, 2, [from, to].map(|x: f64| (x, trend.at(x))).to_vec());
        // Its name stands in the middle of the chart, away from those at the ends of the others.
        let middle = (first.0 + end.0) / 2.0;
        memory.push(part(format!("{} MiB an hour", number(trend.slope * 60.0, 2)), first.0, middle));
        memory.push(part(String::new(), middle, end.0));
    }
    let count = last.lived.errors.count();
    let answers = number(last.lived.answers as f64 / 1e6, 1);
    let charts = [
        Chart {
            title: format!("Memory of the daemon, {} clients", number(last.lived.held as f64, 0)),
            x: "minutes".to_owned(),
            y: "MiB".to_owned(),
            top: None,
            lines: memory,
        },
        Chart {
            title: format!("Errors in {answers} million answers"),
            x: "minutes".to_owned(),
            y: "refused, lost, doubled, wrong or broken, in all".to_owned(),
            top: None,
            lines: vec![line(
                format!("{count} errors"),
                2,
                points(&|sample| sample.lived.errors.count() as f64),
            )],
        },
    ];
    Picture {
        file: "soak.svg".to_owned(),
        shows: format!("Memory of the daemon, and errors, over {} minutes", number(minutes, 0)),
        svg: chart::svg(&charts, 1.0),
    }
}
