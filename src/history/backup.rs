//! A copy of a history while a daemon uses it: as it was at one moment, checked, on the disk, and for its owner alone.

use super::check;
use super::open::{APPLICATION, beside, sync_directory};
use super::restore::FROM_CLOCK;
use super::rights::create;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How many pages are copied before it is told how far it is: 4 MiB.
const PAGES: i32 = 1024;

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes are copied.
    pub done: u64,
    /// How many there are.
    pub all: u64,
}

/// Why there is no copy. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something has that name already.
    #[error("{} is there already; give the copy another name", .0.display())]
    Exists(PathBuf),
    /// What was to be copied is no history, or not one of ours yet.
    #[error("{} is no history of tkbd; start the daemon with it first", .0.display())]
    Foreign(PathBuf),
    /// The history cannot be read.
    #[error("{} cannot be read ({reason})", path.display())]
    Unreadable {
        /// The history.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// The copy cannot be written.
    #[error("{} cannot be written ({reason})", path.display())]
    Unwritable {
        /// The copy.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The copy is damaged, and so the history is, or the disk that was to hold the copy.
    #[error("the copy would be damaged ({0}); look at the history, and at the disk for the copy")]
    Damaged(String),
}

/// Copies the history at `history` to `copy`, which must not be there; calls `told` now and then. Returns how many bytes
/// it has. Others read and write meanwhile. It blocks.
///
/// # Errors
/// See [`BackupError`].
pub fn backup(history: &Path, copy: &Path, told: impl FnMut(Progress)) -> Result<u64, BackupError> {
    let unwritable = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(copy.to_owned()),
        _ => BackupError::Unwritable { path: copy.to_owned(), reason: error.to_string() },
    };
    if fs::symlink_metadata(copy).is_ok() {
        return Err(BackupError::Exists(copy.to_owned()));
    }
    let source = source(history)?;
    let part = Part::of(copy).map_err(unwritable)?;
    fill(&source, history, &part.0, told)?;
    finish(&part.0).map_err(|error| match error {
        error if check::is_damage(&error) => BackupError::Damaged(error.to_string()),
        error => BackupError::Unwritable { path: copy.to_owned(), reason: error.to_string() },
    })??;
    let file = fs::File::open(&part.0).map_err(unwritable)?;
    file.sync_all().map_err(unwritable)?;
    // Unlike a rename, a link never takes the place of a file that somebody else made meanwhile. There are disks
    // without links.
    match fs::hard_link(&part.0, copy) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) =>
        {
            fs::rename(&part.0, copy)
        }
        linked => linked,
    }
    .map_err(unwritable)?;
    let directory =
        copy.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_directory(directory).map_err(unwritable)?;
    file.metadata().map(|metadata| metadata.len()).map_err(unwritable)
}

/// The history, read at one moment: as long as this transaction lasts nobody's writes are seen.
fn source(history: &Path) -> Result<Connection, BackupError> {
    let unreadable = |error: &dyn std::fmt::Display| BackupError::Unreadable {
        path: history.to_owned(),
        reason: error.to_string(),
    };
    // SQLite says of a file that is not there that it cannot be opened, and no more.
    fs::metadata(history).map_err(|error| unreadable(&error))?;
    let read = || {
        let connection = check::read_only(history)?;
        let application =
            connection.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0))?;
        connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")?;
        Ok((connection, application))
    };
    match read() {
        Ok((connection, APPLICATION)) => Ok(connection),
        Ok(_) => Err(BackupError::Foreign(history.to_owned())),
        Err(error) => Err(unreadable(&error as &rusqlite::Error)),
    }
}

fn fill(
    source: &Connection,
    history: &Path,
    part: &Path,
    mut told: impl FnMut(Progress),
) -> Result<(), BackupError> {
    let page: u64 = source
        .pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))
        .map_or(4096, i64::unsigned_abs);
    let mut target = Connection::open(part)
        .and_then(|target| {
            // It is made durable as a whole, at the end.
            target.pragma_update(None, "synchronous", "OFF")?;
            Ok(target)
        })
        .map_err(|error| BackupError::Unwritable { path: part.to_owned(), reason: error.to_string() })?;
    let failed = |error: rusqlite::Error| {
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                BackupError::Damaged(reason)
            }
            Some(rusqlite::ErrorCode::DiskFull) => BackupError::Unwritable { path: part.to_owned(), reason },
            _ => BackupError::Unreadable { path: history.to_owned(), reason },
        }
    };
    let copying = Backup::new(source, &mut target).map_err(failed)?;
    loop {
        let step = copying.step(PAGES).map_err(failed)?;
        let progress = copying.progress();
        let pages = |pages: i32| u64::try_from(pages).unwrap_or_default() * page;
        told(Progress {
            done: pages(progress.pagecount - progress.remaining),
            all: pages(progress.pagecount),
        });
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            other => {
                let reason = format!("it is locked ({other:?})");
                return Err(BackupError::Unreadable { path: history.to_owned(), reason });
            }
        }
    }
}

/// Makes one file of the copy, which needs nothing beside it, notes in it that it is a copy, and looks at all of it.
fn finish(part: &Path) -> rusqlite::Result<Result<(), BackupError>> {
    let copy = Connection::open(part)?;
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    // Who starts with it goes on from the clock: nobody knows what has been shown since.
    copy.execute("UPDATE state SET clean = 0, ahead = ?1", [FROM_CLOCK])?;
    let found = check::quick(&copy)?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(found.map_err(BackupError::Damaged))
}

/// The copy under a name that says it may not be whole; the name goes with the value.
struct Part(PathBuf);

impl Part {
    fn of(copy: &Path) -> io::Result<Part> {
        let part = beside(copy, &format!(".{}.part", std::process::id()));
        create(&part).map(|_| Part(part))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        for of in ["", "-journal", "-wal", "-shm"] {
            let _ = fs::remove_file(beside(&self.0, of));
        }
    }
}
