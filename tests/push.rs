//! The push port, promise by promise: what a body means, who may push, and what a bad body costs (nothing).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use common::{
    Channel, Client, DEFAULT_ROOMS, Daemon, Request, assert_taken, campus_setup, chunked, entry, get, only,
    run_to_end, version,
};
use serde_json::{Value, json};

fn body(data: &Value) -> String {
    json!({"datasource": "test", "data": data}).to_string()
}

fn post(data: &Value) -> Request {
    Request::post("/push").body(body(data))
}

// ------------------------------------------------------------------------------------------------ §4, what a body means

#[test]
fn every_event_status_and_session_means_what_the_table_says() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect_push();
    let mut reader = Channel::with_filter(&daemon, &Value::Null);
    let mut read = || {
        let messages = reader.ask(&json!([get("occupation")]));
        common::one(&messages, "occupation").clone()
    };
    let none = Value::Null;
    for event in [&none, &json!("logon"), &json!("logoff")] {
        for status in [&none, &json!("offline"), &json!("free"), &json!("used"), &json!("unknown")] {
            for (session, letter) in
                [(&none, None), (&json!("windows"), Some("w")), (&json!("linux"), Some("l"))]
            {
                let mut entry = serde_json::Map::new();
                for (key, value) in [("event", event), ("status", status), ("session", session)] {
                    if !value.is_null() {
                        entry.insert(key.to_owned(), value.clone());
                    }
                }
                let entry = Value::from(entry);
                let os = letter.unwrap_or("w");
                let meaning = match (event.as_str(), status.as_str()) {
                    (Some("logon"), _) | (None, Some("used")) => format!("{os}u"),
                    (Some("logoff"), _) | (None, Some("free")) => format!("{os}f"),
                    (None, Some("offline")) => "o".to_owned(),
                    (None, Some("unknown")) => letter.map_or("x".to_owned(), |os| format!("{os}x")),
                    _ => String::new(),
                };
                if meaning.is_empty() {
                    let before = read();
                    let why = daemon.refused(body(&json!({"hg075pc01": entry})).as_bytes());
                    assert!(why["entries"]["hg075pc01"].is_string(), "{entry} → {why}");
                    assert_eq!(read(), before, "{entry}");
                    continue;
                }
                // Whatever it was before, it is another state now.
                let other = if meaning == "o" { "x" } else { "o" };
                assert_taken(&client.exchange(&post(&json!({"hg075pc01": common::entry(other)}))), other);
                assert_taken(&client.exchange(&post(&json!({"hg075pc01": entry}))), &entry.to_string());
                assert_eq!(read()["occupation"], json!({"hg075pc01": meaning}), "{entry}");
            }
        }
    }
}

#[test]
fn a_name_is_lower_cased_and_implies_its_room() {
    let daemon = Daemon::start(&[]);
    let rooms_of = [
        ("HG075PC47", "hg075"),
        ("hg761pc01", "hg761"),
        ("bibpc44", "hgbib"),
        ("hgbibpc01", "hgbib"),
        ("infopc04", "hg002"),
        ("hginfopc01", "hg002"),
        ("hg002pc09", "hg002"),
        ("hg999pc01", "hg999"),
        ("cz0068pc01", "none"),
        ("czpc", "none"),
        ("hg137pc00docent", "none"),
        ("printer7", "none"),
        ("hg075", "none"),
        ("a.b-c_dpc1", "a.b-c_d"),
    ];
    let data: serde_json::Map<String, Value> =
        rooms_of.iter().map(|(pc, _)| ((*pc).to_owned(), entry("wf"))).collect();
    daemon.push("seed", &Value::from(data));
    let whole = daemon.whole();
    for (pc, room) in rooms_of {
        let pc = pc.to_lowercase();
        assert!(whole.room_map[room].1.contains(&pc), "{pc} is in {room}: {:?}", whole.room_map);
        assert_eq!(whole.occupation[&pc], "wf");
    }
    assert_eq!(whole.room_map.values().map(|(_, pcs)| pcs.len()).sum::<usize>(), rooms_of.len());
    assert_eq!(whole.room_map["hg999"].0, "hg999", "a room not listed has its key as its name");
    let mut tagged = Channel::with_filter(&daemon, &json!(["hg"]));
    let messages = tagged.ask(&json!([get("roomMap")]));
    let map = only(&messages, "roomMap")["roomMap"].as_object().unwrap().clone();
    assert!(!map.contains_key("hg999"), "and no tag");
}

#[test]
fn a_body_comes_with_its_length_or_in_chunks_under_any_content_type() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect_push();
    let states = ["wf", "wu", "lf", "lu", "o"];
    for (i, content_type) in
        ["application/json", "text/plain", "application/x-www-form-urlencoded", "x/y; z=1"].iter().enumerate()
    {
        let bytes = body(&json!({"hg075pc01": entry(states[i])}));
        let request = Request::post("/push").header("Content-Type", content_type).body(&bytes);
        assert_taken(&client.exchange(&request), content_type);
        assert_eq!(daemon.whole().occupation["hg075pc01"], states[i]);
    }
    for size in [1, 7, 1000] {
        let bytes = body(&json!({"hg075pc01": entry(if size == 7 { "wf" } else { "wu" })}));
        let request = Request::post("/push")
            .header("Transfer-Encoding", "chunked")
            .body(chunked(bytes.as_bytes(), size));
        assert_taken(&client.exchange(&request), "chunks");
    }
    assert_eq!(daemon.whole().occupation["hg075pc01"], "wu");
    // As the login watchers do it: HTTP/1.0 manners, one event, no keep-alive.
    let mut once = daemon.connect_push();
    let logon = json!({"data": {"hg075pc01": {"event": "logoff"}}}).to_string();
    assert_taken(&once.exchange(&Request::post("/push").http10().body(&logon)), &logon);
    once.wait_until_closed();
    assert_eq!(daemon.whole().occupation["hg075pc01"], "wf");
}

// ------------------------------------------------------------------------------------------------------ P1–P5, who and how

#[test]
fn p1_an_unlisted_peer_is_refused_before_its_body_is_read() {
    let setup = campus_setup("[push]\nallow = [\"131.174.30.41\", \"10.0.0.0/8\"]\n", &["hg"]);
    let daemon = Daemon::with_setup(&setup, &[]);
    let mut client = daemon.connect_push();
    client.send(b"POST /push HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n");
    assert_eq!(client.receive().status, 403, "no byte of the body was sent");
    assert_eq!(daemon.connect_push().exchange(&post(&json!({"hg075pc01": entry("wf")}))).status, 403);
    assert_eq!(daemon.whole().occupation, BTreeMap::new());
}

#[test]
fn p1_a_mapped_address_is_the_address_it_maps() {
    if common::tls::is_everywhere() {
        // What listens on IPv6 here is the plain port.
        return;
    }
    let setup = campus_setup("[push]\nlisten = \"[::]:0\"\nallow = [\"127.0.0.1\"]\n", &["hg"]);
    let daemon = Daemon::with_setup(&setup, &["push.listen=[::]:0"]);
    assert!(daemon.push_port().is_ipv6());
    daemon.set("hg075pc01", "wf");
    let other = campus_setup("[push]\nlisten = \"[::]:0\"\nallow = [\"::ffff:10.0.0.1\"]\n", &["hg"]);
    let daemon = Daemon::with_setup(&other, &["push.listen=[::]:0"]);
    assert_eq!(daemon.connect_push().exchange(&post(&json!({"hg075pc01": entry("wf")}))).status, 403);
}

#[test]
fn p1_a_network_of_the_list_admits_its_addresses() {
    let setup = campus_setup("[push]\nallow = [\"127.0.0.0/8\"]\n", &["hg"]);
    Daemon::with_setup(&setup, &[]).set("hg075pc01", "wf");
}

#[test]
fn p2_f7_a_forwarding_header_from_a_peer_that_is_no_proxy_is_refused() {
    let daemon = Daemon::start(&[]);
    for (name, value) in [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-For", "131.174.30.41"),
        ("Forwarded", "for=127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("X-Forwarded-Host", "localhost"),
        ("X-Forwarded-Proto", "https"),
        ("x-forwarded-for", ""),
    ] {
        let request = post(&json!({"hg075pc01": entry("wf")})).header(name, value);
        assert_eq!(daemon.connect_push().exchange(&request).status, 403, "{name}: {value}");
    }
    assert_eq!(daemon.whole().occupation, BTreeMap::new());
}

#[test]
fn p2_behind_a_trusted_proxy_the_rightmost_untrusted_hop_is_the_peer() {
    let tables = "[push]\nallow = [\"131.174.30.41\"]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let daemon = Daemon::with_setup(&campus_setup(tables, &["hg"]), &[]);
    let ask = |hops: &[&str]| {
        let request = post(&json!({"hg075pc01": entry("wf")}));
        let request = hops.iter().fold(request, |request, hop| request.header("X-Forwarded-For", hop));
        daemon.connect_push().exchange(&request).status
    };
    assert_eq!(ask(&["131.174.30.41, 6.6.6.6"]), 403, "what a client claims of itself counts for nothing");
    assert_eq!(ask(&["6.6.6.6"]), 403);
    assert_eq!(ask(&["131.174.30.41", "6.6.6.6"]), 403, "the last of two headers is the rightmost");
    assert_eq!(ask(&["131.174.30.41, nonsense"]), 403);
    assert_eq!(ask(&[]), 403, "the proxy itself is not on the list");
    assert_eq!(daemon.whole().occupation, BTreeMap::new());
    assert_eq!(ask(&["131.174.30.41"]), 200);
    assert_eq!(ask(&["6.6.6.6, 131.174.30.41"]), 200);
    assert_eq!(ask(&["131.174.30.41, 127.0.0.1"]), 200, "a trusted hop is passed over");
    assert_eq!(ask(&["6.6.6.6", "131.174.30.41"]), 200);
}

#[test]
fn p3_a_browser_and_a_rebound_name_are_refused() {
    let tables = "[push]\nhosts = [\"tkbd.example\"]\n";
    let daemon = Daemon::with_setup(&campus_setup(tables, &["hg"]), &[]);
    let request = || post(&json!({"hg075pc01": entry("wf")}));
    let mut refused = vec![
        request().header("Origin", "http://evil.example"),
        request().header("Origin", "null"),
        request().header("Origin", "http://127.0.0.1"),
    ];
    for site in ["cross-site", "same-origin", "none"] {
        refused.push(request().header("Sec-Fetch-Site", site));
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:1235", "tkbd.example.evil"]
    {
        refused.push(request().host(host));
    }
    for request in refused {
        let response = daemon.connect_push().exchange(&request);
        assert_eq!(response.status, 403, "{request:?} → {response:?}");
        assert_no_cors(&response.headers);
    }
    assert_eq!(daemon.whole().occupation, BTreeMap::new());
    for host in [
        "127.0.0.1",
        "127.0.0.1:1235",
        "131.174.30.41",
        "[::1]",
        "[::1]:1235",
        "localhost",
        "LocalHost:1235",
        "tkbd.example",
        "TKBD.example:80",
    ] {
        let response = daemon.connect_push().exchange(&request().host(host));
        assert_eq!(response.status, 200, "{host} → {response:?}");
        assert_no_cors(&response.headers);
    }
    let preflight = Request::new("OPTIONS", "/push").header("Access-Control-Request-Method", "POST");
    let response = daemon.connect_push().exchange(&preflight);
    assert!([403, 405].contains(&response.status), "{response:?}");
    assert_no_cors(&response.headers);
}

fn assert_no_cors(headers: &[(String, String)]) {
    let cors = headers.iter().find(|(name, _)| name.to_lowercase().starts_with("access-control-"));
    assert_eq!(cors, None);
}

#[test]
fn p4_where_tokens_are_set_a_push_brings_one_that_is_good_for_its_source() {
    // The digests of "aaa", which is good for every source, and of "bbb", which is good for one.
    let daemon = Daemon::with_setup(
        r#"
        [push]
        tokens = [
            { sha256 = "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0" },
            { sha256 = "3e744b9dc39389baf0c5a0660589b8402f3dbb49b89b3e75f2c9355852a3c677", source = "one" },
        ]
        "#,
        &[],
    );
    let status = |authorization: Option<&str>, source: &str| {
        let body = json!({"datasource": source, "data": {"hg075pc01": entry("wf")}}).to_string();
        let request = Request::post("/push").body(body);
        let request = match authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        };
        daemon.connect_push().exchange(&request).status
    };
    for bad in [None, Some("Bearer aab"), Some("Bearer AAA"), Some("Bearer"), Some("Basic aaa"), Some("aaa")]
    {
        assert_eq!(status(bad, "one"), 401, "{bad:?}");
    }
    assert_eq!(status(Some("Bearer bbb"), "other"), 403);
    assert_eq!(daemon.whole().occupation, BTreeMap::new());
    for (good, source) in [("Bearer aaa", "one"), ("bearer aaa", "other"), ("Bearer bbb", "one")] {
        assert_eq!(status(Some(good), source), 200, "{good} for {source}");
    }
    assert!(!daemon.log().contains("aaa"), "a token is in no log");
}

/// Another program that keeps the history locked, until it is dropped.
fn locked(daemon: &Daemon) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(daemon.history_file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

fn wait_for_rows(daemon: &Daemon, rows: usize) {
    let until = Instant::now() + common::GUARD;
    while daemon.history(100).len() < rows {
        assert!(Instant::now() < until, "what waited is never written:\n{}", daemon.log());
    }
}

#[test]
fn p10_while_the_history_cannot_be_written_a_push_is_shown_and_answered_202() {
    let daemon = Daemon::start(&["history.acknowledge_within=100ms"]);
    daemon.set("hg075pc01", "wf");
    let lock = locked(&daemon);
    let late = daemon.try_push(body(&json!({"hg075pc01": entry("wu"), "hg075pc02": entry("lf")})).as_bytes());
    assert_eq!((late.status, late.text()), (202, "\"applied, not yet recorded\""));
    assert_eq!(daemon.whole().occupation["hg075pc01"], "wu");
    // The same again changes nothing, and is as little recorded.
    assert_eq!(daemon.try_push(body(&json!({"hg075pc01": entry("wu")})).as_bytes()).status, 202);
    assert_eq!(daemon.history(100).len(), 1);
    drop(lock);
    wait_for_rows(&daemon, 3);
    daemon.set("hg075pc01", "o");
    let states: Vec<_> = daemon.history(100).into_iter().map(|row| row.state).collect();
    assert_eq!(states, ["wf", "wu", "lf", "o"]);
}

#[test]
fn p10_when_the_backlog_is_full_a_push_is_refused_and_nothing_of_it_applied() {
    let daemon = Daemon::start(&["history.acknowledge_within=50ms", "history.backlog=4"]);
    daemon.set("hg075pc01", "wf");
    let lock = locked(&daemon);
    let states = ["wu", "wf"];
    let mut applied = 0;
    let refused = loop {
        let push = body(&json!({"hg075pc01": entry(states[applied % 2])}));
        let response = daemon.try_push(push.as_bytes());
        if response.status != 202 {
            break response;
        }
        applied += 1;
        assert!(applied <= 20, "a backlog of four takes no more than it and what the writer has in hand");
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.header("Retry-After").is_some());
    assert!(applied >= 4);
    let shown = &daemon.whole().occupation["hg075pc01"];
    assert_eq!(shown, states[(applied - 1) % 2], "what was refused is not shown");
    drop(lock);
    wait_for_rows(&daemon, 1 + applied);
    daemon.set("hg075pc02", "wf");
    assert_eq!(daemon.history(100).len(), 2 + applied, "nothing is lost, and nothing is doubled");
}

#[test]
fn p5_a_request_of_another_form_is_refused_by_its_status() {
    let daemon = Daemon::start(&[]);
    let good = body(&json!({"hg075pc01": entry("wf")}));
    for target in ["/", "/nope", "/pushed", "/push/x"] {
        let response = daemon.connect_push().exchange(&Request::post(target).body(&good));
        assert_eq!(response.status, 404, "{target}: {response:?}");
    }
    for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD"] {
        let response = daemon.connect_push().exchange(&Request::new(method, "/push"));
        assert_eq!(response.status, 405, "{method}: {response:?}");
    }
    let response = daemon.connect_push().exchange(&Request::post("/push"));
    assert_eq!(response.status, 411, "neither a length nor chunks: {response:?}");
    let mut client = daemon.connect_push();
    client.send(
        b"POST /push HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    client.send_what_is_taken(b"2\r\n{}\r\n0\r\n\r\n");
    assert_eq!(client.receive().status, 400);
    client.wait_until_closed();
    // However the lines end, and whatever stands before them.
    for head in [
        "\r\n\r\nPOST /push HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
        "POST /push HTTP/1.1\nHost: 127.0.0.1\nTransfer-Encoding: chunked\nContent-Length: 4\n\n",
    ] {
        let mut client = daemon.connect_push();
        client.send(head.as_bytes());
        assert_eq!(client.receive().status, 400, "{head:?}");
    }
    assert_eq!(daemon.whole().occupation, BTreeMap::new());
}

#[test]
fn p5_peers_that_may_not_push_are_not_in_the_way_of_those_that_may() {
    // A connection that says nothing keeps its place for all of the test.
    let daemon = Daemon::start(&["push.allow=127.0.0.2", "push.max_connections=2", "push.timeout=5m"]);
    let strangers: Vec<Client> = (0..50).map(|_| daemon.connect_push()).collect();
    daemon.settle();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let source: std::net::SocketAddr = "127.0.0.2:0".parse().unwrap();
    socket.bind(&source.into()).unwrap();
    socket.connect(&daemon.push_port().into()).unwrap();
    let mut listed = Client::of(socket.into());
    assert_eq!(listed.exchange(&post(&json!({"hg075pc01": entry("wf")}))).status, 200);
    drop(strangers);
}

#[test]
fn a_client_that_does_not_wait_for_the_answer_has_pushed_all_the_same() {
    let daemon = Daemon::start(&[]);
    for i in 0..200 {
        let mut client = daemon.connect_push();
        client.send(&post(&json!({format!("hg075pc{i}"): entry("wf")})).bytes());
        // The end may come at any moment: with the request, while it is read, behind it.
        let then = Instant::now() + Duration::from_micros(2 * i);
        while Instant::now() < then {
            std::hint::spin_loop();
        }
        client.finish_sending();
        assert_eq!(client.receive().status, 200, "push {i}");
    }
}

#[test]
fn p5_a_body_is_at_most_a_mebibyte() {
    let daemon = Daemon::start(&[]);
    let padded = |length: usize| {
        let mut bytes = body(&json!({"hg075pc01": entry("wf")})).into_bytes();
        bytes.resize(length, b' ');
        bytes
    };
    let limit = 1 << 20;
    assert_taken(&daemon.try_push(&padded(limit)), "exactly the limit");
    let mut client = daemon.connect_push();
    client.send(
        format!("POST /push HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n", limit + 1).as_bytes(),
    );
    assert_eq!(client.receive().status, 413, "refused by what it says of its length");
    for size in [64 * 1024, 1000] {
        let request = Request::post("/push")
            .header("Transfer-Encoding", "chunked")
            .body(chunked(&padded(limit + 1), size));
        let mut client = daemon.connect_push();
        // The answer may come, and the connection end, before all is sent.
        client.send_what_is_taken(&request.bytes());
        match client.try_receive(false) {
            Ok(Some(response)) => assert_eq!(response.status, 413),
            Ok(None) => panic!("closed without an answer"),
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "{e}"),
        }
    }
    assert_eq!(daemon.history(1000).len(), 1);
}

#[test]
fn p5_a_body_that_does_not_come_is_given_up_with_408() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect_push();
    client.send(b"POST /push HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{\"data\"");
    assert_eq!(client.receive().status, 408);
    client.wait_until_closed();
    daemon.set("hg075pc01", "wf");
}

// ---------------------------------------------------------------------------------------------------- P6, J1, J2, S1: bad

/// What must not have happened.
fn unchanged(daemon: &Daemon, before: &common::Whole, rows: usize, after: &str) {
    assert_eq!(&daemon.whole(), before, "after {after}");
    assert_eq!(daemon.history(1000).len(), rows, "after {after}");
}

#[test]
fn p6_f5_one_bad_entry_makes_the_whole_push_bad_and_every_bad_entry_is_named() {
    let daemon = Daemon::start(&[]);
    daemon.push("seed", &json!({"hg075pc01": entry("o"), "hg075pc02": entry("o")}));
    let before = daemon.whole();
    let mut held = Channel::with_filter(&daemon, &Value::Null);
    held.send(&json!([]));
    let bad = [
        json!({"status": "banana"}),
        json!({"status": ""}),
        json!({"status": "Free"}),
        json!({"status": 1}),
        json!({"status": []}),
        json!({"event": "boot"}),
        json!({"event": 5}),
        json!({"event": "logon", "session": "mac"}),
        json!({"status": "free", "session": "Windows"}),
        json!({"status": "free", "session": 1}),
        json!({"session": "windows"}),
        json!({}),
        json!([]),
        json!("free"),
        json!(7),
        json!(null),
        json!(true),
    ];
    for why_bad in &bad {
        let data = json!({"hg075pc01": entry("wf"), "HG075PC77": why_bad, "hg075pc02": entry("wu")});
        let why = daemon.refused(body(&data).as_bytes());
        let entries = why["entries"].as_object().unwrap_or_else(|| panic!("{why_bad} → {why}"));
        assert_eq!(entries.keys().collect::<Vec<_>>(), ["HG075PC77"], "the name as it was sent: {why}");
        assert!(entries["HG075PC77"].as_str().is_some_and(|why| !why.is_empty()), "{why}");
        unchanged(&daemon, &before, 2, &why_bad.to_string());
    }
    let data: serde_json::Map<String, Value> =
        bad.iter().enumerate().map(|(i, entry)| (format!("hg075pc1{i}"), entry.clone())).collect();
    let why = daemon.refused(body(&Value::from(data.clone())).as_bytes());
    let named: BTreeSet<&String> = why["entries"].as_object().unwrap().keys().collect();
    assert_eq!(named, data.keys().collect());
    unchanged(&daemon, &before, 2, "all of them");
    daemon.set("hg075pc01", "wf");
    assert_eq!(only(&held.receive(), "occupation_update")["update"], json!({"hg075pc01": "wf"}));
}

#[test]
fn p6_a_body_that_is_bad_as_a_whole_is_refused_with_a_reason() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "o");
    let before = daemon.whole();
    let free = r#"{"status":"free"}"#;
    let bodies = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "true".to_owned(),
        "\"x\"".to_owned(),
        "{}".to_owned(),
        r#"{"datasource":"x"}"#.to_owned(),
        r#"{"data":null}"#.to_owned(),
        r#"{"data":[]}"#.to_owned(),
        r#"{"data":"x"}"#.to_owned(),
        format!(r#"{{"data":{{"hg075pc01":{free}}}"#),
        format!(r#"{{"data":{{"hg075pc01":{free},}}}}"#),
        format!(r#"{{"datasource":5,"data":{{"hg075pc01":{free}}}}}"#),
        format!(r#"{{"datasource":[],"data":{{"hg075pc01":{free}}}}}"#),
        format!(r#"[{{"data":{{"hg075pc01":{free}}}}}]"#),
    ];
    for body in &bodies {
        daemon.refused(body.as_bytes());
        unchanged(&daemon, &before, 1, body);
    }
}

#[test]
fn j1_what_is_not_wholly_json_is_bad() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "o");
    let before = daemon.whole();
    let with = |x: &[u8]| [br#"{"data":{"hg075pc01":{"status":"free","x":"#, x, b"}}}"].concat();
    let good = br#"{"data":{"hg075pc01":{"status":"free"}}}"#;
    let nested = |levels: usize| {
        // The body, its data and the entry are three of them.
        with(["[".repeat(levels - 3), "]".repeat(levels - 3)].concat().as_bytes())
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("too deep", nested(17)),
        ("much too deep", nested(100_000)),
        ("trailing bytes", [good.as_slice(), b" x"].concat()),
        ("a second value", [good.as_slice(), good].concat()),
        ("NUL after", [good.as_slice(), b"\0"].concat()),
        ("BOM", [b"\xEF\xBB\xBF".as_slice(), good].concat()),
        ("bad UTF-8", with(b"\"\xFF\"")),
        ("an encoded surrogate", with(b"\"\xED\xA0\x80\"")),
        ("NUL", with(b"\"\0\"")),
        ("an escaped NUL", with(br#""\u0000""#)),
        ("a lone surrogate", with(br#""\ud800""#)),
        ("NaN", with(b"NaN")),
        ("Infinity", with(b"Infinity")),
        ("-Infinity", with(b"-Infinity")),
        ("a number out of range", with(b"1e999")),
        ("UTF-16", good.iter().flat_map(|&b| [b, 0]).collect()),
    ];
    for (what, bytes) in cases {
        daemon.refused(&bytes);
        unchanged(&daemon, &before, 1, what);
    }
}

#[test]
fn j2_a_key_twice_is_bad_and_so_are_two_names_that_are_one_pc() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "o");
    let before = daemon.whole();
    let free = r#"{"status":"free"}"#;
    for body in [
        format!(r#"{{"data":{{"hg075pc01":{free},"hg075pc01":{free}}}}}"#),
        format!(r#"{{"data":{{"hg075pc01":{free},"HG075PC01":{free}}}}}"#),
        format!(r#"{{"data":{{"hg075pc01":{free}}},"data":{{"hg075pc01":{free}}}}}"#),
        format!(r#"{{"data":{{}},"data":{{"hg075pc01":{free}}}}}"#),
        format!(r#"{{"datasource":"a","datasource":"a","data":{{"hg075pc01":{free}}}}}"#),
        r#"{"data":{"hg075pc01":{"status":"free","status":"used"}}}"#.to_owned(),
        r#"{"data":{"hg075pc01":{"status":"free","status":"free"}}}"#.to_owned(),
        r#"{"data":{"hg075pc01":{"status":"free","session":"linux","session":"linux"}}}"#.to_owned(),
        r#"{"data":{"hg075pc01":{"status":"free","st\u0061tus":"free"}}}"#.to_owned(),
    ] {
        daemon.refused(body.as_bytes());
        unchanged(&daemon, &before, 1, &body);
    }
}

#[test]
fn s1_a_pc_has_a_name_of_its_form_or_its_push_is_bad() {
    let daemon = Daemon::start(&[]);
    let longest = "a".repeat(64);
    let good = ["a", "0", "007", "1e999", "a.b", "a-b", "a_b", "HG075PC47", longest.as_str()];
    for name in good {
        daemon.push("seed", &json!({name: entry("wf")}));
    }
    let before = daemon.whole();
    assert_eq!(before.occupation.len(), good.len());
    assert!(good.iter().all(|name| before.occupation.contains_key(&name.to_lowercase())));
    let long = "a".repeat(65);
    for name in [
        "",
        " ",
        "a b",
        " a",
        "a ",
        ".a",
        "-a",
        "_a",
        "a/b",
        "a:b",
        "<img src=x>",
        "a\nb",
        "é",
        "İ",
        "\u{212A}pc01",
        "a\u{200B}",
        "a'",
        "a\"",
        long.as_str(),
    ] {
        let why = daemon.refused(body(&json!({"hg075pc01": entry("wu"), name: entry("wu")})).as_bytes());
        let entries = why["entries"].as_object().unwrap_or_else(|| panic!("{name:?} → {why}"));
        assert_eq!(entries.keys().collect::<Vec<_>>(), [name]);
        unchanged(&daemon, &before, good.len(), name);
    }
}

#[test]
fn s1_names_and_sources_are_kept_to_the_letter() {
    let mut daemon = Daemon::start(&[]);
    let longest = "s".repeat(64);
    let sources = ["007", "1e999", "0x10", " 7", "a b", "Zaal \u{3b2}", "<b>", "'; --", longest.as_str()];
    for (i, source) in sources.iter().enumerate() {
        let pc = ["007", "1e999", "1e3", "00.50", "inf", "nan", "0x10", "1_000", "9223372036854775808"][i];
        daemon.push(source, &json!({pc: entry("lu")}));
    }
    let body = json!({"data": {"hg075pc01": entry("wf")}}).to_string();
    assert_taken(&daemon.try_push(body.as_bytes()), &body);
    let rows = daemon.history(4);
    let kept: Vec<(&str, &str, &str)> =
        rows.iter().map(|r| (r.pc.as_str(), r.source.as_str(), r.state.as_str())).collect();
    let pcs = ["007", "1e999", "1e3", "00.50", "inf", "nan", "0x10", "1_000", "9223372036854775808"];
    let mut expected: Vec<(&str, &str, &str)> =
        pcs.into_iter().zip(sources).map(|(pc, source)| (pc, source, "lu")).collect();
    expected.push(("hg075pc01", "unknown", "wf"));
    assert_eq!(kept, expected);
    daemon.restart();
    assert_eq!(daemon.history(1000), rows);
    assert!(pcs.iter().all(|pc| daemon.whole().occupation[*pc] == "lu"));
}

#[test]
fn s1_a_source_is_1_to_64_printable_characters() {
    let daemon = Daemon::start(&[]);
    let long = "s".repeat(65);
    for source in ["", "a\nb", "a\tb", "a\u{7f}", "\u{1b}[31m", "a\u{85}", long.as_str()] {
        let bytes = json!({"datasource": source, "data": {"hg075pc01": entry("wf")}}).to_string();
        daemon.refused(bytes.as_bytes());
    }
    assert_eq!(daemon.whole().occupation, BTreeMap::new());
}

// ---------------------------------------------------------------------------------------------------- P7, P8, S2, S3

#[test]
fn p7_a_push_that_is_repeated_is_taken_and_leaves_no_trace() {
    let daemon = Daemon::start(&[]);
    let data = json!({"hg075pc01": entry("wf"), "hg075pc02": entry("x"), "printer7": entry("o")});
    daemon.push("seed", &data);
    let (before, rows) = (daemon.whole(), daemon.history(1000));
    for source in ["seed", "seed", "other"] {
        daemon.push(source, &data);
        assert_eq!(daemon.whole(), before);
        assert_eq!(daemon.history(1000), rows);
    }
}

#[test]
fn p8_concurrent_pushes_have_one_order_everywhere() {
    let daemon = Daemon::start(&[]);
    let names: Vec<String> = (1..=4).map(|i| format!("hg075pc0{i}")).collect();
    let data: serde_json::Map<String, Value> = names.iter().map(|name| (name.clone(), entry("o"))).collect();
    daemon.push("seed", &Value::from(data));
    let before = daemon.whole();
    let mut reader = Channel::with_filter(&daemon, &Value::Null);
    let mut view: BTreeMap<String, String> = before.occupation.clone();
    let (per_thread, threads) = (60, 4);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (daemon, names) = (&daemon, &names);
            scope.spawn(move || {
                let states = ["wf", "wu", "lf", "lu", "wx", "lx", "o", "x"];
                let mut client = daemon.connect_push();
                for i in 0..per_thread {
                    let mut data = serde_json::Map::new();
                    for (j, name) in names.iter().enumerate() {
                        data.insert(name.clone(), entry(states[(i * 3 + j + thread * 2) % states.len()]));
                    }
                    let source = format!("thread {thread}");
                    let body = json!({"datasource": source, "data": data}).to_string();
                    assert_taken(&client.exchange(&Request::post("/push").body(&body)), &body);
                }
            });
        }
    });
    daemon.set("hg075pc01", if daemon.whole().occupation["hg075pc01"] == "wf" { "lf" } else { "wf" });
    let after = daemon.whole();
    while view != after.occupation {
        let messages = reader.poll();
        view.extend(common::states(&only(&messages, "occupation_update")["update"]));
    }
    // In the history each row is a change, and the last one of a PC is what everybody sees.
    let rows = daemon.history(100);
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for row in &rows {
        let old = last.insert(&row.pc, &row.state);
        assert_ne!(old, Some(row.state.as_str()), "a row that changes nothing: {row:?}");
    }
    assert!(
        last.iter().all(|(pc, state)| after.occupation[*pc] == *state),
        "{last:?} is not {:?}",
        after.occupation
    );
    // A push is one block of rows: where the source stays the same and no PC repeats, it may be one push.
    let mut least = 0;
    let (mut source, mut in_block) = ("", BTreeSet::new());
    for row in &rows {
        if row.source != source || !in_block.insert(&row.pc) {
            least += 1;
            source = &row.source;
            in_block = BTreeSet::from([&row.pc]);
        }
    }
    let pushes = after.occupation_version - before.occupation_version + 1;
    assert!(least <= pushes, "{least} blocks of rows for {pushes} versions: pushes are mixed");
    assert!(pushes <= u64::try_from(per_thread * threads + 2).unwrap());
}

#[test]
fn s2_rooms_follow_the_ordered_rules_of_the_setup_and_none_is_for_the_rest() {
    let setup = r#"
timezone = "Europe/Amsterdam"

[[room]]
key = "a"
name = "First floor"
tags = ["quiet"]

[[room]]
key = "b"
name = "Second floor"
tags = ["quiet", "late"]

[[room]]
key = "none"
name = "Elsewhere"
tags = []

[[rule]]
pattern = '^special'
room = "b"

[[rule]]
pattern = '^(special|first)-\d+$'
room = "a"
"#;
    let daemon = Daemon::with_setup(setup, &[]);
    daemon.push(
        "seed",
        &json!({"special-1": entry("wf"), "first-1": entry("wf"), "first-x": entry("wf"), "hg075pc01": entry("wf")}),
    );
    let map = daemon.whole().room_map;
    let of = |key: &str| map[key].1.iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(of("b"), ["special-1"], "the first rule that fits decides");
    assert_eq!(of("a"), ["first-1"]);
    assert_eq!(of("none"), ["first-x", "hg075pc01"]);
    assert_eq!(map["none"].0, "Elsewhere");
    let mut late = Channel::with_filter(&daemon, &json!(["late"]));
    let messages = late.ask(&json!([get("occupation"), get("tagMap"), get("tag_names")]));
    assert_eq!(messages[0]["occupation"], json!({"special-1": "wf"}));
    let rooms = |tag: &str| -> BTreeSet<&str> {
        messages[1]["tagMap"][tag].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect()
    };
    assert_eq!(rooms("quiet"), BTreeSet::from(["a", "b"]));
    assert_eq!(rooms("late"), BTreeSet::from(["b"]));
    let tags: BTreeSet<&str> =
        messages[2]["tags"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    assert_eq!(tags, BTreeSet::from(["quiet", "late"]));
}

#[test]
fn s3_there_are_at_most_10_000_pcs_and_those_that_are_known_go_on() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect_push();
    let name = |i: usize| format!("hg{:03}pc{:03}", 200 + i % 20, i / 20);
    for block in 0..10 {
        let mut bytes = String::from(r#"{"datasource":"seed","data":{"#);
        for i in block * 1000..(block + 1) * 1000 {
            let comma = if i % 1000 == 0 { "" } else { "," };
            write!(bytes, r#"{comma}"{}":{{"status":"offline"}}"#, name(i)).unwrap();
        }
        bytes.push_str("}}");
        assert!(bytes.len() < 1 << 20);
        assert_taken(&client.exchange(&Request::post("/push").body(&bytes)), &bytes);
    }
    let full = daemon.whole();
    assert_eq!(full.occupation.len(), 10_000);
    let why = daemon.refused(body(&json!({name(0): entry("wf"), "onemore": entry("wf")})).as_bytes());
    let named: Vec<&String> = why["entries"].as_object().unwrap_or_else(|| panic!("{why}")).keys().collect();
    assert_eq!(named, ["onemore"]);
    assert_eq!(daemon.whole(), full);
    daemon.set(&name(0), "wf");
    assert_eq!(daemon.whole().occupation[&name(0)], "wf");
}

#[test]
fn s3_a_push_that_would_be_too_much_is_refused_whole() {
    let daemon = Daemon::start(&[]);
    let mut bytes = String::from(r#"{"data":{"#);
    for i in 0..10_001 {
        let comma = if i == 0 { "" } else { "," };
        write!(bytes, r#"{comma}"hg075pc{i}":{{"status":"offline"}}"#).unwrap();
    }
    bytes.push_str("}}");
    assert!(bytes.len() < 1 << 20);
    daemon.refused(bytes.as_bytes());
    assert_eq!(daemon.whole().occupation.len(), 0);
    assert_eq!(daemon.history(1000).len(), 0);
}

#[test]
fn s3_there_are_at_most_1_000_rooms_and_a_known_room_still_takes_pcs() {
    let daemon = Daemon::start(&[]);
    let room = |i: usize| format!("room{i}");
    let data: serde_json::Map<String, Value> =
        (DEFAULT_ROOMS.len()..1000).map(|i| (format!("{}pc1", room(i)), entry("o"))).collect();
    daemon.push("seed", &Value::from(data));
    let full = daemon.whole();
    assert_eq!(full.room_map.len(), 1000);
    let why = daemon.refused(body(&json!({"onemorepc1": entry("wf"), "room20pc1": entry("wf")})).as_bytes());
    let named: Vec<&String> = why["entries"].as_object().unwrap_or_else(|| panic!("{why}")).keys().collect();
    assert_eq!(named, ["onemorepc1"]);
    assert_eq!(daemon.whole(), full);
    daemon.push("seed", &json!({"room20pc2": entry("wf"), "printer7": entry("wf")}));
    assert_eq!(daemon.whole().room_map["room20"].1.len(), 2);
}

#[test]
fn s3_there_are_at_most_1_000_sources_and_those_that_are_known_go_on() {
    let daemon = Daemon::start(&[]);
    let mut client: Client = daemon.connect_push();
    let states = ["wf", "wu"];
    let mut push = |source: usize, state: &str| {
        let body =
            json!({"datasource": format!("s{source}"), "data": {"hg075pc01": entry(state)}}).to_string();
        client.exchange(&Request::post("/push").body(body))
    };
    for i in 0..1000 {
        assert_taken(&push(i, states[i % 2]), "a source");
    }
    let before = daemon.whole();
    let response = push(1000, "lu");
    assert_eq!(response.status, 400, "{response:?}");
    assert_eq!(daemon.whole(), before);
    assert_taken(&push(5, "lu"), "a known source");
}

#[test]
fn s3_names_in_refused_pushes_take_no_room() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect_push();
    for i in 0..12 {
        let mut data: serde_json::Map<String, Value> =
            (0..1000).map(|j| (format!("r{i}x{j}pc1"), entry("o"))).collect();
        data.insert("bad name".to_owned(), entry("o"));
        let response = client.exchange(&Request::post("/push").body(body(&Value::from(data))));
        assert_eq!(response.status, 400);
    }
    assert_eq!(daemon.whole().room_map.len(), DEFAULT_ROOMS.len());
    daemon.set("hg075pc01", "wf");
}

// ------------------------------------------------------------------------------------------------------------ setups

#[test]
fn o1_a_mistake_in_a_setup_is_told_and_ends_with_78_before_anything_is_touched() {
    let good = campus_setup("[http]\nhold = \"20s\"\n[push]\nallow = [\"127.0.0.1\"]\n", &["hg"]);
    let cases = [
        ("an unknown table", format!("{good}\n[htpp]\nhold = \"20s\"\n")),
        ("an unknown key", good.replace("hold =", "hodl =")),
        ("a wrong value", good.replace("\"20s\"", "\"soon\"")),
        ("a wrong type", good.replace("\"20s\"", "[]")),
        ("no TOML", format!("{good}\n[[[\n")),
        ("a wrong address", good.replace("[\"127.0.0.1\"]", "[\"127.0.0.300\"]")),
        ("a wrong pattern", good.replace("'^cz|docent$'", "'^(cz'")),
        ("a wrong zone", good.replace("Europe/Amsterdam", "Europe/Nijmegen")),
        ("a room twice", good.replace("key = \"hg075\"", "key = \"hg029\"")),
    ];
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("setup.toml");
    let file_name = file.to_str().unwrap();
    let db = format!("history.db={}", dir.path().join("history.sqlite3").display());
    let mut wrong = vec![];
    for (what, setup) in &cases {
        std::fs::write(&file, setup).unwrap();
        let (code, _, err) = run_to_end(dir.path(), &["check", file_name]);
        if code != Some(78) || !err.contains("setup.toml") {
            wrong.push(format!("check, {what}: {code:?} {err}"));
            continue;
        }
        let (code, _, _) = run_to_end(
            dir.path(),
            &[
                "run",
                file_name,
                "--set",
                "http.listen=127.0.0.1:0",
                "--set",
                "push.listen=127.0.0.1:0",
                "--set",
                &db,
            ],
        );
        if code != Some(78) {
            wrong.push(format!("run, {what}: {code:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["setup.toml"], "nothing was created");
    std::fs::write(&file, &good).unwrap();
    let (code, out, err) = run_to_end(dir.path(), &["check", file_name]);
    assert_eq!(code, Some(0), "{err}");
    assert!(!out.is_empty(), "a summary");
    for set in ["http.hodl=20s", "http.hold=soon", "nonsense"] {
        let (code, _, err) = run_to_end(dir.path(), &["run", "--set", set, "--set", &db]);
        assert_eq!(code, Some(78), "--set {set}: {err}");
    }
}

#[test]
fn a_pushs_version_is_seen_by_whoever_asks_after_it_was_acknowledged() {
    let daemon = Daemon::start(&[]);
    let mut pusher = daemon.connect_push();
    let mut reader = Channel::with_filter(&daemon, &Value::Null);
    let before = daemon.whole().occupation_version;
    for i in 0..50 {
        let state = if i % 2 == 0 { "wf" } else { "wu" };
        assert_taken(&pusher.exchange(&post(&json!({"hg075pc01": entry(state)}))), state);
        let messages = reader.ask(&json!([get("occupation")]));
        let snapshot = common::one(&messages, "occupation");
        assert_eq!(snapshot["occupation"], json!({"hg075pc01": state}));
        assert_eq!(version(snapshot), before + i + 1);
    }
}

#[test]
fn a_push_is_judged_alike_whether_it_came_whole_or_in_parts() {
    let daemon = Daemon::start(&["push.max_body=2048"]);
    let good = body(&json!({"hg075pc01": {"event": "logon"}}));
    let requests = [
        Request::post("/push").body(&good),
        Request::post("/push?a=b").body(&good).header("X-Other", "1").header("x-other", "2"),
        Request::post("/push").body("{"),
        Request::post("/push").body(""),
        Request::post("/push"),
        Request::post("/push").body("x".repeat(3_000)),
        Request::post("/other").body(&good),
        Request::post("/push").body(&good).header("Origin", "http://127.0.0.1"),
        Request::post("/push").body(&good).header("X-Forwarded-For", "127.0.0.1"),
        Request::post("/push").body(&good).host("evil.example"),
        Request::post("/push").body(&good).header("Content-Length", "+5"),
        Request::get("/push"),
    ];
    for request in requests {
        let whole = daemon.connect_push().exchange(&request);
        // A request of HTTP/1.0 is read part by part.
        let parts = daemon.connect_push().exchange(&request.clone().http10());
        let judged = |response: &common::Response| (response.status, response.text().to_owned());
        assert_eq!(judged(&whole), judged(&parts), "{request:?}");
    }
}
