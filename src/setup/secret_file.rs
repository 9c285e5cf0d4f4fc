//! Secrets, and the files that they stand in (reliability.md O7).

use super::mistake::Refusal;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The longest secret.
const LONGEST: usize = 4_096;

/// A secret: it is shown to nobody, developers included.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn parse(text: &str) -> Result<Secret, Refusal> {
        let text = text.trim();
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::new("wants a token, which is printable ASCII without blanks"));
        }
        Ok(Secret(text.into()))
    }

    /// The secret itself, for who it is meant for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The secret in a file that others cannot read.
pub(super) fn read(path: &str) -> Result<Secret, Refusal> {
    let cannot = |error: std::io::Error| {
        let text = error.to_string();
        Refusal::new(format!("cannot be read: {}", text.split(" (os error").next().unwrap_or_default()))
    };
    let file = File::open(path).map_err(cannot)?;
    // Asked of the open file, so that it is the one that is read.
    if is_exposed(&file.metadata().map_err(cannot)?) {
        return Err(Refusal::new("everybody on this machine may use this file").hint("chmod o= it"));
    }
    let mut text = String::new();
    file.take(LONGEST as u64 + 1).read_to_string(&mut text).map_err(cannot)?;
    Secret::parse(&text)
        .map_err(|_| Refusal::new("there is no token in it, which is printable ASCII without blanks"))
}

/// Whether others may read the file; one that is not there is read by nobody.
pub(super) fn exposed(path: &str) -> bool {
    std::fs::metadata(Path::new(path)).is_ok_and(|metadata| is_exposed(&metadata))
}

fn is_exposed(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o007 != 0
}
