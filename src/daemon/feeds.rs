//! Keeping sources fresh: one small task each, which waits until its source is due, refreshes it,
//! keeps what came and tells the writer.

use std::sync::{Arc, OnceLock};

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::book::{Book, State};
use super::writer::{Event, Events};
use crate::archive::{ArchiveError, Attempt, Receipt, Reject};
use crate::evidence::{Claims, RankList};
use crate::model::Timestamp;
use crate::model::time::Clock;
use crate::pipeline::Published;
use crate::ports::{Fetch, Location, Validators};
use crate::source::contract::History;
use crate::source::contract::entries::{self, Admission, Incoming};
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
    /// The state in force, for the rules that look at entries; none before there is one.
    published: OnceLock<watch::Receiver<Arc<Published>>>,
}

/// Breaches of its contract that a receipt keeps.
const BREACHES_KEPT: usize = 10;

impl Feeds {
    /// Feeds that come by `fetch` and are told to the writer.
    pub fn new(
        book: Arc<Book>,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
        events: Events,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            book,
            fetch,
            clock,
            events,
            metrics,
            reading: Semaphore::new(READING_MAX),
            published: OnceLock::new(),
        }
    }

    /// Tells where the state in force is, once there is one.
    pub fn look_at(&self, published: watch::Receiver<Arc<Published>>) {
        // It is told once; a second telling would say the same.
        let _ = self.published.set(published);
    }

    fn in_force(&self) -> Option<Arc<Published>> {
        self.published.get().map(|published| published.borrow().clone())
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
            let State { poke, accept, receipt, .. } = self.book.state(&source.id);
            let held = receipt
                .held_until
                .map(|until| std::time::Duration::from_secs(until.saturating_sub(now.0).into()));
            let asked_for = tokio::select! {
                () = tokio::time::sleep(wait) => false,
                () = poke.notified() => true,
                () = tokio::time::sleep(held.unwrap_or_default()), if held.is_some() => {
                    self.release(source, false).await;
                    continue;
                }
                () = accept.notified() => {
                    self.release(source, true).await;
                    continue;
                }
            };
            self.refresh(source, asked_for).await;
        }
    }

    /// `asked_for` by somebody who waits for what comes of it.
    async fn refresh(&self, source: &Source, asked_for: bool) {
        let Ok(_reading) = self.reading.acquire().await else { return };
        let state = self.book.state(&source.id);
        let now = self.clock.now();
        let (before, held) = match source.role {
            Role::Claims => (
                self.book.archive.claims(&source.id).ok().flatten(),
                self.book.archive.held(&source.id).ok().flatten(),
            ),
            _ => (None, None),
        };
        let held = held.unwrap_or_else(Claims::none);
        let earlier = before.as_ref().map(|before| before.union(&held));
        let previous = Previous {
            validators: Validators {
                etag: state.receipt.etag.clone(),
                last_modified: state.receipt.last_modified.clone(),
            },
            history: history(&state.receipt),
            claims: earlier,
        };
        let seed = self.book.seed_of(source);
        let outcome = refresh::refresh(source, &*self.fetch, &previous, now, seed).await;
        let before = before.unwrap_or_else(Claims::none);
        let judged = match &outcome {
            Ok(Refresh::Accepted(snapshot)) => match &snapshot.content {
                Content::Claims(claims) => {
                    self.judged(source, &state.receipt, claims.clone(), before, held).await
                }
                _ => None,
            },
            _ => None,
        };
        self.settle(source, state, outcome, judged, asked_for);
    }

    /// What the contract makes of all that a source names. None where the task was lost, as at a
    /// shutdown.
    async fn judged(
        &self,
        source: &Source,
        receipt: &Receipt,
        claims: Claims,
        before: Claims,
        held: Claims,
    ) -> Option<Admission> {
        let now = self.clock.now();
        let published = self.in_force();
        let (source, receipt) = (source.clone(), receipt.clone());
        let judge = move || {
            let incoming = Incoming {
                id: &source.id,
                trust: &source.trust,
                own_file: matches!(source.location, Location::File(_)),
                claims,
                before: &before,
                held: &held,
                held_until: receipt.held_until.map(Timestamp),
                history: &history(&receipt),
                shrunk_since: receipt.shrunk_since.map(Timestamp),
                pivotal_today: pivotal_today(&receipt, now),
                now,
            };
            entries::judge(incoming, published.as_deref())
        };
        tokio::task::spawn_blocking(judge).await.ok()
    }

    /// Puts in force what was put aside, once its time is over and it no longer breaks a rule, or
    /// because somebody says so: then also what a next fetch has too little of is taken as it is.
    async fn release(&self, source: &Source, by_hand: bool) {
        let mut state = self.book.state(&source.id);
        let archive = &self.book.archive;
        let read = |claims: Result<Option<Claims>, ArchiveError>| claims.ok().flatten();
        let before = read(archive.claims(&source.id)).unwrap_or_else(Claims::none);
        let held = read(archive.held(&source.id)).unwrap_or_else(Claims::none);
        let all = before.union(&held);
        let judged = match by_hand {
            true => Some(Admission {
                claims: all,
                released: !held.is_empty(),
                held: Claims::none(),
                held_until: None,
                shrunk_since: None,
                additions: 0,
                pivotal: 0,
                breaches: Vec::new(),
            }),
            false => self.judged(source, &state.receipt, all, before, held).await,
        };
        let Some(judged) = judged else { return };
        if by_hand {
            state.receipt.sizes.clear();
            state.receipt.breaches.clear();
            (state.receipt.etag, state.receipt.last_modified) = (None, None);
        }
        match self.keep_judged(source, &mut state.receipt, &judged, by_hand) {
            Ok(()) if judged.released => {
                tracing::info!(source = %source.id, by_hand, "what was put aside is in force");
            }
            // Nothing was put aside, or it still breaks a rule, which has been said.
            Ok(()) => {}
            Err(error) => tracing::error!(source = %source.id, %error, "it could not be kept"),
        }
        if let Err(error) = archive.store_receipt(&source.id, &state.receipt) {
            tracing::error!(source = %source.id, %error, "the receipt is not kept");
        }
        let poke = state.poke.clone();
        self.book.set_state(&source.id, state);
        if by_hand {
            poke.notify_one();
        }
    }

    /// Keeps what the contract lets in and what it puts aside, says what it found, and tells the
    /// writer.
    fn keep_judged(
        &self,
        source: &Source,
        receipt: &mut Receipt,
        judged: &Admission,
        asked_for: bool,
    ) -> Result<(), ArchiveError> {
        let archive = &self.book.archive;
        archive.store_held(&source.id, &judged.held)?;
        archive.store_claims(&source.id, &judged.claims)?;
        receipt.entries = judged.claims.len();
        receipt.held = judged.held.len();
        receipt.held_until = judged.held_until.map(|until| until.0);
        receipt.shrunk_since = judged.shrunk_since.map(|since| since.0);
        receipt.pivotal.retain(|(at, _)| is_of_today(*at, self.clock.now()));
        if judged.pivotal > 0 {
            receipt.pivotal.push((self.clock.now().0, judged.pivotal));
        }
        if judged.released {
            // What it has now is what it usually has.
            receipt.sizes = vec![judged.claims.len(); 3];
        }
        let now = self.clock.now();
        for breach in &judged.breaches {
            tracing::warn!(source = %source.id, rule = breach.rule.as_str(), "{}", breach.text);
            self.metrics.feed_breach(&source.id, breach.rule.as_str());
            receipt.breaches.push(Attempt { at: now.0, error: breach.to_string() });
        }
        let surplus = receipt.breaches.len().saturating_sub(BREACHES_KEPT);
        receipt.breaches.drain(..surplus);
        self.metrics.feed_held(&source.id, receipt.held);
        let mapped = archive.claims(&source.id)?.unwrap_or_else(Claims::none);
        // A writer that is gone is being stopped; the archive has what came.
        let id = source.id.clone();
        let _ = self.events.send(Event::Claims { source: id, claims: mapped, asked_for });
        Ok(())
    }

    /// Keeps what a refresh brought and notes how it went.
    fn settle(
        &self,
        source: &Source,
        mut state: State,
        outcome: Result<Refresh, RefreshError>,
        judged: Option<Admission>,
        asked_for: bool,
    ) {
        let now = self.clock.now();
        let settled = match outcome {
            Ok(Refresh::Unchanged) => {
                state.receipt.confirmed_at = Some(now.0);
                Ok(())
            }
            Ok(Refresh::Accepted(snapshot)) => {
                self.accept(source, &mut state.receipt, *snapshot, judged, asked_for)
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
        judged: Option<Admission>,
        asked_for: bool,
    ) -> Result<(), (String, Option<u32>)> {
        let now = self.clock.now();
        let entries = usize::try_from(snapshot.report.entries).unwrap_or(usize::MAX);
        receipt.entries = entries;
        let kept = match (&snapshot.content, &judged) {
            (Content::Claims(_), Some(judged)) => {
                self.keep_judged(source, receipt, judged, asked_for)
            }
            (Content::Claims(_), None) => return Err(("reading it was interrupted".into(), None)),
            (content, _) => self.keep(source, content, now),
        };
        kept.map_err(|error| (format!("it could not be kept: {error}"), None))?;
        let Snapshot { report, validators, .. } = snapshot;
        receipt.url = source.location.to_string();
        let shrunk = receipt.shrunk_since.is_some();
        if !shrunk {
            // While removals wait, the next fetch must bring the whole again.
            receipt.etag = validators.etag;
            receipt.last_modified = validators.last_modified;
        }
        receipt.accepted_at = Some(now.0);
        receipt.confirmed_at = Some(now.0);
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
        let broken = judged.as_ref().is_some_and(|judged| !judged.breaches.is_empty());
        if !broken {
            receipt.note_size(entries);
            receipt.note_additions(judged.map_or(0, |judged| judged.additions as usize));
        }
        tracing::info!(source = %source.id, entries, rejects = receipt.rejects, "taken over");
        Ok(())
    }

    /// Writes what came and tells the writer of it.
    fn keep(&self, source: &Source, content: &Content, now: Timestamp) -> Result<(), ArchiveError> {
        let event = match content {
            Content::Claims(_) => return Ok(()),
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
            Content::Routes(routes) => {
                let (table, names) = &**routes;
                self.book.archive.store_routes(&source.id, table, names)?;
                Event::Routes(Box::new(self.book.routes()))
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

/// R8 counts over a day.
fn is_of_today(at: u32, now: Timestamp) -> bool {
    Timestamp(at).age_seconds(now) < 24 * 3600
}

fn pivotal_today(receipt: &Receipt, now: Timestamp) -> u64 {
    receipt.pivotal.iter().filter(|(at, _)| is_of_today(*at, now)).map(|(_, count)| count).sum()
}

/// What the contract measures a snapshot by.
fn history(receipt: &Receipt) -> History {
    let counts = |counts: &[usize]| counts.iter().map(|n| *n as u64).collect::<Vec<_>>();
    History::of(counts(&receipt.sizes)).with_additions(counts(&receipt.additions))
}

/// The error without the location, which stands beside it wherever it is shown.
fn shortened(error: &RefreshError, source: &Source) -> String {
    let text = error.to_string();
    let location = source.location.to_string();
    text.strip_prefix(&location).map_or(text.clone(), |rest| rest.trim_start().to_owned())
}
