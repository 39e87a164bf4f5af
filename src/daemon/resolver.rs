//! The resolver's settings, from those of the configuration.

use crate::config::{Config, UpstreamMode};
use crate::diagnostic::Diagnostic;
use crate::resolver::cache::CacheSettings;
use crate::resolver::upstream::{
    DefaultRoute, ForwardSettings, RecursionSettings, UpstreamSettings, Validation, ZoneKind,
    ZoneRoute, host_has_ipv6,
};

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
