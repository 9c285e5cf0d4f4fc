//! Figures, not promises: `cargo test --release --lib measure -- --ignored --nocapture --test-threads 1`.

use super::adopt::tests::original;
use super::tests::{Dir, push};
use super::*;
use crate::core::room::RoomKey;
use rusqlite::Connection;
use std::time::Instant;

const DIGESTS: Digests = Digests { room_map: 0, schedule: 0, tag_map: 0 };

#[tokio::test]
#[ignore = "it writes a gigabyte and takes minutes"]
async fn ten_million_rows() {
    let dir = Dir::new();
    let options = Options::at(&dir.path());
    let (history, restored) = open(&options).unwrap();
    history.close(restored.versions, DIGESTS).await.unwrap();
    let begun = Instant::now();
    Connection::open(dir.path())
        .unwrap()
        .execute_batch(
            "PRAGMA synchronous = OFF;
             BEGIN;
             INSERT INTO sources VALUES (1, 'login', 0);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
                 INSERT INTO pcs SELECT i, 'pc' || i, 0, 'wf' FROM n;
             DROP INDEX pc_datetime;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000)
                 INSERT INTO occupationUpdates SELECT i, 1 + i % 10000, 1, 1700000000 + i, 'wu' FROM n;
             CREATE INDEX pc_datetime ON occupationUpdates (pc, datetime);
             COMMIT;",
        )
        .unwrap();
    println!("ten million rows made in {:?}", begun.elapsed());

    let begun = Instant::now();
    let (history, restored) = open(&options).unwrap();
    println!("opened with {} PCs in {:?}", restored.pcs.len(), begun.elapsed());
    for offset in [0, 5_000_000, 9_999_000, 10_000_000, 0, 5_000_000, 9_999_000, 10_000_000] {
        let begun = Instant::now();
        let rows = history.updates(HistoricRange { offset, count: 1000 }).await.unwrap();
        println!("offset {offset}: {} rows in {:?}", rows.len(), begun.elapsed());
    }
    throughput(&history).await;
    history.close(restored.versions, DIGESTS).await.unwrap();
}

/// What is asked of three years of a campus: 600 PCs in 40 rooms, 10⁷ rows, or as many as `TKBD_MEASURE_ROWS` says.
#[tokio::test]
#[ignore = "it writes a gigabyte and takes minutes"]
async fn what_ten_million_rows_come_to() {
    const BEGUN: i64 = 1_700_000_000;
    let rows: i64 = std::env::var("TKBD_MEASURE_ROWS").map_or(10_000_000, |rows| rows.parse().unwrap());
    let apart = 90_000_000 / rows;
    let dir = Dir::new();
    let options = Options::at(&dir.path());
    let (history, restored) = open(&options).unwrap();
    history.close(restored.versions, DIGESTS).await.unwrap();
    Connection::open(dir.path())
        .unwrap()
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF;
             BEGIN;
             INSERT INTO sources VALUES (1, 'login', 0);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
                 INSERT INTO pcs SELECT i, 'pc' || i, 0, 'wf' FROM n;
             DROP INDEX pc_datetime;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 INSERT INTO occupationUpdates SELECT i, 1 + (i * 7919) % 600, 1, {BEGUN} + i * {apart},
                     substr('owfwulflu', 1 + (i * 104729 / 600) % 4 * 2 + ((i * 104729 / 600) % 4 > 0) * -1,
                            1 + ((i * 104729 / 600) % 4 > 0)) FROM n;
             CREATE INDEX pc_datetime ON occupationUpdates (pc, datetime);
             COMMIT;"
        ))
        .unwrap();
    let (history, restored) = open(&options).unwrap();
    let begun = Instant::now();
    let rooms = (1..=600).map(|pc| {
        let name = PcName::parse(&format!("pc{pc}")).unwrap();
        (name, RoomKey::parse(&format!("room{}", pc % 40)).unwrap())
    });
    let rooms: std::collections::HashMap<_, _> = rooms.collect();
    let zone = chrono_tz::Tz::Europe__Amsterdam;
    history.count(Counting { zone, keep: None, rooms: Arc::new(move || rooms.clone()) });
    // Pushes meanwhile, one after the other.
    let mut worst = Duration::ZERO;
    let mut waits = Vec::new();
    for number in 0.. {
        if number % 50 == 0 && history.insight().counted().await.unwrap().behind < 5_000 {
            break;
        }
        let one = Instant::now();
        let place = history.reserve().unwrap();
        let mut record = push(number, "pc1", if number % 2 == 0 { "wu" } else { "wf" });
        if let Record::Push { at, .. } = &mut record {
            *at = Timestamp(BEGUN + 90_000_000);
        }
        place.record(record).durable().await.unwrap();
        worst = worst.max(one.elapsed());
        waits.push(one.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    waits.sort();
    println!(
        "counted in {:?}; of {} pushes meanwhile half took {:?} at most, the worst {worst:?}",
        begun.elapsed(),
        waits.len(),
        waits[waits.len() / 2]
    );
    println!("the file has {} MiB", std::fs::metadata(dir.path()).unwrap().len() >> 20);
    let (ever, end) = (Timestamp(BEGUN)..Timestamp(BEGUN + 90_000_000), BEGUN + 90_000_000);
    let room = RoomKey::parse("room7").unwrap();
    let day = history.insight().day_of(Timestamp(end - 100_000));
    for _ in 0..2 {
        let ask = history.insight();
        let one = Instant::now();
        let found = ask.half_hours(room.clone(), day.clone()).await.unwrap().len();
        println!("a day of a room: {found} half hours in {:?}", one.elapsed());
        let one = Instant::now();
        let found =
            ask.half_hours(room.clone(), Timestamp(end - 80_000)..Timestamp(i64::MAX)).await.unwrap().len();
        println!("the present one: {found} half hours in {:?}", one.elapsed());
        let one = Instant::now();
        let found = ask.usual_week(room.clone(), ever.clone(), [true; 8]).await.unwrap().len();
        println!("the usual week of all years: {found} in {:?}", one.elapsed());
        let one = Instant::now();
        let found = ask.utilisation(ever.clone()).await.unwrap().len();
        println!("utilisation and peaks of all rooms and years: {found} in {:?}", one.elapsed());
        let one = Instant::now();
        let found = ask.idle(ever.clone()).await.unwrap().pcs.len();
        println!("PCs never used in all years: {found} in {:?}", one.elapsed());
        let one = Instant::now();
        let found = ask.flapping(ever.clone(), 20).await.unwrap().pcs.len();
        println!("PCs that flap, in all years: {found} in {:?}", one.elapsed());
    }
    history.close(restored.versions, DIGESTS).await.unwrap();
}

#[tokio::test]
#[ignore = "it measures the disk"]
async fn durable_pushes() {
    let dir = Dir::new();
    let (history, restored) = open(&Options::at(&dir.path())).unwrap();
    throughput(&history).await;
    history.close(restored.versions, DIGESTS).await.unwrap();
}

#[test]
#[ignore = "it takes half a minute"]
fn adopting_a_million_rows() {
    let dir = original(
        "PRAGMA synchronous = OFF;
         INSERT INTO sources VALUES (1, 'login');
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
             INSERT INTO pcs SELECT i, 'pc' || i FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
             INSERT INTO occupationUpdates SELECT i, 1 + i % 500, 1, 1700000000 + i, 'wu' FROM n;",
    );
    let begun = Instant::now();
    let (_, restored) = open(&Options { backlog: 1, ..Options::at(&dir.path()) }).unwrap();
    println!("adopted {} rows in {:?}", restored.adopted.unwrap().rows, begun.elapsed());
}

async fn throughput(history: &History) {
    for (waiting, each) in [(1, 2_000), (64, 500), (1024, 100), (4096, 50)] {
        let begun = Instant::now();
        let pushers: Vec<_> = (0..waiting)
            .map(|pusher| {
                let history = history.clone();
                tokio::spawn(async move {
                    let name = format!("pc{pusher}");
                    for number in 0..each {
                        let code = if number % 2 == 0 { "wu" } else { "wf" };
                        let place = history.reserve().unwrap();
                        place.record(push(number, &name, code)).durable().await.unwrap();
                    }
                })
            })
            .collect();
        for pusher in pushers {
            pusher.await.unwrap();
        }
        let rate = (waiting * each) as f64 / begun.elapsed().as_secs_f64();
        println!("{waiting} waiting: {rate:.0} durable pushes a second");
    }
}
