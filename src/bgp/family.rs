//! The two address families, and their addresses as numbers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::Network;

/// An address family. Ranks are kept apart by family, as a listed /64 and a listed IPv4 address are
/// no common measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both families.
    pub const ALL: [Family; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The word used in files and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// An address of one family as a number.
pub(super) trait Number: Copy + Ord + fmt::Debug + 'static {
    const FAMILY: Family;
    /// Bits of an address.
    const BITS: u8;
    /// Octets of an address.
    const OCTETS: usize;
    const MAX: Self;

    /// The number of an address, if it is of this family.
    fn of(address: IpAddr) -> Option<Self>;
    fn address(self) -> IpAddr;
    /// Reads the number that lies at `at` in little-endian order.
    fn read(octets: &[u8], at: usize) -> Self;
    fn write(self, out: &mut Vec<u8>);
    /// One of 65,536 parts of the space, which come in the order of the numbers.
    fn bucket(self) -> usize;
    /// Appends the number so that octets sort as numbers do.
    fn write_sortable(self, out: &mut impl Extend<u8>);
    fn read_sortable(octets: &[u8]) -> Self;
    /// The last address of the prefix of `length` bits that starts here.
    fn end(self, length: u8) -> Self;
    /// The first address of the prefix of `length` bits that holds this one.
    fn start(self, length: u8) -> Self;
    /// The number after this one, which is not the last.
    fn next(self) -> Self;
    /// The number before this one, which is not the first.
    fn previous(self) -> Self;
    fn wide(self) -> u128;
}

macro_rules! number {
    ($number:ty, $address:ty, $variant:ident, $bucket:expr) => {
        impl Number for $number {
            const FAMILY: Family = Family::$variant;
            const BITS: u8 = <$number>::BITS as u8;
            const OCTETS: usize = size_of::<$number>();
            const MAX: Self = <$number>::MAX;

            fn of(address: IpAddr) -> Option<Self> {
                match address {
                    IpAddr::$variant(address) => Some(address.to_bits()),
                    _ => None,
                }
            }

            fn address(self) -> IpAddr {
                <$address>::from_bits(self).into()
            }

            #[inline]
            fn read(octets: &[u8], at: usize) -> Self {
                let octets = octets[at..at + Self::OCTETS].try_into();
                Self::from_le_bytes(octets.expect("as many octets as were asked for"))
            }

            fn write(self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }

            fn write_sortable(self, out: &mut impl Extend<u8>) {
                out.extend(self.to_be_bytes());
            }

            fn read_sortable(octets: &[u8]) -> Self {
                let octets = octets[..Self::OCTETS].try_into();
                Self::from_be_bytes(octets.expect("as many octets as were asked for"))
            }

            #[inline]
            fn bucket(self) -> usize {
                $bucket(self)
            }

            #[inline]
            fn end(self, length: u8) -> Self {
                self | Self::MAX.checked_shr(u32::from(length)).unwrap_or(0)
            }

            fn start(self, length: u8) -> Self {
                self & !Self::MAX.checked_shr(u32::from(length)).unwrap_or(0)
            }

            fn next(self) -> Self {
                self + 1
            }

            fn previous(self) -> Self {
                self - 1
            }

            fn wide(self) -> u128 {
                self.into()
            }
        }
    };
}

number!(u32, Ipv4Addr, V4, |number| (number >> 16) as usize);
number!(u128, Ipv6Addr, V6, v6_bucket);

/// The sixteen bits after the first three of `2000::/3`, in which all public addresses lie (RFC 4291
/// section 2.4); what comes before and after shares the first and the last bucket.
#[inline]
fn v6_bucket(number: u128) -> usize {
    match number >> 125 {
        0 => 0,
        1 => (number >> 109) as usize & 0xffff,
        _ => 0xffff,
    }
}

/// The prefix of `length` bits, at most the bits of the family, at `start`.
pub(super) fn network<N: Number>(start: N, length: u8) -> Network {
    Network::new(start.address(), length).expect("lengths are those of the family")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_any_length_have_a_first_and_a_last_address() {
        let number = |text: &str| u32::of(text.parse().unwrap()).unwrap();
        assert_eq!(number("192.0.2.77").start(24), number("192.0.2.0"));
        assert_eq!(number("192.0.2.0").end(24), number("192.0.2.255"));
        assert_eq!((7u32.start(32), 7u32.end(32)), (7, 7));
        assert_eq!((7u128.start(0), 0u128.end(0)), (0, u128::MAX));
    }

    #[test]
    fn buckets_come_in_the_order_of_addresses() {
        let bucket = |text: &str| u128::of(text.parse().unwrap()).unwrap().bucket();
        let addresses =
            ["::", "1fff::", "2000::", "2001:db8::", "2a00::", "2a00:2000::", "3fff::", "fe80::"];
        let buckets = addresses.map(bucket);
        assert!(buckets.is_sorted(), "{buckets:?}");
        assert_eq!(buckets[4] + 1, buckets[5]);
        assert_eq!((buckets[0], buckets[7], bucket("3fff:ffff::")), (0, 0xffff, 0xffff));
        assert_eq!(0xc000_0201u32.bucket(), 0xc000);
    }
}
