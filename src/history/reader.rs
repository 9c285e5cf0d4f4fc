//! Reading old rows, on a connection and a thread of its own: no read makes a push wait.

use super::page;
use super::sqlite::state_of;
use super::{HistoricUpdate, ReadError};
use crate::core::message::HistoricRange;
use crate::core::page::{Page, PageQuery};
use crate::core::source::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, params};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How many reads may wait. One takes a millisecond or so: who would wait longer than all of these asks again.
pub(super) const WAITING: usize = 64;

/// How long a read may take (reliability.md D9): while it lasts, the log cannot begin anew.
const READING: Duration = Duration::from_secs(1);

/// After how many steps of SQLite's machine the time is looked at: a fraction of a millisecond.
const STEPS: i32 = 10_000;

/// Rows, and of which range they are: it begins with the oldest row that is left, if it was to begin before.
pub(super) type Rows = (HistoricRange, Vec<HistoricUpdate>);

/// What the reader is asked.
pub(super) enum Request {
    /// Rows of the history.
    Updates(HistoricRange, oneshot::Sender<Result<Rows, ReadError>>),
    /// A page of them.
    Page(PageQuery, oneshot::Sender<Result<Page, ReadError>>),
    /// What rows come to.
    Insight(Query),
    /// To close its connection and end.
    End(oneshot::Sender<()>),
}

/// Gets a connection, or why there is none, and answers who asked; returns whether all went well.
pub(super) type Query = Box<dyn FnOnce(rusqlite::Result<&Connection>) -> bool + Send>;

/// Answers until told to end, or until nobody can ask any more.
pub(super) fn run(mut reader: Reader, mut requests: mpsc::Receiver<Request>) {
    reader.begin();
    while let Some(request) = requests.blocking_recv() {
        match panic::catch_unwind(AssertUnwindSafe(|| reader.serve(request))) {
            Ok(None) => {}
            Ok(Some(done)) => {
                drop(reader);
                let _ = done.send(());
                return;
            }
            // Who asked for it is told that it failed, and others are answered on (reliability.md O5).
            Err(_) => {
                tracing::error!("a read of the history has panicked, by a defect of tkbd");
                reader.connection = None;
            }
        }
    }
}

/// The connection that reads.
pub(super) struct Reader {
    path: PathBuf,
    connection: Option<Connection>,
}

impl Reader {
    /// Of the database at `path`.
    pub(super) fn new(path: PathBuf) -> Reader {
        Reader { path, connection: None }
    }

    /// Opens it and reads for the first time: on a full disk there would later be no room for what SQLite makes beside
    /// the file.
    pub(super) fn begin(&mut self) {
        let nothing = HistoricRange { offset: 0, count: 0 };
        self.connection = connect(&self.path).and_then(|open| rows(&open, nothing).map(|_| open)).ok();
    }

    /// Answers one request. Told to end, returns whom to tell when this is dropped.
    pub(super) fn serve(&mut self, request: Request) -> Option<oneshot::Sender<()>> {
        match request {
            // Whoever asked may have left while others were served.
            Request::Updates(_, reply) if reply.is_closed() => None,
            Request::Page(_, reply) if reply.is_closed() => None,
            Request::Updates(range, reply) => {
                let _ = reply.send(self.answer(|open| rows(open, range)));
                None
            }
            Request::Page(query, reply) => {
                let _ = reply.send(self.answer(|open| page::page(open, &query)));
                None
            }
            Request::Insight(query) => {
                let open = self.open();
                let is_well = query(open.as_ref().map_err(again));
                self.connection = open.ok().filter(|_| is_well);
                None
            }
            Request::End(done) => Some(done),
        }
    }

    fn answer<T>(&mut self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ReadError> {
        let (open, rows) = self
            .open()
            .and_then(|open| read(&open).map(|rows| (open, rows)))
            .map_err(|error| ReadError::Failed(error.to_string()))?;
        self.connection = Some(open);
        Ok(rows)
    }

    /// The connection, or a new one, for one read. One that failed is not put back: the next read opens the file anew.
    fn open(&mut self) -> rusqlite::Result<Connection> {
        let open = match self.connection.take() {
            Some(open) => Ok(open),
            None => connect(&self.path),
        };
        open.and_then(|mut open| limit(&mut open).map(|()| open))
    }
}

/// An error of opening the file, for who is to be told.
fn again(error: &rusqlite::Error) -> rusqlite::Error {
    let code = error.sqlite_error().map_or(rusqlite::ffi::SQLITE_ERROR, |error| error.extended_code);
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(error.to_string()))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(READING)?;
    Ok(connection)
}

/// From now on what is read must be there in time.
fn limit(connection: &mut Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    connection.progress_handler(STEPS, Some(move || begun.elapsed() > READING))
}

/// The rows of `range`, oldest first. The ids begin with one and have no gaps, and rows are removed from the oldest on.
/// So the offset is an id and means the same row for ever, and passing over ten million rows costs what passing over
/// none does (reliability.md C14).
pub(super) fn rows(connection: &Connection, range: HistoricRange) -> rusqlite::Result<Rows> {
    // One moment for both questions.
    let snapshot = connection.unchecked_transaction()?;
    let first: Option<i64> =
        snapshot.prepare_cached("SELECT min(id) FROM occupationUpdates")?.query_row([], |row| row.get(0))?;
    let removed = first.map_or(0, |first| (first - 1).max(0).unsigned_abs());
    let range = HistoricRange { offset: range.offset.max(removed), ..range };
    let offset = i64::try_from(range.offset).unwrap_or(i64::MAX);
    let count = range.count.min(HistoricRange::MAX_COUNT);
    // CROSS JOIN keeps SQLite from beginning with the smaller tables.
    let mut statement = snapshot.prepare_cached(
        "SELECT pcs.name, sources.name, u.datetime, u.occupation
             FROM occupationUpdates u CROSS JOIN pcs ON pcs.id = u.pc CROSS JOIN sources ON sources.id = u.source
             WHERE u.id > ?1 ORDER BY u.id LIMIT ?2",
    )?;
    let rows = statement.query_map(params![offset, count], update)?.collect::<rusqlite::Result<_>>()?;
    Ok((range, rows))
}

pub(super) fn update(row: &Row<'_>) -> rusqlite::Result<HistoricUpdate> {
    update_of(row, row.get(0)?, row.get(1)?)
}

/// What a row says of a PC, whose time and state are its third and fourth columns.
pub(super) fn update_of(row: &Row<'_>, pc: String, source: String) -> rusqlite::Result<HistoricUpdate> {
    // An original database may hold anything in these two; what is no time is shown as the beginning of time.
    let at = match row.get_ref(2)? {
        ValueRef::Integer(seconds) => seconds,
        #[expect(clippy::cast_possible_truncation, reason = "a float's whole seconds, clamped by the cast")]
        ValueRef::Real(seconds) => seconds as i64,
        _ => 0,
    };
    let occupation = state_of(row.get_ref(3)?.as_str().unwrap_or_default());
    Ok(HistoricUpdate { pc, source, at: Timestamp(at), occupation })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Dir, open_at};
    use super::*;

    #[tokio::test]
    async fn o5_a_panic_of_a_read_ends_that_one_and_the_next_is_answered() {
        let dir = Dir::new();
        let (history, _) = open_at(&dir.path()).unwrap();
        let (_answer, panics) = oneshot::channel::<()>();
        let query: Query = Box::new(move |_| {
            let _answer = _answer;
            panic!("this read panics, as it is to")
        });
        assert!(history.0.as_ref().unwrap().reads.send(Request::Insight(query)).await.is_ok());
        assert!(panics.await.is_err(), "it is told");
        assert!(history.updates(HistoricRange { offset: 0, count: 9 }).await.unwrap().is_empty());
    }

    #[test]
    fn d9_a_read_that_takes_too_long_is_ended() {
        let dir = Dir::new();
        drop(open_at(&dir.path()).unwrap());
        let mut connection = connect(&dir.path()).unwrap();
        limit(&mut connection).unwrap();
        let for_ever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
        let error = connection.query_row(for_ever, [], |row| row.get::<_, i64>(0)).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::OperationInterrupted));
        // The next one has its own second.
        limit(&mut connection).unwrap();
        assert!(rows(&connection, HistoricRange { offset: 0, count: 9 }).unwrap().1.is_empty());
    }
}
