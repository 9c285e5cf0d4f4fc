//! The one connection that writes: how it is opened, and what SQL a batch of records becomes.

use super::{Digests, Record, SavedFilter, filters};
use crate::core::pc::{Occupation, PcName};
use crate::core::source::{Source, Timestamp};
use crate::core::version::{Version, Versions};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// How long another program's lock is waited for (reliability.md D3).
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// After a checkpoint, no more of the log is kept than this: a burst does not occupy the disk for ever (reliability.md D9).
const LOG_KEPT: i64 = 64 << 20;

/// Saved filters are counted and pruned once in this many: it takes milliseconds, and a few too many do no harm.
const PRUNE_EVERY: u32 = 1024;

/// Opens an existing database for writing; the caller says how its changes are logged.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On by default in the SQLite that is bundled; an original database refers to rows that are not there.
    connection.pragma_update(None, "foreign_keys", false)?;
    Ok(connection)
}

/// Sets what acknowledged records depend on, and checks that it took effect: SQLite ignores what it does not
/// understand, and keeps the old journal where it cannot make the new one.
pub(super) fn make_durable(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG_KEPT)?;
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    let foreign_keys: i64 = connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?;
    if journal == "wal" && synchronous == 2 && foreign_keys == 1 {
        Ok(())
    } else {
        Err(failed(&format!("journal {journal}, synchronous {synchronous}, foreign keys {foreign_keys}")))
    }
}

/// Has the content of the log written into the database itself, and synced there; returns what SQLite says of it, which
/// is zero where nobody was in the way. After a failed fsync the system may take pages for written that are not, so
/// another fsync of the log would prove nothing. Nor is it proven that the log is empty now: a commit must follow before
/// anything is built on this, since a new head of the log makes what is left in it void. Without one, a loss of power
/// could bring back the log with gaps, and its old pages would go over the new ones.
pub(super) fn write_back(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
}

/// An error of ours where only SQLite's are expected.
fn failed(text: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_MISMATCH),
        Some(text.to_owned()),
    )
}

/// The state a stored code stands for. The original wrote a few codes that are no states (protocol.md, "The history").
pub(super) fn state_of(code: &str) -> Occupation {
    let code = match code {
        "u" => "wu",
        "f" => "wf",
        "wo" | "lo" => "o",
        other => other,
    };
    Occupation::from_code(code).unwrap_or(Occupation::Unknown)
}

/// The one connection that writes, and what it knows of the file.
pub(super) struct Store {
    connection: Connection,
    pcs: HashMap<PcName, i64>,
    sources: HashMap<Source, i64>,
    commits: i64,
    filters_set: u32,
}

impl Store {
    /// Takes the database at `path`, which must have the present schema.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Store> {
        let connection = connect(path)?;
        make_durable(&connection)?;
        connection.set_prepared_statement_cache_capacity(32);
        let pcs = names(&connection, "SELECT name, id FROM pcs WHERE NOT damaged", |name| {
            PcName::parse(name).ok().filter(|parsed| parsed.as_str() == name)
        })?;
        let sources = names(&connection, "SELECT name, id FROM sources WHERE NOT damaged", |name| {
            Source::parse(name).ok()
        })?;
        let commits = connection.query_row("SELECT commits FROM state", [], |row| row.get(0))?;
        Ok(Store { connection, pcs, sources, commits, filters_set: 0 })
    }

    /// How many transactions the file has seen.
    pub(super) fn commits(&self) -> i64 {
        self.commits
    }

    /// Writes `records` in this order, in one transaction, at `now` by the wall clock. After an error the store must be
    /// dropped and opened anew: what it knows of names may be wrong, and a failed fsync must not be repeated on its
    /// connection (reliability.md D5).
    pub(super) fn write<'a>(
        &mut self,
        records: impl Iterator<Item = &'a Record>,
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut names = Names { pcs: &mut self.pcs, sources: &mut self.sources };
        let mut last = None;
        let mut states = HashMap::new();
        for record in records {
            match record {
                Record::Push { versions, at, source, states: changed } => {
                    let source = names.source(&transaction, source)?;
                    let mut insert = transaction.prepare_cached(
                        "INSERT INTO occupationUpdates (pc, source, datetime, occupation) VALUES (?1, ?2, ?3, ?4)",
                    )?;
                    for (pc, occupation) in changed.iter() {
                        let pc = names.pc(&transaction, pc)?;
                        insert.execute(params![pc, source, at.0, occupation.code()])?;
                        states.insert(pc, *occupation);
                    }
                    last = Some(*versions);
                }
                Record::Versions(versions) => last = Some(*versions),
                Record::Barrier => {}
                Record::Filters(changed) => {
                    for SavedFilter { token, filter, ended } in changed {
                        if let Some(filter) = filter {
                            filters::save(&transaction, token, filter)?;
                            self.filters_set += 1;
                        }
                        if let Some(at) = ended {
                            filters::end(&transaction, token, *at)?;
                        }
                    }
                }
            }
        }
        {
            let mut update = transaction.prepare_cached("UPDATE pcs SET occupation = ?2 WHERE id = ?1")?;
            for (pc, occupation) in states {
                update.execute(params![pc, occupation.code()])?;
            }
        }
        if let Some(versions) = last {
            save_versions(&transaction, versions)?;
        }
        if self.filters_set >= PRUNE_EVERY {
            filters::prune(&transaction, now.0)?;
            self.filters_set = 0;
        }
        transaction.prepare_cached("UPDATE state SET commits = commits + 1")?.execute([])?;
        transaction.commit()?;
        self.commits += 1;
        Ok(())
    }

    /// Makes sure of a transaction that is in the file although its commit failed. The commit that follows is what
    /// [`write_back`] asks for.
    pub(super) fn settle(&self) -> rusqlite::Result<()> {
        match write_back(&self.connection)? {
            0 => self.connection.execute("UPDATE state SET commits = commits", []).map(drop),
            busy => Err(failed(&format!("the log could not be written back ({busy})"))),
        }
    }

    /// Marks a clean stop: the next start goes on from `versions` and is told `digests`.
    pub(super) fn finish(&mut self, versions: Versions, digests: Digests) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        save_versions(&transaction, versions)?;
        transaction.execute(
            "UPDATE state SET clean = 1, commits = commits + 1, digestRoomMap = ?1, digestSchedule = ?2,
                 digestTagMap = ?3",
            params![
                digests.room_map.cast_signed(),
                digests.schedule.cast_signed(),
                digests.tag_map.cast_signed()
            ],
        )?;
        transaction.commit()?;
        self.commits += 1;
        Ok(())
    }
}

/// The ids of the names that pushes can use; a name that is new gets one.
struct Names<'a> {
    pcs: &'a mut HashMap<PcName, i64>,
    sources: &'a mut HashMap<Source, i64>,
}

impl Names<'_> {
    fn pc(&mut self, transaction: &Transaction<'_>, pc: &PcName) -> rusqlite::Result<i64> {
        if let Some(id) = self.pcs.get(pc) {
            return Ok(*id);
        }
        transaction.prepare_cached("INSERT INTO pcs (name) VALUES (?1)")?.execute([pc.as_str()])?;
        let id = transaction.last_insert_rowid();
        self.pcs.insert(pc.clone(), id);
        Ok(id)
    }

    fn source(&mut self, transaction: &Transaction<'_>, source: &Source) -> rusqlite::Result<i64> {
        if let Some(id) = self.sources.get(source) {
            return Ok(*id);
        }
        transaction.prepare_cached("INSERT INTO sources (name) VALUES (?1)")?.execute([source.as_str()])?;
        let id = transaction.last_insert_rowid();
        self.sources.insert(source.clone(), id);
        Ok(id)
    }
}

/// The ids of the names in the file that are still names.
fn names<N: Eq + std::hash::Hash>(
    connection: &Connection,
    sql: &str,
    parse: impl Fn(&str) -> Option<N>,
) -> rusqlite::Result<HashMap<N, i64>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut names = HashMap::new();
    while let Some(row) = rows.next()? {
        if let Some(name) = row.get_ref(0)?.as_str().ok().and_then(&parse) {
            names.insert(name, row.get(1)?);
        }
    }
    Ok(names)
}

/// Stores the versions of the newest record. They never fall, whatever the caller says (invariant 4).
pub(super) fn save_versions(connection: &Connection, versions: Versions) -> rusqlite::Result<()> {
    let number = |version: Version| i64::try_from(version.0).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "UPDATE state SET occupation = max(occupation, ?1), roomMap = max(roomMap, ?2),
                 schedule = max(schedule, ?3), tagMap = max(tagMap, ?4)",
        )?
        .execute([
            number(versions.occupation),
            number(versions.room_map),
            number(versions.schedule),
            number(versions.tag_map),
        ])?;
    Ok(())
}
