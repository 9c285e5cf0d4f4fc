//! What one client, or one address, or a crowd of them can do to the others: no more than the setup says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::Read;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use common::{
    Channel, Client, Daemon, GUARD, Request, Response, View, entry, everything, filter, get, messages_of,
    one, only, percent, types,
};
use serde_json::{Value, json};

const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A request for a new channel.
fn new_channel() -> Request {
    Request::get("/?m=null")
}

fn assert_later(response: &Response, says: &str) {
    assert_eq!(response.status, 503, "{response:?}");
    assert!(response.header("Retry-After").is_some(), "{response:?}");
    assert_eq!(response.header("Access-Control-Allow-Origin"), Some("*"));
    assert!(response.text().contains(says), "{response:?}");
}

/// Asks until the reply says something.
fn until_told(channel: &mut Channel) -> Vec<Value> {
    let end = Instant::now() + GUARD;
    loop {
        let messages = channel.poll();
        if !messages.is_empty() {
            return messages;
        }
        assert!(Instant::now() < end, "nothing is told");
    }
}

// ------------------------------------------------------------------------------------------------------- C2, losses

#[test]
fn c2_a_loss_that_nobody_notices_is_healed_by_the_whole_occupation() {
    let daemon = Daemon::start(&["http.hold=100ms", "http.refresh=800ms"]);
    daemon.push("seed", &json!({"hg075pc01": entry("o"), "hgbibpc01": entry("o"), "printer7": entry("o")}));
    let mut untold = Channel::with_filter(&daemon, &json!([]));
    let mut told = Channel::new(&daemon);
    let set = json!({"type": "set_msgFilter", "occupation": ["hg"]});
    assert_eq!(types(&told.ask(&json!([set, get("tag_names")]))), ["tags"]);
    told.send(&json!([]));
    daemon.settle();
    daemon.set("hg075pc01", "wf");
    // The system took this, and let us say that its client never saw it.
    assert_eq!(types(&told.receive()), ["occupation_update"]);
    let end = Instant::now() + GUARD;
    let again = loop {
        assert_eq!(untold.poll(), Vec::<Value>::new(), "a channel that was told nothing");
        let messages = told.poll();
        if !messages.is_empty() {
            break messages;
        }
        assert!(Instant::now() < end, "it is never healed");
    };
    assert_eq!(only(&again, "occupation")["occupation"], json!({"hg075pc01": "wf", "hgbibpc01": "o"}));
}

#[test]
fn c2_what_a_client_that_reset_was_sent_it_is_sent_again() {
    let daemon = Daemon::start(&[]);
    daemon.push("seed", &json!({"hg075pc01": entry("o"), "hg075pc02": entry("o")}));
    for state in ["wf", "wu", "lf"] {
        let mut channel = Channel::new(&daemon);
        let set = json!({"type": "set_msgFilter", "occupation": null});
        assert_eq!(types(&channel.ask(&json!([set, get("tag_names")]))), ["tags"]);
        channel.send(&json!([]));
        daemon.settle();
        daemon.set("hg075pc01", state);
        // It is in the client's kernel by now, and goes no further.
        channel.reconnect(&daemon).leave_with_a_reset();
        daemon.settle();
        let messages = channel.poll();
        assert_eq!(only(&messages, "occupation_update")["update"], json!({"hg075pc01": state}));
    }
}

// ------------------------------------------------------------------------------- C9, C10: too many, and of one address

#[test]
fn c9_a_known_token_is_never_refused_and_what_it_asks_takes_effect() {
    let sets = ["http.max_channels=1", "http.channel_expiry=1500ms", "http.wait=20s", "http.hold=100ms"];
    let mut daemon = Daemon::start(&sets);
    daemon.push("seed", &json!({"hg075pc01": entry("wf"), "printer7": entry("o")}));
    let known = "known+to/us==";
    let mut first = Channel::named(&daemon, known);
    first.ask(&json!([filter(&json!(["hg"])), get("occupation")]));
    // A new channel waits for the place; when it has that, the first is known by its filter alone.
    let mut other = daemon.connect();
    assert_eq!(other.exchange(&new_channel()).status, 200);
    other.send(
        &Request::get(&format!("/?m={}", percent(json!(["other", get("tag_names")]).to_string()))).bytes(),
    );
    let m = percent(json!([known, everything(), get("tagMap")]).to_string());
    let put_off = daemon.ask(&Request::get(&format!("/?c=cb&m={m}")));
    assert_eq!(put_off.status, 200, "{put_off:?}");
    assert_eq!(put_off.media_type(), "text/javascript");
    assert_eq!(put_off.jsonp("cb"), json!([known, [], []]));
    drop(other);
    // The filter that it set has been saved: it has effect also where the daemon has crashed since.
    std::thread::sleep(Duration::from_millis(1_200));
    daemon.kill();
    daemon.restart();
    let mut again = Channel::named(&daemon, known);
    let messages = until_told(&mut again);
    assert_eq!(types(&messages)[..2], ["welcome", "tags"]);
    assert_eq!(one(&messages, "occupation")["occupation"], json!({"hg075pc01": "wf", "printer7": "o"}));
}

#[test]
fn c9_what_a_client_asked_when_it_was_put_off_is_answered_once() {
    let daemon =
        Daemon::start(&["http.max_channels=1", "http.channel_expiry=1s", "http.wait=20s", "http.hold=100ms"]);
    daemon.set("hg075pc01", "wf");
    let mut known = Channel::named(&daemon, "known");
    known.ask(&json!([filter(&json!(["hg"])), get("occupation")]));
    assert_eq!(daemon.ask(&new_channel()).status, 200, "it waits until the first has ended");
    let asked = known.ask(&json!([get("tagMap"), {"type": "get_historic_updates", "count": 1}]));
    assert_eq!(asked, Vec::<Value>::new(), "there is no place yet");
    let messages = until_told(&mut known);
    assert_eq!(
        types(&messages),
        ["welcome", "tags", "tagMap", "roomMap", "schedule", "occupation", "historic_updates"]
    );
    assert_eq!(known.poll(), Vec::<Value>::new());
}

#[test]
fn c10_channels_of_one_address_are_limited_and_those_of_another_are_not() {
    let daemon = Daemon::start(&[
        "http.exempt=[]",
        "http.channels_per_address=2",
        "http.wait=50ms",
        "http.hold=100ms",
    ]);
    let mut here = Client::connect_from(HERE, daemon.joyce());
    let mut there = Client::connect_from(THERE, daemon.joyce());
    let first = here.exchange(&new_channel()).json();
    assert_eq!(here.exchange(&new_channel()).status, 200);
    assert_later(&here.exchange(&new_channel()), "http.channels_per_address is 2");
    assert_eq!(there.exchange(&new_channel()).status, 200);
    let known = percent(json!([first[0]]).to_string());
    let reply = here.exchange(&Request::get(&format!("/?m={known}")));
    assert_eq!(messages_of(first[0].as_str().unwrap(), &reply.json()), Vec::<Value>::new());
}

#[test]
fn c10_a_new_channel_waits_for_its_place() {
    let sets = ["http.exempt=[]", "http.channels_per_address=1", "http.channel_expiry=1s", "http.wait=30s"];
    let daemon = Daemon::start(&sets);
    let mut client = daemon.connect();
    assert_eq!(client.exchange(&new_channel()).status, 200);
    assert_eq!(client.exchange(&new_channel()).status, 200, "when the first has ended");
    let daemon = Daemon::start(&["http.exempt=[]", "http.new_channels_per_second=2"]);
    let mut client = daemon.connect();
    for _ in 0..5 {
        assert_eq!(client.exchange(&new_channel()).status, 200, "at the pace it may have");
    }
}

#[test]
fn c10_channels_that_one_address_opens_too_fast_are_refused_for_now() {
    let daemon = Daemon::start(&["http.exempt=[]", "http.new_channels_per_second=1", "http.wait=10ms"]);
    let mut client = daemon.connect();
    assert_eq!(client.exchange(&new_channel()).status, 200);
    assert_later(&client.exchange(&new_channel()), "http.new_channels_per_second is 1");
    assert_eq!(Client::connect_from(THERE, daemon.joyce()).exchange(&new_channel()).status, 200);
}

#[test]
fn c10_addresses_that_are_exempt_are_not_counted() {
    let daemon = Daemon::start(&[
        "http.exempt=127.0.0.2",
        "http.channels_per_address=1",
        "http.connections_per_address=1",
        "http.wait=10ms",
    ]);
    let mut there: Vec<Client> = (0..9).map(|_| Client::connect_from(THERE, daemon.joyce())).collect();
    for client in &mut there {
        assert_eq!(client.exchange(&new_channel()).status, 200);
    }
    let mut here = daemon.connect();
    assert_eq!(here.exchange(&new_channel()).status, 200);
    assert_later(&here.exchange(&new_channel()), "channels_per_address");
}

#[test]
fn c10_behind_a_trusted_proxy_the_address_that_it_names_is_counted() {
    let daemon = Daemon::start(&[
        "http.exempt=[]",
        "http.trusted_proxies=127.0.0.1",
        "http.channels_per_address=1",
        "http.connections_per_address=1",
        "http.wait=10ms",
    ]);
    let from = |addresses: &str| new_channel().header("X-Forwarded-For", addresses);
    // Of proxies that are trusted, connections are not counted.
    let _kept = [daemon.connect(), daemon.connect()];
    let mut proxy = daemon.connect();
    assert_eq!(proxy.exchange(&from("192.0.2.1")).status, 200);
    assert_later(&proxy.exchange(&from("203.0.113.9, 192.0.2.1")), "channels_per_address is 1");
    assert_eq!(proxy.exchange(&from("192.0.2.1, 203.0.113.9, 127.0.0.1")).status, 200, "the rightmost");
    let mut stranger = Client::connect_from(THERE, daemon.joyce());
    assert_eq!(stranger.exchange(&from("192.0.2.77")).status, 200);
    assert_later(&stranger.exchange(&from("192.0.2.78")), "channels_per_address is 1");
}

#[test]
fn c10_a_connection_too_many_of_one_address_waits_for_its_place() {
    let sets = ["http.exempt=[]", "http.connections_per_address=2", "http.wait=30s"];
    let daemon = Daemon::start(&sets);
    let mut first = daemon.connect();
    let mut second = daemon.connect();
    assert_eq!(first.exchange(&new_channel()).status, 200);
    assert_eq!(second.exchange(&new_channel()).status, 200);
    let mut third = daemon.connect();
    third.send(&new_channel().bytes());
    assert_eq!(Client::connect_from(THERE, daemon.joyce()).exchange(&new_channel()).status, 200);
    drop(first);
    assert_eq!(third.receive().status, 200, "when another has ended");
    drop((second, third));

    let daemon = Daemon::start(&["http.exempt=[]", "http.connections_per_address=1", "http.wait=50ms"]);
    let mut first = daemon.connect();
    assert_eq!(first.exchange(&new_channel()).status, 200);
    let mut second = daemon.connect();
    second.send(&new_channel().bytes());
    assert_later(&second.receive(), "as many connections as one may have");
    second.wait_until_closed();
    assert_eq!(first.exchange(&new_channel()).status, 200, "the one that has its place goes on");
}

// ---------------------------------------------------------------------------------- C1, C11, C12: slow and large ones

#[test]
fn c11_a_head_or_a_body_that_does_not_come_is_answered_408_and_closed() {
    let daemon = Daemon::start(&["http.head_timeout=100ms", "http.body_timeout=100ms"]);
    let slow: [&[u8]; 4] = [
        b"GET /?m=nu",
        b"GET /?m=null HTTP/1.1\r\nHost: a\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nnul",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnu",
    ];
    for bytes in slow {
        let mut client = daemon.connect();
        client.send(bytes);
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(client.receive().status, 408, "{shown}");
        client.wait_until_closed();
    }
    assert_eq!(daemon.ask(&new_channel()).status, 200);
}

#[test]
fn c11_a_head_or_a_body_that_is_too_large_is_answered_and_closed() {
    let daemon = Daemon::start(&[]);
    let large = |request: Request| request.bytes();
    let cases = [
        (large(new_channel().header("X", &"x".repeat(16 * 1024))), 431),
        (large(Request::post("/").body("x".repeat(64 * 1024 + 1))), 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n".to_vec(), 413),
    ];
    for (bytes, status) in cases {
        let mut client = daemon.connect();
        client.send_what_is_taken(&bytes);
        assert_eq!(client.receive().status, status);
        client.wait_until_closed();
    }
    let most = format!("[{}null]", " ".repeat(64 * 1024 - 6));
    assert_eq!(daemon.ask(&Request::post("/").body(most)).status, 200, "as large as it may be");
}

#[test]
fn c1_a_client_that_sends_a_great_deal_while_it_is_held_is_answered_and_its_end_is_seen() {
    let daemon = Daemon::start(&["http.hold=10m"]);
    daemon.set("hg075pc01", "o");
    let mut channel = Channel::with_filter(&daemon, &Value::Null);
    channel.send(&json!([]));
    daemon.settle();
    let much = Request::get("/").header("X", &"x".repeat(15_000)).bytes();
    channel.client().send(&[&much[..], &much[..]].concat());
    assert_eq!(channel.receive(), Vec::<Value>::new(), "it is not held any more");
    drop(channel.reconnect(&daemon));
    daemon.set("hg075pc01", "wf");
    assert_eq!(only(&channel.poll(), "occupation_update")["update"], json!({"hg075pc01": "wf"}));
}

/// A daemon with so many PCs that a roomMap is larger than what a socket takes, and a request for many of them.
fn with_large_answers(sets: &[&str]) -> (Daemon, Request) {
    let daemon = Daemon::start(sets);
    let many: serde_json::Map<String, Value> =
        (0..9000).map(|i| (format!("hg075pc{i:040}"), entry("wf"))).collect();
    daemon.push("test", &Value::Object(many));
    let mut m = vec![json!("slow"), everything()];
    m.extend(std::iter::repeat_n(get("roomMap"), 30));
    (daemon, Request::post("/").body(Value::from(m).to_string()))
}

/// What is read of an answer until its connection is ended.
fn read_slowly(client: &mut Client, pause: Duration) -> usize {
    let mut bytes = vec![0; 4096];
    let mut all = 0;
    let mut stream = client.stream();
    loop {
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return all,
            Ok(n) => all += n,
        }
        std::thread::sleep(pause);
    }
}

#[test]
fn c12_a_reader_that_takes_nothing_is_cut_off_and_is_owed_what_it_missed() {
    let (daemon, request) = with_large_answers(&["http.stalled=200ms", "http.answer_timeout=1h"]);
    let whole = daemon.ask(&request).body.len();
    let mut slow = daemon.connect();
    slow.send(&request.bytes());
    let mut others = Channel::with_filter(&daemon, &Value::Null);
    // It is told of a change that comes after; and what the slow one has not taken by then is lost to it.
    std::thread::sleep(Duration::from_millis(600));
    daemon.set("hg075pc1", "o");
    assert!(types(&others.poll()).contains(&"occupation_update"));
    let read = read_slowly(&mut slow, Duration::ZERO);
    assert!(read < whole, "{read} bytes of {whole}");
    let again = daemon.ask(&Request::post("/").body(r#"["slow"]"#)).json();
    let told = messages_of("slow", &again);
    assert!(types(&told).contains(&"roomMap"), "{:?}", types(&told));
}

#[test]
fn c12_a_reader_that_takes_a_little_all_the_time_is_cut_off_in_the_end() {
    let (daemon, request) = with_large_answers(&["http.stalled=5m", "http.answer_timeout=300ms"]);
    let whole = daemon.ask(&request).body.len();
    let mut slow = daemon.connect();
    slow.send(&request.bytes());
    let read = read_slowly(&mut slow, Duration::from_millis(2));
    assert!(read < whole, "{read} bytes of {whole}");
    assert_eq!(daemon.ask(&new_channel()).status, 200);
}

// -------------------------------------------------------------------------------------------- O3: everybody comes back

#[test]
fn o3_a_thousand_that_come_back_at_once_are_held_again_without_a_snapshot_and_pushes_go_on() {
    const CLIENTS: usize = 1000;
    let daemon = Daemon::start(&["http.hold=10m"]);
    daemon.push("seed", &json!({"hg075pc01": entry("o"), "hg075pc02": entry("o")}));
    let mut channels: Vec<(Channel, View)> = (0..CLIENTS)
        .map(|_| {
            let mut channel = Channel::new(&daemon);
            let mut view = View::default();
            view.take(&channel.ask(&json!([everything(), get("roomMap"), get("occupation")])));
            channel.send(&json!([]));
            (channel, view)
        })
        .collect();
    daemon.settle();
    let gone: Vec<Client> = channels.iter_mut().map(|(channel, _)| channel.reconnect(&daemon)).collect();
    std::thread::scope(|scope| {
        let pushes = scope.spawn(|| {
            for i in 0..50 {
                daemon.set("hg075pc01", ["wf", "wu"][i % 2]);
            }
        });
        drop(gone);
        for (channel, _) in &mut channels {
            channel.send(&json!([]));
        }
        pushes.join().unwrap();
    });
    daemon.set("hg075pc02", "lu");
    for (channel, view) in &mut channels {
        while view.occupation["hg075pc02"] != "lu" {
            let messages = channel.receive();
            assert!(types(&messages).iter().all(|of| *of == "occupation_update"), "{:?}", types(&messages));
            view.take(&messages);
            channel.send(&json!([]));
        }
        assert_eq!(view.occupation["hg075pc01"], "wu");
    }
}
