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
        Row::of(room.key().clone(), room.name().to_owned(), room.tags().to_vec(), seats)
    }

    fn of(key: RoomKey, name: String, tags: Vec<Tag>, seats: Seats) -> Row {
        let mut find = folded(&name);
        if !find.contains(key.as_str()) {
            find = format!("{find} {key}");
        }
        let rank = text(seats.rank());
        Row { key, name, tags, seats, find, rank }
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
        // What a setup calls it that does not say otherwise.
        let is_none = self.key == RoomKey::none() && self.name == "Unknown";
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

    /// The free PCs by their system, those that there are: how it is looked at, and what is said.
    fn systems(&self) -> Vec<(&'static str, String)> {
        let free = self.row.seats.free;
        let all = [
            ("linux", free.linux, self.t.on_linux),
            ("windows", free.windows, self.t.on_windows),
            ("other", free.other, self.t.on_other),
        ];
        let some = all.into_iter().filter(|(_, count, _)| *count > 0);
        some.map(|(system, count, text)| (system, fill(text, &[("n", &count.to_string())]))).collect()
    }

    /// The same as parts of a bar of all PCs, from where to where in hundredths: always all three, which styles tell
    /// apart by their place.
    fn bar(&self) -> [(u32, u32); 3] {
        let Seats { free, pcs, .. } = self.row.seats;
        let part = |count: u32| {
            (u64::from(count) * 100).checked_div(u64::from(pcs)).map_or(0, |part| part.min(100) as u32)
        };
        let (linux, windows, other) = (part(free.linux), part(free.linux + free.windows), part(free.all()));
        [(0, linux), (linux, windows), (windows, other)]
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::core::seats::Free;

    pub(in super::super) fn at(hour: u8, minute: u8) -> TimeOfDay {
        TimeOfDay::new(hour, minute).unwrap()
    }

    /// A room with free PCs on Linux, on Windows and off, and eight more.
    pub(in super::super) fn row(key: &str, free: [u32; 3], room: Room) -> Row {
        let [linux, windows, other] = free;
        let seats = Seats { free: Free { windows, linux, other }, pcs: linux + windows + other + 8, room };
        Row::of(RoomKey::parse(key).unwrap(), key.to_uppercase(), vec![Tag::parse("west").unwrap()], seats)
    }

    pub(in super::super) fn reserved(until: Option<TimeOfDay>) -> Room {
        Room::Reserved { by: vec!["Calculus".into(), "Algebra".into()], until }
    }

    pub(in super::super) fn closed(by: &str, until: Option<TimeOfDay>) -> Room {
        Room::Closed { by: by.into(), until }
    }

    /// What a row says, without its tags.
    fn words(row: &Row, language: Language) -> String {
        let html = row.html(language);
        let texts = html.split('<').skip(1).map(|part| part.split_once('>').unwrap().1);
        texts.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_row_says_until_when_and_by_what_in_each_language() {
        use Language::{Dutch, English, German};
        let open = |until| Room::Open { until };
        let cases = [
            (open(Until::Reserved(at(12, 35))), ["until 12:35", "tot 12:35", "bis 12:35"]),
            (open(Until::Closes(at(22, 0))), ["closes at 22:00", "sluit om 22:00", "schließt um 22:00"]),
            (open(Until::DayEnds), ["all day", "de hele dag", "ganztags"]),
            (
                reserved(Some(at(9, 5))),
                ["Reserved until 09:05", "Gereserveerd tot 09:05", "Reserviert bis 09:05"],
            ),
            (
                closed("closed", Some(at(8, 0))),
                ["Closed until 08:00", "Gesloten tot 08:00", "Geschlossen bis 08:00"],
            ),
        ];
        for (room, told) in cases {
            let row = row("a", [1, 2, 0], room);
            for (language, told) in [English, Dutch, German].into_iter().zip(told) {
                assert!(words(&row, language).contains(told), "{told}: {}", row.html(language));
            }
        }
        let class = row("a", [1, 0, 0], reserved(None));
        assert!(words(&class, English).ends_with("Reserved for the rest of the day Calculus, Algebra"));
        let painters = row("a", [1, 0, 0], closed("Painters", None));
        assert!(words(&painters, Dutch).ends_with("Gesloten voor de rest van de dag Painters"));
        let shut = row("a", [1, 0, 0], closed("Closed", Some(at(8, 0))));
        assert!(words(&shut, English).ends_with("Closed until 08:00"), "it is not said twice");
    }

    #[test]
    fn a_name_cannot_leave_the_place_it_stands_in() {
        let html = |name: &str, by: &str| {
            let room = Room::Reserved { by: vec![by.to_owned()], until: None };
            let seats = row("a", [1, 0, 0], room).seats;
            Row::of(RoomKey::parse("a").unwrap(), name.to_owned(), Vec::new(), seats).html(Language::English)
        };
        let usual = html("Name", "Class");
        let odd = html("\"'><script>alert(2)</script>&amp;", "</bdi></li><script>alert(1)</script>");
        for mark in ['<', '>', '"', '\''] {
            assert_eq!(odd.matches(mark).count(), usual.matches(mark).count(), "{mark} in {odd}");
        }
        assert!(odd.contains("&#34;&#39;&#62;&#60;script&#62;alert(2)&#60;/script&#62;&#38;amp;"), "{odd}");
    }

    #[test]
    fn a_row_tells_only_of_systems_that_are_there() {
        let mixed = row("a", [3, 4, 5], Room::Open { until: Until::DayEnds });
        assert!(words(&mixed, Language::English).contains("12 of 20 free 3 Linux 4 Windows 5 off"));
        let linux = row("a", [3, 0, 0], Room::Open { until: Until::DayEnds });
        assert!(words(&linux, Language::German).contains("3 von 11 frei 3 Linux ganztags"));
    }

    #[test]
    fn rows_stand_in_the_order_of_their_seats() {
        let ends = [Until::DayEnds, Until::Reserved(at(9, 30)), Until::Closes(at(22, 0))];
        let mut rooms: Vec<Room> = ends.into_iter().map(|until| Room::Open { until }).collect();
        rooms.extend([None, Some(at(10, 0)), Some(at(8, 0))].map(reserved));
        rooms.extend([None, Some(at(10, 0))].map(|until| closed("Closed", until)));
        let rows = rooms
            .iter()
            .flat_map(|room| [0, 1, 9, 10, 120, 999].map(|free| row("a", [free, 0, 0], room.clone())));
        let rows: Vec<Row> = rows.collect();
        for a in &rows {
            for b in &rows {
                assert_eq!(a.rank.cmp(&b.rank), a.seats.rank().cmp(&b.seats.rank()), "{a:?} {b:?}");
            }
        }
        assert!(row("a", [5000, 0, 0], Room::Open { until: Until::DayEnds }).rank <= rows[5].rank);
    }

    #[test]
    fn a_room_is_found_by_its_name_and_by_its_key() {
        let seats = |room| Seats { free: Free::default(), pcs: 1, room };
        let of = |key: &str, name: &str| {
            let seats = seats(Room::Open { until: Until::DayEnds });
            Row::of(RoomKey::parse(key).unwrap(), name.into(), Vec::new(), seats).find
        };
        assert_eq!(of("hg075", "Café"), "cafe hg075");
        assert_eq!(of("hg075", "Huygens HG075"), "huygens hg075", "the key is not said twice");
    }

    #[test]
    fn a_room_lasts_until_it_is_another_s() {
        let open = |until| row("a", [1, 0, 0], Room::Open { until });
        let now = at(12, 0);
        for (row, minutes, lasts) in [
            (open(Until::DayEnds), 1440, true),
            (open(Until::Reserved(at(12, 30))), 30, true),
            (open(Until::Reserved(at(12, 30))), 31, false),
            (open(Until::Closes(at(11, 0))), 1, false),
            (row("a", [1, 0, 0], reserved(Some(at(12, 1)))), 1, false),
            (row("a", [1, 0, 0], closed("x", None)), 1, false),
        ] {
            assert_eq!(row.lasts(minutes, now), lasts, "{row:?} {minutes}");
        }
    }
}
