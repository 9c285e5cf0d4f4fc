//! How the history is doing: what is wrong with it, by name, for who looks after the daemon.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

/// What is said where another file stands in the place of the history, or none. The log that lies beside it would be
/// read into whatever stands there at the next start.
pub(super) const EXCHANGED: &str = "another file stands in the place of the history, or none; put it back, or stop the \
    daemon, remove the file with -wal behind its name, and start it";

/// How the history is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// How many records are not on the disk yet; places that were taken count.
    pub backlog: usize,
    /// Why nothing can be written at present, if nothing can.
    pub trouble: Option<String>,
    /// All that is wrong, the worst first.
    pub troubles: Vec<Trouble>,
}

impl Status {
    /// Whether records reach the disk.
    pub fn healthy(&self) -> bool {
        self.trouble.is_none()
    }
}

/// What is wrong with a history. Its text is one line, and says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing can be written; pushes wait in the backlog (reliability.md D1, D3).
    Unwritable {
        /// What SQLite says.
        reason: String,
    },
    /// The file that is in use is damaged; the next start puts it aside (reliability.md D4).
    Damaged {
        /// What was found.
        reason: String,
    },
    /// Another file stands in the place of the one that is in use, or none.
    Exchanged,
    /// A damaged file was put aside, and still lies there to be looked at (reliability.md D4).
    PutAside {
        /// Where.
        file: PathBuf,
    },
    /// SQLite's log has grown beyond its bound (reliability.md D9).
    LogLarge {
        /// How many bytes it has.
        bytes: u64,
    },
    /// Rows are not counted, and old ones not removed.
    Uncounted {
        /// What SQLite says.
        reason: String,
    },
    /// The thread that writes is gone, or the history was closed.
    Ended,
}

impl Trouble {
    /// Its name, as for a metric: lower-case letters and underscores.
    pub fn name(&self) -> &'static str {
        match self {
            Trouble::Unwritable { .. } => "unwritable",
            Trouble::Damaged { .. } => "damaged",
            Trouble::Exchanged => "exchanged",
            Trouble::PutAside { .. } => "put_aside",
            Trouble::LogLarge { .. } => "log_large",
            Trouble::Uncounted { .. } => "uncounted",
            Trouble::Ended => "ended",
        }
    }
}

impl Display for Trouble {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Unwritable { reason } => {
                write!(
                    f,
                    "the history cannot be written ({reason}); see to the disk, or end what has locked it"
                )
            }
            Trouble::Damaged { reason } => {
                write!(
                    f,
                    "the history is damaged ({reason}); restart the daemon, which saves what can be read"
                )
            }
            Trouble::Exchanged => f.write_str(EXCHANGED),
            Trouble::PutAside { file } => {
                write!(f, "a damaged history was put aside; look at {}, then move it away", file.display())
            }
            Trouble::LogLarge { bytes } => write!(
                f,
                "the history's log has {} MiB; end the program that has been reading the history for long",
                bytes >> 20
            ),
            Trouble::Uncounted { reason } => {
                write!(f, "the history is not counted, and no old row removed ({reason}); see to the file")
            }
            Trouble::Ended => write!(f, "the history has ended; restart the daemon"),
        }
    }
}
