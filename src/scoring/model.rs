//! The compiled model: every number a score is made of, as integers, laid out for speed.
//!
//! It is read from the canonical JSON of `file.rs`, and a value of the type is proof that the file
//! was checked (`check.rs`). Source ids become small numbers in the order of the ids, so the ties
//! of SCORING 2.5 break by comparing numbers; couplings become a dense matrix.

use std::collections::BTreeMap;

use super::coupling::{ClassCouplings, Matrix};
use super::decay::Curve;
use super::file::{Class, ModelFile, PredictionFile, Reference};
use super::{Kind, Level};
use super::{check, overlay};

pub use super::check::ModelError;

/// Most octets of a model file that are read. A source takes about 2 kB, so this is a hundred
/// times the shipped model.
pub const MODEL_SIZE_BYTES_MAX: usize = 8 << 20;

/// Most sources of a model: the couplings of so many take 2 MiB.
pub const SOURCES_MAX: usize = 1024;

/// A source of a model, by its place in the order of ids. It means nothing to another model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceIndex(pub u16);

/// Where evidence comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub(super) id: Box<str>,
    pub(super) class: Class,
    pub(super) stage: u8,
    pub(super) origin: Option<Box<str>>,
    /// Equal for copies, different for all others.
    pub(super) origin_number: u16,
    pub(super) tier_a: bool,
    pub(super) generic: bool,
    pub(super) grace_h: u32,
    pub(super) reference: Reference,
    pub(super) curves: [Option<Curve>; 4],
}

impl Source {
    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is, as far as dependence goes.
    pub fn class(&self) -> Class {
        self.class
    }

    /// 0 primary list, 1 provider or local rank, 2 aggregator.
    pub fn stage(&self) -> u8 {
        self.stage
    }

    /// Whether it may block a young name alone (SCORING 2.3).
    pub fn is_tier_a(&self) -> bool {
        self.tier_a
    }

    /// Whether it takes in so much that without a source that is not generic it enforces nothing
    /// (SCORING 2.11 j).
    pub fn is_generic(&self) -> bool {
        self.generic
    }

    /// What the age of its entries counts from.
    pub fn reference(&self) -> Reference {
        self.reference
    }

    /// Precision for things of that kind, in ppm; nothing if it does not list such things.
    pub fn precision_ppm(&self, kind: Kind) -> Option<u32> {
        self.curves[kind as usize].as_ref().map(|curve| curve.precision_ppm)
    }

    /// What an entry of that age weighs, in mban: 0 for kinds that it does not list.
    pub fn weight(&self, kind: Kind, age_h: u32) -> i32 {
        self.curves[kind as usize].as_ref().map_or(0, |curve| curve.weight(age_h, self.grace_h))
    }
}

/// A table of steps; see [`Table::below`] and [`Table::up_to`] for what its bounds mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// Bounds and weights of all steps but the last.
    pub(super) steps: Vec<(u32, i32)>,
    /// The weight beyond all bounds.
    pub(super) last: i32,
}

impl Table {
    /// The weight of a value, where a step ends just below its bound.
    pub fn below(&self, value: u32) -> i32 {
        self.steps.iter().find(|(bound, _)| value < *bound).map_or(self.last, |&(_, mban)| mban)
    }

    /// The weight of a value, where a step holds its bound.
    pub fn up_to(&self, value: u32) -> i32 {
        self.steps.iter().find(|(bound, _)| value <= *bound).map_or(self.last, |&(_, mban)| mban)
    }
}

/// The one source of each class that is not a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Providers {
    pub vt: SourceIndex,
    pub votes: SourceIndex,
    pub apivoid: SourceIndex,
    pub tip: SourceIndex,
    pub local: SourceIndex,
    pub bgpr: SourceIndex,
}

/// Weights of VirusTotal's answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VirusTotalWeights {
    pub half_units: Table,
    pub clean_fresh: i32,
    pub clean_mature: i32,
    pub min_engines: u32,
    pub tau_h: u32,
    pub tau_clean_h: u32,
}

/// Where a level begins and, once begun, ends, in mban.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// It begins here.
    pub on: i32,
    /// It ends below this.
    pub off: i32,
}

/// All numbers of a score. Immutable; share it in an `Arc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub(super) id: Box<str>,
    pub(super) version: Box<str>,
    pub(super) prior: [i32; 4],
    pub(super) sources: Vec<Source>,
    pub(super) classes: ClassCouplings,
    /// By pair, else by class.
    pub(super) related: Matrix,
    /// With origins: what the chain uses.
    pub(super) couplings: Matrix,
    pub(super) providers: Providers,
    pub(super) vt: VirusTotalWeights,
    pub(super) apivoid_detections: Table,
    pub(super) apivoid_tau_h: u32,
    pub(super) tip_hit: i32,
    pub(super) tip_clean: i32,
    pub(super) tip_tau_h: u32,
    pub(super) bgpranking_q_ppm: Table,
    pub(super) direct_max: i32,
    pub(super) direct_min: i32,
    pub(super) infrastructure_max: i32,
    pub(super) infrastructure_min: i32,
    pub(super) age_days: Table,
    pub(super) nod_hours: Table,
    pub(super) rank30: Table,
    pub(super) local_history: i32,
    pub(super) prediction: PredictionFile,
    pub(super) monitor: Step,
    pub(super) redirect: Step,
    pub(super) block: Step,
    pub(super) min_dwell_h: u32,
    pub(super) changes_max: u32,
    pub(super) distinct_origins: bool,
    pub(super) tier_a_redirects_hosts: bool,
}

impl Model {
    /// Reads a compiled model.
    pub fn from_json(octets: &[u8]) -> Result<Self, ModelError> {
        if octets.len() > MODEL_SIZE_BYTES_MAX {
            return Err(ModelError::TooLong { size_bytes: octets.len() });
        }
        Self::from_file(&serde_json::from_slice(octets)?)
    }

    /// Checks a model file and makes the model of it.
    pub fn from_file(file: &ModelFile) -> Result<Self, ModelError> {
        check::assemble(file)
    }

    /// SHA-256 of the canonical JSON, in hex. A verdict names it, so that it can be replayed.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The model's name, for people.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The coupling of two sources of a class where no pair is named, in permille.
    pub fn class_coupling_permille(&self, class: Class) -> u32 {
        self.classes.of(class, class).into()
    }

    /// From which prediction on one counts as strong (SCORING 2.9, G9), in mban.
    pub fn prediction_strong(&self) -> i32 {
        self.prediction.strong
    }

    /// All sources in the order of ids: the first is [`SourceIndex`] 0.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The source of that name.
    pub fn source_index(&self, id: &str) -> Option<SourceIndex> {
        let at = self.sources.binary_search_by(|source| (*source.id).cmp(id)).ok()?;
        Some(SourceIndex(at as u16))
    }

    /// The source at an index of this model.
    pub fn source(&self, index: SourceIndex) -> &Source {
        &self.sources[usize::from(index.0)]
    }

    /// What share of the one the other repeats, in permille: 1000 for copies of one origin.
    pub fn coupling_permille(&self, one: SourceIndex, other: SourceIndex) -> u32 {
        u32::from(self.couplings.at(one, other))
    }

    /// Log-odds before any evidence, in mban.
    pub fn prior(&self, kind: Kind) -> i32 {
        self.prior[kind as usize]
    }

    /// Where a level begins and ends; allow has no beginning.
    pub fn step(&self, level: Level) -> Option<Step> {
        match level {
            Level::Allow => None,
            Level::Monitor => Some(self.monitor),
            Level::Redirect => Some(self.redirect),
            Level::Block => Some(self.block),
        }
    }

    /// The same model with an operator's thresholds. Its id stays that of the weights; who shows
    /// a verdict shows the thresholds beside it.
    pub fn with_thresholds(self, monitor: Step, redirect: Step, block: Step) -> Self {
        Self { monitor, redirect, block, ..self }
    }

    /// The same model with extra lists `id: (like, origin)` (SCORING section 3): each has the record
    /// of `like` and is a verbatim copy of all that share the origin. A list that exists can be
    /// given an origin so. Pairs belong to ids, so an extra list has the couplings of its class.
    ///
    /// The id of the result is the digest of the model's id and the overlay.
    pub fn overlaid(
        &self,
        overlay: &BTreeMap<String, (String, String)>,
    ) -> Result<Self, ModelError> {
        overlay::overlay(self, overlay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_next_step_or_to_its_own() {
        let table = Table { steps: vec![(10, 1), (20, 2)], last: 3 };
        assert_eq!([9, 10, 19, 20].map(|v| table.below(v)), [1, 2, 2, 3]);
        assert_eq!([10, 11, 20, 21].map(|v| table.up_to(v)), [1, 2, 2, 3]);
        assert_eq!(table.below(u32::MAX), 3);
    }
}
