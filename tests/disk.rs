//! The disk under the history: full, failing, taken away, locked, or never there. Each is shown from outside, by a real
//! daemon whose writes really fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Channel, Daemon, GUARD, HistoryRow, entry, everything, get, one, run_to_end, types};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

/// Small figures, so that all of it is passed through in a moment.
const SETS: [&str; 2] = ["history.acknowledge_within=500ms", "history.backlog=8"];

/// Within this time after its cause has ended, a fault is over (reliability.md D1).
const RECOVERY: Duration = Duration::from_secs(10);

/// From now on the daemon can write no file beyond this size; none, as it was.
fn limit_files(daemon: &Daemon, bytes: Option<u64>) {
    let pid = Pid::from_raw(daemon.pid().try_into().unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

/// Whoever runs the tests may be root, whom no rights keep from anything: then the daemon is run as nobody. None where
/// that cannot be done here, which is said.
fn as_one_with_rights(dir: &Path) -> Option<Vec<&'static str>> {
    if !rustix::process::geteuid().is_root() {
        return Some(vec![]);
    }
    chown(dir, Some(65_534), Some(65_534)).unwrap();
    let within = vec!["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let tried = Command::new(within[0]).args(&within[1..]).arg(common::binary()).arg("--version").output();
    if tried.as_ref().is_ok_and(|output| output.status.success()) {
        return Some(within);
    }
    println!("SKIPPED: this is root, and the daemon cannot be run as nobody: {tried:?}");
    None
}

/// The state that push `i` brings.
fn state(i: usize) -> &'static str {
    ["wu", "wf", "lu", "lf", "o"][i % 5]
}

/// Goes through a fault that begins and ends as these two say: what is pushed meanwhile is shown and answered 202, then,
/// with the backlog full, refused; and when the fault is over, all that was shown is written, in order, and once.
fn assert_survives(daemon: &mut Daemon, begin: impl FnOnce(&Daemon), end: impl FnOnce(&Daemon)) {
    let mut display = Channel::with_filter(daemon, &json!(null));
    daemon.set("hg075pc01", "wx");
    assert_eq!(types(&display.poll()), ["roomMap", "schedule", "occupation_update"]);
    let push = |i: usize| {
        let body = json!({"datasource": format!("push {i}"), "data": {"hg075pc01": entry(state(i))}});
        daemon.try_push(body.to_string().as_bytes())
    };
    begin(daemon);
    let (mut shown, mut late) = (0, 0);
    let refused = loop {
        display.send(&json!([]));
        let response = push(shown);
        if response.status == 503 {
            break response;
        }
        // A write that was under way may have been the last that was taken.
        assert!(response.status == 202 || (response.status == 200 && late == 0), "{response:?}");
        late += usize::from(response.status == 202);
        let update = display.receive();
        assert_eq!(one(&update, "occupation_update")["update"], json!({"hg075pc01": state(shown)}));
        shown += 1;
        assert!(late <= 40, "a backlog of eight has taken {late}");
    };
    assert!(refused.header("Retry-After").is_some(), "{refused:?}");
    assert!(late >= 8, "only {late} were taken");
    // Displays are served as ever: old channels and new ones, and what was written can be read.
    assert_eq!(daemon.whole().occupation["hg075pc01"], state(shown - 1), "what was refused is not shown");
    daemon.history(100);
    assert_eq!(daemon.log().matches("cannot be written; records wait").count(), 1, "{}", daemon.log());

    end(daemon);
    let ended = Instant::now();
    while push(shown).status != 200 {
        assert!(ended.elapsed() < RECOVERY, "not over after {RECOVERY:?}:\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let update = display.receive();
    assert_eq!(one(&update, "occupation_update")["update"], json!({"hg075pc01": state(shown)}));
    let expected: Vec<(String, &str)> = std::iter::once(("test".to_owned(), "wx"))
        .chain((0..=shown).map(|i| (format!("push {i}"), state(i))))
        .collect();
    let rows = daemon.history(100);
    let found: Vec<(String, &str)> =
        rows.iter().map(|row| (row.source.clone(), row.state.as_str())).collect();
    assert_eq!(found, expected);
    assert!(daemon.log().contains("is written again"), "{}", daemon.log());
    let before = daemon.whole();
    daemon.restart();
    assert_eq!(daemon.history(100), rows);
    assert_eq!(daemon.whole().occupation, before.occupation);
}

#[test]
fn d1_while_no_byte_can_be_written_displays_are_served_and_all_is_written_afterwards() {
    let mut daemon = Daemon::start(&SETS);
    assert_survives(&mut daemon, |daemon| limit_files(daemon, Some(0)), |daemon| limit_files(daemon, None));
}

#[test]
fn d1_a_file_that_may_not_grow_is_a_full_disk_and_does_not_end_the_daemon() {
    let mut daemon = Daemon::start(&SETS);
    let log = daemon.history_file().with_extension("sqlite3-wal");
    let begin = |daemon: &Daemon| limit_files(daemon, Some(fs::metadata(&log).unwrap().len() + 100));
    assert_survives(&mut daemon, begin, |daemon| limit_files(daemon, None));
}

#[test]
fn d1_a_full_disk_is_survived_until_there_is_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    // In a name space of its own, so that nobody's rights are needed, and nothing is left of it.
    let mount = format!("mount -t tmpfs -o size=8m tkbd-test '{}' && exec \"$@\"", disk.display());
    let within = ["unshare", "-rm", "sh", "-c", &mount, "sh"];
    let tried = Command::new(within[0]).args(&within[1..]).arg("true").output();
    if !tried.as_ref().is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: no small disk can be mounted here: {tried:?}");
        return;
    }
    let db = format!("history.db={}", disk.join("history.sqlite3").display());
    let mut daemon = Daemon::within(&within, dir, &[SETS[0], SETS[1], &db]);
    let filler =
        |daemon: &Daemon| PathBuf::from(format!("/proc/{}/root{}/filler", daemon.pid(), disk.display()));
    let fill = |daemon: &Daemon| {
        let mut file = fs::File::create(filler(daemon)).unwrap();
        // The log has room in its last page of memory; it is used up by one of the next writes.
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    };
    // The restart at the end would be on a disk of its own: this much is asked of it here.
    let kept = |daemon: &Daemon| daemon.history(100);
    let mut display = Channel::with_filter(&daemon, &json!(null));
    daemon.set("hg075pc01", "wx");
    display.poll();
    fill(&daemon);
    let mut expected = vec![("test".to_owned(), "wx".to_owned())];
    let push = |daemon: &Daemon, i: usize| {
        let body = json!({"datasource": format!("push {i}"), "data": {"hg075pc01": entry(state(i))}});
        daemon.try_push(body.to_string().as_bytes()).status
    };
    let (mut statuses, mut i) = (Vec::new(), 0);
    while statuses.last() != Some(&503) {
        let status = push(&daemon, i);
        if status != 503 {
            expected.push((format!("push {i}"), state(i).to_owned()));
            assert_eq!(daemon.whole().occupation["hg075pc01"], state(i));
            i += 1;
        }
        statuses.push(status);
        assert!(statuses.len() < 200, "the disk does not get full: {statuses:?}");
    }
    assert!(statuses.contains(&202), "{statuses:?}");
    assert!(daemon.log().contains("full"), "{}", daemon.log());
    fs::remove_file(filler(&daemon)).unwrap();
    let ended = Instant::now();
    while push(&daemon, i) != 200 {
        assert!(ended.elapsed() < RECOVERY, "not over after {RECOVERY:?}:\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    expected.push((format!("push {i}"), state(i).to_owned()));
    let pair = |row: HistoryRow| (row.source, row.state);
    assert_eq!(kept(&daemon).into_iter().map(pair).collect::<Vec<_>>(), expected);
    assert_eq!(daemon.terminate().code(), Some(0), "{}", daemon.log());
}

#[test]
fn d1_rights_that_are_taken_away_while_writes_fail_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(within) = as_one_with_rights(dir.path()) else { return };
    let daemon = Daemon::within(&within, dir, &SETS);
    let rights = |file: &Path, mode| fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
    let (file, directory) = (daemon.history_file(), daemon.dir().to_owned());
    // Not even root may everywhere set limits for others.
    let limit = |size: &str| {
        let command =
            ["prlimit", "--pid", &daemon.pid().to_string(), &format!("--fsize={size}")].map(str::to_owned);
        let all: Vec<String> = within.iter().map(|&word| word.to_owned()).chain(command).collect();
        assert!(Command::new(&all[0]).args(&all[1..]).status().unwrap().success(), "{all:?}");
    };
    let push = |i: usize| {
        let body = json!({"datasource": format!("push {i}"), "data": {"hg075pc01": entry(state(i))}});
        daemon.try_push(body.to_string().as_bytes()).status
    };
    assert_eq!(push(0), 200);
    // A write that fails makes the daemon open the file anew, and now it may not. (Where a reader has it open SQLite
    // goes on with what it has, and then it may.)
    limit("0:");
    assert_eq!(push(1), 202);
    rights(&file, 0o400);
    rights(&directory, 0o500);
    limit("unlimited:");
    for i in 2..6 {
        assert!(matches!(push(i), 200 | 202));
        assert_eq!(daemon.whole().occupation["hg075pc01"], state(i));
    }
    rights(&directory, 0o700);
    rights(&file, 0o600);
    let ended = Instant::now();
    while push(6) != 200 {
        assert!(ended.elapsed() < RECOVERY, "not over after {RECOVERY:?}:\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let found: Vec<(String, String)> =
        daemon.history(100).into_iter().map(|row| (row.source, row.state)).collect();
    let expected: Vec<(String, String)> =
        (0..=6).map(|i| (format!("push {i}"), state(i).to_owned())).collect();
    assert_eq!(found, expected);
}

/// Names, sizes, content and times of all that is in a directory.
fn all_of(dir: &Path) -> Vec<(PathBuf, Vec<u8>, i64, u32)> {
    let mut all: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|file| {
            let metadata = fs::metadata(&file).unwrap();
            let content = if metadata.is_file() { fs::read(&file).unwrap() } else { Vec::new() };
            (file, content, metadata.mtime_nsec(), metadata.mode())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn d2_an_unusable_path_is_one_line_exit_78_and_nothing_is_created() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    fs::write(dir.path().join("other.sqlite3"), "a letter").unwrap();
    fs::create_dir(dir.path().join("closed")).unwrap();
    fs::set_permissions(dir.path().join("closed"), Permissions::from_mode(0o500)).unwrap();
    let before = all_of(dir.path());
    let mut paths = vec!["absent/h.sqlite3", "file/h.sqlite3", ".", "other.sqlite3", "/proc/h.sqlite3"];
    if rustix::process::geteuid().is_root() {
        println!(
            "SKIPPED: a directory without rights, which root has all the same; it is tried as nobody below"
        );
    } else {
        paths.push("closed/h.sqlite3");
    }
    for path in paths {
        let set = format!("history.db={path}");
        let (code, out, err) = run_to_end(
            dir.path(),
            &["run", "--set", "http.listen=127.0.0.1:0", "--set", "push.listen=127.0.0.1:0", "--set", &set],
        );
        assert_eq!((code, out.as_str()), (Some(78), ""), "{path}: {err}");
        assert_eq!(err.lines().count(), 1, "{path}: {err}");
        assert!(err.starts_with("tkbd: "), "{path}: {err}");
        assert!(all_of(dir.path()) == before, "{path}: something was created or changed");
    }
}

#[test]
fn d2_a_directory_without_rights_is_exit_78() {
    let dir = tempfile::tempdir().unwrap();
    let Some(within) = as_one_with_rights(dir.path()) else { return };
    fs::set_permissions(dir.path(), Permissions::from_mode(0o500)).unwrap();
    let within: Vec<String> = within.into_iter().map(str::to_owned).collect();
    let output = common::tkbd_within(&within)
        .args(["run", "--set", "http.listen=127.0.0.1:0", "--set", "push.listen=127.0.0.1:0"])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), err.lines().count()), (Some(78), 1), "{err}");
    assert!(all_of(dir.path()).is_empty());
}

#[test]
fn d3_a_history_that_is_locked_at_the_start_is_served_and_pushes_wait_for_it() {
    let mut daemon = Daemon::start(&SETS);
    daemon.set("hg075pc01", "wu");
    let before = daemon.whole();
    assert_eq!(daemon.terminate().code(), Some(0));
    let other = rusqlite::Connection::open(daemon.history_file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    daemon.restart();
    let shown = daemon.whole();
    assert_eq!(shown.occupation, before.occupation);
    assert!(shown.occupation_version >= before.occupation_version);
    let late = daemon.try_push(json!({"data": {"hg075pc01": entry("lf")}}).to_string().as_bytes());
    assert_eq!(late.status, 202);
    assert_eq!(daemon.whole().occupation["hg075pc01"], "lf");
    other.execute_batch("COMMIT").unwrap();
    let until = Instant::now() + GUARD;
    while daemon.try_push(json!({"data": {"hg075pc01": entry("lf")}}).to_string().as_bytes()).status != 200 {
        assert!(Instant::now() < until, "{}", daemon.log());
    }
    let codes: Vec<String> = daemon.history(10).into_iter().map(|row| row.state).collect();
    assert_eq!(codes, ["wu", "lf"]);
}

#[test]
fn d4_a_damaged_history_is_put_aside_and_the_daemon_goes_on_with_what_can_be_read() {
    let mut daemon = Daemon::start(&[]);
    for i in 0..40 {
        daemon.set(&format!("hg075pc{:02}", i % 20), state(i));
    }
    let mut slave = Channel::named(&daemon, "slave");
    slave.ask(&json!([everything(), get("occupation")]));
    let (before, rows) = (daemon.whole(), daemon.history(100));
    assert_eq!(daemon.terminate().code(), Some(0));
    let mut bytes = fs::read(daemon.history_file()).unwrap();
    bytes[..100].fill(0);
    fs::write(daemon.history_file(), &bytes).unwrap();
    daemon.restart();
    assert!(daemon.log().contains("the history was salvaged"), "{}", daemon.log());
    let after = daemon.whole();
    assert_eq!((&after.occupation, &after.room_map), (&before.occupation, &before.room_map));
    assert!(after.occupation_version > before.occupation_version);
    assert_eq!(daemon.history(100), rows);
    // A client that asks on has its filter, and all anew.
    let messages = Channel::named(&daemon, "slave").poll();
    assert_eq!(types(&messages), ["welcome", "tags", "roomMap", "schedule", "occupation"]);
    let names =
        fs::read_dir(daemon.dir()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let aside: Vec<String> = names.filter(|name| name.starts_with("history.sqlite3.damaged-")).collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(fs::read(daemon.dir().join(&aside[0])).unwrap() == bytes, "kept as it was");
}

#[test]
fn d7_a_second_daemon_on_one_history_or_port_exits_within_a_second_and_touches_nothing() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "wu");
    daemon.settle();
    let db = format!("history.db={}", daemon.history_file().display());
    let web = format!("http.listen={}", daemon.joyce());
    let push = format!("push.listen={}", daemon.push_port());
    let free = ["http.listen=127.0.0.1:0", "push.listen=127.0.0.1:0", "history.db=own.sqlite3"];
    for (of, sets) in [
        ("history", [free[0], free[1], db.as_str()]),
        ("web port", [web.as_str(), free[1], free[2]]),
        ("push port", [free[0], push.as_str(), free[2]]),
        ("all", [web.as_str(), push.as_str(), db.as_str()]),
    ] {
        let elsewhere = tempfile::tempdir().unwrap();
        let before = all_of(daemon.dir());
        let begun = Instant::now();
        let arguments = ["run", "--set", sets[0], "--set", sets[1], "--set", sets[2]];
        let (code, _, err) = run_to_end(elsewhere.path(), &arguments);
        assert!(begun.elapsed() < Duration::from_secs(1), "{of}: {:?}", begun.elapsed());
        assert!(code.is_some_and(|code| code != 0), "{of}: {code:?} {err}");
        assert!(err.lines().any(|line| line.starts_with("tkbd: ") && line.contains("in use")), "{of}: {err}");
        assert!(all_of(daemon.dir()) == before, "{of}: something was touched");
        assert!(all_of(elsewhere.path()).is_empty(), "{of}: something was created");
    }
    daemon.set("hg075pc01", "wf");
}

#[test]
fn o7_every_file_of_the_history_is_its_owners_alone_under_any_umask() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.sqlite3");
    // A database of the original, which everybody could read.
    let original = rusqlite::Connection::open(&file).unwrap();
    original
        .execute_batch(
            "CREATE TABLE sources (id INTEGER PRIMARY KEY ASC AUTOINCREMENT, name STRING);
             CREATE TABLE pcs (id INTEGER PRIMARY KEY ASC AUTOINCREMENT, name STRING);
             CREATE TABLE occupationUpdates (id INTEGER PRIMARY KEY ASC AUTOINCREMENT,
                 pc INTEGER REFERENCES pcs, source INTEGER REFERENCES sources, datetime INTEGER, occupation STRING);",
        )
        .unwrap();
    drop(original);
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    let daemon = Daemon::within(&["sh", "-c", "umask 000; exec \"$@\"", "sh"], dir, &[]);
    daemon.set("hg075pc01", "wu");
    assert!(daemon.log().contains("now its owner alone can"), "it is said: {}", daemon.log());
    let mut command = common::tkbd_within(&["sh", "-c", "umask 000; exec \"$@\"", "sh"].map(str::to_owned));
    let copied = command
        .args(["backup", "copy.sqlite3", "--set", "history.db=history.sqlite3"])
        .current_dir(daemon.dir())
        .output()
        .unwrap();
    assert!(copied.status.success(), "{copied:?}");
    let mut names = Vec::new();
    for (path, _, _, mode) in all_of(daemon.dir()) {
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    let all = ["", ".control", ".lock", ".original", "-shm", "-wal"].map(|of| format!("history.sqlite3{of}"));
    let mut all: Vec<String> = all.into_iter().chain(["copy.sqlite3".to_owned()]).collect();
    all.sort();
    names.sort();
    assert_eq!(names, all);
}
