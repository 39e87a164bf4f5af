//! What was decided last for every name that is not simply let through: the memory that
//! hysteresis needs (SCORING 2.9), kept on disk between runs.

use crate::model::{Category, NameRef, Timestamp};
use crate::names::{NameTable, NameTableBuilder};
use crate::scoring::{Level, Previous};

/// Octets beside a name: score i32, since u32, changes since u32, level, category, changes.
const PAYLOAD_OCTETS: usize = 15;

/// Changes are counted over seven days (SCORING 2.9).
const CHANGES_WINDOW_SECONDS: u32 = 7 * 86_400;

/// The standing decision about one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What is done.
    pub level: Level,
    /// The score in mban at that time.
    pub score: i32,
    /// Since when the level has been what it is.
    pub since: Timestamp,
    /// What the evidence speaks of most.
    pub category: Category,
    /// When counting of changes began, and how many there were since (at most 4 in 7 days).
    pub counting_since: Timestamp,
    /// Changes since then.
    pub changes: u8,
}

/// All standing decisions, in canonical order.
#[derive(Debug, Clone)]
pub struct Verdicts(pub NameTable);

impl Default for Verdicts {
    fn default() -> Self {
        Self(NameTable::empty())
    }
}

impl Verdict {
    pub(super) fn read(payload: &[u8]) -> Verdict {
        let number =
            |at: usize| u32::from_le_bytes(payload[at..at + 4].try_into().expect("four octets"));
        Verdict {
            score: number(0) as i32,
            since: Timestamp(number(4)),
            counting_since: Timestamp(number(8)),
            level: Level::ALL.get(usize::from(payload[12])).copied().unwrap_or_default(),
            category: Category::ALL
                .get(usize::from(payload[13]))
                .copied()
                .unwrap_or(Category::Suspicious),
            changes: payload[14],
        }
    }

    /// The decision as the scorer asks for it.
    pub fn as_previous(&self, now: Timestamp) -> Previous {
        let recent = self.counting_since.age_seconds(now) < CHANGES_WINDOW_SECONDS;
        Previous {
            level: self.level,
            held_h: self.since.age_hours(now),
            changes: if recent { u32::from(self.changes) } else { 0 },
        }
    }

    /// Takes over from the decision before: an unchanged level keeps its beginning, a changed one
    /// is counted.
    pub(super) fn follow(&mut self, before: &Verdict, now: Timestamp) {
        let recent = before.counting_since.age_seconds(now) < CHANGES_WINDOW_SECONDS;
        if recent {
            self.counting_since = before.counting_since;
            self.changes = before.changes;
        }
        match self.level == before.level {
            true => self.since = before.since,
            false => self.changes = self.changes.saturating_add(1),
        }
    }

    fn write(&self) -> [u8; PAYLOAD_OCTETS] {
        let mut out = [0; PAYLOAD_OCTETS];
        out[..4].copy_from_slice(&self.score.to_le_bytes());
        out[4..8].copy_from_slice(&self.since.0.to_le_bytes());
        out[8..12].copy_from_slice(&self.counting_since.0.to_le_bytes());
        out[12] = self.level as u8;
        out[13] = self.category as u8;
        out[14] = self.changes;
        out
    }
}

impl Verdicts {
    /// The decision about a name.
    pub fn of(&self, name: NameRef<'_>) -> Option<Verdict> {
        self.0.get(name).map(Verdict::read)
    }

    /// Hands every decision to `visit`, in canonical order.
    pub fn each(&self, mut visit: impl FnMut(NameRef<'_>, Verdict)) {
        let mut cursor = self.0.iter();
        while let Some((name, payload)) = cursor.next() {
            visit(name, Verdict::read(payload));
        }
    }

    /// How many names have one.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no name has one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Takes decisions in canonical order.
pub struct VerdictsBuilder(NameTableBuilder);

impl Default for VerdictsBuilder {
    fn default() -> Self {
        Self(NameTableBuilder::new(PAYLOAD_OCTETS, None))
    }
}

impl VerdictsBuilder {
    /// Takes the decision about the next name.
    pub fn push(&mut self, name: NameRef<'_>, verdict: &Verdict) {
        self.0.push(name, &verdict.write());
    }

    /// All decisions.
    pub fn finish(self) -> Verdicts {
        Verdicts(NameTable::built(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    #[test]
    fn a_decision_reads_back_as_it_was_written() {
        let verdict = Verdict {
            level: Level::Redirect,
            score: -1234,
            since: Timestamp(77),
            category: Category::Scam,
            counting_since: Timestamp(5),
            changes: 3,
        };
        let name = Name::from_host("bad.net").unwrap();
        let mut builder = VerdictsBuilder::default();
        builder.push(name.as_ref(), &verdict);
        let verdicts = builder.finish();
        assert_eq!(verdicts.of(name.as_ref()), Some(verdict));
    }

    #[test]
    fn changes_are_counted_for_seven_days() {
        let at = |level, seconds| Verdict {
            level,
            score: 0,
            since: Timestamp(seconds),
            category: Category::Scam,
            counting_since: Timestamp(seconds),
            changes: 0,
        };
        let mut second = at(Level::Block, 1000);
        second.follow(&at(Level::Monitor, 0), Timestamp(1000));
        assert_eq!(
            (second.changes, second.since, second.counting_since),
            (1, Timestamp(1000), Timestamp(0))
        );
        let mut third = at(Level::Block, 9000);
        third.follow(&second, Timestamp(9000));
        assert_eq!((third.changes, third.since), (1, Timestamp(1000)));
        assert_eq!(third.as_previous(Timestamp(9000)).changes, 1);
        assert_eq!(third.as_previous(Timestamp(8 * 86_400)).changes, 0);
    }
}
