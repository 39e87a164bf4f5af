//! What would have changed a verdict (SCORING 2.10): the strongest group taken away, or the smallest
//! piece of evidence added.
//!
//! Both ask what the level would be had it been in force long enough, so that waiting for a fall
//! hides nothing.

use serde::Serialize;

use super::decision::{Previous, decide};
use super::facts::{ApiVoid, Facts, Kind, Listing, Tip, VirusTotal};
use super::model::Table;
use super::part::{Label, Part};
use super::{Level, Model, SourceIndex, evaluate, score};

/// The verdict without the group that says most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Without {
    /// The sources of the group: those of one origin.
    pub sources: Vec<String>,
    /// The score without them, in mban.
    pub mban: i64,
    /// The level without them.
    pub level: Level,
    /// The verdict hangs on this group alone.
    pub pivotal: bool,
}

/// A piece of evidence that would change the level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The source or fact.
    pub id: String,
    /// What it would weigh alone, in mban.
    pub raw_mban: i32,
    /// The score with it, in mban.
    pub mban: i64,
    /// The level with it.
    pub level: Level,
}

/// The source on whose origin alone the level hangs: without it the level would be lower
/// (SCORING 4.4, R8). Of copies the one that was counted.
pub fn pivotal_source(model: &Model, facts: &Facts, previous: Level) -> Option<SourceIndex> {
    let strongest = strongest(model, facts)?;
    let reduced = without(model, facts, strongest);
    (level(model, &reduced, previous) < level(model, facts, previous)).then_some(strongest)
}

pub(super) fn without_strongest(model: &Model, facts: &Facts, previous: Level) -> Option<Without> {
    let strongest = strongest(model, facts)?;
    let reduced = without(model, facts, strongest);
    let reduced_level = level(model, &reduced, previous);
    Some(Without {
        sources: group(model, facts, strongest),
        mban: score(model, &reduced).mban,
        level: reduced_level,
        pivotal: reduced_level < level(model, facts, previous),
    })
}

pub(super) fn smallest_change(model: &Model, facts: &Facts, previous: Level) -> Option<Change> {
    let now = level(model, facts, previous);
    candidates(model, facts)
        .into_iter()
        .filter_map(|(label, facts)| {
            let mut parts: Vec<Part> = Vec::new();
            let score = evaluate(model, &facts, &mut parts);
            let then = decide(model, &facts, &score, &Previous::held(previous)).level;
            let part = parts.iter().find(|part| part.label == label)?;
            let id = label.id(model).to_owned();
            let raw_mban = part.raw_mban;
            (then != now).then_some(Change { id, raw_mban, mban: score.mban, level: then })
        })
        .min_by(|a, b| {
            let key = |change: &Change| (change.raw_mban.unsigned_abs(), change.raw_mban < 0);
            key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
        })
}

fn level(model: &Model, facts: &Facts, previous: Level) -> Level {
    decide(model, facts, &score(model, facts), &Previous::held(previous)).level
}

/// The counted source whose contribution is largest; copies of it add nothing, so it stands for
/// its origin.
fn strongest(model: &Model, facts: &Facts) -> Option<SourceIndex> {
    let (_, parts) = super::explain::parts(model, facts);
    parts.iter().filter(|part| part.mban > 0).find_map(|part| match part.label {
        Label::Source(index) => Some(index),
        _ => None,
    })
}

/// The sources among the facts that share the origin of `index`.
fn group(model: &Model, facts: &Facts, index: SourceIndex) -> Vec<String> {
    let same = |other: SourceIndex| is_copy(model, index, other);
    let mut sources: Vec<SourceIndex> = facts
        .listings
        .iter()
        .map(|listing| listing.source)
        .filter(|&source| same(source))
        .collect();
    sources.push(index);
    sources.sort_unstable();
    sources.dedup();
    sources.into_iter().map(|source| model.source(source).id().to_owned()).collect()
}

fn is_copy(model: &Model, one: SourceIndex, other: SourceIndex) -> bool {
    model.source(one).origin_number == model.source(other).origin_number
}

/// The facts without what the origin of `index` says.
fn without(model: &Model, facts: &Facts, index: SourceIndex) -> Facts {
    let mut facts = facts.clone();
    let providers = &model.providers;
    facts.listings.retain(|listing| !is_copy(model, index, listing.source));
    match index {
        _ if index == providers.vt => {
            facts.vt = facts.vt.map(|vt| VirusTotal {
                votes_malicious: vt.votes_malicious,
                votes_harmless: vt.votes_harmless,
                ..VirusTotal::default()
            });
        }
        _ if index == providers.votes => {
            facts.vt =
                facts.vt.map(|vt| VirusTotal { votes_malicious: 0, votes_harmless: 0, ..vt });
        }
        _ if index == providers.apivoid => facts.apivoid = None,
        _ if index == providers.tip => facts.tip = None,
        _ if index == providers.local => facts.asn_local_log_ratio = None,
        _ if index == providers.bgpr => facts.bgpranking_q_ppm = None,
        _ => {}
    }
    facts
}

/// The facts with one more piece of evidence each, of every kind that is still missing.
fn candidates(model: &Model, facts: &Facts) -> Vec<(Label, Facts)> {
    let mut candidates = Candidates { facts, found: Vec::new() };
    for index in (0..model.sources().len()).map(|at| SourceIndex(at as u16)) {
        let known = facts.listings.iter().any(|listing| is_copy(model, index, listing.source));
        if !known && model.source(index).precision_ppm(facts.kind).is_some() {
            candidates.add(Label::Source(index), |facts| {
                facts.listings.push(Listing::new(index, 0));
            });
        }
    }
    add_answers(model, &mut candidates);
    if facts.kind == Kind::Domain {
        add_context(model, &mut candidates);
    }
    candidates.found
}

struct Candidates<'a> {
    facts: &'a Facts,
    found: Vec<(Label, Facts)>,
}

impl Candidates<'_> {
    fn add(&mut self, label: Label, change: impl FnOnce(&mut Facts)) {
        let mut changed = self.facts.clone();
        change(&mut changed);
        self.found.push((label, changed));
    }
}

fn add_answers(model: &Model, candidates: &mut Candidates<'_>) {
    let providers = &model.providers;
    if candidates.facts.vt.is_none() {
        for half_units in starts(&model.vt.half_units).chain([1]) {
            let vt = virus_total(model, half_units);
            candidates.add(Label::Source(providers.vt), |facts| facts.vt = Some(vt));
        }
    }
    if candidates.facts.apivoid.is_none() {
        for detections in starts(&model.apivoid_detections) {
            let answer = ApiVoid { detections, ..ApiVoid::default() };
            candidates.add(Label::Source(providers.apivoid), |facts| facts.apivoid = Some(answer));
        }
    }
    if candidates.facts.tip.is_none() {
        for hit in [false, true] {
            let answer = Tip { malware_db_hit: Some(hit), age_h: 0 };
            candidates.add(Label::Source(providers.tip), |facts| facts.tip = Some(answer));
        }
    }
}

fn add_context(model: &Model, candidates: &mut Candidates<'_>) {
    let facts = candidates.facts;
    if facts.age_days.is_none() {
        for days in starts(&model.age_days) {
            candidates.add(Label::Age, |facts| facts.age_days = Some(days));
        }
    }
    if facts.nod_hours.is_none() {
        for hours in starts(&model.nod_hours) {
            candidates.add(Label::Nod, |facts| facts.nod_hours = Some(hours));
        }
    }
    if facts.rank30.is_none() {
        for rank in starts(&model.rank30) {
            candidates.add(Label::Popularity, |facts| facts.rank30 = Some(rank));
        }
    }
    if !facts.local_history {
        candidates.add(Label::LocalHistory, |facts| facts.local_history = true);
    }
}

/// The least value of each step of a table.
fn starts(table: &Table) -> impl Iterator<Item = u32> {
    [0].into_iter().chain(table.steps.iter().map(|&(bound, _)| bound))
}

/// A fresh analysis with that many half units, by enough engines to be heard.
fn virus_total(model: &Model, half_units: u32) -> VirusTotal {
    VirusTotal {
        malicious: half_units / 2,
        suspicious: half_units % 2,
        undetected: model.vt.min_engines,
        seen_h_before_analysis: Some(24),
        ..VirusTotal::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(model: &Model, ids: &[&str]) -> Facts {
        let mut facts = Facts::new(Kind::Domain);
        let index = |id: &&str| Listing::new(model.source_index(id).unwrap(), 0);
        facts.listings.extend(ids.iter().map(index));
        facts
    }

    #[test]
    fn a_verdict_that_hangs_on_one_source_is_pivotal_on_it() {
        let model = Model::shipped();
        let facts = listed(&model, &["certpl"]);
        let pivotal = pivotal_source(&model, &facts, Level::Allow).unwrap();
        assert_eq!(model.source(pivotal).id(), "certpl");
        let facts = listed(&model, &["certpl", "openphish", "threatfox"]);
        assert_eq!(pivotal_source(&model, &facts, Level::Allow), None);
        let without = without_strongest(&model, &facts, Level::Allow).unwrap();
        assert_eq!((without.level, without.pivotal), (Level::Block, false));
    }

    #[test]
    fn copies_go_together_with_what_they_copy() {
        let model = Model::shipped()
            .overlaid(
                &[("mirror", "certpl"), ("certpl", "certpl")]
                    .map(|(id, like)| (id.to_owned(), (like.to_owned(), "O".to_owned())))
                    .into(),
            )
            .unwrap();
        let facts = listed(&model, &["mirror", "certpl"]);
        let without = without_strongest(&model, &facts, Level::Allow).unwrap();
        assert_eq!(without.sources, ["certpl", "mirror"]);
        assert_eq!((without.mban, without.level, without.pivotal), (-2000, Level::Allow, true));
    }

    #[test]
    fn each_provider_can_be_taken_away() {
        let model = Model::shipped();
        let mut facts = Facts::new(Kind::Ip);
        facts.vt = Some(VirusTotal { malicious: 20, votes_malicious: 90, ..VirusTotal::default() });
        facts.apivoid = Some(ApiVoid { detections: 3, ..ApiVoid::default() });
        facts.tip = Some(Tip { malware_db_hit: Some(true), age_h: 0 });
        facts.asn_local_log_ratio = Some(700);
        facts.bgpranking_q_ppm = Some(0);
        let mut before = score(&model, &facts).positive_direct;
        for _ in 0..6 {
            let strongest = strongest(&model, &facts).unwrap();
            facts = without(&model, &facts, strongest);
            let after = score(&model, &facts).positive_direct;
            assert!(after < before);
            before = after;
        }
        assert_eq!((before, strongest(&model, &facts)), (0, None));
    }

    #[test]
    fn nothing_is_taken_from_a_name_that_nothing_speaks_against() {
        let model = Model::shipped();
        assert_eq!(without_strongest(&model, &Facts::new(Kind::Domain), Level::Allow), None);
    }

    #[test]
    fn the_smallest_change_is_the_least_evidence_that_tips_the_level() {
        let model = Model::shipped();
        // 1380: redirect. A young age lifts it over 1500, but one group stays at redirect; of all
        // that would lower or raise it, history here weighs least.
        let facts = listed(&model, &["openphish"]);
        let change = smallest_change(&model, &facts, Level::Allow).unwrap();
        assert_eq!((change.id.as_str(), change.raw_mban), ("local_history", -300));
        assert_eq!((change.mban, change.level), (1080, Level::Monitor));
        // Nothing known of an AS: only a list of AS can reach anything.
        let change = smallest_change(&model, &Facts::new(Kind::Asn), Level::Allow).unwrap();
        assert_eq!((change.id.as_str(), change.level), ("vt", Level::Monitor));
        assert_eq!(change.raw_mban, 2650);
    }
}
