//! The trained model as it is stored: canonical JSON of whole numbers, named by its SHA-256.
//!
//! Every weight stands beside what it is about, in words, so that the file can be read and a
//! prediction added up by hand. Unknown keys are errors, and whatever a prediction relies on is
//! checked when the model is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::calibration::Curve;
use super::feature::Feature;
use crate::model::{Name, Timestamp};

/// Most octets of a model that are read: fifty times those of one trained on the public feeds.
pub const MODEL_SIZE_BYTES_MAX: usize = 64 << 20;
/// The format that is written; the only one there has been.
const FORMAT: u32 = 1;
/// The unit of all weights.
const UNIT: &str = "mban";
/// Greatest magnitude of a weight: as in scoring models, odds of 10³⁰ to one. A name has at most
/// a few hundred features, so their sum fits.
const MBAN_MAX: i32 = 30_000;

/// Why octets are not a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It is longer than any model.
    #[error("the model is {0} octets long; at most {MODEL_SIZE_BYTES_MAX} are read")]
    TooLong(usize),
    /// It is not JSON, or has other keys or types than a model.
    #[error("the model does not read: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of a format that this program does not know.
    #[error("the model is of format {0}; {FORMAT} is known")]
    Format(u32),
    /// Its weights are in another unit.
    #[error("the model's unit is `{0}`; only `{UNIT}` is known")]
    Unit(String),
    /// A feature that this program does not look for.
    #[error("`{0}` is no feature of a name")]
    Feature(String),
    /// A suffix or platform that is no name.
    #[error("`{0}` is no domain name")]
    Name(String),
    /// A weight beyond all bounds.
    #[error("the weight of `{0}` is beyond {MBAN_MAX} mban")]
    Weight(String),
    /// A table that does not ascend.
    #[error("the table `{0}` does not ascend")]
    Curve(&'static str),
}

/// What is known of a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Tenants that were listed first in the last [`super::history::PLATFORM_DAYS`] days.
    pub listed: u32,
    /// How much more of the malicious names than of the honest ones it has.
    pub mban: i32,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    bias: i32,
    cut: u32,
    features: BTreeMap<String, i32>,
    format: u32,
    own_curve: Vec<(i32, i32)>,
    platforms: BTreeMap<String, Platform>,
    suffixes: BTreeMap<String, i32>,
    tenant_curve: Vec<(i32, i32)>,
    unit: String,
}

/// A trained model. A value of the type is proof that it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PredictionModel {
    /// Nothing dated at or after this was used.
    pub cut: Timestamp,
    /// What every name of its own registration has.
    pub(super) bias: i32,
    /// Weights of features.
    pub(super) features: BTreeMap<Feature, i32>,
    /// Weights of public suffixes.
    pub(super) suffixes: BTreeMap<Name, i32>,
    /// What the sum of weights is worth.
    pub(super) own_curve: Curve,
    /// Platforms of which tenants were listed lately.
    pub(super) platforms: BTreeMap<Name, Platform>,
    /// What a platform's number is worth in the weeks after.
    pub(super) tenant_curve: Curve,
}

impl PredictionModel {
    /// Reads a model.
    pub fn from_json(octets: &[u8]) -> Result<Self, ModelError> {
        if octets.len() > MODEL_SIZE_BYTES_MAX {
            return Err(ModelError::TooLong(octets.len()));
        }
        let file: File = serde_json::from_slice(octets)?;
        if file.format != FORMAT {
            return Err(ModelError::Format(file.format));
        }
        if file.unit != UNIT {
            return Err(ModelError::Unit(file.unit));
        }
        let mut features = BTreeMap::new();
        for (text, mban) in file.features {
            let feature = Feature::parse(&text).ok_or_else(|| ModelError::Feature(text.clone()))?;
            features.insert(feature, bounded(&text, mban)?);
        }
        let mut platforms = BTreeMap::new();
        for (text, platform) in file.platforms {
            bounded(&text, platform.mban)?;
            platforms.insert(named(text)?, platform);
        }
        let mut suffixes = BTreeMap::new();
        for (text, mban) in file.suffixes {
            let mban = bounded(&text, mban)?;
            suffixes.insert(named(text)?, mban);
        }
        Ok(Self {
            cut: Timestamp(file.cut),
            bias: bounded("bias", file.bias)?,
            features,
            suffixes,
            own_curve: curve("own_curve", file.own_curve)?,
            platforms,
            tenant_curve: curve("tenant_curve", file.tenant_curve)?,
        })
    }

    /// The octets whose SHA-256 is the model's id: sorted keys, one space of indentation a level,
    /// no newline at the end.
    pub fn to_canonical(&self) -> Vec<u8> {
        let file = File {
            bias: self.bias,
            cut: self.cut.0,
            features: self.features.iter().map(|(f, mban)| (f.to_string(), *mban)).collect(),
            format: FORMAT,
            own_curve: self.own_curve.0.clone(),
            platforms: self.platforms.iter().map(|(n, p)| (n.to_string(), *p)).collect(),
            suffixes: self.suffixes.iter().map(|(n, mban)| (n.to_string(), *mban)).collect(),
            tenant_curve: self.tenant_curve.0.clone(),
            unit: UNIT.to_owned(),
        };
        let mut octets = Vec::new();
        let layout = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut octets, layout);
        file.serialize(&mut serializer).expect("numbers and strings always have a JSON form");
        octets
    }

    /// SHA-256 of the canonical octets, in hex.
    pub fn id(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.to_canonical());
        data_encoding::HEXLOWER.encode(digest.as_ref())
    }

    /// How many weights it has.
    pub fn len(&self) -> usize {
        self.features.len() + self.suffixes.len() + self.platforms.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn bounded(text: &str, mban: i32) -> Result<i32, ModelError> {
    let bounds = -MBAN_MAX..=MBAN_MAX;
    bounds.contains(&mban).then_some(mban).ok_or_else(|| ModelError::Weight(text.to_owned()))
}

fn named(text: String) -> Result<Name, ModelError> {
    Name::from_presentation(&text).map_err(|_| ModelError::Name(text))
}

fn curve(which: &'static str, points: Vec<(i32, i32)>) -> Result<Curve, ModelError> {
    let bound = MBAN_MAX * 100;
    let bounded = |(at, mban): &(i32, i32)| at.abs() <= bound && mban.abs() <= MBAN_MAX;
    let ascends = points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
    match ascends && points.iter().all(bounded) {
        true => Ok(Curve(points)),
        false => Err(ModelError::Curve(which)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> PredictionModel {
        PredictionModel {
            cut: Timestamp(1_782_864_000),
            bias: -300,
            features: [("piece log", 400), ("length 12", -20)]
                .map(|(text, mban)| (Feature::parse(text).unwrap(), mban))
                .into(),
            suffixes: [(Name::from_host("top").unwrap(), 900)].into(),
            own_curve: Curve(vec![(-500, -200), (100, 1500)]),
            platforms: [(
                Name::from_host("pages.dev").unwrap(),
                Platform { listed: 9, mban: 2100 },
            )]
            .into(),
            tenant_curve: Curve(vec![(0, 0), (2000, 2000)]),
        }
    }

    #[test]
    fn a_model_reads_back_and_its_id_is_that_of_its_octets() {
        let octets = model().to_canonical();
        let back = PredictionModel::from_json(&octets).unwrap();
        assert_eq!(back, model());
        assert_eq!(back.to_canonical(), octets);
        assert_eq!(back.id(), model().id());
        assert_ne!(PredictionModel { bias: -301, ..model() }.id(), model().id());
    }

    #[test]
    fn what_a_prediction_could_not_rely_on_is_refused() {
        let text = String::from_utf8(model().to_canonical()).unwrap();
        for (from, to, expected) in [
            ("\"mban\"\n", "\"nats\"\n", "unit"),
            ("\"format\": 1", "\"format\": 2", "format 2"),
            ("piece log", "piece a", "no feature"),
            ("\"top\"", "\"to..p\"", "no domain name"),
            ("900", "30001", "beyond"),
            ("2100", "-30001", "beyond"),
            ("1500", "-300", "own_curve"),
            ("\"bias\"", "\"base\"", "does not read"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = PredictionModel::from_json(changed.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{from}: {error}");
        }
    }
}
