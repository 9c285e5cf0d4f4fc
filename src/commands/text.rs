//! Text from elsewhere, made fit to be shown, and times and states in words.

use crate::core::pc::{Occupation, System, Use};
use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` without what would move the cursor, change colours, reverse the line or hide in it: each such
/// character becomes a replacement mark (reliability.md O6; a room's name comes from another machine).
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let is_unsafe = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    if text.contains(is_unsafe) {
        text.chars().map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }).collect()
    } else {
        Cow::Borrowed(text)
    }
}

/// How many columns `text` takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// `text` in exactly `columns` columns: cut short with an ellipsis, or filled up with blanks.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let mut fitted = cut(text, columns);
    fitted.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(&fitted))));
    fitted
}

/// `text` in at most `columns` columns, with an ellipsis where something is left out.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let mut short = String::new();
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > left {
            break;
        }
        left -= wide;
        short.push(c);
    }
    short.truncate(short.trim_end().len());
    if columns > 0 {
        short.push('…');
    }
    short
}

/// A state, as people say it.
pub(super) fn state(state: Occupation) -> String {
    match state {
        Occupation::Off => "off".into(),
        Occupation::Unknown => "unknown".into(),
        Occupation::On(system, usage) => {
            let usage = match usage {
                Use::Free => "free",
                Use::Used => "used",
                Use::Unknown => "on",
            };
            let system = match system {
                System::Windows => "Windows",
                System::Linux => "Linux",
            };
            format!("{usage} ({system})")
        }
    }
}

/// How many of what, as `1 state` and `2 pushes`.
pub(super) fn count(number: usize, what: &str) -> String {
    let ending = match (number, what.ends_with("sh")) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{number} {what}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_from_elsewhere_cannot_steer_the_terminal() {
        for (text, shown) in [
            ("HG00.075", "HG00.075"),
            ("Zürich 中文", "Zürich 中文"),
            ("\u{1b}[31mred\u{7}", "\u{fffd}[31mred\u{fffd}"),
            ("a\nb\tc", "a\u{fffd}b\u{fffd}c"),
            ("a\u{202e}b\u{200b}", "a\u{fffd}b\u{fffd}"),
            ("\u{9b}2J", "\u{fffd}2J"),
        ] {
            assert_eq!(plain(text), shown, "{text:?}");
        }
    }

    #[test]
    fn text_is_cut_where_columns_end() {
        for (text, columns, fitted) in [
            ("abc", 5, "abc  "),
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("ab cd", 4, "ab… "),
            ("中文字", 4, "中… "),
            ("中文", 4, "中文"),
            ("é́x", 1, "…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(fit(text, columns), fitted, "{text:?} in {columns}");
        }
    }

    proptest! {
        #[test]
        fn fitted_text_takes_exactly_its_columns(text in "\\PC{0,40}", columns in 0usize..30) {
            prop_assert_eq!(width(&fit(&plain(&text), columns)), columns);
        }
    }
}
