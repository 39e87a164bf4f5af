//! Names and addresses that mean something only inside one network or one machine (guard G1).

use std::net::IpAddr;

use crate::model::{NameRef, Network};

/// Top labels and names of special use, by RFC 6761 and its register, RFC 7686 (onion), RFC 8375
/// (home.arpa), RFC 9476 (alt), and `internal`, which ICANN reserved in 2024.
const NAMES: &[&str] = &[
    "alt",
    "example",
    "home.arpa",
    "internal",
    "invalid",
    "local",
    "localhost",
    "onion",
    "test",
    "example.com",
    "example.net",
    "example.org",
    "in-addr.arpa",
    "ip6.arpa",
];

/// Address space that no public name should lead to: private (RFC 1918, RFC 4193), shared (RFC
/// 6598), loopback, link-local, documentation (RFC 5737, RFC 3849, RFC 9637), benchmarking (RFC
/// 2544), multicast and reserved.
const NETWORKS: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/127",
    "2001:db8::/32",
    "3fff::/20",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// The names and prefixes of special use.
#[derive(Debug, Clone)]
pub struct SpecialUse {
    names: Vec<crate::model::Name>,
    networks: Vec<Network>,
}

impl Default for SpecialUse {
    fn default() -> Self {
        let name =
            |text: &&str| crate::model::Name::from_host(text).expect("constant names are sound");
        Self {
            names: NAMES.iter().map(name).collect(),
            networks: NETWORKS.iter().copied().map(Network::constant).collect(),
        }
    }
}

impl SpecialUse {
    /// Whether the name is, or lies below, a name of special use.
    pub fn is_name(&self, name: NameRef<'_>) -> bool {
        name.is_root() || self.names.iter().any(|special| name.is_at_or_below(special.as_ref()))
    }

    /// The prefixes.
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// Whether the address lies in space of special use.
    pub fn is_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Whether the prefix touches space of special use.
    pub fn is_network(&self, network: Network) -> bool {
        self.networks.iter().any(|special| special.covers(network) || network.covers(*special))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    #[test]
    fn what_has_no_meaning_on_the_internet_is_known() {
        let special = SpecialUse::default();
        for (text, expected) in [
            ("printer.local", true),
            ("localhost", true),
            ("www.example.com", true),
            ("x.test", true),
            ("notlocal", false),
            ("example.com.evil.org", false),
        ] {
            let name = Name::from_host(text).unwrap();
            assert_eq!(special.is_name(name.as_ref()), expected, "{text}");
        }
        for (text, expected) in [
            ("10.1.2.3", true),
            ("8.8.8.8", false),
            ("::1", true),
            ("2606:4700::1", false),
            ("255.255.255.255", true),
        ] {
            assert_eq!(special.is_address(text.parse().unwrap()), expected, "{text}");
        }
        assert!(special.is_network(Network::parse_strict("0.0.0.0/0").unwrap()));
    }
}
