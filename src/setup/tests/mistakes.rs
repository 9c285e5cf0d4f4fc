//! Mistakes, and the words in which an administrator reads of them.

use super::super::{SetupError, load};
use super::{refused, resolved};
use std::path::Path;

/// Text, and all that is said of it.
const TABLE: &[(&str, &[&str])] = &[
    // Keys.
    ("[http]\nhodl = '20s'", &["x.toml:2:1: unknown key \"hodl\" in [http] (did you mean \"hold\"?)"]),
    ("[htpp]\nhold = '20s'", &["x.toml:1:2: unknown key \"htpp\" (did you mean \"http\"?)"]),
    ("hold = '20s'", &["x.toml:1:1: unknown key \"hold\" (did you mean \"http.hold\"?)"]),
    ("[http]\ncolour = 1", &["x.toml:2:1: unknown key \"colour\" in [http]"]),
    ("http.\"a\\nb\" = 1", &["x.toml:1:6: unknown key \"a\\nb\" in [http]"]),
    ("[[rooms]]\nkey = 'a'", &["x.toml:1:3: unknown key \"rooms\" (did you mean \"room\"?)"]),
    (
        "[[room]]\nkey = 'a'\nnaem = 'A'",
        &["x.toml:3:1: unknown key \"naem\" in [[room]] (did you mean \"name\"?)"],
    ),
    (
        "[[room]]\nkey = 'a'\ntimezone = 'UTC'",
        &[concat!(
            "x.toml:3:1: unknown key \"timezone\" in [[room]] ",
            "(it belongs at the top of the file, before the first table)"
        )],
    ),
    ("http = 1", &["x.toml:1:1: http is a table, and is written [http]"]),
    ("[[http]]\nhold = '1s'", &["x.toml:1:3: http is a table, and is written [http]"]),
    ("[room]\nkey = 'a'", &["x.toml:1:1: room: wants one table [[room]] for each, not a table"]),
    // TLS.
    (
        "[http.tls]\nlisten = '0.0.0.0:443'",
        &[concat!(
            "x.toml:2:10: http.tls.listen: has no meaning without http.tls.certificate ",
            "(TLS needs a certificate and its key, as paths of PEM files)"
        )],
    ),
    (
        "[push.tls]\ncertificate = 'a.pem'",
        &[concat!(
            "x.toml:2:15: push.tls.certificate: has no meaning without push.tls.key ",
            "(TLS needs a certificate and its key, as paths of PEM files)"
        )],
    ),
    (
        "[push.tls]\ncertificate = 'a.pem'\nkey = '-----BEGIN PRIVATE KEY-----'",
        &["x.toml:3:7: push.tls.key: wants the path of a file, and not what stands in it"],
    ),
    (
        "[http.tls]\ncertificate = 'a.pem'\nkey = 'b.pem'\nlisten = []\nclient_ca = 'c.pem'",
        &[
            "x.toml:4:10: http.tls.listen: an empty list, so that TLS is spoken nowhere (leave the whole table out)",
            "x.toml:5:1: unknown key \"client_ca\" in [http.tls] (did you mean \"push.tls.client_ca\"?)",
        ],
    ),
    (
        "[http.tls]\ncertificate = 'a.pem'\nkey = 'b.pem'\nlisten = '[::]:8080'",
        &[concat!(
            "x.toml:4:10: http.tls.listen \"[::]:8080\" and http.listen \"0.0.0.0:8080\" take the same port ",
            "(give each its own)"
        )],
    ),
    // A master to follow.
    (
        "[mirror]\nmaster = 'tk:8080'",
        &["x.toml:2:10: mirror.master: wants an address that begins with http:// or https://"],
    ),
    (
        "[mirror]\nmaster = 'http://tk/?m=[]'",
        &["x.toml:2:10: mirror.master: wants the address of a daemon, without \"?\" and \"#\""],
    ),
    (
        "[mirror]\npushes = 'take'",
        &[
            "x.toml:2:10: mirror.pushes: has no meaning without mirror.master (master = \"http://...\" says whom to follow)",
        ],
    ),
    (
        "[mirror]\nmaster = 'http://tk'\npushes = 'refused'\nsource = ''",
        &[
            "x.toml:3:10: mirror.pushes: \"refused\" is none of refuse, take (did you mean \"refuse\"?)",
            "x.toml:4:10: mirror.source: \"\": a datasource is 1 to 64 printable characters",
        ],
    ),
    (
        "[mirror]\nmaster = 'http://tk'\nretry = '5m'\nstale = '1ms'",
        &[
            "x.toml:3:9: mirror.retry is longer than mirror.retry_most",
            "x.toml:4:9: mirror.stale: \"1ms\" is not between 100ms and 1d",
        ],
    ),
    // Kinds and bounds.
    ("[http]\nhold = 20", &["x.toml:2:8: http.hold: wants a duration in quotes, as \"20s\", not a number"]),
    (
        "[http]\nhold = '20 sec'",
        &["x.toml:2:8: http.hold: \"20 sec\" is no duration, as \"20s\" or \"5m\" (did you mean \"20s\"?)"],
    ),
    ("[http]\nhold = '0s'", &["x.toml:2:8: http.hold: \"0s\" is not between 100ms and 10m"]),
    ("[http]\nhold = '11m'", &["x.toml:2:8: http.hold: \"11m\" is not between 100ms and 10m"]),
    ("[http]\nidle = '0ms'", &["x.toml:2:8: http.idle: \"0ms\" is not between 10ms and 1h"]),
    (
        "[http]\nmax_head = '16k'",
        &["x.toml:2:12: http.max_head: wants a whole number without quotes and units, not a text"],
    ),
    ("[http]\nmax_head = -1", &["x.toml:2:12: http.max_head: -1 is not between 8192 and 1048576"]),
    (
        "[limits]\npcs = 99999999999999999999",
        &["x.toml:2:7: limits.pcs: wants a whole number without quotes and units, not a number of that size"],
    ),
    (
        "[history]\nenabled = 'yes'",
        &["x.toml:2:11: history.enabled: wants true or false, without quotes, not a text"],
    ),
    (
        "[history]\ndb = ':memory:'",
        &[concat!(
            "x.toml:2:6: history.db: \":memory:\" is not the path of a file ",
            "(history.enabled = false does without one)"
        )],
    ),
    (
        "[http]\npath = 'tkb'",
        &["x.toml:2:8: http.path: \"tkb\" begins with no slash (did you mean \"/tkb\"?)"],
    ),
    (
        "timezone = 'Europe/Amsterdan'",
        &["x.toml:1:12: timezone: \"Europe/Amsterdan\" is no time zone (did you mean \"Europe/Amsterdam\"?)"],
    ),
    (
        "timezone = 'amsterdam'",
        &["x.toml:1:12: timezone: \"amsterdam\" is no time zone (did you mean \"Europe/Amsterdam\"?)"],
    ),
    (
        "[log]\nlevel = 'inof'",
        &[concat!(
            "x.toml:2:9: log.level: \"inof\" is none of off, error, warn, info, debug, trace ",
            "(did you mean \"info\"?)"
        )],
    ),
    (
        "[log]\nformat = 'jsn'",
        &["x.toml:2:10: log.format: \"jsn\" is none of auto, human, json (did you mean \"json\"?)"],
    ),
    // Addresses.
    (
        "[http]\nlisten = 'localhost:8080'",
        &[concat!(
            "x.toml:2:10: http.listen: \"localhost:8080\" is no IP address with a port ",
            "(did you mean \"127.0.0.1:8080\"?)"
        )],
    ),
    (
        "[http]\nlisten = ['127.0.0.1:1', '8080']",
        &[concat!(
            "x.toml:2:26: http.listen: \"8080\" is no IP address with a port ",
            "(did you mean \"0.0.0.0:8080\"?)"
        )],
    ),
    (
        "[http]\nlisten = 8080",
        &[
            "x.toml:2:10: http.listen: wants an address with a port in quotes, as \"0.0.0.0:8080\", not a number",
        ],
    ),
    ("[http]\nlisten = []", &["x.toml:2:10: http.listen: an empty list, so that nobody could be served"]),
    ("[http]\nlisten = ['[::1]:1', '[::1]:1']", &["x.toml:2:10: http.listen: \"[::1]:1\" is listed twice"]),
    (
        "[push]\nlisten = '127.0.0.1:8080'",
        &[concat!(
            "x.toml:2:10: push.listen \"127.0.0.1:8080\" and http.listen \"0.0.0.0:8080\" take the same port ",
            "(give each its own)"
        )],
    ),
    (
        "[push]\nallow = '131.174.30.256'",
        &[concat!(
            "x.toml:2:9: push.allow: \"131.174.30.256\" is no IP address or network ",
            "(write \"192.0.2.7\" or \"192.0.2.0/24\"; host names are not looked up)"
        )],
    ),
    (
        "[push]\nallow = ['::1', '131.174.30.41/16']",
        &[concat!(
            "x.toml:2:17: push.allow: \"131.174.30.41/16\" names a host and a network at once ",
            "(\"131.174.30.41\" is the host, \"131.174.0.0/16\" the network)"
        )],
    ),
    (
        "[push]\ntrusted_proxies = ['0.0.0.0/0']",
        &[concat!(
            "x.toml:2:19: push.trusted_proxies: \"0.0.0.0/0\" trusts everybody, and so voids push.allow ",
            "(list the proxies' own addresses)"
        )],
    ),
    (
        "[push]\nhosts = 'http://tkb.example.org:1235'",
        &[concat!(
            "x.toml:2:9: push.hosts: \"http://tkb.example.org:1235\" is no host name ",
            "(did you mean \"tkb.example.org\"?)"
        )],
    ),
    // Tokens: no value is repeated.
    (
        "[push]\ntokens = [{ sha256 = 'hunter2' }]",
        &[concat!(
            "x.toml:2:22: push.tokens.sha256: wants the token's SHA-256, which is 64 hexadecimal digits, ",
            "and not the token (printf %s TOKEN | sha256sum)"
        )],
    ),
    (
        "[push]\ntokens = ['hunter2']",
        &["x.toml:2:11: push.tokens: wants one table [[push.tokens]] for each, not a text"],
    ),
    ("[push]\ntokens = [{ source = 'a' }]", &["x.toml:2:11: this [[push.tokens]] has no \"sha256\""]),
    // Rooms.
    ("[[room]]\nname = 'A'", &["x.toml:1:1: this [[room]] has no \"key\""]),
    (
        "[[room]]\nkey = 'HG075'",
        &[concat!(
            "x.toml:2:7: room.key: \"HG075\": a room key is 1 to 64 characters of a-z, 0-9, '.', '_' and '-', ",
            "beginning with a letter or digit (did you mean \"hg075\"?)"
        )],
    ),
    (
        "[[room]]\nkey = 'a'\n[[room]]\nkey = 'a'",
        &["x.toml:4:7: room \"a\" is listed a second time, after line 2"],
    ),
    (
        "[[room]]\nkey = 'a'\nname = '<b>'",
        &["x.toml:3:8: room.name: \"<\" and \">\" in a room's name would break the old page"],
    ),
    (
        "[[room]]\nkey = 'a'\ntags = ['a b']",
        &["x.toml:3:9: room.tags: \"a b\": a tag is 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'"],
    ),
    ("[[room]]\nkey = 'a'\ntags = ['t', 't']", &["x.toml:3:14: this room has the tag \"t\" already"]),
    ("[[room]]\nkey = 'a'\naliases = ['a']", &["x.toml:3:12: alias \"a\" is this room's own key"]),
    ("[[room]]\nkey = 'a'\naliases = ['b', 'b']", &["x.toml:3:17: alias \"b\" is written twice"]),
    ("[[room]]\nkey = 'a'\naliases = ['none']", &["x.toml:3:12: alias \"none\" is the key of another room"]),
    (
        "[[room]]\nkey = 'a'\naliases = ['b']\n[[room]]\nkey = 'b'",
        &["x.toml:3:12: alias \"b\" is the key of another room"],
    ),
    (
        "[[room]]\nkey = 'a'\naliases = ['x']\n[[room]]\nkey = 'b'\naliases = ['x']",
        &["x.toml:6:12: alias \"x\" leads to room \"a\" already"],
    ),
    (
        "[limits]\nrooms = 1\n[[room]]\nkey = 'a'\n[[room]]\nkey = 'b'\n[[room]]\nkey = 'c'",
        &["x.toml:5:1: more rooms than limits.rooms allows, which is 1"],
    ),
    // Rules.
    ("[[rule]]\npattern = 'a'", &["x.toml:1:1: this [[rule]] has no \"room\""]),
    ("[[rule]]\npattern = '^(a'\nroom = 'a'", &["x.toml:2:11: rule.pattern: \"^(a\": unclosed group"]),
    (
        "[[rule]]\npattern = '(a{1000}){1000}'\nroom = 'a'",
        &[
            "x.toml:2:11: rule.pattern: \"(a{1000}){1000}\": Compiled regex exceeds size limit of 1048576 bytes.",
        ],
    ),
    (
        "[[rule]]\npattern = '^HG'\nroom = 'a'",
        &[concat!(
            "x.toml:2:11: rule.pattern: \"^HG\" never matches, since names are lower-cased first ",
            "(did you mean \"^hg\"?)"
        )],
    ),
    (
        "[[rule]]\npattern = '^(a)'\nroom = '$1b'",
        &["x.toml:3:8: rule.room: the pattern has no group \"1b\" (did you mean \"${1}b\"?)"],
    ),
    ("[[rule]]\npattern = 'a'\nroom = '$1'", &["x.toml:3:8: rule.room: the pattern has no group \"1\""]),
    (
        "[[rule]]\npattern = '(a)'\nroom = 'HG$1'",
        &[concat!(
            "x.toml:3:8: rule.room: \"HG$1\" never is a room's key: a room key is 1 to 64 characters of a-z, 0-9, ",
            "'.', '_' and '-', beginning with a letter or digit"
        )],
    ),
    (
        "[[rule]]\npattern = 'a'\nroom = 'a'\n[[rule]]\npattern = 'a'\nroom = 'b'",
        &["x.toml:5:11: an earlier rule has the pattern \"a\", and decides"],
    ),
    (
        "[[room]]\nkey = 'hg075'\n[[rule]]\npattern = '^7'\nroom = 'hg07'",
        &[concat!(
            "x.toml:5:8: rule.room: unknown room \"hg07\" ",
            "(did you mean \"hg075\"? A new room wants a [[room]] of its own)"
        )],
    ),
    // What is no TOML.
    (
        "[http]\nlisten = 0.0.0.0:8080",
        &["x.toml:2:13: not TOML: invalid float (put quotes around everything but numbers, true and false)"],
    ),
    ("[http]\nhold = '1s'\nhold = '2s'", &["x.toml:3:1: not TOML: duplicate key (it stands above already)"]),
    (
        "[push\nlisten = ['::1'",
        &[
            "x.toml:1:6: not TOML: unclosed table, expected `]`",
            "x.toml:2:16: not TOML: unclosed array, expected `]`",
        ],
    ),
    // The column counts characters.
    (
        "http = { path = '/', \"h\u{f4}ld\" = '20s' }",
        &["x.toml:1:22: unknown key \"h\u{f4}ld\" in [http] (did you mean \"hold\"?)"],
    ),
    // Everything at once, in the order of the file.
    (
        "hold = 1\r\n[http]\r\nidle = 2\r\n[[room]]\r\nkey = 3\r\n[[rule]]\r\npattern = '['\r\nroom = '$'\r\n",
        &[
            "x.toml:1:1: unknown key \"hold\" (did you mean \"http.hold\"?)",
            "x.toml:3:8: http.idle: wants a duration in quotes, as \"20s\", not a number",
            "x.toml:5:7: room.key: wants a text in quotes, not a number",
            "x.toml:7:11: rule.pattern: \"[\": unclosed character class",
        ],
    ),
];

#[test]
fn every_mistake_is_told_with_its_place_and_what_was_meant() {
    for (text, lines) in TABLE {
        assert_eq!(refused(text, &[], &[]), *lines, "\n{text}");
    }
}

#[test]
fn a_third_token_of_one_source_and_a_repeated_one_are_refused_without_showing_any() {
    let token = |digit: &str, source: &str| {
        let source = if source.is_empty() { String::new() } else { format!(", source = '{source}'") };
        format!("{{ sha256 = '{}'{source} }},\n", digit.repeat(64))
    };
    let tokens = |list: &[(&str, &str)]| {
        let list: String = list.iter().map(|(digit, source)| token(digit, source)).collect();
        format!("push.tokens = [\n{list}]")
    };
    let two = tokens(&[("a", "x"), ("B", "x"), ("c", ""), ("d", "")]);
    let setup = resolved(&two, &[], &[]).unwrap();
    let kept: Vec<_> = setup.push.tokens.iter().map(|it| (it.sha256[31], it.source.is_some())).collect();
    assert_eq!(kept, [(0xaa, true), (0xbb, true), (0xcc, false), (0xdd, false)]);

    assert_eq!(
        refused(&tokens(&[("a", "x"), ("b", "x"), ("c", "x")]), &[], &[]),
        [concat!(
            "x.toml:4:12: a third token of source \"x\": two are enough to change from one to the next ",
            "(take the oldest out)"
        )]
    );
    assert_eq!(
        refused(&tokens(&[("a", "x"), ("a", "y")]), &[], &[]),
        ["x.toml:3:12: this token is listed already"]
    );
}

#[test]
fn a_picture_follows_the_plain_line_and_shows_no_secret() {
    let text = "[push]\ntokens = [{ sha256 = 'hunter2' }]\nallow = 'hunter'\n";
    let error = resolved(text, &[], &["http.hold=1"]).unwrap_err();
    for colour in [false, true] {
        let picture = error.with_snippets(colour);
        for line in error.to_string().lines() {
            assert!(picture.contains(line), "{picture}");
        }
        assert!(!picture.contains("hunter2"), "{picture}");
        assert!(picture.contains("x.toml:2:22"), "{picture}");
        assert_eq!(picture.contains('\u{1b}'), colour);
    }
    assert!(!format!("{error:?}").contains("hunter2"), "not even to a developer");
    let expected = "x.toml:3:9: push.allow: \"hunter\" is no IP address or network (write \"192.0.2.7\" or \
         \"192.0.2.0/24\"; host names are not looked up)\n   ╭─[x.toml:3:9]\n";
    assert!(error.with_snippets(false).contains(expected), "{}", error.with_snippets(false));
}

#[test]
fn a_thousand_mistakes_are_told_as_fifty_and_a_number() {
    let text: String = (0..1000).map(|n| format!("k{n:04} = 1\n")).collect();
    let error = resolved(&text, &[], &[]).unwrap_err();
    assert_eq!(error.mistakes().len(), 1000);
    assert_eq!(error.to_string().lines().count(), 51);
    assert_eq!(error.to_string().lines().last(), Some("and 950 more"));
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let load = |path: &Path| load(Some(path), std::iter::empty(), &[]).unwrap_err();
    let said = |error: &SetupError| error.to_string().replace(directory.path().to_str().unwrap(), "DIR");
    let written = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        said(&load(&path))
    };

    assert_eq!(said(&load(&directory.path().join("no.toml"))), "DIR/no.toml: there is no such file");
    assert_eq!(said(&load(directory.path())), "DIR: is a directory, not a setup file");
    let here = std::env::current_dir().unwrap();
    assert_eq!(
        load(Path::new("no-such.toml")).to_string(),
        format!("no-such.toml: there is no such file (looked in {})", here.display())
    );
    assert_eq!(
        written("latin1.toml", b"# caf\xe9\n"),
        "DIR/latin1.toml:1:6: a byte that is not UTF-8 (save the file as UTF-8)"
    );
    assert_eq!(
        written("huge.toml", &vec![b'#'; (1 << 20) + 1]),
        "DIR/huge.toml: is larger than 1 MiB, and so is no setup file"
    );
}
