//! What rows come to: a walk through them in their order, which knows the state of each PC and adds up time. It is
//! told all of it, and reads nothing.
//!
//! The order of the rows is that of the versions, and clocks step; so time never runs backwards here: a row that is
//! stamped before the one ahead of it counts as of the same second. A clock that stood wrong by more than a day is
//! believed again as soon as it is right. What is known of a PC holds until its next row, but when nothing was heard of
//! any PC for a day the daemon was hardly there, and then nothing is known until the next row.

use crate::core::insight::Span;
use crate::core::pc::{Occupation, Use};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How long half an hour is.
pub(super) const HALF_HOUR: i64 = 1800;

/// How long what is known holds while nothing is heard of any PC.
pub(super) const SILENCE: i64 = 86_400;

/// Stamps outside of these are no times: within them a begin of a half hour fits the lower half of an id.
const TIMES: std::ops::Range<i64> = 86_400..0xffff_0000;

/// The state after some row, and what has come of the time since it was last drained.
#[derive(Debug, Default)]
pub(in super::super) struct Tally {
    /// To when time has run; none before the first row that has a time.
    pub(in super::super) at: Option<i64>,
    /// When the last row was.
    pub(super) last: i64,
    /// How far half hours begin past those of UTC, in seconds.
    pub(super) phase: i64,
    rooms: HashMap<i64, Room>,
    pcs: HashMap<i64, (i64, Occupation)>,
    drained: Drained,
}

/// What there is to be saved.
#[derive(Debug, Default)]
pub(in super::super) struct Drained {
    /// By room and the begin of the half hour; to be added to what is there.
    pub(in super::super) spans: BTreeMap<(i64, i64), Span>,
    /// By PC and the begin of the half hour: how many rows, and how many of them said that it is used.
    pub(in super::super) changes: BTreeMap<(i64, i64), (u64, u64)>,
    /// PCs whose room or state is another.
    pub(in super::super) pcs: HashSet<i64>,
}

#[derive(Debug, Default)]
struct Room {
    counts: [u32; Occupation::ALL.len()],
    /// To when its time is in `open`.
    since: i64,
    open: Span,
}

impl Room {
    fn settle(&mut self, at: i64) {
        let seconds = u64::try_from(at - self.since).unwrap_or_default();
        self.since = at;
        let pcs: u32 = self.counts.iter().sum();
        if seconds == 0 || pcs == 0 {
            return;
        }
        let used = |(state, count): (Occupation, &u32)| is_used(state).then_some(*count);
        let mut part = Span { covered: seconds, pcs, ..Span::default() };
        part.peak = Occupation::ALL.into_iter().zip(&self.counts).filter_map(used).sum();
        for (spent, count) in part.spent.0.iter_mut().zip(self.counts) {
            *spent = u64::from(count) * seconds;
        }
        self.open.add(&part);
    }

    fn count(&mut self, state: Occupation) -> Option<&mut u32> {
        self.counts.get_mut(state.place())
    }
}

pub(super) fn is_used(state: Occupation) -> bool {
    matches!(state, Occupation::On(_, Use::Used))
}

impl Tally {
    /// One that goes on where another was; its PCs are yet to be set.
    pub(super) fn at(at: Option<i64>, last: i64, phase: i64) -> Tally {
        Tally { at, last, phase, ..Tally::default() }
    }

    /// The begin of the half hour in which a second is.
    pub(super) fn begin(&self, at: i64) -> i64 {
        (at - self.phase).div_euclid(HALF_HOUR) * HALF_HOUR + self.phase
    }

    /// Where a PC is, and how, if anything was heard of it.
    pub(super) fn pc(&self, pc: i64) -> Option<(i64, Occupation)> {
        self.pcs.get(&pc).copied()
    }

    /// All PCs of which anything was heard, with their rooms.
    pub(super) fn places(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.pcs.iter().map(|(pc, (room, _))| (*pc, *room))
    }

    /// Takes a row: what a PC changed to, and when by its stamp, if that is a time.
    pub(super) fn row(&mut self, pc: i64, room: i64, stamp: Option<i64>, to: Occupation) {
        if let Some(stamp) = stamp.filter(|stamp| TIMES.contains(stamp)) {
            match self.at {
                Some(at) if stamp + SILENCE < at => {
                    self.close(at);
                    self.resume(stamp);
                    self.last = stamp;
                }
                Some(at) => {
                    let stamp = stamp.max(at);
                    self.advance(stamp);
                    self.last = stamp;
                }
                None => {
                    self.resume(stamp);
                    self.last = stamp;
                }
            }
        }
        self.set(pc, room, to);
        if let Some(at) = self.at {
            let begin = self.begin(at);
            let changes = self.drained.changes.entry((pc, begin)).or_default();
            changes.0 += 1;
            changes.1 += u64::from(is_used(to));
        }
    }

    /// From now on a PC is in `room`, in this state.
    pub(super) fn set(&mut self, pc: i64, room: i64, state: Occupation) {
        let at = self.at;
        let before = self.pcs.insert(pc, (room, state));
        if before == Some((room, state)) {
            return;
        }
        self.drained.pcs.insert(pc);
        let mut change = |room: i64, state: Occupation, by: i32| {
            let room =
                self.rooms.entry(room).or_insert_with(|| Room { since: at.unwrap_or(0), ..Room::default() });
            if let Some(at) = at {
                room.settle(at);
            }
            if let Some(count) = room.count(state) {
                *count = count.saturating_add_signed(by);
            }
        };
        if let Some((room, state)) = before {
            change(room, state, -1);
        }
        change(room, state, 1);
    }

    /// Lets time run to `to`; never backwards.
    pub(super) fn advance(&mut self, to: i64) {
        let Some(from) = self.at.filter(|at| *at < to) else { return };
        let known = to.min(self.last + SILENCE).max(from);
        let mut at = from;
        while at < known {
            let end = self.begin(at) + HALF_HOUR;
            if end <= known {
                self.close(end);
            }
            at = end.min(known);
            self.at = Some(at);
        }
        if known < to {
            self.close(known);
            self.resume(to);
        }
    }

    /// What has come of the time up to now; it begins anew.
    pub(super) fn drain(&mut self) -> Drained {
        if let Some(at) = self.at {
            self.close(at);
        }
        std::mem::take(&mut self.drained)
    }

    /// How many half hours there are to be saved.
    pub(super) fn waiting(&self) -> usize {
        self.drained.spans.len()
    }

    /// Ends what is open of the half hour before `end`, or in which `end` is.
    fn close(&mut self, end: i64) {
        let begin = self.begin(end - 1);
        for (id, room) in &mut self.rooms {
            room.settle(end);
            if room.open.covered > 0 {
                let open = std::mem::take(&mut room.open);
                self.drained.spans.entry((*id, begin)).or_default().add(&open);
            }
        }
    }

    /// Goes on at another second; what is between counts as nothing.
    fn resume(&mut self, at: i64) {
        self.at = Some(at);
        for room in self.rooms.values_mut() {
            room.since = at;
        }
    }
}
