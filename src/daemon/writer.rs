//! The pipeline's own thread: it alone changes what is published.
//!
//! Events come in through one queue. An edit of a policy is in force at once ([`Pipeline::assemble`])
//! and judged in full right after; claims are judged when they have been quiet for a moment, at
//! most every half minute. Judging and keeping on disk take seconds with a million names, so a
//! thread beside this one does them, one case at a time, and reports as an event: an edit never
//! waits. Once zones are kept, the mapped files replace those in memory, so that a zone of a million
//! names is not held twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::neighbourhood::{self, Counting};
use super::publisher::Publisher;
use crate::archive::{GenerationError, Generations};
use crate::bgp::{AsNames, RouteTable};
use crate::evidence::Claims;
use crate::model::Name;
use crate::model::time::Clock;
use crate::model::{SourceId, Timestamp};
use crate::pipeline::{Judgement, NamedZone, Origin, Pipeline, Published, Standings, Verdicts};
use crate::policy::Policy;
use crate::scoring::Model;
use crate::telemetry::Metrics;
use crate::zone::{Serial, Zone};

/// Claims are judged once none came for this long.
const QUIET: Duration = Duration::from_millis(500);
/// Claims are judged at most this often.
const REBUILD_SECONDS_MIN: u32 = 30;
/// How often a thread that judges is looked at, in case it ended without a word.
const JUDGING_LOOK: Duration = Duration::from_secs(1);
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
    /// Scores go by another model. The sender is told once it is in force.
    Model(Box<Model>, tokio::sync::oneshot::Sender<()>),
    /// Announced prefixes or names of AS changed.
    Routes(Box<(RouteTable, AsNames)>),
    /// The operator's files changed. The sender is told once they are in force.
    Local(Arc<Policy>, Vec<NamedZone>, Option<tokio::sync::oneshot::Sender<()>>),
    /// A version of a zone came from its publisher; none takes the zone out of force.
    Version(Name, Option<Zone>),
    /// A case was judged in this time.
    Judged(Box<Judgement>, Duration),
    /// What was judged is on disk, or is not.
    Kept(Box<Result<Kept, GenerationError>>),
    /// The daemon stops.
    Stop,
}

/// Zones and decisions as they lie in mapped files.
pub struct Kept {
    zones: Vec<(Origin, Zone)>,
    verdicts: Verdicts,
}

/// A way to tell the writer something.
pub type Events = Sender<Event>;

/// Everything the thread holds.
pub struct Writer {
    /// What decides.
    pub pipeline: Pipeline,
    /// What guards look into, as sources fill it.
    pub standings: Standings,
    /// The ranks of networks.
    pub counting: Counting,
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
    /// Where the thread that judges reports: the queue that this one reads.
    pub reports: Events,
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
        let mut judging: Option<JoinHandle<()>> = None;
        let mut judged_at = self.clock.now();
        loop {
            let now = self.clock.now();
            let waited = judged_at.age_seconds(now);
            let patience = match due {
                _ if judging.is_some() => JUDGING_LOOK,
                Due::Now => Duration::ZERO,
                Due::Quietly if waited >= REBUILD_SECONDS_MIN => QUIET,
                Due::Quietly => Duration::from_secs((REBUILD_SECONDS_MIN - waited).into()),
                Due::No => Duration::from_secs(self.idle_seconds(judged_at, now).into()),
            };
            match events.recv_timeout(patience) {
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    // What is being kept is replaced as a whole or not at all.
                    return;
                }
                Ok(Event::Judged(judgement, took)) => {
                    self.accept(*judgement, took);
                    judged_at = self.clock.now();
                }
                Ok(Event::Kept(kept)) => {
                    judging = None;
                    self.take_over(*kept);
                }
                Ok(event) => due = due.max(self.apply(event)),
                Err(RecvTimeoutError::Timeout) => match judging.take() {
                    Some(thread) if !thread.is_finished() => judging = Some(thread),
                    Some(thread) => {
                        // It reports before it ends, unless it failed.
                        if let Err(panic) = thread.join() {
                            std::panic::resume_unwind(panic);
                        }
                    }
                    None => {
                        judging = self.judge();
                        judged_at = self.clock.now();
                        due = Due::No;
                    }
                },
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
                self.counting.lists_changed();
                self.pipeline.set_claims(&source, claims);
                if asked_for { Due::Now } else { Due::Quietly }
            }
            Event::Standings(change) => {
                change(&mut self.standings);
                self.pipeline.set_standings(self.standings.clone());
                Due::Quietly
            }
            Event::Model(model, told) => {
                self.pipeline.set_model(*model);
                self.put_in_force("model");
                // Nobody may be waiting any more; the model is in force all the same.
                let _ = told.send(());
                Due::Now
            }
            Event::Routes(routes) => {
                let (table, names) = *routes;
                self.counting.set_routes(table, names);
                Due::Quietly
            }
            Event::Local(policy, zones, told) => {
                self.pipeline.set_policy(policy);
                self.pipeline.set_named_zones(zones);
                self.put_in_force("policy");
                // Nobody may be waiting any more; the policy is in force all the same.
                told.map(|told| told.send(()));
                Due::Now
            }
            Event::Version(name, version) => {
                let depend = self.pipeline.set_version(name.clone(), version);
                match self.pipeline.assemble(self.clock.now()) {
                    Ok(state) => {
                        let snapshot = state.snapshot.id();
                        self.publisher.publish(state);
                        tracing::info!(snapshot, zone = %name, "the version is in force");
                    }
                    Err(error) => tracing::error!(%error, "the last snapshot stays in force"),
                }
                if depend { Due::Quietly } else { Due::No }
            }
            Event::Judged(..) | Event::Kept(_) | Event::Stop => Due::No,
        }
    }

    /// Publishes what changed without a new judgement, which comes right after.
    fn put_in_force(&mut self, what: &str) {
        match self.pipeline.assemble(self.clock.now()) {
            Ok(state) => {
                let snapshot = state.snapshot.id();
                self.publisher.publish(state);
                tracing::info!(snapshot, "{what} is in force");
                if let Err(error) = self.keep_local() {
                    tracing::error!(%error, "a restart would publish these zones again");
                }
            }
            Err(error) => tracing::error!(%error, "the {what} cannot be put in force"),
        }
    }

    /// Has everything judged and kept beside this thread.
    fn judge(&mut self) -> Option<JoinHandle<()>> {
        self.counting.count(self.pipeline.model(), self.pipeline.sources(), self.clock.now());
        self.standings.neighbourhood =
            Arc::new(neighbourhood::joined(&self.counting, &self.standings.seen));
        self.pipeline.set_standings(self.standings.clone());
        let case = self.pipeline.case(self.clock.now());
        let (generations, kept) = (self.generations.clone(), self.kept.clone());
        let reports = self.reports.clone();
        let thread = std::thread::Builder::new().name("judge".to_owned()).spawn(move || {
            let started = tokio::time::Instant::now();
            let judgement = case.judge();
            let took = started.elapsed();
            let zones = judgement.generated().to_vec();
            let verdicts = judgement.verdicts().clone();
            // Nobody listens any more where the daemon stops, and then nothing is to be kept.
            if reports.send(Event::Judged(Box::new(judgement), took)).is_ok() {
                let kept = keep(&generations, &kept, zones, &verdicts);
                let _ = reports.send(Event::Kept(Box::new(kept)));
            }
        });
        thread.inspect_err(|error| tracing::error!(%error, "the last snapshot stays in force")).ok()
    }

    /// Puts in force what was judged.
    fn accept(&mut self, judgement: Judgement, took: Duration) {
        let before: Vec<_> = self.pipeline.generated().to_vec();
        self.pipeline.accept(judgement);
        match self.pipeline.assemble(self.clock.now()) {
            Ok(state) => {
                self.metrics.rebuilt(took.as_secs_f64(), rule_count(&state), self.clock.now());
                self.publisher.publish(state);
                log_changes(&before, self.pipeline.generated(), took);
            }
            Err(error) => tracing::error!(%error, "the last snapshot stays in force"),
        }
    }

    /// Puts the files in place of what lies in memory.
    fn take_over(&mut self, kept: Result<Kept, GenerationError>) {
        let noted = kept.and_then(|kept| {
            for (origin, zone) in kept.zones {
                self.kept.insert(origin.clone(), zone.soa().serial);
                self.pipeline.relocate(&origin, zone);
            }
            self.pipeline.relocate_verdicts(kept.verdicts);
            self.keep_local()
        });
        match noted {
            Ok(()) => match self.pipeline.assemble(self.clock.now()) {
                Ok(state) => self.publisher.publish(state),
                Err(error) => tracing::error!(%error, "the last snapshot stays in force"),
            },
            Err(error) => tracing::error!(%error, "a restart would begin with older zones"),
        }
    }

    /// Writes the policy's own zones and notes what belongs together. They are small.
    fn keep_local(&self) -> Result<(), GenerationError> {
        let local = self.pipeline.local();
        local.iter().try_for_each(|zone| self.generations.store_local(zone))?;
        // A zone that is still being written is noted once it is there.
        let generated = self.pipeline.generated().iter().map(|(origin, _)| origin);
        let origins = generated.filter(|o| self.kept.contains_key(*o)).cloned().collect();
        self.generations.store_list(origins, local, self.pipeline.tally().clone())
    }
}

/// Writes what is not on disk yet.
fn keep(
    generations: &Generations,
    kept: &BTreeMap<Origin, Serial>,
    mut zones: Vec<(Origin, Zone)>,
    verdicts: &Verdicts,
) -> Result<Kept, GenerationError> {
    zones.retain(|(origin, zone)| kept.get(origin) != Some(&zone.soa().serial));
    for (origin, zone) in &mut zones {
        *zone = generations.store_zone(origin, zone)?;
    }
    Ok(Kept { zones, verdicts: generations.store_verdicts(verdicts)? })
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
