//! The writing side of a connection: its task's while it reads a request, and the publisher's while
//! the request is held.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// The writing side of a connection.
#[derive(Debug)]
pub struct Socket {
    write: OwnedWriteHalf,
    turn: AtomicU8,
    /// The connection's task waits for its turn (it has read on, and found more), and is to be told.
    awaited: AtomicBool,
    told: Notify,
}

/// Whose turn it is to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Turn {
    /// The connection's task.
    Task = 0,
    /// Whoever takes the held request out of the hub's list.
    Publisher = 1,
    /// Nobody's: it failed, or the last answer that it is to carry was written.
    Ended = 2,
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
    /// A reader that takes nothing for this long is given up (faults.md C12).
    const NO_PROGRESS: Duration = Duration::from_secs(15);

    /// A reader that has not taken an answer whole by then is given up, however it goes.
    const IN_ALL: Duration = Duration::from_secs(60);

    pub(super) fn new(write: OwnedWriteHalf) -> Socket {
        Socket {
            write,
            turn: AtomicU8::new(Turn::Task as u8),
            awaited: AtomicBool::new(false),
            told: Notify::new(),
        }
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Turn {
        match self.turn.load(Ordering::SeqCst) {
            0 => Turn::Task,
            1 => Turn::Publisher,
            _ => Turn::Ended,
        }
    }

    /// Passes the turn on; the connection's task is woken only if it waits for that.
    pub fn pass(&self, turn: Turn) {
        self.turn.store(turn as u8, Ordering::SeqCst);
        // Order matters, here and in `wait_for_turn`: one stores its flag and then reads the other's.
        if turn == Turn::Ended || self.awaited.load(Ordering::SeqCst) {
            self.told.notify_one();
        }
    }

    /// Completes when it may be no publisher's turn any more.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }

    /// Says that the task waits for its turn, or does so no longer.
    pub(super) fn set_awaited(&self, awaited: bool) {
        self.awaited.store(awaited, Ordering::SeqCst);
    }

    /// Writes as much of `parts` as the socket takes, in one call where it takes all.
    pub fn try_write(&self, parts: &[&[u8]]) -> Written {
        let whole: usize = parts.iter().map(|part| part.len()).sum();
        let mut done = 0;
        while done < whole {
            match self.try_write_rest(parts, done) {
                Ok(0) => return Written::Failed,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Written::Part(done),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Written::Failed,
            }
        }
        Written::Whole
    }

    /// Writes what is left of `parts` after `done` bytes, waiting for the reader where it has to.
    ///
    /// # Errors
    /// When the connection breaks, or the reader is too slow.
    pub async fn write_on(&self, parts: &[&[u8]], mut done: usize) -> io::Result<()> {
        let whole: usize = parts.iter().map(|part| part.len()).sum();
        let end = Instant::now() + Self::IN_ALL;
        while done < whole {
            match self.try_write_rest(parts, done) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = end.saturating_duration_since(Instant::now()).min(Self::NO_PROGRESS);
                    timeout(left, self.write.writable()).await.map_err(|_| io::ErrorKind::TimedOut)??;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn try_write_rest(&self, parts: &[&[u8]], done: usize) -> io::Result<usize> {
        match rest(parts, done).as_slice() {
            // A gathered write costs more than a plain one, and most answers are of one part.
            [one] => self.write.try_write(one),
            several => self.write.try_write_vectored(several),
        }
    }

    /// Tells the client that nothing more comes.
    pub(super) fn finish(&self) {
        let stream: &TcpStream = self.write.as_ref();
        // It may be broken already, and then there is nobody to tell.
        let _ = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream: &TcpStream = self.write.as_ref();
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

/// What is left of `parts` after `done` bytes.
fn rest<'a>(parts: &[&'a [u8]], mut done: usize) -> Vec<IoSlice<'a>> {
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
