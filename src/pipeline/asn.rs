//! The ranks of AS as people ask for them.

use super::Published;
use super::networks::NetworkCourt;
use super::report::{AsnDay, AsnFamily, AsnRanking, AsnRow, AsnSays, AsnSource, Mban};
use super::sources::Scored;
use crate::bgp::{Day, Family, local_rank};
use crate::model::{Indicator, Timestamp};

/// The most AS that one answer lists.
pub const SYSTEMS_MAX: usize = 1000;
/// Prefixes of an AS that an answer names, the worst first.
const PREFIXES_MAX: usize = 10;

impl Published {
    /// The worst AS of a family after the newest day: by our rank, or in CIRCL's definition.
    pub fn asn_ranking(
        &self,
        family: Family,
        circl: bool,
        days: usize,
        count: usize,
        now: Timestamp,
    ) -> AsnRanking {
        let hood = &self.standings.neighbourhood;
        let newest = hood.history.newest();
        let systems = newest.map_or_else(Vec::new, |day| worst(day, family, circl, count));
        AsnRanking {
            at: now.0,
            day: newest.map(|day| day.day().to_string()),
            family: family.to_string(),
            definition: if circl { "circl" } else { "sekisho" }.to_owned(),
            ranked: newest.map_or(0, |day| day.systems(family).count()),
            systems: systems
                .into_iter()
                .enumerate()
                .map(|(at, system)| self.asn_row(family, system, at + 1, days))
                .collect(),
            missing: self.asn_missing(),
        }
    }

    fn asn_row(&self, family: Family, system: u32, place: usize, days: usize) -> AsnRow {
        let hood = &self.standings.neighbourhood;
        let record = hood.history.newest().and_then(|day| day.system(family, system));
        AsnRow {
            place,
            system,
            name: hood.names.name(system).map(str::to_owned),
            rank: Mban(record.map_or(0, |r| local_rank(r.log_ratio_mban.into()).into())),
            ratio: Mban(record.map_or(0, |r| r.log_ratio_mban.into())),
            trend: hood.history.trend_mban(family, system).map(|mban| Mban(mban.into())),
            circl: record.map_or(0.0, |r| r.circl),
            listed: record.map_or(0, |r| r.listed),
            announced: record.map_or(0, |r| r.announced),
            history: self.asn_history(family, system, days),
        }
    }

    fn asn_history(&self, family: Family, system: u32, days: usize) -> Vec<AsnDay> {
        let all = self.standings.neighbourhood.history.of_system(family, system);
        let all: Vec<_> = all.collect();
        let last = &all[all.len().saturating_sub(days)..];
        last.iter()
            .map(|(day, record)| AsnDay {
                day: day.to_string(),
                ratio: record.map(|r| Mban(r.log_ratio_mban.into())),
                listed: record.map_or(0, |r| r.listed),
                circl: record.map_or(0.0, |r| r.circl),
            })
            .collect()
    }

    /// Everything known of one AS.
    pub fn asn(&self, system: u32, days: usize, now: Timestamp) -> AsnSays {
        let hood = &self.standings.neighbourhood;
        let indicator = Indicator::As(system);
        let score = self.score_of_network(&indicator, now);
        let hosting = hood.hosting.as_ref();
        AsnSays {
            at: now.0,
            system,
            name: hood.names.name(system).map(str::to_owned),
            families: Family::ALL
                .into_iter()
                .filter_map(|family| self.asn_family(family, system, days))
                .collect(),
            sources: self.sources_on_network(&indicator),
            score,
            names_seen: hosting.map_or_else(Vec::new, |hosting| hosting.names(&indicator)),
            missing: self.asn_missing(),
        }
    }

    fn asn_family(&self, family: Family, system: u32, days: usize) -> Option<AsnFamily> {
        let hood = &self.standings.neighbourhood;
        let space = hood.announced.space(system);
        let prefixes = space.map_or(0, |space| space.prefixes[family as usize]);
        let ratio = hood.standing.system_mban(family, system);
        if prefixes == 0 && ratio.is_none() {
            return None;
        }
        let newest = hood.history.newest();
        let record = newest.and_then(|day| day.system(family, system));
        let place = newest.and_then(|day| day.circl_position(family, system));
        let sources = newest.map_or_else(Vec::new, |day| day.sources(family, system));
        let own = |record: &crate::bgp::PrefixRecord| {
            let route = hood.table.find(record.network);
            route.is_some_and(|route| route.origins().contains(system))
        };
        let mut worst: Vec<_> =
            newest.into_iter().flat_map(|day| day.prefixes(family)).filter(own).collect();
        worst.sort_by_key(|r| (std::cmp::Reverse((r.log_ratio_mban, r.listed)), r.network));
        Some(AsnFamily {
            family: family.to_string(),
            rank: Mban(local_rank(ratio.unwrap_or(0)).into()),
            ratio: Mban(ratio.unwrap_or(0).into()),
            percentile_ppm: hood.standing.percentile_ppm(family, &hood.announced, system),
            trend: hood.history.trend_mban(family, system).map(|mban| Mban(mban.into())),
            prefixes,
            announced: space.map_or(0, |space| space.announced(family)),
            listed: record.map_or(0, |r| r.listed),
            circl: record.map_or(0.0, |r| r.circl),
            circl_place: place.map(|(place, _)| place),
            circl_ranked: place.map_or(0, |(_, ranked)| ranked),
            history: self.asn_history(family, system, days),
            sources: sources
                .into_iter()
                .map(|s| AsnSource { source: s.source.to_string(), listed: s.listed })
                .collect(),
            worst_prefixes: worst
                .into_iter()
                .take(PREFIXES_MAX)
                .map(|r| (r.network.to_string(), Mban(r.log_ratio_mban.into()), r.listed))
                .collect(),
        })
    }

    /// What the ranks lack.
    pub(super) fn asn_missing(&self) -> Vec<String> {
        let hood = &self.standings.neighbourhood;
        let mut missing = Vec::new();
        if hood.table.is_empty() {
            missing.push("routes: no table of prefixes is in force".to_owned());
        } else if hood.history.newest().is_none() {
            missing.push("ranks: no list of addresses has been counted yet".to_owned());
        }
        if hood.names.is_empty() {
            missing.push("names of AS: no source has any".to_owned());
        }
        if hood.hosting.is_none() {
            missing.push(
                "what lives where: no answers are recorded, so addresses are blocked only by \
                 sources that may block alone"
                    .to_owned(),
            );
        }
        missing
    }

    pub(super) fn network_court<'c>(
        &'c self,
        scored: &'c Scored<'c>,
        now: Timestamp,
    ) -> NetworkCourt<'c> {
        NetworkCourt {
            model: &self.model,
            standings: &self.standings,
            scored,
            previous: &self.network_verdicts,
            now,
        }
    }
}

fn worst(day: &Day, family: Family, circl: bool, count: usize) -> Vec<u32> {
    let mut records: Vec<_> =
        day.systems(family).filter(|record| !circl || record.circl > 0.0).collect();
    match circl {
        true => records.sort_by(|a, b| b.circl.total_cmp(&a.circl).then(a.system.cmp(&b.system))),
        false => records.sort_by_key(|r| (std::cmp::Reverse(r.log_ratio_mban), r.system)),
    }
    records.iter().take(count.min(SYSTEMS_MAX)).map(|record| record.system).collect()
}
