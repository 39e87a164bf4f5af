//! The unix socket and HTTP interface of the daemon.
