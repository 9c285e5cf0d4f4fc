//! The dashboard and the alerts speak of nothing that the daemon does not show.

use crate::common::Daemon;
use crate::exposition::Figures;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Names in expressions that are none of a metric: functions, operators and labels.
const WORDS: [&str; 22] = [
    "and",
    "by",
    "door",
    "histogram_quantile",
    "increase",
    "instance",
    "job",
    "label_values",
    "le",
    "name",
    "of",
    "or",
    "outcome",
    "rate",
    "reason",
    "room",
    "topk",
    "state",
    "sum",
    "timetable",
    "version",
    "__rate_interval",
];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(path)).unwrap()
}

/// The metrics that an expression names: words that are no others, outside of texts and of spans of time.
fn metrics(expression: &str) -> BTreeSet<String> {
    let outside: String = expression.split('"').step_by(2).collect::<Vec<_>>().join("\"");
    let words = outside.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_metric = |word: &&str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && !WORDS.contains(word)
            && *word != "up"
    };
    words.filter(is_metric).map(str::to_owned).collect()
}

/// Expressions name what is shown. A family without a sample as yet is known by what its samples will be called.
fn check(expressions: &[String]) -> BTreeSet<String> {
    let figures = Figures::of(&Daemon::start(&[]));
    let mut shown: BTreeSet<String> = figures.samples.keys().map(|(name, _)| name.clone()).collect();
    let gauges =
        figures.families.iter().filter(|(_, (kind, _))| kind == "gauge").map(|(name, _)| name.clone());
    shown.extend(gauges);
    let named: BTreeSet<String> = expressions.iter().flat_map(|expression| metrics(expression)).collect();
    let unknown: Vec<_> = named.difference(&shown).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not shown");
    named
}

fn expressions_in(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "expr" || key == "query" && text.contains('(') => {
                        found.push(text.clone());
                    }
                    _ => expressions_in(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| expressions_in(value, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_shows_what_there_is_from_a_data_source_that_is_chosen() {
    let dashboard: Value = serde_json::from_str(&read("grafana/tkbd.json")).unwrap();
    let mut expressions = Vec::new();
    expressions_in(&dashboard, &mut expressions);
    let named = check(&expressions);
    for figure in [
        "tkbd_room_pcs",
        "tkbd_held_requests",
        "tkbd_deliveries_total",
        "tkbd_delivery_seconds_bucket",
        "tkbd_refused_total",
        "tkbd_history_backlog",
        "tkbd_history_commit_seconds_bucket",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
    ] {
        assert!(named.contains(figure), "{figure} is on no panel");
    }
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let is_row = panel["type"] == "row";
        assert!(is_row || panel["datasource"]["uid"] == "${datasource}", "{panel}");
        let place = &panel["gridPos"];
        let right = place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap();
        assert!(right <= 24, "{panel}");
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(
        variables.iter().any(|variable| variable["name"] == "datasource" && variable["type"] == "datasource")
    );
}

#[test]
fn the_alerts_watch_what_there_is() {
    let text = read("prometheus/alerts.yml");
    let expressions: Vec<String> =
        text.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned).collect();
    let alerts = text.matches("- alert: ").count();
    assert!(alerts >= 8, "{alerts}");
    assert_eq!(expressions.len(), alerts, "an expression in one line for each alert");
    assert_eq!(text.matches("        for: ").count(), alerts);
    assert_eq!(text.matches("          summary: ").count(), alerts);
    check(&expressions);
}

#[test]
fn a_metric_is_found_in_an_expression_and_nothing_else_is() {
    let found = |expression: &str| metrics(expression).into_iter().collect::<Vec<_>>();
    assert_eq!(found("rate(a_total{door=\"push\"}[5m]) / 60 > 0.5"), ["a_total"]);
    assert_eq!(found("sum by (le) (b_bucket{job=\"$job\", name!~\"x|y\"}[$__rate_interval])"), ["b_bucket"]);
    assert_eq!(found("up{job=\"a\"} == 0 and c"), ["c"]);
}
