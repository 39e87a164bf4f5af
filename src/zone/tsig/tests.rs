//! Signatures against those of the `domain` crate, and every way in which they can be bad.

use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder};
use domain::rdata::tsig::Time48;
use domain::tsig as other;
use proptest::prelude::*;

use super::record::{append, change_additional};
use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: Timestamp = Timestamp(1_800_000_000);

fn key(name: &str, algorithm: Algorithm, secret: &[u8]) -> Arc<Key> {
    Arc::new(Key::new(Name::from_presentation(name).unwrap(), algorithm, secret))
}

fn ours() -> Arc<Key> {
    key("a.key", Algorithm::HmacSha256, SECRET)
}

fn keys() -> Keys {
    Keys::new(vec![ours()])
}

/// The same key in the `domain` crate's form.
fn theirs(name: &str, secret: &[u8]) -> Arc<other::Key> {
    let algorithm = other::Algorithm::Sha256;
    Arc::new(other::Key::new(algorithm, secret, name.parse().unwrap(), None, None).unwrap())
}

fn time(now: Timestamp) -> Time48 {
    Time48::from_u64(u64::from(now.0))
}

fn question() -> domain::base::message_builder::AdditionalBuilder<Vec<u8>> {
    let mut builder = MessageBuilder::new_vec().question();
    builder.push((domain::base::Name::vec_from_str("rpz.test").unwrap(), Rtype::AXFR)).unwrap();
    builder.additional()
}

fn answer(to: &[u8]) -> domain::base::message_builder::AdditionalBuilder<Vec<u8>> {
    let request = Message::from_octets(to).unwrap();
    MessageBuilder::new_vec().start_answer(&request, Rcode::NOERROR).unwrap().additional()
}

#[test]
fn the_domain_crate_takes_a_sequence_that_we_sign() {
    let mut question = question();
    let mut client =
        other::ClientSequence::request(theirs("a.key", SECRET), &mut question, time(NOW)).unwrap();
    let mut request = question.finish();
    let mut server = ServerSequence::check(&keys(), &mut request, NOW).unwrap().unwrap();
    assert_eq!(server.key().name(), ours().name());
    for _ in 0..3 {
        let mut message = answer(&request).finish();
        let before = message.len();
        server.sign(&mut message, NOW);
        assert!(message.len() - before <= ours().signature_octets());
        let mut message = Message::from_octets(message).unwrap();
        client.answer(&mut message, time(NOW)).unwrap();
    }
    client.done().unwrap();
}

#[test]
fn we_take_a_sequence_that_the_domain_crate_signs() {
    let mut request = question().finish();
    let mut client = ClientSequence::sign(ours(), &mut request, NOW);
    let mut request = Message::from_octets(request).unwrap();
    let store = theirs("a.key", SECRET);
    let mut server =
        other::ServerSequence::request(&store, &mut request, time(NOW)).unwrap().unwrap();
    for _ in 0..3 {
        let mut message = answer(request.as_slice());
        server.answer(&mut message, time(NOW)).unwrap();
        let mut message = message.finish();
        client.check(&mut message, NOW).unwrap();
        assert_eq!(message, answer(request.as_slice()).finish());
    }
    client.finish().unwrap();
}

#[test]
fn all_algorithms_sign_and_check() {
    for algorithm in Algorithm::ALL {
        let key = key("k", algorithm, SECRET);
        let mut request = question().finish();
        let mut client = ClientSequence::sign(key.clone(), &mut request, NOW);
        let keys = Keys::new(vec![ours(), key]);
        let mut server = ServerSequence::check(&keys, &mut request, NOW).unwrap().unwrap();
        let mut message = answer(&request).finish();
        server.sign(&mut message, NOW);
        client.check(&mut message, NOW).unwrap();
        client.finish().unwrap();
        assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
    }
}

#[test]
fn messages_between_may_be_unsigned_but_not_the_first_nor_the_last_nor_too_many() {
    let mut request = question().finish();
    let client = ClientSequence::sign(ours(), &mut request, NOW);
    let server = ServerSequence::check(&keys(), &mut request, NOW).unwrap().unwrap();
    let plain = answer(&request).finish();
    assert_eq!(client.clone().check(&mut plain.clone(), NOW), Err(TsigError::Unsigned));
    assert_eq!(client.clone().finish(), Err(TsigError::Unsigned));

    let run = |unsigned: u32, last: bool| {
        let (mut client, mut server) = (client.clone(), server.clone());
        let mut message = plain.clone();
        server.sign(&mut message, NOW);
        client.check(&mut message, NOW)?;
        for _ in 0..unsigned {
            server.0.context.update(&plain);
            client.check(&mut plain.clone(), NOW)?;
        }
        if last {
            let mut message = plain.clone();
            server.sign(&mut message, NOW);
            client.check(&mut message, NOW)?;
        }
        client.finish()
    };
    assert_eq!(run(99, true), Ok(()));
    assert_eq!(run(100, true), Err(TsigError::Unsigned));
    assert_eq!(run(1, false), Err(TsigError::Unsigned));
}

#[test]
fn an_unsigned_request_is_for_the_access_list_to_judge() {
    assert!(ServerSequence::check(&keys(), &mut question().finish(), NOW).unwrap().is_none());
}

/// The TSIG error and response code that a request signed so is answered with, what the
/// `domain` crate makes of the answer, and what we do.
fn refused(name: &str, secret: &[u8], now: Timestamp) -> (TsigError, u8, String, TsigError) {
    let mut question = question();
    let mut client =
        other::ClientSequence::request(theirs(name, secret), &mut question, time(now)).unwrap();
    let mut request = question.finish();
    let refusal = ServerSequence::check(&keys(), &mut request, NOW).unwrap_err();
    let response = refusal.response.unwrap();
    let rcode = Header::read(&response).unwrap().rcode();
    let judged = client.answer(&mut Message::from_octets(response).unwrap(), time(now));

    let mut request = self::question().finish();
    let key = key(name, Algorithm::HmacSha256, secret);
    let mut client = ClientSequence::sign(key, &mut request, now);
    let refusal_again = ServerSequence::check(&keys(), &mut request, NOW).unwrap_err();
    let ours = client.check(&mut refusal_again.response.unwrap(), now).unwrap_err();
    (refusal.error, rcode, judged.unwrap_err().to_string(), ours)
}

#[test]
fn bad_keys_signatures_and_times_are_answered_as_rfc_8945_section_5_3_2_says() {
    let unknown = TsigError::UnknownKey(Name::from_presentation("b.key").unwrap());
    assert_eq!(
        refused("b.key", SECRET, NOW),
        (unknown, rcode::NOTAUTH, "unknown key on server".into(), TsigError::Refused(17))
    );
    assert_eq!(
        refused("a.key", b"another secret", NOW),
        (
            TsigError::BadSignature,
            rcode::NOTAUTH,
            "server failed to verify MAC".into(),
            TsigError::Refused(16)
        )
    );
    let (error, code, _, judged) = refused("a.key", SECRET, Timestamp(NOW.0 - 301));
    assert_eq!(error, TsigError::BadTime { seconds: 301 });
    assert_eq!((code, judged), (rcode::NOTAUTH, TsigError::Refused(18)));
    let mut request = question().finish();
    ClientSequence::sign(ours(), &mut request, Timestamp(NOW.0 - 300));
    assert!(ServerSequence::check(&keys(), &mut request, NOW).is_ok());
}

#[test]
fn a_shortened_signature_is_refused_with_a_signed_answer() {
    let mut request = question().finish();
    let start = request.len();
    let mut client = ClientSequence::sign(ours(), &mut request, NOW);
    let found = Signature::find(&request).unwrap().unwrap();
    let shortened = |octets: usize| {
        let mut message = request[..start].to_vec();
        message[10..12].copy_from_slice(&[0, 0]);
        let (name, mut algorithm) = (found.key.as_ref().to_wire(), Vec::new());
        ours().algorithm.write_name(&mut algorithm);
        let mac = &found.mac[..octets];
        append(&mut message, &name, &algorithm, &found.variables, mac, found.original_id);
        ServerSequence::check(&keys(), &mut message, NOW).unwrap_err()
    };
    let refusal = shortened(16);
    assert_eq!(refusal.error, TsigError::Truncated);
    client.chain.start(&found.mac[..16]);
    let mut response = refusal.response.unwrap();
    assert_eq!(client.check(&mut response, NOW), Err(TsigError::Refused(22)));
    let refusal = shortened(15);
    assert_eq!(refusal.error, TsigError::Malformed);
    let response = refusal.response.unwrap();
    assert_eq!(Header::read(&response).unwrap().rcode(), rcode::FORMERR);
}

#[test]
fn a_signature_must_be_the_last_record_and_the_only_one() {
    let mut request = question().finish();
    ClientSequence::sign(ours(), &mut request, NOW);
    let start = Signature::find(&request).unwrap().unwrap().start;
    let mut twice = request.clone();
    twice.extend_from_slice(&request[start..]);
    change_additional(&mut twice, 1);
    let mut longer = request.clone();
    longer.push(0);
    for mut message in [twice, longer] {
        let refusal = ServerSequence::check(&keys(), &mut message, NOW).unwrap_err();
        assert_eq!(refusal.error, TsigError::Malformed);
        let rcode = Header::read(&refusal.response.unwrap()).unwrap().rcode();
        assert_eq!(rcode, rcode::FORMERR);
    }
}

#[test]
fn a_change_of_any_octet_is_seen() {
    let mut request = question().finish();
    let mut client = ClientSequence::sign(ours(), &mut request, NOW);
    for at in 0..request.len() {
        let mut changed = request.clone();
        changed[at] ^= 0x01;
        // The message's own number may change on the way; the signature has the original.
        let taken = matches!(ServerSequence::check(&keys(), &mut changed, NOW), Ok(Some(_)));
        assert_eq!(taken, at < 2, "octet {at}");
    }
    let mut server = ServerSequence::check(&keys(), &mut request, NOW).unwrap().unwrap();
    let mut message = answer(&request).finish();
    server.sign(&mut message, NOW);
    for at in 2..message.len() {
        let mut changed = message.clone();
        changed[at] ^= 0x01;
        assert!(client.clone().check(&mut changed, NOW).is_err(), "octet {at}");
    }
    client.check(&mut message, NOW).unwrap();
}

proptest! {
    #[test]
    fn any_octets_are_signed_well_or_not(octets: Vec<u8>, front in 0usize..120) {
        let mut request = question().finish();
        let mut client = ClientSequence::sign(ours(), &mut request, NOW);
        let mut message = request[..front.min(request.len())].to_vec();
        message.extend(octets);
        let _ = client.check(&mut message.clone(), NOW);
        let _ = ServerSequence::check(&keys(), &mut message, NOW);
    }
}
