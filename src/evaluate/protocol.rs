//! The protocol: the same claims under four conditions, judged on the same names.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::baselines::{self, Baseline, Claimed};
use super::material::{Feed, Material, NameSet};
use super::metrics::{above, auc, bound_at, precision, share, wilson};
use super::report::{
    AtRate, BaselineRun, BaselineTruth, Benign, Enforced, Input, Levels, Listed, Precision,
    PredictionSays, Report, Run, Truth,
};
use crate::evidence::{Popularity, PublicSuffixes, RankList, SharedHosts};
use crate::model::{Name, NameRef, SourceId};
use crate::names::NameTable;
use crate::pipeline::{Appraiser, Pipeline, Published, Standings};
use crate::policy::{self, Policy};
use crate::predict::{self, Predictor, Site};
use crate::scoring::{Level, Model};
use crate::snapshot::SnapshotError;

/// Of a hundred names that are looked up for the first time, one is malicious (SCORING 2.2).
const PREVALENCE: f64 = 0.01;
/// Rates of false positives at which detection is reported: 0.1 % and 1 %.
const RATES_PPM: [u32; 2] = [1_000, 10_000];
/// Days before the cut whose listings are looked at.
const LISTED_DAYS: [u32; 3] = [3, 7, 30];
/// Monitored names of a benign list that are named.
const MONITORED_SHOWN: usize = 20;
/// The seed of hash tables; it decides nothing.
const HASH_SEED: u64 = 0;

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// No feed has a row before the cut.
    #[error("no feed has a dated entry before the cut")]
    NoFeeds,
    /// No source has a row from the cut on.
    #[error("no source has an entry that was first seen at or after the cut")]
    NoTruth,
    /// No benign list has a name.
    #[error("there is no list of benign names to judge by")]
    NoBenign,
    /// The zones cannot be put in force.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// Runs the protocol. `doing` is told what is being done, for people who wait.
pub fn evaluate(
    material: &Material,
    model: &Model,
    doing: &dyn Fn(&str),
) -> Result<Report, EvaluationError> {
    if material.feeds.is_empty() {
        return Err(EvaluationError::NoFeeds);
    }
    if material.truths.is_empty() {
        return Err(EvaluationError::NoTruth);
    }
    if material.benign.is_empty() {
        return Err(EvaluationError::NoBenign);
    }
    doing("training the prediction");
    let (predictor, prediction) = trained(material);
    let court = Court { material, model, platforms: platforms(material), policy: default_policy() };
    let (mut runs, mut baselines) = (Vec::new(), Vec::new());
    for popularity in [true, false] {
        doing(match popularity {
            true => "judging with popularity as evidence",
            false => "judging with popularity withheld",
        });
        let plain = court.state(popularity, None)?;
        let plain_looks = Looks::at(material, &plain);
        runs.push(court.run(&plain, &plain_looks, &plain_looks, (popularity, false)));
        baselines.extend(court.baselines(&plain, &plain_looks, popularity));
        if let Some(predictor) = &predictor {
            let state = court.state(popularity, Some(predictor.clone()))?;
            let looks = Looks::at(material, &state);
            runs.push(court.run(&state, &looks, &plain_looks, (popularity, true)));
        }
    }
    Ok(Report {
        cut: material.cut.0,
        model: model.id().to_owned(),
        prediction,
        inputs: inputs(material),
        left_out: material.left_out.clone(),
        runs,
        baselines,
    })
}

fn trained(material: &Material) -> (Option<Arc<Predictor>>, Result<PredictionSays, String>) {
    let training = predict::train(&predict::Material {
        feeds: material.feeds.iter().filter(|feed| feed.dated).map(Feed::claims).collect(),
        popular: &material.popularity,
        suffixes: &PublicSuffixes::default(),
        shared_hosts: &SharedHosts::default(),
        cut: material.cut,
    });
    match training {
        Ok(training) => {
            let says = PredictionSays {
                model: training.model.id(),
                weights: training.model.len(),
                size_octets: training.model.to_canonical().len(),
                malicious: training.malicious,
                honest: training.honest,
                calibrated_on: training.calibrated_on,
            };
            (Some(Arc::new(Predictor::new(training.model))), Ok(says))
        }
        Err(error) => (None, Err(error.to_string())),
    }
}

fn inputs(material: &Material) -> Vec<Input> {
    let feeds = material.feeds.iter().map(|feed| Input {
        id: feed.source.profile.id.to_string(),
        role: "feed",
        entries: feed.first_seen.len(),
        latest: feed.first_seen.first().map_or(0, |(at, _)| at.0),
        weighs_as: Some(feed.source.profile.weighs_as.to_string()),
    });
    let lists = material.popularity.iter().zip(&material.popularity_days);
    let lists = lists.map(|(list, (id, day))| Input {
        id: id.clone(),
        role: "popularity",
        entries: list.ranks.len(),
        latest: day.0,
        weighs_as: None,
    });
    feeds.chain(lists).collect()
}

/// Platforms whose names must never be taken as a whole: those that the program knows, and those
/// of which a feed lists a tenant.
fn platforms(material: &Material) -> BTreeSet<Name> {
    let (suffixes, shared) = (PublicSuffixes::default(), SharedHosts::default());
    let mut platforms: BTreeSet<Name> = shared.names().iter().cloned().collect();
    for (_, name) in material.feeds.iter().flat_map(|feed| &feed.first_seen) {
        if let Some(site) = Site::of(name.as_ref(), &suffixes, &shared).filter(|site| site.tenant)
            && !platforms.contains(site.suffix.key())
        {
            platforms.insert(site.suffix.to_owned());
        }
    }
    platforms
}

/// The policy of an empty file.
fn default_policy() -> Arc<Policy> {
    let files = [("default.toml".to_owned(), "version = 1".to_owned())];
    let mut read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let now = crate::model::Timestamp(0);
    let (policy, _) = policy::load(&files, &mut read, &PublicSuffixes::default(), now);
    Arc::new(policy.expect("an empty policy file is sound"))
}

/// What a state makes of one name.
#[derive(Debug, Clone, Copy)]
struct Look {
    score: i64,
    level: Level,
    tenant: bool,
}

/// What a state makes of all names that are judged, set by set.
struct Looks {
    truths: Vec<Vec<Look>>,
    benign: Vec<Vec<Look>>,
    top: Vec<Look>,
    listed: Vec<Vec<Look>>,
}

impl Looks {
    fn at(material: &Material, state: &Published) -> Self {
        let appraiser = state.appraiser(material.cut);
        let look = |name: &Name| {
            let appraisal = appraiser.appraise(name.as_ref());
            let tenant = state.standings.of(name.as_ref()).tenant;
            Look { score: appraisal.score, level: appraisal.level, tenant }
        };
        let set = |set: &NameSet| set.names.iter().map(look).collect();
        let days = LISTED_DAYS.into_iter().max().unwrap_or(0);
        let listed = |feed: &Feed| match feed.dated {
            true => feed.listed_within(days, material.cut).iter().map(|(_, n)| look(n)).collect(),
            false => Vec::new(),
        };
        Self {
            truths: material.truths.iter().map(set).collect(),
            benign: material.benign.iter().map(set).collect(),
            top: set(&material.top),
            listed: material.feeds.iter().map(listed).collect(),
        }
    }

    fn benign_scores(&self) -> Vec<i64> {
        self.benign.iter().flatten().map(|look| look.score).collect()
    }
}

/// What does not change between the conditions.
struct Court<'m> {
    material: &'m Material,
    model: &'m Model,
    platforms: BTreeSet<Name>,
    policy: Arc<Policy>,
}

impl Court<'_> {
    /// The pipeline at the cut. Popularity that is withheld is in force and names nobody, so that
    /// what guards need a list for at all still acts.
    fn state(
        &self,
        popularity: bool,
        predictor: Option<Arc<Predictor>>,
    ) -> Result<Arc<Published>, SnapshotError> {
        let cut = self.material.cut;
        let mut pipeline =
            Pipeline::new(self.model.clone(), self.policy.clone(), Name::root(), HASH_SEED);
        let sources = self.material.feeds.iter().map(|feed| feed.source.clone());
        pipeline.set_sources(sources.collect());
        let today = cut.0 / 86_400;
        let nobody =
            [RankList { source: SourceId::new("withheld"), day: today, ranks: NameTable::empty() }];
        let lists = if popularity { &self.material.popularity[..] } else { &nobody[..] };
        let ranks = Popularity::join(lists, today, &PublicSuffixes::default(), HASH_SEED);
        pipeline.set_standings(Standings {
            popularity: Arc::new(ranks),
            predictor,
            ..Standings::default()
        });
        pipeline.rebuild(cut)
    }

    fn run(
        &self,
        state: &Published,
        looks: &Looks,
        plain: &Looks,
        (popularity, prediction): (bool, bool),
    ) -> Run {
        let material = self.material;
        let benign_scores = looks.benign_scores();
        let all: Vec<Look> = looks.benign.iter().flatten().copied().collect();
        let plain_all: Vec<Look> = plain.benign.iter().flatten().copied().collect();
        let pooled = levels(&all, &plain_all, |_| true);
        let truths = material.truths.iter().zip(&looks.truths).zip(&plain.truths);
        let truths = truths
            .map(|((set, looks), plain)| truth(&set.id, looks, plain, &benign_scores, &pooled));
        let benign: Vec<Benign> = (material.benign.iter().zip(&looks.benign).zip(&plain.benign))
            .map(|((set, looks), plain)| self.benign(state, set, looks, plain))
            .collect();
        Run {
            popularity,
            prediction,
            verdicts: state.tally.levels,
            truths: truths.collect(),
            pooled: Benign {
                id: "all benign lists".to_owned(),
                levels: pooled,
                enforced: Vec::new(),
                monitored: Vec::new(),
            },
            worst: (worst(&benign, Levels::enforced), worst(&benign, Levels::noticed)),
            top: self.benign(state, &material.top, &looks.top, &plain.top),
            benign,
            listed: self.listed(looks, plain),
            platforms_blocked: self.platforms_blocked(state),
            platforms: self.platforms.len(),
        }
    }

    fn benign(&self, state: &Published, set: &NameSet, looks: &[Look], plain: &[Look]) -> Benign {
        let names = || set.names.iter().zip(looks);
        let enforced = names().filter(|(_, look)| look.level > Level::Monitor);
        let monitored = names().filter(|(_, look)| look.level == Level::Monitor);
        Benign {
            id: set.id.clone(),
            levels: levels(looks, plain, |_| true),
            enforced: enforced.map(|(name, look)| enforced_says(state, name, look.level)).collect(),
            monitored: monitored.map(|(n, _)| n.to_string()).take(MONITORED_SHOWN).collect(),
        }
    }

    fn listed(&self, looks: &Looks, plain: &Looks) -> Vec<Listed> {
        let mut listed = Vec::new();
        let feeds = self.material.feeds.iter().zip(&looks.listed).zip(&plain.listed);
        for ((feed, looks), plain) in feeds.filter(|((feed, _), _)| feed.dated) {
            for days in LISTED_DAYS {
                // The latest come first, so those of fewer days are the first of those of more.
                let within = feed.listed_within(days, self.material.cut).len();
                listed.push(Listed {
                    id: feed.source.profile.id.to_string(),
                    days,
                    levels: levels(&looks[..within], &plain[..within], |_| true),
                });
            }
        }
        listed
    }

    fn platforms_blocked(&self, state: &Published) -> Vec<Enforced> {
        // A rule for any name above would take it along, also above its registrable domain.
        let level = |name: &Name| {
            let above = name.as_ref().ancestors().filter_map(|n| state.verdicts.of(n));
            above.map(|verdict| verdict.level).max().unwrap_or_default()
        };
        let looked = self.platforms.iter().map(|name| (name, level(name)));
        let taken = looked.filter(|(_, level)| *level > Level::Monitor);
        taken.map(|(name, level)| enforced_says(state, name, level)).collect()
    }

    fn baselines(&self, state: &Published, looks: &Looks, popularity: bool) -> Vec<BaselineRun> {
        let appraiser = state.appraiser(self.material.cut);
        let claimed = |set: &NameSet| -> Vec<Claimed> {
            let of = |name: &Name| Claimed::of(&appraiser, self.model, name.as_ref());
            set.names.iter().map(of).collect()
        };
        let claims = ClaimedSets {
            truths: self.material.truths.iter().map(claimed).collect(),
            benign: self.material.benign.iter().map(claimed).collect(),
            top: claimed(&self.material.top),
        };
        baselines::ALL.map(|rule| self.baseline(rule, &claims, looks, popularity)).into()
    }

    fn baseline(
        &self,
        rule: Baseline,
        claims: &ClaimedSets,
        looks: &Looks,
        popularity: bool,
    ) -> BaselineRun {
        let block_on = self.model.step(Level::Block).map_or(i64::MAX, |step| step.on.into());
        let ruled = |claimed: &[Claimed], looks: &[Look]| -> Vec<Look> {
            let rule = |(claimed, look): (&Claimed, &Look)| Look {
                score: rule.score(claimed),
                level: if rule.blocks(claimed, block_on) { Level::Block } else { Level::Allow },
                tenant: look.tenant,
            };
            claimed.iter().zip(looks).map(rule).collect()
        };
        let every = |looks: &[Look]| levels(looks, looks, |_| true);
        let benign: Vec<Vec<Look>> =
            claims.benign.iter().zip(&looks.benign).map(|(c, l)| ruled(c, l)).collect();
        let pooled: Vec<Look> = benign.iter().flatten().copied().collect();
        let scores: Vec<i64> = pooled.iter().map(|look| look.score).collect();
        let pooled = every(&pooled);
        let truths = self.material.truths.iter().zip(claims.truths.iter().zip(&looks.truths));
        let truths = truths.map(|(set, (claimed, looks))| {
            let looks = ruled(claimed, looks);
            let found = truth(&set.id, &looks, &looks, &scores, &pooled);
            BaselineTruth {
                id: found.id,
                all: found.all,
                shared: found.shared,
                at_rates: found.at_rates,
                auc: found.auc,
                precision: found.precision.block,
            }
        });
        BaselineRun {
            rule: rule.label(),
            popularity,
            truths: truths.collect(),
            pooled,
            benign: self
                .material
                .benign
                .iter()
                .zip(&benign)
                .map(|(s, l)| (s.id.clone(), every(l)))
                .collect(),
            top: every(&ruled(&claims.top, &looks.top)),
        }
    }
}

struct ClaimedSets {
    truths: Vec<Vec<Claimed>>,
    benign: Vec<Vec<Claimed>>,
    top: Vec<Claimed>,
}

fn levels(looks: &[Look], plain: &[Look], of: impl Fn(&Look) -> bool) -> Levels {
    let mut levels = Levels::default();
    for (look, plain) in looks.iter().zip(plain).filter(|(look, _)| of(look)) {
        levels.names += 1;
        match look.level {
            Level::Block => levels.block += 1,
            Level::Redirect => levels.redirect += 1,
            Level::Monitor => levels.monitor += 1,
            Level::Allow => {}
        }
        levels.by_prediction +=
            usize::from(look.level > Level::Allow && plain.level == Level::Allow);
    }
    levels
}

fn truth(id: &str, looks: &[Look], plain: &[Look], benign: &[i64], pooled: &Levels) -> Truth {
    let scores = |of: fn(&Look) -> bool| -> Vec<i64> {
        looks.iter().filter(|look| of(look)).map(|look| look.score).collect()
    };
    let (all, shared, own) = (scores(|_| true), scores(|l| l.tenant), scores(|l| !l.tenant));
    let at_rates = RATES_PPM.map(|rate_ppm| {
        let bound = bound_at(benign, rate_ppm);
        let detection = |scores: &[i64]| share(above(scores, bound), scores.len());
        AtRate {
            rate_ppm,
            above_mban: bound,
            detection: detection(&all),
            interval: wilson(above(&all, bound), all.len()),
            shared: detection(&shared),
            own: detection(&own),
        }
    });
    let caught = levels(looks, plain, |_| true);
    let precise = |of: fn(&Levels) -> usize| {
        let detection = share(of(&caught), caught.names)?;
        precision(detection, share(of(pooled), pooled.names)?, PREVALENCE)
    };
    Truth {
        id: id.to_owned(),
        all: caught,
        shared: levels(looks, plain, |look| look.tenant),
        at_rates: at_rates.into(),
        auc: auc(&all, benign),
        precision: Precision {
            block: precise(|l| l.block),
            enforced: precise(Levels::enforced),
            noticed: precise(Levels::noticed),
        },
    }
}

/// The list with the highest rate.
fn worst(lists: &[Benign], of: fn(&Levels) -> usize) -> String {
    let rate = |list: &&Benign| share(of(&list.levels), list.levels.names).unwrap_or(0.0);
    let worst = lists.iter().max_by(|a, b| rate(a).total_cmp(&rate(b)));
    worst.map_or_else(String::new, |list| list.id.clone())
}

fn enforced_says(state: &Published, name: &Name, level: Level) -> Enforced {
    Enforced {
        name: name.to_string(),
        level: level.to_string(),
        lists: lists_naming(state, name.as_ref()),
    }
}

/// The sources that name it, `www.` below it, or a name above it.
fn lists_naming(state: &Published, name: NameRef<'_>) -> Vec<String> {
    let www = name.to_owned().child(b"www").ok();
    let mut asked: Vec<NameRef<'_>> = Appraiser::chain_of(&state.standings, name).collect();
    asked.extend(www.as_ref().map(Name::as_ref));
    let names = |source: &&crate::pipeline::Source| {
        asked.iter().any(|name| source.claims.name(*name).is_some_and(|claim| !claim.exception))
    };
    state.sources.iter().filter(names).map(|source| source.profile.id.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::material::{FileLabel, Gatherer, Row};
    use crate::model::Timestamp;

    /// Two lists of sixty names, thirty of them on both; the second thirty of OpenPhish are new
    /// after the cut. Benign names, two of which are listed by mistake.
    fn material() -> Material {
        let mut gatherer = Gatherer::new(Timestamp::parse("2026-07-01").unwrap());
        let row = |text: String| Row::parse(&text).unwrap();
        let phish = (0..60).map(|n| match n < 30 {
            true => row(format!("bad{n}.net\t2026-06-29")),
            false => row(format!("bad{n}.pages.dev\t2026-07-02")),
        });
        gatherer.feed(&FileLabel::parse("openphish.tsv"), phish);
        let tweets = (0..30).map(|n| row(format!("bad{n}.net\t2026-06-20")));
        let mistakes = ["good1.org", "good2.org"].map(|n| row(format!("{n}\t2026-06-30")));
        gatherer.feed(&FileLabel::parse("tweetfeed.tsv"), tweets.chain(mistakes.clone()));
        gatherer.feed(&FileLabel::parse("openphish.tsv"), mistakes.into_iter().take(1));
        gatherer
            .feed(&FileLabel::parse("openphish.tsv"), [row("weebly.com\t2026-06-30".to_owned())]);
        gatherer
            .feed(&FileLabel::parse("openphish.tsv"), [row("sub.bad1.net\t2026-07-03".to_owned())]);
        let benign = (0..100).map(|n| row(format!("good{n}.org")));
        gatherer.benign(&FileLabel::parse("people.txt"), benign);
        gatherer
            .popularity(&FileLabel::parse("top_20260601.tsv"), [row("good1.org\t200".to_owned())]);
        gatherer.finish(&Model::shipped())
    }

    fn run(report: &Report, popularity: bool) -> &Run {
        report.runs.iter().find(|r| r.popularity == popularity && !r.prediction).unwrap()
    }

    #[test]
    fn what_is_caught_is_counted_once_at_its_level() {
        let report = evaluate(&material(), &Model::shipped(), &|_| {}).unwrap();
        let withheld = run(&report, false);
        let truth = &withheld.truths[0];
        assert_eq!((truth.all.names, truth.shared.names), (31, 30));
        // Below `bad1.net`, which two lists name.
        assert_eq!((truth.all.block, truth.all.redirect, truth.all.monitor), (1, 0, 0));
        assert_eq!(truth.shared.noticed(), 0);
        let listed: Vec<(String, u32, usize, usize)> = withheld
            .listed
            .iter()
            .map(|l| (l.id.clone(), l.days, l.levels.names, l.levels.block))
            .collect();
        assert!(listed.contains(&("openphish".to_owned(), 3, 32, 31)), "{listed:?}");
        assert!(listed.contains(&("tweetfeed".to_owned(), 7, 2, 1)), "{listed:?}");
        assert!(listed.contains(&("tweetfeed".to_owned(), 30, 32, 31)), "{listed:?}");
    }

    #[test]
    fn popularity_evidence_can_be_withheld_and_false_positives_have_names() {
        let report = evaluate(&material(), &Model::shipped(), &|_| {}).unwrap();
        let (held, withheld) = (run(&report, true), run(&report, false));
        assert_eq!(withheld.pooled.levels.enforced(), 1);
        assert_eq!(withheld.benign[0].enforced[0].name, "good1.org");
        assert_eq!(withheld.benign[0].enforced[0].lists, ["openphish", "tweetfeed"]);
        assert_eq!(withheld.top.levels.block, 1);
        assert_eq!((held.pooled.levels.enforced(), held.top.levels.enforced()), (0, 0));
        assert_eq!(withheld.benign[0].monitored, ["good2.org"]);
        assert_eq!(withheld.worst, ("people".to_owned(), "people".to_owned()));
    }

    #[test]
    fn no_platform_is_taken_as_a_whole() {
        let report = evaluate(&material(), &Model::shipped(), &|_| {}).unwrap();
        assert!(report.runs.iter().all(|r| r.platforms_blocked.is_empty() && r.platforms > 50));
    }

    #[test]
    fn simpler_rules_are_judged_on_the_same_names() {
        let report = evaluate(&material(), &Model::shipped(), &|_| {}).unwrap();
        let of =
            |rule: &str| report.baselines.iter().find(|b| b.rule == rule && !b.popularity).unwrap();
        assert_eq!((of("union").pooled.block, of("2 lists").pooled.block), (2, 1));
        assert_eq!((of("3 lists").pooled.block, of("naive Bayes").pooled.block), (0, 1));
        assert_eq!(of("union").truths[0].all.block, 1);
        let precision = of("2 lists").truths[0].precision.unwrap();
        let detection = 1.0 / 31.0;
        let expected = detection * 0.01 / (detection * 0.01 + 0.01 * 0.99);
        assert!((precision - expected).abs() < 1e-12, "{precision}");
    }

    #[test]
    fn without_enough_to_learn_from_the_report_says_so() {
        let report = evaluate(&material(), &Model::shipped(), &|_| {}).unwrap();
        assert!(report.prediction.unwrap_err().contains("popularity lists"));
        let mut nothing = material();
        nothing.benign.clear();
        assert!(matches!(
            evaluate(&nothing, &Model::shipped(), &|_| {}),
            Err(EvaluationError::NoBenign)
        ));
    }
}
