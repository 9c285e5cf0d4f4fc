//! What is recorded of the counts, and what a count that differs means.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;

/// Where it is recorded, from the root of the repository.
pub(crate) const PATH: &str = "benches/instructions.toml";

/// How many percent a count may be off. Ten runs of one program are up to 2 % apart, since hash maps are
/// seeded at random (most cases are within 0.1 %), and a change elsewhere moves a count by up to 1 %, since
/// other functions are inlined. So no run fails without a reason. What is let through is small: a needless
/// clone of a push of 400 PCs is 0.5 % of what it costs; one of a token for each held request is 7 to 18 %.
const TOLERANCE: f64 = 5.0;

/// The same, where another compiler or C library has made the program. Rust 1.97 was up to 3.1 % off what
/// 1.95 made; how far a C library goes that allocates otherwise is not known.
const TOLERANCE_OF_OTHERS: f64 = 15.0;

const HEADING: &str = "\
# Instructions an operation, as `cargo bench --locked --bench instructions` counts them. Not written by hand:
#
#     cargo bench --locked --bench instructions -- --record
#
# A change that makes a case dearer says why in its message; one that makes it cheaper records it, so that
# it stays so.

";

/// The counts of each case, and what they are of.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    made_by: Makers,
    instructions: BTreeMap<String, u64>,
}

/// What made the program that is counted: others make others of the same code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Makers {
    /// The compiler's version without the patch, as `1.95`.
    pub(crate) rustc: String,
    /// What it compiled for.
    pub(crate) target: String,
    /// The C library, whose memory is allocated and copied; empty where it does not say.
    pub(crate) libc: String,
}

/// What is to be said of the counts.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// What somebody should do something about some day.
    pub(crate) notes: Vec<String>,
    /// What must not stay.
    pub(crate) failures: Vec<String>,
}

impl Makers {
    /// Those that cargo takes here.
    pub(crate) fn present() -> Result<Makers, String> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc).arg("-vV").output();
        let output = output.map_err(|error| format!("rustc cannot be run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let release = value("release:").and_then(|release| release.rsplit_once('.'));
        let (Some((rustc, _)), Some(target)) = (release, value("host:")) else {
            return Err(format!("rustc -vV says no version:\n{text}"));
        };
        let libc = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
        let libc = libc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        Ok(Makers { rustc: rustc.into(), target: target.into(), libc: libc.unwrap_or_default() })
    }
}

impl fmt::Display for Makers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rust {} for {} with {}", self.rustc, self.target, self.libc)
    }
}

impl Baseline {
    pub(crate) fn new(made_by: Makers, instructions: BTreeMap<String, u64>) -> Baseline {
        Baseline { made_by, instructions }
    }

    pub(crate) fn read() -> Result<Baseline, String> {
        let text = std::fs::read_to_string(place()).map_err(|error| format!("{PATH}: {error}"))?;
        toml::from_str(&text).map_err(|error| format!("{PATH}: {error}"))
    }

    pub(crate) fn write(&self) -> Result<(), String> {
        let text = toml::to_string(self).map_err(|error| error.to_string())?;
        std::fs::write(place(), format!("{HEADING}{text}")).map_err(|error| format!("{PATH}: {error}"))
    }

    /// What is recorded of a case.
    pub(crate) fn recorded(&self, name: &str) -> Option<u64> {
        self.instructions.get(name).copied()
    }

    /// Judges the counts of all cases whose names begin so.
    pub(crate) fn judge(&self, now: &Makers, counts: &BTreeMap<String, u64>, beginning: &str) -> Verdict {
        let mut verdict = Verdict::default();
        const ANEW: &str = "If that is what is used from now on, record them anew, with no other change: \
                            cargo bench --locked --bench instructions -- --record";
        let recorded = &self.made_by;
        if recorded.target != now.target {
            // Instructions of another kind.
            verdict.notes.push(format!(
                "THE INSTRUCTIONS WERE NOT CHECKED: those in {PATH} are of {recorded}, and here is {now}. {ANEW}"
            ));
            return verdict;
        }
        let tolerance = if recorded == now { TOLERANCE } else { TOLERANCE_OF_OTHERS };
        if recorded != now {
            verdict.notes.push(format!(
                "THE INSTRUCTIONS WERE CHECKED LOOSELY, within {tolerance} %: those in {PATH} are of {recorded}, and \
                 here is {now}. {ANEW}"
            ));
        }
        let mut cheaper = Vec::new();
        for (name, count) in counts {
            let Some(recorded) = self.recorded(name) else {
                verdict.failures.push(format!("{name}: is not recorded"));
                continue;
            };
            let percent = percent(*count, recorded);
            if percent > tolerance {
                verdict.failures.push(format!(
                    "{name}: {count} instructions, {percent:+.1} % of what is recorded; at most {tolerance} % more may be"
                ));
            } else if percent < -tolerance {
                cheaper.push(format!("{name} ({percent:+.1} %)"));
            }
        }
        if !cheaper.is_empty() {
            verdict.notes.push(format!(
                "THE RECORDED INSTRUCTIONS ARE TOO MANY, and would let it become dearer again unseen: {}. Record them \
                 anew: cargo bench --locked --bench instructions -- --record",
                cheaper.join(", ")
            ));
        }
        let gone = self.instructions.keys().filter(|name| name.starts_with(beginning));
        for name in gone.filter(|name| !counts.contains_key(*name)) {
            verdict.failures.push(format!("{name}: is recorded, and there is no such case"));
        }
        verdict
    }
}

/// How many percent more `count` is.
pub(crate) fn percent(count: u64, than: u64) -> f64 {
    (count as f64 - than as f64) * 100.0 / than as f64
}

fn place() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH)
}
