//! What is known of a name whatever the sources claim: the guards' facts.

use std::sync::Arc;

use super::networks::Neighbourhood;
use super::opinions::Opinions;
use super::registered::Registered;
use crate::evidence::{Popularity, PublicSuffixes, SharedHosts, SpecialUse};
use crate::model::{Name, NameRef};
use crate::pdns;
use crate::predict::{Predictor, Site};

/// The tables that guards look into. Cheap to clone.
#[derive(Clone)]
pub struct Standings {
    /// Public suffixes, the private section included.
    pub suffixes: Arc<PublicSuffixes>,
    /// Ranks of registrable domains.
    pub popularity: Arc<Popularity>,
    /// Platforms that many parties publish on.
    pub shared_hosts: Arc<SharedHosts>,
    /// Names and addresses of special use.
    pub special_use: Arc<SpecialUse>,
    /// Names that must resolve (guard G3), sorted: the query names that protecting zones let pass.
    pub critical: Arc<[Name]>,
    /// Who announces which addresses, and how bad the company is there.
    pub neighbourhood: Arc<Neighbourhood>,
    /// What names and their neighbourhood predict, if a model was trained.
    pub predictor: Option<Arc<Predictor>>,
    /// When domains were registered.
    pub registered: Arc<Registered>,
    /// What look-up services say of those that were asked about.
    pub opinions: Opinions,
    /// What was seen here.
    pub seen: Arc<pdns::View>,
}

impl Default for Standings {
    fn default() -> Self {
        Self {
            suffixes: Arc::default(),
            popularity: Arc::new(Popularity::none()),
            shared_hosts: Arc::default(),
            special_use: Arc::default(),
            critical: [].into(),
            neighbourhood: Arc::default(),
            predictor: None,
            registered: Arc::default(),
            opinions: Opinions::default(),
            seen: Arc::default(),
        }
    }
}

/// What is known of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'n> {
    /// Its registrable domain; the name itself where it is a public suffix.
    pub registrable: NameRef<'n>,
    /// The worst rank of the registrable domain in 30 days. None for tenants of a platform.
    pub rank: Option<u32>,
    /// G1.
    pub special: bool,
    /// G2.
    pub public_suffix: bool,
    /// G3.
    pub critical: bool,
    /// G4: the apex of a platform, so that a rule would take all its tenants along.
    pub platform: bool,
    /// It is a tenant of a platform.
    pub tenant: bool,
    /// Where it stands for a prediction; none where it belongs to nobody in particular.
    pub site: Option<Site<'n>>,
}

impl Standings {
    /// What is known of a name.
    pub fn of<'n>(&self, name: NameRef<'n>) -> Standing<'n> {
        let registration = self.suffixes.registration(name);
        let registrable = registration.registrable.unwrap_or(name);
        let listed_platform = self.shared_hosts.platform_of(name);
        let tenant_of_list = listed_platform.is_some();
        let platform = self.shared_hosts.is_apex(name);
        let rank = match tenant_of_list {
            true => None,
            false => self.popularity.rank(registrable),
        };
        Standing {
            registrable,
            rank,
            special: self.special_use.is_name(name),
            public_suffix: registration.registrable.is_none(),
            critical: self.is_critical(name),
            platform,
            tenant: tenant_of_list || registration.private && registration.registrable.is_some(),
            site: match platform {
                true => None,
                false => Site::between(name, listed_platform, &registration),
            },
        }
    }

    /// What is predicted of a name that stands there, in mban, given how many other names of its
    /// registrable domain are listed. None without a model, or where it knows nothing.
    pub fn predict(&self, standing: &Standing<'_>, siblings: usize) -> Option<i32> {
        let predictor = self.predictor.as_ref()?;
        predictor.predict(standing.site.as_ref()?, siblings).map(|found| found.mban)
    }

    /// Whether a rule for the name and all below it would touch a name that must resolve.
    fn is_critical(&self, name: NameRef<'_>) -> bool {
        let held = |name: NameRef<'_>| {
            self.critical.binary_search_by(|critical| critical.as_ref().cmp(&name)).is_ok()
        };
        let next = self.critical.partition_point(|critical| critical.as_ref() < name);
        let below = self.critical.get(next).is_some_and(|c| c.as_ref().is_at_or_below(name));
        below || name.ancestors().any(|above| !above.is_root() && held(above))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_host(text).unwrap()
    }

    #[test]
    fn a_name_is_critical_where_a_rule_for_it_would_touch_one_that_must_resolve() {
        let mut critical = vec![name("ocsp.digicert.com"), name("root-servers.net")];
        critical.sort();
        let standings = Standings { critical: critical.into(), ..Standings::default() };
        for (text, expected) in [
            ("ocsp.digicert.com", true),
            ("digicert.com", true),
            ("www.digicert.com", false),
            ("a.root-servers.net", true),
            ("other.net", false),
        ] {
            assert_eq!(standings.of(name(text).as_ref()).critical, expected, "{text}");
        }
    }

    #[test]
    fn tenants_and_platforms_are_told_apart() {
        let standings = Standings::default();
        let of = |text: &str| {
            let name = name(text);
            let standing = standings.of(name.as_ref());
            (standing.platform, standing.tenant, standing.public_suffix)
        };
        assert_eq!(of("weebly.com"), (true, false, false));
        assert_eq!(of("evil.weebly.com"), (false, true, false));
        assert_eq!(of("evil.github.io"), (false, true, false));
        assert_eq!(of("github.io"), (false, false, true));
        assert_eq!(of("plain.com"), (false, false, false));
    }
}
