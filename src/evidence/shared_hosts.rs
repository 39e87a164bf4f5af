//! Platforms below whose name many parties publish, so that one tenant's guilt is not another's
//! (SCORING 2.9). The private section of the public suffix list has most of them; this adds those
//! that it does not name.

use crate::model::{Name, NameRef};

/// The names that are known to be shared. Kept sorted.
#[derive(Debug, Clone)]
pub struct SharedHosts {
    names: Vec<Name>,
}

/// Names the program knows without any source: file stores, site builders, forms, link pages and
/// shorteners that abuse reports name again and again.
const SHIPPED: &str = include_str!("shared_hosts.txt");

impl Default for SharedHosts {
    fn default() -> Self {
        Self::new(
            SHIPPED
                .lines()
                .map(|line| line.split('#').next().unwrap_or_default().trim())
                .filter(|text| !text.is_empty())
                .map(|text| Name::from_host(text).expect("the shipped names are sound")),
        )
    }
}

impl SharedHosts {
    /// A set of shared names.
    pub fn new(names: impl IntoIterator<Item = Name>) -> Self {
        let mut names: Vec<Name> = names.into_iter().collect();
        names.sort();
        names.dedup();
        Self { names }
    }

    /// All of them, in canonical order.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// Whether the name is itself shared: the apex of a platform, or a host that all use.
    pub fn is_apex(&self, name: NameRef<'_>) -> bool {
        self.names.binary_search_by(|held| held.as_ref().cmp(&name)).is_ok()
    }

    /// The platform that the name is a tenant of; none for the platform itself.
    pub fn platform_of(&self, name: NameRef<'_>) -> Option<NameRef<'_>> {
        let parent = name.ancestors().skip(1).find(|above| self.is_apex(*above))?;
        let at = self.names.binary_search_by(|held| held.as_ref().cmp(&parent)).ok()?;
        Some(self.names[at].as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_and_their_platform_are_told_apart() {
        let shared = SharedHosts::default();
        let name = |text| Name::from_host(text).unwrap();
        assert!(shared.is_apex(name("weebly.com").as_ref()));
        assert!(!shared.is_apex(name("x.weebly.com").as_ref()));
        let platform = shared.platform_of(name("a.x.weebly.com").as_ref());
        assert_eq!(platform.unwrap().to_string(), "weebly.com");
        assert!(shared.platform_of(name("weebly.com").as_ref()).is_none());
        assert!(shared.platform_of(name("example.net").as_ref()).is_none());
    }
}
