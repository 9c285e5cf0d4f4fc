//! What a start gets from the file, and the mark that from now on a stop is unclean until it is said to be clean.

use super::sqlite::{save_versions, state_of};
use super::{Digests, Restored, filters};
use crate::core::pc::{Occupation, PcName};
use crate::core::source::Source;
use crate::core::version::{Version, Versions};
use rusqlite::{Connection, Row, Transaction, TransactionBehavior};

/// Reads the state at `now` and marks the file as in use, in one transaction that is on the disk when this returns.
/// `ahead` is how many versions may be shown before their records are on the disk: after an unclean stop the next
/// start passes over as many, so that a version never names two states (invariant 4). It is kept in the file because
/// the setting may have changed by then.
pub(super) fn restore(connection: &mut Connection, now: i64, ahead: usize) -> rusqlite::Result<Restored> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (versions, digests) = transaction.query_row(
        "SELECT occupation, roomMap, schedule, tagMap, iif(clean, 0, ahead),
             digestRoomMap, digestSchedule, digestTagMap FROM state",
        [],
        |row| Ok((versions(row)?, digests(row)?)),
    )?;
    save_versions(&transaction, versions)?;
    transaction.execute(
        "UPDATE state SET clean = 0, ahead = ?1, commits = commits + 1,
             digestRoomMap = NULL, digestSchedule = NULL, digestTagMap = NULL",
        [i64::try_from(ahead).unwrap_or(i64::MAX)],
    )?;
    let restored = Restored {
        pcs: pcs(&transaction)?,
        sources: sources(&transaction)?,
        versions,
        digests,
        filters: filters::restore(&transaction, now)?,
        adopted: None,
    };
    transaction.commit()?;
    Ok(restored)
}

fn versions(row: &Row<'_>) -> rusqlite::Result<Versions> {
    let ahead: i64 = row.get(4)?;
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

fn sources(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<Source>> {
    let mut statement = transaction.prepare("SELECT name FROM sources WHERE NOT damaged ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut sources = Vec::new();
    while let Some(row) = rows.next()? {
        sources.extend(row.get_ref(0)?.as_str().ok().and_then(|text| Source::parse(text).ok()));
    }
    Ok(sources)
}
