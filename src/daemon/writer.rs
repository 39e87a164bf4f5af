//! The pipeline's own thread: it alone changes what is published.
//!
//! Events come in through one queue. An edit of a policy is in force at once ([`Pipeline::assemble`])
//! and judged in full right after; claims are judged when they have been quiet for a moment, at
//! most every half minute. What was put in force is then kept on disk, and the zones in memory are
//! replaced by the mapped files, so that a zone of a million names is not held twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::publisher::Publisher;
use crate::archive::{GenerationError, Generations};
use crate::evidence::Claims;
use crate::model::time::Clock;
use crate::model::{SourceId, Timestamp};
use crate::pipeline::{Order, Origin, Pipeline, Published, Standings};
use crate::policy::Policy;
use crate::telemetry::Metrics;
use crate::zone::{PolicyZone, Serial, Zone};

/// Claims are judged once none came for this long.
const QUIET: Duration = Duration::from_millis(500);
/// Claims are judged at most this often.
const REBUILD_SECONDS_MIN: u32 = 30;
/// Evidence fades and terms end: everything is judged anew this often, whatever happens. The
/// shortest verdict lasts 15 minutes (SCORING 2.9).
const REBUILD_SECONDS_MAX: u32 = 15 * 60;

/// What was learnt.
pub enum Event {
    /// A source says something else.
    Claims {
        /// The source.
        source: SourceId,
        /// What it says.
        claims: Claims,
        /// Somebody asked for it and waits: it is judged at once.
        asked_for: bool,
    },
    /// Popularity or public suffixes changed.
    Standings(Box<dyn FnOnce(&mut Standings) + Send>),
    /// The operator's files changed. The sender is told once they are in force.
    Local(Arc<Policy>, Vec<(Order, PolicyZone)>, Option<tokio::sync::oneshot::Sender<()>>),
    /// The daemon stops.
    Stop,
}

/// A way to tell the writer something.
pub type Events = Sender<Event>;

/// Everything the thread holds.
pub struct Writer {
    /// What decides.
    pub pipeline: Pipeline,
    /// What guards look into, as sources fill it.
    pub standings: Standings,
    /// Puts a state in force.
    pub publisher: Publisher,
    /// Where compiled zones are kept.
    pub generations: Generations,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The serials of the generated zones that are on disk.
    pub kept: BTreeMap<Origin, Serial>,
}

/// What is to be judged anew, and how urgently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    No,
    Quietly,
    Now,
}

impl Writer {
    /// Runs until told to stop, or until nobody can tell it anything. What a start found may be
    /// older than the claims and is then judged at once.
    pub fn run(mut self, events: &Receiver<Event>, judge_at_once: bool) {
        let mut due = if judge_at_once { Due::Now } else { Due::No };
        let mut rebuilt_at = self.clock.now();
        loop {
            let now = self.clock.now();
            let waited = rebuilt_at.age_seconds(now);
            let patience = match due {
                Due::Now => Duration::ZERO,
                Due::Quietly if waited >= REBUILD_SECONDS_MIN => QUIET,
                Due::Quietly => Duration::from_secs((REBUILD_SECONDS_MIN - waited).into()),
                Due::No => Duration::from_secs(self.idle_seconds(rebuilt_at, now).into()),
            };
            match events.recv_timeout(patience) {
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(event) => due = due.max(self.apply(event)),
                Err(RecvTimeoutError::Timeout) => {
                    self.rebuild();
                    rebuilt_at = self.clock.now();
                    due = Due::No;
                }
            }
        }
    }

    /// How long nothing needs to be done: until the next regular pass or the end of a policy
    /// entry.
    fn idle_seconds(&self, rebuilt_at: Timestamp, now: Timestamp) -> u32 {
        let regular = REBUILD_SECONDS_MAX.saturating_sub(rebuilt_at.age_seconds(now));
        let expiry = self.publisher.published.borrow().next_expiry;
        let expiry = expiry.map_or(u32::MAX, |at| at.0.saturating_sub(now.0));
        regular.min(expiry).max(1)
    }

    fn apply(&mut self, event: Event) -> Due {
        match event {
            Event::Claims { source, claims, asked_for } => {
                self.pipeline.set_claims(&source, claims);
                if asked_for { Due::Now } else { Due::Quietly }
            }
            Event::Standings(change) => {
                change(&mut self.standings);
                self.pipeline.set_standings(self.standings.clone());
                Due::Quietly
            }
            Event::Local(policy, zones, told) => {
                self.pipeline.set_policy(policy);
                self.pipeline.set_file_zones(zones);
                let now = self.clock.now();
                match self.pipeline.assemble(now) {
                    Ok(state) => {
                        let snapshot = state.snapshot.id();
                        self.publisher.publish(state);
                        tracing::info!(snapshot, "policy is in force");
                        if let Err(error) = self.keep_local() {
                            tracing::error!(%error, "a restart would publish these zones again");
                        }
                    }
                    Err(error) => tracing::error!(%error, "the policy cannot be put in force"),
                }
                // Nobody may be waiting any more; the policy is in force all the same.
                told.map(|told| told.send(()));
                Due::Now
            }
            Event::Stop => Due::No,
        }
    }

    /// Judges everything, publishes it, keeps it.
    fn rebuild(&mut self) {
        let before: Vec<_> = self.pipeline.generated().to_vec();
        let started = tokio::time::Instant::now();
        let state = match self.pipeline.rebuild(self.clock.now()) {
            Ok(state) => state,
            Err(error) => {
                tracing::error!(%error, "the last snapshot stays in force");
                return;
            }
        };
        let took = started.elapsed();
        self.metrics.rebuilt(took.as_secs_f64(), rule_count(&state), self.clock.now());
        self.publisher.publish(state);
        if let Err(error) = self.keep() {
            tracing::error!(%error, "a restart would begin with older zones");
        }
        log_changes(&before, self.pipeline.generated(), took);
    }

    /// Writes the policy's own zones and notes what belongs together. They are small.
    fn keep_local(&self) -> Result<(), GenerationError> {
        let local = self.pipeline.local();
        local.iter().try_for_each(|zone| self.generations.store_local(zone))?;
        let origins = self.pipeline.generated().iter().map(|(o, _)| o.clone()).collect();
        self.generations.store_list(origins, local, self.pipeline.tally().clone())
    }

    /// Writes what changed, and puts the files in place of what lies in memory.
    fn keep(&mut self) -> Result<(), GenerationError> {
        for (origin, zone) in self.pipeline.generated().to_vec() {
            let serial = zone.soa().serial;
            if self.kept.get(&origin) != Some(&serial) {
                let kept = self.generations.store_zone(&origin, &zone)?;
                self.pipeline.relocate(&origin, kept);
                self.kept.insert(origin, serial);
            }
        }
        let verdicts = self.generations.store_verdicts(self.pipeline.verdicts())?;
        self.pipeline.relocate_verdicts(verdicts);
        self.keep_local()?;
        if let Ok(state) = self.pipeline.assemble(self.clock.now()) {
            self.publisher.publish(state);
        }
        Ok(())
    }
}

fn rule_count(state: &Published) -> usize {
    state.snapshot.zones().map(|zone| zone.zone.len()).sum()
}

fn log_changes(before: &[(Origin, Zone)], after: &[(Origin, Zone)], took: Duration) {
    for (origin, zone) in after {
        let held = before.iter().find(|(o, _)| o == origin).map(|(_, zone)| zone);
        if held.is_none_or(|held| held.soa().serial != zone.soa().serial) {
            tracing::info!(
                zone = %zone.origin(),
                serial = zone.soa().serial.0,
                rules = zone.len(),
                rules_before = held.map_or(0, Zone::len),
                took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "zone changed"
            );
        }
    }
}
