//! `/events`: what changes, as a stream of server-sent events, for browsers and programs that only listen.
//!
//! A stream is a client of a channel of its own, which ends with it: so it is told in the same order and with the same
//! merging as everybody, and counts against the same limits. How far it has told stands in the id of its events, not in
//! the daemon: whoever comes back with that is told what has changed since, also by the next daemon.

use super::Porch;
use super::http::{BEAT, Connection, Request, Response, Socket, UNANSWERED, event_stream};
use crate::core::message::{Body, Message};
use crate::core::origins::Origin;
use crate::core::poll::{Ask, Reply};
use crate::core::snapshot::Snapshot;
use crate::core::tag::TagFilter;
use crate::core::token::Token;
use crate::core::version::Version;
use crate::health::Refusal;
use crate::hub::{Hub, Listener};
use crate::wire::api::{EventId, event_name, tags};
use crate::wire::message::render;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use std::io;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

/// The door.
pub struct Events {
    hub: Arc<Hub>,
    porch: Porch,
}

/// Whether a request is for this door.
pub fn is_for(request: &Request) -> bool {
    request.uri.path() == "/events"
}

impl Events {
    /// A door to the state.
    pub fn new(hub: Arc<Hub>, porch: Porch) -> Events {
        Events { hub, porch }
    }

    /// Answers a request of `origin` with a stream, until one of both sides ends it.
    ///
    /// # Errors
    /// The answer, where it is none.
    pub async fn serve(
        &self,
        connection: &Connection,
        request: &Request,
        origin: Option<Origin>,
    ) -> Result<(), Response> {
        const METHODS: &str = "GET, HEAD, OPTIONS";
        match request.method {
            Method::GET => {}
            Method::HEAD => return Err(stream_of_events()),
            Method::OPTIONS => return Err(Response::preflight(METHODS)),
            _ => {
                let refused = self.refused(StatusCode::METHOD_NOT_ALLOWED, Refusal::EventsMethod, "Only GET");
                return Err(refused.with("Allow", METHODS));
            }
        }
        let filter = tags(request.uri.query().unwrap_or_default())
            .map_err(|line| self.refused(StatusCode::BAD_REQUEST, Refusal::EventsBad, &line))?;
        let last = request.headers.get("last-event-id").and_then(|value| value.to_str().ok());
        let mut stream = self.open(connection.socket(), filter, origin).map_err(|line| {
            let refused = self.refused(StatusCode::SERVICE_UNAVAILABLE, Refusal::EventsChannels, &line);
            refused.with("Retry-After", "5")
        })?;
        tokio::select! {
            biased;
            // The last that it was told stands in its id: it is told the rest by who comes next.
            () = self.porch.shutdown.cancelled() => {}
            () = connection.left() => {}
            // When the connection breaks, or its reader is too slow.
            _ = stream.run(last.and_then(EventId::parse)) => {}
        }
        Ok(())
    }

    fn open(
        &self,
        socket: &Arc<Socket>,
        filter: TagFilter,
        origin: Option<Origin>,
    ) -> Result<Stream, String> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|_| "No random bits for a token; try again".to_owned())?;
        let token = Token::from_random(bits);
        let mut listener = Listener::new(self.hub.clone(), token, filter.clone(), origin);
        // Its answer says welcome and which tags there are, of which a stream does not tell.
        listener.ask(Vec::new()).map_err(|full| full.to_string())?;
        Ok(Stream {
            hub: self.hub.clone(),
            socket: socket.clone(),
            listener,
            filter,
            // Reconnections after a restart are spread over two seconds.
            retry: 1000 + u32::from(bits[0]) * 8,
            seen: EventId { epoch: self.hub.epoch(), ..EventId::default() },
            told: Version::default(),
        })
    }

    fn refused(&self, status: StatusCode, why: Refusal, line: &str) -> Response {
        self.hub.health().counts.refused.one(why);
        Response::problem(status, line)
    }
}

/// A stream that is being told.
struct Stream {
    hub: Arc<Hub>,
    socket: Arc<Socket>,
    listener: Listener,
    filter: TagFilter,
    /// After how many milliseconds its client is to come back.
    retry: u32,
    /// What its client has when it has had all events.
    seen: EventId,
    /// Updates up to this are in what it was told at its beginning.
    told: Version,
}

impl Stream {
    /// Tells what has changed since `last`, or all, and then what changes.
    ///
    /// # Errors
    /// When the connection breaks, its reader is too slow, or there is nothing to be had any more.
    async fn run(&mut self, last: Option<EventId>) -> io::Result<()> {
        self.socket.give_up_unanswered(UNANSWERED);
        let retry = format!("retry: {}\n\n", self.retry);
        self.socket.write_on(&[&stream_of_events().head_of_stream(), retry.as_bytes()], 0).await?;
        let mut asks = self.begin(last).await?;
        let mut silent_since = Instant::now();
        loop {
            let reply = self.listener.ask(std::mem::take(&mut asks)).map_err(io::Error::other)?;
            let reply = self.heard(reply, &mut silent_since).await?;
            let told: Vec<&Arc<Message>> = reply.messages.iter().filter(|one| self.is_news(one)).collect();
            if !told.is_empty() {
                self.tell(&told).await?;
                silent_since = Instant::now();
            }
        }
    }

    /// Tells what is to be told before all else, and says what is to be asked for then.
    async fn begin(&mut self, last: Option<EventId>) -> io::Result<Vec<Ask>> {
        // Made after the channel has begun to listen, so that nothing is missed in between; what comes twice is told once.
        let snapshot = self.hub.snapshot();
        let now = snapshot.versions;
        let is_known = |EventId { seen, epoch }: &EventId| {
            // The versions of another daemon are of other states. And where rooms or their tags are others, other PCs
            // may pass the filter.
            *epoch == self.hub.epoch()
                && (seen.room_map, seen.tag_map) == (now.room_map, now.tag_map)
                && seen.occupation <= now.occupation
                && seen.schedule <= now.schedule
        };
        let Some(known) = last.filter(is_known) else {
            return Ok(vec![Ask::TagMap, Ask::RoomMap, Ask::Schedule, Ask::Occupation]);
        };
        let seen = known.seen;
        self.seen = known;
        self.told = now.occupation;
        let update = self.changed_since(&snapshot, seen.occupation);
        if !matches!(update.body(), Body::OccupationUpdate { update, .. } if update.is_empty()) {
            self.tell(&[&update]).await?;
        }
        Ok(if seen.schedule == now.schedule { Vec::new() } else { vec![Ask::Schedule] })
    }

    fn changed_since(&self, snapshot: &Snapshot, since: Version) -> Arc<Message> {
        let pcs = snapshot.rooms(&self.filter).flat_map(|room| room.pcs());
        let changed = pcs.filter(|(_, pc)| pc.changed > since);
        let update = changed.map(|(name, pc)| (name.clone(), pc.occupation)).collect();
        Message::new(Body::OccupationUpdate { version: snapshot.versions.occupation, update })
    }

    fn is_news(&self, message: &Message) -> bool {
        match message.body() {
            Body::OccupationUpdate { version, .. } => *version > self.told,
            body => event_name(body).is_some(),
        }
    }

    /// Waits for a reply, and says meanwhile that we are there.
    async fn heard(
        &self,
        mut reply: oneshot::Receiver<Reply>,
        silent_since: &mut Instant,
    ) -> io::Result<Reply> {
        loop {
            tokio::select! {
                biased;
                reply = &mut reply => return reply.map_err(io::Error::other),
                () = sleep_until(*silent_since + BEAT) => {
                    self.socket.write_on(&[b":\n\n"], 0).await?;
                    *silent_since = Instant::now();
                }
            }
        }
    }

    /// Writes messages as events. The last of them has the id: a client that has not had all of them has none.
    async fn tell(&mut self, messages: &[&Arc<Message>]) -> io::Result<()> {
        let mut parts: Vec<Bytes> = Vec::new();
        for message in messages {
            self.seen.note(message.body());
            let name = event_name(message.body()).unwrap_or_default();
            let before = if parts.is_empty() { "" } else { "\n\n" };
            parts.push(format!("{before}event: {name}\ndata: ").into());
            parts.push(message.rendered(render).clone());
        }
        parts.push(format!("\nid: {}\n\n", self.seen).into());
        let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
        self.socket.write_on(&parts, 0).await
    }
}

/// What stands before all events. Pages of every origin may listen.
fn stream_of_events() -> Response {
    event_stream().with("Access-Control-Allow-Origin", "*")
}
