//! sekisho: a DNS firewall that gathers evidence, scores it locally, enforces the verdicts in its
//! own resolver and publishes the same verdicts as Response Policy Zones.
//!
//! The modules stand bottom-up. A blank line starts a layer; a module imports only from layers
//! above it in this list, and modules of one layer do not know each other. `tests/layers.rs` reads
//! the sources and holds us to it. `ARCHITECTURE.md` says what each is for.

pub mod diagnostic;
pub mod model;

pub mod bgp;
pub mod document;
pub mod names;
pub mod scoring;

pub mod evidence;
pub mod zone;

pub mod lookup;
pub mod pdns;
pub mod policy;
pub mod predict;
pub mod signs;
pub mod snapshot;

pub mod disk;
pub mod pipeline;
pub mod ports;
pub mod telemetry;

pub mod learn;

pub mod api;
pub mod archive;
pub mod evaluate;
pub mod investigate;
pub mod ledger;
pub mod publish;
pub mod resolver;
pub mod secondary;
pub mod source;

pub mod config;

pub mod daemon;

pub mod cli;
