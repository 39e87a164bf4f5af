//! The value of information: by how much an answer is expected to lower the loss of the decision.

/// Chances of each outcome of a look-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likelihoods {
    /// If the indicator is malicious, if it is benign.
    pub outcomes: &'static [(f64, f64)],
    /// By what the logarithm of their ratio enters the score: weights are damped (SCORING 2.5).
    pub damping: f64,
}

/// The share of a likelihood ratio that SCORING 2.5 lets into the weights of providers.
const DAMPING: f64 = 0.85;

impl Likelihoods {
    /// VirusTotal: 0, 1, 2, 3–4, 5–9, 10–14 and 15 or more engines (SCORING 2.5).
    pub const VIRUS_TOTAL: Self = Self {
        outcomes: &[
            (0.25, 0.955_3),
            (0.12, 0.036),
            (0.10, 0.006),
            (0.15, 0.002),
            (0.20, 0.000_6),
            (0.10, 0.000_08),
            (0.08, 0.000_02),
        ],
        damping: DAMPING,
    };
    /// The same within a day of the first sighting, when engines lag: a clean answer weighs −90
    /// instead of −500 mban, so 0.75 of the malicious have no engine yet and the others share what
    /// is left as before.
    pub const VIRUS_TOTAL_FRESH: Self = Self {
        outcomes: &[
            (0.748_6, 0.955_3),
            (0.040_2, 0.036),
            (0.033_5, 0.006),
            (0.050_3, 0.002),
            (0.067, 0.000_6),
            (0.033_5, 0.000_08),
            (0.026_9, 0.000_02),
        ],
        damping: DAMPING,
    };
    /// APIVoid: 0, 1, 2, 3, 4–5 and 6 or more detections, by the weights of SCORING 2.5 with the
    /// malicious as VirusTotal sees them.
    pub const API_VOID: Self = Self {
        outcomes: &[
            (0.45, 0.773),
            (0.15, 0.213),
            (0.12, 0.010_5),
            (0.10, 0.002_3),
            (0.10, 0.000_8),
            (0.08, 0.000_16),
        ],
        damping: DAMPING,
    };
    /// Threat Intelligence Platform: a malware database lists it, or none does.
    pub const TIP: Self = Self { outcomes: &[(0.76, 0.984), (0.24, 0.016)], damping: DAMPING };
}

/// What a wrong decision costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stakes {
    /// The score from which on it is blocked, in mban; a wrong block costs as many missed ones as
    /// the odds there are, so that loss and threshold agree.
    pub block_on_mban: i32,
}

impl Stakes {
    fn false_block_cost(self) -> f64 {
        10_f64.powf(f64::from(self.block_on_mban) / 1000.0)
    }

    /// The expected loss of the better decision at a probability of malice.
    pub fn loss(self, probability: f64) -> f64 {
        ((1.0 - probability) * self.false_block_cost()).min(probability)
    }
}

/// The probability that a score of that many mban stands for.
pub fn probability(mban: i64) -> f64 {
    sigmoid(mban as f64 / 1000.0)
}

fn sigmoid(log_odds: f64) -> f64 {
    1.0 / (1.0 + 10_f64.powf(-log_odds))
}

/// By how much an answer is expected to lower the loss; 0 where no answer changes the decision.
/// `independence` is the share of its weight that such an item would keep beside what is known.
pub fn value(mban: i64, independence: f64, likelihoods: Likelihoods, stakes: Stakes) -> f64 {
    let log_odds = mban as f64 / 1000.0;
    let p = sigmoid(log_odds);
    let then = |(if_malicious, if_benign): &(f64, f64)| {
        log_odds + independence * likelihoods.damping * (if_malicious / if_benign).log10()
    };
    // Said outright, since sums of floats that ought to cancel out leave a crumb.
    let blocks = |log_odds: f64| log_odds * 1000.0 >= f64::from(stakes.block_on_mban);
    if likelihoods.outcomes.iter().all(|outcome| blocks(then(outcome)) == blocks(log_odds)) {
        return 0.0;
    }
    let expected: f64 = likelihoods
        .outcomes
        .iter()
        .map(|outcome| {
            let chance = p * outcome.0 + (1.0 - p) * outcome.1;
            chance * stakes.loss(sigmoid(then(outcome)))
        })
        .sum();
    (stakes.loss(p) - expected).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAKES: Stakes = Stakes { block_on_mban: 1500 };

    fn worth(mban: i64) -> f64 {
        value(mban, 1.0, Likelihoods::VIRUS_TOTAL, STAKES)
    }

    #[test]
    fn tables_are_of_probabilities() {
        let tables = [
            Likelihoods::VIRUS_TOTAL,
            Likelihoods::VIRUS_TOTAL_FRESH,
            Likelihoods::API_VOID,
            Likelihoods::TIP,
        ];
        for table in tables {
            let malicious: f64 = table.outcomes.iter().map(|(m, _)| m).sum();
            let benign: f64 = table.outcomes.iter().map(|(_, b)| b).sum();
            assert!((malicious - 1.0).abs() < 0.01 && (benign - 1.0).abs() < 0.01, "{table:?}");
        }
    }

    #[test]
    fn an_answer_is_worth_most_where_it_can_change_the_decision() {
        assert_eq!(worth(-6000), 0.0, "so clean that nothing blocks it");
        assert_eq!(worth(6000), 0.0, "so bad that nothing clears it");
        assert!(worth(400) > worth(-1500) && worth(-1500) > worth(-3500));
        assert!(worth(1200) > worth(3000));
    }

    #[test]
    fn what_is_known_already_and_what_is_too_fresh_is_worth_less() {
        let copied = value(400, 0.5, Likelihoods::VIRUS_TOTAL, STAKES);
        let fresh = value(400, 1.0, Likelihoods::VIRUS_TOTAL_FRESH, STAKES);
        assert!(copied < worth(400) && fresh < worth(400));
    }
}
