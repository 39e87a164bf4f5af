//! The single writer: events in, published state out.

pub mod report;
