//! What secondaries get of a zone: the current version, and the way there from earlier ones.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::zone::{Changes, Delta, History, Serial, Zone};

/// Condensed changes that are kept at hand. Secondaries are at few different versions at a time.
const CONDENSED_MAX: usize = 8;

/// Why a version was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The content of the zone in force.
    Content,
    /// The content of an earlier version, by command.
    Rollback(Serial),
}

/// A published version and where it is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The serial that secondaries see.
    pub serial: Serial,
    /// The serial of the policy zone that it was made of.
    pub source: Serial,
    /// The snapshot that the policy zone was in.
    pub snapshot: u64,
    /// When it was published.
    pub at: Timestamp,
    /// How many rules it has.
    pub rules: usize,
    /// How many rules went and came with it.
    pub removed: usize,
    /// How many came.
    pub added: usize,
    /// Why.
    pub cause: Cause,
}

/// One version of a zone with the last changes that led to it. It never changes; the next version
/// is another edition.
#[derive(Debug)]
pub struct Edition {
    history: History,
    /// Oldest first; the last is the current one.
    versions: VecDeque<Version>,
    condensed: Mutex<VecDeque<(Serial, Arc<OnceLock<Changes>>)>>,
}

impl Edition {
    /// An edition without a past.
    pub fn new(history: History, version: Version) -> Self {
        Self::with_versions(history, [version].into())
    }

    /// An edition whose past was kept. Of the versions those count that changes lead from.
    pub fn with_versions(history: History, mut versions: VecDeque<Version>) -> Self {
        while versions.len() > history.deltas().len() + 1 {
            versions.pop_front();
        }
        Self { history, versions, condensed: Mutex::default() }
    }

    /// The next edition: these rules under this version's serial, which is ahead.
    pub fn next(&self, zone: &Zone, version: Version) -> Option<Edition> {
        let mut history = self.history.clone();
        let (removed, added) = {
            let delta = history.advance(zone, version.serial)?;
            (delta.removed().len(), delta.added().len())
        };
        let mut versions = self.versions.clone();
        versions.push_back(Version { removed, added, rules: zone.len(), ..version });
        Some(Self::with_versions(history, versions))
    }

    /// The same with an equal zone that lies elsewhere.
    pub fn relocated(&self, zone: &Zone) -> Edition {
        let mut history = self.history.clone();
        history.relocate(zone);
        Self::with_versions(history, self.versions.clone())
    }

    /// The zone.
    pub fn zone(&self) -> &Zone {
        self.history.current()
    }

    /// Its serial.
    pub fn serial(&self) -> Serial {
        self.zone().soa().serial
    }

    /// The current version.
    pub fn version(&self) -> &Version {
        self.versions.back().expect("an edition is a version")
    }

    /// The versions that secondaries may still have and get only the changes for, and the current
    /// one, oldest first.
    pub fn versions(&self) -> impl ExactSizeIterator<Item = &Version> {
        self.versions.iter()
    }

    /// The changes that are kept.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The change that led to the current version, where it is kept.
    pub fn last_delta(&self) -> Option<&Delta> {
        self.history.deltas().last()
    }

    /// What somebody at this version needs. It may take a while for large changes, and is at hand
    /// for whoever asks next.
    pub fn since(&self, serial: Serial) -> Arc<OnceLock<Changes>> {
        let kept = self.history.deltas().any(|delta| delta.from() == serial);
        let slot = if kept { self.slot(serial) } else { Arc::default() };
        slot.get_or_init(|| self.history.since(serial));
        slot
    }

    fn slot(&self, serial: Serial) -> Arc<OnceLock<Changes>> {
        let mut condensed = self.condensed.lock();
        if let Some((_, slot)) = condensed.iter().find(|(held, _)| *held == serial) {
            return slot.clone();
        }
        if condensed.len() == CONDENSED_MAX {
            condensed.pop_front();
        }
        let slot = Arc::<OnceLock<Changes>>::default();
        condensed.push_back((serial, slot.clone()));
        slot
    }

    /// Which version came before a serial, for a look back.
    pub fn find(&self, serial: Serial) -> Option<&Version> {
        self.versions.iter().find(|version| version.serial == serial)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{Action, Name, NamePattern, Rule, Trigger};
    use crate::zone::{HistoryLimits, Soa, ZoneBuilder};

    pub fn zone(serial: u32, names: std::ops::Range<u32>) -> Zone {
        let origin = Name::from_presentation("threat.rpz").unwrap();
        let mut builder = ZoneBuilder::new(origin, Soa::ours(Serial(serial)), 7);
        for label in names {
            let name = Name::from_presentation(&format!("n{label}.test")).unwrap();
            let trigger = Trigger::QueryName(NamePattern::exact(name));
            builder.insert(Rule { trigger, action: Action::NxDomain, ttl: 60 });
        }
        builder.finish().0
    }

    pub fn version(serial: u32) -> Version {
        Version {
            serial: Serial(serial),
            source: Serial(serial),
            snapshot: 1,
            at: Timestamp(serial),
            rules: 0,
            removed: 0,
            added: 0,
            cause: Cause::Content,
        }
    }

    pub fn edition(serial: u32, names: std::ops::Range<u32>) -> Edition {
        let history = History::new(zone(serial, names), HistoryLimits::default());
        Edition::new(history, version(serial))
    }

    #[test]
    fn a_version_is_kept_as_long_as_changes_lead_from_it() {
        let limits = HistoryLimits { deltas_max: 2, octets_max: usize::MAX };
        let first = Edition::new(History::new(zone(1, 0..9), limits), version(1));
        assert!(first.next(&zone(2, 0..9), version(2)).is_none(), "the same content");
        let second = first.next(&zone(2, 0..10), version(2)).unwrap();
        let fourth = second
            .next(&zone(3, 1..10), version(3))
            .and_then(|third| third.next(&zone(4, 1..11), version(4)))
            .unwrap();
        let shown: Vec<_> =
            fourth.versions().map(|v| (v.serial.0, v.removed, v.added, v.rules)).collect();
        assert_eq!(shown, [(2, 0, 1, 10), (3, 1, 0, 9), (4, 0, 1, 10)]);
        assert!(matches!(fourth.since(Serial(1)).get(), Some(Changes::Full)));
        let slot = fourth.since(Serial(2));
        let Some(Changes::Delta(delta)) = slot.get() else { panic!("no change") };
        assert_eq!((delta.from(), delta.to(), delta.len()), (Serial(2), Serial(4), 2));
        assert!(Arc::ptr_eq(&slot, &fourth.since(Serial(2))), "made once");
    }
}
