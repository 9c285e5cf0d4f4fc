//! The kiosk: the overview for a wall, with nothing to press.

use super::frame::Frame;
use super::overview::{Choice, Shown};
use super::texts::Texts;
use askama::Template;

/// The kiosk.
#[derive(Template)]
#[template(path = "kiosk.html")]
pub struct Kiosk<'a> {
    frame: &'a Frame,
    t: &'static Texts,
    choice: Choice<'a>,
}

impl<'a> Kiosk<'a> {
    /// Of all rooms.
    pub fn new(frame: &'a Frame, rows: &[Shown<'a>]) -> Kiosk<'a> {
        Kiosk { frame, t: frame.texts(), choice: Choice::of(rows, frame) }
    }

    /// As HTML.
    pub fn html(&self) -> String {
        // Writing to memory cannot fail.
        self.render().unwrap_or_default()
    }

    fn answer(&self) -> String {
        self.t.answer(self.choice.seats, self.choice.rooms)
    }
}
