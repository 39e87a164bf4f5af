//! Secondaries of all kinds, in one process.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::super::edition::tests::{edition, version, zone};
use super::super::primary::Offer;
use super::super::secondaries::Secondary;
use super::super::secondaries::tests::{key, name, secondary};
use super::*;
use crate::zone::tsig::{Algorithm, ClientSequence, Key, TsigError};
use crate::zone::wire::{TransferError, TransferLimits, TransferReader, Transferred};
use crate::zone::{Serial, Soa, Zone};

const NOW: Timestamp = Timestamp(1_800_000_000);
const HOME: &str = "192.0.2.1:4711";
const ELSEWHERE: &str = "203.0.113.9:4711";

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// `home` asks from its address, `signer` with its key, `canary` with another.
fn server(stable: Edition, canary: Option<Edition>) -> Arc<TransferServer> {
    let address = Some("192.0.2.1:53".parse().unwrap());
    let secondaries = Secondaries::new(vec![
        Secondary { address, ..secondary("home") },
        Secondary { key: Some(key("a.key")), ..secondary("signer") },
        Secondary { key: Some(key("b.key")), canary: true, ..secondary("canary") },
    ]);
    let primary = Primary::default();
    let offer = |for_everyone| Offer {
        stable: Arc::new(edition(1, 0..3)),
        canary: None,
        for_everyone,
        rolled_back_to: None,
    };
    let threat = Offer {
        stable: Arc::new(stable),
        canary: canary.map(|edition| (Arc::new(edition), NOW)),
        ..offer(true)
    };
    primary.offer([(name("threat.rpz"), threat), (name("kids.rpz"), offer(false))].into());
    let registry = prometheus_client::registry::Registry::default();
    Arc::new(TransferServer::new(
        Arc::new(primary),
        Arc::new(secondaries),
        Keys::new(vec![key("a.key"), key("b.key")]),
        Arc::default(),
        Arc::new(Stopped),
        Arc::new(Metrics::new(registry, "0")),
    ))
}

fn ask(kind: RequestKind, origin: &str) -> Vec<u8> {
    let mut message = Vec::new();
    let origin = name(origin);
    Request { id: 7, origin, kind, recursion_desired: false }.write(&mut message);
    message
}

fn full() -> Vec<u8> {
    ask(RequestKind::Full, "threat.rpz")
}

fn since(serial: u32) -> Vec<u8> {
    ask(RequestKind::Changes(Soa::ours(Serial(serial))), "threat.rpz")
}

async fn answers(server: &Arc<TransferServer>, message: &[u8], peer: &str) -> Vec<Vec<u8>> {
    let (sender, mut receiver) = mpsc::channel(2);
    let (server, message, peer) = (server.clone(), message.to_vec(), peer.parse().unwrap());
    tokio::spawn(async move { server.stream(&message, peer, sender).await });
    let mut messages = Vec::new();
    while let Some(message) = receiver.recv().await {
        messages.push(message);
    }
    messages
}

fn code(answers: &[Vec<u8>]) -> u8 {
    assert_eq!(answers.len(), 1);
    answers[0][3] & 0xf
}

fn read(reader: TransferReader, messages: &[Vec<u8>]) -> Result<Transferred, TransferError> {
    let mut reader = reader;
    for message in messages {
        reader.feed(message)?;
    }
    reader.finish().map(|(transferred, _)| transferred)
}

fn whole() -> TransferReader {
    TransferReader::full(name("threat.rpz"), 7, 7, TransferLimits::default())
}

fn from(base: Zone) -> TransferReader {
    TransferReader::changes(base, 7, 7, TransferLimits::default())
}

/// Serials 100, 200 and 300, each with a thousand names more and one less.
fn third() -> Edition {
    let second = edition(100, 0..8_000).next(&zone(200, 1..9_000), version(200)).unwrap();
    second.next(&zone(300, 2..10_000), version(300)).unwrap()
}

#[tokio::test]
async fn a_zone_arrives_whole_and_every_message_of_it_is_signed() {
    let server = server(third(), None);
    let plain = answers(&server, &full(), HOME).await;
    assert!(plain.len() > 5, "{} messages", plain.len());
    let Ok(Transferred::Full(found)) = read(whole(), &plain) else { panic!("not whole") };
    assert!(found.same_rules(&zone(300, 2..10_000)));
    assert_eq!(found.soa().serial, Serial(300));

    let mut message = full();
    let mut sequence = ClientSequence::sign(key("a.key"), &mut message, NOW);
    let mut signed = answers(&server, &message, ELSEWHERE).await;
    for message in &mut signed {
        assert!(message.len() <= MESSAGE_OCTETS);
        assert_eq!(message[11], 1, "a message without a signature");
        sequence.check(message, NOW).unwrap();
    }
    sequence.finish().unwrap();
    let Ok(Transferred::Full(found)) = read(whole(), &signed) else { panic!("not whole") };
    assert!(found.same_rules(&zone(300, 2..10_000)));
    let known = server.fleet.of(1, &name("threat.rpz"));
    assert_eq!((known.serial, known.transfers, known.failures), (Some(Serial(300)), 1, 0));
    assert_eq!(known.transfer.unwrap().kind, Kind::Full);
}

#[tokio::test]
async fn a_secondary_gets_one_change_from_any_version_that_is_kept() {
    let server = server(third(), None);
    for (serial, names, rules) in [(100, 0..8_000, 2_002), (200, 1..9_000, 1_001)] {
        let messages = answers(&server, &since(serial), HOME).await;
        let records: usize =
            messages.iter().map(|m| usize::from(u16::from_be_bytes([m[6], m[7]]))).sum();
        assert_eq!(records, rules + 4, "one change between four SOA records");
        let changed = read(from(zone(serial, names)), &messages).unwrap();
        let Transferred::Changed(found) = changed else { panic!("not changed") };
        assert!(found.same_rules(&zone(300, 2..10_000)));
        let known = server.fleet.of(0, &name("threat.rpz"));
        assert_eq!(known.transfer.unwrap().kind, Kind::Changes);
    }
}

#[tokio::test]
async fn a_version_that_is_none_of_those_kept_gets_the_whole_zone_or_nothing() {
    let server = server(third(), None);
    // Unknown, older than all, and half the space away, which has no order (RFC 1982).
    for serial in [150, 1, 300u32.wrapping_add(0x8000_0000)] {
        let messages = answers(&server, &since(serial), HOME).await;
        let answer = read(from(zone(serial, 0..5)), &messages).unwrap();
        let Transferred::Full(found) = answer else { panic!("{serial}: not whole") };
        assert!(found.same_rules(&zone(300, 2..10_000)), "{serial}");
    }
    // The same, and one of the future, which is newer by the same reckoning.
    for serial in [300, 301, 0x7000_0000] {
        let messages = answers(&server, &since(serial), HOME).await;
        assert_eq!(messages.len(), 1, "{serial}");
        assert_eq!(messages[0][6..8], [0, 1], "{serial}: not the SOA alone");
    }
}

#[tokio::test]
async fn changes_that_are_more_than_the_zone_are_not_sent() {
    let shrunk = edition(100, 0..8_000).next(&zone(200, 0..10), version(200)).unwrap();
    let server = server(shrunk, None);
    let messages = answers(&server, &since(100), HOME).await;
    let answer = read(from(zone(100, 0..8_000)), &messages).unwrap();
    assert!(matches!(answer, Transferred::Full(found) if found.len() == 10));
    let known = server.fleet.of(0, &name("threat.rpz"));
    assert_eq!(known.transfer.unwrap().kind, Kind::FullForChanges);
}

#[tokio::test]
async fn who_is_not_known_gets_nothing() {
    let server = server(third(), None);
    assert_eq!(code(&answers(&server, &full(), ELSEWHERE).await), rcode::REFUSED);
    let other = ask(RequestKind::Full, "other.rpz");
    assert_eq!(code(&answers(&server, &other, ELSEWHERE).await), rcode::REFUSED);
    assert_eq!(code(&answers(&server, &other, HOME).await), rcode::NOTAUTH);
    let kids = ask(RequestKind::Full, "kids.rpz");
    assert_eq!(code(&answers(&server, &kids, HOME).await), rcode::REFUSED);

    let refused = async |key: Arc<Key>, at: Timestamp| {
        let mut message = full();
        let mut sequence = ClientSequence::sign(key, &mut message, at);
        let mut answers = answers(&server, &message, HOME).await;
        assert_eq!(code(&answers), rcode::NOTAUTH);
        assert_eq!(answers[0][7], 0, "records for nobody");
        sequence.check(&mut answers[0], at).unwrap_err()
    };
    let secret = b"another secret of thirty-two octets";
    let wrong = Key::new(name("a.key"), Algorithm::HmacSha256, secret);
    let strange = Key::new(name("c.key"), Algorithm::HmacSha256, secret);
    assert_eq!(refused(Arc::new(wrong), NOW).await, TsigError::Refused(16), "BADSIG");
    assert_eq!(refused(Arc::new(strange), NOW).await, TsigError::Refused(17), "BADKEY");
    let late = Timestamp(NOW.0 - 301);
    assert_eq!(refused(key("a.key"), late).await, TsigError::Refused(18), "BADTIME");
}

#[tokio::test]
async fn datagrams_tell_the_version_and_no_more() {
    let server = server(third(), None);
    let home = HOME.parse().unwrap();
    let mut question = Vec::new();
    let soa = SoaRequest { id: 7, origin: name("threat.rpz") };
    soa.write(&mut question);
    let answer = server.datagram(&question, home).await.unwrap();
    assert_eq!(soa.read_answer(&answer).unwrap().serial, Serial(300));
    add_edns(&mut question);
    let answer = server.datagram(&question, home).await.unwrap();
    let read = hickory_proto::op::Message::from_vec(&answer).unwrap();
    assert!(read.edns.is_some() && read.answers.len() == 1);

    let changes = server.datagram(&since(100), home).await.unwrap();
    assert!(changes[6..8] == [0, 1] && changes.len() < 200, "the SOA alone");
    assert_eq!(server.datagram(&full(), home).await.unwrap()[3] & 0xf, rcode::FORMERR);
    let elsewhere = ELSEWHERE.parse().unwrap();
    assert_eq!(server.datagram(&question, elsewhere).await.unwrap()[3] & 0xf, rcode::REFUSED);

    let mut sequence = ClientSequence::sign(key("a.key"), &mut question, NOW);
    let mut answer = server.datagram(&question, elsewhere).await.unwrap();
    sequence.check(&mut answer, NOW).unwrap();
    assert_eq!(soa.read_answer(&answer).unwrap().serial, Serial(300));
    assert!(server.datagram(b"\0\x01", home).await.is_none());
}

#[tokio::test]
async fn a_canary_gets_a_version_before_the_others() {
    let second = edition(100, 0..50).next(&zone(200, 0..60), version(200)).unwrap();
    let server = server(edition(100, 0..50), Some(second));
    let serial = async |key_name: &str| {
        let mut message = full();
        let mut sequence = ClientSequence::sign(key(key_name), &mut message, NOW);
        let mut messages = answers(&server, &message, ELSEWHERE).await;
        messages.iter_mut().for_each(|message| sequence.check(message, NOW).unwrap());
        let Ok(Transferred::Full(found)) = read(whole(), &messages) else { panic!("not whole") };
        found.soa().serial.0
    };
    assert_eq!((serial("a.key").await, serial("b.key").await), (100, 200));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_reading_is_let_go() {
    let server = server(third(), None);
    let (sender, receiver) = mpsc::channel(2);
    let peer = HOME.parse().unwrap();
    server.stream(&full(), peer, sender).await;
    assert_eq!(receiver.len(), 2, "no more was made than was taken");
    let known = server.fleet.of(0, &name("threat.rpz"));
    assert_eq!((known.transfers, known.failures, known.serial), (0, 1, None));
    // One that hangs up likewise, and at once.
    let (sender, receiver) = mpsc::channel(2);
    drop(receiver);
    server.stream(&full(), peer, sender).await;
    assert_eq!(server.fleet.of(0, &name("threat.rpz")).failures, 2);
}

#[tokio::test]
async fn as_many_transfers_as_may_begin_in_a_minute_all_end_well() {
    let server = server(edition(1, 0..300), None);
    let all = (0..1_000).map(|_| {
        let server = server.clone();
        tokio::spawn(async move { answers(&server, &full(), HOME).await })
    });
    let mut ends = BTreeMap::new();
    for one in futures_util::future::join_all(all).await {
        let messages = one.unwrap();
        let end = match read(whole(), &messages) {
            Ok(Transferred::Full(found)) if found.len() == 300 => "whole",
            Err(TransferError::Refused(rcode::SERVFAIL)) => "come again",
            other => panic!("{other:?}"),
        };
        *ends.entry(end).or_insert(0) += 1;
    }
    let expected = [("come again", 1_000 - PER_MINUTE_MAX), ("whole", PER_MINUTE_MAX)];
    assert_eq!(ends, expected.into());
}
