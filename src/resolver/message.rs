//! Reads a client's query where it lies, without allocation.
//!
//! Any octets are fine: [`read`] says that they are a query, that they deserve an error, or that
//! they deserve no answer. The name comes in lookup form in a buffer of the caller; the octets as
//! the client wrote them stay in the packet for the echo, so that the case of its letters (which
//! some resolvers vary as a nonce) comes back unchanged.

use crate::model::NameRef;
use crate::model::name::{KEY_OCTETS_MAX, LABEL_OCTETS_MAX, WIRE_OCTETS_MAX};

/// Octets of a message header.
pub const HEADER_OCTETS: usize = 12;
/// The largest query that is read. A query with a padded (RFC 8467) and signed (RFC 8945) question
/// for the longest name stays below 1,500.
pub const QUERY_OCTETS_MAX: usize = 4096;
/// What every receiver of UDP can take (RFC 1035 section 4.2.1).
pub const PAYLOAD_OCTETS_MIN: u16 = 512;

/// Response codes, the extended ones of RFC 6891 included.
pub mod rcode {
    /// NOERROR.
    pub const NO_ERROR: u16 = 0;
    /// FORMERR.
    pub const FORMAT_ERROR: u16 = 1;
    /// SERVFAIL.
    pub const SERVER_FAILURE: u16 = 2;
    /// NXDOMAIN.
    pub const NAME_ERROR: u16 = 3;
    /// NOTIMP.
    pub const NOT_IMPLEMENTED: u16 = 4;
    /// REFUSED.
    pub const REFUSED: u16 = 5;
    /// YXDOMAIN.
    pub const NAME_EXISTS: u16 = 6;
    /// NOTAUTH.
    pub const NOT_AUTHORIZED: u16 = 9;
    /// BADVERS.
    pub const BAD_VERSION: u16 = 16;
}

/// Numbers of the record types and classes that a resolver treats in a way of their own.
pub mod rtype {
    /// A.
    pub const A: u16 = 1;
    /// NS.
    pub const NS: u16 = 2;
    /// CNAME.
    pub const CNAME: u16 = 5;
    /// SOA.
    pub const SOA: u16 = 6;
    /// PTR.
    pub const PTR: u16 = 12;
    /// HINFO.
    pub const HINFO: u16 = 13;
    /// AAAA.
    pub const AAAA: u16 = 28;
    /// OPT.
    pub const OPT: u16 = 41;
    /// SVCB.
    pub const SVCB: u16 = 64;
    /// HTTPS.
    pub const HTTPS: u16 = 65;
    /// The first number of the range of meta types (RFC 6895 section 3.1).
    pub const META_FIRST: u16 = 128;
    /// TKEY.
    pub const TKEY: u16 = 249;
    /// TSIG.
    pub const TSIG: u16 = 250;
    /// IXFR.
    pub const IXFR: u16 = 251;
    /// AXFR.
    pub const AXFR: u16 = 252;
    /// MAILB.
    pub const MAILB: u16 = 253;
    /// MAILA.
    pub const MAILA: u16 = 254;
    /// ANY.
    pub const ANY: u16 = 255;
    /// Class IN.
    pub const CLASS_IN: u16 = 1;
}

/// Numbers of EDNS options.
pub(in crate::resolver) mod option {
    pub const COOKIE: u16 = 10;
    pub const KEEPALIVE: u16 = 11;
    pub const PADDING: u16 = 12;
    pub const EXTENDED_ERROR: u16 = 15;
    pub const STRUCTURED_ERROR: u16 = 26;
}

const OPCODE_QUERY: u8 = 0;
const OPCODE_NOTIFY: u8 = 4;
/// Octets of a record after its owner: type, class, time to live, length.
const RECORD_FIXED_OCTETS: usize = 10;
/// Lengths of a client cookie alone and of the shortest and longest full cookie (RFC 7873
/// section 4).
const CLIENT_COOKIE_OCTETS: usize = 8;
const FULL_COOKIE_OCTETS: std::ops::RangeInclusive<usize> = 16..=40;

/// Room for one name in lookup form.
pub struct NameBuffer([u8; KEY_OCTETS_MAX]);

impl Default for NameBuffer {
    fn default() -> Self {
        Self([0; KEY_OCTETS_MAX])
    }
}

/// What a client's octets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'p> {
    /// No answer is due: too short for a header, or itself an answer.
    Noise,
    /// A NOTIFY (RFC 1996), for whoever keeps zones.
    Notify,
    /// An answer of a header with this response code is due.
    Malformed(u16),
    /// One question.
    Query(Request<'p>),
}

/// A query with one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'p> {
    /// The message.
    pub packet: &'p [u8],
    /// Where the question ends in the message; it begins after the header.
    pub question_end: usize,
    /// The query name in lookup form.
    pub name: NameRef<'p>,
    /// The query type's number.
    pub rtype: u16,
    /// The query class's number.
    pub class: u16,
    /// What the OPT record says, if there is one.
    pub edns: Option<Edns<'p>>,
    /// Whether a TSIG record is there.
    pub signed: bool,
}

/// What the client says in its OPT record (RFC 6891). Options that change nothing here, such as
/// client subnet (RFC 7871), are passed over and never leave this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edns<'p> {
    /// The largest datagram the client takes.
    pub payload_octets: u16,
    /// The version; only 0 exists.
    pub version: u8,
    /// DO.
    pub dnssec_ok: bool,
    /// The client's cookie, with the server's after it where the client has one (RFC 7873).
    pub cookie: Option<&'p [u8]>,
    /// Whether the client asks how long its connection may stay idle (RFC 7828).
    pub keepalive: bool,
    /// Whether the client padded its query, and so wants the answer padded (RFC 7830).
    pub padded: bool,
    /// Whether the client reads the text of extended errors as data: it says so with an option of
    /// its own, by the first texts of draft-ietf-dnsop-structured-dns-error with an extended error.
    pub structured_errors: bool,
}

impl Request<'_> {
    /// The message's number.
    pub fn id(&self) -> u16 {
        u16_at(self.packet, 0)
    }

    /// RD.
    pub fn recursion_desired(&self) -> bool {
        self.packet[2] & 1 != 0
    }

    /// CD.
    pub fn checking_disabled(&self) -> bool {
        self.packet[3] & 0x10 != 0
    }

    /// Whether the client understands AD: it set AD or DO (RFC 6840 section 5.7).
    pub fn wants_authenticated_data(&self) -> bool {
        self.packet[3] & 0x20 != 0 || self.dnssec_ok()
    }

    /// DO.
    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// Whether nothing follows the question but perhaps an OPT record without options.
    pub fn has_no_options(&self) -> bool {
        let opt = if self.edns.is_some() { 1 + RECORD_FIXED_OCTETS } else { 0 };
        self.packet.len() == self.question_end + opt
    }

    /// The question's name as the client wrote it, in wire form.
    pub fn name_wire(&self) -> &[u8] {
        &self.packet[HEADER_OCTETS..self.question_end - 4]
    }
}

/// Reads a message. `buffer` takes the name.
pub fn read<'p>(packet: &'p [u8], buffer: &'p mut NameBuffer) -> Incoming<'p> {
    if packet.len() < HEADER_OCTETS || packet[2] & 0x80 != 0 {
        return Incoming::Noise;
    }
    match packet[2] >> 3 & 0xf {
        OPCODE_QUERY => {}
        OPCODE_NOTIFY => return Incoming::Notify,
        _ => return Incoming::Malformed(rcode::NOT_IMPLEMENTED),
    }
    match read_query(packet, buffer) {
        Some(request) => Incoming::Query(request),
        None => Incoming::Malformed(rcode::FORMAT_ERROR),
    }
}

fn read_query<'p>(packet: &'p [u8], buffer: &'p mut NameBuffer) -> Option<Request<'p>> {
    // Exactly one question (RFC 9619 section 4).
    if u16_at(packet, 4) != 1 {
        return None;
    }
    let (name, name_end) = read_name(packet, buffer)?;
    let question_end = name_end + 4;
    let class_at = packet.get(name_end + 2..question_end)?;
    let mut request = Request {
        packet,
        question_end,
        name,
        rtype: u16_at(packet, name_end),
        class: u16_at(class_at, 0),
        edns: None,
        signed: false,
    };
    let mut at = question_end;
    for _ in 0..u32::from(u16_at(packet, 6)) + u32::from(u16_at(packet, 8)) {
        let record = read_record(packet, at)?;
        // An OPT record stands in the additional section and nowhere else (RFC 6891 section 6.1.1).
        (record.rtype != rtype::OPT).then_some(())?;
        at = record.end;
    }
    for _ in 0..u16_at(packet, 10) {
        let record = read_record(packet, at)?;
        at = record.end;
        match record.rtype {
            rtype::OPT if request.edns.is_some() || !record.owner_is_root => return None,
            rtype::OPT => request.edns = Some(read_edns(&record)?),
            rtype::TSIG => request.signed = true,
            _ => {}
        }
    }
    Some(request)
}

/// The name after the header in lookup form, and where it ends. A pointer has nothing to point to.
fn read_name<'b>(packet: &[u8], buffer: &'b mut NameBuffer) -> Option<(NameRef<'b>, usize)> {
    let mut starts = [0; WIRE_OCTETS_MAX / 2 + 1];
    let mut count = 0;
    let mut at = HEADER_OCTETS;
    loop {
        let length = usize::from(*packet.get(at)?);
        if length == 0 {
            break;
        }
        let end = at + length + 1;
        if length > LABEL_OCTETS_MAX || end + 1 - HEADER_OCTETS > WIRE_OCTETS_MAX {
            return None;
        }
        // The next length, or the root's, has to be there.
        (end < packet.len()).then_some(())?;
        starts[count] = at;
        count += 1;
        at = end;
    }
    let key = &mut buffer.0;
    let mut end = 0;
    for &start in starts[..count].iter().rev() {
        let label = &packet[start + 1..start + 1 + usize::from(packet[start])];
        end += write_label(label, &mut key[end..]);
        key[end] = 0;
        end += 1;
    }
    Some((NameRef::from_key(&key[..end]), at + 1))
}

/// Writes a label as model::Name has it and says how many octets it takes.
fn write_label(label: &[u8], key: &mut [u8]) -> usize {
    let mut escape = false;
    for (to, &octet) in key.iter_mut().zip(label) {
        *to = octet.to_ascii_lowercase();
        escape |= octet <= 1;
    }
    if !escape {
        return label.len();
    }
    let mut end = 0;
    for octet in label.iter().map(u8::to_ascii_lowercase) {
        if octet <= 1 {
            key[end..end + 2].copy_from_slice(&[1, octet + 1]);
            end += 2;
        } else {
            key[end] = octet;
            end += 1;
        }
    }
    end
}

/// The smallest time to live in the answer and authority sections of a message that we wrote; none
/// where there is no record.
pub(in crate::resolver) fn ttl_min(message: &[u8]) -> Option<u32> {
    let records = u32::from(u16_at(message, 6)) + u32::from(u16_at(message, 8));
    let mut at = skip_name(message, HEADER_OCTETS)? + 4;
    let mut smallest = None;
    for _ in 0..records {
        let record = read_record(message, at)?;
        let ttl = u32::from_be_bytes(record.ttl);
        smallest = Some(smallest.map_or(ttl, |least: u32| least.min(ttl)));
        at = record.end;
    }
    smallest
}

/// Where the times to live stand in a message that we wrote, all sections; how many, or none where
/// there is not enough room. The OPT record has none.
pub(in crate::resolver) fn ttl_positions(message: &[u8], room: &mut [u16]) -> Option<usize> {
    let records: u32 = [6, 8, 10].iter().map(|at| u32::from(u16_at(message, *at))).sum();
    let mut at = skip_name(message, HEADER_OCTETS)? + 4;
    let mut count = 0;
    for _ in 0..records {
        let record = read_record(message, at)?;
        if record.rtype != rtype::OPT {
            let position = record.end - record.rdata.len() - 6;
            *room.get_mut(count)? = u16::try_from(position).ok()?;
            count += 1;
        }
        at = record.end;
    }
    Some(count)
}

struct RawRecord<'p> {
    owner_is_root: bool,
    rtype: u16,
    class: u16,
    ttl: [u8; 4],
    rdata: &'p [u8],
    end: usize,
}

fn read_record(packet: &[u8], start: usize) -> Option<RawRecord<'_>> {
    let at = skip_name(packet, start)?;
    let fixed = packet.get(at..at + RECORD_FIXED_OCTETS)?;
    let end = at + RECORD_FIXED_OCTETS + usize::from(u16_at(fixed, 8));
    Some(RawRecord {
        owner_is_root: packet[start] == 0,
        rtype: u16_at(fixed, 0),
        class: u16_at(fixed, 2),
        ttl: [fixed[4], fixed[5], fixed[6], fixed[7]],
        rdata: packet.get(at + RECORD_FIXED_OCTETS..end)?,
        end,
    })
}

/// Where the name that begins at `at` ends. Pointers are not followed, for no owner matters.
fn skip_name(packet: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match usize::from(*packet.get(at)?) {
            0 => return Some(at + 1),
            length @ 1..=LABEL_OCTETS_MAX => at += length + 1,
            0xc0..=0xff => {
                let target = usize::from(u16_at(packet.get(at..at + 2)?, 0) & 0x3fff);
                return (target < start).then_some(at + 2);
            }
            _ => return None,
        }
        if at - start > WIRE_OCTETS_MAX {
            return None;
        }
    }
}

fn read_edns<'p>(record: &RawRecord<'p>) -> Option<Edns<'p>> {
    let mut edns = Edns {
        payload_octets: record.class,
        version: record.ttl[1],
        dnssec_ok: record.ttl[2] & 0x80 != 0,
        ..Edns::default()
    };
    let mut rest = record.rdata;
    while !rest.is_empty() {
        let (head, tail) = rest.split_at_checked(4)?;
        let (value, tail) = tail.split_at_checked(usize::from(u16_at(head, 2)))?;
        match u16_at(head, 0) {
            option::COOKIE => {
                let whole = value.len() == CLIENT_COOKIE_OCTETS
                    || FULL_COOKIE_OCTETS.contains(&value.len());
                // RFC 7873 section 5.2.2.
                whole.then_some(())?;
                edns.cookie = Some(value);
            }
            option::KEEPALIVE => edns.keepalive = true,
            option::PADDING => edns.padded = true,
            option::STRUCTURED_ERROR | option::EXTENDED_ERROR => edns.structured_errors = true,
            _ => {}
        }
        rest = tail;
    }
    Some(edns)
}

fn u16_at(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

#[cfg(test)]
pub(in crate::resolver) mod tests;
