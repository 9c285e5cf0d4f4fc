//! Whether a file is damaged (reliability.md D4), found out without changing a byte of it.

use super::open::{APPLICATION, beside};
use super::sqlite::BUSY;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

/// A file up to this size is checked before anything else is done: SQLite looks at some 100 MB a second, so it is not
/// noticed. A larger one is checked while the daemon serves already, since 10⁷ rows take 3 to 15 seconds (measured,
/// 372 MB; the latter from a disk that had nothing of it in memory).
const AT_ONCE: u64 = 16 << 20;

/// What lies at a path, by its first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing, or a file without content: a history may begin there.
    Empty,
    /// A database, as far as can be told by now.
    Database,
    /// No database any more, though it was one.
    Damaged(&'static str),
    /// What was never ours.
    Foreign,
}

/// How every database begins (SQLite's file format, 1.3).
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The part of the head that was written: what a page has not received yet is zero.
fn written(head: &[u8]) -> &[u8] {
    let length = head.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    head.get(..length).unwrap_or_default()
}

/// Looks at what is there; nothing is created. `was_ours` says that a history was here before.
pub(super) fn look(path: &Path, was_ours: bool) -> io::Result<Look> {
    let mut head = Vec::new();
    match fs::OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => {
            file.take(100).read_to_end(&mut head)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let is_marked = head.get(68..72) == Some(&APPLICATION.to_be_bytes()[4..]);
    let has = |of| fs::metadata(beside(path, of)).is_ok_and(|file| file.len() > 0);
    Ok(if head.is_empty() {
        // SQLite deletes a log that it finds beside an empty database.
        match (has("-wal"), was_ours && path.exists()) {
            (true, _) => Look::Damaged("the file is empty or gone, and its log is there"),
            (false, true) => Look::Damaged("the file is empty"),
            (false, false) => Look::Empty,
        }
    } else if head.starts_with(MAGIC) {
        Look::Database
    } else if was_ours || is_marked {
        Look::Damaged("it does not begin as a database does")
    } else if MAGIC.starts_with(written(&head)) && has("-journal") {
        // Power was lost while a new one was begun, and of its first page at most the first bytes have reached the disk:
        // SQLite takes that back.
        Look::Database
    } else {
        Look::Foreign
    })
}

/// What is wrong with the content, if it is looked at now: it is where the file is small, or `is_suspect`. The second
/// value says whether it was looked at.
pub(super) fn content(path: &Path, is_suspect: bool) -> (Result<(), String>, bool) {
    let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let hot = fs::metadata(beside(path, "-journal")).is_ok_and(|journal| journal.len() > 0);
    if hot || size == 0 {
        // A transaction that was cut short is taken back first, and that changes the file.
        return (Ok(()), size == 0);
    }
    let log_file = beside(path, "-wal");
    let has_log = fs::metadata(&log_file).is_ok_and(|log| log.len() > 0);
    if let Err(what) = log(&log_file) {
        return (Err(what), true);
    }
    if !has_log && !size.is_multiple_of(page_size(path)) {
        return (Err("its last page is cut short".into()), true);
    }
    if size > AT_ONCE && !is_suspect {
        return (Ok(()), false);
    }
    match read_only(path).and_then(|connection| quick(&connection)) {
        // A file that the disk does not give up is another trouble than damage, and may pass.
        Ok(Err(_)) if !can_be_read(path) => (Ok(()), false),
        Ok(found) => (found, true),
        Err(error) if is_damage(&error) => (Err(error.to_string()), true),
        // It is locked, or not readable: whoever opens it says so better.
        Err(_) => (Ok(()), false),
    }
}

fn can_be_read(path: &Path) -> bool {
    let read = |of: &str| io::copy(&mut File::open(beside(path, of))?, &mut io::sink());
    ["", "-wal"].iter().all(|of| match read(of) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    })
}

/// How large the pages are, by the header.
fn page_size(path: &Path) -> u64 {
    let mut head = [0; 18];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    match u16::from_be_bytes([head[16], head[17]]) {
        _ if read.is_err() => 1,
        1 => 65_536,
        0 => 1,
        size => size.into(),
    }
}

/// SQLite's own check of every page; the first thing that is wrong. SQLite takes a page that could not be read for a
/// damaged one, and so what is wrong is looked at again: what passes is no damage.
pub(super) fn quick(connection: &Connection) -> rusqlite::Result<Result<(), String>> {
    match look_through(connection)? {
        Ok(()) => Ok(Ok(())),
        Err(_) => look_through(connection),
    }
}

fn look_through(connection: &Connection) -> rusqlite::Result<Result<(), String>> {
    match connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(found) if found == "ok" => Ok(Ok(())),
        Ok(found) => Ok(Err(found.split_whitespace().collect::<Vec<_>>().join(" "))),
        Err(error) if is_damage(&error) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// A connection that changes nothing: not even the log is written back when it closes.
pub(super) fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Whether SQLite says that the file is not what it wrote.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether SQLite would lose whole transactions of a log without a word: it reads up to the first frame that is not
/// right, as after a loss of power. There, one transaction at most can follow that frame, for the next one is written
/// when that has reached the disk; where more follow, the frame was right once. (The format: sqlite.org/walformat.html)
fn log(path: &Path) -> Result<(), String> {
    let Ok(file) = File::open(path) else { return Ok(()) };
    let mut log = BufReader::with_capacity(1 << 16, file);
    let mut header = [0; 32];
    if log.read_exact(&mut header).is_err() {
        return Ok(());
    }
    let little = match word(&header, 0) {
        0x377f_0682 => true,
        0x377f_0683 => false,
        _ => return Err("its log does not begin as a log does".into()),
    };
    let mut sum = checksum(&header[..24], (0, 0), little);
    if sum != (word(&header, 24), word(&header, 28)) {
        return Err("the head of its log is damaged".into());
    }
    let page = usize::try_from(word(&header, 8)).unwrap_or_default().clamp(512, 65_536);
    let mut frame = vec![0; 24 + page];
    let (mut is_right, mut after) = (true, 0);
    while log.read_exact(&mut frame).is_ok() {
        if frame[8..16] != header[16..24] {
            // Of what was written before the log began anew.
            is_right = false;
            continue;
        }
        if is_right {
            sum = checksum(&frame[..8], sum, little);
            sum = checksum(&frame[24..], sum, little);
            is_right = sum == (word(&frame, 16), word(&frame, 20));
        }
        if !is_right && word(&frame, 4) != 0 {
            after += 1;
        }
    }
    if after > 1 { Err(format!("its log is damaged before {after} transactions")) } else { Ok(()) }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn checksum(bytes: &[u8], (mut a, mut b): (u32, u32), little: bool) -> (u32, u32) {
    let word = |at: usize| if little { word(bytes, at).swap_bytes() } else { word(bytes, at) };
    for at in (0..bytes.len()).step_by(8) {
        a = a.wrapping_add(word(at)).wrapping_add(b);
        b = b.wrapping_add(word(at + 4)).wrapping_add(a);
    }
    (a, b)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Dir, open_at, push, recorded};
    use super::*;

    #[tokio::test]
    async fn d4_a_log_that_a_loss_of_power_can_leave_is_right_and_one_with_a_hole_is_not() {
        let dir = Dir::new();
        let (history, _) = open_at(&dir.path()).unwrap();
        for version in 1..=9 {
            recorded(&history, push(version, "pc1", "wu")).await;
        }
        let crashed = dir.crashed();
        let path = beside(&crashed.path(), "-wal");
        let whole = fs::read(&path).unwrap();
        assert_eq!(log(&path), Ok(()));
        // Cut anywhere, or the last frame torn.
        for length in [0, 31, 32, 40, 5000, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(log(&path), Ok(()), "{length}");
        }
        let mut torn = whole.clone();
        let last = torn.len() - 100;
        torn[last] ^= 1;
        fs::write(&path, &torn).unwrap();
        assert_eq!(log(&path), Ok(()));
        for at in [0, 9, 32 + 24 + 100, 32 + 17] {
            let mut broken = whole.clone();
            broken[at] ^= 1;
            fs::write(&path, &broken).unwrap();
            assert!(log(&path).is_err(), "a wrong byte at {at}");
        }
    }

    #[test]
    fn d4_a_first_page_that_power_was_lost_over_is_taken_back_and_no_strangers_file_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.sqlite3");
        let torn = [b"SQLite for".as_slice(), &[0; 4086]].concat();
        for (content, journal, expected) in [
            (torn.as_slice(), true, Look::Database),
            (&torn, false, Look::Foreign),
            (&[0; 4096], true, Look::Database),
            (b"SQLite for dummies", true, Look::Foreign),
        ] {
            fs::write(&path, content).unwrap();
            fs::write(beside(&path, "-journal"), if journal { "journal" } else { "" }).unwrap();
            assert_eq!(look(&path, false).unwrap(), expected, "{journal}");
        }
    }
}
