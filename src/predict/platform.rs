//! How suspicious it is to be a tenant of a platform.
//!
//! How many of a platform's tenants were listed lately is in the feeds. How many honest ones it
//! has is not, so it is estimated from the popularity lists, and never as none.

use std::collections::BTreeMap;

use super::arithmetic::{ln, mban};
use crate::model::{Name, NameRef};

/// A platform of which nothing else is known holds at least this share of the honest names that
/// people ask for. A share measured on lists of names that people use: the smallest platforms that
/// occur at all have one name in fifty thousand.
const SHARE_MIN: f64 = 2e-5;

/// Popularity lists name registrable domains and leave out most tenants: those that they do name
/// stand for so many.
const TENANT_STANDS_FOR: f64 = 4.0;

/// The share of honest names on a platform whose apex is among the most popular names.
const SHARE_TOP: f64 = 1e-3;
/// Up to this rank it is that; beyond, it falls with the rank to the power of 3/2.
const RANK_TOP: f64 = 200.0;

/// A position in a popularity list, as far as the list tells it: above `from`, up to `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// The rank before the tier's first.
    pub from: u32,
    /// The tier's last rank.
    pub to: u32,
}

impl Tier {
    /// How many ranks it spans.
    pub fn width(self) -> u32 {
        self.to.saturating_sub(self.from).max(1)
    }

    /// The mean share of honest names on a platform of this tier.
    fn share(self) -> f64 {
        let (from, to) = (f64::from(self.from), f64::from(self.to.max(self.from + 1)));
        let top = to.min(RANK_TOP) - from.min(RANK_TOP);
        // The integral of (RANK_TOP / r)^(3/2).
        let (low, high) = (from.max(RANK_TOP), to.max(RANK_TOP));
        let tail = 2.0 * RANK_TOP * RANK_TOP.sqrt() * (1.0 / low.sqrt() - 1.0 / high.sqrt());
        SHARE_TOP * (top + tail) / (to - from)
    }
}

/// What the popularity lists say of honest tenants.
#[derive(Debug, Default)]
pub struct Honest {
    tiers: BTreeMap<Name, Tier>,
    tenants: BTreeMap<Name, usize>,
    names: usize,
}

impl Honest {
    /// Takes a ranked name: of two tiers, the narrower says more.
    pub fn rank(&mut self, name: NameRef<'_>, tier: Tier) {
        let held = self.tiers.entry(name.to_owned()).or_insert(tier);
        if tier.width() < held.width() {
            *held = tier;
        }
    }

    /// Takes a popular name once: a tenant of a platform, or any other.
    pub fn count(&mut self, platform: Option<NameRef<'_>>) {
        self.names += 1;
        if let Some(platform) = platform {
            *self.tenants.entry(platform.to_owned()).or_default() += 1;
        }
    }

    /// The share of honest names that are tenants of a platform.
    pub fn share(&self, platform: NameRef<'_>) -> f64 {
        let named = self.tenants.get(platform.key()).copied().unwrap_or(0);
        let by_tenants = TENANT_STANDS_FOR * named as f64 / self.names.max(1) as f64;
        let ranked = platform.ancestors().filter_map(|name| self.tiers.get(name.key()));
        let by_rank = ranked.map(|tier| tier.share()).fold(0.0, f64::max);
        by_tenants.max(by_rank).max(SHARE_MIN)
    }
}

/// How much more of the malicious names than of the honest ones a platform has, in mban.
pub fn shift(malicious: f64, honest: f64) -> i32 {
    mban(ln(malicious / honest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_host(text).unwrap()
    }

    #[test]
    fn a_narrow_tier_says_more_than_a_wide_one_and_a_better_rank_means_more_tenants() {
        let mut honest = Honest::default();
        honest.rank(name("pages.dev").as_ref(), Tier { from: 0, to: 10_000 });
        let vague = honest.share(name("pages.dev").as_ref());
        honest.rank(name("pages.dev").as_ref(), Tier { from: 200, to: 1_000 });
        let told = honest.share(name("pages.dev").as_ref());
        assert!(told > 3.0 * vague, "{told} {vague}");
        assert_eq!(Tier { from: 0, to: 200 }.share(), SHARE_TOP);
        // Between ranks r and r + 1 the mean is the value there.
        let at = Tier { from: 799, to: 800 }.share();
        assert!((at / SHARE_TOP - 0.125).abs() < 1e-3, "{at}");
    }

    #[test]
    fn a_platform_below_a_popular_name_has_its_tenants() {
        let mut honest = Honest::default();
        honest.rank(name("windows.net").as_ref(), Tier { from: 0, to: 200 });
        assert_eq!(honest.share(name("blob.core.windows.net").as_ref()), SHARE_TOP);
        assert_eq!(honest.share(name("framer.app").as_ref()), SHARE_MIN);
    }

    #[test]
    fn popular_tenants_stand_for_more() {
        let mut honest = Honest::default();
        (0..997).for_each(|_| honest.count(None));
        (0..3).for_each(|_| honest.count(Some(name("blogspot.com").as_ref())));
        let expected = TENANT_STANDS_FOR * 3.0 / 1000.0;
        assert_eq!(honest.share(name("blogspot.com").as_ref()), expected);
        assert_eq!(shift(10.0 * expected, expected), 1000);
    }
}
