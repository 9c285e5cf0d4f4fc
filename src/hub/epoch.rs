//! Whose versions these are: mirrors behind one name count each for itself, and a client may come from one to another.

use super::Hub;

impl Hub {
    /// The same hub, whose versions go on from those of the daemon before it that had this epoch. Without one they are
    /// nobody else's.
    #[must_use]
    pub fn of_epoch(self, epoch: u32) -> Hub {
        Hub { epoch, ..self }
    }

    /// By what positions in these states are told from those in others.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }
}

/// Without random bits, any will do: it is the versions that must not be taken for another's.
pub(super) fn draw() -> u32 {
    getrandom::u32().unwrap_or_default()
}
