//! What the history comes to, as `/api/v1` tells it.

use super::api::ByKey;
use super::days::Days;
use crate::core::insight::{HalfHour, Span, Usual, Utilisation as Of};
use crate::core::pc::{Occupation, System};
use serde::Serialize;

/// Of which days something is.
#[derive(Debug, Serialize)]
pub struct Period {
    from: String,
    to: String,
    timezone: &'static str,
}

impl Period {
    /// Days, and in which zone they begin and end.
    pub fn new(days: &Days, timezone: &'static str) -> Period {
        Period { from: days.first.to_string(), to: days.last.to_string(), timezone }
    }
}

/// How rooms were used.
#[derive(Debug, Serialize)]
pub struct Utilisation<'a> {
    /// In which days.
    #[serde(flatten)]
    pub period: Period,
    /// How many rows of the history are not counted yet.
    pub uncounted: u64,
    /// Each room of which something is known.
    pub rooms: Vec<RoomUsed<'a>>,
}

/// How a room was used.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomUsed<'a> {
    key: &'a str,
    name: Option<&'a str>,
    known: u64,
    pcs: u32,
    peak: u32,
    spare: u32,
    used_windows: Option<f64>,
    used_linux: Option<f64>,
    seconds: ByKey<'static, u64>,
}

impl<'a> RoomUsed<'a> {
    /// A room, with its name where it still is one.
    pub fn new(of: &'a Of, name: Option<&'a str>) -> RoomUsed<'a> {
        let Of { room, span } = of;
        let share = |system| span.share(system).map(|share| rounded(share, 10_000.0));
        RoomUsed {
            key: room.as_str(),
            name,
            known: span.covered,
            pcs: span.pcs,
            peak: span.peak,
            spare: span.spare(),
            used_windows: share(System::Windows),
            used_linux: share(System::Linux),
            seconds: ByKey(Occupation::ALL.map(|state| (state.code(), span.spent.seconds(state))).into()),
        }
    }
}

/// When a room is usually free.
#[derive(Debug, Serialize)]
pub struct UsualWeek<'a> {
    /// Which room.
    pub key: &'a str,
    /// From which days that is known.
    #[serde(flatten)]
    pub period: Period,
    /// The half hours of the week of which anything is known.
    pub slots: Vec<UsualSlot>,
}

/// How many seats are usually free in a half hour of the week.
#[derive(Debug, Serialize)]
pub struct UsualSlot {
    weekday: u16,
    time: String,
    weeks: u32,
    lower: f64,
    median: f64,
    upper: f64,
}

impl From<&Usual> for UsualSlot {
    fn from(usual: &Usual) -> UsualSlot {
        let minute = usual.slot.minute();
        UsualSlot {
            weekday: usual.slot.weekday() + 1,
            time: format!("{:02}:{:02}", minute / 60, minute % 60),
            weeks: usual.weeks,
            lower: rounded(usual.lower, 100.0),
            median: rounded(usual.median, 100.0),
            upper: rounded(usual.upper, 100.0),
        }
    }
}

/// How full a room was.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Occupancy<'a> {
    /// Which room.
    pub key: &'a str,
    /// In which days.
    #[serde(flatten)]
    pub period: Period,
    /// The half hours of which anything is known.
    pub half_hours: Vec<HalfHourUsed>,
}

/// How full a room was in a half hour.
#[derive(Debug, Serialize)]
pub struct HalfHourUsed {
    begin: Option<String>,
    known: u64,
    pcs: u32,
    peak: u32,
    free: Option<f64>,
    average: ByKey<'static, f64>,
}

impl HalfHourUsed {
    /// A half hour that begins at `begin`, in words; `free` are the states that count as free.
    pub fn new(of: &HalfHour, begin: Option<String>, free: &[bool; Occupation::ALL.len()]) -> HalfHourUsed {
        let Span { covered, pcs, peak, .. } = of.span;
        let average = |state| (state, of.span.average(state).unwrap_or_default());
        HalfHourUsed {
            begin,
            known: covered,
            pcs,
            peak,
            free: of.span.free(free).map(|free| rounded(free, 100.0)),
            average: ByKey(
                Occupation::ALL
                    .map(average)
                    .into_iter()
                    .filter(|(_, count)| *count > 0.0)
                    .map(|(state, count)| (state.code(), rounded(count, 100.0)))
                    .collect(),
            ),
        }
    }
}

/// To a part of one: nobody counts seats more exactly.
fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}
