//! What stands in a line of the log: text from outside is on one line, moves no cursor, and ends (reliability.md O6).

use super::super::text::plain;
use std::fmt::{self, Debug};
use tracing::field::Field;
use tracing_subscriber::fmt::format::Writer;

/// How many characters of one value are shown.
const MOST: usize = 256;

/// Writes one field of a line for people.
pub(super) fn field(out: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(out, "{}=", field.name())?;
    }
    out.write_str(&short(&plain(&format!("{value:?}"))))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A line of JSON with its texts as short, and without characters that terminals obey.
pub(super) fn json(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    // How many characters of a text have been passed; none outside of texts.
    let mut passed = None;
    while let Some(c) = chars.next() {
        let Some(count) = passed.as_mut() else {
            if c == '"' {
                passed = Some(0);
            }
            out.push(c);
            continue;
        };
        if c == '"' {
            passed = None;
            out.push(c);
            continue;
        }
        *count += 1;
        let escape = if c == '\\' { chars.next() } else { None };
        let hex: String = match escape {
            Some('u') => chars.by_ref().take(4).collect(),
            _ => String::new(),
        };
        match *count {
            0..=MOST => {
                out.push_str(&plain(c.encode_utf8(&mut [0; 4])));
                out.extend(escape);
                out.push_str(&hex);
            }
            n if n == MOST + 1 => out.push('…'),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o6_a_line_of_json_keeps_its_form_with_every_text_made_short() {
        let long = "\u{e9}".repeat(300);
        let line = format!(r#"{{"a":"{long}","b":"x\"y\\","c":[1,"\u0000\n{long}"]}}"#) + "\n";
        let short: String = "\u{e9}".repeat(256);
        let after: String = "\u{e9}".repeat(254);
        let expected = format!(r#"{{"a":"{short}…","b":"x\"y\\","c":[1,"\u0000\n{after}…"]}}"#) + "\n";
        assert_eq!(json(&line), expected);
        assert_eq!(json("{\"a\":\"\u{9b}31m\u{202e}b\"}\n"), "{\"a\":\"\u{fffd}31m\u{fffd}b\"}\n");
        assert_eq!(json("\"cut off \\"), "\"cut off \\");
    }
}
