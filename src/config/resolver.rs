//! The resolver's own side.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::model::{Name, Network};
use crate::resolver::dns64::Dns64;
use crate::resolver::rate::RateSettings;
use crate::resolver::tcp::TcpSettings;
use crate::resolver::udp::UdpSettings;

/// The resolver's own side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// Addresses for UDP and TCP alike.
    pub listen: Vec<SocketAddr>,
    /// Interfaces whose addresses, at the start, are listened on too.
    pub interfaces: Vec<Interface>,
    /// The clients that are answered; others are refused.
    pub allow_from: Vec<Network>,
    /// Memory for answers, in octets.
    pub cache_octets_max: u64,
    /// Whether popular answers are renewed before their end.
    pub prefetch: bool,
    /// For how many seconds answers past their end are given out where nothing better is to be had.
    pub stale_max_seconds: u32,
    /// Zones that every resolver serves itself.
    pub local_zones: LocalZones,
    /// How addresses are made up for clients that have IPv6 alone, if they are.
    pub dns64: Option<Dns64>,
    /// Encrypted transports.
    pub encrypted: Encrypted,
    /// How much at once.
    pub limits: Limits,
    /// How often clients are answered.
    pub rates: RateSettings,
}

/// A network interface whose addresses are listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The port.
    pub port: u16,
}

/// How much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Queries over UDP that wait for an answer from elsewhere.
    pub queries: usize,
    /// Of one client.
    pub client_queries: usize,
    /// Open connections, for each transport that has any.
    pub connections: usize,
    /// Of one client.
    pub client_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let (udp, tcp) = (UdpSettings::default().limits, TcpSettings::default().connections);
        Self {
            queries: udp.all_max,
            client_queries: udp.client_max,
            connections: tcp.all_max,
            client_connections: tcp.client_max,
        }
    }
}

/// Zones that every resolver serves itself (RFC 6303, RFC 6761).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalZones {
    /// Whether any is served.
    pub enabled: bool,
    /// Those that are not.
    pub off: Vec<Name>,
    /// Those that are served besides.
    pub on: Vec<Name>,
}

impl Default for LocalZones {
    fn default() -> Self {
        Self { enabled: true, off: Vec::new(), on: Vec::new() }
    }
}

/// Encrypted transports. Each listens where addresses are given, or systemd passes sockets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encrypted {
    /// DNS over TLS.
    pub tls: Vec<SocketAddr>,
    /// DNS over HTTPS, on HTTP/2 and HTTP/1.1.
    pub https: Vec<SocketAddr>,
    /// DNS over QUIC.
    pub quic: Vec<SocketAddr>,
    /// DNS over HTTPS on HTTP/3.
    pub http3: Vec<SocketAddr>,
    /// Files with the certificate chain and the private key, in PEM.
    pub certificate: Option<Certificate>,
    /// The name that the certificate has; clients of plain DNS are told it (RFC 9462).
    pub name: Option<Name>,
}

/// Files with a certificate chain and its private key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The chain, the server's own certificate first.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}
