//! Zones out: files, later transfers.
