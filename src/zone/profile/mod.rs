//! What the resolvers that read policy zones make of them, as data.
//!
//! A [`Profile`] names a consumer: a family and, where versions differ, from which one on. A bare
//! family is what is safe for every version that is known. [`fit`](fit::fit) makes of a zone what a
//! profile takes; [`lint`](super::lint) says what is wrong with a zone that somebody else made.
//! Where nothing else is said, behaviour was measured with the packages of Debian 12 (named 9.18,
//! Unbound 1.17, PowerDNS Recursor 4.8, Knot Resolver 5.6) or read in the documentation named.

pub mod fit;

use crate::model::TriggerKind;
use TriggerKind::{AnswerAddress, ClientAddress, NameserverAddress, NameserverName, QueryName};

/// A resolver that reads policy zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// BIND's named.
    Bind,
    /// Unbound.
    Unbound,
    /// PowerDNS Recursor.
    PdnsRecursor,
    /// Knot Resolver.
    Knot,
    /// Any that keeps to the draft; what no known one chokes on.
    Generic,
}

impl Family {
    /// All of them, the unknown one last.
    pub const ALL: [Family; 5] =
        [Self::Bind, Self::Unbound, Self::PdnsRecursor, Self::Knot, Self::Generic];

    /// The word for it in configurations and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Unbound => "unbound",
            Self::PdnsRecursor => "pdns-recursor",
            Self::Knot => "knot",
            Self::Generic => "generic",
        }
    }

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Bind => "BIND",
            Self::Unbound => "Unbound",
            Self::PdnsRecursor => "PowerDNS Recursor",
            Self::Knot => "Knot Resolver",
            Self::Generic => "any consumer",
        }
    }
}

/// A consumer of policy zones and what it can do with them.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    /// The word for it: the family, and a version where it makes a difference.
    pub name: &'static str,
    /// The family.
    pub family: Family,
    /// Which versions it is for.
    pub versions: &'static str,
    /// Triggers it does not have, or has in a way that harms others.
    pub lacks: &'static [TriggerKind],
    /// Triggers with which `rpz-tcp-only.` works.
    pub tcp_only: &'static [TriggerKind],
    /// Triggers with which `CNAME *.target.` is expanded.
    pub expands: &'static [TriggerKind],
    /// Whether `rpz-passthru.` works.
    pub passthru: bool,
    /// Whether `rpz-drop.` works.
    pub drop: bool,
    /// Whether an alias for another name works.
    pub redirect: bool,
    /// Whether it answers with local data of types that it has no mnemonic for.
    pub unknown_types: bool,
    /// Whether a rule for a name takes in all names below it.
    pub takes_subtree: bool,
    /// Seconds that answers may be kept: the least and the most.
    pub ttl: (u32, u32),
    /// The shortest time between two versions of a zone, in seconds.
    pub interval_seconds: u32,
    /// Policy zones that it takes at most.
    pub zones_max: Option<usize>,
}

const ALL: &[TriggerKind] = &TriggerKind::ALL;
const NONE: &[TriggerKind] = &[];
const NO_SERVER_NAME: &[TriggerKind] =
    &[ClientAddress, QueryName, AnswerAddress, NameserverAddress];
const NAMES: &[TriggerKind] = &[QueryName, NameserverName, NameserverAddress];

/// BIND caps the TTL of policy answers at 5 s unless it is told otherwise (`max-policy-ttl`), and a
/// verdict should not outlive a correction by more than a minute.
const TTL_SECONDS: (u32, u32) = (5, 60);

/// The draft's own wishes, less what breaks a consumer that is known.
const GENERIC: Profile = Profile {
    name: "generic",
    family: Family::Generic,
    versions: "any that keeps to the RPZ draft",
    lacks: NONE,
    tcp_only: NO_SERVER_NAME,
    expands: ALL,
    passthru: true,
    drop: true,
    redirect: true,
    unknown_types: true,
    takes_subtree: false,
    ttl: TTL_SECONDS,
    interval_seconds: 60,
    zones_max: Some(64),
};

/// Every profile.
pub const PROFILES: [Profile; 8] = [
    Profile {
        name: "bind",
        family: Family::Bind,
        versions: "9.16 and later",
        tcp_only: ALL,
        // `min-update-interval` is 60 s unless it is told otherwise.
        ..GENERIC
    },
    Profile {
        name: "unbound",
        family: Family::Unbound,
        versions: "1.17 and later",
        // Up to 1.18 it crashes over nsdname with tcp-only, which is not in what any consumer gets.
        // `CNAME *.` stays as it is written behind address triggers, in 1.26 too.
        expands: NAMES,
        // It takes a full transfer after five changes, and a worker stands still while it loads.
        interval_seconds: 300,
        zones_max: None,
        ..GENERIC
    },
    Profile {
        name: "unbound-1.19",
        family: Family::Unbound,
        versions: "1.19 and later",
        tcp_only: ALL,
        expands: NAMES,
        interval_seconds: 300,
        zones_max: None,
        ..GENERIC
    },
    Profile {
        name: "pdns-recursor",
        family: Family::PdnsRecursor,
        versions: "4.8 and later",
        // Before 5.5 an answer by client address lands in the packet cache, for everybody.
        lacks: &[ClientAddress],
        // 4.8 answers nsdname with tcp-only by rcode 14. Local data of a type without a mnemonic is SERVFAIL.
        unknown_types: false,
        zones_max: None,
        ..GENERIC
    },
    Profile {
        name: "pdns-recursor-5.5",
        family: Family::PdnsRecursor,
        versions: "5.5 and later",
        tcp_only: ALL,
        unknown_types: false,
        zones_max: None,
        ..GENERIC
    },
    Profile {
        name: "knot",
        family: Family::Knot,
        versions: "5 and 6",
        lacks: &[ClientAddress, AnswerAddress, NameserverName, NameserverAddress],
        tcp_only: NONE,
        expands: NONE,
        // 6 skips every target below `rpz-`; 5 has no aliases.
        passthru: false,
        drop: false,
        redirect: false,
        unknown_types: false,
        // 6 blocks all names below a name with `CNAME .`.
        takes_subtree: true,
        zones_max: None,
        ..GENERIC
    },
    Profile {
        name: "knot-5",
        family: Family::Knot,
        versions: "5",
        lacks: &[ClientAddress, AnswerAddress, NameserverName, NameserverAddress],
        tcp_only: &[QueryName],
        expands: NONE,
        redirect: false,
        unknown_types: false,
        zones_max: None,
        ..GENERIC
    },
    GENERIC,
];

impl Profile {
    /// The profile of a name.
    pub fn named(name: &str) -> Option<&'static Profile> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    /// The profile of a family that is safe for every version.
    pub fn of(family: Family) -> &'static Profile {
        let profile = PROFILES.iter().find(|profile| profile.family == family);
        profile.expect("every family has a profile")
    }

    /// The names of all profiles.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PROFILES.iter().map(|profile| profile.name)
    }

    /// Whether it has a kind of trigger.
    pub fn has(&self, kind: TriggerKind) -> bool {
        !self.lacks.contains(&kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_profile_for_all_its_versions() {
        for family in Family::ALL {
            assert_eq!(Profile::of(family).name, family.as_str());
        }
        assert!(PROFILES.iter().all(|p| p.name.starts_with(p.family.as_str())));
        assert_eq!(Profile::named("unbound-1.19").map(|p| p.family), Some(Family::Unbound));
        assert_eq!(Profile::named("bind9"), None);
    }

    /// What is right for every version must not ask for more than what is right for one.
    #[test]
    fn a_bare_family_has_no_more_than_its_versions() {
        for profile in &PROFILES {
            let bare = Profile::of(profile.family);
            for kind in TriggerKind::ALL {
                assert!(profile.has(kind) || !bare.has(kind), "{} {kind:?}", profile.name);
                let (one, all) = (profile.tcp_only, bare.tcp_only);
                assert!(one.contains(&kind) || !all.contains(&kind), "{}", profile.name);
            }
            assert!(profile.passthru || !bare.passthru);
            assert!(profile.drop || !bare.drop);
        }
    }
}
