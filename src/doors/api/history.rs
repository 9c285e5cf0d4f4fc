//! The history, page by page.

use super::Refused;
use super::question::Question;
use crate::core::source::Timestamp;
use crate::health::Refusal;
use crate::hub::Hub;
use crate::wire::api::{History, Json, Update};
use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use hyper::StatusCode;

/// The page that is asked for.
pub(super) async fn page(hub: &Hub, question: &Question) -> Result<String, Refused> {
    let pcs = question.room.as_ref().map(|key| {
        let snapshot = hub.snapshot();
        let room = snapshot.room(key.as_str());
        room.map(|room| room.pcs().map(|(name, _)| name.clone()).collect()).unwrap_or_default()
    });
    let query =
        question.page(pcs).map_err(|line| Refused(StatusCode::BAD_REQUEST, Some(Refusal::ApiBad), line))?;
    let page = hub.page(query).await.map_err(|error| {
        tracing::warn!(%error, "the history cannot be read; a client of the API goes without");
        let line = "The history cannot be read now".to_owned();
        Refused(StatusCode::SERVICE_UNAVAILABLE, None, line)
    })?;
    let updates = page.rows.iter().map(|(id, update)| Update {
        id: *id,
        pc: &update.pc,
        source: &update.source,
        at: shown(update.at),
        state: update.occupation.code(),
    });
    Ok(History { updates: updates.collect(), next: page.next }.to_json())
}

/// As RFC 3339 has it; none where it is beyond what that can say.
pub(super) fn shown(at: Timestamp) -> Option<String> {
    let at = DateTime::<Utc>::from_timestamp(at.0, 0)?;
    (0..=9999).contains(&at.year()).then(|| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}
