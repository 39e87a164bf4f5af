//! The parts of a DNS message (RFC 1035 section 4.1).

use std::ops::Range;

use crate::model::NameBuffer;

/// Length of the header.
pub const HEADER_OCTETS: usize = 12;
/// Set in responses.
pub const QR: u16 = 0x8000;
/// The answer is the zone's own.
pub const AA: u16 = 0x0400;
/// The message was cut.
pub const TC: u16 = 0x0200;
/// Recursion is desired.
pub const RD: u16 = 0x0100;
/// Where the operation code is.
pub const OPCODE: u16 = 0x7800;
/// Class IN.
pub const IN: u16 = 1;

/// The header of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub id: u16,
    pub flags: u16,
    /// Questions, answers, authority records, additional records.
    pub counts: [u16; 4],
}

impl Header {
    pub fn read(message: &[u8]) -> Option<Self> {
        let octets: &[u8; HEADER_OCTETS] = message.first_chunk()?;
        let field = |at: usize| u16::from_be_bytes([octets[at * 2], octets[at * 2 + 1]]);
        Some(Self {
            id: field(0),
            flags: field(1),
            counts: [field(2), field(3), field(4), field(5)],
        })
    }

    pub fn to_octets(self) -> [u8; HEADER_OCTETS] {
        let [questions, answers, authority, additional] = self.counts;
        let fields = [self.id, self.flags, questions, answers, authority, additional];
        let mut octets = [0; HEADER_OCTETS];
        for (place, field) in octets.chunks_exact_mut(2).zip(fields) {
            place.copy_from_slice(&field.to_be_bytes());
        }
        octets
    }

    pub fn rcode(self) -> u8 {
        (self.flags & 0xf) as u8
    }
}

/// A record as it lies in a message; its data may hold compressed names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub rdata: Range<usize>,
}

/// Reads the record at `at`; its owner goes to `owner`. Gives the position after it, too.
pub fn read_record(
    message: &[u8],
    at: usize,
    owner: &mut NameBuffer,
) -> Option<(RawRecord, usize)> {
    let at = owner.read_wire(message, at).ok()?;
    let fixed: &[u8; 10] = message.get(at..)?.first_chunk()?;
    let [t0, t1, c0, c1, l0, l1, l2, l3, d0, d1] = *fixed;
    let start = at + fixed.len();
    let end = start + usize::from(u16::from_be_bytes([d0, d1]));
    let record = RawRecord {
        rtype: u16::from_be_bytes([t0, t1]),
        class: u16::from_be_bytes([c0, c1]),
        ttl: u32::from_be_bytes([l0, l1, l2, l3]),
        rdata: start..end,
    };
    (end <= message.len()).then_some((record, end))
}

/// Reads the question at `at`: its name goes to `name`. Gives type, class and the position after.
pub fn read_question(
    message: &[u8],
    at: usize,
    name: &mut NameBuffer,
) -> Option<(u16, u16, usize)> {
    let at = name.read_wire(message, at).ok()?;
    let [t0, t1, c0, c1]: [u8; 4] = *message.get(at..)?.first_chunk()?;
    Some((u16::from_be_bytes([t0, t1]), u16::from_be_bytes([c0, c1]), at + 4))
}

/// The position after the question at `at`.
pub fn skip_question(message: &[u8], at: usize) -> Option<usize> {
    read_question(message, at, &mut NameBuffer::default()).map(|(_, _, after)| after)
}
