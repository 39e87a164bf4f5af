//! Zones out: files now, transfers later.

pub mod file;
