//! What `/metrics` shows, and that it moves when it should.

use crate::common::{Channel, Daemon, View, entry, everything, get};
use crate::exposition::Figures;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Every family, with its kind.
const FAMILIES: [(&str, &str); 28] = [
    ("process_cpu_seconds", "counter"),
    ("process_max_fds", "gauge"),
    ("process_open_fds", "gauge"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_start_time_seconds", "gauge"),
    ("tkbd_alerts", "counter"),
    ("tkbd_build", "info"),
    ("tkbd_changes", "counter"),
    ("tkbd_channels", "gauge"),
    ("tkbd_condition", "gauge"),
    ("tkbd_conflated", "counter"),
    ("tkbd_deliveries", "counter"),
    ("tkbd_delivery_seconds", "histogram"),
    ("tkbd_filters", "gauge"),
    ("tkbd_given_back", "counter"),
    ("tkbd_held_requests", "gauge"),
    ("tkbd_history_backlog", "gauge"),
    ("tkbd_history_backlog_limit", "gauge"),
    ("tkbd_history_commit_seconds", "histogram"),
    ("tkbd_history_failures", "counter"),
    ("tkbd_ignored_messages", "counter"),
    ("tkbd_mirror_age_seconds", "gauge"),
    ("tkbd_page_streams", "gauge"),
    ("tkbd_pushes", "counter"),
    ("tkbd_refused", "counter"),
    ("tkbd_room_pcs", "gauge"),
    ("tkbd_schedule_age_seconds", "gauge"),
    ("tkbd_version", "gauge"),
];

#[test]
fn every_family_is_told_with_its_kind_even_before_anything_happens() {
    let figures = Figures::of(&Daemon::start(&[]));
    let told: Vec<(&str, &str)> =
        figures.families.iter().map(|(name, (kind, _))| (name.as_str(), kind.as_str())).collect();
    assert_eq!(told, FAMILIES);
}

#[test]
fn a_push_moves_what_counts_pushes_and_nothing_that_counts_others() {
    let daemon = Daemon::start(&[]);
    let outcome = |figures: &Figures| {
        ["applied", "unchanged", "pending", "refused"]
            .map(|outcome| figures.value("tkbd_pushes_total", &[("outcome", outcome)]))
    };
    assert_eq!(outcome(&Figures::of(&daemon)), [0.0; 4]);
    daemon.push("test", &json!({"hg075pc01": entry("lf"), "hg075pc02": entry("o")}));
    daemon.push("test", &json!({"hg075pc01": entry("lu"), "hg075pc02": entry("o")}));
    daemon.set("hg075pc02", "o");
    daemon.refused(b"{}");
    let figures = Figures::of(&daemon);
    assert_eq!(outcome(&figures), [2.0, 1.0, 0.0, 1.0]);
    assert_eq!(figures.value("tkbd_refused_total", &[("door", "push"), ("reason", "bad")]), 1.0);
    assert_eq!(figures.value("tkbd_changes_total", &[]), 3.0);
    let whole = daemon.whole();
    let version = |of| figures.value("tkbd_version", &[("of", of)]);
    assert_eq!(version("occupation"), whole.occupation_version as f64);
    assert_eq!(version("room_map"), whole.room_map_version as f64);
    let commits = figures.value("tkbd_history_commit_seconds_count", &[]);
    assert!((1.0..=3.0).contains(&commits), "{commits}");
    assert!(figures.value("tkbd_history_commit_seconds_sum", &[]) > 0.0);
    assert_eq!(figures.value("tkbd_history_backlog", &[]), 0.0, "all is recorded that was acknowledged");
    for of in ["tkbd_deliveries_total", "tkbd_delivery_seconds_count", "tkbd_conflated_total"] {
        assert_eq!(figures.value(of, &[]), 0.0, "{of}: nobody listens");
    }
}

#[test]
fn held_requests_channels_and_filters_are_counted_while_they_are_there() {
    let daemon = Daemon::start(&[]);
    let census = || {
        let figures = Figures::of(&daemon);
        ["tkbd_channels", "tkbd_held_requests", "tkbd_filters"].map(|name| figures.value(name, &[]))
    };
    let delivered = || {
        let figures = Figures::of(&daemon);
        ["tkbd_deliveries_total", "tkbd_delivery_seconds_count"].map(|name| figures.value(name, &[]))
    };
    let mut channels: Vec<Channel> = (0..3).map(|_| Channel::with_filter(&daemon, &Value::Null)).collect();
    let idle = Channel::new(&daemon);
    assert_eq!(census(), [4.0, 0.0, 2.0]);
    channels.iter_mut().for_each(|channel| channel.send(&json!([])));
    daemon.settle();
    assert_eq!(census(), [4.0, 3.0, 2.0]);
    daemon.set("hg075pc01", "lf");
    assert_eq!(delivered(), [3.0, 1.0], "three requests, one fan-out");
    channels.iter_mut().for_each(|channel| drop(channel.receive()));
    assert_eq!(census(), [4.0, 0.0, 2.0]);

    // Two changes while one is away: it is told of both at once, and one that missed one of just that.
    daemon.set("hg075pc01", "lu");
    drop(channels[0].poll());
    assert_eq!(Figures::of(&daemon).value("tkbd_conflated_total", &[]), 0.0);
    daemon.set("hg075pc01", "lf");
    channels.iter_mut().for_each(|channel| drop(channel.poll()));
    assert_eq!(Figures::of(&daemon).value("tkbd_conflated_total", &[]), 2.0);
    assert_eq!(delivered(), [3.0, 1.0], "nobody waited for these");
    drop(idle);
}

#[test]
fn c13_messages_that_are_ignored_are_counted() {
    let daemon = Daemon::start(&[]);
    let mut channel = Channel::new(&daemon);
    channel.ask(&json!([{"type": "get_weather"}, get("roomMap"), 7]));
    assert_eq!(Figures::of(&daemon).value("tkbd_ignored_messages_total", &[]), 2.0);
}

#[test]
fn the_gauges_of_the_rooms_are_the_state_that_channels_tell() {
    let daemon = Daemon::start(&[]);
    let codes = ["o", "x", "wf", "lf", "wu", "lu", "wx", "lx"];
    let rooms = ["hg075", "bib", "hg999", "printer"];
    for round in 0..3 {
        let data: serde_json::Map<String, Value> = (0..60)
            .map(|i: usize| {
                let pc = format!("{}pc{i:02}", rooms[i % rooms.len()]);
                (pc, entry(codes[(i * 7 + round * i + round) % codes.len()]))
            })
            .collect();
        daemon.push("test", &Value::Object(data));
        let whole = daemon.whole();
        let mut expected: BTreeMap<(String, String), f64> = BTreeMap::new();
        for (room, (_, pcs)) in whole.room_map.iter().filter(|(_, (_, pcs))| !pcs.is_empty()) {
            for code in codes {
                let count = pcs.iter().filter(|pc| whole.occupation[*pc] == code).count();
                expected.insert((room.clone(), code.to_owned()), count as f64);
            }
        }
        let figures = Figures::of(&daemon);
        let shown: BTreeMap<(String, String), f64> = figures
            .all("tkbd_room_pcs")
            .map(|(labels, count)| ((labels["room"].clone(), labels["state"].clone()), count))
            .collect();
        assert_eq!(shown, expected);
        assert_eq!(shown.values().sum::<f64>(), 60.0);
    }
}

#[test]
fn the_figures_of_the_process_are_its_own() {
    let daemon = Daemon::start(&[]);
    let before = Figures::of(&daemon);
    let connections: Vec<_> = (0..40).map(|_| daemon.connect()).collect();
    daemon.settle();
    let after = Figures::of(&daemon);
    let more = after.value("process_open_fds", &[]) - before.value("process_open_fds", &[]);
    assert!((38.0..=52.0).contains(&more), "{more} for {} connections", connections.len());
    assert!(after.value("process_max_fds", &[]) >= after.value("process_open_fds", &[]));
    assert!((1e6..1e10).contains(&after.value("process_resident_memory_bytes", &[])));
    let cpu = |figures: &Figures| figures.value("process_cpu_seconds_total", &[]);
    assert!(cpu(&after) >= cpu(&before) && cpu(&after) < 600.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let started = after.value("process_start_time_seconds", &[]);
    assert!((now - 600.0..now + 2.0).contains(&started), "{started} of {now}");
    let version: Vec<_> = after.all("tkbd_build_info").collect();
    assert_eq!(version.len(), 1);
    assert!(!version[0].0["version"].is_empty());
}

#[test]
fn a_thousand_scrapes_while_states_are_pushed_lose_nothing() {
    const PUSHES: usize = 300;
    let daemon = Daemon::start(&[]);
    let mut channel = Channel::new(&daemon);
    let mut view = View::default();
    view.take(&channel.ask(&json!([everything(), get("roomMap"), get("occupation")])));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..PUSHES {
                let state = ["lf", "lu"][i / 10 % 2];
                daemon.set(&format!("hg075pc{:02}", i % 10), state);
            }
        });
        scope.spawn(|| {
            let mut client = daemon.connect();
            let mut last = 0.0;
            for _ in 0..1_000 {
                let figures = Figures::over(&mut client);
                let applied = figures.value("tkbd_pushes_total", &[("outcome", "applied")]);
                assert!(applied >= last, "{applied} after {last}");
                last = applied;
                let pcs: f64 = figures.all("tkbd_room_pcs").map(|(_, count)| count).sum();
                assert!(pcs <= 10.0);
            }
        });
        let mut version = 0;
        while version < PUSHES as u64 {
            let messages = channel.poll();
            view.take(&messages);
            let told = messages.iter().filter(|message| message["type"] == "occupation_update");
            version = told.filter_map(|message| message["version"].as_u64()).max().unwrap_or(version);
        }
    });
    let figures = Figures::of(&daemon);
    assert_eq!(figures.value("tkbd_pushes_total", &[("outcome", "applied")]), PUSHES as f64);
    assert_eq!(figures.value("tkbd_changes_total", &[]), PUSHES as f64);
    assert_eq!(figures.value("tkbd_version", &[("of", "occupation")]), PUSHES as f64);
    assert_eq!(view.occupation, daemon.whole().occupation);
    assert_eq!(daemon.history(1000).len(), PUSHES);
}
