//! Between hickory's messages and ours.
//!
//! What comes from the network is turned into [`Item`]s once, here; everything after speaks the
//! program's own names and records.

use std::net::IpAddr;

use hickory_proto::dnssec::Proof;
use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::rdata::svcb::{SVCB, SvcParamValue};
use hickory_proto::rr::{self, DNSClass, RData};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable, BinEncoder, NameEncoding};

use crate::model::{Name, NameRef};
use crate::ports::{ExtendedError, Record, Security};

/// INFO-CODE takes the first two octets of the option (RFC 8914 section 2).
const EXTENDED_ERROR_OPTION: u16 = 15;
/// More extended errors than this from one server are dropped.
const EXTENDED_ERRORS_MAX: usize = 4;
/// A larger time to live means 0 (RFC 2181 section 8).
const TTL_MAX: u32 = i32::MAX as u32;

/// A record with what later steps ask about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub owner: Name,
    pub record: Record,
    pub security: Security,
    pub meaning: Meaning,
}

/// What a record says, as far as resolution and policy care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME with its target.
    Alias(Name),
    /// NS with its target.
    Nameserver(Name),
    /// SOA with its MINIMUM field.
    Authority { minimum: u32 },
    /// RRSIG with the type it covers.
    Signature { covers: u16 },
    /// SVCB or HTTPS: hints, and the target where it is an alias.
    Service { hints: Vec<IpAddr>, alias: Option<Name> },
    /// Anything else.
    Other,
}

/// What one exchange, or one walk, with the upstream gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    pub rcode: u16,
    pub answers: Vec<Item>,
    pub authorities: Vec<Item>,
    pub extended: Vec<ExtendedError>,
    /// Where the whole has a state of its own, beside that of the records.
    pub security: Option<Security>,
}

/// A name in lookup form.
pub(super) fn name(from: &rr::Name) -> Name {
    let mut wire = Vec::with_capacity(from.len() + 1);
    for label in from.iter() {
        wire.push(u8::try_from(label.len()).expect("labels have at most 63 octets"));
        wire.extend_from_slice(label);
    }
    wire.push(0);
    Name::from_wire(&wire).expect("hickory's names keep the limits of RFC 1035")
}

/// A name in hickory's form, lower case.
pub(super) fn hickory_name(from: NameRef<'_>) -> rr::Name {
    rr::Name::from_bytes(&from.to_wire()).expect("a name has a wire form")
}

/// A record, unless it is not of class IN, is a pseudo record, or cannot be written.
pub(super) fn item(from: &rr::Record) -> Option<Item> {
    if from.dns_class != DNSClass::IN || matches!(from.data, RData::OPT(_) | RData::TSIG(_)) {
        return None;
    }
    let record = Record {
        owner: wire(&from.name)?,
        rtype: from.record_type().into(),
        ttl: if from.ttl > TTL_MAX { 0 } else { from.ttl },
        rdata: wire(&from.data)?,
    };
    let security = security(from.proof);
    Some(Item { owner: name(&from.name), record, security, meaning: meaning(&from.data) })
}

/// Uncompressed, case kept.
fn wire(from: &impl BinEncodable) -> Option<Box<[u8]>> {
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    from.emit(&mut encoder).ok()?;
    Some(octets.into())
}

fn security(proof: Proof) -> Security {
    match proof {
        Proof::Secure => Security::Secure,
        Proof::Insecure => Security::Insecure,
        Proof::Bogus => Security::Bogus,
        Proof::Indeterminate => Security::Indeterminate,
    }
}

fn meaning(data: &RData) -> Meaning {
    match data {
        RData::A(address) => Meaning::Address(address.0.into()),
        RData::AAAA(address) => Meaning::Address(address.0.into()),
        RData::CNAME(target) => Meaning::Alias(name(target)),
        RData::NS(target) => Meaning::Nameserver(name(target)),
        RData::SOA(soa) => Meaning::Authority { minimum: soa.minimum },
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => {
            Meaning::Signature { covers: signature.input().type_covered.into() }
        }
        RData::SVCB(service) => service_meaning(service),
        RData::HTTPS(service) => service_meaning(service),
        _ => Meaning::Other,
    }
}

/// RFC 9460: priority 0 is alias mode (section 2.4.2); hints are addresses (section 7.3).
fn service_meaning(service: &SVCB) -> Meaning {
    let is_alias = service.svc_priority == 0 && !service.target_name.is_root();
    let mut hints = Vec::new();
    for (_, value) in &service.svc_params {
        match value {
            SvcParamValue::Ipv4Hint(of) => hints.extend(of.0.iter().map(|a| IpAddr::from(a.0))),
            SvcParamValue::Ipv6Hint(of) => hints.extend(of.0.iter().map(|a| IpAddr::from(a.0))),
            _ => {}
        }
    }
    Meaning::Service { hints, alias: is_alias.then(|| name(&service.target_name)) }
}

/// A whole response.
pub(super) fn outcome(from: &Message) -> Outcome {
    Outcome {
        rcode: from.metadata.response_code.into(),
        answers: from.answers.iter().filter_map(item).collect(),
        authorities: from.authorities.iter().filter_map(item).collect(),
        extended: extended_errors(from),
        security: None,
    }
}

fn extended_errors(from: &Message) -> Vec<ExtendedError> {
    let options = from.edns.iter().flat_map(|edns| &edns.options().options);
    options
        .filter_map(|(code, option)| match (code, option) {
            (EdnsCode::Unknown(EXTENDED_ERROR_OPTION), EdnsOption::Unknown(_, octets)) => {
                let (code, text) = octets.split_first_chunk::<2>()?;
                let text = String::from_utf8_lossy(text.strip_suffix(&[0]).unwrap_or(text));
                Some(ExtendedError::new(u16::from_be_bytes(*code), text))
            }
            _ => None,
        })
        .take(EXTENDED_ERRORS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::{Edns, OpCode};
    use hickory_proto::serialize::txt::Parser;

    fn items(zone: &str) -> Vec<Item> {
        let origin = rr::Name::from_ascii("test.").unwrap();
        let (_, sets) = Parser::new(zone, None, Some(origin)).parse().unwrap();
        sets.values().flat_map(|set| set.records_without_rrsigs()).filter_map(item).collect()
    }

    fn parsed(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    #[test]
    fn names_go_there_and_back() {
        for text in [".", "example.com", r"a\.b.c", r"\000x.y"] {
            assert_eq!(name(&hickory_name(parsed(text).as_ref())), parsed(text), "{text}");
        }
    }

    #[test]
    fn records_mean_what_they_say() {
        let of = |line: &str| items(&format!("{line}\n")).remove(0).meaning;
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(of("a.test. 5 IN A 192.0.2.1"), Meaning::Address(address("192.0.2.1")));
        assert_eq!(of("a.test. 5 IN CNAME B.test."), Meaning::Alias(parsed("b.test")));
        assert_eq!(
            of("a.test. 5 IN HTTPS 0 b.test."),
            Meaning::Service { hints: vec![], alias: Some(parsed("b.test")) }
        );
        assert_eq!(
            of("a.test. 5 IN HTTPS 1 . ipv4hint=192.0.2.7 ipv6hint=2001:db8::7"),
            Meaning::Service {
                hints: vec![address("192.0.2.7"), address("2001:db8::7")],
                alias: None
            }
        );
    }

    #[test]
    fn wire_forms_are_uncompressed_and_keep_their_case() {
        let target = rr::Name::from_ascii("Www.Test.").unwrap();
        let alias = RData::CNAME(rr::rdata::CNAME(target));
        let item =
            item(&rr::Record::from_rdata(rr::Name::from_ascii("A.test.").unwrap(), 5, alias))
                .unwrap();
        assert_eq!(
            (&*item.record.owner, &*item.record.rdata),
            (&b"\x01A\x04test\0"[..], &b"\x03Www\x04Test\0"[..])
        );
        assert_eq!(item.owner, parsed("a.test"));
    }

    #[test]
    fn an_absurd_time_to_live_is_none() {
        let rdata = RData::A(rr::rdata::A::new(192, 0, 2, 1));
        let record = rr::Record::from_rdata(rr::Name::root(), 1 << 31, rdata);
        assert_eq!(item(&record).unwrap().record.ttl, 0);
    }

    #[test]
    fn extended_errors_are_read_and_bounded() {
        let mut message = Message::response(1, OpCode::Query);
        let edns = message.edns.get_or_insert_with(Edns::new);
        for _ in 0..9 {
            let long = [&[0, 22][..], &[b'x'; 900], &[0]].concat();
            let option = EdnsOption::Unknown(EXTENDED_ERROR_OPTION, long);
            edns.options_mut().options.push((EdnsCode::Unknown(EXTENDED_ERROR_OPTION), option));
        }
        let errors = outcome(&message).extended;
        assert_eq!(errors.len(), EXTENDED_ERRORS_MAX);
        assert_eq!(errors[0], ExtendedError { code: 22, text: "x".repeat(200) });
    }
}
