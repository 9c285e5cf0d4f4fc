//! Saved filters, through the history's own door and at their bound.

use super::super::tests::{DIGESTS, Dir, open_at, recorded};
use super::super::{Clock, Record, SavedFilter, open, restore};
use super::*;

fn now() -> i64 {
    Clock::System.now().0
}

fn token(text: &str) -> Token {
    Token::parse(text).unwrap()
}

fn filter(tag: &str) -> Filter {
    let tags = TagFilter::Tags([Tag::parse(tag).unwrap()].into());
    Filter { occupation: tags, room_map: TagFilter::Everything, schedule: TagFilter::nothing() }
}

fn saved(token: Token, filter: Filter) -> Record {
    Record::Filters(vec![SavedFilter { token, filter: Some(filter.into()), ended: None }])
}

#[test]
fn a_filter_reads_as_it_was_written() {
    let of = |tags: &[&str]| TagFilter::Tags(tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect());
    for filter in [TagFilter::Everything, TagFilter::nothing(), of(&["hg"]), of(&["a", "B.c-d_"])] {
        assert_eq!(parse(&text(&filter)), Some(filter));
    }
    assert_eq!(parse("a *"), None, "what is no tag is not guessed at");
}

#[tokio::test]
async fn filters_are_saved_end_and_expire() {
    let dir = Dir::new();
    let (history, _) = open_at(&dir.path()).unwrap();
    let end = |name: &str, ago: i64| {
        let ended = Some(Timestamp(now() - ago));
        Record::Filters(vec![SavedFilter { token: token(name), filter: None, ended }])
    };
    for name in ["alive", "ended", "expired", "changed"] {
        recorded(&history, saved(token(name), filter("hg"))).await;
    }
    recorded(&history, end("ended", 3600)).await;
    recorded(&history, end("expired", 24 * 3600 + 60)).await;
    recorded(&history, end("changed", 10)).await;
    recorded(&history, end("unknown", 10)).await;
    recorded(&history, saved(token("changed"), filter("b"))).await;

    let crashed = dir.crashed();
    let (again, restored) = open_at(&crashed.path()).unwrap();
    let found: Vec<_> = restored.filters.iter().map(|(token, ..)| token.as_str()).collect();
    assert_eq!(found, ["changed", "alive", "ended"]);
    assert_eq!((&restored.filters[0].1, restored.filters[0].2), (&filter("b"), Duration::ZERO));
    let hour = restored.filters[2].2.as_secs();
    assert!((3600..3660).contains(&hour), "{hour}");

    // From the start on they count as ended: clients that never return are forgotten in the end.
    again.close(restored.versions, DIGESTS).await.unwrap();
    let mut connection = Connection::open(crashed.path()).unwrap();
    let tomorrow = now() + 24 * 3600 + 60;
    let mut left = |now| {
        let terms = restore::Terms { now, ahead: 1, is_known: &|_| true, shown: 0 };
        restore::restore(&mut connection, &terms).unwrap().filters.len()
    };
    assert_eq!((left(now()), left(tomorrow)), (3, 0));
}

#[test]
fn the_newest_filters_are_kept_and_those_of_living_channels_first() {
    let dir = Dir::new();
    drop(open_at(&dir.path()).unwrap());
    let connection = Connection::open(dir.path()).unwrap();
    connection
        .execute_batch(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})
             INSERT INTO filters SELECT i, 't' || i, '*', '', 'a b', iif(i % 2, NULL, {} + i) FROM n",
            MAX + 10,
            now() - 3600 * 20,
        ))
        .unwrap();
    prune(&connection, now()).unwrap();
    let gone = |id: i64| {
        connection.query_row("SELECT count(*) FROM filters WHERE id = ?1", [id], |row| row.get::<_, i64>(0))
    };
    let count: i64 = connection.query_row("SELECT count(*) FROM filters", [], |row| row.get(0)).unwrap();
    assert_eq!(
        (count, gone(1).unwrap(), gone(2).unwrap(), gone(20).unwrap(), gone(22).unwrap()),
        (MAX, 1, 0, 0, 1)
    );
}

#[test]
fn filters_stay_bounded_while_the_daemon_runs() {
    let dir = Dir::new();
    let mut owned = open::open(&dir.path(), 8, &Clock::System).unwrap().store;
    let records: Vec<_> =
        (0..1024).map(|number| saved(token(&format!("new{number}")), filter("hg"))).collect();
    Connection::open(dir.path())
        .unwrap()
        .execute_batch(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MAX})
             INSERT INTO filters SELECT i, 't' || i, '*', '', '', NULL FROM n",
        ))
        .unwrap();
    owned.store.write(records.iter(), Timestamp(0)).unwrap();
    let count = |sql| Connection::open(dir.path()).unwrap().query_row(sql, [], |row| row.get::<_, i64>(0));
    assert_eq!(count("SELECT count(*) FROM filters").unwrap(), MAX);
    assert_eq!(count("SELECT count(*) FROM filters WHERE token LIKE 'new%'").unwrap(), 1024);
}
