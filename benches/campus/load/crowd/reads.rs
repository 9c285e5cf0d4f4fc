//! Who reads the history now and then, from anywhere in it.

use super::heard::Heard;
use super::random::Random;
use super::told::Lived;
use super::truth::{Fault, Truth};
use crate::failure::{Failure, Outcome};
use crate::load::answer::Answer;
use crate::load::dialect::joyce;
use crate::load::socket::{self, End};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

/// As many rows as are given at once.
const COUNT: usize = 1000;

/// A reader of the history.
pub(super) struct Reads {
    from: SocketAddrV4,
    token: Token,
    every: Option<Duration>,
    due: Option<Instant>,
    stream: Option<TcpStream>,
    part: Vec<u8>,
    /// Where the rows begin that are waited for, and how many they are.
    asked: Option<(usize, usize)>,
}

impl Reads {
    /// So many seconds between two reads; never without it.
    pub(super) fn new(from: SocketAddrV4, token: Token, every: Option<f64>) -> Reads {
        let every = every.map(Duration::from_secs_f64);
        let due = every.map(|_| Instant::now());
        Reads { from, token, every, due, stream: None, part: Vec::new(), asked: None }
    }

    /// When it reads next; not while it waits for rows.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.asked.is_some() { None } else { self.due }
    }

    /// Asks, if it is time.
    pub(super) fn ask(
        &mut self,
        registry: &Registry,
        truth: &Truth,
        random: &mut Random,
        now: Instant,
    ) -> Outcome<()> {
        let Some((_, every)) = self.due().filter(|due| *due <= now).zip(self.every) else { return Ok(()) };
        self.due = Some(now + every);
        if self.stream.is_none() {
            let mut stream = socket::connect(self.from, 0, End::Reset)?;
            registry.register(&mut stream, self.token, Interest::READABLE)?;
            self.stream = Some(stream);
        }
        let there = truth.acknowledged();
        let offset = random.below(there);
        self.asked = Some((offset, COUNT.min(there - offset)));
        let request = joyce(&format!(
            "[\"reader\",{{\"type\":\"get_historic_updates\",\"offset\":{offset},\"count\":{}}}]",
            COUNT.min(there - offset)
        ));
        match &mut self.stream {
            Some(stream) => Ok(stream.write_all(&request)?),
            None => Ok(()),
        }
    }

    /// Something has come.
    pub(super) fn ready(&mut self, truth: &Truth, lived: &mut Lived) -> Outcome<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut buffer = [0; 16 * 1024];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Err(Failure::new("the reader's connection was closed by the server")),
                Ok(length) => self.part.extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let Some(answer) = Answer::first(&self.part).map_err(Failure::new)? else { return Ok(()) };
        let Some((offset, count)) = self.asked.take() else { return Ok(()) };
        lived.reads += 1;
        let errors = &mut lived.errors;
        match checked(truth, answer, offset, count) {
            Ok(()) => {}
            Err(Fault::Lost(count, what)) => errors.note(|errors| &mut errors.lost, count, what),
            Err(Fault::Doubled(what) | Fault::Wrong(what)) => {
                errors.note(|errors| &mut errors.wrong, 1, what);
            }
        }
        self.part.clear();
        Ok(())
    }
}

fn checked(truth: &Truth, answer: Answer<'_>, offset: usize, count: usize) -> Result<(), Fault> {
    if answer.status != 200 {
        return Err(Fault::Wrong(format!("a read of the history was answered {}", answer.status)));
    }
    let heard = Heard::read(answer.body).map_err(|error| Fault::Wrong(error.to_string()))?;
    let rows = heard.1.iter().find_map(|message| message.updates.as_ref());
    let missing = || Fault::Wrong(format!("no rows from {offset} on, where {count} were asked for"));
    truth.check_rows(offset, count, rows.ok_or_else(missing)?)
}
