//! Transfers from writer to reader.

use proptest::prelude::*;

use super::*;
use crate::model::{Action, Name, NamePattern, Network, RrSet, Rule, Trigger, TriggerKind};
use crate::zone::record::{ClashReason, Unusable, rdata};
use crate::zone::{Delta, Serial, Soa, Zone, ZoneBuilder};

fn name(text: &str) -> Name {
    Name::from_presentation(text).unwrap()
}

fn query(text: &str, action: Action) -> Rule {
    Rule { trigger: Trigger::QueryName(NamePattern::exact(name(text))), action, ttl: 60 }
}

fn zone(serial: u32, rules: impl IntoIterator<Item = Rule>) -> Zone {
    let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(serial)), 7);
    rules.into_iter().for_each(|rule| builder.insert(rule));
    builder.finish().0
}

fn many(serial: u32, count: u32) -> Zone {
    let rule = |at| query(&format!("host{at}.sub{}.test", at % 50), Action::NxDomain);
    zone(serial, (0..count).map(rule))
}

fn messages(mut writer: TransferWriter<'_>) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut message = Vec::new();
    while writer.next_message(&mut message) {
        out.push(message.clone());
    }
    out
}

fn full(zone: &Zone) -> TransferReader {
    TransferReader::full(zone.origin().to_owned(), 7, 7, TransferLimits::default())
}

fn changes(base: &Zone) -> TransferReader {
    TransferReader::changes(base.clone(), 7, 7, TransferLimits::default())
}

fn feed(mut reader: TransferReader, messages: &[Vec<u8>]) -> Result<Transferred, TransferError> {
    for (index, message) in messages.iter().enumerate() {
        let progress = reader.feed(message)?;
        let last = index + 1 == messages.len();
        assert!(progress == Progress::More || last, "done after message {index}");
    }
    reader.finish().map(|(transferred, _)| transferred)
}

fn zone_of(transferred: Transferred) -> Zone {
    match transferred {
        Transferred::Full(zone) | Transferred::Changed(zone) => zone,
        Transferred::Unchanged => panic!("unchanged"),
    }
}

fn assert_same(found: &Zone, expected: &Zone) {
    assert_eq!(found.soa(), expected.soa());
    assert!(found.same_rules(expected));
}

#[test]
fn a_whole_zone_arrives_whole_in_messages_of_bounded_size() {
    let zone = many(5, 5000);
    let reader = full(&zone);
    let writer = TransferWriter::full(reader.request(), &zone).with_size(4096, 100);
    let messages = messages(writer);
    assert!(messages.len() > 10);
    assert!(messages.iter().all(|message| message.len() <= 4096 - 100));
    let counts = |message: &[u8]| [message[4..6].to_vec(), message[6..8].to_vec()].concat();
    assert_eq!(counts(&messages[0])[..2], [0, 1], "the first message repeats the question");
    assert_eq!(counts(&messages[1])[..2], [0, 0]);
    let Transferred::Full(found) = feed(reader, &messages).unwrap() else { panic!("not full") };
    assert_same(&found, &zone);
}

#[test]
fn names_beyond_the_reach_of_pointers_arrive_too() {
    let zone = many(5, 5000);
    let reader = full(&zone);
    let messages = messages(TransferWriter::full(reader.request(), &zone).with_size(65_535, 0));
    assert!(messages[0].len() > 0x8000);
    assert_same(&zone_of(feed(reader, &messages).unwrap()), &zone);
}

#[test]
fn the_domain_crate_reads_every_message_and_name() {
    let zone = many(5, 3000);
    let reader = full(&zone);
    let mut found = Vec::new();
    for message in messages(TransferWriter::full(reader.request(), &zone)) {
        let message = domain::base::Message::from_octets(message).unwrap();
        for record in message.answer().unwrap() {
            let record = record.unwrap();
            found.push(format!("{} {}", record.owner(), record.rtype()));
        }
    }
    let mut expected = vec!["rpz.test SOA".to_owned(), "rpz.test NS".to_owned()];
    expected.extend(zone.rules().map(|rule| match rule.trigger {
        Trigger::QueryName(pattern) => format!("{pattern}.rpz.test CNAME"),
        _ => unreachable!("query names only"),
    }));
    expected.push("rpz.test SOA".to_owned());
    assert_eq!(found, expected);
}

#[test]
fn an_owner_points_to_the_labels_that_the_last_one_shares() {
    let octets = |names: &[&str]| {
        let zone = zone(5, names.iter().map(|text| query(text, Action::NxDomain)));
        let reader = full(&zone);
        messages(TransferWriter::full(reader.request(), &zone))[0].len()
    };
    // Type, class, TTL, length and the root as the target.
    let data = 2 + 2 + 4 + 2 + 1;
    let one = octets(&["a.test"]);
    assert_eq!(octets(&["a.test", "bc.test"]), one + 3 + 2 + data);
    assert_eq!(octets(&["a.test", "bc.a.test"]), one + 3 + 2 + data);
    assert_eq!(octets(&["a.test", "a.tests"]), one + 2 + 6 + 2 + data);
    assert_eq!(octets(&["a.test", "test"]), one + 2 + data);
}

#[test]
fn changes_arrive_as_changes() {
    let (a, b, c) = (many(1, 2000), many(2, 2005), many(4, 1990));
    let deltas = [Delta::between(&a, &b), Delta::between(&b, &c)];
    let reader = changes(&a);
    let messages = messages(TransferWriter::changes(reader.request(), &c, &deltas));
    assert_eq!(messages.len(), 1);
    let Transferred::Changed(found) = feed(reader, &messages).unwrap() else {
        panic!("not changed")
    };
    assert_same(&found, &c);
}

#[test]
fn who_asks_for_changes_may_get_the_whole_zone_or_hear_that_there_are_none() {
    let (old, new) = (many(1, 20), many(2, 30));
    let reader = changes(&old);
    let whole = messages(TransferWriter::full(reader.request(), &new));
    let Transferred::Full(found) = feed(reader, &whole).unwrap() else { panic!("not full") };
    assert_same(&found, &new);
    for asked in [&new, &many(3, 1)] {
        let reader = changes(asked);
        let nothing = messages(TransferWriter::soa(reader.request(), &new));
        assert_eq!(nothing.len(), 1);
        assert!(matches!(feed(reader, &nothing), Ok(Transferred::Unchanged)));
    }
    // A message with the SOA alone may also be the first of more.
    let reader = changes(&old);
    let writer = TransferWriter::full(reader.request(), &new).with_size(60, 0);
    let split = messages(writer);
    assert!(split.len() > 20);
    assert_same(&zone_of(feed(reader, &split).unwrap()), &new);
}

#[test]
fn changes_that_do_not_fit_are_refused_and_a_full_transfer_wanted() {
    let (a, b, c) = (many(1, 20), many(2, 21), many(3, 22));
    let (ab, bc) = (Delta::between(&a, &b), Delta::between(&b, &c));
    let refused = |base: &Zone, deltas: &[&Delta]| {
        let reader = changes(base);
        let writer = TransferWriter::changes(reader.request(), &c, deltas.iter().copied());
        let error = feed(reader, &messages(writer)).unwrap_err();
        assert!(error.wants_full());
        error
    };
    let start = TransferError::Start { asked: Serial(1), found: Serial(2) };
    assert_eq!(refused(&a, &[&bc]), start);
    let gap = TransferError::Gap { after: Serial(2), found: Serial(1) };
    assert_eq!(refused(&a, &[&ab, &ab]), gap);
    let back = Delta::between(&a, &many(0, 22));
    let gap = TransferError::Gap { after: Serial(1), found: Serial(0) };
    assert_eq!(refused(&a, &[&back]), gap);
    // The right serial, but a rule to remove that is not there.
    let other = zone(1, [query("x.test", Action::NxDomain)]);
    let removal = Delta::between(&a, &zone(3, []));
    let inexact = refused(&other, &[&removal]);
    assert!(matches!(inexact, TransferError::Inexact(Trigger::QueryName(_))), "{inexact:?}");
}

#[test]
fn a_transfer_must_come_whole_and_from_whom_it_was_asked() {
    let zone = many(5, 300);
    let sound = || {
        let reader = full(&zone);
        messages(TransferWriter::full(reader.request(), &zone).with_size(1000, 0))
    };
    let refused = |messages: &[Vec<u8>]| feed(full(&zone), messages).unwrap_err();
    let messages = sound();
    assert_eq!(refused(&messages[..messages.len() - 1]), TransferError::Incomplete);
    assert_eq!(refused(&messages[1..]), TransferError::Frame);
    let changed = |at: usize, octet: u8| {
        let mut message = messages[0].clone();
        message[at] = octet;
        full(&zone).feed(&message).unwrap_err()
    };
    assert_eq!(changed(1, 8), TransferError::OtherRequest);
    assert_eq!(changed(2, 0), TransferError::Malformed);
    assert_eq!(changed(2, 0x86), TransferError::Truncated);
    assert_eq!(changed(3, 5), TransferError::Refused(5));
    assert_eq!(changed(13, b'x'), TransferError::OtherRequest);
    assert_eq!(changed(7, 200), TransferError::Malformed);
    assert!(!TransferError::Refused(5).wants_full() && TransferError::Refused(4).wants_full());

    let mut reader = full(&zone);
    messages.iter().for_each(|message| assert!(reader.feed(message).is_ok()));
    assert_eq!(reader.feed(&messages[1]), Err(TransferError::Trailing));
}

#[test]
fn a_transfer_is_bounded() {
    let zone = many(5, 300);
    let limited = |records_max, octets_max| {
        let limits = TransferLimits { records_max, octets_max, rejects_kept_max: 1 };
        let reader = TransferReader::full(name("rpz.test"), 7, 7, limits);
        let messages = messages(TransferWriter::full(reader.request(), &zone));
        feed(reader, &messages).map(|_| ())
    };
    assert_eq!(limited(303, 99_999), Ok(()));
    assert_eq!(limited(302, 99_999), Err(TransferError::TooLarge));
    assert_eq!(limited(303, 999), Err(TransferError::TooLarge));
}

/// A message with one record for each of these, in the zone `rpz.test`.
fn message(records: &[(&str, u16, &[u8])]) -> Vec<u8> {
    let mut out = vec![0, 7, 0x84, 0, 0, 0, 0, records.len() as u8, 0, 0, 0, 0];
    for (owner, rtype, data) in records {
        name(owner).as_ref().write_wire(&mut out);
        out.extend(rtype.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend_from_slice(data);
    }
    out
}

#[test]
fn records_that_are_no_rules_are_left_out_and_reported() {
    let soa = Soa::ours(Serial(5)).to_wire();
    let drop = name("rpz-drop").as_ref().to_wire();
    let mut reader = full(&zone(1, []));
    let progress = reader.feed(&message(&[
        ("rpz.test", rdata::SOA, &soa),
        ("rpz.test", rdata::NS, b"\0"),
        ("a.rpz.test", rdata::CNAME, &drop),
        ("a.rpz.test", rdata::A, &[192, 0, 2, 1]),
        ("x.test", rdata::CNAME, b"\0"),
        ("b.rpz.test", rdata::A, &[192, 0, 2]),
        ("c.rpz.test", 43, b"\0\0\0\0\0"),
        ("rpz.test", rdata::SOA, &soa),
    ]));
    assert_eq!(progress, Ok(Progress::Done));
    let (transferred, report) = reader.finish().unwrap();
    let rules: Vec<Rule> = zone_of(transferred).rules().collect();
    assert_eq!(rules, [query("a", Action::Drop)]);
    let found: Vec<_> =
        report.rejects.iter().map(|r| (r.owner.to_string(), r.problem.clone())).collect();
    let unusable = |problem: Unusable| TransferProblem::Unusable(problem);
    assert_eq!(
        found,
        [
            ("x.test".into(), unusable(Unusable::OutOfZone)),
            ("b.rpz.test".into(), unusable(Unusable::Malformed(rdata::A))),
            ("c.rpz.test".into(), unusable(Unusable::Type(43))),
            ("a.rpz.test".into(), TransferProblem::Clash(ClashReason::CnameAndData)),
        ]
    );
    assert_eq!((report.records, report.rejected, report.clashes), (8, 4, 1));
}

#[test]
fn a_record_of_local_data_can_change_alone() {
    let address = |last| [192, 0, 2, last];
    let data = |addresses: &[u8]| {
        let rdata = addresses.iter().map(|last| address(*last).into()).collect();
        Action::Data([RrSet { rtype: rdata::A, ttl: 60, rdata }].into())
    };
    let base = zone(1, [Rule { ttl: 60, ..query("a", data(&[1, 2])) }]);
    let old = base.soa().to_wire();
    let new = Soa::ours(Serial(2)).to_wire();
    let mut reader = changes(&base);
    let progress = reader.feed(&message(&[
        ("rpz.test", rdata::SOA, &new),
        ("rpz.test", rdata::SOA, &old),
        ("a.rpz.test", rdata::A, &address(1)),
        ("rpz.test", rdata::SOA, &new),
        ("a.rpz.test", rdata::A, &address(3)),
        ("rpz.test", rdata::SOA, &new),
    ]));
    assert_eq!(progress, Ok(Progress::Done));
    let found = zone_of(reader.finish().unwrap().0);
    assert_same(&found, &zone(2, [query("a", data(&[2, 3]))]));
}

#[test]
fn an_empty_zone_is_two_soa_records_unless_its_serial_is_the_old_one() {
    let soa = |serial| Soa::ours(Serial(serial)).to_wire();
    let two = |serial| {
        let soa = soa(serial);
        vec![message(&[("rpz.test", rdata::SOA, &soa), ("rpz.test", rdata::SOA, &soa)])]
    };
    let base = many(5, 3);
    assert!(matches!(feed(changes(&base), &two(5)), Ok(Transferred::Unchanged)));
    assert!(zone_of(feed(changes(&base), &two(6)).unwrap()).is_empty());
    assert!(zone_of(feed(full(&base), &two(5)).unwrap()).is_empty());
}

fn any_rules() -> impl Strategy<Value = Vec<Rule>> {
    let rule = (0usize..5, 0u8..8, any::<bool>(), 0u8..4, 0u32..2).prop_map(
        |(kind, label, wildcard, action, ttl)| {
            let pattern = NamePattern { name: name(&format!("n{label}.test")), wildcard };
            let network = Network::parse_strict(&format!("192.0.2.{label}")).unwrap();
            let trigger = match TriggerKind::ALL[kind] {
                TriggerKind::QueryName => Trigger::QueryName(pattern),
                TriggerKind::NameserverName => Trigger::NameserverName(pattern),
                TriggerKind::ClientAddress => Trigger::ClientAddress(network),
                TriggerKind::AnswerAddress => Trigger::AnswerAddress(network),
                TriggerKind::NameserverAddress => Trigger::NameserverAddress(network),
            };
            let set = RrSet {
                rtype: rdata::A,
                ttl,
                rdata: (0..=ttl as u8).map(|a| [a; 4].into()).collect(),
            };
            let garden = Action::RedirectBelow(name("garden.test"));
            let data = Action::Data([set].into());
            let action = [Action::NxDomain, Action::NoData, garden, data][action as usize].clone();
            Rule { trigger, action, ttl }
        },
    );
    proptest::collection::vec(rule, 0..40)
}

proptest! {
    #[test]
    fn any_versions_transfer_in_messages_of_any_size(
        a in any_rules(),
        b in any_rules(),
        c in any_rules(),
        size in 60usize..800,
    ) {
        let (a, b, c) = (zone(1, a), zone(2, b), zone(3, c));
        let reader = changes(&a);
        let deltas = [Delta::between(&a, &b), Delta::between(&b, &c)];
        let writer = TransferWriter::changes(reader.request(), &c, &deltas).with_size(size, 0);
        let found = zone_of(feed(reader, &messages(writer)).unwrap());
        prop_assert_eq!(found.soa(), c.soa());
        prop_assert!(found.same_rules(&c));
        let reader = full(&c);
        let writer = TransferWriter::full(reader.request(), &c).with_size(size, 0);
        let found = zone_of(feed(reader, &messages(writer)).unwrap());
        prop_assert!(found.same_rules(&c));
    }

    #[test]
    fn any_octets_are_a_transfer_or_an_error(
        at in 0usize..500,
        octets in proptest::collection::vec(any::<u8>(), 1..30),
    ) {
        let zone = many(5, 10);
        let reader = full(&zone);
        let mut message = messages(TransferWriter::full(reader.request(), &zone)).remove(0);
        let at = at % message.len();
        let end = (at + octets.len()).min(message.len());
        message.splice(at..end, octets.iter().copied());
        let _ = feed(reader, &[message.clone()]);
        message[0..2].copy_from_slice(&[0, 7]);
        let _ = feed(changes(&many(4, 3)), &[message, octets]);
    }
}
