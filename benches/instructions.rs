//! How many instructions each case takes, held against those that are recorded in `instructions.toml`.
//!
//!     cargo bench --locked --bench instructions                    counts all, and fails where there are more
//!     cargo bench --locked --bench instructions -- core/push       those cases alone whose names begin so
//!     cargo bench --locked --bench instructions -- --record        records what is counted now
//!     cargo bench --locked --bench instructions -- --runs 10       shows how far ten runs are apart
//!
//! A clock on a shared machine is off by a tenth from minute to minute; a count is not. Each case runs in
//! a process of its own under valgrind's callgrind, which counts while [`counted`] runs, and nothing else.
//! The crate gungraun does that with a runner of its own, to be installed in the same version, and keeps
//! its baselines outside the repository; this needs valgrind alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is no part of the daemon")]

mod baseline;
mod fixtures;

use baseline::{Baseline, Makers, PATH, Verdict};
use fixtures::{Measured, cases};
use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the process of one case is started with, before the name of the case.
const ONE: &str = "--one";

/// The C library copies memory in other ways on other processors, which makes up to a tenth of a count.
/// Counted is the way that all of them have. (The names are those of glibc; one that it does not know it
/// passes over.)
const PLAINEST: &str =
    "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-AVX_Fast_Unaligned_Load,-AVX512VL,-EVEX,-ERMS,-FSRM,-SSSE3";

/// Of how many runs the middle is recorded.
const RECORDED_RUNS: usize = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, name] = arguments.as_slice()
        && first == ONE
    {
        run_one(name);
        return ExitCode::SUCCESS;
    }
    match Wanted::read(&arguments).and_then(|wanted| wanted.done()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// What is wanted of this program.
struct Wanted {
    /// Whether to count, as `cargo bench` has it. Without, as in `cargo test --benches`, each case is run once.
    count: bool,
    record: bool,
    runs: Option<usize>,
    /// How the names begin.
    beginning: String,
}

impl Wanted {
    fn read(arguments: &[String]) -> Result<Wanted, String> {
        let mut wanted = Wanted { count: false, record: false, runs: None, beginning: String::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => wanted.count = true,
                "--record" => wanted.record = true,
                "--runs" => {
                    let runs = arguments.next().and_then(|text| text.parse().ok()).filter(|runs| *runs > 0);
                    wanted.runs = Some(runs.ok_or("--runs needs a number")?);
                }
                // `cargo test --benches` says so.
                "--test" => {}
                option if option.starts_with('-') => return Err(format!("no such option: {option}")),
                name => wanted.beginning = name.to_owned(),
            }
        }
        if wanted.record && !wanted.beginning.is_empty() {
            return Err("all cases are recorded together".to_owned());
        }
        Ok(wanted)
    }

    /// True where nothing is amiss.
    fn done(&self) -> Result<bool, String> {
        let names: Vec<&str> = cases().iter().map(|case| case.name).collect();
        let names: Vec<&str> = names.into_iter().filter(|name| name.starts_with(&self.beginning)).collect();
        if names.is_empty() {
            return Err(format!("no case begins with \"{}\"", self.beginning));
        }
        if !self.count {
            names.into_iter().for_each(run_one);
            return Ok(true);
        }
        let makers = Makers::present()?;
        let runs = self.runs.unwrap_or(if self.record { RECORDED_RUNS } else { 1 });
        let counts = count_all(&names, runs)?;
        let middles: BTreeMap<String, u64> =
            counts.iter().map(|(name, counts)| ((*name).to_owned(), counts[counts.len() / 2])).collect();
        if runs > 1 {
            show_spread(&counts);
        }
        if self.record {
            Baseline::new(makers, middles).write()?;
            println!("recorded in {PATH}");
            return Ok(true);
        }
        let baseline = Baseline::read()?;
        let verdict = baseline.judge(&makers, &middles, &self.beginning);
        show(&baseline, &middles, &verdict);
        Ok(verdict.failures.is_empty())
    }
}

/// The one place where instructions are counted: callgrind is told its name.
#[inline(never)]
fn counted(measured: &mut dyn Measured) {
    measured.run();
}

/// The process of one case.
fn run_one(name: &str) {
    let case = cases().into_iter().find(|case| case.name == name).expect("a case of this name");
    let mut measured = case.make();
    // What is done once a process, as memory that grows to its size, is done here.
    measured.prepare();
    measured.run();
    measured.check();
    measured.prepare();
    counted(measured.as_mut());
    measured.check();
    println!("operations: {}", measured.operations());
}

/// Counts each case so many times, on all processors; the counts of each stand in order.
fn count_all<'a>(names: &[&'a str], runs: usize) -> Result<BTreeMap<&'a str, Vec<u64>>, String> {
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(Ok(BTreeMap::<&str, Vec<u64>>::new()));
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed) / runs) {
            let count = count(name);
            let mut counts = counts.lock().unwrap();
            match (counts.as_mut(), count) {
                (Ok(counts), Ok(count)) => counts.entry(name).or_default().push(count),
                (_, Err(why)) => *counts = Err(why),
                (Err(_), _) => return,
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut counts = counts.into_inner().unwrap()?;
    counts.values_mut().for_each(|counts| counts.sort_unstable());
    Ok(counts)
}

/// How many instructions one operation of a case takes.
fn count(name: &str) -> Result<u64, String> {
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = place.path().join("callgrind.out");
    let run = Command::new("valgrind")
        .env("GLIBC_TUNABLES", PLAINEST)
        .args(["--tool=callgrind", "--toggle-collect=instructions::counted*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().map_err(|error| error.to_string())?)
        .args([ONE, name])
        .output()
        .map_err(|error| format!("valgrind cannot be run: {error} (apt-get install valgrind)"))?;
    let said = |stream: &[u8]| String::from_utf8_lossy(stream).into_owned();
    if !run.status.success() {
        return Err(format!("{name} ended with {}:\n{}", run.status, said(&run.stderr)));
    }
    let number_after = |text: &str, key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .and_then(|number| number.trim().parse::<u64>().ok())
    };
    let operations = number_after(&said(&run.stdout), "operations:");
    let profile = std::fs::read_to_string(&out).map_err(|error| error.to_string())?;
    match (number_after(&profile, "totals:"), operations) {
        (Some(count), Some(operations)) if count > 0 && operations > 0 => Ok(count / operations),
        _ => Err(format!("{name} was not counted:\n{}", said(&run.stderr))),
    }
}

fn show(baseline: &Baseline, counts: &BTreeMap<String, u64>, verdict: &Verdict) {
    println!("{:<50} {:>12} {:>12} {:>8}", "instructions an operation", "now", "recorded", "%");
    for (name, count) in counts {
        match baseline.recorded(name) {
            Some(recorded) => {
                let percent = baseline::percent(*count, recorded);
                println!("{name:<50} {count:>12} {recorded:>12} {percent:>+8.2}");
            }
            None => println!("{name:<50} {count:>12}"),
        }
    }
    // `.ci/run` tells the notes again, at its end.
    verdict.notes.iter().for_each(|note| println!("NOTE: {note}"));
    verdict.failures.iter().for_each(|failure| println!("FAILED: {failure}"));
    if !verdict.failures.is_empty() {
        println!(
            "If it has to cost that much, record it: cargo bench --locked --bench instructions -- --record"
        );
    }
}

fn show_spread(counts: &BTreeMap<&str, Vec<u64>>) {
    println!("{:<50} {:>12} {:>12} {:>8}", "instructions an operation", "least", "most", "%");
    for (name, counts) in counts {
        if let [least, .., most] = counts.as_slice() {
            println!("{name:<50} {least:>12} {most:>12} {:>+8.2}", baseline::percent(*most, *least));
        }
    }
}
