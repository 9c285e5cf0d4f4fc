//! The embed: a short list of rooms, for a frame in another site.

use super::frame::Frame;
use super::overview::{Choice, Shown};
use super::texts::Texts;
use askama::Template;

/// The embed.
#[derive(Template)]
#[template(path = "embed.html")]
pub struct Embed<'a> {
    frame: &'a Frame,
    t: &'static Texts,
    choice: Choice<'a>,
}

impl<'a> Embed<'a> {
    /// Of all rooms.
    pub fn new(frame: &'a Frame, rows: &[Shown<'a>]) -> Embed<'a> {
        Embed { frame, t: frame.texts(), choice: Choice::of(rows, frame) }
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
