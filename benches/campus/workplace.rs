//! Where the processes of a measurement keep their files: a directory on the disk that the build is on, gone at the
//! end however the end comes.

use crate::failure::{Outcome, While};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

/// A directory of this run.
pub(crate) struct Workplace {
    directory: TempDir,
    made: AtomicUsize,
}

impl Workplace {
    /// A new one. From here on, a signal that ends this process removes it first; the processes that were started
    /// end by themselves with this one.
    pub(crate) fn new() -> Outcome<Workplace> {
        // Not the system's directory for such things: that is memory on some machines, and an fsync there is none.
        let directory = tempfile::Builder::new()
            .prefix("campus-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .when("a directory for the measurement")?;
        clean_up_on_signals(directory.path().to_owned())?;
        Ok(Workplace { directory, made: AtomicUsize::new(0) })
    }

    /// An empty directory in it.
    pub(crate) fn directory(&self, name: &str) -> Outcome<PathBuf> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.path().join(format!("{number}-{name}"));
        std::fs::create_dir(&path).when(path.display())?;
        Ok(path)
    }

    /// All of it.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

fn clean_up_on_signals(directory: PathBuf) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        // What a process that is just ending still writes there is left; all else is gone.
        let _ = std::fs::remove_dir_all(&directory);
        std::process::exit(130);
    });
    Ok(())
}
