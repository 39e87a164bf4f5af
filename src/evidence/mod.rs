//! What every source claims now, kept sorted and merged by indicator.
