//! The answer and authority sections of a reply as they go on the wire.
//!
//! [`Sections`] are compressed for one place: right after a question section whose name starts at
//! octet 12. Every reply with one question has that layout, so a cached answer leaves as one copy,
//! with nothing to rewrite but the times to live. Who wants to edit takes [`Sections::answers`],
//! changes the [`Record`]s and encodes again.

use std::collections::HashMap;

use crate::model::NameRef;
use crate::model::name::WIRE_OCTETS_MAX;

/// Octets of a message header; the question's name follows.
pub const HEADER_OCTETS: usize = 12;
/// Octets of a question after its name: type and class.
const QUESTION_TAIL_OCTETS: usize = 4;
/// The largest message (RFC 1035 section 4.2.2: a two-octet length).
pub const MESSAGE_OCTETS_MAX: usize = 65_535;
/// Octets of a record after its owner: type, class, time to live, length.
const RECORD_FIXED_OCTETS: usize = 10;
/// A compression pointer has 14 bits (RFC 1035 section 4.1.4).
const POINTER_MAX: usize = 0x3fff;
const CLASS_IN: u16 = 1;

/// One record of class IN. Names are uncompressed and keep the case they came in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// Owner name, wire form.
    pub owner: Box<[u8]>,
    /// The record type's number.
    pub rtype: u16,
    /// Seconds.
    pub ttl: u32,
    /// Record data, wire form.
    pub rdata: Box<[u8]>,
}

/// Which time to live the copied records get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// What is left after this many seconds, never below 0.
    Aged(u32),
    /// The same number of seconds for every record (RFC 8767 section 4).
    Fixed(u32),
}

/// Why records cannot be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SectionsError {
    /// They do not fit a message.
    #[error("the records do not fit a message of 65,535 octets")]
    TooLarge,
    /// An owner, or a name in the data of a type of RFC 1035, is not an uncompressed name.
    #[error("a record of type {rtype} is malformed")]
    Malformed {
        /// The record's type.
        rtype: u16,
    },
}
use SectionsError::{Malformed, TooLarge};

/// The encoded answer and authority sections; immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sections {
    octets: Box<[u8]>,
    /// Where each record's time to live stands, answers first.
    ttls: Box<[u16]>,
    question_name: Box<[u8]>,
    answer_count: u16,
}

impl Sections {
    /// Encodes records for a reply to a question about `name`.
    pub fn encode(
        name: NameRef<'_>,
        answers: &[Record],
        authorities: &[Record],
    ) -> Result<Self, SectionsError> {
        let mut encoder = Encoder::new(name);
        for record in answers.iter().chain(authorities) {
            encoder.record(record)?;
        }
        Ok(Self {
            octets: encoder.octets.into(),
            ttls: encoder.ttls.into(),
            question_name: name.to_wire().into(),
            answer_count: u16::try_from(answers.len()).map_err(|_| TooLarge)?,
        })
    }

    /// Octets of the two sections together.
    pub fn size_octets(&self) -> usize {
        self.octets.len()
    }

    /// Octets this value holds in memory, its own struct apart.
    pub fn heap_octets(&self) -> usize {
        self.octets.len() + 2 * self.ttls.len() + self.question_name.len()
    }

    /// Where the sections begin in a message: after the header and the question.
    pub fn message_offset(&self) -> usize {
        HEADER_OCTETS + self.question_name.len() + QUESTION_TAIL_OCTETS
    }

    /// For the header's ANCOUNT.
    pub fn answer_count(&self) -> u16 {
        self.answer_count
    }

    /// For the header's NSCOUNT.
    pub fn authority_count(&self) -> u16 {
        u16::try_from(self.ttls.len()).expect("a record takes 11 octets or more of 65,535")
            - self.answer_count
    }

    /// Copies the sections to the front of `out`, which stands at [`Self::message_offset`] of the
    /// message and has room for [`Self::size_octets`].
    pub fn copy_to(&self, out: &mut [u8], ttl: Ttl) {
        let out = &mut out[..self.octets.len()];
        out.copy_from_slice(&self.octets);
        for &at in &self.ttls {
            let field = &mut out[usize::from(at)..usize::from(at) + 4];
            let left = match ttl {
                Ttl::Aged(seconds) => ttl_at(field, 0).saturating_sub(seconds),
                Ttl::Fixed(seconds) => seconds,
            };
            field.copy_from_slice(&left.to_be_bytes());
        }
    }

    /// Appends the sections to a message that has its header and question and nothing else.
    pub fn append_to(&self, message: &mut Vec<u8>, ttl: Ttl) {
        debug_assert_eq!(message.len(), self.message_offset());
        let start = message.len();
        message.resize(start + self.octets.len(), 0);
        self.copy_to(&mut message[start..], ttl);
    }

    /// The smallest time to live of the answer section, of the authority section where there is no
    /// answer, and none where there is no record.
    pub fn ttl_min_seconds(&self) -> Option<u32> {
        let answers = usize::from(self.answer_count);
        let of = match answers {
            0 => &self.ttls[..],
            _ => &self.ttls[..answers],
        };
        of.iter().map(|&at| ttl_at(&self.octets, at)).min()
    }

    /// The largest time to live of all records.
    pub fn ttl_max_seconds(&self) -> Option<u32> {
        self.ttls.iter().map(|&at| ttl_at(&self.octets, at)).max()
    }

    /// The same records with each time to live moved into `min_seconds..=max_seconds`.
    pub fn with_ttl_bounds(mut self, min_seconds: u32, max_seconds: u32) -> Self {
        for &at in &self.ttls {
            let bounded = ttl_at(&self.octets, at).max(min_seconds).min(max_seconds);
            self.octets[usize::from(at)..usize::from(at) + 4]
                .copy_from_slice(&bounded.to_be_bytes());
        }
        self
    }

    /// The records of the answer section, for editing.
    pub fn answers(&self) -> Vec<Record> {
        self.records().take(usize::from(self.answer_count)).collect()
    }

    /// The records of the authority section, for editing.
    pub fn authorities(&self) -> Vec<Record> {
        self.records().skip(usize::from(self.answer_count)).collect()
    }

    fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let mut message = vec![0; HEADER_OCTETS];
        message.extend_from_slice(&self.question_name);
        message.extend_from_slice(&[0; QUESTION_TAIL_OCTETS]);
        let offset = message.len();
        message.extend_from_slice(&self.octets);
        let mut at = offset;
        self.ttls.iter().map(move |&ttl_offset| {
            let (owner, _) = expand(&message, at);
            let fixed = offset + usize::from(ttl_offset) - 4;
            let length = usize::from(u16_at(&message, fixed + 8));
            let start = fixed + RECORD_FIXED_OCTETS;
            at = start + length;
            let rtype = u16_at(&message, fixed);
            Record {
                owner: owner.into(),
                rtype,
                ttl: u32::from(u16_at(&message, fixed + 4)) << 16
                    | u32::from(u16_at(&message, fixed + 6)),
                rdata: expand_rdata(&message, rtype, start, at).into(),
            }
        })
    }
}

fn u16_at(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

fn ttl_at(octets: &[u8], at: u16) -> u32 {
    let at = usize::from(at);
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

/// Where names stand in record data that may be compressed (RFC 3597 section 4: the types of
/// RFC 1035 and no others): octets before the names, and how many names.
fn compressible_names(rtype: u16) -> Option<(usize, usize)> {
    match rtype {
        // NS, CNAME, PTR.
        2 | 5 | 12 => Some((0, 1)),
        // SOA.
        6 => Some((0, 2)),
        // MX.
        15 => Some((2, 1)),
        _ => None,
    }
}

/// Octets of the name at the front of `wire`, if it is whole and uncompressed.
fn name_octets(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *wire.get(at)? {
            0 => return Some(at + 1).filter(|&octets| octets <= WIRE_OCTETS_MAX),
            length @ 1..=63 => at += usize::from(length) + 1,
            _ => return None,
        }
    }
}

struct Encoder {
    offset: usize,
    octets: Vec<u8>,
    ttls: Vec<u16>,
    /// Where each suffix already stands, by its lower-case wire form.
    suffixes: HashMap<Box<[u8]>, u16>,
}

impl Encoder {
    fn new(question: NameRef<'_>) -> Self {
        let wire = question.to_wire();
        let mut encoder = Self {
            offset: HEADER_OCTETS + wire.len() + QUESTION_TAIL_OCTETS,
            octets: Vec::new(),
            ttls: Vec::new(),
            suffixes: HashMap::new(),
        };
        encoder.remember(&wire, HEADER_OCTETS);
        encoder
    }

    fn remember(&mut self, name: &[u8], offset: usize) {
        let lower = name.to_ascii_lowercase();
        let mut at = 0;
        while lower[at] != 0 && offset + at <= POINTER_MAX {
            let pointer = u16::try_from(offset + at).expect("at most 14 bits");
            self.suffixes.entry(lower[at..].into()).or_insert(pointer);
            at += usize::from(lower[at]) + 1;
        }
    }

    fn name(&mut self, name: &[u8]) {
        let lower = name.to_ascii_lowercase();
        let start = self.offset + self.octets.len();
        let mut at = 0;
        while lower[at] != 0 {
            if let Some(&pointer) = self.suffixes.get(&lower[at..]) {
                self.octets.extend_from_slice(&name[..at]);
                self.octets.extend_from_slice(&(0xc000 | pointer).to_be_bytes());
                return self.remember_front(&lower, at, start);
            }
            at += usize::from(lower[at]) + 1;
        }
        self.octets.extend_from_slice(name);
        self.remember_front(&lower, at, start);
    }

    /// Remembers the suffixes that begin before `end`, which were written out at `start`.
    fn remember_front(&mut self, lower: &[u8], end: usize, start: usize) {
        let mut at = 0;
        while at < end && start + at <= POINTER_MAX {
            let pointer = u16::try_from(start + at).expect("at most 14 bits");
            self.suffixes.entry(lower[at..].into()).or_insert(pointer);
            at += usize::from(lower[at]) + 1;
        }
    }

    fn record(&mut self, record: &Record) -> Result<(), SectionsError> {
        let rtype = record.rtype;
        if name_octets(&record.owner) != Some(record.owner.len()) {
            return Err(Malformed { rtype });
        }
        self.name(&record.owner);
        self.octets.extend_from_slice(&rtype.to_be_bytes());
        self.octets.extend_from_slice(&CLASS_IN.to_be_bytes());
        self.ttls.push(u16::try_from(self.octets.len()).map_err(|_| TooLarge)?);
        self.octets.extend_from_slice(&record.ttl.to_be_bytes());
        let length_at = self.octets.len();
        self.octets.extend_from_slice(&[0; 2]);
        self.rdata(record).ok_or(Malformed { rtype })?;
        let length = self.octets.len() - length_at - 2;
        let length = u16::try_from(length).map_err(|_| TooLarge)?;
        self.octets[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        match self.offset + self.octets.len() > MESSAGE_OCTETS_MAX {
            true => Err(TooLarge),
            false => Ok(()),
        }
    }

    fn rdata(&mut self, record: &Record) -> Option<()> {
        let (skip, names) = compressible_names(record.rtype).unwrap_or_default();
        let (front, mut rest) = record.rdata.split_at_checked(skip)?;
        self.octets.extend_from_slice(front);
        for _ in 0..names {
            let (name, tail) = rest.split_at(name_octets(rest)?);
            self.name(name);
            rest = tail;
        }
        self.octets.extend_from_slice(rest);
        Some(())
    }
}

/// The name at `at` of a message that this module encoded, and where what follows it begins.
fn expand(message: &[u8], mut at: usize) -> (Vec<u8>, usize) {
    let mut name = Vec::new();
    let mut next = None;
    loop {
        let length = message[at];
        if length >= 0xc0 {
            next.get_or_insert(at + 2);
            at = usize::from(u16_at(message, at)) & POINTER_MAX;
            continue;
        }
        let end = at + usize::from(length) + 1;
        name.extend_from_slice(&message[at..end]);
        at = end;
        if length == 0 {
            return (name, next.unwrap_or(at));
        }
    }
}

fn expand_rdata(message: &[u8], rtype: u16, start: usize, end: usize) -> Vec<u8> {
    let (skip, names) = compressible_names(rtype).unwrap_or_default();
    let mut at = start + skip;
    let mut out = message[start..at].to_vec();
    for _ in 0..names {
        let (name, next) = expand(message, at);
        out.extend(name);
        at = next;
    }
    out.extend_from_slice(&message[at..end]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;
    use hickory_proto::op::{Message, Query};
    use hickory_proto::rr::RecordType;
    use proptest::prelude::*;

    fn wire(text: &str) -> Box<[u8]> {
        Name::from_presentation(text).unwrap().as_ref().to_wire().into()
    }

    fn record(owner: &str, rtype: u16, ttl: u32, rdata: &[u8]) -> Record {
        Record { owner: wire(owner), rtype, ttl, rdata: rdata.into() }
    }

    fn soa(mname: &str, rname: &str) -> Vec<u8> {
        [&wire(mname)[..], &wire(rname)[..], &[0; 20]].concat()
    }

    /// A whole message around the sections, as a front writes it.
    fn message(name: &Name, sections: &Sections, ttl: Ttl) -> Vec<u8> {
        let mut query = Message::response(7, hickory_proto::op::OpCode::Query);
        let qname = hickory_proto::rr::Name::from_ascii(name.as_ref().fqdn()).unwrap();
        query.add_query(Query::query(qname, RecordType::A));
        let mut out = query.to_vec().unwrap();
        out[6..8].copy_from_slice(&sections.answer_count().to_be_bytes());
        out[8..10].copy_from_slice(&sections.authority_count().to_be_bytes());
        sections.append_to(&mut out, ttl);
        out
    }

    #[test]
    fn another_reader_understands_the_compressed_sections() {
        let name = Name::from_presentation("www.example.com").unwrap();
        let answers = [
            record("WWW.example.com", 5, 300, &wire("cdn.Example.com")),
            record("cdn.example.com", 1, 60, &[192, 0, 2, 1]),
            record("cdn.example.com", 15, 60, &[&[0, 10][..], &wire("mx.example.net")].concat()),
        ];
        let authorities = [record("example.com", 6, 900, &soa("ns.example.com", "h.example.net"))];
        let sections = Sections::encode(name.as_ref(), &answers, &authorities).unwrap();
        let octets = message(&name, &sections, Ttl::Aged(20));
        let read = Message::from_vec(&octets).unwrap();
        let text: Vec<String> = read.all_sections().map(|r| r.to_string()).collect();
        assert_eq!(
            text,
            [
                "www.example.com. 280 IN CNAME cdn.example.com.",
                "cdn.example.com. 40 IN A 192.0.2.1",
                "cdn.example.com. 40 IN MX 10 mx.example.net.",
                "example.com. 880 IN SOA ns.example.com. h.example.net. 0 0 0 0 0",
            ]
        );
        let plain: usize =
            answers.iter().chain(&authorities).map(|r| r.owner.len() + 10 + r.rdata.len()).sum();
        assert!(sections.size_octets() + 60 < plain, "{} of {plain}", sections.size_octets());
    }

    #[test]
    fn times_to_live_age_stop_at_zero_and_can_be_fixed() {
        let name = Name::from_presentation("a.test").unwrap();
        let answers = [record("a.test", 1, 30, &[0; 4]), record("a.test", 1, 90, &[1; 4])];
        let sections = Sections::encode(name.as_ref(), &answers, &[]).unwrap();
        assert_eq!(sections.ttl_min_seconds(), Some(30));
        for (ttl, expected) in
            [(Ttl::Aged(0), [30, 90]), (Ttl::Aged(40), [0, 50]), (Ttl::Fixed(30), [30, 30])]
        {
            let read = Message::from_vec(&message(&name, &sections, ttl)).unwrap();
            assert_eq!(read.answers.iter().map(|r| r.ttl).collect::<Vec<_>>(), expected);
        }
        let bounded = sections.with_ttl_bounds(60, 80);
        assert_eq!(bounded.answers().iter().map(|r| r.ttl).collect::<Vec<_>>(), [60, 80]);
    }

    #[test]
    fn more_than_a_message_is_refused() {
        let name = Name::from_presentation("a.test").unwrap();
        let answers = vec![record("a.test", 16, 1, &[0; 60_000]); 2];
        assert_eq!(Sections::encode(name.as_ref(), &answers, &[]), Err(TooLarge));
        assert!(Sections::encode(name.as_ref(), &answers[..1], &[]).is_ok());
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let name = Name::from_presentation("a.test").unwrap();
        for (rtype, owner, rdata) in [
            (5, &b"\x01a\0"[..], &b"\xc0\x0c"[..]),
            (15, b"\x01a\0", b"\0"),
            (6, b"\x01a\0", b"\0\x01"),
            (1, b"\x01a", b""),
            (1, b"\x01a\0\0", b""),
            (1, b"\xc0\x0c", b""),
        ] {
            let record = Record { owner: owner.into(), rtype, ttl: 0, rdata: rdata.into() };
            let encoded = Sections::encode(name.as_ref(), &[record], &[]);
            assert_eq!(encoded, Err(Malformed { rtype }), "{owner:?} {rdata:?}");
        }
    }

    fn any_name() -> impl Strategy<Value = String> {
        let label = prop_oneof!["a", "B", "example", "Com", "x-[0-9]{1,2}"];
        proptest::collection::vec(label, 0..5).prop_map(|l| match l.is_empty() {
            true => ".".to_owned(),
            false => l.join("."),
        })
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..40);
        (any_name(), 0..20_u16, any::<u32>(), any_name(), any_name(), bytes).prop_map(
            |(owner, rtype, ttl, a, b, bytes)| {
                let rdata = match rtype {
                    2 | 5 | 12 => wire(&a).to_vec(),
                    6 => soa(&a, &b),
                    15 => [&[0, 1][..], &wire(&b)].concat(),
                    _ => bytes,
                };
                Record { owner: wire(&owner), rtype, ttl, rdata: rdata.into() }
            },
        )
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_went_in(
            question in any_name(),
            answers in proptest::collection::vec(any_record(), 0..12),
            authorities in proptest::collection::vec(any_record(), 0..6),
        ) {
            let lower = |records: &[Record]| -> Vec<Record> {
                // Compression may take another writing of the same name.
                records.iter().map(|r| {
                    let rdata = match compressible_names(r.rtype) {
                        Some(_) => r.rdata.to_ascii_lowercase(),
                        None => r.rdata.to_vec(),
                    };
                    Record { owner: r.owner.to_ascii_lowercase().into(), rdata: rdata.into(), ..r.clone() }
                }).collect()
            };
            let name = Name::from_presentation(&question).unwrap();
            let sections = Sections::encode(name.as_ref(), &answers, &authorities).unwrap();
            prop_assert_eq!(lower(&sections.answers()), lower(&answers));
            prop_assert_eq!(lower(&sections.authorities()), lower(&authorities));
        }
    }
}
