//! Queries in, answers out.

pub mod access;
mod batch;
pub mod cookie;
pub mod message;
pub mod quota;
pub mod reply;
pub mod special;
pub mod upstream;
