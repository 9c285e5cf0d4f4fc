//! The hours that plots show, and where they are across.

use super::mark::Share;
use crate::core::schedule::TimeOfDay;

/// The hours of a day that are shown: whole ones, four at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    from: u16,
    until: u16,
}

impl Default for Hours {
    /// Those in which a campus is awake.
    fn default() -> Hours {
        Hours { from: 8, until: 22 }
    }
}

impl Hours {
    /// The hours that hold all from one minute of the day to another.
    pub fn around(from: u16, until: u16) -> Hours {
        let from = (from / 60).min(20);
        Hours { from, until: until.div_ceil(60).clamp(from + 4, 24) }
    }

    /// These, and those in which a minute of the day is.
    #[must_use]
    pub fn with(self, minute: u16) -> Hours {
        Hours::around((self.from * 60).min(minute), (self.until * 60).max(minute.min(1439) + 1))
    }

    /// The first minute.
    pub fn begin(self) -> u16 {
        self.from * 60
    }

    /// The minute after the last.
    pub fn end(self) -> u16 {
        self.until * 60
    }

    /// Whether they hold a minute.
    pub fn has(self, minute: u16) -> bool {
        (self.begin()..self.end()).contains(&minute)
    }

    /// How many minutes they are.
    pub(super) fn minutes(self) -> u16 {
        self.end() - self.begin()
    }

    /// Minutes behind the first; those outside are at the ends.
    pub(super) fn behind(self, minute: u16) -> u16 {
        minute.clamp(self.begin(), self.end()) - self.begin()
    }

    /// Where a minute is, in shares of the width.
    pub(super) fn at(self, minute: u16) -> Share {
        Share(100.0 * f64::from(self.behind(minute)) / f64::from(self.minutes()))
    }

    /// How wide so many minutes are.
    pub(super) fn wide(self, minutes: u16) -> Share {
        Share(100.0 * f64::from(minutes) / f64::from(self.minutes()))
    }

    /// The opening tag of the inner SVG, whose units are minutes across and pixels down.
    pub(super) fn inner(self, height: u16) -> String {
        let minutes = self.minutes();
        format!(
            r#"<svg width="100%" height="{height}" viewBox="0 0 {minutes} {height}" preserveAspectRatio="none">"#
        )
    }

    /// The hours with a line and a label: as many as a phone has room for.
    fn labelled(self) -> impl Iterator<Item = u16> {
        let step = if self.until - self.from > 15 { 3 } else { 2 };
        let first = self.from.next_multiple_of(step);
        (first..=self.until).step_by(usize::from(step))
    }

    /// Lines through the plot, for the inner SVG.
    pub(super) fn lines(self, height: u16) -> String {
        let lines: String =
            self.labelled().map(|hour| format!("M{} 0V{height}", self.behind(hour * 60))).collect();
        format!(r#"<path class="line" d="{lines}"/>"#)
    }

    /// Labels with their feet at `y`.
    pub(super) fn labels(self, y: u16) -> String {
        let label = |hour: u16| format!(r#"<text x="{}" y="{y}">{hour}</text>"#, self.at(hour * 60));
        let labels: String = self.labelled().map(label).collect();
        format!(r#"<g class="hour" text-anchor="middle">{labels}</g>"#)
    }

    /// The line of a time, from one height to another.
    pub(super) fn now(self, time: TimeOfDay, from: u16, until: u16) -> String {
        let minute = minute_of(time);
        if !self.has(minute) {
            return String::new();
        }
        let x = self.at(minute);
        format!(r#"<line class="now" x1="{x}" x2="{x}" y1="{from}" y2="{until}"/>"#)
    }
}

/// Minutes since midnight.
pub(super) fn minute_of(time: TimeOfDay) -> u16 {
    u16::from(time.hour) * 60 + u16::from(time.minute)
}

/// As people write it.
pub(super) fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_whole_and_of_one_day_and_hold_what_they_are_around() {
        for from in (0..1440).step_by(7) {
            for until in (from..=1440).step_by(11) {
                let hours = Hours::around(from, until);
                assert!(hours.begin() <= from && until <= hours.end() && hours.end() <= 1440, "{hours:?}");
                assert!(hours.minutes() >= 240, "{hours:?}");
            }
        }
        assert_eq!(Hours::default().with(23 * 60 + 59), Hours { from: 8, until: 24 });
        assert_eq!(Hours::default().with(7 * 60), Hours { from: 7, until: 22 });
        assert_eq!(Hours::default().with(12 * 60), Hours::default());
    }
}
