//! Server-sent events, as a browser reads them: those of `/events` and of `/live`.

use super::{Client, Daemon, Request};
use serde_json::Value;

/// An event as it stands in a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
    pub(crate) id: Option<String>,
}

/// A stream that is read.
pub(crate) struct EventStream {
    client: Client,
    /// What stood before all events.
    pub(crate) head: String,
    /// The id of the last event that had one.
    pub(crate) last: Option<String>,
}

impl EventStream {
    /// Asks for `path`, where `last` is the last event that was had before.
    pub(crate) fn open(daemon: &Daemon, path: &str, last: Option<&str>) -> EventStream {
        let mut client = daemon.connect();
        let mut request = Request::get(path).header("Accept", "text/event-stream");
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
            "Connection: close",
        ] {
            assert!(head.lines().any(|of| of == line), "{line} in {head}");
        }
        assert!(!head.contains("Content-Encoding") && !head.contains("Content-Length"), "{head}");
        EventStream { client, head, last: None }
    }

    /// The next block, comments included; none at the end of the stream.
    pub(crate) fn block(&mut self) -> Option<String> {
        let block = self.client.read_until(b"\n\n").unwrap()?;
        Some(String::from_utf8(block).unwrap())
    }

    /// The next event; none at the end of the stream.
    pub(crate) fn event(&mut self) -> Option<Event> {
        loop {
            let block = self.block()?;
            let field = |name: &str| {
                let mut lines = block.lines().filter_map(|line| line.split_once(": "));
                lines.find(|(of, _)| *of == name).map(|(_, value)| value.to_owned())
            };
            let Some(name) = field("event") else {
                assert!(block.starts_with(':') || block.starts_with("retry: "), "{block:?}");
                continue;
            };
            let data = serde_json::from_str(&field("data").unwrap()).unwrap();
            let id = field("id");
            if id.is_some() {
                self.last.clone_from(&id);
            }
            return Some(Event { name, data, id });
        }
    }
}
