//! The load program: a process of its own, so that what a server costs is the server's alone.
//!
//! It is told what to do as a line of JSON on its standard input, and says what came of it as a line on its standard
//! output. It has one thread and one epoll, and does two system calls a delivery: what it takes of the machine, the
//! server cannot have.

mod answer;
mod crowd;
pub(crate) mod dialect;
mod exchange;
mod fanout;
mod hops;
mod orders;
mod publisher;
mod slow;
mod socket;
mod tally;

pub(crate) use answer::Answer;
pub(crate) use crowd::{Conduct, Errors, Lived, setup as crowd_setup};
pub(crate) use hops::{Hopped, Hops};
pub(crate) use orders::{Exchange, Exchanged, Fanned, Filters, Opened, Opening, Order, Requests, Until};
pub(crate) use slow::{Gone, Kind, Slowness};

use crate::failure::{Failure, Outcome};
use crate::process::{Process, Setting};
use crowd::Crowd;
use fanout::Fanout;
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};

/// A load program that runs, as the process that measures has it.
pub(crate) struct Load {
    process: Process,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Load {
    /// Starts one.
    pub(crate) fn start() -> Outcome<Load> {
        let setting = Setting { stdin: Stdio::piped(), stdout: Stdio::piped(), ..Setting::default() };
        let mut process = Process::part("the load program", &["load".into()], setting)?;
        let pipes = process.child.stdin.take().zip(process.child.stdout.take());
        let (orders, answers) = pipes.ok_or_else(|| Failure::new("no pipes"))?;
        Ok(Load { process, orders, answers: BufReader::new(answers) })
    }

    /// By what the system knows it.
    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Opens requests until so many are held.
    pub(crate) fn open(&mut self, opening: Opening) -> Outcome<Opened> {
        self.give(&Order::Open(opening))
    }

    /// Publishes so many updates, one after the other.
    pub(crate) fn fan_out(&mut self, rounds: usize) -> Outcome<Fanned> {
        self.give(&Order::FanOut { rounds })
    }

    /// How many answers come to the held requests although nothing was published for them.
    pub(crate) fn strays(&mut self) -> Outcome<u64> {
        self.give(&Order::Listen)
    }

    /// Sends requests on some connections, each as soon as the last one is answered.
    pub(crate) fn exchange(&mut self, exchange: Exchange) -> Outcome<Exchanged> {
        self.give(&Order::Exchange(exchange))
    }

    /// Lets a crowd in.
    pub(crate) fn gather(&mut self, conduct: Conduct) -> Outcome<()> {
        self.give(&Order::Gather(conduct))
    }

    /// Has the crowd live on for so many seconds; what has happened in all of its time.
    pub(crate) fn live(&mut self, seconds: f64) -> Outcome<Lived> {
        self.give(&Order::Live { seconds })
    }

    /// Pushes no more to the crowd, and looks at what each of it sees.
    pub(crate) fn settle(&mut self) -> Outcome<Lived> {
        self.give(&Order::Settle)
    }

    /// Connects clients that are slow; what became of each kind of them.
    pub(crate) fn be_slow(&mut self, slowness: Slowness) -> Outcome<Vec<Gone>> {
        self.give(&Order::BeSlow(slowness))
    }

    /// Measures updates over levels of mirrors.
    pub(crate) fn hop(&mut self, hops: Hops) -> Outcome<Hopped> {
        self.give(&Order::Hop(hops))
    }

    fn give<T: DeserializeOwned>(&mut self, order: &Order) -> Outcome<T> {
        writeln!(self.orders, "{}", serde_json::to_string(order)?)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Result<T, String> = serde_json::from_str(&line)
            .map_err(|error| Failure::new(format!("the load program: {error} in {line:?}")))?;
        answer.map_err(Failure::new)
    }
}

/// Does what it is told, until there is nobody to tell it.
pub(crate) fn serve() -> Outcome<()> {
    let mut fanout = None;
    let mut crowd = None;
    for line in std::io::stdin().lock().lines() {
        match serde_json::from_str(&line?)? {
            Order::Open(opening) => {
                let held = opening.held;
                say(Fanout::new(opening).and_then(|new| fanout.insert(new).open(held)))?;
            }
            Order::FanOut { rounds } => say(of(&mut fanout)?.fan_out(rounds))?,
            Order::Listen => say(of(&mut fanout)?.listen())?,
            Order::Exchange(exchange) => say(exchange::run(exchange))?,
            Order::Gather(conduct) => say(Crowd::new(conduct).map(|new| crowd = Some(new)))?,
            Order::Live { seconds } => say(of(&mut crowd)?.live(seconds))?,
            Order::BeSlow(slowness) => say(slow::run(slowness))?,
            Order::Hop(hops) => say(hops::run(&hops))?,
            Order::Settle => say(of(&mut crowd)?.settle())?,
        }
    }
    Ok(())
}

fn of<T>(one: &mut Option<T>) -> Outcome<&mut T> {
    one.as_mut().ok_or_else(|| Failure::new("nothing is held yet"))
}

fn say<T: Serialize>(done: Outcome<T>) -> Outcome<()> {
    let line = serde_json::to_string(&done.map_err(|failure| failure.to_string()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
