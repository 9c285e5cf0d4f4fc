//! The tables of what is counted: a [`Tally`] that goes on where they stand, and one transaction that takes all that
//! it has to say. It says how far it has got in the same transaction, so that each row is counted once.

use super::super::sqlite::state_of;
use super::tally::{Drained, Tally};
use super::zone;
use crate::core::insight::Span;
use crate::core::pc::{Occupation, PcName};
use crate::core::room::RoomKey;
use chrono_tz::Tz;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::collections::{BTreeMap, HashMap};

/// After this many half hours of rooms a step ends, however few rows it had.
const SPANS: usize = 4_000;

/// What there is to be known of one room or PC has ids from this many times its own on.
const STRIDE: i64 = 1 << 32;

/// An hour, in seconds.
const HOUR: i64 = 3600;

/// What rows of a PC came to on a day.
#[derive(Default)]
struct Moved {
    changes: u64,
    used: u64,
    /// How many there were in its worst hour, as far as that is known, and which that was.
    worst: u64,
    hour: i64,
}

/// The id of what is known of a room or PC at some time.
pub(in super::super) fn key(of: i64, at: i64) -> i64 {
    of.saturating_mul(STRIDE).saturating_add(at)
}

/// The time of such an id.
pub(in super::super) fn time(key: i64) -> i64 {
    key.rem_euclid(STRIDE)
}

/// How far is counted, and what the next rows are counted with.
pub(in super::super) struct Ledger {
    pub(in super::super) tally: Tally,
    /// The last row that is counted.
    pub(in super::super) row: i64,
    has_phase: bool,
    /// PCs by their ids; none for names that are damaged.
    names: HashMap<i64, Option<PcName>>,
    rooms: HashMap<RoomKey, i64>,
    new_rooms: Vec<(i64, RoomKey)>,
    /// By PC: in which hour its last rows were, and how many these are.
    hours: HashMap<i64, (i64, u64)>,
    places: HashMap<PcName, RoomKey>,
}

impl Ledger {
    /// As the tables stand.
    pub(in super::super) fn load(connection: &Connection) -> rusqlite::Result<Ledger> {
        let (row, at, last, phase) =
            connection.query_row("SELECT row, at, last, phase FROM counted", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<i64>>(3)?))
            })?;
        let mut tally = Tally::at(at, last, phase.unwrap_or_default());
        let mut pcs =
            connection.prepare_cached("SELECT id, room, occupation, hour, changes FROM countedPcs")?;
        let mut rows = pcs.query([])?;
        let mut hours = HashMap::new();
        while let Some(row) = rows.next()? {
            hours.insert(row.get(0)?, (row.get(3)?, row.get::<_, i64>(4)?.unsigned_abs()));
            tally.set(row.get(0)?, row.get(1)?, state_of(row.get_ref(2)?.as_str().unwrap_or_default()));
        }
        // What was read need not be saved.
        tally.drain();
        Ok(Ledger {
            tally,
            row,
            has_phase: phase.is_some(),
            names: HashMap::new(),
            rooms: rooms(connection)?,
            new_rooms: Vec::new(),
            hours,
            places: HashMap::new(),
        })
    }

    /// From now on PCs are in these rooms; the time before stays with the rooms it was counted for.
    pub(super) fn place(
        &mut self,
        connection: &Connection,
        places: HashMap<PcName, RoomKey>,
    ) -> rusqlite::Result<()> {
        self.places = places;
        let all: Vec<_> = self.tally.places().collect();
        for (pc, room) in all {
            let Some(name) = self.name(connection, pc)? else { continue };
            // A PC that is known and not placed is one too many for the state (limits.pcs).
            let Some(key) = self.places.get(&name).cloned() else { continue };
            let now = self.room(key);
            if now != room
                && let Some((_, state)) = self.tally.pc(pc)
            {
                self.tally.set(pc, now, state);
            }
        }
        Ok(())
    }

    /// Takes the next rows, `limit` at most. Returns whether these were all. `ask` is asked for the places of PCs that
    /// are new.
    pub(super) fn read(
        &mut self,
        connection: &Connection,
        limit: usize,
        ask: &dyn Fn() -> HashMap<PcName, RoomKey>,
    ) -> rusqlite::Result<bool> {
        let mut has_asked = false;
        let mut statement = connection.prepare_cached(NEXT)?;
        let mut rows = statement.query(params![self.row, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut taken = 0;
        while let Some(row) = rows.next()? {
            let (id, pc, stamp, state) = counted(row)?;
            if let Some(name) = self.name(connection, pc)? {
                let room = match (self.tally.pc(pc), self.places.contains_key(&name)) {
                    (Some((room, _)), _) => room,
                    (None, is_placed) => {
                        if !is_placed && !has_asked {
                            self.places = ask();
                            has_asked = true;
                        }
                        let key = self.places.get(&name).cloned().unwrap_or_else(RoomKey::none);
                        self.room(key)
                    }
                };
                self.tally.row(pc, room, stamp, state);
            }
            self.row = id;
            taken += 1;
            if self.tally.waiting() >= SPANS {
                return Ok(false);
            }
        }
        Ok(taken < limit)
    }

    /// Takes all rows there are, as long as they are of PCs that are known, and lets time run to `now`; saves nothing.
    pub(in super::super) fn run_to(
        &mut self,
        connection: &Connection,
        now: i64,
    ) -> rusqlite::Result<Drained> {
        let mut statement = connection.prepare_cached(NEXT)?;
        let mut rows = statement.query(params![self.row, i64::MAX])?;
        while let Some(row) = rows.next()? {
            let (_, pc, stamp, state) = counted(row)?;
            if let Some((room, _)) = self.tally.pc(pc) {
                self.tally.row(pc, room, stamp, state);
            }
        }
        self.tally.advance(now);
        Ok(self.tally.drain())
    }

    /// Half hours begin as those of `zone`, from the first one on.
    pub(super) fn begin_in(&mut self, zone: Tz, now: i64) {
        if !self.has_phase {
            self.tally.phase = zone::phase(now, zone);
            self.has_phase = true;
        }
    }

    /// Writes what has come up to now, and how far that is. After an error this value is of no use any more.
    pub(super) fn save(&mut self, connection: &mut Connection, zone: Tz) -> rusqlite::Result<()> {
        let Drained { spans, changes, mut pcs } = self.tally.drain();
        let (mut days, mut dates) = (BTreeMap::new(), HashMap::new());
        let mut day = |begin: i64| *dates.entry(begin).or_insert_with(|| zone::day(begin, zone));
        for ((room, begin), span) in &spans {
            days.entry(key(*room, day(*begin))).or_insert_with(Span::default).add(span);
        }
        let mut moved: BTreeMap<i64, Moved> = BTreeMap::new();
        for ((pc, begin), (changes, used)) in changes {
            // Of an hour some rows may have been counted before; so the hour goes on.
            let hour = (begin - self.tally.phase).div_euclid(HOUR) * HOUR + self.tally.phase;
            let open = self.hours.entry(pc).or_default();
            *open = if open.0 == hour { (hour, open.1 + changes) } else { (hour, changes) };
            let sum = moved.entry(key(pc, day(begin))).or_default();
            (sum.changes, sum.used) = (sum.changes + changes, sum.used + used);
            if open.1 > sum.worst {
                (sum.worst, sum.hour) = (open.1, hour);
            }
            pcs.insert(pc);
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO rooms (id, key) VALUES (?1, ?2)")?;
            for (id, room) in self.new_rooms.drain(..) {
                insert.execute(params![id, room.as_str()])?;
            }
            let spans = spans.iter().map(|((room, begin), span)| (key(*room, *begin), span));
            add(&transaction, "roomHalfHours", spans)?;
            add(&transaction, "roomDays", days.iter().map(|(id, span)| (*id, span)))?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO pcDays (id, changes, used, worst, hour) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (id) DO UPDATE SET changes = changes + ?2, used = used + ?3,
                         hour = iif(?4 > worst, ?5, hour), worst = max(worst, ?4)",
            )?;
            for (id, Moved { changes, used, worst, hour }) in moved {
                insert.execute(params![id, number(changes), number(used), number(worst), hour])?;
            }
            let mut insert = transaction.prepare_cached(
                "INSERT OR REPLACE INTO countedPcs (id, room, occupation, hour, changes)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for pc in pcs {
                if let Some((room, state)) = self.tally.pc(pc) {
                    let (hour, changes) = self.hours.get(&pc).copied().unwrap_or_default();
                    insert.execute(params![pc, room, state.code(), hour, number(changes)])?;
                }
            }
            let Tally { at, last, phase, .. } = self.tally;
            transaction
                .prepare_cached("UPDATE counted SET row = ?1, at = ?2, last = ?3, phase = ?4")?
                .execute(params![self.row, at, last, self.has_phase.then_some(phase)])?;
        }
        transaction.commit()
    }

    fn name(&mut self, connection: &Connection, pc: i64) -> rusqlite::Result<Option<PcName>> {
        if let Some(name) = self.names.get(&pc) {
            return Ok(name.clone());
        }
        let name = connection
            .prepare_cached("SELECT name FROM pcs WHERE id = ?1 AND NOT damaged")?
            .query_row([pc], |row| row.get::<_, String>(0))
            .optional()?
            .and_then(|name| PcName::parse(&name).ok().filter(|parsed| parsed.as_str() == name));
        self.names.insert(pc, name.clone());
        Ok(name)
    }

    fn room(&mut self, key: RoomKey) -> i64 {
        if let Some(id) = self.rooms.get(&key) {
            return *id;
        }
        let id = self.rooms.values().max().copied().unwrap_or_default() + 1;
        self.rooms.insert(key.clone(), id);
        self.new_rooms.push((id, key));
        id
    }
}

const NEXT: &str =
    "SELECT id, pc, datetime, occupation FROM occupationUpdates WHERE id > ?1 ORDER BY id LIMIT ?2";

/// A row: its id, its PC, its stamp, if it is a number, and its state.
fn counted(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, i64, Option<i64>, Occupation)> {
    let stamp = match row.get_ref(2)? {
        ValueRef::Integer(seconds) => Some(seconds),
        #[expect(clippy::cast_possible_truncation, reason = "a float's whole seconds, clamped by the cast")]
        ValueRef::Real(seconds) => Some(seconds as i64),
        _ => None,
    };
    Ok((row.get(0)?, row.get(1)?, stamp, state_of(row.get_ref(3)?.as_str().unwrap_or_default())))
}

/// The rooms that have ever been counted.
pub(in super::super) fn rooms(connection: &Connection) -> rusqlite::Result<HashMap<RoomKey, i64>> {
    let mut statement = connection.prepare_cached("SELECT key, id FROM rooms")?;
    let mut rows = statement.query([])?;
    let mut rooms = HashMap::new();
    while let Some(row) = rows.next()? {
        if let Some(key) = row.get_ref(0)?.as_str().ok().and_then(|key| RoomKey::parse(key).ok()) {
            rooms.insert(key, row.get(1)?);
        }
    }
    Ok(rooms)
}

/// Adds to what `table` has.
fn add<'a>(
    transaction: &Transaction<'_>,
    table: &str,
    spans: impl Iterator<Item = (i64, &'a Span)>,
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(&format!(
        "INSERT INTO {table} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (id) DO UPDATE SET covered = covered + ?2, pcs = max(pcs, ?3), peak = max(peak, ?4),
                 o = o + ?5, x = x + ?6, wf = wf + ?7, lf = lf + ?8, wu = wu + ?9, lu = lu + ?10,
                 wx = wx + ?11, lx = lx + ?12"
    ))?;
    for (id, span) in spans {
        let [o, x, wf, lf, wu, lu, wx, lx] = span.spent.0.map(number);
        let (covered, pcs, peak) = (number(span.covered), span.pcs, span.peak);
        insert.execute(params![id, covered, pcs, peak, o, x, wf, lf, wu, lu, wx, lx])?;
    }
    Ok(())
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
