//! What the installation's own lists, reviews and reports say of the model (SCORING 4): which lists
//! copy each other, and how often each is right.
//!
//! ```text
//! claims in force ──▶ overlaps ──▶ couplings, copies, aggregators ─┐
//! reviews, reports ─────────────▶ precisions ─────────────────────┼─▶ Learnt ─▶ a reviewed file
//! scores of what was reviewed ──▶ calibration (said, not applied) ─┘
//! ```
//!
//! [`learn`] is pure: the same material gives the same changes, whatever the order of the lists. It
//! changes nothing by itself. What it would change it says with the reason, and [`apply`] makes a
//! new description of the model from what a person left of it. Without reviews trust only falls:
//! estimates without labels are fooled by copies (SCORING 4.3).

mod apply;
mod calibration;
mod file;
mod overlap;
mod precision;

pub use apply::{Applied, ApplyError, apply};
pub use calibration::{Calibration, Reviewed};
pub use file::{Changes, ChangesError};
pub use overlap::Overlaps;

use serde::{Deserialize, Serialize};

use crate::evidence::Popularity;
use crate::model::{NameRef, Timestamp};
use crate::pipeline::Source;
use crate::ports::ledger::{Audit, Report};
use crate::scoring::{Kind, Model};

/// From this coupling on one list is taken for a copy of another (SCORING 4.1), in permille.
const COPY_PERMILLE: u32 = 970;
/// Lists that repeat less than this of each other are independent (SCORING 4.3, 4.4), in permille.
const INDEPENDENT_PERMILLE: u32 = 700;

/// What is learnt from.
pub struct Material<'m> {
    /// The sources in force; those that are scored count.
    pub sources: &'m [Source],
    /// The model in force.
    pub model: &'m Model,
    /// Couplings that the description names, which never fall by themselves: as `a|b`.
    pub pinned: &'m dyn Fn(&str, &str) -> bool,
    /// Ranks of registrable domains.
    pub popularity: &'m Popularity,
    /// The registrable domain of a name.
    pub registrable: &'m dyn Fn(NameRef<'_>) -> usize,
    /// Reviewers' answers.
    pub audits: &'m [Audit],
    /// What others say.
    pub reports: &'m [Report],
    /// Scores of what was reviewed.
    pub reviewed: &'m [Reviewed],
    /// The time.
    pub now: Timestamp,
}

/// How much of another list a list repeats.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CouplingChange {
    /// The two lists, in order of their names.
    pub sources: [String; 2],
    /// In the model in force, in permille.
    pub before: u32,
    /// From now on, in permille.
    pub after: u32,
    /// Why.
    pub reason: String,
}

/// A list that repeats another word for word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyChange {
    /// The copy.
    pub source: String,
    /// What it repeats.
    pub of: String,
    /// Why.
    pub reason: String,
}

/// A list that takes in other lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregatorChange {
    /// The list.
    pub source: String,
    /// Why.
    pub reason: String,
}

/// How often a list is right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrecisionChange {
    /// The list.
    pub source: String,
    /// Of which kind of indicator.
    pub kind: Kind,
    /// In the model in force, in ppm.
    pub before: u32,
    /// From now on, in ppm.
    pub after: u32,
    /// Why.
    pub reason: String,
}

/// What would be changed, and what is merely said.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Learnt {
    /// The changes, for a person to look at.
    pub changes: Changes,
    /// What asks for a look and changes nothing.
    pub notes: Vec<String>,
    /// How scores relate to what reviewers found, where there are enough reviews.
    pub calibration: Option<Calibration>,
}

/// What the lists, reviews and reports say of the model.
pub fn learn(material: &Material<'_>) -> Learnt {
    let overlaps = Overlaps::count(material);
    let mut learnt = Learnt {
        changes: Changes { base: material.model.id().to_owned(), ..Changes::default() },
        ..Learnt::default()
    };
    overlaps.couplings(material, &mut learnt);
    precision::precisions(material, &overlaps, &mut learnt);
    learnt.calibration = Calibration::of(material.reviewed);
    learnt.changes.sort();
    learnt.notes.sort();
    learnt
}

#[cfg(test)]
mod tests;
