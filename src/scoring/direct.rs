//! The direct channel (SCORING 2.5): lists, providers, votes and ranks that speak of the indicator
//! itself.

use super::chain::{self, Chains, Coupling, GROUP_MBAN_MIN, Item};
use super::decay::linear;
use super::facts::{ApiVoid, Facts, Listing, Tip, VirusTotal};
use super::part::{Label, Part, Sink};
use super::{Kind, Model, SourceIndex};
use crate::model::{Category, Scope};

/// Hours that do not age a provider's answer (SCORING 2.5).
const ANSWER_GRACE_H: u32 = 72;

/// A clean answer is worth something only if the name was known this long (SCORING 2.5).
const CLEAN_MATURE_H: u32 = 24;

/// Votes are cheap, so all of them together never say more than this (SCORING 2.5).
const VOTES_MBAN_MAX: i64 = 300;

/// Votes it takes to be heard halfway (SCORING 2.5).
const VOTES_HALF: i64 = 5;

/// What our own rank can say, in mban (SCORING 2.8).
const LOCAL_RANK_MBAN: (i32, i32) = (-300, 1500);

/// The age of a parked name's listings counts three times (SCORING 2.9, G7).
const PARKED_AGE_FACTOR: u32 = 3;

/// What the direct channel says in sum, and what the guards need to know of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Direct {
    pub mban: i32,
    pub positive: i32,
    pub diversity_ppm: u32,
    pub tier_a: bool,
    pub generic_alone: bool,
    pub category: Option<Category>,
}

/// Tag of an item that is no listing; the source is its rank.
const NO_LISTING: u16 = u16::MAX;

/// Scores the channel as it will be `later_h` hours from now.
pub(super) fn score(model: &Model, facts: &Facts, later_h: u32, sink: &mut impl Sink) -> Direct {
    let mut channel = Channel { model, chains: Chains::default() };
    for (at, listing) in facts.listings.iter().enumerate().take(usize::from(NO_LISTING)) {
        let weight = listing_weight(model, facts, listing, later_h);
        channel.add(listing.source, weight, at as u16);
    }
    add_answers(&mut channel, facts, later_h);
    channel.chains.run(model);

    let Chains { positive, negative } = &channel.chains;
    let parts = Parts { model, facts, later_h };
    let gained = parts.sum(positive, sink);
    let lost = parts.sum(negative, sink);
    let capped = cap(gained, model.direct_max, Label::CapDirectPositive, sink);
    let floored = cap(lost, model.direct_min, Label::CapDirectNegative, sink);
    let mut groups = positive
        .iter()
        .filter(|item| item.weight() >= GROUP_MBAN_MIN)
        .map(|item| source(model, item));
    Direct {
        mban: capped + floored,
        positive: capped,
        diversity_ppm: chain::diversity_ppm(positive, model, model.distinct_origins),
        tier_a: positive.iter().any(|item| source(model, item).tier_a),
        generic_alone: groups.next().is_some_and(|source| source.generic)
            && groups.all(|source| source.generic),
        category: leading_category(facts, positive),
    }
}

impl Coupling for Model {
    fn permille(&self, one: &Item, other: &Item) -> u32 {
        self.coupling_permille(SourceIndex(one.rank()), SourceIndex(other.rank()))
    }

    fn copies(&self, one: &Item, other: &Item) -> bool {
        source(self, one).origin_number == source(self, other).origin_number
    }
}

fn source<'a>(model: &'a Model, item: &Item) -> &'a super::Source {
    model.source(SourceIndex(item.rank()))
}

/// The chains while they are filled.
struct Channel<'a> {
    model: &'a Model,
    chains: Chains,
}

impl Channel<'_> {
    fn add(&mut self, index: SourceIndex, mban: i32, tag: u16) {
        self.chains.add(self.model.source(index).stage, index.0, tag, mban);
    }
}

/// What a listing weighs; 0 where it is held back, speaks of a URL on a shared host, or is gone.
pub(super) fn listing_weight(model: &Model, facts: &Facts, listing: &Listing, later_h: u32) -> i32 {
    if listing.quarantined || (listing.scope == Scope::Url && facts.shields_urls()) {
        return 0;
    }
    let age_h = listing.age_h.saturating_add(later_h);
    let factor = if facts.parked { PARKED_AGE_FACTOR } else { 1 };
    model.source(listing.source).weight(facts.kind, age_h.saturating_mul(factor)).max(0)
}

fn add_answers(channel: &mut Channel<'_>, facts: &Facts, later_h: u32) {
    let (model, providers) = (channel.model, &channel.model.providers);
    if let Some(vt) = &facts.vt {
        channel.add(providers.vt, virus_total_weight(model, vt, later_h), NO_LISTING);
        channel.add(providers.votes, votes_weight(vt), NO_LISTING);
    }
    if let Some(answer) = &facts.apivoid {
        channel.add(providers.apivoid, apivoid_weight(model, answer, later_h), NO_LISTING);
    }
    if let Some(answer) = &facts.tip {
        channel.add(providers.tip, tip_weight(model, answer, later_h), NO_LISTING);
    }
    if facts.kind != Kind::Domain
        && let Some(ratio) = facts.asn_local_log_ratio
    {
        let (min, max) = LOCAL_RANK_MBAN;
        channel.add(providers.local, ratio.clamp(min, max), NO_LISTING);
    }
    if let Some(q_ppm) = facts.bgpranking_q_ppm {
        channel.add(providers.bgpr, model.bgpranking_q_ppm.up_to(q_ppm), NO_LISTING);
    }
}

fn virus_total_weight(model: &Model, vt: &VirusTotal, later_h: u32) -> i32 {
    let weights = &model.vt;
    let age_h = vt.age_h.saturating_add(later_h);
    match half_units(vt) {
        0 if engines(vt) < u64::from(weights.min_engines) => 0,
        0 => {
            let mature = vt.seen_h_before_analysis.is_some_and(|known| known >= CLEAN_MATURE_H);
            let clean = if mature { weights.clean_mature } else { weights.clean_fresh };
            linear(clean, age_h, 0, weights.tau_clean_h)
        }
        half_units => {
            let weight = weights.half_units.below(half_units);
            linear(weight, age_h, ANSWER_GRACE_H, weights.tau_h)
        }
    }
}

/// Two for a malicious verdict and one for a suspicious one, without those of feeds that we read
/// ourselves.
pub(super) fn half_units(vt: &VirusTotal) -> u32 {
    let said = 2 * u64::from(vt.malicious) + u64::from(vt.suspicious);
    let net = said.saturating_sub(2 * u64::from(vt.dup_engines));
    u32::try_from(net).unwrap_or(u32::MAX)
}

/// All engines that answered.
pub(super) fn engines(vt: &VirusTotal) -> u64 {
    [vt.malicious, vt.suspicious, vt.harmless, vt.undetected].into_iter().map(u64::from).sum()
}

fn votes_weight(vt: &VirusTotal) -> i32 {
    let (malicious, harmless) = (i64::from(vt.votes_malicious), i64::from(vt.votes_harmless));
    let net = VOTES_MBAN_MAX * (malicious - harmless);
    (net / (malicious + harmless + VOTES_HALF)) as i32
}

fn apivoid_weight(model: &Model, answer: &ApiVoid, later_h: u32) -> i32 {
    let weight = model.apivoid_detections.below(answer.detections);
    linear(weight, answer.age_h.saturating_add(later_h), ANSWER_GRACE_H, model.apivoid_tau_h)
}

fn tip_weight(model: &Model, answer: &Tip, later_h: u32) -> i32 {
    let weight = match answer.malware_db_hit {
        Some(true) => model.tip_hit,
        Some(false) => model.tip_clean,
        None => 0,
    };
    linear(weight, answer.age_h.saturating_add(later_h), ANSWER_GRACE_H, model.tip_tau_h)
}

/// What each item needs to become a part of the score.
struct Parts<'a> {
    model: &'a Model,
    facts: &'a Facts,
    later_h: u32,
}

impl Parts<'_> {
    fn sum(&self, items: &[Item], sink: &mut impl Sink) -> i32 {
        let mut sum = 0;
        for item in items {
            sum += item.contribution();
            sink.part(Part {
                age_h: self.age_h(item),
                listing: (item.tag() != NO_LISTING).then_some(item.tag()),
                ..Part::of_item(Label::Source(SourceIndex(item.rank())), item)
            });
        }
        sum
    }

    fn age_h(&self, item: &Item) -> Option<u32> {
        let providers = &self.model.providers;
        let age_h = match SourceIndex(item.rank()) {
            _ if item.tag() != NO_LISTING => {
                Some(self.facts.listings[usize::from(item.tag())].age_h)
            }
            index if index == providers.vt => self.facts.vt.map(|answer| answer.age_h),
            index if index == providers.apivoid => self.facts.apivoid.map(|answer| answer.age_h),
            index if index == providers.tip => self.facts.tip.map(|answer| answer.age_h),
            _ => None,
        };
        age_h.map(|age_h| age_h.saturating_add(self.later_h))
    }
}

/// Holds a sum to its cap; what is beyond becomes a part of its own.
pub(super) fn cap(sum: i32, cap: i32, label: Label, sink: &mut impl Sink) -> i32 {
    let within = if cap > 0 { sum.min(cap) } else { sum.max(cap) };
    if within != sum {
        sink.part(Part::whole(label, within - sum));
    }
    within
}

/// The category with the largest sum of positive contributions (SCORING 2.10); providers name
/// none, so where they alone speak it is `suspicious`.
fn leading_category(facts: &Facts, positive: &[Item]) -> Option<Category> {
    if positive.is_empty() {
        return None;
    }
    let mut sums = [0; Category::ALL.len()];
    for item in positive.iter().filter(|item| item.tag() != NO_LISTING) {
        let category = facts.listings[usize::from(item.tag())].category;
        sums[category as usize] += item.contribution();
    }
    let most = sums.into_iter().max().filter(|&most| most > 0);
    let first = most.and_then(|most| sums.into_iter().position(|sum| sum == most));
    Some(first.map_or(Category::Suspicious, |at| Category::ALL[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_sums_the_category_that_stands_first_leads() {
        let mut facts = Facts::new(Kind::Domain);
        let mut chains = Chains::default();
        for (tag, category) in
            [Category::Spam, Category::Malware, Category::Scam].iter().enumerate()
        {
            let listing = Listing::new(SourceIndex(tag as u16), 0);
            facts.listings.push(Listing { category: *category, ..listing });
            chains.add(0, tag as u16, tag as u16, 1000);
        }
        assert_eq!(leading_category(&facts, &chains.positive), Some(Category::Malware));
    }

    #[test]
    fn engines_that_are_feeds_read_here_do_not_count_again() {
        let vt =
            VirusTotal { malicious: 3, suspicious: 1, dup_engines: 2, ..VirusTotal::default() };
        assert_eq!(half_units(&vt), 3);
        assert_eq!(half_units(&VirusTotal { dup_engines: 9, ..vt }), 0);
    }

    #[test]
    fn votes_are_cut_towards_zero_and_stay_within_their_bound() {
        let votes = |votes_malicious, votes_harmless| {
            votes_weight(&VirusTotal { votes_malicious, votes_harmless, ..VirusTotal::default() })
        };
        assert_eq!(votes(30, 900), -279);
        assert_eq!(votes(1, 0), 50);
        assert_eq!(votes(u32::MAX, 0), 299);
        assert_eq!(votes(0, u32::MAX), -299);
    }

    #[test]
    fn what_is_beyond_a_cap_is_a_part_of_its_own() {
        let mut parts: Vec<Part> = Vec::new();
        assert_eq!(cap(6500, 6000, Label::CapDirectPositive, &mut parts), 6000);
        assert_eq!(cap(-1500, -1200, Label::CapDirectNegative, &mut parts), -1200);
        assert_eq!(cap(6000, 6000, Label::CapDirectPositive, &mut parts), 6000);
        let added: Vec<i32> = parts.iter().map(|part| part.mban).collect();
        assert_eq!(added, [-500, 300]);
    }
}
