//! What an evaluation found, as values: the command line prints them, and `--json` gives them as
//! they are. Shares are between 0 and 1.

use serde::Serialize;

use super::material::LeftOut;

/// All that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The cut, in seconds since 1970.
    pub cut: u32,
    /// SHA-256 of the scoring model.
    pub model: String,
    /// The prediction, or why there is none.
    pub prediction: Result<PredictionSays, String>,
    /// What was evidence.
    pub inputs: Vec<Input>,
    /// What was not.
    pub left_out: Vec<LeftOut>,
    /// The pipeline, with and without popularity evidence and prediction.
    pub runs: Vec<Run>,
    /// Simpler rules on the same claims.
    pub baselines: Vec<BaselineRun>,
}

/// A trained prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictionSays {
    /// SHA-256 of its model.
    pub model: String,
    /// Weights in it.
    pub weights: usize,
    /// Octets of it.
    pub size_octets: usize,
    /// Names that became listed and were learnt from.
    pub malicious: usize,
    /// Popular names that were learnt from.
    pub honest: usize,
    /// Names that became listed in the weeks of the calibration.
    pub calibrated_on: usize,
}

/// A list that was evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Whose.
    pub id: String,
    /// `feed` or `popularity`.
    pub role: &'static str,
    /// Entries before the cut.
    pub entries: usize,
    /// The latest date in it, in seconds since 1970.
    pub latest: u32,
    /// The source of the model whose weights it has.
    pub weighs_as: Option<String>,
}

/// The pipeline under one condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// Popularity lists are evidence; else they are in force and name nobody.
    pub popularity: bool,
    /// The prediction is in force.
    pub prediction: bool,
    /// Names of all verdicts by level, from allow to block.
    pub verdicts: [usize; 4],
    /// New names by source.
    pub truths: Vec<Truth>,
    /// All benign lists together.
    pub pooled: Benign,
    /// The benign list with the highest rate of enforced names, and that of monitored ones.
    pub worst: (String, String),
    /// Benign lists.
    pub benign: Vec<Benign>,
    /// The most popular names.
    pub top: Benign,
    /// What each feed listed in the last days before the cut.
    pub listed: Vec<Listed>,
    /// Platforms that a rule takes as a whole.
    pub platforms_blocked: Vec<Enforced>,
    /// Platforms that were looked at.
    pub platforms: usize,
}

/// Names by what is done about them, each counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Levels {
    /// All names.
    pub names: usize,
    /// Blocked.
    pub block: usize,
    /// Redirected.
    pub redirect: usize,
    /// Monitored.
    pub monitor: usize,
    /// Monitored or more, and only because of the prediction.
    pub by_prediction: usize,
}

impl Levels {
    /// Blocked or redirected.
    pub fn enforced(&self) -> usize {
        self.block + self.redirect
    }

    /// Monitored or more.
    pub fn noticed(&self) -> usize {
        self.enforced() + self.monitor
    }
}

/// The new names of one source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    /// Whose.
    pub id: String,
    /// All of them.
    pub all: Levels,
    /// The tenants of platforms among them.
    pub shared: Levels,
    /// Detection where the benign lists together have a rate of false positives.
    pub at_rates: Vec<AtRate>,
    /// Area under the curve against the benign lists together.
    pub auc: Option<f64>,
    /// Precision where one name in a hundred is malicious.
    pub precision: Precision,
}

/// Detection at a rate of false positives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtRate {
    /// False positives among a million benign names.
    pub rate_ppm: u32,
    /// The score, in mban, that a name must exceed.
    pub above_mban: i64,
    /// Share of the new names that do.
    pub detection: Option<f64>,
    /// Where that share lies with a confidence of 95 % (Wilson).
    pub interval: Option<(f64, f64)>,
    /// Of the tenants of platforms.
    pub shared: Option<f64>,
    /// Of all others.
    pub own: Option<f64>,
}

/// Precision at a prevalence of 1 %, by what counts as caught.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Precision {
    /// Blocked.
    pub block: Option<f64>,
    /// Blocked or redirected.
    pub enforced: Option<f64>,
    /// Monitored or more.
    pub noticed: Option<f64>,
}

/// A benign list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Benign {
    /// Whose.
    pub id: String,
    /// Its names by level.
    pub levels: Levels,
    /// Names that are blocked or redirected, all of them.
    pub enforced: Vec<Enforced>,
    /// Names that are monitored, the first of them.
    pub monitored: Vec<String>,
}

/// A name that a rule takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enforced {
    /// The name.
    pub name: String,
    /// `block` or `redirect`.
    pub level: String,
    /// The lists that name it or a name above it.
    pub lists: Vec<String>,
}

/// What a feed listed lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The feed.
    pub id: String,
    /// In how many days before the cut.
    pub days: u32,
    /// Its names by level.
    pub levels: Levels,
}

/// A simpler rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaselineRun {
    /// The rule.
    pub rule: String,
    /// Popularity lists are evidence.
    pub popularity: bool,
    /// New names by source.
    pub truths: Vec<BaselineTruth>,
    /// Benign names that it blocks: of all lists together, of each, of the top.
    pub pooled: Levels,
    /// By list.
    pub benign: Vec<(String, Levels)>,
    /// Of the most popular names.
    pub top: Levels,
}

/// What a rule makes of one source's new names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaselineTruth {
    /// Whose.
    pub id: String,
    /// Blocked ones among all.
    pub all: Levels,
    /// Blocked ones among the tenants of platforms.
    pub shared: Levels,
    /// Detection at rates of false positives.
    pub at_rates: Vec<AtRate>,
    /// Area under the curve.
    pub auc: Option<f64>,
    /// Precision where one name in a hundred is malicious.
    pub precision: Option<f64>,
}
