//! All rows of a history, one after the other, for who takes them elsewhere, while a daemon uses the file or none does.

use super::OpenError;
use super::check::read_only;
use super::open::APPLICATION;
use super::reader::update;
use crate::core::message::HistoricUpdate;
use crate::core::source::Timestamp;
use rusqlite::{Connection, params};
use std::ops::Range;
use std::path::Path;

/// How many rows are read at once. Nothing is open between two pieces: who takes them slowly, as a pipe may, must not
/// keep SQLite's log from being written back (reliability.md D9).
const PIECE: usize = 4_096;

/// Which rows.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Stamped in this time; without it also those without a time.
    pub period: Option<Range<Timestamp>>,
    /// Of this PC.
    pub pc: Option<String>,
    /// Reported by this source.
    pub source: Option<String>,
}

/// The rows of a history at one moment.
pub struct Export {
    connection: Connection,
    wanted: Wanted,
    next: i64,
    last: i64,
    first: i64,
}

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no history there, or none of this release.
    #[error("{0} is no history of this release of tkbd; start the daemon with it first")]
    Foreign(String),
    /// It cannot be read.
    #[error("{0} cannot be read ({1})")]
    Unreadable(String, String),
}

impl Export {
    /// Finds the rows in the file at `path`, which is not changed.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn open(path: &Path, wanted: Wanted) -> Result<Export, ExportError> {
        let name = path.display().to_string();
        let unreadable = |why: &dyn std::fmt::Display| ExportError::Unreadable(name.clone(), why.to_string());
        // SQLite says of a file that is not there that it cannot be opened, and no more.
        std::fs::metadata(path).map_err(|error| unreadable(&error))?;
        let connection = read_only(path).map_err(|error| unreadable(&error))?;
        let application = connection.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0));
        match application {
            Ok(APPLICATION) => {}
            Ok(_) => return Err(ExportError::Foreign(name)),
            Err(error) => return Err(unreadable(&error)),
        }
        let (first, last) = bounds(&connection, &wanted).map_err(|error| unreadable(&error))?;
        Ok(Export { connection, wanted, next: first, last, first })
    }

    /// What there is in the next piece, oldest first, which may be nothing; none at the end. A piece takes some
    /// milliseconds, and so whoever waits for rows that are far apart can be told how far it is.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_rows(&mut self) -> Result<Option<Vec<HistoricUpdate>>, ExportError> {
        if self.next > self.last {
            return Ok(None);
        }
        self.piece().map(Some).map_err(|error| {
            ExportError::Unreadable(
                "the history".into(),
                OpenError::sqlite(Path::new(""), &error).to_string(),
            )
        })
    }

    /// Passes over all but about the last rows, where none are left out between.
    pub fn skip_to_last(&mut self, rows: usize) {
        if self.wanted.period.is_none() && self.wanted.pc.is_none() && self.wanted.source.is_none() {
            let rows = i64::try_from(rows).unwrap_or(i64::MAX);
            self.first = self.first.max(self.last.saturating_sub(rows) + 1);
            self.next = self.first;
        }
    }

    /// How much of the rows is passed, in percent.
    pub fn passed(&self) -> u8 {
        let (done, all) = (self.next - self.first, (self.last - self.first + 1).max(1));
        u8::try_from(done.saturating_mul(100) / all).unwrap_or(100).min(100)
    }

    fn piece(&mut self) -> rusqlite::Result<Vec<HistoricUpdate>> {
        let size = i64::try_from(PIECE).unwrap_or(i64::MAX);
        let end = self.next.saturating_add(size * 16).min(self.last + 1);
        let period = self.wanted.period.as_ref().map(|period| (period.start.0, period.end.0));
        let mut statement = self.connection.prepare_cached(
            "SELECT pcs.name, sources.name, u.datetime, u.occupation, u.id
                 FROM occupationUpdates u CROSS JOIN pcs ON pcs.id = u.pc CROSS JOIN sources ON sources.id = u.source
                 WHERE u.id >= ?1 AND u.id < ?2 AND (?3 IS NULL OR u.datetime >= ?3 AND u.datetime < ?4)
                     AND (?5 IS NULL OR pcs.name = ?5) AND (?6 IS NULL OR sources.name = ?6)
                 ORDER BY u.id LIMIT ?7",
        )?;
        let mut rows = statement.query(params![
            self.next,
            end,
            period.map(|period| period.0),
            period.map(|period| period.1),
            self.wanted.pc,
            self.wanted.source,
            size
        ])?;
        let mut found = Vec::new();
        let mut last = end - 1;
        while let Some(row) = rows.next()? {
            found.push(update(row)?);
            if found.len() == PIECE {
                last = row.get(4)?;
            }
        }
        self.next = last + 1;
        Ok(found)
    }
}

/// Between which rows those that are wanted are. Rows are in the order in which they came, and clocks step: so it is
/// asked of the index by PC and time, which has all of them.
fn bounds(connection: &Connection, wanted: &Wanted) -> rusqlite::Result<(i64, i64)> {
    let both = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    match &wanted.period {
        None => connection.query_row(
            "SELECT coalesce((SELECT min(id) FROM occupationUpdates), 1),
                    coalesce((SELECT max(id) FROM occupationUpdates), 0)",
            [],
            both,
        ),
        Some(period) => connection.query_row(
            "SELECT coalesce(min(u.id), 1), coalesce(max(u.id), 0)
                 FROM pcs CROSS JOIN occupationUpdates u INDEXED BY pc_datetime
                 WHERE u.pc = pcs.id AND u.datetime >= ?1 AND u.datetime < ?2 AND (?3 IS NULL OR pcs.name = ?3)",
            params![period.start.0, period.end.0, wanted.pc],
            both,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DIGESTS, Dir, open_at, push, recorded, versions};
    use super::*;

    #[tokio::test]
    async fn a_search_that_finds_nothing_yet_says_how_far_it_is() {
        let dir = Dir::new();
        let (history, _) = open_at(&dir.path()).unwrap();
        recorded(&history, push(1, "hg1pc1", "wu")).await;
        history.close(versions(1), DIGESTS).await.unwrap();
        let more = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
                        INSERT INTO occupationUpdates SELECT i, 1, 1, i, 'lf' FROM n";
        Connection::open(dir.path()).unwrap().execute_batch(more).unwrap();
        let wanted = Wanted { source: Some("nobody".into()), ..Wanted::default() };
        let mut export = Export::open(&dir.path(), wanted).unwrap();
        let mut passed = vec![export.passed()];
        while let Some(rows) = export.next_rows().unwrap() {
            assert!(rows.is_empty());
            passed.push(export.passed());
        }
        assert!(passed.is_sorted() && passed.len() > 3, "{passed:?}");
        assert_eq!((passed.first(), passed.last()), (Some(&0), Some(&100)));
    }
}
