//! Dumps of routing tables in MRT (RFC 6396, with paths of RFC 8050), as RouteViews and RIPE RIS
//! publish them: TABLE_DUMP, and TABLE_DUMP_V2's IPv4 and IPv6 unicast entries.
//!
//! What is wanted of a record is its prefix and the last AS of each path. The origins of a prefix
//! are ordered by how many paths end there, so that the first one is the one most peers see.
//! Messages, multicast tables and peer lists are counted and passed over. Reading stops where the
//! input does, even inside a record or a broken archive.

mod path;

use std::io::{self, BufRead, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::report::{End, ORIGINS_MAX, Place, Reason, Tally};
use crate::model::Network;

/// The longest record that is read. RFC 6396 allows 4 GiB; the largest in the tables of a hundred
/// peers has some 20 KiB.
const RECORD_OCTETS_MAX: u32 = 16 * 1024 * 1024;

const HEADER_OCTETS: usize = 12;

/// RFC 6396 section 4 and RFC 8050 section 4.
const TABLE_DUMP: u16 = 12;
const TABLE_DUMP_V2: u16 = 13;
const AFI_IPV4: u16 = 1;
const AFI_IPV6: u16 = 2;
const RIB_IPV4_UNICAST: u16 = 2;
const RIB_IPV6_UNICAST: u16 = 4;
const RIB_IPV4_UNICAST_ADDPATH: u16 = 8;
const RIB_IPV6_UNICAST_ADDPATH: u16 = 10;

pub(super) fn read(reader: &mut dyn BufRead, tally: &mut Tally<'_>) {
    let mut dump = Dump { reader, offset: 0 };
    let mut table = Table { tally, pending: None, origins: Votes::default(), path: Vec::new() };
    let mut body = Vec::new();
    while !table.tally.is_full() {
        let start = dump.offset;
        match dump.record(&mut body) {
            Ok(Some(record)) => table.record(start, record, &body),
            Ok(None) => break,
            Err(end) => {
                table.tally.report.end = end;
                break;
            }
        }
    }
    table.flush();
}

/// The head of a record.
struct Record {
    kind: u16,
    subtype: u16,
    length: u32,
}

struct Dump<'r> {
    reader: &'r mut dyn BufRead,
    /// Octets read.
    offset: u64,
}

impl Dump<'_> {
    /// The next record with its body, which is empty if it is too long; none at the end.
    fn record(&mut self, body: &mut Vec<u8>) -> Result<Option<Record>, End> {
        let start = Place::Octet(self.offset);
        let mut head = [0; HEADER_OCTETS];
        match self.fill(&mut head)? {
            0 => return Ok(None),
            HEADER_OCTETS => {}
            _ => return Err(End::CutShort(start)),
        }
        let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let length = u32::from(number(8)) << 16 | u32::from(number(10));
        let record = Record { kind: number(4), subtype: number(6), length };
        body.clear();
        if length > RECORD_OCTETS_MAX {
            return self.skip(length).map(|()| Some(record));
        }
        // Room grows with what is there, not with what a damaged length promises.
        let mut piece = [0; 64 * 1024];
        let mut left = length as usize;
        while left > 0 {
            let wanted = left.min(piece.len());
            let got = self.fill(&mut piece[..wanted])?;
            if got < wanted {
                return Err(End::CutShort(start));
            }
            body.extend_from_slice(&piece[..got]);
            left -= got;
        }
        Ok(Some(record))
    }

    fn skip(&mut self, length: u32) -> Result<(), End> {
        let mut piece = [0; 64 * 1024];
        let mut left = length as usize;
        while left > 0 {
            let wanted = left.min(piece.len());
            if self.fill(&mut piece[..wanted])? < wanted {
                return Err(End::CutShort(Place::Octet(self.offset)));
            }
            left -= wanted;
        }
        Ok(())
    }

    /// Fills the buffer as far as the input goes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, End> {
        let mut filled = 0;
        while filled < buffer.len() {
            match io::Read::read(self.reader, &mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let place = Place::Octet(self.offset + filled as u64);
                    return Err(End::Unreadable(place, error.to_string()));
                }
            }
        }
        self.offset += filled as u64;
        Ok(filled)
    }
}

/// How many paths end at each AS. More AS than [`ORIGINS_MAX`] are left out.
#[derive(Default)]
struct Votes(Vec<(u32, u32)>);

impl Votes {
    fn add(&mut self, origin: u32) {
        match self.0.iter().position(|(known, _)| *known == origin) {
            Some(at) => self.0[at].1 += 1,
            None if self.0.len() < ORIGINS_MAX => self.0.push((origin, 1)),
            None => {}
        }
    }

    /// The origins, the most frequent first, and none left.
    fn take(&mut self) -> Vec<u32> {
        self.0.sort_unstable_by_key(|(origin, votes)| (std::cmp::Reverse(*votes), *origin));
        self.0.drain(..).map(|(origin, _)| origin).collect()
    }
}

struct Table<'t, 'a> {
    tally: &'t mut Tally<'a>,
    /// The prefix whose paths are being counted. TABLE_DUMP has a record for each of them.
    pending: Option<Network>,
    origins: Votes,
    path: Vec<u32>,
}

impl Table<'_, '_> {
    fn record(&mut self, start: u64, record: Record, body: &[u8]) {
        self.tally.report.records += 1;
        let place = Place::Octet(start);
        if record.length > RECORD_OCTETS_MAX {
            return self.tally.reject(place, "", Reason::RecordTooLong(record.length));
        }
        let mut body = Octets(body);
        let read = match (record.kind, record.subtype) {
            (TABLE_DUMP, AFI_IPV4) => self.table_dump::<4>(&mut body),
            (TABLE_DUMP, AFI_IPV6) => self.table_dump::<16>(&mut body),
            (TABLE_DUMP_V2, RIB_IPV4_UNICAST) => self.rib::<4>(&mut body, false),
            (TABLE_DUMP_V2, RIB_IPV6_UNICAST) => self.rib::<16>(&mut body, false),
            (TABLE_DUMP_V2, RIB_IPV4_UNICAST_ADDPATH) => self.rib::<4>(&mut body, true),
            (TABLE_DUMP_V2, RIB_IPV6_UNICAST_ADDPATH) => self.rib::<16>(&mut body, true),
            _ => {
                self.tally.report.other_records += 1;
                Some(())
            }
        };
        if read.is_none() {
            self.tally.reject(place, "", Reason::Record("the record is shorter than its parts"));
        }
    }

    /// RFC 6396 section 4.2: one path of one prefix, its AS numbers of two octets.
    fn table_dump<const N: usize>(&mut self, body: &mut Octets<'_>) -> Option<()> {
        let _view_and_sequence = body.take(4)?;
        let address = body.array::<N>()?;
        let network = network(&address, body.u8()?)?;
        let _status_time_peer = body.take(1 + 4 + N + 2)?;
        let attributes = body.sized()?;
        if self.pending != Some(network) {
            self.flush();
            self.pending = Some(network);
        }
        self.entry(attributes, path::Width::Two);
        Some(())
    }

    /// RFC 6396 section 4.3.2: all paths of one prefix. What stands before damage is kept.
    fn rib<const N: usize>(&mut self, body: &mut Octets<'_>, has_path_ids: bool) -> Option<()> {
        self.flush();
        let _sequence = body.take(4)?;
        let length = body.u8()?;
        let octets =
            body.take(usize::from(length).div_ceil(8)).filter(|octets| octets.len() <= N)?;
        let mut address = [0; N];
        address[..octets.len()].copy_from_slice(octets);
        self.pending = Some(network(&address, length)?);
        let count = u16::from_be_bytes(body.array()?);
        for _ in 0..count {
            let _peer_and_time = body.take(2 + 4)?;
            if has_path_ids {
                body.take(4)?;
            }
            let attributes = body.sized()?;
            self.entry(attributes, path::Width::Four);
        }
        Some(())
    }

    fn entry(&mut self, attributes: &[u8], width: path::Width) {
        self.tally.report.paths += 1;
        self.path.clear();
        if path::origins(attributes, width, &mut self.path).is_none() || self.path.is_empty() {
            self.tally.report.paths_without_origin += 1;
            return;
        }
        for &origin in &self.path {
            if is_reserved(origin) && !self.tally.limits.reserved_origins {
                self.tally.report.reserved_origins += 1;
            } else {
                self.origins.add(origin);
            }
        }
    }

    /// Hands on the prefix in hand.
    fn flush(&mut self) {
        let origins = self.origins.take();
        if let Some(network) = self.pending.take() {
            self.tally.route(network, &origins);
        }
    }
}

/// Whether nobody may announce prefixes to the Internet from this AS: 0 (RFC 7607), AS_TRANS (RFC
/// 6793), documentation (RFC 5398), private use (RFC 6996), last numbers (RFC 7300), and the block
/// that IANA keeps after 65551.
fn is_reserved(system: u32) -> bool {
    matches!(system, 0 | 23456 | 64496..=131_071 | 4_200_000_000..)
}

fn network(address: &[u8], length: u8) -> Option<Network> {
    match <[u8; 4]>::try_from(address) {
        Ok(octets) => Network::new(Ipv4Addr::from(octets).into(), length),
        Err(_) => {
            let octets = <[u8; 16]>::try_from(address).ok()?;
            Network::new(Ipv6Addr::from(octets).into(), length)
        }
    }
}

/// What is left of a record.
pub(super) struct Octets<'o>(pub &'o [u8]);

impl<'o> Octets<'o> {
    fn take(&mut self, count: usize) -> Option<&'o [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[octet]| octet)
    }

    /// Octets behind their length in two octets.
    fn sized(&mut self) -> Option<&'o [u8]> {
        let length = u16::from_be_bytes(self.array()?);
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests;
