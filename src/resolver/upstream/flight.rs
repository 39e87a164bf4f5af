//! Bounds around resolution: how many at once, how many for one client, how long.
//!
//! Identical questions are one resolution. It runs in a task of its own, so that a client that
//! gives up, or a deadline that passes, does not throw away what is nearly learnt; the clients wait
//! for the task. What a client can make us do has a bound per client (DNSBomb, random subdomains)
//! and one for all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::ports::{ExtendedError, Question, Resolution, UpstreamError};

use super::assemble::failed;

/// How much at once, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// How long a client waits. Stub resolvers ask again after five seconds (resolv.conf(5)).
    pub deadline: Duration,
    /// How long a resolution may go on after that, so that the next client finds it done.
    pub grace: Duration,
    /// Resolutions under way, all clients together.
    pub in_flight_max: usize,
    /// Questions one client may wait for; IPv6 clients count by /64. 0 means no bound.
    pub in_flight_per_client_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(4),
            grace: Duration::from_secs(8),
            in_flight_max: 4096,
            in_flight_per_client_max: 256,
        }
    }
}

type Answer = Result<Arc<Resolution>, UpstreamError>;

/// What is under way.
pub(super) struct Flights {
    bounds: Bounds,
    permits: Arc<Semaphore>,
    flights: Arc<Mutex<HashMap<Question, watch::Receiver<Option<Answer>>>>>,
    clients: Mutex<HashMap<IpAddr, usize>>,
}

impl Flights {
    pub fn new(bounds: Bounds) -> Self {
        let permits = Arc::new(Semaphore::new(bounds.in_flight_max));
        Self { bounds, permits, flights: Arc::default(), clients: Mutex::default() }
    }

    /// Resolutions under way.
    pub fn count(&self) -> usize {
        self.flights.lock().len()
    }

    /// Waits for the answer to `question`, which `resolution` finds if nobody asked for it yet.
    pub async fn answer<F>(
        &self,
        question: &Question,
        client: Option<IpAddr>,
        resolution: impl FnOnce() -> F,
    ) -> Answer
    where
        F: Future<Output = Result<Resolution, UpstreamError>> + Send + 'static,
    {
        let _place = match client {
            Some(address) if self.bounds.in_flight_per_client_max > 0 => {
                Some(self.place(client_key(address))?)
            }
            _ => None,
        };
        let mut receiver = self.join(question, resolution)?;
        let waiting = receiver.wait_for(Option::is_some);
        match timeout(self.bounds.deadline, waiting).await {
            Err(_) => Err(UpstreamError::Timeout),
            Ok(Ok(answer)) => answer.clone().unwrap_or(Err(UpstreamError::Timeout)),
            // Only a panic ends a flight without an answer.
            Ok(Err(_)) => Err(failed(ExtendedError::OTHER, "the resolution broke off")),
        }
    }

    fn place(&self, client: IpAddr) -> Result<Place<'_>, UpstreamError> {
        let mut clients = self.clients.lock();
        let count = clients.entry(client).or_default();
        if *count >= self.bounds.in_flight_per_client_max {
            return Err(UpstreamError::ClientBusy);
        }
        *count += 1;
        Ok(Place { client, clients: &self.clients })
    }

    /// The flight for `question`, perhaps begun now.
    fn join<F>(
        &self,
        question: &Question,
        resolution: impl FnOnce() -> F,
    ) -> Result<watch::Receiver<Option<Answer>>, UpstreamError>
    where
        F: Future<Output = Result<Resolution, UpstreamError>> + Send + 'static,
    {
        let mut flights = self.flights.lock();
        match flights.entry(question.clone()) {
            Entry::Occupied(flight) => Ok(flight.get().clone()),
            Entry::Vacant(free) => {
                let permit = self.permits.clone().try_acquire_owned();
                let permit = permit.map_err(|_| UpstreamError::Busy)?;
                let (sender, receiver) = watch::channel(None);
                free.insert(receiver.clone());
                let landing = Landing {
                    question: question.clone(),
                    flights: self.flights.clone(),
                    _permit: permit,
                };
                let limit = self.bounds.deadline + self.bounds.grace;
                let resolution = resolution();
                tokio::spawn(async move {
                    let _landing = landing;
                    let found = timeout(limit, resolution).await;
                    let answer = found.unwrap_or(Err(UpstreamError::Timeout)).map(Arc::new);
                    let _ = sender.send(Some(answer));
                });
                Ok(receiver)
            }
        }
    }
}

/// IPv6 hosts have a /64 to choose addresses from (RFC 6177).
fn client_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            std::net::Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into()
        }
    }
}

/// A client's place among those who wait.
struct Place<'f> {
    client: IpAddr,
    clients: &'f Mutex<HashMap<IpAddr, usize>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.clients.lock().entry(self.client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Takes a flight off the map, also when its task panics.
struct Landing {
    question: Question,
    flights: Arc<Mutex<HashMap<Question, watch::Receiver<Option<Answer>>>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.question);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::parsed;
    use super::*;
    use crate::model::AnswerFacts;
    use crate::ports::{Sections, Security};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;
    use tokio::time::{Instant, sleep};

    fn about(name: &str) -> Question {
        Question::plain(parsed(name), 1)
    }

    fn resolution() -> Resolution {
        Resolution {
            rcode: 0,
            is_negative: true,
            sections: Sections::encode(parsed("a.test").as_ref(), &[], &[]).unwrap(),
            security: Security::Insecure,
            ttl_seconds: 1,
            facts: AnswerFacts::default(),
            extended_errors: Vec::new(),
        }
    }

    fn bounds() -> Bounds {
        Bounds { in_flight_max: 3, in_flight_per_client_max: 2, ..Bounds::default() }
    }

    #[tokio::test]
    async fn identical_questions_are_one_resolution() {
        let flights = Flights::new(bounds());
        let runs = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let (runs, flights) = (runs.clone(), &flights);
            async move {
                let resolve = || async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Ok(resolution())
                };
                flights.answer(&about("a.test"), None, resolve).await
            }
        };
        let (a, b, c) = tokio::join!(ask(), ask(), ask());
        assert!(Arc::ptr_eq(&a.unwrap(), &b.unwrap()) && c.is_ok());
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(flights.count(), 0);
        ask().await.unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_waits_no_longer_than_the_deadline_and_the_resolution_goes_on() {
        let flights = Flights::new(bounds());
        let done = Arc::new(Notify::new());
        let start = Instant::now();
        let told = done.clone();
        let slow = || async move {
            sleep(Duration::from_secs(9)).await;
            told.notify_one();
            Ok(resolution())
        };
        let answer = flights.answer(&about("slow.test"), None, slow).await;
        assert_eq!(answer, Err(UpstreamError::Timeout));
        assert_eq!(start.elapsed(), Duration::from_secs(4));
        assert_eq!(flights.count(), 1);
        done.notified().await;
        assert_eq!(start.elapsed(), Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolution_that_never_ends_is_ended() {
        let flights = Flights::new(bounds());
        let never = || std::future::pending::<Result<Resolution, UpstreamError>>();
        for _ in 0..5 {
            let answer = flights.answer(&about("never.test"), None, never).await;
            assert_eq!(answer, Err(UpstreamError::Timeout));
        }
        sleep(Duration::from_secs(12)).await;
        assert_eq!(flights.count(), 0);
        assert_eq!(flights.permits.available_permits(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_bound_for_all_and_one_for_each_client() {
        let flights = Flights::new(bounds());
        let ask = |name: &str, client: &str| {
            let question = about(name);
            let client = Some(client.parse().unwrap());
            let flights = &flights;
            async move {
                let never = || std::future::pending::<Result<Resolution, UpstreamError>>();
                flights.answer(&question, client, never).await.unwrap_err()
            }
        };
        let (a, b, c, same, other) = tokio::join!(
            ask("a.test", "2001:db8::1"),
            ask("b.test", "2001:db8::2"),
            // The third of one /64.
            ask("c.test", "2001:db8::3"),
            // A question that is under way needs no place of its own among all.
            ask("a.test", "192.0.2.1"),
            ask("c.test", "192.0.2.1"),
        );
        assert_eq!([a, b, same, other], [const { UpstreamError::Timeout }; 4]);
        assert_eq!(c, UpstreamError::ClientBusy);
        let (.., d) = tokio::join!(
            ask("a.test", "192.0.2.1"),
            ask("b.test", "192.0.2.2"),
            ask("c.test", "192.0.2.3"),
            ask("d.test", "192.0.2.4")
        );
        assert_eq!(d, UpstreamError::Busy);
        assert!(flights.clients.lock().is_empty());
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_and_leaves_no_trace() {
        let flights = Flights::new(bounds());
        let broken = || async { panic!("on purpose") };
        let answer = flights.answer(&about("a.test"), None, broken).await;
        assert!(matches!(answer, Err(UpstreamError::Failed(_))));
        assert_eq!((flights.count(), flights.permits.available_permits()), (0, 3));
    }
}
