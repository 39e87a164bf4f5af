//! The section `[upstream]`.

use std::net::{IpAddr, SocketAddr};

use super::super::{Upstream, UpstreamMode, UpstreamServer, UpstreamTransport, UpstreamZone};
use super::{networks, words};
use crate::diagnostic::Diagnostic;
use crate::document::Table;
use crate::model::{Name, Network};

/// The most servers of one set: more are never asked in the time of a query.
const SERVERS_MAX: usize = 16;
/// The most zones that are asked elsewhere.
const ZONES_MAX: usize = 1000;

/// Whether servers are asked over IPv6.
const IPV6: [(&str, Option<bool>); 3] = [("auto", None), ("on", Some(true)), ("off", Some(false))];

/// What the word `private` stands for: addresses that only a network's own names lead to (RFC 6890).
const PRIVATE: [&str; 10] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::/127",
    "fc00::/7",
    "fe80::/10",
];

/// Networks, and the word `private` for many.
fn denied(table: &Table<'_>) -> Vec<Network> {
    let mut networks = Vec::new();
    for value in table.list("deny_answers") {
        let read = |text: &str| match text {
            "private" => Ok(PRIVATE.map(Network::constant).to_vec()),
            _ => words::network(text).map(|network| vec![network]),
        };
        networks.extend(value.parse(read).unwrap_or_default());
    }
    networks
}

/// Addresses of root servers.
fn addresses(table: &Table<'_>, key: &'static str) -> Vec<IpAddr> {
    let address = |text: &str| {
        text.parse::<IpAddr>().map_err(|_| {
            Diagnostic::error(format!("`{text}` is not an address"))
                .hint("without a port: root servers listen on port 53")
        })
    };
    table.list(key).iter().filter_map(|value| value.parse(address)).collect()
}

/// `validate`: whether answers are validated here.
pub(super) fn upstream(table: Option<&Table<'_>>, validate: bool) -> Upstream {
    let Some(table) = table else {
        return Upstream {
            mode: UpstreamMode::Recursion,
            roots: Vec::new(),
            zones: Vec::new(),
            allow_servers: Vec::new(),
            ipv6: None,
            deny_answers: Vec::new(),
            allow_answers: Vec::new(),
            allow_names: Vec::new(),
        };
    };
    Upstream {
        mode: mode(table, validate),
        roots: addresses(table, "roots"),
        zones: zones(table),
        allow_servers: networks(table, "allow_servers"),
        ipv6: table.get("ipv6").and_then(|v| v.word(&IPV6)).flatten(),
        deny_answers: denied(table),
        allow_answers: networks(table, "allow_answers"),
        allow_names: table
            .list("allow_names")
            .iter()
            .filter_map(|value| value.parse(words::zone_name))
            .collect(),
    }
}

fn mode(table: &Table<'_>, validate: bool) -> UpstreamMode {
    let forward = table
        .get("mode")
        .and_then(|v| v.word(&[("recursion", false), ("forward", true)]))
        .unwrap_or(false);
    if !forward {
        return UpstreamMode::Recursion;
    }
    let servers = servers(table);
    if table.list("servers").is_empty() {
        table.report(
            Diagnostic::error("there is nobody to forward to")
                .hint("add `servers`, as in `servers = [\"tls://9.9.9.9@dns.quad9.net\"]`"),
        );
    }
    let trust_ad = table.get("trust_ad").filter(|v| v.flag().unwrap_or(false));
    if let Some(value) = trust_ad.as_ref().filter(|_| validate) {
        value.report(
            Diagnostic::error("answers are validated here, so nobody's word is needed")
                .hint("leave `trust_ad` out, or say `validate = false` in `[dnssec]`"),
        );
    }
    UpstreamMode::Forward { servers, trust_ad: trust_ad.is_some() }
}

fn zones(table: &Table<'_>) -> Vec<UpstreamZone> {
    let mut zones: Vec<UpstreamZone> = Vec::new();
    table.each("zone", |table| {
        let name = table.need("name").and_then(|v| {
            let name = v.parse(words::zone_name)?;
            if zones.iter().any(|zone| zone.name == name) {
                v.report(Diagnostic::error(format!("`{name}` is asked elsewhere twice")));
            }
            Some(name)
        });
        let stub = table
            .get("mode")
            .and_then(|v| v.word(&[("forward", false), ("stub", true)]))
            .unwrap_or(false);
        let servers = servers(table);
        if table.need("servers").is_some() && stub && servers.iter().any(is_encrypted) {
            table.report(
                Diagnostic::error("the servers of a stub zone are asked over `udp` or `tcp`")
                    .hint("they are authoritative; a resolver takes `mode = \"forward\"`"),
            );
        }
        let name = name.unwrap_or_else(Name::root);
        if zones.len() == ZONES_MAX {
            table.report(Diagnostic::error(format!("more than {ZONES_MAX} zones")));
        }
        if zones.len() < ZONES_MAX {
            zones.push(UpstreamZone { name, stub, servers });
        }
    });
    zones
}

fn is_encrypted(server: &UpstreamServer) -> bool {
    matches!(server.transport, UpstreamTransport::Tls { .. } | UpstreamTransport::Https { .. })
}

fn servers(table: &Table<'_>) -> Vec<UpstreamServer> {
    let values = table.list("servers");
    if let Some(beyond) = values.get(SERVERS_MAX) {
        beyond.report(Diagnostic::error(format!("more than {SERVERS_MAX} servers")));
    }
    values.iter().take(SERVERS_MAX).filter_map(|v| v.parse(server)).collect()
}

/// Reads `udp://address`, `tcp://address`, `tls://address@name` or `https://address@name/path`,
/// each with an optional port after the address. The address is given because a resolver cannot
/// look up where to ask.
fn server(text: &str) -> Result<UpstreamServer, Diagnostic> {
    let refused = |what: &str| {
        Diagnostic::error(format!("the server `{text}` is refused: {what}")).hint(
            "as in `udp://192.0.2.53`, `tcp://[2001:db8::53]:5353`, `tls://192.0.2.53@dns.example` \
             or `https://192.0.2.53@dns.example/dns-query`",
        )
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(|| refused("it has no scheme"))?;
    let (address, name) = match rest.split_once('@') {
        Some((address, name)) => (address, Some(name)),
        None => (rest, None),
    };
    let port = match scheme {
        "udp" | "tcp" => 53,
        "tls" => 853,
        "https" => 443,
        _ => return Err(refused("its scheme is not `udp`, `tcp`, `tls` or `https`")),
    };
    let address = address_with_port(address, port)
        .ok_or_else(|| refused("it has no address, or a port that is none"))?;
    let transport = match (scheme, name) {
        ("udp", None) => UpstreamTransport::Udp,
        ("tcp", None) => UpstreamTransport::Tcp,
        ("udp" | "tcp", Some(_)) => return Err(refused("plain DNS has no name to check")),
        (_, None) => return Err(refused("the name of its certificate is missing")),
        ("tls", Some(name)) => {
            UpstreamTransport::Tls { name: host(name).map_err(|e| refused(&e))? }
        }
        (_, Some(url)) => {
            let (name, path) = match url.find('/') {
                Some(at) => (&url[..at], &url[at..]),
                None => (url, "/dns-query"),
            };
            let sound = |byte: u8| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&byte);
            if !path.bytes().all(sound) {
                return Err(refused("its path has a character that paths do not have"));
            }
            let name = host(name).map_err(|e| refused(&e))?;
            UpstreamTransport::Https { name, path: path.to_owned() }
        }
    };
    Ok(UpstreamServer { address, transport })
}

pub(super) fn host(name: &str) -> Result<String, String> {
    let name = Name::from_host(name).map_err(|error| format!("in its name, {error}"))?;
    Ok(name.to_string())
}

pub(super) fn address_with_port(text: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, port));
    }
    if let Ok(with_port) = text.parse::<SocketAddr>() {
        return Some(with_port).filter(|address| address.port() != 0);
    }
    let bare = text.strip_prefix('[')?.strip_suffix(']')?;
    Some(SocketAddr::new(IpAddr::V6(bare.parse().ok()?), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::v1::tests::read;

    #[test]
    fn servers_of_every_transport_are_read() {
        let shown = |text: &str| {
            let server = server(text).unwrap();
            format!("{} {:?}", server.address, server.transport)
        };
        for (text, expected) in [
            ("udp://192.0.2.53", "192.0.2.53:53 Udp"),
            ("udp://2001:db8::53", "[2001:db8::53]:53 Udp"),
            ("tcp://[2001:db8::53]", "[2001:db8::53]:53 Tcp"),
            ("tcp://[2001:db8::53]:5353", "[2001:db8::53]:5353 Tcp"),
            ("tls://9.9.9.9@dns.quad9.net", "9.9.9.9:853 Tls { name: \"dns.quad9.net\" }"),
            (
                "https://192.0.2.53:8443@Dns.Example/q",
                "192.0.2.53:8443 Https { name: \"dns.example\", path: \"/q\" }",
            ),
            (
                "https://192.0.2.53@dns.example",
                "192.0.2.53:443 Https { name: \"dns.example\", path: \"/dns-query\" }",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn servers_that_cannot_be_asked_are_refused_with_the_reason() {
        for (text, reason) in [
            ("9.9.9.9", "it has no scheme"),
            ("quic://9.9.9.9", "its scheme is not `udp`, `tcp`, `tls` or `https`"),
            ("udp://dns.example", "it has no address, or a port that is none"),
            ("udp://192.0.2.1:0", "it has no address, or a port that is none"),
            ("udp://192.0.2.1@dns.example", "plain DNS has no name to check"),
            ("tls://192.0.2.1", "the name of its certificate is missing"),
            ("tls://192.0.2.1@a..b", "in its name, empty label"),
            ("https://192.0.2.1@a.example/a b", "its path has a character that paths do not have"),
        ] {
            let finding = server(text).unwrap_err();
            assert_eq!(finding.message, format!("the server `{text}` is refused: {reason}"));
        }
    }

    #[test]
    fn forwarding_needs_servers_and_recursion_has_none() {
        let (config, found) = read("[upstream]\nmode = 'forward'\n");
        assert!(config.is_none());
        assert_eq!(
            found,
            "error: there is nobody to forward to\n  --> s.toml:1:1\n\
             hint: add `servers`, as in `servers = [\"tls://9.9.9.9@dns.quad9.net\"]`"
        );
        let (_, found) = read("[upstream]\nmode = 'recursion'\nservers = ['udp://192.0.2.1']\n");
        assert_eq!(
            found,
            "error: unknown key `servers` in `[upstream]`\n  --> s.toml:3:1\n\
             hint: known here are `mode`, `roots`, `zone`, `allow_servers`, `ipv6`, `deny_answers`, \
             `allow_answers` and `allow_names`"
        );
    }

    #[test]
    fn zones_that_are_asked_elsewhere_are_read_and_checked() {
        let (config, found) = read(
            "[[upstream.zone]]\nname = 'corp.example'\nmode = 'stub'\nservers = 'udp://192.0.2.1'\n",
        );
        assert_eq!(found, "");
        let zone = &config.unwrap().upstream.zones[0];
        assert_eq!((zone.name.to_string().as_str(), zone.stub), ("corp.example", true));
        let (_, found) = read(
            "[[upstream.zone]]\nname = 'a.example'\nmode = 'stub'\n\
             servers = 'tls://192.0.2.1@x.example'\n\
             [[upstream.zone]]\nname = 'a.example'\n",
        );
        assert_eq!(
            found,
            "error: the servers of a stub zone are asked over `udp` or `tcp`\n  --> s.toml:1:1\n\
             hint: they are authoritative; a resolver takes `mode = \"forward\"`\n\
             error: `[[upstream.zone]]` needs `servers`\n  --> s.toml:5:1\n\
             error: `a.example` is asked elsewhere twice\n  --> s.toml:6:8"
        );
    }

    #[test]
    fn private_is_a_word_for_networks() {
        let (config, found) = read(
            "[upstream]\ndeny_answers = ['private', '192.0.2.0/24']\nallow_names = 'corp.example'\n",
        );
        assert_eq!(found, "");
        let upstream = config.unwrap().upstream;
        assert_eq!((upstream.deny_answers.len(), upstream.allow_names.len()), (11, 1));
    }

    #[test]
    fn there_is_an_end_to_servers_and_zones() {
        let many = vec!["'udp://192.0.2.1'"; SERVERS_MAX + 1].join(", ");
        assert_eq!(
            read(&format!("[upstream]\nmode = 'forward'\nservers = [{many}]\n")).1,
            "error: more than 16 servers\n  --> s.toml:3:316"
        );
        let zone =
            |i| format!("[[upstream.zone]]\nname = 'z{i}.example'\nservers = 'udp://192.0.2.1'\n");
        let zones: String = (0..=ZONES_MAX).map(zone).collect();
        assert_eq!(read(&zones).1, "error: more than 1000 zones\n  --> s.toml:3001:1");
    }
}
