//! Who publishes: one connection that is used again and again.

use super::answer::Answer;
use crate::failure::{Failure, Outcome};
use mio::net::TcpStream;
use std::io::{self, Read, Write};

/// A connection on which something is published, and the answer waited for.
pub(super) struct Publisher {
    stream: TcpStream,
    request: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    is_waiting: bool,
}

impl Publisher {
    /// On a connection.
    pub(super) fn new(stream: TcpStream) -> Publisher {
        Publisher { stream, request: Vec::new(), sent: 0, answer: Vec::new(), is_waiting: false }
    }

    /// Its connection, to be registered for reading and writing.
    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Publishes.
    pub(super) fn send(&mut self, request: Vec<u8>) -> Outcome<()> {
        (self.request, self.sent, self.is_waiting) = (request, 0, true);
        self.write()
    }

    /// Whether the last publish is still to be answered.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Its connection is ready for something.
    pub(super) fn ready(&mut self) -> Outcome<()> {
        self.write()?;
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Failure::new("the publisher's connection was closed by the server")),
                Ok(length) => self.answer.extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        match Answer::first(&self.answer).map_err(Failure::new)? {
            None => Ok(()),
            Some(answer) if (200..=202).contains(&answer.status) => {
                self.answer.clear();
                self.is_waiting = false;
                Ok(())
            }
            Some(answer) => Err(Failure::new(format!(
                "a publish was answered {}: {}",
                answer.status,
                String::from_utf8_lossy(answer.body).escape_debug()
            ))),
        }
    }

    /// Writes what is left of the request, as far as the connection takes it.
    fn write(&mut self) -> Outcome<()> {
        while let Some(rest) = self.request.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
