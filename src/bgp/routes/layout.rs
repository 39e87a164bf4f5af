//! How a table lies in octets, and the search where it lies.
//!
//! ```text
//! magic "skroute1", checksum and lengths as in [`super::super::octets`], then eight sections:
//! IPv4  index     65,537 × u32: how many prefixes start in front of bucket 0, 1, …
//!       signposts first address of every 16th prefix, u32 each; then of every 256th, and so on to
//!                 a level of at most 16
//!       rows      first address u32, length u8, link u32, origin u32: 13 octets a prefix, ascending
//!                 by address, the wider of equal ones first
//! IPv6  index, signposts (u128), rows (25 octets): likewise
//! sets  offsets   u32 a set, and the end: where it starts among the members
//!       members   AS numbers, u32
//! ```
//!
//! A link is the position of the next wider prefix around this one, or 2³¹−1 for none; its highest
//! bit says that there are several origins. `origin` is the AS number, or the number of the set. The
//! index is absent where a family has no prefixes.
//!
//! A search looks up the bucket of an address (sixteen bits of it) and counts how many of the
//! prefixes there start at or before the address. An IPv4 bucket has some fifteen prefixes. For IPv6
//! one bucket may have an eighth of all, so the search goes down through signposts, sixteen
//! neighbours at a time. Sixteen comparisons that do not depend on each other take less time than
//! four that do.

use bytes::Bytes;
use smallvec::SmallVec;

use super::{Origins, RouteTable};
use crate::bgp::family::Number;
use crate::bgp::octets::{Kind, OctetsError, read_u32};

pub(super) const KIND: Kind = Kind { magic: b"skroute1", name: "route table" };
pub(super) const BUCKETS: usize = 1 << 16;
/// Neighbours that are counted at once, and prefixes between two signposts of the lowest level.
const FAN_OUT: usize = 16;
/// The link of a prefix that no other one holds.
pub(super) const NO_PARENT: u32 = u32::MAX >> 1;
pub(super) const SEVERAL_ORIGINS: u32 = 1 << 31;

/// What follows the first address in a row.
const LENGTH_OCTETS: usize = 1;
const LINK_OCTETS: usize = 4;
const ORIGIN_OCTETS: usize = 4;

/// The prefixes of one family.
#[derive(Clone)]
pub(in crate::bgp) struct Side {
    pub count: u32,
    index: Bytes,
    signposts: Bytes,
    /// Where each level of signposts starts and ends, in signposts; the lowest first.
    levels: SmallVec<[(usize, usize); 6]>,
    rows: Bytes,
}

/// Where each level of the signposts of `count` prefixes starts and ends.
fn levels(count: usize) -> SmallVec<[(usize, usize); 6]> {
    let (mut levels, mut start, mut below) = (SmallVec::new(), 0, count);
    while below > FAN_OUT {
        below = below.div_ceil(FAN_OUT);
        levels.push((start, start + below));
        start += below;
    }
    levels
}

/// The signposts of prefixes that start at `starts`.
pub(super) fn signposts<N: Number>(starts: &[N]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut every, mut below) = (1, starts.len());
    while below > FAN_OUT {
        every *= FAN_OUT;
        below = below.div_ceil(FAN_OUT);
        starts.iter().step_by(every).for_each(|start| start.write(&mut out));
    }
    out
}

const fn row_octets<N: Number>() -> usize {
    N::OCTETS + LENGTH_OCTETS + LINK_OCTETS + ORIGIN_OCTETS
}

/// Appends a row.
pub(super) fn write_row<N: Number>(
    (start, length): (N, u8),
    link: u32,
    origin: u32,
    out: &mut Vec<u8>,
) {
    start.write(out);
    out.push(length);
    out.extend(link.to_le_bytes());
    out.extend(origin.to_le_bytes());
}

pub(super) fn read(octets: Bytes) -> Result<RouteTable, OctetsError> {
    let [index4, posts4, rows4, index6, posts6, rows6, offsets, members] = KIND.split(&octets)?;
    let bounds: Vec<u32> = offsets.chunks_exact(4).map(|octets| read_u32(octets, 0)).collect();
    let sets = bounds.len().checked_sub(1).ok_or(KIND.shape())?;
    let ascending = bounds[0] == 0 && bounds.is_sorted_by(|a, b| a < b);
    if !ascending || bounds[sets] as usize * 4 != members.len() {
        return Err(KIND.shape());
    }
    let v4 = Side::new::<u32>([index4, posts4, rows4], sets).ok_or(KIND.shape())?;
    let v6 = Side::new::<u128>([index6, posts6, rows6], sets).ok_or(KIND.shape())?;
    Ok(RouteTable { octets, v4, v6, offsets, members })
}

impl Side {
    /// The prefixes in three sections, unless a search in them could go astray.
    fn new<N: Number>([index, signposts, rows]: [Bytes; 3], sets: usize) -> Option<Self> {
        let count = u32::try_from(rows.len() / row_octets::<N>()).ok()?;
        let side = Self { count, index, signposts, levels: levels(count as usize), rows };
        let signposts = side.levels.last().map_or(0, |(_, end)| *end);
        let buckets = if count == 0 { 0 } else { BUCKETS + 1 };
        let fits = side.rows.len() == count as usize * row_octets::<N>()
            && side.signposts.len() == signposts * N::OCTETS
            && side.index.len() == buckets * 4
            && (1..buckets).all(|bucket| side.bucket(bucket - 1) <= side.bucket(bucket))
            && (buckets == 0 || (side.bucket(0), side.bucket(BUCKETS)) == (0, count as usize))
            && (0..count).all(|position| {
                let inside = side.parent::<N>(position).is_none_or(|parent| parent < position);
                let origin = side.origin::<N>(position);
                let known = origin.is_ok() || origin.is_err_and(|set| (set as usize) < sets);
                inside && known && side.length::<N>(position) <= N::BITS
            });
        fits.then_some(side)
    }

    #[inline]
    fn bucket(&self, bucket: usize) -> usize {
        read_u32(&self.index, bucket * 4) as usize
    }

    #[inline]
    fn row<N: Number>(&self, position: u32) -> &[u8] {
        &self.rows[position as usize * row_octets::<N>()..][..row_octets::<N>()]
    }

    /// The first address of the prefix at a position.
    #[inline]
    pub fn start<N: Number>(&self, position: u32) -> N {
        N::read(self.row::<N>(position), 0)
    }

    /// The length of the prefix at a position.
    #[inline]
    pub fn length<N: Number>(&self, position: u32) -> u8 {
        self.row::<N>(position)[N::OCTETS]
    }

    /// The last address of the prefix at a position.
    #[inline]
    pub fn end<N: Number>(&self, position: u32) -> N {
        self.start::<N>(position).end(self.length::<N>(position))
    }

    /// The next wider prefix around the one at a position.
    #[inline]
    pub fn parent<N: Number>(&self, position: u32) -> Option<u32> {
        let link = self.link::<N>(position) & !SEVERAL_ORIGINS;
        (link != NO_PARENT).then_some(link)
    }

    fn link<N: Number>(&self, position: u32) -> u32 {
        read_u32(self.row::<N>(position), N::OCTETS + LENGTH_OCTETS)
    }

    /// The one origin of the prefix at a position, or the number of a set of them.
    #[inline]
    pub fn origin<N: Number>(&self, position: u32) -> Result<Origins<'_>, u32> {
        let octets = &self.row::<N>(position)[N::OCTETS + LENGTH_OCTETS + LINK_OCTETS..];
        match self.link::<N>(position) & SEVERAL_ORIGINS {
            0 => Ok(Origins(octets)),
            _ => Err(read_u32(octets, 0)),
        }
    }

    /// How many prefixes start at or before an address.
    #[inline]
    pub fn started<N: Number>(&self, address: N) -> u32 {
        if self.count == 0 {
            return 0;
        }
        let bucket = address.bucket();
        let (mut low, mut high) = (self.bucket(bucket), self.bucket(bucket + 1));
        if high - low > 2 * FAN_OUT {
            let Some(before) = self.signpost_before(low, high, address) else { return low as u32 };
            low = before * FAN_OUT;
            high = (self.count as usize).min(low + FAN_OUT);
        }
        let neighbours = low * row_octets::<N>()..high * row_octets::<N>();
        (low + count_before(&self.rows[neighbours], row_octets::<N>(), address)) as u32
    }

    /// Of the prefixes from `low` to `high`, more than a few, the last signpost on the lowest level
    /// at or before an address; none if the address comes before them all.
    #[inline]
    fn signpost_before<N: Number>(&self, low: usize, high: usize, address: N) -> Option<usize> {
        let (mut level, mut first, mut last) = (0, low / FAN_OUT, (high - 1) / FAN_OUT);
        while last - first > FAN_OUT {
            (level, first, last) = (level + 1, first / FAN_OUT, last / FAN_OUT);
        }
        loop {
            let (start, end) = self.levels[level];
            let neighbours = (start + first) * N::OCTETS..end.min(start + last + 1) * N::OCTETS;
            let before = count_before(&self.signposts[neighbours], N::OCTETS, address);
            let passed = (first + before).checked_sub(1).filter(|_| before > 0)?;
            if level == 0 {
                return Some(passed);
            }
            (level, first, last) = (level - 1, passed * FAN_OUT, passed * FAN_OUT + FAN_OUT - 1);
        }
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
            position = self.parent::<N>(position)?;
        }
        Some(position)
    }

    /// The most specific prefix that holds all of the prefix at `start`.
    pub fn covering<N: Number>(&self, start: N, length: u8) -> Option<u32> {
        let mut position = self.lookup(start)?;
        while self.length::<N>(position) > length {
            position = self.parent::<N>(position)?;
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

/// How many of the rows of `width` octets begin with a number up to `address`.
#[inline]
fn count_before<N: Number>(rows: &[u8], width: usize, address: N) -> usize {
    rows.chunks_exact(width).map(|row| usize::from(N::read(row, 0) <= address)).sum()
}
