//! The cache in front of the upstream: hits without waiting, misses through the upstream and kept,
//! something stale where the upstream is late or fails.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::time::{Instant, timeout};

use crate::ports::{Question, Resolution, Upstream, UpstreamError};

use super::{Answer, Cache, CacheSettings, Life, Lookup, QuestionRef, Tap};

/// What can be said without waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cached {
    /// An answer.
    Answer {
        /// The answer.
        answer: Answer,
        /// Said once: call [`CachingUpstream::refresh`] for it, where waiting is possible.
        refresh: bool,
        /// How long it is good; none for what is past its time.
        life: Option<Life>,
    },
    /// It failed a moment ago, and it is too early to try again.
    Failure(UpstreamError),
}

/// How often what happened, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Answers within their time.
    pub fresh: u64,
    /// Answers past their time.
    pub stale: u64,
    /// Failures from the cache.
    pub failed: u64,
    /// Questions for which the upstream was asked while a client waited.
    pub missed: u64,
    /// Questions asked ahead of time.
    pub refreshed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    fresh: AtomicU64,
    stale: AtomicU64,
    failed: AtomicU64,
    missed: AtomicU64,
    refreshed: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// An upstream behind a cache. The upstream can be exchanged while questions are under way; the
/// cache stays.
pub struct CachingUpstream {
    cache: Cache,
    upstream: ArcSwap<Arc<dyn Upstream>>,
    epoch: Instant,
    counters: Counters,
    tap: Option<Tap>,
}

impl CachingUpstream {
    /// An empty cache in front of `upstream`.
    pub fn new(settings: CacheSettings, upstream: Arc<dyn Upstream>) -> Self {
        Self {
            cache: Cache::new(settings),
            upstream: ArcSwap::from_pointee(upstream),
            epoch: Instant::now(),
            counters: Counters::default(),
            tap: None,
        }
    }

    /// The same with somebody who is told what the upstream says.
    pub fn with_tap(self, tap: Option<Tap>) -> Self {
        Self { tap, ..self }
    }

    /// The cache, for flushing and for its size.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Puts another upstream in place. Questions under way end with the old one.
    pub fn replace_upstream(&self, upstream: Arc<dyn Upstream>) {
        self.upstream.store(Arc::new(upstream));
    }

    /// Milliseconds on the cache's clock.
    pub fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How often what happened.
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            fresh: of(&self.counters.fresh),
            stale: of(&self.counters.stale),
            failed: of(&self.counters.failed),
            missed: of(&self.counters.missed),
            refreshed: of(&self.counters.refreshed),
        }
    }

    /// What can be said at once; nothing means that [`Self::answer`] must be awaited. Needs no
    /// runtime around it, allocates nothing but for what is stale, and takes one shared lock of a
    /// part of the cache.
    ///
    /// `given` is how often the answer was given out since the last time without this being asked,
    /// which [`Self::gave`] has counted.
    pub fn cached(&self, question: QuestionRef<'_>, now: u64, given: u32) -> Option<Cached> {
        self.settle(self.cache.lookup(question, now, given)).ok()
    }

    /// Counts an answer that was given out once more without being looked up.
    pub fn gave(&self) {
        count(&self.counters.fresh);
    }

    /// What a lookup says, or that the upstream must be asked, with what there is meanwhile.
    fn settle(&self, lookup: Lookup) -> Result<Cached, Option<Answer>> {
        let (counter, cached) = match lookup {
            Lookup::Fresh { answer, refresh, life } => {
                (&self.counters.fresh, Cached::Answer { answer, refresh, life: Some(life) })
            }
            Lookup::Stale { answer, retry: false } => {
                (&self.counters.stale, Cached::Answer { answer, refresh: false, life: None })
            }
            Lookup::Failed(error) => (&self.counters.failed, Cached::Failure(error)),
            Lookup::Stale { answer, retry: true } => return Err(Some(answer)),
            Lookup::Miss => return Err(None),
        };
        count(counter);
        Ok(cached)
    }

    /// The answer to `question` for `client`: from the cache, or from the upstream and then in the
    /// cache. Where something stale is there, it is given out if the upstream fails or is late; the
    /// upstream's answer is kept when it comes.
    pub async fn answer(
        self: &Arc<Self>,
        question: &Question,
        client: Option<IpAddr>,
    ) -> Result<Answer, UpstreamError> {
        let meanwhile = match self.settle(self.cache.lookup(question.into(), self.now(), 0)) {
            Ok(Cached::Answer { answer, refresh, .. }) => {
                if refresh {
                    let (this, question) = (self.clone(), question.clone());
                    tokio::spawn(async move { this.refresh(&question).await });
                }
                return Ok(answer);
            }
            Ok(Cached::Failure(error)) => return Err(error),
            Err(meanwhile) => meanwhile,
        };
        count(&self.counters.missed);
        match meanwhile {
            Some(stale) => self.answer_or_stale(question, client, stale).await,
            None => self.ask(question, client).await.map(Answer::new),
        }
    }

    async fn answer_or_stale(
        self: &Arc<Self>,
        question: &Question,
        client: Option<IpAddr>,
        stale: Answer,
    ) -> Result<Answer, UpstreamError> {
        // A task of its own: what comes too late for this client is kept for the next.
        let (this, asked) = (self.clone(), question.clone());
        let asking = tokio::spawn(async move { this.ask(&asked, client).await });
        match timeout(self.cache.settings.stale_client_timeout, asking).await {
            Ok(Ok(Ok(resolution))) => Ok(Answer::new(resolution)),
            Ok(Ok(Err(error))) if matches!(error.cause(), UpstreamError::Bogus(_)) => Err(error),
            _ => {
                count(&self.counters.stale);
                Ok(stale)
            }
        }
    }

    /// Asks the upstream ahead of time and keeps what it says.
    pub async fn refresh(&self, question: &Question) {
        count(&self.counters.refreshed);
        if let Err(error) = self.ask(question, None).await {
            tracing::debug!(name = %question.name, %error, "an answer could not be had ahead of time");
        }
    }

    async fn ask(
        &self,
        question: &Question,
        client: Option<IpAddr>,
    ) -> Result<Arc<Resolution>, UpstreamError> {
        let upstream = self.upstream.load_full();
        match upstream.resolve(question, client).await {
            Ok(resolution) => {
                let kept = self.cache.insert(question, resolution, self.now());
                if let Some(tap) = &self.tap {
                    tap.tell(question, &kept);
                }
                Ok(kept)
            }
            Err(error) => {
                if error.concerns_the_question() {
                    self.cache.insert_failure(question, error.clone(), self.now());
                }
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{about, address, failure};
    use super::*;
    use async_trait::async_trait;
    use parking_lot::Mutex;
    use std::collections::VecDeque;
    use std::time::Duration;
    use tokio::time::{advance, sleep};

    /// Milliseconds until it is given, and the answer.
    type Prepared = (u64, Result<Arc<Resolution>, UpstreamError>);

    /// Gives prepared answers in turn.
    #[derive(Default)]
    struct Script {
        answers: Mutex<VecDeque<Prepared>>,
        asked: AtomicU64,
    }

    #[async_trait]
    impl Upstream for Script {
        async fn resolve(
            &self,
            _: &Question,
            _: Option<IpAddr>,
        ) -> Result<Arc<Resolution>, UpstreamError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let (delay, answer) = self.answers.lock().pop_front().expect("a prepared answer");
            sleep(Duration::from_millis(delay)).await;
            answer
        }
    }

    fn caching(answers: impl IntoIterator<Item = Prepared>) -> (Arc<CachingUpstream>, Arc<Script>) {
        let script = Arc::new(Script {
            answers: Mutex::new(answers.into_iter().collect()),
            ..Script::default()
        });
        let caching = CachingUpstream::new(CacheSettings::default(), script.clone());
        (Arc::new(caching), script)
    }

    async fn ask(caching: &Arc<CachingUpstream>) -> Result<Answer, UpstreamError> {
        caching.answer(&about("a.test"), None).await
    }

    fn good(ttl: u32) -> Result<Arc<Resolution>, UpstreamError> {
        Ok(address("a.test", ttl))
    }

    fn is_stale(answer: &Answer) -> bool {
        answer.extended_error.is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_miss_goes_upstream_and_the_next_is_a_hit() {
        let (caching, script) = caching([(5, good(60))]);
        let question = about("a.test");
        assert_eq!(caching.cached((&question).into(), caching.now(), 0), None);
        let first = ask(&caching).await.unwrap();
        advance(Duration::from_secs(7)).await;
        let second = ask(&caching).await.unwrap();
        assert!(Arc::ptr_eq(&first.resolution, &second.resolution));
        assert_eq!(second.ttl, crate::ports::Ttl::Aged(7));
        assert_eq!(script.asked.load(Ordering::SeqCst), 1);
        let counts = Counts { fresh: 1, missed: 1, ..Counts::default() };
        assert_eq!(caching.counts(), counts);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_remembered_but_being_busy_is_not() {
        let answers = [(0, Err(UpstreamError::Busy)), (0, Err(failure())), (0, good(60))];
        let (caching, script) = caching(answers);
        assert_eq!(ask(&caching).await, Err(UpstreamError::Busy));
        for _ in 0..3 {
            assert_eq!(ask(&caching).await, Err(failure()));
        }
        assert_eq!(script.asked.load(Ordering::SeqCst), 2);
        advance(Duration::from_secs(5)).await;
        assert!(ask(&caching).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn something_stale_is_given_out_where_the_upstream_fails() {
        let (caching, script) = caching([(0, good(10)), (0, Err(failure())), (0, good(10))]);
        ask(&caching).await.unwrap();
        advance(Duration::from_secs(11)).await;
        for _ in 0..3 {
            assert!(is_stale(&ask(&caching).await.unwrap()));
        }
        assert_eq!(script.asked.load(Ordering::SeqCst), 2, "left alone after the failure");
        advance(Duration::from_secs(30)).await;
        assert!(!is_stale(&ask(&caching).await.unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_stale_stands_in_for_an_answer_that_fails_validation() {
        let bogus = UpstreamError::Bogus(crate::ports::ExtendedError::new(6, "bogus"));
        let (caching, _) = caching([(0, good(10)), (0, Err(bogus.clone()))]);
        ask(&caching).await.unwrap();
        advance(Duration::from_secs(11)).await;
        for _ in 0..2 {
            assert_eq!(ask(&caching).await, Err(bogus.clone()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_upstream_costs_a_client_little_and_its_answer_is_kept() {
        let (caching, _) = caching([(0, good(10)), (3_000, good(60))]);
        ask(&caching).await.unwrap();
        advance(Duration::from_secs(11)).await;
        let start = Instant::now();
        assert!(is_stale(&ask(&caching).await.unwrap()));
        assert_eq!(start.elapsed(), Duration::from_millis(1_800));
        sleep(Duration::from_millis(1_300)).await;
        assert!(!is_stale(&ask(&caching).await.unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_popular_answer_is_renewed_before_it_ends() {
        let (caching, script) = caching([(0, good(100)), (0, good(100))]);
        for second in [0, 1, 2, 95] {
            advance(Duration::from_secs(second)).await;
            ask(&caching).await.unwrap();
        }
        sleep(Duration::from_secs(4)).await;
        assert_eq!(script.asked.load(Ordering::SeqCst), 2);
        assert!(!is_stale(&ask(&caching).await.unwrap()), "the first would be past its time");
        assert_eq!(caching.counts().refreshed, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_upstream_can_be_exchanged_and_the_cache_stays() {
        let (caching, old) = caching([(0, good(60))]);
        ask(&caching).await.unwrap();
        let new = Arc::new(Script::default());
        new.answers.lock().push_back((0, Ok(address("b.test", 60))));
        caching.replace_upstream(new.clone());
        ask(&caching).await.unwrap();
        caching.answer(&about("b.test"), None).await.unwrap();
        let asked = |script: &Script| script.asked.load(Ordering::SeqCst);
        assert_eq!((asked(&old), asked(&new)), (1, 1));
    }
}
