//! What was counted of rows that are no more: it cannot be counted again, and so it is brought over as far as it can
//! be read.

use super::rows::Rows;
use rusqlite::types::Value;
use rusqlite::{Transaction, params_from_iter};

/// The tables, each with the columns behind its id.
const TABLES: [(&str, &str); 5] = [
    ("rooms", "key"),
    ("roomHalfHours", "covered, pcs, peak, o, x, wf, lf, wu, lu, wx, lx"),
    ("roomDays", "covered, pcs, peak, o, x, wf, lf, wu, lu, wx, lx"),
    ("pcDays", "changes, used, worst, hour"),
    ("countedPcs", "room, occupation, hour, changes"),
];

/// Copies what can be read; returns how many gaps there were.
pub(super) fn bring(old: &Rows<'_>, new: &Transaction<'_>) -> rusqlite::Result<u64> {
    let mut gaps = 0;
    for (table, columns) in TABLES {
        let count = columns.split(',').count() + 1;
        let places = vec!["?"; count].join(", ");
        let mut insert =
            new.prepare(&format!("INSERT OR IGNORE INTO {table} (id, {columns}) VALUES ({places})"))?;
        // All but two columns hold numbers; others would be what is left of another page.
        let is_text = |column: usize| matches!((table, column), ("rooms", 1) | ("countedPcs", 2));
        gaps += old.each(table, columns, |row| {
            let values: Vec<Value> = (0..count)
                .map(|column| {
                    if is_text(column) {
                        row.get::<_, String>(column).map(Value::Text)
                    } else {
                        row.get::<_, i64>(column).map(Value::Integer)
                    }
                })
                .collect::<rusqlite::Result<_>>()?;
            insert.execute(params_from_iter(values))?;
            Ok(())
        })?;
    }
    Ok(gaps)
}
