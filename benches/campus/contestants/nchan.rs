//! Nchan, the pub/sub module of nginx: what others hold requests with, and the one to beat.

use super::Server;
use crate::failure::{Failure, Outcome, While};
use crate::load::dialect::Dialect;
use crate::process::{Process, Setting};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Where it is on this machine.
pub(crate) struct Nchan {
    nginx: PathBuf,
    module: Module,
    /// Of nginx, as it tells it.
    pub(crate) version: String,
}

enum Module {
    BuiltIn,
    File(PathBuf),
}

impl Nchan {
    /// Looks for it.
    ///
    /// # Errors
    /// When it cannot be had; what is missing.
    pub(crate) fn find(nginx: Option<&Path>, module: Option<&Path>) -> Outcome<Nchan> {
        // Where it is installed is not on everybody's path.
        let places = match nginx {
            Some(nginx) => vec![nginx],
            None => vec![Path::new("nginx"), Path::new("/usr/sbin/nginx")],
        };
        let answers = |nginx: &Path| Some((Command::new(nginx).arg("-V").output().ok()?, nginx.to_owned()));
        let found = places.into_iter().find_map(answers);
        let (told, nginx) = found.ok_or_else(|| Failure::new("there is no nginx"))?;
        let told = String::from_utf8_lossy(&told.stderr).into_owned();
        let places = ["/usr/lib/nginx/modules", "/usr/share/nginx/modules", "/usr/lib64/nginx/modules"];
        let files = places.iter().map(|place| Path::new(place).join("ngx_nchan_module.so"));
        let module = match module {
            Some(file) => Module::File(file.to_owned()),
            None if told.contains("nchan") => Module::BuiltIn,
            None => Module::File(
                files
                    .into_iter()
                    .find(|file| file.exists())
                    .ok_or_else(|| Failure::new("nginx has no Nchan"))?,
            ),
        };
        let version =
            told.lines().find_map(|line| line.split_once("nginx/")).map_or("", |(_, version)| version);
        Ok(Nchan { nginx, module, version: version.trim().to_owned() })
    }

    /// Starts it with one worker, with its files in `directory`.
    pub(crate) fn start(&self, directory: &Path) -> Outcome<Server> {
        // nginx cannot be told to take any port and say which: one that was free a moment ago has to do.
        let port = super::listen()?.local_addr()?.port();
        let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let file = directory.join("nginx.conf");
        std::fs::write(&file, self.configuration(at)?)?;
        let arguments = ["-p".into(), directory.into(), "-c".into(), file.into()];
        let setting = Setting { directory: Some(directory), ..Setting::default() };
        let process = Process::start("nginx", self.nginx.as_os_str(), &arguments, setting)?;
        wait_until_it_answers(at).when(format!("nginx: {}", error_log(directory)))?;
        let pids = process.family()?;
        Ok(Server { process, pids, subscribe: at, publish: at, dialect: Dialect::Nchan })
    }

    /// As one who knows it would set it up for many waiting clients.
    fn configuration(&self, at: SocketAddrV4) -> Outcome<String> {
        let module = match &self.module {
            Module::BuiltIn => String::new(),
            Module::File(path) => format!("load_module {};", path.display()),
        };
        let (_, files) = rlimit::getrlimit(rlimit::Resource::NOFILE)?;
        // Root's workers would become somebody who may not enter the directory of the measurement.
        let user = if nix::unistd::geteuid().is_root() { "user root;" } else { "" };
        // Twice what is held at most, and more: nginx begins to close those that wait when few of them are free.
        let connections = files.min(1 << 17);
        Ok(format!(
            "{module}
{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
pid nginx.pid;
error_log error.log warn;

events {{
    use epoll;
    multi_accept on;
    worker_connections {connections};
}}

http {{
    access_log off;
    tcp_nodelay on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    nchan_shared_memory_size 256m;

    server {{
        listen {at} backlog=4096;

        location = /publish {{
            nchan_publisher;
            nchan_channel_id campus;
            nchan_message_buffer_length 16;
            nchan_message_timeout 1m;
        }}
        # Who comes for the first time gets the last update at once, as a client of ours gets its token.
        location = /subscribe {{
            nchan_subscriber longpoll;
            nchan_channel_id campus;
            nchan_subscriber_first_message -1;
        }}
        location = /status {{
            nchan_stub_status;
        }}
    }}
}}
"
        ))
    }
}

/// What Nchan tells of itself, its version among it.
pub(crate) fn told_by(server: &Server) -> Option<String> {
    let text = status(server.subscribe).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("nchan version: "))
        .map(|version| version.trim().to_owned())
}

/// A page that a worker has to answer: that the port is open says that its master is there.
fn status(at: SocketAddrV4) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(at)?;
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn wait_until_it_answers(at: SocketAddrV4) -> Outcome<()> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match status(at) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn error_log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("error.log")).unwrap_or_default()
}
