//! Keeping sources fresh: one small task each, which waits until its source is due, refreshes it,
//! keeps what came and tells the writer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::writer::{Event, Events};
use crate::archive::{Archive, ArchiveError, Attempt, Receipt, Reject};
use crate::diagnostic::Diagnostic;
use crate::evidence::{Claims, Popularity, PublicSuffixes, RankList};
use crate::model::time::Clock;
use crate::model::{SourceId, Timestamp, Trust};
use crate::pipeline::report::{FeedSays, SourceCounts};
use crate::ports::{Fetch, Validators};
use crate::source::contract::History;
use crate::source::refresh::{self, Previous, Refresh, RefreshError, Snapshot};
use crate::source::schedule::Attempts;
use crate::source::settings::{LicenceMode, Role, Source};
use crate::telemetry::metrics::Metrics;

/// Sources that are read at the same time. Reading is bound by the processor, and each holds the
/// entries of its list while it sorts them.
const READING_MAX: usize = 2;

/// All sources, with what is known of each.
pub struct Feeds {
    sources: Vec<Source>,
    states: Mutex<BTreeMap<SourceId, State>>,
    licence: LicenceMode,
    archive: Archive,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    events: Events,
    metrics: Arc<Metrics>,
    reading: Semaphore,
    hash_seed: u64,
}

#[derive(Debug, Clone, Default)]
struct State {
    receipt: Receipt,
    attempts: Attempts,
    poke: Arc<Notify>,
}

/// Where feeds come from and go to.
pub struct Ways {
    /// Last good copies.
    pub archive: Archive,
    /// The network and the disk.
    pub fetch: Arc<dyn Fetch>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The writer.
    pub events: Events,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Feeds {
    /// The sources with what the archive knows of them, and findings about what it could not read.
    pub fn open(
        sources: Vec<Source>,
        licence: LicenceMode,
        ways: Ways,
        hash_seed: u64,
    ) -> (Self, Vec<Diagnostic>) {
        let mut findings = Vec::new();
        let mut states = BTreeMap::new();
        for source in &sources {
            let receipt = ways.archive.receipt(&source.id).unwrap_or_else(|error| {
                findings.push(unreadable(&error));
                None
            });
            let receipt = receipt.unwrap_or_default();
            let attempts = attempts_of(&receipt);
            states.insert(source.id.clone(), State { receipt, attempts, poke: Arc::default() });
        }
        let Ways { archive, fetch, clock, events, metrics } = ways;
        let feeds = Self {
            sources,
            states: Mutex::new(states),
            licence,
            archive,
            fetch,
            clock,
            events,
            metrics,
            reading: Semaphore::new(READING_MAX),
            hash_seed,
        };
        (feeds, findings)
    }

    /// The sources that are in use.
    pub fn in_use(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.off(self.licence).is_none())
    }

    /// The last good claims of a source. What cannot be read back counts as nothing and is fetched
    /// anew.
    pub fn last_good(&self, source: &Source) -> (Claims, Option<Diagnostic>) {
        match self.archive.claims(&source.id) {
            Ok(claims) => (claims.unwrap_or_else(Claims::none), None),
            Err(error) => {
                self.forget(&source.id);
                (Claims::none(), Some(unreadable(&error)))
            }
        }
    }

    /// Ranks of registrable domains by all lists in use, as the archive has them.
    pub fn popularity(&self, suffixes: &PublicSuffixes, now: Timestamp) -> Popularity {
        let mut lists: Vec<RankList> = Vec::new();
        for source in self.in_use().filter(|source| matches!(source.role, Role::Popularity(_))) {
            match self.archive.ranks(&source.id) {
                Ok(ranks) => lists.extend(ranks),
                Err(error) => tracing::error!(source = %source.id, %error, "ranks are left out"),
            }
        }
        Popularity::join(&lists, now.0 / 86_400, suffixes, self.hash_seed)
    }

    /// Public suffixes: the newest list of a source, else the one compiled in.
    pub fn suffixes(&self) -> PublicSuffixes {
        let source = self.in_use().find(|source| source.role == Role::PublicSuffixes);
        let text = source.and_then(|source| self.archive.text(&source.id).ok().flatten());
        text.and_then(|text| PublicSuffixes::from_text(&text)).unwrap_or_default()
    }

    /// Refreshes, before anything else, the sources on this machine's own disk that have no copy
    /// yet, so that a first start enforces them from the first query on.
    pub async fn take_local_files(self: &Arc<Self>) {
        let never = |s: &&Source| {
            matches!(s.location, crate::ports::Location::File(_))
                && self.state(&s.id).receipt.accepted_at.is_none()
        };
        let sources: Vec<Source> = self.in_use().filter(never).cloned().collect();
        let tasks = sources.into_iter().map(|source| {
            let feeds = self.clone();
            async move { feeds.refresh(&source).await }
        });
        futures_util::future::join_all(tasks).await;
    }

    /// Keeps every source in use fresh until told to stop.
    pub fn run(self: &Arc<Self>, stop: &CancellationToken) {
        for source in self.in_use().cloned() {
            let feeds = self.clone();
            let stop = stop.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = feeds.keep_fresh(&source) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    }

    async fn keep_fresh(&self, source: &Source) {
        loop {
            let now = self.clock.now();
            let due = self.due(source, now);
            let wait = std::time::Duration::from_secs(due.0.saturating_sub(now.0).into());
            let poke = self.state(&source.id).poke;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = poke.notified() => {}
            }
            self.refresh(source).await;
        }
    }

    fn due(&self, source: &Source, now: Timestamp) -> Timestamp {
        let attempts = self.state(&source.id).attempts;
        attempts.next_due(source.interval_seconds, self.seed_of(source), now)
    }

    /// Each source throws its own dice, the same ones on every run.
    fn seed_of(&self, source: &Source) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(source.id.as_str().as_bytes(), self.hash_seed)
    }

    async fn refresh(&self, source: &Source) {
        let Ok(_reading) = self.reading.acquire().await else { return };
        let state = self.state(&source.id);
        let now = self.clock.now();
        let before = match source.role {
            Role::Claims => self.archive.claims(&source.id).ok().flatten(),
            _ => None,
        };
        let previous = Previous {
            validators: Validators {
                etag: state.receipt.etag.clone(),
                last_modified: state.receipt.last_modified.clone(),
            },
            history: History::of(state.receipt.sizes.iter().map(|size| *size as u64)),
            claims: before,
        };
        let seed = self.seed_of(source);
        let outcome = refresh::refresh(source, &*self.fetch, &previous, now, seed).await;
        self.settle(source, state, outcome);
    }

    /// Keeps what a refresh brought and notes how it went.
    fn settle(&self, source: &Source, mut state: State, outcome: Result<Refresh, RefreshError>) {
        let now = self.clock.now();
        let settled = match outcome {
            Ok(Refresh::Unchanged) => {
                state.receipt.confirmed_at = Some(now.0);
                Ok(())
            }
            Ok(Refresh::Accepted(snapshot)) => self.accept(source, &mut state.receipt, *snapshot),
            Err(error) => Err((error.to_string(), error.retry_after_seconds())),
        };
        match settled {
            Ok(()) => {
                state.attempts = state.attempts.succeeded(now);
                state.receipt.failure = None;
                state.receipt.failures = 0;
            }
            Err((error, retry_after_seconds)) => {
                tracing::warn!(source = %source.id, %error, "the last good copy stays");
                state.attempts = state.attempts.failed(now, retry_after_seconds);
                state.receipt.failure = Some(Attempt { at: now.0, error });
                state.receipt.failures = state.attempts.failures;
            }
        }
        match state.receipt.failure {
            Some(_) => self.metrics.feed_failed(&source.id),
            None => {
                let receipt = &state.receipt;
                self.metrics.feed_refreshed(&source.id, receipt.entries, receipt.rejects, now);
            }
        }
        if let Err(error) = self.archive.store_receipt(&source.id, &state.receipt) {
            tracing::error!(source = %source.id, %error, "the receipt is not kept");
        }
        self.set_state(&source.id, state);
    }

    fn accept(
        &self,
        source: &Source,
        receipt: &mut Receipt,
        snapshot: Snapshot,
    ) -> Result<(), (String, Option<u32>)> {
        let now = self.clock.now();
        let kept = self.keep(source, &snapshot, now);
        kept.map_err(|error| (format!("it could not be kept: {error}"), None))?;
        let Snapshot { report, validators, .. } = snapshot;
        let entries = usize::try_from(report.entries).unwrap_or(usize::MAX);
        receipt.url = source.location.to_string();
        receipt.etag = validators.etag;
        receipt.last_modified = validators.last_modified;
        receipt.accepted_at = Some(now.0);
        receipt.confirmed_at = Some(now.0);
        receipt.entries = entries;
        receipt.rejects = usize::try_from(report.rejects_total).unwrap_or(usize::MAX);
        receipt.samples = report
            .rejects
            .into_iter()
            .map(|reject| Reject {
                line: usize::try_from(reject.line).unwrap_or(usize::MAX),
                text: reject.text,
                reason: reject.reason.to_string(),
            })
            .collect();
        receipt.note_size(entries);
        tracing::info!(source = %source.id, entries, rejects = receipt.rejects, "taken over");
        Ok(())
    }

    /// Writes what came and tells the writer of it.
    fn keep(&self, source: &Source, snapshot: &Snapshot, now: Timestamp) -> Result<(), ArchiveError> {
        use crate::source::refresh::Content;
        let event = match &snapshot.content {
            Content::Claims(claims) => {
                self.archive.store_claims(&source.id, claims)?;
                let mapped = self.archive.claims(&source.id)?.unwrap_or_else(Claims::none);
                Event::Claims(source.id.clone(), mapped)
            }
            Content::Ranks(ranks) => {
                let list = RankList {
                    source: source.id.clone(),
                    day: now.0 / 86_400,
                    ranks: ranks.clone(),
                };
                self.archive.store_ranks(&list)?;
                let popularity = Arc::new(self.popularity(&self.suffixes(), now));
                Event::Standings(Box::new(move |standings| standings.popularity = popularity))
            }
            Content::Suffixes(text) => {
                self.archive.store_text(&source.id, text)?;
                let suffixes = Arc::new(self.suffixes());
                let popularity = Arc::new(self.popularity(&suffixes, now));
                Event::Standings(Box::new(move |standings| {
                    standings.suffixes = suffixes;
                    standings.popularity = popularity;
                }))
            }
        };
        // A writer that is gone is being stopped; the archive has what came.
        let _ = self.events.send(event);
        Ok(())
    }

    /// Makes a source due at once; all in use where none is named. How many.
    pub fn poke(&self, id: Option<&str>) -> Result<usize, Diagnostic> {
        let named = |source: &&Source| id.is_none_or(|id| source.id.as_str() == id);
        let due: Vec<&Source> = self.in_use().filter(named).collect();
        if let (Some(id), true) = (id, due.is_empty()) {
            let known = self.sources.iter().map(|source| source.id.as_str());
            let finding = Diagnostic::error(format!("no source `{id}` is in use"));
            return Err(match crate::diagnostic::nearest(id, known) {
                Some(near) => finding.hint(format!("did you mean `{near}`?")),
                None => finding.hint("`sekisho feeds` lists them"),
            });
        }
        due.iter().for_each(|source| self.state(&source.id).poke.notify_one());
        Ok(due.len())
    }

    /// Every source and its state.
    pub fn says(&self) -> Vec<FeedSays> {
        let now = self.clock.now();
        self.sources.iter().map(|source| self.source_says(source, now)).collect()
    }

    fn source_says(&self, source: &Source, now: Timestamp) -> FeedSays {
        let off = source.off(self.licence);
        let state = self.state(&source.id);
        let receipt = state.receipt;
        let word = match (&off, receipt.accepted_at, &receipt.failure) {
            (Some(_), ..) => "off",
            (None, None, _) => "empty",
            (None, Some(_), Some(_)) => "stale",
            (None, Some(_), None) => "ok",
        };
        FeedSays {
            id: source.id.to_string(),
            state: word.to_owned(),
            trust: match (&source.role, &source.trust) {
                (Role::Popularity(_), _) => "popularity".to_owned(),
                (Role::PublicSuffixes, _) => "public suffixes".to_owned(),
                (Role::Claims, Trust::Scored) => "scored".to_owned(),
                (Role::Claims, Trust::Operator) => "operator".to_owned(),
                (Role::Claims, Trust::Category(category)) => category.to_string(),
            },
            url: source.location.to_string(),
            entries: receipt.entries,
            rejects: receipt.rejects,
            samples: receipt.samples.into_iter().map(|r| (r.line, r.text, r.reason)).collect(),
            accepted_at: receipt.accepted_at,
            confirmed_at: receipt.confirmed_at,
            due_at: off.is_none().then(|| self.due(source, now).0),
            error: receipt.failure.map(|failure| (failure.at, failure.error)),
            off_because: off.map(|off| off.to_string()),
        }
    }

    /// Sources by state.
    pub fn counts(&self) -> SourceCounts {
        let mut counts = SourceCounts::default();
        for feed in self.says() {
            match feed.state.as_str() {
                "ok" => counts.ok += 1,
                "stale" => counts.stale += 1,
                "empty" => counts.empty += 1,
                _ => counts.off += 1,
            }
        }
        counts
    }

    fn state(&self, id: &SourceId) -> State {
        self.locked().get(id).cloned().unwrap_or_default()
    }

    fn set_state(&self, id: &SourceId, state: State) {
        self.locked().insert(id.clone(), state);
    }

    /// Forgets what would make the next request conditional.
    fn forget(&self, id: &SourceId) {
        if let Some(state) = self.locked().get_mut(id) {
            state.receipt.etag = None;
            state.receipt.last_modified = None;
            state.receipt.accepted_at = None;
            state.attempts = Attempts::default();
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<SourceId, State>> {
        // A panic elsewhere cannot leave a state half written: they are replaced as a whole.
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn attempts_of(receipt: &Receipt) -> Attempts {
    let failed_at = receipt.failure.as_ref().map(|failure| Timestamp(failure.at));
    let confirmed_at = receipt.confirmed_at.map(Timestamp);
    Attempts {
        last_attempt: failed_at.max(confirmed_at),
        last_success: confirmed_at,
        failures: receipt.failures,
        retry_after_seconds: None,
    }
}

fn unreadable(error: &ArchiveError) -> Diagnostic {
    Diagnostic::warning(error.to_string()).hint("the source is fetched anew")
}

/// Where downloads lie while they are read.
pub fn spool(state: &std::path::Path) -> PathBuf {
    state.join("spool")
}
