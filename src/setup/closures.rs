//! When rooms are closed: `[[closure]]` and `[opening_hours]`.

use super::fields::Fields;
use super::mistake::{Mistake, Refusal};
use super::near::quoted;
use super::reader::Reader;
use super::rooms::Rooms;
use super::timetable::{placeholder, room};
use crate::core::room::RoomKey;
pub(super) use crate::core::schedule::CLOSED;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

/// Rooms that are closed for a time (`[[closure]]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    /// Local time of the setup's zone.
    pub from: NaiveDateTime,
    /// Local time of the setup's zone.
    pub until: NaiveDateTime,
    /// The rooms; none: all but `none`.
    pub rooms: Option<Vec<RoomKey>>,
    /// What is shown.
    pub text: String,
}

/// When rooms are open (`[opening_hours]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningHours {
    /// From Monday on: minutes of the day, from the first to before the second.
    pub week: [Vec<(u16, u16)>; 7],
    /// The rooms; none: all but `none`.
    pub rooms: Option<Vec<RoomKey>>,
    /// What is shown while they are closed.
    pub text: String,
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Resolves `[[closure]]`.
pub(super) fn closures(ask: &mut Reader, rooms: &Rooms) -> Vec<Closure> {
    let mut mistakes: Vec<Mistake> = Vec::new();
    let mut closures = Vec::new();
    for table in ask.tables("closure") {
        let mut fields = Fields::new("closure", &["from", "until", "rooms", "text"], table, &mut mistakes);
        let from = fields.required("from", time);
        let is_written = fields.find("until").is_some();
        let until = fields.parsed("until", time);
        let text = fields.parsed("text", placeholder).map_or_else(|| CLOSED.into(), |(text, _)| text);
        let is_limited = fields.find("rooms").is_some();
        let listed = fields.list("rooms", |text| room(text, rooms)).into_iter().map(|(key, _)| key).collect();
        let Some((from, place)) = from else { continue };
        let (until, place) = match until {
            Some((until, place)) => (until, place),
            None if is_written => continue,
            None => (from, place),
        };
        let (from, until) = (from.first(), until.last());
        if until <= from {
            let why = "this closure ends before it begins";
            fields.refuse(place, Refusal::new(why).hint("\"until\" is a date, or a date with a time"));
            continue;
        }
        closures.push(Closure { from, until, rooms: is_limited.then_some(listed), text });
    }
    ask.note(mistakes);
    closures
}

/// Resolves `[opening_hours]`.
pub(super) fn opening_hours(ask: &mut Reader, rooms: &Rooms) -> OpeningHours {
    let wants = "times in quotes, as \"08:00-22:00\"";
    let mut day = |key| ask.list(key, wants, vec![(0, DAY)], span);
    let week = [
        day("opening_hours.monday"),
        day("opening_hours.tuesday"),
        day("opening_hours.wednesday"),
        day("opening_hours.thursday"),
        day("opening_hours.friday"),
        day("opening_hours.saturday"),
        day("opening_hours.sunday"),
    ];
    let limited =
        ask.list("opening_hours.rooms", "rooms' keys in quotes", Vec::new(), |text| room(text, rooms));
    OpeningHours {
        week,
        rooms: Some(limited).filter(|rooms| !rooms.is_empty()),
        text: ask.parsed("opening_hours.text", "a text in quotes", CLOSED.into(), placeholder),
    }
}

impl OpeningHours {
    /// Whether no day has an hour at which rooms are closed.
    pub fn is_always(&self) -> bool {
        self.week.iter().all(|day| day.as_slice() == [(0, DAY)])
    }
}

/// A day, or a time on one.
#[derive(Debug, Clone, Copy)]
enum Time {
    Day(NaiveDate),
    Of(NaiveDateTime),
}

impl Time {
    fn first(self) -> NaiveDateTime {
        match self {
            Time::Day(date) => date.and_time(NaiveTime::MIN),
            Time::Of(time) => time,
        }
    }

    /// The whole of a day belongs to it.
    fn last(self) -> NaiveDateTime {
        match self {
            Time::Day(date) => date.succ_opt().unwrap_or(date).and_time(NaiveTime::MIN),
            Time::Of(time) => time,
        }
    }
}

fn time(text: &str) -> Result<Time, Refusal> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(Time::Day);
    let of =
        || NaiveDateTime::parse_from_str(&text.replacen('T', " ", 1), "%Y-%m-%d %H:%M").ok().map(Time::Of);
    day.or_else(of).ok_or_else(|| {
        let why = format!("{} is no date", quoted(text));
        Refusal::new(why).hint("write \"2026-12-24\" or \"2026-12-24 18:00\"")
    })
}

/// `08:00-22:00`, in minutes of the day.
fn span(text: &str) -> Result<(u16, u16), Refusal> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        let minutes = hour.checked_mul(60)?.checked_add(minute)?;
        (minute < 60 && minutes <= DAY).then_some(minutes)
    };
    let span = text.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
    span.filter(|(from, to)| from < to).ok_or_else(|| {
        let why = format!("{} is no stretch of a day", quoted(text));
        Refusal::new(why).hint("write \"08:00-22:00\", \"00:00-24:00\" for all day, and [] for none of it")
    })
}
