//! Where a request comes from that proxies have passed on.

use hyper::HeaderMap;
use hyper::header::HeaderName;
use ipnet::IpNet;
use std::net::IpAddr;

/// Why it cannot be known where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// Who sends it says that it comes from elsewhere, and is none of the proxies whose word is taken.
    ByStranger,
    /// One of them sends it, and does not say from where: what is missing, for who runs it.
    ByProxy(&'static str),
}

/// The address that counts where addresses let in: the peer's, or what a trusted proxy names. Whoever else sends a
/// header of proxies is one that we do not know of, and must not lend its address to all the world.
///
/// # Errors
/// When it cannot be known.
pub fn source(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Result<IpAddr, Hidden> {
    let peer = peer.to_canonical();
    if !headers.keys().any(is_forwarding) {
        return Ok(peer);
    }
    if !contains(trusted, peer) {
        return Err(Hidden::ByStranger);
    }
    rightmost_untrusted(headers, trusted).map_err(Hidden::ByProxy)
}

/// The address that a trusted proxy saw a request come from: proxies append, and what stands rightmost was seen by
/// the last one, and so on, as far as they are ours.
///
/// # Errors
/// With what is missing, for who runs the proxy.
pub fn rightmost_untrusted(headers: &HeaderMap, trusted: &[IpNet]) -> Result<IpAddr, &'static str> {
    let hops = hops(headers).ok_or("the trusted proxy does not say where the request comes from")?;
    let mut hops = hops.into_iter().rev();
    hops.find(|hop| !contains(trusted, *hop)).ok_or("the trusted proxy names no address but its own")
}

/// Whether one of these networks has the address.
pub fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// Whether proxies tell by this header that they are in between, or for whom.
fn is_forwarding(name: &HeaderName) -> bool {
    const NAMES: [&str; 12] = [
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-forwarded-for",
        "x-originating-ip",
        "x-envoy-external-address",
        "true-client-ip",
        "cf-connecting-ip",
        "fastly-client-ip",
        "fly-client-ip",
    ];
    name.as_str().starts_with("x-forwarded") || NAMES.contains(&name.as_str())
}

/// The addresses in `Forwarded` (RFC 7239) or `X-Forwarded-For`, in their order; none where neither is
/// there, both are, or a hop is hidden or no address: then it cannot be known where a request comes from.
fn hops(headers: &HeaderMap) -> Option<Vec<IpAddr>> {
    let list = |name: &str| {
        let values = headers.get_all(name).into_iter();
        let values: Option<Vec<&str>> = values.map(|value| value.to_str().ok()).collect();
        values.map(|values| values.join(",")).filter(|list| !list.is_empty())
    };
    match (list("forwarded"), list("x-forwarded-for")) {
        (None, Some(list)) => list.split(',').map(address).collect(),
        (Some(list), None) => {
            let hop = |hop: &str| {
                let mut pairs = hop.split(';').filter_map(|pair| pair.trim().split_once('='));
                let (_, by) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
                address(by.trim().trim_matches('"'))
            };
            list.split(',').map(hop).collect()
        }
        _ => None,
    }
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => {
            text.split_once(':').filter(|(_, port)| !port.contains(':')).map_or(text, |(address, _)| address)
        }
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn p2_the_hops_of_a_request_are_those_its_proxies_named() {
        let xff = "x-forwarded-for";
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<Vec<IpAddr>>);
        let cases: [Case; 10] = [
            (&[(xff, "192.0.2.1")], Some(addresses(&["192.0.2.1"]))),
            (&[(xff, " 192.0.2.1 ,10.0.0.1:99")], Some(addresses(&["192.0.2.1", "10.0.0.1"]))),
            (&[(xff, "2001:db8::1, [2001:db8::2]:80")], Some(addresses(&["2001:db8::1", "2001:db8::2"]))),
            (&[(xff, "::ffff:192.0.2.1")], Some(addresses(&["192.0.2.1"]))),
            (&[(xff, "unknown")], None),
            (&[(xff, "")], None),
            (&[], None),
            (
                &[("forwarded", "for=192.0.2.1;proto=http, For=\"[2001:db8::1]:4711\"")],
                Some(addresses(&["192.0.2.1", "2001:db8::1"])),
            ),
            (&[("forwarded", "for=_hidden")], None),
            (&[("forwarded", "for=192.0.2.1"), (xff, "192.0.2.2")], None),
        ];
        for (list, expected) in cases {
            assert_eq!(hops(&headers(list)), expected, "{list:?}");
        }
    }

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in list {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        map
    }

    #[test]
    fn p2_the_peer_counts_unless_it_is_a_proxy_that_is_trusted_and_names_another() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let of = |peer: &str, list: &[(&str, &str)]| source(peer.parse().unwrap(), &headers(list), &trusted);
        let named = [("x-forwarded-for", "192.0.2.1, 10.0.0.2")];
        assert_eq!(of("::ffff:10.0.0.1", &[]), Ok(addresses(&["10.0.0.1"])[0]));
        for proxy in ["10.0.0.1", "::ffff:10.0.0.1"] {
            assert_eq!(of(proxy, &named), Ok(addresses(&["192.0.2.1"])[0]), "{proxy}");
        }
        assert_eq!(of("127.0.0.1", &named), Err(Hidden::ByStranger));
        assert_eq!(of("127.0.0.1", &[("via", "1.1 cache")]), Err(Hidden::ByStranger));
        for silent in [("via", "1.1 cache"), ("x-forwarded-for", "10.0.0.2"), ("forwarded", "for=_hidden")] {
            assert!(matches!(of("10.0.0.1", &[silent]), Err(Hidden::ByProxy(_))), "{silent:?}");
        }
    }

    #[test]
    fn p2_headers_of_proxies_are_known_by_name() {
        for name in ["via", "x-forwarded-for", "x-forwarded-port", "x-client-ip", "forwarded"] {
            assert!(is_forwarding(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["host", "x-request-id", "forward"] {
            assert!(!is_forwarding(&HeaderName::from_static(name)), "{name}");
        }
    }
}
