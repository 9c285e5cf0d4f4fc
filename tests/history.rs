//! `tkbd history`, and the other commands that only print: what a script gets of a history that a daemon writes to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Daemon, run_to_end, tkbd};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::Read;
use std::process::Stdio;

fn history(daemon: &Daemon, arguments: &[&str]) -> (Option<i32>, String, String) {
    let db = format!("history.db={}", daemon.history_file().display());
    let zone = "timezone=Europe/Amsterdam";
    run_to_end(daemon.dir(), &[&["history", "--set", &db, "--set", zone], arguments].concat())
}

fn rows(daemon: &Daemon, arguments: &[&str]) -> Vec<Value> {
    let (code, out, err) = history(daemon, &[arguments, &["--format", "jsonl"]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""), "{arguments:?}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn pcs(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["pc"].as_str().unwrap()).collect()
}

#[test]
fn rows_are_had_while_the_daemon_writes_and_only_those_that_are_wanted() {
    let daemon = Daemon::start(&[]);
    daemon.push("login", &json!({"hg075pc01": common::entry("wu")}));
    // Spreadsheets pass over the blank.
    daemon.push(" =cmd|'/c calc'!A1", &json!({"hg201pc02": common::entry("lf")}));
    daemon.push("a \"b\", c", &json!({"hg075pc01": common::entry("o")}));
    let all = rows(&daemon, &[]);
    assert_eq!(pcs(&all), ["hg075pc01", "hg201pc02", "hg075pc01"]);
    let keys: Vec<&String> = all[0].as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 6, "{keys:?}");
    assert_eq!(
        (&all[0]["room"], &all[0]["source"], &all[0]["state"]),
        (&json!("hg075"), &json!("login"), &json!("wu"))
    );
    for (arguments, found) in [
        (vec!["--pc", "HG201PC02"], vec!["hg201pc02"]),
        (vec!["--room", "hg201"], vec!["hg201pc02"]),
        (vec!["--source", "login"], vec!["hg075pc01"]),
        (vec!["--last", "2"], vec!["hg201pc02", "hg075pc01"]),
        (vec!["--last", "1", "--room", "hg075"], vec!["hg075pc01"]),
        (vec!["--since", "1h", "--pc", "hg201pc02"], vec!["hg201pc02"]),
        (vec!["--since", "2100-01-01"], vec![]),
        (vec!["--until", "2000-01-01T10:00"], vec![]),
        (vec!["--source", "nobody"], vec![]),
    ] {
        assert_eq!(pcs(&rows(&daemon, &arguments)), found, "{arguments:?}");
    }
    assert_eq!(rows(&daemon, &["--last", "1"])[0]["state"], "o");

    let (_, csv, _) = history(&daemon, &["--format", "csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "time,at,pc,room,source,state");
    assert!(lines[2].ends_with(",hg201pc02,hg201,' =cmd|'/c calc'!A1,lf"), "{csv}");
    assert!(lines[3].ends_with(",hg075pc01,hg075,\"a \"\"b\"\", c\",o"), "{csv}");
    assert_eq!(history(&daemon, &[]).1, csv, "without a terminal it is CSV");
    let (_, whole, _) = history(&daemon, &["--format", "json"]);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&whole).unwrap(), all);
    assert_eq!(history(&daemon, &["--format", "json", "--pc", "none"]).1, "[]\n");
    assert!(history(&daemon, &["--format", "table"]).1.contains("hg201pc02"));
    daemon.set("hg075pc03", "wu");
    assert_eq!(rows(&daemon, &[]).len(), 4, "and the daemon goes on");
}

#[test]
fn what_makes_no_sense_is_said_with_the_usual_exit_codes() {
    let daemon = Daemon::start(&[]);
    for (arguments, code, why) in [
        (vec!["--since", "tomorrow"], 2, "is no time"),
        (vec!["--since", "2026-01-02", "--until", "2026-01-01"], 2, "not before"),
        (vec!["--pc", "a b"], 2, "--pc"),
        (vec!["--set", "history.enabled=false"], 1, "keeps no history"),
        (vec!["--set", "history.db=absent.sqlite3"], 1, "cannot be read"),
        (vec!["--set", "history.keep=1d"], 78, "history.keep"),
    ] {
        let (found, out, err) = history(&daemon, &arguments);
        assert_eq!((found, out.as_str()), (Some(code), ""), "{arguments:?}: {err}");
        assert!(err.contains(why), "{arguments:?}: {err}");
    }
}

#[test]
fn who_reads_only_the_beginning_of_a_long_export_is_no_failure() {
    let mut daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "wu");
    assert_eq!(daemon.terminate().code(), Some(0));
    Connection::open(daemon.history_file())
        .unwrap()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
                 INSERT INTO occupationUpdates SELECT i, 1, 1, 1700000000 + i, 'wu' FROM n",
        )
        .unwrap();
    let db = format!("history.db={}", daemon.history_file().display());
    let mut child = tkbd()
        .args(["history", "--format", "csv", "--set", &db])
        .current_dir(daemon.dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 64]).unwrap();
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stderr).contains("tkbd:")),
        (Some(0), false)
    );
}

#[test]
fn nothing_of_a_push_is_kept_but_names_of_pcs_and_sources_and_their_states() {
    let mut daemon = Daemon::start(&[]);
    let who = "j.doe-s1234567";
    let body = json!({
        "datasource": "login", "user": who,
        "data": {"hg075pc01": {"event": "logon", "session": "linux", "user": who, "username": who}},
    });
    daemon.try_push(body.to_string().as_bytes());
    daemon.set("hg075pc02", "wu");
    assert_eq!(daemon.terminate().code(), Some(0));
    for file in std::fs::read_dir(daemon.dir()).unwrap() {
        let file = file.unwrap().path();
        if file
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with(daemon.history_file().file_name().unwrap().to_str().unwrap())
        {
            let bytes = std::fs::read(&file).unwrap_or_default();
            assert!(!bytes.windows(who.len()).any(|part| part == who.as_bytes()), "{}", file.display());
        }
    }
}

#[test]
fn shells_and_man_are_told_of_every_command() {
    let daemon = Daemon::start(&[]);
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, err) = run_to_end(daemon.dir(), &["completions", shell]);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        assert!(out.contains("history") && out.contains("backup"), "{shell}");
    }
    let (code, page, _) = run_to_end(daemon.dir(), &["man"]);
    assert_eq!(code, Some(0));
    assert!(page.contains(".TH tkbd 1") && page.contains("history"), "{page}");
    let (_, page, _) = run_to_end(daemon.dir(), &["man", "history"]);
    assert!(page.contains(".TH tkbd-history 1") && page.contains("since"), "{page}");
    assert_eq!(run_to_end(daemon.dir(), &["man", "nothing"]).0, Some(2));
}
