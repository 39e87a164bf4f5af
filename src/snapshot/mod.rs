//! All zones in force, in order, indexed; immutable and swapped as one.
