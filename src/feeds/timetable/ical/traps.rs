//! What calendars hold in the wild, and where the crates that read and expand them lead astray: a case each.

use super::super::Error;
use super::super::day::Day;
use super::rules::Budget;
use super::{expand, read};
use chrono_tz::{America, Europe::Amsterdam, Tz};

/// What takes place on `date`, in local time of `zone`: `10:45-12:30 text`. A date before the time is another day's.
fn on_in(zone: Tz, date: &str, text: &str) -> Vec<String> {
    let day = Day { date: date.parse().unwrap(), zone };
    let feed = read::feed(text.as_bytes(), None, zone, Budget::ample())
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let (occurrences, _) = expand::occurrences(&feed, day, Budget::ample()).unwrap();
    let mut shown: Vec<_> = occurrences
        .iter()
        .filter(|it| day.minutes(it.start, it.end).is_some())
        .map(|it| {
            let time = |at: chrono::DateTime<chrono::Utc>| {
                let local = at.with_timezone(&zone);
                if local.date_naive() == day.date {
                    local.format("%H:%M")
                } else {
                    local.format("%m-%d %H:%M")
                }
                .to_string()
            };
            format!("{}-{} {}", time(it.start), time(it.end), it.event.summary)
        })
        .collect();
    shown.sort();
    shown
}

fn on(date: &str, text: &str) -> Vec<String> {
    on_in(Amsterdam, date, text)
}

fn calendar(body: &str) -> String {
    format!("BEGIN:VCALENDAR\nVERSION:2.0\n{body}\nEND:VCALENDAR\n").replace('\n', "\r\n")
}

/// One event with these lines, called E.
fn event(lines: &str) -> String {
    calendar(&format!("BEGIN:VEVENT\nUID:1\nSUMMARY:E\n{lines}\nEND:VEVENT"))
}

/// On which days of November 2026 an event takes place.
fn november(lines: &str) -> Vec<u32> {
    let calendar = event(lines);
    (1..=30).filter(|day| !on(&format!("2026-11-{day:02}"), &calendar).is_empty()).collect()
}

#[test]
fn a_truncated_file_is_refused_at_whatever_byte_it_ends() {
    let whole = event("DTSTART:20261123T094500Z\nDTEND:20261123T113000Z");
    let whole = whole.trim_end();
    for end in 0..whole.len() {
        let error = read::feed(&whole.as_bytes()[..end], None, Amsterdam, Budget::ample()).unwrap_err();
        assert!(matches!(error, Error::Malformed(_)), "{end}");
    }
    assert_eq!(on("2026-11-23", whole), ["10:45-12:30 E"]);
}

#[test]
fn an_event_in_utc_repeats_at_its_time_in_utc_whatever_the_default_zone() {
    let weekly = event("DTSTART:20261019T230000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;BYDAY=MO");
    // Monday in UTC is Tuesday in Amsterdam, in summer and in winter.
    assert_eq!(on("2026-10-20", &weekly), ["01:00-02:00 E"]);
    assert_eq!(on("2026-10-27", &weekly), ["00:00-01:00 E"]);
    assert_eq!(on("2026-11-24", &weekly), ["00:00-01:00 E"]);
    assert!(on("2026-11-23", &weekly).is_empty());
    assert_eq!(on_in(America::New_York, "2026-11-23", &weekly), ["18:00-19:00 E"]);
}

#[test]
fn a_rule_counts_on_the_clock_of_its_event_and_not_in_utc() {
    let weekly =
        event("DTSTART;TZID=Europe/Amsterdam:20260907T003000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;BYDAY=MO");
    for date in ["2026-09-14", "2026-10-19", "2026-10-26", "2026-11-23", "2027-03-29"] {
        assert_eq!(on(date, &weekly), ["00:30-01:30 E"], "{date}");
    }
}

#[test]
fn overrides_belong_to_the_event_of_their_uid_and_others_are_left_alone() {
    let text = |second_uid: &str| {
        calendar(&format!(
            "BEGIN:VEVENT\nUID:a\nSUMMARY:A\nDTSTART:20261102T090000Z\nDTEND:20261102T100000Z\nRRULE:FREQ=WEEKLY\nEND:VEVENT\n\
             BEGIN:VEVENT\n{second_uid}SUMMARY:B\nDTSTART:20261102T090000Z\nDTEND:20261102T100000Z\nRRULE:FREQ=WEEKLY\nEND:VEVENT\n\
             BEGIN:VEVENT\nUID:a\nSUMMARY:moved\nRECURRENCE-ID:20261123T090000Z\nDTSTART:20261123T130000Z\nDTEND:20261123T140000Z\nEND:VEVENT"
        ))
    };
    for second_uid in ["UID:b\n", ""] {
        assert_eq!(on("2026-11-23", &text(second_uid)), ["10:00-11:00 B", "14:00-15:00 moved"]);
        assert_eq!(on("2026-11-30", &text(second_uid)), ["10:00-11:00 A", "10:00-11:00 B"]);
    }
}

#[test]
fn a_time_in_a_gap_is_read_with_the_offset_before_it_and_one_in_a_fold_is_the_first() {
    let single = |start: &str| event(&format!("DTSTART;TZID=Europe/Amsterdam:{start}\nDURATION:PT30M"));
    assert_eq!(on("2026-03-29", &single("20260329T023000")), ["03:30-04:00 E"]);
    let daily = event("DTSTART;TZID=Europe/Amsterdam:20260320T023000\nDURATION:PT30M\nRRULE:FREQ=DAILY");
    assert_eq!(on("2026-03-28", &daily), ["02:30-03:00 E"]);
    assert_eq!(on("2026-03-29", &daily), ["03:30-04:00 E"]);
    assert_eq!(on("2026-03-30", &daily), ["02:30-03:00 E"]);
    assert_eq!(on("2026-10-25", &single("20261025T023000")).len(), 1);
    // An exception for the occurrence that the gap has moved.
    let but = event(
        "DTSTART;TZID=Europe/Amsterdam:20260320T023000\nDURATION:PT30M\nRRULE:FREQ=DAILY\nEXDATE;TZID=Europe/Amsterdam:20260329T023000",
    );
    assert!(on("2026-03-29", &but).is_empty());
}

#[test]
fn rules_without_an_end_cost_what_the_window_holds() {
    let cases = [
        "DTSTART:16010101T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY",
        "DTSTART:19700101T090000Z\nDURATION:PT1H\nRRULE:FREQ=HOURLY;INTERVAL=24",
        "DTSTART:19700105T090000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU",
        "DTSTART:19700101T090000Z\nDURATION:PT1H\nRRULE:FREQ=MINUTELY;INTERVAL=1440",
        "DTSTART:19700101T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=4000000000",
        "DTSTART:16010101T090000Z\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;BYMONTHDAY=1,2,3,4,5,6,7,8,9,10,23",
        "DTSTART:16010101T090000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=23",
    ];
    for lines in cases {
        assert_eq!(on("2026-11-23", &event(lines)), ["10:00-11:00 E"], "{lines}");
    }
    // Too much for a room, and rules that yield nothing ever: an end all the same.
    for rule in
        ["FREQ=SECONDLY", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"]
    {
        let text = event(&format!("DTSTART:20200101T090000Z\nDURATION:PT1H\nRRULE:{rule}"));
        assert!(on("2026-11-23", &text).is_empty(), "{rule}");
    }
}

#[test]
fn what_is_cancelled_or_free_is_not_reserved() {
    let times = "DTSTART:20261123T090000Z\nDTEND:20261123T100000Z";
    for (lines, reserved) in [
        ("STATUS:CONFIRMED", true),
        ("STATUS:TENTATIVE", true),
        ("STATUS:CANCELLED", false),
        ("status:cancelled", false),
        ("TRANSP:OPAQUE", true),
        ("TRANSP:TRANSPARENT", false),
        ("X-MICROSOFT-CDO-BUSYSTATUS:FREE", false),
        ("X-MICROSOFT-CDO-BUSYSTATUS:BUSY", true),
        ("X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE", true),
        ("X-MICROSOFT-CDO-BUSYSTATUS:OOF", true),
        ("TRANSP:OPAQUE\nX-MICROSOFT-CDO-BUSYSTATUS:FREE", false),
    ] {
        assert_eq!(!on("2026-11-23", &event(&format!("{times}\n{lines}"))).is_empty(), reserved, "{lines}");
    }
    let cancelled = calendar(&format!("METHOD:CANCEL\nBEGIN:VEVENT\nUID:1\n{times}\nEND:VEVENT"));
    assert!(on("2026-11-23", &cancelled).is_empty());
    // A single occurrence that is cancelled or free.
    let series = |status: &str| {
        calendar(&format!(
            "BEGIN:VEVENT\nUID:1\nSUMMARY:E\nDTSTART:20261116T090000Z\nDTEND:20261116T100000Z\nRRULE:FREQ=WEEKLY\nEND:VEVENT\n\
             BEGIN:VEVENT\nUID:1\nSUMMARY:E\nRECURRENCE-ID:20261123T090000Z\n{times}\n{status}\nEND:VEVENT"
        ))
    };
    assert!(on("2026-11-23", &series("STATUS:CANCELLED")).is_empty());
    assert!(on("2026-11-23", &series("TRANSP:TRANSPARENT")).is_empty());
    assert_eq!(on("2026-11-30", &series("STATUS:CANCELLED")), ["10:00-11:00 E"]);
}

#[test]
fn whole_days_are_days_of_the_calendar_s_zone() {
    for (lines, days) in [
        ("DTSTART;VALUE=DATE:20261123", vec![23]),
        ("DTSTART:20261123", vec![23]),
        ("DTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261124", vec![23]),
        ("DTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261126", vec![23, 24, 25]),
        ("DTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261123", vec![23]),
        ("DTSTART;VALUE=DATE:20261123\nDURATION:P2D", vec![23, 24]),
        ("DTSTART;VALUE=DATE:20261123\nDURATION:P1W", vec![23, 24, 25, 26, 27, 28, 29]),
        ("DTSTART;VALUE=DATE:20261123\nRRULE:FREQ=DAILY;INTERVAL=2;UNTIL=20261128", vec![23, 25, 27]),
        ("DTSTART;VALUE=DATE:20261123\nRRULE:FREQ=DAILY;COUNT=3", vec![23, 24, 25]),
        // Longer than the days that are asked for.
        ("DTSTART;VALUE=DATE:20260701\nDTEND;VALUE=DATE:20261103", vec![1, 2]),
        ("DTSTART;VALUE=DATE:20250930\nDTEND;VALUE=DATE:20251103\nRRULE:FREQ=YEARLY", vec![1, 2]),
    ] {
        assert_eq!(november(lines), days, "{lines}");
    }
    let day = event("DTSTART;VALUE=DATE:20261025");
    assert_eq!(on("2026-10-25", &day), ["00:00-10-26 00:00 E"]);
}

#[test]
fn exceptions_of_whole_days_may_be_written_as_times() {
    let daily =
        |exdate: &str| november(&format!("DTSTART;VALUE=DATE:20261123\nRRULE:FREQ=DAILY;COUNT=3\n{exdate}"));
    for exdate in [
        "EXDATE;VALUE=DATE:20261124",
        "EXDATE:20261124",
        "EXDATE:20261124T000000",
        "EXDATE:20261124T000000Z",
        "EXDATE:20261123T230000Z",
        "EXDATE;TZID=W. Europe Standard Time:20261124T000000",
        "EXDATE;TZID=\"W. Europe Standard Time\":20261124T000000",
        "EXDATE:20261201T000000,20261124T000000",
    ] {
        assert_eq!(daily(exdate), [23, 25], "{exdate}");
    }
    // The other way round: a date, for an event with times.
    let times = "DTSTART;TZID=Europe/Amsterdam:20261123T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;VALUE=DATE:20261124";
    assert_eq!(november(times), [23, 25]);
    // In another zone, or in UTC: the same instant.
    for exdate in ["EXDATE:20261124T080000Z", "EXDATE;TZID=America/New_York:20261124T030000"] {
        let lines = format!(
            "DTSTART;TZID=Europe/Amsterdam:20261123T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\n{exdate}"
        );
        assert_eq!(november(&lines), [23, 25], "{exdate}");
    }
    // A whole day that is something else instead.
    let moved = calendar(
        "BEGIN:VEVENT\nUID:1\nSUMMARY:E\nDTSTART;VALUE=DATE:20261123\nRRULE:FREQ=DAILY;COUNT=3\nEND:VEVENT\n\
         BEGIN:VEVENT\nUID:1\nSUMMARY:short\nRECURRENCE-ID;TZID=Europe/Amsterdam:20261124T000000\n\
         DTSTART:20261124T090000Z\nDTEND:20261124T100000Z\nEND:VEVENT",
    );
    assert_eq!(on("2026-11-24", &moved), ["10:00-11:00 short"]);
    assert_eq!(on("2026-11-25", &moved).len(), 1);
}

#[test]
fn dates_are_added_and_taken_away() {
    let start = "DTSTART;TZID=Europe/Amsterdam:20261102T090000\nDURATION:PT1H";
    for (lines, days) in [
        ("RDATE;TZID=Europe/Amsterdam:20261105T090000,20261119T130000", vec![2, 5, 19]),
        ("RDATE;VALUE=PERIOD:20261105T090000Z/20261107T090000Z,20261119T130000Z/PT1H", vec![2, 5, 6, 7, 19]),
        ("RRULE:FREQ=WEEKLY;COUNT=3\nRDATE:20261103T080000Z", vec![2, 3, 9, 16]),
        ("RRULE:FREQ=WEEKLY;COUNT=3\nEXDATE:20261102T080000Z", vec![9, 16]),
        (
            "RRULE:FREQ=WEEKLY;COUNT=3\nEXDATE;TZID=Europe/Amsterdam:20261109T090000\nEXDATE:20261116T080000Z",
            vec![2],
        ),
        ("RRULE:FREQ=DAILY;COUNT=8\nEXRULE:FREQ=WEEKLY", vec![3, 4, 5, 6, 7, 8]),
        ("RRULE:FREQ=WEEKLY;UNTIL=20261116T080000Z", vec![2, 9, 16]),
        ("RRULE:FREQ=WEEKLY;UNTIL=20261116T075959Z", vec![2, 9]),
        ("RRULE:FREQ=WEEKLY;UNTIL=20261116", vec![2, 9, 16]),
        ("RRULE:FREQ=WEEKLY;UNTIL=20261116T090000", vec![2, 9, 16]),
        ("RRULE:FREQ=WEEKLY;UNTIL=20250101T000000Z", vec![2]),
        ("RRULE:FREQ=MONTHLY;BYDAY=-1MO", vec![2, 30]),
        ("RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", vec![2, 30]),
        ("RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU", vec![2, 15, 16, 29, 30]),
        ("RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=MO", vec![2, 8, 16, 22, 30]),
        ("RRULE:FREQ=WEEKLY\nRRULE:FREQ=MONTHLY;BYMONTHDAY=5", vec![2, 5, 9, 16, 23, 30]),
        // What cannot be expanded leaves the start.
        ("RRULE:FREQ=WEEKLY;BYMONTHDAY=3", vec![2]),
        ("RRULE:FREQ=DAILY;RSCALE=HEBREW", vec![2]),
        ("RRULE:every day", vec![2]),
        ("RRULE:FREQ=DAILY;INTERVAL=65537", vec![2]),
        ("RRULE:FREQ=DAILY;COUNT=0", vec![2]),
    ] {
        assert_eq!(november(&format!("{start}\n{lines}")), days, "{lines}");
    }
}

#[test]
fn overrides_move_shorten_and_change_what_follows() {
    let text = |lines: &str| {
        calendar(&format!(
            "BEGIN:VEVENT\nUID:1\nSUMMARY:E\nDTSTART;TZID=Europe/Amsterdam:20261102T090000\nDTEND;TZID=Europe/Amsterdam:20261102T100000\n\
             RRULE:FREQ=WEEKLY\nEND:VEVENT\nBEGIN:VEVENT\nUID:1\nSUMMARY:new\n{lines}\nEND:VEVENT"
        ))
    };
    // To another day.
    let moved = text("RECURRENCE-ID:20261123T080000Z\nDTSTART:20261125T080000Z\nDTEND:20261125T090000Z");
    assert!(on("2026-11-23", &moved).is_empty());
    assert_eq!(on("2026-11-25", &moved), ["09:00-10:00 new"]);
    // From out of the days that are asked for, into them.
    let far = text("RECURRENCE-ID:20270823T070000Z\nDTSTART:20261125T080000Z\nDTEND:20261125T090000Z");
    assert_eq!(on("2026-11-25", &far), ["09:00-10:00 new"]);
    // This and what follows: an hour later, and half an hour longer.
    let later = text(
        "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Amsterdam:20261116T090000\n\
         DTSTART;TZID=Europe/Amsterdam:20261116T100000\nDTEND;TZID=Europe/Amsterdam:20261116T113000",
    );
    assert_eq!(on("2026-11-09", &later), ["09:00-10:00 E"]);
    assert_eq!(on("2026-11-16", &later), ["10:00-11:30 new"]);
    assert_eq!(on("2026-11-23", &later), ["10:00-11:30 new"]);
    // Without its event, it is one.
    let orphan = calendar(
        "BEGIN:VEVENT\nUID:1\nSUMMARY:E\nRECURRENCE-ID:20261123T080000Z\nDTSTART:20261123T090000Z\nDURATION:PT1H\nEND:VEVENT",
    );
    assert_eq!(on("2026-11-23", &orphan), ["10:00-11:00 E"]);
    // The newest of two.
    let twice = text(
        "SEQUENCE:2\nRECURRENCE-ID:20261123T080000Z\nDTSTART:20261123T110000Z\nDTEND:20261123T120000Z\nEND:VEVENT\n\
         BEGIN:VEVENT\nUID:1\nSUMMARY:old\nSEQUENCE:1\nRECURRENCE-ID:20261123T080000Z\nDTSTART:20261123T150000Z\nDURATION:PT1H",
    );
    assert_eq!(on("2026-11-23", &twice), ["12:00-13:00 new"]);
}

#[test]
fn several_events_of_one_uid_are_one_only_where_they_are_versions() {
    let two = |first: &str, second: &str| {
        calendar(&format!(
            "BEGIN:VEVENT\nUID:1\nSUMMARY:A\n{first}DTSTART:20261123T080000Z\nDURATION:PT1H\nEND:VEVENT\n\
             BEGIN:VEVENT\nUID:1\nSUMMARY:B\n{second}DTSTART:20261123T100000Z\nDURATION:PT1H\nEND:VEVENT"
        ))
    };
    assert_eq!(on("2026-11-23", &two("", "")), ["09:00-10:00 A", "11:00-12:00 B"]);
    assert_eq!(on("2026-11-23", &two("SEQUENCE:3\n", "SEQUENCE:2\n")), ["09:00-10:00 A"]);
}

#[test]
fn what_does_not_end_after_its_start_takes_no_time() {
    for lines in [
        "DTSTART:20261123T090000Z",
        "DTSTART:20261123T090000Z\nDTEND:20261123T090000Z",
        "DTSTART:20261123T090000Z\nDTEND:20261123T080000Z",
        "DTSTART:20261123T090000Z\nDURATION:-PT1H",
        "DTSTART:20261123T090000Z\nDURATION:PT0S",
        "DTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261122",
        "DTSTART;VALUE=DATE:20261123\nDURATION:-P1D",
    ] {
        assert_eq!(november(lines), Vec::<u32>::new(), "{lines}");
    }
}

#[test]
fn an_event_over_midnight_and_over_the_change_of_the_clock_is_as_long_as_it_is() {
    let night =
        event("DTSTART;TZID=Europe/Amsterdam:20261122T220000\nDTEND;TZID=Europe/Amsterdam:20261123T060000");
    assert_eq!(on("2026-11-22", &night), ["22:00-11-23 06:00 E"]);
    assert_eq!(on("2026-11-23", &night), ["11-22 22:00-06:00 E"]);
    let repeated = event(
        "DTSTART;TZID=Europe/Amsterdam:20261001T220000\nDTEND;TZID=Europe/Amsterdam:20261002T060000\nRRULE:FREQ=DAILY",
    );
    // The same exact length: eight hours, one of which is repeated.
    assert_eq!(on("2026-10-25", &repeated)[0], "10-24 22:00-05:00 E");
    // A nominal day is a day on the clock.
    let day = event("DTSTART;TZID=Europe/Amsterdam:20261024T220000\nDURATION:P1D");
    assert_eq!(on("2026-10-25", &day), ["10-24 22:00-22:00 E"]);
    let hours = event("DTSTART;TZID=Europe/Amsterdam:20261024T220000\nDURATION:PT24H");
    assert_eq!(on("2026-10-25", &hours), ["10-24 22:00-21:00 E"]);
}

#[test]
fn zones_are_found_however_they_are_called() {
    for start in [
        "DTSTART:20261123T090000Z",
        "DTSTART;TZID=Europe/Amsterdam:20261123T100000",
        "DTSTART;TZID=\"Europe/Amsterdam\":20261123T100000",
        "DTSTART;TZID=W. Europe Standard Time:20261123T100000",
        "DTSTART;TZID=\"W. Europe Standard Time\":20261123T100000",
        "DTSTART;TZID=(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna:20261123T100000",
        "DTSTART;TZID=\"(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna\":20261123T100000",
        "DTSTART;TZID=/freeassociation.sourceforge.net/Europe/Amsterdam:20261123T100000",
        "DTSTART;TZID=America/New_York:20261123T040000",
        "DTSTART;TZID=Eastern Standard Time:20261123T040000",
        "DTSTART;TZID=Nobody/Knows:20261123T100000",
        "DTSTART:20261123T100000",
        "DTSTART;VALUE=DATE-TIME;TZID=Europe/Amsterdam:20261123T100000",
    ] {
        assert_eq!(
            on("2026-11-23", &event(&format!("{start}\nDURATION:PT1H"))),
            ["10:00-11:00 E"],
            "{start}"
        );
    }
    let feed = read::feed(
        event("DTSTART;TZID=Nobody/Knows:20261123T100000").as_bytes(),
        None,
        Amsterdam,
        Budget::ample(),
    )
    .unwrap();
    assert_eq!(feed.unknown_zones, 1);
    // Floating times are those of the calendar's own zone, where it names one.
    let floating = |zone: &str| {
        calendar(&format!(
            "X-WR-TIMEZONE:{zone}\nBEGIN:VEVENT\nSUMMARY:E\nDTSTART:20261123T100000\nDURATION:PT1H\nEND:VEVENT"
        ))
    };
    assert_eq!(on("2026-11-23", &floating("Europe/London")), ["11:00-12:00 E"]);
    assert_eq!(on("2026-11-23", &floating("nowhere")), ["10:00-11:00 E"]);
}

#[test]
fn an_event_is_not_what_stands_in_its_alarm_and_a_to_do_is_no_event() {
    let text = calendar(
        "BEGIN:VEVENT\nSUMMARY:E\nDTSTART:20261123T090000Z\nDURATION:PT1H\nBEGIN:VALARM\nTRIGGER:-PT15M\nDURATION:PT5H\n\
         SUMMARY:ring\nSTATUS:CANCELLED\nEND:VALARM\nEND:VEVENT\n\
         BEGIN:VTODO\nSUMMARY:T\nDTSTART:20261123T090000Z\nDURATION:PT1H\nEND:VTODO",
    );
    assert_eq!(on("2026-11-23", &text), ["10:00-11:00 E"]);
}

#[test]
fn one_event_that_cannot_be_read_takes_no_other_along() {
    let good = "BEGIN:VEVENT\nSUMMARY:good\nDTSTART:20261123T090000Z\nDURATION:PT1H\nEND:VEVENT";
    for bad in [
        "DTSTART:20260230T090000Z",
        "DTSTART:soon",
        "SUMMARY:without a start",
        "DTSTART:20261123T090000Z\nDTEND:late",
        "DTSTART:20261123T090000Z\nDURATION:an hour",
    ] {
        let text = calendar(&format!("BEGIN:VEVENT\n{bad}\nEND:VEVENT\n{good}"));
        let feed = read::feed(text.as_bytes(), None, Amsterdam, Budget::ample()).unwrap();
        assert_eq!((feed.events.len(), feed.unread), (1, 1), "{bad}");
        assert_eq!(on("2026-11-23", &text), ["10:00-11:00 good"], "{bad}");
    }
}

#[test]
fn what_is_private_has_a_time_and_no_text() {
    let private = event("CLASS:PRIVATE\nDTSTART:20261123T090000Z\nDURATION:PT1H");
    assert_eq!(on("2026-11-23", &private), ["10:00-11:00 "]);
}

#[test]
fn several_calendars_may_stand_in_one_file_and_say_how_long_they_last() {
    let one = |name: &str, ttl: &str| {
        calendar(&format!(
            "X-PUBLISHED-TTL:{ttl}\nBEGIN:VEVENT\nSUMMARY:{name}\nDTSTART:20261123T090000Z\nDURATION:PT1H\nEND:VEVENT"
        ))
    };
    let both = one("A", "PT20M") + &one("B", "PT1H");
    assert_eq!(on("2026-11-23", &both), ["10:00-11:00 A", "10:00-11:00 B"]);
    let ttl = |text: &str| {
        read::feed(text.as_bytes(), None, Amsterdam, Budget::ample())
            .unwrap()
            .fresh_for
            .map(|it| it.as_secs())
    };
    assert_eq!(ttl(&both), Some(3600));
    assert_eq!(ttl(&calendar("REFRESH-INTERVAL;VALUE=DURATION:P1D")), Some(86_400));
    for ttl_of in ["-PT1H", "soon", ""] {
        assert_eq!(ttl(&one("A", ttl_of)), None, "{ttl_of}");
    }
}

mod damage {
    use super::*;
    use proptest::prelude::*;

    const EXCHANGE: &str = include_str!("../../../../tests/data/timetables/exchange.ics");

    /// Numbers and words that rules, dates and lengths are made of, and what does not belong there.
    fn scrap() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{1,9}",
            "[-+]?[0-9]{1,3}(MO|SU)?",
            "(FREQ=)?(YEARLY|MONTHLY|WEEKLY|DAILY|HOURLY|MINUTELY|SECONDLY);?",
            "(;BY(DAY|MONTHDAY|YEARDAY|WEEKNO|SETPOS|HOUR|MONTH)=|;COUNT=|;INTERVAL=|;UNTIL=)[-0-9,MOTU]{0,8}",
            "(99991231|00000101|20261123)T?(235960|240000|020000)?Z?",
            "-?P[0-9]{0,9}[WDTHMS]{0,3}",
            "[:;,\"=\\\\]",
            "\\PC{0,6}",
        ]
    }

    proptest! {
        // Six thousand have been tried; these are for what changes.
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn t2_no_damage_makes_a_calendar_panic_or_go_on_for_ever(
            scraps in prop::collection::vec((0usize..4000, 0usize..12, scrap()), 1..6)
        ) {
            let mut text = EXCHANGE.to_owned();
            for (at, length, scrap) in scraps {
                let at = at % text.len();
                let end = (at + length).min(text.len());
                if text.is_char_boundary(at) && text.is_char_boundary(end) {
                    text.replace_range(at..end, &scrap);
                }
            }
            if let Ok(feed) = read::feed(text.as_bytes(), None, Amsterdam, Budget::ample()) {
                let day = Day { date: "2026-11-23".parse().unwrap(), zone: Amsterdam };
                let (found, _) = expand::occurrences(&feed, day, Budget::ample()).unwrap();
                for it in found {
                    prop_assert!(it.start < it.end && it.start < day.horizon() && it.end > day.start());
                }
            }
        }
    }
}
