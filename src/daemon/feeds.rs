//! Keeping sources fresh: one small task each, which waits until its source is due, refreshes it,
//! keeps what came and tells the writer.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::book::{Book, State};
use super::writer::{Event, Events};
use crate::archive::{ArchiveError, Attempt, Receipt, Reject};
use crate::evidence::{Claims, RankList};
use crate::model::Timestamp;
use crate::model::time::Clock;
use crate::ports::{Fetch, Location, Validators};
use crate::source::contract::History;
use crate::source::refresh::{self, Content, Previous, Refresh, RefreshError, Snapshot};
use crate::source::settings::{Role, Source};
use crate::telemetry::Metrics;

/// Sources that are read at the same time. Reading is bound by the processor, and each holds the
/// entries of its list while it sorts them.
const READING_MAX: usize = 2;

/// Refreshes the sources of a book.
pub struct Feeds {
    /// The sources, with what is known of each.
    pub book: Arc<Book>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    events: Events,
    metrics: Arc<Metrics>,
    reading: Semaphore,
}

impl Feeds {
    /// Feeds that come by `fetch` and are told to the writer.
    pub fn new(
        book: Arc<Book>,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
        events: Events,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { book, fetch, clock, events, metrics, reading: Semaphore::new(READING_MAX) }
    }

    /// Refreshes, before anything else, the sources on this machine's own disk that have no copy
    /// yet, so that a first start enforces them from the first query on.
    pub async fn take_local_files(self: &Arc<Self>, say: &(dyn Fn(&str) + Sync)) {
        let never = |s: &&Source| {
            matches!(s.location, Location::File(_))
                && self.book.state(&s.id).receipt.accepted_at.is_none()
        };
        let sources: Vec<Source> = self.book.in_use().filter(never).cloned().collect();
        let tasks = sources.into_iter().map(|source| {
            let feeds = self.clone();
            async move {
                say(source.id.as_str());
                feeds.refresh(&source, false).await;
            }
        });
        futures_util::future::join_all(tasks).await;
    }

    /// Keeps every source in use fresh until told to stop.
    pub fn run(self: &Arc<Self>, stop: &CancellationToken) {
        for source in self.book.in_use() {
            let (feeds, source) = (self.clone(), source.clone());
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
            let due = self.book.due(source, now);
            let wait = std::time::Duration::from_secs(due.0.saturating_sub(now.0).into());
            let poke = self.book.state(&source.id).poke;
            let asked_for = tokio::select! {
                () = tokio::time::sleep(wait) => false,
                () = poke.notified() => true,
            };
            self.refresh(source, asked_for).await;
        }
    }

    /// `asked_for` by somebody who waits for what comes of it.
    async fn refresh(&self, source: &Source, asked_for: bool) {
        let Ok(_reading) = self.reading.acquire().await else { return };
        let state = self.book.state(&source.id);
        let now = self.clock.now();
        let before = match source.role {
            Role::Claims => self.book.archive.claims(&source.id).ok().flatten(),
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
        let seed = self.book.seed_of(source);
        let outcome = refresh::refresh(source, &*self.fetch, &previous, now, seed).await;
        self.settle(source, state, outcome, asked_for);
    }

    /// Keeps what a refresh brought and notes how it went.
    fn settle(
        &self,
        source: &Source,
        mut state: State,
        outcome: Result<Refresh, RefreshError>,
        asked_for: bool,
    ) {
        let now = self.clock.now();
        let settled = match outcome {
            Ok(Refresh::Unchanged) => {
                state.receipt.confirmed_at = Some(now.0);
                Ok(())
            }
            Ok(Refresh::Accepted(snapshot)) => {
                self.accept(source, &mut state.receipt, *snapshot, asked_for)
            }
            Err(error) => Err((shortened(&error, source), error.retry_after_seconds())),
        };
        match settled {
            Ok(()) => {
                state.attempts = state.attempts.succeeded(now);
                state.receipt.failure = None;
                state.receipt.failures = 0;
            }
            Err((error, retry_after_seconds)) => {
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
        if let Err(error) = self.book.archive.store_receipt(&source.id, &state.receipt) {
            tracing::error!(source = %source.id, %error, "the receipt is not kept");
        }
        let failure = state.receipt.failure.clone();
        self.book.set_state(&source.id, state);
        if let Some(Attempt { error, .. }) = failure {
            tracing::warn!(source = %source.id, %error, "the last good copy stays");
        }
    }

    fn accept(
        &self,
        source: &Source,
        receipt: &mut Receipt,
        snapshot: Snapshot,
        asked_for: bool,
    ) -> Result<(), (String, Option<u32>)> {
        let now = self.clock.now();
        let kept = self.keep(source, &snapshot, now, asked_for);
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
    fn keep(
        &self,
        source: &Source,
        snapshot: &Snapshot,
        now: Timestamp,
        asked_for: bool,
    ) -> Result<(), ArchiveError> {
        let event = match &snapshot.content {
            Content::Claims(claims) => {
                self.book.archive.store_claims(&source.id, claims)?;
                let mapped = self.book.archive.claims(&source.id)?.unwrap_or_else(Claims::none);
                Event::Claims { source: source.id.clone(), claims: mapped, asked_for }
            }
            Content::Ranks(ranks) => {
                let list = RankList {
                    source: source.id.clone(),
                    day: now.0 / 86_400,
                    ranks: ranks.clone(),
                };
                self.book.archive.store_ranks(&list)?;
                let popularity = Arc::new(self.book.popularity(&self.book.suffixes(), now));
                Event::Standings(Box::new(move |standings| standings.popularity = popularity))
            }
            Content::Suffixes(text) => {
                self.book.archive.store_text(&source.id, text)?;
                let suffixes = Arc::new(self.book.suffixes());
                let popularity = Arc::new(self.book.popularity(&suffixes, now));
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
}

/// The error without the location, which stands beside it wherever it is shown.
fn shortened(error: &RefreshError, source: &Source) -> String {
    let text = error.to_string();
    let location = source.location.to_string();
    text.strip_prefix(&location).map_or(text.clone(), |rest| rest.trim_start().to_owned())
}
