//! Investigations: what is wanted of each service is asked of all of them at once, and what came is
//! put together. Each service has its own time; a slow or dead one holds up nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::desk::{Desk, Outcome};
use super::opinions::Memory;
use super::{answers, local_facts};
use crate::api::{InvestigateQuestion, WhyQuestion};
use crate::diagnostic::Diagnostic;
use crate::investigate::wanted::{About, Otherwise, Wanted, wanted};
use crate::investigate::words::date;
use crate::investigate::{Dossier, Progress, Row, ServiceRows, Verdict};
use crate::model::lookup::{Aspect, Fact, Service, Target};
use crate::model::time::Clock;
use crate::pipeline::Published;
use crate::resolver::cache::CachingUpstream;
use crate::source::provider::{Purpose, Question};

/// How long all questions to one service may take, beside the time somebody is ready to wait for a
/// quota: a slow answer and some quick ones.
const SERVICE_TIME_MAX: Duration = Duration::from_secs(90);
/// The longest anybody waits for a quota of a minute.
pub const WAIT_SECONDS_MAX: u32 = 600;
/// Facts of one row that are kept: a page has forty, a chain of pages is not followed.
const ROW_FACTS_MAX: usize = 500;
/// Classes of errors after which a service is not asked on.
const DOWN: [&str; 8] = [
    "key-missing",
    "key-refused",
    "quota",
    "server",
    "redirect",
    "transport",
    "too-slow",
    "too-large",
];

/// Everything an investigation needs.
pub struct Investigator {
    /// Where services are asked.
    pub desk: Arc<Desk>,
    /// What they said before.
    pub memory: Arc<Memory>,
    /// The state in force.
    pub published: watch::Receiver<Arc<Published>>,
    /// Who resolves names; none where the daemon is down.
    pub caching: Option<Arc<CachingUpstream>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Answers by what was asked.
type Outcomes = BTreeMap<(Aspect, Target), Outcome>;

/// A way to say how it goes.
#[derive(Clone)]
struct Teller {
    say: mpsc::Sender<Progress>,
    done: Arc<std::sync::atomic::AtomicUsize>,
    of: usize,
}

impl Teller {
    async fn step(&self, service: &str, what: &str, outcome: &str) {
        let done = 1 + self.done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (service, what, outcome) = (service.to_owned(), what.to_owned(), outcome.to_owned());
        // Whoever asked may have gone; what comes is kept all the same.
        let _ = self.say.send(Progress::Step { service, what, outcome, done, of: self.of }).await;
    }
}

impl Investigator {
    /// Reads what is asked for.
    pub fn target(question: &InvestigateQuestion) -> Result<Target, Diagnostic> {
        Target::parse(&question.target).map_err(|error| {
            Diagnostic::error(format!("`{}` is nothing to investigate: {error}", question.target))
                .hint("write a domain, an address, a prefix, `AS64500`, or an `http://` URL")
        })
    }

    /// Gathers all there is, and says how it goes.
    pub async fn run(
        &self,
        target: Target,
        question: InvestigateQuestion,
        say: mpsc::Sender<Progress>,
    ) -> Result<(), Diagnostic> {
        let now = self.clock.now();
        let state = self.published.borrow().clone();
        let found = local_facts::find_out(&target, &state, self.caching.as_ref(), now).await;
        let address = found.addresses.first().copied().map(Target::Address);
        let system = found.systems.first().copied().map(Target::As);
        let chosen = |service: &Service| {
            let mut words = question.services.split(',');
            question.services.is_empty() || words.any(|word| word == service.as_str())
        };
        let services: Vec<Service> = Service::ALL.into_iter().filter(chosen).collect();
        let plans: Vec<(Service, Vec<Wanted>, Vec<Question>)> = services
            .into_iter()
            .map(|service| {
                let rows = wanted(service, &target);
                let questions = self.questions(service, &rows, &target, &address, &system);
                (service, rows, questions)
            })
            .collect();
        let teller = Teller {
            say,
            done: Arc::default(),
            of: 1 + plans.iter().map(|(_, _, questions)| questions.len()).sum::<usize>(),
        };
        teller.step("local", "DNS and tables", "done").await;
        let wait = Duration::from_secs(question.wait_seconds.min(WAIT_SECONDS_MAX).into());
        let asking = plans.iter().map(|(service, _, questions)| {
            self.ask_service(*service, questions.clone(), wait, teller.clone())
        });
        let outcomes = futures_util::future::join_all(asking).await;
        let mut services = Vec::new();
        for ((service, rows, _), outcomes) in plans.iter().zip(&outcomes) {
            let mut made = Vec::new();
            for row in rows {
                let about = about(row.about, &target, &address, &system);
                made.push(self.row(*service, row, about, outcomes).await);
            }
            services.push(ServiceRows {
                service: service.to_string(),
                title: service.title().to_owned(),
                off: match rows.is_empty() {
                    true => Some(format!("it knows nothing of a {}", target.kind())),
                    false => self.desk.off(*service).map(str::to_owned),
                },
                rows: made,
            });
        }
        let verdict = self.verdict(&target)?;
        let dossier = Dossier {
            target: target.to_string(),
            kind: target.kind().to_owned(),
            at: self.clock.now().0,
            verdict,
            local: found.rows,
            services,
        };
        let _ = teller.say.send(Progress::Done { dossier: Box::new(dossier) }).await;
        Ok(())
    }

    /// What is decided, with what services said just now.
    fn verdict(&self, target: &Target) -> Result<Verdict, Diagnostic> {
        let state = self.published.borrow().with_opinions(self.memory.opinions());
        let question =
            WhyQuestion { indicator: target.indicator().to_string(), ..WhyQuestion::default() };
        Ok(Verdict::of(&answers::why(&state, &question, self.clock.now())?))
    }

    /// The questions that the rows need, each once, in their order.
    fn questions(
        &self,
        service: Service,
        rows: &[Wanted],
        target: &Target,
        address: &Option<Target>,
        system: &Option<Target>,
    ) -> Vec<Question> {
        let legacy = self.desk.provider(service).is_some_and(|provider| provider.legacy);
        let mut questions: Vec<Question> = Vec::new();
        for row in rows {
            let Some(about) = about(row.about, target, address, system) else { continue };
            for aspect in row.aspects {
                let question = Question::new(service, about.clone(), *aspect);
                if (*aspect != Aspect::LegacyReport || legacy) && !questions.contains(&question) {
                    questions.push(question);
                }
            }
        }
        match self.desk.off(service) {
            Some(_) => Vec::new(),
            None => questions,
        }
    }

    async fn ask_service(
        &self,
        service: Service,
        questions: Vec<Question>,
        wait: Duration,
        teller: Teller,
    ) -> Outcomes {
        let outcomes = Mutex::new(Outcomes::new());
        let asking = async {
            let mut down: Option<String> = None;
            for question in &questions {
                let outcome = match &down {
                    // It may be known from before all the same.
                    Some(_) => {
                        Outcome::Unasked { reason: down.clone().unwrap_or_default(), until: None }
                    }
                    None => self.desk.ask(question, Purpose::Interactive, wait).await,
                };
                let word = match &outcome {
                    Outcome::Answered { kept: true, .. } => "kept".to_owned(),
                    Outcome::Answered { answer, .. } => format!("{} facts", answer.facts.len()),
                    Outcome::Failed { class, reason, kept, .. } => {
                        if !kept && DOWN.contains(&class.as_str()) {
                            down = Some(reason.clone());
                        }
                        class.clone()
                    }
                    Outcome::Unasked { reason, .. } => format!("not asked: {reason}"),
                };
                if let Outcome::Answered { answer, asked_at, .. } = &outcome {
                    let (target, aspect) = (&question.target, question.aspect);
                    self.memory.hear(service, target, aspect, answer, *asked_at);
                }
                outcomes.lock().insert((question.aspect, question.target.clone()), outcome);
                teller.step(service.as_str(), question.aspect.as_str(), &word).await;
            }
        };
        let time_max = SERVICE_TIME_MAX + wait;
        if tokio::time::timeout(time_max, asking).await.is_err() {
            let reason = format!("no answer within {} s", time_max.as_secs());
            let mut outcomes = outcomes.lock();
            for question in questions {
                let key = (question.aspect, question.target);
                let unasked = Outcome::Unasked { reason: reason.clone(), until: None };
                outcomes.entry(key).or_insert(unasked);
            }
        }
        outcomes.into_inner()
    }

    /// A row with what the answers hold of it.
    async fn row(
        &self,
        service: Service,
        wanted: &Wanted,
        about: Option<Target>,
        outcomes: &Outcomes,
    ) -> Row {
        let mut row = Row { what: wanted.what.to_owned(), ..Row::default() };
        let Some(about) = about else {
            row.missing = Some(match wanted.about {
                About::Address => "its address is not known".to_owned(),
                _ => "the AS of its address is not known".to_owned(),
            });
            return row;
        };
        match wanted.otherwise {
            Some(Otherwise::Said(said)) => row.missing = Some(said.to_owned()),
            Some(Otherwise::Link(link)) => {
                row.link = Some(link.replace("{}", &escaped(&about.to_string())));
                row.missing = Some("the service shows it on its web page alone".to_owned());
            }
            Some(Otherwise::History) => self.history(service, &about, &mut row).await,
            None => {}
        }
        let mut missing = Vec::new();
        row.kept = true;
        for aspect in wanted.aspects {
            let Some(outcome) = outcomes.get(&(*aspect, about.clone())) else { continue };
            match outcome {
                Outcome::Answered { answer, asked_at, kept } => {
                    let facts = answer.facts.iter().filter(|fact| (wanted.picks)(fact));
                    let before = row.facts.len();
                    for fact in facts.take(ROW_FACTS_MAX) {
                        if !row.facts.contains(fact) {
                            row.facts.push(fact.clone());
                        }
                    }
                    if row.facts.len() > before {
                        row.asked_at = row.asked_at.max(Some(asked_at.0));
                        row.kept &= kept;
                        // A total counts what the whole answer is about, not the rows cut from it.
                        if answer.facts.len() == row.facts.len() {
                            row.total = row.total.max(answer.total);
                        }
                    }
                }
                Outcome::Failed { reason, asked_at, kept, .. } => {
                    missing.push(reason.clone());
                    row.asked_at = row.asked_at.or(Some(asked_at.0));
                    row.kept &= kept;
                    self.earlier(service, *aspect, &about, wanted, &mut row).await;
                }
                Outcome::Unasked { reason, until } => {
                    missing.push(match until {
                        Some(until) => format!("{reason}; again from {until}"),
                        None => reason.clone(),
                    });
                    self.earlier(service, *aspect, &about, wanted, &mut row).await;
                }
            }
        }
        row.kept &= row.asked_at.is_some();
        missing.dedup();
        if !missing.is_empty() {
            row.missing = Some(missing.join("; "));
        } else if row.facts.is_empty() && row.missing.is_none() {
            row.missing = Some(match self.desk.off(service) {
                Some(off) => off.to_owned(),
                None => "the service knows of none".to_owned(),
            });
        }
        row
    }

    /// What was said before, however long ago, where nothing could be asked now.
    async fn earlier(
        &self,
        service: Service,
        aspect: Aspect,
        about: &Target,
        wanted: &Wanted,
        row: &mut Row,
    ) {
        let question = Question::new(service, about.clone(), aspect);
        for (lookup, kept) in self.desk.kept(&question).await {
            let Some(answer) = kept.answer else { continue };
            let facts = answer.facts.into_iter().filter(|fact| (wanted.picks)(fact));
            row.facts.extend(facts.take(ROW_FACTS_MAX));
            row.asked_at = Some(lookup.asked_at.0);
            row.kept = true;
            return;
        }
    }

    /// Hosting per AS over time: what each of the earlier answers said, the latest first.
    async fn history(&self, service: Service, about: &Target, row: &mut Row) {
        let question = Question::new(service, about.clone(), Aspect::Report);
        for (lookup, kept) in self.desk.kept(&question).await {
            let Some(answer) = kept.answer else { continue };
            let mut hosts: BTreeMap<String, usize> = BTreeMap::new();
            for fact in &answer.facts {
                if let Fact::Host { asn: Some(asn), network, .. } = fact {
                    let network = network.as_deref().unwrap_or_default();
                    *hosts.entry(format!("AS{asn} {network}")).or_default() += 1;
                }
            }
            let text: Vec<String> =
                hosts.iter().map(|(asn, n)| format!("{asn}: {n} hosts")).collect();
            if !text.is_empty() && row.facts.len() < ROW_FACTS_MAX {
                let name = date(lookup.asked_at);
                row.facts.push(Fact::Note { name, text: text.join(", ") });
            }
        }
        if row.facts.is_empty() {
            row.missing = Some(match self.desk.off(service) {
                Some(off) => off.to_owned(),
                None => "it is pieced together from answers of different days".to_owned(),
            });
        }
    }
}

fn about(
    about: About,
    target: &Target,
    address: &Option<Target>,
    system: &Option<Target>,
) -> Option<Target> {
    match about {
        About::Target => Some(target.clone()),
        About::Address => address.clone(),
        About::System => system.clone(),
    }
}

/// A part of a URL (RFC 3986 section 2.3).
fn escaped(text: &str) -> String {
    crate::api::client::escaped(text)
}
