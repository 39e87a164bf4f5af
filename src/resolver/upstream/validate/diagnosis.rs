//! Why an answer is bogus, in the words of RFC 8914, as far as the answer itself shows it.

use hickory_net::runtime::{Time, TokioTime};
use hickory_proto::dnssec::Proof;
use hickory_proto::dnssec::rdata::{DNSSECRData, RRSIG};
use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record, RecordType, SerialNumber};

use crate::ports::ExtendedError;

/// What is wrong with the first bogus record set of a message, if one is.
pub(super) fn of_records(message: &Message) -> Option<ExtendedError> {
    // RFC 4034 section 3.1.5: times are compared in 32 bits.
    let now = SerialNumber::new(TokioTime::current_time() as u32);
    [&message.answers, &message.authorities].into_iter().find_map(|section| {
        let is_bogus = |record: &&Record| {
            record.proof == Proof::Bogus && record.record_type() != RecordType::RRSIG
        };
        let bogus = section.iter().find(is_bogus)?;
        let signatures: Vec<&RRSIG> =
            section.iter().filter_map(|record| signature(record, bogus)).collect();
        Some(of_signatures(bogus, &signatures, now))
    })
}

fn signature<'r>(record: &'r Record, of: &Record) -> Option<&'r RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature))
            if record.name == of.name && signature.input().type_covered == of.record_type() =>
        {
            Some(signature)
        }
        _ => None,
    }
}

fn of_signatures(bogus: &Record, signatures: &[&RRSIG], now: SerialNumber) -> ExtendedError {
    let what = format!("{} {}", bogus.name, bogus.record_type());
    let all = |wrong: fn(&RRSIG, SerialNumber) -> bool| signatures.iter().all(|s| wrong(s, now));
    if signatures.is_empty() {
        let text = format!("{what} has no signature, and the zone is signed");
        return ExtendedError::new(ExtendedError::RRSIGS_MISSING, text);
    }
    if all(|signature, now| signature.input().sig_expiration < now) {
        let text = format!("the signature of {what} has expired");
        return ExtendedError::new(ExtendedError::SIGNATURE_EXPIRED, text);
    }
    if all(|signature, now| signature.input().sig_inception > now) {
        let text = format!("the signature of {what} does not hold yet");
        return ExtendedError::new(ExtendedError::SIGNATURE_NOT_YET_VALID, text);
    }
    let text = format!("no chain of trust leads to {what}");
    ExtendedError::new(ExtendedError::DNSSEC_BOGUS, text)
}

/// What is wrong with a denial that is not proved.
pub(super) fn of_denial(message: &Message) -> ExtendedError {
    let is_proof =
        |record: &Record| matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3);
    match message.authorities.iter().any(is_proof) {
        true => ExtendedError::new(
            ExtendedError::DNSSEC_BOGUS,
            "the proof that there is no such record does not hold",
        ),
        false => ExtendedError::new(
            ExtendedError::NSEC_MISSING,
            "no proof that there is no such record, and the zone is signed",
        ),
    }
}
