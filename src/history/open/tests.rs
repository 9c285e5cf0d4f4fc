//! Files that are not to be had: what is said, and that nothing was done to them.

use super::super::tests::{DIGESTS, Dir, open_at, push, recorded, rows, states, versions};
use super::super::{OpenError, Record, backup, lock};
use super::beside;
use crate::core::source::Timestamp;
use crate::core::version::Versions;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn d7_a_second_daemon_is_refused_at_once_and_touches_nothing() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    recorded(&history, push(1, "pc1", "wu")).await;
    let before = fs::read(dir.path()).unwrap();
    assert!(matches!(open_at(&dir.path()), Err(OpenError::HeldByDaemon(_))));
    let link = Dir::new();
    std::os::unix::fs::symlink(dir.path(), link.path()).unwrap();
    assert!(matches!(open_at(&link.path()), Err(OpenError::HeldByDaemon(_))), "by another name");
    assert!(fs::read(dir.path()).unwrap() == before, "it was touched");
    assert_eq!(link.names(), ["history.db"]);
    recorded(&history, push(2, "pc1", "wf")).await;
    history.close(versions(2), DIGESTS).await.unwrap();
    open_at(&dir.path()).unwrap();
}

#[test]
fn d2_an_unusable_path_is_explained_and_creates_nothing() {
    let dir = Dir::new();
    let file = dir.0.path().join("file");
    fs::write(&file, "x").unwrap();
    let cases =
        [dir.0.path().to_owned(), dir.0.path().join("absent/h.db"), file.join("h.db"), "/".into(), "".into()];
    for path in cases {
        let error = open_at(&path).err().unwrap();
        assert!(matches!(error, OpenError::Unusable { .. }), "{path:?}: {error}");
        assert!(!error.to_string().contains('\n'));
    }
    assert_eq!(dir.names(), ["file"]);
}

#[test]
fn d2_another_programs_file_is_refused_and_not_touched() {
    let dir = Dir::new();
    let refused = || {
        let before = fs::read(dir.path()).unwrap();
        let error = open_at(&dir.path()).err().unwrap();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        assert!(fs::read(dir.path()).unwrap() == before, "it was touched");
    };
    fs::write(dir.path(), "a letter, not a database").unwrap();
    refused();
    assert_eq!(dir.names(), ["history.db"], "no lock was left either");
    fs::write(dir.path(), "SQLite format 3\0 and then something else").unwrap();
    refused();
    fs::remove_file(dir.path()).unwrap();
    let other = Connection::open(dir.path()).unwrap();
    other.execute_batch("CREATE TABLE pcs (id, name); CREATE TABLE orders (id)").unwrap();
    refused();
}

#[tokio::test]
async fn a_later_releases_file_is_refused() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    history.close(versions(0), DIGESTS).await.unwrap();
    let connection = Connection::open(dir.path()).unwrap();
    connection
        .execute_batch(
            "INSERT INTO refinery_schema_history VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')",
        )
        .unwrap();
    drop(connection);
    let before = fs::read(dir.path()).unwrap();
    assert!(matches!(open_at(&dir.path()), Err(OpenError::Newer { found: 99, known: 2, .. })));
    assert!(fs::read(dir.path()).unwrap() == before, "it was touched");
}

#[tokio::test]
async fn d3_a_history_that_another_program_keeps_locked_at_the_start_is_served_and_written_when_it_lets_go() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    recorded(&history, push(7, "pc1", "wu")).await;
    history.close(versions(7), DIGESTS).await.unwrap();
    let other = Connection::open(dir.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (history, restored) = open_at(&dir.path()).unwrap();
    assert_eq!(states(&restored), ["pc1 wu"]);
    assert!(restored.versions.occupation > versions(7).occupation && restored.digests.is_none());
    let shown = restored.versions.occupation.0 + 1;
    let mut acknowledged = Box::pin(history.reserve().unwrap().record(push(shown, "pc1", "wf")).durable());
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut acknowledged).await;
    assert!(early.is_err(), "acknowledged while nothing could be written");
    // A crash now: the file says that the last stop was clean, and the versions that were shown are not in it.
    let crashed = dir.crashed();
    let (_, again) = open_at(&crashed.path()).unwrap();
    assert!(again.versions.occupation.0 + 1 >= shown, "{:?}", again.versions);
    other.execute_batch("COMMIT").unwrap();
    acknowledged.await.unwrap();
    assert_eq!(rows(&dir.path()), ["pc1 login 7 wu", &format!("pc1 login {shown} wf")]);
    history.close(versions(shown), DIGESTS).await.unwrap();
}

#[tokio::test]
async fn k1_states_are_restored_by_the_order_of_the_rows_whatever_the_clock_did() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    // The clock steps back by years, forward again, and stands before 1970.
    for (version, second, code) in
        [(1, 4_000_000_000, "wu"), (2, 5, "lf"), (3, 4_000_000_001, "lu"), (4, -7, "o")]
    {
        let Record::Push { versions, source, states, .. } = push(version, "pc1", code) else {
            unreachable!()
        };
        recorded(&history, Record::Push { versions, at: Timestamp(second), source, states }).await;
    }
    for is_clean in [false, true] {
        let at = if is_clean { dir.path() } else { dir.crashed().0.keep().join("history.db") };
        if is_clean {
            history.close(versions(4), DIGESTS).await.unwrap();
        }
        let (_, restored) = open_at(&at).unwrap();
        assert_eq!(states(&restored), ["pc1 o"]);
        let times: Vec<_> = rows(&at).iter().map(|row| row.split(' ').nth(2).unwrap().to_owned()).collect();
        assert_eq!(times, ["4000000000", "5", "4000000001", "-7"]);
        if !is_clean {
            fs::remove_dir_all(at.parent().unwrap()).unwrap();
        }
    }
}

/// Whose stop was clean, at these versions, with a push more each time.
async fn used(dir: &Dir, times: u64) -> Versions {
    let mut shown = Versions::default();
    for _ in 0..times {
        let (history, restored) = open_at(&dir.path()).unwrap();
        let next = restored.versions.occupation.0 + 1;
        recorded(&history, push(next, "pc1", if next % 2 == 0 { "wu" } else { "wf" })).await;
        shown = versions(next);
        history.close(shown, DIGESTS).await.unwrap();
    }
    shown
}

#[tokio::test]
async fn d4_versions_do_not_fall_when_an_older_file_takes_the_place_of_the_history() {
    // However it gets there: as a file of its own, or as other content of the same file.
    for is_moved in [true, false] {
        let dir = Dir::new();
        used(&dir, 1).await;
        let older = fs::read(dir.path()).unwrap();
        let shown = used(&dir, 3).await;
        if is_moved {
            fs::remove_file(dir.path()).unwrap();
        }
        fs::write(dir.path(), &older).unwrap();
        let (history, restored) = open_at(&dir.path()).unwrap();
        assert!(restored.versions.occupation > shown.occupation, "{:?}", restored.versions);
        assert_eq!((restored.digests, rows(&dir.path()).len()), (None, 1));
        history.close(restored.versions, DIGESTS).await.unwrap();
        // That is once: from then on it is the history.
        let (history, again) = open_at(&dir.path()).unwrap();
        assert_eq!((again.versions, again.digests), (restored.versions, Some(DIGESTS)));
        history.close(again.versions, DIGESTS).await.unwrap();
        // And when it is gone altogether.
        fs::remove_file(dir.path()).unwrap();
        let (_, restored) = open_at(&dir.path()).unwrap();
        assert!(restored.versions.occupation >= again.versions.occupation && restored.salvaged.is_none());
    }
    // A directory that was brought back whole, with the mark in it.
    let dir = Dir::new();
    used(&dir, 1).await;
    let (older, mark) = (fs::read(dir.path()).unwrap(), fs::read(lock::path(&dir.path())).unwrap());
    let shown = used(&dir, 3).await;
    let other = Dir::new();
    fs::write(other.path(), older).unwrap();
    fs::write(lock::path(&other.path()), mark).unwrap();
    let (_, restored) = open_at(&other.path()).unwrap();
    assert!(restored.versions.occupation > shown.occupation, "{:?}", restored.versions);
}

#[tokio::test]
async fn d4_versions_do_not_fall_when_a_backup_is_restored() {
    let dir = Dir::new();
    used(&dir, 2).await;
    let (history, restored) = open_at(&dir.path()).unwrap();
    let copy = dir.0.path().join("copy");
    backup(&dir.path(), &copy, |_| ()).unwrap();
    let mut shown = restored.versions.occupation.0;
    // More than a start passes over by itself.
    for _ in 0..3 {
        shown += 4096;
        recorded(&history, push(shown, "pc1", "wu")).await;
    }
    // The daemon crashes, and the copy becomes the content of the same file.
    let crashed = dir.crashed();
    fs::remove_file(beside(&crashed.path(), "-wal")).unwrap();
    fs::write(crashed.path(), fs::read(&copy).unwrap()).unwrap();
    let (_, again) = open_at(&crashed.path()).unwrap();
    assert!(again.versions.occupation.0 > shown, "{:?}", again.versions);
    assert!(again.salvaged.is_none());
    assert_eq!(rows(&crashed.path()).len(), 2);
}

#[tokio::test]
async fn o7_all_files_of_a_history_are_their_owners_alone() {
    let dir = Dir::new();
    let (history, restored) = open_at(&dir.path()).unwrap();
    recorded(&history, push(1, "pc1", "wu")).await;
    let rights = |dir: &Dir| -> Vec<(String, u32)> {
        let mode =
            |name: &String| fs::metadata(dir.0.path().join(name)).unwrap().permissions().mode() & 0o777;
        dir.names().iter().map(|name| (name.clone(), mode(name))).collect()
    };
    let own =
        |names: &[&str]| names.iter().map(|name| (format!("history.db{name}"), 0o600)).collect::<Vec<_>>();
    assert_eq!(rights(&dir), own(&["", "-shm", "-wal", ".lock"]));
    history.close(restored.versions, DIGESTS).await.unwrap();
    // Those that others could read, as an older release or a copy by hand has left them.
    for name in dir.names() {
        fs::set_permissions(dir.0.path().join(name), fs::Permissions::from_mode(0o666)).unwrap();
    }
    let (history, restored) = open_at(&dir.path()).unwrap();
    recorded(&history, push(2, "pc1", "wf")).await;
    assert_eq!(rights(&dir), own(&["", "-shm", "-wal", ".lock"]));
    history.close(restored.versions, DIGESTS).await.unwrap();
    // What takes the place of a damaged one, and what that was.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(dir.path(), "gone").unwrap();
    drop(open_at(&dir.path()).unwrap());
    assert!(rights(&dir).iter().all(|(_, mode)| *mode == 0o600), "{:?}", rights(&dir));
}
