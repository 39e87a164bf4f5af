//! Writes replies straight into the buffer they are sent from.
//!
//! A [`Reply`] says what goes into the sections, an [`Envelope`] what the client can take and which
//! options it asked for. Together they always make a message: where the content does not fit, the
//! client gets none of it and the TC bit (half an answer is worth nothing), and what is merely
//! useful (the policy zone's SOA beside an answer, the text of an extended error) stays out.

use super::message::{HEADER_OCTETS, Request, option, rtype};
use crate::model::{NameRef, RrSet};
use crate::ports::{ExtendedError, Sections, Ttl};
use crate::zone::Soa;

/// A pointer to the question's name (RFC 1035 section 4.1.4).
const QUESTION_NAME: u16 = 0xc000 | HEADER_OCTETS as u16;
/// Octets of a record after its owner: type, class, time to live, length.
const RECORD_FIXED_OCTETS: usize = 10;
/// Octets of an SOA's five numbers.
const SOA_NUMBERS_OCTETS: usize = 20;
/// The furthest a pointer reaches.
const POINTER_MAX: u16 = 0x3fff;
/// Octets of an OPT record without options, and of an option's head.
const OPT_OCTETS: usize = 11;
const OPTION_HEAD_OCTETS: usize = 4;
/// Responses of encrypted transports are padded to a multiple of this (RFC 8467 section 4.1).
const PADDING_BLOCK_OCTETS: usize = 468;

/// Where replies to one request have to fit in, and what their OPT record carries.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'r> {
    /// The request.
    pub request: &'r Request<'r>,
    /// The largest message the client takes, by its transport and its word.
    pub octets_max: usize,
    /// The largest datagram that we take, in octets.
    pub payload_octets: u16,
    /// A cookie for the client: its own part and ours (RFC 7873).
    pub cookie: Option<[u8; super::cookie::COOKIE_OCTETS]>,
    /// How long a connection may be idle, in units of 100 ms, for who asked (RFC 7828).
    pub keepalive: Option<u16>,
    /// Whether to pad: the client did, and the transport is encrypted.
    pub padded: bool,
}

/// What a reply says.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The response code.
    pub rcode: u16,
    /// AA: this server is the authority, which it is for locally served zones alone.
    pub authoritative: bool,
    /// AD: everything in the answer is validated and as its owner published it.
    pub authenticated: bool,
    /// TC without content: the client is to ask again over TCP.
    pub truncated: bool,
    /// The answer section, for upstream answers the authority section too.
    pub body: Body<'a>,
    /// The SOA of the zone that made this reply.
    pub soa: Option<SoaRecord<'a>>,
    /// Why the answer is not what was asked for (RFC 8914).
    pub reason: Option<(u16, &'a str)>,
    /// What the upstream had to say.
    pub errors: &'a [ExtendedError],
}

/// What stands in the answer section.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// Nothing.
    Empty,
    /// An upstream's answer, or one that was put together from several.
    Sections(&'a Sections, Ttl),
    /// Records at the query name.
    Data {
        /// All sets there are.
        sets: &'a [RrSet],
        /// The type that is wanted, or ANY for all.
        rtype: u16,
        /// The longest they may be kept, in seconds.
        ttl_max: u32,
    },
    /// An alias at the query name, without its target's records.
    Alias {
        /// The target.
        target: NameRef<'a>,
        /// Seconds.
        ttl: u32,
    },
}

/// A zone's SOA in a reply.
#[derive(Debug, Clone, Copy)]
pub struct SoaRecord<'a> {
    /// The record.
    pub wire: &'a SoaWire,
    /// Seconds.
    pub ttl: u32,
    /// Where it goes.
    pub place: SoaPlace,
}

/// An SOA record as it goes on the wire, made once for all replies of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoaWire {
    octets: Box<[u8]>,
    /// Where the type stands, right after the owner, and where the names of the data stand.
    type_at: usize,
    mname_at: usize,
    rname_at: usize,
}

impl SoaWire {
    /// The record of a zone.
    pub fn new(owner: NameRef<'_>, soa: &Soa) -> Self {
        let mut octets = owner.to_wire();
        let type_at = octets.len();
        put_u16(&mut octets, rtype::SOA);
        put_u16(&mut octets, rtype::CLASS_IN);
        octets.extend_from_slice(&soa.ttl.to_be_bytes());
        write_sized(&mut octets, |octets| octets.extend_from_slice(&soa.to_wire()));
        let mname_at = type_at + RECORD_FIXED_OCTETS;
        let rname_at = mname_at + soa.mname.as_ref().wire_octets();
        Self { octets: octets.into(), type_at, mname_at, rname_at }
    }
}

/// The section of a zone's SOA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoaPlace {
    /// As negative answers have it, so that they are kept (RFC 2308 section 3).
    Authority,
    /// As rewritten answers have it (RPZ draft section 6).
    Additional,
    /// A negative answer that was rewritten has both.
    Both,
}

impl Reply<'_> {
    /// A reply without content.
    pub const fn empty(rcode: u16) -> Self {
        Self {
            rcode,
            authoritative: false,
            authenticated: false,
            truncated: false,
            body: Body::Empty,
            soa: None,
            reason: None,
            errors: &[],
        }
    }

    /// Writes the message into `out`, which is emptied first.
    pub fn write(&self, envelope: &Envelope<'_>, out: &mut Vec<u8>) {
        let request = envelope.request;
        out.clear();
        out.extend_from_slice(&request.packet[..request.question_end]);
        out[4..HEADER_OCTETS].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        let options = match request.edns {
            Some(_) => OPT_OCTETS + envelope.options_octets(),
            None => 0,
        };
        let room = envelope.octets_max.saturating_sub(options);
        let truncated = self.truncated || !self.write_content(room, out);
        if truncated {
            out.truncate(request.question_end);
            out[6..HEADER_OCTETS].fill(0);
        } else {
            self.write_extra(room, out);
        }
        if request.edns.is_some() {
            self.write_opt(envelope, truncated, out);
        }
        out[2] = 0x80
            | (out[2] & 0x79)
            | (u8::from(self.authoritative) << 2)
            | (u8::from(truncated) << 1);
        out[3] = 0x80
            | (out[3] & 0x10)
            | (u8::from(self.authenticated) << 5)
            | self.rcode.to_be_bytes()[1] & 0xf;
    }

    /// The answer and authority sections; false where they do not fit.
    fn write_content(&self, room: usize, out: &mut Vec<u8>) -> bool {
        match self.body {
            Body::Empty => {}
            Body::Sections(sections, ttl) => {
                if out.len() + sections.size_octets() > room {
                    return false;
                }
                sections.append_to(out, ttl);
                set_count(out, 6, sections.answer_count());
                set_count(out, 8, sections.authority_count());
            }
            Body::Data { sets, rtype, ttl_max } => {
                if !write_data(sets, rtype, ttl_max, room, out) {
                    return false;
                }
            }
            Body::Alias { target, ttl } => {
                write_head(out, rtype::CNAME, ttl);
                write_sized(out, |out| target.write_wire(out));
                set_count(out, 6, 1);
            }
        }
        if let Some(record) = &self.soa
            && record.place != SoaPlace::Additional
        {
            record.write(out);
            let count = u16::from_be_bytes([out[8], out[9]]);
            set_count(out, 8, count + 1);
        }
        out.len() <= room
    }

    /// What may stay out where there is no room.
    fn write_extra(&self, room: usize, out: &mut Vec<u8>) {
        let Some(record) = &self.soa else { return };
        let end = out.len();
        match record.place {
            SoaPlace::Authority => return,
            SoaPlace::Additional => record.write(out),
            SoaPlace::Both => record.write_again(out),
        }
        match out.len() <= room {
            true => set_count(out, 10, 1),
            false => out.truncate(end),
        }
    }

    fn write_opt(&self, envelope: &Envelope<'_>, truncated: bool, out: &mut Vec<u8>) {
        let request = envelope.request;
        out.extend_from_slice(&[0]);
        put_u16(out, rtype::OPT);
        put_u16(out, envelope.payload_octets);
        // The upper eight of twelve bits, the version, DO (RFC 3225 section 3).
        let rcode_high = (self.rcode >> 4) as u8;
        out.extend_from_slice(&[rcode_high, 0, u8::from(request.dnssec_ok()) << 7, 0]);
        write_sized(out, |out| {
            if let Some(cookie) = &envelope.cookie {
                put_option(out, option::COOKIE, cookie);
            }
            if let Some(keepalive) = envelope.keepalive {
                put_option(out, option::KEEPALIVE, &keepalive.to_be_bytes());
            }
            let errors = self.errors.iter().map(|error| (error.code, error.text.as_str()));
            // A client that asks again gets the errors then.
            for (code, text) in self.reason.into_iter().chain(errors).filter(|_| !truncated) {
                put_extended_error(out, code, text, envelope.octets_max);
            }
            if envelope.padded {
                put_padding(out, envelope.octets_max);
            }
        });
        let count = u16::from_be_bytes([out[10], out[11]]);
        set_count(out, 10, count + 1);
    }
}

impl Envelope<'_> {
    fn options_octets(&self) -> usize {
        let cookie = self.cookie.map_or(0, |cookie| OPTION_HEAD_OCTETS + cookie.len());
        let keepalive = self.keepalive.map_or(0, |_| OPTION_HEAD_OCTETS + 2);
        cookie + keepalive
    }
}

impl SoaRecord<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let ttl_at = out.len() + self.wire.type_at + 4;
        out.extend_from_slice(&self.wire.octets);
        out[ttl_at..ttl_at + 4].copy_from_slice(&self.ttl.to_be_bytes());
    }

    /// Writes the record a second time, right after the first, with pointers to its names.
    fn write_again(&self, out: &mut Vec<u8>) {
        if out.len() > usize::from(POINTER_MAX) {
            return self.write(out);
        }
        let SoaWire { octets, type_at, mname_at, rname_at } = self.wire;
        let first = out.len() - octets.len();
        put_pointer(out, first);
        out.extend_from_slice(&octets[*type_at..type_at + 4]);
        out.extend_from_slice(&self.ttl.to_be_bytes());
        write_sized(out, |out| {
            put_pointer(out, first + mname_at);
            put_pointer(out, first + rname_at);
            out.extend_from_slice(&octets[octets.len() - SOA_NUMBERS_OCTETS..]);
        });
    }
}

/// An answer of a header alone, to a message whose question cannot be trusted.
pub fn write_header(packet: &[u8], rcode: u16, out: &mut Vec<u8>) {
    out.clear();
    // The number, the opcode and RD come back.
    let flags = 0x80 | (packet[2] & 0x79);
    out.extend_from_slice(&[packet[0], packet[1], flags, 0x80 | (rcode & 0xf) as u8]);
    out.extend_from_slice(&[0; 8]);
}

/// A truncated answer of the header and question alone, for a reply that was written and is larger
/// than its way out.
pub fn truncate(message: &mut Vec<u8>, question_end: usize) {
    message.truncate(question_end);
    message[2] |= 2;
    message[6..HEADER_OCTETS].fill(0);
}

fn write_data(sets: &[RrSet], wanted: u16, ttl_max: u32, room: usize, out: &mut Vec<u8>) -> bool {
    let mut count = 0;
    for set in sets.iter().filter(|set| wanted == rtype::ANY || set.rtype == wanted) {
        for rdata in &set.rdata {
            if out.len() + 12 + rdata.len() > room {
                return false;
            }
            write_head(out, set.rtype, set.ttl.min(ttl_max));
            write_sized(out, |out| out.extend_from_slice(rdata));
            count += 1;
        }
    }
    set_count(out, 6, count);
    true
}

/// A record at the query name up to its length.
fn write_head(out: &mut Vec<u8>, rtype: u16, ttl: u32) {
    put_u16(out, QUESTION_NAME);
    put_u16(out, rtype);
    put_u16(out, rtype::CLASS_IN);
    out.extend_from_slice(&ttl.to_be_bytes());
}

/// What `write` writes, with its length in two octets before it.
fn write_sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    put_u16(out, 0);
    write(out);
    let length = u16::try_from(out.len() - at - 2).expect("parts of a message are below 2¹⁶");
    out[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

fn put_u16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// A pointer to a name that stands in the first 2¹⁴ octets of this message.
fn put_pointer(out: &mut Vec<u8>, to: usize) {
    put_u16(out, !POINTER_MAX | (to as u16 & POINTER_MAX));
}

fn put_option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    put_u16(out, code);
    write_sized(out, |out| out.extend_from_slice(value));
}

/// An extended error with its text, without it, or not at all, as there is room.
fn put_extended_error(out: &mut Vec<u8>, code: u16, text: &str, octets_max: usize) {
    let room = octets_max.saturating_sub(out.len());
    let head = OPTION_HEAD_OCTETS + 2;
    if room < head {
        return;
    }
    let text = if room < head + text.len() { "" } else { text };
    put_u16(out, option::EXTENDED_ERROR);
    write_sized(out, |out| {
        put_u16(out, code);
        out.extend_from_slice(text.as_bytes());
    });
}

/// Zeros up to the next multiple of the block, as far as there is room.
fn put_padding(out: &mut Vec<u8>, octets_max: usize) {
    let bare = out.len() + OPTION_HEAD_OCTETS;
    let padded = bare.next_multiple_of(PADDING_BLOCK_OCTETS).min(octets_max);
    if padded >= bare {
        put_u16(out, option::PADDING);
        write_sized(out, |out| out.resize(padded, 0));
    }
}

fn set_count(out: &mut [u8], at: usize, count: u16) {
    out[at..at + 2].copy_from_slice(&count.to_be_bytes());
}

#[cfg(test)]
mod tests;
