//! Judging apart from the pipeline, so that it can take its time on another thread while edits of
//! the policy go on being put in force.

use std::sync::Arc;

use super::generate::{Generated, Material, Origin};
use super::networks::NetworkVerdicts;
use super::sources::Source;
use super::standing::Standings;
use super::verdicts::Verdicts;
use super::{Tally, with_next_serial};
use crate::model::{Name, Timestamp};
use crate::policy::Policy;
use crate::policy::protect::Allowed;
use crate::scoring::Model;
use crate::zone::{Mode, Zone};

/// All that is judged, as it stands at one time. Making one copies nothing large: claims, zones
/// and decisions are shared with the pipeline.
pub struct Case {
    pub(super) model: Arc<Model>,
    pub(super) policy: Arc<Policy>,
    pub(super) sources: Vec<Source>,
    pub(super) standings: Standings,
    pub(super) allowed: Allowed,
    pub(super) verdicts: Verdicts,
    pub(super) network_verdicts: NetworkVerdicts,
    pub(super) generated: Vec<(Origin, Zone)>,
    pub(super) suffix: Name,
    pub(super) hash_seed: u64,
    pub(super) now: Timestamp,
}

/// What judging a [`Case`] came to.
pub struct Judgement {
    pub(super) tally: Tally,
    pub(super) verdicts: Verdicts,
    pub(super) network_verdicts: NetworkVerdicts,
    pub(super) generated: Vec<(Origin, Zone)>,
}

impl Case {
    /// Judges all evidence. A zone whose rules are the same as before keeps its serial and its
    /// place in memory.
    pub fn judge(self) -> Judgement {
        let material = Material {
            model: &self.model,
            policy: &self.policy,
            sources: &self.sources,
            standings: &self.standings,
            allowed: &self.allowed,
            previous: &self.verdicts,
            previous_networks: &self.network_verdicts,
            suffix: self.suffix.as_ref(),
            hash_seed: self.hash_seed,
            now: self.now,
        };
        let (threat, judged, networks) = material.threat();
        let mut made: Vec<Generated> =
            (0..self.policy.categories.len()).filter_map(|at| material.category(at)).collect();
        made.extend(
            [Mode::Enforce, Mode::Observe].into_iter().filter_map(|m| material.operator(m)),
        );
        made.push(threat);
        made.extend(material.predicted());
        Judgement {
            tally: Tally {
                levels: judged.levels,
                escalated: judged.escalated,
                network_levels: networks.levels,
                zones: made
                    .iter()
                    .map(|g| (g.zone.origin().to_string(), g.summary, g.held))
                    .collect(),
            },
            verdicts: judged.verdicts,
            network_verdicts: networks.verdicts.into(),
            generated: made.into_iter().map(|g| settled(g, &self.generated, self.now)).collect(),
        }
    }
}

impl Judgement {
    /// The zones that were made.
    pub fn generated(&self) -> &[(Origin, Zone)] {
        &self.generated
    }

    /// What was decided.
    pub fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }
}

/// The zone under its serial: that of the zone before it where the rules are the same.
fn settled(made: Generated, before: &[(Origin, Zone)], now: Timestamp) -> (Origin, Zone) {
    let held = before.iter().find(|(origin, _)| *origin == made.origin).map(|(_, zone)| zone);
    let zone = match held {
        Some(held) if held.same_rules(&made.zone) => held.clone(),
        held => with_next_serial(made.zone, held.map(|h| h.soa().serial), now),
    };
    (made.origin, zone)
}

#[cfg(test)]
mod tests {
    use super::super::{Pipeline, Profile};
    use super::*;
    use crate::evidence::{ClaimsBuilder, PublicSuffixes};
    use crate::model::{Category, Claim, Indicator, Scope, Trust};
    use crate::policy;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn policy(text: &str) -> Arc<Policy> {
        let files = [("p.toml".to_owned(), format!("version = 1\n{text}"))];
        let mut read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        Arc::new(policy::load(&files, &mut read, &PublicSuffixes::default(), NOW).0.unwrap())
    }

    fn listed(name: &str) -> crate::evidence::Claims {
        let mut builder = ClaimsBuilder::default();
        let claim = Claim {
            first_seen: NOW,
            last_seen: NOW,
            scope: Scope::Name,
            category: Category::Phishing,
        };
        builder.push(&Indicator::parse(name).unwrap(), claim, false);
        builder.finish(None)
    }

    /// The zones in force with how many rules each has.
    fn shown(pipeline: &Pipeline) -> Vec<String> {
        let zones = pipeline.published().unwrap().snapshot.zones();
        zones.map(|zone| format!("{} {}", zone.zone.origin(), zone.zone.len())).collect()
    }

    #[test]
    fn an_edit_while_a_case_is_judged_is_in_force_before_and_after_its_judgement() {
        let suffix = Name::from_host("rpz").unwrap();
        let mut pipeline = Pipeline::new(Model::shipped(), policy(""), suffix, 7);
        let profile = Profile { trust: Trust::Operator, ..Profile::scored("mine", "mine") };
        pipeline.set_sources(vec![Source { profile, claims: listed("bad.net") }]);
        let case = pipeline.case(NOW);
        pipeline.set_policy(policy("[[block]]\nname = 'edit.net'\n"));
        pipeline.assemble(NOW).unwrap();
        assert_eq!(shown(&pipeline), ["block.rpz 2"]);
        pipeline.accept(case.judge());
        pipeline.assemble(NOW).unwrap();
        assert_eq!(shown(&pipeline), ["block.rpz 2", "lists.rpz 2", "threat.rpz 0"]);
    }
}
