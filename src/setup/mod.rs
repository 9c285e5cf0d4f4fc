//! What was written (TOML, variables, arguments) → what it means, resolved once.
//!
//! Layers are asked key by key, the top one first (`layers`, `reader`, `fields`); each answer is parsed into
//! the type that the rest of the house uses (`resolve`, `rooms`, `rules`, `tokens`, `network`, `tls`,
//! `timetable`, `closures`); all that is wrong is told at once, with its place (`mistake`), before a port or a
//! file is touched (reliability.md O1). Nothing outside this module sees a setting as text that is not meant as text.

mod closures;
mod control;
mod crowd;
mod difference;
mod duration;
mod fields;
mod insight;
mod layers;
mod metrics;
mod mirror;
mod mistake;
mod near;
mod network;
mod place;
mod reader;
mod resolve;
mod rooms;
mod rules;
mod seats;
mod secret_file;
mod secrets;
mod summary;
#[cfg(test)]
mod tests;
mod timetable;
mod tls;
mod tokens;
mod written;

pub use closures::{Closure, OpeningHours};
pub use control::Control;
pub use crowd::Crowd;
pub use difference::Difference;
pub use insight::Insight;
pub use metrics::Metrics;
pub use mirror::Mirror;
pub use mistake::{Mistake, SetupError};
pub use place::Origin;
pub use secret_file::Secret;
pub use timetable::{CalendarPlace, RoomMatcher, Schedule, Timetable, TimetableSource};
pub use tls::Tls;

use crate::core::room::{RoomPlan, Rules};
use crate::core::seats::SeatRule;
use crate::core::source::Source;
use chrono_tz::Tz;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the process exits with where its setup asks for what cannot be had: `EX_CONFIG` of sysexits.h.
pub const EX_CONFIG: u8 = 78;

/// The setup that is used where none is named: the site for which the old page was made.
pub const DEFAULT: &str = include_str!("../../setups/default.toml");

/// The setup of a made-up campus, for `tkbd demo`.
pub const DEMO: &str = include_str!("../../setups/demo.toml");

/// What the daemon is told before it starts.
#[derive(Debug, Clone)]
pub struct Setup {
    /// In whose days and hours the schedule is told.
    pub timezone: Tz,
    /// The door for pages and channels.
    pub http: Http,
    /// The door for pushes.
    pub push: Push,
    /// Where changes are kept.
    pub history: HistoryFile,
    /// The rooms, in the order of the file; `none` is always among them.
    pub rooms: Vec<RoomPlan>,
    /// Which room a PC's name implies; its aliases are those of the rooms.
    pub rules: Rules,
    /// How timetables are pulled.
    pub schedule: Schedule,
    /// Where reservations come from, in the order of the file.
    pub timetables: Vec<Timetable>,
    /// When rooms are closed.
    pub closures: Vec<Closure>,
    /// When rooms are open.
    pub opening_hours: OpeningHours,
    /// Which PCs count as free seats.
    pub seats: SeatRule,
    /// How long who waited for a seat and was told of it has it.
    pub claim: Duration,
    /// The daemon that this one follows, if any.
    pub mirror: Option<Mirror>,
    /// Who may see figures.
    pub metrics: Metrics,
    /// Who may see how rooms were used.
    pub insight: Insight,
    /// How a running daemon is spoken to.
    pub control: Control,
    /// How far the state may grow.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: Log,
}

/// The door for pages and channels (`[http]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Its addresses without TLS; here or there is at least one.
    pub listen: Vec<SocketAddr>,
    /// How it speaks TLS, if it does.
    pub tls: Option<Tls>,
    /// Under which path the page and the channels are served; begins with a slash.
    pub path: String,
    /// How long a request waits for something to tell.
    pub hold: Duration,
    /// How long after its last reply a channel that nobody asks for ends.
    pub channel_expiry: Duration,
    /// How many channels there may be.
    pub max_channels: usize,
    /// How many pages may be live at once.
    pub max_streams: usize,
    /// How long a connection may stand idle between requests.
    pub idle: Duration,
    /// How long the head of a request may take.
    pub head_timeout: Duration,
    /// How many bytes it may have.
    pub max_head: usize,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How many bytes it may have.
    pub max_body: usize,
    /// How long a client may take nothing of its answer.
    pub stalled: Duration,
    /// How long it may take for the whole of it.
    pub answer_timeout: Duration,
    /// Within how long a client is told again, whole, what it may not have heard.
    pub refresh: Duration,
    /// How many there may be, and of one address.
    pub crowd: Crowd,
}

/// The door for pushes (`[push]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Its addresses without TLS; none there either: the door stays shut.
    pub listen: Vec<SocketAddr>,
    /// How it speaks TLS, if it does.
    pub tls: Option<Tls>,
    /// From where pushes are taken; IPv4 networks in IPv4 form.
    pub allow: Vec<IpNet>,
    /// Where there are any, a push must come with one.
    pub tokens: Vec<PushToken>,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Host names, in lower case, that `Host` may hold besides IP addresses and `localhost`.
    pub hosts: Vec<String>,
    /// How many bytes a push may have.
    pub max_body: usize,
    /// How long one may take to arrive.
    pub timeout: Duration,
    /// How many connections there may be at once.
    pub max_connections: usize,
}

/// A token that a push may come with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushToken {
    /// The SHA-256 of the token, which itself is written nowhere.
    pub sha256: [u8; 32],
    /// The only source that it is good for; none: any.
    pub source: Option<Source>,
}

/// Where changes are kept (`[history]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryFile {
    /// Whether they are.
    pub enabled: bool,
    /// The database; a relative path begins in the working directory.
    pub db: PathBuf,
    /// How many changes may wait for the disk.
    pub backlog: usize,
    /// How long a push waits to be recorded before it is answered 202.
    pub acknowledge_within: Duration,
    /// How long rows of single PCs are kept; none: for ever.
    pub keep: Option<Duration>,
}

/// How far the state may grow (`[limits]`, reliability.md S3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// PCs that are known.
    pub pcs: usize,
    /// Rooms, those of the setup and those that pushes bring.
    pub rooms: usize,
    /// Sources that have ever pushed.
    pub sources: usize,
    /// Bytes of bodies of requests to the web port that are on their way.
    pub bodies: usize,
    /// Bytes of answers that their readers are slow to take.
    pub unsent: usize,
}

/// What is logged, and how (`[log]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Directives that `tracing_subscriber::EnvFilter` takes.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people at a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Resolves a setup: built-in defaults, over them the file (without one, [`DEFAULT`]), over it those
/// of the `environment` that begin with `TKBD_`, over them the `sets`, each `key=value`.
///
/// # Errors
/// With everything that is wrong with it, as far as that can be told at once.
pub fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    sets: &[String],
) -> Result<Setup, SetupError> {
    let layers = layers::page(file)
        .and_then(|page| layers::Layers::read(page, environment, sets))
        .map_err(SetupError::new)?;
    resolve::resolve(reader::Reader::new(layers))
}

/// The same for a daemon that runs already, of a file that is still there.
///
/// # Errors
/// As of [`load`], and where the setup came through a pipe.
pub fn load_again(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    sets: &[String],
) -> Result<Setup, SetupError> {
    file.map_or(Ok(()), layers::lasts).map_err(SetupError::new)?;
    load(file, environment, sets)
}

/// A span of time as a setup has it (`2h`, `1h30m`, `7d`), if it is one.
pub fn span(text: &str) -> Option<Duration> {
    duration::parse(text).ok()
}

/// The process's variables, for [`load`]. Those that are not UTF-8 are shown with replacement
/// characters and so refused with a reason, where `std::env::vars` would panic.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}
