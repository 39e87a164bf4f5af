//! When a domain was registered: RDAP (RFC 9082, RFC 9083), and WHOIS (RFC 3912) where a registry
//! has nothing else.
//!
//! ```text
//! domain ─▶ bootstrap (RFC 9224) ─▶ the registry's server ─▶ answer ─▶ Registration
//!                    └─ none ─▶ whois.iana.org ─▶ the registry's WHOIS ─┘
//! ```
//!
//! Reading is pure ([`answer`], [`bootstrap`], [`whois`]); [`Registries`] asks. Each server rests
//! for a while after each question and for longer where it asks for that. Only registrable domains
//! are ever asked about, never a host.

pub mod answer;
pub mod bootstrap;
pub mod whois;

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use self::bootstrap::Bootstrap;
use crate::model::{Name, Timestamp};
use crate::ports::ledger::{LookupOutcome, Registration, RegistrationProtocol};
use crate::ports::{Fetch, FetchError, FetchLimits, FetchOutcome, FetchRequest, Location};

/// Where IANA tells which server knows which top-level domain (RFC 9224 section 8).
pub const BOOTSTRAP: &str = "https://data.iana.org/rdap/dns.json";
/// The list changes about weekly; RFC 9224 section 8 asks for no more than needed.
const BOOTSTRAP_SECONDS: u32 = 86_400;
/// The list has about 150 kB.
const BOOTSTRAP_OCTETS_MAX: u64 = 4 << 20;
/// An answer about one domain has some kilobytes.
const ANSWER_OCTETS_MAX: u64 = 1 << 20;
/// A registry that is slower than this is asked another time.
const TIME_MAX: Duration = Duration::from_secs(20);
/// A server is left alone for so long after a question: registries allow some tens a minute.
const REST_SECONDS: u32 = 3;
/// And for so long where it says that it was asked too often and does not say for how long.
const LIMITED_SECONDS: u32 = 3600;
/// What a server asks for at most: more is a mistake of its clock.
const LIMITED_SECONDS_MAX: u32 = 7 * 86_400;
/// RDAP's media type (RFC 7480 section 4.2).
const MEDIA_TYPE: &str = "application/rdap+json, application/json;q=0.8";

/// A registration of this age changes slowly.
const SETTLED_SECONDS: u32 = 365 * 86_400;
/// What is known of a settled one is asked anew after so long.
const KEEP_SETTLED_SECONDS: u32 = 90 * 86_400;
/// And of a newer one: it may be taken down and registered again.
const KEEP_FOUND_SECONDS: u32 = 14 * 86_400;
/// What is not registered may be so tomorrow.
const KEEP_MISSING_SECONDS: u32 = 2 * 86_400;
/// What failed is tried again.
const KEEP_FAILED_SECONDS: u32 = 6 * 3600;

/// Why a domain cannot be asked about now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// The server is left alone until then.
    #[error("{server} is left alone until {until}")]
    Resting {
        /// The server.
        server: String,
        /// Until when.
        until: Timestamp,
    },
    /// Nobody is known who could be asked.
    #[error("no server is known for it")]
    Nobody,
    /// The list of servers could not be had.
    #[error("the list of registries: {0}")]
    Bootstrap(String),
}

/// Asks a WHOIS server. The real one opens a connection; tests script it.
#[async_trait]
pub trait Whois: Send + Sync {
    /// The answer of a server to a line, as text.
    async fn ask(&self, server: &str, line: &str) -> std::io::Result<String>;
}

/// The registries, with what is known of their servers.
pub struct Registries {
    fetch: Arc<dyn Fetch>,
    whois: Option<Arc<dyn Whois>>,
    bootstrap: Mutex<Option<(Arc<Bootstrap>, Timestamp)>>,
    resting: Mutex<HashMap<String, Timestamp>>,
    /// WHOIS servers by top-level domain, as IANA names them.
    servers: Mutex<HashMap<Name, Option<String>>>,
}

/// Who is asked, and how.
enum Route {
    Rdap { server: String, location: Location },
    Whois { server: String },
}

/// What came of a question, before it is dated.
struct Outcome {
    outcome: LookupOutcome,
    facts: answer::Facts,
    body_sha256: Option<String>,
}

impl Registries {
    /// Registries that are asked by `fetch`, and by `whois` where RDAP leads nowhere.
    pub fn new(fetch: Arc<dyn Fetch>, whois: Option<Arc<dyn Whois>>) -> Self {
        Self {
            fetch,
            whois,
            bootstrap: Mutex::new(None),
            resting: Mutex::default(),
            servers: Mutex::default(),
        }
    }

    /// What is known of a registrable domain. An error where nobody was asked.
    pub async fn ask(
        &self,
        domain: &Name,
        now: Timestamp,
        seed: u64,
    ) -> Result<Registration, NotNow> {
        let route = self.route(domain, now, seed).await?;
        let (Route::Rdap { server, .. } | Route::Whois { server }) = &route;
        let server = server.clone();
        if let Some(until) = self.resting.lock().get(&server).copied().filter(|u| *u > now) {
            return Err(NotNow::Resting { server, until });
        }
        self.rest(&server, now.plus_seconds(REST_SECONDS));
        let (protocol, outcome) = match &route {
            Route::Rdap { location, .. } => {
                let outcome = self.ask_rdap(domain, location, &server, now, seed).await;
                (RegistrationProtocol::Rdap, outcome)
            }
            Route::Whois { server } => {
                (RegistrationProtocol::Whois, self.ask_whois(domain, server).await)
            }
        };
        Ok(dated(domain, protocol, server, outcome, now))
    }

    fn rest(&self, server: &str, until: Timestamp) {
        let mut resting = self.resting.lock();
        let held = resting.entry(server.to_owned()).or_insert(until);
        *held = (*held).max(until);
    }

    async fn route(&self, domain: &Name, now: Timestamp, seed: u64) -> Result<Route, NotNow> {
        let bootstrap = self.servers(now, seed).await?;
        if let Some(base) = bootstrap.server_of(domain.as_ref()) {
            let url = format!("{base}domain/{domain}");
            let location = Location::parse(&url).map_err(|_| NotNow::Nobody)?;
            return Ok(Route::Rdap { server: base.to_owned(), location });
        }
        match self.whois_server(domain).await {
            Some(server) => Ok(Route::Whois { server }),
            None => Err(NotNow::Nobody),
        }
    }

    /// The list of servers: the one in hand while it is new, or while no newer one can be had.
    async fn servers(&self, now: Timestamp, seed: u64) -> Result<Arc<Bootstrap>, NotNow> {
        let held = self.bootstrap.lock().clone();
        if let Some((bootstrap, since)) = &held
            && since.age_seconds(now) < BOOTSTRAP_SECONDS
        {
            return Ok(bootstrap.clone());
        }
        let location = Location::parse(BOOTSTRAP).expect("a constant URL is sound");
        let fetched = self.get(location, BOOTSTRAP_OCTETS_MAX, seed).await;
        let read = fetched
            .map_err(|error| error.to_string())
            .and_then(|octets| Bootstrap::read(&octets).map_err(|error| error.to_string()));
        match (read, held) {
            (Ok(bootstrap), _) => {
                let bootstrap = Arc::new(bootstrap);
                *self.bootstrap.lock() = Some((bootstrap.clone(), now));
                Ok(bootstrap)
            }
            (Err(error), Some((bootstrap, _))) => {
                tracing::warn!(%error, "the list of registries is an old one");
                Ok(bootstrap)
            }
            (Err(error), None) => Err(NotNow::Bootstrap(error)),
        }
    }

    async fn ask_rdap(
        &self,
        domain: &Name,
        location: &Location,
        server: &str,
        now: Timestamp,
        seed: u64,
    ) -> Outcome {
        match self.get(location.clone(), ANSWER_OCTETS_MAX, seed).await {
            Ok(octets) => match answer::read(&octets, domain) {
                Ok(facts) => Outcome {
                    outcome: LookupOutcome::Found,
                    facts,
                    body_sha256: Some(sha256(&octets)),
                },
                Err(error) => {
                    tracing::debug!(%domain, %error, "an answer of a registry is not used");
                    Outcome::without(LookupOutcome::Failed)
                }
            },
            // RFC 7480 section 5.3.
            Err(FetchError::Status { status: 404, .. }) => {
                Outcome::without(LookupOutcome::NotFound)
            }
            // Section 5.5.
            Err(FetchError::Status { status: 429, retry_after_seconds, .. }) => {
                let seconds = retry_after_seconds.unwrap_or(LIMITED_SECONDS);
                self.rest(server, now.plus_seconds(seconds.min(LIMITED_SECONDS_MAX)));
                Outcome::without(LookupOutcome::Limited)
            }
            Err(error) => {
                tracing::debug!(%domain, %error, "a registry gave no answer");
                Outcome::without(LookupOutcome::Failed)
            }
        }
    }

    async fn ask_whois(&self, domain: &Name, server: &str) -> Outcome {
        let Some(whois) = &self.whois else { return Outcome::without(LookupOutcome::Failed) };
        match whois.ask(server, &domain.to_string()).await {
            Ok(text) => {
                let (outcome, facts) = whois::read(&text);
                Outcome { outcome, facts, body_sha256: Some(sha256(text.as_bytes())) }
            }
            Err(error) => {
                tracing::debug!(%domain, server, %error, "a WHOIS server gave no answer");
                Outcome::without(LookupOutcome::Failed)
            }
        }
    }

    /// The WHOIS server of a top-level domain, as IANA names it; asked once.
    async fn whois_server(&self, domain: &Name) -> Option<String> {
        let whois = self.whois.as_ref()?;
        let top = domain.as_ref().top(1).to_owned();
        if let Some(known) = self.servers.lock().get(&top) {
            return known.clone();
        }
        let text = whois.ask(whois::IANA, &top.to_string()).await.ok()?;
        let server = whois::referral(&text);
        self.servers.lock().insert(top, server.clone());
        server
    }

    async fn get(
        &self,
        location: Location,
        octets_max: u64,
        seed: u64,
    ) -> Result<Vec<u8>, FetchError> {
        let limits = FetchLimits {
            octets_max,
            time_max: TIME_MAX,
            idle_time_max: TIME_MAX,
            attempts_max: 1,
        };
        let request = FetchRequest {
            location,
            validators: Default::default(),
            limits,
            accept: Some(MEDIA_TYPE),
            seed,
        };
        match self.fetch.fetch(&request).await? {
            // Nothing was sent that could be unchanged.
            FetchOutcome::Unchanged => Ok(Vec::new()),
            FetchOutcome::Fetched(fetched) => {
                let mut octets = Vec::new();
                let read = fetched.body.take(octets_max).read_to_end(&mut octets);
                read.map_err(FetchError::Spool)?;
                Ok(octets)
            }
        }
    }
}

impl Outcome {
    fn without(outcome: LookupOutcome) -> Self {
        Self { outcome, facts: answer::Facts::default(), body_sha256: None }
    }
}

fn dated(
    domain: &Name,
    protocol: RegistrationProtocol,
    server: String,
    outcome: Outcome,
    now: Timestamp,
) -> Registration {
    let Outcome { outcome, facts, body_sha256 } = outcome;
    let settled = facts.registered_at.is_some_and(|at| at.age_seconds(now) >= SETTLED_SECONDS);
    let keep_seconds = match outcome {
        LookupOutcome::Found if settled => KEEP_SETTLED_SECONDS,
        LookupOutcome::Found => KEEP_FOUND_SECONDS,
        LookupOutcome::NotFound => KEEP_MISSING_SECONDS,
        LookupOutcome::Limited | LookupOutcome::Failed => KEEP_FAILED_SECONDS,
    };
    Registration {
        domain: domain.clone(),
        outcome,
        protocol,
        server,
        asked_at: now,
        keep_until: now.plus_seconds(keep_seconds),
        // A registry's clock may be ahead of ours; nothing is registered tomorrow.
        registered_at: facts.registered_at.map(|at| at.min(now)),
        changed_at: facts.changed_at,
        expires_at: facts.expires_at,
        registrar: facts.registrar,
        statuses: facts.statuses,
        name_servers: facts.name_servers,
        body_sha256,
    }
}

fn sha256(octets: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, octets).as_ref())
}

#[cfg(test)]
mod tests;
