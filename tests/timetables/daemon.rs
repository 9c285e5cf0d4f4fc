//! From a feed to a channel: the real daemon, real sockets, real files.

use crate::common::{Channel, Daemon, Request, everything, one, only, types, version};
use crate::server::{Answer, Server};
use chrono::{Duration, Utc};
use serde_json::{Value, json};

/// A setup with one room that has a timetable, pulled all the time.
fn setup(timetables: &str) -> String {
    format!(
        "[schedule]\nevery = '150ms'\nretry = '150ms'\n\
         {timetables}\n[[room]]\nkey = 'lab1'\nname = 'First laboratory'\ntags = ['labs']\n\
         [[rule]]\npattern = '^(.+?)pc'\nroom = '$1'\n"
    )
}

/// A calendar of one event that takes all of today, whichever day the test is run on and over midnight.
fn all_day(summary: &str) -> Answer {
    let day = |days: i64| (Utc::now() + Duration::days(days)).format("%Y%m%dT%H%M%SZ");
    let (start, end) = (day(-3), day(4));
    let text = format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:{summary}\r\nLOCATION:First laboratory\r\n\
         DTSTART:{start}\r\nDTEND:{end}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    );
    Answer::Document(text.into_bytes())
}

fn reserved(text: &str) -> Value {
    json!({ "lab1": [[[0, 0], [23, 59], text]] })
}

/// A channel that hears of reservations alone, with what is reserved now.
fn listener(daemon: &Daemon) -> (Channel, Value) {
    let mut channel = Channel::new(daemon);
    let filter = json!({"type": "set_msgFilter", "schedule": null});
    let messages = channel.ask(&json!([filter, {"type": "get_schedule"}]));
    let schedule = one(&messages, "schedule").clone();
    (channel, schedule)
}

/// Polls until the schedule is this one; answers the version under which it is.
fn until(channel: &mut Channel, mut now: Value, wanted: &Value) -> u64 {
    while now["schedule"] != *wanted {
        let messages = channel.poll();
        if !messages.is_empty() {
            now = only(&messages, "schedule").clone();
        }
    }
    version(&now)
}

#[test]
fn a_channel_is_told_what_a_calendar_says_and_when_it_says_something_else() {
    let server = Server::new(&[("/hunter2/all.ics", all_day("Calculus"))]);
    let timetable = format!("[[timetable]]\nkind = 'ical'\nurl = '{}'\n", server.url("/hunter2/all.ics"));
    let mut daemon = Daemon::with_setup(&setup(&timetable), &["log.level=debug"]);
    let (mut channel, now) = listener(&daemon);
    let first = until(&mut channel, now, &reserved("Calculus"));

    // The same again, many times, is no change: the next that is told has the next version.
    for _ in 0..3 {
        server.wait();
    }
    channel.send(&json!([]));
    server.answer("/hunter2/all.ics", all_day("Logic"));
    let changed = channel.receive();
    assert_eq!(only(&changed, "schedule")["schedule"], reserved("Logic"));
    assert_eq!(version(only(&changed, "schedule")), first + 1);

    // t1: what was known stays while the server is down, and is told again when it is back.
    for down in [Answer::Status(500, vec![]), Answer::CutShort(b"BEGIN:VCALENDAR\r\n".to_vec())] {
        server.answer("/hunter2/all.ics", down);
        let before = server.asked().len();
        while server.asked().len() < before + 3 {
            server.wait();
        }
        let (_, still) = listener(&daemon);
        assert_eq!((&still["schedule"], version(&still)), (&reserved("Logic"), first + 1));
    }
    channel.send(&json!([]));
    server.answer("/hunter2/all.ics", Answer::Document(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n".to_vec()));
    let emptied = channel.receive();
    assert_eq!((&only(&emptied, "schedule")["schedule"], version(&emptied[0])), (&json!({}), first + 2));

    // A server that says nothing keeps nobody from pushing, and the daemon not from ending.
    server.answer("/hunter2/all.ics", Answer::Silence);
    let before = server.asked().len();
    while server.asked().len() <= before {
        server.wait();
    }
    daemon.set("lab1pc01", "lu");
    assert_eq!(daemon.terminate().code(), Some(0));
    let log = daemon.log();
    assert!(log.contains("timetable not up to date") && log.contains("timetable up to date again"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_room_map_is_followed_by_the_schedule_that_goes_with_it() {
    let server = Server::new(&[("/all.ics", all_day("Calculus"))]);
    let timetable = format!("[[timetable]]\nkind = 'ical'\nurl = '{}'\n", server.url("/all.ics"));
    let daemon = Daemon::with_setup(&setup(&timetable), &[]);
    let (mut first, now) = listener(&daemon);
    until(&mut first, now, &reserved("Calculus"));

    let mut channel = Channel::new(&daemon);
    channel.ask(&json!([everything(), {"type": "get_tag_names"}]));
    channel.send(&json!([]));
    daemon.set("lab1pc01", "lu");
    let messages = channel.receive();
    assert_eq!(types(&messages), ["roomMap", "schedule", "occupation_update"]);
    assert_eq!(one(&messages, "schedule")["schedule"], reserved("Calculus"));
}

#[test]
fn a_file_is_watched_and_hours_count_from_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("reservations.csv");
    let written = |text: &str| {
        let day = |days: i64| (Utc::now() + Duration::days(days)).format("%Y-%m-%dT%H:%M:%SZ");
        let line =
            if text.is_empty() { String::new() } else { format!("lab1,{},{},{text}\n", day(-3), day(4)) };
        // At once, as good editors do.
        let new = directory.path().join("new");
        std::fs::write(&new, format!("room,start,end,text\n{line}")).unwrap();
        std::fs::rename(new, &file).unwrap();
    };
    let timetable = format!("[[timetable]]\nkind = 'file'\nfile = '{}'\n", file.display());
    let daemon = Daemon::with_setup(&setup(&timetable), &[]);
    let (mut channel, now) = listener(&daemon);
    assert_eq!(now["schedule"], json!({}), "a file that is not there yet");
    for text in ["Workshop", "Exam"] {
        written(text);
        let (_, now) = listener(&daemon);
        until(&mut channel, now, &reserved(text));
    }
    written("");
    let (_, now) = listener(&daemon);
    until(&mut channel, now, &json!({}));
}

#[test]
fn closures_are_shown_without_any_timetable_and_in_rooms_that_appear() {
    let closed = "[[closure]]\nfrom = '2020-01-01'\nuntil = '2999-12-31'\ntext = 'Closed for good'\n";
    let daemon = Daemon::with_setup(&setup(closed), &[]);
    let (mut channel, now) = listener(&daemon);
    until(&mut channel, now, &reserved("Closed for good"));
    channel.send(&json!([]));
    daemon.set("attic7pc01", "lu");
    let all = json!([[[0, 0], [23, 59], "Closed for good"]]);
    assert_eq!(
        only(&channel.receive(), "schedule")["schedule"],
        json!({ "lab1": all.clone(), "attic7": all })
    );
}

#[test]
fn the_old_page_gets_its_reservations_in_its_callback() {
    let closed = "[[closure]]\nfrom = '2020-01-01'\nuntil = '2999-12-31'\ntext = 'Shut & bolted'\n";
    let daemon = Daemon::with_setup(&setup(closed), &[]);
    let (mut channel, now) = listener(&daemon);
    until(&mut channel, now, &reserved("Shut & bolted"));
    let m = crate::common::percent(
        "[null,{\"type\":\"set_msgFilter\",\"schedule\":null},{\"type\":\"get_schedule\"}]",
    );
    let response = daemon.ask(&Request::get(&format!("/?c=jQuery17_1&m={m}&_=1")));
    let reply = response.jsonp("jQuery17_1");
    let schedule = reply[1].as_array().unwrap().iter().find(|message| message["type"] == "schedule").unwrap();
    assert_eq!(schedule["schedule"], reserved("Shut & bolted"));
}
