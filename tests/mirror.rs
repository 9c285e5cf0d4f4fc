//! A daemon that follows another, from outside: real processes, and stand-ins for the original that were written from
//! the protocol and share no code with the client under test (reliability.md M1 to M4).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Channel, Daemon, GUARD, Whole, entry, everything, get, one};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The setup of a mirror without rooms of its own.
fn mirror_of(master: SocketAddr, more: &[&str]) -> Daemon {
    let own = ["mirror.retry=20ms", "mirror.retry_most=200ms"];
    let setup = format!("[mirror]\nmaster = \"http://{master}\"\n");
    Daemon::with_setup(&setup, &[&own, more].concat())
}

/// What a reader of everything is told, but for the versions, which are each daemon's own.
#[derive(Debug, PartialEq)]
struct Shown {
    whole: Whole,
    schedule: Value,
    tags: BTreeMap<String, BTreeSet<String>>,
}

fn shown(daemon: &Daemon) -> Shown {
    let mut channel = Channel::new(daemon);
    let messages = channel.ask(&json!([everything(), get("schedule"), get("tagMap")]));
    let whole = daemon.whole();
    Shown {
        whole: Whole { occupation_version: 0, room_map_version: 0, schedule_version: 0, ..whole },
        schedule: one(&messages, "schedule")["schedule"].clone(),
        tags: serde_json::from_value(one(&messages, "tagMap")["tagMap"].clone()).unwrap(),
    }
}

/// Waits until `is_so`; a test that waits for longer than the guard has failed.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + GUARD;
    while !is_so() {
        assert!(Instant::now() < end, "it never came to be that {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn until_equal(mirror: &Daemon, master: &Daemon) {
    let end = Instant::now() + GUARD;
    loop {
        let (here, there) = (shown(mirror), shown(master));
        if here == there {
            return;
        }
        if Instant::now() > end {
            assert_eq!(here, there, "\n{}", mirror.log());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A master with rooms, tags, and something reserved all day.
fn master() -> Daemon {
    let tables =
        "[[closure]]\nfrom = '2000-01-01'\nuntil = '2100-01-01'\nrooms = ['hgbib']\ntext = 'Closed'\n";
    Daemon::with_setup(&common::campus_setup(tables, &["library"]), &[])
}

#[test]
fn m1_a_mirror_shows_what_its_master_shows_and_goes_on_while_that_is_away() {
    let mut master = master();
    master.push("test", &json!({"hg075pc01": entry("lf"), "bibpc01": entry("wu"), "xpc1": entry("o")}));
    // The master comes back under another port, so that its place is kept by a relay.
    let relay = common::relay::Relay::to(master.joyce());
    let mirror = mirror_of(relay.addr(), &["mirror.stale=300ms"]);
    until_equal(&mirror, &master);
    let before = shown(&mirror);
    assert!(
        before.schedule["hgbib"][0][2] == "Closed"
            && before.tags["library"] == BTreeSet::from(["hgbib".to_owned()])
    );

    // Everybody who listens hears of a change, and the history has it, as of the mirror.
    let mut reader = Channel::with_filter(&mirror, &json!(["hg"]));
    reader.send(&json!([]));
    master.set("hg075pc01", "lu");
    let update = reader.receive();
    assert_eq!(one(&update, "occupation_update")["update"], json!({"hg075pc01": "lu"}));
    until("the history has all four", || mirror.history(100).len() == 4);
    let rows: Vec<(String, String)> =
        mirror.history(100).into_iter().map(|row| (row.pc, row.source)).collect();
    assert_eq!(rows[3], ("hg075pc01".into(), "mirror".into()));

    until_equal(&mirror, &master);
    let last = shown(&mirror);
    master.kill();
    until("the mirror says that its state is stale", || mirror.log().contains("what is served is stale"));
    until("and that the last state is served", || mirror.log().contains("the last state is served"));
    assert_eq!(shown(&mirror), last);

    master.restart();
    relay.point_to(master.joyce());
    master.set("hg029pc01", "wf");
    until_equal(&mirror, &master);
    until("the mirror says that it follows again", || mirror.log().contains("following again"));
}

#[test]
fn m1_a_mirror_that_is_started_while_its_master_is_away_shows_what_it_showed() {
    let mut master = master();
    master.push("test", &json!({"hg075pc01": entry("lf"), "bibpc01": entry("wu")}));
    let mut mirror = mirror_of(master.joyce(), &[]);
    until_equal(&mirror, &master);
    let before = shown(&mirror);
    assert_eq!(before.whole.room_map["hgbib"].0, "Bibliotheek");
    let kept = mirror.dir().join("history.sqlite3.master");
    until("all of it is kept", || {
        std::fs::read_to_string(&kept).is_ok_and(|text| text.contains("library") && text.contains("Closed"))
    });
    master.kill();
    mirror.kill();
    mirror.restart();
    assert_eq!(shown(&mirror), before);
    // Who listens to a tag of the master has what it lets pass.
    let mut reader = Channel::with_filter(&mirror, &json!(["library"]));
    let messages = reader.ask(&json!([get("occupation")]));
    assert_eq!(one(&messages, "occupation")["occupation"], json!({"bibpc01": "wu"}));
}

#[test]
fn m3_a_master_that_has_forgotten_the_mirror_is_asked_for_everything_anew() {
    let mut master = Daemon::start(&["history.enabled=false"]);
    let relay = common::relay::Relay::to(master.joyce());
    let mirror = mirror_of(relay.addr(), &[]);
    master.set("hg075pc01", "lf");
    until_equal(&mirror, &master);
    master.kill();
    master.restart();
    relay.point_to(master.joyce());
    // What the new master does not know is not cleared; what it does know counts.
    master.push("test", &json!({"hg075pc02": entry("wu")}));
    until("the mirror has both", || {
        let whole = mirror.whole().occupation;
        whole.len() == 2 && whole.get("hg075pc02").is_some_and(|state| state == "wu")
    });
    assert_eq!(mirror.whole().occupation["hg075pc01"], "lf");
}

#[test]
fn pushes_to_a_mirror_are_refused_with_the_master_s_name_or_taken() {
    let master = Daemon::start(&[]);
    let body = json!({"data": {"hg075pc01": entry("lf")}}).to_string();
    let mirror = mirror_of(master.joyce(), &[]);
    let answer = mirror.try_push(body.as_bytes());
    assert_eq!(answer.status, 403);
    let why = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(why.contains("mirror") && why.contains(&master.joyce().to_string()), "{why}");

    let mirror = mirror_of(master.joyce(), &["mirror.pushes=take", "mirror.source=head office"]);
    master.set("hg075pc02", "o");
    until("the mirror follows", || mirror.whole().occupation.len() == 1);
    common::assert_taken(&mirror.try_push(body.as_bytes()), &body);
    assert_eq!(mirror.whole().occupation.len(), 2);
    assert_eq!(master.whole().occupation.len(), 1);
    until("the history has both", || mirror.history(10).len() == 2);
    let sources: Vec<String> = mirror.history(10).into_iter().map(|row| row.source).collect();
    assert_eq!(sources, ["head office", "unknown"]);
}

#[test]
fn a_check_asks_the_master_and_a_schedule_says_whose_it_is() {
    let mut master = master();
    master.push("test", &json!({"hg075pc01": entry("lf"), "bibpc01": entry("wu")}));
    let directory = tempfile::tempdir().unwrap();
    let setup = format!("[mirror]\nmaster = \"http://{}\"\n", master.joyce());
    std::fs::write(directory.path().join("mirror.toml"), setup).unwrap();
    let check = || common::run_to_end(directory.path(), &["check", "--online", "mirror.toml"]);
    let asked = format!("asked      master http://{}/: ", master.joyce());
    let (code, out, err) = check();
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains(&format!("{asked}12 rooms, 2 PCs, reservations in 1 rooms\n")), "{out}");
    let (code, _, err) = common::run_to_end(directory.path(), &["schedule", "mirror.toml"]);
    assert!(
        code == Some(1) && err.contains(&format!("follows http://{}/", master.joyce())),
        "{code:?} {err}"
    );
    master.kill();
    let (code, out, _) = check();
    assert!(code == Some(1) && out.contains(&format!("{asked}FAILED, Connection refused")), "{code:?} {out}");
}

#[test]
fn m4_a_daemon_that_follows_itself_says_so_and_stops() {
    let relay = common::relay::Relay::to("127.0.0.1:9".parse().unwrap());
    let mirror = mirror_of(relay.addr(), &[]);
    relay.point_to(mirror.joyce());
    until("it stops", || mirror.log().contains("is followed no more"));
    assert!(mirror.log().contains("a loop"), "{}", mirror.log());
    assert_eq!(mirror.whole().occupation.len(), 0, "it serves all the same");
}

#[test]
fn m4_a_daemon_that_was_turned_away_follows_when_the_loop_is_no_more() {
    let master = master();
    master.set("hg075pc01", "lf");
    let relay = common::relay::Relay::to("127.0.0.1:9".parse().unwrap());
    let mirror = mirror_of(relay.addr(), &["mirror.retry_most=20ms"]);
    relay.point_to(mirror.joyce());
    until("it stops", || mirror.log().contains("is followed no more"));
    relay.cut();
    relay.point_to(master.joyce());
    until_equal(&mirror, &master);
    assert_eq!(mirror.log().matches("is followed no more").count(), 1, "{}", mirror.log());
}

#[test]
fn m4_two_daemons_that_follow_each_other_find_out() {
    let relay = common::relay::Relay::to("127.0.0.1:9".parse().unwrap());
    let one = mirror_of(relay.addr(), &[]);
    let two = mirror_of(one.joyce(), &[]);
    until("two follows one", || two.log().contains("\"following\""));
    relay.point_to(two.joyce());
    until("one of them stops", || {
        [&one, &two].iter().any(|daemon| daemon.log().contains("is followed no more"))
    });
}

#[test]
fn m4_a_fifth_mirror_in_a_row_is_turned_away() {
    let master = Daemon::start(&[]);
    let mut row = vec![mirror_of(master.joyce(), &[])];
    for _ in 0..4 {
        let last = row.last().unwrap();
        until("the last mirror follows", || last.log().contains("\"following\""));
        let next = mirror_of(last.joyce(), &[]);
        row.push(next);
    }
    let fifth = row.last().unwrap();
    until("the fifth stops", || fifth.log().contains("is followed no more"));
    assert!(fifth.log().contains("too long a row"), "{}", fifth.log());
    master.set("hg075pc01", "lf");
    until("the fourth has what the master has", || row[3].whole().occupation.len() == 1);
    assert!(fifth.whole().occupation.is_empty());
}
