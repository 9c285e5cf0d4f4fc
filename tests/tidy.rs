//! The rules of the house that no compiler checks: which ring may name which, and how files look.
//!
//! The arrows are those of ARCHITECTURE.md. A rule is a function from files to breaches, so that below
//! each is also shown to find what it forbids.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "tidy/can_fail.rs"]
mod can_fail;
#[path = "tidy/reader.rs"]
mod reader;

use reader::{File, Token};
use std::fs;
use std::path::{Path, PathBuf};

/// Which rings of ours each ring may name, besides itself. A new ring gets its line here first.
const ARROWS: [(&str, &[&str]); 16] = [
    ("core", &[]),
    // All tell it how they are doing, and it asks nobody.
    ("health", &[]),
    ("wire", &["core"]),
    ("history", &["core", "health"]),
    ("hub", &["core", "health", "history"]),
    // What people see, of core types: told the time, as core is.
    ("page", &["core", "wire"]),
    ("doors", &["core", "health", "wire", "hub", "page"]),
    // A mirror is a client of its master.
    ("feeds", &["core", "health", "wire", "hub", "client"]),
    ("setup", &["core"]),
    ("client", &["core", "wire"]),
    // What puts the daemon together.
    // What a socket is for is said by who hands it over, too.
    ("listeners", &["setup", "wire"]),
    ("shutdown", &["hub", "doors"]),
    (
        "run",
        &["core", "wire", "health", "history", "hub", "doors", "feeds", "setup", "listeners", "shutdown"],
    ),
    ("commands", &["core", "wire", "client", "feeds", "setup", "listeners", "run"]),
    ("lib", &["listeners", "run"]),
    ("main", &["commands"]),
];

/// What `core` may name of others. All of it computes, and does no I/O.
const PURE_CRATES: [&str; 5] = ["std", "bytes", "regex", "smol_str", "thiserror"];

/// What `page` may name: times are chrono's there, but nobody asks it for the present one.
const PAGE_CRATES: [&str; 6] =
    ["std", "askama", "chrono", "chrono_tz", "percent_encoding", "unicode_normalization"];

/// What of `std` is not pure.
const IMPURE: [&str; 11] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::sync::mpsc",
    "std::thread",
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
    "std::path",
];

/// What several doors share.
const SHARED_BY_DOORS: [&str; 1] = ["http"];

/// The longest that a file may be.
const LINES: usize = 500;

/// Names outside the arrows that start in `ring`.
fn arrows(files: &[File], ring: &str) -> Vec<String> {
    let (_, may) = ARROWS.iter().find(|(of, _)| *of == ring).expect("a ring with arrows");
    named_in(files, ring, |file, path| {
        path.ring().is_some_and(|to| to != file.ring() && to != "*" && !may.contains(&to))
    })
}

fn rings_without_arrows(files: &[File]) -> Vec<String> {
    let unknown = |file: &&File| !ARROWS.iter().any(|(ring, _)| *ring == file.ring());
    files.iter().filter(unknown).map(|file| format!("{}: this ring is not in ARROWS", file.path)).collect()
}

fn impurities(files: &[File], ring: &str, crates: &[&str], dependencies: &[String]) -> Vec<String> {
    named_in(files, ring, |_, path| {
        let root = path.segments[0].as_str();
        let text = path.text();
        let foreign = root == "std" || dependencies.iter().any(|name| name == root);
        foreign && !crates.contains(&root)
            || IMPURE.iter().any(|module| text == *module || text.starts_with(&format!("{module}::")))
    })
}

fn doors_that_know_doors(files: &[File]) -> Vec<String> {
    let door = |path: &str| {
        let path = path.strip_prefix("src/doors/")?;
        path.split('/').next().map(|door| door.trim_end_matches(".rs").to_owned())
    };
    let doors: Vec<String> = files.iter().filter_map(|file| door(&file.path)).collect();
    named_in(files, "doors", |file, path| {
        let own = door(&file.path).unwrap_or_default();
        let [root, ring, other, ..] = path.segments.as_slice() else { return false };
        own != "mod"
            && (root.as_str(), ring.as_str()) == ("crate", "doors")
            && (*other != own && doors.contains(other) && !SHARED_BY_DOORS.contains(&other.as_str()))
    })
}

/// Only the program runs a command.
fn callers_of_commands(files: &[File]) -> Vec<String> {
    breaches(files, |file, path| {
        path.ring() == Some("commands") && !matches!(file.ring(), "commands" | "main")
    })
}

fn json_outside_wire(files: &[File]) -> Vec<String> {
    let foreign = ["serde", "serde_json", "rmp_serde"];
    let mut found =
        breaches(files, |file, path| !speaks_formats(file) && foreign.contains(&path.segments[0].as_str()));
    for file in files.iter().filter(|file| !speaks_formats(file)) {
        for (token, line) in &file.tokens {
            if let Token::Text(text) = token
                && names_a_key(text)
            {
                found.push(format!("{}:{line}: {} writes JSON by hand", file.path, file.ring()));
            }
        }
    }
    found
}

/// Whether formats have their place in a file: ours in `wire`, and each server's own in the one file of its provider,
/// since nobody else ever speaks it.
fn speaks_formats(file: &File) -> bool {
    const PROVIDERS: [&str; 3] = ["file.rs", "mytimetable.rs", "ruuster.rs"];
    let provider = file.path.strip_prefix("src/feeds/timetable/");
    file.ring() == "wire" || provider.is_some_and(|name| PROVIDERS.contains(&name))
}

/// Whether a string holds the beginning of a JSON object: `{"key":`.
fn names_a_key(text: &str) -> bool {
    let compact: String = text.split_whitespace().collect();
    compact.split("{\"").skip(1).any(|rest| {
        let key = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        key.len() < rest.len() && key.starts_with("\":")
    })
}

/// The one lock of the state is that of the hub. A TLS session is one thing for both directions of a connection, and has
/// a lock of its own, which nobody else takes and nobody waits for who publishes.
const LOCKS: [&str; 2] = ["src/hub.rs", "src/doors/http/session.rs"];

fn locks_elsewhere(files: &[File]) -> Vec<String> {
    breaches(files, |file, path| {
        let lock = |name: &String| matches!(name.as_str(), "Mutex" | "RwLock" | "Condvar" | "parking_lot");
        let foreign = path.segments.first().is_some_and(|root| root != "crate");
        !LOCKS.contains(&file.path.as_str()) && foreign && path.segments.iter().any(lock)
    })
}

/// Through a glob more comes than the rules above can see.
fn globs(files: &[File]) -> Vec<String> {
    breaches(files, |_, path| path.segments.last().is_some_and(|last| last == "*"))
}

fn files_that_do_not_say_what_they_are_for(files: &[File]) -> Vec<String> {
    let silent = |file: &&File| !file.text.starts_with("//! ");
    files.iter().filter(silent).map(|file| format!("{}: its first line is no `//! …`", file.path)).collect()
}

fn files_that_are_too_long(files: &[File]) -> Vec<String> {
    let lines = files.iter().map(|file| (file, file.text.lines().count()));
    lines
        .filter(|(_, lines)| *lines > LINES)
        .map(|(file, lines)| format!("{}: {lines} lines; at most {LINES}", file.path))
        .collect()
}

/// Documents that a file sends its readers to, and that do not come along.
fn documents_that_are_not_there(files: &[File], documents: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (line, text) in file.text.lines().enumerate() {
            let words =
                text.split(|letter: char| !letter.is_ascii_alphanumeric() && !"./_-".contains(letter));
            for word in words.map(|word| word.trim_end_matches('.')).filter(|word| word.ends_with(".md")) {
                if !documents.iter().any(|document| document.ends_with(word)) {
                    found.push(format!("{}:{}: there is no {word}", file.path, line + 1));
                }
            }
        }
    }
    found
}

fn unfinished_work(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for pair in file.tokens.windows(2) {
            if let [(Token::Word(word), line), (Token::Mark('!'), _)] = pair
                && matches!(word.as_str(), "todo" | "unimplemented" | "dbg")
            {
                found.push(format!("{}:{line}: {word}!", file.path));
            }
        }
    }
    found
}

/// What `.ci/run` runs that can be run by hand as it stands: its lines `run cargo …`.
fn commands_of(script: &str) -> Vec<String> {
    let commands = script.lines().filter_map(|line| line.trim().strip_prefix("run "));
    commands.filter(|command| command.starts_with("cargo ")).map(str::to_owned).collect()
}

fn not_in(readme: &str, wanted: &[String]) -> Vec<String> {
    let missing = wanted.iter().filter(|text| !readme.contains(text.as_str()));
    missing.map(|text| format!("README.md does not name `{text}`")).collect()
}

fn named_in(files: &[File], ring: &str, is_breach: impl Fn(&File, &reader::Path) -> bool) -> Vec<String> {
    breaches(files, |file, path| file.ring() == ring && is_breach(file, path))
}

fn breaches(files: &[File], is_breach: impl Fn(&File, &reader::Path) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for path in file.names.iter().filter(|path| is_breach(file, path)) {
            found.push(format!("{}:{}: {} names {}", file.path, path.line, file.ring(), path.text()));
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below `src`, as they are.
fn ours() -> Vec<File> {
    let mut texts = Vec::new();
    let mut directories = vec![root().join("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                texts.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    texts.sort();
    assert!(texts.len() > 20, "the files are not where they are looked for");
    reader::read(&texts)
}

fn dependencies() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_")).collect()
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("README.md")
}

#[track_caller]
fn none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn core_names_nothing_of_the_crate_but_core() {
    none(&arrows(&ours(), "core"));
}

#[test]
fn core_names_nothing_that_does_io_or_tells_the_time() {
    none(&impurities(&ours(), "core", &PURE_CRATES, &dependencies()));
}

#[test]
fn what_people_see_is_made_of_core_types_without_io_or_a_clock() {
    none(&[arrows(&ours(), "page"), impurities(&ours(), "page", &PAGE_CRATES, &dependencies())].concat());
}

#[test]
fn wire_names_core_alone_and_history_besides_only_where_it_tells_how_it_is() {
    none(&[arrows(&ours(), "wire"), arrows(&ours(), "history"), arrows(&ours(), "health")].concat());
}

#[test]
fn the_hub_names_core_health_and_history_alone() {
    none(&arrows(&ours(), "hub"));
}

#[test]
fn doors_and_feeds_reach_the_history_through_the_hub_alone() {
    none(&[arrows(&ours(), "doors"), arrows(&ours(), "feeds")].concat());
}

#[test]
fn no_door_names_another_door() {
    none(&doors_that_know_doors(&ours()));
}

#[test]
fn the_setup_names_core_alone() {
    none(&arrows(&ours(), "setup"));
}

#[test]
fn a_client_knows_the_wire_and_nothing_of_the_daemon() {
    none(&arrows(&ours(), "client"));
}

#[test]
fn a_command_reaches_the_daemon_through_its_front_door() {
    none(&arrows(&ours(), "commands"));
}

#[test]
fn nothing_but_the_program_names_a_command() {
    none(&callers_of_commands(&ours()));
}

#[test]
fn what_puts_the_daemon_together_keeps_to_its_part() {
    let files = ours();
    none(&["listeners", "shutdown", "run", "lib", "main"].map(|ring| arrows(&files, ring)).concat());
}

#[test]
fn every_ring_has_its_arrows_written_down() {
    none(&rings_without_arrows(&ours()));
}

#[test]
fn only_wire_names_a_json_key() {
    none(&json_outside_wire(&ours()));
}

#[test]
fn only_the_hub_and_a_tls_session_lock() {
    none(&locks_elsewhere(&ours()));
}

#[test]
fn only_tests_import_by_glob() {
    none(&globs(&ours()));
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    none(&files_that_do_not_say_what_they_are_for(&ours()));
}

#[test]
fn no_file_is_longer_than_a_reader_s_patience() {
    none(&files_that_are_too_long(&ours()));
}

#[test]
fn a_reader_is_sent_to_documents_that_are_there() {
    let documents = [
        "/ARCHITECTURE.md",
        "/README.md",
        "/docs/operations.md",
        "/docs/performance.md",
        "/docs/protocol.md",
        "/docs/reliability.md",
        "/src/page/design/README.md",
    ];
    for document in documents {
        assert!(root().join(document.trim_start_matches('/')).is_file(), "{document}");
    }
    none(&documents_that_are_not_there(&ours(), &documents));
}

#[test]
fn nothing_unfinished_is_left_in() {
    none(&unfinished_work(&ours()));
}

#[test]
fn the_readme_names_the_commands_that_ci_runs() {
    let script = fs::read_to_string(root().join(".ci/run")).unwrap();
    let commands = commands_of(&script);
    assert!(commands.iter().any(|command| command.starts_with("cargo test")), "{commands:?}");
    none(&not_in(&readme(), &[commands, vec![".ci/run".to_owned()]].concat()));
}

#[test]
fn the_readme_names_every_setup_that_comes_along() {
    let file = |path: PathBuf| format!("setups/{}", path.file_name().unwrap().to_str().unwrap());
    let setups = fs::read_dir(root().join("setups")).unwrap().map(|entry| file(entry.unwrap().path()));
    none(&not_in(&readme(), &setups.collect::<Vec<_>>()));
}
