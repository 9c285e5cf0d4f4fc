//! The socket of a connection: its task reads from it; and writes to it but while a request is held,
//! when the publisher does.

use super::request::Persistence;
use super::session::Session;
use atomic_waker::AtomicWaker;
use socket2::SockRef;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Shutdown};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// The socket of a connection, and what its task and others that write to it or end it must know of
/// each other. It is one piece of memory: ten thousand of them are touched at every fan-out, and each
/// piece of each is fetched from far away.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    patience: Patience,
    turn: AtomicU8,
    /// The connection's task waits for its turn (it has read on, and found more), and is to be told.
    awaited: AtomicBool,
    /// The daemon is to stop.
    stopping: AtomicBool,
    /// Something has happened since [`Socket::end_if_idle`] looked last.
    active: AtomicBool,
    task: AtomicWaker,
    /// The TLS session on it, if it has one. Elsewhere in memory, so that a socket without is no larger for it.
    session: Option<Box<Session>>,
}

/// How long a reader may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// One that takes nothing for so long is given up (reliability.md C12).
    stalled: Span,
    /// One that has not taken an answer whole by then is given up, however it goes.
    in_all: Span,
}

/// A time in the two bytes that there are left beside the flags: in milliseconds, or from 33 s on in 128 of them.
#[derive(Debug, Clone, Copy)]
struct Span(u16);

impl Span {
    const COARSE: u16 = 1 << 15;

    fn new(time: Duration) -> Span {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let number = |count: u64| u16::try_from(count).ok().filter(|count| *count < Self::COARSE);
        let coarse = || number(milliseconds.div_ceil(128)).unwrap_or(Self::COARSE - 1) | Self::COARSE;
        Span(number(milliseconds).unwrap_or_else(coarse))
    }

    fn time(self) -> Duration {
        let count = u64::from(self.0 & !Self::COARSE);
        Duration::from_millis(if self.0 < Self::COARSE { count } else { count * 128 })
    }
}

impl Patience {
    /// So long for any part of an answer, and for all of it.
    pub fn new(stalled: Duration, in_all: Duration) -> Patience {
        Patience { stalled: Span::new(stalled), in_all: Span::new(in_all) }
    }
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Turn {
    /// The client's: it may send a request, or leave.
    Client = 0,
    /// The connection's task: a request has begun to come in, or is answered by it.
    Task = 1,
    /// Whoever takes the held request out of the hub's list.
    Publisher = 2,
    /// Nobody's: it failed, or the last answer that it is to carry was written.
    Ended = 3,
}

/// How a write without waiting went.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it is handed over.
    Whole,
    /// So many bytes are; the socket takes no more for now.
    Part(usize),
    /// The connection is broken.
    Failed,
}

impl Socket {
    /// The socket of a connection that was accepted just now, and the session that is to begin on it, if any.
    pub fn new(stream: TcpStream, session: Option<Box<Session>>, patience: Patience) -> Socket {
        Socket {
            stream,
            patience,
            turn: AtomicU8::new(Turn::Client as u8),
            awaited: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            active: AtomicBool::new(true),
            task: AtomicWaker::new(),
            session,
        }
    }

    /// The address on the other side; none where it has left.
    pub fn peer(&self) -> Option<IpAddr> {
        self.stream.peer_addr().ok().map(|peer| peer.ip().to_canonical())
    }

    /// Whether there is a TLS session on it, which begins with [`Socket::handshake`].
    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Has the TLS session begin; it waits for the client for at most `patience`. False when it does not begin: the
    /// client has been told why, as far as it can be, and the connection is over.
    pub async fn handshake(&self, patience: Duration) -> bool {
        let Some(session) = &self.session else { return true };
        // It is the task's turn, and so not idle.
        self.pass(Turn::Task);
        session.begin(self, &self.stream, patience).await
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Turn {
        match self.turn.load(Ordering::SeqCst) {
            0 => Turn::Client,
            1 => Turn::Task,
            2 => Turn::Publisher,
            _ => Turn::Ended,
        }
    }

    /// Passes the turn on; the connection's task is woken only if it waits for that.
    pub fn pass(&self, turn: Turn) {
        self.active.store(true, Ordering::Relaxed);
        self.turn.store(turn as u8, Ordering::SeqCst);
        // Order matters, here and where the task waits: one stores its flag and then reads the other's.
        if turn == Turn::Ended || self.awaited.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }

    /// A request begins to come in. False when it was given up just now.
    pub(super) fn begin(&self) -> bool {
        self.active.store(true, Ordering::Relaxed);
        self.step(Turn::Client, Turn::Task)
    }

    /// Ends the connection if nothing has happened on it since this was asked last.
    pub(in super::super) fn end_if_idle(&self) {
        if !self.active.swap(false, Ordering::Relaxed) && self.step(Turn::Client, Turn::Ended) {
            self.task.wake();
        }
    }

    /// Has the connection end as soon as what is held on it is answered.
    pub(in super::super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.task.wake();
    }

    /// Whether the connection is to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// What becomes of the connection after an answer that is written now: when the daemon is to stop, it is the
    /// last, and says so. A client that were not told would send its next request to a connection that ends.
    pub fn persistence(&self, asked: Persistence) -> Persistence {
        if self.is_stopping() { Persistence::Closes } else { asked }
    }

    /// Whether bytes have come that are yet to be read.
    pub(super) fn has_more(&self) -> bool {
        self.plain().peek(&mut [MaybeUninit::uninit()]).is_ok_and(|n| n > 0)
    }

    /// From one turn to the next; false when it was not that one.
    fn step(&self, from: Turn, to: Turn) -> bool {
        self.turn.compare_exchange(from as u8, to as u8, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whoever wakes the connection's task wakes this one. What it is to see must be looked at after this.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
    }

    /// Says that the task waits for its turn, or does so no longer.
    pub(super) fn set_awaited(&self, awaited: bool) {
        self.awaited.store(awaited, Ordering::SeqCst);
    }

    /// Completes when there may be bytes to read, or the end.
    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.session {
            None => self.stream.poll_read_ready(cx),
            Some(session) => session.poll_read_ready(&self.stream, cx),
        }
    }

    /// Reads what is there; 0 bytes are the end.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Some(session) = &self.session {
            return session.poll_read(&self.stream, cx, bytes);
        }
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            let mut came = None;
            let read = self.stream.try_io(Interest::READABLE, || {
                let n = (&*self.plain()).read(bytes)?;
                came = Some(n);
                // Fewer bytes than there is room for are all there are, and the next to come are told of. To
                // say so now saves the call that would only say it.
                if 0 < n && n < bytes.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (came, read) {
                (Some(n), _) => return Poll::Ready(Ok(n)),
                (None, Err(error)) if is_for_now(&error) => {}
                (None, Err(error)) => return Poll::Ready(Err(error)),
                // Unreachable: what succeeds has set it.
                (None, Ok(())) => return Poll::Ready(Ok(0)),
            }
        }
    }

    /// Writes as much of `bytes` as the socket takes.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            let mut done = 0;
            let write = || self.write_more(&[bytes], &mut done);
            match self.stream.try_io(Interest::WRITABLE, write) {
                // Of a session, what is left of it is on its way with what is written next.
                _ if done > 0 => return Poll::Ready(Ok(done)),
                Err(error) if is_for_now(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(()) => return Poll::Ready(Ok(0)),
            }
        }
    }

    /// Writes as much of `parts` as the socket takes, in one call where it takes all.
    pub fn try_write(&self, parts: &[&[u8]]) -> Written {
        if let Some(session) = &self.session {
            return session.try_write(&self.stream, parts);
        }
        let mut done = 0;
        written(self.write_plain(parts, &mut done), done)
    }

    /// Writes what is left of `parts` after `done` bytes, waiting for the reader where it has to.
    ///
    /// # Errors
    /// When the connection breaks, or the reader is too slow.
    pub async fn write_on(&self, parts: &[&[u8]], mut done: usize) -> io::Result<()> {
        let end = Instant::now() + self.patience.in_all.time();
        let stalled = self.patience.stalled.time();
        loop {
            match self.write_more(parts, &mut done) {
                Err(error) if is_for_now(&error) => {}
                result => return result,
            }
            let left = end.saturating_duration_since(Instant::now()).min(stalled);
            timeout(left, self.stream.writable()).await.map_err(|_| io::ErrorKind::TimedOut)??;
            // What was written around Tokio, it does not know of: it learns here what is to be waited for.
            match self.stream.try_io(Interest::WRITABLE, || self.write_more(parts, &mut done)) {
                Err(error) if is_for_now(&error) => {}
                result => return result,
            }
        }
    }

    /// Writes what is left of `parts` after `done` bytes, which it counts on.
    ///
    /// # Errors
    /// "Would block" where the socket takes no more for now.
    fn write_more(&self, parts: &[&[u8]], done: &mut usize) -> io::Result<()> {
        match &self.session {
            None => self.write_plain(parts, done),
            Some(session) => session.write(&self.stream, parts, done),
        }
    }

    fn write_plain(&self, parts: &[&[u8]], done: &mut usize) -> io::Result<()> {
        let whole: usize = parts.iter().map(|part| part.len()).sum();
        let stream = self.plain();
        let mut stream = &*stream;
        while *done < whole {
            let wrote = match parts {
                // A gathered write costs more than a plain one, and most answers are of one part.
                [one] => stream.write(&one[*done..]),
                several => stream.write_vectored(&rest(several, *done)),
            };
            match wrote {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => *done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Has the connection fail when what was written is not confirmed by the other side for so long: one whose client has
    /// gone without a word. Where it cannot be had, the kernel's own patience counts, a quarter of an hour.
    pub fn give_up_unanswered(&self, after: Duration) {
        let milliseconds = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&self.stream, milliseconds);
    }

    /// The socket without what Tokio knows of it, which lies elsewhere in memory.
    fn plain(&self) -> SockRef<'_> {
        SockRef::from(&self.stream)
    }

    /// Tells the client that nothing more comes.
    pub(super) fn finish(&self) {
        if let Some(session) = &self.session {
            session.close(&self.stream);
        }
        // It may be broken already, and then there is nobody to tell.
        let _ = self.plain().shutdown(Shutdown::Write);
    }
}

/// However a connection ends, a session on it says so: else its client must take the end for a cut.
impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            session.close(&self.stream);
        }
    }
}

/// How a write without waiting went that came as far as `done`.
pub(super) fn written(outcome: io::Result<()>, done: usize) -> Written {
    match outcome {
        Ok(()) => Written::Whole,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Written::Part(done),
        Err(_) => Written::Failed,
    }
}

/// Whether it may go well when it is tried again.
pub(super) fn is_for_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// What is left of `parts` after `done` bytes.
pub(super) fn rest<'a>(parts: &[&'a [u8]], mut done: usize) -> Vec<IoSlice<'a>> {
    let mut slices = Vec::with_capacity(parts.len());
    for part in parts {
        let skip = done.min(part.len());
        done -= skip;
        if skip < part.len() {
            slices.push(IoSlice::new(&part[skip..]));
        }
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c12_a_time_is_kept_to_the_millisecond_and_a_long_one_to_the_eighth_of_a_second() {
        for milliseconds in [0, 10, 15_000, 32_767] {
            let time = Duration::from_millis(milliseconds);
            assert_eq!(Span::new(time).time(), time);
        }
        for milliseconds in [32_768, 60_000, 3_600_000] {
            let time = Duration::from_millis(milliseconds);
            let kept = Span::new(time).time();
            assert!(kept >= time && kept < time + Duration::from_millis(128), "{kept:?}");
        }
        assert_eq!(Span::new(Duration::MAX).time(), Duration::from_millis(32_767 * 128));
    }

    #[test]
    fn what_is_touched_of_each_connection_at_a_fan_out_is_nine_words() {
        // TLS is behind one of them, for those that speak it.
        assert!(size_of::<Socket>() <= 9 * size_of::<usize>(), "{} bytes", size_of::<Socket>());
    }
}
