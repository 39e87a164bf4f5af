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
    /// Appends the number so that octets sort as numbers do.
    fn write_sortable(self, out: &mut Vec<u8>);
    fn read_sortable(octets: &[u8]) -> Self;
    /// The sixteen highest bits.
    fn top(self) -> usize;
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
    ($number:ty, $address:ty, $variant:ident, $family:expr) => {
        impl Number for $number {
            const FAMILY: Family = $family;
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

            fn write_sortable(self, out: &mut Vec<u8>) {
                out.extend(self.to_be_bytes());
            }

            fn read_sortable(octets: &[u8]) -> Self {
                let octets = octets[..Self::OCTETS].try_into();
                Self::from_be_bytes(octets.expect("as many octets as were asked for"))
            }

            #[inline]
            fn top(self) -> usize {
                (self >> (Self::BITS - 16)) as usize
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

number!(u32, Ipv4Addr, V4, Family::V4);
number!(u128, Ipv6Addr, V6, Family::V6);

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
        assert_eq!(number("192.0.2.0").top(), 0xc000);
        assert_eq!(u128::of("2001:db8::".parse().unwrap()).unwrap().top(), 0x2001);
    }
}
