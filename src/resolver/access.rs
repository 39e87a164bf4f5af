//! Who may ask: an open resolver is a weapon in the hands of others (RFC 5358).

use std::net::IpAddr;

use crate::model::Network;

/// Clients that are answered by default: this machine and private networks (RFC 1918, RFC 4193);
/// link-local addresses (RFC 3927, RFC 4291 section 2.5.6) never come from further than the next
/// router.
const DEFAULT: [&str; 8] = [
    "127.0.0.0/8",
    "::1",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "169.254.0.0/16",
    "fe80::/10",
];

/// The networks whose clients are answered; others are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl Access {
    /// Clients in any of these networks.
    pub fn new(networks: &[Network]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network.ipnet() {
                ipnet::IpNet::V4(net) => {
                    v4.push((net.network().to_bits(), net.broadcast().to_bits()));
                }
                ipnet::IpNet::V6(net) => {
                    v6.push((net.network().to_bits(), net.broadcast().to_bits()));
                }
            }
        }
        Self { v4: disjoint(v4), v6: disjoint(v6) }
    }

    /// Whether this client is answered. An IPv4 address in IPv6 dress counts as IPv4.
    pub fn allows(&self, client: IpAddr) -> bool {
        match client.to_canonical() {
            IpAddr::V4(v4) => holds(&self.v4, v4.to_bits()),
            IpAddr::V6(v6) => holds(&self.v6, v6.to_bits()),
        }
    }
}

/// The networks of the clients that are answered by default.
pub fn default_networks() -> Vec<Network> {
    DEFAULT.map(Network::constant).into()
}

impl Default for Access {
    fn default() -> Self {
        Self::new(&default_networks())
    }
}

/// Prefixes either nest or are apart, so dropping the nested ones leaves disjoint ranges.
fn disjoint<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Box<[(T, T)]> {
    ranges.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    ranges.dedup_by(|later, kept| later.1 <= kept.1);
    ranges.into()
}

fn holds<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    ranges[..after].last().is_some_and(|(_, last)| address <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed<'a>(access: &Access, addresses: &[&'a str]) -> Vec<&'a str> {
        addresses.iter().copied().filter(|a| access.allows(a.parse().unwrap())).collect()
    }

    #[test]
    fn by_default_strangers_are_not_answered() {
        let own = [
            "127.0.0.1",
            "::1",
            "10.255.255.255",
            "172.31.0.1",
            "192.168.1.1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ];
        assert_eq!(allowed(&Access::default(), &own), own);
        let strangers =
            ["192.0.2.1", "11.0.0.0", "172.32.0.1", "2001:db8::1", "::ffff:192.0.2.1", "fec0::1"];
        assert_eq!(allowed(&Access::default(), &strangers), [""; 0]);
    }

    #[test]
    fn a_network_within_another_changes_nothing() {
        let networks =
            ["192.0.2.0/24", "192.0.2.0/25", "192.0.2.7", "198.51.100.0/24", "2001:db8::/32"]
                .map(|n| Network::parse_strict(n).unwrap());
        let asked = ["192.0.2.200", "192.0.3.0", "198.51.100.0", "198.51.99.255", "2001:db8::1"];
        assert_eq!(
            allowed(&Access::new(&networks), &asked),
            ["192.0.2.200", "198.51.100.0", "2001:db8::1"]
        );
        assert_eq!(allowed(&Access::new(&[]), &["127.0.0.1"]), [""; 0]);
    }
}
