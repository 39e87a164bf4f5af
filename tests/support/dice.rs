//! Numbers that look random and are the same each time.

/// A generator (SplitMix64) with its seed.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `below`.
    pub fn throw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).expect("31 bits fit") % below
    }

    /// Whether a chance of so many in a hundred comes true.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.throw(100) < percent
    }

    /// One of these.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.throw(of.len())]
    }
}
