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

// ---------------------------------------------------------------------------------------------- O4: out of open files

/// Of 290 files, what is left for the web port: all but 64 for the history and others, two that listen, and those of
/// pushes (64 served, 64 waiting, 16 strangers).
const FILES: usize = 290;
const PLACES: usize = FILES - 64 - 2 - 144;

/// As many clients as have a place, each with a request that is held.
fn full_house(daemon: &Daemon) -> Vec<Channel> {
    (0..PLACES)
        .map(|_| {
            let mut channel = Channel::with_filter(daemon, &Value::Null);
            channel.send(&json!([]));
            channel
        })
        .collect()
}

#[test]
fn o4_a_full_web_port_is_told_what_changes_and_a_place_that_comes_free_is_used() {
    let daemon = Daemon::limited(FILES, &["http.hold=10m"]);
    daemon.set("hg075pc01", "o");
    let mut channels = full_house(&daemon);
    let mut late = Channel::named(&daemon, "late");
    late.send(&json!([get("tag_names")]));
    // Connections beyond the limit, which take no file of ours: pushes and the history go on.
    let _queue: Vec<Client> = (0..300).map(|_| daemon.connect()).collect();
    for state in ["wf", "wu", "lf"] {
        daemon.set("hg075pc01", state);
        for channel in &mut channels {
            assert_eq!(only(&channel.receive(), "occupation_update")["update"], json!({"hg075pc01": state}));
            channel.send(&json!([]));
        }
    }
    daemon.set("hg075pc01", "x");
    assert_eq!(types(&channels[0].receive()), ["occupation_update"]);
    let rows = channels[0].ask(&json!([{"type": "get_historic_updates", "count": 9}]));
    assert_eq!(only(&rows, "historic_updates")["updates"].as_array().unwrap().len(), 5);
    drop(channels.pop());
    assert_eq!(types(&late.receive()), ["welcome", "tags", "tags"], "in the place that came free");
    assert!(daemon.log().contains("all places for connections are taken"), "{}", daemon.log());
}

#[test]
fn o4_connections_that_stand_idle_make_room_for_those_that_ask() {
    let daemon = Daemon::limited(FILES, &["http.idle=1h"]);
    // It has its place, and its request is held, before the others take all that are left.
    let mut held = daemon.connect();
    held.send(&Request::get("/?m=%5B%22held%22%5D").bytes());
    assert_eq!(types(&messages_of("held", &held.receive().json())), ["welcome", "tags"]);
    held.send(
        &Request::get(
            "/?m=%5B%22held%22%2C%7B%22type%22%3A%22set_msgFilter%22%2C%22occupation%22%3Anull%7D%5D",
        )
        .bytes(),
    );
    let mut idle: Vec<Client> = (1..PLACES).map(|_| daemon.connect()).collect();
    assert_eq!(daemon.ask(&new_channel()).status, 200);
    for client in &mut idle {
        client.wait_until_closed();
    }
    daemon.set("hg075pc01", "wf");
    assert_eq!(types(&messages_of("held", &held.receive().json())), ["occupation_update"]);
}

#[test]
fn o4_a_full_house_does_not_keep_the_processor_busy() {
    let daemon = Daemon::limited(FILES, &["http.hold=10m"]);
    let _channels = full_house(&daemon);
    let _queue: Vec<Client> = (0..50).map(|_| daemon.connect()).collect();
    daemon.push("test", &json!({"hg075pc01": entry("o")}));
    let before = processor_ticks(&daemon);
    std::thread::sleep(Duration::from_secs(2));
    let ticks = processor_ticks(&daemon) - before;
    // Of two hundred: one that looks again and again takes them all.
    assert!(ticks < 50, "{ticks} hundredths of a second");
}

/// Hundredths of a second that a daemon has worked.
fn processor_ticks(daemon: &Daemon) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn o4_connections_that_have_no_files_are_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    for (files, set) in [(FILES, "http.max_connections=1000"), (200, "http.hold=20s")] {
        let output = common::tkbd_within(&common::with_files(files))
            .args([
                "run",
                "--set",
                "http.listen=127.0.0.1:0",
                "--set",
                "push.listen=127.0.0.1:0",
                "--set",
                set,
            ])
            .current_dir(&dir)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(&format!("{files} files may be open")), "{said}");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "nothing was touched");
    }
}

// -------------------------------------------------------------------------------------------------- C3, O5: memory

/// The memory of a daemon, in KiB.
fn resident(daemon: &Daemon) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn c3_a_channel_nobody_comes_back_to_takes_a_kibibyte_at_most() {
    const CHANNELS: usize = 10_000;
    let daemon = Daemon::start(&["http.channel_expiry=1h"]);
    daemon.set("hg075pc01", "o");
    let mut client = daemon.connect();
    let mut open = |channels: std::ops::Range<usize>| {
        for i in channels {
            let m = json!([format!("abandoned-{i:012}"), everything(), get("occupation")]);
            let request = Request::post("/").body(m.to_string());
            assert_eq!(client.exchange(&request).status, 200);
        }
    };
    // What the first ones bring about is not of each.
    open(0..1_000);
    let before = resident(&daemon);
    open(1_000..1_000 + CHANNELS);
    for state in ["wf", "wu", "wf", "wu"] {
        daemon.set("hg075pc01", state);
    }
    let each = resident(&daemon).saturating_sub(before) * 1024 / CHANNELS;
    assert!(each <= 1024, "{each} bytes a channel");
}

// ---------------------------------------------------------------------------------------------------- O6: the log

#[test]
fn o6_a_log_that_is_not_read_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = common::tkbd()
        .args(["run", "--set", "http.listen=127.0.0.1:0", "--set", "push.listen=127.0.0.1:0"])
        .args(["--set", "history.db=history.sqlite3", "--set", "log.level=debug"])
        .current_dir(&dir)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Read up to where it listens for pushes, and no further, while it stays open.
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
    let push = loop {
        let mut line = String::new();
        assert!(std::io::BufRead::read_line(&mut log, &mut line).unwrap() > 0, "it does not listen");
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["door"] == "push" {
            break line["addr"].as_str().unwrap().parse().unwrap();
        }
    };
    // Each of them is told in the log, which is full long before the last.
    let bad = Request::post("/push").body("{}").bytes();
    let mut client = Client::connect(push);
    for _ in 0..5_000 {
        client.send(&bad);
        assert_eq!(client.receive().status, 400);
    }
    let good = Request::post("/push").body(json!({"data": {"hg075pc01": entry("o")}}).to_string());
    common::assert_taken(&client.exchange(&good), "a push");
    assert!(common::ask_to_end(&child));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(log);
}

#[test]
fn o6_what_is_said_again_and_again_is_limited_in_the_log() {
    let daemon = Daemon::start(&[]);
    let via = "x-tkbd-via";
    let hello = Request::post("/").body("null").header(via, &"a".repeat(22));
    // A mirror of itself.
    let own = daemon.ask(&hello).header(via).unwrap().split(',').next().unwrap().to_owned();
    let turned_away = Request::post("/").body("null").header(via, &own);
    let mut client = daemon.connect();
    for _ in 0..300 {
        assert_eq!(client.exchange(&turned_away).status, 508);
    }
    // The line behind them is in the log after them.
    let mut daemon = daemon;
    assert_eq!(daemon.terminate().code(), Some(0));
    let told = daemon.log().matches("a mirror is turned away").count();
    assert!((1..=30).contains(&told), "{told} lines of one kind");
}

// ---------------------------------------------------------------------------------------------------- O5: memory

#[test]
fn o5_bodies_that_come_in_at_once_share_what_they_may_take() {
    let daemon = Daemon::start(&["limits.bodies=1048576", "http.body_timeout=1m"]);
    let body = format!("[null{}]", " ".repeat(60_000));
    let bytes = Request::post("/").body(&body).bytes();
    let mut slow: Vec<Client> = Vec::new();
    // Seventeen of them have their places, and those after them none.
    let refused = loop {
        let mut client = daemon.connect();
        client.send_what_is_taken(&bytes[..bytes.len() - 1]);
        daemon.settle();
        client.stream().set_nonblocking(true).unwrap();
        let is_answered = client.stream().peek(&mut [0]).is_ok();
        client.stream().set_nonblocking(false).unwrap();
        if is_answered {
            break client.receive();
        }
        slow.push(client);
        assert!(slow.len() < 40, "all of them are taken");
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(slow.len() >= 15, "{} are taken", slow.len());
    assert_eq!(daemon.ask(&new_channel()).status, 200, "what has no body needs no place");
    for client in &mut slow {
        client.send(b"]");
        assert_eq!(client.receive().status, 200);
    }
    assert_eq!(daemon.ask(&Request::post("/").body(&body)).status, 200, "the places are free again");
}

#[test]
fn o5_a_slow_reader_of_an_answer_too_many_is_cut_off_and_told_when_it_comes_again() {
    let (daemon, _) =
        with_large_answers(&["limits.unsent=1048576", "http.stalled=5m", "http.answer_timeout=1h"]);
    let ask = |token: &str| {
        let mut m = vec![json!(token), everything()];
        m.extend(std::iter::repeat_n(get("roomMap"), 30));
        Request::post("/").body(Value::from(m).to_string())
    };
    // Each waits for another roomMap, of half a megabyte; two have a place.
    let mut slow: Vec<Client> = (0..4)
        .map(|i| {
            daemon.set(&format!("hg075pcnew{i}"), "o");
            let mut client = daemon.connect();
            client.send(&ask(&format!("slow{i}")).bytes());
            daemon.settle();
            client
        })
        .collect();
    let read = read_slowly(&mut slow[3], Duration::ZERO);
    assert!(read < 30 * 450_000, "{read} bytes");
    drop(slow);
    daemon.settle();
    let again = daemon.ask(&Request::post("/").body(r#"["slow3"]"#)).json();
    assert!(types(&messages_of("slow3", &again)).contains(&"roomMap"));
}

#[test]
fn o5_a_flood_stays_below_the_ceiling_that_check_tells() {
    let sets = [
        "http.max_channels=5000",
        "http.max_connections=500",
        "limits.bodies=4194304",
        "limits.unsent=4194304",
        "http.stalled=5m",
        "http.answer_timeout=1h",
        "http.body_timeout=5m",
    ];
    let (daemon, request) = with_large_answers(&sets);
    let dir = tempfile::tempdir().unwrap();
    let arguments: Vec<&str> =
        std::iter::once("check").chain(sets.iter().flat_map(|set| ["--set", set])).collect();
    let (code, told, _) = common::run_to_end(dir.path(), &arguments);
    assert_eq!(code, Some(0));
    let line = told.lines().find_map(|line| line.strip_prefix("memory     at most ")).unwrap();
    let ceiling: usize = line.split(' ').next().unwrap().parse().unwrap();

    let mut client = daemon.connect();
    for i in 0..4_900 {
        let m = json!([format!("flood-{i:012}"), everything(), get("tag_names")]).to_string();
        assert_eq!(client.exchange(&Request::post("/").body(m)).status, 200);
    }
    let body = Request::post("/").body(" ".repeat(65_000)).bytes();
    let head = Request::get("/").header("X", &"x".repeat(16_000)).bytes();
    let flood: Vec<Client> = (0..450)
        .map(|i| {
            let mut client = daemon.connect();
            match i % 3 {
                0 => client.send_what_is_taken(&body[..body.len() - 1]),
                1 => client.send_what_is_taken(&head[..head.len() - 1]),
                _ => client.send_what_is_taken(&request.bytes()),
            }
            if i % 10 == 0 {
                daemon.set(&format!("hg075pcflood{i}"), "o");
            }
            client
        })
        .collect();
    daemon.settle();
    let taken = resident(&daemon) / 1024;
    assert!(taken <= ceiling, "{taken} MiB of {ceiling}");
    assert_eq!(daemon.ask(&new_channel()).status, 200);
    drop(flood);
}
