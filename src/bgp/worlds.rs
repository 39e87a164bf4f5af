//! Small random worlds of prefixes, and the plain reading of them that tests compare with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::{RouteTable, RouteTableBuilder};
use crate::model::Network;

/// An address in a small part of the space, so that prefixes nest and collide.
pub(super) fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = (0u32..4, 0u32..4, 0u32..8)
        .prop_map(|(a, b, c)| IpAddr::V4(Ipv4Addr::from_bits(0xc000_0000 | a << 22 | b << 8 | c)));
    let v6 = (0u128..4, 0u128..3, 0u128..3).prop_map(|(a, b, c)| {
        IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | a << 78 | b << 63 | c))
    });
    prop_oneof![v4, v6]
}

pub(super) fn network() -> impl Strategy<Value = Network> {
    (address(), any::<u8>()).prop_map(|(address, length)| {
        let lengths: &[u8] = match address {
            IpAddr::V4(_) => &[1, 8, 9, 10, 15, 16, 17, 23, 24, 25, 30, 31, 32],
            IpAddr::V6(_) => &[3, 20, 32, 47, 48, 49, 50, 56, 63, 64, 65, 127, 128],
        };
        Network::new(address, lengths[usize::from(length) % lengths.len()]).unwrap()
    })
}

/// Distinct prefixes, each with one to three of nine AS.
pub(super) fn routes(
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<(Network, Vec<u32>)>> {
    let origins = proptest::sample::subsequence((1u32..10).collect::<Vec<_>>(), 1..=3);
    proptest::collection::btree_map(network(), origins.prop_shuffle(), count)
        .prop_map(|routes| routes.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

pub(super) fn table(routes: &[(Network, Vec<u32>)]) -> RouteTable {
    let mut builder = RouteTableBuilder::default();
    routes.iter().for_each(|(network, origins)| builder.add(*network, origins));
    builder.finish()
}

/// The first and the last address of a prefix.
pub(super) fn edges(network: Network) -> [IpAddr; 2] {
    let ends = network.ipnet();
    [ends.network(), ends.broadcast()]
}

/// Prefixes read one by one.
pub(super) struct Plain<'r>(pub &'r [(Network, Vec<u32>)]);

impl Plain<'_> {
    pub fn lookup(&self, address: IpAddr) -> Option<(Network, Vec<u32>)> {
        let holding = self.0.iter().filter(|(network, _)| network.contains(address));
        holding.max_by_key(|(network, _)| network.length()).cloned()
    }
}
