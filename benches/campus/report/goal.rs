//! What the daemon is meant to reach, and whether it does: the goals of docs/performance.md, by their numbers.

use super::spread::{Spread, number};
use super::table::Table;

/// One goal, with what was measured of it.
pub(crate) struct Goal {
    what: String,
    bound: Bound,
    value: Spread,
}

/// Where a goal begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// This, or less.
    AtMost(f64),
    /// This, or more.
    AtLeast(f64),
}

impl Goal {
    /// A goal. Without a value it could not be measured: what it is compared with is not here.
    pub(crate) fn new(what: impl Into<String>, bound: Bound, value: Spread) -> Goal {
        Goal { what: what.into(), bound, value }
    }

    fn verdict(&self) -> &'static str {
        match (self.value.median(), self.bound) {
            (None, _) => "not measured",
            (Some(value), Bound::AtMost(bound)) if value <= bound => "met",
            (Some(value), Bound::AtLeast(bound)) if value >= bound => "met",
            (Some(_), _) => "**missed**",
        }
    }
}

/// All of them, as a table.
pub(crate) fn table(goals: &[Goal]) -> Table {
    let mut table = Table::new(&["goal", "asked", "measured", ""]);
    for goal in goals {
        let (sign, bound) = match goal.bound {
            Bound::AtMost(bound) => ("≤", bound),
            Bound::AtLeast(bound) => ("≥", bound),
        };
        let decimals = if bound.fract() == 0.0 && bound.abs() >= 100.0 || bound == 0.0 { 0 } else { 2 };
        let asked = format!("{sign} {}", number(bound, decimals));
        table.row([goal.what.clone(), asked, goal.value.show(decimals), goal.verdict().to_owned()]);
    }
    table
}
