//! Who else may read the files of a history: nobody (reliability.md O7). They tell who was where and when, and hold the
//! names of channels, which are all that a channel asks for.

use super::open::beside;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What SQLite keeps beside the database, and we do.
pub(super) const BESIDE: [&str; 5] = ["", "-wal", "-shm", "-journal", ".lock"];

/// What the owner alone may do.
const OWN: u32 = 0o600;

/// Creates a file that was not there, for its owner alone, whatever the umask is. SQLite gives the rights of the
/// database to all that it makes beside it.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(OWN).open(path)
}

/// Opens a file for writing, and creates it for its owner alone where there is none.
pub(super) fn open_or_create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(OWN).open(path)
}

/// Takes the rights of others from the files of the history at `path`, as far as they have any. Where that cannot be
/// done, as with a file of another user, it is said and the daemon serves: a display that goes dark helps nobody.
pub(super) fn narrow(path: &Path) {
    for file in BESIDE.map(|suffix| beside(path, suffix)) {
        match narrow_one(&file) {
            Ok(None) => {}
            Ok(Some(mode)) => {
                let had = format!("{mode:03o}");
                tracing::warn!(file = %file.display(), had, "others could read the history; now its owner alone can");
            }
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "others can read the history; `chmod 600` it");
            }
        }
    }
}

/// The rights there were, where they were wider than the owner's.
fn narrow_one(file: &Path) -> io::Result<Option<u32>> {
    let mode = match fs::metadata(file) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if mode & 0o077 == 0 {
        return Ok(None);
    }
    fs::set_permissions(file, Permissions::from_mode(mode & 0o700))?;
    Ok(Some(mode))
}
