//! Sockets that systemd hands in (sd_listen_fds(3)): it keeps them open across restarts.

use super::over_tls;
use crate::setup::Setup;
use crate::wire::control::Port;
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// A socket that was handed in, and what it is for.
#[derive(Debug)]
pub struct Inherited {
    pub(super) port: Port,
    pub(super) address: SocketAddr,
    pub(super) socket: TcpListener,
}

/// A socket that was handed in cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// More than anybody means.
    #[error("LISTEN_FDS is {0}; at most {MAX} sockets are taken")]
    TooMany(u64),
    /// It is not one that TCP connections come from.
    #[error(
        "socket {place} of LISTEN_FDS ({name:?}) {why}; a socket unit for it has ListenStream= with a TCP port"
    )]
    NoListener {
        /// Counted from 1.
        place: usize,
        /// Of LISTEN_FDNAMES.
        name: String,
        /// What it is instead.
        why: String,
    },
    /// Neither its name nor its port says what it is for.
    #[error(
        "socket {place} of LISTEN_FDS ({name:?}, {address}): it cannot be told what it is for. Name it \"http\", \
         \"push\", \"https\" or \"pushs\" (FileDescriptorName= in its socket unit), or let its port be that of one of \
         the setup's addresses"
    )]
    ForWhat {
        /// Counted from 1.
        place: usize,
        /// Of LISTEN_FDNAMES.
        name: String,
        /// Where it listens.
        address: SocketAddr,
    },
}

/// More than a socket unit has addresses.
const MAX: u64 = 64;

impl Inherited {
    /// The sockets that were handed in; none where nobody has. To be called once, before anything else is opened.
    ///
    /// A socket is for what its name says: `http` or `push`, or `https` or `pushs` for the same over TLS. Any other name,
    /// as systemd gives by itself, says nothing; then its port decides, which must be that of one address in the setup.
    /// One may be for a door that the setup has shut.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn from_environment(setup: &Setup) -> Result<Vec<Inherited>, InheritError> {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        if let Some(count) = number("LISTEN_FDS").filter(|count| *count > MAX) {
            return Err(InheritError::TooMany(count));
        }
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut handed_in = ListenFd::from_env();
        (0..handed_in.len())
            .filter_map(|index| {
                let name = names.next().unwrap_or_default();
                let socket = handed_in.take_tcp_listener(index).transpose()?;
                Some(inherited(index + 1, name, socket, setup))
            })
            .collect()
    }

    /// Whether the setup has this door. The socket of one that it has shut is not served, for it may be the one in the
    /// clear beside TLS; nor does it keep the others from being served.
    pub(super) fn is_wanted(&self, setup: &Setup) -> bool {
        let (address, is_open) = (self.address, !addresses_of(self.port, setup).is_empty());
        if !is_open {
            tracing::warn!(
                port = ?self.port, %address,
                "this socket was handed in for a door that the setup has shut, and is not served: mask its socket unit, \
                 or clients wait there in vain"
            );
        }
        is_open
    }
}

fn inherited(
    place: usize,
    name: &str,
    socket: io::Result<TcpListener>,
    setup: &Setup,
) -> Result<Inherited, InheritError> {
    let no_listener = |why: String| InheritError::NoListener { place, name: name.to_owned(), why };
    let socket = socket.map_err(|error| no_listener(format!("is no TCP socket ({error})")))?;
    if !socket_acceptconn(&socket).unwrap_or(false) {
        return Err(no_listener("does not listen".into()));
    }
    let address = socket.local_addr().map_err(|error| no_listener(format!("has no address ({error})")))?;
    let ports = [("http", Port::Http), ("push", Port::Push), ("https", Port::Https), ("pushs", Port::Pushs)]
        .map(|(name, port)| (name, port, addresses_of(port, setup)));
    let has_port = |listen: &[SocketAddr]| listen.iter().any(|listen| listen.port() == address.port());
    // The name goes before the port: a setup may say 8080 while the socket unit says 80.
    let named = ports.iter().find(|(of, _, _)| *of == name);
    let mut by_port = ports.iter().filter(|(_, _, listen)| has_port(listen));
    match (named, by_port.next(), by_port.next()) {
        (Some(&(_, port, _)), _, _) | (None, Some(&(_, port, _)), None) => {
            Ok(Inherited { port, address, socket })
        }
        _ => Err(InheritError::ForWhat { place, name: name.to_owned(), address }),
    }
}

fn addresses_of(port: Port, setup: &Setup) -> &[SocketAddr] {
    match port {
        Port::Http => &setup.http.listen,
        Port::Push => &setup.push.listen,
        Port::Https => over_tls(setup.http.tls.as_ref()),
        Port::Pushs => over_tls(setup.push.tls.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(sets: &[String]) -> Setup {
        crate::setup::load(None, std::iter::empty(), sets).unwrap()
    }

    fn socket() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    #[test]
    fn a_socket_is_for_what_its_name_says_and_else_for_what_its_port_says() {
        let of = |name: &str, sets: &[String]| {
            let socket = socket();
            let port = socket.local_addr().unwrap().port();
            let sets: Vec<String> = sets.iter().map(|set| set.replace("PORT", &port.to_string())).collect();
            inherited(1, name, Ok(socket), &setup(&sets)).map(|inherited| inherited.port)
        };
        assert!(matches!(of("http", &[]), Ok(Port::Http)));
        assert!(matches!(of("push", &[]), Ok(Port::Push)));
        let listens = |key: &str| [format!("{key}.listen=192.0.2.1:PORT")];
        for name in ["", "tkbd.socket", "unknown"] {
            assert!(matches!(of(name, &listens("http")), Ok(Port::Http)));
            assert!(matches!(of(name, &listens("push")), Ok(Port::Push)));
            assert!(matches!(of(name, &[]), Err(InheritError::ForWhat { place: 1, .. })));
        }
        assert!(matches!(of("push", &listens("http")), Ok(Port::Push)), "the name goes before the port");
        let is_wanted = |name: &str, sets: &[&str]| {
            let setup = setup(&sets.iter().map(|&set| set.to_owned()).collect::<Vec<_>>());
            inherited(1, name, Ok(socket()), &setup).unwrap().is_wanted(&setup)
        };
        assert!(is_wanted("push", &[]) && is_wanted("http", &["push.listen="]));
        assert!(!is_wanted("push", &["push.listen="]) && !is_wanted("https", &[]));
    }

    #[test]
    fn what_is_no_listener_is_refused_with_its_place_and_name() {
        let setup = setup(&[]);
        let connected = std::net::TcpStream::connect(socket().local_addr().unwrap()).unwrap();
        let connected = TcpListener::from(std::os::fd::OwnedFd::from(connected));
        let no_socket = Err(io::Error::from(io::ErrorKind::InvalidInput));
        for socket in [Ok(connected), no_socket] {
            let error = inherited(2, "http", socket, &setup).unwrap_err().to_string();
            assert!(error.starts_with("socket 2 of LISTEN_FDS (\"http\") "), "{error}");
        }
    }
}
