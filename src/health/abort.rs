//! The end of a process that can be trusted no more: who looks after it starts it anew, and it goes on from what was
//! acknowledged (reliability.md O5).

use std::time::Duration;

/// Says why, and ends the process at once, without another answer.
pub fn abort(why: &str) -> ! {
    tracing::error!("{why}; stopping, to be started anew");
    // The log is written by another thread, which is given the time.
    std::thread::sleep(Duration::from_millis(100));
    std::process::abort()
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::path::Path;
    use std::process::Command;
    use std::time::Duration;

    const CHILD: &str = "TKBD_TEST_ABORTS_IN";
    const SIGABRT: i32 = 6;

    /// Runs `act` in a process of its own, which is to abort meanwhile. `test` is the full name of the calling test,
    /// which is what that process runs.
    #[track_caller]
    pub(crate) fn assert_aborts(test: &str, dir: &Path, act: impl FnOnce(&Path)) {
        if let Some(dir) = std::env::var_os(CHILD) {
            act(Path::new(&dir));
            // What is to end it may be another thread.
            std::thread::sleep(Duration::from_secs(20));
            std::process::exit(0);
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args([test, "--exact", "--nocapture"]).env(CHILD, dir).output().unwrap();
        assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    }
}
