//! A client that asks and waits, for what is no measurement of many.

use crate::failure::{Failure, Outcome};
use crate::load::Answer;
use crate::load::dialect::joyce_target;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

/// A connection that is used again and again.
pub(super) struct Client(TcpStream);

impl Client {
    /// To a server.
    pub(super) fn connect(to: SocketAddrV4) -> Outcome<Client> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Client(stream))
    }

    /// Asks on a channel; the body of the answer.
    pub(super) fn ask(&mut self, m: &str) -> Outcome<Vec<u8>> {
        self.exchange(&format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", joyce_target(m)))
    }

    /// Pushes.
    pub(super) fn push(&mut self, body: &str) -> Outcome<()> {
        let length = body.len();
        self.exchange(&format!(
            "POST /push HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n{body}"
        ))?;
        Ok(())
    }

    fn exchange(&mut self, request: &str) -> Outcome<Vec<u8>> {
        self.0.write_all(request.as_bytes())?;
        let (mut read, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
        loop {
            if let Some(answer) = Answer::first(&read).map_err(Failure::new)? {
                return if answer.status == 200 {
                    Ok(answer.body.to_vec())
                } else {
                    let body = String::from_utf8_lossy(answer.body);
                    Err(Failure::new(format!("answered {}: {}", answer.status, body.escape_debug())))
                };
            }
            match self.0.read(&mut buffer)? {
                0 => return Err(Failure::new("closed by the server")),
                length => read.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            }
        }
    }
}
