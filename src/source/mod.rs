//! Evidence in: what to fetch and when, the bytes, the entries in them, and whether they may
//! replace what the source said before.
//!
//! ```text
//! schedule ─▶ fetch ─▶ decompress ─▶ feed::parse ─▶ contract ─▶ (pipeline)
//! ```
//!
//! Everything but `fetch` is pure; [`refresh`] runs the chain for one source. Nothing a feed
//! controls is unbounded, and whatever goes wrong leaves the last good claims as they are: a
//! refresh either hands on a whole accepted snapshot or a reason.

pub mod contract;
pub mod decompress;
pub mod feed;
pub mod fetch;
pub mod provider;
pub mod rdap;
pub mod refresh;
pub mod schedule;
pub mod settings;

#[cfg(test)]
mod real_lists;
