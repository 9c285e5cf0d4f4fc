//! Every refusal is counted, once, by its door and its reason.

use crate::common::{Channel, Client, Daemon, Request, percent};
use crate::exposition::Figures;
use serde_json::json;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

type Reason = (String, String);

/// What was seen to be counted, of what there is.
#[derive(Default)]
struct Seen {
    counted: RefCell<BTreeSet<Reason>>,
    there: RefCell<BTreeSet<Reason>>,
}

impl Seen {
    /// Does what must be refused for this reason, and sees that nothing but that is counted, once.
    #[track_caller]
    fn refusal(&self, daemon: &Daemon, door: &str, reason: &str, provoke: impl FnOnce()) {
        let before = refused(daemon);
        provoke();
        let after = refused(daemon);
        let moved: Vec<_> = after
            .iter()
            .zip(&before)
            .filter(|((_, after), (_, before))| after != before)
            .map(|((of, after), (_, before))| (of.clone(), after - before))
            .collect();
        assert_eq!(moved, [((door.to_owned(), reason.to_owned()), 1.0)]);
        self.counted.borrow_mut().insert((door.to_owned(), reason.to_owned()));
        self.there.borrow_mut().extend(after.into_iter().map(|(of, _)| of));
    }
}

fn refused(daemon: &Daemon) -> Vec<(Reason, f64)> {
    let figures = Figures::of(daemon);
    let reason = |(labels, count): (&crate::exposition::Labels, f64)| {
        ((labels["door"].clone(), labels["reason"].clone()), count)
    };
    figures.all("tkbd_refused_total").map(reason).collect()
}

const BODY: &str = r#"{"data":{"apc1":{"status":"free"}}}"#;

fn push() -> Request {
    Request::post("/push").body(BODY)
}

fn pushed(daemon: &Daemon, request: &Request, status: u16) {
    let response = daemon.connect_push().exchange(request);
    assert_eq!(response.status, status, "{response:?}");
}

fn asked(daemon: &Daemon, request: &Request, status: u16) {
    let response = daemon.ask(request);
    assert_eq!(response.status, status, "{response:?}");
}

#[test]
fn every_reason_is_counted_when_it_is_given() {
    let seen = Seen::default();
    let daemon =
        Daemon::start(&["push.timeout=1s", "http.body_timeout=200ms", "limits.pcs=1", "push.max_body=1024"]);
    let at_push = |reason: &str, request: Request, status: u16| {
        seen.refusal(&daemon, "push", reason, || pushed(&daemon, &request, status));
    };
    at_push("forwarded", push().header("X-Forwarded-For", "127.0.0.1"), 403);
    at_push("browser", push().header("Origin", "http://a"), 403);
    at_push("host", push().host("evil.example"), 403);
    at_push("path", Request::post("/pusch").body(BODY), 404);
    at_push("method", Request::new("PUT", "/push").body(BODY), 405);
    at_push("length", Request::post("/push"), 411);
    at_push("too_large", Request::post("/push").body(" ".repeat(1025)), 413);
    at_push("framing", push().header("Transfer-Encoding", "chunked").header("Content-Length", "3"), 400);
    at_push("bad", Request::post("/push").body("{}"), 400);
    at_push("bad", Request::post("/push").body(r#"{"data":{"a":{"status":"odd"}}}"#), 400);
    daemon.set("bpc1", "lf");
    at_push("growth", push(), 400);
    seen.refusal(&daemon, "push", "late", || {
        let mut client = daemon.connect_push();
        client.send(b"POST /push HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{");
        assert_eq!(client.receive().status, 408);
    });
    seen.refusal(&daemon, "push", "framing", || {
        let mut client = daemon.connect_push();
        client.send(b"nonsense\r\n\r\n");
        client.wait_until_closed();
    });

    let at_joyce = |reason: &str, request: Request, status: u16| {
        seen.refusal(&daemon, "joyce", reason, || asked(&daemon, &request, status));
    };
    at_joyce("bad", Request::get("/?m=%7B"), 400);
    at_joyce("bad", Request::get("/?m=null&c=1"), 400);
    at_joyce("path", Request::get("/nowhere"), 400);
    at_joyce("method", Request::new("PUT", "/").body(""), 405);
    at_joyce("too_large", Request::post("/").body(" ".repeat(65_537)), 413);
    at_joyce("framing", Request::post("/").header("Transfer-Encoding", "gzip, chunked"), 501);
    seen.refusal(&daemon, "joyce", "late", || {
        let mut client = daemon.connect();
        client.send(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n[");
        assert_eq!(client.receive().status, 408);
    });
    seen.refusal(&daemon, "joyce", "framing", || {
        let mut client = daemon.connect();
        client.send(b"nonsense\r\n\r\n");
        client.wait_until_closed();
    });
    let hello = |name: &str| Request::post("/").header("X-Tkbd-Via", name).body("null");
    let own = daemon.ask(&hello("somebody")).header("X-Tkbd-Via").unwrap().to_owned();
    at_joyce("loop", hello(&own), 508);
    seen.refusal(&daemon, "health", "forbidden", || {
        asked(&daemon, &Request::get("/metrics").header("Via", "1.1 proxy"), 403);
    });
    seen.refusal(&daemon, "health", "method", || {
        asked(&daemon, &Request::new("DELETE", "/healthz"), 405);
    });

    for (door, path) in [("api", "/api/v1/tags"), ("events", "/events")] {
        seen.refusal(&daemon, door, "method", || asked(&daemon, &Request::new("DELETE", path), 405));
        let bad = Request::get(&format!("{path}?tag=a%20b"));
        seen.refusal(&daemon, door, "bad", || asked(&daemon, &bad, 400));
    }
    for (reason, path, status) in [("path", "/insight/nothing", 404), ("bad", "/insight?from=x", 400)] {
        seen.refusal(&daemon, "insight", reason, || asked(&daemon, &Request::get(path), status));
    }
    let forwarded = Request::get("/insight").header("Via", "1.1 proxy");
    seen.refusal(&daemon, "insight", "forbidden", || asked(&daemon, &forwarded, 403));
    seen.refusal(&daemon, "insight", "method", || asked(&daemon, &Request::new("DELETE", "/insight"), 405));
    seen.refusal(&daemon, "api", "path", || asked(&daemon, &Request::get("/api/v1/nothing"), 404));

    seen.refusal(&daemon, "page", "path", || asked(&daemon, &Request::get("/rooms/nothing"), 404));
    seen.refusal(&daemon, "page", "method", || asked(&daemon, &Request::new("DELETE", "/kiosk"), 405));
    let single = Daemon::start(&["http.max_streams=1"]);
    let mut stream = single.connect();
    stream.send(&Request::get("/live").bytes());
    stream.read_until(b"event: hello").unwrap().expect("no stream");
    seen.refusal(&single, "page", "streams", || asked(&single, &Request::get("/live"), 503));
    drop(stream);
    let crowd = Daemon::start(&["http.exempt="]);
    let waits = |query: &str, answer: &str| {
        let mut stream = crowd.connect();
        stream.send(&Request::get(&format!("/live?{query}")).bytes());
        stream.read_until(answer.as_bytes()).unwrap().expect("no answer");
        stream
    };
    seen.refusal(&crowd, "page", "wish", || drop(waits("wish=x", "\"reason\":\"form\"")));
    let list = |browser: usize| {
        let wish = |minutes| format!("wish=browser-{browser:08};minutes:{minutes}&");
        (0..8).map(wish).collect::<String>()
    };
    // All that one address may have.
    let waiting: Vec<Client> =
        (0..32).map(|browser| waits(&list(browser), "minutes:7\",\"state\":\"waits\"")).collect();
    seen.refusal(&crowd, "page", "wishes", || {
        drop(waits("wish=browser-99999999", "\"reason\":\"full\""));
    });
    drop(waiting);

    let full = Daemon::start(&["http.max_channels=1", "http.wait=10ms"]);
    let channel = Channel::new(&full);
    seen.refusal(&full, "joyce", "channels", || {
        let other = percent(json!([format!("{}x", &channel.token()[1..])]).to_string());
        asked(&full, &Request::get(&format!("/?m={other}")), 503);
    });

    seen.refusal(&full, "events", "channels", || asked(&full, &Request::get("/events"), 503));
    let crowd = [
        "http.channels_per_address=1",
        "http.new_channels_per_second=1000",
        "http.connections_per_address=2",
    ];
    let crowded = Daemon::start(&[&crowd[..], &["http.exempt=127.0.0.1", "http.wait=10ms"]].concat());
    let there = || Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), crowded.joyce());
    let (mut first, mut second) = (there(), there());
    let new = Request::get("/?m=null");
    assert_eq!(first.exchange(&new).status, 200);
    seen.refusal(&crowded, "joyce", "channels_of_address", || {
        assert_eq!(second.exchange(&new).status, 503);
    });
    seen.refusal(&crowded, "joyce", "connections_of_address", || assert_eq!(there().receive().status, 503));
    let hasty = ["http.exempt=127.0.0.1", "http.new_channels_per_second=1", "http.wait=10ms"];
    let hasty = Daemon::start(&hasty);
    seen.refusal(&hasty, "joyce", "channels_too_fast", || {
        let mut client = Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), hasty.joyce());
        while client.exchange(&new).status == 200 {}
    });
    let laden = Daemon::start(&["limits.bodies=1048576", "http.max_body=2097152"]);
    seen.refusal(&laden, "joyce", "bodies", || {
        asked(&laden, &Request::post("/").body(" ".repeat(1_500_000)), 503);
    });

    let listed = Daemon::start(&["push.allow=192.0.2.1"]);
    seen.refusal(&listed, "push", "address", || pushed(&listed, &push(), 403));
    // Sixteen strangers have a place; one of them is told so, and the seventeenth is closed unheard.
    let strangers: Vec<_> = (0..16)
        .map(|_| {
            let mut client = listed.connect_push();
            client.send(b"P");
            client
        })
        .collect();
    seen.refusal(&listed, "push", "unheard", || {
        let mut more = listed.connect_push();
        more.send_what_is_taken(b"P");
        more.wait_until_closed();
    });
    drop(strangers);

    let mirror = Daemon::start(&["mirror.master=http://127.0.0.1:1"]);
    seen.refusal(&mirror, "push", "mirror", || pushed(&mirror, &push(), 403));

    let setup = "[push]\ntokens = [{ sha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\", source = \"a\" }]\n";
    let guarded = Daemon::with_setup(setup, &[]);
    seen.refusal(&guarded, "push", "token", || pushed(&guarded, &push(), 401));
    seen.refusal(&guarded, "push", "token", || {
        pushed(&guarded, &push().header("Authorization", "Bearer test"), 403);
    });

    let (counted, mut there) = (seen.counted.take(), seen.there.take());
    // Seen where the history is locked (conditions.rs).
    there.remove(&("push".to_owned(), "backlog".to_owned()));
    assert_eq!(counted, there, "each reason that is told was given once here");
}
