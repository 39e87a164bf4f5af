//! Sockets: those that systemd bound for us, or those that we bind ourselves.
//!
//! Each worker has a datagram socket of its own on every address (SO_REUSEPORT), so that the
//! kernel spreads queries. Another user cannot join such a group later, which is why systemd has to
//! pass one for each worker and address.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::diagnostic::Diagnostic;
use crate::resolver::udp;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Bound sockets.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For datagrams.
    pub udp: Vec<UdpSocket>,
    /// For connections.
    pub tcp: Vec<TcpListener>,
}

impl Sockets {
    /// Those that systemd passed, else bound to these addresses with one datagram socket for each
    /// worker.
    pub fn open(listen: &[SocketAddr], workers: usize) -> Result<Self, Diagnostic> {
        let passed = Self::passed().map_err(|error| {
            Diagnostic::error(format!("the sockets passed by systemd cannot be used: {error}"))
        })?;
        match passed.udp.is_empty() && passed.tcp.is_empty() {
            true => Self::bind(listen, workers),
            false => Ok(passed),
        }
    }

    fn passed() -> io::Result<Self> {
        let mut sockets = Self::default();
        let mut passed = ListenFd::from_env();
        for index in 0..passed.len() {
            // A descriptor of one kind refuses to be taken as another and stays where it is.
            match passed.take_udp_socket(index) {
                Ok(Some(socket)) => sockets.udp.push(socket),
                Ok(None) => {}
                Err(_) => sockets.tcp.extend(passed.take_tcp_listener(index)?),
            }
        }
        Ok(sockets)
    }

    fn bind(listen: &[SocketAddr], workers: usize) -> Result<Self, Diagnostic> {
        let mut sockets = Self::default();
        for address in listen {
            let udp = udp::bind(*address, workers);
            sockets.udp.extend(udp.map_err(|error| refused(*address, "udp", &error))?);
            sockets.tcp.push(tcp(*address).map_err(|error| refused(*address, "tcp", &error))?);
        }
        Ok(sockets)
    }

    /// The addresses, each once, for people.
    pub fn addresses(&self) -> Vec<String> {
        let udp = self.udp.iter().filter_map(|s| s.local_addr().ok()).map(|a| format!("udp {a}"));
        let tcp = self.tcp.iter().filter_map(|s| s.local_addr().ok()).map(|a| format!("tcp {a}"));
        let mut addresses: Vec<String> = udp.chain(tcp).collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn refused(address: SocketAddr, protocol: &str, error: &io::Error) -> Diagnostic {
    let finding = Diagnostic::error(format!("{protocol} {address}: {error}"));
    match error.kind() {
        io::ErrorKind::AddrInUse => finding.hint(format!(
            "another program has the port; `ss -lnp sport = :{}` names it",
            address.port()
        )),
        io::ErrorKind::PermissionDenied => {
            finding.hint("ports below 1024 take root or a socket unit of systemd (systemd/)")
        }
        io::ErrorKind::AddrNotAvailable => {
            finding.hint("this machine does not have the address; see `[resolver] listen`")
        }
        _ => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_an_address_and_a_taken_one_is_named() {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let sockets = Sockets::bind(&[free], 3).unwrap();
        assert_eq!((sockets.udp.len(), sockets.tcp.len()), (3, 1));
        assert_eq!(sockets.addresses(), [format!("tcp {free}"), format!("udp {free}")]);
        let error = Sockets::bind(&[free], 1).unwrap_err().to_string();
        assert!(error.contains("hint: another program has the port"), "{error}");
    }
}
