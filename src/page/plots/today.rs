//! How full a room was today, and what is usual for the rest of the day.

use super::hours::{Hours, clock, minute_of};
use super::mark::{Figure, Hatching, LABEL, Shade, escaped};
use crate::core::insight::{Span, Usual};
use crate::core::pc::{Occupation, Use};
use crate::core::schedule::TimeOfDay;
use crate::core::seats::SeatRule;
use crate::page::texts::{Texts, fill};

const ID: &str = "plot-today";
const USED: Shade = Shade::Hatched("p-used");
const REST: Shade = Shade::Plain("p-rest");
const TOP: u16 = 16;
const TALL: u16 = 128;
const HEIGHT: u16 = TOP + TALL + 18;

/// A half hour of today.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Past {
    /// The minute of the day at which it begins, by the clock on the wall.
    pub minute: u16,
    /// What it came to.
    pub span: Span,
}

/// PCs by what they are to who looks for a seat, on average.
struct Parts {
    minute: u16,
    free: f64,
    used: f64,
    rest: f64,
}

impl Parts {
    fn of(past: &Past, rule: &SeatRule) -> Option<Parts> {
        let Past { minute, span } = past;
        let mut parts = Parts { minute: *minute, free: 0.0, used: 0.0, rest: 0.0 };
        for (state, is_free) in Occupation::ALL.into_iter().zip(rule.free) {
            let part = match state {
                _ if is_free => &mut parts.free,
                Occupation::On(_, Use::Used) => &mut parts.used,
                _ => &mut parts.rest,
            };
            *part += span.average(state)?;
        }
        Some(parts)
    }

    fn all(&self) -> f64 {
        self.free + self.used + self.rest
    }
}

/// How many PCs of a room were free and used in the half hours of today, and how many are usually free on this day of the
/// week; a `<figure>`, or nothing where nothing is known.
pub fn today(
    texts: &Texts,
    past: &[Past],
    usual: &[Usual],
    rule: &SeatRule,
    hours: Hours,
    now: TimeOfDay,
) -> String {
    let parts: Vec<Parts> =
        past.iter().filter(|past| hours.has(past.minute)).filter_map(|past| Parts::of(past, rule)).collect();
    let usual: Vec<&Usual> = usual.iter().filter(|usual| hours.has(usual.slot.minute())).collect();
    let most = parts.iter().map(Parts::all).chain(usual.iter().map(|usual| usual.median)).fold(0.0, f64::max);
    // Averages add up to a hair more than there are.
    let most = (most - 0.01).ceil();
    if parts.is_empty() || most < 1.0 {
        return String::new();
    }
    let down = |count: f64| f64::from(TOP) + f64::from(TALL) * (1.0 - count / most);
    let now_at = minute_of(now);
    // The present half hour is known up to now.
    let end = |minute: u16| {
        if (minute..minute + 30).contains(&now_at) { now_at.max(minute + 2) } else { minute + 30 }
    };
    let shape = |shade: Shade, upper: fn(&Parts) -> f64| {
        let steps = parts.iter().map(|part| (part.minute, end(part.minute), upper(part)));
        shade.shape(ID, "path", &format!(r#"d="{}""#, area(steps, hours, TOP + TALL, &down)))
    };
    let mut inner = hours.inner(HEIGHT);
    inner += &hours.lines(TOP + TALL);
    inner += &shape(REST, Parts::all);
    inner += &shape(USED, |part| part.free + part.used);
    inner += &shape(Shade::Plain("p-free"), |part| part.free);
    if !usual.is_empty() {
        let steps = usual.iter().map(|usual| (usual.slot.minute(), usual.slot.minute() + 30, usual.median));
        inner += &format!(r#"<path class="p-usual" d="{}"/>"#, line(steps, hours, &down));
    }
    let foot = TOP + TALL;
    inner += &format!(r#"<path class="p-foot" d="M0 {foot}H{}"/></svg>"#, hours.minutes());
    let mut picture = format!(
        r#"<g class="p-count" text-anchor="end"><text x="{LABEL}" y="{}">{most}</text><text x="{LABEL}" y="{foot}">0</text></g>"#,
        TOP + 5
    );
    picture += &inner;
    picture += &hours.now(now, TOP - 8, foot + 4);
    picture += &hours.labels(HEIGHT - 3);
    let says = says(texts, &parts, &usual, now_at);
    let key = [
        (Shade::Plain("p-free"), texts.plot_free),
        (USED, texts.plot_used),
        (REST, texts.plot_rest),
        (Shade::Line("p-usual"), texts.plot_usual),
    ];
    Figure {
        id: ID,
        title: texts.today,
        says: &says,
        is_caption: true,
        height: HEIGHT,
        picture: &picture,
        hatching: Hatching::Level,
        key: if usual.is_empty() { &key[..3] } else { &key },
        opener: texts.plot_table,
        table: &table(texts, &parts, &usual),
    }
    .to_string()
}

/// How many were free today, and what is usual now.
fn says(texts: &Texts, parts: &[Parts], usual: &[&Usual], now: u16) -> String {
    let free = || parts.iter().map(|part| part.free);
    let (fewest, most) = (free().fold(f64::INFINITY, f64::min), free().fold(0.0, f64::max));
    let begin = parts.first().map(|part| part.minute).unwrap_or_default();
    let range = fill(
        texts.plot_today_range,
        &[("time", &clock(begin)), ("fewest", &whole(fewest)), ("most", &whole(most))],
    );
    match usual.iter().find(|usual| (usual.slot.minute()..usual.slot.minute() + 30).contains(&now)) {
        Some(usual) => range + " " + &fill(texts.plot_today_usual, &[("n", &whole(usual.median))]),
        None => range,
    }
}

fn table(texts: &Texts, parts: &[Parts], usual: &[&Usual]) -> String {
    let heads = [texts.plot_time, texts.plot_free, texts.plot_used, texts.plot_rest, texts.plot_usual];
    let heads = heads.iter().take(if usual.is_empty() { 4 } else { 5 });
    let heads: String = heads.map(|head| format!(r#"<th scope="col">{}</th>"#, escaped(head))).collect();
    let mut table = format!("<thead><tr>{heads}</tr></thead><tbody>");
    for part in parts {
        let Parts { minute, free, used, rest } = part;
        table += &format!(r#"<tr><th scope="row">{}</th>"#, clock(*minute));
        for count in [free, used, rest] {
            table += &format!("<td>{}</td>", whole(*count));
        }
        if !usual.is_empty() {
            let median = usual.iter().find(|usual| usual.slot.minute() == *minute);
            table += &format!("<td>{}</td>", median.map(|usual| whole(usual.median)).unwrap_or_default());
        }
        table += "</tr>";
    }
    table + "</tbody>"
}

/// A count as people say it.
pub(super) fn whole(count: f64) -> String {
    format!("{:.0}", count.round())
}

/// Steps filled down to `foot`; stretches of time that do not touch are areas of their own.
pub(super) fn area(
    steps: impl Iterator<Item = (u16, u16, f64)>,
    hours: Hours,
    foot: u16,
    down: &impl Fn(f64) -> f64,
) -> String {
    let mut path = String::new();
    let mut open: Option<u16> = None;
    for (from, until, count) in steps {
        let (x, to, y) = (hours.behind(from), hours.behind(until), short(down(count)));
        match open {
            Some(at) if at == x => path += &format!("V{y}H{to}"),
            before => {
                if before.is_some() {
                    path += &format!("V{foot}z");
                }
                path += &format!("M{x} {foot}V{y}H{to}");
            }
        }
        open = Some(to);
    }
    if open.is_some() { path + &format!("V{foot}z") } else { path }
}

/// The upper edge of steps.
pub(super) fn line(
    steps: impl Iterator<Item = (u16, u16, f64)>,
    hours: Hours,
    down: &impl Fn(f64) -> f64,
) -> String {
    let mut path = String::new();
    let mut open: Option<u16> = None;
    for (from, until, count) in steps {
        let (x, to, y) = (hours.behind(from), hours.behind(until), short(down(count)));
        path += &if open == Some(x) { format!("V{y}H{to}") } else { format!("M{x} {y}H{to}") };
        open = Some(to);
    }
    path
}

/// Half a pixel is all that can be seen.
fn short(y: f64) -> f64 {
    (y * 2.0).round() / 2.0
}
