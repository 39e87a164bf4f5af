//! Asks services in the background about names whose decision an answer may change (SCORING 5.1):
//! in rounds of a quarter of an hour, each with its share of the day's quota, at a price that
//! follows what is spent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::desk::{Desk, Outcome};
use super::opinions::Memory;
use crate::lookup::plan::values;
use crate::lookup::price::planned;
use crate::lookup::{Candidate, Lane, Likelihoods, Never, Pick, Price, Stakes, plan, privacy};
use crate::model::lookup::{Aspect, Service, Target};
use crate::model::time::Clock;
use crate::model::{Indicator, Name, Timestamp};
use crate::pipeline::{Published, Verdict};
use crate::ports::Ledger;
use crate::ports::budget::{CandidateSays, PassedOver};
use crate::scoring::Level;
use crate::source::provider::{Purpose, Question};

/// One round.
const ROUND_SECONDS: u32 = 15 * 60;
/// Names that are looked at in one round: more are not settled by look-ups anyway.
const CANDIDATES_MAX: usize = 200_000;
/// What was asked is remembered for as long as a repeated question is worth less.
const ASKED_SECONDS_MAX: u32 = 60 * 86_400;
/// What is asked next is shown up to here.
const NEXT_SHOWN: usize = 10;
/// Of a name that only feeds know, this many queries are expected in a week (SCORING 5.1).
const TRAFFIC_OF_FEEDS: f64 = 0.1;
/// Beside a list, an item of VirusTotal keeps some of its weight (class coupling 400 permille, the
/// list weighing three quarters of it).
const BESIDE_LISTS: f64 = 0.7;
/// Beside VirusTotal, an item of another service (coupling 500 permille and more).
const BESIDE_ENGINES: f64 = 0.5;
/// G8: a popular name is never blocked by scores.
const POPULAR_RANK_MAX: u32 = 100_000;

/// When a service was asked about a name, and until when that holds.
type Asked = BTreeMap<(Service, Name), (Timestamp, Timestamp)>;

/// What is planned, for people.
#[derive(Debug, Clone, Default)]
pub struct Plans {
    /// By service: the price, what comes next, and what is passed over.
    pub services: BTreeMap<Service, (f64, Vec<CandidateSays>, Vec<PassedOver>)>,
}

/// Asks in the background.
pub struct Asker {
    /// Where services are asked.
    pub desk: Arc<Desk>,
    /// Where answers go.
    pub memory: Arc<Memory>,
    /// The state in force.
    pub published: watch::Receiver<Arc<Published>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chooses the random lane.
    pub seed: u64,
    /// Suffixes of the operator's own network.
    pub internal: Vec<Name>,
    /// What was asked before.
    pub asked: Mutex<Asked>,
    /// What is planned.
    pub plans: Mutex<Plans>,
}

/// What was asked in the last months, by the ledger.
pub async fn asked(ledger: &Arc<dyn Ledger>, now: Timestamp) -> Asked {
    let since = Timestamp(now.0.saturating_sub(ASKED_SECONDS_MAX));
    let lookups = ledger.lookups_since(since).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "what was asked before is not known");
        Vec::new()
    });
    let mut asked = Asked::new();
    for lookup in lookups {
        let service = Service::of_word(&lookup.provider);
        if let (Some(service), Ok(Target::Domain(name))) =
            (service, Target::parse(&lookup.indicator))
        {
            asked.insert((service, name), (lookup.asked_at, lookup.keep_until));
        }
    }
    asked
}

impl Asker {
    /// Goes on until told to stop: one task for each service that may be asked in the background.
    pub fn start(self: &Arc<Self>, stop: &CancellationToken) {
        for service in self.desk.in_background() {
            let Some(tables) = tables(service) else { continue };
            let (asker, stop) = (self.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = asker.run(service, tables) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    }

    async fn run(&self, service: Service, tables: (Likelihoods, Likelihoods)) {
        let mut price = Price::default();
        let mut dice = ChaCha8Rng::seed_from_u64(self.seed ^ service as u64);
        loop {
            let started = self.clock.now();
            let left = self.desk.left_for_background(service).await;
            let to_midnight = 86_400 - started.0 % 86_400;
            let share = planned(left, to_midnight, ROUND_SECONDS, None);
            let count = share.ceil() as usize;
            let picks = self.look(service, tables, price, count, &mut dice).await;
            let mut spent = 0;
            for (name, lane, value) in picks {
                match self.ask(service, &name).await {
                    Some(asked) => spent += u32::from(asked),
                    // Its quota is used up for now.
                    None => break,
                }
                tracing::debug!(%service, %name, lane = lane.as_str(), value, "asked in the background");
            }
            price = price.after(f64::from(spent), share);
            let passed = started.age_seconds(self.clock.now());
            let rest = ROUND_SECONDS.saturating_sub(passed).max(1);
            tokio::time::sleep(Duration::from_secs(rest.into())).await;
        }
    }

    /// Asks about one name. Whether something was asked; none where the service may not be now.
    async fn ask(&self, service: Service, name: &Name) -> Option<bool> {
        let target = Target::Domain(name.clone());
        let question = Question::new(service, target.clone(), Aspect::Report);
        let patience = Duration::from_secs(ROUND_SECONDS.into());
        let outcome = self.desk.ask(&question, Purpose::Background, patience).await;
        if let Outcome::Answered { answer, asked_at, .. } = &outcome {
            self.memory.hear(service, &target, Aspect::Report, answer, *asked_at);
        }
        if let Some((lookup, _)) = self.desk.kept(&question).await.first() {
            let times = (lookup.asked_at, lookup.keep_until);
            self.asked.lock().insert((service, name.clone()), times);
        }
        match outcome {
            Outcome::Answered { kept, .. } | Outcome::Failed { kept, .. } => Some(!kept),
            Outcome::Unasked { .. } => None,
        }
    }

    /// Looks through all names and picks, beside the runtime: it takes a while.
    async fn look(
        &self,
        service: Service,
        tables: (Likelihoods, Likelihoods),
        price: Price,
        count: usize,
        dice: &mut ChaCha8Rng,
    ) -> Vec<(Name, Lane, f64)> {
        let (state, now) = (self.published.borrow().clone(), self.clock.now());
        let asked = self.asked.lock().clone();
        let internal = self.internal.clone();
        let mut rolling = std::mem::replace(dice, ChaCha8Rng::seed_from_u64(0));
        let looked = tokio::task::spawn_blocking(move || {
            let survey = survey(&state, service, &asked, &internal, now);
            let block_on_mban = state.model.step(Level::Block).map_or(1500, |step| step.on);
            let values = values(&survey.candidates, tables, Stakes { block_on_mban }, now);
            let shown =
                plan(&survey.candidates, &values, price.get(), NEXT_SHOWN.max(count), &mut rolling);
            (survey, shown, rolling)
        })
        .await;
        // A task is lost at a shutdown alone.
        let Ok((survey, picks, rolled)) = looked else { return Vec::new() };
        *dice = rolled;
        let says = |pick: &Pick| {
            let candidate = &survey.candidates[pick.at];
            CandidateSays {
                service: service.to_string(),
                indicator: survey.names[pick.at].to_string(),
                value: pick.value,
                reason: format!(
                    "{}: score {:.2}, some {} queries a week",
                    pick.lane.as_str(),
                    candidate.mban as f64 / 100.0,
                    candidate.traffic
                ),
            }
        };
        let next = picks.iter().take(NEXT_SHOWN).map(says).collect();
        let planned = (price.get(), next, survey.passed_over());
        self.plans.lock().services.insert(service, planned);
        let pick = |pick: Pick| (survey.names[pick.at].clone(), pick.lane, pick.value);
        picks.into_iter().take(count).map(pick).collect()
    }
}

/// Names that may be asked about, and those that are not.
#[derive(Default)]
struct Survey {
    names: Vec<Name>,
    candidates: Vec<Candidate>,
    passed: BTreeMap<String, (usize, String)>,
}

impl Survey {
    fn pass(&mut self, reason: &str, name: &Name) {
        let entry = self.passed.entry(reason.to_owned()).or_insert_with(|| (0, name.to_string()));
        entry.0 += 1;
    }

    fn passed_over(&self) -> Vec<PassedOver> {
        let one = |(reason, (count, example)): (&String, &(usize, String))| PassedOver {
            reason: reason.clone(),
            count: *count,
            example: example.clone(),
        };
        self.passed.iter().map(one).collect()
    }
}

/// Looks at all names that have a decision.
fn survey(
    state: &Published,
    service: Service,
    asked: &Asked,
    internal: &[Name],
    now: Timestamp,
) -> Survey {
    let mut survey = Survey::default();
    let mut cursor = state.verdicts.0.iter();
    while let Some((name, _)) = cursor.next() {
        if survey.names.len() == CANDIDATES_MAX {
            break;
        }
        let (name, Some(verdict)) = (name.to_owned(), state.verdicts.of(name)) else { continue };
        let before = asked.get(&(service, name.clone()));
        match reason_against(state, &name, internal, now) {
            Some(reason) => survey.pass(&reason, &name),
            None if before.is_some_and(|(_, keep_until)| now < *keep_until) => {
                survey.pass("what was said before still holds", &name);
            }
            None => {
                let asked_at = before.map(|(asked_at, _)| *asked_at);
                survey.candidates.push(candidate(state, service, &name, verdict, asked_at));
                survey.names.push(name);
            }
        }
    }
    survey
}

/// Why no answer about the name could change a decision, or nobody may be told of it.
fn reason_against(
    state: &Published,
    name: &Name,
    internal: &[Name],
    now: Timestamp,
) -> Option<String> {
    let standing = state.standings.of(name.as_ref());
    let popular = standing.rank.is_some_and(|rank| rank <= POPULAR_RANK_MAX);
    let admin = || !state.policy.entries_about(&Indicator::Domain(name.clone()), now).is_empty();
    let reason = match () {
        () if standing.special || standing.public_suffix || standing.critical => {
            "a guard decides, whatever services say"
        }
        () if standing.platform => "a platform of many parties is only observed",
        () if popular => "popular: never blocked by a score",
        () if admin() => "the policy's own lists decide",
        () => {
            let target = Target::Domain(name.clone());
            let never: Option<Never> =
                privacy::never(&target, Some(standing.registrable), internal);
            return never.map(|never| format!("never sent: {never}"));
        }
    };
    Some(reason.to_owned())
}

fn candidate(
    state: &Published,
    service: Service,
    name: &Name,
    verdict: Verdict,
    asked_at: Option<Timestamp>,
) -> Candidate {
    let registrable = state.standings.suffixes.registrable(name.as_ref());
    let said = state.standings.opinions.of_name(name.as_ref());
    let by_engines = said.is_some_and(|opinion| opinion.services().contains(&Service::VirusTotal));
    let independence = match (service, by_engines) {
        (Service::VirusTotal, _) | (_, false) => BESIDE_LISTS,
        (_, true) => BESIDE_ENGINES,
    };
    Candidate {
        mban: verdict.score.into(),
        traffic: TRAFFIC_OF_FEEDS,
        since: verdict.since,
        first_seen: verdict.since,
        asked_at,
        independence,
        // Hosts of one domain stand or fall together as a rule.
        cluster: Some(xxhash_rust::xxh3::xxh3_64(registrable.key())),
    }
}

/// What a service answers how often, once a name is a day old and before.
fn tables(service: Service) -> Option<(Likelihoods, Likelihoods)> {
    match service {
        Service::VirusTotal => Some((Likelihoods::VIRUS_TOTAL, Likelihoods::VIRUS_TOTAL_FRESH)),
        Service::ApiVoid => Some((Likelihoods::API_VOID, Likelihoods::API_VOID)),
        Service::ThreatIntelligencePlatform => Some((Likelihoods::TIP, Likelihoods::TIP)),
        // They give no verdict about names.
        Service::DnsDumpster | Service::BgpRanking | Service::IpasnHistory => None,
    }
}
