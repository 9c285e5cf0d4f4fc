//! Today's schedule of a room, as a line of time.

use super::hours::{Hours, clock, minute_of};
use super::mark::{Figure, Hatching, Shade, escaped};
use crate::core::schedule::{Reservation, TimeOfDay};
use crate::core::seats::SeatRule;
use crate::page::texts::{Texts, fill};

const ID: &str = "plot-day";
const TAKEN: Shade = Shade::Hatched("p-taken");
const SHUT: Shade = Shade::Hatched("p-shut");
const TOP: u16 = 18;
const BAR: u16 = 34;
const HEIGHT: u16 = TOP + BAR + 18;

/// Today's schedule of a room, with the time now; a `<figure>`.
pub fn schedule(
    texts: &Texts,
    reservations: &[Reservation],
    rule: &SeatRule,
    hours: Hours,
    now: TimeOfDay,
) -> String {
    let mut events: Vec<&Reservation> = reservations.iter().collect();
    events.sort_by_key(|event| (event.start, event.end));
    let (first, last) = (hours.begin(), hours.end());
    let mut picture = format!(
        r#"<rect class="p-open" x="{}" y="{TOP}" width="{}" height="{BAR}"/>"#,
        hours.at(first),
        hours.wide(last - first)
    );
    for event in &events {
        picture += &block(texts, event, rule, hours);
    }
    picture += &hours.now(now, TOP - 4, TOP + BAR + 4);
    if hours.has(minute_of(now)) {
        let label = fill(texts.plot_now, &[("time", &clock(minute_of(now)))]);
        // It stays within the picture at either end.
        let share = f64::from(hours.behind(minute_of(now))) / f64::from(hours.minutes());
        let anchor = if share < 0.15 {
            "start"
        } else if share > 0.85 {
            "end"
        } else {
            "middle"
        };
        let x = hours.at(minute_of(now));
        picture += &format!(
            r#"<text class="p-now" x="{x}" y="{}" text-anchor="{anchor}">{}</text>"#,
            TOP - 7,
            escaped(&label)
        );
    }
    picture += &hours.labels(HEIGHT - 3);
    let spans = events.iter().map(|event| span(texts, event)).collect::<Vec<_>>().join("; ");
    let says = if events.is_empty() { texts.schedule_none } else { &spans };
    let mut table = format!(
        r#"<thead><tr><th scope="col">{}</th><th scope="col">{}</th><th scope="col">{}</th></tr></thead><tbody>"#,
        escaped(texts.plot_from),
        escaped(texts.plot_until),
        escaped(texts.plot_what)
    );
    for event in &events {
        table += &format!(
            "<tr><td>{}</td><td>{}</td><td><bdi>{}</bdi></td></tr>",
            clock(minute_of(event.start)),
            clock(end_of(event)),
            escaped(texts.booked(&event.text))
        );
    }
    table += "</tbody>";
    Figure {
        id: ID,
        title: texts.schedule,
        says,
        is_caption: false,
        height: HEIGHT,
        picture: &picture,
        hatching: Hatching::Aslant,
        key: &[
            (Shade::Plain("p-open"), texts.plot_open),
            (TAKEN, texts.plot_reserved),
            (SHUT, texts.plot_closed),
        ],
        opener: texts.plot_table,
        table: &table,
    }
    .to_string()
}

/// One reservation: what does not fit of its text ends in an ellipsis, which SVG has no way to say.
fn block(texts: &Texts, event: &Reservation, rule: &SeatRule, hours: Hours) -> String {
    let (start, end) = (minute_of(event.start), end_of(event));
    let long = hours.behind(end) - hours.behind(start).min(hours.behind(end));
    if long == 0 {
        return String::new();
    }
    let shade = if rule.closed.contains(&event.text) { SHUT } else { TAKEN };
    let shape = shade.shape(ID, "rect", r#"width="100%" height="100%""#);
    let (x, wide) = (hours.at(start), hours.wide(long));
    // Where the screen is wide. On a phone an hour has some twenty pixels, and no room for words.
    let text = if long >= 60 {
        let text = escaped(texts.booked(&event.text));
        format!(
            r#"<foreignObject width="100%" height="100%"><div class="p-what" dir="auto">{text}</div></foreignObject>"#
        )
    } else {
        String::new()
    };
    format!(
        r#"<svg x="{x}" y="{TOP}" width="{wide}" height="{BAR}"><title>{}</title>{shape}{text}</svg>"#,
        escaped(&span(texts, event))
    )
}

/// From when to when there is what.
fn span(texts: &Texts, event: &Reservation) -> String {
    format!("{}–{} {}", clock(minute_of(event.start)), clock(end_of(event)), texts.booked(&event.text))
}

/// The minute at which it is over. One that lasts until the last minute lasts until midnight.
fn end_of(event: &Reservation) -> u16 {
    let end = minute_of(event.end);
    if end == 1439 { 1440 } else { end }
}
