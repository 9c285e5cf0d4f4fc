//! A client of `/events`, as a browser is one: it has what it was told, and the id of the last event.

use crate::common::events::{Event, EventStream};
use crate::common::{Daemon, View, percent, states};

/// A reader with its view.
pub(super) struct Listener {
    stream: EventStream,
    pub(super) view: View,
    pub(super) last: Option<String>,
    query: String,
}

impl Listener {
    /// Listens to everything that passes `query`.
    pub(super) fn new(daemon: &Daemon, query: &str) -> Listener {
        let stream = opened(daemon, query, None);
        Listener { stream, view: View::default(), last: None, query: query.to_owned() }
    }

    /// Comes back on another connection, with the id of the last event.
    pub(super) fn come_back(&mut self, daemon: &Daemon) {
        self.stream = opened(daemon, &self.query, self.last.as_deref());
    }

    /// The next block of the stream, comments included; none at its end.
    pub(super) fn block(&mut self) -> Option<String> {
        self.stream.block()
    }

    /// The next event, which is taken into the view; none at the end.
    pub(super) fn event(&mut self) -> Option<Event> {
        let event = self.stream.event()?;
        assert_eq!(event.data["type"], event.name.as_str(), "an event is of the type of its message");
        if event.id.is_some() {
            self.last.clone_from(&event.id);
        }
        self.view.take(std::slice::from_ref(&event.data));
        Some(event)
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

fn opened(daemon: &Daemon, query: &str, last: Option<&str>) -> EventStream {
    let stream = EventStream::open(daemon, &format!("/events{query}"), last);
    assert!(stream.head.lines().any(|line| line == "Access-Control-Allow-Origin: *"), "{}", stream.head);
    stream
}

/// A query of tags.
pub(super) fn tagged(tags: &[&str]) -> String {
    format!("?tag={}", percent(tags.join(",")))
}
