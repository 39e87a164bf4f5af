//! A zone as one run of octets, so that it can be mapped from a file and used as it lies.
//!
//! ```text
//! magic "skzone01" · length u64 · checksum u64 of the head (XXH3)
//! head: origin, SOA, counts, effects, three lists of prefixes
//! length u64 · table of query names ([`crate::names`], with a checksum of its own)
//! length u64 · table of nameserver names
//! ```
//!
//! Numbers are little-endian, names in lookup form, and every list carries its length.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{Effect, Rules, Serial, Soa, Zone};
use crate::model::{Action, Name, Network, RrSet, TriggerKind};
use crate::names::{LayoutError, NameTable};

const MAGIC: &[u8; 8] = b"skzone01";

/// Why octets are not a zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OctetsError {
    /// Another kind of file, or another version.
    #[error("not a compiled zone of this version")]
    Magic,
    /// The file ends early, or a length in it is wrong.
    #[error("a compiled zone ends early")]
    Short,
    /// The head is not what was written.
    #[error("the checksum of a compiled zone does not hold")]
    Checksum,
    /// A number in the head stands for nothing.
    #[error("a compiled zone holds an unknown {0}")]
    Unknown(&'static str),
    /// One of the tables is unsound.
    #[error(transparent)]
    Table(#[from] LayoutError),
}

impl Zone {
    /// Writes the zone.
    pub fn write_octets(&self, out: &mut impl Write) -> io::Result<()> {
        let head = self.head_octets();
        out.write_all(MAGIC)?;
        out.write_all(&(head.len() as u64).to_le_bytes())?;
        out.write_all(&xxh3_64(&head).to_le_bytes())?;
        out.write_all(&head)?;
        for table in [self.query_names(), self.nameserver_names()] {
            out.write_all(&(table.size_octets() as u64).to_le_bytes())?;
            out.write_all(table.octets())?;
        }
        Ok(())
    }

    /// Reads a zone. Its tables stay where they lie.
    pub fn from_octets(octets: Bytes) -> Result<Zone, OctetsError> {
        let mut rest = octets;
        if rest.len() < MAGIC.len() || &rest.split_to(MAGIC.len())[..] != MAGIC {
            return Err(OctetsError::Magic);
        }
        let head_octets = take_u64(&mut rest)?;
        let checksum = take_u64(&mut rest)?;
        let head = take(&mut rest, head_octets)?;
        if xxh3_64(&head) != checksum {
            return Err(OctetsError::Checksum);
        }
        let table = |rest: &mut Bytes| {
            let length = take_u64(rest)?;
            Ok::<_, OctetsError>(NameTable::from_octets(take(rest, length)?)?)
        };
        let query_names = table(&mut rest)?;
        let nameserver_names = table(&mut rest)?;
        read_head(&mut Reader(&head), query_names, nameserver_names).map(|r| Zone(Arc::new(r)))
    }

    fn head_octets(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, self.origin().key());
        let soa = self.soa();
        put(&mut out, soa.mname.as_ref().key());
        put(&mut out, soa.rname.as_ref().key());
        for number in [soa.serial.0, soa.refresh, soa.retry, soa.expire, soa.minimum, soa.ttl] {
            put_u32(&mut out, number);
        }
        TriggerKind::ALL.iter().for_each(|&kind| put_count(&mut out, self.count(kind)));
        put_count(&mut out, self.effects().len());
        self.effects().iter().for_each(|effect| put_effect(&mut out, effect));
        for kind in ADDRESS_KINDS {
            let networks = self.networks(kind);
            put_count(&mut out, networks.len());
            for (network, effect) in networks {
                put_network(&mut out, *network);
                put_u32(&mut out, *effect);
            }
        }
        out
    }
}

const ADDRESS_KINDS: [TriggerKind; 3] =
    [TriggerKind::ClientAddress, TriggerKind::AnswerAddress, TriggerKind::NameserverAddress];

fn read_head(
    head: &mut Reader<'_>,
    query_names: NameTable,
    nameserver_names: NameTable,
) -> Result<Rules, OctetsError> {
    let origin = head.name()?;
    let soa = Soa {
        mname: head.name()?,
        rname: head.name()?,
        serial: Serial(head.u32()?),
        refresh: head.u32()?,
        retry: head.u32()?,
        expire: head.u32()?,
        minimum: head.u32()?,
        ttl: head.u32()?,
    };
    let mut counts = [0; 5];
    for count in &mut counts {
        *count = head.u32()? as usize;
    }
    let effects = head.list(Reader::effect)?;
    let mut networks = || head.list(|head| Ok((head.network()?, head.u32()?)));
    Ok(Rules {
        origin,
        soa,
        client_addresses: networks()?,
        answer_addresses: networks()?,
        nameserver_addresses: networks()?,
        effects,
        query_names,
        nameserver_names,
        counts,
    })
}

fn take(rest: &mut Bytes, length: u64) -> Result<Bytes, OctetsError> {
    let length = usize::try_from(length).map_err(|_| OctetsError::Short)?;
    match length <= rest.len() {
        true => Ok(rest.split_to(length)),
        false => Err(OctetsError::Short),
    }
}

fn take_u64(rest: &mut Bytes) -> Result<u64, OctetsError> {
    let octets = take(rest, 8)?;
    Ok(u64::from_le_bytes(octets[..].try_into().expect("eight octets")))
}

fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend(number.to_le_bytes());
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    put_u32(out, u32::try_from(count).expect("counts below 2³²"));
}

fn put(out: &mut Vec<u8>, octets: &[u8]) {
    put_count(out, octets.len());
    out.extend_from_slice(octets);
}

fn put_network(out: &mut Vec<u8>, network: Network) {
    out.push(network.length());
    match network.address() {
        std::net::IpAddr::V4(v4) => {
            out.push(4);
            out.extend(v4.octets());
        }
        std::net::IpAddr::V6(v6) => {
            out.push(6);
            out.extend(v6.octets());
        }
    }
}

fn put_effect(out: &mut Vec<u8>, effect: &Effect) {
    put_u32(out, effect.ttl);
    let (tag, target) = match &effect.action {
        Action::NxDomain => (0, None),
        Action::NoData => (1, None),
        Action::Passthru => (2, None),
        Action::Drop => (3, None),
        Action::TcpOnly => (4, None),
        Action::Redirect(name) => (5, Some(name)),
        Action::RedirectBelow(name) => (6, Some(name)),
        Action::Data(_) => (7, None),
    };
    out.push(tag);
    if let Some(target) = target {
        put(out, target.as_ref().key());
    }
    if let Action::Data(sets) = &effect.action {
        put_count(out, sets.len());
        for set in sets.iter() {
            out.extend(set.rtype.to_le_bytes());
            put_u32(out, set.ttl);
            put_count(out, set.rdata.len());
            set.rdata.iter().for_each(|rdata| put(out, rdata));
        }
    }
}

/// What is left of a head.
struct Reader<'o>(&'o [u8]);

impl<'o> Reader<'o> {
    fn octets(&mut self, length: usize) -> Result<&'o [u8], OctetsError> {
        let (front, rest) = self.0.split_at_checked(length).ok_or(OctetsError::Short)?;
        self.0 = rest;
        Ok(front)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], OctetsError> {
        Ok(self.octets(N)?.try_into().expect("as many octets as were asked for"))
    }

    fn u8(&mut self) -> Result<u8, OctetsError> {
        self.array::<1>().map(|[octet]| octet)
    }

    fn u32(&mut self) -> Result<u32, OctetsError> {
        self.array().map(u32::from_le_bytes)
    }

    fn sized(&mut self) -> Result<&'o [u8], OctetsError> {
        let length = self.u32()? as usize;
        self.octets(length)
    }

    fn name(&mut self) -> Result<Name, OctetsError> {
        self.sized().map(Name::from_key)
    }

    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, OctetsError>,
    ) -> Result<Box<[T]>, OctetsError> {
        let count = self.u32()?;
        (0..count).map(|_| item(self)).collect()
    }

    fn network(&mut self) -> Result<Network, OctetsError> {
        let length = self.u8()?;
        let address = match self.u8()? {
            4 => std::net::IpAddr::from(self.array::<4>()?),
            6 => std::net::IpAddr::from(self.array::<16>()?),
            _ => return Err(OctetsError::Unknown("address family")),
        };
        Network::new(address, length).ok_or(OctetsError::Unknown("prefix length"))
    }

    fn effect(&mut self) -> Result<Effect, OctetsError> {
        let ttl = self.u32()?;
        let action = match self.u8()? {
            0 => Action::NxDomain,
            1 => Action::NoData,
            2 => Action::Passthru,
            3 => Action::Drop,
            4 => Action::TcpOnly,
            5 => Action::Redirect(self.name()?),
            6 => Action::RedirectBelow(self.name()?),
            7 => Action::Data(self.list(Self::rrset)?.into()),
            _ => return Err(OctetsError::Unknown("action")),
        };
        Ok(Effect { action, ttl })
    }

    fn rrset(&mut self) -> Result<RrSet, OctetsError> {
        let rtype = u16::from_le_bytes(self.array()?);
        let ttl = self.u32()?;
        let rdata = self.list(|r| r.sized().map(Box::from))?.into_vec();
        Ok(RrSet { rtype, ttl, rdata })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NamePattern, Rule, Trigger};
    use crate::zone::ZoneBuilder;

    fn sample() -> Zone {
        let name = |text: &str| Name::from_presentation(text).unwrap();
        let data = RrSet { rtype: 1, ttl: 5, rdata: vec![vec![192, 0, 2, 1].into()] };
        let actions = [
            Action::NxDomain,
            Action::NoData,
            Action::Passthru,
            Action::Drop,
            Action::TcpOnly,
            Action::Redirect(name("garden.test")),
            Action::RedirectBelow(name("garden.test")),
            Action::Data([data].into()),
        ];
        let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(9)), 7);
        for (index, action) in actions.into_iter().enumerate() {
            let pattern = NamePattern::exact(name(&format!("n{index}.test")));
            let network = Network::parse_lenient(&format!("2001:db8:{index}::/48")).unwrap();
            for trigger in [
                Trigger::QueryName(pattern.clone()),
                Trigger::NameserverName(pattern),
                Trigger::ClientAddress(network),
                Trigger::AnswerAddress(network),
                Trigger::NameserverAddress(network),
            ] {
                builder.insert(Rule { trigger, action: action.clone(), ttl: 60 });
            }
        }
        builder.finish().0
    }

    #[test]
    fn a_zone_reads_back_as_it_was_written() {
        let zone = sample();
        let mut octets = Vec::new();
        zone.write_octets(&mut octets).unwrap();
        let back = Zone::from_octets(octets.into()).unwrap();
        assert_eq!(back.soa(), zone.soa());
        assert_eq!(back.len(), 40);
        assert!(back.same_rules(&zone));
    }

    #[test]
    fn a_file_cut_short_or_changed_anywhere_is_refused_and_never_panics() {
        let mut octets = Vec::new();
        sample().write_octets(&mut octets).unwrap();
        for end in 0..octets.len() {
            assert!(Zone::from_octets(Bytes::copy_from_slice(&octets[..end])).is_err(), "{end}");
        }
        for at in 0..octets.len() - 64 {
            let mut changed = octets.clone();
            changed[at] ^= 0x10;
            let _ = Zone::from_octets(changed.into());
        }
    }
}
