//! The OPT record (RFC 6891), which an answer has where its question has one.

use super::message::{HEADER_OCTETS, Header, read_record, skip_question};
use crate::model::NameBuffer;

/// The type of the record.
const OPT_TYPE: u16 = 41;
/// How long ours is.
pub(super) const OPT_OCTETS: usize = OPT.len();
/// Version 0 without flags and options. We take datagrams of 1232 octets, which no path cuts (the
/// agreement of DNS flag day 2020).
pub(super) const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];

/// Whether a message has an OPT record.
pub fn has_edns(message: &[u8]) -> bool {
    opt(message).unwrap_or(false)
}

fn opt(message: &[u8]) -> Option<bool> {
    let [questions, answers, authority, additional] = Header::read(message)?.counts;
    let mut at = HEADER_OCTETS;
    for _ in 0..questions {
        at = skip_question(message, at)?;
    }
    let before = u32::from(answers) + u32::from(authority);
    let mut owner = NameBuffer::default();
    for index in 0..before + u32::from(additional) {
        let (record, after) = read_record(message, at, &mut owner)?;
        if index >= before && record.rtype == OPT_TYPE {
            return Some(true);
        }
        at = after;
    }
    Some(false)
}

/// Appends an OPT record to a message that has no signature yet.
pub fn add_edns(message: &mut Vec<u8>) {
    if let Some(mut header) = Header::read(message) {
        header.counts[3] = header.counts[3].saturating_add(1);
        message[..HEADER_OCTETS].copy_from_slice(&header.to_octets());
        message.extend(OPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;
    use crate::zone::wire::SoaRequest;
    use proptest::prelude::*;

    #[test]
    fn an_opt_record_is_found_where_it_is() {
        let origin = Name::from_presentation("rpz.test").unwrap();
        let mut message = Vec::new();
        SoaRequest { id: 1, origin }.write(&mut message);
        assert!(!has_edns(&message));
        add_edns(&mut message);
        assert!(has_edns(&message));
        let read = hickory_proto::op::Message::from_vec(&message).unwrap();
        assert_eq!(read.edns.unwrap().max_payload(), 1232);
    }

    proptest! {
        #[test]
        fn any_octets_have_one_or_not(octets: Vec<u8>) {
            let _ = has_edns(&octets);
        }
    }
}
