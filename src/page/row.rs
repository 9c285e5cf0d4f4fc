//! A room's row: what is told of a room wherever rooms are listed, and what a stream tells when it changes. What scripts
//! and tests may rely on of it, `design/README.md` says.

use super::language::Language;
use super::search::folded;
use super::texts::{Texts, fill};
use crate::core::pc::System;
use crate::core::room::RoomKey;
use crate::core::schedule::TimeOfDay;
use crate::core::seats::{Rank, Room, Seats, Until};
use crate::core::snapshot::RoomView;
use crate::core::tag::Tag;
use crate::wire::api::clock;
use askama::Template;
use std::cmp::Reverse;

/// What is told of a room, in whatever language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: RoomKey,
    /// What people call it.
    pub name: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// How it is with its seats.
    pub seats: Seats,
    /// Name and key as they are searched in.
    pub(super) find: String,
    /// Of two, the better room's comes first.
    pub(super) rank: String,
}

impl Row {
    /// Of a room with its seats.
    pub fn new(room: RoomView<'_>, seats: Seats) -> Row {
        let (key, name) = (room.key().clone(), room.name().to_owned());
        let mut find = folded(&name);
        if !find.contains(key.as_str()) {
            find = format!("{find} {key}");
        }
        let rank = text(seats.rank());
        Row { key, name, tags: room.tags().to_vec(), seats, find, rank }
    }

    /// Rows in this order begin with the best.
    pub fn order(&self) -> (&str, &str, &str) {
        (&self.rank, &self.find, self.key.as_str())
    }

    /// Whether it is still the row of a room with these seats.
    pub fn is_of(&self, room: RoomView<'_>, seats: &Seats) -> bool {
        self.seats == *seats && self.name == room.name() && self.tags == room.tags()
    }

    /// As HTML.
    pub fn html(&self, language: Language) -> String {
        // Writing to memory cannot fail.
        Markup { row: self, language, t: language.texts() }.render().unwrap_or_default()
    }

    /// What people call it, in a language: PCs that no rule places are in no room of that name.
    pub fn called(&self, language: Language) -> &str {
        let is_none = self.key == RoomKey::none() && self.name == self.key.as_str();
        if is_none { language.texts().elsewhere } else { &self.name }
    }

    /// Whether it can be used for so many minutes from `now` on.
    pub fn lasts(&self, minutes: u16, now: TimeOfDay) -> bool {
        let minute = |time: TimeOfDay| u16::from(time.hour) * 60 + u16::from(time.minute);
        match &self.seats.room {
            Room::Open { until: Until::DayEnds } => true,
            Room::Open { until: Until::Reserved(at) | Until::Closes(at) } => {
                minute(*at).saturating_sub(minute(now)) >= minutes
            }
            Room::Reserved { .. } | Room::Closed { .. } => false,
        }
    }

    /// How many PCs are free that run this.
    pub fn free_with(&self, system: System) -> u32 {
        match system {
            System::Linux => self.seats.free.linux,
            System::Windows => self.seats.free.windows,
        }
    }

    /// How it is: `open`, `reserved` or `closed`.
    pub(super) fn state(&self) -> &'static str {
        match &self.seats.room {
            Room::Open { .. } => "open",
            Room::Reserved { .. } => "reserved",
            Room::Closed { .. } => "closed",
        }
    }

    /// Until when it is so, today.
    pub(super) fn until(&self) -> Option<TimeOfDay> {
        match &self.seats.room {
            Room::Open { until: Until::DayEnds } => None,
            Room::Open { until: Until::Reserved(at) | Until::Closes(at) } => Some(*at),
            Room::Reserved { until, .. } | Room::Closed { until, .. } => *until,
        }
    }
}

/// A rank as a text in which the order is the same. Of more than 999 seats one is no better than of as many.
fn text(rank: Rank) -> String {
    let Rank { group, usable: Reverse(usable), minute, free: Reverse(free) } = rank;
    let most = |count: u32| 999 - count.min(999);
    format!("{group}{:03}{minute:04}{:03}", most(usable), most(free))
}

#[derive(Template)]
#[template(path = "row.html")]
struct Markup<'a> {
    row: &'a Row,
    language: Language,
    t: &'static Texts,
}

impl Markup<'_> {
    fn clock(&self) -> String {
        self.row.until().map(clock).unwrap_or_default()
    }

    fn is_open(&self) -> bool {
        matches!(self.row.seats.room, Room::Open { .. })
    }

    fn name(&self) -> &str {
        self.row.called(self.language)
    }

    /// Of how many.
    fn free_of(&self) -> String {
        fill(self.t.free_of, &[("pcs", &self.row.seats.pcs.to_string())])
    }

    /// The free PCs by their system, those that there are.
    fn systems(&self) -> Vec<String> {
        let free = self.row.seats.free;
        let all =
            [(free.linux, self.t.on_linux), (free.windows, self.t.on_windows), (free.other, self.t.on_other)];
        let some = all.into_iter().filter(|(count, _)| *count > 0);
        some.map(|(count, text)| fill(text, &[("n", &count.to_string())])).collect()
    }

    fn until(&self) -> String {
        let at = self.clock();
        let text = match (&self.row.seats.room, self.row.until()) {
            (Room::Open { until: Until::Reserved(_) }, _) => self.t.until,
            (Room::Open { until: Until::Closes(_) }, _) => self.t.until_closes,
            (Room::Open { until: Until::DayEnds }, _) => self.t.all_day,
            (Room::Reserved { .. }, Some(_)) => self.t.reserved_until,
            (Room::Reserved { .. }, None) => self.t.reserved,
            (Room::Closed { .. }, Some(_)) => self.t.closed_until,
            (Room::Closed { .. }, None) => self.t.closed,
        };
        fill(text, &[("time", &at)])
    }

    /// By what it is taken, where that says more than that it is.
    fn by(&self) -> Vec<&str> {
        match &self.row.seats.room {
            Room::Open { .. } => Vec::new(),
            Room::Reserved { by, .. } => by.iter().map(String::as_str).collect(),
            Room::Closed { by, .. } => {
                [by.as_str()].into_iter().filter(|by| !by.eq_ignore_ascii_case("closed")).collect()
            }
        }
    }
}
