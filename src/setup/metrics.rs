//! Who may see figures of the daemon: `[metrics]`.

use super::mistake::Refusal;
use super::network::{loopback, network};
use super::reader::Reader;
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
    let nets = "IP addresses or networks in quotes, as \"192.0.2.0/24\"";
    let metrics = Metrics {
        allow: ask.list("metrics.allow", nets, loopback(), network),
        trusted_proxies: ask.list("metrics.trusted_proxies", nets, Vec::new(), network),
    };
    if let Some(all) = metrics.trusted_proxies.iter().find(|net| net.prefix_len() == 0) {
        // Whoever is trusted says where a request came from: with this, everybody about himself.
        let why = Refusal::new(format!("\"{all}\" trusts everybody, and so voids metrics.allow"));
        ask.refuse("metrics.trusted_proxies", &[], why.hint("list the proxies' own addresses"));
    }
    metrics
}
