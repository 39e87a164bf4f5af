//! Answers for clients that have IPv6 alone and reach IPv4 through a translator (DNS64, RFC 6147):
//! where a name has no IPv6 address, its IPv4 addresses are written into the translator's prefix
//! (RFC 6052), and names of such addresses lead to those of the IPv4 address. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::access::Access;
use super::message::rtype;
use super::rewrite;
use crate::model::{AnswerFacts, AnswerStep, Name, NameRef, Network, RrSet};
use crate::ports::{Record, Resolution, Sections, Security, Ttl};

/// The prefix for everyone (RFC 6052 section 2.1), `64:ff9b::/96`.
pub const WELL_KNOWN: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
/// The lengths a prefix may have (RFC 6052 section 2.2).
pub const LENGTHS: [u8; 6] = [32, 40, 48, 56, 64, 96];
/// IPv4 addresses in IPv6 dress are none that anyone can reach (RFC 6147 section 5.1.4).
pub const EXCLUDE: &str = "::ffff:0:0/96";
/// What the well-known prefix must not carry: addresses that are not global (RFC 6052 section 3.1,
/// RFC 6890).
pub const NOT_GLOBAL: [&str; 14] = [
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
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// What `ipv4only.arpa` has, so that clients find the prefix (RFC 7050 section 8.2); they are
/// written into any prefix.
pub const IPV4_ONLY: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];
/// The longest that made-up addresses are kept where the zone does not say, in seconds (RFC 6147
/// section 5.1.7).
pub(super) const TTL_SECONDS_MAX: u32 = 600;
/// Bits 64 to 71 of an address are zero where the prefix is shorter (RFC 6052 section 2.2).
const ZERO_OCTET: usize = 8;

/// A translator's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    octets: [u8; 16],
    length_octets: usize,
}

/// Why a network is no prefix of a translator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// It is IPv4.
    #[error("it is not an IPv6 network")]
    NotV6,
    /// Its length is none that RFC 6052 has.
    #[error("its length is not 32, 40, 48, 56, 64 or 96")]
    Length,
    /// Bits 64 to 71 have to be zero.
    #[error("bits 64 to 71 are not zero")]
    ZeroOctet,
}

impl Prefix {
    /// The prefix of a network.
    pub fn new(network: Network) -> Result<Self, PrefixError> {
        let IpAddr::V6(address) = network.address() else { return Err(PrefixError::NotV6) };
        if !LENGTHS.contains(&network.length()) {
            return Err(PrefixError::Length);
        }
        let octets = address.octets();
        if octets[ZERO_OCTET] != 0 {
            return Err(PrefixError::ZeroOctet);
        }
        Ok(Self { octets, length_octets: usize::from(network.length() / 8) })
    }

    /// Whether this is [`WELL_KNOWN`].
    pub fn is_well_known(&self) -> bool {
        self.octets == WELL_KNOWN.octets() && self.length_octets == 12
    }

    /// Where the four octets of an IPv4 address stand.
    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        (self.length_octets..16).filter(|at| *at != ZERO_OCTET).take(4)
    }

    /// The address of an IPv4 host behind the translator.
    pub fn embed(&self, address: Ipv4Addr) -> Ipv6Addr {
        let mut octets = self.octets;
        for (at, octet) in self.places().zip(address.octets()) {
            octets[at] = octet;
        }
        octets.into()
    }

    /// The IPv4 host that an address stands for.
    pub fn extract(&self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let mut found = [0; 4];
        for (at, octet) in self.places().zip(&mut found) {
            *octet = address.octets()[at];
        }
        let found = Ipv4Addr::from(found);
        (self.embed(found) == address).then_some(found)
    }
}

/// For whom and how addresses are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns64 {
    /// One or more; an address is made for each.
    pub prefixes: Vec<Prefix>,
    /// IPv6 addresses that count as none.
    pub exclude: Vec<Network>,
    /// IPv4 addresses that are not written into a prefix.
    pub exclude_v4: Access,
    /// The clients that get them; none means all.
    pub clients: Option<Access>,
}

/// What an answer about IPv6 addresses comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// It stands as it is.
    Stands,
    /// Some of its addresses are excluded.
    Without(Resolution),
    /// There is no IPv6 address; made-up ones are kept for at most so many seconds.
    Absent { ttl_max: u32 },
}

impl Dns64 {
    /// Whether answers to this client are made up.
    pub fn serves(&self, client: IpAddr) -> bool {
        self.clients.as_ref().is_none_or(|clients| clients.allows(client))
    }

    /// What an answer to a question for AAAA records comes to (RFC 6147 sections 5.1.1 to 5.1.4).
    pub(super) fn judge(&self, resolution: &Resolution, ttl: Ttl) -> Finding {
        if resolution.is_negative {
            return match resolution.rcode {
                super::message::rcode::NAME_ERROR => Finding::Stands,
                _ => Finding::Absent { ttl_max: negative_ttl(resolution, ttl) },
            };
        }
        let excluded = |record: &Record| {
            record.rtype == rtype::AAAA && v6(&record.rdata).is_some_and(|a| self.excludes(a))
        };
        let mut answers = resolution.sections.answers();
        if !answers.iter().any(excluded) {
            return Finding::Stands;
        }
        answers.retain(|record| !excluded(record));
        if !answers.iter().any(|record| record.rtype == rtype::AAAA) {
            return Finding::Absent { ttl_max: TTL_SECONDS_MAX };
        }
        let mut facts = resolution.facts.clone();
        for step in &mut facts.steps {
            step.addresses.retain(|a| !matches!(a, IpAddr::V6(v6) if self.excludes(*v6)));
        }
        // What is left is not what was signed.
        answers.retain(|record| !rewrite::is_dnssec(record.rtype));
        let name = question(resolution);
        match Sections::encode(name.as_ref(), &answers, &[]) {
            Ok(sections) => Finding::Without(Resolution {
                sections,
                security: Security::Insecure,
                facts,
                ..resolution.clone()
            }),
            Err(_) => Finding::Stands,
        }
    }

    /// The answer to the same question for A records with their addresses behind the translator;
    /// none where there are no addresses (RFC 6147 section 5.1.7). Times to live have run down
    /// already.
    pub(super) fn synthesize(&self, of: &Resolution, ttl: Ttl, ttl_max: u32) -> Option<Resolution> {
        let (records, _) = rewrite::resolved(of, ttl);
        let mut answers = Vec::with_capacity(records.len());
        let mut made = 0;
        for record in records {
            let Some(address) = v4(&record) else {
                answers.push(record);
                continue;
            };
            for address in self.addresses(address) {
                made += 1;
                answers.push(Record {
                    owner: record.owner.clone(),
                    rtype: rtype::AAAA,
                    ttl: record.ttl.min(ttl_max),
                    rdata: address.octets().into(),
                });
            }
        }
        if made == 0 {
            return None;
        }
        // Policy knows both: the address that is meant and the one that is said.
        let mut facts = of.facts.clone();
        for step in &mut facts.steps {
            let made: Vec<IpAddr> = step
                .addresses
                .iter()
                .filter_map(|address| match address {
                    IpAddr::V4(v4) => Some(self.addresses(*v4).map(IpAddr::V6)),
                    IpAddr::V6(_) => None,
                })
                .flatten()
                .collect();
            step.addresses.extend(made);
        }
        let name = question(of);
        Some(Resolution {
            rcode: of.rcode,
            is_negative: false,
            sections: Sections::encode(name.as_ref(), &answers, &[]).ok()?,
            security: Security::Insecure,
            ttl_seconds: answers.iter().map(|record| record.ttl).min().unwrap_or(0),
            facts,
            extended_errors: of.extended_errors.clone(),
        })
    }

    /// IPv6 addresses for the IPv4 addresses among local data, where it has no IPv6 address.
    pub(super) fn sets(&self, sets: &[RrSet]) -> Option<Vec<RrSet>> {
        if sets.iter().any(|set| set.rtype == rtype::AAAA) {
            return None;
        }
        let set = sets.iter().find(|set| set.rtype == rtype::A)?;
        let mut rdata: Vec<Box<[u8]>> = set
            .rdata
            .iter()
            .filter_map(|rdata| <[u8; 4]>::try_from(&**rdata).ok())
            .flat_map(|octets| self.addresses(octets.into()))
            .map(|address| address.octets().as_slice().into())
            .collect();
        rdata.sort();
        rdata.dedup();
        (!rdata.is_empty()).then(|| vec![RrSet { rtype: rtype::AAAA, ttl: set.ttl, rdata }])
    }

    /// The name whose pointers hold for the name of an address behind the translator (RFC 6147
    /// section 5.3.1).
    pub(super) fn reverse(&self, name: NameRef<'_>) -> Option<Name> {
        let address = address_of(name)?;
        let of = self.prefixes.iter().find_map(|prefix| prefix.extract(address))?;
        let [a, b, c, d] = of.octets();
        Name::from_presentation(&format!("{d}.{c}.{b}.{a}.in-addr.arpa")).ok()
    }

    /// An alias from the name of an address to that of the IPv4 address, and what is known there.
    pub(super) fn pointer(
        &self,
        name: NameRef<'_>,
        target: &Name,
        found: &Resolution,
        ttl: Ttl,
    ) -> Option<Resolution> {
        let (answers, authorities) = rewrite::resolved(found, ttl);
        let alias_ttl = match found.is_negative {
            true => TTL_SECONDS_MAX,
            false => answers.iter().map(|record| record.ttl).min().unwrap_or(TTL_SECONDS_MAX),
        };
        let mut records = vec![rewrite::alias(name, target.as_ref(), alias_ttl)];
        records.extend(answers);
        let mut facts = found.facts.clone();
        if facts.steps.is_empty() {
            facts.steps.push(AnswerStep { name: target.clone(), ..AnswerStep::default() });
        }
        facts.steps.insert(0, AnswerStep { name: name.to_owned(), ..AnswerStep::default() });
        facts.signed = false;
        Some(Resolution {
            sections: Sections::encode(name, &records, &authorities).ok()?,
            security: Security::Insecure,
            facts,
            ..found.clone()
        })
    }

    fn excludes(&self, address: Ipv6Addr) -> bool {
        self.exclude.iter().any(|network| network.contains(address.into()))
    }

    fn addresses(&self, address: Ipv4Addr) -> impl Iterator<Item = Ipv6Addr> + '_ {
        let left_out = self.exclude_v4.allows(address.into()) && !IPV4_ONLY.contains(&address);
        let prefixes = self.prefixes.iter().filter(move |_| !left_out);
        prefixes.map(move |prefix| prefix.embed(address))
    }
}

/// What is known here, as a resolution.
pub(super) fn local(
    name: NameRef<'_>,
    rcode: u16,
    answers: &[Record],
    authorities: &[Record],
) -> Option<Resolution> {
    Some(Resolution {
        rcode,
        is_negative: answers.is_empty(),
        sections: Sections::encode(name, answers, authorities).ok()?,
        security: Security::Insecure,
        ttl_seconds: 0,
        facts: AnswerFacts {
            steps: vec![AnswerStep { name: name.to_owned(), ..AnswerStep::default() }],
            signed: false,
        },
        extended_errors: Vec::new(),
    })
}

/// The time to live of the SOA that a negative answer came with.
fn negative_ttl(resolution: &Resolution, ttl: Ttl) -> u32 {
    let (_, authorities) = rewrite::resolved(resolution, ttl);
    let soa = authorities.iter().find(|record| record.rtype == rtype::SOA);
    soa.map_or(TTL_SECONDS_MAX, |record| record.ttl)
}

fn question(resolution: &Resolution) -> Name {
    resolution.facts.steps.first().map(|step| step.name.clone()).unwrap_or_else(Name::root)
}

fn v4(record: &Record) -> Option<Ipv4Addr> {
    let octets = <[u8; 4]>::try_from(&*record.rdata).ok()?;
    (record.rtype == rtype::A).then(|| octets.into())
}

fn v6(rdata: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(rdata).ok().map(Ipv6Addr::from)
}

/// The address whose name this is, with all 32 digits (RFC 3596 section 2.5).
fn address_of(name: NameRef<'_>) -> Option<Ipv6Addr> {
    let mut labels = name.labels();
    if labels.next()? != b"arpa" || labels.next()? != b"ip6" {
        return None;
    }
    let mut bits = 0;
    let mut count = 0;
    for label in labels {
        let [digit] = label else { return None };
        count += 1;
        if count > 32 {
            return None;
        }
        bits = bits << 4 | u128::from(char::from(*digit).to_digit(16)?);
    }
    (count == 32).then(|| Ipv6Addr::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Result<Prefix, PrefixError> {
        Prefix::new(Network::parse_strict(text).unwrap())
    }

    #[test]
    fn addresses_are_written_as_the_table_of_rfc_6052_section_2_4_has_them() {
        let address = Ipv4Addr::new(192, 0, 2, 33);
        for (text, expected) in [
            ("2001:db8::/32", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
        ] {
            let prefix = prefix(text).unwrap();
            let expected: Ipv6Addr = expected.parse().unwrap();
            assert_eq!(prefix.embed(address), expected, "{text}");
            assert_eq!(prefix.extract(expected), Some(address), "{text}");
            assert_eq!(prefix.extract("2001:db9::1".parse().unwrap()), None, "{text}");
        }
        assert!(prefix("64:ff9b::/96").unwrap().is_well_known());
    }

    #[test]
    fn what_no_translator_has_is_no_prefix() {
        assert_eq!(prefix("192.0.2.0/24"), Err(PrefixError::NotV6));
        assert_eq!(prefix("2001:db8::/33"), Err(PrefixError::Length));
        assert_eq!(prefix("2001:db8:0:0:100::/96"), Err(PrefixError::ZeroOctet));
    }

    #[test]
    fn names_of_addresses_have_all_their_digits() {
        let name = |text: &str| Name::from_presentation(text).unwrap();
        let all = format!("{}ip6.arpa", "0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.".repeat(2));
        let found = address_of(name(&all).as_ref()).unwrap();
        assert_eq!(found.to_string(), "fedc:ba98:7654:3210:fedc:ba98:7654:3210");
        for other in ["ip6.arpa", &all[2..], &format!("0.{all}"), "x.ip6.arpa"] {
            assert_eq!(address_of(name(other).as_ref()), None, "{other}");
        }
    }
}
