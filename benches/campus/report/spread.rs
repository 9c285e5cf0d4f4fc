//! A figure that was taken in several turns.

use std::fmt::Write as _;

/// Its values, in the order of the turns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    /// The one in the middle.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        if sorted.len() % 2 == 1 { Some(upper) } else { Some((sorted.get(middle - 1)? + upper) / 2.0) }
    }

    /// The lowest and the highest.
    pub(crate) fn ends(&self) -> Option<(f64, f64)> {
        let low = self.0.iter().copied().min_by(f64::total_cmp)?;
        let high = self.0.iter().copied().max_by(f64::total_cmp)?;
        Some((low, high))
    }

    /// Turn by turn, this over that.
    pub(crate) fn over(&self, that: &Spread) -> Spread {
        Spread(self.0.iter().zip(&that.0).map(|(this, that)| this / that).collect())
    }

    /// Turn by turn, the product.
    pub(crate) fn times(&self, that: &Spread) -> Spread {
        Spread(self.0.iter().zip(&that.0).map(|(this, that)| this * that).collect())
    }

    /// In another unit, of which so many make one of this.
    pub(crate) fn scaled(&self, by: f64) -> Spread {
        Spread(self.0.iter().map(|value| value * by).collect())
    }

    /// The median, and the ends where there were several turns.
    pub(crate) fn show(&self, decimals: usize) -> String {
        let Some((median, (low, high))) = self.median().zip(self.ends()) else { return "–".to_owned() };
        let mut text = number(median, decimals);
        if self.0.len() > 1 {
            // Writing to a string cannot fail.
            let _ = write!(text, " ({}–{})", number(low, decimals), number(high, decimals));
        }
        text
    }
}

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Spread(values.into_iter().collect())
    }
}

/// A number with so many decimals, and commas between thousands.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
    let sign = if value < 0.0 && !is_zero { "−" } else { "" };
    format!("{sign}{grouped}{fraction}")
}
