//! `/insight` and what the API tells of the history, of a daemon that has one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Daemon, Request, Response};
use rusqlite::params;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Two rooms, of which one has a name that is a formula in a spreadsheet.
const SETUP: &str = r#"
timezone = "Europe/Amsterdam"
[seats]
free = ["linux", "windows"]
[[room]]
key = "lab1"
name = "=HYPERLINK(\"http://evil.example\",\"a\")"
tags = ["labs"]
[[room]]
key = "lab2"
name = "Second & lab, \"b\""
[[rule]]
pattern = "^(.+?)pc"
room = "$1"
"#;

/// Monday, 2 March 2026, 10:00 in Amsterdam.
const TEN: i64 = 1_772_442_000;

const HOUR: i64 = 3_600;

/// A token and its digest.
const TOKEN: &str = "a-token-that-nobody-guesses";

/// A daemon with a history of one Monday: in lab1 three PCs, at most two of which are used at once, in lab2 one that is
/// never used and one that flaps; and one of which nothing was ever heard.
fn daemon(more: &str) -> Daemon {
    let mut daemon = Daemon::with_setup(&format!("{SETUP}{more}"), &[]);
    assert!(daemon.terminate().success());
    let file = rusqlite::Connection::open(daemon.history_file()).unwrap();
    file.execute_batch("INSERT INTO sources (id, name) VALUES (1, 'login-watcher')").unwrap();
    let pcs = ["lab1pc1", "lab1pc2", "lab1pc3", "lab2pc1", "lab2pc2", "lab2pc3"];
    for (id, pc) in pcs.iter().enumerate() {
        // The state in its last row; of the last one there is none.
        let state = Some("lf").filter(|_| id < 5);
        let row = params![id as i64 + 1, pc, state];
        file.execute("INSERT INTO pcs (id, name, occupation) VALUES (?1, ?2, ?3)", row).unwrap();
    }
    let mut rows: Vec<(i64, i64, &str)> = vec![
        (1, TEN, "lf"),
        (2, TEN, "wf"),
        (3, TEN, "wf"),
        (4, TEN, "lf"),
        (5, TEN, "lf"),
        (1, TEN + HOUR, "lu"),
        (2, TEN + HOUR, "wu"),
        (1, TEN + 3 * HOUR, "lf"),
        (3, TEN + 3 * HOUR, "wu"),
        (2, TEN + 4 * HOUR, "wf"),
        (3, TEN + 4 * HOUR, "wf"),
    ];
    rows.extend((0..20).map(|i| (5, TEN + 5 * HOUR + 60 * i, if i % 2 == 0 { "lu" } else { "lf" })));
    for (id, (pc, at, state)) in rows.into_iter().enumerate() {
        let row = params![id as i64 + 1, pc, at, state];
        file.execute("INSERT INTO occupationUpdates VALUES (?1, ?2, 1, ?3, ?4)", row).unwrap();
    }
    drop(file);
    daemon.restart();
    let until = Instant::now() + common::GUARD;
    loop {
        let used = daemon.ask(&Request::get("/api/v1/utilisation?from=2026-03-02&to=2026-03-02")).json();
        if used["rooms"].as_array().is_some_and(|rooms| rooms.len() == 2) {
            return daemon;
        }
        assert!(Instant::now() < until, "nothing is counted: {used}\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

const DAY: &str = "from=2026-03-02&to=2026-03-02";

fn get(daemon: &Daemon, path: &str) -> Response {
    daemon.ask(&Request::get(path))
}

fn ok(daemon: &Daemon, path: &str) -> Response {
    let response = get(daemon, path);
    assert_eq!(response.status, 200, "{path}: {response:?}");
    response
}

#[test]
fn rooms_are_told_with_how_they_were_used_and_how_many_seats_could_go() {
    let daemon = daemon("");
    let used = ok(&daemon, &format!("/api/v1/utilisation?{DAY}")).json();
    assert_eq!((&used["from"], &used["to"]), (&json!("2026-03-02"), &json!("2026-03-02")));
    let first = &used["rooms"][0];
    assert_eq!(
        (&first["key"], &first["pcs"], &first["peak"], &first["spare"]),
        (&json!("lab1"), &json!(3), &json!(2), &json!(1))
    );
    // From ten to midnight; of the time of three PCs two hours with Linux and four with Windows.
    assert_eq!(
        (&first["known"], &first["seconds"]["lu"], &first["seconds"]["wu"]),
        (&json!(14 * HOUR), &json!(2 * HOUR), &json!(4 * HOUR))
    );
    let share = first["usedWindows"].as_f64().unwrap();
    assert!((share - 4.0 / 42.0).abs() < 0.0001, "{share}");
    let tagged = ok(&daemon, &format!("/api/v1/utilisation?{DAY}&tag=labs")).json();
    assert_eq!(tagged["rooms"].as_array().unwrap().len(), 1);

    let page = ok(&daemon, &format!("/insight?{DAY}&lang=en"));
    assert_eq!(page.media_type(), "text/html");
    let text = page.text();
    // In lab2 no more than one of two was used.
    assert!(text.contains("<h1>2 seats could go</h1>"), "{text}");
    assert!(text.contains("Second &#38; lab"), "{text}");
    assert!(text.contains("value=\"2026-03-02\""), "the days stay in the form");
    assert!(!text.contains("login-watcher"), "who reported it is nobody's business");
}

#[test]
fn how_full_a_room_was_and_what_is_usual_are_told_by_half_hours() {
    let daemon = daemon("");
    let halves = ok(&daemon, &format!("/api/v1/rooms/lab1/occupancy?{DAY}")).json();
    let at = |begin: &str| -> Value {
        let all = halves["halfHours"].as_array().unwrap();
        all.iter().find(|half| half["begin"] == begin).unwrap_or_else(|| panic!("{begin}: {halves}")).clone()
    };
    assert_eq!(at("2026-03-02T09:00:00Z")["free"], 3.0);
    let busy = at("2026-03-02T10:30:00Z");
    assert_eq!(
        (&busy["free"], &busy["peak"], &busy["average"]),
        (&json!(1.0), &json!(2), &json!({"lu": 1.0, "wu": 1.0, "wf": 1.0}))
    );
    let usual = ok(&daemon, &format!("/api/v1/rooms/lab1/usual?{DAY}")).json();
    let slot =
        usual["slots"].as_array().unwrap().iter().find(|slot| slot["time"] == "11:30").unwrap().clone();
    assert_eq!(
        slot,
        json!({"weekday": 1, "time": "11:30", "weeks": 1, "lower": 1.0, "median": 1.0, "upper": 1.0})
    );
}

#[test]
fn every_table_is_had_as_csv_in_which_no_name_is_a_formula() {
    let daemon = daemon("");
    let rooms = ok(&daemon, &format!("/insight/rooms.csv?{DAY}"));
    assert_eq!(rooms.header("Content-Type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(
        rooms.header("Content-Disposition"),
        Some("attachment; filename=\"rooms-2026-03-02-2026-03-02.csv\"")
    );
    let text = rooms.text();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert!(lines[0].starts_with("room,name,pcs,peak,spare,known_hours,"), "{text}");
    assert_eq!(lines[1], "lab1,\"'=HYPERLINK(\"\"http://evil.example\"\",\"\"a\"\")\",3,2,1,14,0.0952,0.0476,0,0,20,12,4,2,0,0".to_owned().replace("20,12", &hours_of(lines[1])));
    assert!(lines[2].starts_with("lab2,\"Second & lab, \"\"b\"\"\",2,1,1,"), "{text}");
    assert_eq!((lines.len(), lines[3]), (4, ""));

    let idle = ok(&daemon, &format!("/insight/idle?{DAY}&format=csv"));
    assert_eq!(
        idle.text(),
        "pc,room,seen,known_from\r\nlab2pc1,lab2,yes,2026-03-02\r\nlab2pc3,,no,2026-03-02\r\n"
    );
    let flapping = ok(&daemon, &format!("/insight/flapping.csv?{DAY}"));
    assert_eq!(
        flapping.text(),
        "pc,room,hour,changes,known_from\r\nlab2pc2,lab2,2026-03-02T15:00:00+01:00,20,2026-03-02\r\n"
    );
    assert_eq!(
        ok(&daemon, &format!("/insight/flapping.csv?{DAY}&changes=21")).text(),
        "pc,room,hour,changes,known_from\r\n"
    );
    for page in ["idle", "flapping"] {
        let shown = ok(&daemon, &format!("/insight/{page}?{DAY}"));
        assert!(shown.text().contains(if page == "idle" { "lab2pc3" } else { "lab2pc2" }), "{shown:?}");
        assert!(!shown.text().contains("are known from"), "the history has all of that day: {shown:?}");
        let longer = ok(&daemon, &format!("/insight/{page}?from=2026-02-20&to=2026-03-02&lang=en"));
        assert!(longer.text().contains("Single PCs are known from 2026-03-02 on."), "{longer:?}");
        let before = ok(&daemon, &format!("/insight/{page}?from=2026-02-20&to=2026-03-01&lang=en"));
        assert!(before.text().contains("Nothing is known of these days."), "{before:?}");
        assert!(!before.text().contains("<table"), "{before:?}");
    }
}

/// The two cells of hours that PCs were free: what is known of the night depends on the clock.
fn hours_of(line: &str) -> String {
    let cells: Vec<&str> = line.rsplit(',').collect();
    format!("{},{}", cells[5], cells[4])
}

#[test]
fn what_is_asked_wrongly_is_told_in_the_form() {
    let daemon = daemon("");
    for (query, says) in [
        ("from=yesterday", "The first day is no date"),
        ("to=2026-02-30", "The last day is no date"),
        ("from=2026-03-02&to=2026-03-01", "The last day is before the first"),
        ("changes=0", "Changes an hour"),
        ("changes=many", "Changes an hour"),
    ] {
        let page = get(&daemon, &format!("/insight/flapping?lang=en&{query}"));
        assert_eq!((page.status, page.media_type()), (400, "text/html"), "{query}");
        assert!(page.text().contains(says), "{query}: {}", page.text());
        let table = get(&daemon, &format!("/insight/flapping.csv?lang=en&{query}"));
        assert_eq!((table.status, table.media_type()), (400, "text/plain"), "{query}");
    }
    let odd = get(&daemon, "/insight?lang=en&from=%22%3E%3Cscript%3E");
    assert!(!odd.text().contains("<script"), "{}", odd.text());
    assert_eq!(get(&daemon, "/insight/nothing").status, 404);
    assert_eq!(daemon.ask(&Request::post("/insight").body("x")).status, 405);
    assert_eq!(
        ok(&daemon, "/insight?from=2001-01-01&to=2001-01-02&lang=nl").text().matches("<table").count(),
        0
    );
}

#[test]
fn who_is_not_listed_needs_a_token_and_no_page_of_strangers_has_one() {
    let digest = sha256(TOKEN);
    let daemon = daemon(&format!(
        "[insight]\nallow = [\"192.0.2.1\"]\ntrusted_proxies = [\"127.0.0.2\"]\ntokens = [{{ sha256 = \"{digest}\" }}]\n"
    ));
    let with = |name: &str, value: &str| daemon.ask(&Request::get("/insight").header(name, value));
    let none = get(&daemon, "/insight");
    assert_eq!(
        (none.status, none.header("WWW-Authenticate")),
        (401, Some("Basic realm=\"tkbd insight\", charset=\"UTF-8\""))
    );
    assert!(!none.text().contains("lab1"), "{none:?}");
    assert_eq!(with("Authorization", &format!("Bearer {TOKEN}")).status, 200);
    // The same as a password, with any name.
    assert_eq!(with("Authorization", "Basic YW55Ym9keTphLXRva2VuLXRoYXQtbm9ib2R5LWd1ZXNzZXM=").status, 200);
    for wrong in ["Bearer x", "Bearer", "Basic !!", "Basic YW55Ym9keTp4", &format!("Bearer {digest}")] {
        assert_eq!(with("Authorization", wrong).status, 401, "{wrong}");
    }
    for path in ["/insight/idle", "/insight/rooms.csv", "/insight/nothing", "/insight/"] {
        assert_eq!(get(&daemon, path).status, 401, "{path}");
    }
    assert_eq!(with("X-Forwarded-For", "192.0.2.1").status, 401, "of a proxy that nobody trusts");
    let page = daemon.ask(&Request::get("/insight").header("Authorization", &format!("Bearer {TOKEN}")));
    assert_eq!(page.header("Cache-Control"), Some("no-store"));
    assert_eq!(page.header("Cross-Origin-Resource-Policy"), Some("same-origin"));
    assert_eq!(page.header("Access-Control-Allow-Origin"), None);
    assert!(
        page.header("Content-Security-Policy")
            .is_some_and(|policy| policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"))
    );
    assert!(!daemon.log().contains(TOKEN));
}

#[test]
fn this_machine_sees_it_where_nothing_else_is_said_and_only_under_its_own_names() {
    let daemon = daemon("");
    for (name, value, status) in [
        ("X-Other", "x", 200),
        ("Origin", "http://evil.example", 403),
        ("X-Forwarded-For", "127.0.0.1", 403),
        ("Via", "1.1 proxy", 403),
    ] {
        assert_eq!(daemon.ask(&Request::get("/insight").header(name, value)).status, status, "{name}");
    }
    for (host, status) in
        [("localhost:8080", 200), ("127.0.0.1", 200), ("evil.example", 403), ("localhost.evil.example", 403)]
    {
        let mut client = daemon.connect();
        client.send(format!("GET /insight HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert_eq!(client.receive().status, status, "{host}");
    }
}

#[test]
fn a_room_s_page_has_its_plots_with_tables_and_nothing_inline() {
    let daemon = daemon("");
    let page = daemon.ask(&Request::get("/rooms/lab1?lang=en").header("Accept", "text/html"));
    assert_eq!(page.status, 200);
    let text = page.text();
    for part in ["id=\"plot-day\"", "role=\"img\"", "<title id=\"plot-day-t\">", "styles/plots.css"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains(" style=") && !text.contains("<style"), "{text}");
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
