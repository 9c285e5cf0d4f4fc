//! Who may see figures of the daemon: `[metrics]`.

use super::crowd::not_everybody;
use super::network::{loopback, network};
use super::reader::Reader;
use super::resolve::NETWORKS;
use ipnet::IpNet;

/// Who may see figures (`[metrics]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// From where they may be asked for; IPv4 networks in IPv4 form.
    pub allow: Vec<IpNet>,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// Resolves `[metrics]`.
pub(super) fn metrics(ask: &mut Reader) -> Metrics {
    let metrics = Metrics {
        allow: ask.list("metrics.allow", NETWORKS, loopback(), network),
        trusted_proxies: ask.list("metrics.trusted_proxies", NETWORKS, Vec::new(), network),
    };
    not_everybody(ask, "metrics.trusted_proxies", &metrics.trusted_proxies, "metrics.allow");
    metrics
}
