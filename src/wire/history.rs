//! Rows of the history as `tkbd history` exports them: not what clients get, which `message.rs` has.

use serde::Serialize;

/// A row.
#[derive(Debug, Serialize)]
pub struct ExportedRow<'a> {
    /// When, as RFC 3339 has it, with the offset of the setup's zone.
    pub time: &'a str,
    /// When, in seconds since 1970.
    pub at: i64,
    /// The name of the PC.
    pub pc: &'a str,
    /// The room that the rules imply.
    pub room: &'a str,
    /// Who reported it.
    pub source: &'a str,
    /// The state it changed to.
    pub state: &'a str,
}

impl ExportedRow<'_> {
    /// One object, on one line.
    pub fn to_json(&self) -> String {
        // Strings and a number cannot fail to serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}
