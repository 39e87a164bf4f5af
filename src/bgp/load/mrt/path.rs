//! The origin of a path: the last AS of AS_PATH, or all members of an AS_SET that ends it.
//!
//! A speaker that knows AS numbers of two octets only writes AS_TRANS for the others and carries the
//! whole path in AS4_PATH; both are put together as RFC 6793 section 4.2.3 says, as far as the end
//! of the path is concerned.

use super::Octets;

/// RFC 4271 section 5.1.2, RFC 6793 section 3.
const AS_PATH: u8 = 2;
const AGGREGATOR: u8 = 7;
const AS4_PATH: u8 = 17;
const AS_TRANS: u32 = 23456;
/// RFC 4271 section 4.3: the length of the attribute has two octets.
const EXTENDED_LENGTH: u8 = 0x10;
/// RFC 4271 section 4.3 and RFC 5065 section 3.
const AS_SET: u8 = 1;
const AS_SEQUENCE: u8 = 2;

/// How AS_PATH writes AS numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// TABLE_DUMP.
    Two,
    /// TABLE_DUMP_V2.
    Four,
}

/// Puts the distinct origins of a path into `out`: nothing for an empty path. None if the attributes
/// do not fit together.
pub(super) fn origins(attributes: &[u8], width: Width, out: &mut Vec<u32>) -> Option<()> {
    let (mut path, mut path4, mut aggregator) = (None, None, AS_TRANS);
    let mut rest = Octets(attributes);
    while !rest.0.is_empty() {
        let (flags, kind) = (rest.u8()?, rest.u8()?);
        let value = match flags & EXTENDED_LENGTH {
            0 => {
                let length = rest.u8()?;
                rest.take(usize::from(length))?
            }
            _ => rest.sized()?,
        };
        match kind {
            AS_PATH => path = Some(Tail::read(value, width)?),
            AS4_PATH => path4 = Tail::read(value, Width::Four),
            AGGREGATOR if value.len() == 6 => aggregator = number(&value[..2]),
            _ => {}
        }
    }
    let Some(path) = path else { return Some(()) };
    let hides_origins = width == Width::Two || path.origins().any(|origin| origin == AS_TRANS);
    // An AGGREGATOR of an old speaker says that it aggregated, and AS4_PATH is out of date.
    let is_whole = hides_origins && aggregator == AS_TRANS;
    let path4 = path4.filter(|path4| is_whole && path4.hops > 0 && path4.hops <= path.hops);
    for origin in path4.unwrap_or(path).origins() {
        if !out.contains(&origin) {
            out.push(origin);
        }
    }
    Some(())
}

/// How long a path is, and what ends it.
#[derive(Clone, Copy)]
struct Tail<'o> {
    /// AS numbers; a set counts as one (RFC 4271 section 9.1.2.2), confederations do not count.
    hops: usize,
    /// The last AS number, or those of the last set.
    last: &'o [u8],
    octets: usize,
}

impl<'o> Tail<'o> {
    fn read(value: &'o [u8], width: Width) -> Option<Self> {
        let octets = if width == Width::Two { 2 } else { 4 };
        let mut tail = Tail { hops: 0, last: &[], octets };
        let mut rest = Octets(value);
        while !rest.0.is_empty() {
            let (kind, count) = (rest.u8()?, usize::from(rest.u8()?));
            let numbers = rest.take(count * octets)?;
            match kind {
                AS_SET if count > 0 => {
                    tail.hops += 1;
                    tail.last = numbers;
                }
                AS_SEQUENCE if count > 0 => {
                    tail.hops += count;
                    tail.last = &numbers[(count - 1) * octets..];
                }
                _ => {}
            }
        }
        Some(tail)
    }

    fn origins(self) -> impl Iterator<Item = u32> + 'o {
        self.last.chunks_exact(self.octets).map(number)
    }
}

fn number(octets: &[u8]) -> u32 {
    octets.iter().fold(0, |number, octet| number << 8 | u32::from(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attribute with a length of one octet, or of two where asked for.
    pub(in super::super) fn attribute(kind: u8, extended: bool, value: &[u8]) -> Vec<u8> {
        let mut out = match extended {
            true => vec![EXTENDED_LENGTH, kind, 0],
            false => vec![0x40, kind],
        };
        out.push(value.len() as u8);
        out.extend_from_slice(value);
        out
    }

    fn segment(kind: u8, numbers: &[u32], width: Width) -> Vec<u8> {
        let mut out = vec![kind, numbers.len() as u8];
        for number in numbers {
            let octets = number.to_be_bytes();
            out.extend_from_slice(if width == Width::Two { &octets[2..] } else { &octets });
        }
        out
    }

    fn read(attributes: &[Vec<u8>], width: Width) -> Option<Vec<u32>> {
        let mut out = Vec::new();
        origins(&attributes.concat(), width, &mut out).map(|()| out)
    }

    fn path(segments: &[(u8, &[u32])], width: Width) -> Vec<u8> {
        let value: Vec<_> =
            segments.iter().map(|(kind, numbers)| segment(*kind, numbers, width)).collect();
        attribute(AS_PATH, false, &value.concat())
    }

    #[test]
    fn the_origin_is_the_last_as_or_the_set_that_ends_the_path() {
        use Width::Four;
        for (segments, expected) in [
            (&[(AS_SEQUENCE, &[1u32, 2, 3][..])][..], &[3u32][..]),
            (&[(AS_SEQUENCE, &[1, 2]), (AS_SET, &[5, 4, 5])], &[5, 4]),
            (&[(AS_SET, &[5]), (AS_SEQUENCE, &[1, 4_200_000_000])], &[4_200_000_000]),
            // Confederations (types 3 and 4) and empty segments do not count.
            (&[(AS_SEQUENCE, &[1, 2]), (3, &[9]), (4, &[8]), (AS_SEQUENCE, &[])], &[2]),
            (&[], &[]),
        ] {
            let found = read(&[path(segments, Four)], Four);
            assert_eq!(found.as_deref(), Some(expected), "{segments:?}");
        }
        assert_eq!(read(&[attribute(5, false, &[0; 4])], Four), Some(vec![]), "no path at all");
        let long = attribute(AS_PATH, true, &segment(AS_SEQUENCE, &[7], Four));
        assert_eq!(read(&[attribute(1, false, &[0]), long], Four), Some(vec![7]));
    }

    #[test]
    fn as4_path_names_what_as_trans_hides() {
        use Width::{Four, Two};
        let old = path(&[(AS_SEQUENCE, &[1, 23456, 23456])], Two);
        let new =
            |numbers: &[u32]| attribute(AS4_PATH, false, &segment(AS_SEQUENCE, numbers, Four));
        assert_eq!(read(&[old.clone(), new(&[70_000, 80_000])], Two), Some(vec![80_000]));
        assert_eq!(read(&[new(&[80_000]), old.clone()], Two), Some(vec![80_000]), "in any order");
        // Longer than AS_PATH: out of date (RFC 6793 section 4.2.3).
        assert_eq!(read(&[old.clone(), new(&[1, 2, 3, 4])], Two), Some(vec![23456]));
        // Aggregated by a speaker that knows two octets only.
        let aggregator = attribute(AGGREGATOR, false, &[0, 9, 192, 0, 2, 1]);
        assert_eq!(read(&[old.clone(), new(&[80_000]), aggregator], Two), Some(vec![23456]));
        let aggregator = attribute(AGGREGATOR, false, &[0x5b, 0xa0, 192, 0, 2, 1]);
        assert_eq!(read(&[old, new(&[80_000]), aggregator], Two), Some(vec![80_000]));
        // Four octets hide nothing, unless AS_TRANS went into them.
        let plain = path(&[(AS_SEQUENCE, &[1, 2])], Four);
        assert_eq!(read(&[plain, new(&[9])], Four), Some(vec![2]));
        let hidden = path(&[(AS_SEQUENCE, &[1, 23456])], Four);
        assert_eq!(read(&[hidden, new(&[9])], Four), Some(vec![9]));
    }

    #[test]
    fn attributes_that_do_not_fit_together_are_told() {
        let sound = path(&[(AS_SEQUENCE, &[1, 2])], Width::Four);
        for end in 1..sound.len() {
            assert_eq!(read(&[sound[..end].to_vec()], Width::Four), None, "cut at {end}");
        }
        let promising = attribute(AS_PATH, false, &[AS_SEQUENCE, 3, 0, 0, 0, 1]);
        assert_eq!(read(&[promising], Width::Four), None);
    }
}
