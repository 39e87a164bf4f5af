//! Longest-prefix match over a sorted list of prefixes.
//!
//! Prefixes nest or are apart, so they cut each address space into ranges, and in each range one
//! prefix is the longest. [`NetworkIndex`] keeps where the ranges start and whose they are: one
//! binary search over plain numbers finds the longest prefix. Shorter ones that hold the address
//! too are asked for rarely and looked up one by one.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::Network;

/// Where no prefix holds.
const NOBODY: u32 = u32::MAX;

/// Says which prefix of a list holds an address. The list itself stays with its owner and is
/// passed along; it is sorted in the order of [`Network`] and has no prefix twice.
#[derive(Debug, Default)]
pub(super) struct NetworkIndex {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

impl NetworkIndex {
    /// The index of a list.
    pub(super) fn new<V>(networks: &[(Network, V)]) -> Self {
        let (mut v4, mut v6) = (RangeBuilder::default(), RangeBuilder::default());
        for (at, (network, _)) in networks.iter().enumerate() {
            let at = u32::try_from(at).expect("prefixes below 2³²");
            match network.ipnet() {
                IpNet::V4(net) => v4.push(net.network().to_bits(), net.broadcast().to_bits(), at),
                IpNet::V6(net) => v6.push(net.network().to_bits(), net.broadcast().to_bits(), at),
            }
        }
        Self { v4: v4.finish(), v6: v6.finish() }
    }

    /// The position of the longest prefix that holds `address`.
    pub(super) fn longest(&self, address: IpAddr) -> Option<usize> {
        match address {
            IpAddr::V4(address) => self.v4.owner(address.to_bits()),
            IpAddr::V6(address) => self.v6.owner(address.to_bits()),
        }
    }

    /// The positions of all prefixes that hold `address`, the longest first.
    pub(super) fn holding<'n, V>(
        &self,
        networks: &'n [(Network, V)],
        address: IpAddr,
    ) -> impl Iterator<Item = usize> + use<'n, V> {
        let longest = self.longest(address);
        let shorter = longest.map_or(0, |at| networks[at].0.length());
        longest.into_iter().chain((0..shorter).rev().filter_map(move |length| {
            let wanted = Network::new(address, length)?;
            networks.binary_search_by_key(&wanted, |(network, _)| *network).ok()
        }))
    }
}

/// From how many ranges on a search starts from the first bits of the address: 16 KiB of starts
/// are in the nearest cache anyway.
const HEADED_RANGES_MIN: usize = 4096;
/// The first bits that a search starts from; the table for them takes 256 KiB.
const HEAD_BITS: u32 = 16;

/// The ranges of one address family.
#[derive(Debug, Default)]
struct Ranges<T> {
    /// Where each range starts, ascending.
    starts: Box<[T]>,
    /// The position of the longest prefix there, or [`NOBODY`].
    owners: Box<[u32]>,
    /// How many ranges start below each value of an address's first bits, and in all; empty where
    /// there are few.
    heads: Box<[u32]>,
}

impl<T: Number> Ranges<T> {
    fn new(starts: Vec<T>, owners: Vec<u32>) -> Self {
        let mut heads = Vec::new();
        if starts.len() >= HEADED_RANGES_MIN {
            heads = vec![0; (1 << HEAD_BITS) + 1];
            starts.iter().for_each(|start| heads[start.head() + 1] += 1);
            (0..1 << HEAD_BITS).for_each(|head| heads[head + 1] += heads[head]);
        }
        Self { starts: starts.into(), owners: owners.into(), heads: heads.into() }
    }

    fn owner(&self, address: T) -> Option<usize> {
        let head = address.head();
        let (low, high) = match self.heads.get(head..head + 2) {
            Some(bounds) => (bounds[0] as usize, bounds[1] as usize),
            None => (0, self.starts.len()),
        };
        let after = low + self.starts[low..high].partition_point(|start| *start <= address);
        let owner = self.owners[after.checked_sub(1)?];
        (owner != NOBODY).then_some(owner as usize)
    }
}

/// Cuts the address space while prefixes come in order: a prefix before those inside it.
#[derive(Default)]
struct RangeBuilder<T> {
    starts: Vec<T>,
    owners: Vec<u32>,
    /// The prefixes around the place reached, outermost first: last address and position.
    open: Vec<(T, u32)>,
}

impl<T: Number> RangeBuilder<T> {
    fn push(&mut self, first: T, last: T, position: u32) {
        self.close_before(Some(first));
        self.cut(first, position);
        self.open.push((last, position));
    }

    fn finish(mut self) -> Ranges<T> {
        self.close_before(None);
        Ranges::new(self.starts, self.owners)
    }

    /// Leaves the prefixes that end before an address, or all of them: what follows each belongs
    /// to the one around it.
    fn close_before(&mut self, first: Option<T>) {
        while let Some((last, _)) = self.open.pop_if(|(last, _)| first.is_none_or(|f| *last < f)) {
            let around = self.open.last().map_or(NOBODY, |(_, position)| *position);
            if let Some(next) = last.successor() {
                self.cut(next, around);
            }
        }
    }

    fn cut(&mut self, start: T, owner: u32) {
        match self.starts.last() {
            Some(last) if *last == start => {
                self.owners.pop();
            }
            _ => self.starts.push(start),
        }
        self.owners.push(owner);
    }
}

/// An address as a number.
trait Number: Ord + Copy {
    /// The next address, if there is one.
    fn successor(self) -> Option<Self>;

    /// The first [`HEAD_BITS`] bits.
    fn head(self) -> usize;
}

impl Number for u32 {
    fn successor(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn head(self) -> usize {
        (self >> (u32::BITS - HEAD_BITS)) as usize
    }
}

impl Number for u128 {
    fn successor(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn head(self) -> usize {
        (self >> (u128::BITS - HEAD_BITS)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// Addresses at both ends of the space, where overflow would show, and some in between.
    fn any_address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0u32..32, any::<bool>()).prop_map(|(low, high)| {
                IpAddr::V4(Ipv4Addr::from_bits(if high { !low } else { low }))
            }),
            (0u128..32, any::<bool>()).prop_map(|(low, high)| {
                IpAddr::V6(Ipv6Addr::from_bits(if high { !low } else { low }))
            }),
            any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        ]
    }

    fn any_network() -> impl Strategy<Value = Network> {
        (any_address(), 0u8..=32).prop_map(|(address, cut)| {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            Network::new(address, bits - cut).expect("the length is in range")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_index_finds_what_looking_at_every_prefix_finds(
            networks in proptest::collection::btree_set(any_network(), 0..40),
            asked in proptest::collection::vec(any_address(), 20),
        ) {
            let list: Vec<(Network, ())> = networks.iter().map(|n| (*n, ())).collect();
            let index = NetworkIndex::new(&list);
            for address in asked.into_iter().chain(networks.iter().map(|n| n.address())) {
                let found: Vec<Network> =
                    index.holding(&list, address).map(|at| list[at].0).collect();
                let mut plain: Vec<Network> =
                    networks.iter().copied().filter(|n| n.contains(address)).collect();
                plain.sort_by_key(|n| std::cmp::Reverse(n.length()));
                prop_assert_eq!(&found, &plain, "{}", address);
                prop_assert_eq!(index.longest(address).map(|at| list[at].0), plain.first().copied());
            }
        }
    }

    #[test]
    fn a_list_long_enough_for_heads_answers_alike() {
        // Every other address of a few /16 networks, at both ends and in the middle.
        let v4 = |bits: u32| Network::host(IpAddr::V4(Ipv4Addr::from_bits(bits)));
        let mut networks: Vec<Network> = (0..HEADED_RANGES_MIN as u32)
            .flat_map(|n| [v4(n * 2), v4(0x1234_ff00 + n * 2), v4(u32::MAX - n * 2)])
            .chain([Network::parse_strict("18.52.0.0/15").unwrap()])
            .collect();
        networks.sort_unstable();
        let list: Vec<(Network, ())> = networks.iter().map(|n| (*n, ())).collect();
        let index = NetworkIndex::new(&list);
        assert!(!index.v4.heads.is_empty());
        let edges = [0, 1, 8191, 8192, 0x1233_ffff, 0x1234_0000, 0x1234_ff00, 0x1234_ff01];
        let more = [0x1235_0000, 0x1235_1eff, 0x1235_ffff, 0x1236_0000, u32::MAX - 1, u32::MAX];
        for bits in edges.into_iter().chain(more) {
            let address = IpAddr::V4(Ipv4Addr::from_bits(bits));
            let plain = networks.iter().filter(|n| n.contains(address)).max_by_key(|n| n.length());
            let found = index.longest(address).map(|at| &list[at].0);
            assert_eq!(found, plain, "{address}");
        }
    }
}
