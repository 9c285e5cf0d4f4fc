//! One document from a server of timetables, within bounds (reliability.md T1–T3).
//!
//! An address may itself be a secret, as those of private calendars are: no error repeats one.

use reqwest::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use reqwest::{Client, StatusCode, Url};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;
use tokio::task::JoinSet;

/// How often a server may send us elsewhere.
const REDIRECTS: usize = 3;

/// How many requests one pull may have under way at a server: enough for a hundred rooms in seconds, and nothing
/// that anybody has to defend against.
const AT_ONCE: usize = 4;

/// How long and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a connection may take.
    pub connect: Duration,
    /// How long all of it may take, redirects included.
    pub total: Duration,
    /// How many bytes a document may have, decompressed.
    pub max_size: usize,
}

/// A secret that goes with each request.
#[derive(Clone)]
pub struct Credential {
    name: HeaderName,
    value: HeaderValue,
}

/// Asks for documents.
#[derive(Debug, Clone)]
pub struct Fetcher {
    /// Not there as long as TLS cannot be set up.
    client: OnceLock<Client>,
    headers: HeaderMap,
    is_plain: bool,
    is_loopback: bool,
    terms: Terms,
}

/// By what a server tells whether we have its newest document already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

/// What came of asking.
#[derive(Debug)]
pub enum Got {
    /// A document.
    Document(Vec<u8>, Validators),
    /// The same as that of the validators.
    Unchanged,
}

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No connection, or it broke, or its certificate is not to be trusted.
    #[error("{0}")]
    Unreachable(String),
    /// Nobody can be asked over TLS.
    #[error(
        "TLS cannot be set up ({0}); has this system certificates to trust, as of the package ca-certificates?"
    )]
    NoTls(String),
    /// No whole answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The document is longer than it may be.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// Not followed: what is asked for, and the token with it, is meant for one host.
    #[error("redirected to another host ({0})")]
    Redirected(String),
    /// One redirect after another.
    #[error("redirected more than {REDIRECTS} times")]
    TooManyRedirects,
    /// An answer that is no success.
    #[error("status {0} {reason}", reason = reason(*.0))]
    Status(u16),
    /// A local file cannot be read.
    #[error("{0}")]
    File(String),
}

fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

impl Credential {
    /// `value` under the header `name`; none where no header can hold it.
    pub fn new(name: &'static str, value: &str) -> Option<Credential> {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        Some(Credential { name: HeaderName::from_static(name), value })
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({})", self.name)
    }
}

impl Fetcher {
    /// For documents of the hosts of `urls`.
    pub fn new(terms: Terms, urls: &[Url], credential: Option<Credential>) -> Fetcher {
        let mut headers = HeaderMap::new();
        if let Some(credential) = credential {
            headers.insert(credential.name, credential.value);
        }
        let is_plain = urls.iter().all(|url| url.scheme() == "http");
        let is_loopback = urls.iter().all(is_loopback);
        let fetcher = Fetcher { client: OnceLock::new(), headers, is_plain, is_loopback, terms };
        // Now, since to read the certificates takes milliseconds. If it fails, it is tried again when it is needed.
        let _ = fetcher.client();
        fetcher
    }

    fn client(&self) -> Result<&Client, FetchError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.build().map_err(|error| FetchError::NoTls(cause(&error)))?;
        Ok(self.client.get_or_init(|| client))
    }

    fn build(&self) -> Result<Client, reqwest::Error> {
        // Cargo.toml chooses ring as the one TLS backend, and reqwest wants it named before the first client.
        static RING: Once = Once::new();
        RING.call_once(|| {
            // An error says that another provider is there already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let mut builder = Client::builder()
            .user_agent(concat!("tkbd/", env!("CARGO_PKG_VERSION")))
            .default_headers(self.headers.clone())
            .connect_timeout(self.terms.connect)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .gzip(true);
        if self.is_plain {
            // Without TLS there is nothing to verify, so a host without a certificate store will do.
            builder = builder.tls_certs_only([]);
        }
        if self.is_loopback {
            // A proxy of the environment would look for the server on its own loopback.
            builder = builder.no_proxy();
        }
        builder.build()
    }

    /// Gets a document, unless it is that of `validators` still.
    ///
    /// # Errors
    /// When there is no whole document in time.
    pub async fn get(&self, url: &Url, validators: Option<&Validators>) -> Result<Got, FetchError> {
        tokio::time::timeout(self.terms.total, self.follow(url.clone(), validators))
            .await
            .unwrap_or(Err(FetchError::TimedOut))
    }

    async fn follow(&self, mut url: Url, validators: Option<&Validators>) -> Result<Got, FetchError> {
        for _ in 0..=REDIRECTS {
            let mut request = self.client()?.get(url.clone());
            if let Some(etag) = validators.and_then(|it| it.etag.as_ref()) {
                request = request.header(IF_NONE_MATCH, etag);
            }
            if let Some(date) = validators.and_then(|it| it.last_modified.as_ref()) {
                request = request.header(IF_MODIFIED_SINCE, date);
            }
            let mut response = request.send().await.map_err(failed)?;
            let status = response.status();
            if status == StatusCode::NOT_MODIFIED && validators.is_some() {
                return Ok(Got::Unchanged);
            }
            if let (true, Some(to)) = (status.is_redirection(), response.headers().get(LOCATION)) {
                url = redirected(&url, to)?;
                continue;
            }
            if status != StatusCode::OK {
                return Err(FetchError::Status(status.as_u16()));
            }
            let header = |name| response.headers().get(name).cloned();
            let validators = Validators { etag: header(ETAG), last_modified: header(LAST_MODIFIED) };
            let mut document = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(failed)? {
                if document.len() + chunk.len() > self.terms.max_size {
                    return Err(FetchError::TooLong(self.terms.max_size));
                }
                document.extend_from_slice(&chunk);
            }
            return Ok(Got::Document(document, validators));
        }
        Err(FetchError::TooManyRedirects)
    }
}

impl Validators {
    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// Reads a local file; one that is too long, or none, is refused like a document of a server.
///
/// # Errors
/// When it cannot be read whole.
pub async fn read(path: Arc<std::path::Path>, max_size: usize) -> Result<Vec<u8>, FetchError> {
    let read = move || {
        use std::io::Read;
        let cannot = |error: std::io::Error| FetchError::File(cause(&error));
        let file = std::fs::File::open(&path).map_err(cannot)?;
        // Neither a directory, nor a pipe on which nobody ever writes.
        if !file.metadata().map_err(cannot)?.is_file() {
            return Err(FetchError::File("is no file".into()));
        }
        let mut bytes = Vec::new();
        file.take(max_size as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
        if bytes.len() > max_size { Err(FetchError::TooLong(max_size)) } else { Ok(bytes) }
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err(FetchError::File("cannot be read".into())))
}

/// The servers of one pull. One that does not answer is asked twice and then left alone until the next pull: a
/// hundred rooms must not wait for it a hundred times.
#[derive(Debug)]
pub(super) struct Hosts(HashMap<String, AtomicU32>);

impl Hosts {
    const PATIENCE: u32 = 2;

    /// Those of `urls`.
    pub(super) fn of<'a>(urls: impl IntoIterator<Item = &'a Url>) -> Hosts {
        Hosts(
            urls.into_iter()
                .filter_map(|url| Some((url.host_str()?.to_owned(), AtomicU32::new(0))))
                .collect(),
        )
    }

    /// Asks, unless the server has shown that it does not answer.
    pub(super) async fn ask<T>(
        &self,
        url: &Url,
        request: impl Future<Output = Result<T, FetchError>>,
    ) -> Result<T, FetchError> {
        let silences = url.host_str().and_then(|host| self.0.get(host));
        if silences.is_some_and(|silences| silences.load(Ordering::Relaxed) >= Self::PATIENCE) {
            return Err(FetchError::TimedOut);
        }
        let outcome = request.await;
        if let (Err(FetchError::TimedOut | FetchError::Unreachable(_)), Some(silences)) = (&outcome, silences)
        {
            silences.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

/// Does all of `tasks`, [`AT_ONCE`] at once, each as a task of its own: one at which we fail must not take the
/// others along. Its outcome is none, then.
pub(super) async fn together<T: Send + 'static>(
    tasks: Vec<impl Future<Output = T> + Send + 'static>,
) -> Vec<Option<T>> {
    let mut outcomes: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
    let mut waiting = tasks.into_iter().enumerate();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((index, task)) = waiting.next()
        {
            running.spawn(async move { (index, task.await) });
        }
        match running.join_next().await {
            Some(Ok((index, outcome))) => {
                if let Some(place) = outcomes.get_mut(index) {
                    *place = Some(outcome);
                }
            }
            Some(Err(_)) => {}
            None => return outcomes,
        }
    }
}

/// Where a redirect leads: to the same host and port, or from its usual port for HTTP to that for HTTPS.
fn redirected(from: &Url, location: &HeaderValue) -> Result<Url, FetchError> {
    let to = location.to_str().ok().and_then(|text| from.join(text).ok());
    let to = to.ok_or_else(|| FetchError::Redirected("an address that is none".into()))?;
    let same_place =
        to.scheme() == from.scheme() && to.port_or_known_default() == from.port_or_known_default();
    let made_safe =
        (from.scheme(), to.scheme()) == ("http", "https") && from.port().is_none() && to.port().is_none();
    if from.host_str() == to.host_str() && (same_place || made_safe) {
        Ok(to)
    } else {
        Err(FetchError::Redirected(to.host_str().unwrap_or("none").chars().take(100).collect()))
    }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn failed(error: reqwest::Error) -> FetchError {
    if error.is_timeout() {
        FetchError::TimedOut
    } else {
        FetchError::Unreachable(cause(&error.without_url()))
    }
}

/// What lies at the bottom of a chain of errors ("Connection refused"), on one line and not endless.
fn cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let text = deepest.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t3_a_redirect_stays_on_its_host() {
        let cases = [
            ("https://a.example/x", "/y?z", Some("https://a.example/y?z")),
            ("https://a.example/x", "https://a.example:443/y", Some("https://a.example/y")),
            ("http://a.example/x", "https://a.example/y", Some("https://a.example/y")),
            ("http://127.0.0.1:81/x", "http://127.0.0.1:81/y", Some("http://127.0.0.1:81/y")),
            ("https://a.example/x", "http://a.example/y", None),
            ("https://a.example/x", "https://b.example/y", None),
            ("https://a.example/x", "//b.example/y", None),
            ("https://a.example/x", "https://a.example:8443/y", None),
            ("http://127.0.0.1:81/x", "https://127.0.0.1/y", None),
            ("https://a.example/x", "ftp://a.example/y", None),
            ("https://a.example/x", "https://[", None),
        ];
        for (from, location, to) in cases {
            let found = redirected(&Url::parse(from).unwrap(), &HeaderValue::from_static(location));
            assert_eq!(found.ok().as_ref().map(Url::as_str), to, "{from} {location}");
        }
    }

    #[test]
    fn o7_a_credential_is_not_shown() {
        let credential = Credential::new("apitoken", "hunter2").unwrap();
        let terms = Terms { connect: Duration::from_secs(1), total: Duration::from_secs(1), max_size: 1 };
        let fetcher = Fetcher::new(terms, &[Url::parse("http://x/").unwrap()], Some(credential.clone()));
        for shown in [format!("{credential:?}"), format!("{fetcher:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert!(Credential::new("apitoken", "a\nb").is_none());
    }

    #[tokio::test]
    async fn a_file_is_read_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path: Arc<std::path::Path> = directory.path().join("x").into();
        assert!(
            matches!(read(path.clone(), 10).await, Err(FetchError::File(why)) if why.contains("No such file"))
        );
        std::fs::write(&path, "0123456789").unwrap();
        assert_eq!(read(path.clone(), 10).await.unwrap(), b"0123456789");
        assert_eq!(read(path, 9).await, Err(FetchError::TooLong(9)));
        assert!(matches!(read(directory.path().into(), 9).await, Err(FetchError::File(_))));
    }
}
