//! Queries in, answers out.

mod batch;
pub mod cookie;
pub mod message;
pub mod reply;
pub mod special;
pub mod upstream;
