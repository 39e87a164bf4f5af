//! When domains were registered, as far as registries were asked.

use std::collections::HashMap;

use xxhash_rust::xxh3::Xxh3;

use super::Published;
use crate::model::{Name, NameRef, Timestamp};
use crate::scoring::Level;

/// Seconds of a day.
const DAY_SECONDS: u32 = 86_400;
/// Names that are looked at for who is to be asked about next.
const DOUBTFUL_MAX: usize = 5_000;

/// What a registry says of a domain, as far as it enters scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredDomain {
    /// The registrable domain.
    pub domain: Name,
    /// When.
    pub registered_at: Timestamp,
    /// By whom; none where it is not told.
    pub registrar: Option<String>,
    /// Its name servers, sorted.
    pub name_servers: Vec<Name>,
}

/// Registrations by domain. Immutable, and cheap to look into.
#[derive(Debug, Default)]
pub struct Registered {
    domains: HashMap<Name, (Timestamp, Option<u64>), foldhash::fast::FixedState>,
}

impl Registered {
    /// Registrations as they are known now.
    pub fn of(domains: impl IntoIterator<Item = RegisteredDomain>) -> Self {
        let entry = |domain: RegisteredDomain| {
            let group = group(&domain);
            (domain.domain, (domain.registered_at, group))
        };
        Self { domains: domains.into_iter().map(entry).collect() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.domains.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// Days since a domain was registered.
    pub fn age_days(&self, domain: NameRef<'_>, now: Timestamp) -> Option<u32> {
        let (registered_at, _) = self.domains.get(domain.key())?;
        Some(registered_at.age_seconds(now) / DAY_SECONDS)
    }

    /// A number that domains share which were registered with the same registrar, on the same day
    /// and with the same name servers (SCORING 2.7).
    pub fn group(&self, domain: NameRef<'_>) -> Option<u64> {
        self.domains.get(domain.key())?.1
    }
}

fn group(domain: &RegisteredDomain) -> Option<u64> {
    let registrar = domain.registrar.as_ref().filter(|_| !domain.name_servers.is_empty())?;
    let mut hash = Xxh3::new();
    hash.update(registrar.as_bytes());
    hash.update(&(domain.registered_at.0 / DAY_SECONDS).to_be_bytes());
    for server in &domain.name_servers {
        hash.update(server.as_ref().key());
        hash.update(&[0xff]);
    }
    Some(hash.digest())
}

impl Published {
    /// Registrable domains about which a registration age could tell more: those of names between
    /// monitor and redirect, of their own registration, those used here first and then the highest
    /// score.
    pub fn doubtful(&self) -> Vec<Name> {
        let mut found: Vec<(bool, i32, Name)> = Vec::new();
        self.verdicts.each(|name, verdict| {
            if !matches!(verdict.level, Level::Monitor | Level::Redirect) {
                return;
            }
            let standing = self.standings.of(name);
            let Some(site) = standing.site.filter(|site| !site.tenant) else { return };
            let used = self.standings.seen.queries(site.holding).0 > 0;
            found.push((used, verdict.score, site.holding.to_owned()));
            if found.len() >= 2 * DOUBTFUL_MAX {
                found.sort_by(|a, b| b.cmp(a));
                found.truncate(DOUBTFUL_MAX);
            }
        });
        found.sort_by(|a, b| b.cmp(a));
        found.truncate(DOUBTFUL_MAX);
        let mut domains: Vec<Name> = Vec::new();
        let mut taken = std::collections::HashSet::new();
        for (_, _, domain) in found {
            if taken.insert(domain.clone()) {
                domains.push(domain);
            }
        }
        domains
    }
}

#[cfg(test)]
mod tests {
    use super::super::appraise::testing::published;
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_host(text).unwrap()
    }

    fn registered(domain: &str, day: u32, registrar: &str, server: &str) -> RegisteredDomain {
        RegisteredDomain {
            domain: name(domain),
            registered_at: Timestamp(day * DAY_SECONDS + 5),
            registrar: Some(registrar.to_owned()),
            name_servers: vec![name(server)],
        }
    }

    #[test]
    fn siblings_have_registrar_day_and_servers_in_common() {
        let known = Registered::of([
            registered("a.com", 10, "9", "ns.x.net"),
            registered("b.com", 10, "9", "ns.x.net"),
            registered("c.com", 11, "9", "ns.x.net"),
            registered("d.com", 10, "8", "ns.x.net"),
            registered("e.com", 10, "9", "ns.y.net"),
        ]);
        let group = |text: &str| known.group(name(text).as_ref());
        assert_eq!(group("a.com"), group("b.com"));
        for other in ["c.com", "d.com", "e.com", "f.com"] {
            assert_ne!(group("a.com"), group(other), "{other}");
        }
        let now = Timestamp(17 * DAY_SECONDS);
        assert_eq!(known.age_days(name("a.com").as_ref(), now), Some(6));
        assert_eq!(known.age_days(name("f.com").as_ref(), now), None);
    }

    #[test]
    fn those_in_doubt_are_asked_about_once_and_tenants_never() {
        let state = published(&[(
            "openphish",
            &["x.one.net", "y.one.net", "two.net", "mine.github.io", "shop.weebly.com"],
        )]);
        let domains: Vec<String> = state.doubtful().iter().map(ToString::to_string).collect();
        assert_eq!(domains.len(), 2, "{domains:?}");
        assert!(domains.contains(&"one.net".to_owned()) && domains.contains(&"two.net".to_owned()));
    }
}
