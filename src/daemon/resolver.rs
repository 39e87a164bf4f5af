//! The resolver: its settings from those of the configuration, its doors opened and closed.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::sockets::Sockets;
use crate::config::{Config, UpstreamMode};
use crate::diagnostic::Diagnostic;
use crate::model::time::Clock;
use crate::resolver::access::Access;
use crate::resolver::cache::{CacheSettings, CachingUpstream};
use crate::resolver::handler::{Handler, HandlerSettings, InForce, Parts};
use crate::resolver::special::{SpecialSettings, SpecialZones};
use crate::resolver::tcp::{TcpFront, TcpSettings};
use crate::resolver::udp::{UdpFront, UdpSettings};
use crate::resolver::upstream::{
    DefaultRoute, ForwardSettings, RecursionSettings, UpstreamResolver, UpstreamSettings,
    Validation, ZoneKind, ZoneRoute, host_has_ipv6,
};
use crate::telemetry::Metrics;
use crate::telemetry::events::EventSender;

/// How long queries that wait for an answer are waited for at a stop. A client has asked again by
/// then.
const GRACE: Duration = Duration::from_secs(5);

/// Where answers come from.
pub fn upstream(config: &Config) -> UpstreamSettings {
    let upstream = &config.upstream;
    let default = match &upstream.mode {
        UpstreamMode::Recursion => DefaultRoute::Recurse(recursion(config)),
        UpstreamMode::Forward { servers, trust_ad } => DefaultRoute::Forward(ForwardSettings {
            servers: servers.clone(),
            trust_ad: *trust_ad,
            ..ForwardSettings::default()
        }),
    };
    let zones = upstream.zones.iter().map(|zone| ZoneRoute {
        zone: zone.name.clone(),
        kind: if zone.stub { ZoneKind::Stub } else { ZoneKind::Forward },
        servers: ForwardSettings { servers: zone.servers.clone(), ..ForwardSettings::default() },
    });
    UpstreamSettings { zones: zones.collect(), ..UpstreamSettings::new(default) }
}

fn recursion(config: &Config) -> RecursionSettings {
    let upstream = &config.upstream;
    let nets = |networks: &[crate::model::Network]| networks.iter().map(|n| n.ipnet()).collect();
    RecursionSettings {
        roots: (!upstream.roots.is_empty()).then(|| upstream.roots.clone()),
        validation: match config.dnssec.validate {
            true => Validation::On { anchors: config.dnssec.trust_anchors.clone() },
            false => Validation::Off,
        },
        allow_servers: nets(&upstream.allow_servers),
        deny_answers: nets(&upstream.deny_answers),
        allow_answers: nets(&upstream.allow_answers),
        ipv6: host_has_ipv6(),
        ..RecursionSettings::default()
    }
}

/// How answers are kept.
pub fn cache(config: &Config) -> CacheSettings {
    CacheSettings { size_bytes_max: config.resolver.cache_octets_max, ..CacheSettings::default() }
}

/// A word on where answers come from, for people.
pub fn describe(config: &Config) -> String {
    match &config.upstream.mode {
        UpstreamMode::Recursion => "recursion from the root".to_owned(),
        UpstreamMode::Forward { servers, .. } => {
            let servers: Vec<String> = servers.iter().map(|s| s.address.to_string()).collect();
            format!("forwarding to {}", servers.join(", "))
        }
    }
}

/// What keeps an upstream from being set up.
pub fn unusable(error: &crate::resolver::upstream::SettingsError) -> Diagnostic {
    Diagnostic::error(format!("upstream: {error}")).hint("see `[upstream]` and `[dnssec]`")
}

/// Everything that the doors need.
pub struct Needs<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Bound sockets.
    pub sockets: Sockets,
    /// The policy in force.
    pub in_force: Arc<ArcSwap<InForce>>,
    /// Who is asked.
    pub upstream: Arc<UpstreamResolver>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Keys cookies.
    pub seed: u64,
    /// Ends what runs.
    pub stop: CancellationToken,
}

/// The open doors.
pub struct Doors {
    udp: UdpFront,
    tcp: TcpFront,
}

/// Opens the doors: from here on clients are answered.
pub fn open(needs: Needs<'_>) -> Result<Doors, Diagnostic> {
    // Who names servers for a private zone wants its names asked for there.
    let routed = needs.config.upstream.zones.iter().map(|zone| zone.name.clone()).collect();
    let special = SpecialZones::new(&SpecialSettings { routed, ..SpecialSettings::default() })
        .map_err(|error| Diagnostic::error(error.to_string()))?;
    let caching = CachingUpstream::new(cache(needs.config), needs.upstream);
    let settings = HandlerSettings {
        access: Access::new(&needs.config.resolver.allow_from),
        ..HandlerSettings::new(cookie_secret(needs.seed))
    };
    let parts = Parts {
        special,
        in_force: needs.in_force,
        upstream: Arc::new(caching),
        runtime: Handle::current(),
        transfers: None,
        clock: needs.clock,
        events: EventSender::nobody(),
    };
    let handler = Arc::new(Handler::new(settings, parts));
    let failed = |error: std::io::Error| Diagnostic::error(format!("resolver: {error}"));
    let Sockets { udp, tcp } = needs.sockets;
    let runtime = Handle::current();
    let udp = UdpFront::start(udp, &handler, &needs.metrics, &runtime, UdpSettings::default());
    let tcp = TcpFront::start(tcp, &handler, &needs.metrics, TcpSettings::default());
    Ok(Doors { udp: udp.map_err(failed)?, tcp: tcp.map_err(failed)? })
}

impl Doors {
    /// Takes no more queries and waits a little for those under way.
    pub async fn close(self) {
        tokio::join!(self.udp.drain(GRACE), self.tcp.drain(GRACE));
    }
}

/// The secret of cookies, the same over restarts of one installation.
fn cookie_secret(seed: u64) -> [u8; 16] {
    let digest = ring::digest::digest(
        &ring::digest::SHA256,
        &[b"cookie".as_slice(), &seed.to_be_bytes()].concat(),
    );
    let mut secret = [0; 16];
    secret.copy_from_slice(&digest.as_ref()[..16]);
    secret
}
