//! Streams: nothing is lost across cuts and restarts, and a slow reader harms nobody.

use super::listener::{Listener, names, tagged, update};
use super::{daemon, get, ok, problem};
use crate::common::{Client, Daemon, Request, entry, states};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// What there is, as the API tells.
fn whole(daemon: &Daemon, query: &str) -> BTreeMap<String, String> {
    states(&ok(daemon, &format!("/api/v1/occupation{query}")).json()["occupation"])
}

#[test]
fn a_stream_begins_with_all_there_is_and_goes_on_with_what_changes() {
    let daemon = daemon();
    let mut listener = Listener::new(&daemon, "");
    assert!(listener.block().unwrap().starts_with("retry: "));
    let all = listener.together();
    assert_eq!(names(&all), ["tagMap", "roomMap", "schedule", "occupation"]);
    assert_eq!(listener.view.occupation, whole(&daemon, ""));
    daemon.set("lab1pc1", "wu");
    let told = listener.together();
    assert_eq!(names(&told), ["occupation_update"]);
    assert_eq!(update(&told[0]), [("lab1pc1".to_owned(), "wu".to_owned())]);
    daemon.set("lab1pc9", "o");
    assert_eq!(names(&listener.together()), ["roomMap", "schedule", "occupation_update"]);
    assert_eq!(listener.view.occupation, whole(&daemon, ""));
}

#[test]
fn a_head_of_a_stream_is_that_of_the_stream() {
    let daemon = daemon();
    let head = |method: &str, path: &str| {
        let mut client = daemon.connect();
        client.send(&Request::new(method, path).bytes());
        let head = String::from_utf8(client.read_until(b"\r\n\r\n").unwrap().unwrap()).unwrap();
        // A connection may stay behind the answer to a HEAD.
        let passing = |line: &&str| line.starts_with("Date: ") || *line == "Connection: close";
        let lines: BTreeSet<String> = head.lines().filter(|line| !passing(line)).map(str::to_owned).collect();
        lines
    };
    for path in ["/events", "/live"] {
        let told = head("HEAD", path);
        assert_eq!(told, head("GET", path), "{path}");
        assert!(told.contains("Content-Type: text/event-stream; charset=utf-8"), "{path}: {told:?}");
        assert_eq!(told.contains("Access-Control-Allow-Origin: *"), path == "/events", "{told:?}");
    }
}

#[test]
fn a_stream_hears_of_the_rooms_that_its_tags_choose() {
    let daemon = daemon();
    let query = tagged(&["east", "west"]);
    let mut listener = Listener::new(&daemon, &query);
    listener.together();
    assert_eq!(listener.view.occupation.len(), 4);
    daemon.set("lab2pc1", "wu");
    daemon.set("lab3pc1", "wf");
    assert_eq!(update(&listener.together()[0]), [("lab3pc1".to_owned(), "wf".to_owned())], "and of no other");
    assert_eq!(listener.view.occupation, whole(&daemon, &query));
}

#[test]
fn who_comes_back_after_a_cut_is_told_what_has_changed_and_no_more() {
    let daemon = daemon();
    let mut listener = Listener::new(&daemon, "");
    listener.together();
    daemon.set("lab1pc1", "wu");
    listener.together();
    // What is told now is lost on the way.
    daemon.set("lab1pc2", "lu");
    daemon.set("lab1pc3", "lf");
    listener.come_back(&daemon);
    let missed = listener.together();
    assert_eq!(names(&missed), ["occupation_update"], "a delta, and no snapshot");
    let expected =
        [("lab1pc2", "lu"), ("lab1pc3", "lf")].map(|(pc, state)| (pc.to_owned(), state.to_owned()));
    assert_eq!(update(&missed[0]), expected);
    daemon.set("lab1pc2", "lf");
    assert_eq!(update(&listener.together()[0]).len(), 1, "it goes on where it was");
    assert_eq!(listener.view.occupation, whole(&daemon, ""));
}

#[test]
fn who_comes_back_after_a_restart_is_told_what_has_changed_and_no_more() {
    let mut daemon = daemon();
    let mut listener = Listener::new(&daemon, "");
    listener.together();
    daemon.set("lab1pc1", "wu");
    listener.together();
    let missed_end = listener.last.clone();
    daemon.set("lab1pc2", "lu");
    daemon.restart();
    daemon.set("lab1pc3", "o");
    listener.last = missed_end;
    listener.come_back(&daemon);
    let mut told = Vec::new();
    while listener.view.occupation["lab1pc3"] != "o" || listener.view.occupation["lab1pc2"] != "lu" {
        told.push(listener.event().expect("the stream has ended").name);
    }
    assert!(!told.iter().any(|name| name == "occupation" || name == "roomMap"), "a delta: {told:?}");
    assert_eq!(listener.view.occupation, whole(&daemon, ""));
    // After a crash versions go on past all that were shown, and all is told anew.
    daemon.kill();
    daemon.restart();
    listener.come_back(&daemon);
    assert!(names(&listener.together()).contains(&"occupation"));
    assert_eq!(listener.view.occupation, whole(&daemon, ""));
}

#[test]
fn an_id_that_is_none_of_this_daemon_s_brings_all() {
    let daemon = daemon();
    for last in ["", "x", "1.2.3", "9999.1.1.1", "-1.0.0.0", "1.1.1.1.1"] {
        let mut listener = Listener::new(&daemon, "");
        listener.last = Some(last.to_owned());
        listener.come_back(&daemon);
        assert_eq!(names(&listener.together()), ["tagMap", "roomMap", "schedule", "occupation"], "{last:?}");
    }
}

#[test]
fn who_comes_from_another_daemon_with_the_same_versions_is_told_all() {
    // As from one mirror to the next behind the same name.
    let (one, two) = (daemon(), daemon());
    let mut listener = Listener::new(&one, "");
    listener.together();
    let tag = ok(&one, "/api/v1/occupation").header("ETag").unwrap().to_owned();
    let request = Request::get("/api/v1/occupation").header("If-None-Match", &tag);
    assert_eq!((one.ask(&request).status, two.ask(&request).status), (304, 200));
    two.set("lab1pc1", "wu");
    two.set("lab1pc1", "lu");
    one.set("lab1pc1", "wx");
    listener.together();
    let versions = |last: &Option<String>| last.clone().unwrap().rsplit_once('.').unwrap().0.to_owned();
    let first = versions(&listener.last);
    listener.come_back(&two);
    assert_eq!(names(&listener.together()), ["tagMap", "roomMap", "schedule", "occupation"]);
    assert_eq!(listener.view.occupation, whole(&two, ""));
    let rest = |versions: &str| versions.split_once('.').unwrap().1.to_owned();
    assert_eq!(rest(&first), rest(&versions(&listener.last)), "which nothing but the daemon tells apart");
}

#[test]
fn a_hundred_pushes_across_cuts_leave_every_view_as_the_state_is() {
    let daemon = daemon();
    let mut listeners: Vec<Listener> =
        ["", "?tag=labs", "?tag=west"].map(|query| Listener::new(&daemon, query)).into();
    let states = ["wf", "lf", "wu", "lu", "o", "x"];
    for i in 0..100 {
        daemon.set(&format!("lab1pc{}", i % 7), states[(i / 7 + i) % states.len()]);
        let at = i % listeners.len();
        if i % 5 == 0 {
            listeners[at].come_back(&daemon);
        } else if i % 3 == 0 && listeners[at].view.rooms.is_some() {
            // It may have read less than it was sent.
            listeners[at].come_back(&daemon);
            listeners[at].together_if_any(&daemon);
        }
    }
    daemon.set("lab1pc0", "wx");
    daemon.set("lab1pc0", "lx");
    for (listener, query) in listeners.iter_mut().zip(["", "?tag=labs", "?tag=west"]) {
        listener.until("lab1pc0", "lx");
        assert_eq!(listener.view.occupation, whole(&daemon, query), "{query}");
    }
}

impl Listener {
    /// Takes what there is to take for one that has come back: something it always is, once the state is another.
    fn together_if_any(&mut self, daemon: &Daemon) {
        let probe =
            if self.view.occupation.get("lab1pc8").map(String::as_str) == Some("o") { "x" } else { "o" };
        daemon.set("lab1pc8", probe);
        self.until("lab1pc8", probe);
    }
}

#[test]
fn a_stream_on_which_nothing_happens_says_that_it_is_there() {
    let daemon = daemon();
    let mut listener = Listener::new(&daemon, "");
    listener.together();
    assert_eq!(listener.block().as_deref(), Some(":"), "a comment, which no client shows");
}

#[test]
fn streams_end_in_order_when_the_daemon_does() {
    let mut daemon = daemon();
    let mut listeners: Vec<Listener> = (0..5).map(|_| Listener::new(&daemon, "")).collect();
    for listener in &mut listeners {
        listener.together();
    }
    assert_eq!(daemon.terminate().code(), Some(0), "{}", daemon.log());
    for listener in &mut listeners {
        assert!(listener.event().is_none(), "the end is one, and no reset");
    }
}

#[test]
fn streams_count_as_channels_and_give_their_places_back() {
    let mut daemon = Daemon::start(&["http.max_channels=3"]);
    daemon.set("hg075pc1", "wf");
    let listeners: Vec<Listener> = (0..3)
        .map(|_| {
            let mut listener = Listener::new(&daemon, "");
            listener.together();
            listener
        })
        .collect();
    let full = get(&daemon, "/events");
    problem(&full, 503);
    assert!(full.header("Retry-After").is_some(), "{full:?}");
    assert_eq!(daemon.ask_m("[]").status, 503, "nor is there a channel");
    drop(listeners);
    let until = std::time::Instant::now() + crate::common::GUARD;
    while get_stream(&daemon).is_none() {
        assert!(std::time::Instant::now() < until, "places are not given back");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // None of them is remembered: a restart knows of no filter.
    daemon.restart();
    let saved = rusqlite::Connection::open(daemon.history_file()).unwrap();
    let filters: i64 = saved.query_row("SELECT count(*) FROM filters", [], |row| row.get(0)).unwrap();
    assert_eq!(filters, 0);
}

#[test]
fn streams_of_one_address_count_against_its_share() {
    let share = ["http.channels_per_address=1", "http.new_channels_per_second=1000", "http.exempt=127.0.0.1"];
    let daemon = Daemon::start(&share);
    let head = |mut client: Client| {
        client.send(&Request::get("/events").bytes());
        let head = client.read_until(b"\r\n\r\n").unwrap().expect("no answer");
        (String::from_utf8(head).unwrap(), client)
    };
    let there = || Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), daemon.joyce());
    let (first, _kept) = head(there());
    assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
    let (second, _) = head(there());
    assert!(second.starts_with("HTTP/1.1 503 "), "{second}");
    assert!(head(daemon.connect()).0.starts_with("HTTP/1.1 200 "), "others have theirs");
}

/// A stream, if there is a place for one.
fn get_stream(daemon: &Daemon) -> Option<()> {
    let mut client = daemon.connect();
    client.send(&Request::get("/events").bytes());
    let head = client.read_until(b"\r\n\r\n").unwrap()?;
    head.starts_with(b"HTTP/1.1 200").then_some(())
}

#[test]
fn c12_a_reader_that_takes_nothing_is_given_up_and_harms_nobody() {
    let daemon = Daemon::start(&["limits.pcs=100000", "http.stalled=1s"]);
    let all = |state: &str| -> Value {
        (0..3000).map(|i| (format!("hg075-a-rather-long-name-of-a-computer-pc{i}"), entry(state))).collect()
    };
    daemon.push("test", &all("wf"));
    let mut quick = Listener::new(&daemon, "");
    quick.together();
    let mut slow = Listener::new(&daemon, "");
    slow.together();
    // What a socket holds of what nobody reads is a few MiB: a push is 150 KiB.
    let deadline = std::time::Instant::now() + crate::common::GUARD * 3;
    let mut i = 0;
    let gone = loop {
        let state = ["lf", "wf"][i % 2];
        daemon.push("test", &all(state));
        quick.until("hg075-a-rather-long-name-of-a-computer-pc2999", state);
        i += 1;
        let channels = channels(&daemon);
        if channels == 1 || std::time::Instant::now() > deadline {
            break channels;
        }
    };
    assert_eq!(gone, 1, "the slow one has no channel any more");
    slow.come_back(&daemon);
    slow.together();
    assert_eq!(slow.view.occupation, whole(&daemon, ""));
}

fn channels(daemon: &Daemon) -> u64 {
    let metrics = ok(daemon, "/metrics");
    let line = metrics.text().lines().find(|line| line.starts_with("tkbd_channels ")).expect("tkbd_channels");
    line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64
}

#[test]
fn a_thousand_streams_are_told_a_push_once_each() {
    let daemon = daemon();
    let mut listeners: Vec<Listener> = (0..1000).map(|_| Listener::new(&daemon, "?tag=west")).collect();
    for listener in &mut listeners {
        listener.together();
    }
    daemon.set("lab1pc1", "wu");
    daemon.set("lab1pc2", "lu");
    for listener in &mut listeners {
        let mut told = Vec::new();
        while listener.view.occupation["lab1pc2"] != "lu" {
            told.extend(update(&listener.event().expect("the stream has ended")));
        }
        let expected =
            [("lab1pc1", "wu"), ("lab1pc2", "lu")].map(|(pc, state)| (pc.to_owned(), state.to_owned()));
        assert_eq!(told, expected);
    }
}
