//! Requests that find no channel, and those that are answered before their time.

use super::{Connection, Held, Joyce, Response, Turn, Turned};
use crate::core::poll::{Fate, Receipt, Reply, Shortage};
use crate::health::Refusal;
use hyper::StatusCode;
use std::time::{Duration, Instant};
use tokio::time::timeout;

impl Joyce {
    /// How many new channels may wait for a place. Each keeps a connection and a few messages.
    pub(super) const MAX_WAITING: usize = 1024;

    /// How long a client that is known waits for its empty answer, and as long again by chance: it asks again at
    /// once, and all that are put off must not do so together.
    const PAUSE: Duration = Duration::from_secs(1);

    /// How often a new channel looks for a place, where nothing says when there is one.
    const LOOK: Duration = Duration::from_millis(250);

    /// Answers a request for which there was no channel. A client that is known is told nothing, after a pause, and
    /// comes again (reliability.md C9); a new one waits that long for a place (C10).
    ///
    /// # Errors
    /// The answer where no place comes free in time.
    pub async fn without_channel(
        &self,
        connection: &Connection,
        turned: Box<Turned>,
        wait: Duration,
    ) -> Result<Option<Held>, Response> {
        let Turned::Away((mut none, mut client)) = *turned else {
            self.count(Refusal::JoyceChannels);
            return Err(for_now("No random bits for a token; try again", "1"));
        };
        let socket = connection.socket();
        let end = Instant::now() + wait;
        let mut waits = None;
        loop {
            let why = none.why;
            let poll = match none.fate {
                Fate::PutOff { .. } => {
                    self.pause(Self::PAUSE + by_chance(Self::PAUSE)).await;
                    socket.pass(Turn::Publisher);
                    client.deliver(Reply { messages: [].into(), receipt: Receipt::of_no_channel() });
                    return Ok(None);
                }
                Fate::Again(poll) => poll,
            };
            if waits.is_none() {
                waits = self.waiting.try_acquire().ok();
            }
            let left = end.saturating_duration_since(Instant::now());
            if waits.is_none() || left.is_zero() || self.porch.shutdown.is_cancelled() {
                // Ends the connection, which is to go on.
                drop(client);
                socket.pass(Turn::Task);
                self.count(match why {
                    Shortage::InAll(_) => Refusal::JoyceChannels,
                    Shortage::OfAddress(_) => Refusal::JoyceChannelsOfAddress,
                    Shortage::TooFast { .. } => Refusal::JoyceChannelsTooFast,
                });
                tracing::debug!(%why, "no channel for a new client");
                return Err(for_now(&why.to_string(), "5"));
            }
            let wait = match why {
                Shortage::TooFast { wait, .. } => wait + by_chance(Self::LOOK),
                Shortage::InAll(_) | Shortage::OfAddress(_) => Self::LOOK + by_chance(Self::LOOK),
            };
            self.pause(wait.min(left)).await;
            socket.pass(Turn::Publisher);
            match self.hub.poll(poll, client, Instant::now()) {
                Ok(now) => return Ok(Some(now)),
                Err(again) => {
                    socket.pass(Turn::Task);
                    (none, client) = again;
                }
            }
        }
    }

    /// Answers a held request with nothing: its client has sent so much more that it must want something else.
    pub async fn let_go(&self, connection: &Connection, held: Option<Held>) -> bool {
        let is_let_go = held.is_some_and(|(channel, hold)| {
            hold.is_some_and(|hold| self.hub.let_go(channel, hold, Instant::now()))
        });
        if !is_let_go {
            connection.wait_for_writer().await;
        }
        true
    }

    /// The connection broke on which a channel was answered last.
    pub fn doubt(&self, held: Option<Held>) {
        if let Some((channel, _)) = held {
            self.hub.doubt(channel, Instant::now());
        }
    }

    /// Waits so long, or until the daemon is to stop.
    async fn pause(&self, pause: Duration) {
        let _ = timeout(pause, self.porch.shutdown.cancelled()).await;
    }
}

/// There is no channel to be had now.
fn for_now(line: &str, seconds: &'static str) -> Response {
    Response::text(StatusCode::SERVICE_UNAVAILABLE, line)
        .with("Retry-After", seconds)
        .with("Access-Control-Allow-Origin", "*")
}

/// Some part of a time; without random bits, half of it.
fn by_chance(of: Duration) -> Duration {
    let mut bits = [0x80; 1];
    let _ = getrandom::fill(&mut bits);
    of * u32::from(bits[0]) / 256
}
