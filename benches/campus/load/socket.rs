//! Connections to a server on this machine.

use crate::failure::{Outcome, While};
use mio::net::TcpStream;
use socket2::{Domain, SockRef, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// At once, and nothing of it is kept: twenty thousand that are closed must not take the ports of those to come.
    Reset,
    /// As a client's does.
    Close,
}

/// Connects. To this machine that takes no waiting, as long as there is room in the server's queue.
///
/// An address has some 28,000 ports, and takes longer to find one the fewer are left; so the connections come from
/// several loopback addresses, `number` after `number`.
pub(super) fn connect(to: SocketAddrV4, number: usize, end: End) -> Outcome<TcpStream> {
    const FROM_ONE: usize = 4000;
    const ADDRESSES: usize = 200;
    let host = match end {
        End::Reset => number / FROM_ONE,
        // Their ports stay taken for a minute: they are spread from the beginning.
        End::Close => number,
    } % ADDRESSES;
    connect_from(Ipv4Addr::new(127, 0, 0, 2 + host as u8), to, end).when(format_args!("connection {number}"))
}

/// Connects from an address that nobody else has, as clients from all over a campus do: what the daemon allows one
/// address does not stop them. `number` says which; from 60,000 on they are used again.
pub(super) fn connect_from_own(to: SocketAddrV4, number: usize) -> Outcome<TcpStream> {
    connect_from(own_address(number), to, End::Reset).when(format_args!("client {number}"))
}

fn own_address(number: usize) -> Ipv4Addr {
    let host = number % 60_000;
    Ipv4Addr::new(127, 1, 1 + (host / 250) as u8, 2 + (host % 250) as u8)
}

/// The same with little room for answers, and with segments as on a network: the loopback's are so large that the
/// server's system would take megabytes for a client that reads nothing.
pub(super) fn connect_narrow(to: SocketAddrV4, number: usize) -> Outcome<TcpStream> {
    let socket = bound_to(own_address(number), End::Reset)?;
    socket.set_recv_buffer_size(4096)?;
    nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::TcpMaxSeg, &1460)?;
    connected(socket, to).when(format_args!("client {number}"))
}

/// A connection that was to be reset ends as a client's does after all.
pub(super) fn close_in_order(stream: &TcpStream) -> Outcome<()> {
    Ok(SockRef::from(stream).set_linger(None)?)
}

fn connect_from(from: Ipv4Addr, to: SocketAddrV4, end: End) -> Outcome<TcpStream> {
    connected(bound_to(from, end)?, to)
}

fn bound_to(from: Ipv4Addr, end: End) -> Outcome<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(SocketAddrV4::new(from, 0)).into()).when(from)?;
    if end == End::Reset {
        socket.set_linger(Some(Duration::ZERO))?;
    }
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

fn connected(socket: Socket, to: SocketAddrV4) -> Outcome<TcpStream> {
    socket.connect(&SocketAddr::from(to).into()).when(format_args!("to {to}"))?;
    socket.set_nonblocking(true)?;
    Ok(TcpStream::from_std(socket.into()))
}
