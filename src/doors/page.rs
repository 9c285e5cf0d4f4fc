//! The page, for now: what runs here, and where to look.

use super::http::{Request, Response};
use crate::wire::query;
use hyper::{Method, StatusCode, header};

/// Whether a request is for the page: `GET /` that carries no `m`, and comes from what can show a page.
pub(super) fn is_for(request: &Request) -> bool {
    let query = request.uri.query().unwrap_or_default();
    let accepts = |kind: &str| {
        let values = request.headers.get_all(header::ACCEPT).into_iter();
        values.filter_map(|value| value.to_str().ok()).any(|value| value.contains(kind))
    };
    let names_m = query.split('&').any(|pair| pair == "m" || pair.starts_with("m="));
    request.method == Method::GET
        && request.uri.path() == "/"
        && !names_m
        && query::single(query.as_bytes(), "c") == Ok(None)
        && (accepts("text/html") || query.is_empty() && accepts("*/*"))
}

/// The page, with the address by which it was asked for.
pub(super) fn index(request: &Request) -> Response {
    const INDEX: &str = concat!(
        include_str!("page.html"),
        "<footer>tkbd ",
        env!("CARGO_PKG_VERSION"),
        "</footer>\n</body>\n</html>\n"
    );
    const EXAMPLE: &str = "localhost:8080";
    let host = request.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    // Of these letters no markup can be made.
    let is_plain = |host: &&str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b));
    let page = INDEX.replace(EXAMPLE, host.filter(is_plain).unwrap_or(EXAMPLE));
    Response::new(StatusCode::OK, "text/html; charset=utf-8", page)
        .with(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        )
        .with("Referrer-Policy", "no-referrer")
}
