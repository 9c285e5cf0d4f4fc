//! Each provider against a server that replays what the real ones send, through `tkbd schedule`.

use crate::common::run_to_end;
use crate::server::{Answer, Server, data, gzipped};
use serde_json::{Value, json};

const ROOMS: &str = "timezone = 'Europe/Amsterdam'\n\
    [[room]]\nkey = 'hg075'\nname = 'HG00.075'\n[[room]]\nkey = 'hg075a'\nname = 'HG00.075A'\n\
    [[room]]\nkey = 'hgbib'\nname = 'Bibliotheek'\n[[room]]\nkey = 'kd1'\nname = 'KD1'\n[[room]]\nkey = 'kd10'\nname = 'KD10'\n";

const CODE: &str = "cut = '^(NWI-)?[A-Z]+[0-9]+ '\n";

/// What `tkbd schedule` prints of that Monday, as room → `10:45-12:30 text`; everything must be had.
fn monday(timetables: &str) -> Value {
    let (code, out, err) = schedule(timetables);
    assert_eq!(code, Some(0), "{out}{err}");
    let message: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(message["type"], "schedule");
    let rooms = message["schedule"].as_object().unwrap();
    let shown = |reservation: &Value| {
        let time = |i: usize| {
            format!("{:02}:{:02}", reservation[i][0].as_u64().unwrap(), reservation[i][1].as_u64().unwrap())
        };
        format!("{}-{} {}", time(0), time(1), reservation[2].as_str().unwrap())
    };
    rooms
        .iter()
        .map(|(room, all)| (room.clone(), all.as_array().unwrap().iter().map(shown).collect::<Value>()))
        .collect()
}

fn schedule(timetables: &str) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("setup.toml"), format!("{ROOMS}{timetables}")).unwrap();
    run_to_end(directory.path(), &["schedule", "setup.toml", "--date", "2026-11-23", "--json"])
}

#[test]
fn timeedit_has_one_calendar_whose_locations_name_several_rooms() {
    let server = Server::new(&[("/ri1.ics", gzipped(&data("timeedit.ics")))]);
    for matcher in ["", "matcher = 'Lokalnamn: ([^.]+)\\.'\n", "matcher = 'Lokalnamn: {name}\\.'\n"] {
        let timetable =
            format!("[[timetable]]\nkind = 'ical'\nurl = '{}'\n{matcher}{CODE}", server.url("/ri1.ics"));
        assert_eq!(
            monday(&timetable),
            json!({
                "kd1": ["09:00-10:45 Övning, Logik för dataloger. Grupp: CDATE3 åk 3, inlämning", "23:00-23:59 Nattkodning"],
                "kd10": [
                    "09:00-10:45 Övning, Logik för dataloger. Grupp: CDATE3 åk 3, inlämning",
                    "13:00-14:45 Datorlaboration. Undervisningstyp: Laboration. Kursnamn: Algebra och geometri för ingenjörer på många fler än sjuttiofem oktetter",
                ],
            }),
            "{matcher}"
        );
    }
    assert!(server.asked().iter().all(|asked| asked.headers["accept-encoding"].contains("gzip")));
}

#[test]
fn a_calendar_a_room_is_asked_for_by_a_template() {
    let server = Server::new(&[
        ("/rooms/hg075.ics?n=HG00.075", Answer::file("mytimetable-export.ics")),
        ("/rooms/hgbib.ics?n=Bibliotheek%20%26%20%C3%A9", Answer::file("evolution.ics")),
    ]);
    let timetable = format!(
        "[[timetable]]\nkind = 'ical'\nurl = '{}'\nrooms = ['hg075', 'hgbib']\nnames = {{ hgbib = 'Bibliotheek & é' }}\n{CODE}",
        server.url("/rooms/{room}.ics?n={name}")
    );
    assert_eq!(
        monday(&timetable),
        json!({
            "hg075": ["08:45-10:30 Calculus A, werkcollege", "13:30-15:15 Objectoriëntatie"],
            "hgbib": ["00:00-02:00 Film night", "10:00-11:30 Reading group"],
        })
    );
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn exchange_has_a_calendar_a_room_with_zones_of_windows() {
    let server = Server::new(&[("/owa/hg075/calendar.ics", Answer::file("exchange.ics"))]);
    let directory = tempfile::tempdir().unwrap();
    let local = directory.path().join("evolution.ics");
    std::fs::write(&local, data("evolution.ics")).unwrap();
    let timetable = format!(
        "[[timetable]]\nkind = 'ical'\nurls = {{ hg075 = '{}', kd1 = '{}' }}\nplaceholder = 'In use'\n",
        server.url("/owa/hg075/calendar.ics"),
        local.display()
    );
    assert_eq!(
        monday(&timetable),
        json!({
            "hg075": ["11:00-11:30 Weekly stand-up (later)", "14:00-15:00 In use", "18:00-21:00 Open day"],
            "kd1": ["00:00-02:00 Film night", "10:00-11:30 Reading group"],
        })
    );
}

#[test]
fn mytimetable_is_asked_for_its_rooms_and_their_events() {
    let answers = [
        ("/api/v0/timetables?type=location&limit=0&offset=0", Answer::file("mytimetable-list.json")),
        ("/api/v0/timetables", Answer::Document(b"{\"timetable\": []}".to_vec())),
        ("/api/v0/timetables/2026!location!49CB", gzipped(&data("mytimetable-49CB.json"))),
        ("/api/v0/timetables/2026!location!50AA%2FB", Answer::file("mytimetable-50AA.json")),
        ("/api/v0/timetables/2026!location!51FF", Answer::file("mytimetable-51FF.json")),
    ];
    let bare = {
        let list: Value = serde_json::from_slice(&data("mytimetable-list.json")).unwrap();
        Answer::Document(list["timetable"].to_string().into_bytes())
    };
    for list in [None, Some(bare)] {
        let server = Server::new(&answers);
        if let Some(list) = list {
            // As it once was: a bare list, and no pages.
            server.answer("/api/v0/timetables?type=location&limit=0&offset=0", list.clone());
            server.answer("/api/v0/timetables", list);
        }
        let timetable = format!(
            "[[timetable]]\nkind = 'mytimetable'\nurl = '{}'\ntoken_file = 'TOKEN'\nplaceholder = 'In use'\n{CODE}",
            server.url("")
        );
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        std::fs::write(&token, "hunter2\n").unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
        let found = monday(&timetable.replace("TOKEN", token.to_str().unwrap()));
        assert_eq!(
            found,
            json!({
                "hg075": ["08:45-10:30 Calculus A", "13:30-15:15 Instruction of first-years"],
                // Blocked along with the room beside it, and booked by itself.
                "hg075a": ["08:45-10:30 Calculus A", "13:30-15:15 Instruction of first-years", "17:00-18:00 In use"],
                "hgbib": ["13:30-15:15 Instruction of first-years"],
            })
        );
        for asked in server.asked() {
            assert_eq!(asked.headers["apitoken"], "hunter2", "{}", asked.target);
            assert!(!asked.headers.contains_key("requestedauth"));
        }
        let of_room = server.targets().into_iter().find(|target| target.contains("49CB")).unwrap();
        // From midnight on, for eight days, in milliseconds since 1970.
        assert!(of_room.ends_with("?startDate=1795388400000&endDate=1796079600000"), "{of_room}");
    }
}

#[test]
fn ruuster_is_asked_for_the_week_of_a_location() {
    let packed = |name: &str| {
        let value: Value = serde_json::from_slice(&data(name)).unwrap();
        Answer::Document(rmp_serde::to_vec_named(&value).unwrap())
    };
    let server = Server::new(&[
        ("/list/institutes", packed("ruuster-institutes.json")),
        ("/list/locations", packed("ruuster-locations.json")),
        ("/snapshot/head/3/location/31", packed("ruuster-31.json")),
        ("/snapshot/head/3/location/32", packed("ruuster-32.json")),
    ]);
    let timetable = |institute: &str| {
        format!(
            "[[timetable]]\nkind = 'ruuster'\nurl = '{}'\n{institute}names = {{ kd1 = 'Hg00.023' }}\ncut = '^NWI-[A-Z0-9]+ '\n",
            server.url("/")
        )
    };
    for institute in ["institute = 'fnwi'\n", "institute = '3'\n"] {
        assert_eq!(
            monday(&timetable(institute)),
            json!({ "hg075": ["08:45-10:30 Calculus A", "13:30-15:15 Software installation"] })
        );
    }
    assert!(server.targets().iter().all(|target| target.ends_with("?format=msgpack")));
    for (institute, why) in
        [("", "there are 2 institutes: say which one"), ("institute = 'FdM'\n", "there is no such institute")]
    {
        let (code, out, err) = schedule(&timetable(institute));
        assert_eq!(code, Some(1), "{out}{err}");
        assert!(err.contains(why), "{err}");
    }
}

#[test]
fn several_providers_add_and_closures_override() {
    let server = Server::new(&[("/hg075.ics", Answer::file("mytimetable-export.ics"))]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("reservations.csv");
    std::fs::write(&file, data("reservations.csv")).unwrap();
    let timetables = format!(
        "[opening_hours]\nmonday = '08:00-20:00'\nrooms = ['hg075']\n\
         [[closure]]\nfrom = '2026-11-23 14:00'\nuntil = '2026-11-23 14:30'\nrooms = ['hg075']\ntext = 'Fire drill'\n\
         [[timetable]]\nkind = 'ical'\nurls = {{ hg075 = '{}' }}\n{CODE}[[timetable]]\nkind = 'file'\nfile = '{}'\n",
        server.url("/hg075.ics"),
        file.display()
    );
    assert_eq!(
        monday(&timetables),
        json!({
            "hg075": [
                "00:00-08:00 Closed",
                "08:45-10:30 Calculus A, werkcollege",
                "13:30-14:00 Objectoriëntatie",
                "14:00-14:30 Fire drill",
                "14:30-15:15 Objectoriëntatie",
                "19:00-20:00 Game night; all welcome",
                "20:00-23:59 Closed",
            ],
            "hgbib": ["00:00-02:00 Long night"],
        })
    );
}

#[test]
fn the_schedule_is_printed_for_people_and_what_cannot_be_had_is_said() {
    let server = Server::new(&[("/hunter2/hg075.ics", Answer::file("mytimetable-export.ics"))]);
    let directory = tempfile::tempdir().unwrap();
    let setup = format!(
        "{ROOMS}[[timetable]]\nkind = 'ical'\nurl = '{}'\nrooms = ['hg075', 'hgbib']\n{CODE}",
        server.url("/hunter2/{room}.ics")
    );
    std::fs::write(directory.path().join("setup.toml"), setup).unwrap();
    let (code, out, err) = run_to_end(directory.path(), &["schedule", "setup.toml", "--date", "2026-11-23"]);
    let expected = "Monday 23 November 2026, Europe/Amsterdam\n\nHG00.075 (hg075)\n  \
        08:45-10:30  Calculus A, werkcollege\n  13:30-15:15  Objectoriëntatie\n";
    assert_eq!((code, out.as_str()), (Some(1), expected));
    assert_eq!(err, "tkbd: ical 127.0.0.1: hgbib: status 404 Not Found\n");
}

#[test]
fn check_online_tries_every_feed_and_shows_no_secret() {
    let server = Server::new(&[
        ("/hunter2/hg075.ics", Answer::file("mytimetable-export.ics")),
        ("/all.ics", Answer::file("timeedit.ics")),
    ]);
    let directory = tempfile::tempdir().unwrap();
    let check = |timetables: &str| {
        std::fs::write(directory.path().join("setup.toml"), format!("{ROOMS}{timetables}")).unwrap();
        let (code, out, err) = run_to_end(directory.path(), &["check", "--online", "setup.toml"]);
        assert!(!format!("{out}{err}").contains("hunter2"), "{out}{err}");
        (code, out)
    };
    let good = format!(
        "[[timetable]]\nkind = 'ical'\nurls = {{ hg075 = '{}' }}\n",
        server.url("/hunter2/hg075.ics")
    );
    let (code, out) = check(&good);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("\nasked      ical 127.0.0.1: ") && out.contains("\ntoday      "), "{out}");
    // Nobody listens on port 1; an API token stands in the environment's place.
    let dead = "[[timetable]]\nkind = 'mytimetable'\nurl = 'http://127.0.0.1:1'\n[[timetable]]\nkind = 'file'\nfile = 'none.csv'\n";
    let (code, out) = check(&format!("{good}{dead}"));
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("asked      mytimetable 127.0.0.1: FAILED, Connection refused\n"), "{out}");
    assert!(out.contains("asked      file none.csv: FAILED, No such file or directory\n"), "{out}");
    // Without --online nothing is asked.
    let before = server.asked().len();
    let (code, _, _) = run_to_end(directory.path(), &["check", "setup.toml"]);
    assert_eq!((code, server.asked().len()), (Some(0), before));
}
