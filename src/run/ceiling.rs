//! What the daemon takes of memory at most, by what the setup allows (reliability.md O5).
//!
//! The figures are of the sizes that the types have on 64-bit systems, with what the allocator adds, rounded up. What the
//! kernel keeps for sockets is not among them.

use super::terms::MAX_REMEMBERED;
use crate::doors::ingest;
use crate::feeds::master::LARGEST;
use crate::setup::Setup;
use std::fmt::Write;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// One line: the sum, and what it is made of.
pub(crate) fn told(setup: &Setup, connections: usize) -> String {
    let terms = terms(setup, connections);
    let in_mib = |bytes: u64| bytes.div_ceil(MIB);
    let mut line = format!("at most {} MiB:", in_mib(terms.iter().map(|(_, bytes)| bytes).sum()));
    for (i, (what, bytes)) in terms.iter().enumerate() {
        // Writing to memory cannot fail.
        let _ = write!(line, "{} {} {what}", if i == 0 { "" } else { "," }, in_mib(*bytes));
    }
    line
}

fn terms(setup: &Setup, connections: usize) -> Vec<(String, u64)> {
    let count = |count: usize| count as u64;
    let (http, push, limits) = (&setup.http, &setup.push, &setup.limits);
    let pushes = count(ingest::accepted(push.max_connections));
    // Four documents at once, of which one is read, which takes sixteen times its size; what is kept of all, and once
    // more as what the provider has brought.
    let timetables: u64 =
        setup.timetables.iter().map(|timetable| 64 * MIB + 20 * count(timetable.max_size)).sum();
    vec![
        // With the runtime, the threads' buffers, and SQLite's caches.
        ("program".into(), 48 * MIB),
        // A PC with its names and places, and in each of the 64 messages that are kept; rooms and sources the same.
        (
            format!("state of {} PCs", limits.pcs),
            count(limits.pcs) * 5 * KIB + count(limits.rooms) * 6 * KIB + count(limits.sources) * KIB,
        ),
        (format!("{} channels", http.max_channels), count(http.max_channels) * KIB),
        // As many may be on their way to the disk as are remembered.
        ("remembered filters".into(), 2 * count(MAX_REMEMBERED) * 512),
        // Its task and socket, the start of an answer, what it has sent ahead, and a head that is read, by hyper.
        (
            format!("{connections} connections"),
            (count(connections) + pushes) * (28 * KIB + count(http.max_head)),
        ),
        ("bodies".into(), 2 * count(limits.bodies)),
        // A body, what is read of it, and what it changes.
        ("pushes".into(), 3 * count(push.max_connections) * count(push.max_body)),
        // A message and its text.
        ("unsent answers".into(), 2 * count(limits.unsent)),
        ("backlog, where a change is of 64 PCs".into(), count(setup.history.backlog) * (256 + 64 * 32)),
        ("timetables".into(), timetables),
        // What a master says in one answer, while it is read and taken over, and what is kept of it.
        ("master".into(), if setup.mirror.is_some() { 32 * count(LARGEST) } else { 0 }),
        ("log".into(), 4 * MIB),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::load;

    #[test]
    fn o5_the_sum_is_that_of_its_terms_and_grows_with_what_the_setup_allows() {
        let sum = |sets: &[&str], connections| -> (u64, u64) {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            let setup = load(None, std::iter::empty(), &sets).unwrap();
            let line = told(&setup, connections);
            let (sum, terms) = line.strip_prefix("at most ").unwrap().split_once(" MiB: ").unwrap();
            let terms =
                terms.split(", ").filter_map(|term| term.split(' ').next()?.parse::<u64>().ok()).sum();
            (sum.parse().unwrap(), terms)
        };
        let (usual, terms) = sum(&[], 10_000);
        assert!(usual <= terms && terms < usual + 12, "{usual} MiB of {terms}");
        for more in ["http.max_channels=500000", "limits.pcs=100000", "limits.unsent=1073741824"] {
            assert!(sum(&[more], 10_000).0 > usual + 200, "{more}");
        }
        assert!(sum(&[], 20_000).0 > usual + 200);
    }
}
