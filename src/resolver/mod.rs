//! Queries in, answers out.

mod batch;
pub mod message;
pub mod upstream;
