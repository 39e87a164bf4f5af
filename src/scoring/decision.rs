//! From a score to a level: thresholds with hysteresis, then guards, then a limit on changes
//! (SCORING 2.9).

use super::facts::Facts;
use super::guards::{self, Findings, Guard};
use super::{Level, Model, Score};

/// What is in force for the indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    /// The level.
    pub level: Level,
    /// Hours that it has been in force.
    pub held_h: u32,
    /// How often the level changed in the last seven days.
    pub changes: u32,
}

/// Nothing was decided yet.
impl Default for Previous {
    fn default() -> Self {
        Self::held(Level::Allow)
    }
}

impl Previous {
    /// A level that has been in force long enough to fall, and did not change lately.
    pub const fn held(level: Level) -> Self {
        Self { level, held_h: u32::MAX, changes: 0 }
    }
}

/// What is to be done, and why not more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The level.
    pub level: Level,
    /// The guards that spoke, in order.
    pub guards: Findings,
    /// The level changed too often: it was held down and a person should look.
    pub ticket: bool,
}

impl Decision {
    /// Who asks for this name is infected (G6).
    pub fn alerts(&self) -> bool {
        self.guards.iter().any(|finding| finding.guard == Guard::Sinkholed)
    }

    /// Whether a person should look at it (G5, G8, or too many changes).
    pub fn asks_for_review(&self) -> bool {
        self.ticket || self.guards.iter().any(|finding| finding.guard.asks_for_review())
    }
}

/// Decides what is to be done.
///
/// A level rises at once and falls once it was in force for `min_dwell_h`; a guard lowers it at
/// once. After `changes_max` changes it only falls, and a ticket is raised.
pub fn decide(model: &Model, facts: &Facts, score: &Score, previous: &Previous) -> Decision {
    let mut scored = crossed(model, score.mban, previous.level);
    if scored < previous.level && previous.held_h < model.min_dwell_h {
        scored = previous.level;
    }
    let guarded = guards::apply(model, facts, score, scored);
    let unsteady = !guarded.is_final
        && previous.changes >= model.changes_max
        && guarded.level != previous.level;
    let level = if unsteady { guarded.level.min(previous.level) } else { guarded.level };
    Decision { level, guards: guarded.findings, ticket: unsteady }
}

/// The highest level that the score reaches, or stays in.
fn crossed(model: &Model, mban: i64, previous: Level) -> Level {
    let holds = |level: &Level| {
        model.step(*level).is_some_and(|step| {
            mban >= i64::from(step.on) || (previous >= *level && mban >= i64::from(step.off))
        })
    };
    Level::ALL.into_iter().rev().find(holds).unwrap_or(Level::Allow)
}
