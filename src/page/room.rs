//! A room's page: each PC with its state and since when, what is reserved today, and plots.

use super::frame::Frame;
use super::overview::Shown;
use super::texts::{Texts, fill};
use crate::core::pc::{Occupation, System, Use};
use crate::core::schedule::Reservation;
use crate::core::snapshot::{PcState, RoomView};
use crate::core::source::Timestamp;
use crate::wire::api::clock;
use askama::Template;
use chrono::{DateTime, Datelike, Timelike};

/// Pictures with their tables, ready to be put into the page; an empty one is left out.
#[derive(Debug, Clone, Default)]
pub struct Plots {
    /// What is reserved today, as a time line.
    pub day: String,
    /// How many PCs were used today.
    pub today: String,
    /// When the room is usually free.
    pub usual: String,
}

/// A room's page.
#[derive(Template)]
#[template(path = "room.html")]
pub struct RoomPage<'a> {
    frame: &'a Frame,
    t: &'static Texts,
    room: RoomView<'a>,
    shown: Shown<'a>,
    plots: &'a Plots,
}

/// A PC as it is shown.
struct Pc<'a> {
    name: &'a str,
    /// The code of its state.
    code: &'static str,
    /// Whether it counts as free, is used, or is neither.
    kind: &'static str,
    state: &'static str,
    /// Since when, for people; empty where nobody knows.
    since: String,
    /// The same for machines.
    at: String,
}

impl<'a> RoomPage<'a> {
    /// Of a room, whose row is also shown elsewhere.
    pub fn new(frame: &'a Frame, room: RoomView<'a>, shown: Shown<'a>, plots: &'a Plots) -> RoomPage<'a> {
        RoomPage { frame, t: frame.texts(), room, shown, plots }
    }

    /// As HTML.
    pub fn html(&self) -> String {
        // Writing to memory cannot fail.
        self.render().unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.shown.row.called(self.frame.language)
    }

    fn pcs(&self) -> Vec<Pc<'a>> {
        self.room.pcs().map(|(name, pc)| self.pc(name.as_str(), pc)).collect()
    }

    fn pc(&self, name: &'a str, pc: PcState) -> Pc<'a> {
        let t = self.t;
        let (kind, state) = match pc.occupation {
            Occupation::Off => ("off", t.off),
            Occupation::Unknown => ("unknown", t.unknown),
            Occupation::On(System::Linux, Use::Free) => ("free", t.linux_free),
            Occupation::On(System::Linux, Use::Used) => ("used", t.linux_used),
            Occupation::On(System::Linux, Use::Unknown) => ("on", t.linux_on),
            Occupation::On(System::Windows, Use::Free) => ("free", t.windows_free),
            Occupation::On(System::Windows, Use::Used) => ("used", t.windows_used),
            Occupation::On(System::Windows, Use::Unknown) => ("on", t.windows_on),
        };
        let (since, at) = pc.since.and_then(|at| self.since(at)).unwrap_or_default();
        Pc { name, code: pc.occupation.code(), kind, state, since, at }
    }

    /// Since when, for people and for machines; none where it is no time, or one to come.
    fn since(&self, at: Timestamp) -> Option<(String, String)> {
        let now = self.frame.now;
        let at = DateTime::from_timestamp(at.0, 0)?.with_timezone(&now.timezone());
        if !(1970..=9999).contains(&at.year()) {
            return None;
        }
        let time = format!("{:02}:{:02}", at.hour(), at.minute());
        let shown = if at.date_naive() == now.date_naive() {
            time
        } else {
            let month = self.t.months.get(at.month0() as usize).copied().unwrap_or_default();
            let day = at.day().to_string();
            fill(self.t.date, &[("day", &day), ("month", month), ("time", &time)])
        };
        Some((fill(self.t.since, &[("time", &shown)]), at.to_rfc3339()))
    }

    fn start(&self, of: &Reservation) -> String {
        clock(of.start)
    }

    fn end(&self, of: &Reservation) -> String {
        clock(of.end)
    }

    fn what(&self, of: &'a Reservation) -> &'a str {
        self.t.booked(&of.text)
    }

    fn is_now(&self, of: &Reservation) -> bool {
        let now = self.frame.time();
        of.start <= now && now < of.end
    }
}
