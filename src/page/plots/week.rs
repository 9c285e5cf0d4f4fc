//! When a room is usually free: the days of the week one below the other, each with the hours across.
//!
//! How high the dark area is, so many seats are free in three of four weeks: what one can count on. The line is what is
//! usual, and the light area reaches as far as one may be lucky in one week of four.

use super::hours::{Hours, clock, minute_of};
use super::mark::{Figure, Hatching, LABEL, Shade, escaped};
use super::today::{area, line, whole};
use crate::core::insight::{Slot, Usual};
use crate::core::schedule::TimeOfDay;
use crate::page::texts::{Texts, fill};

const TOP: u16 = 20;
const ROW: u16 = 38;
const GAP: u16 = 10;
const HEIGHT: u16 = TOP + 7 * (ROW + GAP) + 14;

/// The usual week of a room, and when it is now.
#[derive(Debug, Clone, Copy)]
pub struct Week<'a> {
    /// What is known, in the order of the slots.
    pub usual: &'a [Usual],
    /// How many PCs there are.
    pub pcs: u32,
    /// 0 is Monday.
    pub weekday: u16,
    /// The time of that day.
    pub now: TimeOfDay,
}

/// When a room is usually free; a `<figure>`, or nothing where nothing is known.
pub fn week(texts: &Texts, week: Week<'_>, hours: Hours) -> String {
    let shown: Vec<&Usual> = week.usual.iter().filter(|usual| hours.has(usual.slot.minute())).collect();
    if shown.is_empty() {
        return String::new();
    }
    let most = shown.iter().map(|usual| usual.upper).fold(f64::from(week.pcs.max(1)), f64::max);
    let days = texts.days;
    let (mut names, mut counts) = (String::new(), String::new());
    let mut inner = hours.inner(HEIGHT) + &hours.lines(HEIGHT - 18);
    for (day, name) in (0..7).zip(days) {
        let top = TOP + day * (ROW + GAP);
        let foot = top + ROW;
        let of_day = || shown.iter().filter(|usual| usual.slot.weekday() == day);
        let down = |count: f64| f64::from(top) + f64::from(ROW) * (1.0 - count / most);
        let steps = |count: fn(&Usual) -> f64| {
            of_day().map(move |usual| (usual.slot.minute(), usual.slot.minute() + 30, count(usual)))
        };
        inner += &format!(r#"<path class="p-brim" d="M0 {top}H{}"/>"#, hours.minutes());
        inner +=
            &format!(r#"<path class="p-lucky" d="{}"/>"#, area(steps(|of| of.upper), hours, foot, &down));
        inner += &format!(r#"<path class="p-free" d="{}"/>"#, area(steps(|of| of.lower), hours, foot, &down));
        inner += &format!(r#"<path class="p-median" d="{}"/>"#, line(steps(|of| of.median), hours, &down));
        inner += &format!(r#"<path class="p-foot" d="M0 {foot}H{}"/>"#, hours.minutes());
        let class = if day == week.weekday { r#" class="p-on""# } else { "" };
        names += &format!(r#"<text{class} x="{LABEL}" y="{}">{}</text>"#, foot - 2, escaped(name));
        let fewest = of_day().min_by(|a, b| a.median.total_cmp(&b.median));
        let fewest = fewest.filter(|usual| usual.median < most / 2.0);
        if let Some(Usual { slot, median, .. }) = fewest.map(|usual| **usual) {
            let (x, y) = (hours.at(slot.minute() + 15), down(median) - 5.0);
            counts += &format!(r#"<text x="{x}" y="{y:.0}">{}</text>"#, whole(median));
        }
    }
    let top = TOP + week.weekday * (ROW + GAP);
    let picture = [
        inner,
        "</svg>".to_owned(),
        format!(
            r#"<g class="p-day" text-anchor="end">{names}</g><g class="p-few" text-anchor="middle">{counts}</g>"#
        ),
        format!(
            r#"<text class="p-count" x="100%" y="{}" text-anchor="end">{}</text>"#,
            TOP - 5,
            escaped(&fill(texts.plot_all, &[("n", &whole(most))]))
        ),
        hours.now(week.now, top - 3, top + ROW + 3),
        hours.labels(HEIGHT - 3),
    ]
    .concat();
    Figure {
        id: "plot-week",
        title: texts.usual,
        says: &says(texts, &week, &shown),
        is_caption: true,
        height: HEIGHT,
        picture: &picture,
        hatching: Hatching::None,
        key: &[
            (Shade::Plain("p-free"), texts.plot_surely),
            (Shade::Line("p-median"), texts.plot_median),
            (Shade::Plain("p-lucky"), texts.plot_lucky),
        ],
        opener: texts.plot_table,
        table: &table(texts, &shown, hours),
    }
    .to_string()
}

/// What is usual now, and when the fewest and the most are free.
fn says(texts: &Texts, week: &Week<'_>, shown: &[&Usual]) -> String {
    let day = |of: &Usual| texts.weekdays.get(usize::from(of.slot.weekday())).copied().unwrap_or_default();
    let now = Slot::new(week.weekday.into(), minute_of(week.now).into());
    let usual = shown.iter().find(|usual| usual.slot == now);
    let at_now = usual.map(|usual| {
        let time = clock(usual.slot.minute());
        fill(texts.plot_week_now, &[("day", day(usual)), ("time", &time), ("n", &whole(usual.median))])
    });
    let spread = usual.map(|usual| (whole(usual.lower), whole(usual.upper)));
    let spread = spread.filter(|(lower, upper)| lower != upper);
    let spread =
        spread.map(|(lower, upper)| fill(texts.plot_week_spread, &[("lower", &lower), ("upper", &upper)]));
    // The nearest to now of those that are alike would be as good; the first is easier to find again.
    let fewest = shown.iter().min_by(|a, b| a.median.total_cmp(&b.median));
    let most = shown.iter().rev().max_by(|a, b| a.median.total_cmp(&b.median));
    let range = fewest.zip(most).filter(|(fewest, most)| whole(fewest.median) != whole(most.median));
    let range = range.map(|(fewest, most)| {
        fill(
            texts.plot_week_range,
            &[
                ("fewest", &whole(fewest.median)),
                ("fewest_day", day(fewest)),
                ("fewest_time", &clock(fewest.slot.minute())),
                ("most", &whole(most.median)),
                ("most_day", day(most)),
                ("most_time", &clock(most.slot.minute())),
            ],
        )
    });
    let weeks = shown.iter().map(|usual| usual.weeks).max().unwrap_or_default();
    let of = fill(texts.plot_week_of, &[("n", &weeks.to_string())]);
    [at_now, spread, range, Some(of)].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn table(texts: &Texts, shown: &[&Usual], hours: Hours) -> String {
    let names = texts.days.iter().zip(texts.weekdays);
    let heads: String = names
        .map(|(short, long)| {
            format!(r#"<th scope="col"><abbr title="{}">{}</abbr></th>"#, escaped(long), escaped(short))
        })
        .collect();
    let mut table =
        format!(r#"<thead><tr><th scope="col">{}</th>{heads}</tr></thead><tbody>"#, escaped(texts.plot_time));
    for minute in (hours.begin()..hours.end()).step_by(30) {
        table += &format!(r#"<tr><th scope="row">{}</th>"#, clock(minute));
        for day in 0..7 {
            let slot = Slot::new(day, minute.into());
            let cell = shown.iter().find(|usual| usual.slot == slot).map(|usual| {
                let (lower, upper) = (whole(usual.lower), whole(usual.upper));
                format!("{}<small>{lower}–{upper}</small>", whole(usual.median))
            });
            table += &format!("<td>{}</td>", cell.unwrap_or_default());
        }
        table += "</tr>";
    }
    table + "</tbody>"
}
