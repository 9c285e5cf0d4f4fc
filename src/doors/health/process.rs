//! What the system knows of this process. What it does not tell (another system, no /proc) is left out.

use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Figures of this process.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// Time on processors, in seconds.
    pub(super) cpu: Option<f64>,
    /// Bytes in memory.
    pub(super) resident: Option<u64>,
    /// Open files, sockets among them.
    pub(super) open_fds: Option<u64>,
    /// How many there may be; none: as many as there can.
    pub(super) max_fds: Option<u64>,
    /// When it was started, in seconds since 1970.
    pub(super) started: Option<f64>,
}

impl Process {
    pub(super) fn now() -> Process {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ticks = clock_ticks_per_second() as f64;
        Process {
            cpu: field(&stat, 14).zip(field(&stat, 15)).map(|(user, system)| (user + system) as f64 / ticks),
            resident: number(&status, "VmRSS:").map(|kibibytes| kibibytes * 1024),
            open_fds: open_fds(),
            max_fds: getrlimit(Resource::Nofile).current,
            started: started(&stat, ticks),
        }
    }
}

/// By how long ago it was: when the system was booted is told in /proc/stat, which is not there where the unit hides all
/// but processes. It is found once, since it would else move a little with each reading.
fn started(stat: &str, ticks: f64) -> Option<f64> {
    static STARTED: OnceLock<Option<f64>> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let up = Duration::try_from(clock_gettime(ClockId::Boottime)).ok()?.as_secs_f64();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        Some(now - (up - field(stat, 22)? as f64 / ticks))
    })
}

/// A field of /proc/self/stat, counted from 1 as in proc(5). The second is the program's name, in parentheses, and
/// may hold anything.
fn field(stat: &str, place: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(place.checked_sub(3)?)?.parse().ok()
}

/// The number behind a word that begins a line.
fn number(text: &str, word: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Linux from 6.2 on tells the number as the size of the directory; before, all of its entries are counted.
fn open_fds() -> Option<u64> {
    const PLACE: &str = "/proc/self/fd";
    match fs::metadata(PLACE).ok()?.len() {
        0 => Some(fs::read_dir(PLACE).ok()?.count() as u64),
        size => Some(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_a_name_that_holds_anything() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 100 0 0 0 11 22 0 0 20 0 3 0 4711 1000";
        assert_eq!([14, 15, 22].map(|place| field(stat, place)), [Some(11), Some(22), Some(4711)]);
        assert_eq!([0, 99].map(|place| field(stat, place)), [None, None]);
        assert_eq!(field("", 14), None);
        assert_eq!(number("VmPeak:\t9 kB\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12));
        assert_eq!(number("VmPeak:\t9 kB\n", "VmRSS:"), None);
    }
}
