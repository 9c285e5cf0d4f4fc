//! A copy that is to take the place of a history. It is laid ready beside it, whole and checked, and the next start puts
//! it there: that one has the history to itself. So a daemon may run meanwhile, and nobody has to keep systemd from
//! starting one, which it does as soon as anybody connects to a socket of its.

use super::backup::{BackupError, Progress, backup};
use super::open::{beside, resolve, sync_directory};
use super::salvage::{exchange, gone};
use super::{OpenError, probe};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

/// The copy while it is made, and when it is whole.
const PART: &str = ".restore-part";
const READY: &str = ".restore";

/// A copy that lies ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Where. Who removes it has changed nothing.
    pub path: PathBuf,
    /// How many bytes it has.
    pub size: u64,
}

/// Why there is none. The history is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// What is to be restored is of a later release, or the history's place is of no use.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be copied, or is no history.
    #[error(transparent)]
    Copy(#[from] BackupError),
}

/// Lays a copy of the history at `copy` ready for the next start with the history at `history`, which need not be there;
/// one that lay ready before is replaced. Calls `told` now and then. It blocks.
///
/// # Errors
/// See [`ReplaceError`].
pub fn replace(history: &Path, copy: &Path, told: impl FnMut(Progress)) -> Result<Ready, ReplaceError> {
    let history = resolve(history)?;
    if copy.is_file() {
        probe::known(copy)?;
    }
    let (part, ready) = (beside(&history, PART), beside(&history, READY));
    let unwritable =
        |error: io::Error| BackupError::Unwritable { path: ready.clone(), reason: error.to_string() };
    // What a try before this one has left.
    gone(&part).map_err(unwritable)?;
    let size = backup(copy, &part, told)?;
    let laid = give(&part, &history).and_then(|()| fs::rename(&part, &ready));
    if laid.is_err() {
        let _ = gone(&part);
    }
    laid.and_then(|()| history.parent().map_or(Ok(()), sync_directory)).map_err(unwritable)?;
    Ok(Ready { path: ready, size })
}

/// Gives `file` to whose the history is, where root has made it; the daemon could not open it else.
fn give(file: &Path, history: &Path) -> io::Result<()> {
    let owner = match fs::metadata(history) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::metadata(history.parent().unwrap_or(Path::new(".")))
        }
        found => found,
    }?;
    // Not what a link leads to: the directory belongs to another than root.
    let made = fs::symlink_metadata(file)?;
    if (made.uid(), made.gid()) == (owner.uid(), owner.gid()) {
        return Ok(());
    }
    lchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// Puts the copy that lies ready, if one does, in the place of the history at `path`, which is kept under another name.
/// Only who has the lock may call it; what a stop has cut short is gone on from.
pub(super) fn resume(path: &Path) -> Result<(), OpenError> {
    let ready = beside(path, READY);
    // One that cannot be used is not exchanged for one that can.
    match OpenOptions::new().read(true).write(true).open(&ready) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => drop(opened.map_err(|error| OpenError::io(&ready, &error))?),
    }
    let kept = exchange(path, &ready, "replaced").map_err(|error| OpenError::io(path, &error))?;
    let kept = kept.unwrap_or_default();
    tracing::warn!(
        path = %path.display(), kept = %kept.display(),
        "a copy has taken the place of the history, as `tkbd restore` was told; what there was before is kept"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DIGESTS, Dir, open_at, push, recorded, versions};
    use super::*;

    /// A history that two pushes came to, and a copy of it that has the first alone.
    async fn history_and_copy() -> (Dir, PathBuf) {
        let dir = Dir::new();
        let (history, _) = open_at(&dir.path()).unwrap();
        recorded(&history, push(1, "pc1", "wu")).await;
        let copy = beside(&dir.path(), ".copy");
        backup(&dir.path(), &copy, |_| {}).unwrap();
        recorded(&history, push(2, "pc2", "wf")).await;
        history.close(versions(2), DIGESTS).await.unwrap();
        (dir, copy)
    }

    #[tokio::test]
    async fn an_exchange_that_was_cut_short_is_gone_on_from() {
        for cut_short in [false, true] {
            let (dir, copy) = history_and_copy().await;
            let ready = replace(&dir.path(), &copy, |_| {}).unwrap();
            assert_eq!(ready.size, fs::metadata(&ready.path).unwrap().len());
            if cut_short {
                fs::rename(dir.path(), beside(&dir.path(), ".replaced-before")).unwrap();
            }
            let (history, restored) = open_at(&dir.path()).unwrap();
            assert_eq!(restored.pcs.len(), 1);
            assert!(restored.versions.occupation.0 > 2, "past all that was shown");
            history.close(versions(9), DIGESTS).await.unwrap();
            let kept: Vec<String> =
                dir.names().into_iter().filter(|name| name.contains(".replaced-")).collect();
            assert_eq!(kept.len(), 1, "{kept:?}");
            assert!(!ready.path.exists() && copy.exists());
            assert_eq!(open_at(&dir.path()).unwrap().1.pcs.len(), 1, "once is enough");
        }
    }

    #[tokio::test]
    async fn a_history_that_is_not_there_is_restored_and_belongs_to_the_owner_of_its_directory() {
        let (dir, copy) = history_and_copy().await;
        fs::remove_file(dir.path()).unwrap();
        let nobody = rustix::process::geteuid().is_root().then_some(65_534);
        std::os::unix::fs::chown(dir.path().parent().unwrap(), nobody, nobody).unwrap();
        let ready = fs::metadata(replace(&dir.path(), &copy, |_| {}).unwrap().path).unwrap();
        let owner = fs::metadata(dir.path().parent().unwrap()).unwrap();
        assert_eq!((ready.uid(), ready.gid(), ready.mode() & 0o777), (owner.uid(), owner.gid(), 0o600));
        assert_eq!(open_at(&dir.path()).unwrap().1.pcs.len(), 1);
    }
}
