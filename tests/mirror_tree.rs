//! A tree of mirrors, all real processes, while links are cut and processes killed at random: after the last push all
//! of them show the same (reliability.md M1 to M3). `TKBD_SEED` repeats a run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::relay::Relay;
use common::{
    Channel, Daemon, GUARD, Request, Rooms, assert_taken, campus_setup, entry, everything, get, one,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const PUSHES: usize = 10_000;
/// Pushes that are on their way at the same time.
const TOGETHER: usize = 10;
const STATES: [&str; 8] = ["o", "x", "wf", "lf", "wu", "lu", "wx", "lx"];

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        // SplitMix64: short, and good enough to choose by.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

fn mirror_of(master: SocketAddr) -> Daemon {
    let setup = format!("[mirror]\nmaster = \"http://{master}\"\nretry = \"20ms\"\nretry_most = \"500ms\"\n");
    Daemon::with_setup(&setup, &[])
}

/// All that a reader of everything is told, but for the versions.
type Shown = (BTreeMap<String, String>, Rooms, Value, BTreeMap<String, BTreeSet<String>>);

fn shown(daemon: &Daemon) -> Shown {
    let mut channel = Channel::new(daemon);
    let messages = channel.ask(&json!([everything(), get("schedule"), get("tagMap")]));
    let whole = daemon.whole();
    let tags = serde_json::from_value(one(&messages, "tagMap")["tagMap"].clone()).unwrap();
    (whole.occupation, whole.room_map, one(&messages, "schedule")["schedule"].clone(), tags)
}

#[test]
fn m1_m3_after_ten_thousand_pushes_and_many_breaks_a_tree_shows_one_state() {
    let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seed = std::env::var("TKBD_SEED").map_or_else(|_| clock(), |seed| seed.parse().unwrap());
    println!("TKBD_SEED={seed}");
    let mut chance = Chance(seed);

    let closure = "[[closure]]\nfrom = '2000-01-01'\nuntil = '2100-01-01'\nrooms = ['hg029']\n";
    let mut master = Daemon::with_setup(&campus_setup(closure, &["library"]), &[]);
    let links = [Relay::to(master.joyce()), Relay::to(master.joyce())];
    let mut one = mirror_of(links[0].addr());
    let mut two = mirror_of(links[1].addr());
    let below = Relay::to(one.joyce());
    let mut leaf = mirror_of(below.addr());

    let mut breaks = [0; 7];
    for _ in 0..PUSHES / TOGETHER {
        let mut clients: Vec<_> = (0..TOGETHER).map(|_| master.connect_push()).collect();
        for client in &mut clients {
            let mut data = serde_json::Map::new();
            for _ in 0..=chance.below(3) {
                let room = ["hg075", "hg029", "bib", "info", "cz", "hg999"][chance.below(6)];
                let pc = format!("{room}pc{:02}", chance.below(40));
                data.insert(pc, entry(STATES[chance.below(8)]));
            }
            let body = json!({"datasource": "test", "data": data}).to_string();
            client.send(&Request::post("/push").body(body).bytes());
        }
        for client in &mut clients {
            assert_taken(&client.receive(), "a push");
        }
        let what = chance.below(100);
        match what {
            0 => links[0].cut(),
            1 => links[1].cut(),
            2 => below.cut(),
            3 => {
                master.kill();
                master.restart();
                links.iter().for_each(|link| link.point_to(master.joyce()));
            }
            4 => {
                one.kill();
                one.restart();
                below.point_to(one.joyce());
            }
            5 => {
                two.kill();
                two.restart();
            }
            6 => {
                leaf.kill();
                leaf.restart();
            }
            _ => continue,
        }
        breaks[what] += 1;
    }
    println!("cut, cut, cut; killed master, one, two, leaf: {breaks:?}");

    let end = Instant::now() + GUARD;
    let truth = shown(&master);
    assert!(truth.0.len() > 200 && !truth.3.is_empty() && truth.2 != json!({}));
    for (name, daemon) in [("one", &one), ("two", &two), ("leaf", &leaf)] {
        while shown(daemon) != truth {
            assert!(Instant::now() < end, "{name} differs; TKBD_SEED={seed}\n{}", daemon.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
