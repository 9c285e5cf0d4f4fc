//! A badge: two words as a picture (SVG), for pages that show no more. It uses what fonts there are, and asks for nothing.

use unicode_width::UnicodeWidthStr;

pub(super) const TYPE: &str = "image/svg+xml";

/// How long a label may be, in characters: names of rooms are not bounded.
const MOST: usize = 40;

/// What a badge says by its colour, besides its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Free,
    Full,
}

impl Mood {
    pub(super) fn of(usable: u32) -> Mood {
        if usable > 0 { Mood::Free } else { Mood::Full }
    }

    /// White on either is read with a contrast of 5 to 1.
    fn colour(self) -> &'static str {
        match self {
            Mood::Free => "#1a7f37",
            Mood::Full => "#b3261e",
        }
    }
}

/// A badge.
pub(super) fn svg(label: &str, says: &str, mood: Mood) -> String {
    let label: String = label.chars().filter(|c| is_of_xml(*c)).take(MOST).collect();
    // Seven pixels a column, and six at either end.
    let width = |text: &str| text.width() * 7 + 12;
    let (left, right) = (width(&label), width(says));
    let (all, colour) = (left + right, mood.colour());
    let (middle, second) = (left / 2, left + right / 2);
    let (label, says) = (escaped(&label), escaped(says));
    format!(
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{all}" height="20" viewBox="0 0 {all} 20" "#,
            // No id: a page may hold several badges.
            r#"role="img" aria-label="{label}: {says}"><title>{label}: {says}</title>"#,
            r##"<rect width="{left}" height="20" fill="#3f4650"/>"##,
            r#"<rect x="{left}" width="{right}" height="20" fill="{colour}"/>"#,
            r##"<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" "##,
            r#"aria-hidden="true"><text x="{middle}" y="14">{label}</text><text x="{second}" y="14">{says}</text></g></svg>"#,
        ),
        all = all,
        label = label,
        says = says,
        left = left,
        right = right,
        colour = colour,
        middle = middle,
        second = second,
    )
}

/// Whether a character can be shown, and stand in XML (its section 2.2).
fn is_of_xml(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_the_text_it_stands_in() {
        let badge = svg("<script>&\"\u{1}\u{ffff}", "5 free", Mood::Free);
        assert!(badge.contains("<title>&lt;script&gt;&amp;&quot;: 5 free</title>"), "{badge}");
        assert!(badge.contains("aria-label=\"&lt;script&gt;&amp;&quot;: 5 free\""), "{badge}");
        assert!(!badge.contains("<script") && !badge.contains("id="), "{badge}");
        let long = svg(&"x".repeat(10_000), "0 free", Mood::of(0));
        assert!(long.len() < 1500 && long.contains(Mood::Full.colour()), "{long}");
    }
}
