//! Sets of addresses as disjoint ranges: a list of a million addresses, or of a few wide prefixes.

use std::net::IpAddr;

use super::family::Number;
use crate::model::Network;

/// Addresses of both families, each once however often and in however many prefixes it was named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressSet {
    pub(super) v4: RangeSet<u32>,
    pub(super) v6: RangeSet<u128>,
}

impl AddressSet {
    /// The addresses of both sets, as the lists of one day are gathered from fetch to fetch.
    pub fn union(&self, other: &AddressSet) -> AddressSet {
        AddressSet { v4: self.v4.union(&other.v4), v6: self.v6.union(&other.v6) }
    }

    /// The addresses that are not in `other`.
    pub fn minus(&self, other: &AddressSet) -> AddressSet {
        AddressSet { v4: self.v4.minus(&other.v4), v6: self.v6.minus(&other.v6) }
    }

    /// Whether the address is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.v4.contains(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.contains(v6.to_bits()),
        }
    }

    /// Whether there are no addresses.
    pub fn is_empty(&self) -> bool {
        self.v4.ranges.is_empty() && self.v6.ranges.is_empty()
    }

    /// How many IPv4 addresses there are.
    pub fn v4_count(&self) -> u64 {
        u64::try_from(self.v4.count()).expect("IPv4 has 2³² addresses")
    }
}

impl FromIterator<Network> for AddressSet {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            let length = network.length();
            match network.address() {
                IpAddr::V4(start) => v4.push((start.to_bits(), start.to_bits().end(length))),
                IpAddr::V6(start) => v6.push((start.to_bits(), start.to_bits().end(length))),
            }
        }
        Self { v4: RangeSet::of(v4), v6: RangeSet::of(v6) }
    }
}

/// Disjoint ranges in ascending order, with a gap between any two; both ends belong to a range.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RangeSet<N> {
    ranges: Vec<(N, N)>,
}

impl<N: Number> RangeSet<N> {
    /// The numbers of all `ranges`, which may come in any order and overlap.
    pub fn of(mut ranges: Vec<(N, N)>) -> Self {
        ranges.sort_unstable();
        let mut set = Self { ranges: Vec::new() };
        ranges.into_iter().for_each(|range| set.push(range));
        set.ranges.shrink_to_fit();
        set
    }

    /// Takes a range that starts no earlier than all before it.
    fn push(&mut self, (first, last): (N, N)) {
        match self.ranges.last_mut() {
            Some((_, end)) if *end == N::MAX || first <= end.next() => *end = last.max(*end),
            _ => self.ranges.push((first, last)),
        }
    }

    pub fn ranges(&self) -> &[(N, N)] {
        &self.ranges
    }

    pub fn contains(&self, number: N) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= number);
        after > 0 && number <= self.ranges[after - 1].1
    }

    pub fn union(&self, other: &Self) -> Self {
        let (mut mine, mut theirs) =
            (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        let mut set = Self { ranges: Vec::new() };
        while let Some(next) = match (mine.peek(), theirs.peek()) {
            (Some(a), Some(b)) if b < a => theirs.next(),
            (None, _) => theirs.next(),
            _ => mine.next(),
        } {
            set.push(*next);
        }
        set
    }

    pub fn minus(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut holes = &other.ranges[..];
        for &(first, last) in &self.ranges {
            holes = &holes[holes.iter().take_while(|hole| hole.1 < first).count()..];
            let mut start = Some(first);
            for &(hole_first, hole_last) in holes.iter().take_while(|hole| hole.0 <= last) {
                if let Some(from) = start.filter(|from| *from < hole_first) {
                    left.push((from, hole_first.previous()));
                }
                start = (hole_last < last).then(|| hole_last.next());
            }
            left.extend(start.map(|from| (from, last)));
        }
        Self { ranges: left }
    }

    /// The set with every number's whole prefix of `length` bits: distinct /64 in place of distinct
    /// addresses.
    pub fn widened(&self, length: u8) -> Self {
        let widen = |&(first, last): &(N, N)| (first.start(length), last.start(length).end(length));
        Self::of(self.ranges.iter().map(widen).collect())
    }

    /// How many numbers there are; the whole of IPv6 counts one less.
    pub fn count(&self) -> u128 {
        self.ranges
            .iter()
            .map(|(first, last)| (last.wide() - first.wide()).saturating_add(1))
            .fold(0, u128::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(numbers: &BTreeSet<u32>) -> RangeSet<u32> {
        RangeSet::of(numbers.iter().rev().map(|&n| (n, n)).collect())
    }

    fn any_numbers() -> impl Strategy<Value = BTreeSet<u32>> {
        let number = prop_oneof![0u32..40, (u32::MAX - 5)..=u32::MAX];
        proptest::collection::btree_set(number, 0..30)
    }

    proptest! {
        #[test]
        fn ranges_behave_as_sets_of_numbers_do(a in any_numbers(), b in any_numbers()) {
            let (x, y) = (set(&a), set(&b));
            prop_assert_eq!(x.count(), a.len() as u128);
            prop_assert_eq!(x.union(&y), set(&(&a | &b)));
            prop_assert_eq!(x.minus(&y), set(&(&a - &b)));
            prop_assert!((0..45).all(|n| x.contains(n) == a.contains(&n)));
            let whole: BTreeSet<u32> = a.iter().flat_map(|n| n & !3..=n | 3).collect();
            prop_assert_eq!(x.widened(30), set(&whole));
        }
    }

    #[test]
    fn prefixes_and_addresses_that_overlap_count_once() {
        let networks = ["192.0.2.0/24", "192.0.2.7", "192.0.3.0", "2001:db8::/127", "192.0.2.0/25"];
        let set: AddressSet =
            networks.iter().map(|text| Network::parse_strict(text).unwrap()).collect();
        assert_eq!((set.v4_count(), set.v6.count()), (257, 2));
        assert!(set.contains("192.0.3.0".parse().unwrap()));
        assert!(!set.contains("192.0.3.1".parse().unwrap()));
        assert!(set.contains("2001:db8::1".parse().unwrap()));
        assert!(set.minus(&set).is_empty());
        let all: AddressSet = [Network::parse_strict("::/0").unwrap()].into_iter().collect();
        assert_eq!(all.v6.count(), u128::MAX);
        assert_eq!(all.minus(&set).v6.count(), u128::MAX - 1, "two addresses less than 2¹²⁸");
    }
}
