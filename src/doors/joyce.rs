//! Joyce: channels over HTTP, with requests that are held until there is something to say (joyce.md).

use super::Porch;
use super::http::{Connection, Persistence, Request, Response, Socket, Target, Turn, Waited, Written, date};
use crate::core::message::{Body, Message};
use crate::core::poll::{Poll, Reply};
use crate::core::token::Token;
use crate::hub::{Hub, Recipient};
use crate::wire::joyce::{BadRequest, Callback};
use crate::wire::{self, query};
use bytes::Bytes;
use hyper::{Method, StatusCode, header};
use std::sync::Arc;
use std::time::Instant;

/// The door of Joyce.
pub struct Joyce {
    hub: Arc<Hub>,
    path: String,
    porch: Porch,
}

impl Joyce {
    /// A door at `path`.
    pub fn new(hub: Arc<Hub>, path: &str, porch: Porch) -> Joyce {
        Joyce { hub, path: path.trim_matches('/').to_owned(), porch }
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

    /// Answers a request, however long that takes. True when the connection can go on.
    pub async fn answer(self: &Arc<Self>, connection: &mut Connection, request: Request) -> bool {
        let response = match (&request.method, request.uri.path().trim_matches('/') == self.path) {
            (&Method::OPTIONS, _) => preflight(&request),
            (&Method::GET | &Method::POST, true) => match asked(&request) {
                Ok(asked) => {
                    // Its headers are parts of the buffer that it was read into, which is not to be held too.
                    drop(request);
                    return self.poll(connection, asked).await;
                }
                Err(bad) => Response::text(StatusCode::BAD_REQUEST, &bad.to_string()),
            },
            (&Method::GET | &Method::POST, false) => Response::text(StatusCode::BAD_REQUEST, "Unknown path"),
            _ => Response::text(StatusCode::METHOD_NOT_ALLOWED, "Only GET, POST and OPTIONS")
                .with("Allow", "GET, POST, OPTIONS"),
        };
        let response = match request.method {
            Method::OPTIONS => response,
            // So that a page may read what is wrong, too.
            _ => response.with("Access-Control-Allow-Origin", "*"),
        };
        response.send(connection.socket(), &request).await.is_ok() && request.persistence().stays()
    }

    /// Answers what is asked of a channel, at once or when there is something to say. True when the
    /// connection can go on.
    pub async fn poll(self: &Arc<Self>, connection: &mut Connection, asked: Asked) -> bool {
        let Asked { callback, request, persistence } = asked;
        let persistence = if self.porch.shutdown.is_cancelled() { Persistence::Closes } else { persistence };
        let Some(token) = request.token.or_else(draw_token) else {
            let line = "No random bits for a token; try again";
            return Box::pin(refuse_for_now(connection, persistence, line, "1")).await;
        };
        if request.ignored > 0 {
            tracing::debug!(ignored = request.ignored, "messages of no known type or form");
        }
        let client = Box::new(Client {
            door: self.clone(),
            socket: connection.socket().clone(),
            token: token.clone(),
            callback,
            persistence,
            answered: false,
        });
        // Before the hub has it: whoever publishes may write from then on.
        connection.socket().pass(Turn::Publisher);
        match self.hub.poll(Poll { token, asks: request.asks }, client, Instant::now()) {
            Ok(held) => match connection.wait_for_answer().await {
                Waited::Answered => true,
                Waited::End => false,
                Waited::Left => {
                    if let Some((channel, hold)) = held {
                        self.hub.withdraw(channel, hold, Instant::now());
                    }
                    // What is being written already is not to be cut off. Whoever has left altogether
                    // makes that fail.
                    connection.wait_for_writer().await;
                    false
                }
            },
            Err(full) => {
                connection.socket().pass(Turn::Task);
                Box::pin(refuse_for_now(connection, persistence, &full.to_string(), "5")).await
            }
        }
    }
}

/// What a request asks of a channel, and how it wants to be answered.
pub struct Asked {
    /// The function that it wants a call of.
    callback: Option<Callback>,
    request: wire::joyce::Request,
    persistence: Persistence,
}

impl Asked {
    fn new(query: &[u8], json: &[u8], persistence: Persistence) -> Result<Asked, BadRequest> {
        let callback = match query::single(query, "c") {
            Ok(Some(name)) => Some(Callback::parse(&name)?),
            Ok(None) => None,
            Err(query::NotUtf8) => return Err(BadRequest::Callback),
        };
        Ok(Asked { callback, request: wire::joyce::request(json)?, persistence })
    }
}

fn asked(request: &Request) -> Result<Asked, BadRequest> {
    let query = request.uri.query().unwrap_or_default().as_bytes();
    let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let argument = |pairs: &[u8]| match query::single(pairs, "m") {
        Ok(Some(m)) => Ok(m.into_bytes()),
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

/// Answers that there is no channel to be had now. True when the connection can go on.
async fn refuse_for_now(
    connection: &Connection,
    persistence: Persistence,
    line: &str,
    seconds: &'static str,
) -> bool {
    let response = Response::text(StatusCode::SERVICE_UNAVAILABLE, line)
        .with("Retry-After", seconds)
        .with("Access-Control-Allow-Origin", "*");
    response.send_plain(connection.socket(), persistence).await.is_ok() && persistence.stays()
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
    answered: bool,
}

impl Recipient for Client {
    fn deliver(self: Box<Self>, reply: Reply) {
        if reply.messages.iter().any(|message| matches!(message.body(), Body::HistoricUpdates(_))) {
            let tasks = self.door.porch.tasks.clone();
            tasks.spawn(self.send(reply));
            return;
        }
        let answer = self.answer(&reply.messages, Vec::new());
        match self.socket.try_write(&answer.parts()) {
            Written::Whole => self.done(),
            Written::Failed => self.lost(reply),
            Written::Part(done) => {
                let tasks = self.door.porch.tasks.clone();
                tasks.spawn(self.finish(reply, answer, done));
            }
        }
    }
}

impl Client {
    /// Reads what the reply needs of the history, and writes it.
    async fn send(self, reply: Reply) {
        let historic = self.historic(&reply).await;
        let answer = self.answer(&reply.messages, historic);
        self.finish(reply, answer, 0).await;
    }

    async fn finish(self, reply: Reply, answer: Answer, done: usize) {
        match self.socket.write_on(&answer.parts(), done).await {
            Ok(()) => self.done(),
            Err(_) => self.lost(reply),
        }
    }

    fn done(mut self) {
        self.answered = true;
        self.socket.pass(if self.persistence.stays() { Turn::Client } else { Turn::Ended });
    }

    fn lost(self, reply: Reply) {
        let door = self.door.clone();
        // Ends the connection.
        drop(self);
        door.hub.give_back(reply.receipt, Instant::now());
    }

    async fn historic(&self, reply: &Reply) -> Vec<Bytes> {
        let mut historic = Vec::new();
        for message in reply.messages.iter() {
            let Body::HistoricUpdates(range) = message.body() else { continue };
            historic.push(match self.door.hub.updates(*range).await {
                Ok(updates) => wire::message::historic_updates(*range, &updates),
                Err(error) => {
                    tracing::warn!(%error, "the history cannot be read; a client goes without");
                    Bytes::new()
                }
            });
        }
        historic
    }

    /// The answer with these messages; `historic` has what was read for those that tell of the history.
    fn answer(&self, messages: &[Arc<Message>], historic: Vec<Bytes>) -> Answer {
        let mut historic = historic.into_iter();
        let texts: Vec<Bytes> = messages
            .iter()
            .map(|message| match message.body() {
                Body::HistoricUpdates(_) => historic.next().unwrap_or_default(),
                _ => message.rendered(wire::message::render).clone(),
            })
            .filter(|text| !text.is_empty())
            .collect();
        let (before, after) = wire::message::envelope(&self.token, self.callback.as_ref());
        let commas = texts.len().saturating_sub(1);
        let length = before.len() + texts.iter().map(Bytes::len).sum::<usize>() + commas + after.len();
        let kind =
            if self.callback.is_some() { "text/javascript; charset=utf-8" } else { "application/json" };
        let mut start =
            Vec::with_capacity(320 + if length <= Answer::COPIED { length } else { before.len() });
        for part in [
            "HTTP/1.1 200 OK\r\nDate: ",
            &date(),
            "\r\nContent-Type: ",
            kind,
            "\r\nAccess-Control-Allow-Origin: *\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n",
            self.persistence.line(),
            "Content-Length: ",
            &length.to_string(),
            "\r\n\r\n",
            &before,
        ] {
            start.extend_from_slice(part.as_bytes());
        }
        if length > Answer::COPIED {
            return Answer { start, texts, after };
        }
        for (i, text) in texts.iter().enumerate() {
            if i > 0 {
                start.push(b',');
            }
            start.extend_from_slice(text);
        }
        start.extend_from_slice(after.as_bytes());
        Answer { start, texts: Vec::new(), after: "" }
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

/// An answer as it is written: head, token and what comes before the messages; the messages, shared
/// with all who get them; and what comes after. A small one is all in the start: to copy is cheaper
/// than to gather.
struct Answer {
    start: Vec<u8>,
    texts: Vec<Bytes>,
    after: &'static str,
}

impl Answer {
    const COPIED: usize = 4096;

    fn parts(&self) -> Vec<&[u8]> {
        let mut parts: Vec<&[u8]> = Vec::with_capacity(2 + 2 * self.texts.len());
        parts.push(&self.start);
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
