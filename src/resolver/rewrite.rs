//! Puts answers together where policy rewrites a part of the chain: what led to the rewritten
//! name, then the policy's records, then what an alias leads to.
//!
//! Signatures are left out, since no rewritten answer can be validated.

use super::message::rtype;
use super::special::SpecialAnswer;
use crate::model::{Name, NameRef, RrSet};
use crate::ports::{Record, Resolution, Ttl};

/// DNAME (RFC 6672).
const DNAME: u16 = 39;
/// RRSIG, NSEC and NSEC3 (RFC 4034, RFC 5155).
const DNSSEC_TYPES: [u16; 3] = [46, 47, 50];

/// The records that lead from the query name to a later name of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// CNAME records, and the DNAME records they come from.
    pub records: Vec<Record>,
    /// Whether they end at that name. They do not where another kind of record leads there (SVCB
    /// and HTTPS in alias mode), and then nothing can stand at that name in this reply.
    pub complete: bool,
}

/// What leads to `name` in the answer to a question about `question`.
pub fn lead(resolution: &Resolution, ttl: Ttl, question: NameRef<'_>, name: NameRef<'_>) -> Lead {
    let wanted = name.to_wire();
    let mut end = question.to_wire();
    let mut records = Vec::new();
    for record in resolution.sections.answers() {
        if end.eq_ignore_ascii_case(&wanted) {
            break;
        }
        match record.rtype {
            rtype::CNAME if record.owner.eq_ignore_ascii_case(&end) => {
                end = record.rdata.to_vec();
                records.push(aged(record, ttl));
            }
            DNAME => records.push(aged(record, ttl)),
            _ => {}
        }
    }
    Lead { records, complete: end.eq_ignore_ascii_case(&wanted) }
}

/// An alias.
pub fn alias(owner: NameRef<'_>, target: NameRef<'_>, ttl: u32) -> Record {
    Record {
        owner: owner.to_wire().into(),
        rtype: rtype::CNAME,
        ttl,
        rdata: target.to_wire().into(),
    }
}

/// The target of the alias among local data, if a question of this type is to follow it.
pub fn alias_among(sets: &[RrSet], wanted: u16) -> Option<(Name, u32)> {
    let follow = wanted != rtype::CNAME && wanted != rtype::ANY;
    if !follow || sets.iter().any(|set| set.rtype == wanted) {
        return None;
    }
    let set = sets.iter().find(|set| set.rtype == rtype::CNAME)?;
    Name::from_wire(set.rdata.first()?).ok().map(|target| (target, set.ttl))
}

/// Local data of the type asked for, or all of it for ANY.
pub fn data<'s>(
    owner: NameRef<'_>,
    sets: &'s [RrSet],
    wanted: u16,
    ttl_max: u32,
) -> impl Iterator<Item = Record> + 's {
    let owner: Box<[u8]> = owner.to_wire().into();
    sets.iter().filter(move |set| wanted == rtype::ANY || set.rtype == wanted).flat_map(
        move |set| {
            let owner = owner.clone();
            set.rdata.iter().map(move |rdata| Record {
                owner: owner.clone(),
                rtype: set.rtype,
                ttl: set.ttl.min(ttl_max),
                rdata: rdata.clone(),
            })
        },
    )
}

/// The answer and authority records of a resolution.
pub fn resolved(resolution: &Resolution, ttl: Ttl) -> (Vec<Record>, Vec<Record>) {
    let plain = |records: Vec<Record>| {
        records
            .into_iter()
            .filter(|record| !is_dnssec(record.rtype))
            .map(|record| aged(record, ttl))
            .collect()
    };
    (plain(resolution.sections.answers()), plain(resolution.sections.authorities()))
}

/// Whether records of this type are there for validation alone.
pub fn is_dnssec(rtype: u16) -> bool {
    DNSSEC_TYPES.contains(&rtype)
}

/// The answer and authority records of a locally served name.
pub fn special(
    answer: &SpecialAnswer<'_>,
    owner: NameRef<'_>,
    wanted: u16,
) -> (Vec<Record>, Vec<Record>) {
    let answers: Vec<Record> = data(owner, answer.sets, wanted, u32::MAX).collect();
    let soa = data(answer.zone, answer.apex, rtype::SOA, u32::MAX).collect();
    let authorities = if answers.is_empty() { soa } else { Vec::new() };
    (answers, authorities)
}

fn aged(record: Record, ttl: Ttl) -> Record {
    let ttl = match ttl {
        Ttl::Aged(seconds) => record.ttl.saturating_sub(seconds),
        Ttl::Fixed(seconds) => seconds,
    };
    Record { ttl, ..record }
}
