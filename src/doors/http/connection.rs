//! A connection: requests are read from it one by one.

use super::admit::{Admit, Refusal};
use super::places::Places;
use super::reader::{self, Read};
use super::request::{self, Persistence, Request, Target, Whole};
use super::socket::{Patience, Socket, Turn};
use bytes::{Bytes, BytesMut};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What a request may be, and how long it may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest head, in bytes; at least 8,192, for hyper.
    pub head: usize,
    /// How long a head may take.
    pub head_timeout: Duration,
    /// The longest body, in bytes.
    pub body: usize,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// What all bodies may take that are on their way, in KiB; none: as much as they have connections.
    pub bodies: Option<Places>,
    /// After how long a connection on which nothing happens is closed; it may take twice as long.
    pub idle: Duration,
    /// How long an answer may take.
    pub patience: Patience,
}

/// A door, as its connections see it.
pub trait Door: Admit {
    /// What it makes of a plain request.
    type Plain;

    /// Takes a plain request, or leaves it to be read with all there is to it.
    fn plain(&self, target: Target<'_>) -> Option<Self::Plain>;
}

/// What came of waiting for a request.
#[derive(Debug)]
pub enum Came<T> {
    /// A plain request, as the door has taken it.
    Plain(T),
    /// Any other request.
    Request(Box<Request>),
    /// The client has left while its request is held, or just before it is answered.
    Left,
    /// The client has sent a great deal while its request is held: that is to be answered.
    Crowded,
    /// The connection broke; what was written last may not have arrived.
    Broken,
    /// No other request: the last answer was written, nothing came for long, or the daemon is to stop.
    Ended,
    /// No other request: the client has left.
    Nothing,
}

/// A connection, as the task has it that reads from it.
pub struct Connection {
    socket: Arc<Socket>,
    /// Read beyond the last request.
    rest: Bytes,
    limits: Arc<Limits>,
    /// Every request is read with all there is to it: its headers are needed.
    reads_all: bool,
    /// When it was accepted, or its session had begun, as long as no request has come.
    unused_since: Option<Instant>,
}

/// Bytes that a client may send while its request is held. One that sends more wants other things than to wait; and
/// behind what is not read its end could not be seen (reliability.md C1).
const MAX_AHEAD: usize = 16 * 1024;

/// What is read at once. A head that is longer goes to hyper, as all do that come in parts.
const SCRATCH: usize = 16 * 1024;

thread_local! {
    /// Where a thread reads to: what comes is looked at where it lies, and no connection has a buffer.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// What a wait for a request has come to.
enum Next<T> {
    /// A plain request, of which the door has taken what it needs.
    Plain(T),
    /// A POST, of which nothing was left to read.
    Whole(Box<Result<Request, Refusal>>),
    /// Some of any other is in `rest`.
    Some,
    /// More is sent while a request is held, or had been sent before; or the client has left.
    Ahead,
    /// None is there, and the daemon is to stop.
    Quiet,
    Ended,
    Broken,
    Nothing,
}

/// What came of reading on while a request is held.
enum ReadAhead {
    Answered,
    Left,
    Crowded,
}

impl Connection {
    /// A connection that was accepted just now.
    pub fn new(socket: Arc<Socket>, limits: Arc<Limits>) -> Connection {
        let unused_since = Some(Instant::now());
        Connection { socket, rest: Bytes::new(), limits, reads_all: false, unused_since }
    }

    /// The same, where no request is taken for a plain one.
    #[must_use]
    pub fn reading_all(self, reads_all: bool) -> Connection {
        Connection { reads_all, ..self }
    }

    /// Has the TLS session of its socket begin. False when that does not, and the connection is over.
    pub async fn handshake(&mut self) -> bool {
        let has_begun = self.socket.handshake(self.limits.head_timeout).await;
        self.unused_since = Some(Instant::now());
        has_begun
    }

    /// Its socket.
    pub fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// What becomes of it after an answer that is written now: when the daemon is to stop it ends, unless another
    /// request has come.
    pub fn persistence(&self, asked: Persistence) -> Persistence {
        let more = !self.rest.is_empty() || self.socket.is_stopping() && self.socket.has_more();
        if more { asked } else { self.socket.persistence(asked) }
    }

    /// Waits for the answer to the last request, if that is held, and then for the next. What is refused is
    /// answered here, and ends the connection.
    ///
    /// All of a connection's life is spent here, so that a task that is woken has little to find again.
    pub async fn next<D: Door>(&mut self, door: &Arc<D>) -> Came<D::Plain> {
        loop {
            match poll_fn(|cx| self.poll_next(cx, &**door)).await {
                Next::Plain(plain) => return Came::Plain(plain),
                Next::Whole(read) => match *read {
                    Ok(request) => return Came::Request(Box::new(request)),
                    Err(refusal) => return Box::pin(self.refuse(&refusal)).await,
                },
                Next::Some => return Box::pin(self.read(door)).await,
                Next::Ahead => match Box::pin(self.read_ahead()).await {
                    ReadAhead::Answered => {}
                    ReadAhead::Left => return Came::Left,
                    ReadAhead::Crowded => return Came::Crowded,
                },
                Next::Quiet if Box::pin(self.comes_still()).await => {}
                Next::Quiet | Next::Ended => return Came::Ended,
                Next::Broken => return Came::Broken,
                Next::Nothing => return Came::Nothing,
            }
        }
    }

    /// Waits until the answer that is being written is, whole or not: the client has left, or has only
    /// closed its own side and still reads.
    pub async fn wait_for_writer(&self) {
        self.socket.set_awaited(true);
        poll_fn(|cx| {
            self.socket.register(cx);
            if self.socket.turn() == Turn::Publisher { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Comes when the client has left, while an answer to it goes on and on. What it sends meanwhile is passed over; more
    /// than anybody has to say is taken for an end, too.
    pub async fn left(&self) {
        let mut passed = 0;
        poll_fn(|cx| {
            READ.with_borrow_mut(|buffer| {
                while passed <= MAX_AHEAD {
                    match ready!(self.socket.poll_read(cx, buffer)) {
                        Ok(n) if n > 0 => passed += n,
                        _ => break,
                    }
                }
                Poll::Ready(())
            })
        })
        .await;
    }

    /// Whether something comes though the daemon is to stop. A request may be on its way, of a client that was just
    /// answered: it is waited for as long as that takes on a slow network, and then answered. After that the client
    /// is told that the connection ends; a request that crosses with this is sent anew by browsers, which know that a
    /// connection may end that they have had for a while. Of one that was just made for a request they do not, so
    /// that such a request is waited for longer.
    async fn comes_still(&self) -> bool {
        const FOR: Duration = Duration::from_millis(500);
        const FIRST: Duration = Duration::from_secs(2);
        let first = self.unused_since.map_or(Duration::ZERO, |since| FIRST.saturating_sub(since.elapsed()));
        timeout(FOR.max(first), poll_fn(|cx| self.socket.poll_read_ready(cx))).await.is_ok()
    }

    /// Ends the connection such that the client can read the last answer: a socket that is closed with
    /// unread bytes in it is reset, which takes back what was written (RFC 9112, section 9.6). False where the
    /// client has reset it, so that it likely has not.
    pub async fn linger(&mut self) -> bool {
        const FOR: Duration = Duration::from_secs(1);
        // Nothing was answered on it that could be taken back, and it has been waited for already: both together
        // must not take the whole of the grace period.
        const UNUSED: Duration = Duration::from_millis(250);
        const AT_MOST: usize = 256 * 1024;
        let is_unused = self.unused_since.is_some() && self.socket.is_stopping();
        let patience = if is_unused { UNUSED } else { FOR };
        self.socket.finish();
        let drain = async {
            let mut left = AT_MOST;
            // Not on the stack: it would make every connection's task that much larger.
            let mut bytes = vec![0; 4096];
            while left > 0 {
                match poll_fn(|cx| self.socket.poll_read(cx, &mut bytes)).await {
                    Ok(n) if n > 0 => left = left.saturating_sub(n),
                    Ok(_) => break,
                    Err(_) => return false,
                }
            }
            true
        };
        // A client that neither reads nor closes is left to the kernel.
        timeout(patience, drain).await.unwrap_or(true)
    }

    fn poll_next<D: Door>(&mut self, cx: &mut Context<'_>, door: &D) -> Poll<Next<D::Plain>> {
        // Before anything is looked at: what is not yet to be seen wakes this task.
        self.socket.register(cx);
        if self.socket.turn() == Turn::Publisher && self.socket.is_stopping() {
            // All that is held is answered now, and this task has to see to the end.
            self.socket.set_awaited(true);
        }
        match self.socket.turn() {
            Turn::Publisher => {
                // The usual way: the next thing that happens is the next request, after the answer.
                let waits = self.rest.is_empty() && self.socket.poll_read_ready(cx).is_pending();
                return if waits { Poll::Pending } else { Poll::Ready(Next::Ahead) };
            }
            Turn::Ended => return Poll::Ready(Next::Ended),
            Turn::Task => self.socket.pass(Turn::Client),
            Turn::Client => {}
        }
        if !self.rest.is_empty() {
            return Poll::Ready(if self.socket.begin() { self.behind(door) } else { Next::Ended });
        }
        READ.with_borrow_mut(|buffer| {
            let read = match self.socket.poll_read(cx, buffer) {
                Poll::Ready(Ok(n)) if n > 0 => buffer.get(..n).unwrap_or_default(),
                Poll::Pending if self.socket.is_stopping() => return Poll::Ready(Next::Quiet),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Next::Broken),
                Poll::Ready(_) => return Poll::Ready(Next::Nothing),
            };
            if !self.socket.begin() {
                return Poll::Ready(Next::Ended);
            }
            self.unused_since = None;
            let (next, done) =
                self.plain(read, door).or_else(|| self.whole(read, door)).unwrap_or((Next::Some, 0));
            if let Some(rest) = read.get(done..).filter(|rest| !rest.is_empty()) {
                self.rest = Bytes::copy_from_slice(rest);
            }
            Poll::Ready(next)
        })
    }

    /// The request that came behind the last.
    fn behind<D: Door>(&mut self, door: &D) -> Next<D::Plain> {
        let Some((next, done)) = self.plain(&self.rest, door) else { return Next::Some };
        // Not a slice of it: what is held would keep all of it.
        self.rest = Bytes::copy_from_slice(self.rest.get(done..).unwrap_or_default());
        next
    }

    /// A plain request, and its length.
    fn plain<D: Door>(&self, read: &[u8], door: &D) -> Option<(Next<D::Plain>, usize)> {
        if self.reads_all {
            return None;
        }
        let (target, length) = request::plain(read)?;
        (length <= self.limits.head).then_some((Next::Plain(door.plain(target)?), length))
    }

    /// A POST that needs nothing of hyper, and its length.
    fn whole<D: Door>(&self, read: &[u8], door: &D) -> Option<(Next<D::Plain>, usize)> {
        let Whole { head, head_length, body } = request::whole(read)?;
        if head_length > self.limits.head || body.len() > self.limits.body {
            return None;
        }
        let request = door.admit(&head).map(|()| Request::new(head, Bytes::copy_from_slice(body)));
        Some((Next::Whole(Box::new(request)), head_length + body.len()))
    }

    /// Has hyper read one request, which begins with what was read already.
    async fn read<D: Door>(&mut self, door: &Arc<D>) -> Came<D::Plain> {
        let rest = std::mem::take(&mut self.rest);
        match reader::read(rest, &self.socket, &self.limits, door).await {
            Read::Request(read, rest) => {
                self.rest = rest;
                match *read {
                    Ok(request) => Came::Request(Box::new(request)),
                    Err(refusal) => self.refuse(&refusal).await,
                }
            }
            Read::NoHttp => {
                door.is_no_http();
                Came::Ended
            }
            Read::Left => Came::Nothing,
        }
    }

    /// Answers a request that is not let in. It is the last, since of its body more may be on its way.
    async fn refuse<T>(&self, Refusal(response): &Refusal) -> Came<T> {
        if response.send_last(&self.socket).await.is_ok() { Came::Ended } else { Came::Nothing }
    }

    /// Waits for the answer to a request whose client goes on sending.
    async fn read_ahead(&mut self) -> ReadAhead {
        let mut ahead = BytesMut::from(&std::mem::take(&mut self.rest)[..]);
        self.socket.set_awaited(true);
        let ahead_of = poll_fn(|cx| {
            loop {
                self.socket.register(cx);
                if self.socket.turn() != Turn::Publisher {
                    return Poll::Ready(ReadAhead::Answered);
                }
                if ahead.len() >= MAX_AHEAD {
                    return Poll::Ready(ReadAhead::Crowded);
                }
                match ready!(poll_some(&self.socket, cx, &mut ahead)) {
                    Ok(n) if n > 0 => {}
                    _ => return Poll::Ready(ReadAhead::Left),
                }
            }
        })
        .await;
        self.socket.set_awaited(false);
        self.rest = ahead.freeze();
        ahead_of
    }
}

fn poll_some(socket: &Socket, cx: &mut Context<'_>, to: &mut BytesMut) -> Poll<io::Result<usize>> {
    READ.with_borrow_mut(|buffer| {
        let n = ready!(socket.poll_read(cx, buffer))?;
        to.extend_from_slice(buffer.get(..n).unwrap_or_default());
        Poll::Ready(Ok(n))
    })
}
