//! The certificate of a door and its key: read from their files, checked, and exchanged while the daemon runs.
//!
//! What is bad never takes the place of what is good (reliability.md O8). Connections keep what they began with.

use chrono::{DateTime, TimeDelta, Utc};
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use x509_parser::extensions::GeneralName;

#[cfg(test)]
mod tests;

/// Where the certificate of a door stands, and its key.
#[derive(Debug, Clone)]
pub struct Files {
    /// The table of the setup that names them, as `http.tls`.
    pub name: &'static str,
    /// PEM: the certificate, and behind it those that lead to a root.
    pub certificate: PathBuf,
    /// PEM: its key, in PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
    /// PEM: by whom the certificate of a client must be signed, where it needs one.
    pub client_ca: Option<PathBuf>,
    /// How often the files are looked at.
    pub every: Duration,
}

/// Why a certificate and its key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPair {
    /// A file cannot be read.
    #[error("{} cannot be read: {why}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Others may read the key (reliability.md O7).
    #[error("everybody on this machine may use the key {}; chmod o= it", .0.display())]
    Exposed(PathBuf),
    /// A file holds nothing of what it is for.
    #[error("there is no {what} in {}", path.display())]
    Nothing {
        /// What it is for.
        what: &'static str,
        /// Which.
        path: PathBuf,
    },
    /// The key is that of another certificate.
    #[error("the key {} is not that of the first certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        certificate: PathBuf,
    },
    /// It is over.
    #[error("the certificate in {} has expired at {until}", path.display())]
    Expired {
        /// The file of the certificate.
        path: PathBuf,
        /// Since when.
        until: DateTime<Utc>,
    },
    /// It is yet to come; or the clock of this machine is behind.
    #[error("the certificate in {} is not valid before {from}", path.display())]
    NotYet {
        /// The file of the certificate.
        path: PathBuf,
        /// From when.
        from: DateTime<Utc>,
    },
    /// TLS cannot work with it.
    #[error("{} cannot be used: {why}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The table of the setup that names it, as `http.tls`.
    pub name: &'static str,
    /// For which hosts it is; printable, at most a few.
    pub hosts: Vec<String>,
    /// Since when it is good.
    pub from: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// How it stands with the certificate of a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The one that is served.
    pub served: Summary,
    /// Why what the files hold now is not: none where it is.
    pub refused: Option<BadPair>,
}

impl Status {
    /// Whether the end of what is served is near, or past.
    pub fn ends_soon(&self, at: DateTime<Utc>) -> bool {
        self.served.until - at < SOON
    }
}

/// The certificate of a door.
#[derive(Debug)]
pub struct Certificate {
    files: Files,
    now: watch::Sender<Now>,
}

#[derive(Debug)]
struct Now {
    pair: Pair,
    refused: Option<BadPair>,
}

/// What was read of a certificate's files.
#[derive(Debug)]
pub struct Fresh {
    read: Result<Pair, BadPair>,
    of: Arc<Certificate>,
}

impl Fresh {
    /// The table of the setup that names the certificate.
    pub fn name(&self) -> &'static str {
        self.of.files.name
    }

    /// Sessions begin with it from now on. Returns whether it is another than was served.
    ///
    /// # Errors
    /// When it is of no use: then what was served before is served on, and the log has the alarm.
    pub fn serve(self) -> Result<bool, BadPair> {
        let before = self.of.now.borrow().pair.digest;
        self.of.take(self.read)?;
        Ok(self.of.now.borrow().pair.digest != before)
    }
}

/// A certificate with its key, ready for use.
#[derive(Debug, Clone)]
struct Pair {
    config: Arc<ServerConfig>,
    summary: Summary,
    /// Of all that was read.
    digest: [u8; 32],
}

/// The largest file. A chain has a few KiB; what is larger is another file.
const LARGEST: u64 = 1 << 20;

/// From how long before its end on a certificate is warned of.
const SOON: TimeDelta = TimeDelta::days(14);

/// How often.
const WARN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

impl Certificate {
    /// Reads the files. An expired certificate is served with an alarm, as is one that is not yet valid: a restart in
    /// the night must not take away what ran until then, and a clock may be wrong.
    ///
    /// # Errors
    /// When there is nothing that could be served.
    pub fn open(files: Files) -> Result<Arc<Certificate>, BadPair> {
        let pair = Pair::read(&files)?;
        let refused = pair.valid_at(Utc::now(), &files).err();
        let name = files.name;
        match &refused {
            Some(why) => tracing::error!(name, %why, "served all the same, since there is no other"),
            None => {
                tracing::info!(name, hosts = ?pair.summary.hosts, until = %pair.summary.until, "certificate");
            }
        }
        let (now, _) = watch::channel(Now { pair, refused });
        Ok(Arc::new(Certificate { files, now }))
    }

    /// Whether [`Certificate::open`] would find what can be served.
    ///
    /// # Errors
    /// When it would not.
    pub fn can_open(files: &Files) -> Result<(), BadPair> {
        Pair::read(files).map(drop)
    }

    /// What the files hold, without serving it.
    ///
    /// # Errors
    /// When it would be refused.
    pub fn check(files: &Files) -> Result<Summary, BadPair> {
        let pair = Pair::read(files)?;
        pair.valid_at(Utc::now(), files)?;
        Ok(pair.summary)
    }

    /// Reads the files anew, for [`Fresh::serve`]; it waits for their disk, as long as that takes.
    pub fn read_anew(self: &Arc<Self>) -> Fresh {
        Fresh { read: self.read(), of: self.clone() }
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        let now = self.now.borrow();
        Status { served: now.pair.summary.clone(), refused: now.refused.clone() }
    }

    /// The table of the setup that names it.
    pub fn name(&self) -> &'static str {
        self.files.name
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.now.borrow().pair.config.clone()
    }

    /// Looks at the files every so often until `shutdown`, so that what renews them need tell nobody; and warns daily
    /// of an end that is near.
    pub async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        let mut looked: Option<BadPair> = None;
        let mut warned: Option<tokio::time::Instant> = None;
        loop {
            if warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) && self.warn(Utc::now()) {
                warned = Some(tokio::time::Instant::now());
            }
            if shutdown.run_until_cancelled(tokio::time::sleep(self.files.every)).await.is_none() {
                return;
            }
            let this = self.clone();
            // Where the files are, a disk may hang.
            let read = tokio::task::spawn_blocking(move || this.read());
            let Some(read) = shutdown.run_until_cancelled(read).await else { return };
            let Ok(read) = read else { continue };
            // Two files are never written at once: what is bad once may have been half there.
            if read.as_ref().err() == looked.as_ref() || read.is_ok() {
                looked = None;
                // What is bad stands in the log.
                let _ = self.take(read);
            } else {
                looked = read.err();
            }
        }
    }

    fn read(&self) -> Result<Pair, BadPair> {
        let pair = Pair::read(&self.files)?;
        // What is served already is served on, expired or not.
        if self.now.borrow().pair.digest != pair.digest {
            pair.valid_at(Utc::now(), &self.files)?;
        }
        Ok(pair)
    }

    fn take(&self, read: Result<Pair, BadPair>) -> Result<Summary, BadPair> {
        let name = self.files.name;
        match read {
            Ok(pair) => {
                let summary = pair.summary.clone();
                let is_new = self.now.borrow().pair.digest != pair.digest;
                self.now.send_modify(|now| {
                    let refused = pair.valid_at(Utc::now(), &self.files).err();
                    *now = Now { pair: if is_new { pair } else { now.pair.clone() }, refused };
                });
                if is_new {
                    tracing::info!(name, hosts = ?summary.hosts, until = %summary.until, "new certificate");
                }
                Ok(summary)
            }
            Err(why) => {
                // The same again is not news.
                let is_news = self.now.borrow().refused.as_ref() != Some(&why);
                self.now.send_modify(|now| now.refused = Some(why.clone()));
                if is_news {
                    tracing::error!(name, %why, "certificate refused; the one before is served on");
                }
                Err(why)
            }
        }
    }

    /// Says so when the end of what is served is near; and whether it is.
    fn warn(&self, at: DateTime<Utc>) -> bool {
        let Summary { name, until, .. } = self.status().served;
        let left = until - at;
        if left < TimeDelta::zero() {
            tracing::error!(name, %until, "the certificate has expired");
        } else if left < SOON {
            tracing::warn!(name, %until, days = left.num_days(), "the certificate expires soon");
        }
        left < SOON
    }
}

impl Pair {
    fn read(files: &Files) -> Result<Pair, BadPair> {
        let certificates = content(&files.certificate, false)?;
        let key = content(&files.key, true)?;
        let client_ca = files.client_ca.as_deref().map(|path| content(path, false)).transpose()?;
        let mut digest = Sha256::new();
        for part in [Some(&certificates), Some(&key), client_ca.as_ref()].into_iter().flatten() {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let chain = certificates_in(&certificates, &files.certificate)?;
        let summary = summary(files.name, &chain)
            .ok_or_else(|| unusable(&files.certificate, &"the first certificate is malformed"))?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| match error {
            pem::Error::NoItemsFound => {
                BadPair::Nothing { what: "private key without a passphrase", path: files.key.clone() }
            }
            // The error may quote what it does not understand.
            _ => unusable(&files.key, &"it is no PEM"),
        })?;
        let provider = Arc::new(ring::default_provider());
        let pair = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                BadPair::Mismatch { key: files.key.clone(), certificate: files.certificate.clone() }
            }
            other => unusable(&files.key, &other),
        })?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| unusable(&files.certificate, &error))?;
        let builder = match (&files.client_ca, client_ca) {
            (Some(path), Some(pem)) => {
                let mut roots = RootCertStore::empty();
                for root in certificates_in(&pem, path)? {
                    roots.add(root).map_err(|error| unusable(path, &error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|error| unusable(path, &error))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
        config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
        // A client that comes back is spared the slowest part, and nothing is kept for it: it has a ticket, good for
        // half a day and for this certificate.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = ring::Ticketer::new().map_err(|error| unusable(&files.certificate, &error))?;
        Ok(Pair { config: Arc::new(config), summary, digest: digest.finalize().into() })
    }

    fn valid_at(&self, at: DateTime<Utc>, files: &Files) -> Result<(), BadPair> {
        let (path, from, until) = (files.certificate.clone(), self.summary.from, self.summary.until);
        if at > until {
            Err(BadPair::Expired { path, until })
        } else if at < from {
            Err(BadPair::NotYet { path, from })
        } else {
            Ok(())
        }
    }
}

fn unusable(path: &Path, why: &impl ToString) -> BadPair {
    BadPair::Unusable { path: path.to_owned(), why: why.to_string() }
}

/// What stands in a file; that of a secret must not be readable for others.
fn content(path: &Path, is_secret: bool) -> Result<Vec<u8>, BadPair> {
    let cannot = |error: io::Error| {
        let why = error.to_string().split(" (os error").next().unwrap_or_default().to_owned();
        BadPair::Unreadable { path: path.to_owned(), why }
    };
    let file = File::open(path).map_err(cannot)?;
    // Asked of the open file, so that it is the one that is read.
    let metadata = file.metadata().map_err(cannot)?;
    if is_secret && metadata.permissions().mode() & 0o007 != 0 {
        return Err(BadPair::Exposed(path.to_owned()));
    }
    let mut content = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut content).map_err(cannot)?;
    if content.len() as u64 > LARGEST {
        return Err(unusable(path, &"it is larger than 1 MiB"));
    }
    Ok(content)
}

fn certificates_in(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, BadPair> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|_| unusable(path, &"it is no PEM"))?;
    if certificates.is_empty() {
        return Err(BadPair::Nothing { what: "certificate", path: path.to_owned() });
    }
    Ok(certificates)
}

/// What the first of a chain says. Of those behind it some may have expired: chains carry such for the sake of old
/// clients.
fn summary(name: &'static str, chain: &[CertificateDer<'_>]) -> Option<Summary> {
    const HOSTS: usize = 8;
    let (_, certificate) = x509_parser::parse_x509_certificate(chain.first()?).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let hosts = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(host) => Some(host.chars().filter(char::is_ascii_graphic).take(253).collect()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    let time = |at: i64| DateTime::from_timestamp(at, 0);
    let validity = certificate.validity();
    Some(Summary {
        name,
        hosts: hosts.take(HOSTS).collect(),
        from: time(validity.not_before.timestamp())?,
        until: time(validity.not_after.timestamp())?,
    })
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|six| std::net::Ipv6Addr::from(six).to_string())
}
