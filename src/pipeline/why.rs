//! Why a name is answered as it is: the same pure functions again, for one name, with somebody
//! listening.

use std::net::IpAddr;

use super::Published;
use super::report::{
    Contribution, EntrySays, GuardSays, Match, Mban, Outcome, ScoreSays, SourceSays, StandingSays,
    StepSays, Why,
};
use super::sources::{Scored, Source};
use super::standing::Standing;
use super::verdicts::Verdict;
use crate::evidence::NameClaim;
use crate::model::{
    AnswerFacts, AnswerStep, Indicator, Name, NameRef, Nameserver, Scope, Timestamp, TriggerKind,
    Trust,
};
use crate::policy;
use crate::scoring::{self, Explanation, Facts, Kind, Level, Previous};
use crate::snapshot::{self, Fate, Query, Step, Transport};
use crate::zone::Mode;

/// What is asked about.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The name.
    pub name: Name,
    /// The query type.
    pub rtype: u16,
    /// The client.
    pub client: IpAddr,
    /// How it asks.
    pub transport: Transport,
    /// DO.
    pub dnssec_ok: bool,
    /// RD.
    pub recursion_desired: bool,
}

impl Subject {
    fn query(&self) -> Query<'_> {
        Query {
            name: self.name.as_ref(),
            rtype: self.rtype,
            client: self.client,
            transport: self.transport,
            recursion_desired: self.recursion_desired,
            dnssec_ok: self.dnssec_ok,
        }
    }
}

impl Published {
    /// Why the subject is answered as it is. `facts` are those of its answer where it is known;
    /// without them, rules about addresses and servers cannot be looked at, which is said.
    pub fn why(&self, subject: &Subject, facts: Option<&AnswerFacts>, now: Timestamp) -> Why {
        let name = subject.name.as_ref();
        let query = subject.query();
        let found = self.snapshot.explain(&query, facts);
        let standing = self.standings.of(name);
        let sources = self.sources_on(name, &standing);
        let scored = self.scored_name(name);
        let score = scored.as_ref().map(|scored| self.score_of(scored.as_ref(), now));
        let matches: Vec<Match> = found.iter().map(|m| self.match_says(m)).collect();
        let outcome = self.outcome(&found, &matches);
        let mut changes = self.changes(&outcome, score.as_ref());
        changes.extend(self.ways_around(&found, &query));
        Why {
            indicator: name.to_string(),
            at: now.0,
            snapshot: self.snapshot.id().to_string(),
            outcome,
            answer: facts
                .map_or_else(Vec::new, |facts| facts.steps.iter().map(step_says).collect()),
            matches,
            entries: self.entries_on(&subject.name, now),
            sources,
            score: score.map(|(says, _)| says),
            standing: self.standing_says(&standing),
            changes,
            missing: self.missing(facts),
        }
    }

    /// Whether what the subject is told depends on an answer that is not known yet.
    pub fn needs_answer(&self, subject: &Subject) -> bool {
        let any_rule = TriggerKind::ALL.iter().any(|kind| self.snapshot.having(*kind) != 0);
        any_rule && matches!(self.snapshot.begin(&subject.query()), Step::Resolve(_))
    }

    /// Bits with which the same client would get around the rule that decides.
    fn ways_around(&self, found: &[snapshot::Match<'_>], query: &Query<'_>) -> Vec<String> {
        let decided = found.iter().find(|m| m.fate == Fate::Decides);
        let Some(hit) = decided.map(|m| &m.hit).filter(|h| h.response.rewrites(query.transport))
        else {
            return Vec::new();
        };
        let Some(zone) = self.snapshot.zone(hit.zone) else { return Vec::new() };
        let name = zone.zone.origin();
        let mut ways = Vec::new();
        if !zone.options.break_dnssec && !query.dnssec_ok {
            ways.push(format!(
                "a client that sets DO gets a signed answer untouched: {name} has `break_dnssec` off"
            ));
        }
        if zone.options.recursive_only {
            ways.push(format!(
                "a client that leaves RD out is not touched: {name} has `recursive_only` on"
            ));
        }
        ways
    }

    fn match_says(&self, found: &snapshot::Match<'_>) -> Match {
        Match {
            zone: self.zone_name(found.hit.zone),
            kind: found.hit.kind.as_str().to_owned(),
            trigger: found.hit.matched.to_string(),
            behind: (found.hit.stage > 0).then(|| found.hit.name.to_string()),
            action: found.hit.response.as_str().to_owned(),
            decided: found.fate == Fate::Decides,
            reason: found.fate.to_string(),
        }
    }

    fn zone_name(&self, position: usize) -> String {
        let zone = self.snapshot.zone(position);
        zone.map_or_else(String::new, |zone| zone.zone.origin().to_string())
    }

    fn outcome(&self, found: &[snapshot::Match<'_>], matches: &[Match]) -> Outcome {
        let decided = found.iter().zip(matches).find(|(_, says)| says.decided);
        let Some((found, says)) = decided else {
            return Outcome {
                action: "resolved".to_owned(),
                zone: None,
                trigger: None,
                text: match found.iter().find(|m| m.fate == Fate::Observes) {
                    Some(m) => format!("resolved; {} only observes", self.zone_name(m.hit.zone)),
                    None => "no rule applies: the name is resolved".to_owned(),
                },
            };
        };
        let text = match says.action.as_str() {
            "passthru" => format!("let through by {} in {}", says.trigger, says.zone),
            action => format!("{action} by {} in {}", says.trigger, says.zone),
        };
        Outcome {
            action: found.hit.response.as_str().to_owned(),
            zone: Some(says.zone.clone()),
            trigger: Some(says.trigger.clone()),
            text,
        }
    }

    /// The entries of the policy's lists that take the name in, with their places.
    fn entries_on(&self, name: &Name, now: Timestamp) -> Vec<EntrySays> {
        let entries = self.policy.entries_about(&Indicator::Domain(name.clone()), now);
        entries.iter().map(|entry| self.entry_says(entry)).collect()
    }

    pub(super) fn entry_says(
        &self,
        (entry, subject): &(&policy::Entry, &policy::Subject),
    ) -> EntrySays {
        EntrySays {
            list: entry.list.as_str().to_owned(),
            place: self.policy.place(subject.mark).to_string(),
            reason: entry.reason.clone(),
            owner: entry.owner.clone(),
            until: entry.until.map(|until| until.0),
            groups: self.policy.group_names(entry.groups).map(str::to_owned).collect(),
        }
    }

    /// Every claim about the name or a name above it.
    fn sources_on(&self, name: NameRef<'_>, standing: &Standing<'_>) -> Vec<SourceSays> {
        let mut says = Vec::new();
        for source in &self.sources {
            for listed in name.ancestors().filter(|n| !n.is_root()) {
                if let Some(claim) = source.claims.name(listed) {
                    says.push(self.source_says(source, listed, claim, standing));
                }
            }
        }
        says
    }

    fn source_says(
        &self,
        source: &Source,
        listed: NameRef<'_>,
        claim: NameClaim,
        standing: &Standing<'_>,
    ) -> SourceSays {
        let profile = &source.profile;
        let url_only = claim.claim.scope == Scope::Url;
        let shared = standing.platform || standing.rank.is_some_and(|rank| rank <= 1_000_000);
        let unknown =
            profile.trust == Trust::Scored && self.model.source_index(&profile.weighs_as).is_none();
        let note = if claim.exception {
            Some("the list itself makes an exception for it")
        } else if profile.mode == Mode::Observe {
            Some("the source is only observed")
        } else if profile.mode == Mode::Off {
            Some("the source is off")
        } else if url_only && shared {
            Some("one URL on a shared or popular host says nothing of the host")
        } else if unknown {
            Some("the model has no weight for it")
        } else {
            None
        };
        SourceSays {
            source: profile.id.to_string(),
            trust: trust_says(&profile.trust),
            listed: listed.to_string(),
            first_seen: claim.claim.first_seen.0,
            last_seen: claim.claim.last_seen.0,
            category: claim.claim.category.to_string(),
            url_only,
            note: note.map(str::to_owned),
        }
    }

    /// The closest name at or above this one that scored sources name or that had a decision;
    /// else the name itself where a malicious one is predicted.
    fn scored_name(&self, name: NameRef<'_>) -> Option<Name> {
        let scored = Scored::of(&self.sources, &self.model);
        let registrable = self.standings.suffixes.registrable(name);
        let www = registrable.to_owned().child(b"www").ok();
        let named =
            |n: NameRef<'_>| scored.sources.iter().any(|s| s.claims.names.find(n).is_some());
        name.ancestors()
            .take_while(|n| n.is_at_or_below(registrable))
            .find(|n| {
                let by_www = *n == registrable && www.as_ref().is_some_and(|w| named(w.as_ref()));
                let asked_about = self.standings.opinions.of_name(*n).is_some();
                named(*n) || by_www || asked_about || self.verdicts.of(*n).is_some()
            })
            .map(|n| match www.as_ref() {
                // What is claimed of `www.` counts for the domain.
                Some(www) if www.as_ref() == n => registrable.to_owned(),
                _ => n.to_owned(),
            })
            .or_else(|| {
                // What nobody names has a score only where something is predicted of it.
                let predicted = self.standings.predict(&self.standings.of(name), 0);
                predicted.is_some_and(|mban| mban > 0).then(|| name.to_owned())
            })
    }

    fn score_of(&self, name: NameRef<'_>, now: Timestamp) -> (ScoreSays, Explanation) {
        let mut facts = Facts::new(Kind::Domain);
        self.appraiser(now).facts(name, &mut facts);
        let before = self.verdicts.of(name);
        let previous = before.map_or_else(Previous::default, |v: Verdict| v.as_previous(now));
        let explained = scoring::explain(&self.model, &facts, &previous);
        let mut says = self.score_says(&name.to_string(), &explained, now);
        let predicted = says.contributions.iter_mut().find(|c| c.id == "prediction");
        if let (Some(says), Some(text)) = (predicted, self.prediction_text(name, now)) {
            says.text = text;
        }
        (says, explained)
    }

    pub(super) fn score_says(&self, scored: &str, e: &Explanation, now: Timestamp) -> ScoreSays {
        let threshold = |level: Level| {
            let step = self.model.step(level)?;
            Some((level.to_string(), Mban(i64::from(step.on)), Mban(i64::from(step.off))))
        };
        ScoreSays {
            scored: scored.to_owned(),
            score: Mban(e.mban),
            level: e.level.to_string(),
            previous: e.previous.to_string(),
            category: e.category.map(|c| c.to_string()),
            contributions: e
                .contributions
                .iter()
                .map(|c| Contribution {
                    id: c.id.clone(),
                    mban: Mban(c.mban.into()),
                    raw: Mban(c.raw_mban.into()),
                    independence_ppm: c.independence_ppm,
                    age_h: c.age_h,
                    text: c.text.clone(),
                })
                .collect(),
            guards: e.guards.iter().map(|guard| guard_says(guard)).collect(),
            diversity_ppm: e.diversity_ppm,
            thresholds: Level::ALL.into_iter().filter_map(threshold).collect(),
            model: e.model_id.clone(),
            valid_until: now.plus_seconds(e.valid_for_seconds).0,
        }
    }

    /// What weighed most in the prediction, each with what it adds to the sum of weights.
    fn prediction_text(&self, name: NameRef<'_>, now: Timestamp) -> Option<String> {
        let standing = self.standings.of(name);
        let predictor = self.standings.predictor.as_ref()?;
        let siblings = self.appraiser(now).siblings(name, standing.registrable);
        let reasons = predictor.reasons(standing.site.as_ref()?, siblings);
        let reasons = reasons.iter().map(|(r, mban)| format!("{r} {}", Mban(i64::from(*mban))));
        let reasons: Vec<String> = reasons.collect();
        Some(format!("the name and its neighbourhood: {}", reasons.join(", ")))
    }

    fn standing_says(&self, standing: &Standing<'_>) -> StandingSays {
        StandingSays {
            registrable: Some(standing.registrable.to_string()),
            rank: standing.rank,
            short_history: self.standings.popularity.short_history,
            popularity_lists: self.standings.popularity.lists,
            special_use: standing.special,
            public_suffix: standing.public_suffix,
            critical: standing.critical,
            shared_platform: standing.platform,
            tenant: standing.tenant,
            ..StandingSays::default()
        }
    }

    fn changes(&self, outcome: &Outcome, score: Option<&(ScoreSays, Explanation)>) -> Vec<String> {
        let mut changes = Vec::new();
        match (&outcome.zone, outcome.action.as_str()) {
            (Some(zone), "passthru") => {
                changes.push(format!("without the rule in {zone}, later zones would be asked"));
            }
            (Some(zone), _) => changes.push(format!(
                "an entry in the allow list of a policy file: allow comes before {zone}"
            )),
            (None, _) => {
                changes.push("an entry in the block list of a policy file".to_owned());
            }
        }
        let Some((_, explained)) = score else { return changes };
        if let Some(without) = &explained.without_strongest {
            changes.push(format!(
                "without {} the score would be {} and the level {}",
                without.sources.join(" and "),
                Mban(without.mban),
                without.level
            ));
        }
        if let Some(change) = &explained.smallest_change {
            changes.push(format!(
                "with {} ({} alone) the score would be {} and the level {}",
                change.id,
                Mban(change.raw_mban.into()),
                Mban(change.mban),
                change.level
            ));
        }
        changes
    }

    fn missing(&self, facts: Option<&AnswerFacts>) -> Vec<String> {
        let mut missing = Vec::new();
        let of_answer = [
            TriggerKind::AnswerAddress,
            TriggerKind::NameserverName,
            TriggerKind::NameserverAddress,
        ];
        let looks_at_answers = of_answer.iter().any(|kind| self.snapshot.having(*kind) != 0);
        if facts.is_none() && looks_at_answers {
            missing.push(
                "the name was not resolved for this answer: rules about answer addresses and \
                 nameservers, and about what aliases lead to, are not among the matches"
                    .to_owned(),
            );
        }
        if self.standings.popularity.lists == 0 {
            missing.push("popularity: no list is in force".to_owned());
        }
        missing
    }
}

fn step_says(step: &AnswerStep) -> StepSays {
    let mut nameservers = Vec::new();
    // Root servers given by address have no name.
    let named = |server: &&Nameserver| !server.name.as_ref().is_root();
    for server in step.nameservers.iter().flat_map(|cut| cut.iter()).filter(named) {
        let says = format!("{} of {}", server.name, server.zone);
        if !nameservers.contains(&says) {
            nameservers.push(says);
        }
    }
    StepSays { name: step.name.to_string(), addresses: step.addresses.clone(), nameservers }
}

/// How far a source is trusted, in words.
pub(super) fn trust_says(trust: &Trust) -> String {
    match trust {
        Trust::Scored => "scored".to_owned(),
        Trust::Operator => "operator".to_owned(),
        Trust::Category(category) => format!("category {category}"),
    }
}

/// `G8 popular, block to monitor` taken apart.
fn guard_says(text: &str) -> GuardSays {
    let (guard, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (what, effect) = rest.rsplit_once(": ").unwrap_or((rest, ""));
    GuardSays { guard: guard.to_owned(), effect: effect.to_owned(), text: what.to_owned() }
}
