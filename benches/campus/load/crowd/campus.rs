//! The campus that a crowd watches: a hundred rooms of ten PCs each, in ten buildings; and who is interested in what.

use super::random::Random;
use crate::load::dialect::{room_key, tag};
use std::fmt::Write as _;
use std::ops::Range;

/// How many rooms there are.
pub(super) const ROOMS: usize = 100;

/// How many PCs a room has.
pub(super) const PER_ROOM: usize = 10;

/// How many PCs there are.
pub(super) const PCS: usize = ROOMS * PER_ROOM;

/// How many rooms a building has.
const PER_BUILDING: usize = 10;

/// The states, as clients are told them.
pub(super) const CODES: [&str; 8] = ["o", "x", "wf", "wu", "wx", "lf", "lu", "lx"];

/// The same, as sources report them.
const REPORTS: [&str; 8] = [
    r#"{"status":"offline"}"#,
    r#"{"status":"unknown"}"#,
    r#"{"event":"logoff","session":"windows"}"#,
    r#"{"event":"logon"}"#,
    r#"{"status":"unknown","session":"windows"}"#,
    r#"{"status":"free","session":"linux"}"#,
    r#"{"event":"logon","session":"linux"}"#,
    r#"{"status":"unknown","session":"linux"}"#,
];

/// The setup of this campus (TOML).
pub(crate) fn setup() -> String {
    let mut toml = String::from("[[rule]]\npattern = \"^(.+?)pc\"\nroom = \"$1\"\n");
    for room in 0..ROOMS {
        // Writing to a string cannot fail.
        let _ = write!(
            toml,
            "\n[[room]]\nkey = \"{}\"\ntags = [\"{}\", \"{}\"]\n",
            room_key(room),
            tag(room),
            building_tag(room / PER_BUILDING)
        );
    }
    toml
}

/// The body of a push.
pub(super) fn push_body(source: usize, states: &[(usize, u8)]) -> String {
    let mut data = String::new();
    for &(pc, state) in states {
        let comma = if data.is_empty() { "" } else { "," };
        let report = REPORTS.get(usize::from(state)).copied().unwrap_or_default();
        let _ = write!(data, "{comma}\"{}\":{report}", pc_name(pc));
    }
    format!("{{\"datasource\":\"{}\",\"data\":{{{data}}}}}", source_name(source))
}

/// Who reports.
pub(super) fn source_name(source: usize) -> String {
    format!("watcher{source}")
}

/// What a PC is called.
pub(super) fn pc_name(pc: usize) -> String {
    format!("{}pc{}", room_key(pc / PER_ROOM), pc % PER_ROOM)
}

/// The PC of a name.
pub(super) fn pc_of(name: &str) -> Option<usize> {
    let (room, pc) = name.strip_prefix('r')?.split_once("pc")?;
    let (room, pc): (usize, usize) = (room.parse().ok()?, pc.parse().ok()?);
    (room < ROOMS && pc < PER_ROOM).then_some(room * PER_ROOM + pc)
}

/// The state of a code.
pub(super) fn state_of(code: &str) -> Option<u8> {
    CODES.iter().position(|known| *known == code).map(|at| at as u8)
}

/// What a client's filter lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interest {
    Nothing,
    Room(usize),
    Rooms(usize, usize),
    Building(usize),
    Everything,
}

impl Interest {
    /// One of them: most clients watch a room or two, some a building, and few watch everything.
    pub(super) fn draw(random: &mut Random) -> Interest {
        match random.below(1000) {
            0..20 => Interest::Nothing,
            20..720 => Interest::Room(random.below(ROOMS)),
            720..900 => {
                let one = random.below(ROOMS);
                Interest::Rooms(one, (one + 1 + random.below(ROOMS - 1)) % ROOMS)
            }
            900..990 => Interest::Building(random.below(ROOMS / PER_BUILDING)),
            _ => Interest::Everything,
        }
    }

    /// As a filter.
    pub(super) fn json(self) -> String {
        match self {
            Interest::Nothing => "[]".to_owned(),
            Interest::Room(room) => format!("[\"{}\"]", tag(room)),
            Interest::Rooms(one, other) => format!("[\"{}\",\"{}\"]", tag(one), tag(other)),
            Interest::Building(building) => format!("[\"{}\"]", building_tag(building)),
            Interest::Everything => "null".to_owned(),
        }
    }

    /// How many PCs it lets through.
    pub(super) fn size(self) -> usize {
        self.ranges().into_iter().map(|range| range.len()).sum()
    }

    /// Where a PC stands among those that it lets through; nowhere if it does not.
    pub(super) fn place(self, pc: usize) -> Option<usize> {
        let [first, second] = self.ranges();
        if first.contains(&pc) {
            Some(pc - first.start)
        } else if second.contains(&pc) {
            Some(first.len() + pc - second.start)
        } else {
            None
        }
    }

    /// The PCs that it lets through, in the order of their places.
    pub(super) fn pcs(self) -> impl Iterator<Item = usize> {
        self.ranges().into_iter().flatten()
    }

    fn ranges(self) -> [Range<usize>; 2] {
        let rooms = |from: usize, count: usize| from * PER_ROOM..(from + count) * PER_ROOM;
        match self {
            Interest::Nothing => [0..0, 0..0],
            Interest::Room(room) => [rooms(room, 1), 0..0],
            Interest::Rooms(one, other) => [rooms(one, 1), rooms(other, 1)],
            Interest::Building(building) => [rooms(building * PER_BUILDING, PER_BUILDING), 0..0],
            Interest::Everything => [0..PCS, 0..0],
        }
    }
}

fn building_tag(building: usize) -> String {
    format!("b{building:02}")
}
