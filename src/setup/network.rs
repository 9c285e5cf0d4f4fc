//! Addresses, networks and host names.

use super::mistake::Refusal;
use super::near::quoted;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An address to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, Refusal> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        let why = Refusal::new(format!("{} is no IP address with a port", quoted(text)));
        return Err(match meant(text) {
            Some(meant) => why.did_you_mean(&meant),
            None => why.hint("write \"127.0.0.1:8080\" or \"[::1]:8080\""),
        });
    };
    Ok(address)
}

/// What the usual other spellings (`8080`, `:8080`, `localhost:8080`, `*:8080`) stand for.
fn meant(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port = port.parse::<u16>().ok()?;
    match host {
        "" | "*" => Some(format!("0.0.0.0:{port}")),
        "localhost" => Some(format!("127.0.0.1:{port}")),
        _ => host.parse::<std::net::Ipv6Addr>().ok().map(|host| format!("[{host}]:{port}")),
    }
}

/// Whether the two cannot both be bound.
///
/// Port 0 is "any free port". An unspecified address takes every one of its family, and `[::]`
/// takes IPv4 along on most systems.
pub(super) fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| {
        wide.is_unspecified() && (wide.is_ipv6() || wide.is_ipv4() == narrow.is_ipv4())
    };
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || covers(a.ip(), b.ip()) || covers(b.ip(), a.ip()))
}

/// A network, or one address as a network of its own.
///
/// IPv4 addresses written as IPv6 become IPv4, as those of peers do (reliability.md P1).
pub(super) fn network(text: &str) -> Result<IpNet, Refusal> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let Ok(net) = text.parse::<IpNet>() else {
        let why = Refusal::new(format!("{} is no IP address or network", quoted(text)));
        return Err(match text {
            "localhost" => why.hint("write \"127.0.0.0/8\" and \"::1\""),
            _ => why.hint("write \"192.0.2.7\" or \"192.0.2.0/24\"; host names are not looked up"),
        });
    };
    if net.trunc() != net {
        // 10.1.2.3/8 means either one host or sixteen million: that is for its writer to say.
        let why = Refusal::new(format!("{} names a host and a network at once", quoted(text)));
        return Err(why.hint(format!(
            "{:?} is the host, {:?} the network",
            net.addr().to_string(),
            net.trunc().to_string()
        )));
    }
    match net {
        IpNet::V6(six) if six.prefix_len() >= 96 => match six.addr().to_ipv4_mapped() {
            Some(four) => ipnet::Ipv4Net::new(four, six.prefix_len() - 96)
                .map(IpNet::V4)
                .map_err(|_| Refusal::new(format!("{} is no network", quoted(text)))),
            None => Ok(net),
        },
        _ => Ok(net),
    }
}

/// The addresses of this very machine: who pushes where nothing else is said.
pub(super) fn loopback() -> Vec<IpNet> {
    let four = ipnet::Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    vec![IpNet::V4(four), IpNet::from(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST))]
}

/// A host name as it stands in a `Host` header, without a port; lower-cased.
pub(super) fn host(text: &str) -> Result<String, Refusal> {
    let lower = text.to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if lower.len() <= 253 && lower.split('.').all(label) {
        return Ok(lower);
    }
    let why = Refusal::new(format!("{} is no host name", quoted(text)));
    let bare = lower.split_once("://").map_or(lower.as_str(), |(_, rest)| rest);
    let bare = bare.split(['/', ':']).next().unwrap_or_default();
    Err(if !bare.is_empty() && bare != lower && bare.split('.').all(label) {
        why.did_you_mean(bare)
    } else {
        why
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_doors_clash_where_one_would_find_its_port_taken() {
        let cases = [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "[::]:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("127.0.0.1:80", "[::1]:80", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ];
        for (a, b, clashes) in cases {
            assert_eq!(clash(a.parse().unwrap(), b.parse().unwrap()), clashes, "{a} {b}");
            assert_eq!(clash(b.parse().unwrap(), a.parse().unwrap()), clashes, "{b} {a}");
        }
    }

    #[test]
    fn a_network_is_read_as_peers_will_be() {
        let cases = [
            ("131.174.30.41", Some("131.174.30.41/32")),
            ("131.174.0.0/16", Some("131.174.0.0/16")),
            ("::1", Some("::1/128")),
            ("::ffff:131.174.30.41", Some("131.174.30.41/32")),
            ("::ffff:131.174.0.0/112", Some("131.174.0.0/16")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("131.174.30.41/16", None),
            ("131.174.30.256", None),
            ("10.0.0.0/33", None),
            ("localhost", None),
            ("", None),
        ];
        for (text, net) in cases {
            assert_eq!(network(text).ok().map(|net| net.to_string()).as_deref(), net, "{text:?}");
        }
        assert_eq!(loopback(), [network("127.0.0.0/8").unwrap(), network("::1").unwrap()]);
    }

    #[test]
    fn a_host_is_a_name_alone() {
        let cases = [
            ("Push.Example.org", Some("push.example.org")),
            ("tkb", Some("tkb")),
            ("push.example.org:1235", None),
            ("http://push.example.org/", None),
            ("", None),
            ("a..b", None),
        ];
        for (text, name) in cases {
            assert_eq!(host(text).ok().as_deref(), name, "{text:?}");
        }
    }
}
