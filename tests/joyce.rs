//! The Joyce port, promise by promise: how a channel is asked for, what it is told, and when.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::{
    Channel, DEFAULT_ROOMS, Daemon, Request, Response, View, assert_taken, chunked, entry, everything,
    filter, get, messages_of, one, only, percent, rooms, states, types, version,
};
use serde_json::{Value, json};

/// A reply's list, of an answer that must be one.
fn list_of(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.media_type(), "application/json", "{response:?}");
    response.json()
}

/// The messages of a channel's first reply.
fn first_messages(response: &Response) -> Vec<Value> {
    let reply = list_of(response);
    let messages = messages_of(reply[0].as_str().unwrap(), &reply);
    assert_eq!(types(&messages)[..2], ["welcome", "tags"], "{reply}");
    assert_eq!(messages[0]["protocols"], json!([1]));
    assert_eq!(messages[1]["tags"], json!(["hg"]));
    assert!(messages[1]["version"].is_u64());
    messages
}

/// A 400 says in one plain line what is wrong.
fn assert_bad(response: &Response, what: &str) {
    assert_eq!(response.status, 400, "{what} → {response:?}");
    let line = response.text().trim_end_matches('\n');
    assert!(!line.is_empty() && !line.contains('\n'), "{what} → {response:?}");
    assert_eq!(response.media_type(), "text/plain", "{what} → {response:?}");
}

// ------------------------------------------------------------------------------------------ §1, requests and replies

#[test]
fn every_way_to_ask_for_a_channel_is_answered_at_once_with_welcome_then_tags() {
    let daemon = Daemon::start(&[]);
    let form = "application/x-www-form-urlencoded";
    let requests = [
        Request::get("/?m=null"),
        Request::get("/?m=%5B%5D"),
        Request::get("/?m=%5Bnull%5D"),
        Request::get("/?m=%20%5B%20null%20%5D%20"),
        Request::post("/").body("null"),
        Request::post("/").body("[]"),
        Request::post("/").body("[null]"),
        Request::post("/").body(""),
        Request::post("/").header("Content-Type", "application/json").body("[]"),
        Request::post("/").header("Content-Type", "application/json; charset=utf-8").body("[null]"),
        Request::post("/").header("Content-Type", "text/plain").body("[]"),
        Request::post("/").header("Content-Type", form).body("m=%5B%5D"),
        Request::post("/").header("Content-Type", form).body("m=null&_=1"),
        Request::post("/").header("Content-Type", &format!("{form}; charset=UTF-8")).body("m=%5Bnull%5D"),
        Request::post("/").header("Transfer-Encoding", "chunked").body(chunked(b"[null]", 2)),
        Request::post("/").header("Transfer-Encoding", "chunked").body(chunked(b"", 1)),
    ];
    for request in requests {
        let messages = first_messages(&daemon.ask(&request));
        assert_eq!(messages.len(), 2, "{request:?}");
    }
}

#[test]
fn a_reply_is_json_for_any_origin_with_its_length_and_its_connection_stays() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect();
    for origin in [None, Some("http://welke.tk")] {
        let request = Request::get("/?m=%5B%5D");
        let request = origin.iter().fold(request, |request, origin| request.header("Origin", origin));
        let response = client.exchange(&request);
        assert_eq!(response.version, "HTTP/1.1");
        assert_eq!(response.header("Content-Type").unwrap().split(';').next(), Some("application/json"));
        assert_eq!(response.header("Access-Control-Allow-Origin"), Some("*"));
        assert_eq!(response.header("Access-Control-Allow-Credentials"), None);
        assert_eq!(response.header("Content-Length"), Some(response.body.len().to_string().as_str()));
        first_messages(&response);
    }
}

#[test]
fn requests_on_one_connection_are_answered_in_their_order() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect();
    let mut bytes = Request::get("/?m=%5B%22one%22%5D").bytes();
    bytes.extend(Request::post("/").body(r#"["two"]"#).bytes());
    bytes.extend(Request::get("/nowhere").bytes());
    bytes.extend(Request::get("/?m=%5B%22three%22%5D").bytes());
    client.send(&bytes);
    assert_eq!(client.receive().json()[0], "one");
    assert_eq!(client.receive().json()[0], "two");
    assert_eq!(client.receive().status, 400);
    assert_eq!(client.receive().json()[0], "three");
}

#[test]
fn a_client_of_http_1_0_is_served_and_its_connection_closed() {
    let daemon = Daemon::start(&["http.hold=200ms"]);
    let mut client = daemon.connect();
    let response = client.exchange(&Request::get("/?m=%5B%22old%22%5D").http10());
    assert_eq!(response.header("Transfer-Encoding"), None, "HTTP/1.0 knows no chunks");
    first_messages(&response);
    client.wait_until_closed();

    let mut client = daemon.connect();
    let held = client.exchange(&Request::post("/").http10().body(r#"["old"]"#));
    assert_eq!(list_of(&held), json!(["old", [], []]));
    client.wait_until_closed();

    let mut client = daemon.connect();
    client.send(b"GET /?m=null HTTP/1.0\r\n\r\n");
    first_messages(&client.receive());
}

#[test]
fn a_client_that_says_close_is_closed() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect();
    first_messages(&client.exchange(&Request::get("/?m=null").header("Connection", "close")));
    client.wait_until_closed();
}

#[test]
fn other_parameters_are_ignored() {
    let daemon = Daemon::start(&[]);
    for target in ["/?_=1290000000000&m=null", "/?m=null&_=1&_=2", "/?x&m=null&y=", "/?M=1&m=null"] {
        first_messages(&daemon.ask(&Request::get(target)));
    }
}

#[test]
fn messages_stand_flat_or_as_one_list() {
    let daemon = Daemon::start(&[]);
    let mut channel = Channel::new(&daemon);
    let flat = channel.ask(&json!([get("tag_names"), get("occupation")]));
    let list = channel.ask(&json!([[get("tag_names"), get("occupation")]]));
    assert_eq!(types(&flat), ["tags", "occupation"]);
    assert_eq!(flat, list);
    let response = daemon.ask_m(&json!([null, [get("tag_names")]]).to_string());
    assert_eq!(types(&first_messages(&response)), ["welcome", "tags", "tags"]);
}

#[test]
fn a_path_of_the_setup_is_where_joyce_is() {
    let daemon = Daemon::start(&["http.path=/joyce"]);
    first_messages(&daemon.ask(&Request::get("/joyce?m=null")));
    assert_eq!(daemon.ask(&Request::get("/elsewhere?m=null")).status, 400);
}

#[test]
fn the_bad_is_told_in_one_plain_line_and_never_in_a_callback() {
    let daemon = Daemon::start(&[]);
    let form = "application/x-www-form-urlencoded";
    let get = |m: &str| Request::get(&format!("/?m={}", percent(m)));
    let missing = [
        Request::get("/"),
        Request::get("/?m="),
        Request::get("/?m"),
        Request::get("/?x=1"),
        Request::get("/?c=cb"),
        Request::get("/?m=null&m=null"),
        Request::post("/").header("Content-Type", form).body("x=1"),
        Request::post("/").header("Content-Type", form).body("m="),
        Request::post("/?m=null").header("Content-Type", form).body(""),
        Request::post("/").header("Content-Type", form).body("m=null&m=null"),
    ];
    for request in &missing[..6] {
        let response = daemon.ask(request);
        assert_bad(&response, &format!("{request:?}"));
        assert_eq!(response.text().trim_end(), "Missing argument m", "{request:?}");
    }
    let others = [
        get("["),
        get("[] x"),
        get("[]["),
        get("{}"),
        get("\"abc\""),
        get("0"),
        get("7"),
        get("true"),
        get("false"),
        get("nul"),
        get("['a']"),
        Request::post("/").body("["),
        Request::post("/").body("{}"),
        Request::post("/").body("\"\""),
        Request::post("/").header("Content-Type", "application/json").body("m=%5B%5D"),
        Request::get("/?c=cb&m=%5B"),
        Request::post("/?c=cb").body("["),
        Request::get("/nope?m=null&c=cb"),
        Request::get("/favicon.ico"),
    ];
    for request in missing[6..].iter().chain(&others) {
        let response = daemon.ask(request);
        assert_bad(&response, &format!("{request:?}"));
        assert!(!response.text().contains("cb("), "{response:?}");
    }
    let unknown = daemon.ask(&Request::get("/nope"));
    assert_eq!(unknown.text().trim_end(), "Unknown path");
}

#[test]
fn a_browser_that_asks_for_no_channel_gets_the_page() {
    let daemon = Daemon::start(&[]);
    let response =
        daemon.ask(&Request::get("/").header("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"));
    assert_eq!((response.status, response.media_type()), (200, "text/html"), "{response:?}");
    assert!(!response.body.is_empty());
}

// --------------------------------------------------------------------------------------- §1, when it is answered

#[test]
fn a_first_request_is_answered_with_welcome_tags_and_the_answers_to_its_messages() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "wf");
    let page = json!([null, everything(), get("roomMap"), get("schedule"), get("occupation")]).to_string();
    let messages = first_messages(&daemon.ask_m(&page));
    assert_eq!(types(&messages), ["welcome", "tags", "roomMap", "schedule", "occupation"]);
    assert_eq!(messages[4]["occupation"], json!({"hg075pc01": "wf"}));

    let slave = json!(["sLaVe+0/", get("tag_names"), get("occupation")]).to_string();
    let messages = first_messages(&daemon.ask(&Request::post("/").body(slave)));
    assert_eq!(types(&messages), ["welcome", "tags", "tags", "occupation"]);
}

#[test]
fn all_answers_come_at_once_and_in_the_order_of_their_messages() {
    let daemon = Daemon::start(&[]);
    let mut channel = Channel::new(&daemon);
    let orders = [
        ["tag_names", "tagMap", "roomMap", "schedule", "occupation", "historic_updates"],
        ["historic_updates", "occupation", "schedule", "roomMap", "tagMap", "tag_names"],
    ];
    for order in orders {
        let messages = channel.ask(&Value::from(order.map(get).to_vec()));
        let expected = order.map(|what| if what == "tag_names" { "tags" } else { what });
        assert_eq!(types(&messages), expected);
    }
}

#[test]
fn c4_what_waits_for_a_channel_is_given_at_once_and_all_of_it() {
    let daemon = Daemon::start(&[]);
    let mut channel = Channel::with_filter(&daemon, &Value::Null);
    daemon.set("hg075pc01", "wf");
    daemon.set("hg075pc02", "lu");
    daemon.set("hg075pc01", "wu");
    let messages = channel.poll();
    let update = one(&messages, "occupation_update");
    assert_eq!(update["update"], json!({"hg075pc01": "wu", "hg075pc02": "lu"}));
    let map = one(&messages, "roomMap");
    assert_eq!(rooms(&map["roomMap"])["hg075"].1.len(), 2);
}

#[test]
fn a_request_with_nothing_to_say_is_held_to_the_hold_time_out_and_answered_empty() {
    let daemon = Daemon::start(&["http.hold=200ms"]);
    let mut channel = Channel::new(&daemon);
    for _ in 0..3 {
        assert_eq!(channel.poll(), [json!(null); 0]);
    }
    let response =
        daemon.ask(&Request::get(&format!("/?m={}&c=cb", percent(json!([channel.token()]).to_string()))));
    assert_eq!(response.jsonp("cb"), json!([channel.token(), [], []]));
}

#[test]
fn a_held_request_is_answered_by_the_push_that_concerns_it() {
    let daemon = Daemon::start(&[]);
    let mut channel = Channel::with_filter(&daemon, &Value::Null);
    let mut other = Channel::with_filter(&daemon, &json!([]));
    daemon.set("hg075pc01", "o");
    assert_eq!(types(&channel.poll()), ["roomMap", "schedule", "occupation_update"]);

    channel.send(&json!([]));
    other.send(&json!([]));
    daemon.settle();
    daemon.set("hg075pc01", "wf");
    let messages = channel.receive();
    assert_eq!(only(&messages, "occupation_update")["update"], json!({"hg075pc01": "wf"}));

    // The one whom it does not concern is held still: it gets what it asks for next, and not the push.
    let older = other.reconnect(&daemon);
    let messages = other.ask(&json!([get("tag_names")]));
    assert_eq!(types(&messages), ["tags"]);
    let mut older = older;
    assert_eq!(list_of(&older.receive()), json!([other.token(), [], []]));
}

#[test]
fn a_message_without_an_answer_leaves_its_request_held() {
    let daemon = Daemon::start(&[]);
    for (i, message) in [everything(), json!({"type": "frobnicate"})].into_iter().enumerate() {
        let mut channel = Channel::with_filter(&daemon, &Value::Null);
        daemon.settle();
        channel.send(&json!([message]));
        daemon.settle();
        let state = ["wf", "wu"][i];
        daemon.set("hg075pc01", state);
        let messages = channel.receive();
        assert_eq!(one(&messages, "occupation_update")["update"], json!({"hg075pc01": state}));
    }
}

#[test]
fn a_filter_that_comes_with_the_held_request_decides_what_answers_it() {
    let daemon = Daemon::start(&[]);
    daemon.push("seed", &json!({"hg075pc01": entry("o"), "printer7": entry("o")}));
    let mut channel = Channel::new(&daemon);
    channel.send(&json!([filter(&json!(["hg"]))]));
    daemon.settle();
    daemon.set("printer7", "wf");
    daemon.set("hg075pc01", "wf");
    let messages = channel.receive();
    assert_eq!(only(&messages, "occupation_update")["update"], json!({"hg075pc01": "wf"}));
}

#[test]
fn c5_the_older_of_two_requests_is_answered_empty_and_the_newer_gets_what_comes() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "o");
    let mut channel = Channel::with_filter(&daemon, &Value::Null);
    channel.send(&json!([]));
    daemon.settle();
    let mut older = channel.reconnect(&daemon);
    channel.send(&json!([]));
    assert_eq!(list_of(&older.receive()), json!([channel.token(), [], []]));
    daemon.set("hg075pc01", "wf");
    let messages = channel.receive();
    assert_eq!(only(&messages, "occupation_update")["update"], json!({"hg075pc01": "wf"}));
}

#[test]
fn c5_messages_are_answered_in_the_newer_request_and_the_held_one_empty() {
    let daemon = Daemon::start(&[]);
    for messages in [json!([get("occupation")]), json!([get("tag_names"), get("roomMap"), get("occupation")])]
    {
        let mut channel = Channel::new(&daemon);
        channel.send(&json!([]));
        daemon.settle();
        let mut older = channel.reconnect(&daemon);
        let answers = channel.ask(&messages);
        assert_eq!(answers.len(), messages.as_array().unwrap().len());
        assert_eq!(list_of(&older.receive()), json!([channel.token(), [], []]));
    }
}

#[test]
fn c5_a_filter_in_the_newer_request_answers_the_older_and_holds() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "o");
    let mut channel = Channel::new(&daemon);
    channel.send(&json!([]));
    daemon.settle();
    let mut older = channel.reconnect(&daemon);
    channel.send(&json!([{"type": "set_msgFilter", "occupation": null}]));
    assert_eq!(list_of(&older.receive()), json!([channel.token(), [], []]));
    daemon.set("hg075pc01", "wf");
    let messages = channel.receive();
    assert_eq!(only(&messages, "occupation_update")["update"], json!({"hg075pc01": "wf"}));
}

#[test]
fn c5_whatever_the_order_in_which_requests_arrive_each_push_is_told_once_and_versions_never_fall() {
    let daemon = Daemon::start(&["http.hold=300ms"]);
    daemon.set("hg075pc01", "o");
    let mut channel = Channel::with_filter(&daemon, &Value::Null);
    let mut told = Vec::new();
    for i in 0..30 {
        channel.send(&json!([]));
        let mut older = channel.reconnect(&daemon);
        channel.send(&json!([]));
        daemon.set("hg075pc01", if i % 2 == 0 { "wf" } else { "wu" });
        let (one, two) = (older.receive().json(), channel.client().receive().json());
        for reply in [one, two] {
            told.extend(messages_of(channel.token(), &reply));
        }
    }
    told.extend(channel.poll());
    let mut versions: Vec<u64> = told.iter().map(version).collect();
    assert!(told.iter().all(|m| m["type"] == "occupation_update"), "{told:?}");
    versions.sort_unstable();
    let unmerged = versions.len();
    versions.dedup();
    assert_eq!(versions.len(), unmerged, "an update was told twice");
    let last = told.iter().max_by_key(|m| version(m)).unwrap();
    assert_eq!(last["update"], json!({"hg075pc01": "wu"}));
}

#[test]
fn c1_a_client_that_leaves_while_held_loses_nothing() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "o");
    for (i, reset) in [false, true].into_iter().enumerate() {
        let mut channel = Channel::with_filter(&daemon, &Value::Null);
        let request = channel.request(&json!([])).bytes();
        if reset {
            // An answer that nobody reads makes the end of the connection a reset.
            let mut both = channel.request(&json!([get("tag_names")])).bytes();
            both.extend(request);
            channel.client().send(&both);
        } else {
            channel.client().send(&request);
        }
        daemon.settle();
        let gone = channel.reconnect(&daemon);
        if reset {
            gone.leave_with_a_reset();
        } else {
            drop(gone);
        }
        daemon.settle();
        let state = ["wf", "wu"][i];
        daemon.set("hg075pc01", state);
        let messages = channel.ask(&json!([get("tag_names")]));
        assert!(!types(&messages).contains(&"welcome"), "the channel was kept: {messages:?}");
        assert_eq!(one(&messages, "occupation_update")["update"], json!({"hg075pc01": state}));
        assert_eq!(types(&messages).iter().filter(|&&t| t == "tags").count(), 1);
    }
}

#[test]
fn c3_f4_a_channel_nobody_asks_for_ends_and_the_same_name_is_welcomed_with_the_filter_it_had() {
    let daemon = Daemon::start(&["http.channel_expiry=1s"]);
    daemon.push("seed", &json!({"hg075pc01": entry("wf"), "printer7": entry("o")}));
    let mut channel = Channel::with_filter(&daemon, &json!(["hg"]));
    let mut pause = std::time::Duration::from_millis(1_100);
    let messages = loop {
        std::thread::sleep(pause);
        let messages = channel.ask(&json!([get("tag_names")]));
        if types(&messages).contains(&"welcome") {
            break messages;
        }
        pause *= 2;
        assert!(pause < common::GUARD, "the channel never ends");
    };
    assert_eq!(types(&messages), ["welcome", "tags", "roomMap", "schedule", "occupation", "tags"]);
    assert_eq!(messages[4]["occupation"], json!({"hg075pc01": "wf"}));
    assert_eq!(rooms(&messages[2]["roomMap"]).len(), DEFAULT_ROOMS.len() - 1);
}

#[test]
fn a_channel_whose_request_is_held_does_not_end() {
    let daemon = Daemon::start(&["http.channel_expiry=1s"]);
    daemon.set("hg075pc01", "o");
    let mut held = Channel::with_filter(&daemon, &Value::Null);
    held.send(&json!([]));
    daemon.settle();
    let mut idle = Channel::new(&daemon);
    let mut pause = std::time::Duration::from_millis(1_100);
    while types(&idle.ask(&json!([get("tag_names")]))) == ["tags"] {
        std::thread::sleep(pause);
        pause *= 2;
        assert!(pause < common::GUARD, "no channel ever ends");
    }
    daemon.set("hg075pc01", "wf");
    let messages = held.receive();
    assert_eq!(only(&messages, "occupation_update")["update"], json!({"hg075pc01": "wf"}));
}

#[test]
fn c6_an_unknown_token_becomes_a_channel_of_that_name() {
    let daemon = Daemon::start(&["http.hold=100ms"]);
    for token in ["my-own-token", "ab+cd/e=", "a", "0", "AAAAAAAA"] {
        let m = json!([token]).to_string();
        let reply = list_of(&daemon.ask_m(&m));
        assert_eq!(reply[0], json!(token));
        assert_eq!(
            types(&messages_of(token, &reply)),
            ["welcome", "tags"],
            "no snapshot where no filter was saved"
        );
        assert_eq!(
            list_of(&daemon.ask(&Request::post("/").body(&m))),
            json!([token, [], []]),
            "now it is known"
        );
    }
}

#[test]
fn c7_a_token_has_its_form_or_the_request_is_bad() {
    let daemon = Daemon::start(&[]);
    let longest = "x".repeat(64);
    for good in ["A", "aZ09+/=_-", longest.as_str()] {
        assert_eq!(list_of(&daemon.ask_m(&json!([good]).to_string()))[0], json!(good));
    }
    let long = "x".repeat(65);
    let bad = [
        json!(""),
        json!("a b"),
        json!("tök€n"),
        json!(long),
        json!("a.b"),
        json!("<b>"),
        json!("a\nb"),
        json!("a\"b"),
        json!(5),
        json!(1.5),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
        json!(["tok"]),
    ];
    for token in bad {
        assert_bad(&daemon.ask_m(&json!([token]).to_string()), &token.to_string());
    }
    assert_bad(&daemon.ask(&Request::get("/?m=%5B%22ab+cd%22%5D")), "a raw + is a space");
    assert_eq!(list_of(&daemon.ask(&Request::get("/?m=%5B%22ab%2Bcd%22%5D")))[0], "ab+cd");
}

#[test]
fn c7_tokens_of_ours_are_url_safe_long_and_never_the_same() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect();
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let reply = list_of(&client.exchange(&Request::get("/?m=null")));
        let token = reply[0].as_str().unwrap().to_owned();
        assert!(token.len() >= 22, "128 bits need 22 characters: {token}");
        assert!(token.len() <= 64, "{token}");
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{token}");
        assert!(seen.insert(token));
    }
    for i in 0..16 {
        let heads: BTreeSet<_> = seen.iter().map(|token| &token[i..=i]).collect();
        assert!(heads.len() > 10, "hardly any chance at place {i}: {heads:?}");
    }
}

#[test]
fn c8_a_callback_wraps_the_reply_and_cannot_become_anything_else() {
    let daemon = Daemon::start(&["http.hold=100ms"]);
    let push = json!({"datasource": "</script><b>", "data": {"hg075pc01": {"status": "free"}}});
    let pushed = daemon.connect_push().exchange(&Request::post("/push").body(push.to_string()));
    assert_eq!(pushed.status, 200);
    let m = percent(json!([null, {"type": "get_historic_updates"}]).to_string());
    for request in [
        Request::get(&format!("/?c=jQuery17109_1&m={m}&_=1290000000000")),
        Request::get(&format!("/?m={m}&c=jQuery17109_1")),
    ] {
        let response = daemon.ask(&request);
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(response.media_type(), "text/javascript");
        assert_eq!(response.header("X-Content-Type-Options"), Some("nosniff"));
        assert!(
            response.header("Cache-Control").is_some_and(|value| value.contains("no-store")),
            "{response:?}"
        );
        assert_eq!(response.header("Access-Control-Allow-Origin"), Some("*"));
        let text = response.text();
        assert!(!text.contains('<'), "{text}");
        let reply = response.jsonp("jQuery17109_1");
        assert_eq!(reply[1][2]["updates"][0][1], "</script><b>");
    }
    let posted = daemon.ask(&Request::post("/?c=cb").body("[null]"));
    assert_eq!(posted.media_type(), "text/javascript");
    assert_eq!(types(posted.jsonp("cb")[1].as_array().unwrap()), ["welcome", "tags"]);

    let longest = "a".repeat(128);
    for name in ["a", "$", "_", "jQuery.cb1", "$.a_b", longest.as_str()] {
        let response = daemon.ask(&Request::get(&format!("/?m=null&c={}", percent(name))));
        assert_eq!(response.jsonp(name)[1][0]["type"], "welcome");
    }
    let long = "a".repeat(129);
    let bad = [
        "1a",
        ".a",
        "a-b",
        "a b",
        "a(b",
        "alert(1)//<script>",
        "a\r\nb",
        "a;b",
        "a[0]",
        "é",
        "a\0",
        long.as_str(),
    ];
    for name in bad {
        let response = daemon.ask(&Request::get(&format!("/?m=null&c={}", percent(name))));
        assert_bad(&response, name);
        assert!(!response.text().contains('<'), "{response:?}");
    }
}

#[test]
fn c8_a_bad_callback_costs_the_channel_nothing() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "o");
    let mut channel = Channel::with_filter(&daemon, &json!(["hg"]));
    daemon.set("hg075pc01", "wf");
    let m = percent(json!([channel.token(), filter(&json!([]))]).to_string());
    assert_bad(&daemon.ask(&Request::get(&format!("/?m={m}&c=1"))), "bad callback");
    assert_eq!(only(&channel.poll(), "occupation_update")["update"], json!({"hg075pc01": "wf"}));
}

// --------------------------------------------------------------------------------------- §2, messages from clients

#[test]
fn a_filter_starts_as_nothing_and_a_get_then_answers_empty_with_the_true_version() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "wf");
    daemon.set("hg075pc01", "wu");
    let truth = daemon.whole();
    let mut channel = Channel::new(&daemon);
    let messages = channel.ask(&json!([get("occupation"), get("roomMap"), get("schedule")]));
    let expected = [
        ("occupation", truth.occupation_version),
        ("roomMap", truth.room_map_version),
        ("schedule", truth.schedule_version),
    ];
    for (message, (what, version)) in messages.iter().zip(expected) {
        assert_eq!(*message, json!({"type": what, "version": version, what: {}}));
    }
}

#[test]
fn a_filter_is_what_it_was_set_to_and_anything_else_leaves_it_as_it_is() {
    let daemon = Daemon::start(&[]);
    daemon.push("seed", &json!({"hg075pc01": entry("wf"), "printer7": entry("o")}));
    let all = json!({"hg075pc01": "wf", "printer7": "o"});
    let tagged = json!({"hg075pc01": "wf"});
    let cases = [
        (json!(null), &all),
        (json!([]), &json!({})),
        (json!(["hg"]), &tagged),
        (json!(["hg", "hg"]), &tagged),
        (json!(["nope", "hg"]), &tagged),
        (json!(["nope"]), &json!({})),
        (json!(["HG"]), &json!({})),
        (json!([1, null, true]), &json!({})),
    ];
    for (set, expected) in &cases {
        let mut channel = Channel::with_filter(&daemon, &Value::Null);
        let messages = channel.ask(&json!([filter(set), get("occupation")]));
        assert_eq!(&only(&messages, "occupation")["occupation"], *expected, "{set}");
    }
    for kept in [json!("hg"), json!(5), json!({}), json!(true), json!(false), json!("")] {
        let mut channel = Channel::with_filter(&daemon, &json!(["hg"]));
        let messages = channel.ask(&json!([filter(&kept), get("occupation")]));
        assert_eq!(only(&messages, "occupation")["occupation"], tagged, "{kept}");
    }
    let mut channel = Channel::with_filter(&daemon, &json!(["hg"]));
    let messages = channel.ask(&json!([
        {"type": "set_msgFilter"},
        {"type": "set_msgFilter", "roomMap": null, "occupation": "everything"},
        get("occupation"),
        get("roomMap"),
    ]));
    assert_eq!(messages[0]["occupation"], tagged);
    assert_eq!(rooms(&messages[1]["roomMap"]).len(), DEFAULT_ROOMS.len());
}

#[test]
fn each_of_the_three_filters_is_set_by_itself() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "wf");
    for which in ["occupation", "roomMap"] {
        let mut channel = Channel::new(&daemon);
        let messages = channel.ask(&json!([
            {"type": "set_msgFilter", which: null}, get("occupation"), get("roomMap"), get("schedule")
        ]));
        for message in &messages {
            let what = message["type"].as_str().unwrap();
            let filled = !message[what].as_object().unwrap().is_empty();
            assert_eq!(filled, what == which, "{message} under a filter of {which}");
        }
    }
}

#[test]
fn the_get_messages_are_answered_with_what_they_ask_for() {
    let daemon = Daemon::start(&[]);
    let data = json!({"hg075pc01": entry("wf"), "bibpc44": entry("x"), "printer7": entry("o"), "hg999pc01": entry("lu")});
    daemon.push("seed", &data);
    let mut channel = Channel::with_filter(&daemon, &Value::Null);
    let messages = channel.ask(&json!([
        get("tag_names"),
        get("tagMap"),
        get("roomMap"),
        get("schedule"),
        get("occupation")
    ]));
    assert_eq!(messages[0]["tags"], json!(["hg"]));
    let tagged: BTreeSet<&str> =
        messages[1]["tagMap"]["hg"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    let expected: BTreeSet<&str> =
        DEFAULT_ROOMS.iter().map(|(key, _)| *key).filter(|key| *key != "none").collect();
    assert_eq!(tagged, expected);
    assert!(messages[1]["version"].is_u64());
    let map = rooms(&messages[2]["roomMap"]);
    for (key, name) in DEFAULT_ROOMS {
        assert_eq!(map[key].0, name);
    }
    assert_eq!(map.len(), DEFAULT_ROOMS.len() + 1);
    assert_eq!(map["hg999"], ("hg999".to_owned(), BTreeSet::from(["hg999pc01".to_owned()])));
    assert_eq!(map["hgbib"].1, BTreeSet::from(["bibpc44".to_owned()]));
    assert_eq!(map["none"].1, BTreeSet::from(["printer7".to_owned()]));
    assert!(map["hg761"].1.is_empty(), "an empty room is there too");
    assert!(messages[3]["schedule"].is_object());
    assert_eq!(
        messages[4]["occupation"],
        json!({"hg075pc01": "wf", "bibpc44": "x", "printer7": "o", "hg999pc01": "lu"})
    );

    let mut tagged = Channel::with_filter(&daemon, &json!(["hg"]));
    let messages = tagged.ask(&json!([get("roomMap"), get("occupation")]));
    let map = rooms(&messages[0]["roomMap"]);
    assert!(!map.contains_key("none") && !map.contains_key("hg999"));
    assert_eq!(map.len(), DEFAULT_ROOMS.len() - 1);
    assert_eq!(messages[1]["occupation"], json!({"hg075pc01": "wf", "bibpc44": "x"}));
}

#[test]
fn c13_a_malformed_message_is_ignored_and_its_siblings_work() {
    let daemon = Daemon::start(&[]);
    let mut channel = Channel::new(&daemon);
    let malformed = [
        json!("hello"),
        json!(5),
        json!(null),
        json!(true),
        json!({}),
        json!({"foo": 1}),
        json!({"type": null}),
        json!({"type": [1]}),
        json!({"type": 7}),
        json!({"type": "get_everything"}),
        json!({"type": "Get_Occupation"}),
        json!({"type": "welcome", "protocols": [1]}),
        json!({"type": "get_historic_updates", "offset": null, "count": null}),
        json!({"type": "get_historic_updates", "offset": "abc"}),
        json!({"type": "get_historic_updates", "offset": []}),
        json!({"type": "get_historic_updates", "count": {}}),
    ];
    for message in malformed {
        let messages = channel.ask(&json!([message, get("tag_names")]));
        assert_eq!(types(&messages), ["tags"], "{message} before");
        let messages = channel.ask(&json!([get("tag_names"), message]));
        assert_eq!(types(&messages), ["tags"], "{message} after");
    }
    let messages = channel.ask(&json!([{"type": "get_tag_names", "foo": {"bar": [1]}}]));
    assert_eq!(types(&messages), ["tags"], "what a message has besides is no fault of it");
}

#[test]
fn c13_a_request_has_at_most_32_messages() {
    let daemon = Daemon::start(&[]);
    let mut channel = Channel::new(&daemon);
    let many = |count: usize| Value::from(vec![get("tag_names"); count]);
    assert_eq!(channel.ask(&many(32)).len(), 32);
    assert_eq!(channel.ask(&json!([many(32)])).len(), 32);
    for too_many in [many(33), json!([many(33)])] {
        let response = daemon.ask(&channel.request(&too_many));
        assert_bad(&response, "33 messages");
    }
    let mut filters = vec![everything()];
    filters.extend(vec![get("tag_names"); 32]);
    assert_bad(&daemon.ask(&channel.request(&Value::from(filters))), "33 messages");
    daemon.set("hg075pc01", "wf");
    let messages = channel.ask(&json!([get("occupation")]));
    assert_eq!(only(&messages, "occupation")["occupation"], json!({}), "nothing of a bad request is applied");
}

#[test]
fn c14_offset_and_count_are_taken_as_they_are_meant_and_echoed_as_clamped() {
    let daemon = Daemon::start(&[]);
    let mut expected = Vec::new();
    for i in 0..12 {
        let (pc, state) = (format!("hg075pc{i:02}"), if i % 2 == 0 { "wf" } else { "lu" });
        daemon.set(&pc, state);
        expected.push((pc, state));
    }
    let mut channel = Channel::new(&daemon);
    let cases = [
        (json!({}), 0, 1000),
        (json!({"offset": 0, "count": 3}), 0, 3),
        (json!({"offset": 2, "count": 3}), 2, 3),
        (json!({"offset": -5, "count": 2}), 0, 2),
        (json!({"offset": 0, "count": -1}), 0, 0),
        (json!({"offset": 0, "count": 0}), 0, 0),
        (json!({"offset": 0, "count": 1000}), 0, 1000),
        (json!({"offset": 0, "count": 1001}), 0, 1000),
        (json!({"offset": 0, "count": 4_000_000_000_000_u64}), 0, 1000),
        (json!({"offset": 1000, "count": 5}), 1000, 5),
        (json!({"offset": 12}), 12, 1000),
        (json!({"offset": "1", "count": "2"}), 1, 2),
        (json!({"offset": 1.9, "count": 2.9}), 1, 2),
        (json!({"offset": 1e0, "count": 1e300}), 1, 1000),
        (json!({"offset": -0.5, "count": -1e300}), 0, 0),
        (json!({"offset": 8}), 8, 1000),
        (json!({"count": 1}), 0, 1),
        (json!({"offset": 4_611_686_018_427_387_904_u64, "count": 1}), 4_611_686_018_427_387_904_u64, 1),
    ];
    for (fields, offset, count) in cases {
        let mut message = fields.clone();
        message["type"] = json!("get_historic_updates");
        let messages = channel.ask(&json!([message, get("tag_names")]));
        assert_eq!(types(&messages), ["historic_updates", "tags"], "{fields}");
        assert_eq!(messages[0]["offset"], json!(offset), "{fields}");
        assert_eq!(messages[0]["count"], json!(count), "{fields}");
        let rows = messages[0]["updates"].as_array().unwrap();
        let due: Vec<_> = expected.iter().skip(usize::try_from(offset).unwrap()).take(count).collect();
        assert_eq!(rows.len(), due.len(), "{fields}: {rows:?}");
        for (row, (pc, state)) in rows.iter().zip(due) {
            assert_eq!((&row[0], &row[1], &row[3]), (&json!(pc), &json!("test"), &json!(state)), "{fields}");
            assert!(row[2].is_i64(), "whole seconds: {row}");
        }
    }
    for past in ["9223372036854775807", "9223372036854775808", "18446744073709551616", "1e30"] {
        let body =
            format!(r#"["{}",{{"type":"get_historic_updates","offset":{past},"count":1}}]"#, channel.token());
        let reply = list_of(&daemon.ask(&Request::post("/").body(body)));
        assert_eq!(only(&channel.check(&reply), "historic_updates")["updates"], json!([]), "{past}");
    }
}

// --------------------------------------------------------------------------------------- §3, messages from the server

#[test]
fn a_push_with_many_changes_is_one_version_and_one_without_any_is_none() {
    let daemon = Daemon::start(&[]);
    let mut channel = Channel::with_filter(&daemon, &Value::Null);
    let before = daemon.whole();
    let data: serde_json::Map<String, Value> =
        (0..300).map(|i| (format!("hg075pc{i:03}"), entry("o"))).collect();
    daemon.push("seed", &Value::from(data.clone()));
    let after = daemon.whole();
    assert_eq!(after.occupation_version, before.occupation_version + 1);
    assert_eq!(
        after.room_map_version,
        before.room_map_version + 1,
        "one push with many new PCs is one change"
    );
    assert_eq!(types(&channel.poll()), ["roomMap", "schedule", "occupation_update"]);

    daemon.push("seed", &Value::from(data.clone()));
    daemon.push("another", &json!({"HG075PC001": {"status": "offline"}}));
    assert_eq!(daemon.whole(), after);
    assert_eq!(daemon.history(1000).len(), 300);
    channel.send(&json!([]));
    daemon.set("hg075pc000", "wf");
    let messages = channel.receive();
    let update = only(&messages, "occupation_update");
    assert_eq!(version(update), after.occupation_version + 1);
    assert_eq!(update["update"], json!({"hg075pc000": "wf"}));
    assert_eq!(daemon.whole().room_map_version, after.room_map_version);
}

#[test]
fn a_push_with_some_news_tells_the_news_alone() {
    let daemon = Daemon::start(&[]);
    daemon.push("seed", &json!({"hg075pc01": entry("o"), "hg075pc02": entry("o"), "hg075pc03": entry("o")}));
    let mut channel = Channel::with_filter(&daemon, &Value::Null);
    channel.send(&json!([]));
    daemon.settle();
    daemon.push("two", &json!({"hg075pc01": entry("o"), "hg075pc02": entry("wf"), "hg075pc03": entry("o")}));
    let messages = channel.receive();
    assert_eq!(only(&messages, "occupation_update")["update"], json!({"hg075pc02": "wf"}));
    assert_eq!(daemon.history(1000).len(), 4);
}

#[test]
fn a_filtered_channel_is_told_what_matches_and_sees_versions_jump() {
    let daemon = Daemon::start(&[]);
    daemon.push("seed", &json!({"hg075pc01": entry("o"), "printer7": entry("o")}));
    let mut tagged = Channel::with_filter(&daemon, &json!(["hg"]));
    let before = daemon.whole().occupation_version;
    tagged.send(&json!([]));
    daemon.settle();
    for state in ["wf", "wu", "lf"] {
        daemon.set("printer7", state);
    }
    daemon.push("test", &json!({"hg075pc01": entry("wf"), "printer7": entry("o")}));
    let messages = tagged.receive();
    let update = only(&messages, "occupation_update");
    assert_eq!(update["update"], json!({"hg075pc01": "wf"}));
    assert_eq!(version(update), before + 4);
}

#[test]
fn f3_a_room_map_naming_a_new_pc_comes_before_the_update_and_a_schedule_follows_it() {
    let daemon = Daemon::start(&[]);
    let mut all = Channel::with_filter(&daemon, &Value::Null);
    let mut tagged = Channel::with_filter(&daemon, &json!(["hg"]));
    let mut view = View::default();
    for (i, pc) in ["hg075pc01", "hg075pc02", "hg999pc01", "printer7", "bibpc01"].into_iter().enumerate() {
        all.send(&json!([]));
        daemon.settle();
        daemon.set(pc, "wf");
        let messages = all.receive();
        assert_eq!(types(&messages), ["roomMap", "schedule", "occupation_update"], "{pc}");
        assert_eq!(messages[2]["update"], json!({pc: "wf"}));
        let map = rooms(&messages[0]["roomMap"]);
        assert_eq!(map.values().map(|(_, pcs)| pcs.len()).sum::<usize>(), i + 1);
        view.take(&messages);
    }
    let messages = tagged.poll();
    assert_eq!(types(&messages), ["roomMap", "schedule", "occupation_update"]);
    let map = rooms(&messages[0]["roomMap"]);
    assert!(!map.contains_key("hg999") && !map.contains_key("none"));
    assert_eq!(messages[2]["update"], json!({"hg075pc01": "wf", "hg075pc02": "wf", "bibpc01": "wf"}));

    tagged.send(&json!([]));
    daemon.settle();
    daemon.set("hg999pc02", "wf");
    daemon.set("bibpc01", "wu");
    let messages = tagged.receive();
    assert_eq!(
        only(&messages, "occupation_update")["update"],
        json!({"bibpc01": "wu"}),
        "not its room's map"
    );
}

#[test]
fn a_new_pc_is_told_to_those_who_want_the_room_map_alone() {
    let daemon = Daemon::start(&[]);
    let mut channel = Channel::new(&daemon);
    channel.send(&json!([{"type": "set_msgFilter", "roomMap": null}]));
    daemon.settle();
    daemon.set("hg075pc01", "wf");
    let messages = channel.receive();
    assert_eq!(types(&messages), ["roomMap", "schedule"]);
    assert_eq!(messages[1]["schedule"], json!({}));
}

#[test]
fn c4_f2_what_waits_is_merged_into_one_message_that_carries_occupation() {
    let daemon = Daemon::start(&[]);
    daemon.push("seed", &json!({"hg075pc01": entry("o"), "hg075pc02": entry("o"), "hg075pc03": entry("o")}));
    let mut channel = Channel::with_filter(&daemon, &Value::Null);
    for state in ["wf", "wu", "lf", "lu", "wx"] {
        daemon.set("hg075pc01", state);
    }
    daemon.set("hg075pc02", "x");
    let now = daemon.whole();
    let messages = channel.poll();
    let update = only(&messages, "occupation_update");
    assert_eq!(update["update"], json!({"hg075pc01": "wx", "hg075pc02": "x"}), "the last state of a PC wins");
    assert_eq!(version(update), now.occupation_version);

    daemon.set("hg075pc01", "o");
    daemon.set("hg075pc03", "lx");
    let messages = channel.ask(&json!([get("tag_names"), get("occupation")]));
    let snapshot = one(&messages, "occupation");
    assert_eq!(states(&snapshot["occupation"]), daemon.whole().occupation);
    assert_eq!(version(snapshot), now.occupation_version + 2);
    assert!(!types(&messages).contains(&"occupation_update"), "{messages:?}");
}

#[test]
fn f2_a_reply_has_one_occupation_however_often_it_is_asked_for() {
    let daemon = Daemon::start(&[]);
    daemon.push("seed", &json!({"hg075pc01": entry("o")}));
    let mut channel = Channel::with_filter(&daemon, &Value::Null);
    daemon.set("hg075pc01", "wf");
    let messages = channel.ask(&json!([get("occupation"), get("tag_names"), get("occupation")]));
    assert_eq!(one(&messages, "occupation")["occupation"], json!({"hg075pc01": "wf"}));
    assert_eq!(types(&messages).iter().filter(|&&of| of == "tags").count(), 1);
}

#[test]
fn a_filter_alone_brings_no_snapshot() {
    let daemon = Daemon::start(&["http.hold=200ms"]);
    daemon.set("hg075pc01", "wf");
    let mut channel = Channel::new(&daemon);
    assert_eq!(channel.ask(&json!([everything()])), [json!(null); 0]);
}

// --------------------------------------------------------------------------------------- C15, J1, J2

#[test]
fn c15_a_preflight_is_answered_with_what_it_asks_for() {
    let daemon = Daemon::start(&[]);
    let response = daemon.ask(
        &Request::new("OPTIONS", "/")
            .header("Origin", "http://welke.tk")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "x-requested-with, content-type"),
    );
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("Access-Control-Max-Age"), Some("1728000"));
    let methods = response.header("Access-Control-Allow-Methods").unwrap();
    let methods: BTreeSet<&str> = methods.split(',').map(str::trim).collect();
    assert_eq!(methods, BTreeSet::from(["GET", "POST", "OPTIONS"]));
    assert_eq!(response.header("Access-Control-Allow-Origin"), Some("http://welke.tk"));
    assert_eq!(response.header("Access-Control-Allow-Headers"), Some("x-requested-with, content-type"));
    assert_eq!(response.header("Access-Control-Allow-Credentials"), None);
    assert!(response.body.is_empty());
    assert_eq!(daemon.ask(&Request::new("OPTIONS", "/")).status, 200);
    assert_eq!(daemon.ask(&Request::new("OPTIONS", "/nope").header("Origin", "http://a")).status, 200);
}

#[test]
fn c15_other_methods_streams_and_multipart_are_refused() {
    let daemon = Daemon::start(&[]);
    for method in ["PUT", "DELETE", "PATCH", "HEAD", "TRACE", "FROBNICATE"] {
        let response = daemon.ask(&Request::new(method, "/?m=%5B%5D"));
        assert_eq!(response.status, 405, "{method}: {response:?}");
    }
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"m\"\r\n\r\n[]\r\n--x--\r\n";
    for request in [
        Request::get("/s?m=%5B%22x%22%2C1%5D"),
        Request::post("/s?m=%5B%22x%22%2C1%5D").body(""),
        Request::post("/").header("Content-Type", "multipart/form-data; boundary=x").body(multipart),
    ] {
        assert_bad(&daemon.ask(&request), &format!("{request:?}"));
    }
}

#[test]
fn a_target_with_raw_quotes_is_taken_however_long_and_in_whatever_parts_it_comes() {
    let daemon = Daemon::start(&[]);
    let long = format!(r#"["long",{}"{}"]"#, r#"{"type":"get_tag_names"},"#.repeat(30), "x".repeat(9000));
    let request = format!("GET /?m={long} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    for at in [20, 1400, 8000, 8192, request.len() - 1] {
        let mut client = daemon.connect();
        client.send(&request.as_bytes()[..at]);
        daemon.settle();
        client.send(&request.as_bytes()[at..]);
        assert_eq!(client.receive().status, 200, "in two parts, the first of {at} bytes");
    }
}

#[test]
fn empty_lines_before_a_request_are_passed_over() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect();
    for _ in 0..2 {
        // Old browsers sent one behind the body of a POST (RFC 9112, section 2.2).
        client.send(b"\r\n\r\nGET /?m=[null] HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        assert_eq!(client.receive().status, 200);
        client.send(
            b"\r\nGET /?m=[\"quoted\",{\"type\":\"get_tag_names\"}] HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        );
        assert_eq!(client.receive().status, 200);
    }
}

#[test]
fn a_connection_that_is_opened_before_it_is_needed_is_kept() {
    // Browsers do so; it is idle, not slow to send a head.
    let daemon = Daemon::start(&["http.head_timeout=10ms"]);
    let mut early = daemon.connect();
    early.shake_hands().unwrap();
    let mut slow = daemon.connect();
    slow.send(b"GET");
    assert_eq!(slow.receive().status, 408, "the time for a head is over");
    assert_eq!(early.exchange(&Request::get("/?m=null")).status, 200);
}

#[test]
fn c11_a_connection_that_stands_idle_is_ended_and_one_whose_request_is_held_is_not() {
    let daemon = Daemon::start(&["http.idle=50ms", "http.hold=1s"]);
    let mut silent = daemon.connect();
    let mut client = daemon.connect();
    let token = list_of(&client.exchange(&Request::get("/?m=null")))[0].clone();
    let held = Request::get(&format!("/?m=[{token}]"));
    assert_eq!(list_of(&client.exchange(&held)), json!([token, [], []]), "held for twenty times as long");
    silent.wait_until_closed();
    client.wait_until_closed();
}

#[test]
fn a_client_that_closes_its_side_behind_its_request_is_answered_whole() {
    let daemon = Daemon::start(&[]);
    let many: serde_json::Map<String, Value> =
        (0..9000).map(|i| (format!("hg075pc{i:040}"), entry("wf"))).collect();
    daemon.push("test", &Value::Object(many));
    let messages = format!(
        r#"[null,{{"type":"set_msgFilter","roomMap":null}}{}]"#,
        r#",{"type":"get_roomMap"}"#.repeat(31)
    );
    // Larger than what a socket takes at once, so that it is written on after the end was seen.
    for m in ["null", &messages] {
        for _ in 0..20 {
            let mut client = daemon.connect();
            client.send(&Request::post("/").body(m).bytes());
            client.finish_sending();
            assert_eq!(client.receive().status, 200, "{} bytes", m.len());
        }
    }
}

#[test]
fn c15_a_body_whose_length_is_in_doubt_is_refused_and_the_connection_closed() {
    let daemon = Daemon::start(&[]);
    let doubtful: [&[u8]; 4] = [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnull\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n4\r\nnull\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nnull",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: four\r\n\r\nnull",
    ];
    for bytes in doubtful {
        let mut client = daemon.connect();
        client.send(bytes);
        let response = client.receive();
        assert_eq!(response.status, 400, "{} → {response:?}", String::from_utf8_lossy(bytes));
        client.wait_until_closed();
    }
}

#[test]
fn c11_a_head_or_body_that_is_too_large_is_refused() {
    let daemon = Daemon::start(&[]);
    for (target, expected) in [(60_000, [414, 431]), (70_000, [414, 431])] {
        let mut client = daemon.connect();
        client.send_what_is_taken(&Request::get(&format!("/?m=%5B%22{}%22%5D", "x".repeat(target))).bytes());
        match client.try_receive(false) {
            Ok(Some(response)) => assert!(expected.contains(&response.status), "{response:?}"),
            other => panic!("{target} bytes → {other:?}"),
        }
    }
    let body = format!("[null, \"{}\"]", "x".repeat(70_000));
    let mut client = daemon.connect();
    client.send_what_is_taken(&Request::post("/").body(&body).bytes());
    assert_eq!(client.receive().status, 413);
    let mut client = daemon.connect();
    let endless =
        Request::post("/").header("Transfer-Encoding", "chunked").body(chunked(body.as_bytes(), 1000));
    client.send_what_is_taken(&endless.bytes());
    assert_eq!(client.receive().status, 413);
}

#[test]
fn j1_what_is_not_wholly_json_is_bad_in_a_query_and_in_a_body() {
    let daemon = Daemon::start(&[]);
    let deep = |levels: usize| {
        // The request's list and the message are two of them.
        let (open, close) = ("[".repeat(levels - 2), "]".repeat(levels - 2));
        format!(r#"[null,{{"type":"get_tag_names","x":{open}{close}}}]"#)
    };
    let message = |x: &str| format!(r#"[null,{{"type":"get_tag_names","x":{x}}}]"#).into_bytes();
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("too deep", deep(17).into_bytes()),
        ("much too deep", deep(5_000).into_bytes()),
        ("trailing", b"[null] x".to_vec()),
        ("two values", b"[][]".to_vec()),
        ("a trailing comma", b"[null,]".to_vec()),
        ("BOM", b"\xEF\xBB\xBF[null]".to_vec()),
        ("bad UTF-8", message("\"\u{1}\"").iter().map(|&b| if b == 1 { 0xFF } else { b }).collect()),
        ("overlong", [b"[null,\"".as_slice(), b"\xC0\xAF", b"\"]"].concat()),
        ("NUL", message("\"\0\"")),
        ("an escaped NUL", message("\"\\u0000\"")),
        ("a NUL after", b"[null]\0".to_vec()),
        ("a lone surrogate", message("\"\\ud800\"")),
        ("a lone low surrogate", message("\"\\udc00\"")),
        ("NaN", message("NaN")),
        ("Infinity", message("Infinity")),
        ("-Infinity", message("-Infinity")),
        ("out of range", message("1e999")),
        ("a comment", b"[null] // x".to_vec()),
        ("a control character", b"[null,{\"type\":\"a\nb\"}]".to_vec()),
        ("a number of no form", message("01")),
    ];
    for (what, m) in bad {
        if m.len() < 8_000 {
            let response = daemon.ask(&Request::get(&format!("/?m={}", percent(&m))));
            assert_bad(&response, what);
        }
        assert_bad(&daemon.ask(&Request::post("/").body(&m)), what);
    }
    for good in [deep(16), r#" [ null , {"type":"get_tag_names","x":"é\u00e9\ud83d\ude00"} ] "#.to_owned()] {
        assert_eq!(types(&first_messages(&daemon.ask_m(&good))), ["welcome", "tags", "tags"]);
    }
}

#[test]
fn j1_a_bad_request_on_a_channel_applies_nothing() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "o");
    let mut channel = Channel::with_filter(&daemon, &Value::Null);
    for tail in [", 1e999]", ", \"\\u0000\"]", "] x"] {
        let body = format!("[\"{}\", {}{tail}", channel.token(), filter(&json!([])));
        assert_bad(&daemon.ask(&Request::post("/").body(body)), tail);
    }
    let messages = channel.ask(&json!([get("occupation")]));
    assert_eq!(only(&messages, "occupation")["occupation"], json!({"hg075pc01": "o"}));
}

#[test]
fn j2_a_message_with_a_key_twice_is_ignored_and_its_siblings_work() {
    let daemon = Daemon::start(&[]);
    daemon.set("hg075pc01", "o");
    let mut channel = Channel::new(&daemon);
    let body = format!(
        r#"["{}",{{"type":"set_msgFilter","occupation":[],"occupation":null}},{{"type":"get_tag_names","type":"get_roomMap"}},{{"type":"get_occupation"}}]"#,
        channel.token()
    );
    let reply = list_of(&daemon.ask(&Request::post("/").body(body)));
    let messages = channel.check(&reply);
    assert_eq!(only(&messages, "occupation")["occupation"], json!({}));
}

#[test]
fn a_push_while_many_are_held_answers_each_with_what_its_filter_shows() {
    let daemon = Daemon::start(&[]);
    daemon.push("seed", &json!({"hg075pc01": entry("o"), "printer7": entry("o")}));
    let mut channels: Vec<(Channel, Value)> = (0..60)
        .map(|i| {
            let of = [json!(null), json!(["hg"]), json!(["hg", "nope"])][i % 3].clone();
            (Channel::with_filter(&daemon, &of), of)
        })
        .collect();
    for (channel, _) in &mut channels {
        channel.send(&json!([]));
    }
    daemon.settle();
    let body = json!({"data": {"hg075pc01": entry("lu"), "printer7": entry("x")}}).to_string();
    assert_taken(&daemon.try_push(body.as_bytes()), &body);
    for (channel, of) in &mut channels {
        let messages = channel.receive();
        let expected = if of.is_null() {
            json!({"hg075pc01": "lu", "printer7": "x"})
        } else {
            json!({"hg075pc01": "lu"})
        };
        assert_eq!(only(&messages, "occupation_update")["update"], expected, "{of}");
    }
}

#[test]
fn a_channel_too_many_is_refused_for_now_and_those_there_are_go_on() {
    let daemon = Daemon::start(&["http.max_channels=2", "http.hold=100ms", "http.wait=50ms"]);
    daemon.set("hg075pc01", "o");
    let mut known = Channel::with_filter(&daemon, &json!(null));
    let mut second = Channel::new(&daemon);
    let mut client = daemon.connect();
    let refused = client.exchange(&Request::get("/?m=null"));
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.header("Retry-After").is_some());
    assert!(refused.text().contains("http.max_channels is 2"), "{refused:?}");
    // The connection goes on, and so does what was there; a request is held on it as on any other.
    let held = percent(json!([known.token()]).to_string());
    assert_eq!(client.exchange(&Request::get(&format!("/?m={held}"))).json()[1], json!([]));
    daemon.set("hg075pc01", "wf");
    known.send(&json!([]));
    assert_eq!(only(&known.receive(), "occupation_update")["update"], json!({"hg075pc01": "wf"}));
    assert_eq!(types(&second.ask(&json!([get("tag_names")]))), ["tags"]);
}
