//! A client of `/events`, as a browser is one: it has what it was told, and the id of the last event.

use crate::common::{Client, Daemon, Request, View, percent, states};
use serde_json::Value;

/// An event as it stands in the stream.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: Value,
    pub(super) id: Option<String>,
}

/// A reader with its view.
pub(super) struct Listener {
    pub(super) client: Client,
    pub(super) view: View,
    pub(super) last: Option<String>,
    query: String,
}

impl Listener {
    /// Listens to everything that passes `query`.
    pub(super) fn new(daemon: &Daemon, query: &str) -> Listener {
        let client = opened(daemon, query, None);
        Listener { client, view: View::default(), last: None, query: query.to_owned() }
    }

    /// Comes back on another connection, with the id of the last event.
    pub(super) fn come_back(&mut self, daemon: &Daemon) {
        self.client = opened(daemon, &self.query, self.last.as_deref());
    }

    /// The next block of the stream, comments included; none at its end.
    pub(super) fn block(&mut self) -> Option<String> {
        let block = self.client.read_until(b"\n\n").unwrap()?;
        Some(String::from_utf8(block).unwrap())
    }

    /// The next event, which is taken into the view; none at the end.
    pub(super) fn event(&mut self) -> Option<Event> {
        loop {
            let block = self.block()?;
            let field = |name: &str| {
                let lines = block.lines().filter_map(|line| line.split_once(": "));
                lines.filter(|(of, _)| *of == name).map(|(_, value)| value.to_owned()).next()
            };
            let Some(name) = field("event") else {
                assert!(block.starts_with(':') || block.starts_with("retry: "), "{block:?}");
                continue;
            };
            let data: Value = serde_json::from_str(&field("data").unwrap()).unwrap();
            assert_eq!(data["type"], name.as_str(), "an event is of the type of its message");
            let id = field("id");
            if id.is_some() {
                self.last.clone_from(&id);
            }
            self.view.take(std::slice::from_ref(&data));
            return Some(Event { name, data, id });
        }
    }

    /// Takes events until one has an id: all that was told at once.
    pub(super) fn together(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.event().expect("the stream has ended");
            let is_last = event.id.is_some();
            events.push(event);
            if is_last {
                return events;
            }
        }
    }

    /// Takes events until the view shows this.
    pub(super) fn until(&mut self, pc: &str, state: &str) {
        while self.view.occupation.get(pc).map(String::as_str) != Some(state) {
            self.event().expect("the stream has ended");
        }
    }
}

/// The names of events.
pub(super) fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

/// What an update says.
pub(super) fn update(event: &Event) -> Vec<(String, String)> {
    states(&event.data["update"]).into_iter().collect()
}

fn opened(daemon: &Daemon, query: &str, last: Option<&str>) -> Client {
    let mut client = daemon.connect();
    let mut request = Request::get(&format!("/events{query}")).header("Accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last);
    }
    client.send(&request.bytes());
    let head = client.read_until(b"\r\n\r\n").unwrap().expect("no answer");
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for line in [
        "Content-Type: text/event-stream; charset=utf-8",
        "Cache-Control: no-store, no-transform",
        "X-Accel-Buffering: no",
        "Access-Control-Allow-Origin: *",
        "Connection: close",
    ] {
        assert!(head.lines().any(|of| of == line), "{line} in {head}");
    }
    assert!(!head.contains("Content-Encoding") && !head.contains("Content-Length"), "{head}");
    client
}

/// A query of tags.
pub(super) fn tagged(tags: &[&str]) -> String {
    format!("?tag={}", percent(tags.join(",")))
}
