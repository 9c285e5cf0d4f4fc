//! Which PCs count as free, and how long before a class: `[seats]`.

use super::mistake::Refusal;
use super::near::{nearest, quoted};
use super::reader::Reader;
use super::resolve::{hours, minutes};
use super::{Closure, OpeningHours, closures};
use crate::core::pc::{Occupation, System, Use};
use crate::core::seats::SeatRule;
use std::time::Duration;

/// Whether a state is meant.
type Means = fn(Occupation) -> bool;

/// What an administrator says of states, and which those are.
const WORDS: [(&str, Means); 5] = [
    ("windows", |state| state == Occupation::On(System::Windows, Use::Free)),
    ("linux", |state| state == Occupation::On(System::Linux, Use::Free)),
    ("off", |state| state == Occupation::Off),
    ("unknown", |state| state == Occupation::Unknown),
    ("on", |state| matches!(state, Occupation::On(_, Use::Unknown))),
];

/// Resolves `[seats]`. What stands in the schedule while rooms are closed is what these say.
pub(super) fn seats(ask: &mut Reader, closures: &[Closure], hours_open: &OpeningHours) -> SeatRule {
    let default = ["windows", "linux", "off"].iter().filter_map(|word| states(word).ok()).collect();
    let wants = "states in quotes, as \"windows\"";
    let counted: Vec<Means> = ask.list("seats.free", wants, default, states);
    let margin = ask.duration("seats.margin", minutes(10), Duration::ZERO..=hours(4));
    let texts = closures.iter().map(|closure| &closure.text).chain([&hours_open.text]);
    SeatRule {
        free: Occupation::ALL.map(|state| counted.iter().any(|counts| counts(state))),
        // Four hours at most. A part of a minute counts whole: people come in early.
        margin: margin.as_secs().div_ceil(60) as u16,
        closed: texts.cloned().chain([closures::CLOSED.to_owned()]).collect(),
    }
}

fn states(text: &str) -> Result<Means, Refusal> {
    let words = WORDS.map(|(word, _)| word);
    WORDS.iter().find(|(word, _)| *word == text).map(|(_, states)| *states).ok_or_else(|| {
        Refusal::new(format!("{} is none of {}", quoted(text), words.join(", ")))
            .nearest(nearest(text, words))
    })
}
