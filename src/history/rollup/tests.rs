//! What is counted, held against a slow count of the same rows, on real files.

use super::super::insight::pcs::{flapping, idle};
use super::super::insight::{counted, half_hours, usual_week, utilisation};
use super::super::tests::{DIGESTS, Dir};
use super::super::{History, Options, Record, open};
use super::tally::SILENCE;
use super::*;
use crate::core::insight::{Heard, Slot, Span};
use crate::core::message::HistoricRange;
use crate::core::pc::{Occupation, Use};
use crate::core::source::{Source, Timestamp};
use crate::core::version::{Version, Versions};
use proptest::prelude::*;
use std::collections::BTreeMap;

mod removed;

const ZONE: Tz = Tz::Europe__Amsterdam;

/// A Monday, 12:00 in Amsterdam.
const NOON: i64 = 1_790_589_600;

/// In the order of [`Occupation::ALL`].
const ON_AND_FREE: [bool; 8] = [false, false, true, true, false, false, false, false];

fn pc(number: usize) -> PcName {
    PcName::parse(&format!("room{}pc{number}", number % 3)).unwrap()
}

fn room(number: usize) -> RoomKey {
    RoomKey::parse(&format!("room{}", number % 3)).unwrap()
}

fn counting(keep: Option<Duration>) -> Counting {
    Counting {
        zone: ZONE,
        keep,
        rooms: Arc::new(|| (0..12).map(|number| (pc(number), room(number))).collect()),
    }
}

/// A row: which PC, at what second, which state.
type Told = (usize, i64, Occupation);

/// A file with these rows.
fn written(rows: &[Told]) -> Dir {
    let dir = Dir::new();
    drop(open(&Options::at(&dir.path())).unwrap());
    write(&dir, rows);
    dir
}

fn write(dir: &Dir, rows: &[Told]) {
    let mut store = super::super::sqlite::Store::open(&dir.path()).unwrap();
    let version = Version(0);
    let versions = Versions { occupation: version, room_map: version, schedule: version, tag_map: version };
    let records: Vec<Record> = rows
        .iter()
        .map(|(of, at, state)| Record::Push {
            versions,
            at: Timestamp(*at),
            source: Source::parse("test").unwrap(),
            states: [(pc(*of), *state)].into(),
        })
        .collect();
    store.write(records.iter(), Timestamp(NOON)).unwrap();
}

/// Counts all there is, in steps of so many rows. After each that `crash` says, nothing is known but what is in the file.
fn count(dir: &Dir, now: i64, step: usize, mut crash: impl FnMut() -> bool) -> Connection {
    let mut open = Open::at(&dir.path()).unwrap();
    while open.count(&counting(None), now, step).unwrap() {
        if crash() {
            open = Open::at(&dir.path()).unwrap();
        }
    }
    open.connection
}

/// By room and half hour: piece by piece, each PC looked at in each.
fn slowly(rows: &[Told], until: i64) -> BTreeMap<(RoomKey, i64), Span> {
    let mut spans: BTreeMap<(RoomKey, i64), Span> = BTreeMap::new();
    let mut states: BTreeMap<usize, Occupation> = BTreeMap::new();
    let (mut now, mut last) = (rows[0].1, rows[0].1);
    let mut run = |from: i64, to: i64, last: i64, states: &BTreeMap<usize, Occupation>| {
        let (mut second, end) = (from, to.min(last + SILENCE));
        while second < end {
            let begin = second.div_euclid(1800) * 1800;
            let seconds = (begin + 1800).min(end) - second;
            for number in 0..3 {
                let here: Vec<_> = states.iter().filter(|(pc, _)| *pc % 3 == number).collect();
                if here.is_empty() {
                    continue;
                }
                let span = spans.entry((room(number), begin)).or_default();
                let used = here.iter().filter(|(_, state)| matches!(state, Occupation::On(_, Use::Used)));
                span.peak = span.peak.max(used.count() as u32);
                span.pcs = span.pcs.max(here.len() as u32);
                span.covered += seconds as u64;
                for (_, state) in here {
                    span.spent.0[state.place()] += seconds as u64;
                }
            }
            second += seconds;
        }
    };
    for (pc, at, state) in rows {
        if at + SILENCE < now {
            (now, last) = (*at, *at);
        }
        run(now, *at, last, &states);
        now = now.max(*at);
        last = now;
        states.insert(*pc, *state);
    }
    run(now, until, last, &states);
    spans
}

fn found(connection: &Connection, now: i64) -> BTreeMap<(RoomKey, i64), Span> {
    let ever = Timestamp(0)..Timestamp(i64::MAX);
    let of = |number| {
        half_hours(connection, &room(number), &ever, now)
            .unwrap()
            .into_iter()
            .map(move |half| ((room(number), half.begin.0), half.span))
    };
    (0..3).flat_map(of).collect()
}

fn told() -> impl Strategy<Value = Vec<Told>> {
    // Mostly seconds and minutes; nights, silences of days, and clocks that step back by seconds or days.
    let gap = prop_oneof![
        20 => 0i64..300,
        5 => 300i64..6_000,
        2 => 20_000i64..40_000,
        1 => 80_000i64..200_000,
        2 => -50i64..0,
        1 => -200_000i64..-86_401,
    ];
    prop::collection::vec((0usize..12, gap, 0usize..8), 1..60).prop_map(|rows| {
        let mut at = NOON;
        let row = |(pc, gap, state): (usize, i64, usize)| {
            at += gap;
            (pc, at, Occupation::ALL[state])
        };
        rows.into_iter().map(row).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn what_is_counted_is_what_a_slow_count_finds_also_across_crashes(
        rows in told(),
        step in 1usize..20,
        parts in 1usize..4,
        crashes in any::<u64>(),
    ) {
        let last = rows.iter().map(|(_, at, _)| *at).max().unwrap();
        let now = last + 4_000;
        let mut crashes = crashes;
        let mut crash = || {
            crashes = crashes.rotate_left(1);
            crashes & 1 == 1
        };
        let dir = written(&[]);
        for part in rows.chunks(rows.len().div_ceil(parts)) {
            write(&dir, part);
            // The clock stands where the last row of this part was stamped, as it does in life.
            count(&dir, part.last().unwrap().1, step, &mut crash);
        }
        let connection = Connection::open(dir.path()).unwrap();
        // The clock may have been set back: then time has not come further than it had.
        let truth = slowly(&rows, now);
        prop_assert_eq!(found(&connection, now), truth);
        let changes = "SELECT sum(changes) FROM pcDays";
        let changes = connection.query_row(changes, [], |row| row.get::<_, i64>(0)).unwrap();
        prop_assert_eq!(changes, rows.len() as i64, "each row is counted once");
        // What days come to is the sum of their half hours.
        let days = 0..1 << 20;
        let mut sums: BTreeMap<RoomKey, Span> = BTreeMap::new();
        for ((room, _), span) in found(&connection, 0) {
            sums.entry(room).or_default().add(&span);
        }
        let of_days = utilisation(&connection, &days).unwrap();
        prop_assert_eq!(of_days.into_iter().map(|day| (day.room, day.span)).collect::<BTreeMap<_, _>>(), sums);
    }
}

const USED: Occupation = Occupation::ALL[4];
const FREE: Occupation = Occupation::ALL[2];
const OFF: Occupation = Occupation::Off;

#[test]
fn a_week_has_the_half_hours_of_the_wall_on_the_days_on_which_clocks_change() {
    for (month, day, half_hours_of_it) in [(3, 29, 46), (10, 25, 50)] {
        let date = chrono::NaiveDate::from_ymd_opt(2026, month, day).unwrap();
        let day = i64::from(date.to_epoch_days());
        let (from, until) = (zone::start(day, ZONE), zone::start(day + 1, ZONE));
        let dir = written(&[(0, from - 7_200, FREE), (0, from + 7_200, USED), (0, until - 60, FREE)]);
        let connection = count(&dir, until + 7_200, 100, || false);
        let period = Timestamp(from)..Timestamp(until);
        let halves = half_hours(&connection, &room(0), &period, 0).unwrap();
        assert_eq!(halves.len(), half_hours_of_it);
        assert!(halves.iter().all(|half| half.span.covered == 1800 && half.span.spent.all() == 1800));
        let usual = usual_week(&connection, &room(0), &period, &ON_AND_FREE, ZONE).unwrap();
        assert!(usual.iter().all(|usual| usual.slot.weekday() == 6), "a Sunday");
        let at = |minute| usual.iter().find(|usual| usual.slot == Slot::new(6, minute));
        // The hour from two to three is skipped, or comes twice, which is one hour of one week.
        assert_eq!(at(150).map(|usual| usual.weeks), (month == 10).then_some(1));
        assert_eq!(at(90).map(|usual| (usual.weeks, usual.median)), Some((1, 1.0)));
        assert_eq!(at(180).map(|usual| (usual.weeks, usual.median)), Some((1, 0.0)));
        let days = utilisation(&connection, &(day..day + 1)).unwrap();
        assert_eq!(days[0].span.spent.all(), (until - from) as u64);
    }
}

#[test]
fn the_usual_week_is_told_in_median_and_quartiles() {
    // Five Mondays, of which each has one PC more that is free from 12 to 13.
    let week = 7 * 86_400;
    let rows: Vec<Told> = (0..5)
        .flat_map(|monday| {
            (0..5).map(move |of| {
                (of * 3, NOON + monday * week, if of <= monday as usize { FREE } else { USED })
            })
        })
        .collect();
    let dir = written(&rows);
    let connection = count(&dir, NOON + 5 * week, 7, || false);
    let ever = Timestamp(0)..Timestamp(i64::MAX);
    let usual = usual_week(&connection, &room(0), &ever, &ON_AND_FREE, ZONE).unwrap();
    let noon = usual.iter().find(|usual| usual.slot == Slot::new(0, 720)).unwrap();
    assert_eq!((noon.weeks, noon.lower, noon.median, noon.upper), (5, 2.0, 3.0, 4.0));
    // Nothing was heard for a day, six times a week.
    assert!(usual.iter().all(|usual| usual.slot.weekday() <= 1));
}

#[test]
fn pcs_that_nobody_used_and_pcs_that_flap_are_named() {
    let mut rows =
        vec![(0, NOON - 100_000, USED), (1, NOON - 90_000, FREE), (2, NOON, FREE), (3, NOON, USED)];
    let flip = |i: i64| if i % 2 == 0 { OFF } else { FREE };
    // The worst hour is not the last, and is counted in several steps, of which some are forgotten.
    rows.extend(
        (0..30)
            .map(|i| (4, NOON + 60 * i, flip(i)))
            .chain((0..9).map(|i| (4, NOON + 3_600 + 60 * i, flip(i)))),
    );
    let dir = written(&rows);
    let mut crashes = false;
    let connection = count(&dir, NOON + 86_400, 7, || {
        crashes = !crashes;
        crashes
    });
    let day = zone::day(NOON, ZONE);
    let idle = idle(&connection, &(day..day + 1), ZONE).unwrap();
    let names: Vec<_> =
        idle.pcs.iter().map(|idle| (idle.pc.clone(), idle.room.clone(), idle.heard)).collect();
    let some = |number: usize, heard| (pc(number), Some(room(number)), heard);
    assert_eq!(
        names,
        [some(1, Heard::NoChange), some(4, Heard::Changes), some(2, Heard::Changes)],
        "the first was used before, and may still be"
    );
    let flaps = flapping(&connection, &(day..day + 1), 20, ZONE).unwrap().pcs;
    assert_eq!(flaps.len(), 1);
    assert_eq!((&flaps[0].pc, flaps[0].hour.0, flaps[0].changes), (&pc(4), NOON / 3600 * 3600, 30));
    assert!(flapping(&connection, &(day..day + 1), 31, ZONE).unwrap().pcs.is_empty());
}

#[tokio::test]
async fn the_thread_counts_beside_the_writer_and_is_asked_through_the_reader() {
    let dir = Dir::new();
    let (history, restored): (History, _) = open(&Options::at(&dir.path())).unwrap();
    let now = Clock::System.now().0;
    let states = (0..12).map(|number| (pc(number), USED)).collect();
    let record = Record::Push {
        versions: restored.versions,
        at: Timestamp(now - 3_600),
        source: Source::parse("test").unwrap(),
        states,
    };
    history.reserve().unwrap().record(record).durable().await.unwrap();
    history.count(counting(None));
    let until = async {
        while history.insight().counted().await.unwrap().behind > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), until).await.unwrap();
    let halves = history.insight().half_hours(room(1), Timestamp(0)..Timestamp(now + 9)).await.unwrap();
    let used: u64 = halves.iter().map(|half| half.span.spent.used()).sum();
    assert!((4 * 3_600..4 * 3_700).contains(&used), "{used}: the present half hour is told up to now");
    assert!(halves.iter().all(|half| half.span.peak == 4));
    let day = history.insight().day_of(Timestamp(now));
    assert!((day.start.0..day.end.0).contains(&now));
    assert_eq!(history.insight().idle(day.clone()).await.unwrap().pcs, []);
    assert_eq!(history.insight().flapping(day, 9).await.unwrap().pcs, []);
    history.close(restored.versions, DIGESTS).await.unwrap();
    assert_eq!(dir.names(), ["history.db", "history.db.lock"], "nobody has it open any more");
}

#[tokio::test]
async fn a_history_that_cannot_be_counted_is_a_trouble_and_takes_pushes_on() {
    let dir = Dir::new();
    let (history, restored): (History, _) = open(&Options::at(&dir.path())).unwrap();
    Connection::open(dir.path()).unwrap().execute_batch("DROP TABLE countedPcs").unwrap();
    let record = Record::Push {
        versions: restored.versions,
        at: Timestamp(Clock::System.now().0 - 3_600),
        source: Source::parse("test").unwrap(),
        states: [(pc(1), USED)].into(),
    };
    history.reserve().unwrap().record(record.clone()).durable().await.unwrap();
    history.count(counting(None));
    let until = async {
        while !matches!(history.status().troubles[..], [Trouble::Uncounted { .. }]) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), until).await.unwrap();
    history.reserve().unwrap().record(record).durable().await.unwrap();
    assert!(history.status().healthy());
    history.close(restored.versions, DIGESTS).await.unwrap();
}

#[tokio::test]
async fn o5_a_panic_of_what_counts_is_told_and_it_counts_on() {
    let dir = Dir::new();
    let (history, restored): (History, _) = open(&Options::at(&dir.path())).unwrap();
    let record = Record::Push {
        versions: restored.versions,
        at: Timestamp(Clock::System.now().0 - 3_600),
        source: Source::parse("test").unwrap(),
        states: [(pc(1), USED)].into(),
    };
    history.reserve().unwrap().record(record).durable().await.unwrap();
    let until = async |is_told: bool| {
        let waiting = async {
            while history.status().troubles.is_empty() == is_told {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    };
    let rooms: Rooms = Arc::new(|| panic!("nobody knows where PCs are, as it is to be"));
    history.count(Counting { rooms, ..counting(None) });
    until(true).await;
    assert!(matches!(history.status().troubles[..], [Trouble::Uncounted { .. }]));
    history.count(counting(None));
    until(false).await;
    assert_eq!(history.insight().counted().await.unwrap().behind, 0);
    history.close(restored.versions, DIGESTS).await.unwrap();
}

#[tokio::test]
async fn d4_a_salvaged_history_keeps_what_was_counted_of_rows_that_are_no_more() {
    let day = 86_400;
    let rows: Vec<Told> =
        (0..2_000).map(|i| (i % 12, NOON + i as i64 * day / 20, Occupation::ALL[i % 8])).collect();
    let dir = written(&rows);
    let now = rows[1_999].1 + day;
    let mut open_file = Open::at(&dir.path()).unwrap();
    while open_file.count(&counting(None), now, 500).unwrap() {}
    while open_file.remove(Duration::from_secs(30 * 86_400), ZONE, now).unwrap() {}
    let before = found(&open_file.connection, now);
    let page: i64 = open_file
        .connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'pc_datetime'", [], |row| row.get(0))
        .unwrap();
    drop(open_file);
    // An index is no part of what has to be saved, and its damage is seen.
    let file = fs::OpenOptions::new().write(true).open(dir.path()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 4096], (page as u64 - 1) * 4096).unwrap();
    let (history, restored) = open(&Options::at(&dir.path())).unwrap();
    let salvaged = restored.salvaged.clone().unwrap();
    assert_eq!((salvaged.rows, salvaged.lost), (601, 0));
    history.close(restored.versions, DIGESTS).await.unwrap();
    let more = [(0, now + 60, USED)];
    write(&dir, &more);
    let connection = count(&dir, now + day, 50, || false);
    let after = found(&connection, now);
    let same = |begin: i64| begin < now - 2 * day;
    let old = |spans: &BTreeMap<(RoomKey, i64), Span>| -> Vec<_> {
        spans.iter().filter(|((_, begin), _)| same(*begin)).map(|(key, span)| (key.clone(), *span)).collect()
    };
    assert_eq!(old(&after), old(&before));
    let all: Vec<Told> = rows.iter().chain(&more).copied().collect();
    assert_eq!(found(&connection, now + day), slowly(&all, now + day));
}

#[test]
fn a_history_of_the_first_schema_gets_the_tables_and_is_counted_from_its_first_row() {
    let dir = Dir::new();
    let mut first = Connection::open(dir.path()).unwrap();
    let schema = open::schema::runner();
    schema.set_target(refinery::Target::Version(1)).run(&mut first).unwrap();
    first
        .execute_batch(&format!(
            "INSERT INTO sources (name) VALUES ('login');
             INSERT INTO pcs (name, occupation) VALUES ('room0pc0', 'wu');
             INSERT INTO occupationUpdates (pc, source, datetime, occupation)
                 VALUES (1, 1, {NOON}, 'lu'), (1, 1, {NOON} + 60, 'wf'), (1, 1, NULL, 'x'), (1, 1, 'late', 'wu');"
        ))
        .unwrap();
    drop(first);
    drop(open(&Options::at(&dir.path())).unwrap());
    let connection = count(&dir, NOON + 7_200, 2, || false);
    let until = NOON + 7_200;
    // What has no time counts as of the second of the row before it.
    let rows = [(0, NOON, Occupation::ALL[5]), (0, NOON + 60, Occupation::Unknown), (0, NOON + 60, USED)];
    assert_eq!(found(&connection, until), slowly(&rows, until));
}
