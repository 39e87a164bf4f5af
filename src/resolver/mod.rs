//! Queries in, answers out.

pub mod message;
