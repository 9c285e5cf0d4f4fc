//! Versions: one counter each for occupation, roomMap, schedule and tagMap.

/// How often something has changed. It rises by one a change, survives restarts and never falls; a
/// version never names two different states (invariant 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Version(pub u64);

impl Version {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Version {
        Version(self.0 + 1)
    }
}

/// The four versions of the state, or how far a channel has seen each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Versions {
    /// Of the states of the PCs.
    pub occupation: Version,
    /// Of the rooms, their names, and the PCs in them.
    pub room_map: Version,
    /// Of what is reserved today.
    pub schedule: Version,
    /// Of the tags and the rooms that carry them.
    pub tag_map: Version,
}

impl Versions {
    /// Later than any: to have seen up to here is to be owed nothing.
    pub const LAST: Versions = {
        let last = Version(u64::MAX);
        Versions { occupation: last, room_map: last, schedule: last, tag_map: last }
    };
}
