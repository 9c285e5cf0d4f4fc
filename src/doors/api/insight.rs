//! What the history comes to: how rooms were used, and when they are usually free.

use super::history::shown;
use super::{Refused, Terms};
use crate::core::room::RoomKey;
use crate::core::snapshot::RoomView;
use crate::core::tag::TagFilter;
use crate::health::Refusal;
use crate::hub::{Hub, wall_clock};
use crate::wire::api::Json;
use crate::wire::days::Days;
use crate::wire::insight::{HalfHourUsed, Occupancy, Period, RoomUsed, UsualSlot, UsualWeek, Utilisation};
use hyper::StatusCode;
use std::fmt::Display;

/// Four weeks; ten of them are a term, and enough for quartiles; and today.
const UTILISATION: u32 = 28;
const USUAL: u32 = 70;
const OCCUPANCY: u32 = 1;

/// More half hours than those of a month are asked for month by month.
const MOST_OCCUPANCY: u32 = 31;

/// What can be asked of the history of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfRoom {
    /// When it is usually free.
    Usual,
    /// How full it was.
    Occupancy,
}

/// A question about what the history comes to.
pub(super) struct Look<'a> {
    pub(super) hub: &'a Hub,
    pub(super) terms: &'a Terms,
    pub(super) query: &'a str,
}

impl Look<'_> {
    /// How rooms were used.
    pub(super) async fn utilisation(&self, tags: &TagFilter) -> Result<String, Refused> {
        let days = self.days(UTILISATION, None)?;
        let insight = self.hub.insight();
        let used =
            insight.utilisation(insight.days(days.first, days.last)).await.map_err(|error| failed(&error))?;
        let uncounted = insight.counted().await.map_err(|error| failed(&error))?.behind;
        let snapshot = self.hub.snapshot();
        let rooms = used.iter().filter_map(|of| {
            let room = snapshot.room(of.room.as_str());
            // One that is gone has no tags by which it could be chosen.
            let passes = tags.passes(room.as_ref().map(RoomView::tags).unwrap_or_default());
            passes.then(|| RoomUsed::new(of, room.map(|room| room.name())))
        });
        Ok(Utilisation { period: self.period(&days), uncounted, rooms: rooms.collect() }.to_json())
    }

    /// What is asked of one room; none: there is no such room.
    pub(super) async fn of_room(&self, key: &str, of: OfRoom) -> Result<Option<String>, Refused> {
        let Some(room) = self.hub.snapshot().room(key).map(|room| room.key().clone()) else {
            return Ok(None);
        };
        match of {
            OfRoom::Usual => self.usual(room).await,
            OfRoom::Occupancy => self.occupancy(room).await,
        }
        .map(Some)
    }

    async fn usual(&self, room: RoomKey) -> Result<String, Refused> {
        let days = self.days(USUAL, None)?;
        let insight = self.hub.insight();
        let (period, free) = (insight.days(days.first, days.last), self.terms.seats.free);
        let usual = insight.usual_week(room.clone(), period, free).await.map_err(|error| failed(&error))?;
        let slots = usual.iter().map(UsualSlot::from).collect();
        Ok(UsualWeek { key: room.as_str(), period: self.period(&days), slots }.to_json())
    }

    async fn occupancy(&self, room: RoomKey) -> Result<String, Refused> {
        let days = self.days(OCCUPANCY, Some(MOST_OCCUPANCY))?;
        let insight = self.hub.insight();
        let halves = insight.half_hours(room.clone(), insight.days(days.first, days.last)).await;
        let halves = halves.map_err(|error| failed(&error))?;
        let free = &self.terms.seats.free;
        let half_hours = halves.iter().map(|half| HalfHourUsed::new(half, shown(half.begin), free)).collect();
        Ok(Occupancy { key: room.as_str(), period: self.period(&days), half_hours }.to_json())
    }

    fn days(&self, usual: u32, most: Option<u32>) -> Result<Days, Refused> {
        let today = self.hub.insight().date_of(wall_clock());
        Days::read(self.query, today, usual, most)
            .map_err(|bad| Refused(StatusCode::BAD_REQUEST, Some(Refusal::ApiBad), bad.to_string()))
    }

    fn period(&self, days: &Days) -> Period {
        Period::new(days, self.terms.zone.name())
    }
}

fn failed(error: &impl Display) -> Refused {
    tracing::warn!(%error, "the history cannot be read; a client of the API goes without");
    Refused(StatusCode::SERVICE_UNAVAILABLE, None, "The history cannot be read now".into())
}
