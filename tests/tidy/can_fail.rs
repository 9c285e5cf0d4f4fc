//! Each rule finds what it forbids, in snippets; and what only looks like it, it does not.

use super::*;

/// A house of the given files, among bare rings that they can name.
fn house(files: &[(&str, &str)]) -> Vec<File> {
    let root = "//! root\npub mod core; pub mod doors; pub mod history; mod run; pub mod wire; pub use run::RunError;";
    let doors = "//! doors\npub mod http; pub mod ingest; pub mod joyce;";
    let mut all = vec![("src/lib.rs", root), ("src/doors/mod.rs", doors), ("src/doors/joyce.rs", "//! j")];
    all.retain(|(path, _)| files.iter().all(|(given, _)| given != path));
    all.extend(files);
    let owned = |(path, text): (&str, &str)| (path.to_owned(), text.to_owned());
    reader::read(&all.into_iter().map(owned).collect::<Vec<_>>())
}

fn one(path: &str, text: &str) -> Vec<File> {
    house(&[(path, text)])
}

#[track_caller]
fn found(breaches: &[String], expected: &[&str]) {
    let ends = |(breach, end): (&String, &&str)| breach.ends_with(*end);
    let all = breaches.len() == expected.len() && breaches.iter().zip(expected).all(ends);
    assert!(all, "{breaches:#?}\nexpected: {expected:#?}");
}

#[test]
fn an_arrow_is_seen_however_it_is_written() {
    let cases: [(&str, &[&str]); 14] = [
        ("use crate::history::Record;", &["names crate::history::Record"]),
        ("use crate::{core::pc, history::{self, a::B as C}};", &["crate::history", "crate::history::a::B"]),
        ("use super::super::hub::Hub;", &["names crate::hub::Hub"]),
        ("fn f() { crate::history::open(); }", &["names crate::history::open"]),
        ("fn f() -> Vec<super::super::hub::Hub> { g() }", &["names crate::hub::Hub"]),
        ("use crate::{self as all, core}; fn f() { all::hub::g(); }", &["names crate::hub::g"]),
        ("use crate as all; use all::hub as h; fn f() { h::g(); }", &["crate::hub", "crate::hub::g"]),
        ("mod inner { use super::super::super::hub; }", &["names crate::hub"]),
        ("mod inner { fn f() {} } use super::super::hub;", &["names crate::hub"]),
        ("use crate::RunError;", &["names crate::run::RunError"]),
        ("impl crate::hub::Recipient for A {}", &["names crate::hub::Recipient"]),
        ("fn f() { vec.push(crate::hub::g::<u8>()); }", &["names crate::hub::g"]),
        ("#[cfg(not(test))] use crate::hub;", &["names crate::hub"]),
        ("fn f<'a>(c: &'a char) { g('\"', '\\'', crate::hub::X) }", &["names crate::hub::X"]),
    ];
    for (text, expected) in cases {
        found(&arrows(&one("src/wire/a.rs", text), "wire"), expected);
    }
}

#[test]
fn what_is_no_arrow_is_none() {
    for text in [
        "use crate::core::pc::PcName; use super::b; use self::c::D;",
        "// use crate::hub;\n/* crate::hub::X /* nested */ crate::hub::Y */",
        "const A: &str = \"crate::hub::X\"; const B: &str = r#\"use crate::hub;\"\"#;",
        "/// See [`crate::hub::Hub`].\nfn f() {}",
        "#[cfg(test)] mod tests { use crate::hub::Hub; fn f() { crate::history::g() } }",
        "#[cfg(test)]\n#[allow(dead_code)]\npub(crate) fn f(a: [u8; 2]) -> [u8; 2] { crate::hub::g(a) }",
        "#[cfg(test)] use crate::{hub, history::{A}};",
        "struct A { #[cfg(test)] hub: crate::hub::Hub }",
        "fn f(hub: Hub) { hub.history::<u8>(); self.crate_hub(); }",
        "use std::sync::Arc; fn f() { hub::g(); }",
    ] {
        found(&arrows(&one("src/wire/a.rs", text), "wire"), &[]);
    }
    let text = "//! w\n#[cfg(test)]\nmod tests;\nfn f() {}";
    let tests = ("src/wire/tests.rs", "use crate::hub::Hub;");
    let deeper = ("src/wire/tests/deep.rs", "use crate::hub::Hub;");
    found(&arrows(&house(&[("src/wire/mod.rs", text), tests, deeper]), "wire"), &[]);
    // What follows what was set aside is read again, and has its line.
    let text = "#[cfg(test)]\nmod tests { fn f() {} }\nuse crate::hub::Hub;";
    found(&arrows(&one("src/wire/a.rs", text), "wire"), &["src/wire/a.rs:3: wire names crate::hub::Hub"]);
}

#[test]
fn each_ring_has_a_name_it_may_not_say() {
    for (ring, path, name) in [
        ("core", "src/core/a.rs", "wire"),
        ("wire", "src/wire/a.rs", "setup"),
        ("history", "src/history/a.rs", "hub"),
        ("hub", "src/hub.rs", "doors"),
        ("doors", "src/doors/a.rs", "history"),
        ("feeds", "src/feeds/a.rs", "history"),
        ("setup", "src/setup/a.rs", "wire"),
        ("client", "src/client/a.rs", "hub"),
        ("listeners", "src/listeners.rs", "hub"),
        ("shutdown", "src/shutdown.rs", "setup"),
        ("run", "src/run.rs", "client"),
        ("commands", "src/commands/a.rs", "hub"),
        ("lib", "src/lib.rs", "hub"),
        ("main", "src/main.rs", "hub"),
    ] {
        let text = format!("use tkbd::{name}::X;");
        found(&arrows(&one(path, &text), ring), &[&format!("{ring} names crate::{name}::X")]);
    }
}

#[test]
fn a_new_ring_needs_its_arrows() {
    found(&rings_without_arrows(&one("src/gadgets/mod.rs", "//! g")), &["is not in ARROWS"]);
}

#[test]
fn core_may_not_reach_out() {
    let dependencies = ["tokio", "serde", "rusqlite", "hyper", "tracing", "bytes"].map(str::to_owned);
    let names = |text| impurities(&one("src/core/a.rs", text), "core", &PURE_CRATES, &dependencies);
    found(&names("use std::{fmt, net::IpAddr, time::{Duration, SystemTime}};"), &["IpAddr", "SystemTime"]);
    found(&names("use std::time; fn f() { time::SystemTime::now(); }"), &["std::time::SystemTime::now"]);
    found(&names("fn f() { std::fs::read(p); tokio::spawn(g); }"), &["std::fs::read", "tokio::spawn"]);
    found(&names("fn f() { tracing::info!(a); ::std::env::var(b); }"), &["tracing::info", "std::env::var"]);
    found(&names("#[derive(Clone, serde::Serialize)] struct A;"), &["serde::Serialize"]);
    found(&names("use rusqlite; use hyper as h;"), &["rusqlite", "hyper"]);
    found(&names("use std::time::{Duration, Instant}; use bytes::Bytes; use std::io_like::A;"), &[]);
}

#[test]
fn a_door_may_not_know_another() {
    let names = |text| doors_that_know_doors(&one("src/doors/ingest.rs", text));
    found(&names("use super::joyce::Joyce;"), &["crate::doors::joyce::Joyce"]);
    found(
        &names("use crate::doors::{self, http}; fn f() { doors::joyce::g() }"),
        &["crate::doors::joyce::g"],
    );
    found(&names("use super::{Porch, http::Request}; use crate::wire::joyce::A;"), &[]);
    let shared = doors_that_know_doors(&one("src/doors/http/a.rs", "use super::super::joyce::Joyce;"));
    found(&shared, &["crate::doors::joyce::Joyce"]);
}

#[test]
fn a_command_may_not_be_called_from_within() {
    let text = "fn f() { crate::commands::execute() }";
    found(&callers_of_commands(&one("src/run.rs", text)), &["run names crate::commands::execute"]);
}

#[test]
fn json_may_not_be_written_elsewhere() {
    let names = |text| json_outside_wire(&one("src/doors/a.rs", text));
    found(&names("use serde::Serialize;"), &["serde::Serialize"]);
    found(&names("fn f() { serde_json::json!(1) }"), &["serde_json::json"]);
    found(&names(r##"const A: &str = r#"{ "error": 1}"#;"##), &["writes JSON by hand"]);
    found(&names(r#"const A: &str = "{\"error\":\"{}\"}";"#), &["writes JSON by hand"]);
    found(&names(r#"const A: &str = "the key {\"} is: bad";"#), &[]);
    found(&json_outside_wire(&one("src/wire/a.rs", "use serde::Serialize;")), &[]);
    // A provider reads its server's format, and who combines providers does not.
    let feeds = |path| json_outside_wire(&one(path, "use serde::Deserialize;"));
    found(&feeds("src/feeds/timetable/ruuster.rs"), &[]);
    found(&feeds("src/feeds/timetable/board.rs"), &["serde::Deserialize"]);
    found(&feeds("src/doors/ruuster.rs"), &["serde::Deserialize"]);
}

#[test]
fn a_lock_may_not_stand_elsewhere() {
    let names = |path| locks_elsewhere(&one(path, "use std::sync::{Arc, Mutex};"));
    found(&names("src/doors/a.rs"), &["std::sync::Mutex"]);
    found(&names("src/hub.rs"), &[]);
    found(&names("src/doors/http/session.rs"), &[]);
    found(&names("src/doors/http/socket.rs"), &["std::sync::Mutex"]);
    let qualified =
        one("src/history/a.rs", "use std::sync; struct A(sync::RwLock<u8>, tokio::sync::Mutex<u8>);");
    found(&locks_elsewhere(&qualified), &["std::sync::RwLock", "tokio::sync::Mutex"]);
}

#[test]
fn a_glob_may_not_stand_outside_tests() {
    found(&globs(&one("src/doors/a.rs", "use crate::hub::*;")), &["crate::hub::*"]);
    found(&globs(&one("src/doors/a.rs", "#[cfg(test)] mod tests { use super::*; }")), &[]);
}

#[test]
fn a_file_may_not_be_silent_long_or_unfinished() {
    let silent = files_that_do_not_say_what_they_are_for(&one("src/run.rs", "use std::fmt;\n"));
    found(&silent, &["src/run.rs: its first line is no `//! …`"]);
    let long = |lines| files_that_are_too_long(&one("src/run.rs", &"//! a\n".repeat(lines)));
    found(&long(LINES), &[]);
    found(&long(LINES + 1), &["501 lines; at most 500"]);
    let text = "fn f() { dbg!(a); b.todo(); todo!() } // unimplemented!()";
    found(&unfinished_work(&one("src/run.rs", text)), &["dbg!", "todo!"]);
}

#[test]
fn a_document_may_not_be_missing() {
    let missing = |text| documents_that_are_not_there(&one("src/run.rs", text), &["/docs/protocol.md"]);
    found(&missing("//! As in protocol.md.\n/// (docs/protocol.md, \"Push\")"), &[]);
    found(
        &missing("//! Says faults.md, C3.\n// a/protocol.md."),
        &["1: there is no faults.md", "2: there is no a/protocol.md"],
    );
}

#[test]
fn a_readme_may_not_forget() {
    let commands = commands_of("  run cargo test --locked\nrun curl x\ncargo fmt\n");
    assert_eq!(commands, ["cargo test --locked"]);
    found(&not_in("…", &commands), &["README.md does not name `cargo test --locked`"]);
    found(&not_in("Say `cargo test --locked`.", &commands), &[]);
}
