//! Where reservations come from: `[schedule]` and `[[timetable]]`.

use super::fields::Fields;
use super::mistake::{Mistake, Refusal};
use super::near::{nearest, quoted};
use super::place::{Origin, Place};
use super::reader::Reader;
use super::resolve::{PATIENCE, timezone};
use super::rooms::{Rooms, key};
use super::rules::misspelt;
use super::secret_file::{self, Secret};
use super::written::Value;
use crate::core::room::RoomKey;
use chrono_tz::Tz;
use regex::{Regex, RegexBuilder};
use reqwest::Url;
use std::path::PathBuf;
use std::time::Duration;

/// How timetables are pulled (`[schedule]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// How often, when all is well.
    pub every: Duration,
    /// How soon again after an error, give or take a fifth.
    pub retry: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long an answer may take, all in all.
    pub timeout: Duration,
}

/// A timetable of others (`[[timetable]]`).
#[derive(Debug, Clone)]
pub struct Timetable {
    /// What it is, and where.
    pub source: TimetableSource,
    /// The rooms that are asked for; none: all but `none`.
    pub rooms: Option<Vec<RoomKey>>,
    /// What it calls rooms, where not by our names.
    pub names: Vec<(RoomKey, String)>,
    /// Whose clock times without a zone are of; none: its own, or the setup's.
    pub zone: Option<Tz>,
    /// What goes with every request.
    pub token: Option<Secret>,
    /// What is cut from texts.
    pub cut: Option<Regex>,
    /// What stands where there is no text.
    pub placeholder: String,
    /// How many bytes an answer may have.
    pub max_size: usize,
}

/// Timetables are the same where they are written the same.
impl PartialEq for Timetable {
    fn eq(&self, other: &Timetable) -> bool {
        let Timetable { source, rooms, names, zone, token, cut, placeholder, max_size } = self;
        let cut = cut.as_ref().map(Regex::as_str);
        (source, rooms, names, zone) == (&other.source, &other.rooms, &other.names, &other.zone)
            && (token, placeholder, max_size) == (&other.token, &other.placeholder, &other.max_size)
            && cut == other.cut.as_ref().map(Regex::as_str)
    }
}

/// What a timetable is, and where.
#[derive(Debug, Clone, PartialEq)]
pub enum TimetableSource {
    /// iCalendar, a calendar a room: an address with `{room}` or `{name}` in it.
    IcalTemplate(String),
    /// The same, of files.
    IcalFileTemplate(PathBuf),
    /// iCalendar, a calendar a room, each at its own place.
    IcalEach(Vec<(RoomKey, CalendarPlace)>),
    /// iCalendar, one of many rooms.
    IcalCombined(CalendarPlace, RoomMatcher),
    /// MyTimetable; with one of its data sources.
    MyTimetable(Url, Option<String>),
    /// Ruuster; with one of its institutes.
    Ruuster(Url, Option<String>),
    /// A file, CSV or JSON.
    File(PathBuf),
}

/// Where a calendar is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CalendarPlace {
    /// On a server.
    Url(Url),
    /// In a file.
    File(PathBuf),
}

/// How the rooms of a LOCATION are found.
#[derive(Debug, Clone)]
pub enum RoomMatcher {
    /// By their names, as words.
    Name,
    /// By a pattern with `{room}` or `{name}` in it.
    PerRoom(String),
    /// By a pattern with one group, which yields keys or names.
    Group(Regex),
}

impl PartialEq for RoomMatcher {
    fn eq(&self, other: &RoomMatcher) -> bool {
        match (self, other) {
            (RoomMatcher::Name, RoomMatcher::Name) => true,
            (RoomMatcher::PerRoom(one), RoomMatcher::PerRoom(two)) => one == two,
            (RoomMatcher::Group(one), RoomMatcher::Group(two)) => one.as_str() == two.as_str(),
            _ => false,
        }
    }
}

const KINDS: [&str; 4] = ["ical", "mytimetable", "ruuster", "file"];

/// The keys of a `[[timetable]]`.
pub(super) const KEYS: [&str; 15] = [
    "kind",
    "url",
    "urls",
    "file",
    "rooms",
    "names",
    "matcher",
    "zone",
    "source",
    "institute",
    "token",
    "token_file",
    "cut",
    "placeholder",
    "max_size",
];

/// Keys that only some kinds have.
const ONLY: [(&str, &[&str]); 7] = [
    ("url", &["ical", "mytimetable", "ruuster"]),
    ("urls", &["ical"]),
    ("file", &["ical", "file"]),
    ("matcher", &["ical"]),
    ("zone", &["ical", "file"]),
    ("source", &["mytimetable"]),
    ("institute", &["ruuster"]),
];

/// Resolves `[schedule]`.
pub(super) fn schedule(ask: &mut Reader) -> Schedule {
    let seconds = Duration::from_secs;
    Schedule {
        every: ask.duration("schedule.every", seconds(16 * 60), Duration::from_millis(100)..=seconds(86_400)),
        retry: ask.duration("schedule.retry", seconds(5 * 60), Duration::from_millis(100)..=seconds(86_400)),
        connect_timeout: ask.duration("schedule.connect_timeout", seconds(5), PATIENCE..=seconds(300)),
        timeout: ask.duration("schedule.timeout", seconds(20), PATIENCE..=seconds(300)),
    }
}

/// Resolves `[[timetable]]`, in their order.
pub(super) fn timetables(ask: &mut Reader, rooms: &Rooms) -> Vec<Timetable> {
    let mut mistakes: Vec<Mistake> = Vec::new();
    let mut timetables = Vec::new();
    for table in ask.tables("timetable") {
        let mut fields = Fields::new("timetable", &KEYS, table, &mut mistakes);
        let kind = fields.required("kind", kind);
        let (names, listed) = (names(&mut fields, rooms), room_list(&mut fields, rooms));
        let zone = fields.parsed("zone", timezone).map(|(zone, _)| zone);
        let cut = fields.parsed("cut", pattern).map(|(cut, _)| cut);
        let placeholder = fields.parsed("placeholder", placeholder).map(|(text, _)| text);
        let token = token(&mut fields);
        let Some((kind, _)) = kind else { continue };
        for (name, kinds) in ONLY.iter().filter(|(_, kinds)| !kinds.contains(&kind)) {
            if let Some(written) = fields.find(name) {
                let why = format!("timetable.{name} is for kind {}, not {kind}", kinds.join(" or "));
                fields.refuse(written.place, Refusal::new(why));
            }
        }
        // A calendar of a whole campus has 10 MB; what other servers answer about one room has a hundredth of 4 MiB.
        let usual = if kind == "ical" { 10 << 20 } else { 4 << 20 };
        let max_size = fields.count("max_size", usual, 1_024..=64 << 20);
        let Some(source) = source(kind, &mut fields, rooms) else { continue };
        if let (Some((_, place)), Some(host)) = (&token, source.unprotected()) {
            let why = format!("the token would travel unprotected to {host}");
            fields.refuse(place.clone(), Refusal::new(why).hint("use https://"));
        }
        timetables.push(Timetable {
            source,
            rooms: listed,
            names,
            zone,
            token: token.map(|(token, _)| token),
            cut,
            placeholder: placeholder.unwrap_or_else(|| "Reserved".into()),
            max_size,
        });
    }
    ask.note(mistakes);
    timetables
}

impl Timetable {
    /// Kind and place in a few words, without what may be secret: of an address, the host.
    pub fn label(&self) -> String {
        let host = |url: &Url| url.host_str().unwrap_or_default().to_owned();
        let place = |place: &CalendarPlace| match place {
            CalendarPlace::Url(url) => host(url),
            CalendarPlace::File(path) => path.display().to_string(),
        };
        match &self.source {
            TimetableSource::IcalTemplate(template) => {
                format!("ical {}", Url::parse(&sample(template)).map(|url| host(&url)).unwrap_or_default())
            }
            TimetableSource::IcalFileTemplate(path) => format!("ical {}", path.display()),
            TimetableSource::IcalEach(each) => match each.as_slice() {
                [] => "ical".into(),
                [(_, only)] => format!("ical {}", place(only)),
                [(_, first), rest @ ..] => format!("ical {} and {} more", place(first), rest.len()),
            },
            TimetableSource::IcalCombined(at, _) => format!("ical {}", place(at)),
            TimetableSource::MyTimetable(url, _) => format!("mytimetable {}", host(url)),
            TimetableSource::Ruuster(url, _) => format!("ruuster {}", host(url)),
            TimetableSource::File(path) => format!("file {}", path.display()),
        }
    }
}

impl TimetableSource {
    /// All addresses that are asked; in templates, any word stands for the room.
    pub fn urls(&self) -> Vec<Url> {
        let of = |place: &CalendarPlace| match place {
            CalendarPlace::Url(url) => Some(url.clone()),
            CalendarPlace::File(_) => None,
        };
        match self {
            TimetableSource::IcalTemplate(template) => Url::parse(&sample(template)).into_iter().collect(),
            TimetableSource::IcalEach(each) => each.iter().filter_map(|(_, place)| of(place)).collect(),
            TimetableSource::IcalCombined(place, _) => of(place).into_iter().collect(),
            TimetableSource::MyTimetable(url, _) | TimetableSource::Ruuster(url, _) => vec![url.clone()],
            TimetableSource::IcalFileTemplate(_) | TimetableSource::File(_) => Vec::new(),
        }
    }

    /// A host that is asked without TLS, and is not this one.
    fn unprotected(&self) -> Option<String> {
        let is_here = |host: &str| {
            let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        };
        let hosts = self.urls().into_iter().filter(|url| url.scheme() == "http");
        hosts.filter_map(|url| url.host_str().map(str::to_owned)).find(|host| !is_here(host))
    }
}

fn kind(text: &str) -> Result<&'static str, Refusal> {
    KINDS.into_iter().find(|kind| *kind == text).ok_or_else(|| {
        let why = format!("{} is none of {}", quoted(text), KINDS.join(", "));
        Refusal::new(why).nearest(nearest(text, KINDS))
    })
}

fn source(kind: &str, fields: &mut Fields<'_>, rooms: &Rooms) -> Option<TimetableSource> {
    match kind {
        "ical" => ical(fields, rooms),
        "mytimetable" => {
            let url = fields.required("url", url).map(|(url, _)| url);
            let source = fields.parsed("source", short_text).map(|(text, _)| text);
            Some(TimetableSource::MyTimetable(url?, source))
        }
        "ruuster" => {
            let url = fields.required("url", url).map(|(url, _)| url);
            let institute = fields.parsed("institute", short_text).map(|(text, _)| text);
            Some(TimetableSource::Ruuster(url?, institute))
        }
        _ => Some(TimetableSource::File(fields.required("file", path)?.0)),
    }
}

fn ical(fields: &mut Fields<'_>, rooms: &Rooms) -> Option<TimetableSource> {
    let written: Vec<&str> =
        ["url", "urls", "file"].into_iter().filter(|name| fields.find(name).is_some()).collect();
    let matcher = fields.parsed("matcher", matcher);
    let source = match written.as_slice() {
        ["url"] => match fields.parsed("url", template)? {
            (text, _) if names_rooms(&text) => TimetableSource::IcalTemplate(text),
            (text, place) => {
                let url = url(&text).map_err(|why| fields.refuse(place, why)).ok()?;
                TimetableSource::IcalCombined(CalendarPlace::Url(url), RoomMatcher::Name)
            }
        },
        ["file"] => match fields.parsed("file", path)?.0 {
            path if path.to_str().is_some_and(names_rooms) => TimetableSource::IcalFileTemplate(path),
            path => TimetableSource::IcalCombined(CalendarPlace::File(path), RoomMatcher::Name),
        },
        ["urls"] => {
            let place = |text: &str| match text.contains("://") {
                true => url(text).map(CalendarPlace::Url),
                false => path(text).map(CalendarPlace::File),
            };
            TimetableSource::IcalEach(by_room("urls", fields, rooms, place))
        }
        several => {
            let why = match several {
                [] => "this [[timetable]] has no \"url\"",
                _ => "this [[timetable]] has more than one of \"url\", \"urls\" and \"file\"",
            };
            let hint =
                "\"url\" for one calendar or one with {room} in it, \"urls\" for one a room, or \"file\"";
            fields.refuse(fields.place().clone(), Refusal::new(why).hint(hint));
            return None;
        }
    };
    Some(match (source, matcher) {
        (TimetableSource::IcalCombined(place, _), Some((matcher, _))) => {
            TimetableSource::IcalCombined(place, matcher)
        }
        (source, Some((_, place))) => {
            let why = "a calendar a room needs no matcher: all of it is about that room";
            fields.refuse(place, Refusal::new(why));
            source
        }
        (source, None) => source,
    })
}

fn names(fields: &mut Fields<'_>, rooms: &Rooms) -> Vec<(RoomKey, String)> {
    by_room("names", fields, rooms, short_text)
}

/// A table of rooms, each with something.
fn by_room<T>(
    name: &'static str,
    fields: &mut Fields<'_>,
    rooms: &Rooms,
    parse: impl Fn(&str) -> Result<T, Refusal>,
) -> Vec<(RoomKey, T)> {
    let Some(written) = fields.find(name) else { return Vec::new() };
    let Value::Table(entries) = &written.value else {
        let why = format!("timetable.{name}: wants a table, as {{ hg075 = \"…\" }}");
        fields.refuse(written.place, Refusal::new(why));
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries {
        let room = room(&entry.name, rooms).map_err(|why| fields.refuse(entry.place.clone(), why)).ok();
        let value = fields.one(name, &entry.written, &parse).map(|(value, _)| value);
        found.extend(room.zip(value));
    }
    found
}

fn room_list(fields: &mut Fields<'_>, rooms: &Rooms) -> Option<Vec<RoomKey>> {
    fields.find("rooms")?;
    Some(fields.list("rooms", |text| room(text, rooms)).into_iter().map(|(key, _)| key).collect())
}

/// A room that is listed, or one that may appear.
pub(super) fn room(text: &str, rooms: &Rooms) -> Result<RoomKey, Refusal> {
    let key = key(text)?;
    match misspelt(key.as_str(), rooms) {
        Some(meant) => Err(Refusal::new(format!("unknown room {text:?}")).did_you_mean(meant)),
        None => Ok(key),
    }
}

/// The token, which is repeated nowhere (reliability.md O7).
fn token(fields: &mut Fields<'_>) -> Option<(Secret, Place)> {
    if let (Some(written), Some(_)) = (fields.find("token"), fields.find("token_file")) {
        fields
            .refuse(written.place, Refusal::new("this [[timetable]] has both \"token\" and \"token_file\""));
        return None;
    }
    if let Some((secret, place)) = fields.parsed("token", Secret::parse) {
        let refusal = match place.origin() {
            Origin::File(path) => secret_file::exposed(path.as_ref()).then(|| {
                let why = "everybody on this machine may read this file, and so the token";
                Refusal::new(why).hint("chmod o= it, or write the token to a token_file")
            }),
            Origin::Variable(_) => None,
            Origin::Set(_) => {
                Some(Refusal::new("everybody on this machine can see arguments, and so the token"))
            }
        };
        return match refusal {
            Some(refusal) => {
                fields.refuse(place, refusal);
                None
            }
            None => Some((secret, place)),
        };
    }
    fields.parsed("token_file", secret_file::read)
}

/// Patterns are about a line of text; a counted repetition of counted repetitions takes all memory there is.
const PATTERN_BYTES: usize = 1 << 18;

fn pattern(text: &str) -> Result<Regex, Refusal> {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES).build().map_err(|error| no_pattern(text, &error))
}

fn no_pattern(text: &str, error: &regex::Error) -> Refusal {
    // The error is a picture of several lines, of which the last says what is wrong.
    let error = error.to_string();
    let last = error.lines().last().unwrap_or_default();
    Refusal::new(format!("{}: {}", quoted(text), last.trim_start_matches("error: ")))
}

fn matcher(text: &str) -> Result<RoomMatcher, Refusal> {
    let pattern = RegexBuilder::new(&sample(text))
        .case_insensitive(true)
        .multi_line(true)
        .size_limit(PATTERN_BYTES)
        .build()
        .map_err(|error| no_pattern(text, &error))?;
    match (names_rooms(text), pattern.captures_len()) {
        (true, _) => Ok(RoomMatcher::PerRoom(text.into())),
        (false, 2) => Ok(RoomMatcher::Group(pattern)),
        (false, _) => Err(Refusal::new(format!("{} cannot tell one room from another", quoted(text)))
            .hint("write {name} or {room} in it, or one group that yields a room's name")),
    }
}

fn names_rooms(text: &str) -> bool {
    text.contains("{room}") || text.contains("{name}")
}

/// What a template is like with a room in it.
fn sample(text: &str) -> String {
    text.replace("{room}", "a").replace("{name}", "a")
}

/// An address. It may be a secret itself, and is not repeated.
fn url(text: &str) -> Result<Url, Refusal> {
    let no_address = || Refusal::new("wants an address that begins with http:// or https://");
    let url = Url::parse(text).map_err(|_| no_address())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(no_address()) }
}

fn template(text: &str) -> Result<String, Refusal> {
    let url = url(&sample(text))?;
    // The token is meant for one host.
    let authority = text.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next());
    if authority.is_some_and(names_rooms) || url.host_str().is_none() {
        return Err(Refusal::new("the host must not depend on the room"));
    }
    Ok(text.into())
}

fn path(text: &str) -> Result<PathBuf, Refusal> {
    if text.is_empty() || text.contains('\0') {
        return Err(Refusal::new("names no file"));
    }
    Ok(text.into())
}

fn short_text(text: &str) -> Result<String, Refusal> {
    let fits = !text.trim().is_empty() && text.chars().count() <= 200 && !text.contains(char::is_control);
    if fits { Ok(text.into()) } else { Err(Refusal::new("wants 1 to 200 printable characters")) }
}

/// What is shown for want of a text.
pub(super) fn placeholder(text: &str) -> Result<String, Refusal> {
    if text.contains(['<', '>']) {
        return Err(Refusal::new("\"<\" and \">\" could break the old page"));
    }
    short_text(text)
}
