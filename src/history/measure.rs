//! Figures, not promises: `cargo test --release --lib measure -- --ignored --nocapture --test-threads 1`.

use super::adopt::tests::original;
use super::tests::{Dir, push};
use super::*;
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
