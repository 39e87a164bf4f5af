//! What a primary sends unasked (RFC 1996), judged.

use std::net::IpAddr;

use super::settings::Secondary;
use crate::model::{Name, Timestamp};
use crate::zone::Serial;
use crate::zone::tsig::{Keys, ServerSequence};
use crate::zone::wire::{Notify, rcode, refusal};

/// What is made of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What to send; none is silence.
    pub response: Option<Vec<u8>>,
    /// The zone that may have changed, with the serial that it is said to have.
    pub changed: Option<(Name, Option<Serial>)>,
}

/// Judges a message of operation NOTIFY by [`Secondary::takes_word_of`].
pub fn judge<'z>(
    mut zones: impl Iterator<Item = &'z Secondary>,
    keys: &Keys,
    message: &[u8],
    peer: IpAddr,
    now: Timestamp,
) -> Judgement {
    let only = |response| Judgement { response, changed: None };
    let mut message = message.to_vec();
    let mut sequence = match ServerSequence::check(keys, &mut message, now) {
        Ok(sequence) => sequence,
        Err(refused) => return only(refused.response),
    };
    let notify = match Notify::read(&message) {
        Ok(notify) => notify,
        Err(error) => return only(error.rcode().and_then(|code| refusal(&message, code))),
    };
    let zone = zones.find(|zone| zone.origin == notify.origin);
    let signer = sequence.as_ref().map(|sequence| sequence.key().name());
    let taken = zone.is_some_and(|zone| zone.takes_word_of(peer, signer));
    let mut response = Vec::new();
    notify.write_answer(if taken { rcode::NOERROR } else { rcode::REFUSED }, &mut response);
    if let Some(sequence) = &mut sequence {
        sequence.sign(&mut response, now);
    }
    let serial = notify.serial();
    let changed = taken.then_some((notify.origin, serial));
    Judgement { response: Some(response), changed }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, key, name, secondary};
    use super::*;
    use crate::model::Network;
    use crate::zone::Soa;
    use crate::zone::tsig::{ClientSequence, Key};
    use std::sync::Arc;

    fn sent(zone: &str, key: Option<Arc<Key>>) -> (Notify, Vec<u8>, Option<ClientSequence>) {
        let notify = Notify { id: 7, origin: name(zone), soa: Some(Soa::ours(Serial(9))) };
        let mut message = Vec::new();
        notify.write(&mut message);
        let sequence = key.map(|key| ClientSequence::sign(key, &mut message, NOW));
        (notify, message, sequence)
    }

    fn judged(message: &[u8], peer: &str, ours: Option<Arc<Key>>) -> Judgement {
        let mut zone = secondary(&["192.0.2.1:53".parse().unwrap()], ours.clone());
        zone.allow_notify = vec![Network::parse_strict("198.51.100.0/24").unwrap()];
        let keys = Keys::new(ours.into_iter().collect());
        judge(std::iter::once(&zone), &keys, message, peer.parse().unwrap(), NOW)
    }

    #[test]
    fn word_is_taken_from_primaries_and_named_networks_and_answered() {
        let (notify, message, _) = sent("rpz.test", None);
        for (peer, taken) in [
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("198.51.100.9", true),
            ("192.0.2.2", false),
        ] {
            let judged = judged(&message, peer, None);
            assert_eq!(judged.changed.is_some(), taken, "{peer}");
            let answer = notify.is_answer(&judged.response.unwrap());
            assert_eq!(answer.is_ok(), taken, "{peer}");
        }
        let (_, message, _) = sent("other.test", None);
        assert_eq!(judged(&message, "192.0.2.1", None).changed, None);
    }

    #[test]
    fn signed_word_is_taken_from_anywhere_and_its_answer_is_signed() {
        let ours = key(b"0123456789abcdef0123456789abcdef");
        let (notify, message, sequence) = sent("rpz.test", Some(ours.clone()));
        let judgement = judged(&message, "203.0.113.9", Some(ours.clone()));
        assert_eq!(judgement.changed, Some((name("rpz.test"), Some(Serial(9)))));
        let mut response = judgement.response.unwrap();
        sequence.unwrap().check(&mut response, NOW).unwrap();
        assert_eq!(notify.is_answer(&response), Ok(true));
        let (_, unsigned, _) = sent("rpz.test", None);
        assert_eq!(judged(&unsigned, "203.0.113.9", Some(ours.clone())).changed, None);
        assert!(judged(&unsigned, "192.0.2.1", Some(ours.clone())).changed.is_some());
        let (_, forged, _) = sent("rpz.test", Some(key(b"another secret of some octets...")));
        let judgement = judged(&forged, "192.0.2.1", Some(ours));
        assert_eq!(judgement.changed, None);
        assert!(judgement.response.is_some());
    }
}
