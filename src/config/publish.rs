//! Where zones go.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::resolver::Certificate;
use crate::diagnostic::Place;
use crate::model::{Name, Network};
use crate::publish::line::Pace;
use crate::zone::HistoryLimits;

/// Where zones go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// A directory that gets an RPZ file for each zone that acts, if any.
    pub directory: Option<PathBuf>,
    /// What the names of all zones of ours end in.
    pub origin: Name,
    /// How zones leave by transfer.
    pub transfer: Transfer,
    /// Who takes them by transfer.
    pub secondaries: Vec<SecondaryServer>,
}

/// How zones leave by transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// How long changes are gathered.
    pub pace: Pace,
    /// How much of the past is kept for transfers of changes alone.
    pub journal: HistoryLimits,
    /// The zone that lists the others (RFC 9432), if there is to be one.
    pub catalog: Option<Name>,
    /// Addresses for UDP and TCP, beside those of the resolver.
    pub listen: Vec<SocketAddr>,
    /// Addresses for TLS (RFC 9103).
    pub tls: Vec<SocketAddr>,
    /// What is shown over TLS; there where [`Transfer::tls`] has any address.
    pub certificate: Option<Certificate>,
}

impl Default for Transfer {
    /// A minute, as BIND takes a policy zone at most (`min-update-interval`); five for a large
    /// zone, of which Unbound takes every sixth version as a whole. Canaries have a quarter of an
    /// hour, in which somebody notices. 64 versions are an hour of small changes.
    fn default() -> Self {
        Self {
            pace: Pace { small_seconds: 60, large_seconds: 300, canary_seconds: 900 },
            journal: HistoryLimits { deltas_max: 64, octets_max: 64 << 20 },
            catalog: None,
            listen: Vec::new(),
            tls: Vec::new(),
            certificate: None,
        }
    }
}

/// A server that takes zones by transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondaryServer {
    /// What it is called.
    pub name: String,
    /// Where it is told of news, and whence it asks where nothing else says so.
    pub address: Option<SocketAddr>,
    /// Whence it asks.
    pub from: Vec<Network>,
    /// The name of the key that it signs with.
    pub key: Option<Name>,
    /// The zones that it gets; none where it gets all that are for everyone.
    pub zones: Option<Vec<Name>>,
    /// Whether it is told of news.
    pub notify: bool,
    /// Whether it gets a version before the others.
    pub canary: bool,
    /// Where it is declared.
    pub place: Place,
}
