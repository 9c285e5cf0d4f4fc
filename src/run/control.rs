//! The control socket of a daemon that runs: where it is, whose, and what it hands over.

use super::reload::Reload;
use crate::doors::Porch;
use crate::doors::control::{self, Control};
use crate::listeners::Listeners;
use crate::setup::Setup;
use crate::wire::control::{Answer, Listening, MAX_ANSWER, Port, Status};
use rustix::fs::Mode;
use socket2::{Domain, SockAddr, Socket, Type};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, io};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::mpsc;

/// The control socket that the setup names cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on the control socket {path} (control.socket): {error}")]
pub struct ControlError {
    path: PathBuf,
    error: io::Error,
}

/// What a daemon keeps of its control socket. When it is dropped, whoever takes over knows that this one has ended.
#[derive(Debug, Default)]
pub(super) struct Kept {
    _successor: Option<mpsc::Receiver<UnixStream>>,
}

/// Opens the control socket. Only who has the history's lock may call it: what is left of a daemon before is removed.
///
/// # Errors
/// When the socket that the setup names cannot be had. Without the one beside the history the daemon runs as well.
pub(super) async fn open(
    setup: &Setup,
    listeners: &Listeners,
    porch: &Porch,
    reload: Reload,
) -> Result<Kept, ControlError> {
    let Some(path) = setup.control_socket() else { return Ok(Kept::default()) };
    let opened = async { Ok((bind(&path).await?, sockets(listeners)?)) };
    let (listener, sockets) = match opened.await {
        Ok(opened) => opened,
        Err(error) if setup.control.socket.is_some() => return Err(ControlError { path, error }),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "no control socket: this daemon cannot be taken over");
            return Ok(Kept::default());
        }
    };
    let (listening, sockets): (Vec<_>, Vec<_>) = sockets.into_iter().unzip();
    let (successor, kept) = mpsc::channel(1);
    let control = Arc::new(Control {
        status: Status {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            since: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            listening,
        },
        sockets,
        reload: told(reload),
        porch: porch.clone(),
        successor,
        handed_over: AtomicBool::new(false),
    });
    porch.tasks.spawn(async move {
        control.serve(listener).await;
        // Before the history is closed: the next daemon, which waits for that, makes its own.
        let _ = fs::remove_file(path);
    });
    Ok(Kept { _successor: Some(kept) })
}

/// What of a reload is told over the socket.
fn told(reload: Reload) -> control::Reload {
    Box::new(move || {
        let reload = reload.clone();
        Box::pin(async move {
            // As much as an answer has room for, however it is escaped.
            let shown = |text: String| text.chars().take(MAX_ANSWER / 8).collect();
            match reload.reload().await {
                Ok(applied) => Answer::Reloaded(shown(applied.to_string())),
                Err(why) if why.is_mistake() => Answer::Mistakes(shown(why.to_string())),
                Err(why) => Answer::Refused(shown(why.to_string())),
            }
        })
    })
}

async fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "what is there is no socket"));
        }
        Ok(_) => {
            let connected = tokio::time::timeout(Duration::from_secs(1), UnixStream::connect(path)).await;
            match connected {
                // Nobody listens: it was left by one that was killed.
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
                Ok(Err(error)) => return Err(error),
                Ok(Ok(_)) | Err(_) => {
                    return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon listens on it"));
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The file is made with the mode of the socket: it is never there with another.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(8)?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(socket.into())
}

/// The sockets once more: these are passed on while the others go on to accept.
fn sockets(listeners: &Listeners) -> io::Result<Vec<(Listening, OwnedFd)>> {
    let of = |port| {
        move |listener: &TcpListener| {
            let address = listener.local_addr()?;
            Ok((Listening { port, address }, listener.as_fd().try_clone_to_owned()?))
        }
    };
    let of_each = [
        (Port::Http, &listeners.http),
        (Port::Push, &listeners.push),
        (Port::Https, &listeners.https),
        (Port::Pushs, &listeners.pushs),
    ];
    of_each.into_iter().flat_map(|(port, listeners)| listeners.iter().map(of(port))).collect()
}
