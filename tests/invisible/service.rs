//! The daemon as a service: one process after the other, with the same sockets.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// After this long without what must come, a trial has failed.
pub(crate) const GUARD: Duration = Duration::from_secs(30);

/// How a daemon is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The next asks the one before for its sockets.
    HandOver,
    /// The sockets are somebody else's, as with systemd; SIGTERM.
    Signal,
    /// The same; SIGKILL.
    Kill,
}

/// A daemon that is replaced now and then.
pub(crate) struct Service {
    mode: Mode,
    binary: PathBuf,
    directory: tempfile::TempDir,
    /// Web and push, where they are ours and not the daemon's.
    sockets: Option<[TcpListener; 2]>,
    process: Process,
}

struct Process {
    child: Child,
    lines: Receiver<String>,
    http: SocketAddr,
    push: SocketAddr,
}

impl Service {
    pub(crate) fn start(mode: Mode, binary: &Path) -> Service {
        let directory = tempfile::tempdir().unwrap();
        let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
        let sockets = (mode != Mode::HandOver).then(|| [bind(), bind()]);
        let process = Process::start(binary, directory.path(), sockets.as_ref(), false);
        Service { mode, binary: binary.to_owned(), directory, sockets, process }
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.process.http
    }

    pub(crate) fn push(&self) -> SocketAddr {
        self.process.push
    }

    /// Replaces the daemon, and comes back when the next one serves.
    pub(crate) fn restart(&mut self) {
        let start =
            |take_over| Process::start(&self.binary, self.directory.path(), self.sockets.as_ref(), take_over);
        match self.mode {
            Mode::HandOver => {
                let next = start(true);
                self.process.end(None);
                self.process = next;
            }
            Mode::Signal => {
                self.process.end(Some(Signal::TERM));
                self.process = start(false);
            }
            Mode::Kill => {
                self.process.child.kill().unwrap();
                self.process.child.wait().unwrap();
                self.process = start(false);
            }
        }
    }

    /// Ends it for good.
    pub(crate) fn end(mut self) {
        self.process.end(Some(Signal::TERM));
    }
}

impl Process {
    fn start(
        binary: &Path,
        directory: &Path,
        sockets: Option<&[TcpListener; 2]>,
        take_over: bool,
    ) -> Process {
        let mut command = match sockets {
            None => Command::new(binary),
            Some(_) => {
                // What systemd does. The process must be that whose number LISTEN_PID is.
                let mut shell = Command::new("sh");
                let script = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:push; \
                              export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; \
                              exec \"$@\" 3<&0 4<&1 </dev/null >/dev/null";
                shell.args(["-c", script, "sh"]).arg(binary);
                shell
            }
        };
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("TKBD_") || name.starts_with("LISTEN_") || name == "NOTIFY_SOCKET" {
                command.env_remove(name);
            }
        }
        command.arg("run").args(take_over.then_some("--take-over"));
        for set in
            ["http.listen=127.0.0.1:0", "push.listen=127.0.0.1:0", "history.db=h.sqlite3", "log.format=json"]
        {
            command.args(["--set", set]);
        }
        let pipe = |index: usize| match sockets {
            Some(sockets) => OwnedFd::from(sockets[index].try_clone().unwrap()).into(),
            None => Stdio::null(),
        };
        let mut child = command
            .current_dir(directory)
            .stdin(pipe(0))
            .stdout(pipe(1))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let log = BufReader::new(child.stderr.take().unwrap());
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        // From here on it ends with the trial, also where that fails.
        let mut process = Process { child, lines, http: nowhere, push: nowhere };
        let mut seen = Vec::new();
        let mut address = |door: &str| loop {
            let Ok(line) = process.lines.recv_timeout(GUARD) else {
                panic!("it does not serve:\n{}", seen.join("\n"))
            };
            let line: serde_json::Value = serde_json::from_str(&line).unwrap_or(line.into());
            seen.push(line.to_string());
            let fields = line.get("fields").unwrap_or(&line);
            if fields["message"] == "listening" && fields["door"] == door {
                break fields["addr"].as_str().unwrap().parse().unwrap();
            }
        };
        let (http, push) = (address("joyce"), address("push"));
        (process.http, process.push) = (http, push);
        process
    }

    /// Sees it end, in order, and with nothing in its log that it would be ashamed of.
    fn end(&mut self, signal: Option<Signal>) {
        if let Some(signal) = signal {
            let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
            kill_process(pid, signal).unwrap();
        }
        let until = Instant::now() + GUARD;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "the daemon does not end");
            std::thread::sleep(Duration::from_millis(1));
        };
        let log: Vec<String> = self.lines.try_iter().collect();
        assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
        let unwanted = log.iter().find(|line| line.contains("WARN") || line.contains("ERROR"));
        assert_eq!(unwanted, None, "{}", log.join("\n"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended, or the trial has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
