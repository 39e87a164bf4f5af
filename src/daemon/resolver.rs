//! The resolver: its settings from those of the configuration, its doors opened and closed.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use ipnet::IpNet;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::designation::{self, Listening};
use super::keeper::{Keeper, Kept, Reread};
use super::sockets::Sockets;
use crate::config::{Config, UpstreamMode};
use crate::diagnostic::Diagnostic;
use crate::model::Network;
use crate::model::time::Clock;
use crate::ports::{TransferService, WhyService};
use crate::resolver::access::Access;
use crate::resolver::cache::{self, CacheSettings, CachingUpstream, Tap, Tapped};
use crate::resolver::encrypted::{Encrypted, QuicFront};
use crate::resolver::handler::{Handler, HandlerSettings, InForce, Parts};
use crate::resolver::quota::Limits;
use crate::resolver::special::{SpecialSettings, SpecialZones};
use crate::resolver::tcp::{TcpFront, TcpSettings};
use crate::resolver::udp::{UdpFront, UdpSettings};
use crate::resolver::upstream::{
    DefaultRoute, ForwardSettings, Rebinding, RecursionSettings, UpstreamResolver,
    UpstreamSettings, Validation, ZoneKind, ZoneRoute, host_has_ipv6,
};
use crate::telemetry::Metrics;
use crate::telemetry::events::{self, EventReceiver, EventSender};

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
            validation: validation(config),
            trust_ad: *trust_ad,
            ..ForwardSettings::default()
        }),
    };
    let zones = upstream.zones.iter().map(|zone| ZoneRoute {
        zone: zone.name.clone(),
        kind: if zone.stub { ZoneKind::Stub } else { ZoneKind::Forward },
        servers: ForwardSettings { servers: zone.servers.clone(), ..ForwardSettings::default() },
    });
    let rebinding = Rebinding {
        deny: ip_nets(&upstream.deny_answers),
        allow: ip_nets(&upstream.allow_answers),
        names: upstream.allow_names.clone(),
    };
    UpstreamSettings { zones: zones.collect(), rebinding, ..UpstreamSettings::new(default) }
}

fn ip_nets(networks: &[Network]) -> Vec<IpNet> {
    networks.iter().map(|network| network.ipnet()).collect()
}

fn validation(config: &Config) -> Validation {
    match config.dnssec.validate {
        true => Validation::On { anchors: config.dnssec.trust_anchors.clone() },
        false => Validation::Off,
    }
}

fn recursion(config: &Config) -> RecursionSettings {
    let upstream = &config.upstream;
    RecursionSettings {
        roots: (!upstream.roots.is_empty()).then(|| upstream.roots.clone()),
        validation: validation(config),
        allow_servers: ip_nets(&upstream.allow_servers),
        ipv6: upstream.ipv6.unwrap_or_else(host_has_ipv6),
        ..RecursionSettings::default()
    }
}

/// How answers are kept.
pub fn cache(config: &Config) -> CacheSettings {
    let (resolver, usual) = (&config.resolver, CacheSettings::default());
    CacheSettings {
        size_bytes_max: resolver.cache_octets_max,
        prefetch_hits_min: if resolver.prefetch { usual.prefetch_hits_min } else { 0 },
        stale_max_seconds: resolver.stale_max_seconds,
        ..usual
    }
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

/// Queries that wait to be looked at: some milliseconds' worth at the most that a machine answers,
/// in six megabytes.
const QUERIES_WAITING_MAX: usize = 16_384;
/// Answers that wait likewise; the cache has most of them anyway.
const ANSWERS_WAITING_MAX: usize = 4_096;

/// A channel for what clients ask.
pub fn queries() -> (EventSender, EventReceiver) {
    events::channel(QUERIES_WAITING_MAX)
}

/// A channel for what the upstream says.
pub fn tap() -> (Tap, Tapped) {
    cache::tap(ANSWERS_WAITING_MAX)
}

/// Everything that the doors need.
pub struct Needs<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Bound sockets.
    pub sockets: Sockets,
    /// Answers messages about zones, if any come or go.
    pub transfers: Option<Arc<dyn TransferService>>,
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
    /// Who is told of queries.
    pub events: EventSender,
    /// Who is told of answers.
    pub tap: Option<Tap>,
    /// Ends what runs.
    pub stop: CancellationToken,
    /// Reads the configuration again.
    pub reread: Box<Reread>,
    /// Somebody wants that.
    pub again: Arc<Notify>,
    /// Who says why names are blocked, where somebody may ask.
    pub why: Option<Arc<dyn WhyService>>,
}

/// The open doors.
pub struct Doors {
    /// What is known already, and who is asked for more.
    pub caching: Arc<CachingUpstream>,
    udp: UdpFront,
    tcp: TcpFront,
    /// DNS over TLS and HTTPS.
    streams: Vec<TcpFront>,
    /// DNS over QUIC and HTTP/3.
    quic: Vec<QuicFront>,
}

/// How queries are handled.
pub fn handling(config: &Config, seed: u64) -> HandlerSettings {
    HandlerSettings {
        access: Access::new(&config.resolver.allow_from),
        dns64: config.resolver.dns64.clone(),
        rates: config.resolver.rates.clone(),
        ..HandlerSettings::new(cookie_secret(seed))
    }
}

/// The zones served here.
pub fn special(config: &Config, listening: &Listening) -> Result<SpecialZones, Diagnostic> {
    let zones = &config.resolver.local_zones;
    let name = config.resolver.encrypted.name.as_ref();
    let settings = SpecialSettings {
        none: !zones.enabled,
        off: zones.off.clone(),
        on: zones.on.clone(),
        // Who names servers for a private zone wants its names asked for there.
        routed: config.upstream.zones.iter().map(|zone| zone.name.clone()).collect(),
        dns64: config.resolver.dns64.is_some(),
        designated: name.and_then(|name| designation::records(name.as_ref(), listening)),
    };
    SpecialZones::new(&settings).map_err(|error| Diagnostic::error(error.to_string()))
}

/// Opens the doors: from here on clients are answered.
pub fn open(needs: Needs<'_>) -> Result<Doors, Diagnostic> {
    let config = needs.config;
    let listening = needs.sockets.listening();
    let special = special(config, &listening)?;
    let caching = CachingUpstream::new(cache(config), needs.upstream).with_tap(needs.tap);
    let parts = Parts {
        special,
        in_force: needs.in_force,
        upstream: Arc::new(caching),
        runtime: Handle::current(),
        transfers: needs.transfers,
        why: needs.why,
        clock: needs.clock,
        events: needs.events,
    };
    let handler = Arc::new(Handler::new(handling(config, needs.seed), parts));
    let failed = |error: std::io::Error| Diagnostic::error(format!("resolver: {error}"));
    let kept = certificate(config, &needs.sockets)?;
    let Sockets { udp, tcp, tls, https, quic, http3 } = needs.sockets;
    let runtime = Handle::current();
    let limits = &config.resolver.limits;
    let waiting = Limits { all_max: limits.queries, client_max: limits.client_queries };
    let udp_settings = UdpSettings { limits: waiting, ..UdpSettings::default() };
    let connections = Limits { all_max: limits.connections, client_max: limits.client_connections };
    let tcp_settings = TcpSettings { connections, ..TcpSettings::default() };
    let udp = UdpFront::start(udp, &handler, &needs.metrics, &runtime, udp_settings);
    let tcp = TcpFront::start(tcp, &handler, &needs.metrics, tcp_settings);
    let mut doors = Doors {
        caching: Arc::clone(handler.upstream()),
        udp: udp.map_err(failed)?,
        tcp: tcp.map_err(failed)?,
        streams: Vec::new(),
        quic: Vec::new(),
    };
    if let Some(kept) = &kept {
        let encrypted = Encrypted {
            certificates: Arc::clone(&kept.certificates),
            handler: &handler,
            metrics: &needs.metrics,
            settings: tcp_settings,
        };
        doors.streams.push(encrypted.tls(tls).map_err(failed)?);
        doors.streams.push(encrypted.https(https).map_err(failed)?);
        doors.quic.push(encrypted.quic(quic).map_err(failed)?);
        doors.quic.push(encrypted.http3(http3).map_err(failed)?);
    }
    let hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let Needs { seed, reread, again, .. } = needs;
    let keeper = Keeper { kept, handler, listening, seed, reread, again };
    tokio::spawn(keeper.run(hangup, needs.stop));
    Ok(doors)
}

/// The certificate, where something shows it.
fn certificate(config: &Config, sockets: &Sockets) -> Result<Option<Kept>, Diagnostic> {
    match &config.resolver.encrypted.certificate {
        _ if !sockets.has_encrypted() => Ok(None),
        Some(files) => Kept::open(files).map(Some),
        None => {
            Err(Diagnostic::error("there are sockets for encrypted transports and no certificate")
                .hint("add `certificate` and `key` to `[resolver.encrypted]`"))
        }
    }
}

impl Doors {
    /// Takes no more queries and waits a little for those under way.
    pub async fn close(self) {
        let streams = self.streams.into_iter().map(|front| front.drain(GRACE));
        let quic = self.quic.into_iter().map(|front| front.drain(GRACE));
        tokio::join!(
            self.udp.drain(GRACE),
            self.tcp.drain(GRACE),
            join_all(streams),
            join_all(quic)
        );
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
