//! How a table lies in octets.
//!
//! ```text
//! 0   magic "sknames1"      8   count u32      12  payload width u32
//! 16  slots u32 (0 = no hash table)            20  zero u32
//! 24  hash seed u64        32  texts length u64
//! 40  checksum u64 (XXH3 of all that follows the header, seeded with the fields above)
//! 48  zero, 16 octets
//! 64  block offsets into the texts: u32 for every block of 16 names, and the end
//!     texts: per block the first name whole (length, octets), then 15 times
//!            (octets shared with the name before, further octets, those octets);
//!            lengths are one octet, or 255 and a u16
//!     payloads: count × width
//!     tags: one octet a slot, 0 = empty
//!     ordinals: u32 a slot
//! ```

use xxhash_rust::xxh3::Xxh3;

pub(super) const MAGIC: &[u8; 8] = b"sknames1";
pub(super) const HEADER_OCTETS: usize = 64;
/// Names in a block: of 4 to 64, the size beyond which decoding costs more than it saves space.
pub(super) const BLOCK_NAMES: usize = 16;

/// Why octets are not a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Another kind of file, or another version.
    #[error("not a name table of this version")]
    Magic,
    /// The file ends early or is longer than it says.
    #[error("a name table of {expected} octets has {found}")]
    Length {
        /// What the header asks for.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// The content is not what was written.
    #[error("the checksum of a name table does not hold")]
    Checksum,
}

/// The fields of the header, and the section boundaries that follow from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub count: u32,
    pub width: u32,
    pub slots: u32,
    pub seed: u64,
    pub texts_octets: u64,
    pub checksum: u64,
}

impl Header {
    pub fn read(octets: &[u8]) -> Result<Self, LayoutError> {
        let head = octets.get(..HEADER_OCTETS).ok_or(LayoutError::Magic)?;
        if &head[..8] != MAGIC {
            return Err(LayoutError::Magic);
        }
        let header = Self {
            count: read_u32(head, 8),
            width: read_u32(head, 12),
            slots: read_u32(head, 16),
            seed: read_u64(head, 24),
            texts_octets: read_u64(head, 32),
            checksum: read_u64(head, 40),
        };
        let (expected, found) = (header.total_octets(), octets.len() as u64);
        match expected == found {
            true => Ok(header),
            false => Err(LayoutError::Length { expected, found }),
        }
    }

    pub fn write(&self) -> [u8; HEADER_OCTETS] {
        let mut head = [0; HEADER_OCTETS];
        head[..8].copy_from_slice(MAGIC);
        head[8..12].copy_from_slice(&self.count.to_le_bytes());
        head[12..16].copy_from_slice(&self.width.to_le_bytes());
        head[16..20].copy_from_slice(&self.slots.to_le_bytes());
        head[24..32].copy_from_slice(&self.seed.to_le_bytes());
        head[32..40].copy_from_slice(&self.texts_octets.to_le_bytes());
        head[40..48].copy_from_slice(&self.checksum.to_le_bytes());
        head
    }

    /// A hash that has taken in the header's own fields.
    pub fn checksum_start(&self) -> Xxh3 {
        let unchecked = Self { checksum: 0, ..*self };
        let mut hash = Xxh3::new();
        hash.update(&unchecked.write());
        hash
    }

    pub fn block_count(&self) -> usize {
        (self.count as usize).div_ceil(BLOCK_NAMES)
    }

    pub fn texts_at(&self) -> usize {
        HEADER_OCTETS + (self.block_count() + 1) * 4
    }

    pub fn payloads_at(&self) -> usize {
        self.texts_at() + self.texts_octets as usize
    }

    pub fn tags_at(&self) -> usize {
        self.payloads_at() + self.count as usize * self.width as usize
    }

    pub fn ordinals_at(&self) -> usize {
        self.tags_at() + self.slots as usize
    }

    /// In 128-bit arithmetic's place: every field is at most 2³² but the texts, which are bounded
    /// by saturation and so never match a real length.
    fn total_octets(&self) -> u64 {
        let blocks = u64::from(self.count).div_ceil(BLOCK_NAMES as u64) + 1;
        [
            HEADER_OCTETS as u64,
            blocks * 4,
            self.texts_octets,
            u64::from(self.count) * u64::from(self.width),
            u64::from(self.slots) * 5,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

pub(super) fn read_u32(octets: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(octets[at..at + 4].try_into().expect("four octets"))
}

fn read_u64(octets: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(octets[at..at + 8].try_into().expect("eight octets"))
}

/// Lengths below 255 take one octet; names in lookup form have at most 510.
pub(super) fn write_length(out: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < u8::MAX => out.push(short),
        _ => {
            out.push(u8::MAX);
            let long = u16::try_from(length).expect("names have at most 510 octets");
            out.extend(long.to_le_bytes());
        }
    }
}

pub(super) fn read_length(octets: &[u8], at: &mut usize) -> usize {
    let short = octets[*at];
    *at += 1;
    if short < u8::MAX {
        return usize::from(short);
    }
    let long = u16::from_le_bytes(octets[*at..*at + 2].try_into().expect("two octets"));
    *at += 2;
    usize::from(long)
}
