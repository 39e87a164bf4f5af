//! Whose a name is: a registration of its own, or a tenant's place on a platform.

use crate::evidence::{PublicSuffixes, Registration, SharedHosts};
use crate::model::NameRef;

/// Where a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site<'n> {
    /// What one party holds: the registrable domain, or a tenant's name on a platform. All below
    /// it is theirs.
    pub holding: NameRef<'n>,
    /// What it was registered under: the public suffix, or the platform.
    pub suffix: NameRef<'n>,
    /// Whether that is a platform: a suffix of the private section, or a shared host.
    pub tenant: bool,
}

impl<'n> Site<'n> {
    /// Where a name stands; none for what belongs to nobody in particular: public suffixes and
    /// the names of platforms themselves.
    pub fn of(
        name: NameRef<'n>,
        suffixes: &PublicSuffixes,
        shared_hosts: &SharedHosts,
    ) -> Option<Self> {
        if shared_hosts.is_apex(name) {
            return None;
        }
        Self::between(name, shared_hosts.platform_of(name), &suffixes.registration(name))
    }

    /// The same where the platform above the name and its registration are known. The name is not
    /// itself a platform.
    pub fn between(
        name: NameRef<'n>,
        platform: Option<NameRef<'_>>,
        registration: &Registration<'n>,
    ) -> Option<Self> {
        if let Some(platform) = platform {
            let labels = platform.label_count();
            let (holding, suffix) = (name.top(labels + 1), name.top(labels));
            return Some(Self { holding, suffix, tenant: true });
        }
        let holding = registration.registrable?;
        Some(Self { holding, suffix: registration.suffix, tenant: registration.private })
    }

    /// The label that its holder chose, in lookup form.
    pub fn label(&self) -> &'n [u8] {
        self.holding.labels().last().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    #[test]
    fn a_name_is_its_holders_and_a_platform_is_nobodys() {
        let (suffixes, shared) = (PublicSuffixes::default(), SharedHosts::default());
        for (text, expected) in [
            ("a.b.example.co.uk", Some(("example.co.uk", "co.uk", false, "example"))),
            ("x.y.github.io", Some(("y.github.io", "github.io", true, "y"))),
            ("a.shop.weebly.com", Some(("shop.weebly.com", "weebly.com", true, "shop"))),
            ("weebly.com", None),
            ("github.io", None),
            ("co.uk", None),
        ] {
            let name = Name::from_host(text).unwrap();
            let site = Site::of(name.as_ref(), &suffixes, &shared);
            let found =
                site.map(|s| (s.holding.to_string(), s.suffix.to_string(), s.tenant, s.label()));
            let expected =
                expected.map(|(h, s, t, l)| (h.to_owned(), s.to_owned(), t, l.as_bytes()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
