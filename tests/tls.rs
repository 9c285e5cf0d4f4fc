//! TLS, from outside: whole conversations on the ports that speak it, and certificates that are exchanged meanwhile
//! (reliability.md O7, O8). What the other tests see on the plain ports, `TKBD_TEST_TLS=1` has them see over TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use common::tls::{self, Authority, DAY, authority};
use common::{Channel, Client, Daemon, GUARD, Request, entry, everything, get, one, percent, run_to_end};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

/// A daemon with both kinds of ports, whose certificate the tests trust.
fn start(sets: &[&str]) -> Daemon {
    let dir = tempfile::tempdir().unwrap();
    authority().good().write(dir.path(), "pair");
    let own = tls::sets("pair");
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    Daemon::on(dir, &[&own, sets].concat())
}

fn channel(daemon: &Daemon) -> Channel {
    Channel::over(Client::over_tls(daemon.joyce_tls())).filtered(&Value::Null)
}

fn push(state: &str) -> Request {
    let data = json!({"datasource": "test", "data": {"hg075pc01": entry(state)}});
    Request::post("/push").body(data.to_string())
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + GUARD;
    while !is_so() {
        assert!(Instant::now() < end, "it never came to be that {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn until_logged(daemon: &Daemon, text: &str) {
    until(&format!("the log says {text:?}:\n{}", daemon.log()), || daemon.log().contains(text));
}

/// The serial number, as it were, of the certificate that is served now.
fn served(port: SocketAddr) -> Vec<u8> {
    let mut client = Client::over_tls(port);
    client.shake_hands().unwrap();
    client.session().peer_certificates().unwrap()[0].to_vec()
}

/// What comes on a connection until it ends.
fn all_of(mut stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(GUARD)).unwrap();
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => said,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => said,
        Err(error) => panic!("the connection stays open: {error}"),
    }
}

// ----------------------------------------------------------------------------------------------------- conversations

#[test]
fn a_conversation_over_tls_is_the_one_over_plain_http() {
    let daemon = start(&[]);
    daemon.set("hg075pc01", "o");
    let mut plain = Channel::with_filter(&daemon, &Value::Null);
    for versions in [&TLS12, &TLS13] {
        let config = authority().client(&[versions], None);
        let mut client = Client::with_session(daemon.joyce_tls(), tls::session(&config));
        client.shake_hands().unwrap();
        assert_eq!(client.session().protocol_version(), Some(versions.version));
        let mut secret = Channel::over(client).filtered(&Value::Null);
        let ask = json!([get("roomMap"), get("occupation")]);
        assert_eq!(secret.ask(&ask), plain.ask(&ask));
        // Held, and answered by a push that comes over TLS, too.
        for state in ["wf", "lu", "x", "o"] {
            secret.send(&json!([]));
            plain.send(&json!([]));
            daemon.settle();
            let mut source = Client::with_session(daemon.push_tls(), tls::session(&config));
            assert_eq!(source.exchange(&push(state)).json(), json!(true));
            let told = secret.receive();
            assert_eq!(one(&told, "occupation_update")["update"], json!({"hg075pc01": state}));
            assert_eq!(told, plain.receive());
        }
        let page = Request::get(&format!("/?c=cb&m={}", percent(json!([secret.token()]).to_string())));
        secret.client().send(&page.bytes());
        daemon.settle();
        daemon.set("hg075pc01", "wu");
        let called = secret.client().receive().jsonp("cb");
        assert_eq!(one(called[1].as_array().unwrap(), "occupation_update")["update"]["hg075pc01"], "wu");
        plain.poll();
        daemon.set("hg075pc01", "o");
        plain.poll();
    }
}

#[test]
fn only_http_1_is_agreed_on_and_who_wants_another_protocol_alone_is_told() {
    let daemon = start(&[]);
    let with = |protocols: &[&str]| {
        let mut config = (*authority().client(rustls::ALL_VERSIONS, None)).clone();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Client::with_session(daemon.joyce_tls(), tls::session(&config.into()))
    };
    let mut client = with(&["h2", "http/1.1"]);
    assert_eq!(client.exchange(&Request::get("/?m=null")).status, 200);
    assert_eq!(client.session().alpn_protocol(), Some(b"http/1.1".as_slice()));
    let error = with(&["h2"]).shake_hands().unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn who_comes_back_is_spared_the_slow_part_of_the_handshake() {
    let daemon = start(&[]);
    for versions in [&TLS12, &TLS13] {
        let config = authority().client(&[versions], None);
        let kind = || {
            let mut client = Client::with_session(daemon.joyce_tls(), tls::session(&config));
            assert_eq!(client.exchange(&Request::get("/?m=null")).status, 200);
            client.session().handshake_kind()
        };
        assert_eq!(kind(), Some(HandshakeKind::Full));
        assert_eq!(kind(), Some(HandshakeKind::Resumed));
    }
}

#[test]
fn requests_behind_one_another_in_one_record_are_each_answered_once() {
    let daemon = start(&[]);
    daemon.set("hg075pc01", "o");
    let mut client = Client::over_tls(daemon.joyce_tls());
    let mut bytes = Request::get("/?m=[\"one\"]").bytes();
    bytes.extend(Request::post("/").body("[\"two\"]").bytes());
    // What is held, and what comes behind it: that was decrypted long before it is looked at.
    bytes.extend(Request::get("/?m=[\"one\"]").bytes());
    bytes.extend(Request::get("/nowhere").bytes());
    client.send(&bytes);
    assert_eq!(client.receive().json()[0], "one");
    assert_eq!(client.receive().json()[0], "two");
    let mut other = Client::over_tls(daemon.joyce_tls());
    daemon.settle();
    assert_eq!(other.exchange(&Request::get("/?m=[\"one\",{\"type\":\"get_tag_names\"}]")).status, 200);
    assert_eq!(client.receive().json(), json!(["one", [], []]));
    assert_eq!(client.receive().status, 400);
    client.finish_sending();
    assert!(client.try_receive(false).unwrap().is_none(), "no answer more, and an end in order");
}

#[test]
fn c12_a_reader_that_is_slow_gets_a_large_reply_whole_and_nobody_waits_for_it() {
    let daemon = start(&["http.max_body=16777216"]);
    // As long as names and sources may be, and as many as are told at once.
    let source = "s".repeat(64);
    daemon.set("hg075pc01", "o");
    for n in 0..9 {
        let pcs: Value = (0..1110).map(|pc| (format!("{:064}", n * 1110 + pc), entry("wf"))).collect();
        daemon.push(&source, &pcs);
    }
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&daemon.joyce_tls().into()).unwrap();
    let mut client = Client::of(socket.into()).secured();
    let history = json!({"type": "get_historic_updates", "offset": 0, "count": 1000});
    let mut asks = vec![json!("slow"), everything(), get("roomMap"), get("occupation")];
    asks.extend(vec![history; 28]);
    client.send(&Request::post("/").body(Value::from(asks).to_string()).bytes());
    // Meanwhile all others are served.
    let mut other = channel(&daemon);
    for state in ["wu", "lf", "o"] {
        other.send(&json!([]));
        daemon.settle();
        daemon.set("hg075pc01", state);
        assert_eq!(one(&other.receive(), "occupation_update")["update"]["hg075pc01"], state);
    }
    let response = client.receive();
    assert!(response.body.len() > 4_000_000, "{} bytes", response.body.len());
    let reply = response.json();
    let messages = reply[1].as_array().unwrap();
    let histories: Vec<&Value> = messages.iter().filter(|m| m["type"] == "historic_updates").collect();
    assert_eq!(histories.len(), 28);
    assert!(histories.iter().all(|message| message["updates"].as_array().unwrap().len() == 1000));
    assert_eq!(one(messages, "occupation")["occupation"].as_object().unwrap().len(), 9_991);
    // The connection goes on.
    client.send(&Request::get("/?m=[\"slow\",{\"type\":\"get_tag_names\"}]").bytes());
    assert_eq!(client.receive().status, 200);
}

#[test]
fn c1_a_client_that_leaves_while_held_loses_nothing_whether_it_says_so_or_not() {
    let daemon = start(&[]);
    daemon.set("hg075pc01", "o");
    for (says_so, state) in [(false, "wf"), (true, "wu")] {
        let mut channel = channel(&daemon);
        channel.send(&json!([]));
        daemon.settle();
        let mut gone = channel.replace_client(Client::over_tls(daemon.joyce_tls()));
        if says_so {
            gone.finish_sending();
            // Nothing was to be said; and our end is told, too.
            assert!(gone.try_receive(false).unwrap().is_none());
        }
        drop(gone);
        daemon.settle();
        daemon.set("hg075pc01", state);
        let messages = channel.ask(&json!([get("tag_names")]));
        assert_eq!(one(&messages, "occupation_update")["update"], json!({"hg075pc01": state}));
        daemon.set("hg075pc01", "o");
        channel.poll();
    }
}

#[test]
fn new_keys_while_a_request_is_held_are_no_news_to_http() {
    let daemon = start(&[]);
    daemon.set("hg075pc01", "o");
    let mut channel = channel(&daemon);
    for state in ["wf", "wu", "lf"] {
        channel.send(&json!([]));
        daemon.settle();
        let client = channel.client();
        client.session().refresh_traffic_keys().unwrap();
        client.send(b"");
        daemon.settle();
        daemon.set("hg075pc01", state);
        assert_eq!(one(&channel.receive(), "occupation_update")["update"]["hg075pc01"], state);
    }
}

#[test]
fn a_push_over_tls_is_answered_200_when_it_is_recorded_and_202_before() {
    let daemon = start(&["history.acknowledge_within=2s"]);
    let mut source = Client::over_tls(daemon.push_tls());
    assert_eq!(source.exchange(&push("wf")).status, 200);
    let other = rusqlite::Connection::open(daemon.history_file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(source.exchange(&push("wu")).status, 202);
    assert_eq!(daemon.whole().occupation["hg075pc01"], "wu");
    drop(other);
    until("it is recorded", || source.exchange(&push("wu")).status == 200);
}

#[test]
fn a_push_that_is_cut_off_is_not_applied() {
    let daemon = start(&[]);
    daemon.set("hg075pc01", "o");
    let bytes = push("wf").bytes();
    // Within the body, and within a record.
    let mut source = Client::over_tls(daemon.push_tls());
    source.send(&bytes[..bytes.len() - 1]);
    drop(source);
    let mut source = Client::over_tls(daemon.push_tls());
    source.shake_hands().unwrap();
    source.session().writer().write_all(&bytes).unwrap();
    let mut record = Vec::new();
    source.session().write_tls(&mut record).unwrap();
    source.stream().write_all(&record[..record.len() - 1]).unwrap();
    source.stream().shutdown(Shutdown::Write).unwrap();
    source.wait_until_closed();
    daemon.settle();
    assert_eq!(daemon.whole().occupation["hg075pc01"], "o");
    assert_eq!(daemon.history(10).len(), 1);
}

#[test]
fn a_thousand_that_are_held_over_tls_have_each_push_once() {
    let daemon = start(&[]);
    daemon.set("hg075pc01", "o");
    let config = authority().client(rustls::ALL_VERSIONS, None);
    let mut channels: Vec<Channel> = (0..1000)
        .map(|_| {
            let client = Client::with_session(daemon.joyce_tls(), tls::session(&config));
            Channel::over(client).filtered(&Value::Null)
        })
        .collect();
    for state in ["wf", "wu", "lf"] {
        channels.iter_mut().for_each(|channel| channel.send(&json!([])));
        // A request that is answered at once came after all of these.
        daemon.settle();
        daemon.set("hg075pc01", state);
        for channel in &mut channels {
            let messages = channel.receive();
            assert_eq!(messages.len(), 1, "{messages:?}");
            assert_eq!(one(&messages, "occupation_update")["update"], json!({"hg075pc01": state}));
        }
    }
}

#[test]
fn o2_at_the_end_all_that_is_held_is_answered_and_told_that_nothing_more_comes() {
    let mut daemon = start(&[]);
    let mut held: Vec<Channel> = (0..50).map(|_| channel(&daemon)).collect();
    held.iter_mut().for_each(|channel| channel.send(&json!([])));
    let mut idle = Client::over_tls(daemon.joyce_tls());
    assert_eq!(idle.exchange(&Request::get("/nowhere")).status, 400);
    // One that has not even begun is not waited for long.
    let _silent = TcpStream::connect(daemon.joyce_tls()).unwrap();
    daemon.settle();
    daemon.ask_to_end();
    for channel in &mut held {
        assert_eq!(channel.receive(), [json!(null); 0]);
        assert!(
            channel.client().try_receive(false).unwrap().is_none(),
            "an end that is not told is an error"
        );
    }
    assert!(idle.try_receive(false).unwrap().is_none(), "an end that is not told is an error");
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
}

#[test]
fn o2_who_is_in_a_handshake_when_the_daemon_is_to_end_is_answered() {
    let mut daemon = start(&[]);
    let mut held = channel(&daemon);
    held.send(&json!([]));
    // One has not begun, one has said hello and is yet to read what that was answered.
    let mut fresh = Client::over_tls(daemon.joyce_tls());
    let mut begun = Client::over_tls(daemon.joyce_tls());
    let mut hello = Vec::new();
    begun.session().write_tls(&mut hello).unwrap();
    begun.stream().write_all(&hello).unwrap();
    let mut source = Client::over_tls(daemon.push_tls());
    channel(&daemon);
    Client::over_tls(daemon.push_tls()).shake_hands().unwrap();
    daemon.settle();
    daemon.ask_to_end();
    assert_eq!(held.receive(), [json!(null); 0], "from now on the daemon ends");
    for client in [&mut fresh, &mut begun] {
        let response = client.exchange(&Request::get("/?c=cb&m=[null]"));
        assert_eq!((response.status, response.header("Connection")), (200, Some("close")), "{response:?}");
    }
    let response = source.exchange(&push("wf"));
    assert_eq!((response.json(), response.header("Connection")), (json!(true), Some("close")));
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
}

// -------------------------------------------------------------------------------------------- what is no conversation

#[test]
fn plain_http_on_the_port_that_speaks_tls_is_told_so_and_logged_once() {
    let daemon = start(&["log.level=debug"]);
    for _ in 0..3 {
        let mut stream = TcpStream::connect(daemon.joyce_tls()).unwrap();
        stream.write_all(&Request::get("/?m=null").bytes()).unwrap();
        let said = String::from_utf8(all_of(stream)).unwrap();
        assert!(said.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{said}");
        assert!(
            said.ends_with(
                "\r\nConnection: close\r\nContent-Length: 37\r\n\r\nThis port speaks TLS: https://, please"
            ),
            "{said}"
        );
    }
    assert_eq!(daemon.log().matches("speaks without TLS").count(), 1, "{}", daemon.log());
    let mut client = Client::over_tls(daemon.joyce_tls());
    assert_eq!(client.exchange(&Request::get("/?m=null")).status, 200);
}

#[test]
fn what_does_not_come_to_a_session_is_ended_and_the_held_do_not_notice() {
    let daemon = start(&["http.head_timeout=300ms"]);
    daemon.set("hg075pc01", "o");
    let mut channel = channel(&daemon);
    channel.send(&json!([]));
    daemon.settle();
    let mut hello = Vec::new();
    let mut session = tls::session(&authority().client(rustls::ALL_VERSIONS, None));
    session.write_tls(&mut hello).unwrap();
    let garbage: Vec<u8> = (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut wrong = hello.clone();
    wrong[9..40].fill(0xff);
    for bytes in [
        &b""[..],
        b"\x16",
        &hello[..hello.len() / 2],
        &hello,
        &garbage,
        &wrong,
        &[&hello[..], &garbage].concat(),
    ] {
        let mut stream = TcpStream::connect(daemon.joyce_tls()).unwrap();
        let _ = stream.write_all(bytes);
        all_of(stream);
    }
    // Who begins and then says nothing more has as little time.
    let mut client = Client::over_tls(daemon.joyce_tls());
    client.shake_hands().unwrap();
    client.send(b"GET / HT");
    assert_eq!(client.receive().status, 408);
    daemon.set("hg075pc01", "wf");
    assert_eq!(one(&channel.receive(), "occupation_update")["update"]["hg075pc01"], "wf");
}

#[test]
fn who_stalls_in_a_handshake_keeps_nobody_out() {
    let daemon = start(&["http.head_timeout=5m"]);
    let mut hello = Vec::new();
    let mut session = tls::session(&authority().client(rustls::ALL_VERSIONS, None));
    session.write_tls(&mut hello).unwrap();
    // Some say nothing, some half of a hello, and some do not answer ours.
    let stalled = (0..300).map(|n| {
        let mut stream = TcpStream::connect(daemon.joyce_tls()).unwrap();
        stream.write_all(&hello[..hello.len() * (n % 3) / 2]).unwrap();
        stream
    });
    let stalled: Vec<TcpStream> = stalled.collect();
    for _ in 0..10 {
        let mut client = Client::over_tls(daemon.joyce_tls());
        assert_eq!(client.exchange(&Request::get("/?m=null")).status, 200);
    }
    drop(stalled);
}

#[test]
fn tls_1_1_is_refused_with_an_alert() {
    let daemon = start(&[]);
    // A hello of that time, but with all that TLS 1.2 wants to know: RFC 5246, section 7.4.1.2.
    let extensions: [&[u8]; 3] =
        [&[0, 10, 0, 4, 0, 2, 0, 23], &[0, 11, 0, 2, 1, 0], &[0, 13, 0, 4, 0, 2, 4, 3]];
    let extensions = extensions.concat();
    let first_said = |version: u8| {
        let suites = [0, 2, 0xc0, 0x2b, 1, 0];
        let extensions = [&[0, extensions.len() as u8][..], &extensions].concat();
        let body = [&[3, version][..], &[7; 32], &[0], &suites, &extensions].concat();
        let message = [&[1, 0, 0, body.len() as u8][..], &body].concat();
        let record = [&[0x16, 3, 1, 0, message.len() as u8][..], &message].concat();
        let mut stream = TcpStream::connect(daemon.joyce_tls()).unwrap();
        stream.write_all(&record).unwrap();
        let mut said = [0; 7];
        stream.read_exact(&mut said).unwrap();
        said
    };
    let alert = first_said(2);
    // Fatal, and protocol_version.
    assert_eq!((alert[0], &alert[5..]), (0x15, &[2, 70][..]), "{alert:?}");
    assert_eq!(first_said(3)[0], 0x16, "the hello itself is a good one");
}

#[test]
fn where_sources_need_a_certificate_one_without_is_refused() {
    let theirs = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    authority().good().write(dir.path(), "pair");
    std::fs::write(dir.path().join("sources.pem"), &theirs.pem).unwrap();
    let mut sets = tls::sets("pair");
    sets.push("push.tls.client_ca=sources.pem".to_owned());
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let daemon = Daemon::on(dir, &sets);
    let own = theirs.good();
    let known = authority().client(rustls::ALL_VERSIONS, Some(&own));
    let mut source = Client::with_session(daemon.push_tls(), tls::session(&known));
    assert_eq!(source.exchange(&push("wf")).status, 200);
    let strange = authority().good();
    for own in [None, Some(&strange)] {
        let config = authority().client(rustls::ALL_VERSIONS, own);
        let mut source = Client::with_session(daemon.push_tls(), tls::session(&config));
        source.send_what_is_taken(&push("wu").bytes());
        assert!(source.try_receive(false).is_err());
    }
    assert_eq!(daemon.whole().occupation["hg075pc01"], "wf");
    // On the web port nobody is asked for one.
    assert_eq!(Client::over_tls(daemon.joyce_tls()).exchange(&Request::get("/?m=null")).status, 200);
}

// ------------------------------------------------------------------------------------------------------- certificates

#[test]
fn o8_a_new_pair_is_taken_while_requests_are_held_and_they_do_not_notice() {
    let daemon = start(&["http.tls.every=100ms", "push.tls.every=100ms"]);
    daemon.set("hg075pc01", "o");
    let mut held: Vec<Channel> = (0..20).map(|_| channel(&daemon)).collect();
    held.iter_mut().for_each(|channel| channel.send(&json!([])));
    daemon.settle();
    let before = served(daemon.joyce_tls());
    authority().good().write(daemon.dir(), "pair");
    until("the new one is served", || served(daemon.joyce_tls()) != before);
    until("on both ports", || served(daemon.push_tls()) == served(daemon.joyce_tls()));
    assert_eq!(Client::over_tls(daemon.push_tls()).exchange(&push("wf")).status, 200);
    for channel in &mut held {
        assert_eq!(one(&channel.receive(), "occupation_update")["update"]["hg075pc01"], "wf");
        // And on they go.
        channel.send(&json!([]));
    }
    daemon.settle();
    daemon.set("hg075pc01", "wu");
    for channel in &mut held {
        assert_eq!(one(&channel.receive(), "occupation_update")["update"]["hg075pc01"], "wu");
    }
}

#[test]
fn o8_a_bad_pair_is_not_taken_and_the_log_has_why() {
    let daemon = start(&["http.tls.every=100ms"]);
    let good = served(daemon.joyce_tls());
    let (now, dir) = (SystemTime::now(), daemon.dir());
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    let alarm = |why: &str| {
        until_logged(&daemon, why);
        assert_eq!(served(daemon.joyce_tls()), good, "{why}");
    };
    authority().issue(now - 30 * DAY, now - DAY).write(dir, "pair");
    alarm("has expired at");
    authority().issue(now + DAY, now + 30 * DAY).write(dir, "pair");
    alarm("is not valid before");
    write("pair.key", &authority().good().key);
    alarm("is not that of the first certificate");
    write("pair.pem", "no PEM at all");
    alarm("there is no certificate in pair.pem");
    write("pair.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    alarm("the first certificate is malformed");
    authority().good().write(dir, "pair");
    write("pair.key", "");
    alarm("there is no private key without a passphrase in pair.key");
    std::fs::remove_file(dir.join("pair.key")).unwrap();
    alarm("pair.key cannot be read: No such file or directory");
    assert!(!daemon.log().contains("PRIVATE"), "{}", daemon.log());
    let last = authority().good();
    last.write(dir, "pair");
    until("the good one is served", || served(daemon.joyce_tls()) != good);
    assert_eq!(daemon.log().matches("has expired at").count(), 1, "{}", daemon.log());
}

#[test]
fn o7_a_key_that_others_may_read_is_refused_at_the_start_and_later() {
    use std::os::unix::fs::PermissionsExt;
    let daemon = start(&["http.tls.every=100ms"]);
    let good = served(daemon.joyce_tls());
    authority().good().write(daemon.dir(), "pair");
    let key = daemon.dir().join("pair.key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    until_logged(&daemon, "everybody on this machine may use the key");
    assert_eq!(served(daemon.joyce_tls()), good);
    let file = "[http.tls]\ncertificate = \"pair.pem\"\nkey = \"pair.key\"\n";
    std::fs::write(daemon.dir().join("x.toml"), file).unwrap();
    for command in ["check", "run"] {
        let (code, _, error) = run_to_end(daemon.dir(), &[command, "x.toml"]);
        assert_eq!(code, Some(78), "{error}");
        assert!(
            error.contains("x.toml:3:7: http.tls.key: everybody on this machine may use \"pair.key\""),
            "{error}"
        );
    }
}

#[test]
fn o8_a_start_without_a_usable_pair_ends_with_78_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (authority().good(), authority().good());
    one.write(dir.path(), "one");
    other.write(dir.path(), "other");
    for (certificate, key, why) in [
        (
            "one.pem",
            "other.key",
            "http.tls: the key other.key is not that of the first certificate in one.pem",
        ),
        ("none.pem", "one.key", "http.tls: none.pem cannot be read: No such file or directory"),
        ("one.key", "one.key", "http.tls: there is no certificate in one.key"),
    ] {
        let setup = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n[push]\nlisten = []\n\
             [http.tls]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n"
        );
        std::fs::write(dir.path().join("x.toml"), setup).unwrap();
        for command in ["check", "run"] {
            let (code, _, error) = run_to_end(dir.path(), &[command, "x.toml"]);
            assert_eq!((code, error.contains(why)), (Some(78), true), "{command}: {error}");
        }
        assert!(!dir.path().join("history.sqlite3").exists(), "it ends before anything is touched");
    }
}

#[test]
fn o8_an_expired_certificate_is_served_at_a_start_with_an_alarm_and_one_that_ends_soon_with_a_warning() {
    let now = SystemTime::now();
    for (until, level, says) in [
        (now - DAY, "ERROR", "the certificate has expired"),
        (now + 13 * DAY, "WARN", "the certificate expires soon"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        authority().issue(now - 60 * DAY, until).write(dir.path(), "pair");
        let sets = tls::sets("pair");
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let daemon = Daemon::on(dir, &sets);
        until_logged(&daemon, says);
        let log = daemon.log();
        let line = log.lines().find(|line| line.contains(says)).unwrap();
        assert!(line.contains(&format!("\"level\":\"{level}\"")), "{line}");
        assert_eq!(daemon.ask(&Request::get("/?m=null")).status, 200, "the plain port does not care");
        let shaken = Client::over_tls(daemon.joyce_tls()).shake_hands();
        assert_eq!(shaken.is_ok(), level == "WARN", "who checks is told: {shaken:?}");
    }
    let daemon = start(&[]);
    daemon.settle();
    assert!(
        !daemon.log().contains("the certificate "),
        "three months are no reason to warn:\n{}",
        daemon.log()
    );
}

#[test]
fn check_says_for_whom_a_certificate_is_and_until_when() {
    let dir = tempfile::tempdir().unwrap();
    authority().good().write(dir.path(), "pair");
    let mut arguments = vec!["check".to_owned()];
    arguments.extend(tls::sets("pair").into_iter().flat_map(|set| ["--set".to_owned(), set]));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (code, out, error) = run_to_end(dir.path(), &arguments);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("http.tls   for localhost, 127.0.0.1, until 2"), "{out}");
    assert!(out.contains("pages      0.0.0.0:8080, 127.0.0.1:0 (TLS) at path /\n"), "{out}");
}

// ------------------------------------------------------------------------------------------------------------ clients

#[test]
fn our_own_clients_and_mirrors_speak_tls_and_trust_whom_they_are_told_to() {
    let master = start(&[]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.pem"), &authority().pem).unwrap();
    let (web, port) = (format!("https://{}", master.joyce_tls()), format!("https://{}", master.push_tls()));
    let (code, out, error) =
        run_to_end(dir.path(), &["push", "--to", &port, "--ca", "ca.pem", "hg075pc01=used:linux"]);
    assert_eq!((code, out.as_str()), (Some(0), "1 state acknowledged\n"), "{error}");
    assert_eq!(master.whole().occupation["hg075pc01"], "lu");
    let (code, out, error) = run_to_end(dir.path(), &["watch", &web, "--once", "--ca", "ca.pem"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("HG00.075"), "{out}");
    // Nobody on this machine knows who signed it.
    let stranger = ["push", "--to", &port, "--retry", "0", "hg075pc01=o"];
    let (code, _, error) = run_to_end(dir.path(), &stranger);
    assert_eq!((code, error.contains("certificate")), (Some(1), true), "{error}");
    assert_eq!(master.whole().occupation["hg075pc01"], "lu");
    let (code, _, error) = run_to_end(dir.path(), &["watch", &web, "--once", "--ca", "no.pem"]);
    assert_eq!((code, error.contains("no.pem holds no certificates")), (Some(2), true), "{error}");

    let ca = dir.path().join("ca.pem").display().to_string();
    let setup =
        format!("[mirror]\nmaster = \"{web}\"\nca = \"{ca}\"\nretry = \"20ms\"\nretry_most = \"200ms\"\n");
    let mirror = Daemon::with_setup(&setup, &[]);
    until("the mirror has it", || {
        mirror.whole().occupation.get("hg075pc01").is_some_and(|state| state == "lu")
    });
    master.set("hg075pc01", "wf");
    until("and what comes", || mirror.whole().occupation["hg075pc01"] == "wf");
}

#[test]
fn c10_an_address_has_its_share_of_connections_on_the_plain_and_the_tls_port_together() {
    let daemon = start(&["http.exempt=[]", "http.connections_per_address=1", "http.wait=50ms"]);
    let mut plain = daemon.connect();
    assert_eq!(plain.exchange(&Request::get("/healthz")).status, 200);
    let mut second = Client::over_tls(daemon.joyce_tls());
    let refused = second.exchange(&Request::get("/healthz"));
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("as many connections as one may have"), "{refused:?}");
    drop(plain);
    let until = Instant::now() + GUARD;
    while Client::over_tls(daemon.joyce_tls()).exchange(&Request::get("/healthz")).status != 200 {
        assert!(Instant::now() < until, "{}", daemon.log());
    }
}
