//! Facts to score to action: integers only (SCORING section 2).
