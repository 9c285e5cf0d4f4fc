//! The JSON of the page: the events of its stream, and its manifest.

use serde::Serialize;

/// The beginning of a stream.
#[derive(Debug, Serialize)]
pub struct Hello<'a> {
    /// The edition of the design: a page of another has something to fetch.
    pub page: &'a str,
    /// The time, as `12:35`.
    pub time: &'a str,
    /// All rows follow, and what is not among them is gone.
    pub whole: bool,
}

/// A row that is another than before.
#[derive(Debug, Serialize)]
pub struct RowEvent<'a> {
    /// Of which room.
    pub key: &'a str,
    /// As it is now.
    pub html: &'a str,
}

/// A room that is not there any more.
#[derive(Debug, Serialize)]
pub struct Gone<'a> {
    /// Which.
    pub key: &'a str,
}

/// All rows are none.
#[derive(Debug, Serialize)]
pub struct Nothing {}

/// The stream is there.
#[derive(Debug, Serialize)]
pub struct Beat<'a> {
    /// The time, as `12:35`.
    pub time: &'a str,
}

/// What becomes of a wish.
#[derive(Debug, Serialize)]
pub struct WishEvent<'a> {
    /// As it was sent.
    pub wish: &'a str,
    /// `waits` or `refused`.
    pub state: &'a str,
    /// Why it is refused, for scripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
}

/// A seat is free that was wished.
#[derive(Debug, Serialize)]
pub struct SeatEvent<'a> {
    /// The wish, as it was sent.
    pub wish: &'a str,
    /// The room.
    pub key: &'a str,
    /// For people, in a few words.
    pub title: &'a str,
    /// And in a sentence.
    pub text: &'a str,
    /// For how many seconds nobody else is told of that seat.
    pub seconds: u64,
}

/// What makes the page one that can be installed (W3C, Web Application Manifest).
#[derive(Debug, Serialize)]
pub struct Manifest<'a> {
    /// Its identity, whatever its address looks like.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The same where there is little room.
    pub short_name: &'a str,
    /// What it is.
    pub description: &'a str,
    /// In which language that is.
    pub lang: &'a str,
    /// Where it begins.
    pub start_url: &'a str,
    /// What belongs to it.
    pub scope: &'a str,
    /// As what it is shown.
    pub display: &'a str,
    /// Behind it while it is fetched.
    pub background_color: &'a str,
    /// Around it.
    pub theme_color: &'a str,
    /// Its icons.
    pub icons: Vec<Icon<'a>>,
}

/// An icon.
#[derive(Debug, Serialize)]
pub struct Icon<'a> {
    /// Where it is.
    pub src: String,
    /// How large.
    pub sizes: &'a str,
    /// Of which media type.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// What it may be used for.
    pub purpose: &'a str,
}

/// One event of a stream. JSON has no line breaks, which would end it.
pub fn event(name: &str, data: &impl Serialize) -> String {
    // Texts under keys of text cannot fail to serialise.
    format!("event: {name}\ndata: {}\n", serde_json::to_string(data).unwrap_or_default())
}
