//! What outlives the daemon: after SIGTERM, and after a crash at any moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{
    Channel, DEFAULT_ROOMS, Daemon, GUARD, HistoryRow, Request, assert_taken, campus_setup, chunked, entry,
    everything, filter, get, one, percent, rooms, types, version,
};
use serde_json::{Value, json};

/// A state of several pushes, sources and rooms, with versions that differ.
fn lived_in(sets: &[&str]) -> Daemon {
    let daemon = Daemon::start(sets);
    daemon.push("seed", &json!({"hg075pc01": entry("o"), "hg999pc01": entry("lf"), "printer7": entry("x")}));
    for state in ["wf", "wu", "lx"] {
        daemon.set("hg075pc01", state);
    }
    daemon.push("late", &json!({"bibpc01": entry("wx"), "007": entry("lu")}));
    daemon
}

fn assert_back(daemon: &Daemon, before: &common::Whole, rows: &[HistoryRow]) {
    let after = daemon.whole();
    assert_eq!(after.occupation, before.occupation);
    assert_eq!(after.room_map, before.room_map);
    assert_eq!(daemon.history(1000), rows);
    for (old, new) in [
        (before.occupation_version, after.occupation_version),
        (before.room_map_version, after.room_map_version),
        (before.schedule_version, after.schedule_version),
    ] {
        assert!(new >= old, "a version fell from {old} to {new}");
    }
    daemon.set("hg075pc01", if after.occupation["hg075pc01"] == "wf" { "wu" } else { "wf" });
    assert!(daemon.whole().occupation_version > before.occupation_version, "a version names one state");
    daemon.set(&format!("hg137pc{}", rows.len()), "wf");
    assert!(daemon.whole().room_map_version > before.room_map_version);
}

#[test]
fn state_versions_and_history_are_back_after_an_orderly_end() {
    let mut daemon = lived_in(&[]);
    for _ in 0..3 {
        let (before, rows) = (daemon.whole(), daemon.history(1000));
        daemon.restart();
        assert_back(&daemon, &before, &rows);
    }
}

#[test]
fn state_versions_and_history_are_back_after_a_crash() {
    let mut daemon = lived_in(&[]);
    for _ in 0..3 {
        let (before, rows) = (daemon.whole(), daemon.history(1000));
        daemon.kill();
        daemon.restart();
        assert_back(&daemon, &before, &rows);
    }
}

#[test]
fn p7_a_repeated_push_changes_nothing_after_a_restart_either() {
    let mut daemon = lived_in(&[]);
    let (before, rows) = (daemon.whole(), daemon.history(1000));
    daemon.restart();
    daemon.push("late", &json!({"bibpc01": entry("wx"), "007": entry("lu")}));
    assert_eq!(daemon.whole(), before);
    assert_eq!(daemon.history(1000), rows);
}

#[test]
fn a_daemon_that_changed_nothing_comes_back_with_the_same_versions_or_later_ones() {
    let mut daemon = Daemon::start(&[]);
    let before = daemon.whole();
    daemon.restart();
    let after = daemon.whole();
    assert_eq!((&after.occupation, &after.room_map), (&before.occupation, &before.room_map));
    assert!(after.occupation_version >= before.occupation_version);
    assert!(after.room_map_version >= before.room_map_version);
}

#[test]
fn p9_after_a_crash_an_acknowledged_push_is_there_and_another_is_whole_or_absent() {
    let pcs: Vec<String> = (1..=5).map(|i| format!("hg075pc0{i}")).collect();
    let states = ["wf", "wu", "lf", "lu", "wx", "lx", "o"];
    let data = |i: usize| -> Value {
        let of = |pc: &String| (pc.clone(), entry(states[i % states.len()]));
        pcs.iter().map(of).collect::<serde_json::Map<_, _>>().into()
    };
    let mut daemon = Daemon::start(&[]);
    let mut sent_before = 0;
    for crash_after in [1, 7, 23, 60] {
        let acknowledged = AtomicUsize::new(sent_before);
        let mut pusher = daemon.connect_push();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for i in sent_before.. {
                    let body = json!({"datasource": format!("push {i}"), "data": data(i)}).to_string();
                    pusher.send_what_is_taken(&Request::post("/push").body(&body).bytes());
                    match pusher.try_receive(false) {
                        Ok(Some(response)) => assert_taken(&response, &body),
                        _ => return,
                    }
                    acknowledged.store(i + 1, Ordering::SeqCst);
                }
            });
            let until = Instant::now() + GUARD;
            while acknowledged.load(Ordering::SeqCst) < sent_before + crash_after {
                assert!(Instant::now() < until, "pushes are not taken");
                std::thread::yield_now();
            }
            daemon.kill();
        });
        let acknowledged = acknowledged.load(Ordering::SeqCst);
        daemon.restart();
        let rows = daemon.history(1000);
        assert_eq!(rows.len() % pcs.len(), 0, "half a push in the history");
        let pushes = rows.len() / pcs.len();
        assert!(
            (acknowledged..=acknowledged + 1).contains(&pushes),
            "{acknowledged} acknowledged, {pushes} kept"
        );
        for (i, block) in rows.chunks(pcs.len()).enumerate() {
            let got: BTreeMap<&str, &str> = block.iter().map(|r| (r.pc.as_str(), r.state.as_str())).collect();
            assert_eq!(got, pcs.iter().map(|pc| (pc.as_str(), states[i % states.len()])).collect());
            assert!(block.iter().all(|row| row.source == format!("push {i}")), "{block:?}");
        }
        let whole = daemon.whole();
        assert!(whole.occupation.values().all(|state| state == states[(pushes - 1) % states.len()]));
        sent_before = pushes;
    }
}

/// The rest of a channel's life, as its client sees it when it asks on after the daemon came back.
fn assert_restored(daemon: &Daemon, token: &str, of: &Value) {
    let mut channel = Channel::named(daemon, token);
    let messages = channel.poll();
    assert_eq!(types(&messages), ["welcome", "tags", "roomMap", "schedule", "occupation"], "{of}");
    let truth = daemon.whole();
    let occupation = common::states(&messages[4]["occupation"]);
    let map = rooms(&messages[2]["roomMap"]);
    if of.is_null() {
        assert_eq!((occupation, map.len()), (truth.occupation.clone(), truth.room_map.len()));
    } else {
        let tagged = |pc: &&String| !["hg999pc01", "printer7", "007"].contains(&pc.as_str());
        assert_eq!(
            occupation.keys().collect::<Vec<_>>(),
            truth.occupation.keys().filter(tagged).collect::<Vec<_>>()
        );
        assert_eq!(map.len(), DEFAULT_ROOMS.len() - 1);
    }
    assert_eq!(version(&messages[4]), truth.occupation_version);
    channel.send(&json!([]));
    let state = if truth.occupation["hg075pc01"] == "wf" { "wu" } else { "wf" };
    daemon.set("hg075pc01", state);
    let messages = channel.receive();
    assert_eq!(
        one(&messages, "occupation_update")["update"],
        json!({"hg075pc01": state}),
        "it goes on by itself"
    );
}

#[test]
fn c6_a_known_token_has_its_filter_and_its_snapshots_back_after_an_orderly_end() {
    let mut daemon = lived_in(&[]);
    let tokens = ["slave+/=0", "page-1"];
    let filters = [json!(null), json!(["hg"])];
    for (token, of) in tokens.iter().zip(&filters) {
        let body = json!([token, filter(of), get("occupation")]).to_string();
        assert_eq!(daemon.ask(&Request::post("/").body(body)).status, 200);
    }
    for _ in 0..2 {
        daemon.restart();
        for (token, of) in tokens.iter().zip(&filters) {
            assert_restored(&daemon, token, of);
        }
    }
}

#[test]
fn c6_f4_a_known_token_has_its_filter_and_its_snapshots_back_after_a_crash() {
    let mut daemon = lived_in(&[]);
    let body = json!(["slave", everything(), get("occupation")]).to_string();
    assert_eq!(daemon.ask(&Request::post("/").body(body)).status, 200);
    // A filter is saved within a second of being set (C3), and nothing outside says when; two are allowed here.
    std::thread::sleep(Duration::from_secs(2));
    daemon.kill();
    daemon.restart();
    assert_restored(&daemon, "slave", &Value::Null);
}

#[test]
fn c6_what_a_client_asks_for_when_it_comes_back_follows_the_snapshots() {
    let mut daemon = lived_in(&[]);
    let body = json!(["slave", everything(), get("occupation")]).to_string();
    daemon.ask(&Request::post("/").body(body));
    daemon.restart();
    let mut slave = Channel::named(&daemon, "slave");
    let messages = slave.ask(&json!([everything(), get("tag_names"), get("occupation")]));
    let of = types(&messages);
    assert_eq!(of[..2], ["welcome", "tags"]);
    assert_eq!(of.iter().filter(|&&of| of == "tags").count(), 2);
    assert_eq!(common::states(&one(&messages, "occupation")["occupation"]), daemon.whole().occupation);
    let place = |what: &str| of.iter().position(|&of| of == what).unwrap();
    assert!(place("roomMap") < place("schedule") && place("schedule") < place("occupation"), "{of:?}");
}

#[test]
fn c6_a_client_that_was_held_during_the_restart_asks_again_and_goes_on() {
    let mut daemon = lived_in(&[]);
    let mut channel = Channel::with_filter(&daemon, &Value::Null);
    let token = channel.token().to_owned();
    channel.send(&json!([]));
    daemon.settle();
    daemon.restart();
    assert_eq!(channel.receive(), [json!(null); 0]);
    assert_restored(&daemon, &token, &Value::Null);
}

#[test]
fn o2_sigterm_answers_every_held_request_empty_and_ends_with_0() {
    let mut daemon = lived_in(&[]);
    let mut channels: Vec<Channel> = (0..100).map(|_| Channel::with_filter(&daemon, &Value::Null)).collect();
    let mut pages = Vec::new();
    for (i, channel) in channels.iter_mut().enumerate() {
        if i % 4 == 0 {
            let mut page = daemon.connect();
            page.send(
                &Request::get(&format!("/?c=cb&m={}", percent(json!([channel.token()]).to_string()))).bytes(),
            );
            pages.push((page, channel.token().to_owned()));
        } else {
            channel.send(&json!([]));
        }
    }
    let mut idle = daemon.connect();
    assert_eq!(idle.exchange(&Request::get("/nowhere")).status, 400);
    daemon.settle();
    daemon.ask_to_end();
    for (i, channel) in channels.iter_mut().enumerate() {
        if i % 4 != 0 {
            assert_eq!(channel.receive(), [json!(null); 0]);
        }
    }
    for (mut page, token) in pages {
        let response = page.receive();
        assert_eq!((response.status, response.jsonp("cb")), (200, json!([token, [], []])));
    }
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    idle.wait_until_closed();
}

#[test]
fn o2_at_the_end_every_answer_says_that_its_connection_ends() {
    let mut daemon = lived_in(&[]);
    let mut channels: Vec<Channel> = (0..20).map(|_| Channel::with_filter(&daemon, &Value::Null)).collect();
    for channel in &mut channels {
        channel.send(&json!([]));
    }
    daemon.settle();
    daemon.ask_to_end();
    for channel in &mut channels {
        let response = channel.client().receive();
        assert_eq!((response.status, response.header("Connection")), (200, Some("close")), "{response:?}");
        channel.client().wait_until_closed();
    }
}

#[test]
fn o2_what_is_on_its_way_when_the_daemon_is_to_end_is_answered() {
    let mut daemon = lived_in(&[]);
    let mut kept = Channel::with_filter(&daemon, &Value::Null);
    let mut fresh = daemon.connect();
    let mut pushed = daemon.connect_push();
    let push = |state| {
        let body = json!({"datasource": "test", "data": {"hg075pc01": entry(state)}}).to_string();
        (Request::post("/push").body(&body), body)
    };
    let (request, body) = push("wf");
    assert_taken(&pushed.exchange(&request), &body);
    let mut held = Channel::with_filter(&daemon, &json!([]));
    held.send(&json!([]));
    daemon.settle();
    daemon.ask_to_end();
    assert_eq!(held.receive(), [json!(null); 0], "from now on the daemon ends");

    kept.send(&json!([]));
    fresh.send(&Request::get("/?c=cb&m=[null]").bytes());
    let (request, body) = push("lu");
    pushed.send(&request.bytes());
    let response = kept.client().receive();
    assert_eq!((response.status, response.header("Connection")), (200, Some("close")), "{response:?}");
    // It was not held: there was something to say, or the end.
    assert_eq!(response.json()[0], json!(kept.token()));
    let response = fresh.receive();
    assert_eq!((response.status, response.header("Connection")), (200, Some("close")), "{response:?}");
    let response = pushed.receive();
    assert_taken(&response, &body);
    assert_eq!(response.header("Connection"), Some("close"));
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    daemon.restart();
    assert_eq!(daemon.whole().occupation["hg075pc01"], "lu");
}

#[test]
fn o2_pushes_that_wait_for_a_place_are_answered_before_the_end() {
    let mut daemon = Daemon::start(&["push.max_connections=1"]);
    // The place is taken by one that has said nothing yet.
    let silent = daemon.connect_push();
    let mut waiting: Vec<_> = (0..3).map(|_| daemon.connect_push()).collect();
    for (i, push) in waiting.iter_mut().enumerate() {
        let body = json!({"data": {format!("hg075pc{i}"): entry("wf")}}).to_string();
        push.send(&Request::post("/push").header("Connection", "close").body(&body).bytes());
    }
    daemon.settle();
    daemon.ask_to_end();
    for push in &mut waiting {
        assert_taken(&push.receive(), "a push that waited");
    }
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    drop(silent);
}

#[test]
fn p10_what_comes_when_the_history_is_being_closed_changes_nothing() {
    let mut daemon = Daemon::start(&["history.acknowledge_within=2s"]);
    daemon.set("hg075pc01", "wf");
    let before = daemon.whole();
    let body = json!({"datasource": "late", "data": {"hg075pc02": entry("wu")}}).to_string();
    let late_push = Request::post("/push").header("Connection", "close").body(&body).bytes();
    let mut late = daemon.connect_push();
    late.send(&late_push[..late_push.len() - 1]);
    daemon.settle();
    // The disk is busy with something else, so that to close takes a while.
    let other = rusqlite::Connection::open(daemon.history_file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waits = json!({"data": {"hg075pc01": entry("lf")}}).to_string();
    assert_eq!(daemon.try_push(waits.as_bytes()).status, 202);
    daemon.ask_to_end();
    let until = Instant::now() + GUARD;
    while !daemon.log().contains("some connections did not end in time") {
        assert!(Instant::now() < until, "{}", daemon.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    late.send(&late_push[late_push.len() - 1..]);
    let answer = late.receive();
    assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("5")), "{answer:?}");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    daemon.restart();
    let after = daemon.whole();
    assert_eq!(after.occupation, BTreeMap::from([("hg075pc01".into(), "lf".into())]));
    assert_eq!(after.occupation_version, before.occupation_version + 1);
}

#[test]
fn o2_sigterm_does_not_wait_for_clients_that_send_half_a_request() {
    let mut daemon = Daemon::start(&[]);
    let mut halves = [daemon.connect(), daemon.connect(), daemon.connect_push(), daemon.connect_push()];
    halves[0].send(b"GET /?m=");
    halves[2].send(b"POST /push HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{");
    daemon.settle();
    assert_eq!(daemon.terminate().code(), Some(0), "{}", daemon.log());
}

#[test]
fn o2_sigterm_does_not_wait_for_connections_that_were_never_used() {
    let mut daemon = Daemon::start(&[]);
    let unused = [daemon.connect(), daemon.connect_push()];
    daemon.settle();
    assert_eq!(daemon.terminate().code(), Some(0), "{}", daemon.log());
    assert!(!daemon.log().contains("did not end in time"), "{}", daemon.log());
    drop(unused);
}

#[test]
fn a_history_switched_off_still_shows_what_is_pushed() {
    let daemon = Daemon::start(&["history.enabled=false"]);
    daemon.set("hg075pc01", "wf");
    assert_eq!(daemon.whole().occupation["hg075pc01"], "wf");
    assert!(!daemon.history_file().exists());
    assert_eq!(daemon.history(10), []);
}

#[test]
fn a_setup_may_have_changed_when_the_daemon_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.sqlite3");
    let mut first = Daemon::start(&[]);
    first.push("seed", &json!({"bibpc01": entry("wf"), "hg075pc01": entry("lu"), "hg999pc01": entry("x")}));
    let before = first.whole();
    assert_eq!(first.terminate().code(), Some(0));
    for beside in ["", "-wal"] {
        let from = format!("{}{beside}", first.history_file().display());
        if Path::new(&from).exists() {
            std::fs::copy(from, format!("{}{beside}", file.display())).unwrap();
        }
    }
    let set = format!("history.db={}", file.display());
    let second = Daemon::with_setup(&campus_setup("", &["hg", "bieb"]), &[&set]);
    let after = second.whole();
    assert_eq!(after.occupation, before.occupation);
    assert!(after.occupation_version >= before.occupation_version);
    assert!(after.room_map_version >= before.room_map_version);
    let mut library = Channel::with_filter(&second, &json!(["bieb"]));
    assert_eq!(
        one(&library.ask(&json!([get("occupation")])), "occupation")["occupation"],
        json!({"bibpc01": "wf"})
    );
}

#[test]
fn a_crash_in_the_middle_of_a_body_leaves_nothing_of_it() {
    let mut daemon = lived_in(&[]);
    let before = daemon.whole();
    let body = json!({"data": {"hg075pc01": entry("o")}}).to_string();
    let bytes = Request::post("/push")
        .header("Transfer-Encoding", "chunked")
        .body(chunked(body.as_bytes(), 3))
        .bytes();
    let mut client = daemon.connect_push();
    client.send(&bytes[..bytes.len() - 5]);
    daemon.settle();
    daemon.kill();
    daemon.restart();
    assert_eq!(daemon.whole().occupation, before.occupation);
}

#[test]
fn o6_a_daemon_whose_log_nobody_reads_any_more_still_ends_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = common::tkbd()
        .args(["run", "--set", "http.listen=127.0.0.1:0", "--set", "push.listen=127.0.0.1:0"])
        .args(["--set", "history.db=history.sqlite3"])
        .current_dir(&dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Read up to where it listens, and no further.
    let log = BufReader::new(daemon.stderr.take().unwrap());
    assert!(log.lines().map_while(Result::ok).any(|line| line.contains("listening")));
    assert!(common::ask_to_end(&daemon));
    let ended = daemon.wait().unwrap();
    assert_eq!(ended.code(), Some(0), "{ended}");
}
