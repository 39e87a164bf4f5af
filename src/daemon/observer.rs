//! The thread that remembers what is resolved here.
//!
//! It takes answers of the upstream and queries of clients from two bounded channels, puts them
//! into the table of [`crate::pdns`], writes what has changed to disk once a minute and at the end,
//! and hands scores a view of it now and then. Nobody waits for it.
//!
//! A client's address goes no further than this file: it becomes a hash under a key that is drawn
//! anew each day and never written down.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::watching::Watching;
use super::writer::{Event, Events};
use crate::diagnostic::Diagnostic;
use crate::ledger::{PdnsFile, put_aside};
use crate::model::time::Clock;
use crate::model::{Action, NameRef, Timestamp};
use crate::pdns::{self, ClientMark, Limits, Table, Value, View};
use crate::pipeline::{Published, Standings};
use crate::ports::Security;
use crate::ports::upstream::RCODE_NO_ERROR;
use crate::predict::Site;
use crate::resolver::cache::{Answered, Tapped};
use crate::telemetry::events::{EventReceiver, QueryEvent};
use crate::telemetry::{Metrics, Outcome};

/// How long the thread sleeps where nothing comes.
const LOOK: Duration = Duration::from_millis(250);
/// What is taken from a channel at once, so that neither keeps the other waiting.
const BATCH: usize = 16_384;
/// Between two rounds of writing.
const SAVE_SECONDS: u32 = 60;
/// Between two views; everything is judged anew as often.
const VIEW_SECONDS: u32 = 15 * 60;
/// The first view after a start comes as soon as sources had a moment.
const FIRST_VIEW_SECONDS: u32 = 60;
/// An IPv6 client is the /64 it is in: hosts change the rest of their address daily.
const V6_CLIENT_OCTETS: usize = 8;

/// The word of the action that changes nothing.
const PASSTHRU: &str = Action::Passthru.as_str();

/// The table as others may look into it.
pub type Shared = Arc<RwLock<Table>>;

/// Everything the thread holds.
pub struct Observer {
    /// What was seen.
    pub table: Shared,
    /// Where it is kept.
    pub file: PdnsFile,
    /// Answers of the upstream.
    pub answers: Tapped,
    /// Queries of clients.
    pub queries: EventReceiver,
    /// Looks for signs; none where nobody wants any.
    pub watching: Option<Watching>,
    /// The state in force.
    pub published: watch::Receiver<Arc<Published>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The writer.
    pub events: Events,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// Who holds a name: its registrable domain, or the tenant of a platform. None for what belongs to
/// nobody in particular, and for names of special use, which mean something else in every network.
pub fn holder_of<'n>(standings: &Standings, name: NameRef<'n>) -> Option<NameRef<'n>> {
    if standings.special_use.is_name(name) {
        return None;
    }
    Some(Site::of(name, &standings.suffixes, &standings.shared_hosts)?.holding)
}

/// Opens the file and reads what was seen before. A damaged file is put aside and said.
pub fn open(
    state: &std::path::Path,
    limits: Limits,
    standings: &Standings,
    now: Timestamp,
) -> Result<(PdnsFile, Table, Option<Diagnostic>), Diagnostic> {
    let path = PdnsFile::path(state);
    let holder = |name: NameRef<'_>| holder_of(standings, name).map(NameRef::to_owned);
    let refused = |error: &dyn std::fmt::Display| {
        Diagnostic::error(error.to_string())
            .hint("move the file away, or run the version of this program that wrote it")
    };
    let read = || {
        let mut file = PdnsFile::open(&path)?;
        let table = file.load(limits, now, holder);
        let table = table
            .map_err(|error| crate::ledger::Refusal::Database { path: path.clone(), error })?;
        Ok((file, table))
    };
    match read() {
        Ok((file, table)) => Ok((file, table, None)),
        Err(refusal) => {
            let refusal: crate::ledger::Refusal = refusal;
            if !refusal.is_damage() {
                return Err(refused(&refusal));
            }
            let aside = put_aside(&path, now.0).map_err(|error| refused(&error))?;
            let file = PdnsFile::open(&path).map_err(|error| refused(&error))?;
            let finding = Diagnostic::warning(refusal.to_string())
                .hint(format!("it is kept as {}; a new one is begun", aside.display()));
            Ok((file, Table::new(limits, now), Some(finding)))
        }
    }
}

impl Observer {
    /// Starts the thread; it ends, with everything written, once `stop` is cancelled.
    pub fn start(self, stop: CancellationToken) -> Result<JoinHandle<()>, Diagnostic> {
        std::thread::Builder::new()
            .name("observer".to_owned())
            .spawn(move || self.run(&stop))
            .map_err(|error| Diagnostic::error(format!("no thread: {error}")))
    }

    fn run(mut self, stop: &CancellationToken) {
        let started = self.clock.now();
        let (mut saved_at, mut key) = (started, DayKey::draw(started));
        let mut view_at = started.plus_seconds(FIRST_VIEW_SECONDS);
        while !stop.is_cancelled() {
            let Ok(first) = self.answers.wait(LOOK) else { break };
            let now = self.clock.now();
            key.turn(now);
            self.take_in(first, now, &key);
            if saved_at.age_seconds(now) >= SAVE_SECONDS {
                self.save(now);
                saved_at = now;
            }
            if view_at <= now {
                self.show(now);
                view_at = now.plus_seconds(VIEW_SECONDS);
            }
        }
        self.save(self.clock.now());
    }

    fn take_in(&mut self, first: Option<Answered>, now: Timestamp, key: &DayKey) {
        let published = self.published.borrow().clone();
        let standings = &published.standings;
        let mut table = self.table.write();
        for answered in first.into_iter().chain(self.answers.drain(BATCH)) {
            note_answer(&mut table, standings, &answered, now);
        }
        for query in self.queries.drain(BATCH) {
            note_query(&mut table, standings, &query, key);
            if let Some(watching) = &mut self.watching {
                watch(watching, &published, &query);
            }
        }
        drop(table);
        self.metrics.events_dropped.inc_by(self.queries.take_lost() + self.answers.take_lost());
    }

    fn save(&mut self, now: Timestamp) {
        let published = self.published.borrow().clone();
        let holder =
            |name: NameRef<'_>| holder_of(&published.standings, name).map(NameRef::to_owned);
        let mut table = self.table.write();
        table.tidy(now, holder);
        let (since, changes) = (table.since, table.take_changes());
        drop(table);
        if let Err(error) = self.file.save(since, &changes) {
            tracing::error!(%error, "what was seen in the last minute is not kept");
        }
    }

    fn show(&self, now: Timestamp) {
        let published = self.published.borrow().clone();
        let view = Arc::new(view(&self.table.read(), &published, now));
        tracing::debug!(domains = view.len(), "scores have a new view of what was seen");
        // A writer that is gone is being stopped.
        let _ = self.events.send(Event::Standings(Box::new(move |s| s.seen = view)));
    }
}

/// What scores need of what was seen.
pub fn view(table: &Table, published: &Published, now: Timestamp) -> View {
    let standings = &published.standings;
    let appraiser = published.appraiser(now);
    View::of(&pdns::Material {
        table,
        now,
        holder: &|name| holder_of(standings, name).map(NameRef::to_owned),
        is_bad: &|name| appraiser.is_blocked_by_itself(name),
        is_popular: &|name| standings.of(name).rank.is_some_and(|rank| rank <= 1_000_000),
        is_left_out: &|_| false,
        registered_together: &|name| standings.registered.group(name),
        routes: &standings.neighbourhood.table,
    })
}

fn note_answer(table: &mut Table, standings: &Standings, answered: &Answered, now: Timestamp) {
    let resolution = &answered.resolution;
    let sound = resolution.rcode == RCODE_NO_ERROR
        && !resolution.is_negative
        && resolution.security != Security::Bogus;
    if !sound {
        return;
    }
    let steps = &resolution.facts.steps;
    for (at, step) in steps.iter().enumerate() {
        let name = step.name.as_ref();
        let Some(holder) = holder_of(standings, name) else { continue };
        if !table.see_name(name, holder, now) {
            continue;
        }
        for address in &step.addresses {
            table.see_record(&step.name, Value::Address(*address), now);
        }
        if let Some(target) = steps.get(at + 1) {
            table.see_record(&step.name, Value::Alias(target.name.clone()), now);
        }
        for server in step.nameservers.iter().flat_map(|cut| cut.iter()) {
            if server.zone.as_ref().is_at_or_below(holder) {
                table.see_record(&server.zone, Value::Server(server.name.clone()), now);
            }
        }
    }
}

fn watch(watching: &mut Watching, published: &Published, query: &QueryEvent) {
    let Ok(name) = query.name.to_name() else { return };
    if let Some(holder) = holder_of(&published.standings, name.as_ref()) {
        watching.see(published, query, name.as_ref(), holder);
    }
}

fn note_query(table: &mut Table, standings: &Standings, query: &QueryEvent, key: &DayKey) {
    let resolved = query.outcome == Outcome::Resolved && query.rcode == RCODE_NO_ERROR;
    let kept = query.policy.as_ref().is_some_and(|hit| hit.enforced && hit.action != PASSTHRU);
    if !resolved && !kept {
        return;
    }
    let Ok(name) = query.name.to_name() else { return };
    let name = name.as_ref();
    let Some(holder) = holder_of(standings, name) else { return };
    match kept {
        true => table.see_kept(name, holder, query.at, key.mark(query.client)),
        false => table.see_query(name, holder, query.at, key.mark(query.client)),
    }
}

/// The key of a day, under which clients are told apart on that day alone.
#[derive(Debug)]
struct DayKey {
    day: u32,
    key: u64,
}

impl DayKey {
    fn draw(now: Timestamp) -> Self {
        Self { day: now.0 / 86_400, key: rand::random() }
    }

    fn turn(&mut self, now: Timestamp) {
        if self.day != now.0 / 86_400 {
            *self = Self::draw(now);
        }
    }

    fn mark(&self, client: IpAddr) -> ClientMark {
        let hash = match client.to_canonical() {
            IpAddr::V4(client) => xxh3_64_with_seed(&client.octets(), self.key),
            IpAddr::V6(client) => xxh3_64_with_seed(&client.octets()[..V6_CLIENT_OCTETS], self.key),
        };
        ClientMark(hash as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;
    use crate::model::{AnswerFacts, AnswerStep, Nameserver};
    use crate::ports::{Question, Resolution};
    use crate::resolver::cache::testing;
    use crate::telemetry::Transport;
    use crate::telemetry::events::AskedName;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn name(text: &str) -> Name {
        Name::from_host(text).unwrap()
    }

    fn table() -> Table {
        Table::new(Limits { size_octets_max: 1 << 20, age_seconds_max: 86_400 }, NOW)
    }

    fn answered(steps: Vec<AnswerStep>) -> Answered {
        let resolution = testing::address("x.test", 60);
        let facts = AnswerFacts { steps, signed: false };
        let resolution = Arc::new(Resolution { facts, ..(*resolution).clone() });
        Answered { question: Question::plain(name("x.test"), 1), resolution }
    }

    fn step(host: &str, addresses: &[&str], zone: Option<&str>) -> AnswerStep {
        let server = |zone: &str| -> Arc<[Nameserver]> {
            [Nameserver { zone: name(zone), name: name("ns.host.org"), addresses: Vec::new() }]
                .into()
        };
        AnswerStep {
            name: name(host),
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            nameservers: zone.into_iter().map(server).collect(),
        }
    }

    #[test]
    fn an_answer_leaves_its_chain_its_addresses_and_its_servers() {
        let mut table = table();
        let steps = vec![
            step("www.shop.com", &[], Some("shop.com")),
            step("edge.cdn.net", &["192.0.2.7"], Some("net")),
        ];
        note_answer(&mut table, &Standings::default(), &answered(steps), NOW);
        let records: Vec<String> =
            table.records().map(|(n, v, _)| format!("{n} {} {v}", v.rtype())).collect();
        assert_eq!(
            records,
            [
                "shop.com NS ns.host.org",
                "www.shop.com CNAME edge.cdn.net",
                "edge.cdn.net A 192.0.2.7"
            ]
        );
    }

    #[test]
    fn what_belongs_to_nobody_and_what_is_no_answer_leaves_nothing() {
        let mut table = table();
        for host in ["co.uk", "printer.local", "1.0.0.127.in-addr.arpa"] {
            let said = answered(vec![step(host, &["192.0.2.7"], None)]);
            note_answer(&mut table, &Standings::default(), &said, NOW);
        }
        let good = answered(vec![step("a.com", &[], None)]);
        let negative = Resolution { is_negative: true, ..(*good.resolution).clone() };
        let said = Answered { resolution: Arc::new(negative), ..good.clone() };
        note_answer(&mut table, &Standings::default(), &said, NOW);
        let bogus = Resolution { security: Security::Bogus, ..(*good.resolution).clone() };
        let said = Answered { resolution: Arc::new(bogus), ..good };
        note_answer(&mut table, &Standings::default(), &said, NOW);
        assert_eq!(table.counts(), (0, 0));
    }

    #[test]
    fn a_client_is_the_same_for_a_day_and_nobody_the_day_after() {
        let mut key = DayKey { day: 1, key: 7 };
        let clients: Vec<IpAddr> =
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]
                .iter()
                .map(|text| text.parse().unwrap())
                .collect();
        let marks: Vec<ClientMark> = clients.iter().map(|client| key.mark(*client)).collect();
        assert_eq!((marks[0], marks[3]), (marks[1], marks[4]));
        assert_ne!(marks[0], marks[2]);
        key.turn(Timestamp(86_400));
        assert_eq!(key.mark(clients[0]), marks[0]);
        key.turn(Timestamp(2 * 86_400));
        assert_ne!(key.key, 7, "a key is drawn for each day");
    }

    #[test]
    fn only_queries_that_were_resolved_count() {
        let mut table = table();
        let said = answered(vec![step("a.com", &["192.0.2.7"], None)]);
        note_answer(&mut table, &Standings::default(), &said, NOW);
        let key = DayKey { day: 11, key: 7 };
        for (outcome, rcode) in
            [(Outcome::Resolved, 0), (Outcome::Resolved, 3), (Outcome::Rewritten, 0)]
        {
            let query = QueryEvent {
                at: NOW,
                client: "192.0.2.1".parse().unwrap(),
                transport: Transport::Udp,
                name: AskedName::new(b"\x01A\x03com\0").unwrap(),
                rtype: 1,
                outcome,
                rcode,
                policy: None,
                cache: None,
                waited_microseconds: 0,
            };
            note_query(&mut table, &Standings::default(), &query, &key);
        }
        assert_eq!(table.host(name("a.com").as_ref()).unwrap().queries, [1, 0]);
    }
}
