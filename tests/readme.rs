//! README.md and docs/protocol.md cannot lie: what they tell the reader to type is typed here, and what they say it
//! prints must be what it prints.
//!
//! A code block is taken part in by an HTML comment above it:
//!
//! - `start`, `restart`: the daemon starts with the default setup; it stops and starts anew
//! - `run`, `fails`: each line is a command, which has to succeed, or to fail; ` &` and `wait` are as in a shell
//! - `prints`: what the block before it prints, in any order; `…` stands for anything
//! - `file NAME`: the block is a file in the directory in which the commands run
//!
//! Ports are those of the daemon under test. The requests of `curl` are made by this file itself, so that the test needs no
//! program but ours; a `curl` line that says more than we know fails the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Client, Daemon, Request, run_to_end};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;

#[test]
fn what_the_readme_says_to_type_prints_what_it_says() {
    assert!(follow(&read("README.md")) >= 10, "the README has its commands");
}

#[test]
fn what_the_protocol_says_to_type_prints_what_it_says() {
    assert!(follow(&read("docs/protocol.md")) >= 3, "the protocol has its examples");
}

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

// ----------------------------------------------------------------------------------------------------- the document

#[derive(Debug)]
struct Block {
    /// The words of the comment.
    mark: Vec<String>,
    /// Empty for `restart`.
    text: String,
    line: usize,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(mark) = line.strip_prefix("<!-- readme: ").and_then(|rest| rest.strip_suffix(" -->")) else {
            continue;
        };
        let mark: Vec<String> = mark.split(' ').map(str::to_owned).collect();
        let mut text = String::new();
        if mark != ["restart"] {
            let (_, fence) = lines.next().unwrap();
            assert!(fence.starts_with("```"), "line {}: a code block follows its comment", at + 2);
            for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
                text.push_str(line);
                text.push('\n');
            }
        }
        blocks.push(Block { mark, text, line: at + 1 });
    }
    blocks
}

/// Does what a document says; answers how many commands there were.
fn follow(text: &str) -> usize {
    let mut daemon: Option<Daemon> = None;
    let mut printed: Option<Vec<String>> = None;
    let mut commands = 0;
    for block in blocks(text) {
        let mark: Vec<&str> = block.mark.iter().map(String::as_str).collect();
        match mark[..] {
            ["start"] => {
                assert_eq!(block.text, "cargo run --release\n", "line {}", block.line);
                daemon = Some(Daemon::start(&[]));
            }
            ["restart"] => daemon.as_mut().unwrap().restart(),
            ["run" | "fails"] => {
                let daemon = daemon.as_ref().unwrap_or_else(|| panic!("line {}: no daemon", block.line));
                commands += block.text.lines().count();
                printed = Some(type_in(&block.text, daemon, mark == ["run"]));
            }
            ["prints"] => {
                let printed = printed.take().unwrap_or_else(|| panic!("line {}: nothing ran", block.line));
                assert_printed(&block, &printed);
            }
            ["file", name] => {
                std::fs::write(daemon.as_ref().unwrap().dir().join(name), &block.text).unwrap();
            }
            _ => panic!("line {}: what is {mark:?}?", block.line),
        }
    }
    commands
}

// ------------------------------------------------------------------------------------------------------ the commands

/// Runs the lines of a block; answers what each printed.
fn type_in(lines: &str, daemon: &Daemon, succeeds: bool) -> Vec<String> {
    let mut printed = Vec::new();
    let mut behind: Vec<JoinHandle<String>> = Vec::new();
    for line in lines.lines() {
        if line == "wait" {
            printed.extend(behind.drain(..).map(|job| job.join().unwrap()));
            continue;
        }
        let (line, in_background) = match line.strip_suffix(" &") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let words = words(line);
        match words[0].as_str() {
            "curl" => {
                let (address, request) = curl(&words[1..], daemon);
                let ask = move || Client::connect(address).exchange(&request).text().to_owned();
                if in_background {
                    behind.push(std::thread::spawn(ask));
                } else {
                    printed.push(ask());
                }
            }
            "tkbd" if !in_background => {
                let arguments = arguments(&words[1..], daemon);
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let (code, out, err) = run_to_end(daemon.dir(), &arguments);
                assert_eq!(code == Some(0), succeeds, "{line}: {code:?}\n{out}{err}");
                printed.push(out + &err);
            }
            other => panic!("{other} is neither curl nor tkbd: {line}"),
        }
    }
    assert!(behind.is_empty(), "what runs in the background is waited for");
    printed
}

/// The words of a command line, with `'…'` as in a shell.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ if quoted || !"\"\\$`|<>;&(){}*?~#!".contains(c) => words.last_mut().unwrap().push(c),
            _ => panic!("a shell would not take this {c:?} as it stands: {line}"),
        }
    }
    assert!(!quoted, "a quote is open: {line}");
    words.retain(|word| !word.is_empty());
    words
}

/// The request that `curl` would make, and to where.
fn curl(words: &[String], daemon: &Daemon) -> (SocketAddr, Request) {
    let (mut url, mut body, mut headers) = (None, None, Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            // Quietly; and braces in the URL mean themselves, which they always do here.
            "-s" | "-g" | "-sg" => {}
            "-d" => body = Some(words.next().unwrap().clone()),
            "-H" => headers.push(words.next().unwrap().clone()),
            option if option.starts_with('-') => panic!("curl {option} is not known here"),
            _ => assert!(url.replace(word.clone()).is_none(), "two URLs"),
        }
    }
    let url = url.expect("curl has a URL");
    let rest = url.strip_prefix("http://").expect("a URL begins with http://");
    let (host, target) = rest.split_at(rest.find('/').expect("a URL has a path"));
    let address = match host {
        "localhost:8080" => daemon.joyce(),
        "localhost:1235" => daemon.push_port(),
        _ => panic!("{host} is no port of the daemon"),
    };
    assert!(!target.contains(' '), "curl refuses a URL with a blank in it: {target}");
    let mut request = if body.is_some() { Request::post(target) } else { Request::get(target) };
    request = request
        .host(host)
        .header("User-Agent", "curl/8")
        .header("Accept", "*/*")
        .header("Connection", "close");
    let mut is_typed = false;
    for header in headers {
        let (name, value) = header.split_once(": ").expect("a header is NAME: VALUE");
        is_typed |= name.eq_ignore_ascii_case("Content-Type");
        request = request.header(name, value);
    }
    if let Some(body) = body {
        if !is_typed {
            request = request.header("Content-Type", "application/x-www-form-urlencoded");
        }
        request = request.body(body);
    }
    (address, request)
}

/// The arguments of `tkbd`, with the ports of the daemon under test where the default ones are meant.
fn arguments(words: &[String], daemon: &Daemon) -> Vec<String> {
    let mut arguments = words.to_vec();
    match words[0].as_str() {
        "push" => arguments.extend(["--to".to_owned(), format!("http://{}", daemon.push_port())]),
        "watch" => arguments.push(format!("http://{}", daemon.joyce())),
        _ => {}
    }
    arguments
}

// -------------------------------------------------------------------------------------------------- what is printed

fn assert_printed(block: &Block, printed: &[String]) {
    let whole = printed.join("\n");
    let told = format!("line {}: it says\n{}but it is\n{whole}", block.line, block.text);
    let (Some(expected), Some(mut got)) = (values(&block.text), values(&whole)) else {
        assert!(is_like(block.text.trim_end(), whole.trim_end()), "{told}");
        return;
    };
    // In any order: what runs in the background is done when it is done.
    for value in &expected {
        let at = got.iter().position(|other| fits(value, other));
        got.remove(at.unwrap_or_else(|| panic!("{told}")));
    }
    assert!(got.is_empty(), "{told}");
}

/// The JSON values one after another that a text is; none where it is anything else.
fn values(text: &str) -> Option<Vec<Value>> {
    serde_json::Deserializer::from_str(text).into_iter::<Value>().collect::<Result<_, _>>().ok()
}

fn fits(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::String(text), Value::String(other)) => is_like(text, other),
        (Value::Array(list), Value::Array(other)) => {
            list.len() == other.len() && list.iter().zip(other).all(|(one, two)| fits(one, two))
        }
        (Value::Object(keys), Value::Object(other)) => {
            let more = keys.contains_key("…");
            let mut named = keys.iter().filter(|(key, _)| *key != "…");
            (more || keys.len() == other.len())
                && named.all(|(key, value)| other.get(key).is_some_and(|other| fits(value, other)))
        }
        (Value::Number(number), Value::Number(other)) if is_time(number) => is_time(other),
        _ => expected == got,
    }
}

/// Whether a number is a moment of these years; no version or count is that high.
fn is_time(number: &serde_json::Number) -> bool {
    number.as_i64().is_some_and(|seconds| seconds > 1_500_000_000)
}

/// Whether `got` is `expected`, in which `…` stands for anything.
fn is_like(expected: &str, got: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| got.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn what_is_printed_is_compared_with_ellipses_and_any_time() {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for (expected, got, same) in [
        (r#"["…", 1]"#, r#"["token", 1]"#, true),
        (r#"["…", 1]"#, r#"["token", 2]"#, false),
        (r#"{"a": 1, "…": "…"}"#, r#"{"a": 1, "b": 2}"#, true),
        (r#"{"a": 1}"#, r#"{"a": 1, "b": 2}"#, false),
        (r#"{"a": 1, "…": "…"}"#, r#"{"b": 2}"#, false),
        ("[1600000000]", "[1795337593]", true),
        ("[1600000000]", "[7]", false),
    ] {
        assert_eq!(fits(&json(expected), &json(got)), same, "{expected} {got}");
    }
    for (expected, got, same) in [
        ("a", "a", true),
        ("a…c…", "abcd", true),
        ("a…d", "abc", false),
        ("…a…", "b", false),
        ("a", "ab", false),
    ] {
        assert_eq!(is_like(expected, got), same, "{expected} {got}");
    }
}
