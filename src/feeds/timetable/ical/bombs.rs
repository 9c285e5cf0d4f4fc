//! Calendars that are small and would take all time or memory there is: each comes to an end, and says so. And large
//! ones that are nothing but large.

use super::super::Error;
use super::super::day::Day;
use super::read::{self, Feed};
use super::rules::Budget;
use super::{expand, rules};
use chrono_tz::Europe::Amsterdam;

const TIMES: &str = "DTSTART:20261123T090000Z\nDURATION:PT1H\n";

fn calendar(body: &str) -> String {
    format!("BEGIN:VCALENDAR\n{body}END:VCALENDAR\n")
}

fn event(uid: usize, lines: &str) -> String {
    format!("BEGIN:VEVENT\nUID:{uid}\n{lines}END:VEVENT\n")
}

fn feed(body: &str) -> Feed {
    read::feed(calendar(body).as_bytes(), None, Amsterdam, Budget::ample()).unwrap()
}

/// How many occurrences there are in the week from the 23rd of November on, and how many rules were left out.
fn occurrences(feed: &Feed, budget: Budget) -> Result<(usize, usize), Error> {
    let day = Day { date: "2026-11-23".parse().unwrap(), zone: Amsterdam };
    expand::occurrences(feed, day, budget).map(|(found, bad)| (found.len(), bad))
}

#[test]
fn t2_a_rule_that_yields_more_often_a_day_than_a_room_can_be_reserved_is_left_out() {
    let numbers = |count: u8| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let hours = numbers(24);
    let quarters = format!("BYHOUR={hours};BYMINUTE=0,15,30,45");
    for (rule, expected) in [
        (format!("FREQ=DAILY;COUNT=96;{quarters}"), (96, 0)),
        // The same number again is no other time.
        (format!("FREQ=DAILY;COUNT=96;{quarters},0,15,30,45"), (96, 0)),
        (format!("FREQ=DAILY;COUNT=96;{quarters},50"), (1, 1)),
        // What a finer rule names only chooses from its times.
        (format!("FREQ=HOURLY;COUNT=96;{quarters}"), (96, 0)),
        (format!("FREQ=MINUTELY;COUNT=96;{quarters},50"), (96, 0)),
        // Every second of a year, which are made before the first is told: gigabytes.
        (
            format!(
                "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR={hours};BYMINUTE={0};BYSECOND={0}",
                numbers(60)
            ),
            (1, 1),
        ),
    ] {
        let feed = feed(&event(1, &format!("{TIMES}RRULE:{rule}\n")));
        assert_eq!(occurrences(&feed, Budget::ample()).unwrap(), expected, "{rule}");
    }
}

#[test]
fn t2_what_takes_too_long_is_given_up_wherever_it_is() {
    let rule = "RRULE:FREQ=MINUTELY\n";
    let zone = "BEGIN:VTIMEZONE\nTZID:Mine\nBEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\n\
        TZOFFSETTO:+0100\nRRULE:FREQ=YEARLY\nEND:STANDARD\nEND:VTIMEZONE\n";
    for body in [event(1, TIMES), zone.to_owned()] {
        let read = read::feed(calendar(&body).as_bytes(), None, Amsterdam, Budget::spent());
        assert_eq!(read.err(), Some(Error::TooSlow), "{body}");
    }
    let feed = feed(&event(1, &format!("{TIMES}{rule}")));
    let event = &feed.events[0];
    let start = event.start.local();
    let window = start..=start + chrono::TimeDelta::days(8);
    let expanded = rules::times(&event.rules[0], start, None, &window, Budget::spent());
    assert_eq!(expanded, Err(rules::BadRule::TooLate));
    assert_eq!(occurrences(&feed, Budget::spent()), Err(Error::TooSlow));
}

#[test]
fn t2_the_rules_of_one_event_are_counted() {
    let daily = event(1, &format!("{TIMES}{}", "RRULE:FREQ=DAILY\n".repeat(40)));
    let feed = feed(&daily);
    assert_eq!((feed.events[0].rules.len(), feed.events[0].bad_rules), (32, 8));
    assert_eq!(occurrences(&feed, Budget::ample()).unwrap(), (8, 8));
}

#[test]
fn t2_there_are_only_so_many_occurrences_whoever_has_them() {
    // Of 11,520 minutes each.
    let minutely = |events: usize| -> String {
        (0..events)
            .map(|uid| {
                event(uid, "DTSTART:20261122T230000Z\nDURATION:PT1M\nRRULE:FREQ=MINUTELY;COUNT=11520\n")
            })
            .collect()
    };
    assert!(occurrences(&feed(&minutely(43)), Budget::ample()).is_ok());
    assert_eq!(occurrences(&feed(&minutely(44)), Budget::ample()), Err(Error::TooMany));
}

#[test]
fn t2_an_event_with_more_lines_or_dates_than_anybody_needs_is_left_out() {
    for lines in ["SEQUENCE:1\n".repeat(10_000), format!("EXDATE:{}20261124\n", "20261124,".repeat(10_000))] {
        let feed = feed(&(event(1, &format!("{TIMES}{lines}")) + &event(2, TIMES)));
        assert_eq!((feed.events.len(), feed.unread), (1, 1), "{lines:.10}");
    }
}

#[test]
fn t2_a_zone_that_changes_all_the_time_is_none() {
    let zone = |parts: usize| {
        let part = "BEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\n\
            RRULE:FREQ=DAILY;COUNT=999\nEND:STANDARD\n";
        format!("BEGIN:VTIMEZONE\nTZID:Mine\n{}END:VTIMEZONE\n", part.repeat(parts))
    };
    let mine = event(1, "DTSTART;TZID=Mine:20261123T090000\nDURATION:PT1H\n");
    for (parts, unknown) in [(3, 0), (4, 1), (1_500, 1)] {
        assert_eq!(feed(&(zone(parts) + &mine)).unknown_zones, unknown, "{parts}");
    }
    // Zones that are defined and never used are not many.
    let zones: String = (0..150).map(|n| zone(1).replace("Mine", &format!("Z{n}"))).collect();
    let last = |n: usize| event(1, &format!("DTSTART;TZID=Z{n}:20261123T090000\nDURATION:PT1H\n"));
    for (n, unknown) in [(99, 0), (100, 1)] {
        assert_eq!(feed(&(zones.clone() + &last(n))).unknown_zones, unknown, "{n}");
    }
}

#[test]
fn t2_no_more_of_a_location_is_searched_than_hundreds_of_rooms_have() {
    let long = event(1, &format!("{TIMES}LOCATION:{}\n", "é".repeat(100_000)));
    assert_eq!(feed(&long).events[0].location.len(), 16 * 1024);
}

#[test]
fn t2_ten_megabytes_of_lectures_are_read_within_the_budget() {
    let mut body = String::new();
    let mut number = 0;
    while body.len() < 10_000_000 {
        number += 1;
        let rule = if number % 2 == 0 { "RRULE:FREQ=WEEKLY\n" } else { "" };
        body.push_str(&format!(
            "BEGIN:VEVENT\nUID:{number}\nSUMMARY:Lecture {number}\nDESCRIPTION:{}\nLOCATION:Room {}\n\
             DTSTART;TZID=Europe/Amsterdam:2026{:02}{:02}T090000\nDTEND;TZID=Europe/Amsterdam:2026{:02}{:02}T104500\n{rule}END:VEVENT\n",
            "x".repeat(150),
            number % 300,
            number % 10 + 1, number % 28 + 1, number % 10 + 1, number % 28 + 1,
        ));
    }
    let feed = feed(&body);
    assert_eq!(feed.events.len(), number);
    let (found, bad) = occurrences(&feed, Budget::ample()).unwrap();
    // Of every weekly one there is one a week, and eight days hold one weekday twice.
    assert!(found >= number / 2 && bad == 0, "{found} of {number}");
}
