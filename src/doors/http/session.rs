//! TLS on a socket: how a session begins, and how what is read and written passes through it.
//!
//! A session is one thing for both directions, and two may want it at once: the publisher, who writes an answer, and
//! the connection's task, who sees that its client says something or leaves. So it has a lock of its own. Whoever has
//! it computes, and makes calls of the kernel that do not wait; and the publisher does not even wait for that.

use super::certificate::Certificate;
use super::socket::{Socket, Written, is_for_now, rest, written};
use super::time_slice::TimeSlice;
use rustls::{InvalidMessage, ServerConnection};
use socket2::SockRef;
use std::future::poll_fn;
use std::io::{self, BufRead, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What the connections of one door have in common that speak TLS.
#[derive(Debug)]
pub struct Tls {
    certificate: Arc<Certificate>,
    /// For what handshakes compute. One takes longer than the answers to fifty requests, and after a restart ten thousand
    /// clients come back at once: a push does not wait behind them.
    slice: TimeSlice,
    /// Somebody spoke HTTP without TLS, and the log has it.
    told: AtomicBool,
}

impl Tls {
    /// TLS with this certificate.
    pub fn new(certificate: Arc<Certificate>) -> Arc<Tls> {
        Arc::new(Tls { certificate, slice: TimeSlice::default(), told: AtomicBool::new(false) })
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Arc<Certificate> {
        &self.certificate
    }

    /// A session that is to begin, with the certificate as it is now.
    ///
    /// # Errors
    /// When rustls refuses its own configuration.
    pub fn session(self: &Arc<Tls>) -> Result<Box<Session>, rustls::Error> {
        let mut tls = ServerConnection::new(self.certificate.config())?;
        tls.set_buffer_limit(Some(Session::AHEAD));
        Ok(Box::new(Session { inner: Mutex::new(Inner { tls, failed: false }), of: self.clone() }))
    }

    fn refused(&self, stream: &TcpStream, why: &io::Error) {
        let door = self.certificate.name();
        let peer = || stream.peer_addr().map_or_else(|_| "gone".to_owned(), |peer| peer.to_string());
        if is_plain(why) && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(door, peer = peer(), "somebody speaks without TLS where TLS is spoken; said once");
        } else if tracing::enabled!(tracing::Level::DEBUG) {
            tracing::debug!(door, peer = peer(), %why, "no TLS session");
        }
    }
}

/// A TLS session on the socket of a connection.
#[derive(Debug)]
pub struct Session {
    inner: Mutex<Inner>,
    of: Arc<Tls>,
}

#[derive(Debug)]
struct Inner {
    tls: ServerConnection,
    /// The client has broken the protocol, or the connection is broken: nothing more is read.
    failed: bool,
}

/// What goes to who sends something else than TLS, in the hope that it is HTTP.
const NO_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\nContent-Length: 37\r\n\r\nThis port speaks TLS: https://, please";

impl Session {
    /// How many bytes of an answer are encrypted ahead of a reader that does not take them: two records. What comes
    /// behind them stays where it is shared with all who get it.
    const AHEAD: usize = 32 * 1024;

    /// How long a client has to begin when the daemon is to stop. Its request is then waited for, as on other new
    /// connections: no browser sends it anew on its own.
    const AT_THE_END: Duration = Duration::from_secs(1);

    /// Has the session begin, and waits for the client for at most `patience`.
    pub(super) async fn begin(&self, socket: &Socket, stream: &TcpStream, patience: Duration) -> bool {
        let outcome = self.shake_hands(socket, stream, patience).await;
        if let Err(why) = &outcome {
            self.of.refused(stream, why);
            let plain = SockRef::from(stream);
            if is_plain(why) {
                // It fits where nothing was written yet; and if not, there is nothing to be done.
                let _ = (&*plain).write(NO_TLS);
            }
            let _ = plain.shutdown(Shutdown::Write);
        }
        outcome.is_ok()
    }

    async fn shake_hands(&self, socket: &Socket, stream: &TcpStream, patience: Duration) -> io::Result<()> {
        let (mut patience, mut is_ending) = (patience, false);
        loop {
            let from = Instant::now();
            let ready = poll_fn(|cx| {
                socket.register(cx);
                if socket.is_stopping() && !is_ending {
                    return Poll::Ready(Ok(false));
                }
                ready!(match self.lock()?.tls.wants_write() {
                    true => stream.poll_write_ready(cx),
                    false => stream.poll_read_ready(cx),
                })?;
                Poll::Ready(io::Result::Ok(true))
            });
            let is_ready = timeout(patience, ready).await.map_err(|_| io::ErrorKind::TimedOut)??;
            // That others have their turn is not the client's fault.
            patience = patience.saturating_sub(from.elapsed());
            if !is_ready {
                (is_ending, patience) = (true, patience.min(Self::AT_THE_END));
                continue;
            }
            if self.of.slice.spend(|| self.lock()?.step(stream)).await? {
                return Ok(());
            }
        }
    }

    /// Completes when there are bytes to read, or the end. What the client's TLS says to ours alone is neither.
    pub(super) fn poll_read_ready(&self, stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.lock()?.wants_more() {
                return Poll::Ready(Ok(()));
            }
            ready!(stream.poll_read_ready(cx))?;
            unless_for_now(self.lock()?.receive(stream))?;
        }
    }

    /// Reads what is there; 0 bytes are the end, told or not: what was cut off shows in the framing of a request.
    pub(super) fn poll_read(
        &self,
        stream: &TcpStream,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_read_ready(stream, cx))?;
        let mut inner = self.lock()?;
        if inner.failed {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(match inner.tls.reader().read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            result => result,
        })
    }

    /// Writes as much of `parts` as the socket takes. Where the session is being read, nothing: that is for later.
    pub(super) fn try_write(&self, stream: &TcpStream, parts: &[&[u8]]) -> Written {
        let mut done = 0;
        match self.inner.try_lock() {
            Ok(mut inner) => written(inner.write(stream, parts, &mut done), done),
            Err(TryLockError::WouldBlock) => Written::Part(0),
            Err(TryLockError::Poisoned(_)) => Written::Failed,
        }
    }

    /// Writes what is left of `parts` after `done` bytes, and all that was encrypted before.
    ///
    /// # Errors
    /// "Would block" where the socket takes no more for now: then some of what `done` counts may not be written yet.
    pub(super) fn write(&self, stream: &TcpStream, parts: &[&[u8]], done: &mut usize) -> io::Result<()> {
        self.lock()?.write(stream, parts, done)
    }

    /// Tells the client that nothing more comes.
    pub(super) fn close(&self, stream: &TcpStream) {
        let Ok(mut inner) = self.lock() else { return };
        if !inner.tls.is_handshaking() {
            inner.tls.send_close_notify();
        }
        // It may be broken already, and then there is nobody to tell.
        let _ = inner.flush(stream);
    }

    /// The session, unless a panic has left it in pieces.
    fn lock(&self) -> io::Result<MutexGuard<'_, Inner>> {
        self.inner.lock().map_err(|_| io::Error::other("the TLS session is in pieces"))
    }
}

impl Inner {
    /// A step of the handshake; true when it was the last.
    fn step(&mut self, stream: &TcpStream) -> io::Result<bool> {
        if self.tls.wants_write() {
            // What was written around Tokio, it does not know of: it learns here what is to be waited for.
            unless_for_now(stream.try_io(Interest::WRITABLE, || self.flush(stream)))?;
        } else {
            unless_for_now(self.receive(stream))?;
            if self.tls.is_handshaking() && !self.wants_more() {
                // The client has left.
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(!self.tls.is_handshaking() && !self.tls.wants_write())
    }

    /// Whether there is nothing to be read that has not come yet: neither bytes nor the end.
    fn wants_more(&mut self) -> bool {
        let nothing =
            matches!(self.tls.reader().fill_buf(), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        nothing && !self.failed
    }

    /// Takes what has come on the socket, and answers what is meant for TLS alone.
    fn receive(&mut self, stream: &TcpStream) -> io::Result<()> {
        let mut came = false;
        let read = stream.try_io(Interest::READABLE, || {
            let mut from = From { stream: &SockRef::from(stream), is_dry: false };
            self.tls.read_tls(&mut from)?;
            came = true;
            if from.is_dry { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        let processed = match read {
            Err(error) if !came => Err(error),
            _ => self.tls.process_new_packets().map(drop).map_err(io::Error::other),
        };
        let outcome = match processed {
            // It would not understand an alert.
            Err(error) if self.tls.is_handshaking() && is_plain(&error) => Err(error),
            // A client that does not take what TLS has to say is told with the next answer, or never.
            processed => processed.and(unless_for_now(self.flush(stream))),
        };
        self.failed |= outcome.as_ref().is_err_and(|error| !is_for_now(error));
        outcome
    }

    fn write(&mut self, stream: &TcpStream, parts: &[&[u8]], done: &mut usize) -> io::Result<()> {
        if self.failed {
            // What such a client is sent, it does not take.
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let whole: usize = parts.iter().map(|part| part.len()).sum();
        loop {
            self.flush(stream)?;
            if *done == whole {
                return Ok(());
            }
            match self.tls.writer().write_vectored(&rest(parts, *done))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => *done += n,
            }
        }
    }

    /// Writes what is encrypted.
    fn flush(&mut self, stream: &TcpStream) -> io::Result<()> {
        let stream = SockRef::from(stream);
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut &*stream) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What rustls reads from.
struct From<'a> {
    stream: &'a socket2::Socket,
    /// Fewer bytes came than there was room for: they were all there are.
    is_dry: bool,
}

impl Read for From<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(bytes)?;
        self.is_dry = 0 < n && n < bytes.len();
        Ok(n)
    }
}

/// What comes of it when "not now" is as good as done.
fn unless_for_now(outcome: io::Result<()>) -> io::Result<()> {
    outcome.or_else(|error| if is_for_now(&error) { Ok(()) } else { Err(error) })
}

/// Whether a handshake has failed for what does not even begin as TLS does.
fn is_plain(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)))
}
