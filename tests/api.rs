//! `/api/v1` and `/events`, as programs and browsers see them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "api/answers.rs"]
mod answers;
mod common;
#[path = "api/description.rs"]
mod description;
#[path = "api/events.rs"]
mod events;
#[path = "api/forms.rs"]
mod forms;
#[path = "api/listener.rs"]
mod listener;

use common::{Daemon, Request, Response};
use serde_json::json;

/// Three rooms, one of which is reserved all day and one closed, whichever day that is.
const SETUP: &str = r#"
timezone = "Europe/Amsterdam"
[[room]]
key = "lab1"
name = "First & lab"
tags = ["labs", "west"]
[[room]]
key = "lab2"
name = "Second lab"
tags = ["labs"]
[[room]]
key = "lab3"
name = "Third lab"
tags = ["east"]
[[rule]]
pattern = "^(.+?)pc"
room = "$1"
[[closure]]
from = "2000-01-01"
until = "2999-01-01"
rooms = ["lab3"]
text = "Painters"
[[timetable]]
kind = "file"
file = "FILE"
"#;

/// A daemon with that setup and some PCs, once the reservations are known.
fn daemon() -> Daemon {
    let mut daemon = Daemon::with_setup("", &[]);
    let file = daemon.dir().join("reservations.csv");
    let text =
        "room,start,end,text\nlab2,2000-01-01 00:00,2999-01-01 00:00,\"Calculus, part 1; \\\\ more\"\n";
    std::fs::write(&file, text).unwrap();
    daemon.write_setup(&SETUP.replace("FILE", file.to_str().unwrap()));
    daemon.restart();
    let states =
        [("lab1pc1", "wf"), ("lab1pc2", "lf"), ("lab1pc3", "lu"), ("lab2pc1", "wf"), ("lab3pc1", "o")];
    for (pc, state) in states {
        daemon.set(pc, state);
    }
    let until = std::time::Instant::now() + common::GUARD;
    while get(&daemon, "/api/v1/schedule").json()["schedule"]["lab2"].is_null() {
        assert!(std::time::Instant::now() < until, "no reservations:\n{}", daemon.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    daemon
}

fn get(daemon: &Daemon, path: &str) -> Response {
    daemon.ask(&Request::get(path))
}

/// What must be an answer.
fn ok(daemon: &Daemon, path: &str) -> Response {
    let response = get(daemon, path);
    assert_eq!(response.status, 200, "{path}: {response:?}");
    response
}

/// What must be a problem of this status.
fn problem(response: &Response, status: u16) {
    assert_eq!(
        (response.status, response.media_type()),
        (status, "application/problem+json"),
        "{response:?}"
    );
    let body = response.json();
    assert_eq!((&body["type"], &body["status"]), (&json!("about:blank"), &json!(status)), "{body}");
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
    assert_eq!(response.header("Access-Control-Allow-Origin"), Some("*"), "{response:?}");
}
