//! Restarts that nobody notices: pages that die of the first fault live through them, and every push is seen,
//! superseded by a later one, or contained in a snapshot. `cargo bench --bench restarts` runs the same with more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "invisible/ledger.rs"]
mod ledger;
#[path = "invisible/pages.rs"]
mod pages;
#[path = "invisible/service.rs"]
mod service;
#[path = "invisible/trial.rs"]
mod trial;

use service::Mode;
use std::path::Path;
use std::time::Duration;
use trial::{Findings, Plan};

fn lived_through(mode: Mode) -> Findings {
    let plan = Plan { mode, restarts: 6, pages: 100, pushes: 10, pause: Duration::from_millis(5) };
    let findings = trial::run(&plan, Path::new(env!("CARGO_BIN_EXE_tkbd")));
    println!(
        "{mode:?}: {} pushes ({} sent again) in {:?}, {:?}",
        findings.pushes, findings.repeated_pushes, findings.took, findings.tally
    );
    findings.assert_unnoticed();
    assert!(
        findings.tally.welcomes >= plan.pages * plan.restarts / 2,
        "pages have met the daemons in between"
    );
    findings
}

#[test]
fn o2_f1_pages_live_through_daemons_that_take_over_from_one_another() {
    let findings = lived_through(Mode::HandOver);
    assert!(findings.tally.last_answers > 0, "held requests were answered as the last on their connection");
}

#[test]
fn o2_f1_pages_live_through_restarts_where_systemd_keeps_the_sockets() {
    let findings = lived_through(Mode::Signal);
    assert!(findings.tally.last_answers > 0, "held requests were answered as the last on their connection");
}

#[test]
fn p9_c6_after_crashes_every_page_ends_right_and_every_acknowledged_push_is_there() {
    lived_through(Mode::Kill);
}
