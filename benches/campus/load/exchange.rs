//! Requests that are answered at once: each is sent as soon as the one before it on its connection is answered.

use super::answer::Answer;
use super::dialect::{self, Dialect};
use super::orders::{Exchange, Exchanged, Requests, Until, thousandths};
use super::socket::{self, End};
use crate::failure::{Failure, Outcome, While};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs one.
pub(super) fn run(exchange: Exchange) -> Outcome<Exchanged> {
    let Exchange { at, connections, fresh, requests, until } = exchange;
    let mut asking = Asking {
        at,
        requests,
        end: if fresh { End::Close } else { End::Reset },
        poll: Poll::new()?,
        clients: Vec::new(),
        connected: 0,
        bytes: None,
        latency: Vec::new(),
        buffer: vec![0; 64 * 1024],
    };
    for number in 0..connections {
        asking.add(number)?;
    }
    asking.run(until)
}

struct Asking {
    at: SocketAddrV4,
    requests: Requests,
    /// How a connection ends; a new one follows each answer where it ends as a client's.
    end: End,
    poll: Poll,
    clients: Vec<Client>,
    connected: usize,
    /// How long the body of the first answer was.
    bytes: Option<usize>,
    latency: Vec<f64>,
    buffer: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    /// How many requests it has sent.
    sent: u64,
    sent_at: Instant,
    part: Vec<u8>,
}

impl Asking {
    fn add(&mut self, number: usize) -> Outcome<()> {
        let stream = self.connect(number)?;
        self.clients.push(Client { stream, sent: 0, sent_at: Instant::now(), part: Vec::new() });
        Ok(())
    }

    fn connect(&mut self, number: usize) -> Outcome<TcpStream> {
        let mut stream = match self.requests {
            Requests::Enter { .. } => socket::connect_from_own(self.at, self.connected)?,
            _ => socket::connect(self.at, self.connected, self.end)?,
        };
        self.connected += 1;
        self.poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
        Ok(stream)
    }

    fn run(mut self, until: Until) -> Outcome<Exchanged> {
        let begun = Instant::now();
        let is_over = |started: usize| match until {
            Until::Answers(answers) => started >= answers,
            Until::Seconds(seconds) => begun.elapsed().as_secs_f64() >= seconds,
        };
        let mut started = 0;
        for number in 0..self.clients.len() {
            self.send(number)?;
            started += 1;
        }
        let mut events = Events::with_capacity(1024);
        while self.latency.len() < started {
            match self.poll.poll(&mut events, Some(PATIENCE)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            if events.is_empty() {
                return Err(Failure::new(format!(
                    "{} requests are not answered",
                    started - self.latency.len()
                )));
            }
            for event in &events {
                let Token(number) = event.token();
                if self.read(number)? && !is_over(started) {
                    if self.end == End::Close {
                        let stream = self.connect(number)?;
                        if let Some(client) = self.clients.get_mut(number) {
                            client.stream = stream;
                        }
                    }
                    self.send(number)?;
                    started += 1;
                }
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        let answers = self.latency.len() as u64;
        let bytes = self.bytes.unwrap_or(0);
        Ok(Exchanged { answers, seconds, latency: thousandths(self.latency), bytes })
    }

    fn send(&mut self, number: usize) -> Outcome<()> {
        let Some(client) = self.clients.get_mut(number) else { return Ok(()) };
        // Every request of a connection differs from the one before it, and so changes something.
        let request = match &self.requests {
            Requests::Push { room } => dialect::push(std::iter::once(room + number), client.sent),
            Requests::Publish => dialect::publish_to_nchan(client.sent),
            Requests::Fixed(request) => request.as_bytes().to_vec(),
            Requests::Enter { rooms: 0 } => dialect::joyce("[null]"),
            Requests::Enter { rooms } => Dialect::Joyce.enter(Some(self.connected % rooms)),
        };
        client.sent += 1;
        client.sent_at = Instant::now();
        client.stream.write_all(&request).when("a request")
    }

    /// Whether an answer has come whole.
    fn read(&mut self, number: usize) -> Outcome<bool> {
        let Some(client) = self.clients.get_mut(number) else { return Ok(false) };
        let length = match client.stream.read(&mut self.buffer) {
            Ok(0) => return Err(Failure::new("a connection was closed by the server")),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        client.part.extend_from_slice(self.buffer.get(..length).unwrap_or_default());
        let Some(answer) = Answer::first(&client.part).map_err(Failure::new)? else { return Ok(false) };
        self.latency.push(client.sent_at.elapsed().as_secs_f64() * 1e3);
        let bytes = *self.bytes.get_or_insert(answer.body.len());
        let is_right = match &self.requests {
            Requests::Push { .. } => answer.status == 200 && answer.body == b"true",
            Requests::Publish => (200..=202).contains(&answer.status),
            Requests::Fixed(_) | Requests::Enter { .. } => answer.status == 200 && answer.body.len() == bytes,
        };
        if !is_right {
            let body =
                String::from_utf8_lossy(answer.body.get(..answer.body.len().min(300)).unwrap_or_default());
            return Err(Failure::new(format!("answered {}: {}", answer.status, body.escape_debug())));
        }
        client.part.clear();
        Ok(true)
    }
}
