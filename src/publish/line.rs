//! When the content of a policy zone becomes a version for secondaries.
//!
//! A line follows one zone. Changes are gathered for a while, so that secondaries are not told of
//! every single one; what an administrator changed goes out at once. Where some secondaries are
//! canaries, a version is theirs alone until it is promoted, and nothing newer is released
//! meanwhile. A rollback goes to everybody at once and stays until somebody resumes: an edit of
//! something else must not bring back what was taken back.

use std::sync::Arc;

use super::edition::{Cause, Edition, Version};
use super::journal::Kept;
use super::primary::Offer;
use crate::model::Timestamp;
use crate::zone::{History, HistoryLimits, Serial, Zone};

/// A zone with more rules than this is large: sending it whole takes more than a megabyte.
pub const LARGE_RULES: usize = 100_000;
/// How long after an administrator's change the next change of a zone is taken for its effect.
/// Judging all evidence anew takes some seconds with millions of names.
const URGENT_SECONDS: u32 = 120;
/// A policy zone that was made no longer ago than this is new.
const NEW_SECONDS: u32 = 60;

/// How long changes are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between versions of a zone that is not large, in seconds.
    pub small_seconds: u32,
    /// Between versions of a large zone.
    pub large_seconds: u32,
    /// How long a version is the canaries' alone.
    pub canary_seconds: u32,
}

/// Why a version cannot be taken back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no version with serial {0} is kept")]
pub struct NotKept(pub Serial);

/// One zone on its way to secondaries.
#[derive(Debug)]
pub struct Line {
    latest: Arc<Edition>,
    stable: Arc<Edition>,
    promoted_at: Option<Timestamp>,
    rolled_back_to: Option<Serial>,
    released_at: Timestamp,
    urgent_until: Timestamp,
    /// The policy zone that was looked at last.
    seen: Zone,
    /// It, where it is not released yet, with its snapshot.
    wanted: Option<u64>,
    for_everyone: bool,
}

impl Line {
    /// A line that begins with a policy zone of a snapshot and what an earlier run kept. With it
    /// comes whether the first edition is new and to be kept.
    pub fn begin(
        zone: &Zone,
        snapshot: u64,
        kept: Kept,
        limits: HistoryLimits,
        now: Timestamp,
    ) -> (Line, bool) {
        let source = zone.soa().serial;
        let (edition, is_new) = match (kept.edition, kept.rolled_back_to) {
            (Some(edition), Some(_)) => (edition, false),
            (Some(edition), None) => {
                let version = version(zone, snapshot, ahead(edition.serial(), source, now), now);
                match edition.next(zone, version) {
                    Some(next) => (next, true),
                    None => (edition.relocated(zone), false),
                }
            }
            (None, _) => {
                let serial = first_serial(source, kept.serial, now);
                let version = version(zone, snapshot, serial, now);
                let soa = crate::zone::Soa { serial, ..zone.soa().clone() };
                (Edition::new(History::new(zone.with_soa(soa), limits), version), true)
            }
        };
        let rolled_back_to = kept.rolled_back_to.filter(|_| !is_new);
        let edition = Arc::new(edition);
        let line = Line {
            released_at: edition.version().at,
            stable: edition.clone(),
            latest: edition,
            promoted_at: None,
            rolled_back_to,
            urgent_until: Timestamp(0),
            seen: zone.clone(),
            wanted: rolled_back_to.map(|_| snapshot),
            for_everyone: true,
        };
        (line, is_new)
    }

    /// Whether it is for everyone, and not for groups of clients.
    pub fn set_for_everyone(&mut self, for_everyone: bool) {
        self.for_everyone = for_everyone;
    }

    /// Whether it is.
    pub fn is_for_everyone(&self) -> bool {
        self.for_everyone
    }

    /// Takes notice of the policy zone in a snapshot.
    pub fn want(&mut self, zone: &Zone, snapshot: u64) {
        if !self.seen.is(zone) {
            self.seen = zone.clone();
            self.wanted = Some(snapshot);
        }
    }

    /// An administrator changed something: the zone's next change goes out at once.
    pub fn hurry(&mut self, now: Timestamp) {
        self.urgent_until = now.plus_seconds(URGENT_SECONDS);
    }

    /// When there is something to do.
    pub fn due(&self, pace: &Pace, now: Timestamp) -> Option<Timestamp> {
        let release = self.wanted.filter(|_| self.rolled_back_to.is_none()).map(|_| {
            let large = self.seen.len() > LARGE_RULES;
            let gather = if large { pace.large_seconds } else { pace.small_seconds };
            match now <= self.urgent_until {
                true => now,
                false => self.promoted_at.unwrap_or_else(|| self.released_at.plus_seconds(gather)),
            }
        });
        [release, self.promoted_at].into_iter().flatten().min()
    }

    /// Does what is due. The new edition, if there is one, is to be kept.
    pub fn advance(&mut self, pace: &Pace, canaries: bool, now: Timestamp) -> Option<Arc<Edition>> {
        if self.promoted_at.is_some_and(|at| at <= now) {
            self.promote();
        }
        if self.due(pace, now).is_none_or(|at| at > now) {
            return None;
        }
        let snapshot = self.wanted.take()?;
        let serial = ahead(self.latest.serial(), self.seen.soa().serial, now);
        match self.latest.next(&self.seen, version(&self.seen, snapshot, serial, now)) {
            None => {
                self.relocate();
                None
            }
            Some(next) => {
                self.urgent_until = Timestamp(0);
                Some(self.put(next, canaries.then(|| now.plus_seconds(pace.canary_seconds)), now))
            }
        }
    }

    /// The same content may lie in a mapped file by now.
    fn relocate(&mut self) {
        let same = Arc::ptr_eq(&self.latest, &self.stable);
        self.latest = Arc::new(self.latest.relocated(&self.seen));
        if same {
            self.stable = self.latest.clone();
        }
    }

    fn put(
        &mut self,
        next: Edition,
        held_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Arc<Edition> {
        self.latest = Arc::new(next);
        self.released_at = now;
        self.promoted_at = held_until;
        if held_until.is_none() {
            self.stable = self.latest.clone();
        }
        self.latest.clone()
    }

    /// Gives everybody what canaries have. Whether there was anything to give.
    pub fn promote(&mut self) -> bool {
        self.stable = self.latest.clone();
        self.promoted_at.take().is_some()
    }

    /// Publishes the content of an earlier version, for everybody, until [`Line::resume`].
    pub fn roll_back(
        &mut self,
        to: Serial,
        hash_seed: u64,
        now: Timestamp,
    ) -> Result<Option<Arc<Edition>>, NotKept> {
        let found = self.latest.find(to).ok_or(NotKept(to))?.clone();
        let zone = self.latest.history().at(to, hash_seed).ok_or(NotKept(to))?;
        self.promoted_at = None;
        self.rolled_back_to = Some(to);
        self.wanted.get_or_insert(found.snapshot);
        let serial = self.latest.serial().next(now);
        let version = Version { serial, at: now, cause: Cause::Rollback(to), ..found };
        match self.latest.next(&zone, version) {
            // It is the content that canaries have, or everybody.
            None => {
                self.stable = self.latest.clone();
                Ok(None)
            }
            Some(next) => Ok(Some(self.put(next, None, now))),
        }
    }

    /// Follows the policy zone again, at once. Whether it was rolled back.
    pub fn resume(&mut self, now: Timestamp) -> bool {
        self.hurry(now);
        self.rolled_back_to.take().is_some()
    }

    /// What secondaries get now.
    pub fn offer(&self) -> Offer {
        Offer {
            stable: self.stable.clone(),
            canary: self.promoted_at.map(|at| (self.latest.clone(), at)),
            for_everyone: self.for_everyone,
            rolled_back_to: self.rolled_back_to,
        }
    }
}

fn version(zone: &Zone, snapshot: u64, serial: Serial, at: Timestamp) -> Version {
    Version {
        serial,
        source: zone.soa().serial,
        snapshot,
        at,
        rules: zone.len(),
        removed: 0,
        added: 0,
        cause: Cause::Content,
    }
}

/// The serial after another one: the policy zone's own where that is ahead, so that people see the
/// same number everywhere.
fn ahead(before: Serial, source: Serial, now: Timestamp) -> Serial {
    if source > before { source } else { before.next(now) }
}

/// The first serial of a line. Without a journal nobody knows what an earlier run has published, but
/// its serials were no later than its time: so only the serial of a zone that was just made will do.
fn first_serial(source: Serial, kept: Option<Serial>, now: Timestamp) -> Serial {
    if let Some(kept) = kept {
        return ahead(kept, source, now);
    }
    let new = Serial(now.0.saturating_sub(NEW_SECONDS));
    if source >= new { source } else { Serial(now.0) }
}

#[cfg(test)]
mod tests {
    use super::super::edition::tests::zone;
    use super::*;
    use crate::zone::Changes;

    const PACE: Pace = Pace { small_seconds: 60, large_seconds: 300, canary_seconds: 900 };
    const T: u32 = 1_800_000_000;

    fn line(names: std::ops::Range<u32>) -> Line {
        let limits = HistoryLimits::default();
        let (line, is_new) = Line::begin(&zone(T, names), 1, Kept::default(), limits, Timestamp(T));
        assert!(is_new);
        line
    }

    fn serials(line: &Line) -> (u32, Option<u32>) {
        let offer = line.offer();
        (offer.stable.serial().0 - T, offer.canary.map(|(edition, _)| edition.serial().0 - T))
    }

    #[test]
    fn changes_are_gathered_and_an_administrators_go_out_at_once() {
        let mut line = line(0..9);
        assert_eq!(serials(&line), (0, None), "the zone's own serial");
        line.want(&zone(T + 10, 0..10), 2);
        assert_eq!(line.due(&PACE, Timestamp(T + 10)), Some(Timestamp(T + 60)));
        assert!(line.advance(&PACE, false, Timestamp(T + 59)).is_none());
        line.want(&zone(T + 20, 0..11), 3);
        let edition = line.advance(&PACE, false, Timestamp(T + 60)).unwrap();
        assert_eq!((edition.version().serial.0 - T, edition.version().snapshot), (20, 3));
        assert_eq!(line.due(&PACE, Timestamp(T + 60)), None);
        line.want(&zone(T + 70, 0..12), 4);
        line.hurry(Timestamp(T + 70));
        assert!(line.advance(&PACE, false, Timestamp(T + 71)).is_some());
        // The hurry is over.
        line.want(&zone(T + 72, 0..13), 5);
        assert_eq!(line.due(&PACE, Timestamp(T + 72)), Some(Timestamp(T + 131)));
    }

    #[test]
    fn unchanged_content_publishes_nothing() {
        let mut line = line(0..9);
        line.want(&zone(T + 10, 0..9), 2);
        assert!(line.advance(&PACE, false, Timestamp(T + 100)).is_none());
        assert_eq!(serials(&line), (0, None));
        assert_eq!(line.due(&PACE, Timestamp(T + 100)), None);
    }

    #[test]
    fn canaries_are_first_and_the_others_follow_in_time_or_by_command() {
        let mut line = line(0..9);
        line.want(&zone(T + 10, 0..10), 2);
        line.advance(&PACE, true, Timestamp(T + 60)).unwrap();
        assert_eq!(serials(&line), (0, Some(10)));
        line.want(&zone(T + 70, 0..11), 3);
        assert_eq!(line.due(&PACE, Timestamp(T + 500)), Some(Timestamp(T + 960)));
        assert!(line.advance(&PACE, true, Timestamp(T + 500)).is_none(), "one at a time");
        line.advance(&PACE, true, Timestamp(T + 960));
        assert_eq!(serials(&line), (10, Some(70)));
        assert!(line.promote() && !line.promote());
        assert_eq!(serials(&line), (70, None));
    }

    #[test]
    fn a_rollback_stays_until_somebody_resumes() {
        let mut line = line(0..9);
        line.want(&zone(T + 10, 0..20), 2);
        line.advance(&PACE, false, Timestamp(T + 60)).unwrap();
        let back = line.roll_back(Serial(T), 7, Timestamp(T + 100)).unwrap().unwrap();
        assert!(back.zone().same_rules(&zone(T, 0..9)));
        assert_eq!(serials(&line), (100, None));
        assert_eq!(back.version().cause, Cause::Rollback(Serial(T)));
        line.want(&zone(T + 110, 0..21), 3);
        line.hurry(Timestamp(T + 110));
        assert_eq!(line.due(&PACE, Timestamp(T + 9999)), None, "not even for an edit");
        assert!(line.resume(Timestamp(T + 200)));
        let edition = line.advance(&PACE, false, Timestamp(T + 200)).unwrap();
        assert!(edition.zone().same_rules(&zone(T, 0..21)));
        assert_eq!(serials(&line), (110, None), "ahead of the rollback");
        let slot = edition.since(Serial(T + 100));
        assert!(matches!(slot.get(), Some(Changes::Delta(delta)) if delta.len() == 12));
        assert_eq!(line.roll_back(Serial(5), 7, Timestamp(T)).unwrap_err(), NotKept(Serial(5)));
    }

    #[test]
    fn a_line_without_a_journal_never_begins_behind_what_an_earlier_run_had() {
        let now = Timestamp(T);
        assert_eq!(first_serial(Serial(T - 5), None, now), Serial(T - 5), "just made");
        assert_eq!(first_serial(Serial(1), None, now), Serial(T), "a file's own");
        assert_eq!(first_serial(Serial(T - 5), Some(Serial(T + 50)), now), Serial(T + 51));
        assert_eq!(first_serial(Serial(2_026_112_401), None, now), Serial(2_026_112_401));
    }
}
