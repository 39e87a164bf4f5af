//! The catalog zone (RFC 9432): a zone that lists our zones, so that servers that read catalogs take
//! a new one without being told by hand.
//!
//! It is a zone like the others: its records are local data, so it has versions, changes and a
//! journal like them.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::model::{Action, Name, NamePattern, RrSet, Rule, Trigger};
use crate::zone::record::rdata::{PTR, TXT};
use crate::zone::{Serial, Soa, Zone, ZoneBuilder};

/// The version of catalogs that this is (RFC 9432 section 4.2.1).
const VERSION: &[u8] = b"\x012";
/// Nobody but servers of zones asks for these records, so their time to live means nothing
/// (section 4.1).
const TTL: u32 = 0;

/// The catalog of these zones.
pub fn zone(origin: Name, members: &[Name], hash_seed: u64) -> Zone {
    let mut builder = ZoneBuilder::new(origin, Soa::ours(Serial(0)), hash_seed);
    let mut record = |owner: &str, rtype: u16, rdata: Vec<u8>| {
        let name = Name::from_presentation(owner).expect("labels of ours are sound");
        let set = RrSet { rtype, ttl: TTL, rdata: vec![rdata.into()] };
        let action = Action::Data(Arc::new([set]));
        let trigger = Trigger::QueryName(NamePattern::exact(name));
        builder.insert(Rule { trigger, action, ttl: TTL });
    };
    record("version", TXT, VERSION.to_vec());
    for member in members {
        // The same zone keeps its label, or it would be taken anew (section 5.4).
        let label = format!("{:016x}.zones", xxh3_64(member.as_ref().key()));
        record(&label, PTR, member.as_ref().to_wire());
    }
    builder.finish().0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::records_of;

    #[test]
    fn a_catalog_has_its_version_and_a_pointer_for_each_zone() {
        let name = |text: &str| Name::from_presentation(text).unwrap();
        let members = [name("threat.rpz"), name("lists.rpz")];
        let catalog = zone(name("catalog.rpz"), &members, 7);
        let mut shown: Vec<String> = Vec::new();
        for rule in catalog.rules() {
            let (records, origin) = (records_of(&rule, catalog.origin()).unwrap(), "catalog.rpz");
            for record in records {
                assert!(record.owner.to_string().ends_with(origin));
                shown.push(format!("{} {}", record.rtype, record.owner));
            }
        }
        shown.sort();
        assert_eq!(shown.len(), 3);
        assert_eq!(shown[2], "16 version.catalog.rpz");
        assert!(shown[0].starts_with("12 ") && shown[0].ends_with(".zones.catalog.rpz"));
        let again = zone(name("catalog.rpz"), &members[..1], 7);
        let other = zone(name("catalog.rpz"), &members, 8);
        assert!(catalog.same_rules(&other) && !catalog.same_rules(&again));
    }
}
