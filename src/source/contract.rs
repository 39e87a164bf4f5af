//! Whether a fetched snapshot may replace the last good one (SCORING section 4.4).
//!
//! A feed that stops looking like itself is refused whole: its last good claims stay and age. The
//! rules here, R1 and R2, need only counts and refuse; those of [`entries`] look at single entries
//! and hold removals back or put additions aside.

pub mod entries;

use super::feed::Report;

/// How many accepted snapshots the median is taken over.
pub const SNAPSHOTS_REMEMBERED: usize = 14;

/// How many accepted snapshots make a median worth having; with fewer, the last good size stands
/// for it.
const SNAPSHOTS_FOR_MEDIAN: usize = 3;

/// Why a snapshot is refused, in a sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// R1: fewer than half of the lines parse.
    #[error("only {parsed} of {lines} lines parse, so this is not the list it was (R1)")]
    MostLinesRejected {
        /// Lines that were understood.
        parsed: u64,
        /// Lines that are neither blank nor comments.
        lines: u64,
    },
    /// Nothing is in it at all, and there is no history to measure it by.
    #[error("there is not one entry in it")]
    Empty,
    /// R2: less than a tenth of what the feed usually has.
    #[error("it has shrunk from the usual {usual} entries to {entries}, less than a tenth (R2)")]
    Emptied {
        /// How many it has now.
        entries: u64,
        /// The median of the last accepted snapshots, or the size of the last one.
        usual: u64,
    },
}

impl Violation {
    /// The rule's name in SCORING section 4.4; none where that section has no rule for it.
    pub const fn rule(self) -> Option<&'static str> {
        match self {
            Self::MostLinesRejected { .. } => Some("R1"),
            Self::Emptied { .. } => Some("R2"),
            Self::Empty => None,
        }
    }
}

/// The sizes of the snapshots that were accepted, oldest first, at most
/// [`SNAPSHOTS_REMEMBERED`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    sizes: Vec<u64>,
    additions: Vec<u64>,
}

impl History {
    /// A history of these sizes, oldest first; only the last ones are kept.
    pub fn of(sizes: impl IntoIterator<Item = u64>) -> Self {
        let mut sizes: Vec<u64> = sizes.into_iter().collect();
        sizes.drain(..sizes.len().saturating_sub(SNAPSHOTS_REMEMBERED));
        Self { sizes, additions: Vec::new() }
    }

    /// The same with how many entries came new with each snapshot, oldest first.
    pub fn with_additions(self, additions: impl IntoIterator<Item = u64>) -> Self {
        let mut additions: Vec<u64> = additions.into_iter().collect();
        additions.drain(..additions.len().saturating_sub(SNAPSHOTS_REMEMBERED));
        Self { additions, ..self }
    }

    /// Whether enough snapshots were accepted for the rules that look at entries.
    pub fn is_long(&self) -> bool {
        self.sizes.len() >= SNAPSHOTS_FOR_MEDIAN
    }

    /// The median of the additions, and the median of how far they lie from it.
    fn usual_additions(&self) -> (u64, u64) {
        let usual = median(self.additions.clone());
        (usual, median(self.additions.iter().map(|count| count.abs_diff(usual)).collect()))
    }

    /// The sizes, oldest first.
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// The same with one more accepted snapshot.
    pub fn accept(&self, entries: u64) -> Self {
        Self::of(self.sizes.iter().copied().chain([entries]))
            .with_additions(self.additions.iter().copied())
    }

    /// Twice the usual size, which is a whole number even where the median of an even count is
    /// not; none without history.
    fn usual_doubled(&self) -> Option<u64> {
        if self.sizes.len() < SNAPSHOTS_FOR_MEDIAN {
            return self.sizes.last().map(|size| size.saturating_mul(2));
        }
        let mut sorted = self.sizes.clone();
        sorted.sort_unstable();
        let middle = sorted.len() / 2;
        let lower = if sorted.len().is_multiple_of(2) { middle - 1 } else { middle };
        Some(sorted[lower].saturating_add(sorted[middle]))
    }
}

/// The lower of the two middle ones where their count is even; 0 of none.
fn median(mut counts: Vec<u64>) -> u64 {
    counts.sort_unstable();
    counts.get(counts.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

/// Judges a snapshot by what reading it found.
pub fn check(report: &Report, history: &History) -> Result<(), Violation> {
    let parsed = report.lines_accepted + report.lines_ignored;
    let lines = parsed + report.lines_rejected;
    if parsed < lines - parsed {
        return Err(Violation::MostLinesRejected { parsed, lines });
    }
    let entries = report.entries;
    match history.usual_doubled() {
        // n < 0.1 ñ, in whole numbers.
        Some(doubled) if entries.saturating_mul(20) < doubled => {
            Err(Violation::Emptied { entries, usual: doubled / 2 })
        }
        None if entries == 0 => Err(Violation::Empty),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(accepted: u64, rejected: u64) -> Report {
        Report {
            lines_accepted: accepted,
            lines_rejected: rejected,
            entries: accepted,
            ..Report::default()
        }
    }

    #[test]
    fn r1_refuses_when_fewer_than_half_of_the_lines_parse() {
        let none = History::default();
        assert_eq!(check(&report(50, 50), &none), Ok(()));
        let violation = check(&report(49, 50), &none).unwrap_err();
        assert_eq!(violation, Violation::MostLinesRejected { parsed: 49, lines: 99 });
        assert_eq!(
            violation.to_string(),
            "only 49 of 99 lines parse, so this is not the list it was (R1)"
        );
        let comments = Report { lines_blank: 1000, ..report(1, 3) };
        assert_eq!(check(&comments, &none).unwrap_err().rule(), Some("R1"));
        let ignored = Report { lines_ignored: 3, ..report(1, 4) };
        assert_eq!(check(&ignored, &none), Ok(()));
    }

    #[test]
    fn r2_refuses_less_than_a_tenth_of_the_median() {
        let history = History::of([100, 2000, 1000, 1000, 5000]);
        assert_eq!(check(&report(100, 0), &history), Ok(()));
        let violation = check(&report(99, 0), &history).unwrap_err();
        assert_eq!(violation, Violation::Emptied { entries: 99, usual: 1000 });
        assert_eq!(violation.rule(), Some("R2"));
        // An even count: the median is 15, so 1.5 entries are needed.
        let even = History::of([10, 20, 10, 20]);
        assert!(check(&report(1, 0), &even).is_err());
        assert!(check(&report(2, 0), &even).is_ok());
    }

    #[test]
    fn with_fewer_than_three_snapshots_the_last_one_is_the_measure() {
        let history = History::of([10, 1000]);
        assert!(check(&report(99, 0), &history).is_err());
        assert!(check(&report(100, 0), &history).is_ok());
        assert_eq!(check(&report(0, 0), &History::default()), Err(Violation::Empty));
    }

    #[test]
    fn the_last_fourteen_snapshots_count() {
        let mut history = History::default();
        for size in (0..20).chain([7]) {
            history = history.accept(size);
        }
        assert_eq!(history.sizes().len(), SNAPSHOTS_REMEMBERED);
        assert_eq!((history.sizes()[0], history.sizes()[13]), (7, 7));
    }

    #[test]
    fn a_feed_that_was_small_and_empty_may_stay_so() {
        assert_eq!(check(&report(0, 0), &History::of([0, 0, 0])), Ok(()));
    }
}
