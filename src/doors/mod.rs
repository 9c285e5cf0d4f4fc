//! Where requests come in: accept, parse, one verb of the hub, answer. One file a door.
//!
//! No door knows another. The web port is shared by several, and routed here.

pub mod control;
pub mod health;
pub mod http;
pub mod ingest;
pub mod joyce;
mod page;

use crate::health::{Condition, Health, Refusal as Why};
use http::{
    Admit, Came, Connection, Door, Limits, Persistence, Refusal, Request, Response, Socket, Target, Tls,
};
use hyper::StatusCode;
use hyper::http::request::Parts;
use joyce::Held;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};
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
}

impl Porch {
    /// Accepts connections until the daemon is to stop, for TLS where that is given. Those on which nothing happens
    /// for `idle`, or twice that, are ended: seen to here, for all of them, since a timer each would cost each of
    /// their waits.
    /// Another `idle` counts from the next look on.
    pub async fn accept<F: Future<Output = ()> + Send + 'static>(
        &self,
        listener: TcpListener,
        tls: Option<Arc<Tls>>,
        idle: impl Fn() -> Duration,
        serve: impl Fn(Arc<Socket>, SocketAddr) -> F,
    ) {
        // Out of descriptors, say: to try again at once would only burn the processor.
        const PAUSE: Duration = Duration::from_millis(100);
        let mut failing = false;
        let mut sockets = Sockets::default();
        let mut look = looks(idle());
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                _ = look.tick() => {
                    sockets.end_idle();
                    let idle = idle();
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
                    if std::mem::take(&mut failing) {
                        self.health.conditions.set(&Condition::DESCRIPTORS_EXHAUSTED, false);
                    }
                    let session = match tls.as_ref().map(Tls::session).transpose() {
                        Ok(session) => session,
                        Err(error) => {
                            tracing::error!(%error, "no TLS session can begin");
                            continue;
                        }
                    };
                    let socket = Arc::new(Socket::new(stream, session));
                    sockets.add(&socket);
                    self.tasks.spawn(serve(socket, peer));
                }
                // The client left before it was accepted.
                Err(error) if is_clients(&error) => {}
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "cannot accept connections; trying on");
                    }
                    failing = true;
                    self.health.conditions.set(&Condition::DESCRIPTORS_EXHAUSTED, true);
                    self.shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
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

/// The web port: how the daemon is doing on three paths, Joyce on its own, and the page on what is left.
pub struct Web {
    /// Joyce.
    pub joyce: Arc<joyce::Joyce>,
    /// How the daemon is doing.
    pub health: health::Probes,
    /// What a request may be; a connection keeps those with which it began.
    pub limits: watch::Receiver<Arc<Limits>>,
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
        let idle = || self.limits.borrow().idle;
        porch.accept(listener, tls, idle, |socket, _| self.clone().connection(socket)).await;
    }

    async fn connection(self: Arc<Self>, socket: Arc<Socket>) {
        let limits = self.limits.borrow().clone();
        if socket.has_session() && !Box::pin(socket.handshake(limits.head_timeout)).await {
            return;
        }
        let mut connection = Connection::new(socket, limits);
        // What is held on it, or was last.
        let mut held = None;
        loop {
            // What seldom happens is boxed: its state would make every connection's task larger.
            let goes_on = match connection.next(&self).await {
                Came::Plain(asked) => {
                    let persistence = asked.persistence();
                    match self.joyce.poll(&connection, asked, held) {
                        Ok(now) => {
                            held = now.or(held);
                            true
                        }
                        Err(refusal) => {
                            let sent = Box::pin(refusal.send_plain(&connection, persistence)).await;
                            sent.is_ok_and(Persistence::stays)
                        }
                    }
                }
                Came::Request(request) => Box::pin(self.answer(&connection, *request, &mut held)).await,
                Came::Left => return Box::pin(self.joyce.withdraw(&connection, held)).await,
                Came::Ended => false,
                Came::Nothing => return,
            };
            if !goes_on {
                return Box::pin(connection.linger()).await;
            }
        }
    }

    /// Answers a request, or has it held. True when the connection can go on.
    async fn answer(&self, connection: &Connection, request: Request, held: &mut Option<Held>) -> bool {
        let response = if let Some(page) = health::Page::of(&request) {
            self.health.answer(page, connection.socket().peer(), &request).await
        } else if page::is_for(&request) {
            page::index(&request)
        } else {
            match self.joyce.answer(connection, &request, *held) {
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
