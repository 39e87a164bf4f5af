//! What the daemon says of itself over its socket.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use hickory_proto::rr::RecordType;
use tokio::sync::{mpsc, oneshot, watch};

use super::book::Book;
use crate::api::{Answers, AsnQuestion, AsnRankQuestion, Reloaded, WhyQuestion};
use crate::bgp::Family;
use crate::diagnostic::Diagnostic;
use crate::model::time::Clock;
use crate::model::{Indicator, Name, Timestamp};
use crate::pipeline::report::{
    AsnRanking, AsnSays, FeedSays, PolicySays, PopularitySays, SnapshotSays, Status, Why, ZoneSays,
};
use crate::pipeline::{Published, Subject};
use crate::policy::outward;
use crate::publish::file;
use crate::resolver::cache::CachingUpstream;
use crate::resolver::upstream::UpstreamResolver;
use crate::snapshot::Transport;
use crate::telemetry::Metrics;
use crate::zone::Mode;

/// The daemon as its socket sees it.
pub struct Voice {
    /// The state in force.
    pub published: watch::Receiver<Arc<Published>>,
    /// The sources.
    pub book: Arc<Book>,
    /// What is known of the operator's files.
    pub policy: watch::Receiver<PolicySays>,
    /// Asks for the files to be read again.
    pub reload: mpsc::Sender<oneshot::Sender<Reloaded>>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What does not change while the daemon runs.
    pub fixed: Fixed,
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
        self.metrics.encode()
    }

    fn status(&self) -> Status {
        let state = self.published.borrow().clone();
        let policy = self.policy.borrow().clone();
        status(&state, &self.book, policy, &self.fixed, self.clock.now())
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
        why(&state, &question, now)
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

    async fn accept(&self, source: String) -> Result<usize, Diagnostic> {
        self.book.accept(&source)
    }
}

/// The worst AS.
pub fn asn_ranking(state: &Published, question: &AsnRankQuestion, now: Timestamp) -> AsnRanking {
    let family = if question.v6 { Family::V6 } else { Family::V4 };
    state.asn_ranking(family, question.circl, question.days, question.count, now)
}

/// Why an indicator is answered as it is.
pub fn why(state: &Published, question: &WhyQuestion, now: Timestamp) -> Result<Why, Diagnostic> {
    let indicator = Indicator::parse(&question.indicator).map_err(|error| {
        Diagnostic::error(format!("`{}` is not a name: {error}", question.indicator))
            .hint("write a host name such as `login.bad.net`, an address, a prefix or `AS64500`")
    })?;
    let name = match indicator {
        Indicator::Domain(name) => name,
        network => return Ok(state.why_network(&network, now)),
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
        transport: Transport::Udp,
    };
    Ok(state.why(&subject, None, now))
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
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Off => "off",
        Mode::Observe => "observe",
        Mode::Enforce => "enforce",
    }
}
