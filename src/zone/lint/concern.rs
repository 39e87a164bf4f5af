//! What a finding means to whom.
//!
//! The facts were measured (see [`profile`](crate::zone::profile)) or read in the consumers'
//! documentation, source and issue threads, which are named where one says it best.

use super::Code;
use crate::zone::profile::{Family, Profile};

/// How grave a finding is to a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Worth knowing.
    Note,
    /// It says something other than what is meant.
    Warning,
    /// The consumer refuses the zone, or stops to work.
    Error,
}

/// What a finding means to one consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Concern {
    /// The profile's name.
    pub profile: &'static str,
    /// How grave it is.
    pub weight: Weight,
    /// What it does.
    pub effect: &'static str,
}

use Code::*;
use Family::{Bind, Generic, Knot, PdnsRecursor, Unbound};
use Weight::{Error, Note, Warning};

/// What each family makes of each sort of finding. For [`Generic`] the gravest of all families
/// holds where it has no line of its own.
const EFFECTS: [(Code, Family, Weight, &str); 68] = [
    (Syntax, Bind, Error, "refuses the whole zone"),
    (Syntax, Unbound, Error, "refuses the whole zone"),
    (Syntax, PdnsRecursor, Error, "does not load the zone, or does not start"),
    (NoSoa, Bind, Error, "refuses the whole zone"),
    (NoSoa, Unbound, Error, "does not load the zone"),
    (NoSoa, PdnsRecursor, Error, "does not load the zone"),
    (NoNs, Bind, Error, "refuses the file and every transfer of it"),
    (NoNs, Unbound, Note, "does not mind"),
    (NsInZone, Bind, Error, "refuses the zone where the server has no address in it"),
    (ApexRecord, Bind, Note, "passes over it"),
    (
        ApexRecord,
        Unbound,
        Error,
        "takes it for a rule about the root before 1.26: its DNSKEY cannot be fetched and all \
         DNSSEC resolution fails (its issues 1404 and 1439)",
    ),
    (ApexRecord, PdnsRecursor, Warning, "takes it for a rule about the root before 5.4"),
    (OutOfZone, Bind, Warning, "drops the record"),
    (
        OutOfZone,
        Unbound,
        Error,
        "does not start, or tries the transfer for ever, before 1.26 (its issue 754)",
    ),
    (OwnerTooLong, Bind, Error, "refuses the whole zone"),
    (OwnerTooLong, Unbound, Error, "refuses the whole zone, its name counted (its issue 285)"),
    (Conflict, Bind, Error, "refuses the whole zone"),
    (Conflict, Unbound, Warning, "keeps the first and passes over the other"),
    (Conflict, PdnsRecursor, Error, "does not load the zone unless `ignoreDuplicates` is set"),
    (Duplicate, Bind, Note, "takes it once"),
    (
        Duplicate,
        PdnsRecursor,
        Error,
        "does not load the zone unless `ignoreDuplicates` is set (5.0; its issue 7452)",
    ),
    (TooManyRecords, Bind, Error, "refuses the whole zone since 9.18.28"),
    (AddressMalformed, Bind, Warning, "passes over the rule, and logs it"),
    (AddressMalformed, Unbound, Warning, "passes over the rule"),
    (AddressMalformed, PdnsRecursor, Error, "does not start"),
    (AddressHostBits, Bind, Warning, "passes over the rule, and logs it"),
    (AddressHostBits, Unbound, Error, "reads a wider block: others' addresses are blocked"),
    (AddressHostBits, PdnsRecursor, Error, "reads a wider block, or does not start"),
    (AddressForm, Bind, Warning, "passes over the rule; an error since 9.21.25"),
    (AddressForm, Unbound, Warning, "takes `ZZ` for no address"),
    (AddressForm, PdnsRecursor, Note, "takes it"),
    (RecordType, Bind, Warning, "answers NODATA for such an owner"),
    (RecordType, Unbound, Note, "passes over it"),
    (RecordType, PdnsRecursor, Warning, "answers NODATA for such an owner"),
    (UnknownAction, Bind, Warning, "takes it for an alias"),
    (UnknownAction, Unbound, Note, "passes over the rule"),
    (UnknownAction, PdnsRecursor, Note, "passes over the rule"),
    (UnknownAction, Knot, Note, "passes over the rule"),
    (OldPassthru, Bind, Note, "lets the name through"),
    (OldPassthru, Unbound, Warning, "answers with the alias as it is written"),
    (OldPassthru, PdnsRecursor, Warning, "answers SERVFAIL"),
    (OldPassthru, Knot, Warning, "blocks the name"),
    (Trigger, PdnsRecursor, Warning, "keeps the answer for everybody before 5.5 (packet cache)"),
    (Trigger, Knot, Warning, "passes over the rule"),
    (NoExceptions, Knot, Error, "passes over the exception since 6, so the name may be blocked"),
    (Action, Knot, Warning, "passes over the rule since 6; 5 has no aliases"),
    (TcpOnlyNameserver, Unbound, Error, "crashes before 1.19"),
    (TcpOnlyNameserver, PdnsRecursor, Warning, "answers with a code that does not exist (4.8)"),
    (TcpOnlyNameserver, Knot, Warning, "passes over the rule"),
    (NotExpanded, Unbound, Warning, "answers with the target as it is written"),
    (NotExpanded, Knot, Warning, "passes over the rule"),
    (UnknownType, PdnsRecursor, Warning, "answers SERVFAIL"),
    (RootRule, Generic, Warning, "every name is touched, the root's keys and your own too"),
    (TopRule, Generic, Note, "a whole top-level domain is touched"),
    (ShadowedWildcard, Bind, Warning, "lets the names below through"),
    (ShadowedWildcard, Unbound, Warning, "lets the names below through"),
    (Subtree, Knot, Note, "blocks all names below as well since 6"),
    (ExceptionKind, Bind, Note, "the query name outranks the address within a zone"),
    (ExceptionKind, Unbound, Warning, "looks at names of all zones before any address"),
    (ExceptionKind, PdnsRecursor, Warning, "looks at names of all zones before any address"),
    (PassthruEnds, Unbound, Note, "an exception ends the matter for every zone that comes later"),
    (Ttl, Bind, Note, "caps it at 5 s unless `max-policy-ttl` says more"),
    (Ttl, Unbound, Note, "lets clients keep a verdict as long"),
    (Size, Unbound, Note, "a worker answers nobody while it loads (its issues 636 and 998)"),
    (LongOrigin, Unbound, Warning, "long names overflow, and the whole zone is refused"),
    (LongOrigin, Bind, Warning, "long names overflow, and the whole zone is refused"),
    (Refresh, PdnsRecursor, Note, "is not told of news before 5.1"),
    (TooManyZones, Bind, Error, "takes 64 at most"),
];

/// What later versions have mended.
const MENDED: [(Code, &str); 2] =
    [(TcpOnlyNameserver, "unbound-1.19"), (Trigger, "pdns-recursor-5.5")];

/// What Knot 5 does not share with what is said of both.
const KNOT_5_HAS: [Code; 2] = [NoExceptions, Subtree];

/// What a finding means to consumers; nothing to those that it does not matter to.
pub fn of(code: Code, profiles: &[&Profile]) -> Vec<Concern> {
    profiles.iter().filter_map(|profile| of_one(code, profile)).collect()
}

fn of_one(code: Code, profile: &Profile) -> Option<Concern> {
    let mended = MENDED.contains(&(code, profile.name))
        || (profile.name == "knot-5" && KNOT_5_HAS.contains(&code));
    if mended {
        return None;
    }
    let own = EFFECTS.iter().filter(|(c, ..)| *c == code);
    let own = own.clone().find(|(_, family, ..)| *family == profile.family).or_else(|| {
        // Breadth is everybody's matter, and a consumer that is not known may be any of them.
        let everybody = own.clone().find(|(_, family, ..)| *family == Generic);
        let lacks = matches!(code, Trigger | NoExceptions | Action | NotExpanded | Subtree);
        let gravest = || own.clone().max_by_key(|(_, _, weight, _)| *weight);
        everybody.or_else(|| (profile.family == Generic && !lacks).then(gravest)?)
    })?;
    let (_, family, weight, effect) = own;
    let effect = if profile.family == Generic && *family != Generic {
        "some refuse or misread it"
    } else {
        effect
    };
    Some(Concern { profile: profile.name, weight: *weight, effect })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::profile::PROFILES;

    #[test]
    fn each_sort_matters_to_somebody_and_each_line_once() {
        let mut seen = std::collections::BTreeSet::new();
        for (code, family, ..) in EFFECTS {
            assert!(seen.insert((code, family)), "{code:?} {family:?}");
        }
        let all: Vec<&Profile> = PROFILES.iter().collect();
        assert_eq!(of(ApexRecord, &all).len(), 6, "{:?}", of(ApexRecord, &all));
        assert_eq!(of(NoExceptions, &all).len(), 1);
        assert!(of(TcpOnlyNameserver, &all).iter().all(|c| c.profile != "unbound-1.19"));
        let generic = of(Conflict, &[Profile::of(Generic)]);
        assert_eq!(generic[0].weight, Error);
    }
}
