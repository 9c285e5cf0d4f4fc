//! Many held requests, and updates that are published to them.
//!
//! A round begins when all requests are held: one update is published, every client gets it and asks again at once.
//! It is over when all are held again, which is decided in the same way for every server: all have asked, and every
//! thread of the server is asleep, so it has read what was asked.

use super::answer::Answer;
use super::dialect::Dialect;
use super::orders::{Fanned, Filters, Opened, Opening, thousandths};
use super::publisher::Publisher;
use super::socket::{self, End};
use super::tally::{Place, Tally};
use crate::cost;
use crate::failure::{Failure, Outcome, While};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nix::unistd::Pid;
use std::io::{self, Read, Write};
use std::mem;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

/// How many clients may be about to enter: fewer than there are places in any server's queue.
const ENTERING: usize = 256;

/// For how long nothing at all may come before what has not come is lost. No round has to be over by a certain time:
/// a machine may stand still for a while.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long answers that nobody caused are waited for.
const STRAYS: Duration = Duration::from_millis(200);

const PUBLISHER: Token = Token(usize::MAX - 1);

/// The clients of one server.
pub(super) struct Fanout {
    at: SocketAddrV4,
    publish: SocketAddrV4,
    dialect: Dialect,
    filters: Filters,
    server: Vec<Pid>,
    poll: Poll,
    subscribers: Vec<Subscriber>,
    publisher: Option<Publisher>,
    tally: Tally,
    buffer: Vec<u8>,
}

struct Subscriber {
    stream: TcpStream,
    place: Place,
    /// The beginning of an answer that is still to come whole.
    part: Vec<u8>,
}

impl Fanout {
    /// Without any clients yet.
    pub(super) fn new(opening: Opening) -> Outcome<Fanout> {
        Ok(Fanout {
            at: opening.at,
            publish: opening.publish,
            dialect: opening.dialect,
            filters: opening.filters,
            server: opening.server.into_iter().map(Pid::from_raw).collect(),
            poll: Poll::new()?,
            subscribers: Vec::new(),
            publisher: None,
            tally: Tally::new(opening.dialect, opening.filters),
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Opens so many requests.
    pub(super) fn open(&mut self, held: usize) -> Outcome<Opened> {
        // Every PC is known before anybody listens, so that an update will be an update and nothing more.
        let prime = self.dialect.publish(0, super::dialect::rooms(self.filters));
        self.connect_publisher()?;
        self.publish(prime)?;
        self.publisher = None;
        self.settle()?;
        let begun = Instant::now();
        while self.tally.entered < held {
            while self.subscribers.len() < held && self.subscribers.len() - self.tally.entered < ENTERING {
                self.enter()?;
            }
            let came = self.pump(PATIENCE)?;
            if self.tally.errors > 0 || !came {
                let why = self.tally.first_error.as_deref().unwrap_or("no more");
                return Err(Failure::new(format!(
                    "{} of {held} requests were held: {why}",
                    self.tally.entered
                )));
            }
        }
        let seconds = self.settle()?.duration_since(begun).as_secs_f64();
        Ok(Opened { seconds })
    }

    /// Publishes so many updates, each to all.
    pub(super) fn fan_out(&mut self, rounds: usize) -> Outcome<Fanned> {
        self.connect_publisher()?;
        let before = (self.tally.lost, self.tally.doubled, self.tally.errors);
        self.tally.latency = Vec::with_capacity(rounds * self.subscribers.len());
        let begun = Instant::now();
        let mut seconds = 0.0;
        for _ in 0..rounds {
            let request = self.tally.next();
            self.publish(request)?;
            if self.tally.received < self.subscribers.len() {
                self.tally.give_up(self.subscribers.iter().map(|subscriber| &subscriber.place));
                break;
            }
            seconds = self.settle()?.duration_since(begun).as_secs_f64();
        }
        self.publisher = None;
        self.listen()?;
        let latency = mem::take(&mut self.tally.latency);
        Ok(Fanned {
            deliveries: latency.len() as u64,
            seconds,
            latency: thousandths(latency),
            lost: self.tally.lost - before.0,
            doubled: self.tally.doubled - before.1,
            errors: self.tally.errors - before.2,
            first_error: self.tally.first_error.clone(),
        })
    }

    /// How many answers come that nobody caused.
    pub(super) fn listen(&mut self) -> Outcome<u64> {
        let count = |tally: &Tally| tally.doubled + tally.errors;
        let before = count(&self.tally);
        let until = Instant::now() + STRAYS;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.pump(left)?;
        }
        Ok(count(&self.tally) - before)
    }

    fn enter(&mut self) -> Outcome<()> {
        let number = self.subscribers.len();
        let (room, tag) = match self.filters {
            Filters::Everything => (0, None),
            Filters::Rooms(rooms) => (number % rooms, Some(number % rooms)),
        };
        let mut stream = socket::connect(self.at, number, End::Reset)?;
        let place = Place { ask: self.dialect.enter(tag), seen: None, room };
        stream.write_all(&place.ask).when("a first request")?;
        self.poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
        self.subscribers.push(Subscriber { stream, place, part: Vec::new() });
        Ok(())
    }

    /// Anew for every order: a server may close a connection on which nothing is published for a while.
    fn connect_publisher(&mut self) -> Outcome<()> {
        let mut publisher = Publisher::new(socket::connect(self.publish, 0, End::Reset)?);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(publisher.stream(), PUBLISHER, interest)?;
        self.publisher = Some(publisher);
        Ok(())
    }

    /// Publishes, and waits until it is acknowledged and has reached all that there are.
    fn publish(&mut self, request: Vec<u8>) -> Outcome<()> {
        self.tally.published();
        if let Some(publisher) = &mut self.publisher {
            publisher.send(request)?;
        }
        let is_waiting = |fanout: &Fanout| {
            fanout.publisher.as_ref().is_some_and(Publisher::is_waiting)
                || fanout.tally.received < fanout.subscribers.len()
        };
        while is_waiting(self) && self.pump(PATIENCE)? {}
        match &self.publisher {
            Some(publisher) if publisher.is_waiting() => Err(Failure::new("a publish is not answered")),
            _ => Ok(()),
        }
    }

    /// Waits until the server has read all that it was sent; returns when that was.
    fn settle(&mut self) -> Outcome<Instant> {
        // Looks, each after a millisecond or more: where the machine stands still, only time goes by.
        const LOOKS: usize = 30_000;
        let mut asleep_since = None;
        for _ in 0..LOOKS {
            if !cost::are_asleep(&self.server) {
                asleep_since = None;
            } else if let Some(since) = asleep_since {
                // Seen twice: once could have been between two of its steps.
                return Ok(since);
            } else {
                asleep_since = Some(Instant::now());
            }
            self.pump(Duration::from_millis(1))?;
        }
        Err(Failure::new("the server does not come to rest"))
    }

    /// Handles what there is, or what comes within `timeout`; whether anything did.
    fn pump(&mut self, timeout: Duration) -> Outcome<bool> {
        let mut events = Events::with_capacity(1024);
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            other => other?,
        }
        for event in &events {
            match event.token() {
                PUBLISHER => {
                    if let Some(publisher) = &mut self.publisher {
                        publisher.ready()?;
                    }
                }
                Token(at) => self.read(at)?,
            }
        }
        Ok(!events.is_empty())
    }

    fn read(&mut self, at: usize) -> Outcome<()> {
        let Some(subscriber) = self.subscribers.get_mut(at) else { return Ok(()) };
        loop {
            let length = match subscriber.stream.read(&mut self.buffer) {
                Ok(length) if length > 0 => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                end => {
                    self.tally.wrong(|| format!("a connection ended: {end:?}"));
                    return Ok(());
                }
            };
            let now = Instant::now();
            let read = self.buffer.get(..length).unwrap_or_default();
            let mut part = mem::take(&mut subscriber.part);
            let mut rest = if part.is_empty() {
                read
            } else {
                part.extend_from_slice(read);
                &part
            };
            while let Some(answer) = Answer::first(rest).map_err(Failure::new)? {
                if self.tally.take(&mut subscriber.place, &answer, now) {
                    subscriber.stream.write_all(&subscriber.place.ask).when("a request")?;
                }
                rest = rest.get(answer.length()..).unwrap_or_default();
            }
            subscriber.part = rest.to_vec();
            if length < self.buffer.len() {
                // What comes later is another event.
                return Ok(());
            }
        }
    }
}
