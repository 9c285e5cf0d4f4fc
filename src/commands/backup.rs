//! `tkbd backup`: a copy of the history, of a daemon that runs or of one that does not.

use super::arguments::BackupArguments;
use super::{Failure, run, text};
use crate::run::backup;
use std::io::{Write, stderr, stdout};
use std::time::{Duration, Instant};

/// How often it is told how far the copy is. What is done sooner is not told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Copies the history that the setup names.
pub(super) fn backup(arguments: &BackupArguments) -> Result<(), Failure> {
    let setup = run::load(&arguments.setup)?;
    let mut teller = Teller::new();
    let size = backup::backup(&setup, &arguments.file, |progress| teller.tell(progress.done, progress.all))
        .map_err(|error| Failure::other(error.to_string()))?;
    let (from, to) = (setup.history.db.display().to_string(), arguments.file.display().to_string());
    writeln!(
        stdout(),
        "{} is copied to {} ({}, checked)",
        text::plain(&from),
        text::plain(&to),
        mebibytes(size)
    )?;
    Ok(())
}

/// Says how far a copy is, now and then.
pub(super) struct Teller(Instant);

impl Teller {
    pub(super) fn new() -> Teller {
        Teller(Instant::now())
    }

    /// In bytes.
    pub(super) fn tell(&mut self, done: u64, all: u64) {
        if self.0.elapsed() > TELL_EVERY && all > 0 {
            self.0 = Instant::now();
            // Whoever closed standard error wants the copy all the same.
            let _ = writeln!(stderr(), "{} % of {}", done * 100 / all, mebibytes(all));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
pub(super) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
