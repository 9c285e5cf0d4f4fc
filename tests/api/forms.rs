//! A room as a calendar, a badge and a line, as the programs read them that they are for.

use super::{get, ok};
use crate::common::{Daemon, GUARD, Request};
use calcard::icalendar::{ICalendar, ICalendarComponent, ICalendarProperty};
use std::time::Instant;

/// A name with all that a calendar escapes, and letters of several bytes.
const NAME: &str = "B1.07, \\\"blue\\\"; C:\\\\lab – \u{645}\u{62e}\u{62a}\u{628}\u{631}";

/// The same, as people see it.
const SHOWN: &str = "B1.07, \"blue\"; C:\\lab – \u{645}\u{62e}\u{62a}\u{628}\u{631}";

/// Longer than a line of a calendar may be.
const EVENT: &str =
    "Théorie des graphes, partie 2; «examen» – réservé à tous les étudiants de la faculté \u{1f393}";

/// A room that is reserved all day, and one that is not.
fn daemon() -> Daemon {
    let mut daemon = Daemon::with_setup("", &[]);
    let file = daemon.dir().join("reservations.csv");
    let text = format!("room,start,end,text\nblue,2000-01-01 00:00,2999-01-01 00:00,\"{EVENT}\"\n");
    std::fs::write(&file, text).unwrap();
    daemon.write_setup(&format!(
        "timezone = 'Europe/Amsterdam'\n[[room]]\nkey = 'blue'\nname = \"{NAME}\"\n[[room]]\nkey = 'red.txt'\n\
         [[room]]\nkey = 'red'\nname = 'Red & \"co\"'\n[[timetable]]\nkind = 'file'\nfile = '{}'\n\
         [[rule]]\npattern = '^(.+?)pc'\nroom = '$1'\n",
        file.display()
    ));
    daemon.restart();
    daemon.set("redpc1", "lf");
    let until = Instant::now() + GUARD;
    while get(&daemon, "/api/v1/schedule").json()["schedule"]["blue"].is_null() {
        assert!(Instant::now() < until, "no reservations:\n{}", daemon.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    daemon
}

fn calendar(daemon: &Daemon, key: &str) -> (String, ICalendar) {
    let response = ok(daemon, &format!("/api/v1/rooms/{key}.ics"));
    assert_eq!(response.header("Content-Type"), Some("text/calendar; charset=utf-8"));
    let text = response.text().to_owned();
    let read = ICalendar::parse(&text).unwrap_or_else(|_| panic!("{text}"));
    (text, read)
}

/// The text that a component has under a name.
fn text_of<'a>(component: &'a ICalendarComponent, name: &ICalendarProperty) -> &'a str {
    let entry = component.property(name).unwrap_or_else(|| panic!("{name:?} in {component:?}"));
    entry.values.first().and_then(|value| value.as_text()).unwrap()
}

/// When something of a component is, in seconds since 1970.
fn time_of(component: &ICalendarComponent, name: &ICalendarProperty) -> i64 {
    let entry = component.property(name).unwrap_or_else(|| panic!("{name:?} in {component:?}"));
    let time = entry.values.first().and_then(|value| value.as_partial_date_time()).unwrap();
    time.to_date_time_with_tz(calcard::common::timezone::Tz::UTC).unwrap().timestamp()
}

/// How long a day of the zone is, in seconds: 23 to 25 hours.
fn is_a_day(component: &ICalendarComponent) -> bool {
    let length =
        time_of(component, &ICalendarProperty::Dtend) - time_of(component, &ICalendarProperty::Dtstart);
    (23 * 3600..=25 * 3600).contains(&length)
}

#[test]
fn a_calendar_is_read_by_who_knows_the_standard_alone() {
    let daemon = daemon();
    let (text, read) = calendar(&daemon, "blue");
    for line in text.split_inclusive('\n') {
        assert!(line.ends_with("\r\n") && line.len() <= 75 + 2, "{line:?}");
        assert!(!line.trim_end_matches("\r\n").contains(char::is_control), "{line:?}");
    }
    let whole = &read.components[0];
    assert_eq!(text_of(whole, &ICalendarProperty::Version), "2.0");
    assert_eq!(text_of(whole, &ICalendarProperty::Name), SHOWN);
    let event = &read.components[1];
    assert_eq!(read.components.len(), 2);
    assert_eq!(text_of(event, &ICalendarProperty::Summary), EVENT);
    assert_eq!(text_of(event, &ICalendarProperty::Location), SHOWN);
    assert!(is_a_day(event) && !text_of(event, &ICalendarProperty::Uid).is_empty());
    assert_eq!(
        time_of(event, &ICalendarProperty::Dtstamp),
        time_of(event, &ICalendarProperty::Dtstart),
        "it is the same until something changes"
    );
}

#[test]
fn a_day_without_reservations_is_a_calendar_too() {
    let daemon = daemon();
    let (_, read) = calendar(&daemon, "red");
    assert_eq!(read.components.len(), 2, "a calendar has a component");
    let free = &read.components[1];
    assert_eq!(free.component_type.as_str(), "VFREEBUSY");
    assert!(is_a_day(free) && free.property(&ICalendarProperty::Freebusy).is_none());
    assert!(!text_of(free, &ICalendarProperty::Uid).is_empty());
}

#[test]
fn a_form_is_of_the_room_whose_whole_key_it_is_before_that_of_another() {
    let daemon = daemon();
    assert_eq!(ok(&daemon, "/api/v1/rooms/red.txt").json()["key"], "red.txt");
    assert_eq!(
        ok(&daemon, "/api/v1/rooms/red.txt.txt").text(),
        "red.txt: 0 of 0 free (0 Windows, 0 Linux, 0 other)\n"
    );
    assert_eq!(ok(&daemon, "/api/v1/rooms/blue.txt").text().lines().count(), 1);
}

#[test]
fn a_badge_is_shown_by_every_page_and_asks_for_nothing() {
    let daemon = daemon();
    let badge = ok(&daemon, "/api/v1/rooms/red.svg");
    assert_eq!(badge.header("Content-Type"), Some("image/svg+xml"));
    assert_eq!(badge.header("Cross-Origin-Resource-Policy"), Some("cross-origin"));
    assert!(badge.text().contains("aria-label=\"Red &amp; &quot;co&quot;: 1 free\""), "{badge:?}");
    for text in ["href", "url(", "<script", " id=", "style="] {
        assert!(!badge.text().contains(text), "{text}");
    }
    let seen = daemon
        .ask(&Request::get("/api/v1/rooms/red.svg").header("If-None-Match", badge.header("ETag").unwrap()));
    assert_eq!((seen.status, seen.header("Cross-Origin-Resource-Policy")), (304, Some("cross-origin")));
}

#[test]
fn pages_of_other_origins_may_read_every_form_and_its_tag() {
    let daemon = daemon();
    for form in ["", ".txt", ".ics", ".svg"] {
        let path = format!("/api/v1/rooms/red{form}");
        let path = if form == ".txt" { "/api/v1/rooms/blue.txt" } else { &path };
        let response = daemon.ask(&Request::get(path).header("Origin", "https://page.example"));
        assert_eq!(response.header("Access-Control-Allow-Origin"), Some("*"), "{path}");
        let exposed = response.header("Access-Control-Expose-Headers").unwrap();
        assert!(exposed.split(", ").any(|name| name == "ETag"), "{path}: {exposed}");
        assert_eq!(response.header("Access-Control-Allow-Credentials"), None, "{path}");
    }
}
