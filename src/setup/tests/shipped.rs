//! The setups that come with the daemon.

use super::super::layers::{Layers, variable};
use super::super::place::Origin;
use super::super::reader::Reader;
use super::super::timetable::KEYS as TIMETABLE_KEYS;
use super::super::{DEFAULT, DEMO, load, resolve};
use super::resolved;
use crate::core::pc::PcName;
use crate::core::tag::Tag;
use std::collections::{HashMap, HashSet};
use std::path::Path;

fn setups() -> impl Iterator<Item = std::path::PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("setups");
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path())
}

/// The reference with every key in force: a "#" without a blank comments a key out, one with a blank
/// is prose.
fn reference() -> (String, String) {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("setups/example.toml")).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == ']' || c == '[') => rest,
        Some(rest) if rest.starts_with("  {") => rest,
        _ => line,
    });
    let whole = lines.collect::<Vec<_>>().join("\n");
    (text, whole)
}

#[test]
fn every_setup_that_comes_along_is_one() {
    let mut count = 0;
    for path in setups() {
        if let Err(error) = load(Some(&path), std::iter::empty(), &[]) {
            panic!("{error}");
        }
        count += 1;
    }
    assert!(count >= 3);
    assert!(resolved(DEFAULT, &[], &[]).is_ok());
    assert!(resolved(DEMO, &[], &[]).is_ok());
}

#[test]
fn without_a_file_the_site_of_the_old_page_is_served() {
    let setup = load(None, std::iter::empty(), &[]).unwrap();
    let rooms: Vec<(&str, &str, Vec<&str>)> = setup
        .rooms
        .iter()
        .map(|room| (room.key.as_str(), room.name.as_str(), room.tags.iter().map(Tag::as_str).collect()))
        .collect();
    let hg = || vec!["hg"];
    assert_eq!(
        rooms,
        [
            ("hg761", "HG03.761", hg()),
            ("hg702", "HG02.702", hg()),
            ("hg206", "HG00.206", hg()),
            ("hg201", "HG00.201", hg()),
            ("hg153", "HG00.153", hg()),
            ("hg137", "HG00.137", hg()),
            ("hg075", "HG00.075", hg()),
            ("hg029", "HG00.029", hg()),
            ("hg023", "HG00.023", hg()),
            ("hgbib", "Bibliotheek", hg()),
            ("hg002", "Infozuilen", hg()),
            ("none", "Onbekend", vec![]),
        ]
    );
    let aliases: HashMap<&str, &str> =
        setup.rules.aliases.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    assert_eq!(aliases, HashMap::from([("bib", "hgbib"), ("info", "hg002"), ("hginfo", "hg002")]));
    assert_eq!(setup.timezone, chrono_tz::Europe::Amsterdam);
    assert_eq!(setup.http.listen, ["0.0.0.0:8080".parse().unwrap()]);
    assert_eq!(setup.push.listen, ["0.0.0.0:1235".parse().unwrap()]);
    assert_eq!(setup.push.allow, ["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
}

#[test]
fn the_default_rules_place_a_pc_as_the_original_did() {
    let setup = load(None, std::iter::empty(), &[]).unwrap();
    let cases = [
        ("HG075PC47", "hg075"),
        ("bibpc30", "hgbib"),
        ("hgbibpc1", "hgbib"),
        ("INFOPC04", "hg002"),
        ("hginfopc1", "hg002"),
        ("hg002pc3", "hg002"),
        ("cz0062pc01", "none"),
        ("czpc", "none"),
        ("hg137pc00docent", "none"),
        ("docent", "none"),
        ("hg137docentpc1", "hg137docent"),
        ("printer7", "none"),
        ("hg1pc2pc3", "hg1"),
        ("pc9", "none"),
        ("hg999pc01", "hg999"),
    ];
    for (name, room) in cases {
        let name = PcName::parse(name).unwrap();
        assert_eq!(setup.rules.room_of(&name).as_str(), room, "{name}");
    }
}

#[test]
fn the_made_up_campus_is_within_reach_of_nobody_else() {
    let setup = resolved(DEMO, &[], &[]).unwrap();
    assert!(setup.http.listen.iter().chain(&setup.push.listen).all(|address| address.ip().is_loopback()));
    assert_eq!((setup.http.listen[0].port(), setup.push.listen[0].port()), (8080, 1235));
    assert_eq!(setup.history.db, Path::new("demo.sqlite3"));
    assert!((8..=13).contains(&setup.rooms.len()));
    for room in setup.rooms.iter().filter(|room| room.key.as_str() != "none") {
        assert!(!room.tags.is_empty());
        let pc = PcName::parse(&format!("{}pc01", room.key)).unwrap();
        assert_eq!(setup.rules.room_of(&pc), room.key, "a key must not hold \"pc\" itself");
    }
}

#[test]
fn the_setup_of_a_mirror_is_one_that_takes_no_pushes() {
    let setup = resolved(include_str!("../../../setups/mirror.toml"), &[], &[]).unwrap();
    let mirror = setup.mirror.as_ref().unwrap();
    assert_eq!((mirror.address().as_str(), mirror.takes_pushes), ("http://tk.example.org:8080/", false));
    assert!(setup.push.listen.is_empty());
    let shown =
        "mirror     http://tk.example.org:8080/ as source \"mirror\"; pushes are refused; stale after 1m\n";
    assert!(setup.summary().contains(shown), "{}", setup.summary());
    let secret = resolved("[mirror]\nmaster = 'http://me:hunter2@tk'", &[], &[]).unwrap().summary();
    assert!(!secret.contains("hunter2"), "{secret}");
}

#[test]
fn an_empty_file_is_a_setup_without_rooms_and_rules() {
    let setup = resolved("", &[], &[]).unwrap();
    assert_eq!(setup.rooms.len(), 1);
    assert_eq!((setup.rooms[0].key.as_str(), setup.rooms[0].name.as_str()), ("none", "Unknown"));
    assert!(setup.rules.rules.is_empty() && setup.rules.aliases.is_empty());
}

#[test]
fn the_reference_names_every_key_with_its_default() {
    let (text, whole) = reference();
    let empty = resolved("", &[], &[]).unwrap();
    let mut full = resolved(&whole, &[], &[]).unwrap_or_else(|error| panic!("{error}\n{whole}"));
    assert_eq!(full.push.tokens.len(), 1, "the example of a token is in force");
    full.push.tokens.clear();
    assert_eq!(full.http.crowd.max_connections.take(), Some(10_000), "so is that of a number of connections");
    let file = "certificate = 'c'\nkey = 'k'";
    let least = resolved(&format!("[http.tls]\n{file}\n[push.tls]\n{file}"), &[], &[]).unwrap();
    for (full, least) in [(&full.http.tls, &least.http.tls), (&full.push.tls, &least.push.tls)] {
        let (full, least) = (full.as_ref().unwrap(), least.as_ref().unwrap());
        assert_eq!((&full.listen, full.every), (&least.listen, least.every));
    }
    assert!(empty.http.tls.is_none() && empty.push.tls.is_none());
    (full.http.tls, full.push.tls) = (None, None);
    assert_eq!((&full.http, &full.push), (&empty.http, &empty.push));
    assert_eq!(full.metrics, empty.metrics);
    assert_eq!((&full.history, &full.limits, &full.log), (&empty.history, &empty.limits, &empty.log));
    assert_eq!((&full.schedule, &full.opening_hours), (&empty.schedule, &empty.opening_hours));
    assert_eq!((full.timetables.len(), full.closures.len()), (6, 1), "the examples are in force");
    let least = resolved("[mirror]\nmaster = 'http://tk.example.org:8080'", &[], &[]).unwrap();
    assert!(empty.mirror.is_none() && full.mirror.is_some());
    full.mirror.as_mut().unwrap().ca = None;
    assert_eq!(full.mirror, least.mirror);

    // Whatever the code asks for stands in the reference.
    let page = (Origin::File("example.toml".into()), whole);
    let mut ask = Reader::new(Layers::read(page, std::iter::empty(), &[]).unwrap());
    resolve::everything(&mut ask);
    let asked: Vec<&str> = ask.asked().to_vec();
    for key in &asked {
        assert!(ask.is_written(key), "{key} is missing in setups/example.toml");
    }
    let of_tables = TIMETABLE_KEYS.iter().map(|key| format!("# {key:<11}  "));
    let of_tables: Vec<String> =
        of_tables.chain(["from ", "until", "rooms", "text "].map(|key| format!("# {key}  "))).collect();
    let others = ["[mirror]", "tags ", "aliases ", "pattern ", "room  ", "source"];
    for key in of_tables.iter().map(String::as_str).chain(others) {
        assert!(text.contains(key), "{key} is not explained");
    }
    // Two keys of one variable could not be told apart.
    let variables: HashSet<String> = asked.iter().map(|key| variable(key)).collect();
    assert_eq!(variables.len(), asked.len());
}

#[test]
fn what_the_reference_says_of_bounds_is_so() {
    let (text, _) = reference();
    for (key, below, above) in [
        ("http.hold", "99ms", "601s"),
        ("http.channel_expiry", "99ms", "86401s"),
        ("http.idle", "9ms", "3601s"),
        ("push.timeout", "9ms", "301s"),
        ("history.acknowledge_within", "9ms", "61s"),
        ("history.keep", "604799s", "3153600001s"),
        ("http.max_channels", "0", "1000001"),
        ("http.max_streams", "0", "1000001"),
        ("http.max_head", "8191", "1048577"),
        ("http.stalled", "9ms", "301s"),
        ("http.answer_timeout", "9ms", "3601s"),
        ("http.refresh", "99ms", "86401s"),
        ("http.max_connections", "0", "1000001"),
        ("http.connections_per_address", "0", "1000001"),
        ("http.channels_per_address", "0", "1000001"),
        ("http.new_channels_per_second", "0", "1000001"),
        ("http.wait", "9ms", "61s"),
        ("http.max_body", "1023", "16777217"),
        ("push.max_body", "1023", "67108865"),
        ("push.max_connections", "0", "10001"),
        ("history.backlog", "0", "1048577"),
        ("schedule.every", "99ms", "86401s"),
        ("schedule.retry", "99ms", "86401s"),
        ("schedule.connect_timeout", "9ms", "301s"),
        ("schedule.timeout", "9ms", "301s"),
        ("seats.claim", "999ms", "3601s"),
        ("mirror.timeout", "9ms", "3601s"),
        ("mirror.retry", "9ms", "601s"),
        ("mirror.retry_most", "9ms", "3601s"),
        ("mirror.stale", "99ms", "86401s"),
        ("http.tls.every", "99ms", "86401s"),
        ("push.tls.every", "99ms", "86401s"),
        ("limits.pcs", "0", "1000001"),
        ("limits.rooms", "0", "100001"),
        ("limits.sources", "0", "100001"),
        ("limits.bodies", "1048575", "1073741825"),
        ("limits.unsent", "1048575", "1073741825"),
    ] {
        for value in [below, above] {
            let error = resolved("", &[], &[&format!("{key}={value}")]).unwrap_err().to_string();
            let (_, bounds) = error.split_once("is not between ").unwrap();
            let bounds = format!("rom {}", bounds.replace(" and ", " to "));
            assert!(text.contains(&bounds), "{key}: {bounds}");
        }
    }
}

#[test]
fn the_summary_tells_what_matters_and_no_secret() {
    let token = "ab".repeat(32);
    let file = format!(
        "timezone = 'UTC'\n[http]\nlisten = ['127.0.0.1:80', '[::1]:80']\n[push]\nallow = ['0.0.0.0/0', '10.1.2.3']\n\
         tokens = [{{ sha256 = '{token}' }}]\nhosts = 'tkb.example.org'\ntrusted_proxies = '10.0.0.0/8'\n\
         [opening_hours]\nsunday = []\n[[closure]]\nfrom = '2026-12-24'\n\
         [[timetable]]\nkind = 'ical'\nurl = 'https://cal.example.org/hunter2/{{room}}.ics'\n\
         [[timetable]]\nkind = 'file'\nfile = 'x.csv'\n\
         [[room]]\nkey = 'a'\ntags = ['x', 'y']\n[[room]]\nkey = 'b'\ntags = ['y']\naliases = ['c']\n"
    );
    let summary = resolved(&file, &[], &[]).unwrap().summary();
    assert_eq!(
        summary,
        "pages      127.0.0.1:80, [::1]:80 at path /\n\
         channels   held 20s, end 5m after their last reply, at most 50000\n\
         push       0.0.0.0:1235\n\
         push from  0.0.0.0/0, 10.1.2.3; through proxies 10.0.0.0/8; as host tkb.example.org\n\
         tokens     1\n\
         rooms      3 (at most 1000)\n\
         tags       x (1 room), y (2 rooms)\n\
         rules      0, aliases 1\n\
         timetables ical cal.example.org, file x.csv; every 16m\n\
         closures   1, and opening hours\n\
         mirror     of nobody\n\
         metrics    for 127.0.0.0/8, ::1\n\
         insight    for 127.0.0.0/8, ::1\n\
         timezone   UTC\n\
         history    history.sqlite3, acknowledged within 5s\n\
         limits     10000 PCs, 1000 sources\n\
         log        info, auto\n"
    );
    let open = resolved("[push]\nallow = '0.0.0.0/0'", &[], &["history.enabled=false"]).unwrap().summary();
    assert!(open.contains("push from  EVERYBODY (0.0.0.0/0), without a token\n"), "{open}");
    assert!(open.contains("history    off"), "{open}");
    let shown =
        resolved("[metrics]\nallow = '::/0'\ntrusted_proxies = '10.0.0.1'", &[], &[]).unwrap().summary();
    assert!(shown.contains("metrics    for EVERYBODY (::/0); through proxies 10.0.0.1\n"), "{shown}");
    let tls = "listen = []\n[http.tls]\ncertificate = 'c'\nkey = 'k'";
    let tls = resolved(&format!("[push]\nlisten = []\n[http]\n{tls}"), &[], &[]).unwrap().summary();
    assert!(tls.starts_with("pages      0.0.0.0:8443 (TLS) at path /\n"), "{tls}");
    assert!(tls.contains("push       off\n"), "{tls}");
    assert!(open.contains("timetables none\nclosures   0\n"), "{open}");
}
