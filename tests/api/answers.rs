//! What is answered, and when it is not told again.

use super::{daemon, get, ok, problem};
use crate::common::{Daemon, Request, entry, run_to_end};
use serde_json::{Value, json};

/// Every path that answers with something that may change.
const ALL: [&str; 16] = [
    "/api/v1/",
    "/api/v1/openapi.json",
    "/api/v1/occupation",
    "/api/v1/rooms",
    "/api/v1/rooms/lab1",
    "/api/v1/rooms/lab1.txt",
    "/api/v1/rooms/lab1.ics",
    "/api/v1/rooms/lab1.svg",
    "/api/v1/rooms/lab1/usual",
    "/api/v1/rooms/lab1/occupancy",
    "/api/v1/tags",
    "/api/v1/schedule",
    "/api/v1/summary",
    "/api/v1/summary.svg",
    "/api/v1/history",
    "/api/v1/utilisation",
];

fn with(daemon: &Daemon, path: &str, name: &str, value: &str) -> crate::common::Response {
    daemon.ask(&Request::get(path).header(name, value))
}

#[test]
fn rooms_tell_their_seats_and_what_is_against_them() {
    let daemon = daemon();
    let rooms = ok(&daemon, "/api/v1/rooms").json();
    let keys: Vec<&str> =
        rooms["rooms"].as_array().unwrap().iter().map(|r| r["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["lab1", "lab2", "lab3", "none"], "in the order of the setup");
    assert_eq!(
        rooms["rooms"][0],
        json!({"key": "lab1", "name": "Café & lab", "tags": ["labs", "west"], "pcs": 3, "usable": 2,
               "free": {"windows": 1, "linux": 1, "other": 0}, "status": "open", "until": null, "then": null, "by": []})
    );
    let second = &rooms["rooms"][1];
    assert_eq!(
        (&second["status"], &second["usable"], &second["until"]),
        (&json!("reserved"), &json!(0), &Value::Null)
    );
    assert_eq!((&second["free"]["windows"], second["by"].as_array().unwrap().len()), (&json!(1), 1));
    let third = &rooms["rooms"][2];
    assert_eq!((&third["status"], &third["by"]), (&json!("closed"), &json!(["Painters"])));

    let room = ok(&daemon, "/api/v1/rooms/lab1").json();
    let pcs: Vec<&Value> = room["occupation"].as_array().unwrap().iter().map(|pc| &pc["state"]).collect();
    assert_eq!(pcs, ["wf", "lf", "lu"]);
    assert!(room["occupation"][0]["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{room}");
    assert_eq!(
        ok(&daemon, "/api/v1/rooms/lab3").json()["schedule"][0],
        json!({"start": "00:00", "end": "23:59", "text": "Painters"})
    );

    let summary = ok(&daemon, "/api/v1/summary").json();
    assert_eq!(
        (&summary["rooms"], &summary["open"], &summary["pcs"], &summary["usable"]),
        (&json!(3), &json!(1), &json!(5), &json!(2))
    );
    assert_eq!(summary["best"][0]["key"], "lab1");
    assert_eq!(
        ok(&daemon, "/api/v1/tags").json()["tags"],
        json!([
        {"tag": "labs", "rooms": ["lab1", "lab2"]}, {"tag": "west", "rooms": ["lab1"]}, {"tag": "east", "rooms": ["lab3"]}])
    );
}

#[test]
fn a_line_a_calendar_and_a_badge_say_the_same() {
    let daemon = daemon();
    assert_eq!(
        ok(&daemon, "/api/v1/rooms/lab1.txt").text(),
        "Café & lab: 2 of 3 free (1 Windows, 1 Linux, 0 other)\n"
    );
    assert!(ok(&daemon, "/api/v1/rooms/lab2.txt").text().starts_with("Second lab: reserved (Calculus"));
    assert_eq!(ok(&daemon, "/api/v1/rooms/lab3.txt").text(), "Third lab: closed (Painters)\n");

    let calendar = ok(&daemon, "/api/v1/rooms/lab2.ics");
    assert_eq!(calendar.media_type(), "text/calendar");
    let unfolded = calendar.text().replace("\r\n ", "");
    let lines: Vec<&str> = unfolded.lines().collect();
    for line in [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "X-WR-TIMEZONE:Europe/Amsterdam",
        "BEGIN:VEVENT",
        "LOCATION:Second lab",
    ] {
        assert!(lines.contains(&line), "{line} in {unfolded}");
    }
    assert!(unfolded.contains("SUMMARY:Calculus\\, part 1\\; "), "{unfolded}");
    assert!(lines.iter().any(|line| line.starts_with("DTSTART:") && line.ends_with('Z')), "{unfolded}");
    assert!(lines.iter().any(|line| line.starts_with("UID:")), "{unfolded}");
    assert_eq!(ok(&daemon, "/api/v1/rooms/lab2.ics").body, calendar.body, "it is the same event each time");

    let badge = ok(&daemon, "/api/v1/rooms/lab1.svg");
    assert_eq!(badge.media_type(), "image/svg+xml");
    assert!(badge.text().contains("<title>Café &amp; lab: 2 free</title>"), "{badge:?}");
    assert!(ok(&daemon, "/api/v1/summary.svg").text().contains(": 2 of 5 free</title>"));
    for path in ["/api/v1/rooms/lab1.svg", "/api/v1/summary.svg"] {
        let badge = ok(&daemon, path);
        assert!(!badge.text().contains("href") && !badge.text().contains("url("), "it asks for nothing");
    }
}

#[test]
fn tags_choose_rooms_and_a_version_chooses_what_has_changed() {
    let daemon = daemon();
    let keys = |path: &str| {
        let mut keys: Vec<String> =
            ok(&daemon, path).json()["occupation"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(keys("/api/v1/occupation?tag=east"), ["lab3pc1"]);
    assert_eq!(keys("/api/v1/occupation?tag=east&tag=west").len(), 4);
    assert_eq!(keys("/api/v1/occupation?tag=east,west").len(), 4);
    assert_eq!(keys("/api/v1/occupation?tag=nobody"), [""; 0]);
    assert_eq!(ok(&daemon, "/api/v1/rooms?tag=east").json()["rooms"].as_array().unwrap().len(), 1);
    assert_eq!(ok(&daemon, "/api/v1/schedule?tag=east").json()["schedule"].as_object().unwrap().len(), 1);
    assert_eq!(ok(&daemon, "/api/v1/summary?tag=labs").json()["pcs"], 4);

    let then = ok(&daemon, "/api/v1/occupation").json()["versions"]["occupation"].as_u64().unwrap();
    let since = |version: u64| ok(&daemon, &format!("/api/v1/occupation?since={version}")).json();
    assert_eq!((&since(then)["occupation"], &since(then)["since"]), (&json!({}), &json!(then)));
    daemon.set("lab1pc1", "wu");
    assert_eq!(since(then)["occupation"], json!({"lab1pc1": "wu"}));
    let beyond = since(then + 1000);
    assert_eq!(
        (beyond["occupation"].as_object().unwrap().len(), beyond.get("since")),
        (5, None),
        "never told: all"
    );
}

#[test]
fn an_answer_that_the_client_has_is_not_sent_again_until_it_is_another() {
    let daemon = daemon();
    for path in ALL {
        let first = ok(&daemon, path);
        let tag = first.header("ETag").unwrap_or_else(|| panic!("{path}: {first:?}")).to_owned();
        assert_eq!(first.header("Cache-Control"), Some("no-cache"), "{path}");
        assert_eq!(first.headers.iter().filter(|(name, _)| name == "Cache-Control").count(), 1, "{path}");
        for known in [
            tag.clone(),
            format!("\"other\", {tag}"),
            "*".into(),
            format!("W/{}", tag.trim_start_matches("W/")),
        ] {
            let again = with(&daemon, path, "If-None-Match", &known);
            assert_eq!((again.status, again.header("ETag")), (304, Some(tag.as_str())), "{path}: {again:?}");
            assert_eq!(again.header("Content-Length"), None, "{path}");
        }
        assert_eq!(with(&daemon, path, "If-None-Match", "\"other\"").status, 200, "{path}");
    }
    for path in [
        "/api/v1/occupation",
        "/api/v1/rooms",
        "/api/v1/rooms/lab1",
        "/api/v1/rooms/lab1.txt",
        "/api/v1/summary",
        "/api/v1/history",
    ] {
        let before = ok(&daemon, path);
        let state =
            if before.text().contains("lab1pc1\":\"wu") || path.ends_with("history") { "wf" } else { "wu" };
        daemon.set("lab1pc1", "o");
        daemon.set("lab1pc2", state);
        let after = with(&daemon, path, "If-None-Match", before.header("ETag").unwrap());
        assert_eq!(after.status, 200, "{path}");
        assert_ne!(after.body, before.body, "{path}");
        daemon.set("lab1pc1", "wf");
        daemon.set("lab1pc2", "lf");
    }
}

#[test]
fn head_and_options_are_answered_and_pages_of_other_origins_may_read() {
    let daemon = daemon();
    for path in ALL.into_iter().chain(["/events"]) {
        let head = daemon.ask(&Request::new("HEAD", path));
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}: {head:?}");
        if path != "/events" {
            let length: usize = head.header("Content-Length").unwrap().parse().unwrap();
            assert_eq!(length, ok(&daemon, path).body.len(), "{path}");
            assert_eq!(head.header("Access-Control-Allow-Origin"), Some("*"), "{path}");
        }
        let preflight = Request::new("OPTIONS", path).header("Origin", "https://page.example");
        let preflight = daemon.ask(&preflight.header("Access-Control-Request-Method", "GET"));
        assert_eq!(preflight.status, 204, "{path}: {preflight:?}");
        assert_eq!(preflight.header("Access-Control-Allow-Origin"), Some("*"), "{path}");
        assert_eq!(preflight.header("Access-Control-Allow-Methods"), Some("GET, HEAD, OPTIONS"), "{path}");
        let refused = daemon.ask(&Request::post(path).body("{}"));
        problem(&refused, 405);
        assert_eq!(refused.header("Allow"), Some("GET, HEAD, OPTIONS"), "{path}");
    }
}

#[test]
fn what_is_not_there_or_not_right_is_a_problem() {
    let daemon = daemon();
    for path in [
        "/api",
        "/api/",
        "/api/v2/rooms",
        "/api/v1/nothing",
        "/api/v1/rooms/",
        "/api/v1/rooms/lab9",
        "/api/v1/rooms/lab1.pdf",
        "/api/v1/rooms/lab1/pcs",
        "/api/v1/rooms/lab9/usual",
        "/api/v1/rooms/lab1/usual/",
        "/api/v1/rooms/LAB1",
    ] {
        problem(&get(&daemon, path), 404);
    }
    for query in [
        "occupation?tag=a%20b",
        "rooms?tag=%ff",
        "history?limit=0",
        "history?limit=1001",
        "history?after=x",
        "history?pc=.",
        "history?since=soon",
        "history?limit=1&limit=2",
        "utilisation?from=yesterday",
        "rooms/lab1/usual?from=2026-11-02&to=2026-11-01",
        "rooms/lab1/occupancy?from=2026-01-01&to=2026-02-01",
    ] {
        problem(&get(&daemon, &format!("/api/v1/{query}")), 400);
    }
    problem(&get(&daemon, "/events?tag=a%20b"), 400);
    assert_eq!(get(&daemon, "/api/v1/rooms?_=17&x=%ff").status, 200, "what is not known is passed over");
    assert_eq!(get(&daemon, "/apiary").status, 400, "it is not of this door");
}

#[test]
fn the_history_is_read_page_by_page_and_by_what_it_is_of() {
    let daemon = daemon();
    daemon.push("other", &json!({"lab1pc1": entry("lu")}));
    let ids = |query: &str| -> (Vec<u64>, Option<u64>) {
        let page = ok(&daemon, &format!("/api/v1/history?{query}")).json();
        let ids = page["updates"].as_array().unwrap().iter().map(|update| update["id"].as_u64().unwrap());
        (ids.collect(), page["next"].as_u64())
    };
    assert_eq!(ids("limit=4"), (vec![1, 2, 3, 4], Some(4)));
    assert_eq!(ids("limit=4&after=4"), (vec![5, 6], None));
    assert_eq!(ids("pc=LAB1pc1").0, [1, 6]);
    assert_eq!(ids("room=lab1").0, [1, 2, 3, 6]);
    assert_eq!(ids("room=lab1&pc=lab2pc1").0, [0; 0]);
    assert_eq!(ids("room=lab9").0, [0; 0]);
    assert_eq!(ids("source=other").0, [6]);
    assert_eq!(ids("until=5").0, [0; 0]);
    assert_eq!(ids("since=2000-01-01T00:00:00Z").0.len(), 6);
    let last = &ok(&daemon, "/api/v1/history?after=5").json()["updates"][0];
    assert_eq!(
        (&last["pc"], &last["source"], &last["state"]),
        (&json!("lab1pc1"), &json!("other"), &json!("lu"))
    );
}

#[test]
fn a_restart_keeps_since_when_a_pc_is_as_it_is() {
    let mut daemon = daemon();
    let since = |daemon: &Daemon| ok(daemon, "/api/v1/rooms/lab1").json()["occupation"].clone();
    let before = since(&daemon);
    assert!(before[0]["since"].is_string(), "{before}");
    daemon.restart();
    assert_eq!(since(&daemon), before);
}

#[test]
fn channels_have_a_path_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["/api", "/api/v1/rooms", "/events", "/events/"] {
        let (code, _, error) = run_to_end(dir.path(), &["check", "--set", &format!("http.path={path}")]);
        assert_eq!(code, Some(78), "{path}: {error}");
        assert!(error.contains("is where the daemon answers programs"), "{path}: {error}");
    }
    let daemon = Daemon::start(&["http.path=/apis"]);
    assert_eq!(ok(&daemon, "/api/v1/tags").json()["tags"][0]["tag"], "hg");
    assert_eq!(get(&daemon, "/apis?m=null").json()[1][0]["type"], "welcome");
}

#[test]
fn what_counts_as_a_seat_is_what_the_setup_says_and_counts_at_once() {
    let mut daemon = Daemon::with_setup("[seats]\nfree = ['linux']\n", &[]);
    daemon.push("test", &json!({"apc1": entry("wf"), "apc2": entry("lf"), "apc3": entry("o")}));
    assert_eq!(ok(&daemon, "/api/v1/summary").json()["usable"], 1);
    daemon.write_setup("[seats]\nfree = ['off', 'windows']\n");
    daemon.reload();
    let summary = ok(&daemon, "/api/v1/summary").json();
    assert_eq!(summary["free"], json!({"windows": 1, "linux": 0, "other": 1}));
}
