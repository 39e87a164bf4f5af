//! The signature record of a message (RFC 8945 section 4.2).

use super::{Algorithm, FUDGE_SECONDS, TsigError};
use crate::model::{Name, NameBuffer, Timestamp};
use crate::zone::wire::{HEADER_OCTETS, Header, read_record, skip_question};

/// The record type of signatures.
const TSIG: u16 = 250;
/// Class ANY, which signatures have.
pub(super) const ANY: u16 = 255;

/// What is signed beside the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variables {
    /// Seconds since 1970, 48 bits.
    pub time: u64,
    pub fudge: u16,
    pub error: u16,
    pub other: Vec<u8>,
}

impl Variables {
    pub fn new(now: Timestamp) -> Self {
        Self { time: u64::from(now.0), fudge: FUDGE_SECONDS, error: 0, other: Vec::new() }
    }

    pub fn write_timers(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time.to_be_bytes()[2..]);
        out.extend(self.fudge.to_be_bytes());
    }

    pub fn check_time(&self, now: Timestamp) -> Result<(), TsigError> {
        let seconds = self.time.abs_diff(u64::from(now.0));
        match seconds <= u64::from(self.fudge) {
            true => Ok(()),
            false => Err(TsigError::BadTime { seconds }),
        }
    }
}

/// Appends a signature record (RFC 8945 section 4.2) and counts it.
pub(super) fn append(
    message: &mut Vec<u8>,
    name: &[u8],
    algorithm: &[u8],
    variables: &Variables,
    mac: &[u8],
    original_id: u16,
) {
    let mut data = algorithm.to_vec();
    variables.write_timers(&mut data);
    data.extend((mac.len() as u16).to_be_bytes());
    data.extend_from_slice(mac);
    data.extend([original_id, variables.error].map(u16::to_be_bytes).concat());
    data.extend((variables.other.len() as u16).to_be_bytes());
    data.extend_from_slice(&variables.other);
    message.extend_from_slice(name);
    message.extend([TSIG, ANY, 0, 0].map(u16::to_be_bytes).concat());
    message.extend((data.len() as u16).to_be_bytes());
    message.extend(data);
    change_additional(message, 1);
}

pub(super) fn change_additional(message: &mut [u8], by: i16) {
    if let Some(mut header) = Header::read(message) {
        header.counts[3] = header.counts[3].saturating_add_signed(by);
        message[..HEADER_OCTETS].copy_from_slice(&header.to_octets());
    }
}

/// The signature record of a message.
pub(super) struct Signature {
    /// Where it starts.
    pub start: usize,
    pub key: Name,
    pub algorithm: Option<Algorithm>,
    /// The algorithm's name as it came.
    pub algorithm_name: Name,
    pub variables: Variables,
    pub mac: Vec<u8>,
    pub original_id: u16,
}

impl Signature {
    /// Finds the signature record, which must be the last of the message and the only one.
    pub fn find(message: &[u8]) -> Result<Option<Signature>, TsigError> {
        let header = Header::read(message).ok_or(TsigError::Malformed)?;
        let [questions, answers, authority, additional] = header.counts;
        let mut at = HEADER_OCTETS;
        for _ in 0..questions {
            at = skip_question(message, at).ok_or(TsigError::Malformed)?;
        }
        let records = u32::from(answers) + u32::from(authority) + u32::from(additional);
        let mut owner = NameBuffer::default();
        for index in 1..=records {
            let read = read_record(message, at, &mut owner).ok_or(TsigError::Malformed)?;
            let (record, after) = read;
            if record.rtype == TSIG {
                let last = index == records && after == message.len() && additional > 0;
                if !last || record.class != ANY || record.ttl != 0 {
                    return Err(TsigError::Malformed);
                }
                let data = Self::read(message, at, owner.to_name(), record.rdata);
                return data.map(Some).ok_or(TsigError::Malformed);
            }
            at = after;
        }
        Ok(None)
    }

    fn read(
        message: &[u8],
        start: usize,
        key: Name,
        range: std::ops::Range<usize>,
    ) -> Option<Signature> {
        let mut algorithm = NameBuffer::default();
        let at = algorithm.read_wire(&message[..range.end], range.start).ok()?;
        let mut rest = message.get(at..range.end)?;
        let mut take = |length: usize| {
            let (taken, left) = rest.split_at_checked(length)?;
            rest = left;
            Some(taken)
        };
        let number = |octets: &[u8]| octets.iter().fold(0, |sum, o| sum << 8 | u64::from(*o));
        let time = number(take(6)?);
        let fudge = number(take(2)?) as u16;
        let length = number(take(2)?) as usize;
        let mac = take(length)?.to_vec();
        let original_id = number(take(2)?) as u16;
        let error = number(take(2)?) as u16;
        let length = number(take(2)?) as usize;
        let other = take(length)?.to_vec();
        let algorithm_name = algorithm.to_name();
        rest.is_empty().then(|| Signature {
            start,
            key,
            algorithm: Algorithm::parse(&algorithm_name.to_string()),
            algorithm_name,
            variables: Variables { time, fudge, error, other },
            mac,
            original_id,
        })
    }

    /// Takes the record off and gives the message its own number back.
    pub fn remove(&self, message: &mut Vec<u8>) {
        message.truncate(self.start);
        change_additional(message, -1);
        message[..2].copy_from_slice(&self.original_id.to_be_bytes());
    }
}
