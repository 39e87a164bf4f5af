//! What is said of look-ups: what was asked, what may be asked, what will be and what will not.

use serde::{Deserialize, Serialize};

/// How look-ups stand.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BudgetSays {
    /// When this was said.
    pub at: u32,
    /// Every service.
    pub services: Vec<ServiceSays>,
    /// What is asked next, the most valuable first.
    pub next: Vec<CandidateSays>,
    /// What is not asked, with how many indicators that concerns.
    pub passed_over: Vec<PassedOver>,
}

/// How one service stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ServiceSays {
    /// Its word.
    pub service: String,
    /// Why it is not asked at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// What it is asked for: `investigations` or `all`.
    pub uses: String,
    /// Units used today and allowed in a day (UTC).
    pub day: (u32, u32),
    /// The same of the month.
    pub month: (u32, u32),
    /// Units in any minute.
    pub per_minute: u32,
    /// What the service itself says is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits_left: Option<u64>,
    /// Why it is left alone for now, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<(String, u32)>,
    /// What a look-up must be worth to be asked in the background.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
}

/// An indicator that is going to be asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateSays {
    /// Whom.
    pub service: String,
    /// About what.
    pub indicator: String,
    /// What the answer is worth.
    pub value: f64,
    /// Why.
    pub reason: String,
}

/// Indicators that are not asked about for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: usize,
    /// One of them.
    pub example: String,
}
