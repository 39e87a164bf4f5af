//! What reviewers are asked, and what they and others say.

use serde::{Deserialize, Serialize};

use crate::ports::ledger::Answer;

/// Asks for something to review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawQuestion {
    /// Of this source; of the one that was reviewed least where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Something to review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawSays {
    /// What.
    pub indicator: String,
    /// The source that it was drawn from.
    pub source: String,
    /// From how many entries, each as likely as the others.
    pub drawn_from: u64,
    /// It was drawn before and waits for an answer.
    pub waiting: bool,
    /// The sources that claim it.
    pub sources: Vec<String>,
    /// What is decided about it.
    pub level: String,
}

/// A reviewer's answer, or a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// About what.
    pub indicator: String,
    /// What it is.
    pub answer: Answer,
    /// Who says so.
    pub by: String,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What was noted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// About what.
    pub indicator: String,
    /// What it is said to be.
    pub answer: Answer,
    /// The sources that claim it, with their share of what speaks against it, in permille.
    pub sources: Vec<(String, u16)>,
    /// The source whose sample it belongs to; none where it was not drawn.
    pub drawn_from: Option<String>,
    /// What is decided about it.
    pub level: String,
}

/// What reviews and reports say of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReviews {
    /// The source.
    pub source: String,
    /// Entries that were drawn at random and found malicious.
    pub malicious: usize,
    /// And benign.
    pub benign: usize,
    /// Those that could not be told.
    pub unsure: usize,
    /// Draws that wait for an answer.
    pub waiting: usize,
    /// Reports that it was right.
    pub reported_malicious: usize,
    /// Reports that it was wrong.
    pub reported_benign: usize,
}
