//! Counting the addresses that the lists of one day name, by announced prefix and by origin AS.
//!
//! An address belongs to the most specific announced prefix that holds it, and with it to each of
//! that prefix's origins. On several lists it counts once, with the precision of the best of them
//! (H in SCORING 2.8). Addresses that nobody announces count nowhere.

use std::sync::Arc;

use super::UtcDay;
use super::address_set::{AddressSet, RangeSet};
use super::announced::Announced;
use super::circl;
use super::family::{Family, Number};
use super::routes::RouteTable;
use crate::model::SourceId;

/// The length of the IPv6 prefix that counts as one listed address (SCORING 2.1).
const V6_LISTED_LENGTH: u8 = 64;

/// What one source lists on one day. Lists of C2, malware, phishing and bulletproof hosting belong
/// here, and lists of attacks with the low precision that they have for answers (SCORING 2.3, 2.8).
#[derive(Debug, Clone)]
pub struct AddressList {
    /// The source.
    pub source: SourceId,
    /// π: how often an entry of it should be blocked, in ppm (SCORING 2.3). At 0 the list is left
    /// out of our ranks.
    pub precision_ppm: u32,
    /// CIRCL's weight of the source, in hundredths; see [`circl::impact_hundredths`]. At 0 the list
    /// is left out of CIRCL's ranks.
    pub impact_hundredths: u32,
    /// The addresses named that day.
    pub addresses: Arc<AddressSet>,
}

/// The addresses of one AS that are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemCount {
    /// The AS.
    pub system: u32,
    /// Distinct IPv4 addresses or IPv6 /64s.
    pub listed: u64,
    /// H: the sum of their best precisions, in ppm.
    pub weight_ppm: u64,
}

/// The addresses of one announced prefix that are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PrefixCount {
    /// The prefix's place in the table.
    pub position: u32,
    pub listed: u64,
    pub weight_ppm: u64,
}

/// The counts of one family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// By AS number; only those with listed addresses.
    pub systems: Vec<SystemCount>,
    /// By position in the table; likewise.
    pub(super) prefixes: Vec<PrefixCount>,
    /// Listed addresses (/64s) by AS and source, the source by its place among the lists.
    pub(super) sources: Vec<(u32, u16, u64)>,
    /// ΣH over all AS, in ppm.
    pub weight_ppm: u64,
}

/// The counts of one day.
#[derive(Debug, Clone)]
pub struct Census {
    /// The day.
    pub day: UtcDay,
    /// The table that says whose an address is.
    pub table: RouteTable,
    /// What each AS announces in it.
    pub announced: Arc<Announced>,
    /// The sources, in the order of the lists.
    pub sources: Vec<SourceId>,
    /// IPv4 and IPv6.
    pub counted: [Counted; 2],
    /// The same day in CIRCL's definition.
    pub circl: circl::Ranking,
}

impl Census {
    /// Counts what the lists name, without the addresses in `excluded`: those of scanners, parking
    /// companies and sinkholes, whose listing says nothing of the network they stand in.
    ///
    /// `announced` is that of the table. There are at most 65,536 lists.
    pub fn take(
        day: UtcDay,
        table: &RouteTable,
        announced: &Arc<Announced>,
        lists: &[AddressList],
        excluded: &AddressSet,
    ) -> Self {
        let kept: Vec<AddressSet> =
            lists.iter().map(|list| list.addresses.minus(excluded)).collect();
        Self {
            day,
            table: table.clone(),
            announced: announced.clone(),
            sources: lists.iter().map(|list| list.source.clone()).collect(),
            counted: [
                count(table, lists, kept.iter().map(|set| set.v4.clone()).collect()),
                count(table, lists, kept.iter().map(|set| whole_64s(&set.v6)).collect()),
            ],
            circl: circl::Ranking::of(table, announced, lists, &kept),
        }
    }

    /// The counts of a family.
    pub fn family(&self, family: Family) -> &Counted {
        &self.counted[family as usize]
    }
}

impl Counted {
    /// The count of an AS, if anything of it is listed.
    pub fn system(&self, system: u32) -> Option<&SystemCount> {
        let at = self.systems.binary_search_by_key(&system, |count| count.system).ok()?;
        Some(&self.systems[at])
    }
}

fn whole_64s(set: &RangeSet<u128>) -> RangeSet<u128> {
    set.widened(V6_LISTED_LENGTH)
}

/// Counts the units of one family: IPv4 addresses, or whole IPv6 /64s.
fn count<N: Number>(table: &RouteTable, lists: &[AddressList], sets: Vec<RangeSet<N>>) -> Counted {
    let mut counted = Counted::default();
    let mut order: Vec<usize> = (0..lists.len()).collect();
    order.retain(|at| lists[*at].precision_ppm > 0);
    // The best list first: what it names, the others can only name again.
    order.sort_by_key(|at| std::cmp::Reverse(lists[*at].precision_ppm));
    let mut seen = RangeSet::of(Vec::new());
    let mut shares = Vec::new();
    for at in order {
        let precision = u64::from(lists[at].precision_ppm);
        for (position, units) in by_prefix(table, &sets[at].minus(&seen)) {
            let (listed, weight_ppm) = (units, units.saturating_mul(precision));
            shares.push(PrefixCount { position, listed, weight_ppm });
        }
        seen = seen.union(&sets[at]);
    }
    counted.prefixes = summed(shares);
    counted.systems = by_system::<N>(table, &counted.prefixes);
    counted.weight_ppm =
        counted.systems.iter().map(|count| count.weight_ppm).fold(0, u64::saturating_add);
    counted.sources = by_source(table, &sets);
    counted
}

/// How many units of the set the most specific prefixes hold, by position and perhaps in several
/// parts. A /64 that an even longer prefix divides belongs to the prefix of its first address.
fn by_prefix<N: Number>(table: &RouteTable, set: &RangeSet<N>) -> Vec<(u32, u64)> {
    let mut counts: Vec<(u32, u64)> = Vec::new();
    for &(first, last) in set.ranges() {
        table.side::<N>().pieces(first, last, &mut |position, from, to| {
            let units = match N::FAMILY {
                Family::V4 => to.wide() - from.wide() + 1,
                Family::V6 => (to.wide() >> 64) + 1 - from.wide().div_ceil(1 << 64),
            };
            let units = u64::try_from(units).unwrap_or(u64::MAX);
            match (position, counts.last_mut()) {
                (None, _) => {}
                (Some(position), Some((same, sum))) if *same == position => {
                    *sum = sum.saturating_add(units);
                }
                (Some(position), _) if units > 0 => counts.push((position, units)),
                (Some(_), _) => {}
            }
        });
    }
    counts
}

/// One count a prefix, by position.
fn summed(mut shares: Vec<PrefixCount>) -> Vec<PrefixCount> {
    shares.sort_unstable_by_key(|share| share.position);
    let same = shares.chunk_by(|a, b| a.position == b.position);
    same.map(|same| PrefixCount {
        position: same[0].position,
        listed: same.iter().map(|share| share.listed).fold(0, u64::saturating_add),
        weight_ppm: same.iter().map(|share| share.weight_ppm).fold(0, u64::saturating_add),
    })
    .collect()
}

/// The counts of prefixes for each of their origins.
fn by_system<N: Number>(table: &RouteTable, prefixes: &[PrefixCount]) -> Vec<SystemCount> {
    let mut shares = Vec::new();
    for &PrefixCount { position, listed, weight_ppm } in prefixes {
        let origins = table.route_at(N::FAMILY, position).origins().iter();
        shares.extend(origins.map(|system| SystemCount { system, listed, weight_ppm }));
    }
    shares.sort_unstable_by_key(|share| share.system);
    let same = shares.chunk_by(|a, b| a.system == b.system);
    same.map(|same| SystemCount {
        system: same[0].system,
        listed: same.iter().map(|share| share.listed).fold(0, u64::saturating_add),
        weight_ppm: same.iter().map(|share| share.weight_ppm).fold(0, u64::saturating_add),
    })
    .collect()
}

/// How much of each AS each source lists, by AS and source.
fn by_source<N: Number>(table: &RouteTable, sets: &[RangeSet<N>]) -> Vec<(u32, u16, u64)> {
    let mut shares = Vec::new();
    for (source, set) in sets.iter().enumerate() {
        let source = u16::try_from(source).expect("at most 65,536 lists");
        for (position, units) in by_prefix(table, set) {
            let origins = table.route_at(N::FAMILY, position).origins().iter();
            shares.extend(origins.map(|system| (system, source, units)));
        }
    }
    shares.sort_unstable();
    let same = shares.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));
    same.map(|same| {
        (same[0].0, same[0].1, same.iter().map(|share| share.2).fold(0, u64::saturating_add))
    })
    .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bgp::worlds::{self, Plain};
    use crate::model::Network;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::net::IpAddr;

    /// A list by its precision in percent and CIRCL's impact.
    pub(in crate::bgp) fn list(name: &str, percent: u32, impact: u32, text: &str) -> AddressList {
        let networks = text.split_whitespace().map(|word| Network::parse_strict(word).unwrap());
        AddressList {
            source: SourceId::new(name),
            precision_ppm: percent * 10_000,
            impact_hundredths: impact * 100,
            addresses: Arc::new(networks.collect()),
        }
    }

    pub(in crate::bgp) fn census(
        day: u32,
        routes: &[(&str, &[u32])],
        lists: &[AddressList],
        excluded: &str,
    ) -> Census {
        let routes: Vec<_> = routes
            .iter()
            .map(|(text, origins)| (Network::parse_strict(text).unwrap(), origins.to_vec()))
            .collect();
        let table = worlds::table(&routes);
        let announced = Arc::new(Announced::of(&table));
        let excluded = list("", 0, 0, excluded).addresses;
        Census::take(UtcDay(day), &table, &announced, lists, &excluded)
    }

    #[test]
    fn an_address_on_several_lists_counts_once_with_the_best_precision() {
        let lists = [
            list("weak", 5, 1, "192.0.2.1 192.0.2.2 192.0.2.9"),
            list("good", 90, 1, "192.0.2.1 192.0.2.77"),
            list("copy", 90, 1, "192.0.2.1"),
        ];
        let counts = census(1, &[("192.0.2.0/24", &[64500])], &lists, "");
        let counted = counts.family(Family::V4);
        let expected = SystemCount { system: 64500, listed: 4, weight_ppm: 1_900_000 };
        assert_eq!(counted.systems, [expected]);
        assert_eq!(counted.sources, [(64500, 0, 3), (64500, 1, 2), (64500, 2, 1)]);
    }

    #[test]
    fn addresses_of_scanners_parking_and_sinkholes_never_enter() {
        let lists = [list("a", 50, 1, "192.0.2.1 192.0.2.2 192.0.2.3 198.51.100.0/30")];
        let counts = census(
            1,
            &[("192.0.2.0/24", &[1]), ("198.51.100.0/24", &[2])],
            &lists,
            "192.0.2.2/31 198.51.100.1",
        );
        let counted = counts.family(Family::V4);
        assert_eq!(counted.systems.iter().map(|s| s.listed).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(counted.sources.iter().map(|s| s.2).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(counts.circl.position(Family::V4, 1).unwrap().0.rank, 1.0 / 256.0);
    }

    #[test]
    fn a_prefix_of_two_origins_counts_fully_for_both_and_its_inside_for_the_inner_one() {
        let lists = [list("a", 100, 1, "192.0.2.0/31 192.0.3.9 203.0.113.1")];
        let routes: &[(&str, &[u32])] = &[("192.0.2.0/23", &[1, 2]), ("192.0.3.0/24", &[3])];
        let counts = census(1, routes, &lists, "");
        let counted = counts.family(Family::V4);
        let weights = counted.systems.iter().map(|s| (s.system, s.weight_ppm));
        assert_eq!(weights.collect::<Vec<_>>(), [(1, 2_000_000), (2, 2_000_000), (3, 1_000_000)]);
        assert_eq!(counted.weight_ppm, 5_000_000);
        assert_eq!(counted.system(3).unwrap().listed, 1);
        assert_eq!(counted.system(4), None);
    }

    #[test]
    fn ipv6_counts_64s() {
        let lists = [list("a", 100, 1, "2001:db8::1 2001:db8::2 2001:db8:0:4::/63 2001:db8:9::9")];
        let routes: &[(&str, &[u32])] =
            &[("2001:db8::/48", &[1]), ("2001:db8::2/128", &[2]), ("2001:db8:9::9/128", &[3])];
        let counts = census(1, routes, &lists, "");
        let listed = counts.family(Family::V6).systems.iter().map(|s| (s.system, s.listed));
        // A /64 belongs to the prefix of its first address, and nobody announces 2001:db8:9::.
        assert_eq!(listed.collect::<Vec<_>>(), [(1, 3)]);
    }

    proptest! {
        #[test]
        fn counts_are_those_of_a_plain_reading_of_every_address(
            routes in worlds::routes(0..30),
            lists in proptest::collection::vec(
                (0u32..5, proptest::collection::vec(worlds::address(), 0..30)), 0..4,
            ),
            excluded in proptest::collection::vec(worlds::address(), 0..5),
        ) {
            let hosts = |addresses: &[IpAddr]| -> AddressSet {
                addresses.iter().map(|address| Network::host(*address)).collect()
            };
            let table = worlds::table(&routes);
            let announced = Arc::new(Announced::of(&table));
            let given: Vec<_> = lists.iter().enumerate().map(|(at, (precision, addresses))| {
                AddressList {
                    source: SourceId::new(&at.to_string()),
                    precision_ppm: precision * 200_000,
                    impact_hundredths: 100,
                    addresses: Arc::new(hosts(addresses)),
                }
            }).collect();
            let census = Census::take(UtcDay(1), &table, &announced, &given, &hosts(&excluded));

            let plain = Plain(&routes);
            let mut best: BTreeMap<IpAddr, u64> = BTreeMap::new();
            for (precision, addresses) in &lists {
                for address in addresses.iter().filter(|a| !excluded.contains(*a)) {
                    let unit = match address {
                        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
                        v4 => *v4,
                    };
                    let held = best.entry(unit).or_default();
                    *held = (*held).max(u64::from(precision * 200_000));
                }
            }
            let mut expected: BTreeMap<(Family, u32), (u64, u64)> = BTreeMap::new();
            for (unit, precision) in best.into_iter().filter(|(_, precision)| *precision > 0) {
                for origin in plain.lookup(unit).map(|(_, origins)| origins).unwrap_or_default() {
                    let sum = expected.entry((Family::of(unit), origin)).or_default();
                    *sum = (sum.0 + 1, sum.1 + precision);
                }
            }
            let found = Family::ALL.into_iter().flat_map(|family| {
                let systems = census.family(family).systems.iter();
                systems.map(move |s| ((family, s.system), (s.listed, s.weight_ppm)))
            });
            prop_assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
        }
    }
}
