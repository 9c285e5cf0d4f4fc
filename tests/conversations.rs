//! The recorded conversations of the original with its clients, replayed: 179 requests and what each must get now.
//!
//! `data/conversations.jsonl` is one step a line. `do` is what happens: `exchange` (a request and its answer), `hold` (a
//! request that is not waited for) and later `answer` or `leave` by the same `name`; `channel` (a client makes one, known as
//! `token` from then on, with a `filter` for everything or the filters of `set`), `push` (`data` is PC → entry) and `settle` (what was
//! sent has been seen). Steps of one `daemon` are in order and meet the same daemon. Where `expect` is not what the
//! original answered, `why` says so. `$any` stands for anything, `$new` for a token of the daemon's, `{"$rows": n}` for n
//! rows of the history of `seed.push`, `$x5000$` for that many x.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Channel, Client, Daemon, Request, Response, everything, filter, get, percent};
use serde_json::{Value, json};

const STEPS: &str = include_str!("data/conversations.jsonl");

/// What `seed.push` makes of its PCs.
const SEED: [(&str, &str); 10] = [
    ("hg075pc01", "wf"),
    ("hg075pc02", "lu"),
    ("hg075pc47", "o"),
    ("hg201pc01", "wx"),
    ("bibpc44", "x"),
    ("infopc04", "lf"),
    ("hg137pc00docent", "wu"),
    ("cz0068pc01", "wu"),
    ("hg999pc01", "wf"),
    ("printer7", "o"),
];

fn steps() -> Vec<Value> {
    STEPS.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Replays what `daemon` names, against a daemon of its own.
fn replay(name: &str, sets: &[&str]) {
    let mut stage = Stage::new(Daemon::start(sets));
    let steps = steps();
    let of_it: Vec<&Value> = steps.iter().filter(|step| step["daemon"] == name).collect();
    assert!(!of_it.is_empty());
    let mut wrong = Vec::new();
    for step in of_it {
        // One wrong answer should not hide the next.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.play(step))).is_err() {
            wrong.push(step["name"].to_string());
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {}", wrong.len(), wrong.join(", "));
    assert!(stage.held.is_empty(), "a held request was never looked at");
}

#[test]
fn requests_that_stand_alone() {
    replay("fresh", &["http.hold=300ms"]);
}

#[test]
fn several_messages_in_one_request() {
    replay("multi", &["http.hold=300ms"]);
    replay("first", &["http.hold=300ms"]);
    replay("multi_held", &["http.hold=300ms"]);
    replay("nested", &["http.hold=300ms"]);
}

#[test]
fn two_and_three_requests_held_at_once() {
    replay("held_two_gets", &["http.hold=300ms"]);
    replay("held_msg", &["http.hold=300ms"]);
    replay("held_setfilter", &[]);
}

#[test]
fn a_client_that_leaves_and_one_that_is_slow() {
    replay("disconnect", &[]);
    replay("queue", &[]);
}

#[test]
fn holds_that_time_out_and_channels_left_alone() {
    replay("hold", &["http.hold=300ms"]);
    replay("expire", &["http.hold=300ms"]);
}

#[test]
fn filters_snapshots_and_history_over_the_seeded_state() {
    replay("seeded", &["http.hold=300ms"]);
}

#[test]
fn every_recorded_request_is_replayed_or_explained() {
    let steps = steps();
    let played = [
        "fresh",
        "multi",
        "first",
        "multi_held",
        "nested",
        "held_two_gets",
        "held_msg",
        "held_setfilter",
        "disconnect",
        "queue",
        "hold",
        "expire",
        "seeded",
    ];
    assert!(steps.iter().all(|step| played.iter().any(|name| step["daemon"] == *name)));
    let names: BTreeSet<&str> = steps.iter().filter_map(|step| step["name"].as_str()).collect();
    assert_eq!(names.len(), 179);
    for step in steps.iter().filter(|step| step["name"].is_string() && step["do"] == "hold") {
        let seen_to = |other: &Value| {
            other["name"] == step["name"] && (other["do"] == "answer" || other["do"] == "leave")
        };
        assert!(steps.iter().any(seen_to), "{step}");
    }
}

struct Stage {
    daemon: Daemon,
    /// Label → token, of the channels so far.
    tokens: BTreeMap<String, String>,
    held: BTreeMap<String, Client>,
}

impl Stage {
    fn new(daemon: Daemon) -> Stage {
        Stage { daemon, tokens: BTreeMap::new(), held: BTreeMap::new() }
    }

    fn play(&mut self, step: &Value) {
        let name = step["name"].as_str().unwrap_or_default().to_owned();
        match step["do"].as_str().unwrap() {
            "exchange" => {
                let mut client = self.connect(step);
                client.send_what_is_taken(&self.request(step).bytes());
                self.compare(step, &answer(&mut client, step, &name));
            }
            "hold" => {
                let mut client = self.connect(step);
                client.send(&self.request(step).bytes());
                self.held.insert(name, client);
            }
            "answer" => {
                let mut client = self.held.remove(&name).unwrap();
                self.compare(step, &answer(&mut client, step, &name));
            }
            "leave" => drop(self.held.remove(&name).unwrap()),
            "channel" => {
                let mut channel = Channel::new(&self.daemon);
                let set = match (step.get("filter"), step.get("set")) {
                    (Some(Value::Null), _) => Some(everything()),
                    (Some(of), _) => Some(filter(of)),
                    (_, Some(set)) => {
                        let mut set = set.clone();
                        set["type"] = json!("set_msgFilter");
                        Some(set)
                    }
                    _ => None,
                };
                if let Some(set) = set {
                    assert_eq!(common::types(&channel.ask(&json!([set, get("tag_names")]))), ["tags"]);
                }
                self.tokens.insert(step["token"].as_str().unwrap().to_owned(), channel.token().to_owned());
            }
            "push" => self.daemon.push("conversation", &step["data"]),
            "settle" => self.daemon.settle(),
            other => panic!("what is {other}?"),
        }
    }

    fn connect(&self, step: &Value) -> Client {
        if step["door"] == "push" { self.daemon.connect_push() } else { self.daemon.connect() }
    }

    fn request(&self, step: &Value) -> Request {
        let target = self.live(step["target"].as_str().unwrap());
        let mut request = Request::new(step["method"].as_str().unwrap(), &target);
        if let Some(version) = step["version"].as_str() {
            request = request.version(version);
        }
        for header in step["headers"].as_array().into_iter().flatten() {
            request = request.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
        }
        match step["body"].as_str() {
            Some(body) => request.body(self.live(body)),
            None => request,
        }
    }

    /// The text with live tokens in the place of labels.
    fn live(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut labels: Vec<(&String, &String)> = self.tokens.iter().collect();
        labels.sort_by_key(|(label, _)| std::cmp::Reverse(label.len()));
        for (label, token) in labels {
            text = text.replace(label.as_str(), &percent(token));
        }
        if let Some((before, rest)) = text.clone().split_once("$x") {
            let (count, after) = rest.split_once('$').unwrap();
            text = format!("{before}{}{after}", "x".repeat(count.parse().unwrap()));
        }
        text
    }

    fn compare(&mut self, step: &Value, response: &Response) {
        let (expect, name) = (&step["expect"], &step["name"]);
        let statuses = match &expect["status"] {
            Value::Array(any) => any.clone(),
            one => vec![one.clone()],
        };
        assert!(statuses.contains(&json!(response.status)), "{name}: {response:?} is not {expect}");
        if let Some(text) = expect["text"].as_str() {
            assert_eq!(response.text().trim_end(), text, "{name}");
        }
        for (header, value) in expect["headers"].as_object().into_iter().flatten() {
            let got =
                response.header(header).unwrap_or_else(|| panic!("{name}: no {header} in {response:?}"));
            let list = |text: &str| text.split(',').map(|s| s.trim().to_owned()).collect::<BTreeSet<_>>();
            assert_eq!(list(got), list(value.as_str().unwrap()), "{name}: {header}");
        }
        let Some(expected) = expect["reply"].as_array() else { return };
        let reply = match expect["callback"].as_str() {
            Some(callback) => response.jsonp(callback),
            None => response.json(),
        };
        let token = reply[0].as_str().unwrap_or_else(|| panic!("{name}: {reply}"));
        let expected_token = expected[0].as_str().unwrap();
        match self.tokens.get(expected_token) {
            Some(live) => assert_eq!(token, live, "{name}"),
            None if expected_token == "$new" => {}
            None => assert_eq!(token, expected_token, "{name}"),
        }
        if let Some(label) = step["keep"].as_str() {
            self.tokens.insert(label.to_owned(), token.to_owned());
        }
        let messages = common::messages_of(token, &reply);
        if expected[1] == "$any" {
            return;
        }
        let expected = expected[1].as_array().unwrap();
        let same = if expect["any_order"] == true {
            messages.len() == expected.len() && expected.iter().all(|e| messages.iter().any(|m| alike(e, m)))
        } else {
            messages.len() == expected.len() && expected.iter().zip(&messages).all(|(e, m)| alike(e, m))
        };
        assert!(
            same,
            "{name} ({}):\n expected {}\n      got {}",
            step["why"],
            json!(expected),
            json!(messages)
        );
    }
}

fn answer(client: &mut Client, step: &Value, name: &str) -> Response {
    match client.try_receive(step["method"] == "HEAD") {
        Ok(Some(response)) => response,
        other => panic!("{name}: no answer but {other:?}"),
    }
}

/// Whether this message is the expected one: as JSON, the order inside lists aside.
fn alike(expected: &Value, got: &Value) -> bool {
    if *expected == "$any" {
        return true;
    }
    match (expected, got) {
        (Value::Object(expected), Value::Array(rows)) if expected.contains_key("$rows") => {
            let seen: BTreeSet<&str> = rows.iter().filter_map(|row| row[0].as_str()).collect();
            let of_the_seed = |row: &Value| {
                let (pc, state) = (row[0].as_str().unwrap_or_default(), row[3].as_str().unwrap_or_default());
                row[1] == "seed" && row[2].is_i64() && SEED.contains(&(pc, state))
            };
            json!(rows.len()) == expected["$rows"] && seen.len() == rows.len() && rows.iter().all(of_the_seed)
        }
        (Value::Object(expected), Value::Object(got)) => {
            expected.len() == got.len()
                && expected.iter().all(|(key, value)| got.get(key).is_some_and(|other| alike(value, other)))
        }
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len()
                && expected.iter().all(|value| got.iter().any(|other| alike(value, other)))
                && got.iter().all(|other| expected.iter().any(|value| alike(value, other)))
        }
        _ => expected == got,
    }
}
