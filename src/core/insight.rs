//! What the history comes to: how rooms were used, for those who look back.

use super::pc::{Occupation, PcName, System, Use};
use super::room::RoomKey;
use super::source::Timestamp;

/// How many seconds PCs were in each state, added up: two PCs that are used for a minute are 120 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent(
    /// In the order of [`Occupation::ALL`].
    pub [u64; Occupation::ALL.len()],
);

impl Spent {
    /// In one state.
    pub fn seconds(&self, state: Occupation) -> u64 {
        self.0.get(state.place()).copied().unwrap_or_default()
    }

    /// With one system running and in one use.
    pub fn of(&self, system: System, usage: Use) -> u64 {
        self.seconds(Occupation::On(system, usage))
    }

    /// Free, whatever the system.
    pub fn free(&self) -> u64 {
        self.of(System::Windows, Use::Free) + self.of(System::Linux, Use::Free)
    }

    /// Used, whatever the system.
    pub fn used(&self) -> u64 {
        self.of(System::Windows, Use::Used) + self.of(System::Linux, Use::Used)
    }

    /// In all states.
    pub fn all(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// A room over some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// How many seconds of it are known: there was a PC in the room, and something was heard of any within a day.
    pub covered: u64,
    /// How many PCs were known in it, at most.
    pub pcs: u32,
    /// How many were used at once, at most.
    pub peak: u32,
    /// How the time was spent.
    pub spent: Spent,
}

impl Span {
    /// Adds what is known of another part of the time.
    pub fn add(&mut self, other: &Span) {
        self.covered += other.covered;
        self.pcs = self.pcs.max(other.pcs);
        self.peak = self.peak.max(other.peak);
        for (mine, theirs) in self.spent.0.iter_mut().zip(other.spent.0) {
            *mine += theirs;
        }
    }

    /// How many PCs were in a state on average, while anything is known.
    #[expect(clippy::cast_precision_loss, reason = "seconds of some PCs in years are far below 2^52")]
    pub fn average(&self, state: Occupation) -> Option<f64> {
        (self.covered > 0).then(|| self.spent.seconds(state) as f64 / self.covered as f64)
    }

    /// How many PCs were in one of these states on average, which are marked in the order of [`Occupation::ALL`].
    pub fn free(&self, states: &[bool; Occupation::ALL.len()]) -> Option<f64> {
        let marked = Occupation::ALL.into_iter().zip(states).filter(|(_, is_free)| **is_free);
        marked.map(|(state, _)| self.average(state)).try_fold(0.0, |sum, of| Some(sum + of?))
    }

    /// Which share of its PCs' time was spent with a system running that somebody used; none where nothing is known.
    #[expect(clippy::cast_precision_loss, reason = "seconds of some PCs in years are far below 2^52")]
    pub fn share(&self, system: System) -> Option<f64> {
        let all = self.spent.all();
        (all > 0).then(|| self.spent.of(system, Use::Used) as f64 / all as f64)
    }

    /// How many seats could go: there were more PCs than were ever used at once.
    pub fn spare(&self) -> u32 {
        self.pcs.saturating_sub(self.peak)
    }
}

/// A room in one half hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HalfHour {
    /// When it begins.
    pub begin: Timestamp,
    /// What it came to.
    pub span: Span,
}

/// A half hour of the week, by the clock on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u16);

impl Slot {
    /// How many there are.
    pub const COUNT: u16 = 7 * 48;

    /// The half hour of a weekday (0 is Monday) and a minute of the day.
    pub fn new(weekday: u32, minute: u32) -> Slot {
        Slot(u16::try_from(weekday % 7 * 48 + minute % 1440 / 30).unwrap_or_default())
    }

    /// 0 is Monday.
    pub fn weekday(self) -> u16 {
        self.0 / 48
    }

    /// The minute of the day at which it begins.
    pub fn minute(self) -> u16 {
        self.0 % 48 * 30
    }
}

/// How many PCs of a room are usually free in a half hour of the week.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    /// Which half hour.
    pub slot: Slot,
    /// Of how many weeks it is known.
    pub weeks: u32,
    /// In a quarter of the weeks there were fewer free.
    pub lower: f64,
    /// In half of the weeks there were fewer free.
    pub median: f64,
    /// In three quarters of the weeks there were fewer free.
    pub upper: f64,
}

/// How a room was used over some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Utilisation {
    /// Which room.
    pub room: RoomKey,
    /// What the days came to.
    pub span: Span,
}

/// A PC that nobody used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    /// Which.
    pub pc: PcName,
    /// Where it stands, if that has been found out.
    pub room: Option<RoomKey>,
    /// What was heard of it.
    pub heard: Heard,
}

/// What was heard of a PC in some days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Its state changed.
    Changes,
    /// Its state stayed as it was known before.
    NoChange,
    /// Nothing, then or before.
    Nothing,
}

/// What is known of single PCs in some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfPcs<T> {
    /// When the first day begins of which single PCs are known; none where they are not known at all.
    pub since: Option<Timestamp>,
    /// Whether any of those days is known.
    pub is_known: bool,
    /// What it is.
    pub pcs: Vec<T>,
}

impl<T> Default for OfPcs<T> {
    fn default() -> OfPcs<T> {
        OfPcs { since: None, is_known: false, pcs: Vec::new() }
    }
}

/// A PC whose state changed often within one hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flapping {
    /// Which.
    pub pc: PcName,
    /// When the hour began.
    pub hour: Timestamp,
    /// How often it changed.
    pub changes: u32,
}

/// How far the rows of the history are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// How many rows are yet to be counted; those of the present half hour always are.
    pub behind: u64,
    /// Until when all is counted.
    pub until: Option<Timestamp>,
}
