//! What somebody is told of a free seat.

use super::language::Language;
use super::row::Row;
use super::texts::fill;
use crate::core::pc::System;
use crate::core::schedule::TimeOfDay;
use crate::core::seats::{Room, Until};
use crate::wire::api::clock;

/// A seat is free: plain texts, for a notification.
#[derive(Debug, PartialEq, Eq)]
pub struct Alert {
    /// In a few words.
    pub title: String,
    /// In a sentence.
    pub text: String,
}

impl Alert {
    /// A seat of that room with the system that was wished, to which nobody else is sent before `until`. None: the room
    /// cannot be used.
    pub fn of(row: &Row, system: Option<System>, until: TimeOfDay, language: Language) -> Option<Alert> {
        let (t, free) = (language.texts(), row.seats.free);
        let Room::Open { until: usable } = &row.seats.room else { return None };
        let usable = match usable {
            Until::Reserved(at) => fill(t.until, &[("time", &clock(*at))]),
            Until::Closes(at) => fill(t.until_closes, &[("time", &clock(*at))]),
            Until::DayEnds => t.all_day.to_owned(),
        };
        let all = [
            (free.linux, t.on_linux, Some(System::Linux)),
            (free.windows, t.on_windows, Some(System::Windows)),
            (free.other, t.on_other, None),
        ];
        let would_do = all.iter().filter(|(count, _, of)| *count > 0 && (system.is_none() || system == *of));
        let seats: Vec<String> =
            would_do.map(|(count, text, _)| fill(text, &[("n", &count.to_string())])).collect();
        let (seats, time) = (seats.join(", "), clock(until));
        Some(Alert {
            title: fill(t.seat_free, &[("room", row.called(language))]),
            text: fill(t.seat_more, &[("seats", &seats), ("until", &usable), ("time", &time)]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::room::RoomKey;
    use crate::core::seats::{Free, Seats};

    fn row(room: Room) -> Row {
        let seats = Seats { free: Free { windows: 2, linux: 1, other: 3 }, pcs: 20, room };
        let key = RoomKey::parse("b1").unwrap();
        Row {
            key,
            name: "B 1 {time}".into(),
            tags: Vec::new(),
            seats,
            find: String::new(),
            rank: String::new(),
        }
    }

    fn at(hour: u8, minute: u8) -> TimeOfDay {
        TimeOfDay::new(hour, minute).unwrap()
    }

    #[test]
    fn an_alert_says_where_which_seats_and_until_when() {
        let told = |room: Room, system, language| Alert::of(&row(room), system, at(12, 2), language);
        let open = |until| Room::Open { until };
        let all = told(open(Until::Reserved(at(13, 30))), None, Language::English).unwrap();
        assert_eq!(all.title, "A seat is free: B 1 {time}");
        assert_eq!(
            all.text,
            "1 Linux, 2 Windows, 3 off, until 13:30. Nobody else is sent to your seat before 12:02."
        );
        let one = told(open(Until::Closes(at(22, 0))), Some(System::Linux), Language::Dutch).unwrap();
        assert_eq!(one.title, "Er is een plek vrij: B 1 {time}");
        assert_eq!(
            one.text,
            "1 Linux, sluit om 22:00. Voor 12:02 wordt niemand anders naar uw plek gestuurd."
        );
        let day = told(open(Until::DayEnds), Some(System::Windows), Language::German).unwrap();
        let all_day = Language::German.texts().all_day;
        assert_eq!(
            day.text,
            format!("2 Windows, {all_day}. Vor 12:02 wird niemand sonst zu Ihrem Platz geschickt.")
        );
        let shut = Room::Closed { by: String::new(), until: None };
        assert_eq!(told(shut, None, Language::English), None);
    }
}
