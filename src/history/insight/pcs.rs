//! What is known of single PCs. It is less than what is known of rooms: their rows, and what came of these by day, are
//! removed when they are older than the setup wants, and nothing is said of days that are not known.

use super::super::rollup::ledger::{key, rooms, time};
use super::super::rollup::zone;
use super::super::sqlite::state_of;
use crate::core::insight::{Flapping, Heard, Idle, OfPcs};
use crate::core::pc::{Occupation, PcName, Use};
use crate::core::room::RoomKey;
use crate::core::source::Timestamp;
use chrono_tz::Tz;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;
use std::ops::Range;

pub(in super::super) fn idle(
    connection: &Connection,
    days: &Range<i64>,
    zone: Tz,
) -> rusqlite::Result<OfPcs<Idle>> {
    // One moment for what is counted and the rows.
    let snapshot = connection.unchecked_transaction()?;
    let known = Known::of(&snapshot, days, zone)?;
    let rooms: HashMap<i64, RoomKey> = rooms(&snapshot)?.into_iter().map(|(key, id)| (id, key)).collect();
    // Most PCs were used, and the first day on which one was tells so.
    let mut is_used = snapshot
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM pcDays WHERE id >= ?1 AND id < ?2 AND used > 0)")?;
    let mut has_changed = snapshot
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM pcDays WHERE id >= ?1 AND id < ?2 AND changes > 0)")?;
    // Who sat there when the days began may have stayed.
    let mut before = snapshot.prepare_cached(
        "SELECT occupation FROM occupationUpdates WHERE pc = ?1 AND datetime < ?2
             ORDER BY datetime DESC, id DESC LIMIT 1",
    )?;
    let mut last = snapshot.prepare_cached("SELECT room, occupation FROM countedPcs WHERE id = ?1")?;
    let begin = zone::start(known.days.start, zone);
    let mut idle = Vec::new();
    for Pc { name, id, first } in known.pcs() {
        let period = [key(*id, known.days.start), key(*id, known.days.end)];
        if is_used.query_row(period, |row| row.get(0))? {
            continue;
        }
        let state = |text: &str| state_of(text);
        let last: Option<(i64, Occupation)> = last
            .query_row([id], |row| Ok((row.get(0)?, state(row.get_ref(1)?.as_str().unwrap_or_default()))))
            .optional()?;
        let was: Option<Occupation> = before
            .query_row([*id, begin], |row| Ok(state(row.get_ref(0)?.as_str().unwrap_or_default())))
            .optional()?;
        // Where its last row is older than all that are kept, it has been ever since as that said.
        let was = was.or(last.filter(|_| first.is_none()).map(|(_, state)| state));
        if matches!(was, Some(Occupation::On(_, Use::Used))) {
            continue;
        }
        let heard = if has_changed.query_row(period, |row| row.get(0))? {
            Heard::Changes
        } else if was.is_some() || first.is_some_and(|first| first < known.days.start) {
            Heard::NoChange
        } else {
            Heard::Nothing
        };
        let room = last.and_then(|(room, _)| rooms.get(&room).cloned());
        idle.push(Idle { pc: name.clone(), room, heard });
    }
    Ok(known.answer(idle))
}

pub(in super::super) fn flapping(
    connection: &Connection,
    days: &Range<i64>,
    changes: u32,
    zone: Tz,
) -> rusqlite::Result<OfPcs<Flapping>> {
    let snapshot = connection.unchecked_transaction()?;
    let known = Known::of(&snapshot, days, zone)?;
    let mut worst = snapshot.prepare_cached(
        "SELECT worst, hour FROM pcDays WHERE id >= ?1 AND id < ?2 AND worst >= ?3 ORDER BY worst DESC, id LIMIT 1",
    )?;
    let mut found = Vec::new();
    for Pc { name, id, .. } in known.pcs() {
        let period = [key(*id, known.days.start), key(*id, known.days.end)];
        let hour = worst
            .query_row(params![period[0], period[1], changes.max(1)], |row| {
                Ok((row.get::<_, u32>(0)?, row.get(1)?))
            })
            .optional()?;
        let pc = || name.clone();
        found.extend(hour.map(|(changes, hour)| Flapping { pc: pc(), hour: Timestamp(hour), changes }));
    }
    Ok(known.answer(found))
}

/// A PC that has a name.
struct Pc {
    name: PcName,
    id: i64,
    /// The first day of those that are kept on which it changed.
    first: Option<i64>,
}

/// The PCs, and of which days they are known.
struct Known {
    /// In the order of their names.
    all: Vec<Pc>,
    /// Those of the days that were asked for of which something is known.
    days: Range<i64>,
    since: Option<Timestamp>,
}

impl Known {
    fn of(connection: &Connection, days: &Range<i64>, zone: Tz) -> rusqlite::Result<Known> {
        let mut statement = connection.prepare_cached("SELECT name, id FROM pcs WHERE NOT damaged")?;
        let mut oldest = connection
            .prepare_cached("SELECT id FROM pcDays WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1")?;
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            if let Some(name) = row.get_ref(0)?.as_str().ok().and_then(|name| PcName::parse(name).ok()) {
                let id = row.get(1)?;
                let period = [key(id, 0), key(id + 1, 0)];
                let first = oldest.query_row(period, |row| row.get(0).map(time)).optional()?;
                all.push(Pc { name, id, first });
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let first = all.iter().filter_map(|pc| pc.first).min();
        let counted: Option<i64> = connection.query_row("SELECT at FROM counted", [], |row| row.get(0))?;
        let days = match (first, counted) {
            (Some(first), Some(at)) => days.start.max(first)..days.end.min(zone::day(at, zone) + 1),
            _ => 0..0,
        };
        Ok(Known { all, days, since: first.map(|first| Timestamp(zone::start(first, zone))) })
    }

    /// All of them; none where nothing is known of the days.
    fn pcs(&self) -> &[Pc] {
        if self.days.is_empty() { &[] } else { &self.all }
    }

    fn answer<T>(&self, pcs: Vec<T>) -> OfPcs<T> {
        OfPcs { since: self.since, is_known: !self.days.is_empty(), pcs }
    }
}
