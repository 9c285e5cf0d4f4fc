//! A push, and what it changes.

use super::pc::{Occupation, PcName};
use super::rooms::{RoomId, RoomSet};
use super::source::{Source, Timestamp};
use super::version::Versions;
use std::collections::HashSet;
use std::sync::Arc;

/// States that one source reports at one time: one change.
#[derive(Debug, Clone)]
pub struct Push {
    pub(super) source: Source,
    pub(super) at: Timestamp,
    pub(super) states: Vec<(PcName, Occupation)>,
}

impl Push {
    /// A push of these states.
    ///
    /// # Errors
    /// With the names that occur twice.
    pub fn new(
        source: Source,
        at: Timestamp,
        states: Vec<(PcName, Occupation)>,
    ) -> Result<Push, Vec<PcName>> {
        let mut names = HashSet::with_capacity(states.len());
        let twice: Vec<PcName> =
            states.iter().filter(|(name, _)| !names.insert(name)).map(|(name, _)| name.clone()).collect();
        if twice.is_empty() { Ok(Push { source, at, states }) } else { Err(twice) }
    }
}

/// What a push changed.
#[derive(Debug)]
pub struct Change {
    /// The versions after it.
    pub versions: Versions,
    /// When it was reported.
    pub at: Timestamp,
    /// By whom.
    pub source: Source,
    /// The PCs that changed, in the order of the push.
    pub states: Arc<[(PcName, Occupation)]>,
    /// Whether a room is there now that was not there before.
    pub room_appeared: bool,
    /// The rooms they are in, one a PC.
    pub(super) places: Vec<RoomId>,
    /// The rooms with a PC whose state is another now.
    pub(super) occupied: RoomSet,
    /// The rooms with a PC that was not there before.
    pub(super) grown: RoomSet,
}

/// Why nothing of a push was applied.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// There are as many sources as there may be, and this is another.
    Sources {
        /// How many there may be.
        limit: usize,
    },
    /// These PCs are new, and there is no place for them.
    Pcs {
        /// Each with why.
        names: Vec<(PcName, NoPlace)>,
    },
}

/// Why a new PC has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// There are as many PCs as there may be.
    #[error("this PC is new, and no more PCs have a place: limits.pcs is {0}")]
    Pcs(usize),
    /// It would need a room that is not there, and there are as many rooms as there may be.
    #[error("this PC implies a new room, and no more rooms have a place: limits.rooms is {0}")]
    Rooms(usize),
}
