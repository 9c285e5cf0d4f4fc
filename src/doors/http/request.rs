//! What came in: a request as hyper read it, or a plain one that needs no more than a look.

use bytes::Bytes;
use httparse::Status;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Uri, Version, header};
use std::mem::MaybeUninit;

/// A request with its whole body.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// What it is for.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    version: Version,
}

/// What becomes of the connection after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It goes on, which goes without saying in HTTP/1.1.
    Stays,
    /// It goes on, which a client of HTTP/1.0 is told.
    StaysAsAsked,
    /// The answer is the last on it.
    Closes,
}

impl Persistence {
    /// The line of an answer's head that says so, where it has to be said.
    pub fn line(self) -> &'static str {
        match self {
            Persistence::Stays => "",
            Persistence::StaysAsAsked => "Connection: keep-alive\r\n",
            Persistence::Closes => "Connection: close\r\n",
        }
    }

    /// Whether another request may follow.
    pub fn stays(self) -> bool {
        self != Persistence::Closes
    }
}

impl Request {
    pub(super) fn new(head: Parts, body: Bytes) -> Request {
        Request { method: head.method, uri: head.uri, headers: head.headers, body, version: head.version }
    }

    /// Whether the client has what is tagged so (`If-None-Match`): weak comparison, as RFC 9110 (section 13.1.2) wants it.
    pub fn knows(&self, tag: &str) -> bool {
        let bare = |tag: &str| tag.trim_start_matches("W/").to_owned();
        self.headers.get_all(header::IF_NONE_MATCH).into_iter().any(|value| {
            let tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
            tags.into_iter().any(|known| known == "*" || bare(known) == bare(tag))
        })
    }

    /// Whether the client wants to send another request after this.
    pub fn persistence(&self) -> Persistence {
        let says = |word: &str| {
            let values = self.headers.get_all(header::CONNECTION).into_iter();
            let mut words = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
            words.any(|said| said.trim().eq_ignore_ascii_case(word))
        };
        match self.version {
            _ if says("close") => Persistence::Closes,
            Version::HTTP_10 if says("keep-alive") => Persistence::StaysAsAsked,
            Version::HTTP_10 => Persistence::Closes,
            _ => Persistence::Stays,
        }
    }
}

/// The target of a plain request: a GET of HTTP/1.1 without a body, whose headers say nothing of how it is
/// to be read or what becomes of the connection, and which came whole.
///
/// Ten thousand clients that were just answered send ten thousand such requests. To have hyper read one
/// takes two buffers of 8 KiB and a dozen pieces of memory more, for nothing that would be used; so they
/// are looked at where they were read to, by the parser that hyper uses. All others go to hyper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Without the query.
    pub path: &'a str,
    /// What stands behind the question mark, if there is one.
    pub query: Option<&'a str>,
}

/// As many as hyper takes.
const MAX_HEADERS: usize = 100;

type Headers<'a> = [MaybeUninit<httparse::Header<'a>>; MAX_HEADERS];

/// A head of HTTP/1.1 that is all there and asks for nothing special, and its length in bytes.
fn head<'h, 'b>(bytes: &'b [u8], headers: &'h mut Headers<'b>) -> Option<(httparse::Request<'h, 'b>, usize)> {
    // What they name, hyper knows how to do.
    const SPECIAL: [&str; 3] = ["transfer-encoding", "expect", "upgrade"];
    let mut head = httparse::Request::new(&mut []);
    let Ok(Status::Complete(length)) = head.parse_with_uninit_headers(bytes, headers) else { return None };
    let is_special = |header: &httparse::Header<'_>| SPECIAL.iter().any(|name| is(header, name));
    let is_whole = |target: &str| target.starts_with('/') && target.bytes().all(|b| b.is_ascii_graphic());
    let is_usual =
        head.version == Some(1) && head.path.is_some_and(is_whole) && !head.headers.iter().any(is_special);
    is_usual.then_some((head, length))
}

fn is(header: &httparse::Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

/// The target of the plain request that `bytes` begin with, and its length in bytes; none where they do not.
pub(super) fn plain(bytes: &[u8]) -> Option<(Target<'_>, usize)> {
    // Most requests that are none are told apart by their first letters.
    if !bytes.starts_with(b"GET /") {
        return None;
    }
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let (head, length) = head(bytes, &mut headers)?;
    let target = head.path.filter(|target| !target.contains('#'))?;
    let says_more = |header: &httparse::Header<'_>| {
        is(header, "content-length")
            || is(header, "connection") && !header.value.eq_ignore_ascii_case(b"keep-alive")
    };
    if head.headers.iter().any(says_more) {
        return None;
    }
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    Some((Target { path, query }, length))
}

/// A POST that came whole.
pub(super) struct Whole<'a> {
    /// Its head.
    pub(super) head: Parts,
    /// How long that is, in bytes.
    pub(super) head_length: usize,
    /// Its body.
    pub(super) body: &'a [u8],
}

/// The POST that `bytes` begin with, where it is whole and needs nothing of hyper: pushes are such, and come by the
/// ten thousand.
pub(super) fn whole(bytes: &[u8]) -> Option<Whole<'_>> {
    if !bytes.starts_with(b"POST /") {
        return None;
    }
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let (read, head_length) = head(bytes, &mut headers)?;
    let (mut head, ()) = hyper::Request::new(()).into_parts();
    head.method = Method::POST;
    head.uri = read.path?.parse().ok()?;
    head.headers.reserve(read.headers.len());
    let mut length: Option<usize> = None;
    for header in read.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        if name == header::CONTENT_LENGTH {
            // Two of them, or a sign before the digits, are hyper's to refuse.
            let digits = str::from_utf8(header.value).ok()?;
            let is_first = length.is_none() && digits.bytes().all(|b| b.is_ascii_digit());
            length = Some(digits.parse().ok().filter(|_| is_first)?);
        }
        head.headers.append(name, HeaderValue::from_bytes(header.value).ok()?);
    }
    let end = head_length.checked_add(length?)?;
    Some(Whole { head, head_length, body: bytes.get(head_length..end)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_request_is_told_by_its_head_and_ends_where_that_does() {
        let target = |path, query| Some(Target { path, query });
        let cases = [
            ("GET /?m=null HTTP/1.1\r\nHost: a\r\n\r\n", target("/", Some("m=null"))),
            ("GET / HTTP/1.1\r\n\r\n", target("/", None)),
            ("GET /a/b? HTTP/1.1\r\nAccept: */*\r\nconnection: Keep-Alive\r\n\r\n", target("/a/b", Some(""))),
            ("GET /?m=[\"t\"]&m={} HTTP/1.1\nHost: a\n\n", target("/", Some("m=[\"t\"]&m={}"))),
            ("GET /?a?b HTTP/1.1\r\n\r\n", target("/", Some("a?b"))),
        ];
        for (head, target) in cases {
            let read = format!("{head}GET /more");
            assert_eq!(plain(read.as_bytes()), target.map(|target| (target, head.len())), "{head}");
        }
    }

    #[test]
    fn a_request_that_came_in_part_or_says_more_is_left_to_hyper() {
        let with = |header: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n");
        let left = [
            with("Connection: close"),
            with("Connection: keep-alive, Upgrade"),
            with("CONTENT-LENGTH: 0"),
            with("Transfer-Encoding: chunked"),
            with("Expect: 100-continue"),
            with("Upgrade: websocket"),
            with(" folded: header"),
            with("Bad Name: a"),
            with("A: \0"),
            with(&"A: b\r\n".repeat(MAX_HEADERS)),
            "GET / HTTP/1.1\r\nHost: a\r\n".into(),
            "GET / HTTP/1.0\r\n\r\n".into(),
            "GET /\u{e9} HTTP/1.1\r\n\r\n".into(),
            "GET /#m HTTP/1.1\r\n\r\n".into(),
            "GET http://a/ HTTP/1.1\r\n\r\n".into(),
            "HEAD / HTTP/1.1\r\n\r\n".into(),
            "POST / HTTP/1.1\r\n\r\n".into(),
            "\r\nGET / HTTP/1.1\r\n\r\n".into(),
            String::new(),
        ];
        for head in left {
            assert_eq!(plain(head.as_bytes()), None, "{head}");
        }
    }

    #[test]
    fn a_post_that_came_whole_is_read_as_hyper_would() {
        let head = "POST /push?a HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 4\r\n\r\n";
        let read = format!("{head}bodymore");
        let Whole { head: parts, head_length, body } = whole(read.as_bytes()).unwrap();
        assert_eq!((parts.method, parts.version), (Method::POST, Version::HTTP_11));
        assert_eq!(parts.uri, "/push?a");
        assert_eq!(parts.headers.get_all("x-a").into_iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((parts.headers.len(), head_length, body), (4, head.len(), b"body".as_slice()));
    }

    #[test]
    fn a_post_that_is_not_whole_or_in_doubt_is_left_to_hyper() {
        let with = |header: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\nbody");
        assert!(whole(with("Content-Length: 4").as_bytes()).is_some(), "it is the header that makes it so");
        for header in [
            "Content-Length: 5",
            "Content-Length: +4",
            "Content-Length: 4, 4",
            "Content-Length: 4\r\nContent-Length: 4",
            "Content-Length: 99999999999999999999999",
            "Content-Length: 18446744073709551615",
            "Content-Length:",
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "Content-Length: 4\r\nExpect: 100-continue",
            "Content-Length: 4\r\nUpgrade: a",
            "A: b",
        ] {
            assert!(whole(with(header).as_bytes()).is_none(), "{header}");
        }
        for target in ["a", "*", "http://a/", "/\u{e9}", "/<"] {
            let read = format!("POST {target} HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
            assert!(whole(read.as_bytes()).is_none(), "{target}");
        }
    }
}
