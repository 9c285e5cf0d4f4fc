//! The overview: one answer, and the rooms, best first.

use super::filter::{Filter, system_code};
use super::frame::Frame;
use super::row::Row;
use super::texts::{Texts, fill};
use crate::core::seats::Room;
use crate::core::tag::Tag;
use crate::wire::api::clock;
use askama::Template;

/// So many rooms are shown to who does not ask for all: the first view is to be there at once.
const ROWS: usize = 60;

/// For how long a seat may be wanted, in minutes.
const LASTING: [u16; 5] = [30, 60, 90, 120, 240];

/// A row, and its HTML in the language of the view.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The row.
    pub row: &'a Row,
    /// As HTML.
    pub html: &'a str,
}

/// The room that can be used first.
#[derive(Debug)]
pub(super) struct Soonest<'a> {
    /// The path of its page.
    pub(super) path: String,
    /// What people call it.
    pub(super) name: &'a str,
    /// What says when.
    pub(super) text: String,
}

/// The seats that a reader can have, and the rooms they are in.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    /// How many seats.
    pub(super) seats: u32,
    /// In how many rooms.
    pub(super) rooms: u32,
    /// The rooms that pass the filter, best first.
    pub(super) rows: Vec<Shown<'a>>,
    /// Where there is no seat: the room that can be used first.
    pub(super) soonest: Option<Soonest<'a>>,
}

impl<'a> Choice<'a> {
    /// Of these rows, whatever their order is.
    pub(super) fn of(rows: &[Shown<'a>], frame: &Frame) -> Choice<'a> {
        let (filter, now) = (&frame.query.filter, frame.time());
        let mut passing: Vec<Shown<'a>> =
            rows.iter().copied().filter(|shown| filter.passes(shown.row, now)).collect();
        passing.sort_by(|a, b| filter.order(a.row).cmp(&filter.order(b.row)));
        let seats = passing.iter().map(|shown| filter.seats(shown.row));
        let (seats, rooms) =
            seats.filter(|seats| *seats > 0).fold((0, 0), |(sum, count), seats| (sum + seats, count + 1));
        let opens = |shown: &Shown<'a>| match &shown.row.seats.room {
            Room::Reserved { until: Some(at), .. } | Room::Closed { until: Some(at), .. } => {
                Some((shown.row, *at))
            }
            _ => None,
        };
        let wanted = rows.iter().filter(|shown| seats == 0 && filter.passes_but_for_minutes(shown.row));
        let with_seats = wanted.filter(|shown| shown.row.seats.free.all() > 0);
        let soonest =
            with_seats.filter_map(opens).min_by(|(a, at), (b, bt)| (at, &a.find).cmp(&(bt, &b.find)));
        let soonest = soonest.map(|(row, at)| Soonest {
            path: format!("/rooms/{}", row.key),
            name: row.called(frame.language),
            text: fill(frame.texts().soonest, &[("time", &clock(at))]),
        });
        Choice { seats, rooms, rows: passing, soonest }
    }

    /// An answer in parts, and which are numbers: those are what is looked for in it.
    pub(super) fn parts(&self, answer: &str) -> Vec<(bool, String)> {
        let mut parts: Vec<(bool, String)> = Vec::new();
        for c in answer.chars() {
            match parts.last_mut() {
                Some((is_number, part)) if *is_number == c.is_ascii_digit() => part.push(c),
                _ => parts.push((c.is_ascii_digit(), c.into())),
            }
        }
        parts
    }
}

/// The overview.
#[derive(Template)]
#[template(path = "overview.html")]
pub struct Overview<'a> {
    frame: &'a Frame,
    t: &'static Texts,
    choice: Choice<'a>,
    /// All tags there are.
    tags: &'a [Tag],
    /// How many rooms pass the filter.
    all: usize,
}

impl<'a> Overview<'a> {
    /// Of all rooms.
    pub fn new(frame: &'a Frame, rows: &[Shown<'a>], tags: &'a [Tag]) -> Overview<'a> {
        let mut choice = Choice::of(rows, frame);
        let all = choice.rows.len();
        if !frame.query.all {
            choice.rows.truncate(ROWS);
        }
        Overview { frame, t: frame.texts(), choice, tags, all }
    }

    /// As HTML.
    pub fn html(&self) -> String {
        // Writing to memory cannot fail.
        self.render().unwrap_or_default()
    }

    fn filter(&self) -> &Filter {
        &self.frame.query.filter
    }

    fn answer(&self) -> String {
        self.t.answer(self.choice.seats, self.choice.rooms)
    }

    fn is_tag(&self, tag: &Tag) -> bool {
        self.filter().tags.contains(tag)
    }

    fn is_system(&self, code: &str) -> bool {
        self.filter().system.map(system_code).unwrap_or_default() == code
    }

    /// Which systems can be chosen, and what each is called.
    fn systems(&self) -> [(&'static str, &'static str); 3] {
        [("", self.t.system_any), ("linux", "Linux"), ("windows", "Windows")]
    }

    /// Which minutes can be chosen: those that are usual, and those that were asked for.
    fn lasting(&self) -> Vec<(u16, String, bool)> {
        let chosen = self.filter().minutes;
        let mut all = LASTING.to_vec();
        all.extend(chosen.filter(|minutes| !LASTING.contains(minutes)));
        all.sort_unstable();
        all.into_iter().map(|minutes| (minutes, self.t.lasting(minutes), chosen == Some(minutes))).collect()
    }

    fn is_filtered(&self) -> bool {
        *self.filter() != Filter::default()
    }

    /// Leads to all rooms that pass the filter.
    fn everything(&self) -> Option<(String, String)> {
        let mut query = self.frame.query.clone();
        query.all = true;
        let text = || fill(self.t.rooms_all, &[("n", &self.all.to_string())]);
        (self.all > self.choice.rows.len()).then(|| (format!("/{}", query.text()), text()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::PageQuery;
    use super::super::language::Language;
    use super::super::row::tests::{at, closed, reserved, row};
    use super::*;
    use crate::core::seats::Until;
    use chrono::TimeZone;
    use chrono_tz::Europe::Amsterdam;

    fn frame(query: &str) -> Frame {
        let query = PageQuery::read(query);
        Frame {
            language: query.language.unwrap_or_default(),
            query,
            path: "/".into(),
            now: Amsterdam.with_ymd_and_hms(2026, 11, 23, 12, 0, 0).unwrap(),
            edition: "0".into(),
            told: "0.0".into(),
        }
    }

    fn choice<T>(rows: &[Row], query: &str, told: impl Fn(&Choice<'_>) -> T) -> T {
        let shown: Vec<Shown<'_>> = rows.iter().map(|row| Shown { row, html: "" }).collect();
        told(&Choice::of(&shown, &frame(query)))
    }

    fn open(until: Until) -> Room {
        Room::Open { until }
    }

    #[test]
    fn the_answer_counts_the_seats_that_can_be_had_as_they_are_wanted() {
        let rows = [
            row("a", [2, 3, 4], open(Until::DayEnds)),
            row("b", [0, 5, 0], open(Until::Reserved(at(12, 30)))),
            row("c", [9, 9, 9], reserved(Some(at(13, 0)))),
            row("d", [0, 0, 0], open(Until::DayEnds)),
            row("e", [0, 0, 7], closed("Closed", None)),
        ];
        for (query, seats, rooms, keys) in [
            ("", 14, 2, "a b d c e"),
            ("system=linux", 2, 1, "a c"),
            ("system=windows", 8, 2, "b a c"),
            ("minutes=60", 9, 1, "a d"),
            ("minutes=30&system=windows", 8, 2, "b a"),
            ("q=B", 5, 1, "b"),
            ("tag=east", 0, 0, ""),
        ] {
            choice(&rows, query, |choice| {
                let shown: Vec<&str> = choice.rows.iter().map(|shown| shown.row.key.as_str()).collect();
                assert_eq!(
                    (choice.seats, choice.rooms, shown.join(" ").as_str()),
                    (seats, rooms, keys),
                    "{query}"
                );
                assert!((choice.soonest.is_some()) <= (seats == 0), "{query}");
            });
        }
    }

    #[test]
    fn where_there_is_no_seat_the_first_to_be_free_is_named() {
        let rows = [
            row("late", [1, 1, 1], reserved(Some(at(15, 0)))),
            row("soon", [1, 0, 0], closed("Closed", Some(at(12, 35)))),
            row("full", [0, 0, 0], reserved(Some(at(12, 10)))),
            row("never", [5, 5, 5], closed("Closed", None)),
        ];
        let told = |query: &str| {
            choice(&rows, query, |choice| {
                choice.soonest.as_ref().map(|soonest| format!("{} {}", soonest.text, soonest.name))
            })
        };
        assert_eq!(told("").as_deref(), Some("The first is free again at 12:35: SOON"));
        assert_eq!(told("lang=nl").as_deref(), Some("De eerste is weer vrij om 12:35: SOON"));
        assert_eq!(told("system=windows").as_deref(), Some("The first is free again at 15:00: LATE"));
        assert_eq!(told("minutes=30").as_deref(), Some("The first is free again at 12:35: SOON"));
        assert_eq!(told("q=never"), None);
        let html = Overview::new(&frame("lang=de"), &[], &[]).html();
        assert!(
            html.contains("Jetzt ist kein Platz frei") && html.contains("So einen Raum gibt es nicht"),
            "{html}"
        );
        assert_eq!(frame("lang=de").language, Language::German);
    }
}
