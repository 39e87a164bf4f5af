//! Word of a new version (RFC 1996).

use super::message::{AA, HEADER_OCTETS, Header, IN, OPCODE, QR, read_question};
use super::{RequestError, TransferError, rcode};
use crate::model::{Name, NameBuffer};
use crate::zone::record::rdata;
use crate::zone::{Serial, Soa};

/// The operation code (RFC 1996 section 3.1), where it stands in the flags.
const NOTIFY: u16 = 4 << 11;

/// A primary says that a zone may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// Which the answer repeats.
    pub id: u16,
    /// The zone's name.
    pub origin: Name,
    /// The new version, where it is given. It is a hint: nobody signs for it (section 3.11).
    pub soa: Option<Soa>,
}

impl Notify {
    /// Reads the message, after its signature was checked and removed.
    pub fn read(message: &[u8]) -> Result<Notify, RequestError> {
        let header = Header::read(message).filter(|header| header.flags & QR == 0);
        let header = header.ok_or(RequestError::NotRequest)?;
        if header.flags & OPCODE != NOTIFY {
            return Err(RequestError::NotTransfer);
        }
        let [1, answers, ..] = header.counts else { return Err(RequestError::Malformed) };
        let mut name = NameBuffer::default();
        let question = read_question(message, HEADER_OCTETS, &mut name);
        let (rtype, class, at) = question.ok_or(RequestError::Malformed)?;
        if (rtype, class) != (rdata::SOA, IN) {
            return Err(RequestError::NotTransfer);
        }
        let origin = name.to_name();
        let soa = match answers {
            0 => None,
            _ => super::request::read_soa(message, at, &origin),
        };
        Ok(Notify { id: header.id, origin, soa })
    }

    /// The version that it names.
    pub fn serial(&self) -> Option<Serial> {
        self.soa.as_ref().map(|soa| soa.serial)
    }

    /// Writes the message, in place of what `out` held.
    pub fn write(&self, out: &mut Vec<u8>) {
        let counts = [1, u16::from(self.soa.is_some()), 0, 0];
        out.clear();
        out.extend(Header { id: self.id, flags: NOTIFY | AA, counts }.to_octets());
        self.origin.as_ref().write_wire(out);
        out.extend([rdata::SOA, IN].map(u16::to_be_bytes).concat());
        if let Some(soa) = &self.soa {
            super::request::write_soa(soa, out);
        }
    }

    /// Writes the answer (section 4.7), in place of what `out` held.
    pub fn write_answer(&self, rcode: u8, out: &mut Vec<u8>) {
        let flags = QR | NOTIFY | AA | u16::from(rcode & 0xf);
        out.clear();
        out.extend(Header { id: self.id, flags, counts: [1, 0, 0, 0] }.to_octets());
        self.origin.as_ref().write_wire(out);
        out.extend([rdata::SOA, IN].map(u16::to_be_bytes).concat());
    }

    /// Whether this message is the answer to it; an error where the secondary does not want it.
    pub fn is_answer(&self, message: &[u8]) -> Result<bool, TransferError> {
        let Some(header) = Header::read(message) else { return Ok(false) };
        if header.id != self.id || header.flags & (QR | OPCODE) != QR | NOTIFY {
            return Ok(false);
        }
        match header.rcode() {
            rcode::NOERROR => Ok(true),
            code => Err(TransferError::Refused(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn notify(soa: Option<Soa>) -> Notify {
        Notify { id: 7, origin: Name::from_presentation("rpz.test").unwrap(), soa }
    }

    fn written(notify: &Notify) -> Vec<u8> {
        let mut out = Vec::new();
        notify.write(&mut out);
        out
    }

    #[test]
    fn a_notify_reads_back_as_it_was_written() {
        for soa in [None, Some(Soa::ours(Serial(9)))] {
            let notify = notify(soa);
            assert_eq!(Notify::read(&written(&notify)), Ok(notify));
        }
    }

    #[test]
    fn what_is_no_notify_says_how_to_answer() {
        let message = written(&notify(None));
        let changed = |at: usize, octet: u8| {
            let mut message = message.clone();
            message[at] = octet;
            Notify::read(&message)
        };
        assert_eq!(changed(2, 0xa4), Err(RequestError::NotRequest));
        assert_eq!(changed(2, 0x04), Err(RequestError::NotTransfer));
        assert_eq!(changed(5, 2), Err(RequestError::Malformed));
        assert_eq!(changed(message.len() - 3, 1), Err(RequestError::NotTransfer));
        assert_eq!(Notify::read(&message[..20]), Err(RequestError::Malformed));
    }

    #[test]
    fn an_answer_is_told_from_a_refusal_and_from_other_messages() {
        let notify = notify(Some(Soa::ours(Serial(9))));
        let answer = |code| {
            let mut out = Vec::new();
            notify.write_answer(code, &mut out);
            out
        };
        assert_eq!(notify.is_answer(&answer(0)), Ok(true));
        assert_eq!(notify.is_answer(&answer(9)), Err(TransferError::Refused(9)));
        assert_eq!(notify.is_answer(&written(&notify)), Ok(false));
        let other = Notify { id: 8, ..notify.clone() };
        assert_eq!(other.is_answer(&answer(0)), Ok(false));
        assert_eq!(answer(5)[..12], [0, 7, 0xa4, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn any_octets_are_a_notify_or_not(mut octets: Vec<u8>, front in 0usize..60) {
            let message = written(&notify(Some(Soa::ours(Serial(9)))));
            let _ = Notify::read(&octets);
            octets.splice(..0, message[..front.min(message.len())].iter().copied());
            let _ = Notify::read(&octets);
        }
    }
}
