//! Applying a model: integers only, no allocation, well below a microsecond a name.

use std::collections::HashMap;
use std::fmt;

use super::feature::{self, Feature};
use super::history::PLATFORM_DAYS;
use super::{PredictionModel, Site};
use crate::model::Name;

/// How many reasons are given.
const REASONS_MAX: usize = 5;

/// A model laid out for speed. Cheap to ask.
#[derive(Debug)]
pub struct Predictor {
    model: PredictionModel,
    id: String,
    weights: HashMap<u64, i32, foldhash::fast::FixedState>,
    suffixes: HashMap<Name, i32, foldhash::fast::FixedState>,
}

/// What a model says of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prediction {
    /// How much more often names like it were listed than used, in mban, at most
    /// [`super::PREDICTION_MBAN_MAX`]. Negative where they were used more often.
    pub mban: i32,
    /// The sum of weights that it stands for.
    pub margin: i32,
}

/// A part of a prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// What holds for every name of its own registration.
    Bias,
    /// A feature of the name, in its own words.
    Feature(Feature),
    /// The public suffix.
    Suffix(Name),
    /// The platform, and how many of its tenants were listed lately.
    Platform(Name, u32),
}

impl Predictor {
    /// A model ready for use.
    pub fn new(model: PredictionModel) -> Self {
        let weights = model.features.iter().map(|(feature, mban)| (feature.0, *mban)).collect();
        let suffixes = model.suffixes.iter().map(|(name, mban)| (name.clone(), *mban)).collect();
        Self { id: model.id(), model, weights, suffixes }
    }

    /// The model.
    pub fn model(&self) -> &PredictionModel {
        &self.model
    }

    /// The model's SHA-256, in hex.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is predicted of a name, of which `siblings` other names at or below the same holding
    /// are listed. None for a tenant of a platform of which nothing is known.
    pub fn predict(&self, site: &Site<'_>, siblings: usize) -> Option<Prediction> {
        if site.tenant {
            let platform = self.model.platforms.get(site.suffix.key())?;
            let mban = self.model.tenant_curve.at(platform.mban);
            return Some(Prediction { mban, margin: platform.mban });
        }
        let margin = self.margin(site, siblings);
        Some(Prediction { mban: self.model.own_curve.at(margin), margin })
    }

    /// The sum of weights of a name of its own registration.
    pub(super) fn margin(&self, site: &Site<'_>, siblings: usize) -> i32 {
        let suffix = self.suffixes.get(site.suffix.key()).copied().unwrap_or(0);
        let mut margin = self.model.bias + suffix;
        feature::each(site, siblings, |feature| {
            margin += self.weights.get(&feature.0).copied().unwrap_or(0);
        });
        margin
    }

    /// The parts that weighed most, the heaviest first, with what each adds to the margin.
    pub fn reasons(&self, site: &Site<'_>, siblings: usize) -> Vec<(Reason, i32)> {
        if site.tenant {
            let platform = self.model.platforms.get(site.suffix.key());
            let reason = |p: &super::model::Platform| {
                (Reason::Platform(site.suffix.to_owned(), p.listed), p.mban)
            };
            return platform.map(reason).into_iter().collect();
        }
        let mut parts: Vec<(Reason, i32)> = vec![(Reason::Bias, self.model.bias)];
        let suffix = self.suffixes.get(site.suffix.key());
        parts.extend(suffix.map(|mban| (Reason::Suffix(site.suffix.to_owned()), *mban)));
        feature::each(site, siblings, |feature| {
            let mban = self.weights.get(&feature.0);
            parts.extend(mban.map(|mban| (Reason::Feature(feature), *mban)));
        });
        // A piece that occurs twice is one reason.
        parts[1..].sort_by_key(|(reason, _)| match reason {
            Reason::Feature(feature) => feature.0,
            _ => 0,
        });
        parts.dedup_by(|later, held| {
            let same = later.0 == held.0;
            held.1 += if same { later.1 } else { 0 };
            same
        });
        parts.retain(|(_, mban)| *mban != 0);
        parts.sort_by_key(|(_, mban)| std::cmp::Reverse(mban.unsigned_abs()));
        parts.truncate(REASONS_MAX);
        parts
    }
}

/// In words, such as `the suffix .top`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bias => f.write_str("any name of its own registration"),
            Self::Feature(feature) => write!(f, "{feature}"),
            Self::Suffix(name) => write!(f, "suffix .{name}"),
            Self::Platform(name, listed) => {
                write!(f, "{listed} tenants of {name} listed in {PLATFORM_DAYS} days")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{PublicSuffixes, SharedHosts};
    use crate::model::Timestamp;
    use crate::predict::calibration::Curve;
    use crate::predict::model::Platform;

    fn predictor() -> Predictor {
        let feature = |(text, mban)| (Feature::parse(text).unwrap(), mban);
        Predictor::new(PredictionModel {
            cut: Timestamp(0),
            bias: -100,
            features: [("piece aaa", 400), ("length 6", -50), ("siblings 1", 700)]
                .map(feature)
                .into(),
            suffixes: [(Name::from_host("top").unwrap(), 600)].into(),
            own_curve: Curve(vec![(-1000, -1000), (3000, 1000)]),
            platforms: [(
                Name::from_host("pages.dev").unwrap(),
                Platform { listed: 12, mban: 2100 },
            )]
            .into(),
            tenant_curve: Curve(vec![(0, 0), (2000, 1900)]),
        })
    }

    fn ask<T>(host: &str, ask: impl Fn(&Predictor, &Site<'_>) -> T) -> T {
        let name = Name::from_host(host).unwrap();
        let site = Site::of(name.as_ref(), &PublicSuffixes::default(), &SharedHosts::default());
        ask(&predictor(), &site.unwrap())
    }

    #[test]
    fn the_margin_is_the_sum_of_the_reasons_and_the_curve_says_what_it_is_worth() {
        // Six characters; `aaa` occurs three times.
        let found = ask("www.aaaaab.top", |p, site| p.predict(site, 1)).unwrap();
        assert_eq!(found.margin, -100 - 50 + 3 * 400 + 600 + 700);
        assert_eq!(found.mban, found.margin / 2 - 500);
        let reasons = ask("aaaaab.top", |p, site| p.reasons(site, 1));
        let words: Vec<String> = reasons.iter().map(|(r, m)| format!("{r} {m}")).collect();
        let expected = ["piece aaa 1200", "siblings 1 700", "suffix .top 600"];
        assert_eq!(words[..3], expected);
        assert_eq!(reasons.iter().map(|(_, mban)| mban).sum::<i32>(), found.margin);
    }

    #[test]
    fn a_tenant_is_judged_by_its_platform() {
        let found = ask("aaa.pages.dev", |p, site| p.predict(site, 1)).unwrap();
        assert_eq!((found.margin, found.mban), (2100, 1900));
        let reasons = ask("aaa.pages.dev", |p, site| p.reasons(site, 1));
        assert_eq!(reasons.len(), 1);
        assert_eq!(reasons[0].0.to_string(), "12 tenants of pages.dev listed in 60 days");
        assert_eq!(ask("aaa.github.io", |p, site| p.predict(site, 1)), None);
    }
}
