//! Facts → score → level (SCORING section 2): integers only, no clock, no network.
//!
//! A score is the log-odds that answering is wrong, in millibans (1000 · log10 of the odds). It is
//! a sum: prior, direct evidence, context, infrastructure. The same facts and model give the same
//! score to the last unit on every machine, and the contributions of its explanation sum to it.
//!
//! ```text
//! model.toml ─ compile ─▶ model.json ─▶ Model ─┐
//!                                       Facts ─┴▶ score ─▶ decide ─▶ Level
//! ```
//!
//! [`score`] and [`decide`] are for a pass over a million names and allocate nothing for up to
//! sixteen items; [`explain`] is the same code with somebody listening.

mod chain;
mod check;
pub mod compile;
mod context;
mod counterfactual;
mod coupling;
mod decay;
mod decision;
mod direct;
pub mod explain;
pub mod facts;
pub mod file;
mod guards;
mod infrastructure;
mod level;
mod lifetime;
mod model;
mod overlay;
pub mod part;
mod points;
pub mod record;
pub mod replay;
mod shipped;

pub use counterfactual::pivotal_source;
pub use decision::{Decision, Previous, decide};
pub use explain::{Explanation, explain};
pub use facts::{ApiVoid, Facts, Host, Infrastructure, Kind, Listing, Tip, VirusTotal};
pub use file::{Class, Reference};
pub use guards::HOSTED_DOMAINS_SHARED;
pub use guards::{Finding, Findings, Guard};
pub use level::Level;
pub use lifetime::valid_for_seconds;
pub use model::{MODEL_SIZE_BYTES_MAX, Model, ModelError, SOURCES_MAX, Source, SourceIndex, Step};
pub use points::Points;
pub use shipped::{SHIPPED_DESCRIPTION, SHIPPED_JSON};

use crate::model::Category;
use part::{Label, Part, Sink};

/// What the facts amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Score {
    /// Log-odds in millibans.
    pub mban: i64,
    /// Sum of the positive direct contributions within their cap, in mban.
    pub positive_direct: i32,
    /// What the infrastructure adds, in mban.
    pub infrastructure: i32,
    /// How many independent groups speak against it, in ppm of one group.
    pub diversity_ppm: u32,
    /// Whether a source of tier A speaks against it.
    pub tier_a: bool,
    /// Whether all groups that speak against it are generic lists.
    pub generic_alone: bool,
    /// The prediction as far as it may speak, before the other context is counted, in mban.
    pub prediction: i32,
    /// The leading category, if there is positive direct evidence.
    pub category: Option<Category>,
}

impl Score {
    /// The score without the neighbourhood: what counts for the rates of SCORING 2.7, so that they
    /// do not feed on themselves.
    pub fn without_infrastructure(&self) -> i64 {
        self.mban - i64::from(self.infrastructure)
    }
}

/// Scores the facts.
pub fn score(model: &Model, facts: &Facts) -> Score {
    evaluate(model, facts, &mut ())
}

/// Scores the facts and hands every part to `sink`.
pub fn evaluate(model: &Model, facts: &Facts, sink: &mut impl Sink) -> Score {
    evaluate_later(model, facts, 0, sink)
}

/// Scores the facts as they will be `later_h` hours from now if nothing new is learnt.
fn evaluate_later(model: &Model, facts: &Facts, later_h: u32, sink: &mut impl Sink) -> Score {
    let prior = model.prior(facts.kind);
    sink.part(Part::whole(Label::Prior, prior));
    let direct = direct::score(model, facts, later_h, sink);
    let context = context::score(model, facts, later_h, sink);
    let infrastructure = infrastructure::score(model, facts, sink);
    let mban = [prior, direct.mban, context.mban, infrastructure].map(i64::from).iter().sum();
    Score {
        mban,
        positive_direct: direct.positive,
        infrastructure,
        diversity_ppm: direct.diversity_ppm,
        tier_a: direct.tier_a,
        generic_alone: direct.generic_alone,
        prediction: context.prediction,
        category: direct.category,
    }
}

#[cfg(test)]
mod tests;
