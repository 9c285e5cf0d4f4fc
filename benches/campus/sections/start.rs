//! A start with a history of ten million rows, and reading it over the wire.

use super::client::Client;
use super::{Plan, Section};
use crate::failure::{Failure, Outcome, While};
use crate::report::Measured;
use crate::report::goal::{self, Bound, Goal};
use crate::report::spread::{Spread, number};
use crate::report::table::Table;
use rusqlite::Connection;
use std::path::Path;
use std::time::Instant;

/// How many rows are read at once: the most that are given.
const COUNT: usize = 1000;

/// Measures it.
pub(super) fn measure(plan: &Plan<'_>) -> Outcome<Measured> {
    let rows = plan.or_quick(10_000_000, 100_000);
    let offsets = [("the beginning", 0), ("the middle", rows / 2), ("the end", rows - COUNT)];
    let directory = plan.workplace.directory("start")?;
    eprintln!("  a history of {} rows is made", number(rows as f64, 0));
    fill(plan, &directory, rows).when("a history")?;
    let size = std::fs::metadata(directory.join("history.sqlite3"))?.len();

    let mut started = Vec::new();
    let mut read = offsets.map(|_| Vec::new());
    for turn in 0..plan.turns {
        plan.progress(turn, "a start, and reads");
        let begun = Instant::now();
        let server = plan.daemon().start(&directory)?;
        let mut client = Client::connect(server.subscribe)?;
        client.ask("null")?;
        started.push(begun.elapsed().as_secs_f64());
        let mut times = offsets.map(|_| Vec::new());
        for _ in 0..plan.or_quick(50, 10) {
            for (times, (_, offset)) in times.iter_mut().zip(offsets) {
                times.push(time_of_reading(&mut client, offset)?);
            }
        }
        for (read, times) in read.iter_mut().zip(times) {
            read.extend(times.into_iter().collect::<Spread>().median());
        }
        drop(client);
        server.end()?;
    }
    let started: Spread = started.into_iter().collect();
    let read = read.map(|times| times.into_iter().collect::<Spread>());

    let mut text =
        plan.heading(Section::Start, &format!("A start with {} rows of history", number(rows as f64, 0)));
    text.push_str(&format!(
        "\n{} PCs, {} MiB. The file is in the system's cache; the start is from the process to the first answer to \
         `/?m=null`.\n\nThe start takes {} ms.\n\n{}",
        number(PCS as f64, 0),
        number(size as f64 / 1048576.0, 0),
        started.scaled(1e3).show(0),
        figures(&offsets, &read)
    ));
    text.push_str(&format!("\n{}", goal::table(&goals(started, &read))));
    // Rows that are not those asked for end the measurement.
    Ok(Measured { markdown: text, pictures: Vec::new(), right: true })
}

/// How many PCs the rows are about: the most that the built-in setup takes.
const PCS: usize = 10_000;

/// Has the daemon make a history, and writes so many rows into it, as many pushes would have.
fn fill(plan: &Plan<'_>, directory: &Path, rows: usize) -> Outcome<()> {
    plan.daemon().start(directory)?.end()?;
    let connection = Connection::open(directory.join("history.sqlite3"))?;
    // One insert into an index of ten million is slow, ten million at once are not.
    connection.execute_batch(&format!(
        "PRAGMA synchronous = OFF;
         BEGIN;
         DROP INDEX pc_datetime;
         INSERT INTO sources (id, name) VALUES (1, 'campus');
         WITH RECURSIVE pc (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM pc WHERE n + 1 < {PCS})
             INSERT INTO pcs (id, name, occupation) SELECT n + 1, printf('lab%03dpc%02d', n / 50, n % 50), 'wu' FROM pc;
         WITH RECURSIVE row (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM row WHERE n + 1 < {rows})
             INSERT INTO occupationUpdates (id, pc, source, datetime, occupation)
                 SELECT n + 1, n % {PCS} + 1, 1, 1500000000 + n, iif(n / {PCS} % 2, 'wu', 'wf') FROM row;
         CREATE INDEX pc_datetime ON occupationUpdates (pc, datetime);
         COMMIT;
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))?;
    Ok(())
}

/// Reads a part of the history, and looks whether it is that part; in milliseconds.
fn time_of_reading(client: &mut Client, offset: usize) -> Outcome<f64> {
    let ask =
        format!("[\"campus\",{{\"type\":\"get_historic_updates\",\"offset\":{offset},\"count\":{COUNT}}}]");
    let begun = Instant::now();
    let body = client.ask(&ask)?;
    let time = begun.elapsed().as_secs_f64() * 1e3;
    let body: serde_json::Value = serde_json::from_slice(&body)?;
    let messages = body.get(1).and_then(|messages| messages.as_array());
    let message = messages.into_iter().flatten().find(|message| message.get("updates").is_some());
    let rows = message.and_then(|message| message.get("updates")?.as_array());
    let first = rows.and_then(|rows| rows.first()?.get(2)?.as_u64());
    if first == Some(1_500_000_000 + offset as u64) && rows.map(Vec::len) == Some(COUNT) {
        Ok(time)
    } else {
        Err(Failure::new(format!("the rows from {offset} on are not those that were written")))
    }
}

fn figures(offsets: &[(&str, usize)], read: &[Spread]) -> Table {
    let mut table = Table::new(&["1,000 rows from", "offset", "p50 ms", "of that at 0"]);
    let first = read.first().cloned().unwrap_or_default();
    for ((name, offset), read) in offsets.iter().zip(read) {
        table.row([(*name).to_owned(), number(*offset as f64, 0), read.show(2), read.over(&first).show(2)]);
    }
    table
}

fn goals(started: Spread, read: &[Spread]) -> Vec<Goal> {
    let [first, middle, last] = [0, 1, 2].map(|at| read.get(at).cloned().unwrap_or_default());
    vec![
        Goal::new("9: from the start to the first answer, s", Bound::AtMost(1.0), started),
        Goal::new("9: reading in the middle, of reading at 0", Bound::AtMost(1.20), middle.over(&first)),
        Goal::new("9: reading at the end, of reading at 0", Bound::AtMost(1.20), last.over(&first)),
    ]
}
