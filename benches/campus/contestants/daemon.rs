//! The daemon itself, as it is run: its own binary, real files, real ports.

use super::Server;
use crate::failure::{Failure, Outcome};
use crate::load::dialect::Dialect;
use crate::process::{self, Process, Setting};
use serde_json::Value;
use std::ffi::OsString;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Stdio;

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
        let setting = Setting { directory: Some(directory), stderr: Stdio::piped(), ..Setting::default() };
        let mut process = Process::start("tkbd", self.binary.as_os_str(), &arguments, setting)?;
        let log = process.child.stderr.take().map(process::lines).ok_or_else(|| Failure::new("no pipe"))?;
        let subscribe = process::wait_for("tkbd", &log, |line| listening(line, "joyce"))?;
        let publish = process::wait_for("tkbd", &log, |line| listening(line, "push"))?;
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
