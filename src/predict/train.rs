//! Training: from what was listed when, and from what people use, to a model.
//!
//! ```text
//!       cut − 90 d      cut − 60 d      cut − 30 d           cut
//! ───────────┼───────────────┼───────────────┼────────────────┤
//!  known     │    learnt     │    learnt     │   calibrated   │  never looked at
//! ```
//!
//! Names that became listed within a slice of time are examples of malice, seen with what was
//! known when the slice began: that is how the model will be used. Names of the popularity lists
//! are examples of honesty; a third of them is kept apart for the calibration.

use std::collections::{BTreeMap, HashMap};

use xxhash_rust::xxh3::xxh3_64;

use super::arithmetic::mban;
use super::calibration::{Curve, Grain, Sample};
use super::feature::{self, Feature};
use super::history::{DAY_SECONDS, Holding, PLATFORM_DAYS, Pace, each_holding};
use super::model::Platform;
use super::platform::{Honest, Tier, shift};
use super::regression::{self, Examples};
use super::{PredictionModel, Predictor, Site};
use crate::evidence::{Claims, PublicSuffixes, RankList, SharedHosts};
use crate::model::{Name, NameRef, Timestamp};

/// Length of a slice of time.
const SLICE_DAYS: u32 = 30;
/// Slices that are learnt from; one more is for calibration.
const SLICES: usize = 2;
/// Names of one holder that count in a slice: a campaign is one observation, not thousands.
const NAMES_OF_ONE_MAX: usize = 3;
/// Honest names that are looked at: those of the whole first million would add time, not knowledge.
const HONEST_MAX: usize = 200_000;
/// A feature of fewer examples is left out.
const EXAMPLES_MIN: u32 = 5;
/// A weight of less says nothing.
const WEIGHT_MBAN_MIN: i32 = 25;
/// Features that are kept, the heaviest first.
const FEATURES_MAX: usize = 20_000;
/// Fewer examples of either kind teach nothing.
const NAMES_MIN: usize = 500;
/// A platform with fewer listed tenants is unknown.
const TENANTS_MIN: u32 = 3;
/// One of this many honest names is kept for the calibration.
const HELD_BACK: u64 = 3;

/// What is learnt from.
pub struct Material<'m> {
    /// The claims of the scored sources.
    pub feeds: Vec<&'m Claims>,
    /// Popularity lists, each a list of one day. Those of the cut's day or later are not used.
    pub popular: &'m [RankList],
    /// Public suffixes.
    pub suffixes: &'m PublicSuffixes,
    /// Platforms.
    pub shared_hosts: &'m SharedHosts,
    /// Nothing first seen at or after this is looked at.
    pub cut: Timestamp,
}

/// Why nothing was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrainingError {
    /// The feeds have no history of enough news.
    #[error(
        "{found} names became listed in the weeks that are learnt from; {NAMES_MIN} are needed"
    )]
    FewListed {
        /// How many there are.
        found: usize,
    },
    /// The popularity lists are missing or short.
    #[error("the popularity lists name {found} domains; {NAMES_MIN} are needed")]
    FewPopular {
        /// How many there are.
        found: usize,
    },
}

/// A model and what it was made of.
#[derive(Debug)]
pub struct Training {
    /// The model.
    pub model: PredictionModel,
    /// Names that became listed and were learnt from.
    pub malicious: usize,
    /// Popular names that were learnt from.
    pub honest: usize,
    /// Names that became listed in the slice of the calibration.
    pub calibrated_on: usize,
    /// Mean surprise of the examples before and after, in nats.
    pub loss: (f64, f64),
}

/// Trains a model. The same material gives the same octets.
pub fn train(material: &Material<'_>) -> Result<Training, TrainingError> {
    let honest = HonestNames::read(material);
    if honest.names.len() < NAMES_MIN {
        return Err(TrainingError::FewPopular { found: honest.names.len() });
    }
    let past = Past::read(material, honest);
    let found = past.learnt.counts.iter().filter(|c| **c > 0.0).count();
    if found < NAMES_MIN {
        return Err(TrainingError::FewListed { found });
    }
    let honest_count = past.learnt.len() - found;
    let fitted = past.fit();
    let mut model = fitted.model(&past.vocabulary, material.cut);
    model.own_curve = past.own_curve(&Predictor::new(model.clone()));
    model.tenant_curve = past.tenant_curve();
    model.platforms = past.platforms(SLICES + 1);
    Ok(Training {
        model,
        malicious: found,
        honest: honest_count,
        calibrated_on: past.kept_apart.iter().filter(|k| k.count > 0.0).count(),
        loss: fitted.loss,
    })
}

/// Holders of popular names, and the estimate of honest tenants.
struct HonestNames {
    names: Vec<Name>,
    tenants: Honest,
}

impl HonestNames {
    fn read(material: &Material<'_>) -> Self {
        let mut tenants = Honest::default();
        let mut holders: BTreeMap<Name, Option<Name>> = BTreeMap::new();
        let today = material.cut.0.div_ceil(DAY_SECONDS);
        for list in material.popular.iter().filter(|list| list.day < today) {
            let tiers = Tiers::of(list);
            let mut cursor = list.ranks.iter();
            while let Some((name, payload)) = cursor.next() {
                tenants.rank(name, tiers.at(rank(payload)));
                let site = Site::of(name, material.suffixes, material.shared_hosts);
                let Some(site) = site else { continue };
                let platform = site.tenant.then(|| site.suffix.to_owned());
                holders.insert(site.holding.to_owned(), platform);
            }
        }
        holders.values().for_each(|platform| tenants.count(platform.as_ref().map(Name::as_ref)));
        let own = holders.into_iter().filter(|(_, platform)| platform.is_none());
        let mut names: Vec<Name> = own.map(|(name, _)| name).collect();
        names.sort_by_cached_key(|name| xxh3_64(name.as_ref().key()));
        names.truncate(HONEST_MAX);
        Self { names, tenants }
    }
}

fn rank(payload: &[u8]) -> u32 {
    payload.try_into().map_or(u32::MAX, u32::from_le_bytes)
}

/// The bounds of the tiers of one list: its different ranks.
struct Tiers(Vec<u32>);

impl Tiers {
    fn of(list: &RankList) -> Self {
        let mut cursor = list.ranks.iter();
        let mut bounds: Vec<u32> =
            std::iter::from_fn(|| cursor.next().map(|(_, payload)| rank(payload))).collect();
        bounds.sort_unstable();
        bounds.dedup();
        Self(bounds)
    }

    fn at(&self, rank: u32) -> Tier {
        let below = self.0.partition_point(|bound| *bound < rank);
        Tier { from: below.checked_sub(1).map_or(0, |at| self.0[at]), to: rank }
    }
}

/// Numbers for features and suffixes, in the order in which they were met.
#[derive(Default)]
struct Vocabulary {
    numbers: HashMap<Token, u32, foldhash::fast::FixedState>,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Token {
    Feature(Feature),
    Suffix(Name),
}

impl Vocabulary {
    fn number(&mut self, token: Token) -> u32 {
        let next = u32::try_from(self.tokens.len()).expect("features fit in memory");
        *self.numbers.entry(token).or_insert_with_key(|token| {
            self.tokens.push(token.clone());
            next
        })
    }

    fn of(&mut self, site: &Site<'_>, siblings: usize) -> Vec<u32> {
        let mut numbers = vec![self.number(Token::Suffix(site.suffix.to_owned()))];
        feature::each(site, siblings, |f| numbers.push(self.number(Token::Feature(f))));
        numbers
    }
}

/// A name kept for the calibration.
struct KeptApart {
    holding: Name,
    suffix_labels: usize,
    siblings: usize,
    /// As in [`Examples`].
    count: f64,
}

/// What was listed on one platform.
#[derive(Default, Clone)]
struct Tenants {
    /// At the beginning of each slice, and at the cut: how many in the days before, and how much
    /// they count.
    before: [(u32, f64); SLICES + 2],
    /// How much those count that became listed in the slice of the calibration.
    after: f64,
}

/// The past as examples.
struct Past {
    starts: [Timestamp; SLICES + 2],
    vocabulary: Vocabulary,
    learnt: Examples,
    kept_apart: Vec<KeptApart>,
    tenants: BTreeMap<Name, Tenants>,
    /// As in [`Tenants`], over all names.
    before: [f64; SLICES + 2],
    /// As in [`Tenants`], over all names.
    after: f64,
    honest: Honest,
}

impl Past {
    fn read(material: &Material<'_>, honest: HonestNames) -> Self {
        let cut = material.cut;
        let back = |slices: usize| {
            Timestamp(cut.0.saturating_sub(slices as u32 * SLICE_DAYS * DAY_SECONDS))
        };
        let mut past = Self {
            starts: std::array::from_fn(|at| back(SLICES + 1 - at)),
            vocabulary: Vocabulary::default(),
            learnt: Examples::default(),
            kept_apart: Vec::new(),
            tenants: BTreeMap::new(),
            before: [0.0; SLICES + 2],
            after: 0.0,
            honest: honest.tenants,
        };
        let feeds: Vec<_> = material.feeds.iter().map(|c| (*c, Pace::of(c, cut))).collect();
        let mut siblings: HashMap<Name, [usize; SLICES + 1], foldhash::fast::FixedState> =
            honest.names.iter().map(|name| (name.clone(), [0; SLICES + 1])).collect();
        each_holding(&feeds, material.suffixes, material.shared_hosts, cut, |holding| {
            if let Some(counts) = siblings.get_mut(holding.site().holding.key()) {
                *counts = std::array::from_fn(|slice| holding.listed_before(past.starts[slice]));
            }
            past.take_listed(holding);
        });
        for name in &honest.names {
            past.take_honest(name.as_ref(), &siblings[name], material);
        }
        past.learnt.balance();
        past
    }

    fn take_listed(&mut self, holding: &Holding) {
        self.count_news(holding);
        if holding.site().tenant {
            return;
        }
        for slice in 0..=SLICES {
            let (start, end) = (self.starts[slice], self.starts[slice + 1]);
            let news = holding.sightings.iter();
            let news = news.filter(|s| s.first_seen >= start && s.first_seen < end);
            let siblings = holding.listed_before(start);
            for sighting in news.filter(|s| s.weight > 0.0).take(NAMES_OF_ONE_MAX) {
                self.take(&holding.site(), siblings, slice, sighting.weight);
            }
        }
    }

    /// Counts a holder that became listed, for the rates of platforms.
    fn count_news(&mut self, holding: &Holding) {
        let Some(news) = holding.first_news() else { return };
        let site = holding.site();
        let mut tenants =
            site.tenant.then(|| self.tenants.entry(site.suffix.to_owned()).or_default());
        for (at, time) in self.starts.iter().enumerate() {
            let since = time.0.saturating_sub(PLATFORM_DAYS * DAY_SECONDS);
            if news.first_seen < *time && news.first_seen.0 >= since {
                self.before[at] += news.weight;
                if let Some(tenants) = &mut tenants {
                    tenants.before[at].0 += 1;
                    tenants.before[at].1 += news.weight;
                }
            }
        }
        if news.first_seen >= self.starts[SLICES] {
            self.after += news.weight;
            if let Some(tenants) = tenants {
                tenants.after += news.weight;
            }
        }
    }

    fn take_honest(&mut self, name: NameRef<'_>, siblings: &[usize], material: &Material<'_>) {
        let Some(site) = Site::of(name, material.suffixes, material.shared_hosts) else { return };
        match xxh3_64(name.key()).is_multiple_of(HELD_BACK) {
            true => self.take(&site, siblings[SLICES], SLICES, -1.0),
            false => (0..SLICES).for_each(|slice| self.take(&site, siblings[slice], slice, -1.0)),
        }
    }

    fn take(&mut self, site: &Site<'_>, siblings: usize, slice: usize, count: f64) {
        if slice < SLICES {
            let features = self.vocabulary.of(site, siblings);
            return self.learnt.push(features, count);
        }
        self.kept_apart.push(KeptApart {
            holding: site.holding.to_owned(),
            suffix_labels: site.suffix.label_count(),
            siblings,
            count,
        });
    }

    /// Finds the weights. The order of the examples is by chance, and always the same.
    fn fit(&self) -> Fitted {
        let mut met = vec![0u32; self.vocabulary.tokens.len()];
        for at in 0..self.learnt.len() {
            self.learnt.features(at).iter().for_each(|f| met[*f as usize] += 1);
        }
        let mut kept = Vec::new();
        let numbers: Vec<Option<u32>> = (0u32..)
            .zip(&met)
            .map(|(token, met)| {
                (*met >= EXAMPLES_MIN).then(|| {
                    kept.push(token);
                    kept.len() as u32 - 1
                })
            })
            .collect();
        let examples = self.learnt.renumbered(|f| numbers[f as usize]);
        let mut order: Vec<u32> = (0..examples.len() as u32).collect();
        order.sort_by_cached_key(|at| xxh3_64(&at.to_le_bytes()));
        let (weights, bias) = regression::fit(&examples, kept.len(), &order);
        let nothing = vec![0.0; kept.len()];
        let loss = (
            regression::loss(&examples, &nothing, 0.0),
            regression::loss(&examples, &weights, bias),
        );
        Fitted { tokens: kept, weights, bias, loss }
    }

    /// What a margin is worth, by the slice that the weights have not seen.
    fn own_curve(&self, predictor: &Predictor) -> Curve {
        let honest = self.kept_apart.iter().filter(|k| k.count < 0.0).count().max(1) as f64;
        let samples = self.kept_apart.iter().map(|kept| {
            let site = Site {
                holding: kept.holding.as_ref(),
                suffix: kept.holding.as_ref().top(kept.suffix_labels),
                tenant: false,
            };
            let margin = predictor.margin(&site, kept.siblings);
            match kept.count > 0.0 {
                true => Sample { margin, malicious: kept.count / self.after, honest: 0.0 },
                false => Sample { margin, malicious: 0.0, honest: 1.0 / honest },
            }
        });
        let grain = Grain { malicious: 1.0 / self.after, honest: 1.0 / honest };
        Curve::fit(samples.collect(), grain)
    }

    /// What the number of a platform was worth in the slice after it was made.
    fn tenant_curve(&self) -> Curve {
        let platforms = self.platforms(SLICES);
        let samples = platforms.iter().map(|(name, platform)| Sample {
            margin: platform.mban,
            malicious: self.tenants[name].after / self.after,
            honest: self.honest.share(name.as_ref()),
        });
        let grain = Grain { malicious: 1.0 / self.after, honest: 0.0 };
        Curve::fit(samples.collect(), grain)
    }

    /// The platforms as they were known at the beginning of a slice, or at the cut.
    fn platforms(&self, slice: usize) -> BTreeMap<Name, Platform> {
        let known = self.tenants.iter().filter(|(_, t)| t.before[slice].0 >= TENANTS_MIN);
        known
            .map(|(name, tenants)| {
                let (listed, weight) = tenants.before[slice];
                let share = self.honest.share(name.as_ref());
                let mban = shift(weight / self.before[slice], share);
                (name.clone(), Platform { listed, mban })
            })
            .collect()
    }
}

/// Weights in nats.
struct Fitted {
    tokens: Vec<u32>,
    weights: Vec<f64>,
    bias: f64,
    loss: (f64, f64),
}

impl Fitted {
    /// The heaviest weights as whole numbers.
    fn model(&self, vocabulary: &Vocabulary, cut: Timestamp) -> PredictionModel {
        let mut model =
            PredictionModel { cut, bias: mban(self.bias), ..PredictionModel::default() };
        let weights = self.tokens.iter().zip(&self.weights);
        let weights =
            weights.map(|(token, nats)| (&vocabulary.tokens[*token as usize], mban(*nats)));
        let mut features = Vec::new();
        for (token, mban) in weights.filter(|(_, mban)| mban.abs() >= WEIGHT_MBAN_MIN) {
            match token {
                Token::Feature(feature) => features.push((*feature, mban)),
                Token::Suffix(name) => {
                    model.suffixes.insert(name.clone(), mban);
                }
            }
        }
        features.sort_by_key(|(feature, mban)| (std::cmp::Reverse(mban.abs()), *feature));
        features.truncate(FEATURES_MAX);
        model.features = features.into_iter().collect();
        model
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::claims;
    use super::*;
    use crate::model::SourceId;
    use crate::names::{NameTable, NameTableBuilder};

    const CUT: u32 = 200 * DAY_SECONDS;

    /// Digits from a number, scattered so that no two names are neighbours.
    fn scattered(n: u32) -> u64 {
        xxh3_64(&n.to_le_bytes()) % 1_000_000_007
    }

    /// Fifty names a day for ninety days: the bad look like `login-123.top` and `x.pages.dev`.
    fn listed() -> Vec<(String, u32)> {
        let day = |n: u32| CUT - DAY_SECONDS * (1 + n % 90);
        (0..4500)
            .map(|n| match n % 3 {
                0 => (format!("t{}.pages.dev", scattered(n)), day(n)),
                _ => (format!("login-{}.top", scattered(n)), day(n)),
            })
            .collect()
    }

    fn popular() -> Vec<RankList> {
        let mut names: Vec<Name> = (0..3000)
            .map(|n| {
                let word: String =
                    scattered(n).to_string().bytes().map(|b| (b + 49) as char).collect();
                Name::from_host(&format!("{word}.com")).unwrap()
            })
            .collect();
        names.sort();
        let mut builder = NameTableBuilder::new(4, None);
        names.iter().for_each(|n| builder.push(n.as_ref(), &10_000u32.to_le_bytes()));
        let ranks = NameTable::built(builder);
        vec![RankList { source: SourceId::new("top"), day: CUT / DAY_SECONDS - 1, ranks }]
    }

    fn trained(listed: &[(String, u32)], popular: &[RankList]) -> Result<Training, TrainingError> {
        let feed = claims(listed.iter().map(|(name, at)| (name.as_str(), *at)));
        train(&Material {
            feeds: vec![&feed],
            popular,
            suffixes: &PublicSuffixes::default(),
            shared_hosts: &SharedHosts::default(),
            cut: Timestamp(CUT),
        })
    }

    fn mban(predictor: &Predictor, host: &str) -> i32 {
        let name = Name::from_host(host).unwrap();
        let site = Site::of(name.as_ref(), &PublicSuffixes::default(), &SharedHosts::default());
        predictor.predict(&site.unwrap(), 0).map_or(0, |p| p.mban)
    }

    #[test]
    fn names_like_the_listed_ones_are_told_from_names_like_the_popular_ones() {
        let training = trained(&listed(), &popular()).unwrap();
        assert!(training.loss.1 < 0.1 * training.loss.0, "{:?}", training.loss);
        let predictor = Predictor::new(training.model);
        assert!(mban(&predictor, "login-987654321.top") > 1500);
        assert!(mban(&predictor, "other.pages.dev") > 2000);
        assert!(mban(&predictor, "fgabhdc.com") < 0);
        assert_eq!(mban(&predictor, "other.github.io"), 0, "no tenant of it was listed");
    }

    #[test]
    fn the_same_material_gives_the_same_octets_in_any_order() {
        let (mut listed, popular) = (listed(), popular());
        let first = trained(&listed, &popular).unwrap().model;
        listed.reverse();
        assert_eq!(trained(&listed, &popular).unwrap().model.to_canonical(), first.to_canonical());
        assert_eq!(PredictionModel::from_json(&first.to_canonical()).unwrap(), first);
    }

    #[test]
    fn nothing_from_the_cut_on_is_looked_at() {
        let (mut listed, mut popular) = (listed(), popular());
        let first = trained(&listed, &popular).unwrap().model.id();
        listed.extend((0..900).map(|n| (format!("word{n}.com"), CUT + n)));
        let later = RankList { day: CUT / DAY_SECONDS, ..popular[0].clone() };
        let mut builder = NameTableBuilder::new(4, None);
        builder.push(Name::from_host("pages.dev").unwrap().as_ref(), &1u32.to_le_bytes());
        popular.push(RankList { ranks: NameTable::built(builder), ..later });
        assert_eq!(trained(&listed, &popular).unwrap().model.id(), first);
        popular[1].day -= 1;
        assert_ne!(trained(&listed, &popular).unwrap().model.id(), first);
    }

    #[test]
    fn too_little_teaches_nothing() {
        let few = TrainingError::FewPopular { found: 0 };
        assert_eq!(trained(&listed(), &[]).unwrap_err(), few);
        let error = trained(&listed()[..300], &popular()).unwrap_err();
        assert!(matches!(error, TrainingError::FewListed { found: 1..500 }), "{error}");
    }
}
