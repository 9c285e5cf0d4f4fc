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

use common::reserved::{SETUP, with_class};
use common::{Daemon, Request, Response};
use serde_json::json;

/// A daemon with three rooms, a class with characters that formats escape, and some PCs.
fn daemon() -> Daemon {
    with_class(SETUP, "lab2", r"Calculus, part 1; \\ more")
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
