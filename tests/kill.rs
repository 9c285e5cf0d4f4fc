//! Crashes at random moments, in the midst of pushes: nothing acknowledged is lost, doubled or half there, and no version
//! falls (reliability.md D6, P9).
//!
//! `TKBD_KILLS=1000 cargo test --test kill -- --nocapture` kills it as often; `TKBD_SEED` repeats the moments of a run,
//! as far as the machine lets it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Channel, Client, Daemon, Request, entry, everything, get, states, version};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// How often it is killed where nothing else is said: half a minute on a small machine.
const KILLS: usize = 50;

const PUBLISHERS: usize = 4;

/// PCs in each push, all of which it changes.
const PCS: usize = 3;

const STATES: [&str; 8] = ["wu", "lf", "o", "wx", "lu", "wf", "x", "lx"];

/// The longest time from the start to the end.
const LIFE: u64 = 60_000;

fn pc(publisher: usize, place: usize) -> String {
    format!("hg075pc{publisher}{place}")
}

/// What push `number` of a publisher makes of its PC at `place`.
fn state(number: u64, place: usize) -> &'static str {
    STATES[(number as usize + place * 3) % STATES.len()]
}

/// What a publisher has done in one life of the daemon.
struct Pushed {
    /// The first that may or may not be there: all before it were acknowledged, or found to be there.
    acknowledged: u64,
    /// The first that was not sent.
    sent: u64,
}

/// Pushes, one after the other, from `number` on, until the daemon is gone.
fn publish(mut client: Client, publisher: usize, number: u64) -> Pushed {
    let mut pushed = Pushed { acknowledged: number, sent: number };
    loop {
        let data: BTreeMap<String, Value> =
            (0..PCS).map(|place| (pc(publisher, place), entry(state(pushed.sent, place)))).collect();
        let body = json!({"datasource": format!("publisher {publisher}"), "data": data}).to_string();
        client.send_what_is_taken(&Request::post("/push").body(body).bytes());
        pushed.sent += 1;
        match client.try_receive(false) {
            Ok(Some(response)) if response.status == 200 => pushed.acknowledged = pushed.sent,
            // Applied, and perhaps recorded: a slow disk is no fault of ours, but nothing was promised.
            Ok(Some(response)) => assert_eq!(response.status, 202, "{response:?}"),
            Ok(None) | Err(_) => return pushed,
        }
    }
}

/// A display: returns the highest version of the occupation that it was shown, and what it saw at that version.
fn watch(mut channel: Channel, over: &AtomicBool) -> (u64, BTreeMap<String, String>) {
    let (mut highest, mut seen) = (0, BTreeMap::new());
    channel.send(&json!([everything(), get("occupation")]));
    while !over.load(Ordering::Relaxed) {
        let Ok(Some(response)) = channel.client().try_receive(false) else { break };
        for message in channel.check(&response.json()) {
            match message["type"].as_str().unwrap() {
                "occupation" => seen = states(&message["occupation"]),
                "occupation_update" => seen.extend(states(&message["update"])),
                _ => continue,
            }
            highest = version(&message);
        }
        let next = channel.request(&json!([])).bytes();
        channel.client().send_what_is_taken(&next);
    }
    (highest, seen)
}

/// What is known of the history so far.
#[derive(Default)]
struct Checked {
    /// The last row that was looked at.
    row: i64,
    /// How many pushes of each publisher are in the rows up to there.
    kept: [u64; PUBLISHERS],
    occupation: BTreeMap<String, String>,
}

impl Checked {
    /// Looks at the rows that have come: whole pushes, in the order of each publisher, none twice, none left out.
    fn go_on(&mut self, daemon: &Daemon) {
        let connection =
            Connection::open_with_flags(daemon.history_file(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut statement = connection
            .prepare(
                "SELECT u.id, p.name, s.name, u.occupation FROM occupationUpdates u JOIN pcs p ON p.id = u.pc
                     JOIN sources s ON s.id = u.source WHERE u.id > ? ORDER BY u.id",
            )
            .unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let rows: Vec<(i64, String, String, String)> =
            statement.query_map([self.row], row).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len() % PCS, 0, "half a push");
        for push in rows.chunks(PCS) {
            let publisher: usize = push[0].2.strip_prefix("publisher ").unwrap().parse().unwrap();
            let number = self.kept[publisher];
            let found: BTreeMap<&str, &str> =
                push.iter().map(|(_, pc, _, state)| (pc.as_str(), state.as_str())).collect();
            for place in 0..PCS {
                let name = pc(publisher, place);
                assert_eq!(found.get(name.as_str()), Some(&state(number, place)), "push {number}: {push:?}");
                self.occupation.insert(name, state(number, place).to_owned());
            }
            assert!(
                push.iter().all(|(_, _, source, _)| *source == push[0].2),
                "two pushes are mixed: {push:?}"
            );
            self.kept[publisher] = number + 1;
            self.row += PCS as i64;
            assert_eq!(push[PCS - 1].0, self.row, "the rows are numbered without gaps");
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

#[test]
fn d6_a_crash_at_any_moment_loses_doubles_and_halves_nothing_that_was_acknowledged() {
    let kills = variable("TKBD_KILLS").map_or(KILLS, |kills| kills as usize);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = variable("TKBD_SEED").unwrap_or(since.as_micros() as u64);
    println!("{kills} kills, TKBD_SEED={seed}");
    let mut random = seed;
    let mut random = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let begun = Instant::now();
    let mut daemon = Daemon::start(&[]);
    let mut checked = Checked::default();
    let (mut acknowledged, mut unanswered_kept, mut unanswered_lost) = (0, 0, 0);
    let (mut shown, mut rooms) = (0, 0);
    for kill in 0..kills {
        let over = AtomicBool::new(false);
        let life = Duration::from_micros(random(LIFE));
        let (pushed, (highest, seen)) = thread::scope(|scope| {
            let channel = Channel::new(&daemon);
            let display = scope.spawn(|| watch(channel, &over));
            let publishers: Vec<_> = (0..PUBLISHERS)
                .map(|publisher| {
                    let (client, number) = (daemon.connect_push(), checked.kept[publisher]);
                    scope.spawn(move || publish(client, publisher, number))
                })
                .collect();
            thread::sleep(life);
            daemon.kill();
            over.store(true, Ordering::Relaxed);
            let pushed: Vec<Pushed> = publishers.into_iter().map(|one| one.join().unwrap()).collect();
            (pushed, display.join().unwrap())
        });
        shown = shown.max(highest);
        daemon.restart();
        checked.go_on(&daemon);
        for (publisher, Pushed { acknowledged: promised, sent }) in pushed.iter().enumerate() {
            let kept = checked.kept[publisher];
            assert!(kept >= *promised, "kill {kill}: {} acknowledged pushes are lost", promised - kept);
            assert!(kept <= *sent, "kill {kill}: {} pushes that were never sent", kept - sent);
            unanswered_kept += kept - promised;
            unanswered_lost += sent - kept;
        }
        acknowledged = checked.kept.iter().sum::<u64>() - unanswered_kept;
        let whole = daemon.whole();
        assert_eq!(whole.occupation, checked.occupation, "kill {kill}: the state is that of the rows");
        assert!(
            whole.occupation_version >= shown,
            "kill {kill}: from {shown} to {}",
            whole.occupation_version
        );
        assert!(whole.room_map_version >= rooms, "kill {kill}: from {rooms} to {}", whole.room_map_version);
        // A version never names two states.
        assert!(whole.occupation_version > highest || whole.occupation == seen, "kill {kill}: {highest}");
        (shown, rooms) = (whole.occupation_version, whole.room_map_version);
    }
    assert!(acknowledged > kills as u64 / 2, "hardly anything was pushed");
    println!(
        "{kills} kills in {:.0?}: {acknowledged} acknowledged pushes of {PCS} PCs, 0 lost, 0 doubled, 0 halved; of those \
         without an answer {unanswered_kept} are there whole and {unanswered_lost} are not; versions up to {shown}",
        begun.elapsed()
    );
    assert_eq!(daemon.terminate().code(), Some(0), "{}", daemon.log());
}
