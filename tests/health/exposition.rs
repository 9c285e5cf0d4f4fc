//! OpenMetrics text, read strictly: what a scraper might stumble over is an error here.

use crate::common::{Client, Daemon, Request};
use std::collections::BTreeMap;

/// What `/metrics` shows.
pub(crate) struct Figures {
    /// Each family with its kind and its help.
    pub(crate) families: BTreeMap<String, (String, String)>,
    /// Each sample, by its name and its labels.
    pub(crate) samples: BTreeMap<(String, Labels), f64>,
}

pub(crate) type Labels = BTreeMap<String, String>;

impl Figures {
    /// Asks a daemon.
    pub(crate) fn of(daemon: &Daemon) -> Figures {
        Figures::over(&mut daemon.connect())
    }

    /// Asks over a connection that is kept.
    pub(crate) fn over(client: &mut Client) -> Figures {
        let response = client.exchange(&Request::get("/metrics"));
        assert_eq!(response.status, 200, "{response:?}");
        let kind = response.header("Content-Type").unwrap();
        assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        Figures::read(response.text()).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The value of one sample; zero where there is none.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.samples.get(&(name.to_owned(), labels)).copied().unwrap_or_default()
    }

    /// The samples of that name, by their labels.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Labels, f64)> {
        self.samples
            .iter()
            .filter(move |((of, _), _)| of == name)
            .map(|((_, labels), value)| (labels, *value))
    }

    /// Reads an exposition.
    pub(crate) fn read(text: &str) -> Result<Figures, String> {
        let body = text.strip_suffix("# EOF\n").ok_or("it does not end with # EOF")?;
        let mut figures = Figures { families: BTreeMap::new(), samples: BTreeMap::new() };
        let mut lines = body.lines().peekable();
        while let Some(line) = lines.next() {
            let (name, help) = line
                .strip_prefix("# HELP ")
                .and_then(|rest| rest.split_once(' '))
                .ok_or_else(|| format!("no HELP where a family begins: {line}"))?;
            let kind = lines
                .next()
                .and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")))
                .ok_or_else(|| format!("no TYPE behind the HELP of {name}"))?;
            let is_name = |text: &str| {
                text.starts_with(|c: char| c.is_ascii_alphabetic())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            };
            if !is_name(name) || help.trim().is_empty() {
                return Err(format!("{line}: a bad name, or no help"));
            }
            if figures.families.insert(name.to_owned(), (kind.to_owned(), help.to_owned())).is_some() {
                return Err(format!("{name} stands twice"));
            }
            let mut histogram = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (sample, labels, value) = sample(line)?;
                let suffix = sample.strip_prefix(name).ok_or_else(|| format!("{sample} within {name}"))?;
                let fits = match kind {
                    "counter" => suffix == "_total" && value >= 0.0,
                    "gauge" => suffix.is_empty(),
                    "info" => suffix == "_info" && value == 1.0,
                    "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
                    _ => return Err(format!("{kind} is no kind that is known here")),
                };
                if !fits {
                    return Err(format!("{line}: no sample of a {kind}"));
                }
                if kind == "histogram" {
                    histogram.push((suffix.to_owned(), labels.get("le").cloned(), value));
                }
                if figures.samples.insert((sample.to_owned(), labels), value).is_some() {
                    return Err(format!("twice: {line}"));
                }
            }
            if kind == "histogram" {
                check_histogram(name, &histogram)?;
            }
        }
        Ok(figures)
    }
}

/// Buckets rise, in bounds and in counts, up to an infinite one that holds them all.
fn check_histogram(name: &str, samples: &[(String, Option<String>, f64)]) -> Result<(), String> {
    let one = |suffix: &str| samples.iter().find(|(of, ..)| of == suffix).map(|(.., value)| *value);
    let buckets: Vec<(f64, f64)> = samples
        .iter()
        .filter_map(|(_, le, count)| Some((le.as_deref()?.trim_start_matches('+').parse().ok()?, *count)))
        .collect();
    let rises = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
    match (buckets.last(), one("_count"), one("_sum")) {
        (Some((bound, all)), Some(count), Some(sum)) if rises && bound.is_infinite() => {
            if *all == count && sum >= 0.0 { Ok(()) } else { Err(format!("{name}: {all} are not {count}")) }
        }
        _ => Err(format!("{name} is no histogram: {samples:?}")),
    }
}

/// `name{key="value",…} 1`
fn sample(line: &str) -> Result<(&str, Labels, f64), String> {
    let bad = || format!("no sample: {line}");
    let end = line.find(['{', ' ']).ok_or_else(bad)?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (key, behind) = rest.split_once("=\"").ok_or_else(bad)?;
            let (value, behind) = quoted(behind).ok_or_else(bad)?;
            if key.is_empty() || !key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                return Err(bad());
            }
            if labels.insert(key.to_owned(), value).is_some() {
                return Err(bad());
            }
            match behind.split_at_checked(1).ok_or_else(bad)? {
                (",", behind) => rest = behind,
                ("}", behind) => {
                    rest = behind;
                    break;
                }
                _ => return Err(bad()),
            }
        }
    }
    let value = rest.strip_prefix(' ').and_then(|value| value.parse().ok()).ok_or_else(bad)?;
    Ok((name, labels, value))
}

/// A text up to its closing quote, with what is escaped in it as it was, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other @ ('"' | '\\') => other,
                _ => return None,
            }),
            _ => value.push(character),
        }
    }
    None
}

#[test]
fn the_reader_of_these_tests_takes_no_bad_text() {
    let good = "# HELP a What\n# TYPE a gauge\na{b=\"c\\\"\\\\\\n\"} 1.5\na 2\n# EOF\n";
    let read = Figures::read(good).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((read.value("a", &[("b", "c\"\\\n")]), read.value("a", &[])), (1.5, 2.0));
    for (from, to) in [
        ("# EOF\n", ""),
        ("# HELP a What\n", ""),
        ("# TYPE a gauge\n", ""),
        ("gauge", "counter"),
        ("a 2", "b 2"),
        ("a 2", "a two"),
        ("a 2", "a{b=\"c\\\"\\\\\\n\"} 2"),
        ("1.5\n", "1.5\n# HELP a What\n# TYPE a gauge\n"),
        ("\\n\"}", "\\n}"),
        ("b=", "B="),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(Figures::read(&bad).is_err(), "{bad}");
    }
    let buckets = "# HELP h What\n# TYPE h histogram\nh_sum 1.0\nh_count 2\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 2\n# EOF\n";
    assert!(Figures::read(buckets).is_ok());
    assert!(Figures::read(&buckets.replace("h_count 2", "h_count 3")).is_err());
    assert!(Figures::read(&buckets.replace("\"1.0\"} 1", "\"1.0\"} 3")).is_err());
}
