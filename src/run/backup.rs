//! From a setup to a copy of its history, and from a copy to its history, while a daemon runs with it or none does.

use crate::history::{self, BackupError, Progress, Ready, ReplaceError};
use crate::setup::Setup;
use std::path::Path;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoBackup {
    /// The setup keeps none.
    #[error("this setup keeps no history (history.enabled is false)")]
    NoHistory,
    /// It cannot be copied.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// It cannot be laid ready.
    #[error(transparent)]
    Restore(#[from] ReplaceError),
}

/// Copies the history of `setup` to `copy`; returns its size in bytes.
pub(crate) fn backup(setup: &Setup, copy: &Path, told: impl FnMut(Progress)) -> Result<u64, NoBackup> {
    if !setup.history.enabled {
        return Err(NoBackup::NoHistory);
    }
    Ok(history::backup(&setup.history.db, copy, told)?)
}

/// Lays `copy` ready for the next start with `setup`.
pub(crate) fn restore(setup: &Setup, copy: &Path, told: impl FnMut(Progress)) -> Result<Ready, NoBackup> {
    if !setup.history.enabled {
        return Err(NoBackup::NoHistory);
    }
    Ok(history::replace(&setup.history.db, copy, told)?)
}
