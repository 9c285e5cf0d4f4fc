//! The servers that are measured: what each is, how it is started, and how it is asked.

mod daemon;
mod floor;
mod nchan;
mod plain;

pub(crate) use daemon::Daemon;
pub(crate) use nchan::{Nchan, told_by as told_by_nchan};

use crate::failure::{Failure, Outcome};
use crate::load;
use crate::load::dialect::Dialect;
use crate::process::{self, Process, Setting};
use clap::Subcommand;
use nix::unistd::Pid;
use socket2::{Domain, Socket, Type};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::process::Stdio;

/// What a process of this program can play for another one.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum Part {
    /// Becomes another program, which ends when this one's parent does.
    #[command(hide = true)]
    Under {
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<OsString>,
    },
    /// Asks servers, and checks what they answer.
    #[command(hide = true)]
    Load,
    /// The least that a server can do.
    #[command(hide = true)]
    Floor,
    /// Hyper and tokio, with nothing added.
    #[command(hide = true)]
    Plain {
        /// Holds nothing, and answers each request with so many bytes.
        #[arg(long)]
        bytes: Option<usize>,
    },
}

/// Plays a part.
pub(crate) fn play(part: &Part) -> Outcome<()> {
    // A held request is an open file, on both sides.
    rlimit::increase_nofile_limit(u64::MAX)?;
    match part {
        Part::Under { command } => match command.split_first() {
            Some((program, arguments)) => process::become_under(program, arguments),
            None => Ok(()),
        },
        Part::Load => load::serve(),
        Part::Floor => floor::serve(),
        Part::Plain { bytes } => plain::serve(*bytes),
    }
}

/// A server that runs.
pub(crate) struct Server {
    process: Process,
    /// All its processes.
    pub(crate) pids: Vec<Pid>,
    /// Where updates are waited for.
    pub(crate) subscribe: SocketAddrV4,
    /// Where they are published.
    pub(crate) publish: SocketAddrV4,
    /// How both is done.
    pub(crate) dialect: Dialect,
}

impl Server {
    /// The floor.
    pub(crate) fn floor() -> Outcome<Server> {
        Server::of_ours("the floor", &["floor".into()])
    }

    /// Plain hyper, which holds requests until there is an update.
    pub(crate) fn hyper() -> Outcome<Server> {
        Server::of_ours("hyper", &["plain".into()])
    }

    /// Plain hyper, which answers each request at once with so many bytes.
    pub(crate) fn hyper_that_answers(bytes: usize) -> Outcome<Server> {
        Server::of_ours("hyper", &["plain".into(), "--bytes".into(), bytes.to_string().into()])
    }

    fn of_ours(name: &str, arguments: &[OsString]) -> Outcome<Server> {
        let setting = Setting { stdout: Stdio::piped(), ..Setting::default() };
        let mut process = Process::part(name, arguments, setting)?;
        let mut line = String::new();
        if let Some(stdout) = process.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let ports = |line: &str| {
            let (subscribe, publish) = line.strip_prefix("listening ")?.trim().split_once(' ')?;
            Some((subscribe.parse().ok()?, publish.parse().ok()?))
        };
        let not_ready = || Failure::new(format!("{name} did not get ready: {line:?}"));
        let (subscribe, publish) = ports(&line).ok_or_else(not_ready)?;
        let pids = process.family()?;
        Ok(Server { process, pids, subscribe, publish, dialect: Dialect::Plain })
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(self) -> Outcome<()> {
        self.process.end()
    }
}

/// What a server of ours prints when it is ready, for [`Server::of_ours`].
fn say_ready(subscribe: SocketAddr, publish: SocketAddr) {
    println!("listening {subscribe} {publish}");
}

/// A free port of this machine, with as long a queue as the daemon's and nginx's: where a queue is full, a client
/// waits for a second.
fn listen() -> Outcome<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
