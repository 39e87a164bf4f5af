//! What the daemon says of itself over its socket.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use hickory_proto::rr::RecordType;
use tokio::sync::{mpsc, oneshot, watch};

use super::asker::Asker;
use super::book::Book;
use super::desk::Desk;
use super::investigation::Investigator;
use super::releases::Order;
use super::secondaries::Secondaries;
use super::training::Trainer;
use super::transfers::Transfers;
use super::writer::{Event, Events};
use super::{learning, observer, reviews, watching};
use crate::api::learning::{AppliedSays, LearnSays};
use crate::api::reviews::{DrawQuestion, DrawSays, Noted, SourceReviews, Word};
use crate::api::signs::{MuteQuestion, SignSays};
use crate::api::{
    Answers, AsnQuestion, AsnRankQuestion, InvestigateQuestion, Reloaded, WhyQuestion, ZoneOrder,
};
use crate::bgp::Family;
use crate::diagnostic::Diagnostic;
use crate::investigate::Progress;
use crate::model::time::Clock;
use crate::model::{AnswerFacts, Indicator, Name, NameRef, Timestamp};
use crate::pdns;
use crate::pipeline::report::{
    AsnRanking, AsnSays, FeedSays, PolicySays, PopularitySays, PredictionSays, SecondarySays,
    SnapshotSays, Status, VersionSays, Why, ZoneSays,
};
use crate::pipeline::{FeedValue, Published, Subject};
use crate::policy::outward;
use crate::ports::budget::BudgetSays;
use crate::ports::{Ledger, Question};
use crate::publish::file;
use crate::resolver::cache::CachingUpstream;
use crate::resolver::upstream::UpstreamResolver;
use crate::scoring::Model;
use crate::snapshot::Transport;
use crate::telemetry::Metrics;
use crate::zone::{Mode, Serial};

/// Lines that wait to be read by whoever asked.
const PROGRESS_MAX: usize = 64;

/// The daemon as its socket sees it.
pub struct Voice {
    /// The state in force.
    pub published: watch::Receiver<Arc<Published>>,
    /// The sources.
    pub book: Arc<Book>,
    /// Zones of other publishers.
    pub secondaries: Arc<Secondaries>,
    /// What is known of the operator's files.
    pub policy: watch::Receiver<PolicySays>,
    /// Asks for the files to be read again.
    pub reload: mpsc::Sender<oneshot::Sender<Reloaded>>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What was seen here; none where nobody watches.
    pub pdns: Option<observer::Shared>,
    /// The writer.
    pub events: Events,
    /// The state directory.
    pub state: std::path::PathBuf,
    /// Trains the model of names.
    pub trainer: Arc<Trainer>,
    /// What people ask about later.
    pub ledger: Arc<dyn Ledger>,
    /// Zones that leave by transfer, if any do.
    pub transfers: Option<Arc<Transfers>>,
    /// What does not change while the daemon runs.
    pub fixed: Fixed,
    /// Who asks in the background.
    pub asker: Arc<Asker>,
    /// Who investigates.
    pub investigator: Arc<Investigator>,
    /// Where services are asked.
    pub desk: Arc<Desk>,
    /// What is known of names.
    pub caching: Arc<CachingUpstream>,
    /// Who is asked, and what it has learnt.
    pub upstream: Arc<UpstreamResolver>,
}

/// What does not change while the daemon runs.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// Since when it runs; none for a daemon that is down.
    pub started_at: Option<Timestamp>,
    /// Where it listens.
    pub listening: Vec<String>,
    /// How names are resolved.
    pub upstream: String,
    /// What is not running, and why.
    pub not_running: Vec<String>,
    /// Where zones are exported to.
    pub export: Option<std::path::PathBuf>,
}

#[async_trait::async_trait]
impl Answers for Voice {
    fn health(&self) -> Result<String, String> {
        let state = self.published.borrow();
        Ok(format!("ok: snapshot {}, {} zones", state.snapshot.id(), state.snapshot.zones().len()))
    }

    fn metrics(&self) -> String {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let cache = self.caching.cache();
        self.metrics.cache_entries.set(count(cache.entry_count() as u64));
        self.metrics.cache_size_bytes.set(count(cache.size_bytes()));
        self.metrics.queries_in_flight.set(count(self.upstream.in_flight() as u64));
        if let Some(transfers) = &self.transfers {
            transfers.measure(self.clock.now());
        }
        self.metrics.encode()
    }

    fn status(&self) -> Status {
        let state = self.published.borrow().clone();
        let policy = self.policy.borrow().clone();
        let now = self.clock.now();
        let status = status(&state, &self.book, policy, &self.fixed, now);
        let status = with_secondaries(status, self.secondaries.says(now));
        let mut status = with_prediction(status, self.trainer.says());
        if let Some(transfers) = &self.transfers {
            for zone in &mut status.zones {
                let name = Name::from_presentation(&zone.name).ok();
                zone.published = name.and_then(|name| transfers.says(&name, now));
            }
            status.zones.extend(catalog(transfers, &status.zones, now));
        }
        status
    }

    fn zone_history(&self, zone: &str) -> Result<Vec<VersionSays>, Diagnostic> {
        let (transfers, name) = self.published_zone(zone)?;
        transfers.history(&name).ok_or_else(|| {
            Diagnostic::error(format!("the zone `{name}` is not published"))
                .hint("`sekisho zones` lists those that are")
        })
    }

    async fn order_zone(&self, zone: &str, order: ZoneOrder) -> Result<String, Diagnostic> {
        let (transfers, name) = self.published_zone(zone)?;
        let order = match order {
            ZoneOrder::Promote => Order::Promote,
            ZoneOrder::RollBack { serial } => Order::RollBack(Serial(serial)),
            ZoneOrder::Resume => Order::Resume,
        };
        transfers.order(name, order).await
    }

    fn pdns(
        &self,
        question: pdns::question::Question,
    ) -> Result<pdns::question::Answer, Diagnostic> {
        let Some(table) = &self.pdns else {
            return Err(Diagnostic::error("nothing is remembered of what was resolved")
                .hint("set `enabled = true` in `[pdns]` of the configuration"));
        };
        let state = self.published.borrow().clone();
        pdns(&table.read(), &state, &question, self.clock.now())
    }

    async fn feed_values(&self) -> Result<Vec<FeedValue>, Diagnostic> {
        let (state, table) = (self.published.borrow().clone(), self.pdns.clone());
        let now = self.clock.now();
        let values = move || feed_values(&state, table.as_deref(), now);
        tokio::task::spawn_blocking(values).await.map_err(|_| Diagnostic::error("it broke off"))
    }

    async fn reviews(&self) -> Result<Vec<SourceReviews>, Diagnostic> {
        let state = self.published.borrow().clone();
        reviews::summary(&*self.ledger, &state).await
    }

    async fn draw(&self, question: DrawQuestion) -> Result<DrawSays, Diagnostic> {
        let state = self.published.borrow().clone();
        let source = question.source.as_deref();
        reviews::next(&*self.ledger, &state, source, rand::random(), self.clock.now()).await
    }

    async fn audit(&self, word: Word) -> Result<Noted, Diagnostic> {
        let state = self.published.borrow().clone();
        reviews::audit(&*self.ledger, &state, word, self.clock.now()).await
    }

    async fn report(&self, word: Word) -> Result<Noted, Diagnostic> {
        let state = self.published.borrow().clone();
        reviews::report(&*self.ledger, &state, word, self.clock.now()).await
    }

    async fn signs(&self) -> Result<Vec<SignSays>, Diagnostic> {
        watching::signs(&*self.ledger, self.clock.now()).await
    }

    async fn mute(&self, question: MuteQuestion) -> Result<usize, Diagnostic> {
        watching::mute(&*self.ledger, question, self.clock.now()).await
    }

    async fn learn(&self) -> Result<LearnSays, Diagnostic> {
        let state = self.published.borrow().clone();
        learning::learn(&*self.ledger, &state, &self.state, self.clock.now()).await
    }

    async fn apply(&self, changes: String) -> Result<AppliedSays, Diagnostic> {
        let (state, directory) = (self.published.borrow().clone(), self.state.clone());
        let now = self.clock.now();
        let applying = move || learning::apply(&state, &directory, &changes, now);
        let applied = tokio::task::spawn_blocking(applying).await;
        let (says, model) = applied.map_err(|_| Diagnostic::error("it broke off"))??;
        self.put_in_force(model).await;
        Ok(says)
    }

    async fn apply_shipped(&self) -> Result<(), Diagnostic> {
        self.put_in_force(learning::reset(&self.state)?).await;
        Ok(())
    }

    fn train(&self) -> Result<(), Diagnostic> {
        self.trainer.train_now()
    }

    fn feeds(&self) -> Vec<FeedSays> {
        self.book.says(self.clock.now())
    }

    fn asn_ranking(&self, question: AsnRankQuestion) -> AsnRanking {
        asn_ranking(&self.published.borrow().clone(), &question, self.clock.now())
    }

    fn asn(&self, question: AsnQuestion) -> AsnSays {
        let state = self.published.borrow().clone();
        state.asn(question.system, question.days, self.clock.now())
    }

    async fn why(&self, question: WhyQuestion) -> Result<Why, Diagnostic> {
        let state = self.published.borrow().clone();
        let now = self.clock.now();
        let About::Name(subject) = about(&question)? else { return why(&state, &question, now) };
        if !question.resolve || !state.needs_answer(&subject) {
            return Ok(state.why(&subject, None, now));
        }
        let asked = Question {
            name: subject.name.clone(),
            rtype: subject.rtype,
            dnssec_ok: subject.dnssec_ok,
            checking_disabled: false,
        };
        Ok(match self.caching.answer(&asked, None).await {
            Ok(answer) => state.why(&subject, Some(&answer.resolution.facts), now),
            Err(error) => {
                let nothing = AnswerFacts::default();
                let facts = error.chain().map_or(&nothing, |chain| &chain.facts);
                let mut why = state.why(&subject, Some(facts), now);
                let text = error.extended_error().text;
                why.missing.push(format!("the name cannot be resolved: {text}"));
                why
            }
        })
    }

    async fn reload(&self) -> Reloaded {
        let (say, told) = oneshot::channel();
        let stopping =
            Reloaded { accepted: false, findings: vec!["the daemon is stopping".to_owned()] };
        match self.reload.send(say).await {
            Ok(()) => told.await.unwrap_or(stopping),
            Err(_) => stopping,
        }
    }

    fn flush(&self, name: &str, below: bool) -> Result<(), Diagnostic> {
        let parsed = match name.trim() {
            "." => Ok(Name::root()),
            text => Name::from_host(text),
        };
        let parsed = parsed.map_err(|error| {
            Diagnostic::error(format!("`{name}` is not a name: {error}"))
                .hint("write a name, such as `example.com`")
        })?;
        // What the upstream has learnt hangs together; it goes as a whole, and first, so that
        // nothing old comes back from there.
        self.upstream.flush().map_err(|error| Diagnostic::error(error.to_string()))?;
        match below {
            true => self.caching.cache().flush_below(parsed.as_ref()),
            false => self.caching.cache().flush_name(parsed.as_ref()),
        }
        tracing::info!(name = %parsed, below, "flushed");
        Ok(())
    }

    async fn refresh(&self, source: Option<String>) -> Result<usize, Diagnostic> {
        self.book.poke(source.as_deref())
    }

    async fn investigate(
        &self,
        question: InvestigateQuestion,
    ) -> Result<mpsc::Receiver<String>, Diagnostic> {
        let target = Investigator::target(&question)?;
        let (say, mut steps) = mpsc::channel(PROGRESS_MAX);
        let (line, lines) = mpsc::channel(PROGRESS_MAX);
        let investigator = self.investigator.clone();
        let failed = line.clone();
        tokio::spawn(async move {
            if let Err(finding) = investigator.run(target, question, say).await {
                let error = finding.to_string();
                let text = serde_json::to_string(&Progress::Failed { error }).unwrap_or_default();
                let _ = failed.send(text).await;
            }
        });
        tokio::spawn(async move {
            while let Some(step) = steps.recv().await {
                let text = serde_json::to_string(&step).unwrap_or_default();
                // Whoever asked has gone; the investigation goes on, for what it keeps.
                if line.send(text).await.is_err() {
                    steps.close();
                    while steps.recv().await.is_some() {}
                    return;
                }
            }
        });
        Ok(lines)
    }

    async fn budget(&self) -> BudgetSays {
        let at = self.clock.now().0;
        let mut says = BudgetSays { at, services: self.desk.says().await, ..BudgetSays::default() };
        let plans = self.asker.plans.lock().clone();
        for (service, (price, next, passed_over)) in plans.services {
            let of_service = says.services.iter_mut().find(|s| s.service == service.as_str());
            if let Some(of_service) = of_service {
                of_service.price = Some(price);
            }
            says.next.extend(next);
            // The reasons are much the same for every service.
            for passed in passed_over {
                if !says.passed_over.iter().any(|known| known.reason == passed.reason) {
                    says.passed_over.push(passed);
                }
            }
        }
        says
    }

    async fn accept(&self, source: String) -> Result<usize, Diagnostic> {
        self.book.accept(&source)
    }
}

/// The zone that lists the others decides nothing, and is published all the same.
fn catalog(transfers: &Transfers, zones: &[ZoneSays], now: Timestamp) -> Option<ZoneSays> {
    let known = |name: &Name| zones.iter().any(|zone| zone.name == name.to_string());
    let name = transfers.zones().into_iter().find(|name| !known(name))?;
    let published = transfers.says(&name, now)?;
    Some(ZoneSays {
        name: name.to_string(),
        serial: published.serial,
        rules: 0,
        mode: "catalog".to_owned(),
        groups: Vec::new(),
        exported: None,
        secondary: None,
        published: Some(published),
    })
}

impl Voice {
    fn published_zone(&self, zone: &str) -> Result<(&Arc<Transfers>, Name), Diagnostic> {
        let name = Name::from_host(zone.trim().trim_end_matches('.')).map_err(|error| {
            Diagnostic::error(format!("`{zone}` is not a name: {error}"))
                .hint("`sekisho zones` lists the zones")
        })?;
        let transfers = self.transfers.as_ref().ok_or_else(|| {
            Diagnostic::error("no zone leaves by transfer")
                .hint("add a `[[secondary]]` to the configuration")
        })?;
        Ok((transfers, name))
    }
}

/// Days for which a query counts for what a source is worth.
const ASKED_SECONDS: u32 = 30 * 86_400;

/// What every source is worth, by what was asked here where somebody watches.
pub fn feed_values(
    state: &Published,
    table: Option<&parking_lot::RwLock<pdns::Table>>,
    now: Timestamp,
) -> Vec<FeedValue> {
    let since = Timestamp(now.0.saturating_sub(ASKED_SECONDS));
    match table {
        // The lock is taken for each name, so that the thread that remembers never waits for all.
        Some(table) => state.feed_values(Some(&|name| table.read().was_asked(name, since)), now),
        None => state.feed_values(None, now),
    }
}

/// What was seen of a name or address.
pub fn pdns(
    table: &pdns::Table,
    state: &Published,
    question: &pdns::question::Question,
    now: Timestamp,
) -> Result<pdns::question::Answer, Diagnostic> {
    let holder =
        |name: NameRef<'_>| observer::holder_of(&state.standings, name).map(NameRef::to_owned);
    table.answer(question, holder, now).map_err(|error| {
        Diagnostic::error(error.to_string())
            .hint("write a name such as `shop.example`, an address, or `.` for everything")
    })
}

/// The worst AS.
pub fn asn_ranking(state: &Published, question: &AsnRankQuestion, now: Timestamp) -> AsnRanking {
    let family = if question.v6 { Family::V6 } else { Family::V4 };
    state.asn_ranking(family, question.circl, question.days, question.count, now)
}

/// Why an indicator is answered as it is, as far as can be said without resolving.
pub fn why(state: &Published, question: &WhyQuestion, now: Timestamp) -> Result<Why, Diagnostic> {
    Ok(match about(question)? {
        About::Name(subject) => state.why(&subject, None, now),
        About::Network(network) => state.why_network(&network, now),
    })
}

/// What a question is about.
enum About {
    Name(Subject),
    Network(Indicator),
}

fn about(question: &WhyQuestion) -> Result<About, Diagnostic> {
    let indicator = Indicator::parse(&question.indicator).map_err(|error| {
        Diagnostic::error(format!("`{}` is not a name: {error}", question.indicator))
            .hint("write a host name such as `login.bad.net`, an address, a prefix or `AS64500`")
    })?;
    let name = match indicator {
        Indicator::Domain(name) => name,
        network => return Ok(About::Network(network)),
    };
    let rtype = match &question.rtype {
        None => RecordType::A,
        Some(text) => text.to_ascii_uppercase().parse::<RecordType>().map_err(|_| {
            Diagnostic::error(format!("`{text}` is not a record type"))
                .hint("write its name, such as `AAAA` or `HTTPS`")
        })?,
    };
    let rtype = u16::from(rtype);
    let subject = Subject {
        name,
        rtype,
        client: question.client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        transport: match question.transport.as_deref() {
            None | Some("udp") => Transport::Udp,
            Some("tcp") => Transport::Tcp,
            Some(other) => {
                return Err(Diagnostic::error(format!("`{other}` is not a transport"))
                    .hint("`udp` or `tcp`, as which encrypted transports count"));
            }
        },
        dnssec_ok: question.dnssec_ok,
        recursion_desired: !question.no_recursion,
    };
    Ok(About::Name(subject))
}

impl Voice {
    /// Hands the writer a model and waits until scores go by it. A writer that is gone is being
    /// stopped; the next start reads the file.
    async fn put_in_force(&self, model: Model) {
        let (say, told) = oneshot::channel();
        if self.events.send(Event::Model(Box::new(model), say)).is_ok() {
            let _ = told.await;
        }
    }
}

/// The same with how prediction stands.
pub fn with_prediction(status: Status, prediction: PredictionSays) -> Status {
    let mut status = status;
    let why = match (&prediction.model, &prediction.failure) {
        _ if !prediction.enabled => Some("`[prediction]` is off".to_owned()),
        (None, Some((_, error))) => Some(error.clone()),
        (None, None) => Some("no model has been trained yet".to_owned()),
        (Some(_), _) => None,
    };
    status.not_running.extend(why.map(|why| format!("prediction: {why}")));
    status.prediction = Some(prediction);
    status
}

/// How the program is.
pub fn status(
    state: &Published,
    book: &Book,
    policy: PolicySays,
    fixed: &Fixed,
    now: Timestamp,
) -> Status {
    let zones: Vec<ZoneSays> =
        state.snapshot.zones().map(|zone| zone_says(state, zone, fixed)).collect();
    let sources = book.counts();
    let mut not_running = fixed.not_running.clone();
    for feed in book.says(now) {
        let why = match (feed.state.as_str(), &feed.off_because, &feed.error) {
            ("off", Some(reason), _) => format!("source {}: {reason}", feed.id),
            ("empty", _, Some((_, error))) => {
                format!("source {}: no copy yet, and {error}", feed.id)
            }
            ("empty", ..) => format!("source {}: no copy yet", feed.id),
            _ => continue,
        };
        not_running.push(why);
    }
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        running: fixed.started_at.is_some(),
        started_at: fixed.started_at.map(|at| at.0),
        at: now.0,
        listening: fixed.listening.clone(),
        upstream: fixed.upstream.clone(),
        mode: mode(state.policy.mode).to_owned(),
        snapshot: SnapshotSays {
            id: state.snapshot.id().to_string(),
            made_at: state.made_at.0,
            rules: zones.iter().map(|zone| zone.rules).sum(),
            octets: state.snapshot.zones().map(|zone| zone.zone.size_octets()).sum(),
        },
        levels: state.tally.levels,
        popularity: PopularitySays {
            lists: state.standings.popularity.lists,
            domains: state.standings.popularity.len(),
            short_history: state.standings.popularity.short_history,
        },
        prediction: None,
        zones,
        sources,
        policy,
        not_running,
    }
}

fn zone_says(state: &Published, zone: &crate::zone::PolicyZone, fixed: &Fixed) -> ZoneSays {
    let leaves = outward::leaves(zone, state.snapshot.exempt_groups());
    let exported = fixed.export.as_ref().filter(|_| leaves);
    ZoneSays {
        name: zone.zone.origin().to_string(),
        serial: zone.zone.soa().serial.0,
        rules: zone.zone.len(),
        mode: mode(zone.options.mode).to_owned(),
        groups: state.policy.group_names(zone.options.groups).map(str::to_owned).collect(),
        exported: exported
            .map(|directory| file::path(directory, zone.zone.origin()).display().to_string()),
        published: None,
        secondary: None,
    }
}

/// The same with how zones of other publishers are; those of which nothing is in force stand at the
/// end.
pub fn with_secondaries(status: Status, secondaries: Vec<(Name, SecondarySays)>) -> Status {
    let mut status = status;
    for (name, says) in secondaries {
        status.not_running.extend(out_of_date(&name, &says));
        let name = name.to_string();
        match status.zones.iter_mut().find(|zone| zone.name == name) {
            Some(zone) => zone.secondary = Some(says),
            None => status.zones.push(ZoneSays {
                name,
                serial: 0,
                rules: 0,
                mode: "off".to_owned(),
                groups: Vec::new(),
                exported: None,
                published: None,
                secondary: Some(says),
            }),
        }
    }
    status
}

/// What is said loudly of a zone whose publisher is silent.
fn out_of_date(name: &Name, says: &SecondarySays) -> Option<String> {
    let reason = says.error.as_ref().map_or(String::new(), |error| format!(", and {error}"));
    match says.state.as_str() {
        "waiting" => Some(format!("zone {name}: no version came yet{reason}")),
        "unloaded" => Some(format!("zone {name}: expired, and out of force{reason}")),
        "expired" => Some(format!("zone {name}: expired; its last version stays in force{reason}")),
        _ => None,
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Off => "off",
        Mode::Observe => "observe",
        Mode::Enforce => "enforce",
    }
}
