//! Original databases with all the damage they are known to have.

use super::super::reader;
use super::super::tests::{Dir, open_at, rows, shown, states};
use super::super::{OpenError, Record, Restored};
use super::*;
use crate::core::message::HistoricRange;
use std::fs;

const SCHEMA: &str = "
    CREATE TABLE sources(id INTEGER PRIMARY KEY ASC AUTOINCREMENT, name STRING);
    CREATE TABLE pcs(id INTEGER PRIMARY KEY ASC AUTOINCREMENT, name STRING);
    CREATE TABLE occupationUpdates(id INTEGER PRIMARY KEY ASC AUTOINCREMENT, pc INTEGER REFERENCES pcs,
        source INTEGER REFERENCES sources, datetime INTEGER, occupation STRING);
    CREATE UNIQUE INDEX name ON sources(name);
    CREATE INDEX pc_datetime ON occupationUpdates(pc, datetime);";

const DAMAGE: &str = "
    INSERT INTO sources VALUES (1, 'login'), (2, '7'), (9, NULL);
    INSERT INTO pcs VALUES (1, 'pc1'), (2, '007'), (3, '1e999'), (4, 'pc2'), (5, 'pc1'), (6, '<b>'), (7, 'PC9'),
        (8, NULL), (10, '?8'), (11, 'silent');
    INSERT INTO occupationUpdates (id, pc, source, datetime, occupation) VALUES
        (3, 1, 1, 100, 'wu'), (4, 2, 1, 101, 'wf'), (7, 3, 1, 102, 'lf'), (8, 4, 1, 103, 'u'), (9, 5, 1, 105, 'f'),
        (10, 1, 1, 104, 'wo'), (11, 6, 2, 106, 'lu'), (12, 7, 2, 107, 'lo'), (13, 8, 9, 108, 'x'),
        (14, 77, 88, 109, 'wx'), (15, NULL, NULL, NULL, NULL), (16, 10, 1, 'noon', 'zz'), (20, 4, 1, 90, '5');";

pub(in super::super) fn original(sql: &str) -> Dir {
    let dir = Dir::new();
    let connection = Connection::open(dir.path()).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    connection.execute_batch(sql).unwrap();
    dir
}

/// Opens and lets go, until the threads have let go too.
fn opened(dir: &Dir) -> Restored {
    loop {
        match open_at(&dir.path()) {
            Ok((_, restored)) => return restored,
            Err(OpenError::HeldByDaemon(_)) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn an_original_database_is_adopted_with_all_its_damage_kept_and_listed() {
    let dir = original(DAMAGE);
    let before = fs::read(dir.path()).unwrap();
    let restored = opened(&dir);
    let adopted = restored.adopted.clone().unwrap();
    assert_eq!(adopted.rows, 13);
    // All but the header, in which SQLite counts changes.
    assert!(fs::read(&adopted.copy).unwrap()[100..] == before[100..], "the copy is what there was");
    assert!(adopted.copy.ends_with("history.db.original"));

    // By the order of the rows, and never by their time; one PC where there were two of a name.
    assert_eq!(states(&restored), ["pc1 o", "pc2 x"]);
    assert_eq!(restored.sources.len(), 1);
    assert_eq!(
        rows(&dir.path()),
        [
            "pc1 login 100 wu",
            "7 login 101 wf",
            "Inf login 102 lf",
            "pc2 login 103 wu",
            "pc1 login 105 wf",
            "pc1 login 104 o",
            "<b> 7 106 lu",
            "PC9 7 107 o",
            "??8 ?9 108 x",
            "?77 ?88 109 wx",
            "? ? 0 x",
            "?8 login 0 x",
            "pc2 login 90 x",
        ]
    );
    let mut lines = adopted.damaged;
    lines.sort();
    assert_eq!(
        lines,
        [
            "pc \"7\": it became a number, and the name that was pushed is lost (rows: 1)",
            "pc \"<b>\": it is no valid name (rows: 1)",
            "pc \"?\": its rows refer to an entry that is not there (rows: 1)",
            "pc \"?77\": its rows refer to an entry that is not there (rows: 1)",
            "pc \"?8\": it is no valid name (rows: 1)",
            "pc \"??8\": it has no name (rows: 1)",
            "pc \"Inf\": it became a number, and the name that was pushed is lost (rows: 1)",
            "pc \"PC9\": it is no valid name (rows: 1)",
            "pc \"pc1\": 2 entries became one (rows: 3)",
            "source \"7\": it became a number, and the name that was pushed is lost (rows: 2)",
            "source \"?\": its rows refer to an entry that is not there (rows: 1)",
            "source \"?88\": its rows refer to an entry that is not there (rows: 1)",
            "source \"?9\": it has no name (rows: 1)",
            "state \"\": read as \"x\" (rows: 1)",
            "state \"5\": read as \"x\" (rows: 1)",
            "state \"f\": read as \"wf\" (rows: 1)",
            "state \"lo\": read as \"o\" (rows: 1)",
            "state \"u\": read as \"wu\" (rows: 1)",
            "state \"wo\": read as \"o\" (rows: 1)",
            "state \"zz\": read as \"x\" (rows: 1)",
        ]
    );
    // What was stored stands there as it was.
    let connection = Connection::open(dir.path()).unwrap();
    let codes: String = connection
        .query_row(
            "SELECT group_concat(occupation) FROM (SELECT * FROM occupationUpdates ORDER BY id)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(codes, "wu,wf,lf,u,f,wo,lu,lo,x,wx,zz,5");
    let broken: i64 =
        connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(broken, 0);
}

#[test]
fn an_adopted_history_is_ours_from_then_on() {
    let dir = original(DAMAGE);
    opened(&dir);
    let fresh = Dir::new();
    opened(&fresh);
    let again = opened(&dir);
    assert_eq!((&again.adopted, states(&again)[0].as_str()), (&None, "pc1 o"));
    assert_eq!(rows(&dir.path()).len(), 13);

    // Its schema, and refinery's note of it, are those of a new file.
    let schema = |dir: &Dir| -> Vec<String> {
        let connection = Connection::open(dir.path()).unwrap();
        let sql = "SELECT concat(type, name, sql) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_sequence'
                       AND name <> 'refinery_schema_history' UNION ALL
                   SELECT concat(version, name, checksum, typeof(version), typeof(checksum), length(applied_on) > 18)
                       FROM refinery_schema_history ORDER BY 1";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    };
    assert_eq!(schema(&dir), schema(&fresh));
}

#[tokio::test]
async fn a_push_never_becomes_a_damaged_name() {
    let dir = original(DAMAGE);
    let (history, restored) = open_at(&dir.path()).unwrap();
    for (second, pc) in [(200, "7"), (201, "inf"), (202, "pc1")] {
        let record = super::super::tests::push(second, pc, "lu");
        assert!(matches!(&record, Record::Push { .. }));
        history.reserve().unwrap().record(record).durable().await.unwrap();
    }
    let found = history.updates(HistoricRange { offset: 13, count: 9 }).await.unwrap();
    let found: Vec<_> = found.iter().map(shown).collect();
    assert_eq!(found, ["7 login 200 lu", "inf login 201 lu", "pc1 login 202 lu"]);
    let digests = crate::core::state::Digests { room_map: 0, schedule: 0, tag_map: 0 };
    history.close(restored.versions, digests).await.unwrap();
    assert_eq!(states(&opened(&dir)), ["pc1 lu", "pc2 x", "7 lu", "inf lu"]);
}

#[test]
fn a_copy_takes_no_other_files_place_and_one_that_is_right_is_used_again() {
    let dir = original(DAMAGE);
    let (first, second) =
        (dir.path().with_extension("db.original"), dir.path().with_extension("db.original.2"));
    fs::write(&first, "somebody's").unwrap();
    assert_eq!(copy::make(&dir.path()).unwrap(), second);
    assert_eq!(copy::make(&dir.path()).unwrap(), second);
    assert_eq!(fs::read(&first).unwrap(), b"somebody's");
    assert_eq!(dir.names(), ["history.db", "history.db.original", "history.db.original.2"]);
    Connection::open(dir.path()).unwrap().execute_batch("UPDATE pcs SET name = 'pc3' WHERE id = 4").unwrap();
    assert!(copy::make(&dir.path()).unwrap().ends_with("history.db.original.3"));
}

#[test]
fn a_stop_in_the_midst_leaves_the_original() {
    let many = "WITH RECURSIVE n(i) AS (SELECT 21 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO occupationUpdates SELECT i, 1, 1, i, 'wu' FROM n;";
    let dir = original(&format!("{DAMAGE}{many}"));
    let mut connection = Connection::open(dir.path()).unwrap();
    // So small a cache that most of the new file is on the disk before the commit.
    connection.execute_batch("PRAGMA cache_size = 5; PRAGMA foreign_keys = OFF").unwrap();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let (count, _) = rebuild(&transaction).unwrap();
    let crashed = dir.crashed();
    assert!(crashed.names().contains(&"history.db-journal".to_owned()));
    assert_ne!(fs::read(crashed.path()).unwrap().len(), 0);
    drop(transaction);

    assert!(is_original(&Connection::open(crashed.path()).unwrap()).unwrap());
    let restored = opened(&crashed);
    assert_eq!(restored.adopted.map(|adopted| adopted.rows), Some(count));
    let connection = Connection::open(crashed.path()).unwrap();
    let last = reader::rows(&connection, HistoricRange { offset: count - 1, count: 9 }).unwrap().1;
    assert_eq!(last.iter().map(shown).collect::<Vec<_>>(), ["pc1 login 20000 wu"]);
}

#[test]
fn a_row_that_is_not_what_it_was_stops_the_adoption() {
    for (wrong, changed) in [
        ("UPDATE occupationUpdates SET occupation = 'o' WHERE id = 1", true),
        ("UPDATE occupationUpdates SET datetime = 1 WHERE id = 2", true),
        ("UPDATE occupationUpdates SET pc = 4 WHERE id = 1", true),
        ("UPDATE occupationUpdates SET id = 99 WHERE id = 13", true),
        ("DELETE FROM occupationUpdates WHERE id = 13", true),
        ("UPDATE pcs SET name = '007' WHERE name = '7'", true),
        ("UPDATE pcs SET damaged = 0 WHERE name = '7'", true),
        ("UPDATE occupationUpdates SET datetime = 100 WHERE id = 1", false),
    ] {
        let dir = original(DAMAGE);
        let mut connection = super::super::sqlite::connect(&dir.path()).unwrap();
        let transaction = connection.transaction().unwrap();
        move_aside(&transaction).unwrap();
        let migrations = schema::runner();
        transaction.execute_batch(migrations.get_migrations()[0].sql().unwrap()).unwrap();
        let (pcs, sources) = fill(&transaction).unwrap();
        transaction.execute_batch(wrong).unwrap();
        assert_eq!(verify(&transaction, &pcs, &sources).is_err(), changed, "{wrong}");
    }
}

#[test]
fn a_file_full_of_damage_is_not_told_in_full() {
    let many = "WITH RECURSIVE n(i) AS (SELECT 21 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
        INSERT INTO pcs SELECT i, i FROM n;";
    let adopted = opened(&original(many)).adopted.unwrap();
    assert_eq!((adopted.rows, adopted.damaged.len()), (0, LINES + 1));
    assert_eq!(adopted.damaged[LINES], "and 880 more");
}

#[test]
fn an_original_that_is_in_use_is_left_alone() {
    let dir = original(DAMAGE);
    let other = Connection::open(dir.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(open_at(&dir.path()), Err(OpenError::HeldByProgram(_))));
    assert_eq!(dir.names(), ["history.db", "history.db.lock"]);
}
