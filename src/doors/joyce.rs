//! Joyce: channels over HTTP, with requests that are held until there is something to say (protocol.md).

use super::Porch;
use super::http::append_date;
use super::http::{Connection, Persistence, Place, Places, Request, Response, Socket, Target, Turn, Written};
use crate::core::lineage::InstanceId;
use crate::core::message::{Body, Message};
use crate::core::origins::Origin;
use crate::core::poll::{Ask, Poll, Reply};
use crate::core::token::Token;
use crate::health::Refusal;
use crate::hub::{Held, Hub, Recipient, TurnedAway};
use crate::wire::joyce::{BadRequest, Callback};
use crate::wire::message::Envelope;
use crate::wire::{self, query};
use bytes::Bytes;
use hyper::{Method, StatusCode, header};
use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

mod without_channel;

/// The door of Joyce.
pub struct Joyce {
    hub: Arc<Hub>,
    path: String,
    /// How many new channels wait for their place.
    waiting: Semaphore,
    /// What answers may take that their readers are slow to take.
    unsent: Places,
    porch: Porch,
}

impl Joyce {
    /// A door at `path`, where what readers are slow to take has so many KiB.
    pub fn new(hub: Arc<Hub>, path: &str, unsent: Places, porch: Porch) -> Joyce {
        let waiting = Semaphore::new(Self::MAX_WAITING);
        Joyce { hub, path: path.trim_matches('/').to_owned(), waiting, unsent, porch }
    }

    /// Where it is, without slashes around it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Takes a plain request that asks something of a channel. One that does not, or is bad, is left to
    /// be read with all there is to it.
    pub fn plain(&self, target: Target<'_>) -> Option<Asked> {
        if target.path.trim_matches('/') != self.path {
            return None;
        }
        let query = target.query?.as_bytes();
        let json = query::single(query, "m").ok()??;
        Asked::new(query, json.as_bytes(), Persistence::Stays).ok()
    }

    /// Answers a request that was read with all there is to it, or has it held.
    ///
    /// # Errors
    /// The answer, where it comes from no channel.
    pub async fn answer(
        self: &Arc<Self>,
        connection: &Connection,
        request: &Request,
        last: Option<Held>,
        origin: Option<Origin>,
        wait: Duration,
    ) -> Result<Option<Held>, Response> {
        let response = match (&request.method, request.uri.path().trim_matches('/') == self.path) {
            (&Method::OPTIONS, _) => return Err(preflight(request)),
            (&Method::GET | &Method::POST, true) => match asked(request) {
                Ok(asked) => {
                    let is_mirror = self.is_mirror(request)?;
                    let asked = Asked { is_mirror, origin, ..asked };
                    let polled = if asked.is_long() {
                        self.poll_in_turn(connection, asked, last).await
                    } else {
                        self.poll(connection, asked, last)
                    };
                    return match polled {
                        Ok(now) => Ok(Some(now)),
                        Err(turned) => self.without_channel(connection, turned, wait).await,
                    };
                }
                Err(bad) => {
                    self.count(Refusal::JoyceBad);
                    Response::text(StatusCode::BAD_REQUEST, &bad.to_string())
                }
            },
            (&Method::GET | &Method::POST, false) => {
                self.count(Refusal::JoycePath);
                Response::text(StatusCode::BAD_REQUEST, "Unknown path")
            }
            _ => {
                self.count(Refusal::JoyceMethod);
                Response::text(StatusCode::METHOD_NOT_ALLOWED, "Only GET, POST and OPTIONS")
                    .with("Allow", "GET, POST, OPTIONS")
            }
        };
        // So that a page may read what is wrong, too.
        Err(response.with("Access-Control-Allow-Origin", "*"))
    }

    /// Answers what is asked of a channel, at once or when there is something to say. In the latter case,
    /// returns what is held; `last` is what was asked of on this connection before.
    ///
    /// # Errors
    /// Where no channel can be had now: for [`Joyce::without_channel`].
    pub fn poll(
        self: &Arc<Self>,
        connection: &Connection,
        asked: Asked,
        last: Option<Held>,
    ) -> Result<Held, Box<Turned>> {
        let Asked { callback, request, persistence, is_mirror, origin } = asked;
        let socket = connection.socket();
        let Some(token) = request.token.or_else(draw_token) else { return Err(Box::new(Turned::NoToken)) };
        if request.ignored > 0 {
            self.hub.health().counts.ignored.add(request.ignored);
            tracing::debug!(ignored = request.ignored, "messages of no known type or form");
        }
        let client = Box::new(Client {
            door: self.clone(),
            socket: socket.clone(),
            token: token.clone(),
            callback,
            persistence,
            is_mirror,
            answered: false,
        });
        // Before the hub has it: whoever publishes may write from then on.
        socket.pass(Turn::Publisher);
        let poll = Poll { token, near: last.map(|(channel, _)| channel), asks: request.asks, origin };
        self.hub.poll(poll, client, Instant::now()).map_err(|turned| {
            socket.pass(Turn::Task);
            Box::new(Turned::Away(turned))
        })
    }

    /// The same, between all else that there is to do, for what is long to answer.
    ///
    /// # Errors
    /// As those of [`Joyce::poll`].
    pub async fn poll_in_turn(
        self: &Arc<Self>,
        connection: &Connection,
        asked: Asked,
        last: Option<Held>,
    ) -> Result<Held, Box<Turned>> {
        self.porch.slice.spend(|| self.poll(connection, asked, last)).await
    }

    /// Whether a request comes of a mirror, which tells its name.
    ///
    /// # Errors
    /// The answer to one that must not follow this daemon (reliability.md M4).
    fn is_mirror(&self, request: &Request) -> Result<bool, Response> {
        let Some(name) = request.headers.get(wire::VIA) else { return Ok(false) };
        let Some(asker) = name.to_str().ok().and_then(InstanceId::parse) else { return Ok(false) };
        self.hub.lineage().admit(&asker).map(|()| true).map_err(|tangle| {
            self.count(Refusal::JoyceLoop);
            tracing::warn!(%asker, %tangle, "a mirror is turned away");
            Response::text(StatusCode::LOOP_DETECTED, &tangle.to_string())
        })
    }

    /// Something was refused.
    pub fn count(&self, refusal: Refusal) {
        self.hub.health().counts.refused.one(refusal);
    }

    /// The client has left while its request was held.
    pub async fn withdraw(&self, connection: &Connection, held: Option<Held>) {
        if let Some((channel, Some(hold))) = held
            && !self.hub.withdraw(channel, hold, Instant::now())
        {
            // It was being answered, to nobody.
            self.hub.doubt(channel, Instant::now());
        }
        // What is being written already is not to be cut off. Whoever has left altogether makes that fail.
        connection.wait_for_writer().await;
    }
}

/// A request that found no channel.
pub enum Turned {
    /// A new one needs a token, and there are no random bits to be had.
    NoToken,
    /// There are too many.
    Away(TurnedAway),
}

/// What a request asks of a channel, and how it wants to be answered.
pub struct Asked {
    /// The function that it wants a call of.
    callback: Option<Callback>,
    request: wire::joyce::Request,
    persistence: Persistence,
    /// Whether it is told whom this daemon follows.
    is_mirror: bool,
    /// Against whose channels a new one counts.
    origin: Option<Origin>,
}

impl Asked {
    fn new(query: &[u8], json: &[u8], persistence: Persistence) -> Result<Asked, BadRequest> {
        let callback = match query::single(query, "c") {
            Ok(Some(name)) => Some(Callback::parse(&name)?),
            Ok(None) => None,
            Err(query::NotUtf8) => return Err(BadRequest::Callback),
        };
        Ok(Asked {
            callback,
            request: wire::joyce::request(json)?,
            persistence,
            is_mirror: false,
            origin: None,
        })
    }

    /// The same, asked from there.
    #[must_use]
    pub fn from(self, origin: Option<Origin>) -> Asked {
        Asked { origin, ..self }
    }

    /// Whether it is long to answer: it asks for whole states, and not just for what comes next.
    pub fn is_long(&self) -> bool {
        let is_short = |ask: &Ask| matches!(ask, Ask::SetFilter(_) | Ask::HistoricUpdates(_));
        !self.request.asks.iter().all(is_short)
    }

    /// What becomes of the connection after the answer.
    pub fn persistence(&self) -> Persistence {
        self.persistence
    }
}

fn asked(request: &Request) -> Result<Asked, BadRequest> {
    let query = request.uri.query().unwrap_or_default().as_bytes();
    let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let argument = |pairs: &[u8]| match query::single(pairs, "m") {
        Ok(Some(m)) => Ok(m.into_owned().into_bytes()),
        Ok(None) => Err(BadRequest::Missing),
        Err(query::NotUtf8) => Err(BadRequest::Malformed),
    };
    let json = if request.method == Method::GET {
        argument(query)?
    } else if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        argument(&request.body)?
    } else if kind.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/")) {
        return Err(BadRequest::Multipart);
    } else if request.body.is_empty() {
        b"null".to_vec()
    } else {
        request.body.to_vec()
    };
    Asked::new(query, &json, request.persistence())
}

fn preflight(request: &Request) -> Response {
    let header =
        |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut response = Response::new(StatusCode::OK, "text/plain; charset=utf-8", "")
        .with("Access-Control-Max-Age", "1728000")
        .with("Access-Control-Allow-Methods", "POST, GET, OPTIONS")
        .with("Vary", "Origin, Access-Control-Request-Headers");
    if let Some(origin) = header("Origin") {
        response = response.with("Access-Control-Allow-Origin", origin);
    }
    if let Some(headers) = header("Access-Control-Request-Headers") {
        response = response.with("Access-Control-Allow-Headers", headers);
    }
    response
}

fn draw_token() -> Option<Token> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).ok()?;
    Some(Token::from_random(bits))
}

/// Who is to get a reply: the client of one request.
struct Client {
    door: Arc<Joyce>,
    socket: Arc<Socket>,
    token: Token,
    callback: Option<Callback>,
    persistence: Persistence,
    is_mirror: bool,
    answered: bool,
}

impl Recipient for Client {
    fn deliver(mut self: Box<Self>, reply: Reply) {
        self.persistence = self.socket.persistence(self.persistence);
        if reply.messages.iter().any(|message| matches!(message.body(), Body::HistoricUpdates(_))) {
            let tasks = self.door.porch.tasks.clone();
            tasks.spawn(self.send(reply));
            return;
        }
        let (written, rest) = WRITE.with_borrow_mut(|start| {
            start.clear();
            let answer = Answer::new(&self, &reply.messages, Vec::new(), start);
            let written = match answer.texts.as_slice() {
                [] => self.socket.try_write(&[start]),
                _ => self.socket.try_write(&answer.parts(start)),
            };
            let is_part = matches!(written, Written::Part(_));
            (written, is_part.then(|| (answer, start.clone())))
        });
        match (written, rest) {
            (Written::Part(done), Some((answer, start))) if self.is_kept(&answer, &reply) => {
                let tasks = self.door.porch.tasks.clone();
                tasks.spawn(self.finish(reply, answer, start, done));
            }
            (Written::Whole, _) => self.done(),
            _ => self.lost(reply),
        }
    }
}

impl Client {
    /// Reads what the reply needs of the history, and writes it.
    async fn send(self: Box<Self>, reply: Reply) {
        let (historic, _places) = self.historic(&reply).await;
        let mut start = Vec::new();
        let answer = Answer::new(&self, &reply.messages, historic, &mut start);
        if !self.is_kept(&answer, &reply) {
            return self.lost(reply);
        }
        self.finish(reply, answer, start, 0).await;
    }

    /// Whether there is memory for what its reader is slow to take. Messages are shared, and each is paid for once; but
    /// a state that changes all the time makes others all the time (reliability.md O5).
    fn is_kept(&self, answer: &Answer, reply: &Reply) -> bool {
        let messages = reply.messages.iter();
        let mut shared = messages.filter(|message| !matches!(message.body(), Body::HistoricUpdates(_)));
        answer.texts.is_empty()
            || shared.all(|message| {
                let length = message.rendered(wire::message::render).len();
                message.keep(|| Some(Box::new(self.door.unsent.try_take_bytes(length)?)))
            })
    }

    async fn finish(mut self: Box<Self>, reply: Reply, answer: Answer, start: Vec<u8>, done: usize) {
        match self.socket.write_on(&answer.parts(&start), done).await {
            Ok(()) => self.done(),
            Err(_) => self.lost(reply),
        }
    }

    fn done(&mut self) {
        self.answered = true;
        self.socket.pass(if self.persistence.stays() { Turn::Client } else { Turn::Ended });
    }

    fn lost(self: Box<Self>, reply: Reply) {
        let door = self.door.clone();
        // Ends the connection.
        drop(self);
        door.hub.give_back(reply.receipt, Instant::now());
    }

    /// The head of an answer with so many bytes of body.
    fn head(&self, length: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\nDate: ");
        append_date(out);
        out.extend_from_slice(if self.callback.is_some() {
            b"\r\nContent-Type: text/javascript; charset=utf-8\r\n".as_slice()
        } else {
            b"\r\nContent-Type: application/json\r\n"
        });
        out.extend_from_slice(
            b"Access-Control-Allow-Origin: *\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n",
        );
        out.extend_from_slice(self.persistence.line().as_bytes());
        if self.is_mirror {
            let _ = write!(out, "{}: {}\r\n", wire::VIA, self.door.hub.lineage());
        }
        // Writing to memory cannot fail.
        let _ = write!(out, "Content-Length: {length}\r\n\r\n");
    }

    /// Parts of the history, and the memory they have: they are shared with nobody.
    async fn historic(&self, reply: &Reply) -> (Vec<Bytes>, Vec<Place>) {
        let (mut historic, mut places) = (Vec::new(), Vec::new());
        for message in reply.messages.iter() {
            let Body::HistoricUpdates(range) = message.body() else { continue };
            let text = match self.door.hub.updates(*range).await {
                Ok((range, updates)) => wire::message::historic_updates(range, &updates),
                Err(error) => {
                    tracing::warn!(%error, "the history cannot be read; a client goes without");
                    Bytes::new()
                }
            };
            let place = self.door.unsent.try_take_bytes(text.len());
            if place.is_none() {
                tracing::warn!(
                    "as much is unsent as may be (limits.unsent); a client goes without the history"
                );
            }
            historic.push(if place.is_some() { text } else { Bytes::new() });
            places.extend(place);
        }
        (historic, places)
    }
}

impl Drop for Client {
    /// A client that was not answered must not wait for ever: its connection ends, and it asks again.
    fn drop(&mut self) {
        if !self.answered {
            self.socket.pass(Turn::Ended);
        }
    }
}

thread_local! {
    /// Where a thread writes answers together. They are gone from it by the time of the next.
    static WRITE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What of an answer stands behind its start: the messages, shared with all who get them, and what comes
/// after. Of a small answer nothing: it is all in the start, since to copy is cheaper than to gather.
struct Answer {
    texts: Vec<Bytes>,
    after: &'static str,
}

impl Answer {
    /// Messages of more bytes than this are not copied.
    const COPIED: usize = 4096;

    /// The answer with these messages, whose start is added to `start`; `historic` has what was read for
    /// those that tell of the history.
    fn new(client: &Client, messages: &[Arc<Message>], historic: Vec<Bytes>, start: &mut Vec<u8>) -> Answer {
        let mut historic = historic.into_iter();
        let texts = messages.iter().map(|message| match message.body() {
            Body::HistoricUpdates(_) => historic.next().unwrap_or_default(),
            _ => message.rendered(wire::message::render).clone(),
        });
        let mut texts = texts.filter(|text| !text.is_empty());
        let envelope = Envelope { token: &client.token, callback: client.callback.as_ref() };
        // Nearly all answers have one message, and need no list of them.
        let (first, rest): (Option<Bytes>, Vec<Bytes>) = (texts.next(), texts.collect());
        let length = |text: &Bytes| text.len();
        let inside = first.as_ref().map_or(0, length) + rest.iter().map(|text| 1 + text.len()).sum::<usize>();
        client.head(envelope.length() + inside, start);
        envelope.open(start);
        if inside > Self::COPIED {
            return Answer { texts: first.into_iter().chain(rest).collect(), after: envelope.close() };
        }
        start.extend_from_slice(&first.unwrap_or_default());
        for text in &rest {
            start.push(b',');
            start.extend_from_slice(text);
        }
        start.extend_from_slice(envelope.close().as_bytes());
        Answer { texts: Vec::new(), after: "" }
    }

    fn parts<'a>(&'a self, start: &'a [u8]) -> Vec<&'a [u8]> {
        let mut parts = vec![start];
        for (i, text) in self.texts.iter().enumerate() {
            if i > 0 {
                parts.push(b",");
            }
            parts.push(text);
        }
        parts.push(self.after.as_bytes());
        parts
    }
}
