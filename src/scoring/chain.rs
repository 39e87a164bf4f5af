//! The dependence chain (SCORING 2.5): what says the same thing twice counts once.
//!
//! Items of one sign are taken in order of stage, weight and id; each keeps only the share of its
//! weight that the items before it did not already say.

use smallvec::SmallVec;

/// A factor of 1: nothing before it says the same.
pub const WHOLE_PPM: u32 = 1_000_000;

/// An item of which less than this is left is not held against later ones: else many copies would
/// silence a later independent list.
const HEARD_PPM: u32 = 50_000;

/// Weights below this, in mban, are no group of their own (SCORING 2.5, diversity).
pub const GROUP_MBAN_MIN: u32 = 500;

/// One item of a chain. Its place in the chain, its weight and what it is are packed into one
/// number, so that sorting is cheap: stage, weight from the heaviest, rank, tag.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    order: u64,
    /// The share that counts, once the chain has run.
    pub factor_ppm: u32,
    negative: bool,
}

/// The items of one chain. Sixteen lie on the stack; more are rare and spill.
type Items = SmallVec<[Item; 16]>;

impl Item {
    fn new(stage: u8, rank: u16, tag: u16, mban: i32) -> Self {
        let lightness = u64::from(u16::MAX) - u64::from(mban.unsigned_abs());
        let order =
            u64::from(stage) << 48 | lightness << 32 | u64::from(rank) << 16 | u64::from(tag);
        Self { order, factor_ppm: WHOLE_PPM, negative: mban < 0 }
    }

    /// Magnitude in mban.
    pub fn weight(&self) -> u32 {
        u32::from(u16::MAX) - u32::from((self.order >> 32) as u16)
    }

    /// The place of its id among all ids.
    pub fn rank(&self) -> u16 {
        (self.order >> 16) as u16
    }

    /// What the item is, in the terms of whoever built the chain.
    pub fn tag(&self) -> u16 {
        self.order as u16
    }

    /// What the item would add alone.
    pub fn raw(&self) -> i32 {
        self.signed(self.weight())
    }

    /// What the item adds to the score, rounded halves away from zero.
    pub fn contribution(&self) -> i32 {
        let (whole, part) = (u64::from(WHOLE_PPM), u64::from(self.factor_ppm));
        self.signed(((2 * u64::from(self.weight()) * part + whole) / (2 * whole)) as u32)
    }

    fn signed(&self, magnitude: u32) -> i32 {
        if self.negative { -(magnitude as i32) } else { magnitude as i32 }
    }
}

/// The items of a channel: what speaks against an indicator and what speaks for it are two chains.
#[derive(Debug, Default)]
pub struct Chains {
    /// What raises the score.
    pub positive: Items,
    /// What lowers it.
    pub negative: Items,
}

impl Chains {
    /// Adds an item, unless it weighs nothing; no weight is beyond 16 bits (`check::MBAN_MAX`).
    /// `rank` is its place in the order of ids, so ties break as the ids would.
    pub fn add(&mut self, stage: u8, rank: u16, tag: u16, mban: i32) {
        match mban {
            0 => {}
            1.. => self.positive.push(Item::new(stage, rank, tag, mban)),
            _ => self.negative.push(Item::new(stage, rank, tag, mban)),
        }
    }

    /// Sorts both chains and sets what share of each item counts.
    pub fn run(&mut self, coupling: &impl Coupling) {
        run(&mut self.positive, coupling);
        run(&mut self.negative, coupling);
    }
}

/// How two items depend on each other.
pub trait Coupling {
    /// The share of the one that the other repeats, in permille.
    fn permille(&self, one: &Item, other: &Item) -> u32;

    /// Whether both are verbatim copies of one origin; they repeat 1000 permille.
    fn copies(&self, one: &Item, other: &Item) -> bool;
}

fn run(items: &mut [Item], coupling: &impl Coupling) {
    items.sort_unstable_by_key(|item| item.order);
    for k in 1..items.len() {
        let (before, rest) = items.split_at_mut(k);
        rest[0].factor_ppm = factor_ppm(&rest[0], before, coupling);
    }
}

fn factor_ppm(item: &Item, before: &[Item], coupling: &impl Coupling) -> u32 {
    let mut factor = WHOLE_PPM;
    for other in before {
        let permille = coupling.permille(item, other);
        if permille == 1000 && coupling.copies(item, other) {
            return 0;
        }
        if other.factor_ppm < HEARD_PPM {
            continue;
        }
        // Relative to the item's own weight: a source that says almost nothing must not dampen a
        // strong one.
        let said = if other.weight() >= item.weight() {
            permille
        } else {
            permille * other.weight() / item.weight()
        };
        factor = factor * (1000 - said) / 1000;
    }
    factor
}

/// How many independent groups speak, in ppm of one group; the items are in chain order.
///
/// It uses the whole coupling, not the one relative to weights, so that a decayed member cannot
/// make its aggregator look independent. By the letter of the document the copies of an item that
/// is hardly heard are groups of their own, however small; `distinct_origins` makes them none.
pub fn diversity_ppm(items: &[Item], coupling: &impl Coupling, distinct_origins: bool) -> u32 {
    let mut groups: SmallVec<[(&Item, u32); 16]> = SmallVec::new();
    let mut sum = 0;
    for item in items.iter().filter(|item| item.weight() >= GROUP_MBAN_MIN) {
        let mut group = WHOLE_PPM;
        for (other, other_group) in &groups {
            let permille = coupling.permille(item, other);
            if *other_group >= HEARD_PPM
                || (distinct_origins && permille == 1000 && coupling.copies(item, other))
            {
                group = group * (1000 - permille) / 1000;
            }
        }
        groups.push((item, group));
        sum += group;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything repeats the same share of everything; equal tags are copies.
    struct Same(u32);

    impl Coupling for Same {
        fn permille(&self, one: &Item, other: &Item) -> u32 {
            if one.tag() == other.tag() { 1000 } else { self.0 }
        }

        fn copies(&self, one: &Item, other: &Item) -> bool {
            one.tag() == other.tag()
        }
    }

    /// Items of those stages, weights and tags, with ranks in that order.
    fn items<const N: usize>(of: [(u8, i32, u16); N]) -> Items {
        let item = |(rank, (stage, mban, tag))| Item::new(stage, rank as u16, tag, mban);
        of.into_iter().enumerate().map(item).collect()
    }

    fn counted(items: &mut [Item], coupling: &Same) -> Vec<(u16, i32)> {
        run(items, coupling);
        items.iter().map(|item| (item.rank(), item.contribution())).collect()
    }

    #[test]
    fn an_earlier_stage_comes_first_then_the_heavier_then_the_lower_id() {
        let mut items = items([(2, 9000, 0), (0, 200, 1), (0, 200, 2), (0, 300, 3)]);
        let order: Vec<u16> =
            counted(&mut items, &Same(0)).into_iter().map(|(rank, _)| rank).collect();
        assert_eq!(order, [3, 1, 2, 0]);
    }

    #[test]
    fn what_an_equally_heavy_item_repeats_does_not_count() {
        let mut positive = items([(0, 2602, 0), (2, 2602, 1)]);
        assert_eq!(counted(&mut positive, &Same(600)), [(0, 2602), (1, 1041)]);
        let mut negative = items([(0, -279, 0), (0, -279, 1)]);
        assert_eq!(counted(&mut negative, &Same(500)), [(0, -279), (1, -140)]);
    }

    #[test]
    fn a_weak_item_dampens_a_strong_one_only_by_what_it_says() {
        let mut items = items([(0, 100, 0), (1, 2000, 1)]);
        assert_eq!(counted(&mut items, &Same(600)), [(0, 100), (1, 1940)]);
    }

    #[test]
    fn copies_add_nothing_and_dampen_nothing() {
        let mut items = items([(0, 2602, 7), (0, 2602, 7), (0, 2602, 7), (2, 2602, 8)]);
        assert_eq!(counted(&mut items, &Same(600)), [(0, 2602), (1, 0), (2, 0), (3, 1041)]);
        assert_eq!(diversity_ppm(&items, &Same(600), false), 1_400_000);
    }

    #[test]
    fn an_item_that_is_hardly_heard_is_not_held_against_later_ones() {
        let mut items =
            items([(0, 1000, 0), (0, 1000, 1), (0, 1000, 2), (0, 1000, 3), (0, 1000, 4)]);
        let counted: Vec<i32> =
            counted(&mut items, &Same(800)).into_iter().map(|(_, mban)| mban).collect();
        assert_eq!(counted, [1000, 200, 40, 40, 40]);
    }

    #[test]
    fn diversity_counts_only_groups_of_some_weight() {
        let mut items = items([(0, 2000, 0), (0, 499, 1), (1, 500, 2)]);
        run(&mut items, &Same(400));
        assert_eq!(diversity_ppm(&items, &Same(400), false), 1_600_000);
    }

    #[test]
    fn copies_of_what_is_hardly_heard_are_groups_only_by_the_letter() {
        let mut items =
            items([(0, 1000, 0), (0, 1000, 1), (0, 1000, 2), (0, 1000, 2), (0, 1000, 2)]);
        run(&mut items, &Same(800));
        assert_eq!(diversity_ppm(&items, &Same(800), false), 1_320_000);
        assert_eq!(diversity_ppm(&items, &Same(800), true), 1_240_000);
    }
}
