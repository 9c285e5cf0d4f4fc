//! Saved filters: what channels listen to, for clients that come back after their channel ended (reliability.md C3).

use crate::core::source::Timestamp;
use crate::core::tag::{Filter, Tag, TagFilter};
use crate::core::token::Token;
use rusqlite::{Connection, Row, params};
use std::time::Duration;

/// How many are kept: as many as there may be channels (reliability.md C3, C10).
pub(super) const MAX: i64 = 50_000;

/// How long a filter outlives its channel.
const KEPT: i64 = 24 * 60 * 60;

/// The channel of `token` is alive and listens to `filter`.
pub(super) fn save(connection: &Connection, token: &Token, filter: &Filter) -> rusqlite::Result<()> {
    // REPLACE deletes the row of this token first and gives the new one the highest id: it is the newest again.
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO filters (token, occupation, roomMap, schedule) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            token.as_str(),
            text(&filter.occupation),
            text(&filter.room_map),
            text(&filter.schedule)
        ])?;
    Ok(())
}

/// The channel of `token` ended at `at`.
pub(super) fn end(connection: &Connection, token: &Token, at: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE filters SET ended = ?2 WHERE token = ?1")?
        .execute(params![token.as_str(), at.0])?;
    Ok(())
}

/// Deletes what ended more than a day before `now`, then what is beyond the bound: filters of ended channels go
/// first, so that somebody who makes channels in a row does not cost a display its filter.
pub(super) fn prune(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM filters WHERE ended < ?1", [now.saturating_sub(KEPT)])?;
    connection.execute(
        "DELETE FROM filters WHERE id IN (SELECT id FROM filters ORDER BY ended IS NULL, ended, id
             LIMIT max(0, (SELECT count(*) FROM filters) - ?1))",
        [MAX],
    )?;
    Ok(())
}

/// All saved filters, newest first, with how long ago their channels ended. Those whose channels were alive count as
/// ended at `now`.
pub(super) fn saved(connection: &Connection, now: i64) -> rusqlite::Result<Vec<(Token, Filter, Duration)>> {
    let mut filters = Vec::new();
    let mut statement = connection.prepare(
        "SELECT token, occupation, roomMap, schedule, ended FROM filters
             ORDER BY ended IS NOT NULL, ended DESC, id DESC",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        filters.extend(read(row, now)?);
    }
    Ok(filters)
}

/// No channel is alive: a client that never returns is forgotten however often the daemon starts.
pub(super) fn end_all(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    connection.execute("UPDATE filters SET ended = ?1 WHERE ended IS NULL", [now])?;
    Ok(())
}

fn read(row: &Row<'_>, now: i64) -> rusqlite::Result<Option<(Token, Filter, Duration)>> {
    let part = |column| Ok::<_, rusqlite::Error>(parse(&row.get::<_, String>(column)?));
    let Ok(token) = Token::parse(&row.get::<_, String>(0)?) else { return Ok(None) };
    let (Some(occupation), Some(room_map), Some(schedule)) = (part(1)?, part(2)?, part(3)?) else {
        return Ok(None);
    };
    // A clock that was set back makes an end lie in the future: that is no age either.
    let age = row.get::<_, Option<i64>>(4)?.map_or(0, |ended| now.saturating_sub(ended).max(0));
    let age = Duration::from_secs(age.unsigned_abs());
    Ok(Some((token, Filter { occupation, room_map, schedule }, age)))
}

/// `*` for everything, which is no tag; else tags with spaces between, which no tag holds.
fn text(filter: &TagFilter) -> String {
    match filter {
        TagFilter::Everything => "*".to_owned(),
        TagFilter::Tags(tags) => tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(" "),
    }
}

fn parse(text: &str) -> Option<TagFilter> {
    if text == "*" {
        return Some(TagFilter::Everything);
    }
    text.split_ascii_whitespace().map(|tag| Tag::parse(tag).ok()).collect::<Option<_>>().map(TagFilter::Tags)
}

#[cfg(test)]
mod tests;
