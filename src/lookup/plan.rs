//! Whom to ask about next: most by value, some by how long they wait, some by chance.

use std::collections::BTreeMap;

use rand::{Rng, RngExt as _};

use super::value::{Likelihoods, Stakes, value};
use crate::model::Timestamp;

/// Of ten look-ups, those for what waits longest, so that nothing waits for ever (SCORING 5.1).
const WAITING_OF_TEN: usize = 1;
/// Of ten, those for anything by chance: they are what likelihoods are measured by.
const RANDOM_OF_TEN: usize = 1;
/// A name is new for a day.
const FRESH_SECONDS: u32 = 86_400;
/// Asked while new and old enough now: most of a first answer's worth (SCORING 5.1, novelty).
const RIPENED: f64 = 0.7;
/// Asked before: at most half of it.
const REPEATED_MAX: f64 = 0.5;
/// Days after which a repeated question has that.
const REPEATED_DAYS: f64 = 60.0;
/// What is asked about one of a cluster says half as much about each of the others.
const SIBLING_SHARE: f64 = 0.5;

/// Something that may be asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Its score in mban.
    pub mban: i64,
    /// Queries expected in a week, as distinct clients and hours; 0.1 where only feeds name it.
    pub traffic: f64,
    /// Since when it waits.
    pub since: Timestamp,
    /// When it was seen first.
    pub first_seen: Timestamp,
    /// When the service was asked about it last.
    pub asked_at: Option<Timestamp>,
    /// The share of its weight that the service's item would keep beside what is known.
    pub independence: f64,
    /// Names that were registered together are asked about once.
    pub cluster: Option<u64>,
}

/// Why something is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// What the answer is worth.
    Value,
    /// How long it waits.
    Waiting,
    /// Chance.
    Random,
}

impl Lane {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Waiting => "waiting",
            Self::Random => "random",
        }
    }
}

/// A candidate that is to be asked about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pick {
    /// Its place among the candidates.
    pub at: usize,
    /// Why.
    pub lane: Lane,
    /// What the answer is worth.
    pub value: f64,
}

/// What an answer about each candidate is worth, traffic and novelty counted; a cluster's worth is
/// with the candidate of it that is worth most.
pub fn values(
    candidates: &[Candidate],
    tables: (Likelihoods, Likelihoods),
    stakes: Stakes,
    now: Timestamp,
) -> Vec<f64> {
    let mut values: Vec<f64> = candidates
        .iter()
        .map(|candidate| {
            let is_fresh = candidate.first_seen.age_seconds(now) < FRESH_SECONDS;
            let table = if is_fresh { tables.1 } else { tables.0 };
            let worth = value(candidate.mban, candidate.independence, table, stakes);
            novelty(candidate, is_fresh, now) * candidate.traffic.ln_1p() * worth
        })
        .collect();
    share_clusters(candidates, &mut values);
    values
}

fn novelty(candidate: &Candidate, is_fresh: bool, now: Timestamp) -> f64 {
    let Some(asked_at) = candidate.asked_at else { return 1.0 };
    let was_fresh = candidate.first_seen.age_seconds(asked_at) < FRESH_SECONDS;
    if was_fresh && !is_fresh {
        return RIPENED;
    }
    let days = f64::from(asked_at.age_seconds(now)) / 86_400.0;
    (days / REPEATED_DAYS).min(REPEATED_MAX)
}

fn share_clusters(candidates: &[Candidate], values: &mut [f64]) {
    let mut clusters: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, candidate) in candidates.iter().enumerate() {
        if let Some(cluster) = candidate.cluster {
            clusters.entry(cluster).or_default().push(at);
        }
    }
    for members in clusters.into_values().filter(|members| members.len() > 1) {
        let best = members.iter().copied().max_by(|a, b| values[*a].total_cmp(&values[*b]));
        let Some(best) = best else { continue };
        let others: f64 = members.iter().filter(|at| **at != best).map(|at| values[*at]).sum();
        values[best] += SIBLING_SHARE * others;
        members.iter().filter(|at| **at != best).for_each(|at| values[*at] = 0.0);
    }
}

/// Picks up to `count` candidates, given what each is worth, in the order in which they are asked
/// about. Only those worth something are picked, by any lane: where no answer changes the decision
/// nothing is asked. The value lane keeps to the price; what it leaves falls to what waits.
pub fn plan(
    candidates: &[Candidate],
    values: &[f64],
    price: f64,
    count: usize,
    dice: &mut impl Rng,
) -> Vec<Pick> {
    let mut eligible: Vec<usize> = (0..candidates.len()).filter(|&at| values[at] > 0.0).collect();
    let mut picks = Vec::new();
    let share = |of_ten: usize| (count * of_ten).div_ceil(10).min(count);
    let (waiting, random) = match count {
        // With one look-up in hand the lanes take turns by chance.
        1 => match dice.random_range(0..10_usize) {
            0 => (1, 0),
            1 => (0, 1),
            _ => (0, 0),
        },
        _ => (share(WAITING_OF_TEN), share(RANDOM_OF_TEN).min(count - share(WAITING_OF_TEN))),
    };
    let of_value = count.saturating_sub(waiting + random);
    let take = |picks: &mut Vec<Pick>, at: usize, lane| {
        picks.push(Pick { at, lane, value: values[at] });
    };

    eligible.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    let dear = eligible.iter().take(of_value).take_while(|&&at| values[at] >= price).count();
    eligible.drain(..dear).for_each(|at| take(&mut picks, at, Lane::Value));

    for _ in 0..random.min(eligible.len()) {
        let at = eligible.swap_remove(dice.random_range(0..eligible.len()));
        take(&mut picks, at, Lane::Random);
    }
    let left = count - picks.len();
    eligible.sort_by_key(|&at| (candidates[at].since, at));
    eligible.into_iter().take(left).for_each(|at| take(&mut picks, at, Lane::Waiting));
    picks
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    const NOW: Timestamp = Timestamp(1_790_000_000);
    const STAKES: Stakes = Stakes { block_on_mban: 1500 };
    const TABLES: (Likelihoods, Likelihoods) =
        (Likelihoods::VIRUS_TOTAL, Likelihoods::VIRUS_TOTAL_FRESH);

    fn candidate(mban: i64, traffic: f64) -> Candidate {
        Candidate {
            mban,
            traffic,
            since: NOW,
            first_seen: Timestamp(NOW.0 - 30 * 86_400),
            asked_at: None,
            independence: 1.0,
            cluster: None,
        }
    }

    fn picked(candidates: &[Candidate], price: f64, count: usize) -> Vec<(usize, Lane)> {
        let values = values(candidates, TABLES, STAKES, NOW);
        let mut dice = ChaCha8Rng::seed_from_u64(7);
        let picks = plan(candidates, &values, price, count, &mut dice);
        picks.into_iter().map(|pick| (pick.at, pick.lane)).collect()
    }

    #[test]
    fn the_most_valuable_come_first_and_each_lane_has_its_share() {
        let mut candidates: Vec<Candidate> =
            (0..100).map(|n| candidate(400, f64::from(n))).collect();
        candidates[3].since = Timestamp(1);
        candidates[50].mban = -9000;
        let picks = picked(&candidates, 0.0, 10);
        assert_eq!(picks.len(), 10);
        assert_eq!(picks[0], (99, Lane::Value));
        assert_eq!(picks.iter().filter(|(_, lane)| *lane == Lane::Value).count(), 8);
        assert_eq!(picks.iter().filter(|(_, lane)| *lane == Lane::Random).count(), 1);
        assert_eq!(picks.last(), Some(&(3, Lane::Waiting)));
        assert!(
            !picked(&candidates, 0.0, 100).iter().any(|(at, _)| *at == 50),
            "nothing changes it"
        );
    }

    #[test]
    fn what_is_not_worth_its_price_is_left_to_what_waits() {
        let candidates: Vec<Candidate> = (1..20).map(|_| candidate(400, 1.0)).collect();
        let picks = picked(&candidates, 1e3, 10);
        assert_eq!(picks.iter().filter(|(_, lane)| *lane == Lane::Waiting).count(), 9);
        assert_eq!(picks.iter().filter(|(_, lane)| *lane == Lane::Value).count(), 0);
    }

    #[test]
    fn a_cluster_is_asked_about_once_and_for_all() {
        let alone = values(&[candidate(400, 5.0)], TABLES, STAKES, NOW)[0];
        let together: Vec<Candidate> = [5.0, 4.0, 3.0]
            .into_iter()
            .map(|traffic| Candidate { cluster: Some(1), ..candidate(400, traffic) })
            .collect();
        let shared = values(&together, TABLES, STAKES, NOW);
        assert!(shared[0] > alone, "{shared:?}");
        assert_eq!(shared[1..], [0.0, 0.0]);
    }

    #[test]
    fn a_question_asked_before_is_worth_less_and_more_again_with_time() {
        let first = candidate(400, 5.0);
        let asked = |first_seen: u32, asked: u32| Candidate {
            first_seen: Timestamp(NOW.0 - first_seen * 86_400),
            asked_at: Some(Timestamp(NOW.0 - asked * 86_400)),
            ..first
        };
        let all = [first, asked(3, 3), asked(90, 6), asked(90, 60), asked(90, 80)];
        let values = values(&all, TABLES, STAKES, NOW);
        let shares: Vec<f64> = values.iter().map(|value| value / values[0]).collect();
        for (share, expected) in shares.iter().zip([1.0, 0.7, 0.1, 0.5, 0.5]) {
            assert!((share - expected).abs() < 1e-9, "{shares:?}");
        }
    }
}
