//! The thread that writes: it takes what waits, commits it in one transaction, then acknowledges all of it. Whatever
//! the disk does, no record is lost, doubled or overtaken while the process lives (reliability.md D1, D5, P10).

use super::lock::{Lock, Standing};
use super::open::Owned;
use super::sqlite::Store;
use super::status::EXCHANGED;
use super::{Clock, CloseError, Commits, Digests, Record, Status, Trouble, check, lock};
use crate::core::version::Versions;
use crate::health;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// How many records one transaction holds at most: enough that an fsync costs each of them nothing to speak of, and
/// few enough that the first need not wait long for the last.
pub(super) const BATCH: usize = 4096;

/// How soon a failed write is tried again, at first and after many failures: the backlog must be on its way within
/// ten seconds after the cause ended (reliability.md D1).
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
    /// None where the writer has no thread of its own.
    thread: Option<Thread>,
}

#[derive(Default)]
struct Shared {
    /// Records that left the queue and are not on the disk yet.
    in_hand: AtomicUsize,
    /// Somebody waits for the end: do not rest long between tries.
    closing: AtomicBool,
    commits: Arc<Commits>,
    /// SQLite has said that the file is damaged; the next start looks at all of it (reliability.md D4).
    damaged: AtomicBool,
}

impl Writing {
    /// Starts the thread on a file that was opened for it.
    pub(super) fn start(owned: Owned, backlog: usize, clock: Clock) -> io::Result<Writing> {
        let (writing, writer) = Writing::new(owned, backlog, clock);
        let thread = thread::Builder::new().name("history-write".into()).spawn(move || {
            // Its queue is closed now: all pushes would be refused for ever, by a daemon that looks alive.
            if panic::catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
                health::abort("what writes the history has panicked");
            }
        })?;
        Ok(Writing { thread: Some(thread.thread().clone()), ..writing })
    }

    /// The handle on a writer, and the writer, which is yet to be run.
    pub(super) fn new(owned: Owned, backlog: usize, clock: Clock) -> (Writing, Writer) {
        let (queue, jobs) = mpsc::channel(backlog);
        let (troubled, trouble) = watch::channel(None);
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            commits: owned.store.commits(),
            file: Standing::at(&owned.path),
            path: owned.path,
            store: Some(owned.store),
            is_settled: owned.is_settled,
            shared: Arc::clone(&shared),
            trouble: troubled,
            clock,
            jobs,
            taken: Vec::new(),
            batch: Vec::new(),
            close: None,
            last: false,
            pause: PAUSES.0,
            lock: owned.lock,
        };
        (Writing { queue, shared, trouble, thread: None }, writer)
    }

    /// Ends the writer after all that waits.
    pub(super) async fn close(&self, versions: Versions, digests: Digests) -> Result<(), CloseError> {
        self.shared.closing.store(true, Ordering::Relaxed);
        self.thread.as_ref().inspect(|thread| thread.unpark());
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

/// What one step of the writer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing waits to be written.
    Idle,
    /// What was taken is on the disk, and acknowledged.
    Wrote,
    /// The disk did not take it; to be tried again after so long.
    Failed(Duration),
    /// All is written that ever will be.
    Ended,
}

/// What writes: the thread's own.
pub(super) struct Writer {
    path: PathBuf,
    file: Standing,
    /// None after a failure, until the file could be opened again.
    store: Option<Store>,
    /// Whether what the start found in the log is in the database by now.
    is_settled: bool,
    /// How many transactions the file must have seen.
    commits: i64,
    shared: Arc<Shared>,
    trouble: watch::Sender<Option<String>>,
    clock: Clock,
    jobs: mpsc::Receiver<Job>,
    /// What came out of the queue last; empty between steps, and kept for its memory.
    taken: Vec<Job>,
    /// What is to be written, and whom to tell.
    batch: Vec<(Record, oneshot::Sender<()>)>,
    close: Option<(Versions, Digests, oneshot::Sender<()>)>,
    /// Nothing more will come: only the mark of a clean stop is to be set, if one was asked for.
    last: bool,
    /// How long to rest after the next failure.
    pause: Duration,
    /// Ours as long as the file is open.
    lock: Lock,
}

impl Writer {
    /// Writes until told to close, or until nobody can record any more.
    pub(super) fn run(mut self) {
        loop {
            match self.step(|jobs, taken| Some(jobs.blocking_recv_many(taken, BATCH))) {
                Step::Idle | Step::Wrote => {}
                Step::Failed(pause) => thread::park_timeout(pause),
                Step::Ended => return self.end(),
            }
        }
    }

    /// A step that does not wait for anything to come.
    pub(super) fn step_at_once(&mut self) -> Step {
        self.step(|jobs, taken| {
            match jobs.poll_recv_many(&mut Context::from_waker(Waker::noop()), taken, BATCH) {
                Poll::Ready(count) => Some(count),
                Poll::Pending => None,
            }
        })
    }

    /// Takes up to a batch, where nothing is left of the last, and tries once to write it. `receive` says how many came
    /// (none where the step is not to wait for them); zero is the end of all.
    fn step(
        &mut self,
        receive: impl FnOnce(&mut mpsc::Receiver<Job>, &mut Vec<Job>) -> Option<usize>,
    ) -> Step {
        if self.batch.is_empty() && !self.last {
            match receive(&mut self.jobs, &mut self.taken) {
                None => return Step::Idle,
                Some(0) => self.last = true,
                Some(_) => self.sort(),
            }
        }
        let outcome = if self.last { self.mark() } else { self.commit() };
        match outcome {
            Err(pause) => Step::Failed(pause),
            Ok(()) if self.last => Step::Ended,
            Ok(()) => Step::Wrote,
        }
    }

    fn sort(&mut self) {
        self.shared.in_hand.store(self.taken.len(), Ordering::Relaxed);
        for job in self.taken.drain(..) {
            match job {
                Job::Record(record, done) => self.batch.push((record, done)),
                Job::Close(versions, digests, done) => {
                    // Places taken before this may still be filled; the steps go on until they are gone.
                    self.jobs.close();
                    self.close = Some((versions, digests, done));
                }
            }
        }
    }

    fn commit(&mut self) -> Result<(), Duration> {
        let mut batch = std::mem::take(&mut self.batch);
        // What came before a barrier is on the disk by now: a barrier alone needs no transaction, where that is our file.
        let has_more = batch.iter().any(|(record, _)| !matches!(record, Record::Barrier));
        if has_more || !self.file.is_at(&self.path) {
            let now = self.clock.now();
            let written = self.persist(|store| store.write(batch.iter().map(|(record, _)| record), now));
            if let Err(pause) = written {
                self.batch = batch;
                return Err(pause);
            }
        }
        // Counted off before it is told, so that who was told sees it.
        self.shared.in_hand.store(0, Ordering::Relaxed);
        for (_, done) in batch.drain(..) {
            let _ = done.send(());
        }
        self.batch = batch;
        Ok(())
    }

    fn mark(&mut self) -> Result<(), Duration> {
        match self.close {
            Some((versions, digests, _)) => self.persist(|store| store.finish(versions, digests)),
            None => Ok(()),
        }
    }

    /// Closes the file. The lock goes after the connection, and the news after the lock: who waits for the close may
    /// open anew.
    pub(super) fn end(self) {
        drop(self.store);
        drop(self.lock);
        if let Some((_, _, closed)) = self.close {
            let _ = closed.send(());
        }
    }

    /// Makes `write`, which is one transaction, take effect: once, however often this has to be called for it. After
    /// a failure returns when to call again.
    fn persist(&mut self, write: impl FnOnce(&mut Store) -> rusqlite::Result<()>) -> Result<(), Duration> {
        let begun = Instant::now();
        if let Err(error) = self.attempt(write) {
            self.shared.commits.failures.one();
            let was = self.trouble.send_replace(Some(error.clone()));
            if was.is_none() {
                tracing::warn!(path = %self.path.display(), error, "the history cannot be written; records wait");
            }
            let closing = self.shared.closing.load(Ordering::Relaxed);
            let pause = if closing { PAUSES.0 } else { self.pause };
            self.pause = (self.pause * 2).min(PAUSES.1);
            return Err(pause);
        }
        self.shared.commits.took.took(begun.elapsed());
        self.pause = PAUSES.0;
        self.commits += 1;
        if self.trouble.send_replace(None).is_some() {
            tracing::warn!(path = %self.path.display(), "the history is written again");
        }
        Ok(())
    }

    /// One try. After an error the connection is gone, and the next try opens the file anew and asks it first whether
    /// the transaction took effect after all: a commit may fail after its last byte was written (reliability.md D5).
    fn attempt(&mut self, write: impl FnOnce(&mut Store) -> rusqlite::Result<()>) -> Result<(), String> {
        let text = |error: rusqlite::Error| {
            if check::is_damage(&error) && !self.shared.damaged.swap(true, Ordering::Relaxed) {
                tracing::error!(path = %self.path.display(), %error, "the history is damaged; restart the daemon, which saves what can be read");
                let _ = lock::suspect(&self.path);
            }
            error.to_string()
        };
        // The connection is kept: the file may be put back.
        self.see_that_it_stands()?;
        let mut store = match self.store.take() {
            Some(store) => store,
            None => Store::open(&self.path).map_err(text)?,
        };
        match store.commits() - self.commits {
            0 => {
                if !self.is_settled {
                    store.settle().map_err(text)?;
                    self.is_settled = true;
                }
                write(&mut store).map_err(text)?;
            }
            1 => store.settle().map_err(text)?,
            _ => return Err(EXCHANGED.into()),
        }
        self.store = Some(store);
        // Nothing is acknowledged that has gone to a file which nobody finds any more.
        self.see_that_it_stands()
    }

    fn see_that_it_stands(&self) -> Result<(), String> {
        if self.file.is_at(&self.path) { Ok(()) } else { Err(EXCHANGED.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Dir, push, rows};
    use super::*;
    use crate::core::source::Timestamp;
    use std::fs;

    const NOW: Timestamp = Timestamp(0);

    fn owned(dir: &Dir) -> Owned {
        super::super::open::open(&dir.path(), 8, &Clock::System).unwrap().store
    }

    fn writer(owned: Owned) -> Writer {
        Writing::new(owned, 8, Clock::System).1
    }

    #[test]
    fn d5_a_commit_that_took_effect_although_it_failed_is_not_repeated() {
        let dir = Dir::new();
        let mut writer = writer(owned(&dir));
        // The transaction takes effect and reports a failure, as after an fsync that failed.
        let failing = writer.persist(|store| {
            store.write([&push(1, "pc1", "wu")].into_iter(), NOW)?;
            Err(rusqlite::Error::InvalidQuery)
        });
        assert_eq!(failing, Err(PAUSES.0));
        let again = writer.persist(|store| store.write([&push(1, "pc1", "wu")].into_iter(), NOW));
        assert_eq!((again, rows(&dir.path())), (Ok(()), vec!["pc1 login 1 wu".to_owned()]));
        let next = writer.persist(|store| store.write([&push(2, "pc1", "wf")].into_iter(), NOW));
        assert_eq!(next, Ok(()));
        assert_eq!(rows(&dir.path()), ["pc1 login 1 wu", "pc1 login 2 wf"]);
    }

    #[test]
    fn d5_a_failed_transaction_is_repeated_whole_on_a_new_connection() {
        let dir = Dir::new();
        let mut writer = writer(owned(&dir));
        let batch = [push(1, "pc1", "wu"), push(2, "pc2", "wu")];
        // Another connection holds the lock while the first try runs into its time-out.
        let other = rusqlite::Connection::open(dir.path()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(writer.persist(|store| store.write(batch.iter(), NOW)), Err(PAUSES.0));
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(writer.persist(|store| store.write(batch.iter(), NOW)), Ok(()));
        assert_eq!(rows(&dir.path()).len(), 2);
    }

    #[test]
    fn d5_a_file_that_was_put_in_the_place_of_ours_is_not_written_to() {
        let dir = Dir::new();
        let mut writer = writer(owned(&dir));
        (writer.store, writer.commits) = (None, writer.commits + 5);
        let record = push(1, "pc1", "wu");
        assert!(writer.attempt(|store| store.write([&record].into_iter(), NOW)).is_err());
        assert_eq!(rows(&dir.path()), [""; 0]);
    }

    #[test]
    fn d5_nothing_is_acknowledged_while_our_file_is_not_in_its_place() {
        let dir = Dir::new();
        let mut writer = writer(owned(&dir));
        let away = dir.path().with_extension("away");
        let write = |writer: &mut Writer, version| {
            writer.persist(|store| store.write([&push(version, "pc1", "wu")].into_iter(), NOW))
        };
        assert_eq!(write(&mut writer, 1), Ok(()));
        fs::rename(dir.path(), &away).unwrap();
        assert!(write(&mut writer, 2).is_err(), "there is none");
        fs::copy(&away, dir.path()).unwrap();
        assert!(write(&mut writer, 2).is_err(), "it is another, however like ours");
        fs::rename(&away, dir.path()).unwrap();
        assert_eq!(write(&mut writer, 2), Ok(()));
        // It goes while it is written to: that is not said to be written before it is back, and then once.
        let leaving = writer.persist(|store| {
            store.write([&push(3, "pc1", "wu")].into_iter(), NOW)?;
            fs::rename(dir.path(), &away).unwrap();
            Ok(())
        });
        assert!(leaving.is_err());
        fs::rename(&away, dir.path()).unwrap();
        assert_eq!(write(&mut writer, 3), Ok(()));
        assert_eq!(rows(&dir.path()), ["pc1 login 1 wu", "pc1 login 2 wu", "pc1 login 3 wu"]);
    }

    #[test]
    fn d1_the_pause_between_tries_grows_to_five_seconds_and_is_short_again_after_a_success() {
        let dir = Dir::new();
        let mut writer = writer(owned(&dir));
        let fail = |writer: &mut Writer| writer.persist(|_| Err(rusqlite::Error::InvalidQuery)).unwrap_err();
        let pauses: Vec<u128> = (0..8).map(|_| fail(&mut writer).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(writer.persist(|store| store.write([].into_iter(), NOW)), Ok(()));
        assert_eq!(fail(&mut writer), PAUSES.0);
    }
}
