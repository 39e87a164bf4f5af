//! Exponential and logarithm from additions, multiplications and divisions alone.
//!
//! Those of the system's library differ in the last bit from one system to the next, and a trained
//! model would differ with them. These are exact to about 1e-15, which is far more than needed.

/// ln 2.
const LN_2: f64 = std::f64::consts::LN_2;

/// e to the power of `x`; `x` beyond ±700 counts as ±700.
pub fn exp(x: f64) -> f64 {
    let x = x.clamp(-700.0, 700.0);
    let doublings = (x / LN_2).round();
    let rest = x - doublings * LN_2;
    // |rest| is at most ln 2 / 2, so the thirteenth term is below 1e-16.
    let series = (1..14).rev().fold(1.0, |sum, n| 1.0 + sum * rest / f64::from(n));
    series * f64::from_bits(((1023 + doublings as i64) as u64) << 52)
}

/// The natural logarithm of a positive, normal number.
pub fn ln(x: f64) -> f64 {
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i64 - 1023;
    let mantissa = f64::from_bits((x.to_bits() & ((1 << 52) - 1)) | (1023 << 52));
    // ln m = 2 artanh((m − 1)/(m + 1)), where the argument is at most a third.
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let square = z * z;
    let series = (0..18).rev().fold(0.0, |sum, n| sum * square + 1.0 / f64::from(2 * n + 1));
    2.0 * z * series + exponent as f64 * LN_2
}

/// 1 / (1 + e^−x).
pub fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// A natural logarithm in mban, rounded: 1000 · log10.
pub fn mban(nats: f64) -> i32 {
    (nats * 1000.0 / std::f64::consts::LN_10).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_agree_with_the_library() {
        for step in -2000..2000 {
            let x = f64::from(step) * 0.0173;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-14, "exp {x}");
            let positive = f64::from(step + 2001) * 0.37;
            let off = (ln(positive) - positive.ln()).abs();
            assert!(off < 1e-14 * positive.ln().abs().max(1.0), "ln {positive}");
        }
        assert_eq!(mban(ln(100.0)), 2000);
        assert_eq!(logistic(0.0), 0.5);
    }

    #[test]
    fn what_is_too_large_stays_finite() {
        assert!(exp(1e9).is_finite() && exp(-1e9) > 0.0);
    }
}
