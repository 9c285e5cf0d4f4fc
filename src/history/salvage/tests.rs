//! Real files, damaged in every way there is, and what is left of them.

use super::super::tests::{DIGESTS, Dir, open_at, recorded, states, versions};
use super::super::{Options, Record, Restored, SavedFilter, Trouble, open};
use super::*;
use crate::core::pc::{Occupation, PcName};
use crate::core::source::{Source, Timestamp};
use crate::core::tag::{Filter, TagFilter};
use crate::core::token::Token;
use std::collections::BTreeSet;

const ROWS: usize = 3_000;
const PCS: usize = 50;

/// What a history holds.
#[derive(Debug, PartialEq)]
struct Content {
    states: Vec<String>,
    rows: Vec<String>,
    filters: usize,
}

/// A history of some thirty pages, without its daemon: of a crash with a log, or of a clean stop.
async fn lived(is_clean: bool) -> (Dir, Content) {
    let dir = Dir::new();
    let (history, _) = open(&Options::at(&dir.path())).unwrap();
    let codes = ["wu", "wf", "lu", "lf", "o"];
    for first in (0..ROWS).step_by(PCS) {
        let state = |i: usize| {
            (
                PcName::parse(&format!("pc{i}")).unwrap(),
                Occupation::from_code(codes[(first / PCS + i) % 5]).unwrap(),
            )
        };
        let push = Record::Push {
            versions: versions((first / PCS) as u64 + 1),
            at: Timestamp(first as i64),
            source: Source::parse(&format!("source {}", first % 3)).unwrap(),
            states: (0..PCS).map(state).collect(),
        };
        recorded(&history, push).await;
    }
    let everything = Filter {
        occupation: TagFilter::Everything,
        room_map: TagFilter::Everything,
        schedule: TagFilter::Everything,
    };
    let saved = |i| SavedFilter {
        token: Token::parse(&format!("channel-{i}")).unwrap(),
        filter: Some(std::sync::Arc::new(everything.clone())),
        ended: None,
    };
    recorded(&history, Record::Filters((0..100).map(saved).collect())).await;
    let dir = if is_clean {
        history.close(versions((ROWS / PCS) as u64), DIGESTS).await.unwrap();
        dir
    } else {
        dir.crashed()
    };
    let (again, restored) = open_at(&dir.crashed().path()).unwrap();
    assert!(restored.salvaged.is_none());
    let content = content(&dir, &restored).await;
    drop(again);
    assert_eq!((content.rows.len(), content.states.len(), content.filters), (ROWS, PCS, 100));
    (dir, content)
}

async fn content(dir: &Dir, restored: &Restored) -> Content {
    let copy = dir.crashed();
    let connection = Connection::open(copy.path()).unwrap();
    let sql =
        "SELECT p.name || ' ' || s.name || ' ' || u.datetime || ' ' || u.occupation FROM occupationUpdates u
                   JOIN pcs p ON p.id = u.pc JOIN sources s ON s.id = u.source ORDER BY u.id";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
    Content { states: states(restored), rows, filters: restored.filters.len() }
}

/// Starts on a copy of `dir` that `damage` was done to, and says what is left. Whatever was done, the daemon starts, the
/// damaged file is kept byte for byte, no version falls, nothing is there that never was, and pushes are recorded.
async fn after(dir: &Dir, truth: &Content, damage: impl FnOnce(&Path)) -> Option<(Salvaged, Content)> {
    let dir = dir.crashed();
    damage(&dir.path());
    let bytes = |path: &Path, of: &str| fs::read(beside(path, of)).unwrap_or_default();
    let before = ["", "-wal"].map(|of| bytes(&dir.path(), of));
    let (history, restored) = open_at(&dir.path()).unwrap();
    let left = content(&dir, &restored).await;
    let shown = (ROWS / PCS) as u64;
    assert!(restored.versions.occupation >= Version(shown), "{:?}", restored.versions);
    let new = restored.salvaged.clone().map(|salvaged| {
        assert!(
            ["", "-wal"].map(|of| bytes(&salvaged.damaged, of)) == before,
            "the damaged file was changed"
        );
        let name = salvaged.damaged.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(
            name.starts_with("history.db.damaged-2")
                && name.len() >= "history.db.damaged-20261122-101500".len()
        );
        assert_eq!(salvaged.rows as usize, left.rows.len());
        let name = |state: &String| state.split(' ').next().unwrap().to_owned();
        let known: BTreeSet<String> = truth.states.iter().map(name).collect();
        assert!(left.states.iter().map(name).all(|pc| known.contains(&pc)), "{:?}", left.states);
        // In their order, and none twice; names that were lost are not guessed.
        let mut rest = truth.rows.iter();
        for row in &left.rows {
            let is_same = |one: &&String| {
                let parts = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
                let (one, row) = (parts(one), parts(row));
                one.len().abs_diff(row.len()) <= 1 && one[one.len() - 2..] == row[row.len() - 2..]
            };
            assert!(rest.any(|one| is_same(&one)), "{row} is not what was there, or out of order");
        }
        assert_eq!(history.status().troubles, [Trouble::PutAside { file: salvaged.damaged.clone() }]);
        assert!(history.status().healthy());
        (salvaged, left)
    });
    // Nothing that helped on the way is left, and what is pushed now is recorded.
    let names = dir.names();
    assert!(!names.iter().any(|name| name.contains(".salvage")), "{names:?}");
    recorded(&history, super::super::tests::push(restored.versions.occupation.0 + 1, "pc0", "lx")).await;
    history.close(restored.versions, DIGESTS).await.unwrap();
    let (_, again) = open_at(&dir.path()).unwrap();
    assert!(again.salvaged.is_none(), "salvaged twice");
    assert!(states(&again).contains(&"pc0 lx".to_owned()));
    new
}

fn garbage(at: usize, length: usize) -> impl Fn(&Path) {
    move |path| {
        let mut bytes = fs::read(path).unwrap();
        let end = (at + length).min(bytes.len());
        bytes[at..end].iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * 37 % 251) as u8 ^ 0xa5);
        fs::write(path, bytes).unwrap();
    }
}

#[tokio::test]
async fn d4_any_page_may_be_garbage_and_what_is_on_the_others_is_saved() {
    let (dir, truth) = lived(true).await;
    let pages = fs::read(dir.path()).unwrap().len() / 4096;
    assert!(pages > 25, "{pages}");
    let (mut whole, mut most) = (0, 0);
    for page in 0..pages {
        let (salvaged, left) = after(&dir, &truth, garbage(page * 4096, 4096))
            .await
            .unwrap_or_else(|| panic!("page {page} is garbage and that was not seen"));
        assert!(left.states.is_empty() || left.states == truth.states, "page {page}: {:?}", left.states);
        if left == truth && salvaged.lost == 0 {
            whole += 1;
        } else if left.rows.len() > ROWS - 500 {
            assert!(salvaged.lost > 0, "page {page}: something is missing, and it is not said");
            most += 1;
        }
    }
    // Pages of indexes, and the first one, cost nothing; a page of rows costs what was on it; some pages are the roots
    // of a table. How many of which there are is SQLite's business.
    assert!(
        whole > pages / 4 && most > pages / 4 && whole + most > pages - 6,
        "{whole} and {most} of {pages}"
    );
}

#[tokio::test]
async fn d4_a_header_that_is_garbage_costs_nothing() {
    for is_clean in [true, false] {
        let (dir, truth) = lived(is_clean).await;
        for length in [1, 16, 100, 4096] {
            if let Some((_, left)) = after(&dir, &truth, garbage(0, length)).await {
                assert_eq!(left, truth, "{length} bytes");
            } else {
                assert!(!is_clean, "{length} bytes of garbage were not seen");
            }
        }
    }
}

#[tokio::test]
async fn d4_a_file_that_was_cut_short_gives_what_is_before_the_cut() {
    let (dir, truth) = lived(true).await;
    let size = fs::read(dir.path()).unwrap().len();
    let cut = |length: usize| {
        move |path: &Path| {
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length as u64).unwrap();
        }
    };
    for (length, least) in
        [(0, 0), (50, 0), (4096, 0), (size / 4, 0), (size / 2, 1), (size - 4096, 1), (size - 1, 1)]
    {
        let (salvaged, left) =
            after(&dir, &truth, cut(length)).await.unwrap_or_else(|| panic!("cut to {length}"));
        assert!(left.rows.len() >= least, "cut to {length} of {size}: {salvaged:?}");
    }
}

#[tokio::test]
async fn d4_what_is_in_a_log_that_is_garbage_in_part_is_not_lost_in_silence() {
    let (dir, truth) = lived(false).await;
    let log = fs::read(beside(&dir.path(), "-wal")).unwrap().len();
    assert!(log > 50_000, "{log}");
    for (at, length) in [(0, 32), (0, log), (40, 1), (log / 2, 4096)] {
        let seen = after(&dir, &truth, |path| garbage(at, length)(&beside(path, "-wal"))).await;
        assert!(seen.is_some(), "{length} bytes at {at}");
    }
    // The file itself is empty or gone, and all that is left is in the log.
    for is_gone in [false, true] {
        let (salvaged, left) = after(&dir, &truth, |path| {
            if is_gone { fs::remove_file(path).unwrap() } else { fs::write(path, "").unwrap() }
        })
        .await
        .unwrap();
        assert!(!left.rows.is_empty(), "{salvaged:?}");
    }
}

#[tokio::test]
async fn d4_bytes_that_are_wrong_anywhere_never_keep_the_daemon_from_starting() {
    let (dir, truth) = lived(false).await;
    let mut seed = 0x5eed_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for round in 0..40 {
        let dir = dir.crashed();
        for _ in 0..1 + random(40) {
            let path = beside(&dir.path(), if random(3) == 0 { "-wal" } else { "" });
            let mut bytes = fs::read(&path).unwrap();
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
            fs::write(&path, bytes).unwrap();
        }
        let (history, restored) =
            open_at(&dir.path()).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(restored.versions.occupation >= Version((ROWS / PCS) as u64), "round {round}");
        assert!(restored.pcs.len() <= truth.states.len() + 1, "round {round}");
        drop(history);
    }
}

#[tokio::test]
async fn d4_a_salvage_that_was_cut_short_is_gone_on_from() {
    let (dir, truth) = lived(true).await;
    garbage(3 * 4096, 4096)(&dir.path());
    let damaged = fs::read(dir.path()).unwrap();
    // Before the new file was whole; when it was, before and after the damaged one had its name.
    for stopped in 0..3 {
        let dir = dir.crashed();
        build(&dir.path()).unwrap();
        if stopped > 0 {
            fs::rename(beside(&dir.path(), PART), beside(&dir.path(), WHOLE)).unwrap();
        }
        if stopped > 1 {
            fs::rename(dir.path(), beside(&dir.path(), ".damaged-20260101-000000")).unwrap();
        }
        let (history, restored) = open_at(&dir.path()).unwrap();
        let left = content(&dir, &restored).await;
        assert!(left.rows.len() > ROWS - 500 && left.states == truth.states, "{stopped}");
        let aside = put_aside(&dir.path());
        assert_eq!(aside.len(), 1, "{stopped}: {aside:?}");
        assert!(fs::read(&aside[0]).unwrap() == damaged);
        history.close(restored.versions, DIGESTS).await.unwrap();
        // It is seen to: from the next start on nothing is wrong.
        fs::remove_file(&aside[0]).unwrap();
        let (history, _) = open_at(&dir.path()).unwrap();
        assert_eq!(history.status().troubles, []);
    }
}

#[tokio::test]
async fn d4_damage_that_is_met_while_running_is_told_and_salvaged_at_the_next_start() {
    let (dir, truth) = lived(true).await;
    let (history, restored) = open_at(&dir.path()).unwrap();
    // The tables of names and rows: what a push has to read and to write.
    for page in 1..fs::read(dir.path()).unwrap().len() / 4096 {
        garbage(page * 4096, 4096)(&dir.path());
    }
    let place = history.reserve().unwrap();
    let waiting = place.record(super::super::tests::push(restored.versions.occupation.0 + 1, "new", "wu"));
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while !matches!(history.status().troubles[..], [Trouble::Damaged { .. }]) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("it is told");
    assert!(!history.status().healthy());
    assert!(history.close(restored.versions, DIGESTS).await.is_err(), "no clean stop");
    drop(waiting);
    let crashed = dir.crashed();
    assert!(super::super::lock::Lock::take(&crashed.path()).unwrap().mark.is_suspect);
    let (_, again) = open_at(&crashed.path()).unwrap();
    assert!(again.salvaged.is_some());
    assert!(again.versions.occupation >= restored.versions.occupation);
    assert!(again.pcs.len() <= truth.states.len());
}

#[tokio::test]
async fn d4_a_damaged_file_of_a_later_release_is_left_to_that() {
    let (dir, _) = lived(true).await;
    let connection = Connection::open(dir.path()).unwrap();
    let later = "INSERT INTO refinery_schema_history VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')";
    connection.execute_batch(later).unwrap();
    connection.close().unwrap();
    let last = fs::read(dir.path()).unwrap().len() - 4096;
    garbage(last, 4096)(&dir.path());
    let damaged = fs::read(dir.path()).unwrap();
    assert!(matches!(open_at(&dir.path()), Err(OpenError::Newer { found: 99, known: 2, .. })));
    assert!(fs::read(dir.path()).unwrap() == damaged && put_aside(&dir.path()).is_empty());
    assert!(!dir.names().iter().any(|name| name.contains("salvage")), "{:?}", dir.names());
}
