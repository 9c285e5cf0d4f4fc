//! A connection: requests are read from it one by one.

use super::admit::{Admit, Refusal};
use super::reader::{self, Read};
use super::request::{self, Request, Target};
use super::socket::{Socket, Turn};
use bytes::{Bytes, BytesMut};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::timeout;

/// What a request may be, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest head, in bytes; at least 8,192, for hyper.
    pub head: usize,
    /// How long a head may take.
    pub head_timeout: Duration,
    /// The longest body, in bytes.
    pub body: usize,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// After how long a connection on which nothing happens is closed; it may take twice as long.
    pub idle: Duration,
}

/// A door, as its connections see it.
pub trait Door: Admit {
    /// What it makes of a plain request.
    type Plain;

    /// Takes a plain request, or leaves it to be read with all there is to it.
    fn plain(&self, target: Target<'_>) -> Option<Self::Plain>;
}

/// What came in.
#[derive(Debug)]
pub enum Came<T> {
    /// A plain request, as the door has taken it.
    Plain(T),
    /// Any other request.
    Request(Box<Request>),
}

/// How waiting for an answer ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited {
    /// It was answered, and the connection can be read again.
    Answered,
    /// The client has left while it was held.
    Left,
    /// It was answered, and that was the last answer.
    End,
}

/// A connection, as the task has it that reads from it.
pub struct Connection {
    socket: Arc<Socket>,
    /// Read beyond the last request.
    rest: Bytes,
    limits: Arc<Limits>,
}

/// Bytes that a client may send while its request is held. More is not read until that is answered.
const MAX_AHEAD: usize = 16 * 1024;

/// What is read at once. A head that is longer goes to hyper, as all do that come in parts.
const SCRATCH: usize = 16 * 1024;

thread_local! {
    /// Where a thread reads to: what comes is looked at where it lies, and no connection has a buffer.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// What was read: of a plain request what the door took of it, or as much as came of any other.
enum First<T> {
    Plain(T, Bytes),
    Bytes(Bytes),
}

impl Connection {
    /// A connection that was accepted just now.
    pub fn new(socket: Arc<Socket>, limits: Arc<Limits>) -> Connection {
        Connection { socket, rest: Bytes::new(), limits }
    }

    /// Its socket.
    pub fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// Waits for the next request; none where there will be no other: the client left, or nothing came for
    /// long, or the daemon is to stop. What is refused is answered here, and ends the connection.
    pub async fn next<D: Door>(&mut self, door: &Arc<D>) -> Option<Came<D::Plain>> {
        if self.rest.is_empty() {
            if self.socket.turn() == Turn::Task {
                self.socket.pass(Turn::Client);
            }
            match poll_fn(|cx| self.poll_first(cx, &**door)).await? {
                First::Plain(plain, rest) => {
                    self.rest = rest;
                    return Some(Came::Plain(plain));
                }
                First::Bytes(bytes) => self.rest = bytes,
            }
        } else if self.socket.turn() == Turn::Ended {
            return None;
        } else {
            self.socket.pass(Turn::Task);
        }
        match Box::pin(self.read(door)).await? {
            Ok(request) => Some(Came::Request(Box::new(request))),
            Err(Refusal(response)) => {
                if Box::pin(response.send_last(&self.socket)).await.is_ok() {
                    Box::pin(self.linger()).await;
                }
                None
            }
        }
    }

    /// Waits while it is a publisher's turn: until the request that was read last is answered.
    pub async fn wait_for_answer(&mut self) -> Waited {
        let waited = poll_fn(|cx| self.poll_answered(cx)).await;
        match waited {
            Some(waited) => waited,
            // It sends or leaves while its request is held, or it had sent more before.
            None => Box::pin(self.read_ahead()).await,
        }
    }

    /// Waits until the answer that is being written is, whole or not: the client has left, or has only
    /// closed its own side and still reads.
    pub async fn wait_for_writer(&self) {
        self.socket.set_awaited(true);
        poll_fn(|cx| self.poll_turn(cx).map(drop)).await;
    }

    /// Ends the connection such that the client can read the last answer: a socket that is closed with
    /// unread bytes in it is reset, which takes back what was written (RFC 9112, section 9.6).
    pub async fn linger(&mut self) {
        const FOR: Duration = Duration::from_secs(1);
        const AT_MOST: usize = 256 * 1024;
        self.socket.finish();
        let drain = async {
            let mut left = AT_MOST;
            // Not on the stack: it would make every connection's task that much larger.
            let mut bytes = vec![0; 4096];
            while left > 0 {
                match poll_fn(|cx| self.socket.poll_read(cx, &mut bytes)).await {
                    Ok(n) if n > 0 => left = left.saturating_sub(n),
                    _ => break,
                }
            }
        };
        // A client that neither reads nor closes is left to the kernel.
        let _ = timeout(FOR, drain).await;
    }

    /// Reads what comes first of a request; none where nothing will come.
    fn poll_first<D: Door>(&self, cx: &mut Context<'_>, door: &D) -> Poll<Option<First<D::Plain>>> {
        self.socket.register(cx);
        if self.socket.is_stopping() || self.socket.turn() == Turn::Ended {
            return Poll::Ready(None);
        }
        READ.with_borrow_mut(|buffer| {
            let read = match ready!(self.socket.poll_read(cx, buffer)) {
                Ok(n) if n > 0 && self.socket.begin() => buffer.get(..n).unwrap_or_default(),
                _ => return Poll::Ready(None),
            };
            let plain = request::plain(read).filter(|(_, length)| *length <= self.limits.head);
            let taken = plain.and_then(|(target, length)| Some((door.plain(target)?, length)));
            Poll::Ready(Some(match taken {
                Some((plain, length)) => {
                    First::Plain(plain, Bytes::copy_from_slice(read.get(length..).unwrap_or_default()))
                }
                None => First::Bytes(Bytes::copy_from_slice(read)),
            }))
        })
    }

    /// Has hyper read one request, which begins with what was read already; none where the client left.
    async fn read(&mut self, admit: &Arc<impl Admit>) -> Option<Result<Request, Refusal>> {
        let rest = std::mem::take(&mut self.rest);
        match reader::read(rest, &self.socket, *self.limits, admit).await {
            Read::Request(read, rest) => {
                self.rest = rest;
                Some(*read)
            }
            Read::NoHttp => {
                self.linger().await;
                None
            }
            Read::Left => None,
        }
    }

    /// How waiting has ended; none where the client has sent something, or had before.
    fn poll_answered(&self, cx: &mut Context<'_>) -> Poll<Option<Waited>> {
        if let Poll::Ready(waited) = self.poll_turn(cx) {
            return Poll::Ready(Some(waited));
        }
        if self.socket.is_stopping() {
            // All that is held is answered now, and this task has to see to the end.
            self.socket.set_awaited(true);
            if let Poll::Ready(waited) = self.poll_turn(cx) {
                return Poll::Ready(Some(waited));
            }
        }
        if self.rest.is_empty() && self.socket.poll_read_ready(cx).is_pending() {
            // The usual way: the next thing that happens is the next request, after the answer.
            return Poll::Pending;
        }
        Poll::Ready(None)
    }

    /// Ready when it is no publisher's turn.
    fn poll_turn(&self, cx: &Context<'_>) -> Poll<Waited> {
        self.socket.register(cx);
        match self.socket.turn() {
            Turn::Client | Turn::Task => Poll::Ready(Waited::Answered),
            Turn::Ended => Poll::Ready(Waited::End),
            Turn::Publisher => Poll::Pending,
        }
    }

    /// Waits for the answer to a request whose client goes on sending, or leaves.
    async fn read_ahead(&mut self) -> Waited {
        let mut ahead = BytesMut::from(&std::mem::take(&mut self.rest)[..]);
        self.socket.set_awaited(true);
        let waited = poll_fn(|cx| {
            loop {
                if let Poll::Ready(waited) = self.poll_turn(cx) {
                    return Poll::Ready(waited);
                }
                if ahead.len() >= MAX_AHEAD {
                    return Poll::Pending;
                }
                match ready!(poll_some(&self.socket, cx, &mut ahead)) {
                    Ok(n) if n > 0 => {}
                    _ => return Poll::Ready(Waited::Left),
                }
            }
        })
        .await;
        self.socket.set_awaited(false);
        self.rest = ahead.freeze();
        waited
    }
}

fn poll_some(socket: &Socket, cx: &mut Context<'_>, to: &mut BytesMut) -> Poll<io::Result<usize>> {
    READ.with_borrow_mut(|buffer| {
        let n = ready!(socket.poll_read(cx, buffer))?;
        to.extend_from_slice(buffer.get(..n).unwrap_or_default());
        Poll::Ready(Ok(n))
    })
}
