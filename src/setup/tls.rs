//! TLS: `[http.tls]` and `[push.tls]`.

use super::mistake::Refusal;
use super::near::quoted;
use super::reader::Reader;
use super::resolve::{hours, listen, milliseconds, minutes};
use super::secret_file;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How a door speaks TLS (`[http.tls]`, `[push.tls]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Where it does; at least one address.
    pub listen: Vec<SocketAddr>,
    /// PEM: the certificate, and those behind it.
    pub certificate: PathBuf,
    /// PEM: its key.
    pub key: PathBuf,
    /// PEM: by whom the certificates of clients must be signed, where they need one.
    pub client_ca: Option<PathBuf>,
    /// How often the files are looked at.
    pub every: Duration,
}

/// The keys of one of the tables.
pub(super) struct Keys {
    pub(super) listen: &'static str,
    pub(super) certificate: &'static str,
    pub(super) key: &'static str,
    /// For doors where clients may need a certificate.
    pub(super) client_ca: Option<&'static str>,
    pub(super) every: &'static str,
    /// Where it listens if nothing else is said.
    pub(super) port: u16,
}

pub(super) const HTTP: Keys = Keys {
    listen: "http.tls.listen",
    certificate: "http.tls.certificate",
    key: "http.tls.key",
    client_ca: None,
    every: "http.tls.every",
    port: 8443,
};

pub(super) const PUSH: Keys = Keys {
    listen: "push.tls.listen",
    certificate: "push.tls.certificate",
    key: "push.tls.key",
    client_ca: Some("push.tls.client_ca"),
    every: "push.tls.every",
    port: 1236,
};

/// Resolves one of the tables. Without a certificate nothing else of it has a meaning.
pub(super) fn tls(ask: &mut Reader, keys: &Keys) -> Option<Tls> {
    let mistakes = ask.mistakes();
    let certificate = ask.parsed(keys.certificate, "the path of a file in quotes", None, file);
    let key = ask.parsed(keys.key, "the path of a file in quotes", None, secret);
    let client_ca = keys
        .client_ca
        .and_then(|client_ca| ask.parsed(client_ca, "the path of a file in quotes", None, file));
    let listen = listen(ask, keys.listen, keys.port);
    let every = ask.duration(keys.every, minutes(1), milliseconds(100)..=hours(24));
    if ask.mistakes() > mistakes {
        return None;
    }
    if let (Some(certificate), Some(key)) = (certificate, key) {
        if listen.is_empty() {
            let why = Refusal::new("an empty list, so that TLS is spoken nowhere");
            ask.refuse(keys.listen, &[], why.hint("leave the whole table out"));
        }
        return Some(Tls { listen, certificate, key, client_ca, every });
    }
    let written =
        [Some(keys.certificate), Some(keys.key), Some(keys.listen), keys.client_ca, Some(keys.every)];
    let written: Vec<&'static str> =
        written.into_iter().flatten().filter(|key| ask.is_written(key)).collect();
    if let Some(first) = written.first() {
        let missing = [keys.certificate, keys.key].into_iter().find(|key| !written.contains(key));
        let why = format!("has no meaning without {}", missing.unwrap_or(keys.certificate));
        ask.refuse(
            first,
            &[],
            Refusal::new(why).hint("TLS needs a certificate and its key, as paths of PEM files"),
        );
    }
    None
}

/// The path of a file, which need not be there: whoever needs it reads it.
pub(super) fn file(text: &str) -> Result<Option<PathBuf>, Refusal> {
    if text.is_empty() || text.contains(['\0', '\n']) || text.contains("-----BEGIN") {
        // What stands in a key must not be shown.
        return Err(Refusal::new("wants the path of a file, and not what stands in it"));
    }
    Ok(Some(text.into()))
}

fn secret(text: &str) -> Result<Option<PathBuf>, Refusal> {
    let path = file(text)?;
    if secret_file::exposed(text) {
        let why = format!("everybody on this machine may use {}", quoted(text));
        return Err(Refusal::new(why).hint("chmod o= it"));
    }
    Ok(path)
}
