//! The file beside the database that says whose it is: it is locked while a daemon has the history (reliability.md D7), and
//! tells the next one whether the database is as the last one left it.
//!
//! Somebody may put a copy in the place of the database: of yesterday, or of another directory. Nothing in it tells
//! that versions have been shown since that it knows nothing of. So each start notes here which file it found and how
//! many transactions that had seen; a file that is another, or has seen fewer, goes on from the clock (invariant 4).

use super::OpenError;
use super::open::beside;
use super::rights::open_or_create;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Held as long as the file is open. It is an advisory lock on a file beside the database: SQLite's own locks are
/// there for its transactions, and are lost when a process opens and closes the file by other means.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    /// What the last start noted.
    pub(super) mark: Mark,
}

/// What a start notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    /// Whether a history of ours was ever here.
    pub(super) is_ours: bool,
    /// How many transactions it had seen.
    commits: i64,
    /// Which file it was: device and inode.
    file: Option<(u64, u64)>,
    /// Whether something was found to be wrong with it, so that the next start has to look at all of it.
    pub(super) is_suspect: bool,
    /// Up to which versions may have been shown that are nowhere else.
    pub(super) shown: u64,
}

/// So many transactions that no file has seen them.
const NEVER: i64 = i64::MAX;

pub(super) fn path(database: &Path) -> PathBuf {
    beside(database, ".lock")
}

impl Lock {
    /// Takes the history at `database`, or says who has it.
    pub(super) fn take(database: &Path) -> Result<Lock, OpenError> {
        let path = path(database);
        let mut file = open_or_create(&path).map_err(|error| OpenError::io(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::HeldByDaemon(database.to_owned())),
            Err(TryLockError::Error(error)) => return Err(OpenError::io(&path, &error)),
        }
        let mut text = Vec::new();
        // What somebody else wrote there may be long.
        let _ = file.by_ref().take(1024).read_to_end(&mut text);
        Ok(Lock { file, path, mark: Mark::parse(&String::from_utf8_lossy(&text)) })
    }

    /// Whether a database that has seen `commits` transactions is the one that the last daemon left.
    pub(super) fn knows(&self, database: &Path, commits: i64) -> bool {
        self.mark.file.is_some() && self.mark.file == identity(database) && commits >= self.mark.commits
    }

    /// Notes that the database is in use from now on, having seen `commits` transactions. Without them the next start
    /// goes on from the clock, whatever it finds, and past `shown`, since the clock may have been set back.
    pub(super) fn note(&mut self, database: &Path, commits: Option<i64>, shown: u64) {
        let commits = commits.unwrap_or(NEVER);
        self.mark = Mark { is_ours: true, commits, file: identity(database), is_suspect: false, shown };
        // In one piece and in place, so that a full disk takes it, too. Should it not be written, versions jump at
        // the next start, and nothing worse.
        let text = self.mark.to_text();
        let length = u64::try_from(text.len()).unwrap_or_default();
        if let Err(error) =
            self.file.write_all_at(text.as_bytes(), 0).and_then(|()| self.file.set_len(length))
        {
            tracing::warn!(file = %self.path.display(), %error, "cannot be written");
        }
    }
}

/// Notes that the next start is to look at all of the database, as damage has been seen in it.
pub(super) fn suspect(database: &Path) -> io::Result<()> {
    let path = path(database);
    let mark = Mark::parse(&fs::read_to_string(&path)?);
    let text = Mark { is_suspect: true, ..mark }.to_text();
    open_or_create(&path)?.write_all_at(text.as_bytes(), 0)
}

/// Which file stands at a path while a daemon has it open. Whoever restores a backup beneath it, or moves the file away,
/// leaves it with one that nobody finds again: what is written there is lost, however well it is synced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing(Option<(u64, u64)>);

impl Standing {
    /// The file that stands there now.
    pub(super) fn at(database: &Path) -> Standing {
        Standing(identity(database))
    }

    /// Whether it stands there still. Where that cannot be seen, it does: a disk that fails says so by itself.
    pub(super) fn is_at(&self, database: &Path) -> bool {
        match fs::metadata(database) {
            Ok(metadata) => self.0.is_none_or(|file| file == (metadata.dev(), metadata.ino())),
            Err(error) => self.0.is_none() || error.kind() != io::ErrorKind::NotFound,
        }
    }
}

fn identity(database: &Path) -> Option<(u64, u64)> {
    fs::metadata(database).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Mark {
    fn parse(text: &str) -> Mark {
        let mut mark = Mark::default();
        for line in text.lines() {
            match line.split_once(' ') {
                None if line == "tkbd" => mark.is_ours = true,
                None if line == "suspect" => mark.is_suspect = true,
                Some(("commits", number)) => mark.commits = number.parse().unwrap_or(NEVER),
                Some(("shown", number)) => mark.shown = number.parse().unwrap_or_default(),
                Some(("file", file)) => {
                    mark.file = file
                        .split_once(':')
                        .and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
                }
                _ => {}
            }
        }
        mark
    }

    fn to_text(self) -> String {
        let mut text = format!("tkbd\ncommits {}\n", self.commits);
        if let Some((device, inode)) = self.file {
            text.push_str(&format!("file {device}:{inode}\n"));
        }
        if self.shown > 0 {
            text.push_str(&format!("shown {}\n", self.shown));
        }
        if self.is_suspect {
            text.push_str("suspect\n");
        }
        text
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes a copy of a lock file stand for the copy of its database, as if both were the first ones.
    pub(in super::super) fn restamp(database: &Path) {
        let mark = Mark::parse(&fs::read_to_string(path(database)).unwrap());
        fs::write(path(database), Mark { file: identity(database), ..mark }.to_text()).unwrap();
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        for mark in [
            Mark::default(),
            Mark { is_ours: true, commits: 7, file: Some((1, 2)), is_suspect: true, shown: 9 },
            Mark { is_ours: true, commits: NEVER, file: None, is_suspect: false, shown: 0 },
        ] {
            assert_eq!(Mark::parse(&mark.to_text()), Mark { is_ours: true, ..mark });
        }
        assert_eq!(Mark::parse(""), Mark::default());
        assert!(!Mark::parse("a letter\nto somebody").is_ours);
    }
}
