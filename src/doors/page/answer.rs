//! What the answers of the page have in common: who may show them, how long they may be kept, and what they may load.

use super::assets::File;
use crate::doors::http::{Request, Response};
use crate::page::Language;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::{StatusCode, header};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Write as _;

/// Where a view may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    ItsOwnWindow,
    /// In a frame of whoever likes to.
    AnySite,
}

/// What a view may load: what comes from here. There is no other way to run or to style anything, whatever a name holds.
macro_rules! policy {
    ($ancestors:literal) => {
        concat!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; ",
            "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors ",
            $ancestors
        )
    };
}

/// A view.
pub(super) fn html(
    request: &Request,
    status: StatusCode,
    language: Language,
    within: Within,
    body: String,
) -> Response {
    let is_packed = accepts(request, "gzip");
    let tag = format!("\"{}{}\"", hex(body.as_bytes()), if is_packed { "-gzip" } else { "" });
    let kind = "text/html; charset=utf-8";
    let response = if status == StatusCode::OK && request.knows(&tag) {
        Response::empty(StatusCode::NOT_MODIFIED)
    } else if let Some(packed) = is_packed.then(|| gzip(body.as_bytes(), Compression::fast())).flatten() {
        Response::new(status, kind, packed).with("Content-Encoding", "gzip")
    } else {
        Response::new(status, kind, body)
    };
    let policy = match within {
        Within::ItsOwnWindow => policy!("'none'"),
        Within::AnySite => policy!("*"),
    };
    let response = response
        .with("Content-Security-Policy", policy)
        .with("Referrer-Policy", "no-referrer")
        .with("Cross-Origin-Opener-Policy", "same-origin");
    spoken(response, language, tag)
}

/// The manifest.
pub(super) fn manifest(request: &Request, language: Language, body: String) -> Response {
    let tag = digest(body.as_bytes());
    let response = if request.knows(&tag) {
        Response::empty(StatusCode::NOT_MODIFIED)
    } else {
        Response::new(StatusCode::OK, "application/manifest+json", body)
    };
    spoken(response, language, tag)
}

/// An answer in a language, which is asked for again with its tag.
fn spoken(response: Response, language: Language, tag: String) -> Response {
    response
        .with("Cache-Control", "no-cache")
        .with("ETag", tag)
        .with("Vary", "Accept-Encoding, Accept-Language")
        .with("Content-Language", language.code())
}

/// A file of the design. One that was asked for by its edition is never another.
pub(super) fn asset(request: &Request, file: &File, is_of_edition: bool) -> Response {
    let packed = [("br", File::brotli as fn(&File) -> Option<Bytes>), ("gzip", File::gzip)];
    let packed = packed.into_iter().filter(|(coding, _)| accepts(request, coding));
    let packed = packed.filter_map(|(coding, pack)| Some((coding, pack(file)?))).next();
    let tag = match &packed {
        Some((coding, _)) => format!("\"{}-{coding}\"", file.digest),
        None => format!("\"{}\"", file.digest),
    };
    let response = if request.knows(&tag) {
        Response::empty(StatusCode::NOT_MODIFIED)
    } else {
        match packed {
            Some((coding, body)) => {
                Response::new(StatusCode::OK, file.kind, body).with("Content-Encoding", coding)
            }
            None => Response::new(StatusCode::OK, file.kind, file.bytes.clone()),
        }
    };
    let kept = if is_of_edition { "public, max-age=31536000, immutable" } else { "no-cache" };
    response
        .with("Cache-Control", kept)
        .with("ETag", tag)
        .with("Vary", "Accept-Encoding")
        // An icon that is shown by itself may hold what others drew, and a worker is bound by what it comes with.
        .with(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'",
        )
}

/// Packed with gzip.
pub(super) fn gzip(bytes: &[u8], how: Compression) -> Option<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::new(), how);
    out.write_all(bytes).ok()?;
    out.finish().ok()
}

/// Whether a client takes a coding.
fn accepts(request: &Request, coding: &str) -> bool {
    let values = request.headers.get_all(header::ACCEPT_ENCODING).into_iter();
    let mut codings = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    codings.any(|wanted| is_coding(wanted, coding))
}

/// Whether a part of `Accept-Encoding` wants a coding.
fn is_coding(wanted: &str, coding: &str) -> bool {
    let mut parts = wanted.split(';').map(str::trim);
    let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
    let is_none = |part: &str| part.strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty());
    is_it && !parts.any(is_none)
}

/// A tag for what never changes under it.
fn digest(bytes: &[u8]) -> String {
    format!("\"{}\"", hex(bytes))
}

/// The beginning of a digest: two that are the same are of the same bytes, in as many tries as there are.
pub(super) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(12).fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
