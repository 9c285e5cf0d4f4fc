//! Reading old rows, on a connection and a thread of its own: no read makes a push wait.

use super::sqlite::{BUSY, state_of};
use super::{HistoricUpdate, ReadError};
use crate::core::message::HistoricRange;
use crate::core::source::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, params};
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, oneshot};

/// How many reads may wait. One takes a millisecond or so: who would wait longer than all of these asks again.
pub(super) const WAITING: usize = 64;

/// What the reader is asked.
pub(super) enum Request {
    /// Rows of the history.
    Updates(HistoricRange, oneshot::Sender<Result<Vec<HistoricUpdate>, ReadError>>),
    /// To close its connection and end.
    End(oneshot::Sender<()>),
}

/// Answers until told to end, or until nobody can ask any more.
pub(super) fn run(mut reader: Reader, mut requests: mpsc::Receiver<Request>) {
    while let Some(request) = requests.blocking_recv() {
        if let Some(done) = reader.serve(request) {
            drop(reader);
            let _ = done.send(());
            return;
        }
    }
}

/// The connection that reads, opened when it is needed first.
pub(super) struct Reader {
    path: PathBuf,
    connection: Option<Connection>,
}

impl Reader {
    /// Of the database at `path`.
    pub(super) fn new(path: PathBuf) -> Reader {
        Reader { path, connection: None }
    }

    /// Answers one request. Told to end, returns whom to tell when this is dropped.
    pub(super) fn serve(&mut self, request: Request) -> Option<oneshot::Sender<()>> {
        match request {
            Request::Updates(range, reply) => {
                // Whoever asked may have left while others were served.
                if !reply.is_closed() {
                    let _ = reply.send(self.answer(range));
                }
                None
            }
            Request::End(done) => Some(done),
        }
    }

    fn answer(&mut self, range: HistoricRange) -> Result<Vec<HistoricUpdate>, ReadError> {
        let open = match self.connection.take() {
            Some(open) => Ok(open),
            None => connect(&self.path),
        };
        // A connection that failed is not kept: the next read opens the file anew.
        let (open, rows) = open
            .and_then(|open| updates(&open, range).map(|rows| (open, rows)))
            .map_err(|error| ReadError::Failed(error.to_string()))?;
        self.connection = Some(open);
        Ok(rows)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// The rows of `range`, oldest first. The ids have no gaps, so the offset is an id: passing over ten million rows
/// costs what passing over none does (faults.md C14). Where the sum leaves 64 bits SQLite takes it as a float, which
/// is still past the end.
pub(super) fn updates(
    connection: &Connection,
    range: HistoricRange,
) -> rusqlite::Result<Vec<HistoricUpdate>> {
    let offset = i64::try_from(range.offset).unwrap_or(i64::MAX);
    let count = range.count.min(HistoricRange::MAX_COUNT);
    // CROSS JOIN keeps SQLite from beginning with the smaller tables.
    let mut statement = connection.prepare_cached(
        "SELECT pcs.name, sources.name, u.datetime, u.occupation
             FROM occupationUpdates u CROSS JOIN pcs ON pcs.id = u.pc CROSS JOIN sources ON sources.id = u.source
             WHERE u.id >= (SELECT min(id) FROM occupationUpdates) + ?1 ORDER BY u.id LIMIT ?2",
    )?;
    statement.query_map(params![offset, count], update)?.collect()
}

fn update(row: &Row<'_>) -> rusqlite::Result<HistoricUpdate> {
    // An original database may hold anything in these two; what is no time is shown as the beginning of time.
    let at = match row.get_ref(2)? {
        ValueRef::Integer(seconds) => seconds,
        #[expect(clippy::cast_possible_truncation, reason = "a float's whole seconds, clamped by the cast")]
        ValueRef::Real(seconds) => seconds as i64,
        _ => 0,
    };
    let occupation = state_of(row.get_ref(3)?.as_str().unwrap_or_default());
    Ok(HistoricUpdate { pc: row.get(0)?, source: row.get(1)?, at: Timestamp(at), occupation })
}
