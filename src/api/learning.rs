//! What was learnt of the model, and what came of applying it.

use serde::{Deserialize, Serialize};

use crate::learn::Learnt;
use crate::pipeline::Rehearsal;

/// What would be changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnSays {
    /// The changes with their reasons.
    pub learnt: Learnt,
    /// What they would do to the decisions; none where there is nothing to change.
    pub rehearsal: Option<Rehearsal>,
    /// The file for review.
    pub file: String,
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedSays {
    /// SHA-256 of the model in force from now on, in hex.
    pub model: String,
    /// How many changes there were.
    pub changes: usize,
    /// More decisions change than one person should answer for (SCORING 4.6).
    pub two_people: bool,
    /// What it does to the decisions.
    pub rehearsal: Rehearsal,
}
