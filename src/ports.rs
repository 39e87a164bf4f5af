//! The traits that join modules of layer 5; the daemon wires them.
