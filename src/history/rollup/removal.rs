//! What is older than the setup wants is removed, a piece at a time; what it came to for rooms stays.
//!
//! Rows go from the oldest on, so that those that stay have ids without gaps. One that is stamped later than an older
//! one behind it goes with that: its clock stood wrong. The newest row stays always, since the next one's id is the one
//! after it; and nothing goes before it is counted.

use super::ledger::key;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

/// How many rows are removed at once: a push waits for some milliseconds at most.
const PIECE: i64 = 1_000;

/// Removes the oldest rows of those that were recorded before a second; returns how many, none at the end.
pub(super) fn rows(connection: &mut Connection, before: i64, counted: i64) -> rusqlite::Result<usize> {
    let last = connection
        .prepare_cached(
            "SELECT max(id) FROM (SELECT id, datetime FROM occupationUpdates ORDER BY id LIMIT ?3)
                 WHERE datetime < ?1 AND id <= ?2 AND id < (SELECT max(id) FROM occupationUpdates)",
        )?
        .query_row(params![before, counted, PIECE], |row| row.get::<_, Option<i64>>(0))
        .optional()?
        .flatten();
    let Some(last) = last else { return Ok(0) };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let removed =
        transaction.prepare_cached("DELETE FROM occupationUpdates WHERE id <= ?1")?.execute([last])?;
    transaction.commit()?;
    Ok(removed)
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
