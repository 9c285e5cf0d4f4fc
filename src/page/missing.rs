//! The page that tells that there is none.

use super::frame::Frame;
use super::texts::Texts;
use askama::Template;

/// What is not there.
#[derive(Template)]
#[template(path = "missing.html")]
pub struct Missing<'a> {
    frame: &'a Frame,
    t: &'static Texts,
    /// Whether it is a room that is missed.
    is_room: bool,
}

impl<'a> Missing<'a> {
    /// A room, or another page.
    pub fn new(frame: &'a Frame, is_room: bool) -> Missing<'a> {
        Missing { frame, t: frame.texts(), is_room }
    }

    /// As HTML.
    pub fn html(&self) -> String {
        // Writing to memory cannot fail.
        self.render().unwrap_or_default()
    }

    fn answer(&self) -> &str {
        if self.is_room { self.t.missing_room } else { self.t.missing }
    }
}
