//! A connection: requests are read from it one by one.

use super::admit::{Admit, Refusal};
use super::socket::{Socket, Turn};
use super::tap::Tap;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming as Body;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::{HeaderMap, Method, StatusCode, Uri, Version, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;

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

/// A request with its whole body.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// What it is for.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    version: Version,
}

impl Request {
    fn new(head: Parts, body: Bytes) -> Request {
        Request { method: head.method, uri: head.uri, headers: head.headers, body, version: head.version }
    }

    /// Whether the client wants to send another request after this.
    pub fn keep_alive(&self) -> bool {
        let says = |word: &str| {
            let values = self.headers.get_all(header::CONNECTION).into_iter();
            let mut words = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
            words.any(|said| said.trim().eq_ignore_ascii_case(word))
        };
        match self.version {
            Version::HTTP_10 => says("keep-alive") && !says("close"),
            _ => !says("close"),
        }
    }

    /// The line of the answer that says so, where it has to be said.
    pub fn connection(&self) -> &'static str {
        match (self.keep_alive(), self.version) {
            (false, _) => "Connection: close\r\n",
            (true, Version::HTTP_10) => "Connection: keep-alive\r\n",
            (true, _) => "",
        }
    }
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

/// The reading side of a connection, with its writing side.
pub struct Connection {
    /// Read beyond the last request.
    rest: Bytes,
    /// None only while hyper reads.
    read: Option<OwnedReadHalf>,
    socket: Arc<Socket>,
    limits: Limits,
    shutdown: CancellationToken,
    /// One timer for the whole of a connection's life: it looks whether anything has happened since it
    /// looked last. A timer for each wait would cost more than the wait.
    idle: Pin<Box<Sleep>>,
    idle_seen: bool,
    /// Nothing was read of it yet.
    fresh: bool,
}

/// Bytes that a client may send while its request is held. More is not read until that is answered.
const MAX_AHEAD: usize = 16 * 1024;

type Slot = OnceLock<Result<Request, Refusal>>;

impl Connection {
    /// A connection that was accepted just now.
    pub fn new(stream: TcpStream, limits: Limits, shutdown: CancellationToken) -> Connection {
        // A reply is written at once and whole; to wait for more of it only delays it.
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        Connection {
            rest: Bytes::new(),
            read: Some(read),
            socket: Arc::new(Socket::new(write)),
            limits,
            shutdown,
            idle: Box::pin(sleep(limits.idle)),
            idle_seen: false,
            fresh: true,
        }
    }

    /// Its writing side.
    pub fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// Waits for the next request; none where there will be no other: the client left, or the daemon is
    /// to stop. What is refused is answered here, and ends the connection.
    pub async fn next(&mut self, admit: &Arc<impl Admit>) -> Option<Request> {
        if self.rest.is_empty() && !self.readable().await {
            return None;
        }
        self.idle_seen = false;
        match Box::pin(self.read(admit)).await? {
            Ok(request) => Some(request),
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
        let mut ahead = BytesMut::from(&std::mem::take(&mut self.rest)[..]);
        let mut stopping = false;
        let waited = loop {
            match self.socket.turn() {
                Turn::Task => break Waited::Answered,
                Turn::Ended => break Waited::End,
                Turn::Publisher => {}
            }
            let Some(read) = &self.read else { break Waited::Left };
            if ahead.is_empty() {
                // The usual way: the next thing that happens is the next request, after the answer.
                tokio::select! {
                    _ = read.readable() => {}
                    () = self.socket.told() => continue,
                    () = self.shutdown.cancelled(), if !stopping => {
                        // All that is held is answered now, and this task has to see to the end.
                        stopping = true;
                        self.socket.set_awaited(true);
                        continue;
                    }
                    () = self.idle.as_mut() => {
                        // A request is held, so the connection is not idle.
                        self.idle.as_mut().reset(Instant::now() + self.limits.idle);
                        continue;
                    }
                }
                if self.socket.turn() != Turn::Publisher {
                    continue;
                }
            }
            // It sends or leaves while its request is held, or the publisher is just about to be done.
            if read_ahead(read, &mut ahead).is_err() {
                break Waited::Left;
            }
            self.socket.set_awaited(true);
            if self.socket.turn() == Turn::Publisher && !ahead.is_empty() {
                let room = ahead.len() < MAX_AHEAD;
                tokio::select! {
                    _ = read.readable(), if room => {}
                    () = self.socket.told() => {}
                }
            }
            self.socket.set_awaited(stopping);
        };
        self.socket.set_awaited(false);
        self.rest = ahead.freeze();
        self.idle_seen = false;
        waited
    }

    /// Waits until the answer that is being written is, whole or not: the client has left, or has only
    /// closed its own side and still reads.
    pub async fn wait_for_writer(&self) {
        self.socket.set_awaited(true);
        while self.socket.turn() == Turn::Publisher {
            self.socket.told().await;
        }
    }

    /// Ends the connection such that the client can read the last answer: a socket that is closed with
    /// unread bytes in it is reset, which takes back what was written (RFC 9112, section 9.6).
    pub async fn linger(&mut self) {
        const FOR: Duration = Duration::from_secs(1);
        const AT_MOST: usize = 256 * 1024;
        let Some(read) = self.read.take() else { return };
        self.socket.finish();
        let drain = async {
            let mut left = AT_MOST;
            // Not on the stack: it would make every connection's task that much larger.
            let mut bytes = vec![0; 4096];
            while left > 0 && read.readable().await.is_ok() {
                match read.try_read(&mut bytes) {
                    Ok(0) => break,
                    Ok(n) => left = left.saturating_sub(n),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
        };
        // A client that neither reads nor closes is left to the kernel.
        let _ = timeout(FOR, drain).await;
    }

    /// Waits for bytes; false when there will be none, or the daemon is to stop.
    async fn readable(&mut self) -> bool {
        loop {
            let Some(read) = &mut self.read else { return false };
            // Tokio takes a socket that was accepted just now to be readable without asking (since 1.54), and a
            // connection that is opened before it is needed would be given to hyper, and be refused when the time
            // for a head is over. So the first time it is asked; later it is told the truth, and a call is saved.
            let fresh = self.fresh;
            let ready =
                async { if fresh { read.peek(&mut [0]).await.map(drop) } else { read.readable().await } };
            tokio::select! {
                biased;
                ready = ready => {
                    self.fresh = false;
                    return ready.is_ok();
                }
                () = self.shutdown.cancelled() => return false,
                () = self.idle.as_mut() => {
                    if self.idle_seen {
                        return false;
                    }
                    self.idle_seen = true;
                    self.idle.as_mut().reset(Instant::now() + self.limits.idle);
                }
            }
        }
    }

    /// Has hyper read one request; none where the client left instead.
    async fn read(&mut self, admit: &Arc<impl Admit>) -> Option<Result<Request, Refusal>> {
        let two_framings = Arc::new(AtomicBool::new(false));
        let slot = Arc::new(Slot::new());
        let rest = std::mem::take(&mut self.rest);
        let tap = Tap::new(rest, self.read.take()?, self.socket.clone(), two_framings.clone());
        let take = Take { slot: slot.clone(), two_framings, admit: admit.clone(), limits: self.limits };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new());
        http.header_read_timeout(self.limits.head_timeout).max_buf_size(self.limits.head);
        // A client that has closed its own side may still read: hyper is to hand the request over first.
        http.half_close(true);
        let mut http = Box::new(http.serve_connection(TokioIo::new(tap), take));
        let ended = poll_fn(|cx| {
            let polled = http.poll_without_shutdown(cx);
            if slot.get().is_some() { Poll::Ready(Ok(())) } else { polled }
        })
        .await;
        let parts = http.into_parts();
        let (unread, read) = parts.io.into_inner().into_parts();
        self.read = Some(read);
        drop(parts.service);
        self.rest = join(parts.read_buf, unread);
        match (Arc::into_inner(slot).and_then(OnceLock::into_inner), ended) {
            (Some(read), _) => Some(read),
            (None, Err(error)) if error.is_timeout() => {
                Some(Err(admit.refusal(StatusCode::REQUEST_TIMEOUT, "The head of the request took too long")))
            }
            // What is not HTTP, hyper has answered by itself.
            (None, Err(error)) if error.is_parse() => {
                self.linger().await;
                None
            }
            (None, _) => None,
        }
    }
}

/// Reads what is there; an error where the client has left. Not a part of the future that calls it: its
/// buffer would be a part of every connection.
fn read_ahead(read: &OwnedReadHalf, ahead: &mut BytesMut) -> io::Result<()> {
    let mut bytes = [0; 2048];
    match read.try_read(&mut bytes) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(n) => {
            ahead.extend_from_slice(&bytes[..n]);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

/// Read beyond the request, by hyper and not yet by hyper.
fn join(read: Bytes, unread: Bytes) -> Bytes {
    match (read.is_empty(), unread.is_empty()) {
        // Not the empty end of the buffer that the request was read into: it would keep that.
        (true, true) => Bytes::new(),
        (false, true) => read,
        (true, false) => unread,
        (false, false) => [read, unread].concat().into(),
    }
}

/// Takes the request out of hyper's hands: reads its body, puts it into the slot, and never answers.
struct Take<A> {
    slot: Arc<Slot>,
    two_framings: Arc<AtomicBool>,
    admit: Arc<A>,
    limits: Limits,
}

impl<A: Admit> hyper::service::Service<hyper::Request<Body>> for Take<A> {
    type Response = hyper::Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: hyper::Request<Body>) -> Self::Future {
        let (head, body) = request.into_parts();
        let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).into_iter();
        let admitted = if self.two_framings.load(Ordering::Relaxed) {
            let line = "A request has a Content-Length or a Transfer-Encoding, not both";
            Err(self.admit.refusal(StatusCode::BAD_REQUEST, line))
        } else if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
            // Hyper undoes the chunks and hands over what is in them, compressed as it may be.
            Err(self.admit.refusal(StatusCode::NOT_IMPLEMENTED, "The only transfer coding taken is chunked"))
        } else {
            self.admit.admit(&head)
        };
        let method = head.method.clone();
        let (slot, limits, admit) = (self.slot.clone(), self.limits, self.admit.clone());
        Box::pin(async move {
            let request = match admitted {
                Ok(()) => whole(body, limits)
                    .await
                    .map_err(|(status, line)| admit.refusal(status, &line))
                    .map(|body| Request::new(head, body)),
                Err(refusal) => Err(refusal),
            };
            let request = request.map_err(|Refusal(response)| Refusal(response.to(&method)));
            // It is empty: a connection is given to hyper for one request.
            let _ = slot.set(request);
            pending().await
        })
    }
}

async fn whole(body: Body, limits: Limits) -> Result<Bytes, (StatusCode, String)> {
    let too_large = || (StatusCode::PAYLOAD_TOO_LARGE, format!("At most {} bytes", limits.body));
    let declared = hyper::body::Body::size_hint(&body).lower();
    if declared > limits.body as u64 {
        return Err(too_large());
    }
    if declared == 0 && hyper::body::Body::is_end_stream(&body) {
        return Ok(Bytes::new());
    }
    match timeout(limits.body_timeout, Limited::new(body, limits.body).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "The body of the request is malformed".into())),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "The body of the request took too long".into())),
    }
}
