//! How hyper reads a request: it is given the connection when bytes are there, and gives it back with the
//! request.

use super::admit::{Admit, Refusal};
use super::connection::Limits;
use super::request::Request;
use super::socket::Socket;
use super::tap::Tap;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming as Body;
use hyper::server::conn::http1;
use hyper::{StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use tokio::time::timeout;

/// What hyper made of the bytes that came.
pub(super) enum Read {
    /// A request, or why it is refused, and what was read beyond it.
    Request(Box<Result<Request, Refusal>>, Bytes),
    /// It was no HTTP, and hyper has said so: the last that is written.
    NoHttp,
    /// The client left.
    Left,
}

type Slot = OnceLock<Result<Request, Refusal>>;

/// Has hyper read one request, which begins with `rest`.
pub(super) async fn read(
    rest: Bytes,
    socket: &Arc<Socket>,
    limits: &Arc<Limits>,
    admit: &Arc<impl Admit>,
) -> Read {
    let two_framings = Arc::new(AtomicBool::new(false));
    let slot = Arc::new(Slot::new());
    let tap = Tap::new(rest, socket.clone(), two_framings.clone());
    let take = Take { slot: slot.clone(), two_framings, admit: admit.clone(), limits: limits.clone() };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    http.header_read_timeout(limits.head_timeout).max_buf_size(limits.head);
    // A client that has closed its own side may still read: hyper is to hand the request over first.
    http.half_close(true);
    let mut http = Box::new(http.serve_connection(TokioIo::new(tap), take));
    let ended = poll_fn(|cx| {
        let polled = http.poll_without_shutdown(cx);
        if slot.get().is_some() { Poll::Ready(Ok(())) } else { polled }
    })
    .await;
    let parts = http.into_parts();
    let unread = parts.io.into_inner().into_unread();
    drop(parts.service);
    let rest = join(parts.read_buf, unread);
    match (Arc::into_inner(slot).and_then(OnceLock::into_inner), ended) {
        (Some(read), _) => Read::Request(Box::new(read), rest),
        (None, Err(error)) if error.is_timeout() => {
            let late = admit.refusal(StatusCode::REQUEST_TIMEOUT, "The head of the request took too long");
            Read::Request(Box::new(Err(late)), rest)
        }
        (None, Err(error)) if error.is_parse() => Read::NoHttp,
        (None, _) => Read::Left,
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
    limits: Arc<Limits>,
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
        let (slot, limits, admit) = (self.slot.clone(), self.limits.clone(), self.admit.clone());
        Box::pin(async move {
            let request = match admitted {
                Ok(()) => whole(body, &limits)
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

async fn whole(body: Body, limits: &Limits) -> Result<Bytes, (StatusCode, String)> {
    let too_large = || (StatusCode::PAYLOAD_TOO_LARGE, format!("At most {} bytes", limits.body));
    let declared = hyper::body::Body::size_hint(&body).lower();
    if declared > limits.body as u64 {
        return Err(too_large());
    }
    if declared == 0 && hyper::body::Body::is_end_stream(&body) {
        return Ok(Bytes::new());
    }
    let collected = timeout(limits.body_timeout, collect(Limited::new(body, limits.body), limits));
    match collected.await {
        Ok(Ok(Some(body))) => Ok(body),
        Ok(Ok(None)) => {
            let line = "Too many bodies of requests are on their way; try again";
            Err((StatusCode::SERVICE_UNAVAILABLE, line.into()))
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "The body of the request is malformed".into())),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "The body of the request took too long".into())),
    }
}

/// The whole of a body; none where all together are too large. What counts is what has come, not what is announced:
/// who announces and sends nothing takes nothing from others.
async fn collect(
    mut body: Limited<Body>,
    limits: &Limits,
) -> Result<Option<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
    let mut whole = BytesMut::new();
    let (mut paid, mut places) = (0, Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let more = (whole.len() + data.len()).saturating_sub(paid);
        if let Some(bodies) = limits.bodies.as_ref().filter(|_| more > 0) {
            let Some(place) = bodies.try_take_bytes(more) else { return Ok(None) };
            places.push(place);
            paid += more.next_multiple_of(1024);
        }
        whole.extend_from_slice(&data);
    }
    Ok(Some(whole.freeze()))
}
