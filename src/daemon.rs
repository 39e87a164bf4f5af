//! Wires the program: start order, reload, shutdown.
