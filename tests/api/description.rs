//! The description of the API, held against the answers.

use super::{daemon, get, ok};
use crate::common::{Daemon, Request};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// An address of each path that is described, and what of it is to be filled in.
fn example(path: &str) -> String {
    path.replace("{key}", "lab1")
}

/// Queries under which an answer has another form.
const QUERIES: [&str; 8] = [
    "",
    "?tag=labs",
    "?tag=nobody",
    "?since=1",
    "?limit=2",
    "?after=99999",
    "?from=2026-11-01&to=2026-11-30",
    "?to=2000-01-01",
];

/// Holds a body against the schema that stands at `at` of the description.
fn validate(description: &Value, at: &str, body: &Value) {
    // The whole description is the document in which its references are looked up.
    let mut schema = description.clone();
    schema["$ref"] = json!(format!("#{at}"));
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    let validator = jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{at}: {error}"));
    let errors: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{at}: {errors:#?}\n{body}");
}

fn pointer(path: &str, status: &str, kind: &str) -> String {
    let escaped = |text: &str| text.replace('~', "~0").replace('/', "~1");
    let pointer = format!("/paths/{}/get/responses/{status}/content/{}/schema", escaped(path), escaped(kind));
    // In a fragment, braces are escaped once more.
    pointer.replace('{', "%7B").replace('}', "%7D").replace('+', "%2B")
}

fn described(daemon: &Daemon) -> (Value, Vec<String>) {
    let description = ok(daemon, "/api/v1/openapi.json").json();
    let paths = description["paths"].as_object().unwrap().keys().cloned().collect();
    (description, paths)
}

#[test]
fn every_operation_answers_as_it_is_described() {
    let daemon = daemon();
    let (description, paths) = described(&daemon);
    for path in paths.iter().filter(|path| *path != "/events") {
        let responses = &description["paths"][path]["get"]["responses"];
        let kind = responses["200"]["content"].as_object().unwrap().keys().next().unwrap().clone();
        for query in QUERIES {
            let address = format!("{}{query}", example(path));
            let response = ok(&daemon, &address);
            assert_eq!(response.media_type(), kind, "{address}");
            let body = if kind == "application/json" { response.json() } else { json!(response.text()) };
            validate(&description, &pointer(path, "200", &kind), &body);
        }
        if responses.get("404").is_some() {
            let missing = get(&daemon, &path.replace("{key}", "lab9"));
            assert_eq!(missing.status, 404, "{path}");
            validate(&description, &pointer(path, "404", missing.media_type()), &missing.json());
        }
        let bad = get(&daemon, &format!("{}?tag=%ff", example(path)));
        assert_eq!(bad.status, 400, "{path}");
        validate(&description, &pointer(path, "400", bad.media_type()), &bad.json());
    }
    for room in ["lab2", "lab3", "none"] {
        let at = pointer("/api/v1/rooms/{key}", "200", "application/json");
        validate(&description, &at, &ok(&daemon, &format!("/api/v1/rooms/{room}")).json());
    }
}

#[test]
fn a_body_that_is_otherwise_is_told_from_one_that_is_as_described() {
    let daemon = daemon();
    let (description, _) = described(&daemon);
    let mut body = ok(&daemon, "/api/v1/rooms").json();
    body["rooms"][0]["usable"] = json!(-1);
    let at = pointer("/api/v1/rooms", "200", "application/json");
    let held = std::panic::catch_unwind(|| validate(&description, &at, &body));
    assert!(held.is_err(), "no body can fail");
}

#[test]
fn what_is_routed_is_described_and_told_to_people_and_the_other_way_about() {
    let daemon = daemon();
    let (description, paths) = described(&daemon);
    for path in paths.iter().filter(|path| *path != "/events") {
        assert_eq!(get(&daemon, &example(path)).status, 200, "{path} is described");
    }
    // What the door routes stands in its source as it is written here.
    let source = include_str!("../../src/doors/api/mod.rs");
    let routed = source.split("strip_prefix(\"/api/v1\")").nth(1).unwrap().split("})").next().unwrap();
    let literals =
        routed.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/') && text.len() > 1);
    let mut routed: BTreeSet<String> = literals.map(|text| format!("/api/v1{text}")).collect();
    assert!(routed.len() > 5, "{routed:?}");
    // The one that is followed by a key.
    assert!(routed.remove("/api/v1/rooms/"));
    let forms = ["", ".txt", ".ics", ".svg", "/usual", "/occupancy"]
        .map(|form| format!("/api/v1/rooms/{{key}}{form}"));
    routed.extend(forms.into_iter().chain(["/api/v1/".into(), "/events".into()]));
    assert_eq!(routed, paths.iter().cloned().collect());

    let docs = ok(&daemon, "/api/v1/");
    assert_eq!(docs.media_type(), "text/html");
    for path in &paths {
        assert!(docs.text().contains(&format!("<code>{path}</code>")), "{path} is not in the page");
        let parameters =
            description["paths"][path]["get"]["parameters"].as_array().cloned().unwrap_or_default();
        for name in parameters.iter().filter_map(|parameter| parameter["name"].as_str()) {
            assert!(docs.text().contains(&format!("<dt><code>{name}</code></dt>")), "{path}: {name}");
        }
    }
}

#[test]
fn the_page_runs_nothing_and_asks_for_nothing() {
    let daemon = daemon();
    for path in ["/api/v1", "/api/v1/"] {
        let docs = ok(&daemon, path);
        let policy = docs.header("Content-Security-Policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("script"), "{policy}");
        for text in ["<script", "src=", "@import", "url(", "http-equiv", "<link"] {
            assert!(!docs.text().contains(text), "{text}");
        }
        assert!(docs.text().contains("content=\"light dark\""));
    }
    let response = daemon.ask(&Request::get("/api/v1/").header("Accept", "text/html"));
    assert_eq!(response.status, 200);
}
