//! Every key, what it means, its default and its bounds. The reasons stand in `setups/example.toml`,
//! where the people who change the figures read them.

use super::duration;
use super::mistake::{Refusal, SetupError};
use super::near::{nearest, quoted};
use super::network::{address, clash, host, loopback, network};
use super::reader::Reader;
use super::{
    HistoryFile, Http, Limits, Log, LogFormat, Push, Setup, closures, control, crowd, insight, metrics,
    mirror, rooms, rules, seats, timetable, tls, tokens,
};
use chrono_tz::Tz;
use ipnet::IpNet;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Asks for every key.
pub(super) fn resolve(mut ask: Reader) -> Result<Setup, SetupError> {
    let setup = everything(&mut ask);
    ask.finish()?;
    Ok(setup)
}

/// The setup, with defaults in the place of what was refused.
pub(super) fn everything(ask: &mut Reader) -> Setup {
    let timezone =
        ask.parsed("timezone", "the name of a time zone, as \"Europe/Amsterdam\"", zone(), timezone);
    let http = http(ask);
    let push = push(ask);
    clashes(ask, &http, &push);
    let history = history(ask);
    let limits = limits(ask);
    let rooms = rooms::rooms(ask, limits.rooms);
    let rules = rules::rules(ask, &rooms);
    let schedule = timetable::schedule(ask);
    let timetables = timetable::timetables(ask, &rooms);
    let closures = closures::closures(ask, &rooms);
    let opening_hours = closures::opening_hours(ask, &rooms);
    let seats = seats::seats(ask, &closures, &opening_hours);
    let claim = ask.duration("seats.claim", minutes(2), seconds(1)..=hours(1));
    let log = log(ask);
    let mirror = mirror::mirror(ask);
    let metrics = metrics::metrics(ask);
    let insight = insight::insight(ask);
    let control = control::control(ask);
    Setup {
        timezone,
        http,
        push,
        history,
        rooms: rooms.plans,
        rules,
        schedule,
        timetables,
        closures,
        opening_hours,
        seats,
        claim,
        mirror,
        metrics,
        insight,
        control,
        limits,
        log,
    }
}

/// The zone of this system, whose name it tells.
fn zone() -> Tz {
    iana_time_zone::get_timezone().ok().and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

/// A zone of the IANA database.
pub(super) fn timezone(text: &str) -> Result<Tz, Refusal> {
    text.parse().map_err(|_| {
        let names = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        // People write the city alone.
        let city =
            names().find(|name| name.rsplit('/').next().is_some_and(|it| it.eq_ignore_ascii_case(text)));
        Refusal::new(format!("{} is no time zone", quoted(text)))
            .nearest(city.or_else(|| nearest(text, names())))
    })
}

fn http(ask: &mut Reader) -> Http {
    let http = Http {
        listen: listen(ask, "http.listen", 8080),
        tls: tls::tls(ask, &tls::HTTP),
        path: ask.parsed("http.path", "a path in quotes, as \"/\"", "/".into(), path),
        hold: ask.duration("http.hold", seconds(20), milliseconds(100)..=minutes(10)),
        channel_expiry: ask.duration("http.channel_expiry", minutes(5), milliseconds(100)..=hours(24)),
        max_channels: ask.count("http.max_channels", 50_000, 1..=1_000_000),
        max_streams: ask.count("http.max_streams", 10_000, 1..=1_000_000),
        idle: ask.duration("http.idle", seconds(120), patience(hours(1))),
        head_timeout: ask.duration("http.head_timeout", seconds(10), patience(minutes(5))),
        // hyper does not take less than 8 KiB.
        max_head: ask.count("http.max_head", 16_384, 8_192..=1_048_576),
        body_timeout: ask.duration("http.body_timeout", seconds(10), patience(minutes(5))),
        max_body: ask.count("http.max_body", 65_536, 1_024..=16_777_216),
        stalled: ask.duration("http.stalled", seconds(15), patience(minutes(5))),
        answer_timeout: ask.duration("http.answer_timeout", seconds(60), patience(hours(1))),
        refresh: ask.duration("http.refresh", minutes(10), milliseconds(100)..=hours(24)),
        crowd: crowd::crowd(ask),
    };
    if http.listen.is_empty() && !ask.is_written(tls::HTTP.certificate) {
        ask.refuse("http.listen", &[], Refusal::new("an empty list, so that nobody could be served"));
    }
    http
}

/// What a list of networks wants.
pub(super) const NETWORKS: &str = "IP addresses or networks in quotes, as \"192.0.2.0/24\"";

fn push(ask: &mut Reader) -> Push {
    let nets = NETWORKS;
    let push = Push {
        listen: listen(ask, "push.listen", 1235),
        tls: tls::tls(ask, &tls::PUSH),
        allow: ask.list("push.allow", nets, loopback(), network),
        tokens: tokens::tokens(ask),
        trusted_proxies: ask.list("push.trusted_proxies", nets, Vec::new(), network),
        hosts: ask.list("push.hosts", "host names in quotes, as \"push.example.org\"", Vec::new(), host),
        max_body: ask.count("push.max_body", 1_048_576, 1_024..=67_108_864),
        timeout: ask.duration("push.timeout", seconds(10), patience(minutes(5))),
        max_connections: ask.count("push.max_connections", 64, 1..=10_000),
    };
    crowd::not_everybody(ask, "push.trusted_proxies", &push.trusted_proxies, "push.allow");
    push
}

/// One address or several, each once.
pub(super) fn listen(ask: &mut Reader, key: &'static str, port: u16) -> Vec<SocketAddr> {
    let default = vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))];
    let addresses =
        ask.list(key, &format!("an address with a port in quotes, as \"0.0.0.0:{port}\""), default, address);
    let again = addresses.iter().enumerate().find(|(index, address)| {
        addresses.iter().take(*index).any(|before| before == *address && address.port() != 0)
    });
    if let Some((_, address)) = again {
        ask.refuse(key, &[], Refusal::new(format!("\"{address}\" is listed twice")));
    }
    addresses
}

fn clashes(ask: &mut Reader, http: &Http, push: &Push) {
    let tls = |tls: &Option<tls::Tls>| tls.as_ref().map(|tls| tls.listen.clone()).unwrap_or_default();
    let doors = [
        ("http.listen", http.listen.clone()),
        (tls::HTTP.listen, tls(&http.tls)),
        ("push.listen", push.listen.clone()),
        (tls::PUSH.listen, tls(&push.tls)),
    ];
    for (at, (second, theirs)) in doors.iter().enumerate() {
        for (first, ours) in doors.iter().take(at) {
            let pairs = ours.iter().flat_map(|a| theirs.iter().map(move |b| (*a, *b)));
            if let Some((a, b)) = pairs.into_iter().find(|(a, b)| clash(*a, *b)) {
                let why = format!("{second} \"{b}\" and {first} \"{a}\" take the same port");
                return ask.refuse(second, &[first], Refusal::new(why).hint("give each its own"));
            }
        }
    }
}

fn path(text: &str) -> Result<String, Refusal> {
    // What else is answered on this port.
    const TAKEN: [(&str, &str); 13] = [
        ("healthz", "tells how it is doing"),
        ("readyz", "tells how it is doing"),
        ("metrics", "tells how it is doing"),
        ("api", "answers programs"),
        ("events", "answers programs"),
        ("insight", "tells administrators how rooms were used"),
        ("rooms", "shows a room"),
        ("kiosk", "shows rooms"),
        ("embed", "shows rooms"),
        ("live", "tells the page what changes"),
        ("assets", "has the files of the page"),
        ("manifest.webmanifest", "has the files of the page"),
        ("worker.js", "has the files of the page"),
    ];
    let fits = text.bytes().all(|b| b.is_ascii_graphic() && !b"?#\"<>\\^`{|}%".contains(&b));
    if !fits || text.len() > 200 {
        return Err(Refusal::new(format!("{} is no path of printable ASCII", quoted(text))));
    }
    let first = text.trim_matches('/').split('/').next();
    if let Some((_, does)) = TAKEN.iter().find(|(taken, _)| Some(*taken) == first) {
        let why = format!("{} is where the daemon {does}", quoted(text));
        return Err(Refusal::new(why).hint("choose another path for the channels"));
    }
    if !text.starts_with('/') {
        return Err(
            Refusal::new(format!("{} begins with no slash", quoted(text))).did_you_mean(&format!("/{text}"))
        );
    }
    Ok(text.into())
}

fn history(ask: &mut Reader) -> HistoryFile {
    HistoryFile {
        enabled: ask.switch("history.enabled", true),
        db: ask.parsed("history.db", "a path in quotes", "history.sqlite3".into(), database),
        backlog: ask.count("history.backlog", 16_384, 1..=1_048_576),
        acknowledge_within: ask.duration("history.acknowledge_within", seconds(5), patience(minutes(1))),
        keep: ask.parsed("history.keep", "a duration in quotes, as \"365d\"", None, keep),
    }
}

/// For ever, or a time that is long enough for what is counted of single PCs, and for a backlog that waits for a disk.
fn keep(text: &str) -> Result<Option<Duration>, Refusal> {
    const BOUNDS: [u64; 2] = [7, 36_500];
    if text == "forever" {
        return Ok(None);
    }
    let span = duration::parse(text)?;
    let [least, most] = BOUNDS.map(|days| Duration::from_secs(days * 86_400));
    if (least..=most).contains(&span) {
        return Ok(Some(span));
    }
    let why =
        format!("{} is not between {} and {}", quoted(text), duration::shown(least), duration::shown(most));
    Err(Refusal::new(why))
}

fn database(text: &str) -> Result<PathBuf, Refusal> {
    if text.is_empty() || text.contains('\0') {
        return Err(Refusal::new("names no file").hint("history.enabled = false does without one"));
    }
    if text.starts_with(':') || text.starts_with("file:") {
        // SQLite's own notations, of which `:memory:` would acknowledge pushes and forget them.
        let why = format!("{} is not the path of a file", quoted(text));
        return Err(Refusal::new(why).hint("history.enabled = false does without one"));
    }
    Ok(text.into())
}

fn limits(ask: &mut Reader) -> Limits {
    Limits {
        pcs: ask.count("limits.pcs", 10_000, 1..=1_000_000),
        rooms: ask.count("limits.rooms", 1_000, 1..=100_000),
        sources: ask.count("limits.sources", 1_000, 1..=100_000),
        bodies: ask.count("limits.bodies", 67_108_864, 1_048_576..=1_073_741_824),
        unsent: ask.count("limits.unsent", 134_217_728, 1_048_576..=1_073_741_824),
    }
}

fn log(ask: &mut Reader) -> Log {
    Log {
        level: ask.parsed("log.level", "a level in quotes, as \"info\"", "info".into(), level),
        format: ask.parsed("log.format", "\"auto\", \"human\" or \"json\"", LogFormat::Auto, format),
    }
}

/// Directives for [`EnvFilter`]. It takes a word that is no level as the name of a target, and so
/// answers a misspelt level with silence; a target must therefore come with its level.
fn level(text: &str) -> Result<String, Refusal> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for directive in text.split(',').map(str::trim) {
        let word = directive.rsplit('=').next().unwrap_or_default();
        let level = LEVELS.contains(&word.to_ascii_lowercase().as_str());
        if !level && !directive.contains('[') {
            let why = Refusal::new(format!("{} is none of {}", quoted(word), LEVELS.join(", ")));
            return Err(why.nearest(nearest(word, LEVELS)));
        }
    }
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.into()),
        Err(error) => Err(Refusal::new(format!("{}: {error}", quoted(text)))),
    }
}

fn format(text: &str) -> Result<LogFormat, Refusal> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => {
            let formats = ["auto", "human", "json"];
            let why = format!("{} is none of {}", quoted(text), formats.join(", "));
            Err(Refusal::new(why).nearest(nearest(text, formats)))
        }
    }
}

/// Zero is not patience, and neither is more than `most`.
pub(super) fn patience(most: Duration) -> RangeInclusive<Duration> {
    PATIENCE..=most
}

/// The least patience.
pub(super) const PATIENCE: Duration = milliseconds(10);

pub(super) const fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(super) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(super) const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

pub(super) const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3_600)
}

/// Whether a list lets everybody in.
pub(super) fn everybody(nets: &[IpNet]) -> bool {
    nets.iter().any(|net| net.prefix_len() == 0)
}
