//! The push port: states come in here, from who may report them (protocol.md, "Push").
//!
//! Who may: peers on the address list, with a token where the setup has any, and never a browser. That is
//! decided on the head of a request, before any of the body is read (reliability.md P1 to P5); only whether the
//! token is bound to another source needs the body.

use super::Porch;
use super::http::{
    Admit, Came, Connection, Door, Limits, Persistence, Place, Places, Refusal, Request, Response, Socket,
    Target, Tls, Turn,
};
use super::http::{Hidden, contains, is_host, source};
use crate::core::push::Push;
use crate::core::source::Source;
use crate::health::Refusal as Why;
use crate::hub::{Hub, wall_clock};
use crate::wire::push::{self, BadPush};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode, header};
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// Who may push, and how much.
#[derive(Debug, Clone)]
pub struct Terms {
    /// From where.
    pub allow: Vec<IpNet>,
    /// Proxies whose word on where a request comes from is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Names by which this host is pushed to, besides its addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Tokens, one of which a push must bring where there are any.
    pub tokens: Vec<Token>,
    /// What a request may be; a connection keeps those with which it began.
    pub limits: Arc<Limits>,
    /// How long a push waits to be recorded before it is answered that it is not, yet.
    pub acknowledge_within: Duration,
    /// The line with which all pushes are refused: this is a mirror, and takes none.
    pub refused: Option<String>,
}

/// A token that was given out.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its SHA-256: the token itself is nowhere at rest.
    pub sha256: [u8; 32],
    /// The only source it is for.
    pub source: Option<Source>,
}

/// The push port.
pub struct Ingest {
    hub: Arc<Hub>,
    /// Asked for every request: they may change while the daemon runs.
    terms: watch::Receiver<Arc<Terms>>,
    porch: Porch,
    places: Arc<Semaphore>,
    /// For peers that can only be refused: they must not wait in the way of those that may push.
    strangers: Arc<Semaphore>,
    /// For all that are accepted.
    accepted: Places,
}

/// How many connections of peers that may not push are told so at a time; more are closed unheard.
const STRANGERS: usize = 16;

/// How many connections the push port has, served and waiting: as many wait as are served. More wait in the kernel's
/// queue, where they take no open file.
pub fn accepted(max_connections: usize) -> usize {
    2 * max_connections + STRANGERS
}

impl Ingest {
    /// A door with these terms, for so many connections at a time.
    pub fn new(
        hub: Arc<Hub>,
        terms: watch::Receiver<Arc<Terms>>,
        max_connections: usize,
        porch: Porch,
    ) -> Arc<Ingest> {
        let places = Arc::new(Semaphore::new(max_connections));
        let strangers = Arc::new(Semaphore::new(STRANGERS));
        let accepted = Places::new(accepted(max_connections));
        Arc::new(Ingest { hub, terms, porch, places, strangers, accepted })
    }

    /// Accepts and answers until the daemon is to stop, over TLS where that is given.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tls: Option<Arc<Tls>>) {
        let porch = self.porch.clone();
        let limits = || self.terms.borrow().limits.clone();
        let serve = |socket, peer: SocketAddr, place| self.clone().connection(socket, peer.ip(), place);
        porch.accept(listener, tls, self.accepted.clone(), limits, serve).await;
    }

    fn terms(&self) -> Arc<Terms> {
        self.terms.borrow().clone()
    }

    async fn connection(self: Arc<Self>, socket: Arc<Socket>, peer: IpAddr, _accepted: Place) {
        let peer = peer.to_canonical();
        let terms = self.terms();
        let place = if contains(&terms.allow, peer) || contains(&terms.trusted_proxies, peer) {
            // One that finds no place waits with nothing read: its bytes are the kernel's.
            // It is not idle while it does, and passes the turn on to the client when it reads.
            socket.pass(Turn::Task);
            // It waits also when the daemon is to stop: then those before it soon end.
            self.places.clone().acquire_owned().await.ok()
        } else {
            let place = self.strangers.clone().try_acquire_owned();
            place.inspect_err(|_| self.count(Why::PushUnheard)).ok()
        };
        let Some(place) = place else { return };
        if socket.has_session() && !Box::pin(socket.handshake(terms.limits.head_timeout)).await {
            return;
        }
        let mut connection = Connection::new(socket, terms.limits.clone());
        drop(terms);
        let gate = Arc::new(Gate { door: self.clone(), peer });
        loop {
            let request = match connection.next(&gate).await {
                Came::Request(request) => request,
                Came::Plain(never) => match never {},
                Came::Ended => break,
                Came::Left | Came::Crowded | Came::Broken | Came::Nothing => return,
            };
            let response = self.answer(&request).await;
            let sent = response.send(&connection, &request).await;
            if !sent.is_ok_and(Persistence::stays) {
                break;
            }
        }
        if self.porch.shutdown.is_cancelled() {
            // Those who wait for it have little time left.
            drop(place);
        }
        connection.linger().await;
    }

    async fn answer(&self, request: &Request) -> Response {
        // The one time of this push: of what is stored, and of what is told.
        let (at, now) = (wall_clock(), Instant::now());
        let report = match push::report(&request.body) {
            Ok(report) => report,
            Err(bad) => return self.bad_request(Why::PushBad, &bad),
        };
        let terms = self.terms();
        if !terms.is_token_for(&request.headers, &report.source) {
            self.count(Why::PushToken);
            return error(StatusCode::FORBIDDEN, "this token is not for this datasource");
        }
        let push = match Push::new(report.source, at, report.states) {
            Ok(push) => push,
            Err(twice) => {
                let bad = BadPush::whole(format!("{} PCs stand twice", twice.len()));
                return self.bad_request(Why::PushBad, &bad);
            }
        };
        let Ok(place) = self.hub.reserve() else {
            self.count(Why::PushBacklog);
            let full = "nothing was applied: the history cannot keep up, and its backlog is full; try again";
            return error(StatusCode::SERVICE_UNAVAILABLE, full).with("Retry-After", "5");
        };
        let pushed = match self.hub.push(push, place, now) {
            Ok(pushed) => pushed,
            Err(refused) => return self.bad_request(Why::PushGrowth, &refused.into()),
        };
        // Who watches does not wait for the disk, and the disk does not wait for them.
        let recorded = timeout(terms.acknowledge_within, pushed.recorded.durable());
        let ((), recorded) = tokio::join!(pushed.deliveries.send(), recorded);
        let counts = &self.hub.health().counts.pushed;
        match recorded {
            Ok(Ok(())) => {
                if pushed.has_changed { &counts.applied } else { &counts.unchanged }.one();
                Response::json(StatusCode::OK, push::DONE)
            }
            Ok(Err(_)) | Err(_) => {
                counts.pending.one();
                Response::json(StatusCode::ACCEPTED, push::APPLIED)
            }
        }
    }

    fn count(&self, why: Why) {
        self.hub.health().counts.refused.one(why);
    }

    fn bad_request(&self, why: Why, bad: &BadPush) -> Response {
        self.count(why);
        tracing::debug!(error = %bad.error, entries = bad.entries.len(), "bad push");
        Response::json(StatusCode::BAD_REQUEST, bad.to_json())
    }
}

impl Terms {
    /// Whether the token of the request, if one is needed, is good for the source.
    fn is_token_for(&self, headers: &HeaderMap, source: &Source) -> bool {
        self.tokens.is_empty()
            || self.tokens_of(headers).any(|token| token.source.as_ref().is_none_or(|only| only == source))
    }

    /// The tokens of the setup that the request brings: one, or one of each of several sources. All are
    /// compared, each in constant time, so that an answer's delay tells nothing of them.
    fn tokens_of(&self, headers: &HeaderMap) -> impl Iterator<Item = &Token> {
        let brought = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| Sha256::digest(token.trim()));
        let brought: Option<[u8; 32]> = brought.map(Into::into);
        self.tokens.iter().filter(move |token| {
            bool::from(brought.unwrap_or_default().ct_eq(&token.sha256)) && brought.is_some()
        })
    }
}

/// What is decided of a connection's requests on their heads.
struct Gate {
    door: Arc<Ingest>,
    peer: IpAddr,
}

impl Admit for Gate {
    fn refusal(&self, status: StatusCode, line: &str) -> Refusal {
        self.door.count(match status {
            StatusCode::REQUEST_TIMEOUT => Why::PushLate,
            StatusCode::PAYLOAD_TOO_LARGE => Why::PushTooLarge,
            _ => Why::PushFraming,
        });
        Refusal(error(status, line))
    }

    fn is_no_http(&self) {
        self.door.count(Why::PushFraming);
    }

    fn admit(&self, head: &Parts) -> Result<(), Refusal> {
        let terms = self.door.terms();
        let refuse = |why, status, line: &str| {
            self.door.count(why);
            Err(Refusal(error(status, line)))
        };
        let forbid = |why, line: &str| {
            tracing::debug!(peer = %self.peer, reason = line, "push refused");
            refuse(why, StatusCode::FORBIDDEN, line)
        };
        match source(self.peer, &head.headers, &terms.trusted_proxies) {
            Ok(origin) if contains(&terms.allow, origin) => {}
            Ok(_) => return forbid(Why::PushAddress, "this address is not on the list push.allow"),
            Err(Hidden::ByStranger) => {
                let line = "forwarding headers are taken only from push.trusted_proxies";
                return forbid(Why::PushForwarded, line);
            }
            Err(Hidden::ByProxy(line)) => return forbid(Why::PushForwarded, line),
        }
        if let Some(line) = &terms.refused {
            return forbid(Why::PushMirror, line);
        }
        // A page that a browser shows can send requests to any host that the browser reaches.
        if head.headers.contains_key(header::ORIGIN) || head.headers.contains_key("sec-fetch-site") {
            return forbid(Why::PushBrowser, "pushes from browsers are not taken");
        }
        if !is_host(&head.headers, &head.uri, &terms.hosts) {
            return forbid(
                Why::PushHost,
                "the Host is neither an address, nor localhost, nor one of push.hosts",
            );
        }
        if head.uri.path() != "/push" {
            return refuse(Why::PushPath, StatusCode::NOT_FOUND, "the path is /push");
        }
        if head.method != Method::POST {
            self.door.count(Why::PushMethod);
            let response = error(StatusCode::METHOD_NOT_ALLOWED, "the method is POST").with("Allow", "POST");
            return Err(Refusal(response));
        }
        if !terms.tokens.is_empty() && terms.tokens_of(&head.headers).next().is_none() {
            self.door.count(Why::PushToken);
            let response = error(StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer …");
            return Err(Refusal(response.with("WWW-Authenticate", "Bearer")));
        }
        let framed = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
        if !framed.iter().any(|name| head.headers.contains_key(name)) {
            return refuse(
                Why::PushLength,
                StatusCode::LENGTH_REQUIRED,
                "a Content-Length is needed, or a chunked body",
            );
        }
        Ok(())
    }
}

impl Door for Gate {
    type Plain = Infallible;

    /// A push has a body, and its headers are looked at.
    fn plain(&self, _: Target<'_>) -> Option<Infallible> {
        None
    }
}

fn error(status: StatusCode, line: &str) -> Response {
    Response::json(status, BadPush::whole(line).to_json())
}
