//! What hickory's validator judges wrongly, judged again from the signatures that it found to hold.
//!
//! - It has no place for a CNAME that a server made from a signed DNAME, which has no signature of
//!   its own (RFC 6672 section 5.3.1).
//! - It wants the wildcard itself to be covered by an NSEC even where the NSEC that covers the query
//!   name stands at the wildcard (RFC 4035 section 5.3.4 asks for the query name alone).
//! - It does not look at Opt-Out, with which a name may exist unsigned (RFC 5155 section 9.2).

use hickory_proto::dnssec::Proof;
use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC, NSEC3, RRSIG};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinDecodable as _;

/// The proofs of aliases that were made from a DNAME: those of the DNAME.
pub(super) fn synthesized(message: &mut Message) {
    let dnames: Vec<Record> =
        message.answers.iter().filter(|r| r.record_type() == RecordType::DNAME).cloned().collect();
    let signed: Vec<Name> = message
        .answers
        .iter()
        .filter(|r| signature(r).is_some_and(|s| s.input().type_covered == RecordType::CNAME))
        .map(|r| r.name.clone())
        .collect();
    for record in &mut message.answers {
        let RData::CNAME(target) = &record.data else { continue };
        let made = dnames
            .iter()
            .find(|dname| substituted(&record.name, dname).is_some_and(|name| name == target.0));
        if let Some(dname) = made.filter(|_| !signed.contains(&record.name)) {
            record.proof = dname.proof;
        }
    }
}

/// The name that a DNAME makes of `name`, which lies below its owner.
fn substituted(name: &Name, dname: &Record) -> Option<Name> {
    // hickory has no form of its own for DNAME: its data are the target in wire form.
    let RData::Unknown { rdata, .. } = &dname.data else { return None };
    let target = Name::from_bytes(&rdata.anything).ok()?;
    if dname.name == *name || !dname.name.zone_of(name) {
        return None;
    }
    let kept = name.iter().count() - dname.name.iter().count();
    Name::from_labels(name.iter().take(kept)).ok()?.append_domain(&target).ok()
}

/// Whether `message` answers `name` from a wildcard, and proves that nothing closer exists.
pub(super) fn is_proven_expansion(name: &Name, message: &Message) -> bool {
    let data = || message.answers.iter().filter(|r| r.record_type() != RecordType::RRSIG);
    if data().next().is_none() || !data().all(|record| record.proof == Proof::Secure) {
        return false;
    }
    // Every signature that came from a wildcard needs its own proof, and one name is asked for.
    message.answers.iter().filter_map(|r| Some((r, signature(r)?))).all(|(record, signature)| {
        let labels = signature.input().num_labels;
        if labels >= record.name.num_labels() {
            return true;
        }
        // One label more than the wildcard's parent: the next closer name of RFC 5155.
        let closer = record.name.trim_to(usize::from(labels) + 1);
        record.name == *name
            && secure_nsecs(message).any(|(owner, nsec)| denies(owner, nsec, &closer))
    })
}

/// Whether the NSEC says that neither `name` nor anything below it exists.
fn denies(owner: &Name, nsec: &NSEC, name: &Name) -> bool {
    let next = nsec.next_domain_name();
    let wraps = next <= owner;
    let covers = owner < name && (wraps || name < next);
    covers && !name.zone_of(next) && !(nsec.is_ancestor_delegation() && owner.zone_of(name))
}

fn secure_nsecs(message: &Message) -> impl Iterator<Item = (&Name, &NSEC)> {
    message.authorities.iter().filter(|r| r.proof == Proof::Secure).filter_map(|r| match &r.data {
        RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some((&r.name, nsec)),
        _ => None,
    })
}

/// Whether what is said of `name` rests on a span that unsigned names may lie in.
pub(super) fn rests_on_opt_out(name: &Name, message: &Message) -> bool {
    let hashed: Vec<(&Name, &NSEC3)> = message
        .authorities
        .iter()
        .filter_map(|r| match &r.data {
            RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) => Some((&r.name, nsec3)),
            _ => None,
        })
        .collect();
    hashed.iter().any(|(_, nsec3)| nsec3.opt_out())
        && !hashed.iter().any(|(owner, nsec3)| is_hash_of(owner, nsec3, name))
}

fn is_hash_of(owner: &Name, nsec3: &NSEC3, name: &Name) -> bool {
    let hash = nsec3.hash_algorithm().hash(nsec3.salt(), name, nsec3.iterations());
    let Ok(hash) = hash else { return false };
    let label = data_encoding::BASE32_DNSSEC.encode(hash.as_ref());
    owner.iter().next().is_some_and(|first| first.eq_ignore_ascii_case(label.as_bytes()))
}

fn signature(record: &Record) -> Option<&RRSIG> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some(signature),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::serialize::binary::BinEncodable as _;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn nsec(next: &str, types: &[RecordType]) -> NSEC {
        NSEC::new(name(next), types.iter().copied())
    }

    #[test]
    fn an_nsec_denies_what_lies_between_its_names() {
        use RecordType::{A, NS, SOA};
        let at = |owner: &str, next: &str, types: &[RecordType], asked: &str| {
            denies(&name(owner), &nsec(next, types), &name(asked))
        };
        assert!(at("*.wild.test.", "www.test.", &[A], "x.wild.test."));
        assert!(at("www.test.", "test.", &[A], "x.test."), "the last one leads back to the first");
        assert!(!at("www.test.", "test.", &[A], "a.test."));
        assert!(!at("x.wild.test.", "www.test.", &[A], "x.wild.test."), "it exists");
        assert!(!at("a.test.", "y.x.wild.test.", &[A], "x.wild.test."), "something is below it");
        assert!(!at("sub.test.", "www.test.", &[NS], "x.sub.test."), "the parent cannot say");
        assert!(at("sub.test.", "www.test.", &[NS, SOA], "x.sub.test."));
    }

    #[test]
    fn a_dname_makes_one_alias_of_a_name_below_it() {
        let target = hickory_proto::rr::rdata::NULL::with(name("to.example.").to_bytes().unwrap());
        let data = RData::Unknown { code: RecordType::DNAME, rdata: target };
        let dname = Record::from_rdata(name("from.test."), 60, data);
        assert_eq!(substituted(&name("a.b.from.test."), &dname), Some(name("a.b.to.example.")));
        for other in ["from.test.", "test.", "a.other.test."] {
            assert_eq!(substituted(&name(other), &dname), None, "{other}");
        }
        let alias = |owner: &str, to: &str| {
            let target = hickory_proto::rr::rdata::CNAME(name(to));
            Record::from_rdata(name(owner), 60, RData::CNAME(target))
        };
        let mut message = Message::query();
        let mut secure = dname.clone();
        secure.proof = Proof::Secure;
        let mut bogus =
            [alias("a.from.test.", "a.to.example."), alias("b.from.test.", "c.to.example.")];
        bogus.iter_mut().for_each(|record| record.proof = Proof::Bogus);
        message.answers = [vec![secure], bogus.to_vec()].concat();
        synthesized(&mut message);
        let proofs: Vec<Proof> = message.answers.iter().map(|record| record.proof).collect();
        assert_eq!(proofs, [Proof::Secure, Proof::Secure, Proof::Bogus]);
    }
}
