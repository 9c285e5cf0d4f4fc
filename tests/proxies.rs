//! tkbd behind nginx, HAProxy and Caddy, with the configurations of `contrib/proxies`: a suite of its own, since it
//! needs them installed (`apt-get install nginx-light haproxy caddy`). Only the addresses in the files are others.
//!
//! A proxy that is missing is a failure: this suite is run by who has them (`cargo test --test proxies`, or
//! `.ci/run proxies`, which installs them).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Client, Daemon, GUARD, Request, everything, get, messages_of, only, percent, states};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Where this machine's other addresses are, as far as the loopback network goes: who may push through the proxy, and who
/// may not. The proxy itself asks from 127.0.0.1.
const WATCHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

const SETUP: &str = "[push]\nallow = ['127.0.0.2']\ntrusted_proxies = ['127.0.0.1']\nhosts = ['tk.example.org']\n\
                     [[room]]\nkey = 'lab1'\nname = 'First laboratory'\ntags = ['labs']\n\
                     [[rule]]\npattern = '^(.+?)pc'\nroom = '$1'\n";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Nginx,
    Haproxy,
    Caddy,
}

const ALL: [Kind; 3] = [Kind::Nginx, Kind::Haproxy, Kind::Caddy];

/// A proxy in front of a daemon.
struct Proxy {
    child: Child,
    web: SocketAddr,
    push: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Proxy {
    fn start(kind: Kind, daemon: &Daemon) -> Proxy {
        let dir = tempfile::tempdir().unwrap();
        let host = address_of_its_own();
        let (web, push) = (free(host), free(host));
        let file = match kind {
            Kind::Nginx => "nginx.conf",
            Kind::Haproxy => "haproxy.cfg",
            Kind::Caddy => "Caddyfile",
        };
        let written = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/proxies").join(file);
        let mut text = std::fs::read_to_string(written).unwrap();
        let joyce = daemon.joyce().to_string();
        for (from, to) in [
            ("127.0.0.1:8080", joyce),
            ("127.0.0.1:1235", daemon.push_port().to_string()),
            ("listen 80;", format!("listen {web};")),
            ("listen 1236;", format!("listen {push};")),
            ("bind :80", format!("bind {web}")),
            ("bind :1236", format!("bind {push}")),
            ("tk.example.org:80", format!("tk.example.org:{}", web.port())),
            ("tk.example.org:1236", format!("tk.example.org:{}", push.port())),
        ] {
            let lines = text
                .lines()
                .map(|line| if line.starts_with('#') { line.into() } else { line.replace(from, &to) });
            text = lines.collect::<Vec<String>>().join("\n") + "\n";
        }
        let child = start(kind, dir.path(), host, &text);
        let mut proxy = Proxy { child, web, push, _dir: dir };
        proxy.wait_until_it_listens(kind);
        proxy
    }

    fn wait_until_it_listens(&mut self, kind: Kind) {
        let until = Instant::now() + GUARD;
        for address in [self.web, self.push] {
            while TcpStream::connect(address).is_err() {
                let ended = self.child.try_wait().unwrap();
                assert!(
                    ended.is_none() && Instant::now() < until,
                    "{kind:?} does not listen on {address}: {ended:?}"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn web(&self) -> Client {
        Client::connect(self.web)
    }

    /// A push from one of this machine's addresses.
    fn push_from(&self, address: Ipv4Addr, more: &[(&str, &str)], pc: &str, state: &str) -> u16 {
        let body = json!({"datasource": "login", "data": {pc: {"status": state}}}).to_string();
        let mut request = Request::post("/push").host("tk.example.org").body(body);
        for (name, value) in more {
            request = request.header(name, value);
        }
        Client::of(connect_from(address, self.push)).exchange(&request).status
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = common::ask_to_end(&self.child);
        let _ = self.child.wait();
    }
}

fn start(kind: Kind, dir: &Path, host: Ipv4Addr, text: &str) -> Child {
    let file = dir.join("configuration");
    let mut command = match kind {
        Kind::Nginx => {
            let place = dir.display();
            let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|what| format!("{what}_temp_path {place};"));
            let text = format!(
                "daemon off; worker_processes 1; pid {place}/pid; error_log stderr;\nevents {{}}\n\
                 http {{ access_log off; {}\n{text}\n}}\n",
                paths.concat()
            );
            std::fs::write(&file, text).unwrap();
            let mut command = Command::new("nginx");
            command.arg("-c").arg(&file).arg("-p").arg(dir);
            command
        }
        Kind::Haproxy => {
            std::fs::write(&file, text).unwrap();
            let mut command = Command::new("haproxy");
            command.arg("-db").arg("-f").arg(&file);
            command
        }
        Kind::Caddy => {
            std::fs::write(&file, format!("{{\n\tadmin off\n\tdefault_bind {host}\n}}\n{text}")).unwrap();
            let mut command = Command::new("caddy");
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
            command.env("HOME", dir).env("XDG_DATA_HOME", dir).env("XDG_CONFIG_HOME", dir);
            command
        }
    };
    // What it writes is shown by the harness where a test fails.
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("{kind:?} cannot be started: {error}; is it installed?"))
}

/// An address for one proxy, where no connection of another test can come to have its port.
fn address_of_its_own() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    Ipv4Addr::new(127, 1, 0, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A port on which nobody listens: none of the three can say which one it was given.
fn free(host: Ipv4Addr) -> SocketAddr {
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap()
}

fn connect_from(address: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream
}

/// A channel's messages, asked for with this token (null for a new one).
fn target(token: &Value, messages: &Value) -> String {
    let mut m = vec![token.clone()];
    m.extend(messages.as_array().unwrap().iter().cloned());
    format!("/?m={}", percent(Value::from(m).to_string()))
}

/// A new channel that listens to everything, and the connection it was asked for on.
fn open(proxy: &Proxy) -> (Client, Value) {
    let mut client = proxy.web();
    let request = Request::get(&target(&Value::Null, &json!([everything()]))).host("tk.example.org");
    let response = client.exchange(&request);
    assert_eq!(response.status, 200, "{response:?}");
    let token = response.json()[0].clone();
    (client, token)
}

fn hold(client: &mut Client, token: &Value) {
    client.send(&Request::get(&target(token, &json!([]))).host("tk.example.org").bytes());
}

fn held(client: &mut Client, token: &Value) -> Vec<Value> {
    let response = client.receive();
    assert_eq!(response.status, 200, "{response:?}");
    messages_of(token.as_str().unwrap(), &response.json())
}

#[test]
fn held_requests_are_answered_through_a_proxy_and_each_hears_of_a_push_once() {
    for kind in ALL {
        let daemon = Daemon::with_setup(SETUP, &[]);
        let proxy = Proxy::start(kind, &daemon);
        let mut clients: Vec<(Client, Value)> = (0..200).map(|_| open(&proxy)).collect();
        assert_eq!(proxy.push_from(WATCHER, &[], "lab1pc01", "unknown"), 200, "{kind:?}");
        for (client, token) in &mut clients {
            hold(client, token);
            // The room is new to it.
            assert_eq!(
                common::types(&held(client, token)),
                ["roomMap", "schedule", "occupation_update"],
                "{kind:?}"
            );
        }
        for state in ["offline", "free", "used"] {
            for (client, token) in &mut clients {
                hold(client, token);
            }
            assert_eq!(proxy.push_from(WATCHER, &[], "lab1pc01", state), 200);
            let told: Vec<Value> = clients
                .iter_mut()
                .map(|(client, token)| only(&held(client, token), "occupation_update")["update"].clone())
                .collect();
            assert!(
                told.iter().all(|update| *update == told[0] && states(update).len() == 1),
                "{kind:?}: {told:?}"
            );
        }
    }
}

#[test]
fn a_hold_that_comes_to_nothing_is_answered_empty_and_not_cut_off() {
    for kind in ALL {
        let daemon = Daemon::with_setup(SETUP, &["http.hold=2s"]);
        let proxy = Proxy::start(kind, &daemon);
        let (mut client, token) = open(&proxy);
        for _ in 0..2 {
            hold(&mut client, &token);
            assert_eq!(held(&mut client, &token), [] as [Value; 0], "{kind:?}");
        }
    }
}

#[test]
fn jsonp_forms_and_bodies_pass_as_they_are() {
    for kind in ALL {
        let daemon = Daemon::with_setup(SETUP, &[]);
        let proxy = Proxy::start(kind, &daemon);
        let m = percent(r#"[null,{"type":"get_roomMap"}]"#);
        let request = Request::get(&format!("/?c=jQuery17_1&m={m}&_=1")).host("tk.example.org");
        let response = proxy.web().exchange(&request);
        let reply = response.jsonp("jQuery17_1");
        assert!(
            reply[1].as_array().unwrap().iter().any(|message| message["type"] == "roomMap"),
            "{kind:?}: {reply}"
        );
        assert_eq!(response.header("X-Content-Type-Options"), Some("nosniff"), "{kind:?}");
        assert_eq!(response.header("Cache-Control"), Some("no-store"), "{kind:?}");
        // As old slaves do, with a token of their own that has every letter it may have.
        let token = "aZ0+/9=_";
        let body = json!([token, get("occupation")]).to_string();
        let response = proxy.web().exchange(&Request::post("/").host("tk.example.org").body(body));
        assert_eq!(response.json()[0], token, "{kind:?}");
        // A URL as long as tkbd takes it, and one that the original took.
        let long = format!("/?_={}&m={}", "x".repeat(12_000), percent("[null]"));
        assert_eq!(proxy.web().exchange(&Request::get(&long).host("tk.example.org")).status, 200, "{kind:?}");
        let raw = Request::get(r#"/?m=["raw",{"type":"get_occupation"}]"#).host("tk.example.org");
        assert_eq!(proxy.web().exchange(&raw).json()[0], "raw", "{kind:?}");
        // A page of another origin asks whether it may.
        let asks = Request::new("OPTIONS", "/").header("Origin", "https://elsewhere.example");
        let asks = asks.header("Access-Control-Request-Method", "POST").host("tk.example.org");
        assert_eq!(
            proxy.web().exchange(&asks).header("Access-Control-Allow-Origin"),
            Some("https://elsewhere.example"),
            "{kind:?}"
        );
    }
}

#[test]
fn a_client_that_leaves_is_seen_to_leave_and_loses_nothing() {
    for kind in ALL {
        let daemon = Daemon::with_setup(SETUP, &[]);
        let proxy = Proxy::start(kind, &daemon);
        assert_eq!(proxy.push_from(WATCHER, &[], "lab1pc01", "unknown"), 200);
        let (mut client, token) = open(&proxy);
        client.exchange(&Request::get(&target(&token, &json!([get("occupation")]))).host("tk.example.org"));
        hold(&mut client, &token);
        wait_until_held(&daemon, 1, kind);
        drop(client);
        wait_until_held(&daemon, 0, kind);
        assert_eq!(proxy.push_from(WATCHER, &[], "lab1pc01", "offline"), 200);
        let mut client = proxy.web();
        hold(&mut client, &token);
        let told = held(&mut client, &token);
        assert!(
            told.iter().any(|message| message["update"] == json!({"lab1pc01": "o"})),
            "{kind:?}: {told:?}"
        );
    }
}

#[test]
fn only_whom_a_trusted_proxy_names_may_push() {
    for kind in ALL {
        let daemon = Daemon::with_setup(SETUP, &[]);
        let proxy = Proxy::start(kind, &daemon);
        assert_eq!(proxy.push_from(WATCHER, &[], "lab1pc01", "unknown"), 200, "{kind:?}");
        assert_eq!(proxy.push_from(STRANGER, &[], "lab1pc01", "offline"), 403, "{kind:?}");
        assert_eq!(proxy.push_from(Ipv4Addr::LOCALHOST, &[], "lab1pc01", "offline"), 403, "{kind:?}");
        // What a client says of itself is not what the proxy has seen.
        for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
            let value = if header == "Forwarded" { "for=127.0.0.2" } else { "127.0.0.2" };
            let status = proxy.push_from(STRANGER, &[(header, value)], "lab1pc01", "offline");
            assert_eq!(status, 403, "{kind:?}, {header}");
        }
        assert_eq!(daemon.whole().occupation["lab1pc01"], "x", "{kind:?}");

        // f7: a proxy on this machine that the setup does not name opens push to nobody.
        let daemon = Daemon::with_setup(SETUP, &["push.trusted_proxies=", "push.allow=127.0.0.0/8"]);
        let proxy = Proxy::start(kind, &daemon);
        assert_eq!(proxy.push_from(WATCHER, &[], "lab1pc01", "unknown"), 403, "{kind:?}");
    }
}

#[test]
fn a_large_answer_comes_whole_to_a_slow_reader() {
    for kind in ALL {
        let daemon = Daemon::with_setup(SETUP, &[]);
        let proxy = Proxy::start(kind, &daemon);
        let pcs: serde_json::Map<String, Value> =
            (0..10_000).map(|pc| (format!("lab1pc{pc:05}"), json!({"status": "offline"}))).collect();
        let body = json!({"datasource": "scan", "data": pcs}).to_string();
        let push = Request::post("/push").host("tk.example.org").body(body);
        assert_eq!(Client::of(connect_from(WATCHER, proxy.push)).exchange(&push).status, 200, "{kind:?}");
        let (mut client, token) = open(&proxy);
        client
            .send(&Request::get(&target(&token, &json!([get("occupation")]))).host("tk.example.org").bytes());
        // Pushes go on meanwhile, to others as well.
        let (mut other, another) = open(&proxy);
        hold(&mut other, &another);
        assert_eq!(proxy.push_from(WATCHER, &[], "lab1pc00001", "unknown"), 200);
        assert_eq!(only(&held(&mut other, &another), "occupation_update")["update"]["lab1pc00001"], "x");
        let told = held(&mut client, &token);
        let occupation = told.iter().find(|message| message["type"] == "occupation").unwrap();
        assert_eq!(states(&occupation["occupation"]).len(), 10_000, "{kind:?}");
    }
}

/// Waits until the daemon holds so many requests, as it says itself.
fn wait_until_held(daemon: &Daemon, wanted: usize, kind: Kind) {
    let line = format!("tkbd_held_requests {wanted}");
    let until = Instant::now() + GUARD;
    while !daemon.ask(&Request::get("/metrics")).text().lines().any(|one| one == line) {
        assert!(Instant::now() < until, "{kind:?}: never {line}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
