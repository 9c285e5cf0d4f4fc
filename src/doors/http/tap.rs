//! What hyper reads from: first what was read too far before, then the socket.

use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::Socket;

/// A connection as hyper sees it, for one request.
///
/// Hyper refuses a target with a raw quote or brace in it, as RFC 3986 has it. Clients of the original
/// send such (`?m=["token"]`, with nothing escaped), so they are escaped on their way in.
///
/// It also looks at the head as it passes by: hyper lets a request through that has a Content-Length beside
/// a Transfer-Encoding, and drops the one; a proxy in front might drop the other, and see other
/// requests than we do (RFC 9112, section 6.3; reliability.md C15).
pub(super) struct Tap {
    /// Escaped and looked at, but without room in hyper's buffer yet.
    ready: Bytes,
    /// Read too far by the request before.
    rest: Bytes,
    socket: Arc<Socket>,
    head: Head,
    two_framings: Arc<AtomicBool>,
}

/// How far the head has passed, and what it names.
#[derive(Debug, Default)]
struct Head {
    part: Part,
    /// The start of the present line, lower-cased; as much as tells the two names.
    line: Vec<u8>,
    length: bool,
    coding: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Part {
    /// The request line, with empty lines before it, which hyper passes over as RFC 9112, section 2.2 asks.
    #[default]
    RequestLine,
    Headers,
    Passed,
}

impl Head {
    const LENGTH: &[u8] = b"content-length:";
    const CODING: &[u8] = b"transfer-encoding:";

    /// Looks at each byte once; it stops behind the request line, where a part of `bytes` is to be treated
    /// otherwise. Returns how many it has looked at.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let before = self.part == Part::RequestLine;
        for (i, byte) in bytes.iter().enumerate() {
            match (&self.part, byte) {
                (Part::Passed, _) => return bytes.len(),
                // A line ends with LF; the CR before it is optional, for hyper too.
                (_, b'\r') => {}
                (Part::RequestLine, b'\n') if self.line.is_empty() => {}
                (Part::RequestLine, b'\n') => self.end_line(Part::Headers),
                (Part::Headers, b'\n') if self.line.is_empty() => self.end_line(Part::Passed),
                (Part::Headers, b'\n') => {
                    self.length |= self.line.starts_with(Self::LENGTH);
                    self.coding |= self.line.starts_with(Self::CODING);
                    self.end_line(Part::Headers);
                }
                _ if self.line.len() < Self::CODING.len() => self.line.push(byte.to_ascii_lowercase()),
                _ => {}
            }
            if before && self.part != Part::RequestLine {
                return i + 1;
            }
        }
        bytes.len()
    }

    fn end_line(&mut self, next: Part) {
        self.line.clear();
        self.part = next;
    }
}

impl Tap {
    pub(super) fn new(rest: Bytes, socket: Arc<Socket>, two_framings: Arc<AtomicBool>) -> Tap {
        Tap { ready: Bytes::new(), rest, socket, head: Head::default(), two_framings }
    }

    /// What hyper has not read.
    pub(super) fn into_unread(self) -> Bytes {
        // Hyper has the whole request, so that nothing of its first line is left in `ready`.
        if self.ready.is_empty() { self.rest } else { [self.ready, self.rest].concat().into() }
    }

    /// Looks at what came; returns it otherwise where something of it must be escaped.
    fn look(&mut self, came: &[u8]) -> Option<Vec<u8>> {
        let in_line = self.head.part == Part::RequestLine;
        let line = if in_line { self.head.pass(came) } else { 0 };
        self.head.pass(&came[line..]);
        if self.head.length && self.head.coding {
            self.two_framings.store(true, Ordering::Relaxed);
        }
        let escaped = escaped(&came[..line])?;
        Some([&escaped, &came[line..]].concat())
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if !this.ready.is_empty() {
            take(&mut this.ready, buf);
            return Poll::Ready(Ok(()));
        }
        if this.rest.is_empty() {
            let n = ready!(this.socket.poll_read(cx, buf.initialize_unfilled()))?;
            buf.advance(n);
        } else {
            take(&mut this.rest, buf);
        }
        if this.head.part == Part::Passed {
            return Poll::Ready(Ok(()));
        }
        if let Some(escaped) = this.look(&buf.filled()[before..]) {
            buf.set_filled(before);
            this.ready = escaped.into();
            take(&mut this.ready, buf);
        }
        Poll::Ready(Ok(()))
    }
}

/// Moves as much as there is room for.
fn take(from: &mut Bytes, to: &mut ReadBuf<'_>) {
    let n = from.len().min(to.remaining());
    to.put_slice(&from[..n]);
    from.advance(n);
}

/// A request line with what hyper would refuse in it percent-encoded; none where there is nothing.
fn escaped(line: &[u8]) -> Option<Vec<u8>> {
    let refused = |b: u8| b >= 0x80 || b"\"<>`{}|\\^".contains(&b);
    if !line.iter().any(|b| refused(*b)) {
        return None;
    }
    let mut escaped = Vec::with_capacity(line.len() * 2);
    for b in line {
        if refused(*b) {
            escaped.extend_from_slice(format!("%{b:02X}").as_bytes());
        } else {
            escaped.push(*b);
        }
    }
    Some(escaped)
}

/// Hyper writes only what it says by itself: `100 Continue`, and its refusals of what is not HTTP.
impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
