//! Sets of rooms, as filters and changes need them.

/// The place of a room in the state's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(pub u32);

/// Some of the rooms, or all there are and will be: a bit a room, since it is asked for every
/// distinct filter at every push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomSet {
    /// Every room, those that are yet to appear included.
    All,
    /// The rooms whose bit is set.
    Some(Vec<u64>),
}

impl RoomSet {
    /// No room.
    pub const fn new() -> RoomSet {
        RoomSet::Some(Vec::new())
    }

    /// Adds a room.
    pub fn insert(&mut self, room: RoomId) {
        if let RoomSet::Some(bits) = self {
            let (word, bit) = place(room);
            if bits.len() <= word {
                bits.resize(word + 1, 0);
            }
            if let Some(word) = bits.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether the room is one of them.
    pub fn contains(&self, room: RoomId) -> bool {
        match self {
            RoomSet::All => true,
            RoomSet::Some(bits) => {
                let (word, bit) = place(room);
                bits.get(word).is_some_and(|word| word & bit != 0)
            }
        }
    }

    /// Whether some room is in both.
    pub fn meets(&self, other: &RoomSet) -> bool {
        match (self, other) {
            (RoomSet::All, RoomSet::All) => true,
            (RoomSet::All, RoomSet::Some(bits)) | (RoomSet::Some(bits), RoomSet::All) => {
                bits.iter().any(|word| *word != 0)
            }
            (RoomSet::Some(one), RoomSet::Some(two)) => one.iter().zip(two).any(|(a, b)| a & b != 0),
        }
    }

    /// Whether one of the rooms `within` is in this and not in the other, or the other way about.
    pub fn differs(&self, other: &RoomSet, within: &RoomSet) -> bool {
        let RoomSet::Some(within) = within else { return self != other };
        let bits = |set: &RoomSet, word: usize| match set {
            RoomSet::All => u64::MAX,
            RoomSet::Some(bits) => bits.get(word).copied().unwrap_or_default(),
        };
        let differ = |(word, within): (usize, &u64)| (bits(self, word) ^ bits(other, word)) & within != 0;
        within.iter().enumerate().any(differ)
    }
}

impl Default for RoomSet {
    fn default() -> RoomSet {
        RoomSet::new()
    }
}

impl FromIterator<RoomId> for RoomSet {
    fn from_iter<I: IntoIterator<Item = RoomId>>(rooms: I) -> RoomSet {
        let mut set = RoomSet::new();
        for room in rooms {
            set.insert(room);
        }
        set
    }
}

fn place(room: RoomId) -> (usize, u64) {
    ((room.0 / 64) as usize, 1 << (room.0 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_meet_where_they_share_a_room() {
        let of = |rooms: &[u32]| rooms.iter().map(|r| RoomId(*r)).collect::<RoomSet>();
        let cases = [
            (of(&[]), of(&[]), false),
            (of(&[1]), of(&[1]), true),
            (of(&[1, 700]), of(&[2, 700]), true),
            (of(&[700]), of(&[1]), false),
            (RoomSet::All, of(&[]), false),
            (RoomSet::All, of(&[999]), true),
            (of(&[63]), of(&[64]), false),
        ];
        for (one, two, meet) in cases {
            assert_eq!(one.meets(&two), meet, "{one:?} {two:?}");
            assert_eq!(two.meets(&one), meet, "{two:?} {one:?}");
        }
        let differ = [
            (of(&[1]), of(&[1]), of(&[1]), false),
            (of(&[1]), of(&[]), of(&[1]), true),
            (of(&[1]), of(&[1, 700]), of(&[2, 700]), true),
            (of(&[1]), of(&[1, 700]), of(&[2]), false),
            (RoomSet::All, RoomSet::All, of(&[2]), false),
            (RoomSet::All, of(&[2]), of(&[2]), false),
            (RoomSet::All, of(&[2]), of(&[2, 3]), true),
            (RoomSet::All, of(&[2]), RoomSet::All, true),
        ];
        for (one, two, within, differs) in differ {
            assert_eq!(one.differs(&two, &within), differs, "{one:?} {two:?} {within:?}");
            assert_eq!(two.differs(&one, &within), differs, "{two:?} {one:?} {within:?}");
        }
        assert!(of(&[63, 64]).contains(RoomId(64)) && !of(&[63]).contains(RoomId(62)));
    }
}
