//! A damaged file is put aside as it is, and what can be read of it goes into a new one (reliability.md D4).
//!
//! The new file is made beside the damaged one, under a name that says that it is not whole; when it is, it gets a name
//! that says so, and only then are the two exchanged. A stop at any point is gone on from at the next start.

mod counted;
mod page;
mod rows;
#[cfg(test)]
mod tests;

use super::check;
use super::open::{beside, schema, sync_directory};
use super::restore::FROM_CLOCK;
use super::rights::create;
use super::sqlite::{connect, save_versions};
use super::{OpenError, Salvaged};
use crate::core::version::{Version, Versions};
use chrono::Utc;
use rows::Rows;
use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The new file while it is made, and when it is whole.
const PART: &str = ".salvage";
const WHOLE: &str = ".salvaged";

/// A copy of the damaged file, where its first page has to be mended to read it.
const MENDED: &str = ".salvage-source";

/// What keeps a file from being salvaged.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Schema(#[from] refinery::Error),
    #[error("schema {found} is later than {known}")]
    Newer { found: i64, known: i64 },
}

impl Failure {
    fn of(self, path: &Path) -> OpenError {
        match self {
            Failure::Sqlite(error) => OpenError::sqlite(path, &error),
            Failure::Io(error) => OpenError::io(path, &error),
            Failure::Newer { found, known } => OpenError::Newer { path: path.to_owned(), found, known },
            Failure::Schema(error) => OpenError::Damaged {
                path: path.to_owned(),
                reason: format!("it cannot be salvaged: {error}"),
            },
        }
    }
}

/// Puts the file at `path` aside and what can be read of it in its place.
pub(super) fn salvage(path: &Path, reason: &str) -> Result<Salvaged, OpenError> {
    tracing::error!(path = %path.display(), reason, "the history is damaged; what can be read of it is saved");
    let salvaged = |path: &Path| {
        clear(path, &[PART, MENDED])?;
        let mut salvaged = build(path)?;
        fs::rename(beside(path, PART), beside(path, WHOLE))?;
        path.parent().map_or(Ok(()), sync_directory)?;
        if let Some(aside) = exchange(path, &beside(path, WHOLE), "damaged")? {
            salvaged.damaged = aside;
        }
        Ok(salvaged)
    };
    let salvaged = salvaged(path).map_err(|failure: Failure| {
        // What was begun is of no use, and the next try begins anew.
        let _ = clear(path, &[PART, MENDED]);
        failure.of(path)
    })?;
    let Salvaged { damaged, rows, lost, pcs, sources, filters, has_versions } = &salvaged;
    let damaged = damaged.display();
    tracing::error!(
        %damaged, rows, gaps = lost, pcs, sources, filters, versions = has_versions,
        "the history was salvaged; the damaged file is kept: look at it, then move it away"
    );
    Ok(salvaged)
}

/// Ends what a stop has cut short: an exchange that had begun.
pub(super) fn resume(path: &Path) -> Result<(), OpenError> {
    exchange(path, &beside(path, WHOLE), "damaged").map(drop).map_err(|error| OpenError::io(path, &error))
}

/// Those that were put aside, and are yet to be looked at.
pub(super) fn put_aside(path: &Path) -> Vec<PathBuf> {
    let Some((directory, name)) = path.parent().zip(path.file_name()) else { return Vec::new() };
    let begins = format!("{}.damaged-", name.to_string_lossy());
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&begins))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    // A log belongs to its file, where that is there.
    let files = found.clone();
    found.retain(|file| {
        !files.iter().any(|other| ["-wal", "-journal"].iter().any(|of| beside(other, of) == *file))
    });
    found
}

/// Where a whole new file lies `ready`, gives the one at `path` a name of its own, as what it is `called`, and puts the
/// new one in its place.
pub(super) fn exchange(path: &Path, ready: &Path, called: &str) -> io::Result<Option<PathBuf>> {
    if fs::symlink_metadata(ready).is_err() {
        return Ok(None);
    }
    let stamp = format!(".{called}-{}", Utc::now().format("%Y%m%d-%H%M%S"));
    let names = (1..).map(|number| if number == 1 { stamp.clone() } else { format!("{stamp}-{number}") });
    let is_free =
        |name: &PathBuf| ["", "-wal"].iter().all(|of| fs::symlink_metadata(beside(name, of)).is_err());
    let aside = names.map(|name| beside(path, &name)).find(is_free).unwrap_or_else(|| beside(path, &stamp));
    let has = |of: &str| fs::metadata(beside(path, of)).is_ok_and(|metadata| metadata.len() > 0);
    // Without them it has its name already.
    let is_there = fs::symlink_metadata(path).is_ok() || has("-wal") || has("-journal");
    // The log belongs to the file, and SQLite finds it by its name.
    for of in ["", "-wal", "-journal"] {
        let file = beside(path, of);
        // An empty log is left by whoever has looked at the file.
        if of.is_empty() || has(of) {
            moved(&file, &beside(&aside, of))?;
        } else {
            gone(&file)?;
        }
    }
    if is_there && fs::symlink_metadata(&aside).is_err() {
        // There was no file, and its log bears its name.
        create(&aside)?;
    }
    gone(&beside(path, "-shm"))?;
    fs::rename(ready, path)?;
    path.parent().map_or(Ok(()), sync_directory)?;
    Ok(is_there.then_some(aside))
}

fn moved(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn gone(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what a try before this one has left, or what is no longer needed.
fn clear(path: &Path, names: &[&str]) -> io::Result<()> {
    for name in names {
        for of in ["", "-journal", "-wal", "-shm", page::FIRST] {
            gone(&beside(&beside(path, name), of))?;
        }
    }
    Ok(())
}

/// Makes the new file of what can be read of the one at `path`.
fn build(path: &Path) -> Result<Salvaged, Failure> {
    let part = beside(path, PART);
    create(&part)?;
    let mut new = connect(&part)?;
    // One file while it is made; it is made durable as a whole.
    new.pragma_update(None, "journal_mode", "MEMORY")?;
    new.pragma_update(None, "synchronous", "OFF")?;
    schema::runner().set_grouped(true).run(&mut new)?;
    let transaction = new.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let salvaged = match source(path)? {
        Some((old, is_mended)) => {
            is_known(&old)?;
            bring(&Rows::of(&old), &transaction, is_mended)?
        }
        None => {
            begin(&transaction, None)?;
            Salvaged::default()
        }
    };
    transaction.commit()?;
    if let Err(what) = check::quick(&new)? {
        return Err(io::Error::other(format!("the new file is damaged, too: {what}")).into());
    }
    new.close().map_err(|(_, error)| error)?;
    fs::File::open(&part)?.sync_all()?;
    clear(path, &[MENDED])?;
    Ok(salvaged)
}

/// A later release may keep what this one would leave behind: then it is for that one to salvage.
fn is_known(old: &Connection) -> Result<(), Failure> {
    let sql = "SELECT max(version) FROM refinery_schema_history";
    let found = old.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_or_default();
    let known = schema::runner().get_migrations().iter().map(|one| i64::from(one.version())).max();
    match known.unwrap_or_default() {
        known if found > known => Err(Failure::Newer { found, known }),
        _ => Ok(()),
    }
}

/// The damaged file, as far as its tables can be found; or a copy of it with its first page mended, and then true.
fn source(path: &Path) -> Result<Option<(Connection, bool)>, Failure> {
    let readable = |path: &Path| {
        let connection = check::read_only(path).ok()?;
        // Without it, a file that was cut short is not read at all.
        connection.pragma_update(None, "writable_schema", true).ok()?;
        connection
            .query_row("SELECT one FROM state", [], |row| row.get::<_, i64>(0))
            .ok()
            .filter(|one| *one == 1)?;
        Some(connection)
    };
    // Beside an empty file SQLite would delete the log, even if it is only to read.
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
        && let Some(connection) = readable(path)
    {
        return Ok(Some((connection, false)));
    }
    // With another first page than its own, `state` may be anything: that it is there says that the pages fit.
    let mended = beside(path, MENDED);
    Ok(if page::mend(path, &mended)? { readable(&mended).map(|connection| (connection, true)) } else { None })
}

/// Brings over what `old` still has, under the ids it had; the rows are numbered anew, without gaps. What they come to is
/// counted anew, too, where all of them are there.
fn bring(old: &Rows<'_>, new: &Transaction<'_>, is_mended: bool) -> Result<Salvaged, Failure> {
    let mut salvaged = Salvaged::default();
    {
        let mut insert =
            new.prepare("INSERT OR IGNORE INTO pcs (id, name, damaged, occupation) VALUES (?, ?, ?, ?)")?;
        salvaged.lost += old.each("pcs", "name, damaged, occupation", |row| {
            let (name, damaged) = (row.get::<_, String>(1)?, row.get::<_, bool>(2)?);
            let occupation: Option<String> = row.get(3)?;
            salvaged.pcs += insert.execute(params![row.get::<_, i64>(0)?, name, damaged, occupation])? as u64;
            Ok(())
        })?;
        let mut insert = new.prepare("INSERT OR IGNORE INTO sources (id, name, damaged) VALUES (?, ?, ?)")?;
        salvaged.lost += old.each("sources", "name, damaged", |row| {
            let (name, damaged) = (row.get::<_, String>(1)?, row.get::<_, bool>(2)?);
            salvaged.sources += insert.execute(params![row.get::<_, i64>(0)?, name, damaged])? as u64;
            Ok(())
        })?;
        let mut insert = new.prepare(
            "INSERT OR IGNORE INTO filters (id, token, occupation, roomMap, schedule, ended) VALUES (?, ?, ?, ?, ?, ?)",
        )?;
        salvaged.lost += old.each("filters", "token, occupation, roomMap, schedule, ended", |row| {
            let text = |column| row.get::<_, String>(column);
            let ended: Option<i64> = row.get(5)?;
            let values = params![row.get::<_, i64>(0)?, text(1)?, text(2)?, text(3)?, text(4)?, ended];
            salvaged.filters += insert.execute(values)? as u64;
            Ok(())
        })?;
        // What a row refers to may be lost. As with the names of an original database, nothing is guessed.
        let mut pc =
            new.prepare("INSERT OR IGNORE INTO pcs (id, name, damaged) VALUES (?1, '?' || ?1, 1)")?;
        let mut source =
            new.prepare("INSERT OR IGNORE INTO sources (id, name, damaged) VALUES (?1, '?' || ?1, 1)")?;
        let mut insert = new.prepare(
            "INSERT INTO occupationUpdates (id, pc, source, datetime, occupation) VALUES (?, ?, ?, ?, ?)",
        )?;
        let mut known = (HashSet::new(), HashSet::new());
        // In a mended file nobody knows where these tables begin, which an older release may not have made.
        let counted = if is_mended { None } else { old.counted().filter(|_| old.lacks_first()) };
        let mut counted_row = 0;
        salvaged.lost += old.each("occupationUpdates", "pc, source, datetime, occupation", |row| {
            let (id, of, by): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (at, occupation): (Value, Value) = (row.get(3)?, row.get(4)?);
            // Nobody ever wrote this; bytes of a page that is gone are read as zeros.
            if let Value::Text(code) = &occupation
                && code.contains(char::is_control)
            {
                return Err(rusqlite::Error::InvalidColumnType(
                    4,
                    "occupation".into(),
                    rusqlite::types::Type::Text,
                ));
            }
            if known.0.insert(of) {
                pc.execute([of])?;
            }
            if known.1.insert(by) {
                source.execute([by])?;
            }
            // What comes behind removed rows keeps its place: offsets are ids. The others have the ids that follow.
            let first = (salvaged.rows == 0 && counted.is_some()).then_some(id);
            let place = insert.insert(params![first, of, by, at, occupation])?;
            salvaged.rows += 1;
            if counted.is_some_and(|(last, ..)| id <= last) {
                counted_row = place;
            }
            Ok(())
        })?;
        if let Some((_, at, last, phase)) = counted {
            salvaged.lost += counted::bring(old, new)?;
            new.execute(
                "UPDATE counted SET row = ?1, at = ?2, last = ?3, phase = ?4",
                params![counted_row, at, last, phase],
            )?;
        }
    }
    let state = old.state();
    salvaged.has_versions = state.is_some();
    begin(new, state)?;
    Ok(salvaged)
}

/// Notes where the versions go on: from the clock, and never below the last that can be read.
fn begin(new: &Transaction<'_>, state: Option<([i64; 4], i64)>) -> rusqlite::Result<()> {
    if let Some((versions, commits)) = state {
        let [occupation, room_map, schedule, tag_map] =
            versions.map(|one| Version(one.max(0).unsigned_abs()));
        save_versions(new, Versions { occupation, room_map, schedule, tag_map })?;
        new.execute("UPDATE state SET commits = ?1", [commits.saturating_add(1)])?;
    }
    new.execute("UPDATE state SET clean = 0, ahead = ?1", [FROM_CLOCK])?;
    Ok(())
}
