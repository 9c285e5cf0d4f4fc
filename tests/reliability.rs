//! docs/reliability.md says which test proves which promise; here it is seen that it does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every row that there must be, by the letter of its part and how many there are.
const ROWS: [(char, usize); 10] =
    [('C', 15), ('P', 10), ('J', 2), ('S', 3), ('K', 1), ('D', 9), ('M', 4), ('T', 3), ('O', 9), ('F', 7)];

/// A test: the file that it stands in, and its name.
type Test = (String, String);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of the document: what stands behind an ID, and the tests that are named there.
fn listed() -> BTreeMap<String, Vec<Test>> {
    let text = std::fs::read_to_string(root().join("docs/reliability.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, _, named] = cells[..] else { continue };
        if !is_id(id) {
            continue;
        }
        let tests = named.split("<br>").map(|test| {
            let (file, name) =
                test.trim().trim_matches('`').split_once("::").unwrap_or_else(|| panic!("{line}: {test:?}"));
            (file.to_owned(), name.to_owned())
        });
        assert!(rows.insert(id.to_owned(), tests.collect()).is_none(), "{id} stands twice");
    }
    rows
}

fn is_id(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|letter| ROWS.iter().any(|(part, _)| *part == letter))
        && !letters.as_str().is_empty()
        && letters.as_str().bytes().all(|byte| byte.is_ascii_digit())
}

/// All tests of the project that are run, of the library and of `tests`.
fn tests() -> BTreeSet<Test> {
    let mut files = Vec::new();
    for place in ["src", "tests", "benches", "contrib"] {
        collect(&root().join(place), &mut files);
    }
    let mut tests = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let place = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            match name.and_then(|name| name.split_once('(')) {
                Some((name, _)) if is_test => {
                    tests.insert((place.clone(), name.to_owned()));
                    is_test = false;
                }
                Some(_) => is_test = false,
                // Other attributes and comments may stand between.
                None if line.starts_with("#[ignore") => is_test = false,
                None if line == "#[test]" || line.starts_with("#[tokio::test") => is_test = true,
                None => {}
            }
        }
    }
    tests
}

fn collect(place: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn every_promise_is_listed_with_a_test_that_there_is() {
    let (listed, tests) = (listed(), tests());
    let mut wrong = Vec::new();
    for (part, count) in ROWS {
        for number in 1..=count {
            let id = format!("{part}{number}");
            match listed.get(&id) {
                None => wrong.push(format!("{id} is not listed")),
                Some(named) if named.is_empty() => wrong.push(format!("{id} has no test")),
                Some(named) => {
                    let gone = named.iter().filter(|test| !tests.contains(test));
                    wrong.extend(gone.map(|(file, name)| format!("{id}: there is no test {name} in {file}")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_that_bears_an_id_is_listed_under_it() {
    let listed = listed();
    let mut wrong = Vec::new();
    for (file, name) in tests() {
        let ids = name.split('_').map(str::to_uppercase).take_while(|part| is_id(part));
        for id in ids {
            if !listed.get(&id).is_some_and(|named| named.contains(&(file.clone(), name.clone()))) {
                wrong.push(format!("{id}: `{file}::{name}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "not in docs/reliability.md:\n{}", wrong.join("\n"));
}

#[test]
fn every_condition_that_can_be_wrong_is_explained_to_who_runs_it() {
    let source = std::fs::read_to_string(root().join("src/health/conditions.rs")).unwrap();
    let explained = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let calls =
        source.split("Condition::unready(").skip(1).chain(source.split("Condition::degraded(").skip(1));
    let names: BTreeSet<&str> =
        calls.filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next()).collect();
    assert!(names.len() > 8, "{names:?}");
    let missing: Vec<&&str> = names.iter().filter(|name| !explained.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not in docs/operations.md: {missing:?}");
}
