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

use common::reserved::{SETUP, with_class};
use common::{Daemon, Request, Response};

/// Two seats can be had, in one room.
fn daemon() -> Daemon {
    with_class(SETUP, "lab2", "Calculus")
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
    let Some((_, value)) = html.split_once(&format!(" {name}=")) else {
        assert!(html.contains(&format!(" {name} ")), "no {name} in {html}");
        return "";
    };
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
