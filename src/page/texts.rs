//! What the page says, one file a language. A text that one of them lacks does not compile; that all have the same
//! placeholders, a test sees to.

use crate::core::schedule::CLOSED;

mod de;
mod en;
mod nl;

pub use de::DE;
pub use en::EN;
pub use nl::NL;

/// Lists the texts: a line each, with what it is for.
macro_rules! texts {
    ($($(#[$says:meta])* $name:ident,)*) => {
        /// What the page says in one language. Placeholders stand in braces, and [`fill`] puts in what they are for.
        #[derive(Debug)]
        pub struct Texts {
            $($(#[$says])* pub $name: &'static str,)*
            /// The months, as short as they are written in a date.
            pub months: [&'static str; 12],
            /// The days of the week from Monday on, as short as they can be.
            pub days: [&'static str; 7],
            /// The same in full.
            pub weekdays: [&'static str; 7],
        }

        impl Texts {
            /// All of them by name, but for months and days.
            pub fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

texts! {
    /// The name of the page, where a name is needed (`<title>`, manifest).
    name,
    /// The same where there is little room.
    short_name,
    /// What it is, in a sentence.
    description,
    /// Leads past the head of the page.
    skip,
    /// The answer: `{seats}` is one of the two below, `{rooms}` one of those after.
    answer,
    /// `{n}` seats: one.
    seats_one,
    /// `{n}` seats: several.
    seats_other,
    /// In `{n}` rooms: one.
    rooms_one,
    /// In `{n}` rooms: several.
    rooms_other,
    /// The answer where there is no seat.
    answer_none,
    /// The first room that can be used again, at `{time}`; its name follows.
    soonest,
    /// Of the time that the page was made at.
    as_of,
    /// The filters: what they are for.
    filters,
    /// Which tags.
    tags,
    /// Which system.
    system,
    /// Any system.
    system_any,
    /// For how long.
    minutes,
    /// For any time.
    minutes_any,
    /// For `{n}` minutes at least.
    minutes_least,
    /// For an hour at least.
    hours_one,
    /// For `{n}` hours at least.
    hours_other,
    /// What to search for.
    search,
    /// Applies the filters.
    apply,
    /// Takes all filters away.
    clear,
    /// The list of rooms.
    rooms,
    /// Where no room passes the filters.
    rooms_none,
    /// Leads to all `{n}` rooms.
    rooms_all,
    /// The room of PCs that no rule places.
    elsewhere,
    /// Seats that are free, behind their number: `{pcs}` is of how many.
    free_of,
    /// `{n}` with Linux.
    on_linux,
    /// `{n}` with Windows.
    on_windows,
    /// `{n}` that are off, or of which nothing is known.
    on_other,
    /// A room that can be used until `{time}`.
    until,
    /// A room that can be used until it is closed, at `{time}`.
    until_closes,
    /// A room that can be used, nothing is known against it today.
    all_day,
    /// A room that is reserved until `{time}`.
    reserved_until,
    /// A room that is reserved for what is left of the day.
    reserved,
    /// A room that is closed until `{time}`.
    closed_until,
    /// A room that is closed for what is left of the day.
    closed,
    /// What stands in a schedule while a room is closed, where nobody wrote something else.
    closed_now,
    /// The stream is there.
    link_live,
    /// The stream is not there since `{time}`.
    link_down,
    /// There is no network; what is shown is of `{time}`.
    link_offline,
    /// Where no seat is free: the button that wishes for one.
    tell,
    /// That one is wished for.
    tell_waits,
    /// Takes the wish back.
    tell_stop,
    /// Wishes the same again, where the seat was taken.
    tell_again,
    /// Puts away what was told.
    tell_close,
    /// What a free seat is.
    footer,
    /// Leads to the description of the API.
    api,
    /// Which languages there are.
    languages,
    /// Leads back to all rooms.
    back,
    /// The PCs of a room.
    pcs,
    /// Where a room has no PCs.
    pcs_none,
    /// A PC is in this state since `{time}`.
    since,
    /// A date: `{day}`, `{month}`, `{time}`.
    date,
    /// A PC that is free, with Linux.
    linux_free,
    /// A PC that is used, with Linux.
    linux_used,
    /// A PC that is on, with Linux.
    linux_on,
    /// A PC that is free, with Windows.
    windows_free,
    /// A PC that is used, with Windows.
    windows_used,
    /// A PC that is on, with Windows.
    windows_on,
    /// A PC that is off.
    off,
    /// A PC of which nothing is known.
    unknown,
    /// What is reserved today.
    schedule,
    /// Where nothing is.
    schedule_none,
    /// Leads to the calendar of a room.
    calendar,
    /// How many PCs were free today.
    today,
    /// When a room is usually free.
    usual,
    /// A seat is free in `{room}`.
    seat_free,
    /// More of it: which seats there are, until when the room can be used, and until what `{time}` nobody else is told.
    seat_more,
    /// A wish that is none.
    wish_unclear,
    /// More wishes than the `{n}` that one list may have.
    wish_many,
    /// As many wishes as can wait.
    wish_full,
    /// The head of the page that tells that there is none.
    missing,
    /// The same, of a room.
    missing_room,
    /// Opens the table of a plot.
    plot_table,
    /// The time now: `{time}`.
    plot_now,
    /// Head of a column: the time.
    plot_time,
    /// Head of a column: when it begins.
    plot_from,
    /// Head of a column: when it ends.
    plot_until,
    /// Head of a column: by what a room is reserved.
    plot_what,
    /// A time at which a room is open.
    plot_open,
    /// A time at which it is reserved.
    plot_reserved,
    /// A time at which it is closed.
    plot_closed,
    /// Seats that were free.
    plot_free,
    /// Seats that were used.
    plot_used,
    /// PCs that were neither.
    plot_rest,
    /// Seats that are usually free.
    plot_usual,
    /// Since `{time}` at least `{fewest}` and at most `{most}` were free.
    plot_today_range,
    /// At this time usually `{n}` are free.
    plot_today_usual,
    /// All `{n}` PCs.
    plot_all,
    /// Free in three weeks of four.
    plot_surely,
    /// Free in every other week.
    plot_median,
    /// Free in one week of four.
    plot_lucky,
    /// What is usual on a `{day}` at `{time}`: `{n}`.
    plot_week_now,
    /// In every other week it is from `{lower}` to `{upper}`.
    plot_week_spread,
    /// When the `{fewest}` (`{fewest_day}`, `{fewest_time}`) and the `{most}` (`{most_day}`, `{most_time}`) are free.
    plot_week_range,
    /// From how many weeks (`{n}`) that is known.
    plot_week_of,
    /// The pages that tell how rooms were used.
    insight,
    /// How rooms were used.
    insight_rooms,
    /// PCs that nobody used.
    insight_idle,
    /// PCs whose state flaps.
    insight_flapping,
    /// The first day.
    insight_from,
    /// The last day.
    insight_to,
    /// How often a state changes within an hour, at least.
    insight_changes,
    /// Shows that.
    insight_show,
    /// Leads to the table for spreadsheets.
    insight_csv,
    /// `from` is no date.
    insight_bad_from,
    /// `to` is no date.
    insight_bad_to,
    /// `to` is before `from`.
    insight_bad_order,
    /// That is no number of changes.
    insight_bad_changes,
    /// The history cannot be read.
    insight_unread,
    /// `{n}` rows are not counted yet.
    insight_behind,
    /// Single PCs are known from `{day}` on only.
    insight_since,
    /// Nothing is known of these days.
    insight_none,
    /// Every PC was used.
    insight_idle_none,
    /// No state flapped.
    insight_flapping_none,
    /// How many seats could go: `{n}`.
    insight_answer,
    /// No seat could go.
    insight_answer_none,
    /// Why: of `{pcs}` PCs `{peak}` were used at most, room by room.
    insight_answer_says,
    /// Head of a column: a room.
    insight_room,
    /// All rooms together.
    insight_all,
    /// Head of a column: how many were used at once, at most.
    insight_peak,
    /// Head of a column: how many seats could go.
    insight_spare,
    /// Head of columns: how many hours of a day a PC was used.
    insight_hours,
    /// With any system.
    insight_hours_all,
    /// What a day is.
    insight_hours_says,
    /// Head of a column: what was heard of a PC.
    insight_seen,
    /// It was on or off, and never used.
    insight_seen_yes,
    /// It did not change.
    insight_seen_same,
    /// Nothing was heard of it.
    insight_seen_no,
    /// Head of a column: in which hour it was worst.
    insight_when,
    /// Head of a column: how often it changed in that.
    insight_often,
}

/// A text with what its placeholders stand for.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 16);
    let mut rest = text;
    // In one pass: what is put in is not looked at again.
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        filled.push_str(values.iter().find(|(of, _)| *of == name).map_or("", |(_, value)| *value));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

impl Texts {
    /// Seats in rooms, in a sentence.
    pub fn answer(&self, seats: u32, rooms: u32) -> String {
        if seats == 0 {
            return self.answer_none.to_owned();
        }
        let counted =
            |one: &str, other: &str, n: u32| fill(if n == 1 { one } else { other }, &[("n", &n.to_string())]);
        let seats = counted(self.seats_one, self.seats_other, seats);
        fill(self.answer, &[("seats", &seats), ("rooms", &counted(self.rooms_one, self.rooms_other, rooms))])
    }

    /// What stands in a schedule. What an administrator wrote is told as it is.
    pub fn booked<'a>(&self, text: &'a str) -> &'a str {
        if text == CLOSED { self.closed_now } else { text }
    }

    /// For so many minutes at least.
    pub fn lasting(&self, minutes: u16) -> String {
        match (minutes / 60, minutes % 60) {
            (1, 0) => self.hours_one.to_owned(),
            (hours, 0) => fill(self.hours_other, &[("n", &hours.to_string())]),
            _ => fill(self.minutes_least, &[("n", &minutes.to_string())]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split_once('}').expect("a brace that is closed").0).collect()
    }

    #[test]
    fn every_language_says_everything_with_the_same_placeholders() {
        for other in [&NL, &DE] {
            for ((name, english), (_, text)) in EN.all().into_iter().zip(other.all()) {
                assert!(!text.trim().is_empty() && text.trim() == text, "{name}: {text:?}");
                assert_eq!(placeholders(text), placeholders(english), "{name}");
            }
        }
        for texts in [&EN, &NL, &DE] {
            let names = texts.months.iter().chain(&texts.days).chain(&texts.weekdays);
            assert!(names.into_iter().all(|name| !name.is_empty()));
        }
    }

    #[test]
    fn what_a_setup_says_of_itself_is_translated_and_what_somebody_wrote_is_not() {
        let told = |text| [&EN, &NL, &DE].map(|texts| texts.booked(text));
        assert_eq!(told("Closed"), ["Closed", "Gesloten", "Geschlossen"]);
        for written in ["Painters", "closed", "Closed for repairs"] {
            assert_eq!(told(written), [written; 3]);
        }
    }

    #[test]
    fn one_seat_is_not_said_as_several_are() {
        assert_eq!(EN.answer(41, 9), "41 seats free in 9 rooms");
        assert_eq!(EN.answer(1, 1), "1 seat free in 1 room");
        assert_eq!(NL.answer(41, 9), "41 plekken vrij in 9 zalen");
        assert_eq!(NL.answer(1, 1), "1 plek vrij in 1 zaal");
        assert_eq!(DE.answer(2, 1), "2 Plätze frei in 1 Raum");
        assert_eq!(DE.answer(41, 9), "41 Plätze frei in 9 Räumen");
        assert_eq!(EN.answer(0, 0), "No seat is free now");
        assert_eq!(
            (EN.lasting(60), EN.lasting(120)),
            ("1 hour or longer".into(), "2 hours or longer".into())
        );
        assert_eq!(EN.lasting(90), "90 minutes or longer");
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        assert_eq!(fill("{a} and {b}{c}", &[("a", "{b}"), ("b", "x")]), "{b} and x");
        assert_eq!(fill("an { open brace", &[]), "an { open brace");
    }
}
