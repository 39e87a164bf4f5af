//! Which look-ups are worth their quota (SCORING 5.1): what an answer is worth, whom to ask about
//! next, at what price, and what nobody may be told.
//!
//! Pure, and in floating point: what comes of it is an order of questions and never a score.

pub mod plan;
pub mod price;
pub mod privacy;
pub mod value;

pub use plan::{Candidate, Lane, Pick, plan};
pub use price::Price;
pub use privacy::Never;
pub use value::{Likelihoods, Stakes, value};
