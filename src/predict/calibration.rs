//! From a sum of weights to what it is worth: a table that never falls, made from a later slice of
//! time than the weights.

use super::PREDICTION_MBAN_MAX;
use super::arithmetic::{ln, mban};

/// Most points of a curve. With steps of a few dozen mban, more would follow chance.
const POINTS_MAX: usize = 64;

/// Of what never occurred among n names, at most 3/n is there with a confidence of 95 % (the rule
/// of three; Hanley and Lippman-Hand 1983).
const UNSEEN: f64 = 3.0;

/// Less than odds of two to one is within the error of what a few thousand names show.
const MBAN_MIN: i32 = 301;

/// From the centre of the last step to its end the curve rises by this, in mban: nothing tells the
/// names there apart but their order, which is kept.
const ORDER_MBAN: i32 = 50;

/// The share that one single name stands for, among the malicious and among the honest, so that
/// what was never seen is not taken for impossible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grain {
    /// Among the malicious.
    pub malicious: f64,
    /// Among the honest; 0 where the honest share is an estimate and no count.
    pub honest: f64,
}

/// A group of names with about the same sum of weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The sum of weights.
    pub margin: i32,
    /// The share of all malicious names that it holds.
    pub malicious: f64,
    /// The share of all honest names that it holds.
    pub honest: f64,
}

/// A table from sums of weights to mban. Between two points it is a straight line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Curve(pub(super) Vec<(i32, i32)>);

/// Neighbouring samples that are one step of the curve.
#[derive(Debug, Clone, Copy)]
struct Pool {
    /// Sum of margins, weighted by what the pool holds, for its centre.
    moment: f64,
    malicious: f64,
    honest: f64,
    /// Its largest margin.
    last: i32,
}

impl Pool {
    fn of(samples: &[Sample]) -> Self {
        let empty = Pool { moment: 0.0, malicious: 0.0, honest: 0.0, last: i32::MIN };
        samples.iter().fold(empty, |pool, s| {
            let share = s.malicious + s.honest;
            pool.with(Pool {
                moment: share * f64::from(s.margin),
                malicious: s.malicious,
                honest: s.honest,
                last: s.margin,
            })
        })
    }

    fn with(self, other: Pool) -> Pool {
        Pool {
            moment: self.moment + other.moment,
            malicious: self.malicious + other.malicious,
            honest: self.honest + other.honest,
            last: self.last.max(other.last),
        }
    }

    /// Compares the odds of two pools without dividing by nothing.
    fn is_above(&self, other: &Pool) -> bool {
        self.malicious * other.honest > other.malicious * self.honest
    }

    /// How much more of the malicious names than of the honest ones, in mban.
    fn point(&self, grain: Grain) -> (i32, i32) {
        let centre = self.moment / (self.malicious + self.honest);
        let malicious = self.malicious + grain.malicious / 2.0;
        let honest = self.honest + UNSEEN * grain.honest;
        (centre.round() as i32, mban(ln(malicious / honest)).min(PREDICTION_MBAN_MAX))
    }
}

impl Curve {
    /// The curve that fits the samples best among those that never fall (pool adjacent
    /// violators).
    pub fn fit(mut samples: Vec<Sample>, grain: Grain) -> Self {
        samples.retain(|s| s.malicious + s.honest > 0.0);
        samples.sort_by_key(|s| s.margin);
        let mut pools: Vec<Pool> = Vec::new();
        let in_a_pool = samples.len().div_ceil(POINTS_MAX).max(1);
        for chunk in samples.chunks(in_a_pool) {
            let mut pool = Pool::of(chunk);
            while let Some(before) = pools.pop_if(|before| !pool.is_above(before)) {
                pool = before.with(pool);
            }
            pools.push(pool);
        }
        let mut points: Vec<(i32, i32)> = Vec::new();
        for (at, mban) in pools.iter().map(|pool| pool.point(grain)) {
            // Rounding and the grain may undo an order that was strict before.
            match points.last() {
                Some((last, _)) if *last >= at => {}
                Some((_, held)) => points.push((at, mban.max(*held))),
                None => points.push((at, mban)),
            }
        }
        if let (Some(pool), Some((at, mban))) = (pools.last(), points.last().copied())
            && pool.last > at
        {
            points.push((pool.last, (mban + ORDER_MBAN).min(PREDICTION_MBAN_MAX.max(mban))));
        }
        Self(points)
    }

    /// What a sum of weights is worth, in mban: nothing where that is within the error of the
    /// curve, or where the curve has no points.
    pub fn at(&self, margin: i32) -> i32 {
        let mban = self.between(margin);
        if mban.abs() < MBAN_MIN { 0 } else { mban }
    }

    fn between(&self, margin: i32) -> i32 {
        let next = self.0.partition_point(|(at, _)| *at <= margin);
        match (next.checked_sub(1).map(|before| self.0[before]), self.0.get(next).copied()) {
            (Some((from, low)), Some((to, high))) => {
                let (past, span) = (i64::from(margin - from), i64::from(to - from));
                low + (i64::from(high - low) * past / span) as i32
            }
            (Some((_, mban)), None) | (None, Some((_, mban))) => mban,
            (None, None) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(margin: i32, malicious: f64, honest: f64) -> Sample {
        Sample { margin, malicious, honest }
    }

    const FINE: Grain = Grain { malicious: 1e-9, honest: 0.0 };

    #[test]
    fn a_group_is_worth_the_ratio_of_its_shares() {
        let curve = Curve::fit(vec![sample(10, 0.5, 0.05), sample(0, 0.05, 0.5)], FINE);
        assert_eq!(curve.0, [(0, -1000), (10, 1000)]);
        assert_eq!(
            [-5, 0, 2, 5, 6, 10, 99].map(|m| curve.between(m)),
            [-1000, -1000, -600, 0, 200, 1000, 1000]
        );
        assert_eq!([2, 5, 6, 8].map(|m| curve.at(m)), [-600, 0, 0, 600]);
    }

    #[test]
    fn neighbours_out_of_order_are_taken_together() {
        let curve =
            Curve::fit(vec![sample(0, 0.1, 0.1), sample(4, 0.4, 0.1), sample(8, 0.1, 0.4)], FINE);
        assert_eq!(curve.0, [(5, 0), (8, ORDER_MBAN)], "the last two, and then all three, are one");
        let curve =
            Curve::fit(vec![sample(0, 0.1, 0.8), sample(4, 0.4, 0.01), sample(8, 0.4, 0.03)], FINE);
        assert_eq!(curve.0.len(), 3);
        assert!(curve.0.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
    }

    #[test]
    fn what_was_never_seen_is_not_impossible_and_nothing_is_beyond_the_cap() {
        let grain = Grain { malicious: 0.01, honest: 0.001 };
        let never = Curve::fit(vec![sample(0, 0.1, 1.0), sample(9, 0.295, 0.0)], grain);
        assert_eq!(never.at(9), 2000);
        let certain = Curve::fit(vec![sample(9, 1.0, 1e-9)], FINE);
        assert_eq!(certain.at(9), PREDICTION_MBAN_MAX);
        assert_eq!(Curve::default().at(5), 0);
    }
}
