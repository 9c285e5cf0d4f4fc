//! The control socket: one line of JSON in, one line of JSON out (protocol.md, "The control socket").

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Who runs here.
    Status,
    /// For the sockets that it listens on; then it ends.
    HandOver,
    /// To read its setup anew.
    Reload,
}

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Port {
    /// Pages and channels.
    Http,
    /// Pushes.
    Push,
    /// Pages and channels over TLS.
    Https,
    /// Pushes over TLS.
    Pushs,
}

/// A socket that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// What for.
    pub port: Port,
    /// Where.
    pub address: SocketAddr,
}

/// Who runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it began to serve, in seconds since 1970.
    pub since: u64,
    /// What it listens on.
    pub listening: Vec<Listening>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Who runs.
    Status(Status),
    /// The sockets that come with this line, in this order.
    HandedOver(Vec<Listening>),
    /// Done: what is in force now.
    Reloaded(String),
    /// Not done, since the setup has mistakes: what they are, a line each.
    Mistakes(String),
    /// Not done, and why.
    Refused(String),
}

/// A line is no question, or no answer.
#[derive(Debug, thiserror::Error)]
#[error("no line of the control socket's: {0}")]
pub struct BadLine(#[from] serde_json::Error);

/// The longest question, in bytes: what may be asked has a dozen letters.
pub const MAX_QUESTION: usize = 1024;

/// The longest answer, in bytes: a status with a hundred addresses has a tenth of it.
pub const MAX_ANSWER: usize = 65_536;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    verb: Verb,
}

impl Verb {
    /// Reads a question.
    ///
    /// # Errors
    /// When it is none that is known.
    pub fn parse(line: &[u8]) -> Result<Verb, BadLine> {
        Ok(serde_json::from_slice::<Question>(line)?.verb)
    }

    /// The question, with the end of the line.
    pub fn line(self) -> Vec<u8> {
        line(&Question { verb: self })
    }
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// When it is none that is known.
    pub fn parse(line: &[u8]) -> Result<Answer, BadLine> {
        Ok(serde_json::from_slice(line)?)
    }

    /// The answer, with the end of the line.
    pub fn line(&self) -> Vec<u8> {
        line(self)
    }
}

fn line(of: &impl Serialize) -> Vec<u8> {
    // Writing to memory cannot fail, and nothing here is a map with keys that are no text.
    let mut line = serde_json::to_vec(of).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_one_of_those_that_are_known() {
        for (verb, line) in [
            (Verb::Status, "{\"verb\":\"status\"}\n"),
            (Verb::HandOver, "{\"verb\":\"hand_over\"}\n"),
            (Verb::Reload, "{\"verb\":\"reload\"}\n"),
        ] {
            assert_eq!(String::from_utf8(verb.line()).unwrap(), line);
            assert_eq!(Verb::parse(line.as_bytes()).unwrap(), verb);
        }
        for bad in ["", "status", "\"status\"", "{}", "{\"verb\":\"stop\"}", "{\"verb\":\"status\",\"x\":1}"]
        {
            assert!(Verb::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_meant() {
        let listening = vec![
            Listening { port: Port::Http, address: "[::]:8080".parse().unwrap() },
            Listening { port: Port::Push, address: "127.0.0.1:1235".parse().unwrap() },
        ];
        let status = Status { pid: 7, version: "0.1.0".into(), since: 1, listening: listening.clone() };
        for answer in [
            Answer::Status(status),
            Answer::HandedOver(listening),
            Answer::Reloaded("12 rooms".into()),
            Answer::Refused("line\nbreak".into()),
            Answer::Mistakes("a\nb".into()),
        ] {
            let line = answer.line();
            assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1, "one line");
            assert_eq!(Answer::parse(&line).unwrap(), answer);
        }
    }
}
