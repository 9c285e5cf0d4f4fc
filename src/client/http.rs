//! One request to a daemon and its whole answer, both bounded.

use crate::core::lineage::{InstanceId, Lineage};
use crate::wire::VIA;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, StatusCode, Url};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

/// A daemon, by its address.
#[derive(Debug, Clone)]
pub struct Server {
    client: reqwest::Client,
    url: Url,
    secret: Option<HeaderValue>,
    via: Option<HeaderValue>,
}

/// An answer that is a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Whom the daemon says that it follows, where it says so.
    pub lineage: Option<Lineage>,
    /// Its body.
    pub body: Bytes,
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadAddress {
    /// It is not an `http://` or `https://` URL.
    #[error("{0:?} is no address of a daemon; one begins with http:// or https://")]
    NotHttp(String),
    /// The authorities to trust cannot be read.
    #[error("{} holds no certificates that could be trusted: {why}", file.display())]
    Authorities {
        /// Where they should stand.
        file: PathBuf,
        /// Why not.
        why: String,
    },
    /// The HTTP client could not be set up.
    #[error("cannot prepare to connect: {0}")]
    Client(String),
}

/// Why there is no answer to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// No connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// No whole answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The answer is longer than [`Server::MAX_REPLY`].
    #[error("the answer is longer than {} MiB", Server::MAX_REPLY >> 20)]
    TooLong,
    /// The address leads elsewhere. Not followed: a request and its token are meant for one daemon.
    #[error("redirected to {0}; give that address if you trust it")]
    Redirected(String),
    /// An answer that is not a success.
    #[error("{}", status_line(*status, body))]
    Status {
        /// The status.
        status: u16,
        /// How long the daemon asks us to wait.
        retry_after: Option<Duration>,
        /// What came with it.
        body: Bytes,
    },
}

fn status_line(status: u16, body: &[u8]) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or_default();
    let detail = crate::wire::client::refusal(body).error;
    // A proxy's page begins with a tag; it says nothing that the status does not.
    if detail.is_empty() || detail.starts_with('<') {
        format!("status {status} {reason}")
    } else {
        format!("status {status} {reason}: {detail}")
    }
}

impl HttpError {
    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            HttpError::Unreachable(_) | HttpError::TimedOut => true,
            HttpError::TooLong | HttpError::Redirected(_) => false,
            HttpError::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502..=504),
        }
    }

    /// How long the daemon asks us to wait, at most a minute.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            HttpError::Status { retry_after, .. } => retry_after.map(|wait| wait.min(Duration::from_mins(1))),
            _ => None,
        }
    }
}

impl Server {
    /// The longest answer that is read, in bytes (reliability.md M2).
    pub const MAX_REPLY: usize = 8 << 20;
    /// How long a connection may take (reliability.md M1).
    pub const CONNECT: Duration = Duration::from_secs(5);
    /// How long an answer may take that the daemon holds for 20 s (reliability.md M1).
    pub const HELD_REPLY: Duration = Duration::from_secs(35);

    /// Takes `url` as the address of a daemon that answers within `timeout`; nothing is sent yet.
    ///
    /// # Errors
    /// When it is not the address of an HTTP server.
    pub fn new(url: &str, timeout: Duration) -> Result<Server, BadAddress> {
        Server::trusting(url, timeout, None)
    }

    /// The same, of a daemon whose certificate is signed by one of those in the file `authorities` (PEM), and by nobody
    /// else; without, by one that this system trusts.
    ///
    /// # Errors
    /// When it is not the address of an HTTP server, or there are no such certificates.
    pub fn trusting(url: &str, timeout: Duration, authorities: Option<&Path>) -> Result<Server, BadAddress> {
        let not_http = || BadAddress::NotHttp(url.to_owned());
        // `localhost:8080` reads as a URL whose scheme is `localhost`: a scheme must be written out.
        let url = Url::parse(url).map_err(|_| not_http())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(not_http());
        }
        // Cargo.toml chooses ring as the one TLS backend, and reqwest wants it named before the first client.
        static RING: Once = Once::new();
        RING.call_once(|| {
            // An error says that another provider is there already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tkbd/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Self::CONNECT)
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false);
        if let Some(file) = authorities {
            builder = builder.tls_certs_only(certificates(file)?);
        } else if url.scheme() == "http" {
            // Without TLS there is nothing to verify, so a host without a certificate store will do.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&url) {
            // A proxy of the environment would look for the daemon on its own loopback.
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| BadAddress::Client(cause(&error)))?;
        Ok(Server { client, url, secret: None, via: None })
    }

    /// The same server, asked with a bearer token. False where no header can hold that token.
    #[must_use]
    pub(super) fn set_secret(&mut self, secret: &str) -> bool {
        let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {secret}")) else { return false };
        value.set_sensitive(true);
        self.secret = Some(value);
        true
    }

    /// The same server, told who asks: a mirror of this name.
    pub(super) fn set_asker(&mut self, name: &InstanceId) {
        self.via = HeaderValue::from_str(name.as_str()).ok();
    }

    /// Where no path is written, `path` is meant.
    pub(super) fn set_default_path(&mut self, path: &str) {
        if matches!(self.url.path(), "" | "/") {
            self.url.set_path(path);
        }
    }

    /// The address as it may be shown: a password in it is left out.
    pub fn address(&self) -> String {
        let mut url = self.url.clone();
        // An error says that this kind of URL has no password.
        let _ = url.set_password(None);
        url.to_string()
    }

    /// Posts `body` and returns an answer that is a success.
    ///
    /// Without a Content-Type, as the deployed clients do: both ports take it as what it is.
    ///
    /// # Errors
    /// When there is no such answer.
    pub async fn post(&self, body: Bytes) -> Result<Answer, HttpError> {
        let mut request = self.client.post(self.url.clone()).body(body);
        if let Some(secret) = &self.secret {
            request = request.header(AUTHORIZATION, secret.clone());
        }
        if let Some(name) = &self.via {
            request = request.header(VIA, name.clone());
        }
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let header =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if status.is_redirection() {
            return Err(HttpError::Redirected(header(LOCATION).unwrap_or_else(|| "nowhere".into())));
        }
        let lineage = response.headers().get(VIA).and_then(|value| Lineage::parse(value.to_str().ok()?));
        let retry_after = header(RETRY_AFTER).and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > Self::MAX_REPLY {
                return Err(HttpError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        let body = Bytes::from(body);
        let status_code = status.as_u16();
        if status.is_success() {
            Ok(Answer { status: status_code, lineage, body })
        } else {
            Err(HttpError::Status { status: status_code, retry_after, body })
        }
    }
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, BadAddress> {
    let bad = |why: String| {
        let why = why.split(" (os error").next().unwrap_or_default().to_owned();
        BadAddress::Authorities { file: file.to_owned(), why }
    };
    let pem = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| bad(cause(&error)))?;
    if certificates.is_empty() { Err(bad("there is none in it".into())) } else { Ok(certificates) }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn failed(error: reqwest::Error) -> HttpError {
    if error.is_timeout() { HttpError::TimedOut } else { HttpError::Unreachable(cause(&error.without_url())) }
}

/// What lies at the bottom of a chain of errors ("Connection refused"); the layers above it only say
/// that a request could not be sent.
fn cause(error: &reqwest::Error) -> String {
    let mut deepest: &dyn Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let text = deepest.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_http_url_and_is_shown_without_its_password() {
        let cases = [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080/")),
            ("https://tk.example/joyce/", Some("https://tk.example/joyce/")),
            ("http://me:secret@[::1]:1/", Some("http://me@[::1]:1/")),
            ("localhost:8080", None),
            ("127.0.0.1:8080", None),
            ("ftp://x/", None),
            ("", None),
        ];
        for (url, shown) in cases {
            let server = Server::new(url, Server::CONNECT).ok();
            assert_eq!(server.map(|s| s.address()).as_deref(), shown, "{url:?}");
        }
    }

    #[test]
    fn loopback_is_never_asked_through_a_proxy() {
        for (url, loopback) in [
            ("http://localhost/", true),
            ("http://127.8.9.1:3/", true),
            ("http://[::1]/", true),
            ("http://128.0.0.1/", false),
            ("http://localhost.example/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), loopback, "{url}");
        }
    }

    #[test]
    fn only_what_may_pass_is_called_temporary() {
        for (status, temporary) in
            [(400, false), (401, false), (403, false), (413, false), (503, true), (429, true)]
        {
            let error = HttpError::Status { status, retry_after: None, body: Bytes::new() };
            assert_eq!(error.is_temporary(), temporary, "{status}");
        }
    }
}
