//! What is asked of a history of ten million rows: every page with a plot or a table, and every path of the API that
//! looks back, each over a connection of its own.
//!
//! What the rows come to is written with them, as large as the daemon would have written it: to count ten million rows
//! takes it many minutes, in which it serves (`src/history/measure.rs` measures that).

use super::{Plan, Section};
use crate::failure::{Failure, Outcome, While};
use crate::report::Measured;
use crate::report::goal::{self, Bound, Goal};
use crate::report::spread::{Spread, number};
use crate::report::table::Table;
use rusqlite::Connection;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A campus: so many PCs in so many rooms, for so many seconds up to now, which are almost three years.
const PCS: usize = 600;
const ROOMS: usize = 40;
const LONG: usize = 90_000_000;

/// How long an answer may take, in milliseconds.
const ASKED: f64 = 200.0;

/// Measures it.
pub(super) fn measure(plan: &Plan<'_>) -> Outcome<Measured> {
    let rows = plan.or_quick(10_000_000, 20_000);
    let directory = plan.workplace.directory("insight")?;
    let daemon = plan.daemon().setup(setup());
    daemon.start(&directory)?.end()?;
    eprintln!("  a history of {} rows is made", number(rows as f64, 0));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    fill(&directory, rows, now).when("a history")?;

    let mut server = daemon.start(&directory)?;
    wait_until_counted(server.subscribe)?;
    let size = std::fs::metadata(directory.join("history.sqlite3"))?.len();

    let pages = pages(rows, now);
    let mut first = pages.each_ref().map(|_| Vec::new());
    let mut next = pages.each_ref().map(|_| Vec::new());
    let mut sizes = pages.each_ref().map(|_| 0);
    for turn in 0..plan.turns {
        plan.progress(turn, "every page");
        for (((first, next), size), (_, path)) in first.iter_mut().zip(&mut next).zip(&mut sizes).zip(&pages)
        {
            let (time, _) = get(server.subscribe, path)?;
            first.push(time);
            for _ in 0..plan.or_quick(20, 2) {
                let (time, body) = get(server.subscribe, path)?;
                *size = body.len();
                next.push(time);
            }
        }
        // What it has kept of this turn is gone in the next.
        server.end()?;
        server = daemon.start(&directory)?;
        wait_until_counted(server.subscribe)?;
    }
    server.end()?;

    let mut table = Table::new(&["answer", "KiB", "the first, ms", "after that, ms", "the slowest, ms"]);
    let mut slowest = Vec::new();
    for ((((name, _), size), first), next) in pages.iter().zip(sizes).zip(&first).zip(&next) {
        let most = first.iter().chain(next).copied().fold(0.0, f64::max);
        slowest.push(most);
        let [first, next] = [first, next].map(|times| times.iter().copied().collect::<Spread>());
        let median = |spread: &Spread| spread.median().map_or("–".to_owned(), |median| number(median, 1));
        table.row([
            (*name).to_owned(),
            number(size as f64 / 1024.0, 1),
            median(&first),
            median(&next),
            number(most, 1),
        ]);
    }
    let title = format!("What is asked of {} rows of history", number(rows as f64, 0));
    let mut text = plan.heading(Section::Insight, &title);
    text.push_str(&format!(
        "\n{PCS} PCs in {ROOMS} rooms, {} days up to now; {} MiB. Each answer over a connection of its own; the first after \
         a start, {} times, and {} more after each. What the rows come to was written with them.\n\n{table}",
        number(LONG as f64 / 86_400.0, 0),
        number(size as f64 / 1_048_576.0, 0),
        plan.turns,
        plan.or_quick(20, 2),
    ));
    let slowest = slowest.into_iter().fold(0.0, f64::max);
    let goal =
        Goal::new("10: the slowest answer of all, ms", Bound::AtMost(ASKED), [slowest].into_iter().collect());
    text.push_str(&format!("\n{}", goal::table(&[goal])));
    Ok(Measured { markdown: text, pictures: Vec::new(), right: true })
}

/// What is asked for, and by which address.
fn pages(rows: usize, now: u64) -> [(&'static str, String); 19] {
    let date = |ago: u64| {
        let at = chrono::DateTime::from_timestamp(i64::try_from(now.saturating_sub(ago)).unwrap_or(0), 0);
        at.unwrap_or_default().date_naive().to_string()
    };
    let years = format!("from={}&to={}", date(LONG as u64), date(0));
    [
        ("the page of a room, with its plots", "/rooms/room7".to_owned()),
        ("the page of all rooms", "/".to_owned()),
        ("insight: rooms, 28 days", "/insight".to_owned()),
        ("insight: rooms, all days", format!("/insight/rooms?{years}")),
        ("the same as CSV", format!("/insight/rooms.csv?{years}")),
        ("insight: PCs nobody used, 28 days", "/insight/idle".to_owned()),
        ("insight: PCs nobody used, all days", format!("/insight/idle?{years}")),
        ("the same as CSV", format!("/insight/idle.csv?{years}")),
        ("insight: PCs that flap, 28 days", "/insight/flapping".to_owned()),
        ("insight: PCs that flap, all days", format!("/insight/flapping?{years}")),
        ("the same with 2 changes an hour", format!("/insight/flapping?{years}&changes=2")),
        ("API: utilisation, all days", format!("/api/v1/utilisation?{years}")),
        ("API: the usual week, 70 days", "/api/v1/rooms/room7/usual".to_owned()),
        ("API: the usual week, all days", format!("/api/v1/rooms/room7/usual?{years}")),
        ("API: occupancy, today", "/api/v1/rooms/room7/occupancy".to_owned()),
        (
            "API: occupancy, 31 days",
            format!("/api/v1/rooms/room7/occupancy?from={}&to={}", date(30 * 86_400), date(0)),
        ),
        ("API: history, the first 1,000", "/api/v1/history?limit=1000".to_owned()),
        ("API: history, the last 1,000", format!("/api/v1/history?limit=1000&after={}", rows - 1000)),
        ("API: history, a room's", format!("/api/v1/history?limit=1000&room=room7&after={}", rows / 2)),
    ]
}

fn setup() -> String {
    let rooms: String =
        (0..ROOMS).map(|room| format!("[[room]]\nkey = \"room{room}\"\nname = \"Room {room}\"\n")).collect();
    format!("timezone = \"Europe/Amsterdam\"\n{rooms}[[rule]]\npattern = \"^(.+?)pc\"\nroom = \"$1\"\n")
}

/// Writes so many rows into the history, as many pushes would have: each PC is used and free, with both systems, and off.
fn fill(directory: &Path, rows: usize, now: u64) -> Outcome<()> {
    let begun = now - LONG as u64;
    let apart = LONG / rows;
    let connection = Connection::open(directory.join("history.sqlite3"))?;
    connection.execute_batch(&format!(
        "PRAGMA synchronous = OFF;
         BEGIN;
         DROP INDEX pc_datetime;
         INSERT INTO sources (id, name) VALUES (1, 'campus');
         WITH RECURSIVE pc (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM pc WHERE n + 1 < {PCS})
             INSERT INTO pcs (id, name, occupation) SELECT n + 1, printf('room%dpc%d', n % {ROOMS}, n / {ROOMS}), 'wu' FROM pc;
         WITH RECURSIVE row (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM row WHERE n + 1 < {rows})
             INSERT INTO occupationUpdates (id, pc, source, datetime, occupation)
                 SELECT n + 1, (n * 7919) % {PCS} + 1, 1, {begun} + n * {apart},
                     CASE (n * 104729 / {PCS}) % 5 WHEN 0 THEN 'o' WHEN 1 THEN 'wf' WHEN 2 THEN 'wu' WHEN 3 THEN 'lf' ELSE 'lu' END
                 FROM row;
         CREATE INDEX pc_datetime ON occupationUpdates (pc, datetime);
         COMMIT;
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))?;
    count(&connection, rows, now).when("what it comes to")
}

/// Writes what so many rows come to (`migrations/V2__insight.sql`): each half hour and day of each room, each day of each PC.
fn count(connection: &Connection, rows: usize, now: u64) -> Outcome<()> {
    const STRIDE: u64 = 1 << 32;
    let (first, halves) = ((now - LONG as u64) / 1800 * 1800, LONG / 1800);
    let (first_day, days) = (first / 86_400, LONG / 86_400 + 1);
    let changes = (rows / PCS / days).max(1);
    let each = PCS / ROOMS;
    // Of each room two are off, up to eight are used, and the others are free; so many seconds are in one of these rows.
    let row = |seconds: u32| {
        let used = "(n + rooms.id) % 5";
        format!(
            "{seconds}, {each}, {used} + n % 4, 2 * {seconds}, 0, 0, ({each} - 2 - {used} - n % 4) * {seconds}, \
             {used} * {seconds}, n % 4 * {seconds}, 0, 0"
        )
    };
    connection.execute_batch(&format!(
        "BEGIN;
         WITH RECURSIVE room (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM room WHERE n + 1 < {ROOMS})
             INSERT INTO rooms (id, key) SELECT n + 1, 'room' || n FROM room;
         WITH RECURSIVE half (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM half WHERE n + 1 < {halves})
             INSERT INTO roomHalfHours SELECT rooms.id * {STRIDE} + {first} + 1800 * n, {} FROM rooms CROSS JOIN half;
         WITH RECURSIVE day (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM day WHERE n + 1 < {days})
             INSERT INTO roomDays SELECT rooms.id * {STRIDE} + {first_day} + n, {} FROM rooms CROSS JOIN day;
         WITH RECURSIVE day (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM day WHERE n + 1 < {days})
             INSERT INTO pcDays SELECT pcs.id * {STRIDE} + {first_day} + n, {changes}, {changes} / 2, 2 + (n * pcs.id) % 13,
                 ({first_day} + n) * 86400 + 3600 * (n % 24) FROM pcs CROSS JOIN day;
         INSERT INTO countedPcs SELECT id, 1 + (id - 1) % {ROOMS}, 'wu', {now} / 3600 * 3600, 1 FROM pcs;
         UPDATE counted SET row = {rows}, at = {now} / 1800 * 1800, last = {now}, phase = 0;
         COMMIT;
         PRAGMA wal_checkpoint(TRUNCATE);",
        row(1800),
        row(86_400)
    ))?;
    Ok(())
}

/// Waits until all but the rows of the present half hour are counted.
fn wait_until_counted(address: SocketAddrV4) -> Outcome<()> {
    const PATIENCE: Duration = Duration::from_secs(3600);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let (_, body) = get(address, "/api/v1/utilisation")?;
        let told: serde_json::Value = serde_json::from_slice(&body)?;
        if told.get("uncounted").and_then(serde_json::Value::as_u64).is_some_and(|rows| rows < 5_000) {
            return Ok(());
        }
        sleep(Duration::from_millis(200));
    }
    Err(Failure::new("the history is not counted"))
}

/// Asks for a page on a new connection; how long that took, in milliseconds, and its body.
fn get(address: SocketAddrV4, path: &str) -> Outcome<(f64, Vec<u8>)> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/html,*/*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let time = begun.elapsed().as_secs_f64() * 1e3;
    let end = memchr::memmem::find(&answer, b"\r\n\r\n").filter(|_| answer.starts_with(b"HTTP/1.1 200 "));
    match end {
        Some(end) => Ok((time, answer.split_off(end + 4))),
        None => {
            let head: String = String::from_utf8_lossy(&answer).lines().take(1).collect();
            Err(Failure::new(format!("{path}: {head:?}")))
        }
    }
}
