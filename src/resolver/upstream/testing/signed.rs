//! A signed zone: one key, NSEC, signatures that hold from 2020 to 2050.

use hickory_proto::dnssec::crypto::Ed25519SigningKey;
use hickory_proto::dnssec::rdata::sig::SigInput;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_proto::dnssec::{PublicKey, SigningKey, TBS};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, SerialNumber};

use super::{answer_from_zone, convert, records};

const YEAR_2020: u32 = 1_577_836_800;
const YEAR_2050: u32 = 2_524_608_000;

pub(in super::super) struct SignedZone {
    origin: Name,
    records: Vec<Record>,
    key: Ed25519SigningKey,
    dnskey: DNSKEY,
}

impl SignedZone {
    pub fn new(origin: &str, lines: &str) -> Self {
        let key = Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8().unwrap());
        let key = key.unwrap();
        let dnskey = DNSKEY::from_key(&key.to_public_key().unwrap());
        let origin = Name::from_ascii(origin).unwrap();
        let mut records = records(lines);
        let rdata = RData::DNSSEC(DNSSECRData::DNSKEY(dnskey.clone()));
        records.push(Record::from_rdata(origin.clone(), 300, rdata));
        Self { origin, records, key, dnskey }
    }

    /// The key as a trust anchor.
    pub fn anchor(&self) -> String {
        let octets = self.dnskey.public_key().public_bytes();
        let key = data_encoding::BASE64.encode(octets);
        format!("{} 300 IN DNSKEY 257 3 15 {key}\n", self.origin)
    }

    pub fn answer(&self, query: &Message) -> Option<Message> {
        let mut answer = answer_from_zone(&self.origin, &self.records, query);
        let is_referral = !answer.authoritative && answer.response_code == ResponseCode::NoError;
        let is_negative = answer.authorities.iter().any(|r| r.record_type() == RecordType::SOA);
        if is_referral || is_negative {
            let asked = match is_referral {
                true => answer.authorities[0].name.clone(),
                false => query.queries[0].name().clone(),
            };
            let mut proofs = vec![self.nsec(&asked)];
            if answer.response_code == ResponseCode::NXDomain {
                proofs.push(
                    self.nsec(
                        &Name::from_ascii("*.").unwrap().append_domain(&self.origin).unwrap(),
                    ),
                );
            }
            proofs.dedup();
            answer.authorities.extend(proofs);
        }
        answer.answers = self.signed(std::mem::take(&mut answer.answers));
        answer.authorities = self.signed(std::mem::take(&mut answer.authorities));
        Some(answer)
    }

    /// The NSEC at `name`, or the one that covers it.
    fn nsec(&self, name: &Name) -> Record {
        let mut owners: Vec<&Name> = self.records.iter().map(|r| &r.name).collect();
        owners.sort_by_key(|owner| convert::name(owner));
        owners.dedup();
        let after = owners.partition_point(|o| convert::name(o) <= convert::name(name));
        let owner = owners[(after + owners.len() - 1) % owners.len()];
        let types = self.records.iter().filter(|r| r.name == *owner).map(Record::record_type);
        let next = owners[after % owners.len()].clone();
        let nsec = NSEC::new_cover_self(next, types);
        Record::from_rdata(owner.clone(), 300, RData::DNSSEC(DNSSECRData::NSEC(nsec)))
    }

    /// The records with a signature after each set, but for delegations and glue.
    fn signed(&self, records: Vec<Record>) -> Vec<Record> {
        let mut signed = Vec::new();
        for set in records.chunk_by(|a, b| a.name == b.name && a.record_type() == b.record_type()) {
            signed.extend_from_slice(set);
            let is_delegation =
                set[0].record_type() == RecordType::NS && set[0].name != self.origin;
            if !is_delegation {
                signed.push(self.signature(set));
            }
        }
        signed
    }

    fn signature(&self, set: &[Record]) -> Record {
        let first = &set[0];
        let input = SigInput {
            type_covered: first.record_type(),
            algorithm: self.key.algorithm(),
            num_labels: first.name.num_labels(),
            original_ttl: first.ttl,
            sig_expiration: SerialNumber::new(YEAR_2050),
            sig_inception: SerialNumber::new(YEAR_2020),
            key_tag: self.dnskey.calculate_key_tag().unwrap(),
            signer_name: self.origin.clone(),
        };
        let signed = TBS::from_input(&first.name, DNSClass::IN, &input, set.iter()).unwrap();
        let rrsig = RRSIG::from_sig(input, self.key.sign(&signed).unwrap());
        let rdata = RData::DNSSEC(DNSSECRData::RRSIG(rrsig));
        Record::from_rdata(first.name.clone(), first.ttl, rdata)
    }
}
