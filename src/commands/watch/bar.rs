//! Bars of seats: every state has a shape and a colour, so that nobody depends on either.

use super::board::Counts;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;
use std::cmp::Reverse;

/// What a segment of a bar stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Free,
    Used,
    Off,
    Unknown,
}

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::Free, Kind::Used, Kind::Off, Kind::Unknown];

    pub(super) fn glyph(self) -> char {
        match self {
            Kind::Free => '█',
            Kind::Used => '▒',
            Kind::Off => '·',
            Kind::Unknown => '?',
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Free => "free",
            Kind::Used => "used",
            Kind::Off => "off",
            Kind::Unknown => "unknown",
        }
    }

    pub(super) fn count(self, counts: &Counts) -> usize {
        match self {
            Kind::Free => counts.free(),
            Kind::Used => counts.used,
            Kind::Off => counts.off,
            Kind::Unknown => counts.unknown,
        }
    }

    /// Cyan and yellow differ for every kind of colour blindness, and on dark and light terminals alike;
    /// red and green do not. Of the terminal's own palette, which its owner has chosen.
    pub(super) fn style(self, colours: bool) -> Style {
        match (self, colours) {
            (Kind::Free, true) => Style::new().fg(Color::Cyan),
            (Kind::Used, true) => Style::new().fg(Color::Yellow),
            (Kind::Off, true) => Style::new().fg(Color::DarkGray),
            (Kind::Unknown, true) => Style::new().fg(Color::Magenta),
            (Kind::Free, false) => Style::new().add_modifier(Modifier::BOLD),
            (_, false) => Style::new(),
        }
    }
}

/// A bar of `columns` columns.
pub(super) fn spans(counts: &Counts, columns: usize, colours: bool) -> Vec<Span<'static>> {
    let lengths = lengths(Kind::ALL.map(|kind| kind.count(counts)), columns);
    let mut spans: Vec<Span<'static>> = Kind::ALL
        .into_iter()
        .zip(lengths)
        .filter(|(_, length)| *length > 0)
        .map(|(kind, length)| Span::styled(kind.glyph().to_string().repeat(length), kind.style(colours)))
        .collect();
    if spans.is_empty() {
        // A room without PCs.
        spans.push(Span::styled("-".repeat(columns), Kind::Off.style(colours)));
    }
    spans
}

/// How long the segments are: in proportion, together exactly `columns`, and none that counts something
/// is lost as long as there is a column for each. No columns where nothing is counted.
fn lengths(counts: [usize; 4], columns: usize) -> [usize; 4] {
    let total: usize = counts.iter().sum();
    if total == 0 {
        return [0; 4];
    }
    let mut lengths = counts.map(|count| (count * columns / total).max(usize::from(count > 0)));
    loop {
        let sum: usize = lengths.iter().sum();
        // What a segment lacks of its share, in parts of `total`; the ends of the loop are reached one
        // column at a time, at most four times.
        let lack = |i: usize| {
            let share = i64::try_from(counts[i] * columns).unwrap_or(i64::MAX);
            share - i64::try_from(lengths[i] * total).unwrap_or(i64::MAX)
        };
        let segment = if sum < columns {
            (0..4).filter(|&i| counts[i] > 0).max_by_key(|&i| (lack(i), Reverse(i)))
        } else if sum > columns {
            (0..4).filter(|&i| lengths[i] > 0).min_by_key(|&i| (lengths[i] == 1, lack(i), i))
        } else {
            None
        };
        match segment {
            Some(i) if sum < columns => lengths[i] += 1,
            Some(i) => lengths[i] -= 1,
            None => return lengths,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn segments_are_in_proportion() {
        for (counts, columns, expected) in [
            ([1, 1, 1, 1], 8, [2, 2, 2, 2]),
            ([30, 30, 0, 0], 10, [5, 5, 0, 0]),
            ([1, 99, 0, 0], 10, [1, 9, 0, 0]),
            ([1, 1, 1, 97], 10, [1, 1, 1, 7]),
            ([0, 0, 0, 0], 10, [0, 0, 0, 0]),
            ([5, 5, 0, 0], 1, [1, 0, 0, 0]),
            ([5, 0, 0, 0], 0, [0, 0, 0, 0]),
        ] {
            let got = lengths(counts, columns);
            assert_eq!(got.iter().sum::<usize>(), expected.iter().sum::<usize>(), "{counts:?}");
            if columns > 1 {
                assert_eq!(got, expected, "{counts:?} in {columns}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_bar_has_exactly_its_columns_and_loses_no_state(
            counts in proptest::array::uniform4(0usize..200), columns in 0usize..60,
        ) {
            let lengths = lengths(counts, columns);
            let some = counts.iter().any(|&count| count > 0);
            prop_assert_eq!(lengths.iter().sum::<usize>(), if some { columns } else { 0 });
            if columns >= 4 {
                for (count, length) in counts.into_iter().zip(lengths) {
                    prop_assert_eq!(count > 0, length > 0);
                }
            }
        }
    }
}
