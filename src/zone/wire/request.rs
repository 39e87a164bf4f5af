//! Asking for a zone or for its changes.

use super::message::{HEADER_OCTETS, Header, IN, OPCODE, QR, RD, read_question, read_record};
use super::rcode;
use crate::model::{Name, NameBuffer};
use crate::zone::Soa;
use crate::zone::record::rdata;

/// The type in a question for a whole zone (RFC 5936).
pub(super) const AXFR: u16 = 252;
/// The type in a question for the changes of a zone (RFC 1995).
pub(super) const IXFR: u16 = 251;

/// A question for a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which the answer repeats.
    pub id: u16,
    /// The zone's name.
    pub origin: Name,
    /// What is asked for.
    pub kind: RequestKind,
    /// Without meaning here, but the answer repeats it (RFC 5936 section 2.2.1).
    pub recursion_desired: bool,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestKind {
    /// The whole zone.
    Full,
    /// The changes since the version with this start of authority.
    Changes(Soa),
}

/// Why a message is no question for a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A response, or not even a header; there is nothing to answer.
    #[error("not a request")]
    NotRequest,
    /// The message cannot be read, or has other sections than such a question has.
    #[error("a malformed request")]
    Malformed,
    /// Another operation, type or class.
    #[error("not a request for a zone")]
    NotTransfer,
}

impl RequestError {
    /// The response code to answer with; none where no answer is due.
    pub fn rcode(self) -> Option<u8> {
        match self {
            Self::NotRequest => None,
            Self::Malformed => Some(rcode::FORMERR),
            Self::NotTransfer => Some(rcode::NOTIMP),
        }
    }
}

impl Request {
    /// Reads a question. Additional records (EDNS, TSIG) are passed over.
    pub fn read(message: &[u8]) -> Result<Request, RequestError> {
        let header = Header::read(message).filter(|header| header.flags & QR == 0);
        let header = header.ok_or(RequestError::NotRequest)?;
        if header.flags & OPCODE != 0 {
            return Err(RequestError::NotTransfer);
        }
        let [1, 0, authority, _] = header.counts else { return Err(RequestError::Malformed) };
        let mut name = NameBuffer::default();
        let question = read_question(message, HEADER_OCTETS, &mut name);
        let (rtype, class, at) = question.ok_or(RequestError::Malformed)?;
        let origin = name.to_name();
        let kind = match (rtype, class, authority) {
            (AXFR, IN, 0) => RequestKind::Full,
            (IXFR, IN, 1) => {
                let soa = read_soa(message, at, &origin);
                RequestKind::Changes(soa.ok_or(RequestError::Malformed)?)
            }
            (AXFR | IXFR, IN, _) => return Err(RequestError::Malformed),
            _ => return Err(RequestError::NotTransfer),
        };
        let recursion_desired = header.flags & RD > 0;
        Ok(Request { id: header.id, origin, kind, recursion_desired })
    }

    /// Writes the question as a message, in place of what `out` held.
    pub fn write(&self, out: &mut Vec<u8>) {
        let flags = if self.recursion_desired { RD } else { 0 };
        let (rtype, authority) = match self.kind {
            RequestKind::Full => (AXFR, 0),
            RequestKind::Changes(_) => (IXFR, 1),
        };
        out.clear();
        out.extend(Header { id: self.id, flags, counts: [1, 0, authority, 0] }.to_octets());
        self.origin.as_ref().write_wire(out);
        out.extend([rtype, IN].map(u16::to_be_bytes).concat());
        if let RequestKind::Changes(soa) = &self.kind {
            write_soa(soa, out);
        }
    }

    /// The type in the question.
    pub(super) fn rtype(&self) -> u16 {
        match self.kind {
            RequestKind::Full => AXFR,
            RequestKind::Changes(_) => IXFR,
        }
    }
}

/// Appends the SOA record of the zone whose name the question of a message has.
pub(super) fn write_soa(soa: &Soa, out: &mut Vec<u8>) {
    let data = soa.to_wire();
    out.extend([0xc0, HEADER_OCTETS as u8]);
    out.extend([rdata::SOA, IN].map(u16::to_be_bytes).concat());
    out.extend(soa.ttl.to_be_bytes());
    out.extend(u16::try_from(data.len()).expect("two names and numbers").to_be_bytes());
    out.extend(data);
}

/// Reads the record at `at` as the SOA of a zone.
pub(super) fn read_soa(message: &[u8], at: usize, origin: &Name) -> Option<Soa> {
    let mut owner = NameBuffer::default();
    let (record, _) = read_record(message, at, &mut owner)?;
    let sound = record.rtype == rdata::SOA && owner.as_ref() == origin.as_ref();
    let mut data = Vec::new();
    let range = record.rdata;
    let read = sound && rdata::read(rdata::SOA, message, range.start, range.end, &mut data);
    read.then(|| Soa::from_wire(&data, record.ttl)).flatten()
}

/// An answer without records that repeats the question, to any request whose header can be read.
pub fn refusal(request: &[u8], rcode: u8) -> Option<Vec<u8>> {
    let header = Header::read(request).filter(|header| header.flags & QR == 0)?;
    let question = match header.counts[0] {
        1 => super::skip_question(request, HEADER_OCTETS),
        _ => None,
    };
    let flags = QR | header.flags & (OPCODE | RD) | u16::from(rcode & 0xf);
    let counts = [u16::from(question.is_some()), 0, 0, 0];
    let mut out = Header { flags, counts, ..header }.to_octets().to_vec();
    out.extend_from_slice(&request[HEADER_OCTETS..question.unwrap_or(HEADER_OCTETS)]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::Serial;
    use proptest::prelude::*;

    fn request(kind: RequestKind) -> Request {
        let origin = Name::from_presentation("rpz.test").unwrap();
        Request { id: 7, origin, kind, recursion_desired: true }
    }

    fn written(request: &Request) -> Vec<u8> {
        let mut out = Vec::new();
        request.write(&mut out);
        out
    }

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        for kind in [RequestKind::Full, RequestKind::Changes(Soa::ours(Serial(9)))] {
            let request = request(kind);
            assert_eq!(Request::read(&written(&request)), Ok(request));
        }
    }

    #[test]
    fn what_is_no_request_for_a_zone_says_how_to_answer() {
        let full = written(&request(RequestKind::Full));
        let changed = |at: usize, octet: u8| {
            let mut message = full.clone();
            message[at] = octet;
            Request::read(&message).map_err(RequestError::rcode)
        };
        assert_eq!(changed(2, 0x80), Err(None));
        assert_eq!(changed(2, 0x20), Err(Some(rcode::NOTIMP)));
        assert_eq!(changed(5, 2), Err(Some(rcode::FORMERR)));
        assert_eq!(changed(9, 1), Err(Some(rcode::FORMERR)));
        assert_eq!(changed(full.len() - 3, 1), Err(Some(rcode::NOTIMP)));
        assert_eq!(changed(full.len() - 1, 3), Err(Some(rcode::NOTIMP)));
        assert_eq!(changed(full.len() - 3, 251), Err(Some(rcode::FORMERR)));
        assert_eq!(Request::read(&full[..20]), Err(RequestError::Malformed));
    }

    #[test]
    fn a_refusal_repeats_the_question() {
        let request = written(&request(RequestKind::Changes(Soa::ours(Serial(9)))));
        let answer = refusal(&request, rcode::REFUSED).unwrap();
        assert_eq!(answer[..12], [0, 7, 0x81, 0x05, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(answer[12..], request[12..26]);
        assert_eq!(refusal(&answer, rcode::REFUSED), None);
        assert_eq!(refusal(&request[..13], rcode::FORMERR).unwrap().len(), 12);
    }

    proptest! {
        #[test]
        fn any_octets_are_a_request_or_not(mut octets: Vec<u8>, front in 0usize..40) {
            let request = written(&request(RequestKind::Changes(Soa::ours(Serial(9)))));
            let _ = Request::read(&octets);
            let _ = refusal(&octets, 1);
            octets.splice(..0, request[..front].iter().copied());
            let _ = Request::read(&octets);
            let _ = refusal(&octets, 1);
        }
    }
}
