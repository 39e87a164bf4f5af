//! Answers of the why zone.

use super::Opening;
use crate::model::RrSet;
use crate::ports::WhyAnswer;
use crate::resolver::message::{Request, rcode, rtype};
use crate::resolver::reply::{Body, Envelope, Reply};
use crate::telemetry::Outcome;

/// TXT (RFC 1035 section 3.3.14).
const TXT: u16 = 16;
/// Prohibited (RFC 8914 section 4.19).
const PROHIBITED: u16 = 18;
/// Seconds that it may be kept: what is said of a name can change with the next state.
const TTL_SECONDS: u32 = 30;

/// Writes the reply to a question in a why zone.
pub(super) fn reply<'p>(
    says: WhyAnswer,
    request: &Request<'_>,
    envelope: &Envelope<'_>,
    out: &mut Vec<u8>,
) -> Opening<'p> {
    let text = match says {
        WhyAnswer::Refused => {
            let reason = Some((PROHIBITED, ""));
            Reply { reason, ..Reply::empty(rcode::REFUSED) }.write(envelope, out);
            return Opening::Refused(Outcome::Refused);
        }
        WhyAnswer::Text(text) => text,
    };
    let octets = &text.as_bytes()[..text.len().min(usize::from(u8::MAX))];
    let length = u8::try_from(octets.len()).expect("a string of at most 255 octets");
    let sets =
        [RrSet { rtype: TXT, ttl: TTL_SECONDS, rdata: vec![[&[length], octets].concat().into()] }];
    let wanted = request.rtype;
    let body = match matches!(wanted, TXT | rtype::ANY) {
        true => Body::Data { sets: &sets, rtype: wanted, ttl_max: TTL_SECONDS },
        false => Body::Empty,
    };
    Reply { authoritative: true, body, ..Reply::empty(rcode::NO_ERROR) }.write(envelope, out);
    Opening::Refused(Outcome::Resolved)
}
