//! How good the decisions are, judged on what came later (SCORING section 6).
//!
//! The feeds as they were at a cut go through the very pipeline that runs; what they list after it
//! is the malicious truth, and lists of names that people use are the benign truth. Nothing dated
//! at or after the cut is evidence: files and rows that are too late are left out and reported.
//!
//! ```text
//! rows ─ Gatherer ─▶ Material ─ evaluate ─▶ Report ─▶ table, JSON
//! ```
//!
//! Everything here is values: the command line reads the files and prints the report.

pub mod baselines;
pub mod material;
pub mod metrics;
mod protocol;
pub mod report;

pub use material::{FileLabel, Gatherer, Material, Row};
pub use protocol::{EvaluationError, evaluate};
pub use report::Report;
