//! The rows of a damaged table, one after the other, past the places where there are none to be read.

use super::super::check::is_damage;
use rusqlite::{Connection, Row};

/// How many gaps of one table are passed over: each costs up to 130 look-ups. A file with more holes than this is
/// hardly one any more.
const GAPS: u64 = 100_000;

/// The tables of a damaged file.
pub(super) struct Rows<'a>(&'a Connection);

impl Rows<'_> {
    pub(super) fn of(connection: &Connection) -> Rows<'_> {
        Rows(connection)
    }

    /// Calls `take` with the id and these columns of each row that can be read, in the order of the ids. A row that it
    /// finds wrong is left out. Returns how many gaps there were.
    pub(super) fn each(
        &self,
        table: &str,
        columns: &str,
        mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<u64> {
        let sql = format!("SELECT id, {columns} FROM {table} WHERE id > ?1 ORDER BY id");
        let Ok(mut all) = self.0.prepare(&sql) else { return Ok(1) };
        let (mut last, mut gaps) = (i64::MIN, 0);
        loop {
            let mut rows = all.query([last])?;
            let is_whole = loop {
                match rows.next() {
                    Ok(None) => break true,
                    Ok(Some(row)) => {
                        let id: i64 = row.get(0)?;
                        if id <= last {
                            // Rows out of order would be read again and again.
                            break false;
                        }
                        last = id;
                        match take(row) {
                            Ok(()) => {}
                            Err(error) if is_of_the_row(&error) => gaps += 1,
                            Err(error) => return Err(error),
                        }
                    }
                    Err(error) if is_damage(&error) => break false,
                    Err(error) => return Err(error),
                }
            };
            drop(rows);
            if is_whole {
                return Ok(gaps);
            }
            gaps += 1;
            match self.after(table, last) {
                // A row that is found and cannot be read is passed over, too.
                Some(next) if gaps < GAPS => last = next.saturating_sub(1).max(last.saturating_add(1)),
                _ => return Ok(gaps),
            }
        }
    }

    /// The first id past `last` at which the table can be read again: steps that double find one, and halving finds
    /// the first. None where it cannot be read up to its end.
    fn after(&self, table: &str, last: i64) -> Option<i64> {
        let sql = format!("SELECT id FROM {table} WHERE id >= ?1 ORDER BY id LIMIT 1");
        let mut look = self.0.prepare_cached(&sql).ok()?;
        let mut is_right = |id: i64| match look.query_row([id], |row| row.get::<_, i64>(0)) {
            Ok(found) => found >= id,
            // Past the last row: what is before it may still be read.
            Err(error) => matches!(error, rusqlite::Error::QueryReturnedNoRows),
        };
        let start = last.max(0);
        let (mut wrong, mut right, mut step) = (start, start.checked_add(1)?, 1_i64);
        while !is_right(right) {
            wrong = right;
            step = step.checked_mul(2)?;
            right = start.checked_add(step)?;
        }
        while right - wrong > 1 {
            let middle = wrong + (right - wrong) / 2;
            if is_right(middle) { right = middle } else { wrong = middle }
        }
        self.0.query_row(&sql, [right], |row| row.get(0)).ok()
    }

    /// Whether the oldest rows were removed (`rollup/removal.rs`), as far as can be told: the first that there is, or
    /// can be read, is not the first that there ever was.
    pub(super) fn lacks_first(&self) -> bool {
        let sql = "SELECT id FROM occupationUpdates ORDER BY id LIMIT 1";
        self.0.query_row(sql, [], |row| row.get::<_, i64>(0)).map_or(true, |first| first > 1)
    }

    /// Up to which row all is counted, to when, when the last of them was, and the phase of the half hours.
    pub(super) fn counted(&self) -> Option<(i64, Option<i64>, i64, Option<i64>)> {
        let sql = "SELECT row, at, last, phase FROM counted";
        self.0.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).ok()
    }

    /// The recorded versions and how far those shown may have been past them, and the number of transactions.
    pub(super) fn state(&self) -> Option<([i64; 4], i64)> {
        let sql = "SELECT occupation, roomMap, schedule, tagMap, ahead, commits FROM state";
        self.0
            .query_row(sql, [], |row| {
                let ahead: i64 = row.get::<_, i64>(4)?.max(0);
                let version =
                    |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.saturating_add(ahead));
                Ok(([version(0)?, version(1)?, version(2)?, version(3)?], row.get(5)?))
            })
            .ok()
    }
}

/// Whether a value is not of the type it has in every row of ours.
fn is_of_the_row(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
    )
}
