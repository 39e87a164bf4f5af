//! What is known of every source: how it is configured, what its last good copy was, how the last
//! attempts went. Read by the daemon while it runs, and by the command line when it is down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use smallvec::SmallVec;
use tokio::sync::Notify;

use crate::archive::{Archive, ArchiveError, Receipt};
use crate::bgp::{AsNames, AsNamesBuilder, Family, RouteTable, RouteTableBuilder, load};
use crate::diagnostic::Diagnostic;
use crate::evidence::{Claims, Popularity, PublicSuffixes, RankList};
use crate::model::{SourceId, Timestamp, Trust};
use crate::pipeline::report::{FeedSays, SourceCounts};
use crate::source::schedule::Attempts;
use crate::source::settings::{LicenceMode, Role, Source};

/// All sources, with what is known of each.
pub struct Book {
    sources: Vec<Source>,
    states: Mutex<BTreeMap<SourceId, State>>,
    licence: LicenceMode,
    /// Last good copies.
    pub archive: Archive,
    hash_seed: u64,
}

/// How a source stands.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Its last good copy.
    pub receipt: Receipt,
    /// The last attempts.
    pub attempts: Attempts,
    /// Makes it due at once.
    pub poke: Arc<Notify>,
    /// Puts in force what its contract puts aside.
    pub accept: Arc<Notify>,
}

impl Book {
    /// The sources with what the archive knows of them, and findings about what it could not read.
    pub fn open(
        sources: Vec<Source>,
        licence: LicenceMode,
        archive: Archive,
        hash_seed: u64,
    ) -> (Self, Vec<Diagnostic>) {
        let mut findings = Vec::new();
        let mut states = BTreeMap::new();
        for source in &sources {
            let receipt = archive.receipt(&source.id).unwrap_or_else(|error| {
                findings.push(unreadable(&error));
                None
            });
            let receipt = receipt.unwrap_or_default();
            let attempts = attempts_of(&receipt);
            states.insert(source.id.clone(), State { receipt, attempts, ..State::default() });
        }
        (Self { sources, states: Mutex::new(states), licence, archive, hash_seed }, findings)
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
        Popularity::join(&self.rank_lists(), now.0 / 86_400, suffixes, self.hash_seed)
    }

    /// All popularity lists in use, as the archive has them.
    pub fn rank_lists(&self) -> Vec<RankList> {
        let mut lists: Vec<RankList> = Vec::new();
        for source in self.in_use().filter(|source| source.role == Role::Popularity) {
            match self.archive.ranks(&source.id) {
                Ok(ranks) => lists.extend(ranks),
                Err(error) => tracing::error!(source = %source.id, %error, "ranks are left out"),
            }
        }
        lists
    }

    /// Announced prefixes and names of AS by all sources in use, in the order of the configuration.
    /// A prefix of several sources has the origins of all of them.
    pub fn routes(&self) -> (RouteTable, AsNames) {
        let mut found = Vec::new();
        for source in self.in_use().filter(|source| matches!(source.role, Role::Routes(_))) {
            match self.archive.routes(&source.id) {
                Ok(routes) => found.extend(routes),
                Err(error) => {
                    self.forget(&source.id);
                    tracing::error!(source = %source.id, %error, "routes are left out");
                }
            }
        }
        if found.len() == 1
            && let Some(alone) = found.pop()
        {
            return alone;
        }
        let (mut table, mut names) = (RouteTableBuilder::default(), AsNamesBuilder::default());
        for (routes, named) in &found {
            for route in Family::ALL.into_iter().flat_map(|family| routes.routes(family)) {
                let origins: SmallVec<[u32; 4]> = route.origins().iter().collect();
                table.add(route.network(), &origins);
            }
            named.iter().for_each(|(system, name)| names.add(system, name));
        }
        (table.finish(), names.finish())
    }

    /// Public suffixes: the newest list of a source, else the one compiled in.
    pub fn suffixes(&self) -> PublicSuffixes {
        let source = self.in_use().find(|source| source.role == Role::PublicSuffixes);
        let text = source.and_then(|source| self.archive.text(&source.id).ok().flatten());
        text.and_then(|text| PublicSuffixes::from_text(&text)).unwrap_or_default()
    }

    /// When a source is due.
    pub fn due(&self, source: &Source, now: Timestamp) -> Timestamp {
        let attempts = self.state(&source.id).attempts;
        attempts.next_due(source.interval_seconds, self.seed_of(source), now)
    }

    /// Each source throws its own dice, the same ones on every run.
    pub fn seed_of(&self, source: &Source) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(source.id.as_str().as_bytes(), self.hash_seed)
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

    /// Puts in force what the contract of a source puts aside, and takes its next copy as it is.
    /// How many entries are put aside.
    pub fn accept(&self, id: &str) -> Result<usize, Diagnostic> {
        let Some(source) = self.in_use().find(|source| source.id.as_str() == id) else {
            let known = self.sources.iter().map(|source| source.id.as_str());
            let finding = Diagnostic::error(format!("no source `{id}` is in use"));
            return Err(match crate::diagnostic::nearest(id, known) {
                Some(near) => finding.hint(format!("did you mean `{near}`?")),
                None => finding.hint("`sekisho feeds` lists them"),
            });
        };
        if source.role != Role::Claims {
            return Err(Diagnostic::error(format!("nothing of `{id}` is ever put aside")));
        }
        let state = self.state(&source.id);
        state.accept.notify_one();
        Ok(state.receipt.held)
    }

    /// Every source and its state.
    pub fn says(&self, now: Timestamp) -> Vec<FeedSays> {
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
            (None, Some(_), None) if receipt.held > 0 || receipt.shrunk_since.is_some() => "held",
            (None, Some(_), None) => "ok",
        };
        FeedSays {
            id: source.id.to_string(),
            state: word.to_owned(),
            trust: match (&source.role, &source.trust) {
                (Role::Popularity, _) => "popularity".to_owned(),
                (Role::PublicSuffixes, _) => "public suffixes".to_owned(),
                (Role::Routes(load::Format::Asnames), _) => "names of AS".to_owned(),
                (Role::Routes(_), _) => "routes".to_owned(),
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
            held: receipt.held,
            held_until: receipt.held_until,
            breaches: receipt.breaches.into_iter().map(|b| (b.at, b.error)).collect(),
            error: receipt.failure.map(|failure| (failure.at, failure.error)),
            off_because: off.map(|off| off.to_string()),
        }
    }

    /// Sources by state.
    pub fn counts(&self) -> SourceCounts {
        let mut counts = SourceCounts::default();
        for feed in self.says(Timestamp(0)) {
            match feed.state.as_str() {
                "ok" | "held" => counts.ok += 1,
                "stale" => counts.stale += 1,
                "empty" => counts.empty += 1,
                _ => counts.off += 1,
            }
        }
        counts
    }

    /// How a source stands.
    pub fn state(&self, id: &SourceId) -> State {
        self.locked().get(id).cloned().unwrap_or_default()
    }

    /// Notes how a source stands.
    pub fn set_state(&self, id: &SourceId, state: State) {
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
