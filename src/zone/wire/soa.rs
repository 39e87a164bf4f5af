//! Asking which version of a zone a primary has (RFC 1034 section 4.3.5).

use super::message::{AA, HEADER_OCTETS, Header, IN, OPCODE, QR, TC, read_question, read_record};
use super::{RequestError, TransferError, rcode};
use crate::model::{Name, NameBuffer};
use crate::zone::Soa;
use crate::zone::record::rdata;

/// A question for the start of authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoaRequest {
    /// Which the answer repeats; best drawn at random.
    pub id: u16,
    /// The zone's name.
    pub origin: Name,
}

impl SoaRequest {
    /// Writes the question as a message, in place of what `out` held.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend(Header { id: self.id, flags: 0, counts: [1, 0, 0, 0] }.to_octets());
        self.origin.as_ref().write_wire(out);
        out.extend([rdata::SOA, IN].map(u16::to_be_bytes).concat());
    }

    /// Reads the question, after its signature was checked and removed.
    pub fn read(message: &[u8]) -> Result<SoaRequest, RequestError> {
        let header = Header::read(message).filter(|header| header.flags & QR == 0);
        let header = header.ok_or(RequestError::NotRequest)?;
        if header.flags & OPCODE != 0 {
            return Err(RequestError::NotTransfer);
        }
        let [1, 0, 0, _] = header.counts else { return Err(RequestError::Malformed) };
        let mut name = NameBuffer::default();
        let question = read_question(message, HEADER_OCTETS, &mut name);
        match question.ok_or(RequestError::Malformed)? {
            (rdata::SOA, IN, _) => Ok(SoaRequest { id: header.id, origin: name.to_name() }),
            _ => Err(RequestError::NotTransfer),
        }
    }

    /// The answer to a question in wire form that [`SoaRequest::read`] took.
    pub fn answer(message: &[u8], soa: &Soa) -> Option<Vec<u8>> {
        let mut out = super::refusal(message, rcode::NOERROR)?;
        let mut header = Header::read(&out)?;
        header.flags |= AA;
        header.counts[1] = 1;
        out[..HEADER_OCTETS].copy_from_slice(&header.to_octets());
        super::request::write_soa(soa, &mut out);
        Some(out)
    }

    /// Reads the answer, after its signature was checked and removed. Only a server of the zone
    /// itself knows its version.
    pub fn read_answer(&self, message: &[u8]) -> Result<Soa, TransferError> {
        let header = Header::read(message).ok_or(TransferError::Malformed)?;
        if header.flags & QR == 0 || header.flags & OPCODE != 0 {
            return Err(TransferError::Malformed);
        }
        if header.id != self.id {
            return Err(TransferError::OtherRequest);
        }
        if header.rcode() != rcode::NOERROR {
            return Err(TransferError::Refused(header.rcode()));
        }
        if header.flags & TC != 0 {
            return Err(TransferError::Truncated);
        }
        if header.flags & AA == 0 {
            return Err(TransferError::NotAuthoritative);
        }
        let mut at = HEADER_OCTETS;
        for _ in 0..header.counts[0] {
            at = super::skip_question(message, at).ok_or(TransferError::Malformed)?;
        }
        let mut owner = NameBuffer::default();
        for _ in 0..header.counts[1] {
            let (record, after) =
                read_record(message, at, &mut owner).ok_or(TransferError::Malformed)?;
            at = after;
            let ours = owner.as_ref() == self.origin.as_ref();
            if ours && record.rtype == rdata::SOA && record.class == IN {
                let (mut data, range) = (Vec::new(), record.rdata);
                let sound = rdata::read(rdata::SOA, message, range.start, range.end, &mut data);
                let soa = sound.then(|| Soa::from_wire(&data, record.ttl)).flatten();
                return soa.ok_or(TransferError::Malformed);
            }
        }
        Err(TransferError::Frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::wire::{Request, RequestKind, TransferWriter};
    use crate::zone::{Serial, ZoneBuilder};
    use proptest::prelude::*;

    fn question() -> SoaRequest {
        SoaRequest { id: 7, origin: Name::from_presentation("rpz.test").unwrap() }
    }

    fn answer() -> (Vec<u8>, Soa) {
        let question = question();
        let soa = Soa::ours(Serial(9));
        let zone = ZoneBuilder::new(question.origin.clone(), soa.clone(), 7).finish().0;
        // An answer to IXFR that has nothing newer is an answer to SOA but for the question's type.
        let kind = RequestKind::Changes(soa.clone());
        let request = Request { id: 7, origin: question.origin, kind, recursion_desired: false };
        let mut out = Vec::new();
        TransferWriter::soa(&request, &zone).next_message(&mut out);
        (out, soa)
    }

    #[test]
    fn the_version_is_taken_from_an_authoritative_answer_to_this_question() {
        let (message, soa) = answer();
        let read = |at: usize, octet: u8| {
            let mut message = message.clone();
            message[at] = octet;
            question().read_answer(&message)
        };
        assert_eq!(read(0, 0), Ok(soa));
        assert_eq!(read(1, 8), Err(TransferError::OtherRequest));
        assert_eq!(read(2, 0x80), Err(TransferError::NotAuthoritative));
        assert_eq!(read(2, 0x86), Err(TransferError::Truncated));
        assert_eq!(read(2, 0x04), Err(TransferError::Malformed));
        assert_eq!(read(3, 5), Err(TransferError::Refused(5)));
        assert_eq!(read(7, 0), Err(TransferError::Frame));
    }

    #[test]
    fn a_question_is_read_and_answered() {
        let (mut message, soa) = (Vec::new(), Soa::ours(Serial(9)));
        question().write(&mut message);
        assert_eq!(SoaRequest::read(&message), Ok(question()));
        message[2] |= 1;
        let answer = SoaRequest::answer(&message, &soa).unwrap();
        assert_eq!(answer[2..4], [0x85, 0], "its own, and as recursive as it was asked");
        assert_eq!(question().read_answer(&answer), Ok(soa));
        assert_eq!(SoaRequest::read(&answer), Err(RequestError::NotRequest));
        message[5] = 2;
        assert_eq!(SoaRequest::read(&message), Err(RequestError::Malformed));
    }

    #[test]
    fn a_question_is_a_plain_question_for_the_soa() {
        let mut out = Vec::new();
        question().write(&mut out);
        assert_eq!(out[..12], [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out[12..], *b"\x03rpz\x04test\0\0\x06\0\x01");
    }

    proptest! {
        #[test]
        fn any_octets_are_an_answer_or_not(mut octets: Vec<u8>, front in 0usize..60) {
            let (message, _) = answer();
            let _ = question().read_answer(&octets);
            let _ = SoaRequest::read(&octets);
            octets.splice(..0, message[..front.min(message.len())].iter().copied());
            let _ = question().read_answer(&octets);
        }
    }
}
