//! What a secondary needs to know of its zone.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use crate::model::{Name, NameRef, Network};
use crate::zone::tsig::Key;
use crate::zone::wire::TransferLimits;

/// A zone that comes from primaries.
#[derive(Debug, Clone)]
pub struct Secondary {
    /// The zone's name.
    pub origin: Name,
    /// Whom to ask, in order of preference; at least one.
    pub primaries: Vec<Primary>,
    /// Signs every message, both ways.
    pub key: Option<Arc<Key>>,
    /// Networks besides the primaries that may say that the zone changed.
    pub allow_notify: Vec<Network>,
    /// What a transfer may bring.
    pub limits: TransferLimits,
    /// Keys the zone's hash tables.
    pub hash_seed: u64,
}

impl Secondary {
    /// Whether word from there, signed by that key or not at all, is taken. It makes us ask, and
    /// nothing else, so the address of a primary is enough; the key is from anywhere.
    pub fn takes_word_of(&self, peer: IpAddr, signer: Option<NameRef<'_>>) -> bool {
        let peer = peer.to_canonical();
        let signed = |key: &Arc<Key>| signer.is_some_and(|signer| key.name() == signer);
        self.key.as_ref().is_some_and(signed)
            || self.primaries.iter().any(|primary| primary.address.ip().to_canonical() == peer)
            || self.allow_notify.iter().any(|network| network.contains(peer))
    }
}

/// A server to take the zone from.
#[derive(Debug, Clone)]
pub struct Primary {
    /// Address and port.
    pub address: SocketAddr,
    /// How to talk to it.
    pub transport: Transport,
}

/// How to talk to a primary.
#[derive(Clone)]
pub enum Transport {
    /// TCP, and UDP for the question which version there is.
    Udp,
    /// TCP alone.
    Tcp,
    /// TLS (RFC 9103).
    Tls {
        /// The name its certificate must have.
        name: ServerName<'static>,
        /// Whose certificates are believed; offers `dot` alone.
        config: Arc<ClientConfig>,
    },
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp => f.write_str("Udp"),
            Self::Tcp => f.write_str("Tcp"),
            Self::Tls { name, .. } => write!(f, "Tls({})", name.to_str()),
        }
    }
}

/// As it is written in a configuration file.
impl fmt::Display for Primary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match &self.transport {
            Transport::Udp => write!(f, "udp://{address}"),
            Transport::Tcp => write!(f, "tcp://{address}"),
            Transport::Tls { name: ServerName::IpAddress(_), .. } => write!(f, "tls://{address}"),
            Transport::Tls { name, .. } => write!(f, "tls://{address}@{}", name.to_str()),
        }
    }
}
