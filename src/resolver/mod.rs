//! Queries in, answers out.
