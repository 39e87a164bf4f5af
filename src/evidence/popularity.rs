//! How much a registrable domain is used, by lists of several days (SCORING 2.6).

use super::merge::Merge;
use super::suffix::PublicSuffixes;
use crate::model::{NameRef, SourceId};
use crate::names::{NameTable, NameTableBuilder};

/// Days looked back on.
pub const DAYS: u32 = 30;
/// Of the last thirty days' lists, how many must have a name for its history to be full.
const DAYS_PRESENT_MIN: u32 = 27;
/// Up to this rank one list is enough where the history is short.
const RANK_ONE_LIST_MAX: u32 = 10_000;

/// One day's list: a rank (or the upper bound of a tier) in four octets beside each name.
#[derive(Debug, Clone)]
pub struct RankList {
    /// Whose list it is.
    pub source: SourceId,
    /// Days since 1970.
    pub day: u32,
    /// Ranks by name, little-endian.
    pub ranks: NameTable,
}

/// Ranks of registrable domains over the last thirty days.
#[derive(Debug, Clone)]
pub struct Popularity {
    ranks: NameTable,
    /// How many different lists are in force.
    pub lists: usize,
    /// No list has 27 of the last 30 days, so ranks are the worst among the lists present.
    pub short_history: bool,
}

impl Popularity {
    /// No list at all.
    pub fn none() -> Self {
        Self { ranks: NameTable::empty(), lists: 0, short_history: true }
    }

    /// The worst rank of a registrable domain, where the lists agree that it has one.
    pub fn rank(&self, registrable: NameRef<'_>) -> Option<u32> {
        self.ranks.get(registrable).map(read_rank)
    }

    /// How many domains have a rank.
    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    /// Whether no domain has a rank.
    pub fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// All ranked domains in canonical order.
    pub fn ranked(&self) -> Vec<(crate::model::Name, u32)> {
        let mut cursor = self.ranks.iter();
        std::iter::from_fn(|| cursor.next().map(|(n, p)| (n.to_owned(), read_rank(p)))).collect()
    }

    /// Joins lists. With a full history a rank is the worst of the days of one list that has the
    /// name on at least 27 of the last 30, while another list has it too. With less, it is the
    /// worst among the lists present, of which two are needed, or one for the top 10,000.
    pub fn join(
        lists: &[RankList],
        today: u32,
        suffixes: &PublicSuffixes,
        hash_seed: u64,
    ) -> Popularity {
        let recent = |list: &&RankList| list.day + DAYS > today && list.day <= today;
        let lists: Vec<&RankList> = lists.iter().filter(recent).collect();
        let mut sources: Vec<&SourceId> = lists.iter().map(|l| &l.source).collect();
        sources.sort();
        let days_of = |s: &SourceId| lists.iter().filter(|l| l.source == *s).count();
        sources.dedup();
        let full = sources.iter().any(|s| days_of(s) >= DAYS_PRESENT_MIN as usize);
        let source_of: Vec<usize> = lists
            .iter()
            .map(|l| sources.binary_search(&&l.source).expect("every list has a source"))
            .collect();

        let mut builder = NameTableBuilder::new(4, Some(hash_seed));
        let mut tally = Tally::new(sources.len());
        let mut domain: Vec<u8> = Vec::new();
        let mut merge = Merge::new(lists.iter().map(|l| &l.ranks));
        while let Some((name, ranks)) = merge.advance() {
            let registrable = suffixes.registrable(name);
            if registrable.key() != domain {
                tally.close(NameRef::from_key(&domain), full, &mut builder);
                domain.clear();
                domain.extend_from_slice(registrable.key());
            }
            for (at, payload) in ranks {
                tally.add(source_of[*at], lists[*at].day, today, read_rank(payload));
            }
        }
        tally.close(NameRef::from_key(&domain), full, &mut builder);
        Popularity { ranks: NameTable::built(builder), lists: sources.len(), short_history: !full }
    }
}

fn read_rank(payload: &[u8]) -> u32 {
    u32::from_le_bytes(payload.try_into().expect("a rank has four octets"))
}

/// What the lists say of one registrable domain: per source the best rank of each day.
struct Tally {
    days: Vec<[Option<u32>; DAYS as usize]>,
    any: bool,
}

impl Tally {
    fn new(sources: usize) -> Self {
        Self { days: vec![[None; DAYS as usize]; sources], any: false }
    }

    fn add(&mut self, source: usize, day: u32, today: u32, rank: u32) {
        let slot = &mut self.days[source][(today - day) as usize];
        *slot = Some(slot.map_or(rank, |held| held.min(rank)));
        self.any = true;
    }

    fn close(&mut self, domain: NameRef<'_>, full: bool, builder: &mut NameTableBuilder) {
        if !std::mem::take(&mut self.any) {
            return;
        }
        if let Some(rank) = self.rank(full) {
            builder.push(domain, &rank.to_le_bytes());
        }
        self.days.iter_mut().for_each(|days| *days = [None; DAYS as usize]);
    }

    fn rank(&self, full: bool) -> Option<u32> {
        let present = |days: &[Option<u32>; DAYS as usize]| days.iter().flatten().count();
        let worst = |days: &[Option<u32>; DAYS as usize]| days.iter().flatten().max().copied();
        let lists = self.days.iter().filter(|days| present(days) > 0).count();
        if full {
            let steady = self.days.iter().filter(|d| present(d) >= DAYS_PRESENT_MIN as usize);
            return steady.filter_map(worst).min().filter(|_| lists >= 2);
        }
        let rank = self.days.iter().filter_map(worst).max()?;
        (lists >= 2 || rank <= RANK_ONE_LIST_MAX).then_some(rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;
    use std::collections::BTreeMap;

    const TODAY: u32 = 20_000;

    fn list(source: &str, day: u32, ranks: &[(&str, u32)]) -> RankList {
        let sorted: BTreeMap<Name, u32> =
            ranks.iter().map(|(n, r)| (Name::from_host(n).unwrap(), *r)).collect();
        let mut builder = NameTableBuilder::new(4, None);
        sorted.iter().for_each(|(n, r)| builder.push(n.as_ref(), &r.to_le_bytes()));
        RankList { source: SourceId::new(source), day, ranks: NameTable::built(builder) }
    }

    fn rank(lists: &[RankList], name: &str) -> Option<u32> {
        let popularity = Popularity::join(lists, TODAY, &PublicSuffixes::default(), 1);
        popularity.rank(Name::from_host(name).unwrap().as_ref())
    }

    #[test]
    fn with_a_short_history_two_lists_are_needed_below_the_top_ten_thousand() {
        let lists = [
            list("tranco", TODAY, &[("a.com", 5), ("b.com", 20_000), ("c.com", 50_000)]),
            list("radar", TODAY, &[("b.com", 100_000), ("www.d.com", 900), ("d.com", 2_000)]),
        ];
        assert_eq!(rank(&lists, "a.com"), Some(5));
        assert_eq!(rank(&lists, "b.com"), Some(100_000));
        assert_eq!(rank(&lists, "c.com"), None);
        assert_eq!(rank(&lists, "d.com"), Some(900));
        assert!(Popularity::join(&lists, TODAY, &PublicSuffixes::default(), 1).short_history);
    }

    #[test]
    fn with_a_full_history_one_day_in_the_sun_is_not_popularity() {
        let mut lists: Vec<RankList> = (0..30)
            .map(|ago| {
                let mut ranks = vec![("steady.com", 10 + ago)];
                if ago == 0 {
                    ranks.push(("sudden.com", 1));
                }
                list("tranco", TODAY - ago, &ranks)
            })
            .collect();
        lists.push(list("radar", TODAY, &[("steady.com", 5), ("sudden.com", 1)]));
        assert_eq!(rank(&lists, "steady.com"), Some(39));
        assert_eq!(rank(&lists, "sudden.com"), None);
    }

    #[test]
    fn tenants_of_a_private_suffix_have_ranks_of_their_own() {
        let lists = [list("tranco", TODAY, &[("github.io", 10), ("big.github.io", 900)])];
        assert_eq!(rank(&lists, "big.github.io"), Some(900));
        assert_eq!(rank(&lists, "small.github.io"), None);
    }

    #[test]
    fn lists_of_last_month_no_longer_count() {
        assert_eq!(rank(&[list("tranco", TODAY - 30, &[("a.com", 5)])], "a.com"), None);
        assert_eq!(rank(&[list("tranco", TODAY + 1, &[("a.com", 5)])], "a.com"), None);
    }
}
