//! Six weeks in which people came and went, written where the daemon keeps what it was told.

use crate::campus::{Room, Site};
use chrono::{Datelike, Duration, Timelike, Utc};
use rusqlite::{Connection, params};

/// How much of a room is used at each hour of a weekday, from eight to ten at night.
const USED: [f64; 14] = [0.12, 0.35, 0.58, 0.72, 0.52, 0.66, 0.78, 0.7, 0.52, 0.3, 0.2, 0.22, 0.16, 0.08];

/// Anything will do that looks like chance and is the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: f64) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as f64 / f64::from(1_u32 << 31)) < bound
    }
}

/// Has the site's daemon begin anew, with a past.
pub(crate) fn six_weeks(site: &mut Site) {
    assert_eq!(site.daemon.terminate().code(), Some(0));
    write(&site.daemon.history_file(), &site.rooms, site.hours_from_utc());
    site.daemon.restart();
}

fn write(file: &std::path::Path, rooms: &[Room], hours: i64) {
    let mut connection = Connection::open(file).unwrap();
    let transaction = connection.transaction().unwrap();
    let mut chance = Chance(20_261_122);
    {
        let mut add = transaction
            .prepare(
                "INSERT INTO occupationUpdates (pc, source, datetime, occupation) VALUES (?1, 1, ?2, ?3)",
            )
            .unwrap();
        transaction.execute("INSERT INTO sources (id, name) VALUES (1, 'login-watcher')", []).unwrap();
        // The PCs: their room, what they boot into, and what they are now.
        let mut pcs: Vec<(usize, &str, &str)> = Vec::new();
        let mut last = Vec::new();
        for (number, room) in rooms.iter().enumerate() {
            for (pc, state) in room.pcs() {
                transaction.execute("INSERT INTO pcs (name) VALUES (?1)", [pc]).unwrap();
                last.push(state);
                pcs.push((number, if state.starts_with('l') { "lf" } else { "wf" }, ""));
            }
        }
        // The last hours are those by which all came to what they are now.
        let now = Utc::now() - Duration::minutes(100);
        let mut time = now - Duration::days(42);
        while time < now {
            let local = time + Duration::hours(hours);
            let (hour, weekday) = (local.hour() as usize, local.weekday().num_days_from_monday());
            let is_open = (8..22).contains(&hour);
            let share = [1.0, 1.06, 1.0, 0.96, 0.72, 0.22, 0.12][weekday as usize];
            for (id, (room, free, was)) in (1_i64..).zip(&mut pcs) {
                // One in forty stands broken, and nobody knows.
                let is_broken = id % 40 == 7;
                let busy = 0.55 + 0.09 * (*room % 7) as f64;
                let is = if !is_open || is_broken {
                    "o"
                } else if *was == "o" || was.is_empty() || chance.below(0.35) {
                    if chance.below((USED[hour - 8] * share * busy).min(0.98)) {
                        if free.starts_with('l') { "lu" } else { "wu" }
                    } else {
                        *free
                    }
                } else {
                    *was
                };
                if is != *was {
                    // Not all at the same second.
                    let at = time.timestamp() + id * 7 % 1100;
                    if at < now.timestamp() {
                        add.execute(params![id, at, is]).unwrap();
                        *was = is;
                    }
                }
            }
            // And one has a cable that is loose, every day at eleven.
            if hour == 11 && pcs.len() > 2 {
                for (n, is) in ["x", "wf", "x", "wf", "x", "wf"].into_iter().enumerate() {
                    add.execute(params![3, time.timestamp() + 1100 + 10 * n as i64, is]).unwrap();
                    pcs[2].2 = is;
                }
            }
            time += Duration::minutes(20);
        }
        let moments: Vec<i64> = (1..6000).step_by(17).collect();
        let count = pcs.len();
        for (turn, moment) in moments.iter().enumerate() {
            for n in (turn % moments.len()..count).step_by(moments.len()) {
                let n = n * 191 % count;
                if pcs[n].2 != last[n] {
                    pcs[n].2 = last[n];
                    add.execute(params![n as i64 + 1, now.timestamp() + moment, last[n]]).unwrap();
                }
            }
        }
        for (id, is) in (1_i64..).zip(&last) {
            transaction.execute("UPDATE pcs SET occupation = ?2 WHERE id = ?1", params![id, is]).unwrap();
        }
        // The version is the number of changes, at least.
        transaction
            .execute(
                "UPDATE state SET occupation = (SELECT count(*) FROM occupationUpdates) WHERE one = 1",
                [],
            )
            .unwrap();
    }
    transaction.commit().unwrap();
}
