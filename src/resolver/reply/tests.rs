//! Replies read back by another implementation.

use super::super::message::tests::{query, query_edns};
use super::super::message::{Incoming, NameBuffer, rcode, read};
use super::*;
use crate::model::Name;
use crate::ports::Record;
use crate::zone::Serial;
use hickory_proto::op::{Message, ResponseCode};
use proptest::prelude::*;

fn name(text: &str) -> Name {
    Name::from_presentation(text).unwrap()
}

/// Writes the reply to a query and reads it back with another implementation.
fn written(
    packet: &[u8],
    reply: &Reply<'_>,
    change: impl Fn(&mut Envelope<'_>),
) -> (Vec<u8>, Message) {
    let mut buffer = NameBuffer::default();
    let Incoming::Query(request) = read(packet, &mut buffer) else { panic!("not a query") };
    let mut envelope = Envelope {
        request: &request,
        octets_max: 1232,
        payload_octets: 1232,
        cookie: None,
        keepalive: None,
        padded: false,
    };
    change(&mut envelope);
    let mut out = vec![0xee; 7];
    reply.write(&envelope, &mut out);
    assert!(out.len() <= envelope.octets_max, "{} octets", out.len());
    let message = Message::from_vec(&out).unwrap();
    (out, message)
}

fn lines(records: &[hickory_proto::rr::Record]) -> Vec<String> {
    records.iter().map(ToString::to_string).collect()
}

fn options(message: &Message) -> Vec<(u16, Vec<u8>)> {
    let options = message.edns.as_ref().unwrap().options();
    let value = |option: &hickory_proto::rr::rdata::opt::EdnsOption| {
        (
            u16::from(hickory_proto::rr::rdata::opt::EdnsCode::from(option)),
            Vec::<u8>::try_from(option).unwrap(),
        )
    };
    options.as_ref().iter().map(|(_, option)| value(option)).collect()
}

const SETS: [(u16, &[&[u8]]); 2] = [(1, &[&[192, 0, 2, 1], &[192, 0, 2, 2]]), (16, &[b"\x04text"])];

fn sets() -> Vec<RrSet> {
    let set = |(rtype, rdata): (u16, &[&[u8]])| RrSet {
        rtype,
        ttl: 300,
        rdata: rdata.iter().map(|&r| r.into()).collect(),
    };
    SETS.map(set).into()
}

#[test]
fn a_negative_answer_has_the_soa_where_caches_and_where_the_draft_look_for_it() {
    let wire = SoaWire::new(name("rpz.test").as_ref(), &Soa::ours(Serial(7)));
    let record = SoaRecord { wire: &wire, ttl: 60, place: SoaPlace::Both };
    let reply = Reply {
        soa: Some(record),
        reason: Some((15, "rpz.test: *.bad.test")),
        ..Reply::empty(rcode::NAME_ERROR)
    };
    let packet = query_edns("wWw.Bad.test.", 1, 4096, false).to_vec().unwrap();
    let (out, message) = written(&packet, &reply, |_| {});
    assert_eq!(
        out[12..packet.len() - 11],
        packet[12..packet.len() - 11],
        "the question comes back"
    );
    assert_eq!(message.metadata.id, 0x1234);
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
    let flags = message.metadata;
    assert!(flags.recursion_desired && flags.recursion_available);
    assert!(!flags.authoritative && !flags.truncation && !flags.authentic_data);
    let soa = ["rpz.test. 60 IN SOA localhost. nobody.invalid. 7 3600 600 2592000 60"];
    assert_eq!(lines(&message.authorities), soa);
    assert_eq!(lines(&message.additionals), soa);
    assert_eq!(options(&message), [(15, b"\0\x0frpz.test: *.bad.test".to_vec())]);
}

#[test]
fn local_data_answers_its_types_all_for_any_and_nothing_for_others() {
    let sets = sets();
    for (rtype, expected) in [
        (1, &["a.test. 60 IN A 192.0.2.1", "a.test. 60 IN A 192.0.2.2"][..]),
        (16, &["a.test. 60 IN TXT text"]),
        (28, &[]),
        (
            255,
            &["a.test. 60 IN A 192.0.2.1", "a.test. 60 IN A 192.0.2.2", "a.test. 60 IN TXT text"],
        ),
    ] {
        let body = Body::Data { sets: &sets, rtype, ttl_max: 60 };
        let reply = Reply { body, ..Reply::empty(rcode::NO_ERROR) };
        let (_, message) = written(&query("a.test.", rtype).to_vec().unwrap(), &reply, |_| {});
        assert_eq!(lines(&message.answers), expected);
        assert!(message.edns.is_none(), "no OPT without OPT (RFC 6891 section 7)");
    }
}

#[test]
fn an_alias_and_upstream_sections_stand_under_the_question() {
    let target = name("garden.test");
    let body = Body::Alias { target: target.as_ref(), ttl: 5 };
    let reply = Reply { body, ..Reply::empty(rcode::NO_ERROR) };
    let packet = query("a.test.", 5).to_vec().unwrap();
    let (_, message) = written(&packet, &reply, |_| {});
    assert_eq!(lines(&message.answers), ["a.test. 5 IN CNAME garden.test."]);

    let owner = name("a.test");
    let record = |rtype, rdata: Vec<u8>| Record {
        owner: owner.as_ref().to_wire().into(),
        rtype,
        ttl: 90,
        rdata: rdata.into(),
    };
    let sections = Sections::encode(
        owner.as_ref(),
        &[record(1, vec![192, 0, 2, 9])],
        &[record(2, target.as_ref().to_wire())],
    )
    .unwrap();
    let reply = Reply {
        authenticated: true,
        body: Body::Sections(&sections, Ttl::Aged(10)),
        ..Reply::empty(rcode::NO_ERROR)
    };
    let (_, message) = written(&packet, &reply, |_| {});
    assert_eq!(lines(&message.answers), ["a.test. 80 IN A 192.0.2.9"]);
    assert_eq!(lines(&message.authorities), ["a.test. 80 IN NS garden.test."]);
    assert!(message.metadata.authentic_data);
}

#[test]
fn what_does_not_fit_leaves_empty_sections_and_the_tc_bit() {
    let sets = [RrSet { rtype: 65400, ttl: 1, rdata: vec![vec![b'x'; 600].into()] }];
    let body = Body::Data { sets: &sets, rtype: 65400, ttl_max: 60 };
    let reply = Reply { body, reason: Some((17, "why")), ..Reply::empty(rcode::NO_ERROR) };
    for (packet, octets_max, truncated) in [
        (query("a.test.", 65400), 512, true),
        (query("a.test.", 65400), 65_535, false),
        (query_edns("a.test.", 65400, 600, true), 600, true),
        (query_edns("a.test.", 65400, 1232, true), 1232, false),
    ] {
        let packet = packet.to_vec().unwrap();
        let (_, message) = written(&packet, &reply, |e| e.octets_max = octets_max);
        assert_eq!(message.metadata.truncation, truncated);
        assert_eq!(message.answers.is_empty(), truncated);
        if let Some(edns) = &message.edns {
            assert!(edns.flags().dnssec_ok, "OPT stays, and DO in it");
        }
    }
}

#[test]
fn the_text_of_an_error_then_the_soa_beside_an_answer_stay_out_where_there_is_no_room() {
    let wire = SoaWire::new(name("rpz.test").as_ref(), &Soa::ours(Serial(7)));
    let sets = sets();
    let text = "x".repeat(200);
    let reply = Reply {
        body: Body::Data { sets: &sets, rtype: 1, ttl_max: 60 },
        soa: Some(SoaRecord { wire: &wire, ttl: 60, place: SoaPlace::Additional }),
        reason: Some((17, &text)),
        ..Reply::empty(rcode::NO_ERROR)
    };
    let packet = query_edns("a.test.", 1, 1232, false).to_vec().unwrap();
    let sizes = [400, 200, 100, 66].map(|octets_max| {
        let (_, message) = written(&packet, &reply, |e| e.octets_max = octets_max);
        let option = options(&message).first().map(|(_, value)| value.len());
        (message.answers.len(), message.additionals.len(), option)
    });
    assert_eq!(sizes, [(2, 1, Some(202)), (2, 1, Some(2)), (2, 0, Some(2)), (0, 0, None)]);
}

#[test]
fn options_come_back_to_who_asked_and_encrypted_answers_are_padded() {
    let packet = query_edns("a.test.", 1, 1232, false).to_vec().unwrap();
    let reply = Reply::empty(rcode::BAD_VERSION);
    let (out, message) = written(&packet, &reply, |envelope| {
        envelope.cookie = Some([9; 24]);
        envelope.keepalive = Some(300);
        envelope.padded = true;
    });
    assert_eq!(out.len(), 468);
    assert_eq!(u16::from(message.metadata.response_code), rcode::BAD_VERSION);
    let options = options(&message);
    assert_eq!(options[..2], [(10, vec![9; 24]), (11, vec![1, 44])]);
    assert_eq!(options[2].0, 12);
}

#[test]
fn a_header_alone_keeps_number_opcode_and_rd() {
    let mut out = Vec::new();
    write_header(&[1, 2, 0x29, 0x10, 9, 9, 9, 9, 9, 9, 9, 9, 7], rcode::FORMAT_ERROR, &mut out);
    assert_eq!(out, [1, 2, 0xa9, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]);
}

proptest! {
    /// Whatever goes in, a message comes out that another implementation reads and that is not
    /// larger than allowed.
    #[test]
    fn every_reply_is_whole_and_fits(
        octets_max in 512..3000_usize,
        rcode in 0..24_u16,
        records in 0..60_usize,
        text in "[a-z ]{0,200}",
        errors in proptest::collection::vec("[a-z]{0,200}", 0..4),
        place in 0..4_u8,
        cookie: bool,
        padded: bool,
        edns: bool,
        long in 1..60_usize,
    ) {
        let qname = format!("{}.test.", ["a".repeat(long), "b".repeat(long)].join("."));
        let packet = match edns {
            true => query_edns(&qname, 1, 1232, true),
            false => query(&qname, 1),
        };
        let origin = name("some.long.name.of.rpz.test");
        let wire = SoaWire::new(origin.as_ref(), &Soa::ours(Serial(7)));
        let rdata = (0..records).map(|n| vec![192, 0, 2, n as u8].into()).collect();
        let sets = [RrSet { rtype: 1, ttl: 300, rdata }];
        let places = [SoaPlace::Authority, SoaPlace::Additional, SoaPlace::Both];
        let errors: Vec<_> = errors.into_iter().map(|e| ExtendedError::new(3, e)).collect();
        let reply = Reply {
            body: Body::Data { sets: &sets, rtype: 1, ttl_max: 60 },
            soa: places.get(usize::from(place)).map(|&place| SoaRecord {
                wire: &wire, ttl: 60, place,
            }),
            reason: Some((15, &text)),
            errors: &errors,
            ..Reply::empty(rcode)
        };
        let (_, message) = written(&packet.to_vec().unwrap(), &reply, |envelope| {
            envelope.octets_max = octets_max;
            envelope.cookie = cookie.then_some([1; 24]);
            envelope.padded = padded;
        });
        prop_assert_eq!(message.edns.is_some(), edns);
        if !message.metadata.truncation {
            prop_assert_eq!(message.answers.len(), records);
        }
    }
}
