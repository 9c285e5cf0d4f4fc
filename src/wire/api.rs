//! The JSON of `/api/v1`, and the text of an event stream. `src/doors/api/openapi.json` describes each body.

use super::query;
use crate::core::message::Body;
use crate::core::schedule::{Reservation, TimeOfDay};
use crate::core::seats::{Free, Room, Seats, Until};
use crate::core::snapshot::RoomView;
use crate::core::tag::{Tag, TagFilter};
use crate::core::version::{Version, Versions};
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;

/// What can be told as JSON.
pub trait Json: Serialize {
    /// As the body of an answer.
    fn to_json(&self) -> String {
        // Texts, numbers and lists of them under keys of text cannot fail to serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl<T: Serialize> Json for T {}

/// The four versions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionsNow {
    occupation: u64,
    room_map: u64,
    schedule: u64,
    tag_map: u64,
}

impl From<Versions> for VersionsNow {
    fn from(versions: Versions) -> VersionsNow {
        VersionsNow {
            occupation: versions.occupation.0,
            room_map: versions.room_map.0,
            schedule: versions.schedule.0,
            tag_map: versions.tag_map.0,
        }
    }
}

/// Values by key, in their order.
#[derive(Debug)]
pub struct ByKey<'a, T>(pub Vec<(&'a str, T)>);

impl<T: Serialize> Serialize for ByKey<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// The states of PCs, all or those that have changed.
#[derive(Debug, Serialize)]
pub struct States<'a> {
    /// Of all that is told.
    pub versions: VersionsNow,
    /// What has changed since this version is told; none: all is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// By PC.
    pub occupation: ByKey<'a, &'static str>,
}

/// Tags, with their rooms.
#[derive(Debug, Serialize)]
pub struct Tags<'a> {
    /// Of the tagMap.
    pub version: u64,
    /// In their order.
    pub tags: Vec<TagRooms<'a>>,
}

/// A tag and the rooms that carry it.
#[derive(Debug, Serialize)]
pub struct TagRooms<'a> {
    /// Its name.
    pub tag: &'a str,
    /// Keys of rooms.
    pub rooms: Vec<&'a str>,
}

/// What is reserved today.
#[derive(Debug, Serialize)]
pub struct Schedule<'a> {
    /// Of the schedule.
    pub version: u64,
    /// Today, as `2026-11-23`.
    pub date: String,
    /// Whose day and hours these are, as `Europe/Amsterdam`.
    pub timezone: &'static str,
    /// By room.
    pub schedule: ByKey<'a, Vec<Event<'a>>>,
}

/// A reservation.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    start: String,
    end: String,
    text: &'a str,
}

/// The reservations of a room.
pub fn events(reservations: &[Reservation]) -> Vec<Event<'_>> {
    let event = |of| {
        let Reservation { start, end, text }: &Reservation = of;
        Event { start: clock(*start), end: clock(*end), text }
    };
    reservations.iter().map(event).collect()
}

/// Rooms, and how they are.
#[derive(Debug, Serialize)]
pub struct Rooms<'a> {
    /// Of all that is told.
    pub versions: VersionsNow,
    /// Today.
    pub date: String,
    /// Whose day and hours these are.
    pub timezone: &'static str,
    /// The rooms.
    pub rooms: Vec<RoomNow<'a>>,
}

/// How a room is.
#[derive(Debug, Serialize)]
pub struct RoomNow<'a> {
    key: &'a str,
    name: &'a str,
    tags: Vec<&'a str>,
    pcs: u32,
    free: FreeNow,
    usable: u32,
    status: &'static str,
    until: Option<String>,
    then: Option<&'static str>,
    by: Vec<&'a str>,
}

impl<'a> RoomNow<'a> {
    /// A room with its seats.
    pub fn new(room: RoomView<'a>, seats: &'a Seats) -> RoomNow<'a> {
        let (status, until, then, by) = match &seats.room {
            Room::Open { until: Until::Reserved(at) } => ("open", Some(*at), Some("reserved"), Vec::new()),
            Room::Open { until: Until::Closes(at) } => ("open", Some(*at), Some("closed"), Vec::new()),
            Room::Open { until: Until::DayEnds } => ("open", None, None, Vec::new()),
            Room::Reserved { by, until } => {
                ("reserved", *until, None, by.iter().map(String::as_str).collect())
            }
            Room::Closed { by, until } => ("closed", *until, None, vec![by.as_str()]),
        };
        RoomNow {
            key: room.key().as_str(),
            name: room.name(),
            tags: room.tags().iter().map(Tag::as_str).collect(),
            pcs: seats.pcs,
            free: seats.free.into(),
            usable: seats.usable(),
            status,
            until: until.map(clock),
            then,
            by,
        }
    }
}

/// PCs that nobody sits at.
#[derive(Debug, Serialize)]
pub struct FreeNow {
    windows: u32,
    linux: u32,
    other: u32,
}

impl From<Free> for FreeNow {
    fn from(Free { windows, linux, other }: Free) -> FreeNow {
        FreeNow { windows, linux, other }
    }
}

/// One room, with all there is to it.
#[derive(Debug, Serialize)]
pub struct RoomInFull<'a> {
    /// Of all that is told.
    pub versions: VersionsNow,
    /// Today.
    pub date: String,
    /// Whose day and hours these are.
    pub timezone: &'static str,
    /// The room.
    #[serde(flatten)]
    pub room: RoomNow<'a>,
    /// What is reserved in it today.
    pub schedule: Vec<Event<'a>>,
    /// Its PCs.
    pub occupation: Vec<Pc<'a>>,
}

/// How a PC is.
#[derive(Debug, Serialize)]
pub struct Pc<'a> {
    /// Its name.
    pub pc: &'a str,
    /// Its state.
    pub state: &'static str,
    /// Since when, as RFC 3339 has it.
    pub since: Option<String>,
}

/// All rooms together.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    /// Of all that is told.
    pub versions: VersionsNow,
    /// Today.
    pub date: String,
    /// Whose day and hours these are.
    pub timezone: &'static str,
    /// How many rooms have PCs.
    pub rooms: usize,
    /// How many of them can be used now.
    pub open: usize,
    /// How many PCs there are.
    pub pcs: u32,
    /// How many nobody sits at.
    pub free: FreeNow,
    /// How many can be had.
    pub usable: u32,
    /// Rooms that can be had, the best first.
    pub best: Vec<RoomNow<'a>>,
}

/// A page of the history.
#[derive(Debug, Serialize)]
pub struct History<'a> {
    /// Oldest first.
    pub updates: Vec<Update<'a>>,
    /// What `after` is to be for the next page; none: these are the last for now.
    pub next: Option<u64>,
}

/// A row of the history.
#[derive(Debug, Serialize)]
pub struct Update<'a> {
    /// Its id.
    pub id: u64,
    /// Which PC.
    pub pc: &'a str,
    /// Who reported it.
    pub source: &'a str,
    /// When, as RFC 3339 has it; none where the history holds what is no time.
    pub at: Option<String>,
    /// What to.
    pub state: &'static str,
}

/// What is wrong with a request (RFC 9457).
#[derive(Debug, Serialize)]
pub struct Problem<'a> {
    /// No page describes it further.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl<'a> Problem<'a> {
    /// A problem with the status of its answer.
    pub fn new(status: u16, title: &'a str, detail: &'a str) -> Problem<'a> {
        Problem { kind: "about:blank", title, status, detail }
    }
}

/// How far a stream has told: the id of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventId {
    /// What was seen.
    pub seen: Versions,
    /// Whose versions these are.
    pub epoch: u32,
}

impl EventId {
    /// Reads what a client sends as `Last-Event-ID`.
    pub fn parse(text: &str) -> Option<EventId> {
        let version = |text: &str| {
            let is_plain = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| is_plain).map(Version)
        };
        let mut parts = text.split('.').map(version);
        let [occupation, room_map, schedule, tag_map, epoch] =
            std::array::from_fn(|_| parts.next().flatten());
        let seen =
            Versions { occupation: occupation?, room_map: room_map?, schedule: schedule?, tag_map: tag_map? };
        let epoch = u32::try_from(epoch?.0).ok()?;
        parts.next().is_none().then_some(EventId { seen, epoch })
    }

    /// Notes what a message tells.
    pub fn note(&mut self, body: &Body) {
        let seen = &mut self.seen;
        match body {
            Body::Occupation { version, .. } | Body::OccupationUpdate { version, .. } => {
                seen.occupation = *version;
            }
            Body::RoomMap { version, .. } => seen.room_map = *version,
            Body::Schedule { version, .. } => seen.schedule = *version,
            Body::TagMap { version, .. } => seen.tag_map = *version,
            Body::Welcome | Body::Tags { .. } | Body::HistoricUpdates(_) => {}
        }
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let EventId { seen, epoch } = self;
        let (occupation, rooms) = (seen.occupation.0, seen.room_map.0);
        write!(f, "{occupation}.{rooms}.{}.{}.{epoch}", seen.schedule.0, seen.tag_map.0)
    }
}

/// Tags that may be asked for at once: more than any setup has of use.
pub const MAX_TAGS: usize = 64;

/// The tags of a query: `tag=a&tag=b`, or `tag=a,b`; without one, everything.
///
/// # Errors
/// When one is none, or there are too many: in a line that repeats nothing of them.
pub fn tags(query: &str) -> Result<TagFilter, String> {
    let values = query::all(query.as_bytes(), "tag").map_err(|_| "tag: not UTF-8".to_owned())?;
    let tags = values.iter().flat_map(|value| value.split(',')).map(|tag| Tag::parse(tag.trim()));
    let tags: Result<BTreeSet<Tag>, _> = tags.collect();
    let tags = tags.map_err(|error| format!("tag: {error}"))?;
    if tags.len() > MAX_TAGS {
        return Err(format!("tag: at most {MAX_TAGS}"));
    }
    Ok(if values.is_empty() { TagFilter::Everything } else { TagFilter::Tags(tags.into_iter().collect()) })
}

/// By what name a stream tells a message; none: it does not.
pub fn event_name(body: &Body) -> Option<&'static str> {
    match body {
        Body::Occupation { .. } => Some("occupation"),
        Body::OccupationUpdate { .. } => Some("occupation_update"),
        Body::RoomMap { .. } => Some("roomMap"),
        Body::Schedule { .. } => Some("schedule"),
        Body::TagMap { .. } => Some("tagMap"),
        Body::Welcome | Body::Tags { .. } | Body::HistoricUpdates(_) => None,
    }
}

/// A time of day, as `08:45`.
pub fn clock(time: TimeOfDay) -> String {
    format!("{:02}:{:02}", time.hour, time.minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_is_four_versions_and_whose_they_are_and_nothing_else_is_one() {
        let id = EventId::parse("1.20.0.18446744073709551615.7").unwrap();
        assert_eq!((id.seen.room_map, id.epoch), (Version(20), 7));
        assert_eq!(id.to_string(), "1.20.0.18446744073709551615.7");
        for text in [
            "",
            "1",
            "1.2.3.4",
            "1.2.3.4.5.6",
            "1.2.3.4.",
            "1.2.3.-4.5",
            "1.2.3.+4.5",
            "a.2.3.4.5",
            "1.2.3.99999999999999999999.5",
            "1.2.3.4.4294967296",
        ] {
            assert_eq!(EventId::parse(text), None, "{text:?}");
        }
    }
}
