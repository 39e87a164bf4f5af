//! Making a table from prefixes in any order.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::RouteTable;
use super::layout::{BUCKETS, KIND, NO_PARENT, SEVERAL_ORIGINS, signposts, write_row};
use crate::bgp::family::Number;
use crate::bgp::octets::count_u32;
use crate::model::Network;

/// Takes prefixes with their origins in any order and makes the table. The same entries in another
/// order make the same table.
#[derive(Debug, Default)]
pub struct RouteTableBuilder {
    v4: Vec<Entry<u32>>,
    v6: Vec<Entry<u128>>,
}

/// One origin of one prefix. The order of the fields is that of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry<N> {
    start: N,
    length: u8,
    origin: u32,
    /// Its place among the origins it came with; further ones than 255 count as equal.
    place: u8,
}

impl RouteTableBuilder {
    /// Takes a prefix with its origins, the most important one first. A prefix that comes more than
    /// once has all the origins it came with, ordered by the best place that each had, then by how
    /// often it came, then by number.
    pub fn add(&mut self, network: Network, origins: &[u32]) {
        let length = network.length();
        for (place, &origin) in origins.iter().enumerate() {
            let place = u8::try_from(place).unwrap_or(u8::MAX);
            match network.address() {
                IpAddr::V4(v4) => {
                    self.v4.push(Entry { start: v4.to_bits(), length, origin, place });
                }
                IpAddr::V6(v6) => {
                    self.v6.push(Entry { start: v6.to_bits(), length, origin, place });
                }
            }
        }
    }

    /// The table of all that was taken.
    pub fn finish(self) -> RouteTable {
        let mut sets = Sets::default();
        let [index4, posts4, rows4] = side(self.v4, &mut sets);
        let [index6, posts6, rows6] = side(self.v6, &mut sets);
        let sections =
            [&index4, &posts4, &rows4, &index6, &posts6, &rows6, &sets.offsets(), &sets.members];
        let octets = KIND.join(&sections.map(Vec::as_slice));
        RouteTable::from_octets(octets).expect("a builder writes a sound table")
    }
}

/// Index, signposts and rows of a family.
fn side<N: Number>(mut entries: Vec<Entry<N>>, sets: &mut Sets) -> [Vec<u8>; 3] {
    entries.sort_unstable();
    let (mut starts, mut rows) = (Vec::new(), Vec::new());
    // The prefixes around the one in hand, the widest first: last address and position.
    let mut around: Vec<(N, u32)> = Vec::new();
    let mut position = 0;
    for same in entries.chunk_by(|a, b| (a.start, a.length) == (b.start, b.length)) {
        let Entry { start, length, .. } = same[0];
        while around.last().is_some_and(|(end, _)| *end < start) {
            around.pop();
        }
        let parent = around.last().map_or(NO_PARENT, |(_, parent)| *parent);
        around.push((start.end(length), position));
        match *ordered(same) {
            [origin] => write_row((start, length), parent, origin, &mut rows),
            ref several => {
                let link = parent | SEVERAL_ORIGINS;
                write_row((start, length), link, sets.number(several), &mut rows);
            }
        }
        starts.push(start);
        position += 1;
        assert!(position < NO_PARENT, "prefixes below 2³¹");
    }
    [index(&starts), signposts(&starts), rows]
}

/// How many prefixes start in front of each bucket, and all of them.
fn index<N: Number>(starts: &[N]) -> Vec<u8> {
    if starts.is_empty() {
        return Vec::new();
    }
    let mut octets = Vec::with_capacity((BUCKETS + 1) * 4);
    let mut before = 0;
    for bucket in 0..=BUCKETS {
        before += starts[before..].iter().take_while(|start| start.bucket() < bucket).count();
        octets.extend(count_u32(before).to_le_bytes());
    }
    octets
}

/// The distinct origins of one prefix, whose entries are sorted by origin and place.
fn ordered<N: Number>(same: &[Entry<N>]) -> Vec<u32> {
    let by_origin = same.chunk_by(|a, b| a.origin == b.origin);
    let mut ranked: Vec<_> = by_origin
        .map(|mentions| (mentions[0].place, usize::MAX - mentions.len(), mentions[0].origin))
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, _, origin)| origin).collect()
}

/// Sets of several origins, each stored once.
#[derive(Default)]
struct Sets {
    numbers: BTreeMap<Box<[u32]>, u32>,
    ends: Vec<u32>,
    members: Vec<u8>,
}

impl Sets {
    fn number(&mut self, origins: &[u32]) -> u32 {
        if let Some(number) = self.numbers.get(origins) {
            return *number;
        }
        let number = count_u32(self.numbers.len());
        self.numbers.insert(origins.into(), number);
        self.members.extend(origins.iter().flat_map(|origin| origin.to_le_bytes()));
        self.ends.push(count_u32(self.members.len() / 4));
        number
    }

    fn offsets(&self) -> Vec<u8> {
        [0].iter().chain(&self.ends).flat_map(|end| end.to_le_bytes()).collect()
    }
}
