//! Taking the file: whose it is, what it is, and bringing it to the present schema, before anything else runs.

use super::check::{self, Look};
use super::lock::{self, Lock};
use super::restore::{Terms, restore, restore_unmarked};
use super::sqlite::{Store, connect, make_durable, write_back};
use super::writer::BATCH;
use super::{Clock, OpenError, Restored, adopt, replace, rights, salvage};
use crate::core::version::Versions;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// The SQL in `migrations/`.
pub(super) mod schema {
    refinery::embed_migrations!("migrations");
    pub(crate) use migrations::runner;
}

/// "tkbd", in the header of every history of ours.
pub(super) const APPLICATION: i64 = 0x746b_6264;

/// A file that is open and ours alone.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) store: Owned,
    pub(super) restored: Restored,
    /// Whether the file was found whole; a large one is yet to be looked at.
    pub(super) is_checked: bool,
}

/// What the writer's thread owns.
pub(super) struct Owned {
    pub(super) path: PathBuf,
    pub(super) store: Store,
    pub(super) lock: Lock,
    /// Whether a commit may follow what is in the log.
    pub(super) is_settled: bool,
}

/// What keeps a file from being used.
enum Failure {
    /// It was a history and cannot be read as one.
    Damaged(String),
    /// Anything else.
    Other(OpenError),
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        Failure::Other(error)
    }
}

/// Takes, checks, migrates and restores the file at `path`. One that is damaged is put aside, and what can be read of it
/// goes on.
pub(super) fn open(path: &Path, backlog: usize, clock: &Clock) -> Result<Opened, OpenError> {
    let path = resolve(path)?;
    // Without a lock file nobody has this history: then it is looked at first, and a path that is of no use stays
    // without one. With a lock file the lock goes first: who does not get it touches nothing (reliability.md D7).
    if !lock::path(&path).exists() && look(&path, false)? == Look::Foreign {
        return Err(foreign(&path));
    }
    let mut lock = Lock::take(&path)?;
    salvage::resume(&path)?;
    replace::resume(&path)?;
    rights::narrow(&path);
    let mut salvaged = None;
    let prepared = loop {
        match prepare(&path, backlog, clock, &mut lock) {
            Ok(prepared) => break prepared,
            Err(Failure::Damaged(reason)) if salvaged.is_none() => {
                salvaged = Some(salvage::salvage(&path, &reason)?);
            }
            Err(Failure::Damaged(reason)) => return Err(OpenError::Damaged { path, reason }),
            Err(Failure::Other(error)) => return Err(error),
        }
    };
    let Prepared { restored, store, is_checked, is_settled } = prepared;
    let restored = Restored { salvaged, ..restored };
    let store = Owned { path: path.clone(), store, lock, is_settled };
    Ok(Opened { path, store, restored, is_checked })
}

/// `path` with what links in it stand for, so that two daemons cannot come to one file by two names.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    let unusable = |reason: String| OpenError::Unusable { path: path.to_owned(), reason };
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or_else(|| unusable("it names no file".into()))?;
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let directory = directory.unwrap_or(Path::new("."));
            let directory = fs::canonicalize(directory).map_err(|error| {
                OpenError::io_at(path, &error, format!("its directory {}: {error}", directory.display()))
            })?;
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

pub(super) fn look(path: &Path, was_ours: bool) -> Result<Look, OpenError> {
    check::look(path, was_ours).map_err(|error| OpenError::io(path, &error))
}

pub(super) fn foreign(path: &Path) -> OpenError {
    OpenError::Foreign { path: path.to_owned(), reason: "it is no SQLite database".into() }
}

/// A file that is ready to be written.
struct Prepared {
    restored: Restored,
    store: Store,
    is_checked: bool,
    is_settled: bool,
}

fn prepare(path: &Path, backlog: usize, clock: &Clock, lock: &mut Lock) -> Result<Prepared, Failure> {
    let was_ours = lock.mark.is_ours;
    let sqlite = |error: rusqlite::Error| match error {
        error if was_ours && check::is_damage(&error) => Failure::Damaged(error.to_string()),
        error => Failure::Other(OpenError::sqlite(path, &error)),
    };
    let unfit = |error| match error {
        rusqlite::Error::QueryReturnedNoRows => {
            Failure::Damaged("it does not say where the versions stand".into())
        }
        error => sqlite(error),
    };
    match look(path, was_ours)? {
        Look::Foreign => return Err(foreign(path).into()),
        Look::Damaged(what) => return Err(Failure::Damaged(what.into())),
        Look::Empty if !path.exists() => {
            rights::create(path).map_err(|error| OpenError::io(path, &error))?;
        }
        Look::Empty | Look::Database => {}
    }
    let is_checked = match check::content(path, lock.mark.is_suspect) {
        (Ok(()), is_checked) => is_checked,
        (Err(_), _) if !was_ours && !is_ours(path) => true,
        (Err(what), _) => return Err(Failure::Damaged(what)),
    };
    let mut connection = connect(path).map_err(sqlite)?;
    // Should it be damaged after all it stays as it is, and so does its log.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(sqlite)?;
    if connection.is_readonly("main").map_err(sqlite)? {
        return Err(OpenError::Unusable { path: path.to_owned(), reason: "it is read-only".into() }.into());
    }
    let kind = kind(&connection).map_err(sqlite)?;
    let adopted = match &kind {
        Kind::New | Kind::Ours { .. } => None,
        Kind::Original => Some(adopt::adopt(&mut connection, path)?),
        Kind::Newer { found, known } => {
            return Err(OpenError::Newer { path: path.to_owned(), found: *found, known: *known }.into());
        }
        Kind::Foreign(reason) => {
            return Err(OpenError::Foreign { path: path.to_owned(), reason: (*reason).into() }.into());
        }
    };
    let is_first = !was_ours && matches!(kind, Kind::New | Kind::Original);
    let ahead = backlog.saturating_add(BATCH);
    let terms = Terms {
        now: clock.now().0,
        ahead,
        is_known: &|commits| is_first || lock.knows(path, commits),
        shown: lock.mark.shown,
    };
    let has_log = fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    // Also where a start was cut short while it made the schema.
    if has_log && matches!(kind, Kind::New | Kind::Ours { .. }) {
        settle(&mut connection, &kind, &terms).map_err(unfit)?;
    }
    make_durable(&connection).map_err(sqlite)?;
    if !matches!(kind, Kind::Ours { is_current: true }) {
        // Grouped: a migration and the note that it was made are one transaction.
        schema::runner().set_grouped(true).run(&mut connection).map_err(|error| migration(path, &error))?;
    }
    // The file's name must outlast a loss of power as its content does.
    path.parent().map_or(Ok(()), sync_directory).map_err(|error| OpenError::io(path, &error))?;
    let (restored, is_marked) = match restore(&mut connection, &terms) {
        Ok(restored) => (restored, true),
        Err(error) if is_locked(&error) => {
            let restored = restore_unmarked(&mut connection, &terms).map_err(sqlite)?;
            tracing::warn!(path = %path.display(), "another program has locked the history; serving what it holds");
            (restored, false)
        }
        Err(error) => return Err(unfit(error)),
    };
    drop(connection);
    let store = Store::open(path).map_err(sqlite)?;
    let shown = if is_marked { 0 } else { last_shown(&restored, ahead) };
    lock.note(path, is_marked.then(|| store.commits()), shown);
    // Where another program has the lock nothing is committed yet: then the writer's first commit is the one that must
    // not follow what the log may have lost.
    Ok(Prepared { restored: Restored { adopted, ..restored }, store, is_checked, is_settled: is_marked })
}

/// Up to which version changes may be shown that wait for the disk.
fn last_shown(restored: &Restored, ahead: usize) -> u64 {
    let Versions { occupation, room_map, schedule, tag_map } = restored.versions;
    let highest = occupation.max(room_map).max(schedule).max(tag_map);
    highest.0.saturating_add(u64::try_from(ahead).unwrap_or(u64::MAX))
}

/// Writes the log back, since what the last daemon has left there may be what it could not sync: nothing is appended to
/// it (reliability.md D5). Restoring commits, as that asks for. A file that cannot be restored is left as it is, and its log,
/// too. Where another program reads, the log stays, which is good enough unless an fsync has failed.
fn settle(connection: &mut Connection, kind: &Kind, terms: &Terms<'_>) -> rusqlite::Result<()> {
    let reads = match kind {
        Kind::Ours { is_current: true } => restore_unmarked(connection, terms).map(drop),
        _ => Ok(()),
    };
    match reads.and_then(|()| write_back(connection)) {
        Ok(0) => Ok(()),
        Err(error) if !is_locked(&error) => Err(error),
        // It has been waited for, and once is enough (reliability.md D3).
        _ => connection.busy_timeout(Duration::from_millis(100)),
    }
}

/// Whether a file that cannot be read is a history all the same, by its header. A damaged original is none: it is
/// adopted whole, or left as it is.
fn is_ours(path: &Path) -> bool {
    let application = |connection: Connection| {
        connection.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0)).ok()
    };
    check::read_only(path).ok().and_then(application) == Some(APPLICATION)
}

pub(super) fn is_locked(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, FileLockingProtocolFailed};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | FileLockingProtocolFailed))
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
pub(super) enum Kind {
    New,
    Ours { is_current: bool },
    Original,
    Newer { found: i64, known: i64 },
    Foreign(&'static str),
}

pub(super) fn kind(connection: &Connection) -> rusqlite::Result<Kind> {
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
        return Ok(if found > known {
            Kind::Newer { found, known }
        } else {
            Kind::Ours { is_current: found == known }
        });
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
