//! Hyper and tokio with nothing added: what everybody would write first.
//!
//! A task a connection; a request is held by waiting for the next value of a `watch`. Or, to compare the page's
//! first request with: each request is answered at once with so many bytes.

use crate::failure::Outcome;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::LocalSet;

/// Serves until it is ended.
pub(super) fn serve(bytes: Option<usize>) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let subscribers = TcpListener::from_std(super::listen()?)?;
        let publishers = TcpListener::from_std(super::listen()?)?;
        super::say_ready(subscribers.local_addr()?, publishers.local_addr()?);
        let (published, update) = watch::channel(Update { number: 0, body: Bytes::from_static(b"[]") });
        let published = Rc::new(published);
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = publishers.accept().await {
                tokio::task::spawn_local(publisher(stream, published.clone()));
            }
        });
        let fixed = bytes.map(|bytes| Bytes::from(vec![b'x'; bytes]));
        loop {
            let (stream, _) = subscribers.accept().await?;
            match &fixed {
                Some(body) => tokio::task::spawn_local(reader(stream, body.clone())),
                None => tokio::task::spawn_local(subscriber(stream, update.clone())),
            };
        }
    })
}

struct Update {
    number: u64,
    body: Bytes,
}

async fn subscriber(stream: TcpStream, update: watch::Receiver<Update>) {
    let seen = Rc::new(Cell::new(None));
    let answer = |_: Request<Incoming>| {
        let (mut update, seen) = (update.clone(), seen.clone());
        async move {
            // The first request of a connection is answered at once, the others with what they do not know yet.
            let next = update.wait_for(|update| seen.get() != Some(update.number)).await;
            let body = next.map_or_else(
                |_| Bytes::new(),
                |update| {
                    seen.set(Some(update.number));
                    update.body.clone()
                },
            );
            Ok::<_, Infallible>(response(body))
        }
    };
    serve_connection(stream, answer).await;
}

async fn publisher(stream: TcpStream, published: Rc<watch::Sender<Update>>) {
    let answer = |request: Request<Incoming>| {
        let published = published.clone();
        async move {
            let body = request.into_body().collect().await?.to_bytes();
            published.send_modify(|update| *update = Update { number: update.number + 1, body });
            Ok::<_, hyper::Error>(response(Bytes::from_static(b"true")))
        }
    };
    serve_connection(stream, answer).await;
}

async fn reader(stream: TcpStream, body: Bytes) {
    serve_connection(stream, |_| {
        let body = body.clone();
        async move { Ok::<_, Infallible>(response(body)) }
    })
    .await;
}

async fn serve_connection<F, E>(stream: TcpStream, answer: impl Fn(Request<Incoming>) -> F)
where
    F: Future<Output = Result<Response<Full<Bytes>>, E>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if stream.set_nodelay(true).is_ok() {
        let mut http = hyper::server::conn::http1::Builder::new();
        // It ends with an error whenever a client leaves in the middle; that is the client's to tell.
        let _ =
            http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service_fn(answer)).await;
    }
}

fn response(body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}
