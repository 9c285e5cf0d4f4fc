//! The processes of a measurement: how they are started, and that none is left behind.

use crate::failure::{Failure, Outcome, While};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends when this is dropped, and when this process ends, whatever ends it.
pub(crate) struct Process {
    name: String,
    /// Its pipes are for who started it.
    pub(crate) child: Child,
    over: bool,
}

impl Process {
    /// Starts `program`.
    pub(crate) fn start(
        name: &str,
        program: &OsStr,
        arguments: &[OsString],
        setting: Setting<'_>,
    ) -> Outcome<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("under").arg("--").arg(program).args(arguments);
        command.stdin(setting.stdin).stdout(setting.stdout).stderr(setting.stderr);
        if let Some(directory) = setting.directory {
            command.current_dir(directory);
        }
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("TKBD_") {
                command.env_remove(variable);
            }
        }
        let child = command.spawn().when(name)?;
        Ok(Process { name: name.to_owned(), child, over: false })
    }

    /// A part of this benchmark, in a process of its own.
    pub(crate) fn part(name: &str, arguments: &[OsString], setting: Setting<'_>) -> Outcome<Process> {
        Process::start(name, std::env::current_exe()?.as_os_str(), arguments, setting)
    }

    /// By what the system knows it.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) -> Outcome<()> {
        self.finish()
    }

    /// It, and all it has started.
    pub(crate) fn family(&self) -> Outcome<Vec<Pid>> {
        let mut family = vec![self.pid()];
        let all: Vec<(Pid, Pid)> = std::fs::read_dir("/proc")?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Pid::from_raw))
            .filter_map(|pid| Some((pid, crate::cost::parent(pid)?)))
            .collect();
        let mut at = 0;
        while let Some(parent) = family.get(at).copied() {
            family.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        Ok(family)
    }

    fn finish(&mut self) -> Outcome<()> {
        self.over = true;
        // It may have ended already: then there is nobody to tell.
        let _ = kill(self.pid(), Signal::SIGTERM);
        let until = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                self.child.kill()?;
                self.child.wait()?;
                return Err(Failure::new(format!("{} did not end when it was asked to", self.name)));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.finish();
        }
    }
}

/// Where a process runs, and where its pipes lead to.
pub(crate) struct Setting<'a> {
    /// Its working directory.
    pub(crate) directory: Option<&'a std::path::Path>,
    /// What it reads.
    pub(crate) stdin: Stdio,
    /// What it prints.
    pub(crate) stdout: Stdio,
    /// What it complains of.
    pub(crate) stderr: Stdio,
}

impl Default for Setting<'_> {
    fn default() -> Self {
        Setting { directory: None, stdin: Stdio::null(), stdout: Stdio::null(), stderr: Stdio::inherit() }
    }
}

/// Becomes the program, which will be told to end when the process that started this one has ended.
pub(crate) fn become_under(program: &OsStr, arguments: &[OsString]) -> Outcome<()> {
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    Err(Command::new(program).args(arguments).exec()).when(program.to_string_lossy())
}
