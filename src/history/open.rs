//! Taking the file: whose it is, what it is, and bringing it to the present schema, before anything else runs.

use super::restore::restore;
use super::sqlite::{Store, connect, make_durable, write_back};
use super::writer::BATCH;
use super::{Clock, OpenError, Restored, adopt};
use rusqlite::{Connection, OptionalExtension};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

/// The SQL in `migrations/`.
pub(super) mod schema {
    refinery::embed_migrations!("migrations");
    pub(crate) use migrations::runner;
}

/// "tkbd", in the header of every history of ours.
const APPLICATION: i64 = 0x746b_6264;

/// A file that is open and ours alone.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) store: Owned,
    pub(super) restored: Restored,
}

/// What the writer's thread owns.
pub(super) struct Owned {
    pub(super) path: PathBuf,
    pub(super) store: Store,
    /// Held as long as the file is open. It is an advisory lock on a file beside the database: SQLite's own locks
    /// are there for its transactions, and are lost when a process opens and closes the file by other means.
    pub(super) lock: File,
}

/// Takes, checks, migrates and restores the file at `path`.
pub(super) fn open(path: &Path, backlog: usize, clock: &Clock) -> Result<Opened, OpenError> {
    let path = resolve(path)?;
    // Without a lock file nobody has this history: then it is looked at first, and a path that is of no use stays
    // without one. With a lock file the lock goes first: who does not get it touches nothing (faults.md D7).
    let lock_path = beside(&path, ".lock");
    let before = !lock_path.exists();
    if before {
        examine(&path)?;
    }
    let lock = lock(&path, &lock_path)?;
    if !before {
        examine(&path)?;
    }
    let (restored, store) = prepare(&path, backlog, clock)?;
    Ok(Opened { path: path.clone(), store: Owned { path, store, lock }, restored })
}

/// `path` with what links in it stand for, so that two daemons cannot come to one file by two names.
fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    let unusable = |reason: String| OpenError::Unusable { path: path.to_owned(), reason };
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or_else(|| unusable("it names no file".into()))?;
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = directory.unwrap_or(Path::new("."));
            let directory = fs::canonicalize(directory)
                .map_err(|error| unusable(format!("its directory {}: {error}", directory.display())))?;
            directory.join(name)
        }
        Err(error) => return Err(OpenError::io(path, &error)),
    };
    match fs::metadata(&path) {
        Ok(metadata) if !metadata.is_file() => Err(unusable("it is no regular file".into())),
        _ => Ok(path),
    }
}

/// The path with `suffix` after its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether what is there can be read and written, and begins as a database does. Nothing is created.
fn examine(path: &Path) -> Result<(), OpenError> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(OpenError::io(path, &error)),
    };
    let mut head = Vec::new();
    file.by_ref().take(16).read_to_end(&mut head).map_err(|error| OpenError::io(path, &error))?;
    if head.is_empty() || head == *b"SQLite format 3\0" {
        Ok(())
    } else {
        Err(OpenError::Foreign { path: path.to_owned(), reason: "it is no SQLite database".into() })
    }
}

fn lock(path: &Path, lock_path: &Path) -> Result<File, OpenError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(lock_path);
    let file = file.map_err(|error| OpenError::io(lock_path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::HeldByDaemon(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::io(lock_path, &error)),
    }
}

fn prepare(path: &Path, backlog: usize, clock: &Clock) -> Result<(Restored, Store), OpenError> {
    let sqlite = |error| OpenError::sqlite(path, &error);
    if !path.exists() {
        File::create_new(path).map_err(|error| OpenError::io(path, &error))?;
    }
    let mut connection = connect(path).map_err(sqlite)?;
    if connection.is_readonly("main").map_err(sqlite)? {
        return Err(OpenError::Unusable { path: path.to_owned(), reason: "it is read-only".into() });
    }
    let adopted = match kind(&connection).map_err(sqlite)? {
        // What the last daemon has left in the log may be what it could not sync. Restoring commits. Where another
        // program reads, the log stays as it is, which is good enough unless an fsync has failed.
        Kind::New | Kind::Ours => write_back(&connection).map_err(sqlite).map(|_| None)?,
        Kind::Original => Some(adopt::adopt(&mut connection, path)?),
        Kind::Newer { found, known } => return Err(OpenError::Newer { path: path.to_owned(), found, known }),
        Kind::Foreign(reason) => {
            return Err(OpenError::Foreign { path: path.to_owned(), reason: reason.into() });
        }
    };
    make_durable(&connection).map_err(sqlite)?;
    // Grouped: a migration and the note that it was made are one transaction.
    schema::runner().set_grouped(true).run(&mut connection).map_err(|error| migration(path, &error))?;
    // The file's name must outlast a loss of power as its content does.
    path.parent().map_or(Ok(()), sync_directory).map_err(|error| OpenError::io(path, &error))?;
    let restored = restore(&mut connection, clock.now().0, backlog.saturating_add(BATCH)).map_err(sqlite)?;
    drop(connection);
    let store = Store::open(path).map_err(sqlite)?;
    Ok((Restored { adopted, ..restored }, store))
}

/// Makes the names in `directory` durable.
pub(super) fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

fn migration(path: &Path, error: &refinery::Error) -> OpenError {
    match std::error::Error::source(error).and_then(|source| source.downcast_ref()) {
        Some(sqlite) => OpenError::sqlite(path, sqlite),
        None => OpenError::Damaged { path: path.to_owned(), reason: error.to_string() },
    }
}

/// What a file is.
enum Kind {
    New,
    Ours,
    Original,
    Newer { found: i64, known: i64 },
    Foreign(&'static str),
}

fn kind(connection: &Connection) -> rusqlite::Result<Kind> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let has = |table: &str| {
        connection
            .query_row(
                "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND lower(name) = lower(?1)",
                [table],
                |_| Ok(()),
            )
            .optional()
            .map(|found| found.is_some())
    };
    let found: Option<i64> = if has("refinery_schema_history")? {
        connection.query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))?
    } else {
        None
    };
    let known = schema::runner().get_migrations().iter().map(|one| i64::from(one.version())).max();
    let known = known.unwrap_or_default();
    if let (APPLICATION, Some(found)) = (application, found) {
        return Ok(if found > known { Kind::Newer { found, known } } else { Kind::Ours });
    }
    // refinery makes its table before the first migration: a file that a stop left like this is still new.
    let others: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND tbl_name <> 'refinery_schema_history'",
        [],
        |row| row.get(0),
    )?;
    if application == 0 && found.is_none() {
        if others == 0 {
            return Ok(Kind::New);
        }
        if adopt::is_original(connection)? {
            return Ok(Kind::Original);
        }
    }
    Ok(Kind::Foreign("its tables are another program's"))
}
