//! The push token.

use super::super::Failure;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The token of the file, or else of the environment.
pub(super) fn read(file: Option<&Path>) -> Result<Option<String>, Failure> {
    let Some(path) = file else {
        return Ok(std::env::var(super::TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()));
    };
    let cannot = |why: String| Failure::other(format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| cannot(error.to_string()))?;
    // Asked of the open file, so that it is the one that is read.
    let mode = file.metadata().map_err(|error| cannot(error.to_string()))?.permissions().mode();
    if mode & 0o007 != 0 {
        // reliability.md O7: a secret that everybody can read is none.
        return Err(cannot("everybody on this machine may use this file; chmod o= it first".into()));
    }
    let mut token = String::new();
    file.take(4096).read_to_string(&mut token).map_err(|error| cannot(error.to_string()))?;
    let token = token.trim();
    if token.is_empty() { Err(cannot("there is no token in it".into())) } else { Ok(Some(token.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};

    #[test]
    fn a_token_file_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        write(&path, " secret\n").unwrap();
        for (mode, fits) in [(0o600, true), (0o640, true), (0o644, false), (0o602, false)] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let token = read(Some(&path)).ok().flatten();
            assert_eq!(token.as_deref(), fits.then_some("secret"), "{mode:o}");
        }
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        write(&path, "\n").unwrap();
        assert!(read(Some(&path)).is_err());
        assert!(read(Some(&directory.path().join("none"))).is_err());
    }
}
