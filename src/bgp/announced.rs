//! How much address space each AS announces, by our count and by CIRCL's.

use super::family::{Family, Number};
use super::routes::{Route, RouteTable};

/// The longest IPv6 prefix that counts for itself; longer ones count as the /48 around them
/// (SCORING 2.8).
const V6_UNIT_LENGTH: u8 = 48;

/// The address space of an AS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// The AS.
    pub system: u32,
    /// Prefixes that it announces, alone or with others: IPv4, IPv6.
    pub prefixes: [u32; 2],
    /// N: the size of the union of its prefixes, in IPv4 addresses and in IPv6 /48s. A prefix of
    /// several origins counts fully for each.
    pub union: [u64; 2],
    /// CIRCL's `ipcount`: the sizes, in addresses, of the prefixes of which it is the first origin;
    /// a prefix inside another one counts again (PROVIDERS 5.3).
    pub first_origin_sum: [u128; 2],
}

/// The address space of all AS of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Announced {
    spaces: Box<[Space]>,
    totals: [u64; 2],
}

impl Announced {
    /// Measures a table. Reads all of it: some tenths of a second for a million prefixes.
    pub fn of(table: &RouteTable) -> Self {
        let mut shares = shares(table);
        shares.sort_unstable_by_key(|share| share.system);
        let spaces: Box<[Space]> = shares
            .chunk_by(|a, b| a.system == b.system)
            .map(|same| same.iter().copied().reduce(sum).expect("chunks are not empty"))
            .collect();
        let total = |family: usize| {
            spaces.iter().map(|space| space.union[family]).fold(0, u64::saturating_add)
        };
        Self { totals: [total(0), total(1)], spaces }
    }

    /// The space of an AS that announces something.
    pub fn space(&self, system: u32) -> Option<&Space> {
        let at = self.spaces.binary_search_by_key(&system, |space| space.system).ok()?;
        Some(&self.spaces[at])
    }

    /// All AS that announce something, by number.
    pub fn spaces(&self) -> &[Space] {
        &self.spaces
    }

    /// ΣN over all AS of a family. Space that several AS announce counts for each.
    pub fn total(&self, family: Family) -> u64 {
        self.totals[family as usize]
    }
}

impl Space {
    /// N of a family: IPv4 addresses, or IPv6 /48s.
    pub fn announced(&self, family: Family) -> u64 {
        self.union[family as usize]
    }
}

/// What each prefix gives to each of its origins.
fn shares(table: &RouteTable) -> Vec<Space> {
    let mut shares = Vec::with_capacity(table.count(Family::V4) + table.count(Family::V6));
    // Prefixes longer than a /48 that nothing of the same AS holds: the AS and the /48.
    let mut fragments = Vec::new();
    for family in Family::ALL {
        for route in table.routes(family) {
            for origin in route.origins().iter() {
                let mut space = Space { system: origin, ..Space::default() };
                space.prefixes[family as usize] = 1;
                if route.origins().first() == origin {
                    space.first_origin_sum[family as usize] = addresses(&route);
                }
                if !held_by_itself(&route, origin) {
                    match units(&route) {
                        Some(units) => space.union[family as usize] = units,
                        None => fragments.push((origin, v6_unit(&route))),
                    }
                }
                shares.push(space);
            }
        }
    }
    fragments.sort_unstable();
    fragments.dedup();
    shares.extend(fragments.iter().map(|(system, _)| Space {
        system: *system,
        union: [0, 1],
        ..Space::default()
    }));
    shares
}

/// Whether a wider prefix of the same AS holds this one.
fn held_by_itself(route: &Route<'_>, origin: u32) -> bool {
    std::iter::successors(route.parent(), Route::parent)
        .any(|around| around.origins().contains(origin))
}

/// Addresses in a prefix; the whole of IPv6 counts one less.
pub(super) fn addresses(route: &Route<'_>) -> u128 {
    let bits = match route.family() {
        Family::V4 => <u32 as Number>::BITS,
        Family::V6 => <u128 as Number>::BITS,
    };
    1u128.checked_shl(u32::from(bits - route.length())).unwrap_or(u128::MAX)
}

/// IPv4 addresses or IPv6 /48s in a prefix; none for a part of a /48.
pub(super) fn units(route: &Route<'_>) -> Option<u64> {
    let bits = match route.family() {
        Family::V4 => <u32 as Number>::BITS,
        Family::V6 => V6_UNIT_LENGTH,
    };
    Some(1u64 << bits.checked_sub(route.length())?)
}

fn v6_unit(route: &Route<'_>) -> u128 {
    let number =
        u128::of(route.network().address()).expect("only IPv6 prefixes are parts of a /48");
    number.start(V6_UNIT_LENGTH)
}

fn sum(a: Space, b: Space) -> Space {
    let both = [0, 1];
    Space {
        system: a.system,
        prefixes: both.map(|family| a.prefixes[family].saturating_add(b.prefixes[family])),
        union: both.map(|family| a.union[family].saturating_add(b.union[family])),
        first_origin_sum: both
            .map(|family| a.first_origin_sum[family].saturating_add(b.first_origin_sum[family])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::address_set::AddressSet;
    use crate::bgp::worlds;
    use crate::model::Network;
    use proptest::prelude::*;

    fn announced(routes: &[(&str, &[u32])]) -> Announced {
        let routes: Vec<_> = routes
            .iter()
            .map(|(text, origins)| (Network::parse_strict(text).unwrap(), origins.to_vec()))
            .collect();
        Announced::of(&worlds::table(&routes))
    }

    #[test]
    fn nested_prefixes_of_one_as_count_once_and_those_of_others_fully() {
        let announced = announced(&[
            ("192.0.0.0/16", &[1]),
            ("192.0.2.0/24", &[1, 2]),
            ("192.0.2.0/25", &[2]),
            ("192.0.3.0/24", &[2]),
        ]);
        let one = announced.space(1).unwrap();
        assert_eq!((one.announced(Family::V4), one.prefixes[0]), (65_536, 2));
        assert_eq!(one.first_origin_sum[0], 65_536 + 256, "CIRCL counts the inner one again");
        let two = announced.space(2).unwrap();
        assert_eq!((two.announced(Family::V4), two.prefixes[0]), (512, 3));
        assert_eq!(
            two.first_origin_sum[0],
            128 + 256,
            "and a shared one for its first origin only"
        );
        assert_eq!(announced.total(Family::V4), 65_536 + 512);
        assert_eq!(announced.space(3), None);
    }

    #[test]
    fn ipv6_is_measured_in_48s_and_parts_of_one_count_as_one() {
        let announced = announced(&[
            ("2001:db8::/46", &[1]),
            ("2001:db8:100::/56", &[1]),
            ("2001:db8:100:ff00::/56", &[1]),
            ("2001:db8:0:7::/64", &[1]),
            ("2001:db8:0:8::/64", &[2]),
        ]);
        assert_eq!(announced.space(1).unwrap().announced(Family::V6), 4 + 1);
        assert_eq!(announced.space(2).unwrap().announced(Family::V6), 1);
    }

    proptest! {
        #[test]
        fn the_space_of_an_as_is_the_union_of_its_prefixes(routes in worlds::routes(0..40)) {
            let announced = Announced::of(&worlds::table(&routes));
            for system in 1..10 {
                let own = || routes.iter().filter(|(_, o)| o.contains(&system)).map(|(n, _)| *n);
                let union: AddressSet = own().collect();
                let space = announced.space(system).copied().unwrap_or_default();
                prop_assert_eq!(space.union[0], union.v4_count());
                let parts = union.v6.widened(48).count().div_ceil(1 << 80);
                prop_assert_eq!(u128::from(space.union[1]), parts);
                prop_assert_eq!(space.prefixes.iter().sum::<u32>() as usize, own().count());
            }
        }
    }
}
