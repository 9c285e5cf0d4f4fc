//! Asks a daemon on this machine, over its control socket.

use crate::wire::control::{Answer, BadLine, MAX_ANSWER, Verb};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No daemon listens there.
    #[error("no tkbd runs here")]
    Nobody,
    /// It is not answered in time.
    #[error("the tkbd that runs here does not answer")]
    Late,
    /// Whoever listens there is neither this user nor root, and is told nothing.
    #[error("who listens on the control socket is user {0}: neither this user nor root")]
    Stranger(u32),
    /// The connection failed.
    #[error("the control socket fails: {0}")]
    Io(#[from] io::Error),
    /// The answer is none.
    #[error("the tkbd that runs here speaks otherwise: {0}")]
    BadLine(#[from] BadLine),
}

/// An answer, with what came along.
#[derive(Debug)]
pub struct Told {
    /// What was said.
    pub answer: Answer,
    /// The sockets that were handed over.
    pub sockets: Vec<OwnedFd>,
    connection: UnixStream,
}

impl Told {
    /// Comes back when the daemon has ended which has handed its sockets over.
    pub async fn ended(mut self) {
        // It sends nothing more, so that whatever comes is the end.
        let _ = self.connection.read(&mut [0]).await;
    }
}

/// Asks the daemon whose control socket is at `path`, and waits for an answer for `patience`.
///
/// # Errors
/// When there is none.
pub async fn ask(path: &Path, verb: Verb, patience: Duration) -> Result<Told, ControlError> {
    timeout(patience, asked(path, verb)).await.unwrap_or(Err(ControlError::Late))
}

async fn asked(path: &Path, verb: Verb) -> Result<Told, ControlError> {
    let mut connection = UnixStream::connect(path).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ControlError::Nobody,
        _ => ControlError::Io(error),
    })?;
    let owner = connection.peer_cred()?.uid();
    if !is_trusted(owner, rustix::process::geteuid().as_raw(), verb) {
        return Err(ControlError::Stranger(owner));
    }
    connection.write_all(&verb.line()).await?;
    let (mut line, mut sockets) = (Vec::new(), Vec::new());
    while !line.ends_with(b"\n") && line.len() < MAX_ANSWER {
        let n =
            connection.async_io(Interest::READABLE, || receive(&connection, &mut line, &mut sockets)).await?;
        if n == 0 {
            break;
        }
    }
    Ok(Told { answer: Answer::parse(&line)?, sockets, connection })
}

/// Whether `owner`, who listens, is asked by user `me`. Root looks after daemons of other users, and asks them too; but the
/// sockets of a stranger it does not serve.
fn is_trusted(owner: u32, me: u32, verb: Verb) -> bool {
    owner == 0 || owner == me || me == 0 && verb != Verb::HandOver
}

/// Reads once, and takes the sockets that lie beside the bytes.
fn receive(from: &UnixStream, line: &mut Vec<u8>, sockets: &mut Vec<OwnedFd>) -> io::Result<usize> {
    // As many as one message takes.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 4096];
    let received = recvmsg(from, &mut [IoSliceMut::new(&mut bytes)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    line.extend_from_slice(bytes.get(..received.bytes).unwrap_or_default());
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            sockets.extend(rights);
        }
    }
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_asked_by_root_alone_and_not_for_sockets() {
        for verb in [Verb::Status, Verb::Reload, Verb::HandOver] {
            assert!(is_trusted(7, 7, verb) && is_trusted(0, 7, verb) && is_trusted(0, 0, verb), "{verb:?}");
            assert!(!is_trusted(8, 7, verb), "{verb:?}");
            assert_eq!(is_trusted(7, 0, verb), verb != Verb::HandOver, "{verb:?}");
        }
    }
}
