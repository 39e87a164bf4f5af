//! Scores as people read and write them.

use std::fmt;

/// Millibans shown as points (decibans): 1500 mban are 15.00 points, exactly (SCORING 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Points(pub i64);

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let digits = format!("{}.{:02}", magnitude / 100, magnitude % 100);
        f.pad_integral(self.0 >= 0, "", &digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_two_exact_decimals_and_a_sign_on_demand() {
        let shown = [1500, -5, 0, 62].map(|mban| format!("{:+}|{}", Points(mban), Points(mban)));
        assert_eq!(shown, ["+15.00|15.00", "-0.05|-0.05", "+0.00|0.00", "+0.62|0.62"]);
        assert_eq!(format!("{:>8}", Points(-2000)), "  -20.00");
    }
}
