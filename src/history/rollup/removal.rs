//! What is older than the setup wants is removed, a piece at a time; what it came to for rooms stays.
//!
//! Rows go from the oldest on, so that those that stay have ids without gaps. One that is stamped later than an older
//! one behind it goes with that: its clock stood wrong. Thousands at the head that no clock can have stamped rightly do
//! not keep those behind them. The newest row stays always, since the next one's id is the one after it; and nothing goes
//! before it is counted.

use super::ledger::key;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

/// How many rows are removed at once: a push waits for some milliseconds at most.
const PIECE: i64 = 1_000;

/// Behind how many rows a stamp is looked for, where none of the oldest is a time: a tenth of a second's work.
const LOOKED_AT: i64 = 1_000_000;

/// How far a clock may be ahead of the next.
const AHEAD: i64 = 86_400;

/// Removes the oldest rows of those that were recorded before a second; returns how many, none at the end. It is
/// `now`, or later.
///
/// Stamps that lie in the future, or are no numbers, say nothing: whether such rows are old is said by the first behind
/// them whose stamp may be right. That no later one may say it has its reason: a clock that stood in 1970 once would
/// else remove all that was recorded before.
pub(super) fn rows(
    connection: &mut Connection,
    before: i64,
    counted: i64,
    now: i64,
) -> rusqlite::Result<usize> {
    let last = match last_of_piece(connection, before, counted)? {
        Some(last) => Some(last),
        None => first_stamp(connection, counted, now)?
            .filter(|(_, stamp)| *stamp < before)
            .map(|(id, _)| end_of_piece(connection).map(|end| end.min(id)))
            .transpose()?,
    };
    let Some(last) = last else { return Ok(0) };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let removed =
        transaction.prepare_cached("DELETE FROM occupationUpdates WHERE id <= ?1")?.execute([last])?;
    transaction.commit()?;
    Ok(removed)
}

/// The last row of the oldest piece that was recorded before a second.
fn last_of_piece(connection: &Connection, before: i64, counted: i64) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(
            "SELECT max(id) FROM (SELECT id, datetime FROM occupationUpdates ORDER BY id LIMIT ?3)
                 WHERE datetime < ?1 AND id <= ?2 AND id < (SELECT max(id) FROM occupationUpdates)",
        )?
        .query_row(params![before, counted, PIECE], |row| row.get(0))
}

/// The oldest of the rows that are counted whose stamp may be right, and that stamp.
fn first_stamp(connection: &Connection, counted: i64, now: i64) -> rusqlite::Result<Option<(i64, i64)>> {
    connection
        .prepare_cached(
            "SELECT id, CAST(datetime AS INTEGER)
                 FROM (SELECT id, datetime FROM occupationUpdates ORDER BY id LIMIT ?3)
                 WHERE typeof(datetime) IN ('integer', 'real') AND datetime <= ?2 AND id <= ?1
                     AND id < (SELECT max(id) FROM occupationUpdates)
                 ORDER BY id LIMIT 1",
        )?
        .query_row(params![counted, now.saturating_add(AHEAD), LOOKED_AT], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
}

fn end_of_piece(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT max(id) FROM (SELECT id FROM occupationUpdates ORDER BY id LIMIT ?1)")?
        .query_row([PIECE], |row| row.get(0))
}

/// Removes what is known of the days of PCs before a day.
pub(super) fn days(connection: &mut Connection, before: i64) -> rusqlite::Result<usize> {
    let pcs: Vec<i64> = connection
        .prepare_cached("SELECT id FROM pcs")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut removed = 0;
    for pcs in pcs.chunks(100) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for pc in pcs {
            removed += transaction
                .prepare_cached("DELETE FROM pcDays WHERE id >= ?1 AND id < ?2")?
                .execute([key(*pc, 0), key(*pc, before)])?;
        }
        transaction.commit()?;
    }
    Ok(removed)
}
