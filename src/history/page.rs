//! Pages of the history by id, with filters. A page looks at a bounded number of rows, whatever it finds among them: so
//! that no filter is dear, and no index is needed for any.

use super::reader::update_of;
use crate::core::page::{Page, PageQuery};
use crate::core::pc::PcName;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{HashMap, HashSet};

/// How many rows a page looks at: some 20 ms of reading.
const LOOKED_AT: i64 = 50_000;

/// The rows of a page.
pub(super) fn page(connection: &Connection, query: &PageQuery) -> rusqlite::Result<Page> {
    let after = i64::try_from(query.after).unwrap_or(i64::MAX);
    let last: Option<i64> =
        connection.query_row("SELECT max(id) FROM occupationUpdates", [], |row| row.get(0))?;
    let last = last.unwrap_or(0);
    let upto = after.saturating_add(LOOKED_AT).min(last);
    let limit = query.limit.min(PageQuery::MAX_LIMIT) as usize;
    let (pcs, source) = (ids(connection, query)?, source(connection, query)?);
    let mut names = Names { connection, known: HashMap::new() };

    let mut page = Page::default();
    let mut reached = after;
    if source != Some(None) {
        let mut statement = connection.prepare_cached(
            "SELECT id, pc, datetime, occupation, source FROM occupationUpdates
                 WHERE id > ?1 AND id <= ?2 ORDER BY id",
        )?;
        let mut rows = statement.query(params![after, upto])?;
        while let Some(row) = rows.next()? {
            if page.rows.len() >= limit {
                page.next = Some(reached.max(0).unsigned_abs());
                return Ok(page);
            }
            reached = row.get(0)?;
            let (pc, by): (i64, i64) = (row.get(1)?, row.get(4)?);
            if pcs.as_ref().is_some_and(|pcs| !pcs.contains(&pc))
                || source.flatten().is_some_and(|source| source != by)
            {
                continue;
            }
            let update = update_of(row, names.pc(pc)?, names.source(by)?)?;
            let is_early = query.since.is_some_and(|since| update.at.0 < since.0);
            let is_late = query.until.is_some_and(|until| update.at.0 >= until.0);
            if !is_early && !is_late {
                page.rows.push((reached.max(0).unsigned_abs(), update));
            }
        }
    }
    page.next = (upto < last && limit > 0).then(|| upto.max(0).unsigned_abs());
    Ok(page)
}

/// The PCs that are asked for; none: all.
fn ids(connection: &Connection, query: &PageQuery) -> rusqlite::Result<Option<HashSet<i64>>> {
    let Some(pcs) = &query.pcs else { return Ok(None) };
    let mut statement = connection.prepare_cached("SELECT id FROM pcs WHERE name = ?1 AND NOT damaged")?;
    let id = |pc: &PcName| statement.query_row([pc.as_str()], |row| row.get(0)).optional();
    let ids: rusqlite::Result<Vec<Option<i64>>> = pcs.iter().map(id).collect();
    Ok(Some(ids?.into_iter().flatten().collect()))
}

/// The source that is asked for: none where any is, and no id where there is no such.
fn source(connection: &Connection, query: &PageQuery) -> rusqlite::Result<Option<Option<i64>>> {
    let Some(source) = &query.source else { return Ok(None) };
    let mut statement =
        connection.prepare_cached("SELECT id FROM sources WHERE name = ?1 AND NOT damaged")?;
    statement.query_row([source.as_str()], |row| row.get(0)).optional().map(Some)
}

/// Names by id, each looked for once a page.
struct Names<'a> {
    connection: &'a Connection,
    known: HashMap<(bool, i64), String>,
}

impl Names<'_> {
    fn pc(&mut self, id: i64) -> rusqlite::Result<String> {
        self.of(true, id, "SELECT name FROM pcs WHERE id = ?1")
    }

    fn source(&mut self, id: i64) -> rusqlite::Result<String> {
        self.of(false, id, "SELECT name FROM sources WHERE id = ?1")
    }

    fn of(&mut self, is_pc: bool, id: i64, sql: &str) -> rusqlite::Result<String> {
        if let Some(name) = self.known.get(&(is_pc, id)) {
            return Ok(name.clone());
        }
        let mut statement = self.connection.prepare_cached(sql)?;
        let name: String = statement.query_row([id], |row| row.get(0)).optional()?.unwrap_or_default();
        self.known.insert((is_pc, id), name.clone());
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::source::{Source, Timestamp};

    fn history(rows: i64) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        let schema = "CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT, damaged INTEGER DEFAULT 0);
             CREATE TABLE pcs (id INTEGER PRIMARY KEY, name TEXT, damaged INTEGER DEFAULT 0);
             CREATE TABLE occupationUpdates (id INTEGER PRIMARY KEY, pc, source, datetime, occupation);
             INSERT INTO sources (name) VALUES ('s1'), ('s2');
             INSERT INTO pcs (name) VALUES ('a'), ('b'), ('rare');";
        connection.execute_batch(schema).unwrap();
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO occupationUpdates SELECT i, 1 + i % 2, 1 + i % 2, 1000 + i, 'wf' FROM n WHERE i <= ?1";
        connection.execute(fill, [rows]).unwrap();
        connection
    }

    fn of(connection: &Connection, query: &PageQuery) -> (Vec<u64>, Option<u64>) {
        let page = page(connection, query).unwrap();
        (page.rows.iter().map(|(id, _)| *id).collect(), page.next)
    }

    #[test]
    fn pages_follow_one_another_without_a_gap_and_end() {
        let connection = history(10);
        let query = |after| PageQuery { after, limit: 4, ..PageQuery::default() };
        assert_eq!(of(&connection, &query(0)), (vec![1, 2, 3, 4], Some(4)));
        assert_eq!(of(&connection, &query(4)), (vec![5, 6, 7, 8], Some(8)));
        assert_eq!(of(&connection, &query(8)), (vec![9, 10], None));
        assert_eq!(of(&connection, &query(u64::MAX)), (vec![], None));
        assert_eq!(of(&connection, &PageQuery { limit: 10, ..query(0) }).1, None, "it was the last row");
        assert_eq!(of(&history(0), &query(0)), (vec![], None));
    }

    #[test]
    fn filters_let_through_what_is_asked_for() {
        let connection = history(10);
        let all = PageQuery { limit: 100, ..PageQuery::default() };
        let pc = |name: &str| Some(vec![PcName::parse(name).unwrap()]);
        let ids = |query: PageQuery| of(&connection, &query).0;
        assert_eq!(ids(PageQuery { pcs: pc("a"), ..all.clone() }), [2, 4, 6, 8, 10]);
        assert_eq!(ids(PageQuery { pcs: pc("nobody"), ..all.clone() }), [0; 0]);
        let source = |name: &str| Some(Source::parse(name).unwrap());
        assert_eq!(ids(PageQuery { source: source("s2"), ..all.clone() }), [1, 3, 5, 7, 9]);
        assert_eq!(ids(PageQuery { source: source("s3"), ..all.clone() }), [0; 0]);
        let (since, until) = (Some(Timestamp(1003)), Some(Timestamp(1005)));
        assert_eq!(ids(PageQuery { since, until, ..all.clone() }), [3, 4]);
    }

    #[test]
    fn a_page_looks_at_a_bounded_number_of_rows_and_says_where_to_go_on() {
        let connection = history(LOOKED_AT + 10);
        let rare = Some(vec![PcName::parse("rare").unwrap()]);
        let query = PageQuery { limit: 10, pcs: rare, ..PageQuery::default() };
        assert_eq!(of(&connection, &query), (vec![], Some(LOOKED_AT as u64)));
        assert_eq!(of(&connection, &PageQuery { after: LOOKED_AT as u64, ..query }), (vec![], None));
    }
}
