//! Plots as SVG, each with a table of the same: today's schedule of a room, how full it was today, its usual week.
//!
//! A plot is as wide as what it stands in, and its text is of the same size on a phone and on a wall: across, all places
//! are shares of the width. Shapes are in an inner SVG that stretches, and labels at the left in the margin that the style
//! leaves. Colours are classes (`styles/plots.css`), since the page allows no inline styles; what they tell is told by
//! lightness, hatching and words, too.

mod hours;
mod mark;
mod schedule;
#[cfg(test)]
mod tests;
mod today;
mod week;

pub use hours::Hours;
pub use schedule::schedule;
pub use today::{Past, today};
pub use week::{Week, week};
