//! What is remembered about a server that did not answer. Pure.
//!
//! A failure puts the server behind the others for a time that doubles with each further failure
//! and has a bound; the first answer makes it whole again. It stays in the list: where all servers
//! are in penalty they are all still asked.

/// The first penalty. No source: long enough that a burst of questions does not wait for the same
/// dead server.
const PENALTY_MILLISECONDS_MIN: u64 = 1_000;
/// The longest: one question in half a minute finds out whether the server is back.
const PENALTY_MILLISECONDS_MAX: u64 = 30_000;

/// One server's record. Times are milliseconds of the caller's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Health {
    failures: u32,
    penalty_until: u64,
}

impl Health {
    /// It answered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It did not. Failures within a penalty are of the same outage and count once.
    pub fn failed(&mut self, now: u64) {
        if now < self.penalty_until {
            return;
        }
        let penalty = PENALTY_MILLISECONDS_MIN << self.failures.min(10);
        self.failures = self.failures.saturating_add(1);
        self.penalty_until = now + penalty.min(PENALTY_MILLISECONDS_MAX);
    }

    /// When it may be asked first again; 0 if it may now.
    fn rank(&self, now: u64) -> u64 {
        if now < self.penalty_until { self.penalty_until } else { 0 }
    }
}

/// The order in which to ask: as listed, those in penalty last, the soonest free of them first.
pub(super) fn order(servers: &[Health], now: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..servers.len()).collect();
    order.sort_by_key(|&at| servers[at].rank(now));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_double_up_to_their_bound_and_end_with_an_answer() {
        let mut health = Health::default();
        let mut now = 0;
        let mut penalties = Vec::new();
        for _ in 0..8 {
            health.failed(now);
            penalties.push(health.penalty_until - now);
            now = health.penalty_until;
        }
        assert_eq!(penalties, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        health.succeeded();
        assert_eq!(health, Health::default());
    }

    #[test]
    fn a_burst_of_failures_counts_once() {
        let mut health = Health::default();
        (0..50).for_each(|_| health.failed(5));
        assert_eq!((health.failures, health.penalty_until), (1, 1_005));
    }

    #[test]
    fn servers_are_asked_as_listed_and_those_in_penalty_last() {
        let mut servers = [Health::default(); 4];
        servers[0].failed(0);
        servers[2].failed(500);
        assert_eq!(order(&servers, 600), [1, 3, 0, 2]);
        assert_eq!(order(&servers, 1_000), [0, 1, 3, 2]);
        assert_eq!(order(&servers, 9_000), [0, 1, 2, 3]);
    }
}
