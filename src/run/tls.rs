//! From the `[http.tls]` and `[push.tls]` of a setup to the certificates that their doors show.

use crate::doors::Porch;
use crate::doors::http::Tls;
use crate::doors::http::certificate::{BadPair, Certificate, Files, Fresh, Status, Summary};
use crate::health::Condition;
use crate::setup::{self, Setup};
use chrono::Utc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {why}")]
pub struct BadTls {
    /// The table of the setup.
    name: &'static str,
    why: BadPair,
}

/// How the doors speak TLS.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    /// The web port, if it does.
    pub(super) http: Option<Arc<Tls>>,
    /// The push port, if it does.
    pub(super) push: Option<Arc<Tls>>,
}

/// Reads the certificates that the setup names.
///
/// # Errors
/// When one of them cannot be served.
pub(super) fn open(setup: &Setup) -> Result<Certificates, BadTls> {
    let open = |name, tls: &Option<setup::Tls>| -> Result<Option<Arc<Tls>>, BadTls> {
        let Some(tls) = tls else { return Ok(None) };
        let certificate = Certificate::open(files(name, tls)).map_err(|why| BadTls { name, why })?;
        Ok(Some(Tls::new(certificate)))
    };
    Ok(Certificates { http: open(HTTP, &setup.http.tls)?, push: open(PUSH, &setup.push.tls)? })
}

/// Whether the certificates that the setup names could be served.
///
/// # Errors
/// When one of them could not.
pub(super) fn can_open(setup: &Setup) -> Result<(), BadTls> {
    named(setup)
        .into_iter()
        .try_for_each(|files| Certificate::can_open(&files).map_err(|why| BadTls { name: files.name, why }))
}

/// What the certificates say of themselves that the setup names, for each table that names one.
pub(crate) fn check(setup: &Setup) -> Vec<(&'static str, Result<Summary, BadPair>)> {
    named(setup).into_iter().map(|files| (files.name, Certificate::check(&files))).collect()
}

fn named(setup: &Setup) -> Vec<Files> {
    let named = [(HTTP, &setup.http.tls), (PUSH, &setup.push.tls)];
    named.into_iter().filter_map(|(name, tls)| Some(files(name, tls.as_ref()?))).collect()
}

impl Certificates {
    /// All certificates that are served: to be read anew, or asked how it stands with them.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        [&self.http, &self.push].into_iter().flatten().map(|tls| tls.certificate())
    }

    /// Reads what the files hold now; it waits for their disk, as long as that takes.
    pub(super) fn read(&self) -> Vec<Fresh> {
        self.each().map(Certificate::read_anew).collect()
    }

    /// Looks at the files now and then, until the daemon is to stop, and tells what is wrong with them.
    pub(super) fn watch(&self, porch: &Porch) {
        for certificate in self.each() {
            porch.tasks.spawn(certificate.clone().watch(porch.shutdown.clone()));
        }
        let (all, porch) = (self.each().cloned().collect::<Vec<_>>(), porch.clone());
        porch.tasks.clone().spawn(async move { tell(&all, &porch).await });
    }
}

/// Tells how it stands with the certificates, until the daemon is to stop.
async fn tell(all: &[Arc<Certificate>], porch: &Porch) {
    const EVERY: Duration = Duration::from_secs(1);
    let conditions = &porch.health.conditions;
    while !all.is_empty() && !porch.shutdown.is_cancelled() {
        let now: Vec<Status> = all.iter().map(|certificate| certificate.status()).collect();
        let ends_soon = now.iter().any(|status| status.ends_soon(Utc::now()));
        conditions.set(&Condition::CERTIFICATE_EXPIRING, ends_soon);
        conditions.set(&Condition::CERTIFICATE_REFUSED, now.iter().any(|status| status.refused.is_some()));
        porch.shutdown.run_until_cancelled(sleep(EVERY)).await;
    }
}

const HTTP: &str = "http.tls";
const PUSH: &str = "push.tls";

fn files(name: &'static str, tls: &setup::Tls) -> Files {
    Files {
        name,
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        client_ca: tls.client_ca.clone(),
        every: tls.every,
    }
}
