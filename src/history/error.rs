//! What can go wrong with the history: one enum an operation, a variant a thing the caller can do about it.

use rusqlite::ErrorCode;
use std::io;
use std::path::{Path, PathBuf};

/// Why the history could not be opened. What the file held is as it was, whatever the variant.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path leads nowhere, or to what cannot be written: the setup has to change (reliability.md D2).
    #[error(
        "{}: {reason}; give history.db a path in a directory that the daemon's user can write", path.display()
    )]
    Unusable {
        /// The path of the setup.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Another daemon has this history (reliability.md D7).
    #[error("{} is in use by another tkbd; stop that one, or give this one a history of its own", .0.display())]
    HeldByDaemon(PathBuf),
    /// Another program kept the file locked for longer than is waited (reliability.md D3).
    #[error("{} is locked by another program; end the program that writes to it, then start again", .0.display())]
    HeldByProgram(PathBuf),
    /// A later release wrote the file.
    #[error(
        "{} has schema {found}, this release knows {known}; run the newer release, or restore an older file", path.display()
    )]
    Newer {
        /// The path of the setup.
        path: PathBuf,
        /// What the file has.
        found: i64,
        /// What this release knows.
        known: i64,
    },
    /// It is no history: another program's database, or no database at all.
    #[error("{} is not a history ({reason}); move it away, or give the history another path", path.display())]
    Foreign {
        /// The path of the setup.
        path: PathBuf,
        /// By what it was recognised.
        reason: String,
    },
    /// The file is a history and cannot be read as one.
    #[error("{} is damaged ({reason}); move it away and restore a copy, or start without it", path.display())]
    Damaged {
        /// The path of the setup.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The original's database could not be brought over; it is as it was (reliability.md D8).
    #[error("{} could not be adopted ({reason}); it is unchanged: solve this, then start again", path.display())]
    Adoption {
        /// The path of the setup.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
    /// The disk is full or failing: it may work later.
    #[error("{} could not be opened ({reason}); check the disk and its free space, then start again", path.display())]
    Disk {
        /// The path of the setup.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

impl OpenError {
    /// What SQLite's error means for somebody who opens `path`.
    pub(super) fn sqlite(path: &Path, error: &rusqlite::Error) -> OpenError {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            // The last is what SQLite says when the log's index stays locked for ten seconds.
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed,
            ) => OpenError::HeldByProgram(path),
            Some(ErrorCode::NotADatabase) => OpenError::Foreign { path, reason },
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                OpenError::Unusable { path, reason }
            }
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory) => {
                OpenError::Disk { path, reason }
            }
            _ => OpenError::Damaged { path, reason },
        }
    }

    /// What the system's error means for somebody who opens `path`.
    pub(super) fn io(path: &Path, error: &io::Error) -> OpenError {
        OpenError::io_at(path, error, error.to_string())
    }

    /// The same, where the error is better told in other words.
    pub(super) fn io_at(path: &Path, error: &io::Error, reason: String) -> OpenError {
        use io::ErrorKind::{
            InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied,
            ReadOnlyFilesystem,
        };
        let path = path.to_owned();
        match error.kind() {
            // What another path or other rights would mend. All else may pass: a disk that fails, or is away.
            NotFound | PermissionDenied | NotADirectory | IsADirectory | ReadOnlyFilesystem
            | InvalidFilename | InvalidInput => OpenError::Unusable { path, reason },
            _ => OpenError::Disk { path, reason },
        }
    }
}

/// As many records wait as may: apply nothing, and ask the pusher to come back (reliability.md P10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the history's backlog is full; check the disk that holds it")]
pub struct Full;

/// The writer ended before this record was on the disk; it is lost unless the state is saved otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the history ended before this was recorded; restart the daemon")]
pub struct NotDurable;

/// Why a part of the history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// As many reads wait as may: ask again later.
    #[error("too many reads of the history wait; ask again later")]
    Busy,
    /// The history was closed.
    #[error("the history is closed; restart the daemon")]
    Closed,
    /// The file could not be read.
    #[error("the history cannot be read ({0}); check the disk that holds it")]
    Failed(String),
}

/// Why the history was not closed cleanly. What was acknowledged is safe all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// What waits could not be written in the time there is.
    #[error("the history could not be finished in time; records that were not acknowledged may be lost")]
    TimedOut,
    /// The writer has ended before.
    #[error("the history had ended before it was closed; see the log for the reason")]
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn d2_what_another_path_would_not_mend_is_a_trouble_of_the_disk_that_may_pass() {
        use rustix::io::Errno;
        let told = |errno: Errno| OpenError::io(Path::new("h.sqlite3"), &errno.into());
        for errno in [Errno::IO, Errno::STALE, Errno::MFILE, Errno::NOSPC, Errno::TIMEDOUT, Errno::AGAIN] {
            assert!(matches!(told(errno), OpenError::Disk { .. }), "{errno:?}");
        }
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::PERM, Errno::NOTDIR, Errno::ISDIR, Errno::ROFS] {
            assert!(matches!(told(errno), OpenError::Unusable { .. }), "{errno:?}");
        }
        assert!(matches!(told(Errno::NAMETOOLONG), OpenError::Unusable { .. }));
    }

    #[test]
    fn d3_a_log_that_stays_locked_while_it_is_opened_is_no_damage() {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_PROTOCOL), None);
        let told = OpenError::sqlite(Path::new("h.sqlite3"), &error);
        assert!(matches!(told, OpenError::HeldByProgram(_)), "{told:?}");
    }
}
