//! Names of strangers that lead into one's own network: a browser that takes a page from such a
//! name may reach what only this network should (DNS rebinding).

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::Name;

use super::convert::{Item, Meaning};

/// Networks that names of others must not lead into. Zones with servers of their own are not those
/// of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebinding {
    /// The networks.
    pub deny: Vec<IpNet>,
    /// Networks within them that anyone may lead into.
    pub allow: Vec<IpNet>,
    /// Names that, with all below, may lead anywhere.
    pub names: Vec<Name>,
}

impl Rebinding {
    /// Whether any of these records leads where it must not; an address in IPv6 dress counts as
    /// IPv4.
    pub(super) fn refuses(&self, items: &[Item]) -> bool {
        if self.deny.is_empty() {
            return false;
        }
        items.iter().filter(|item| !self.may(&item.owner)).any(|item| match &item.meaning {
            Meaning::Address(address) => self.holds(*address),
            Meaning::Service { hints, .. } => hints.iter().any(|hint| self.holds(*hint)),
            _ => false,
        })
    }

    fn may(&self, owner: &Name) -> bool {
        self.names.iter().any(|name| owner.as_ref().is_at_or_below(name.as_ref()))
    }

    fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let within = |networks: &[IpNet]| networks.iter().any(|net| net.contains(&address));
        within(&self.deny) && !within(&self.allow)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{outcome, parsed};
    use super::*;

    #[test]
    fn strangers_do_not_lead_inside_and_those_named_do() {
        let net = |text: &str| text.parse().unwrap();
        let rebinding = Rebinding {
            deny: vec![net("10.0.0.0/8"), net("fc00::/7")],
            allow: vec![net("10.9.0.0/16")],
            names: vec![parsed("corp.example")],
        };
        let refused = |line: &str| rebinding.refuses(&outcome(line, "").answers);
        assert!(refused("evil.example. 60 IN A 10.0.0.1"));
        assert!(refused("evil.example. 60 IN AAAA ::ffff:10.0.0.1"));
        assert!(refused("evil.example. 60 IN HTTPS 1 . ipv6hint=fd00::1"));
        assert!(!refused("evil.example. 60 IN A 10.9.0.1"));
        assert!(!refused("www.corp.example. 60 IN A 10.0.0.1"));
        assert!(!refused("good.example. 60 IN A 192.0.2.1"));
        let off = Rebinding::default();
        assert!(!off.refuses(&outcome("evil.example. 60 IN A 10.0.0.1", "").answers));
    }
}
