//! Zones made from what the sources claim: one from scores, one from the operator's lists, one for
//! each category.

use super::judge::{Court, Judged};
use super::networks::{JudgedNetworks, NetworkCourt};
use super::sources::{Scored, Source, names_the_host};
use super::standing::{Standing, Standings};
use super::verdicts::{Verdict, Verdicts};
use crate::evidence::{Merge, NameClaim};
use crate::model::{Indicator, Name, NameRef, Timestamp, Trust};
use crate::policy::domains::{DomainZone, Summary};
use crate::policy::protect::Allowed;
use crate::policy::{Policy, compile};
use crate::scoring::{Facts, Kind, Level, Model};
use crate::zone::{Mode, Serial, Soa, Zone, ZoneBuilder};

/// G8: names of registrable domains up to this rank are not blocked by automatic rules.
pub(super) const POPULAR_RANK_MAX: u32 = 100_000;
/// A URL says nothing of a host whose registrable domain has this rank or better (SCORING 2.9).
const URL_RANK_MAX: u32 = 1_000_000;

/// What a generated zone is made of; also its place among the zones.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Sources that fill a category of the policy.
    Category(String),
    /// Sources that the operator answers for.
    Operator,
    /// The same, in `observe` mode.
    OperatorObserved,
    /// Scores.
    Threat,
    /// Predictions alone, for the groups that want them.
    Predicted,
}

impl Origin {
    /// The zone's own name, without what all zones end in.
    pub fn label(&self) -> Name {
        let text = match self {
            Self::Category(name) => &format!("category.{name}"),
            Self::Operator => "lists",
            Self::OperatorObserved => "lists.observe",
            Self::Threat => "threat",
            Self::Predicted => "predicted",
        };
        Name::from_presentation(text).expect("categories have host names")
    }
}

/// A generated zone before its serial is settled.
#[derive(Debug, Clone)]
pub struct Generated {
    /// What it is made of.
    pub origin: Origin,
    /// The rules.
    pub zone: Zone,
    /// What became of the names.
    pub summary: Summary,
    /// Names that guards held back.
    pub held: Held,
}

/// Names that guards held back, by guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// G1: of special use.
    pub special: usize,
    /// G2: public suffixes.
    pub suffix: usize,
    /// G3: must resolve.
    pub critical: usize,
    /// G8: popular.
    pub popular: usize,
    /// Claims about one URL on a shared or popular host.
    pub url_only: usize,
}

/// What all zones are made from.
pub(super) struct Material<'m> {
    pub model: &'m Model,
    pub policy: &'m Policy,
    pub sources: &'m [Source],
    pub standings: &'m Standings,
    pub allowed: &'m Allowed,
    pub previous: &'m Verdicts,
    pub previous_networks: &'m [(Indicator, Verdict)],
    pub suffix: NameRef<'m>,
    pub hash_seed: u64,
    pub now: Timestamp,
}

impl Material<'_> {
    fn builder(&self, origin: &Origin) -> ZoneBuilder {
        let name = compile::zone_name(&origin.label(), self.suffix);
        ZoneBuilder::new(name, Soa::ours(Serial::default()), self.hash_seed)
    }

    /// The zone of scores, with the decisions behind it.
    pub fn threat(&self) -> (Generated, Judged, JudgedNetworks) {
        let origin = Origin::Threat;
        let mut zone = DomainZone::new(self.builder(&origin), self.allowed);
        let block = zone.action(self.policy.block_action.clone());
        let redirect = zone.action(self.policy.redirect_action());
        let scored = Scored::of(self.sources, self.model);
        let court = Court {
            model: self.model,
            standings: self.standings,
            scored: &scored,
            previous: self.previous,
            now: self.now,
        };
        let judged = court.judge(|name, level| {
            zone.push(name, if level == Level::Block { block } else { redirect });
        });
        let court = NetworkCourt {
            model: self.model,
            standings: self.standings,
            scored: &scored,
            previous: self.previous_networks,
            now: self.now,
        };
        let networks = court.judge();
        for (network, level) in &networks.rules {
            zone.push_network(*network, if *level == Level::Block { block } else { redirect });
        }
        let (zone, summary) = zone.finish();
        (Generated { origin, zone, summary, held: Held::default() }, judged, networks)
    }

    /// The zone of names that are new here and strongly predicted to be malicious, although no list
    /// says enough; none where no group wants it or nothing is predicted.
    pub fn predicted(&self) -> Option<Generated> {
        self.policy.predicted_options()?;
        self.standings.predictor.as_ref()?;
        let origin = Origin::Predicted;
        let mut zone = DomainZone::new(self.builder(&origin), self.allowed);
        let redirect = zone.action(self.policy.redirect_action());
        let scored = Scored::of(self.sources, self.model);
        let court = Court {
            model: self.model,
            standings: self.standings,
            scored: &scored,
            previous: self.previous,
            now: self.now,
        };
        let mut facts = Facts::new(Kind::Domain);
        for name in self.standings.seen.young() {
            if court.is_predicted(name.as_ref(), &mut facts) {
                zone.push(name.as_ref(), redirect);
            }
        }
        let (zone, summary) = zone.finish();
        Some(Generated { origin, zone, summary, held: Held::default() })
    }

    /// The zone of the operator's lists in a mode; none where no source has that trust and mode.
    pub fn operator(&self, mode: Mode) -> Option<Generated> {
        let of = |s: &&Source| s.profile.trust == Trust::Operator && s.profile.mode == mode;
        let sources: Vec<&Source> = self.sources.iter().filter(of).collect();
        if sources.is_empty() {
            return None;
        }
        let origin = match mode {
            Mode::Observe => Origin::OperatorObserved,
            _ => Origin::Operator,
        };
        let mut zone = DomainZone::new(self.builder(&origin), self.allowed);
        let block = zone.action(self.policy.block_action.clone());
        let held = self.listed(&sources, true, |name| zone.push(name, block));
        for source in &sources {
            for (network, _) in source.claims.networks.iter() {
                if !self.standings.special_use.is_network(*network) {
                    zone.push_network(*network, block);
                }
            }
        }
        let (zone, summary) = zone.finish();
        Some(Generated { origin, zone, summary, held })
    }

    /// The zone of a category; none where no client has it switched on.
    pub fn category(&self, at: usize) -> Option<Generated> {
        let name = &self.policy.categories[at].name;
        let of = |s: &&Source| {
            matches!(&s.profile.trust, Trust::Category(c) if **c == **name)
                && s.profile.mode != Mode::Off
        };
        let sources: Vec<&Source> = self.sources.iter().filter(of).collect();
        let soa = Soa::ours(Serial::default());
        let mut held = Held::default();
        let made = compile::category_zone(
            self.policy,
            at,
            self.allowed,
            &soa,
            self.suffix,
            self.hash_seed,
            |push| {
                held = self.listed(&sources, false, push);
            },
        );
        let (policy_zone, summary) = made?;
        Some(Generated {
            origin: Origin::Category(name.clone()),
            zone: policy_zone.zone,
            summary,
            held,
        })
    }

    /// Gives every name that a source lists and no guard holds back, in canonical order.
    fn listed(
        &self,
        sources: &[&Source],
        popularity_counts: bool,
        mut push: impl FnMut(NameRef<'_>),
    ) -> Held {
        let mut held = Held::default();
        let mut merge = Merge::new(sources.iter().map(|s| &s.claims.names));
        while let Some((name, claims)) = merge.advance() {
            let standing = self.standings.of(name);
            let shields = standing.platform || standing.rank.is_some_and(|r| r <= URL_RANK_MAX);
            let claims = claims.iter().map(|(_, payload)| NameClaim::read(payload));
            let mut claims = claims.filter(|claim| !claim.exception).peekable();
            if claims.peek().is_none() {
                continue;
            }
            if !claims.any(|claim| names_the_host(claim, shields)) {
                held.url_only += 1;
            } else if !held.holds(&standing, popularity_counts) {
                push(name);
            }
        }
        held
    }
}

impl Held {
    /// Whether a guard holds the name back; counts it.
    fn holds(&mut self, standing: &Standing<'_>, popularity_counts: bool) -> bool {
        let popular = popularity_counts && standing.rank.is_some_and(|r| r <= POPULAR_RANK_MAX);
        let guards = [
            (standing.special, &mut self.special),
            (standing.public_suffix, &mut self.suffix),
            (standing.critical, &mut self.critical),
            (popular, &mut self.popular),
        ];
        match guards.into_iter().find(|(speaks, _)| *speaks) {
            Some((_, count)) => {
                *count += 1;
                true
            }
            None => false,
        }
    }
}
