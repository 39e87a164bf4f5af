//! The current version of a zone with the changes that led to it, newest last.

use std::collections::VecDeque;

use super::{Delta, Serial, Soa, Zone};
use crate::model::Timestamp;

/// How much of the past is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Changes.
    pub deltas_max: usize,
    /// Octets of all changes together.
    pub octets_max: usize,
}

impl Default for HistoryLimits {
    /// As Knot DNS keeps its journal: 20 changes (`journal-max-depth`), 100 MiB
    /// (`journal-max-usage`).
    fn default() -> Self {
        Self { deltas_max: 20, octets_max: 100 << 20 }
    }
}

/// A zone and its recent changes.
#[derive(Debug, Clone)]
pub struct History {
    current: Zone,
    deltas: VecDeque<Delta>,
    limits: HistoryLimits,
}

/// What a secondary that has some version needs.
#[derive(Debug, Clone)]
pub enum Changes<'h> {
    /// Nothing: it has this version, or one that is newer (RFC 1995 section 2).
    None,
    /// These changes, oldest first.
    Deltas(Vec<&'h Delta>),
    /// The whole zone: its version is not known any more, or the changes are more than the zone.
    Full,
}

impl History {
    /// A history that starts with a zone, such as the one read back from its file.
    pub fn new(current: Zone, limits: HistoryLimits) -> Self {
        Self { current, deltas: VecDeque::new(), limits }
    }

    /// The current version.
    pub fn current(&self) -> &Zone {
        &self.current
    }

    /// The changes that are kept, oldest first.
    pub fn deltas(&self) -> impl ExactSizeIterator<Item = &Delta> {
        self.deltas.iter()
    }

    /// Makes `next` the current version, with a serial that is ahead of the current one, whatever
    /// serial it came with. Nothing happens where rules and start of authority are the same.
    pub fn advance(&mut self, next: &Zone, now: Timestamp) -> Option<&Delta> {
        let serial = self.current.soa().serial;
        let unchanged = Soa { serial, ..next.soa().clone() } == *self.current.soa();
        let delta = Delta::between(&self.current, next);
        if delta.is_empty() && unchanged {
            return None;
        }
        let soa = Soa { serial: serial.next(now), ..next.soa().clone() };
        self.current = next.with_soa(soa.clone());
        Some(self.record(delta.with_new_soa(soa)))
    }

    /// Makes a version that came from a primary the current one, with its own serial.
    pub fn follow(&mut self, next: Zone) -> Option<&Delta> {
        if next.soa().serial == self.current.soa().serial {
            return None;
        }
        let delta = Delta::between(&self.current, &next);
        self.current = next;
        Some(self.record(delta))
    }

    fn record(&mut self, delta: Delta) -> &Delta {
        self.deltas.push_back(delta);
        let octets =
            |deltas: &VecDeque<Delta>| -> usize { deltas.iter().map(Delta::size_octets).sum() };
        // The newest stays, so that whoever was up to date needs no full transfer.
        while self.deltas.len() > 1
            && (self.deltas.len() > self.limits.deltas_max
                || octets(&self.deltas) > self.limits.octets_max)
        {
            self.deltas.pop_front();
        }
        self.deltas.back().expect("the delta that was just put there")
    }

    /// What leads from the version with this serial to the current one.
    pub fn since(&self, serial: Serial) -> Changes<'_> {
        if serial >= self.current.soa().serial {
            return Changes::None;
        }
        let Some(start) = self.deltas.iter().position(|delta| delta.from() == serial) else {
            return Changes::Full;
        };
        let deltas: Vec<&Delta> = self.deltas.range(start..).collect();
        match deltas.iter().map(|delta| delta.len()).sum::<usize>() > self.current.len() {
            true => Changes::Full,
            false => Changes::Deltas(deltas),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, Name, NamePattern, Rule, Trigger};
    use crate::zone::ZoneBuilder;

    const LIMITS: HistoryLimits = HistoryLimits { deltas_max: 3, octets_max: usize::MAX };

    fn zone(names: std::ops::Range<u32>) -> Zone {
        let origin = Name::from_presentation("rpz.test").unwrap();
        let mut builder = ZoneBuilder::new(origin, Soa::ours(Serial(1)), 7);
        for label in names {
            let name = Name::from_presentation(&format!("n{label}.test")).unwrap();
            let trigger = Trigger::QueryName(NamePattern::exact(name));
            builder.insert(Rule { trigger, action: Action::NxDomain, ttl: 60 });
        }
        builder.finish().0
    }

    fn serials(changes: Changes<'_>) -> String {
        match changes {
            Changes::None => "none".into(),
            Changes::Full => "full".into(),
            Changes::Deltas(deltas) => {
                deltas.iter().map(|d| format!("{}-{} ", d.from(), d.to())).collect()
            }
        }
    }

    #[test]
    fn unchanged_content_publishes_nothing() {
        let mut history = History::new(zone(0..9), LIMITS);
        assert!(history.advance(&zone(0..9), Timestamp(100)).is_none());
        assert_eq!(history.current().soa().serial, Serial(1));
        let soa = Soa { refresh: 7, ..Soa::ours(Serial(1)) };
        let delta = history.advance(&zone(0..9).with_soa(soa), Timestamp(100)).unwrap();
        assert!(delta.is_empty());
        assert_eq!((delta.from(), delta.to()), (Serial(1), Serial(100)));
        assert_eq!(history.current().soa().refresh, 7);
    }

    #[test]
    fn a_version_is_reached_by_its_changes_while_they_are_kept() {
        let mut history = History::new(zone(0..9), LIMITS);
        for end in [10, 11, 12, 13] {
            history.advance(&zone(0..end), Timestamp(0)).unwrap();
        }
        assert_eq!(history.current().soa().serial, Serial(5));
        assert_eq!(serials(history.since(Serial(1))), "full");
        assert_eq!(serials(history.since(Serial(2))), "2-3 3-4 4-5 ");
        assert_eq!(serials(history.since(Serial(4))), "4-5 ");
        assert_eq!(serials(history.since(Serial(5))), "none");
        assert_eq!(serials(history.since(Serial(6))), "none");
        assert_eq!(serials(history.since(Serial(0x8000_0005))), "full");
    }

    #[test]
    fn changes_that_are_more_than_the_zone_are_not_worth_sending() {
        let mut history = History::new(zone(0..3), LIMITS);
        history.advance(&zone(3..6), Timestamp(0)).unwrap();
        assert_eq!(serials(history.since(Serial(1))), "full");
    }

    #[test]
    fn the_octets_of_all_changes_are_bounded() {
        let limits = HistoryLimits { deltas_max: 99, octets_max: 1 };
        let mut history = History::new(zone(0..9), limits);
        history.advance(&zone(0..10), Timestamp(0)).unwrap();
        history.advance(&zone(0..11), Timestamp(0)).unwrap();
        assert_eq!(history.deltas().len(), 1);
        assert_eq!(serials(history.since(Serial(2))), "2-3 ");
    }

    #[test]
    fn a_secondary_keeps_the_serials_of_its_primary() {
        let mut history = History::new(zone(0..9), LIMITS);
        let next = zone(0..10).with_soa(Soa::ours(Serial(77)));
        assert!(history.follow(zone(0..9)).is_none());
        let delta = history.follow(next).unwrap();
        assert_eq!((delta.from(), delta.to(), delta.len()), (Serial(1), Serial(77), 1));
    }
}
