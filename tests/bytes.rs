//! No bytes, on either port, stop the daemon: whatever comes, it answers the next good request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::Read;
use std::time::Duration;

use common::{Client, Daemon, Request, assert_taken, chunked, percent};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// Requests that mean something, for both ports.
fn good_requests() -> Vec<Vec<u8>> {
    let filter =
        json!([null, common::everything(), common::get("roomMap"), common::get("occupation")]).to_string();
    let history = r#"["tok",{"type":"get_historic_updates","offset":"1","count":2.5}]"#;
    let data = json!({"datasource": "s", "data": {"hg075pc01": {"status": "free", "session": "linux"}, "X": {"event": "logon"}}})
        .to_string();
    vec![
        Request::get("/?m=null").bytes(),
        Request::get(&format!("/?c=jQuery17_1&m={}&_=1", percent(&filter))).bytes(),
        Request::get(&format!("/?m={}", percent(history))).http10().bytes(),
        Request::post("/").body(&filter).bytes(),
        Request::post("/").body(r#"["tok"]"#).bytes(),
        Request::post("/")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("m={}", percent(&filter)))
            .bytes(),
        Request::post("/")
            .header("Transfer-Encoding", "chunked")
            .body(chunked(filter.as_bytes(), 10))
            .bytes(),
        Request::new("OPTIONS", "/").header("Origin", "http://a").bytes(),
        Request::post("/push").body(&data).bytes(),
        Request::post("/push")
            .header("Transfer-Encoding", "chunked")
            .body(chunked(data.as_bytes(), 5))
            .bytes(),
        Request::post("/push").header("Expect", "100-continue").body(&data).bytes(),
        // Empty lines before it, and lines that end with LF alone.
        [b"\r\n\r\n".to_vec(), Request::post("/push").body(&data).bytes()].concat(),
        String::from_utf8(Request::post("/push").body(&data).bytes())
            .unwrap()
            .replace("\r\n", "\n")
            .into_bytes(),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "type",
        "set_msgFilter",
        "get_occupation",
        "get_roomMap",
        "get_schedule",
        "get_tag_names",
        "get_tagMap",
        "get_historic_updates",
        "offset",
        "count",
        "occupation",
        "roomMap",
        "schedule",
        "hg",
        "data",
        "datasource",
        "status",
        "session",
        "event",
        "free",
        "linux",
        "logon",
        "hg075pc01",
        "tok",
        "",
    ]);
    let text = prop_oneof![words.prop_map(str::to_owned), any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..6)
                .prop_map(|pairs| Value::from(pairs.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

/// Something well framed whose content is any JSON.
fn framed() -> impl Strategy<Value = Vec<u8>> {
    (any_json(), 0..5_usize, 1..40_usize).prop_map(|(value, how, size)| {
        let text = value.to_string();
        match how {
            0 => Request::get(&format!("/?m={}", percent(&text))).bytes(),
            1 => Request::post("/").body(&text).bytes(),
            2 => Request::post("/push").body(&text).bytes(),
            3 => Request::post("/push")
                .header("Transfer-Encoding", "chunked")
                .body(chunked(text.as_bytes(), size))
                .bytes(),
            _ => Request::post("/")
                .body(format!("[null,{{\"type\":\"set_msgFilter\",\"occupation\":{text}}},{text}]"))
                .bytes(),
        }
    })
}

/// Chunks whose sizes, ends and extensions are anything.
fn weird_chunks() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![
        Just(String::new()),
        Just("-1".to_owned()),
        Just("ffffffffffffffff".to_owned()),
        Just("10000000000000000".to_owned()),
        Just("0;x=\"y".to_owned()),
        "[0-9a-fA-F]{0,4}(;[a-z=]{0,9})?",
    ];
    let chunk =
        (size, prop::collection::vec(any::<u8>(), 0..30), prop::sample::select(vec!["\r\n", "\n", "\r", ""]));
    (prop::collection::vec(chunk, 0..6), any::<bool>()).prop_map(|(chunks, push)| {
        let target = if push { "/push" } else { "/" };
        let mut bytes = Request::post(target).header("Transfer-Encoding", "chunked").bytes();
        for (size, data, end) in chunks {
            bytes.extend(size.bytes());
            bytes.extend(end.bytes());
            bytes.extend(data);
            bytes.extend(end.bytes());
        }
        bytes
    })
}

/// What may be done to a good request.
#[derive(Clone, Debug)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let fragment = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..20),
        prop::sample::select(vec![
            "\r\n",
            "\0",
            "%",
            "%00",
            "%FF",
            "\"",
            "[",
            "]",
            "{",
            "\\u0000",
            "\\ud800",
            "1e999",
            "Content-Length: 5\r\n"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop_oneof![
        (any::<prop::sample::Index>(), 1..=255_u8).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        (any::<prop::sample::Index>(), fragment).prop_map(|(at, what)| Harm::Insert(at, what)),
        (any::<prop::sample::Index>(), 1..40_usize).prop_map(|(at, count)| Harm::Remove(at, count)),
        (any::<prop::sample::Index>(), 1..400_usize).prop_map(|(at, count)| Harm::Repeat(at, count)),
    ]
}

fn harmed(mut bytes: Vec<u8>, harms: &[Harm]) -> Vec<u8> {
    for harm in harms {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match harm {
            Harm::Flip(at, bits) => bytes[at.index(length)] ^= bits,
            Harm::Insert(at, what) => {
                let at = at.index(length);
                bytes.splice(at..at, what.iter().copied());
            }
            Harm::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + count).min(length));
            }
            Harm::Repeat(at, count) => {
                let at = at.index(length);
                bytes.splice(at..at, std::iter::repeat_n(bytes[at], *count).collect::<Vec<_>>());
            }
        }
    }
    bytes
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let good = || prop::sample::select(good_requests());
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..600),
        4 => (good(), prop::collection::vec(harm(), 1..5)).prop_map(|(bytes, harms)| harmed(bytes, &harms)),
        2 => (good(), any::<prop::sample::Index>()).prop_map(|(bytes, at)| bytes[..at.index(bytes.len())].to_vec()),
        2 => (prop::collection::vec(good(), 2..6), prop::collection::vec(harm(), 0..3))
            .prop_map(|(requests, harms)| harmed(requests.concat(), &harms)),
        3 => framed(),
        2 => weird_chunks(),
    ]
}

/// Sends the bytes, says that there are no more, and takes what comes back, for as long as it comes soon.
fn throw(mut client: Client, bytes: &[u8]) {
    client.stream().set_read_timeout(Some(Duration::from_millis(250))).unwrap();
    client.send_what_is_taken(bytes);
    client.finish_sending();
    let mut sink = Vec::new();
    let _ = client.stream().take(1 << 20).read_to_end(&mut sink);
}

#[test]
fn whatever_bytes_come_on_either_port_the_next_good_request_is_answered() {
    let daemon = Daemon::start(&["http.hold=100ms"]);
    let config = Config { cases: 96, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut number = 0_usize;
    let mut state = || {
        number += 1;
        if number.is_multiple_of(2) { "wf" } else { "wu" }
    };
    let state = std::cell::RefCell::new(&mut state);
    let outcome = TestRunner::new(config).run(&prop::collection::vec(any_bytes(), 1..5), |batch| {
        for bytes in &batch {
            throw(daemon.connect(), bytes);
            throw(daemon.connect_push(), bytes);
        }
        let response = daemon.ask(&Request::get("/?m=null"));
        prop_assert_eq!(response.status, 200, "{:?}", response);
        let body = json!({"data": {"hg075pc01": common::entry((state.borrow_mut())())}}).to_string();
        assert_taken(&daemon.try_push(body.as_bytes()), &body);
        prop_assert!(!daemon.log().contains("panicked"));
        Ok(())
    });
    assert!(outcome.is_ok(), "{}\n{}", outcome.unwrap_err(), daemon.log());
    // What came through is of the eight states and the names' form.
    let whole = daemon.whole();
    let fits = |pc: &String| {
        pc.len() <= 64
            && pc.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    assert!(whole.occupation.keys().all(fits), "{:?}", whole.occupation);
    daemon.history(1000);
}
