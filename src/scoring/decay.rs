//! Integer arithmetic of ageing (SCORING 2.1 and 2.4): a weight is read off 33 knots, so that a
//! verdict replays to the same bytes on every machine.

/// Knots of a decay curve: one each 6/32 half-life, from fresh to gone.
pub const KNOTS: usize = 33;

/// The precision of a list for one kind of indicator, and what its entries weigh as they age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    /// Precision for "this answer should be blocked", in ppm.
    pub precision_ppm: u32,
    /// Age in hours, past the grace, at which an entry weighs nothing: six half-lives.
    pub span_h: u32,
    /// Weight in mban at `k · span_h / 32`.
    pub knots: [i16; KNOTS],
}

impl Curve {
    /// The weight of an entry of `age_h` hours where the first `grace_h` do not count.
    pub fn weight(&self, age_h: u32, grace_h: u32) -> i32 {
        let past_grace_h = age_h.saturating_sub(grace_h);
        if past_grace_h == 0 {
            return i32::from(self.knots[0]);
        }
        if past_grace_h >= self.span_h {
            return 0;
        }
        let position = (u64::from(past_grace_h) * 32 * 1024 / u64::from(self.span_h)) as usize;
        let (knot, fraction) = (position >> 10, (position & 1023) as i64);
        let (from, to) = (i64::from(self.knots[knot]), i64::from(self.knots[knot + 1]));
        rdiv(from * (1024 - fraction) + to * fraction, 1024) as i32
    }
}

/// A weight that falls in a straight line to nothing over `span_h` hours after the grace.
pub fn linear(weight: i32, age_h: u32, grace_h: u32, span_h: u32) -> i32 {
    let left_h = span_h.saturating_sub(age_h.saturating_sub(grace_h));
    if left_h == span_h {
        return weight;
    }
    rdiv(i64::from(weight) * i64::from(left_h), i64::from(span_h)) as i32
}

/// `n / d` to the nearest integer, halves away from zero (SCORING 2.1); `d` is positive.
pub fn rdiv(n: i64, d: i64) -> i64 {
    n.signum() * ((2 * n.abs() + d) / (2 * d))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(span_h: u32) -> Curve {
        let mut knots = [0; KNOTS];
        for (k, knot) in knots.iter_mut().enumerate() {
            *knot = 3200 - 100 * k as i16;
        }
        Curve { precision_ppm: 900_000, span_h, knots }
    }

    #[test]
    fn halves_round_away_from_zero() {
        for (n, d, expected) in [(5, 2, 3), (-5, 2, -3), (4, 3, 1), (-4, 3, -1), (0, 7, 0)] {
            assert_eq!(rdiv(n, d), expected, "{n}/{d}");
        }
    }

    #[test]
    fn an_entry_keeps_its_weight_through_the_grace_and_is_gone_after_six_half_lives() {
        let curve = curve(320);
        assert_eq!(curve.weight(48, 48), 3200);
        assert_eq!(curve.weight(49, 48), 3190);
        assert_eq!(curve.weight(48 + 319, 48), 10);
        assert_eq!(curve.weight(48 + 320, 48), 0);
        assert_eq!(curve.weight(u32::MAX, 48), 0);
    }

    #[test]
    fn between_two_knots_the_weight_is_interpolated() {
        // 12 of 1008 hours: position 390 of 1024 between the first two knots (SCORING V3).
        let mut curve = curve(1008);
        curve.knots[0] = 3361;
        curve.knots[1] = 2921;
        assert_eq!(curve.weight(60, 48), 3193);
    }

    #[test]
    fn a_linear_weight_ends_at_its_span() {
        assert_eq!(linear(2650, 400, 72, 2160), 2248);
        assert_eq!(linear(-500, 100, 0, 720), -431);
        assert_eq!(linear(-500, 720, 0, 720), 0);
        assert_eq!(linear(1800, u32::MAX, 72, 1440), 0);
    }
}
