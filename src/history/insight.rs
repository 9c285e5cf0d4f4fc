//! What the history comes to, for those who ask: each answer is read from what was counted (`rollup.rs`), in
//! milliseconds, and has a second at most.

pub(super) mod pcs;

use super::rollup::ledger::{Ledger, key, rooms, time};
use super::rollup::{Rolling, zone};
use super::{Counting, History, ReadError, reader};
use crate::core::insight::{Counted, Flapping, HalfHour, Idle, OfPcs, Slot, Span, Spent, Usual, Utilisation};
use crate::core::pc::Occupation;
use crate::core::room::RoomKey;
use crate::core::source::Timestamp;
use chrono::NaiveDate;
use chrono_tz::Tz;
use rusqlite::{Connection, OptionalExtension, Row};
use std::collections::BTreeMap;
use std::ops::Range;
use tokio::sync::{mpsc, oneshot};

impl History {
    /// Counts rows like this from now on; until then nothing is counted.
    pub fn count(&self, counting: Counting) {
        if let Some(rolling) = self.rolling() {
            rolling.count(counting);
        }
    }

    /// What its rows come to.
    pub fn insight(&self) -> Insight<'_> {
        Insight(self)
    }

    fn rolling(&self) -> Option<&Rolling> {
        self.0.as_ref().and_then(|handle| handle.rolling.as_ref())
    }
}

/// What the rows of a history come to.
#[derive(Clone, Copy)]
pub struct Insight<'a>(&'a History);

impl Insight<'_> {
    /// The day, in the zone of the setup, in which a moment is: from its midnight to the next.
    pub fn day_of(&self, at: Timestamp) -> Range<Timestamp> {
        let zone = self.zone();
        let day = zone::day(at.0, zone);
        Timestamp(zone::start(day, zone))..Timestamp(zone::start(day + 1, zone))
    }

    /// A room in the half hours of a time, the present one up to now; none where nothing is known.
    ///
    /// # Errors
    /// As all of these: when too many reads wait, or the file cannot be read in time.
    pub async fn half_hours(
        &self,
        room: RoomKey,
        period: Range<Timestamp>,
    ) -> Result<Vec<HalfHour>, ReadError> {
        let now = self.0.clock().now().0;
        self.ask(move |connection| half_hours(connection, &room, &period, now)).await
    }

    /// The date that it is, in the zone of the setup.
    pub fn date_of(&self, at: Timestamp) -> NaiveDate {
        zone::date(at.0, self.zone())
    }

    /// The time from the beginning of one day to the end of another.
    pub fn days(&self, first: NaiveDate, last: NaiveDate) -> Range<Timestamp> {
        let zone = self.zone();
        let start = |day: i64| Timestamp(zone::start(day, zone));
        start(i64::from(first.to_epoch_days()))..start(i64::from(last.to_epoch_days()) + 1)
    }

    /// How many PCs of a room are usually free, by the half hours of the week; those of which nothing is known are not
    /// there. What is not over yet does not count. Which states are free is marked in the order of [`Occupation::ALL`].
    ///
    /// # Errors
    /// As of [`Insight::half_hours`].
    pub async fn usual_week(
        &self,
        room: RoomKey,
        period: Range<Timestamp>,
        free: States,
    ) -> Result<Vec<Usual>, ReadError> {
        let zone = self.zone();
        self.ask(move |connection| usual_week(connection, &room, &period, &free, zone)).await
    }

    /// How each room was used, and how many of its PCs at once, over the days in which a time begins and ends and those
    /// between; today up to the last half hour.
    ///
    /// # Errors
    /// As of [`Insight::half_hours`].
    pub async fn utilisation(&self, period: Range<Timestamp>) -> Result<Vec<Utilisation>, ReadError> {
        let zone = self.zone();
        self.ask(move |connection| utilisation(connection, &days(&period, zone))).await
    }

    /// The PCs that nobody used in those days, as far as these are known, and what was heard of them.
    ///
    /// # Errors
    /// As of [`Insight::half_hours`].
    pub async fn idle(&self, period: Range<Timestamp>) -> Result<OfPcs<Idle>, ReadError> {
        let zone = self.zone();
        self.ask(move |connection| pcs::idle(connection, &days(&period, zone), zone)).await
    }

    /// The PCs whose state changed at least so often within one hour of those days, the worst hour of each.
    ///
    /// # Errors
    /// As of [`Insight::half_hours`].
    pub async fn flapping(
        &self,
        period: Range<Timestamp>,
        changes: u32,
    ) -> Result<OfPcs<Flapping>, ReadError> {
        let zone = self.zone();
        self.ask(move |connection| pcs::flapping(connection, &days(&period, zone), changes, zone)).await
    }

    /// How far the rows are counted.
    ///
    /// # Errors
    /// As of [`Insight::half_hours`].
    pub async fn counted(&self) -> Result<Counted, ReadError> {
        self.ask(counted).await
    }

    fn zone(&self) -> Tz {
        self.0.rolling().map_or(Tz::UTC, Rolling::zone)
    }

    /// Has the reader's thread ask the file.
    async fn ask<T: Default + Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        let Some(handle) = &self.0.0 else { return Ok(T::default()) };
        let (reply, answer) = oneshot::channel();
        let asked = reader::Request::Insight(Box::new(move |connection| {
            if reply.is_closed() {
                // Whoever asked may have left while others were served.
                return true;
            }
            let answer = connection.and_then(query).map_err(|error| ReadError::Failed(error.to_string()));
            let is_well = answer.is_ok();
            let _ = reply.send(answer);
            is_well
        }));
        handle.reads.try_send(asked).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ReadError::Busy,
            mpsc::error::TrySendError::Closed(_) => ReadError::Closed,
        })?;
        answer.await.map_err(|_| ReadError::Closed)?
    }
}

/// States that are marked, in the order of [`Occupation::ALL`].
type States = [bool; Occupation::ALL.len()];

/// The days in which a time lies, by their numbers.
fn days(period: &Range<Timestamp>, zone: Tz) -> Range<i64> {
    if period.start.0 >= period.end.0 {
        return 0..0;
    }
    zone::day(period.start.0, zone)..zone::day(period.end.0 - 1, zone) + 1
}

/// What a row of `roomHalfHours` or `roomDays` says.
fn span(row: &Row<'_>) -> rusqlite::Result<Span> {
    let mut spent = Spent::default();
    for (seconds, column) in spent.0.iter_mut().zip(4..) {
        *seconds = row.get::<_, i64>(column)?.max(0).unsigned_abs();
    }
    let covered = row.get::<_, i64>(1)?.max(0).unsigned_abs();
    Ok(Span { covered, pcs: row.get(2)?, peak: row.get(3)?, spent })
}

fn stored(
    connection: &Connection,
    room: i64,
    period: &Range<Timestamp>,
) -> rusqlite::Result<BTreeMap<i64, Span>> {
    let bound = |at: Timestamp| key(room, at.0.clamp(0, i64::from(u32::MAX)));
    let mut statement =
        connection.prepare_cached("SELECT * FROM roomHalfHours WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
    let mut rows = statement.query([bound(period.start), bound(period.end)])?;
    let mut spans = BTreeMap::new();
    while let Some(row) = rows.next()? {
        spans.insert(time(row.get(0)?), span(row)?);
    }
    Ok(spans)
}

pub(super) fn half_hours(
    connection: &Connection,
    room: &RoomKey,
    period: &Range<Timestamp>,
    now: i64,
) -> rusqlite::Result<Vec<HalfHour>> {
    // One moment for what is counted and the rows behind it.
    let snapshot = connection.unchecked_transaction()?;
    let Some(room) = rooms(&snapshot)?.get(room).copied() else { return Ok(Vec::new()) };
    let mut spans = stored(&snapshot, room, period)?;
    let counted: Option<i64> = snapshot.query_row("SELECT at FROM counted", [], |row| row.get(0))?;
    if counted.is_none_or(|at| at < period.end.0) {
        let rest = Ledger::load(&snapshot)?.run_to(&snapshot, now)?;
        for ((of, begin), span) in rest.spans {
            if of == room && (period.start.0..period.end.0).contains(&begin) {
                spans.entry(begin).or_default().add(&span);
            }
        }
    }
    Ok(spans.into_iter().map(|(begin, span)| HalfHour { begin: Timestamp(begin), span }).collect())
}

pub(super) fn usual_week(
    connection: &Connection,
    room: &RoomKey,
    period: &Range<Timestamp>,
    free: &States,
    zone: Tz,
) -> rusqlite::Result<Vec<Usual>> {
    let Some(room) = rooms(connection)?.get(room).copied() else { return Ok(Vec::new()) };
    let at: Option<i64> = connection.query_row("SELECT at FROM counted", [], |row| row.get(0))?;
    // A half hour of the wall comes twice when clocks are set back, and is one week all the same.
    let mut halves: BTreeMap<(Slot, i64), Span> = BTreeMap::new();
    for (begin, span) in stored(connection, room, period)? {
        // The last half hour may have begun to be counted.
        if at.is_some_and(|at| begin + HALF_HOUR <= at) {
            halves.entry((zone::slot(begin, zone), zone::day(begin, zone))).or_default().add(&span);
        }
    }
    let mut slots: BTreeMap<Slot, Vec<f64>> = BTreeMap::new();
    for ((slot, _), span) in halves {
        if let Some(free) = span.free(free) {
            slots.entry(slot).or_default().push(free);
        }
    }
    Ok(slots
        .into_iter()
        .map(|(slot, mut free)| {
            free.sort_by(f64::total_cmp);
            let weeks = u32::try_from(free.len()).unwrap_or(u32::MAX);
            let [lower, median, upper] = [1, 2, 3].map(|quarter| quantile(&free, quarter));
            Usual { slot, weeks, lower, median, upper }
        })
        .collect())
}

const HALF_HOUR: i64 = 1800;

/// What so many quarters of the sorted values are below; between two of them in proportion.
#[expect(clippy::cast_precision_loss, reason = "the remainder of a division by four")]
fn quantile(sorted: &[f64], quarters: usize) -> f64 {
    let place = sorted.len().saturating_sub(1) * quarters;
    let below = sorted.get(place / 4).copied().unwrap_or_default();
    let above = sorted.get(place / 4 + 1).copied().unwrap_or(below);
    below + (above - below) * (place % 4) as f64 / 4.0
}

pub(super) fn utilisation(connection: &Connection, days: &Range<i64>) -> rusqlite::Result<Vec<Utilisation>> {
    let mut all: Vec<_> = rooms(connection)?.into_iter().collect();
    all.sort();
    let mut statement = connection.prepare_cached(
        "SELECT 0, sum(covered), max(pcs), max(peak), sum(o), sum(x), sum(wf), sum(lf), sum(wu), sum(lu), sum(wx),
                sum(lx) FROM roomDays WHERE id >= ?1 AND id < ?2 HAVING count(*) > 0",
    )?;
    let mut found = Vec::new();
    for (room, id) in all {
        let span = statement.query_row([key(id, days.start), key(id, days.end)], span).optional()?;
        found.extend(span.map(|span| Utilisation { room, span }));
    }
    Ok(found)
}

pub(super) fn counted(connection: &Connection) -> rusqlite::Result<Counted> {
    connection.query_row(
        "SELECT max(0, coalesce((SELECT max(id) FROM occupationUpdates), 0) - row), at FROM counted",
        [],
        |row| {
            Ok(Counted {
                behind: row.get::<_, i64>(0)?.unsigned_abs(),
                until: row.get::<_, Option<i64>>(1)?.map(Timestamp),
            })
        },
    )
}
