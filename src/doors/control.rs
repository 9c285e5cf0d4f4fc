//! The control socket: who is on this machine, and is this user or root, asks who runs, and takes over.

use super::Porch;
use crate::wire::control::{Answer, MAX_QUESTION, Status, Verb};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Reads the setup anew: comes to the answer that says what is in force now, or why all has stayed as it was.
pub type Reload = Box<dyn Fn() -> Reloading + Send + Sync>;

/// A reload that is under way.
pub type Reloading = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What the control socket speaks of.
pub struct Control {
    /// Who runs.
    pub status: Status,
    /// The sockets that are handed over, in the order of the status.
    pub sockets: Vec<OwnedFd>,
    /// Reads the setup anew.
    pub reload: Reload,
    /// What all doors are given.
    pub porch: Porch,
    /// Where the connection of a successor is kept until the end, which it is told by that.
    pub successor: mpsc::Sender<UnixStream>,
    /// Whether there is a successor.
    pub handed_over: AtomicBool,
}

impl Control {
    /// Who asks is at work on this machine, and asks one thing. More at a time are closed unheard.
    const CONNECTIONS: usize = 8;

    /// How long a question may take, and an answer.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// As many as one message takes are 253; nobody listens on that many.
    const SOCKETS: usize = 200;

    /// Accepts and answers until the daemon is to stop.
    pub async fn serve(self: Arc<Self>, listener: UnixListener) {
        let places = Arc::new(Semaphore::new(Self::CONNECTIONS));
        let shutdown = self.porch.shutdown.clone();
        while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
            match (accepted, places.clone().try_acquire_owned()) {
                (Ok((stream, _)), Ok(place)) => {
                    let control = self.clone();
                    self.porch.tasks.spawn(async move {
                        let _place = place;
                        control.connection(stream).await;
                    });
                }
                (Ok(_), Err(_)) => tracing::debug!("too many connections to the control socket"),
                (Err(error), _) => {
                    tracing::warn!(%error, "cannot accept on the control socket; trying on");
                    shutdown.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await;
                }
            }
        }
    }

    async fn connection(&self, mut stream: UnixStream) {
        // The file's mode says the same; but it may lie where somebody has copied modes.
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw() => {}
            peer => {
                let uid = peer.ok().map(|peer| peer.uid());
                tracing::warn!(uid, "refused on the control socket: neither this user nor root");
                return;
            }
        }
        let question = timeout(Self::PATIENCE, question(&mut stream));
        let Some(Ok(Some(line))) = self.porch.shutdown.run_until_cancelled(question).await else { return };
        let answer = match Verb::parse(&line) {
            Ok(Verb::Status) => Answer::Status(self.status.clone()),
            Ok(Verb::Reload) => (self.reload)().await,
            Ok(Verb::HandOver) => match self.hand_over(stream).await {
                Ok(()) => return,
                Err((refused, back)) => {
                    stream = back;
                    Answer::Refused(refused)
                }
            },
            Err(bad) => Answer::Refused(bad.to_string()),
        };
        let line = answer.line();
        // Whoever asked and left is told nothing.
        let _ = timeout(Self::PATIENCE, stream.write_all(&line)).await;
    }

    /// Sends the sockets, and has this daemon end.
    async fn hand_over(&self, stream: UnixStream) -> Result<(), (String, UnixStream)> {
        if self.sockets.len() > Self::SOCKETS {
            return Err((format!("more than {} sockets are not handed over", Self::SOCKETS), stream));
        }
        if self.porch.shutdown.is_cancelled() || self.handed_over.swap(true, Ordering::SeqCst) {
            return Err(("it is about to end already".into(), stream));
        }
        let line = Answer::HandedOver(self.status.listening.clone()).line();
        let sent = timeout(Self::PATIENCE, send(&stream, &line, &self.sockets)).await;
        match sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(()) => {
                tracing::info!("the sockets are handed over to the next tkbd");
                // It is the only one, and so has its place.
                let _ = self.successor.try_send(stream);
                self.porch.shutdown.cancel();
                Ok(())
            }
            Err(error) => {
                self.handed_over.store(false, Ordering::SeqCst);
                Err((format!("the sockets cannot be sent: {error}"), stream))
            }
        }
    }
}

/// The line that is asked; none where there is no whole one.
async fn question(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut bytes = [0; MAX_QUESTION];
    loop {
        let n = stream.read(&mut bytes).await.ok().filter(|n| *n > 0)?;
        line.extend_from_slice(bytes.get(..n)?);
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            return Some(line);
        }
        if line.len() > MAX_QUESTION {
            return None;
        }
    }
}

/// Writes the line, with the sockets beside it.
async fn send(stream: &UnixStream, line: &[u8], sockets: &[OwnedFd]) -> io::Result<()> {
    let sockets: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(sockets.len()))];
    let sent = stream.async_io(Interest::WRITABLE, || {
        let mut beside = SendAncillaryBuffer::new(&mut space);
        beside.push(SendAncillaryMessage::ScmRights(&sockets));
        Ok(sendmsg(stream, &[IoSlice::new(line)], &mut beside, SendFlags::NOSIGNAL)?)
    });
    // So short a line goes at once or not at all, where nothing was written before.
    if sent.await? == line.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
