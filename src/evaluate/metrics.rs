//! The figures of the protocol, from scores and counts.

/// The area under the receiver operating characteristic: the chance that a malicious name has a
/// higher score than a benign one, where equal scores count half. None where either kind is missing.
pub fn auc(malicious: &[i64], benign: &[i64]) -> Option<f64> {
    if malicious.is_empty() || benign.is_empty() {
        return None;
    }
    let mut benign = benign.to_vec();
    benign.sort_unstable();
    let pairs = malicious.iter().map(|score| {
        let below = benign.partition_point(|b| b < score);
        let up_to = benign.partition_point(|b| b <= score);
        (below + up_to) as f64 / 2.0
    });
    Some(pairs.sum::<f64>() / malicious.len() as f64 / benign.len() as f64)
}

/// The score that a name must exceed so that at most `rate_ppm` of the benign names do.
pub fn bound_at(benign: &[i64], rate_ppm: u32) -> i64 {
    let mut benign = benign.to_vec();
    benign.sort_unstable_by(|a, b| b.cmp(a));
    let allowed = (benign.len() as u64 * u64::from(rate_ppm) / 1_000_000) as usize;
    benign.get(allowed).copied().unwrap_or(i64::MIN)
}

/// How many scores exceed a bound.
pub fn above(scores: &[i64], bound: i64) -> usize {
    scores.iter().filter(|score| **score > bound).count()
}

/// The share `part / whole`, none of nothing.
pub fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Of what is caught, the share that is malicious, where `prevalence` of all names are. None where
/// nothing is caught.
pub fn precision(detection: f64, false_positives: f64, prevalence: f64) -> Option<f64> {
    let right = detection * prevalence;
    let caught = right + false_positives * (1.0 - prevalence);
    (caught > 0.0).then(|| right / caught)
}

/// Wilson's interval of 95 % for a share (Wilson 1927).
pub fn wilson(part: usize, whole: usize) -> Option<(f64, f64)> {
    const Z: f64 = 1.96;
    let p = share(part, whole)?;
    let n = whole as f64;
    let centre = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    Some((((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_counts_pairs_in_the_right_order_and_equal_ones_half() {
        assert_eq!(auc(&[3, 1], &[2, 0]), Some(0.75));
        assert_eq!(auc(&[5], &[5, 5]), Some(0.5));
        assert_eq!(auc(&[9, 8], &[1]), Some(1.0));
        assert_eq!(auc(&[], &[1]), None);
    }

    #[test]
    fn at_a_rate_equal_scores_are_all_caught_or_none() {
        let benign = [9, 7, 7, 7, 0, 0, 0, 0, 0, 0];
        // One in ten may exceed the bound: the 9 does, the three 7 together would be too many.
        assert_eq!(bound_at(&benign, 100_000), 7);
        assert_eq!(bound_at(&benign, 399_999), 7);
        assert_eq!(bound_at(&benign, 400_000), 0);
        assert_eq!(bound_at(&benign, 0), 9);
        assert_eq!(bound_at(&benign, 1_000_000), i64::MIN);
        assert_eq!(above(&[10, 9, 8, 7], 7), 3);
    }

    #[test]
    fn precision_is_that_of_the_rare() {
        let found = precision(0.5, 0.005, 0.01).unwrap();
        assert!((found - 0.005 / (0.005 + 0.00495)).abs() < 1e-12);
        assert_eq!(precision(0.0, 0.0, 0.01), None);
    }

    #[test]
    fn an_interval_holds_its_share_and_stays_within_bounds() {
        let (low, high) = wilson(9, 10).unwrap();
        assert!((low - 0.5958).abs() < 1e-3 && (high - 0.9821).abs() < 1e-3, "{low} {high}");
        assert_eq!(wilson(0, 10).unwrap().0, 0.0);
        assert_eq!(wilson(0, 0), None);
    }
}
