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
    let mut told = Instant::now();
    let size = backup::backup(&setup, &arguments.file, |progress| {
        if told.elapsed() > TELL_EVERY && progress.all > 0 {
            told = Instant::now();
            let percent = progress.done * 100 / progress.all;
            // Whoever closed standard error wants the copy all the same.
            let _ = writeln!(stderr(), "{percent} % of {}", mebibytes(progress.all));
        }
    })
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

#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
