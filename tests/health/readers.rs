//! Who may see what: figures and reasons are for those who are listed, and secrets are for nobody.

use crate::common::{Channel, Daemon, Request, run_to_end};
use serde_json::json;

/// A network that nobody of these tests is in.
const ELSEWHERE: &str = "metrics.allow=192.0.2.7";

fn get(daemon: &Daemon, path: &str, headers: &[(&str, &str)]) -> crate::common::Response {
    let request =
        headers.iter().fold(Request::get(path), |request, (name, value)| request.header(name, value));
    daemon.ask(&request)
}

#[test]
fn figures_are_for_the_addresses_that_are_listed_and_health_for_everybody() {
    let daemon = Daemon::start(&[ELSEWHERE]);
    let refused = get(&daemon, "/metrics", &[]);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(!refused.text().contains("tkbd_"), "{refused:?}");
    let live = get(&daemon, "/healthz", &[]);
    assert_eq!((live.status, live.text()), (200, "ok\n"));
    let ready = get(&daemon, "/readyz", &[]);
    assert_eq!((ready.status, ready.text()), (200, "ready\n"));
    for response in [refused, live, ready] {
        assert_eq!(response.header("Cache-Control"), Some("no-store"), "{response:?}");
        assert_eq!(response.header("Access-Control-Allow-Origin"), None, "{response:?}");
    }
}

#[test]
fn f7_a_proxy_on_this_host_does_not_lend_its_address() {
    let daemon = Daemon::start(&[]);
    assert_eq!(get(&daemon, "/metrics", &[]).status, 200);
    for (name, value) in [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-For", "192.0.2.9"),
        ("Forwarded", "for=127.0.0.1"),
        ("Via", "1.1 proxy"),
        ("X-Real-IP", "127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
    ] {
        let response = get(&daemon, "/metrics", &[(name, value)]);
        assert_eq!(response.status, 403, "{name}: {value}");
        assert_eq!(get(&daemon, "/healthz", &[(name, value)]).status, 200, "{name}: {value}");
    }
}

#[test]
fn a_trusted_proxy_is_believed_as_to_whom_it_asks_for() {
    let daemon = Daemon::start(&[ELSEWHERE, "metrics.trusted_proxies=127.0.0.1"]);
    let status = |header| get(&daemon, "/metrics", &[header]).status;
    assert_eq!(status(("X-Forwarded-For", "192.0.2.7")), 200);
    assert_eq!(status(("X-Forwarded-For", "198.51.100.1, 192.0.2.7")), 200);
    assert_eq!(status(("X-Forwarded-For", "192.0.2.7, 198.51.100.1")), 403);
    assert_eq!(status(("Via", "1.1 proxy")), 403);
    assert_eq!(get(&daemon, "/metrics", &[]).status, 403, "the proxy itself is not listed");
}

#[test]
fn a_page_in_a_browser_on_a_listed_host_cannot_read_figures() {
    let daemon = Daemon::start(&[]);
    for header in [
        ("Origin", "http://evil.example"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        assert_eq!(get(&daemon, "/metrics", &[header]).status, 403, "{header:?}");
    }
    assert_eq!(get(&daemon, "/metrics", &[("Sec-Fetch-Site", "none")]).status, 200, "typed by a person");
}

#[test]
fn a_head_is_answered_as_a_get_without_its_body_and_other_methods_are_not_taken() {
    let daemon = Daemon::start(&[]);
    for path in ["/healthz", "/readyz", "/metrics", "/healthz?verbose"] {
        let mut client = daemon.connect();
        let head = client.exchange(&Request::new("HEAD", path));
        assert_eq!((head.status, head.header("Cache-Control")), (200, Some("no-store")), "{path}");
        assert_ne!(head.header("Content-Length"), Some("0"), "{path}");
        // The connection goes on: no byte of a body has come.
        assert_eq!(client.exchange(&Request::get(path)).status, 200, "{path}");
        let post = client.exchange(&Request::post(path).body("{}"));
        assert_eq!((post.status, post.header("Allow")), (405, Some("GET, HEAD")), "{path}");
    }
}

#[test]
fn o7_no_token_and_no_password_is_among_the_figures_and_the_reasons() {
    let (token, digest) = ("hunter2", "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7");
    let setup = format!(
        "[push]\ntokens = [{{ sha256 = \"{digest}\" }}]\n[mirror]\nmaster = \"http://me:correcthorse@127.0.0.1:1/battery?\"\npushes = \"take\"\n"
    )
    .replace("/battery?", "/battery");
    let daemon = Daemon::with_setup(&setup, &[]);
    let body = json!({"datasource": "stapler", "data": {"apc1": {"status": "free"}}}).to_string();
    let push = Request::post("/push").header("Authorization", &format!("Bearer {token}")).body(body);
    assert_eq!(daemon.connect_push().exchange(&push).status, 200);
    let channel = Channel::new(&daemon);
    let shown = [
        get(&daemon, "/metrics", &[]),
        get(&daemon, "/readyz", &[]),
        get(&daemon, "/readyz", &[("Accept", "application/json")]),
    ];
    for response in shown {
        for secret in [token, digest, "correcthorse", "battery", "stapler", channel.token()] {
            assert!(!response.text().contains(secret), "{secret} in {}", response.text());
        }
    }
}

#[test]
fn channels_cannot_be_served_where_health_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["/metrics", "/healthz", "/readyz/"] {
        let set = format!("http.path={path}");
        let (code, _, error) = run_to_end(dir.path(), &["check", "--set", &set]);
        assert_eq!(code, Some(78), "{error}");
        assert!(error.contains("where the daemon tells how it is doing"), "{error}");
    }
    let (code, _, error) = run_to_end(dir.path(), &["check", "--set", "metrics.trusted_proxies=0.0.0.0/0"]);
    assert_eq!(code, Some(78), "{error}");
}
