//! A database of the original, with the damage to expect in it, is adopted at start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use common::{Channel, Daemon, HistoryRow, entry, get, only};
use rusqlite::{Connection, params};
use serde_json::json;

/// The schema as the original made it: `STRING` has numeric affinity, and the second unique index is silently skipped
/// because the first one has its name already.
const SCHEMA: &str = "
    CREATE TABLE sources (id INTEGER PRIMARY KEY ASC AUTOINCREMENT, name STRING);
    CREATE TABLE pcs (id INTEGER PRIMARY KEY ASC AUTOINCREMENT, name STRING);
    CREATE TABLE occupationUpdates (id INTEGER PRIMARY KEY ASC AUTOINCREMENT,
        pc INTEGER REFERENCES pcs, source INTEGER REFERENCES sources, datetime INTEGER, occupation STRING);
    CREATE UNIQUE INDEX IF NOT EXISTS name ON sources (name);
    CREATE UNIQUE INDEX IF NOT EXISTS name ON pcs (name);
    CREATE INDEX IF NOT EXISTS pc_datetime ON occupationUpdates (pc, datetime);";

struct Original {
    connection: Connection,
}

impl Original {
    fn new(file: &Path) -> Original {
        let connection = Connection::open(file).unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        Original { connection }
    }

    fn named(&self, table: &str, name: &str) -> i64 {
        self.connection.execute(&format!("INSERT INTO {table} (name) VALUES (?)"), [name]).unwrap();
        self.connection.last_insert_rowid()
    }

    fn row(&self, pc: i64, source: i64, time: i64, state: &str) {
        let sql = "INSERT INTO occupationUpdates (pc, source, datetime, occupation) VALUES (?, ?, ?, ?)";
        self.connection.execute(sql, params![pc, source, time, state]).unwrap();
    }
}

#[test]
fn f6_the_rows_of_the_original_are_the_history_in_the_order_of_their_ids() {
    let dir = tempfile::tempdir().unwrap();
    let original = Original::new(&dir.path().join("history.sqlite3"));
    let (hub, lab) = (original.named("sources", "hub"), original.named("sources", "lab"));
    let pcs: Vec<i64> = (0..40).map(|i| original.named("pcs", &format!("hg075pc{i:02}"))).collect();
    let states = ["wf", "wu", "lf", "lu", "wx", "lx", "o", "x"];
    let mut expected = Vec::new();
    original.connection.execute_batch("BEGIN").unwrap();
    for i in 0..2_500_usize {
        // Every now and then the clock steps back an hour; and many rows share a second.
        let time = 1_290_000_000 + i64::try_from(i / 7).unwrap() - if i % 500 > 400 { 3600 } else { 0 };
        let (pc, state) = ((i * 17) % 40, states[(i * 5 + i / 40) % states.len()]);
        let source = if i % 3 == 0 { lab } else { hub };
        original.row(pcs[pc], source, time, state);
        expected.push(HistoryRow {
            pc: format!("hg075pc{pc:02}"),
            source: if source == lab { "lab" } else { "hub" }.to_owned(),
            time,
            state: state.to_owned(),
        });
    }
    original.connection.execute_batch("COMMIT").unwrap();
    drop(original);

    let mut daemon = Daemon::on(dir, &[]);
    assert_eq!(daemon.history(1000), expected);
    assert_eq!(daemon.history(333), expected);
    let whole = daemon.whole();
    assert_eq!(whole.occupation.len(), 40);
    for (pc, state) in &whole.occupation {
        let last = expected.iter().rev().find(|row| row.pc == *pc).unwrap();
        assert_eq!(*state, last.state, "{pc}: restored by id, never by time");
    }
    assert_eq!(whole.room_map["hg075"].1.len(), 40);

    // It lives on as our own.
    let state = if whole.occupation["hg075pc00"] == "wf" { "wu" } else { "wf" };
    daemon.push("new source", &json!({"hg075pc00": entry(state), "hg029pc01": entry("o")}));
    daemon.restart();
    let rows = daemon.history(1000);
    assert_eq!(rows[..expected.len()], expected);
    let added: BTreeSet<_> =
        rows[expected.len()..].iter().map(|r| (r.pc.as_str(), r.source.as_str(), r.state.as_str())).collect();
    assert_eq!(added, BTreeSet::from([("hg075pc00", "new source", state), ("hg029pc01", "new source", "o")]));
    let again = daemon.whole();
    assert_eq!(again.occupation["hg075pc00"], state);
    assert!(again.occupation_version > whole.occupation_version);
}

#[test]
fn f6_names_that_became_numbers_lose_no_row() {
    let dir = tempfile::tempdir().unwrap();
    let original = Original::new(&dir.path().join("history.sqlite3"));
    let source = original.named("sources", "42");
    let broken = ["007", "1e999", "12.50", "0x10"].map(|name| original.named("pcs", name));
    let whole = original.named("pcs", "hg075pc01");
    for (i, pc) in broken.into_iter().chain([whole]).enumerate() {
        original.row(pc, source, 1_290_000_000 + i64::try_from(i).unwrap(), "wf");
    }
    let kinds: Vec<String> = original
        .connection
        .prepare("SELECT typeof(name) FROM pcs ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(kinds, ["integer", "real", "real", "text", "text"], "this is the damage");
    drop(original);

    let daemon = Daemon::on(dir, &[]);
    let rows = daemon.history(1000);
    assert_eq!(rows.len(), 5);
    assert_eq!(rows.iter().map(|r| r.time - 1_290_000_000).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(rows.iter().all(|r| r.source == "42" && r.state == "wf"), "{rows:?}");
    assert_eq!(rows[0].pc, "7", "kept as it is, never guessed");
    assert_eq!((rows[3].pc.as_str(), rows[4].pc.as_str()), ("0x10", "hg075pc01"));
    assert_eq!(daemon.whole().occupation["hg075pc01"], "wf");
    // The true name is a name like any other now.
    daemon.push("test", &json!({"007": entry("lu"), "1e999": entry("o")}));
    let state = daemon.whole().occupation;
    assert_eq!((state["007"].as_str(), state["1e999"].as_str()), ("lu", "o"));
}

#[test]
fn f6_a_pc_that_is_there_twice_is_one_and_its_last_row_counts() {
    let dir = tempfile::tempdir().unwrap();
    let original = Original::new(&dir.path().join("history.sqlite3"));
    let source = original.named("sources", "hub");
    let (first, second) = (original.named("pcs", "hg075pc01"), original.named("pcs", "hg075pc01"));
    original.row(first, source, 1_290_000_000, "wf");
    original.row(second, source, 1_290_000_001, "lu");
    original.row(first, source, 1_290_000_002, "wx");
    original.row(second, source, 1_290_000_000, "o");
    drop(original);

    let daemon = Daemon::on(dir, &[]);
    let rows = daemon.history(1000);
    let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(states, ["wf", "lu", "wx", "o"]);
    assert!(rows.iter().all(|row| row.pc == "hg075pc01"));
    let whole = daemon.whole();
    assert_eq!(whole.occupation.len(), 1);
    assert_eq!(whole.occupation["hg075pc01"], "o");
    assert_eq!(whole.room_map["hg075"].1.len(), 1);
}

#[test]
fn f6_states_that_do_not_exist_are_no_reason_to_lose_a_row_and_reach_no_client_as_a_state() {
    let dir = tempfile::tempdir().unwrap();
    let original = Original::new(&dir.path().join("history.sqlite3"));
    let source = original.named("sources", "hub");
    for (i, state) in ["u", "f", "wo", "lo", "wf"].into_iter().enumerate() {
        let pc = original.named("pcs", &format!("hg075pc0{i}"));
        original.row(pc, source, 1_290_000_000, "wu");
        original.row(pc, source, 1_290_000_010, state);
    }
    drop(original);

    let daemon = Daemon::on(dir, &[]);
    let rows = daemon.history(1000);
    assert_eq!(rows.len(), 10);
    let pcs: Vec<&str> = rows.iter().map(|row| row.pc.as_str()).collect();
    assert_eq!(
        pcs,
        (0..5)
            .flat_map(|i| [["hg075pc00", "hg075pc01", "hg075pc02", "hg075pc03", "hg075pc04"][i]; 2])
            .collect::<Vec<_>>()
    );
    // Reading the whole refuses any state but the eight.
    assert_eq!(daemon.whole().occupation["hg075pc04"], "wf");
    for i in 0..4 {
        daemon.set(&format!("hg075pc0{i}"), "lf");
        assert_eq!(daemon.whole().occupation[&format!("hg075pc0{i}")], "lf");
    }
}

#[test]
fn an_empty_database_of_the_original_is_an_empty_history() {
    let dir = tempfile::tempdir().unwrap();
    drop(Original::new(&dir.path().join("history.sqlite3")));
    let mut daemon = Daemon::on(dir, &[]);
    let mut channel = Channel::with_filter(&daemon, &json!(null));
    let messages = channel.ask(&json!([get("historic_updates")]));
    assert_eq!(only(&messages, "historic_updates")["updates"], json!([]));
    daemon.set("hg075pc01", "wf");
    daemon.restart();
    assert_eq!(daemon.whole().occupation["hg075pc01"], "wf");
}

/// What the tables hold, whichever schema they have: the text of names, the rows in their order.
fn content(file: &Path) -> (bool, Vec<(String, String, i64, String)>) {
    let connection = Connection::open(file).unwrap();
    let is_new: bool = connection
        .query_row("SELECT count(*) FROM pragma_table_info('pcs') WHERE name = 'damaged'", [], |row| {
            row.get(0)
        })
        .unwrap();
    let tables: i64 = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('pcs', 'sources', 'occupationUpdates')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let left: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'original_%'", [], |row| row.get(0))
        .unwrap();
    assert_eq!((tables, left), (3, 0), "neither old nor new");
    let sql =
        "SELECT CAST(p.name AS TEXT), CAST(s.name AS TEXT), u.datetime, u.occupation FROM occupationUpdates u
                   JOIN pcs p ON p.id = u.pc JOIN sources s ON s.id = u.source ORDER BY u.id";
    let mut statement = connection.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let rows = statement.query_map([], row).unwrap().map(Result::unwrap).collect();
    (is_new, rows)
}

#[test]
fn d8_an_adoption_that_is_killed_anywhere_leaves_the_old_file_or_the_new_one() {
    const ROWS: usize = 15_000;
    let start = |dir: &Path| {
        common::tkbd()
            .args(["run", "--set", "http.listen=127.0.0.1:0", "--set", "push.listen=127.0.0.1:0"])
            .args(["--set", "history.db=history.sqlite3"])
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let made = tempfile::tempdir().unwrap();
    let original = Original::new(&made.path().join("history.sqlite3"));
    let source = original.named("sources", "hub");
    let pcs: Vec<i64> =
        ["hg075pc01", "007", "1e999", "hg075pc01", "bibpc01"].map(|name| original.named("pcs", name)).into();
    original.connection.execute_batch("BEGIN").unwrap();
    for i in 0..ROWS {
        original.row(
            pcs[i % 5],
            source,
            1_290_000_000 + i64::try_from(i / 3).unwrap(),
            ["wf", "wu", "o"][i % 3],
        );
    }
    original.connection.execute_batch("COMMIT").unwrap();
    drop(original);
    let (_, rows) = content(&made.path().join("history.sqlite3"));
    assert_eq!(rows.len(), ROWS);

    // How long it takes here and now, so that the kills fall into it.
    let copy = || {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(made.path().join("history.sqlite3"), dir.path().join("history.sqlite3")).unwrap();
        dir
    };
    let begun = Instant::now();
    let mut daemon = Daemon::on(copy(), &[]);
    let whole = begun.elapsed();
    assert_eq!(daemon.terminate().code(), Some(0));
    let (is_new, adopted) = content(&daemon.history_file());
    assert!(is_new && adopted == rows);

    let (mut old, mut new) = (0, 0);
    for kill in 0..10 {
        let dir = copy();
        let mut child = start(dir.path());
        std::thread::sleep(whole * kill / 8);
        child.kill().unwrap();
        child.wait().unwrap();
        // Looked at in a copy, since to open it is to take back what was cut short.
        let looked_at = tempfile::tempdir().unwrap();
        let files = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap);
        // The control socket is none.
        for file in files.filter(|file| file.file_type().unwrap().is_file()) {
            std::fs::copy(file.path(), looked_at.path().join(file.file_name())).unwrap();
        }
        let (is_new, found) = content(&looked_at.path().join("history.sqlite3"));
        assert!(found == rows, "killed after {kill}/8: {} rows of {ROWS}, or others", found.len());
        if is_new {
            new += 1;
        } else {
            old += 1;
        }
        // The next start ends it, with a copy of what there was.
        let mut daemon = Daemon::on(dir, &[]);
        assert_eq!(
            daemon.whole().occupation["bibpc01"],
            rows.iter().rev().find(|row| row.0 == "bibpc01").unwrap().3
        );
        assert_eq!(daemon.terminate().code(), Some(0));
        let (is_new, found) = content(&daemon.history_file());
        assert!(is_new && found == rows);
        let (is_new, kept) = content(&daemon.dir().join("history.sqlite3.original"));
        assert!(!is_new && kept == rows);
    }
    println!("killed in {whole:?} of an adoption: {old} old files, {new} new ones");
    assert!(old > 0, "no kill came in time");
}
