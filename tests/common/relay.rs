//! A place in front of a daemon that stays when the daemon moves, and whose links can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes connections on, byte for byte.
pub(crate) struct Relay {
    addr: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    target: SocketAddr,
    links: Vec<TcpStream>,
}

impl Relay {
    pub(crate) fn to(target: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared { target, links: Vec::new() }));
        let within = Arc::clone(&shared);
        // It ends with the process of the test.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let target = within.lock().unwrap().target;
                let Ok(server) = TcpStream::connect(target) else { continue };
                let mut shared = within.lock().unwrap();
                shared.links.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                drop(shared);
                let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pump(client, server));
                thread::spawn(move || pump(server_too, client_too));
            }
        });
        Relay { addr, shared }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// New connections go there from now on.
    pub(crate) fn point_to(&self, target: SocketAddr) {
        self.shared.lock().unwrap().target = target;
    }

    /// Ends all connections there are, wherever in a request or an answer they may be.
    pub(crate) fn cut(&self) {
        for link in self.shared.lock().unwrap().links.drain(..) {
            let _ = link.shutdown(Shutdown::Both);
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
