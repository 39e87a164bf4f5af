//! The vectors of SCORING 2.8, and properties of the ranks.

use super::*;
use crate::bgp::census::SystemCount;
use crate::bgp::census::tests::{census, list};
use crate::bgp::{AddressList, AddressSet, RouteTableBuilder};
use crate::model::SourceId;
use std::sync::Arc;

/// g = 1e-4, as in SCORING 2.8.
const G: Rate = Rate(115_292_150_460_685);

/// A day's rate relative to g = 1e-4, and the rank it gives without smoothing.
fn one_day(weight_ppm: u64, announced: u64) -> (f64, i32) {
    let rate = Rate::shrunken(weight_ppm, announced, G, KAPPA[0]);
    let (min, max) = LOCAL_RANK_MBAN;
    (rate.to_f64() / 1e-4, rate.log_ratio_mban(G).unwrap().clamp(min, max))
}

fn near(found: f64, expected: f64, places: i32) {
    let half = 0.5 * 10f64.powi(-places);
    assert!((found - expected).abs() <= half * 1.0001, "{found} is not {expected}");
}

#[test]
fn the_vectors_of_scoring_2_8_hold() {
    // A /24 with one address on five lists, a hoster, a /22, an eyeball /12, an unlisted stub /24.
    for (weight_ppm, announced, ratio, places, mban) in [
        (900_000, 256, 3.01, 2, 478),
        (1_800_000_000, 1 << 20, 17.1, 1, 1233),
        (114_000_000, 1024, 223.0, 0, 1500),
        (6_000_000, 1 << 20, 0.06, 2, -300),
        (0, 256, 0.94, 2, -26),
    ] {
        let (found, rank) = one_day(weight_ppm, announced);
        near(found, ratio, places);
        assert_eq!(rank, mban, "H = {weight_ppm} ppm in {announced}");
    }
}

#[test]
fn the_smoothing_of_the_vector_holds() {
    let today = Rate::shrunken(114_000_000, 1024, G, KAPPA[0]);
    let mut rate = G;
    for ratio in [21.97, 40.97, 58.17, 73.75] {
        rate = rate.smoothed(today);
        near(rate.to_f64() / 1e-4, ratio, 2);
    }
}

#[test]
fn the_first_day_starts_everything_at_its_own_global_rate() {
    let routes: &[(&str, &[u32])] = &[("192.0.2.0/24", &[1]), ("198.51.100.0/24", &[2])];
    let after = Standing::start().after(&census(5, routes, &[list("a", 50, 1, "192.0.2.1")], ""));
    let g = Rate::global(500_000, 512);
    assert_eq!(after.global(Family::V4), g.smoothed(g));
    let listed = g.smoothed(Rate::shrunken(500_000, 256, g, 4096));
    assert_eq!(after.system_rate(Family::V4, 1), Some(listed));
    // By hand: g = .5/512 = 9.765625e-4; R = (.5 + 4096g)/4352 = 1.034007e-3, 1.058824 g;
    // E = (.905724 + .094276 · 1.058824) g = 1.005546 g; 1000 · log10 = 2.4 mban.
    assert_eq!(after.system_mban(Family::V4, 1), Some(2));
    assert_eq!(after.system_mban(Family::V4, 2), Some(-2));
    assert_eq!(after.system_mban(Family::V4, 3), None);
    assert_eq!(after.system_mban(Family::V6, 1), None);
    let network = |text| Network::parse_strict(text).unwrap();
    assert_eq!(after.prefix_mban(network("192.0.2.0/24")), Some(2));
    assert_eq!(after.prefix_mban(network("192.0.2.0/25")), None);
}

#[test]
fn a_new_as_starts_at_the_smoothed_global_rate_of_the_day_before() {
    let lists = [list("a", 50, 1, "192.0.2.1")];
    let old: &[(&str, &[u32])] = &[("192.0.2.0/24", &[1])];
    let first = Standing::start().after(&census(5, old, &lists, ""));
    let both: &[(&str, &[u32])] = &[("192.0.2.0/24", &[1]), ("198.51.100.0/24", &[2])];
    let second = first.after(&census(6, both, &lists, ""));
    let today = Rate::global(500_000, 512);
    let expected = first.global(Family::V4).smoothed(Rate::shrunken(0, 256, today, 4096));
    assert_eq!(second.system_rate(Family::V4, 2), Some(expected));
}

#[test]
fn leaving_for_a_day_sheds_no_bad_name_and_coming_down_to_the_average_does() {
    let bad = list("a", 100, 1, "192.0.2.0/25");
    let rest = list("b", 50, 1, "203.0.113.1");
    let with: &[(&str, &[u32])] = &[("192.0.2.0/24", &[1]), ("203.0.113.0/24", &[3])];
    let without: &[(&str, &[u32])] = &[("203.0.113.0/24", &[3]), ("10.0.0.0/8", &[4])];
    let mut standing = Standing::start();
    for day in 1..30 {
        standing = standing.after(&census(day, with, &[bad.clone(), rest.clone()], ""));
    }
    let before = standing.system_mban(Family::V4, 1).unwrap();
    standing = standing.after(&census(30, without, std::slice::from_ref(&rest), ""));
    let gone = standing.system_mban(Family::V4, 1).unwrap();
    assert!(gone > 0 && before > 0, "{before} {gone}");
    for day in 31..400 {
        standing = standing.after(&census(day, without, std::slice::from_ref(&rest), ""));
    }
    assert_eq!(standing.system_mban(Family::V4, 1), None, "forgotten");
    assert!(standing.system_mban(Family::V4, 4).unwrap() < -300);
}

#[test]
fn a_day_on_which_nothing_was_counted_is_no_day() {
    let routes: &[(&str, &[u32])] = &[("192.0.2.0/24", &[1])];
    let first = Standing::start().after(&census(5, routes, &[list("a", 50, 1, "192.0.2.1")], ""));
    let second = first.after(&census(6, routes, &[], ""));
    assert_eq!(second.system_rate(Family::V4, 1), first.system_rate(Family::V4, 1));
    assert_eq!(second.day(), UtcDay(6));
    let never = Standing::start().after(&census(5, routes, &[], ""));
    assert_eq!(never.system_mban(Family::V4, 1), None);
}

#[test]
fn counting_a_day_again_replaces_it_and_a_day_gone_by_is_left_alone() {
    let routes: &[(&str, &[u32])] = &[("192.0.2.0/24", &[1]), ("198.51.100.0/24", &[2])];
    let some = |day| census(day, routes, &[list("a", 50, 1, "192.0.2.1")], "");
    let more = |day| census(day, routes, &[list("a", 50, 1, "192.0.2.1 198.51.100.1")], "");
    let once = Reputation::start().counted(&more(8)).counted(&some(9));
    let twice = Reputation::start().counted(&some(8)).counted(&more(8)).counted(&more(9));
    assert_eq!(twice.counted(&some(9)), once);
    assert_eq!(once.closed().day(), UtcDay(8));
    assert_eq!(once.counted(&more(8)), once, "the clock wavers");
    assert_eq!(once.counted(&more(7)), once);
}

#[test]
fn a_clock_that_was_far_ahead_stops_nothing() {
    let routes: &[(&str, &[u32])] = &[("192.0.2.0/24", &[1]), ("198.51.100.0/24", &[2])];
    let on = |day| census(day, routes, &[list("a", 50, 1, "192.0.2.1")], "");
    let right = Reputation::start().counted(&on(8)).counted(&on(9));
    // Ahead for a moment: that day is dropped.
    let back = right.counted(&on(5000)).counted(&on(10));
    assert_eq!(
        back.live().system_rate(Family::V4, 1),
        right.counted(&on(10)).live().system_rate(Family::V4, 1)
    );
    // Ahead for days: these stay, and the right days go on from them.
    let mut long = right.counted(&on(5000)).counted(&on(5001)).counted(&on(10));
    assert_eq!((long.closed().day(), long.live().day()), (UtcDay(5000), UtcDay(10)));
    long = long.counted(&on(11));
    assert_eq!((long.closed().day(), long.live().day()), (UtcDay(10), UtcDay(11)));
}

#[test]
fn the_worst_come_first_and_percentiles_count_ties_by_half() {
    let routes: &[(&str, &[u32])] = &[
        ("192.0.2.0/24", &[1]),
        ("198.51.100.0/24", &[2]),
        ("203.0.113.0/24", &[3]),
        ("100.64.0.0/24", &[4]),
        ("100.64.1.0/25", &[5]),
    ];
    let lists = [list("a", 50, 1, "192.0.2.1 192.0.2.2 198.51.100.1")];
    let counts = census(5, routes, &lists, "");
    let standing = Standing::start().after(&counts);
    let order = standing.worst(Family::V4, 3);
    assert_eq!(order.iter().map(|worst| worst.system).collect::<Vec<_>>(), [1, 2, 5]);
    let percentile =
        |system| standing.percentile_ppm(Family::V4, &counts.announced, system).unwrap();
    // Four AS have a /24. Above 1: none; 3 and 4 are equal; 5 is too small to be one of the others.
    assert_eq!([1, 2, 3, 4].map(percentile), [750_000, 500_000, 125_000, 125_000]);
    assert_eq!(percentile(5), 500_000);
    assert_eq!(standing.percentile_ppm(Family::V4, &counts.announced, 9), None);
}

#[test]
fn an_address_is_judged_by_the_worst_of_its_prefix_and_origins() {
    let routes: &[(&str, &[u32])] =
        &[("192.0.2.0/24", &[1, 2]), ("198.51.0.0/16", &[2]), ("203.0.113.0/24", &[1])];
    let counts = census(5, routes, &[list("a", 90, 1, "198.51.0.0/24 192.0.2.1")], "");
    let standing = Standing::start().after(&counts);
    let network = |text| Network::parse_strict(text).unwrap();
    let of = |text| standing.of_network(&counts.table, network(text));
    let [one, two] = [1, 2].map(|system| standing.of_system(system).unwrap());
    assert!(one < two);
    assert_eq!(of("203.0.113.7"), standing.prefix_mban(network("203.0.113.0/24")).max(Some(one)));
    assert_eq!(of("192.0.2.7"), standing.prefix_mban(network("192.0.2.0/24")).max(Some(two)));
    assert_eq!(of("100.64.0.1"), None);
}

#[test]
fn a_standing_reads_back_as_it_was_written() {
    let routes: &[(&str, &[u32])] = &[("192.0.2.0/24", &[1]), ("2001:db8::/33", &[2])];
    let lists = [list("a", 50, 1, "192.0.2.1 2001:db8::1")];
    let standing = Standing::start().after(&census(5, routes, &lists, ""));
    let octets = standing.octets();
    assert_eq!(Standing::from_octets(octets.clone()).unwrap(), standing);
    assert!(Standing::from_octets(octets.slice(1..)).is_err());
    let resumed = Reputation::resume(standing.clone(), standing.clone());
    let counts = census(6, routes, &lists, "");
    assert_eq!(resumed.counted(&counts).live(), &standing.after(&counts));
}

/// κ and the unit of IPv6: one /64 of a /48 listed beside an unlisted /32.
#[test]
fn ipv6_is_ranked_by_64s_in_48s() {
    let routes: &[(&str, &[u32])] = &[("2001:db8::/48", &[1]), ("3fff::/32", &[2])];
    let counts = census(5, routes, &[list("a", 50, 1, "2001:db8::1 2001:db8::2")], "");
    let expected = SystemCount { system: 1, listed: 1, weight_ppm: 500_000 };
    assert_eq!(counts.family(Family::V6).systems, [expected]);
    let g = Rate::global(500_000, 1 + 65_536);
    let rate = g.smoothed(Rate::shrunken(500_000, 1, g, 16));
    assert_eq!(Standing::start().after(&counts).system_rate(Family::V6, 1), Some(rate));
}

/// The model in floating point, as SCORING writes it, over a month of made-up days.
#[test]
fn integers_say_what_the_formulas_say() {
    let mut builder = RouteTableBuilder::default();
    for system in 1..=40u32 {
        let start = std::net::Ipv4Addr::from_bits(system << 24);
        builder.add(Network::new(start.into(), (8 + system % 17) as u8).unwrap(), &[system]);
    }
    let table = builder.finish();
    let announced = Arc::new(Announced::of(&table));
    let (mut standing, mut plain_global) = (Standing::start(), 0.0);
    let mut plain: std::collections::BTreeMap<u32, f64> = Default::default();
    for day in 1..=30u32 {
        let mut listed = Vec::new();
        for system in 1..=40u32 {
            let count = (system * 7919 + day * 104_729) % 97 % (system + 1);
            listed.extend((0..count).map(|at| (system << 24) + at));
        }
        let addresses: AddressSet = listed
            .iter()
            .map(|number| Network::host(std::net::Ipv4Addr::from_bits(*number).into()))
            .collect();
        let lists = [AddressList {
            source: SourceId::new("a"),
            precision_ppm: 123_457,
            impact_hundredths: 100,
            addresses: Arc::new(addresses),
        }];
        let none = AddressSet::default();
        let counts = Census::take(UtcDay(day), &table, &announced, &lists, &none);
        standing = standing.after(&counts);

        let lambda = 2f64.powf(-1.0 / 7.0);
        let weight = |system: u32| {
            listed.iter().filter(|number| **number >> 24 == system).count() as f64 * 0.123457
        };
        let space = |system: u32| 2f64.powi(24 - (system % 17) as i32);
        let g = (1..=40).map(weight).sum::<f64>() / (1..=40).map(space).sum::<f64>();
        let start = if day == 1 { g } else { plain_global };
        plain_global = lambda * start + (1.0 - lambda) * g;
        for system in 1..=40 {
            let rate = (weight(system) + 4096.0 * g) / (space(system) + 4096.0);
            let before = plain.get(&system).copied().unwrap_or(start);
            plain.insert(system, lambda * before + (1.0 - lambda) * rate);
        }
    }
    for (system, rate) in plain {
        let mban = 1000.0 * (rate / plain_global).log10();
        let found = f64::from(standing.system_mban(Family::V4, system).unwrap());
        assert!((found - mban).abs() < 0.501, "AS{system}: {found} and {mban}");
    }
}
