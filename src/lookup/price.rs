//! What a look-up must be worth to be asked: a price that rises where more is spent than planned
//! and falls where less is, so that a quota lasts for its day (SCORING 5.1).

/// The step of the price in each round.
const STEP: f64 = 0.2;
/// Below this a price is no price.
const PRICE_MIN: f64 = 1e-9;
/// A look-up is worth less than the loss of one decision about all of a network's traffic.
const PRICE_MAX: f64 = 1e3;

/// A price of one unit of a quota.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price(f64);

impl Default for Price {
    /// Low: in its first hours a program learns what look-ups are worth here.
    fn default() -> Self {
        Self(1e-4)
    }
}

impl Price {
    /// The price.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The price after a round in which so many units were spent where so many were planned.
    pub fn after(self, spent: f64, planned: f64) -> Self {
        if planned <= 0.0 {
            return self;
        }
        let off = ((spent - planned) / planned).clamp(-1.0, 5.0);
        Self((self.0 * (STEP * off).exp()).clamp(PRICE_MIN, PRICE_MAX))
    }
}

/// Units that are planned for the next round: what is left of the day over the rounds that are left,
/// by the share of queries of each hour where it is known.
pub fn planned(left: u32, seconds_left: u32, round_seconds: u32, hours: Option<&[f64; 24]>) -> f64 {
    let rounds = (f64::from(seconds_left) / f64::from(round_seconds.max(1))).max(1.0);
    let even = f64::from(left) / rounds;
    let Some(hours) = hours else { return even };
    let now = 24 - (seconds_left.div_ceil(3600) as usize).clamp(1, 24);
    let rest: f64 = hours[now..].iter().sum();
    let mean = rest / (24 - now) as f64;
    if mean > 0.0 { even * hours[now] / mean } else { even }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_follows_what_is_spent() {
        let price = Price::default();
        assert!(price.after(20.0, 10.0).get() > price.get());
        assert!(price.after(0.0, 10.0).get() < price.get());
        assert_eq!(price.after(10.0, 10.0), price);
        let mut low = price;
        (0..500).for_each(|_| low = low.after(0.0, 10.0));
        assert_eq!(low.get(), PRICE_MIN);
    }

    #[test]
    fn the_plan_is_what_is_left_by_the_hour() {
        assert_eq!(planned(96, 86_400, 900, None), 1.0);
        assert_eq!(planned(96, 900, 900, None), 96.0);
        let mut hours = [1.0; 24];
        hours[23] = 3.0;
        // In the last two hours: a quarter now, three quarters then.
        assert_eq!(planned(80, 7200, 900, Some(&hours)), 5.0);
        assert_eq!(planned(60, 3600, 900, Some(&hours)), 15.0);
    }
}
