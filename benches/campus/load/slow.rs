//! Clients that keep connections and do next to nothing with them.

use super::dialect::joyce;
use super::orders::thousandths;
use super::socket;
use crate::failure::Outcome;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

/// How many connect at once: fewer than there are places in the server's queue.
const BATCH: usize = 200;

/// How long lies between two batches.
const BETWEEN: Duration = Duration::from_millis(20);

/// How long lies between two bytes of one that sends slowly.
const BYTE: Duration = Duration::from_secs(1);

/// How often one that does not read asks for everything: that is more than the system takes for it.
const ASKS: usize = 16;

/// In which way a client is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// The head of its request comes a byte a second.
    Head,
    /// The body does.
    Body,
    /// It asks for everything again and again, listens to everything, and reads nothing.
    Unread,
}

impl Kind {
    /// All of them.
    pub(crate) const EACH: [Kind; 3] = [Kind::Head, Kind::Body, Kind::Unread];

    /// What it sends at once, and what it sends byte by byte.
    fn script(self, number: usize) -> (Vec<u8>, Vec<u8>) {
        let long = vec![b'a'; 8000];
        match self {
            Kind::Head => (b"GET /?m=".to_vec(), long),
            Kind::Body => {
                let head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 8000\r\n\r\n[";
                (head.as_bytes().to_vec(), long)
            }
            Kind::Unread => {
                let filter =
                    "{\"type\":\"set_msgFilter\",\"occupation\":null,\"roomMap\":null,\"schedule\":null}";
                let ask = joyce(&format!(
                    "[\"unread-{number:05}\",{filter},{{\"type\":\"get_roomMap\"}},{{\"type\":\"get_occupation\"}}]"
                ));
                // It sends on, so that it hears when nobody is there to take it any more.
                (ask.repeat(ASKS), ask)
            }
        }
    }
}

/// So many slow clients, a third of each kind, for at most so long.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Slowness {
    /// To whom they connect.
    pub(crate) at: SocketAddrV4,
    /// How many they are.
    pub(crate) clients: usize,
    /// How long they last, if nobody ends them.
    pub(crate) seconds: f64,
}

/// What became of the clients of a kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Gone {
    /// Of which.
    pub(crate) kind: Kind,
    /// How many they were.
    pub(crate) clients: u64,
    /// Seconds from connecting until the server was seen to have ended the connection: the thousandths.
    pub(crate) seconds: Vec<f64>,
    /// How many are still there.
    pub(crate) left: u64,
}

struct Slow {
    kind: Kind,
    /// Sent when all of them are there: that is harder to bear than one after the other.
    at_once: Vec<u8>,
    /// None when it is over.
    stream: Option<TcpStream>,
    since: Instant,
    lasted: Option<f64>,
    slowly: Vec<u8>,
    sent: usize,
}

/// Lets them be slow.
pub(super) fn run(slowness: Slowness) -> Outcome<Vec<Gone>> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut clients: Vec<Slow> = Vec::new();
    let begun = Instant::now();
    let mut have_begun = false;
    let (mut batch_due, mut byte_due) = (begun, begun + BYTE);
    let is_over = |slow: &Slow| slow.stream.is_none();
    while begun.elapsed().as_secs_f64() < slowness.seconds {
        let now = Instant::now();
        let is_complete = clients.len() == slowness.clients;
        if is_complete && clients.iter().all(is_over) {
            break;
        }
        if is_complete && !have_begun {
            have_begun = true;
            clients.iter_mut().try_for_each(Slow::begin)?;
        }
        if !is_complete && batch_due <= now {
            batch_due = now + BETWEEN;
            for number in clients.len()..slowness.clients.min(clients.len() + BATCH) {
                clients.push(Slow::connect(&poll, slowness.at, number)?);
            }
        }
        if byte_due <= now {
            byte_due += BYTE;
            clients.iter_mut().for_each(Slow::send_a_byte);
        }
        match poll.poll(&mut events, Some(BETWEEN)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            let Token(at) = event.token();
            if let Some(slow) = clients.get_mut(at) {
                slow.ready(event.is_error() || event.is_write_closed());
            }
        }
    }
    Ok(Kind::EACH.map(|kind| gone(kind, &clients)).to_vec())
}

fn gone(kind: Kind, clients: &[Slow]) -> Gone {
    let of_kind = || clients.iter().filter(|slow| slow.kind == kind);
    Gone {
        kind,
        clients: of_kind().count() as u64,
        seconds: thousandths(of_kind().filter_map(|slow| slow.lasted).collect()),
        left: of_kind().filter(|slow| slow.stream.is_some()).count() as u64,
    }
}

impl Slow {
    fn connect(poll: &Poll, at: SocketAddrV4, number: usize) -> Outcome<Slow> {
        let kind = Kind::EACH.into_iter().cycle().nth(number % Kind::EACH.len()).unwrap_or(Kind::Head);
        // Its addresses are not those of the clients that behave.
        let mut stream = match kind {
            Kind::Head | Kind::Body => socket::connect_from_own(at, 30_000 + number)?,
            Kind::Unread => socket::connect_narrow(at, 30_000 + number)?,
        };
        poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        let (at_once, slowly) = kind.script(number);
        Ok(Slow { kind, at_once, stream: Some(stream), since: Instant::now(), lasted: None, slowly, sent: 0 })
    }

    fn begin(&mut self) -> Outcome<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        stream.write_all(&std::mem::take(&mut self.at_once))?;
        Ok(())
    }

    fn send_a_byte(&mut self) {
        if !self.at_once.is_empty() {
            return;
        }
        let Some(stream) = &mut self.stream else { return };
        let Some(byte) = self.slowly.get(self.sent..=self.sent) else { return };
        match stream.write(byte) {
            Ok(length) => self.sent += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.end(),
        }
    }

    /// Something has happened to its connection; whether that is a failure of it.
    fn ready(&mut self, has_failed: bool) {
        let Some(stream) = &mut self.stream else { return };
        if has_failed {
            return self.end();
        }
        if self.kind == Kind::Unread {
            return;
        }
        let mut buffer = [0; 1024];
        loop {
            match stream.read(&mut buffer) {
                // What is said at the end, 408, is read over: the end follows it.
                Ok(length) if length > 0 => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => return self.end(),
            }
        }
    }

    fn end(&mut self) {
        self.stream = None;
        self.lasted = Some(self.since.elapsed().as_secs_f64());
    }
}
