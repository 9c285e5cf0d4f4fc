//! What of a setup file must not be shown.
//!
//! The file holds digests, which are no secrets. But a tired person writes the token itself where
//! its digest belongs, and the message about that mistake ends in a log (reliability.md O7). Addresses of calendars are
//! secrets as well.

use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Words that betray a line on which somebody may have written a secret, wherever it stands.
const WORDS: [&str; 7] = ["sha256", "token", "secret", "password", "bearer", "url", "master"];

/// `text` with stars for what may be secret; byte for byte as long, so that spans stay true.
pub(super) fn starred(text: &str, table: &DeTable<'_>, understood: bool) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        if WORDS.iter().any(|word| lower.contains(word)) {
            for span in values(line, understood) {
                star(&mut bytes, start + span.start..start + span.end);
            }
        }
        start += line.len();
    }
    for door in ["push", "insight"] {
        if let Some(tokens) = table.get(door).and_then(|door| door.get_ref().get("tokens")) {
            leaves(tokens, &mut |span| star(&mut bytes, span));
        }
    }
    // The address of a private calendar is as good as a password.
    if let Some(DeValue::Array(timetables)) = table.get("timetable").map(Spanned::get_ref) {
        for key in ["url", "urls", "token"] {
            let written = timetables.iter().filter_map(|timetable| timetable.get_ref().get(key));
            written.for_each(|value| leaves(value, &mut |span| star(&mut bytes, span)));
        }
    }
    // So may be that of a master, with a name and a password in it.
    if let Some(master) = table.get("mirror").and_then(|mirror| mirror.get_ref().get("master")) {
        leaves(master, &mut |span| star(&mut bytes, span));
    }
    // Somebody may have written a key where its path belongs.
    for door in ["http", "push"] {
        let tls = table.get(door).and_then(|door| door.get_ref().get("tls"));
        if let Some(key) = tls.and_then(|tls| tls.get_ref().get("key"))
            && key.get_ref().as_str().is_none_or(|text| text.contains("-----BEGIN"))
        {
            leaves(key, &mut |span| star(&mut bytes, span));
        }
    }
    // Stars replace whole quotations or lines, hence whole characters; should that ever be wrong,
    // nothing is shown.
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

/// The parts of a line between quotes; of a file that is no TOML, all that follows the first `=`.
fn values(line: &str, understood: bool) -> Vec<Range<usize>> {
    if !understood {
        return line.find('=').map(|at| at + 1..line.len()).into_iter().collect();
    }
    let mut spans = Vec::new();
    let mut opened: Option<(char, usize)> = None;
    for (at, c) in line.char_indices() {
        match opened {
            Some((quote, from)) if c == quote => {
                spans.push(from..at);
                opened = None;
            }
            None if c == '"' || c == '\'' => opened = Some((c, at + 1)),
            _ => {}
        }
    }
    spans.extend(opened.map(|(_, from)| from..line.len()));
    spans
}

/// Every value below `value`, except who a token belongs to.
fn leaves(value: &Spanned<DeValue<'_>>, visit: &mut impl FnMut(Range<usize>)) {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().for_each(|item| leaves(item, visit)),
        DeValue::Table(table) => {
            table
                .iter()
                .filter(|(key, _)| key.get_ref() != "source")
                .for_each(|(_, value)| leaves(value, visit));
        }
        _ => visit(value.span()),
    }
}

fn star(bytes: &mut [u8], span: Range<usize>) {
    for byte in bytes.get_mut(span).unwrap_or_default() {
        if !matches!(byte, b'"' | b'\'' | b'\n' | b'\r' | b' ') {
            *byte = b'*';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let (table, errors) = DeTable::parse_recoverable(text);
        starred(text, table.get_ref(), errors.is_empty())
    }

    #[test]
    fn what_may_be_a_token_is_starred_wherever_it_was_written() {
        for text in [
            "[push]\ntokens = [{ sha256 = \"hunter2\", source = 'a' }]\n",
            "[push]\ntokens = [\n  'hunter2',\n]\n",
            "[insight]\ntokens = [\n  { sha256 =\n'hunter2' },\n]\n",
            "[insight]\ntokens = [\n  'hunter2',\n]\n",
            "[push]\ntoken = \"hunter2\"\n",
            "[[push.tokens]]\nvalue = 'hunter2'\n",
            "[[push.tokens]]\nvalue = \"\"\"\nhunter2\"\"\"\n",
            "[push]\nsecret = hunter2\n",
            "[push]\nsecret = \"hunter2\n",
            "[[timetable]]\nurl = 'https://a.example/hunter2.ics'\n",
            "[[timetable]]\nurl = \"\"\"\nhttps://a.example/hunter2.ics\"\"\"\n",
            "[[timetable]]\nurls = {\n  a = 'https://a.example/hunter2.ics',\n}\n",
            "[[timetable]]\nurl = https://a.example/hunter2.ics\n",
            "[mirror]\nmaster = 'http://me:hunter2@a.example'\n",
            "[mirror]\nmaster = \"\"\"\nhttp://me:hunter2@a.example\"\"\"\n",
            "[http.tls]\nkey = \"\"\"\n-----BEGIN PRIVATE KEY-----\nhunter2\"\"\"\n",
            "[push.tls]\nkey = ['-----BEGIN PRIVATE KEY-----', 'hunter2']\n",
        ] {
            let shown = shown(text);
            assert!(!shown.contains("hunter2"), "{shown}");
            assert_eq!(shown.len(), text.len());
        }
    }

    #[test]
    fn the_rest_stays_readable() {
        let text = "[push]\nallow = [\"::1\"]\ntokens = [{ sha256 = \"h\u{e9}\", source = 'a' }]\n";
        assert_eq!(shown(text), "[push]\nallow = [\"::1\"]\ntokens = [{ sha256 = \"***\", source = '*' }]\n");
    }
}
