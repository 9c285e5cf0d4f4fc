//! Clients of a daemon, of one that follows it, and so on; and how long an update takes to each of these levels.
//!
//! A round is over when every client has the update; a moment later, when all are held again, comes the next.

use super::answer::Answer;
use super::dialect::{self, Dialect, Reader};
use super::orders::thousandths;
use super::publisher::Publisher;
use super::socket::{self, End};
use crate::failure::{Failure, Outcome, While};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

/// How long may pass until what has not come is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long lies between a round and the next.
const PAUSE: Duration = Duration::from_millis(40);

/// How many clients may be about to enter.
const ENTERING: usize = 256;

const PUBLISHER: Token = Token(usize::MAX - 1);

/// What is to be measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hops {
    /// Where updates are waited for, the master first.
    pub(crate) levels: Vec<SocketAddrV4>,
    /// Where the master is pushed to.
    pub(crate) publish: SocketAddrV4,
    /// How many clients each level has.
    pub(crate) clients: usize,
    /// How many updates are pushed.
    pub(crate) rounds: usize,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Hopped {
    /// From push to client in milliseconds, of each level: the thousandths, from the fastest to the slowest.
    pub(crate) latency: Vec<Vec<f64>>,
    /// Updates that a client never got.
    pub(crate) lost: u64,
    /// Updates that a client got again.
    pub(crate) doubled: u64,
    /// Anything else that was not as it should be.
    pub(crate) errors: u64,
    /// The first of these.
    pub(crate) first_error: Option<String>,
}

struct Client {
    stream: TcpStream,
    level: usize,
    ask: Vec<u8>,
    part: Vec<u8>,
    has_entered: bool,
    /// The version that it was told last.
    version: u64,
    /// Whether it has the update of this round.
    has_it: bool,
}

struct Measuring {
    poll: Poll,
    clients: Vec<Client>,
    entered: usize,
    have_it: usize,
    publisher: Publisher,
    reader: Reader,
    expected: Vec<u8>,
    published: Instant,
    latency: Vec<Vec<f64>>,
    hopped: Hopped,
    buffer: Vec<u8>,
}

/// Measures it.
pub(super) fn run(hops: &Hops) -> Outcome<Hopped> {
    let poll = Poll::new()?;
    let mut publisher = Publisher::new(socket::connect(hops.publish, 0, End::Reset)?);
    poll.registry().register(publisher.stream(), PUBLISHER, Interest::READABLE | Interest::WRITABLE)?;
    let mut measuring = Measuring {
        poll,
        clients: Vec::new(),
        entered: 0,
        have_it: 0,
        publisher,
        reader: Reader::new(),
        expected: Vec::new(),
        published: Instant::now(),
        latency: vec![Vec::new(); hops.levels.len()],
        hopped: Hopped::default(),
        buffer: vec![0; 64 * 1024],
    };
    measuring.open(hops)?;
    // Round 0 was pushed before, so that every level knows the PC.
    for round in 1..=hops.rounds as u64 {
        measuring.round(round)?;
    }
    measuring.hopped.latency = measuring.latency.into_iter().map(thousandths).collect();
    Ok(measuring.hopped)
}

impl Measuring {
    fn open(&mut self, hops: &Hops) -> Outcome<()> {
        let all = hops.clients * hops.levels.len();
        while self.entered < all {
            while self.clients.len() < all && self.clients.len() - self.entered < ENTERING {
                let number = self.clients.len();
                let level = number % hops.levels.len();
                let Some(at) = hops.levels.get(level) else { return Ok(()) };
                let mut stream = socket::connect_from_own(*at, number)?;
                let ask = Dialect::Joyce.enter(None);
                stream.write_all(&ask).when("a first request")?;
                self.poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
                let part = Vec::new();
                self.clients.push(Client {
                    stream,
                    level,
                    ask,
                    part,
                    has_entered: false,
                    version: 0,
                    has_it: false,
                });
            }
            if !self.pump(PATIENCE)? {
                return Err(Failure::new(format!("{} of {all} clients are in", self.entered)));
            }
        }
        self.pause()
    }

    fn round(&mut self, round: u64) -> Outcome<()> {
        self.expected = dialect::after_version(round, 0);
        self.have_it = 0;
        self.clients.iter_mut().for_each(|client| client.has_it = false);
        self.published = Instant::now();
        self.publisher.send(Dialect::Joyce.publish(round, 1))?;
        while self.have_it < self.clients.len() || self.publisher.is_waiting() {
            if !self.pump(PATIENCE)? {
                let without = (self.clients.len() - self.have_it) as u64;
                self.hopped.lost += without;
                return Err(Failure::new(format!("{without} clients do not get update {round}")));
            }
        }
        self.pause()
    }

    /// Waits until all is held again; what comes meanwhile is nothing that anybody has pushed.
    fn pause(&mut self) -> Outcome<()> {
        let until = Instant::now() + PAUSE;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.pump(left)?;
        }
        Ok(())
    }

    fn pump(&mut self, timeout: Duration) -> Outcome<bool> {
        let mut events = Events::with_capacity(1024);
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            other => other?,
        }
        for event in &events {
            match event.token() {
                PUBLISHER => self.publisher.ready()?,
                Token(at) => self.read(at)?,
            }
        }
        Ok(!events.is_empty())
    }

    fn read(&mut self, at: usize) -> Outcome<()> {
        let Some(client) = self.clients.get_mut(at) else { return Ok(()) };
        loop {
            let length = match client.stream.read(&mut self.buffer) {
                Ok(length) if length > 0 => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                end => return Err(Failure::new(format!("a connection ended: {end:?}"))),
            };
            let came = Instant::now();
            client.part.extend_from_slice(self.buffer.get(..length).unwrap_or_default());
            let part = std::mem::take(&mut client.part);
            let Some(answer) = Answer::first(&part).map_err(Failure::new)? else {
                client.part = part;
                continue;
            };
            let is_first = !client.has_entered;
            client.has_entered = true;
            if answer.status != 200 {
                return Err(Failure::new(format!("a client was answered {}", answer.status)));
            }
            Dialect::Joyce.ask_on(&answer, is_first, &mut client.ask).map_err(Failure::new)?;
            client.stream.write_all(&client.ask)?;
            if is_first {
                self.entered += 1;
                continue;
            }
            // Nothing happened for as long as requests are held: that is no update.
            let Some((version, rest)) = self.reader.read(answer.body) else { continue };
            if client.has_it || version <= client.version {
                self.hopped.doubled += 1;
            } else if rest != self.expected {
                self.hopped.errors += 1;
                let body = String::from_utf8_lossy(answer.body).into_owned();
                self.hopped.first_error.get_or_insert(body);
            } else {
                (client.has_it, client.version) = (true, version);
                self.have_it += 1;
                let latency = (came - self.published).as_secs_f64() * 1e3;
                if let Some(of_level) = self.latency.get_mut(client.level) {
                    of_level.push(latency);
                }
            }
        }
    }
}
