//! How the day goes, in one line that stays where it is.

use super::super::{Failure, text};
use super::day::Day;
use crate::core::pc::{Occupation, Use};
use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

/// Says it at most once a second on a terminal, and once a simulated hour elsewhere.
#[derive(Debug)]
pub(super) struct Status {
    on_terminal: bool,
    pushes: usize,
    states: usize,
    failed: usize,
    told_at: Option<Instant>,
    told_hour: Option<u64>,
}

impl Status {
    pub(super) fn new() -> Status {
        Status {
            on_terminal: stdout().is_terminal(),
            pushes: 0,
            states: 0,
            failed: 0,
            told_at: None,
            told_hour: None,
        }
    }

    /// A push of so many states was answered.
    pub(super) fn pushed(&mut self, states: usize, acknowledged: bool) {
        self.pushes += 1;
        self.states += states;
        self.failed += usize::from(!acknowledged);
    }

    pub(super) fn tell(&mut self, day: &Day) -> Result<(), Failure> {
        let now = Instant::now();
        if self.on_terminal {
            if self.told_at.is_none_or(|told| now - told >= Duration::from_secs(1)) {
                self.told_at = Some(now);
                // Back to the start of the line, and clear it.
                write!(stdout(), "\r\u{1b}[2K  {}", self.line(day))?;
                stdout().flush()?;
            }
        } else if self.told_hour != Some(day.now() / 3600) {
            self.told_hour = Some(day.now() / 3600);
            writeln!(stdout(), "{}", self.line(day))?;
        }
        Ok(())
    }

    fn line(&self, day: &Day) -> String {
        let (mut free, mut used, mut all) = (0, 0, 0);
        for state in day.states() {
            all += 1;
            match state {
                Occupation::On(_, Use::Free) => free += 1,
                Occupation::On(_, Use::Used) => used += 1,
                _ => {}
            }
        }
        let (days, minutes) = (day.now() / 86_400, day.now() % 86_400 / 60);
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        format!(
            "day {}, {:02}:{:02}   {free} free, {used} used of {all}   {} in {}{failed}",
            days + 1,
            minutes / 60,
            minutes % 60,
            text::count(self.states, "state"),
            text::count(self.pushes, "push"),
        )
    }
}
