//! A setup that is read again while the daemon runs: what changes, who is told, and that a bad one changes nothing
//! (reliability.md O1).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::tls::{self, authority};
use common::{
    Channel, Daemon, GUARD, Request, View, assert_taken, entry, everything, get, hang_up, one, only,
    outcomes, rooms, run_to_end, states, tkbd, types, version,
};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Rooms as key, name, tags; rules as pattern, room.
fn setup(rooms: &[(&str, &str, &[&str])], rules: &[(&str, &str)], more: &str) -> String {
    let mut text = format!("timezone = \"Europe/Amsterdam\"\n{more}\n");
    for (key, name, tags) in rooms {
        text += &format!("[[room]]\nkey = \"{key}\"\nname = \"{name}\"\ntags = {}\n\n", json!(tags));
    }
    for (pattern, room) in rules {
        text += &format!("[[rule]]\npattern = '{pattern}'\nroom = \"{room}\"\n\n");
    }
    text
}

const ROOMS: [(&str, &str, &[&str]); 3] =
    [("a", "Aula", &["x"]), ("b", "Bibliotheek", &["y"]), ("none", "None", &[])];
const RULES: [(&str, &str); 1] = [("^(.)pc", "$1")];

/// Room `a` with apc1 and apc2, `b` with bpc1.
fn campus() -> Daemon {
    let daemon = Daemon::with_setup(&setup(&ROOMS, &RULES, ""), &[]);
    daemon.push("test", &json!({"apc1": entry("lf"), "apc2": entry("wu"), "bpc1": entry("o")}));
    daemon
}

/// The versions of occupation, roomMap, schedule and tagMap.
fn versions(daemon: &Daemon) -> [u64; 4] {
    let whole = daemon.whole();
    let tag_map = Channel::new(daemon).ask(&json!([get("tagMap")]));
    [
        whole.occupation_version,
        whole.room_map_version,
        whole.schedule_version,
        version(one(&tag_map, "tagMap")),
    ]
}

/// Writes the setup and has it read; it must count.
fn reload_with(daemon: &mut Daemon, setup: &str) -> String {
    daemon.write_setup(setup);
    let told = daemon.reload();
    assert!(told[0]["message"].as_str().unwrap().starts_with("setup reloaded"), "{told:?}");
    told[0]["what"].as_str().unwrap().to_owned()
}

/// A channel whose request is held.
fn held(daemon: &Daemon, filter: &Value) -> Channel {
    let mut channel = Channel::with_filter(daemon, filter);
    channel.send(&json!([]));
    daemon.settle();
    channel
}

#[test]
fn o1_a_bad_setup_changes_nothing_and_says_why_and_the_daemon_serves_on() {
    let mut daemon = campus();
    let good = setup(&ROOMS, &RULES, "");
    let (before, file) = (daemon.whole(), daemon.setup_file());
    let mut reader = held(&daemon, &Value::Null);
    let secret = daemon.dir().join("secret");
    fs::write(&secret, "secret-token\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let timetable = format!(
        "[[timetable]]\nkind = 'mytimetable'\nurl = 'https://a.example'\ntoken_file = '{}'\n",
        secret.display()
    );
    let cases: [(Vec<u8>, &str); 7] = [
        (setup(&ROOMS, &RULES, "[http]\nhold = \"20\"").into(), "setup.toml:3:8: http.hold"),
        (setup(&ROOMS, &[("^(", "a")], "").into(), "setup.toml:19:11: rule.pattern"),
        (format!("{good}[push\n").into(), "setup.toml:22:6: not TOML"),
        (format!("{good}{timetable}").into(), "everybody on this machine may use this file"),
        (b"[http]\n#\xff\n".to_vec(), "setup.toml:2:2: a byte that is not UTF-8"),
        (vec![b'#'; (1 << 20) + 1], "is larger than 1 MiB"),
        (Vec::new(), "there is no such file"),
    ];
    for (text, why) in cases {
        if text.is_empty() {
            fs::remove_file(&file).unwrap();
        } else {
            fs::write(&file, &text).unwrap();
        }
        let told = daemon.reload();
        assert_eq!((&told[0]["level"], told.len()), (&json!("ERROR"), 1), "{told:?}");
        let said = told[0]["why"].as_str().unwrap();
        assert!(said.contains(why) && !said.contains("secret-token"), "{said} and not {why}");
        assert_eq!(daemon.whole(), before, "{why}");
    }
    fs::create_dir(&file).unwrap();
    assert!(daemon.reload()[0]["why"].as_str().unwrap().contains("is a directory"));
    fs::remove_dir(&file).unwrap();
    // It would read as an empty setup.
    symlink("/dev/null", &file).unwrap();
    assert!(daemon.reload()[0]["why"].as_str().unwrap().contains("no file that can be read a second time"));
    assert_eq!(daemon.whole(), before);
    fs::remove_file(&file).unwrap();
    fs::write(&file, &good).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    // Whoever is allowed everything reads it all the same.
    let is_readable = fs::read(&file).is_ok();
    let told = daemon.reload();
    assert!(is_readable || told[0]["why"].as_str().unwrap().contains("may not be read"), "{told:?}");
    fs::remove_file(&file).unwrap();

    daemon.set("apc1", "lu");
    assert_eq!(only(&reader.receive(), "occupation_update")["update"], json!({"apc1": "lu"}));
    let what = reload_with(&mut daemon, &setup(&[("a", "Audimax", &["x"])], &RULES, ""));
    assert!(what.contains("rooms"), "{what}");
    assert_eq!(daemon.whole().room_map["a"].0, "Audimax");
}

#[test]
fn a_setup_that_says_the_same_spends_no_version_and_wakes_nobody() {
    let daemon = campus();
    let before = versions(&daemon);
    let mut readers = [Value::Null, json!(["x"]), json!([])].map(|filter| held(&daemon, &filter));
    for _ in 0..3 {
        assert_eq!(daemon.reload()[0]["what"], "nothing has changed");
    }
    assert_eq!(versions(&daemon), before);
    daemon.set("apc1", "o");
    for reader in &mut readers[..2] {
        let told = reader.receive();
        assert_eq!(only(&told, "occupation_update")["update"], json!({"apc1": "o"}));
    }
}

#[test]
fn a_room_that_is_renamed_is_told_to_those_who_hear_of_it() {
    let mut daemon = campus();
    let before = versions(&daemon);
    let mut everybody = held(&daemon, &Value::Null);
    let mut other = held(&daemon, &json!(["y"]));
    reload_with(&mut daemon, &setup(&[("a", "Audimax", &["x"]), ROOMS[1], ROOMS[2]], &RULES, ""));
    let told = everybody.receive();
    assert_eq!(types(&told), ["roomMap", "schedule"]);
    assert_eq!(told[0]["roomMap"]["a"], json!(["Audimax", ["apc1", "apc2"]]));
    assert_eq!(version(&told[0]), before[1] + 1);
    assert_eq!(versions(&daemon), [before[0], before[1] + 1, before[2], before[3]]);
    daemon.set("bpc1", "x");
    assert_eq!(types(&other.receive()), ["occupation_update"], "nothing was told of the other room");
}

#[test]
fn other_tags_are_broadcast_and_who_hears_of_a_room_now_is_told_of_its_pcs() {
    let mut daemon = campus();
    let before = versions(&daemon);
    // One that asked for the tagMap, one that gets a room, one that loses it, one that hears of nothing, and one
    // that is away.
    let mut asker = Channel::new(&daemon);
    let tag_map = asker.ask(&json!([get("tagMap")]));
    assert_eq!(one(&tag_map, "tagMap")["tagMap"], json!({"x": ["a"], "y": ["b"]}));
    asker.send(&json!([]));
    let mut gets = held(&daemon, &json!(["y"]));
    let mut loses = held(&daemon, &json!(["x"]));
    let mut nothing = held(&daemon, &json!([]));
    let mut away = Channel::with_filter(&daemon, &json!(["y"]));
    reload_with(&mut daemon, &setup(&[("a", "Aula", &["y", "z"]), ROOMS[1], ROOMS[2]], &RULES, ""));

    for channel in [&mut asker, &mut nothing] {
        let told = channel.receive();
        assert_eq!(only(&told, "tagMap")["tagMap"], json!({"y": ["a", "b"], "z": ["a"]}));
        assert_eq!(version(&told[0]), before[3] + 1);
    }
    let told = loses.receive();
    assert_eq!(types(&told), ["tagMap", "roomMap", "schedule"]);
    assert_eq!(told[1]["roomMap"], json!({}));
    for told in [gets.receive(), away.poll()] {
        assert_eq!(types(&told), ["tagMap", "roomMap", "schedule", "occupation_update"]);
        let map = rooms(&told[1]["roomMap"]);
        assert_eq!(map.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(states(&told[3]["update"]), states(&json!({"apc1": "lf", "apc2": "wu"})));
    }
    assert_eq!(versions(&daemon), [before[0] + 1, before[1] + 1, before[2], before[3] + 1]);

    // A client may ask for the new tag from now on.
    let mut new = Channel::with_filter(&daemon, &json!(["z"]));
    let told = new.ask(&json!([get("occupation")]));
    assert_eq!(states(&told[0]["occupation"]).len(), 2);
}

#[test]
fn pcs_move_to_where_other_rules_have_them_and_an_empty_room_that_nothing_names_goes() {
    let mut daemon = campus();
    let before = versions(&daemon);
    let mut from = held(&daemon, &json!(["y"]));
    let mut to = held(&daemon, &json!(["x"]));
    let mut everybody = held(&daemon, &Value::Null);
    let rules = [("^bpc", "a"), RULES[0]];
    let what = reload_with(&mut daemon, &setup(&ROOMS, &rules, ""));
    assert!(what.contains("rules") && what.contains("PCs moved: 1, requests answered: 3"), "{what}");
    assert_eq!(types(&from.receive()), ["roomMap", "schedule"]);
    for reader in [&mut to, &mut everybody] {
        let told = reader.receive();
        assert_eq!(types(&told), ["roomMap", "schedule", "occupation_update"]);
        assert_eq!(told[0]["roomMap"]["a"], json!(["Aula", ["apc1", "apc2", "bpc1"]]));
        assert_eq!(told[2]["update"], json!({"bpc1": "o"}));
    }
    // Where the next of its kind stand, too.
    daemon.set("bpc2", "o");
    assert!(daemon.whole().room_map["a"].1.contains("bpc2"));

    everybody.send(&json!([]));
    everybody.receive();
    everybody.send(&json!([]));
    daemon.settle();
    reload_with(&mut daemon, &setup(&[ROOMS[0], ROOMS[2]], &rules, ""));
    let told = everybody.receive();
    assert_eq!(types(&told), ["tagMap", "roomMap", "schedule"]);
    assert_eq!(rooms(&told[1]["roomMap"]).keys().collect::<Vec<_>>(), ["a", "none"]);
    assert_eq!(told[0]["tagMap"], json!({"x": ["a"]}));
    assert_eq!(versions(&daemon), [before[0] + 2, before[1] + 3, before[2], before[3] + 1]);
}

#[test]
fn versions_that_a_reload_spent_are_not_spent_again_by_a_restart() {
    let mut daemon = campus();
    let rooms = [("a", "Audimax", &["z"][..]), ("c", "Club", &[])];
    reload_with(&mut daemon, &setup(&rooms, &[("^b", "c"), RULES[0]], ""));
    let (before, whole) = (versions(&daemon), daemon.whole());
    daemon.restart();
    assert_eq!(versions(&daemon), before);
    assert_eq!(daemon.whole(), whole);
    // After a crash they go on past all that can have been shown.
    reload_with(&mut daemon, &setup(&[("a", "Aula", &["z"][..])], &RULES, ""));
    let before = versions(&daemon);
    daemon.kill();
    daemon.restart();
    assert!(versions(&daemon).iter().zip(before).all(|(after, before)| *after >= before));
    assert_eq!(daemon.whole().room_map["a"].0, "Aula");
}

fn digest(token: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn who_may_push_changes_at_once_on_open_connections_too() {
    let tokens = |names: &[&str], more: &str| {
        let tokens: Vec<String> =
            names.iter().map(|name| format!("{{ sha256 = \"{}\" }}", digest(name))).collect();
        setup(&ROOMS, &RULES, &format!("[push]\ntokens = [{}]\n{more}", tokens.join(", ")))
    };
    let mut daemon = Daemon::with_setup(&tokens(&["old"], ""), &[]);
    let mut source = daemon.connect_push();
    let body = json!({"data": {"apc1": entry("o")}}).to_string();
    let with =
        |token: &str| Request::post("/push").header("Authorization", &format!("Bearer {token}")).body(&body);
    assert_taken(&source.exchange(&with("old")), &body);

    let what = reload_with(&mut daemon, &tokens(&["old", "new"], ""));
    assert_eq!(what, "changed: push.tokens");
    assert_taken(&source.exchange(&with("old")), &body);
    assert_taken(&source.exchange(&with("new")), &body);

    reload_with(&mut daemon, &tokens(&["new"], ""));
    assert_taken(&source.exchange(&with("new")), &body);
    assert_eq!(source.exchange(&with("old")).status, 401);
    source.wait_until_closed();

    // From another network, and by another name.
    let mut source = daemon.connect_push();
    assert_taken(&source.exchange(&with("new")), &body);
    let what =
        reload_with(&mut daemon, &tokens(&["new"], "allow = [\"192.0.2.0/24\"]\nhosts = [\"tk.example\"]\n"));
    assert_eq!(what, "changed: push.allow, push.hosts");
    assert_eq!(source.exchange(&with("new")).status, 403);
    assert_eq!(daemon.connect_push().exchange(&with("new")).status, 403);
    reload_with(&mut daemon, &tokens(&["new"], "hosts = [\"tk.example\"]\n"));
    assert_taken(&daemon.connect_push().exchange(&with("new").host("tk.example")), &body);
    reload_with(&mut daemon, &tokens(&["new"], ""));
    assert_eq!(daemon.connect_push().exchange(&with("new").host("tk.example")).status, 403);
    assert!(!daemon.log().contains(&digest("new")));
}

#[test]
fn who_may_see_figures_changes_at_once() {
    let mut daemon = campus();
    let mut scraping = daemon.connect();
    let figures = Request::get("/metrics");
    assert_eq!(scraping.exchange(&figures).status, 200);
    let elsewhere = setup(&ROOMS, &RULES, "[metrics]\nallow = [\"192.0.2.7\"]\n");
    let what = reload_with(&mut daemon, &elsewhere);
    assert!(what.contains("metrics.allow") && !what.contains("at the next start"), "{what}");
    assert_eq!(scraping.exchange(&figures).status, 403);
    let behind =
        format!("{elsewhere}\n").replace("[metrics]", "[metrics]\ntrusted_proxies = [\"127.0.0.1\"]");
    assert!(reload_with(&mut daemon, &behind).contains("metrics.trusted_proxies"));
    assert_eq!(scraping.exchange(&figures.header("X-Forwarded-For", "192.0.2.7")).status, 200);
}

#[test]
fn limits_and_times_change_for_what_comes_and_the_rest_is_named() {
    let mut daemon = campus();
    let long = "x".repeat(2_000);
    let push = json!({"datasource": "test", "data": {"apc1": entry("o")}, "more": long}).to_string();
    let small = "[http]\nhold = \"300ms\"\nmax_channels = 1\npath = \"/elsewhere\"\n[push]\nmax_body = 1024\n\
                 [history]\nbacklog = 7\n[limits]\npcs = 3\n[log]\nlevel = \"debug\"\n";
    let what = reload_with(&mut daemon, &setup(&ROOMS, &RULES, small));
    for key in ["http.hold", "http.max_channels", "push.max_body", "limits.pcs", "log.level"] {
        assert!(what.contains(key), "{what}");
    }
    let later = what.split("at the next start: ").nth(1).unwrap();
    assert_eq!(later, "http.path, history.backlog");
    assert_eq!(daemon.reload()[0]["message"], "setup reloaded in part", "it is said again");

    assert_eq!(daemon.try_push(push.as_bytes()).status, 413);
    daemon.refused(json!({"data": {"apc9": entry("o")}}).to_string().as_bytes());
    let mut only_one = Channel::with_filter(&daemon, &Value::Null);
    assert_eq!(daemon.ask_m("[]").status, 503);
    assert!(only_one.poll().is_empty(), "held for the new time, and not for 20 s");
    assert!(daemon.log().contains("\"DEBUG\""));

    let what = reload_with(&mut daemon, &setup(&ROOMS, &RULES, ""));
    assert!(!what.contains("at the next start"), "{what}");
    assert_eq!(daemon.ask_m("[]").status, 200);
    daemon.set("apc9", "o");
}

#[test]
fn closures_come_and_go_and_a_schedule_follows_the_rooms() {
    let closed = |room: &str| {
        format!(
            "[[closure]]\nfrom = '2000-01-01'\nuntil = '2100-01-01'\nrooms = ['{room}']\ntext = 'Closed'\n"
        )
    };
    let mut daemon = campus();
    let mut reader = held(&daemon, &Value::Null);
    reload_with(&mut daemon, &setup(&ROOMS, &RULES, &closed("b")));
    let told = reader.receive();
    assert_eq!(only(&told, "schedule")["schedule"]["b"][0][2], "Closed");
    // The room goes, and what was reserved in it: another room is closed instead.
    reader.send(&json!([]));
    daemon.settle();
    reload_with(&mut daemon, &setup(&[ROOMS[0]], &[("^.pc", "a")], &closed("a")));
    let told = reader.receive();
    assert_eq!(types(&told), ["tagMap", "roomMap", "schedule", "occupation_update"]);
    assert_eq!(told[2]["schedule"], json!({}));
    let told = reader.poll();
    assert_eq!(only(&told, "schedule")["schedule"]["a"][0][2], "Closed");
    reader.send(&json!([]));
    daemon.settle();
    reload_with(&mut daemon, &setup(&[ROOMS[0]], &[("^.pc", "a")], ""));
    assert_eq!(only(&reader.receive(), "schedule")["schedule"], json!({}));
}

/// Has readers end, whatever becomes of the test.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn fifty_reloads_lose_nothing_for_those_who_listen() {
    let mut daemon = campus();
    let variants: Vec<String> = (0..5)
        .map(|i| {
            let name = format!("Aula {i}");
            let tags: [&[&str]; 5] = [&["x"], &["y"], &["x", "y"], &[], &["x"]];
            let rules = [[("^bpc", "a"), RULES[0]], [("^apc1", "none"), RULES[0]]];
            let rooms = [("a", name.as_str(), tags[i]), ROOMS[1], ROOMS[2]];
            let listed = if i == 3 { &rooms[..1] } else { &rooms[..] };
            setup(listed, &rules[i % 2], "")
        })
        .collect();
    let filters = [Value::Null, json!(["x"]), json!(["y"])];
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = filters
            .iter()
            .map(|filter| {
                let mut channel = Channel::with_filter(&daemon, filter);
                let is_over = &is_over;
                scope.spawn(move || {
                    let mut view = View::default();
                    view.take(&channel.ask(&json!([get("roomMap"), get("occupation")])));
                    loop {
                        // What comes after the end is asked for once more.
                        let last = is_over.load(Ordering::SeqCst);
                        if last {
                            view.take(&channel.ask(&json!([get("tag_names")])));
                            return view;
                        }
                        view.take(&channel.poll());
                    }
                })
            })
            .collect();
        let _end = End(&is_over);
        let before = daemon.whole().occupation_version;
        for i in 0..50 {
            reload_with(&mut daemon, &variants[i % variants.len()]);
            daemon.set(&format!("{}pc{}", ["a", "b", "c"][i % 3], i % 7), ["lf", "wu", "o"][i / 3 % 3]);
        }
        assert!(daemon.whole().occupation_version > before);
        let last = [("a", "Aula", &["x", "y"][..]), ROOMS[1], ROOMS[2]];
        reload_with(&mut daemon, &setup(&last, &RULES, ""));
        is_over.store(true, Ordering::SeqCst);
        // Those whose requests are held are told of this, whatever their filter; it changes nothing that they show.
        reload_with(&mut daemon, &setup(&[last[0], last[1], ("none", "None", &["z"])], &RULES, ""));
        for (reader, filter) in readers.into_iter().zip(&filters) {
            let view = reader.join().unwrap();
            let mut fresh = Channel::with_filter(&daemon, filter);
            let told = fresh.ask(&json!([get("roomMap"), get("occupation")]));
            let map = rooms(&told[0]["roomMap"]);
            assert_eq!(view.rooms.unwrap(), map, "{filter}");
            let mut shown = view.occupation;
            shown.retain(|pc, _| map.values().any(|(_, pcs)| pcs.contains(pc)));
            assert_eq!(shown, states(&told[1]["occupation"]), "{filter}");
        }
    });
}

#[test]
fn o8_a_certificate_on_a_disk_that_does_not_answer_keeps_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    authority().good().write(dir.path(), "pair");
    let sets = tls::sets("pair");
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let mut daemon = Daemon::on(dir, &sets);
    let mut waiting = held(&daemon, &Value::Null);
    // A pipe to which nobody writes.
    common::make_pipe(&daemon.dir().join("pair.pem"));
    let told = daemon.reload();
    assert_eq!(told[0]["message"], "setup not reloaded; all stays as it is", "{told:?}");
    daemon.set("hg075pc01", "wf");
    assert_eq!(one(&waiting.receive(), "occupation_update")["update"]["hg075pc01"], "wf");
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[test]
fn o8_certificates_are_read_again_with_the_setup_and_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    authority().good().write(dir.path(), "pair");
    let sets = tls::sets("pair");
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let daemon = Daemon::on(dir, &sets);
    assert_eq!(daemon.reload()[0]["what"], "nothing has changed");
    authority().good().write(daemon.dir(), "pair");
    assert_eq!(
        daemon.reload()[0]["what"],
        "changed: the certificate of http.tls, the certificate of push.tls"
    );
    assert_eq!(daemon.reload()[0]["what"], "nothing has changed");
}

#[test]
fn o8_a_certificate_of_no_use_stays_as_it_is_and_the_rest_of_the_setup_counts() {
    let dir = tempfile::tempdir().unwrap();
    authority().good().write(dir.path(), "pair");
    let sets = tls::sets(dir.path().join("pair").to_str().unwrap());
    let mut sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    // So that nothing but the reload reads it.
    sets.extend(["http.tls.every=1h", "push.tls.every=1h"]);
    let daemon = Daemon::with_setup("[push]\nallow = ['127.0.0.1']\n", &sets);
    daemon.set("apc1", "wf");
    fs::write(dir.path().join("pair.pem"), "no PEM at all").unwrap();
    fs::write(daemon.dir().join("setup.toml"), "[push]\nallow = ['192.0.2.1']\n").unwrap();
    let told = daemon.reload();
    let what = told[0]["what"].as_str().unwrap();
    assert!(what.starts_with("changed: push.allow; the certificate of http.tls stays as it is: "), "{what}");
    assert_eq!(told[0]["message"], "setup reloaded in part", "{told:?}");
    let refused = daemon.try_push(br#"{"datasource":"x","data":{"apc1":{"status":"offline"}}}"#);
    assert_eq!(refused.status, 403, "who was taken off the list must not push on");
}

#[test]
fn hangups_never_end_the_daemon_however_many_come_at_once() {
    let mut daemon = campus();
    for _ in 0..200 {
        daemon.hang_up();
    }
    daemon.reload();
    daemon.set("apc1", "lu");
    assert_eq!(daemon.terminate().code(), Some(0));
    assert!(outcomes(&daemon.log()).iter().all(|told| told["what"] == "nothing has changed"));
}

#[test]
fn a_hangup_does_not_end_the_demo() {
    let ports = ["http.listen=127.0.0.1:0", "push.listen=127.0.0.1:0", "log.level=info"];
    let mut command = tkbd();
    command.arg("demo");
    for set in ports {
        command.args(["--set", set]);
    }
    let mut demo = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stderr.take().unwrap()).lines();
    let mut wait_for = |what: &str| {
        let end = Instant::now() + GUARD;
        let found = lines.by_ref().map(Result::unwrap).find(|line| line.contains(what));
        assert!(found.is_some() && Instant::now() < end, "{what} is not told");
    };
    wait_for("listening");
    hang_up(&demo);
    wait_for("setup reloaded");
    assert!(common::ask_to_end(&demo));
    wait_for("stopped");
    assert_eq!(demo.wait().unwrap().code(), Some(0));
}

#[test]
fn a_mirror_keeps_what_its_master_has_said() {
    let master = campus();
    let setup =
        |more: &str| format!("[mirror]\nmaster = \"http://{}\"\nretry = \"20ms\"\n{more}", master.joyce());
    let mut mirror = Daemon::with_setup(&setup(""), &[]);
    let end = Instant::now() + GUARD;
    while mirror.whole().room_map.get("a").is_none_or(|(_, pcs)| pcs.len() < 2)
        || Channel::new(&mirror).ask(&json!([get("tagMap")]))[0]["tagMap"] != json!({"x": ["a"], "y": ["b"]})
    {
        assert!(Instant::now() < end, "{}", mirror.log());
    }
    let before = mirror.whole();
    reload_with(&mut mirror, &setup("pushes = \"take\"\n[[room]]\nkey = \"a\"\nname = \"Mine\"\n"));
    assert_eq!(mirror.whole(), before);
    let body = json!({"data": {"apc1": entry("x")}}).to_string();
    assert_taken(&mirror.try_push(body.as_bytes()), &body);
    let mut reader = Channel::new(&mirror);
    reader.ask(&json!([everything(), get("roomMap")]));
}

/// What a command says of the daemon whose history this is: its exit code, and what it wrote.
fn asked(daemon: &Daemon, command: &str, setup: bool) -> (Option<i32>, String, String) {
    let mut asking = tkbd();
    asking.arg(command).args(["--set", &format!("history.db={}", daemon.history_file().display())]);
    if setup {
        asking.arg("setup.toml");
    }
    let output = asking.current_dir(daemon.dir()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn o1_the_command_says_what_has_changed_and_a_mistake_is_told_as_by_check_with_78() {
    let mut daemon = campus();
    assert_eq!(asked(&daemon, "reload", true), (Some(0), "nothing has changed\n".into(), String::new()));
    daemon.write_setup(&setup(&[("a", "Audimax", &["x"])], &RULES, ""));
    let (code, told, wrong) = asked(&daemon, "reload", true);
    assert_eq!((code, wrong.as_str()), (Some(0), ""), "{told}");
    assert!(told.starts_with("changed: ") && told.contains("rooms") && told.ends_with('\n'), "{told}");
    assert_eq!(daemon.whole().room_map["a"].0, "Audimax", "it counts when the command has ended");

    daemon.write_setup(&setup(&ROOMS, &RULES, "[http]\nhold = \"20\""));
    let checked = asked(&daemon, "check", true).2;
    assert!(checked.contains("setup.toml:3:8: http.hold"), "{checked}");
    assert_eq!(asked(&daemon, "reload", true), (Some(78), String::new(), checked.clone()));
    // One that finds the daemon by another setup is told by the daemon.
    let (code, told, wrong) = asked(&daemon, "reload", false);
    assert_eq!((code, told.as_str()), (Some(78), ""), "{wrong}");
    assert!(wrong.contains("setup.toml:3:8: http.hold") && wrong.contains("goes on"), "{wrong}");
    assert_eq!(daemon.whole().room_map["a"].0, "Audimax");
}

#[test]
fn o1_who_runs_is_told_with_its_addresses_and_that_nobody_does_is_exit_1() {
    let mut daemon = campus();
    let (code, told, wrong) = asked(&daemon, "status", true);
    assert_eq!((code, wrong.as_str()), (Some(0), ""), "{told}");
    let first = format!("tkbd {} runs since 20", env!("CARGO_PKG_VERSION"));
    assert!(told.starts_with(&first) && told.contains(&format!("(pid {})", daemon.pid())), "{told}");
    for line in
        [format!("pages      http://{}", daemon.joyce()), format!("pushes     http://{}", daemon.push_port())]
    {
        assert!(told.lines().any(|told| told == line), "{line}: {told}");
    }
    assert_eq!(daemon.terminate().code(), Some(0));
    for command in ["status", "reload"] {
        let (code, told, wrong) = asked(&daemon, command, true);
        assert_eq!((code, told.as_str()), (Some(1), ""), "{wrong}");
        assert!(wrong.starts_with("tkbd: no tkbd runs with this setup"), "{wrong}");
    }
}

#[test]
fn o1_a_daemon_whose_history_gets_another_name_in_the_setup_is_found_by_its_control_socket() {
    let ask = |daemon: &Daemon, arguments: &[&str]| run_to_end(daemon.dir(), arguments);
    let renamed = ["--set", "history.db=other.sqlite3"];
    let named = "[control]\nsocket = \"control\"\n";
    for (more, socket) in [("", "history.sqlite3.control"), (named, "control")] {
        let mut daemon = Daemon::with_setup(&setup(&ROOMS, &RULES, more), &[]);
        daemon.write_setup(&setup(&[("a", "Audimax", &["x"])], &RULES, more));
        let (code, told, wrong) = ask(&daemon, &["reload", "setup.toml", renamed[0], renamed[1]]);
        if more.is_empty() {
            assert_eq!((code, told.as_str()), (Some(1), ""), "{wrong}");
            assert!(wrong.contains("other.sqlite3.control") && wrong.contains("--socket"), "{wrong}");
            assert!(ask(&daemon, &["reload", "--socket", socket]).1.starts_with("changed: "));
        } else {
            assert!(code == Some(0) && told.starts_with("changed: "), "{told}{wrong}");
        }
        assert_eq!(daemon.whole().room_map["a"].0, "Audimax");

        // Whether it runs is said however the setup has been mangled since.
        daemon.write_setup("[http");
        assert_eq!(ask(&daemon, &["status", "setup.toml"]).0, Some(78));
        let (code, told, wrong) = ask(&daemon, &["status", "--socket", socket]);
        assert!(code == Some(0) && told.contains(&format!("(pid {})", daemon.pid())), "{told}{wrong}");
        daemon.kill();
        assert_eq!(ask(&daemon, &["status", "--socket", socket]).0, Some(1));
    }
}
