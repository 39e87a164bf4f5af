//! Making a source's claims from its entries in any order.

use std::collections::BTreeMap;

use super::claims::{Claims, NameClaim, PAYLOAD_OCTETS};
use crate::model::{Claim, Indicator, NameRef, Network, Scope, Timestamp};
use crate::names::{NameSorter, NameTable, NameTableBuilder};

/// Collects entries and makes the claims of them.
#[derive(Default)]
pub struct ClaimsBuilder {
    names: NameSorter<(Claim, bool)>,
    networks: BTreeMap<Network, Claim>,
    systems: BTreeMap<u32, Claim>,
}

impl ClaimsBuilder {
    /// Takes what the source says of an indicator; `exception` says that it is *not* meant.
    pub fn push(&mut self, indicator: &Indicator, claim: Claim, exception: bool) {
        match indicator {
            Indicator::Domain(name) => {
                self.names.push(name.as_ref(), (claim, exception));
            }
            Indicator::Network(_) | Indicator::As(_) if exception => {}
            Indicator::Network(network) => {
                self.networks
                    .entry(*network)
                    .and_modify(|held| *held = joined(*held, claim))
                    .or_insert(claim);
            }
            Indicator::As(number) => {
                self.systems
                    .entry(*number)
                    .and_modify(|held| *held = joined(*held, claim))
                    .or_insert(claim);
            }
        }
    }

    /// How many entries were taken, repeats included.
    pub fn len(&self) -> usize {
        self.names.len() + self.networks.len() + self.systems.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The claims. What the source named before keeps the earlier first sight; what it no longer
    /// names is withdrawn. An exception takes the list's own claims about the same name away, and
    /// those about names below it.
    pub fn finish(mut self, before: Option<&Claims>) -> Claims {
        self.names.sort();
        let mut table = NameTableBuilder::new(PAYLOAD_OCTETS, None);
        let mut earlier = before.map(Earlier::new);
        let mut excepted: Option<Vec<u8>> = None;
        let mut current: Option<(NameRef<'_>, Claim, bool)> = None;
        let mut emit = |name: NameRef<'_>, mut claim: Claim, exception: bool| {
            if excepted.as_ref().is_some_and(|top| name.key().starts_with(top)) {
                return;
            }
            if exception {
                excepted = Some(name.key().to_vec());
            }
            if let Some(first_seen) = earlier.as_mut().and_then(|e| e.first_seen(name)) {
                claim.first_seen = claim.first_seen.min(first_seen);
            }
            table.push(name, &NameClaim { claim, exception }.write());
        };
        for (name, (claim, exception)) in self.names.iter() {
            match &mut current {
                Some((held, all, excepts)) if *held == name => {
                    *all = joined(*all, claim);
                    *excepts |= exception;
                }
                _ => {
                    if let Some((name, claim, exception)) = current.take() {
                        emit(name, claim, exception);
                    }
                    current = Some((name, claim, exception));
                }
            }
        }
        if let Some((name, claim, exception)) = current {
            emit(name, claim, exception);
        }
        for (network, claim) in &mut self.networks {
            let before = before.and_then(|b| {
                let at = b.networks.binary_search_by_key(network, |(n, _)| *n).ok()?;
                Some(b.networks[at].1.first_seen)
            });
            claim.first_seen = claim.first_seen.min(before.unwrap_or(claim.first_seen));
        }
        for (number, claim) in &mut self.systems {
            if let Some(before) = before.and_then(|b| b.system(*number)) {
                claim.first_seen = claim.first_seen.min(before.first_seen);
            }
        }
        Claims {
            names: NameTable::built(table),
            networks: self.networks.into_iter().collect::<Vec<_>>().into(),
            systems: self.systems.into_iter().collect::<Vec<_>>().into(),
        }
    }
}

/// Two claims of one source about one indicator: the widest span and scope, the graver category.
fn joined(a: Claim, b: Claim) -> Claim {
    Claim {
        first_seen: a.first_seen.min(b.first_seen),
        last_seen: a.last_seen.max(b.last_seen),
        scope: match (a.scope, b.scope) {
            (Scope::Url, Scope::Url) => Scope::Url,
            _ => Scope::Name,
        },
        category: a.category.min(b.category),
    }
}

/// A walk over the claims of the refresh before, in step with the new ones.
struct Earlier<'c> {
    cursor: crate::names::Cursor<'c>,
    head: Option<Timestamp>,
}

impl<'c> Earlier<'c> {
    fn new(claims: &'c Claims) -> Self {
        let mut earlier = Self { cursor: claims.names.iter(), head: None };
        earlier.advance();
        earlier
    }

    fn advance(&mut self) {
        self.head =
            self.cursor.next().map(|(_, payload)| NameClaim::read(payload).claim.first_seen);
    }

    /// Names are asked in ascending order.
    fn first_seen(&mut self, name: NameRef<'_>) -> Option<Timestamp> {
        while self.head.is_some() && self.cursor.current() < name {
            self.advance();
        }
        self.head.filter(|_| self.cursor.current() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Category, Name};

    fn claim(first: u32, last: u32) -> Claim {
        Claim {
            first_seen: Timestamp(first),
            last_seen: Timestamp(last),
            scope: Scope::Name,
            category: Category::Phishing,
        }
    }

    fn domain(text: &str) -> Indicator {
        Indicator::Domain(Name::from_host(text).unwrap())
    }

    fn names(claims: &Claims) -> Vec<String> {
        let mut cursor = claims.names.iter();
        std::iter::from_fn(|| cursor.next().map(|(name, _)| name.to_string())).collect()
    }

    #[test]
    fn a_refresh_keeps_the_first_sight_and_withdraws_what_is_gone() {
        let build = |entries: &[(&str, u32)], before: Option<&Claims>| {
            let mut builder = ClaimsBuilder::default();
            for (text, at) in entries {
                let indicator = Indicator::parse(text).unwrap();
                builder.push(&indicator, claim(*at, *at), false);
            }
            builder.finish(before)
        };
        let old = build(&[("b.example", 5), ("a.example", 5), ("192.0.2.1", 5), ("AS7", 5)], None);
        let new =
            build(&[("c.example", 9), ("b.example", 9), ("192.0.2.1", 9), ("AS7", 9)], Some(&old));
        assert_eq!(names(&new), ["b.example", "c.example"]);
        let b = new.name(Name::from_host("b.example").unwrap().as_ref()).unwrap().claim;
        assert_eq!((b.first_seen, b.last_seen), (Timestamp(5), Timestamp(9)));
        assert_eq!(new.networks[0].1.first_seen, Timestamp(5));
        assert_eq!(new.system(7).unwrap().first_seen, Timestamp(5));
    }

    #[test]
    fn a_lists_own_exception_takes_its_claims_at_and_below_away() {
        let mut builder = ClaimsBuilder::default();
        for (text, exception) in [
            ("example.org", false),
            ("good.example.org", true),
            ("good.example.org", false),
            ("x.good.example.org", false),
            ("z.example.org", false),
        ] {
            builder.push(&domain(text), claim(1, 1), exception);
        }
        let claims = builder.finish(None);
        assert_eq!(names(&claims), ["example.org", "good.example.org", "z.example.org"]);
        assert!(
            claims.name(Name::from_host("good.example.org").unwrap().as_ref()).unwrap().exception
        );
    }

    #[test]
    fn claims_read_back_as_they_were_written_and_damage_is_refused() {
        let mut builder = ClaimsBuilder::default();
        for text in ["a.example", "192.0.2.0/24", "2001:db8::/32", "AS64500"] {
            builder.push(&Indicator::parse(text).unwrap(), claim(3, 4), false);
        }
        let url = Claim { scope: Scope::Url, ..claim(1, 2) };
        builder.push(&domain("shared.example"), url, false);
        let claims = builder.finish(None);
        let mut octets = Vec::new();
        claims.write_octets(&mut octets).unwrap();
        let back = Claims::from_octets(octets.clone().into()).unwrap();
        assert_eq!(back.networks, claims.networks);
        assert_eq!(back.systems, claims.systems);
        assert_eq!(back.names.octets(), claims.names.octets());
        let shared = back.name(Name::from_host("shared.example").unwrap().as_ref()).unwrap();
        assert_eq!(shared, NameClaim { claim: url, exception: false });
        for end in 0..octets.len() {
            assert!(Claims::from_octets(octets[..end].to_vec().into()).is_err());
        }
        let covering: Vec<String> = back
            .networks_covering(Network::parse_strict("192.0.2.9").unwrap())
            .map(|(n, _)| n.to_string())
            .collect();
        assert_eq!(covering, ["192.0.2.0/24"]);
    }
}
