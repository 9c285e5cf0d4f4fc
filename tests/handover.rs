//! One daemon in the place of another: sockets that systemd hands in, the control socket, `tkbd run --take-over`, and
//! what the service manager is told. That clients notice nothing of it is shown in tests/invisible.rs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::tls::{self, authority};
use common::{Channel, Client, Daemon, GUARD, Request, assert_taken, entry};
use serde_json::{Value, json};

/// A daemon in a directory of somebody else's, with what it has logged. It is ended with the test.
struct Process {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    said: Vec<Value>,
}

impl Process {
    fn start(mut command: Command, directory: &Path) -> Process {
        let mut child = command.current_dir(directory).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Process { child, lines, said: Vec::new() }
    }

    /// `tkbd run` with these arguments and settings, beside the usual ones.
    fn run(directory: &Path, arguments: &[&str], sets: &[&str]) -> Process {
        Process::within(&[], directory, arguments, sets)
    }

    /// The same, started by another program.
    fn within(within: &[&str], directory: &Path, arguments: &[&str], sets: &[&str]) -> Process {
        let within: Vec<String> = within.iter().map(|&word| word.to_owned()).collect();
        let mut command = common::tkbd_within(&within);
        command.arg("run").args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let usual = ["http.listen=127.0.0.1:0", "push.listen=127.0.0.1:0", "history.db=history.sqlite3"];
        for set in usual.iter().chain(sets) {
            command.args(["--set", set]);
        }
        Process::start(command, directory)
    }

    /// Reads on until it says this, and returns the fields of that line.
    fn says(&mut self, message: &str) -> Value {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                panic!("it ended before it said {message:?}: {:?}", self.said);
            }
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| line.trim().into());
            let fields = line.get("fields").unwrap_or(&line).clone();
            self.said.push(fields.clone());
            if fields["message"] == message {
                return fields;
            }
        }
    }

    /// Where it listens, by door; as many as there are in all.
    fn addresses(&mut self, count: usize) -> Vec<(String, SocketAddr)> {
        let one = |fields: Value| {
            (fields["door"].as_str().unwrap().to_owned(), fields["addr"].as_str().unwrap().parse().unwrap())
        };
        (0..count).map(|_| one(self.says("listening"))).collect()
    }

    /// Waits for its end; its exit code, and what it said since.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn asked(socket: &Path, question: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream.write_all(question.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn control(directory: &Path) -> std::path::PathBuf {
    directory.join("history.sqlite3.control")
}

// --------------------------------------------------------------------------------------------------- the control socket

#[test]
fn the_control_socket_is_for_its_user_alone_and_says_who_runs() {
    let mut daemon = Daemon::start(&[]);
    let socket = control(daemon.dir());
    let metadata = std::fs::symlink_metadata(&socket).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let answer = asked(&socket, "{\"verb\":\"status\"}\n");
    assert_eq!(answer.matches('\n').count(), 1, "{answer}");
    let status: Value = serde_json::from_str(&answer).unwrap();
    let status = &status["status"];
    assert!(status["pid"].as_u64().is_some_and(|pid| pid > 1), "{answer}");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert!(status["since"].as_u64().is_some_and(|since| since > 1_700_000_000), "{answer}");
    let listening = json!([
        {"port": "http", "address": daemon.joyce().to_string()},
        {"port": "push", "address": daemon.push_port().to_string()},
    ]);
    assert_eq!(status["listening"], listening);
    assert_eq!(daemon.terminate().code(), Some(0));
    assert!(!socket.exists(), "it goes with its daemon");
}

#[test]
fn what_is_no_question_is_refused_and_changes_nothing() {
    let daemon = Daemon::start(&[]);
    let socket = control(daemon.dir());
    for question in ["\n", "status\n", "{\"verb\":\"stop\"}\n", "{\"verb\":\"hand_over\",\"to\":\"me\"}\n"] {
        let answer: Value = serde_json::from_str(&asked(&socket, question)).unwrap();
        assert!(answer["refused"].is_string(), "{question} → {answer}");
    }
    // One without an end is not read to its end.
    let mut endless = UnixStream::connect(&socket).unwrap();
    endless.set_read_timeout(Some(GUARD)).unwrap();
    let _ = endless.write_all(&[b' '; 100_000]);
    let mut answer = Vec::new();
    let _ = endless.read_to_end(&mut answer);
    assert_eq!(answer, b"");
    daemon.set("hg075pc01", "wf");
}

#[test]
fn a_control_socket_that_a_crash_has_left_is_replaced_and_another_file_is_not() {
    let mut daemon = Daemon::start(&[]);
    let socket = control(daemon.dir());
    daemon.kill();
    assert!(socket.exists(), "nobody has removed it");
    daemon.restart();
    assert!(asked(&socket, "{\"verb\":\"status\"}\n").contains("\"status\""));
    daemon.terminate();
    std::fs::write(&socket, "mine").unwrap();
    daemon.restart();
    assert!(daemon.log().contains("no control socket"), "{}", daemon.log());
    daemon.terminate();
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "mine");
    let named = format!("control.socket={}", socket.display());
    let other = tempfile::tempdir().unwrap();
    let (code, said) = Process::run(other.path(), &[], &[&named]).end();
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("control.socket"), "{said}");
}

#[test]
fn another_user_is_told_nothing_even_where_the_socket_lets_everybody_in() {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    let daemon = Daemon::start(&[]);
    let socket = control(daemon.dir());
    std::fs::set_permissions(daemon.dir(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o666)).unwrap();
    let read = format!(
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect({:?}); \
         s.sendall(b'{{\"verb\":\"hand_over\"}}\\n'); print(s.recv(9))",
        socket.display().to_string()
    );
    let mut python = Command::new("python3");
    python.args(["-c", &read]).uid(NOBODY);
    // Only root can be somebody else, and somebody must be there to ask.
    let Ok(told) = python.output() else { return };
    assert!(told.stdout == b"b''\n" || told.stdout.is_empty(), "{told:?}");
    daemon.settle();
    assert!(!daemon.log().contains("handed over"), "{}", daemon.log());
}

// --------------------------------------------------------------------------------------------------------- taking over

#[test]
fn a_daemon_takes_the_place_of_another_with_its_sockets_and_its_state() {
    let mut old = Daemon::start(&[]);
    old.set("hg075pc01", "wf");
    let mut held = Channel::with_filter(&old, &Value::Null);
    held.send(&json!([]));
    old.settle();
    let mut new = Process::run(old.dir(), &["--take-over"], &[]);
    let addresses = new.addresses(2);
    assert_eq!(addresses, [("joyce".into(), old.joyce()), ("push".into(), old.push_port())]);
    assert_eq!(old.wait().code(), Some(0), "{}", old.log());
    assert_eq!(held.receive(), [json!(null); 0]);
    assert_eq!(old.whole().occupation, BTreeMap::from([("hg075pc01".into(), "wf".into())]));
    old.set("hg075pc01", "wu");
}

#[test]
fn addresses_that_are_new_are_bound_and_those_that_are_gone_are_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut old = Process::run(dir.path(), &[], &["http.listen=127.0.0.1:0,127.0.0.2:0"]);
    let before = old.addresses(3);
    let (kept, gone, push) = (before[0].1, before[1].1, before[2].1);
    let sets = [format!("http.listen={kept},127.0.0.3:0"), format!("push.listen=127.0.0.4:{}", push.port())];
    let mut new = Process::run(dir.path(), &["--take-over"], &[&sets[0], &sets[1]]);
    let after = new.addresses(3);
    assert_eq!(old.end().0, Some(0));
    assert_eq!(after[0].1, kept);
    assert_eq!(after[1].1.ip().to_string(), "127.0.0.3");
    assert_eq!(after[2].1, SocketAddr::from(([127, 0, 0, 4], push.port())));
    for (_, address) in &after {
        TcpStream::connect(address).unwrap();
    }
    for address in [gone, push] {
        assert!(TcpStream::connect(address).is_err(), "{address} is listened on by nobody");
    }
}

#[test]
fn an_address_that_clashes_with_one_of_the_old_daemon_is_bound_when_that_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut old = Process::run(dir.path(), &[], &["http.listen=0.0.0.0:0"]);
    let port = old.addresses(2)[0].1.port();
    let mut new = Process::run(dir.path(), &["--take-over"], &[&format!("http.listen=127.0.0.1:{port}")]);
    assert_eq!(new.addresses(2)[0].1, SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(old.end().0, Some(0));
}

#[test]
fn where_nobody_runs_taking_over_is_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Process::run(dir.path(), &["--take-over"], &[]);
    let addresses = first.addresses(2);
    Client::connect(addresses[0].1).exchange(&Request::get("/?m=null"));
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert!(control(dir.path()).exists());
    let mut second = Process::run(dir.path(), &["--take-over"], &[]);
    assert_eq!(second.addresses(2).len(), 2, "what a crash has left does not answer");
}

#[test]
fn o1_a_setup_with_a_mistake_takes_nothing_over() {
    let old = Daemon::start(&[]);
    old.set("hg075pc01", "wf");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("push.listen={}", taken.local_addr().unwrap());
    for (set, expected) in [("http.hold=forever", 78), (taken.as_str(), 1), ("http.listen=192.0.2.1:80", 78)]
    {
        let (code, said) = Process::run(old.dir(), &["--take-over"], &[set]).end();
        assert_eq!(code, Some(expected), "{set}: {said}");
    }
    // Nor does one for which there are too few open files.
    let few = ["sh", "-c", "ulimit -n 150; exec \"$@\"", "sh"];
    let (code, said) = Process::within(&few, old.dir(), &["--take-over"], &[]).end();
    assert_eq!((code, said.contains("150 files may be open")), (Some(78), true), "{said}");
    assert_eq!(old.whole().occupation.len(), 1);
    assert!(!old.log().contains("handed over"), "{}", old.log());
}

#[test]
fn o1_a_history_that_cannot_be_gone_on_with_takes_nothing_over() {
    const NOBODY: u32 = 65_534;
    let old = Daemon::start(&[]);
    old.set("hg075pc01", "wf");
    let sql =
        |text: &str| rusqlite::Connection::open(old.history_file()).unwrap().execute_batch(text).unwrap();
    let refused = |within: &[&str], why: &str| {
        let (code, said) = Process::within(within, old.dir(), &["--take-over"], &[]).end();
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(!old.log().contains("handed over"), "{}", old.log());
        assert_eq!(old.whole().occupation.len(), 1);
    };
    sql("INSERT INTO refinery_schema_history VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')");
    refused(&[], "has schema 99");
    sql("DELETE FROM refinery_schema_history WHERE version = 99; PRAGMA application_id = 7");
    refused(&[], "is not a history");
    sql("PRAGMA application_id = 1953194596");
    // Rights that the new program has not: root has them all, and so it is nobody then.
    let directory = |mode| std::fs::set_permissions(old.dir(), PermissionsExt::from_mode(mode)).unwrap();
    if rustix::process::geteuid().is_root() {
        directory(0o755);
        let as_nobody = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
        let within = ["setpriv", &as_nobody[0], &as_nobody[1], "--clear-groups"];
        if Command::new(within[0]).args(&within[1..]).arg("true").output().is_ok_and(|it| it.status.success())
        {
            refused(&within, "Permission denied");
        } else {
            println!("SKIPPED: this is root, and the daemon cannot be run as nobody");
        }
    } else {
        directory(0o500);
        refused(&[], "Permission denied");
    }
    directory(0o700);
    old.set("hg075pc01", "wu");
}

#[test]
fn a_daemon_that_does_not_answer_is_left_alone_and_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("history.sqlite3"), "").unwrap();
    let silent = UnixListener::bind(control(dir.path())).unwrap();
    let (code, said) = Process::run(dir.path(), &["--take-over"], &[]).end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("does not answer") && said.contains("history.sqlite3.control"), "{said}");
    drop(silent);
}

#[test]
fn a_start_without_asking_is_refused_while_another_runs() {
    let old = Daemon::start(&[]);
    let (code, said) = Process::run(old.dir(), &[], &[]).end();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        asked(&control(old.dir()), "{\"verb\":\"status\"}\n").contains("\"pid\""),
        "its socket is as it was"
    );
}

#[test]
fn o8_a_certificate_that_cannot_be_served_takes_nothing_over_and_one_that_can_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    authority().good().write(dir.path(), "pair");
    let sets = tls::sets("pair");
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let mut old = Process::run(dir.path(), &[], &sets);
    let addresses = old.addresses(4);
    let (https, http) = (addresses[0].1, addresses[2].1);
    std::fs::write(dir.path().join("pair.key"), &authority().good().key).unwrap();
    let (code, said) = Process::run(dir.path(), &["--take-over"], &sets).end();
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("http.tls: the key pair.key is not that of the first certificate"), "{said}");
    assert_eq!(Client::connect(http).exchange(&Request::get("/?m=null")).status, 200);

    let mut held = Channel::over(Client::over_tls(https)).filtered(&Value::Null);
    held.send(&json!([]));
    assert_eq!(Client::over_tls(https).exchange(&Request::get("/?m=null")).status, 200);
    authority().good().write(dir.path(), "pair");
    let mut new = Process::run(dir.path(), &["--take-over"], &sets);
    assert_eq!(new.addresses(4), addresses);
    assert_eq!(held.receive(), [json!(null); 0]);
    assert_eq!(old.end().0, Some(0));
    assert_eq!(Client::over_tls(https).exchange(&Request::get("/?m=null")).status, 200);
}

#[test]
fn a_socket_of_both_families_is_not_taken_for_one_of_them_nor_the_other_way_about() {
    let dir = tempfile::tempdir().unwrap();
    let mut old = Process::run(dir.path(), &[], &["http.listen=[\"[::]:0\"]"]);
    let port = old.addresses(2)[0].1.port();
    let both = format!("http.listen=[\"[::]:{port}\"]");
    let apart = format!("http.listen=[\"[::]:{port}\", \"0.0.0.0:{port}\"]");
    for (set, sockets) in [(&apart, 3), (&both, 2), (&both, 2)] {
        let mut new = Process::run(dir.path(), &["--take-over"], &[set]);
        new.addresses(sockets);
        assert_eq!(old.end().0, Some(0));
        for address in ["127.0.0.1", "::1"] {
            let address = SocketAddr::new(address.parse().unwrap(), port);
            assert_eq!(Client::connect(address).exchange(&Request::get("/?m=null")).status, 200, "{set}");
        }
        old = new;
    }
}

// ---------------------------------------------------------------------------------------------------- systemd's sockets

/// `tkbd run` as systemd starts it, with these sockets and names.
fn with_sockets(directory: &Path, sockets: [OwnedFd; 2], names: &str, sets: &[&str]) -> Process {
    let script = "LISTEN_PID=$$ LISTEN_FDS=2; export LISTEN_PID LISTEN_FDS; exec \"$@\" 3<&0 4<&1 </dev/null >/dev/null";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(common::binary()).arg("run").env("LISTEN_FDNAMES", names);
    let [first, second] = sockets;
    command.stdin(first).stdout(second);
    for set in ["history.db=history.sqlite3", "log.format=json"].iter().chain(sets) {
        command.args(["--set", set]);
    }
    Process::start(command, directory)
}

fn listener() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap(), listener)
}

#[test]
fn o2_sockets_that_are_handed_in_are_served_by_their_names_or_their_ports() {
    for by_name in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let ((http, first), (push, second)) = (listener(), listener());
        let ports =
            [format!("http.listen=0.0.0.0:{}", http.port()), format!("push.listen=0.0.0.0:{}", push.port())];
        let (names, sets) = if by_name {
            ("push:http", vec![])
        } else {
            ("tkbd.socket:tkbd.socket", vec![&*ports[0], &*ports[1]])
        };
        let sockets = if by_name {
            [second.try_clone().unwrap().into(), first.try_clone().unwrap().into()]
        } else {
            [first.try_clone().unwrap().into(), second.try_clone().unwrap().into()]
        };
        let mut daemon = with_sockets(dir.path(), sockets, names, &sets);
        assert_eq!(
            daemon.addresses(2),
            [("joyce".into(), http), ("push".into(), push)],
            "and no others are bound"
        );
        let push_body = json!({"data": {"hg075pc01": entry("wf")}}).to_string();
        let response = Client::connect(push).exchange(&Request::post("/push").body(&push_body));
        assert_taken(&response, &push_body);
    }
}

#[test]
fn o2_a_client_that_connects_while_no_daemon_runs_is_answered_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let ((http, first), (_, second)) = (listener(), listener());
    let mut early = Client::connect(http);
    early.send(&Request::get("/?m=null").bytes());
    let _daemon = with_sockets(dir.path(), [first.into(), second.into()], "http:push", &[]);
    assert_eq!(early.receive().status, 200);
}

#[test]
fn o1_a_socket_that_is_for_nothing_is_refused_with_78_before_anything_is_touched() {
    let ((_, http), (_, push)) = (listener(), listener());
    let pair = || -> [OwnedFd; 2] { [http.try_clone().unwrap().into(), push.try_clone().unwrap().into()] };
    let datagrams = UnixDatagram::unbound().unwrap();
    let cases = [
        (pair(), "http:other", "FileDescriptorName="),
        ([http.try_clone().unwrap().into(), datagrams.into()], "http:push", "no TCP socket"),
    ];
    for (sockets, names, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let (code, said) = with_sockets(dir.path(), sockets, names, &[]).end();
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains("socket 2 of LISTEN_FDS") && said.contains(expected), "{said}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{said}");
    }
}

#[test]
fn o2_a_socket_for_a_door_that_is_shut_is_not_served_and_the_others_are() {
    let ((_, first), (_, second)) = (listener(), listener());
    let pair = || -> [OwnedFd; 2] { [first.try_clone().unwrap().into(), second.try_clone().unwrap().into()] };
    // With TLS alone, what goes in the clear must not come back by a socket unit.
    let tls = tls::sets("pair");
    let of_http = tls.iter().map(String::as_str).filter(|set| set.starts_with("http."));
    let tls: Vec<&str> = std::iter::once("http.listen=[]").chain(of_http).collect();
    for (sets, served, shut) in
        [(vec!["push.listen=[]"], vec!["joyce"], &second), (tls, vec!["joyce-tls", "push"], &first)]
    {
        let dir = tempfile::tempdir().unwrap();
        authority().good().write(dir.path(), "pair");
        let mut daemon = with_sockets(dir.path(), pair(), "http:push", &sets);
        let doors = daemon.addresses(served.len());
        assert_eq!(doors.iter().map(|(door, _)| door.as_str()).collect::<Vec<_>>(), served);
        assert!(doors.iter().all(|(_, address)| *address != shut.local_addr().unwrap()), "{doors:?}");
        let told = daemon.said.iter().find(|said| said["address"] == shut.local_addr().unwrap().to_string());
        assert!(told.unwrap()["message"].as_str().unwrap().contains("mask its socket unit"), "{told:?}");
        // Who connects there is ours to accept, and nobody else's.
        let early = TcpStream::connect(shut.local_addr().unwrap()).unwrap();
        daemon.says("places of the web port");
        assert_eq!(shut.accept().unwrap().1, early.local_addr().unwrap());
    }
}

// ---------------------------------------------------------------------------------------------------- the service manager

#[test]
fn o5_the_service_manager_is_told_of_start_and_end_and_the_watchdog_is_fed() {
    let dir = tempfile::tempdir().unwrap();
    let manager = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(GUARD)).unwrap();
    let told = || {
        let mut bytes = [0; 1024];
        let n = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..n].to_vec()).unwrap()
    };
    let mut command = common::tkbd();
    command.args(["run", "--set", "http.listen=127.0.0.1:0", "--set", "push.listen=127.0.0.1:0"]);
    command.args(["--set", "history.db=history.sqlite3"]).stdin(Stdio::null()).stdout(Stdio::null());
    command.env("NOTIFY_SOCKET", dir.path().join("notify")).env("WATCHDOG_USEC", "300000");
    command.env_remove("WATCHDOG_PID");
    let mut daemon = Process::start(command, dir.path());
    let addresses = daemon.addresses(2);
    let ready = told();
    assert!(ready.contains("READY=1\n") && ready.contains("STATUS="), "{ready}");
    Client::connect(addresses[0].1).exchange(&Request::get("/?m=null"));
    // It is fed well within the time, with nothing else to do.
    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(told(), "WATCHDOG=1\n");
    }
    assert!(begun.elapsed() >= Duration::from_millis(200), "and not without a pause");
    assert!(common::ask_to_end(&daemon.child));
    let stopping = loop {
        let line = told();
        if line != "WATCHDOG=1\n" {
            break line;
        }
    };
    assert!(stopping.contains("STOPPING=1\n"), "{stopping}");
    assert_eq!(daemon.end().0, Some(0));
}
