//! What a daemon knows of its system where the unit hides all of /proc but processes (`ProcSubset=pid`), as the one that
//! is shipped does.

use crate::common::{Daemon, Request};
use crate::exposition::Figures;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Starts a program on a machine of this name, of whose /proc it sees as much as under the unit. None where that cannot
/// be done here, which is said.
fn hidden(host: &str) -> Option<Vec<String>> {
    let script = format!(
        "echo {host} > /proc/sys/kernel/hostname && mount -t proc -o subset=pid proc /proc && ! test -e /proc/stat && \
         exec \"$@\""
    );
    let within = ["unshare", "--mount", "--uts", "sh", "-c", &script, "sh"].map(str::to_owned).to_vec();
    let tried = Command::new(&within[0]).args(&within[1..]).arg("true").output();
    if tried.as_ref().is_ok_and(|output| output.status.success()) {
        return Some(within);
    }
    println!("SKIPPED: only who may mount can hide a system from a daemon: {tried:?}");
    None
}

#[test]
fn when_the_process_was_started_is_told_where_the_unit_hides_all_else() {
    let Some(within) = hidden("one") else { return };
    let within: Vec<&str> = within.iter().map(String::as_str).collect();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let before = now();
    let daemon = Daemon::within(&within, tempfile::tempdir().unwrap(), &[]);
    let started = || Figures::of(&daemon).value("process_start_time_seconds", &[]);
    let first = started();
    // The kernel tells it in hundredths, cut off.
    assert!((before - 0.1..now() + 0.1).contains(&first), "{before} {first}");
    assert_eq!(started().to_bits(), first.to_bits(), "it does not move from one reading to the next");
}

#[test]
fn daemons_of_two_machines_are_told_apart_also_where_their_history_has_one_path() {
    let directory = tempfile::tempdir().unwrap();
    let db = format!("history.db={}", directory.path().join("history.sqlite3").display());
    // It ends with the number by which positions in one history are told from those in another.
    let epoch = |host: &str| {
        let within = hidden(host)?;
        let within: Vec<&str> = within.iter().map(String::as_str).collect();
        let mut daemon = Daemon::within(&within, tempfile::tempdir().unwrap(), &[&db]);
        let answer = daemon.ask(&Request::get("/api/v1/occupation"));
        let tag = answer.header("ETag").unwrap().trim_end_matches('"').to_owned();
        assert_eq!(daemon.terminate().code(), Some(0));
        Some(tag.rsplit('.').next().unwrap().to_owned())
    };
    let Some(one) = epoch("one") else { return };
    assert_eq!(epoch("one").as_ref(), Some(&one), "it goes on with its history");
    assert_ne!(epoch("two").as_ref(), Some(&one));
}
