//! Queries in, answers out.

mod batch;
pub mod message;
