//! For which host a request is: a page of strangers may have its name point at this one.

use hyper::{HeaderMap, Uri, header};
use std::net::IpAddr;

/// Whether the request is for an address, for localhost, or for a name that the setup lists: others may
/// be names that an attacker has pointed at this host (DNS rebinding).
pub fn is_host(headers: &HeaderMap, uri: &Uri, hosts: &[String]) -> bool {
    let headers = headers.get_all(header::HOST).into_iter();
    let mut names = headers.map(|value| value.to_str().ok()).chain(uri.host().map(Some));
    names.all(|name| name.is_some_and(|name| is_known(name, hosts)))
}

/// Whether a host, with or without a port, is an address, localhost or one of `hosts`.
fn is_known(named: &str, hosts: &[String]) -> bool {
    let name = match named.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => {
            named.rsplit_once(':').filter(|(name, _)| !name.contains(':')).map_or(named, |(name, _)| name)
        }
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p3_a_host_is_an_address_or_a_known_name() {
        let known = ["tkb.example.org".to_owned()];
        let is_host = |value: &'static str| {
            let (head, ()) =
                hyper::Request::builder().uri("/push").header("Host", value).body(()).unwrap().into_parts();
            is_host(&head.headers, &head.uri, &known)
        };
        for host in [
            "127.0.0.1",
            "127.0.0.1:1235",
            "[::1]:1235",
            "localhost",
            "LOCALHOST:1235",
            "tkb.example.org:80",
            "Tkb.Example.Org.",
        ] {
            assert!(is_host(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:1235",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "tkb.example.org.evil",
        ] {
            assert!(!is_host(host), "{host}");
        }
        let request = |uri: &str| hyper::Request::builder().uri(uri).method("POST");
        for two in [
            request("/push").header("Host", "localhost").header("Host", "evil.example"),
            request("http://127.0.0.1/push").header("Host", "evil.example"),
            request("http://evil.example/push").header("Host", "localhost"),
        ] {
            let (head, ()) = two.body(()).unwrap().into_parts();
            assert!(!super::is_host(&head.headers, &head.uri, &known), "two hosts, one of them known");
        }
    }
}
