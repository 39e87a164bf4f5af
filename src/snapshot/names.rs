//! Which pattern of a zone matches a name: RFC 4592 over tables that keep no tree.
//!
//! A name's suffixes are hashed once and asked of every zone. The longest suffix that a zone has
//! is the closest encloser, unless an owner further down makes a name in between exist as well
//! (an empty non-terminal); a wildcard covers only what does not exist (section 3.3.1).

use smallvec::SmallVec;

use crate::model::NameRef;
use crate::names::{NameTable, hash_of};
use crate::zone::{Effect, Zone};

/// Suffixes that take nothing from the allocator: those of a reverse name of IPv6, the root's
/// included, and one to spare.
const SUFFIXES_USUAL: usize = 36;

/// A name with the hash of each of its suffixes.
pub(super) struct Suffixes<'n> {
    name: NameRef<'n>,
    /// By label count: the root first, the whole name last.
    all: SmallVec<[Suffix; SUFFIXES_USUAL]>,
}

#[derive(Clone, Copy)]
struct Suffix {
    hash: u64,
    octets: u16,
}

impl<'n> Suffixes<'n> {
    /// Hashes the suffixes under the seed that all zones share.
    pub(super) fn new(name: NameRef<'n>, seed: u64) -> Self {
        let mut all = SmallVec::new();
        all.push(Suffix { hash: hash_of(seed, NameRef::ROOT), octets: 0 });
        let ends = name.key().iter().enumerate().filter(|(_, octet)| **octet == 0);
        for (at, _) in ends {
            let octets = u16::try_from(at + 1).expect("names are short");
            let suffix = NameRef::from_key(&name.key()[..=at]);
            all.push(Suffix { hash: hash_of(seed, suffix), octets });
        }
        Self { name, all }
    }

    /// The top `labels` labels.
    fn suffix(&self, labels: usize) -> NameRef<'n> {
        NameRef::from_key(&self.name.key()[..usize::from(self.all[labels].octets)])
    }

    /// Whether the first of the top `labels` labels is an asterisk.
    fn is_asterisk(&self, labels: usize) -> bool {
        labels > 0 && {
            let above = usize::from(self.all[labels - 1].octets);
            self.suffix(labels).key()[above..] == *b"*\0"
        }
    }
}

/// A pattern that matched, with what its rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameMatch<'a> {
    pub(super) pattern: NameRef<'a>,
    pub(super) wildcard: bool,
    pub(super) effect: &'a Effect,
}

/// The rule for a name in one of a zone's two tables, if there is one.
pub(super) fn find<'a>(
    zone: &'a Zone,
    table: &'a NameTable,
    suffixes: &Suffixes<'a>,
) -> Option<NameMatch<'a>> {
    if table.is_empty() {
        return None;
    }
    let whole = suffixes.all.len() - 1;
    let at = |labels: usize| table.find_hashed(suffixes.suffix(labels), suffixes.all[labels].hash);
    let matched = |labels, wildcard, effect| {
        Some(NameMatch { pattern: suffixes.suffix(labels), wildcard, effect })
    };
    if suffixes.is_asterisk(whole)
        && let Some(position) = at(whole - 1)
        && let Some(effect) = zone.effects_of(table.payload(position)).below
    {
        // The wildcard's own owner name is asked for.
        return matched(whole - 1, true, effect);
    }
    let (labels, position) = (0..=whole).rev().find_map(|n| Some((n, at(n)?)))?;
    let effects = zone.effects_of(table.payload(position));
    if labels == whole {
        // A name that exists only as the parent of a wildcard exists, and so nothing covers it.
        return matched(labels, false, effects.exact?);
    }
    let effect = effects.below?;
    // What is below the wildcard's own owner name is not covered, since that exists.
    let exists = suffixes.is_asterisk(labels + 1)
        || (table.has_below_at(position, suffixes.suffix(labels))
            && table.reaches(suffixes.suffix(labels + 1)));
    if exists { None } else { matched(labels, true, effect) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, Name, NamePattern, Rule, Trigger};
    use crate::zone::{Serial, Soa, ZoneBuilder};

    const SEED: u64 = 7;

    fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    /// A zone with query-name rules for owners as they stand in a zone file.
    fn zone(owners: &[&str]) -> Zone {
        let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(1)), SEED);
        for owner in owners {
            let pattern = match owner.strip_prefix('*') {
                None => NamePattern::exact(name(owner)),
                Some("") => NamePattern::below(Name::root()),
                Some(parent) => NamePattern::below(name(&parent[1..])),
            };
            let trigger = Trigger::QueryName(pattern);
            builder.insert(Rule { trigger, action: Action::NxDomain, ttl: 60 });
        }
        builder.finish().0
    }

    /// The owner that matches, as it stands in a zone file, or a hyphen.
    fn ask(zone: &Zone, query: &str) -> String {
        let query = name(query);
        let suffixes = Suffixes::new(query.as_ref(), SEED);
        let found = find(zone, zone.query_names(), &suffixes);
        found.map_or("-".to_owned(), |m| {
            NamePattern { name: m.pattern.to_owned(), wildcard: m.wildcard }.to_string()
        })
    }

    #[test]
    fn rfc_4592_section_2_2_1_holds() {
        // The RFC's example zone: which owner answers, if any.
        let zone = zone(&["example", "*.example", "sub.*.example", "host1.example"]);
        for (query, owner) in [
            ("host3.example", "*.example"),
            ("foo.bar.example", "*.example"),
            ("host1.example", "host1.example"),
            ("sub.*.example", "sub.*.example"),
            ("*.example", "*.example"),
            ("*.*.example", "-"),
            ("below.host1.example", "-"),
            ("ghost.*.example", "-"),
        ] {
            assert_eq!(ask(&zone, query), owner, "{query}");
        }
    }

    #[test]
    fn an_empty_non_terminal_hides_the_wildcard_above_it() {
        let zone = zone(&["*.bad.test", "a.b.bad.test", "*.c.d.bad.test"]);
        for (query, owner) in [
            ("www.bad.test", "*.bad.test"),
            ("a.b.bad.test", "a.b.bad.test"),
            ("b.bad.test", "-"),
            ("x.b.bad.test", "-"),
            ("c.d.bad.test", "-"),
            ("d.bad.test", "-"),
            ("x.c.d.bad.test", "*.c.d.bad.test"),
            ("bb.bad.test", "*.bad.test"),
            ("bad.test", "-"),
        ] {
            assert_eq!(ask(&zone, query), owner, "{query}");
        }
    }

    #[test]
    fn a_wildcard_is_its_own_exact_match_whatever_stands_below_it() {
        let zone = zone(&["*", "*.*", "a.*.b", "*.b"]);
        for (query, owner) in
            [("*", "*"), ("*.*", "*.*"), ("a.*", "*.*"), ("*.b", "*.b"), ("a", "*")]
        {
            assert_eq!(ask(&zone, query), owner, "{query}");
        }
    }

    #[test]
    fn the_root_wildcard_covers_all_that_does_not_exist() {
        let zone = zone(&["*", "www.good.test"]);
        for (query, owner) in
            [("www.zz", "*"), ("zz", "*"), ("www.bad.test", "-"), ("test", "-"), (".", "-")]
        {
            assert_eq!(ask(&zone, query), owner, "{query}");
        }
    }

    #[test]
    fn the_longest_name_has_room() {
        let deep = vec!["a"; 127].join(".");
        assert_eq!(ask(&zone(&["*.a", &deep]), &deep), deep);
        assert_eq!(ask(&zone(&["*.a"]), &deep), "*.a");
    }
}
