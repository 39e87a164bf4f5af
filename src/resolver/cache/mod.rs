//! The clients' cache: what the upstream said, ready to leave.
//!
//! A hit is an `Arc` of the whole [`Resolution`] with its sections in wire form and the facts that
//! policy needs, so policy decides anew on every hit and no change of policy needs a flush. Nothing
//! in here depends on policy or on who asked.
//!
//! Bounded in octets. Answers past their time are kept for a while and given out if the upstream
//! fails (RFC 8767); failures are kept for seconds (RFC 9520). Time is an argument everywhere, in
//! milliseconds from any zero that stays the same.

mod tap;
mod through;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::{Cache as Map, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter};

use crate::model::{Name, NameRef, Nameserver};
use crate::ports::upstream::RCODE_NAME_ERROR;
use crate::ports::{ExtendedError, Question, Resolution, Security, Ttl, UpstreamError};

pub use tap::{Answered, Tap, Tapped, tap};
pub use through::{Cached, CachingUpstream, Counts};

/// How long, how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// Octets that all entries take together, by our own account.
    pub size_bytes_max: u64,
    /// A positive answer is kept and given out for at least this many seconds. 0: as its records
    /// say.
    pub ttl_min_seconds: u32,
    /// And for at most this many (a day, as in most resolvers).
    pub ttl_max_seconds: u32,
    /// A negative answer is kept for at most this many seconds (RFC 2308 section 5: one to three
    /// hours work well).
    pub negative_ttl_max_seconds: u32,
    /// A failure is kept for this many seconds, and doubly so with each further failure (RFC 9520
    /// section 3.2: 5 seconds are recommended, 1 is the least).
    pub failure_ttl_seconds: u32,
    /// At most this many (RFC 9520 section 3.2: not more than 300).
    pub failure_ttl_max_seconds: u32,
    /// An answer may be given out for so many seconds after its end, if nothing better is to be
    /// had (RFC 8767 section 5: 1 to 3 days). 0 switches that off.
    pub stale_max_seconds: u32,
    /// The time to live of records given out so (RFC 8767 section 4: 30 seconds).
    pub stale_ttl_seconds: u32,
    /// How long a client waits for something better (RFC 8767 section 5: 1.8 seconds).
    pub stale_client_timeout: Duration,
    /// After a failure the upstream is left alone for so long, as long as there is something stale
    /// to give out (RFC 8767 section 5: 30 seconds).
    pub stale_recheck_seconds: u32,
    /// An answer that was given out this often is asked for again in the last tenth of its time. 0
    /// switches that off.
    pub prefetch_hits_min: u32,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            size_bytes_max: 64 << 20,
            ttl_min_seconds: 0,
            ttl_max_seconds: 86_400,
            negative_ttl_max_seconds: 3_600,
            failure_ttl_seconds: 5,
            failure_ttl_max_seconds: 60,
            stale_max_seconds: 86_400,
            stale_ttl_seconds: 30,
            stale_client_timeout: Duration::from_millis(1_800),
            stale_recheck_seconds: 30,
            prefetch_hits_min: 3,
        }
    }
}

impl CacheSettings {
    /// When an answer that was given out often enough is asked for again: in the last tenth of its
    /// time, or never before its end.
    fn due_at(&self, data: &Data) -> u64 {
        let whole = data.expires - data.stored;
        let worth = whole >= u64::from(PREFETCH_TTL_SECONDS_MIN) * 1000;
        match self.prefetch_hits_min > 0 && worth {
            true => data.expires - whole.div_ceil(10) + 1,
            false => data.expires,
        }
    }
}

/// RFC 9520 section 3.2.
const FAILURE_SECONDS: std::ops::RangeInclusive<u32> = 1..=300;
/// Bogus data are kept no longer than this (RFC 4035 section 4.7: a small time to live; 60 seconds
/// as in BIND and Unbound).
const BOGUS_SECONDS_MAX: u32 = 60;
/// Answers that live shorter are not worth asking for ahead of time.
const PREFETCH_TTL_SECONDS_MIN: u32 = 10;
/// An entry's own struct, its key, and what the allocator and the map add.
const ENTRY_OCTETS: u64 = 320;
/// A failure's own aliases, beside what they hold.
const CHAIN_OCTETS: u64 = 160;
/// What an entry takes on average, to size the map.
const ENTRY_OCTETS_USUAL: u64 = 900;

/// A question as a front reads it, its name borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QuestionRef<'a> {
    /// The query name.
    pub name: NameRef<'a>,
    /// The query type's number.
    pub rtype: u16,
    /// DO.
    pub dnssec_ok: bool,
    /// CD.
    pub checking_disabled: bool,
}

impl<'a> From<&'a Question> for QuestionRef<'a> {
    fn from(question: &'a Question) -> Self {
        Self {
            name: question.name.as_ref(),
            rtype: question.rtype,
            dnssec_ok: question.dnssec_ok,
            checking_disabled: question.checking_disabled,
        }
    }
}

impl QuestionRef<'_> {
    /// An owned copy.
    pub fn to_owned(self) -> Question {
        Question {
            name: self.name.to_owned(),
            rtype: self.rtype,
            dnssec_ok: self.dnssec_ok,
            checking_disabled: self.checking_disabled,
        }
    }
}

impl Equivalent<Question> for QuestionRef<'_> {
    fn equivalent(&self, question: &Question) -> bool {
        *self == QuestionRef::from(question)
    }
}

/// An answer on its way to a client, before policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the upstream said.
    pub resolution: Arc<Resolution>,
    /// What time to live its records get.
    pub ttl: Ttl,
    /// That it is stale.
    pub extended_error: Option<ExtendedError>,
}

impl Answer {
    /// Straight from the upstream.
    fn new(resolution: Arc<Resolution>) -> Self {
        Self { resolution, ttl: Ttl::Aged(0), extended_error: None }
    }
}

/// How long an answer is good, by the cache's clock in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it came from the upstream: its records age from here.
    pub stored: u64,
    /// From here on it is to be looked at again: it is due to be renewed, or past its time.
    pub until: u64,
}

impl Life {
    /// Seconds since it came.
    pub fn age(self, now: u64) -> u32 {
        u32::try_from(now.saturating_sub(self.stored) / 1000).unwrap_or(u32::MAX)
    }
}

/// What the cache knows about a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// An answer within its time.
    Fresh {
        /// The answer.
        answer: Answer,
        /// Said once: it is popular and near its end, so ask for it again.
        refresh: bool,
        /// How long it is good.
        life: Life,
    },
    /// An answer past its time.
    Stale {
        /// The answer.
        answer: Answer,
        /// Whether the upstream may be asked: there was no failure lately.
        retry: bool,
    },
    /// A failure within its time.
    Failed(UpstreamError),
    /// Nothing of use.
    Miss,
}

#[derive(Debug)]
struct Entry {
    data: Option<Arc<Data>>,
    failure: Option<Failure>,
    octets: u64,
}

#[derive(Debug)]
struct Data {
    resolution: Arc<Resolution>,
    stored: u64,
    expires: u64,
    hits: AtomicU32,
    is_refreshing: AtomicBool,
}

#[derive(Debug, Clone)]
struct Failure {
    error: UpstreamError,
    count: u32,
    until: u64,
}

#[derive(Debug, Clone)]
struct Octets;

impl Weighter<Question, Arc<Entry>> for Octets {
    fn weight(&self, _: &Question, entry: &Arc<Entry>) -> u64 {
        entry.octets
    }
}

/// The cache; shared by all fronts.
#[derive(Debug)]
pub struct Cache {
    settings: CacheSettings,
    flushes: AtomicU64,
    map: Map<Question, Arc<Entry>, Octets>,
}

impl Cache {
    /// An empty cache.
    pub fn new(settings: CacheSettings) -> Self {
        let items = usize::try_from(settings.size_bytes_max / ENTRY_OCTETS_USUAL).unwrap_or(1);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(items.max(1))
            .weight_capacity(settings.size_bytes_max)
            .build()
            .expect("both capacities are given");
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        let map = Map::with_options(options, Octets, hasher, lifecycle);
        Self { settings, flushes: AtomicU64::new(0), map }
    }

    /// What is known about `question` at `now`. `given` is how often the answer was given out since
    /// the last time without this being asked.
    pub fn lookup(&self, question: QuestionRef<'_>, now: u64, given: u32) -> Lookup {
        let Some(entry) = self.map.get(&question) else { return Lookup::Miss };
        let failure = entry.failure.as_ref().filter(|failure| now < failure.until);
        if let Some(data) = &entry.data {
            if now < data.expires {
                let refresh = failure.is_none() && self.is_due(data, now, given);
                let life = Life { stored: data.stored, until: self.settings.due_at(data) };
                return Lookup::Fresh { answer: data.fresh(now), refresh, life };
            }
            if now < self.useful_until(data) {
                let answer = data.stale(self.settings.stale_ttl_seconds);
                return Lookup::Stale { answer, retry: failure.is_none() };
            }
        }
        match failure {
            Some(failure) => Lookup::Failed(failure.error.clone()),
            None => Lookup::Miss,
        }
    }

    fn useful_until(&self, data: &Data) -> u64 {
        data.expires + u64::from(self.settings.stale_max_seconds) * 1000
    }

    /// Counts a hit, and says once whether the entry should be asked for again.
    fn is_due(&self, data: &Data, now: u64, given: u32) -> bool {
        let more = given.saturating_add(1);
        let hits = data.hits.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        hits >= self.settings.prefetch_hits_min
            && now >= self.settings.due_at(data)
            && !data.is_refreshing.swap(true, Ordering::Relaxed)
    }

    /// Keeps what the upstream said, if it may be kept, and gives it back with the bounds of the
    /// settings on its times to live.
    pub fn insert(
        &self,
        question: &Question,
        resolution: Arc<Resolution>,
        now: u64,
    ) -> Arc<Resolution> {
        let resolution = self.bounded(resolution);
        if resolution.ttl_seconds == 0 {
            self.map.remove(question);
            return resolution;
        }
        let data = Data {
            resolution: resolution.clone(),
            stored: now,
            expires: now + u64::from(resolution.ttl_seconds) * 1000,
            hits: AtomicU32::new(0),
            is_refreshing: AtomicBool::new(false),
        };
        self.put(question, Some(Arc::new(data)), None);
        resolution
    }

    /// Remembers that the upstream failed. An answer that is there stays, unless what failed is the
    /// validation of a newer one: then the old one is not to be trusted either.
    pub fn insert_failure(&self, question: &Question, error: UpstreamError, now: u64) {
        let old = self.map.peek(question);
        let (data, before) = match old.as_deref() {
            Some(entry) => (entry.data.clone(), entry.failure.clone()),
            None => (None, None),
        };
        let is_bogus = matches!(error.cause(), UpstreamError::Bogus(_));
        let data = data.filter(|data| !is_bogus && now < self.useful_until(data));
        let longest = self.settings.failure_ttl_max_seconds.clamp(1, *FAILURE_SECONDS.end());
        // Failures in a row; a pause longer than the longest time begins a new row.
        let row = before.filter(|f| now < f.until + u64::from(longest) * 1000);
        let count = row.map_or(0, |failure| failure.count + 1);
        let first = self.settings.failure_ttl_seconds.clamp(*FAILURE_SECONDS.start(), longest);
        let mut seconds = first.saturating_mul(1 << count.min(16)).min(longest);
        if data.is_some() {
            seconds = seconds.max(self.settings.stale_recheck_seconds.min(*FAILURE_SECONDS.end()));
        }
        let failure = Failure { error, count, until: now + u64::from(seconds) * 1000 };
        self.put(question, data, Some(failure));
    }

    fn put(&self, question: &Question, data: Option<Arc<Data>>, failure: Option<Failure>) {
        let of_data = data.as_ref().map_or(0, |data| heap_octets(&data.resolution));
        let chain = failure.as_ref().and_then(|failure| failure.error.chain());
        let of_failure = chain.map_or(0, |chain| CHAIN_OCTETS + heap_octets(chain));
        let name_octets = question.name.as_ref().key().len() as u64;
        let octets = ENTRY_OCTETS + name_octets + of_data + of_failure;
        self.map.insert(question.clone(), Arc::new(Entry { data, failure, octets }));
    }

    fn bounded(&self, resolution: Arc<Resolution>) -> Arc<Resolution> {
        let settings = &self.settings;
        let (min, mut max) = match resolution.is_negative {
            false => (settings.ttl_min_seconds, settings.ttl_max_seconds),
            true => (0, settings.negative_ttl_max_seconds.min(settings.ttl_max_seconds)),
        };
        if resolution.security == Security::Bogus {
            max = max.min(BOGUS_SECONDS_MAX);
        }
        let ttl_seconds = resolution.ttl_seconds.max(min).min(max);
        let is_within = resolution.ttl_seconds == ttl_seconds
            && resolution.sections.ttl_max_seconds().is_none_or(|largest| largest <= max);
        if is_within {
            return resolution;
        }
        let mut bounded = Resolution::clone(&resolution);
        bounded.sections = bounded.sections.with_ttl_bounds(min, max);
        bounded.ttl_seconds = ttl_seconds;
        Arc::new(bounded)
    }

    /// Forgets everything.
    pub fn flush(&self) {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        self.map.clear();
    }

    /// Forgets all about one name.
    pub fn flush_name(&self, name: NameRef<'_>) {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        self.map.retain(|question, _| question.name.as_ref() != name);
    }

    /// Forgets all about a name and the names below it.
    pub fn flush_below(&self, name: NameRef<'_>) {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        self.map.retain(|question, _| !question.name.as_ref().is_at_or_below(name));
    }

    /// How often something was forgotten by command. What was made of answers before is void.
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }

    /// Entries, those past their time included.
    pub fn entry_count(&self) -> usize {
        self.map.len()
    }

    /// Octets in use, by our own account.
    pub fn size_bytes(&self) -> u64 {
        self.map.weight()
    }
}

impl Data {
    fn fresh(&self, now: u64) -> Answer {
        let age = u32::try_from(now.saturating_sub(self.stored) / 1000).unwrap_or(u32::MAX);
        Answer { resolution: self.resolution.clone(), ttl: Ttl::Aged(age), extended_error: None }
    }

    fn stale(&self, ttl_seconds: u32) -> Answer {
        let code = match self.resolution.rcode {
            RCODE_NAME_ERROR => ExtendedError::STALE_NAME_ERROR,
            _ => ExtendedError::STALE_ANSWER,
        };
        Answer {
            resolution: self.resolution.clone(),
            ttl: Ttl::Fixed(ttl_seconds),
            extended_error: Some(ExtendedError::new(code, "the upstream does not answer")),
        }
    }
}

/// What a resolution holds on the heap.
fn heap_octets(resolution: &Resolution) -> u64 {
    let facts = &resolution.facts;
    let steps = facts.steps.iter().map(|step| {
        let cuts = step.nameservers.iter().map(|cut| 16 + servers_octets(cut));
        let addresses = 17 * step.addresses.len() as u64;
        80 + octets_of(&step.name) + addresses + cuts.sum::<u64>()
    });
    let errors: u64 = resolution.extended_errors.iter().map(|e| e.text.len() as u64 + 48).sum();
    resolution.sections.heap_octets() as u64 + steps.sum::<u64>() + errors
}

fn octets_of(name: &Name) -> u64 {
    name.as_ref().key().len() as u64 + 16
}

/// Server lists are shared between answers and counted in each, but for those of the root and the
/// top-level zones: all answers have these, and there are few of them.
fn servers_octets(servers: &[Nameserver]) -> u64 {
    let is_top = servers.first().is_none_or(|server| server.zone.as_ref().label_count() <= 1);
    let of = |server: &Nameserver| {
        72 + octets_of(&server.zone) + octets_of(&server.name) + 17 * server.addresses.len() as u64
    };
    if is_top { 0 } else { servers.iter().map(of).sum() }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::model::AnswerFacts;
    use crate::ports::{Record, Sections};

    pub fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    pub fn about(text: &str) -> Question {
        Question::plain(name(text), 1)
    }

    /// An answer with one A record.
    pub fn address(of: &str, ttl: u32) -> Arc<Resolution> {
        with_records(of, ttl, 1, 4)
    }

    pub fn with_records(of: &str, ttl: u32, count: usize, octets: usize) -> Arc<Resolution> {
        let owner = name(of).as_ref().to_wire().into();
        let record = Record { owner, rtype: 1, ttl, rdata: vec![7; octets].into() };
        let records = vec![record; count];
        Arc::new(Resolution {
            rcode: 0,
            is_negative: false,
            sections: Sections::encode(name(of).as_ref(), &records, &[]).unwrap(),
            security: Security::Insecure,
            ttl_seconds: ttl,
            facts: AnswerFacts::default(),
            extended_errors: Vec::new(),
        })
    }

    pub fn nothing(of: &str, ttl: u32) -> Arc<Resolution> {
        let positive = address(of, ttl);
        Arc::new(Resolution { rcode: RCODE_NAME_ERROR, is_negative: true, ..(*positive).clone() })
    }

    pub fn failure() -> UpstreamError {
        UpstreamError::Failed(ExtendedError::new(22, "silence"))
    }
}

#[cfg(test)]
mod tests;
