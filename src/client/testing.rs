//! A daemon that says what a test tells it to, over a real socket.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// One answer: the status, a header or none, the body.
pub(super) type Answer = (u16, Option<(&'static str, &'static str)>, Vec<u8>);

/// What was asked: path, Authorization, body.
pub(super) type Asked = Arc<Mutex<Vec<(String, Option<String>, String)>>>;

/// Answers one request after the other, as written; holds every later one for ever.
pub(super) fn answer(listener: TcpListener, answers: Vec<Answer>) -> Asked {
    let asked = Asked::default();
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    let told = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answers, told) = (answers.clone(), told.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (answers, told) = (answers.clone(), told.clone());
                async move {
                    let path = request.uri().path().to_owned();
                    let secret = request
                        .headers()
                        .get("authorization")
                        .map(|value| value.to_str().unwrap().to_owned());
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    told.lock().unwrap().push((path, secret, String::from_utf8(body.into()).unwrap()));
                    let next = answers.lock().unwrap().pop_front();
                    let Some((status, header, body)) = next else { return std::future::pending().await };
                    let mut response = Response::builder().status(status);
                    if let Some((name, value)) = header {
                        response = response.header(name, value);
                    }
                    Ok::<_, Infallible>(response.body(Full::new(Bytes::from(body))).unwrap())
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    asked
}

/// A listener on a port of its own, and its address.
pub(super) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A success.
pub(super) fn ok(body: impl Into<Vec<u8>>) -> Answer {
    (200, None, body.into())
}
