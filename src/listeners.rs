//! The sockets that the daemon listens on; there before anything else is touched.
//!
//! They are bound here, or come from systemd (`inherited`), or from the daemon before this one: then clients that
//! connect meanwhile wait in the kernel's queue, and none is refused.

mod inherited;

pub use inherited::{InheritError, Inherited};

use crate::setup::{EX_CONFIG, Setup, Tls};
use crate::wire::control::{Listening, Port};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use tokio::net::TcpListener;

/// Sockets that listen.
#[derive(Debug, Default)]
pub struct Listeners {
    pub(crate) http: Vec<TcpListener>,
    pub(crate) push: Vec<TcpListener>,
    /// The same over TLS.
    pub(crate) https: Vec<TcpListener>,
    pub(crate) pushs: Vec<TcpListener>,
    /// Whether a daemon before this one has ended for it just now.
    pub(crate) succeeds: bool,
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
    /// What the process is to exit with: [`EX_CONFIG`] where the setup asks for what cannot be had,
    /// 1 where it might be had later.
    pub fn exit_code(&self) -> u8 {
        use io::ErrorKind::{AddrNotAvailable, PermissionDenied, Unsupported};
        match self.error.kind() {
            AddrNotAvailable | PermissionDenied | Unsupported => EX_CONFIG,
            _ => 1,
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; is another tkbd running? Stop that one, or give this one another port, as --set http.listen=127.0.0.1:8081"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need CAP_NET_BIND_SERVICE, or under systemd a socket unit, as tkbd-tls.socket"
        }
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
        Gathering::new(setup, Vec::new()).finish()
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

/// The sockets that a setup wants, as far as they are there.
#[derive(Debug)]
pub struct Gathering {
    places: Vec<Place>,
    succeeds: bool,
}

#[derive(Debug)]
struct Place {
    port: Port,
    key: &'static str,
    address: SocketAddr,
    only_v6: bool,
    socket: Option<Socket>,
}

impl Gathering {
    /// What the setup wants. Where systemd has handed in sockets for a port, those are all of it; what it has handed in
    /// for none is closed.
    pub fn new(setup: &Setup, mut inherited: Vec<Inherited>) -> Gathering {
        inherited.retain(|inherited| inherited.is_wanted(setup));
        let mut places = wanted(Port::Http, "http.listen", &setup.http.listen);
        places.extend(wanted(Port::Push, "push.listen", &setup.push.listen));
        places.extend(wanted(Port::Https, "http.tls.listen", over_tls(setup.http.tls.as_ref())));
        places.extend(wanted(Port::Pushs, "push.tls.listen", over_tls(setup.push.tls.as_ref())));
        places.retain(|place| inherited.iter().all(|inherited| inherited.port != place.port));
        places.extend(inherited.into_iter().map(|Inherited { port, address, socket }| Place {
            port,
            key: "LISTEN_FDS",
            address,
            only_v6: false,
            socket: Some(socket.into()),
        }));
        Gathering { places, succeeds: false }
    }

    /// Binds what is not there and is not among the `held` either, as another daemon listens on; what clashes with
    /// that is put off.
    ///
    /// # Errors
    /// When one address cannot be had.
    pub fn bind_all_but(&mut self, held: &[Listening]) -> Result<(), BindError> {
        for place in &mut self.places {
            if place.socket.is_some() || held.iter().any(|held| place.takes(*held)) {
                continue;
            }
            let is_for_now = held.iter().any(|held| place.clashes(held.address));
            match place.bind() {
                Err(BindError { error, .. }) if error.kind() == io::ErrorKind::AddrInUse && is_for_now => {}
                bound => bound?,
            }
        }
        Ok(())
    }

    /// Takes over a socket of the daemon before this one; false where the setup has no place for it.
    pub fn take(&mut self, listening: Listening, socket: OwnedFd) -> bool {
        self.succeeds = true;
        let socket = Socket::from(socket);
        let mut free = self.places.iter_mut().filter(|place| place.socket.is_none());
        let Some(place) = free.find(|place| place.takes(listening) && place.has_families_of(&socket)) else {
            return false;
        };
        place.socket = Some(socket);
        true
    }

    /// Binds what is not there yet. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When one address cannot be had; then none is kept.
    pub fn finish(mut self) -> Result<Listeners, BindError> {
        self.bind_all_but(&[])?;
        let mut listeners = Listeners { succeeds: self.succeeds, ..Listeners::default() };
        for place in self.places {
            let Some(socket) = place.socket else { continue };
            let listener = listen(socket).map_err(|error| BindError {
                address: place.address,
                key: place.key,
                error,
            })?;
            match place.port {
                Port::Http => listeners.http.push(listener),
                Port::Push => listeners.push.push(listener),
                Port::Https => listeners.https.push(listener),
                Port::Pushs => listeners.pushs.push(listener),
            }
        }
        Ok(listeners)
    }
}

impl Place {
    fn takes(&self, listening: Listening) -> bool {
        // Port 0 is any port, and so also one that is there.
        let any = self.address.port() == 0
            && self.port == listening.port
            && self.address.ip() == listening.address.ip();
        any || self.address == listening.address
    }

    /// Whether a socket of this address takes IPv4 along just as it is to be here; once bound, that cannot be changed.
    fn has_families_of(&self, socket: &Socket) -> bool {
        let ip = self.address.ip();
        !(ip.is_ipv6() && ip.is_unspecified()) || socket.only_v6().is_ok_and(|only| only == self.only_v6)
    }

    /// Whether it cannot be bound while another listens there.
    fn clashes(&self, other: SocketAddr) -> bool {
        let (ip, other_ip) = (self.address.ip(), other.ip());
        self.address.port() == other.port()
            && (ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified())
    }

    fn bind(&mut self) -> Result<(), BindError> {
        let bound = bind(self.address, self.only_v6);
        let fail = |error| BindError { address: self.address, key: self.key, error };
        self.socket = Some(bound.map_err(fail)?);
        Ok(())
    }
}

fn over_tls(tls: Option<&Tls>) -> &[SocketAddr] {
    tls.map_or(&[], |tls| &tls.listen)
}

fn wanted(port: Port, key: &'static str, addresses: &[SocketAddr]) -> Vec<Place> {
    let place = |address: &SocketAddr| {
        // [::] takes IPv4 too, unless the same port is listed for that by itself.
        let is_listed = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
        let only_v6 = address.port() != 0 && addresses.iter().any(is_listed);
        Place { port, key, address: *address, only_v6, socket: None }
    };
    addresses.iter().map(place).collect()
}

/// Ten thousand clients that reconnect at once find a place in the queue; the kernel caps it at
/// net.core.somaxconn.
const BACKLOG: i32 = 65_535;

fn bind(address: SocketAddr, only_v6: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // Connections of the daemon before us may still be closing.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    // Another that is bound, and does not listen yet, would not keep this from being bound: listening does.
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// How many bytes of answers the kernel takes for a reader that does not take them, beyond what is on its way: by itself it
/// would take megabytes for each, and of several thousand such readers all that the machine has. It is more than a page
/// asks for at first, so that an answer is handed over whole and at once to whoever reads.
const MAX_UNSENT: u32 = 128 * 1024;

/// Sockets that come from elsewhere get what ours have: to listen once more sets the length of the queue anew.
fn listen(socket: Socket) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    // Every connection has both of the socket that it is accepted on. A reply is written at once and whole; to wait
    // for more of it only delays it.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(MAX_UNSENT)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use std::net::TcpListener as Std;

    fn setup(http: &str, push: &str) -> Setup {
        let sets = [format!("http.listen={http}"), format!("push.listen={push}")];
        crate::setup::load(None, std::iter::empty(), &sets).unwrap()
    }

    fn held(port: Port) -> (Listening, OwnedFd) {
        let socket = Std::bind("127.0.0.1:0").unwrap();
        (Listening { port, address: socket.local_addr().unwrap() }, socket.into())
    }

    #[tokio::test]
    async fn sockets_that_match_are_taken_and_the_rest_is_bound() {
        let (kept, kept_socket) = held(Port::Http);
        let (gone, gone_socket) = held(Port::Http);
        let (any, any_socket) = held(Port::Push);
        let setup = setup(&format!("{},127.0.0.2:0", kept.address), "127.0.0.1:0");
        let mut gathering = Gathering::new(&setup, Vec::new());
        gathering.bind_all_but(&[kept, gone, any]).unwrap();
        assert!(gathering.take(kept, kept_socket));
        assert!(!gathering.take(gone, gone_socket), "nobody wants it any more");
        assert!(gathering.take(any, any_socket), "port 0 is any port");
        let listeners = gathering.finish().unwrap();
        assert_eq!(listeners.http_addrs().first(), Some(&kept.address));
        assert_eq!(listeners.http_addrs().len(), 2);
        assert_eq!(listeners.push_addrs(), [any.address]);
        assert!(Std::bind(gone.address).is_ok(), "it was closed");
    }

    #[tokio::test]
    async fn c12_o5_what_the_kernel_takes_for_a_connection_is_bounded() {
        let mut gathering = Gathering::new(&setup("127.0.0.1:0", "127.0.0.1:0"), Vec::new());
        gathering.bind_all_but(&[]).unwrap();
        let listeners = gathering.finish().unwrap();
        let _client = std::net::TcpStream::connect(listeners.http_addrs()[0]).unwrap();
        let (accepted, _) = listeners.http[0].accept().await.unwrap();
        assert_eq!(SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), MAX_UNSENT);
        assert!(accepted.nodelay().unwrap());
    }

    #[tokio::test]
    async fn an_address_that_another_program_has_is_an_error_before_anything_is_asked() {
        let (ours, _socket) = held(Port::Http);
        let setup = setup(&ours.address.to_string(), "127.0.0.1:0");
        assert!(Gathering::new(&setup, Vec::new()).bind_all_but(&[]).is_err());
        let wide = Listening { port: Port::Http, address: ([0, 0, 0, 0], ours.address.port()).into() };
        let mut clashes_with_held = Gathering::new(&setup, Vec::new());
        clashes_with_held.bind_all_but(&[wide]).unwrap();
        assert!(clashes_with_held.finish().is_err(), "it is tried again at the end");
    }
}
