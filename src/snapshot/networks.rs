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

/// The ranges of one address family.
#[derive(Debug, Default)]
struct Ranges<T> {
    /// Where each range starts, ascending.
    starts: Box<[T]>,
    /// The position of the longest prefix there, or [`NOBODY`].
    owners: Box<[u32]>,
}

impl<T: Ord + Copy> Ranges<T> {
    fn owner(&self, address: T) -> Option<usize> {
        let after = self.starts.partition_point(|start| *start <= address);
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

impl<T: Successor + Ord + Copy> RangeBuilder<T> {
    fn push(&mut self, first: T, last: T, position: u32) {
        self.close_before(Some(first));
        self.cut(first, position);
        self.open.push((last, position));
    }

    fn finish(mut self) -> Ranges<T> {
        self.close_before(None);
        Ranges { starts: self.starts.into(), owners: self.owners.into() }
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

/// The next number, if there is one.
trait Successor: Sized {
    fn successor(self) -> Option<Self>;
}

impl Successor for u32 {
    fn successor(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Successor for u128 {
    fn successor(self) -> Option<Self> {
        self.checked_add(1)
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
}
