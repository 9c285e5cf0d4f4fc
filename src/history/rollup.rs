//! The thread that counts: it reads rows behind the writer, and adds up in tables what they come to by room and half hour,
//! by room and day, and by PC and day (`migrations/V2__insight.sql`); and it removes what is older than the setup wants.
//!
//! It works in steps. What a step reads and computes it does without SQLite's lock; what it writes is one transaction of
//! some milliseconds, and after it rests as long as it has worked, so that pushes do not notice the first count of an
//! old history. Of a step that is cut short nothing is left, and it is done again.

pub(super) mod ledger;
mod removal;
mod tally;
#[cfg(test)]
mod tests;
pub(super) mod zone;

use super::open::is_locked;
use super::sqlite::connect;
use super::{Clock, Trouble};
use crate::core::pc::PcName;
use crate::core::room::RoomKey;
use chrono_tz::Tz;
use ledger::Ledger;
use rusqlite::Connection;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{io, thread};
use tokio::sync::{oneshot, watch};

/// How often it looks whether there is something to count.
const EVERY: Duration = Duration::from_secs(2);

/// How long it rests after a step, at least; and when one has failed.
const REST: Duration = Duration::from_millis(10);
const RETRY: Duration = Duration::from_secs(10);

/// How often another program's lock is in the way before it is told: a minute.
const LOCKED: u32 = 6;

/// How many rows a step reads at most.
const ROWS: usize = 5_000;

/// How long after its end a half hour is counted: its last rows may be on their way to the disk.
const SETTLED: i64 = 60;

/// How often it looks for what is to be removed.
const REMOVE_EVERY: Duration = Duration::from_secs(600);

/// How often it is asked where PCs stand, while it counts.
const PLACE_EVERY: Duration = Duration::from_secs(10);

/// How long another program's lock is waited for: the next try is not far.
const BUSY: Duration = Duration::from_millis(500);

/// In which room each PC is.
pub type Rooms = Arc<dyn Fn() -> HashMap<PcName, RoomKey> + Send + Sync>;

/// How rows are counted.
#[derive(Clone)]
pub struct Counting {
    /// In whose days.
    pub zone: Tz,
    /// How long rows are kept, at least; none: for ever.
    pub keep: Option<Duration>,
    /// Asked now and then, and for PCs that are new.
    pub rooms: Rooms,
}

/// What the thread is told.
enum Order {
    Count(Counting),
    End(oneshot::Sender<()>),
}

/// A handle on the thread; it ends with the last one.
#[derive(Clone)]
pub(super) struct Rolling {
    orders: mpsc::Sender<Order>,
    zone: watch::Sender<Tz>,
    /// Why nothing is counted, where it is not.
    trouble: watch::Receiver<Option<String>>,
}

impl Rolling {
    /// Starts the thread for the file at `path`. Until it is told how it counts nothing.
    pub(super) fn start(path: &Path) -> io::Result<Rolling> {
        let (orders, told) = mpsc::channel();
        let (tell, trouble) = watch::channel(None);
        let mut worker = Worker {
            path: path.to_owned(),
            identity: identity(path),
            counting: None,
            open: None,
            removed: None,
            failures: 0,
            trouble: tell,
        };
        thread::Builder::new().name("history-count".into()).spawn(move || {
            let mut rest = EVERY;
            loop {
                match told.recv_timeout(rest) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                    Ok(Order::Count(counting)) => worker.count(counting),
                    Ok(Order::End(done)) => {
                        drop(worker);
                        let _ = done.send(());
                        return;
                    }
                }
                rest = panic::catch_unwind(AssertUnwindSafe(|| worker.work()))
                    .unwrap_or_else(|_| worker.give_up());
            }
        })?;
        Ok(Rolling { orders, zone: watch::Sender::new(Tz::UTC), trouble })
    }

    /// From now on it counts like this.
    pub(super) fn count(&self, counting: Counting) {
        self.zone.send_replace(counting.zone);
        // Without its thread there is nothing to tell it.
        let _ = self.orders.send(Order::Count(counting));
    }

    /// In whose days it counts.
    pub(super) fn zone(&self) -> Tz {
        *self.zone.borrow()
    }

    /// What is wrong, if something is.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble.borrow().clone().map(|reason| Trouble::Uncounted { reason })
    }

    /// Ends the thread after its step.
    pub(super) async fn end(&self) {
        let (done, ended) = oneshot::channel();
        if self.orders.send(Order::End(done)).is_ok() {
            let _ = ended.await;
        }
    }
}

/// Which file it is: another may be put in its place.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// The thread's own.
struct Worker {
    path: PathBuf,
    identity: Option<(u64, u64)>,
    counting: Option<Counting>,
    /// Gone after a failure.
    open: Option<Open>,
    /// When it has looked last for what is to be removed.
    removed: Option<Instant>,
    /// How many steps have failed since one succeeded, and why, where that is to be told.
    failures: u32,
    trouble: watch::Sender<Option<String>>,
}

/// The connection that writes what is counted, and what is known.
pub(super) struct Open {
    connection: Connection,
    ledger: Ledger,
    placed: Option<Instant>,
}

impl Worker {
    fn count(&mut self, counting: Counting) {
        self.counting = Some(counting);
        self.removed = None;
        if let Some(open) = &mut self.open {
            open.placed = None;
        }
    }

    /// Does a step, if there is one to do. Returns how long to rest.
    fn work(&mut self) -> Duration {
        let Some(counting) = self.counting.clone() else { return EVERY };
        let begun = Instant::now();
        match self.step(&counting) {
            Ok(has_more) => {
                self.failures = 0;
                self.trouble.send_replace(None);
                if has_more { begun.elapsed().max(REST) } else { EVERY }
            }
            Err(error) => {
                self.open = None;
                self.failures += 1;
                // A lock goes by itself, mostly.
                if !is_locked(&error) || self.failures >= LOCKED {
                    self.tell(error.to_string());
                }
                RETRY
            }
        }
    }

    /// After a panic, by a defect of ours: what is known goes by the file again, and it is told (reliability.md O5).
    fn give_up(&mut self) -> Duration {
        self.open = None;
        self.tell("what counts has panicked".to_owned());
        RETRY
    }

    fn tell(&self, error: String) {
        if self.trouble.borrow().as_ref() != Some(&error) {
            tracing::warn!(path = %self.path.display(), error, "the history cannot be counted; it is tried again");
            self.trouble.send_replace(Some(error));
        }
    }

    fn step(&mut self, counting: &Counting) -> rusqlite::Result<bool> {
        let open = match self.open.take() {
            Some(open) => open,
            // Whose file it is by now is found out by the writer.
            None if identity(&self.path) != self.identity => return Ok(false),
            None => Open::at(&self.path)?,
        };
        let open = self.open.insert(open);
        let now = Clock::System.now().0;
        if open.is_due(now)? {
            return open.count(counting, now, ROWS);
        }
        let Some(keep) = counting.keep else { return Ok(false) };
        if self.removed.is_some_and(|last| last.elapsed() < REMOVE_EVERY) {
            return Ok(false);
        }
        let has_more = open.remove(keep, counting.zone, now)?;
        if !has_more {
            self.removed = Some(Instant::now());
        }
        Ok(has_more)
    }
}

impl Open {
    pub(super) fn at(path: &Path) -> rusqlite::Result<Open> {
        let connection = connect(path)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(32);
        // What is removed is overwritten, too.
        connection.pragma_update(None, "secure_delete", true)?;
        let ledger = Ledger::load(&connection)?;
        Ok(Open { connection, ledger, placed: None })
    }

    /// Whether there are rows for a whole step, or a half hour has ended.
    fn is_due(&self, now: i64) -> rusqlite::Result<bool> {
        let newest: i64 = self
            .connection
            .prepare_cached("SELECT coalesce(max(id), 0) FROM occupationUpdates")?
            .query_row([], |row| row.get(0))?;
        let pending = newest - self.ledger.row;
        Ok(match self.ledger.tally.at {
            None => pending > 0,
            Some(at) => {
                pending >= i64::try_from(ROWS).unwrap_or(i64::MAX)
                    || self.ledger.tally.begin(at) + tally::HALF_HOUR + SETTLED <= now
            }
        })
    }

    /// Counts up to `rows` rows; at the end of them, time goes on to the last half hour that has ended. Returns whether
    /// there are more.
    pub(super) fn count(&mut self, counting: &Counting, now: i64, rows: usize) -> rusqlite::Result<bool> {
        let Open { connection, ledger, placed } = self;
        ledger.begin_in(counting.zone, now);
        if placed.is_none_or(|last| last.elapsed() > PLACE_EVERY) {
            ledger.place(connection, (counting.rooms)())?;
            *placed = Some(Instant::now());
        }
        let is_last = ledger.read(connection, rows, &*counting.rooms)?;
        if is_last {
            ledger.tally.advance(ledger.tally.begin(now - SETTLED));
        }
        ledger.save(connection, counting.zone)?;
        Ok(!is_last)
    }

    /// Removes a piece of what is older than `keep`, counted back from the last row, or from now if that is earlier:
    /// neither a clock that runs ahead nor a long silence removes what is the last there is. Returns whether there is
    /// more.
    pub(super) fn remove(&mut self, keep: Duration, zone: Tz, now: i64) -> rusqlite::Result<bool> {
        let keep = i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
        let before = now.min(self.ledger.tally.last).saturating_sub(keep);
        // A clock that was set back does not make times to come of those that were.
        let latest = now.max(self.ledger.tally.last);
        let is_some = before > 0 && removal::rows(&mut self.connection, before, self.ledger.row, latest)? > 0;
        if before > 0 && !is_some {
            removal::days(&mut self.connection, zone::day(before, zone))?;
        }
        Ok(is_some)
    }
}
