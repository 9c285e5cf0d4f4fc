//! A conversation carried over HTTP, for ever.

use super::conversation::Conversation;
use super::http::{Answer, HttpError, Server};
use crate::core::lineage::{InstanceId, Lineage};
use crate::wire::client::{BadReply, Reply, reply};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::Instant;

/// Follows a daemon: a stream of events that never ends, whatever the daemon does.
#[derive(Debug)]
pub struct Client {
    server: Server,
    conversation: Conversation,
    pace: Pace,
    delays: ExponentialBackoff,
    wait_until: Option<Instant>,
    /// What only the client of a mirror has.
    mirror: Option<Mirror>,
}

#[derive(Debug, Default)]
struct Mirror {
    lineage: Option<Lineage>,
    is_turned_away: bool,
}

/// What has happened to the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A reply, to be applied in order. It may hold no messages: the link is alive all the same.
    Heard(Reply),
    /// There is no link. What was heard before is still the best that is known.
    Down {
        /// Why, for people to read.
        why: String,
        /// When the next attempt is made.
        retry_in: Duration,
    },
}

/// How soon a failed request is made again: after `least`, then ever later up to `most`, each with jitter
/// so that the clients of a daemon that restarts do not return all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After the first failure.
    pub least: Duration,
    /// After many. Jitter can double it.
    pub most: Duration,
}

impl Pace {
    /// For somebody who waits in front of a screen.
    pub const WATCHING: Pace = Pace { least: Duration::from_millis(500), most: Duration::from_secs(10) };

    fn delays(self) -> ExponentialBackoff {
        ExponentialBuilder::new()
            .with_min_delay(self.least)
            .with_max_delay(self.most)
            .with_jitter()
            .without_max_times()
            .build()
    }
}

impl Client {
    /// The least time between two requests where the first was answered at once but brought nothing
    /// to do, or where both ask for everything: a daemon that misbehaves is not asked in a tight loop.
    const BREATH: Duration = Duration::from_secs(1);

    /// A client that has asked nothing yet.
    pub fn new(server: Server, conversation: Conversation, pace: Pace) -> Client {
        Client { server, conversation, pace, delays: pace.delays(), wait_until: None, mirror: None }
    }

    /// The client of a mirror, which tells the daemon its name.
    pub fn of_mirror(mut server: Server, asker: &InstanceId, pace: Pace) -> Client {
        server.set_asker(asker);
        Client { mirror: Some(Mirror::default()), ..Client::new(server, Conversation::following(), pace) }
    }

    /// Whom the daemon of a mirror said last that it follows itself; the original says nothing.
    pub fn lineage(&self) -> Option<&Lineage> {
        self.mirror.as_ref()?.lineage.as_ref()
    }

    /// Whether the daemon has just said that this mirror must not follow it.
    pub fn is_turned_away(&self) -> bool {
        self.mirror.as_ref().is_some_and(|mirror| mirror.is_turned_away)
    }

    /// Has the next request wait for so many times the longest pause between two that fail, give or take a fifth, and
    /// ask for everything; returns how long that is.
    pub fn pause(&mut self, times: u32) -> Duration {
        let mut byte = [128];
        // Without chance, all is well too: it keeps two that wait for each other from asking at once.
        let _ = getrandom::fill(&mut byte);
        let pause = (self.pace.most * times).mul_f64(0.8 + 0.4 * f64::from(byte[0]) / 255.0);
        self.conversation.failed();
        self.wait_until = Some(Instant::now() + pause);
        pause
    }

    /// Asks, waits for what comes, and returns it. Not to be dropped half-way: what the daemon has
    /// handed over by then is only healed by its next snapshot.
    pub async fn next(&mut self) -> Event {
        if let Some(moment) = self.wait_until.take() {
            tokio::time::sleep_until(moment).await;
        }
        if let Some(mirror) = &mut self.mirror {
            mirror.is_turned_away = false;
        }
        let asked = Instant::now();
        let was_hello = self.conversation.is_hello();
        let (why, asked_to_wait) = match self.server.post(self.conversation.request().into()).await {
            Ok(Answer { body, lineage, .. }) => match read(body).await {
                Ok(reply) => {
                    self.conversation.heard(&reply);
                    if let Some(mirror) = &mut self.mirror {
                        if was_hello && lineage.is_some() {
                            self.conversation.ask_tag_map();
                        }
                        mirror.lineage = lineage;
                        if reply.bad_messages > 0 {
                            // What it said is lost, and only a snapshot heals that (reliability.md M2).
                            self.conversation.failed();
                            let delay = self.delays.next().unwrap_or(self.pace.most);
                            self.wait_until = Some(Instant::now() + delay);
                            return Event::Heard(reply);
                        }
                    }
                    self.delays = self.pace.delays();
                    let idle = reply.messages.is_empty() && asked.elapsed() < Self::BREATH;
                    if idle || (!was_hello && self.conversation.is_hello()) {
                        self.wait_until = Some(asked + Self::BREATH);
                    }
                    return Event::Heard(reply);
                }
                Err(bad) => {
                    self.conversation.failed();
                    (bad.to_string(), None)
                }
            },
            Err(error) => {
                if let Some(mirror) = &mut self.mirror {
                    mirror.is_turned_away = matches!(error, HttpError::Status { status: 508, .. });
                }
                match &error {
                    HttpError::Status { status: 400..=499, .. } => self.conversation.refused(),
                    _ => self.conversation.failed(),
                }
                (error.to_string(), error.retry_after())
            }
        };
        let delay = self.delays.next().unwrap_or(self.pace.most);
        let retry_in = asked_to_wait.map_or(delay, |wait| wait.max(delay));
        self.wait_until = Some(Instant::now() + retry_in);
        Event::Down { why, retry_in }
    }
}

/// Reads a body. A large one takes a tenth of a second, for which all would wait that a mirror serves.
async fn read(body: Bytes) -> Result<Reply, BadReply> {
    const LARGE: usize = 64 * 1024;
    if body.len() < LARGE {
        return reply(&body);
    }
    tokio::task::spawn_blocking(move || reply(&body)).await.unwrap_or(Err(BadReply::NotJson))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, listener, ok};
    use super::super::view::View;
    use super::*;
    use crate::core::tag::TagFilter;
    use std::net::SocketAddr;
    use tokio::net::TcpListener;

    const QUICK: Pace = Pace { least: Duration::from_millis(5), most: Duration::from_millis(20) };
    const WELCOME: &str = r#"{"type":"welcome","protocols":[1]},{"type":"tags","version":1,"tags":["hg"]}"#;
    const ROOMS: &str = r#"{"type":"roomMap","version":1,"roomMap":{"hg075":["HG00.075",["hg075pc1"]]}}"#;
    const FREE: &str = r#"{"type":"occupation","version":7,"occupation":{"hg075pc1":"lf"}}"#;
    const USED: &str = r#"{"type":"occupation_update","version":8,"update":{"hg075pc1":"lu"}}"#;

    fn client(address: SocketAddr) -> Client {
        let server = Server::new(&format!("http://{address}"), Server::HELD_REPLY).unwrap();
        Client::new(server, Conversation::watching(TagFilter::Everything), QUICK)
    }

    fn says(messages: &[&str]) -> Vec<u8> {
        format!(r#"["t",[{}],[]]"#, messages.join(",")).into_bytes()
    }

    /// Goes on until the state of the PC has this code; returns why the link was down meanwhile.
    async fn until(client: &mut Client, view: &mut View, code: &str) -> Vec<String> {
        let mut down = Vec::new();
        let pc = crate::core::pc::PcName::parse("hg075pc1").unwrap();
        let done = async {
            while view.state(&pc).code() != code {
                match client.next().await {
                    Event::Down { why, .. } => down.push(why),
                    Event::Heard(reply) => reply.messages.into_iter().for_each(|m| drop(view.apply(m))),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), done).await.unwrap();
        down
    }

    #[tokio::test]
    async fn a_watcher_follows_a_daemon_through_its_restart() {
        let (listener, address) = listener().await;
        let asked = answer(
            listener,
            vec![
                ok(says(&[WELCOME, ROOMS, FREE])),
                ok(says(&[])),
                ok(says(&[USED])),
                // It has restarted and does not know the channel, nor what it wanted.
                ok(says(&[WELCOME])),
                ok(says(&[ROOMS, FREE])),
            ],
        );
        let (mut client, mut view) = (client(address), View::default());
        assert!(until(&mut client, &mut view, "lu").await.is_empty());
        assert!(until(&mut client, &mut view, "lf").await.is_empty());
        let asked: Vec<bool> =
            asked.lock().unwrap().iter().map(|(_, _, body)| body.contains("get_occupation")).collect();
        assert_eq!(asked, [true, false, false, false, true]);
    }

    #[tokio::test]
    async fn no_fault_of_the_other_side_ends_a_watcher() {
        let (listener, address) = listener().await;
        let huge = vec![b' '; Server::MAX_REPLY + 1];
        let asked = answer(
            listener,
            vec![
                (503, Some(("retry-after", "0")), b"busy".to_vec()),
                ok("<html>"),
                ok(huge),
                (302, Some(("location", "http://elsewhere/")), vec![]),
                ok(says(&[WELCOME, ROOMS, FREE])),
                (400, None, b"Bad token".to_vec()),
                ok(says(&[WELCOME, ROOMS, USED])),
            ],
        );
        let (mut client, mut view) = (client(address), View::default());
        let down = until(&mut client, &mut view, "lu").await;
        let told = [
            "status 503 Service Unavailable: busy",
            "the answer is not JSON; is this the address of a tkbd?",
            "the answer is longer than 8 MiB",
            "redirected to http://elsewhere/; give that address if you trust it",
            "status 400 Bad Request: Bad token",
        ];
        assert_eq!(down, told);
        // The refused token is not shown again.
        assert!(asked.lock().unwrap().last().unwrap().2.starts_with("[null,"));
    }

    #[tokio::test]
    async fn a_daemon_that_is_not_there_yet_is_waited_for() {
        let (listener, address) = listener().await;
        drop(listener);
        let (mut client, mut view) = (client(address), View::default());
        for _ in 0..3 {
            let Event::Down { why, .. } = client.next().await else { panic!("who answers?") };
            assert_eq!(why, "Connection refused");
        }
        let listener = TcpListener::bind(address).await.unwrap();
        answer(listener, vec![ok(says(&[WELCOME, ROOMS, FREE]))]);
        until(&mut client, &mut view, "lf").await;
        assert!(view.is_whole());
    }
}
