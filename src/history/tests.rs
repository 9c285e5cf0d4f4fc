//! The promises of the history as a whole, on real files.

use super::*;
use crate::core::version::Version;
use crate::health::assert_aborts;
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Wake};

/// A directory of its own for a history.
pub(super) struct Dir(pub(super) tempfile::TempDir);

impl Dir {
    pub(super) fn new() -> Dir {
        Dir(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap().join("history.db")
    }

    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What a loss of power would leave: the files as they are; a copy is not locked.
    pub(super) fn crashed(&self) -> Dir {
        let copy = Dir::new();
        for name in self.names().iter().filter(|name| !name.ends_with("-shm")) {
            fs::copy(self.0.path().join(name), copy.0.path().join(name)).unwrap();
        }
        if lock::path(&copy.path()).exists() {
            lock::tests::restamp(&copy.path());
        }
        copy
    }
}

pub(super) fn open_at(path: &Path) -> Result<(History, Restored), OpenError> {
    open(&Options { backlog: 8, ..Options::at(path) })
}

pub(super) fn versions(number: u64) -> Versions {
    let version = Version(number);
    Versions { occupation: version, room_map: version, schedule: version, tag_map: version }
}

/// The push that made `version`, at that second.
pub(super) fn push(version: u64, pc: &str, code: &str) -> Record {
    Record::Push {
        versions: versions(version),
        at: Timestamp(version.cast_signed()),
        source: Source::parse("login").unwrap(),
        states: [(PcName::parse(pc).unwrap(), Occupation::from_code(code).unwrap())].into(),
    }
}

/// All rows of a file, whoever has it open.
pub(super) fn rows(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let all = HistoricRange { offset: 0, count: 1000 };
    reader::rows(&connection, all).unwrap().1.iter().map(shown).collect()
}

pub(super) fn shown(row: &HistoricUpdate) -> String {
    format!("{} {} {} {}", row.pc, row.source, row.at.0, row.occupation.code())
}

pub(super) fn states(restored: &Restored) -> Vec<String> {
    restored.pcs.iter().map(|(pc, occupation)| format!("{pc} {}", occupation.code())).collect()
}

pub(super) async fn recorded(history: &History, record: Record) {
    history.reserve().unwrap().record(record).durable().await.unwrap();
}

pub(super) const DIGESTS: Digests = Digests { room_map: u64::MAX, schedule: 0, tag_map: 1 << 63 };

#[tokio::test]
async fn a_clean_stop_is_gone_on_from_as_it_was() {
    let dir = Dir::new();
    let (history, fresh) = open_at(&dir.path()).unwrap();
    assert_eq!((fresh.versions, fresh.digests), (Versions::default(), None));
    recorded(&history, push(1, "pc1", "wu")).await;
    recorded(&history, push(2, "pc2", "lf")).await;
    recorded(&history, push(3, "pc1", "o")).await;
    recorded(&history, Record::Versions(versions(4))).await;
    history.close(versions(4), DIGESTS).await.unwrap();
    assert_eq!(dir.names(), ["history.db", "history.db.lock"], "the log was tidied away");
    assert_eq!(history.reserve().err(), Some(Full));
    assert!(matches!(history.updates(HistoricRange { offset: 0, count: 1 }).await, Err(ReadError::Closed)));
    assert_eq!(history.close(versions(4), DIGESTS).await, Err(CloseError::Ended));
    assert!(!history.status().healthy());

    let (history, restored) = open_at(&dir.path()).unwrap();
    assert_eq!(states(&restored), ["pc1 o", "pc2 lf"]);
    assert_eq!(restored.sources, [Source::parse("login").unwrap()]);
    assert_eq!((restored.versions, restored.digests), (versions(4), Some(DIGESTS)));
    history.close(restored.versions, DIGESTS).await.unwrap();
}

#[tokio::test]
async fn an_acknowledged_record_outlasts_a_crash_and_no_shown_version_is_used_again() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    recorded(&history, push(1, "pc1", "wu")).await;
    let crashed = dir.crashed();
    let bound = 8 + writer::BATCH as u64;

    // Whatever the setting is at the next start: what counts is the backlog there was.
    let (after, restored) = open(&Options { backlog: 1, ..Options::at(&crashed.path()) }).unwrap();
    assert_eq!(states(&restored), ["pc1 wu"]);
    assert_eq!(rows(&crashed.path()), ["pc1 login 1 wu"]);
    assert_eq!((restored.versions, restored.digests), (versions(1 + bound), None));
    // The next crash, before anything was recorded, goes on from there.
    let (_, again) = open_at(&crashed.crashed().path()).unwrap();
    assert_eq!(again.versions, versions(1 + bound + 1 + writer::BATCH as u64));
    after.close(restored.versions, DIGESTS).await.unwrap();
}

#[tokio::test]
async fn rows_stand_in_the_order_in_which_they_were_recorded() {
    let dir = Dir::new();
    let (history, _) = open(&Options { backlog: 64, ..Options::at(&dir.path()) }).unwrap();
    let mut acknowledgements = Vec::new();
    for version in 0..500 {
        let place = loop {
            match history.reserve() {
                Ok(place) => break place,
                Err(Full) => tokio::task::yield_now().await,
            }
        };
        acknowledgements.push(place.record(push(version, &format!("pc{}", version % 7), "wu")));
    }
    for acknowledgement in acknowledgements {
        acknowledgement.durable().await.unwrap();
    }
    let found = history.updates(HistoricRange { offset: 0, count: 1000 }).await.unwrap();
    let times: Vec<_> = found.iter().map(|row| row.at.0).collect();
    assert_eq!(times, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_backlog_refuses_and_recovers_with_nothing_lost_or_doubled() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    let other = Connection::open(dir.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut acknowledgements = Vec::new();
    // The writer holds one batch at most, of unknown size; then eight places are taken, and no more.
    while let Ok(place) = history.reserve() {
        let version = acknowledgements.len() as u64 + 1;
        acknowledgements.push(place.record(push(version, "pc1", "wu")));
        std::thread::yield_now();
        assert!(acknowledgements.len() <= 8 + writer::BATCH, "the backlog has no bound");
    }
    while history.reserve().is_ok() {
        std::thread::yield_now();
    }
    assert!(history.status().backlog >= 8);
    assert!(history.reserve_spare().is_none());
    assert_eq!(rows(&dir.path()), [""; 0]);
    // Reads do not wait for the writer, nor it for them.
    assert!(history.updates(HistoricRange { offset: 0, count: 1 }).await.unwrap().is_empty());
    // Past the time another program's lock is waited for, so that the whole way of a failure is gone.
    tokio::time::timeout(Duration::from_secs(20), async {
        while history.status().healthy() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    other.execute_batch("COMMIT").unwrap();
    let count = acknowledgements.len();
    for acknowledgement in acknowledgements {
        acknowledgement.durable().await.unwrap();
    }
    let expected: Vec<_> = (1..=count).map(|version| format!("pc1 login {version} wu")).collect();
    assert_eq!(rows(&dir.path()), expected);
    assert_eq!(history.status(), Status::default());
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_durable() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    let other = Connection::open(dir.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut durable = Box::pin(history.reserve().unwrap().record(push(1, "pc1", "wu")).durable());
    let early = tokio::time::timeout(Duration::from_millis(300), &mut durable).await;
    assert!(early.is_err(), "acknowledged while nothing could be written");
    other.execute_batch("ROLLBACK").unwrap();
    durable.await.unwrap();
    assert_eq!(rows(&dir.crashed().path()), ["pc1 login 1 wu"]);
}

#[tokio::test]
async fn what_may_be_skipped_leaves_half_of_the_queue_to_pushes() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    let spare: Vec<_> = std::iter::from_fn(|| history.reserve_spare()).take(9).collect();
    assert_eq!(spare.len(), 4);
    assert!((0..4).map(|_| history.reserve()).collect::<Vec<_>>().iter().all(Result::is_ok));
    drop(spare);
    assert!(history.reserve_spare().is_some(), "places that were not used are free again");
}

#[tokio::test]
async fn a_close_records_what_had_a_place() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    let (place, handle) = (history.reserve().unwrap(), history.clone());
    let closing = tokio::spawn(async move { handle.close(versions(9), DIGESTS).await });
    while history.reserve().is_ok() {
        tokio::task::yield_now().await;
    }
    let acknowledgement = place.record(push(9, "pc1", "wu"));
    acknowledgement.durable().await.unwrap();
    closing.await.unwrap().unwrap();
    let (_, restored) = open_at(&dir.path()).unwrap();
    assert_eq!((states(&restored), restored.versions), (vec!["pc1 wu".to_owned()], versions(9)));
}

#[tokio::test]
async fn a_close_does_not_wait_for_ever_and_leaves_an_unclean_stop() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    recorded(&history, push(1, "pc1", "wu")).await;
    let other = Connection::open(dir.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(history.close(versions(1), DIGESTS).await, Err(CloseError::TimedOut));
    let crashed = dir.crashed();
    let (_, restored) = open_at(&crashed.path()).unwrap();
    assert!(restored.digests.is_none() && restored.versions.occupation > Version(1));
}

#[tokio::test]
async fn without_a_file_all_is_acknowledged_and_nothing_kept() {
    let history = History::none();
    recorded(&history, push(1, "pc1", "wu")).await;
    assert!(history.reserve_spare().is_some());
    assert_eq!(history.updates(HistoricRange { offset: 0, count: 9 }).await.unwrap(), []);
    assert_eq!(history.status(), Status::default());
    history.close(Versions::default(), DIGESTS).await.unwrap();
}

#[tokio::test]
async fn any_part_of_the_history_can_be_read_and_none_past_its_end() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    let read = async |offset, count| {
        let rows = history.updates(HistoricRange { offset, count }).await.unwrap();
        rows.iter().map(|row| row.at.0).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 10).await, [0; 0], "an empty history");
    for version in 1..=5 {
        recorded(&history, push(version, "pc1", "wu")).await;
    }
    let cases: [(u64, u32, &[i64]); 8] = [
        (0, 2, &[1, 2]),
        (3, 1, &[4]),
        (4, 1000, &[5]),
        (0, u32::MAX, &[1, 2, 3, 4, 5]),
        (0, 0, &[]),
        (5, 1, &[]),
        (i64::MAX.unsigned_abs(), 1, &[]),
        (u64::MAX, 1, &[]),
    ];
    for (offset, count, expected) in cases {
        assert_eq!(read(offset, count).await, expected, "{offset} {count}");
    }
}

#[tokio::test]
async fn a_name_that_looks_like_a_number_stays_as_it_was_pushed() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    for (version, pc) in [(1, "007"), (2, "1e999"), (3, "7"), (4, "0x10")] {
        recorded(&history, push(version, pc, "wu")).await;
    }
    history.close(versions(4), DIGESTS).await.unwrap();
    let (_, restored) = open_at(&dir.path()).unwrap();
    assert_eq!(states(&restored), ["007 wu", "1e999 wu", "7 wu", "0x10 wu"]);
    assert_eq!(rows(&dir.path())[..2], ["007 login 1 wu", "1e999 login 2 wu"]);
}

/// Somebody who waits for the disk, and panics on the writer's thread when it is told.
struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("what the writer called has panicked");
    }
}

#[test]
fn o5_a_panic_of_the_writer_ends_the_process_and_what_was_acknowledged_is_there() {
    let dir = Dir::new();
    let test = "history::tests::o5_a_panic_of_the_writer_ends_the_process_and_what_was_acknowledged_is_there";
    assert_aborts(test, dir.0.path(), |dir| {
        let path = dir.canonicalize().unwrap().join("history.db");
        let (history, _) = open_at(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(recorded(&history, push(1, "pc1", "wu")));
        // Not before somebody waits for it.
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut durable = pin!(history.reserve().unwrap().record(push(2, "pc1", "wf")).durable());
        let waker = Arc::new(Panicking).into();
        assert!(matches!(durable.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending));
        other.execute_batch("COMMIT").unwrap();
        // Who waits stays as long as the writer needs.
        std::thread::sleep(Duration::from_secs(20));
    });
    let (_, restored) = open_at(&dir.path()).unwrap();
    assert_eq!(states(&restored), ["pc1 wf"]);
    assert!(restored.digests.is_none(), "it did not stop in order");
}
