//! What hyper reads from: first what was read too far before, then the socket.

use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;

use super::socket::Socket;

/// A connection as hyper sees it, for one request.
///
/// Hyper refuses a target with a raw quote or brace in it, as RFC 3986 has it. Clients of the original
/// send such (`?m=["token"]`, with nothing escaped), so they are escaped on their way in.
///
/// It also looks at the head as it passes by: hyper lets a request through that has a Content-Length beside
/// a Transfer-Encoding, and drops the one; a proxy in front might drop the other, and see other
/// requests than we do (RFC 9112, section 6.3; faults.md C15).
pub(super) struct Tap {
    rest: Bytes,
    read: OwnedReadHalf,
    socket: Arc<Socket>,
    in_first_line: bool,
    head: Head,
    two_framings: Arc<AtomicBool>,
}

/// What has passed of the head.
enum Head {
    Passing(Vec<u8>),
    Passed,
}

impl Tap {
    pub(super) fn new(
        rest: Bytes,
        read: OwnedReadHalf,
        socket: Arc<Socket>,
        two_framings: Arc<AtomicBool>,
    ) -> Tap {
        Tap { rest, read, socket, in_first_line: true, head: Head::Passing(Vec::new()), two_framings }
    }

    /// What was not read of the rest, and the socket.
    pub(super) fn into_parts(self) -> (Bytes, OwnedReadHalf) {
        (self.rest, self.read)
    }

    fn look(&mut self, bytes: &[u8]) {
        let Head::Passing(before) = &mut self.head else { return };
        let whole: &[u8] = if before.is_empty() {
            bytes
        } else {
            before.extend_from_slice(bytes);
            before
        };
        match whole.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(end) => {
                let names = |name: &[u8]| {
                    let mut lines = whole[..end].split(|b| *b == b'\n');
                    lines.any(|line| {
                        line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
                    })
                };
                if names(b"content-length:") && names(b"transfer-encoding:") {
                    self.two_framings.store(true, Ordering::Relaxed);
                }
                self.head = Head::Passed;
            }
            None if before.is_empty() => before.extend_from_slice(bytes),
            None => {}
        }
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
        if this.rest.is_empty() {
            ready!(Pin::new(&mut this.read).poll_read(cx, buf))?;
        } else {
            let n = this.rest.len().min(buf.remaining());
            buf.put_slice(&this.rest[..n]);
            this.rest.advance(n);
        }
        let came = &buf.filled()[before..];
        this.look(came);
        if this.in_first_line {
            let line = came.iter().position(|b| *b == b'\n').unwrap_or(came.len());
            this.in_first_line = line == came.len();
            if let Some(escaped) = escaped(&came[..line]) {
                let whole = [&escaped, &came[line..]].concat();
                buf.set_filled(before);
                let n = whole.len().min(buf.remaining());
                buf.put_slice(&whole[..n]);
                if n < whole.len() {
                    // What has no room comes next, as it is.
                    this.rest = [&whole[n..], &this.rest].concat().into();
                    this.in_first_line = false;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
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
