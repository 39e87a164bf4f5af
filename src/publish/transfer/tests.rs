//! Secondaries of all kinds, in one process.
