//! Rates of listed addresses in fixed point, their smoothing over days, and their ratio in mban
//! (SCORING 2.8).
//!
//! Everything is integer arithmetic with stated rounding. Floating-point logarithms and powers
//! differ between platforms and library versions; these do not.

/// Binary places of a rate: one unit is 8.7e-19. Where one IPv6 /64 in all announced space is
/// listed, the global rate is still millions of units.
const RATE_BITS: u32 = 60;

/// 2^(-1/7) in units of 2^-64: half of a rate is forgotten in seven days.
const LAMBDA: u128 = 16_707_652_636_178_719_992;

/// 1000 · log10(2) in units of 2^-40.
const MBAN_PER_OCTAVE: i128 = 330_985_980_541_906;

/// Binary places of a logarithm.
const LOG_BITS: u32 = 40;

/// Parts in a million: the unit of precisions and of the sums of them.
const PPM: u128 = 1_000_000;

/// Listed addresses per announced address, each weighted with the precision of its best list. At
/// most 16, which IPv6 can reach where whole prefixes are listed and which is beyond every rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rate(pub(super) u64);

impl Rate {
    /// `ΣH / ΣN`, with the sum of weights in ppm; nothing announced has rate 0.
    pub(super) fn global(weight_ppm: u64, announced: u64) -> Self {
        match announced {
            0 => Self(0),
            _ => Self::quotient(u128::from(weight_ppm) << RATE_BITS, u128::from(announced) * PPM),
        }
    }

    /// `R = (H + κ·g) / (N + κ)`: few addresses say little, and pull towards the global rate `g`.
    pub(super) fn shrunken(weight_ppm: u64, announced: u64, global: Rate, kappa: u64) -> Self {
        let pull = u128::from(kappa) * u128::from(global.0) * PPM;
        let weight = u128::from(weight_ppm) << RATE_BITS;
        let space = (u128::from(announced) + u128::from(kappa)) * PPM;
        Self::quotient(weight + pull, space)
    }

    /// The rate of `bad` among `all`, pulled towards `within` as by so many more of it. Nothing at
    /// all has the rate it is pulled to, or 0.
    pub fn of_counts(bad: u32, all: u32, within: Rate, pull: u64) -> Self {
        match u64::from(all) + pull {
            0 => within,
            _ => Self::shrunken(u64::from(bad) * PPM as u64, all.into(), within, pull),
        }
    }

    /// `r / (1 − r)`, at most 16 to one; what is more lies beyond every weight.
    pub fn odds(self) -> Self {
        let one = 1u64 << RATE_BITS;
        match one.checked_sub(self.0) {
            None | Some(0) => Self(u64::MAX),
            Some(rest) => Self::quotient(u128::from(self.0) << RATE_BITS, rest.into()),
        }
    }

    /// `E ← λ·E + (1 − λ)·R` with λ = 2^(-1/7).
    pub(super) fn smoothed(self, today: Rate) -> Self {
        let one = 1u128 << 64;
        let sum = u128::from(self.0) * LAMBDA + u128::from(today.0) * (one - LAMBDA) + one / 2;
        Self((sum >> 64) as u64)
    }

    /// `1000 · log10(E / E_g)` to the nearest integer, halves away from zero; none where the global
    /// rate is 0, since nothing was listed then. A rate too small to be told from 0 counts as one
    /// unit.
    pub fn log_ratio_mban(self, global: Rate) -> Option<i32> {
        if global.0 == 0 {
            return None;
        }
        let octaves = log2(self.0.max(1)) - log2(global.0);
        let product = i128::from(octaves) * MBAN_PER_OCTAVE;
        let unit = 1i128 << (2 * LOG_BITS);
        let rounded = product.signum() * ((2 * product.abs() + unit) / (2 * unit));
        Some(i32::try_from(rounded).expect("64 octaves are 19,266 mban"))
    }

    /// The rate as a number, for people.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / (1u64 << RATE_BITS) as f64
    }

    fn quotient(n: u128, d: u128) -> Self {
        let rounded = n / d + u128::from(n % d >= d.div_ceil(2));
        Self(u64::try_from(rounded).unwrap_or(u64::MAX))
    }
}

/// The logarithm of a positive number to base 2, in units of 2^-40, digit by digit: squaring a
/// number doubles its logarithm, and each time it reaches 2 the next binary digit is 1. An error of
/// one place in the last bit of a square weighs as much less as its digit does, so forty digits of
/// 63-bit squares are sound.
fn log2(number: u64) -> i64 {
    let shift = number.leading_zeros();
    let mut mantissa = u128::from(number) << shift;
    let mut log = i64::from(63 - shift);
    for _ in 0..LOG_BITS {
        let square = (mantissa * mantissa) >> 63;
        let digit = square >> 64;
        mantissa = square >> digit;
        log = log << 1 | digit as i64;
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rate in units of a thousandth of the global one.
    fn ratio(milli: u64) -> Option<i32> {
        Rate(milli * 1_000_000_000).log_ratio_mban(Rate(1_000_000_000_000))
    }

    #[test]
    fn logarithms_are_those_of_mathematics() {
        // 1000 · log10 of 1, 2, 10, 0.5, 0.001, 31.623, 3.01, rounded.
        for (milli, mban) in [
            (1000, 0),
            (2000, 301),
            (10_000, 1000),
            (500, -301),
            (1, -3000),
            (31_623, 1500),
            (3010, 479),
            (999, 0),
            (998, -1),
        ] {
            assert_eq!(ratio(milli), Some(mban), "{milli}");
        }
        assert_eq!(log2(1), 0);
        assert_eq!(log2(u64::MAX) >> LOG_BITS, 63);
        assert_eq!(log2(3), 1_742_684_699_131, "log2(3) · 2^40, cut off");
        assert_eq!(Rate(5).log_ratio_mban(Rate(0)), None);
        assert_eq!(Rate(0).log_ratio_mban(Rate(u64::MAX)), Some(-19266));
    }

    #[test]
    fn rounding_changes_at_half_a_millibans_ratio() {
        // 10^(0.0005) = 1.0011519556: the largest ratio that is 0 and the smallest that is 1.
        let global = Rate(1 << 60);
        let at = |billionths: u64| {
            let rate = (u128::from(billionths) << 60) / 1_000_000_000;
            Rate(u64::try_from(rate).unwrap()).log_ratio_mban(global)
        };
        assert_eq!((at(1_001_151_955), at(1_001_151_956)), (Some(0), Some(1)));
        assert_eq!((at(998_849_370), at(998_849_368)), (Some(0), Some(-1)));
    }

    #[test]
    fn seven_days_halve_what_was_and_the_rest_is_what_is() {
        let mut rate = Rate(1 << 60);
        (0..7).for_each(|_| rate = rate.smoothed(Rate(0)));
        assert!(rate.0.abs_diff(1 << 59) < 8, "{rate:?}");
        let mut rate = Rate(0);
        (0..14).for_each(|_| rate = rate.smoothed(Rate(1 << 60)));
        assert!(rate.0.abs_diff((1 << 60) / 4 * 3) < 16, "{rate:?}");
        assert_eq!(Rate(u64::MAX).smoothed(Rate(u64::MAX)), Rate(u64::MAX));
    }

    #[test]
    fn the_largest_inputs_saturate_and_do_not_overflow() {
        assert_eq!(Rate::global(u64::MAX, 1), Rate(u64::MAX));
        assert_eq!(Rate::global(u64::MAX, 0), Rate(0));
        assert_eq!(Rate::shrunken(u64::MAX, 0, Rate(u64::MAX), 4096), Rate(u64::MAX));
        assert!(Rate::shrunken(u64::MAX, u64::MAX, Rate(u64::MAX), 4096) < Rate(1 << 60));
    }
}
