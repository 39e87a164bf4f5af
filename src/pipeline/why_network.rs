//! Why an address, prefix or AS is kept out of answers, or is not.

use super::Published;
use super::report::{EntrySays, Match, Outcome, ScoreSays, SourceSays, StandingSays, Why};
use super::sources::{Scored, Source};
use crate::model::{Claim, Indicator, Network, Timestamp, TriggerKind};
use crate::scoring::{self, Level, Previous};
use crate::zone::Mode;

impl Published {
    /// Why a network or AS is treated as it is where it stands in answers.
    pub fn why_network(&self, indicator: &Indicator, now: Timestamp) -> Why {
        let matches = match indicator {
            Indicator::Network(network) => self.address_rules(*network),
            _ => Vec::new(),
        };
        let score = self.score_of_network(indicator, now);
        let outcome = self.address_outcome(indicator, &matches, score.as_ref());
        let mut missing = self.asn_missing();
        if self.standings.popularity.lists == 0 {
            missing.push("popularity: no list is in force".to_owned());
        }
        Why {
            answer: Vec::new(),
            indicator: indicator.to_string(),
            at: now.0,
            snapshot: self.snapshot.id().to_string(),
            changes: address_changes(&outcome),
            outcome,
            matches,
            entries: self.entries_on_network(indicator, now),
            sources: self.sources_on_network(indicator),
            score,
            standing: self.standing_of_network(indicator),
            missing,
        }
    }

    /// Rules about answer addresses that take the network in, in order of precedence. Within a zone
    /// the longest prefix comes first (RPZ draft section 5.6).
    fn address_rules(&self, network: Network) -> Vec<Match> {
        let mut matches: Vec<Match> = Vec::new();
        let mut decided = false;
        for zone in self.snapshot.zones() {
            let held = zone.zone.networks(TriggerKind::AnswerAddress);
            let mut covering: Vec<&(Network, u32)> =
                held.iter().filter(|(n, _)| n.covers(network)).collect();
            covering.sort_by_key(|(n, _)| std::cmp::Reverse(n.length()));
            for (position, (listed, effect)) in covering.into_iter().enumerate() {
                let enforces = zone.options.mode == Mode::Enforce && zone.options.groups.is_empty();
                let decides = enforces && position == 0 && !decided;
                decided |= decides;
                let action = zone.zone.effects().get(*effect as usize);
                matches.push(Match {
                    behind: None,
                    zone: zone.zone.origin().to_string(),
                    kind: TriggerKind::AnswerAddress.as_str().to_owned(),
                    trigger: listed.to_string(),
                    action: action.map_or_else(String::new, |e| e.action.as_str().to_owned()),
                    decided: decides,
                    reason: match (decides, enforces, position) {
                        (true, ..) => String::new(),
                        (_, false, _) => "the zone does not act for everyone".to_owned(),
                        (_, _, 0) => "an earlier zone decides".to_owned(),
                        _ => "a longer prefix of the zone comes first".to_owned(),
                    },
                });
            }
        }
        matches
    }

    fn address_outcome(
        &self,
        indicator: &Indicator,
        matches: &[Match],
        score: Option<&ScoreSays>,
    ) -> Outcome {
        let decided = matches.iter().find(|says| says.decided);
        let text = match (indicator, decided, score) {
            (_, Some(says), _) => {
                format!(
                    "names that lead there: {} by {} in {}",
                    says.action, says.trigger, says.zone
                )
            }
            (Indicator::As(_), None, Some(score)) if score.level != Level::Allow.to_string() => {
                format!("{}: the prefixes of which it alone is the origin follow it", score.level)
            }
            _ => "no rule applies: names that lead there are resolved".to_owned(),
        };
        Outcome {
            action: decided.map_or("resolved", |says| &says.action).to_owned(),
            zone: decided.map(|says| says.zone.clone()),
            trigger: decided.map(|says| says.trigger.clone()),
            text,
        }
    }

    fn entries_on_network(&self, indicator: &Indicator, now: Timestamp) -> Vec<EntrySays> {
        let entries = self.policy.entries_about(indicator, now);
        entries.iter().map(|entry| self.entry_says(entry)).collect()
    }

    /// Every claim about the indicator: about prefixes around it, and about the AS that announce it.
    pub(super) fn sources_on_network(&self, indicator: &Indicator) -> Vec<SourceSays> {
        let mut says = Vec::new();
        for source in &self.sources {
            let claims = &source.claims;
            match indicator {
                Indicator::Network(network) => {
                    let around = claims.networks_covering(*network);
                    says.extend(
                        around.map(|(n, claim)| network_says(source, &n.to_string(), claim)),
                    );
                    for origin in self.standings.neighbourhood.origins(*network) {
                        let claim = claims.system(origin);
                        let listed = format!("AS{origin}");
                        says.extend(claim.map(|claim| network_says(source, &listed, claim)));
                    }
                }
                Indicator::As(number) => {
                    let claim = claims.system(*number);
                    let listed = indicator.to_string();
                    says.extend(claim.map(|claim| network_says(source, &listed, claim)));
                }
                Indicator::Domain(_) => {}
            }
        }
        says
    }

    /// The score with its parts; none where nothing speaks of the indicator.
    pub(super) fn score_of_network(
        &self,
        indicator: &Indicator,
        now: Timestamp,
    ) -> Option<ScoreSays> {
        let scored = Scored::of(&self.sources, &self.model);
        let court = self.network_court(&scored, now);
        let (indicator, found) = match indicator {
            Indicator::Network(network) => {
                let unit = super::networks::unit(*network);
                (Indicator::Network(unit), court.facts_of_network(unit))
            }
            Indicator::As(number) => (indicator.clone(), court.facts_of_system(*number)),
            Indicator::Domain(_) => return None,
        };
        if found.facts.listings.is_empty() && found.facts.asn_local_log_ratio.is_none() {
            return None;
        }
        let before = court.before(&indicator);
        let previous = before.map_or_else(Previous::default, |v| v.as_previous(now));
        let explained = scoring::explain(&self.model, &found.facts, &previous);
        let mut says = self.score_says(&indicator.to_string(), &explained, now);
        if found.unseen && explained.level > Level::Monitor {
            says.level = Level::Monitor.to_string();
            says.guards.push(super::report::GuardSays {
                guard: "G4".to_owned(),
                effect: format!("{} to {}", explained.level, Level::Monitor),
                text: "what lives there is not known, and no source may block it alone".to_owned(),
            });
        }
        Some(says)
    }

    /// Where the indicator lies, in place of a registrable domain.
    fn standing_of_network(&self, indicator: &Indicator) -> StandingSays {
        let hood = &self.standings.neighbourhood;
        let named = |system: u32| match hood.names.name(system) {
            Some(name) => format!("AS{system} {name}"),
            None => format!("AS{system}"),
        };
        let mut says = StandingSays {
            short_history: self.standings.popularity.short_history,
            popularity_lists: self.standings.popularity.lists,
            ..StandingSays::default()
        };
        match indicator {
            Indicator::Network(network) => {
                says.special_use = self.standings.special_use.is_network(*network);
                let route = hood.table.covering(*network);
                says.prefix = route.map(|route| route.network().to_string());
                says.origins = hood.origins(*network).into_iter().map(named).collect();
                says.network_ratio = hood.standing.of_network(&hood.table, *network);
            }
            Indicator::As(number) => {
                says.origins = vec![named(*number)];
                says.network_ratio = hood.standing.of_system(*number);
            }
            Indicator::Domain(_) => {}
        }
        says
    }
}

fn address_changes(outcome: &Outcome) -> Vec<String> {
    vec![match &outcome.zone {
        Some(zone) => {
            format!("an entry in the allow list of a policy file: allow comes before {zone}")
        }
        None => "an entry in the block list of a policy file".to_owned(),
    }]
}

fn network_says(source: &Source, listed: &str, claim: &Claim) -> SourceSays {
    let profile = &source.profile;
    let note = match profile.mode {
        Mode::Observe => Some("the source is only observed"),
        Mode::Off => Some("the source is off"),
        Mode::Enforce if profile.ranks == super::Ranks::Exclude => {
            Some("a list of addresses that are left out of the ranks")
        }
        Mode::Enforce => None,
    };
    SourceSays {
        source: profile.id.to_string(),
        trust: super::why::trust_says(&profile.trust),
        listed: listed.to_owned(),
        first_seen: claim.first_seen.0,
        last_seen: claim.last_seen.0,
        category: claim.category.to_string(),
        url_only: false,
        note: note.map(str::to_owned),
    }
}
