//! How long a verdict stands (SCORING 2.9): until ageing alone would change it, and never longer
//! than its level allows. A new fact ends it at once.

use super::decision::{Previous, decide};
use super::facts::{Facts, Kind};
use super::{Level, Model, evaluate_later};

/// Hours at which the same facts are scored again.
const LATER_H: [u32; 19] =
    [1, 2, 3, 4, 6, 8, 12, 18, 24, 36, 48, 72, 96, 120, 168, 240, 336, 480, 720];

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;

/// A name that nobody saw a day ago is looked at again soon.
const FRESH_SECONDS: u32 = 15 * MINUTE;

/// Names of this rank or better are looked at once a week while they are allowed.
const RANK_STEADY: u32 = 100_000;

/// Seconds for which a level decided now stands, at least 15 minutes.
///
/// `previous` is what was in force before the decision, so that the time a level was in force and
/// the changes carry on.
pub fn valid_for_seconds(model: &Model, facts: &Facts, level: Level, previous: &Previous) -> u32 {
    let age_max = age_seconds_max(facts, level);
    let before_age_max = LATER_H.into_iter().take_while(|later_h| later_h * HOUR < age_max);
    let changes_at = before_age_max.into_iter().find(|&later_h| {
        let held_h = if level == previous.level { previous.held_h } else { 0 };
        let then = Previous { level, held_h: held_h.saturating_add(later_h), ..*previous };
        let score = evaluate_later(model, facts, later_h, &mut ());
        decide(model, facts, &score, &then).level != level
    });
    changes_at.map_or(age_max, |later_h| later_h * HOUR)
}

fn age_seconds_max(facts: &Facts, level: Level) -> u32 {
    if facts.nod_hours.is_some_and(|hours| hours < 24) {
        return FRESH_SECONDS;
    }
    match level {
        Level::Block if facts.kind == Kind::Ip => 6 * HOUR,
        Level::Block => 24 * HOUR,
        Level::Redirect | Level::Monitor => 6 * HOUR,
        Level::Allow if facts.ranked_within(RANK_STEADY) => 7 * 24 * HOUR,
        Level::Allow => 24 * HOUR,
    }
}
