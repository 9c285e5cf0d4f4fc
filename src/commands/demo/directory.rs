//! A directory that is gone at the end.

use super::super::Failure;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A directory that only we can enter, removed with all that is in it when dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Scratch, Failure> {
        let mut bits = [0; 8];
        getrandom::fill(&mut bits).map_err(|error| Failure::other(format!("no randomness: {error}")))?;
        let name = format!("tkbd-demo-{:016x}", u64::from_be_bytes(bits));
        let path = std::env::temp_dir().join(name);
        // Fails where it exists already, so that nobody can have laid it ready for us.
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Failure::other(format!("cannot create {}: {error}", path.display())))?;
        Ok(Scratch(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        std::fs::write(&path, text)
            .map_err(|error| Failure::other(format!("cannot write {}: {error}", path.display())))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing can be done about a failure, and what stays is small.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_is_left() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        let file = scratch.write("a", "text").unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "text");
        drop(scratch);
        assert!(!path.exists());
    }
}
