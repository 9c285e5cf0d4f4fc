//! Certificates that are made as they are needed, and clients that trust who signed them.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

/// Whether the tests that say nothing of TLS are to be run over it: `TKBD_TEST_TLS=1 cargo test --test joyce`.
pub(crate) fn is_everywhere() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    *IS.get_or_init(|| std::env::var_os("TKBD_TEST_TLS").is_some())
}

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Who signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The one of this process.
pub(crate) fn authority() -> &'static Authority {
    static ONE: OnceLock<Authority> = OnceLock::new();
    ONE.get_or_init(Authority::new)
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// A pair for this machine that is good from then to then.
    pub(crate) fn issue(&self, from: SystemTime, until: SystemTime) -> Pair {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = from.into();
        params.not_after = until.into();
        let key = KeyPair::generate().unwrap();
        Pair { certificate: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }

    /// One that is good for three months.
    pub(crate) fn good(&self) -> Pair {
        let now = SystemTime::now();
        self.issue(now - DAY, now + 90 * DAY)
    }

    /// A client that trusts this authority, and comes with a certificate of its own where one is given.
    pub(crate) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&Pair>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        })
    }
}

impl Pair {
    /// Writes the files `NAME.pem` and `NAME.key`, the latter for nobody else.
    pub(crate) fn write(&self, dir: &Path, name: &str) {
        use std::os::unix::fs::PermissionsExt;
        let key = dir.join(format!("{name}.key"));
        std::fs::write(&key, &self.key).unwrap();
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(dir.join(format!("{name}.pem")), &self.certificate).unwrap();
    }
}

/// The settings with which both doors speak TLS with the pair `NAME` of the daemon's directory.
pub(crate) fn sets(name: &str) -> Vec<String> {
    let of = |door: &str| {
        let table = [
            ("listen", "127.0.0.1:0"),
            ("certificate", &format!("{name}.pem")),
            ("key", &format!("{name}.key")),
        ];
        table.map(|(key, value)| format!("{door}.tls.{key}={value}"))
    };
    [of("http"), of("push")].concat()
}

/// A session that is to begin, as a browser's.
pub(crate) fn session(config: &Arc<ClientConfig>) -> Box<ClientConnection> {
    Box::new(ClientConnection::new(config.clone(), ServerName::try_from("localhost").unwrap()).unwrap())
}
