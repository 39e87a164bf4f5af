//! When a zone is asked for again, and until when it is fresh: by its SOA (RFC 1035 section
//! 3.3.13), within bounds of ours.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::model::Timestamp;
use crate::zone::Soa;

/// A primary is not asked more often than this, whatever its SOA says; NOTIFY is for haste. BIND's
/// `min-refresh-time` is 300 s, and paid policy zones say 60.
const REFRESH_SECONDS_MIN: u32 = 30;
/// A day without a question is long enough for policy; BIND allows four weeks.
const REFRESH_SECONDS_MAX: u32 = 86_400;
/// As for [`REFRESH_SECONDS_MIN`].
const RETRY_SECONDS_MIN: u32 = 15;
/// A primary that was away is found again within two hours.
const RETRY_SECONDS_MAX: u32 = 7200;
/// Without any version there is no SOA to go by: the first pause, which doubles.
const FIRST_RETRY_SECONDS: u32 = 5;
/// The pause that it doubles to. BIND asks every minute.
const FIRST_RETRY_SECONDS_MAX: u32 = 320;
/// How far the dice shorten a pause, in permille, so that many zones do not meet.
const JITTER_PERMILLE: u32 = 100;

/// What happened to a zone so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schedule {
    /// When a primary last brought the version in force or confirmed it.
    pub confirmed_at: Option<Timestamp>,
    /// When a primary was asked last.
    pub asked_at: Option<Timestamp>,
    /// How often in a row nobody could be asked or nothing could be taken over since.
    pub failures: u32,
}

impl Schedule {
    /// The same after a primary confirmed the version or brought a new one.
    pub fn succeeded(self, now: Timestamp) -> Self {
        Self { confirmed_at: Some(now), asked_at: Some(now), failures: 0 }
    }

    /// The same after all primaries failed.
    pub fn failed(self, now: Timestamp) -> Self {
        Self { asked_at: Some(now), failures: self.failures.saturating_add(1), ..self }
    }

    /// When the zone is due. `soa` is that of the version in force, if there is one; no pause is
    /// shorter than `pause_min` seconds.
    pub fn next_due(
        &self,
        soa: Option<&Soa>,
        pause_min: u32,
        seed: u64,
        now: Timestamp,
    ) -> Timestamp {
        // A clock that was set back delays nothing for years.
        let Some(asked_at) = self.asked_at.map(|at| at.min(now)) else { return now };
        let pause = match (soa, self.failures) {
            (Some(soa), 0) => soa.refresh.clamp(REFRESH_SECONDS_MIN, REFRESH_SECONDS_MAX),
            (Some(soa), _) => soa.retry.clamp(RETRY_SECONDS_MIN, RETRY_SECONDS_MAX),
            (None, failures) => {
                let doublings = failures.saturating_sub(1).min(16);
                (FIRST_RETRY_SECONDS << doublings).min(FIRST_RETRY_SECONDS_MAX)
            }
        };
        let throw = seed ^ u64::from(asked_at.0).rotate_left(32);
        asked_at.plus_seconds(shortened(pause.max(pause_min), throw))
    }

    /// When the version in force is no longer what its publisher stands for: `expire` after it was
    /// last confirmed, and not before it could have been asked for again (as in BIND).
    pub fn expires_at(&self, soa: &Soa) -> Option<Timestamp> {
        let least = soa.refresh.saturating_add(soa.retry);
        Some(self.confirmed_at?.plus_seconds(soa.expire.max(least)))
    }
}

fn shortened(seconds: u32, seed: u64) -> u32 {
    let permille = ChaCha8Rng::seed_from_u64(seed).random_range(1000 - JITTER_PERMILLE..=1000);
    u32::try_from(u64::from(seconds) * u64::from(permille) / 1000).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::Serial;

    const NOW: Timestamp = Timestamp(1_787_000_000);

    fn soa(refresh: u32, retry: u32, expire: u32) -> Soa {
        Soa { refresh, retry, expire, ..Soa::ours(Serial(1)) }
    }

    fn pause(schedule: Schedule, soa: Option<&Soa>) -> u32 {
        schedule.next_due(soa, 0, 7, NOW).0 - NOW.0
    }

    #[test]
    fn a_zone_that_nobody_was_asked_for_is_due_now() {
        assert_eq!(Schedule::default().next_due(None, 300, 7, NOW), NOW);
    }

    #[test]
    fn pauses_are_those_of_the_soa_within_bounds() {
        let good = Schedule::default().succeeded(NOW);
        let bad = good.failed(NOW);
        for (schedule, soa, most) in [
            (good, soa(3600, 600, 0), 3600),
            (good, soa(1, 1, 0), REFRESH_SECONDS_MIN),
            (good, soa(u32::MAX, 1, 0), REFRESH_SECONDS_MAX),
            (bad, soa(3600, 600, 0), 600),
            (bad, soa(3600, 0, 0), RETRY_SECONDS_MIN),
            (bad, soa(3600, u32::MAX, 0), RETRY_SECONDS_MAX),
        ] {
            let pause = pause(schedule, Some(&soa));
            assert!((most * 9 / 10..=most).contains(&pause), "{pause} of {most}");
        }
    }

    #[test]
    fn a_web_server_is_asked_more_seldom() {
        let good = Schedule::default().succeeded(NOW);
        let pause = good.next_due(Some(&soa(60, 60, 0)), 300, 7, NOW).0 - NOW.0;
        assert!((270..=300).contains(&pause), "{pause}");
    }

    #[test]
    fn without_a_version_pauses_double_up_to_a_bound() {
        let failed = |times| (0..times).fold(Schedule::default(), |s, _| s.failed(NOW));
        for (failures, most) in [(1, 5), (2, 10), (4, 40), (7, 320), (99, 320)] {
            let pause = pause(failed(failures), None);
            assert!((most * 9 / 10..=most).contains(&pause), "{failures}: {pause}");
        }
    }

    #[test]
    fn a_version_expires_by_when_it_was_confirmed() {
        assert_eq!(Schedule::default().expires_at(&soa(60, 60, 600)), None);
        let confirmed = Schedule::default().succeeded(NOW).failed(NOW.plus_seconds(300));
        assert_eq!(confirmed.expires_at(&soa(60, 60, 600)), Some(NOW.plus_seconds(600)));
        assert_eq!(confirmed.expires_at(&soa(900, 60, 600)), Some(NOW.plus_seconds(960)));
    }
}
