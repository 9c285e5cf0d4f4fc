//! Single faults, written down step by step: what a drawn run meets seldom, or not at a place that it could name.

use super::disk::{Disk, End, Fault};
use super::run::once;
use super::vfs::{self, disk};
use super::{alone, place};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use tkbd::core::message::HistoricRange;
use tkbd::core::pc::{Occupation, PcName};
use tkbd::core::source::{Source, Timestamp};
use tkbd::core::version::{Version, Versions};
use tkbd::history::{Clock, Driven, History, OpenError, Options, Record, Restored, Step, open_driven};

/// What of a file that was not synced is kept is drawn: so often it is tried.
const DRAWS: u64 = 20;

struct Daemon {
    history: History,
    driven: Driven,
    restored: Restored,
}

impl Daemon {
    fn start(options: &Options) -> Daemon {
        vfs::show(&options.path);
        let clock = Clock::Set(Arc::new(AtomicI64::new(1_700_000_000)));
        let (history, restored, driven) = open_driven(options, clock).unwrap();
        assert!(restored.salvaged.is_none(), "{restored:?}");
        Daemon { history, driven, restored }
    }

    /// Pushes once, and tells what one try to write that came to.
    fn push(&mut self, number: u64) -> Step {
        let version = Version(number);
        let versions =
            Versions { occupation: version, room_map: version, schedule: version, tag_map: version };
        let record = Record::Push {
            versions,
            at: Timestamp(number.cast_signed()),
            source: Source::parse("login").unwrap(),
            states: [(PcName::parse("pc1").unwrap(), Occupation::from_code("wu").unwrap())].into(),
        };
        drop(self.history.reserve().unwrap().record(record));
        self.driven.write()
    }

    /// The times of all rows, which are the numbers of their pushes.
    fn rows(&mut self) -> Vec<i64> {
        let mut reading = Box::pin(self.history.updates(HistoricRange { offset: 0, count: 100 }));
        assert!(once(reading.as_mut()).is_none());
        assert!(self.driven.read());
        once(reading.as_mut()).unwrap().unwrap().into_iter().map(|row| row.at.0).collect()
    }
}

/// A daemon whose last push is in the log, which could not be synced, is killed; then another starts.
fn killed_after_a_failed_fsync(draw: u64, options: &Options) {
    vfs::replace(draw);
    let mut daemon = Daemon::start(options);
    assert_eq!(daemon.push(1), Step::Wrote);
    disk(|disk| disk.unsyncable = true);
    assert!(matches!(daemon.push(2), Step::Failed(_)));
    drop(daemon);
    vfs::restart(End::Kill);
    disk(Disk::mend);
}

#[test]
fn d5_a_start_builds_on_nothing_in_the_log_that_the_last_daemon_could_not_sync() {
    let _alone = alone();
    for draw in 0..DRAWS {
        let (_place, options) = place();
        killed_after_a_failed_fsync(draw, &options);
        let mut daemon = Daemon::start(&options);
        assert_eq!(daemon.rows(), [1, 2]);
        assert_eq!(daemon.push(3), Step::Wrote);
        drop(daemon);
        vfs::restart(End::Loss);
        assert_eq!(Daemon::start(&options).rows(), [1, 2, 3], "draw {draw}");
    }
}

#[test]
fn d5_nor_does_one_that_another_programs_lock_has_kept_from_writing() {
    let _alone = alone();
    for draw in 0..DRAWS {
        let (_place, options) = place();
        killed_after_a_failed_fsync(draw, &options);
        disk(|disk| disk.locked = true);
        let mut daemon = Daemon::start(&options);
        assert!(daemon.restored.versions.occupation.0 >= 1_700_000_000_000, "it goes on from the clock");
        assert!(matches!(daemon.push(3), Step::Failed(_)));
        disk(Disk::mend);
        assert_eq!(daemon.driven.write(), Step::Wrote);
        drop(daemon);
        vfs::restart(End::Loss);
        assert_eq!(Daemon::start(&options).rows(), [1, 2, 3], "draw {draw}");
    }
}

#[test]
fn k1_starts_that_another_programs_lock_kept_from_writing_share_no_version_though_the_clock_stands_still() {
    let _alone = alone();
    let (_place, options) = place();
    vfs::replace(0);
    drop(Daemon::start(&options));
    let mut highest = 0;
    for start in 0..4 {
        vfs::restart(End::Kill);
        disk(|disk| disk.locked = start < 3);
        let mut daemon = Daemon::start(&options);
        let begins = daemon.restored.versions.occupation.0;
        assert!(begins > highest, "start {start}: {begins}, and {highest} was shown");
        highest = begins + 1;
        daemon.push(highest);
    }
}

#[test]
fn d4_a_read_that_fails_once_is_taken_for_damage_at_no_point_of_a_start() {
    let _alone = alone();
    let (_place, options) = place();
    vfs::replace(0);
    let mut daemon = Daemon::start(&options);
    for number in 1..=50 {
        assert_eq!(daemon.push(number), Step::Wrote);
    }
    drop(daemon);
    let mut after = 0;
    loop {
        after += 1;
        vfs::restart(End::Kill);
        vfs::show(&options.path);
        disk(|disk| disk.plan(after, Fault::Read));
        let opened = open_driven(&options, Clock::System);
        let struck = disk(|disk| disk.is_well());
        disk(Disk::mend);
        match opened {
            Ok((_, restored, _)) => assert!(restored.salvaged.is_none(), "the read number {after}"),
            Err(error) => {
                assert!(matches!(error, OpenError::Disk { .. }), "the read number {after}: {error}");
            }
        }
        if !struck {
            break;
        }
    }
    assert!(after > 20, "a start reads {after} times");
    assert_eq!(Daemon::start(&options).rows(), (1..=50).collect::<Vec<i64>>());
}
