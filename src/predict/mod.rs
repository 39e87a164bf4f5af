//! What a name and its neighbourhood predict, before any list names it.
//!
//! Exact lists see almost nothing of tomorrow. A small model, trained on the installation's own
//! feeds and popularity lists, says how much more often a name like this one was listed than the
//! names that people use: in mban, so that it enters the context of a score as one contribution
//! (SCORING 2.6). What it says is explained by its features, in the same unit.
//!
//! ```text
//! claims, ranks ─ train ─▶ PredictionModel ─ canonical JSON ─▶ Predictor ─▶ Prediction
//! ```
//!
//! Two kinds of names are told apart, because what is known of them differs. A name of its own
//! registration is judged by its suffix, the characters and shape of what was registered, and by
//! how many hosts below it are listed. A tenant of a platform is judged by the platform alone:
//! how many of its tenants were listed lately, against how many honest ones it must have.
//!
//! Training is deterministic to the bit: its order is that of the names, its arithmetic is that of
//! IEEE 754 without library functions, and its result is integers. Applying it is integers only.

mod apply;
mod arithmetic;
mod calibration;
mod feature;
mod history;
mod model;
mod platform;
mod regression;
mod site;
mod train;

pub use apply::{Prediction, Predictor, Reason};
pub use model::{MODEL_SIZE_BYTES_MAX, ModelError, PredictionModel};
pub use site::Site;
pub use train::{Material, Training, TrainingError, train};

/// The largest prediction, in mban: a name that 250 times as many malicious names resemble as
/// honest ones. More would be beyond what a few weeks of feeds can show.
pub const PREDICTION_MBAN_MAX: i32 = 2400;
