//! What is known about one indicator at one moment (SCORING section 3): the only input of a score.
//!
//! Made to be filled a million times: sources are small numbers of the model, nothing here is a
//! string, and up to eight listings need no allocation. In files (`record.rs`) the same record
//! spells out the sources; absent means not known, and unknown keys are errors.

use serde::{Deserialize, Deserializer, Serialize};
use smallvec::SmallVec;

use super::SourceIndex;
use crate::model::{Category, Scope};

/// What kind of thing the indicator is; in the order of the words, which is that of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Kind {
    /// An autonomous system.
    Asn = 0,
    /// A domain name.
    Domain = 1,
    /// An IPv4 address or an IPv6 /64.
    Ip = 2,
    /// A prefix.
    Prefix = 3,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 4] = [Self::Asn, Self::Domain, Self::Ip, Self::Prefix];

    /// The word used in files and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asn => "asn",
            Self::Domain => "domain",
            Self::Ip => "ip",
            Self::Prefix => "prefix",
        }
    }
}

/// One list's entry for the indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listing {
    /// The list.
    pub source: SourceIndex,
    /// Hours since the time the source's `ref` names.
    pub age_h: u32,
    /// Held back by the feed's own checks (SCORING 4.4): weighs nothing.
    pub quarantined: bool,
    /// What the claim reaches; one about a URL weighs nothing on a shared or popular host
    /// (SCORING 2.9).
    pub scope: Scope,
    /// What the source says it is.
    pub category: Category,
}

impl Listing {
    /// A claim about the whole name without a more precise category.
    pub fn new(source: SourceIndex, age_h: u32) -> Self {
        Self {
            source,
            age_h,
            quarantined: false,
            scope: Scope::Name,
            category: Category::Suspicious,
        }
    }
}

/// What VirusTotal answered; an absent count is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VirusTotal {
    /// Engines that say malicious.
    pub malicious: u32,
    /// Engines that say suspicious.
    pub suspicious: u32,
    /// Engines that say harmless.
    pub harmless: u32,
    /// Engines that say nothing.
    pub undetected: u32,
    /// Of the malicious ones, those that are feeds which list the indicator here as well.
    pub dup_engines: u32,
    /// Hours since the analysis.
    pub age_h: u32,
    /// How long the name was known when it was analysed, if that is known.
    pub seen_h_before_analysis: Option<u32>,
    /// People who say malicious.
    pub votes_malicious: u32,
    /// People who say harmless.
    pub votes_harmless: u32,
}

/// What APIVoid answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiVoid {
    /// Engines that detect it.
    pub detections: u32,
    /// Engines asked.
    pub engines: u32,
    /// Hours since the answer.
    pub age_h: u32,
}

/// What Threat Intelligence Platform's test 82 answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tip {
    /// Whether a malware database lists it; an answer without this test says nothing.
    pub malware_db_hit: Option<bool>,
    /// Hours since the answer.
    pub age_h: u32,
}

/// Weights of the neighbourhood (SCORING 2.7), in mban, not yet clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Infrastructure {
    /// Where the name's addresses lie.
    pub host: Option<Host>,
    /// The name servers.
    pub ns: Option<i32>,
    /// The name servers serve 10,000 domains or more, so they say little.
    pub ns_large: bool,
    /// Names registered together with it.
    pub siblings: Option<i32>,
}

/// Cumulative weights of an address: each says all that the ones before it say.
///
/// A level that is not known says what the level above it says, as the shrunken rate of an object
/// without observations is that of its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Host {
    /// Of the origin AS.
    pub asn: Option<i32>,
    /// Of the prefix.
    pub prefix: Option<i32>,
    /// Of the address.
    pub ip: Option<i32>,
}

/// What an administrator decided (guard G0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Admin {
    /// Never block it.
    Allow,
    /// Always block it.
    Deny,
}

/// Listings in the terms of a model.
pub type Listings = SmallVec<[Listing; 8]>;

/// Everything known about one indicator. What is absent is not known, which is never the same as
/// clean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "L: Default + Deserialize<'de>"))]
pub struct Facts<L = Listings> {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Lists that name it. A source that names it twice counts once.
    #[serde(default, deserialize_with = "or_default", rename = "lists")]
    pub listings: L,
    /// VirusTotal, if asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vt: Option<VirusTotal>,
    /// APIVoid, if asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apivoid: Option<ApiVoid>,
    /// Threat Intelligence Platform, if asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tip: Option<Tip>,
    /// Days since registration; never the parent's for a tenant of a shared suffix (SCORING 2.11 f).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_days: Option<u32>,
    /// Hours since anyone was seen to ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nod_hours: Option<u32>,
    /// Worst rank of the registrable domain in the last 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank30: Option<u32>,
    /// Seen here on 30 of 60 days by 5 clients.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub local_history: bool,
    /// What the name and its neighbourhood predict, in mban.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<i32>,
    /// The neighbourhood, for domains.
    #[serde(default, rename = "infra", skip_serializing_if = "is_default")]
    pub infrastructure: Infrastructure,
    /// Log-odds of the origin AS or prefix (SCORING 2.8), in mban, for all but domains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn_local_log_ratio: Option<i32>,
    /// Position in BGP Ranking divided by the number of ranked AS, in ppm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bgpranking_q_ppm: Option<u32>,
    /// G0: an administrator's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// G1: special-use name or address.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub special: bool,
    /// G2: a public suffix.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub public_suffix: bool,
    /// G3: on the critical list.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub critical: bool,
    /// G4: registrable domains seen on the address, prefix or AS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosted_domains: Option<u32>,
    /// G4: those of them with a rank up to one million.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosted_popular: Option<u32>,
    /// G4: inside a range of a content network or cloud.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub shared_range: bool,
    /// G4: the apex of a platform that hosts others.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub multi_tenant_apex: bool,
    /// A host of such a platform, so that a claim about a URL says nothing of the host.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub multi_tenant: bool,
    /// G5: share of the last day's queries that a rule would have changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_share_ppm: Option<u32>,
    /// G6: resolves or is delegated to a sinkhole.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub sinkholed: bool,
    /// G7: parked.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub parked: bool,
    /// G8: no popularity list is in force, so nobody knows what is popular (SCORING 2.11 i).
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub no_popularity_list: bool,
    /// G9: the rule's scope is a host below the registrable domain (SCORING 2.11 g).
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub below_registrable: bool,
}

impl<L> Facts<L> {
    /// The same facts with the listings in other terms.
    pub fn with_listings<M>(&self, listings: M) -> Facts<M> {
        Facts {
            kind: self.kind,
            listings,
            vt: self.vt,
            apivoid: self.apivoid,
            tip: self.tip,
            age_days: self.age_days,
            nod_hours: self.nod_hours,
            rank30: self.rank30,
            local_history: self.local_history,
            prediction: self.prediction,
            infrastructure: self.infrastructure,
            asn_local_log_ratio: self.asn_local_log_ratio,
            bgpranking_q_ppm: self.bgpranking_q_ppm,
            admin: self.admin,
            special: self.special,
            public_suffix: self.public_suffix,
            critical: self.critical,
            hosted_domains: self.hosted_domains,
            hosted_popular: self.hosted_popular,
            shared_range: self.shared_range,
            multi_tenant_apex: self.multi_tenant_apex,
            multi_tenant: self.multi_tenant,
            traffic_share_ppm: self.traffic_share_ppm,
            sinkholed: self.sinkholed,
            parked: self.parked,
            no_popularity_list: self.no_popularity_list,
            below_registrable: self.below_registrable,
        }
    }

    /// Whether the name has a rank of `rank` or better.
    pub fn ranked_within(&self, rank: u32) -> bool {
        self.rank30.is_some_and(|worst| worst <= rank)
    }

    /// Whether a claim about one URL says nothing of the host (SCORING 2.9).
    pub fn shields_urls(&self) -> bool {
        self.multi_tenant || self.multi_tenant_apex || self.ranked_within(1_000_000)
    }
}

impl Facts {
    /// Nothing known about a thing of that kind.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            listings: SmallVec::new(),
            vt: None,
            apivoid: None,
            tip: None,
            age_days: None,
            nod_hours: None,
            rank30: None,
            local_history: false,
            prediction: None,
            infrastructure: Infrastructure::default(),
            asn_local_log_ratio: None,
            bgpranking_q_ppm: None,
            admin: None,
            special: false,
            public_suffix: false,
            critical: false,
            hosted_domains: None,
            hosted_popular: None,
            shared_range: false,
            multi_tenant_apex: false,
            multi_tenant: false,
            traffic_share_ppm: None,
            sinkholed: false,
            parked: false,
            no_popularity_list: false,
            below_registrable: false,
        }
    }

    /// Forgets everything but keeps the room for listings, so that one value serves a whole pass.
    pub fn reset(&mut self, kind: Kind) {
        let mut listings = std::mem::take(&mut self.listings);
        listings.clear();
        *self = Self { listings, ..Self::new(kind) };
    }
}

/// Reads `null` like an absent key: not known.
pub(super) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_forgets_all_facts() {
        let mut facts = Facts::new(Kind::Domain);
        facts.listings.push(Listing::new(SourceIndex(0), 3));
        facts.rank30 = Some(5);
        facts.parked = true;
        facts.reset(Kind::Ip);
        assert_eq!(facts, Facts::new(Kind::Ip));
    }

    #[test]
    fn a_url_says_nothing_of_a_shared_or_popular_host() {
        let mut facts = Facts::new(Kind::Domain);
        assert!(!facts.shields_urls());
        facts.rank30 = Some(1_000_001);
        assert!(!facts.shields_urls());
        facts.rank30 = Some(1_000_000);
        assert!(facts.shields_urls());
        facts.rank30 = None;
        facts.multi_tenant = true;
        assert!(facts.shields_urls());
    }
}
