//! What it was measured on.

use std::path::{Path, PathBuf};

/// The machine, and the file system below `directory`, in a line.
pub(crate) fn described(directory: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = value("/proc/meminfo", "MemTotal")
        .and_then(|text| text.strip_suffix(" kB")?.trim().parse::<f64>().ok());
    let memory =
        memory.map_or_else(|| "? GiB".to_owned(), |size| format!("{:.1} GiB", size / 1024.0 / 1024.0));
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // The version alone: what follows it names who has built it.
    let kernel = release.split(|c: char| c != '.' && !c.is_ascii_digit()).next().unwrap_or_default();
    let plural = if cores == 1 { "" } else { "s" };
    format!(
        "{}, {cores} core{plural}, {memory} of memory, Linux {}, the files on {}",
        cpu(),
        kernel.trim_end_matches('.'),
        file_system(directory).unwrap_or_else(|| "?".to_owned())
    )
}

/// The CPU by its name, or by its numbers where it has none (as in some virtual machines).
fn cpu() -> String {
    let of = |key: &str| value("/proc/cpuinfo", key);
    match of("model name").filter(|name| !name.is_empty() && name != "unknown") {
        Some(name) => name,
        None => {
            let part = |key: &str| of(key).unwrap_or_else(|| "?".to_owned());
            format!("{} family {} model {}", part("vendor_id"), part("cpu family"), part("model"))
        }
    }
}

/// What stands behind a key and a colon in a file of the system's.
fn value(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(of, value)| (of.trim(), value.trim()))
        .find(|(of, _)| *of == key)
        .map(|(_, value)| value.to_owned())
}

/// The type of the file system that a path is on.
fn file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = |line: &str| {
        let (place, file_system) = line.split_once(" - ")?;
        let point = PathBuf::from(place.split(' ').nth(4)?);
        Some((point, file_system.split(' ').next()?.to_owned()))
    };
    let around = mounts.lines().filter_map(mount).filter(|(point, _)| path.starts_with(point));
    // The innermost of those around it; of two on the same point the later one lies on top.
    around.max_by_key(|(point, _)| point.components().count()).map(|(_, file_system)| file_system)
}
