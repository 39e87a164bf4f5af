//! Policy zones that the configuration names, from files and from elsewhere.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::diagnostic::Place;
use crate::model::{GroupSet, Name, Network};
use crate::pipeline::Order;
use crate::policy::Policy;
use crate::ports::Location;
use crate::zone::ZoneOptions;

/// A policy zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its file, relative to the zones directory. Where the zone comes from elsewhere, it is in
    /// force until the first version came.
    pub file: Option<PathBuf>,
    /// Where else it comes from. One of the two is always there.
    pub elsewhere: Option<Elsewhere>,
    /// The zone's name, under which its owners lie.
    pub name: Name,
    /// Where it counts.
    pub order: Order,
    /// How it is applied. Its groups are names until a policy resolves them, see
    /// [`Zone::groups`].
    pub options: ZoneOptions,
    /// The groups of the policy that it applies to, with their places; none means everyone.
    pub groups: Vec<(String, Place)>,
    /// Where it is declared.
    pub place: Place,
}

/// How a zone comes from another publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// From where.
    pub origin: Origin,
    /// A file with the certificates of who may vouch for servers, instead of Mozilla's roots.
    pub authorities: Option<PathBuf>,
    /// Whether the zone is no longer in force once its publisher was silent for longer than its
    /// SOA allows.
    pub unload_expired: bool,
}

/// From where a zone comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// By transfer.
    Primaries(Primaries),
    /// As a file over HTTP.
    Url(Location),
}

/// Servers that a zone is transferred from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primaries {
    /// In order of preference, at least one.
    pub servers: Vec<Primary>,
    /// The key that signs every message, by its name.
    pub key: Option<Name>,
    /// SHA-256 of the public keys that servers may have, instead of certificates that somebody
    /// vouches for.
    pub pins: Vec<[u8; 32]>,
    /// Networks besides the primaries that may say that the zone changed.
    pub allow_notify: Vec<Network>,
}

/// A server that a zone is transferred from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primary {
    /// Address and port.
    pub address: SocketAddr,
    /// How to talk to it.
    pub transport: PrimaryTransport,
}

/// How to talk to a primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrimaryTransport {
    /// TCP, and UDP for the question which version there is.
    Udp,
    /// TCP alone.
    Tcp,
    /// TLS (RFC 9103).
    Tls {
        /// The name its certificate must have; none where it is known by its key.
        name: Option<String>,
    },
}

/// As it is written in a configuration file.
impl fmt::Display for Primary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.transport {
            PrimaryTransport::Udp => write!(f, "udp://{}", self.address),
            PrimaryTransport::Tcp => write!(f, "tcp://{}", self.address),
            PrimaryTransport::Tls { name: None } => write!(f, "tls://{}", self.address),
            PrimaryTransport::Tls { name: Some(name) } => {
                write!(f, "tls://{}@{name}", self.address)
            }
        }
    }
}

impl Zone {
    /// The groups that it applies to, by their positions in the policy. Groups that the policy
    /// does not have are found by [`check_against`](super::check_against).
    pub fn groups(&self, policy: &Policy) -> GroupSet {
        let positions = self.groups.iter().filter_map(|(name, _)| policy.group(name));
        positions.fold(GroupSet::NONE, |groups, at| groups.union(GroupSet::of(at)))
    }
}
