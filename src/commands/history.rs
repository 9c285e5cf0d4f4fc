//! `tkbd history`: rows of the history, as a table, CSV or JSON.

use super::arguments::{HistoryArguments, HistoryFormat};
use super::text::{self, fit, plain};
use super::{Failure, run};
use crate::core::pc::PcName;
use crate::core::room::RoomKey;
use crate::core::source::Timestamp;
use crate::run::export::{NoRows, Row, Rows, Terms};
use crate::setup::Setup;
use crate::wire::csv::harmless;
use crate::wire::history::ExportedRow;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;
use std::io::{BufWriter, IsTerminal, StdoutLock, Write, stderr, stdout};
use std::time::{Duration, Instant};

/// How often it is told how far an export is. What is done sooner is not told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Prints what is wanted of the history that the setup names.
pub(super) fn history(arguments: &HistoryArguments) -> Result<(), Failure> {
    let setup = run::load(&arguments.setup)?;
    let terms = terms(arguments, &setup)?;
    let format = arguments.format.unwrap_or(if stdout().is_terminal() {
        HistoryFormat::Table
    } else {
        HistoryFormat::Csv
    });
    let mut printer = Printer::new(format, setup.timezone);
    let mut told = Instant::now();
    let is_seen = stdout().is_terminal();
    Rows::open(&setup, terms)?.each(|rows, passed| {
        printer.print(rows)?;
        if is_seen && !rows.is_empty() {
            // Who looks at the rows themselves sees how far it is.
            printer.out.flush()?;
            told = Instant::now();
        } else if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            // Whoever closed standard error wants the rows all the same.
            let _ = writeln!(stderr(), "{passed} %, {} rows", printer.rows);
        }
        Ok::<(), Failure>(())
    })?;
    printer.finish()
}

impl From<NoRows> for Failure {
    fn from(error: NoRows) -> Failure {
        Failure::other(error.to_string())
    }
}

fn terms(arguments: &HistoryArguments, setup: &Setup) -> Result<Terms, Failure> {
    let now = Utc::now();
    let usage = |why: String| Failure::Usage(why);
    let moment = |name: &str, text: &Option<String>| {
        let read = |text: &String| {
            moment(text, setup.timezone, now).ok_or_else(|| {
                usage(format!("--{name}: {text:?} is no time; as 2026-11-23, 2026-11-23T10:45 or 2h"))
            })
        };
        text.as_ref().map(read).transpose()
    };
    let (since, until) = (moment("since", &arguments.since)?, moment("until", &arguments.until)?);
    let period = (since.is_some() || until.is_some())
        .then(|| since.unwrap_or(Timestamp(i64::MIN))..until.unwrap_or(Timestamp(i64::MAX)));
    if period.as_ref().is_some_and(|period| period.start.0 >= period.end.0) {
        return Err(usage("--since is not before --until".into()));
    }
    let pc = arguments
        .pc
        .as_ref()
        .map(|name| PcName::parse(name).map_err(|why| usage(format!("--pc: {name:?}: {why}"))));
    let room = arguments.room.as_ref().map(|key| {
        let key = RoomKey::parse(key).map_err(|why| usage(format!("--room: {key:?}: {why}")))?;
        Ok::<_, Failure>(setup.rules.aliases.get(&key).cloned().unwrap_or(key))
    });
    Ok(Terms {
        period,
        pc: pc.transpose()?,
        room: room.transpose()?,
        source: arguments.source.clone(),
        last: arguments.last.map(|last| last as usize),
    })
}

/// A date, a date with a time, or how long ago.
fn moment(text: &str, zone: Tz, now: DateTime<Utc>) -> Option<Timestamp> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(Timestamp(at.timestamp()));
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|date| date.and_time(NaiveTime::MIN));
    let forms = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"];
    let local =
        date.or_else(|| forms.into_iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()));
    if let Some(local) = local {
        // An hour that a clock skips is over when it has skipped it; of one that comes twice the first is meant.
        let at = |quarter: i64| {
            zone.from_local_datetime(&(local + chrono::TimeDelta::minutes(15 * quarter))).earliest()
        };
        return (0..=12).find_map(at).map(|at| Timestamp(at.timestamp()));
    }
    let ago = i64::try_from(crate::setup::span(text)?.as_secs()).ok()?;
    Some(Timestamp(now.timestamp().checked_sub(ago)?))
}

/// The header of CSV.
const COLUMNS: [&str; 6] = ["time", "at", "pc", "room", "source", "state"];

/// Where rows go.
struct Printer {
    out: BufWriter<StdoutLock<'static>>,
    format: HistoryFormat,
    zone: Tz,
    rows: u64,
}

impl Printer {
    fn new(format: HistoryFormat, zone: Tz) -> Printer {
        Printer { out: BufWriter::with_capacity(1 << 16, stdout().lock()), format, zone, rows: 0 }
    }

    fn print(&mut self, rows: &[Row]) -> Result<(), Failure> {
        let mut table = csv::Writer::from_writer(Vec::new());
        for row in rows {
            let time = time(row.update.at, self.zone);
            let (update, room) = (&row.update, row.room.as_str());
            let (pc, source, code) = (update.pc.as_str(), update.source.as_str(), update.occupation.code());
            match self.format {
                HistoryFormat::Table => {
                    let (pc, source) = (fit(&plain(pc), 20), fit(&plain(source), 20));
                    let (room, state) = (fit(room, 12), text::state(update.occupation));
                    // What a zone adds is the same on every line.
                    let time = fit(&time.replace('T', " "), 25);
                    writeln!(self.out, "{time}  {room}  {pc}  {source}  {state}")?;
                }
                HistoryFormat::Csv => {
                    if self.rows == 0 {
                        table.write_record(COLUMNS).map_err(std::io::Error::from)?;
                    }
                    let at = update.at.0.to_string();
                    let cells = [&time, &at, &*harmless(pc), room, &*harmless(source), code];
                    table.write_record(cells).map_err(std::io::Error::from)?;
                }
                HistoryFormat::Json | HistoryFormat::Jsonl => {
                    let row = ExportedRow { time: &time, at: update.at.0, pc, room, source, state: code };
                    if self.format == HistoryFormat::Json {
                        write!(self.out, "{}", if self.rows == 0 { "[\n" } else { ",\n" })?;
                        write!(self.out, "{}", row.to_json())?;
                    } else {
                        writeln!(self.out, "{}", row.to_json())?;
                    }
                }
            }
            self.rows += 1;
        }
        self.out.write_all(&table.into_inner().map_err(|error| Failure::other(error.to_string()))?)?;
        Ok(())
    }

    fn finish(mut self) -> Result<(), Failure> {
        match (self.format, self.rows) {
            (HistoryFormat::Json, 0) => writeln!(self.out, "[]")?,
            (HistoryFormat::Json, _) => writeln!(self.out, "\n]")?,
            (HistoryFormat::Csv, 0) => writeln!(self.out, "{}", COLUMNS.join(","))?,
            _ => {}
        }
        self.out.flush()?;
        Ok(())
    }
}

fn time(at: Timestamp, zone: Tz) -> String {
    let at = DateTime::from_timestamp(at.0, 0).unwrap_or_default().with_timezone(&zone);
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_a_time_of_the_setup_s_zone_or_how_long_ago() {
        let zone = Tz::Europe__Amsterdam;
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        for (text, shown) in [
            ("2026-11-23", Some("2026-11-23T00:00:00+01:00")),
            ("2026-07-01", Some("2026-07-01T00:00:00+02:00")),
            ("2026-11-23T10:45", Some("2026-11-23T10:45:00+01:00")),
            ("2026-11-23 10:45:30", Some("2026-11-23T10:45:30+01:00")),
            ("2026-11-23T10:45:00Z", Some("2026-11-23T11:45:00+01:00")),
            ("2026-03-29T02:30", Some("2026-03-29T03:00:00+02:00")),
            ("2026-10-25T02:30", Some("2026-10-25T02:30:00+02:00")),
            ("90m", Some("2026-11-18T10:36:40+01:00")),
            ("yesterday", None),
            ("2026-13-01", None),
            ("", None),
        ] {
            assert_eq!(moment(text, zone, now).map(|at| time(at, zone)).as_deref(), shown, "{text:?}");
        }
    }
}
