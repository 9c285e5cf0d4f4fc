//! A client of a crowd: what it asks, what it knows, and whether an answer is right.

use super::campus::{Interest, pc_of, state_of};
use super::heard::Heard;
use super::told::Lived;
use super::truth::{Fault, Truth};
use crate::load::dialect::joyce;
use mio::net::TcpStream;
use std::time::{Duration, Instant};

/// Who asks, whatever connection it has.
pub(super) struct Person {
    /// The first of the persons is 0; each comes from an address of its own.
    pub(super) number: usize,
    /// None until the daemon has drawn one.
    token: Option<String>,
    interest: Interest,
    /// The version that it was told last.
    seen: u64,
    /// The states of the PCs of its interest. None before it was told of them.
    view: Option<Vec<u8>>,
}

/// A person with a connection.
pub(super) struct Client {
    pub(super) person: Person,
    pub(super) stream: TcpStream,
    /// The beginning of an answer that is still to come whole.
    pub(super) part: Vec<u8>,
    pub(super) phase: Phase,
    /// Tells it from others that have had its place.
    pub(super) serial: u64,
    asked_at: Instant,
    expects: Expects,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    /// Its first request on this connection is not answered; or held, where it has come back.
    Entering,
    /// It asks again after each answer.
    Staying,
    /// It has ended its side, and hears what is still on its way; the number is when it comes back, in seconds.
    Leaving(f64),
}

/// What the next answer must have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Expects {
    /// A greeting: the channel is new, or has ended meanwhile.
    pub(super) welcome: bool,
    /// All states.
    pub(super) snapshot: bool,
}

impl Person {
    /// One that was never there; half of them draw their own token.
    pub(super) fn new(number: usize, interest: Interest, bits: u64) -> Person {
        let token = bits.is_multiple_of(2).then(|| format!("crowd-{number:07}-{:08x}", bits >> 32));
        Person { number, token, interest, seen: 0, view: None }
    }

    /// The request that asks for everything.
    pub(super) fn asks_all(&self) -> Vec<u8> {
        let token = self.token.as_ref().map_or_else(|| "null".to_owned(), |token| format!("\"{token}\""));
        let filter = self.interest.json();
        joyce(&format!(
            "[{token},{{\"type\":\"set_msgFilter\",\"occupation\":{filter},\"roomMap\":{filter},\"schedule\":{filter}}},{{\"type\":\"get_roomMap\"}},{{\"type\":\"get_schedule\"}},{{\"type\":\"get_occupation\"}}]"
        ))
    }

    /// The request that waits for news.
    pub(super) fn asks(&self) -> Vec<u8> {
        joyce(&format!("[\"{}\"]", self.token.as_deref().unwrap_or_default()))
    }

    /// Whether it has a filter that is worth remembering: one that lets something through.
    pub(super) fn has_filter(&self) -> bool {
        self.interest != Interest::Nothing
    }

    /// How many changes it was not told.
    pub(super) fn owed(&self, truth: &Truth) -> u64 {
        truth.owed(self.interest, self.seen)
    }

    /// Whether it sees what is true.
    pub(super) fn sees(&self, truth: &Truth) -> bool {
        let Some(view) = &self.view else { return false };
        self.interest.pcs().map(|pc| truth.state(pc)).eq(view.iter().copied())
    }
}

impl Client {
    /// On a connection, on which it asks now.
    pub(super) fn new(person: Person, stream: TcpStream, expects: Expects, serial: u64) -> Client {
        let asked_at = Instant::now();
        Client { person, stream, part: Vec::new(), phase: Phase::Entering, serial, asked_at, expects }
    }

    /// It has asked again.
    pub(super) fn has_asked(&mut self) {
        (self.asked_at, self.expects) = (Instant::now(), Expects::default());
    }

    /// Takes what an answer says; the time from push to here, where it was waited for.
    pub(super) fn take(
        &mut self,
        body: &[u8],
        truth: &mut Truth,
        lived: &mut Lived,
        hold: Duration,
    ) -> Result<Option<Duration>, Fault> {
        let wrong = |what: String| Err(Fault::Wrong(what));
        let heard = match Heard::read(body) {
            Ok(heard) => heard,
            Err(error) => return wrong(format!("{error}: {}", shown(body))),
        };
        if *self.person.token.get_or_insert_with(|| heard.0.to_owned()) != heard.0 {
            return wrong(format!("the answer to another client: {}", shown(body)));
        }
        lived.answers += 1;
        let (mut welcomed, mut told, mut latency) = (false, 0, None);
        for message in &heard.1 {
            welcomed |= message.kind == "welcome";
            let version = message.version.unwrap_or(0);
            if let Some(states) = &message.occupation {
                truth.check_snapshot(self.person.interest, version, states)?;
                told += 1;
                lived.snapshots += 1;
                self.person.view = Some(vec![u8::MAX; self.person.interest.size()]);
                self.see(version, &states.0);
            }
            if let Some(states) = &message.update {
                let seen = self.person.seen;
                if self.person.view.is_none() || self.expects.snapshot {
                    return wrong(format!("an update where all was asked for: {}", shown(body)));
                }
                truth.check_update(self.person.interest, seen, version, states)?;
                told += 1;
                lived.updates += 1;
                self.see(version, &states.0);
                // What waited for the client to ask is no matter of the daemon's.
                let pushed = truth.pushed_at(version).filter(|pushed| *pushed > self.asked_at);
                latency = pushed.map(|pushed| pushed.elapsed());
            }
        }
        if welcomed != self.expects.welcome || told > 1 || (self.expects.snapshot && told == 0) {
            return wrong(format!("{:?} was expected: {}", self.expects, shown(body)));
        }
        if heard.1.is_empty() {
            lived.empty += 1;
            let waited = self.asked_at.elapsed();
            if waited < hold.mul_f64(0.9) {
                return wrong(format!("an empty answer after {} ms", waited.as_millis()));
            }
        }
        Ok(latency)
    }

    fn see(&mut self, version: u64, states: &[(&str, &str)]) {
        self.person.seen = version;
        let Some(view) = &mut self.person.view else { return };
        for (name, code) in states {
            let place = pc_of(name).and_then(|pc| self.person.interest.place(pc));
            if let Some((seen, state)) = place.and_then(|place| view.get_mut(place)).zip(state_of(code)) {
                *seen = state;
            }
        }
    }
}

/// Some of a body.
pub(super) fn shown(body: &[u8]) -> String {
    let some = body.get(..body.len().min(300)).unwrap_or_default();
    String::from_utf8_lossy(some).escape_debug().to_string()
}
