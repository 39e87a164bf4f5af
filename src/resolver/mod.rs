//! Queries in, answers out.

pub mod access;
mod batch;
pub mod cache;
pub mod cookie;
pub mod dns64;
pub mod encrypted;
mod flow;
pub mod garden;
pub mod handler;
pub mod message;
pub mod packet_cache;
pub mod quota;
pub mod rate;
pub mod reply;
mod rewrite;
#[cfg(test)]
mod script;
pub mod special;
pub mod tcp;
pub mod udp;
pub mod upstream;
