//! `/live`, as the scripts of the page hear it.

use super::{SETUP, attribute, daemon, page};
use crate::common::events::{Event, EventStream};
use crate::common::{Daemon, GUARD, Request, entry};
use chrono::Utc;
use chrono_tz::Europe::Amsterdam;
use serde_json::{Value, json};
use std::time::Instant;

/// A stream that is listened to.
struct Stream {
    events: EventStream,
    /// How often in a row it only said that it is there.
    beats: u32,
}

impl Stream {
    fn open(daemon: &Daemon, query: &str, last: Option<&str>) -> Stream {
        let events = EventStream::open(daemon, &format!("/live{query}"), last);
        let head = &events.head;
        assert!(!head.contains("Access-Control-Allow-Origin"), "it is for the page alone: {head}");
        Stream { events, beats: 0 }
    }

    /// The next event, which has to come.
    fn next(&mut self) -> Event {
        let event = self.events.event().expect("the stream has ended");
        self.beats = if event.name == "beat" { self.beats + 1 } else { 0 };
        assert!(self.beats < 3, "nothing comes, for half a minute");
        event
    }

    /// What is told at once: up to the event with an id.
    fn batch(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next();
            let is_last = event.id.is_some();
            if event.name != "beat" {
                events.push(event);
            }
            if is_last {
                return events;
            }
        }
    }

    /// The first event, and whether all rows follow.
    fn hello(&mut self) -> (Value, bool) {
        let hello = self.next();
        assert_eq!((hello.name.as_str(), &hello.id), ("hello", &None), "{hello:?}");
        let whole = hello.data["whole"].as_bool().unwrap();
        (hello.data, whole)
    }

    /// Takes rows until one of a room has this.
    fn until(&mut self, key: &str, part: &str) -> Event {
        loop {
            let event = self.next();
            if event.name == "row" && event.data["key"] == key && html(&event).contains(part) {
                return event;
            }
        }
    }
}

fn html(event: &Event) -> &str {
    event.data["html"].as_str().unwrap()
}

fn keys(events: &[Event]) -> Vec<(&str, &str)> {
    let mut keys: Vec<_> =
        events.iter().map(|event| (event.name.as_str(), event.data["key"].as_str().unwrap())).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn a_stream_tells_all_rows_and_then_those_that_change() {
    let daemon = daemon();
    let view = page(&daemon, "/");
    let mut stream = Stream::open(&daemon, "", None);
    let (hello, whole) = stream.hello();
    assert!(whole && hello["page"] == attribute(&view, "data-page"), "{hello}");
    assert_eq!(keys(&stream.batch()), [("row", "lab1"), ("row", "lab2"), ("row", "lab3")]);
    daemon.set("lab1pc1", "wu");
    let news = stream.batch();
    assert_eq!(keys(&news), [("row", "lab1")]);
    // It is the row of the view, to the letter.
    let view = page(&daemon, "/");
    let row = super::row(&view, "lab1").unwrap();
    assert_eq!(html(&news[0]), format!("{row}</li>"));
    assert_eq!(news[0].id.as_deref(), Some(attribute(&view, "data-live")));
}

#[test]
fn a_stream_goes_on_from_the_view_and_from_the_last_event() {
    let daemon = daemon();
    let view = page(&daemon, "/");
    let since = attribute(&view, "data-live");
    daemon.set("lab2pc1", "wu");
    let mut stream = Stream::open(&daemon, &format!("?since={since}"), None);
    assert!(!stream.hello().1);
    assert_eq!(keys(&stream.batch()), [("row", "lab2")], "what has changed since the view");
    let last = stream.events.last.clone().unwrap();
    drop(stream);
    daemon.set("lab1pc1", "wu");
    daemon.set("lab3pc1", "wf");
    daemon.set("lab1pc1", "wf");
    daemon.set("lab1pc2", "lu");
    // The header is younger than the address, which a browser keeps.
    let mut stream = Stream::open(&daemon, &format!("?since={since}"), Some(&last));
    assert!(!stream.hello().1);
    let news = stream.batch();
    assert_eq!(keys(&news), [("row", "lab1"), ("row", "lab3")], "each once, as it is now");
    let lab1 = news.iter().find(|event| event.data["key"] == "lab1").unwrap();
    assert_eq!((attribute(html(lab1), "data-windows"), attribute(html(lab1), "data-linux")), ("1", "0"));
    // Who has all is told nothing before there is something.
    let last = stream.events.last.clone().unwrap();
    let mut stream = Stream::open(&daemon, "", Some(&last));
    assert!(!stream.hello().1);
    daemon.set("lab3pc1", "o");
    assert_eq!(keys(&stream.batch()), [("row", "lab3")]);
}

#[test]
fn the_next_daemon_tells_everything_anew() {
    let mut daemon = daemon();
    let mut stream = Stream::open(&daemon, "", None);
    stream.hello();
    stream.batch();
    let last = stream.events.last.clone().unwrap();
    daemon.restart();
    assert_eq!(stream.events.event(), None, "its stream has ended with it");
    for odd in [last.as_str(), "", "x", "1.2.3.4", "99999999.99999999999999999999", ".1", "0.0"] {
        let mut stream = Stream::open(&daemon, "", Some(odd));
        assert!(stream.hello().1, "{odd:?}");
        assert_eq!(stream.batch().len(), 3, "{odd:?}");
    }
}

#[test]
fn a_stream_is_told_in_the_language_it_asks_for() {
    let daemon = daemon();
    let mut dutch = Stream::open(&daemon, "?lang=nl", None);
    let mut german = Stream::open(&daemon, "?lang=de", None);
    for (stream, word) in [(&mut dutch, "Gereserveerd"), (&mut german, "reserviert")] {
        stream.hello();
        let rows = stream.batch();
        let reserved = rows.iter().find(|row| row.data["key"] == "lab2").unwrap();
        assert!(html(reserved).contains(word), "{reserved:?}");
    }
    daemon.set("lab1pc3", "lf");
    assert!(dutch.until("lab1", "data-usable=3").data.to_string().contains("van 3 vrij"));
    assert!(german.until("lab1", "data-usable=3").data.to_string().contains("von 3 frei"));
}

#[test]
fn a_room_that_is_gone_is_told_of() {
    let mut daemon = daemon();
    let mut stream = Stream::open(&daemon, "", None);
    stream.hello();
    stream.batch();
    let before = stream.events.last.clone().unwrap();
    let file = daemon.dir().join("reservations.csv");
    let setup = SETUP.replace("FILE", file.to_str().unwrap());
    let other = setup.replace("[[rule]]", "[[rule]]\npattern = \"^lab3pc\"\nroom = \"lab9\"\n[[rule]]");
    daemon.write_setup(&other);
    daemon.reload();
    let mut told: Vec<(String, String)> = Vec::new();
    while !told.contains(&("gone".into(), "lab3".into())) || !told.contains(&("row".into(), "lab9".into())) {
        let event = stream.next();
        if event.name != "beat" {
            told.push((event.name.clone(), event.data["key"].as_str().unwrap().to_owned()));
        }
    }
    let mut late = Stream::open(&daemon, "", Some(&before));
    assert!(!late.hello().1);
    let told = late.batch();
    let told = keys(&told);
    assert!(told.contains(&("gone", "lab3")) && told.contains(&("row", "lab9")), "{told:?}");
    let mut new = Stream::open(&daemon, "", None);
    new.hello();
    let rows = new.batch();
    assert!(!keys(&rows).iter().any(|(_, key)| *key == "lab3"), "{rows:?}");
}

#[test]
fn of_many_changes_a_reader_is_told_the_last() {
    let daemon = daemon();
    let mut stream = Stream::open(&daemon, "", None);
    stream.hello();
    stream.batch();
    for i in 0..100 {
        daemon.set("lab1pc1", if i % 2 == 0 { "wu" } else { "lf" });
        daemon.set("lab1pc2", if i % 3 == 0 { "lu" } else { "lf" });
    }
    daemon.set("lab1pc3", "o");
    // lab1pc1 and lab1pc3 are what they became last, lab1pc2 is used.
    stream.until("lab1", "data-linux=1 data-windows=0 data-other=1");
    let last = stream.events.last.clone();
    let view = page(&daemon, "/");
    assert_eq!(last.as_deref(), Some(attribute(&view, "data-live")));
}

#[test]
fn a_stream_says_that_it_is_there() {
    let daemon = daemon();
    let mut stream = Stream::open(&daemon, "", None);
    let (hello, _) = stream.hello();
    let is_clock =
        |time: &Value| time.as_str().is_some_and(|time| time.len() == 5 && time.as_bytes()[2] == b':');
    assert!(is_clock(&hello["time"]), "{hello}");
    stream.batch();
    let beat = loop {
        let event = stream.next();
        if event.name == "beat" {
            break event;
        }
    };
    assert!(is_clock(&beat.data["time"]) && beat.id.is_none(), "{beat:?}");
}

#[test]
fn there_are_as_many_streams_as_there_may_be() {
    let mut daemon = Daemon::with_setup("", &["http.max_streams=2"]);
    daemon.set("lab1pc1", "wf");
    let first = Stream::open(&daemon, "", None);
    let mut second = Stream::open(&daemon, "", None);
    let refused = daemon.ask(&Request::get("/live"));
    assert_eq!((refused.status, refused.header("Retry-After")), (503, Some("30")), "{refused:?}");
    assert!(refused.text().contains("http.max_streams"), "{refused:?}");
    let metrics = daemon.ask(&Request::get("/metrics"));
    assert!(metrics.text().contains("tkbd_page_streams 2\n"), "{metrics:?}");
    assert!(
        metrics.text().contains("tkbd_refused_total{door=\"page\",reason=\"streams\"} 1\n"),
        "{metrics:?}"
    );
    // Views and channels are not those that are refused.
    assert_eq!(super::get(&daemon, "/").status, 200);
    drop(first);
    let until = Instant::now() + GUARD;
    while daemon.ask(&Request::new("GET", "/metrics")).text().contains("tkbd_page_streams 2\n") {
        assert!(Instant::now() < until, "its place is not given back");
    }
    Stream::open(&daemon, "", None).hello();
    // Whoever is there is told of the end at once.
    daemon.terminate();
    while second.events.event().is_some() {}
}

/// The setup of these tests with a room that has no PCs, and its reservations.
fn with_a_hall(daemon: &mut Daemon, reservations: &str) {
    let file = daemon.dir().join("reservations.csv");
    let text =
        format!("room,start,end,text\nlab2,2000-01-01 00:00,2999-01-01 00:00,Calculus\n{reservations}");
    std::fs::write(&file, text).unwrap();
    let hall = "[[room]]\nkey = \"hall\"\nname = \"Hall\"\n[[rule]]";
    daemon.write_setup(&SETUP.replace("FILE", file.to_str().unwrap()).replacen("[[rule]]", hall, 1));
    daemon.reload();
}

#[test]
fn a_room_is_told_of_when_what_its_own_page_shows_is_another_though_its_row_is_the_same() {
    let daemon = daemon();
    let mut stream = Stream::open(&daemon, "", None);
    stream.hello();
    let before = stream.batch();
    let row = |events: &[Event]| {
        events.iter().find(|event| event.data["key"] == "lab1").map(|event| html(event).to_owned())
    };
    let was = row(&before);
    // One comes where another goes; and somebody logs in with another system where nobody was.
    let swap = [("lab1pc2", "lu"), ("lab1pc3", "lf")].map(|(pc, state)| (pc.to_owned(), entry(state)));
    for push in [Value::Object(swap.into_iter().collect()), json!({"lab1pc2": entry("wu")})] {
        daemon.push("test", &push);
        let told = stream.batch();
        assert_eq!(keys(&told), [("row", "lab1")], "{push}");
        assert_eq!(row(&told), was, "the row is as it was");
    }
    // What is told again is no news.
    daemon.set("lab1pc2", "wu");
    daemon.set("lab3pc1", "wf");
    assert_eq!(keys(&stream.batch()), [("row", "lab3")]);
}

#[test]
fn a_room_is_told_of_when_something_else_is_reserved_also_one_without_pcs() {
    let mut daemon = daemon();
    with_a_hall(&mut daemon, "");
    let mut stream = Stream::open(&daemon, "", None);
    stream.hello();
    assert_eq!(keys(&stream.batch()), [("row", "lab1"), ("row", "lab2"), ("row", "lab3")], "no PC, no row");
    let told = |stream: &mut Stream, event: &str, key: &str| loop {
        let next = stream.next();
        if next.name == event && next.data["key"] == key {
            return next;
        }
    };
    // What is over says nothing of a seat.
    let today = Utc::now().with_timezone(&Amsterdam).format("%Y-%m-%d");
    with_a_hall(&mut daemon, &format!("lab1,{today} 00:00,{today} 00:01,Algebra\n"));
    assert_eq!(attribute(html(&told(&mut stream, "row", "lab1")), "data-usable"), "2");
    with_a_hall(&mut daemon, "hall,2000-01-01 00:00,2999-01-01 00:00,Concert\n");
    told(&mut stream, "gone", "hall");
    let view = page(&daemon, "/rooms/hall");
    assert!(view.contains("Concert"), "{view}");
    assert!(super::row(&page(&daemon, "/"), "hall").is_none(), "it is no room with seats");
    daemon.set("hallpc1", "wf");
    told(&mut stream, "row", "hall");
}

#[test]
fn that_there_is_no_room_is_told_to_who_knows_of_some() {
    let mut daemon = Daemon::with_setup("", &[]);
    daemon.set("lab1pc1", "wf");
    let view = page(&daemon, "/");
    let since = attribute(&view, "data-live").to_owned();
    daemon.terminate();
    std::fs::remove_file(daemon.history_file()).unwrap();
    daemon.restart();
    let mut stream = Stream::open(&daemon, &format!("?since={since}"), None);
    assert!(stream.hello().1, "all rows follow");
    let told = stream.batch();
    assert_eq!((told.len(), told[0].name.as_str()), (1, "none"), "{told:?}");
    daemon.set("lab1pc1", "wf");
    assert_eq!(stream.batch().len(), 1);
}
