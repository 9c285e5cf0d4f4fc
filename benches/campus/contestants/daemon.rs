//! The daemon itself, as it is run: its own binary, real files, real ports.

use super::Server;
use crate::failure::{Failure, Outcome};
use crate::load::dialect::Dialect;
use crate::process::{Process, Setting};
use serde_json::Value;
use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// A daemon that is to be started.
pub(crate) struct Daemon {
    binary: PathBuf,
    sets: Vec<String>,
    setup: Option<String>,
}

impl Daemon {
    /// With the setup that it has built in, and a history.
    pub(crate) fn new(binary: &Path) -> Daemon {
        let sets = [
            "http.listen=127.0.0.1:0",
            "push.listen=127.0.0.1:0",
            "history.db=history.sqlite3",
            "log.format=json",
            // The others hold a request until there is an update, too.
            "http.hold=10m",
        ];
        Daemon { binary: binary.to_owned(), sets: sets.map(str::to_owned).to_vec(), setup: None }
    }

    /// With a setting changed: `key=value`.
    pub(crate) fn set(mut self, setting: &str) -> Daemon {
        self.sets.push(setting.to_owned());
        self
    }

    /// Without a history.
    pub(crate) fn without_history(self) -> Daemon {
        self.set("history.enabled=false")
    }

    /// With a setup (TOML) of its own.
    pub(crate) fn setup(mut self, toml: String) -> Daemon {
        self.setup = Some(toml);
        self
    }

    /// Starts it; it keeps its history in `directory`.
    pub(crate) fn start(&self, directory: &Path) -> Outcome<Server> {
        let mut arguments: Vec<OsString> = vec!["run".into()];
        if let Some(toml) = &self.setup {
            std::fs::write(directory.join("setup.toml"), toml)?;
            arguments.push("setup.toml".into());
        }
        arguments.extend(self.sets.iter().flat_map(|setting| ["--set".into(), setting.into()]));
        // A file, and no pipe: a daemon that outlives us for a moment must not fail at telling that it ends.
        let log = directory.join("log");
        let stderr = Stdio::from(File::create(&log)?);
        let setting = Setting { directory: Some(directory), stderr, ..Setting::default() };
        let mut process = Process::start("tkbd", self.binary.as_os_str(), &arguments, setting)?;
        let (subscribe, publish) = loop {
            let text = std::fs::read_to_string(&log)?;
            let door = |door| text.lines().find_map(|line| listening(line, door));
            if let Some(doors) = door("joyce").zip(door("push")) {
                break doors;
            }
            if process.child.try_wait()?.is_some() {
                return Err(Failure::new(format!("tkbd has ended; it said:\n{text}")));
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let pids = process.family()?;
        Ok(Server { process, pids, subscribe, publish, dialect: Dialect::Joyce })
    }

    /// What it calls itself.
    pub(crate) fn version(binary: &Path) -> Outcome<String> {
        let told = std::process::Command::new(binary).arg("--version").output()?;
        Ok(String::from_utf8_lossy(&told.stdout).trim().to_owned())
    }
}

/// Where a door listens, if the line of the log says so.
fn listening(line: &str, door: &str) -> Option<SocketAddrV4> {
    let line: Value = serde_json::from_str(line).ok()?;
    let is = |key: &str, value: &str| line.get(key).and_then(Value::as_str) == Some(value);
    if is("message", "listening") && is("door", door) {
        line.get("addr")?.as_str()?.parse().ok()
    } else {
        None
    }
}
