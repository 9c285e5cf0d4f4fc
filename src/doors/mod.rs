//! Where requests come in: accept, parse, one verb of the hub, answer. One file a door.
//!
//! No door knows another. The web port is shared by several, and routed here.

pub mod http;
pub mod ingest;
pub mod joyce;
mod page;

use http::{Admit, Connection, Limits, Refusal};
use hyper::http::request::Parts;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What all doors are given.
#[derive(Clone)]
pub struct Porch {
    /// Cancelled when the daemon is to stop: no more connections, and no more requests on them.
    pub shutdown: CancellationToken,
    /// Everything that is to be waited for then.
    pub tasks: TaskTracker,
}

impl Porch {
    /// Accepts connections until the daemon is to stop.
    pub async fn accept<F: Future<Output = ()> + Send + 'static>(
        &self,
        listener: TcpListener,
        serve: impl Fn(TcpStream, SocketAddr) -> F,
    ) {
        // Out of descriptors, say: to try again at once would only burn the processor.
        const PAUSE: Duration = Duration::from_millis(100);
        let mut failing = false;
        while let Some(accepted) = self.shutdown.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    self.tasks.spawn(serve(stream, peer));
                }
                // The client left before it was accepted.
                Err(error) if is_clients(&error) => {}
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "cannot accept connections; trying on");
                    }
                    failing = true;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn is_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionReset)
}

/// The web port: Joyce on its path, and the page on what is left.
pub struct Web {
    /// Joyce.
    pub joyce: Arc<joyce::Joyce>,
    /// What a request may be.
    pub limits: Limits,
    /// What all doors are given.
    pub porch: Porch,
}

/// Everybody may ask on the web port.
struct Everybody;

impl Admit for Everybody {
    fn admit(&self, _: &Parts) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Web {
    /// Accepts and answers until the daemon is to stop.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let porch = self.porch.clone();
        porch.accept(listener, |stream, _| self.clone().connection(stream)).await;
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let mut connection = Connection::new(stream, self.limits, self.porch.shutdown.clone());
        let everybody = Arc::new(Everybody);
        while let Some(request) = connection.next(&everybody).await {
            let go_on = if page::is_for(&request) {
                Box::pin(page::index(&request).send(connection.socket(), &request)).await.is_ok()
                    && request.keep_alive()
            } else {
                self.joyce.answer(&mut connection, request).await
            };
            if !go_on {
                Box::pin(connection.linger()).await;
                return;
            }
        }
    }
}
