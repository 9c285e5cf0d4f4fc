//! Built-in defaults < file < environment < arguments.

use super::{refused, resolved};
use std::time::Duration;

#[test]
fn a_later_layer_replaces_the_value_of_an_earlier_one() {
    let file = "[http]\nhold = '1s'\n";
    let variable = [("TKBD_HTTP_HOLD", "2s")];
    let hold = |environment: &[(&str, &str)], file: &str, sets: &[&str]| {
        resolved(file, environment, sets).unwrap().http.hold
    };
    assert_eq!(hold(&[], "", &[]), Duration::from_secs(20));
    assert_eq!(hold(&[], file, &[]), Duration::from_secs(1));
    assert_eq!(hold(&variable, file, &[]), Duration::from_secs(2));
    assert_eq!(hold(&variable, file, &["http.hold=3s"]), Duration::from_secs(3));
    assert_eq!(hold(&variable, file, &["http.hold=3s", "http.hold=4s"]), Duration::from_secs(4));
}

#[test]
fn a_value_that_is_replaced_need_not_be_right() {
    assert!(resolved("[http]\nhold = 'soon'", &[], &["http.hold=3s"]).is_ok());
}

#[test]
fn a_list_may_be_separated_by_commas_and_is_replaced_whole() {
    let file = "[push]\nallow = ['10.0.0.1', '10.0.0.2']\n";
    let allow = |value: &str| {
        let setup = resolved(file, &[], &[&format!("push.allow={value}")]).unwrap();
        setup.push.allow.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(allow("::1"), ["::1/128"]);
    assert_eq!(allow("::1, 10.0.0.0/8"), ["::1/128", "10.0.0.0/8"]);
    assert_eq!(allow("['::1', \"10.0.0.0/8\"]"), ["::1/128", "10.0.0.0/8"]);
    assert!(allow("").is_empty());
    assert!(allow("[]").is_empty());
}

#[test]
fn an_address_in_brackets_is_no_list() {
    let setup =
        resolved("", &[("TKBD_HTTP_LISTEN", "[::1]:8080")], &["push.listen=[::1]:1235,127.0.0.1:1235"]);
    let setup = setup.unwrap();
    assert_eq!(setup.http.listen, ["[::1]:8080".parse().unwrap()]);
    assert_eq!(setup.push.listen.len(), 2);
}

#[test]
fn a_value_is_what_its_key_wants_with_quotes_or_without() {
    for db in ["2026", "true", "\"2026\"", "a,b"] {
        let setup = resolved("", &[("TKBD_HISTORY_DB", db)], &[]).unwrap();
        assert_eq!(setup.history.db.to_str(), Some(db.trim_matches('"')));
    }
    let setup =
        resolved("", &[], &["history.enabled=false", "limits.pcs = 5", "log.level=warn,tkbd=debug"]).unwrap();
    assert!(!setup.history.enabled);
    assert_eq!(setup.limits.pcs, 5);
    assert_eq!(setup.log.level, "warn,tkbd=debug");
}

#[test]
fn rooms_may_come_from_an_argument_as_toml() {
    let setup = resolved("[[room]]\nkey = 'a'", &[], &["room=[{ key = 'b' }]"]).unwrap();
    let keys: Vec<_> = setup.rooms.iter().map(|room| room.key.as_str()).collect();
    assert_eq!(keys, ["b", "none"]);
}

#[test]
fn a_variable_or_an_argument_that_is_wrong_is_refused_by_its_name() {
    type Case = (&'static [(&'static str, &'static str)], &'static [&'static str], &'static str);
    let cases: [Case; 11] = [
        (&[("TKBD_HTTP_HOLD", "99h")], &[], "TKBD_HTTP_HOLD: \"99h\" is not between 100ms and 10m"),
        (
            &[("TKBD_HTP_HOLD", "1s")],
            &[],
            "TKBD_HTP_HOLD: there is no such variable (did you mean \"TKBD_HTTP_HOLD\"?)",
        ),
        (
            &[("TKBD_LOG", "info")],
            &[],
            "TKBD_LOG: names a whole table (its keys are TKBD_LOG_LEVEL, TKBD_LOG_FORMAT)",
        ),
        (&[("TKBD_XYZ", "")], &[], "TKBD_XYZ: there is no such variable"),
        (
            &[("TKBD_MIRROR_MASTER", "a")],
            &[],
            "TKBD_MIRROR_MASTER: wants an address that begins with http:// or https://",
        ),
        (&[], &["http.hodl=1s"], "--set http.hodl: there is no such key (did you mean \"http.hold\"?)"),
        (&[], &["log=info"], "--set log: names a whole table (its keys are log.level, log.format)"),
        (&[], &["http.hold"], "--set http.hold: names no value (write --set KEY=VALUE)"),
        (&[], &["room=a"], "--set room: wants one table [[room]] for each, not a text"),
        (
            &[],
            &["http.max_head=16k"],
            "--set http.max_head: wants a whole number without quotes and units, not \"16k\"",
        ),
        (
            &[],
            &["http.listen=0.0.0.0:9000"],
            concat!(
                "--set http.listen: push.listen \"127.0.0.1:9000\" and http.listen \"0.0.0.0:9000\" take the same ",
                "port (give each its own)"
            ),
        ),
    ];
    for (environment, sets, line) in cases {
        assert_eq!(refused("[push]\nlisten = '127.0.0.1:9000'", environment, sets), [line]);
    }
}

#[test]
fn a_token_given_by_variable_is_not_repeated() {
    let environment = [("TKBD_PUSH_TOKENS", "hunter2")];
    let lines = refused("", &environment, &["push.tokens=[{ sha256 = 'hunter2' }]"]);
    assert_eq!(lines.len(), 1);
    let more = refused("", &environment, &[]);
    for line in lines.iter().chain(&more) {
        assert!(!line.contains("hunter2"), "{line}");
    }
}

#[test]
fn variables_of_others_are_not_ours() {
    assert!(resolved("", &[("HTTP_HOLD", "x"), ("tkbd_x", "y"), ("PATH", "/")], &[]).is_ok());
}
