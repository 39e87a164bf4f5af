//! Queries in, answers out.

pub mod upstream;
