//! Which lists name the same things, and what that says of them (SCORING 4.1).

use std::collections::{BTreeMap, HashMap};

use super::{
    AggregatorChange, COPY_PERMILLE, CopyChange, CouplingChange, INDEPENDENT_PERMILLE, Learnt,
    Material,
};
use crate::evidence::{Merge, NameClaim};
use crate::model::{NameRef, Timestamp, Trust};
use crate::pipeline::{Ranks, Source};
use crate::scoring::{Kind, Model};
use crate::zone::Mode;

/// Lists that are held against each other: a set of them is one word.
const SOURCES_MAX: usize = 64;
/// A list is held by what it named in so many days.
const WINDOW_SECONDS: u32 = 30 * 86_400;
/// Smaller lists tell nothing of each other.
const NAMES_MIN: u64 = 50;
/// Lists that share this much of the smaller one are no measure of chance for each other.
const RELATED_PERMILLE: u64 = 600;
/// Names of this rank are mistakes of a list that names them.
const MISTAKE_RANK_MAX: u32 = 100_000;
/// So many shared mistakes, and half of the smaller list's, are a sign of copying.
const MISTAKES_MIN: u64 = 5;
/// And make at least this coupling, in permille.
const MISTAKES_PERMILLE: u32 = 900;
/// An aggregator repeats this much of two lists, in permille.
const AGGREGATOR_PERMILLE: u32 = 800;
/// Names of this rank are presumed to be harmless (SCORING 4.3).
const ANCHOR_RANK_MAX: u32 = 1_000_000;
/// A list is a copy of one that has so much of what they share first, in percent.
const FIRST_PERCENT: u64 = 80;

/// One scored list.
#[derive(Debug, Clone)]
pub struct List {
    /// Its name.
    pub id: String,
    /// The source of the model whose weights it has.
    pub weighs_as: String,
}

/// How many names each set of lists has in common, and nobody else.
#[derive(Debug, Default)]
pub struct Overlaps {
    /// The lists, in order of their names; a set of them is the word of their bits.
    pub lists: Vec<List>,
    sets: BTreeMap<u64, u64>,
    mistakes: BTreeMap<u64, u64>,
    anchors: BTreeMap<u64, u64>,
    /// Of two lists: names that the first had first, and the second.
    first: HashMap<(usize, usize), (u64, u64)>,
    /// Lists beyond those that are held against each other.
    left_out: usize,
}

fn is_scored(source: &Source) -> bool {
    let profile = &source.profile;
    profile.trust == Trust::Scored
        && profile.mode == Mode::Enforce
        && profile.ranks != Ranks::Exclude
        && !source.claims.names.is_empty()
}

impl Overlaps {
    /// Walks all lists at once.
    pub fn count(material: &Material<'_>) -> Self {
        let mut sources: Vec<&Source> =
            material.sources.iter().filter(|source| is_scored(source)).collect();
        sources.sort_by(|a, b| a.profile.id.cmp(&b.profile.id));
        let left_out = sources.len().saturating_sub(SOURCES_MAX);
        sources.truncate(SOURCES_MAX);
        let list = |source: &&Source| List {
            id: source.profile.id.to_string(),
            weighs_as: source.profile.weighs_as.to_string(),
        };
        let lists = sources.iter().map(list).collect();
        let mut overlaps = Self { lists, left_out, ..Self::default() };
        let since = Timestamp(material.now.0.saturating_sub(WINDOW_SECONDS));
        let mut merge = Merge::new(sources.iter().map(|source| &source.claims.names));
        let mut named: Vec<(usize, Timestamp)> = Vec::new();
        while let Some((name, claims)) = merge.advance() {
            named.clear();
            named.extend(claims.iter().filter_map(|(at, payload)| {
                let NameClaim { claim, exception } = NameClaim::read(payload);
                let recent = claim.first_seen.max(claim.last_seen) >= since;
                (!exception && recent).then_some((*at, claim.first_seen))
            }));
            overlaps.take(material, name, &named);
        }
        overlaps
    }

    fn take(&mut self, material: &Material<'_>, name: NameRef<'_>, named: &[(usize, Timestamp)]) {
        let set = named.iter().fold(0u64, |set, (at, _)| set | 1 << at);
        if set == 0 {
            return;
        }
        *self.sets.entry(set).or_default() += 1;
        let labels = (material.registrable)(name);
        let rank = material.popularity.rank(name.top(labels));
        if rank.is_some_and(|rank| rank <= MISTAKE_RANK_MAX) {
            *self.mistakes.entry(set).or_default() += 1;
        }
        if rank.is_some_and(|rank| rank <= ANCHOR_RANK_MAX) {
            *self.anchors.entry(set).or_default() += 1;
        }
        for (at, (one, seen)) in named.iter().enumerate() {
            for (other, then) in &named[at + 1..] {
                let (first, second) = self.first.entry((*one, *other)).or_default();
                match seen.cmp(then) {
                    std::cmp::Ordering::Less => *first += 1,
                    std::cmp::Ordering::Greater => *second += 1,
                    std::cmp::Ordering::Equal => {}
                }
            }
        }
    }

    /// Names of which some list of `any` has each, and of `all` every one, and of `none` not one.
    fn having(sets: &BTreeMap<u64, u64>, any: u64, all: u64, none: u64) -> u64 {
        let fits = |set: u64| set & any != 0 && set & all == all && set & none == 0;
        sets.iter().filter(|(set, _)| fits(**set)).map(|(_, count)| count).sum()
    }

    /// How many names a list has.
    pub fn size(&self, at: usize) -> u64 {
        Self::having(&self.sets, 1 << at, 0, 0)
    }

    fn shared(&self, one: usize, other: usize) -> u64 {
        let both = 1 << one | 1 << other;
        Self::having(&self.sets, both, both, 0)
    }

    /// The share of the smaller one that both have, in permille.
    fn overlap_permille(&self, one: usize, other: usize) -> u64 {
        let smaller = self.size(one).min(self.size(other)).max(1);
        self.shared(one, other) * 1000 / smaller
    }

    /// How much of the smaller list the larger one repeats beyond chance, in permille; none where
    /// they are too small to tell.
    pub fn coupling_permille(&self, one: usize, other: usize) -> Option<u32> {
        let (a, b) = if self.size(one) >= self.size(other) { (one, other) } else { (other, one) };
        if self.size(b) < NAMES_MIN {
            return None;
        }
        let unrelated = (0..self.lists.len()).filter(|at| {
            *at != a
                && *at != b
                && self.overlap_permille(*at, a) < RELATED_PERMILLE
                && self.overlap_permille(*at, b) < RELATED_PERMILLE
        });
        let rest = unrelated.fold(0u64, |set, at| set | 1 << at);
        let rest_names = Self::having(&self.sets, rest, 0, 1 << b);
        let by_chance = Self::having(&self.sets, rest, 1 << a, 1 << b);
        // c = (o − e) / (1 − e) with o = shared / |B| and e = by_chance / rest_names.
        let (shared, size) = (u128::from(self.shared(a, b)), u128::from(self.size(b)));
        let (chance, of) = (u128::from(by_chance), u128::from(rest_names.max(1)));
        let above = (shared * of).saturating_sub(chance * size);
        let room = (of - chance) * size;
        let permille = if room == 0 { 0 } else { (2 * above * 1000 + room) / (2 * room) };
        let permille = u32::try_from(permille).unwrap_or(1000).min(1000);
        Some(if self.share_mistakes(a, b) { permille.max(MISTAKES_PERMILLE) } else { permille })
    }

    fn share_mistakes(&self, one: usize, other: usize) -> bool {
        let both = 1 << one | 1 << other;
        let shared = Self::having(&self.mistakes, both, both, 0);
        let of = |at: usize| Self::having(&self.mistakes, 1 << at, 0, 0);
        shared >= MISTAKES_MIN && shared * 2 >= of(one).min(of(other))
    }

    /// The coupling in force between two lists, in permille.
    pub fn in_force_permille(&self, model: &Model, one: usize, other: usize) -> u32 {
        let index = |at: usize| model.source_index(&self.lists[at].weighs_as);
        match (index(one), index(other)) {
            // Lists with the weights of one source count as one.
            (Some(a), Some(b)) if a == b => 1000,
            (Some(a), Some(b)) => model.coupling_permille(a, b),
            _ => 0,
        }
    }

    /// Says which couplings are others than the model has.
    pub fn couplings(&self, material: &Material<'_>, learnt: &mut Learnt) {
        if self.left_out > 0 {
            let note = format!("{} lists beyond {SOURCES_MAX} are not looked at", self.left_out);
            learnt.notes.push(note);
        }
        let count = self.lists.len();
        let mut found: HashMap<(usize, usize), u32> = HashMap::new();
        for one in 0..count {
            for other in one + 1..count {
                let Some(estimate) = self.coupling_permille(one, other) else { continue };
                found.insert((one, other), estimate);
                self.coupling(material, one, other, estimate, learnt);
            }
        }
        for at in 0..count {
            self.aggregator(material.model, at, &found, learnt);
        }
    }

    fn coupling(
        &self,
        material: &Material<'_>,
        one: usize,
        other: usize,
        estimate: u32,
        learnt: &mut Learnt,
    ) {
        let before = self.in_force_permille(material.model, one, other);
        let (a, b) = (&self.lists[one].id, &self.lists[other].id);
        let shared = self.shared(one, other);
        if estimate >= COPY_PERMILLE && before < 1000 {
            let (copy, of) = self.direction(material.model, one, other);
            learnt.changes.copies.push(CopyChange {
                source: self.lists[copy].id.clone(),
                of: self.lists[of].id.clone(),
                reason: format!(
                    "{shared} of {} names are in both",
                    self.size(copy).min(self.size(of))
                ),
            });
            return;
        }
        // Slowly, never below what holds for lists in general, and what is pinned never falls.
        let floor = material.model.class_coupling_permille(crate::scoring::Class::List);
        let mut after = ((4 * before + estimate + 2) / 5).max(floor);
        if self.share_mistakes(one, other) {
            after = after.max(MISTAKES_PERMILLE);
        }
        if (material.pinned)(a, b) {
            after = after.max(before);
        }
        if after != before {
            learnt.changes.couplings.push(CouplingChange {
                sources: [a.clone(), b.clone()],
                before,
                after,
                reason: format!(
                    "{shared} names in common of {} and {}, which is {estimate} permille beyond \
                     chance{}",
                    self.size(one),
                    self.size(other),
                    if self.share_mistakes(one, other) { ", mistakes among them" } else { "" }
                ),
            });
        }
    }

    /// Which of two lists copies the other: the one that has what they share later, or else the
    /// one that the model does not know by its own name, or has the later name.
    fn direction(&self, model: &Model, one: usize, other: usize) -> (usize, usize) {
        let is_known = |at: usize| model.source_index(&self.lists[at].id).is_some();
        let (first, second) = self.first.get(&(one, other)).copied().unwrap_or_default();
        let all = self.shared(one, other).max(1);
        match (first * 100 >= FIRST_PERCENT * all, second * 100 >= FIRST_PERCENT * all) {
            (false, true) => (one, other),
            (true, false) => (other, one),
            _ if is_known(other) && !is_known(one) => (one, other),
            _ => (other, one),
        }
    }

    /// A list that repeats two smaller ones which do not repeat each other takes them in.
    fn aggregator(
        &self,
        model: &Model,
        at: usize,
        found: &HashMap<(usize, usize), u32>,
        learnt: &mut Learnt,
    ) {
        let of = |a: usize, b: usize| found.get(&(a.min(b), a.max(b))).copied().unwrap_or(0);
        let index = model.source_index(&self.lists[at].weighs_as);
        if index.is_none_or(|index| model.source(index).stage() == 2) {
            return;
        }
        let smaller = |other: &usize| *other != at && self.size(*other) < self.size(at);
        let parts: Vec<usize> = (0..self.lists.len())
            .filter(smaller)
            .filter(|other| (AGGREGATOR_PERMILLE..COPY_PERMILLE).contains(&of(at, *other)))
            .collect();
        let pair = parts.iter().enumerate().find_map(|(n, a)| {
            let others = &parts[n + 1..];
            Some((*a, *others.iter().find(|b| of(*a, **b) < INDEPENDENT_PERMILLE)?))
        });
        if let Some((a, b)) = pair {
            learnt.changes.aggregators.push(AggregatorChange {
                source: self.lists[at].id.clone(),
                reason: format!(
                    "it repeats {} and {}, which do not repeat each other",
                    self.lists[a].id, self.lists[b].id
                ),
            });
        }
    }

    /// How far a list is borne out by others that are independent of it (SCORING 4.3), in ppm of
    /// its names; none where there is nothing to hold it against.
    pub fn corroborated_ppm(&self, model: &Model, at: usize, anchors: u64) -> Option<u32> {
        let count = self.lists.len();
        let panel = (0..count)
            .filter(|k| *k != at && self.in_force_permille(model, at, *k) < INDEPENDENT_PERMILLE)
            .fold(0u64, |set, k| set | 1 << k);
        let is_tier_a = |k: &usize| {
            let index = model.source_index(&self.lists[*k].weighs_as);
            *k != at && index.is_some_and(|index| model.source(index).is_tier_a())
        };
        let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        let own = 1u64 << at;
        let corroborated = share(Self::having(&self.sets, panel, own, 0), self.size(at))?;
        // Entries of the best lists, as far as the rest of the panel has them.
        let (mut best, mut of_best) = (0, 0);
        for k in (0..count).filter(is_tier_a) {
            best += Self::having(&self.sets, panel & !(1 << k), 1 << k, 0);
            of_best += self.size(k);
        }
        let q = share(best, of_best).filter(|_| of_best >= NAMES_MIN)?;
        let q0 = share(Self::having(&self.anchors, panel, 0, 0), anchors)?;
        if self.size(at) < NAMES_MIN || q <= q0 {
            return None;
        }
        let share = ((corroborated - q0) / (q - q0)).clamp(0.02, 1.0);
        Some((960_000.0 * share).round() as u32)
    }

    /// The position of a list.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.lists.iter().position(|list| list.id == id)
    }
}

/// The kinds of indicator whose precision is learnt: reviews of other kinds are too few.
pub const KINDS: [Kind; 1] = [Kind::Domain];
