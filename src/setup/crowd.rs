//! How many connections and channels the web port serves, and how many of one address.

use super::mistake::Refusal;
use super::network::{loopback, network};
use super::reader::Reader;
use super::resolve::{NETWORKS, minutes, patience, seconds};
use ipnet::IpNet;
use std::time::Duration;

/// The keys of `[http]` that share the web port among those who use it (reliability.md C10, O4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowd {
    /// How many connections there may be; none: as many as the limit of open files leaves.
    pub max_connections: Option<usize>,
    /// How many of them one address may have.
    pub connections_per_address: usize,
    /// How many channels one address may have.
    pub channels_per_address: usize,
    /// How many channels one address may open in a second.
    pub new_channels_per_second: usize,
    /// How long a connection or a channel waits for its place.
    pub wait: Duration,
    /// Addresses that are not counted.
    pub exempt: Vec<IpNet>,
    /// Whose forwarding headers tell the address that is counted.
    pub trusted_proxies: Vec<IpNet>,
}

/// Resolves these keys.
pub(super) fn crowd(ask: &mut Reader) -> Crowd {
    const MAX: &str = "http.max_connections";
    let max_connections = ask.count(MAX, 1, 1..=1_000_000);
    let crowd = Crowd {
        max_connections: ask.is_written(MAX).then_some(max_connections),
        connections_per_address: ask.count("http.connections_per_address", 512, 1..=1_000_000),
        channels_per_address: ask.count("http.channels_per_address", 256, 1..=1_000_000),
        new_channels_per_second: ask.count("http.new_channels_per_second", 20, 1..=1_000_000),
        wait: ask.duration("http.wait", seconds(5), patience(minutes(1))),
        exempt: ask.list("http.exempt", NETWORKS, loopback(), network),
        trusted_proxies: ask.list("http.trusted_proxies", NETWORKS, Vec::new(), network),
    };
    not_everybody(ask, "http.trusted_proxies", &crowd.trusted_proxies, "all limits of one address");
    crowd
}

/// Whoever is trusted says which address a request came from: were it everybody, then about himself.
pub(super) fn not_everybody(ask: &mut Reader, key: &'static str, proxies: &[IpNet], voided: &str) {
    if let Some(all) = proxies.iter().find(|net| net.prefix_len() == 0) {
        let why = Refusal::new(format!("\"{all}\" trusts everybody, and so voids {voided}"));
        ask.refuse(key, &[], why.hint("list the proxies' own addresses"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::seconds;

    #[test]
    fn c2_c10_c11_c12_the_limits_are_those_that_were_promised_where_nothing_else_is_written() {
        let http = load(None, std::iter::empty(), &[]).unwrap().http;
        assert!(http.idle >= seconds(90) && http.refresh <= seconds(600));
        assert_eq!((http.max_head, http.max_body, http.max_channels), (16 * 1024, 64 * 1024, 50_000));
        assert_eq!((http.head_timeout, http.body_timeout), (seconds(10), seconds(10)));
        assert_eq!((http.stalled, http.answer_timeout), (seconds(15), seconds(60)));
        let crowd = http.crowd;
        let each = (crowd.connections_per_address, crowd.channels_per_address, crowd.new_channels_per_second);
        assert_eq!(each, (512, 256, 20));
        assert_eq!(crowd.max_connections, None);
    }
}
