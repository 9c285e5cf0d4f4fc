//! The text of a reservation: from outside, and for displays.

use regex::Regex;

/// The longest text (reliability.md T2): more stands on no display.
const LONGEST: usize = 200;

/// How a provider's text becomes that of a reservation.
#[derive(Debug, Clone)]
pub struct TextRule {
    /// What is cut, once: usually a leading course code.
    pub cut: Option<Regex>,
    /// What stands where there is no text.
    pub placeholder: String,
}

impl TextRule {
    /// The first of `texts` that has something to say, cleaned and cut.
    pub fn apply<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> String {
        let mut texts = texts.into_iter().map(clean).filter(|text| !text.is_empty());
        let Some(text) = texts.next() else { return clean(&self.placeholder) };
        let rest = self.cut.as_ref().map(|cut| cut.replace(&text, "").trim().to_owned());
        // A text that is nothing but a course code is better than none.
        short(rest.filter(|rest| !rest.is_empty()).unwrap_or(text))
    }
}

/// `text` on one line, without what steers a terminal or hides in a page. The old page takes some texts as HTML
/// (reliability.md F3), and nobody can be asked to write another, so that angle brackets become others.
fn clean(text: &str) -> String {
    let mut clean = String::new();
    for c in text.chars() {
        match c {
            c if c.is_whitespace() || c.is_control() => {
                if !clean.is_empty() && !clean.ends_with(' ') {
                    clean.push(' ');
                }
            }
            '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' => {}
            '<' => clean.push('‹'),
            '>' => clean.push('›'),
            c => clean.push(c),
        }
        // Enough for what is cut yet: descriptions may be books.
        if clean.len() > 8 * LONGEST {
            break;
        }
    }
    clean.truncate(clean.trim_end().len());
    clean
}

fn short(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        let last = text.char_indices().nth(LONGEST - 1).map_or(end, |(at, _)| at);
        text.truncate(last);
        text.truncate(text.trim_end().len());
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(cut: &str) -> TextRule {
        TextRule { cut: Some(Regex::new(cut).unwrap()), placeholder: "Reserved".into() }
    }

    #[test]
    fn a_text_is_one_clean_line_and_a_course_code_is_cut() {
        let code = "^(NWI-)?[A-Z0-9]+ ";
        let cases = [
            (code, "NWI-IBC001 Calculus A", "Calculus A"),
            (code, "IBC001 Calculus", "Calculus"),
            (code, "Calculus", "Calculus"),
            (code, "IBC001 ", "IBC001"),
            (code, "  a\r\n\tb\u{0}c  ", "a b c"),
            (code, "safe\u{202e}txt\u{200b}", "safetxt"),
            (code, "<img src=x onerror=y>", "‹img src=x onerror=y›"),
            (code, "Überfüllung 中文", "Überfüllung 中文"),
            (code, " \u{1b} ", "Reserved"),
            ("^.*$", "all of it", "all of it"),
        ];
        for (cut, text, expected) in cases {
            assert_eq!(rule(cut).apply([text]), expected, "{text:?}");
        }
        assert_eq!(rule(code).apply(["", " ", "notes"]), "notes");
        assert_eq!(rule(code).apply([]), "Reserved");
    }

    #[test]
    fn a_text_has_at_most_200_characters() {
        let uncut = TextRule { cut: None, placeholder: String::new() };
        assert_eq!(uncut.apply([&*"é".repeat(200)]), "é".repeat(200));
        let cut = uncut.apply([&*"é".repeat(100_000)]);
        assert_eq!((cut.chars().count(), cut.ends_with("é…")), (200, true));
        assert_eq!(uncut.apply([&*format!("{} b", "a".repeat(198))]).chars().count(), 200);
    }
}
