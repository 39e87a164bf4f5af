//! One pass over all scored sources: facts, score, level, rule.
//!
//! Names come in canonical order, so all names of one registrable domain come together and are
//! judged together: `www.` counts for the domain itself, and a domain most of whose hosts are
//! blocked is blocked as a whole (SCORING 2.9, Scope).

use super::sources::Scored;
use super::standing::{Standing, Standings};
use super::verdicts::{Verdict, Verdicts, VerdictsBuilder};
use crate::evidence::{Merge, NameClaim};
use crate::model::{Category, Name, NameRef, Timestamp};
use crate::scoring::{self, Facts, Host, Infrastructure, Kind, Level, Listing, Model, Previous};

/// Siblings are counted up to this many: more say no more.
const SIBLINGS_MAX: usize = 64;
/// A domain is blocked as a whole once this many of its hosts are (SCORING 2.9).
const ESCALATION_HOSTS_MIN: usize = 3;
/// A domain of this rank or better is never blocked as a whole by its hosts.
const ESCALATION_RANK_MAX: u32 = 1_000_000;

/// What the pass needs to know.
pub(super) struct Court<'c> {
    pub model: &'c Model,
    pub standings: &'c Standings,
    pub scored: &'c Scored<'c>,
    pub previous: &'c Verdicts,
    pub now: Timestamp,
}

/// What the pass made.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// The decisions to remember.
    pub verdicts: Verdicts,
    /// Names by level, from allow to block.
    pub levels: [usize; 4],
    /// Domains that were blocked as a whole because of their hosts.
    pub escalated: usize,
}

/// One name that is judged, with its listings at `start..end` of the group's.
struct Member {
    name: std::ops::Range<usize>,
    listings: std::ops::Range<usize>,
    previous: Option<Verdict>,
    /// A look-up service says something of it.
    asked_about: bool,
}

/// The names of one registrable domain, gathered before they are judged.
#[derive(Default)]
struct Group {
    registrable: Vec<u8>,
    names: Vec<u8>,
    listings: Vec<Listing>,
    members: Vec<Member>,
    /// Members with listings, counted once all have come.
    listed: usize,
    /// Below the domain lies a public suffix, so that some of the members are other people's.
    over_platform: bool,
}

impl Court<'_> {
    /// Judges every name that a source lists or that had a decision, in canonical order, and
    /// hands the levels above monitor to `rule`.
    pub fn judge(&self, mut rule: impl FnMut(NameRef<'_>, Level)) -> Judged {
        let opinions = &self.standings.opinions;
        let tables = self.scored.sources.iter().map(|s| &s.claims.names);
        let tables = tables.chain([&self.previous.0, &opinions.names]);
        let previous_at = self.scored.sources.len();
        let mut merge = Merge::new(tables);
        let mut group = Group::default();
        let mut bench = Bench::new(self);
        while let Some((name, claims)) = merge.advance() {
            let same = !group.registrable.is_empty()
                && name.is_at_or_below(NameRef::from_key(&group.registrable));
            if !same {
                bench.close(&mut group, &mut rule);
                group.open(self.standings.suffixes.registrable(name));
            }
            group.add(name);
            for (at, payload) in claims {
                if *at == previous_at {
                    group.set_previous(Verdict::read(payload));
                } else if *at > previous_at {
                    group.last().asked_about = true;
                } else if let Some(l) = self.scored.listing(*at, NameClaim::read(payload), self.now)
                {
                    group.add_listing(l);
                }
            }
        }
        bench.close(&mut group, &mut rule);
        bench.finish()
    }

    /// The facts about one name but for its listings; `siblings` is how many other names of its
    /// registrable domain are listed.
    pub fn facts(
        &self,
        standing: &Standing<'_>,
        name: NameRef<'_>,
        siblings: usize,
        facts: &mut Facts,
    ) {
        facts.kind = Kind::Domain;
        facts.rank30 = standing.rank;
        facts.special = standing.special;
        facts.public_suffix = standing.public_suffix;
        facts.critical = standing.critical;
        facts.multi_tenant_apex = standing.platform;
        facts.multi_tenant = standing.platform;
        facts.below_registrable = name != standing.registrable;
        facts.no_popularity_list = self.standings.popularity.lists == 0;
        facts.prediction = self.standings.predict(standing, siblings);
        self.what_was_seen(standing, name, facts);
    }

    /// What passive DNS knows of a name: how new it is here, who has used it, what company it keeps.
    fn what_was_seen(&self, standing: &Standing<'_>, name: NameRef<'_>, facts: &mut Facts) {
        let Some(site) = &standing.site else { return };
        if !site.tenant {
            // A tenant never inherits the age of its platform (SCORING 2.11 f).
            facts.age_days = self.standings.registered.age_days(site.holding, self.now);
        }
        let seen = &self.standings.seen;
        facts.nod_hours = seen.first_seen_hours(site.holding, self.now);
        facts.local_history = seen.local_history(site.holding);
        facts.traffic_share_ppm = seen.query_share_ppm(name, site.holding);
        let company = seen.company(name, site.holding);
        let host = |[asn, prefix, ip]: [i32; 3]| Host {
            asn: Some(asn),
            prefix: Some(prefix),
            ip: Some(ip),
        };
        facts.infrastructure = Infrastructure {
            host: company.host.map(host),
            ns: company.servers,
            ns_large: company.servers_large,
            siblings: company.siblings,
        };
    }
}

impl Court<'_> {
    /// Adds what look-up services say; the listings are there already.
    pub fn add_opinion(&self, name: NameRef<'_>, facts: &mut Facts) {
        if let Some(opinion) = self.standings.opinions.of_name(name) {
            opinion.fill(self.model, facts, self.now);
        }
    }
}

impl Group {
    fn open(&mut self, registrable: NameRef<'_>) {
        self.registrable.clear();
        self.registrable.extend_from_slice(registrable.key());
        self.names.clear();
        self.listings.clear();
        self.members.clear();
    }

    /// Starts a member; `www.` of the registrable domain counts for the domain.
    fn add(&mut self, name: NameRef<'_>) {
        let start = self.names.len();
        self.names.extend_from_slice(name.key());
        let at = self.listings.len();
        self.members.push(Member {
            name: start..self.names.len(),
            listings: at..at,
            previous: None,
            asked_about: false,
        });
    }

    fn add_listing(&mut self, listing: Listing) {
        self.listings.push(listing);
        self.last().listings.end += 1;
    }

    fn set_previous(&mut self, verdict: Verdict) {
        self.last().previous = Some(verdict);
    }

    fn last(&mut self) -> &mut Member {
        self.members.last_mut().expect("a name was added before")
    }

    fn name(&self, member: &Member) -> NameRef<'_> {
        NameRef::from_key(&self.names[member.name.clone()])
    }

    fn registrable(&self) -> NameRef<'_> {
        NameRef::from_key(&self.registrable)
    }

    /// The position of `www.` of the registrable domain among the members.
    fn www(&self) -> Option<usize> {
        self.members.iter().position(|m| {
            self.name(m).key().strip_prefix(self.registrable.as_slice()) == Some(b"www\0")
        })
    }
}

/// Judges groups and keeps the decisions.
struct Bench<'c> {
    court: &'c Court<'c>,
    facts: Facts,
    verdicts: VerdictsBuilder,
    levels: [usize; 4],
    escalated: usize,
    decided: Vec<(usize, Verdict)>,
}

impl<'c> Bench<'c> {
    fn new(court: &'c Court<'c>) -> Self {
        Self {
            court,
            facts: Facts::new(Kind::Domain),
            verdicts: VerdictsBuilder::default(),
            levels: [0; 4],
            escalated: 0,
            decided: Vec::new(),
        }
    }

    fn close(&mut self, group: &mut Group, rule: &mut impl FnMut(NameRef<'_>, Level)) {
        if group.members.is_empty() {
            return;
        }
        fold_www(group);
        group.over_platform = self.is_over_platform(group);
        group.listed = group.members.iter().filter(|m| !m.listings.is_empty()).count();
        self.decided.clear();
        for at in 0..group.members.len() {
            if let Some(verdict) = self.decide(group, at) {
                self.decided.push((at, verdict));
            }
        }
        self.escalate(group);
        for (at, verdict) in &self.decided {
            let name = group.name(&group.members[*at]);
            self.levels[verdict.level as usize] += 1;
            if verdict.level > Level::Allow {
                self.verdicts.push(name, verdict);
            }
            if verdict.level > Level::Monitor {
                rule(name, verdict.level);
            }
        }
        group.members.clear();
        group.registrable.clear();
    }

    fn decide(&mut self, group: &Group, at: usize) -> Option<Verdict> {
        let member = &group.members[at];
        let court = self.court;
        if member.listings.is_empty() && member.previous.is_none() && !member.asked_about {
            return None;
        }
        let name = group.name(member);
        let standing = court.standings.of(name);
        self.facts.reset(Kind::Domain);
        let listed = group.listed - usize::from(!member.listings.is_empty());
        court.facts(&standing, name, listed, &mut self.facts);
        self.facts.multi_tenant_apex |= group.over_platform && name == group.registrable();
        self.facts.listings.extend_from_slice(&group.listings[member.listings.clone()]);
        court.add_opinion(name, &mut self.facts);
        Some(court.verdict(&self.facts, member.previous))
    }

    /// Whether a member has another registrable domain than the group, as `x.up.railway.app` has
    /// below `railway.app`. Only names two labels further down can.
    fn is_over_platform(&self, group: &Group) -> bool {
        let labels = group.registrable().label_count();
        group.members.iter().any(|member| {
            let name = group.name(member);
            name.label_count() >= labels + 2
                && self.court.standings.suffixes.registrable(name) != group.registrable()
        })
    }

    /// Blocks the registrable domain where most of its hosts are blocked.
    fn escalate(&mut self, group: &mut Group) {
        let registrable = NameRef::from_key(&group.registrable);
        let blocked = |v: &Verdict| v.level == Level::Block;
        let hosts =
            self.decided.iter().filter(|(at, _)| group.name(&group.members[*at]) != registrable);
        let hosts_blocked = hosts.clone().filter(|(_, v)| blocked(v)).count();
        if hosts_blocked < ESCALATION_HOSTS_MIN || hosts_blocked * 2 < hosts.count() {
            return;
        }
        let standing = self.court.standings.of(registrable);
        let shielded = standing.public_suffix
            || standing.platform
            || group.over_platform
            || standing.tenant
            || standing.special
            || standing.critical;
        if shielded || standing.rank.is_some_and(|rank| rank <= ESCALATION_RANK_MAX) {
            return;
        }
        let strongest =
            self.decided.iter().map(|(_, v)| *v).filter(blocked).max_by_key(|v| v.score);
        let Some(strongest) = strongest else { return };
        self.escalated += 1;
        match self.decided.first_mut() {
            Some((at, verdict)) if group.name(&group.members[*at]) == registrable => {
                if verdict.level < Level::Block {
                    *verdict = Verdict { since: self.court.now, ..strongest };
                }
            }
            _ => {
                let start = group.names.len();
                group.names.extend_from_slice(&group.registrable);
                let at = group.members.len();
                group.members.push(Member {
                    name: start..group.names.len(),
                    listings: 0..0,
                    previous: None,
                    asked_about: false,
                });
                self.decided.insert(0, (at, Verdict { since: self.court.now, ..strongest }));
            }
        }
    }

    fn finish(self) -> Judged {
        Judged { verdicts: self.verdicts.finish(), levels: self.levels, escalated: self.escalated }
    }
}

/// Moves what is claimed of `www.` of the registrable domain to the domain itself.
fn fold_www(group: &mut Group) {
    let Some(www) = group.www() else { return };
    let folded = group.members.remove(www);
    let claims: Vec<Listing> = group.listings[folded.listings].to_vec();
    let start = group.listings.len();
    let at_apex = |m: &Member| group.names[m.name.clone()] == group.registrable[..];
    match group.members.iter().position(at_apex) {
        Some(apex) => {
            let own = group.listings[group.members[apex].listings.clone()].to_vec();
            group.listings.extend(own);
            group.listings.extend(claims);
            group.members[apex].listings = start..group.listings.len();
        }
        None => {
            group.listings.extend(claims);
            let name = group.names.len();
            group.names.extend_from_slice(&group.registrable);
            group.members.insert(
                0,
                Member {
                    name: name..group.names.len(),
                    listings: start..group.listings.len(),
                    previous: folded.previous,
                    asked_about: folded.asked_about,
                },
            );
        }
    }
}

impl Court<'_> {
    /// Scores facts and decides, given what was decided before.
    pub fn verdict(&self, facts: &Facts, previous: Option<Verdict>) -> Verdict {
        let score = scoring::score(self.model, facts);
        let before = previous.map_or_else(Previous::default, |v| v.as_previous(self.now));
        let decision = scoring::decide(self.model, facts, &score, &before);
        let mut verdict = Verdict {
            level: decision.level,
            score: i32::try_from(score.mban).unwrap_or(i32::MAX),
            since: self.now,
            category: score.category.unwrap_or(Category::Suspicious),
            counting_since: self.now,
            changes: 0,
        };
        if let Some(before) = previous {
            verdict.follow(&before, self.now);
        }
        verdict
    }

    /// Everything known of exactly this name; what is claimed of `www.` counts for the domain.
    pub fn all_facts(&self, name: NameRef<'_>, facts: &mut Facts) {
        let standing = self.standings.of(name);
        facts.reset(Kind::Domain);
        let siblings = self.siblings(name, standing.registrable);
        self.facts(&standing, name, siblings, facts);
        let www = (name == standing.registrable).then(|| name.to_owned().child(b"www").ok());
        for listed in [Some(name), www.flatten().as_ref().map(Name::as_ref)].into_iter().flatten() {
            for (at, source) in self.scored.sources.iter().enumerate() {
                let claim = source.claims.name(listed);
                facts.listings.extend(claim.and_then(|c| self.scored.listing(at, c, self.now)));
            }
        }
        self.add_opinion(name, facts);
    }

    /// How many other names of the registrable domain are listed. Only a prediction asks.
    pub fn siblings(&self, name: NameRef<'_>, registrable: NameRef<'_>) -> usize {
        if self.standings.predictor.is_none() {
            return 0;
        }
        let www = registrable.to_owned().child(b"www").ok();
        let is_www = |n: NameRef<'_>| www.as_ref().is_some_and(|www| www.as_ref() == n);
        let tables = self.scored.sources.iter().map(|source| &source.claims.names);
        let mut merge = Merge::from(tables, registrable);
        let (mut siblings, mut domain_listed) = (0, false);
        while let Some((listed, claims)) = merge.advance() {
            if siblings == SIBLINGS_MAX || !listed.is_at_or_below(registrable) {
                break;
            }
            let claim = |(at, payload): &(usize, &[u8])| {
                self.scored.listing(*at, NameClaim::read(payload), self.now)
            };
            let counts = claims.iter().any(|c| claim(c).is_some());
            match listed == registrable || is_www(listed) {
                true => domain_listed |= counts,
                false => siblings += usize::from(counts && listed != name),
            }
        }
        siblings + usize::from(domain_listed && name != registrable && !is_www(name))
    }

    /// Whether a name is strongly predicted to be malicious and all in all more likely so than not,
    /// with nothing that speaks of a name that people use.
    pub fn is_predicted(&self, name: NameRef<'_>, facts: &mut Facts) -> bool {
        let standing = self.standings.of(name);
        let shielded = standing.special
            || standing.public_suffix
            || standing.critical
            || standing.platform
            || standing.rank.is_some();
        if shielded {
            return false;
        }
        self.all_facts(name, facts);
        let strong = facts.prediction.is_some_and(|mban| mban >= self.model.prediction_strong());
        let likely = || {
            let score = scoring::score(self.model, facts);
            self.model.step(Level::Monitor).is_some_and(|step| score.mban >= i64::from(step.on))
        };
        strong && !facts.local_history && likely()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{ClaimsBuilder, Popularity, PublicSuffixes, RankList};
    use crate::model::{Claim, Indicator, Scope, SourceId};
    use crate::names::{NameTable, NameTableBuilder};
    use crate::pipeline::Source;
    use crate::predict::{self, Predictor};
    use std::sync::Arc;

    const DAY: u32 = 86_400;
    const NOW: Timestamp = Timestamp(20_000 * DAY);

    /// A model that has learnt that `secure-login-….top` is bad and `garden….com` is not.
    fn standings() -> Standings {
        let mut claims = ClaimsBuilder::default();
        for n in 0..2_000u32 {
            let seen = Timestamp(NOW.0 - (n % 90) * DAY - 3600);
            let claim = Claim {
                first_seen: seen,
                last_seen: seen,
                scope: Scope::Name,
                category: Category::Phishing,
            };
            let name = Indicator::parse(&format!("secure-login-{n}.top")).unwrap();
            claims.push(&name, claim, false);
        }
        let mut names: Vec<Name> =
            (0..2_000).map(|n| Name::from_host(&format!("garden{n}.com")).unwrap()).collect();
        names.sort();
        let mut ranks = NameTableBuilder::new(4, None);
        names.iter().for_each(|name| ranks.push(name.as_ref(), &9u32.to_le_bytes()));
        let list = RankList {
            source: SourceId::new("r"),
            day: NOW.0 / DAY - 1,
            ranks: NameTable::built(ranks),
        };
        let suffixes = PublicSuffixes::default();
        let popularity = Popularity::join(std::slice::from_ref(&list), NOW.0 / DAY, &suffixes, 7);
        let training = predict::train(&predict::Material {
            feeds: vec![&claims.finish(None)],
            popular: &[list],
            suffixes: &suffixes,
            shared_hosts: &Default::default(),
            cut: NOW,
        });
        let predictor = Some(Arc::new(Predictor::new(training.unwrap().model)));
        Standings { predictor, popularity: Arc::new(popularity), ..Standings::default() }
    }

    #[test]
    fn only_what_is_strongly_predicted_and_used_by_nobody_is_redirected_for_it() {
        let (model, standings) = (Model::shipped(), standings());
        let sources: [Source; 0] = [];
        let scored = Scored::of(&sources, &model);
        let previous = Verdicts::default();
        let court = Court {
            model: &model,
            standings: &standings,
            scored: &scored,
            previous: &previous,
            now: NOW,
        };
        let mut facts = Facts::new(Kind::Domain);
        let mut predicted =
            |text: &str| court.is_predicted(Name::from_host(text).unwrap().as_ref(), &mut facts);
        assert!(predicted("secure-login-9999.top"));
        for harmless in ["garden9999.com", "garden7.com", "top", "weebly.com", "printer.local"] {
            assert!(!predicted(harmless), "{harmless}");
        }
    }
}
