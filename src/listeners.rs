//! The sockets that the daemon listens on; bound before anything else is touched.

use crate::setup::{Setup, Tls};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Sockets that listen.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) http: Vec<TcpListener>,
    pub(crate) push: Vec<TcpListener>,
    /// The same over TLS.
    pub(crate) https: Vec<TcpListener>,
    pub(crate) pushs: Vec<TcpListener>,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({key}): {error}{hint}", hint = hint(error))]
pub struct BindError {
    address: SocketAddr,
    key: &'static str,
    error: io::Error,
}

impl BindError {
    /// What the process is to exit with: 78 (EX_CONFIG) where the setup asks for what cannot be had,
    /// 1 where it might be had later.
    pub fn exit_code(&self) -> u8 {
        use io::ErrorKind::{AddrNotAvailable, PermissionDenied, Unsupported};
        match self.error.kind() {
            AddrNotAvailable | PermissionDenied | Unsupported => 78,
            _ => 1,
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; is another tkbd running? Stop that one, or give this one another port, as --set http.listen=127.0.0.1:8081"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "; no interface of this host has that address",
        _ => "",
    }
}

impl Listeners {
    /// Binds all addresses of the setup. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When one of them cannot be had; then none is kept.
    pub fn bind(setup: &Setup) -> Result<Listeners, BindError> {
        let bind = |addresses: &[SocketAddr], key| -> Result<Vec<TcpListener>, BindError> {
            let listen = |address: &SocketAddr| {
                // [::] takes IPv4 too, unless the same port is listed for that by itself.
                let is_listed = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
                let only_v6 = address.port() != 0 && addresses.iter().any(is_listed);
                listen(*address, only_v6).map_err(|error| BindError { address: *address, key, error })
            };
            addresses.iter().map(listen).collect()
        };
        let tls = |tls: &Option<Tls>| tls.as_ref().map(|tls| tls.listen.clone()).unwrap_or_default();
        Ok(Listeners {
            http: bind(&setup.http.listen, "http.listen")?,
            push: bind(&setup.push.listen, "push.listen")?,
            https: bind(&tls(&setup.http.tls), "http.tls.listen")?,
            pushs: bind(&tls(&setup.push.tls), "push.tls.listen")?,
        })
    }

    /// Where pages and channels are served, without TLS.
    pub fn http_addrs(&self) -> Vec<SocketAddr> {
        addresses(&self.http)
    }

    /// Where pushes are taken, without TLS.
    pub fn push_addrs(&self) -> Vec<SocketAddr> {
        addresses(&self.push)
    }

    /// Each door by the name that it has in the log, and where it listens.
    pub(crate) fn doors(&self) -> [(&'static str, Vec<SocketAddr>); 4] {
        [
            ("joyce-tls", addresses(&self.https)),
            ("push-tls", addresses(&self.pushs)),
            ("joyce", self.http_addrs()),
            ("push", self.push_addrs()),
        ]
    }
}

fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
}

fn listen(address: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    // Ten thousand clients that reconnect at once find a place in the queue; the kernel caps it at
    // net.core.somaxconn.
    const BACKLOG: i32 = 4096;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // Connections of the daemon before us may still be closing.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // A reply is written at once and whole; to wait for more of it only delays it. Every connection has
    // this from the socket that it was accepted on.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
