//! Tables in Markdown that can also be read in a terminal.

use std::fmt::{self, Display};

/// A table: the first column is text, the others hold figures.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these names of columns.
    pub(crate) fn new(columns: &[&str]) -> Table {
        Table { rows: vec![columns.iter().map(|&name| name.to_owned()).collect()] }
    }

    /// With one more row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (line, row) in self.rows.iter().enumerate() {
            f.write_str("|")?;
            for (at, width) in widths.iter().enumerate() {
                let cell = row.get(at).map_or("", String::as_str);
                if at == 0 { write!(f, " {cell:width$} |")? } else { write!(f, " {cell:>width$} |")? }
            }
            writeln!(f)?;
            if line == 0 {
                f.write_str("|")?;
                for (at, width) in widths.iter().enumerate() {
                    let dashes = "-".repeat(width + 1);
                    if at == 0 { write!(f, "{dashes}-|")? } else { write!(f, "{dashes}:|")? }
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
