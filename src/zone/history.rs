//! The current version of a zone with the changes that led to it, newest last.

use std::collections::VecDeque;

use super::{Delta, DeltaError, Serial, Soa, Zone};

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
pub enum Changes {
    /// Nothing: it has this version, or one that is newer (RFC 1995 section 2).
    None,
    /// This change, which is all changes since in one (RFC 1995 section 5).
    Delta(Delta),
    /// The whole zone: its version is not known any more, or the change is more than the zone.
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

    /// The bounds that it keeps to.
    pub fn limits(&self) -> HistoryLimits {
        self.limits
    }

    /// Puts an equal zone in place of the current one, such as one that lies in a mapped file.
    pub fn relocate(&mut self, zone: &Zone) {
        self.current = zone.with_soa(self.current.soa().clone());
    }

    /// Puts changes in front that were kept elsewhere, oldest first; the last leads to the current
    /// version. What does not join is left out.
    pub fn restore(&mut self, deltas: Vec<Delta>) {
        for delta in deltas.into_iter().rev() {
            let next = self.deltas.front().map_or(self.current.soa().serial, Delta::from);
            if delta.to() != next {
                return;
            }
            self.deltas.push_front(delta);
        }
        self.trim();
    }

    /// The changes that are kept, oldest first.
    pub fn deltas(&self) -> impl ExactSizeIterator<Item = &Delta> {
        self.deltas.iter()
    }

    /// Makes `next` the current version under this serial, which must be ahead of the current
    /// one. Nothing happens where rules and start of authority are the same.
    pub fn advance(&mut self, next: &Zone, serial: Serial) -> Option<&Delta> {
        let current = self.current.soa().serial;
        debug_assert!(serial > current, "serials never go back");
        let unchanged = Soa { serial: current, ..next.soa().clone() } == *self.current.soa();
        let delta = Delta::between(&self.current, next);
        if delta.is_empty() && unchanged {
            return None;
        }
        let soa = Soa { serial, ..next.soa().clone() };
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
        self.trim();
        self.deltas.back().expect("the delta that was just put there")
    }

    fn trim(&mut self) {
        let octets =
            |deltas: &VecDeque<Delta>| -> usize { deltas.iter().map(Delta::size_octets).sum() };
        // The newest stays, so that whoever was up to date needs no full transfer.
        while self.deltas.len() > 1
            && (self.deltas.len() > self.limits.deltas_max
                || octets(&self.deltas) > self.limits.octets_max)
        {
            self.deltas.pop_front();
        }
    }

    /// What leads from the version with this serial to the current one. A serial that is none of
    /// those kept gets the whole zone: a change from another start leaves BIND and Unbound
    /// without any rule.
    pub fn since(&self, serial: Serial) -> Changes {
        if serial >= self.current.soa().serial {
            return Changes::None;
        }
        let Some(start) = self.deltas.iter().position(|delta| delta.from() == serial) else {
            return Changes::Full;
        };
        match self.condensed(start) {
            Ok(delta) if delta.len() <= self.current.len() => Changes::Delta(delta),
            _ => Changes::Full,
        }
    }

    /// All changes from this position on as one.
    fn condensed(&self, start: usize) -> Result<Delta, DeltaError> {
        // From the newest to the oldest, so that each step adds one change as it was.
        let mut newer = self.deltas.range(start..).rev();
        let last = newer.next().expect("a position of a delta").clone();
        newer.try_fold(last, |condensed, delta| delta.then(&condensed))
    }

    /// The zone as it was under a serial that is kept; none where it is not. The seed keys its
    /// hash tables.
    pub fn at(&self, serial: Serial, hash_seed: u64) -> Option<Zone> {
        if serial == self.current.soa().serial {
            return Some(self.current.clone());
        }
        let start = self.deltas.iter().position(|delta| delta.from() == serial)?;
        self.condensed(start).ok()?.inverse().apply(&self.current, hash_seed).ok()
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

    fn serials(changes: Changes) -> String {
        match changes {
            Changes::None => "none".into(),
            Changes::Full => "full".into(),
            Changes::Delta(delta) => format!("{}-{}", delta.from(), delta.to()),
        }
    }

    #[test]
    fn unchanged_content_publishes_nothing() {
        let mut history = History::new(zone(0..9), LIMITS);
        assert!(history.advance(&zone(0..9), Serial(100)).is_none());
        assert_eq!(history.current().soa().serial, Serial(1));
        let soa = Soa { refresh: 7, ..Soa::ours(Serial(1)) };
        let delta = history.advance(&zone(0..9).with_soa(soa), Serial(100)).unwrap();
        assert!(delta.is_empty());
        assert_eq!((delta.from(), delta.to()), (Serial(1), Serial(100)));
        assert_eq!(history.current().soa().refresh, 7);
    }

    #[test]
    fn a_version_is_reached_by_its_changes_while_they_are_kept() {
        let mut history = History::new(zone(0..9), LIMITS);
        for (serial, end) in [(2, 10), (3, 11), (4, 12), (5, 13)] {
            history.advance(&zone(0..end), Serial(serial)).unwrap();
        }
        assert_eq!(history.current().soa().serial, Serial(5));
        assert_eq!(serials(history.since(Serial(1))), "full");
        assert_eq!(serials(history.since(Serial(2))), "2-5");
        assert_eq!(serials(history.since(Serial(4))), "4-5");
        assert_eq!(serials(history.since(Serial(5))), "none");
        assert_eq!(serials(history.since(Serial(6))), "none");
        assert_eq!(serials(history.since(Serial(0x8000_0005))), "full");
    }

    #[test]
    fn changes_that_are_more_than_the_zone_are_not_worth_sending() {
        let mut history = History::new(zone(0..3), LIMITS);
        history.advance(&zone(3..6), Serial(2)).unwrap();
        assert_eq!(serials(history.since(Serial(1))), "full");
    }

    #[test]
    fn the_octets_of_all_changes_are_bounded() {
        let limits = HistoryLimits { deltas_max: 99, octets_max: 1 };
        let mut history = History::new(zone(0..9), limits);
        history.advance(&zone(0..10), Serial(2)).unwrap();
        history.advance(&zone(0..11), Serial(3)).unwrap();
        assert_eq!(history.deltas().len(), 1);
        assert_eq!(serials(history.since(Serial(2))), "2-3");
    }

    #[test]
    fn a_secondary_keeps_the_serials_of_its_primary() {
        let mut history = History::new(zone(0..9), LIMITS);
        let next = zone(0..10).with_soa(Soa::ours(Serial(77)));
        assert!(history.follow(zone(0..9)).is_none());
        let delta = history.follow(next).unwrap();
        assert_eq!((delta.from(), delta.to(), delta.len()), (Serial(1), Serial(77), 1));
    }

    #[test]
    fn an_earlier_version_comes_back_as_it_was() {
        let mut history = History::new(zone(0..9), LIMITS);
        history.advance(&zone(2..12), Serial(2)).unwrap();
        history.advance(&zone(5..12), Serial(3)).unwrap();
        for (serial, names) in [(1, 0..9), (2, 2..12), (3, 5..12)] {
            let held = history.at(Serial(serial), 7).unwrap();
            assert!(held.same_rules(&zone(names)), "{serial}");
            assert_eq!(held.soa().serial, Serial(serial));
        }
        assert!(history.at(Serial(4), 7).is_none());
    }

    #[test]
    fn changes_that_were_kept_elsewhere_join_or_are_left_out() {
        let mut first = History::new(zone(0..9), LIMITS);
        first.advance(&zone(0..10), Serial(2)).unwrap();
        first.advance(&zone(0..11), Serial(3)).unwrap();
        let deltas: Vec<Delta> = first.deltas().cloned().collect();
        let mut second = History::new(first.current().clone(), LIMITS);
        second.restore(deltas.clone());
        assert_eq!(serials(second.since(Serial(1))), "1-3");
        let mut third = History::new(first.current().clone(), LIMITS);
        third.restore(deltas[..1].to_vec());
        assert_eq!(serials(third.since(Serial(1))), "full");
    }
}
