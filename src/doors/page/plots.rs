//! What the plots of a room's page are made of. Whoever has the page open asks anew at every change of the room, and so
//! what is read of the history is kept: what is usual for the day, and today for half a minute.

use super::board::Sheet;
use crate::core::insight::{HalfHour, Span, Usual};
use crate::core::pc::Occupation;
use crate::core::room::RoomKey;
use crate::core::schedule::TimeOfDay;
use crate::core::seats::SeatRule;
use crate::core::snapshot::RoomView;
use crate::core::source::Timestamp;
use crate::hub::{Hub, wall_clock};
use crate::page::Plots;
use crate::page::plots::{Hours, Past, Week, schedule, today, week};
use crate::page::texts::Texts;
use chrono::{DateTime, Datelike, Days, NaiveDate, Timelike};
use chrono_tz::Tz;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// From how many days it is known what is usual: ten weeks, a term.
const USUAL: u64 = 70;

/// How long what is known of today is good enough: it is of half hours.
const FRESH: Duration = Duration::from_secs(30);

/// How long the history is waited for. Without it the page has no plots, and is there all the same.
const PATIENCE: Duration = Duration::from_millis(500);

/// Of how many rooms this is kept: at 14 KB each, 7 MB. Where there are more, all is forgotten now and then.
const MOST: usize = 512;

/// What was read of the history.
pub(super) struct Shelf {
    usual: watch::Sender<HashMap<RoomKey, UsualOfDay>>,
    today: watch::Sender<HashMap<RoomKey, Today>>,
}

/// What is known of today, which day that is, and since when.
struct Today {
    date: NaiveDate,
    since: Instant,
    halves: Arc<Vec<HalfHour>>,
}

/// What is usual, on which day that was found out, and which states count as free in it.
struct UsualOfDay {
    date: NaiveDate,
    free: [bool; Occupation::ALL.len()],
    usual: Arc<Vec<Usual>>,
}

impl Today {
    /// Whether it will do, on that day.
    fn is_fresh(&self, date: NaiveDate) -> bool {
        self.date == date && self.since.elapsed() < FRESH
    }
}

impl Shelf {
    pub(super) fn new() -> Shelf {
        Shelf { usual: watch::Sender::new(HashMap::new()), today: watch::Sender::new(HashMap::new()) }
    }

    /// The plots of a room.
    pub(super) async fn plots(&self, hub: &Hub, texts: &Texts, room: RoomView<'_>, sheet: &Sheet) -> Plots {
        let rule = sheet.seats();
        let (past, usual) = tokio::join!(
            timeout(PATIENCE, self.today(hub, room.key())),
            timeout(PATIENCE, self.usual(hub, room.key(), rule))
        );
        let (past, usual) =
            (past.ok().flatten().unwrap_or_default(), usual.ok().flatten().unwrap_or_default());
        // Below 24 and 60.
        let now = TimeOfDay { hour: sheet.now.hour() as u8, minute: sheet.now.minute() as u8 };
        let weekday = u16::try_from(sheet.now.weekday().num_days_from_monday()).unwrap_or_default();
        let hours = hours(room, rule, now);
        let zone = sheet.now.timezone();
        let past = by_the_wall(&past, zone);
        let of_day: Vec<Usual> =
            usual.iter().filter(|usual| usual.slot.weekday() == weekday).copied().collect();
        let pcs = u32::try_from(room.pcs().count()).unwrap_or(u32::MAX);
        Plots {
            day: schedule(texts, room.schedule(), rule, hours, now),
            today: today(texts, &past, &of_day, rule, hours, now),
            usual: week(texts, Week { usual: &usual, pcs, weekday, now }, hours),
        }
    }

    async fn today(&self, hub: &Hub, room: &RoomKey) -> Option<Arc<Vec<HalfHour>>> {
        let insight = hub.insight();
        let now = wall_clock();
        let (date, day) = (insight.date_of(now), insight.day_of(now));
        let is_fresh = |kept: &&Today| kept.is_fresh(date);
        if let Some(halves) = self.today.borrow().get(room).filter(is_fresh).map(|kept| kept.halves.clone()) {
            return Some(halves);
        }
        let halves = insight.half_hours(room.clone(), day.start..Timestamp(i64::MAX)).await;
        let halves = Arc::new(halves.inspect_err(|error| tracing::debug!(%error, "no plot of today")).ok()?);
        keep(&self.today, room, Today { date, since: Instant::now(), halves: halves.clone() });
        Some(halves)
    }

    async fn usual(&self, hub: &Hub, room: &RoomKey, rule: &SeatRule) -> Option<Arc<Vec<Usual>>> {
        let insight = hub.insight();
        let (date, free) = (insight.date_of(wall_clock()), rule.free);
        let kept = |of: &&UsualOfDay| of.date == date && of.free == free;
        if let Some(usual) = self.usual.borrow().get(room).filter(kept).map(|of| of.usual.clone()) {
            return Some(usual);
        }
        // Up to yesterday: so it is the same all day.
        let (first, last) = (date.checked_sub_days(Days::new(USUAL))?, date.pred_opt()?);
        let usual = insight.usual_week(room.clone(), insight.days(first, last), free).await;
        let usual = Arc::new(usual.inspect_err(|error| tracing::debug!(%error, "no plot of the week")).ok()?);
        if insight.counted().await.is_ok_and(|counted| counted.behind < MANY) {
            keep(&self.usual, room, UsualOfDay { date, free, usual: usual.clone() });
        }
        Some(usual)
    }
}

/// Half hours by the clock on the wall. One that comes twice, as clocks are set back, is one.
fn by_the_wall(halves: &[HalfHour], zone: Tz) -> Vec<Past> {
    let mut past: BTreeMap<u16, Span> = BTreeMap::new();
    for half in halves {
        let at = DateTime::from_timestamp(half.begin.0, 0).unwrap_or_default().with_timezone(&zone);
        let minute = u16::try_from(at.hour() * 60 + at.minute()).unwrap_or_default();
        past.entry(minute).or_default().add(&half.span);
    }
    past.into_iter().map(|(minute, span)| Past { minute, span }).collect()
}

/// While more rows than these wait to be counted, what is usual will soon be another.
const MANY: u64 = 20_000;

fn keep<T>(shelf: &watch::Sender<HashMap<RoomKey, T>>, room: &RoomKey, what: T) {
    shelf.send_modify(|shelf| {
        if shelf.len() >= MOST && !shelf.contains_key(room) {
            shelf.clear();
        }
        shelf.insert(room.clone(), what);
    });
}

/// The hours that are shown: those of the day, those of what is reserved, and now.
fn hours(room: RoomView<'_>, rule: &SeatRule, now: TimeOfDay) -> Hours {
    let minute = |time: TimeOfDay| u16::from(time.hour) * 60 + u16::from(time.minute);
    let classes = room.schedule().iter().filter(|event| !rule.closed.contains(&event.text));
    classes.fold(Hours::default().with(minute(now)), |hours, class| {
        hours.with(minute(class.start)).with(minute(class.end).saturating_sub(1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hour_that_comes_twice_in_autumn_is_one_of_the_wall() {
        let zone = Tz::Europe__Amsterdam;
        // From 01:30 to 03:30 of 25 October 2026.
        let half = |place: i64| {
            let begin = Timestamp(1_792_884_600 + 1800 * place);
            HalfHour { begin, span: Span { covered: 1800, pcs: 3, ..Span::default() } }
        };
        let past = by_the_wall(&(0..6).map(half).collect::<Vec<_>>(), zone);
        let shown: Vec<_> = past.iter().map(|past| (past.minute, past.span.covered, past.span.pcs)).collect();
        assert_eq!(shown, [(90, 1800, 3), (120, 3600, 3), (150, 3600, 3), (180, 1800, 3)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_of_today_is_good_for_a_moment_and_for_no_other_day() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 23).unwrap();
        let known = Today { date: today, since: Instant::now(), halves: Arc::default() };
        assert!(known.is_fresh(today));
        assert!(!known.is_fresh(today.succ_opt().unwrap()), "midnight has passed since");
        tokio::time::advance(FRESH).await;
        assert!(!known.is_fresh(today));
    }
}
