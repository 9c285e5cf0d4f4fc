//! What the black-box tests share: a daemon of one's own, an HTTP client that can say anything, a channel, a view.
//!
//! The tests know the binary, its ports, its exit codes and its standard error, and nothing else. To test another build
//! than the one cargo made, name it: `TKBD_BIN=/path/to/tkbd cargo test`.
//!
//! Time-outs here only end a test that has failed already; nothing is proved by waiting. That a request is held is
//! shown by what it is answered with: something that happened after it was sent.

// Every test file is a crate of its own and takes the part it needs.
#![allow(dead_code)]

pub(crate) mod events;
pub(crate) mod relay;
pub(crate) mod reserved;
pub(crate) mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection};
use serde_json::{Value, json};

/// After this long without what must come, a test has failed.
pub(crate) const GUARD: Duration = Duration::from_secs(30);

/// Where the daemon under test is.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("TKBD_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_tkbd")), PathBuf::from)
}

// ---------------------------------------------------------------------------------------------------------- daemon

/// A daemon with a directory, ports and a history of its own; it ends with the test.
pub(crate) struct Daemon {
    child: Child,
    dir: tempfile::TempDir,
    launch: Launch,
    stderr: Arc<Mutex<String>>,
    ports: Ports,
    over: bool,
}

/// Where a daemon listens, by the names of its log: `joyce` and `push`, and where it speaks TLS `joyce-tls` and
/// `push-tls`.
type Ports = BTreeMap<String, SocketAddr>;

#[derive(Clone, Default)]
struct Launch {
    setup: Option<String>,
    sets: Vec<String>,
    /// What starts the program: it takes the program and its arguments as its last ones.
    within: Vec<String>,
}

impl Daemon {
    /// The embedded default setup, with these settings (`key=value`) besides the ports and the history.
    pub(crate) fn start(extra_sets: &[&str]) -> Daemon {
        Daemon::launch(tempfile::tempdir().unwrap(), Launch { sets: owned(extra_sets), ..Launch::default() })
    }

    /// The default setup, of a process that may open so many files.
    pub(crate) fn limited(files: usize, extra_sets: &[&str]) -> Daemon {
        let launch = Launch { sets: owned(extra_sets), within: with_files(files), ..Launch::default() };
        Daemon::launch(tempfile::tempdir().unwrap(), launch)
    }

    /// This setup (TOML), with these settings.
    pub(crate) fn with_setup(setup: &str, extra_sets: &[&str]) -> Daemon {
        let launch = Launch { setup: Some(setup.to_owned()), sets: owned(extra_sets), ..Launch::default() };
        Daemon::launch(tempfile::tempdir().unwrap(), launch)
    }

    /// A directory that already holds a `history.sqlite3`.
    pub(crate) fn on(dir: tempfile::TempDir, extra_sets: &[&str]) -> Daemon {
        Daemon::launch(dir, Launch { sets: owned(extra_sets), ..Launch::default() })
    }

    /// The same, started by another program (`sh -c 'umask 0; exec "$@"' sh`).
    pub(crate) fn within(within: &[&str], dir: tempfile::TempDir, extra_sets: &[&str]) -> Daemon {
        Daemon::launch(dir, Launch { sets: owned(extra_sets), within: owned(within), ..Launch::default() })
    }

    /// The same with this setup, in a directory of its own.
    pub(crate) fn with_setup_within(within: &[&str], setup: &str) -> Daemon {
        let launch = Launch { setup: Some(setup.to_owned()), within: owned(within), ..Launch::default() };
        Daemon::launch(tempfile::tempdir().unwrap(), launch)
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn launch(dir: tempfile::TempDir, launch: Launch) -> Daemon {
        let (child, stderr, ports) = spawn(dir.path(), &launch);
        Daemon { child, dir, launch, stderr, ports, over: false }
    }

    pub(crate) fn joyce(&self) -> SocketAddr {
        self.ports[if tls::is_everywhere() { "joyce-tls" } else { "joyce" }]
    }

    pub(crate) fn push_port(&self) -> SocketAddr {
        self.ports[if tls::is_everywhere() { "push-tls" } else { "push" }]
    }

    /// The Joyce port that speaks TLS.
    pub(crate) fn joyce_tls(&self) -> SocketAddr {
        self.ports["joyce-tls"]
    }

    /// The push port that does.
    pub(crate) fn push_tls(&self) -> SocketAddr {
        self.ports["push-tls"]
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn history_file(&self) -> PathBuf {
        self.dir.path().join("history.sqlite3")
    }

    /// What the daemon has logged so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Asks it to end, as systemd does, and waits for the end.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.ask_to_end();
        self.wait()
    }

    /// SIGTERM, without waiting for the end.
    pub(crate) fn ask_to_end(&mut self) {
        assert!(ask_to_end(&self.child), "the daemon was gone before it was asked to go:\n{}", self.log());
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = wait_for(&mut self.child, &self.stderr);
        self.over = true;
        status
    }

    /// From now on this is the setup, also after a restart.
    pub(crate) fn write_setup(&mut self, setup: &str) {
        std::fs::write(self.setup_file(), setup).unwrap();
        self.launch.setup = Some(setup.to_owned());
    }

    pub(crate) fn setup_file(&self) -> PathBuf {
        self.dir.path().join("setup.toml")
    }

    /// SIGHUP: has the setup read again. Waits until the log tells what came of it, and answers that.
    pub(crate) fn reload(&self) -> Vec<Value> {
        let before = outcomes(&self.log()).len();
        self.hang_up();
        let until = Instant::now() + GUARD;
        loop {
            let after = outcomes(&self.log());
            if after.len() > before {
                return after[before..].to_vec();
            }
            assert!(Instant::now() < until, "the setup is not read again:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        hang_up(&self.child);
    }

    /// SIGKILL: a crash.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.over = true;
    }

    /// The same directory and settings again, after an orderly end (or after [`Daemon::kill`]). The ports are new.
    pub(crate) fn restart(&mut self) {
        if !self.over {
            let status = self.terminate();
            assert_eq!(status.code(), Some(0), "SIGTERM ends with 0:\n{}", self.log());
        }
        let (child, stderr, ports) = spawn(self.dir.path(), &self.launch);
        self.child = child;
        self.stderr = stderr;
        self.ports = ports;
        self.over = false;
    }

    /// A connection to the Joyce port.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.joyce())
    }

    /// A connection to the push port.
    pub(crate) fn connect_push(&self) -> Client {
        Client::connect(self.push_port())
    }

    /// A request on a connection of its own, on the Joyce port.
    pub(crate) fn ask(&self, request: &Request) -> Response {
        self.connect().exchange(request)
    }

    /// `GET /?m=…` on a connection of its own.
    pub(crate) fn ask_m(&self, m: &str) -> Response {
        self.ask(&Request::get(&format!("/?m={}", percent(m))))
    }

    /// The body to `/push`, on a connection of its own.
    pub(crate) fn try_push(&self, body: &[u8]) -> Response {
        self.connect_push().exchange(&Request::post("/push").body(body))
    }

    /// A push that must be taken.
    pub(crate) fn push(&self, datasource: &str, data: &Value) {
        let body = json!({"datasource": datasource, "data": data}).to_string();
        assert_taken(&self.try_push(body.as_bytes()), &body);
    }

    /// A PC gets this state in a push of its own.
    pub(crate) fn set(&self, pc: &str, state: &str) {
        self.push("test", &json!({pc: entry(state)}));
    }

    /// A push that must be refused as bad; answers the JSON that says why.
    pub(crate) fn refused(&self, body: &[u8]) -> Value {
        let response = self.try_push(body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        assert_eq!(response.status, 400, "{shown} → {response:?}");
        let why = response.json();
        assert!(why["error"].as_str().is_some_and(|e| !e.is_empty()), "{shown} → {why}");
        why
    }

    /// What was sent before on other connections has been seen when this is over: requests that come after it, on
    /// connections made after it, have been answered.
    pub(crate) fn settle(&self) {
        for _ in 0..5 {
            let response = self.ask(&Request::get("/nowhere"));
            assert_eq!(response.status, 400, "{response:?}");
        }
    }

    /// The whole of the history, read page by page.
    pub(crate) fn history(&self, page: usize) -> Vec<HistoryRow> {
        let mut channel = Channel::new(self);
        let mut rows = Vec::new();
        loop {
            let messages =
                channel.ask(&json!([{"type": "get_historic_updates", "offset": rows.len(), "count": page}]));
            let answer = only(&messages, "historic_updates");
            assert_eq!(answer["offset"], json!(rows.len()));
            let got = answer["updates"].as_array().unwrap();
            assert!(got.len() <= page);
            if got.is_empty() {
                return rows;
            }
            rows.extend(got.iter().map(HistoryRow::from_json));
        }
    }

    /// Everything as a reader under the filter "everything" is told it.
    pub(crate) fn whole(&self) -> Whole {
        let mut channel = Channel::new(self);
        let messages =
            channel.ask(&json!([everything(), get("roomMap"), get("schedule"), get("occupation")]));
        let room_map = one(&messages, "roomMap");
        let occupation = one(&messages, "occupation");
        Whole {
            occupation: states(&occupation["occupation"]),
            occupation_version: version(occupation),
            room_map: rooms(&room_map["roomMap"]),
            room_map_version: version(room_map),
            schedule_version: version(one(&messages, "schedule")),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let log = self.log();
        if std::thread::panicking() {
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("The daemon's last words:");
            tail.iter().rev().for_each(|line| eprintln!("  {line}"));
        } else {
            assert!(!log.contains("panicked"), "the daemon panicked:\n{log}");
        }
    }
}

/// SIGTERM; false where it was gone already.
pub(crate) fn ask_to_end(child: &Child) -> bool {
    // The shell's own: there is no kill to run on every machine.
    Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status().unwrap().success()
}

/// SIGHUP.
pub(crate) fn hang_up(child: &Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
}

/// A pipe in the place of a file. One to which nobody writes is as a disk that does not answer.
pub(crate) fn make_pipe(file: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let _ = std::fs::remove_file(file);
    mknodat(CWD, file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// What a log tells of setups that were read again: a line each, and one for every mistake.
pub(crate) fn outcomes(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told = |line: &Value| {
        let message = line["message"].as_str().unwrap_or_default();
        message.starts_with("setup reloaded") || message.starts_with("setup not reloaded")
    };
    lines.filter(told).collect()
}

fn owned(sets: &[&str]) -> Vec<String> {
    sets.iter().map(|&set| set.to_owned()).collect()
}

/// The program, without what the variables of whoever runs the tests would set.
pub(crate) fn tkbd() -> Command {
    tkbd_within(&[])
}

/// The same, started by another program.
pub(crate) fn tkbd_within(within: &[String]) -> Command {
    let mut command = match within {
        [] => Command::new(binary()),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(binary());
            command
        }
    };
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TKBD_") {
            command.env_remove(name);
        }
    }
    command
}

/// What starts a program that may open so many files and no more.
pub(crate) fn with_files(files: usize) -> Vec<String> {
    owned(&["sh", "-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")])
}

fn spawn(dir: &Path, launch: &Launch) -> (Child, Arc<Mutex<String>>, Ports) {
    let mut command = tkbd_within(&launch.within);
    command.arg("run");
    if let Some(setup) = &launch.setup {
        let file = dir.join("setup.toml");
        std::fs::write(&file, setup).unwrap();
        command.arg(file);
    }
    let db = dir.join("history.sqlite3");
    let mut standard = vec![
        "http.listen=127.0.0.1:0".to_owned(),
        "push.listen=127.0.0.1:0".to_owned(),
        format!("history.db={}", db.display()),
    ];
    if tls::is_everywhere() {
        tls::authority().good().write(dir, "everywhere");
        standard.extend(tls::sets("everywhere"));
    }
    let key = |set: &str| set.split('=').next().map(str::to_owned);
    for set in standard.iter().filter(|set| !launch.sets.iter().any(|other| key(other) == key(set))) {
        command.args(["--set", set]);
    }
    for set in &launch.sets {
        command.args(["--set", set]);
    }
    let mut child = command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{} does not start: {e}", binary().display()));

    let stderr = Arc::new(Mutex::new(String::new()));
    let (found, listening) = mpsc::channel();
    let (lines, log) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&stderr));
    std::thread::spawn(move || {
        for line in lines.split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some(door) = listening_door(&line) {
                let _ = found.send(door);
            }
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });

    // The doors that speak TLS are told of first.
    let mut ports = Ports::new();
    let until = Instant::now() + GUARD;
    while !(ports.contains_key("joyce") && ports.contains_key("push")) {
        match listening.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((door, addr)) => {
                ports.insert(door, addr);
            }
            Err(_) => {
                let _ = child.kill();
                let status = child.wait();
                panic!("the daemon does not listen ({status:?}):\n{}", stderr.lock().unwrap());
            }
        }
    }
    (child, stderr, ports)
}

fn listening_door(line: &str) -> Option<(String, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    if fields.get("message")? != "listening" {
        return None;
    }
    Some((fields.get("door")?.as_str()?.to_owned(), fields.get("addr")?.as_str()?.parse().ok()?))
}

fn wait_for(child: &mut Child, log: &Mutex<String>) -> ExitStatus {
    let until = Instant::now() + GUARD;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the daemon does not end:\n{}", log.lock().unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs `tkbd` with these arguments to its end.
pub(crate) fn run_to_end(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut child = tkbd()
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = wait_for(&mut child, &Mutex::new(format!("tkbd {arguments:?}")));
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (status.code(), out, err)
}

// ------------------------------------------------------------------------------------------------------------ HTTP

/// A request, as far as it has the usual form; [`Client::send`] takes any bytes.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    target: String,
    version: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Request {
        let headers = vec![("Host".to_owned(), "127.0.0.1".to_owned())];
        Request {
            method: method.into(),
            target: target.into(),
            version: "HTTP/1.1".into(),
            headers,
            body: None,
        }
    }

    pub(crate) fn get(target: &str) -> Request {
        Request::new("GET", target)
    }

    pub(crate) fn post(target: &str) -> Request {
        Request::new("POST", target)
    }

    pub(crate) fn http10(self) -> Request {
        self.version("HTTP/1.0")
    }

    pub(crate) fn version(mut self, version: &str) -> Request {
        self.version = version.to_owned();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn host(mut self, host: &str) -> Request {
        self.headers[0].1 = host.to_owned();
        self
    }

    /// A body, with its Content-Length.
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Request {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} {}\r\n", self.method, self.target, self.version);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let says_its_length = self.headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("Transfer-Encoding")
        });
        if let (Some(body), false) = (&self.body, says_its_length) {
            write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }
}

/// An answer, read to its end and not a byte further.
#[derive(Clone)]
pub(crate) struct Response {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The media type, without its parameters.
    pub(crate) fn media_type(&self) -> &str {
        self.header("Content-Type").unwrap_or_default().split(';').next().unwrap_or_default().trim()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    /// The list of a reply in a callback of that name.
    pub(crate) fn jsonp(&self, callback: &str) -> Value {
        let text = self.text();
        let list = text
            .strip_prefix(&format!("/**/{callback}("))
            .and_then(|rest| rest.trim_end_matches('\n').strip_suffix(");"))
            .unwrap_or_else(|| panic!("no reply in {callback}: {text}"));
        serde_json::from_str(list).unwrap_or_else(|e| panic!("{e} in {text}"))
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let shown: String = body.chars().take(600).collect();
        write!(f, "{} {} {:?} {shown}", self.version, self.status, self.headers)
    }
}

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    session: Option<Box<ClientConnection>>,
    read: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Client {
        let addr = if addr.ip().is_unspecified() { (Ipv4Addr::LOCALHOST, addr.port()).into() } else { addr };
        Client::of(TcpStream::connect(addr).unwrap())
    }

    /// The same, from this address of this machine.
    pub(crate) fn connect_from(from: Ipv4Addr, addr: SocketAddr) -> Client {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&addr.into()).unwrap();
        Client::of(socket.into())
    }

    pub(crate) fn of(stream: TcpStream) -> Client {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream.set_write_timeout(Some(GUARD)).unwrap();
        let session = tls::is_everywhere().then(|| tls::session(default_tls()));
        Client { stream, session, read: Vec::new() }
    }

    /// The same over TLS, with the versions and the trust of the tests.
    pub(crate) fn over_tls(addr: SocketAddr) -> Client {
        Client::with_session(addr, tls::session(default_tls()))
    }

    pub(crate) fn with_session(addr: SocketAddr, session: Box<ClientConnection>) -> Client {
        Client { session: Some(session), ..Client::connect(addr) }
    }

    /// The same connection, over TLS.
    pub(crate) fn secured(self) -> Client {
        Client { session: Some(tls::session(default_tls())), ..self }
    }

    /// Waits for the TLS session, if there is one, which else begins with what is sent.
    pub(crate) fn shake_hands(&mut self) -> std::io::Result<()> {
        let Some(session) = &mut self.session else { return Ok(()) };
        while session.is_handshaking() {
            session.complete_io(&mut self.stream)?;
        }
        Ok(())
    }

    /// What TLS knows of the connection.
    pub(crate) fn session(&mut self) -> &mut ClientConnection {
        self.session.as_mut().expect("a connection with TLS")
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Writes these bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.session {
            None => self.stream.write_all(bytes),
            Some(session) => {
                let mut stream = rustls::Stream::new(&mut **session, &mut self.stream);
                stream.write_all(bytes).and_then(|()| stream.flush())
            }
        }
    }

    /// Writes these bytes, as far as the daemon still takes them.
    pub(crate) fn send_what_is_taken(&mut self, bytes: &[u8]) {
        let _ = self.try_send(bytes);
    }

    /// All that comes until the end, which may be cut off.
    pub(crate) fn read_to_end(&mut self, said: &mut Vec<u8>) -> std::io::Result<()> {
        while self.fill()? {}
        said.append(&mut self.read);
        Ok(())
    }

    pub(crate) fn finish_sending(&mut self) {
        if let Some(session) = &mut self.session {
            session.send_close_notify();
            let _ = session.write_tls(&mut self.stream);
        }
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    pub(crate) fn exchange(&mut self, request: &Request) -> Response {
        self.send(&request.bytes());
        if request.method == "HEAD" { self.receive_head() } else { self.receive() }
    }

    /// The next answer.
    pub(crate) fn receive(&mut self) -> Response {
        match self.try_receive(false) {
            Ok(Some(response)) => response,
            Ok(None) => panic!("the connection was closed without an answer"),
            Err(e) => panic!("no whole answer: {e}; so far: {}", String::from_utf8_lossy(&self.read)),
        }
    }

    /// The next answer, to HEAD.
    pub(crate) fn receive_head(&mut self) -> Response {
        self.try_receive(true).unwrap().unwrap()
    }

    /// The next answer; `None` where the connection ends before it.
    pub(crate) fn try_receive(&mut self, without_body: bool) -> std::io::Result<Option<Response>> {
        loop {
            let Some(end) = self.fill_to(|read| find(read, b"\r\n\r\n"))? else {
                return if self.read.is_empty() {
                    Ok(None)
                } else {
                    Err(std::io::ErrorKind::UnexpectedEof.into())
                };
            };
            let head: Vec<u8> = self.read.drain(..end + 4).collect();
            let head = String::from_utf8(head).map_err(std::io::Error::other)?;
            let mut lines = head.trim_end().split("\r\n");
            let mut first = lines.next().unwrap_or_default().splitn(3, ' ');
            let version = first.next().unwrap_or_default().to_owned();
            let status = first.next().and_then(|s| s.parse().ok());
            let status: u16 =
                status.ok_or_else(|| std::io::Error::other(format!("no status in {head:?}")))?;
            let headers = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect();
            if (100..200).contains(&status) {
                continue;
            }
            let mut response = Response { version, status, headers, body: Vec::new() };
            if !without_body && status != 204 && status != 304 {
                response.body = self.body_of(&response)?;
            }
            return Ok(Some(response));
        }
    }

    /// What comes up to this mark, which is passed over; `None` where the connection ends before it.
    pub(crate) fn read_until(&mut self, mark: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
        let Some(end) = self.fill_to(|read| find(read, mark))? else { return Ok(None) };
        let mut read: Vec<u8> = self.read.drain(..end + mark.len()).collect();
        read.truncate(end);
        Ok(Some(read))
    }

    fn body_of(&mut self, response: &Response) -> std::io::Result<Vec<u8>> {
        let short = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        if response.header("Transfer-Encoding").is_some_and(|te| te.eq_ignore_ascii_case("chunked")) {
            let mut body = Vec::new();
            loop {
                let end = self.fill_to(|read| find(read, b"\r\n"))?.ok_or_else(short)?;
                let line: Vec<u8> = self.read.drain(..end + 2).collect();
                let line = String::from_utf8_lossy(&line).into_owned();
                let size = usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16)
                    .map_err(std::io::Error::other)?;
                self.fill_to(|read| (read.len() >= size + 2).then_some(0))?.ok_or_else(short)?;
                body.extend(self.read.drain(..size));
                self.read.drain(..2);
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        if let Some(length) = response.header("Content-Length") {
            let length: usize = length.parse().map_err(std::io::Error::other)?;
            self.fill_to(|read| (read.len() >= length).then_some(0))?.ok_or_else(short)?;
            return Ok(self.read.drain(..length).collect());
        }
        while self.fill()? {}
        Ok(std::mem::take(&mut self.read))
    }

    fn fill_to(&mut self, found: impl Fn(&[u8]) -> Option<usize>) -> std::io::Result<Option<usize>> {
        loop {
            if let Some(at) = found(&self.read) {
                return Ok(Some(at));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> std::io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = match &mut self.session {
                None => self.stream.read(&mut buffer),
                Some(session) => rustls::Stream::new(&mut **session, &mut self.stream).read(&mut buffer),
            };
            match read {
                Ok(n) => {
                    self.read.extend_from_slice(&buffer[..n]);
                    return Ok(n > 0);
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Waits until the daemon has closed the connection; what came before that is thrown away.
    pub(crate) fn wait_until_closed(&mut self) {
        loop {
            match self.fill() {
                Ok(true) => self.read.clear(),
                Ok(false) => return,
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return,
                Err(e) => panic!("the connection stays open: {e}"),
            }
        }
    }

    /// Goes away with an answer unread, so that the daemon gets a reset and not an orderly end.
    pub(crate) fn leave_with_a_reset(self) {
        assert!(self.read.is_empty());
        let _ = self.stream.peek(&mut [0]).unwrap();
    }
}

/// As a browser is set up that trusts the tests' authority.
fn default_tls() -> &'static Arc<ClientConfig> {
    static ONE: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    ONE.get_or_init(|| tls::authority().client(rustls::ALL_VERSIONS, None))
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}

/// Percent-encoding of everything but the unreserved characters.
pub(crate) fn percent(text: impl AsRef<[u8]>) -> String {
    let mut encoded = String::new();
    for &byte in text.as_ref() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
    }
    encoded
}

/// The bytes of a chunked body, in chunks of this size.
pub(crate) fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(size.max(1)) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

// -------------------------------------------------------------------------------------------------------- channels

/// A client of one channel, on one connection that is kept. Every reply it takes is held against the promises that
/// hold for all replies: the form, the token, one occupation-bearing message at most, versions that never fall.
pub(crate) struct Channel {
    client: Client,
    token: String,
    versions: BTreeMap<&'static str, u64>,
}

impl Channel {
    /// A new channel, welcomed.
    pub(crate) fn new(daemon: &Daemon) -> Channel {
        Channel::over(daemon.connect())
    }

    /// The same on this connection.
    pub(crate) fn over(mut client: Client) -> Channel {
        let reply = client.exchange(&Request::get("/?m=%5B%5D")).json();
        let token = reply[0].as_str().unwrap_or_else(|| panic!("no token in {reply}")).to_owned();
        let mut channel = Channel { client, token, versions: BTreeMap::new() };
        let messages = channel.check(&reply);
        assert_eq!(types(&messages), ["welcome", "tags"], "{reply}");
        channel
    }

    /// A new channel that has this filter for everything.
    pub(crate) fn with_filter(daemon: &Daemon, filter: &Value) -> Channel {
        Channel::new(daemon).filtered(filter)
    }

    /// The same channel with this filter for everything.
    pub(crate) fn filtered(self, filter: &Value) -> Channel {
        let mut channel = self;
        let set =
            json!({"type": "set_msgFilter", "occupation": filter, "roomMap": filter, "schedule": filter});
        let messages = channel.ask(&json!([set, get("tag_names")]));
        assert_eq!(types(&messages), ["tags"]);
        channel
    }

    /// A client that comes with this token, and has asked for nothing yet.
    pub(crate) fn named(daemon: &Daemon, token: &str) -> Channel {
        Channel { client: daemon.connect(), token: token.to_owned(), versions: BTreeMap::new() }
    }

    /// Another connection to the same channel; the old one is given back.
    pub(crate) fn reconnect(&mut self, daemon: &Daemon) -> Client {
        std::mem::replace(&mut self.client, daemon.connect())
    }

    /// The same, of this connection.
    pub(crate) fn replace_client(&mut self, client: Client) -> Client {
        std::mem::replace(&mut self.client, client)
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Sends a request with these messages (a list) and does not wait.
    pub(crate) fn send(&mut self, messages: &Value) {
        let request = self.request(messages);
        self.client.send(&request.bytes());
    }

    /// The request that carries these messages.
    pub(crate) fn request(&self, messages: &Value) -> Request {
        let mut m = vec![json!(self.token)];
        m.extend(messages.as_array().unwrap().iter().cloned());
        Request::post("/").body(Value::from(m).to_string())
    }

    /// The messages of the next reply.
    pub(crate) fn receive(&mut self) -> Vec<Value> {
        let response = self.client.receive();
        assert_eq!(response.status, 200, "{response:?}");
        self.check(&response.json())
    }

    /// Sends a request with these messages and takes its reply.
    pub(crate) fn ask(&mut self, messages: &Value) -> Vec<Value> {
        self.send(messages);
        self.receive()
    }

    /// The reply to a request without messages.
    pub(crate) fn poll(&mut self) -> Vec<Value> {
        self.ask(&json!([]))
    }

    /// Holds a reply against what every reply must be.
    pub(crate) fn check(&mut self, reply: &Value) -> Vec<Value> {
        let messages = messages_of(&self.token, reply);
        for message in &messages {
            let (of, is_update) = match message["type"].as_str().unwrap() {
                "occupation" => ("occupation", false),
                "occupation_update" => ("occupation", true),
                "roomMap" => ("roomMap", false),
                "schedule" => ("schedule", false),
                "tagMap" => ("tagMap", false),
                _ => continue,
            };
            let new = version(message);
            if let Some(old) = self.versions.insert(of, new) {
                assert!(new >= old, "a version fell from {old}: {message}");
                assert!(!is_update || new > old, "an update without a new version: {message}");
            }
        }
        messages
    }
}

/// The messages of a reply on this channel; panics where the reply is not of the form every reply has.
pub(crate) fn messages_of(token: &str, reply: &Value) -> Vec<Value> {
    let list = reply.as_array().unwrap_or_else(|| panic!("no list: {reply}"));
    assert_eq!(list.len(), 3, "{reply}");
    assert_eq!(list[0], json!(token), "another channel's token");
    assert_eq!(list[2], json!([]), "{reply}");
    let messages = list[1].as_array().unwrap_or_else(|| panic!("no messages: {reply}")).clone();
    let bearing = messages.iter().filter(|m| m["type"] == "occupation" || m["type"] == "occupation_update");
    assert!(bearing.count() <= 1, "more than one message that carries occupation: {reply}");
    messages
}

/// What a client knows who believes what it is told, in the order in which it is told.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) occupation: BTreeMap<String, String>,
    pub(crate) rooms: Option<Rooms>,
    pub(crate) welcomed: usize,
}

/// Room key → (display name, PCs).
pub(crate) type Rooms = BTreeMap<String, (String, BTreeSet<String>)>;

impl View {
    /// Takes a reply's messages. An update for a PC that no roomMap has named would stop the old page for good.
    pub(crate) fn take(&mut self, messages: &[Value]) {
        for message in messages {
            match message["type"].as_str().unwrap() {
                "welcome" => self.welcomed += 1,
                "occupation" => self.occupation = states(&message["occupation"]),
                "occupation_update" => {
                    let update = states(&message["update"]);
                    assert!(!update.is_empty(), "an update of nothing: {message}");
                    for (pc, state) in update {
                        let rooms =
                            self.rooms.as_ref().unwrap_or_else(|| panic!("an update before a roomMap"));
                        let named = rooms.values().any(|(_, pcs)| pcs.contains(&pc));
                        assert!(named, "an update for {pc}, which no roomMap has named");
                        self.occupation.insert(pc, state);
                    }
                }
                "roomMap" => self.rooms = Some(rooms(&message["roomMap"])),
                _ => {}
            }
        }
    }
}

/// Everything, as the filter "everything" shows it.
#[derive(Debug, PartialEq)]
pub(crate) struct Whole {
    pub(crate) occupation: BTreeMap<String, String>,
    pub(crate) occupation_version: u64,
    pub(crate) room_map: Rooms,
    pub(crate) room_map_version: u64,
    pub(crate) schedule_version: u64,
}

/// A row of `historic_updates`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HistoryRow {
    pub(crate) pc: String,
    pub(crate) source: String,
    pub(crate) time: i64,
    pub(crate) state: String,
}

impl HistoryRow {
    pub(crate) fn from_json(row: &Value) -> HistoryRow {
        let list = row.as_array().unwrap_or_else(|| panic!("no row: {row}"));
        assert_eq!(list.len(), 4, "{row}");
        let text = |i: usize| list[i].as_str().unwrap_or_else(|| panic!("no text at {i}: {row}")).to_owned();
        let time = list[2].as_i64().unwrap_or_else(|| panic!("no whole seconds: {row}"));
        HistoryRow { pc: text(0), source: text(1), time, state: text(3) }
    }
}

/// A `set_msgFilter` that asks for everything.
pub(crate) fn everything() -> Value {
    filter(&Value::Null)
}

/// A `set_msgFilter` with this filter for all three.
pub(crate) fn filter(of: &Value) -> Value {
    json!({"type": "set_msgFilter", "occupation": of, "roomMap": of, "schedule": of})
}

/// `get_occupation` and its like.
pub(crate) fn get(what: &str) -> Value {
    json!({"type": format!("get_{what}")})
}

/// The entry of a push that makes a PC's state this one.
pub(crate) fn entry(state: &str) -> Value {
    match state {
        "o" => json!({"status": "offline"}),
        "x" => json!({"status": "unknown"}),
        _ => {
            let session = if state.starts_with('l') { "linux" } else { "windows" };
            let status = match &state[1..] {
                "f" => "free",
                "u" => "used",
                "x" => "unknown",
                _ => panic!("no state: {state}"),
            };
            json!({"status": status, "session": session})
        }
    }
}

pub(crate) fn assert_taken(response: &Response, what: &str) {
    let shown: String = what.chars().take(300).collect();
    assert_eq!(response.status, 200, "{shown} → {response:?}");
    assert_eq!(response.json(), json!(true), "{shown}");
}

pub(crate) fn types(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|m| m["type"].as_str().unwrap_or_else(|| panic!("no type: {m}"))).collect()
}

/// The one message of this type.
pub(crate) fn one<'a>(messages: &'a [Value], of: &str) -> &'a Value {
    let mut found = messages.iter().filter(|m| m["type"] == of);
    let first = found.next().unwrap_or_else(|| panic!("no {of} in {messages:?}"));
    assert!(found.next().is_none(), "two {of} in {messages:?}");
    first
}

/// The one message, which must be of this type.
pub(crate) fn only<'a>(messages: &'a [Value], of: &str) -> &'a Value {
    assert_eq!(types(messages), [of], "{messages:?}");
    &messages[0]
}

pub(crate) fn version(message: &Value) -> u64 {
    message["version"].as_u64().unwrap_or_else(|| panic!("no version: {message}"))
}

/// PC → state. Any other state than the eight is an error of the daemon's.
pub(crate) fn states(of: &Value) -> BTreeMap<String, String> {
    let map = of.as_object().unwrap_or_else(|| panic!("no states: {of}"));
    let state = |v: &Value| {
        let state = v.as_str().unwrap_or_else(|| panic!("no state: {of}")).to_owned();
        assert!(
            ["o", "x", "wf", "lf", "wu", "lu", "wx", "lx"].contains(&state.as_str()),
            "{state:?} is no state"
        );
        state
    };
    map.iter().map(|(pc, v)| (pc.clone(), state(v))).collect()
}

/// Room key → (name, PCs), of a roomMap.
pub(crate) fn rooms(of: &Value) -> Rooms {
    let map = of.as_object().unwrap_or_else(|| panic!("no rooms: {of}"));
    map.iter()
        .map(|(key, room)| {
            let list = room.as_array().unwrap_or_else(|| panic!("no room: {room}"));
            assert_eq!(list.len(), 2, "{room}");
            let pcs = list[1].as_array().unwrap();
            let set: BTreeSet<String> = pcs.iter().map(|pc| pc.as_str().unwrap().to_owned()).collect();
            assert_eq!(set.len(), pcs.len(), "a PC twice in {room}");
            (key.clone(), (list[0].as_str().unwrap().to_owned(), set))
        })
        .collect()
}

/// The setup's default rooms: key, name.
pub(crate) const DEFAULT_ROOMS: [(&str, &str); 12] = [
    ("hg761", "HG03.761"),
    ("hg702", "HG02.702"),
    ("hg206", "HG00.206"),
    ("hg201", "HG00.201"),
    ("hg153", "HG00.153"),
    ("hg137", "HG00.137"),
    ("hg075", "HG00.075"),
    ("hg029", "HG00.029"),
    ("hg023", "HG00.023"),
    ("hgbib", "Bibliotheek"),
    ("hg002", "Infozuilen"),
    ("none", "Onbekend"),
];

/// A setup with the default's rooms and rules of its own (one a room, none for new rooms), and in it these lines for
/// its tables and these tags for the library.
pub(crate) fn campus_setup(tables: &str, library_tags: &[&str]) -> String {
    let mut setup = format!("timezone = \"Europe/Amsterdam\"\n\n{tables}\n");
    for (key, name) in DEFAULT_ROOMS {
        let tags = match key {
            "none" => json!([]),
            "hgbib" => json!(library_tags),
            _ => json!(["hg"]),
        };
        write!(setup, "[[room]]\nkey = \"{key}\"\nname = \"{name}\"\ntags = {tags}\n\n").unwrap();
    }
    setup.push_str("[[rule]]\npattern = '^cz|docent$'\nroom = \"none\"\n\n");
    for (prefix, key) in [("bib", "hgbib"), ("info", "hg002"), ("hginfo", "hg002")] {
        write!(setup, "[[rule]]\npattern = '^{prefix}pc'\nroom = \"{key}\"\n\n").unwrap();
    }
    for (key, _) in DEFAULT_ROOMS.iter().filter(|(key, _)| *key != "none") {
        write!(setup, "[[rule]]\npattern = '^{key}pc'\nroom = \"{key}\"\n\n").unwrap();
    }
    setup
}

/// The room that the rules of the setups (the default, and [`campus_setup`]) imply, for names that have one listed.
pub(crate) fn room_of(pc: &str) -> &str {
    if pc.starts_with("cz") || pc.ends_with("docent") {
        return "none";
    }
    match pc.split_once("pc") {
        None => "none",
        Some(("bib", _)) => "hgbib",
        Some(("info" | "hginfo", _)) => "hg002",
        Some((room, _)) => room,
    }
}
