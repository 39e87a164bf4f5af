//! Zones that every resolver serves itself, so that questions about them never leave the network:
//! special names (RFC 6761 and later registrations) and the reverse zones of private addresses
//! (RFC 6303, RFC 7793); with DNS64 also `ipv4only.arpa` (RFC 8880). Policy zones come before them,
//! and each can be switched off, for instance where an internal server has names for private
//! addresses.

use crate::model::{Name, NameRef, RrSet};
use crate::zone::{Serial, Soa};

use super::dns64::IPV4_ONLY;
use super::message::{rcode, rtype};
use super::reply::SoaWire;

/// DS: what the parent says of a zone, and so not ours to answer at a zone's own name.
const DS: u16 = 43;
/// Seconds that answers may be kept (RFC 6303 section 3).
pub(super) const TTL_SECONDS: u32 = 10_800;

/// What is known below a zone's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Nothing: names below do not exist.
    Empty,
    /// Every name exists and has no data (RFC 9462, of `resolver.arpa`).
    NoData,
    /// Every name is this machine (RFC 6761 section 6.3).
    Loopback,
    /// One name, the reverse of a loopback address, points to `localhost`.
    LocalhostPointer(&'static str),
    /// The zone's own name has records, and no name below it exists (RFC 8880).
    Fixed,
}
use Content::{Empty, Fixed, LocalhostPointer, Loopback, NoData};

/// Zones served unless they are switched off. 16 to 31.172.in-addr.arpa (RFC 6303 section 4.1) and
/// 64 to 127.100.in-addr.arpa (RFC 7793) come on top.
const ZONES: [(&str, Content); 22] = [
    // RFC 6761 sections 6.3 and 6.4, RFC 7686, RFC 8375, RFC 9462.
    ("localhost", Loopback),
    ("invalid", Empty),
    ("onion", Empty),
    ("home.arpa", Empty),
    ("resolver.arpa", NoData),
    // RFC 6303 section 4.1: private addresses.
    ("10.in-addr.arpa", Empty),
    ("168.192.in-addr.arpa", Empty),
    // Section 4.2: special addresses.
    ("0.in-addr.arpa", Empty),
    ("127.in-addr.arpa", LocalhostPointer("1.0.0.127.in-addr.arpa")),
    ("254.169.in-addr.arpa", Empty),
    ("2.0.192.in-addr.arpa", Empty),
    ("100.51.198.in-addr.arpa", Empty),
    ("113.0.203.in-addr.arpa", Empty),
    ("255.255.255.255.in-addr.arpa", Empty),
    // Sections 4.3 to 4.6: `::`, `::1`, local and link-local addresses, documentation.
    ("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", Empty),
    (LOOPBACK_V6, LocalhostPointer(LOOPBACK_V6)),
    ("d.f.ip6.arpa", Empty),
    ("8.e.f.ip6.arpa", Empty),
    ("9.e.f.ip6.arpa", Empty),
    ("a.e.f.ip6.arpa", Empty),
    ("b.e.f.ip6.arpa", Empty),
    ("8.b.d.0.1.0.0.2.ip6.arpa", Empty),
];
const LOOPBACK_V6: &str =
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa";

/// Zones served where they are switched on: their names are for other uses, but laboratories and
/// Windows domains have them in DNS all the same (RFC 6761 section 6.2, RFC 6762 section 22.1,
/// RFC 9476).
const OPTIONAL_ZONES: [&str; 3] = ["test", "local", "alt"];

/// Which zones are served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpecialSettings {
    /// No zone at all.
    pub none: bool,
    /// Zones not served.
    pub off: Vec<Name>,
    /// Zones served besides: `test`, `local` or `alt`.
    pub on: Vec<Name>,
    /// Names with servers of their own: they and all below are asked there, whatever zone they
    /// lie in.
    pub routed: Vec<Name>,
    /// Whether addresses are made for clients that have IPv6 alone: then `ipv4only.arpa` and the
    /// names of its addresses are served here, and not switched off by [`Self::none`] (RFC 8880
    /// section 7.1).
    pub dns64: bool,
    /// The records of `_dns.resolver.arpa`: what listens besides (RFC 9462). Nothing is said where
    /// `resolver.arpa` is not served.
    pub designated: Option<RrSet>,
}

/// A zone that was to be switched on or off and is none of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not one of the zones that can be served locally")]
pub struct UnknownZone(pub Name);

/// The zones served.
#[derive(Debug)]
pub struct SpecialZones {
    /// Sorted; none lies in another.
    zones: Box<[SpecialZone]>,
    /// The last labels of their names.
    tops: Box<[Name]>,
    routed: Box<[Name]>,
    /// What every name below `localhost` has.
    loopback: [RrSet; 2],
}

#[derive(Debug)]
struct SpecialZone {
    name: Name,
    content: Content,
    /// The one name with records, where there is one, and the records.
    owner: Name,
    sets: Vec<RrSet>,
    soa: SoaWire,
    /// SOA and NS.
    apex: [RrSet; 2],
}

/// What a locally served zone says to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialAnswer<'z> {
    /// The zone.
    pub zone: NameRef<'z>,
    /// Its SOA record, for negative answers.
    pub soa: &'z SoaWire,
    /// The zone's SOA and NS records.
    pub apex: &'z [RrSet],
    /// NOERROR or NXDOMAIN.
    pub rcode: u16,
    /// What there is at the name, of any type.
    pub sets: &'z [RrSet],
}

impl SpecialAnswer<'_> {
    /// Whether there is nothing of the type asked for.
    pub fn is_negative(&self, wanted: u16) -> bool {
        !self.sets.iter().any(|set| wanted == rtype::ANY || set.rtype == wanted)
    }
}

impl SpecialZones {
    /// The zones that settings leave.
    pub fn new(settings: &SpecialSettings) -> Result<Self, UnknownZone> {
        let known = default_zones();
        let optional = OPTIONAL_ZONES.map(constant_name);
        if let Some(stranger) = settings.off.iter().find(|n| !known.iter().any(|(k, _)| k == *n)) {
            return Err(UnknownZone(stranger.clone()));
        }
        if let Some(stranger) = settings.on.iter().find(|n| !optional.contains(n)) {
            return Err(UnknownZone(stranger.clone()));
        }
        let on = settings.on.iter().map(|name| (name.clone(), Empty));
        let dns64 = ipv4_only_zones().into_iter().filter(|_| settings.dns64);
        let mut zones: Vec<SpecialZone> = known
            .into_iter()
            .filter(|(name, _)| !settings.none && !settings.off.contains(name))
            .chain(on)
            .map(|(name, content)| SpecialZone::new(name, content))
            .chain(dns64)
            .collect();
        if let Some(zone) =
            zones.iter_mut().find(|zone| zone.name == constant_name("resolver.arpa"))
        {
            zone.owner = constant_name("_dns.resolver.arpa");
            zone.sets = settings.designated.iter().cloned().collect();
        }
        zones.sort_by(|a, b| a.name.cmp(&b.name));
        zones.dedup_by(|a, b| a.name == b.name);
        let mut tops: Vec<Name> =
            zones.iter().map(|zone| zone.name.as_ref().top(1).to_owned()).collect();
        tops.dedup();
        Ok(Self {
            zones: zones.into(),
            tops: tops.into(),
            routed: settings.routed.clone().into(),
            loopback: [
                set(rtype::A, vec![127, 0, 0, 1]),
                set(rtype::AAAA, std::net::Ipv6Addr::LOCALHOST.octets().into()),
            ],
        })
    }

    /// The answer to a question, if its name is in one of the zones.
    pub fn answer(&self, name: NameRef<'_>, wanted: u16) -> Option<SpecialAnswer<'_>> {
        // Nearly all names are told apart by their last label.
        if !self.tops.iter().any(|top| name.is_at_or_below(top.as_ref())) {
            return None;
        }
        let after = self.zones.partition_point(|zone| zone.name.as_ref() <= name);
        let zone = self.zones[..after].last()?;
        let apex = zone.name.as_ref();
        let outside = !name.is_at_or_below(apex) || (name == apex && wanted == DS);
        if outside || self.routed.iter().any(|routed| name.is_at_or_below(routed.as_ref())) {
            return None;
        }
        let sets: &[RrSet] = match zone.content {
            Loopback if matches!(wanted, rtype::SOA | rtype::NS) && name == apex => &zone.apex,
            Loopback => &self.loopback,
            _ if name == apex && matches!(wanted, rtype::SOA | rtype::NS) => &zone.apex,
            _ if name == zone.owner.as_ref() && !zone.sets.is_empty() => &zone.sets,
            _ if name == apex => &zone.apex,
            _ => &[],
        };
        let exists = match zone.content {
            Loopback | NoData => true,
            LocalhostPointer(_) => zone.owner.as_ref().is_at_or_below(name),
            Empty | Fixed => name == apex,
        };
        let rcode = if exists { rcode::NO_ERROR } else { rcode::NAME_ERROR };
        Some(SpecialAnswer { zone: apex, soa: &zone.soa, apex: &zone.apex, rcode, sets })
    }
}

impl SpecialZone {
    fn new(name: Name, content: Content) -> Self {
        // RFC 6303 section 3.
        let soa = Soa {
            mname: name.clone(),
            rname: constant_name("nobody.invalid"),
            serial: Serial(1),
            refresh: 3600,
            retry: 1200,
            expire: 604_800,
            minimum: TTL_SECONDS,
            ttl: TTL_SECONDS,
        };
        let apex = [set(rtype::SOA, soa.to_wire()), set(rtype::NS, name.as_ref().to_wire())];
        let (owner, sets) = match content {
            LocalhostPointer(owner) => {
                let localhost = constant_name("localhost").as_ref().to_wire();
                (constant_name(owner), vec![set(rtype::PTR, localhost)])
            }
            _ => (name.clone(), Vec::new()),
        };
        let soa = SoaWire::new(name.as_ref(), &soa);
        Self { name, content, owner, sets, soa, apex }
    }

    /// A zone whose own name has these records.
    fn fixed(name: &str, sets: Vec<RrSet>) -> Self {
        Self { sets, ..Self::new(constant_name(name), Fixed) }
    }
}

/// `ipv4only.arpa` and the names of its addresses (RFC 7050, RFC 8880).
fn ipv4_only_zones() -> Vec<SpecialZone> {
    let addresses = IPV4_ONLY.map(|address| address.octets().as_slice().into()).to_vec();
    let addresses = RrSet { rtype: rtype::A, ttl: TTL_SECONDS, rdata: addresses };
    let name = "ipv4only.arpa";
    let pointer = || vec![set(rtype::PTR, constant_name(name).as_ref().to_wire())];
    let reverse = IPV4_ONLY.map(|address| {
        let [a, b, c, d] = address.octets();
        SpecialZone::fixed(&format!("{d}.{c}.{b}.{a}.in-addr.arpa"), pointer())
    });
    std::iter::once(SpecialZone::fixed(name, vec![addresses])).chain(reverse).collect()
}

fn default_zones() -> Vec<(Name, Content)> {
    let private = (16..32).map(|n| format!("{n}.172.in-addr.arpa"));
    let shared = (64..128).map(|n| format!("{n}.100.in-addr.arpa"));
    let fixed = ZONES.map(|(name, content)| (constant_name(name), content));
    private.chain(shared).map(|name| (constant_name(&name), Empty)).chain(fixed).collect()
}

fn constant_name(text: &str) -> Name {
    Name::from_presentation(text).expect("a constant name is sound")
}

fn set(rtype: u16, rdata: Vec<u8>) -> RrSet {
    RrSet { rtype, ttl: TTL_SECONDS, rdata: vec![rdata.into()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        constant_name(text)
    }

    /// `zone rcode types`, or nothing where the upstream is to be asked.
    fn asked(settings: &SpecialSettings, text: &str, wanted: u16) -> Option<String> {
        let zones = SpecialZones::new(settings).unwrap();
        let name = name(text);
        let answer = zones.answer(name.as_ref(), wanted)?;
        let types: Vec<u16> = answer
            .sets
            .iter()
            .map(|set| set.rtype)
            .filter(|rtype| *rtype == wanted || wanted == rtype::ANY)
            .collect();
        assert_eq!(types.is_empty(), answer.is_negative(wanted));
        Some(format!("{} {} {types:?}", answer.zone, answer.rcode))
    }

    #[test]
    fn special_names_and_private_reverse_zones_are_answered_here() {
        let loopback = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa";
        for (text, wanted, expected) in [
            ("localhost", rtype::A, "localhost 0 [1]"),
            ("www.localhost", rtype::AAAA, "localhost 0 [28]"),
            ("localhost", 15, "localhost 0 []"),
            ("localhost", rtype::ANY, "localhost 0 [1, 28]"),
            ("localhost", rtype::SOA, "localhost 0 [6]"),
            ("invalid", rtype::A, "invalid 0 []"),
            ("a.b.invalid", rtype::A, "invalid 3 []"),
            ("facebookcorewwwi.onion", rtype::A, "onion 3 []"),
            ("_dns.resolver.arpa", 64, "resolver.arpa 0 []"),
            ("1.2.3.10.in-addr.arpa", rtype::PTR, "10.in-addr.arpa 3 []"),
            ("10.in-addr.arpa", rtype::SOA, "10.in-addr.arpa 0 [6]"),
            ("10.in-addr.arpa", rtype::NS, "10.in-addr.arpa 0 [2]"),
            ("4.20.172.in-addr.arpa", rtype::PTR, "20.172.in-addr.arpa 3 []"),
            ("1.64.100.in-addr.arpa", rtype::PTR, "64.100.in-addr.arpa 3 []"),
            ("1.0.0.127.in-addr.arpa", rtype::PTR, "127.in-addr.arpa 0 [12]"),
            ("0.127.in-addr.arpa", rtype::PTR, "127.in-addr.arpa 0 []"),
            ("2.0.0.127.in-addr.arpa", rtype::PTR, "127.in-addr.arpa 3 []"),
            (loopback, rtype::PTR, &format!("{loopback} 0 [12]")),
            ("1.0.d.f.ip6.arpa", rtype::PTR, "d.f.ip6.arpa 3 []"),
        ] {
            let answer = asked(&SpecialSettings::default(), text, wanted);
            assert_eq!(answer.as_deref(), Some(expected), "{text} {wanted}");
        }
    }

    #[test]
    fn other_names_and_what_the_parent_says_are_not() {
        for (text, wanted) in [
            (".", rtype::NS),
            ("com", rtype::A),
            ("notlocalhost", rtype::A),
            ("localhost.example", rtype::A),
            ("1.32.172.in-addr.arpa", rtype::PTR),
            ("1.128.100.in-addr.arpa", rtype::PTR),
            ("in-addr.arpa", rtype::NS),
            ("10.in-addr.arpa", DS),
            ("www.bad.test", rtype::A),
            ("ipv4only.arpa", rtype::AAAA),
        ] {
            assert_eq!(asked(&SpecialSettings::default(), text, wanted), None, "{text}");
        }
    }

    #[test]
    fn each_zone_can_be_switched_off_and_three_on() {
        let settings = SpecialSettings {
            off: vec![name("10.in-addr.arpa")],
            on: vec![name("test")],
            ..SpecialSettings::default()
        };
        assert_eq!(asked(&settings, "1.10.in-addr.arpa", rtype::PTR), None);
        assert_eq!(asked(&settings, "a.test", rtype::A).as_deref(), Some("test 3 []"));
        let routed = SpecialSettings {
            routed: vec![name("5.10.in-addr.arpa")],
            ..SpecialSettings::default()
        };
        assert_eq!(asked(&routed, "1.5.10.in-addr.arpa", rtype::PTR), None);
        assert!(asked(&routed, "1.6.10.in-addr.arpa", rtype::PTR).is_some());
        let none = SpecialSettings { none: true, ..SpecialSettings::default() };
        assert_eq!(asked(&none, "localhost", rtype::A), None);
        for (off, on) in [(vec![name("example")], vec![]), (vec![], vec![name("localhost")])] {
            let settings = SpecialSettings { off, on, ..SpecialSettings::default() };
            assert!(SpecialZones::new(&settings).is_err());
        }
    }
}
