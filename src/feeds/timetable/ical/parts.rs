//! A calendar in parts that are read one after the other: what stands at its top with its zones, and each event.
//!
//! calcard keeps a hundred bytes and more of every line and every date, so that ten megabytes of the shortest would
//! take a gigabyte. So it is given one event at a time, and only the lines that say anything about a room.

use super::lines::value_of;

/// Of a calendar itself.
const OF_CALENDAR: [&str; 4] = ["X-WR-TIMEZONE", "X-PUBLISHED-TTL", "REFRESH-INTERVAL", "METHOD"];

/// Of its zones.
const OF_ZONE: [&str; 7] =
    ["TZID", "X-LIC-LOCATION", "DTSTART", "TZOFFSETFROM", "TZOFFSETTO", "RRULE", "RDATE"];

/// Of an event.
const OF_EVENT: [&str; 16] = [
    "UID",
    "SEQUENCE",
    "DTSTART",
    "DTEND",
    "DURATION",
    "RECURRENCE-ID",
    "RRULE",
    "EXRULE",
    "RDATE",
    "EXDATE",
    "STATUS",
    "TRANSP",
    "X-MICROSOFT-CDO-BUSYSTATUS",
    "CLASS",
    "SUMMARY",
    "LOCATION",
];

/// How many lines and dates are read at once: an event with an exception a day for twenty years, or fifty zones with
/// all their changes since 1900.
const MOST: usize = 10_000;

/// One calendar of a file.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    /// A calendar without its events.
    pub(super) frame: String,
    /// Its events, all their lines.
    pub(super) events: Vec<&'a str>,
}

/// The calendars of a text that is known to be whole. Zones that are more than can be read at once are left out.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let (mut depth, mut at, mut begun) = (0_usize, 0, 0);
    // Of the zone at hand, and of those that are kept.
    let (mut pieces, mut framed) = (0, 0);
    let mut zone: Option<String> = None;
    for line in text.split_inclusive('\n') {
        let (start, name) = (at, line.trim_end());
        at += line.len();
        let begins = value_of(name, "BEGIN");
        depth += usize::from(begins.is_some());
        let is_at = |root: &str, depth_of: usize, of: Option<&str>| {
            depth == depth_of && of.is_some_and(|of| of.eq_ignore_ascii_case(root))
        };
        let ends = value_of(name, "END");
        if is_at("VCALENDAR", 1, begins) {
            parts.push(Part { frame: "BEGIN:VCALENDAR\n".into(), events: Vec::new() });
            framed = 0;
        }
        let Some(part) = parts.last_mut() else { continue };
        if is_at("VEVENT", 2, begins) {
            begun = start;
        } else if is_at("VEVENT", 2, ends) {
            part.events.extend(text.get(begun..at));
        } else if is_at("VTIMEZONE", 2, begins) {
            (zone, pieces) = (Some(String::new()), 0);
        }
        if let Some(lines) = &mut zone {
            if begins.is_some() || ends.is_some() || is_of(&OF_ZONE, name) {
                pieces += pieces_of(name);
                // Of what is too much, nothing need be kept but that.
                if pieces <= MOST { lines.push_str(line) } else { lines.clear() }
            }
            if is_at("VTIMEZONE", 2, ends) {
                let lines = zone.take().unwrap_or_default();
                if framed + pieces <= MOST {
                    framed += pieces;
                    part.frame.push_str(&lines);
                }
            }
        } else if depth == 1 && begins.is_none() && (ends.is_some() || is_of(&OF_CALENDAR, name)) {
            part.frame.push_str(line);
        }
        depth = depth.saturating_sub(usize::from(ends.is_some()));
    }
    parts
}

/// The lines of an event that are of use, without what stands in it, as alarms do; none where there are too many.
pub(super) fn event(lines: &str) -> Option<String> {
    let (mut kept, mut pieces, mut depth) = (String::new(), 0, 0_usize);
    for line in lines.split_inclusive('\n') {
        let name = line.trim_end();
        let (begins, ends) = (value_of(name, "BEGIN").is_some(), value_of(name, "END").is_some());
        depth += usize::from(begins);
        if depth == 1 && (begins || ends || is_of(&OF_EVENT, name)) {
            pieces += pieces_of(name);
            if pieces > MOST {
                return None;
            }
            kept.push_str(line);
        }
        depth = depth.saturating_sub(usize::from(ends));
    }
    Some(kept)
}

fn is_of(names: &[&str], line: &str) -> bool {
    let name = line.split([';', ':']).next().unwrap_or_default();
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A line, and the dates that it may hold beyond the first.
fn pieces_of(line: &str) -> usize {
    let is_list = is_of(&["RDATE", "EXDATE"], line);
    1 + if is_list { line.bytes().filter(|byte| *byte == b',').count() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_is_its_frame_and_its_events() {
        let text = "BEGIN:VCALENDAR\nX-WR-TIMEZONE:UTC\nX-WR-CALNAME:x\nBEGIN:VTIMEZONE\nTZID:a\nCOMMENT:x\n\
            BEGIN:STANDARD\nDTSTART:1\nEND:STANDARD\nEND:VTIMEZONE\nbegin:vevent\nSUMMARY:one\nDESCRIPTION:x\n\
            BEGIN:VALARM\nSUMMARY:ring\nEND:VALARM\nDTSTART;X=Y:2\nend:VEVENT\nBEGIN:VTODO\nSUMMARY:t\nEND:VTODO\n\
            METHOD:PUBLISH\nEND:VCALENDAR\nBEGIN:VCALENDAR\nEND:VCALENDAR\n";
        let found = parts(text);
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].frame,
            "BEGIN:VCALENDAR\nX-WR-TIMEZONE:UTC\nBEGIN:VTIMEZONE\nTZID:a\nBEGIN:STANDARD\nDTSTART:1\nEND:STANDARD\n\
             END:VTIMEZONE\nMETHOD:PUBLISH\nEND:VCALENDAR\n"
        );
        let events: Vec<String> = found[0].events.iter().filter_map(|lines| event(lines)).collect();
        assert_eq!(events, ["begin:vevent\nSUMMARY:one\nDTSTART;X=Y:2\nend:VEVENT\n"]);
        assert_eq!((found[1].frame.as_str(), found[1].events.len()), ("BEGIN:VCALENDAR\nEND:VCALENDAR\n", 0));
    }

    #[test]
    fn t2_what_is_too_much_at_once_is_left_out() {
        let of = |lines: &str| format!("BEGIN:VEVENT\n{lines}END:VEVENT\n");
        for (lines, fits) in [
            ("UID:1\n".repeat(MOST - 2), true),
            ("UID:1\n".repeat(MOST - 1), false),
            (format!("EXDATE:{}1\n", "1,".repeat(MOST - 3)), true),
            (format!("EXDATE:{}1\n", "1,".repeat(MOST - 2)), false),
            (format!("SUMMARY:{}\n", "1,".repeat(MOST)), true),
            ("DESCRIPTION:x\n".repeat(MOST), true),
        ] {
            assert_eq!(event(&of(&lines)).is_some(), fits, "{lines:.20}");
        }
        let zone = |id: &str, lines: usize| {
            format!("BEGIN:VTIMEZONE\nTZID:{id}\n{}END:VTIMEZONE\n", "DTSTART:1\n".repeat(lines))
        };
        let zones = zone("much", MOST) + &zone("one", MOST / 2) + &zone("two", MOST / 2) + &zone("three", 1);
        let text = format!("BEGIN:VCALENDAR\n{zones}END:VCALENDAR\n");
        let frame = parts(&text).remove(0).frame;
        let kept: Vec<&str> = frame.lines().filter_map(|line| line.strip_prefix("TZID:")).collect();
        assert_eq!(kept, ["one", "three"]);
    }
}
