//! Requests are read in two ways: where they lie, when they came whole and ask for nothing special, and by hyper. What
//! is said of the one must hold of the other; and what becomes of a connection must not hang on when its bytes came.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::{Client, Daemon, Request, entry};
use serde_json::json;

/// What answers all of `parts`, but for the time of day; and what else is on the connection until its end.
fn said(daemon: &Daemon, port: SocketAddr, parts: &[&[u8]]) -> String {
    let mut client = Client::connect(port);
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            daemon.settle();
        }
        client.send_what_is_taken(part);
    }
    let mut said = Vec::new();
    if let Err(error) = client.read_to_end(&mut said) {
        said.extend(error.kind().to_string().bytes());
    }
    let mut said = String::from_utf8_lossy(&said).into_owned();
    // Of a new channel, the name that it was given.
    while let Some(at) = said.find("\",[{\"type\":\"welcome\"").filter(|at| !said[..*at].ends_with('*')) {
        said.replace_range(at - 22..at, "*");
    }
    let is_date = |line: &&str| line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("date:"));
    said.lines().filter(|line| !is_date(line)).collect::<Vec<_>>().join("\n")
}

/// Headers, and what comes behind the head: each with a doubt about where the request ends, or who sent it.
const DOUBTS: [(&str, &str); 34] = [
    ("", ""),
    ("Connection: close\r\n", ""),
    ("Connection: Keep-Alive\r\n", ""),
    ("Connection: keep-alive, x\r\n", ""),
    ("Connection: x\r\nConnection: Close\r\n", ""),
    ("Content-Length: 0\r\n", ""),
    ("Content-Length: 2\r\n", "[]"),
    ("Content-Length: 02\r\n", "[]"),
    ("Content-Length:2 \t\r\n", "[]"),
    ("Content-Length: 2\r\nContent-Length: 2\r\n", "[]"),
    ("Content-Length: 2\r\nContent-Length: 0\r\n", "[]"),
    ("Content-Length: 2, 2\r\n", "[]"),
    ("Content-Length: -2\r\n", "[]"),
    ("Content-Length: 0x2\r\n", "[]"),
    ("Content-Length:\r\n", ""),
    ("Content-Length : 2\r\n", "[]"),
    ("Content-Length\r\n: 2\r\n", "[]"),
    ("Content_Length: 2\r\n", "[]"),
    ("X: y\r\n Content-Length: 2\r\n", "[]"),
    ("X: y\r\n\tfolded\r\n", ""),
    ("X: y\n", ""),
    ("X: y\rContent-Length: 2\r\n", "[]"),
    ("X: \0\r\n", ""),
    ("X: \u{ff}\r\n", ""),
    ("X:\ty\t\r\n", ""),
    ("X\u{e9}: y\r\n", ""),
    (": y\r\n", ""),
    ("Host: evil.example\r\n", ""),
    ("Transfer-Encoding: chunked\r\n", "2\r\n[]\r\n0\r\n\r\n"),
    ("Transfer-Encoding : chunked\r\n", "2\r\n[]\r\n0\r\n\r\n"),
    ("Transfer-Encoding: identity\r\n", ""),
    ("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "2\r\n[]\r\n0\r\n\r\n"),
    ("Expect: 100-continue\r\n", ""),
    ("Upgrade: h2c\r\nConnection: Upgrade\r\n", ""),
];

/// Whole at once, and in two parts, of which the first tells nothing; with another request behind it, which shows where
/// it was taken to end.
fn assert_alike(daemon: &Daemon, port: SocketAddr, request: &[u8]) {
    // Longer than any body that is told of, so that none is waited for.
    let next =
        format!("GET /nowhere HTTP/1.1\r\nHost: a\r\nX: {}\r\nConnection: close\r\n\r\n", "y".repeat(100));
    let bytes = [request, next.as_bytes()].concat();
    let whole = said(daemon, port, &[&bytes]);
    let (start, rest) = bytes.split_at(3);
    let shown = String::from_utf8_lossy(request);
    assert_eq!(said(daemon, port, &[start, rest]), whole, "{shown:?}");
}

#[test]
fn c15_a_request_to_the_web_port_means_the_same_whether_it_came_whole_or_in_parts() {
    let daemon = Daemon::start(&["http.head_timeout=1s", "http.body_timeout=1s"]);
    let tags = "/?m=[\"t\",{\"type\":\"get_tag_names\"}]";
    assert_eq!(daemon.ask(&Request::get(tags)).status, 200, "the channel is welcomed");
    for (headers, body) in DOUBTS {
        for method in ["GET", "POST"] {
            let head = format!("{method} {tags} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n{body}");
            assert_alike(&daemon, daemon.joyce(), head.as_bytes());
        }
    }
    let lines = [
        "GET /?c=cb&m=%5B%22t%22,%7B%22type%22:%22get_tag_names%22%7D%5D HTTP/1.1",
        "GET //?m=[\"t\",{\"type\":\"get_tag_names\"}] HTTP/1.1",
        "GET /?m=[\"t\",{\"type\":\"get_tag_names\"}]#x HTTP/1.1",
        "GET /#?m=[\"t\",{\"type\":\"get_tag_names\"}] HTTP/1.1",
        "GET /%3Fm=null HTTP/1.1",
        "GET /?m=[\"t\",%00] HTTP/1.1",
        "GET /?m=[\"t\",{\"type\":\"get_tag_names\"}]&m= HTTP/1.1",
        "GET /?m=[\"t\"&m=[] HTTP/1.1",
        "GET /?c=a|b\\^`<>&m=[\"t\",1] HTTP/1.1",
        "GET /?m=[\"\u{e9}\"] HTTP/1.1",
        "GET /?m=[\"\u{7f}\"] HTTP/1.1",
        "GET /?m=[\"t\", 1] HTTP/1.1",
        "GET http://127.0.0.1/?m=[] HTTP/1.1",
        "GET  /?m=[\"t\",1] HTTP/1.1",
        "get /?m=[\"t\",1] HTTP/1.1",
        "GET /?m=[\"t\",{\"type\":\"get_tag_names\"}] HTTP/1.0",
        "GET /?m=[\"t\",1] HTTP/1.2",
        "GET /?m=[\"t\",1] HTTP/2.0",
        "GET /?m=[\"t\",1]",
        "GET * HTTP/1.1",
    ];
    for line in lines {
        assert_alike(&daemon, daemon.joyce(), format!("{line}\r\nHost: 127.0.0.1\r\n\r\n").as_bytes());
    }
    for headers in [98, 99, 100, 101] {
        let head = format!("GET {tags} HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(headers));
        assert_alike(&daemon, daemon.joyce(), head.as_bytes());
    }
}

#[test]
fn p3_a_push_means_the_same_whether_it_came_whole_or_in_parts() {
    let daemon = Daemon::start(&["push.timeout=1s"]);
    daemon.set("hg075pc01", "wf");
    let push = json!({"datasource": "test", "data": {"hg075pc01": entry("wf")}}).to_string();
    let length = format!("Content-Length: {}\r\n", push.len());
    for (headers, body) in DOUBTS {
        // With its own length beside what is in doubt, before and behind it, and without.
        for headers in [headers.to_owned(), format!("{length}{headers}"), format!("{headers}{length}")] {
            for body in [body, &push] {
                let head = format!("POST /push HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n{body}");
                assert_alike(&daemon, daemon.push_port(), head.as_bytes());
            }
        }
    }
    for line in [
        "POST //push HTTP/1.1",
        "POST /push/ HTTP/1.1",
        "POST /%70ush HTTP/1.1",
        "POST /push#x HTTP/1.1",
        "POST /push?\"{}|<> HTTP/1.1",
        "POST http://127.0.0.1/push HTTP/1.1",
        "POST http://evil.example/push HTTP/1.1",
        "POST //evil.example/push HTTP/1.1",
        "POST /push HTTP/1.0",
    ] {
        for host in
            ["Host: 127.0.0.1\r\n", "Host: evil.example\r\n", "host:evil.example\r\nHost: localhost\r\n", ""]
        {
            let head = format!("{line}\r\n{host}{length}\r\n{push}");
            assert_alike(&daemon, daemon.push_port(), head.as_bytes());
        }
    }
}

#[test]
fn c11_a_head_is_too_long_whether_it_came_whole_or_in_parts() {
    let daemon = Daemon::start(&["http.max_head=8192", "http.head_timeout=1s"]);
    let tags = "/?m=[\"t\",{\"type\":\"get_tag_names\"}]";
    assert_eq!(daemon.ask(&Request::get(tags)).status, 200, "the channel is welcomed");
    // As long as may be, and longer; but for a byte here and there, where it hangs on what hyper counts.
    for length in [100, 4_000, 8_000, 9_000, 16_000, 16_384, 17_000] {
        let start = format!("GET {tags} HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ");
        let head = format!("{start}{}\r\n\r\n", "y".repeat(length - start.len().min(length) - 4));
        let status = |parts: &[&[u8]]| {
            let mut client = daemon.connect();
            for part in parts {
                client.send_what_is_taken(part);
                daemon.settle();
            }
            client.receive().status
        };
        let expected = if head.len() > 8192 { 431 } else { 200 };
        assert_eq!(status(&[head.as_bytes()]), expected, "{} bytes at once", head.len());
        let (a, b) = head.as_bytes().split_at(head.len() / 2);
        assert_eq!(status(&[a, b]), expected, "{} bytes in two", head.len());
    }
}

#[test]
fn requests_that_come_byte_by_byte_behind_one_another_are_each_answered_once() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect();
    let mut bytes = Request::get("/?m=[\"one\"]").bytes();
    bytes.extend(Request::post("/").body("[\"two\"]").bytes());
    bytes.extend(Request::get("/?m=[\"three\"]").bytes());
    for byte in bytes {
        client.send(&[byte]);
    }
    for token in ["one", "two", "three"] {
        assert_eq!(client.receive().json()[0], token);
    }
    client.finish_sending();
    assert!(client.try_receive(false).unwrap().is_none(), "no answer more");
}

#[test]
fn requests_that_come_together_are_each_answered_once_and_in_their_order() {
    let daemon = Daemon::start(&[]);
    let whole = |token: &str, is_get: bool| match is_get {
        true => Request::get(&format!("/?m=[\"{token}\"]")).bytes(),
        false => Request::post("/").body(format!("[\"{token}\"]")).bytes(),
    };
    // Plain ones, which are read in place, and others between them.
    for kinds in [[true; 6], [true, true, false, true, true, false], [false, true, true, true, false, true]] {
        let tokens =
            ["a", "b", "c", "d", "e", "f"].map(|name| format!("{name}-{kinds:?}").replace([' ', ','], "-"));
        let tokens = tokens.map(|token| token.replace(['[', ']'], ""));
        let bytes: Vec<u8> =
            tokens.iter().zip(kinds).flat_map(|(token, is_get)| whole(token, is_get)).collect();
        let last = bytes.len() - 20;
        let mut client = daemon.connect();
        client.send(&bytes[..last]);
        for token in &tokens[..5] {
            assert_eq!(client.receive().json()[0], token.as_str());
        }
        client.send(&bytes[last..]);
        assert_eq!(client.receive().json()[0], tokens[5].as_str(), "the end of the last comes later");
        client.finish_sending();
        assert!(client.try_receive(false).unwrap().is_none(), "no answer more");
    }
}

#[test]
fn p5_a_push_that_waits_for_a_place_is_taken_however_long_it_waits() {
    let daemon = Daemon::start(&["push.max_connections=1", "push.timeout=200ms"]);
    let push = Request::post("/push")
        .body(json!({"datasource": "test", "data": {"hg075pc01": entry("wf")}}).to_string());
    let mut busy = daemon.connect_push();
    assert_eq!(busy.exchange(&push).status, 200);
    let mut waiting = daemon.connect_push();
    let second = push.clone();
    let waiting = std::thread::spawn(move || waiting.exchange(&second));
    // Five times as long as a connection may stand idle; this one never does.
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        assert_eq!(busy.exchange(&push).status, 200);
    }
    drop(busy);
    assert_eq!(waiting.join().unwrap().status, 200);
}

#[test]
fn o2_a_request_that_had_come_when_the_daemon_was_told_to_stop_is_answered() {
    let mut daemon = Daemon::start(&["history.acknowledge_within=2s"]);
    daemon.set("hg075pc01", "wf");
    let push = |state| {
        let body = json!({"datasource": "test", "data": {"hg075pc01": entry(state)}}).to_string();
        Request::post("/push").body(body).bytes()
    };
    let other = rusqlite::Connection::open(daemon.history_file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut client = daemon.connect_push();
    client.send(&push("wu"));
    while daemon.whole().occupation["hg075pc01"] != "wu" {}
    // The first waits for the disk, and the second for the first.
    client.send(&push("lu"));
    daemon.settle();
    daemon.ask_to_end();
    // Until the doors are closed.
    while std::net::TcpStream::connect(daemon.push_port()).is_ok() {}
    drop(other);
    for push in ["first", "second"] {
        let answer = client.try_receive(false);
        assert!(matches!(&answer, Ok(Some(response)) if response.status < 300), "{push}: {answer:?}");
    }
    assert_eq!(daemon.wait().code(), Some(0));
}
