//! Where services are asked: the one place that has their keys, counts what is asked before it is,
//! and keeps what comes back.
//!
//! What the ledger has and is not too old is not asked for again. A service that fails, refuses its
//! key or has no quota left is out of use by itself; the others do not notice.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::disk;
use crate::evidence::PublicSuffixes;
use crate::lookup::privacy;
use crate::model::lookup::{Answer, Aspect, Service};
use crate::model::time::Clock;
use crate::model::{Name, Timestamp};
use crate::ports::Ledger;
use crate::ports::budget::ServiceSays;
use crate::ports::ledger::{FACTS_OCTETS_MAX, Lookup, LookupOutcome, Spend};
use crate::source::provider::budget::month_start;
use crate::source::provider::keep::{against, keep_until};
use crate::source::provider::{
    self, ApiKey, Budget, Client, Off, Plan, Provider, ProviderError, Purpose, Question, Uses,
};

/// A key is one line.
const KEY_FILE_OCTETS_MAX: u64 = 4096;

/// What the ledger keeps of one answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    /// What was asked.
    pub aspect: Aspect,
    /// The page after the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// What came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Why nothing came back: the class of the error and its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<(String, String)>,
}

/// How a question went.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The service said this.
    Answered {
        /// What.
        answer: Answer,
        /// When it was asked.
        asked_at: Timestamp,
        /// Whether it was kept from an earlier question.
        kept: bool,
    },
    /// The service was asked and gave nothing.
    Failed {
        /// The class of the error.
        class: String,
        /// Why.
        reason: String,
        /// When it was asked.
        asked_at: Timestamp,
        /// Whether that was an earlier question.
        kept: bool,
    },
    /// It was not asked.
    Unasked {
        /// Why.
        reason: String,
        /// From when on it may be, where that is known.
        until: Option<Timestamp>,
    },
}

/// One service.
struct Counter {
    provider: Provider,
    key: Option<ApiKey>,
    budget: Mutex<Budget>,
}

impl Counter {
    fn key_tag(&self) -> String {
        self.key.as_ref().map(ApiKey::tag).unwrap_or_default()
    }
}

/// Asks services.
pub struct Desk {
    counters: BTreeMap<Service, Counter>,
    off: BTreeMap<Service, String>,
    client: Client,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    suffixes: PublicSuffixes,
    /// Suffixes of the operator's own network.
    internal: Vec<Name>,
}

impl Desk {
    /// The services of the configuration, with findings about keys that cannot be read. A service
    /// without its key is off, and the program runs all the same.
    pub async fn open(
        config: &Config,
        client: Client,
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
    ) -> (Self, Vec<Diagnostic>) {
        let mut findings = Vec::new();
        let undeclared = |service| (service, Off::Undeclared.to_string());
        let mut off: BTreeMap<Service, String> = Service::ALL.map(undeclared).into();
        let mut counters = BTreeMap::new();
        for declared in &config.providers {
            let provider = declared.settings.clone();
            let service = provider.service;
            if let Some(reason) = provider.off(config.licence) {
                off.insert(service, reason.to_string());
                continue;
            }
            let key = match key(declared, config.credentials_directory.as_deref()) {
                Ok(key) => key,
                Err(finding) => {
                    off.insert(service, format!("no key: {}", finding.message));
                    findings.push(finding);
                    continue;
                }
            };
            let tag = key.as_ref().map(ApiKey::tag).unwrap_or_default();
            let now = clock.now();
            let spent = ledger.spends(service.to_string(), tag, month_start(now)).await;
            let spent = match spent {
                Ok(spent) => spent,
                Err(error) => {
                    off.insert(service, format!("what was asked before is not known: {error}"));
                    continue;
                }
            };
            let spent: Vec<_> = spent.iter().map(|spend| (spend.at, spend.units)).collect();
            let budget = Mutex::new(Budget::new(provider.limits, &spent, now));
            off.remove(&service);
            counters.insert(service, Counter { provider, key, budget });
        }
        let internal = config.upstream.zones.iter().map(|zone| zone.name.clone()).collect();
        let suffixes = PublicSuffixes::default();
        (Self { counters, off, client, ledger, clock, suffixes, internal }, findings)
    }

    /// The services that are off, each with the reason, for people.
    pub fn not_running(&self) -> Vec<String> {
        match self.counters.is_empty()
            && self.off.values().all(|o| *o == Off::Undeclared.to_string())
        {
            true => vec!["look-ups: no `[provider.…]` is declared".to_owned()],
            false => self.off.iter().map(|(s, why)| format!("look-ups at {s}: {why}")).collect(),
        }
    }

    /// Why a service is not asked at all; none if it is.
    pub fn off(&self, service: Service) -> Option<&str> {
        self.off.get(&service).map(String::as_str)
    }

    /// How a service is set up; none where it is off.
    pub fn provider(&self, service: Service) -> Option<&Provider> {
        self.counters.get(&service).map(|counter| &counter.provider)
    }

    /// Services that may be asked in the background.
    pub fn in_background(&self) -> impl Iterator<Item = Service> {
        let all = self.counters.values().filter(|counter| counter.provider.uses == Uses::All);
        all.map(|counter| counter.provider.service)
    }

    /// Units that the background may still use today.
    pub async fn left_for_background(&self, service: Service) -> u32 {
        let Some(counter) = self.counters.get(&service) else { return 0 };
        counter.budget.lock().await.left_for_background(self.clock.now())
    }

    /// What was asked before about a target, the latest first.
    pub async fn kept(&self, question: &Question) -> Vec<(Lookup, Kept)> {
        let lookups = self.ledger.lookups(question.target.to_string()).await;
        let lookups = lookups.unwrap_or_else(|error| {
            tracing::warn!(%error, "what was asked before is not known");
            Vec::new()
        });
        let of_question = |lookup: Lookup| {
            let kept: Kept = serde_json::from_value(lookup.facts.clone()).ok()?;
            let same = lookup.provider == question.service.as_str()
                && kept.aspect == question.aspect
                && kept.page == question.page;
            same.then_some((lookup, kept))
        };
        lookups.into_iter().filter_map(of_question).collect()
    }

    /// Asks, unless what was said before still holds or nothing may be asked. Somebody who waits
    /// does so for `patience` at most until the pace allows the question.
    pub async fn ask(&self, question: &Question, purpose: Purpose, patience: Duration) -> Outcome {
        let now = self.clock.now();
        let earlier = self.kept(question).await;
        if let Some((lookup, kept)) = earlier.first()
            && now < lookup.keep_until
            && let Some(outcome) = outcome_of(lookup, kept)
        {
            return outcome;
        }
        let unasked = |reason: String| Outcome::Unasked { reason, until: None };
        let registrable = question.target.domain().map(|n| self.suffixes.registrable(n.as_ref()));
        if let Some(never) = privacy::never(&question.target, registrable, &self.internal) {
            return unasked(format!("never sent: {never}"));
        }
        let Some(counter) = self.counters.get(&question.service) else {
            return unasked(self.off(question.service).unwrap_or_default().to_owned());
        };
        if counter.provider.plan == Plan::Free && is_paid(question) {
            return unasked("a paid plan is needed".to_owned());
        }
        let Some(request) = provider::request(question, now) else {
            return unasked(format!(
                "it answers no such question about a {}",
                question.target.kind()
            ));
        };
        if let Err(outcome) = self.pay(counter, request.units, purpose, patience).await {
            return outcome;
        }
        let asked_at = self.clock.now();
        let received = self.client.ask(&counter.provider, counter.key.as_ref(), &request).await;
        let (result, signs, sha256) = match received {
            Ok(received) => {
                let result = provider::parse(question, &received.reply);
                (result, received.reply.signs, Some(received.body_sha256))
            }
            Err(error) => (Err(error), provider::Signs::default(), None),
        };
        let error = result.as_ref().err();
        counter.budget.lock().await.learn(&signs, error, asked_at);
        if let Some(error) = error.filter(|error| error.degrades()) {
            tracing::warn!(service = %question.service, class = error.class(), %error, "look-up failed");
        }
        let clean = |kept: &Kept| kept.answer.as_ref().is_some_and(|answer| against(answer) == 0);
        let clean_before = earlier.iter().take_while(|(_, kept)| clean(kept)).count();
        let clean_before = u32::try_from(clean_before).unwrap_or(u32::MAX);
        let keep = keep_until(result.as_ref(), clean_before, asked_at);
        self.keep(question, &result, sha256, asked_at, keep).await;
        match result {
            Ok(answer) => Outcome::Answered { answer, asked_at, kept: false },
            Err(error) => Outcome::Failed {
                class: error.class().to_owned(),
                reason: error.to_string(),
                asked_at,
                kept: false,
            },
        }
    }

    /// Takes units from the budget and notes it, before anything is asked.
    async fn pay(
        &self,
        counter: &Counter,
        units: u32,
        purpose: Purpose,
        patience: Duration,
    ) -> Result<(), Outcome> {
        let mut patience = patience;
        loop {
            let mut budget = counter.budget.lock().await;
            let now = self.clock.now();
            let hold = match budget.check(purpose, units, now) {
                Ok(()) => {
                    let spend = Spend {
                        provider: counter.provider.service.to_string(),
                        key_tag: counter.key_tag(),
                        at: now,
                        units,
                    };
                    return match self.ledger.keep_spend(spend).await {
                        Ok(()) => {
                            budget.take(units, now);
                            Ok(())
                        }
                        Err(error) => {
                            let reason = format!("it cannot be counted: {error}");
                            Err(Outcome::Unasked { reason, until: None })
                        }
                    };
                }
                Err(hold) => hold,
            };
            drop(budget);
            let wait = Duration::from_secs(u64::from(hold.until.0.saturating_sub(now.0)).max(1));
            if wait > patience {
                return Err(Outcome::Unasked { reason: hold.reason, until: Some(hold.until) });
            }
            patience -= wait;
            tokio::time::sleep(wait).await;
        }
    }

    async fn keep(
        &self,
        question: &Question,
        result: &Result<Answer, ProviderError>,
        body_sha256: Option<String>,
        asked_at: Timestamp,
        keep_until: Timestamp,
    ) {
        let error = result.as_ref().err();
        let outcome = match error {
            None => LookupOutcome::Found,
            Some(ProviderError::NotFound | ProviderError::NoData) => LookupOutcome::NotFound,
            Some(ProviderError::Quota { .. }) => LookupOutcome::Limited,
            Some(_) => LookupOutcome::Failed,
        };
        let mut kept = Kept {
            aspect: question.aspect,
            page: question.page.clone(),
            answer: result.as_ref().ok().cloned(),
            error: error.map(|error| (error.class().to_owned(), error.to_string())),
        };
        // The beginning of a long list says what the whole says, and the service has the rest.
        while let Some(answer) = &mut kept.answer
            && serde_json::to_vec(answer).is_ok_and(|text| text.len() > FACTS_OCTETS_MAX - 1024)
            && answer.facts.len() > 1
        {
            answer.facts.truncate(answer.facts.len() / 2);
        }
        let facts = serde_json::to_value(&kept).unwrap_or_default();
        let lookup = Lookup {
            provider: question.service.to_string(),
            indicator: question.target.to_string(),
            asked_at,
            outcome,
            body_sha256,
            facts,
            keep_until,
        };
        if let Err(error) = self.ledger.keep_lookup(lookup).await {
            tracing::warn!(%error, service = %question.service, "an answer is not kept");
        }
    }

    /// How every service stands.
    pub async fn says(&self) -> Vec<ServiceSays> {
        let now = self.clock.now();
        let mut all = Vec::new();
        for service in Service::ALL {
            let Some(counter) = self.counters.get(&service) else {
                let off = self.off(service).map(str::to_owned);
                all.push(ServiceSays {
                    service: service.to_string(),
                    off,
                    ..ServiceSays::default()
                });
                continue;
            };
            let budget = counter.budget.lock().await;
            let limits = budget.limits();
            all.push(ServiceSays {
                service: service.to_string(),
                off: None,
                uses: match counter.provider.uses {
                    Uses::All => "all".to_owned(),
                    _ => "investigations".to_owned(),
                },
                day: (budget.used_today(now), limits.per_day),
                month: (budget.used_in_month(now), limits.per_month),
                per_minute: limits.per_minute,
                credits_left: budget.credits_left(),
                hold: budget.hold(now).map(|hold| (hold.reason.clone(), hold.until.0)),
                price: None,
            });
        }
        all
    }
}

/// What free plans are told nothing of, so that no look-up is lost to be told so.
fn is_paid(question: &Question) -> bool {
    match question.service {
        Service::VirusTotal => matches!(question.aspect, Aspect::Urls | Aspect::DownloadedFiles),
        Service::DnsDumpster => question.page.is_some(),
        _ => false,
    }
}

/// What an earlier question came to. That a quota was used up says nothing of the target.
fn outcome_of(lookup: &Lookup, kept: &Kept) -> Option<Outcome> {
    let asked_at = lookup.asked_at;
    match (&kept.answer, &kept.error, lookup.outcome) {
        (Some(answer), ..) => {
            Some(Outcome::Answered { answer: answer.clone(), asked_at, kept: true })
        }
        (None, Some((class, reason)), LookupOutcome::NotFound) => Some(Outcome::Failed {
            class: class.clone(),
            reason: reason.clone(),
            asked_at,
            kept: true,
        }),
        _ => None,
    }
}

fn key(
    declared: &config::Provider,
    credentials: Option<&Path>,
) -> Result<Option<ApiKey>, Diagnostic> {
    let Some(secret) = &declared.secret else { return Ok(None) };
    let refused = |what: String| {
        let service = declared.settings.service;
        Diagnostic::warning(format!("the key of {service}: {what}")).at(declared.place.clone())
    };
    let path = secret.path(credentials).ok_or_else(|| {
        refused("systemd handed over no credentials".to_owned())
            .hint("add `LoadCredential=NAME:/path` to the unit, or name a `file`")
    })?;
    let shown = path.display();
    let octets = disk::read_small(&path, KEY_FILE_OCTETS_MAX);
    let octets = octets.map_err(|error| refused(format!("{shown}: {error}")))?;
    let octets = octets.ok_or_else(|| refused(format!("{shown}: no such file")))?;
    match ApiKey::parse(&octets) {
        Some(key) => Ok(Some(key)),
        // What is wrong with a key is said without a part of it.
        None => Err(refused(format!("{shown} is not one line of printable characters"))),
    }
}
