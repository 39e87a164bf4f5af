//! Sorted sets of names in little memory, each with a fixed number of octets beside it.
