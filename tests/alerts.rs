//! Alerts: who waits for a seat is told of one, and nobody else at the same time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::events::{Event, EventStream};
use common::{Daemon, GUARD, Request, entry, percent};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Two rooms, each with a tag of its own and one that both have.
const SETUP: &str = r#"
timezone = "UTC"
[[room]]
key = "lab1"
name = "First lab"
tags = ["labs", "west"]
[[room]]
key = "lab2"
name = "Second lab"
tags = ["labs", "east"]
[[rule]]
pattern = "^(.+?)pc"
room = "$1"
"#;

/// Longer than any test: claims end by what happens alone.
const FOR_EVER: &str = "seats.claim=1h";

/// A daemon whose seats are all taken.
fn daemon(args: &[&str]) -> Daemon {
    let daemon = Daemon::with_setup(SETUP, args);
    let pcs = ["lab1pc1", "lab1pc2", "lab1pc3", "lab2pc1"].map(|pc| (pc.to_owned(), entry("wu")));
    daemon.push("test", &Value::Object(pcs.into_iter().collect()));
    daemon
}

/// A token of a browser.
fn token(number: usize) -> String {
    format!("browser-{number:010}")
}

/// A page that is live, and waits for seats.
struct Page(EventStream);

impl Page {
    /// Opens a stream with these wishes, and reads what becomes of each.
    fn open(daemon: &Daemon, language: &str, wishes: &[&str]) -> (Page, Vec<Value>) {
        let mut query = format!("?lang={language}");
        for wish in wishes {
            query.push_str("&wish=");
            query.push_str(&percent(*wish));
        }
        let mut page = Page(EventStream::open(daemon, &format!("/live{query}"), None));
        let answers = wishes.iter().map(|_| page.next("wish")).collect();
        (page, answers)
    }

    /// The same with wishes of that browser, all of which wait then.
    fn waits(daemon: &Daemon, browser: usize, wishes: &[&str]) -> Page {
        let wishes: Vec<String> = wishes.iter().map(|wish| token(browser) + wish).collect();
        let wishes: Vec<&str> = wishes.iter().map(String::as_str).collect();
        let (page, answers) = Page::open(daemon, "en", &wishes);
        let waits: Vec<Value> = wishes.iter().map(|wish| json!({"wish": wish, "state": "waits"})).collect();
        assert_eq!(answers, waits);
        page
    }

    /// The next event of that name. No seat is told on the way there.
    fn next(&mut self, name: &str) -> Value {
        let until = Instant::now() + GUARD;
        loop {
            // Beats go on for ever.
            assert!(Instant::now() < until, "no {name}");
            let Event { name: of, data, .. } = self.0.event().expect("the stream has ended");
            if of == name {
                return data;
            }
            assert!(of != "seat" && of != "wish", "{of} {data}, and no {name}");
        }
    }

    /// The room of which it is told next.
    fn told(&mut self) -> String {
        self.next("seat")["key"].as_str().unwrap().to_owned()
    }

    /// Reads until it shows what was pushed: by then it would have been told.
    fn sees(&mut self, room: &str, usable: u32) {
        let until = Instant::now() + GUARD;
        loop {
            assert!(Instant::now() < until, "not {usable} in {room}");
            let row = self.next("row");
            let html = row["html"].as_str().unwrap().replace('"', "");
            if row["key"] == room && html.contains(&format!(" data-usable={usable} ")) {
                return;
            }
        }
    }
}

/// A figure of `/metrics`.
fn figure(daemon: &Daemon, name: &str) -> u64 {
    let text = daemon.ask(&Request::get("/metrics")).text().to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
}

/// Waits until a figure is that.
fn until_figure(daemon: &Daemon, name: &str, value: u64) {
    let until = Instant::now() + GUARD;
    while figure(daemon, name) != value {
        assert!(Instant::now() < until, "{name} is not {value}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn of_ten_people_who_wish_one_seat_one_is_told_and_the_next_of_the_next_seat() {
    let daemon = daemon(&[FOR_EVER]);
    let mut pages: Vec<Page> =
        (0..10).map(|browser| Page::waits(&daemon, browser, &[";room:lab1"])).collect();
    daemon.set("lab1pc1", "lf");
    let seat = pages[0].next("seat");
    assert_eq!(seat["key"], "lab1");
    assert_eq!(seat["wish"], token(0) + ";room:lab1");
    assert_eq!(seat["seconds"], 3600);
    assert_eq!(seat["title"], "A seat is free: First lab");
    assert!(
        seat["text"]
            .as_str()
            .unwrap()
            .starts_with("1 Linux, all day. Nobody else is sent to your seat before ")
    );
    // Nobody else is, as long as nobody comes and no other seat is free.
    pages[1..].iter_mut().for_each(|page| page.sees("lab1", 1));
    assert_eq!(figure(&daemon, "tkbd_alerts_total"), 1);
    daemon.set("lab1pc2", "wf");
    assert_eq!(pages[1].told(), "lab1");
    // The first has come: the seat is that one's no more, and free for the next when it is left.
    daemon.set("lab1pc1", "lu");
    pages[2..].iter_mut().for_each(|page| page.sees("lab1", 1));
    daemon.set("lab1pc1", "lf");
    assert_eq!(pages[2].told(), "lab1");
    pages[3..].iter_mut().for_each(|page| page.sees("lab1", 2));
    assert_eq!(figure(&daemon, "tkbd_alerts_total"), 3);
}

#[test]
fn a_seat_that_nobody_comes_for_is_told_to_the_next_when_its_time_is_over() {
    let claim = Duration::from_secs(2);
    let daemon = daemon(&["seats.claim=2s"]);
    let mut pages: Vec<Page> = (0..4).map(|browser| Page::waits(&daemon, browser, &[";tag:labs"])).collect();
    let mut last = Instant::now();
    daemon.set("lab2pc1", "wf");
    for (place, page) in pages.iter_mut().enumerate() {
        assert_eq!(page.told(), "lab2");
        // What is read late was still told on time; what is read early was not.
        let told = Instant::now();
        assert!(place == 0 || told - last > claim - Duration::from_millis(500), "{:?}", told - last);
        last = told;
    }
    assert_eq!(figure(&daemon, "tkbd_alerts_total"), 4);
}

#[test]
fn a_seat_that_is_free_already_is_told_at_once() {
    let daemon = daemon(&[FOR_EVER]);
    daemon.set("lab1pc1", "lf");
    daemon.set("lab2pc1", "wf");
    let mut first = Page::waits(&daemon, 1, &[";room:lab1;minutes:0"]);
    assert_eq!(first.told(), "lab1");
    let mut second = Page::waits(&daemon, 2, &[";room:lab1", ";system:linux;tag:labs"]);
    let mut third = Page::waits(&daemon, 3, &[";system:windows;tag:east,west"]);
    assert_eq!(third.told(), "lab2");
    daemon.set("lab1pc2", "lf");
    let seat = second.next("seat");
    assert_eq!((&seat["key"], &seat["wish"]), (&json!("lab1"), &json!(token(2) + ";room:lab1")));
}

#[test]
fn who_comes_back_has_kept_the_place_and_nobody_is_told_who_is_away() {
    let daemon = daemon(&[FOR_EVER]);
    let first = Page::waits(&daemon, 1, &[";room:lab1"]);
    let mut second = Page::waits(&daemon, 2, &[";room:lab1"]);
    let mut third = Page::waits(&daemon, 3, &[";room:lab1"]);
    drop(first);
    until_figure(&daemon, "tkbd_page_streams", 2);
    daemon.set("lab1pc1", "wf");
    assert_eq!(second.told(), "lab1", "a seat is not kept for who is away");
    let mut first = Page::waits(&daemon, 1, &[";room:lab1"]);
    daemon.set("lab1pc2", "wf");
    assert_eq!(first.told(), "lab1", "it has the place it had");
    daemon.set("lab1pc3", "wf");
    assert_eq!(third.told(), "lab1");
}

#[test]
fn who_has_not_heard_it_is_told_again_and_no_seat_is_told_twice_for_that() {
    let daemon = daemon(&[FOR_EVER]);
    let first = Page::waits(&daemon, 1, &[";room:lab1"]);
    daemon.set("lab1pc1", "wf");
    // It is told, and nobody reads it.
    until_figure(&daemon, "tkbd_alerts_total", 1);
    drop(first);
    let mut again = Page::waits(&daemon, 1, &[";room:lab1"]);
    assert_eq!(again.told(), "lab1");
    assert_eq!(figure(&daemon, "tkbd_alerts_total"), 1);
    // The same person waits for another seat: with a new token.
    let mut anew = Page::waits(&daemon, 2, &[";room:lab1"]);
    daemon.set("lab1pc2", "wf");
    assert_eq!(anew.told(), "lab1");
}

#[test]
fn a_browser_with_two_streams_waits_once_and_is_told_on_both() {
    let daemon = daemon(&[FOR_EVER]);
    let mut one = Page::waits(&daemon, 1, &[";room:lab1"]);
    let mut other = Page::waits(&daemon, 1, &[";room:lab1", ";room:lab2"]);
    let mut next = Page::waits(&daemon, 2, &[""]);
    daemon.set("lab1pc1", "wf");
    assert_eq!((one.told(), other.told()), ("lab1".into(), "lab1".into()));
    // Its list is done: what else it wished is for others.
    daemon.set("lab2pc1", "wf");
    assert_eq!(next.told(), "lab2");
}

#[test]
fn what_is_no_wish_is_answered_and_the_stream_goes_on() {
    let daemon = daemon(&[FOR_EVER]);
    let own = token(1);
    let long = format!("{own};tag:{}", "é".repeat(200));
    let mut wishes: Vec<String> = vec!["nonsense".into(), long, format!("{own};room:lab1"), token(2)];
    wishes.extend((1..9).map(|minutes| format!("{own};room:lab1;minutes:{minutes}")));
    let texts: Vec<&str> = wishes.iter().map(String::as_str).collect();
    let (mut page, answers) = Page::open(&daemon, "de", &texts);
    let reasons: Vec<Option<&str>> = answers.iter().map(|answer| answer["reason"].as_str()).collect();
    assert_eq!(reasons[..5], [Some("form"), Some("form"), None, Some("token"), None]);
    assert_eq!(reasons[5..], [None, None, None, None, None, None, Some("many")]);
    assert_eq!(
        answers[0],
        json!({"wish": "nonsense", "state": "refused", "reason": "form", "text": "Dieser Wunsch ist nicht lesbar."})
    );
    assert_eq!(answers[11]["text"], "Mehr als 8 Wünsche können nicht zugleich warten.");
    let echo = answers[1]["wish"].as_str().unwrap();
    assert!(echo.len() <= 256 && wishes[1].starts_with(echo), "{echo}");
    // The others wait, and rows are told as ever.
    page.sees("lab1", 0);
    daemon.set("lab1pc1", "wf");
    let seat = page.next("seat");
    assert_eq!(seat["title"], "Ein Platz ist frei: First lab");
    daemon.set("lab1pc2", "wf");
    page.sees("lab1", 2);
    assert_eq!(
        figure(&daemon, "tkbd_refused_total{door=\"page\",reason=\"wish\"}"),
        4,
        "two that are none, one of another, one too many"
    );
    let mut page = Page(EventStream::open(&daemon, "/live?wish=%ff", None));
    assert_eq!(page.next("wish")["reason"], "form");
    page.sees("lab1", 2);
}

#[test]
fn one_address_cannot_keep_all_others_out() {
    let daemon = daemon(&[FOR_EVER, "http.exempt="]);
    let lists: Vec<Vec<String>> = (0..33)
        .map(|browser| (0..8).map(|minutes| format!("{};minutes:{minutes}", token(browser))).collect())
        .collect();
    let mut pages: Vec<Page> = Vec::new();
    for (browser, list) in lists.iter().enumerate() {
        let texts: Vec<&str> = list.iter().map(String::as_str).collect();
        let (page, answers) = Page::open(&daemon, "nl", &texts);
        let is_full = browser == 32;
        for answer in answers {
            assert_eq!(answer["state"] == "refused", is_full, "{answer}");
            if is_full {
                assert_eq!(answer["reason"], "full");
                assert!(answer["text"].as_str().unwrap().starts_with("Er wachten nu te veel mensen."));
            }
        }
        pages.push(page);
    }
    assert_eq!(figure(&daemon, "tkbd_refused_total{door=\"page\",reason=\"wishes\"}"), 8);
    // Who leaves makes room.
    drop(pages.remove(0));
    until_figure(&daemon, "tkbd_page_streams", 32);
    let mut page = Page::waits(&daemon, 99, &["", ";room:lab1"]);
    daemon.set("lab1pc1", "wf");
    assert_eq!(pages[0].told(), "lab1");
    daemon.set("lab1pc2", "wf");
    page.sees("lab1", 2);
}
