//! Queries in, answers out.

pub mod cache;
pub mod upstream;
