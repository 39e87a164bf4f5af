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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::{Facts, Kind, Listing, score};

    /// A young name on a tier-A list, blocked by its score alone.
    fn blocked(model: &Model) -> Facts {
        let mut facts = Facts::new(Kind::Domain);
        let certpl = model.source_index("certpl").unwrap();
        facts.listings.push(Listing::new(certpl, 0));
        facts
    }

    fn level(facts: &Facts, previous: Previous) -> (Level, bool) {
        let model = Model::shipped();
        let decision = decide(&model, facts, &score(&model, facts), &previous);
        (decision.level, decision.ticket)
    }

    #[test]
    fn a_level_rises_at_once_and_falls_after_six_hours() {
        let facts = blocked(&Model::shipped());
        let just = |level| Previous { level, held_h: 0, changes: 0 };
        assert_eq!(level(&facts, just(Level::Allow)).0, Level::Block);
        // Enough direct evidence that no guard speaks, but a score below all thresholds.
        let model = Model::shipped();
        let mut faded = Facts::new(Kind::Domain);
        faded.listings.push(Listing::new(model.source_index("urlhaus").unwrap(), 800));
        let held = |held_h| Previous { level: Level::Redirect, held_h, changes: 0 };
        assert_eq!(level(&faded, held(5)).0, Level::Redirect);
        assert_eq!(level(&faded, held(6)).0, Level::Allow);
    }

    #[test]
    fn a_guard_lowers_a_level_that_is_held() {
        let mut facts = Facts::new(Kind::Domain);
        facts.rank30 = Some(1);
        let just = Previous { level: Level::Block, held_h: 0, changes: 0 };
        assert_eq!(level(&facts, just).0, Level::Monitor);
    }

    #[test]
    fn after_four_changes_a_level_only_falls_and_a_ticket_is_raised() {
        let facts = blocked(&Model::shipped());
        let unsteady = |level, changes| Previous { level, held_h: 90, changes };
        assert_eq!(level(&facts, unsteady(Level::Monitor, 3)), (Level::Block, false));
        assert_eq!(level(&facts, unsteady(Level::Monitor, 4)), (Level::Monitor, true));
        assert_eq!(level(&facts, unsteady(Level::Block, 4)), (Level::Block, false));
        let clean = Facts::new(Kind::Domain);
        assert_eq!(level(&clean, unsteady(Level::Block, 4)), (Level::Allow, true));
    }

    #[test]
    fn an_administrator_is_not_held_back_by_changes() {
        let mut facts = Facts::new(Kind::Domain);
        facts.admin = Some(crate::scoring::facts::Admin::Deny);
        let unsteady = Previous { level: Level::Allow, held_h: 0, changes: 9 };
        assert_eq!(level(&facts, unsteady), (Level::Block, false));
    }

    #[test]
    fn thresholds_hold_exactly_at_their_value() {
        let model = Model::shipped();
        for (mban, previous, expected) in [
            (1500, Level::Allow, Level::Block),
            (1499, Level::Allow, Level::Redirect),
            (1499, Level::Redirect, Level::Redirect),
            (1100, Level::Block, Level::Block),
            (1099, Level::Block, Level::Redirect),
            (999, Level::Allow, Level::Monitor),
            (700, Level::Redirect, Level::Redirect),
            (699, Level::Block, Level::Monitor),
            (0, Level::Allow, Level::Monitor),
            (-1, Level::Allow, Level::Allow),
            (-300, Level::Monitor, Level::Monitor),
            (-301, Level::Block, Level::Allow),
        ] {
            assert_eq!(crossed(&model, mban, previous), expected, "{mban} from {previous}");
        }
    }
}
