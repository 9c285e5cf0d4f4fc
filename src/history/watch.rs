//! The thread that looks after the file while others use it: it checks a large one whole after the start (reliability.md D4),
//! and sees whether it stands in its place, whether the log grows beyond its bound (D9) and whether a damaged file still
//! lies there.

use super::check;
use super::lock::{self, Standing};
use super::open::beside;
use super::salvage;
use super::status::{EXCHANGED, Trouble};
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{fs, io, thread};
use tokio::sync::{oneshot, watch};

/// How often it looks. A log grows by some MiB in this time at most.
const EVERY: Duration = Duration::from_secs(2);

/// How often at most the log is complained about; another program may let go and come back.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// A handle on the watcher; it ends with the last one.
#[derive(Clone)]
pub(super) struct Watching {
    found: watch::Receiver<Vec<Trouble>>,
    end: mpsc::Sender<oneshot::Sender<()>>,
    check: Arc<OnceLock<InterruptHandle>>,
}

impl Watching {
    /// Starts the thread for the file at `path`; `is_unchecked` says that it is yet to be looked at whole.
    pub(super) fn start(path: &Path, is_unchecked: bool, log_alarm: u64) -> io::Result<Watching> {
        let mut watcher = Watcher {
            path: path.to_owned(),
            file: Standing::at(path),
            is_exchanged: false,
            log_alarm,
            aside: salvage::put_aside(path),
            damage: None,
            is_large: false,
            told: None,
        };
        // What is there at the start is told from the start.
        let (troubles, found) = watch::channel(watcher.look());
        let (end, ended) = mpsc::channel::<oneshot::Sender<()>>();
        let check = Arc::new(OnceLock::new());
        let interrupt = Arc::clone(&check);
        thread::Builder::new().name("history-watch".into()).spawn(move || {
            if is_unchecked {
                watcher.check(&interrupt);
            }
            loop {
                troubles.send_replace(watcher.look());
                match ended.recv_timeout(EVERY) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                    Ok(done) => {
                        let _ = done.send(());
                        return;
                    }
                }
            }
        })?;
        Ok(Watching { found, end, check })
    }

    /// What is wrong, as far as it has been seen.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        self.found.borrow().clone()
    }

    /// Ends the thread, and what it is at.
    pub(super) async fn end(&self) {
        let (done, ended) = oneshot::channel();
        if self.end.send(done).is_ok() {
            if let Some(check) = self.check.get() {
                check.interrupt();
            }
            let _ = ended.await;
        }
    }
}

struct Watcher {
    path: PathBuf,
    file: Standing,
    is_exchanged: bool,
    log_alarm: u64,
    aside: Vec<PathBuf>,
    damage: Option<String>,
    is_large: bool,
    told: Option<Instant>,
}

impl Watcher {
    /// Looks at every page. It takes seconds, in which others read and write; the log is not written back meanwhile.
    fn check(&mut self, interrupt: &OnceLock<InterruptHandle>) {
        let begun = Instant::now();
        let found = check::read_only(&self.path).and_then(|connection| {
            let _ = interrupt.set(connection.get_interrupt_handle());
            check::quick(&connection)
        });
        let (path, took) = (self.path.display(), begun.elapsed());
        match found {
            Ok(Ok(())) => tracing::info!(%path, ?took, "the history was checked, and is whole"),
            Ok(Err(what)) => {
                tracing::error!(%path, what, "the history is damaged; restart the daemon, which saves what can be read");
                if let Err(error) = lock::suspect(&self.path) {
                    tracing::warn!(%path, %error, "the next start cannot be told of the damage");
                }
                self.damage = Some(what);
            }
            Err(error) => tracing::debug!(%path, %error, "the history was not checked to its end"),
        }
    }

    fn look(&mut self) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        troubles.extend(self.damage.clone().map(|reason| Trouble::Damaged { reason }));
        if self.is_exchanged() {
            troubles.push(Trouble::Exchanged);
            // The log that lies there is not ours to shorten.
            return troubles;
        }
        self.aside.retain(|file| fs::symlink_metadata(file).is_ok());
        troubles.extend(self.aside.iter().map(|file| Trouble::PutAside { file: file.clone() }));
        let bytes = self.log();
        if bytes > self.log_alarm {
            troubles.push(Trouble::LogLarge { bytes });
        }
        troubles
    }

    fn is_exchanged(&mut self) -> bool {
        let is_exchanged = !self.file.is_at(&self.path);
        if is_exchanged != std::mem::replace(&mut self.is_exchanged, is_exchanged) {
            let path = self.path.display();
            if is_exchanged {
                tracing::error!(%path, "{EXCHANGED}");
            } else {
                tracing::warn!(%path, "the history stands in its place again");
            }
        }
        is_exchanged
    }

    /// How large the log is, after what can be done about it.
    fn log(&mut self) -> u64 {
        let size = || fs::metadata(beside(&self.path, "-wal")).map_or(0, |log| log.len());
        let mut bytes = size();
        if bytes > self.log_alarm {
            let _ = shorten(&self.path);
            bytes = size();
        }
        let (path, is_large) = (self.path.display(), bytes > self.log_alarm);
        if is_large && !self.is_large && self.told.is_none_or(|told| told.elapsed() > TELL_EVERY) {
            self.told = Some(Instant::now());
            tracing::warn!(
                %path, bytes,
                "the history's log is large and cannot be written back: another program has been reading for long"
            );
        }
        self.is_large = is_large;
        bytes
    }
}

/// Writes the log back as far as readers let it, then empties it if none uses it. Nobody is waited for; the writer waits
/// for the second part, which has next to nothing left to do.
fn shorten(path: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.busy_timeout(Duration::ZERO)?;
    let part = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    part("PRAGMA wal_checkpoint(PASSIVE)")?;
    part("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DIGESTS, Dir, push, recorded};
    use super::super::{History, Options, open};
    use super::*;

    async fn until(history: &History, is: impl Fn(&[Trouble]) -> bool) {
        let waiting = async {
            while !is(&history.status().troubles) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert!(waited.is_ok(), "{:?}", history.status());
    }

    #[tokio::test]
    async fn d9_a_log_that_another_program_keeps_growing_is_told_until_that_lets_go() {
        let dir = Dir::new();
        let log = || fs::metadata(beside(&dir.path(), "-wal")).unwrap().len();
        // SQLite writes its log back at four megabytes: beyond that it has not been able to.
        let log_alarm = 5 << 20;
        let (history, restored) = open(&Options { log_alarm, ..Options::at(&dir.path()) }).unwrap();
        recorded(&history, push(1, "pc0", "wu")).await;
        let other = Connection::open(dir.path()).unwrap();
        other.execute_batch("BEGIN; SELECT count(*) FROM pcs").unwrap();
        let mut version = 1;
        while log() <= log_alarm {
            // Each in a transaction of its own, which is a few pages of the log.
            version += 1;
            recorded(
                &history,
                push(version, &format!("pc{}", version % 97), if version % 2 == 0 { "wu" } else { "wf" }),
            )
            .await;
            assert!(version < 5_000, "the log does not grow: {}", log());
        }
        until(&history, |troubles| matches!(troubles, [Trouble::LogLarge { bytes }] if *bytes > log_alarm))
            .await;
        assert!(history.status().healthy(), "records reach the disk all the same");
        recorded(&history, push(version + 1, "pc0", "lu")).await;
        other.execute_batch("COMMIT").unwrap();
        until(&history, <[Trouble]>::is_empty).await;
        assert!(log() < log_alarm, "nobody had to write for that: {}", log());
        history.close(restored.versions, DIGESTS).await.unwrap();
    }

    #[tokio::test]
    async fn d4_a_file_that_is_too_large_to_be_checked_before_the_start_is_checked_after_it() {
        let dir = Dir::new();
        let (history, restored) = open(&Options::at(&dir.path())).unwrap();
        history.close(restored.versions, DIGESTS).await.unwrap();
        let connection = Connection::open(dir.path()).unwrap();
        connection
            .execute_batch(
                "PRAGMA synchronous = OFF;
                 INSERT INTO sources VALUES (1, 'login', 0);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
                     INSERT INTO pcs SELECT i, 'pc' || i, 0, 'wu' FROM n;
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000)
                     INSERT INTO occupationUpdates SELECT i, 1 + i % 100, 1, 1700000000 + i, 'wu' FROM n;",
            )
            .unwrap();
        drop(connection);
        let file = fs::OpenOptions::new().write(true).open(dir.path()).unwrap();
        let middle = file.metadata().unwrap().len() / 2 / 4096 * 4096;
        assert!(middle * 2 > 16 << 20, "{middle}");
        std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 4096], middle).unwrap();

        let (history, restored) = open(&Options::at(&dir.path())).unwrap();
        assert_eq!((restored.pcs.len(), restored.salvaged), (100, None));
        until(&history, |troubles| matches!(troubles, [Trouble::Damaged { .. }])).await;
        history.close(restored.versions, DIGESTS).await.unwrap();
        // The next start knows, and looks at all of it before it begins.
        let (history, restored) = open(&Options::at(&dir.path())).unwrap();
        let salvaged = restored.salvaged.unwrap();
        assert!((490_000..=500_000).contains(&salvaged.rows), "{salvaged:?}");
        assert_eq!(history.status().troubles, [Trouble::PutAside { file: salvaged.damaged }]);
        fs::remove_file(&salvage::put_aside(&dir.path())[0]).unwrap();
        until(&history, <[Trouble]>::is_empty).await;
        history.close(restored.versions, DIGESTS).await.unwrap();
    }
}
