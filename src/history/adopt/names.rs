//! The names of an original database: PCs or sources, which of them are still names, and what became of each.

use super::{Failure, quoted, rows_of};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Row, Transaction, params};
use std::collections::{HashMap, HashSet};

/// The names of one table. While the transaction lasts `temp.adopted_<table>` leads from each old id to the new.
pub(super) struct Names {
    table: &'static str,
    /// The column of `occupationUpdates` that refers to them.
    column: &'static str,
    fits: fn(&str) -> bool,
    /// New ids of names that are none, or that several entries bore, and what is wrong with them.
    odd: Vec<(i64, String)>,
}

impl Names {
    /// Fills the new `table` from `original_<table>`; entries of the same name become the first of them.
    pub(super) fn adopt(
        transaction: &Transaction<'_>,
        table: &'static str,
        column: &'static str,
        fits: fn(&str) -> bool,
    ) -> Result<Names, Failure> {
        // INTEGER, as the columns that are looked up: with another affinity SQLite would not use the index.
        transaction.execute_batch(&format!(
            "DROP TABLE IF EXISTS temp.adopted_{table};
             CREATE TEMP TABLE adopted_{table} (old INTEGER UNIQUE, new INTEGER NOT NULL);"
        ))?;
        let mut names = Names { table, column, fits, odd: Vec::new() };
        let mut taken = names.named(transaction)?;
        names.dangling(transaction, &mut taken)?;
        Ok(names)
    }

    /// The entries that are there.
    fn named(&mut self, transaction: &Transaction<'_>) -> Result<HashSet<String>, Failure> {
        let table = self.table;
        let mut old = transaction.prepare(&format!(
            "SELECT id, typeof(name), CAST(name AS BLOB) FROM original_{table} ORDER BY id"
        ))?;
        let mut entries = Vec::new();
        let mut taken = HashSet::new();
        let mut rows = old.query([])?;
        while let Some(row) = rows.next()? {
            let name = Stored::read(row, 1, self.fits)?;
            taken.extend(name.text().map(str::to_owned));
            entries.push((row.get::<_, i64>(0)?, name));
        }
        let mut insert =
            transaction.prepare(&format!("INSERT INTO {table} (id, name, damaged) VALUES (?1, ?2, ?3)"))?;
        let mut lead =
            transaction.prepare(&format!("INSERT INTO temp.adopted_{table} (old, new) VALUES (?1, ?2)"))?;
        let mut first: HashMap<Stored, (i64, u64)> = HashMap::new();
        for (id, name) in entries {
            let (new, count) = match &name {
                Stored::Nothing => (id, 1),
                _ => {
                    let (new, count) = first.entry(name.clone()).or_insert((id, 0));
                    *count += 1;
                    (*new, *count)
                }
            };
            if count == 1 {
                let text = match name.text() {
                    Some(text) => text.to_owned(),
                    None => placeholder(&id.to_string(), &mut taken),
                };
                insert.execute(params![new, text, name.wrong().is_some()])?;
                if let Some(wrong) = name.wrong() {
                    self.odd.push((new, format!("{} {}: {wrong}", self.column, quoted(&text))));
                }
            }
            lead.execute([id, new])?;
        }
        let mut merged: Vec<_> = first
            .into_iter()
            .filter_map(|(name, (new, count))| Some((new, count, name.text()?.to_owned())))
            .filter(|(_, count, _)| *count > 1)
            .collect();
        merged.sort_unstable();
        self.odd.extend(merged.into_iter().map(|(new, count, text)| {
            (new, format!("{} {}: {count} entries became one", self.column, quoted(&text)))
        }));
        Ok(taken)
    }

    /// Entries for rows that refer to none.
    fn dangling(
        &mut self,
        transaction: &Transaction<'_>,
        taken: &mut HashSet<String>,
    ) -> Result<(), Failure> {
        let (table, column) = (self.table, self.column);
        let missing: Vec<Value> = transaction
            .prepare(&format!(
                "SELECT DISTINCT {column} FROM original_occupationUpdates u
                     WHERE NOT EXISTS (SELECT 1 FROM temp.adopted_{table} WHERE old IS u.{column})"
            ))?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for old in missing {
            let known_by = match &old {
                Value::Integer(id) => id.to_string(),
                _ => String::new(),
            };
            let name = placeholder(&known_by, taken);
            transaction.execute(&format!("INSERT INTO {table} (name, damaged) VALUES (?1, 1)"), [&name])?;
            let new = transaction.last_insert_rowid();
            transaction.execute(
                &format!("INSERT INTO temp.adopted_{table} (old, new) VALUES (?1, ?2)"),
                params![old, new],
            )?;
            self.odd.push((
                new,
                format!("{column} {}: its rows refer to an entry that is not there", quoted(&name)),
            ));
        }
        Ok(())
    }

    /// Whether the new row names what the old one did; the name's columns begin at `column` in both.
    pub(super) fn same(&self, old: &Row<'_>, new: &Row<'_>, column: usize) -> rusqlite::Result<bool> {
        let damaged: bool = new.get(column)?;
        let name = new.get_ref(column + 1)?.as_bytes_or_null()?;
        Ok(match Stored::read(old, column, self.fits)? {
            Stored::Nothing => damaged && name.is_some_and(|name| name.starts_with(b"?")),
            stored => damaged == stored.wrong().is_some() && name == stored.text().map(str::as_bytes),
        })
    }

    /// One line for each name that is not as it should be.
    pub(super) fn damaged(&self, transaction: &Transaction<'_>) -> rusqlite::Result<Vec<String>> {
        let column = self.column;
        transaction.execute_batch(&format!(
            "DROP TABLE IF EXISTS temp.rows_{column};
             CREATE TEMP TABLE rows_{column} (id INTEGER PRIMARY KEY, rows INTEGER NOT NULL);
             INSERT INTO rows_{column} SELECT {column}, count(*) FROM occupationUpdates GROUP BY {column};"
        ))?;
        let line =
            |(id, what): &(i64, String)| Ok(format!("{what} (rows: {})", rows_of(transaction, column, *id)?));
        self.odd.iter().map(line).collect()
    }
}

/// A name as an original database holds it.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Stored {
    /// A name.
    Name(String),
    /// Text that is no name: no push can have meant it.
    NoName(String),
    /// The text of what is no text; the name that became it is lost.
    Number(String),
    /// NULL, or no entry at all.
    Nothing,
}

impl Stored {
    /// The name whose type and bytes stand at `column` and after it.
    fn read(row: &Row<'_>, column: usize, fits: fn(&str) -> bool) -> rusqlite::Result<Stored> {
        let ValueRef::Blob(bytes) = row.get_ref(column + 1)? else { return Ok(Stored::Nothing) };
        let is_text = row.get_ref(column)?.as_str()? == "text";
        Ok(match std::str::from_utf8(bytes) {
            Ok(text) if is_text && fits(text) => Stored::Name(text.to_owned()),
            Ok(text) if !is_text => Stored::Number(text.to_owned()),
            _ => Stored::NoName(String::from_utf8_lossy(bytes).into_owned()),
        })
    }

    fn text(&self) -> Option<&str> {
        match self {
            Stored::Name(text) | Stored::NoName(text) | Stored::Number(text) => Some(text),
            Stored::Nothing => None,
        }
    }

    /// Why it is not to be used as a name.
    fn wrong(&self) -> Option<&'static str> {
        match self {
            Stored::Name(_) => None,
            Stored::NoName(_) => Some("it is no valid name"),
            Stored::Number(_) => Some("it became a number, and the name that was pushed is lost"),
            Stored::Nothing => Some("it has no name"),
        }
    }
}

/// A name that nobody has, for what has none: no PC's name begins with a question mark.
fn placeholder(known_by: &str, taken: &mut HashSet<String>) -> String {
    let mut name = format!("?{known_by}");
    while !taken.insert(name.clone()) {
        name.insert(0, '?');
    }
    name
}
