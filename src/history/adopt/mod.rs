//! The original's database becomes ours, in place (reliability.md D8): first a verified copy beside it, then one
//! transaction, so that a stop at any point leaves the old file or the new one.
//!
//! Its columns were declared STRING, which has numeric affinity: a name that looks like a number was stored as one
//! ("007" as 7, "1e999" as infinity), and what was pushed is not to be had back. Nothing is guessed and nothing is
//! dropped: such names are kept as the text of the number, marked and listed, as are rows that point nowhere.

mod copy;
mod names;
#[cfg(test)]
pub(super) mod tests;

use super::open::schema;
use super::{Adopted, OpenError};
use crate::core::pc::{Occupation, PcName};
use crate::core::source::Source;
use names::Names;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};
use std::path::Path;

/// The tables of the original, the referring one first.
const TABLES: [&str; 3] = ["occupationUpdates", "pcs", "sources"];

/// No more lines than this are told; a file full of damage is not told in full.
const LINES: usize = 100;

/// What keeps a database from being adopted.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Unequal(String),
}

impl Failure {
    fn of(self, path: &Path) -> OpenError {
        if let Failure::Sqlite(error) = &self
            && let held @ OpenError::HeldByProgram(_) = OpenError::sqlite(path, error)
        {
            return held;
        }
        OpenError::Adoption { path: path.to_owned(), reason: self.to_string() }
    }
}

/// Whether the tables are laid out as the original's.
pub(super) fn is_original(connection: &Connection) -> rusqlite::Result<bool> {
    let layout: [&[&str]; 3] =
        [&["id", "pc", "source", "datetime", "occupation"], &["id", "name"], &["id", "name"]];
    for (table, columns) in TABLES.into_iter().zip(layout) {
        let mut statement = connection.prepare("SELECT lower(name) FROM pragma_table_info(?1)")?;
        let found: Vec<String> =
            statement.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        if found != columns {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Copies the file at `path`, then rebuilds it on `connection`.
pub(super) fn adopt(connection: &mut Connection, path: &Path) -> Result<Adopted, OpenError> {
    let adopted = |connection: &mut Connection| {
        // The transaction begins before the copy is made: nobody can write between the two.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let copy = copy::make(path)?;
        let (rows, damaged) = rebuild(&transaction)?;
        transaction.commit()?;
        Ok(Adopted { rows, copy, damaged })
    };
    let adopted = adopted(connection).map_err(|failure: Failure| failure.of(path))?;
    tracing::info!(path = %path.display(), rows = adopted.rows, copy = %adopted.copy.display(), "adopted");
    Ok(adopted)
}

/// Brings everything into the tables of the first migration, and checks that it is all there. Returns the number of
/// rows and what was wrong.
fn rebuild(transaction: &Transaction<'_>) -> Result<(u64, Vec<String>), Failure> {
    move_aside(transaction)?;
    let migrations = schema::runner();
    let first = migrations.get_migrations().iter().find(|migration| migration.version() == 1);
    let first = first.ok_or_else(|| Failure::Unequal("there is no first migration".into()))?;
    transaction.execute_batch(first.sql().unwrap_or_default())?;

    let (pcs, sources) = fill(transaction)?;
    let rows = verify(transaction, &pcs, &sources)?;

    let mut damaged = states(transaction)?;
    damaged.extend(pcs.damaged(transaction)?);
    damaged.extend(sources.damaged(transaction)?);
    if damaged.len() > LINES {
        let more = damaged.len() - LINES;
        damaged.truncate(LINES);
        damaged.push(format!("and {more} more"));
    }

    for table in TABLES {
        transaction.execute_batch(&format!("DROP TABLE original_{table}"))?;
    }
    // As refinery would have written it; its own way is a transaction of its own.
    transaction.execute_batch(
        "CREATE TABLE refinery_schema_history(
             version int4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255))",
    )?;
    transaction.execute(
        "INSERT INTO refinery_schema_history VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?3)",
        (first.version(), first.name(), first.checksum().to_string()),
    )?;
    Ok((rows, damaged))
}

/// Fills the new tables.
fn fill(transaction: &Transaction<'_>) -> Result<(Names, Names), Failure> {
    let pcs = Names::adopt(transaction, "pcs", "pc", |name| {
        PcName::parse(name).is_ok_and(|parsed| parsed.as_str() == name)
    })?;
    let sources = Names::adopt(transaction, "sources", "source", |name| Source::parse(name).is_ok())?;
    // The ids are given in the order of the rows, from one and without gaps. CROSS JOIN keeps that order cheap.
    transaction.execute_batch(
        "INSERT INTO occupationUpdates (pc, source, datetime, occupation)
             SELECT pcs.new, sources.new, u.datetime, u.occupation FROM original_occupationUpdates u
             CROSS JOIN adopted_pcs pcs ON pcs.old IS u.pc
             CROSS JOIN adopted_sources sources ON sources.old IS u.source
             ORDER BY u.id;
         UPDATE pcs SET occupation = coalesce(last.occupation, 'x')
             FROM (SELECT pc, max(id), occupation FROM occupationUpdates GROUP BY pc) last
             WHERE last.pc = pcs.id;",
    )?;
    Ok((pcs, sources))
}

/// Gives the original's tables other names, and drops their indexes, whose names are needed.
fn move_aside(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    for table in TABLES {
        let mut statement = transaction.prepare(
            "SELECT name FROM sqlite_schema
                 WHERE type = 'index' AND sql IS NOT NULL AND lower(tbl_name) = lower(?1)",
        )?;
        let indexes: Vec<String> =
            statement.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for index in indexes {
            transaction.execute_batch(&format!("DROP INDEX \"{}\"", index.replace('"', "\"\"")))?;
        }
        transaction.execute_batch(&format!("ALTER TABLE {table} RENAME TO original_{table}"))?;
    }
    Ok(())
}

/// Compares every row with what it was: its place, its PC and source, its time and its state.
fn verify(transaction: &Transaction<'_>, pcs: &Names, sources: &Names) -> Result<u64, Failure> {
    let mut old = transaction.prepare(
        "SELECT typeof(p.name), CAST(p.name AS BLOB), typeof(s.name), CAST(s.name AS BLOB), u.datetime,
                CAST(u.occupation AS TEXT)
             FROM original_occupationUpdates u
             LEFT JOIN original_pcs p ON p.id = u.pc LEFT JOIN original_sources s ON s.id = u.source
             ORDER BY u.id",
    )?;
    let mut new = transaction.prepare(
        "SELECT p.damaged, CAST(p.name AS BLOB), s.damaged, CAST(s.name AS BLOB), u.datetime, u.occupation, u.id
             FROM occupationUpdates u CROSS JOIN pcs p ON p.id = u.pc CROSS JOIN sources s ON s.id = u.source
             ORDER BY u.id",
    )?;
    let (mut old, mut new) = (old.query([])?, new.query([])?);
    let mut count = 0_i64;
    loop {
        let (old, new) = match (old.next()?, new.next()?) {
            (None, None) => return Ok(count.unsigned_abs()),
            (Some(old), Some(new)) => (old, new),
            _ => return Err(Failure::Unequal(format!("after row {count} one has no more rows"))),
        };
        count += 1;
        let equal = pcs.same(old, new, 0)?
            && sources.same(old, new, 2)?
            && old.get_ref(4)? == new.get_ref(4)?
            && old.get_ref(5)? == new.get_ref(5)?
            && new.get::<_, i64>(6)? == count;
        if !equal {
            return Err(Failure::Unequal(format!("row {count} would not be what it was")));
        }
    }
}

/// States that are none of the eight, how often, and what they will be read as.
fn states(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<String>> {
    let mut statement = transaction.prepare(
        "SELECT CAST(occupation AS TEXT), count(*) FROM occupationUpdates GROUP BY 1 ORDER BY 2 DESC",
    )?;
    let mut lines = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (code, count) = (text(row, 0)?, row.get::<_, i64>(1)?);
        if Occupation::from_code(&code).is_none() {
            let read = super::sqlite::state_of(&code).code();
            lines.push(format!("state {}: read as \"{read}\" (rows: {count})", quoted(&code)));
        }
    }
    Ok(lines)
}

fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(row.get_ref(column)?.as_bytes_or_null()?.map(String::from_utf8_lossy).unwrap_or_default().into_owned())
}

/// On one line, whatever it holds, and not too long (reliability.md O6).
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(64).collect::<String>())
}

/// How many rows of `column` have this id.
fn rows_of(transaction: &Transaction<'_>, column: &str, id: i64) -> rusqlite::Result<i64> {
    let sql = format!("SELECT rows FROM temp.rows_{column} WHERE id = ?1");
    transaction
        .prepare_cached(&sql)?
        .query_row([id], |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}
