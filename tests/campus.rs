//! The main job on real input: a campus of 368 PCs, each change told to 200 who watch, and kept.
//!
//! `TKBD_CAMPUS_CHANGES=10000` makes it longer; `--nocapture` shows the rate reached.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use common::{
    Channel, DEFAULT_ROOMS, Daemon, Request, Rooms, View, assert_taken, campus_setup, entry, filter, get,
    room_of,
};
use serde_json::{Value, json};

const NAMES: &str = include_str!("data/campus-pcs.txt");
const WATCHERS: usize = 200;
const STATES: [&str; 8] = ["o", "x", "wf", "lf", "wu", "lu", "wx", "lx"];
/// A library PC that is pushed after everything else; every filter of the test shows it.
const LAST: &str = "bibpc99";

/// A small generator, so that a run can be repeated (Steele, Lea and Flood's SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}

fn shows(of: &Value, pc: &str) -> bool {
    shows_room(of, room_of(pc))
}

fn shows_room(of: &Value, room: &str) -> bool {
    match of[0].as_str() {
        None => true,
        Some("hg") => room != "none",
        Some(_) => room == "hgbib",
    }
}

/// Asks on and on, until the last push has been told.
fn watch(mut channel: Channel, mut view: View, all_pushed: &AtomicBool) -> (View, usize) {
    let mut replies = 0;
    while !view.occupation.contains_key(LAST) {
        let nothing_follows = all_pushed.load(Ordering::SeqCst);
        let messages = channel.poll();
        assert!(!(nothing_follows && messages.is_empty()), "the last push is never told");
        view.take(&messages);
        replies += 1;
    }
    (view, replies)
}

fn begin(daemon: &Daemon, of: &Value) -> (Channel, View) {
    let mut channel = Channel::new(daemon);
    let messages = channel.ask(&json!([filter(of), get("roomMap"), get("schedule"), get("occupation")]));
    assert_eq!(common::types(&messages), ["roomMap", "schedule", "occupation"]);
    let mut view = View::default();
    view.take(&messages);
    (channel, view)
}

#[test]
fn every_watcher_of_a_campus_ends_with_the_truth_and_the_history_has_every_change_in_order() {
    let changes: usize = std::env::var("TKBD_CAMPUS_CHANGES")
        .map_or(1_000, |n| n.parse().expect("TKBD_CAMPUS_CHANGES is a number"));
    let names: Vec<&str> = NAMES.lines().collect();
    assert_eq!(names.len(), 368);
    let filters = [json!(null), json!(["hg"]), json!(["bieb"])];
    let daemon = Daemon::with_setup(&campus_setup("", &["hg", "bieb"]), &["http.hold=10s"]);
    let mut pusher = daemon.connect_push();
    let mut push = |data: &Value| {
        let body = json!({"datasource": "campus", "data": data}).to_string();
        assert_taken(&pusher.exchange(&Request::post("/push").body(&body)), &body);
    };

    let mut anyone = Channel::new(&daemon);
    let messages = anyone.ask(&json!([get("tagMap")]));
    assert_eq!(messages[0]["tagMap"]["bieb"], json!(["hgbib"]), "the setup of this test is in force");

    let all_pushed = &AtomicBool::new(false);
    let watchers = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        let mut watchers = |count: usize| {
            for i in 0..count {
                let of = filters[i % filters.len()].clone();
                let (channel, view) = begin(&daemon, &of);
                let thread = std::thread::Builder::new().stack_size(512 * 1024);
                threads.push((
                    of,
                    thread.spawn_scoped(scope, move || watch(channel, view, all_pushed)).unwrap(),
                ));
            }
        };
        // Half of them are there before the first PC is, half come later.
        watchers(WATCHERS / 2);
        let all_off: serde_json::Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), entry("o"))).collect();
        push(&Value::from(all_off));
        watchers(WATCHERS / 2);
        daemon.settle();

        let mut truth: BTreeMap<String, &str> = names.iter().map(|name| ((*name).to_owned(), "o")).collect();
        let mut made: Vec<(String, &str)> = Vec::new();
        let mut known: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut random = Random(20_111_222);
        let started = Instant::now();
        for i in 0..changes {
            if random.below(200) == 0 {
                let (room, _) = DEFAULT_ROOMS[random.below(DEFAULT_ROOMS.len() - 1)];
                known.push(format!("{room}pcnew{i}"));
            }
            let (pc, state) = (known[random.below(known.len())].clone(), STATES[random.below(STATES.len())]);
            push(&json!({&pc: entry(state)}));
            if truth.insert(pc.clone(), state) != Some(state) {
                made.push((pc, state));
            }
        }
        let took = started.elapsed();
        push(&json!({LAST: entry("wf")}));
        all_pushed.store(true, Ordering::SeqCst);
        truth.insert(LAST.to_owned(), "wf");
        made.push((LAST.to_owned(), "wf"));

        let views: Vec<(Value, View, usize)> = threads
            .into_iter()
            .map(|(of, thread)| {
                let (view, replies) = thread.join().unwrap();
                (of, view, replies)
            })
            .collect();
        let replies: usize = views.iter().map(|(_, _, replies)| replies).sum();
        println!(
            "{changes} pushes in {:.2} s, {:.0} a second; {replies} replies to {WATCHERS} watchers, the last {:.3} s after the last push",
            took.as_secs_f64(),
            f64::from(u32::try_from(changes).unwrap()) / took.as_secs_f64(),
            (started.elapsed() - took).as_secs_f64(),
        );
        (views, truth, made)
    });

    let (views, truth, made) = watchers;
    assert_eq!(views.len(), WATCHERS);
    let mut maps: BTreeMap<String, Rooms> = BTreeMap::new();
    for of in &filters {
        let mut map: Rooms = DEFAULT_ROOMS
            .iter()
            .filter(|(room, _)| shows_room(of, room))
            .map(|(room, name)| ((*room).to_owned(), ((*name).to_owned(), Default::default())))
            .collect();
        for pc in truth.keys().filter(|pc| shows(of, pc)) {
            map.get_mut(room_of(pc)).unwrap().1.insert(pc.clone());
        }
        maps.insert(of.to_string(), map);
    }
    for (of, view, _) in &views {
        let seen: BTreeMap<&str, &str> =
            view.occupation.iter().map(|(pc, s)| (pc.as_str(), s.as_str())).collect();
        let due: BTreeMap<&str, &str> =
            truth.iter().filter(|(pc, _)| shows(of, pc)).map(|(pc, s)| (pc.as_str(), *s)).collect();
        assert_eq!(seen, due, "what a watcher of {of} believes");
        assert_eq!(view.rooms.as_ref().unwrap(), &maps[&of.to_string()], "the rooms of {of}");
        assert_eq!(view.welcomed, 0, "nobody had to begin anew");
    }
    assert_eq!(daemon.whole().occupation.len(), truth.len());

    let rows = daemon.history(1000);
    let (first, rest) = rows.split_at(names.len());
    let mut off: Vec<&str> = first.iter().map(|row| row.pc.as_str()).collect();
    off.sort_unstable();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(off, sorted);
    assert!(first.iter().all(|row| row.state == "o"));
    let kept: Vec<(&str, &str)> = rest.iter().map(|row| (row.pc.as_str(), row.state.as_str())).collect();
    let made: Vec<(&str, &str)> = made.iter().map(|(pc, state)| (pc.as_str(), *state)).collect();
    assert_eq!(kept.len(), made.len());
    assert!(kept == made, "the history has the changes in their order");
    assert!(rows.iter().all(|row| row.source == "campus"));
}
