//! The page, as browsers and people without scripts see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "page/files.rs"]
mod files;
#[path = "page/live.rs"]
mod live;
#[path = "page/size.rs"]
mod size;
#[path = "page/views.rs"]
mod views;

use common::{Daemon, GUARD, Request, Response};
use std::time::{Duration, Instant};

/// Three rooms, one of which is reserved all day and one closed, whichever day that is.
const SETUP: &str = r#"
timezone = "Europe/Amsterdam"
[[room]]
key = "lab1"
name = "Café & lab"
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

/// A daemon with that setup and some PCs, once the reservations are known: two seats can be had, in one room.
fn daemon() -> Daemon {
    with_class(SETUP, "lab2", "Calculus")
}

/// A daemon with a setup like that, and a class in a room all day.
fn with_class(setup: &str, room: &str, class: &str) -> Daemon {
    let mut daemon = Daemon::with_setup("", &[]);
    let file = daemon.dir().join("reservations.csv");
    let text = format!("room,start,end,text\n{room},2000-01-01 00:00,2999-01-01 00:00,\"{class}\"\n");
    std::fs::write(&file, text).unwrap();
    daemon.write_setup(&setup.replace("FILE", file.to_str().unwrap()));
    daemon.restart();
    let states =
        [("lab1pc1", "wf"), ("lab1pc2", "lf"), ("lab1pc3", "lu"), ("lab2pc1", "wf"), ("lab3pc1", "o")];
    for (pc, state) in states {
        daemon.set(pc, state);
    }
    let until = Instant::now() + GUARD;
    while daemon.ask(&Request::get("/api/v1/schedule")).json()["schedule"][room].is_null() {
        assert!(Instant::now() < until, "no reservations:\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon
}

/// As a browser asks for a page.
fn browser(path: &str) -> Request {
    Request::get(path).header("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
}

fn get(daemon: &Daemon, path: &str) -> Response {
    daemon.ask(&browser(path))
}

/// What must be a page.
fn page(daemon: &Daemon, path: &str) -> String {
    let response = get(daemon, path);
    assert_eq!((response.status, response.media_type()), (200, "text/html"), "{path}: {response:?}");
    response.text().to_owned()
}

/// The row of a room.
fn row<'a>(html: &'a str, key: &str) -> Option<&'a str> {
    let start = html.find(&format!("<li class=room id=room-{key} "))?;
    html[start..].split_once("</li>").map(|(row, _)| row)
}

/// The keys of all rows, in their order.
fn keys(html: &str) -> Vec<&str> {
    html.split("<li class=room ").skip(1).map(|row| attribute(row, "data-key")).collect()
}

/// An attribute of the first element in it that has one.
fn attribute<'a>(html: &'a str, name: &str) -> &'a str {
    let (_, value) = html.split_once(&format!(" {name}=")).unwrap_or_else(|| panic!("no {name} in {html}"));
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().unwrap(),
        _ => value.split([' ', '>']).next().unwrap(),
    }
}

/// What an element of that id says, without its tags.
fn said(html: &str, id: &str) -> String {
    let (_, rest) = html.split_once(&format!(" id=\"{id}\"")).unwrap_or_else(|| panic!("no {id} in {html}"));
    let rest = rest.split_once('>').unwrap().1;
    let end = rest.find("</h1>").or_else(|| rest.find("</p>")).unwrap();
    text(&rest[..end])
}

/// Without tags.
fn text(html: &str) -> String {
    let parts = html.split('<').enumerate();
    parts
        .map(|(i, part)| if i == 0 { part } else { part.split_once('>').map_or("", |(_, text)| text) })
        .collect()
}

/// The same, of a part that begins within a tag or before one.
fn words(row: &str) -> String {
    text(row).split_whitespace().collect::<Vec<_>>().join(" ")
}
