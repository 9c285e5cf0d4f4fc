//! The thread that writes: it takes what waits, commits it in one transaction, then acknowledges all of it. Whatever
//! the disk does, no record is lost, doubled or overtaken while the process lives (faults.md D1, D5, P10).

use super::open::Owned;
use super::sqlite::Store;
use super::{CloseError, Commits, Digests, Record, Status, Trouble, check, lock};
use crate::core::version::Versions;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// How many records one transaction holds at most: enough that an fsync costs each of them nothing to speak of, and
/// few enough that the first need not wait long for the last.
pub(super) const BATCH: usize = 4096;

/// How soon a failed write is tried again, at first and after many failures: the backlog must be on its way within
/// ten seconds after the cause ended (faults.md D1).
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What the writer is given.
pub(super) enum Job {
    /// To write this, and say when it is on the disk.
    Record(Record, oneshot::Sender<()>),
    /// To end cleanly after all that was recorded.
    Close(Versions, Digests, oneshot::Sender<()>),
}

/// A handle on the writer.
#[derive(Clone)]
pub(super) struct Writing {
    pub(super) queue: mpsc::Sender<Job>,
    shared: Arc<Shared>,
    trouble: watch::Receiver<Option<String>>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    /// Records that left the queue and are not on the disk yet.
    in_hand: AtomicUsize,
    /// Somebody waits for the end: do not rest long between tries.
    closing: AtomicBool,
    commits: Arc<Commits>,
    /// SQLite has said that the file is damaged; the next start looks at all of it (faults.md D4).
    damaged: AtomicBool,
}

impl Writing {
    /// Starts the thread on a file that was opened for it.
    pub(super) fn start(owned: Owned, backlog: usize) -> io::Result<Writing> {
        let (queue, jobs) = mpsc::channel(backlog);
        let (troubled, trouble) = watch::channel(None);
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            commits: owned.store.commits(),
            path: owned.path,
            store: Some(owned.store),
            shared: Arc::clone(&shared),
            trouble: troubled,
        };
        let lock = owned.lock;
        let thread = thread::Builder::new().name("history-write".into()).spawn(move || {
            let closed = writer.run(jobs);
            // The lock goes after the connection, and the news after the lock: who waits for the close may open anew.
            drop(lock);
            if let Some(closed) = closed {
                let _ = closed.send(());
            }
        })?;
        Ok(Writing { queue, shared, trouble, thread: thread.thread().clone() })
    }

    /// Ends the writer after all that waits.
    pub(super) async fn close(&self, versions: Versions, digests: Digests) -> Result<(), CloseError> {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.thread.unpark();
        let place = self.queue.reserve().await.map_err(|_| CloseError::Ended)?;
        let (done, closed) = oneshot::channel();
        place.send(Job::Close(versions, digests, done));
        closed.await.map_err(|_| CloseError::Ended)
    }

    /// What became of tries to write.
    pub(super) fn commits(&self) -> Arc<Commits> {
        self.shared.commits.clone()
    }

    /// How many records wait, and whether they are getting anywhere.
    pub(super) fn status(&self) -> Status {
        let queued = self.queue.max_capacity() - self.queue.capacity();
        let ended = self.queue.is_closed();
        let trouble = self.trouble.borrow().clone();
        let damaged = self.shared.damaged.load(Ordering::Relaxed);
        let named = trouble
            .clone()
            .map(|reason| if damaged { Trouble::Damaged { reason } } else { Trouble::Unwritable { reason } });
        Status {
            backlog: queued + self.shared.in_hand.load(Ordering::Relaxed),
            trouble: trouble.or_else(|| ended.then(|| "the writer has ended".to_owned())),
            troubles: named.into_iter().chain(ended.then_some(Trouble::Ended)).collect(),
        }
    }
}

/// The thread's own.
struct Writer {
    path: PathBuf,
    /// None after a failure, until the file could be opened again.
    store: Option<Store>,
    /// How many transactions the file must have seen.
    commits: i64,
    shared: Arc<Shared>,
    trouble: watch::Sender<Option<String>>,
}

impl Writer {
    /// Writes until told to close, or until nobody can record any more. Returns whom to tell that the file is closed.
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) -> Option<oneshot::Sender<()>> {
        let mut taken = Vec::with_capacity(BATCH);
        let mut batch = Vec::with_capacity(BATCH);
        let mut close = None;
        while jobs.blocking_recv_many(&mut taken, BATCH) > 0 {
            self.shared.in_hand.store(taken.len(), Ordering::Relaxed);
            for job in taken.drain(..) {
                match job {
                    Job::Record(record, done) => batch.push((record, done)),
                    Job::Close(versions, digests, done) => {
                        // Places taken before this may still be filled; the loop goes on until they are gone.
                        jobs.close();
                        close = Some((versions, digests, done));
                    }
                }
            }
            // What came before a barrier is on the disk by now: a barrier alone needs no transaction.
            if batch.iter().any(|(record, _)| !matches!(record, Record::Barrier)) {
                self.persist(|store| store.write(batch.iter().map(|(record, _)| record)));
            }
            // Counted off before it is told, so that who was told sees it.
            self.shared.in_hand.store(0, Ordering::Relaxed);
            for (_, done) in batch.drain(..) {
                let _ = done.send(());
            }
        }
        let (versions, digests, done) = close?;
        self.persist(|store| store.finish(versions, digests));
        Some(done)
    }

    /// Makes `write`, which is one transaction, take effect once: tries until it has.
    fn persist(&mut self, mut write: impl FnMut(&mut Store) -> rusqlite::Result<()>) {
        let mut pause = PAUSES.0;
        let mut begun = Instant::now();
        while let Err(error) = self.attempt(&mut write) {
            self.shared.commits.failures.one();
            let was = self.trouble.send_replace(Some(error.clone()));
            if was.is_none() {
                tracing::warn!(path = %self.path.display(), error, "the history cannot be written; records wait");
            }
            let closing = self.shared.closing.load(Ordering::Relaxed);
            thread::park_timeout(if closing { PAUSES.0 } else { pause });
            pause = (pause * 2).min(PAUSES.1);
            begun = Instant::now();
        }
        self.shared.commits.took.took(begun.elapsed());
        self.commits += 1;
        if self.trouble.send_replace(None).is_some() {
            tracing::warn!(path = %self.path.display(), "the history is written again");
        }
    }

    /// One try. After an error the connection is gone, and the next try opens the file anew and asks it first whether
    /// the transaction took effect after all: a commit may fail after its last byte was written (faults.md D5).
    fn attempt(&mut self, write: impl FnOnce(&mut Store) -> rusqlite::Result<()>) -> Result<(), String> {
        let text = |error: rusqlite::Error| {
            if check::is_damage(&error) && !self.shared.damaged.swap(true, Ordering::Relaxed) {
                tracing::error!(path = %self.path.display(), %error, "the history is damaged; restart the daemon, which saves what can be read");
                let _ = lock::suspect(&self.path);
            }
            error.to_string()
        };
        let mut store = match self.store.take() {
            Some(store) => store,
            None => Store::open(&self.path).map_err(text)?,
        };
        match store.commits() - self.commits {
            0 => write(&mut store).map_err(text)?,
            1 => store.settle().map_err(text)?,
            _ => return Err("the file was exchanged for another; put it back or restart the daemon".into()),
        }
        self.store = Some(store);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Dir, push, rows};
    use super::*;

    fn writer(dir: &Dir, store: Option<Store>, commits: i64) -> Writer {
        Writer { path: dir.path(), store, commits, shared: Arc::default(), trouble: watch::channel(None).0 }
    }

    #[test]
    fn d5_a_commit_that_took_effect_although_it_failed_is_not_repeated() {
        let dir = Dir::new();
        let owned = super::super::open::open(&dir.path(), 8).unwrap().store;
        let before = owned.store.commits();
        let record = push(1, "pc1", "wu");
        let mut writer = writer(&dir, Some(owned.store), before);
        // The transaction takes effect and reports a failure, as after an fsync that failed.
        let mut failures = 1;
        writer.persist(|store| {
            store.write([&record].into_iter())?;
            failures -= 1;
            if failures == 0 { Err(rusqlite::Error::InvalidQuery) } else { Ok(()) }
        });
        assert_eq!(rows(&dir.path()), ["pc1 login 1 wu"]);
        writer.persist(|store| store.write([&push(2, "pc1", "wf")].into_iter()));
        assert_eq!(rows(&dir.path()), ["pc1 login 1 wu", "pc1 login 2 wf"]);
    }

    #[test]
    fn d5_a_failed_transaction_is_repeated_whole_on_a_new_connection() {
        let dir = Dir::new();
        let owned = super::super::open::open(&dir.path(), 8).unwrap().store;
        let mut writer = writer(&dir, None, owned.store.commits());
        let batch = [push(1, "pc1", "wu"), push(2, "pc2", "wu")];
        // Another connection holds the lock while the first try runs into its time-out.
        let other = rusqlite::Connection::open(dir.path()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        drop(owned.store);
        let mut tries = 0;
        writer.persist(|store| {
            tries += 1;
            let result = store.write(batch.iter());
            if tries == 1 {
                assert!(result.is_err());
                other.execute_batch("COMMIT").unwrap();
            }
            result
        });
        assert_eq!((tries, rows(&dir.path()).len()), (2, 2));
    }

    #[test]
    fn d5_a_file_that_was_put_in_the_place_of_ours_is_not_written_to() {
        let dir = Dir::new();
        let owned = super::super::open::open(&dir.path(), 8).unwrap().store;
        let mut writer = writer(&dir, None, owned.store.commits() + 5);
        let record = push(1, "pc1", "wu");
        assert!(writer.attempt(|store| store.write([&record].into_iter())).is_err());
        assert_eq!(rows(&dir.path()), [""; 0]);
    }
}
