//! What is wrong is told while it is, by name; and whether requests may be sent all the same.

use crate::common::relay::Relay;
use crate::common::{Channel, Daemon, GUARD, Request, Response, entry, run_to_end, tls};
use crate::exposition::Figures;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant, SystemTime};

fn ready(daemon: &Daemon) -> Response {
    daemon.ask(&Request::get("/readyz").header("Accept", "text/html, application/json;q=0.9"))
}

/// The names of what is wrong.
fn names(response: &Response) -> Vec<String> {
    let conditions = response.json()["conditions"].as_array().unwrap().clone();
    conditions.iter().map(|condition| condition["name"].as_str().unwrap().to_owned()).collect()
}

/// Asks until just this is wrong.
#[track_caller]
fn wait_for(daemon: &Daemon, expected: &[&str]) -> Response {
    let until = Instant::now() + GUARD;
    loop {
        let response = ready(daemon);
        if names(&response) == expected {
            return response;
        }
        assert!(Instant::now() < until, "{response:?}\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn d1_a_history_that_cannot_be_written_degrades_and_stops_nobody_and_is_over_when_it_is() {
    let daemon = Daemon::start(&["history.acknowledge_within=50ms", "history.backlog=4", "http.hold=100ms"]);
    assert_eq!(ready(&daemon).json(), json!({"status": "ready", "conditions": []}));
    let other = rusqlite::Connection::open(daemon.history_file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let push = |i: usize| {
        let body = json!({"data": {format!("hg075pc{i:02}"): {"status": "used"}}}).to_string();
        daemon.try_push(body.as_bytes()).status
    };
    assert_eq!(push(2), 202);
    let response = wait_for(&daemon, &["history_unwritable"]);
    assert_eq!(response.status, 200, "{response:?}");
    let told = response.json();
    assert_eq!(told["status"], "degraded");
    let condition = &told["conditions"][0];
    assert_eq!(condition["keeps_ready"], true);
    for detail in ["since", "meaning", "advice"] {
        assert!(condition[detail].as_str().is_some_and(|text| text.len() > 10), "{detail}: {told}");
    }
    let plain = daemon.ask(&Request::get("/readyz"));
    assert!(plain.text().starts_with("degraded\nhistory_unwritable since 20"), "{}", plain.text());
    assert_eq!(ready(&daemon).json()["conditions"][0]["since"], condition["since"], "it holds since then");

    // The displays are served, and what could not be recorded is shown.
    assert_eq!(daemon.ask(&Request::get("/healthz")).status, 200);
    assert_eq!(daemon.whole().occupation["hg075pc02"], "wu");
    let filled = (3..20).map(push).find(|status| *status != 202);
    assert_eq!(filled, Some(503), "the backlog is full");
    let both = wait_for(&daemon, &["history_backlog", "history_unwritable"]);
    assert_eq!(both.status, 200);
    let figures = Figures::of(&daemon);
    assert_eq!(figures.value("tkbd_refused_total", &[("door", "push"), ("reason", "backlog")]), 1.0);
    assert_eq!(figures.value("tkbd_condition", &[("name", "history_unwritable")]), 1.0);
    assert!(figures.value("tkbd_pushes_total", &[("outcome", "pending")]) >= 3.0);
    assert!(figures.value("tkbd_history_failures_total", &[]) >= 1.0);
    assert_eq!(figures.value("tkbd_history_backlog_limit", &[]), 4.0);
    assert!(figures.value("tkbd_history_backlog", &[]) > 2.0);

    other.execute_batch("COMMIT").unwrap();
    let over = wait_for(&daemon, &[]);
    assert_eq!((over.status, &over.json()["status"]), (200, &json!("ready")));
    let until = Instant::now() + GUARD;
    while Figures::of(&daemon).value("tkbd_history_backlog", &[]) > 0.0 {
        assert!(Instant::now() < until, "what waited is not written");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(Figures::of(&daemon).all("tkbd_condition").count(), 0);
    let recorded = daemon.history(100).len();
    assert!(recorded >= 4, "what was answered 202 is recorded by now: {recorded} rows");
}

#[test]
fn o4_that_all_places_for_connections_are_taken_is_told_until_one_is_free() {
    let daemon = Daemon::start(&["http.max_connections=2"]);
    let mut held = Channel::with_filter(&daemon, &Value::Null);
    held.send(&json!([]));
    let mut asking = daemon.connect();
    let question = Request::get("/readyz").header("Accept", "application/json");
    let mut wait_for = |expected: &[&str]| {
        let until = Instant::now() + GUARD;
        loop {
            let response = asking.exchange(&question);
            if names(&response) == expected {
                break response.status;
            }
            assert!(Instant::now() < until, "{response:?}\n{}", daemon.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    assert_eq!(wait_for(&["descriptors_exhausted"]), 200);
    drop(held);
    assert_eq!(wait_for(&[]), 200);
}

#[test]
fn o4_that_one_port_has_places_again_does_not_end_what_is_told_of_the_other() {
    let daemon = Daemon::start(&["http.max_connections=3", "push.max_connections=1", "push.timeout=30s"]);
    // One whose body is to come, and as many that wait as are accepted.
    let mut pushing = [(); 18].map(|()| daemon.connect_push());
    for client in &mut pushing {
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{");
    }
    wait_for(&daemon, &["descriptors_exhausted"]);
    let mut held = [(); 2].map(|()| Channel::with_filter(&daemon, &Value::Null));
    for channel in &mut held {
        channel.send(&json!([]));
    }
    let mut asking = daemon.connect();
    let question = Request::get("/readyz").header("Accept", "application/json");
    assert_eq!(names(&asking.exchange(&question)), ["descriptors_exhausted"]);
    let until = Instant::now() + GUARD;
    while daemon.log().matches("all places for connections are taken").count() < 2 {
        assert!(Instant::now() < until, "{}", daemon.log());
        assert_eq!(asking.exchange(&question).status, 200);
    }
    drop(held);
    // Who is answered has a place, and there is one left.
    assert_eq!(names(&ready(&daemon)), ["descriptors_exhausted"], "the push port has none still");
    drop(pushing);
    wait_for(&daemon, &[]);
}

#[test]
fn d4_a_history_that_was_put_aside_is_told_until_it_is_moved_away() {
    let mut daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "wu");
    assert_eq!(daemon.terminate().code(), Some(0));
    let mut bytes = fs::read(daemon.history_file()).unwrap();
    bytes[..100].fill(0);
    fs::write(daemon.history_file(), &bytes).unwrap();
    daemon.restart();
    assert_eq!(wait_for(&daemon, &["history_put_aside"]).status, 200);
    assert_eq!(daemon.whole().occupation["hg075pc01"], "wu");
    for file in fs::read_dir(daemon.dir()).unwrap().map(|file| file.unwrap().path()) {
        if file.to_string_lossy().contains(".damaged-") {
            fs::remove_file(file).unwrap();
        }
    }
    wait_for(&daemon, &[]);
}

#[test]
fn d5_a_history_that_is_exchanged_beneath_the_daemon_is_told_and_nothing_acknowledged_until_it_is_back() {
    let mut daemon = Daemon::start(&["history.acknowledge_within=200ms"]);
    daemon.set("hg075pc01", "wu");
    let (file, away) = (daemon.history_file(), daemon.dir().join("away"));
    let backup = daemon.dir().join("backup");
    let (code, _, error) =
        run_to_end(daemon.dir(), &["backup", "backup", "--set", "history.db=history.sqlite3"]);
    assert_eq!(code, Some(0), "{error}");
    let push = |daemon: &Daemon, state: &str| {
        daemon.try_push(json!({"data": {"hg075pc01": entry(state)}}).to_string().as_bytes()).status
    };
    fs::rename(&file, &away).unwrap();
    fs::copy(&backup, &file).unwrap();
    wait_for(&daemon, &["history_exchanged"]);
    assert_eq!(push(&daemon, "wu"), 202, "also what changes nothing");
    assert_eq!(push(&daemon, "lf"), 202);
    assert_eq!(daemon.whole().occupation["hg075pc01"], "lf", "it is shown");
    wait_for(&daemon, &["history_exchanged", "history_unwritable"]);
    fs::rename(&away, &file).unwrap();
    wait_for(&daemon, &[]);
    assert_eq!(push(&daemon, "lf"), 200);
    let states = |daemon: &Daemon| daemon.history(10).into_iter().map(|row| row.state).collect::<Vec<_>>();
    assert_eq!(states(&daemon), ["wu", "lf"]);

    // Or somebody wants the other one.
    fs::rename(&backup, &file).unwrap();
    wait_for(&daemon, &["history_exchanged"]);
    assert_eq!(daemon.terminate().code(), Some(1), "the stop cannot be marked in a file that is gone");
    fs::remove_file(file.with_extension("sqlite3-wal")).unwrap();
    daemon.restart();
    assert_eq!(states(&daemon), ["wu"]);
    wait_for(&daemon, &[]);
}

#[test]
fn o8_a_certificate_that_ends_soon_and_one_that_is_refused_are_told_until_they_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (now, authority) = (SystemTime::now(), tls::authority());
    authority.issue(now - tls::DAY, now + 13 * tls::DAY).write(dir.path(), "pair");
    let mut sets = tls::sets("pair");
    sets.extend(["http.tls.every=100ms".to_owned(), "push.tls.every=100ms".to_owned()]);
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let daemon = Daemon::on(dir, &sets);
    wait_for(&daemon, &["certificate_expiring"]);
    fs::write(daemon.dir().join("pair.pem"), "no PEM at all").unwrap();
    assert_eq!(wait_for(&daemon, &["certificate_expiring", "certificate_refused"]).status, 200);
    authority.good().write(daemon.dir(), "pair");
    wait_for(&daemon, &[]);
}

#[test]
fn o2_a_daemon_that_stops_says_so_to_who_asks_meanwhile() {
    let mut daemon = Daemon::start(&[]);
    let mut client = daemon.connect();
    client.send(b"GET /readyz HTTP/1.1\r\nHost: a\r\n");
    daemon.settle();
    daemon.ask_to_end();
    let until = Instant::now() + GUARD;
    while !daemon.log().contains("\"stopping\"") {
        assert!(Instant::now() < until, "{}", daemon.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    client.send(b"Accept: application/json\r\n\r\n");
    let response = client.receive();
    assert_eq!((response.status, names(&response)), (503, vec!["stopping".to_owned()]));
    assert_eq!(response.json()["status"], "not ready");
    assert_eq!(response.json()["conditions"][0]["keeps_ready"], false);
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn m1_a_mirror_says_that_its_master_is_away_and_then_that_it_is_stale() {
    let master = Daemon::start(&["http.hold=100ms"]);
    master.set("hg075pc01", "lf");
    let address = format!("mirror.master=http://{}", master.joyce());
    let mirror = Daemon::start(&[&address, "mirror.stale=1d", "mirror.retry_most=1s"]);
    wait_for(&mirror, &[]);
    let figures = Figures::of(&mirror);
    assert_eq!(figures.all("tkbd_mirror_age_seconds").count(), 1);
    assert!((0.0..GUARD.as_secs_f64()).contains(&figures.value("tkbd_mirror_age_seconds", &[])));
    drop(master);
    let away = wait_for(&mirror, &["mirror_away"]);
    assert_eq!(away.status, 200, "the last state is served");
    assert_eq!(mirror.whole().occupation["hg075pc01"], "lf");

    let lonely =
        Daemon::start(&["mirror.master=http://127.0.0.1:1", "mirror.stale=100ms", "metrics.allow=192.0.2.1"]);
    let stale = wait_for(&lonely, &["mirror_stale"]);
    let only_names = json!({"status": "degraded", "conditions": [{"name": "mirror_stale"}]});
    assert_eq!(stale.json(), only_names, "strangers are told the names alone");
    assert_eq!(lonely.ask(&Request::get("/readyz")).text(), "degraded\nmirror_stale\n");
}

#[test]
fn m4_a_mirror_that_must_not_follow_says_so() {
    // To nowhere at first: where the daemon will be is known when it is there.
    let relay = Relay::to(([127, 0, 0, 1], 1).into());
    let master = format!("mirror.master=http://{}", relay.addr());
    let daemon = Daemon::start(&[&master, "mirror.retry=20ms", "mirror.retry_most=50ms"]);
    relay.point_to(daemon.joyce());
    assert_eq!(wait_for(&daemon, &["mirror_stopped"]).status, 200);
}

#[test]
fn t1_a_system_without_certificates_to_trust_serves_and_says_what_it_lacks() {
    let setup = "[[timetable]]\nkind = \"ical\"\nurl = \"https://localhost:9/{room}.ics\"\n[[room]]\nkey = \"hg075\"\n";
    let without = ["env", "SSL_CERT_FILE=absent", "SSL_CERT_DIR=absent"];
    let daemon = Daemon::with_setup_within(&without, setup);
    let named = wait_for(&daemon, &["timetable_1_failed"]);
    assert_eq!(named.status, 200, "the displays are served");
    assert!(daemon.log().contains("ca-certificates"), "{}", daemon.log());
    let reloaded = daemon.reload();
    assert!(reloaded[0]["message"].as_str().unwrap().starts_with("setup reloaded"), "{reloaded:?}");
}

#[test]
fn t1_a_timetable_that_cannot_be_had_is_named_by_its_number_until_it_can() {
    let setup = "timezone = \"UTC\"\n[[timetable]]\nkind = \"file\"\nfile = \"there.csv\"\n[[timetable]]\nkind = \"file\"\nfile = \"absent.csv\"\n[[room]]\nkey = \"hg075\"\n";
    let daemon = Daemon::with_setup(setup, &["http.hold=100ms"]);
    let named = wait_for(&daemon, &["timetable_1_failed", "timetable_2_failed"]);
    assert_eq!(named.status, 200, "the displays are served");
    assert!(named.json()["conditions"][1]["meaning"].as_str().unwrap().contains("absent.csv"));
    assert_eq!(Figures::of(&daemon).all("tkbd_schedule_age_seconds").count(), 0, "neither was had yet");
    fs::write(daemon.dir().join("there.csv"), "room,start,end,text\n").unwrap();
    wait_for(&daemon, &["timetable_2_failed"]);
    let figures = Figures::of(&daemon);
    let ages: Vec<_> = figures.all("tkbd_schedule_age_seconds").collect();
    assert_eq!(ages.len(), 1);
    assert_eq!(ages[0].0["timetable"], "1");
    assert!((0.0..GUARD.as_secs_f64()).contains(&ages[0].1));
    drop(Channel::with_filter(&daemon, &Value::Null));
}
