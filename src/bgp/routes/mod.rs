//! The table of announced prefixes and the AS that announce them.
//!
//! A [`RouteTable`] is immutable and lies in one run of octets. A look-up finds the last prefix that
//! starts at or before the address, by an index and signposts, and climbs from there through the prefixes around it until one holds the address:
//! prefixes are nested or apart, so that one is the most specific.
//!
//! A prefix of several origins keeps them all, ordered as the input ordered them (CAIDA: the most
//! frequent first). [`layout`] has the particulars.

mod build;
mod layout;

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;

pub use build::RouteTableBuilder;
use layout::Side;

use super::family::{Family, Number, network};
use super::octets::{OctetsError, read_u32};
use crate::model::Network;

/// An immutable table of prefixes with their origins. Cheap to clone: the octets are shared.
#[derive(Clone)]
pub struct RouteTable {
    octets: Bytes,
    v4: Side,
    v6: Side,
    /// Where each set of several origins starts in `members`, and the end.
    offsets: Bytes,
    members: Bytes,
}

impl RouteTable {
    /// A table without prefixes.
    pub fn empty() -> Self {
        RouteTableBuilder::default().finish()
    }

    /// Reads a table, checking that it is whole and that its parts fit together. It stays where it
    /// lies.
    pub fn from_octets(octets: Bytes) -> Result<Self, OctetsError> {
        layout::read(octets)
    }

    /// The octets, for writing them to a file.
    pub fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// The octets it occupies.
    pub fn size_octets(&self) -> usize {
        self.octets.len()
    }

    /// How many prefixes of a family there are.
    pub fn count(&self, family: Family) -> usize {
        self.side_of(family).count as usize
    }

    /// Whether there are no prefixes.
    pub fn is_empty(&self) -> bool {
        self.v4.count == 0 && self.v6.count == 0
    }

    /// The most specific prefix that holds the address.
    #[inline]
    pub fn lookup(&self, address: IpAddr) -> Option<Route<'_>> {
        let position = match address {
            IpAddr::V4(v4) => self.v4.lookup(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.lookup(v6.to_bits()),
        };
        position.map(|position| Route { table: self, family: Family::of(address), position })
    }

    /// The most specific prefix that holds all of `network`.
    pub fn covering(&self, network: Network) -> Option<Route<'_>> {
        let length = network.length();
        let position = match network.address() {
            IpAddr::V4(v4) => self.v4.covering(v4.to_bits(), length),
            IpAddr::V6(v6) => self.v6.covering(v6.to_bits(), length),
        };
        let family = Family::of(network.address());
        position.map(|position| Route { table: self, family, position })
    }

    /// The entry for exactly this prefix.
    pub fn find(&self, network: Network) -> Option<Route<'_>> {
        self.covering(network).filter(|route| route.network().length() == network.length())
    }

    /// All prefixes of a family in order, a prefix before those inside it.
    pub fn routes(&self, family: Family) -> impl Iterator<Item = Route<'_>> {
        let count = self.side_of(family).count;
        (0..count).map(move |position| Route { table: self, family, position })
    }

    /// The prefixes that an AS announces, alone or among others. Reads the whole table.
    pub fn announced_by(&self, system: u32) -> impl Iterator<Item = Route<'_>> {
        let all = Family::ALL.into_iter().flat_map(|family| self.routes(family));
        all.filter(move |route| route.origins().contains(system))
    }

    fn side_of(&self, family: Family) -> &Side {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    pub(super) fn side<N: Number>(&self) -> &Side {
        self.side_of(N::FAMILY)
    }

    /// The entry at a position, which is below the count of the family.
    pub(super) fn route_at(&self, family: Family, position: u32) -> Route<'_> {
        Route { table: self, family, position }
    }

    #[inline]
    fn origins<N: Number>(&self, position: u32) -> Origins<'_> {
        let at = |index: usize| read_u32(&self.offsets, index * 4) as usize * 4;
        let several = |set: u32| &self.members[at(set as usize)..at(set as usize + 1)];
        self.side::<N>().origin::<N>(position).unwrap_or_else(|set| Origins(several(set)))
    }
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [v4, v6] = Family::ALL.map(|family| self.count(family));
        write!(f, "RouteTable({v4} IPv4, {v6} IPv6, {} octets)", self.size_octets())
    }
}

/// An announced prefix.
#[derive(Clone, Copy)]
pub struct Route<'t> {
    table: &'t RouteTable,
    family: Family,
    position: u32,
}

impl<'t> Route<'t> {
    /// The prefix.
    pub fn network(&self) -> Network {
        let RouteTable { v4, v6, .. } = self.table;
        match self.family {
            Family::V4 => network(v4.start::<u32>(self.position), self.length()),
            Family::V6 => network(v6.start::<u128>(self.position), self.length()),
        }
    }

    /// The AS that announce it, at least one.
    #[inline]
    pub fn origins(&self) -> Origins<'t> {
        match self.family {
            Family::V4 => self.table.origins::<u32>(self.position),
            Family::V6 => self.table.origins::<u128>(self.position),
        }
    }

    /// The next wider announced prefix around it.
    pub fn parent(&self) -> Option<Route<'t>> {
        let parent = match self.family {
            Family::V4 => self.table.v4.parent::<u32>(self.position),
            Family::V6 => self.table.v6.parent::<u128>(self.position),
        };
        parent.map(|position| Route { position, ..*self })
    }

    /// Its family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Its place among the prefixes of its family.
    pub(super) fn position(&self) -> u32 {
        self.position
    }

    /// The prefix length.
    pub fn length(&self) -> u8 {
        match self.family {
            Family::V4 => self.table.v4.length::<u32>(self.position),
            Family::V6 => self.table.v6.length::<u128>(self.position),
        }
    }
}

impl fmt::Debug for Route<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.network(), self.origins())
    }
}

/// The AS numbers that announce a prefix, each once, the first one first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Origins<'t>(&'t [u8]);

impl<'t> Origins<'t> {
    /// The first, which is the only one for most prefixes.
    pub fn first(self) -> u32 {
        read_u32(self.0, 0)
    }

    /// How many there are, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(self) -> usize {
        self.0.len() / 4
    }

    /// All of them.
    pub fn iter(self) -> impl ExactSizeIterator<Item = u32> + 't {
        self.0.chunks_exact(4).map(|octets| read_u32(octets, 0))
    }

    /// Whether an AS is among them.
    pub fn contains(self, system: u32) -> bool {
        self.iter().any(|origin| origin == system)
    }
}

impl fmt::Debug for Origins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
