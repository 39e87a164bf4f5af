//! What every source claims now.
//!
//! A source's claims are one immutable value ([`Claims`]), replaced as a whole by each refresh.
//! Names lie in a [`crate::names::NameTable`], so that a million claims take some twenty megabytes
//! and can be mapped from the archive. [`merge`] walks all sources at once in canonical order;
//! [`popularity`] does the same for lists that speak of how much a name is used.

pub mod build;
pub mod claims;
pub mod merge;
pub mod popularity;
pub mod sets;
pub mod shared_hosts;
pub mod special;
pub mod suffix;

pub use build::ClaimsBuilder;
pub use claims::{Claims, ClaimsError, NameClaim, Times};
pub use merge::Merge;
pub use popularity::{Popularity, RankList};
pub use sets::Claimed;
pub use shared_hosts::SharedHosts;
pub use special::SpecialUse;
pub use suffix::{PublicSuffixes, Registration};
