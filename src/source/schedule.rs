//! When a source is to be fetched again: a pure function of what happened before.
//!
//! A source that works is fetched every interval, spread by a tenth either way so that many do not
//! meet. One that fails is tried sooner, then ever later up to the interval, and never before the
//! time its server asked for.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::model::Timestamp;

/// The shortest interval that makes sense: abuse.ch makes its exports every five minutes and asks
/// not to fetch faster; no list in use is made more often.
pub const INTERVAL_SECONDS_MIN: u32 = 300;

/// The pause after the first failure; it doubles with each further one.
const BACK_OFF_SECONDS: u32 = 60;

/// A server may ask to be left alone for this long; more would end a source by one odd answer.
const RETRY_AFTER_SECONDS_MAX: u32 = 24 * 60 * 60;

/// How far the dice move a pause, in permille either way.
const JITTER_PERMILLE: u32 = 100;

/// What happened to a source so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    /// When it was asked last.
    pub last_attempt: Option<Timestamp>,
    /// When it was asked last and what came was accepted or unchanged.
    pub last_success: Option<Timestamp>,
    /// How often in a row it has failed since.
    pub failures: u32,
    /// How long the server asked to be left alone at the last attempt, in seconds.
    pub retry_after_seconds: Option<u32>,
}

impl Attempts {
    /// The same after a success.
    pub fn succeeded(self, now: Timestamp) -> Self {
        Self {
            last_attempt: Some(now),
            last_success: Some(now),
            failures: 0,
            retry_after_seconds: None,
        }
    }

    /// The same after a failure.
    pub fn failed(self, now: Timestamp, retry_after_seconds: Option<u32>) -> Self {
        Self {
            last_attempt: Some(now),
            failures: self.failures.saturating_add(1),
            retry_after_seconds,
            ..self
        }
    }

    /// When the source is due. It may lie in the past: then it is due now. An attempt in the future
    /// (the clock was set back) counts as one made now, so that no source waits for years.
    pub fn next_due(&self, interval_seconds: u32, seed: u64, now: Timestamp) -> Timestamp {
        let Some(last) = self.last_attempt.map(|last| last.min(now)) else { return now };
        let pause = match self.failures {
            0 => interval_seconds,
            failures => back_off_seconds(failures).min(interval_seconds),
        };
        // Another throw for each attempt, and the same one however often it is asked.
        let throw = seed ^ u64::from(self.last_attempt.unwrap_or(last).0).rotate_left(32);
        let asked = self.retry_after_seconds.unwrap_or(0).min(RETRY_AFTER_SECONDS_MAX);
        last.plus_seconds(jittered(pause, throw).max(asked))
    }
}

fn back_off_seconds(failures: u32) -> u32 {
    let doublings = (failures - 1).min(u32::BITS - 1);
    u32::try_from(u64::from(BACK_OFF_SECONDS) << doublings).unwrap_or(u32::MAX)
}

fn jittered(seconds: u32, seed: u64) -> u32 {
    let range = 1000 - JITTER_PERMILLE..=1000 + JITTER_PERMILLE;
    let permille = ChaCha8Rng::seed_from_u64(seed).random_range(range);
    let moved = u64::from(seconds) * u64::from(permille) / 1000;
    u32::try_from(moved).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_787_000_000);
    const HOUR: u32 = 3600;

    fn pause(attempts: Attempts, seed: u64) -> u32 {
        attempts.next_due(HOUR, seed, NOW).0 - NOW.0
    }

    fn failed(times: u32) -> Attempts {
        let ok = Attempts::default().succeeded(NOW);
        (0..times).fold(ok, |attempts, _| attempts.failed(NOW, None))
    }

    #[test]
    fn a_source_that_was_never_asked_is_due_now() {
        assert_eq!(Attempts::default().next_due(HOUR, 1, NOW), NOW);
    }

    #[test]
    fn sources_that_work_are_spread_by_a_tenth_around_the_interval() {
        let pauses: Vec<u32> = (0..200).map(|seed| pause(failed(0), seed)).collect();
        assert!(pauses.iter().all(|pause| (3240..=3960).contains(pause)));
        assert!(pauses.iter().min() < Some(&3300) && pauses.iter().max() > Some(&3900));
        assert_eq!(pause(failed(0), 5), pause(failed(0), 5));
    }

    #[test]
    fn the_throw_changes_from_attempt_to_attempt() {
        let pauses: std::collections::BTreeSet<u32> = (0..20)
            .map(|n| {
                let at = Timestamp(NOW.0 - n);
                Attempts::default().succeeded(at).next_due(HOUR, 9, NOW).0 - at.0
            })
            .collect();
        assert!(pauses.len() > 10);
    }

    #[test]
    fn failures_double_the_pause_up_to_the_interval() {
        for (failures, seconds) in [(1, 60), (2, 120), (3, 240), (6, 1920), (7, HOUR), (99, HOUR)] {
            let pause = pause(failed(failures), 3);
            let (least, most) = (seconds * 9 / 10, seconds * 11 / 10);
            assert!((least..=most).contains(&pause), "{failures} failures: {pause}");
        }
        assert_eq!(failed(3).succeeded(NOW).failures, 0);
        assert_eq!(failed(3).last_success, Some(NOW));
    }

    #[test]
    fn the_server_is_left_alone_as_long_as_it_asks_but_a_day_at_most() {
        let asked = |seconds| pause(failed(0).failed(NOW, Some(seconds)), 1);
        assert_eq!(asked(7200), 7200);
        assert_eq!(asked(u32::MAX), RETRY_AFTER_SECONDS_MAX);
        assert!(asked(1) >= 54);
    }

    #[test]
    fn a_clock_set_back_delays_no_source_beyond_its_interval() {
        let future = Attempts::default().succeeded(Timestamp(NOW.0 + 30_000_000));
        assert!(future.next_due(HOUR, 1, NOW) <= NOW.plus_seconds(3960));
    }

    proptest! {
        #[test]
        fn no_history_overflows(
            last in any::<u32>(), failures in any::<u32>(), retry in any::<Option<u32>>(),
            interval in any::<u32>(), seed in any::<u64>(), now in any::<u32>(),
        ) {
            let attempts = Attempts {
                last_attempt: Some(Timestamp(last)),
                last_success: None,
                failures,
                retry_after_seconds: retry,
            };
            let due = attempts.next_due(interval, seed, Timestamp(now));
            prop_assert!(due.0 >= last.min(now));
        }
    }
}
