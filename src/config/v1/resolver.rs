//! The section `[resolver]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::super::resolver::{Certificate, Encrypted, Interface, Limits, LocalZones, Resolver};
use super::{LISTEN_MAX, listen, networks, path, words};
use crate::diagnostic::Diagnostic;
use crate::document::Table;
use crate::evidence::SpecialUse;
use crate::model::{Name, Network};
use crate::resolver::access::{self, Access};
use crate::resolver::dns64::{self, Dns64, Prefix};
use crate::resolver::rate::RateSettings;
use crate::resolver::special::{SpecialSettings, SpecialZones};

/// Memory for answers: some 200,000 of them, the working set of a few thousand clients.
const CACHE_OCTETS: u64 = 64 << 20;
/// The least that is of use, a thousandth of which is one large answer.
const CACHE_OCTETS_MIN: u64 = 1 << 20;
/// A tebibyte, so that a slip in the unit is seen.
const CACHE_OCTETS_MAX: u64 = 1 << 40;
/// Answers past their end, by default and at most (RFC 8767 section 5: one to three days are of use).
const STALE_SECONDS: u32 = 86_400;
const STALE_SECONDS_MAX: u32 = 7 * 86_400;
/// The most prefixes of translators; a network has one, or two while it moves.
const PREFIXES_MAX: usize = 8;
/// The longest name of an interface (IFNAMSIZ of Linux, without its end).
const INTERFACE_OCTETS_MAX: usize = 15;
/// More than any machine holds, so that a slip is seen.
const LIMIT_MAX: i64 = 10_000_000;
/// As much.
const RATE_MAX: i64 = 1_000_000;

pub(super) fn resolver(table: Option<&Table<'_>>) -> Resolver {
    let get = |key| table.and_then(|table| table.get(key));
    let networks = table.map_or_else(Vec::new, |table| networks(table, "allow_from"));
    let (addresses, interfaces) = table.map_or_else(Default::default, places);
    if let Some(value) = get("listen")
        && value.clone().items().is_empty()
    {
        value.report(Diagnostic::error("there is no address to listen on"));
    }
    let cache = get("cache_size")
        .and_then(|v| v.parse(|text| words::octets(text, CACHE_OCTETS_MIN..=CACHE_OCTETS_MAX)));
    Resolver {
        listen: match addresses.is_empty() && interfaces.is_empty() {
            true => vec![SocketAddr::from(([127, 0, 0, 1], 5300))],
            false => addresses,
        },
        interfaces,
        // An empty list answers nobody, which is what it says.
        allow_from: match get("allow_from") {
            None => access::default_networks(),
            Some(_) => networks,
        },
        cache_octets_max: cache.unwrap_or(CACHE_OCTETS),
        prefetch: get("prefetch").and_then(|v| v.flag()).unwrap_or(true),
        stale_max_seconds: get("serve_stale")
            .and_then(|v| v.parse(|text| words::seconds(text, 0..=STALE_SECONDS_MAX)))
            .unwrap_or(STALE_SECONDS),
        local_zones: table.and_then(|t| t.table("local_zones", local_zones)).unwrap_or_default(),
        dns64: table.and_then(|t| t.table("dns64", dns64)).flatten(),
        encrypted: table.and_then(|t| t.table("encrypted", encrypted)).unwrap_or_default(),
        limits: table.and_then(|t| t.table("limits", limits)).unwrap_or_default(),
        rates: table.and_then(|t| t.table("rate_limit", rates)).unwrap_or_default(),
    }
}

/// Addresses with ports, and interfaces with or without.
fn places(table: &Table<'_>) -> (Vec<SocketAddr>, Vec<Interface>) {
    let (mut addresses, mut interfaces) = (Vec::new(), Vec::new());
    let values = table.list("listen");
    if let Some(beyond) = values.get(LISTEN_MAX) {
        beyond.report(Diagnostic::error(format!("more than {LISTEN_MAX} addresses")));
    }
    for value in values.iter().take(LISTEN_MAX) {
        let found = value.parse(|text| match interface(text) {
            Some(interface) => Ok(Err(interface)),
            None => words::socket_address(text).map(Ok),
        });
        match found {
            Some(Ok(address)) => addresses.push(address),
            Some(Err(interface)) => interfaces.push(interface),
            None => {}
        }
    }
    (addresses, interfaces)
}

/// Reads `eth0` or `eth0:53`.
fn interface(text: &str) -> Option<Interface> {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, port.parse().ok().filter(|port| *port != 0)?),
        None => (text, 53),
    };
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    let is_name = (1..=INTERFACE_OCTETS_MAX).contains(&name.len())
        && name.bytes().all(sound)
        && name.bytes().any(|byte| byte.is_ascii_alphabetic());
    is_name.then(|| Interface { name: name.to_owned(), port })
}

fn limits(table: &Table<'_>) -> Limits {
    let usual = Limits::default();
    let limit = |key, otherwise: usize| {
        let value = table.get(key).and_then(|v| v.integer(1..=LIMIT_MAX));
        value.and_then(|number| usize::try_from(number).ok()).unwrap_or(otherwise)
    };
    Limits {
        queries: limit("queries", usual.queries),
        client_queries: limit("client_queries", usual.client_queries),
        connections: limit("connections", usual.connections),
        client_connections: limit("client_connections", usual.client_connections),
    }
}

fn rates(table: &Table<'_>) -> RateSettings {
    let usual = RateSettings::default();
    let number = |key, range, otherwise: u32| {
        let value = table.get(key).and_then(|v| v.integer(range));
        value.and_then(|number| u32::try_from(number).ok()).unwrap_or(otherwise)
    };
    let prefix = |key, longest, otherwise: u8| {
        let value = table.get(key).and_then(|v| v.integer(1..=longest));
        value.and_then(|number| u8::try_from(number).ok()).unwrap_or(otherwise)
    };
    let window = table.get("window").and_then(|v| v.parse(|text| words::seconds(text, 1..=3600)));
    RateSettings {
        responses_per_second: number("responses_per_second", 0..=RATE_MAX, 0),
        slip: number("slip", 0..=10, usual.slip),
        window_seconds: window.unwrap_or(usual.window_seconds),
        v4_prefix: prefix("ipv4_prefix", 32, usual.v4_prefix),
        v6_prefix: prefix("ipv6_prefix", 128, usual.v6_prefix),
        client_queries_per_second: number("client_queries_per_second", 0..=RATE_MAX, 0),
        exempt: Access::new(&networks(table, "exempt")),
    }
}

fn local_zones(table: &Table<'_>) -> LocalZones {
    // Whether there is such a zone is known where they are served.
    let named = |key, settings: fn(Name) -> SpecialSettings| -> Vec<Name> {
        let zone = |text: &str| {
            let name = words::zone_name(text)?;
            match SpecialZones::new(&settings(name.clone())) {
                Ok(_) => Ok(name),
                Err(error) => Err(Diagnostic::error(error.to_string())
                    .hint("names of zones as RFC 6303 and RFC 6761 have them: `10.in-addr.arpa`")),
            }
        };
        table.list(key).iter().filter_map(|value| value.parse(zone)).collect()
    };
    LocalZones {
        enabled: table.get("enabled").and_then(|v| v.flag()).unwrap_or(true),
        off: named("off", |name| SpecialSettings { off: vec![name], ..Default::default() }),
        on: named("on", |name| SpecialSettings { on: vec![name], ..Default::default() }),
    }
}

fn dns64(table: &Table<'_>) -> Option<Dns64> {
    let prefix = |text: &str| {
        let network = words::network(text)?;
        Prefix::new(network).map_err(|error| {
            Diagnostic::error(format!("`{text}` is no prefix of a translator: {error}"))
                .hint("as in `64:ff9b::/96`")
        })
    };
    table.need("prefix")?;
    let values = table.list("prefix");
    if let Some(beyond) = values.get(PREFIXES_MAX) {
        beyond.report(Diagnostic::error(format!("more than {PREFIXES_MAX} prefixes")));
    }
    let prefixes: Vec<Prefix> =
        values.iter().take(PREFIXES_MAX).filter_map(|v| v.parse(prefix)).collect();
    let well_known = prefixes.iter().any(Prefix::is_well_known);
    let exclude = networks(table, "exclude");
    let exclude_v4 = networks(table, "exclude_ipv4");
    let clients = networks(table, "clients");
    Some(Dns64 {
        exclude: match table.get("exclude") {
            Some(_) => exclude,
            None => vec![Network::constant(dns64::EXCLUDE)],
        },
        exclude_v4: match table.get("exclude_ipv4") {
            None if well_known => Access::new(SpecialUse::default().networks()),
            _ => Access::new(&exclude_v4),
        },
        clients: table.get("clients").map(|_| Access::new(&clients)),
        prefixes,
    })
}

/// Reads where a certificate and its key are.
pub(super) fn certificate(table: &Table<'_>) -> Option<Certificate> {
    let file = |key| table.get(key).and_then(|v| path(&v).map(PathBuf::from));
    match (file("certificate"), file("key")) {
        (Some(chain), Some(key)) => Some(Certificate { chain, key }),
        (None, None) => None,
        _ => {
            table.report(
                Diagnostic::error("`certificate` and `key` go together")
                    .hint("each names a file in PEM"),
            );
            None
        }
    }
}

fn encrypted(table: &Table<'_>) -> Encrypted {
    let certificate = certificate(table);
    let encrypted = Encrypted {
        tls: listen(table, "tls"),
        https: listen(table, "https"),
        quic: listen(table, "quic"),
        http3: listen(table, "http3"),
        name: table.get("name").and_then(|v| v.parse(words::zone_name)),
        certificate,
    };
    let Encrypted { tls, https, quic, http3, .. } = &encrypted;
    if encrypted.certificate.is_none() && [tls, https, quic, http3].iter().any(|a| !a.is_empty()) {
        table.report(
            Diagnostic::error("encrypted transports need a certificate")
                .hint("add `certificate` and `key`, each the path of a file in PEM"),
        );
    }
    encrypted
}

#[cfg(test)]
mod tests {
    use crate::config::v1::tests::read;

    #[test]
    fn translators_zones_and_encrypted_transports_are_read() {
        let (config, found) = read(
            "[resolver.local_zones]\nenabled = false\noff = '10.in-addr.arpa'\non = ['test']\n\
             [resolver.dns64]\nprefix = '64:ff9b::/96'\nclients = ['2001:db8::/32']\n\
             [resolver.encrypted]\ntls = '127.0.0.1:853'\ncertificate = 'c.pem'\nkey = 'k.pem'\n\
             name = 'dns.example'\n",
        );
        assert_eq!(found, "");
        let resolver = config.unwrap().resolver;
        let (config, found) = read(
            "[resolver]\nlisten = ['eth0', 'br-lan:5353', '127.0.0.1:53']\n\
             [resolver.limits]\nconnections = 9\n\
             [resolver.rate_limit]\nresponses_per_second = 20\nwindow = '5s'\n",
        );
        assert_eq!(found, "");
        let other = config.unwrap().resolver;
        assert!(other.prefetch && other.stale_max_seconds == 86_400);
        let (config, found) = read("[resolver]\nprefetch = false\nserve_stale = '0s'\n");
        assert_eq!(found, "");
        let without = config.unwrap().resolver;
        assert!(!without.prefetch && without.stale_max_seconds == 0);
        let interfaces: Vec<(&str, u16)> =
            other.interfaces.iter().map(|i| (i.name.as_str(), i.port)).collect();
        assert_eq!(interfaces, [("eth0", 53), ("br-lan", 5353)]);
        assert_eq!((other.listen.len(), other.limits.connections), (1, 9));
        assert_eq!((other.rates.responses_per_second, other.rates.window_seconds), (20, 5));
        assert!(!resolver.local_zones.enabled && resolver.local_zones.off.len() == 1);
        let dns64 = resolver.dns64.unwrap();
        assert!(dns64.serves("2001:db8::1".parse().unwrap()));
        assert!(!dns64.serves("192.0.2.1".parse().unwrap()));
        assert!(dns64.exclude_v4.allows("10.0.0.1".parse().unwrap()), "by RFC 6052");
        assert_eq!(resolver.encrypted.tls.len(), 1);
    }

    #[test]
    fn what_cannot_be_served_is_found() {
        for (text, finding) in [
            (
                "[resolver.local_zones]\noff = ['example.com']\n",
                "error: example.com is not one of the zones that can be served locally\n  \
                 --> s.toml:2:8\nhint: names of zones as RFC 6303 and RFC 6761 have them: \
                 `10.in-addr.arpa`",
            ),
            ("[resolver.dns64]\n", "error: `[resolver.dns64]` needs `prefix`\n  --> s.toml:1:1"),
            (
                "[resolver.dns64]\nprefix = '2001:db8::/33'\n",
                "error: `2001:db8::/33` is no prefix of a translator: its length is not 32, 40, \
                 48, 56, 64 or 96\n  --> s.toml:2:10\nhint: as in `64:ff9b::/96`",
            ),
            (
                "[resolver.encrypted]\nquic = '127.0.0.1:853'\n",
                "error: encrypted transports need a certificate\n  --> s.toml:1:1\n\
                 hint: add `certificate` and `key`, each the path of a file in PEM",
            ),
            (
                "[resolver.encrypted]\nkey = 'k.pem'\n",
                "error: `certificate` and `key` go together\n  --> s.toml:1:1\n\
                 hint: each names a file in PEM",
            ),
        ] {
            assert_eq!(read(text).1, finding, "{text}");
        }
    }
}
