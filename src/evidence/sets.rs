//! Claims as sets: parting, joining and comparing what sources name.

use std::collections::BTreeMap;

use super::claims::{Claims, NameClaim, PAYLOAD_OCTETS};
use crate::model::{Claim, NameRef, Network};
use crate::names::{Cursor, NameTable, NameTableBuilder};

/// What a claim is about, with the claim.
#[derive(Debug, Clone, Copy)]
pub enum Claimed<'c> {
    /// A name.
    Name(NameRef<'c>, NameClaim),
    /// A prefix.
    Network(Network, Claim),
    /// An AS.
    System(u32, Claim),
}

impl Claims {
    /// Gives every claim: names, then prefixes, then AS numbers, each in order.
    pub fn each(&self, mut take: impl FnMut(Claimed<'_>)) {
        let mut names = self.names.iter();
        while let Some((name, payload)) = names.next() {
            take(Claimed::Name(name, NameClaim::read(payload)));
        }
        self.networks.iter().for_each(|(network, claim)| take(Claimed::Network(*network, *claim)));
        self.systems.iter().for_each(|(number, claim)| take(Claimed::System(*number, *claim)));
    }

    /// Parts the claims: those that `first` takes, and the others. It is asked in the order of
    /// [`Claims::each`].
    pub fn partition(&self, mut first: impl FnMut(Claimed<'_>) -> bool) -> (Claims, Claims) {
        let (mut ours, mut others) = (Sorted::default(), Sorted::default());
        self.each(|claimed| match first(claimed) {
            true => ours.push(claimed),
            false => others.push(claimed),
        });
        (ours.finish(), others.finish())
    }

    /// What either names; where both do, the claim of `self`.
    pub fn union(&self, other: &Claims) -> Claims {
        if other.is_empty() {
            return self.clone();
        }
        let mut merge = super::Merge::new([&self.names, &other.names]);
        let mut names = NameTableBuilder::new(PAYLOAD_OCTETS, None);
        while let Some((name, claims)) = merge.advance() {
            names.push(name, claims[0].1);
        }
        Claims {
            names: NameTable::built(names),
            networks: joined(&other.networks, &self.networks),
            systems: joined(&other.systems, &self.systems),
        }
    }

    /// A walk that tells whether claims asked for in the order of [`Claims::each`] are in here.
    pub fn members(&self) -> Members<'_> {
        let mut names = self.names.iter();
        let head = names.next().map(|(_, payload)| payload);
        Members { claims: self, names, head }
    }

    /// How many of these indicators `other` names as well.
    pub fn common(&self, other: &Claims) -> usize {
        let mut members = other.members();
        let mut common = 0;
        self.each(|claimed| common += usize::from(members.has(claimed)));
        common
    }

    /// Whether both name the same, in the same words; dates aside.
    pub fn says_the_same(&self, other: &Claims) -> bool {
        if self.len() != other.len() {
            return false;
        }
        let word = |claim: &Claim| (claim.scope, claim.category);
        let mut members = other.members();
        let mut same = true;
        self.each(|claimed| {
            same = same
                && match (claimed, members.find(claimed)) {
                    (Claimed::Name(_, here), Some(Claimed::Name(_, there))) => {
                        word(&here.claim) == word(&there.claim) && here.exception == there.exception
                    }
                    (Claimed::Network(_, here), Some(Claimed::Network(_, there)))
                    | (Claimed::System(_, here), Some(Claimed::System(_, there))) => {
                        word(&here) == word(&there)
                    }
                    _ => false,
                };
        });
        same
    }
}

/// Both lists by key; where both have one, that of the second.
fn joined<K: Ord + Copy>(one: &[(K, Claim)], two: &[(K, Claim)]) -> std::sync::Arc<[(K, Claim)]> {
    let all: BTreeMap<K, Claim> = one.iter().chain(two).copied().collect();
    all.into_iter().collect::<Vec<_>>().into()
}

/// A walk over claims in step with others; see [`Claims::members`].
pub struct Members<'c> {
    claims: &'c Claims,
    names: Cursor<'c>,
    head: Option<&'c [u8]>,
}

impl<'c> Members<'c> {
    /// Whether the claims name it.
    pub fn has(&mut self, claimed: Claimed<'_>) -> bool {
        self.find(claimed).is_some()
    }

    /// What the claims say of it.
    pub fn find<'q>(&mut self, claimed: Claimed<'q>) -> Option<Claimed<'q>> {
        match claimed {
            Claimed::Name(name, _) => {
                while self.head.is_some() && self.names.current() < name {
                    self.head = self.names.next().map(|(_, payload)| payload);
                }
                let payload = self.head.filter(|_| self.names.current() == name)?;
                Some(Claimed::Name(name, NameClaim::read(payload)))
            }
            Claimed::Network(network, _) => {
                let networks = &self.claims.networks;
                let at = networks.binary_search_by_key(&network, |(n, _)| *n).ok()?;
                Some(Claimed::Network(network, networks[at].1))
            }
            Claimed::System(number, _) => {
                self.claims.system(number).map(|claim| Claimed::System(number, *claim))
            }
        }
    }
}

/// Claims that come in order.
struct Sorted {
    names: NameTableBuilder,
    networks: Vec<(Network, Claim)>,
    systems: Vec<(u32, Claim)>,
}

impl Default for Sorted {
    fn default() -> Self {
        let names = NameTableBuilder::new(PAYLOAD_OCTETS, None);
        Self { names, networks: Vec::new(), systems: Vec::new() }
    }
}

impl Sorted {
    fn push(&mut self, claimed: Claimed<'_>) {
        match claimed {
            Claimed::Name(name, claim) => self.names.push(name, &claim.write()),
            Claimed::Network(network, claim) => self.networks.push((network, claim)),
            Claimed::System(number, claim) => self.systems.push((number, claim)),
        }
    }

    fn finish(self) -> Claims {
        Claims {
            names: NameTable::built(self.names),
            networks: self.networks.into(),
            systems: self.systems.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::ClaimsBuilder;
    use crate::model::{Category, Indicator, Scope, Timestamp};

    fn claims(texts: &[&str], at: u32) -> Claims {
        let mut builder = ClaimsBuilder::default();
        let at = Timestamp(at);
        let claim =
            Claim { first_seen: at, last_seen: at, scope: Scope::Name, category: Category::Scam };
        for text in texts {
            builder.push(&Indicator::parse(text).unwrap(), claim, false);
        }
        builder.finish(None)
    }

    fn shown(claims: &Claims) -> Vec<String> {
        let mut all = Vec::new();
        claims.each(|claimed| {
            all.push(match claimed {
                Claimed::Name(name, claim) => format!("{name} {}", claim.claim.first_seen.0),
                Claimed::Network(network, claim) => format!("{network} {}", claim.first_seen.0),
                Claimed::System(number, claim) => format!("AS{number} {}", claim.first_seen.0),
            });
        });
        all
    }

    #[test]
    fn of_a_union_the_first_speaks_where_both_do() {
        let one = claims(&["b.net", "192.0.2.1", "AS7"], 1);
        let two = claims(&["a.net", "b.net", "192.0.2.1", "192.0.2.9", "AS8"], 2);
        assert_eq!(
            shown(&one.union(&two)),
            ["a.net 2", "b.net 1", "192.0.2.1 1", "192.0.2.9 2", "AS7 1", "AS8 2"]
        );
        assert_eq!(one.common(&two), 2);
        assert_eq!(two.common(&one), 2);
    }

    #[test]
    fn claims_are_parted_without_loss() {
        let all = claims(&["a.net", "x.a.net", "b.net", "192.0.2.1", "AS7"], 1);
        let known = claims(&["a.net", "b.net", "AS7"], 9);
        let mut members = known.members();
        let (old, new) = all.partition(|claimed| members.has(claimed));
        assert_eq!(shown(&old), ["a.net 1", "b.net 1", "AS7 1"]);
        assert_eq!(shown(&new), ["x.a.net 1", "192.0.2.1 1"]);
        assert!(old.union(&new).says_the_same(&all));
    }

    #[test]
    fn dates_aside_two_claims_say_the_same_or_not() {
        let one = claims(&["a.net", "AS7"], 1);
        assert!(one.says_the_same(&claims(&["a.net", "AS7"], 5)));
        assert!(!one.says_the_same(&claims(&["b.net", "AS7"], 1)));
        assert!(!one.says_the_same(&claims(&["a.net", "AS8"], 1)));
    }
}
