//! Asking registries when domains were registered, a few at a time.
//!
//! Asked are only registrable domains that public lists name and whose verdict an age could change;
//! never a host, never a name that clients alone know. What is learnt goes into the ledger and, some
//! at a time, into the scores. The day's questions are counted from the ledger, so that a restart
//! does not begin a new day.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::writer::{Event, Events};
use crate::config::RegistrationLookups;
use crate::model::time::Clock;
use crate::model::{Name, Timestamp};
use crate::pipeline::{Published, Registered, RegisteredDomain};
use crate::ports::Ledger;
use crate::ports::ledger::{LookupOutcome, Registration};
use crate::source::rdap::{NotNow, Registries};

/// Where nobody is to be asked about, it is looked again after so long.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// After a start, sources come first.
const SETTLING: Duration = Duration::from_secs(2 * 60);
/// Scores hear of what was learnt this often: each time everything is judged anew.
const TELL_SECONDS: u32 = 15 * 60;
/// A domain whose registry gave no word is passed over for so long.
const PASS_SECONDS: u32 = 3600;
/// Domains that are asked about before it is looked anew who is in doubt.
const BATCH: usize = 20;
const DAY_SECONDS: u32 = 86_400;

/// Asks registries.
pub struct Inquirer {
    /// How much may be asked.
    pub settings: RegistrationLookups,
    /// Who is asked.
    pub registries: Registries,
    /// Where answers are kept.
    pub ledger: Arc<dyn Ledger>,
    /// The state in force.
    pub published: watch::Receiver<Arc<Published>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The writer.
    pub events: Events,
    /// Chooses jitter.
    pub seed: u64,
}

/// What the ledger knows, as scores take it.
pub fn registered(known: &[Registration]) -> Registered {
    let of = |r: &Registration| {
        Some(RegisteredDomain {
            domain: r.domain.clone(),
            registered_at: r.registered_at?,
            registrar: r.registrar.clone(),
            name_servers: r.name_servers.clone(),
        })
    };
    Registered::of(known.iter().filter_map(of))
}

impl Inquirer {
    /// Asks until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.ask_on() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn ask_on(&self) {
        tokio::time::sleep(SETTLING).await;
        let mut told_at = self.clock.now();
        let mut news = false;
        // Domains that were tried without a word, so that they do not keep others waiting.
        let mut passed: HashMap<Name, Timestamp> = HashMap::new();
        loop {
            let now = self.clock.now();
            passed.retain(|_, until| *until > now);
            let known = match self.ledger.registrations().await {
                Ok(known) => known,
                Err(error) => {
                    tracing::error!(%error, "no registry is asked");
                    tokio::time::sleep(IDLE).await;
                    continue;
                }
            };
            if news && told_at.age_seconds(now) >= TELL_SECONDS {
                let all = Arc::new(registered(&known));
                // A writer that is gone is being stopped.
                let _ = self.events.send(Event::Standings(Box::new(|s| s.registered = all)));
                (told_at, news) = (now, false);
            }
            let batch = self.next(&known, &passed, now).await;
            if batch.is_empty() {
                tokio::time::sleep(IDLE).await;
            }
            for domain in batch {
                news |= self.ask(domain, &mut passed).await;
                tokio::time::sleep(self.pause()).await;
            }
        }
    }

    /// Asks about one domain and keeps the answer. Whether there is news of a registration.
    async fn ask(&self, domain: Name, passed: &mut HashMap<Name, Timestamp>) -> bool {
        let now = self.clock.now();
        match self.registries.ask(&domain, now, self.seed).await {
            Ok(registration) => {
                let found = registration.outcome == LookupOutcome::Found;
                if let Err(error) = self.ledger.keep_registration(registration).await {
                    tracing::error!(%domain, %error, "what a registry said is not kept");
                }
                found
            }
            Err(NotNow::Resting { until, .. }) => {
                passed.insert(domain, until);
                false
            }
            Err(error) => {
                tracing::debug!(%domain, %error, "no registry was asked");
                passed.insert(domain, now.plus_seconds(PASS_SECONDS));
                false
            }
        }
    }

    /// Questions are spread over an eighth of the day, so that news is asked about soon.
    fn pause(&self) -> Duration {
        let seconds = f64::from(DAY_SECONDS) / 8.0 / f64::from(self.settings.per_day);
        Duration::from_secs_f64(seconds.max(0.5))
    }

    /// Whom to ask about next, as far as the day's questions go.
    async fn next(
        &self,
        known: &[Registration],
        passed: &HashMap<Name, Timestamp>,
        now: Timestamp,
    ) -> Vec<Name> {
        let of_today = known.iter().filter(|r| r.asked_at.age_seconds(now) < DAY_SECONDS);
        let left = (self.settings.per_day as usize).saturating_sub(of_today.count());
        if left == 0 {
            return Vec::new();
        }
        let state = self.published.borrow().clone();
        let doubtful = tokio::task::spawn_blocking(move || state.doubtful()).await;
        let mut next = next_of(doubtful.unwrap_or_default(), known, passed, now);
        next.truncate(left.min(BATCH));
        next
    }
}

fn next_of(
    mut doubtful: Vec<Name>,
    known: &[Registration],
    passed: &HashMap<Name, Timestamp>,
    now: Timestamp,
) -> Vec<Name> {
    // The ledger gives them in canonical order.
    let held = |domain: &Name| {
        let at = known.binary_search_by(|r| r.domain.cmp(domain)).ok();
        at.is_some_and(|at| known[at].keep_until > now)
    };
    doubtful.retain(|domain| !held(domain) && !passed.contains_key(domain));
    doubtful
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::ledger::RegistrationProtocol;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn name(text: &str) -> Name {
        Name::from_host(text).unwrap()
    }

    fn registration(domain: &str, registered_at: Option<u32>, keep_until: u32) -> Registration {
        Registration {
            domain: name(domain),
            outcome: LookupOutcome::Found,
            protocol: RegistrationProtocol::Rdap,
            server: String::new(),
            asked_at: Timestamp(1),
            keep_until: Timestamp(keep_until),
            registered_at: registered_at.map(Timestamp),
            changed_at: None,
            expires_at: None,
            registrar: None,
            statuses: Vec::new(),
            name_servers: Vec::new(),
            body_sha256: None,
        }
    }

    #[test]
    fn what_is_known_is_not_asked_again_before_its_time() {
        let mut known =
            [registration("a.com", None, 2_000_000), registration("b.com", None, 999_999)];
        known.sort_by(|a, b| a.domain.cmp(&b.domain));
        let next = |doubtful: &[&str], passed: &HashMap<Name, Timestamp>| {
            let doubtful = doubtful.iter().map(|text| name(text)).collect();
            next_of(doubtful, &known, passed, NOW).first().map(ToString::to_string)
        };
        let nobody = HashMap::new();
        assert_eq!(next(&["a.com", "b.com"], &nobody).as_deref(), Some("b.com"));
        assert_eq!(next(&["a.com"], &nobody), None);
        let passed = HashMap::from([(name("b.com"), NOW)]);
        assert_eq!(next(&["b.com", "c.com"], &passed).as_deref(), Some("c.com"));
    }

    #[test]
    fn an_answer_without_a_date_enters_no_score() {
        let known = registered(&[
            registration("a.com", Some(NOW.0 - 3 * 86_400), 0),
            registration("b.com", None, 0),
        ]);
        assert_eq!(known.age_days(name("a.com").as_ref(), NOW), Some(3));
        assert_eq!(known.len(), 1);
    }
}
