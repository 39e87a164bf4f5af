//! Zones out: as files, and what else is made of them.

pub mod artefact;
pub mod file;
pub mod http;
pub mod leaving;
pub mod signing;
pub mod snippet;
