//! Where zones go.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::resolver::Certificate;
use crate::diagnostic::Place;
use crate::model::{Name, Network};
use crate::publish::line::Pace;
use crate::zone::HistoryLimits;
use crate::zone::profile::Profile;

/// Where zones go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// A directory that gets an RPZ file for each zone that acts, if any.
    pub directory: Option<PathBuf>,
    /// The consumer that its files are for, if one is named.
    pub profile: Option<&'static Profile>,
    /// Further directories, for other consumers.
    pub folders: Vec<Folder>,
    /// What is served over HTTP.
    pub http: HttpPublish,
    /// From where it may be asked over DNS why a name is blocked.
    pub why_from: Vec<Network>,
    /// What the names of all zones of ours end in.
    pub origin: Name,
    /// How zones leave by transfer.
    pub transfer: Transfer,
    /// Who takes them by transfer.
    pub secondaries: Vec<SecondaryServer>,
}

/// A directory that gets zones as RPZ files for a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Where.
    pub directory: PathBuf,
    /// The consumer that they are for, if one is named.
    pub profile: Option<&'static Profile>,
    /// The zones that it gets; none where it gets all.
    pub zones: Option<Vec<Name>>,
    /// Whether it also gets rules for all names there are.
    pub root_rules: bool,
}

impl Publish {
    /// Every directory that gets files.
    pub fn all_folders(&self) -> Vec<Folder> {
        let first = self.directory.iter().map(|directory| Folder {
            directory: directory.clone(),
            profile: self.profile,
            zones: None,
            // As our own resolver has them, where no consumer is named.
            root_rules: self.profile.is_none(),
        });
        first.chain(self.folders.iter().cloned()).collect()
    }
}

/// Artefacts over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpPublish {
    /// Where it listens; nowhere where this is empty.
    pub listen: Vec<SocketAddr>,
    /// From where artefacts may be fetched.
    pub allow_from: Vec<Network>,
    /// Files with a token each, of which one has to be shown; none is asked for where there are
    /// none.
    pub tokens: Vec<PathBuf>,
    /// The file of the key that signs, if any.
    pub signing_key: Option<PathBuf>,
    /// The shortest time between two versions, in seconds.
    pub interval_seconds: u32,
}

impl Default for HttpPublish {
    /// Nowhere; if anywhere, for this machine. Five minutes, since making all of it takes some
    /// seconds of work where zones are large, and who fetches does not do so every minute.
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1"].map(Network::constant);
        Self {
            listen: Vec::new(),
            allow_from: loopback.to_vec(),
            tokens: Vec::new(),
            signing_key: None,
            interval_seconds: 300,
        }
    }
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
