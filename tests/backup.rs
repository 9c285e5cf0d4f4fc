//! `tkbd backup`: copies of the history of a daemon that is being pushed to, and starts with them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{Daemon, Request, assert_taken, entry, run_to_end};
use rusqlite::Connection;
use serde_json::json;

fn backup(daemon: &Daemon, file: &str) -> (Option<i32>, String, String) {
    let db = format!("history.db={}", daemon.history_file().display());
    run_to_end(daemon.dir(), &["backup", file, "--set", &db])
}

fn count(file: &Path) -> u64 {
    let connection = Connection::open(file).unwrap();
    connection.query_row("SELECT count(*) FROM occupationUpdates", [], |row| row.get::<_, i64>(0)).unwrap()
        as u64
}

#[test]
fn a_backup_is_the_history_at_one_moment_while_pushes_go_on() {
    // Large enough that it takes a while.
    let mut daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "wu");
    assert_eq!(daemon.terminate().code(), Some(0));
    let connection = Connection::open(daemon.history_file()).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 300001)
                 INSERT INTO occupationUpdates SELECT i, 1, 1, 1700000000 + i, 'wu' FROM n",
        )
        .unwrap();
    drop(connection);
    daemon.restart();
    let (acknowledged, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (before, copied, meanwhile) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = daemon.connect_push();
            for i in 0_usize.. {
                // Two PCs a push: a copy has both or none.
                let code = ["wf", "lf", "lu"][i % 3];
                let body = json!({"data": {"hg075pc01": entry(code), "hg075pc02": entry(code)}}).to_string();
                assert_taken(&client.exchange(&Request::post("/push").body(&body)), &body);
                acknowledged.fetch_add(1, Ordering::SeqCst);
                if over.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        while acknowledged.load(Ordering::SeqCst) < 5 {
            std::thread::yield_now();
        }
        let before = acknowledged.load(Ordering::SeqCst);
        let copied = backup(&daemon, "copy.sqlite3");
        let meanwhile = acknowledged.load(Ordering::SeqCst) - before;
        over.store(true, Ordering::SeqCst);
        (before, copied, meanwhile)
    });
    let (code, out, err) = copied;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("copy.sqlite3") && out.contains("checked"), "{out}");
    assert!(meanwhile > 0, "a push waited for the whole of the copy");
    let copy = daemon.dir().join("copy.sqlite3");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let pushes = count(&copy) - 300_001;
    assert_eq!(pushes % 2, 0, "half a push");
    let all = acknowledged.load(Ordering::SeqCst);
    assert!((before..=all).contains(&(pushes / 2)), "{before}, {pushes} / 2, {all}");
    let names: Vec<_> = fs::read_dir(daemon.dir()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains(".part")), "{names:?}");
}

#[test]
fn a_restored_backup_is_gone_on_from_and_no_version_falls() {
    for of_a_daemon_that_runs in [true, false] {
        let mut daemon = Daemon::start(&[]);
        daemon.set("hg075pc01", "wu");
        if !of_a_daemon_that_runs {
            assert_eq!(daemon.terminate().code(), Some(0));
        }
        let (code, _, err) = backup(&daemon, "copy.sqlite3");
        assert_eq!(code, Some(0), "{err}");
        if !of_a_daemon_that_runs {
            daemon.kill();
            daemon.restart();
        }
        for state in ["wf", "lu", "lf"] {
            daemon.set("hg075pc01", state);
        }
        daemon.set("hg137pc01", "o");
        let shown = daemon.whole();
        assert_eq!(daemon.terminate().code(), Some(0));
        fs::copy(daemon.dir().join("copy.sqlite3"), daemon.history_file()).unwrap();
        daemon.kill();
        daemon.restart();
        let restored = daemon.whole();
        assert_eq!(restored.occupation["hg075pc01"], "wu");
        assert_eq!((restored.occupation.len(), daemon.history(10).len()), (1, 1));
        assert!(restored.occupation_version > shown.occupation_version);
        assert!(restored.room_map_version > shown.room_map_version);
        assert!(restored.schedule_version > shown.schedule_version);
        daemon.set("hg075pc01", "lx");
        assert_eq!(daemon.history(10).len(), 2);
    }
}

#[test]
fn a_backup_that_cannot_be_made_says_why_and_leaves_nothing() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "wu");
    fs::write(daemon.dir().join("mine"), "a letter").unwrap();
    fs::write(daemon.dir().join("letter.sqlite3"), "a letter, and no database").unwrap();
    Connection::open(daemon.dir().join("other.sqlite3"))
        .unwrap()
        .execute_batch("CREATE TABLE pcs (id)")
        .unwrap();
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(daemon.dir()).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let (before, own) = (names(), daemon.history_file().display().to_string());
    for (file, sets, why) in [
        ("mine", vec![format!("history.db={own}")], "is there already"),
        (own.as_str(), vec![format!("history.db={own}")], "is there already"),
        ("absent/copy", vec![format!("history.db={own}")], "cannot be written"),
        ("copy", vec!["history.db=absent.sqlite3".to_owned()], "cannot be read"),
        ("copy", vec!["history.db=letter.sqlite3".to_owned()], "cannot be read"),
        ("copy", vec!["history.db=other.sqlite3".to_owned()], "no history of tkbd"),
        ("copy", vec!["history.enabled=false".to_owned()], "keeps no history"),
    ] {
        let mut arguments = vec!["backup", file];
        for set in &sets {
            arguments.extend(["--set", set]);
        }
        let (code, out, err) = run_to_end(daemon.dir(), &arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{file} {sets:?}: {err}");
        assert!(err.contains(why) && err.lines().count() == 1, "{file} {sets:?}: {err}");
        assert_eq!(names(), before, "{file} {sets:?}");
    }
    assert_eq!(fs::read(daemon.dir().join("mine")).unwrap(), b"a letter");
}

fn restore(daemon: &Daemon, file: &str) -> (Option<i32>, String, String) {
    let db = format!("history.db={}", daemon.history_file().display());
    run_to_end(daemon.dir(), &["restore", file, "--set", &db])
}

#[test]
fn a_copy_is_restored_at_the_next_start_and_all_that_was_pushed_until_then_is_kept() {
    for (runs, crashes) in [(true, false), (true, true), (false, false)] {
        let mut daemon = Daemon::start(&[]);
        daemon.set("hg075pc01", "wu");
        assert_eq!(backup(&daemon, "copy.sqlite3").0, Some(0));
        daemon.set("hg075pc01", "wf");
        if !runs {
            assert_eq!(daemon.terminate().code(), Some(0));
        }
        let (code, out, err) = restore(&daemon, "copy.sqlite3");
        assert_eq!(code, Some(0), "{err}");
        assert!(out.contains("restart tkbd"), "{out}");
        let mut pushed = 2;
        if runs {
            daemon.set("hg137pc01", "o");
            pushed += 1;
            let shown = daemon.whole();
            assert_eq!(shown.occupation["hg075pc01"], "wf", "it goes on with what it has");
            if crashes {
                daemon.kill();
            }
            daemon.restart();
            assert!(daemon.whole().occupation_version > shown.occupation_version);
            assert!(daemon.whole().room_map_version > shown.room_map_version);
        } else {
            daemon.kill();
            daemon.restart();
        }
        let restored = daemon.whole();
        assert_eq!((restored.occupation["hg075pc01"].as_str(), restored.occupation.len()), ("wu", 1));
        daemon.set("hg075pc01", "lx");
        assert_eq!(daemon.history(10).len(), 2);
        let names = fs::read_dir(daemon.dir()).unwrap().map(|file| file.unwrap().path());
        let kept: Vec<_> =
            names.filter(|path| path.to_string_lossy().contains("history.sqlite3.replaced-")).collect();
        let kept = kept.iter().find(|path| !path.to_string_lossy().ends_with("-wal")).unwrap();
        assert_eq!(count(kept), pushed, "{kept:?}");
        assert!(daemon.log().contains("a copy has taken the place of the history"), "{}", daemon.log());
    }
}

#[test]
fn what_is_no_copy_of_a_history_is_not_restored() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "wu");
    fs::write(daemon.dir().join("letter.sqlite3"), "a letter, and no database").unwrap();
    for name in ["later.sqlite3", "damaged.sqlite3"] {
        assert_eq!(backup(&daemon, name).0, Some(0));
    }
    Connection::open(daemon.dir().join("later.sqlite3"))
        .unwrap()
        .execute_batch(
            "INSERT INTO refinery_schema_history VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')",
        )
        .unwrap();
    let mut bytes = fs::read(daemon.dir().join("damaged.sqlite3")).unwrap();
    bytes[4096..].fill(7);
    fs::write(daemon.dir().join("damaged.sqlite3"), bytes).unwrap();
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(daemon.dir()).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    for (file, why) in [
        ("absent.sqlite3", "cannot be read"),
        ("letter.sqlite3", "cannot be read"),
        ("later.sqlite3", "has schema 99"),
        ("damaged.sqlite3", "damaged"),
    ] {
        let (code, out, err) = restore(&daemon, file);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{file}: {err}");
        assert!(err.contains(why) && err.lines().count() == 1, "{file}: {err}");
        assert_eq!(names(), before, "{file}");
    }
    let (code, _, err) =
        run_to_end(daemon.dir(), &["restore", "letter.sqlite3", "--set", "history.enabled=false"]);
    assert!(code == Some(1) && err.contains("keeps no history"), "{err}");
}
