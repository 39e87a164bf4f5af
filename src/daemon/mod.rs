//! Wires the program: start order, reload, shutdown.

pub mod answers;
pub mod book;
pub mod clock;
pub mod exporter;
pub mod feeds;
pub mod local;
pub mod offline;
pub mod publisher;
pub mod reload;
pub mod resolver;
pub mod restore;
pub mod sockets;
pub mod state;
pub mod watch;
pub mod writer;
