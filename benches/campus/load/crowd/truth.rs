//! What was pushed, and so what every answer has to say. There is one who pushes, and the next push waits until the
//! one before is in the state: so each version is known before anybody can be told of it.

use super::campus::{self, Interest, PCS};
use super::heard::{Row, States};
use std::collections::VecDeque;
use std::time::Instant;

/// How many versions are kept: more than pass while a channel lasts that nobody asks for.
const KEPT: usize = 100_000;

/// What is wrong with an answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// Changes that a client should have been told.
    Lost(u64, String),
    /// An update that it has had.
    Doubled(String),
    /// Anything else.
    Wrong(String),
}

/// All that was pushed.
pub(super) struct Truth {
    now: Vec<u8>,
    /// The version before the first change of `changes`.
    before: Option<u64>,
    changes: VecDeque<Change>,
    rows: Vec<Recorded>,
    /// How many of the rows have been acknowledged.
    acknowledged: usize,
    /// The highest version that any client was told.
    told: u64,
    /// Which look at the PCs saw each last, and what it saw.
    looked: Vec<u32>,
    look: u32,
    saw: Vec<u8>,
}

struct Change {
    at: Instant,
    /// PCs with their old and their new state.
    pcs: Vec<(u16, u8, u8)>,
}

/// A row that the history must have.
struct Recorded {
    pc: u16,
    state: u8,
    source: u8,
}

impl Truth {
    /// All PCs have state `first`; this was pushed by the first source.
    pub(super) fn new(first: u8) -> Truth {
        let rows = (0..PCS).map(|pc| Recorded { pc: pc as u16, state: first, source: 0 });
        Truth {
            now: vec![first; PCS],
            before: None,
            changes: VecDeque::new(),
            rows: rows.collect(),
            acknowledged: PCS,
            told: 0,
            looked: vec![0; PCS],
            look: 0,
            saw: vec![0; PCS],
        }
    }

    /// The state of a PC.
    pub(super) fn state(&self, pc: usize) -> u8 {
        self.now.get(pc).copied().unwrap_or_default()
    }

    /// The version of what was pushed last.
    pub(super) fn version(&self) -> u64 {
        self.before.unwrap_or(0) + self.changes.len() as u64
    }

    /// How many rows of the history there are for certain.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// This is being pushed; whether it changes anything.
    pub(super) fn push(&mut self, source: usize, states: &[(usize, u8)], at: Instant) -> bool {
        let mut pcs = Vec::new();
        for &(pc, new) in states {
            let Some(old) = self.now.get_mut(pc).filter(|old| **old != new) else { continue };
            pcs.push((pc as u16, *old, new));
            *old = new;
            self.rows.push(Recorded { pc: pc as u16, state: new, source: source as u8 });
        }
        let is_change = !pcs.is_empty();
        if is_change {
            self.changes.push_back(Change { at, pcs });
            if self.changes.len() > KEPT {
                self.changes.pop_front();
                self.before = self.before.map(|before| before + 1);
            }
        }
        is_change
    }

    /// How many rows the history will have, when all that was pushed is in it.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The highest version that any client was told.
    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// A push was acknowledged, with which there are so many rows.
    pub(super) fn acknowledge(&mut self, rows: usize) {
        self.acknowledged = self.acknowledged.max(rows);
    }

    /// The last push, which was a change, was refused: nobody was told of it, and so none has followed.
    pub(super) fn refuse(&mut self) {
        let Some(change) = self.changes.pop_back() else { return };
        self.rows.truncate(self.rows.len().saturating_sub(change.pcs.len()));
        for (pc, old, _) in change.pcs {
            if let Some(state) = self.now.get_mut(usize::from(pc)) {
                *state = old;
            }
        }
    }

    /// When a version was pushed.
    pub(super) fn pushed_at(&self, version: u64) -> Option<Instant> {
        let at = version.checked_sub(self.before? + 1)?;
        self.changes.get(at as usize).map(|change| change.at)
    }

    /// Whether an update says all that has changed for a client since version `seen`, and nothing else.
    pub(super) fn check_update(
        &mut self,
        interest: Interest,
        seen: u64,
        version: u64,
        told: &States<'_>,
    ) -> Result<(), Fault> {
        if version <= seen {
            return Err(Fault::Doubled(format!("version {version} after {seen}")));
        }
        let since = self.since(seen, version)?;
        self.told = self.told.max(version);
        let mut expected = 0;
        self.look += 1;
        for change in self.changes.range(since.0..since.1).rev() {
            for &(pc, _, new) in &change.pcs {
                let pc = usize::from(pc);
                let Some((looked, saw)) = self.looked.get_mut(pc).zip(self.saw.get_mut(pc)) else { continue };
                if *looked != self.look && interest.place(pc).is_some() {
                    (*looked, *saw) = (self.look, new);
                    expected += 1;
                }
            }
        }
        for &(name, code) in &told.0 {
            let (pc, state) = read(name, code)?;
            let Some((looked, saw)) = self.looked.get_mut(pc).zip(self.saw.get(pc)) else { continue };
            if *looked != self.look {
                return Err(Fault::Wrong(format!(
                    "{name} is told, which has not changed from {seen} to {version} for {interest:?}"
                )));
            }
            if *saw != state {
                return Err(Fault::Wrong(format!("{name} is told to be {code} in version {version}")));
            }
            *looked = 0;
            expected -= 1;
        }
        if expected > 0 {
            let what = format!("{expected} PCs are not told in an update from {seen} to {version}");
            return Err(Fault::Lost(expected, what));
        }
        Ok(())
    }

    /// Whether a snapshot is that of its version, for a client. The first one says with which version all begins.
    pub(super) fn check_snapshot(
        &mut self,
        interest: Interest,
        version: u64,
        told: &States<'_>,
    ) -> Result<(), Fault> {
        if self.changes.is_empty() && self.before.is_none() {
            self.before = Some(version);
        }
        let (from, _) = self.since(version, version)?;
        self.told = self.told.max(version);
        self.look += 1;
        for change in self.changes.range(from..) {
            for &(pc, old, _) in &change.pcs {
                let pc = usize::from(pc);
                let Some((looked, saw)) = self.looked.get_mut(pc).zip(self.saw.get_mut(pc)) else { continue };
                if *looked != self.look {
                    (*looked, *saw) = (self.look, old);
                }
            }
        }
        for &(name, code) in &told.0 {
            let (pc, state) = read(name, code)?;
            let then =
                if self.looked.get(pc) == Some(&self.look) { self.saw.get(pc) } else { self.now.get(pc) };
            if interest.place(pc).is_none() || then != Some(&state) {
                return Err(Fault::Wrong(format!(
                    "a snapshot of version {version} tells {name} to be {code}"
                )));
            }
        }
        if told.0.len() != interest.size() {
            return Err(Fault::Wrong(format!("a snapshot for {interest:?} has {} PCs", told.0.len())));
        }
        Ok(())
    }

    /// How many changes a client with this interest has not been told, who has seen version `seen`.
    pub(super) fn owed(&self, interest: Interest, seen: u64) -> u64 {
        let from = seen.saturating_sub(self.before.unwrap_or(0)) as usize;
        let pcs = self.changes.iter().skip(from).flat_map(|change| &change.pcs);
        pcs.filter(|(pc, ..)| interest.place(usize::from(*pc)).is_some()).count() as u64
    }

    /// Whether these are the rows of the history from `offset` on.
    pub(super) fn check_rows(&self, offset: usize, count: usize, rows: &[Row<'_>]) -> Result<(), Fault> {
        if rows.len() != count {
            return Err(Fault::Lost(1, format!("{} of {count} rows from {offset} on", rows.len())));
        }
        for (at, (row, recorded)) in rows.iter().zip(self.rows.iter().skip(offset)).enumerate() {
            let (pc, state) = read(row.0, row.3)?;
            let is_source = row.1 == campus::source_name(usize::from(recorded.source));
            if pc != usize::from(recorded.pc) || state != recorded.state || !is_source || row.2 <= 0 {
                return Err(Fault::Wrong(format!("row {} of the history is {row:?}", offset + at)));
            }
        }
        Ok(())
    }

    /// The places of the changes after `seen` until `version`.
    fn since(&self, seen: u64, version: u64) -> Result<(usize, usize), Fault> {
        let before = self.before.unwrap_or(0);
        if version > self.version() {
            return Err(Fault::Wrong(format!("version {version}, where {} was pushed", self.version())));
        }
        match (seen.checked_sub(before), version.checked_sub(before)) {
            (Some(from), Some(to)) => Ok((from as usize, to as usize)),
            _ => Err(Fault::Wrong(format!("version {seen} to {version} is of long ago"))),
        }
    }
}

fn read(name: &str, code: &str) -> Result<(usize, u8), Fault> {
    let known = campus::pc_of(name).zip(campus::state_of(code));
    known.ok_or_else(|| Fault::Wrong(format!("{name} is told to be {code}: there is no such")))
}
