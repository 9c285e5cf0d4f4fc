//! A file of reservations, CSV or JSON, which may be written anew at any time.

use super::coverage::Coverage;
use super::day::{Day, instant};
use super::fetch::read;
use super::{Booking, Error, Fetching, Problem, Provider, Pull, Room, TextRule, Timetable, apart};
use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often the file is looked at. Asking for its time costs nothing, on any file system, and who has just
/// written it sees it on the displays within seconds.
const LOOK: Duration = Duration::from_secs(2);

/// A file with one reservation a row: `room`, `start`, `end`, `text`.
#[derive(Debug)]
pub struct File {
    path: Arc<Path>,
    zone: Option<Tz>,
    coverage: Coverage,
    text: TextRule,
    max_size: usize,
    /// What was read, and from which state of the file.
    rows: super::cache::Cache<(), (Stamp, Vec<Row>)>,
}

/// By what one state of a file differs from the next.
type Stamp = (Option<SystemTime>, u64, u64);

/// One reservation, as it is written.
#[derive(Debug, Deserialize)]
struct Row {
    room: String,
    start: String,
    end: String,
    #[serde(default)]
    text: String,
}

impl File {
    /// The file at `path`; its times are those of `zone`, or of the setup.
    pub fn new(path: &Path, zone: Option<Tz>, coverage: Coverage, text: TextRule, max_size: usize) -> File {
        File { path: path.into(), zone, coverage, text, max_size, rows: Default::default() }
    }

    async fn pull(&self, pull: &Pull) -> Result<Timetable, Error> {
        let mut problem = None;
        let path = self.path.clone();
        let stamp = tokio::task::spawn_blocking(move || stamp(&path)).await.ok().flatten();
        let known = self.rows.last(&());
        let rows = match (known, stamp) {
            (Some(known), Some(stamp)) if known.0 == stamp => known,
            (known, stamp) => match self.read().await {
                Ok(rows) => self.rows.put((), pull.now, (stamp.unwrap_or_default(), rows)),
                // An editor may have it half written.
                Err(error) => {
                    problem = Some(Problem { room: None, error: error.clone() });
                    known.ok_or(error)?
                }
            },
        };
        let (rule, rooms) = (self.text.clone(), self.coverage.of(&pull.rooms));
        let (zone, day) = (self.zone.unwrap_or(pull.day.zone), pull.day);
        let mut timetable = apart(move || bookings(&rows.1, zone, day, &rooms, &rule)).await?;
        timetable.problems.extend(problem);
        Ok(timetable)
    }

    async fn read(&self) -> Result<Vec<Row>, Error> {
        let bytes = read(self.path.clone(), self.max_size).await?;
        apart(move || rows(&bytes)).await
    }
}

impl Provider for File {
    fn fetch<'a>(&'a self, pull: &'a Pull) -> Fetching<'a> {
        Box::pin(self.pull(pull))
    }

    fn every(&self) -> Option<Duration> {
        Some(LOOK)
    }
}

/// The rows of a file.
fn rows(bytes: &[u8]) -> Result<Vec<Row>, Error> {
    let rows = if bytes.trim_ascii_start().starts_with(b"[") { json(bytes) } else { csv(bytes) }?;
    // A row that nobody can read makes the file a mistake, which is told at once.
    for (number, row) in rows.iter().enumerate() {
        let bad = |what: &str| Error::Malformed(format!("entry {}: {what}", number + 1));
        let start = time(&row.start, Tz::UTC).ok_or_else(|| bad("its start is no time"))?;
        let end = time(&row.end, Tz::UTC).ok_or_else(|| bad("its end is no time"))?;
        if end < start {
            return Err(bad("it ends before it starts"));
        }
    }
    Ok(rows)
}

/// What is in `rooms` in the days from `day` on; times are those of `zone`.
fn bookings(rows: &[Row], zone: Tz, day: Day, rooms: &[Room], rule: &TextRule) -> Result<Timetable, Error> {
    let mut keys = HashMap::new();
    for room in rooms {
        keys.insert(room.name.to_lowercase(), &room.key);
    }
    for room in rooms {
        keys.insert(room.key.to_string(), &room.key);
    }
    let mut timetable = Timetable::default();
    let mut strangers = 0;
    for row in rows {
        let (Some(start), Some(end)) = (time(&row.start, zone), time(&row.end, zone)) else { continue };
        if end <= day.start() || start >= day.horizon() {
            continue;
        }
        match keys.get(&row.room.trim().to_lowercase()) {
            Some(key) => {
                let text = rule.apply([row.text.as_str()]);
                timetable.add([Booking { room: (*key).clone(), start, end, text }])?;
            }
            None => strangers += 1,
        }
    }
    if strangers > 0 {
        timetable.note(format!("{strangers} entries are about rooms that are not there"));
    }
    Ok(timetable)
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok(), metadata.len(), metadata.ino()))
}

fn json(bytes: &[u8]) -> Result<Vec<Row>, Error> {
    let place = |error: serde_json::Error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => {
                "an entry without room, start or end, or with one that is no text"
            }
            _ => "not JSON",
        };
        Error::Malformed(format!("line {}: {what}", error.line()))
    };
    serde_json::from_slice(bytes).map_err(place)
}

/// With a header that names the columns; spreadsheets of half of Europe write semicolons for commas.
fn csv(bytes: &[u8]) -> Result<Vec<Row>, Error> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let header = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = if header.contains(&b';') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(bytes);
    let bad = |line: u64, what: &str| Error::Malformed(format!("line {line}: {what}"));
    let header = reader.headers().map_err(|_| bad(1, "not UTF-8"))?;
    for column in ["room", "start", "end"] {
        if !header.iter().any(|name| name == column) {
            return Err(bad(1, &format!("there is no column {column:?} in the header")));
        }
    }
    let place = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        let what = match error.kind() {
            csv::ErrorKind::UnequalLengths { .. } => "not as many fields as the header has",
            csv::ErrorKind::Utf8 { .. } => "not UTF-8",
            _ => "cannot be read",
        };
        bad(line, what)
    };
    reader.deserialize().map(|row| row.map_err(place)).collect()
}

/// `2026-11-23 10:45`, also with a `T`, with seconds, and with an offset, which then counts.
fn time(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let text = text.trim().replacen(' ', "T", 1);
    if let Ok(time) = DateTime::parse_from_rfc3339(&text) {
        return Some(time.to_utc());
    }
    let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let local = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())?;
    Some(instant(zone, local))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{pull, room, shown};
    use super::*;

    const CSV: &str = "room,start,end,text\n\
        HG00.075,2026-11-23 10:45,2026-11-23 12:30,\"Calculus, part 2\"\n\
        hgbib,2026-11-23T08:00:00,2026-11-23T09:00:00,\n\
        attic,2026-11-23 08:00,2026-11-23 09:00,ghosts\n\
        hg075,2026-11-22 10:45,2026-11-22 12:30,yesterday\n\
        hg075,2026-11-23T20:00:00Z,2026-11-24T00:30:00+01:00,night\n";

    fn file(path: &Path) -> File {
        let text = TextRule { cut: None, placeholder: "Reserved".into() };
        File::new(path, None, Coverage::default(), text, 100_000)
    }

    #[tokio::test]
    async fn a_file_is_csv_or_json_and_is_read_again_when_it_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reservations");
        let file = file(&path);
        let pull = pull("2026-11-23", &[room("hg075", "HG00.075"), room("hgbib", "Bibliotheek")]);
        assert!(file.fetch(&pull).await.is_err());

        let expected = [
            "hg075 2026-11-23T09:45:00Z 2026-11-23T11:30:00Z Calculus, part 2",
            "hg075 2026-11-23T20:00:00Z 2026-11-23T23:30:00Z night",
            "hgbib 2026-11-23T07:00:00Z 2026-11-23T08:00:00Z Reserved",
        ];
        for text in [CSV.to_owned(), format!("\u{feff}{}", CSV.replace(',', ";").replace("; part", ", part"))]
        {
            std::fs::write(&path, text).unwrap();
            let timetable = file.fetch(&pull).await.unwrap();
            assert_eq!(shown(&timetable), expected);
            assert_eq!(timetable.notes, ["1 entries are about rooms that are not there"]);
        }
        std::fs::write(
            &path,
            r#" [{"room": "hg075", "start": "2026-11-23 10:45", "end": "2026-11-23 12:30", "x": 1}]"#,
        )
        .unwrap();
        let timetable = file.fetch(&pull).await.unwrap();
        assert_eq!(shown(&timetable), ["hg075 2026-11-23T09:45:00Z 2026-11-23T11:30:00Z Reserved"]);
    }

    #[tokio::test]
    async fn t2_a_file_with_a_mistake_is_left_aside_whole_and_the_last_good_one_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reservations");
        let file = file(&path);
        let pull = pull("2026-11-23", &[room("hg075", "HG00.075")]);
        let good = "room,start,end\nhg075,2026-11-23 10:45,2026-11-23 12:30\n";
        std::fs::write(&path, good).unwrap();
        assert_eq!(file.fetch(&pull).await.unwrap().bookings.len(), 1);
        for (text, why) in [
            (format!("{good}hg075,2026-11-23 14:00"), "line 3: not as many fields as the header has"),
            (format!("{good}hg075,2026-11-23 14:00,tomorrow\n"), "entry 2: its end is no time"),
            (format!("{good}hg075,2026-11-23 14:00,2026-11-23 13:00\n"), "entry 2: it ends before it starts"),
            ("".to_owned(), "line 1: there is no column \"room\" in the header"),
            ("room,start\n".to_owned(), "line 1: there is no column \"end\" in the header"),
            (
                "[\n{\"room\": 1}]".to_owned(),
                "line 2: an entry without room, start or end, or with one that is no text",
            ),
            ("[\n".to_owned(), "line 2: not JSON"),
            ("x".repeat(100_001), "longer than 100000 bytes"),
        ] {
            std::fs::write(&path, &text).unwrap();
            let timetable = file.fetch(&pull).await.unwrap();
            assert_eq!(timetable.bookings.len(), 1, "{text}");
            let errors: Vec<String> = timetable.problems.iter().map(|p| p.error.to_string()).collect();
            assert_eq!(errors, [why], "{text}");
        }
        std::fs::write(&path, "room,start,end\n").unwrap();
        let emptied = file.fetch(&pull).await.unwrap();
        assert_eq!((emptied.bookings.len(), emptied.problems.len()), (0, 0));
    }
}
