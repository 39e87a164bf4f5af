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
    let (held_h, changes) = if level == previous.level {
        (previous.held_h, previous.changes)
    } else {
        (0, previous.changes.saturating_add(1))
    };
    let mut hours = LATER_H.into_iter().take_while(|later_h| later_h * HOUR < age_max);
    let changes_at = hours.find(|&later_h| {
        let then = Previous { level, held_h: held_h.saturating_add(later_h), changes };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::{Listing, score};

    fn listed(source: &str, age_h: u32) -> (Model, Facts) {
        let model = Model::shipped();
        let mut facts = Facts::new(Kind::Domain);
        facts.listings.push(Listing::new(model.source_index(source).unwrap(), age_h));
        (model, facts)
    }

    fn hours(model: &Model, facts: &Facts, previous: Previous) -> u32 {
        let level = decide(model, facts, &score(model, facts), &previous).level;
        valid_for_seconds(model, facts, level, &previous) / HOUR
    }

    #[test]
    fn a_steady_verdict_stands_as_long_as_its_level_allows() {
        let (model, mut facts) = listed("certpl", 0);
        assert_eq!(hours(&model, &facts, Previous::default()), 24);
        facts.kind = Kind::Ip;
        facts.listings[0] = Listing::new(model.source_index("feodo").unwrap(), 0);
        assert_eq!(hours(&model, &facts, Previous::default()), 6);
        let (model, facts) = listed("openphish", 0);
        assert_eq!(hours(&model, &facts, Previous::default()), 6);
        let mut unknown = Facts::new(Kind::Domain);
        assert_eq!(hours(&model, &unknown, Previous::default()), 24);
        unknown.rank30 = Some(100_000);
        assert_eq!(hours(&model, &unknown, Previous::default()), 168);
        unknown.rank30 = Some(100_001);
        assert_eq!(hours(&model, &unknown, Previous::default()), 24);
    }

    #[test]
    fn a_name_first_seen_today_is_looked_at_again_in_a_quarter_of_an_hour() {
        let (model, mut facts) = listed("certpl", 0);
        facts.nod_hours = Some(23);
        let previous = Previous::default();
        assert_eq!(valid_for_seconds(&model, &facts, Level::Block, &previous), FRESH_SECONDS);
        facts.nod_hours = Some(24);
        assert_eq!(valid_for_seconds(&model, &facts, Level::Block, &previous), 24 * HOUR);
    }

    #[test]
    fn a_verdict_ends_at_the_first_hour_at_which_age_would_change_it() {
        // Scan for the last age at which the list still holds a redirect.
        let (model, mut facts) = listed("openphish", 720);
        let held = Previous::held(Level::Redirect);
        let level_at = |facts: &mut Facts, age_h: u32| {
            facts.listings[0].age_h = age_h;
            decide(&model, facts, &score(&model, facts), &held).level
        };
        let last =
            (720..).find(|&age_h| level_at(&mut facts, age_h) != Level::Redirect).unwrap() - 1;
        for (before_h, expected) in [(0, 1), (2, 3), (3, 4), (4, 6), (5, 6), (90, 6)] {
            facts.listings[0].age_h = last - before_h;
            assert_eq!(hours(&model, &facts, held), expected, "{before_h} h before");
        }
        // A level that only began is held for six hours first.
        facts.listings[0].age_h = last;
        let just = Previous { level: Level::Redirect, held_h: 0, changes: 0 };
        assert_eq!(hours(&model, &facts, just), 6);
    }
}
