//! The old page's data, end to end: a demo campus, a real calendar over HTTP, and what the page would draw of both.
//!
//! It counts `wf`, `lf` and `o` as free, and takes a chain of events with
//! gaps of less than 15 minutes for one reservation.

use crate::common::{Daemon, Request, percent, states};
use crate::server::{Answer, Server};
use serde_json::Value;
use std::collections::BTreeMap;

const CAMPUS: &str = include_str!("../../setups/demo.toml");

/// Calendars of rooms as a university publishes them: the same every day, so that the day of the test does not matter.
const ADA: &[Event] = &[
    // Out of order, as feeds are; two lectures with ten minutes between them.
    Event { from: "124000", to: "133000", rest: "SUMMARY:NWI-IPC002 Calculus\\, tutorial" },
    Event { from: "104500", to: "123000", rest: "SUMMARY:NWI-IPC002 Calculus" },
    // Just as much as parts two reservations.
    Event { from: "134500", to: "153000", rest: "SUMMARY:NWI-IBC001 François: <i>Logic</i> & sets" },
    Event { from: "160000", to: "170000", rest: "SUMMARY:Cancelled\r\nSTATUS:CANCELLED" },
    Event { from: "163000", to: "170000", rest: "SUMMARY:Only a note\r\nTRANSP:TRANSPARENT" },
];
const CURIE: &[Event] = &[Event { from: "234500", to: "003000", rest: "SUMMARY:Night of the proofs" }];

struct Event {
    from: &'static str,
    to: &'static str,
    rest: &'static str,
}

fn calendar(events: &[Event]) -> Answer {
    let mut text = String::from("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Timetables//EN\r\n");
    for (uid, Event { from, to, rest }) in events.iter().enumerate() {
        let end = if to < from { "20200107" } else { "20200106" };
        text.push_str(&format!(
            "BEGIN:VEVENT\r\nUID:{uid}@timetables.example\r\nDTSTART;TZID=Europe/Amsterdam:20200106T{from}\r\n\
             DTEND;TZID=Europe/Amsterdam:{end}T{to}\r\nRRULE:FREQ=DAILY\r\n{rest}\r\nEND:VEVENT\r\n"
        ));
    }
    Answer::Document(format!("{text}END:VCALENDAR\r\n").into_bytes())
}

/// The page, without its pixels.
struct Page {
    token: Value,
    asked: u64,
    /// By room: its name, its tags and its PCs are in the roomMap; here are the PCs.
    rooms: BTreeMap<String, Vec<String>>,
    states: BTreeMap<String, String>,
    schedule: Value,
}

impl Page {
    fn open() -> Page {
        Page {
            token: Value::Null,
            asked: 0,
            rooms: BTreeMap::new(),
            states: BTreeMap::new(),
            schedule: Value::Null,
        }
    }

    /// One request by JSONP, as jQuery 1.7.1 sends it.
    fn poll(&mut self, daemon: &Daemon, messages: &str) {
        let m = percent(format!("[{}{messages}]", self.token));
        self.asked += 1;
        let callback = format!("jQuery17109_{}", self.asked);
        let response = daemon.ask(&Request::get(&format!("/?c={callback}&m={m}&_={}", self.asked)));
        assert_eq!(response.status, 200, "the page freezes at anything else");
        let reply = response.jsonp(&callback);
        assert!(self.token.is_null() || self.token == reply[0], "the page alerts at another token");
        self.token = reply[0].clone();
        for message in reply[1].as_array().unwrap() {
            match message["type"].as_str().unwrap() {
                "roomMap" => self.take_rooms(&message["roomMap"]),
                "schedule" => self.schedule = message["schedule"].clone(),
                "occupation" => self.states = states(&message["occupation"]),
                "occupation_update" => self.states.append(&mut states(&message["update"])),
                _ => {}
            }
        }
        let drawn: Vec<&String> = self.rooms.values().flatten().collect();
        assert!(self.states.keys().all(|pc| drawn.contains(&pc)), "the page throws at a PC without a room");
    }

    fn take_rooms(&mut self, rooms: &Value) {
        let pcs = |room: &Value| {
            let list = room.as_array().unwrap().iter().find_map(Value::as_array).unwrap();
            list.iter().map(|pc| pc.as_str().unwrap().to_owned()).collect()
        };
        self.rooms = rooms.as_object().unwrap().iter().map(|(key, room)| (key.clone(), pcs(room))).collect();
    }

    /// How many seats it would count as free in a room.
    fn free(&self, room: &str) -> usize {
        let is_free =
            |pc: &&String| matches!(self.states.get(*pc).map(String::as_str), Some("wf" | "lf" | "o"));
        self.rooms.get(room).map_or(0, |pcs| pcs.iter().filter(is_free).count())
    }

    /// What it would draw for a room at this hour: from when until when it is reserved, and by what.
    fn reservation(&self, room: &str, hour: u64, minute: u64) -> Option<String> {
        let now = hour * 60 + minute;
        let minutes = |time: &Value| time[0].as_u64().unwrap() * 60 + time[1].as_u64().unwrap();
        let mut chains: Vec<(u64, u64, Vec<&str>)> = Vec::new();
        for event in self.schedule[room].as_array()? {
            let (from, to, text) = (minutes(&event[0]), minutes(&event[1]), event[2].as_str().unwrap());
            match chains.last_mut() {
                Some((_, until, texts)) if from < *until + 15 => {
                    *until = to.max(*until);
                    texts.push(text);
                }
                _ => chains.push((from, to, vec![text])),
            }
        }
        let clock = |minutes: u64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let (from, until, texts) =
            chains.into_iter().find(|(from, until, _)| (*from..*until).contains(&now))?;
        Some(format!("{}-{} {}", clock(from), clock(until), texts.join(" / ")))
    }
}

#[test]
fn the_old_page_draws_what_a_calendar_reserves_on_a_demo_campus() {
    let server = Server::new(&[("/rooms/ada.ics", calendar(ADA)), ("/rooms/curie.ics", calendar(CURIE))]);
    let feed = format!(
        "[schedule]\nevery = '150ms'\nretry = '150ms'\n[[timetable]]\nkind = 'ical'\nrooms = ['ada', 'curie']\n\
         url = '{}'\ncut = '^(NWI-)?[A-Z0-9]+ '\n",
        server.url("/rooms/{room}.ics")
    );
    let daemon = Daemon::with_setup(&format!("{CAMPUS}\n{feed}"), &[]);
    for (pc, state) in
        [("adapc01", "wf"), ("adapc02", "lu"), ("adapc03", "o"), ("sci101pc04", "lf"), ("curiepc01", "wx")]
    {
        daemon.set(pc, state);
    }

    let mut page = Page::open();
    let first = r#",{"type":"set_msgFilter","occupation":["science"],"roomMap":["science"],"schedule":null},
        {"type":"get_roomMap"},{"type":"get_schedule"},{"type":"get_occupation"}"#;
    page.poll(&daemon, first);
    // The feed may not have been read yet: the page hears of it as of any other news.
    while page.schedule["ada"].is_null() || page.schedule["curie"].is_null() {
        page.poll(&daemon, "");
    }
    assert_eq!((page.free("ada"), page.free("curie"), page.free("lib0")), (3, 0, 0));

    let calculus = Some("10:45-13:30 Calculus / Calculus, tutorial".to_owned());
    assert_eq!(page.reservation("ada", 10, 44), None);
    for (hour, minute) in [(10, 45), (12, 29), (12, 35), (12, 40), (13, 29)] {
        assert_eq!(page.reservation("ada", hour, minute), calculus, "{hour}:{minute}");
    }
    assert_eq!(page.reservation("ada", 13, 30), None, "15 minutes part two reservations");
    let logic = page.reservation("ada", 13, 45).unwrap();
    // The page inserts it as raw HTML, so that what could be a tag has come as what only looks like one.
    assert_eq!(logic, "13:45-15:30 François: \u{2039}i\u{203a}Logic\u{2039}/i\u{203a} & sets");
    assert_eq!(page.reservation("ada", 16, 45), None, "what is cancelled or only a note reserves nothing");
    // An event over midnight is in both days, cut to each.
    assert_eq!(page.reservation("curie", 0, 29).as_deref(), Some("00:00-00:30 Night of the proofs"));
    assert_eq!(page.reservation("curie", 23, 50).as_deref(), Some("23:45-23:59 Night of the proofs"));
    assert_eq!(page.reservation("hopper", 12, 0), None);

    // A login, and a lecture that is moved: both arrive while it polls.
    daemon.set("adapc01", "wu");
    server
        .answer("/rooms/ada.ics", calendar(&[Event { from: "090000", to: "100000", rest: "SUMMARY:Logic" }]));
    while page.free("ada") != 2 || page.reservation("ada", 9, 30).is_none() {
        page.poll(&daemon, "");
    }
    assert_eq!(page.reservation("ada", 9, 30).as_deref(), Some("09:00-10:00 Logic"));
    assert_eq!(page.reservation("ada", 12, 0), None);
}
