//! How scores relate to what reviewers found (SCORING 4.5). It is said, for people who set
//! thresholds; scores themselves stay what they are.

use serde::{Deserialize, Serialize};

/// Fewer reviews tell nothing of probabilities.
const REVIEWS_MIN: usize = 200;
/// Newton's method is there after a handful of steps, or never.
const STEPS_MAX: usize = 50;
/// Bins of the calibration error.
const BINS: usize = 15;

/// Something that was reviewed, and what it scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reviewed {
    /// The score.
    pub mban: i64,
    /// What was found.
    pub malicious: bool,
}

/// `p = 1 / (1 + 10^−((A·S + 1000·B) / 10⁶))`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// A, in permille.
    pub slope_permille: i32,
    /// B, in mban.
    pub intercept_mban: i32,
    /// How many reviews it rests on.
    pub reviews: usize,
    /// The expected calibration error of scores as they are, in ppm.
    pub error_before_ppm: u32,
    /// And with the calibration, in ppm.
    pub error_after_ppm: u32,
}

impl Calibration {
    /// Platt's method on reviews; none where there are too few, or only of one kind.
    pub fn of(reviewed: &[Reviewed]) -> Option<Self> {
        let bad = reviewed.iter().filter(|r| r.malicious).count();
        if reviewed.len() < REVIEWS_MIN || bad == 0 || bad == reviewed.len() {
            return None;
        }
        // In bans, so that both parameters are of the same size.
        let samples: Vec<(f64, f64)> = reviewed
            .iter()
            .map(|r| (r.mban as f64 / 1000.0, f64::from(u8::from(r.malicious))))
            .collect();
        let (slope, intercept) = fit(&samples)?;
        Some(Self {
            slope_permille: (slope * 1000.0).round() as i32,
            intercept_mban: (intercept * 1000.0).round() as i32,
            reviews: reviewed.len(),
            error_before_ppm: error_ppm(&samples, 1.0, 0.0),
            error_after_ppm: error_ppm(&samples, slope, intercept),
        })
    }
}

fn probability(bans: f64) -> f64 {
    1.0 / (1.0 + 10f64.powf(-bans.clamp(-30.0, 30.0)))
}

/// Newton's method on the log-likelihood.
fn fit(samples: &[(f64, f64)]) -> Option<(f64, f64)> {
    let (mut slope, mut intercept) = (1.0, 0.0);
    for _ in 0..STEPS_MAX {
        let (mut g0, mut g1, mut h00, mut h01, mut h11) = (0.0, 0.0, 1e-9, 0.0, 1e-9);
        for (bans, label) in samples {
            let p = probability(slope * bans + intercept);
            let (off, weight) = (label - p, p * (1.0 - p) * std::f64::consts::LN_10);
            g0 += off * bans;
            g1 += off;
            h00 += weight * bans * bans;
            h01 += weight * bans;
            h11 += weight;
        }
        let determinant = h00 * h11 - h01 * h01;
        if determinant.abs() < 1e-12 {
            return None;
        }
        let step0 = (h11 * g0 - h01 * g1) / determinant;
        let step1 = (h00 * g1 - h01 * g0) / determinant;
        // A step is bounded, so that reviews that are told apart perfectly do not run away.
        slope += step0.clamp(-1.0, 1.0);
        intercept += step1.clamp(-1.0, 1.0);
        if step0.abs().max(step1.abs()) < 1e-7 {
            break;
        }
    }
    (slope.is_finite() && intercept.is_finite()).then_some((slope, intercept))
}

/// How far probabilities lie from what was found, over bins of them.
fn error_ppm(samples: &[(f64, f64)], slope: f64, intercept: f64) -> u32 {
    let mut bins = [(0.0, 0.0, 0.0); BINS];
    for (bans, label) in samples {
        let p = probability(slope * bans + intercept);
        let bin = &mut bins[((p * BINS as f64) as usize).min(BINS - 1)];
        *bin = (bin.0 + p, bin.1 + label, bin.2 + 1.0);
    }
    let off: f64 = bins.iter().map(|(said, found, _)| (said - found).abs()).sum();
    (off / samples.len() as f64 * 1e6).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores that are ten times too sure of themselves.
    fn overconfident() -> Vec<Reviewed> {
        (0..500)
            .map(|n| {
                let mban = (n % 5) * 1000 - 2000;
                // At −2 … +2 bans, what is found is as at −1 … +1 bans.
                let share = probability(mban as f64 / 2000.0);
                Reviewed { mban, malicious: f64::from((n / 5) as i32 % 100) < share * 100.0 }
            })
            .collect()
    }

    #[test]
    fn scores_that_are_too_sure_are_flattened() {
        let found = Calibration::of(&overconfident()).unwrap();
        assert!((400..600).contains(&found.slope_permille), "{found:?}");
        assert!(found.intercept_mban.abs() < 200, "{found:?}");
        assert!(found.error_after_ppm < found.error_before_ppm / 2, "{found:?}");
    }

    #[test]
    fn too_few_reviews_or_reviews_of_one_kind_say_nothing() {
        assert_eq!(Calibration::of(&overconfident()[..199]), None);
        let one_kind = vec![Reviewed { mban: 1, malicious: true }; 300];
        assert_eq!(Calibration::of(&one_kind), None);
    }
}
