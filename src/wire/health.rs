//! Whether the daemon is ready, and what is wrong.

use serde::Serialize;

/// Whether the daemon is to be sent requests.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// `ready`, `degraded` (ready, but something is wrong) or `not ready`.
    pub status: &'static str,
    /// What is wrong.
    pub conditions: Vec<Wrong>,
}

/// Something that is wrong.
#[derive(Debug, Serialize)]
pub struct Wrong {
    /// By which alarms know it.
    pub name: String,
    /// More of it, for who may see that.
    #[serde(flatten)]
    pub details: Option<Details>,
}

/// What is told of it to who may see that.
#[derive(Debug, Serialize)]
pub struct Details {
    /// Since when, as RFC 3339 has it.
    pub since: String,
    /// Whether all are served nevertheless.
    pub keeps_ready: bool,
    /// What it means.
    pub meaning: String,
    /// What to do about it.
    pub advice: &'static str,
}

impl Readiness {
    /// The body of the answer.
    pub fn to_json(&self) -> String {
        // Strings and truth values cannot fail to serialise.
        serde_json::to_string(self).unwrap_or_else(|_| r#"{"status":"not ready"}"#.to_owned())
    }
}
