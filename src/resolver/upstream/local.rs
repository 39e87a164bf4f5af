//! Names that are never asked for outside: their answers are fixed, and questions about them only
//! tell strangers about the network (RFC 6303, RFC 6761).

use std::net::{Ipv4Addr, Ipv6Addr};

use async_trait::async_trait;

use crate::model::Name;
use crate::ports::upstream::RCODE_NAME_ERROR;
use crate::ports::{Record, Security, UpstreamError};

use super::Ask;
use super::assemble::rtype;
use super::convert::{Item, Meaning, Outcome};
use super::route::{Engine, Router};

const LOCALHOST: &str = "localhost";
const LOOPBACK_V4: &str = "1.0.0.127.in-addr.arpa";
const LOOPBACK_V6: &str =
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa";

/// RFC 6303 section 4; RFC 6761 section 6 (invalid, localhost, test); RFC 6762 section 22.1
/// (local); RFC 7686 section 2 (onion); RFC 8375 (home.arpa); RFC 9462 section 6.4
/// (resolver.arpa). The zones of 172.16.0.0/12, and of 100.64.0.0/10 (RFC 7793), follow a pattern.
const ZONES: [&str; 24] = [
    LOCALHOST,
    "invalid",
    "test",
    "local",
    "onion",
    "home.arpa",
    "resolver.arpa",
    "0.in-addr.arpa",
    "10.in-addr.arpa",
    "127.in-addr.arpa",
    "254.169.in-addr.arpa",
    "168.192.in-addr.arpa",
    "2.0.192.in-addr.arpa",
    "100.51.198.in-addr.arpa",
    "113.0.203.in-addr.arpa",
    "255.255.255.255.in-addr.arpa",
    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    LOOPBACK_V6,
    "8.b.d.0.1.0.0.2.ip6.arpa",
    "d.f.ip6.arpa",
    "8.e.f.ip6.arpa",
    "9.e.f.ip6.arpa",
    "a.e.f.ip6.arpa",
    "b.e.f.ip6.arpa",
];

/// Seconds, for everything here (RFC 6303 section 3).
const TTL: u32 = 10_800;

/// All such zones.
pub(super) fn zones() -> Vec<Name> {
    let private = (16..=31).map(|octet| format!("{octet}.172.in-addr.arpa"));
    let shared = (64..=127).map(|octet| format!("{octet}.100.in-addr.arpa"));
    ZONES.iter().map(|zone| (*zone).to_owned()).chain(private).chain(shared).map(name).collect()
}

fn name(text: impl AsRef<str>) -> Name {
    Name::from_presentation(text.as_ref()).expect("the texts here are names")
}

/// Answers for one of the zones.
pub(super) struct Local {
    zone: Name,
    is_localhost: bool,
}

impl Local {
    pub fn new(zone: Name) -> Self {
        let is_localhost = zone == name(LOCALHOST);
        Self { zone, is_localhost }
    }

    /// What the zone says, by the type of question.
    fn data(&self, ask: &Ask) -> Option<(Meaning, Vec<u8>)> {
        let is_loopback = || ask.name == name(LOOPBACK_V4) || ask.name == name(LOOPBACK_V6);
        let is_apex = ask.name == self.zone;
        match ask.rtype {
            // RFC 6761 section 6.3: and all names below.
            rtype::A if self.is_localhost => {
                let address = Ipv4Addr::LOCALHOST;
                Some((Meaning::Address(address.into()), address.octets().to_vec()))
            }
            rtype::AAAA if self.is_localhost => {
                let address = Ipv6Addr::LOCALHOST;
                Some((Meaning::Address(address.into()), address.octets().to_vec()))
            }
            rtype::PTR if is_loopback() => {
                Some((Meaning::Other, name(LOCALHOST).as_ref().to_wire()))
            }
            rtype::NS if is_apex => {
                Some((Meaning::Nameserver(name(LOCALHOST)), name(LOCALHOST).as_ref().to_wire()))
            }
            rtype::SOA if is_apex => Some(self.soa()),
            _ => None,
        }
    }

    /// `@ nobody.invalid. 1 3600 1200 604800 10800` (RFC 6303 section 3).
    fn soa(&self) -> (Meaning, Vec<u8>) {
        let mut octets = self.zone.as_ref().to_wire();
        name("nobody.invalid").as_ref().write_wire(&mut octets);
        for field in [1, 3_600, 1_200, 604_800, TTL] {
            octets.extend(u32::to_be_bytes(field));
        }
        (Meaning::Authority { minimum: TTL }, octets)
    }

    /// The loopback addresses' names have empty non-terminals above them (RFC 8020).
    fn exists(&self, asked: &Name) -> bool {
        let is_above = |text| name(text).as_ref().is_at_or_below(asked.as_ref());
        *asked == self.zone || self.is_localhost || is_above(LOOPBACK_V4)
    }
}

fn item(owner: &Name, rtype: u16, (meaning, rdata): (Meaning, Vec<u8>)) -> Item {
    let wire = owner.as_ref().to_wire().into();
    let record = Record { owner: wire, rtype, ttl: TTL, rdata: rdata.into() };
    Item { owner: owner.clone(), record, security: Security::Insecure, meaning }
}

#[async_trait]
impl Engine for Local {
    async fn ask(&self, ask: &Ask, _: &Router) -> Result<Outcome, UpstreamError> {
        let mut outcome = Outcome::default();
        match self.data(ask) {
            Some(data) => outcome.answers.push(item(&ask.name, ask.rtype, data)),
            None => {
                outcome.authorities.push(item(&self.zone, rtype::SOA, self.soa()));
                outcome.rcode = if self.exists(&ask.name) { 0 } else { RCODE_NAME_ERROR };
            }
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{parsed, question};
    use super::*;

    async fn ask(zone: &str, name: &str, rtype: u16) -> (u16, usize, usize) {
        let ask = Ask { rtype, ..question(name) };
        let outcome = Local::new(parsed(zone)).ask(&ask, &Router::none()).await.unwrap();
        (outcome.rcode, outcome.answers.len(), outcome.authorities.len())
    }

    #[tokio::test]
    async fn localhost_and_all_below_is_the_loopback_address() {
        for (name, rtype, expected) in [
            ("localhost", rtype::A, (0, 1, 0)),
            ("a.b.localhost", rtype::AAAA, (0, 1, 0)),
            ("a.b.localhost", 16, (0, 0, 1)),
            ("localhost", rtype::SOA, (0, 1, 0)),
        ] {
            assert_eq!(ask("localhost", name, rtype).await, expected, "{name} {rtype}");
        }
    }

    #[tokio::test]
    async fn the_rest_is_empty_but_for_the_apex_and_the_way_back() {
        for (zone, name, rtype, expected) in [
            ("127.in-addr.arpa", LOOPBACK_V4, rtype::PTR, (0, 1, 0)),
            ("127.in-addr.arpa", "0.127.in-addr.arpa", rtype::PTR, (0, 0, 1)),
            ("127.in-addr.arpa", "2.0.0.127.in-addr.arpa", rtype::PTR, (3, 0, 1)),
            (LOOPBACK_V6, LOOPBACK_V6, rtype::PTR, (0, 1, 0)),
            ("10.in-addr.arpa", "1.1.1.10.in-addr.arpa", rtype::PTR, (3, 0, 1)),
            ("10.in-addr.arpa", "10.in-addr.arpa", rtype::NS, (0, 1, 0)),
            ("10.in-addr.arpa", "10.in-addr.arpa", rtype::A, (0, 0, 1)),
            ("onion", "x.onion", rtype::A, (3, 0, 1)),
        ] {
            assert_eq!(ask(zone, name, rtype).await, expected, "{name} {rtype}");
        }
    }

    #[test]
    fn the_zones_are_many_and_none_twice() {
        let mut zones = zones();
        assert_eq!(zones.len(), ZONES.len() + 16 + 64);
        assert!(zones.contains(&parsed("16.172.in-addr.arpa")));
        assert!(!zones.contains(&parsed("32.172.in-addr.arpa")));
        zones.sort();
        zones.dedup();
        assert_eq!(zones.len(), ZONES.len() + 16 + 64);
    }
}
