//! What a start gets from the file, and the mark that from now on a stop is unclean until it is said to be clean.

use super::sqlite::{save_versions, state_of};
use super::{Digests, Restored, filters};
use crate::core::pc::{Occupation, PcName};
use crate::core::source::{Source, Timestamp};
use crate::core::version::{Version, Versions};
use rusqlite::{Connection, Row, Transaction, TransactionBehavior};

/// In place of how far ahead versions may be: they go on from the clock. It stands in every copy that is made of a
/// history, since nobody knows what has been shown by the time it is used.
pub(super) const FROM_CLOCK: i64 = -1;

/// How a file is taken into use.
pub(super) struct Terms<'a> {
    /// Seconds since 1970.
    pub(super) now: i64,
    /// How many versions may be shown before their records are on the disk: after an unclean stop the next start passes
    /// over as many, so that a version never names two states (invariant 4). It is kept in the file because the setting
    /// may have changed by then.
    pub(super) ahead: usize,
    /// Whether the file is as the last daemon left it, by the number of transactions it has seen. Where it is not, as
    /// with a copy of yesterday, versions go on from the clock.
    pub(super) is_known: &'a dyn Fn(i64) -> bool,
    /// Up to which versions may have been shown that the file knows nothing of; for where it is not known.
    pub(super) shown: u64,
}

/// Reads the state and marks the file as in use, in one transaction that is on the disk when this returns.
pub(super) fn restore(connection: &mut Connection, terms: &Terms<'_>) -> rusqlite::Result<Restored> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    filters::prune(&transaction, terms.now)?;
    let restored = read(&transaction, terms)?;
    filters::end_all(&transaction, terms.now)?;
    save_versions(&transaction, restored.versions)?;
    transaction.execute(
        "UPDATE state SET clean = 0, ahead = ?1, commits = commits + 1,
             digestRoomMap = NULL, digestSchedule = NULL, digestTagMap = NULL",
        [i64::try_from(terms.ahead).unwrap_or(i64::MAX)],
    )?;
    transaction.commit()?;
    Ok(restored)
}

/// Reads the state and changes nothing, where another program keeps the file from being written (reliability.md D3). The
/// versions go on from the clock: what is shown from now on cannot be noted.
pub(super) fn restore_unmarked(connection: &mut Connection, terms: &Terms<'_>) -> rusqlite::Result<Restored> {
    let transaction = connection.transaction()?;
    read(&transaction, &Terms { is_known: &|_| false, ..*terms })
}

fn read(transaction: &Transaction<'_>, terms: &Terms<'_>) -> rusqlite::Result<Restored> {
    let (mut versions, mut digests, ahead, commits) = transaction.query_row(
        "SELECT occupation, roomMap, schedule, tagMap, iif(clean, 0, ahead),
             digestRoomMap, digestSchedule, digestTagMap, commits FROM state",
        [],
        |row| Ok((versions(row)?, digests(row)?, row.get::<_, i64>(4)?, row.get::<_, i64>(8)?)),
    )?;
    if ahead < 0 || !(terms.is_known)(commits) {
        versions = past(versions, terms);
        digests = None;
    }
    Ok(Restored {
        pcs: pcs(transaction)?,
        since: since(transaction)?,
        sources: sources(transaction)?,
        versions,
        digests,
        filters: filters::saved(transaction, terms.now)?,
        adopted: None,
        salvaged: None,
    })
}

/// Versions that are past all that were shown, whoever showed them: in milliseconds the clock has gone further than
/// any history of changes (as without a history). Where the clock stands wrong they do not fall.
fn past(versions: Versions, terms: &Terms<'_>) -> Versions {
    let clock = Version(terms.now.max(0).unsigned_abs().saturating_mul(1000).max(terms.shown));
    let past = |version: Version| version.max(clock);
    Versions {
        occupation: past(versions.occupation),
        room_map: past(versions.room_map),
        schedule: past(versions.schedule),
        tag_map: past(versions.tag_map),
    }
}

fn versions(row: &Row<'_>) -> rusqlite::Result<Versions> {
    let ahead = row.get::<_, i64>(4)?.max(0);
    let version = |column| {
        let stored: i64 = row.get(column)?;
        Ok::<_, rusqlite::Error>(Version(stored.saturating_add(ahead).max(0).unsigned_abs()))
    };
    Ok(Versions {
        occupation: version(0)?,
        room_map: version(1)?,
        schedule: version(2)?,
        tag_map: version(3)?,
    })
}

fn digests(row: &Row<'_>) -> rusqlite::Result<Option<Digests>> {
    let digest =
        |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned));
    let (room_map, schedule, tag_map) = (digest(5)?, digest(6)?, digest(7)?);
    Ok(room_map.zip(schedule).zip(tag_map).map(|((room_map, schedule), tag_map)| Digests {
        room_map,
        schedule,
        tag_map,
    }))
}

fn pcs(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<(PcName, Occupation)>> {
    let mut statement = transaction.prepare(
        "SELECT name, occupation FROM pcs WHERE NOT damaged AND occupation IS NOT NULL ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut pcs = Vec::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(0)?.as_str().ok();
        if let Some(name) =
            name.and_then(|text| PcName::parse(text).ok().filter(|name| name.as_str() == text))
        {
            pcs.push((name, state_of(row.get_ref(1)?.as_str().unwrap_or_default())));
        }
    }
    Ok(pcs)
}

/// The latest time of each PC, which the index tells without a look at the rows. It is shown and nothing else: of two
/// rows that a clock has stamped in the wrong order, it is that of the other.
fn since(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<(PcName, Timestamp)>> {
    let mut statement = transaction.prepare(
        "SELECT name, (SELECT max(datetime) FROM occupationUpdates WHERE pc = pcs.id)
             FROM pcs WHERE NOT damaged AND occupation IS NOT NULL",
    )?;
    let mut rows = statement.query([])?;
    let mut since = Vec::new();
    while let Some(row) = rows.next()? {
        // An original database may hold anything there.
        let at = row.get_ref(1)?.as_i64().ok().map(Timestamp);
        let name = row.get_ref(0)?.as_str().ok().and_then(|text| PcName::parse(text).ok());
        since.extend(name.zip(at));
    }
    Ok(since)
}

fn sources(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<Source>> {
    let mut statement = transaction.prepare("SELECT name FROM sources WHERE NOT damaged ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut sources = Vec::new();
    while let Some(row) = rows.next()? {
        sources.extend(row.get_ref(0)?.as_str().ok().and_then(|text| Source::parse(text).ok()));
    }
    Ok(sources)
}
