//! The messages of a transfer, made one at a time, so that a server sends each before it asks for
//! the next and a slow secondary holds up nobody.

use std::collections::VecDeque;

use super::edns;
use super::message::{AA, HEADER_OCTETS, Header, IN, QR, RD};
use super::request::Request;
use crate::model::NameRef;
use crate::model::name::unescaped;
use crate::zone::record::{Encoder, Record, rdata};
use crate::zone::{Delta, Soa, Walk, Zone};

/// How long messages get. Pointers reach the first 16 KiB of a message (RFC 1035 section 4.1.4);
/// beyond, names take more room. NSD stops there, too.
pub const MESSAGE_OCTETS: usize = 16 << 10;

/// The longest message over TCP.
const MESSAGE_OCTETS_MAX: usize = u16::MAX as usize;

/// Answers a [`Request`] with a zone or with changes. Rules that cannot be written are left out,
/// here as in files.
pub struct TransferWriter<'z> {
    header: Header,
    /// The type of the question; the first message repeats the question.
    question: Option<u16>,
    origin: NameRef<'z>,
    segments: VecDeque<Segment<'z>>,
    /// The rules that are being written.
    walk: Option<Walk<'z>>,
    encoder: Encoder<'z>,
    /// How many records of the encoder's rule were written; none once all were.
    written: Option<usize>,
    names: Names,
    octets_max: usize,
    reserved: usize,
    skipped: usize,
    /// Whether the first message carries an OPT record.
    edns: bool,
}

/// A part of a transfer.
enum Segment<'z> {
    Soa(&'z Soa),
    /// `NS localhost.` with this TTL.
    Ns(u32),
    Rules(&'z Zone),
}

impl<'z> TransferWriter<'z> {
    /// A whole zone: the answer to AXFR (RFC 5936 section 2.2), and to IXFR where the version asked
    /// for is not known any more (RFC 1995 section 4).
    pub fn full(request: &Request, zone: &'z Zone) -> Self {
        let soa = Segment::Soa(zone.soa());
        let end = Segment::Soa(zone.soa());
        let ns = Segment::Ns(zone.soa().ttl);
        Self::new(request, zone, [soa, ns, Segment::Rules(zone), end].into())
    }

    /// The changes that lead from the version asked for to the current one, oldest first (RFC 1995
    /// section 4).
    pub fn changes(
        request: &Request,
        zone: &'z Zone,
        deltas: impl IntoIterator<Item = &'z Delta>,
    ) -> Self {
        let parts = deltas.into_iter().flat_map(|delta| [delta.removed(), delta.added()]);
        let parts = parts.flat_map(|part| [Segment::Soa(part.soa()), Segment::Rules(part)]);
        let ends = || [Segment::Soa(zone.soa())];
        Self::new(request, zone, ends().into_iter().chain(parts).chain(ends()).collect())
    }

    /// Only the SOA: there is nothing newer, or over UDP it does not fit (RFC 1995 section 2).
    pub fn soa(request: &Request, zone: &'z Zone) -> Self {
        Self::new(request, zone, [Segment::Soa(zone.soa())].into())
    }

    fn new(request: &Request, zone: &'z Zone, segments: VecDeque<Segment<'z>>) -> Self {
        let flags = QR | AA | if request.recursion_desired { RD } else { 0 };
        Self {
            header: Header { id: request.id, flags, counts: [0; 4] },
            question: Some(request.rtype()),
            origin: zone.origin(),
            segments,
            walk: None,
            encoder: Encoder::new(zone.origin()),
            written: None,
            names: Names::default(),
            octets_max: MESSAGE_OCTETS,
            reserved: 0,
            skipped: 0,
            edns: false,
        }
    }

    /// With an OPT record in the first message, as is due where the request has one (RFC 5936
    /// section 2.2.5).
    pub fn with_edns(self, edns: bool) -> Self {
        Self { edns, ..self }
    }

    /// Messages of at most so many octets, of which the last `reserved` stay free for a signature.
    /// One record that is longer still gets a message of its own, up to 65,535 octets.
    pub fn with_size(self, octets_max: usize, reserved: usize) -> Self {
        Self { octets_max: octets_max.min(MESSAGE_OCTETS_MAX), reserved, ..self }
    }

    /// How many rules and records could not be written so far.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Writes the next message in place of what `out` held; false once all are written.
    pub fn next_message(&mut self, out: &mut Vec<u8>) -> bool {
        if self.segments.is_empty() && self.written.is_none() && self.walk.is_none() {
            return false;
        }
        out.clear();
        self.names.clear();
        let mut header = self.header;
        out.extend(header.to_octets());
        if let Some(rtype) = self.question.take() {
            header.counts[0] = 1;
            self.names.write(self.origin, out);
            out.extend([rtype, IN].map(u16::to_be_bytes).concat());
        }
        let edns = std::mem::take(&mut self.edns);
        self.reserved += if edns { edns::OPT_OCTETS } else { 0 };
        header.counts[1] = self.fill(out);
        if edns {
            self.reserved -= edns::OPT_OCTETS;
            out.extend(edns::OPT);
            header.counts[3] = 1;
        }
        out[..HEADER_OCTETS].copy_from_slice(&header.to_octets());
        true
    }

    /// Appends records until the message is full or all are written; gives their number.
    fn fill(&mut self, out: &mut Vec<u8>) -> u16 {
        let mut count = 0;
        loop {
            if self.written.is_some() {
                if !self.fill_rule(out, &mut count) {
                    return count;
                }
                continue;
            }
            if let Some(walk) = &mut self.walk {
                match walk.next() {
                    None => self.walk = None,
                    Some((trigger, effect)) => match self.encoder.take(trigger, effect) {
                        Ok(()) => self.written = Some(0),
                        Err(_) => self.skipped += 1,
                    },
                }
                continue;
            }
            let (rtype, ttl, data) = match self.segments.front() {
                None => return count,
                Some(Segment::Rules(zone)) => {
                    self.walk = Some(zone.walk());
                    self.segments.pop_front();
                    continue;
                }
                Some(Segment::Soa(soa)) => (rdata::SOA, soa.ttl, soa.to_wire()),
                Some(Segment::Ns(ttl)) => (rdata::NS, *ttl, b"\x09localhost\0".to_vec()),
            };
            let record = Record { owner: self.origin, rtype, ttl, rdata: &data };
            if !self.names.write_record(record, self.room(count), out) {
                return count;
            }
            self.segments.pop_front();
            count += 1;
        }
    }

    /// How long the message may get that holds so many records already.
    fn room(&self, count: u16) -> usize {
        let octets_max = if count == 0 { MESSAGE_OCTETS_MAX } else { self.octets_max };
        octets_max.saturating_sub(self.reserved)
    }

    /// Appends the records of the encoder's rule that are not written yet; false once the message
    /// is full.
    fn fill_rule(&mut self, out: &mut Vec<u8>, count: &mut u16) -> bool {
        let already = self.written.unwrap_or_default();
        for (index, record) in self.encoder.records().enumerate().skip(already) {
            let room = self.room(*count);
            if self.names.write_record(record, room, out) {
                *count += 1;
            } else if *count > 0 {
                self.written = Some(index);
                return false;
            } else {
                // Even a message of its own cannot hold it.
                self.skipped += 1;
            }
        }
        self.written = None;
        true
    }
}

/// Where the labels of the last owner stand in the message, so that the next one, which in sorted
/// order shares most of them, can point there.
#[derive(Default)]
struct Names {
    /// The last owner in lookup form.
    key: Vec<u8>,
    /// For each of its labels from the top down: where it ends in the key, and where the name up
    /// to it stands in the message, if a pointer reaches there.
    places: Vec<(usize, Option<u16>)>,
}

impl Names {
    fn clear(&mut self) {
        self.key.clear();
        self.places.clear();
    }

    /// Appends a record; false, and nothing appended, where it does not fit.
    fn write_record(&mut self, record: Record<'_>, room: usize, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let longest = record.owner.key().len() + 2 + 10 + record.rdata.len();
        // The names are taken back only where a close look is needed.
        let before = (start + longest > room).then(|| (self.key.clone(), self.places.clone()));
        self.write(record.owner, out);
        out.extend([record.rtype, IN].map(u16::to_be_bytes).concat());
        out.extend(record.ttl.to_be_bytes());
        let Ok(length) = u16::try_from(record.rdata.len()) else {
            out.truncate(start);
            return false;
        };
        out.extend(length.to_be_bytes());
        out.extend_from_slice(record.rdata);
        if out.len() <= room {
            return true;
        }
        out.truncate(start);
        (self.key, self.places) = before.expect("a record that does not fit was measured");
        false
    }

    /// Appends a name, compressed as far as the last one allows.
    fn write(&mut self, name: NameRef<'_>, out: &mut Vec<u8>) {
        let key = name.key();
        let shared = self.key.iter().zip(key).take_while(|(a, b)| a == b).count();
        let labels = self.places.iter().rposition(|(end, at)| *end <= shared && at.is_some());
        self.places.truncate(labels.map_or(0, |at| at + 1));
        let (end, pointer) = self.places.last().copied().unwrap_or_default();
        self.key.truncate(end);
        self.key.extend_from_slice(&key[end..]);
        let rest = NameRef::from_key(&key[end..]);
        let (known, mut end) = (self.places.len(), key.len());
        for label in rest.labels().rev() {
            let at = out.len();
            let place = u16::try_from(at).ok().filter(|at| *at < 0x4000);
            self.places.push((end, place));
            end -= label.len() + 1;
            out.push(0);
            out.extend(unescaped(label));
            out[at] = u8::try_from(out.len() - at - 1).expect("labels have at most 63 octets");
        }
        self.places[known..].reverse();
        match pointer {
            Some(at) => out.extend((0xc000 | at).to_be_bytes()),
            None => out.push(0),
        }
    }
}
