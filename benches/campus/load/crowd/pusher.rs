//! Who pushes to a crowd: login watchers and scripts, each push after the other.

use super::campus::{self, CODES, PCS, PER_ROOM, ROOMS};
use super::client::shown;
use super::random::Random;
use super::truth::Truth;
use crate::failure::{Failure, Outcome, While};
use crate::load::answer::Answer;
use crate::load::dialect::post;
use crate::load::socket::{self, End};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

/// How many sources there are.
const SOURCES: usize = 20;

/// How many pushes may wait for their answers.
pub(super) const LINES: usize = 16;

/// Every so many pushes one is the last of its connection: a login watcher's has one of its own.
const LAST: u64 = 5;

/// Pushes. The next push follows when the daemon is known to have taken the one before, so that each version is known
/// beforehand: when a client was told of it, or when it was answered. The answers themselves, which come from the
/// disk, may be behind.
pub(super) struct Pusher {
    to: SocketAddrV4,
    /// The token of the first line; those of the others follow.
    first: usize,
    lines: Vec<Line>,
    /// Between two pushes, and between two that change all.
    every: Duration,
    sweep: Option<Duration>,
    due: Option<Instant>,
    sweep_due: Option<Instant>,
    sent: u64,
    /// The last push, while it is not known to have been taken.
    last: Last,
}

/// How far the last push is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Last {
    /// It was answered.
    Answered,
    /// It made this version, once it is taken.
    Makes(u64),
    /// It changes nothing, and so only its answer tells.
    ChangesNothing,
}

/// A connection, or the place of one.
#[derive(Default)]
struct Line {
    stream: Option<TcpStream>,
    /// Whether something was answered on it.
    is_used: bool,
    request: Vec<u8>,
    part: Vec<u8>,
    waiting: Option<Waiting>,
}

/// A push that is still to be answered.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    number: u64,
    is_change: bool,
    /// How many rows the history has with it.
    rows: usize,
}

/// What came of a push.
pub(super) struct Pushed {
    pub(super) is_change: bool,
    /// How many rows the history must have now.
    pub(super) rows: usize,
    /// The line, where it was not acknowledged as it should be.
    pub(super) refused: Option<String>,
}

impl Pusher {
    /// Pushes to `to`, so many times a minute.
    pub(super) fn new(to: SocketAddrV4, first: usize, a_minute: f64, sweep: Option<f64>) -> Pusher {
        Pusher {
            to,
            first,
            lines: (0..LINES).map(|_| Line::default()).collect(),
            every: Duration::from_secs_f64(60.0 / a_minute.max(0.001)),
            sweep: sweep.map(Duration::from_secs_f64),
            due: None,
            sweep_due: None,
            sent: 0,
            last: Last::Answered,
        }
    }

    /// The first push, which tells of all PCs; waits for its answer.
    pub(super) fn prime(&mut self, registry: &Registry, state: u8) -> Outcome<()> {
        let all: Vec<(usize, u8)> = (0..PCS).map(|pc| (pc, state)).collect();
        self.send(registry, 0, &all, true, PCS)?;
        for _ in 0..60_000 {
            if let Some(pushed) = self.ready(registry, 0)? {
                return pushed.refused.map_or(Ok(()), |line| Err(Failure::new(line)));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Failure::new("the first push is not answered"))
    }

    /// The pushes begin now, if they have not begun.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.due.is_none() {
            self.due = Some(now);
            self.sweep_due = self.sweep.map(|sweep| now + sweep);
        }
    }

    /// When something is to be pushed; not while the one before may not have been taken.
    pub(super) fn due(&self, truth: &Truth) -> Option<Instant> {
        let is_taken = match self.last {
            Last::Answered => true,
            Last::Makes(version) => truth.told() >= version,
            Last::ChangesNothing => false,
        };
        let has_line = self.lines.iter().any(|line| line.waiting.is_none());
        self.due.filter(|_| is_taken && has_line)
    }

    /// Whether an answer is waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.lines.iter().any(|line| line.waiting.is_some())
    }

    /// Pushes what is due; whether it is more than a second late.
    pub(super) fn push(
        &mut self,
        registry: &Registry,
        truth: &mut Truth,
        random: &mut Random,
        now: Instant,
    ) -> Outcome<bool> {
        let due = self.due.unwrap_or(now);
        let is_late = now.saturating_duration_since(due) > Duration::from_secs(1);
        self.due = Some(due + self.every);
        let source = random.below(SOURCES);
        let states = match (self.sweep_due, self.sweep) {
            (Some(due), Some(sweep)) if due <= now => {
                self.sweep_due = Some(now + sweep);
                (0..PCS).map(|pc| (pc, other(truth.state(pc), random))).collect()
            }
            _ => drawn(truth, random),
        };
        let is_change = truth.push(source, &states, now);
        self.last = if is_change { Last::Makes(truth.version()) } else { Last::ChangesNothing };
        self.send(registry, source, &states, is_change, truth.rows())?;
        Ok(is_late)
    }

    /// A connection is ready for something; what came of its push, once that is known.
    pub(super) fn ready(&mut self, registry: &Registry, at: usize) -> Outcome<Option<Pushed>> {
        let to = self.to;
        let Some(line) = self.lines.get_mut(at) else { return Ok(None) };
        let Some(connection) = &mut line.stream else { return Ok(None) };
        let mut buffer = [0; 4096];
        match connection.read(&mut buffer) {
            Ok(0) => {
                // One on which nothing was pushed for a while; if something just was, it comes again on another.
                registry.deregister(connection)?;
                line.stream = None;
                if line.waiting.is_none() {
                    return Ok(None);
                }
                if !line.is_used {
                    return Err(Failure::new("a push's connection was closed by the server"));
                }
                line.send(to, at, registry, Token(self.first + at))?;
                return Ok(None);
            }
            Ok(length) => line.part.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error).when("a push"),
        }
        let Some(waiting) = line.waiting else { return Err(Failure::new("an answer to no push")) };
        let Some(answer) = Answer::first(&line.part).map_err(Failure::new)? else { return Ok(None) };
        let is_right = answer.status == 200 && answer.body == b"true";
        let refused =
            (!is_right).then(|| format!("a push was answered {}: {}", answer.status, shown(answer.body)));
        line.part.clear();
        (line.waiting, line.is_used) = (None, true);
        if waiting.number.is_multiple_of(LAST)
            && let Some(mut stream) = line.stream.take()
        {
            registry.deregister(&mut stream)?;
        }
        if waiting.number == self.sent {
            self.last = Last::Answered;
        }
        Ok(Some(Pushed { is_change: waiting.is_change, rows: waiting.rows, refused }))
    }

    fn send(
        &mut self,
        registry: &Registry,
        source: usize,
        states: &[(usize, u8)],
        is_change: bool,
        rows: usize,
    ) -> Outcome<()> {
        self.sent += 1;
        let Some(at) = self.lines.iter().position(|line| line.waiting.is_none()) else { return Ok(()) };
        let Some(line) = self.lines.get_mut(at) else { return Ok(()) };
        line.waiting = Some(Waiting { number: self.sent, is_change, rows });
        line.request = post("/push", &campus::push_body(source, states));
        line.send(self.to, source, registry, Token(self.first + at))
    }
}

impl Line {
    /// Sends its request, on a new connection if there is none.
    fn send(&mut self, to: SocketAddrV4, number: usize, registry: &Registry, token: Token) -> Outcome<()> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let mut connection = socket::connect(to, number, End::Close)?;
                registry.register(&mut connection, token, Interest::READABLE)?;
                self.is_used = false;
                none.insert(connection)
            }
        };
        write_all(stream, &self.request).when("a push")
    }
}

/// Writes all of a request; one that tells of all PCs may take the server a moment.
fn write_all(stream: &mut TcpStream, request: &[u8]) -> io::Result<()> {
    let mut rest = request;
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(length) => rest = rest.get(length..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_micros(100));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is reported next: mostly one PC where somebody came or left; some of a room; a room that is switched on or
/// off; what is known already; and now and then some rooms, of which half the PCs are as they were.
fn drawn(truth: &Truth, random: &mut Random) -> Vec<(usize, u8)> {
    let room = random.below(ROOMS);
    let of_room = |room: usize, count: usize, first: usize| {
        (0..count).map(move |at| room * PER_ROOM + (first + at) % PER_ROOM)
    };
    let first = random.below(PER_ROOM);
    match random.below(100) {
        0..55 => of_room(room, 1, first).map(|pc| (pc, other(truth.state(pc), random))).collect(),
        55..80 => {
            let count = 2 + random.below(3);
            of_room(room, count, first).map(|pc| (pc, other(truth.state(pc), random))).collect()
        }
        80..95 => {
            let count = 1 + random.below(4);
            of_room(room, count, first).map(|pc| (pc, truth.state(pc))).collect()
        }
        95..99 => {
            let state = random.below(CODES.len()) as u8;
            of_room(room, PER_ROOM, 0).map(|pc| (pc, state)).collect()
        }
        _ => (0..5)
            .flat_map(|at| of_room((room + at) % ROOMS, PER_ROOM, 0))
            .map(|pc| {
                let state = truth.state(pc);
                (pc, if random.below(2) == 0 { state } else { other(state, random) })
            })
            .collect(),
    }
}

fn other(state: u8, random: &mut Random) -> u8 {
    let count = CODES.len();
    ((usize::from(state) + 1 + random.below(count - 1)) % count) as u8
}
