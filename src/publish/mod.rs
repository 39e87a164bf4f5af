//! Zones out: files, later transfers.

pub mod file;
