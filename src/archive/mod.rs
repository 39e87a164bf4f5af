//! Last good claims of every source, on disk.
