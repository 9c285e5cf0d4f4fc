//! An answer, and how it is written.

use super::connection::Connection;
use super::request::{Persistence, Request};
use super::socket::Socket;
use crate::wire::api::{Json, Problem};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use hyper::{Method, StatusCode};
use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// An answer with its whole body.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers but for those that frame it. Names and values are ours, so that no check is needed;
    /// [`Response::with`] drops what could break a line.
    headers: Vec<(&'static str, Cow<'static, str>)>,
    /// Its body; none: what it is about goes on until the connection ends, and has no length that could be told.
    body: Option<Bytes>,
    /// It answers a HEAD: the body is told of, and not sent (RFC 9110, section 9.3.2).
    head_only: bool,
}

impl Response {
    /// An answer of a content type.
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
        let headers = vec![
            ("Content-Type", content_type.into()),
            ("X-Content-Type-Options", "nosniff".into()),
            ("Cache-Control", "no-store".into()),
        ];
        Response { status, headers, body: Some(body.into()), head_only: false }
    }

    /// An answer that goes on until its connection ends; written as it is, it is the head of one.
    pub(super) fn endless(content_type: &'static str) -> Response {
        Response { body: None, ..Response::new(StatusCode::OK, content_type, "") }
    }

    /// An answer that has no body and says nothing of one: 204, 304.
    pub fn empty(status: StatusCode) -> Response {
        let headers = vec![("Cache-Control", "no-store".into())];
        Response { status, headers, body: Some(Bytes::new()), head_only: false }
    }

    /// One plain line.
    pub fn text(status: StatusCode, line: &str) -> Response {
        Response::new(status, "text/plain; charset=utf-8", format!("{line}\n"))
    }

    /// A body of JSON.
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Response {
        Response::new(status, "application/json", body)
    }

    /// What is wrong, as `application/problem+json` (RFC 9457), for pages of every origin.
    pub fn problem(status: StatusCode, detail: &str) -> Response {
        let title = status.canonical_reason().unwrap_or_default();
        let body = Problem::new(status.as_u16(), title, detail).to_json();
        Response::new(status, "application/problem+json", body).with("Access-Control-Allow-Origin", "*")
    }

    /// What pages of other origins may do where everybody may read.
    pub fn preflight(methods: &'static str) -> Response {
        Response::empty(StatusCode::NO_CONTENT)
            .with("Allow", methods)
            .with("Access-Control-Allow-Origin", "*")
            .with("Access-Control-Allow-Methods", methods)
            .with("Access-Control-Allow-Headers", "If-None-Match, Last-Event-ID, Cache-Control")
            .with("Access-Control-Max-Age", "86400")
    }

    /// Adds a header, in the place of one of that name. A value with a character that cannot stand in one is left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Response {
        let value = value.into();
        if value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            self.headers.retain(|(other, _)| *other != name);
            self.headers.push((name, value));
        }
        self
    }

    /// The same, for a request of this method.
    #[must_use]
    pub(super) fn to(mut self, method: &Method) -> Response {
        self.head_only = method == Method::HEAD;
        self
    }

    /// Writes it as the answer to `request`, and says what becomes of the connection.
    ///
    /// # Errors
    /// When the connection breaks, or its reader is too slow.
    pub async fn send(&self, connection: &Connection, request: &Request) -> io::Result<Persistence> {
        let head_only = self.head_only || request.method == Method::HEAD;
        let persistence = connection.persistence(request.persistence());
        self.write(connection.socket(), persistence, head_only).await.map(|()| persistence)
    }

    /// Writes it as the answer to a plain request, and says what becomes of the connection.
    ///
    /// # Errors
    /// When the connection breaks, or its reader is too slow.
    pub async fn send_plain(&self, connection: &Connection, asked: Persistence) -> io::Result<Persistence> {
        let persistence = connection.persistence(asked);
        self.write(connection.socket(), persistence, false).await.map(|()| persistence)
    }

    /// Writes it as the last answer of a connection.
    pub async fn send_last(&self, socket: &Socket) -> io::Result<()> {
        self.write(socket, Persistence::Closes, self.head_only).await
    }

    async fn write(&self, socket: &Socket, persistence: Persistence, head_only: bool) -> io::Result<()> {
        let body = self.body.as_ref().filter(|_| !head_only);
        socket.write_on(&[&self.head(persistence), body.map_or(&[], |body| body)], 0).await
    }

    /// The head of an answer whose rest is written as it comes. It ends with its connection, which every version of
    /// HTTP knows.
    pub fn head_of_stream(&self) -> Vec<u8> {
        self.head(Persistence::Closes)
    }

    fn head(&self, persistence: Persistence) -> Vec<u8> {
        // Writing to memory cannot fail.
        let mut head = Vec::new();
        let reason = self.status.canonical_reason().unwrap_or_default();
        let _ = write!(head, "HTTP/1.1 {} {reason}\r\nDate: ", self.status.as_u16());
        append_date(&mut head);
        for (name, value) in &self.headers {
            let _ = write!(head, "\r\n{name}: {value}");
        }
        let _ = write!(head, "\r\n{}", persistence.line());
        // These never have one, and 304 would have to tell that of another answer (RFC 9110, section 8.6).
        let is_told = !matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if let Some(body) = self.body.as_ref().filter(|_| is_told) {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// Adds the value of `Date` (RFC 9110, section 6.6.1), which is made once a second on a thread.
pub fn append_date(out: &mut Vec<u8>) {
    thread_local! {
        static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    LAST.with_borrow_mut(|(second, text)| {
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if since != *second {
            *second = since;
            *text = DateTime::<Utc>::from(now).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        }
        out.extend_from_slice(text.as_bytes());
    });
}
