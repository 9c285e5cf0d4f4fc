//! Tables for spreadsheets (RFC 4180).

use csv::{QuoteStyle, Terminator, WriterBuilder};
use std::borrow::Cow;

/// The media type.
pub const TYPE: &str = "text/csv; charset=utf-8; header=present";

/// A table that grows row by row.
#[derive(Debug)]
pub struct Table(csv::Writer<Vec<u8>>);

/// What stands in a cell.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    /// A text that somebody chose.
    Text(&'a str),
    /// How many.
    Count(u64),
    /// A number with a part; none: an empty cell.
    Number(Option<f64>),
}

impl Table {
    /// A table with these heads.
    pub fn new(heads: &[&str]) -> Table {
        let mut builder = WriterBuilder::new();
        builder.terminator(Terminator::CRLF).quote_style(QuoteStyle::Necessary);
        let mut table = Table(builder.from_writer(Vec::new()));
        table.record(heads);
        table
    }

    /// Adds a row, of as many cells as there are heads.
    pub fn row(&mut self, cells: &[Cell<'_>]) {
        let cells: Vec<String> = cells.iter().map(written).collect();
        self.record(&cells);
    }

    /// The table as it is sent.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap_or_default()
    }

    fn record<T: AsRef<[u8]>>(&mut self, cells: &[T]) {
        // Writing to memory fails only where rows have not all as many cells.
        let written = self.0.write_record(cells);
        debug_assert!(written.is_ok(), "{written:?}");
    }
}

fn written(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Text(text) => harmless(text).into_owned(),
        Cell::Count(count) => count.to_string(),
        Cell::Number(Some(number)) => {
            format!("{number:.4}").trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Cell::Number(None) => String::new(),
    }
}

/// A text that no spreadsheet takes for a formula: one that begins like one has an apostrophe before it, which
/// spreadsheets read as "this is text". White space goes first, since some of them pass over it.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let begins = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control()).chars().next();
    // The second half is how they look on Asian keyboards, which some spreadsheets take for the same.
    match begins {
        Some('=' | '+' | '-' | '@' | '|' | '%' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}') => {
            format!("'{text}").into()
        }
        _ if text.starts_with(['\t', '\r', '\n']) => format!("'{text}").into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(texts: &[&str]) -> String {
        let mut table = Table::new(&["what", "n"]);
        for text in texts {
            table.row(&[Cell::Text(text), Cell::Count(1)]);
        }
        String::from_utf8(table.into_bytes()).unwrap()
    }

    #[test]
    fn cells_are_quoted_where_they_have_to_be_and_lines_end_as_the_rfc_says() {
        assert_eq!(table(&[]), "what,n\r\n");
        assert_eq!(
            table(&["a", "a,b", "say \"a\"", "two\nlines", "Zaal é"]),
            "what,n\r\na,1\r\n\"a,b\",1\r\n\"say \"\"a\"\"\",1\r\n\"two\nlines\",1\r\nZaal é,1\r\n"
        );
    }

    #[test]
    fn no_text_is_a_formula() {
        for text in
            ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1", "\n-2", "=HYPERLINK(\"x\",\"y\")", "＝1"]
        {
            let table = table(&[text]);
            let cell = table.strip_prefix("what,n\r\n").unwrap().trim_start_matches('"');
            assert!(cell.starts_with('\''), "{text:?}: {table:?}");
        }
        for text in ["a=b", "1-2", "lab-1", "'quoted'", ""] {
            assert!(
                !table(&[text]).contains("''") && !table(&[text]).contains(&format!("'{text}")),
                "{text:?}"
            );
        }
    }

    #[test]
    fn numbers_are_numbers() {
        let mut table = Table::new(&["a", "b", "c", "d"]);
        table.row(&[
            Cell::Count(0),
            Cell::Number(Some(0.5)),
            Cell::Number(None),
            Cell::Number(Some(-1.0 / 3.0)),
        ]);
        assert_eq!(table.into_bytes(), b"a,b,c,d\r\n0,0.5,,-0.3333\r\n");
    }
}
