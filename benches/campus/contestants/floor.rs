//! The floor: the least that a server can do, and so what the machine itself takes.
//!
//! One thread, one epoll, one read and one write a delivery. Subscribers' requests are not looked at: the first on a
//! connection is answered at once, the others are held. What is published is passed on as it is, and of that, too,
//! nothing is looked at but where its body begins.

use crate::failure::Outcome;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read, Write};

/// Serves until it is ended.
pub(super) fn serve() -> Outcome<()> {
    let mut floor = Floor::new()?;
    super::say_ready(floor.subscribers.local_addr()?, floor.publishers.local_addr()?);
    let mut events = Events::with_capacity(1024);
    loop {
        match floor.poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            match event.token() {
                SUBSCRIBERS => floor.accept(Side::Subscriber { seen: None })?,
                PUBLISHERS => floor.accept(Side::Publisher)?,
                Token(at) => floor.read(at),
            }
        }
    }
}

const SUBSCRIBERS: Token = Token(usize::MAX - 1);
const PUBLISHERS: Token = Token(usize::MAX - 2);

struct Floor {
    poll: Poll,
    subscribers: TcpListener,
    publishers: TcpListener,
    /// By their tokens. Those that have left stay as gaps: a floor lives for one measurement.
    connections: Vec<Option<Connection>>,
    held: Vec<usize>,
    /// How many updates there were, and the answer that tells the last one.
    updates: u64,
    answer: Vec<u8>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    side: Side,
}

#[derive(Clone, Copy)]
enum Side {
    Publisher,
    /// The last update that it got; none before its first answer.
    Subscriber {
        seen: Option<u64>,
    },
}

impl Floor {
    fn new() -> Outcome<Floor> {
        let poll = Poll::new()?;
        let mut subscribers = TcpListener::from_std(super::listen()?);
        let mut publishers = TcpListener::from_std(super::listen()?);
        poll.registry().register(&mut subscribers, SUBSCRIBERS, Interest::READABLE)?;
        poll.registry().register(&mut publishers, PUBLISHERS, Interest::READABLE)?;
        let (connections, held, buffer) = (Vec::new(), Vec::new(), vec![0; 16 * 1024]);
        Ok(Floor {
            poll,
            subscribers,
            publishers,
            connections,
            held,
            updates: 0,
            answer: with_head(b"[]"),
            buffer,
        })
    }

    fn accept(&mut self, side: Side) -> Outcome<()> {
        loop {
            let listener = match side {
                Side::Publisher => &self.publishers,
                Side::Subscriber { .. } => &self.subscribers,
            };
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            let token = Token(self.connections.len());
            self.poll.registry().register(&mut stream, token, Interest::READABLE)?;
            self.connections.push(Some(Connection { stream, side }));
        }
    }

    fn read(&mut self, at: usize) {
        let Some(place) = self.connections.get_mut(at) else { return };
        let Some(connection) = place else { return };
        // One read: a request is much shorter than the buffer, and what comes later is another event.
        let length = match connection.stream.read(&mut self.buffer) {
            Ok(0) => {
                *place = None;
                self.held.retain(|held| *held != at);
                return;
            }
            Ok(length) => length,
            Err(_) => return,
        };
        match &mut connection.side {
            Side::Publisher => {
                let body = memchr::memmem::find(&self.buffer, b"\r\n\r\n").map_or(length, |end| end + 4);
                self.answer = with_head(self.buffer.get(body..length).unwrap_or_default());
                self.updates += 1;
                // A publisher that cannot be answered has left, and will be seen to have.
                let _ = connection.stream.write(&with_head(b"true"));
                self.fan_out();
            }
            Side::Subscriber { seen } if *seen == Some(self.updates) => self.held.push(at),
            Side::Subscriber { seen } => {
                *seen = Some(self.updates);
                let _ = connection.stream.write(&self.answer);
            }
        }
    }

    fn fan_out(&mut self) {
        for at in self.held.drain(..) {
            if let Some(Some(Connection { stream, side: Side::Subscriber { seen } })) =
                self.connections.get_mut(at)
            {
                *seen = Some(self.updates);
                // A short write would be seen as an answer that never ends.
                let _ = stream.write(&self.answer);
            }
        }
    }
}

fn with_head(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
