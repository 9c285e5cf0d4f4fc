//! The lines of a calendar, before calcard reads them: decoded, unfolded, mended, and seen to be whole.

use super::super::Error;
use std::borrow::Cow;

/// How deep components may stand in each other: an alarm in an event in a calendar is three.
const DEPTH: usize = 8;

/// Properties whose values are times, so that no colon can stand in them.
const TIMES: [&str; 5] = ["DTSTART", "DTEND", "EXDATE", "RDATE", "RECURRENCE-ID"];

/// The longest rule, in bytes: one that names every second day of a year. The crate that expands rules looks at all
/// that a rule names on each day of thousands of years, and cannot be stopped on the way.
const LONGEST_RULE: usize = 1_000;

/// A rule that nobody can read, in the place of one that would be read as another.
const BAD_RULE: &str = "RRULE:NONE";

/// The numbers that parts of a rule may hold, by RFC 5545, and where that has no limit, by calcard.
const NUMBERS: [(&str, i64, i64); 10] = [
    ("INTERVAL", 1, 65_535),
    ("COUNT", 1, 4_294_967_295),
    ("BYSECOND", 0, 60),
    ("BYMINUTE", 0, 59),
    ("BYHOUR", 0, 23),
    ("BYMONTHDAY", -31, 31),
    ("BYYEARDAY", -366, 366),
    ("BYWEEKNO", -53, 53),
    ("BYMONTH", 1, 12),
    ("BYSETPOS", -366, 366),
];

/// The text of a calendar, one property a line.
///
/// # Errors
/// When it is not whole: calcard takes what is left of a truncated file, and bookings would be lost with the rest.
pub(super) fn lines(bytes: &[u8]) -> Result<String, Error> {
    let text = decoded(unfolded(bytes));
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut open: Vec<String> = Vec::new();
    let mut calendars = 0;
    let mut mended = String::with_capacity(text.len() + 1);
    for line in text.lines() {
        let line = line.trim_end();
        if let Some(name) = value_of(line, "BEGIN") {
            calendars += usize::from(open.is_empty());
            open.push(name.to_ascii_uppercase());
            if open.first().is_some_and(|root| root != "VCALENDAR") {
                return Err(malformed("no iCalendar file"));
            }
            if open.len() > DEPTH {
                return Err(malformed("components stand too deep in each other"));
            }
        } else if let Some(name) = value_of(line, "END") {
            if open.pop().is_none_or(|opened| !opened.eq_ignore_ascii_case(name)) {
                return Err(malformed("components end in another order than they began"));
            }
        } else if open.is_empty() && !line.is_empty() {
            return Err(malformed(if calendars == 0 {
                "no iCalendar file"
            } else {
                "something after its end"
            }));
        }
        mended.push_str(&if is_bad_rule(line) { Cow::Borrowed(BAD_RULE) } else { with_quoted_zone(line) });
        mended.push('\n');
    }
    match (open.is_empty(), calendars) {
        (false, _) => Err(malformed("it is truncated")),
        (true, 0) => Err(malformed("no iCalendar file")),
        (true, _) => Ok(mended),
    }
}

fn malformed(why: &str) -> Error {
    Error::Malformed(why.into())
}

/// The value of a line that is nothing but `name:value`.
pub(super) fn value_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (before, value) = line.split_once(':')?;
    before.eq_ignore_ascii_case(name).then(|| value.trim())
}

/// Takes line ends with the blank after them away. In bytes: RFC 5545 lets a line be folded within a character.
fn unfolded(bytes: &[u8]) -> Vec<u8> {
    let mut unfolded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, tail)) = rest.split_first() {
        rest = match rest {
            [b'\r', b'\n', b' ' | b'\t', tail @ ..] | [b'\n', b' ' | b'\t', tail @ ..] => tail,
            _ => {
                unfolded.push(*byte);
                tail
            }
        };
    }
    unfolded
}

/// UTF-8, as the standard wants it; else what older exporters write.
fn decoded(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect())
}

/// Whether it is a rule that is too long, or has a number beyond the limits. calcard cuts such a number to fewer bits (an
/// interval of 86,400 becomes one of 20,864), drops the sign of one that cannot have any, and takes a count of 0 for none
/// at all.
fn is_bad_rule(line: &str) -> bool {
    let Some((name, value)) = line.split_once(':') else { return false };
    let name = name.split(';').next().unwrap_or_default();
    if !name.eq_ignore_ascii_case("RRULE") && !name.eq_ignore_ascii_case("EXRULE") {
        return false;
    }
    if value.len() > LONGEST_RULE {
        return true;
    }
    value.split(';').filter_map(|part| part.split_once('=')).any(|(part, numbers)| {
        let limits = NUMBERS.iter().find(|(name, _, _)| part.trim().eq_ignore_ascii_case(name));
        limits.is_some_and(|(_, least, most)| {
            let numbers = numbers.split(',').map(str::trim).filter(|number| !number.ends_with(['L', 'l']));
            numbers.map(str::parse::<i64>).any(|number| !number.is_ok_and(|n| (*least..=*most).contains(&n)))
        })
    })
}

/// Puts quotes around the name of a zone that needs them and has none, as Exchange leaves them away:
/// `DTSTART;TZID=(UTC+01:00) Amsterdam, Berlin:20261123T100000`.
fn with_quoted_zone(line: &str) -> Cow<'_, str> {
    let is_time = TIMES.iter().any(|name| {
        line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && line.get(name.len()..).is_some_and(|rest| rest.starts_with(';'))
    });
    if !is_time || line.contains('"') {
        return Cow::Borrowed(line);
    }
    let Some((head, value)) = line.rsplit_once(':') else { return Cow::Borrowed(line) };
    let Some(at) = head.to_ascii_uppercase().find(";TZID=") else { return Cow::Borrowed(line) };
    let (before, zone) = head.split_at(at + ";TZID=".len());
    let (zone, after) = zone.find(';').map_or((zone, ""), |end| zone.split_at(end));
    if zone.contains([':', ',']) {
        Cow::Owned(format!("{before}\"{zone}\"{after}:{value}"))
    } else {
        Cow::Borrowed(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_unfolded_even_within_a_character() {
        let folded = b"BEGIN:VCALENDAR\r\nX:a\r\n b\n\tc \xc3\r\n \xa9\r\nEND:VCALENDAR\r\n";
        assert_eq!(lines(folded).unwrap(), "BEGIN:VCALENDAR\nX:abc é\nEND:VCALENDAR\n");
        assert_eq!(
            lines(b"BEGIN:VCALENDAR\nX:caf\xe9\nEND:VCALENDAR").unwrap(),
            "BEGIN:VCALENDAR\nX:café\nEND:VCALENDAR\n"
        );
        let marked = "\u{feff}begin:vcalendar\nend:VCALENDAR\n\n";
        assert!(lines(marked.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_not_whole_is_refused_wherever_it_ends() {
        let whole = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:END:VEVENT\r\nBEGIN:VALARM\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR";
        assert!(lines(whole.as_bytes()).is_ok());
        for end in 0..whole.len() {
            assert!(lines(&whole.as_bytes()[..end]).is_err(), "{end}");
        }
        for text in [
            "",
            "<html>BEGIN:VCALENDAR</html>",
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\nEND:VEVENT",
            "BEGIN:VCALENDAR\nEND:VCALENDAR\n<!-- truncated -->",
            "BEGIN:VEVENT\nEND:VEVENT",
            "END:VCALENDAR",
        ] {
            assert!(lines(text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!("{}{}", "BEGIN:VCALENDAR\n".repeat(9), "END:VCALENDAR\n".repeat(9));
        assert!(lines(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_rule_that_would_be_read_as_another_is_not_read() {
        for (line, is_bad) in [
            ("RRULE:FREQ=DAILY;INTERVAL=2;COUNT=10;BYMONTH=5L", false),
            ("RRULE:FREQ=MONTHLY;BYMONTHDAY=-31,31;BYSETPOS=-1", false),
            ("RRULE;X=Y:FREQ=SECONDLY;INTERVAL=86400", true),
            ("RRULE:FREQ=DAILY;COUNT=0", true),
            ("exrule:freq=daily;interval=0", true),
            ("RRULE:FREQ=DAILY;BYHOUR=9,-9", true),
            ("RRULE:FREQ=MONTHLY;BYMONTHDAY=300", true),
            ("RRULE:FREQ=DAILY;COUNT=ten", true),
            ("SUMMARY:COUNT=0;INTERVAL=0", false),
            (&format!("RRULE:FREQ=DAILY;BYDAY={}MO", "MO,".repeat(325)), false),
            (&format!("RRULE:FREQ=DAILY;BYDAY={}MO", "MO,".repeat(330)), true),
        ] {
            assert_eq!(is_bad_rule(line), is_bad, "{line}");
        }
    }

    #[test]
    fn a_zone_gets_the_quotes_that_it_needs() {
        let cases = [
            (
                "DTSTART;TZID=(UTC+01:00) Amsterdam, Berlin:20261123T100000",
                "DTSTART;TZID=\"(UTC+01:00) Amsterdam, Berlin\":20261123T100000",
            ),
            ("exdate;tzid=A, B;VALUE=DATE-TIME:1,2", "exdate;tzid=\"A, B\";VALUE=DATE-TIME:1,2"),
            (
                "DTSTART;TZID=Europe/Amsterdam:20261123T100000",
                "DTSTART;TZID=Europe/Amsterdam:20261123T100000",
            ),
            ("DTSTART;TZID=\"a:b\":20261123T100000", "DTSTART;TZID=\"a:b\":20261123T100000"),
            ("SUMMARY;TZID=a:b:c", "SUMMARY;TZID=a:b:c"),
            ("DTSTART:20261123T100000Z", "DTSTART:20261123T100000Z"),
        ];
        for (line, mended) in cases {
            assert_eq!(with_quoted_zone(line), mended);
        }
    }
}
