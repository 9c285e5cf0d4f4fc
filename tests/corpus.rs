//! The seeds of the fuzz targets, through what the targets check: so that both stay alive on a stable
//! toolchain, and that an input that once did harm, put among the seeds, is tried for ever.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../fuzz/fuzz_targets/checks.rs"]
mod checks;

use std::fs;
use std::path::{Path, PathBuf};

type Check = fn(&[u8]);

/// Each target with its check.
const TARGETS: [(&str, Check); 4] = [
    ("joyce_request", checks::joyce_request),
    ("push_report", checks::push_report),
    ("json", checks::json),
    ("wire_client", checks::wire_client),
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = fuzz().join("seeds").join(target);
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn every_seed_passes_every_check() {
    for (of, _) in TARGETS {
        let seeds = seeds(of);
        assert!(seeds.len() >= 5, "{of} has too few seeds to begin with");
        for (path, bytes) in seeds {
            // Seeds of one are fine input for the others.
            for (target, check) in TARGETS {
                println!("{target}: {}", path.display());
                check(&bytes);
            }
        }
    }
}

#[test]
fn every_part_of_a_seed_passes_too() {
    for (target, check) in TARGETS {
        for (_, bytes) in seeds(target) {
            for end in 0..bytes.len().min(600) {
                check(&bytes[..end]);
                let mut bent = bytes.clone();
                bent[end] ^= 0x20;
                check(&bent);
            }
        }
    }
}

#[test]
fn the_seeds_reach_what_is_accepted_and_what_is_refused() {
    let accepted = |target, accepts: &dyn Fn(&[u8]) -> bool| {
        let (good, bad): (Vec<_>, Vec<_>) = seeds(target).into_iter().partition(|(_, bytes)| accepts(bytes));
        assert!(!good.is_empty() && !bad.is_empty(), "{target}: {} good, {} bad", good.len(), bad.len());
    };
    accepted("joyce_request", &|bytes| tkbd::wire::joyce::request(bytes).is_ok());
    accepted("push_report", &|bytes| tkbd::wire::push::report(bytes).is_ok());
    accepted("wire_client", &|bytes| tkbd::wire::client::reply(bytes).is_ok());
    accepted("json", &|bytes| tkbd::wire::json::parse(bytes).is_ok());
}

#[test]
fn every_target_is_checked_here() {
    let manifest: toml::Table = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap().parse().unwrap();
    let bins = manifest["bin"].as_array().unwrap();
    let mut targets: Vec<&str> = bins.iter().map(|bin| bin["name"].as_str().unwrap()).collect();
    let mut checked = TARGETS.map(|(target, _)| target);
    targets.sort_unstable();
    checked.sort_unstable();
    assert_eq!(targets, checked);
}
