//! `tkbd push`: reports states to a daemon.

mod entry;
mod follow;
mod input;
mod secret;

use super::arguments::PushArguments;
use super::{Failure, text};
use crate::client::{Acknowledged, PushError, Pusher, Retries, Server};
use crate::core::pc::{Occupation, PcName};
use crate::core::source::Source;
use crate::wire::client::push_body;
use bytes::Bytes;
use input::Batch;
use std::collections::HashSet;
use std::io::{Write, stderr, stdout};
use std::time::Duration;

/// The variable of the environment that may hold the push token.
pub(super) const TOKEN_VARIABLE: &str = "TKBD_PUSH_TOKEN";

/// Pushes what the arguments name; an error unless all of it was acknowledged.
pub(super) async fn push(arguments: PushArguments) -> Result<(), Failure> {
    let source =
        Source::parse(&arguments.source).map_err(|bad| Failure::Usage(format!("--source: {bad}")))?;
    let timeout = Duration::from_secs(arguments.timeout);
    let server = Server::trusting(&arguments.to, timeout, arguments.ca.as_deref())
        .map_err(|error| Failure::Usage(format!("--to: {error}")))?;
    let token = secret::read(arguments.token_file.as_deref())?;
    let pusher = Pusher::new(server, token.as_deref())
        .ok_or_else(|| Failure::other("the push token holds characters that cannot be sent"))?;
    let retries = Retries {
        times: arguments.retry.or(if arguments.follow { None } else { Some(5) }),
        least: Duration::from_millis(500),
    };
    let mut teller = Teller {
        pusher,
        source,
        retries,
        quiet: arguments.quiet,
        pushed: 0,
        bodies: 0,
        all_acknowledged: true,
    };
    if arguments.follow {
        follow::follow(&mut teller, &arguments.states).await?;
    } else {
        for batch in input::read(&arguments)? {
            teller.push(batch).await?;
        }
    }
    teller.end()
}

/// Pushes batches, and tells people how it goes.
struct Teller {
    pusher: Pusher,
    source: Source,
    retries: Retries,
    quiet: bool,
    pushed: usize,
    bodies: usize,
    all_acknowledged: bool,
}

impl Teller {
    async fn push(&mut self, batch: Batch) -> Result<(), Failure> {
        match batch {
            Batch::States(states) => {
                for part in bodies(&states) {
                    let body = push_body(Some(&self.source), part);
                    if self.push_body(body.into()).await? {
                        self.pushed += part.len();
                    }
                }
            }
            Batch::Body(body) => {
                self.bodies += usize::from(self.push_body(body).await?);
            }
        }
        Ok(())
    }

    /// Whether the body was acknowledged.
    async fn push_body(&mut self, body: Bytes) -> Result<bool, Failure> {
        let quiet = self.quiet;
        let address = self.pusher.address();
        let notify = |error: &PushError, wait: Duration| {
            if !quiet {
                let _ = writeln!(stderr(), "{address}: {error}; trying again in {:.1} s", wait.as_secs_f64());
            }
        };
        match self.pusher.push_until_acknowledged(body, self.retries, notify).await {
            Ok(Acknowledged::Recorded) => return Ok(true),
            Ok(Acknowledged::NotYetRecorded) => {
                writeln!(stderr(), "{address}: applied, but not yet recorded in the history")?;
                return Ok(true);
            }
            Err(error) => write!(stderr(), "{}", describe(&address, &error))?,
        }
        self.all_acknowledged = false;
        Ok(false)
    }

    fn end(self) -> Result<(), Failure> {
        let told = match (self.pushed, self.bodies) {
            (0, 0) => None,
            (states, 0) => Some(text::count(states, "state")),
            (0, pushes) => Some(text::count(pushes, "JSON push")),
            (states, pushes) => {
                Some(format!("{} and {}", text::count(states, "state"), text::count(pushes, "JSON push")))
            }
        };
        if let Some(told) = told.filter(|_| !self.quiet) {
            writeln!(stdout(), "{told} acknowledged")?;
        }
        if self.all_acknowledged { Ok(()) } else { Err(Failure::Told) }
    }
}

/// An error in lines, each bad entry on its own.
fn describe(address: &str, error: &PushError) -> String {
    let mut lines = format!("{address}: {}\n", text::plain(&error.to_string()));
    if let PushError::Bad(refusal) = error {
        if refusal.error.trim() == UNKNOWN_PATH {
            lines.push_str("  is that the push port? It is 1235, unless push.listen says otherwise\n");
        }
        let widest =
            refusal.entries.iter().map(|(name, _)| text::width(&text::plain(name))).max().unwrap_or(0);
        for (name, why) in &refusal.entries {
            let name = text::fit(&text::plain(name), widest.min(40));
            lines.push_str(&format!("  {name}  {}\n", text::plain(why)));
        }
    }
    lines
}

/// What the port of the channels says to a push.
const UNKNOWN_PATH: &str = "Unknown path";

/// A daemon takes 1 MiB in 10 s (reliability.md P5); a thousand states are a tenth of that.
const MOST: usize = 1000;

/// The parts in which states are sent, in their order: none longer than [`MOST`], and none with a PC
/// twice. A second state of a PC is a later change, and begins another part, so that both are recorded.
fn bodies(states: &[(PcName, Occupation)]) -> impl Iterator<Item = &[(PcName, Occupation)]> {
    let mut rest = states;
    std::iter::from_fn(move || {
        let mut seen = HashSet::new();
        let length = rest.iter().take(MOST).take_while(|(name, _)| seen.insert(name)).count();
        let (part, after) = rest.split_at(length);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::client::Refusal;

    #[test]
    fn no_body_is_too_long_or_names_a_pc_twice_and_nothing_is_lost() {
        let state =
            |name: &str, code: &str| (PcName::parse(name).unwrap(), Occupation::from_code(code).unwrap());
        let many: Vec<_> = (0..2500).map(|n| state(&format!("pc{n}"), "o")).collect();
        let lengths = |states: &[_]| bodies(states).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(&many), [1000, 1000, 500]);
        assert!(lengths(&[]).is_empty());
        let twice = [state("a", "wu"), state("b", "o"), state("a", "wf"), state("a", "wu")];
        assert_eq!(lengths(&twice), [2, 1, 1]);
        assert_eq!(bodies(&twice).flatten().cloned().collect::<Vec<_>>(), twice);
    }

    #[test]
    fn a_refusal_is_told_entry_by_entry_and_cannot_steer_the_terminal() {
        let entry = |name: &str, why: &str| (name.to_owned(), why.to_owned());
        let refusal = Refusal {
            error: "2 bad entries".into(),
            entries: vec![entry("a", "no state"), entry("bb\u{1b}", "no name")],
        };
        assert_eq!(
            describe("http://x/push", &PushError::Bad(refusal)),
            "http://x/push: refused: 2 bad entries\n  a    no state\n  bb\u{fffd}  no name\n"
        );
    }
}
