//! Sockets: those that systemd bound for us, or those that we bind ourselves.
//!
//! Each worker has a datagram socket of its own on every address (SO_REUSEPORT), so that the
//! kernel spreads queries. Another user cannot join such a group later, which is why systemd has to
//! pass one for each worker and address.

use std::io;
use std::net::{SocketAddr, SocketAddrV6, TcpListener, UdpSocket};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::designation::Listening;
use crate::config::Resolver;
use crate::config::resolver::Interface;
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
    /// For DNS over TLS.
    pub tls: Vec<TcpListener>,
    /// For DNS over HTTPS.
    pub https: Vec<TcpListener>,
    /// For DNS over QUIC.
    pub quic: Vec<UdpSocket>,
    /// For DNS over HTTPS on HTTP/3.
    pub http3: Vec<UdpSocket>,
}

impl Sockets {
    /// Those that systemd passed, else bound to these addresses with one datagram socket for each
    /// worker. Those for plain DNS, and those for each encrypted transport, go by themselves.
    pub fn open(resolver: &Resolver, workers: usize) -> Result<Self, Diagnostic> {
        let mut sockets = Self::passed().map_err(|error| {
            Diagnostic::error(format!("the sockets passed by systemd cannot be used: {error}"))
        })?;
        if sockets.udp.is_empty() && sockets.tcp.is_empty() {
            let mut addresses = resolver.listen.clone();
            for interface in &resolver.interfaces {
                addresses.extend(of_interface(interface)?);
            }
            let Self { udp, tcp, .. } = Self::bind(&addresses, workers)?;
            (sockets.udp, sockets.tcp) = (udp, tcp);
        }
        let encrypted = &resolver.encrypted;
        for (listeners, addresses) in
            [(&mut sockets.tls, &encrypted.tls), (&mut sockets.https, &encrypted.https)]
        {
            if listeners.is_empty() {
                *listeners = each(addresses, "tcp", tcp)?;
            }
        }
        for (bound, addresses) in
            [(&mut sockets.quic, &encrypted.quic), (&mut sockets.http3, &encrypted.http3)]
        {
            if bound.is_empty() {
                *bound =
                    each(addresses, "udp", |a| udp::bind(a, 1))?.into_iter().flatten().collect();
            }
        }
        Ok(sockets)
    }

    /// Whether there is any for an encrypted transport.
    pub fn has_encrypted(&self) -> bool {
        let Self { tls, https, quic, http3, .. } = self;
        !(tls.is_empty() && https.is_empty() && quic.is_empty() && http3.is_empty())
    }

    /// Where encrypted transports listen.
    pub fn listening(&self) -> Listening {
        let tcp = |of: &[TcpListener]| of.iter().filter_map(|s| s.local_addr().ok()).collect();
        let udp = |of: &[UdpSocket]| of.iter().filter_map(|s| s.local_addr().ok()).collect();
        Listening {
            tls: tcp(&self.tls),
            https: tcp(&self.https),
            quic: udp(&self.quic),
            http3: udp(&self.http3),
        }
    }

    fn passed() -> io::Result<Self> {
        let mut sockets = Self::default();
        // `FileDescriptorName=` of the socket unit says what a socket is for.
        let names: Vec<String> =
            sd_notify::listen_fds_with_names()?.map(|(_, name)| name).collect();
        let mut passed = ListenFd::from_env();
        for index in 0..passed.len() {
            let name = names.get(index).map_or("dns", String::as_str);
            // A descriptor of one kind refuses to be taken as another and stays where it is.
            match passed.take_udp_socket(index) {
                Ok(Some(socket)) => match name {
                    "doq" => sockets.quic.push(socket),
                    "doh3" => sockets.http3.push(socket),
                    _ => sockets.udp.push(socket),
                },
                Ok(None) => {}
                Err(_) => match name {
                    "dot" => sockets.tls.extend(passed.take_tcp_listener(index)?),
                    "doh" => sockets.https.extend(passed.take_tcp_listener(index)?),
                    _ => sockets.tcp.extend(passed.take_tcp_listener(index)?),
                },
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
        let Listening { tls, https, quic, http3 } = self.listening();
        for (word, of) in [("dot", tls), ("doh", https), ("doq", quic), ("doh3", http3)] {
            addresses.extend(of.iter().map(|address| format!("{word} {address}")));
        }
        addresses
    }
}

/// Sockets for transfers alone: for datagrams, for connections, and for those over TLS.
pub fn for_transfers(transfer: &crate::config::Transfer) -> Result<Sockets, Diagnostic> {
    let udp = each(&transfer.listen, "udp", |address| udp::bind(address, 1))?;
    Ok(Sockets {
        udp: udp.into_iter().flatten().collect(),
        tcp: each(&transfer.listen, "tcp", tcp)?,
        tls: each(&transfer.tls, "tcp", tcp)?,
        ..Sockets::default()
    })
}

/// The addresses that an interface has now.
fn of_interface(interface: &Interface) -> Result<Vec<SocketAddr>, Diagnostic> {
    let Interface { name, port } = interface;
    let failed = |what: String| {
        Diagnostic::error(format!("interface {name}: {what}"))
            .hint("`ip address` lists them; see `[resolver] listen`")
    };
    let all = nix::ifaddrs::getifaddrs().map_err(|error| failed(error.to_string()))?;
    let addresses: Vec<SocketAddr> = all
        .filter(|found| found.interface_name == *name)
        .filter_map(|found| found.address)
        .filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), *port)));
            let v6 = address
                .as_sockaddr_in6()
                .map(|v6| SocketAddrV6::new(v6.ip(), *port, 0, v6.scope_id()).into());
            v4.or(v6)
        })
        .collect();
    match addresses.is_empty() {
        true => Err(failed("it is not there, or has no address".to_owned())),
        false => Ok(addresses),
    }
}

/// Binds a socket to each address.
fn each<S>(
    addresses: &[SocketAddr],
    protocol: &str,
    bind: impl Fn(SocketAddr) -> io::Result<S>,
) -> Result<Vec<S>, Diagnostic> {
    let bound =
        |address: &SocketAddr| bind(*address).map_err(|error| refused(*address, protocol, &error));
    addresses.iter().map(bound).collect()
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
    fn an_interface_stands_for_all_its_addresses() {
        let named = |name: &str| Interface { name: name.to_owned(), port: 5353 };
        let addresses = of_interface(&named("lo")).unwrap();
        assert!(addresses.contains(&"127.0.0.1:5353".parse().unwrap()), "{addresses:?}");
        let error = of_interface(&named("none0")).unwrap_err().to_string();
        assert!(error.contains("interface none0: it is not there"), "{error}");
    }

    #[test]
    fn workers_share_an_address_and_a_taken_one_is_named() {
        let free = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            if UdpSocket::bind(tcp).is_ok() {
                break tcp;
            }
        };
        let sockets = Sockets::bind(&[free], 3).unwrap();
        assert_eq!((sockets.udp.len(), sockets.tcp.len()), (3, 1));
        assert_eq!(sockets.addresses(), [format!("tcp {free}"), format!("udp {free}")]);
        let error = Sockets::bind(&[free], 1).unwrap_err().to_string();
        assert!(error.contains("hint: another program has the port"), "{error}");
    }
}
