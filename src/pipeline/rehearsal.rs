//! What another model would decide, without deciding it.

use serde::{Deserialize, Serialize};

use super::judge::Court;
use super::sources::{Scored, Source, own_place};
use super::verdicts::Verdicts;
use super::{Published, with_thresholds};
use crate::evidence::Merge;
use crate::model::Timestamp;
use crate::scoring::{Level, Model};

/// Names that are shown of those that would change.
const EXAMPLES_MAX: usize = 10;

/// How decisions would change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rehearsal {
    /// Names by level now, from allow to block.
    pub before: [usize; 4],
    /// And with the other model.
    pub after: [usize; 4],
    /// Names whose level would be another.
    pub changed: usize,
    /// Some of them: the name, the level now, the level then.
    pub examples: Vec<(String, String, String)>,
}

impl Rehearsal {
    /// The share of the names with a decision whose level would be another, in ppm.
    pub fn changed_ppm(&self) -> u64 {
        let all: usize = self.before.iter().sum();
        self.changed as u64 * 1_000_000 / (all.max(1) as u64)
    }
}

impl Published {
    /// Judges all names once with the model in force and once with another, both as if nothing had
    /// been decided before, so that only the models differ.
    pub fn rehearse(&self, model: &Model, now: Timestamp) -> Rehearsal {
        let model = with_thresholds(model.clone(), &self.policy.thresholds);
        let shipped = Model::shipped();
        let sources = self.sources.iter().cloned();
        let placed: Vec<Source> =
            sources.map(|source| own_place(source, &model, &shipped)).collect();
        let (now_levels, decided) = self.judged(&self.model, &self.sources, now);
        let (then_levels, would) = self.judged(&model, &placed, now);
        let mut rehearsal =
            Rehearsal { before: now_levels, after: then_levels, ..Rehearsal::default() };
        let mut merge = Merge::new([&decided.0, &would.0]);
        while let Some((name, found)) = merge.advance() {
            let level = |table: usize| {
                let found = found.iter().find(|(at, _)| *at == table);
                found.map_or(Level::Allow, |(_, payload)| super::Verdict::read(payload).level)
            };
            if level(0) == level(1) {
                continue;
            }
            rehearsal.changed += 1;
            if rehearsal.examples.len() < EXAMPLES_MAX {
                let name = name.to_owned().to_string();
                rehearsal.examples.push((name, level(0).to_string(), level(1).to_string()));
            }
        }
        rehearsal
    }

    fn judged(&self, model: &Model, sources: &[Source], now: Timestamp) -> ([usize; 4], Verdicts) {
        let scored = Scored::of(sources, model);
        let none = Verdicts::default();
        let court =
            Court { model, standings: &self.standings, scored: &scored, previous: &none, now };
        let judged = court.judge(|_, _| {});
        (judged.levels, judged.verdicts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::appraise::testing::{NOW, published};
    use super::*;
    use crate::scoring::{SHIPPED_DESCRIPTION, compile};

    #[test]
    fn the_same_model_changes_nothing_and_another_says_what_it_would() {
        let state = published(&[("openphish", &["a.net", "b.net"]), ("certpl", &["a.net"])]);
        let same = state.rehearse(&state.model, NOW);
        assert_eq!((same.changed, same.before), (0, same.after));
        let weaker = SHIPPED_DESCRIPTION.replacen(
            "domain = { pi = 0.96, half_life_days = 3 }",
            "domain = { pi = 0.60, half_life_days = 3 }",
            1,
        );
        assert_ne!(weaker, SHIPPED_DESCRIPTION);
        let json = compile::compile(&weaker).unwrap().to_canonical();
        let found = state.rehearse(&Model::from_json(&json).unwrap(), NOW);
        assert_eq!(found.examples[0].0, "b.net");
        assert!(found.changed_ppm() > 0);
        assert!(
            state.verdicts.of(crate::model::Name::from_host("b.net").unwrap().as_ref()).is_some()
        );
    }
}
