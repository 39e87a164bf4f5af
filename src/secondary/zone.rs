//! One zone of another publisher, kept fresh.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use super::refresh::{Failure, Held, Refresh, Refreshed, Transfer};
use super::store::{Record, Store};
use crate::model::time::Clock;
use crate::model::{Name, Timestamp};
use crate::pipeline::report::SecondarySays;
use crate::telemetry::Metrics;
use crate::zone::{Serial, Zone};

/// Word of a new version makes us ask this often at most: anybody may write the address of a
/// primary on a datagram.
const NOTIFY_GAP: Duration = Duration::from_secs(1);
/// The clock is looked at this often, in case it was set.
const LOOK_SECONDS: u32 = 3600;
/// Records that were left out are said one by one up to so many for each version.
const REJECTS_SAID_MAX: usize = 20;
/// Refreshes at a time; each transfer holds what came of its zone. BIND has `transfers-in 10`.
pub const REFRESHES_MAX: usize = 10;

/// A zone and how it is kept.
pub struct ZoneSettings {
    /// Its name.
    pub name: Name,
    /// Where it comes from, as it is configured.
    pub configured: Vec<String>,
    /// Who asks for it.
    pub refresh: Arc<dyn Refresh>,
    /// The shortest pause between two questions, in seconds.
    pub pause_min: u32,
    /// Whether it is no longer in force once it expired.
    pub unload_expired: bool,
    /// Throws the dice for pauses.
    pub seed: u64,
}

/// Takes a version to be put in force; none takes the zone out of force.
pub type Put = dyn Fn(&Name, Option<Zone>) + Send + Sync;

/// What zones have around them.
pub struct Surroundings {
    /// Where versions are kept.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Puts a version in force.
    pub put: Box<Put>,
    /// Bounds how many ask at a time.
    pub refreshes: Semaphore,
}

/// A zone that is kept fresh.
pub struct SecondaryZone {
    settings: ZoneSettings,
    around: Arc<Surroundings>,
    state: Mutex<State>,
    poked: Notify,
}

struct State {
    held: Option<Zone>,
    record: Record,
    /// The version came from elsewhere than what is configured now: serials say nothing.
    moved: bool,
    expired: bool,
}

impl SecondaryZone {
    /// The zone with the version that was kept, if there is one; that one is in force already,
    /// unless it expired and is to be unloaded.
    pub fn new(
        settings: ZoneSettings,
        around: Arc<Surroundings>,
        kept: Option<(Zone, Record)>,
    ) -> Self {
        let (held, record) = kept.unzip();
        let record = record.unwrap_or_default();
        let moved = record.configured != settings.configured;
        // What failed elsewhere does not hold up what is configured now.
        let record = if moved { Record { asked_at: None, failures: 0, ..record } } else { record };
        let state = State { held, record, moved, expired: false };
        Self { settings, around, state: Mutex::new(state), poked: Notify::new() }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.settings.name
    }

    /// Somebody with a say says that the zone changed, perhaps to this version.
    pub fn notified(&self, serial: Option<Serial>) {
        let known = {
            let state = self.state.lock();
            let held = state.held.as_ref().map(|zone| zone.soa().serial);
            let known = held.zip(serial).is_some_and(|(held, told)| held >= told);
            known && state.record.failures == 0 && !state.expired && !state.moved
        };
        if !known {
            self.poked.notify_one();
        }
    }

    /// Keeps the zone fresh for ever.
    pub async fn keep_fresh(&self) {
        let mut asked: Option<Instant> = None;
        loop {
            self.look_at_expiry();
            tokio::select! {
                () = sleep(self.pause()) => {
                    if !self.is_due() {
                        continue;
                    }
                }
                () = self.poked.notified() => {
                    if let Some(asked) = asked {
                        sleep_until(asked + NOTIFY_GAP).await;
                    }
                }
            }
            self.refresh().await;
            asked = Some(Instant::now());
        }
    }

    fn now(&self) -> Timestamp {
        self.around.clock.now()
    }

    fn next_due(&self, state: &State, now: Timestamp) -> Timestamp {
        let ZoneSettings { pause_min, seed, .. } = self.settings;
        let soa = state.held.as_ref().map(Zone::soa);
        state.record.schedule().next_due(soa, pause_min, seed, now)
    }

    fn is_due(&self) -> bool {
        let now = self.now();
        self.next_due(&self.state.lock(), now) <= now
    }

    /// Until the zone is due or expires.
    fn pause(&self) -> Duration {
        let now = self.now();
        let state = self.state.lock();
        let due = self.next_due(&state, now);
        let expires = match &state.held {
            Some(held) if !state.expired => state.record.schedule().expires_at(held.soa()),
            _ => None,
        };
        let next = expires.map_or(due, |expires| expires.min(due));
        Duration::from_secs(now.age_seconds(next).min(LOOK_SECONDS).into())
    }

    fn look_at_expiry(&self) {
        let now = self.now();
        let mut state = self.state.lock();
        let State { held: Some(held), record, expired, .. } = &mut *state else { return };
        if *expired || !record.is_expired(held.soa(), now) {
            return;
        }
        *expired = true;
        let (zone, unloaded) = (&self.settings.name, self.settings.unload_expired);
        let silent_since = record.schedule().confirmed_at.unwrap_or_default();
        tracing::error!(%zone, %silent_since, unloaded, "the zone expired: its publisher is silent");
        self.around.metrics.secondaries.expired(&zone.to_string(), true);
        if unloaded {
            (self.around.put)(zone, None);
        }
    }

    async fn refresh(&self) {
        let outcome = {
            // The semaphore is never closed.
            let _place = self.around.refreshes.acquire().await;
            let (held, record, anew) = {
                let state = self.state.lock();
                (state.held.clone(), state.record.clone(), state.moved || state.expired)
            };
            let validators = record.validators();
            let held = held.as_ref().filter(|_| !anew);
            let held = held.map(|zone| Held { zone, exact: record.exact, validators: &validators });
            self.settings.refresh.refresh(held).await
        };
        match outcome {
            Ok(Refreshed::Unchanged) => self.confirm(),
            Ok(Refreshed::Transferred(zone, transfer)) => self.take(zone, transfer).await,
            Err(failures) => self.fail(&failures),
        }
        let record = self.state.lock().record.clone();
        let (store, name) = (self.around.store.clone(), self.settings.name.clone());
        let noted = tokio::task::spawn_blocking(move || store.note(&name, &record)).await;
        if let Ok(Err(error)) = noted {
            tracing::error!(zone = %self.settings.name, %error, "a restart would know less of it");
        }
    }

    fn confirm(&self) {
        let now = self.now();
        let mut state = self.state.lock();
        let schedule = state.record.schedule().succeeded(now);
        state.record.set_schedule(schedule);
        state.record.error = None;
        self.succeeded(&mut state, now);
    }

    /// Keeps a version on disk and puts it in force.
    async fn take(&self, zone: Zone, transfer: Transfer) {
        let name = &self.settings.name;
        let store = self.around.store.clone();
        let keeping = tokio::task::spawn_blocking(move || match store.keep(&zone) {
            Ok(kept) => (kept, None),
            Err(error) => (zone, Some(error)),
        });
        // Only a stop of the program ends it early.
        let Ok((zone, error)) = keeping.await else { return };
        if let Some(error) = error {
            tracing::error!(zone = %name, %error, "a restart would begin with an older version");
        }
        let now = self.now();
        self.say(&zone, &transfer);
        self.around.metrics.secondaries.transferred(&name.to_string(), transfer.rejected);
        let mut state = self.state.lock();
        let mut record = Record {
            serial: zone.soa().serial.0,
            configured: self.settings.configured.clone(),
            from: transfer.from,
            kind: transfer.kind.as_str().to_owned(),
            taken_at: now.0,
            exact: transfer.exact,
            rejected: transfer.rejected,
            rejects: transfer.rejects.into_iter().take(REJECTS_SAID_MAX).collect(),
            etag: transfer.validators.etag,
            last_modified: transfer.validators.last_modified,
            ..Record::default()
        };
        record.set_schedule(state.record.schedule().succeeded(now));
        (state.record, state.held, state.moved) = (record, Some(zone), false);
        // Whatever was unloaded is in force again.
        state.expired = true;
        self.succeeded(&mut state, now);
    }

    /// Puts in force what is not, and says that all is well.
    fn succeeded(&self, state: &mut State, now: Timestamp) {
        let name = &self.settings.name;
        self.around.metrics.secondaries.confirmed(&name.to_string(), now);
        if std::mem::take(&mut state.expired) {
            (self.around.put)(name, state.held.clone());
        }
    }

    fn fail(&self, failures: &[Failure]) {
        let now = self.now();
        let mut state = self.state.lock();
        let schedule = state.record.schedule().failed(now);
        state.record.set_schedule(schedule);
        let reasons = failures.iter().map(|f| format!("{}: {}", f.from, f.reason));
        let error = reasons.collect::<Vec<_>>().join("; ");
        let zone = &self.settings.name;
        tracing::warn!(%zone, failures = state.record.failures, %error, "the zone is not refreshed");
        self.around.metrics.secondaries.failed(&zone.to_string());
        state.record.error = Some(error);
    }

    fn say(&self, zone: &Zone, transfer: &Transfer) {
        let name = &self.settings.name;
        for reject in transfer.rejects.iter().take(REJECTS_SAID_MAX) {
            tracing::warn!(zone = %name, "record left out: {reject}");
        }
        if transfer.rejected > REJECTS_SAID_MAX {
            let others = transfer.rejected - REJECTS_SAID_MAX;
            tracing::warn!(zone = %name, others, "more records were left out");
        }
        tracing::info!(
            zone = %name,
            serial = zone.soa().serial.0,
            rules = zone.len(),
            from = %transfer.from,
            kind = transfer.kind.as_str(),
            records = transfer.records,
            octets = transfer.octets,
            took_ms = u64::try_from(transfer.duration.as_millis()).unwrap_or(u64::MAX),
            "zone transferred"
        );
    }

    /// How the zone is.
    pub fn says(&self, now: Timestamp) -> SecondarySays {
        let state = self.state.lock();
        let due = self.next_due(&state, now);
        let from = (&self.settings.configured[..], self.settings.unload_expired);
        says(from, state.held.as_ref(), &state.record, Some(due), now)
    }
}

/// How a zone is by what was kept of it: where it is to come from, and whether it goes once it
/// expired; the version; and what is known of it.
pub fn says(
    (configured, unload_expired): (&[String], bool),
    held: Option<&Zone>,
    record: &Record,
    due: Option<Timestamp>,
    now: Timestamp,
) -> SecondarySays {
    let expires = held.and_then(|held| record.schedule().expires_at(held.soa()));
    let state = match (held, expires) {
        (None, _) => "waiting",
        (Some(_), Some(at)) if at <= now && unload_expired => "unloaded",
        (Some(_), Some(at)) if at <= now => "expired",
        (Some(_), _) if record.failures > 0 => "stale",
        (Some(_), _) => "current",
    };
    SecondarySays {
        state: state.to_owned(),
        configured: configured.to_vec(),
        from: held.map(|_| record.from.clone()),
        kind: held.map(|_| record.kind.clone()),
        taken_at: held.map(|_| record.taken_at),
        confirmed_at: record.confirmed_at,
        asked_at: record.asked_at,
        next_at: due.map(|at| at.0),
        expires_at: expires.map(|at| at.0),
        failures: record.failures,
        error: record.error.clone(),
        rejected: record.rejected,
        rejects: record.rejects.clone(),
    }
}

#[cfg(test)]
mod tests;
