//! The files of this module: a few sections of octets under one checksum.
//!
//! ```text
//! magic, 8 octets · checksum u64 (XXH3 of all that follows) · length u64 a section · sections
//! ```
//!
//! Numbers are little-endian. How many sections there are, and of what, follows from the magic.

use bytes::Bytes;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

const MAGIC_OCTETS: usize = 8;
const CHECKED_AT: usize = 16;

/// Why octets are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OctetsError {
    /// Another kind of file, or another version.
    #[error("not a {0} of this version")]
    Magic(&'static str),
    /// The file ends early or is longer than it says.
    #[error("the length of a {0} is wrong")]
    Length(&'static str),
    /// The content is not what was written.
    #[error("the checksum of a {0} does not hold")]
    Checksum(&'static str),
    /// The checksum holds, and yet the sections do not fit together.
    #[error("the sections of a {0} do not fit together")]
    Shape(&'static str),
}

/// A kind of file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub magic: &'static [u8; MAGIC_OCTETS],
    /// What people call it.
    pub name: &'static str,
}

impl Kind {
    /// Puts sections together.
    pub fn join(self, sections: &[&[u8]]) -> Bytes {
        let lengths: Vec<u8> =
            sections.iter().flat_map(|section| (section.len() as u64).to_le_bytes()).collect();
        let mut checksum = Xxh3::new();
        checksum.update(&lengths);
        sections.iter().for_each(|section| checksum.update(section));
        let size = sections.iter().map(|section| section.len()).sum::<usize>();
        let mut out = Vec::with_capacity(CHECKED_AT + lengths.len() + size);
        out.extend_from_slice(self.magic);
        out.extend(checksum.digest().to_le_bytes());
        out.extend(lengths);
        sections.iter().for_each(|section| out.extend_from_slice(section));
        out.into()
    }

    /// Takes `N` sections apart. They stay where they lie.
    pub fn split<const N: usize>(self, octets: &Bytes) -> Result<[Bytes; N], OctetsError> {
        if !octets.starts_with(self.magic) {
            return Err(OctetsError::Magic(self.name));
        }
        let mut at = CHECKED_AT + 8 * N;
        if octets.len() < at {
            return Err(OctetsError::Length(self.name));
        }
        if xxh3_64(&octets[CHECKED_AT..]) != read_u64(octets, MAGIC_OCTETS) {
            return Err(OctetsError::Checksum(self.name));
        }
        let mut sections = std::array::from_fn(|_| Bytes::new());
        for (index, section) in sections.iter_mut().enumerate() {
            let length = usize::try_from(read_u64(octets, CHECKED_AT + 8 * index));
            let end = length.ok().and_then(|length| at.checked_add(length));
            let end =
                end.filter(|end| *end <= octets.len()).ok_or(OctetsError::Length(self.name))?;
            *section = octets.slice(at..end);
            at = end;
        }
        match at == octets.len() {
            true => Ok(sections),
            false => Err(OctetsError::Length(self.name)),
        }
    }

    /// The error for sections that do not fit together.
    pub fn shape(self) -> OctetsError {
        OctetsError::Shape(self.name)
    }
}

#[inline]
pub(super) fn read_u32(octets: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(octets[at..at + 4].try_into().expect("four octets"))
}

pub(super) fn read_u64(octets: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(octets[at..at + 8].try_into().expect("eight octets"))
}

/// A count as it is stored. Nothing here has four thousand million parts.
pub(super) fn count_u32(count: usize) -> u32 {
    u32::try_from(count).expect("counts below 2³²")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { magic: b"sktest01", name: "test" };

    #[test]
    fn sections_come_back_and_damage_anywhere_is_seen() {
        let octets = KIND.join(&[b"one", b"", b"three"]);
        let [one, two, three] = KIND.split::<3>(&octets).unwrap();
        assert_eq!((&one[..], &two[..], &three[..]), (&b"one"[..], &b""[..], &b"three"[..]));
        for at in 0..octets.len() {
            let mut damaged = octets.to_vec();
            damaged[at] ^= 1;
            assert!(KIND.split::<3>(&damaged.into()).is_err(), "octet {at}");
            assert!(KIND.split::<3>(&octets.slice(..at)).is_err(), "cut at {at}");
        }
        assert_eq!(KIND.split::<2>(&octets).unwrap_err(), OctetsError::Length("test"));
    }
}
