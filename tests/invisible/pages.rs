//! Pages as they are deployed (F1, F3 of the faults): script transport without an error handler. One refused
//! connection, one reply that is not 200 or not in its callback, one update for a PC that no roomMap has named, and a
//! page is frozen until somebody reloads it. It does again only what its browser does by itself: a request on a
//! connection that was used before, and was closed without one byte of an answer, goes out once more on a new one.
//!
//! All of them live on one thread, in one epoll loop.

use crate::ledger::{Ledger, digest};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// What pages put up with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Nothing but what a browser repairs.
    None,
    /// Connections that are cut: after a crash nobody can answer on them.
    Cuts,
}

/// What the loop tells others while it runs.
#[derive(Default)]
pub(crate) struct Watched {
    /// Ends the loop.
    pub(crate) stop: AtomicBool,
    /// What `arrived` counts.
    pub(crate) awaited: AtomicU64,
    /// Pages whose view has the awaited digest.
    pub(crate) arrived: AtomicUsize,
    /// Pages that have had a snapshot.
    pub(crate) begun: AtomicUsize,
    /// Pages that are frozen.
    pub(crate) frozen: AtomicUsize,
}

/// A page.
#[derive(Default)]
pub(crate) struct Page {
    stage: Stage,
    stream: Option<TcpStream>,
    /// Since when it has this connection.
    connected: Option<Instant>,
    /// Whether this connection has carried an answer before.
    used: bool,
    read: Vec<u8>,
    number: usize,
    requests: usize,
    token: Option<String>,
    /// PCs that a roomMap has named.
    named: HashSet<String>,
    /// What it shows.
    pub(crate) occupation: HashMap<String, String>,
    /// Room key and PCs.
    pub(crate) rooms: Value,
    digest: u64,
    version: Option<u64>,
    /// Since when it has been without a connection that it was answered on.
    cut_off: Option<Instant>,
    /// Why it is frozen.
    pub(crate) frozen: Option<String>,
    pub(crate) tally: Tally,
}

/// What a page has lived through.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) answers: usize,
    pub(crate) updates: usize,
    pub(crate) snapshots: usize,
    pub(crate) welcomes: usize,
    /// Answers that were the last on their connection.
    pub(crate) last_answers: usize,
    /// Requests that went out once more.
    pub(crate) repeated: usize,
    /// The longest from the end of a connection to the next answer.
    pub(crate) longest_gap: Duration,
    /// The longest from a push to the reply that has it, or a later one in its place.
    pub(crate) longest_update: Duration,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It waits before it connects or asks, as a network would have it wait.
    #[default]
    Resting,
    Connecting,
    Asking,
    Frozen,
}

/// How pages meet the daemon, and what they are held against.
pub(crate) struct Setting {
    pub(crate) address: SocketAddr,
    pub(crate) patience: Patience,
    /// Exact where versions follow from the pushes alone: not after a crash.
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) watched: Arc<Watched>,
}

struct Loop {
    setting: Setting,
    poll: Poll,
    pages: Vec<Page>,
    /// When pages that rest go on; the earliest first.
    alarms: BinaryHeap<(std::cmp::Reverse<Instant>, usize)>,
}

/// Runs so many pages until they are told to stop.
pub(crate) fn run(count: usize, setting: Setting) -> io::Result<Vec<Page>> {
    let pages = (0..count).map(|number| Page { number, ..Page::default() }).collect();
    let mut all = Loop { setting, poll: Poll::new()?, pages, alarms: BinaryHeap::new() };
    for number in 0..count {
        all.alarms.push((std::cmp::Reverse(Instant::now()), number));
    }
    let mut events = Events::with_capacity(1024);
    let mut told = Instant::now();
    while !all.setting.watched.stop.load(SeqCst) {
        all.poll.poll(&mut events, Some(Duration::from_millis(5)))?;
        for event in &events {
            let number = event.token().0;
            let arrived = if all.pages[number].stage == Stage::Connecting {
                all.connected(number)
            } else {
                all.readable(number)
            };
            if let Err(why) = arrived {
                all.freeze(number, why);
            }
        }
        let now = Instant::now();
        while let Some((at, number)) = all.alarms.peek().copied()
            && at.0 <= now
        {
            all.alarms.pop();
            if let Err(why) = all.go_on(number) {
                all.freeze(number, why);
            }
        }
        if now.duration_since(told) > Duration::from_millis(20) {
            told = now;
            all.tell();
        }
    }
    Ok(all.pages)
}

impl Loop {
    fn tell(&self) {
        let watched = &self.setting.watched;
        let awaited = watched.awaited.load(SeqCst);
        let count = |of: fn(&Page, u64) -> bool| self.pages.iter().filter(|page| of(page, awaited)).count();
        watched
            .arrived
            .store(count(|page, awaited| page.digest == awaited && page.version.is_some()), SeqCst);
        watched.begun.store(count(|page, _| page.tally.snapshots > 0), SeqCst);
        watched.frozen.store(count(|page, _| page.frozen.is_some()), SeqCst);
    }

    fn freeze(&mut self, number: usize, why: String) {
        let page = &mut self.pages[number];
        page.stage = Stage::Frozen;
        page.stream = None;
        page.frozen.get_or_insert(why);
    }

    /// A third of the pages are as far away as a phone, or further; the others ask at once.
    fn rest(&mut self, number: usize) {
        let page = &mut self.pages[number];
        page.stage = Stage::Resting;
        let distance = if number.is_multiple_of(3) { (number * 7 + page.requests * 61) % 200 } else { 0 };
        let at = Instant::now() + Duration::from_millis(distance as u64);
        self.alarms.push((std::cmp::Reverse(at), number));
    }

    fn go_on(&mut self, number: usize) -> Result<(), String> {
        if self.pages[number].stage != Stage::Resting {
            return Ok(());
        }
        if self.pages[number].stream.is_some() { self.ask(number) } else { self.connect(number) }
    }

    fn connect(&mut self, number: usize) -> Result<(), String> {
        let connect = || -> io::Result<TcpStream> {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            // From several addresses: each has but so many ports, and those of closed connections stay taken.
            socket.bind(&SocketAddr::from(([127, 0, 0, 2 + (number % 200) as u8], 0)).into())?;
            socket.set_tcp_nodelay(true)?;
            socket.set_nonblocking(true)?;
            match socket.connect(&self.setting.address.into()) {
                Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                    return Err(error);
                }
                _ => {}
            }
            let mut stream = TcpStream::from_std(socket.into());
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(number), interest)?;
            Ok(stream)
        };
        let stream = connect().map_err(|error| format!("it cannot connect: {error}"))?;
        let page = &mut self.pages[number];
        page.stream = Some(stream);
        page.used = false;
        page.read.clear();
        page.stage = Stage::Connecting;
        page.connected = Some(Instant::now());
        // On one machine it is connected as a rule, and then no time is lost.
        self.connected(number)
    }

    fn connected(&mut self, number: usize) -> Result<(), String> {
        let page = &mut self.pages[number];
        let Some(stream) = &page.stream else { return Ok(()) };
        match stream
            .take_error()
            .and_then(|error| error.map_or(Ok(()), Err))
            .and_then(|()| stream.peer_addr())
        {
            // Some ask as soon as they are connected, and others a while later.
            Ok(_) if number.is_multiple_of(6) => self.rest(number),
            Ok(_) => self.ask(number)?,
            Err(error) if error.kind() == ErrorKind::NotConnected => {}
            Err(error) => return self.cut(number, &format!("a connection failed: {error}")),
        }
        Ok(())
    }

    fn ask(&mut self, number: usize) -> Result<(), String> {
        let page = &mut self.pages[number];
        page.requests += 1;
        let m = match &page.token {
            Some(token) => format!("[\"{token}\"]"),
            None => {
                "[null,{\"type\":\"set_msgFilter\",\"occupation\":null,\"roomMap\":null,\"schedule\":null},\
                     {\"type\":\"get_roomMap\"},{\"type\":\"get_schedule\"},{\"type\":\"get_occupation\"}]"
                    .to_owned()
            }
        };
        let request = format!(
            "GET /?c={}&m={}&_={} HTTP/1.1\r\nHost: display\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n",
            callback(number),
            escaped(&m),
            page.requests
        );
        page.stage = Stage::Asking;
        let Some(stream) = &mut page.stream else { return Ok(()) };
        match stream.write(request.as_bytes()) {
            Ok(n) if n == request.len() => Ok(()),
            Ok(_) => Err("its request did not fit into the socket".into()),
            Err(error) => self.cut(number, &format!("its request was not taken: {error}")),
        }
    }

    fn readable(&mut self, number: usize) -> Result<(), String> {
        let mut buffer = [0; 32 * 1024];
        loop {
            let page = &mut self.pages[number];
            let Some(stream) = &mut page.stream else { return Ok(()) };
            match stream.read(&mut buffer) {
                Ok(0) => return self.cut(number, "its connection was closed"),
                Ok(n) => page.read.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.cut(number, &format!("its connection failed: {error}")),
            }
            while let Some((answer, length)) = whole(&self.pages[number].read)? {
                let page = &mut self.pages[number];
                if page.stage != Stage::Asking {
                    return Err("an answer came to nothing that it asked".into());
                }
                page.read.drain(..length);
                page.take(&answer, &self.setting)?;
                page.used = true;
                if answer.closes {
                    page.tally.last_answers += 1;
                    page.cut_off = Some(Instant::now());
                    page.stream = None;
                }
                self.rest(number);
            }
        }
    }

    /// The connection ended, or is broken.
    fn cut(&mut self, number: usize, why: &str) -> Result<(), String> {
        let may_be_cut = self.setting.patience == Patience::Cuts;
        let page = &mut self.pages[number];
        page.stream = None;
        let was_asking = page.stage == Stage::Asking;
        // A browser's own repair: nothing of an answer has come, on a connection that it had before.
        let repairs = page.used && page.read.is_empty();
        if !repairs && !may_be_cut {
            let part = if page.read.is_empty() { "without an answer" } else { "within an answer" };
            let age = page.connected.map(|since| since.elapsed()).unwrap_or_default();
            return Err(format!("{why} {part}, {age:.1?} after it was made; it had asked: {was_asking}"));
        }
        page.read.clear();
        page.cut_off.get_or_insert_with(Instant::now);
        if was_asking {
            page.tally.repeated += 1;
        }
        self.rest(number);
        Ok(())
    }
}

/// An answer as far as a script tag looks at it.
struct Answer {
    status: u16,
    closes: bool,
    body: Vec<u8>,
}

/// The answer that `read` begins with and its length, if it is all there.
fn whole(read: &[u8]) -> Result<Option<(Answer, usize)>, String> {
    let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let length: Option<usize> = header("content-length:").and_then(|length| length.parse().ok());
    let (Some(status), Some(length)) = (status, length) else { return Err(format!("no answer: {head}")) };
    let whole = end + 4 + length;
    let Some(body) = read.get(end + 4..whole) else { return Ok(None) };
    let closes = header("connection:") == Some("close");
    Ok(Some((Answer { status, closes, body: body.to_vec() }, whole)))
}

impl Page {
    fn take(&mut self, answer: &Answer, setting: &Setting) -> Result<(), String> {
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status != 200 {
            return Err(format!("it was answered {}: {text}", answer.status));
        }
        let list = text
            .strip_prefix(&format!("/**/{}(", callback(self.number)))
            .and_then(|rest| rest.trim_end().strip_suffix(");"))
            .ok_or_else(|| format!("an answer without its callback: {text}"))?;
        let list: Value = serde_json::from_str(list).map_err(|error| format!("{error}: {text}"))?;
        let (Some(token), Some(messages)) = (list[0].as_str(), list[1].as_array()) else {
            return Err(format!("no list of three: {text}"));
        };
        if self.token.get_or_insert_with(|| token.to_owned()) != token {
            return Err(format!("an alert box: its token changed to {token}"));
        }
        self.tally.answers += 1;
        if let Some(since) = self.cut_off.take_if(|_| !answer.closes) {
            self.tally.longest_gap = self.tally.longest_gap.max(since.elapsed());
        }
        for message in messages {
            self.hear(message, setting)?;
        }
        Ok(())
    }

    fn hear(&mut self, message: &Value, setting: &Setting) -> Result<(), String> {
        match message["type"].as_str().unwrap_or_default() {
            "welcome" => self.tally.welcomes += 1,
            "roomMap" => {
                self.rooms = message["roomMap"].clone();
                let pcs = self.rooms.as_object().into_iter().flat_map(|rooms| rooms.values());
                let pcs = pcs.flat_map(|room| room[1].as_array().into_iter().flatten());
                self.named = pcs.filter_map(|pc| pc.as_str().map(str::to_owned)).collect();
            }
            "occupation" => {
                self.tally.snapshots += 1;
                self.occupation.clear();
                self.digest = 0;
                self.show(&message["occupation"])?;
                self.at(&message["version"], setting)?;
            }
            "occupation_update" => {
                self.tally.updates += 1;
                self.show(&message["update"])?;
                self.at(&message["version"], setting)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn show(&mut self, states: &Value) -> Result<(), String> {
        for (pc, state) in states.as_object().ok_or("no states")? {
            if !self.named.contains(pc) {
                return Err(format!("an exception: {pc} is in no room of its roomMap"));
            }
            let state = state.as_str().ok_or("no state")?;
            if let Some(before) = self.occupation.insert(pc.clone(), state.to_owned()) {
                self.digest ^= digest(pc, &before);
            }
            self.digest ^= digest(pc, state);
        }
        Ok(())
    }

    /// What it shows is the state at this version, whole: nothing before it was missed.
    fn at(&mut self, version: &Value, setting: &Setting) -> Result<(), String> {
        let version = version.as_u64().ok_or("no version")?;
        let before = self.version.replace(version);
        if before.is_some_and(|before| version < before) {
            return Err(format!("the version fell from {before:?} to {version}"));
        }
        if setting.patience == Patience::Cuts {
            return Ok(());
        }
        if setting.ledger.digest_at(version) != Some(self.digest) {
            return Err(format!("what it shows is not the state at version {version}"));
        }
        let first_new = before.filter(|before| *before < version).map(|before| before + 1);
        if let Some(sent) = first_new.and_then(|version| setting.ledger.sent(version)) {
            self.tally.longest_update = self.tally.longest_update.max(sent.elapsed());
        }
        Ok(())
    }
}

fn callback(number: usize) -> String {
    format!("jQuery1710_{number}")
}

fn escaped(text: &str) -> String {
    let escape = |b: u8| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            char::from(b).to_string()
        } else {
            format!("%{b:02X}")
        }
    };
    text.bytes().map(escape).collect()
}
