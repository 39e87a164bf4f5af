//! How a table lies in octets, and the search where it lies.
//!
//! ```text
//! magic "skroute1", checksum and lengths as in [`super::super::octets`], then eight sections:
//! IPv4  index    65,537 × u32: how many prefixes start below bucket 0, 1, … (highest 16 bits)
//!       starts   first addresses, u32 each, ascending; the wider of equal ones first
//!       rows     length u8, parent u32 (or 2³²−1), set u32: nine octets a prefix
//! IPv6  index, starts (u128), rows: likewise
//! sets  offsets  u32 a set, and the end: where it starts among the members
//!       members  AS numbers, u32
//! ```
//!
//! The index is absent where a family has no prefixes. 13 octets an IPv4 prefix, 25 an IPv6 prefix,
//! and half a megabyte for both indexes.

use bytes::Bytes;

use super::RouteTable;
use crate::bgp::family::Number;
use crate::bgp::octets::{Kind, OctetsError, read_u32};

pub(super) const KIND: Kind = Kind { magic: b"skroute1", name: "route table" };
pub(super) const BUCKETS: usize = 1 << 16;
pub(super) const ROW_OCTETS: usize = 9;
/// The parent of a prefix that no other one holds.
pub(super) const NO_PARENT: u32 = u32::MAX;

/// The prefixes of one family.
#[derive(Clone)]
pub(in crate::bgp) struct Side {
    pub count: u32,
    index: Bytes,
    starts: Bytes,
    rows: Bytes,
}

/// What stands beside the first address of a prefix.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub length: u8,
    parent: u32,
    pub set: u32,
}

impl Row {
    pub fn parent(self) -> Option<u32> {
        (self.parent != NO_PARENT).then_some(self.parent)
    }
}

pub(super) fn read(octets: Bytes) -> Result<RouteTable, OctetsError> {
    let [index4, starts4, rows4, index6, starts6, rows6, offsets, members] = KIND.split(&octets)?;
    let sets = (offsets.len() / 4).checked_sub(1).ok_or(KIND.shape())?;
    let bounds: Vec<u32> = offsets.chunks_exact(4).map(|octets| read_u32(octets, 0)).collect();
    let ascending = bounds.is_sorted_by(|a, b| a < b) && bounds[0] == 0;
    if !ascending || bounds[sets] as usize * 4 != members.len() {
        return Err(KIND.shape());
    }
    let v4 = Side::new::<u32>(index4, starts4, rows4, sets).ok_or(KIND.shape())?;
    let v6 = Side::new::<u128>(index6, starts6, rows6, sets).ok_or(KIND.shape())?;
    Ok(RouteTable { octets, v4, v6, offsets, members })
}

impl Side {
    /// The prefixes in three sections, unless a search in them could go astray.
    fn new<N: Number>(index: Bytes, starts: Bytes, rows: Bytes, sets: usize) -> Option<Self> {
        let count = u32::try_from(starts.len() / N::OCTETS).ok()?;
        let side = Self { count, index, starts, rows };
        let buckets = if count == 0 { 0 } else { BUCKETS + 1 };
        let fits = side.starts.len() == count as usize * N::OCTETS
            && side.rows.len() == count as usize * ROW_OCTETS
            && side.index.len() == buckets * 4
            && (1..buckets).all(|bucket| side.bucket(bucket - 1) <= side.bucket(bucket))
            && (buckets == 0 || (side.bucket(0), side.bucket(BUCKETS)) == (0, count))
            && (0..count).all(|position| {
                let row = side.row(position);
                let inside = row.parent().is_none_or(|parent| parent < position);
                inside && row.length <= N::BITS && (row.set as usize) < sets
            });
        fits.then_some(side)
    }

    fn bucket(&self, bucket: usize) -> u32 {
        read_u32(&self.index, bucket * 4)
    }

    /// The first address of the prefix at a position.
    #[inline]
    pub fn start<N: Number>(&self, position: u32) -> N {
        N::read(&self.starts, position as usize * N::OCTETS)
    }

    /// The last address of the prefix at a position.
    #[inline]
    pub fn end<N: Number>(&self, position: u32) -> N {
        self.start::<N>(position).end(self.row(position).length)
    }

    #[inline]
    pub(super) fn row(&self, position: u32) -> Row {
        let row = &self.rows[position as usize * ROW_OCTETS..][..ROW_OCTETS];
        Row { length: row[0], parent: read_u32(row, 1), set: read_u32(row, 5) }
    }

    /// How many prefixes start at or before an address.
    #[inline]
    pub fn started<N: Number>(&self, address: N) -> u32 {
        if self.count == 0 {
            return 0;
        }
        let mut low = self.bucket(address.top());
        let mut high = self.bucket(address.top() + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.start::<N>(middle) <= address {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// The most specific prefix that holds an address.
    #[inline]
    pub fn lookup<N: Number>(&self, address: N) -> Option<u32> {
        self.holder(self.started(address), address)
    }

    /// Of the prefixes before `started`, all of which start at or before `address`, the most
    /// specific one that holds it. What holds the address and started earlier than the last prefix
    /// also holds that prefix, so it is one of those around it.
    #[inline]
    pub fn holder<N: Number>(&self, started: u32, address: N) -> Option<u32> {
        let mut position = started.checked_sub(1)?;
        while address > self.end(position) {
            position = self.row(position).parent()?;
        }
        Some(position)
    }

    /// The most specific prefix that holds all of the prefix at `start`.
    pub fn covering<N: Number>(&self, start: N, length: u8) -> Option<u32> {
        let mut position = self.lookup(start)?;
        while self.row(position).length > length {
            position = self.row(position).parent()?;
        }
        Some(position)
    }

    /// Cuts the addresses from `first` to `last` where the most specific prefix changes, and hands
    /// each piece on with the position of that prefix, or none where nothing is announced.
    pub fn pieces<N: Number>(&self, first: N, last: N, piece: &mut impl FnMut(Option<u32>, N, N)) {
        let mut at = first;
        loop {
            let started = self.started(at);
            let holder = self.holder(started, at);
            let mut end = holder.map_or(last, |position| last.min(self.end(position)));
            if started < self.count && self.start::<N>(started) <= end {
                end = self.start::<N>(started).previous();
            }
            piece(holder, at, end);
            if end >= last {
                return;
            }
            at = end.next();
        }
    }
}
