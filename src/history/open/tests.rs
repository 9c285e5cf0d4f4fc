//! Files that are not to be had: what is said, and that nothing was done to them.

use super::super::OpenError;
use super::super::tests::{DIGESTS, Dir, open_at, push, recorded, versions};
use rusqlite::Connection;
use std::fs;

#[tokio::test]
async fn a_second_daemon_is_refused_at_once_and_touches_nothing() {
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
fn an_unusable_path_is_explained_and_creates_nothing() {
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
fn another_programs_file_is_refused_and_not_touched() {
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
    assert!(matches!(open_at(&dir.path()), Err(OpenError::Newer { found: 99, known: 1, .. })));
    assert!(fs::read(dir.path()).unwrap() == before, "it was touched");
}

#[test]
fn a_file_that_another_program_keeps_locked_is_waited_for_in_vain() {
    let dir = Dir::new();
    drop(open_at(&dir.path()).unwrap());
    let other = Connection::open(dir.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = loop {
        // The threads of the handle above may still be ending.
        match open_at(&dir.path()) {
            Err(OpenError::HeldByDaemon(_)) => std::thread::yield_now(),
            other => break other.err(),
        }
    };
    assert!(matches!(error, Some(OpenError::HeldByProgram(_))));
}
