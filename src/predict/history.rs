//! What the feeds listed when: the past as far as it may be learnt from.
//!
//! Nothing first seen at or after the cut is looked at. A day on which a feed takes in far more
//! than on others is an import, not news: what came then is known to be listed, but not when it
//! became so, and nothing is learnt from its date.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Site;
use crate::evidence::{Claims, Merge, NameClaim, PublicSuffixes, SharedHosts};
use crate::model::{NameRef, Timestamp};

/// Seconds of a day.
pub const DAY_SECONDS: u32 = 86_400;
/// Days over which the tenants of a platform are counted.
pub const PLATFORM_DAYS: u32 = 60;

/// A day with this many times the median of a feed's days is an import.
const IMPORT_FACTOR: usize = 10;
/// Fewer entries than this are no import, however quiet the other days are.
const IMPORT_ENTRIES_MIN: usize = 1_000;
/// Days over which a feed's pace is taken.
const PACE_DAYS: u32 = 90;
/// A feed counts for at most this many names in 90 days, so that one large feed does not drown
/// the others: the pace of the public phishing feeds of 2026.
const PACE_NAMES_MAX: f64 = 30_000.0;

/// How a feed takes in names.
#[derive(Debug, PartialEq)]
pub struct Pace {
    imports: BTreeSet<u32>,
    /// How much one of its names counts.
    weight: f64,
}

impl Pace {
    /// The pace of a feed before the cut.
    pub fn of(claims: &Claims, cut: Timestamp) -> Self {
        let mut days: BTreeMap<u32, usize> = BTreeMap::new();
        let mut cursor = claims.names.iter();
        while let Some((_, payload)) = cursor.next() {
            let first_seen = NameClaim::read(payload).claim.first_seen;
            if first_seen < cut {
                *days.entry(first_seen.0 / DAY_SECONDS).or_default() += 1;
            }
        }
        let mut counts: Vec<usize> = days.values().copied().collect();
        counts.sort_unstable();
        let median = counts.get(counts.len() / 2).copied().unwrap_or(0);
        let import = |count: usize| count >= IMPORT_ENTRIES_MIN && count > median * IMPORT_FACTOR;
        // The day on which a feed was met first brings all it has.
        let first = days.keys().next().copied().filter(|day| days[day] >= IMPORT_ENTRIES_MIN);
        let imports = days.iter().filter(|(_, n)| import(**n)).map(|(day, _)| *day).chain(first);
        let imports: BTreeSet<u32> = imports.collect();
        let since = (cut.0 / DAY_SECONDS).saturating_sub(PACE_DAYS);
        let lately = days.range(since..).filter(|(day, _)| !imports.contains(day));
        let lately: usize = lately.map(|(_, count)| count).sum();
        Self { imports, weight: (PACE_NAMES_MAX / lately.max(1) as f64).min(1.0) }
    }

    /// How much it counts that a name was first seen then: nothing on the day of an import.
    fn weight_on(&self, first_seen: Timestamp) -> f64 {
        let imported = self.imports.contains(&(first_seen.0 / DAY_SECONDS));
        if imported { 0.0 } else { self.weight }
    }
}

/// When a name was listed first by any feed, and how much that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// When.
    pub first_seen: Timestamp,
    /// The weight of the feed that counts most; 0 where only an import brought it.
    pub weight: f64,
    name: Range<usize>,
}

/// All listed names of one holder.
#[derive(Debug, Default)]
pub struct Holding {
    key: Vec<u8>,
    suffix_octets: usize,
    tenant: bool,
    names: Vec<u8>,
    /// The names, in canonical order.
    pub sightings: Vec<Sighting>,
}

impl Holding {
    /// Where it stands.
    pub fn site(&self) -> Site<'_> {
        Site {
            holding: NameRef::from_key(&self.key),
            suffix: NameRef::from_key(&self.key[..self.suffix_octets]),
            tenant: self.tenant,
        }
    }

    /// How many of its names were listed before a time.
    pub fn listed_before(&self, time: Timestamp) -> usize {
        self.sightings.iter().filter(|s| s.first_seen < time).count()
    }

    /// When it was first news that one of its names is listed, and how much that counts.
    pub fn first_news(&self) -> Option<&Sighting> {
        let first = self.sightings.iter().min_by_key(|s| s.first_seen)?;
        (first.weight > 0.0).then_some(first)
    }

    fn open(&mut self, site: &Site<'_>) {
        self.key.clear();
        self.key.extend_from_slice(site.holding.key());
        self.suffix_octets = site.suffix.key().len();
        self.tenant = site.tenant;
        self.names.clear();
        self.sightings.clear();
    }

    fn add(&mut self, name: NameRef<'_>, first_seen: Timestamp, weight: f64) {
        let start = self.names.len();
        self.names.extend_from_slice(name.key());
        self.sightings.push(Sighting { first_seen, weight, name: start..self.names.len() });
    }
}

/// Hands every holding with a listed name to `visit`, in canonical order.
pub fn each_holding(
    feeds: &[(&Claims, Pace)],
    suffixes: &PublicSuffixes,
    shared_hosts: &SharedHosts,
    cut: Timestamp,
    mut visit: impl FnMut(&Holding),
) {
    let mut merge = Merge::new(feeds.iter().map(|(claims, _)| &claims.names));
    let mut holding = Holding::default();
    while let Some((name, claims)) = merge.advance() {
        let (mut first, mut weight) = (Timestamp(u32::MAX), 0.0f64);
        for (at, payload) in claims {
            let NameClaim { claim, exception } = NameClaim::read(payload);
            if exception || claim.first_seen >= cut {
                continue;
            }
            first = first.min(claim.first_seen);
            weight = weight.max(feeds[*at].1.weight_on(claim.first_seen));
        }
        if first >= cut {
            continue;
        }
        let Some(site) = Site::of(name, suffixes, shared_hosts) else { continue };
        if holding.sightings.is_empty() || site.holding.key() != holding.key {
            if !holding.sightings.is_empty() {
                visit(&holding);
            }
            holding.open(&site);
        }
        holding.add(name, first, weight);
    }
    if !holding.sightings.is_empty() {
        visit(&holding);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::evidence::ClaimsBuilder;
    use crate::model::{Category, Claim, Indicator, Scope};

    const DAY: u32 = DAY_SECONDS;

    pub fn claims<'n>(entries: impl IntoIterator<Item = (&'n str, u32)>) -> Claims {
        let mut builder = ClaimsBuilder::default();
        for (text, first_seen) in entries {
            let claim = Claim {
                first_seen: Timestamp(first_seen),
                last_seen: Timestamp(first_seen),
                scope: Scope::Name,
                category: Category::Phishing,
            };
            builder.push(&Indicator::parse(text).unwrap(), claim, false);
        }
        builder.finish(None)
    }

    fn holdings(feeds: &[Claims], cut: u32) -> Vec<(String, bool, Vec<u32>)> {
        let cut = Timestamp(cut);
        let feeds: Vec<_> = feeds.iter().map(|c| (c, Pace::of(c, cut))).collect();
        let mut found = Vec::new();
        each_holding(&feeds, &PublicSuffixes::default(), &SharedHosts::default(), cut, |holding| {
            let times = holding.sightings.iter().map(|s| s.first_seen.0).collect();
            found.push((holding.site().holding.to_string(), holding.site().tenant, times));
        });
        found
    }

    #[test]
    fn names_come_by_holder_with_their_first_sight_and_nothing_from_the_cut_on() {
        let a = claims([("x.bad.com", 5), ("bad.com", 9), ("later.net", 50), ("t.weebly.com", 7)]);
        let b = claims([("x.bad.com", 3), ("bad.com", 60), ("weebly.com", 2)]);
        let found = holdings(&[a, b], 50);
        assert_eq!(
            found,
            [("bad.com".to_owned(), false, vec![9, 3]), ("t.weebly.com".to_owned(), true, vec![7]),]
        );
    }

    #[test]
    fn an_import_is_no_news() {
        let names: Vec<(String, u32)> = (0..1500)
            .map(|n| (format!("old{n}.com"), 7 * DAY))
            .chain((0..90).map(|n| (format!("new{n}.com"), (8 + n / 3) * DAY)))
            .collect();
        let claims = claims(names.iter().map(|(n, t)| (n.as_str(), *t)));
        let pace = Pace::of(&claims, Timestamp(100 * DAY));
        assert_eq!(pace.weight_on(Timestamp(7 * DAY + 5)), 0.0);
        assert_eq!(pace.weight_on(Timestamp(8 * DAY)), 1.0);
    }

    #[test]
    fn a_large_feed_counts_for_no_more_than_its_bound() {
        let names: Vec<(String, u32)> =
            (0..60_000).map(|n| (format!("n{n}.com"), (20 + n % 60) * DAY)).collect();
        let claims = claims(names.iter().map(|(n, t)| (n.as_str(), *t)));
        let pace = Pace::of(&claims, Timestamp(90 * DAY));
        // The first day is taken for an import.
        assert!((pace.weight - 30_000.0 / 59_000.0).abs() < 1e-9, "{}", pace.weight);
    }
}
