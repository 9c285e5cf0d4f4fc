//! Where requests come in: accept, parse, one verb of the hub, answer. One file a door.
//!
//! No door knows another. The web port is shared by several, and routed here.

pub mod api;
pub mod control;
pub mod events;
pub mod health;
pub mod http;
pub mod ingest;
pub mod insight;
pub mod joyce;
pub mod page;

use crate::core::origins::Origin;
use crate::core::slack::Slack;
use crate::health::{Condition, Health, Refusal as Why};
use crate::hub::Held;
use http::{
    Addresses, Admit, Came, Connection, Counted, Door, Limits, Persistence, Place, Places, Refusal, Request,
    Response, Shares, Socket, Target, TimeSlice, Tls, Turn,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all doors are given.
#[derive(Clone)]
pub struct Porch {
    /// Cancelled when the daemon is to stop: no more connections, and no more requests on them.
    pub shutdown: CancellationToken,
    /// Everything that is to be waited for then.
    pub tasks: TaskTracker,
    /// Where it is told what is wrong.
    pub health: Arc<Health>,
    /// Those who accept. When they have ended, every connection knows that it is to end, and says so in its answers.
    pub accepting: TaskTracker,
    /// For answers that take long.
    pub slice: Arc<TimeSlice>,
}

impl Porch {
    /// Accepts connections until the daemon is to stop, for TLS where that is given. Those on which nothing happens
    /// for `limits.idle`, or twice that, are ended: seen to here, for all of them, since a timer each would cost each of
    /// their waits. Other limits count for the connections to come, and another `idle` from the next look on.
    ///
    /// A connection is accepted when there is a place for it, and has that until `serve` drops it. Without one, others
    /// wait in the kernel's queue, and those that stand idle are ended meanwhile (reliability.md O4).
    pub async fn accept<F: Future<Output = ()> + Send + 'static>(
        &self,
        listener: TcpListener,
        tls: Option<Arc<Tls>>,
        places: Places,
        limits: impl Fn() -> Arc<Limits>,
        mut serve: impl FnMut(Arc<Socket>, SocketAddr, Place) -> F,
    ) {
        // How long a connection that stands idle is left alone when others wait for its place: a client that
        // was answered asks again within milliseconds.
        const SPARED: Duration = Duration::from_secs(1);
        // Out of descriptors, say: to try again at once would only burn the processor.
        const PAUSE: Duration = Duration::from_millis(100);
        let (mut failing, mut full) = (None, None);
        let short = || self.health.conditions.hold(&Condition::DESCRIPTORS_EXHAUSTED);
        let mut sockets = Sockets::default();
        let mut look = looks(limits().idle);
        loop {
            let Some(place) = places.try_take() else {
                if full.is_none() {
                    tracing::warn!(
                        "all places for connections are taken; others wait, and idle ones are ended"
                    );
                }
                full.get_or_insert_with(short);
                sockets.end_idle();
                // Whoever waits longest has the next place, and so this one is given back until then.
                tokio::select! {
                    () = self.shutdown.cancelled() => break,
                    _ = places.take() => {}
                    () = sleep(SPARED) => {}
                }
                continue;
            };
            full = None;
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                _ = look.tick() => {
                    sockets.end_idle();
                    let idle = limits().idle;
                    if look.period() != idle {
                        look = looks(idle);
                        look.reset();
                    }
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    failing = None;
                    let session = match tls.as_ref().map(Tls::session).transpose() {
                        Ok(session) => session,
                        Err(error) => {
                            tracing::error!(%error, "no TLS session can begin");
                            continue;
                        }
                    };
                    let socket = Arc::new(Socket::new(stream, session, limits().patience));
                    sockets.add(&socket);
                    self.tasks.spawn(serve(socket, peer, place));
                }
                // The client left before it was accepted.
                Err(error) if is_clients(&error) => {}
                Err(error) => {
                    if failing.is_none() {
                        tracing::warn!(%error, "cannot accept connections; trying on");
                    }
                    failing.get_or_insert_with(short);
                    drop(place);
                    sockets.end_idle();
                    self.shutdown.run_until_cancelled(sleep(PAUSE)).await;
                }
            }
        }
        sockets.stop();
    }
}

fn looks(every: Duration) -> Interval {
    let mut look = interval(every);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look
}

/// The sockets that a door has accepted.
#[derive(Default)]
struct Sockets(Vec<Weak<Socket>>);

impl Sockets {
    fn add(&mut self, socket: &Arc<Socket>) {
        if self.0.len() == self.0.capacity() {
            self.0.retain(|socket| socket.strong_count() > 0);
            // Room for as many again: where few were gone, the next would have all looked at once more.
            self.0.reserve(self.0.len().max(1));
        }
        self.0.push(Arc::downgrade(socket));
    }

    fn end_idle(&mut self) {
        self.0.retain(|socket| socket.upgrade().inspect(|socket| socket.end_if_idle()).is_some());
        self.0.give_back_slack();
    }

    /// Has all connections end, as soon as what is held on them is answered.
    fn stop(&self) {
        for socket in self.0.iter().filter_map(Weak::upgrade) {
            socket.stop();
        }
    }
}

fn is_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionReset)
}

/// Connections that wait for a place of their address. More are told at once that there is none: each takes a place of
/// all while it waits.
static WAITING: Semaphore = Semaphore::const_new(256);

/// What the web port goes by, and what may change while the daemon runs.
#[derive(Debug, Clone)]
pub struct WebTerms {
    /// What a request may be; a connection keeps those with which it began.
    pub limits: Arc<Limits>,
    /// Whose connections and channels are counted.
    pub shares: Shares,
    /// How long a connection or a new channel waits for its place.
    pub wait: Duration,
}

/// The web port. Each door has its paths; what none of them wants is Joyce's, which says so.
pub struct Web {
    /// Joyce.
    pub joyce: Arc<joyce::Joyce>,
    /// How the daemon is doing.
    pub health: health::Probes,
    /// What it goes by.
    pub terms: watch::Receiver<Arc<WebTerms>>,
    /// How many connections there may be.
    pub places: Places,
    /// And how many of one address.
    pub addresses: Addresses,
    /// For programs that ask once.
    pub api: api::Api,
    /// For administrators: how rooms were used.
    pub insight: insight::Insight,
    /// For programs that only listen.
    pub events: events::Events,
    /// For people.
    pub page: page::Page,
    /// What all doors are given.
    pub porch: Porch,
}

/// Everybody may ask on the web port.
impl Admit for Web {
    fn admit(&self, _: &Parts) -> Result<(), Refusal> {
        Ok(())
    }

    fn refusal(&self, status: StatusCode, line: &str) -> Refusal {
        self.joyce.count(match status {
            StatusCode::REQUEST_TIMEOUT => Why::JoyceLate,
            StatusCode::PAYLOAD_TOO_LARGE => Why::JoyceTooLarge,
            StatusCode::SERVICE_UNAVAILABLE => Why::JoyceBodies,
            _ => Why::JoyceFraming,
        });
        Refusal(Response::text(status, line))
    }

    fn is_no_http(&self) {
        self.joyce.count(Why::JoyceFraming);
    }
}

impl Door for Web {
    type Plain = joyce::Asked;

    fn plain(&self, target: Target<'_>) -> Option<joyce::Asked> {
        self.joyce.plain(target)
    }
}

impl Web {
    /// Accepts and answers until the daemon is to stop, over TLS where that is given.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tls: Option<Arc<Tls>>) {
        let porch = self.porch.clone();
        let limits = || self.terms.borrow().limits.clone();
        let serve = |socket, peer: SocketAddr, place| {
            let counted = self.terms.borrow().shares.counted(peer.ip());
            let own = match counted {
                Counted::As(origin) => Some(self.addresses.of(origin)),
                Counted::Not | Counted::ByRequest => None,
            };
            self.clone().connection(socket, counted, own, place)
        };
        porch.accept(listener, tls, self.places.clone(), limits, serve).await;
    }

    async fn connection(
        self: Arc<Self>,
        socket: Arc<Socket>,
        counted: Counted,
        own: Option<Places>,
        _place: Place,
    ) {
        let limits = self.terms.borrow().limits.clone();
        let has_session = socket.has_session();
        let mut connection = Connection::new(socket, limits);
        let _own = match own.map(|own| own.try_take().ok_or(own)) {
            None => None,
            Some(Ok(place)) => Some(place),
            Some(Err(own)) => match Box::pin(self.wait_for_place(&mut connection, own)).await {
                Some(place) => Some(place),
                None => return,
            },
        };
        if has_session && !Box::pin(connection.handshake()).await {
            return;
        }
        let mut connection = connection.reading_all(counted == Counted::ByRequest);
        let origin = match counted {
            Counted::As(origin) => Some(origin),
            Counted::Not | Counted::ByRequest => None,
        };
        // The channel that it asked for last, and what is held on it.
        let mut held = None;
        loop {
            // What seldom happens is boxed: its state would make every connection's task larger.
            let goes_on = match connection.next(&self).await {
                Came::Plain(asked) => {
                    let persistence = asked.persistence();
                    let asked = asked.from(origin);
                    let polled = if asked.is_long() {
                        Box::pin(self.joyce.poll_in_turn(&connection, asked, held)).await
                    } else {
                        self.joyce.poll(&connection, asked, held)
                    };
                    match polled {
                        Ok(now) => {
                            held = Some(now);
                            true
                        }
                        Err(turned) => {
                            let wait = self.terms.borrow().wait;
                            let answered = self.joyce.without_channel(&connection, turned, wait);
                            match Box::pin(answered).await {
                                Ok(now) => {
                                    held = now.or(held);
                                    true
                                }
                                Err(refusal) => {
                                    let sent = refusal.send_plain(&connection, persistence);
                                    Box::pin(sent).await.is_ok_and(Persistence::stays)
                                }
                            }
                        }
                    }
                }
                Came::Request(request) => {
                    let origin =
                        if counted == Counted::ByRequest { self.named(&request.headers) } else { origin };
                    Box::pin(self.answer(&connection, *request, &mut held, origin)).await
                }
                Came::Crowded => Box::pin(self.joyce.let_go(&connection, held)).await,
                Came::Left => return Box::pin(self.joyce.withdraw(&connection, held)).await,
                Came::Broken => return self.joyce.doubt(held),
                Came::Ended => false,
                Came::Nothing => return,
            };
            if !goes_on {
                if !Box::pin(connection.linger()).await {
                    self.joyce.doubt(held);
                }
                return;
            }
        }
    }

    /// A place of the connection's address, for which it waits with nothing read: an old page that is refused freezes.
    /// Where all are to end nobody is held any more, and so nobody needs one.
    async fn wait_for_place(&self, connection: &mut Connection, own: Places) -> Option<Place> {
        // It is not idle while it waits, and passes the turn on to the client when it reads.
        connection.socket().pass(Turn::Task);
        let waits = WAITING.try_acquire().ok();
        let wait = if waits.is_some() { self.terms.borrow().wait } else { Duration::ZERO };
        let place = tokio::select! {
            place = timeout(wait, own.take()) => place.ok(),
            () = self.porch.shutdown.cancelled() => return Some(Place::none()),
        };
        // Those that are told at once are told so plainly: a handshake costs more than what it would tell.
        let is_told = waits.is_some() || !connection.socket().has_session();
        drop(waits);
        if place.is_none() {
            self.joyce.count(Why::JoyceConnectionsOfAddress);
            tracing::debug!("a connection too many of one address");
            if !is_told || !Box::pin(connection.handshake()).await {
                return None;
            }
            let line = "This address has as many connections as one may have";
            let refusal = Response::text(StatusCode::SERVICE_UNAVAILABLE, line).with("Retry-After", "5");
            let refusal = refusal.with("Access-Control-Allow-Origin", "*");
            if refusal.send_last(connection.socket()).await.is_ok() {
                connection.linger().await;
            }
        }
        place
    }

    /// Against whom a request counts that a proxy has passed on. One that does not say whose it is counts against
    /// nobody: it is the proxy that is to be set right, and not its clients that are to be turned away.
    fn named(&self, headers: &HeaderMap) -> Option<Origin> {
        let terms = self.terms.borrow();
        let address = http::rightmost_untrusted(headers, &terms.shares.trusted_proxies);
        address.ok().and_then(|address| terms.shares.origin(address))
    }

    /// Answers a request, or has it held. True when the connection can go on.
    async fn answer(
        &self,
        connection: &Connection,
        request: Request,
        held: &mut Option<Held>,
        origin: Option<Origin>,
    ) -> bool {
        let response = if let Some(page) = health::Page::of(&request) {
            self.health.answer(page, connection.socket().peer(), &request).await
        } else if api::is_for(&request) {
            self.api.answer(&request).await
        } else if insight::is_for(&request) {
            self.insight.answer(connection.socket().peer(), &request).await
        } else if events::is_for(&request) {
            match self.events.serve(connection, &request, origin).await {
                Ok(()) => return false,
                Err(response) => response,
            }
        } else if page::is_for(&request, self.joyce.path()) {
            match self.page.serve(connection, &request, origin).await {
                Ok(()) => return false,
                Err(response) => response,
            }
        } else {
            let wait = self.terms.borrow().wait;
            match self.joyce.answer(connection, &request, *held, origin, wait).await {
                Ok(now) => {
                    *held = now.or(*held);
                    return true;
                }
                Err(response) => response,
            }
        };
        response.send(connection, &request).await.is_ok_and(Persistence::stays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Patience;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn o5_a_panic_in_a_connection_ends_that_one_and_gives_its_place_to_the_next() {
        let porch = Porch {
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            accepting: TaskTracker::new(),
            health: Arc::default(),
            slice: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap();
        let accepted = AtomicUsize::new(0);
        let nine = Duration::from_secs(9);
        let limits = Arc::new(Limits {
            head: 8192,
            head_timeout: nine,
            body: 1024,
            body_timeout: nine,
            bodies: None,
            idle: 11 * nine,
            patience: Patience::new(nine, nine),
        });
        let serve = |socket: Arc<Socket>, _, place| {
            let first = accepted.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                let _place: Place = place;
                assert!(!first, "the first connection panics, as it is to");
                socket.write_on(&[b"served"], 0).await.unwrap();
            }
        };
        let clients = async {
            let mut first = TcpStream::connect(port).await.unwrap();
            let mut second = TcpStream::connect(port).await.unwrap();
            first.write_all(b"x").await.unwrap();
            let mut said = String::new();
            assert_eq!(first.read_to_string(&mut said).await.unwrap_or(0), 0, "{said}");
            second.read_to_string(&mut said).await.unwrap();
            porch.shutdown.cancel();
            said
        };
        let (said, ()) =
            tokio::join!(clients, porch.accept(listener, None, Places::new(1), || limits.clone(), serve));
        assert_eq!(said, "served");
    }
}
