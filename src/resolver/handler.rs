//! One query from its octets to the octets of its answer.
//!
//! [`Handler::fast`] answers at once from policy, the zones served here and memory, and says where
//! the upstream has to be asked; [`Handler::answer`] waits for it. Both make the answer by the
//! same code ([`super::flow`]), and both take one look at what is in force and keep it.

mod why;

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::access::Access;
use super::cache::{Answer, Cached, CachingUpstream, Life, QuestionRef};
use super::cookie::{cookie, is_ours};
use super::dns64::Dns64;
use super::flow::{Attempt, Done, Flow, Hits, Resolved};
use super::message::{Incoming, NameBuffer, PAYLOAD_OCTETS_MIN, Request, rcode, read, rtype};
use super::packet_cache::{self, Account, Counted, Found};
use super::rate::{Kind, RateSettings, Rates, Sending};
use super::reply::{Envelope, Reply, SoaWire, truncate, write_header};
use super::special::SpecialZones;
use crate::model::time::Clock;
use crate::model::{RrSet, Timestamp};
use crate::ports::{TransferService, UpstreamError, WhyService};
use crate::snapshot::Snapshot;
use crate::telemetry::events::{AskedName, EventSender, PolicyHit, QueryEvent};
use crate::telemetry::{Loss, Metrics, Outcome, Shard, Transport, ZoneHits};
use crate::zone::PolicyZone;

/// What every message over a connection can hold (RFC 1035 section 4.2.2).
pub const MESSAGE_OCTETS_MAX: usize = 65_535;
/// Questions that are asked for one query: the one that was put, one about the target of a policy's
/// alias, each once more about IPv4 addresses (DNS64), and as many again where what is in memory
/// changes meanwhile.
const QUESTIONS_MAX: usize = 8;
/// Prohibited and Invalid Query Type (RFC 8914 section 4.19, RFC 9824 section 3.5).
const PROHIBITED: u16 = 18;
const INVALID_QUERY_TYPE: u16 = 30;
/// Seconds to keep the answer to ANY; RFC 8482 section 4.2 leaves it to the operator.
const MINIMAL_ANY_TTL: u32 = 3600;

/// Who asks, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The address it comes from.
    pub address: SocketAddr,
    /// How the query came.
    pub transport: Transport,
    /// How long its connection may be idle, in units of 100 ms, if that is to be told (RFC 7828).
    pub keepalive: Option<u16>,
}

impl Client {
    /// A client whose query came in a datagram.
    pub fn udp(address: SocketAddr) -> Self {
        Self { address, transport: Transport::Udp, keepalive: None }
    }
}

/// What a handler does its own way.
#[derive(Debug, Clone)]
pub struct HandlerSettings {
    /// Who is answered.
    pub access: Access,
    /// How long a client waits for the upstream before it gets SERVFAIL. Stub resolvers ask again
    /// after 5 s (`resolv.conf`) and by then want an answer.
    pub deadline: Duration,
    /// The largest datagram sent or taken: 1232 octets pass every network without fragments (DNS
    /// flag day 2020).
    pub payload_octets: u16,
    /// The secret of cookies; servers behind one address share it (RFC 9018).
    pub cookie_secret: [u8; 16],
    /// How addresses are made up for clients that have IPv6 alone, if they are.
    pub dns64: Option<Dns64>,
    /// How often clients are answered.
    pub rates: RateSettings,
}

impl HandlerSettings {
    /// Private clients, 4.5 s, 1232 octets.
    pub fn new(cookie_secret: [u8; 16]) -> Self {
        Self {
            access: Access::default(),
            deadline: Duration::from_millis(4500),
            payload_octets: 1232,
            cookie_secret,
            dns64: None,
            rates: RateSettings::default(),
        }
    }
}

/// The policy in force, with the counters of its zones.
#[derive(Debug)]
pub struct InForce {
    snapshot: Arc<Snapshot>,
    zones: Box<[ZoneParts]>,
}

/// What replies and counters need of a zone, made once.
struct ZoneParts {
    name: Arc<str>,
    soa: SoaWire,
    hits: Arc<ZoneHits>,
}

impl std::fmt::Debug for ZoneParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.name.fmt(f)
    }
}

/// A policy zone in force.
#[derive(Clone, Copy)]
pub(super) struct ZoneInForce<'f> {
    pub policy: &'f PolicyZone,
    pub name: &'f str,
    pub soa: &'f SoaWire,
}

impl InForce {
    /// A snapshot, whose zones count their hits in `metrics` under their names.
    pub fn new(snapshot: Arc<Snapshot>, metrics: &Metrics) -> Self {
        let zones = snapshot
            .zones()
            .map(|zone| {
                let origin = zone.zone.origin();
                let name: Arc<str> = origin.to_string().into();
                let soa = SoaWire::new(origin, zone.zone.soa());
                ZoneParts { hits: metrics.zone_hits(&name), name, soa }
            })
            .collect();
        Self { snapshot, zones }
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The zone at a position of the snapshot.
    pub(super) fn zone(&self, position: usize) -> Option<ZoneInForce<'_>> {
        let policy = self.snapshot.zone(position)?;
        let ZoneParts { name, soa, .. } = self.zones.get(position)?;
        Some(ZoneInForce { policy, name, soa })
    }

    /// Counts a hit.
    pub(super) fn count(&self, hit: Counted) -> Option<PolicyHit> {
        let Counted { kind, action, enforced, .. } = hit;
        let zone = self.zones.get(hit.zone)?;
        zone.hits.add_word(kind, action, enforced);
        Some(PolicyHit { zone: Arc::clone(&zone.name), trigger: kind, action, enforced })
    }
}

/// The time, read once for a batch of queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By the wall clock.
    pub time: Timestamp,
    /// By the cache's clock, in milliseconds.
    pub cache: u64,
}

/// What is in force for queries that came together, looked at once.
pub struct Look {
    manner: Guard<Arc<Manner>>,
    in_force: Guard<Arc<InForce>>,
    /// The time.
    pub now: Now,
}

/// Replies of one thread, for packets that come again.
pub type PacketCache = packet_cache::PacketCache<Manner, InForce>;

/// What may be exchanged while queries are answered.
pub struct Manner {
    settings: HandlerSettings,
    special: SpecialZones,
}

/// Everything an answer is made of.
pub struct Handler {
    manner: ArcSwap<Manner>,
    /// Keys hashes of what clients choose.
    seed: u64,
    rates: Rates,
    in_force: Arc<ArcSwap<InForce>>,
    upstream: Arc<CachingUpstream>,
    runtime: Handle,
    transfers: Option<Arc<dyn TransferService>>,
    why: Option<Arc<dyn WhyService>>,
    clock: Arc<dyn Clock>,
    events: EventSender,
    minimal_any: [RrSet; 1],
}

/// What the parts of a handler are.
pub struct Parts {
    /// Zones served here.
    pub special: SpecialZones,
    /// The policy; whoever publishes it stores a new one.
    pub in_force: Arc<ArcSwap<InForce>>,
    /// Answers known already, and who is asked for others.
    pub upstream: Arc<CachingUpstream>,
    /// Where answers are renewed ahead of time.
    pub runtime: Handle,
    /// Who answers transfers, if zones are published.
    pub transfers: Option<Arc<dyn TransferService>>,
    /// Who says why names are blocked, if somebody may ask.
    pub why: Option<Arc<dyn WhyService>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where each query is reported.
    pub events: EventSender,
}

/// What became of a query at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fast {
    /// The reply is written.
    Reply,
    /// No reply is due.
    Silent,
    /// Someone has to be asked: [`Handler::answer`].
    Slow,
}

/// What a message comes to before policy.
enum Opening<'p> {
    Silent,
    /// The reply is written.
    Refused(Outcome),
    Transfer(&'p Arc<dyn TransferService>),
    Question(Request<'p>),
}

impl Handler {
    /// A handler of these parts.
    pub fn new(settings: HandlerSettings, parts: Parts) -> Self {
        let Parts { special, in_force, upstream, runtime, transfers, why, clock, events } = parts;
        // RFC 8482 section 4.2: CPU "RFC8482", OS the empty string.
        let hinfo = RrSet {
            rtype: rtype::HINFO,
            ttl: MINIMAL_ANY_TTL,
            rdata: vec![b"\x07RFC8482\0".as_slice().into()],
        };
        let seed = settings.cookie_secret.first_chunk().map_or(0, |s| u64::from_be_bytes(*s));
        Self {
            manner: ArcSwap::from_pointee(Manner { settings, special }),
            seed,
            rates: Rates::new(seed),
            in_force,
            upstream,
            runtime,
            transfers,
            why,
            clock,
            events,
            minimal_any: [hinfo],
        }
    }

    /// Puts other settings and zones in place, from the next query on.
    pub fn replace(&self, settings: HandlerSettings, special: SpecialZones) {
        self.manner.store(Arc::new(Manner { settings, special }));
    }

    /// The cache and who is asked.
    pub fn upstream(&self) -> &Arc<CachingUpstream> {
        &self.upstream
    }

    /// The time, to be read once for a batch of queries.
    pub fn now(&self) -> Now {
        Now { time: self.clock.now(), cache: self.upstream.now() }
    }

    /// A cache for the replies of one thread, see [`Self::fast_from`].
    pub fn packet_cache(&self) -> PacketCache {
        PacketCache::new(self.seed)
    }

    /// Answers without waiting. The reply is in `out`, which is emptied first.
    pub fn fast(
        &self,
        packet: &[u8],
        client: Client,
        now: Now,
        shard: &Shard,
        out: &mut Vec<u8>,
    ) -> Fast {
        let manner = self.manner.load();
        if !self.may_ask(&manner, client, now, shard) {
            return Fast::Silent;
        }
        let in_force = self.in_force.load();
        let query = (packet, client, now);
        self.fresh(&manner, &in_force, query, shard, &Memory::default(), out).0
    }

    /// What is in force now, for datagrams that came together.
    pub fn look(&self, packets: &mut PacketCache) -> Look {
        let look =
            Look { manner: self.manner.load(), in_force: self.in_force.load(), now: self.now() };
        packets.align(&look.manner, &look.in_force, self.upstream.cache().flushes());
        look
    }

    /// The same for a datagram, where a packet that came before may get the reply of then.
    pub fn fast_from(
        &self,
        packets: &mut PacketCache,
        look: &Look,
        packet: &[u8],
        client: Client,
        shard: &Shard,
        out: &mut Vec<u8>,
    ) -> Fast {
        let Look { manner, in_force, now } = look;
        let now = *now;
        if !self.may_ask(manner, client, now, shard) {
            return Fast::Silent;
        }
        let query = (packet, client, now);
        let settings = &manner.settings;
        let address = client.address.ip();
        // A rate of responses looks at each one, and addresses are made up for some clients alone.
        let key = (settings.rates.responses_per_second == 0
            && settings.dns64.is_none()
            && settings.access.allows(address))
        .then(|| packets.key(packet, in_force.snapshot().audience(address)?))
        .flatten();
        let Some(key) = key else {
            return self.fresh(manner, in_force, query, shard, &Memory::default(), out).0;
        };
        let memory = match packets.find(key, packet, now.cache, out) {
            Found::Reply(account) => {
                self.report_again(packet, client, account, in_force, out, now, shard);
                return Fast::Reply;
            }
            Found::Due(given) => Memory::given(given),
            Found::Nothing => Memory::default(),
        };
        let (fast, account) = self.fresh(manner, in_force, query, shard, &memory, out);
        if let (Fast::Reply, Some(account)) = (fast, account) {
            match memory.used.get() {
                Used::Nothing if account.cache.is_none() => {
                    packets.keep(key, packet, out, account, None);
                }
                Used::Answer(life) if now.cache < life.until => {
                    packets.keep(key, packet, out, account, Some((life, life.age(now.cache))));
                }
                _ => {}
            }
        }
        fast
    }

    /// Whether the rate of questions lets this client's next one in.
    fn may_ask(&self, manner: &Manner, client: Client, now: Now, shard: &Shard) -> bool {
        let may = self.rates.take_query(&manner.settings.rates, client.address.ip(), now.cache);
        if !may {
            shard.lost(client.transport, Loss::RateLimited);
        }
        may
    }

    /// Answers as if for the first time. With a reply comes what is to be said of it when it is
    /// given out again, if it may be.
    fn fresh(
        &self,
        manner: &Manner,
        in_force: &InForce,
        (packet, client, now): (&[u8], Client, Now),
        shard: &Shard,
        memory: &Memory,
        out: &mut Vec<u8>,
    ) -> (Fast, Option<Account>) {
        let mut buffer = NameBuffer::default();
        let request = match self.open(manner, packet, client, now, &mut buffer, out) {
            Opening::Silent => {
                shard.lost(client.transport, Loss::NoQuery);
                return (Fast::Silent, None);
            }
            Opening::Refused(outcome) => {
                if !self.may_leave(manner, None, client, now, out) {
                    shard.lost(client.transport, Loss::RateLimited);
                    return (Fast::Silent, None);
                }
                shard.query(client.transport, outcome);
                return (Fast::Reply, None);
            }
            Opening::Transfer(_) => return (Fast::Slow, None),
            Opening::Question(request) => request,
        };
        let resolved = Resolved::new();
        match self.attempt(manner, &request, client, in_force, &resolved, now, memory, out) {
            Attempt::Needs(_) => (Fast::Slow, None),
            Attempt::Done(done) => {
                let silent = done.outcome == Outcome::Silent;
                if !silent && !self.may_leave(manner, Some(&request), client, now, out) {
                    shard.lost(client.transport, Loss::RateLimited);
                    return (Fast::Silent, None);
                }
                let account = done.account().filter(|_| request.has_no_options());
                self.report(&request, client, done, out, now, Duration::ZERO, shard);
                (if silent { Fast::Silent } else { Fast::Reply }, account)
            }
        }
    }

    /// Answers, asking the upstream where that is necessary. None is silence.
    pub async fn answer(&self, packet: &[u8], client: Client, shard: &Shard) -> Option<Vec<u8>> {
        let mut buffer = NameBuffer::default();
        let manner = self.manner.load_full();
        // Other transports come by `fast` first, which has counted the question.
        let uncounted =
            matches!(client.transport, Transport::Doh | Transport::Doq | Transport::Doh3);
        let (rates, address) = (&manner.settings.rates, client.address.ip());
        if uncounted && !self.rates.take_query(rates, address, self.now().cache) {
            shard.lost(client.transport, Loss::RateLimited);
            return None;
        }
        let mut out = Vec::with_capacity(usize::from(manner.settings.payload_octets));
        let request = match self.open(&manner, packet, client, self.now(), &mut buffer, &mut out) {
            Opening::Silent => {
                shard.lost(client.transport, Loss::NoQuery);
                return None;
            }
            Opening::Refused(outcome) => {
                shard.query(client.transport, outcome);
                return Some(out);
            }
            Opening::Transfer(service) => {
                return service.datagram(packet, client.address).await;
            }
            Opening::Question(request) => request,
        };
        let in_force = self.in_force.load_full();
        let start = Instant::now();
        let deadline = start + manner.settings.deadline;
        let mut resolved = Resolved::new();
        let memory = Memory::default();
        loop {
            let now = self.now();
            let attempt = self
                .attempt(&manner, &request, client, &in_force, &resolved, now, &memory, &mut out);
            let question = match attempt {
                Attempt::Done(done) => {
                    let silent = done.outcome == Outcome::Silent;
                    if !silent && !self.may_leave(&manner, Some(&request), client, now, &mut out) {
                        shard.lost(client.transport, Loss::RateLimited);
                        return None;
                    }
                    let waited = start.elapsed();
                    self.report(&request, client, done, &out, now, waited, shard);
                    return (!silent).then_some(out);
                }
                Attempt::Needs(question) => question,
            };
            let result = match resolved.len() < QUESTIONS_MAX {
                true => {
                    let answering = self.upstream.answer(&question, Some(client.address.ip()));
                    tokio::time::timeout_at(deadline, answering).await.ok()
                }
                false => None,
            };
            resolved.push((question, result.unwrap_or(Err(UpstreamError::Timeout))));
        }
    }

    /// Whether a response over UDP leaves, perhaps truncated, by the rate of its like. A client
    /// that shows a cookie of ours asks for itself.
    fn may_leave(
        &self,
        manner: &Manner,
        request: Option<&Request<'_>>,
        client: Client,
        now: Now,
        out: &mut Vec<u8>,
    ) -> bool {
        let HandlerSettings { rates, cookie_secret, .. } = &manner.settings;
        if rates.responses_per_second == 0 || client.transport != Transport::Udp {
            return true;
        }
        let address = client.address.ip();
        let shown = request.and_then(|request| request.edns?.cookie);
        if shown.is_some_and(|shown| is_ours(cookie_secret, shown, address, now.time)) {
            return true;
        }
        let kind = match (request, out.get(3).map_or(0, |octet| u16::from(octet & 0xf))) {
            (Some(request), rcode::NO_ERROR) => Kind::Data(request.name_wire(), request.rtype),
            (_, rcode::NAME_ERROR) => Kind::NoName,
            _ => Kind::Error,
        };
        match (self.rates.response(rates, address, kind, now.cache), request) {
            (Sending::Whole, _) => true,
            (Sending::Truncated, Some(request)) => {
                truncate(out, request.question_end);
                true
            }
            _ => false,
        }
    }

    /// Who answers this message, if it is about published zones.
    pub fn transfer_service(&self, packet: &[u8]) -> Option<&Arc<dyn TransferService>> {
        let mut buffer = NameBuffer::default();
        match read(packet, &mut buffer) {
            Incoming::Notify => self.transfers.as_ref(),
            Incoming::Query(request) => self.transfer_service_for(&request),
            Incoming::Noise | Incoming::Malformed(_) => None,
        }
    }

    fn transfer_service_for(&self, request: &Request<'_>) -> Option<&Arc<dyn TransferService>> {
        let service = self.transfers.as_ref()?;
        let transfer = matches!(request.rtype, rtype::AXFR | rtype::IXFR);
        let theirs = transfer || (request.rtype == rtype::SOA && service.publishes(request.name));
        theirs.then_some(service)
    }

    /// Everything that can be said before policy.
    fn open<'p>(
        &'p self,
        manner: &Manner,
        packet: &'p [u8],
        client: Client,
        now: Now,
        buffer: &'p mut NameBuffer,
        out: &mut Vec<u8>,
    ) -> Opening<'p> {
        let allowed = manner.settings.access.allows(client.address.ip());
        let header = |code, outcome, out: &mut Vec<u8>| {
            let (code, outcome) =
                if allowed { (code, outcome) } else { (rcode::REFUSED, Outcome::Refused) };
            write_header(packet, code, out);
            Opening::Refused(outcome)
        };
        let request = match read(packet, buffer) {
            Incoming::Noise => return Opening::Silent,
            Incoming::Malformed(code) => return header(code, Outcome::Malformed, out),
            Incoming::Notify => match &self.transfers {
                Some(service) if client.transport == Transport::Udp => {
                    return Opening::Transfer(service);
                }
                _ => return header(rcode::NOT_IMPLEMENTED, Outcome::Malformed, out),
            },
            Incoming::Query(request) => request,
        };
        if client.transport == Transport::Udp
            && let Some(service) = self.transfer_service_for(&request)
        {
            return Opening::Transfer(service);
        }
        if let Some(why) = &self.why
            && refusal(&request).is_none()
            && let Some(says) = why.answer(request.name, client.address.ip())
        {
            return why::reply(says, &request, &manner.envelope(&request, client, now), out);
        }
        let refusal = match allowed {
            false => Some((rcode::REFUSED, Some((PROHIBITED, "")))),
            true => refusal(&request),
        };
        match refusal {
            None => Opening::Question(request),
            Some((code, reason)) => {
                let reply = Reply { reason, ..Reply::empty(code) };
                reply.write(&manner.envelope(&request, client, now), out);
                Opening::Refused(match code {
                    rcode::REFUSED => Outcome::Refused,
                    _ => Outcome::Malformed,
                })
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "an answer takes all of this")]
    fn attempt(
        &self,
        manner: &Manner,
        request: &Request<'_>,
        client: Client,
        in_force: &InForce,
        resolved: &Resolved,
        now: Now,
        memory: &Memory,
        out: &mut Vec<u8>,
    ) -> Attempt {
        let recall = |question: QuestionRef<'_>| self.recall(question, now, memory);
        let flow = Flow {
            request,
            envelope: manner.envelope(request, client, now),
            client,
            in_force,
            special: &manner.special,
            minimal_any: &self.minimal_any,
            dns64: manner.settings.dns64.as_ref().filter(|d| d.serves(client.address.ip())),
            recall: &recall,
            resolved,
        };
        flow.attempt(out)
    }

    /// What is known without asking. An answer that is popular and near its end is renewed.
    fn recall(
        &self,
        question: QuestionRef<'_>,
        now: Now,
        memory: &Memory,
    ) -> Option<Result<Answer, UpstreamError>> {
        let cached = self.upstream.cached(question, now.cache, memory.given.take());
        let life = match &cached {
            Some(Cached::Answer { life, .. }) => *life,
            _ => None,
        };
        memory.note(life);
        match cached? {
            Cached::Failure(error) => Some(Err(error)),
            Cached::Answer { answer, refresh, .. } => {
                if refresh {
                    let (upstream, question) = (Arc::clone(&self.upstream), question.to_owned());
                    self.runtime.spawn(async move { upstream.refresh(&question).await });
                }
                Some(Ok(answer))
            }
        }
    }

    /// Says of a reply that was given out again what was said the first time.
    #[expect(clippy::too_many_arguments, reason = "an event tells all there is to tell")]
    fn report_again(
        &self,
        packet: &[u8],
        client: Client,
        account: Account,
        in_force: &InForce,
        reply: &[u8],
        now: Now,
        shard: &Shard,
    ) {
        let Account { outcome, cache, counted } = account;
        shard.query(client.transport, outcome);
        if let Some(lookup) = cache {
            shard.cache(lookup);
            self.upstream.gave();
        }
        let policy = counted.and_then(|hit| in_force.count(hit));
        self.events.send(|| {
            let mut buffer = NameBuffer::default();
            let Incoming::Query(request) = read(packet, &mut buffer) else { return None };
            let done = Done { outcome, policy, cache, counted: Hits::None };
            event(&request, client, done, reply, now, Duration::ZERO)
        });
    }

    #[expect(clippy::too_many_arguments, reason = "an event tells all there is to tell")]
    fn report(
        &self,
        request: &Request<'_>,
        client: Client,
        done: Done,
        reply: &[u8],
        now: Now,
        waited: Duration,
        shard: &Shard,
    ) {
        shard.query(client.transport, done.outcome);
        if let Some(lookup) = done.cache {
            shard.cache(lookup);
        }
        self.events.send(|| event(request, client, done, reply, now, waited));
    }
}

fn event(
    request: &Request<'_>,
    client: Client,
    done: Done,
    reply: &[u8],
    now: Now,
    waited: Duration,
) -> Option<QueryEvent> {
    Some(QueryEvent {
        at: now.time,
        client: client.address.ip(),
        transport: client.transport,
        name: AskedName::new(request.name_wire())?,
        rtype: request.rtype,
        outcome: done.outcome,
        rcode: reply.get(3).map_or(0, |octet| u16::from(octet & 0xf)),
        policy: done.policy,
        cache: done.cache,
        waited_microseconds: u32::try_from(waited.as_micros()).unwrap_or(u32::MAX),
    })
}

/// What an attempt took from the answers' cache, and what that is to be told.
#[derive(Default)]
struct Memory {
    /// How often the answer was given out since the cache was asked last.
    given: Cell<u32>,
    used: Cell<Used>,
}

/// What an attempt took from the answers' cache.
#[derive(Clone, Copy, Default)]
enum Used {
    #[default]
    Nothing,
    /// One answer within its time.
    Answer(Life),
    /// Something that is not worth keeping a reply for: several answers, a failure, nothing.
    Other,
}

impl Memory {
    fn given(given: u32) -> Self {
        Self { given: Cell::new(given), used: Cell::default() }
    }

    fn note(&self, life: Option<Life>) {
        self.used.set(match (self.used.get(), life) {
            (Used::Nothing, Some(life)) => Used::Answer(life),
            _ => Used::Other,
        });
    }
}

impl Manner {
    fn envelope<'r>(&self, request: &'r Request<'r>, client: Client, now: Now) -> Envelope<'r> {
        let edns = request.edns.unwrap_or_default();
        let ours = self.settings.payload_octets;
        let octets_max = match client.transport {
            // Less than 512 means 512 (RFC 6891 section 6.2.3).
            Transport::Udp => usize::from(edns.payload_octets.min(ours).max(PAYLOAD_OCTETS_MIN)),
            _ => MESSAGE_OCTETS_MAX,
        };
        let encrypted = !matches!(client.transport, Transport::Udp | Transport::Tcp);
        let secret = &self.settings.cookie_secret;
        Envelope {
            request,
            octets_max,
            payload_octets: ours,
            cookie: edns.cookie.and_then(|c| cookie(secret, c, client.address.ip(), now.time)),
            keepalive: client.keepalive.filter(|_| edns.keepalive),
            padded: edns.padded && encrypted,
        }
    }
}

/// Why a question is not answered, whoever asks it.
fn refusal<'t>(request: &Request<'_>) -> Option<(u16, Option<(u16, &'t str)>)> {
    if request.edns.is_some_and(|edns| edns.version > 0) {
        // RFC 6891 section 6.1.3.
        return Some((rcode::BAD_VERSION, None));
    }
    if request.class != rtype::CLASS_IN {
        return Some((rcode::REFUSED, None));
    }
    if request.signed {
        // RFC 8945 section 5.2.1: nobody here knows the key.
        return Some((rcode::NOT_AUTHORIZED, None));
    }
    match request.rtype {
        rtype::ANY => None,
        // Zones are published elsewhere or not at all.
        rtype::AXFR | rtype::IXFR => Some((rcode::REFUSED, None)),
        rtype::MAILA | rtype::MAILB => Some((rcode::NOT_IMPLEMENTED, None)),
        // Numbers that stand for no data (RFC 6895 section 3.1, RFC 9824 section 3.5).
        0 | rtype::OPT | rtype::META_FIRST..=rtype::TSIG => {
            Some((rcode::FORMAT_ERROR, Some((INVALID_QUERY_TYPE, ""))))
        }
        _ => None,
    }
}
#[cfg(test)]
mod tests;
