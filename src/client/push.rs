//! Pushing states to a daemon.

use super::http::{Answer, HttpError, Server};
use crate::wire::client::{Refusal, refusal};
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use std::time::Duration;

/// Pushes to one daemon.
#[derive(Debug, Clone)]
pub struct Pusher {
    server: Server,
}

/// What a daemon has promised of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// It is in the history, and survives any crash.
    Recorded,
    /// It is shown to everybody, and waits to be written down (reliability.md P10).
    NotYetRecorded,
}

/// Why a push is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// Something is wrong with it; nothing of it was applied.
    #[error("refused: {}", if .0.error.is_empty() { "the push is bad" } else { &.0.error })]
    Bad(Refusal),
    /// This pusher may not push.
    #[error("not allowed ({0}); is this machine on the daemon's list, and the token right?")]
    Forbidden(HttpError),
    /// Anything else. The push may have been applied; to push it again is safe (reliability.md P7).
    #[error(transparent)]
    Failed(#[from] HttpError),
}

impl PushError {
    /// Whether the same push may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, PushError::Failed(error) if error.is_temporary())
    }
}

/// How often a push is tried again where that may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// At most so often; `None`: for ever.
    pub times: Option<usize>,
    /// How long before the first; the next are ever later, up to twenty times as long.
    pub least: Duration,
}

impl Pusher {
    /// A pusher to `server`, which listens for pushes at `/push` unless its address has a path.
    /// `None` where `token` could not be sent: it holds control characters or others outside ASCII.
    pub fn new(mut server: Server, token: Option<&str>) -> Option<Pusher> {
        server.set_default_path("/push");
        let fits = token.is_none_or(|token| token.is_ascii() && server.set_secret(token));
        fits.then_some(Pusher { server })
    }

    /// Where it pushes to, as it may be shown.
    pub fn address(&self) -> String {
        self.server.address()
    }

    /// Pushes `body` once.
    ///
    /// # Errors
    /// When it is not acknowledged.
    pub async fn push(&self, body: Bytes) -> Result<Acknowledged, PushError> {
        match self.server.post(body).await {
            Ok(Answer { status: 202, .. }) => Ok(Acknowledged::NotYetRecorded),
            Ok(_) => Ok(Acknowledged::Recorded),
            Err(HttpError::Status { status: 400 | 422, body, .. }) => Err(PushError::Bad(refusal(&body))),
            Err(error @ HttpError::Status { status: 401 | 403, .. }) => Err(PushError::Forbidden(error)),
            Err(error) => Err(PushError::Failed(error)),
        }
    }

    /// Pushes `body`, again and again where that may help, telling `notify` why and for how long it waits.
    ///
    /// # Errors
    /// When it is not acknowledged after all.
    pub async fn push_until_acknowledged(
        &self,
        body: Bytes,
        retries: Retries,
        notify: impl FnMut(&PushError, Duration),
    ) -> Result<Acknowledged, PushError> {
        let delays = ExponentialBuilder::new()
            .with_min_delay(retries.least)
            .with_max_delay(retries.least * 20)
            .with_jitter();
        let delays = match retries.times {
            Some(times) => delays.with_max_times(times),
            None => delays.without_max_times(),
        };
        (|| self.push(body.clone()))
            .retry(delays)
            .when(PushError::is_temporary)
            .adjust(|error, delay| match error {
                PushError::Failed(error) => Some(delay?.max(error.retry_after().unwrap_or_default())),
                _ => delay,
            })
            .notify(notify)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, listener, ok};
    use super::*;
    use std::net::SocketAddr;

    const QUICKLY: Retries = Retries { times: Some(3), least: Duration::from_millis(5) };

    fn pusher(address: SocketAddr, token: Option<&str>) -> Pusher {
        Pusher::new(Server::new(&format!("http://{address}"), Server::CONNECT).unwrap(), token).unwrap()
    }

    async fn push(pusher: &Pusher) -> (Result<Acknowledged, PushError>, usize) {
        let mut told = 0;
        let body = Bytes::from_static(b"{\"data\":{}}");
        let done = pusher.push_until_acknowledged(body, QUICKLY, |_, _| told += 1).await;
        (done, told)
    }

    #[tokio::test]
    async fn a_busy_daemon_is_tried_again_with_the_same_push() {
        let (listener, address) = listener().await;
        let busy = || (503, Some(("retry-after", "0")), vec![]);
        let asked = answer(listener, vec![busy(), busy(), ok("true")]);
        let (done, told) = push(&pusher(address, Some("secret"))).await;
        assert_eq!((done, told), (Ok(Acknowledged::Recorded), 2));
        let expected = ("/push".to_owned(), Some("Bearer secret".to_owned()), "{\"data\":{}}".to_owned());
        assert_eq!(*asked.lock().unwrap(), [expected.clone(), expected.clone(), expected]);
    }

    #[tokio::test]
    async fn what_cannot_succeed_is_not_tried_again() {
        let (listener, address) = listener().await;
        let bad = br#"{"error":"1 bad","entries":{"a":"why"}}"#;
        answer(
            listener,
            vec![
                (400, None, bad.to_vec()),
                (403, None, b"Forbidden".to_vec()),
                (413, None, vec![]),
                (202, None, vec![]),
            ],
        );
        let pusher = pusher(address, None);
        let refusal = Refusal { error: "1 bad".into(), entries: vec![("a".into(), "why".into())] };
        assert_eq!(push(&pusher).await, (Err(PushError::Bad(refusal)), 0));
        assert!(matches!(push(&pusher).await, (Err(PushError::Forbidden(_)), 0)));
        assert!(matches!(push(&pusher).await, (Err(PushError::Failed(_)), 0)));
        assert_eq!(push(&pusher).await, (Ok(Acknowledged::NotYetRecorded), 0));
    }

    #[tokio::test]
    async fn a_daemon_that_is_away_is_given_up_in_the_end() {
        let (listener, address) = listener().await;
        drop(listener);
        let (done, told) = push(&pusher(address, None)).await;
        assert_eq!(done.unwrap_err().to_string(), "Connection refused");
        assert_eq!(told, 3);
    }

    #[tokio::test]
    async fn a_secret_stays_out_of_sight_and_one_that_cannot_be_sent_is_refused() {
        let server = || Server::new("http://127.0.0.1:1/", Server::CONNECT).unwrap();
        let pusher = Pusher::new(server(), Some("hunter2")).unwrap();
        assert!(!format!("{pusher:?}").contains("hunter2"));
        assert!(Pusher::new(server(), Some("a\nb")).is_none());
        assert!(Pusher::new(server(), Some("\u{e9}")).is_none());
    }
}
