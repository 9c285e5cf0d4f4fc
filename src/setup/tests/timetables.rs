//! Timetables, closures and opening hours: what they come to, and what is said of mistakes in them.

use super::super::{CalendarPlace, RoomMatcher, Secret, Timetable, TimetableSource};
use super::{refused, resolved};
use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt;

/// Text, and all that is said of it.
const MISTAKES: &[(&str, &[&str])] = &[
    ("[[timetable]]\nurl = 'https://x/'", &["x.toml:1:1: this [[timetable]] has no \"kind\""]),
    (
        "[[timetable]]\nkind = 'icla'",
        &[concat!(
            "x.toml:2:8: timetable.kind: \"icla\" is none of ical, mytimetable, ruuster, file ",
            "(did you mean \"ical\"?)"
        )],
    ),
    (
        "[[timetable]]\nkind = 'ical'\nulr = 'https://x/'",
        &[
            concat!(
                "x.toml:1:1: this [[timetable]] has no \"url\" (\"url\" for one calendar or one with {room} in it, ",
                "\"urls\" for one a room, or \"file\")"
            ),
            "x.toml:3:1: unknown key \"ulr\" in [[timetable]] (did you mean \"url\"?)",
        ],
    ),
    (
        "[[timetable]]\nkind = 'ical'\nurl = 'https://x/'\nfile = 'x'",
        &[concat!(
            "x.toml:1:1: this [[timetable]] has more than one of \"url\", \"urls\" and \"file\" (\"url\" for one ",
            "calendar or one with {room} in it, \"urls\" for one a room, or \"file\")"
        )],
    ),
    // An address is never repeated: it may be a secret.
    (
        "[[timetable]]\nkind = 'ical'\nurl = 'ftp://x/hunter2.ics'",
        &["x.toml:3:7: timetable.url: wants an address that begins with http:// or https://"],
    ),
    (
        "[[timetable]]\nkind = 'ical'\nurls = { a = 'htps://x/hunter2.ics' }",
        &["x.toml:3:14: timetable.urls: wants an address that begins with http:// or https://"],
    ),
    (
        "[[timetable]]\nkind = 'ical'\nurl = 'https://{room}.example.org/'",
        &["x.toml:3:7: timetable.url: the host must not depend on the room"],
    ),
    ("[[timetable]]\nkind = 'mytimetable'", &["x.toml:1:1: this [[timetable]] has no \"url\""]),
    ("[[timetable]]\nkind = 'file'", &["x.toml:1:1: this [[timetable]] has no \"file\""]),
    (
        "[[timetable]]\nkind = 'file'\nfile = 'x'\ninstitute = 'y'",
        &["x.toml:4:13: timetable.institute is for kind ruuster, not file"],
    ),
    (
        "[[timetable]]\nkind = 'ruuster'\nurl = 'https://x/'\nzone = 'UTC'",
        &["x.toml:4:8: timetable.zone is for kind ical or file, not ruuster"],
    ),
    (
        "[[timetable]]\nkind = 'file'\nfile = 'x'\nzone = 'Amsterdam'",
        &["x.toml:4:8: timetable.zone: \"Amsterdam\" is no time zone (did you mean \"Europe/Amsterdam\"?)"],
    ),
    (
        "[[room]]\nkey = 'hg075'\n[[timetable]]\nkind = 'file'\nfile = 'x'\nrooms = ['hg07']\nnames = { hq075 = 'y' }",
        &[
            "x.toml:6:10: timetable.rooms: unknown room \"hg07\" (did you mean \"hg075\"?)",
            "x.toml:7:11: unknown room \"hq075\" (did you mean \"hg075\"?)",
        ],
    ),
    (
        "[[timetable]]\nkind = 'file'\nfile = 'x'\nnames = ['y']",
        &["x.toml:4:9: timetable.names: wants a table, as { hg075 = \"…\" }"],
    ),
    (
        "[[timetable]]\nkind = 'file'\nfile = 'x'\ncut = '('\nmax_size = 5",
        &[
            "x.toml:4:7: timetable.cut: \"(\": unclosed group",
            "x.toml:5:12: timetable.max_size: 5 is not between 1024 and 67108864",
        ],
    ),
    (
        "[[timetable]]\nkind = 'file'\nfile = 'x'\nplaceholder = '<b>'",
        &["x.toml:4:15: timetable.placeholder: \"<\" and \">\" could break the old page"],
    ),
    (
        "[[timetable]]\nkind = 'ical'\nfile = 'x'\nmatcher = 'Room .*'",
        &[concat!(
            "x.toml:4:11: timetable.matcher: \"Room .*\" cannot tell one room from another ",
            "(write {name} or {room} in it, or one group that yields a room's name)"
        )],
    ),
    (
        "[[timetable]]\nkind = 'ical'\nfile = '{room}.ics'\nmatcher = '{name}'",
        &["x.toml:4:11: a calendar a room needs no matcher: all of it is about that room"],
    ),
    (
        "[[timetable]]\nkind = 'mytimetable'\nurl = 'http://tt.example.org/'\ntoken = 'hunter2'",
        &["x.toml:4:9: the token would travel unprotected to tt.example.org (use https://)"],
    ),
    (
        "[[timetable]]\nkind = 'file'\nfile = 'x'\ntoken = 'hun ter2'",
        &["x.toml:4:9: timetable.token: wants a token, which is printable ASCII without blanks"],
    ),
    (
        "[[timetable]]\nkind = 'file'\nfile = 'x'\ntoken = 'hunter2'\ntoken_file = 'y'",
        &["x.toml:4:9: this [[timetable]] has both \"token\" and \"token_file\""],
    ),
    (
        "[[timetable]]\nkind = 'file'\nfile = 'x'\ntoken_file = 'no/such/file'",
        &["x.toml:4:14: timetable.token_file: cannot be read: No such file or directory"],
    ),
    (
        "[timetable]\nkind = 'file'",
        &["x.toml:1:1: timetable: wants one table [[timetable]] for each, not a table"],
    ),
    // Closures.
    ("[[closure]]\nuntil = '2026-12-24'", &["x.toml:1:1: this [[closure]] has no \"from\""]),
    (
        "[[closure]]\nfrom = '24-12-2026'",
        &[
            "x.toml:2:8: closure.from: \"24-12-2026\" is no date (write \"2026-12-24\" or \"2026-12-24 18:00\")",
        ],
    ),
    (
        "[[closure]]\nfrom = 2026-12-24",
        &["x.toml:2:8: closure.from: wants a text in quotes, not a date or time"],
    ),
    (
        "[[closure]]\nfrom = '2026-12-24'\nuntil = '2026-12-23'",
        &["x.toml:3:9: this closure ends before it begins (\"until\" is a date, or a date with a time)"],
    ),
    (
        "[[closure]]\nfrom = '2026-12-24 18:00'",
        &["x.toml:2:8: this closure ends before it begins (\"until\" is a date, or a date with a time)"],
    ),
    (
        "[opening_hours]\nmonday = '8-22'\nfunday = []",
        &[
            concat!(
                "x.toml:2:10: opening_hours.monday: \"8-22\" is no stretch of a day (write \"08:00-22:00\", ",
                "\"00:00-24:00\" for all day, and [] for none of it)"
            ),
            "x.toml:3:1: unknown key \"funday\" in [opening_hours] (did you mean \"sunday\"?)",
        ],
    ),
    ("[schedule]\nevery = '10ms'", &["x.toml:2:9: schedule.every: \"10ms\" is not between 100ms and 1d"]),
];

#[test]
fn o1_every_mistake_is_told_with_its_place_and_no_secret() {
    for (text, lines) in MISTAKES {
        assert_eq!(refused(text, &[], &[]), *lines, "\n{text}");
        let picture = resolved(text, &[], &[]).unwrap_err().with_snippets(false);
        assert!(!picture.contains("hunter2"), "{picture}");
    }
}

fn one(text: &str) -> Timetable {
    let setup =
        resolved(&format!("[[timetable]]\n{text}"), &[], &[]).unwrap_or_else(|error| panic!("{error}"));
    setup.timetables.into_iter().next().unwrap()
}

#[test]
fn a_timetable_is_what_was_written() {
    let template = one("kind = 'ical'\nurl = 'https://cal.example.org/{room}.ics?a=b'");
    assert!(matches!(&template.source, TimetableSource::IcalTemplate(url) if url.contains("{room}")));
    assert_eq!((template.label().as_str(), template.max_size), ("ical cal.example.org", 10 << 20));
    assert_eq!(template.source.urls().len(), 1);

    let combined = one("kind = 'ical'\nurl = 'https://cal.example.org/all.ics'");
    assert!(matches!(
        combined.source,
        TimetableSource::IcalCombined(CalendarPlace::Url(_), RoomMatcher::Name)
    ));
    for (pattern, is_group) in [("Room: (.*)", true), ("Room: {name}", false)] {
        let matched = one(&format!("kind = 'ical'\nfile = 'all.ics'\nmatcher = '{pattern}'"));
        let TimetableSource::IcalCombined(CalendarPlace::File(_), matcher) = matched.source else { panic!() };
        assert_eq!(matches!(matcher, RoomMatcher::Group(_)), is_group);
    }
    let each = one("kind = 'ical'\nurls = { a = 'https://a.example.org/secret.ics', b = 'b.ics' }");
    let TimetableSource::IcalEach(places) = &each.source else { panic!() };
    assert!(matches!((&places[0].1, &places[1].1), (CalendarPlace::Url(_), CalendarPlace::File(_))));
    assert_eq!(each.label(), "ical a.example.org and 1 more");
    assert!(matches!(one("kind = 'ical'\nfile = '{name}.ics'").source, TimetableSource::IcalFileTemplate(_)));

    let mine = one(
        "kind = 'mytimetable'\nurl = 'http://127.0.0.1:1/'\ntoken = 'hunter2'\nsource = '2026'\nrooms = ['a']\nnames = { a = 'A' }",
    );
    assert_eq!(mine.token.as_ref().map(Secret::expose), Some("hunter2"));
    assert_eq!((mine.rooms.as_ref().map(Vec::len), mine.names.len(), mine.max_size), (Some(1), 1, 4 << 20));
    assert!(!format!("{mine:?}").contains("hunter2"));
}

#[test]
fn o7_a_token_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let setup =
        format!("[[timetable]]\nkind = 'mytimetable'\nurl = 'https://x/'\ntoken_file = '{}'", path.display());
    write(&path, "hunter2\n").unwrap();
    for (mode, fits) in [(0o600, true), (0o640, true), (0o644, false), (0o602, false)] {
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let token = resolved(&setup, &[], &[]).ok().and_then(|setup| setup.timetables[0].token.clone());
        assert_eq!(token.as_ref().map(Secret::expose), fits.then_some("hunter2"), "{mode:o}");
    }
    // In the setup itself, which is a secret file then.
    let written = "[[timetable]]\nkind = 'mytimetable'\nurl = 'https://x/'\ntoken = 'hunter2'";
    let file = directory.path().join("setup.toml");
    write(&file, written).unwrap();
    for (mode, fits) in [(0o600, true), (0o644, false)] {
        set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let outcome = super::super::load(Some(&file), std::iter::empty(), &[]);
        assert_eq!(outcome.is_ok(), fits, "{mode:o}");
        if let Err(error) = outcome {
            assert!(error.to_string().contains("everybody on this machine may read this file"), "{error}");
            assert!(!error.with_snippets(false).contains("hunter2"));
        }
    }
    // Everybody sees arguments, and nobody variables.
    let inline = "[{ kind = 'mytimetable', url = 'https://x/', token = 'hunter2' }]";
    let lines = refused("", &[], &[&format!("timetable={inline}")]);
    assert_eq!(lines, ["--set timetable: everybody on this machine can see arguments, and so the token"]);
    assert!(resolved("", &[("TKBD_TIMETABLE", inline)], &[]).is_ok());
}

#[test]
fn closures_and_hours_are_what_was_written() {
    let setup = resolved(
        "[opening_hours]\nmonday = ['08:00-12:00', '13:00-24:00']\nsunday = []\nrooms = ['a']\ntext = 'Shut'\n\
         [[closure]]\nfrom = '2026-12-24'\n\
         [[closure]]\nfrom = '2026-12-24 18:00'\nuntil = '2027-01-03'\nrooms = ['a']\ntext = 'Christmas'",
        &[],
        &[],
    )
    .unwrap();
    let shown: Vec<String> = setup
        .closures
        .iter()
        .map(|it| format!("{} {} {} {:?}", it.from, it.until, it.text, it.rooms.as_ref().map(Vec::len)))
        .collect();
    assert_eq!(
        shown,
        [
            "2026-12-24 00:00:00 2026-12-25 00:00:00 Closed None",
            "2026-12-24 18:00:00 2027-01-04 00:00:00 Christmas Some(1)"
        ]
    );
    let hours = setup.opening_hours;
    assert_eq!(
        (hours.week[0].as_slice(), hours.week[1].len(), hours.week[6].len()),
        ([(480, 720), (780, 1440)].as_slice(), 1, 0)
    );
    assert!(!hours.is_always() && resolved("", &[], &[]).unwrap().opening_hours.is_always());
}
