//! What was measured, for people: Markdown to read in a terminal or on a page, and pictures.

pub(crate) mod chart;
mod file;
pub(crate) mod goal;
pub(crate) mod machine;
pub(crate) mod spread;
pub(crate) mod table;

pub(crate) use file::write;

/// What a section has found.
pub(crate) struct Measured {
    /// With its heading.
    pub(crate) markdown: String,
    /// What can be drawn of it.
    pub(crate) pictures: Vec<Picture>,
    /// Whether every answer was right, and came once.
    pub(crate) right: bool,
}

/// A picture, to be a file beside the results.
pub(crate) struct Picture {
    /// Its name.
    pub(crate) file: String,
    /// What it shows, for who cannot see it.
    pub(crate) shows: String,
    /// Itself.
    pub(crate) svg: String,
}
