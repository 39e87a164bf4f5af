//! Wires the program: start order, reload, shutdown.

pub mod clock;
pub mod state;
