//! MaxMind DB 2.0 (<https://maxmind.github.io/MaxMind-DB/>): a binary tree over the bits of an
//! address, whose leaves point to typed records.
//!
//! Read here and not by the `maxminddb` crate, because a damaged or hostile tree may lead to the same
//! node on many ways, and walking all of them would not end: a sound tree has each node once, so the
//! walk stops when it has seen more. Of a record, the AS number and name are wanted:
//! `autonomous_system_number` and `autonomous_system_organization` as MaxMind writes them, or `asn`
//! (`"AS64496"`) and `as_name` as IPinfo does.

use std::collections::BTreeMap;
use std::io::{BufRead, Read as _};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::report::{End, Place, Reason, Tally, as_number};
use crate::model::Network;

const METADATA_MARK: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// Between the tree and the data.
const SEPARATOR_OCTETS: usize = 16;
/// Values that one record may have: those about cities have some two hundred.
const RECORD_VALUES_MAX: usize = 10_000;

pub(super) fn read(reader: &mut dyn BufRead, tally: &mut Tally<'_>) {
    let mut document = Vec::new();
    let max = tally.limits.document_octets_max;
    if let Err(error) = reader.take(max + 1).read_to_end(&mut document) {
        let place = Place::Octet(document.len() as u64);
        return tally.report.end = End::Unreadable(place, error.to_string());
    }
    let whole = document.len() as u64 <= max;
    let tree = whole.then(|| Tree::open(&document)).flatten();
    let Some(tree) = tree else {
        let why = match whole {
            true => "not a MaxMind DB with a tree and metadata".to_owned(),
            false => format!("longer than {max} octets"),
        };
        return tally.reject(Place::Octet(0), "", Reason::Document(why));
    };
    if let Err(at) = tree.walk(tally) {
        tally.reject(Place::Octet(at), "", Reason::Record("the search tree is damaged"));
        tally.report.end = End::CutShort(Place::Octet(at));
    }
}

struct Tree<'d> {
    nodes: &'d [u8],
    node_count: usize,
    record_bits: usize,
    address_bits: u8,
    /// The node of `::/96` in a tree of IPv6, where IPv4 lies; other ways to it are aliases.
    ipv4_start: Option<usize>,
    data: Data<'d>,
}

/// A way from the root: a record, and the bits that lead to it.
#[derive(Clone, Copy)]
struct Way {
    record: usize,
    bits: u128,
    depth: u8,
}

impl<'d> Tree<'d> {
    fn open(document: &'d [u8]) -> Option<Self> {
        let mark = memchr::memmem::rfind(document, METADATA_MARK)?;
        let metadata = Data(&document[mark + METADATA_MARK.len()..]);
        let number = |key| usize::try_from(metadata.field(0, key)?.number()?).ok();
        let (node_count, record_bits) = (number("node_count")?, number("record_size")?);
        let address_bits = match number("ip_version")? {
            4 => 32,
            6 => 128,
            _ => return None,
        };
        if !matches!(record_bits, 24 | 28 | 32) {
            return None;
        }
        let tree_octets = node_count.checked_mul(record_bits / 4)?;
        let nodes = document.get(..tree_octets)?;
        let data_at = tree_octets.checked_add(SEPARATOR_OCTETS)?;
        let data = Data(document.get(data_at..mark)?);
        let mut tree =
            Self { nodes, node_count, record_bits, address_bits, ipv4_start: None, data };
        if address_bits == 128 {
            let mut node = 0;
            for _ in 0..96 {
                if node < node_count {
                    node = tree.record(node, 0);
                }
            }
            tree.ipv4_start = (node < node_count).then_some(node);
        }
        Some(tree)
    }

    /// The record on the left (0) or right (1) of a node.
    fn record(&self, node: usize, side: usize) -> usize {
        let octets = self.record_bits / 4;
        let node = &self.nodes[node * octets..][..octets];
        let number = |octets: &[u8]| octets.iter().fold(0, |n, o| n << 8 | usize::from(*o));
        match self.record_bits {
            // The octet in the middle holds the highest four bits of both.
            28 if side == 0 => usize::from(node[3] >> 4) << 24 | number(&node[..3]),
            28 => usize::from(node[3] & 15) << 24 | number(&node[4..]),
            _ => number(&node[side * octets / 2..][..octets / 2]),
        }
    }

    /// Hands on all networks with an AS. An error is the octet of the node where the tree is
    /// damaged.
    fn walk(&self, tally: &mut Tally<'_>) -> Result<(), u64> {
        let mut known = BTreeMap::new();
        let mut ways = vec![Way { record: 0, bits: 0, depth: 0 }];
        let mut nodes_seen = 0;
        while let Some(way) = ways.pop() {
            if tally.is_full() {
                return Ok(());
            }
            if way.record >= self.node_count {
                self.leaf(way, &mut known, tally);
                continue;
            }
            if self.ipv4_start == Some(way.record) && way.bits != 0 {
                continue;
            }
            nodes_seen += 1;
            if way.depth == self.address_bits || nodes_seen > self.node_count {
                return Err((way.record * self.record_bits / 4) as u64);
            }
            let depth = way.depth + 1;
            let right = way.bits | 1 << (self.address_bits - depth);
            ways.push(Way { record: self.record(way.record, 1), bits: right, depth });
            ways.push(Way { record: self.record(way.record, 0), depth, ..way });
        }
        Ok(())
    }

    fn leaf(&self, way: Way, known: &mut BTreeMap<usize, Option<u32>>, tally: &mut Tally<'_>) {
        if way.record == self.node_count {
            return;
        }
        tally.report.records += 1;
        let offset = way.record - self.node_count;
        let origin = *known.entry(offset).or_insert_with(|| {
            let (system, name) = self.data.system(offset.checked_sub(SEPARATOR_OCTETS)?)?;
            tally.name(system, name.unwrap_or_default());
            Some(system)
        });
        match (origin, self.network(way)) {
            (Some(origin), Some(network)) => tally.route(network, &[origin]),
            _ => tally.report.other_records += 1,
        }
    }

    fn network(&self, way: Way) -> Option<Network> {
        let low = u32::try_from(way.bits);
        match (self.address_bits, way.depth, low) {
            (32, length, Ok(low)) => Network::new(Ipv4Addr::from_bits(low).into(), length),
            (_, 96.., Ok(low)) if self.ipv4_start.is_some() => {
                Network::new(Ipv4Addr::from_bits(low).into(), way.depth - 96)
            }
            _ => Network::new(Ipv6Addr::from_bits(way.bits).into(), way.depth),
        }
    }
}

/// The data section, or the metadata, in which pointers count from the first octet.
#[derive(Clone, Copy)]
struct Data<'d>(&'d [u8]);

/// Types of values that are told apart here.
const POINTER: u8 = 1;
const TEXT: u8 = 2;
const MAP: u8 = 7;
const ARRAY: u8 = 11;
const BOOLEAN: u8 = 14;

/// A value that is no pointer.
struct Value<'d> {
    kind: u8,
    size: usize,
    /// What follows its head.
    rest: &'d [u8],
}

impl<'d> Value<'d> {
    fn text(&self) -> Option<&'d str> {
        let octets = self.rest.get(..self.size)?;
        (self.kind == TEXT).then(|| std::str::from_utf8(octets).ok())?
    }

    /// An unsigned number of at most 64 bits: types 5 (16 bits), 6 (32), 9 (64).
    fn number(&self) -> Option<u64> {
        let octets = self.rest.get(..self.size)?;
        let fits = matches!(self.kind, 5 | 6 | 9) && self.size <= 8;
        fits.then(|| octets.iter().fold(0, |n, o| n << 8 | u64::from(*o)))
    }
}

impl<'d> Data<'d> {
    /// The type, size and first octet of the value at an offset. For a pointer the size is where it
    /// points.
    fn head(&self, at: usize) -> Option<(u8, usize, usize)> {
        let octet = |at: usize| self.0.get(at).copied().map(usize::from);
        let control = octet(at)?;
        let mut at = at + 1;
        let number = |from: usize, count: usize| {
            let octets = self.0.get(from..from + count)?;
            Some(octets.iter().fold(0, |n, o| n << 8 | usize::from(*o)))
        };
        if control >> 5 == usize::from(POINTER) {
            let (count, high) = (1 + (control >> 3 & 3), control & 7);
            let low = number(at, count)?;
            let target = match count {
                1 => high << 8 | low,
                2 => (high << 16 | low) + 2048,
                3 => (high << 24 | low) + 526_336,
                _ => low,
            };
            return Some((POINTER, target, at + count));
        }
        let mut kind = (control >> 5) as u8;
        if kind == 0 {
            kind = u8::try_from(octet(at)?).ok()?.checked_add(7)?;
            at += 1;
        }
        let (base, count) = match control & 31 {
            29 => (29, 1),
            30 => (285, 2),
            31 => (65_821, 3),
            size => (size, 0),
        };
        Some((kind, base + number(at, count)?, at + count))
    }

    /// The value at an offset, behind at most one pointer: there are none to pointers.
    fn value(&self, at: usize) -> Option<Value<'d>> {
        let (mut kind, mut size, mut at) = self.head(at)?;
        if kind == POINTER {
            (kind, size, at) = self.head(size)?;
        }
        (kind != POINTER).then_some(Value { kind, size, rest: self.0.get(at..)? })
    }

    /// The offset after the value at an offset.
    fn after(&self, at: usize) -> Option<usize> {
        let (mut at, mut values) = (at, 1usize);
        for _ in 0..RECORD_VALUES_MAX {
            if values == 0 {
                return Some(at);
            }
            let (kind, size, next) = self.head(at)?;
            values = (values - 1).checked_add(match kind {
                MAP => size.checked_mul(2)?,
                ARRAY => size,
                _ => 0,
            })?;
            at = match kind {
                POINTER | MAP | ARRAY | BOOLEAN => next,
                _ => next.checked_add(size)?,
            };
        }
        None
    }

    /// The value of a key in the map at an offset.
    fn field(&self, at: usize, wanted: &str) -> Option<Value<'d>> {
        let map = self.value(at)?;
        if map.kind != MAP {
            return None;
        }
        let mut at = self.0.len() - map.rest.len();
        for _ in 0..map.size.min(RECORD_VALUES_MAX) {
            let value_at = self.after(at)?;
            if self.value(at)?.text() == Some(wanted) {
                return self.value(value_at);
            }
            at = self.after(value_at)?;
        }
        None
    }

    /// The AS of the record at an offset, with its name.
    fn system(&self, at: usize) -> Option<(u32, Option<&'d str>)> {
        if let Some(number) = self.field(at, "autonomous_system_number") {
            let name = self.field(at, "autonomous_system_organization");
            return Some((
                u32::try_from(number.number()?).ok()?,
                name.and_then(|name| name.text()),
            ));
        }
        let number = self.field(at, "asn")?;
        let number = match number.text() {
            Some(text) => as_number(text).ok()?,
            None => u32::try_from(number.number()?).ok()?,
        };
        Some((number, self.field(at, "as_name").and_then(|name| name.text())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::super::{End, Format, Limits, read};
    use super::*;

    /// A tree of 24-bit records for IPv4 with these nodes and data.
    fn document(nodes: &[[u32; 2]], data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for record in nodes.iter().flatten() {
            out.extend_from_slice(&record.to_be_bytes()[1..]);
        }
        out.extend([0; SEPARATOR_OCTETS]);
        out.extend_from_slice(data);
        out.extend_from_slice(METADATA_MARK);
        out.extend([0xe3]);
        for (key, value) in
            [("node_count", nodes.len() as u8), ("record_size", 24), ("ip_version", 4)]
        {
            out.push(0x40 | key.len() as u8);
            out.extend_from_slice(key.as_bytes());
            out.extend([0xa1, value]);
        }
        out
    }

    /// `{"asn": "AS64496", "as_name": "EX"}`.
    fn ipinfo() -> Vec<u8> {
        [&b"\xe2\x43asn\x47AS64496\x47as_name\x42EX"[..]].concat()
    }

    #[test]
    fn records_of_both_kinds_are_read_and_networks_without_an_as_counted() {
        let first = ipinfo();
        let second = b"\xe1\x58autonomous_system_number\xc2\xfb\xf1";
        let other = b"\xe1\x42xx\x42yy";
        let at = |offset: usize| (2 + SEPARATOR_OCTETS + offset) as u32;
        let nodes = [[1, at(0)], [at(first.len()), at(first.len() + second.len())]];
        let data = [&first[..], second, other].concat();
        let (items, report) = shown(Format::Mmdb, &document(&nodes, &data));
        assert_eq!(items, "0.0.0.0/2 64497, 64496 = EX, 128.0.0.0/1 64496");
        assert_eq!((report.records, report.routes, report.other_records), (3, 2, 1));
        assert_eq!(report.end, End::Complete);
    }

    #[test]
    fn a_tree_that_leads_to_one_node_on_many_ways_ends() {
        // Each node leads to the next one on both sides: 2³² ways to nothing.
        let nodes: Vec<[u32; 2]> = (1..=31).map(|next| [next, next]).collect();
        let (items, report) = shown(Format::Mmdb, &document(&nodes, &ipinfo()));
        assert_eq!(items, "");
        assert!(matches!(report.end, End::CutShort(_)), "{report:?}");
        let (_, report) = shown(Format::Mmdb, &document(&[[0, 0]], &ipinfo()));
        assert_eq!(report.rejects[0].reason, Reason::Record("the search tree is damaged"));
    }

    #[test]
    fn sizes_and_pointers_of_all_lengths_are_read() {
        for (octets, expected) in [
            (&[0x5d, 5][..], (TEXT, 34, 2)),
            (&[0x5e, 1, 0], (TEXT, 541, 3)),
            (&[0x5f, 0, 1, 0], (TEXT, 66_077, 4)),
            (&[0x04, 4], (ARRAY, 4, 2)),
            (&[0x21, 2], (POINTER, 258, 2)),
            (&[0x29, 0, 1], (POINTER, 65_536 + 1 + 2048, 3)),
            (&[0x30, 0, 0, 1], (POINTER, 526_337, 4)),
            (&[0x38, 0, 0, 1, 0], (POINTER, 256, 5)),
        ] {
            assert_eq!(Data(octets).head(0), Some(expected), "{octets:?}");
        }
        assert!(Data(&[0x20, 0]).value(0).is_none(), "a pointer to itself");
    }

    #[test]
    fn a_document_cut_or_changed_anywhere_never_panics() {
        let at = (2 + SEPARATOR_OCTETS) as u32;
        let sound = document(&[[1, at], [at, 2]], &ipinfo());
        for octet in 0..sound.len() {
            for flip in [1, 0x10, 0xff] {
                let mut damaged = sound.clone();
                damaged[octet] ^= flip;
                shown(Format::Mmdb, &damaged);
            }
            shown(Format::Mmdb, &sound[..octet]);
        }
        let limits = Limits { document_octets_max: 10, ..Limits::default() };
        let report = read(Format::Mmdb, &mut &sound[..], &limits, &mut |_| ());
        assert_eq!(report.rejects[0].reason, Reason::Document("longer than 10 octets".into()));
    }
}
