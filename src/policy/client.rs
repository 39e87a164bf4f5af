//! Groups of clients, and which of them an address is in.

use std::net::IpAddr;

use super::Mark;
use crate::model::group::GROUPS_MAX;
use crate::model::network::address_number;
use crate::model::{GroupSet, Network};
use crate::zone::Mode;

/// Clients that are treated alike.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name, as entries and categories refer to it.
    pub name: String,
    /// Where its clients are.
    pub networks: Vec<(Network, Mark)>,
    /// The mode for its clients; milder than the policy's or without effect.
    pub mode: Mode,
    /// Categories by position, and whether they are on or off for its clients.
    pub switches: Vec<(usize, bool)>,
    /// Young names that are predicted to be malicious are redirected for its clients, although no
    /// list names them.
    pub redirect_predicted: bool,
    /// Where it stands first.
    pub mark: Mark,
}

/// Which groups an address is in: ranges without gap or overlap.
///
/// Beside the groups that the operator named, a set may hold positions above them that stand for
/// "in none of these groups". They come from categories that are on for everyone but some, and
/// let a zone be bound to the rest of the world like to any other group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clients {
    /// First address of each range as a number, in order, and the groups of the range.
    v4: Vec<(u128, GroupSet)>,
    v6: Vec<(u128, GroupSet)>,
}

impl Clients {
    /// The table of `groups`, where a client in none of the groups `absent[i]` is also in the
    /// position `groups.len() + i`. There are at most [`GROUPS_MAX`] positions in all.
    pub(super) fn new(groups: &[Group], absent: &[GroupSet]) -> Self {
        assert!(groups.len() + absent.len() <= GROUPS_MAX, "groups are counted when they are read");
        let table = |v6: bool| {
            let networks = groups.iter().enumerate().flat_map(|(at, group)| {
                let family = move |network: &Network| network.address().is_ipv6() == v6;
                let networks = group.networks.iter().map(|(network, _)| *network);
                networks.filter(family).map(move |network| (network, at))
            });
            let mut ranges = ranges(networks.collect());
            for (_, set) in &mut ranges {
                for (at, but) in absent.iter().enumerate() {
                    if set.0 & but.0 == 0 {
                        *set = set.union(GroupSet::of(groups.len() + at));
                    }
                }
            }
            ranges.dedup_by_key(|(_, set)| *set);
            ranges
        };
        Self { v4: table(false), v6: table(true) }
    }

    /// The groups of a client. An IPv4 address that is written as IPv6 counts as IPv4.
    pub fn groups_of(&self, client: IpAddr) -> GroupSet {
        let client = client.to_canonical();
        let ranges = if client.is_ipv6() { &self.v6 } else { &self.v4 };
        let after = ranges.partition_point(|(start, _)| *start <= address_number(client));
        after.checked_sub(1).map_or(GroupSet::NONE, |at| ranges[at].1)
    }

    /// The table as prefixes that do not overlap, in order; addresses in none of them are in no
    /// group.
    pub fn prefixes(&self) -> Vec<(Network, GroupSet)> {
        let mut prefixes = Vec::new();
        for (ranges, v6) in [(&self.v4, false), (&self.v6, true)] {
            for (at, (start, set)) in ranges.iter().enumerate() {
                let end = ranges.get(at + 1).map(|(next, _)| next - 1);
                if *set != GroupSet::NONE {
                    let end = end.unwrap_or(last_address(v6));
                    push_prefixes(*start, end, v6, |network| prefixes.push((network, *set)));
                }
            }
        }
        prefixes
    }
}

/// The ranges that networks of one family cut the address space into, each with the groups that
/// hold it.
fn ranges(networks: Vec<(Network, usize)>) -> Vec<(u128, GroupSet)> {
    // What happens at an address: a group begins or ends. Networks of a group may overlap, so
    // they are counted.
    let mut events: Vec<(u128, usize, i32)> = Vec::with_capacity(2 * networks.len());
    for (network, at) in networks {
        let (first, last) = (network.rpz_number(), last_of(network));
        events.push((first, at, 1));
        if last < last_address(network.address().is_ipv6()) {
            events.push((last + 1, at, -1));
        }
    }
    events.sort_unstable();
    let mut held = [0i32; GROUPS_MAX];
    let mut set = GroupSet::NONE;
    let mut ranges = vec![(0, GroupSet::NONE)];
    for (address, at, change) in events {
        held[at] += change;
        let bit = GroupSet::of(at);
        set = if held[at] > 0 { set.union(bit) } else { GroupSet(set.0 & !bit.0) };
        match ranges.last_mut() {
            Some((start, last)) if *start == address => *last = set,
            _ => ranges.push((address, set)),
        }
    }
    ranges
}

fn last_address(v6: bool) -> u128 {
    if v6 { u128::MAX } else { u128::from(u32::MAX) }
}

fn last_of(network: Network) -> u128 {
    let free_bits = 128 - u32::from(network.rpz_length());
    network.rpz_number() | 1u128.checked_shl(free_bits).map_or(u128::MAX, |size| size - 1)
}

/// Gives the fewest prefixes that make up the range.
fn push_prefixes(first: u128, last: u128, v6: bool, mut push: impl FnMut(Network)) {
    let bits: u32 = if v6 { 128 } else { 32 };
    let mut start = first;
    while start <= last {
        // The largest block that begins here and does not run over the end.
        let mut free_bits = start.trailing_zeros().min(bits);
        while free_bits > 0 && last - start < size_less_one(free_bits) {
            free_bits -= 1;
        }
        let address = match v6 {
            true => IpAddr::from(start.to_be_bytes()),
            false => IpAddr::from(u32::try_from(start).unwrap_or(u32::MAX).to_be_bytes()),
        };
        let length = u8::try_from(bits - free_bits).unwrap_or(u8::MAX);
        push(Network::new(address, length).expect("a block has a prefix length of its family"));
        match start.checked_add(size_less_one(free_bits)).and_then(|end| end.checked_add(1)) {
            Some(next) => start = next,
            None => return,
        }
    }
}

/// One less than the number of addresses in a block.
fn size_less_one(free_bits: u32) -> u128 {
    1u128.checked_shl(free_bits).map_or(u128::MAX, |size| size - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Position;
    use proptest::prelude::*;

    const MARK: Mark = Mark { file: 0, position: Position { line: 1, column: 1 } };

    fn group(networks: &[Network]) -> Group {
        Group {
            name: "g".to_owned(),
            networks: networks.iter().map(|network| (*network, MARK)).collect(),
            mode: Mode::Enforce,
            switches: Vec::new(),
            redirect_predicted: false,
            mark: MARK,
        }
    }

    fn net(text: &str) -> Network {
        Network::parse_strict(text).unwrap()
    }

    #[test]
    fn a_client_is_in_every_group_that_holds_its_address() {
        let office = group(&[net("192.0.2.0/24"), net("2001:db8::/32")]);
        let lab = group(&[net("192.0.2.128/25"), net("255.255.255.255")]);
        let clients = Clients::new(&[office, lab], &[]);
        let groups = |text: &str| clients.groups_of(text.parse().unwrap()).0;
        assert_eq!(groups("192.0.2.1"), 0b01);
        assert_eq!(groups("192.0.2.129"), 0b11);
        assert_eq!(groups("192.0.3.0"), 0);
        assert_eq!(groups("255.255.255.255"), 0b10);
        assert_eq!(groups("2001:db8::7"), 0b01);
        assert_eq!(groups("::ffff:192.0.2.1"), 0b01);
    }

    #[test]
    fn the_rest_of_the_world_is_a_group_too() {
        let clients = Clients::new(&[group(&[net("192.0.2.0/24")])], &[GroupSet::of(0)]);
        let groups = |text: &str| clients.groups_of(text.parse().unwrap()).0;
        assert_eq!(groups("192.0.2.1"), 0b01);
        assert_eq!(groups("198.51.100.1"), 0b10);
        assert_eq!(groups("2001:db8::"), 0b10);
    }

    fn any_network() -> impl Strategy<Value = Network> {
        // Few bits that vary, at both ends of both families, so that networks nest and touch.
        let v4 = (any::<bool>(), any::<u8>(), 22u8..=32).prop_map(|(high, low, length)| {
            let [a, b, c] = if high { [255; 3] } else { [0; 3] };
            Network::new(IpAddr::from([a, b, c, low]), length).unwrap()
        });
        let v6 = (any::<bool>(), any::<u8>(), 118u8..=128).prop_map(|(high, low, length)| {
            let mut octets = if high { [255; 16] } else { [0; 16] };
            octets[15] = low;
            Network::new(IpAddr::from(octets), length).unwrap()
        });
        prop_oneof![v4, v6, Just(net("0.0.0.0/0")), Just(net("::/0"))]
    }

    proptest! {
        #[test]
        fn ranges_and_prefixes_say_what_the_networks_say(
            groups in proptest::collection::vec(proptest::collection::vec(any_network(), 0..5), 0..5),
            but in 0u64..32,
            low: u8,
        ) {
            let groups: Vec<Group> = groups.iter().map(|networks| group(networks)).collect();
            let but = GroupSet(but & ((1 << groups.len()) - 1));
            let clients = Clients::new(&groups, &[but]);
            let prefixes = clients.prefixes();
            let mut addresses = vec![IpAddr::from([0, 0, 0, low]), IpAddr::from([255, 255, 255, low])];
            for high in [0, 255] {
                let mut octets = [high; 16];
                octets[15] = low;
                addresses.push(IpAddr::from(octets));
            }
            for address in addresses {
                let mut expected = GroupSet::NONE;
                for (at, group) in groups.iter().enumerate() {
                    if group.networks.iter().any(|(network, _)| network.contains(address)) {
                        expected = expected.union(GroupSet::of(at));
                    }
                }
                if expected.0 & but.0 == 0 {
                    expected = expected.union(GroupSet::of(groups.len()));
                }
                prop_assert_eq!(clients.groups_of(address), expected);
                let holding: Vec<_> = prefixes.iter().filter(|(n, _)| n.contains(address)).collect();
                let from_prefixes = holding.first().map_or(GroupSet::NONE, |(_, set)| *set);
                prop_assert_eq!((from_prefixes, holding.len() <= 1), (expected, true));
            }
        }
    }
}
