//! The board and its changes as plain lines, for pipes and for terminals without a screen.

use super::board::{self, Order, Row};
use crate::client::{Change, Client, Event, View};
use crate::commands::Failure;
use crate::commands::text::{cut, fit, plain, state, width};
use crate::core::schedule::TimeOfDay;
use crate::core::tag::{Tag, TagFilter};
use chrono::{DateTime, Local, SecondsFormat, Timelike};
use std::io::{Write, stderr, stdout};
use std::time::Duration;

/// Longer than a daemon that is there needs for its first answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints the table once.
pub(super) async fn once(mut client: Client, filter: &TagFilter, address: &str) -> Result<(), Failure> {
    let mut view = View::default();
    let whole = async {
        while !view.is_whole() {
            match client.next().await {
                Event::Heard(reply) => {
                    for message in reply.messages {
                        view.apply(message);
                    }
                }
                Event::Down { why, .. } => return Err(Failure::other(format!("{address}: {why}"))),
            }
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, whole).await {
        Ok(done) => done?,
        Err(_) => return Err(Failure::other(format!("{address}: no answer in time"))),
    }
    missing_tags(&view, filter)?;
    print(&table(&view, time_of_day(&Local::now())))
}

/// Prints the table, then every change, for ever.
pub(super) async fn follow(mut client: Client, filter: &TagFilter, address: &str) -> Result<(), Failure> {
    let mut view = View::default();
    let mut shown = false;
    let mut down = false;
    loop {
        match client.next().await {
            Event::Down { why, .. } => {
                if !down {
                    writeln!(stderr(), "{address}: {}; trying again until it answers", plain(&why))?;
                }
                down = true;
            }
            Event::Heard(reply) => {
                if down {
                    writeln!(stderr(), "{address}: answers again")?;
                }
                down = false;
                let now = Local::now();
                let mut changes = Vec::new();
                for message in reply.messages {
                    changes.extend(view.apply(message));
                }
                if shown {
                    print(&changes.iter().map(|change| line(change, &now)).collect::<String>())?;
                } else if view.is_whole() {
                    missing_tags(&view, filter)?;
                    print(&table(&view, time_of_day(&now)))?;
                    shown = true;
                }
            }
        }
    }
}

/// Writes and flushes, so that whoever reads a pipe has each line when it is known.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// A daemon drops tags that it does not know, so a mistyped one shows nothing at all: say so.
fn missing_tags(view: &View, filter: &TagFilter) -> Result<(), Failure> {
    let TagFilter::Tags(wanted) = filter else { return Ok(()) };
    let offered: Vec<&str> = view.tags().keys().map(Tag::as_str).collect();
    for tag in wanted.iter().filter(|tag| !view.tags().contains_key(*tag)) {
        writeln!(stderr(), "no room carries the tag {tag}; the tags are: {}", offered.join(", "))?;
    }
    Ok(())
}

/// The time of day of a moment.
pub(super) fn time_of_day(moment: &DateTime<Local>) -> TimeOfDay {
    let part = |number: u32| u8::try_from(number).unwrap_or(0);
    TimeOfDay { hour: part(moment.hour()), minute: part(moment.minute()) }
}

fn table(view: &View, now: TimeOfDay) -> String {
    let rows = board::rows(view, Order::Name, None, now);
    let names = rows.iter().map(|row| width(&plain(&row.name))).max().unwrap_or(0).clamp(5, 40);
    let keys = rows.iter().map(|row| width(row.key.as_str())).max().unwrap_or(0).max(3);
    let head =
        format!("{}  {}  Free  Of  Windows  Linux  Used  Off  Unknown", fit("Room", names), fit("Key", keys));
    let mut text = head;
    text.push('\n');
    let line = |name: &str, key: &str, row: &Row| {
        let c = &row.counts;
        let told = row.reserved.as_ref().map(|r| format!("  {}", plain(&r.describe()))).unwrap_or_default();
        let line = format!(
            "{}  {}  {:>4} {:>3}  {:>7}  {:>5}  {:>4}  {:>3}  {:>7}{told}",
            fit(name, names),
            fit(key, keys),
            c.free(),
            c.total(),
            c.windows,
            c.linux,
            c.used,
            c.off,
            c.unknown,
        );
        format!("{}\n", line.trim_end())
    };
    for row in &rows {
        text.push_str(&line(&cut(&plain(&row.name), names), row.key.as_str(), row));
    }
    if let Some(first) = rows.first() {
        let sum = Row { counts: board::total(&rows), reserved: None, ..first.clone() };
        text.push_str(&line("Total", "", &sum));
    }
    text
}

fn line(change: &Change, now: &DateTime<Local>) -> String {
    format!("{} {} {}\n", now.to_rfc3339_opts(SecondsFormat::Secs, false), change.pc, state(change.to))
}

#[cfg(test)]
mod tests {
    use super::super::board::tests::{THREE_ROOMS, view};
    use super::*;
    use crate::core::pc::{Occupation, PcName};
    use chrono::TimeZone;

    const ELEVEN: TimeOfDay = TimeOfDay { hour: 11, minute: 0 };

    #[test]
    fn the_table_has_a_line_for_every_room_and_one_for_all() {
        let expected = "\
Room      Key    Free  Of  Windows  Linux  Used  Off  Unknown
HG00.075  hg075     1   4        1      0     1    1        1
HG00.201  hg201     2   2        1      1     0    0        0  until 12:30 Analyse 1
Onbekend  none      0   0        0      0     0    0        0
Total               3   6        2      1     1    1        1
";
        assert_eq!(table(&view(THREE_ROOMS), ELEVEN), expected);
        assert_eq!(table(&View::default(), ELEVEN).lines().count(), 1);
    }

    #[test]
    fn a_name_cannot_add_a_line() {
        let view = view(
            r#"{"type":"roomMap","version":1,"roomMap":{"a":["A\nTotal 99\u001b[2J",["a1"]]}},{"type":"schedule","version":1,"schedule":{"a":[[[10,0],[12,0],"x\ny"]]}}"#,
        );
        let text = table(&view, ELEVEN);
        assert_eq!(text.lines().count(), 3);
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_change_is_one_line_with_its_time() {
        let now = Local.with_ymd_and_hms(2026, 11, 22, 9, 41, 7).unwrap();
        let told = |code| {
            let to = Occupation::from_code(code).unwrap();
            line(&Change { pc: PcName::parse("hg075pc47").unwrap(), room: None, from: None, to }, &now)
        };
        for (code, ending) in [
            ("lf", "hg075pc47 free (Linux)\n"),
            ("wu", "hg075pc47 used (Windows)\n"),
            ("wx", "hg075pc47 on (Windows)\n"),
            ("o", "hg075pc47 off\n"),
            ("x", "hg075pc47 unknown\n"),
        ] {
            let told = told(code);
            assert!(told.starts_with("2026-11-22T09:41:07") && told.ends_with(ending), "{told}");
        }
    }
}
