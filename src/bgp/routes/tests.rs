//! The table against a plain search, and damaged octets.

use super::*;
use crate::bgp::worlds::{self, Plain};
use proptest::prelude::*;

fn net(text: &str) -> Network {
    Network::parse_strict(text).unwrap()
}

fn shown(table: &RouteTable, address: &str) -> String {
    let route = table.lookup(address.parse().unwrap());
    route.map_or("none".to_owned(), |route| format!("{route:?}"))
}

fn table(entries: &[(&str, &[u32])]) -> RouteTable {
    let mut builder = RouteTableBuilder::default();
    entries.iter().for_each(|(network, origins)| builder.add(net(network), origins));
    builder.finish()
}

#[test]
fn the_most_specific_prefix_decides_and_gaps_belong_to_the_one_around() {
    let table = table(&[
        ("198.51.100.0/24", &[64499]),
        ("192.0.0.0/8", &[64496]),
        ("192.0.2.0/24", &[64497]),
        ("192.0.2.128/25", &[64498, 64496]),
        ("2001:db8::/32", &[64500]),
        ("2001:db8:0:1::/64", &[64501]),
        ("255.255.255.255", &[64502]),
    ]);
    for (address, expected) in [
        ("192.0.2.1", "192.0.2.0/24 [64497]"),
        ("192.0.2.255", "192.0.2.128/25 [64498, 64496]"),
        ("192.0.3.0", "192.0.0.0/8 [64496]"),
        ("192.255.255.255", "192.0.0.0/8 [64496]"),
        ("193.0.0.0", "none"),
        ("0.0.0.0", "none"),
        ("198.51.100.255", "198.51.100.0/24 [64499]"),
        ("198.51.101.0", "none"),
        ("255.255.255.255", "255.255.255.255 [64502]"),
        ("2001:db8::1", "2001:db8::/32 [64500]"),
        ("2001:db8:0:1::9", "2001:db8:0:1::/64 [64501]"),
        ("2001:db8:ffff::", "2001:db8::/32 [64500]"),
        ("::c000:201", "none"),
    ] {
        assert_eq!(shown(&table, address), expected, "{address}");
    }
    assert!(RouteTable::empty().lookup("192.0.2.1".parse().unwrap()).is_none());
}

#[test]
fn a_prefix_that_comes_twice_keeps_all_origins_in_one_order() {
    let mut entries: Vec<(&str, &[u32])> = vec![
        ("192.0.2.0/24", &[3]),
        ("192.0.2.0/24", &[2, 1]),
        ("192.0.2.0/24", &[3]),
        ("192.0.2.0/24", &[1]),
        ("192.0.2.0/24", &[4, 3, 9]),
    ];
    let first = table(&entries);
    // 3 came first twice; 1, 2 and 4 once each; 9 only third.
    assert_eq!(shown(&first, "192.0.2.1"), "192.0.2.0/24 [3, 1, 2, 4, 9]");
    entries.reverse();
    assert_eq!(table(&entries).octets(), first.octets());
}

#[test]
fn a_prefix_is_found_exactly_and_covered_by_wider_ones() {
    let table = table(&[("192.0.0.0/8", &[1]), ("192.0.2.0/24", &[2])]);
    let covering = |text| table.covering(net(text)).map(|route| route.network().to_string());
    assert_eq!(covering("192.0.2.64/26").as_deref(), Some("192.0.2.0/24"));
    assert_eq!(covering("192.0.2.0/23").as_deref(), Some("192.0.0.0/8"));
    assert_eq!(covering("192.0.0.0/7"), None);
    assert!(table.find(net("192.0.2.0/24")).is_some());
    assert!(table.find(net("192.0.2.0/25")).is_none());
    let parent = table.find(net("192.0.2.0/24")).and_then(|route| route.parent());
    assert_eq!(format!("{parent:?}"), "Some(192.0.0.0/8 [1])");
    assert_eq!(table.announced_by(2).count(), 1);
}

#[test]
fn pieces_end_where_the_origin_changes() {
    let table = table(&[("192.0.2.0/26", &[1]), ("192.0.2.16/28", &[2]), ("192.0.2.128/25", &[3])]);
    let number = |last: u32| 0xc000_0200 + last;
    let mut pieces = Vec::new();
    table.v4.pieces(number(8), number(255), &mut |position, first, last| {
        pieces.push((position, first - number(0), last - number(0)));
    });
    assert_eq!(
        pieces,
        [
            (Some(0), 8, 15),
            (Some(1), 16, 31),
            (Some(0), 32, 63),
            (None, 64, 127),
            (Some(2), 128, 255)
        ]
    );
    pieces.clear();
    table.v4.pieces(u32::MAX, u32::MAX, &mut |position, first, last| {
        pieces.push((position, first, last));
    });
    assert_eq!(pieces, [(None, u32::MAX, u32::MAX)]);
}

proptest! {
    #[test]
    fn a_table_answers_as_a_plain_reading_of_all_prefixes_does(
        routes in worlds::routes(0..400),
        asked in proptest::collection::vec(worlds::address(), 40),
    ) {
        let table = worlds::table(&routes);
        let plain = Plain(&routes);
        let ends = routes.iter().flat_map(|(network, _)| worlds::edges(*network));
        for address in asked.into_iter().chain(ends) {
            let found = table.lookup(address);
            let found = found.map(|r| (r.network(), r.origins().iter().collect::<Vec<_>>()));
            prop_assert_eq!(found, plain.lookup(address), "{}", address);
        }
        for (network, _) in &routes {
            prop_assert_eq!(table.find(*network).map(|r| r.network()), Some(*network));
        }
        let back = RouteTable::from_octets(table.octets().clone()).unwrap();
        prop_assert!(Family::ALL.iter().all(|f| back.count(*f) == table.count(*f)));
    }

    #[test]
    fn pieces_join_up_and_each_lies_in_its_most_specific_prefix(
        routes in worlds::routes(0..40), asked in worlds::network(),
    ) {
        let table = worlds::table(&routes);
        let plain = Plain(&routes);
        let mut pieces = Vec::new();
        match asked.address() {
            IpAddr::V4(v4) => {
                let first = v4.to_bits();
                table.v4.pieces(first, first.end(asked.length()), &mut |position, a, b| {
                    pieces.push((position, a.address(), b.address(), a.wide(), b.wide()));
                });
            }
            IpAddr::V6(v6) => {
                let first = v6.to_bits();
                table.v6.pieces(first, first.end(asked.length()), &mut |position, a, b| {
                    pieces.push((position, a.address(), b.address(), a, b));
                });
            }
        }
        let [start, end] = worlds::edges(asked);
        prop_assert_eq!((pieces[0].1, pieces[pieces.len() - 1].2), (start, end));
        prop_assert!(pieces.windows(2).all(|two| two[0].4 + 1 == two[1].3));
        for (position, first, last, ..) in pieces {
            let family = Family::of(first);
            let expected = position.map(|p| table.route_at(family, p).network());
            for address in [first, last] {
                prop_assert_eq!(plain.lookup(address).map(|(network, _)| network), expected);
            }
        }
    }
}

/// Thousands of prefixes in one bucket of the index, so that a search passes three levels of
/// signposts; from a fixed seed.
#[test]
fn a_crowded_bucket_answers_as_a_plain_reading_does() {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: u32| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 32) as u32 % below
    };
    let mut routes = std::collections::BTreeMap::new();
    for origin in 1..=12_000 {
        let address = match origin % 2 {
            0 => IpAddr::V4((0xc000_0000 | next(1 << 16)).into()),
            _ => IpAddr::V6((0x2a00_0000 << 96 | u128::from(next(1 << 29)) << 68).into()),
        };
        let length = if address.is_ipv4() { 24 + next(9) } else { 44 + next(20) };
        routes.insert(Network::new(address, length as u8).unwrap(), vec![origin]);
    }
    let routes: Vec<_> = routes.into_iter().collect();
    let (table, plain) = (worlds::table(&routes), Plain(&routes));
    assert!(Family::ALL.iter().all(|family| table.count(*family) > 16 * 16 * 16), "{table:?}");
    let mut asked: Vec<IpAddr> =
        ["192.0.0.0", "191.255.255.255", "2a00::", "29ff:ffff::", "ffff::"]
            .map(|text| text.parse().unwrap())
            .to_vec();
    asked.extend(routes.iter().step_by(41).flat_map(|(network, _)| worlds::edges(*network)));
    asked.extend((0..200).map(|_| IpAddr::V4((0xc000_0000 | next(1 << 16)).into())));
    asked.extend(
        (0..200)
            .map(|_| IpAddr::V6((0x2a00_0000 << 96 | u128::from(next(1 << 29)) << 68 | 1).into())),
    );
    for address in asked {
        let found = table.lookup(address).map(|route| route.network());
        assert_eq!(found, plain.lookup(address).map(|(network, _)| network), "{address}");
    }
}

#[test]
fn octets_whose_parts_do_not_fit_together_are_refused() {
    let sound =
        table(&[("192.0.2.0/24", &[7]), ("192.0.2.0/25", &[8, 9]), ("2001:db8::/32", &[9, 8])]);
    let sections: [Bytes; 8] = layout::KIND.split(sound.octets()).unwrap();
    let with = |at: usize, change: &dyn Fn(&mut Vec<u8>)| {
        let mut sections = sections.each_ref().map(|section| section.to_vec());
        change(&mut sections[at]);
        RouteTable::from_octets(layout::KIND.join(&sections.each_ref().map(Vec::as_slice)))
    };
    assert!(with(0, &|_| ()).is_ok());
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
    let changes: [(usize, Change<'_>); 11] = [
        (0, &|index| index[0] = 1),
        (0, &|index| index.truncate(8)),
        (0, &|index| index[4 * 65_536] = 1),
        (1, &|signposts| signposts.extend([0; 4])),
        (2, &|rows| rows.truncate(14)),
        (2, &|rows| rows[4] = 33),
        (2, &|rows| rows[13 + 5] = 1),
        (5, &|rows| rows[16 + 5] = 2),
        (6, &|offsets| offsets.clear()),
        (6, &|offsets| offsets[4] = 0),
        (7, &|members| members.truncate(4)),
    ];
    for (number, (at, change)) in changes.into_iter().enumerate() {
        assert_eq!(with(at, change).unwrap_err(), layout::KIND.shape(), "change {number}");
    }
}
