//! The rank of an AS as CIRCL's BGP Ranking defines it, so that our numbers can be held against
//! theirs (PROVIDERS 5.3, read from the project's published code and written anew from the formula).
//!
//! ```text
//! score(s, a) = distinct addresses of a listed by source s that day · impact(s) / ipcount(a)
//! rank(a)     = Σ over sources of score(s, a)
//! position(a) = place of a in descending rank among all AS of non-zero rank, from 1
//! ```
//!
//! An address on two lists counts in both, IPv6 addresses count singly, a prefix of several origins
//! belongs to its first one, prefixes inside others count again in `ipcount`, and each day stands
//! alone. Listed prefixes count with all their addresses. The one difference is ours: addresses of
//! scanners, parking companies and sinkholes are left out here as everywhere.
//!
//! Ranks are floating point, as theirs are. One division of two integers is all there is, and IEEE
//! 754 rounds it the same everywhere.

use std::cmp::Ordering;

use super::address_set::{AddressSet, RangeSet};
use super::announced::{self, Announced};
use super::census::AddressList;
use super::family::{Family, Number};
use super::routes::RouteTable;
use crate::model::SourceId;

/// The impact of sources that CIRCL does not know, in hundredths: that of its least opinionated
/// list.
const IMPACT_OTHER_HUNDREDTHS: u32 = 100;

/// CIRCL's impacts in hundredths (`config/modules/*.json`): first by the names that sources have
/// here, then by CIRCL's own.
const IMPACTS_HUNDREDTHS: [(&str, u32); 35] = [
    ("threatfox", 500),
    ("cins", 500),
    // The combined list has none of CIRCL's; most of its parts have 3.
    ("blocklist_de", 300),
    ("feodo", 500),
    ("et_compromised", 500),
    ("sslbl", 700),
    ("greensnow", 300),
    ("alienvault-reputation.generic", 1),
    ("blocklist_de-apache", 10),
    ("blocklist_de-bots", 300),
    ("blocklist_de-ftp", 300),
    ("blocklist_de-imap", 300),
    ("blocklist_de-mail", 10),
    ("blocklist_de-sip", 300),
    ("blocklist_de-ssh", 300),
    ("blocklist_de-strong", 600),
    ("ciarmy-ip", 500),
    ("cleanmx-malwares", 500),
    ("cleanmx-phishing", 500),
    ("cleanmx-portals", 500),
    ("ZeroDot1-CoinBlockerLists", 300),
    ("dshield-daily", 10),
    ("dshield-topips", 100),
    ("emergingthreats-compromized", 500),
    ("feodotracker-ipblocklist", 500),
    ("malc0de-blocklist", 500),
    ("malwaredomainlist-ip", 500),
    ("abuse.ch-sslblacklist", 700),
    ("abuse.ch-threatfox", 500),
    ("greensnow-blocklist", 300),
    ("bsdly-pop3gropers", 300),
    ("shadowserver-botnet", 200),
    ("shadowserver-drone", 200),
    ("shadowserver-malware", 200),
    ("shadowserver-cc", 500),
];

/// CIRCL's weight of a source, in hundredths; 1 for a source that it does not know.
pub fn impact_hundredths(source: &SourceId) -> u32 {
    let known = IMPACTS_HUNDREDTHS.iter().find(|(name, _)| *name == source.as_str());
    known.map_or(IMPACT_OTHER_HUNDREDTHS, |(_, impact)| *impact)
}

/// The rank of one AS.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rank {
    /// The AS.
    pub system: u32,
    /// Its rank on that day: higher is worse, usually far below 1.
    pub rank: f64,
}

/// The ranks of one day.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ranking {
    /// IPv4 and IPv6, the worst first.
    ranks: [Vec<Rank>; 2],
    /// Positions in `ranks`, by AS number.
    by_system: [Vec<u32>; 2],
}

impl Ranking {
    /// Ranks by the addresses `kept` of each list.
    pub(super) fn of(
        table: &RouteTable,
        announced: &Announced,
        lists: &[AddressList],
        kept: &[AddressSet],
    ) -> Self {
        let v4 = kept.iter().map(|set| &set.v4);
        let v6 = kept.iter().map(|set| &set.v6);
        let ranks = [
            ranks(table, announced, weighted(lists, v4)),
            ranks(table, announced, weighted(lists, v6)),
        ];
        let by_system = [0, 1].map(|family: usize| {
            let mut order: Vec<u32> = (0..).take(ranks[family].len()).collect();
            order.sort_unstable_by_key(|at| ranks[family][*at as usize].system);
            order
        });
        Self { ranks, by_system }
    }

    /// All AS of non-zero rank, the worst first. Equal ranks are in descending order of the numbers
    /// as text, as Redis' `ZREVRANK` has them.
    pub fn worst_first(&self, family: Family) -> &[Rank] {
        &self.ranks[family as usize]
    }

    /// The rank of an AS with its position, from 1; none where nothing of it is listed.
    pub fn position(&self, family: Family, system: u32) -> Option<(Rank, usize)> {
        let (ranks, order) = (&self.ranks[family as usize], &self.by_system[family as usize]);
        let at = order.binary_search_by_key(&system, |at| ranks[*at as usize].system).ok()?;
        let place = order[at] as usize;
        Some((ranks[place], place + 1))
    }

    /// How many AS have a rank (`total_known_asns`).
    pub fn total(&self, family: Family) -> usize {
        self.ranks[family as usize].len()
    }
}

/// The rank of each announced prefix with listed addresses, by position in the table:
/// `Σ over sources of (distinct addresses in p / size of p) · impact(s)`.
pub fn prefix_ranks(
    table: &RouteTable,
    family: Family,
    lists: &[AddressList],
    excluded: &AddressSet,
) -> Vec<(crate::model::Network, f64)> {
    let kept: Vec<AddressSet> = lists.iter().map(|list| list.addresses.minus(excluded)).collect();
    let sums = match family {
        Family::V4 => sums(table, weighted(lists, kept.iter().map(|set| &set.v4))),
        Family::V6 => sums(table, weighted(lists, kept.iter().map(|set| &set.v6))),
    };
    let rank = |(position, sum)| {
        let route = table.route_at(family, position);
        (route.network(), quotient(sum, announced::addresses(&route)))
    };
    sums.into_iter().map(rank).collect()
}

/// The sets that weigh something, with the impacts of their lists.
fn weighted<'s, N: Number>(
    lists: &'s [AddressList],
    sets: impl Iterator<Item = &'s RangeSet<N>>,
) -> impl Iterator<Item = (u32, &'s RangeSet<N>)> {
    let impacts = lists.iter().map(|list| list.impact_hundredths);
    impacts.zip(sets).filter(|(impact, _)| *impact > 0)
}

/// Addresses times impacts by prefix, in hundredths.
fn sums<'s, N: Number>(
    table: &RouteTable,
    sets: impl Iterator<Item = (u32, &'s RangeSet<N>)>,
) -> Vec<(u32, u128)> {
    let mut shares = Vec::new();
    for (impact, set) in sets {
        for &(first, last) in set.ranges() {
            table.side::<N>().pieces(first, last, &mut |position, from, to| {
                let addresses = (to.wide() - from.wide()).saturating_add(1);
                shares.extend(position.map(|p| (p, addresses.saturating_mul(impact.into()))));
            });
        }
    }
    summed(shares)
}

fn summed(mut shares: Vec<(u32, u128)>) -> Vec<(u32, u128)> {
    shares.sort_unstable_by_key(|share| share.0);
    let same = shares.chunk_by(|a, b| a.0 == b.0);
    same.map(|same| (same[0].0, same.iter().map(|share| share.1).fold(0, u128::saturating_add)))
        .collect()
}

fn ranks<'s, N: Number>(
    table: &RouteTable,
    announced: &Announced,
    sets: impl Iterator<Item = (u32, &'s RangeSet<N>)>,
) -> Vec<Rank> {
    let by_prefix = sums(table, sets);
    let first_origin = |position| table.route_at(N::FAMILY, position).origins().first();
    let shares =
        by_prefix.into_iter().map(|(position, sum)| (first_origin(position), sum)).collect();
    let rank = |(system, sum)| {
        let space = announced.space(system).map_or(0, |s| s.first_origin_sum[N::FAMILY as usize]);
        (space > 0).then(|| Rank { system, rank: quotient(sum, space) })
    };
    let mut ranks: Vec<Rank> = summed(shares).into_iter().filter_map(rank).collect();
    ranks.sort_unstable_by(worst_first);
    ranks
}

fn quotient(sum_hundredths: u128, addresses: u128) -> f64 {
    sum_hundredths as f64 / (addresses as f64 * 100.0)
}

fn worst_first(a: &Rank, b: &Rank) -> Ordering {
    let as_text = |rank: &Rank| rank.system.to_string();
    b.rank.total_cmp(&a.rank).then_with(|| as_text(b).cmp(&as_text(a)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::census::tests::{census, list};
    use crate::model::Network;

    #[test]
    fn the_worked_example_of_their_code_is_reproduced() {
        // 4 addresses on a source of impact 3 and 1 on one of impact 5, in 512 addresses.
        let routes: &[(&str, &[u32])] =
            &[("192.0.2.0/24", &[64496]), ("198.51.100.0/24", &[64496])];
        let lists = [
            list("s3", 5, 3, "192.0.2.1 192.0.2.2 198.51.100.1 198.51.100.2 203.0.113.1"),
            list("s5", 5, 5, "192.0.2.1"),
        ];
        let counts = census(1, routes, &lists, "");
        let (rank, position) = counts.circl.position(Family::V4, 64496).unwrap();
        assert_eq!((rank.rank, position), (0.033203125, 1));
        assert_eq!(counts.circl.total(Family::V4), 1);
        assert_eq!(counts.circl.position(Family::V4, 64497), None);
        let prefixes = prefix_ranks(&counts.table, Family::V4, &lists, &AddressSet::default());
        let expected =
            ["192.0.2.0/24", "198.51.100.0/24"].map(|t| Network::parse_strict(t).unwrap());
        assert_eq!(prefixes, [(expected[0], 11.0 / 256.0), (expected[1], 6.0 / 256.0)]);
    }

    #[test]
    fn a_prefix_of_two_origins_belongs_to_the_first_and_inner_prefixes_count_again() {
        let routes: &[(&str, &[u32])] =
            &[("192.0.2.0/24", &[2, 1]), ("192.0.2.0/25", &[2]), ("198.51.100.0/24", &[1])];
        let counts = census(1, routes, &[list("a", 5, 1, "192.0.2.1 192.0.2.200")], "");
        let ranks = counts.circl.worst_first(Family::V4);
        assert_eq!(ranks, [Rank { system: 2, rank: 2.0 / 384.0 }]);
    }

    #[test]
    fn equal_ranks_stand_as_redis_orders_them_backwards() {
        let routes: &[(&str, &[u32])] =
            &[("192.0.2.0/24", &[9]), ("198.51.100.0/24", &[10]), ("203.0.113.0/24", &[100])];
        let listed = "192.0.2.1 198.51.100.1 203.0.113.1 203.0.113.2";
        let counts = census(1, routes, &[list("a", 5, 1, listed)], "");
        let order = counts.circl.worst_first(Family::V4).iter().map(|rank| rank.system);
        assert_eq!(order.collect::<Vec<_>>(), [100, 9, 10]);
        assert_eq!(counts.circl.position(Family::V4, 10).unwrap().1, 3);
    }

    #[test]
    fn ipv6_counts_single_addresses() {
        let counts = census(
            1,
            &[("2001:db8::/64", &[1])],
            &[list("a", 5, 1, "2001:db8::1 2001:db8::2")],
            "",
        );
        let rank = counts.circl.position(Family::V6, 1).unwrap().0.rank;
        assert_eq!(rank, 2.0 / 2f64.powi(64));
    }

    #[test]
    fn impacts_are_circls_and_1_for_the_unknown() {
        for (source, impact) in [
            ("threatfox", 500),
            ("cins", 500),
            ("blocklist_de", 300),
            ("alienvault-reputation.generic", 1),
            ("ipsum3", 100),
        ] {
            assert_eq!(impact_hundredths(&SourceId::new(source)), impact, "{source}");
        }
    }
}
