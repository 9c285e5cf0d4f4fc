//! The copy that is kept of an original database: as it was, compared with it row by row, and never in the place of
//! another file.

use super::super::open::{beside, sync_directory};
use super::super::rights::create;
use super::super::sqlite::BUSY;
use super::{Failure, TABLES};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Copies the database at `path` to `<path>.original`, or the first such name with a number that is free. A copy that
/// an earlier try left is used again: a start that fails and is repeated does not fill the disk.
pub(super) fn make(path: &Path) -> Result<PathBuf, Failure> {
    let source = read_only(path)?;
    let mut part = None;
    for number in 1_u64.. {
        let copy =
            beside(path, &if number == 1 { ".original".into() } else { format!(".original.{number}") });
        if fs::symlink_metadata(&copy).is_ok() {
            if read_only(&copy).and_then(|other| equal(&source, &other)).unwrap_or(false) {
                return Ok(copy);
            }
            continue;
        }
        let part = match &mut part {
            Some(part) => part,
            none => none.insert(Part::write(&source, path)?),
        };
        // Unlike a rename, a link never takes the place of a file that somebody else made just now.
        match fs::hard_link(&part.0, &copy) {
            Ok(()) => {
                path.parent().map_or(Ok(()), sync_directory)?;
                return Ok(copy);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Unequal("no name is free for the copy".into()))
}

/// A copy under a name that says it may not be whole; the name goes with the value.
struct Part(PathBuf);

impl Part {
    fn write(source: &Connection, path: &Path) -> Result<Part, Failure> {
        let part = Part(beside(path, ".original.part"));
        // What is there was left by a try that was cut short.
        match fs::remove_file(&part.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        // Of the file that it is made of others may have known; of a copy nobody does (reliability.md O7).
        let file = create(&part.0)?;
        let mut copy = Connection::open(&part.0)?;
        if Backup::new(source, &mut copy)?.step(-1)? != StepResult::Done {
            return Err(Failure::Unequal("the copy was not finished".into()));
        }
        if !equal(source, &copy)? {
            return Err(Failure::Unequal("the copy is not what it was made of".into()));
        }
        copy.close().map_err(|(_, error)| error)?;
        file.sync_all()?;
        Ok(part)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Whether two databases hold the same rows in the original's tables.
fn equal(one: &Connection, other: &Connection) -> rusqlite::Result<bool> {
    for table in TABLES {
        let sql = format!("SELECT * FROM {table} ORDER BY rowid");
        let (mut one, mut other) = (one.prepare(&sql)?, other.prepare(&sql)?);
        let columns = one.column_count();
        if other.column_count() != columns {
            return Ok(false);
        }
        let (mut one, mut other) = (one.query([])?, other.query([])?);
        loop {
            let (one, other) = match (one.next()?, other.next()?) {
                (None, None) => break,
                (Some(one), Some(other)) => (one, other),
                _ => return Ok(false),
            };
            for column in 0..columns {
                if one.get_ref(column)? != other.get_ref(column)? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}
