//! What is reserved today.

/// What stands there while a room is closed, where a setup says nothing else.
pub const CLOSED: &str = "Closed";

/// A reservation of a room, in local time of the setup's zone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reservation {
    /// When it begins.
    pub start: TimeOfDay,
    /// When it ends, on the same day.
    pub end: TimeOfDay,
    /// By what, for people to read.
    pub text: String,
}

/// Hours and minutes of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

impl TimeOfDay {
    /// A time of day, if it is one.
    pub fn new(hour: u8, minute: u8) -> Option<TimeOfDay> {
        (hour < 24 && minute < 60).then_some(TimeOfDay { hour, minute })
    }
}
