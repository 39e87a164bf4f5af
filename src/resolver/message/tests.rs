//! Messages made by hand, whole and broken.

use super::*;
use crate::model::Name;
use hickory_proto::op::{Edns as HickoryEdns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{Name as HickoryName, RecordType};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};

/// A query as another implementation writes it; tests change what they are about.
pub fn query(name: &str, rtype: u16) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message
        .add_query(Query::query(HickoryName::from_ascii(name).unwrap(), RecordType::from(rtype)));
    message
}

/// The same with an OPT record.
pub fn query_edns(name: &str, rtype: u16, payload: u16, dnssec_ok: bool) -> Message {
    let mut message = query(name, rtype);
    let mut edns = HickoryEdns::new();
    edns.set_max_payload(payload).set_dnssec_ok(dnssec_ok);
    message.set_edns(edns);
    message
}

fn is_query(packet: &[u8]) -> bool {
    matches!(read(packet, &mut NameBuffer::default()), Incoming::Query(_))
}

fn verdict(packet: &[u8]) -> Incoming<'static> {
    let mut buffer = NameBuffer::default();
    match read(packet, &mut buffer) {
        Incoming::Query(_) => panic!("taken for a query"),
        Incoming::Noise => Incoming::Noise,
        Incoming::Notify => Incoming::Notify,
        Incoming::Malformed(code) => Incoming::Malformed(code),
    }
}

const FORMAT_ERROR: Incoming<'static> = Incoming::Malformed(rcode::FORMAT_ERROR);

#[test]
fn a_query_reads_with_its_name_in_lookup_form_and_its_octets_unchanged() {
    let packet = query_edns("WwW.Example.COM.", 28, 1400, true).to_vec().unwrap();
    let mut buffer = NameBuffer::default();
    let Incoming::Query(request) = read(&packet, &mut buffer) else { panic!() };
    let name = Name::from_presentation("www.example.com").unwrap();
    assert_eq!(request.name, name.as_ref());
    assert_eq!(request.name_wire(), b"\x03WwW\x07Example\x03COM\0");
    assert_eq!((request.id(), request.rtype, request.class), (0x1234, 28, 1));
    assert!(request.recursion_desired() && !request.checking_disabled());
    let edns = request.edns.unwrap();
    assert_eq!((edns.payload_octets, edns.version, edns.dnssec_ok), (1400, 0, true));
}

#[test]
fn a_question_count_other_than_one_is_a_format_error_rfc_9619() {
    let packet = query("a.test.", 1).to_vec().unwrap();
    for count in [0_u16, 2, 0xffff] {
        let mut changed = packet.clone();
        changed[4..6].copy_from_slice(&count.to_be_bytes());
        assert_eq!(verdict(&changed), FORMAT_ERROR, "{count}");
    }
}

#[test]
fn counts_beyond_the_message_are_format_errors() {
    let packet = query("a.test.", 1).to_vec().unwrap();
    for at in [6, 8, 10] {
        let mut changed = packet.clone();
        changed[at..at + 2].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(verdict(&changed), FORMAT_ERROR, "count at {at}");
    }
}

#[test]
fn answers_and_short_messages_are_noise() {
    let mut packet = query("a.test.", 1).to_vec().unwrap();
    assert_eq!(verdict(&packet[..11]), Incoming::Noise);
    assert_eq!(verdict(&packet[..12]), FORMAT_ERROR);
    packet[2] |= 0x80;
    assert_eq!(verdict(&packet), Incoming::Noise);
}

#[test]
fn other_opcodes_are_not_implemented_and_notify_is_handed_on() {
    let packet = query("a.test.", 1).to_vec().unwrap();
    for opcode in 1..16 {
        let mut changed = packet.clone();
        changed[2] = opcode << 3;
        let expected = match opcode {
            4 => Incoming::Notify,
            _ => Incoming::Malformed(rcode::NOT_IMPLEMENTED),
        };
        assert_eq!(verdict(&changed), expected, "opcode {opcode}");
    }
}

#[test]
fn a_name_with_a_pointer_a_long_label_or_too_many_octets_is_a_format_error() {
    let header = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let longest = [&[63][..], &[b'a'; 63]].concat().repeat(3);
    let fill = |last: u8| [&longest[..], &[last], &vec![b'b'; last.into()], &[0]].concat();
    for (name, good) in [
        (b"\x01a\xc0\x0c".to_vec(), false),
        (b"\x01a\x40a\0".to_vec(), false),
        (fill(61), true),
        (fill(62), false),
        (b"\0".to_vec(), true),
    ] {
        let packet = [&header[..], &name, &[0, 1, 0, 1]].concat();
        assert_eq!(is_query(&packet), good, "{name:?}");
    }
}

#[test]
fn octets_that_look_like_the_separators_of_lookup_form_keep_their_meaning() {
    let header = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let wire = b"\x03a\x00b\x02\x01\x02\0";
    let packet = [&header[..], wire, &[0, 1, 0, 1]].concat();
    let mut buffer = NameBuffer::default();
    let Incoming::Query(request) = read(&packet, &mut buffer) else { panic!() };
    assert_eq!(request.name, Name::from_wire(wire).unwrap().as_ref());
    assert_eq!(request.name.to_wire(), wire);
}

#[test]
fn a_second_opt_record_one_with_an_owner_and_one_outside_additional_are_format_errors() {
    let plain = query("a.test.", 1).to_vec().unwrap();
    let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
    let owned = [&[1, b'x'][..], &opt].concat();
    let with = |counts: [u8; 6], tail: &[u8]| {
        let mut packet = [&plain[..], tail].concat();
        packet[6..12].copy_from_slice(&counts);
        packet
    };
    assert!(is_query(&with([0, 0, 0, 0, 0, 1], &opt)));
    for (counts, tail) in [
        ([0, 0, 0, 0, 0, 2], [opt, opt].concat()),
        ([0, 0, 0, 0, 0, 1], owned),
        ([0, 1, 0, 0, 0, 0], opt.to_vec()),
        ([0, 0, 0, 1, 0, 0], opt.to_vec()),
    ] {
        assert_eq!(verdict(&with(counts, &tail)), FORMAT_ERROR, "{counts:?}");
    }
}

#[test]
fn options_are_read_and_bad_ones_are_format_errors() {
    let with = |code: u16, value: &[u8]| {
        let mut message = query_edns("a.test.", 1, 1232, false);
        let edns = message.edns.as_mut().unwrap();
        edns.options_mut().insert(EdnsOption::Unknown(code, value.to_vec()));
        message.to_vec().unwrap()
    };
    let edns = |packet: &[u8]| {
        let mut buffer = NameBuffer::default();
        match read(packet, &mut buffer) {
            Incoming::Query(request) => {
                request.edns.map(|e| (e.cookie.map(<[u8]>::to_vec), e.keepalive, e.padded))
            }
            _ => None,
        }
    };
    assert_eq!(edns(&with(10, &[7; 8])), Some((Some(vec![7; 8]), false, false)));
    assert_eq!(edns(&with(10, &[7; 24])), Some((Some(vec![7; 24]), false, false)));
    assert_eq!(edns(&with(11, &[])), Some((None, true, false)));
    assert_eq!(edns(&with(12, &[0; 40])), Some((None, false, true)));
    assert_eq!(edns(&with(8, &[0, 1, 24, 0, 192, 0, 2])), Some((None, false, false)));
    for length in [0, 7, 9, 15, 41] {
        assert_eq!(edns(&with(10, &vec![7; length])), None, "cookie of {length}");
    }
    let mut cut = with(12, &[0; 4]);
    let length_at = cut.len() - 6;
    cut[length_at + 1] = 200;
    assert_eq!(edns(&cut), None);
}

#[test]
fn ten_thousand_changed_queries_and_runs_of_noise_never_panic() {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(53);
    let base = query_edns("www.some-name.example.", 1, 1232, true).to_vec().unwrap();
    let mut read_count = 0;
    for _ in 0..10_000 {
        let mut packet = base.clone();
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(0..packet.len());
            packet[at] = rng.random();
        }
        if rng.random_bool(0.3) {
            packet.truncate(rng.random_range(0..packet.len()));
        }
        read_count += usize::from(is_query(&packet));
        let mut noise = vec![0; rng.random_range(0..600)];
        rng.fill(&mut noise[..]);
        is_query(&noise);
    }
    assert!((500..9_500).contains(&read_count), "{read_count}");
}

proptest! {
    #[test]
    fn any_octets_are_fine(octets in proptest::collection::vec(any::<u8>(), 0..700)) {
        is_query(&octets);
    }

    #[test]
    fn names_read_as_the_model_reads_them(
        labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..12), 0..8),
        rtype: u16,
    ) {
        let mut wire = Vec::new();
        for label in &labels {
            wire.push(label.len() as u8);
            wire.extend(label);
        }
        wire.push(0);
        let header = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let packet = [&header[..], &wire, &rtype.to_be_bytes(), &[0, 1]].concat();
        let mut buffer = NameBuffer::default();
        let Incoming::Query(request) = read(&packet, &mut buffer) else { panic!() };
        let name = Name::from_wire(&wire).unwrap();
        prop_assert_eq!(request.name, name.as_ref());
        prop_assert_eq!(request.rtype, rtype);
    }
}
