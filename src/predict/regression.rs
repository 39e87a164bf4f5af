//! Logistic regression over features that are there or not.

use super::arithmetic::{exp, ln, logistic};

/// Rounds over all examples. More follow the campaigns of the training weeks too closely.
const ROUNDS: usize = 6;
/// The first step of a weight.
const RATE: f64 = 0.1;
/// How strongly weights are drawn to zero.
const DECAY: f64 = 1e-5;

/// What is learnt from, laid out flat.
#[derive(Debug, Default)]
pub struct Examples {
    features: Vec<u32>,
    ends: Vec<usize>,
    /// Positive for malicious, negative for honest; the magnitude is how much the example counts.
    pub counts: Vec<f64>,
}

impl Examples {
    /// Takes an example.
    pub fn push(&mut self, features: impl IntoIterator<Item = u32>, count: f64) {
        self.features.extend(features);
        self.ends.push(self.features.len());
        self.counts.push(count);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The features of an example.
    pub fn features(&self, at: usize) -> &[u32] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.features[start..self.ends[at]]
    }

    /// The same examples with other numbers for the features, or without some of them.
    pub fn renumbered(&self, number: impl Fn(u32) -> Option<u32>) -> Self {
        let mut renumbered = Self::default();
        for at in 0..self.len() {
            let features = self.features(at).iter().filter_map(|f| number(*f));
            renumbered.push(features, self.counts[at]);
        }
        renumbered
    }

    /// Makes both kinds count the same in sum.
    pub fn balance(&mut self) {
        let malicious: f64 = self.counts.iter().filter(|c| **c > 0.0).sum();
        let honest: f64 = -self.counts.iter().filter(|c| **c < 0.0).sum::<f64>();
        if malicious > 0.0 && honest > 0.0 {
            self.counts.iter_mut().filter(|c| **c < 0.0).for_each(|c| *c *= malicious / honest);
        }
    }
}

/// The weights of `features` features, in nats, and the bias. Examples are taken in `order`, by
/// steps that shrink with what a weight has already moved (AdaGrad, Duchi et al. 2011).
pub fn fit(examples: &Examples, features: usize, order: &[u32]) -> (Vec<f64>, f64) {
    // The bias is the last weight.
    let mut weights = vec![0.0; features + 1];
    let mut moved = vec![1e-6; features + 1];
    for _ in 0..ROUNDS {
        for &at in order {
            let at = at as usize;
            let (present, count) = (examples.features(at), examples.counts[at]);
            let indexes = || present.iter().map(|f| *f as usize).chain([features]);
            let sum: f64 = indexes().map(|f| weights[f]).sum();
            let target = if count > 0.0 { 1.0 } else { 0.0 };
            let error = count.abs() * (logistic(sum) - target);
            for f in indexes() {
                let slope = error + DECAY * weights[f];
                moved[f] += slope * slope;
                weights[f] -= RATE * slope / moved[f].sqrt();
            }
        }
    }
    let bias = weights.pop().unwrap_or_default();
    (weights, bias)
}

/// The mean surprise of the examples under weights, in nats: what training makes small.
pub fn loss(examples: &Examples, weights: &[f64], bias: f64) -> f64 {
    let mut sum = 0.0;
    for at in 0..examples.len() {
        let margin: f64 =
            bias + examples.features(at).iter().map(|f| weights[*f as usize]).sum::<f64>();
        let against = if examples.counts[at] > 0.0 { -margin } else { margin };
        sum += examples.counts[at].abs() * ln(1.0 + exp(against));
    }
    sum / examples.counts.iter().map(|c| c.abs()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feature 0 tells all, feature 1 nothing.
    fn world() -> Examples {
        let mut examples = Examples::default();
        for at in 0..400 {
            let malicious = at % 2 == 0;
            let told = malicious.then_some(0);
            let noise = (at % 3 == 0).then_some(1);
            examples.push(told.into_iter().chain(noise), if malicious { 1.0 } else { -1.0 });
        }
        examples
    }

    #[test]
    fn what_tells_weighs_and_what_does_not_does_not() {
        let examples = world();
        let order: Vec<u32> = (0..400).collect();
        let (weights, bias) = fit(&examples, 2, &order);
        assert!(weights[0] > 3.0 && bias < -1.5, "{weights:?} {bias}");
        assert!(weights[1].abs() < 0.5, "{weights:?}");
        assert!(loss(&examples, &weights, bias) < 0.3 * loss(&examples, &[0.0, 0.0], 0.0));
    }

    #[test]
    fn both_kinds_are_made_to_count_the_same() {
        let mut examples = Examples::default();
        examples.push([0], 3.0);
        examples.push([1], -1.0);
        examples.push([1], -0.5);
        examples.balance();
        assert_eq!(examples.counts, [3.0, -2.0, -1.0]);
    }

    #[test]
    fn features_left_out_are_in_no_example() {
        let kept = world().renumbered(|f| (f == 1).then_some(0));
        assert_eq!(kept.len(), 400);
        assert_eq!(
            (kept.features(0), kept.features(1), kept.features(3)),
            (&[0][..], &[][..], &[0][..])
        );
    }
}
