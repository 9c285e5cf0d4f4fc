//! What all plots promise, whatever they are given.

use super::*;
use crate::core::insight::{Slot, Span, Spent, Usual};
use crate::core::pc::{Occupation, Use};
use crate::core::schedule::{Reservation, TimeOfDay};
use crate::core::seats::SeatRule;
use crate::page::texts::{DE, EN, NL};
use proptest::prelude::*;

fn at(minute: u16) -> TimeOfDay {
    TimeOfDay { hour: (minute / 60) as u8, minute: (minute % 60) as u8 }
}

fn rule() -> SeatRule {
    let free = |state: Occupation| matches!(state, Occupation::Off | Occupation::On(_, Use::Free));
    SeatRule { free: Occupation::ALL.map(free), margin: 10, closed: ["Closed".to_owned()].into() }
}

fn reservation(start: u16, end: u16, text: &str) -> Reservation {
    Reservation { start: at(start), end: at(end), text: text.to_owned() }
}

fn usual(weekday: u32, minute: u32, lower: f64, median: f64, upper: f64) -> Usual {
    Usual { slot: Slot::new(weekday, minute), weeks: 10, lower, median, upper }
}

/// Half an hour in which so many PCs were free, used and neither.
fn past(minute: u16, free: u64, used: u64, neither: u64) -> Past {
    let mut spent = Spent::default();
    for (state, count) in [("lf", free), ("wu", used), ("x", neither)] {
        spent.0[Occupation::from_code(state).unwrap().place()] = count * 1800;
    }
    Past { minute, span: Span { covered: 1800, pcs: 9, peak: 9, spent } }
}

/// Fails where elements are not closed in their order, where an attribute could run or style something, and where a
/// number is none.
fn is_sound(html: &str) {
    let mut open: Vec<String> = Vec::new();
    for tag in html.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag that ends");
        let name: String =
            tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "{html}");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        assert!(!tag.contains(" style=") && !tag.contains(" on"), "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
    for text in ["NaN", "inf%", "-0\"", "{", "}"] {
        assert!(!html.contains(text), "{text}: {html}");
    }
}

#[test]
fn a_name_that_is_markup_stays_text() {
    let events = [reservation(600, 720, "<script>alert('\"&')</script>")];
    for texts in [&EN, &NL, &DE] {
        let plot = schedule(texts, &events, &rule(), Hours::default(), at(660));
        is_sound(&plot);
        assert!(!plot.contains("<script") && plot.contains("&lt;script&gt;"), "{plot}");
    }
}

#[test]
fn a_day_is_a_line_of_time_with_what_is_reserved_and_now() {
    let events =
        [reservation(0, 480, "Closed"), reservation(600, 720, "Calculus"), reservation(1320, 1439, "Closed")];
    let plot = schedule(&EN, &events, &rule(), Hours::around(480, 1440), at(660));
    is_sound(&plot);
    // From ten to twelve, of eight to midnight.
    assert!(
        plot.contains(
            r#"<svg x="12.5%" y="18" width="12.5%" height="34"><title>10:00–12:00 Calculus</title>"#
        ),
        "{plot}"
    );
    assert!(plot.contains(r#"x1="18.75%""#) && plot.contains(">now 11:00</text>"), "{plot}");
    assert_eq!(plot.matches("<title>").count(), 2, "what is over before the first hour is not drawn");
    assert!(plot.contains("<td>22:00</td><td>24:00</td>"), "the last minute is the end of the day");
    let empty = schedule(&EN, &[], &rule(), Hours::default(), at(120));
    is_sound(&empty);
    assert!(
        empty.contains(EN.schedule_none) && !empty.contains("class=\"p-now\""),
        "now is outside of the hours"
    );
}

#[test]
fn a_day_that_is_closed_is_so_in_the_language_of_the_page() {
    let events = [reservation(480, 1320, "Closed"), reservation(1320, 1380, "Painters")];
    let plot = schedule(&NL, &events, &rule(), Hours::default(), at(600));
    is_sound(&plot);
    assert!(plot.contains(">Gesloten</div>") && plot.contains("<bdi>Gesloten</bdi>"), "{plot}");
    assert!(
        plot.contains("08:00–22:00 Gesloten; 22:00–23:00 Painters") && !plot.contains("Closed"),
        "{plot}"
    );
    assert!(
        plot.contains(r#"class="p-shut""#),
        "which it is, is not found by what it is called here: {plot}"
    );
}

#[test]
fn today_adds_up_what_is_free_used_and_neither() {
    let halves = [past(540, 6, 2, 1), past(570, 3, 5, 1), past(660, 0, 9, 0)];
    let monday = [usual(0, 660, 1.0, 4.5, 6.0), usual(0, 690, 2.0, 5.0, 6.0)];
    let plot = today(&EN, &halves, &monday, &rule(), Hours::default(), at(675));
    is_sound(&plot);
    // Nine PCs are 128 pixels above a foot at 144: six of them leave 58.5, three 101.5. The present half hour has a quarter.
    assert!(
        plot.contains(r#"class="p-free" d="M60 144V58.5H90V101.5H120V144zM180 144V144H195V144z""#),
        "{plot}"
    );
    assert!(plot.contains(r#"class="p-usual" d="M180 80H210V73H240""#), "{plot}");
    assert!(plot.contains("Since 09:00 between 0 and 6 were free. At this time 5 usually are."), "{plot}");
    assert!(
        plot.contains(r#"<tr><th scope="row">09:30</th><td>3</td><td>5</td><td>1</td><td></td></tr>"#),
        "{plot}"
    );
    assert_eq!(today(&EN, &[], &monday, &rule(), Hours::default(), at(675)), "", "nothing is known");
}

#[test]
fn a_week_says_when_most_and_fewest_are_free_and_what_is_usual_now() {
    let known = [
        usual(0, 540, 8.0, 9.0, 10.0),
        usual(0, 570, 1.0, 2.0, 4.0),
        usual(4, 600, 9.0, 10.0, 10.0),
        usual(6, 120, 0.0, 0.0, 0.0),
    ];
    let of = |weekday| Week { usual: &known, pcs: 10, weekday, now: at(585) };
    let plot = week(&EN, of(0), Hours::default());
    is_sound(&plot);
    assert!(
        plot.contains("On Monday at 09:30 usually 2 are free. In half of the weeks 1 to 4 are."),
        "{plot}"
    );
    assert!(
        plot.contains("Fewest: 2 on Monday at 09:30. Most: 10 on Friday at 10:00."),
        "nights do not count: {plot}"
    );
    assert!(plot.contains("<td>9<small>8–10</small></td>"), "{plot}");
    assert!(!week(&EN, of(1), Hours::default()).contains("On Tuesday"), "of which nothing is known");
    assert!(week(&DE, of(0), Hours::default()).contains("Am Montag um 09:30 sind meist 2 frei"));
    assert!(week(&NL, of(0), Hours::default()).contains("Op maandag om 09:30 zijn er meestal 2 vrij"));
    assert_eq!(week(&EN, Week { usual: &known[3..], ..of(0) }, Hours::default()), "", "nothing by day");
}

#[test]
fn plots_of_a_busy_room_are_small() {
    let all: Vec<Usual> = (0..7)
        .flat_map(|day| {
            (0..48)
                .map(move |slot| usual(day, slot * 30, f64::from(slot % 7), f64::from(slot % 11) + 3.3, 17.2))
        })
        .collect();
    let halves: Vec<Past> = (0..48).map(|slot| past(slot * 30, u64::from(slot) % 9, 3, 2)).collect();
    let events: Vec<Reservation> =
        (0..6).map(|i| reservation(480 + 120 * i, 570 + 120 * i, "A lecture of some name")).collect();
    let (rule, hours) = (rule(), Hours::default());
    let sizes = [
        schedule(&EN, &events, &rule, hours, at(600)).len(),
        today(&EN, &halves, &all[..48], &rule, hours, at(1320)).len(),
        week(&EN, Week { usual: &all, pcs: 20, weekday: 1, now: at(600) }, hours).len(),
    ];
    // Most of the last is its table, of 196 half hours.
    assert!(sizes[0] < 5_000 && sizes[1] < 9_000 && sizes[2] < 20_000, "{sizes:?}");
}

proptest! {
    #[test]
    fn whatever_is_known_the_plots_are_sound(
        events in prop::collection::vec((0u16..1440, 0u16..1440, ".{0,9}"), 0..6),
        halves in prop::collection::btree_map(0u16..48, (0u64..20, 0u64..20, 0u64..20), 0..48),
        slots in prop::collection::btree_map(0u32..336, (0.0f64..20.0, 0.0f64..20.0, 0.0f64..20.0), 0..60),
        now in 0u16..1440,
        hours in (0u16..1440, 0u16..1440),
    ) {
        let events: Vec<_> = events.iter().map(|(from, until, text)| {
            let text: String = text.chars().filter(|c| !"{}".contains(*c)).collect();
            reservation(*from, *until, &text)
        }).collect();
        let halves: Vec<_> = halves.into_iter().map(|(half, (f, u, x))| past(half * 30, f, u, x)).collect();
        let known: Vec<_> = slots.into_iter().map(|(slot, (a, b, c))| {
            let mut sorted = [a, b, c];
            sorted.sort_by(f64::total_cmp);
            usual(slot / 48, slot % 48 * 30, sorted[0], sorted[1], sorted[2])
        }).collect();
        let hours = Hours::around(hours.0, hours.1).with(now);
        is_sound(&schedule(&DE, &events, &rule(), hours, at(now)));
        is_sound(&today(&NL, &halves, &known, &rule(), hours, at(now)));
        is_sound(&week(&EN, Week { usual: &known, pcs: 3, weekday: now % 7, now: at(now) }, hours));
    }
}
