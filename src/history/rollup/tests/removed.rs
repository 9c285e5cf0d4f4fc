//! What is removed when it is old, and what is said of PCs then.

use super::*;
use crate::history::reader;
use crate::history::sqlite::Store;
use crate::history::tests::open_at;

#[test]
fn nothing_is_said_of_days_of_which_single_pcs_are_not_known() {
    const DAY: i64 = 86_400;
    let now = NOON + 28 * DAY;
    // One is used daily until eight days ago, one ever since, one stays as it is, and one is used daily.
    let mut rows = vec![(1, NOON, USED), (2, NOON, FREE)];
    for day in 0..28 {
        let at = NOON + day * DAY + 60;
        rows.extend((day < 20).then_some([(0, at, USED), (0, at + 60, FREE)]).into_iter().flatten());
        rows.extend([(3, at + 120, USED), (3, at + 180, OFF)]);
    }
    let dir = written(&rows);
    let days = zone::day(NOON, ZONE)..zone::day(now, ZONE) + 1;
    let mut open = Open::at(&dir.path()).unwrap();
    let uncounted = idle(&open.connection, &days, ZONE).unwrap();
    assert!(!uncounted.is_known && uncounted.pcs.is_empty(), "nothing is counted: {uncounted:?}");
    while open.count(&counting(None), now, 50).unwrap() {}
    let all = idle(&open.connection, &days, ZONE).unwrap();
    assert_eq!(all.since.map(|since| zone::day(since.0, ZONE)), Some(days.start));
    assert_eq!(all.pcs.iter().map(|idle| idle.pc.clone()).collect::<Vec<_>>(), [pc(2)]);

    while open.remove(Duration::from_secs(7 * 86_400), ZONE, now).unwrap() {}
    let left = idle(&open.connection, &days, ZONE).unwrap();
    assert_eq!(left.since.map(|since| zone::day(since.0, ZONE)), Some(days.end - 9), "of which it is told");
    let named: Vec<_> = left.pcs.iter().map(|idle| (idle.pc.clone(), idle.heard)).collect();
    // Who sat there before the first day that is known sits there still.
    assert_eq!(named, [(pc(0), Heard::NoChange), (pc(2), Heard::NoChange)]);
    let before = days.start..days.end - 9;
    let nothing = idle(&open.connection, &before, ZONE).unwrap();
    assert!(!nothing.is_known && nothing.pcs.is_empty(), "{nothing:?}");
    let nothing = flapping(&open.connection, &before, 1, ZONE).unwrap();
    assert!(!nothing.is_known && nothing.pcs.is_empty(), "{nothing:?}");
    assert_eq!(flapping(&open.connection, &days, 2, ZONE).unwrap().pcs.len(), 1);
}

#[test]
fn old_rows_go_also_from_behind_thousands_whose_stamps_are_no_times_that_were() {
    const DAY: i64 = 86_400;
    let keep = Duration::from_secs(7 * 86_400);
    let now = NOON + 30 * DAY;
    let right: Vec<Told> =
        (0..300).map(|i| (1, NOON + i * DAY / 10, Occupation::ALL[i as usize % 8])).collect();
    // A clock that was a year ahead, and what an original database may hold.
    for stamp in ["1830000000 + n.i", "'yesterday'"] {
        let dir = written(&[(0, NOON - 60, FREE)]);
        let connection = Connection::open(dir.path()).unwrap();
        let insert = format!(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
                 INSERT INTO occupationUpdates SELECT n.i, 1, 1, {stamp}, 'wf' FROM n;
             DELETE FROM occupationUpdates WHERE id = 1"
        );
        connection.execute_batch(&insert).unwrap();
        write(&dir, &right);
        let mut open = Open::at(&dir.path()).unwrap();
        while open.count(&counting(None), now, 500).unwrap() {}
        let mut steps = 0;
        while open.remove(keep, ZONE, now).unwrap() {
            steps += 1;
        }
        let (oldest, rows): (i64, i64) = connection
            .query_row("SELECT min(datetime), count(*) FROM occupationUpdates", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        let last = right[299].1;
        assert_eq!((oldest, rows), (last - 7 * DAY, 71), "{stamp}");
        assert!(steps >= 3, "a piece at a time");
    }
}

#[test]
fn a_clock_that_stood_far_back_once_removes_nothing_that_is_to_be_kept() {
    let mut rows: Vec<Told> =
        (0..3_000).map(|i| (i % 12, NOON + i as i64 * 60, Occupation::ALL[i % 8])).collect();
    rows[1_500].1 = 86_400 * 365;
    let now = NOON + 4 * 86_400;
    let dir = written(&rows);
    let mut open = Open::at(&dir.path()).unwrap();
    while open.count(&counting(None), now, 500).unwrap() {}
    assert!(!open.remove(Duration::from_secs(7 * 86_400), ZONE, now).unwrap());
    // Nor where it stands before all of them now, and later than that once.
    assert!(!open.remove(Duration::from_secs(7 * 86_400), ZONE, NOON - 30 * 86_400).unwrap());
}

#[test]
fn old_rows_are_removed_once_counted_and_what_they_came_to_stays() {
    let day = 86_400;
    let rows: Vec<Told> =
        (0..400).map(|i| (i % 12, NOON + i as i64 * day / 4, Occupation::ALL[i % 8])).collect();
    let dir = written(&rows);
    let now = rows[399].1 + day;
    let keep = Duration::from_secs(30 * 86_400);
    let mut open = Open::at(&dir.path()).unwrap();
    assert!(!open.remove(keep, ZONE, now).unwrap(), "nothing goes before it is counted");
    while open.count(&counting(None), now, 50).unwrap() {}
    let before = found(&open.connection, now);
    while open.remove(keep, ZONE, now).unwrap() {
        open = Open::at(&dir.path()).unwrap();
    }
    let count = |sql: &str| open.connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM occupationUpdates"), 121, "those of thirty days");
    assert_eq!(count("SELECT max(id) - min(id) FROM occupationUpdates"), 120, "without gaps");
    assert!(count("SELECT min(id & 0xffffffff) FROM pcDays") >= zone::day(now - 31 * day, ZONE));
    assert_eq!(found(&open.connection, now), before);
    // An offset means the row that it always meant; one before the oldest is taken for that one's.
    let page = |offset| reader::rows(&open.connection, HistoricRange { offset, count: 2 }).unwrap();
    let stamps = |offset| page(offset).1.iter().map(|row| row.at.0).collect::<Vec<_>>();
    assert_eq!((stamps(300), page(300).0.offset), (vec![rows[300].1, rows[301].1], 300));
    assert_eq!((stamps(5), page(5).0.offset), (vec![rows[279].1, rows[280].1], 279));
    assert_eq!((stamps(399).len(), stamps(400).len()), (1, 0));

    // What comes after is counted once, and a start knows all states, whatever was removed.
    let more = [(0, now + 60, USED), (1, now + 90, FREE)];
    drop(open);
    write(&dir, &more);
    let connection = self::count(&dir, now + day, 50, || false);
    let all: Vec<Told> = rows.iter().chain(&more).copied().collect();
    assert_eq!(found(&connection, now + day), slowly(&all, now + day));
    drop(connection);
    let restored = open_at(&dir.path()).unwrap().1;
    assert_eq!(restored.pcs.len(), 12);
}

#[test]
fn neither_a_clock_that_runs_ahead_nor_a_silence_removes_what_is_left() {
    let dir = written(&[(0, NOON, USED), (1, NOON + 60, FREE)]);
    let mut open = Open::at(&dir.path()).unwrap();
    let years = NOON + 20 * 365 * 86_400;
    while open.count(&counting(None), years, 50).unwrap() {}
    assert!(!open.remove(Duration::from_secs(7 * 86_400), ZONE, years).unwrap());
    assert_eq!(counted(&open.connection).unwrap().behind, 0);
    // Nothing is kept of twenty years of which nothing is known.
    let halves = found(&open.connection, years).len();
    assert!(halves <= 2 * 49, "{halves}");
}

#[test]
fn what_was_removed_is_not_in_the_file_any_more() {
    let dir = written(&[]);
    let mut store = Store::open(&dir.path()).unwrap();
    let version = Version(0);
    let record = |at: i64, source: &str| Record::Push {
        versions: Versions { occupation: version, room_map: version, schedule: version, tag_map: version },
        at: Timestamp(at),
        source: Source::parse(source).unwrap(),
        states: [(pc(0), USED)].into(),
    };
    // A stamp that no other number in the file looks like.
    let old = 1_600_030_123;
    store.write([record(old, "a"), record(NOON, "a")].iter(), Timestamp(NOON)).unwrap();
    drop(store);
    let mut open = Open::at(&dir.path()).unwrap();
    while open.count(&counting(None), NOON, 50).unwrap() {}
    while open.remove(Duration::from_secs(7 * 86_400), ZONE, NOON).unwrap() {}
    open.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let bytes = fs::read(dir.path()).unwrap();
    let stamp = u32::try_from(old).unwrap().to_be_bytes();
    assert!(!bytes.windows(4).any(|four| four == stamp));
}
