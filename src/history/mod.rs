//! The history: what was pushed, kept in one SQLite file, with all that a restart needs. Every line of SQL of the
//! house stands in this room, and none of it runs where anybody waits: there is a thread that writes, one that reads,
//! one that counts what the rows come to, and one that looks after the file.
//!
//! A record goes the same way always: a [`Place`] in the bounded queue is taken before the hub's lock, filled under
//! it (which cannot block or fail, so that the rows stand in the order of the versions: invariant 5), and the
//! [`Acknowledgement`] is awaited after it. The writer takes what waits, commits it in one transaction and then
//! acknowledges all of it (invariant 9).

mod adopt;
mod backup;
mod check;
mod clock;
mod driven;
mod error;
mod export;
mod figures;
mod filters;
mod insight;
mod lock;
#[cfg(test)]
mod measure;
mod open;
mod page;
mod probe;
mod reader;
mod replace;
mod restore;
mod rights;
mod rollup;
mod salvage;
mod sqlite;
mod status;
#[cfg(test)]
mod tests;
mod watch;
mod writer;

pub use backup::{BackupError, Progress, backup};
pub use clock::Clock;
pub use driven::{Driven, open_driven};
pub use error::{CloseError, Full, NotDurable, OpenError, ReadError};
pub use export::{Export, ExportError, Wanted};
pub use figures::Commits;
pub use insight::Insight;
pub use probe::probe;
pub use replace::{Ready, ReplaceError, replace};
pub use rollup::{Counting, Rooms};
pub use status::{Status, Trouble};
pub use writer::Step;

use crate::core::message::{HistoricRange, HistoricUpdate};
use crate::core::page::{Page, PageQuery};
use crate::core::pc::{Occupation, PcName};
use crate::core::source::{Source, Timestamp};
use crate::core::state::Digests;
use crate::core::tag::Filter;
use crate::core::token::Token;
use crate::core::version::Versions;
use rollup::Rolling;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use watch::Watching;
use writer::Writing;

/// How long a close waits for the disk: a stop must end within five seconds (reliability.md O2).
const CLOSING: Duration = Duration::from_secs(4);

/// How long of it for the reads that are under way; a read takes milliseconds.
const READING: Duration = Duration::from_secs(1);

/// Which file, and how much may wait for it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The database; it is created where there is none.
    pub path: PathBuf,
    /// How many records may wait for the disk.
    pub backlog: usize,
    /// Above how many bytes of SQLite's log it is an alarm (reliability.md D9).
    pub log_alarm: u64,
}

impl Options {
    /// Enough for minutes of pushes on a large campus while a disk is away, and a few MiB at most.
    pub const BACKLOG: usize = 16_384;

    /// SQLite writes its log back at 4 MiB: sixteen times as much says that another program keeps it from that.
    pub const LOG_ALARM: u64 = 64 << 20;

    /// The usual options for the file at `path`.
    pub fn at(path: &Path) -> Options {
        Options { path: path.to_owned(), backlog: Options::BACKLOG, log_alarm: Options::LOG_ALARM }
    }

    /// The bound as it is used: a queue without a place would refuse all.
    fn backlog(&self) -> usize {
        self.backlog.clamp(1, 1 << 20)
    }
}

/// What the file held when it was opened.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// The last state of each PC, by the order of the rows and never by their time (reliability.md K1).
    pub pcs: Vec<(PcName, Occupation)>,
    /// When the last state of each PC was reported, where the file tells.
    pub since: Vec<(PcName, Timestamp)>,
    /// Who has pushed before.
    pub sources: Vec<Source>,
    /// Where to go on. After an unclean stop they are past all that may have been shown and not recorded.
    pub versions: Versions,
    /// What [`History::close`] was told, if the last stop was clean.
    pub digests: Option<Digests>,
    /// Saved filters, newest first, with how long ago their channels ended; zero for channels that lived when the
    /// daemon stopped. From now on all of them count as ended: when a channel returns, record its filter again.
    pub filters: Vec<(Token, Filter, Duration)>,
    /// Set when this open adopted an original database.
    pub adopted: Option<Adopted>,
    /// Set when this open has put a damaged file aside.
    pub salvaged: Option<Salvaged>,
}

/// What was left of a damaged file, and is in the new one (reliability.md D4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Salvaged {
    /// Where the damaged file is kept as it was.
    pub damaged: PathBuf,
    /// How many rows of the history could be read.
    pub rows: u64,
    /// How many places could not be passed but by leaving something out.
    pub lost: u64,
    /// How many PCs had their names.
    pub pcs: u64,
    /// How many sources had theirs.
    pub sources: u64,
    /// How many filters could be read.
    pub filters: u64,
    /// Whether the versions could be read; they go on from the clock all the same.
    pub has_versions: bool,
}

/// How an original database was brought over (reliability.md D8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// How many rows it had, and has.
    pub rows: u64,
    /// Where the file is kept as it was.
    pub copy: PathBuf,
    /// One line for each name or state that was not as it should be, and how often; bounded.
    pub damaged: Vec<String>,
}

/// What is to be remembered.
#[derive(Debug, Clone)]
pub enum Record {
    /// A push that changed something.
    Push {
        /// The versions after it.
        versions: Versions,
        /// When it arrived.
        at: Timestamp,
        /// Who pushed.
        source: Source,
        /// The PCs it changed, and what to.
        states: Arc<[(PcName, Occupation)]>,
    },
    /// The versions after a change that no push made.
    Versions(Versions),
    /// Nothing; acknowledged when all before it is on the disk.
    Barrier,
    /// What channels listen to.
    Filters(Vec<SavedFilter>),
}

/// What has changed of a channel's filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFilter {
    /// The channel.
    pub token: Token,
    /// What it listens to from now on, where that has changed.
    pub filter: Option<Arc<Filter>>,
    /// When it ended, where it has; its filter is kept for a day from then.
    pub ended: Option<Timestamp>,
}

/// Opens the history and starts the threads that write and read it. An absent file is created, an older one brought
/// up to date, an original database adopted. It blocks: on the disk, and up to five seconds on another program's lock.
///
/// # Errors
/// See [`OpenError`]; the file is as it was, and none was created where the path is unusable.
pub fn open(options: &Options) -> Result<(History, Restored), OpenError> {
    let (backlog, clock) = (options.backlog(), Clock::System);
    let opened = open::open(&options.path, backlog, &clock)?;
    let no_thread = |error| OpenError::io(&options.path, &error);
    let watching = Watching::start(&opened.path, !opened.is_checked, options.log_alarm).map_err(no_thread)?;
    let rolling = Rolling::start(&opened.path).map_err(no_thread)?;
    let reader = reader::Reader::new(opened.path);

    let (reads, requests) = mpsc::channel(reader::WAITING);
    std::thread::Builder::new()
        .name("history-read".into())
        .spawn(move || reader::run(reader, requests))
        .map_err(no_thread)?;
    let writing = Writing::start(opened.store, backlog, clock.clone()).map_err(no_thread)?;
    let (watching, rolling) = (Some(watching), Some(rolling));
    Ok((History(Some(Handle { writing, reads, watching, rolling, clock })), opened.restored))
}

/// A handle on the history; cheap to clone. When the last one goes without [`History::close`] what waits is still
/// written, but the stop counts as unclean.
#[derive(Clone)]
pub struct History(Option<Handle>);

#[derive(Clone)]
struct Handle {
    writing: Writing,
    reads: mpsc::Sender<reader::Request>,
    /// None, both, where the history has no threads of its own.
    watching: Option<Watching>,
    rolling: Option<Rolling>,
    clock: Clock,
}

impl History {
    /// No file: whatever is recorded is acknowledged at once, and there is nothing to read.
    pub fn none() -> History {
        History(None)
    }

    /// Takes a place in the queue, before the hub's lock is taken.
    ///
    /// # Errors
    /// When as many records wait as may, or the history has ended.
    pub fn reserve(&self) -> Result<Place, Full> {
        let Some(handle) = &self.0 else { return Ok(Place(None)) };
        handle.writing.queue.clone().try_reserve_owned().map(|permit| Place(Some(permit))).map_err(|_| Full)
    }

    /// Takes a place while more than half of the queue is free: for records that may be skipped, so that they never
    /// take the places of pushes.
    pub fn reserve_spare(&self) -> Option<Place> {
        let spare = |handle: &Handle| {
            let queue = &handle.writing.queue;
            queue.capacity() * 2 > queue.max_capacity()
        };
        if self.0.as_ref().is_none_or(spare) { self.reserve().ok() } else { None }
    }

    /// The rows of `range`, oldest first; none past the end.
    ///
    /// # Errors
    /// When too many reads wait, or the file cannot be read.
    pub async fn updates(&self, range: HistoricRange) -> Result<Vec<HistoricUpdate>, ReadError> {
        self.rows(range).await.map(|(_, rows)| rows)
    }

    /// The same, with the range that they are of: it begins with the oldest row that is left, if it was to begin before.
    ///
    /// # Errors
    /// As of [`History::updates`].
    pub async fn rows(
        &self,
        range: HistoricRange,
    ) -> Result<(HistoricRange, Vec<HistoricUpdate>), ReadError> {
        let nothing = || (range, Vec::new());
        self.read(|reply| reader::Request::Updates(range, reply), nothing).await
    }

    /// A page of the rows.
    ///
    /// # Errors
    /// As of [`History::updates`].
    pub async fn page(&self, query: PageQuery) -> Result<Page, ReadError> {
        self.read(|reply| reader::Request::Page(query, reply), Page::default).await
    }

    async fn read<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, ReadError>>) -> reader::Request,
        without_file: impl FnOnce() -> T,
    ) -> Result<T, ReadError> {
        let Some(handle) = &self.0 else { return Ok(without_file()) };
        let (reply, answer) = oneshot::channel();
        handle.reads.try_send(request(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ReadError::Busy,
            mpsc::error::TrySendError::Closed(_) => ReadError::Closed,
        })?;
        answer.await.map_err(|_| ReadError::Closed)?
    }

    /// Commits what waits, marks a clean stop at `versions` and closes the file. Call it when nothing more will be
    /// recorded: a place that is still held is waited for, in vain after four seconds.
    ///
    /// # Errors
    /// When the disk did not take it in time, or the history had ended. The next start then counts as unclean.
    pub async fn close(&self, versions: Versions, digests: Digests) -> Result<(), CloseError> {
        let Some(handle) = &self.0 else { return Ok(()) };
        let closing = async {
            // The readers go first: the last connection to close tidies the log away.
            let (done, ended) = oneshot::channel();
            let reads = async {
                if let Some(watching) = &handle.watching {
                    watching.end().await;
                }
                if let Some(rolling) = &handle.rolling {
                    rolling.end().await;
                }
                if handle.reads.send(reader::Request::End(done)).await.is_ok() {
                    let _ = ended.await;
                }
            };
            let _ = tokio::time::timeout(READING, reads).await;
            handle.writing.close(versions, digests).await
        };
        tokio::time::timeout(CLOSING, closing).await.unwrap_or(Err(CloseError::TimedOut))
    }

    /// The wall clock that filters are kept by.
    pub fn clock(&self) -> Clock {
        self.0.as_ref().map(|handle| handle.clock.clone()).unwrap_or_default()
    }

    /// How the history is doing, for health and logs.
    pub fn status(&self) -> Status {
        let Some(handle) = &self.0 else { return Status::default() };
        let mut status = handle.writing.status();
        status.troubles.extend(handle.watching.iter().flat_map(Watching::troubles));
        status.troubles.extend(handle.rolling.iter().filter_map(Rolling::trouble));
        status
    }
}

/// A place in the queue. Dropped, it is free again.
#[must_use = "a place that is dropped records nothing"]
pub struct Place(Option<mpsc::OwnedPermit<writer::Job>>);

impl Place {
    /// Puts `record` into the queue. It cannot block and cannot fail, so it may be called under the hub's lock; rows
    /// stand in the order of these calls.
    pub fn record(self, record: Record) -> Acknowledgement {
        Acknowledgement(self.0.map(|permit| {
            let (done, durable) = oneshot::channel();
            permit.send(writer::Job::Record(record, done));
            durable
        }))
    }
}

/// The promise that a record will be on the disk. Dropped, the record is written all the same.
#[must_use = "only an awaited acknowledgement says that the record is on the disk"]
pub struct Acknowledgement(Option<oneshot::Receiver<()>>);

impl Acknowledgement {
    /// Whether the record is yet to reach the disk.
    pub fn is_pending(&mut self) -> bool {
        self.0.as_mut().is_some_and(|durable| matches!(durable.try_recv(), Err(TryRecvError::Empty)))
    }

    /// Waits until the record is on the disk.
    ///
    /// # Errors
    /// When the writer ended before.
    pub async fn durable(self) -> Result<(), NotDurable> {
        match self.0 {
            Some(durable) => durable.await.map_err(|_| NotDurable),
            None => Ok(()),
        }
    }
}
