//! What the check of the instruction counts says of counts that differ. The counting itself is
//! `cargo bench --bench instructions`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../benches/baseline/mod.rs"]
#[allow(dead_code, reason = "nothing is recorded here")]
mod baseline;

use baseline::{Baseline, Makers, Verdict};
use std::collections::BTreeMap;

fn makers(rustc: &str) -> Makers {
    Makers { rustc: rustc.into(), target: "x86_64-unknown-linux-gnu".into(), libc: "glibc 2.36".into() }
}

fn counts(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// Of one case, recorded with 1,000 instructions.
fn verdict(rustc: &str, count: u64) -> Verdict {
    Baseline::new(makers("1.95"), counts(&[("core/a", 1_000)])).judge(
        &makers(rustc),
        &counts(&[("core/a", count)]),
        "",
    )
}

#[test]
fn a_case_that_became_dearer_fails_and_one_that_became_cheaper_is_told() {
    // The compiler, the count, how many fail, and how many notes there are.
    let cases = [
        ("1.95", 1_000, 0, 0),
        ("1.95", 1_050, 0, 0),
        ("1.95", 1_051, 1, 0),
        ("1.95", 950, 0, 0),
        ("1.95", 949, 0, 1),
        ("1.96", 1_000, 0, 1),
        ("1.96", 1_051, 0, 1),
        ("1.96", 1_150, 0, 1),
        ("1.96", 1_151, 1, 1),
        ("1.96", 949, 0, 1),
        ("1.96", 849, 0, 2),
    ];
    for (rustc, count, failures, notes) in cases {
        let verdict = verdict(rustc, count);
        assert_eq!((verdict.failures.len(), verdict.notes.len()), (failures, notes), "{count} of {rustc}");
    }
}

#[test]
fn each_word_on_a_difference_says_how_to_record_anew() {
    for verdict in [verdict("1.95", 500), verdict("1.96", 1_000)] {
        let [note] = verdict.notes.as_slice() else { panic!("one note: {verdict:?}") };
        assert!(note.ends_with("cargo bench --locked --bench instructions -- --record"), "{note}");
    }
}

#[test]
fn another_c_library_is_judged_as_another_compiler_is_and_another_target_not_at_all() {
    let same = makers("1.95");
    let library = Makers { libc: "glibc 2.41".into(), ..same.clone() };
    let target = Makers { target: "aarch64-unknown-linux-gnu".into(), ..same.clone() };
    let baseline = Baseline::new(same, counts(&[("core/a", 1_000)]));
    for (other, count, failures) in [(&library, 1_150, 0), (&library, 1_151, 1), (&target, 9_000, 0)] {
        let verdict = baseline.judge(other, &counts(&[("core/a", count)]), "");
        assert_eq!((verdict.failures.len(), verdict.notes.len()), (failures, 1), "{count} of {other}");
    }
}

#[test]
fn a_case_without_a_record_and_a_record_without_a_case_fail() {
    let baseline = Baseline::new(makers("1.95"), counts(&[("core/a", 1), ("core/gone", 1), ("wire/b", 1)]));
    let found = baseline.judge(&makers("1.95"), &counts(&[("core/a", 1), ("core/new", 1)]), "core/");
    let named = |name: &str| found.failures.iter().filter(|failure| failure.starts_with(name)).count();
    assert_eq!((named("core/new"), named("core/gone"), found.failures.len()), (1, 1, 2), "{found:?}");
}

#[test]
fn what_is_recorded_reads() {
    let baseline = Baseline::read().unwrap();
    assert!(baseline.recorded("core/push 400 PCs, 10,000 held, 10 filters").is_some_and(|count| count > 0));
}
