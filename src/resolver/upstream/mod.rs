//! Answers from the rest of the world: recursion from the roots, forwarders, and both for parts of
//! the name space. The only module that uses hickory-resolver.
//!
//! A question passes [`flight`] (bounds, one resolution for identical questions), then [`route`]
//! (whose name is it), then an engine: [`recurse`], [`forward`], [`stub`] or [`local`]. The engines
//! give pieces; [`assemble`] makes a [`Resolution`] of them, with the facts that policy needs, of
//! which the nameservers come from [`delegations`], where the [`tap`] or the [`walk`] noted them.
//! Nothing here filters, and nothing here is the clients' cache.

mod assemble;
mod convert;
mod delegations;
mod flight;
mod forward;
mod health;
mod local;
mod recurse;
mod roots;
mod route;
mod server;
mod stream;
mod stub;
mod tap;
#[cfg(test)]
mod testing;
mod walk;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_resolver::ConnectionProvider;
use tokio::time::Instant;

use crate::model::Name;
use crate::ports::{Question, Resolution, Upstream, UpstreamError};

use delegations::Delegations;
use flight::Flights;
use forward::Forwarding;
use local::Local;
use recurse::Recursion;
use route::{Engine, Route, Router, Way};
use stub::Stub;

pub use flight::Bounds;
pub use forward::ForwardSettings;
pub use recurse::{RecursionSettings, Validation, host_has_ipv6};
pub use server::{CertificateRoots, ServerSettings, Transport};

/// What hickory's crates may log: below `error` they tell of every query, and every probe for a
/// zone cut that finds none is a warning to them. In the form of tracing's `EnvFilter`.
pub const LOG_FILTER: &str = "hickory_resolver=error,hickory_net=error,hickory_proto=error";

/// Where answers come from.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// For all names that no zone has.
    pub default: DefaultRoute,
    /// Parts of the name space that are answered by servers of their own.
    pub zones: Vec<ZoneRoute>,
    /// Whether names that mean nothing outside (private reverse zones, `localhost`, `onion`) are
    /// answered here. Those at or below one of `zones` never are.
    pub local_zones: bool,
    /// How much at once, and how long.
    pub bounds: Bounds,
    /// Octets for delegations and aliases.
    pub delegations_bytes_max: u64,
}

impl UpstreamSettings {
    /// The settings with their defaults for everything but where answers come from.
    pub fn new(default: DefaultRoute) -> Self {
        Self {
            default,
            zones: Vec::new(),
            local_zones: true,
            bounds: Bounds::default(),
            delegations_bytes_max: 32 << 20,
        }
    }
}

/// Where answers come from by default.
#[derive(Debug, Clone)]
pub enum DefaultRoute {
    /// From the authoritative servers, from the root down.
    Recurse(RecursionSettings),
    /// From other resolvers.
    Forward(ForwardSettings),
}

/// A part of the name space with servers of its own.
#[derive(Debug, Clone)]
pub struct ZoneRoute {
    /// The name at its top.
    pub zone: Name,
    /// How its servers are asked.
    pub kind: ZoneKind,
    /// Whom to ask.
    pub servers: ForwardSettings,
}

/// How the servers of a zone are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneKind {
    /// They are authoritative: without recursion, referrals are followed.
    Stub,
    /// They are resolvers: with recursion.
    Forward,
}

/// Why settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Without IPv6 no root server is left.
    #[error("no root server has an address that can be reached")]
    NoRoots,
    /// There is nobody to forward to.
    #[error("no server is given")]
    NoServers,
    /// No certificate can have this name.
    #[error("`{0}` is not a server name")]
    ServerName(String),
    /// A certificate of those that may sign is none.
    #[error("certificate: {0}")]
    Certificate(String),
    /// The trust anchors are not DNSKEY records.
    #[error("trust anchors: {0}")]
    TrustAnchors(String),
    /// The recursor does not take the settings.
    #[error("recursor: {0}")]
    Recursor(String),
    /// Two zones have the same name.
    #[error("the zone {0} is there twice")]
    ZoneTwice(Name),
}

/// The upstream as the settings want it. To change settings make another and let this one go.
pub struct UpstreamResolver {
    router: Arc<Router>,
    flights: Flights,
}

impl UpstreamResolver {
    /// Opens nothing yet; connections are made when there is a question.
    pub fn new(settings: UpstreamSettings) -> Result<Self, SettingsError> {
        Self::with_provider(settings, TokioRuntimeProvider::new())
    }

    fn with_provider<P: ConnectionProvider>(
        settings: UpstreamSettings,
        provider: P,
    ) -> Result<Self, SettingsError> {
        let epoch = Instant::now();
        let given_roots = match &settings.default {
            DefaultRoute::Recurse(of) => of.roots.as_deref(),
            DefaultRoute::Forward(_) => None,
        };
        let root = roots::cut(given_roots);
        let table = Arc::new(Delegations::new(settings.delegations_bytes_max, root));
        let default = match settings.default {
            DefaultRoute::Recurse(of) => Route {
                engine: Arc::new(Recursion::new(of, provider, table.clone(), epoch)?),
                way: Way::Noted,
            },
            DefaultRoute::Forward(of) => {
                Route { engine: Arc::new(Forwarding::new(&of, epoch)?), way: Way::Asked }
            }
        };
        let mut router = Router::new(default, table, epoch);
        add_zones(&mut router, settings.zones, epoch)?;
        if settings.local_zones {
            add_local_zones(&mut router);
        }
        Ok(Self { router: Arc::new(router), flights: Flights::new(settings.bounds) })
    }

    /// Whether policy has triggers on nameservers. A forwarder is asked for them only while this is
    /// on; answers that were cached before lack them, so flush the cache after switching it on.
    /// Recursion knows them in any case.
    pub fn want_nameservers(&self, is_wanted: bool) {
        self.router.walk().want(is_wanted);
    }

    /// Forgets all that was learnt; settings stay.
    pub fn flush(&self) -> Result<(), SettingsError> {
        self.router.flush()
    }

    /// Resolutions under way now.
    pub fn in_flight(&self) -> usize {
        self.flights.count()
    }
}

#[async_trait]
impl Upstream for UpstreamResolver {
    async fn resolve(
        &self,
        question: &Question,
        client: Option<IpAddr>,
    ) -> Result<Arc<Resolution>, UpstreamError> {
        let (router, asked) = (self.router.clone(), question.clone());
        let resolution = || async move { Box::pin(router.resolve(&asked)).await };
        self.flights.answer(question, client, resolution).await
    }
}

fn add_zones(
    router: &mut Router,
    zones: Vec<ZoneRoute>,
    epoch: Instant,
) -> Result<(), SettingsError> {
    let mut names: Vec<&Name> = zones.iter().map(|zone| &zone.zone).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(SettingsError::ZoneTwice(twice[0].clone()));
    }
    for ZoneRoute { zone, kind, servers } in zones {
        let engine: Arc<dyn Engine> = match kind {
            ZoneKind::Stub => Arc::new(Stub::new(zone.clone(), servers, epoch)?),
            ZoneKind::Forward => Arc::new(Forwarding::new(&servers, epoch)?),
        };
        router.add(zone, Route { engine, way: Way::Unknown });
    }
    Ok(())
}

/// Who routes a zone wants its names asked for, those that mean nothing outside included.
fn add_local_zones(router: &mut Router) {
    let free: Vec<Name> = local::zones().into_iter().filter(|zone| !router.covers(zone)).collect();
    for zone in free {
        let engine = Arc::new(Local::new(zone.clone()));
        router.add(zone, Route { engine, way: Way::Unknown });
    }
}

/// One question on its way inside this folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ask {
    name: Name,
    rtype: u16,
    dnssec_ok: bool,
    checking_disabled: bool,
    /// How many questions deep this one was needed for another.
    depth: u8,
}

impl Ask {
    /// The question asked of another name.
    fn about(question: &Question, name: Name) -> Self {
        Self {
            name,
            rtype: question.rtype,
            dnssec_ok: question.dnssec_ok,
            checking_disabled: question.checking_disabled,
            depth: 0,
        }
    }
}
