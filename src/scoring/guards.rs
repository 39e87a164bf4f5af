//! The guards (SCORING 2.9): what holds a level down whatever the score says.
//!
//! They are applied in the order of the document, parked last. G0 and G1 return at once; all others
//! can only lower the level, and are recorded where they do.

use std::fmt;

use smallvec::SmallVec;

use super::facts::{Admin, Facts, Kind};
use super::{Level, Model, Score};

/// An address with this many registrable domains is shared (G4).
pub const HOSTED_DOMAINS_SHARED: u32 = 50;

/// A rule must not change this share of a day's queries (G5).
const TRAFFIC_SHARE_PPM: u32 = 1000;

/// No name of this rank or better is blocked by a score (G8).
const RANK_POPULAR: u32 = 100_000;

/// A name of this rank or better is established (G9).
const RANK_ESTABLISHED: u32 = 1_000_000;

/// A name of this age is established (G9).
const AGE_ESTABLISHED_DAYS: u32 = 365;

/// One source is 1, two unrelated lists are 1.4; less than this is not two groups (G9).
const DIVERSITY_PPM_MIN: u32 = 1_300_000;

/// Less direct evidence than this is none (G10).
const DIRECT_MBAN_MIN: i32 = 500;

/// A guard, by what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guard {
    /// G0: an administrator decided.
    Admin(Admin),
    /// G1: special-use names and addresses are not scored.
    Special,
    /// G2: a public suffix.
    PublicSuffix,
    /// G3: on the critical list.
    Critical,
    /// G4: many or popular domains live on the address, prefix or AS.
    SharedAddress,
    /// G4: the apex of a platform that hosts others.
    MultiTenantApex,
    /// G5: the rule would change too much of the traffic.
    TrafficShare,
    /// G6: already sinkholed: who asks is infected. The level is kept.
    Sinkholed,
    /// G8: popular.
    Popular,
    /// G8: no popularity list is in force (SCORING 2.11 i).
    NoPopularityList,
    /// G9: established, and not two groups against it.
    Established,
    /// G9: not two groups against it, and none of tier A.
    OneGroup,
    /// G9: only generic lists, however many (SCORING 2.11 j).
    GenericAlone,
    /// G10: hardly any direct evidence.
    NoDirectEvidence,
    /// G7: parked.
    Parked,
}

impl Guard {
    /// Its number and what it found.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin(Admin::Allow) => "G0 admin allow",
            Self::Admin(Admin::Deny) => "G0 admin deny",
            Self::Special => "G1 special use",
            Self::PublicSuffix => "G2 public suffix",
            Self::Critical => "G3 critical",
            Self::SharedAddress => "G4 shared address",
            Self::MultiTenantApex => "G4 multi-tenant apex",
            Self::TrafficShare => "G5 traffic share",
            Self::Sinkholed => "G6 sinkholed: alert infected client; no propagation",
            Self::Popular => "G8 popular",
            Self::NoPopularityList => "G8 no popularity list",
            Self::Established => "G9 established",
            Self::OneGroup => "G9 one group",
            Self::GenericAlone => "G9 generic lists alone",
            Self::NoDirectEvidence => "G10 no direct evidence",
            Self::Parked => "G7 parked",
        }
    }

    /// Whether a person should look at it: something that many use is listed as malicious.
    pub const fn asks_for_review(self) -> bool {
        matches!(self, Self::TrafficShare | Self::Popular)
    }
}

/// A guard that spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub guard: Guard,
    /// The level before it.
    pub from: Level,
    /// The level after it.
    pub to: Level,
}

/// `G4 shared address: block->monitor`; the guards that do not lower a level have no arrow.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.guard.as_str())?;
        match self.guard {
            Guard::Admin(_) | Guard::Special | Guard::Sinkholed => Ok(()),
            _ => write!(f, ": {}->{}", self.from, self.to),
        }
    }
}

/// The guards that spoke, in order. A level falls at most three times and one guard alerts, so
/// they need no allocation.
pub type Findings = SmallVec<[Finding; 4]>;

/// A level on its way through the guards.
pub(super) struct Guarded {
    pub level: Level,
    pub findings: Findings,
    /// G0 and G1 have the last word.
    pub is_final: bool,
}

impl Guarded {
    fn note(&mut self, guard: Guard, to: Level) {
        self.findings.push(Finding { guard, from: self.level, to });
        self.level = to;
    }

    fn at_most(&mut self, to: Level, guard: Guard, applies: bool) {
        if applies && self.level > to {
            self.note(guard, to);
        }
    }
}

/// Sends the level of the score through the guards.
pub(super) fn apply(model: &Model, facts: &Facts, score: &Score, level: Level) -> Guarded {
    let mut guarded = Guarded { level, findings: Findings::new(), is_final: true };
    if let Some(admin) = facts.admin {
        let to = if admin == Admin::Deny { Level::Block } else { Level::Allow };
        guarded.note(Guard::Admin(admin), to);
        return guarded;
    }
    if facts.special {
        guarded.note(Guard::Special, Level::Allow);
        return guarded;
    }
    guarded.is_final = false;
    let is_domain = facts.kind == Kind::Domain;
    guarded.at_most(Level::Allow, Guard::PublicSuffix, facts.public_suffix);
    guarded.at_most(Level::Allow, Guard::Critical, facts.critical);
    guarded.at_most(Level::Monitor, Guard::SharedAddress, !is_domain && is_shared(facts));
    let apex = is_domain && facts.multi_tenant_apex;
    guarded.at_most(Level::Monitor, Guard::MultiTenantApex, apex);
    let crowded = facts.traffic_share_ppm.is_some_and(|share| share >= TRAFFIC_SHARE_PPM);
    guarded.at_most(Level::Monitor, Guard::TrafficShare, crowded);
    if facts.sinkholed {
        guarded.note(Guard::Sinkholed, guarded.level);
    }
    guarded.at_most(Level::Monitor, Guard::Popular, facts.ranked_within(RANK_POPULAR));
    guarded.at_most(Level::Monitor, Guard::NoPopularityList, facts.no_popularity_list);
    ask_for_two_groups(model, facts, score, &mut guarded);
    let indirect = score.positive_direct < DIRECT_MBAN_MIN;
    guarded.at_most(Level::Monitor, Guard::NoDirectEvidence, indirect);
    guarded.at_most(Level::Monitor, Guard::Parked, facts.parked);
    guarded
}

fn is_shared(facts: &Facts) -> bool {
    facts.hosted_domains.is_some_and(|hosted| hosted >= HOSTED_DOMAINS_SHARED)
        || facts.hosted_popular.is_some_and(|popular| popular > 0)
        || facts.shared_range
}

/// G9: an established name needs two groups against it; another needs two groups or one source of
/// tier A to be blocked. A strong prediction counts for part of a group, generic lists for none of
/// their own.
fn ask_for_two_groups(model: &Model, facts: &Facts, score: &Score, guarded: &mut Guarded) {
    let predicted = score.prediction >= model.prediction.strong;
    guarded.at_most(Level::Monitor, Guard::GenericAlone, score.generic_alone && !predicted);
    let bonus_ppm = if predicted { model.prediction.diversity_ppm } else { 0 };
    if score.diversity_ppm + bonus_ppm >= DIVERSITY_PPM_MIN {
        return;
    }
    if is_established(facts) {
        let redirects = model.tier_a_redirects_hosts && score.tier_a && facts.below_registrable;
        let to = if redirects { Level::Redirect } else { Level::Monitor };
        return guarded.at_most(to, Guard::Established, true);
    }
    guarded.at_most(Level::Redirect, Guard::OneGroup, !score.tier_a);
}

fn is_established(facts: &Facts) -> bool {
    facts.age_days.is_some_and(|days| days >= AGE_ESTABLISHED_DAYS)
        || facts.ranked_within(RANK_ESTABLISHED)
        || facts.local_history
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::{Listing, Previous, decide, score};

    /// Everything that can be said against a name, so that only guards hold it down.
    fn listed(model: &Model) -> Facts {
        let mut facts = Facts::new(Kind::Domain);
        for id in ["certpl", "openphish", "threatfox", "urlhaus"] {
            facts.listings.push(Listing::new(model.source_index(id).unwrap(), 0));
        }
        facts
    }

    fn findings(change: impl Fn(&mut Facts)) -> (Level, Vec<String>) {
        let model = Model::shipped();
        let mut facts = listed(&model);
        change(&mut facts);
        let decision = decide(&model, &facts, &score(&model, &facts), &Previous::default());
        (decision.level, decision.guards.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn without_a_reason_no_guard_speaks() {
        assert_eq!(findings(|_| {}), (Level::Block, vec![]));
    }

    #[test]
    fn the_first_guard_that_lowers_a_level_is_named_and_later_ones_that_change_nothing_are_not() {
        let (level, findings) = findings(|facts| {
            facts.multi_tenant_apex = true;
            facts.traffic_share_ppm = Some(5000);
            facts.rank30 = Some(100_000);
            facts.parked = true;
        });
        assert_eq!(
            (level, findings),
            (Level::Monitor, vec!["G4 multi-tenant apex: block->monitor".into()])
        );
    }

    #[test]
    fn the_word_of_an_administrator_ends_the_matter() {
        let (level, findings) = findings(|facts| {
            facts.admin = Some(Admin::Deny);
            facts.special = true;
            facts.critical = true;
        });
        assert_eq!((level, findings), (Level::Block, vec!["G0 admin deny".into()]));
    }

    #[test]
    fn a_sinkholed_name_keeps_its_level_and_alerts() {
        let (level, findings) = findings(|facts| facts.sinkholed = true);
        assert_eq!(level, Level::Block);
        assert_eq!(findings, ["G6 sinkholed: alert infected client; no propagation"]);
    }

    #[test]
    fn a_level_can_fall_in_steps_and_each_step_is_named() {
        let (level, findings) = findings(|facts| {
            facts.listings.clear();
            facts.prediction = Some(2400);
            facts.nod_hours = Some(1);
            facts.age_days = Some(0);
            facts.infrastructure.ns = Some(1000);
            facts.parked = false;
        });
        assert_eq!(level, Level::Monitor);
        assert_eq!(
            findings,
            ["G9 one group: block->redirect", "G10 no direct evidence: redirect->monitor"]
        );
    }

    #[test]
    fn tier_a_redirects_an_established_host_only_where_the_model_says_so() {
        let switch = "tier_a_redirects_hosts = true";
        assert!(crate::scoring::SHIPPED_DESCRIPTION.contains(switch));
        let off = crate::scoring::SHIPPED_DESCRIPTION.replace(switch, "");
        let off = Model::from_file(&crate::scoring::compile::compile(&off).unwrap()).unwrap();
        for (model, expected) in [(Model::shipped(), Level::Redirect), (off, Level::Monitor)] {
            let mut facts = Facts::new(Kind::Domain);
            facts.listings.push(Listing::new(model.source_index("certpl").unwrap(), 0));
            (facts.local_history, facts.below_registrable) = (true, true);
            let score = score(&model, &facts);
            let decision = decide(&model, &facts, &score, &Previous::default());
            assert_eq!(decision.level, expected);
        }
    }

    #[test]
    fn the_guards_of_an_address_do_not_speak_of_a_domain_nor_the_other_way() {
        assert!(findings(|facts| facts.hosted_domains = Some(900)).1.is_empty());
        let model = Model::shipped();
        let mut facts = Facts::new(Kind::Ip);
        facts.listings.push(Listing::new(model.source_index("feodo").unwrap(), 0));
        facts.multi_tenant_apex = true;
        let decision = decide(&model, &facts, &score(&model, &facts), &Previous::default());
        assert_eq!((decision.level, decision.guards.len()), (Level::Block, 0));
    }
}
